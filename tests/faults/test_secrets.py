"""Whatever fails: no key, password, token or signature in a log, a header, a body, a repr, an error or an explanation.

Every logger there is logs at DEBUG. The one place where a signature belongs is a 302's Location.
"""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mediamw import HTTPOriginBackend, MediaError, MediaStack, MemoryBackend, S3Backend
from mediamw.core.keys import Key
from mediamw.core.model import Plan, Redirect, Request
from mediamw.core.plan import Policy, decide
from mediamw.service import MediaService
from mediamw.testing.strict_s3 import StrictS3

from ..big_origin import File, big_origin
from .certificates import Certificates, TLSFront
from .connect_proxy import ConnectProxy
from .fault import Fault
from .outcome_clients import CLIENTS, HANG_SECONDS, within
from .outcome_table import ROWS, Row, elsewhere
from .outcome_world import IMPATIENT, PATIENT, SIZES, data_of, limited, make_backend, waits
from .proxy import FaultProxy
from .scripted import Ask, Asked, Said, Scripted
from .secret_search import (
    HEADER,
    ID,
    PAIRS,
    PASSWORD,
    PROXY_PASSWORD,
    PROXY_USER,
    SECRET,
    SIGNATURE,
    TOKEN,
    USER,
    Log,
    heard,
    shown,
)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, int]]:
    files = {key: File(size) for key, size in SIZES.items()}
    with StrictS3(keys={}, read_only_keys={ID: SECRET}, session_tokens={ID: TOKEN}) as s3, big_origin(files) as plain:
        s3.create_bucket("prod")
        for key in ("photo.jpg", "small.jpg"):
            s3.put("prod", key, data_of(key), content_type="image/jpeg")
        yield {"s3": s3.port, "http": int(plain.url.split(":")[2].split("/")[0])}


def tell_all(stack: MediaStack, key: str = "photo.jpg") -> list[str]:
    """What people are told of ``key`` by every way there is. Locations are left out."""
    texts: list[str] = []

    def tried(call: Callable[[], Any]) -> None:
        try:
            result = call()
            texts.append(repr(result))
        except (MediaError, OSError) as error:
            texts.extend((str(error), repr(error), repr(error.args), repr(vars(error))))
            texts.append("".join(traceback.format_exception(error)))
            cause: BaseException | None = error
            while cause is not None:  # what an error tracker would find, suppressed or not
                texts.extend((str(cause), repr(cause.args)))
                cause = cause.__cause__ or cause.__context__

    def read() -> int:
        with stack.open(key) as file:
            texts.append(repr(file))
            return len(file.read())

    tried(lambda: stack.stat(key))
    tried(read)
    tried(lambda: stack.find(key))
    tried(lambda: list(stack.list("", recursive=True)))
    for explanation in (stack.explain(key), MediaService(stack).explain(key)):
        texts += [str(explanation), repr(explanation), json.dumps(explanation.as_dict())]
    texts += [repr(stack), repr(stack.backends)]
    for backend in stack.backends:
        texts += [
            repr(backend),
            str(backend),
            repr(getattr(backend, "_http", None)),
            repr(getattr(backend, "rules", 0)),
        ]
        texts += [repr(getattr(backend, "_account", None)), repr(getattr(backend, "_signer", None))]
    for gateway, client in CLIENTS.items():
        got = within(HANG_SECONDS, lambda client=client: client(stack, f"/media/{key}", [], lambda _: None))
        location = got.headers.pop("location", "")
        texts += [repr(got.headers), got.body[:500].decode("latin-1"), repr(got.error), location.partition("?")[0]]
        if got.error is not None:
            texts.append("".join(traceback.format_exception(got.error)))
        assert gateway
    return texts


def assert_silent(log: Log, texts: list[str]) -> None:
    assert log.texts, "nothing was logged: the test hears nothing"
    for text in (*texts, *log.texts):
        assert not shown(text, log.signatures), text


