"""Moves received files into the folders of their runs, by the names that Overwatch's receiver gives them.

Promises
--------
* Every move is checked before the first one is made: one that would overwrite something, two files that would get one
  name, or a name that belongs to two subsystems, and no file is moved.
* No move replaces a file, also if one with that name appears at that moment.
* If a move fails, those before it are undone: the mode, which is in the old names alone, is not lost.
* Only regular files are moved. Folders, links, pipes and devices stay, with a warning.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.text import one_line

SUFFIX = ".root"
REPLAY_MODE, REPLAY_FOLDER = "E", "ReplayData"
"""Replayed data are kept apart, so that they are not processed."""
MODE = "hltMode"
"""Key of a run's mode, beside the names of its subsystems."""
LONGEST_NAME = 255
"""Bytes of a name that file systems take."""
PROBLEMS_SHOWN = 5

_LOG = logging.getLogger(__name__)

RunFiles = dict[str, dict[str, list[str] | str]]
"""For each run, the new names of each subsystem's files, and the mode: ``{"Run1": {"EMC": [...], "hltMode": "B"}}``."""


class RunFilesRefused(NexusError):
    """No file was moved: {reason}."""

    exit_code = EXIT_REFUSED


class RunMoveFailed(NexusError):
    """{old} could not be moved to {new} ({reason}). {others}"""  # noqa: D400


@dataclass(frozen=True, slots=True)
class RunMove:
    """One file that is moved."""

    subsystem: str
    run: str
    """``Run300005``."""
    mode: str
    """HLT mode, in upper case."""
    new_name: str
    old: Path
    new: Path


@dataclass(slots=True)
class RunPlan:
    """What is to be moved."""

    moves: list[RunMove] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Why nothing may be moved, a sentence's middle each."""


def plan(folder: Path, names_by_subsystem: Mapping[str, Sequence[str]]) -> RunPlan:
    """Return what is to be moved where; nothing is changed.

    Parameters
    ----------
    folder
        Where the files are, and the folders of the runs.
    names_by_subsystem
        Names of the files of each subsystem. One with fewer than three parts between underscores is not a receiver's
        and stays.
    """
    result = RunPlan()
    targets: dict[Path, str] = {}
    owners: dict[str, str] = {}
    for subsystem, names in names_by_subsystem.items():
        if not names:
            _LOG.info("No files to move in %s", one_line(subsystem))
        if "/" in subsystem or subsystem in (".", "..", MODE):
            result.problems.append(f"{_quoted(subsystem)} cannot be the name of a subsystem")
            continue
        for name in names:
            move = _move_of(folder, subsystem, name, result.problems)
            if move is None:
                continue
            if name in owners:
                result.problems.append(_named_twice(name, owners[name], subsystem))
                continue
            owners[name] = subsystem
            if move.new in targets:
                both = f"{_quoted(targets[move.new])} and {_quoted(name)}"
                result.problems.append(f"{both} would both become {_quoted(move.new)}")
                continue
            targets[move.new] = name
            result.problems += _obstacles(folder, move)
            result.moves.append(move)
    return result


def carry_out(run_plan: RunPlan) -> RunFiles:
    """Make the moves of a plan; return the new names.

    Raises
    ------
    RunFilesRefused
        If the plan has problems; nothing is changed then.
    RunMoveFailed
        If a move failed; those before it were undone, or the message says which could not be.
    """
    if run_plan.problems:
        raise RunFilesRefused(reason=_listed(list(dict.fromkeys(run_plan.problems))), problems=run_plan.problems)
    result: RunFiles = {}
    created: list[Path] = []
    for number, move in enumerate(run_plan.moves):
        _LOG.info("Moving %s to %s", one_line(str(move.old)), one_line(str(move.new)))
        try:
            _create_folders(move.new.parent, created)
            move_without_replacing(move.old, move.new)
        except BaseException as error:
            lost = _undo(run_plan.moves[: number + 1], created)
            if not isinstance(error, OSError):
                raise
            facts = {"old": _quoted(move.old), "new": _quoted(move.new), "others": _undone(number, lost)}
            raise RunMoveFailed(**facts, reason=error.strerror or str(error)) from error
        run = result.setdefault(move.run, {})
        names = run.setdefault(move.subsystem, [])
        assert isinstance(names, list)  # noqa: S101  no subsystem has the name of the mode
        names.append(move.new_name)
        run.setdefault(MODE, move.mode)
    return result


def move_without_replacing(old: Path, new: Path) -> None:
    """Move a file to a name that nothing has; across file systems, what was copied is compared first.

    Raises
    ------
    FileExistsError
        If the name is taken.
    OSError
        With the system's reason; the file is where it was then.
    """
    # An empty file of our own claims the name. The move replaces that, and could replace no other: there is no time
    # between a check and the move in which one could appear.
    claim = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # From the module: Overwatch's authors met losses of data with the function imported by its bare name.
        shutil.move(old, new, copy_function=_copy_whole)
    except BaseException:
        _give_up(claim, old, new)
        raise
    finally:
        os.close(claim)


