"""``migrate``: copies what is left of one storage to another, while the site serves both.

1. The source is listed; what the journal does not know, or knows otherwise, is given out in batches, a bounded number
   at a time: neither the list nor the results are ever held as a whole.
2. When all is done the source is listed again, until a listing brings nothing new, three times at most: what failed is
   tried again then, and what was uploaded meanwhile is copied.
3. A file that fails does not stop the rest. Many failures in a row, nothing between them, do: a storage is away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace as with_values
from itertools import islice
from os import PathLike, path
from threading import Event
from typing import Final, TypeVar

from ...backends.base import Entry
from ...core.errors import ConfigError, MediaError
from ...stack.stack import MediaStack
from ..registry import Registry
from .copying import CopyOptions, Item, Result, Verify
from .journal import Journal, JournalLost, Row
from .places import (
    about_journal,
    check_journal,
    check_numbers,
    check_shared,
    check_storages,
    unlisted_folders,
)
from .report import MAX_NAMED, Progress, Report
from .work import Loader, Opened, Place, copy_batch

JOBS: Final = 8
BATCH_FILES: Final = 16
"""How many files another process is given at once."""
MAX_LISTINGS: Final = 3
FAILURES_IN_A_ROW: Final = 20
_LOOKED_UP: Final = 500
_TICK_SECONDS: Final = 0.5

_T = TypeVar("_T")

Work = tuple[Place | Opened, CopyOptions]


def migrate(
    registry: Registry | Loader,
    source: str,
    target: str,
    *,
    journal: str | PathLike[str] | None,
    executor: Executor | None = None,
    jobs: int = JOBS,
    batch: int | None = None,
    upper_only: bool = False,
    replace: bool = False,
    verify: Verify = "full",
    recheck: bool = False,
    alone: bool = False,
    drop_filenames: bool = False,
    dry_run: bool = False,
    patience: float = 10.0,
    give_up_after: int = FAILURES_IN_A_ROW,
    stop: Event | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Copy the files of storage ``source`` to storage ``target``, and return what became of them.

    ``registry``: the names; or a function that makes or finds the registry, which an ``executor`` of other processes
    needs: it must be importable there. ``journal``: a path, made if it is missing; None keeps none. ``executor``: who
    does the work, by default threads; ``jobs`` batches of ``batch`` files are under way at once (1 for threads, else
    16). ``upper_only``: what the first backend of the source has, not what lies below it. ``replace``: other files of
    the target are replaced; else they are conflicts. ``verify``: ``full`` has the bytes proved, ``size`` their number
    only. ``recheck``: look at the target for what the journal says is there. ``alone``: nobody else writes these
    keys there, which a server without If-None-Match needs. ``drop_filenames``: copy files whose name the target does
    not keep. ``dry_run``: compare and count, write nothing. ``patience``: how many seconds, at most, a file waits
    before it is tried a second time. ``give_up_after``: so many failures in a row end the run. ``stop``: once it is
    set no more is begun. ``progress`` is called about each half second.

    Raises ``ConfigError`` for what is wrong with the arguments, the storages or the journal, ``BackendUnavailable`` if
    the target is away from the start.
    """
    names = registry if isinstance(registry, Registry) else registry()
    source, target = names.resolve(source), names.resolve(target)
    check_numbers(jobs=jobs, batch=1 if batch is None else batch, give_up_after=give_up_after)
    if verify not in ("full", "size"):
        raise ConfigError(f"verify: {verify!r} is neither 'full' nor 'size'")
    in_threads = executor is None or isinstance(executor, ThreadPoolExecutor)
    opened = Opened.of(names, source, target, upper_only=upper_only)
    check_storages(source, target, opened, is_asked=not (alone or replace or dry_run))
    about = about_journal(source, target, opened, upper_only=upper_only)
    place: Place | Opened = opened
    if not in_threads:
        if isinstance(registry, Registry):
            raise ConfigError("registry: other processes need a function that makes it: stacks cannot be sent there")
        check_shared(opened)
        place = Place(registry, source, target, upper_only, tuple(about.items()))
    options = CopyOptions(replace, verify, alone, drop_filenames, dry_run, patience)
    check_journal(journal, opened)
    is_kept = journal is not None and (not dry_run or path.exists(journal))
    kept = Journal(journal if is_kept else None, about)
    own = ThreadPoolExecutor(jobs, "mediamw-migrate") if executor is None else None
    try:
        return _Run(
            (place, options),
            kept,
            own or executor,  # type: ignore[arg-type]  # one of them is there
            opened.source,
            Report(source, target, dry_run),
            stop=stop or Event(),
            tell=progress,
            limits=(jobs, batch or (1 if in_threads else BATCH_FILES), give_up_after),
            recheck=recheck,
        ).report()
    finally:
        if own is not None:
            own.shutdown(cancel_futures=True)
        kept.close()


