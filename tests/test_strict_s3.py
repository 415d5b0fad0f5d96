"""StrictS3 judged by botocore: what botocore signs is served, and nothing else is."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from mediamw.testing import moto_side
from mediamw.testing.s3_request import HttpRequest, S3Error
from mediamw.testing.sigv4_check import verify
from mediamw.testing.sigv4_claim import read_claim
from mediamw.testing.strict_s3 import StrictS3

pytest.importorskip("moto")
pytest.importorskip("flask_cors")

SECRETS = {
    "AKADMIN": "admin-secret",
    "AKTEMP": "temp-secret",
    "AKNOLIST": "nolist-secret",
    "AKRO": "ro-secret",
}
TOKEN = "session+token/==&"
DATA = b"0123456789"


class Clock:
    """The server's clock: the real one plus an offset."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset_s


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found[1].decode() if found else ""

    @property
    def message(self) -> str:
        found = re.search(rb"<Message>(.*?)</Message>", self.body)
        return found[1].decode() if found else ""

    @property
    def seen(self) -> tuple[int, str]:
        return self.status, self.code


@pytest.fixture(autouse=True)
def no_ambient_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def s3(clock: Clock) -> Iterator[StrictS3]:
    read_only = {"AKRO": SECRETS["AKRO"]}
    with StrictS3(
        keys={name: secret for name, secret in SECRETS.items() if name not in read_only},
        read_only_keys=read_only,
        no_list_keys=["AKNOLIST"],
        session_tokens={"AKTEMP": TOKEN},
        regions={"europe": "eu-west-1"},
        public_buckets=["public"],
        clock=clock,
    ) as server:
        for bucket in ("prod", "europe", "public"):
            server.create_bucket(bucket)
            server.put(bucket, "a/b c.jpg", DATA, content_type="image/jpeg")
        yield server


Connect = Callable[..., Any]


@pytest.fixture
def connect(s3: StrictS3) -> Iterator[Connect]:
    """Make a boto3 client: ``connect("AKRO", token=..., region=..., endpoint=..., style=..., **s3_options)``."""
    with contextlib.ExitStack() as stack:

        def make(
            key: str = "AKADMIN",
            secret: str | None = None,
            *,
            token: str | None = None,
            region: str = "us-east-1",
            endpoint: str | None = None,
            style: str = "path",
            version: str = "s3v4",
            **options: Any,
        ) -> Any:
            client = boto3.client(
                "s3",
                aws_access_key_id=key,
                aws_secret_access_key=secret or SECRETS[key],
                aws_session_token=token,
                region_name=region,
                endpoint_url=endpoint or s3.endpoint,
                config=Config(
                    signature_version=version,
                    s3={"addressing_style": style, **options},
                    retries={"total_max_attempts": 1},
                ),
            )
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def admin(connect: Connect) -> Any:
    return connect()


def presign(client: Any, method: str = "get_object", expires: int = 60, **params: str) -> str:
    params = {"Bucket": "prod", "Key": "a/b c.jpg"} | params
    return str(client.generate_presigned_url(method, Params=params, ExpiresIn=expires))


