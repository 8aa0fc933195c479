"""Finding the files of sessions by the time they were modified.

One walk through an instrument's folder answers for all its waiting sessions. The walk is made by GNU find in a
sub-process, which can be killed when the file server hangs; where that is missing or fails, by `os.scandir`, with the
same result.

Which files count:

- Regular files only. Symbolic links are neither followed nor reported: what a link leads to may lie outside the
  instrument's folder, be found a second time under its own name, or lead back in a circle, and the time of the link
  says nothing about the data. The instrument's folder itself may be a link.
- Files and folders whose name matches a pattern of `ignore` are left out, with everything in them, in
  upper or lower case.
- Times are compared as whole nanoseconds; both ends of a window belong to it.
- A dataset of several files (`COMPANIONS`) is dated by its main file and comes with all its companions. A companion
  whose main file is not among the window's files stands on its own, so that nothing of the window is lost.
- A folder that is a dataset (`folders.FOLDER_FORMATS`) is one file here, as old as its newest and as large as all of
  them. `ignore` asks for its own name, not for those of the files in it.
"""

from __future__ import annotations

import fnmatch
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from NexusCore.errors import EXIT_USAGE, NexusError
from Services.Builder.finding.folders import FOLDER_FORMATS, dataset_folder
from Services.Builder.model import FoundFile, Identity

DEFAULT_IGNORE: tuple[str, ...] = (
    ".*", "*.tmp", "~$*", "*.part", "Thumbs.db", "desktop.ini", ".DS_Store",
    "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir",
)  # fmt: skip
"""Patterns (as of `fnmatch`) of files that are not data: hidden and temporary ones, and those of operating systems."""

COMPANIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ".ser": (".emi",),  # FEI TIA; here the stem ends in _1, _2, ...
        ".tvips": (
            ".tvips",
        ),  # TVIPS stream; the main file's stem ends in _000, that of its further parts in _001, ...
        ".raw": (".rpl",),  # Lispix ripple
        ".hdr": (".mib", ".tif"),  # Quantum Detectors Merlin; Tescan
        ".spc": (".spd", ".lsd"),  # EDAX map, line scan: the spectrum
        ".ipr": (".spd",),  # EDAX map: the spatial calibration
        ".csv": (".lsd",),  # EDAX line scan: the spatial calibration
        ".h5": (".h5",),  # DECTRIS; the main file's stem ends in _master, that of its data in _data_000001, ...
    }
)
"""Extension of a companion, and those its main file may have, of the same stem (but as said) in the same folder."""

_INSIDE = tuple(f"*{extension}/*" for extension in FOLDER_FORMATS)
"""Patterns of paths into folders that are a dataset."""
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRACE = 5.0
"""Seconds a killed sub-process has to go; one that hangs in the kernel on a dead file server is left behind."""


class FileStoreUnreadable(NexusError):
    """The file store {root} cannot be searched ({reason}).

    Is it mounted, and is the instrument's parameter Instruments.<pid>.filestore_path right?
    """


class SearchTimedOut(NexusError):
    """The file store {root} could not be searched within {limit:g} s.

    Does the file server answer, and is the instrument's parameter Instruments.<pid>.filestore_path right?
    """


class WindowRefused(NexusError):
    """The time window of session '{identifier}' cannot be searched for: {reason}."""

    exit_code = EXIT_USAGE


class _FindFailed(Exception):
    """GNU find cannot be used here; the text says why."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The time of a session, with both ends belonging to it."""

    identifier: str
    start: datetime
    """Aware."""
    end: datetime
    """Aware, not before `start`."""

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


class _Seen(NamedTuple):
    path: bytes
    """Relative to the root, as the file system spells it."""
    mtime: int
    """Nanoseconds since the epoch."""
    size: int
    identity: Identity | None
    """None for a folder that is a dataset."""


class _FolderWalk(NamedTuple):
    seen: list[_Seen]
    errors: list[tuple[bytes, str]]
    """Relative path (empty for the root) and the system's reason."""


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
    span = min(_nanoseconds(window.start) for window in windows), max(_nanoseconds(window.end) for window in windows)
    walk, fallback = _walk(root, span, ignore, limit.total_seconds(), find)
    for path, reason in walk.errors:
        if not path:
            raise FileStoreUnreadable(root=_shown(root), reason=reason)
    tree = _Tree(root, _join_dataset_folders(walk.seen))
    datasets = {window.identifier: tree.datasets(window, known, young) for window in windows}
    files = {identifier: tuple(those.settled) for identifier, those in datasets.items()}
    unsettled = {identifier: tuple(those.unsettled) for identifier, those in datasets.items()}
    errors = sorted({(_path(root, path), reason) for path, reason in walk.errors})
    sentences = tuple(f"{_shown(path)} could not be searched: {reason}." for path, reason in errors)
    return FileSearch(files, unsettled, sentences, fallback)