class _NotListed(Exception):
    """The source cannot be listed to its end, whatever its backend raised."""


def _listed(found: Iterator[_T]) -> Iterator[_T]:
    try:
        yield from found
    except Exception as error:
        kind = "" if isinstance(error, MediaError) else f"{type(error).__name__}: "
        raise _NotListed(f"{kind}{error}") from error


class _Run:
    """One run: lists, gives out, and keeps what comes back. Of one thread."""

    def __init__(
        self,
        work: Work,
        journal: Journal,
        executor: Executor,
        source: MediaStack,
        report: Report,
        *,
        stop: Event,
        tell: Callable[[Progress], None] | None,
        limits: tuple[int, int, int],
        recheck: bool,
    ) -> None:
        self._work, self._journal, self._executor, self._source = work, journal, executor, source
        self._report, self._stop, self._tell = report, stop, tell
        self._jobs, self._batch, self._give_up_after = limits
        self._recheck = recheck
        self._in_a_row = 0
        self._is_first = True
        self._settled = self._new = 0  # of the listing that is going on
        self._under_way: dict[Future[list[Result]], list[Item]] = {}
        self._started = self._told = time.monotonic()

    def report(self) -> Report:
        """Do it, and say what became of it."""
        try:
            self._listings()
        except JournalLost as error:  # what is copied from here on would not be on record
            self._report.stopped = str(error)
            wait([future for future in self._under_way if not future.cancel()])
        if self._tell is not None:
            self._tell(self._progress())
        return self._report

    def _listings(self) -> None:
        self._journal.begin_run(is_dry=self._report.dry_run)
        for number in range(MAX_LISTINGS):
            self._one_listing(is_first=number == 0)
            if self._report.stopped or self._report.dry_run or not (self._new or self._report.failed):
                break
        if not self._report.stopped:
            self._report.gone, self._report.named_gone = self._journal.unseen(MAX_NAMED)

    def _one_listing(self, *, is_first: bool) -> None:
        self._report = report = with_values(
            self._report, files=0, bytes=0, there=0, conflicts=0, refused=0, failed=0, late=0, named={}
        )
        self._settled = self._new = 0
        self._is_first = is_first
        self._journal.begin_listing()
        try:
            for items in self._batches():
                while len(self._under_way) >= 2 * self._jobs and not self._is_over():
                    self._collect()
                if self._is_over():
                    break
                place, options = self._work
                if not self._is_first:  # most have waited already
                    options = options._replace(patience=0.0)
                try:
                    self._under_way[self._executor.submit(copy_batch, place, items, options)] = items
                except RuntimeError as error:  # the executor has been shut down, or its processes are gone
                    report.stopped = f"the executor takes no more work: {error}"
                    break
        except _NotListed as error:
            report.stopped = f"{report.source!r} cannot be listed: {error}"
        while self._under_way:
            self._collect()
        if self._stop.is_set() and not report.stopped:
            report.stopped = "it was told to end"

    def _is_over(self) -> bool:
        return bool(self._report.stopped) or self._stop.is_set()

    # -- what there is to do -------------------------------------------------------------------------------------------

    def _batches(self) -> Iterator[list[Item]]:
        items: list[Item] = []
        for key, reason in _listed(unlisted_folders(self._source)):
            self._report.files += 1
            self._count(Result(key, "refused", reason=reason))
        entries = _listed(self._source.list("", recursive=True))
        while some := list(islice(entries, _LOOKED_UP)):
            known = self._journal.known([entry.key for entry in some])
            self._journal.see(entry.key for entry in some)
            for entry in some:
                self._report.files += 1
                self._report.bytes += (entry.meta.size or 0) if entry.meta is not None else 0
                row = known.get(entry.key)
                if self._is_settled(entry, row):
                    continue
                is_retried = row is not None and row.state != "done"
                self._report.late += not self._is_first and not is_retried
                items.append(Item(entry.key, None if row is None else row.checksum))
                if len(items) == self._batch:
                    yield items
                    items = []
            self._say()
        if items:
            yield items

    def _is_settled(self, entry: Entry, row: Row | None) -> bool:
        """Say whether nothing is to be done for a file, and count it."""
        if row is None or entry.meta is None:
            return False
        is_of_this_run = row.run == self._journal.run
        if row.state == "done":
            if not row.is_of(entry.meta) or (self._recheck and not is_of_this_run):
                return False
            self._report.there += 1
            self._report.earlier += self._is_first
        elif row.state != "failed" and is_of_this_run:
            self._name(Result(row.key, row.state, reason=row.reason))  # type: ignore[arg-type]  # an outcome
        else:
            return False
        self._settled += 1
        return True

    # -- what comes back -----------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        done, _ = wait(self._under_way, _TICK_SECONDS, return_when=FIRST_COMPLETED)
        if self._is_over():
            for future in [future for future in self._under_way if future.cancel()]:
                del self._under_way[future]
        results: list[Result] = []
        for future in done & self._under_way.keys():
            del self._under_way[future]
            error = CancelledError("it was cancelled") if future.cancelled() else future.exception()
            if error is not None:  # of the executor, or of the loader: the next batch would meet it too
                self._report.stopped = f"{type(error).__name__}: {error}"
            else:
                results += future.result()
        if results and not self._report.dry_run:
            self._journal.record(results)
        for result in results:
            self._count(result)
        self._say()

    def _count(self, result: Result) -> None:
        report = self._report
        self._settled += 1
        if result.outcome == "failed":
            self._in_a_row += self._is_first  # later most are those that failed, one after the other
            if self._in_a_row >= self._give_up_after:
                report.stopped = report.stopped or f"{self._in_a_row} failures in a row, the last: {result.reason}"
        else:
            self._in_a_row = 0
        if result.outcome == "copied":
            report.copied += 1
            report.bytes_copied += result.size or 0
            self._new += 1
        report.equal += result.outcome == "equal"
        report.there += result.outcome in ("copied", "equal")
        if result.outcome == "gone":
            report.files -= 1
        self._name(result)

    def _name(self, result: Result) -> None:
        report = self._report
        report.conflicts += result.outcome == "conflict"
        report.refused += result.outcome == "refused"
        report.failed += result.outcome == "failed"
        named = report.named.setdefault(result.outcome, [])
        if result.outcome in ("conflict", "refused", "failed") and len(named) < MAX_NAMED:
            named.append(result)

    def _say(self) -> None:
        now = time.monotonic()
        if self._tell is not None and now - self._told >= _TICK_SECONDS:
            self._told = now
            self._tell(self._progress())

    def _progress(self) -> Progress:
        report, seconds = self._report, time.monotonic() - self._started
        return Progress(
            report.files, self._settled, report.copied, report.bytes_copied, report.failed, max(seconds, 1e-6)
        )