def send(s3: StrictS3, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Reply:
    """One request exactly as written, to the server whatever host the URL names."""
    parts = urlsplit(url)
    target = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", s3.port, timeout=10)) as connection:
        return exchange(connection, method, target, {"Host": parts.netloc} | (headers or {}), body)


def exchange(
    connection: http.client.HTTPConnection, method: str, target: str, headers: dict[str, str], body: bytes = b""
) -> Reply:
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    with connection.getresponse() as response:
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def sign(
    s3: StrictS3, method: str, path: str, headers: dict[str, str] | None = None, payload: str = ""
) -> dict[str, str]:
    """The headers of a request with an empty body, or the given payload hash, as botocore signs them."""

    class Auth(S3SigV4Auth):
        def payload(self, request: AWSRequest) -> str:
            return payload or "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    request = AWSRequest(method, s3.endpoint + path, headers={"Host": f"127.0.0.1:{s3.port}"} | (headers or {}))
    Auth(Credentials("AKADMIN", SECRETS["AKADMIN"]), "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def refusal(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


# -- the arithmetic, against the examples that AWS prints in its S3 API Reference -----------------------------------

EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EXAMPLE_NOW = 1369353600.0  # 2013-05-24T00:00:00Z
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def example(method: str, target: str, signed: str, signature: str, body: bytes = b"", **headers: str) -> HttpRequest:
    credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    given = {
        "Host": "examplebucket.s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-content-sha256": EMPTY,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={signed},Signature={signature}",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(method, target, tuple(given.items()), body)


USUAL = "host;x-amz-content-sha256;x-amz-date"
PRESIGNED_EXAMPLE = (
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
    "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)
EXAMPLES = {
    "GET object": example(
        "GET",
        "/test.txt",
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        Range="bytes=0-9",
    ),
    "PUT object": example(
        "PUT",
        "/test%24file.text",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        b"Welcome to Amazon S3.",
        Date="Fri, 24 May 2013 00:00:00 GMT",
        x_amz_storage_class="REDUCED_REDUNDANCY",
        x_amz_content_sha256="44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
    ),
    "GET lifecycle": example(
        "GET", "/?lifecycle", USUAL, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    ),
    "List objects": example(
        "GET", "/?max-keys=2&prefix=J", USUAL, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    ),
    "presigned GET": HttpRequest("GET", PRESIGNED_EXAMPLE, (("Host", "examplebucket.s3.amazonaws.com"),)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_aws(name: str) -> None:
    request = EXAMPLES[name]
    claim = read_claim(request)
    assert claim is not None
    verify(claim, request, secret=EXAMPLE_SECRET, token="", now=EXAMPLE_NOW)
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        verify(claim, request, secret=EXAMPLE_SECRET + "x", token="", now=EXAMPLE_NOW)


# -- header signing --------------------------------------------------------------------------------------------------


def test_header_signed_work(s3: StrictS3, admin: Any) -> None:
    admin.put_object(Bucket="prod", Key="new", Body=b"new", ContentType="image/png", Metadata={"a_b": "1", "c-d": "2"})
    got = admin.get_object(Bucket="prod", Key="new")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"new", "image/png", {"a_b": "1", "c-d": "2"})
    assert admin.head_object(Bucket="prod", Key="new")["ContentLength"] == 3
    assert [found["Key"] for found in admin.list_objects_v2(Bucket="prod")["Contents"]] == ["a/b c.jpg", "new"]
    assert s3.objects("prod") == {"a/b c.jpg": DATA, "new": b"new"}
    admin.delete_object(Bucket="prod", Key="new")
    assert s3.objects("prod") == {"a/b c.jpg": DATA}
    assert {call.auth for call in s3.calls} == {"header"}
    assert {call.access_key_id for call in s3.calls} == {"AKADMIN"}


def test_spaces_in_header_values(s3: StrictS3) -> None:
    signed = sign(s3, "PUT", "/prod/new", {"x-amz-meta-a": " two  spaces "})
    assert send(s3, "PUT", f"{s3.endpoint}/prod/new", signed | {"x-amz-meta-a": "two  spaces"}).status == 200


def test_multipart_copy_and_many_deletes(s3: StrictS3, admin: Any) -> None:
    upload = admin.create_multipart_upload(Bucket="prod", Key="big")["UploadId"]
    part = admin.upload_part(Bucket="prod", Key="big", UploadId=upload, PartNumber=1, Body=b"part")
    admin.complete_multipart_upload(
        Bucket="prod",
        Key="big",
        UploadId=upload,
        # Old botocores send no checksum, and so get none.
        MultipartUpload={"Parts": [{"PartNumber": 1} | {k: part[k] for k in ("ETag", "ChecksumCRC32") if k in part}]},
    )
    admin.copy_object(Bucket="prod", Key="copy", CopySource={"Bucket": "prod", "Key": "big"})
    assert s3.objects("prod")["copy"] == b"part"
    admin.delete_objects(Bucket="prod", Delete={"Objects": [{"Key": "big"}, {"Key": "copy"}]})
    assert list(s3.objects("prod")) == ["a/b c.jpg"]


def test_unsigned_payload(s3: StrictS3, connect: Connect) -> None:
    connect(payload_signing_enabled=False).put_object(Bucket="prod", Key="new", Body=b"new")
    assert s3.objects("prod")["new"] == b"new"
    assert s3.calls[-1].headers["x-amz-content-sha256"] in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"),
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            b"5;chunk-signature=" + b"a" * 64 + b"\r\nhello\r\n0;chunk-signature=" + b"b" * 64 + b"\r\n\r\n",
        ),
    ],
)
def test_streaming_uploads(s3: StrictS3, payload: str, body: bytes) -> None:
    headers = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": "5"}
    if payload.endswith("TRAILER"):
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    signed = sign(s3, "PUT", "/prod/new", headers, payload)
    assert send(s3, "PUT", f"{s3.endpoint}/prod/new", signed, body).seen == (200, "")
    assert s3.objects("prod")["new"] == b"hello"
    tampered = signed | {"x-amz-decoded-content-length": "6"}
    assert send(s3, "PUT", f"{s3.endpoint}/prod/new", tampered, body).seen == (403, "SignatureDoesNotMatch")


def test_chunked_transfer(s3: StrictS3) -> None:
    signed = sign(s3, "PUT", "/prod/new", payload="UNSIGNED-PAYLOAD") | {"Transfer-Encoding": "chunked"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", s3.port, timeout=10)) as connection:
        connection.request("PUT", "/prod/new", iter([b"hel", b"lo"]), signed, encode_chunked=True)
        with connection.getresponse() as response:
            assert response.status == 200
    assert s3.objects("prod")["new"] == b"hello"


def test_a_body_that_is_not_the_signed_one(s3: StrictS3) -> None:
    signed = sign(s3, "PUT", "/prod/new")
    reply = send(s3, "PUT", f"{s3.endpoint}/prod/new", signed, b"other")
    assert reply.seen == (400, "XAmzContentSHA256Mismatch")
    assert "new" not in s3.objects("prod")


def test_every_header_of_amazon_must_be_signed(s3: StrictS3) -> None:
    signed = sign(s3, "PUT", "/prod/new")
    reply = send(s3, "PUT", f"{s3.endpoint}/prod/new", signed | {"x-amz-acl": "public-read"})
    assert reply.seen == (403, "AccessDenied")
    assert b"<HeadersNotSigned>x-amz-acl<" in reply.body


def test_host_must_be_signed(s3: StrictS3, admin: Any) -> None:
    url = presign(admin).replace("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=range")
    reply = send(s3, "GET", url)
    assert reply.seen == (403, "AccessDenied")
    assert b"<HeadersNotSigned>host<" in reply.body


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"Authorization": "AWS AKADMIN:c2lnbmF0dXJl"}, (400, "InvalidRequest")),
        ({"Authorization": "Bearer x"}, (400, "InvalidArgument")),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=AKADMIN"}, (400, "AuthorizationHeaderMalformed")),
        ({"X-Amz-Date": "yesterday"}, (403, "AccessDenied")),
        ({"X-Amz-Date": "20000101T000000Z"}, (400, "AuthorizationHeaderMalformed")),  # not the credential's day
        ({"X-Amz-Content-SHA256": "a" * 64}, (403, "SignatureDoesNotMatch")),
        ({"X-Amz-Content-SHA256": "nonsense"}, (400, "InvalidArgument")),
        ({"X-Amz-Content-SHA256": ""}, (400, "InvalidRequest")),
        ({"Host": "elsewhere"}, (403, "SignatureDoesNotMatch")),
    ],
)
def test_broken_headers(s3: StrictS3, change: dict[str, str], seen: tuple[int, str]) -> None:
    headers = {name: value for name, value in (sign(s3, "GET", "/prod/a/b%20c.jpg") | change).items() if value}
    assert send(s3, "GET", f"{s3.endpoint}/prod/a/b%20c.jpg", headers).seen == seen
    assert (s3.calls[-1].status, s3.calls[-1].auth) == (seen[0], "header")


