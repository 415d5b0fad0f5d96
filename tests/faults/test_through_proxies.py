"""An https site behind a company's proxy: look-ups and bodies go through the tunnel, and faults say whose they are.

HTTPOriginBackend -> ConnectProxy -> (FaultProxy ->) TLSFront -> StrictS3 with a public bucket, or a plain server
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, HTTPOriginBackend, MediaStack, MemoryBackend
from mediamw.testing.strict_s3 import StrictS3

from ..big_origin import File, big_origin
from .certificates import Certificates, TLSFront, make_certificates
from .connect_proxy import ConnectProxy
from .fault import BLACK_HOLE, truncated
from .outcome_clients import CLIENTS, HANG_SECONDS, Answer, within
from .outcome_world import IMPATIENT, SIZES, Gateway, data_of, limited
from .proxy import FaultProxy

USER, PASSWORD = "me", "pass:w@rd/secret"
QUOTED = "pass%3Aw%40rd%2Fsecret"
GATEWAYS: tuple[Gateway, ...] = ("wsgi", "asgi")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
Make = Callable[..., MediaStack]


@pytest.fixture(scope="module", params=["s3", "plain"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of a sound server without TLS, with the files below /media/."""
    if request.param == "plain":
        with big_origin({key: File(size) for key, size in SIZES.items()}) as plain:
            yield int(plain.url.split(":")[2].split("/")[0])
        return
    with StrictS3(keys={}, public_buckets=["media"]) as s3:
        s3.create_bucket("media")
        for key in ("photo.jpg", "small.jpg"):
            s3.put("media", key, data_of(key), content_type="image/jpeg")
        yield s3.port


@pytest.fixture
def front(port: int, certificates: Certificates) -> Iterator[TLSFront]:
    with TLSFront(port, certificates) as made:
        yield made


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy(user=USER, password=PASSWORD) as made:
        yield made


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def make(certificates: Certificates) -> Iterator[Make]:
    with ExitStack() as closes:

        def made(url: str, delivery: Any = "proxy", **options: Any) -> MediaStack:
            options.setdefault("verify", str(certificates.ca))
            backend = HTTPOriginBackend(f"{url}/media/", name="prod", delivery=delivery, **options)
            stack = MediaStack([MemoryBackend(name="local"), backend])
            closes.callback(stack.close)
            return stack

        yield made


def get(stack: MediaStack, key: str = "photo.jpg", gateway: Gateway = "wsgi", wanted: str | None = None) -> Answer:
    headers = [] if wanted is None else [("Range", wanted)]
    got: Answer = within(HANG_SECONDS, lambda: CLIENTS[gateway](stack, f"/media/{key}", headers, lambda _: None))
    return got


def via(proxy: ConnectProxy, password: str = QUOTED, user: str = USER) -> dict[str, str]:
    return {"https": f"http://{user}:{password}@127.0.0.1:{proxy.port}"}


def is_whole(got: Answer, key: str = "photo.jpg") -> bool:
    return got.outcome == "200" and got.digest == hashlib.sha256(data_of(key)).hexdigest()


