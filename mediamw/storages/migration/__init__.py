"""Moving the files of one storage to another for good (``docs/migrate.md``)."""

from .report import Progress as Progress
from .report import Report as Report
from .run import migrate as migrate

__all__ = ["Progress", "Report", "migrate"]
