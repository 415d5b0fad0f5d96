"""``mediamw demo``: what its page promises holds, and ``--check`` notices when it does not."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from mediamw.cli.demo import command, running, site, uploads
from mediamw.cli.demo.catalogue import ASSETS, MediaFile, all_media
from mediamw.cli.demo.check import check
from mediamw.cli.demo.fetching import Answer, fetch
from mediamw.cli.demo.production import BUCKET
from mediamw.cli.demo.running import Demo
from mediamw.testing import guard

ROWS = [file for _, file in all_media()]
REMOTE = [file for file in ROWS if file.asset is not None and not file.local]
CODE = """
import argparse, sys
from mediamw.cli.demo.command import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args()))
"""


class Clock:
    """Production's clock: the real one plus an offset."""

    offset_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def demo(clock: Clock) -> Iterator[Demo]:
    with running.running(clock=clock) as started:
        yield started


def demo_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def media(demo: Demo, key: str, method: str = "GET") -> Answer:
    return fetch(f"{demo.url}media/{quote(key)}", method)


class Page(HTMLParser):
    """The tags of the page with their attributes, as a browser would read them."""

    def __init__(self, demo: Demo) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        answer = fetch(demo.url)
        assert answer.status == 200
        self.text = answer.body.decode()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def media_urls(self) -> list[str]:
        values = (attributes.get("src") or attributes.get("href") or "" for _, attributes in self.tags)
        return [value for value in values if value.startswith("/media/")]


def upload(
    demo: Demo, filename: str, content: bytes, *, alt: str = "", headers: dict[str, str] | None = None
) -> Answer:
    """Send the form as a browser does: UTF-8, and only quotes and line ends of the name escaped."""
    name = filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    body = (
        f'--B\r\nContent-Disposition: form-data; name="alt"\r\n\r\n{alt}\r\n'
        f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + content
    sent = {"Content-Type": "multipart/form-data; boundary=B", **(headers or {})}
    return fetch(f"{demo.url}upload", "POST", sent, body + b"\r\n--B--\r\n")


def uploaded(demo: Demo) -> list[str]:
    folder = demo.folder / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_check_passes_and_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo_command("--check") == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"ready after \d+\.\d\d s", lines[0])
    for file in ROWS:
        expected = "404  missing" if file.asset is None else "200  local" if file.local else "302  production"
        assert [line for line in lines if line.startswith(expected) and f"bytes  {file.key}" in line], file.key
    assert any(line.startswith("206  production") for line in lines)
    assert any(line.startswith("200  local") and "uploads/check.png" in line for line in lines)
    assert "writes that reached production: 0" in lines
    assert not [line for line in lines if "FAIL" in line]


def delete_object(demo: Demo, _: Any) -> None:
    demo.s3.delete(BUCKET, REMOTE[0].key)


def alter_object(demo: Demo, _: Any) -> None:
    demo.s3.put(BUCKET, REMOTE[0].key, b"x" * 13281, content_type="image/jpeg")


def alter_type(demo: Demo, _: Any) -> None:
    file = REMOTE[0]
    demo.s3.put(BUCKET, file.key, (ASSETS / str(file.asset)).read_bytes(), content_type="text/html")


def add_the_missing(demo: Demo, _: Any) -> None:
    key = next(file.key for file in ROWS if file.asset is None)
    demo.s3.put(BUCKET, key, b"found", content_type="image/jpeg")


def remove_local(demo: Demo, _: Any) -> None:
    (demo.folder / next(file.key for file in ROWS if file.local)).unlink()


def forget_a_row(demo: Demo, patch: pytest.MonkeyPatch) -> None:
    database = demo.site._database
    rows = database.media()
    patch.setattr(database, "media", lambda: rows[1:])


def invent_a_row(demo: Demo, _: Any) -> None:
    demo.site._database.add("homes/999/invented.jpg", "Invented", "image")
    demo.s3.put(BUCKET, "homes/999/invented.jpg", b"x")


def believe_every_signature(demo: Demo, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "verify", lambda *_, **__: None)


