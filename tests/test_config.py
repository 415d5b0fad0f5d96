"""Every form of a spec, every fault, and that a fault names its setting and repeats no secret."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediamw import ConfigError, ConfigErrors, LocalBackend, MediaStack, MemoryBackend, S3Backend, build_stack
from mediamw.config import MAX_PLACEHOLDER_BYTES, build_policy, check_prefix
from mediamw.core.keys import Key
from mediamw.core.plan import Placeholder, Policy
from mediamw.wsgi import MediaMiddleware

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(*specs: Any) -> list[str]:
    return [backend.name for backend in build_stack(specs).backends]


# -- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "root"),
    [
        ("./media", "local", "media"),
        ("media", "local", "media"),
        ("media/", "local", "media"),
        ("/srv/media", "local", "/srv/media"),
        ("disk=./media", "disk", "media"),
        ("disk=/srv/a=b", "disk", "/srv/a=b"),
        ("disk=", None, ""),
        ("./a=b", "local", "a=b"),
        ("../a=b", "local", "../a=b"),
        ("a b=c", "local", "a b=c"),  # no name has a space
        ("ä=b", "local", "ä=b"),
        ("./s3://x", "local", "s3:/x"),
        ("./memory:", "local", "memory:"),
        ("c:", "local", "c:"),  # a drive, on Windows
        ("my media", "local", "my media"),
        ("file:///srv/media", "local", "/srv/media"),
        ("disk=file:///srv/my%20media/", "disk", "/srv/my media"),
        ("FILE:///srv/m%C3%A9dia", "local", "/srv/média"),
        ("file:///srv/100%25", "local", "/srv/100%"),
        ("file:///srv/%FF", "local", os.fsdecode(b"/srv/\xff")),
        ("file:///~/a", "local", "/~/a"),
        (Path("file:x"), "local", "file:x"),
        (Path("media"), "local", "media"),
        (Path("disk=media"), "local", "disk=media"),
        (Path("memory:"), "local", "memory:"),
        (Path("s3:x"), "local", "s3:x"),
    ],
)
def test_paths(spec: Any, name: str | None, root: str) -> None:
    if name is None:
        with pytest.raises(ConfigError, match="backend 'disk': its path is empty"):
            build_stack([spec])
        return
    (made,) = build_stack([spec]).backends
    assert isinstance(made, LocalBackend)
    assert (made.name, made.root) == (name, os.path.abspath(root))


def test_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for spec in ("~/media", Path("~/media")):
        (made,) = build_stack([spec]).backends
        assert isinstance(made, LocalBackend)
        assert made.root == str(tmp_path / "media")


@pytest.mark.parametrize("spec", ["memory:", "MEMORY:", "scratch=memory:"])
def test_memory(spec: str) -> None:
    (made,) = build_stack([spec]).backends
    assert isinstance(made, MemoryBackend)
    assert made.name == ("scratch" if "=" in spec else "memory")


@pytest.mark.parametrize(
    ("spec", "shown", "url"),
    [
        ("s3://acme?region=eu-west-1", "s3://acme", "https://acme.s3.eu-west-1.amazonaws.com/"),
        ("S3://acme/?region=eu-west-1", "s3://acme", "https://acme.s3.eu-west-1.amazonaws.com/"),
        ("s3://acme/up/loads?region=eu-west-1", "s3://acme/up/loads", "https://acme.s3.eu-west-1.amazonaws.com/"),
        (
            "s3://acme/up/?region=us-east-1&addressing_style=path",
            "s3://acme/up",
            "https://s3.us-east-1.amazonaws.com/acme/",
        ),
        (
            "s3://acme?location=up/loads/&region=us-east-1",
            "s3://acme/up/loads",
            "https://acme.s3.us-east-1.amazonaws.com/",
        ),
        ("s3://acme?endpoint_url=http://localhost:9000/s3", "s3://acme", "http://localhost:9000/s3/acme/"),
        ("s3://acme?endpoint_url=http%3A%2F%2Flocalhost%3A9000", "s3://acme", "http://localhost:9000/acme/"),
        ("s3://acme?profile=acme-ro&region=us-east-1", "s3://acme", "https://acme.s3.us-east-1.amazonaws.com/"),
        ("s3://Old_Bucket?endpoint_url=http://h", "s3://Old_Bucket", "http://h/Old_Bucket/"),
    ],
)
def test_buckets(spec: str, shown: str, url: str) -> None:
    (made,) = build_stack([spec]).backends
    assert isinstance(made, S3Backend)
    assert repr(made).startswith(f"S3Backend({shown!r}, name='s3'")
    assert made._place is not None
    assert made._place.origin + made._place.path == url


def test_options_arrive() -> None:
    (made,) = build_stack(["prod=s3://acme?profile=acme-ro"]).backends
    assert isinstance(made, S3Backend)
    assert (made.name, made._account._profile) == ("prod", "acme-ro")


@pytest.mark.parametrize(
    ("query", "url"),
    [
        (
            "region=eu-west-1&dualstack=true&anonymous=true",
            "https://acme.s3.dualstack.eu-west-1.amazonaws.com/up/a.jpg",
        ),
        ("anonymous=true&dualstack=false", "https://acme.s3.us-east-1.amazonaws.com/up/a.jpg"),
        (
            "anonymous=true&public_endpoint_url=http://localhost:9000&endpoint_url=http://minio:9000",
            "http://localhost:9000/acme/up/a.jpg",
        ),
        ("custom_domain=cdn.example.com", "https://cdn.example.com/up/a.jpg"),
        ("custom_domain=https://cdn.example.com/m", "https://cdn.example.com/m/up/a.jpg"),
    ],
)
def test_where_a_spec_sends_browsers(query: str, url: str) -> None:
    (made,) = build_stack([f"s3://acme/up?{query}"]).backends
    assert isinstance(made, S3Backend)
    assert made.sign("a.jpg", "GET", 0) == (url, None)  # type: ignore[arg-type]


def test_access_points_by_spec() -> None:
    (made,) = build_stack(["s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:acme/up?region=us-east-1"]).backends
    assert repr(made) == "S3Backend('s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:acme/up', name='s3')"


def test_rules_by_spec() -> None:
    spec = (
        "s3://acme?profile=x&delivery=redirect&exclude=invoices/&exclude=*.tmp&only=homes/&only=*.pdf"
        "&delivery_by=proxy:*.svg&delivery_by=proxy:a:b&delivery_by=redirect:*.pdf"
    )
    (made,) = build_stack([spec]).backends
    assert isinstance(made, S3Backend)
    rules = made.rules
    assert (rules.delivery, rules.check) == ("redirect", True)
    asked = {"homes/a.jpg": True, "x/a.pdf": True, "homes/a.tmp": False, "homes/invoices/a": False, "x.jpg": False}
    assert {name: bool(rules.lets(name)) for name in asked} == asked  # type: ignore[arg-type]
    delivered = {"a.svg": "proxy", "a:b": "proxy", "a.pdf": "redirect", "a.jpg": "redirect"}
    assert {name: rules.delivery_of(name, rules.delivery) for name in delivered} == delivered  # type: ignore[arg-type]
    (unchecked,) = build_stack(["s3://acme?profile=x&check=false"]).backends
    assert isinstance(unchecked, S3Backend)
    assert unchecked.rules.check is False
    (plain,) = build_stack(["s3://acme?profile=x"]).backends
    assert isinstance(plain, S3Backend)
    assert (plain.rules.delivery, plain.rules.check, plain.rules.has_patterns) == (None, True, False)


@pytest.mark.parametrize(
    "spec",
    [
        "s3://acme?profile=x&exclude=c++/&exclude=R%26D/&exclude=a%20b/",
        "https://h/#exclude=c++/&exclude=R%26D/&exclude=a%20b/",
    ],
)
def test_a_plus_is_a_plus(spec: str) -> None:
    """A form's blank would be a rule that is not kept."""
    (made,) = build_stack([spec]).backends
    rules = made.rules  # type: ignore[attr-defined]
    assert not any(rules.lets(name) for name in ("c++/passport.pdf", "R&D/x", "a b/x"))
    assert rules.lets("c  /passport.pdf")