def connect(kind: Any, url: str, delivery: Any, **options: Any) -> S3Backend | HTTPOriginBackend:
    if kind == "s3":
        given = {"access_key_id": ID, "secret_access_key": SECRET, "session_token": TOKEN}
        return make_backend("s3", url, delivery, **(given | options))
    given = {"username": USER, "password": PASSWORD, "headers": {"X-Api-Key": HEADER}}
    return HTTPOriginBackend(f"{url}/media/", name="prod", **(given | options))


CELLS = [
    pytest.param(row, kind, id=f"{row.name}-{kind}", marks=waits(kind, "asgi"))
    for row in ROWS
    if not row.once and row.wanted is None
    for kind in row.kinds
]


@pytest.mark.parametrize(("row", "kind"), CELLS)
def test_faults(servers: dict[str, int], row: Row, kind: str) -> None:
    with ExitStack() as closes:
        log = closes.enter_context(heard())
        closes.enter_context(limited(IMPATIENT if row.hangs else PATIENT))
        between = closes.enter_context(Scripted(servers[kind]))
        proxy = closes.enter_context(FaultProxy(between.port))
        stack = MediaStack([MemoryBackend(name="local"), connect(kind, proxy.url, "proxy")], deadline=2)
        closes.callback(stack.close)
        if isinstance(row.what, Fault):
            proxy.fault = row.what
        else:
            between.always = row.what
        with pytest.MonkeyPatch.context() as patch:
            # botocore has limits of its own for listings, and asks who redirects everything a thousand times.
            if isinstance(row.what, Fault) or row.hangs or row.what is elsewhere:
                patch.setattr(MediaStack, "list", lambda *_, **__: [])
            assert_silent(log, tell_all(stack, row.key))


@pytest.mark.parametrize(("kind", "delivery"), [("s3", "redirect"), ("s3", "proxy"), ("http", "proxy")])
def test_when_all_is_well(servers: dict[str, int], kind: str, delivery: str) -> None:
    with heard() as log, FaultProxy(servers[kind]) as proxy:
        stack = MediaStack([MemoryBackend(name="local"), connect(kind, proxy.url, delivery)])
        with suppress(Exception):
            stack.url("missing.jpg")
        texts = tell_all(stack) + tell_all(stack, "missing.jpg")
        stack.close()
        assert_silent(log, texts)
        assert bool(log.signatures) == (kind == "s3")
        assert any("HTTP/1.1" in text for text in log.texts), "urllib3's own log was not heard"


WRONG: dict[str, dict[str, str]] = {
    "unknown id": {"access_key_id": "AKUNKNOWN"},
    "wrong token": {"session_token": TOKEN + "x"},
    "wrong secret": {"secret_access_key": SECRET + "x"},
}


