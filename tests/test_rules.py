"""Rules of a backend: which keys it is asked for, how they are delivered, and what makes no stack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mediamw import BackendUnavailable, ConfigError, LocalBackend, MediaStack, MemoryBackend
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import Remote, SignedURL
from mediamw.backends.rules import EVERY_KEY, Rules
from mediamw.core.keys import Key
from mediamw.core.model import Held, Look, Meta, Missing, Redirect
from mediamw.stack.checks import delivery_of, rules_of
from mediamw.stack.remote_handle import RemoteHandle
from mediamw.stack.steps import run
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Local, ask, down
from .http_table.callers import call_wsgi

A = Key("homes/1/a.jpg")


# -- patterns ----------------------------------------------------------------------------------------------------------

PATTERNS = [
    (["*.svg"], {"a.svg": 1, "x/y/a.svg": 1, "a.svg.jpg": 0, "a.SVG": 0}),
    (["invoices/"], {"invoices/a": 1, "invoices/x/a": 1, "x/invoices/a": 1, "invoices": 0, "my-invoices/a": 0}),
    (["/invoices/"], {"invoices/a": 1, "x/invoices/a": 0}),
    (["/a.jpg"], {"a.jpg": 1, "x/a.jpg": 0}),
    (["homes/*/plan.pdf"], {"homes/1/plan.pdf": 1, "homes/1/2/plan.pdf": 0, "plan.pdf": 0}),
    (["homes/**/plan.pdf"], {"homes/plan.pdf": 1, "homes/1/2/plan.pdf": 1}),
    (["*.pdf", "!public.pdf"], {"a.pdf": 1, "public.pdf": 0, "x/public.pdf": 0}),
    (["*"], {"a": 1, "x/y": 1}),
    (["ü*.jpg"], {"über.jpg": 1, "uber.jpg": 0}),
    (["a b.jpg"], {"a b.jpg": 1, "a": 0}),
    (["[ab].jpg"], {"a.jpg": 1, "c.jpg": 0}),
    (["\\#1.jpg"], {"#1.jpg": 1}),
]


@pytest.mark.parametrize(("patterns", "keys"), PATTERNS, ids=[" ".join(patterns) for patterns, _ in PATTERNS])
def test_patterns_are_gitignores(patterns: list[str], keys: dict[str, int]) -> None:
    for key, matches in keys.items():
        assert Rules(exclude=patterns).lets(Key(key)) is not bool(matches), key
        assert Rules(only=patterns).lets(Key(key)) is bool(matches), key
        assert Rules(only=iter(patterns)).lets(Key(key)) is bool(matches), key


def test_exclude_is_stronger_than_only() -> None:
    rules = Rules(only=["homes/"], exclude=["*.pdf"])
    assert [rules.lets(Key(key)) for key in ("homes/a.jpg", "homes/a.pdf", "a.jpg", "a.pdf")] == [True, *[False] * 3]


@pytest.mark.parametrize(
    ("options", "has"), [({}, False), ({"exclude": []}, False), ({"only": ()}, False), ({"only": ["a"]}, True),
                         ({"exclude": ["a"]}, True), ({"delivery_by": {"*": "proxy"}}, False)]
)  # fmt: skip
def test_an_empty_list_is_no_rule(options: Any, has: bool) -> None:
    assert Rules(**options).has_patterns is has
    assert EVERY_KEY.lets(A)
    if not has:
        assert Rules(**options).lets(A)


def test_the_first_pattern_that_matches_says_how_it_is_delivered() -> None:
    rules = Rules(delivery_by={"/a.svg": "redirect", "*.svg": "proxy", "*": "redirect"})
    said = {key: rules.delivery_of(Key(key), "proxy") for key in ("a.svg", "x/a.svg", "b.jpg")}
    assert said == {"a.svg": "redirect", "x/a.svg": "proxy", "b.jpg": "redirect"}
    turned = Rules(delivery_by={"*": "redirect", "*.svg": "proxy"})
    assert turned.delivery_of(Key("a.svg"), "proxy") == "redirect"
    for default in ("proxy", "redirect", None):
        assert Rules(delivery_by={"*.svg": "proxy"}).delivery_of(Key("a.jpg"), default) == default
    assert rules.deliveries == {"proxy", "redirect"}


@pytest.mark.parametrize(
    ("options", "delivery"),
    [({}, None), ({"default": "proxy"}, "proxy"), ({"default": "proxy", "delivery": "redirect"}, "redirect"),
     ({"default": "proxy", "delivery": None}, "proxy"), ({"delivery": "proxy"}, "proxy")],
)  # fmt: skip
def test_the_default_delivery(options: Any, delivery: str | None) -> None:
    assert Rules(**options).delivery == delivery


BAD = [
    ("exclude", "*.svg"), ("exclude", b"*.svg"), ("exclude", None), ("exclude", 7), ("exclude", [b"x"]),
    ("exclude", [""]), ("exclude", ["  "]), ("exclude", ["a", "# a comment"]), ("exclude", [" # too"]),
    ("exclude", [None]), ("exclude", ["!"]), ("exclude", ["a", "!"]),
    *(("exclude", [pattern]) for pattern in ("./invoices/", "../a", "a/./b", "a//b", "/", "a/..", "a\nb", "!x")),
    ("only", ["!a", "!b"]), ("delivery_by", {"!*.svg": "proxy"}),
    ("only", "*.svg"), ("only", None), ("only", [""]), ("only", [1]), ("only", {1}),
    ("delivery", "proxied"), ("delivery", 1), ("delivery", True), ("delivery", ["proxy"]), ("delivery", "Redirect"),
    ("delivery_by", ["*.svg"]), ("delivery_by", "*.svg"), ("delivery_by", {"*.svg": "x"}),
    ("delivery_by", {"*.svg": None}), ("delivery_by", {"*.svg": ""}), ("delivery_by", {"": "proxy"}),
    ("delivery_by", {1: "proxy"}), ("delivery_by", {"*.svg": "proxy", "#x": "redirect"}),
    ("delivery_by", {"*.svg": ["proxy"]}),
    ("check", 0), ("check", None), ("check", "false"),
    ("exlude", ["invoices/"]), ("onyl", []),
]  # fmt: skip


@pytest.mark.parametrize(("option", "value"), BAD, ids=[f"{option}={value!r}" for option, value in BAD])
def test_a_mistake_names_its_option(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=re.escape(option)) as caught:
        Rules("production", **{option: value})
    assert caught.value.backend == "production"
    assert option in caught.value.reason


# -- who is asked ------------------------------------------------------------------------------------------------------


def overlay(**rules: Any) -> tuple[MediaStack, Bucket]:
    files = {"a.svg": b"one", "a.jpg": b"one", "x/b.svg": b"one"}
    one = Bucket("one", {**files}, rules=Rules(**rules))
    two = Bucket("two", dict.fromkeys(files, b"second"))
    return MediaStack([Local("local"), one, two]), one


@pytest.mark.parametrize("rules", [{"exclude": ["*.svg"]}, {"only": ["*.jpg"]}], ids=["exclude", "only"])
def test_an_excluded_key_is_not_asked_for_by_anybody(rules: Any) -> None:
    stack, one = overlay(**rules)
    for key in ("a.svg", "x/b.svg"):
        found = stack.find(key)
        assert isinstance(found, Redirect)
        assert found.backend == "two"
        assert stack.stat(key).size == 6
        assert stack.exists(key)
        with stack.open(key) as file:
            assert file.read() == b"second"
        assert stack.url(key).startswith("https://two.")
        assert stack.explain(key).backend == "two"
    assert one.asked == []
    assert stack.find("a.jpg").backend == "one"
    assert {entry.key: entry.backend for entry in stack.list(recursive=True)} == {
        "a.svg": "two", "a.jpg": "one", "x/b.svg": "two"
    }  # fmt: skip
    looks: list[Look] = []
    run(stack.finding(Key("a.svg"), "GET", looks=looks))
    assert looks[1] == Look("one", "not asked", reason="its rules exclude the key")
    stack.close()


def test_what_nobody_may_be_asked_for_is_missing() -> None:
    one = Bucket("one", {"a.svg": b"one", "b/": down("one")}, rules=Rules(exclude=["*.svg"]))
    stack = MediaStack([Local("local"), one])
    assert stack.find("a.svg") == Missing()
    assert not stack.exists("a.svg")
    for call in (stack.open, stack.stat):
        with pytest.raises(FileNotFoundError):
            call("a.svg")
    assert one.asked == []
    stack.close()


def test_an_outage_of_a_backend_that_is_not_asked_is_none() -> None:
    stack = MediaStack([Local("local"), Bucket("one", {A: down("one")}, rules=Rules(exclude=["homes/"]))])
    assert stack.find(A) == Missing()
    stack.close()


def test_local_lowers_have_rules_too() -> None:
    lower = MemoryBackend({"a.svg": b"x", "a.jpg": b"x"}, name="lower")
    lower.rules = Rules(only=["*.jpg"])  # type: ignore[attr-defined]
    stack = MediaStack([Local("local"), lower])
    assert (stack.exists("a.svg"), stack.exists("a.jpg")) == (False, True)
    assert [entry.key for entry in stack.list()] == ["a.jpg"]


@pytest.mark.parametrize(
    ("rules", "top", "below"),
    [
        ({"exclude": ["invoices/"]}, ["b", "c/"], []),
        ({"exclude": ["invoices/*"]}, ["b", "c/", "invoices/"], []),
        ({"exclude": ["*.pdf"]}, ["b", "c/", "invoices/"], ["invoices/smith/"]),
        ({"exclude": ["invoices/", "!invoices/smith/a.pdf"]}, ["b", "c/", "invoices/"], ["invoices/smith/"]),
        ({"only": ["c/"]}, ["c/", "invoices/"], ["invoices/smith/"]),
    ],
)
def test_folders_that_are_excluded_are_not_listed(rules: Any, top: list[str], below: list[str]) -> None:
    """A name of a folder may be a customer's."""
    lower = MemoryBackend({"invoices/smith/a.pdf": b"x", "b": b"x", "c/d": b"x"}, name="lower")
    lower.rules = Rules(**rules)  # type: ignore[attr-defined]
    upper = MemoryBackend({})
    stack = MediaStack([upper, lower])
    assert [entry.key for entry in stack.list()] == top
    assert [entry.key for entry in stack.list("invoices/")] == below
    upper.put(Key("invoices/own"), b"x")  # of the upper all is shown
    assert "invoices/" in [entry.key for entry in stack.list()]


