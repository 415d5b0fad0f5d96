"""Your production media in dev and QA, without copying the bucket and without ever being able to write to it.

The public names, loaded when they are first used.
"""

from __future__ import annotations

from .lazy import lazily

TYPE_CHECKING = False  # as type checkers read it; ``typing`` itself takes longer to load than all that is loaded here

if TYPE_CHECKING:
    from .backends.base import Backend as Backend
    from .backends.base import Entry as Entry
    from .backends.base import Remote as Remote
    from .backends.base import SignedURL as SignedURL
    from .backends.http_origin import HTTPOriginBackend as HTTPOriginBackend
    from .backends.local import LocalBackend as LocalBackend
    from .backends.memory import MemoryBackend as MemoryBackend
    from .backends.s3 import S3Backend as S3Backend
    from .backends.s3_writable import WritableS3Backend as WritableS3Backend
    from .core.errors import BackendUnavailable as BackendUnavailable
    from .core.errors import ConfigError as ConfigError
    from .core.errors import ConfigErrors as ConfigErrors
    from .core.errors import ContentChanged as ContentChanged
    from .core.errors import Fault as Fault
    from .core.errors import InvalidKey as InvalidKey
    from .core.errors import MediaError as MediaError
    from .core.errors import NameTaken as NameTaken
    from .core.errors import NotServable as NotServable
    from .core.errors import NotWritable as NotWritable
    from .core.errors import NoURL as NoURL
    from .core.errors import TooLarge as TooLarge
    from .core.errors import Unreachable as Unreachable
    from .core.keys import Key as Key
    from .core.model import Handle as Handle
    from .core.model import Meta as Meta
    from .settings.stacks import build_stack as build_stack
    from .stack.stack import MediaStack as MediaStack

_HOME = {
    "Backend": ".backends.base",
    "BackendUnavailable": ".core.errors",
    "ConfigError": ".core.errors",
    "ConfigErrors": ".core.errors",
    "ContentChanged": ".core.errors",
    "Entry": ".backends.base",
    "Fault": ".core.errors",
    "HTTPOriginBackend": ".backends.http_origin",
    "Handle": ".core.model",
    "InvalidKey": ".core.errors",
    "Key": ".core.keys",
    "LocalBackend": ".backends.local",
    "MediaError": ".core.errors",
    "MediaStack": ".stack.stack",
    "MemoryBackend": ".backends.memory",
    "Meta": ".core.model",
    "NameTaken": ".core.errors",
    "NoURL": ".core.errors",
    "NotServable": ".core.errors",
    "NotWritable": ".core.errors",
    "Remote": ".backends.base",
    "S3Backend": ".backends.s3",
    "SignedURL": ".backends.base",
    "TooLarge": ".core.errors",
    "Unreachable": ".core.errors",
    "WritableS3Backend": ".backends.s3_writable",
    "build_stack": ".settings.stacks",
}

__all__ = [*_HOME]
__version__ = "0.1.0.dev0"
__getattr__, __dir__ = lazily(__name__, _HOME)
