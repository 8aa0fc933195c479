"""What a folder adds: one registry for formats, calendars and destinations.

A package's folders are its kinds; a kind has the folder's name. The folder's ``__init__.py`` says what the kind is,
and imports nothing heavy. To add a kind is to add a folder; no other file is touched.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import ModuleType

SOURCES = "Services.Harvester.sources"
DESTINATIONS = "Services.Uploader.destinations"
SERVICES = "Services"
CORE_DECLARATIONS = "NexusCore.facility.declarations"
DECLARATIONS = "declarations"
"""Module of a service that declares what it reads from the configuration."""


class Credentials(Enum):
    """Whether a kind needs credentials; its folder states it as ``CREDENTIALS``."""

    NEEDED = "needed"
    OPTIONAL = "optional"
    """Only some of its servers ask for them, and what lies on a disk of this machine never does."""
    NONE = "none"


@cache
def kinds(package: str) -> Mapping[str, ModuleType]:
    """Return the module of each folder in a package, by name."""
    return {name: importlib.import_module(f"{package}.{name}") for name in names(package)}


def credentials_of(package: str, kind: str) -> Credentials:
    """Return whether a kind needs credentials; one that does not exist, or does not say so, may need them."""
    module = importlib.import_module(f"{package}.{kind}") if kind in names(package) else None
    stated = getattr(module, "CREDENTIALS", Credentials.NEEDED)
    return Credentials(stated)


@cache
def names(package: str) -> tuple[str, ...]:
    """Return the names of a package's kinds, in order; the kinds themselves are not imported."""
    folders = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return tuple(sorted(folder.name for folder in folders if folder.ispkg))


@cache
def declarations() -> tuple[ModuleType, ...]:
    """Return the modules that declare parameters: the core's own, and that of each service.

    A package without services, such as the session logger's, has the core's own alone.
    """
    modules = [importlib.import_module(CORE_DECLARATIONS)]
    if importlib.util.find_spec(SERVICES) is not None:
        rooms = (f"{SERVICES}.{service}.{DECLARATIONS}" for service in names(SERVICES))
        modules += [importlib.import_module(room) for room in rooms if importlib.util.find_spec(room) is not None]
    return tuple(modules)


def after_migration(url: object) -> None:
    """Do what follows on the creation of the tables; it stands above the storage, which knows it by name only."""
    importlib.import_module("NexusCore.declare").declare_all(url)
