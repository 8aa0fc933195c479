"""Finding the files of sessions by the time they were modified.

One walk through an instrument's folder (`NexusCore.facility.file_walk`) answers for all its waiting sessions.

Which files count, besides what the walk leaves out:

- Times are compared as whole nanoseconds; both ends of a window belong to it.
- A file that was begun in a window and still written at its end belongs to it, too, up to the next session
  (`LateFiles`); while it is being written, it is `growing`.
- A dataset of several files (`COMPANIONS`) is dated by its main file and comes with all its companions. A companion
  whose main file is not among the window's files stands on its own, so that nothing of the window is lost.
- A folder that is a dataset (`file_walk.FOLDER_FORMATS`) is one file here, as old as its newest and as large as all of
  them.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.facility import file_walk
from NexusCore.facility.file_walk import DEFAULT_IGNORE, SeenFile, Unfollowed, absolute, dataset_folder
from Services.Builder.model import FoundFile

COMPANIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ".ser": (".emi",),  # FEI TIA; here the stem ends in _1, _2, ...
        ".tvips": (
            ".tvips",
        ),  # TVIPS stream; the main file's stem ends in _000, that of its further parts in _001, ...
        ".raw": (".rpl", ".xml"),  # Lispix ripple; EMPAD (see `_EMPAD`)
        ".hdr": (".mib", ".tif"),  # Quantum Detectors Merlin; Tescan
        ".spc": (".spd", ".lsd"),  # EDAX map, line scan: the spectrum
        ".ipr": (".spd",),  # EDAX map: the spatial calibration
        ".csv": (".lsd",),  # EDAX line scan: the spatial calibration
        ".h5": (".h5",),  # DECTRIS; the main file's stem ends in _master, that of its data in _data_000001, ...
    }
)
"""Extension of a companion, and those its main file may have, of the same stem (but as said) in the same folder."""

_EMPAD = re.compile(rb"(scan|series)(_x\d+)(_y\d+)?", re.IGNORECASE)
"""Stem of an EMPAD's raw file, whose XML has a name of its own and is the only one in the folder."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WindowRefused(NexusError):
    """The time window of session '{identifier}' cannot be searched for: {reason}."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class LateFiles:
    """Which of the files that were modified after a window were begun in it."""

    born: tuple[datetime, datetime]
    """From when to when they were made, by the file system's clock."""
    margin_end: datetime
    """Last time of modification of one whose file system does not say when it was made."""
    horizon: datetime
    """Last time of modification that is looked for: a walk that asks for all since an old session finds too much."""
    until: datetime | None = None
    """Last time of modification of any: what is written later may be another session's; None for no limit."""
    seen: frozenset[Path] = frozenset()
    """Files that are known to have been begun in the window."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The time of a session, with both ends belonging to it."""

    identifier: str
    start: datetime
    """Aware."""
    end: datetime
    """Aware, not before `start`."""
    late: LateFiles | None = None
    """None: only what was modified in the window belongs to it."""

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise WindowRefused(identifier=self.identifier, reason="its times have no time zone")
        if self.end < self.start:
            raise WindowRefused(identifier=self.identifier, reason="it ends before it starts")


@dataclass(frozen=True, slots=True)
class FileSearch:
    """What one walk found."""

    files: Mapping[str, tuple[FoundFile, ...]]
    """By the window's identifier, in order of (`modified`, `path`); every window has an entry."""
    unsettled: Mapping[str, tuple[FoundFile, ...]]
    """Likewise, and not in `files`: what was changed so lately, or a companion of it, that it may still be growing."""
    unreadable: tuple[str, ...]
    """A sentence for every file or folder that could not be looked at; the search went on without it."""
    fallback: str | None = field(default=None, compare=False)
    """Why GNU find was not used; None where it was."""
    growing: Mapping[str, tuple[FoundFile, ...]] = field(default_factory=dict)
    """Likewise, in neither: begun in the window, and still being written, or written after `LateFiles.until`.
    A window without any has no entry."""
    unfollowed: Mapping[str, tuple[tuple[Path, str], ...]] = field(default_factory=dict)
    """Likewise, links, pipes and devices of the window, in order of path, and what each is: they are no files."""


