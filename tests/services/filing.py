"""A station with a drop folder, run by Intake in the test's own process: what the tests of Intake share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.config import NamedConfiguration
from NexusCore.facility.intake_move import IntakeMove
from NexusCore.facility.intake_moves import IntakeMoves
from NexusCore.service import Pass
from Services.Intake.commands.cli_options import IntakeOptions
from Services.Intake.filing import Filer
from Services.Intake.inbox_round import InboxReport
from Services.Intake.planning import Entry, Existing, InboxFacts, Parts, plan
from Services.Intake.rules.rule import FilingRule
from Services.Intake.rules.shipped import OVERWATCH
from Services.Intake.scanning import Found
from Services.Intake.service import Intake
from Services.Intake.settings import read
from Services.Intake.undoing import Undoer, Undone
from tests.processes import app_on, environment_of

RUN = "EMChistos_300005_B_2015_11_24_18_05_10.root"
"""A name as a detector's receiver gives it."""
RUN_FILED = "Run300005/EMC/EMChists.2015_11_24_18_05_10.root"
EVER = 1 << 62


@dataclass
class Station:
    """A drop folder, `det`, whose files are complete at once, and an Intake."""

    url: str
    home: Path
    app: App
    inbox: Path
    root: Config = field(init=False)

    def __post_init__(self) -> None:
        self.root = Config(self.app.get_config())

    @property
    def config(self) -> NamedConfiguration:
        """The configuration from its root."""
        return self.app.get_config()

    @property
    def moves(self) -> IntakeMoves:
        return IntakeMoves(self.app.database(), self.app.clock)

    def drop(self, name: str = RUN, content: str | bytes = "data", age: float = 0) -> Path:
        """Leave a file in the drop folder."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if age:
            when = path.stat().st_mtime - age
            os.utime(path, (when, when))
        return path

    def intake(self) -> Intake:
        """Return an Intake that makes single passes."""
        intake = Intake(self.app)
        intake.take_options(IntakeOptions(once=True))
        return intake

    def run(self) -> InboxReport:
        """Make one pass; return what came of the drop folder."""
        intake = self.intake()
        try:
            intake.once()
        finally:
            intake.close()
        return intake._reports["det"]

    def passes(self, intake: Intake) -> Pass:
        return intake.once()

    def history(self) -> list[IntakeMove]:
        return self.moves.history(count=100_000)

    def undo(self, since: int = 0, rule: str | None = None) -> Undone:
        filer = Filer(self.moves, self.app.clock, "undoer", 30, lambda: False)
        return Undoer(self.moves, filer, 30, read(self.config).roots(), lambda: False).undo(since, EVER, rule)

    def tree(self, folder: Path | None = None) -> dict[str, str]:
        """Return the files below a folder, with their contents."""
        top = folder or self.inbox
        return {
            path.relative_to(top).as_posix(): path.read_text()
            for path in sorted(top.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def environment(self) -> dict[str, str]:
        return environment_of(self.url, self.home)


class Config:
    """Sets parameters below `Services.Intake`."""

    def __init__(self, config: NamedConfiguration) -> None:
        self._config = config

    def rule(self, name: str, **parameters: object) -> None:
        for parameter, value in parameters.items():
            self._config.set(f"Services.Intake.rules.{name}.{parameter}", value, create=True)  # type: ignore[arg-type]

    def inbox(self, name: str = "det", **parameters: object) -> None:
        for parameter, value in parameters.items():
            self._config.set(f"Services.Intake.inboxes.{name}.{parameter}", value, create=True)  # type: ignore[arg-type]

    def mirror(self, name: str, **parameters: object) -> None:
        for parameter, value in parameters.items():
            self._config.set(f"Services.Intake.mirrors.{name}.{parameter}", value, create=True)  # type: ignore[arg-type]


@contextmanager
def station_on(url: str, folder: Path, clock: Clock = SYSTEM_CLOCK) -> Iterator[Station]:
    """Lend a station on a database."""
    inbox = folder / "drop"
    inbox.mkdir()
    app = app_on(url, folder / "home", clock)
    try:
        station = Station(url, folder / "home", app, inbox)
        station.root.inbox(path=str(inbox), stable_seconds=0.0)
        station.config["Facility.data_root"] = str(folder / "data")
        (folder / "data").mkdir()
        yield station
    finally:
        app.shutdown(10)


class NoTargets:
    """Targets that are all free."""

    def __init__(self, taken: dict[str, str] | None = None, contents: dict[str, str] | None = None) -> None:
        self.taken = taken or {}
        """Paths that are taken, with the content of what is there; a folder ends with a slash."""
        self.contents = contents or {}
        """Contents of the inbox's files."""

    def at(self, root: Path, parts: Parts) -> Existing | None:
        path = "/".join(parts)
        if path in self.taken:
            return Existing(is_folder=False, size=len(self.taken[path]), is_file=True)
        if f"{path}/" in self.taken or any(other.startswith(f"{path}/") for other in self.taken):
            return Existing(is_folder=True)
        return None

    def same_content(self, found: Found, root: Path, parts: Parts) -> bool:
        return self.contents.get(found.path) == self.taken["/".join(parts)]

    def same_files(self, one: Found, other: Found) -> bool:
        return self.contents.get(one.path) == self.contents.get(other.path)


FACTS = InboxFacts("det", Path("/drop"), Path("/data"))


def found(path: str, size: int = 4) -> Found:
    *folder, name = path.split("/")
    return Found(tuple(folder), name, size, 1_700_000_000 * 10**9, inode=1)


def planned(
    paths: Sequence[str],
    *rules: FilingRule,
    facts: InboxFacts = FACTS,
    taken: dict[str, str] | None = None,
    contents: dict[str, str] | None = None,
) -> dict[str, Entry]:
    """Return what becomes of files, by path."""
    files = [found(path) for path in paths]
    entries = plan(files, rules or (OVERWATCH,), facts, NoTargets(taken, contents))
    return {entry.found.path: entry for entry in entries}


def aims(entries: dict[str, Entry]) -> dict[str, str]:
    """Return the targets of the files that would be filed."""
    return {path: "/".join(entry.parts) for path, entry in entries.items() if entry.outcome.value == "file"}


PROGRAM = [sys.executable, "-m", "Services.Intake"]
