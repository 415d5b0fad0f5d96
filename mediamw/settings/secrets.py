"""The variables ``MEDIAMW_BACKEND_<NAME>_...``: the secrets of backends, of which each has to be somebody's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import Fault, unknown_option
from ..spec_options import SECRETS, secrets_of
from .faults import NOBODYS, UNKNOWN, UNREADABLE
from .sources import OF_BACKENDS, of_variable, variable


def secrets_for(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``environ`` that are secrets of backends of these names, and no others."""
    own = {variable(name, option) for name in names for options in SECRETS.values() for option in options}
    return {name: text for name, text in environ.items() if name in own}


def variables_of(backend: str, kind: str) -> set[str]:
    """Return the variables of the secrets that a backend of this name and kind takes."""
    return {variable(backend, option) for option in secrets_of(kind)}


class Secrets:
    """The variables ``MEDIAMW_BACKEND_<NAME>_...``, of which each has to be somebody's."""

    def __init__(self, environ: Mapping[str, str], names: Sequence[str], faults: list[Fault]) -> None:
        self._texts = {name: text for name, text in environ.items() if name.startswith(OF_BACKENDS)}
        self._unused = dict.fromkeys(self._texts)
        self._names = names
        self._faults = faults

    def of(self, backend: str, kind: str, given: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
        """Return the secrets of a backend that code did not give, each with its variable."""
        found: dict[str, tuple[Any, str]] = {}
        for option in secrets_of(kind):
            name = variable(backend, option)
            if name not in self._texts:
                continue
            self._unused.pop(name, None)
            twins = {other for other in self._names if variable(other, option) == name}
            if len(twins) > 1:
                reason = f"it is the variable of {' and '.join(sorted(twins))}: name one of them otherwise"
                self._faults.append(Fault(NOBODYS, f"backends.{backend}.{option}", of_variable(name), reason))
            elif option not in given:
                try:
                    found[option] = (_read(option, self._texts[name]), name)
                except ValueError as error:
                    self._faults.append(
                        Fault(UNREADABLE, f"backends.{backend}.{option}", of_variable(name), str(error))
                    )
        return found

    def tell_unused(self, kinds: Mapping[str, str], others: Iterable[str]) -> None:
        """Add a fault for each variable that no backend took. ``kinds``: of each backend, "" if code made it."""
        expected = [variable(name, option) for name, kind in kinds.items() for option in secrets_of(kind)]
        every = {option for options in SECRETS.values() for option in options}
        replaced = {variable(name, option) for name in others for option in every}
        for name in self._unused:
            if name in replaced and name not in {variable(own, option) for own in kinds for option in every}:
                continue
            owner = next((own for own in kinds if any(variable(own, option) == name for option in every)), None)
            if owner is not None:
                takes = [own for own in expected if own.startswith(variable(owner, ""))]
                if not kinds[owner]:
                    reason = f"backend {owner!r} is made in code: give it there"
                else:
                    reason = f"backend {owner!r} takes no such secret: " + (
                        f"there are {', '.join(takes)}" if takes else "remove the variable"
                    )
                self._faults.append(Fault(NOBODYS, f"backends.{owner}", of_variable(name), reason))
            elif any(name.endswith(f"_{option.upper()}") for option in every):
                reason = f"no backend has this name; there are {', '.join(kinds) or 'none'}: correct the variable"
                self._faults.append(Fault(NOBODYS, name, of_variable(name), reason))
            else:
                known = expected or [variable("NAME", option) for option in SECRETS["s3"]]
                reason = unknown_option(name, known, "variable", OF_BACKENDS)
                self._faults.append(Fault(UNKNOWN, name, of_variable(name), reason))


def _read(option: str, text: str) -> Any:
    """Read the text of a secret's variable. Raises ``ValueError`` that does not repeat it."""
    if not text.strip():
        raise ValueError("it is set and empty: give it a value, or do not set it")
    if option == "cloudfront_key":
        return text.replace("\\n", "\n")  # how a PEM is often put into one line; no PEM has a backslash
    if option == "headers":
        import json

        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError('it is no JSON object: write {"Authorization": "Bearer ..."}')
        return found
    return text