# -- delivery ----------------------------------------------------------------------------------------------------------


def test_delivery_by_pattern() -> None:
    one = Bucket("one", {"a.svg": b"x", "a.jpg": b"x"}, rules=Rules(delivery_by={"*.svg": "proxy"}))
    stack = MediaStack([Local("local"), one])
    assert isinstance(stack.find("a.jpg"), Redirect)
    held = stack.find("a.svg")
    assert isinstance(held, Held)
    assert isinstance(held.handle, RemoteHandle)
    held.handle.close()
    one.rules = Rules()  # read when the stack was made
    assert isinstance(stack.find("a.svg"), Held)
    stack.close()


class Reads:
    """Reads ranges and signs nothing."""

    name = "reads"
    rules = EVERY_KEY

    def open(self, key: Key) -> Remote:
        return Remote(Meta(1, None, '"a"'))

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        yield b"x"[start:stop]


class Signs:
    """Signs and cannot be read."""

    name = "signs"

    def __init__(self, rules: Any = EVERY_KEY) -> None:
        self.rules = rules
        self.asked: list[str] = []

    def open(self, key: Key) -> Remote | None:
        self.asked.append(key)
        return Remote(Meta(1)) if key == A else None

    def can_sign(self, now: float) -> bool:
        return True

    def prepare(self) -> None: ...

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        return SignedURL(f"https://signs.example/{key}", None)


