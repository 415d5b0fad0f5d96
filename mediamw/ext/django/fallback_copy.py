"""Data migration: what a lower has is copied into the upper when it is read, under its very name.

1. Nothing that is found there is replaced, and a deleted file does not come back. If the upper is no directory, or on a
   disk without locks, one that is uploaded in the very moment in which it is deleted and copied may be lost: nothing
   keeps the three apart.
2. Its content type comes along if the name does not tell it. What a bucket stores encoded (gzip) is not copied: as a
   file of its own it would be another.
3. A copy that cannot be made (no room, an upper that fails, a name that is a folder) is a line in the log: reading goes
   on from where the file is.
"""

from __future__ import annotations

from ...core.errors import MediaError, NameTaken
from ...core.keys import parse_key
from ...stack.pull_version import Version
from ...stack.stack import MediaStack
from ...stack.whiteouts import Whiteouts, as_upper, has


def copy_up(stack: MediaStack, key: str) -> bool:
    """Copy a file into the upper if only a lower has it; False if there was nothing to do, or it could not be done."""
    upper, checked = as_upper(stack.upper), parse_key(key)
    if upper is None:
        return False
    try:
        if has(upper, checked):
            return False
        version = Version(checked, "", stack.stat(key))
        if not version.is_plain:
            return False
        with stack.open(key) as source:
            draft = upper.draft(source, content_type=version.told_type)
        try:
            published = stack.publish_below(key, draft)
            if published is not None:
                return published
            draft.publish(checked)
        finally:
            draft.close()
        if Whiteouts(upper).is_set(checked):  # deleted meanwhile
            upper.delete(checked)
            return False
    except (FileNotFoundError, NameTaken):
        return False
    except (MediaError, OSError) as error:
        stack.say(f"copy {stack.upper.name}", f"{key!r} was read and could not be copied: {error}", str(error))
        return False
    return True
