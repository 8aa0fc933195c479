"""The drop folders that Intake files from: `Services.Intake.inboxes.<name>.*`, and what lies in them."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import TimeoutError as TimedOut
from dataclasses import dataclass
from pathlib import Path

from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import ConfigException
from NexusCore.facility.instruments import INSTRUMENTS_FOLDER
from NexusCore.facility.intake_moves import IntakeMoves, Stamp
from NexusCore.facility.transfer_settings import IGNORED
from NexusCore.text import odd_character
from NexusCore.threads import start_thread

INBOXES_FOLDER = "Services.Intake.inboxes"
DEFAULT_RULE = "overwatch"
LOOK_SECONDS = 10.0
"""How long a look into the drop folders of an instrument may take; a file server may hang."""
MOST_COUNTED = 10_000
"""Files that such a look counts."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Inbox:
    """A drop folder; the names are those of its parameters."""

    name: str
    path: Path
    """Absolute."""
    on: bool = True
    rules: tuple[str, ...] = (DEFAULT_RULE,)
    """Names of its rules; the first one that takes a file decides."""
    instrument: str = ""
    """Pid of the instrument that its files are from; empty for none."""
    subfolders: bool = False
    """Whether files in its subfolders are filed, too."""
    ignore: tuple[str, ...] = IGNORED
    stable_seconds: float = 10.0
    """How long a file must not have changed."""
    silent_minutes: float = 0.0
    """Minutes without a file after which an alert is given; 0 for never."""
    oldest_minutes: float = 60.0
    """Minutes that a file may lie in it before an alert is given; 0 for any time."""


def inbox_names(config: ReadOnlyConfiguration) -> list[str]:
    """Return the names of the inboxes in the configuration."""
    return config.keys(INBOXES_FOLDER)


def inbox_settings(config: ReadOnlyConfiguration, name: str) -> Inbox:
    """Return the settings of an inbox.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    name
        Of the inbox.

    Raises
    ------
    ConfigException
        If one of them cannot be used, with a sentence that names it.
    """
    place = f"{INBOXES_FOLDER}.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigException(reason=f"{place}: the name of an inbox has up to 40 letters, digits, '-' and '_'")
    text = _text(config, f"{place}.path")
    path = Path(text).expanduser()
    if not path.is_absolute() or odd_character(text) is not None:
        raise ConfigException(reason=f"{place}.path is '{text}'; it has to be the absolute path of a folder")
    instrument = _text(config, f"{place}.instrument")
    if instrument and instrument not in config.keys(INSTRUMENTS_FOLDER):
        raise ConfigException(reason=f"{place}.instrument is '{instrument}', which is not the pid of an instrument")
    rules = config[f"{place}.rules"]
    ignore = config[f"{place}.ignore"]
    return Inbox(
        name,
        Path(os.path.normpath(path)),
        on=config[f"{place}.on"] is not False,
        rules=(DEFAULT_RULE,) if rules is None else _parts(str(rules)),
        instrument=instrument,
        subfolders=config[f"{place}.subfolders"] is True,
        ignore=IGNORED if ignore is None else _parts(str(ignore)),
        stable_seconds=_number(config, f"{place}.stable_seconds", 10.0, 86_400.0),
        silent_minutes=_number(config, f"{place}.silent_minutes", 0.0, 525_600.0),
        oldest_minutes=_number(config, f"{place}.oldest_minutes", 60.0, 525_600.0),
    )


def files_under_way(
    config: ReadOnlyConfiguration, moves: IntakeMoves, instrument: str, start_ts: int, end_ts: int
) -> int:
    """Return how many files of an instrument are still being filed: in its drop folders, or being moved.

    Folders that this machine does not see, or that do not answer, count as empty.

    Parameters
    ----------
    config, moves
        The configuration from its absolute root, and the history of filings.
    instrument
        Pid.
    start_ts, end_ts
        Only files in drop folders that were modified in this time; microseconds since the epoch, UTC.
    """
    inboxes = []
    for name in inbox_names(config):
        try:
            inbox = inbox_settings(config, name)
        except ConfigException:  # Intake reports it
            continue
        if inbox.on and inbox.instrument == instrument:
            inboxes.append(inbox)
    if not inboxes:
        return 0
    count = moves.under_way(instrument)

    def look() -> int:
        found = {}
        for inbox in inboxes:
            for path, state in _files(inbox):
                if start_ts <= state.st_mtime_ns // 1000 <= end_ts:
                    found[path] = Stamp(state.st_size, state.st_mtime_ns // 1000)
        filed = moves.filed_at(list(found)) if any(inbox.subfolders for inbox in inboxes) else {}
        return sum(stamp not in filed.get(path, set()) for path, stamp in found.items())

    try:
        return count + start_thread(look, "drop folders").result(LOOK_SECONDS)
    except (TimedOut, OSError):
        return count


def _files(inbox: Inbox) -> Iterator[tuple[str, os.stat_result]]:
    ignored = re.compile("|".join(map(fnmatch.translate, inbox.ignore)) or r"(?!)", re.IGNORECASE)
    counted = 0
    for where, folders, names in os.walk(inbox.path):
        folders[:] = [name for name in folders if inbox.subfolders and not ignored.match(name)]
        for name in names:
            if ignored.match(name) or odd_character(name) is not None:
                continue
            path = os.path.join(where, name)  # noqa: PTH118  of many files
            try:
                state = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(state.st_mode):
                yield path, state
                counted += 1
                if counted >= MOST_COUNTED:
                    return


def _text(config: ReadOnlyConfiguration, path: str) -> str:
    value = config[path]
    return "" if value is None else str(value).strip()


def _number(config: ReadOnlyConfiguration, path: str, default: float, most: float) -> float:
    if config[path] is None:
        return default
    value = config.number(path)
    if not 0 <= value <= most:
        raise ConfigException(reason=f"{path} is {value:g}; it has to be between 0 and {most:g}")
    return float(value)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())
