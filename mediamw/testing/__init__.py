"""What tests of programs, and of backends, use: an S3 that refuses what S3 refuses, and the suite for backends.

The public names, loaded when they are first used: ``StrictS3`` needs the ``demo`` extra, ``check_backend`` nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .conformance import SAMPLE_FILES as SAMPLE_FILES
    from .conformance import ConformanceError as ConformanceError
    from .conformance import check_backend as check_backend
    from .conformance import find_faults as find_faults
    from .strict_s3 import StrictS3 as StrictS3

_HOME = {
    "SAMPLE_FILES": ".conformance",
    "ConformanceError": ".conformance",
    "StrictS3": ".strict_s3",
    "check_backend": ".conformance",
    "find_faults": ".conformance",
}

__all__ = [*_HOME]
__getattr__, __dir__ = lazily(__name__, _HOME)
