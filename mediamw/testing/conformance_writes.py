"""The part of the conformance suite for backends that take writes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from io import BytesIO
from typing import BinaryIO

from ..backends.base import CHUNK_BYTES, Backend, Content, Deletes, HoldsCopies, KeepsFilenames, Lists, Puts, Remote
from ..core.errors import NameTaken
from ..core.keys import Key, state_key
from .conformance_abilities import AbilityChecks
from .conformance_open import THREADS, close_found

MakeKey = Callable[[str], str]
"""Makes a name that the backend takes from any text."""


class WriteChecks(AbilityChecks):
    """The same run, with the checks of ``put``, ``draft`` and ``delete``."""

    def __init__(self, backend: Backend, files: Mapping[str, bytes], make_key: MakeKey | None = None) -> None:
        super().__init__(backend, files)
        self._make_key = make_key

    def key(self, text: str) -> Key:
        """Return the key of a file that is written."""
        return Key(text if self._make_key is None else self._make_key(text))

    def check_put(self, backend: Puts) -> None:
        folder = f"mediamw-conformance-{secrets.token_hex(4)}"
        large = os.urandom(CHUNK_BYTES + 1)
        forms: dict[str, Callable[[bytes], Content]] = {"bytes": bytes, "a file": _as_file, "an iterator": _as_pieces}
        for kind, form in forms.items():
            for size in (0, 1, len(large)):
                key, data = self.key(f"{folder}/{kind}/{size}.bin"), large[:size]
                what = f"put({key!r}, {kind} of {size} bytes)"
                with self.doing(what):
                    backend.put(key, form(data))
                    self.files[key] = data
                    self.judge(f"{what}, then open", self.backend.open(key), data)
                    self._must_be_taken(backend, key, f"{what} a second time")
                    self.judge(f"{what} twice, then open", self.backend.open(key), data)
        if self._make_key is None:
            self._must_be_taken(backend, Key(f"{folder}/bytes"), "put over a folder")
            self._must_be_taken(backend, Key(f"{folder}/bytes/1.bin/below"), "put below a file")
        self._check_replace(backend, self.key(f"{folder}/replaced.bin"))
        self._check_draft(backend, folder)
        self._check_content_type(backend, self.key(f"{folder}/typed"))
        if isinstance(backend, KeepsFilenames):
            self._check_filename(backend, self.key(f"{folder}/called"))
        self._check_state(backend)
        self._check_put_that_breaks(backend, self.key(f"{folder}/broken.bin"))
        self._check_put_race(backend, self.key(f"{folder}/race.bin"))
        if isinstance(self.backend, Lists):
            with self.doing("list after put"):
                prefix = f"{folder}/" if self._make_key is None else ""
                self.judge_listing(self.backend, f"list({prefix!r}) after put", prefix, True)

    def _must_be_taken(self, backend: Puts, key: Key, what: str, *, replace: bool = False) -> None:
        with self.doing(what):
            try:
                backend.put(key, b"must not be kept", replace=replace)
            except NameTaken:
                return
            self.say(f"{what} took the bytes; NameTaken is needed")

    def _check_replace(self, backend: Puts, key: Key) -> None:
        for data in (b"first", b"the second, which is longer", b""):
            what = f"put({key!r}, ..., replace=True) of {len(data)} bytes"
            with self.doing(what):
                before = self.backend.open(key)
                backend.put(key, data, replace=True)
                if before is not None and not isinstance(before, Remote):
                    held = b"".join(before.chunks(0, before.meta.size or 0))
                    if held != self.files[key]:
                        self.say(f"{what} changed the bytes of a handle that was opened before")
                close_found(before)
                self.files[key] = data
                self.judge(f"{what}, then open", self.backend.open(key), data)
        if self._make_key is None:
            folder = Key(key.rpartition("/")[0])
            self._must_be_taken(backend, folder, "put over a folder with replace=True", replace=True)

    def _check_draft(self, backend: Puts, folder: str) -> None:
        key, taken, data = self.key(f"{folder}/draft.bin"), self.key(f"{folder}/replaced.bin"), b"a draft"
        with self.doing("draft"):
            draft = backend.draft(_as_pieces(data))
            try:
                if self.backend.open(key) is not None:
                    self.say(f"draft: {key!r} is there before it was published")
                with suppress(NameTaken):
                    draft.publish(taken)
                    self.say("draft.publish under a name that is taken returned as if all were well")
                draft.publish(key)
            finally:
                draft.close()
            self.files[key] = data
            self.judge("open of a published draft", self.backend.open(key), data)
            backend.draft(b"nobody wants it").close()

    def _check_content_type(self, backend: Puts, key: Key) -> None:
        with self.doing("put with a content type"):
            backend.put(key, b"x", content_type="image/webp")
            self.files[key] = b"x"
            found = self.backend.open(key)
            said = None if found is None else found.meta.content_type
            close_found(found)
            if said != "image/webp":
                self.say(f"put({key!r}, ..., content_type='image/webp'), then open, said {said!r}")
            backend.put(key, b"xx", replace=True)
            self.files[key] = b"xx"
            found = self.backend.open(key)
            if found is not None and found.meta.content_type == "image/webp":
                self.say("put with replace=True and no content type kept that of the file before")
            close_found(found)

    def _check_filename(self, backend: KeepsFilenames, key: Key) -> None:
        for filename in ("kitchen.jpg", 'a b; "Küche" \U0001f600 100%.jpg'):
            with self.doing(f"draft_called(..., {filename!r})"), closing(backend.draft_called(b"x", filename)) as draft:
                draft.publish(key, replace=key in self.files)
                self.files[key] = b"x"
                found = self.backend.open(key)
                said = None if found is None else found.meta.filename
                close_found(found)
                if said != filename:
                    self.say(f"draft_called(..., {filename!r}), then open, said that the file is called {said!r}")

    def _check_state(self, backend: Puts) -> None:
        """What the stack keeps is a file like others, but for listings from above."""
        key = state_key("conformance", secrets.token_hex(4))
        with self.doing(f"put({key!r}), the state of a stack,"):
            backend.put(key, b"state")
            self._must_be_taken(backend, key, f"put({key!r}) a second time")
            self.judge(f"open({key!r})", self.backend.open(key), b"state")
            if isinstance(self.backend, Lists):
                folder = key.rpartition("/")[0] + "/"
                for prefix, is_shown in ((folder, True), ("", False), (".", False)):
                    shown = [entry.key for entry in self.backend.list(prefix, recursive=True)]
                    if (key in shown) != is_shown:
                        self.say(f"list({prefix!r}) {'does not show' if is_shown else 'shows'} {key!r}")

    def check_delete(self, backend: Deletes) -> None:
        for key in (Key(name) for name in self.not_there()):
            with self.doing(f"delete({key!r}), of a name that nobody has,"):
                if backend.delete(key) is not False:
                    self.say(f"delete({key!r}) did not return False, but there is no such file")
        if not isinstance(self.backend, Puts):
            return
        folder = f"mediamw-conformance-{secrets.token_hex(4)}"
        for key in (self.key(f"{folder}/a/b.bin"), state_key("conformance", folder)):
            with self.doing(f"put({key!r}), then delete"):
                self.backend.put(key, b"x", content_type="image/webp")
                if "/" in key and backend.delete(Key(key.rpartition("/")[0])) is not False:
                    self.say("delete of a folder did not return False")
                held = self.backend.open(key)
                if backend.delete(key) is not True:
                    self.say(f"delete({key!r}) of a file did not return True")
                if held is not None and not isinstance(held, Remote):
                    if b"".join(held.chunks(0, 1)) != b"x":
                        self.say(f"delete({key!r}) took the bytes from a handle that was opened before")
                    held.close()
                found = self.backend.open(key)
                if found is not None:
                    self.say(f"open({key!r}) after delete returned {found!r}")
                    close_found(found)
                if backend.delete(key) is not False:
                    self.say(f"delete({key!r}) a second time did not return False")
                self.backend.put(key, b"again")
                found = self.backend.open(key)
                if found is not None and found.meta.content_type == "image/webp":
                    self.say("a file has the content type of one that was deleted")
                close_found(found)
                backend.delete(key)

    def check_copies(self, backend: HoldsCopies) -> None:
        folder_name = f"mediamw-conformance-{secrets.token_hex(4)}"
        key, taken, data = self.key(f"{folder_name}/copy"), next(iter(self.files)), b"a copy"
        with self.doing("publish_copy"):
            with backend.copies() as folder:
                fd = os.open(folder.at(folder_name), os.O_WRONLY | os.O_CREAT, 0o666, dir_fd=folder.fd)
                os.write(fd, data)
                os.close(fd)
                if not backend.has_copies():
                    self.say("has_copies() is not True after copies()")
                try:
                    backend.publish_copy(folder_name, Key(taken))
                    self.say(f"publish_copy under the name of {taken!r} did not raise NameTaken")
                except NameTaken:
                    pass
                if folder_name not in (name for name, _ in folder.scan()):
                    self.say("publish_copy that raised took the file out of the folder of the copies")
                else:
                    backend.publish_copy(folder_name, key, content_type="image/webp")
                    if folder_name in (name for name, _ in folder.scan()):
                        self.say("publish_copy left the file in the folder of the copies")
            self.judge(f"open({key!r}) after publish_copy", self.backend.open(key), data)
            self.files[key] = data
            found = self.backend.open(key)
            if found is not None and found.meta.content_type != "image/webp":
                self.say("publish_copy lost the content type")
            close_found(found)

    def _check_put_that_breaks(self, backend: Puts, key: Key) -> None:
        class Broken(Exception):
            pass

        def breaks() -> Iterator[bytes]:
            yield b"the first piece"
            raise Broken

        try:
            backend.put(key, breaks())
            self.say("put of an iterator that raises returned as if all were well")
        except Broken:
            pass
        except Exception as error:  # noqa: BLE001 - a fault is what it is
            self.say(f"put of an iterator that raises raised {error!r}, not what the iterator raised")
        with self.doing("open after a put whose iterator raised"):
            found = self.backend.open(key)
            if found is not None:
                self.say(f"put of an iterator that raises left a file of {found.meta.size} bytes")
                close_found(found)

    def _check_put_race(self, backend: Puts, key: Key) -> None:
        kept: list[bytes] = []

        def put(number: int) -> None:
            data = bytes([number]) * 100_000
            with self.doing(f"put({key!r}) in {THREADS} threads at once"), suppress(NameTaken):
                backend.put(key, _as_pieces(data))
                kept.append(data)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(put, range(THREADS)))
        if len(kept) != 1:
            self.say(f"put of one name in {THREADS} threads at once succeeded {len(kept)} times; once is right")
            return
        self.files[key] = kept[0]
        with self.doing("open after a race of puts"):
            self.judge("open after a race of puts", self.backend.open(key), kept[0])


def _as_file(data: bytes) -> BinaryIO:
    return BytesIO(data)


def _as_pieces(data: bytes) -> Iterator[bytes]:
    yield b""  # an iterator may do so
    for start in range(0, len(data), 70_000):
        yield data[start : start + 70_000]
