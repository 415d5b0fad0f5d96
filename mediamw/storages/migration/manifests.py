"""Lists of what is to be copied, for those who copy far more than one machine can: S3 Batch Operations, rclone.

The S3 manifest is S3BatchOperations_CSV_20180820 with the fields Bucket and Key (Amazon S3 User Guide, "Specifying a
manifest"): no header line, keys URL-encoded. rclone's is for ``--files-from-raw``, one name a line as it is, relative
to the root of both sides. Neither says that anything is there: a run of ``migrate`` afterwards compares, and copies the
rest.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from ...backends.base import Backend
from ...backends.local import LocalBackend
from ...backends.s3 import S3Backend, S3Reader
from ...backends.s3_writable import WritableS3Backend
from ...core.errors import ConfigError
from ...stack.stack import MediaStack
from .journal import Journal
from .places import check_listing
from .work import Opened

Format = Literal["s3-batch", "rclone"]
FORMATS: Final = ("s3-batch", "rclone")
_LOOKED_UP: Final = 500


class Manifest(NamedTuple):
    """A list as lines with their ends, made as they are read, and what else people have to know: ``notes``."""

    lines: Iterator[str]
    notes: tuple[str, ...]


def manifest(opened: Opened, kind: Format, *, journal: Journal | None = None, output: str = "LIST") -> Manifest:
    """List the files of the source that ``journal`` does not say are at the target. ``output`` is how the list is named
    in the notes.

    Raises ``ConfigError`` if these storages cannot be copied so, ``BackendUnavailable`` as the lines are read.
    """
    if kind not in FORMATS:
        raise ConfigError(f"emit_manifest: {kind!r} is none of {', '.join(FORMATS)}")
    check_listing("source", opened.source)
    if len(opened.source.backends) > 1:
        raise ConfigError(
            "emit_manifest: the source has several backends, and a manifest is of one place: give upper_only "
            "(--upper-only), or make a storage of the one"
        )
    backend, target = opened.source.upper, opened.target.upper
    keys = _left(opened.source, journal)
    if kind == "rclone":
        command = f"rclone copy --files-from-raw {shlex.quote(output)} --checksum --immutable"
        places = f"{shlex.quote(_rclone_place(backend))} {shlex.quote(_rclone_place(target))}"
        return Manifest((f"{key}\n" for key in keys), (f"{command} {places}", _AFTER))
    if not isinstance(backend, S3Reader) or not isinstance(target, S3Reader):
        raise ConfigError(
            "emit_manifest: S3 Batch Operations copy from a bucket to a bucket: rclone knows other places"
        )
    lines = (f"{backend.bucket},{quote(backend.object_name(key), safe='/')}\n" for key in keys)
    return Manifest(
        lines, ("Format S3BatchOperations_CSV_20180820, Fields Bucket,Key", _target_note(backend, target), _AFTER)
    )


_AFTER: Final = "then run mediamw migrate without --emit-manifest: it compares what is there, and copies the rest"


def _left(source: MediaStack, journal: Journal | None) -> Iterator[str]:
    """Yield the keys that are not known to be at the target, as the source lists them."""
    files = (entry for entry in source.list("", recursive=True) if not entry.is_folder)
    while some := list(islice(files, _LOOKED_UP)):
        known = {} if journal is None else journal.known([entry.key for entry in some])
        for entry in some:
            row = known.get(entry.key)
            is_done = row is not None and row.state == "done" and entry.meta is not None and row.is_of(entry.meta)
            if not is_done:
                yield entry.key


def _target_note(backend: S3Reader, target: S3Reader) -> str:
    old, new = backend.object_name(""), target.object_name("")
    note = f"Operation S3PutObjectCopy, TargetResource: bucket {target.bucket}"
    if old == new:
        return note
    if old or not new.endswith("/"):  # TargetKeyPrefix is a folder, put before the whole name
        raise ConfigError(
            f"emit_manifest: names of the source begin with {old!r}, of the target with {new!r}, and S3 Batch "
            "Operations keep names: give both the same, or copy without a manifest"
        )
    return f"{note}, TargetKeyPrefix: {new[:-1]}"


def _rclone_place(backend: Backend) -> str:
    """Return a place as rclone's command line has it, without any secret: those come from its environment."""
    if type(backend) is LocalBackend:
        return backend.root
    if isinstance(backend, S3Reader) and type(backend) in (S3Backend, WritableS3Backend):
        server = str(backend.whereabouts[0])
        path = "/".join(filter(None, (backend.bucket, backend.location)))
        provider = "AWS" if server == "s3:" else f'Other,endpoint="{server}"'
        return f":s3,provider={provider},env_auth=true:{path}"
    raise ConfigError(
        f"emit_manifest: {backend.name!r} is a {type(backend).__name__}, of which rclone would copy files as they lie, "
        "not as they are called: copy without a manifest"
    )
