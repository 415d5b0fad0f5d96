"""The ids of faults. They stay what they are, since people silence and search for them; none is ever used anew.

``docs/configuration.md`` has them.
"""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "mediamw.E001"
UNREADABLE: Final = "mediamw.E002"
FILE: Final = "mediamw.E003"
NO_BACKENDS: Final = "mediamw.E004"
SPLIT: Final = "mediamw.E005"
OPTION: Final = "mediamw.E006"
BACKEND: Final = "mediamw.E007"
MISPLACED: Final = "mediamw.E008"
NOBODYS: Final = "mediamw.E009"
STACK: Final = "mediamw.E010"
LOADING: Final = "mediamw.E011"
TEMPLATE_MISSING: Final = "mediamw.E012"
TEMPLATE: Final = "mediamw.E013"
STORAGES_UNKNOWN: Final = "mediamw.E014"
STORAGES: Final = "mediamw.E015"
STORAGE: Final = "mediamw.E016"
NO_STORAGES: Final = "mediamw.E017"

IDS: Final = {
    UNKNOWN: "there is no such setting",
    UNREADABLE: "a variable's text is empty, or cannot be read as what the setting is",
    FILE: "the settings file is missing, unreadable or no TOML",
    NO_BACKENDS: "there are no backends",
    SPLIT: "`MEDIAMW_BACKENDS` cannot be split into specs: a quote that does not end, a blank that is not quoted, "
    "commas",
    OPTION: "an option may not have this value",
    BACKEND: "a backend cannot be made as it is written",
    MISPLACED: "a secret stands where it ends up in logs, process lists or a repository",
    NOBODYS: "a variable is for a backend that is not there, or that takes none",
    STACK: "the backends make no stack: two of one name or of the same files, an upper that holds a lower or lies in "
    "one, rules that do not fit their place",
    LOADING: "`module:name` cannot be imported, or is not what is needed",
    TEMPLATE_MISSING: "a variable of the project template is missing",
    TEMPLATE: "a variable of the project template may not have this value",
    STORAGES_UNKNOWN: "django-storages has no such option",
    STORAGES: "an option of django-storages cannot be taken over",
    STORAGE: "a name of storages, aliases or remapped names is none, is taken, or stands for nothing or for itself",
    NO_STORAGES: "no storages are named",
}