@pytest.mark.parametrize("offset_s", [-901, 901])
def test_header_signing_is_good_for_15_minutes(s3: StrictS3, clock: Clock, admin: Any, offset_s: int) -> None:
    clock.offset_s = offset_s * 890 / 901
    assert admin.head_object(Bucket="prod", Key="a/b c.jpg")["ContentLength"] == len(DATA)
    clock.offset_s = offset_s + (2 if offset_s > 0 else -2)  # the signature has whole seconds
    assert refusal(lambda: admin.get_object(Bucket="prod", Key="a/b c.jpg")) == (403, "RequestTimeTooSkewed")
    assert refusal(lambda: admin.head_object(Bucket="prod", Key="a/b c.jpg")) == (403, "403")


def test_wrong_secret_and_unknown_key(s3: StrictS3, connect: Connect) -> None:
    def get(client: Any) -> Callable[[], Any]:
        return lambda: client.get_object(Bucket="prod", Key="a/b c.jpg")

    assert refusal(get(connect("AKADMIN", "wrong"))) == (403, "SignatureDoesNotMatch")
    assert s3.calls[-1].access_key_id == "AKADMIN", "the record says who it claimed to be"
    assert refusal(get(connect("AKNOBODY", "wrong"))) == (403, "InvalidAccessKeyId")


