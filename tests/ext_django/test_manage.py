"""``manage.py mediamw ...``: the command line, with the project's settings as the stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command

from .test_checks import bucket


def test_explain(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project(MEDIAMW={"backends": ["media", "memory:"], "authorize": lambda request, key: 403})
    call_command("mediamw", "explain", "a.txt")
    assert "held by backend 'local'" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("mediamw", "explain", "--json", "none.txt")
    assert ended.value.code == 4
    assert json.loads(capsys.readouterr().out)["said"] == "missing"
    with pytest.raises(SystemExit):
        call_command("mediamw", "explain", "media/a.txt")
    assert "not quoted" not in capsys.readouterr().err


def test_the_prefix_is_the_project_s(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project(MEDIA_URL="/files/")
    with pytest.raises(SystemExit):
        call_command("mediamw", "explain", "files/a.txt")
    assert "the key is what stands behind /files/: a.txt" in capsys.readouterr().err


def test_config(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project(MEDIAMW={"backends": ["media", bucket()]})
    call_command("mediamw", "config")
    said = capsys.readouterr().out
    assert "backends.prod" in said
    assert "settings.MEDIAMW['backends'][1]" in said
    assert "settings.MEDIA_URL" in said
    assert "the-secret-of-it" not in said


def test_what_is_wrong_is_told(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project(MEDIAMW={"on_mis": "404"}, SILENCED_SYSTEM_CHECKS=[])
    for command in (["explain", "a.txt"], ["config"]):
        with pytest.raises(SystemExit) as ended:
            call_command("mediamw", *command)
        assert ended.value.code == 2
        assert "did you mean on_miss" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_project_has_a_server(command: str, project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    with pytest.raises(SystemExit) as ended:
        call_command("mediamw", command)
    assert ended.value.code == 2
    assert "manage.py mediamw: error:" in capsys.readouterr().err
