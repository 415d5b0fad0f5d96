"""Production cannot be written, by type; and what S3Backend refuses at construction."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.httpsession
import botocore.session
import pytest

from mediamw import ConfigError
from mediamw.backends.base import Puts
from mediamw.backends.origin_http import OriginHTTP
from mediamw.backends.s3 import S3Backend
from mediamw.testing.strict_s3 import StrictS3

from .s3_world import BUCKET, DATA, ID, SECRET, TOKEN, Clock, backend, key, s3_server

MODEL = botocore.session.Session().get_service_model("s3")
OPERATIONS = list(MODEL.operation_names)
READS = [name for name in OPERATIONS if name.startswith(("Head", "Get", "List"))]


@pytest.fixture(scope="module")
def s3() -> Iterator[StrictS3]:
    with s3_server(Clock()) as server:
        yield server


def test_the_backend_has_nothing_to_write_with(s3: StrictS3) -> None:
    prod = backend(s3)
    assert not isinstance(prod, Puts)
    words = ("put", "delete", "remove", "save", "write", "upload", "copy", "create", "post", "client", "request")
    assert [name for name in dir(prod) if not name.startswith("_") and any(word in name for word in words)] == []


@pytest.mark.parametrize(
    "method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "CONNECT", "get", "GET ", "", "HEAD\r\n"]
)
def test_the_connection_refuses_every_other_method(s3: StrictS3, method: str) -> None:
    before = len(s3.calls)
    http = OriginHTTP(s3.endpoint, "prod")
    with pytest.raises(ValueError, match="only GET and HEAD are ever sent"):
        http._send(method, f"{s3.endpoint}/{BUCKET}/a", {})
    assert len(s3.calls) == before
    assert http._pools == {}  # not even a connection was made


@pytest.fixture(scope="module")
def client(s3: StrictS3) -> Iterator[Any]:
    made = backend(s3)._account.read_only_client("auto")
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that left botocore; they do not get further than here."""
    requests: list[str] = []

    def send(self: Any, request: Any) -> None:
        requests.append(request.method)
        raise botocore.exceptions.EndpointConnectionError(endpoint_url="stopped by the test")

    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", send)
    return requests


def parameters(shape: Any, depth: int = 0) -> Any:
    """The least that botocore's own validation takes, so that nothing but our refusal can be in the way."""
    if shape.type_name == "structure":
        names = shape.required_members if depth < 6 else []
        if getattr(shape, "is_tagged_union", False):
            names = list(shape.members)[:1]
        return {name: parameters(shape.members[name], depth + 1) for name in names}
    if shape.type_name == "list":
        return [parameters(shape.member, depth + 1)]
    if shape.type_name == "map":
        return {}
    made: dict[str, Any] = {"string": "prod", "integer": 1, "long": 1, "boolean": True, "blob": b"", "timestamp": 0}
    return made[shape.type_name]


def call(client: Any, operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    client._make_api_call(operation, parameters(shape) if shape is not None else {})


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in READS])
def test_the_client_refuses_every_write(client: Any, sent: list[str], operation: str) -> None:
    with pytest.raises(PermissionError, match=f"{operation} is not a read"):
        call(client, operation)
    assert sent == []


@pytest.mark.parametrize("operation", READS)
def test_what_the_client_lets_through_is_a_get_or_a_head(client: Any, sent: list[str], operation: str) -> None:
    """All of S3's Head, Get and List operations are GET or HEAD, and none has a body: no read changes anything."""
    model = MODEL.operation_model(operation)
    assert model.http["method"] in ("GET", "HEAD")
    assert not model.has_event_stream_input
    assert not model.has_streaming_input
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        call(client, operation)
    assert set(sent) == {model.http["method"]}


def test_a_new_get_that_is_no_get_is_refused(client: Any, sent: list[str]) -> None:
    model = SimpleNamespace(name="GetAndDelete", http={"method": "POST"})
    with pytest.raises(PermissionError):
        client.meta.events.emit("before-parameter-build.s3.GetAndDelete", model=model, params={}, context={})


def test_no_write_can_be_presigned(client: Any) -> None:
    for operation in ("put_object", "delete_object", "upload_part", "create_bucket"):
        shape = MODEL.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
        with pytest.raises(PermissionError):
            client.generate_presigned_url(operation, Params=parameters(shape))


def test_a_full_round_with_a_read_only_key_writes_nothing(s3: StrictS3) -> None:
    prod = backend(s3)
    prod.open(key("a/b c.jpg"))
    prod.open(key("nobody"))
    assert b"".join(prod.read_range(key("a/b c.jpg"), 0, 3, None)) == DATA[:3]
    list(prod.list("", recursive=True))
    prod.close()
    assert s3.writes == []
    assert {item.method for item in s3.calls} == {"HEAD", "GET"}
    assert s3.objects(BUCKET) == {"a/b c.jpg": DATA}


def test_what_is_shown_of_a_backend(s3: StrictS3) -> None:
    prod = backend(s3, session_token=TOKEN, location="up")
    assert repr(prod) == f"S3Backend('s3://prod/up', name='prod', endpoint_url='{s3.endpoint}')"
    assert repr(S3Backend("prod")) == "S3Backend('s3://prod', name='s3')"
    for thing in (prod, prod._account, prod._signer, prod._http):
        for secret in (SECRET, TOKEN):
            assert secret not in repr(thing)
            assert secret not in str(thing)


