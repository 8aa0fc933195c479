"""Free space on the disks that this machine writes to."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.resources import Room, bytes_text, has_no_room, room_of, temporary_folder
from NexusCore.settings import Settings
from NexusCore.text import shell_quote
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.journals import SERVICES_USER
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem
from Tools.doctor.checks.timeouts import all_within

LEAST_FREE, LEAST_SHARE = 1024**3, 0.1
"""Too little is left below both: free bytes, and free share. A small disk that is mostly free is only noted."""
FULL = "The disk is full:"
DISKS_FIRST_SECONDS = 1.0
"""Seconds that the first check of the disks may take; all other checks wait for it."""
LITTLE_FREE, LITTLE_SHARE = 10 * 1024**3, 0.05
"""A disk is nearly full below both: free bytes, and free share."""


def is_nearly_full(room: Room) -> bool:
    """Return whether a disk is nearly full."""
    return room.free < LITTLE_FREE and room.free < LITTLE_SHARE * room.total


def full(case: Case) -> Iterator[CheckResult]:
    """Report full disks first: most other problems follow from them."""
    try:
        places = _own(case.settings)
    except NexusError:
        places = []
    temporary = temporary_folder()
    if has_no_room(temporary):
        places.append(("temporary files", temporary))
    finished = all_within(DISKS_FIRST_SECONDS, {place: functools.partial(_check, *place) for place in places})
    outcomes = [finished[place].result() for place in places if place in finished]
    yield from (outcome for outcome in outcomes if outcome.sentence.startswith(FULL))


def disks(case: Case) -> Iterator[CheckResult]:
    """Check the free space where programs of this machine write."""
    yield from _all(case, _own(case.settings))
    yield from _all(case, list(_configured(case, case.settings)))


def _own(settings: Settings) -> list[tuple[str, Path]]:
    """Return the folders that every program of this user writes to."""
    own = [("NEXUSCORE_HOME: journals", settings.home)]
    if settings.main.kind == "sqlite" and Path(settings.main.name).parent != settings.home:
        own.append(("the database", Path(settings.main.name).parent))
    return own


def _all(case: Case, places: Sequence[tuple[str, Path]]) -> Iterator[CheckResult]:
    finished = all_within(case.left_to_answer, {place: functools.partial(_check, *place) for place in places})
    for place in places:
        if place in finished:
            yield finished[place].result()
        else:
            what, path = place
            yield problem(
                f"The disk of {path} ({what}) does not answer.", "Is it a network share whose server is down?"
            )


def _configured(case: Case, settings: Settings) -> Iterator[tuple[str, Path]]:
    try:
        config = case.configuration()
    except NexusError:
        return
    records = config["Services.Builder.records_path"]
    if records or os.path.exists(settings.home / "records"):  # noqa: PTH110  unreadable folders raise no error here
        yield "records", Path(str(records)).expanduser().absolute() if records else settings.home / "records"
    wanted = [name.strip() for name in str(config["Services.Uploader.destinations"] or "").split(",")]
    target = config["Services.Uploader.directory.path"]
    usual = settings.home / "uploaded"
    if "directory" in wanted and (target or os.path.exists(usual)):  # noqa: PTH110  as above
        yield "where records are copied to", Path(str(target)).expanduser().absolute() if target else usual


def _check(what: str, path: Path) -> CheckResult:
    place, where = path, f"{path} ({what})"
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        room = room_of(place)
    except OSError as error:
        return problem(f"{where} cannot be checked: {error.strerror}.")
    if not place.is_dir():
        return problem(f"{where} cannot be a folder: {place} is a file.", "Move the file, or set another folder.")
    share = f"{bytes_text(room.free)} of {bytes_text(room.total)}"
    remedy = f"To see what takes the space: du -xh {shell_quote(str(place))} | sort -h"
    if room.none:
        full = f"only {share} are free" if room.inodes != 0 else "no more files can be created"
        return problem(f"{FULL} {full} for {where}.", remedy)
    if room.free < LEAST_FREE and room.free < LEAST_SHARE * room.total:
        return problem(f"Little space is left: only {share} are free for {where}.", remedy)
    if not os.access(place, os.W_OK | os.X_OK) and not _is_of_services(place):
        return note(f"This user may not write to {where}.", "Programs of this user keep no journal there.")
    if is_nearly_full(room):
        return note(f"The disk of {where} is nearly full: {share} are free.", "Free space before it is full.")
    if room.free < LEAST_FREE:
        return note(f"The disk of {where} is small: {share} are free.", "Records and journals may need more.")
    return ok(f"{where} has {share} free.")


def _is_of_services(place: Path) -> bool:
    """Return whether a folder belongs to the system's services, who alone write there."""
    try:
        return place.owner() == SERVICES_USER
    except (KeyError, NotImplementedError, OSError):  # such as a removed account
        return False
