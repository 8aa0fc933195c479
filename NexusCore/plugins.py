"""What a folder adds: one registry for formats, calendars and destinations.

A package's folders are its kinds; a kind has the folder's name. The folder's ``__init__.py`` says what the kind is,
and imports nothing heavy. To add a kind is to add a folder; no other file is touched.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import ModuleType

SOURCES = "Services.Harvester.sources"
DESTINATIONS = "Services.Uploader.destinations"


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