KEYS = {"access_key_id": ID, "secret_access_key": SECRET}


@pytest.mark.parametrize(
    ("named", "options"),
    [
        *(
            ("bucket", {"bucket": bucket})
            for bucket in (
                "",
                "a/b",
                "s3://a",
                "a b",
                "é",
                "..",
                "-a",
                "a?b",
                "a@b",
                "a\n",
                "x" * 256,
                "x--usw2-az1--x-s3",
            )
        ),
        *(("location", {"location": location}) for location in ("a//b", "..", "a/../b", "a\\b", "x" * 256, "\n")),
        *(("region", {"region": region}) for region in ("", "us east", "eu-west-1/", "é", "a" * 64, "us-east-1\n")),
        *(("addressing_style", {"addressing_style": style}) for style in ("", "Virtual", "dns")),
        ("addressing_style", {"addressing_style": "virtual", "bucket": "Upper_Case"}),
        *(
            ("endpoint_url", {"endpoint_url": endpoint, **KEYS})
            for endpoint in (
                "",
                "localhost:9000",
                "ftp://h",
                "http://",
                "http://[::1",
                "http://h:0",
                "http://h:65536",
                "http://h:x",
                "http://h h",
                "http://é",
                "http://h\n",
                "http://h/?a=b",
                "http://h/#f",
                "http://h/a%20b",
                "http://h/a//b",
                "http://h/../a",
                "http://h/.",
                f"http://{ID}:{SECRET}@h",
                f"http://h/?key={SECRET}",
                f"{SECRET}://h",
            )
        ),
        ("dualstack", {"dualstack": 1}),
        ("anonymous", {"anonymous": "true"}),
        ("missing_on_403", {"missing_on_403": None}),
        ("public_endpoint_url", {"public_endpoint_url": f"http://{ID}:{SECRET}@h"}),
        ("public_endpoint_url", {"public_endpoint_url": "h"}),
        ("delivery", {"delivery": "stream"}),
        ("exclude", {"exclude": "a/"}),
        ("only", {"only": ["#"]}),
        ("check", {"check": "false"}),
        ("profile", {"profile": ""}),
        ("profile", {"profile": "acme-ro", **KEYS}),
        ("secret_access_key", {"access_key_id": ID}),
        ("access_key_id", {"secret_access_key": SECRET}),
        ("secret_access_key", {"access_key_id": ID, "secret_access_key": ""}),
        ("access_key_id", {**KEYS, "access_key_id": ID + "\n"}),
        ("secret_access_key", {**KEYS, "secret_access_key": SECRET + " "}),
        ("session_token", {**KEYS, "session_token": ""}),
        ("session_token", {**KEYS, "session_token": TOKEN + "\n"}),
        ("session_token", {"session_token": TOKEN}),
        ("session_token", {"session_token": TOKEN, "profile": "acme-ro"}),
        *(("url_window", {"url_window": window}) for window in (0, -1, 3301, 10**9, 1.5, "900", True, None)),
        *(("url_life", {"url_life": life}) for life in (1199, 0, -1, 604801, 3600.0, "3600", None)),
    ],
    ids=str,
)
def test_every_bad_argument_is_named(named: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        S3Backend(**({"bucket": "acme-media", "name": "prod"} | options))
    for text in (str(caught.value), repr(caught.value)):
        assert named in text
        assert "prod" in text
        assert SECRET not in text
        assert TOKEN not in text


@pytest.mark.parametrize(
    "options",
    [
        {"bucket": "b"},
        {"bucket": "Old_Bucket.With-Everything"},
        {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint:acme"},
        {"location": "/"},
        {"location": "/a/b c/"},
        {"region": "auto", "endpoint_url": "https://account.r2.example.com"},
        {"region": "RegionOne", "endpoint_url": "http://swift:8080"},
        {"url_window": 1},
        {"url_life": 1200},
        {"url_life": 604800, "url_window": 604500},
        {"profile": "no-such-profile-yet"},
    ],
    ids=str,
)
def test_what_is_unusual_and_right(options: dict[str, Any]) -> None:
    S3Backend(**({"bucket": "acme-media"} | options))


def test_an_option_that_nobody_knows() -> None:
    """The rules are taken as **rules: a slip of the pen must not vanish among them."""
    with pytest.raises(ConfigError, match="unknown option 'regoin'; did you mean region"):
        S3Backend("acme", regoin="eu-west-1")  # type: ignore[call-arg]


def test_the_options_of_a_spec_are_the_backend_s() -> None:
    """All that S3Backend takes stands in a spec, or is refused there with the way out."""
    import inspect

    from mediamw.backends.rules import RuleOptions
    from mediamw.specs import S3_OPTIONS, refused_in_specs

    given = {*inspect.signature(S3Backend).parameters, *RuleOptions.__annotations__} - {
        "bucket",
        "name",
        "rules",
        "self",
    }
    # `writable` makes it another backend (test_s3_writable.py).
    assert {option for option in given if refused_in_specs(option) is None} == set(S3_OPTIONS) - {"writable"}
