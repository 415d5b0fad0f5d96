"""A new environment: nothing of the one that runs the tests, mediamw installed into it from this checkout as users do.

It needs a package index, as CI has. Where none can be reached the tests skip, which CI does not allow (conftest.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .readme import PROFILE, README

CHECKOUT = README.parent
INSTALL_SECONDS = 600
NO_ANSWER = "after connection broken by"
"""What pip says when no index answers. Whatever else it says is a failure, ours or a package's."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the home of who works in it."""

    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def install(self, *what: str) -> None:
        """Install, or skip if there is no index."""
        command = [self.program("pip"), "install", "-q", "--disable-pip-version-check", *what]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, env=clean())
        said = ran.stdout + ran.stderr
        if ran.returncode and (NO_ANSWER in said or os.environ.get("PIP_NO_INDEX")):
            (why, *_) = [line.strip() for line in said.splitlines() if NO_ANSWER in line] or ["PIP_NO_INDEX is set"]
            pytest.skip(f"no package index can be reached: {why}")
        assert ran.returncode == 0, said

    def run(self, name: str, *arguments: str | Path, folder: Path, **variables: str) -> str:
        """Run a program of the environment in ``folder``; return what it printed."""
        command = [self.program(name), *arguments]
        ran = subprocess.run(
            command, cwd=folder, env=clean(**variables), capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout


def new_environment(folder: Path) -> Environment:
    """Make one, with mediamw in it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, env=clean())
    made = Environment(folder)
    made.install(f"{CHECKOUT}[serve]", "flask", "django", "starlette", "fastapi", "gunicorn", "uvicorn")
    where = Path(made.run("python", "-c", "import mediamw; print(mediamw.__file__)", folder=folder).strip())
    assert folder in where.parents, f"what is installed is to be tested, and not {where}"
    return made


def clean(**variables: str) -> dict[str, str]:
    """Return the variables of a program: none of this interpreter's, none of S3 but what is given."""
    left_out = ("PYTHON", "AWS_", "MEDIAMW_", "STORAGE", "DJANGO_", "FLASK_", "VIRTUAL_ENV", "GUNICORN_", "UVICORN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*left_out, "GRANIAN_"))}
    ours = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    return {**kept, **ours, **variables}


def aws_profile(folder: Path, key: str, secret: str, region: str) -> dict[str, str]:
    """Write the profile that the quickstarts name; return the variables that lead to it."""
    config = folder / "aws"
    config.write_text(
        f"[profile {PROFILE}]\nregion = {region}\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    )
    return {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": "/missing/by/intent"}
