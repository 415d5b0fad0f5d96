"""What WritableS3Backend sends besides GET and HEAD: PUT, DELETE and uploads in parts, by clients that nobody else has.

1. An exclusive write says ``If-None-Match: *`` (Amazon S3 User Guide, "How to prevent object overwrites with
   conditional writes"): 412 is "somebody has the name", 409 "somebody just did something there": it is sent again.
2. A request that was lost, or met an overloaded server, is sent again, by us: only we know our object when we see it.
   Each upload has a token among its metadata. "Somebody has the name" after a lost answer is a success if it is ours.
3. Files of more than 64 MiB go in parts, one after the other; what was begun and fails is aborted.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Literal, TypeVar

from ..core.errors import MediaError, NameTaken
from ..core.keys import STATE_FOLDER
from .aws import AWSAccount
from .per_process import PerProcess
from .s3_draft import S3Draft
from .s3_write_errors import code_of, failures, has_no_answer, is_overload, status_of, write_error
from .sigv4 import Credentials

ATTEMPTS: Final = 4
CONNECTIONS: Final = 32
PAUSE_SECONDS = 0.2
"""Before the second attempt, doubled before each further one, and up to as much again by chance."""
CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 60
"""How long S3 may be silent: it answers a PUT when all of the object is stored."""
MAX_SINGLE_BYTES = 64 * 1024 * 1024
MAX_PUT_BYTES: Final = 5 * 1024**3
"""The longest object of one PUT (Amazon S3 User Guide, "Uploading objects")."""
PART_BYTES = 16 * 1024 * 1024
MAX_PARTS: Final = 10_000

Kind = Literal["put", "parts"]
T = TypeVar("T")
log = logging.getLogger("mediamw")

_UPLOAD: Final = "mediamw-upload"
_NO_CONDITIONS: Final = frozenset((400, 501))
_exclusive: Final[ContextVar[bool]] = ContextVar("mediamw_exclusive", default=False)


class WritingAccount(AWSAccount):
    """An account whose clients can do all that S3 can. ``S3Backend`` has none."""

    def writing_client(self, style: str, credentials: Credentials) -> Any:
        """Return a botocore client that sends each request once."""
        from botocore.config import Config

        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "max_pool_connections": CONNECTIONS,  # beyond those each upload opens one, and the log says so
        }
        # Newer botocores send checksums that many servers do not know. What is sent is signed with its hash anyway.
        for option in ("request_checksum_calculation", "response_checksum_validation"):
            if option in Config.OPTION_DEFAULTS:
                options[option] = "when_required"
        client = self._client(self._style_of(style), credentials, **options)
        # Older botocores do not know the parameter.
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"before-call.s3.{operation}", _add_condition)
        return client


class _State:
    """What one process has."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.client: tuple[Credentials, Any] | None = None
        self.probing = threading.Lock()
        self.honours: dict[Kind, bool] = {}


