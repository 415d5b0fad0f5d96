"""``DepotManager``: the storages of a process by name, with DEPOT's methods, a face of ``mediamw.storages``.

1. ``DepotManager.registry`` is the process's own registry: storages that were configured there, or by the environment,
   are found here, and the other way about. A subclass has a registry of its own: ``class Reports(DepotManager): ...``,
   or the one that it is given, ``class Reports(DepotManager, registry=mine): ...``.
2. Names, aliases, the default and ``remap`` are the registry's; kept here are the objects that DEPOT's callers get, and
   the middleware.
3. As in DEPOT, ``get`` and ``resolve_alias`` return None for a name that nothing has; all else raises ``DepotError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ... import storages
from ...core.errors import ConfigError
from ...stack.stack import MediaStack
from ...storages import Registry
from .configuration import stack_beneath, storage_of
from .errors import DepotError

if TYPE_CHECKING:
    from .io.interfaces import StoredFile


class DepotManager:
    """Never instantiated: its methods are those of the class, and so is what they know."""

    registry: ClassVar[Registry] = storages.registry
    # Each configured name with its stack, by which one tells that the registry still has it.
    _storages: ClassVar[dict[str, tuple[MediaStack, Any]]] = {}
    _middleware: ClassVar[Any] = None

    def __init_subclass__(cls, registry: Registry | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.registry = Registry() if registry is None else registry
        cls._storages = {}
        cls._middleware = None

    @classmethod
    def configure(cls, name: str, config: Mapping[str, Any] | None, prefix: str = "depot.") -> Any:
        """Name the storage that ``config`` tells of, and return it; the first one is the default.

        Raises ``ConfigError``, which is a ``DepotError`` (so ``RuntimeError`` too) if the name is taken.
        """
        there = cls.registry.listed().get(name)
        if there is not None and there.kind != "remapped":  # before anything is made
            raise DepotError(f"a storage or alias {name!r} is configured already: take another name")
        storage = cls.from_config(config, prefix)
        stack = stack_beneath(storage, name)
        try:
            cls.registry.configure(name, stack)
        except ConfigError as error:
            stack.close()
            raise DepotError.of_registry(error) from error
        cls._storages[name] = (stack, storage)
        return storage

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None, prefix: str = "depot.") -> Any:
        """Return a new storage, which has no name. Raises ``ConfigError``; ``configuration.py`` has the options."""
        return storage_of(config, prefix)

    @classmethod
    def get(cls, name: object = None) -> Any:
        """Return the storage of this name, alias or remapped name, without one the default; None if there is none."""
        if name is not None and not isinstance(name, str):
            return None  # whatever a broken row holds
        try:
            stack = cls.registry.get(name)
        except ConfigError:
            return None
        for known, storage in tuple(cls._storages.values()):
            if known is stack:
                return storage
        from .io.interfaces import FileStorage

        return FileStorage(stack)  # configured without us

    @classmethod
    def get_file(cls, path: str) -> StoredFile:
        """Return the open file of ``storage_name/file_id``.

        Raises ``DepotError`` if there is no such storage, ``OSError`` if it has no such file, ``ValueError`` if the id
        is none.
        """
        name, slash, file_id = path.partition("/")
        if not slash:
            raise DepotError(f"get_file: {path!r} is no path: give 'storage/id'")
        found: StoredFile = cls._known(name).get(file_id)
        return found

    @classmethod
    def url_for(cls, path: str) -> str:
        """Return the URL, below the middleware's mountpoint, of ``storage_name/file_id``. Raises ``DepotError``."""
        url: str = cls.get_middleware().url_for(path)
        return url

    @classmethod
    def set_default(cls, name: str) -> None:
        """Have new files go to this storage, or where this alias points. Raises ``DepotError``."""
        cls._asking(cls.registry.set_default, name)

    @classmethod
    def get_default(cls) -> str:
        """Return the name of the default storage, that of an alias resolved. Raises ``DepotError`` if there is none."""
        name: str = cls._asking(cls.registry.resolve)
        return name

    @classmethod
    def alias(cls, alias: str, name: str) -> None:
        """Have ``alias`` stand for the storage, or alias, ``name`` from now on. Raises ``DepotError``."""
        cls._asking(cls.registry.alias, alias, name)

    @classmethod
    def resolve_alias(cls, name: object) -> str | None:
        """Return the storage that ``name`` stands for now, None if it stands for none."""
        try:
            return cls.registry.resolve(name) if isinstance(name, str) else None
        except ConfigError:
            return None

    @classmethod
    def remap(cls, names: Mapping[str, str]) -> None:
        """Have names of a production dump, on the left, be answered by storages of here. Raises ``DepotError``."""
        cls._asking(cls.registry.remap, names)

    @classmethod
    def make_middleware(cls, app: Any, *, interface: str = "wsgi", **options: Any) -> Any:
        """Wrap ``app`` with what serves the files, and have ``url_for`` give its URLs; ``interface``: wsgi or asgi.

        ``options`` are those of ``DepotMiddleware``. Raises ``DepotError`` if there is a middleware already.
        """
        from .middleware import DepotASGIMiddleware, DepotMiddleware

        if interface not in ("wsgi", "asgi"):
            raise DepotError(f"interface: {interface!r} is none: give 'wsgi' or 'asgi'")
        made = DepotMiddleware if interface == "wsgi" else DepotASGIMiddleware
        middleware = made(app, registry=cls.registry, **options)
        cls.set_middleware(middleware)
        return middleware

    @classmethod
    def set_middleware(cls, mw: Any) -> None:
        """Have ``url_for`` ask this middleware. Raises ``DepotError`` if there is one already."""
        if cls._middleware is not None:
            raise DepotError("there is a middleware already: make one for an app, or wrap the app that has it")
        cls._middleware = mw

    @classmethod
    def get_middleware(cls) -> Any:
        """Return the middleware. Raises ``DepotError`` if none was made."""
        if cls._middleware is None:
            raise DepotError("there is no middleware: call make_middleware(app) where the app is made")
        return cls._middleware

    @classmethod
    def _known(cls, name: str | None) -> Any:
        """Return the storage of this name. Raises ``DepotError``."""
        cls._asking(cls.registry.resolve, name)
        return cls.get(name)

    @classmethod
    def _asking(cls, ask: Any, *args: Any) -> Any:
        try:
            return ask(*args)
        except ConfigError as error:
            raise DepotError.of_registry(error) from error

    @classmethod
    def _clear(cls) -> None:
        """Forget all storages, of the registry too, and the middleware: for tests, as in DEPOT."""
        cls.registry.clear()
        cls._storages.clear()
        cls._middleware = None


get_depot = DepotManager.get
get_file = DepotManager.get_file
configure = DepotManager.configure
set_default = DepotManager.set_default