# -- the walk ----------------------------------------------------------------------------------------------------


def _walk(
    root: Path, span: tuple[int, int], ignore: Sequence[str], limit: float, find: str | None
) -> tuple[_FolderWalk, str | None]:
    program = shutil.which(find) if find and os.name == "posix" else None
    if program is None:
        fallback = "this machine has no GNU find" if find else "it was not asked for"
    else:
        try:
            return _walk_by_find(program, root, span, ignore, limit), None
        except _FindFailed as failure:
            fallback = str(failure)
    return _walk_in_python(root, ignore, limit), fallback


def _walk_by_find(program: str, root: Path, span: tuple[int, int], ignore: Sequence[str], limit: float) -> _FolderWalk:
    start = os.path.join(os.fsencode(root), b"")  # noqa: PTH118 (bytes; the slash at the end follows a linked root)
    command: list[str | bytes] = [program, start, "-mindepth", "1"]
    # What find leaves out it need not report. The exact choice, by nanoseconds and patterns, is made below in Python.
    if folders := [pattern for pattern in ignore if not set(pattern) & set("[\\/")]:  # these find reads otherwise
        inside = _either("-ipath", _INSIDE)
        command += ["-type", "d", "!", *inside, *_either("-iname", folders), "-prune", "-o"]
    command += ["-type", "f", "(", *_either("-iname", [f"*{extension}" for extension in COMPANIONS]), "-o"]
    command += [*_either("-ipath", _INSIDE), "-o"]
    command += ["-newermt", f"@{span[0] // 10**9 - 1}", "!", "-newermt", f"@{span[1] // 10**9 + 1}", ")"]
    output, complaints = _run([*command, "-printf", r"%T@ %s %D %i %P\0"], limit)
    if output and not output.endswith(b"\0"):
        raise _FindFailed("the output of find is cut short")
    try:
        files = [_parsed(record) for record in output.split(b"\0")[:-1]]
    except ValueError:
        raise _FindFailed("the output of find cannot be read") from None
    errors = [_complaint(line, start) for line in complaints.splitlines()]
    ignored = _matcher(ignore)

    def counts(path: bytes) -> bool:
        return not path or not any(map(ignored, (dataset_folder(path) or path).split(b"/")))

    return _FolderWalk([file for file in files if counts(file.path)], [error for error in errors if counts(error[0])])


def _either(test: str, patterns: Iterable[str]) -> Iterator[str]:
    yield "("
    for index, pattern in enumerate(patterns):
        yield from ("-o", test, pattern) if index else (test, pattern)
    yield ")"


def _run(command: Sequence[str | bytes], limit: float) -> tuple[bytes, bytes]:
    # In the C locale find matches bytes, as we do, and escapes all but plain ASCII in its complaints.
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(  # noqa: S603 (no shell; the words are ours, the root is one of them)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _FindFailed(f"find cannot be started: {error}") from None
    try:
        output, complaints = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise _FindFailed(f"find took longer than {limit:g} s") from None
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_GRACE)
    if process.returncode not in (0, 1) or bool(process.returncode) != bool(complaints):
        raise _FindFailed(f"find ended with code {process.returncode}: {complaints.decode('ascii', 'replace').strip()}")
    return output, complaints


def _parsed(record: bytes) -> _Seen:
    mtime, size, device, inode, path = record.split(b" ", 4)
    # find prints the two fields of a timespec, so this holds before 1970 as well
    seconds, _, fraction = mtime.partition(b".")
    return _Seen(path, int(seconds) * 10**9 + int(fraction[:9].ljust(9, b"0")), int(size), (int(device), int(inode)))


