"""What a migration tells: as it goes, and in the end, with what may be switched by then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..registry import Registry
from .copying import Outcome, Result

MAX_NAMED: Final = 100
"""How many files a report names of each kind; the journal has all."""

_WORDS: Final[dict[Outcome, str]] = {
    "conflict": "another file is at the target under that key, and stays there",
    "refused": "cannot be copied",
    "failed": "could not be copied yet",
}


class Progress(NamedTuple):
    """How far a run is: files listed, those of them that are settled, and what was copied of bytes in ``seconds``."""

    listed: int
    settled: int
    copied: int
    bytes_copied: int
    failed: int
    seconds: float

    def __str__(self) -> str:
        rate = self.bytes_copied / self.seconds if self.seconds else 0.0
        failed = f", {self.failed:,} failed" if self.failed else ""
        return (
            f"{self.settled:,} of {self.listed:,} files listed so far, {self.copied:,} copied{failed}, "
            f"{said_bytes(self.bytes_copied)}, {said_bytes(rate)}/s"
        )


@dataclass
class Report:
    """What became of a migration from ``source`` to ``target``, both names of storages.

    ``files`` and ``bytes`` count what the source listed last, ``there`` what of it is at the target. ``earlier``:
    known from an earlier run and not looked at; ``copied`` (``bytes_copied``); ``equal``: there already, and compared.
    In a dry run ``copied`` is what would be. ``conflicts``, ``refused`` and ``failed`` are counts, ``named`` the first
    of each. ``gone``: copied once, and no more in the source. ``late``: new in the last listing of several, so that
    more may come.
    ``stopped`` says why a run ended before its end.
    """

    source: str
    target: str
    dry_run: bool = False
    files: int = 0
    bytes: int = 0
    there: int = 0
    earlier: int = 0
    copied: int = 0
    bytes_copied: int = 0
    equal: int = 0
    conflicts: int = 0
    refused: int = 0
    failed: int = 0
    gone: int = 0
    late: int = 0
    stopped: str = ""
    named: dict[Outcome, list[Result]] = field(default_factory=dict)
    named_gone: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """True if every file of the source is at the target."""
        return not self.dry_run and not self.stopped and self.there == self.files

    @property
    def is_well(self) -> bool:
        """True if a run did, or would do, all that there is to do."""
        return not (self.stopped or self.conflicts or self.refused or self.failed) and (
            self.dry_run or self.is_complete
        )

    def lines(self, registry: Registry) -> Iterator[str]:
        """Yield what happened, and what may be switched now, for people."""
        would = "would be " if self.dry_run else ""
        yield (
            f"{self.copied:,} files {would}copied ({said_bytes(self.bytes_copied)}), {self.equal:,} were there, "
            f"{self.earlier:,} known from earlier runs"
        )
        for outcome, count in (("conflict", self.conflicts), ("refused", self.refused), ("failed", self.failed)):
            yield from self._told(outcome, count)  # type: ignore[arg-type]  # these are outcomes
        if self.gone:
            yield f"{self.gone:,} files that were copied are gone from {self.source!r}; they stay in {self.target!r}:"
            yield from self._list(self.named_gone, self.gone)
        if self.stopped:
            yield f"stopped: {self.stopped}; what is done is kept, run it again to go on"
        elif not self.dry_run:
            yield from self._advice(registry)

    def _told(self, outcome: Outcome, count: int) -> Iterator[str]:
        if count:
            yield f"{count:,} files: {_WORDS[outcome]}:"
            yield from self._list([f"{result.key}: {result.reason}" for result in self.named[outcome]], count)

    def _list(self, texts: list[str], count: int) -> Iterator[str]:
        yield from (f"  {text}" for text in texts)
        if count > len(texts):
            yield f"  and {count - len(texts):,} more"

    def _advice(self, registry: Registry) -> Iterator[str]:
        source, target = self.source, self.target
        if not self.is_complete:
            yield f"{self.there:,} of {self.files:,} files of {source!r} are in {target!r}: do not switch yet"
            return
        if not self.files:
            yield f"{source!r} shows no files at all: if it should, look whether it is the right place."
            return
        yield f"all {self.files:,} files of {source!r} ({said_bytes(self.bytes)}) are in {target!r}."
        if self.late:
            yield f"Files are being added, {self.late:,} just now: have new ones go to {target!r}, then run this again."
        names = registry.names()
        plain = {name for name in names if name != source and not registry.is_remapped(name)}
        aliases = sorted(name for name in plain if names[name] == source)
        for alias in aliases:
            yield f"New files: storages.alias({alias!r}, {target!r}), then one more run, for what came until then."
        if not aliases:
            yield f"No alias points at {source!r}. If files still come there, run it once more when they do not."
        # remap() takes the place of what was remapped before, and sends nobody on twice.
        others = {
            name: target if names[name] == source else names[name] for name in names if registry.is_remapped(name)
        }
        yield f"Rows that name {source!r}: storages.remap({ {**others, source: target} }), or update them."


def said_bytes(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