def find_files(
    root: Path,
    windows: Sequence[TimeRange],
    *,
    ignore: Sequence[str] = DEFAULT_IGNORE,
    known: frozenset[str] | None = None,
    settle: timedelta = timedelta(0),
    now: datetime | None = None,
    limit: timedelta = timedelta(minutes=10),
    find: str | None = "find",
) -> FileSearch:
    """Find the files below `root` that were modified within each of the windows.

    Parameters
    ----------
    root
        Folder of the instrument; the whole tree below it is searched.
    windows
        Their identifiers differ. A file may belong to several windows.
    ignore
        Patterns of names to leave out.
    known
        Extensions (lower case, with the dot) that can be read: the strategy 'exclusive' finds only these. None is the
        strategy 'inclusive': all files.
    settle
        How long a file must have been left alone; a younger one goes to `unsettled`. Zero asks for nothing. A time that
        is further ahead of `now` than this is that of a wrong clock, and says nothing about the file's age.
    now
        The time to judge that by, aware; by default that of the system's clock before the walk.
    limit
        Longest time for one walk. A find that exceeds it is killed, and the walk made again in Python.
    find
        Name or path of GNU find; None to do without.

    Raises
    ------
    FileStoreUnreadable
        The root is missing, not a folder, or may not be read.
    SearchTimedOut
        The walk in Python took longer than `limit`, too.
    WindowRefused
        Two windows have the same identifier.
    """
    for index, window in enumerate(windows):
        if any(window.identifier == other.identifier for other in windows[:index]):
            raise WindowRefused(identifier=window.identifier, reason="it is asked for twice")
    if not windows:
        return FileSearch({}, {}, ())
    root = root.absolute()
    now = now or datetime.now(UTC)
    young = range(_nanoseconds(now - settle) + 1, _nanoseconds(now + settle) + 1) if settle else range(0)
    span = (
        min(_nanoseconds(window.start) for window in windows),
        max(
            _nanoseconds(max(window.end, min(now, window.late.horizon)) if window.late else window.end)
            for window in windows
        ),
    )
    walk = file_walk.walk(
        root,
        span,
        ignore=ignore,
        limit=limit.total_seconds(),
        find=find,
        companions=COMPANIONS,
        # A clock that is ahead may have dated one later than now.
        until=max((_nanoseconds(window.late.horizon) for window in windows if window.late), default=None),
    )
    tree = _DatasetTree(root, _join_dataset_folders(walk.seen))
    datasets = {window.identifier: tree.datasets(window, known, young) for window in windows}
    files = {identifier: tuple(those.settled) for identifier, those in datasets.items()}
    unsettled = {identifier: tuple(those.unsettled) for identifier, those in datasets.items()}
    growing = {identifier: tuple(those.growing) for identifier, those in datasets.items() if those.growing}
    errors = sorted({(absolute(root, path), reason) for path, reason in walk.errors})
    sentences = tuple(f"{file_walk.shown(path)} could not be searched: {reason}." for path, reason in errors)
    unfollowed = {window.identifier: _unfollowed(root, window, walk.unfollowed) for window in windows}
    others = {identifier: those for identifier, those in unfollowed.items() if those}
    return FileSearch(files, unsettled, sentences, walk.fallback, growing, others)


def datasets_of(root: Path, files: Sequence[SeenFile], known: frozenset[str] | None = None) -> tuple[FoundFile, ...]:
    """Return the datasets that files are, whenever they were modified, in order of (`modified`, `path`).

    Parameters
    ----------
    root, files
        The folder, and what is below it.
    known
        As for `find_files`.
    """
    tree = _DatasetTree(root.absolute(), _join_dataset_folders(list(files)))
    return tuple(tree.grouped(tree.seen, known, range(0)).settled)


def _unfollowed(root: Path, window: TimeRange, seen: Sequence[Unfollowed]) -> tuple[tuple[Path, str], ...]:
    first, last = _nanoseconds(window.start), _nanoseconds(window.end)
    return tuple(sorted((absolute(root, one.path), one.kind) for one in seen if first <= one.mtime <= last))


def _nanoseconds(time: datetime) -> int:
    return (time - _UNIX_EPOCH) // timedelta(microseconds=1) * 1000


# -- datasets ----------------------------------------------------------------------------------------------------


def _join_dataset_folders(files: list[SeenFile]) -> list[SeenFile]:
    """Put one for each folder that is a dataset in the place of the files in it."""
    gathered: list[SeenFile] = []
    inside: dict[bytes, SeenFile] = {}
    for file in files:
        folder = dataset_folder(file.path)
        if folder is None:
            gathered.append(file)
        else:
            before = inside.get(folder, SeenFile(folder, file.mtime, 0, None, file.birth))
            births = [birth for birth in (before.birth, file.birth) if birth is not None]
            inside[folder] = SeenFile(
                folder, max(before.mtime, file.mtime), before.size + file.size, None, min(births, default=None)
            )
    return [*gathered, *inside.values()]


_Key = tuple[bytes, str]
"""Folder and stem of a file, and its extension in lower case."""


