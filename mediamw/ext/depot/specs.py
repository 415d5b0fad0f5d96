"""Specs of storages as DEPOT keeps them, beside those of ``mediamw.specs``:

- ``depot:PATH``, a directory of DEPOT's local storage;
- ``depot+s3://bucket[/prefix][?option=value&...]``, its bucket; the options are those of ``s3://``. It is written to with
  ``writable=true`` alone, and then it is the first of its stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...backends.base import Backend
from ...core.errors import ConfigError
from ...specs import Scheme, read_s3, written_path


def _directory(path: str, name: str, **options: Any) -> Backend:
    from .io.local import DepotDirectory

    if not path:
        raise ConfigError("depot: its path is empty: name the directory, depot:./depot", backend=name)
    return DepotDirectory(written_path(path, name), name=name, **options)


def _bucket(rest: str, name: str, **options: Any) -> Backend:
    from .io.boto3 import DepotBucket, ReadOnlyDepotBucket

    bucket, writable, given = read_s3(f"s3:{rest}", name, options)
    return (DepotBucket if writable else ReadOnlyDepotBucket)(bucket, name=name, **given)


SCHEMES: Final[Mapping[str, Scheme]] = {"depot": _directory, "depot+s3": _bucket}
