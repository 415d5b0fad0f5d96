"""Buckets as DEPOT keeps them: read as they lie, written as DEPOT does, never made, and production never written to."""

from __future__ import annotations

import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

pytest.importorskip("moto")

from mediamw import BackendUnavailable, ConfigError, MediaStack, MemoryBackend, NotWritable
from mediamw.backends import s3_writer
from mediamw.backends.base import Puts, Signs
from mediamw.backends.s3_hosts import Domain
from mediamw.core.errors import NotServable
from mediamw.core.keys import Key
from mediamw.core.model import Missing
from mediamw.ext.depot.io import awss3
from mediamw.ext.depot.io.boto3 import DepotBucket, ReadOnlyDepotBucket, S3Storage, fitting
from mediamw.ext.depot.io.interfaces import FileStorage
from mediamw.ext.depot.io.local import DepotDirectory
from mediamw.ext.depot.utils import percent_encoded
from mediamw.testing import StrictS3, check_backend

ID = Key("0f5ef2d2-6c1b-11ef-9f1a-0242ac120002")
NAMES = ["a.txt", "Küche 1.jpg", "些公.pdf", "100%.txt", 'a"b;c.txt', "unnamed"]
ALL, READ = ("AKALL", "secret"), ("AKREAD", "read-secret")


