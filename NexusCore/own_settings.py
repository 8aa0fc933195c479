"""The settings of a service: declared at its start, put back when somebody removes them, and heeded at once.

Promises
--------
* A declared parameter that is removed, one by one or by a rollback, is read as its default from that moment, and stored
  again with it.
* Changes made together are one line in the log.
* A change of what the service reads ends its wait.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from NexusCore.API import App
from NexusCore.config.catalogue import catalogue
from NexusCore.config.parameter import ConfigParameter
from NexusCore.declare import declare, missing
from NexusCore.errors import DatabaseDenied, NexusError
from NexusCore.signals import HandlerEvent
from NexusCore.text import counted

NAMED = 4
"""Most parameters of a change that are named; of more, only the first ones and the number."""
_SHARED = ("Facility", "Log", "Logger")
"""Folders of declared parameters that belong to no service; any service puts them back."""
PUT_BACK = "put back: a program reads it"
"""Reason of such a change in the history."""


class OwnSettings:
    """Looks after the parameters that a service reads.

    Parameters
    ----------
    app
        The configuration.
    service
        Name of the service; its folder is ``Services.<name>``.
    watched
        Further folders that it reads.
    log
        Where changes are reported.
    """

    def __init__(
        self,
        app: App,
        service: str,
        watched: Sequence[str],
        log: logging.Logger,
    ) -> None:
        self._config = app.get_config()
        self._own = f"Services.{service}"
        self._watched = (self._own, *watched)
        self._log = log
        self.changed = HandlerEvent()
        """Set when something has changed, and when the service has to stop."""
        app.stop_event.sets_too(self.changed)
        app.live.fall_back_on(catalogue().default)
        with suppress(DatabaseDenied):  # an account that may only read leaves it to set-up
            declare(self._config, [self._own, *_SHARED])

    def watch(self) -> None:
        """Heed changes from now on."""
        self._config.add_set_callback([*dict.fromkeys((*self._watched, *_SHARED))], self._saw)

    def put_back(self) -> None:
        """Store declared parameters that are missing with their defaults."""
        edits = missing(self._config, [self._own, *_SHARED])
        if edits:
            with suppress(NexusError):  # the defaults are in use meanwhile; the next pass tries again
                count = len(self._config.store_edits(edits, PUT_BACK))
                if count:
                    self._log.info("%s back with the default: a program reads it", counted(count, "removed parameter"))

    def _saw(self, parameters: list[ConfigParameter]) -> None:
        """Report changes that were made together, and have them take effect at once."""
        heeded = [one for one in parameters if any(_is_in(one.path, folder) for folder in self._watched)]
        if heeded:
            self._log.info("The configuration changed: %s", _in_words(heeded))
        if any(not one.revision for one in parameters):
            self.put_back()
        if heeded:
            self.changed.set()


def _in_words(parameters: Sequence[ConfigParameter]) -> str:
    named = parameters if len(parameters) <= NAMED else parameters[: NAMED - 1]
    words = [f"{one.path} is now '{one.shown}'" if one.revision else f"{one.path} was removed" for one in named]
    more = len(parameters) - len(named)
    return ", ".join(words) + (f", and {counted(more, 'more parameter')}" if more else "")


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}.")
