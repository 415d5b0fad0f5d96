"""What is wrong with a configuration, as old code catches it."""

from __future__ import annotations

from ...core.errors import ConfigError


class DepotError(ConfigError, RuntimeError, ValueError):
    """A storage, an alias or a middleware that is not there, or may not be made.

    DEPOT raises ``RuntimeError`` for some of these and ``ValueError`` for others, and code of its users catches either.
    """

    @classmethod
    def of_registry(cls, error: ConfigError) -> DepotError:
        """Return what the registry said, as this error."""
        return cls(error.reason, backend=error.backend)