def write(demo: Demo, _: Any) -> None:
    assert fetch(f"{demo.s3.endpoint}/{BUCKET}/a", "PUT", body=b"x").status == 403


def write_upload_through(demo: Demo, patch: pytest.MonkeyPatch) -> None:
    upper: Any = demo.stack.upper
    put = upper.put

    def both(key: str, data: Any) -> None:
        demo.s3.put(BUCKET, key, data.read())
        data.seek(0)
        put(key, data)

    patch.setattr(upper, "put", both)


def refuse_uploads(demo: Demo, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(uploads, "MAX_UPLOAD_BYTES", 1)


def stop_production(demo: Demo, _: Any) -> None:
    demo.s3._server.stop()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (delete_object, f"FAIL  {REMOTE[0].key}: the backend is 'none', not 'production'"),
        (alter_object, f"FAIL  {REMOTE[0].key}: the 13281 bytes are not those of {REMOTE[0].asset}"),
        (alter_type, f"FAIL  {REMOTE[0].key}: the content type is 'text/html'"),
        (add_the_missing, "the status of a file that nobody has is 302, not 404"),
        (remove_local, "the backend is 'production', not 'local'"),
        (forget_a_row, "FAIL  page: what the dump names and the page does not show"),
        (invent_a_row, "FAIL  page: what the page shows and the dump does not name"),
        (believe_every_signature, "the status of a tampered URL is 200, not 403"),
        (write, "FAIL  production was written to"),
        (write_upload_through, "FAIL  upload: it is in production"),
        (write_upload_through, "FAIL  the bucket is not what it was"),
        (refuse_uploads, "FAIL  upload: the status of the upload is 413, not 303"),
        (stop_production, f"FAIL  {REMOTE[0].key}: "),
    ],
)
def test_the_check_notices(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Demo, pytest.MonkeyPatch], None], complaint: str
) -> None:
    spoil(demo, monkeypatch)
    lines: list[str] = []
    assert check(demo, lines.append) is False
    assert complaint in "\n".join(lines)


def test_a_failed_check_exits_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(running, "fill", lambda folder: None)  # so nothing is local
    assert demo_command("--check") == 1
    assert "FAILED" in capsys.readouterr().out.splitlines()[-1]


def test_a_check_that_is_stopped_is_no_success(demo: Demo) -> None:
    lines: list[str] = []
    assert check(demo, lines.append, stopped=lambda: bool(lines)) is False
    assert len(lines) == 2


def test_a_taken_port_is_said_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo_command("--port", str(port)) == 2
    seen = capsys.readouterr()
    assert seen.err == f"mediamw demo: port {port} is taken: mediamw demo --port {port + 1} or --port 0\n"
    assert seen.out == ""


def test_a_host_that_is_not_ours_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo_command("--host", "192.0.2.1", "--port", "0") == 2  # TEST-NET-1
    assert capsys.readouterr().err.startswith("mediamw demo: cannot listen on 192.0.2.1, port 0: ")


