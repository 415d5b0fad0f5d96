"""The part of the conformance suite for what a backend may do besides ``open``: the capabilities."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from urllib.parse import urlsplit

from ..backends.base import (
    LATER,
    Lists,
    ListsPages,
    OpensNow,
    ReadsRanges,
    Signs,
    keys_below,
)
from ..backends.pages import folder_of, just_before
from ..core.errors import ContentChanged
from ..core.keys import Key
from ..core.model import Meta
from .conformance_open import OpenChecks, close_found, slices

Fetch = Callable[[str, str], tuple[int, Mapping[str, str], bytes]]
"""``fetch(method, url)`` returns status, headers and body."""


class AbilityChecks(OpenChecks):
    """The same run, with the checks of the capabilities."""

    def check_open_now(self, backend: OpensNow) -> None:
        for key, data in self.files.items():
            with self.doing(f"open_now({key!r})"):
                now = backend.open_now(key)
                if now is not LATER:
                    meta, opened = self.judge(f"open_now({key!r})", now, data), self.backend.open(key)
                    if meta is not None and opened is not None and meta != opened.meta:
                        self.say(f"open_now({key!r}) returned {meta}, but open {opened.meta}")
                    close_found(opened)
        for key in self.not_there():
            with self.doing(f"open_now({key!r}), of a name that nobody has,"):
                now = backend.open_now(key)
                if now is not None and now is not LATER:
                    self.say(f"open_now({key!r}) returned {now!r}, but there is no such file")
                    close_found(now)

    # -- list ------------------------------------------------------------------------------------------------------

    def check_list(self, backend: Lists) -> None:
        names = sorted(self.files)
        prefixes = ["", "mediamw-conformance-missing", names[0] + "x", names[-1], names[-1][: len(names[-1]) // 2]]
        for name in names:
            for slash in (index for index, char in enumerate(name) if char == "/"):
                prefixes += [name[:slash], name[: slash + 1], name[: slash + 2]]
        for prefix in dict.fromkeys(prefixes):
            for recursive in (False, True):
                what = f"list({prefix!r}, recursive={recursive})"
                with self.doing(what):
                    self.judge_listing(backend, what, prefix, recursive)

    def judge_listing(self, backend: Lists, what: str, prefix: str, recursive: bool) -> None:
        """Compare a listing with what the backend is known to hold."""
        entries = list(backend.list(prefix, recursive=recursive))
        found = [entry.key for entry in entries]
        if not all(type(key) is str for key in found):
            self.say(f"{what} yielded a key that is no str: {next(key for key in found if type(key) is not str)!r}")
            return
        for before, key in pairwise(found):
            if key == before:
                self.say(f"{what} yielded {key!r} twice")
            elif key < before:
                self.say(f"{what} yielded {key!r} after {before!r}; the order is by code point")
        expected = list(keys_below(sorted(self.files), prefix, recursive=recursive))
        for key in expected:
            if key not in found:
                self.say(f"{what} left out {key!r}")
        for entry in entries:
            key = entry.key
            if entry.backend != self.backend.name:
                self.say(f"{what} yielded {key!r} of backend {entry.backend!r}; the name is {self.backend.name!r}")
            if key.endswith("/") is not (entry.meta is None):
                self.say(f"{what} yielded {key!r} with meta {entry.meta}; a folder ends in '/' and has none")
            elif key not in expected:
                # A directory without files may be shown by those who have such things.
                if (
                    not key.endswith("/")
                    or not key.startswith(prefix)
                    or recursive
                    or any(backend.list(key, recursive=True))
                ):
                    self.say(f"{what} yielded {key!r}, which is not there")
            elif entry.meta is not None:
                self._judge_listed(what, Key(key), entry.meta)

    def _judge_listed(self, what: str, key: Key, listed: Meta) -> None:
        opened = self.backend.open(key)
        if opened is not None:
            for field in ("size", "etag", "mtime_ns"):
                one, other = getattr(listed, field), getattr(opened.meta, field)
                if one != other and one is not None and other is not None:
                    self.say(f"{what} said that {field} of {key!r} is {one!r}, but open said {other!r}")
            close_found(opened)

    # -- list_page -------------------------------------------------------------------------------------------------

    def check_list_page(self, backend: ListsPages) -> None:
        """Compare what a page tells with what is there. That it tells little is no fault."""
        folders = dict.fromkeys(["", *map(folder_of, self.files), "mediamw-conformance-missing/"])
        for folder in folders:
            keys = sorted(key for key in self.files if folder_of(key) == folder)
            for after in (None, *map(just_before, keys), *keys):
                what = f"list_page({folder!r}, {after!r})"
                with self.doing(what):
                    self._judge_page(backend, what, folder, after)

    def _judge_page(self, backend: ListsPages, what: str, folder: str, after: str | None) -> None:
        page = backend.list_page(folder, after)
        if page is None:
            return
        if (page.folder, page.after) != (folder, after):
            self.say(f"{what} returned {page!r}, which is another part")
            return
        for key in sorted(
            key for key in {*self.files, *self.not_there()} if folder_of(key) == folder and page.tells(key)
        ):
            told, is_there = page.get(key), key in self.files
            if (told is not None) is not is_there:
                self.say(f"{what} said that {key!r} is {'missing' if is_there else 'there'}, and it is not")
            elif told is not None and told.size != len(self.files[key]):
                self.say(f"{what} said that {key!r} has {told.size} bytes; it has {len(self.files[key])}")

    # -- sign, read_range ------------------------------------------------------------------------------------------

    def check_sign(self, backend: Signs, fetch: Fetch | None) -> None:
        now = time.time()
        with self.doing("prepare()"):
            if not backend.can_sign(now):
                backend.prepare()
            if not backend.can_sign(now):
                self.say("can_sign is False after prepare()")
                return
        for key, data in self.files.items():
            with self.doing(f"sign({key!r}, ...)"):
                urls = {method: self._judge_url(backend, key, method, now) for method in ("GET", "HEAD")}
                signed = backend.sign(key, "GET", now).expires is not None
                if signed and urls["GET"] == urls["HEAD"]:
                    self.say(f"sign({key!r}, ...) made the same URL for GET and HEAD; a signature holds for one method")
                for method, url in urls.items() if fetch is not None else ():
                    assert fetch is not None
                    status, headers, body = fetch(method, url)
                    length = {name.lower(): value for name, value in headers.items()}.get("content-length")
                    if status != 200:
                        self.say(f"the URL of sign({key!r}, {method!r}) answered {status}")
                    elif body != (data if method == "GET" else b""):
                        self.say(f"the URL of sign({key!r}, {method!r}) gave {len(body)} other bytes than the file has")
                    elif length is not None and length != str(len(data)):
                        self.say(f"the URL of sign({key!r}, {method!r}) said Content-Length: {length}")

    def _judge_url(self, backend: Signs, key: Key, method: str, now: float) -> str:
        what = f"sign({key!r}, {method!r}, now)"
        url, expires = backend.sign(key, method, now)
        if not url.isascii() or not url.isprintable() or " " in url:
            self.say(f"{what} made {url!r}; a URL is ASCII without blanks and control characters")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            self.say(f"{what} made {url.partition('?')[0]!r}, which is no absolute http(s) URL")
        if expires is not None and expires <= now:
            self.say(f"{what} made a URL that expired {now - expires:g} seconds ago")
        # A window may end between two of three seconds, but not twice.
        if len({backend.sign(key, method, now + second).url for second in range(3)}) == 3:
            self.say(f"{what} made another URL each second; browsers could keep nothing")
        return url

    def check_read_range(self, backend: ReadsRanges) -> None:
        for key, data in self.files.items():
            with self.doing(f"read_range({key!r}, ...)"):
                found = self.backend.open(key)
                etag = None if found is None else found.meta.etag
                close_found(found)
                for start, stop in slices(len(data)):
                    if start < stop:
                        self._judge_range(backend, key, start, stop, etag)
                if data:
                    self._must_change(backend, key, 0, len(data), '"not-this-version"', "the ETag of another version")
                if data and etag is None:
                    self._must_change(backend, key, 0, len(data), etag, "the size of another version", len(data) + 1)
                self._must_change(backend, key, 0, len(data) + 1, etag, "one byte more than the file has")

    def _judge_range(self, backend: ReadsRanges, key: Key, start: int, stop: int, etag: str | None) -> None:
        what = f"read_range({key!r}, {start}, {stop}, {etag!r})"
        with self.doing(what):
            got = b"".join(backend.read_range(key, start, stop, etag, size=len(self.files[key])))
            if got != self.files[key][start:stop]:
                self.say(f"{what} yielded {len(got)} bytes, which are not the {stop - start} that the file has there")

    def _must_change(
        self,
        backend: ReadsRanges,
        key: Key,
        start: int,
        stop: int,
        etag: str | None,
        given: str,
        size: int | None = None,
    ) -> None:
        what = f"read_range({key!r}, {start}, {stop}, ...), given {given},"
        with self.doing(what):
            try:
                got = b"".join(backend.read_range(key, start, stop, etag, size=size))
            except ContentChanged:
                return
            self.say(f"{what} yielded {len(got)} bytes; ContentChanged is needed")