# -- presigned URLs --------------------------------------------------------------------------------------------------


def test_presigned_get_and_head(s3: StrictS3, admin: Any) -> None:
    got = send(s3, "GET", presign(admin))
    assert (got.status, got.body, got.headers["content-type"]) == (200, DATA, "image/jpeg")
    head = send(s3, "HEAD", presign(admin, "head_object"))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(DATA)))
    assert [(call.method, call.key, call.auth, call.access_key_id) for call in s3.calls] == [
        ("GET", "a/b c.jpg", "query", "AKADMIN"),
        ("HEAD", "a/b c.jpg", "query", "AKADMIN"),
    ]
    assert (s3.gets, s3.heads) == (s3.calls[:1], s3.calls[1:])


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "POST"])
def test_a_presigned_get_is_for_get(s3: StrictS3, admin: Any, method: str) -> None:
    reply = send(s3, method, presign(admin), body=b"" if method == "HEAD" else b"x")
    assert reply.status == 403
    assert reply.code == ("" if method == "HEAD" else "SignatureDoesNotMatch")
    assert s3.objects("prod") == {"a/b c.jpg": DATA}
    assert bool(s3.writes) == (method != "HEAD")


def test_presigned_put(s3: StrictS3, admin: Any) -> None:
    url = presign(admin, "put_object", Key="new")
    assert send(s3, "PUT", url, body=b"new").status == 200
    assert s3.objects("prod")["new"] == b"new"


def test_every_character_of_a_presigned_url_counts(s3: StrictS3, admin: Any) -> None:
    url = presign(admin, ResponseContentType="text/plain").removeprefix(s3.endpoint)
    headers = {"Host": f"127.0.0.1:{s3.port}"}
    served = []
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", s3.port, timeout=10)) as connection:
        assert exchange(connection, "GET", url, headers).status == 200
        for at, char in enumerate(url):
            if at:
                other = "1" if char == "0" else "0" if char.isdigit() else "b" if char in "aA" else "a"
                reply = exchange(connection, "GET", url[:at] + other + url[at + 1 :], headers)
                if reply.status not in (400, 403):
                    served.append((at, char, reply.status))
    assert served == []
    assert len(s3.calls) == len(url)


def test_the_case_of_percent_escapes_does_not_count(s3: StrictS3, admin: Any) -> None:
    url = presign(admin, Key="é", ResponseContentType="text/plain")
    s3.put("prod", "é", DATA)
    lower = re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), url)
    assert lower != url
    assert send(s3, "GET", lower).status == 200


def test_response_headers_must_be_signed(s3: StrictS3, admin: Any) -> None:
    reply = send(s3, "GET", presign(admin) + "&response-content-type=text%2Fhtml")
    assert reply.seen == (403, "SignatureDoesNotMatch")
    signed = send(s3, "GET", presign(admin, ResponseContentType="text/html", ResponseCacheControl="no-store"))
    assert (signed.headers["content-type"], signed.headers["cache-control"]) == ("text/html", "no-store")


def test_expiry(s3: StrictS3, clock: Clock, admin: Any) -> None:
    get, head = presign(admin, expires=60), presign(admin, "head_object", expires=60)
    clock.offset_s = 58
    assert send(s3, "GET", get).status == 200
    clock.offset_s = 62
    reply = send(s3, "GET", get)
    assert (*reply.seen, reply.message) == (403, "AccessDenied", "Request has expired")
    assert abs(parsedate_to_datetime(reply.headers["date"]).timestamp() - clock()) < 5
    assert send(s3, "HEAD", head).seen == (403, "")


def test_a_week_is_the_longest_life(s3: StrictS3, clock: Clock, admin: Any) -> None:
    url = presign(admin, expires=604_800)
    clock.offset_s = 604_790
    assert send(s3, "GET", url).status == 200
    assert send(s3, "GET", presign(admin, expires=604_801)).seen == (400, "AuthorizationQueryParametersError")


def test_a_date_in_the_future(s3: StrictS3, clock: Clock, admin: Any) -> None:
    url = presign(admin)
    clock.offset_s = -890
    assert send(s3, "GET", url).status == 200
    clock.offset_s = -910
    reply = send(s3, "GET", url)
    assert (*reply.seen, reply.message) == (403, "AccessDenied", "Request is not yet valid")


