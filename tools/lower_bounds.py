"""Print pip constraints that pin every lower bound of pyproject.toml: the oldest versions that we say we work with.

Linters and type stubs are left out: they judge the source, and nothing that a user installs depends on them.
"""

import re
import tomllib
from pathlib import Path

NOT_RUN = {"ruff", "mypy"}

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(line for extra in extras.values() for line in extra)]:
    bound = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)", requirement)
    if bound and bound[1] not in NOT_RUN:
        print(f"{bound[1]}=={bound[2]}")