def id_of(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


SAMPLES = {id_of(name): data for name, data in {"a": b"a", "empty": b"", "big": bytes(range(251)) * 4200}.items()}


@pytest.fixture(scope="module")
def server() -> Iterator[StrictS3]:
    with StrictS3(keys=dict([ALL]), read_only_keys=dict([READ]), public_buckets=["public"]) as started:
        for bucket in ("prod", "dev", "public"):
            started.create_bucket(bucket)
        yield started


@pytest.fixture
def s3(server: StrictS3) -> StrictS3:
    for bucket in ("prod", "dev", "public"):
        for key in server.objects(bucket):
            server.delete(bucket, key)
    server.clear_calls()
    return server


@pytest.fixture
def made() -> Iterator[Any]:
    """Close backends and stacks at the end of the test: ``made(backend)`` returns it."""
    things: list[Any] = []

    def note(thing: Any) -> Any:
        things.append(thing)
        return thing

    yield note
    for thing in things:
        thing.close()


def writable(s3: StrictS3, bucket: str = "dev", **options: Any) -> DepotBucket:
    keys = dict(zip(("access_key_id", "secret_access_key"), ALL, strict=True))
    return DepotBucket(bucket, endpoint_url=s3.endpoint, **keys, **options)


def read_only(s3: StrictS3, bucket: str = "prod", **options: Any) -> ReadOnlyDepotBucket:
    keys = dict(zip(("access_key_id", "secret_access_key"), READ, strict=True))
    return ReadOnlyDepotBucket(bucket, endpoint_url=s3.endpoint, name="prod", **keys, **options)


def depots(s3: StrictS3, bucket: str, **options: Any) -> Any:
    """DEPOT's own storage."""
    return pytest.importorskip("depot.io.boto3").S3Storage(*ALL, bucket, endpoint_url=s3.endpoint, **options)


def fetch(method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
    with urllib3.PoolManager() as http:
        answer = http.request(method, url, redirect=False, retries=False)
        return answer.status, answer.headers, answer.data


# -- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "up loads/ü/", "media-"])
def test_pass_the_suite(s3: StrictS3, made: Any, prefix: str) -> None:
    for name, data in SAMPLES.items():
        for bucket in ("prod", "dev"):
            s3.put(bucket, prefix + name, data)
    for bucket in ("prod", "dev"):
        s3.put(bucket, f"{prefix}no-id", b"x")
        s3.put(bucket, f"{prefix}{ID}/x", b"x")
        if prefix:
            s3.put(bucket, str(ID), b"not below the prefix")
    check_backend(made(read_only(s3, prefix=prefix)), SAMPLES, writable=False, fetch=fetch)
    assert s3.writes == []
    check_backend(made(writable(s3, prefix=prefix)), SAMPLES, writable=True, fetch=fetch, make_key=id_of)
    assert all(call.key.startswith(prefix) for call in s3.writes)


def test_what_is_no_id_costs_no_request(s3: StrictS3, made: Any) -> None:
    backend = made(writable(s3))
    for key in ("a.jpg", f"{ID}/a", ID[:-1]):
        assert backend.open(Key(key)) is None
        assert backend.delete(Key(key)) is False
        with pytest.raises(NotServable, match="stored under UUIDs alone"):
            backend.put(Key(key), b"x")
    assert backend.list_page("") is None, "each id is asked for: no page of names tells of others"
    assert s3.calls == []


def test_who_may_only_read_can_only_read(s3: StrictS3, made: Any) -> None:
    backend = made(read_only(s3))
    assert not isinstance(backend, Puts)
    assert isinstance(backend, Signs)
    assert not hasattr(backend, "delete")
    storage = FileStorage(made(MediaStack([backend])))
    for act in (lambda: storage.create(b"x"), lambda: storage.delete(ID), lambda: storage.stack.save(ID, b"x")):
        with pytest.raises(NotWritable):
            act()
    assert s3.writes == []


# -- DEPOT itself ------------------------------------------------------------------------------------------------------

FIELDS = ("file_id", "filename", "content_type", "last_modified", "content_length", "name")


@pytest.mark.parametrize("prefix", ["", "files/", "media-"])
def test_what_depot_wrote(s3: StrictS3, made: Any, prefix: str) -> None:
    depot = depots(s3, "prod", prefix=prefix)
    ids = [depot.create(b"theirs", filename, "text/plain") for filename in NAMES]
    s3.clear_calls()
    storage = FileStorage(made(MediaStack([read_only(s3, prefix=prefix)])))
    assert [storage.get(file_id).filename for file_id in ids] == NAMES
    for file_id in ids:
        theirs, ours = depot.get(file_id), storage.get(file_id)
        for name in FIELDS:
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.read() == theirs.read() == b"theirs"
        assert repr(ours).partition(":")[2] == repr(theirs).partition(":")[2]
    assert storage.list() == sorted(ids)
    assert s3.writes == []


@pytest.mark.parametrize("prefix", ["", "files/", "media-"])
def test_what_depot_reads_and_deletes(s3: StrictS3, made: Any, prefix: str) -> None:
    depot = depots(s3, "dev", prefix=prefix)
    storage = FileStorage(made(MediaStack([writable(s3, prefix=prefix)])))
    ids = [storage.create(b"ours", filename, "text/plain") for filename in NAMES]
    for data in (b"ours", b"replaced"):
        for file_id, filename in zip(ids, NAMES, strict=True):
            if data != b"ours":
                storage.replace(file_id, data)
            theirs, ours = depot.get(file_id), storage.get(file_id)
            assert ours.filename == filename
            for name in FIELDS:
                assert getattr(ours, name) == getattr(theirs, name), name
            assert theirs.read() == data
    assert depot.list() == sorted(ids)
    depot.delete(ids[0])
    assert not storage.exists(ids[0])


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_no_bucket_is_made_or_listed(s3: StrictS3, made: Any) -> None:
    storage = S3Storage(*ALL, "missing", endpoint_url=s3.endpoint)
    made(storage.stack)
    for act in (
        lambda: storage.create(b"x", "a.txt"),
        lambda: storage.get(ID),
        lambda: storage.exists(ID),
        lambda: storage.replace(ID, b"x"),
        lambda: storage.delete(ID),
        lambda: storage.list(),
    ):
        with pytest.raises(BackendUnavailable, match="there is no bucket missing at"):
            act()
    assert {call.bucket for call in s3.calls} == {"missing"}
    assert [call for call in s3.writes if not call.key] == []


def test_the_default_bucket_is_depots() -> None:
    for kind in (S3Storage, awss3.S3Storage):
        assert kind("AKExample", "secret").bucket_name == "filedepot-akexample"


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({}, {}),
        ({"policy": "private"}, {}),
        ({"policy": "public-read"}, {"x-amz-acl": "public-read"}),
        ({"storage_class": "STANDARD_IA"}, {"x-amz-storage-class": "STANDARD_IA"}),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_what_is_stored_with_a_file(
    s3: StrictS3, made: Any, monkeypatch: pytest.MonkeyPatch, options: Any, headers: dict[str, str], in_parts: bool
) -> None:
    if in_parts:
        monkeypatch.setattr(s3_writer, "MAX_SINGLE_BYTES", 10)
    backend = made(writable(s3, **options))
    with closing(backend.draft_called(b"x" * 100, "Küche 1.jpg", content_type="image/jpeg")) as draft:
        draft.publish(ID, replace=True)
    sent = next(call for call in s3.writes if call.key == ID).headers
    stored = {
        "content-type": "image/jpeg",
        "content-disposition": "inline; filename=\"Kuche 1.jpg\"; filename*=utf-8''K%C3%BCche%201.jpg",
        "x-amz-meta-x-depot-filename": "K%C3%BCche%201.jpg",
        **headers,
    }
    assert {name: sent.get(name) for name in stored} == stored
    if not headers:
        assert not {"x-amz-acl", "x-amz-storage-class"} & set(sent)
    found = backend.open(ID)
    assert (found.meta.filename, found.meta.content_type, found.meta.size) == ("Küche 1.jpg", "image/jpeg", 100)


def test_the_state_of_a_stack_has_no_metadata(s3: StrictS3, made: Any) -> None:
    s3.put("prod", ID, b"theirs")
    stack = made(MediaStack([writable(s3, policy="public-read"), read_only(s3)]))
    assert stack.delete(ID)
    assert not stack.exists(ID)
    marker = next(call for call in s3.writes if "whiteouts" in call.key)
    assert not [name for name in marker.headers if "x-depot" in name or name == "x-amz-acl"]
    assert FileStorage(stack).list() == []
    assert {call.bucket for call in s3.writes} == {"dev"}


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a.jpg", "a.jpg"),
        ("x" * 2000 + ".jpg", "x" * 1020 + ".jpg"),
        ("ü" * 255 + ".jpg", "ü" * 170 + ".jpg"),
        ("a." + "x" * 2000, "a." + "x" * 1022),
        ("\udc80" * 500, "\udc80" * 341),
        ("", ""),
    ],
)
def test_names_that_metadata_have_no_room_for(name: str, fits: str) -> None:
    if not name.startswith("\udc80"):  # a half of a pair is a question mark by then
        assert fitting(name) == fits
    assert len(percent_encoded(fitting(name))) <= 1024