@pytest.mark.parametrize(
    ("pattern", "put"),
    [
        (r"X-Amz-Expires=60", "X-Amz-Expires=-60"),
        (r"X-Amz-Expires=60", "X-Amz-Expires=soon"),
        (r"X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=600"),
        (r"&X-Amz-Expires=60", ""),
        (r"&X-Amz-Date=\w+", ""),
        (r"X-Amz-Date=\w+", "X-Amz-Date=today"),
        (r"X-Amz-Date=\w+", "X-Amz-Date=20240231T000000Z"),
        (r"&X-Amz-SignedHeaders=host", ""),
        (r"X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=range;host"),
        (r"&X-Amz-Signature=\w+", ""),
        (r"X-Amz-Algorithm=[\w-]+&", ""),
        (r"AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"),
        (r"%2Fs3%2F", "%2Fsqs%2F"),
        (r"%2Faws4_request", ""),
    ],
)
def test_malformed_urls(s3: StrictS3, admin: Any, pattern: str, put: str) -> None:
    url, changes = re.subn(pattern, put, presign(admin))
    assert changes == 1
    assert send(s3, "GET", url).seen == (400, "AuthorizationQueryParametersError")


def test_two_signatures_and_old_signatures(s3: StrictS3, admin: Any, connect: Connect) -> None:
    both = send(s3, "GET", presign(admin), sign(s3, "GET", "/prod/a/b%20c.jpg"))
    assert both.seen == (400, "InvalidArgument")
    assert send(s3, "GET", presign(connect(version="s3"))).seen == (400, "InvalidRequest")


def test_session_tokens(s3: StrictS3, connect: Connect) -> None:
    good = connect("AKTEMP", token=TOKEN)
    assert good.get_object(Bucket="prod", Key="a/b c.jpg")["Body"].read() == DATA
    assert send(s3, "GET", presign(good)).status == 200
    for token in (None, "other"):
        bad = connect("AKTEMP", token=token)
        assert refusal(lambda bad=bad: bad.get_object(Bucket="prod", Key="a/b c.jpg")) == (400, "InvalidToken")
        assert send(s3, "GET", presign(bad)).seen == (400, "InvalidToken")
    assert refusal(lambda: connect(token=TOKEN).list_buckets()) == (400, "InvalidToken")  # a key that has none


# -- who may do what -------------------------------------------------------------------------------------------------


def test_a_read_only_key_reads(s3: StrictS3, connect: Connect) -> None:
    reader = connect("AKRO")
    assert reader.get_object(Bucket="prod", Key="a/b c.jpg")["Body"].read() == DATA
    assert reader.list_objects_v2(Bucket="prod")["KeyCount"] == 1
    assert refusal(lambda: reader.head_object(Bucket="prod", Key="none")) == (404, "404")
    assert s3.writes == []


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("put_object", {"Key": "new", "Body": b"x"}),
        ("delete_object", {"Key": "a/b c.jpg"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "a/b c.jpg"}]}}),
        ("create_multipart_upload", {"Key": "new"}),
        ("copy_object", {"Key": "new", "CopySource": "prod/a/b c.jpg"}),
        ("put_object_acl", {"Key": "a/b c.jpg", "ACL": "public-read"}),
        ("delete_bucket", {}),
        ("create_bucket", {"Bucket": "another"}),
    ],
)
def test_a_read_only_key_cannot_write(s3: StrictS3, connect: Connect, operation: str, params: dict[str, Any]) -> None:
    reader = connect("AKRO")
    assert refusal(lambda: getattr(reader, operation)(**{"Bucket": "prod"} | params)) == (403, "AccessDenied")
    assert s3.objects("prod") == {"a/b c.jpg": DATA}
    (write,) = s3.writes
    assert (write.status, write.access_key_id) == (403, "AKRO")


def test_a_read_only_key_cannot_presign_writes(s3: StrictS3, connect: Connect) -> None:
    url = presign(connect("AKRO"), "put_object", Key="new")
    assert send(s3, "PUT", url, body=b"x").seen == (403, "AccessDenied")
    assert [call.auth for call in s3.writes] == ["query"]


def test_without_list_bucket(s3: StrictS3, connect: Connect) -> None:
    blind = connect("AKNOLIST")
    assert blind.get_object(Bucket="prod", Key="a/b c.jpg")["Body"].read() == DATA
    assert refusal(lambda: blind.head_object(Bucket="prod", Key="none")) == (403, "403")
    assert refusal(lambda: blind.get_object(Bucket="prod", Key="none")) == (403, "AccessDenied")
    assert refusal(lambda: blind.list_objects_v2(Bucket="prod")) == (403, "AccessDenied")
    assert refusal(lambda: blind.head_bucket(Bucket="prod")) == (403, "403")
    assert refusal(lambda: blind.get_object(Bucket="no-such-bucket", Key="k")) == (404, "NoSuchBucket")