class BucketWriter:
    """Writes objects into one bucket. Threads may share it.

    ``folder`` is what the names of all its objects begin with, our own ones too; ``where`` gives the credentials and
    the origin of now.
    """

    def __init__(
        self,
        account: WritingAccount,
        bucket: str,
        folder: str,
        *,
        style: str,
        where: Callable[[], tuple[Credentials, str]],
        name: str,
    ) -> None:
        self._account, self._bucket, self._style = account, bucket, style
        self._folder = folder
        self._where = where
        self._name = name
        self._mine = PerProcess(_State)

    def put(self, object_key: str, draft: S3Draft, *, exclusive: bool, headers: dict[str, Any], key: str) -> None:
        """Store a draft. Raises ``NameTaken`` if it is to be exclusive and somebody has the name."""
        send = self._put_in_parts if self._goes_in_parts(draft, exclusive) else self._put_whole
        doubts = False

        def attempt() -> None:
            nonlocal doubts
            try:
                send(object_key, draft, exclusive, headers)
            except Exception as error:  # whatever botocore or urllib3 raises; what is not known here goes on
                if (doubts or status_of(error) == 404) and self._is_mine(object_key, draft):
                    return
                if code_of(error) == "PreconditionFailed" or status_of(error) == 412:
                    raise NameTaken("a file has this name", backend=self._name, key=key, operation="put") from None
                doubts = doubts or has_no_answer(error) or is_overload(error)
                raise

        self._again(attempt, key, "put")

    def delete(self, object_key: str, key: str) -> None:
        """Remove an object, if there is one."""
        self._again(lambda: self._client().delete_object(Bucket=self._bucket, Key=object_key), key, "delete")

    def has_below(self, prefix: str, key: str) -> bool:
        """Say whether some object's name begins with ``prefix``."""

        def ask() -> bool:
            answer = self._client().list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)
            return bool(answer.get("Contents"))

        return self._again(ask, key, "put")

    def honours_conditions(self, kind: Kind) -> bool:
        """Say whether the server refuses an exclusive write of a name that is taken: tried once in each process.

        Some silently overwrite, some do not know the header. It is tried with an object of our own, which is removed
        again. Raises ``BackendUnavailable`` if that cannot be told now.
        """
        mine = self._mine.get()
        with mine.probing:
            if kind not in mine.honours:
                mine.honours[kind] = self._probe(kind, f"{self._folder}{STATE_FOLDER}/probe/{secrets.token_hex(12)}")
                if not mine.honours[kind]:
                    log.warning(
                        "backend %r: its server does not honour If-None-Match (%s), so new files get names by chance",
                        self._name,
                        kind,
                    )
            return mine.honours[kind]

    def close(self) -> None:
        """Close the connections."""
        mine = self._mine.get()
        with mine.lock:
            held, mine.client = mine.client, None
        if held is not None:
            held[1].close()

    # -- how ----------------------------------------------------------------------------------------------------------

    def _goes_in_parts(self, draft: S3Draft, exclusive: bool) -> bool:
        if draft.size <= MAX_SINGLE_BYTES:
            return False
        return draft.size > MAX_PUT_BYTES or not exclusive or self.honours_conditions("parts")

    def _put_whole(self, object_key: str, draft: S3Draft, exclusive: bool, headers: dict[str, Any]) -> None:
        self._send(
            exclusive,
            lambda client: client.put_object(
                Bucket=self._bucket, Key=object_key, Body=draft.whole(), **_with_token(headers, draft)
            ),
        )

    def _put_in_parts(self, object_key: str, draft: S3Draft, exclusive: bool, headers: dict[str, Any]) -> None:
        client = self._client()
        upload = client.create_multipart_upload(Bucket=self._bucket, Key=object_key, **_with_token(headers, draft))
        here = {"Bucket": self._bucket, "Key": object_key, "UploadId": upload["UploadId"]}
        try:
            done = []
            for number, part in draft.parts(max(PART_BYTES, -(-draft.size // MAX_PARTS))):
                answer = self._repeated(partial(_send_part, client, here, number, part))
                done.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._send(
                exclusive, lambda client: client.complete_multipart_upload(**here, MultipartUpload={"Parts": done})
            )
        except BaseException:
            self._abort(client, here)
            raise

    def _abort(self, client: Any, here: dict[str, str]) -> None:
        try:
            self._repeated(lambda: client.abort_multipart_upload(**here))
        except failures() as error:
            if code_of(error) != "NoSuchUpload":  # it was completed, or aborted already
                log.warning(
                    "backend %r: the parts of a failed upload could not be removed: %s",
                    self._name,
                    type(error).__name__,
                )

    def _probe(self, kind: Kind, object_key: str) -> bool:
        send = self._put_whole if kind == "put" else self._put_in_parts
        draft = S3Draft(b"of mediamw; may be removed", None, lambda *_: None, backend=self._name)
        from botocore.exceptions import ClientError

        def attempt() -> bool:
            try:
                send(object_key, draft, True, {})
            except ClientError as error:
                if status_of(error) in _NO_CONDITIONS and code_of(error) in ("NotImplemented", "InvalidArgument"):
                    return False
                if status_of(error) != 412:
                    raise
                if not self._is_mine(object_key, draft):  # there by an attempt before this one, or refused whatever is
                    return False
            try:
                send(object_key, draft, True, {})
            except ClientError as error:
                if status_of(error) != 412:
                    raise
                return True
            return False

        try:
            honours = self._again(attempt, "", "put")
        except BaseException:
            with suppress(MediaError):  # what was wrong at first is told
                self.delete(object_key, "")
            raise
        finally:
            draft.close()
        self.delete(object_key, "")
        return honours

    def _is_mine(self, object_key: str, draft: S3Draft) -> bool:
        try:
            found = self._client().head_object(Bucket=self._bucket, Key=object_key)
        except failures():  # nobody knows: what was wrong at first is told
            return False
        return bool(found.get("Metadata", {}).get(_UPLOAD) == draft.token)

    def _send(self, exclusive: bool, send: Callable[[Any], Any]) -> None:
        token = _exclusive.set(exclusive)
        try:
            send(self._client())
        finally:
            _exclusive.reset(token)

    def _client(self) -> Any:
        credentials, _ = self._where()
        mine = self._mine.get()
        with mine.lock:
            if mine.client is None or mine.client[0] != credentials:
                mine.client = credentials, self._account.writing_client(self._style, credentials)
            return mine.client[1]

    def _again(self, attempt: Callable[[], T], key: str, operation: str) -> T:
        """Try as often as makes sense. Raises mediamw's errors."""
        try:
            return self._repeated(attempt)
        except failures(ValueError, KeyError) as error:  # the last two: XML that is none of S3's
            origin = self._where()[1]
            raise write_error(error, self._bucket, origin, backend=self._name, key=key, operation=operation) from None

    def _repeated(self, attempt: Callable[[], T]) -> T:
        for number in range(ATTEMPTS):
            try:
                return attempt()
            except failures() as error:
                passes = is_overload(error) or has_no_answer(error) or code_of(error) == "ConditionalRequestConflict"
                # A dead server costs two time-outs, not four.
                if not passes or number == (1 if has_no_answer(error) else ATTEMPTS - 1):
                    raise
            time.sleep(PAUSE_SECONDS * 2**number * random.uniform(1, 2))  # noqa: S311 - no secret
        raise AssertionError("unreachable")


def _with_token(headers: dict[str, Any], draft: S3Draft) -> dict[str, Any]:
    return {**headers, "Metadata": {**headers.get("Metadata", {}), _UPLOAD: draft.token}}


def _send_part(client: Any, here: dict[str, str], number: int, part: Any) -> Any:
    part.seek(0)  # an attempt before this one may have read it
    return client.upload_part(**here, PartNumber=number, Body=part)


def _add_condition(params: dict[str, Any], **_: Any) -> None:
    if _exclusive.get():
        params["headers"]["If-None-Match"] = "*"
