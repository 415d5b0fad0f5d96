"""ConnectProxy: tunnels, passed on requests, its 407; and that nothing of it outlives its block."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import urllib3

from mediamw.testing.strict_s3 import StrictS3

from ..fakes import until
from .certificates import Certificates, TLSFront
from .conftest import BODY, PATH
from .connect_proxy import ConnectProxy
from .scripted import Origin, Scripted, endless_chunks, status


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    before = set(threading.enumerate())
    with ConnectProxy() as made:
        yield made
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if str(made.port) in thread.name]


@pytest.fixture
def front(sound: StrictS3, certificates: Certificates) -> Iterator[TLSFront]:
    with TLSFront(sound.port, certificates) as made:
        yield made


def get(manager: urllib3.PoolManager, url: str, method: str = "GET") -> urllib3.BaseHTTPResponse:
    return manager.request(method, url, retries=False, timeout=10, redirect=False)


def test_https_through_a_tunnel(proxy: ConnectProxy, front: TLSFront, certificates: Certificates) -> None:
    with urllib3.ProxyManager(proxy.url, ca_certs=str(certificates.ca)) as manager:
        for _ in range(2):
            assert get(manager, front.url + PATH).data == BODY
    assert proxy.log == [("CONNECT", f"localhost:{front.port}")]
    assert proxy.connections == 1


def test_the_certificate_is_ours_alone(proxy: ConnectProxy, front: TLSFront, certificates: Certificates) -> None:
    with urllib3.ProxyManager(proxy.url) as manager, pytest.raises(urllib3.exceptions.SSLError):
        get(manager, front.url + PATH)
    context = certificates.client_context()
    with closing(http.client.HTTPSConnection("localhost", front.port, timeout=10, context=context)) as client:
        client.request("HEAD", PATH)
        assert client.getresponse().status == 200
    with socket.create_connection(("127.0.0.1", front.port), 10) as plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="other.example")


def test_names_that_no_dns_has(proxy: ConnectProxy, sound: StrictS3) -> None:
    with ConnectProxy(hosts={"bucket.example": sound.port}) as named, urllib3.ProxyManager(named.url) as manager:
        assert get(manager, f"http://bucket.example{PATH}").data == BODY
        assert named.log == [("GET", f"http://bucket.example{PATH}")]
    with urllib3.ProxyManager(proxy.url) as manager:
        assert get(manager, f"http://bucket.example{PATH}").status == 403
    assert (proxy.log, proxy.refused) == ([], [("GET", f"http://bucket.example{PATH}")])


def test_http_is_passed_on(proxy: ConnectProxy, sound: StrictS3) -> None:
    with urllib3.ProxyManager(proxy.url) as manager:
        assert get(manager, sound.endpoint + PATH).data == BODY
        head = get(manager, sound.endpoint + PATH, "HEAD")
        assert (head.status, head.headers["content-length"], head.data) == (200, str(len(BODY)), b"")
        assert get(manager, sound.endpoint + "/prod/missing").status in (403, 404)
        part = manager.request("GET", sound.endpoint + PATH, headers={"Range": "bytes=1-2"})
        assert (part.status, part.data) == (206, BODY[1:3])
    assert proxy.log[0] == ("GET", sound.endpoint + PATH)
    assert len(proxy.log) == 4
    assert proxy.connections == 1


def test_what_the_origin_is_sent(proxy: ConnectProxy) -> None:
    with Origin(status(204)) as origin, closing(http.client.HTTPConnection("127.0.0.1", proxy.port)) as client:
        headers = {"Proxy-Authorization": "Basic eDp5", "Proxy-Connection": "keep-alive", "X-Kept": "yes"}
        client.request("GET", f"{origin.url}/a%20b//c?d=e%2Ff", headers=headers)
        assert client.getresponse().status == 204
        assert origin.requests[0].startswith(b"GET /a%20b//c?d=e%2Ff HTTP/1.1\r\n")
        assert b"proxy-" not in origin.requests[0].lower()
        assert b"x-kept: yes\r\n" in origin.requests[0]
        assert f"host: 127.0.0.1:{origin.port}\r\n".encode() in origin.requests[0]


def test_a_broken_body_is_broken_here_too(proxy: ConnectProxy, sound: StrictS3) -> None:
    part = status(200, "Content-Length: 10", body=b"five!")
    with Origin(part, None) as origin, closing(http.client.HTTPConnection("127.0.0.1", proxy.port)) as client:
        client.request("GET", f"{origin.url}/")
        with pytest.raises(http.client.IncompleteRead):
            client.getresponse().read()
    with (
        Scripted(sound.port, endless_chunks()) as spoiling,
        closing(http.client.HTTPConnection("127.0.0.1", proxy.port)) as client,
    ):
        client.request("GET", spoiling.url + PATH)
        with client.getresponse() as answer, pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_407_without_the_right_password(
    front: TLSFront, sound: StrictS3, certificates: Certificates, scheme: str
) -> None:
    url = (front.url if scheme == "https" else sound.endpoint) + PATH
    with ConnectProxy(user="me", password="pass") as proxy:
        for given in (None, "me:wrong", "me"):
            headers = urllib3.make_headers(proxy_basic_auth=given) if given else None
            with urllib3.ProxyManager(proxy.url, proxy_headers=headers, ca_certs=str(certificates.ca)) as manager:
                if scheme == "http":
                    refused = get(manager, url)
                    assert (refused.status, refused.headers["proxy-authenticate"]) == (407, 'Basic realm="a test"')
                else:
                    with pytest.raises(urllib3.exceptions.ProxyError, match="407"):
                        get(manager, url)
        assert proxy.log == []
        assert len(proxy.refused) == 3
        headers = urllib3.make_headers(proxy_basic_auth="me:pass")
        with urllib3.ProxyManager(proxy.url, proxy_headers=headers, ca_certs=str(certificates.ca)) as manager:
            assert get(manager, url).data == BODY
        assert [method for method, _ in proxy.log] == ["CONNECT" if scheme == "https" else "GET"]
        assert proxy.url_with_password == f"http://me:pass@127.0.0.1:{proxy.port}"
        assert base64.b64encode(b"me:pass").decode() in headers["proxy-authorization"]


def test_only_loopback_and_only_what_listens(proxy: ConnectProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    asked = {
        "CONNECT 192.0.2.1:443": b"403",
        "GET http://192.0.2.1/": b"403",
        "GET https://localhost/": b"403",
        "GET /path": b"403",
        "CONNECT localhost:99999": b"403",
        f"CONNECT localhost:{port}": b"502",
        f"GET http://localhost:{port}/": b"502",
    }
    for request, status_code in asked.items():
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
            connection.sendall(f"{request} HTTP/1.1\r\n\r\n".encode())
            assert connection.recv(100).split(b" ")[1] == status_code, request


def test_the_end_cuts_an_open_tunnel(front: TLSFront, certificates: Certificates) -> None:
    with ConnectProxy() as proxy, urllib3.ProxyManager(proxy.url, ca_certs=str(certificates.ca)) as manager:
        assert get(manager, front.url + PATH).status == 200  # and its connection stays in the pool
        with socket.create_connection(("127.0.0.1", front.port), 10) as silent:  # never shakes hands
            until(lambda: front.connections == 2)
            proxy.close()
            front.close()
            assert silent.recv(1) == b""
