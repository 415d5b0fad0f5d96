"""``explain``: why a key is answered as it is, in words and as data, and in the log at debug level."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediamw import LocalBackend, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import Remote
from mediamw.backends.rules import Rules
from mediamw.core.keys import Key
from mediamw.core.model import Hidden, Meta
from mediamw.core.model import Redirect as Found
from mediamw.service import MediaService
from mediamw.stack.trace import Explanation, Trace, redacted
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Clock, Local, ask, dead, down, fifo, settle, stack_on
from .http_table.callers import acall_asgi, call_wsgi

A = "homes/1/a.jpg"
SECRET = "GET"  # the fake's signature: the whole query


class Site(Bucket):
    via = "mediamw-0123456789ab"


def without_times(explanation: Explanation) -> dict[str, Any]:
    data = explanation.as_dict()
    for look in data["backends"]:
        assert isinstance(look["seconds"], float)
        assert look.pop("seconds") >= 0
    assert json.loads(json.dumps(data)) == data
    return data


def look(name: str, answer: str, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("source", "reason", "size", "content_type", "etag"))
    return {"name": name, "answer": answer, **empty, **more}


REMOTE = {"size": 1, "content_type": "image/jpeg", "etag": '"1-78"'}
PROXY = Rules(delivery="proxy")

# backends, said, by whom, reason (a part of it), location, status over HTTP, what each said
CASES: dict[str, tuple[Callable[[], list[Any]], str, str | None, str | None, str | None, int | None, list[Any]]] = {
    "held": (
        lambda: [Local("up", {A: b"data"}), Bucket("s3", {A: b"x"})],
        "held", "up", None, None, 200, [look("up", "found", size=4)],
    ),
    "held by a lower": (
        lambda: [Local("up"), Local("low", {A: b"data"})],
        "held", "low", None, None, 200, [look("up", "missing"), look("low", "found", size=4)],
    ),
    "redirect": (
        lambda: [Local("up"), Bucket("s3", {A: b"x"})],
        "redirect", "s3", None, f"https://s3.example/{A}?...", 302,
        [look("up", "missing"), look("s3", "found", **REMOTE)],
    ),
    "proxied": (
        lambda: [Local("up"), Bucket("s3", {A: b"x"}, rules=PROXY)],
        "held", "s3", None, None, 200, [look("up", "missing"), look("s3", "found", **REMOTE)],
    ),
    "missing": (
        lambda: [Local("up"), Bucket("s3")],
        "missing", None, None, None, 404, [look("up", "missing"), look("s3", "missing")],
    ),
    "unavailable": (
        lambda: [Local("up"), Bucket("s3", {A: down("s3")})],
        "unavailable", "s3", "it is down", None, 503,
        [look("up", "missing"), look("s3", "unavailable", reason="it is down")],
    ),
    "unavailable first": (
        lambda: [Local("up", {A: down("up")}), Bucket("s3", {A: b"x"})],
        "unavailable", "up", "it is down", None, 503, [look("up", "unavailable", reason="it is down")],
    ),
    "instead of": (
        lambda: [Local("up"), Bucket("staging", {A: dead("staging")}), Bucket("s3", {A: b"x"})],
        "redirect", "s3", None, f"https://s3.example/{A}?...", 302,
        [look("up", "missing"), look("staging", "unavailable", reason="it does not answer"),
         look("s3", "found", **REMOTE)],
    ),
    "not servable": (
        lambda: [Local("up"), Local("low", {A: fifo("low")}), Bucket("s3", {A: b"x"})],
        "not servable", "low", "it is a FIFO", None, 404,
        [look("up", "missing"), look("low", "refused", reason="it is a FIFO")],
    ),
    "excluded": (
        lambda: [Local("up"), Bucket("s3", {A: b"x"}, rules=Rules(exclude=["homes/"]))],
        "missing", None, None, None, 404,
        [look("up", "missing"), look("s3", "not asked", reason="its rules exclude the key")],
    ),
    "unchecked": (
        lambda: [Local("up"), Bucket("s3", rules=Rules(check=False))],
        "redirect", "s3", None, f"https://s3.example/{A}?...", 302,
        [look("up", "missing"), look("s3", "found", source="unchecked")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_was_seen(case: str) -> None:
    make, said, backend, reason, location, status, looks = CASES[case]
    for http in (False, True):
        backends = make()
        stack = MediaStack(backends)
        explanation = MediaService(stack, on_miss="404").explain(A) if http else stack.explain(A)
        expected = {
            "key": A, "said": said, "backend": backend, "reason": reason, "location": location,
            "status": status if http else None, "backends": looks,
        }  # fmt: skip
        assert without_times(explanation) == expected
        text = str(explanation)
        first, *middle, last = text.split("\n")
        assert first == repr(A)
        assert len(middle) == len(looks)
        for line, seen in zip(middle, looks, strict=True):
            assert line.split()[0] == seen["name"]
            assert f" {seen['answer']} " in f"{line} "
            assert (" ms" in line) == (seen["answer"] != "not asked")
            for field in ("reason", "source", "content_type", "etag"):
                assert (seen[field] or "") in line
        assert last.startswith(f"  -> {said}")
        assert (f"by backend {backend!r}" in last) == (backend is not None)
        assert (f": {status}" in last) == http
        assert (location or "") in last
        assert text.count(reason or text) == 1, "a reason is told once"
        assert SECRET not in text + json.dumps(explanation.as_dict())
        for opened in backends:
            assert all(handle.closed for handle in getattr(opened, "handles", ())), "nothing is left open"
            assert getattr(opened, "open_ranges", 0) == 0
            assert getattr(opened, "ranges", []) == [], "and nothing is read"
        stack.close()


@pytest.mark.parametrize("name", ["", "/a", "a/", "../a", "a\0b", ".mediamw/x"])
def test_a_refused_name(name: str) -> None:
    local = Local("up")
    stack = MediaStack([local])
    for explanation, status in ((stack.explain(name), None), (MediaService(stack).explain(name), 404)):
        assert (explanation.key, explanation.said, explanation.looks) == (name, "refused", ())
        assert explanation.status == status
        assert explanation.reason
        assert explanation.reason in str(explanation)
    assert local.asked == []


def test_a_dot_name_is_refused_over_http_alone() -> None:
    stack = MediaStack([Local("up", {".env": b"x"})])
    assert stack.explain(".env").said == "held"
    assert MediaService(stack).explain(".env").said == "refused"


@pytest.mark.parametrize(("on_miss", "status"), [("app", None), ("404", 404), ("placeholder", 404)])
def test_who_answers_for_what_is_missing(on_miss: Any, status: int | None) -> None:
    explanation = MediaService(MediaStack([Local("up")]), on_miss=on_miss).explain("a.jpg")
    assert (explanation.said, explanation.status) == ("missing", status)
    assert str(explanation).endswith(
        "-> missing (the wrapped app answers)" if status is None else f"-> missing: {status}"
    )


def test_authorize_is_not_asked() -> None:
    """Nobody is there to be judged; it says what a client sees who is let in."""

    def authorize(request: Any, key: str) -> Any:
        raise AssertionError("it was asked")

    explanation = MediaService(MediaStack([Local("up", {A: b"x"})]), authorize=authorize).explain(A)
    assert (explanation.said, explanation.status) == ("held", 200)


def test_where_an_answer_comes_from() -> None:
    clock = Clock()
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("up"), s3)
    assert stack.explain(A).looks[1].source == ""
    settle(stack)
    remembered = stack.explain(A)
    assert remembered.looks[1].source == "remembered"
    assert "  remembered  1 bytes, image/jpeg" in str(remembered)
    clock.now += 300
    for number in range(3):
        s3.files[str(number)] = dead("s3")
        ask(stack, str(number))
    stale = stack.explain(A)
    assert (stale.said, stale.looks[1].answer, stale.looks[1].source) == ("redirect", "found", "stale")
    alone = stack.explain("new.jpg")
    assert (alone.said, alone.backend) == ("unavailable", "s3")
    assert "left alone" in alone.reason
    assert "left alone" in alone.looks[1].reason
    assert str(alone).count("left alone") == 1
    stack.close()


def test_a_file_of_unknown_length() -> None:
    class Unknown(Bucket):
        def open(self, key: Key) -> Remote | None:
            return Remote(Meta(None, None, None, "image/png"))

    stack = MediaStack([Local("up"), Unknown("s3", rules=PROXY)])
    explanation = stack.explain(A)
    assert "unknown length, image/png" in str(explanation)
    assert explanation.as_dict()["backends"][1]["size"] is None
    stack.close()


def test_a_real_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x" * 12_345)
    stack = MediaStack([LocalBackend(tmp_path)])
    assert "12,345 bytes" in str(stack.explain("a.jpg"))
    stack.close()


def test_hidden_is_told_apart() -> None:
    trace = Trace()
    trace.found(Hidden("up"))
    assert str(Explanation.of("a", trace)) == "'a'\n  -> hidden by backend 'up'"


def test_nothing_known_is_no_answer() -> None:
    assert Explanation.of("a", Trace()).said == "unavailable"


@pytest.mark.parametrize(
    ("url", "shown"),
    [("https://a.example/x?X-Amz-Signature=s", "https://a.example/x?..."), ("https://a.example/x", "https://a.example/x"),
     ("https://a.example/x?", "https://a.example/x?..."), ("https://a/x?a?b", "https://a/x?...")],
)  # fmt: skip
def test_a_url_without_what_is_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown
    trace = Trace()
    trace.found(Found("s3", url))
    assert shown in str(Explanation.of("a", trace)).split()


# -- the log -----------------------------------------------------------------------------------------------------------


def explained_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]


def timeless(text: str) -> str:
    return "\n".join(
        " ".join("T" if word.replace(".", "").isdigit() and "." in word else word for word in line.split())
        for line in text.split("\n")
    )


@pytest.mark.parametrize("case", CASES)
def test_the_log_at_debug_level_says_the_same(case: str, caplog: pytest.LogCaptureFixture) -> None:
    make, said, *_ = CASES[case]
    text = timeless(str(MediaService(MediaStack(make()), on_miss="404").explain(A)))
    caplog.set_level(logging.DEBUG, "mediamw")
    caplog.clear()
    stack = MediaStack(make())
    status = call_wsgi(WSGIMiddleware(None, stack), "HEAD", f"/media/{A}?secret=1").status
    [line] = explained_lines(caplog)
    assert timeless(line) == f"HEAD {text}"
    caplog.clear()
    stack = MediaStack(make())
    assert asyncio.run(acall_asgi(ASGIMiddleware(None, stack), "HEAD", f"/media/{A}")).status == status
    [line] = explained_lines(caplog)
    assert timeless(line) == f"HEAD {text}"
    assert f"-> {said}" in line
    assert "?GET" not in caplog.text
    assert "?HEAD" not in caplog.text


@pytest.mark.parametrize("verdict", [403, 404])
def test_the_log_of_who_is_turned_away(verdict: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mediamw")
    app = WSGIMiddleware(None, MediaStack([Local("up")]), authorize=lambda request, key: verdict)
    call_wsgi(app, "GET", f"/media/{A}")
    assert explained_lines(caplog) == [f"GET '{A}'\n  -> forbidden: {verdict} (authorize)"]


def test_a_second_look_is_told_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A version that came between look-up and read: what counts is what was seen then."""
    s3 = Bucket("s3", {A: b"old"}, rules=PROXY)
    stack = MediaStack([Local("up"), s3])
    stack.exists(A)
    settle(stack)
    s3.files[A] = b"newer"
    caplog.set_level(logging.DEBUG, "mediamw")
    assert call_wsgi(WSGIMiddleware(None, stack), "GET", f"/media/{A}").body == b"newer"
    [line] = explained_lines(caplog)
    assert line.count("\n") == 3
    assert "5 bytes" in line
    assert "remembered" not in line
    stack.close()