@pytest.mark.parametrize("delivery", ["redirect", "proxy"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_credentials(servers: dict[str, int], name: str, delivery: str) -> None:
    url = f"http://127.0.0.1:{servers['s3']}"
    with heard() as log:
        stack = MediaStack([MemoryBackend(name="local"), connect("s3", url, delivery, **WRONG[name])])
        texts = tell_all(stack)
        stack.close()
        assert_silent(log, texts)


def test_an_answer_that_repeats_what_was_signed(servers: dict[str, int]) -> None:
    """As S3 does to a signature that does not match, its bytes too; botocore logs such answers."""

    def repeating(asked: Asked, ask: Ask) -> Said:
        signature = SIGNATURE.search(asked.headers.get("authorization", asked.target))
        signed = f"x-amz-security-token:{TOKEN}\n"
        body = (
            f"<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>{signature and signature[1]}"
            f"</SignatureProvided><CanonicalRequest>{signed}</CanonicalRequest><CanonicalRequestBytes>"
            f"{signed.encode().hex(' ')}</CanonicalRequestBytes></Error>"
        )
        return Said(403, {"content-type": "application/xml"}, body.encode())

    with heard() as log, Scripted(servers["s3"], always=repeating) as between:
        stack = MediaStack([MemoryBackend(name="local"), connect("s3", between.url, "proxy")])
        texts = tell_all(stack)
        stack.close()
        assert any("<SignatureProvided>REDACTED<" in text for text in log.texts), "botocore's log was not heard"
        assert_silent(log, texts)


PROXIES = {
    "right": PROXY_PASSWORD,
    "wrong password": PROXY_PASSWORD + "x",
}


@pytest.mark.parametrize("name", [*PROXIES, "gone"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies(servers: dict[str, int], certificates: Certificates, name: str, scheme: str) -> None:
    with ExitStack() as closes:
        log = closes.enter_context(heard())
        front = closes.enter_context(TLSFront(servers["http"], certificates))
        url = front.url if scheme == "https" else f"http://127.0.0.1:{servers['http']}"
        proxy = closes.enter_context(ConnectProxy(user=PROXY_USER, password=PROXY_PASSWORD))
        password = quote(PROXIES.get(name, PROXY_PASSWORD), safe="")
        if name == "gone":
            proxy.close()
        through = {scheme: f"http://{PROXY_USER}:{password}@127.0.0.1:{proxy.port}"}
        backend = connect("http", url, "proxy", proxies=through, verify=str(certificates.ca))
        stack = MediaStack([MemoryBackend(name="local"), backend])
        closes.callback(stack.close)
        assert (stack.explain("photo.jpg").said == "held") == (name == "right")
        assert_silent(log, tell_all(stack))


def test_a_wrong_ca(servers: dict[str, int], certificates: Certificates, tmp_path: Path) -> None:
    with heard() as log, TLSFront(servers["http"], certificates) as front:
        stack = MediaStack([MemoryBackend(name="local"), connect("http", front.url, "proxy", proxies={})])
        texts = tell_all(stack)
        stack.close()
        assert_silent(log, texts)


def test_settings_that_are_refused() -> None:
    """What is wrong with a secret is said without it."""
    bad: list[Callable[[], Any]] = [
        lambda: connect("s3", "http://127.0.0.1:1", "proxy", secret_access_key=f"{SECRET} \n"),
        lambda: connect("s3", "http://127.0.0.1:1", "proxy", session_token=f"{TOKEN}\x7f"),
        lambda: connect("s3", f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:1", "proxy"),
        lambda: connect("http", f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:1", "proxy"),
        lambda: connect("http", "http://127.0.0.1:1", "proxy", password=f"{PASSWORD}\n"),
        lambda: connect("http", "http://127.0.0.1:1", "proxy", headers={"X-Api-Key": f"{HEADER}\n"}),
        lambda: connect("http", "http://127.0.0.1:1", "proxy", headers={"Authorization": HEADER}),
        lambda: connect("http", "http://127.0.0.1:1", "proxy", proxies={"http": f"socks5://u:{PROXY_PASSWORD}@h"}),
        lambda: connect("http", "http://127.0.0.1:1", "proxy", proxies={"http": f"http://u:{PROXY_PASSWORD}@h:no"}),
    ]
    with heard() as log:
        for make in bad:
            with pytest.raises(MediaError) as caught:
                make()
            error = caught.value
            for text in (str(error), repr(error), "".join(traceback.format_exception_only(error)), *log.texts):
                assert not shown(text), text


def test_the_search_finds_what_it_looks_for() -> None:
    signature = "0123456789abcdef" * 4
    for text in (
        f"GET /x?X-Amz-Signature={signature}",
        f"Basic {base64.b64encode(PAIRS[0].encode()).decode()}",
        quote(TOKEN, safe=""),
        repr({"X-Api-Key": HEADER}),
        SECRET.upper(),
        f"http://{PROXY_USER}:{quote(PROXY_PASSWORD, safe='')}@h",
    ):
        assert shown(text), text
    assert shown(signature, [signature])
    assert not shown(f"/media/photo.jpg {ID} {USER}@ {signature}")


def test_the_repr_of_what_is_sent() -> None:
    redirect = Redirect("prod", "https://b.example/k?X-Amz-Signature=" + "0" * 64)
    plan = decide(Request("GET", Key("k")), redirect, Policy(), 0.0)
    assert isinstance(plan, Plan)
    assert ("Location", redirect.url) in plan.headers
    assert not shown(repr(plan)) + shown(repr(redirect))