def test_numbers_and_switches_by_spec(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    (made,) = build_stack(
        ["s3://acme?profile=x&url_life=4000&url_window=60&missing_on_403=true&verify=ca.pem"]
    ).backends
    assert isinstance(made, S3Backend)
    assert (made._life, made._window, made._missing_on_403, made._account._verify) == (4000, 60, True, "ca.pem")
    for text, verify in (("false", False), ("true", True)):
        (made,) = build_stack([f"s3://acme?profile=x&missing_on_403=false&verify={text}"]).backends
        assert isinstance(made, S3Backend)
        assert (made._missing_on_403, made._account._verify) == (False, verify)


@pytest.mark.parametrize("option", ["anonymous", "check", "dualstack", "missing_on_403"])
@pytest.mark.parametrize("text", ["True", "1", "yes", "on", "FALSE", "0", "no"])
def test_switches_are_true_or_false(option: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"'s3': {option}: '{text}' is neither true nor false"):
        build_stack([f"s3://acme?{option}={text}"])


@pytest.mark.parametrize(
    ("option", "way_out"),
    [
        ("cloudfront_key", "cloudfront_key=...) in Python"),
        ("cloudfront_key_id", "cloudfront_key=...) in Python"),
        ("proxies", "set HTTPS_PROXY, or give proxies"),
        ("proxy", "set HTTPS_PROXY, or give proxies"),
        ("access_key_id", "use profile=NAME or the environment"),
        ("secret_access_key", "use profile=NAME or the environment"),
        ("session_token", "use profile=NAME or the environment"),
        ("private_key", "use profile=NAME or the environment"),
    ],
)
def test_what_never_stands_in_a_spec(option: str, way_out: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} does not belong into a spec; ") as caught:
        build_stack([f"s3://acme?{option}={SECRET}"])
    assert way_out in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_names() -> None:
    assert names("./a", "s3://a", "memory:") == ["local", "s3", "memory"]
    assert names("./a", "./b", "s3://a", "s3://b", "s3://c") == ["local", "local_2", "s3", "s3_2", "s3_3"]
    assert names("./a", "s3://a", "s3=s3://b", "s3_2=s3://c", "s3://d") == ["local", "s3_3", "s3", "s3_2", "s3_4"]
    assert names(Path("a"), MemoryBackend(name="local"), "./b") == ["local_2", "local", "local_3"]
    assert names("local_2=memory:", "./a", "./b") == ["local_2", "local", "local_3"]


def test_backends_that_are_made_already() -> None:
    ready = MemoryBackend()
    stack = build_stack(["./media", ready, "s3://acme"], base_url="/m/")
    assert stack.backends[1] is ready
    assert stack.base_url == "/m/"


def test_options_of_the_stack() -> None:
    with pytest.raises(ConfigError, match="found_ttl: 'x' is not a number of seconds"):
        build_stack(["./media"], found_ttl="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"found_ttl is the stack's: give mediamw.build_stack\(\[...\], found_ttl"):
        MediaMiddleware(None, ["./media"], found_ttl=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("spec", ["./media", Path("media")])
def test_a_stack_takes_no_specs(spec: Any) -> None:
    with pytest.raises(ConfigError, match=r"item 2 is a spec: mediamw\.build_stack takes them"):
        MediaStack([MemoryBackend(), spec])


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ("./media", "backends: give a list"),
        (b"./media", "backends: give a list"),
        (Path("media"), "backends: give a list"),
        ([], "backends: give a list with at least one"),
        ([""], "its path is empty"),
        (["ftp://host/a"], "ftp: is no kind of backend"),
        (["gs://bucket"], "gs: is no kind of backend"),
        (["S3A://bucket"], "s3a: is no kind of backend"),
        (["s3:bucket"], "s3: without //"),
        (["s3:/bucket"], "s3: without //"),
        (["s3://"], "bucket ''"),
        (["s3:///a"], "bucket ''"),
        (["s3://[a"], "not a usable spec"),
        (["s3://a b"], "bucket 'a b'"),
        (["s3://acme/a/../b"], "location"),
        (["s3://acme/a//b"], "location"),
        (["s3://acme/a?location=b"], "location stands twice"),
        (["s3://acme?region=a&region=b"], "option region stands twice"),
        (["s3://acme?region="], "option region has no value"),
        (["s3://acme?region"], "option=value"),
        (["s3://acme?=b"], "unknown option ''"),
        (["s3://acme?&"], "option=value"),
        (["s3://acme?regoin=b"], "unknown option 'regoin'; did you mean region?"),
        (
            ["s3://acme?zzzz=b"],
            "unknown option 'zzzz'; there are addressing_style, anonymous, check, custom_domain, delivery, ",
        ),
        (["s3://acme?Region=b"], "unknown option 'Region'; did you mean region?"),
        (["s3://acme?writable=1"], "writable: '1' is neither true nor false"),
        (["./m", "s3://acme?writable=true"], "writable: the first backend takes all writes"),
        (["s3://acme?writable=true&anonymous=true"], "anonymous: nobody writes into a bucket without credentials"),
        (["s3://acme?writable=true&missing_on_403=true"], "missing_on_403: of a bucket that takes uploads"),
        (["s3://acme?writable=true&check=false"], "check: a bucket that takes uploads is asked each time"),
        (["s3://acme?writable=true&exclude=a/"], "exclude, only: the first backend takes all uploads"),
        (["s3://acme?writable=true", "b=s3://acme"], "it has the same files as 's3'"),
        (["s3://acme/up?writable=true", "b=s3://acme"], "'s3' lies inside 'b', and 's3' takes all uploads"),
        (["s3://acme?writable=true", "b=s3://acme/down"], "'b' lies inside 's3', and 's3' takes all uploads"),
        (
            ["s3://acme?writable=true&endpoint_url=https://s3.eu-west-1.amazonaws.com&region=eu-west-1", "b=s3://acme"],
            "it has the same files as 's3'",
        ),
        (
            ["s3://acme?writable=true&endpoint_url=http://h:9000", "b=s3://acme/a?endpoint_url=HTTP://H:9000/"],
            "'b' lies inside 's3', and 's3' takes all uploads",
        ),
        (["s3://acme?addressing_style=dns"], "addressing_style 'dns'"),
        (["s3://acme?url_life=1h"], "url_life: '1h': give a whole number"),
        (["s3://acme?url_window=-1"], "url_window: '-1': give a whole number"),
        (["s3://acme?url_life=100"], "url_window 900: it is at least 1 second, and url_life (100)"),
        (["s3://acme?verify=missing.pem"], "verify: there is no CA bundle 'missing.pem'"),
        (["s3://acme?delivery=stream"], "delivery: 'stream' is none of redirect, proxy"),
        (["s3://acme?delivery_by=*.svg"], "delivery_by: '*.svg': write DELIVERY:PATTERN"),
        (["s3://acme?delivery_by=proxy:"], "delivery_by: 'proxy:': write DELIVERY:PATTERN"),
        (["s3://acme?delivery_by=*.svg:proxy"], "delivery_by: '*.svg:proxy': the delivery comes first: proxy:*.svg"),
        (["s3://acme?delivery_by=stream:*.svg"], "delivery_by: 'stream' is none of"),
        (["s3://acme?delivery_by=proxy:a&delivery_by=redirect:a"], "delivery_by: 'a' stands twice"),
        (["s3://acme?exclude="], "option exclude has no value"),
        (["s3://acme?exclude=%23"], "exclude: '#' is not a pattern"),
        (["s3://acme?anonymous=true&profile=x"], "anonymous and profile contradict"),
        (["s3://acme?custom_domain=cdn"], "custom_domain: give cdn.example.com"),
        (["s3://arn:aws:s3::1:accesspoint:a.mrap"], "SigV4A"),
        (["s3://acme?region=a b"], "region 'a b'"),
        (["s3://acme?endpoint_url=localhost"], "endpoint"),
        (["s3://acme#top"], "'#' has no meaning"),
        (["memory:x"], "memory: takes nothing"),
        (["memory://"], "memory: takes nothing"),
        (["a=./x", "a=./y"], "named 'a'"),
        (["a=./x", MemoryBackend(name="a")], "named 'a'"),
        ([None], "item 1"),
        ([b"./media"], "item 1"),
        ([17, "./media"], "item 1"),
        (["./media", ["s3://a"]], "item 2"),
        ([LocalBackend], "item 1"),
        (["~\0"], "not a possible path"),
        (["~nobody-of-this-name/media"], "there is no such user"),
        (["$HOME/media"], "holds a variable that nobody replaced"),
        (["./${STAGE}/media"], "holds a variable that nobody replaced"),
        (["=./media"], "no name stands before '=': write prod=./media"),
        (["./a s3://acme"], "one spec stands here, not several"),
        (["a.b=s3://acme"], "a name before '=' has ASCII letters"),
        (["s3://acme?regoin=a&zzzz=b&check=no"], "did you mean region?; unknown option 'zzzz'"),
        (["file://host/media"], "file: names a host, and the directory is on this machine; write file:///path"),
        (["file://localhost/media"], "file: names a host"),
        (["file:media"], "file: is no absolute path"),
        (["file:/media"], "file: is no absolute path"),
        (["file:////host/media"], "file: is no absolute path"),
        (["file:///a?only=b"], "'?', '#' and '%' are written %3F, %23 and %25"),
        (["file:///a#b"], "'?', '#' and '%' are written"),
        (["file:///100%"], "'?', '#' and '%' are written"),
        (["file:///a%00b"], "not a possible path"),
        (["file:///\ud800"], "not a possible path"),
    ],
    ids=str,
)
def test_faults(specs: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_stack(specs)
    assert said in str(caught.value)


SAME, INSIDE = "it has the same files as", "takes all uploads, which would be in both"


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["./a", "./a"], SAME),
        (["./a", "./b", "./b/../b/"], SAME),
        (["./a", "link-to-a"], SAME),
        (["./a", "file://HERE/a"], SAME),
        (["./a", LocalBackend("a", name="x")], SAME),
        (["./a", "./a/b"], INSIDE),
        (["./a/b", "./a"], INSIDE),
        (["link-to-a/b", "./a"], INSIDE),
        (["./a", "/"], INSIDE),
        (["/", "./a"], INSIDE),
        (["./a", "./ab"], ""),
        (["./a", "./b", "./b/c"], ""),  # lowers may
        (["./a", "s3://acme", "s3://acme/?region=eu-west-1"], SAME),
        (["./a", "s3://acme/x/y", "s3://acme?location=x/y/"], SAME),
        (["./a", "s3://acme/x", "s3://acme/y", "s3://acme"], ""),
        (["./a", "s3://acme", "s3://acme?endpoint_url=http://localhost:9000"], ""),
        (["s3://acme", "s3://acme/x"], ""),  # nobody uploads there
        (["./a", "https://h.example/m", "https://H.example:443/m/"], SAME),
        (["./a", "https://h.example/m/", "https://h.example/"], ""),
        (["memory:", "memory:"], ""),
    ],
)
def test_two_backends_of_the_same_files(
    specs: list[Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "link-to-a").symlink_to("a")
    specs = [LocalBackend("a", name=spec.name) if isinstance(spec, LocalBackend) else spec for spec in specs]
    specs = [spec.replace("HERE", str(tmp_path)) if isinstance(spec, str) else spec for spec in specs]
    if not said:
        build_stack(specs).close()
        return
    with pytest.raises(ConfigError) as caught:
        build_stack(specs)
    assert said in caught.value.reason
    assert caught.value.backend


@pytest.mark.parametrize(
    "spec",
    [
        f"s3://AKIAEXAMPLE:{SECRET}@acme",
        f"s3://{SECRET}@acme",
        f"s3://acme?access_key_id=AKIA&secret_access_key={SECRET}",
        f"s3://acme?secret_access_key={SECRET}",
        f"s3://acme?aws_secret_access_key={SECRET}",
        f"s3://acme?session_token={SECRET}",
        f"s3://acme?SecretAccessKey={SECRET}",
        f"s3://acme?password={SECRET}",
        f"s3://acme?sceret={SECRET}",
        f"s3://acme?{SECRET}",
        f"s3://acme?endpoint_url=http://AKIA:{SECRET}@localhost",
        f"s3://acme?endpoint_url=http://localhost/?key={SECRET}",
        f"s3://acme?addressing_style=path#{SECRET}",
        f"https://AKIA:{SECRET}@host",
        f"memory:{SECRET}",
        f"prod=s3:{SECRET}",
    ],
)
def test_no_secret_is_repeated(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_stack([spec])
    error: BaseException | None = caught.value
    while error is not None:  # a traceback prints the causes too
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_backend_is_named_by_its_fault() -> None:
    with pytest.raises(ConfigError, match="'qa'"):
        build_stack(["./media", "qa=s3://acme?addressing_style=x"])


SHORT = (
    "s3: file:/// memory: = a acme ? & region : 9000 @ # % [ ] / .. ./ ~ é http:// h addressing_style=path profile=x "
    "location="
)
pieces = st.sampled_from(["s3://", "endpoint=", " ", "\0", "\n", "\ud800", *SHORT.split(" ")])
spec_texts = st.text(max_size=30) | st.lists(pieces, max_size=9).map("".join)


@settings(deadline=None, max_examples=400)
@given(st.lists(spec_texts, max_size=3))
@example(["~\ud800"])
@example(["s3://a?endpoint_url=http://[::1"])
@example(["s3://a?endpoint_url=http://h:99999"])
@example(["s3://\u2100"])
@example(["s3://a/\ud800"])
def test_any_text_is_a_stack_or_a_fault(specs: list[str]) -> None:
    try:
        stack = build_stack(specs)
    except ConfigError:
        pass
    else:
        assert isinstance(stack, MediaStack)
        assert len({backend.name for backend in stack.backends}) == len(specs)
        stack.close()
    assert os.listdir() == []  # nothing was made


# -- the policy --------------------------------------------------------------------------------------------------------


def test_the_defaults() -> None:
    assert build_policy() == Policy()


def test_a_policy(tmp_path: Path) -> None:
    picture = tmp_path / "none.png"
    picture.write_bytes(b"\x89PNG")

    def add(key: str, status: int) -> dict[str, str]:
        return {}

    made = build_policy(
        on_miss="placeholder",
        debug=True,
        max_age=0,
        redirect_max_age=60,
        media_types={".USDZ": "model/vnd.usdz+zip"},
        placeholder=picture,
        add_headers=add,
    )
    assert made == Policy(
        on_miss="placeholder",
        debug=True,
        max_age=0,
        redirect_max_age=60,
        media_types={".usdz": "model/vnd.usdz+zip"},
        placeholder=Placeholder(b"\x89PNG", "image/png"),
        add_headers=add,
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("on_miss", "404 "),
        ("on_miss", 404),
        ("on_miss", None),
        ("max_age", -1),
        ("max_age", 1.5),
        ("max_age", "60"),
        ("max_age", True),
        ("redirect_max_age", -1),
        ("redirect_max_age", "1"),
        ("media_types", {"usdz": "model/usd"}),
        ("media_types", {".": "model/usd"}),
        ("media_types", {"": "model/usd"}),
        ("media_types", {".tar.gz": "model/usd"}),
        ("media_types", {".usdz": "model"}),
        ("media_types", {".usdz": "model/usd\r\nX-A: b"}),
        ("media_types", {".usdz": ""}),
        ("placeholder", "nobody.png"),
        ("placeholder", "none.txt"),
        ("placeholder", "."),
        ("placeholder", "folder.png"),
        ("placeholder", "large.png"),
        ("placeholder", "a\0.png"),
        ("placeholder", ""),
        ("add_headers", {"X-A": "b"}),
    ],
    ids=str,
)
def test_faults_of_a_policy(tmp_path: Path, option: str, value: Any) -> None:
    (tmp_path / "none.txt").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "large.png").write_bytes(bytes(MAX_PLACEHOLDER_BYTES + 1))
    with pytest.raises(ConfigError, match=rf"^{option}: "):
        build_policy(**{option: value})


