"""Shows which instruments' folders cannot be read: a share that is not mounted else costs the next session its files.

Promises
--------
* A folder on a server that does not answer holds the Builder up for `ANSWER_SECONDS`, once: it is not asked again
  before it has answered.
* Each change is logged once; a folder that can be read again, too.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path

from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import ConfigException
from NexusCore.facility import Instruments
from NexusCore.facility.file_walk import shown
from NexusCore.text import one_line
from NexusCore.threads import start_thread

PREFIX = "file store "
"""How the names of the status elements begin; an instrument's pid follows."""
OK, UNUSED = "ok", "not in use"
ANSWER_SECONDS = 2.0
_NAME_LIMIT = 128
"""Characters that the name of a status element may have."""


class FileStoreCheck:
    """Looks at the folders of the instruments.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    show
        Shows a sentence as the element of a name.
    log
        Logs changes.
    """

    def __init__(self, config: ReadOnlyConfiguration, show: Callable[[str, str], object], log: logging.Logger) -> None:
        self._config = config
        self._show = show
        self._log = log
        self._known: dict[str, str] = {}
        self._asked: dict[Path, Future[str]] = {}

    def care(self) -> None:
        """Look at all folders, at the same time, and show what is wrong with each."""
        instruments = Instruments(self._config)
        folders: dict[str, Path] = {}
        for instrument in instruments.all():
            try:
                folders[instrument.pid] = instruments.folder(instrument)
            except ConfigException:
                continue  # its files are only transferred
        wanted = set(folders.values())
        self._asked = {folder: asked for folder, asked in self._asked.items() if not asked.done() and folder in wanted}
        fresh = wanted - self._asked.keys()
        self._asked |= {folder: start_thread(partial(_trouble, folder), "file store") for folder in fresh}
        wait([self._asked[folder] for folder in fresh], ANSWER_SECONDS)
        for pid, folder in folders.items():
            asked = self._asked[folder]
            self._report(pid, asked.result() if asked.done() else f"{shown(folder)} does not answer")
        for pid in self._known.keys() - folders.keys():
            self._report(pid, UNUSED)

    def _report(self, pid: str, sentence: str) -> None:
        before = self._known.get(pid, OK)
        if sentence != before and sentence != UNUSED:
            if sentence == OK:
                self._log.info("%s: its folder can be read again", pid)
            else:
                self._log.warning("%s: its files cannot be found: %s", pid, sentence)
        if sentence == UNUSED:
            del self._known[pid]
        else:
            self._known[pid] = sentence
        self._show(one_line(f"{PREFIX}{pid}")[:_NAME_LIMIT], sentence)


def _trouble(folder: Path) -> str:
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        return f"{shown(folder)} cannot be read ({error.strerror or error})"
    return OK
