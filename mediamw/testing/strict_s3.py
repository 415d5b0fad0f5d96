"""``StrictS3``: an S3 server for tests and the demo, in this process, that refuses what S3 refuses.

moto keeps the buckets and speaks S3, but it checks no signature, no expiry and no method of a presigned URL: with moto
alone a test cannot tell a right URL from a wrong one. So a guard stands before it. Every request over HTTP is verified
(``sigv4_check``), authorized by the rules of its key, recorded, and only then given to moto.

    with StrictS3(keys={"AKID": "secret"}, read_only_keys={"AKRO": "secret2"}) as s3:
        s3.create_bucket("prod")
        s3.put("prod", "a/b c.jpg", b"...", content_type="image/jpeg")
        ...  # the program under test talks to s3.endpoint
        assert s3.writes == []

Rules:

1. Errors are S3's: an XML document with Code and Message (Amazon S3 API Reference, "Error responses"); a HEAD has none.
2. Unsigned requests are refused, except reads of objects in ``public_buckets``. OPTIONS needs no signature, in S3
   neither; a bucket without a CORS configuration answers it 403 and sends no CORS headers (images need none).
3. A read-only key may GET and HEAD, nothing else. A key without ListBucket may not list, and gets 403 for a missing
   object where others get 404.
4. The helper methods (``put``, ``delete``, ``objects``) go to moto's memory: they are not calls and need no key.
5. Each instance has its own account and its own buckets; two may each have a bucket "prod". moto is still one per
   process: a ``mock_aws`` block resets it, and takes the objects of every running StrictS3 along.
6. Nothing is read from ``AWS_*`` variables or ``~/.aws``. Signatures follow ``clock``; the dates of objects are real.
7. What is served is moto's: a Range of one part is 206, one of several parts is 200 with the whole body.
"""

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

from .guard import READS, Guard, denied
from .http_server import Answer, Server
from .moto_side import keep_moto_from_profiles, moto_environ, require_moto
from .s3_request import AuthKind, HttpRequest, S3Error
from .sigv4_claim import Claim, read_claim

SECRET_PARAMETERS = frozenset({"x-amz-signature", "x-amz-security-token", "signature"})
_accounts = itertools.count(900_000_000_001)  # moto keeps its data apart by account


@dataclass(frozen=True)
class Call:
    """One request that came over HTTP, and the status it got."""

    method: str
    bucket: str  # "" for the service itself
    key: str  # decoded; "" for the bucket itself
    query: dict[str, str] = field(hash=False)  # decoded; of a repeated parameter the first
    headers: dict[str, str] = field(hash=False)  # lower-case names
    access_key_id: str | None  # as claimed; None if unsigned or unreadable
    status: int
    auth: AuthKind

    def __repr__(self) -> str:
        """Without headers, signature and token: test reports are kept and passed around."""
        query = {name: "***" if name.lower() in SECRET_PARAMETERS else value for name, value in self.query.items()}
        who = f"access_key_id={self.access_key_id!r}, auth={self.auth!r}"
        return f"Call({self.method} {self.bucket!r} {self.key!r} -> {self.status}, {who}, {query=})"


