"""Room on the disks that this machine writes to."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.settings import Settings
from Tools.checks.case import Case
from Tools.checks.outcome import Outcome, note, ok, problem
from Tools.checks.patience import all_within
from Tools.checks.quantities import bytes_text

LEAST_FREE = 1024**3
"""Bytes below which a disk counts as full."""
LITTLE_FREE, LITTLE_SHARE = 10 * 1024**3, 0.05
"""Bytes, and share of the disk, below both of which it is soon full."""
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system where it is mounted."""

    point: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Room:
    """What is left on a disk."""

    free: int
    """Bytes that this user may still write."""
    total: int
    inodes: int | None
    """Files that may still be made; None where the file system does not count them."""


def filesystem_of(path: Path) -> Mount | None:
    """Return the file system that a path is on; None where that cannot be told."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    found: Mount | None = None
    real = os.path.realpath(path)
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].encode().decode("unicode_escape")  # blanks are written as \040
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and (found is None or len(point) >= len(found.point)):
            kind, source = rest.split()[:2]
            found = Mount(point, kind, source)
    return found


def room_of(path: Path) -> Room:
    """Return what is left on a path's disk."""
    stat = os.statvfs(path)
    return Room(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize, stat.f_favail if stat.f_files else None)


def is_nearly_full(room: Room) -> bool:
    """Tell whether a disk is full soon."""
    return room.free < LITTLE_FREE and room.free < LITTLE_SHARE * room.total


def disks(case: Case) -> Iterator[Outcome]:
    """Look at the room where programs of this machine write."""
    settings = case.settings
    own = [("NEXUSCORE_HOME: journals", settings.home)]
    if settings.main.kind == "sqlite" and Path(settings.main.name).parent != settings.home:
        own.append(("the database", Path(settings.main.name).parent))
    yield from _all(case, own)
    yield from _all(case, list(_configured(case, settings)))


def _all(case: Case, places: Sequence[tuple[str, Path]]) -> Iterator[Outcome]:
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


def _look(what: str, path: Path) -> Outcome:
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
        return problem(f"The disk of {where} is full: {full}.", f"To see what takes it: du -xh {place} | sort -h")
    if not os.access(place, os.W_OK | os.X_OK):
        return note(f"This user may not write in {where}.", "Programs of this user then keep no journal there.")
    if is_nearly_full(room):
        return note(f"The disk of {where} is nearly full: {share} are left.", "Make room before it is.")
    return ok(f"{where} has {share} left.")
