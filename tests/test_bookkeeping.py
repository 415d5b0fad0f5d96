"""What a transaction stored and let go, without any database."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mediamw import BackendUnavailable, MediaStack, MemoryBackend
from mediamw.core.keys import Key
from mediamw.storages import Registry, Stored
from mediamw.storages.bookkeeping import (
    MAX_NAMED_IN_LOG,
    Claim,
    Ledger,
    Placed,
    _known,
    is_nobodys,
    stored_for_nobody,
)


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    made.configure("local", MediaStack([MemoryBackend(), MemoryBackend({"theirs": b"x"}, name="lower")]))
    made.alias("avatars", "local")
    made.remap({"s3": "avatars"})
    yield made
    made.clear()


def place(registry: Registry, key: str, storage: str = "local") -> Placed:
    return Placed.of(registry, Stored(storage, Key(key)))


def test_names_of_one_file(registry: Registry) -> None:
    assert place(registry, "a") == place(registry, "a", "avatars") == place(registry, "a", "s3")
    assert str(place(registry, "a", "nowhere")) == "nowhere/a"


def test_a_commit(registry: Registry) -> None:
    new, unused, old, moved = (place(registry, key) for key in ("new", "unused", "old", "moved"))
    ledger = Ledger()
    for file in (new, unused):
        ledger.stored(file)
    ledger.named(new)
    ledger.let_go(old)
    ledger.let_go(moved)
    ledger.named(moved)
    assert ledger.commit() == [unused, old]
    assert ledger.commit() == ledger.roll_back() == []


def test_a_rollback(registry: Registry) -> None:
    new, deeper, old = (place(registry, key) for key in ("new", "deeper", "old"))
    ledger = Ledger()
    ledger.stored(new)
    ledger.let_go(old)
    ledger.begin()
    ledger.stored(deeper)
    assert ledger.roll_back() == [new, deeper]
    assert ledger.commit() == []


def test_savepoints(registry: Registry) -> None:
    one, two, old, older = (place(registry, key) for key in ("one", "two", "old", "older"))
    ledger = Ledger()
    ledger.let_go(older)
    ledger.begin()
    ledger.stored(one)
    ledger.named(one)
    ledger.begin()
    ledger.stored(two)
    ledger.let_go(old)
    ledger.let_go(one)
    assert ledger.roll_back_savepoint() == [two]
    ledger.release()
    assert ledger.commit() == [older]


def test_a_new_file_in_two_transactions_is_removed_by_neither(registry: Registry) -> None:
    file = place(registry, "new")
    one, two = Ledger(), Ledger()
    one.stored(file)
    one.named(file)
    two.named(file)
    assert two.roll_back() == one.roll_back() == []


def test_a_file_of_nobody_that_two_name_at_once(registry: Registry) -> None:
    """Of two threads that ask whose it is, one takes it, and loses it to both."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for at in range(2000):
            file, ledgers, barrier = place(registry, f"new{at}"), (Ledger(), Ledger()), threading.Barrier(2)
            stored_for_nobody(file)

            def name(ledger: Ledger, file: Placed = file, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                ledger.named(file)

            threads = [threading.Thread(target=name, args=(ledger,)) for ledger in ledgers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [ledger.roll_back() for ledger in ledgers] == [[], []]
    finally:
        sys.setswitchinterval(interval)


def test_what_was_taken_is_not_taken_again(registry: Registry) -> None:
    file = place(registry, "new")
    stored_for_nobody(file)
    one, two = Ledger(), Ledger()
    one.take(file)
    two.take(file)
    assert (two.roll_back(), one.roll_back()) == ([], [file])


def test_a_transaction_that_is_dropped_leaves_no_trace(registry: Registry) -> None:
    """Nobody closed its session; the file is left to the orphans."""
    ledger: Ledger | None = Ledger()
    file = place(registry, "new")
    assert ledger is not None
    ledger.stored(file)
    assert file in _known.owners
    ledger = None
    gc.collect()
    assert file not in _known.owners


def test_a_session_that_ends_as_garbage_is_collected(registry: Registry) -> None:
    """Then the thread may be where the lock is held."""
    ended: list[list[Placed]] = []

    def session() -> Iterator[None]:
        ledger = Ledger()
        ledger.stored(place(registry, "new"))
        try:
            yield
        finally:
            ended.append(ledger.roll_back())

    def work() -> None:
        dropped = session()
        next(dropped)
        with _known.lock:
            dropped.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert ended == [[place(registry, "new")]]


def test_a_removal_that_is_told_to_end(registry: Registry) -> None:
    """Who names the file later is told what is there, and not for ever that it goes."""

    class Ended(BaseException):
        pass

    class Ending(MemoryBackend):
        def delete(self, key: Any) -> bool:
            raise Ended

    file = place(registry, "a", "ending")
    registry.configure("ending", MediaStack([Ending({"a": b"x"})]))
    with pytest.raises(Ended):
        Claim([file]).remove()
    Ledger().named(file)


def test_a_file_of_nobody_is_the_first_ones(registry: Registry) -> None:
    file = place(registry, "new")
    stored_for_nobody(file)
    assert is_nobodys(file)
    ledger = Ledger()
    ledger.named(file)
    assert not is_nobodys(file)
    assert ledger.roll_back() == [file]


def test_what_was_removed_is_not_named(registry: Registry) -> None:
    stack = registry.get("local")
    file = place(registry, stack.save("a", b"x"))
    Claim([file]).remove()
    assert not stack.exists("a")
    with pytest.raises(FileNotFoundError, match="removed when a transaction ended"):
        Ledger().named(file)
    stack.save("a", b"y")
    Ledger().named(file)  # it is there again


def test_what_another_transaction_names_is_left_to_it(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    stack = registry.get("local")
    early, late, told, gone, dropped = (place(registry, stack.save(name, b"x")) for name in ("a", "b", "c", "d", "e"))
    other, ended, lost = Ledger(), Ledger(), Ledger()
    other.named(early)
    for ledger, file in ((ended, gone), (lost, dropped)):
        ledger.named(file)
    ended.commit()
    del lost, ledger  # a session that was never closed keeps nothing for ever
    claim = Claim([early, late, told, gone, dropped])
    other.named(late)
    other.named(told)
    other.let_go(told)
    claim.keep([told])  # the database says that rows name it
    with caplog.at_level(logging.WARNING, "mediamw"):
        claim.remove()
    assert {entry.key for entry in stack.list()} >= {"a", "b", "c"}
    assert not any(stack.exists(key) for key in ("d", "e"))
    (record,) = caplog.records
    assert record.getMessage().startswith("left behind: local/a, local/b, since another transaction had a row name")
    assert other.roll_back() == [], "they are no new ones of it"
    Claim([early]).remove()
    assert not stack.exists("a")


def test_named_while_it_goes(registry: Registry) -> None:
    """Too late: he is told, and it is not said that it was left."""
    faults: list[str] = []

    class Slow(MemoryBackend):
        def delete(self, key: Any) -> bool:
            with pytest.raises(FileNotFoundError):
                ledger.named(file)
            faults.append("told")
            return super().delete(key)

    ledger = Ledger()
    stack = registry.configure("slow", MediaStack([Slow({"a": b"x"})]))
    file = place(registry, "a", "slow")
    Claim([file]).remove()
    assert (faults, stack.exists("a")) == (["told"], False)
    assert ledger.commit() == []


def test_a_lowers_file_is_hidden(registry: Registry) -> None:
    Claim([place(registry, "theirs", "s3")]).remove()
    stack = registry.get("local")
    assert not stack.exists("theirs")
    stack.restore("theirs")
    assert stack.exists("theirs")


class Away(MemoryBackend):
    def delete(self, key: Any) -> bool:
        if "kept" in key:
            raise BackendUnavailable("it is away", backend=self.name)
        return super().delete(key)


def test_a_failure_is_logged_once_and_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()
    stack = registry.configure("local", MediaStack([Away()]))
    files = [place(registry, stack.save(f"{what}{at:02}", b"x")) for at in range(25) for what in ("kept", "gone")]
    files.append(place(registry, "a", "nowhere"))
    with caplog.at_level(logging.WARNING, "mediamw"):
        Claim(files).remove()
    assert {entry.key[:4] for entry in stack.list()} == {"kept"}
    (record,) = caplog.records
    said = record.getMessage()
    assert said.count("local/kept") == MAX_NAMED_IN_LOG
    assert "and 6 more, since" in said
    assert "it is away" in said
    Ledger().named(files[0])  # it is still there
    registry.clear()
