"""``mediamw demo --check``: what a browser would see, seen without one, and compared with the files themselves."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin

from .catalogue import ASSETS, MediaFile, all_media
from .fetching import Answer, fetch
from .page import PREFIX, media_url
from .production import BUCKET
from .running import Demo
from .uploads import FOLDER

Say = Callable[[str], None]


class Wrong(Exception):
    """What was seen is not what must be."""


def check(demo: Demo, say: Say, *, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Ask for everything, ``say`` what was seen line by line, and return whether all of it is right.

    ``stopped`` is asked between the steps; a check that was stopped is not all right.
    """
    before = demo.s3.objects(BUCKET)
    done, failed = 0, 0
    for name, step in _steps(demo):
        if stopped():
            say("check: stopped")
            return False
        try:
            say(step())
            done += 1
        except (Wrong, OSError, http.client.HTTPException) as error:
            say(f"FAIL  {name}: {error or type(error).__name__}")
            failed += 1
    for name, wrong in (
        ("the bucket is not what it was", demo.s3.objects(BUCKET) != before),
        ("production was written to", bool(demo.s3.writes)),
    ):
        if wrong:
            say(f"FAIL  {name}")
            failed += 1
    say(f"writes that reached production: {len(demo.s3.writes)}")
    say(f"check: {f'{failed} FAILED, ' if failed else ''}{done} as it should be")
    return not failed


Steps = Iterator[tuple[str, Callable[[], str]]]


def _steps(demo: Demo) -> Steps:
    yield "page", partial(_page, demo)
    for _, file in all_media():
        yield file.key, partial(_file, demo, file)
        if file.kind == "video":
            yield file.key, partial(_part, demo, file)
    yield "upload", partial(_upload, demo)


def _page(demo: Demo) -> str:
    answer = fetch(demo.url)
    _must("the status", answer.status, 200)
    shown = {key for key in _keys(answer) if not key.startswith(FOLDER)}
    dumped = {file.key for _, file in all_media()}
    _must("what the page shows and the dump does not name", sorted(shown - dumped), [])
    _must("what the dump names and the page does not show", sorted(dumped - shown), [])
    return _line(200, "page", len(answer.body), f"{demo.url}: {len(shown)} files")


def _file(demo: Demo, file: MediaFile) -> str:
    """Fetch a file as the page's reader would."""
    answer = fetch(_url(demo, file.key))
    backend = answer.headers.get("x-media-backend", "")
    if file.asset is None:
        _must("the status of a file that nobody has", answer.status, 404)
        _must("its backend", backend, "none")
        return _line(404, "missing", len(answer.body), f"{file.key}  (a placeholder)")
    _must("the backend", backend, "local" if file.local else "production")
    head = fetch(_url(demo, file.key), "HEAD")
    _must("the status of HEAD", head.status, answer.status)
    if file.local:
        _must("the status", answer.status, 200)
        _same(answer, head, file)
        return _line(200, backend, len(answer.body), file.key)
    return _redirected(answer, head, file)


def _redirected(answer: Answer, head: Answer, file: MediaFile) -> str:
    """Follow a redirect to production; and once more with a changed URL, by which production must not be fooled."""
    location = _location(answer)
    end = fetch(location)
    _must("the status behind the redirect", end.status, 200)
    head = fetch(_location(head), "HEAD")
    _must("the status of HEAD behind the redirect", head.status, 200)
    _same(end, head, file)
    tampered = fetch(location[:-1] + ("1" if location[-1] == "0" else "0"))
    _must("the status of a tampered URL", tampered.status, 403)
    return _line(302, "production", len(end.body), f"{file.key}  (HEAD 200; a character of the URL changed: 403)")


def _same(answer: Answer, head: Answer, file: MediaFile) -> None:
    content = (ASSETS / (file.asset or "")).read_bytes()
    if answer.body != content:
        raise Wrong(f"the {len(answer.body)} bytes are not those of {file.asset}, which has {len(content)}")
    _must("the length that HEAD gives", head.headers.get("content-length"), str(len(content)))
    _must("the content type", answer.headers.get("content-type"), file.content_type)


def _part(demo: Demo, file: MediaFile) -> str:
    """Ask for the middle of a video, as a browser that seeks does."""
    content = (ASSETS / (file.asset or "")).read_bytes()
    start, stop = len(content) // 2, len(content) // 2 + 1000
    wanted = {"Range": f"bytes={start}-{stop - 1}"}
    answer = fetch(_url(demo, file.key), headers=wanted)
    answer = fetch(_location(answer), headers=wanted)
    _must("the status of a range", answer.status, 206)
    _must("its place", answer.headers.get("content-range"), f"bytes {start}-{stop - 1}/{len(content)}")
    if answer.body != content[start:stop]:
        raise Wrong("the range holds other bytes")
    return _line(206, "production", len(answer.body), f"{file.key}  (from byte {start})")


def _upload(demo: Demo) -> str:
    """Upload a file through the form and fetch it again."""
    content = (ASSETS / "energy-badge.png").read_bytes()
    before = set(_keys(fetch(demo.url)))
    boundary = "mediamw-demo-check"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="check.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    body = b"".join((head.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
    form = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    posted = fetch(urljoin(demo.url, "/upload"), "POST", form, body)
    _must("the status of the upload", posted.status, 303)
    made = sorted(set(_keys(fetch(demo.url))) - before)
    _must("the number of new files on the page", len(made), 1)
    answer = fetch(_url(demo, made[0]))
    _must("the status", answer.status, 200)
    _must("the backend", answer.headers.get("x-media-backend"), "local")
    if answer.body != content or (demo.folder / made[0]).read_bytes() != content:
        raise Wrong("what came back is not what was sent")
    if made[0] in demo.s3.objects(BUCKET):
        raise Wrong("it is in production")
    return _line(200, "local", len(answer.body), f"{made[0]}  (uploaded, and not in production)")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value for name, value in attrs if name in ("src", "href") and value]


def _keys(page: Answer) -> list[str]:
    """Return the keys of the media that the page shows or links to."""
    parser = _Links()
    parser.feed(page.body.decode())
    return [unquote(url.removeprefix(PREFIX)) for url in parser.urls if url.startswith(PREFIX)]


def _url(demo: Demo, key: str) -> str:
    return urljoin(demo.url, media_url(key))


def _location(answer: Answer) -> str:
    _must("the status", answer.status, 302)
    return answer.headers["location"]


def _must(what: str, seen: object, wanted: object) -> None:
    if seen != wanted:
        raise Wrong(f"{what} is {seen!r}, not {wanted!r}")


def _line(status: int, who: str, size: int, text: str) -> str:
    return f"{status}  {who:<10} {size:>9,} bytes  {text}"
