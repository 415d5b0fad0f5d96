"""Floor 7: named storages, and aliases that point at them.

A row in a database holds the name of a storage and a key in it. New files go where an alias points; those that are
there already stay where they are, and are served from there. The functions here are those of one registry that a
process has; ``Registry`` makes others.
"""

from __future__ import annotations

from .configuration import load as load
from .configuration import load_environment as load_environment
from .registry import Registry as Registry
from .registry import Stored as Stored

registry = Registry()
"""The one that the functions of this module speak of."""

alias = registry.alias
clear = registry.clear
configure = registry.configure
get = registry.get
names = registry.names
remap = registry.remap
resolve = registry.resolve
set_default = registry.set_default
target = registry.target

__all__ = ["Registry", "Stored", "alias", "clear", "configure", "get", "load", "load_environment"]
__all__ += ["names", "registry", "remap", "resolve", "set_default", "target"]