def why(stack: MediaStack, caplog: pytest.LogCaptureFixture) -> str:
    """Why it is a 503, as the log has it, which shows no password."""
    caplog.clear()
    got = get(stack)
    assert got.outcome == "503"
    assert int(got.headers["retry-after"]) >= 1
    with pytest.raises(BackendUnavailable) as caught:
        stack.stat("photo.jpg")
    text = f"{caplog.text}\n{caught.value!r}\n{stack.explain('photo.jpg')}"
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, QUOTED, "w@rd", basic, "wr0ng"):
        assert secret not in text
        assert secret not in got.body.decode()
    assert str(caught.value) in caplog.text or caught.value.reason in caplog.text
    return caught.value.reason


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_look_ups_and_bodies_go_through_the_tunnel(
    front: TLSFront, proxy: ConnectProxy, make: Make, gateway: Gateway
) -> None:
    stack = make(front.url, proxies=via(proxy))
    assert stack.stat("photo.jpg").size == SIZES["photo.jpg"]
    assert is_whole(get(stack, gateway=gateway))
    assert is_whole(get(stack, "small.jpg", gateway), "small.jpg")
    data = data_of("photo.jpg")
    for wanted, part in (
        ("bytes=5-9", data[5:10]),
        ("bytes=-100000", data[-100_000:]),
        ("bytes=299999-", data[299_999:]),
    ):
        got = get(stack, gateway=gateway, wanted=wanted)
        assert (got.outcome, got.body) == ("206", part)
    many = get(stack, gateway=gateway, wanted="bytes=0-9,100000-199999")
    assert many.outcome == "206"
    assert data[:10] in many.body
    assert data[100_000:200_000] in many.body
    with stack.open("photo.jpg") as file:
        assert file.read() == data
    assert set(proxy.log) == {("CONNECT", f"localhost:{front.port}")}
    assert proxy.refused == []


def test_by_redirect_only_the_look_up_goes_through_it(front: TLSFront, proxy: ConnectProxy, make: Make) -> None:
    got = get(make(front.url, "redirect", proxies=via(proxy)))
    assert (got.outcome, got.headers["location"]) == ("302", f"{front.url}/media/photo.jpg")
    assert proxy.log == [("CONNECT", f"localhost:{front.port}")]


def test_another_ca(
    front: TLSFront, make: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path, proxy: ConnectProxy
) -> None:
    other = make_certificates(tmp_path)
    for options in ({}, {"proxies": via(proxy)}):
        assert "verify" in why(make(front.url, verify=str(other.ca), **options), caplog)
        assert "verify" in why(make(front.url, verify=None, **options), caplog)  # botocore's bundle


def test_a_certificate_of_another_host(
    port: int, make: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path, certificates: Certificates
) -> None:
    """The name that counts is the origin's, not that of the proxy."""
    with TLSFront(port, certificates) as front, ConnectProxy(hosts={"other.example": front.port}) as proxy:
        stack = make("https://other.example", proxies={"https": proxy.url})
        assert "certificate is not trusted" in why(stack, caplog)
        assert proxy.log[0] == ("CONNECT", "other.example:443")
    named = make_certificates(tmp_path, "other.example")
    with TLSFront(port, named) as front, ConnectProxy(hosts={"other.example": front.port}) as proxy:
        assert is_whole(get(make("https://other.example", proxies={"https": proxy.url}, verify=str(named.ca))))


@pytest.mark.parametrize("given", [("me", "wr0ng"), ("other", QUOTED), ("me", "")])
def test_a_wrong_password_names_the_proxy(
    front: TLSFront, proxy: ConnectProxy, make: Make, caplog: pytest.LogCaptureFixture, given: tuple[str, str]
) -> None:
    said = why(make(front.url, proxies=via(proxy, given[1], given[0])), caplog)
    assert f"the proxy 127.0.0.1:{proxy.port} answered 407" in said
    assert "check its user and password" in said
    assert proxy.log == []
    assert set(proxy.refused) == {("CONNECT", f"localhost:{front.port}")}
    assert front.connections == 0