def test_a_long_name_is_stored(s3: StrictS3, made: Any) -> None:
    storage = FileStorage(made(MediaStack([writable(s3)])))
    file_id = storage.create(b"x", "些" * 300 + ".pdf", "application/pdf")
    name = storage.get(file_id).filename
    assert name is not None
    assert name.startswith("些" * 100)
    assert name.endswith(".pdf")


@pytest.mark.parametrize(
    ("metadata", "filename"),
    [
        ({}, None),
        ({"x-depot-filename": ""}, None),
        ({"x-depot-filename": "%ff%0d%0a.txt"}, "\ufffd\r\n.txt"),
        ({"x-depot-filename": "%", "x-depot-modified": "INVALID"}, "%"),
        ({"x-depot-modified": "0001-01-01 00:00:00"}, None),
        ({"x-depot-modified": "2020-02-29 12:00:00 or so"}, None),
    ],
)
def test_metadata_is_hostile(s3: StrictS3, made: Any, metadata: dict[str, str], filename: str | None) -> None:
    s3.put("prod", ID, b"x", metadata=metadata)
    backend = made(read_only(s3))
    found = backend.open(ID)
    assert found.meta.filename == filename
    _, headers, _ = fetch("GET", backend.sign(ID, "GET", time.time()).url)
    modified = parsedate_to_datetime(headers["Last-Modified"]).timestamp()
    assert found.meta.mtime_ns == int(modified) * 10**9, "the bucket's own date"


@pytest.mark.parametrize("option", [{"policy": "public"}, {"prefix": "a\nb"}, {"prefix": None}, {"location": "a"}])
def test_what_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        DepotBucket("bucket", access_key_id="AK", secret_access_key="secret", **option)


def test_layers_of_one_bucket(s3: StrictS3, made: Any) -> None:
    made(MediaStack([writable(s3, "prod", prefix="dev-"), read_only(s3, prefix="prod-")]))
    for prefix in ("prod-", "files/"):
        with pytest.raises(ConfigError, match="has the same files"):
            MediaStack([made(writable(s3, "prod", prefix=prefix)), made(read_only(s3, prefix=prefix))])
    with pytest.raises(ConfigError, match="lies inside"):
        MediaStack([made(writable(s3, "prod", prefix="files/dev-")), made(read_only(s3, prefix="files/"))])


