"""Which storage a name stands for.

1. A name is a storage's, or an alias of one; never both. An alias may point at an alias, never in a circle.
2. What is stored remembers the storage, not the alias: ``resolve`` says which one it is now. An alias that points
   elsewhere from some moment on moves new files, and takes nothing from where it is.
3. A name of ``remap`` is answered by another storage, whatever else it is here: so rows of a production dump, which
   name production's, are read from, written to and deleted in what a developer has. That holds for aliases that point
   at the name too, and once: who is answered so is not sent on by another entry.
4. Where new files go their rows are answered: who stands for a storage is never that of a name which is remapped, as
   ``a`` would be with ``{"a": "b", "b": "c"}``, whose new rows say ``b``, and are looked for in ``c``.
5. A name is 1 to 128 printable characters without ``/`` and blanks, since ``name/key`` is how rows and URLs have it.

Whoever reads sees the names as they were before a change, or after it: threads may switch an alias while others serve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from threading import Lock
from typing import Final, Literal, NamedTuple, Unpack, cast

from ..backends.base import Backend
from ..core.errors import ConfigError, InvalidKey, unknown_option
from ..core.keys import Key, parse_key
from ..settings.stacks import build_stack
from ..specs import Spec
from ..stack.stack import MediaStack, StackOptions

MAX_NAME_CHARACTERS: Final = 128


class Stored(NamedTuple):
    """Where a file is: the storage's name, never an alias, and the key in it. Its text is ``name/key``."""

    storage: str
    key: Key

    def __str__(self) -> str:
        return f"{self.storage}/{self.key}"

    @classmethod
    def of(cls, text: str) -> Stored:
        """Read ``name/key``. Raises ``ConfigError`` for the name, ``InvalidKey`` for the key."""
        name, slash, key = text.partition("/")
        if not slash:
            raise InvalidKey(f"{text!r} names no file: give storage/key, such as local/a.jpg")
        return cls(_checked(name, "name"), parse_key(key))


class Named(NamedTuple):
    """A stack, and the name of its storage that rows have: never an alias."""

    storage: str
    stack: MediaStack


class Listed(NamedTuple):
    """What was said of a name: whether it is a storage, an alias or remapped, at what it points, where that ends."""

    kind: Literal["storage", "alias", "remapped"]
    target: str
    storage: str


class _Names(NamedTuple):
    """All that is named. Never changed: another one takes its place."""

    storages: Mapping[str, MediaStack] = {}
    aliases: Mapping[str, str] = {}
    remapped: Mapping[str, str] = {}
    default: str | None = None

    def resolve(self, name: str) -> str | None:
        """Return the storage that ``name`` stands for, None if it stands for none."""
        is_sent_on = False
        while True:
            if not is_sent_on and name in self.remapped:
                is_sent_on, name = True, self.remapped[name]
            elif name in self.aliases:  # there is no circle of them
                name = self.aliases[name]
            else:
                return name if name in self.storages else None

    def written(self, name: str) -> str:
        """Return what rows have in the place of ``name``, which stands for something."""
        while name not in self.remapped and name in self.aliases:
            name = self.aliases[name]
        return name


