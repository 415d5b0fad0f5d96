"""Where settings are read: the environment, the file. Each value keeps the words that say where it came from.

Nothing is judged here but what has no value at all: names that no setting has, a file that cannot be read, secrets
in it. A variable that is set and empty is a fault, not a default: it is mostly one that a deployment forgot to fill.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..core.errors import Fault, unknown_option
from ..specs import GIVEN, SECRETS, refused_in_specs, split_name
from .faults import FILE, MISPLACED, UNKNOWN, UNREADABLE
from .options import OPTIONS

MAX_FILE_BYTES: Final = 1024 * 1024
FILE_NAME: Final = "mediamw.toml"
OF_BACKENDS: Final = "MEDIAMW_BACKEND_"
OF_STORAGES: Final = "MEDIAMW_STORAGE_"
STORAGE_SETTINGS: Final = tuple(OF_STORAGES + setting for setting in ("ALIASES", "REMAP", "DEFAULT"))
_NO_OPTIONS: Final = ("MEDIAMW_CONFIG", "MEDIAMW_LOCAL_DIR", "MEDIAMW_STORAGES", *STORAGE_SETTINGS)
_SECRET_NAMES: Final = frozenset(option for options in SECRETS.values() for option in options)


class Value(NamedTuple):
    """What a source says of a setting. ``is_text``: it stands in an environment variable, and is to be read."""

    value: Any
    source: str
    is_text: bool = False


Source = dict[str, Value]


def of_variable(name: str) -> str:
    """Say that a value came from an environment variable."""
    return f"environment variable {name}"


def from_mapping(given: Mapping[str, Any], named: Any, faults: list[Fault]) -> Source:
    """Return what code gave; ``named`` says how it calls an option."""
    known = ("backends", *OPTIONS)
    found: Source = {}
    for option, value in given.items():
        if option in known:
            found[option] = Value(value, named(option))
        else:
            faults.append(Fault(UNKNOWN, str(option), named(option), _unknown(str(option), known)))
    return found


def from_environment(environ: Mapping[str, str], faults: list[Fault]) -> Source:
    """Return the variables ``MEDIAMW_<OPTION>``; those of single backends and storages are not among them."""
    options = {f"MEDIAMW_{option.upper()}": option for option in ("backends", *OPTIONS)}
    known = (*options, *_NO_OPTIONS)
    found: Source = {}
    for name, text in environ.items():
        if not name.startswith("MEDIAMW_") or name.startswith((OF_BACKENDS, OF_STORAGES)) or name == "MEDIAMW_STORAGES":
            continue
        if name not in known and any(name.endswith(f"_{option.upper()}") for option in _SECRET_NAMES):
            reason = (
                f"unknown variable {name!r}; secrets stand in variables of their backend, {variable('<NAME>', '...')}"
            )
            faults.append(Fault(UNKNOWN, name, of_variable(name), reason))
        elif name not in known:
            faults.append(Fault(UNKNOWN, name, of_variable(name), unknown_option(name, known, "variable", "MEDIAMW_")))
        elif name in options and (text.strip() or name == "MEDIAMW_BACKENDS"):
            found[options[name]] = Value(text, of_variable(name), is_text=True)
        elif not text.strip():
            reason = "it is set and empty: give it a value, or do not set it"
            faults.append(Fault(UNREADABLE, options.get(name, name), of_variable(name), reason))
    return found


def from_file(environ: Mapping[str, str], faults: list[Fault]) -> Source:
    """Return what stands in the file that MEDIAMW_CONFIG names, else in ``./mediamw.toml`` if there is one."""
    asked = environ.get("MEDIAMW_CONFIG", "").strip()
    path = os.path.expanduser(asked) or FILE_NAME
    if not asked and not os.path.lexists(path):
        return {}
    source = of_variable("MEDIAMW_CONFIG") if asked else path
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL
        reason = (error.strerror if isinstance(error, OSError) else None) or "no possible path"
        faults.append(Fault(FILE, path, source, f"cannot be read ({reason}): correct the path or the file's rights"))
        return {}
    if len(data) > MAX_FILE_BYTES:
        faults.append(Fault(FILE, path, source, f"has more than {MAX_FILE_BYTES} bytes: is it the right file?"))
        return {}
    table = _parsed(data, path, faults)
    found: Source = {}
    known = ("backends", *OPTIONS)
    for key, value in table.items():
        where = f"{path}: {key}"
        if key in known:
            found[key] = Value(value, where)
        elif is_secret(key):
            reason = "no secret stands in a file that is committed: set MEDIAMW_BACKEND_<NAME>_... in the environment"
            faults.append(Fault(MISPLACED, key, where, reason))
        elif key in ("mediamw", "tool") and isinstance(value, dict):
            reason = f"the options stand at the top of the file: leave the line [{key}...] out"
            faults.append(Fault(UNKNOWN, key, where, reason))
        else:
            faults.append(Fault(UNKNOWN, key, where, _unknown(key, known)))
    _refuse_secrets(found, faults)
    return found


def _unknown(option: str, known: tuple[str, ...]) -> str:
    short = option.lower().removeprefix("mediamw_")
    if short in known:
        return f"unknown setting {option!r}; here it is written {short}"
    return unknown_option(option, known, "setting")


def is_secret(option: str) -> bool:
    """Say whether ``option`` is one that stands in no spec and no file, or is called like one."""
    if option in _SECRET_NAMES:
        return True
    return all(option not in options for options in GIVEN.values()) and refused_in_specs(option) is not None


def variable(backend: str, option: str) -> str:
    """Return the name of the environment variable for an option of a backend."""
    return f"{OF_BACKENDS}{backend.upper().replace('-', '_')}_{option.upper()}"


def _parsed(data: bytes, path: str, faults: list[Fault]) -> dict[str, Any]:
    import tomllib  # not loaded by those who have no file

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        reason = "is not UTF-8, which TOML is: save it as that"
    except tomllib.TOMLDecodeError as error:  # says line and column, and repeats no value
        reason = f"is no TOML: {error}; texts stand in quotes, and a list of backends begins with [[backends]]"
    except RecursionError:
        reason = "is no TOML that can be read: it is nested too deeply"
    except ValueError:  # Python's own bound for the digits of a number
        reason = "is no TOML that can be read: a number in it is too long"
    faults.append(Fault(FILE, path, path, reason))
    return {}


def _refuse_secrets(found: Source, faults: list[Fault]) -> None:
    """Take the secrets out of the tables of a file's backends, and tell of each."""
    backends = found.get("backends")
    if backends is None or not isinstance(backends.value, list):
        return
    for number, table in enumerate(backends.value):
        if not isinstance(table, dict):
            continue
        name = str(table.get("name") or split_name(str(table.get("spec")))[0] or "<NAME>")
        proxies = table.get("proxies")
        with_password = isinstance(proxies, dict) and any("@" in str(proxy) for proxy in proxies.values())
        for option in [option for option in table if is_secret(option)] + ["proxies"] * with_password:
            del table[option]
            way_out = f"set {variable(name, option)}" if option in _SECRET_NAMES else "set it in the environment"
            if option == "proxies":
                way_out = "set HTTPS_PROXY"
            reason = f"no secret stands in a file that is committed: remove it and {way_out}"
            faults.append(Fault(MISPLACED, f"backends.{name}.{option}", f"{backends.source}[{number}]", reason))