def test_unsigned(s3: StrictS3) -> None:
    assert send(s3, "GET", f"{s3.endpoint}/prod/a/b%20c.jpg").seen == (403, "AccessDenied")
    assert (s3.calls[-1].auth, s3.calls[-1].access_key_id) == ("none", None)
    public = f"{s3.endpoint}/public/a/b%20c.jpg"
    assert send(s3, "GET", public).body == DATA
    assert send(s3, "HEAD", public).status == 200
    for method, url in [
        ("GET", f"{s3.endpoint}/public"),
        ("GET", f"{s3.endpoint}/public/"),
        ("GET", f"{s3.endpoint}/public/none"),
        ("GET", f"{public}?acl"),
        ("PUT", public),
        ("DELETE", public),
        ("GET", s3.endpoint + "/"),
    ]:
        assert send(s3, method, url).seen == (403, "AccessDenied"), (method, url)
    assert send(s3, "GET", f"{public}?response-content-type=text/html").seen == (400, "InvalidRequest")
    assert s3.objects("public") == {"a/b c.jpg": DATA}


def test_wrong_region(s3: StrictS3, connect: Connect) -> None:
    stray = presign(connect(region="ap-south-1"))
    reply = send(s3, "GET", stray)
    assert reply.seen == (400, "AuthorizationQueryParametersError")
    assert b"<Region>us-east-1</Region>" in reply.body
    headers = sign(s3, "GET", "/prod/a/b%20c.jpg")
    headers["Authorization"] = headers["Authorization"].replace("us-east-1", "ap-south-1")
    reply = send(s3, "GET", f"{s3.endpoint}/prod/a/b%20c.jpg", headers)
    assert reply.seen == (400, "AuthorizationHeaderMalformed")
    assert b"<Region>us-east-1</Region>" in reply.body


def test_a_bucket_in_another_region(s3: StrictS3, admin: Any, connect: Connect) -> None:
    moved = send(s3, "GET", presign(admin, Bucket="europe"))
    assert (*moved.seen, moved.headers["x-amz-bucket-region"]) == (301, "PermanentRedirect", "eu-west-1")
    moved = send(s3, "HEAD", presign(admin, "head_object", Bucket="europe"))
    assert (*moved.seen, moved.headers["x-amz-bucket-region"]) == (301, "", "eu-west-1")
    strange = send(s3, "GET", presign(connect(region="ap-south-1"), Bucket="europe"))
    assert (strange.status, strange.headers["x-amz-bucket-region"]) == (400, "eu-west-1")
    assert send(s3, "GET", presign(connect(region="eu-west-1"), Bucket="europe")).body == DATA
    # boto3 finds its way by what the errors say
    assert admin.get_object(Bucket="europe", Key="a/b c.jpg")["Body"].read() == DATA


# -- keys and addresses ----------------------------------------------------------------------------------------------

