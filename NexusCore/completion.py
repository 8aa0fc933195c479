"""Completion in the shell, by argcomplete, for tools and services alike.

Without candidates when a database does not answer for `DATABASE_SECONDS`; modules are imported when Tab is pressed.
"""

from __future__ import annotations

import os
import threading
import time
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from NexusCore.errors import NexusError
from NexusCore.text import odd_character

DATABASE_SECONDS = 1.5
"""Longest wait for a database, without any work of this process in between."""
MOST_SECONDS = 8.0
"""Longest wait after Tab was pressed, also on a machine that is so busy that this process hardly gets on."""
_LOOK_SECONDS = 0.05
_WORK_SECONDS = 0.001
"""Processor time between two looks that counts as work; a look alone takes a tenth of it."""

Read = Callable[[Namespace, str], Iterable[str]]
"""Returns candidates, given the arguments so far and the beginning of the word; a mapping adds what each is for, which
some shells show."""


def attach(action: Action, read: Read) -> None:
    """Complete an argument with the candidates that `read` returns."""

    def complete(prefix: str, parsed_args: Namespace, **_: object) -> dict[str, str]:
        words = _in_time(lambda: read(parsed_args, prefix))
        # Names with control characters are not offered: they could not be typed.
        return {word: text for word, text in words.items() if word.startswith(prefix) and odd_character(word) is None}

    action.completer = complete  # type: ignore[attr-defined]  # argcomplete looks for it there


def offer(parser: ArgumentParser) -> None:
    """Print the candidates and end the process, if the shell asks for them."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    argcomplete.autocomplete(
        parser,
        always_complete_options=False,
        exclude=getattr(parser, "hidden", ()),
        default_completer=argcomplete.completers.SuppressCompleter(),
    )


def files(_arguments: Namespace, prefix: str) -> Iterable[str]:
    """Return the files and folders whose paths begin with `prefix`."""
    from pathlib import Path

    folder = prefix[: prefix.rfind("/") + 1]
    for entry in sorted(Path(folder or ".").iterdir()):
        if not entry.name.startswith(".") or prefix[len(folder) :].startswith("."):
            yield f"{folder}{entry.name}{'/' if entry.is_dir() else ''}"


def _in_time(read: Callable[[], Iterable[str]]) -> dict[str, str]:
    words: dict[str, str] = {}

    def work() -> None:
        with suppress(NexusError, ImportError, OSError):
            found = read()
            words.update(found if isinstance(found, Mapping) else dict.fromkeys(found, ""))

    # A driver that waits for a silent server cannot be interrupted; its daemon thread is abandoned.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    begin = since = time.monotonic()
    used = time.process_time()
    while thread.is_alive() and (now := time.monotonic()) - since < DATABASE_SECONDS and now - begin < MOST_SECONDS:
        thread.join(_LOOK_SECONDS)
        before, used = used, time.process_time()
        if used - before > _WORK_SECONDS:  # it waits for no database, but imports, or reads what was found
            since = time.monotonic()
    return dict(words)
