"""Where the files of microscopes are kept: a directory, or a bucket of Google Cloud Storage or S3.

A further kind is a class that does what `Store` says, and a line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from NexusCore.config.catalogue import Collected
from NexusCore.config.forms import PATH, URL
from NexusCore.errors import ConfigException
from NexusCore.facility.stores.directory import DirectoryStore
from NexusCore.facility.stores.google import GoogleStore
from NexusCore.facility.stores.keys import key_version
from NexusCore.facility.stores.model import Store, StoreUnavailable
from NexusCore.facility.stores.s3 import S3Store
from NexusCore.facility.transfer_settings import STORES_FOLDER, StoreSettings


def _directory(settings: StoreSettings, chunk: int) -> Store:
    return DirectoryStore(settings.name, Path(settings.path).expanduser(), chunk)


KINDS: Mapping[str, Callable[[StoreSettings, int], Store]] = MappingProxyType(
    {"directory": _directory, "google": GoogleStore, "s3": S3Store}
)
"""What opens a store, by the kind in its settings. It gets the size of a chunk, too."""
_NEEDED = {"directory": "path", "google": "bucket", "s3": "bucket"}


def declare(config: Collected) -> None:
    """Declare the settings of stores; see `NexusCore.config.catalogue`."""
    store = config.at(f"{STORES_FOLDER}.*").may_have
    store("kind", "", comment="How it is reached; empty: not yet in use.", choices=("", *KINDS))
    store("path", "", comment="Folder of a store of the kind directory.", form=PATH)
    store("bucket", "", comment="Name of the bucket.")
    store("prefix", "", comment="What the names of all objects begin with.")
    store("endpoint", "", comment="URL of the server; empty: that of Google or Amazon.", form=URL)
    store("region", "", comment="Region of the bucket.")
    store("credentials", "", comment="File with the key, on the Gateway's machine.", form=PATH)


def opened_with(settings: StoreSettings) -> tuple[int, ...] | None:
    """Return what changes whenever the file with a store's key does: the store has to be opened again then."""
    return key_version(settings.credentials)


def open_store(settings: StoreSettings, chunk: int) -> Store:
    """Return a store.

    Raises
    ------
    ConfigException
        If its settings are not complete.
    StoreUnavailable
        If its key cannot be read, or its library is not installed.
    """
    place = f"{STORES_FOLDER}.{settings.name}"
    if settings.kind not in KINDS:
        raise ConfigException(reason=f"{place}.kind is '{settings.kind}'; use one of {', '.join(KINDS)}")
    needed = _NEEDED[settings.kind]
    if not getattr(settings, needed):
        raise ConfigException(reason=f"{place}.{needed} is not set, which a store of the kind {settings.kind} needs")
    if settings.kind == "directory" and not Path(settings.path).expanduser().is_absolute():
        raise ConfigException(reason=f"{place}.path is '{settings.path}', which is not an absolute path")
    try:
        return KINDS[settings.kind](settings, chunk)
    except ModuleNotFoundError as error:  # a service that was installed alone lacks the stores' libraries
        reason = f"the Python package of {error.name} is not installed here; run: pip install 'NexusCore[gateway]'"
        raise StoreUnavailable(store=settings.name, reason=reason) from None