def test_the_largest_placeholder(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(MAX_PLACEHOLDER_BYTES))
    assert len(build_policy(placeholder="large.png").placeholder.body) == MAX_PLACEHOLDER_BYTES


# -- the prefix --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/m/", "/media/", "/a/b-c/d_e~f.g/", "/media/@1,2;3=4/"])
def test_prefixes(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize(
    "prefix",
    ["", "//", "///", "media/", "/media", "media", "/a//b/", "//a/", "/a//", "/./", "/a/../", "/a/./b/", "/é/"]
    + [f"/a{char}b/" for char in '\\%?# "<>^`{|}\0\n\x7f'],
)
def test_faults_of_a_prefix(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"^prefix: "):
        check_prefix(prefix)


def test_secrets_of_a_stack_that_code_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a middleware that is given the list reads them."""
    spec = "prod=s3://acme?endpoint_url=http://127.0.0.1:9&region=eu-west-1"
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("MEDIAMW_BACKEND_OTHER_ACCESS_KEY_ID", "of another app")
    monkeypatch.setenv("MEDIAMW_NAMES", "of the settings")
    with closing(build_stack(["memory:", spec])) as stack:
        bucket: Any = stack.backends[1]
        bucket.prepare()
        assert "AKID" in bucket.sign(Key("a.jpg"), "GET", time.time()).url
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_PASSWORD", "hidden too")
    with pytest.raises(ConfigErrors, match="backend 'prod' takes no such secret") as raised:
        build_stack(["memory:", spec])
    assert "hidden too" not in str(raised.value)
    monkeypatch.delenv("MEDIAMW_BACKEND_PROD_PASSWORD")
    with pytest.raises(ConfigErrors, match="'prod' is made in code: give it there"):
        build_stack(["memory:", MemoryBackend(name="prod")])
