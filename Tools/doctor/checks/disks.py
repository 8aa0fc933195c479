"""Room on the disks that this machine writes to."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.resources import Room, bytes_text, has_no_room, room_of, temporary_folder
from NexusCore.settings import Settings
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem
from Tools.doctor.checks.timeouts import all_within

LEAST_FREE = 1024**3
"""Bytes below which a disk counts as full."""
FULL = "The disk is full:"
DISKS_FIRST_SECONDS = 1.0
"""How long all other checks wait for a look at the disks."""
LITTLE_FREE, LITTLE_SHARE = 10 * 1024**3, 0.05
"""Bytes, and share of the disk, below both of which it is soon full."""


def is_nearly_full(room: Room) -> bool:
    """Tell whether a disk is full soon."""
    return room.free < LITTLE_FREE and room.free < LITTLE_SHARE * room.total


def full(case: Case) -> Iterator[CheckResult]:
    """Look for disks that are full: most of what else is found follows from one."""
    try:
        places = _own(case.settings)
    except NexusError:
        places = []
    temporary = temporary_folder()
    if has_no_room(temporary):
        places.append(("temporary files", temporary))
    found = all_within(DISKS_FIRST_SECONDS, {place: functools.partial(_look, *place) for place in places})
    outcomes = [found[place].result() for place in places if place in found]
    yield from (outcome for outcome in outcomes if outcome.sentence.startswith(FULL))


def disks(case: Case) -> Iterator[CheckResult]:
    """Look at the room where programs of this machine write."""
    yield from _all(case, _own(case.settings))
    yield from _all(case, list(_configured(case, case.settings)))


def _own(settings: Settings) -> list[tuple[str, Path]]:
    """Return where every program of this user writes."""
    own = [("NEXUSCORE_HOME: journals", settings.home)]
    if settings.main.kind == "sqlite" and Path(settings.main.name).parent != settings.home:
        own.append(("the database", Path(settings.main.name).parent))
    return own


def _all(case: Case, places: Sequence[tuple[str, Path]]) -> Iterator[CheckResult]:
    found = all_within(case.left, {place: functools.partial(_look, *place) for place in places})
    for place in places:
        if place in found:
            yield found[place].result()
        else:
            what, path = place
            yield problem(f"The disk of {path} ({what}) does not answer.", "Is it a share whose server is away?")


def _configured(case: Case, settings: Settings) -> Iterator[tuple[str, Path]]:
    try:
        config = case.configuration()
    except NexusError:
        return
    records = config["Services.Builder.records_path"]
    if records or os.path.exists(settings.home / "records"):  # noqa: PTH110  closed folders are no error here
        yield "records", Path(str(records)).expanduser().absolute() if records else settings.home / "records"
    wanted = [name.strip() for name in str(config["Services.Uploader.destinations"] or "").split(",")]
    target = config["Services.Uploader.directory.path"]
    if target and "directory" in wanted:
        yield "where records are copied to", Path(str(target)).expanduser().absolute()


def _look(what: str, path: Path) -> CheckResult:
    place, where = path, f"{path} ({what})"
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        room = room_of(place)
    except OSError as error:
        return problem(f"{where} cannot be looked at: {error.strerror}.")
    if not place.is_dir():
        return problem(f"{where} cannot be a folder: {place} is a file.", "Move the file, or name another folder.")
    share = f"{bytes_text(room.free)} of {bytes_text(room.total)}"
    if room.free < LEAST_FREE or room.inodes == 0:
        full = f"only {share} are left" if room.inodes != 0 else "no more files can be made"
        return problem(f"{FULL} {full} for {where}.", f"To see what takes it: du -xh {place} | sort -h")
    if not os.access(place, os.W_OK | os.X_OK):
        return note(f"This user may not write in {where}.", "Programs of this user then keep no journal there.")
    if is_nearly_full(room):
        return note(f"The disk of {where} is nearly full: {share} are left.", "Make room before it is.")
    return ok(f"{where} has {share} left.")
