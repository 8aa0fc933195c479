"""The stores of the facility's instruments, as the settings say at the moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from threading import Lock

from NexusCore.clock import Clock
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import ConfigException, NoSuchInstrument, NotANumber, ValueMissing
from NexusCore.facility.instruments import INSTRUMENTS_FOLDER, Instruments
from NexusCore.facility.stores import open_store, opened_with
from NexusCore.facility.stores.directory import DirectoryStore
from NexusCore.facility.stores.model import Store, StoreFull, StoreUnavailable
from NexusCore.facility.transfer_settings import (
    StoreSettings,
    TransferSettings,
    store_settings,
    transfer_settings,
)
from NexusCore.log import Log

REMIND_SECONDS = 600.0
"""After which the log is told again of what is still wrong."""
MOST_REMEMBERED = 1000
STORE_OK = "ok"
"""Health of a store that can be used."""
_OFF = TransferSettings()
_Opened = tuple[StoreSettings, int, tuple[int, ...] | None]
"""What a store was opened with: its settings, the size of a chunk, and which version of the file with its key."""


class StoreRoom:
    """Opens stores, and keeps them open.

    Parameters
    ----------
    config, instruments
        The configuration from its root, and the instruments in it.
    log, clock
        For what is wrong with the settings or a store.
    """

    def __init__(self, config: ReadOnlyConfiguration, instruments: Instruments, log: Log, clock: Clock) -> None:
        self._config = config
        self._instruments = instruments
        self._log = log
        self._clock = clock
        self._open: dict[_Opened, Store] = {}
        self._told: dict[str, float] = {}
        self._lock = Lock()

    def settings(self, pid: str) -> TransferSettings:
        """Return the settings of an instrument; those that are wrong switch its transfer off, with a warning."""
        try:
            return transfer_settings(self._config, pid)
        except (ConfigException, NotANumber, ValueMissing) as error:
            self.warn(f"File transfer is switched off for {pid}: {error}")
            return _OFF

    def share(self, pid: str) -> str:
        """Return the name of what calls about the files of an instrument wait for: its store, or its own folder."""
        return self.settings(pid).store or pid

    def of(self, pid: str, name: str, chunk: int) -> Store:
        """Return a store.

        Parameters
        ----------
        pid, name
            The instrument, and the name of the store; empty for the folder of the instrument's files.
        chunk
            Bytes that are sent at once.

        Raises
        ------
        StoreUnavailable
            If it cannot be opened.
        """
        try:
            if not name:
                return DirectoryStore("", self._instruments.folder(self._instruments.get(pid)), chunk)
            settings = store_settings(self._config, name)
            opened = settings, chunk, opened_with(settings)
            with self._lock:
                store = self._open.get(opened)
            if store is None:
                store = open_store(settings, chunk)
                with self._lock:
                    self._open = {key: value for key, value in self._open.items() if key[0].name != name}
                    self._open[opened] = store
            return store
        except (ConfigException, NoSuchInstrument) as error:
            raise StoreUnavailable(store=name or pid, reason=str(error)) from error

    def in_use(self, chunk: int) -> list[Store]:
        """Return the stores of the instruments whose transfer is on, as far as they can be opened."""
        found: dict[tuple[str, str], Store] = {}
        for pid in self._config.keys(INSTRUMENTS_FOLDER):
            settings = self.settings(pid)
            if settings.on:
                try:
                    found[settings.store, "" if settings.store else pid] = self.of(pid, settings.store, chunk)
                except StoreUnavailable as error:
                    self.warn(str(error))
        return list(found.values())

    def health(self, chunk: int) -> dict[str, str]:
        """Ask each store in use whether it can be used; return the reasons why not, "ok" for none.

        They are named as in the settings; the folder of an instrument's files is named by the instrument.
        """
        health: dict[str, str] = {}
        for pid in self._config.keys(INSTRUMENTS_FOLDER):
            settings = self.settings(pid)
            name = settings.store or pid
            if not settings.on or name in health:
                continue
            try:
                self.of(pid, settings.store, chunk).check()
                health[name] = STORE_OK
            except (StoreUnavailable, StoreFull) as error:
                health[name] = str(error.facts.get("reason", "it is full"))
                self.warn(str(error))
        return health

    def check(self, chunk: int, has_objects: Callable[[str, str], bool]) -> None:
        """Raise if the settings of an instrument's transfer are wrong, or its store cannot be used; change nothing.

        Parameters
        ----------
        chunk
            Bytes that are sent at once.
        has_objects
            Whether files of an instrument are known to be in a store, by the names of store and instrument.

        Raises
        ------
        ConfigException, NotANumber, ValueMissing, StoreUnavailable
            With a sentence for the operators.
        """
        for pid in self._config.keys(INSTRUMENTS_FOLDER):
            settings = transfer_settings(self._config, pid)
            if settings.on:
                store = self.of(pid, settings.store, chunk)
                store.check()
                if has_objects(settings.store, pid):  # without objects, it would make the store's hidden folder
                    store.prepare(lambda: True)

    def warn(self, text: str) -> None:
        """Log a warning, but not again and again."""
        now = self._clock.monotonic()
        with self._lock:
            if now - self._told.get(text, -REMIND_SECONDS) < REMIND_SECONDS:
                return
            if len(self._told) >= MOST_REMEMBERED:
                self._told.clear()
            self._told[text] = now
        self._log.warning("%s", text)


def object_name(pid: str, store: str, folder: str, path: str) -> str:
    """Return the name that a file has in a store, if that is free; a named store has files of several instruments."""
    return f"{_folder(pid)}/{folder}/{path}" if store else f"{folder}/{path}"


def manifest_name(pid: str, store: str, identifier: str) -> str:
    """Return the name of a session's manifest in a store."""
    name = f".nexuscore/{identifier}.manifest.json"
    return f"{_folder(pid)}/{name}" if store else name


def _folder(pid: str) -> str:
    """Return the folder of an instrument in a store; its pid comes from the configuration, and may have any letters."""
    return re.sub(r"[/\\\x00-\x1f\x7f]", "_", pid)