@pytest.mark.parametrize("port", ["65536", "-1", "x", "٣"])
def test_a_port_is_a_number(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo_command(f"--port={port}")
    assert "is no port: a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["moto", "flask", "flask_cors"])
def test_a_missing_package_is_said_with_the_way_out(package: str, tmp_path: Path) -> None:
    (tmp_path / "hide.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    code = f"import hide\n{CODE}"
    done = subprocess.run(
        [sys.executable, "-c", code, "--check"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == f"mediamw demo: {package} is not installed: pip install 'mediamw[demo]'\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_a_page_that_does_not_come_is_no_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(site, "render", lambda *_: 1 / 0)
    assert demo_command("--check") == 2
    assert re.fullmatch(r"mediamw demo: http://127\.0\.0\.1:\d+/ answered 500\n", capsys.readouterr().err)


def test_a_setting_of_moto_that_is_in_the_way_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "1")
    assert demo_command("--check") == 2
    assert "unset it" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CODE, "--port", "0"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(
                r"mediamw demo: (http://127\.0\.0\.1:\d+/)  \(production: embedded S3 at http://127\.0\.0\.1:\d+, "
                r"read-only key; Ctrl-C stops\)\n",
                line,
            )
            assert found
            assert fetch(found[1]).status == 200
            (folder,) = tmp_path.iterdir()
            told = process.stdout.readline()
            assert told == f"local files: {folder}  (delete one and reload the page: production answers)\n"
            assert (folder / "homes/3/front.jpg").is_file()
            # A browser keeps connections open; the end must not wait for them.
            with socket.create_connection(("127.0.0.1", urlsplit(found[1]).port)):
                process.send_signal(number)
                out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_the_handlers_of_signals_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert demo_command("--host", "192.0.2.1", "--port", "0") == 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_the_environment_has_no_say(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    (tmp_path / "config").write_text(f"[default]\nendpoint_url = {nowhere}\nregion = eu-west-9\n")
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": nowhere,
        "AWS_ENDPOINT_URL_S3": nowhere,
        "AWS_PROFILE": "nonsense",
        "AWS_REGION": "xx-nowhere-1",
        "AWS_DEFAULT_REGION": "xx-nowhere-1",
        "AWS_ACCESS_KEY_ID": "WRONG",
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "AWS_SESSION_TOKEN": "wrong",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "HTTP_PROXY": nowhere,
        "http_proxy": nowhere,
        "PYTHONIOENCODING": "ascii",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, "--check"], env=environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"homes/9/\u5c45\u9593.png" in done.stdout


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(TemporaryDirectory.__init__, "__defaults__", (None, None, str(tmp_path), False))
    with running.running() as demo:
        assert demo.folder.parent == tmp_path
        assert upload(demo, "a.txt", b"x").status == 303
        urls = [demo.url, f"{demo.s3.endpoint}/"]
    assert list(tmp_path.iterdir()) == []
    for url in urls:
        with pytest.raises(ConnectionRefusedError):
            fetch(url)


# -- the page ---------------------------------------------------------------------------------------------------------


def test_every_redirect_of_the_page_is_good_once_and_for_its_own_file_only(demo: Demo, clock: Clock) -> None:
    redirects = {}
    for path in dict.fromkeys(Page(demo).media_urls):
        get, head = (fetch(demo.url + path[1:], method) for method in ("GET", "HEAD"))
        if get.status == 302:
            redirects[get.headers["location"]] = head.headers["location"]
    assert len(redirects) == len(REMOTE)
    for get_url, head_url in redirects.items():
        assert fetch(get_url).status == 200
        assert fetch(head_url, "HEAD").status == 200
        assert fetch(get_url, "HEAD").status == 403  # signed for GET
        for place in (get_url.index("?") - 1, get_url.index("X-Amz-Date=") + 20, get_url.index("Expires=") + 8, -1):
            changed = list(get_url)
            changed[place] = "1" if changed[place] == "0" else "0"
            assert fetch("".join(changed)).status in (400, 403), place
    clock.offset_s = 3601
    assert {fetch(url).status for url in redirects} == {403}
    assert {fetch(url, "HEAD").status for url in redirects.values()} == {403}


def test_the_page_shows_every_row_and_describes_it(demo: Demo) -> None:
    page = Page(demo)
    assert len(set(page.media_urls)) == len(ROWS)
    badges = {attributes["data-key"] for _, attributes in page.tags if "data-key" in attributes}
    assert badges == {file.key for file in ROWS}
    for file in ROWS:
        (tag, attributes) = next(
            (tag, attributes)
            for tag, attributes in page.tags
            if tag in ("img", "video", "audio", "a")
            and f"/media/{quote(file.key)}" in (attributes.get("src"), attributes.get("href"))
        )
        assert tag == {"image": "img", "pdf": "a", "text": "a"}.get(file.kind, file.kind)
        if tag != "a":
            assert attributes["alt" if tag == "img" else "aria-label"] == file.alt


def test_the_page_names_the_folder_whose_files_can_be_deleted(demo: Demo) -> None:
    assert f"<code>{demo.folder}</code>" in Page(demo).text
    gone = next(file for file in ROWS if file.local and file.key.startswith("homes/"))
    assert media(demo, gone.key).headers["x-media-backend"] == "local"
    (demo.folder / gone.key).unlink()
    assert media(demo, gone.key).headers["x-media-backend"] == "production"


def test_a_video_shows_its_home_until_it_is_played(demo: Demo) -> None:
    assert upload(demo, "new.webm", b"x").status == 303
    videos = {attributes["src"]: attributes.get("poster") for tag, attributes in Page(demo).tags if tag == "video"}
    assert videos == {
        "/media/homes/42/a%20day%20in%20ten%20seconds.webm": "/media/homes/42/harbour%20cottage.jpg",
        "/media/homes/64/a%20short%20visit.mp4": "/media/homes/64/CHALET.JPG",
        "/media/uploads/new.webm": None,
    }


def test_the_page_needs_no_other_server(demo: Demo) -> None:
    page = Page(demo)
    sources = [attributes[name] or "" for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    for own in ("page.css", "page.js"):
        text = fetch(demo.url + own)
        assert text.status == 200
        assert b"://" not in text.body


def test_the_badges_say_what_was_answered_and_the_box_what_production_saw(demo: Demo) -> None:
    def seen() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(fetch(f"{demo.url}answers.json").body)
        return told

    assert seen() == {"answers": {}, "counts": {"answered": 0, "refused": 0, "writes": 0}}
    local, remote = next(file for file in ROWS if file.local), REMOTE[2]
    missing = next(file for file in ROWS if file.asset is None)
    media(demo, local.key)
    media(demo, missing.key)
    location = media(demo, remote.key).headers["location"]
    fetch(location)
    fetch(location[:-4] + "0000")
    assert seen()["answers"] == {
        local.key: ["local", 200],
        remote.key: ["production", 302],
        missing.key: ["none", 404],
    }
    # Two look-ups by mediamw, a GET for why the first was a 404, and the browser's GET; one refusal.
    assert seen()["counts"] == {"answered": 4, "refused": 1, "writes": 0}
    assert fetch(location, "PUT", body=b"x").status == 403
    assert seen()["counts"]["writes"] == 1
    assert '<dd id="writes">1</dd>' in Page(demo).text


def test_the_key_that_the_site_has_cannot_write(demo: Demo) -> None:
    lower: Any = demo.stack.backends[1]
    before = demo.s3.objects(BUCKET)
    for method in ("PUT", "DELETE", "POST"):
        answer = fetch(lower.sign(REMOTE[0].key, method, time.time()).url, method, body=b"x")
        assert answer.status == 403
        assert b"<Code>AccessDenied</Code>" in answer.body  # the signature is right: it is the key that may not
    assert demo.s3.objects(BUCKET) == before
    assert len(demo.s3.writes) == 3


def test_only_so_many_answers_are_remembered(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "MAX_ANSWERS", 2)
    for key in ("a.jpg", "b.jpg", "a.jpg", "c.jpg"):
        media(demo, key)
    assert list(demo.site.recorder.answers) == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nowhere", 404),
        ("GET", "page.html", 404),
        ("GET", "%2e%2e/site.py", 404),
        ("POST", "", 405),
        ("GET", "upload", 405),
        ("PUT", "media/site/logo.svg", 404),
        ("HEAD", "", 200),
        ("HEAD", "page.css", 200),
    ],
)
def test_what_else_is_asked(demo: Demo, method: str, path: str, status: int) -> None:
    answer = fetch(demo.url + path, method)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status == 405:
        assert answer.headers["allow"] == ("POST" if path == "upload" else "GET, HEAD")


# -- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_shown_at_once_and_stays_here(demo: Demo) -> None:
    before = demo.s3.objects(BUCKET)
    content = (ASSETS / "hall.jpg").read_bytes()
    answer = upload(demo, "the hall.jpg", content, alt="Our hall")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    shown = [attributes for tag, attributes in Page(demo).tags if tag == "img" and attributes.get("alt") == "Our hall"]
    assert [attributes["src"] for attributes in shown] == ["/media/uploads/the%20hall.jpg"]
    fetched = media(demo, "uploads/the hall.jpg")
    assert (fetched.status, fetched.headers["x-media-backend"], fetched.body) == (200, "local", content)
    assert demo.s3.objects(BUCKET) == before
    assert demo.s3.writes == []


@pytest.mark.parametrize(
    ("filename", "stored"),
    [
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        (".htaccess", "htaccess"),
        (".mediamw-1.jpg", "mediamw-1.jpg"),
        ("...", "file"),
        ("Küche 居間 \U0001f307.jpg", "Küche 居間 \U0001f307.jpg"),
        ("e\u0301te\u0301.jpg", "e\u0301te\u0301.jpg"),
        ("100% #1?.jpg", "100% #1?.jpg"),
        ("a\x00b\x1f\u202egnp.jpg", "abgnp.jpg"),
        ("archive.tar.gz", "archive.tar.gz"),
        ("居" * 300 + ".jpeg", "居" * 65 + ".jpeg"),
        ("a." + "b" * 300, "a." + "b" * 20),
    ],
)
def test_names_are_made_safe(demo: Demo, filename: str, stored: str) -> None:
    assert upload(demo, filename, b"x").status == 303
    assert uploaded(demo) == [stored]
    assert media(demo, f"uploads/{stored}").body == b"x"
    assert [path.name for path in demo.folder.iterdir() if path.name not in (".mediamw", "homes", "site")] == [
        "uploads"
    ]


def test_folders_of_windows_go_too() -> None:  # not by HTTP: werkzeug takes a backslash for an escape
    assert uploads.safe_name("C:\\photos\\..\\a.jpg") == ("a", ".jpg")


def test_a_name_that_is_taken_gets_a_number(demo: Demo) -> None:
    for content in (b"1", b"2", b"3"):
        assert upload(demo, "a.b.jpg", content).status == 303
    assert [media(demo, f"uploads/a.b{suffix}.jpg").body for suffix in ("", "-2", "-3")] == [b"1", b"2", b"3"]


def test_a_name_that_production_has_is_taken_too(demo: Demo) -> None:
    demo.s3.put(BUCKET, "uploads/a.jpg", b"theirs")
    assert upload(demo, "a.jpg", b"ours").status == 303
    assert uploaded(demo) == ["a-2.jpg"]


def test_two_uploads_of_one_name_at_one_moment_are_two_files(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    (demo.folder / "uploads").mkdir()
    (demo.folder / "uploads/a.jpg").write_bytes(b"theirs")
    asked: list[str] = []

    def not_yet(key: str) -> bool:
        asked.append(key)
        return False

    monkeypatch.setattr(demo.stack, "exists", not_yet)  # as if theirs came right after
    assert upload(demo, "a.jpg", b"ours").status == 303
    assert [media(demo, f"uploads/{name}").body for name in uploaded(demo)] == [b"ours", b"theirs"]
    assert asked == ["uploads/a.jpg", "uploads/a-2.jpg"]


def test_the_names_run_out_with_a_word(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_SUFFIX", 2)
    assert [upload(demo, "a.jpg", b"x").status for _ in range(3)] == [303, 303, 409]
    assert uploaded(demo) == ["a-2.jpg", "a.jpg"]


@pytest.mark.parametrize(
    ("size", "status"), [(0, 303), (1024 * 1024, 303), (1024 * 1024 + 1, 413), (3 * 1024 * 1024, 413)]
)
def test_the_size_is_bounded(demo: Demo, monkeypatch: pytest.MonkeyPatch, size: int, status: int) -> None:
    for module in (uploads, site):
        monkeypatch.setattr(module, "MAX_UPLOAD_BYTES", 1024 * 1024)
    answer = upload(demo, "a.bin", b"x" * size)
    assert answer.status == status
    assert uploaded(demo) == (["a.bin"] if status == 303 else [])
    if status == 413:
        assert b"larger than 1 MiB" in answer.body
        assert b'role="alert"' in answer.body


def test_a_form_that_is_too_long_is_not_even_read(demo: Demo) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", urlsplit(demo.url).port, timeout=10)) as connection:
        connection.putrequest("POST", "/upload")
        connection.putheader("Content-Type", "multipart/form-data; boundary=B")
        connection.putheader("Content-Length", str(uploads.MAX_UPLOAD_BYTES * 2))
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_an_upload_without_a_length_is_refused(demo: Demo) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(demo.url).port, timeout=10)
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Transfer-Encoding": "chunked"}
    with contextlib.closing(connection):
        connection.request("POST", "/upload", iter([b"--B--\r\n"]), headers, encode_chunked=True)
        assert connection.getresponse().status == 411


@pytest.mark.parametrize(
    ("filename", "headers", "status", "text"),
    [
        ("", {}, 400, b"choose a file"),
        ("a.jpg", {"Content-Type": "text/plain"}, 400, b"choose a file"),
        ("a.jpg", {"Sec-Fetch-Site": "cross-site"}, 403, b"another site"),
        ("a.jpg", {"Sec-Fetch-Site": "same-site"}, 403, b"another site"),
    ],
)
def test_what_is_no_upload_is_refused(
    demo: Demo, filename: str, headers: dict[str, str], status: int, text: bytes
) -> None:
    answer = upload(demo, filename, b"x", headers=headers)
    assert answer.status == status
    assert text in answer.body
    assert uploaded(demo) == []


def test_a_folder_that_takes_nothing_is_said(demo: Demo) -> None:
    (demo.folder / "uploads").write_bytes(b"a file where the folder should be")
    answer = upload(demo, "a.jpg", b"x")
    assert answer.status in (409, 503)
    assert b'role="alert"' in answer.body


def test_an_upload_works_while_production_is_gone_or_says_why_not(demo: Demo) -> None:
    demo.s3._server.stop()
    answer = upload(demo, "a.jpg", b"x")
    assert answer.status == 503
    assert b"could not be reached" in answer.body
    assert fetch(demo.url).status == 200


HOSTILE = "\"'><script>alert(1)</script>&lt;img src=x onerror=alert(2)>"


def test_hostile_names_and_texts_are_only_text(demo: Demo) -> None:
    plain = Page(demo)
    name = HOSTILE.replace("/", "") + ".png"
    assert upload(demo, name.replace('"', ""), b"x", alt=HOSTILE).status == 303
    page = Page(demo)
    # One figure of five tags more, and "Nothing yet" less.
    assert len(page.tags) == len(plain.tags) + 5 - 1
    (image,) = [attributes for tag, attributes in page.tags if tag == "img" and attributes.get("alt") == HOSTILE]
    assert image["src"] == "/media/uploads/" + quote(name.replace('"', ""))
    assert [attributes.get("data-key") for _, attributes in page.tags].count("uploads/" + name.replace('"', "")) == 1


def test_a_hostile_dump_is_only_text(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = len(Page(demo).tags)
    database = demo.site._database
    rows, homes = database.media(), database.homes()
    monkeypatch.setattr(database, "media", lambda: [row._replace(alt=HOSTILE) for row in rows])
    monkeypatch.setattr(database, "homes", lambda: [home._replace(title=HOSTILE, town="{url}") for home in homes])
    page = Page(demo)
    assert len(page.tags) == plain
    assert page.text.count(">{url}<") == len(homes)


def test_an_uploaded_page_cannot_run_scripts(demo: Demo) -> None:
    assert upload(demo, "a.html", b"<script>alert(1)</script>").status == 303
    answer = media(demo, "uploads/a.html")
    assert answer.status == 200
    assert "sandbox" in answer.headers["content-security-policy"]


def kinds() -> list[MediaFile]:
    return list({file.kind: file for file in ROWS}.values())


@pytest.mark.parametrize("file", [file for file in kinds() if file.asset], ids=lambda file: file.kind)
def test_an_upload_is_shown_as_what_it_is(demo: Demo, file: MediaFile) -> None:
    name = f"new{file.suffix}"
    assert upload(demo, name, b"x").status == 303
    tags = [tag for tag, attributes in Page(demo).tags if f"/media/uploads/{name}" in attributes.values()]
    assert tags == [{"image": "img", "pdf": "a", "text": "a"}.get(file.kind, file.kind)]