class _DatasetTree:
    """What a walk saw, in the order in which it is asked for."""

    def __init__(self, root: Path, files: list[SeenFile]) -> None:
        self.root = root
        self.seen = sorted(files, key=lambda file: (file.mtime, file.path))
        self.companions: dict[_Key, list[SeenFile]] = defaultdict(list)
        # _10.ser comes after _9.ser
        self._only_xml = _only_xml(files)
        for file in sorted(files, key=lambda file: (len(file.path), file.path)):
            for key in self._main_keys(file.path):
                self.companions[key].append(file)

    def datasets(self, window: TimeRange, known: frozenset[str] | None, young: range) -> _Datasets:
        """Return the datasets of a window, those that are settled and those that are not."""
        first = bisect_left(self.seen, _nanoseconds(window.start), key=lambda file: file.mtime)
        last = bisect_right(self.seen, _nanoseconds(window.end), key=lambda file: file.mtime)
        if window.late is None:
            return self.grouped(self.seen[first:last], known, young)
        until = None if window.late.until is None else _nanoseconds(window.late.until)
        begun = [file for file in self.seen[last:] if self._is_late(file, window.late)]
        late = [file for file in begun if until is None or file.mtime <= until]
        answer = self.grouped([*self.seen[first:last], *late], known, young)
        paths = {absolute(self.root, file.path) for file in late}
        growing = [file for file in answer.unsettled if not paths.isdisjoint((file.path, *file.companions))]
        theirs = {path for those in answer for file in those for path in (file.path, *file.companions)}
        # Of two sessions, the next one has by its times what was written in it: the first one says so.
        growing += [
            file for file in self.grouped(begun[len(late) :], known, range(0)).settled if file.path not in theirs
        ]
        return answer._replace(unsettled=[file for file in answer.unsettled if file not in growing], growing=growing)

    def _is_late(self, file: SeenFile, late: LateFiles) -> bool:
        if file.mtime > _nanoseconds(late.horizon):
            return False
        if absolute(self.root, file.path) in late.seen:
            return True
        if file.birth is None:  # after the start of another session, it may as well be that one's
            return file.mtime <= _nanoseconds(min(late.margin_end, late.until or late.margin_end))
        return _nanoseconds(late.born[0]) <= file.birth <= _nanoseconds(late.born[1])

    def grouped(self, files: Sequence[SeenFile], known: frozenset[str] | None, young: range) -> _Datasets:
        """Return the datasets that some of the files are."""
        chosen = [file for file in files if known is None or _split(file.path)[1] in known]
        mains = {_split(file.path): file.path for file in reversed(chosen)}
        answer = _Datasets([], [], [])
        for main in chosen:
            if self._main_of(main, mains) is None:
                others = [c for c in self.companions.get(_split(main.path), ()) if self._main_of(c, mains) == main.path]
                answer[any(member.mtime in young for member in (main, *others))].append(self._dataset(main, others))
        for found in answer:
            found.sort(key=lambda file: (file.modified, file.path))
        return answer

    def _main_keys(self, path: bytes) -> list[_Key]:
        """Return the main files that a file may be a companion of, the likeliest first."""
        keys = _main_keys(path)
        (folder, _, stem), extension = _split(path)[0].rpartition(b"/"), _split(path)[1]
        if extension == ".raw" and _EMPAD.fullmatch(stem) and folder in self._only_xml:
            keys.append((self._only_xml[folder], ".xml"))
        return keys

    def _main_of(self, file: SeenFile, mains: Mapping[_Key, bytes]) -> bytes | None:
        return next((mains[key] for key in self._main_keys(file.path) if key in mains), None)

    def _dataset(self, file: SeenFile, companions: list[SeenFile]) -> FoundFile:
        return FoundFile(
            path=absolute(self.root, file.path),
            modified=_UNIX_EPOCH + timedelta(microseconds=file.mtime // 1000),
            size=file.size + sum(other.size for other in companions),
            companions=tuple(absolute(self.root, other.path) for other in companions),
            identities=tuple(member.identity for member in (file, *companions)),
            root=self.root,
        )


class _Datasets(NamedTuple):
    settled: list[FoundFile]
    unsettled: list[FoundFile]
    growing: list[FoundFile]


def _split(path: bytes) -> _Key:
    stem, dot, extension = path.rpartition(b".")
    if not dot or b"/" in extension:
        return path, ""
    return stem, "." + os.fsdecode(extension).lower()


def _main_keys(path: bytes) -> list[_Key]:
    stem, extension = _split(path)
    if extension in (".ser", ".tvips", ".h5"):
        stem, number, digits = stem.rpartition(b"_data_" if extension == ".h5" else b"_")
        if not (number and digits.isdigit()):
            return []
        if extension == ".tvips":
            if not digits.strip(b"0"):
                return []  # the main file itself
            stem += b"_" + b"0" * len(digits)
        if extension == ".h5":
            stem += b"_master"
    return [(stem, main) for main in COMPANIONS.get(extension, ())]


def _only_xml(files: Sequence[SeenFile]) -> dict[bytes, bytes]:
    """Return the stem of the XML file of each folder that has one only."""
    stems: dict[bytes, list[bytes]] = defaultdict(list)
    for file in files:
        stem, extension = _split(file.path)
        if extension == ".xml":
            stems[stem.rpartition(b"/")[0]].append(stem)
    return {folder: those[0] for folder, those in stems.items() if len(those) == 1}