class Registry:
    """Named storages and their aliases. Threads may share it; a process may have several, which know nothing of each
    other."""

    def __init__(self) -> None:
        self._names = _Names()
        self._snapshot: tuple[_Names, Mapping[str, Named]] = self._names, {}
        self._lock = Lock()  # of those who change it

    def configure(
        self,
        name: str,
        storage: MediaStack | Backend | str | PathLike[str] | Sequence[Spec],
        **options: Unpack[StackOptions],
    ) -> MediaStack:
        """Name a storage and return its stack; the first one is the default.

        ``storage`` is a stack, or what one is made of with ``options``: a backend, a spec, or a list of these, first to
        last. Raises ``ConfigError`` if the name is taken.
        """
        _checked(name, "name")
        self._check_free(self._names, name)
        stack = _stack_of(storage, options, name)
        try:
            with self._lock:
                before = self._names
                self._check_free(before, name)  # somebody may have been quicker
                default = name if before.default is None else before.default
                self._names = before._replace(storages={**before.storages, name: stack}, default=default)
        except ConfigError:
            if stack is not storage:
                stack.close()
            raise
        return stack

    def set_default(self, name: str) -> None:
        """Have ``get`` without a name return this storage, or what this alias points at. Raises ``ConfigError``."""
        with self._lock:
            self._known(self._names, name)
            self._names = self._names._replace(default=name)

    def alias(self, alias: str, name: str) -> None:
        """Have ``alias`` stand for the storage or alias ``name`` from now on; it may be one already.

        Raises ``ConfigError`` if it is a storage's name, nothing has the name, they would point at each other, or new
        files would not be found again (rule 4).
        """
        _checked(alias, "alias")
        with self._lock:
            names = self._names
            if alias in names.storages:
                raise ConfigError(
                    f"alias: {alias!r} is the name of a storage, whose files would be looked for elsewhere: "
                    "take another name, or remap() it"
                )
            step: str | None = name
            while step is not None:
                if step == alias:
                    raise ConfigError(f"alias: {alias!r} would point at itself, by way of {name!r}")
                step = names.aliases.get(step)
            self._known(names, name)
            self._names = _sound(names._replace(aliases={**names.aliases, alias: name}), "alias")

    def remap(self, names: Mapping[str, str]) -> None:
        """Have the names on the left be answered by the storages, or aliases, on the right; in the place of what was
        remapped before.

        Raises ``ConfigError`` if something on the right has no storage, an alias would have none any more, or new files
        would not be found again (rule 4); then nothing is changed.
        """
        if not hasattr(names, "items"):
            raise ConfigError(f"remap: {names!r} is no mapping: give {{'s3': 'layered'}}")
        given = dict(names)
        with self._lock:
            plain = self._names._replace(remapped={})
            for old, new in given.items():
                _checked(old, "remap")
                self._known(plain, new)
            self._names = _sound(plain._replace(remapped=given), "remap")

    def get(self, name: str | None = None) -> MediaStack:
        """Return the storage of this name, alias or remapped name; without one the default. Raises ``ConfigError``."""
        names = self._names
        return names.storages[self._resolved(names, name)]

    def resolve(self, name: str | None = None) -> str:
        """Return the name of the storage that ``get`` returns: what is to be remembered of a file that is stored."""
        return self._resolved(self._names, name)

    def target(self, name: str | None = None) -> Named:
        """Return where new files of ``name`` go: what ``get`` and ``resolve`` return, at one and the same moment.

        Between two calls an alias may be switched, and then the row would name the one and the file be in the other.
        """
        names = self._names
        storage = self._resolved(names, name)
        return Named(storage, names.storages[storage])

    def is_remapped(self, name: str) -> bool:
        """Say whether another storage answers for ``name``, so that what a row says of it beside the key is no longer
        true: a public URL, say."""
        return name in self._names.remapped

    def listed(self) -> dict[str, Listed]:
        """Return every name, alias and remapped name with what was said of it: storages first, then aliases."""
        names = self._names
        found = {name: Listed("storage", name, name) for name in names.storages}
        found |= {alias: Listed("alias", name, self._known(names, alias)) for alias, name in names.aliases.items()}
        found |= {old: Listed("remapped", new, self._known(names, old)) for old, new in names.remapped.items()}
        return found

    @property
    def default(self) -> str | None:
        """The storage or alias that stands for none, None if there are no storages."""
        return self._names.default

    def names(self) -> dict[str, str]:
        """Return every name, alias and remapped name, with the storage that it stands for now."""
        names = self._names
        every = (*names.storages, *names.aliases, *names.remapped)
        return {name: self._known(names, name) for name in every}

    def snapshot(self) -> Mapping[str, Named]:
        """Return every name, alias and remapped name with its stack: the same object until one of them changes.

        The storage is what rows have in the place of an alias, which may be a name that is remapped.
        """
        of, found = self._snapshot
        names = self._names
        if of is not names:
            every = (*names.storages, *names.aliases, *names.remapped)
            found = {name: Named(names.written(name), names.storages[self._known(names, name)]) for name in every}
            self._snapshot = names, found
        return found

    @contextmanager
    def changing(self) -> Iterator[Registry]:
        """Give a registry with the same names; what it has at the end this one has then, all at once.

        If the block raises nothing is changed. Nobody else changes this one meanwhile, and nobody who reads waits.
        """
        with self._lock:
            draft = Registry()
            draft._names = self._names
            yield draft
            self._names = draft._names

    def clear(self) -> None:
        """Forget all of them, and close the stacks."""
        with self._lock:
            before, self._names = self._names, _Names()
        for stack in before.storages.values():
            stack.close()

    def _resolved(self, names: _Names, name: str | None) -> str:
        if name is None:
            name = names.default
        if name is None:
            raise ConfigError("there are no storages: configure(name, backend) one first")
        return self._known(names, name)

    def _known(self, names: _Names, name: str) -> str:
        found = names.resolve(name)
        if found is None:
            every = sorted({*names.storages, *names.aliases, *names.remapped})
            if not every:
                raise ConfigError(f"there is no storage {name!r}: configure one first")
            raise ConfigError(unknown_option(name, every, "storage"))
        return found

    def _check_free(self, names: _Names, name: str) -> None:
        if name in names.storages:
            raise ConfigError(f"a storage {name!r} is configured already: take another name, or clear() first")
        if name in names.aliases:
            raise ConfigError(f"{name!r} is an alias of {names.aliases[name]!r}: a storage takes another name")


def _sound(names: _Names, change: str) -> _Names:
    """Return the names if every one of them has a storage, and that answers for its own name (rule 4)."""
    for name in (*names.aliases, *names.remapped):
        storage = names.resolve(name)
        if storage is None:  # an alias that leads to a remapped name, and from there nowhere
            raise ConfigError(f"{change}: {name!r} would have no storage, by way of what is remapped")
        if storage in names.remapped and names.resolve(storage) != storage:
            other = names.remapped[storage]
            raise ConfigError(
                f"{change}: new files of {name!r} would go to {storage!r}, and their rows be answered by {other!r}, "
                f"where they are not: have {name!r} lead to {other!r} itself"
            )
    return names


def _checked(name: object, option: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise ConfigError(f"{option}: {name!r} is no name: 1 to {MAX_NAME_CHARACTERS} characters")
    if "/" in name or " " in name or not name.isprintable() or name in (".", ".."):
        raise ConfigError(
            f"{option}: {name!r} is no name: '/', blanks and what cannot be printed are in none, nor is it '.' or '..'"
        )
    return name


def _stack_of(storage: object, options: StackOptions, name: str) -> MediaStack:
    if isinstance(storage, MediaStack):
        if options:
            raise ConfigError(f"{next(iter(options))}: storage {name!r} is a stack already: give it to that")
        return storage
    is_one = isinstance(storage, (str, PathLike)) or callable(getattr(storage, "open", None))
    return build_stack(cast("Sequence[Spec]", [storage] if is_one else storage), **options)