# -- URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [None, "private"])
def test_urls_are_signed_and_work(s3: StrictS3, made: Any, policy: str | None) -> None:
    storage = FileStorage(made(MediaStack([writable(s3, policy=policy)])))
    file_id = storage.create(b"ours", "Küche.jpg", "image/jpeg")
    url = storage.get(file_id).public_url
    assert url is not None
    assert "X-Amz-Signature=" in url
    status, headers, body = fetch("GET", url)
    assert (status, body, headers["Content-Type"]) == (200, b"ours", "image/jpeg")
    assert headers["Content-Disposition"].endswith("filename*=utf-8''K%C3%BCche.jpg")
    assert fetch("GET", url.partition("?")[0])[0] == 403


def test_a_public_bucket_has_plain_urls(s3: StrictS3, made: Any) -> None:
    storage = S3Storage(*ALL, "public", endpoint_url=s3.endpoint, prefix="files/")  # DEPOT's default is public-read
    made(storage.stack)
    file_id = storage.create(b"ours", "a.txt")
    url = storage.get(file_id).public_url
    assert url == f"{s3.endpoint}/public/files/{file_id}"
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"ours"


def test_a_cdn_has_plain_urls(s3: StrictS3, made: Any) -> None:
    s3.put("prod", f"files/{ID}", b"x")
    stack = made(MediaStack([read_only(s3, prefix="files/", custom_domain="cdn.example.com")]))
    assert FileStorage(stack).get(ID).public_url == f"https://cdn.example.com/files/{ID}"


def test_a_cdn_that_signs_signs_for_public_files_too(made: Any) -> None:
    """What is not public at the bucket is not what ``policy`` speaks of."""
    backend = made(DepotBucket("photos", policy="public-read", custom_domain="cdn.example.com"))
    backend._domain = Domain("https://cdn.example.com", "/", SimpleNamespace(sign=lambda url, _: f"{url}?Signature=1"))
    assert backend.sign(ID, "GET", 0).url == f"https://cdn.example.com/{ID}?Signature=1"


def test_a_listing_tells_no_date_that_is_another(s3: StrictS3, made: Any) -> None:
    FileStorage(made(MediaStack([writable(s3)]))).create(b"x", "a.txt")
    (entry,) = made(writable(s3)).list("", recursive=True)
    assert (entry.meta.size, entry.meta.mtime_ns) == (1, None)


def test_urls_are_the_regions(made: Any) -> None:
    storage = S3Storage(*ALL, "photos", "eu-west-1", policy="private", prefix="a/")
    signed = made(storage.stack.upper).sign(ID, "GET", 0).url
    assert signed.startswith(f"https://photos.s3.eu-west-1.amazonaws.com/a/{ID}?")
    public = made(S3Storage(*ALL, "photos", "eu-west-1").stack.upper).sign(ID, "GET", 0)
    assert (public.url, public.expires) == (f"https://photos.s3.eu-west-1.amazonaws.com/{ID}", None)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "https://photos.s3.us-east-1.amazonaws.com/"),
        ("s3.amazonaws.com", "https://photos.s3.us-east-1.amazonaws.com/"),
        ("s3.eu-central-1.amazonaws.com", "https://photos.s3.eu-central-1.amazonaws.com/"),
        ("s3-eu-west-1.amazonaws.com", "https://photos.s3.eu-west-1.amazonaws.com/"),
        ("https://s3.us-east-2.amazonaws.com/", "https://photos.s3.us-east-2.amazonaws.com/"),
        ("s3.example.com", "https://s3.example.com/photos/"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/photos/"),
    ],
)
def test_the_host_of_the_older_storage(made: Any, host: str | None, url: str) -> None:
    storage = awss3.S3Storage(*ALL, "photos", host, encrypt_key=True)
    assert made(storage.stack.upper).sign(ID, "GET", 0).url == f"{url}{ID}"


@pytest.mark.parametrize("host", ["s3.eu-central-1.amazonaws.com", "s3-eu-central-1.amazonaws.com"])
def test_the_older_storage_signs_for_the_region_of_its_host(made: Any, host: str) -> None:
    storage = awss3.S3Storage(*ALL, "photos", host, policy="private")
    assert "%2Feu-central-1%2Fs3%2F" in made(storage.stack.upper).sign(ID, "GET", 0).url