ODD_KEYS = [
    "a b",
    " lead and trail ",
    "é/日本/🖼.png",
    "e\u0301",  # decomposed: not the same key as é
    "a+b",
    "a%b",
    "a%2Fb",
    "%41",
    "~tilde",
    'it\'s "quoted"',
    "a//b",
    "/lead",
    "//lead",
    "trail/",
    "a/../b",
    "../up",
    "./a",
    "a?b#c",
    "a&b=c",
    "a;b:c@d,e",
    "(a)!*$[b]{c}|\\^`<d>",
    "é" * 512,
    "acl",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys(s3: StrictS3, admin: Any, key: str) -> None:
    admin.put_object(Bucket="prod", Key=key, Body=b"odd")
    assert s3.objects("prod")[key] == b"odd"
    assert admin.get_object(Bucket="prod", Key=key)["Body"].read() == b"odd"
    assert send(s3, "GET", presign(admin, Key=key)).body == b"odd"
    assert send(s3, "HEAD", presign(admin, "head_object", Key=key)).status == 200
    assert {call.key for call in s3.calls} == {key}
    listed = {found["Key"] for found in admin.list_objects_v2(Bucket="prod")["Contents"]}
    assert listed == {"a/b c.jpg", key}


@pytest.mark.parametrize("key", ["a/b c.jpg", "/lead", "é+%"])
def test_virtual_hosted_style(s3: StrictS3, connect: Connect, key: str) -> None:
    s3.put("prod", key, DATA)
    client = connect(endpoint=f"http://s3.localhost:{s3.port}", style="virtual")
    url = presign(client, Key=key)
    assert url.startswith(f"http://prod.s3.localhost:{s3.port}/")
    assert send(s3, "GET", url).body == DATA
    assert (s3.calls[-1].bucket, s3.calls[-1].key) == ("prod", key)
    # the host is signed: the same target is nothing in another bucket
    other = url.replace("//prod.", "//public.")
    assert send(s3, "GET", other).seen == (403, "SignatureDoesNotMatch")


def test_virtual_hosted_listing(s3: StrictS3, connect: Connect) -> None:
    url = connect(endpoint=f"http://s3.localhost:{s3.port}", style="virtual").generate_presigned_url(
        "list_objects_v2", Params={"Bucket": "prod", "Prefix": "a/"}
    )
    assert b"<Key>a/b%20c.jpg</Key>" in send(s3, "GET", url).body


def test_targets_that_are_no_paths(s3: StrictS3) -> None:
    for target in ("*", f"{s3.endpoint}/prod/a"):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", s3.port, timeout=10)) as connection:
            assert exchange(connection, "GET", target, {"Host": "x"}).status == 400
    assert s3.calls == []


def test_ranges_conditions_and_cors(s3: StrictS3, admin: Any) -> None:
    url = presign(admin)
    part = send(s3, "GET", url, {"Range": "bytes=2-4", "Origin": "http://page.test"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert not [name for name in part.headers if name.startswith("access-control-")]
    assert send(s3, "GET", url, {"Range": "bytes=0-1,4-5"}).status == 200
    assert send(s3, "GET", url, {"If-None-Match": part.headers["etag"]}).seen == (304, "")
    preflight = {"Origin": "http://page.test", "Access-Control-Request-Method": "GET"}
    assert send(s3, "OPTIONS", url, preflight).seen == (403, "AccessForbidden")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["http://page.test"]}
    admin.put_bucket_cors(Bucket="prod", CORSConfiguration={"CORSRules": [rule]})
    assert send(s3, "OPTIONS", url, preflight).headers["access-control-allow-origin"] == "http://page.test"
    allowed = send(s3, "GET", url, {"Origin": "http://page.test"})
    assert allowed.headers["access-control-allow-origin"] == "http://page.test"


# -- the tool itself -------------------------------------------------------------------------------------------------


def test_helpers_are_not_calls(s3: StrictS3, admin: Any) -> None:
    etag = s3.put("prod", "k", b"v", headers={"Cache-Control": "max-age=5"}, metadata={"a": "b"})
    assert s3.delete("prod", "a/b c.jpg")
    assert not s3.delete("prod", "a/b c.jpg")
    assert s3.objects("prod") == {"k": b"v"}
    assert s3.calls == []
    head = admin.head_object(Bucket="prod", Key="k")
    assert (head["ETag"], head["CacheControl"], head["Metadata"]) == (etag, "max-age=5", {"a": "b"})
    assert head["ContentType"] == "binary/octet-stream"
    with pytest.raises(ValueError, match="X-Nonsense"):
        s3.put("prod", "k", b"v", headers={"X-Nonsense": "1"})
    with pytest.raises(ValueError, match="exists"):
        s3.create_bucket("prod")
    with pytest.raises(ValueError, match="cannot create"):
        s3.create_bucket("no")
    with pytest.raises(LookupError, match="create_bucket"):
        s3.put("none", "k", b"v")
    s3.clear_calls()
    assert s3.calls == []


def test_deleted_versions_are_no_objects(s3: StrictS3, admin: Any) -> None:
    admin.put_bucket_versioning(Bucket="prod", VersioningConfiguration={"Status": "Enabled"})
    admin.put_object(Bucket="prod", Key="k", Body=b"1")
    admin.put_object(Bucket="prod", Key="k", Body=b"2")
    assert s3.objects("prod")["k"] == b"2"
    admin.delete_object(Bucket="prod", Key="k")
    assert "k" not in s3.objects("prod")


def test_repr_shows_no_secrets(s3: StrictS3, connect: Connect) -> None:
    client = connect("AKTEMP", token=TOKEN)
    client.get_object(Bucket="prod", Key="a/b c.jpg")
    send(s3, "GET", presign(client))
    header, query = s3.calls
    signatures = [header.headers["authorization"].rpartition("=")[2], query.query["X-Amz-Signature"]]
    for secret in (*signatures, TOKEN, quote(TOKEN)):
        assert secret not in repr(s3.calls)
    assert "GET 'prod' 'a/b c.jpg' -> 200" in repr(query)
    assert len({header, query}) == 2  # hashable


def test_contradictions() -> None:
    with pytest.raises(ValueError, match="AK"):
        StrictS3(keys={"AK": "1"}, read_only_keys={"AK": "1"})
    with pytest.raises(ValueError, match="NOPE"):
        StrictS3(keys={"AK": "1"}, no_list_keys=["NOPE"])
    with pytest.raises(RuntimeError, match="not running"):
        _ = StrictS3(keys={}).endpoint


def test_two_instances_do_not_meet(s3: StrictS3, admin: Any) -> None:
    with StrictS3(keys={"AKADMIN": SECRETS["AKADMIN"]}) as other:
        other.create_bucket("prod")
        other.create_bucket("only-there")
        other.put("prod", "k", b"there")
        assert list(s3.objects("prod")) == ["a/b c.jpg"]
        assert refusal(lambda: admin.get_object(Bucket="only-there", Key="k")) == (404, "NoSuchBucket")
        admin.create_bucket(Bucket="by-http")
        other.create_bucket("by-http")
    assert s3.objects("prod") == {"a/b c.jpg": DATA}
    assert refusal(lambda: admin.create_bucket(Bucket="prod")) == (409, "BucketAlreadyOwnedByYou")
    assert s3.objects("prod") == {"a/b c.jpg": DATA}


def test_threads(s3: StrictS3, connect: Connect) -> None:
    failures: list[BaseException] = []

    def work(name: str, client: Any) -> None:
        try:
            for number in range(20):
                body = f"{name} {number}".encode() * 100
                client.put_object(Bucket="prod", Key=f"{name}/{number}", Body=body)
                assert client.get_object(Bucket="prod", Key=f"{name}/{number}")["Body"].read() == body
        except (AssertionError, OSError, ClientError, BotoCoreError) as error:  # told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name, connect())) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(s3.calls) == 80
    assert len(s3.writes) == 40


def test_connections_are_kept(s3: StrictS3, admin: Any) -> None:
    url = presign(admin).removeprefix(s3.endpoint)
    headers = {"Host": f"127.0.0.1:{s3.port}"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", s3.port, timeout=10)) as connection:
        connection.connect()
        wire = connection.sock
        assert exchange(connection, "GET", url, headers).status == 200
        assert exchange(connection, "PUT", url, headers, b"refused, body and all").status == 403
        assert exchange(connection, "HEAD", url, headers).seen == (403, "")  # an error body would spoil the next answer
        assert exchange(connection, "GET", url, headers).status == 200
        assert connection.sock is wire


def test_close_frees_the_port_and_the_threads() -> None:
    before = set(threading.enumerate())
    s3 = StrictS3(keys={"AK": "1"}).start()
    port = s3.port
    with pytest.raises(RuntimeError, match="running already"):
        s3.start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as kept:
        assert exchange(kept, "GET", "/", {"Host": "x"}).status == 403
        began = time.monotonic()
        s3.close()
        assert time.monotonic() - began < 1
        assert set(threading.enumerate()) == before
        assert kept.sock.recv(1) == b""
    s3.close()
    with StrictS3(keys={}, port=port) as again:
        assert again.endpoint == f"http://127.0.0.1:{port}"


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            StrictS3(keys={}, port=port).start()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto_side, "find_spec", lambda name: None if name == "flask" else object())
    with pytest.raises(ModuleNotFoundError, match=r"flask: pip install 'mediamw\[demo\]'"):
        StrictS3(keys={}).start()


def test_nothing_is_taken_from_the_surroundings(tmp_path: Any) -> None:
    program = """
        import os, sys
        touched = []
        def watch(event, args):
            if event == "open" and ".aws" in str(args[0]):
                touched.append(args[0])
        sys.addaudithook(watch)
        before = dict(os.environ)
        from mediamw.testing.strict_s3 import StrictS3
        heavy = {"moto", "flask", "boto3", "botocore"} & set(sys.modules)
        assert not heavy, heavy
        with StrictS3(keys={"AK": "secret"}) as s3:
            s3.create_bucket("prod")
            s3.put("prod", "k", b"v")
            import http.client
            connection = http.client.HTTPConnection("127.0.0.1", s3.port)
            connection.request("GET", "/prod/k")
            assert connection.getresponse().status == 403
            connection.close()
        assert dict(os.environ) == before
        assert not touched, touched
    """
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("not a config file [")
    environment = {"HOME": str(tmp_path), "AWS_PROFILE": "none-such", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