def test_the_delivery_that_a_backend_has_by_what_it_can_do() -> None:
    proxied = Bucket("x", rules=Rules(delivery="proxy", delivery_by={"*.a": "redirect"}))
    assert delivery_of(Reads()) == ("proxy", {"proxy"})
    assert delivery_of(Signs()) == ("redirect", {"redirect"})
    assert delivery_of(Bucket("x")) == ("redirect", {"redirect"})
    assert delivery_of(proxied) == ("proxy", {"proxy", "redirect"})
    assert delivery_of(Local("x")) == (None, frozenset())
    assert isinstance(MediaStack([Reads()]).find(A), Held)
    assert isinstance(MediaStack([Signs()]).find(A), Redirect)
    stacks = [MediaStack([Local("l"), lower]) for lower in (Reads(), Signs(), proxied, Local("m"))]
    assert [stack.redirects for stack in stacks] == [False, True, True, False]


def test_what_are_no_rules_are_none() -> None:
    assert rules_of(Signs({"exclude": ["*"]})) is EVERY_KEY
    assert rules_of(Signs(None)) is EVERY_KEY
    assert rules_of(MemoryBackend()) is EVERY_KEY


# -- check=False -------------------------------------------------------------------------------------------------------


def test_a_backend_that_is_not_checked_is_asked_by_code_alone() -> None:
    last = Signs(Rules(check=False))
    stack = MediaStack([Local("local", {"up.jpg": b"x"}), last])
    nobody = Key("nobody.jpg")
    for key in (A, nobody):
        assert stack.find(key) == Redirect("signs", f"https://signs.example/{key}", None)
        assert stack.url(key) == f"https://signs.example/{key}"
        [look] = stack.explain(key).looks[1:]
        assert (look.answer, look.source) == ("found", "unchecked")
        for app in (WSGIMiddleware(None, stack), ASGIMiddleware(None, stack)):
            assert app.service is not None
            assert app.service.explain(key).status == 302
        assert call_wsgi(WSGIMiddleware(None, stack), "GET", f"/media/{key}").status == 302
    assert last.asked == []
    held = stack.find("up.jpg")
    assert isinstance(held, Held)
    held.handle.close()
    assert stack.exists(A)
    assert stack.stat(A).size == 1
    assert not stack.exists(nobody)
    with pytest.raises(BackendUnavailable, match="cannot be read from here"):
        stack.open(A)
    with pytest.raises(FileNotFoundError):
        stack.open(nobody)
    assert last.asked == [A, nobody]  # and remembered
    assert isinstance(stack.find(nobody), Redirect), "what code was told does not change what browsers are"
    stack.close()