def test_a_file_of_a_bucket_seeks(s3: StrictS3, made: Any) -> None:
    storage = FileStorage(made(MediaStack([writable(s3)])))
    with storage.get(storage.create(b"0123456789" * 1000, "a.txt")) as file:
        assert file.read(5) == b"01234"
        assert file.seek(-3, 2) == 9997
        assert file.read() == b"789"


# -- layers ------------------------------------------------------------------------------------------------------------


def test_a_developers_directory_over_production(s3: StrictS3, made: Any, tmp_path: Path) -> None:
    """Rows of a dump name production's files, which DEPOT itself has stored there. Production is never written to."""
    production = depots(s3, "prod", prefix="files/")
    kept, replaced, deleted = (production.create(b"theirs", f"{name}.txt") for name in "abc")
    before = s3.objects("prod")
    s3.clear_calls()
    stack = made(MediaStack([DepotDirectory(tmp_path), read_only(s3, prefix="files/")], base_url="/media/"))
    storage = FileStorage(stack)

    assert sorted(storage.list()) == sorted([kept, replaced, deleted])
    with storage.get(kept) as file:
        assert (file.read(), file.filename, file.content_type) == (b"theirs", "a.txt", "text/plain")
    url = storage.get(kept).public_url
    assert url is not None
    assert fetch("GET", url)[2] == b"theirs"

    assert storage.replace(replaced, b"ours") == replaced
    with storage.get(replaced) as file:
        assert (file.read(), file.filename, file.content_type) == (b"ours", "b.txt", "text/plain")
        assert file.public_url is None, "what is here is served by us"

    storage.delete(deleted)
    storage.delete(deleted)
    assert not storage.exists(deleted)
    for act in (lambda: storage.get(deleted), lambda: storage.replace(deleted, b"x")):
        with pytest.raises(FileNotFoundError):
            act()

    new = storage.create(b"new", "d.png")
    with storage.get(new) as file:
        assert (file.read(), file.content_type) == (b"new", "image/png")
    assert sorted(storage.list()) == sorted([kept, replaced, new])

    assert s3.writes == []
    assert {call.access_key_id for call in s3.calls} == {READ[0]}
    assert s3.objects("prod") == before
    with production.get(replaced) as file:
        assert file.read() == b"theirs"


def test_a_pulled_copy_has_its_name(s3: StrictS3, made: Any, tmp_path: Path) -> None:
    file_id = depots(s3, "prod").create(b"theirs", "Küche.txt")
    stack = made(MediaStack([DepotDirectory(tmp_path), read_only(s3, delivery="pull")]))
    assert stack.pull(file_id)
    assert stack.stat(file_id).filename == "Küche.txt"
    assert stack.pull(file_id, keep=True)
    found = DepotDirectory(tmp_path).open(Key(file_id))
    assert found is not None
    with closing(found):
        assert (found.meta.filename, found.meta.content_type) == ("Küche.txt", "text/plain")


def test_what_is_no_id_is_never_sent_to_unchecked(s3: StrictS3, made: Any, tmp_path: Path) -> None:
    """With ``check=False`` clients are sent to a bucket that is not asked: not to what else lies in it."""
    s3.put("prod", "invoices/1.pdf", b"private")
    s3.put("prod", str(ID), b"theirs")
    stack = made(MediaStack([DepotDirectory(tmp_path), read_only(s3, check=False)], base_url="/media/"))
    for key in ("invoices/1.pdf", "1.pdf", f"{ID}/x"):
        assert isinstance(stack.find(key), Missing)
        assert stack.url(key) == f"/media/{key}"
    assert fetch("GET", stack.url(ID))[2] == b"theirs"


def test_uploads_work_while_production_is_away(s3: StrictS3, made: Any) -> None:
    away = ReadOnlyDepotBucket("prod", endpoint_url="http://127.0.0.1:9", access_key_id="AK", secret_access_key="s")
    storage = FileStorage(made(MediaStack([MemoryBackend(), away])))
    file_id = storage.create(b"x", "a.txt")
    assert storage.get(file_id).read() == b"x"
    with pytest.raises(BackendUnavailable):
        storage.get(ID)