_MOUNT_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _complaint(line: bytes, start: bytes) -> tuple[bytes, str]:
    """Read ``find: '/a/b': Permission denied``, where the path is quoted as in C."""
    match = re.fullmatch(rb"[^']*find: '((?:[^'\\]|\\.)*)': (.+)", line)
    if match is None:
        raise _FindFailed(f"find says: {line.decode('ascii', 'replace')}")

    def character(escape: re.Match[bytes]) -> bytes:
        code = escape[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _ESCAPED.get(code, code)

    path = _MOUNT_ESCAPE.sub(character, match[1])
    if not path.startswith(start):
        raise _FindFailed(f"find says: {line.decode('ascii', 'replace')}")
    return path[len(start) :], match[2].decode("ascii", "replace")


def _walk_in_python(root: Path, ignore: Sequence[str], limit: float) -> _FolderWalk:
    # In a thread, to be left behind when it hangs in the kernel on a dead file server: no thread can be killed.
    answers: queue.SimpleQueue[_FolderWalk | BaseException] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            answers.put(_scan(root, _matcher(ignore), stop))
        except BaseException as error:  # noqa: BLE001 (a thread's edge: handed to the caller, who raises it)
            answers.put(error)

    threading.Thread(target=work, name="file search", daemon=True).start()
    try:
        answer = answers.get(timeout=limit)
    except queue.Empty:
        raise SearchTimedOut(root=_shown(root), limit=limit) from None
    finally:
        stop.set()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _scan(root: Path, ignored: Callable[[bytes], bool], stop: threading.Event) -> _FolderWalk:
    walk, folders = _FolderWalk([], []), [b""]
    while folders and not stop.is_set():
        folder = folders.pop()
        within = dataset_folder(folder + b"/") is not None
        try:
            with os.scandir(os.fsencode(_path(root, folder))) as entries:
                for entry in entries:
                    if not within and ignored(entry.name):
                        continue
                    path = folder + b"/" + entry.name if folder else entry.name
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(path)
                        elif entry.is_file(follow_symlinks=False):
                            state = entry.stat(follow_symlinks=False)
                            identity = state.st_dev, state.st_ino
                            walk.seen.append(_Seen(path, state.st_mtime_ns, state.st_size, identity))
                    except OSError as error:
                        walk.errors.append((path, error.strerror or str(error)))
        except (OSError, ValueError) as error:  # ValueError: a root with a NUL in its name
            walk.errors.append((folder, getattr(error, "strerror", None) or str(error)))
    return walk


# -- names -------------------------------------------------------------------------------------------------------


def _matcher(patterns: Sequence[str]) -> Callable[[bytes], bool]:
    alternatives = "|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)"
    expression = re.compile(os.fsencode(alternatives), re.IGNORECASE)
    return lambda name: expression.match(name) is not None


def _path(root: Path, relative: bytes) -> Path:
    return root / os.fsdecode(relative)


def _shown(path: Path) -> str:
    """Spell a path on one line, with any bytes in its name."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _nanoseconds(time: datetime) -> int:
    return (time - _UNIX_EPOCH) // timedelta(microseconds=1) * 1000


# -- datasets ----------------------------------------------------------------------------------------------------


def _join_dataset_folders(files: list[_Seen]) -> list[_Seen]:
    """Put one for each folder that is a dataset in the place of the files in it."""
    gathered: list[_Seen] = []
    inside: dict[bytes, _Seen] = {}
    for file in files:
        folder = dataset_folder(file.path)
        if folder is None:
            gathered.append(file)
        else:
            before = inside.get(folder, _Seen(folder, file.mtime, 0, None))
            inside[folder] = _Seen(folder, max(before.mtime, file.mtime), before.size + file.size, None)
    return [*gathered, *inside.values()]


_Key = tuple[bytes, str]
"""Folder and stem of a file, and its extension in lower case."""


class _Tree:
    """What a walk saw, in the order in which it is asked for."""

    def __init__(self, root: Path, files: list[_Seen]) -> None:
        self.root = root
        self.seen = sorted(files, key=lambda file: (file.mtime, file.path))
        self.companions: dict[_Key, list[_Seen]] = defaultdict(list)
        # _10.ser comes after _9.ser
        for file in sorted(files, key=lambda file: (len(file.path), file.path)):
            for key in _main_keys(file.path):
                self.companions[key].append(file)

    def datasets(self, window: TimeRange, known: frozenset[str] | None, young: range) -> _Datasets:
        """Return the datasets of a window, those that are settled and those that are not."""
        first = bisect_left(self.seen, _nanoseconds(window.start), key=lambda file: file.mtime)
        last = bisect_right(self.seen, _nanoseconds(window.end), key=lambda file: file.mtime)
        chosen = [file for file in self.seen[first:last] if known is None or _split(file.path)[1] in known]
        mains = {_split(file.path): file.path for file in reversed(chosen)}
        answer = _Datasets([], [])
        for main in chosen:
            if _main_of(main, mains) is None:
                others = [c for c in self.companions.get(_split(main.path), ()) if _main_of(c, mains) == main.path]
                answer[any(member.mtime in young for member in (main, *others))].append(self._dataset(main, others))
        for files in answer:
            files.sort(key=lambda file: (file.modified, file.path))
        return answer

    def _dataset(self, file: _Seen, companions: list[_Seen]) -> FoundFile:
        return FoundFile(
            path=_path(self.root, file.path),
            modified=_UNIX_EPOCH + timedelta(microseconds=file.mtime // 1000),
            size=file.size + sum(other.size for other in companions),
            companions=tuple(_path(self.root, other.path) for other in companions),
            identities=tuple(member.identity for member in (file, *companions)),
        )


class _Datasets(NamedTuple):
    settled: list[FoundFile]
    unsettled: list[FoundFile]


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


def _main_of(file: _Seen, mains: Mapping[_Key, bytes]) -> bytes | None:
    return next((mains[key] for key in _main_keys(file.path) if key in mains), None)