class StrictS3:
    """An S3 endpoint on 127.0.0.1. Use it as a context manager, or ``start()`` and ``close()`` it.

    ``keys``, ``read_only_keys``: access key id -> secret. ``no_list_keys``: ids among them without ListBucket.
    ``session_tokens``: id -> the token that its requests must carry. ``region``: the endpoint's, where all buckets live
    but those named in ``regions`` (bucket -> region). ``public_buckets``: whose objects anybody may read.
    ``port``: 0 lets the system choose. ``clock``: seconds since the epoch, what expiry is judged by.
    ``virtual_host_suffix``: ``Host: BUCKET.s3.localhost:PORT`` is virtual-hosted style, any other host path style.

    Raises ValueError for contradicting arguments; ``start`` raises OSError if the port is taken and ModuleNotFoundError
    if the ``demo`` extra is not installed.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        read_only_keys: Mapping[str, str] | None = None,
        no_list_keys: Collection[str] = (),
        session_tokens: Mapping[str, str] | None = None,
        region: str = "us-east-1",
        regions: Mapping[str, str] | None = None,
        public_buckets: Collection[str] = (),
        port: int = 0,
        clock: Callable[[], float] = time.time,
        virtual_host_suffix: str = "s3.localhost",
    ) -> None:
        self._guard = Guard(
            keys=keys,
            read_only_keys=read_only_keys or {},
            no_list_keys=no_list_keys,
            session_tokens=session_tokens or {},
            region=region,
            regions=regions or {},
            public_buckets=public_buckets,
            clock=clock,
        )
        self.region = region
        self._port = port
        self._clock = clock
        self._virtual_suffix = f".{virtual_host_suffix}"
        self._account = str(next(_accounts))
        self._request_ids = itertools.count(1)
        self._lock = threading.Lock()  # guards _calls and the making of buckets
        self._writing = threading.Lock()
        self._calls: list[Call] = []
        self._server: Server | None = None
        self._app: Any = None  # moto's Flask application
        self._s3: Any = None  # moto's S3Backend of our account

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Serve until ``close``. A closed instance can be started again, empty."""
        require_moto()
        keep_moto_from_profiles()
        from moto.moto_server.werkzeug_app import create_backend_app
        from moto.s3.models import s3_backends

        if self._server is not None:
            raise RuntimeError("StrictS3 is running already")
        self._server = Server(self._port, self._answer)
        self._app = create_backend_app("s3")
        self._app.debug = False  # an error inside moto is a 500 and a log line, not a dropped connection
        self._app.after_request_funcs.clear()  # moto adds "Access-Control-Allow-Origin: *" to everything; S3 does not
        self._s3 = s3_backends[self._account]["aws"]
        self._server.start()
        return self

    def close(self) -> None:
        """Stop serving, cut kept-alive connections, free the port and forget the buckets. Harmless when not running."""
        if self._server is None:
            return
        self._server.stop()
        self._server = None
        from moto.iam.models import iam_backends
        from moto.s3.models import s3_backends

        for bucket in self._s3.buckets.values():
            versions = itertools.chain.from_iterable(made for _, made in bucket.keys.lists())
            for made in itertools.chain(versions, bucket.multiparts.values()):
                if hasattr(made, "dispose"):  # closes its temporary file; a delete marker has none
                    made.dispose()
        # Not S3Backend.reset(): that disposes of the objects of all accounts.
        s3_backends.pop(self._account, None)
        iam_backends.pop(self._account, None)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The TCP port served. RuntimeError when not running."""
        if self._server is None:
            raise RuntimeError("StrictS3 is not running: use it in a with block, or call start()")
        return self._server.server_port

    @property
    def endpoint(self) -> str:
        """``http://127.0.0.1:PORT``, for path style."""
        return f"http://127.0.0.1:{self.port}"

    # -- what was asked --------------------------------------------------------------------------------------------

    @property
    def calls(self) -> list[Call]:
        """Every call so far, oldest first, refused ones too: a copy."""
        with self._lock:
            return list(self._calls)

    @property
    def writes(self) -> list[Call]:
        """The calls that meant to change something: all but GET, HEAD and OPTIONS, refused ones too."""
        return [call for call in self.calls if call.method not in (*READS, "OPTIONS")]

    @property
    def gets(self) -> list[Call]:
        return [call for call in self.calls if call.method == "GET"]

    @property
    def heads(self) -> list[Call]:
        return [call for call in self.calls if call.method == "HEAD"]

    def clear_calls(self) -> None:
        with self._lock:
            self._calls.clear()

    # -- straight to moto's memory ---------------------------------------------------------------------------------

    def create_bucket(self, bucket: str) -> None:
        """Make an empty bucket in its region (``regions``). Raises ValueError if it is there, or for a bad name."""
        from moto.s3.exceptions import S3ClientError

        with self._lock:
            if bucket in self._s3.buckets:
                raise ValueError(f"bucket {bucket!r} exists")
            try:
                self._s3.create_bucket(bucket, self._guard.region_of(bucket))
            except S3ClientError as error:
                raise ValueError(f"cannot create bucket {bucket!r}: {error.message}") from error
            self._unshare(bucket)

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        content_type: str = "binary/octet-stream",
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write an object and return its ETag in its quotes.

        ``headers`` are those S3 stores (Cache-Control, Content-Encoding, ...), ``metadata`` becomes ``x-amz-meta-*``.
        Raises LookupError for an unknown bucket, ValueError for a header that S3 would not store.
        """
        from moto.s3.utils import metadata_from_headers

        self._bucket(bucket)
        sent = {**(headers or {}), **{f"x-amz-meta-{name}": text for name, text in (metadata or {}).items()}}
        stored = metadata_from_headers({"Content-Type": content_type, **sent})
        if lost := [name for name in sent if name not in stored]:
            raise ValueError(f"S3 does not store {lost}")
        made = self._s3.put_object(bucket, key, data)
        made.set_metadata(stored)
        return str(made.etag)

    def delete(self, bucket: str, key: str) -> bool:
        """Remove an object. False if it was not there; LookupError for an unknown bucket."""
        self._bucket(bucket)
        return bool(self._s3.delete_object(bucket, key)[0])

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Key -> content of all that is in the bucket now. LookupError for an unknown bucket."""
        newest = ((key, versions[-1]) for key, versions in self._bucket(bucket).keys.lists())
        return {key: made.value for key, made in newest if hasattr(made, "value")}  # a delete marker has none

    # -- the guard -------------------------------------------------------------------------------------------------

    def _answer(self, request: HttpRequest) -> Answer:
        """Verify, authorize, ask moto, record."""
        bucket, raw_key = self._address(request)
        key = unquote(raw_key)
        claim: Claim | None = None
        try:
            # A browser asks OPTIONS for the URL that was signed for its GET: no signature is looked at.
            claim = None if request.method == "OPTIONS" else read_claim(request)
            if claim is not None:
                self._guard.verify(claim, request, bucket)
            found = self._s3.buckets.get(bucket)
            self._guard.authorize(claim, request, bucket, key, cors=found is not None and bool(found.cors))
            if request.method in READS:
                status, headers, body = self._ask_moto(request, bucket, raw_key)
            else:
                with self._writing:  # moto looks and then writes: of two conditional PUTs at once both would be done
                    status, headers, body = self._ask_moto(request, bucket, raw_key)
            if status == 404 and request.method in READS and key and found is not None and self._guard.unlisting(claim):
                raise denied()  # who may not list may not learn what is missing
        except S3Error as error:
            request_id = f"{next(self._request_ids):016X}"
            body = error.xml(request_id)  # which the handler drops for a HEAD
            headers = [("Content-Type", "application/xml"), ("x-amz-request-id", request_id), *error.headers.items()]
            status = error.status
        headers.append(("Date", formatdate(self._clock(), usegmt=True)))
        call = Call(
            request.method,
            bucket,
            key,
            dict(request.parameters),
            dict(request.header_map),
            claim.access_key_id if claim else None,
            status,
            request.auth,
        )
        with self._lock:
            self._calls.append(call)
        return status, headers, body

    def _address(self, request: HttpRequest) -> tuple[str, str]:
        """The bucket, and the key as it stands in the target."""
        path = request.raw_path.removeprefix("/")
        host = request.header_map.get("host", "").rpartition(":")[0] or request.header_map.get("host", "")
        if host.endswith(self._virtual_suffix):
            return host.removesuffix(self._virtual_suffix), path
        bucket, _, raw_key = path.partition("/")
        return unquote(bucket), raw_key

    def _ask_moto(self, request: HttpRequest, bucket: str, raw_key: str) -> Answer:
        # moto would make a bucket anew that it has been told to keep out of its shared namespace.
        making = request.method == "PUT" and not raw_key and not set(request.parameters) - {"x-id"}
        if making and bucket in self._s3.buckets:
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise S3Error(409, "BucketAlreadyOwnedByYou", message, details={"BucketName": bucket})
        started: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            started.append((int(status[:3]), list(headers)))

        environ = moto_environ(request, f"/{quote(bucket)}/{raw_key}" if bucket else "/", self.port, self._account)
        parts: Iterable[bytes] = self._app(environ, start_response)
        body = b"".join(parts)
        if making:
            self._unshare(bucket)
        status, headers = started[-1]
        return status, [(name, value) for name, value in headers if name.lower() != "date"], body

    def _bucket(self, bucket: str) -> Any:
        if self._server is None:
            raise RuntimeError("StrictS3 is not running: use it in a with block, or call start()")
        if bucket not in self._s3.buckets:
            raise LookupError(f"no bucket {bucket!r}: create_bucket({bucket!r}) first")
        return self._s3.buckets[bucket]

    def _unshare(self, bucket: str) -> None:
        """Take the name out of moto's list of all accounts' buckets, so that instances do not see each other's."""
        from moto.s3.models import s3_backends

        if s3_backends.bucket_accounts.get(bucket) == ("aws", self._account):
            del s3_backends.bucket_accounts[bucket]
