"""What DEPOT keeps, as specs, for the configuration of storages (``SCHEMES``):

- ``depot:/srv/media``: a directory of DEPOT's; beside it, in a table, the options of ``LocalBackend``;
- ``depot+s3://bucket/prefix?option=value&...``: a bucket of DEPOT's, only read; with ``writable=true`` it takes
  uploads. The prefix is taken as it stands, with its slash if it ends in one. The options are those of ``s3://``, less
  ``location``, and of one that is written ``policy`` and ``storage_class``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...backends.base import Backend
from ...core.errors import ConfigError, unknown_option
from ...spec_options import GIVEN, S3_OPTIONS, Readers, secrets_of
from ...specs import Scheme, is_writable, split_s3

_WRITES: Final = ("policy", "storage_class")
_OPTIONS: Final[Readers] = {
    **{option: read for option, read in S3_OPTIONS.items() if option != "location"},
    **dict.fromkeys(_WRITES, str),
}
_BESIDE: Final = (*_OPTIONS, *secrets_of("s3"), "proxies")


def build_directory(path: str, name: str, **options: Any) -> Backend:
    """Make the backend of ``depot:path``. Raises ``ConfigError``."""
    from .io.local import DepotDirectory

    _check(options, sorted(GIVEN["local"]), name)
    if not path or path.startswith("//") or "?" in path or "\0" in path:
        raise ConfigError(
            "depot: is followed by the path of a directory and takes no options: write depot:/srv/media", backend=name
        )
    return DepotDirectory(path, name=name, **options)


def build_bucket(where: str, name: str, **beside: Any) -> Backend:
    """Make the backend of ``depot+s3:where``. Raises ``ConfigError``."""
    from .io.boto3 import DepotBucket, ReadOnlyDepotBucket

    _check(beside, _BESIDE, name)
    bucket, path, options = split_s3(f"depot+s3:{where}", name, _OPTIONS, beside, "depot+s3")
    options["prefix"] = path.removeprefix("/")
    if is_writable(options, name):
        return DepotBucket(bucket, name=name, **options)
    if (option := next((option for option in _WRITES if option in options), None)) is not None:
        raise ConfigError(f"{option} is of a bucket that is written: with writable=true", backend=name)
    return ReadOnlyDepotBucket(bucket, name=name, **options)


def _check(beside: Mapping[str, Any], known: tuple[str, ...] | list[str], name: str) -> None:
    wrong = [unknown_option(option, known) for option in beside if option not in known]
    if wrong:
        raise ConfigError.of([ConfigError(reason, backend=name) for reason in wrong])


SCHEMES: Final[Mapping[str, Scheme]] = {"depot": build_directory, "depot+s3": build_bucket}
"""For ``schemes`` of ``mediamw.storages.load`` and ``load_environment``."""