def test_via_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mediamw")
    stack = MediaStack([Local("up"), Site("site", {A: b"x"})])
    assert (
        call_wsgi(WSGIMiddleware(None, stack), "GET", f"/media/{A}", (("Via", "1.1 mediamw-0123456789ab"),)).status
        == 404
    )
    [line] = explained_lines(caplog)
    assert "not asked" in line
    assert "(Via)" in line
    stack.close()


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_without_debug_nobody_takes_anything_down(
    level: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_trace(*args: Any, **options: Any) -> Any:
        raise AssertionError("a trace was made")

    caplog.set_level(level, "mediamw")
    with monkeypatch.context() as patch:
        patch.setattr("mediamw.service.Trace", no_trace)
        stack = MediaStack([Local("up", {A: b"x"}), Bucket("s3", {"b.jpg": b"x"})])
        for name in (A, "b.jpg", "none.jpg", ".env"):
            call_wsgi(WSGIMiddleware(None, stack), "GET", f"/media/{name}")
            asyncio.run(acall_asgi(ASGIMiddleware(None, stack), "GET", f"/media/{name}"))
        stack.close()
    assert caplog.records == []


def test_server_timing_says_what_was_seen() -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = MediaStack([Local("up"), Bucket("no", rules=Rules(exclude=["*"])), s3])
    app = WSGIMiddleware(None, stack, debug=True)
    timings = [call_wsgi(app, "GET", f"/media/{A}").get("server-timing") or "" for _ in range(2) if not settle(stack)]
    assert [part.split(";")[0].strip() for part in timings[0].split(",")] == ["up", "no", "s3"]
    assert timings[0].endswith('desc="found"')
    assert timings[1].endswith('desc="found, remembered"')
    stack.close()