def _give_up(claim: int, old: Path, new: Path) -> None:
    """Remove the claimed name, unless it is the file itself: the error may have come after the move."""
    status = os.fstat(claim)
    with suppress(FileNotFoundError):
        is_claim = os.path.samestat(status, new.lstat())
        if is_claim and (os.path.lexists(old) or status.st_size == 0):
            new.unlink()


def _move_of(folder: Path, subsystem: str, name: str, problems: list[str]) -> RunMove | None:
    """Return the move of a file; None if it stays."""
    if "/" in name or name in ("", ".", ".."):
        problems.append(f"{_quoted(name)} is not the name of a file")
        return None
    # The suffix is removed wherever it stands, so that it is part of nothing that is read from the name.
    parts = name.replace(SUFFIX, "").split("_")
    if len(parts) < 3:
        _LOG.debug("%s stays: its name has no run and no mode", one_line(name))
        return None
    old = folder / name
    try:
        status = old.lstat()
    except OSError as error:
        problems.append(f"{_quoted(old)} cannot be found ({error.strerror})")
        return None
    if not stat.S_ISREG(status.st_mode):
        _LOG.warning("%s stays: it is not a file, but %s", one_line(str(old)), _kind(status.st_mode))
        return None
    run, mode = f"Run{parts[1]}", parts[2].upper()
    new_name = f"{subsystem}hists.{'_'.join(parts[3:])}{SUFFIX}"
    place = folder / REPLAY_FOLDER / run if mode == REPLAY_MODE else folder / run
    return RunMove(subsystem, run, mode, new_name, old, place / subsystem / new_name)


def _obstacles(folder: Path, move: RunMove) -> Iterator[str]:
    """Yield what is in the way of a move."""
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in move.new.relative_to(folder).parts):
        yield f"{_quoted(move.old)} cannot become {_quoted(move.new)} (the name is too long)"
        return
    for place in reversed(move.new.relative_to(folder).parents):
        with suppress(FileNotFoundError):
            status = (folder / place).lstat() if place.parts else folder.stat()
            if not stat.S_ISDIR(status.st_mode):  # through a link, files could be put anywhere
                yield f"{_quoted(folder / place)} is not a folder, but {_kind(status.st_mode)}"
                return
    try:
        size = move.new.lstat().st_size
    except FileNotFoundError:
        return
    yield f"{_quoted(move.old)} would replace {_quoted(move.new)}, which exists ({size:,} bytes)"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFREG: "a file"}
    return kinds.get(stat.S_IFMT(mode), "a pipe, a socket or a device")


def _named_twice(name: str, first: str, second: str) -> str:
    if first == second:
        return f"{_quoted(name)} is named twice"
    return f"{_quoted(name)} belongs to two subsystems, {first} and {second}"


def _create_folders(folder: Path, created: list[Path]) -> None:
    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for place in reversed(missing):
        with suppress(FileExistsError):
            place.mkdir()
            created.append(place)


def _copy_whole(source: str, target: str) -> str:
    """Copy a file to another file system; the source is removed only after the copy is on the disk and the same."""
    shutil.copy2(source, target)
    digests = []
    for path in (source, target):
        with Path(path).open("rb") as file:
            os.fsync(file.fileno())
            digests.append(hashlib.file_digest(file, "sha256").digest())
    if digests[0] != digests[1]:
        raise OSError(errno.EIO, "the copy differs from the file", target)
    return target


def _undo(moves: Sequence[RunMove], created: Sequence[Path]) -> list[RunMove]:
    """Move files back, the last one first, and remove folders that are empty again; return those that were not."""
    lost = []
    for move in reversed(moves):
        if os.path.lexists(move.old) or not os.path.lexists(move.new):  # it was not moved, or has vanished
            continue
        try:
            move_without_replacing(move.new, move.old)
        except OSError as error:
            _LOG.error("%s could not be moved back to %s: %s", _quoted(move.new), _quoted(move.old), error.strerror)
            lost.append(move)
    for folder in reversed(created):
        with suppress(OSError):
            folder.rmdir()
    return lost


def _undone(count: int, lost: Sequence[RunMove]) -> str:
    if lost:
        return f"These stay moved: {_listed([f'{_quoted(move.old)} is {_quoted(move.new)}' for move in lost])}."
    return "The files moved before were moved back." if count else "No other file was moved."


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - PROBLEMS_SHOWN
    return "; ".join([*texts[:PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _quoted(name: str | Path) -> str:
    return f"'{one_line(str(name))}'"