def test_unchecked_after_one_that_cannot_tell() -> None:
    middle = Bucket("middle", {A: down("middle")})
    stack = MediaStack([Local("local"), middle, Bucket("last", {}, rules=Rules(check=False))])
    found = ask(stack, A)
    assert isinstance(found, Redirect)
    assert found.backend == "last"
    stack.close()


def test_excluded_and_unchecked() -> None:
    stack = MediaStack([Local("local"), Signs(Rules(check=False, exclude=["homes/"]))])
    assert stack.find(A) == Missing()


# -- what makes no stack -----------------------------------------------------------------------------------------------


def put_bucket(**rules: Any) -> MemoryBackend:
    made = MemoryBackend(name="upper")
    made.rules = Rules(**rules)  # type: ignore[attr-defined]
    return made


REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "upper excludes": ([put_bucket(exclude=["a"])], "upper", "exclude, only"),
    "upper only": ([put_bucket(only=["a"]), Signs()], "upper", "exclude, only"),
    "delivery at hand": ([Local("l"), put_bucket(delivery="proxy")], "upper", "delivery"),
    "delivery_by at hand": ([Local("l"), put_bucket(delivery_by={"*": "proxy"})], "upper", "delivery"),
    "check at hand": ([Local("l"), put_bucket(check=False)], "upper", "check"),
    "no URLs": ([Local("l"), type("R", (Reads,), {"rules": Rules(delivery="redirect")})()], "reads", "'redirect'"),
    "no URLs by pattern": (
        [Local("l"), type("R", (Reads,), {"rules": Rules(delivery_by={"*.a": "redirect"})})()], "reads", "'redirect'"),
    "no reading": ([Local("l"), Signs(Rules(delivery="proxy"))], "signs", "'proxy'"),
    "no reading by pattern": ([Local("l"), Signs(Rules(delivery_by={"*.svg": "proxy"}))], "signs", "'proxy'"),
    "unchecked first of two": ([Signs(Rules(check=False)), Bucket("b")], "signs", "check=False"),
    "unchecked in the middle": ([Local("l"), Signs(Rules(check=False)), Bucket("b")], "signs", "check=False"),
    "unchecked proxy": ([Local("l"), Bucket("b", rules=Rules(check=False, delivery="proxy"))], "b", "check=False"),
    "unchecked proxy by pattern": (
        [Local("l"), Bucket("b", rules=Rules(check=False, delivery_by={"*.svg": "proxy"}))], "b", "check=False"),
    "unchecked and unsigned": ([Local("l"), type("R", (Reads,), {"rules": Rules(check=False)})()], "reads",
                               "check=False"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_stack(case: str) -> None:
    backends, name, said = REFUSED[case]
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        MediaStack(backends)
    assert caught.value.backend == name


def test_what_does_make_a_stack() -> None:
    MediaStack([Bucket("b", rules=Rules(exclude=["a"]))])  # a first that takes no uploads
    MediaStack([Signs(Rules(check=False))])
    MediaStack([Local("l"), Bucket("b", rules=Rules(check=False, delivery="redirect", delivery_by={"*": "redirect"}))])
    MediaStack([Local("l"), put_bucket(exclude=["a"])])
    MediaStack([LocalBackend("/nowhere"), Bucket("b", rules=Rules(delivery_by={"*.svg": "proxy"}))])


@pytest.mark.parametrize(
    "options",
    [{"stale_if_error": -1}, {"stale_if_error": "9"}, {"stale_if_error": True}, {"stale_if_error": float("nan")},
     {"misses_a_minute": 0}, {"misses_a_minute": 1.5}, {"misses_a_minute": True}, {"misses_a_minute": None},
     {"deadline": None}, {"deadline": float("nan")}],
)  # fmt: skip
def test_mistakes_of_a_stack_are_named(options: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{next(iter(options))}: "):
        MediaStack([MemoryBackend()], **options)


# -- loops -------------------------------------------------------------------------------------------------------------


class Site(Bucket):
    """A backend that is a site, which may ask us in turn."""

    via = "mediamw-7f3a00000000"


@pytest.mark.parametrize(
    ("via", "is_asked"),
    [
        ("", True),
        ("1.1 proxy.example", True),
        ("1.1 mediamw-7f3a00000000", False),
        ("1.1 a, 1.0 mediamw-7f3a00000000 (x)", False),
    ],
)
def test_a_backend_through_which_the_request_came_is_not_asked(via: str, is_asked: bool) -> None:
    site = Site("site", {A: b"x"})
    stack = MediaStack([Local("local"), site])
    looks: list[Look] = []
    found = run(stack.finding(A, "GET", via=via, looks=looks))
    assert isinstance(found, Redirect if is_asked else Missing)
    assert site.asked == ([A] if is_asked else [])
    if not is_asked:
        assert looks[1] == Look("site", "not asked", reason="the request has come through it (Via)")
    assert isinstance(run(stack.finding(A, "GET")), Redirect), "nothing of that is remembered as missing"
    stack.close()


def test_via_reaches_the_stack_and_the_backend() -> None:
    from mediamw.backends.via import VIA

    seen: list[str] = []

    class Noting(Site):
        def open(self, key: Key) -> Remote | None:
            seen.append(VIA.get())
            return super().open(key)

    stack = MediaStack([Local("local"), Noting("site", {A: b"x", "b": b"x"})], found_ttl=0)
    app = WSGIMiddleware(None, stack)
    other = "mediamw-0123456789ab"
    for via, status in (("1.1 somebody", 302), ("1.1 mediamw-7f3a00000000", 404), (f"1.1 {other}, 1.1 x", 302)):
        headers = (("Via", via),) if via else ()
        assert call_wsgi(app, "GET", f"/media/{A}", headers).status == status
    assert seen == ["", other]
    assert ask(stack, "b")
    assert VIA.get() == "", "it is the looking thread's"
    stack.close()