def test_no_proxy_there(front: TLSFront, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with ConnectProxy() as gone:
        pass
    said = why(make(front.url, proxies=via(gone)), caplog)
    assert f"no connection through the proxy 127.0.0.1:{gone.port}" in said
    assert front.connections == 0


def test_a_proxy_that_reaches_nothing(proxy: ConnectProxy, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    for url, status in (("https://unknown.example", 403), ("https://localhost:1", 502)):
        assert f"answered {status} to CONNECT" in why(make(url, proxies=via(proxy)), caplog)


def test_the_environments_proxy_and_bundle(
    front: TLSFront, proxy: ConnectProxy, make: Make, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", via(proxy)["https"])
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.ca))
    through = make(front.url, verify=None)
    assert is_whole(get(through))
    assert proxy.log == [("CONNECT", f"localhost:{front.port}")]
    for no_proxy in ("localhost", f"localhost:{front.port}", "elsewhere.example, localhost", "*"):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert is_whole(get(make(front.url, verify=None)))
        assert len(proxy.log) == 1, no_proxy
    monkeypatch.setenv("NO_PROXY", "elsewhere.example,127.0.0.1")
    assert is_whole(get(make(front.url, verify=None)))
    assert len(proxy.log) == 2
    monkeypatch.delenv("NO_PROXY")
    assert is_whole(get(make(front.url, verify=None, proxies={})))  # none, whatever the environment says
    assert len(proxy.log) == 2
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("HTTP_PROXY", via(proxy)["https"])  # for http:// alone
    assert is_whole(get(make(front.url, verify=None)))
    assert len(proxy.log) == 2


@pytest.mark.parametrize("by", ["fin", "rst"])
@pytest.mark.parametrize("after", [100, 3000, 30_000])
@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_tunnel_that_is_cut_never_gives_a_whole_body(
    port: int, certificates: Certificates, proxy: ConnectProxy, make: Make, gateway: Gateway, after: int, by: Any
) -> None:
    """Behind the handshake, amid the head, amid the body. Bytes that TLS vouches for are the origin's own."""
    with TLSFront(port, certificates) as front, FaultProxy(front.port) as spoiling:
        stack = make(f"https://localhost:{spoiling.port}", proxies=via(proxy))
        stack.stat("photo.jpg")
        spoiling.fault = truncated(after, by)
        got = get(stack, gateway=gateway)
        assert got.outcome in ("503", "broken")
        assert got.outcome == "503" or data_of("photo.jpg").startswith(got.body)
        assert len(proxy.log) <= 8
        spoiling.fault = truncated(10**9)
        assert is_whole(get(stack, gateway=gateway))


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_tunnel_that_is_cut_once_is_made_anew(
    port: int, certificates: Certificates, proxy: ConnectProxy, make: Make, gateway: Gateway
) -> None:
    with TLSFront(port, certificates) as front, FaultProxy(front.port) as spoiling:
        stack = make(f"https://localhost:{spoiling.port}", proxies=via(proxy))
        stack.stat("photo.jpg")
        # The handshake was counted by itself, so the answer starts at 0.
        spoiling.fault = truncated(60_000, "rst")
        pieces = []

        def mend(got: int) -> None:
            pieces.append(got)
            spoiling.fault = truncated(10**9)

        got = within(HANG_SECONDS, lambda: CLIENTS[gateway](stack, "/media/photo.jpg", [], mend))
        assert is_whole(got)
        assert set(proxy.log) == {("CONNECT", f"localhost:{spoiling.port}")}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_tunnel_into_a_black_hole(
    port: int, certificates: Certificates, make: Make, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with TLSFront(port, certificates) as front, FaultProxy(front.port, BLACK_HOLE) as hole, ConnectProxy() as proxy:
        with limited(IMPATIENT):
            stack = make(f"https://localhost:{hole.port}", proxies={"https": proxy.url})
            got = get(stack, gateway=gateway)
        assert got.outcome == "503"
        assert "no " in caplog.text
        assert "within" in caplog.text or "proxy" in caplog.text


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_body_without_a_length_that_is_cut(
    certificates: Certificates, proxy: ConnectProxy, make: Make, gateway: Gateway
) -> None:
    """Without TLS nobody could tell. With it a FIN that is not the server's own is no end (RFC 9112, 9.8)."""
    with (
        big_origin({"photo.jpg": File(SIZES["photo.jpg"], etag=None, length=False)}) as plain,
        TLSFront(int(plain.url.split(":")[2].split("/")[0]), certificates) as front,
        FaultProxy(front.port) as spoiling,
    ):
        stack = make(f"https://localhost:{spoiling.port}", proxies=via(proxy))
        stack.stat("photo.jpg")
        assert is_whole(get(stack, gateway=gateway))
        spoiling.fault = truncated(100_000)
        assert get(stack, gateway=gateway).outcome in ("503", "broken")
