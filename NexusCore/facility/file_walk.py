"""A walk through an instrument's folder in the file store: which files are there, and when they were modified.

The walk is made by GNU find in a sub-process, which can be killed when the file server hangs; where that is missing or
fails, by `os.scandir`, with the same result. The Builder's search for a session's files and the search for the last
file of a forgotten session are both made by it, and so agree on what a file is:

- Regular files only. Symbolic links are neither followed nor reported: what a link leads to may lie outside the
  instrument's folder, be found a second time under its own name, or lead back in a circle, and the time of the link
  says nothing about the data. The instrument's folder itself may be a link.
- Files and folders whose name matches a pattern of `ignore` are left out, with everything in them, in
  upper or lower case. In a folder that is a dataset (`FOLDER_FORMATS`), files have any names: there the patterns hold
  for the folder's own name.
"""

from __future__ import annotations

import fnmatch
import os
import queue
import re
import shutil
import stat
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from NexusCore.errors import NexusError
from NexusCore.facility.find_command import Find, FindFailed, either

DEFAULT_IGNORE: tuple[str, ...] = (
    ".*", "*.tmp", "~$*", "*.part", "Thumbs.db", "desktop.ini", ".DS_Store",
    "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir",
)  # fmt: skip
"""Patterns (as of `fnmatch`) of files that are not data: hidden and temporary ones, and those of operating systems."""
FOLDER_FORMATS = (".zspy", ".zarr")
"""Extensions of folders that are one dataset, in lower case: HyperSpy's Zarr, and Zarr as others write it."""
Identity = tuple[int, int]
"""Identifies a file while it exists: the numbers of its device and its inode."""

_INSIDE = tuple(f"*{extension}/*" for extension in FOLDER_FORMATS)
"""Patterns of paths into folders that are a dataset."""
_PRINT = ("-printf", r"%y %T@ %s %D %i %B@ %p\0")
"""What `_parsed` reads."""
_KINDS = {b"l": "a link", b"p": "a pipe", b"s": "a socket", b"b": "a device", b"c": "a device"}
"""What is neither a file nor a folder, by the letter that find prints."""
_UNKNOWN = "of an unknown kind"
_COMMAND_SIZE = 50_000
"""Bytes of folders, relative, on one command line: systems take 131,072 at least."""
_THROUGH = re.compile(
    b"(.*?[^/](?:" + b"|".join(re.escape(ending.encode()) for ending in FOLDER_FORMATS) + b"))/",
    re.IGNORECASE | re.DOTALL,
)


class FileStoreUnreadable(NexusError):
    """The file store {root} cannot be searched ({reason}).

    Is it mounted, and is the instrument's parameter Instruments.<pid>.filestore_path right?
    """


class SearchTimedOut(NexusError):
    """The file store {root} could not be searched within {limit} s.

    Does the file server answer, and is the instrument's parameter Instruments.<pid>.filestore_path right?
    """


class SeenFile(NamedTuple):
    """A file as the walk saw it."""

    path: bytes
    """Relative to the root, as the file system spells it."""
    mtime: int
    """Nanoseconds since the epoch."""
    size: int
    identity: Identity | None
    """None for a folder that is a dataset."""
    birth: int | None = None
    """When it was made, in nanoseconds since the epoch; None where the file system does not say."""


class Unfollowed(NamedTuple):
    """What is neither a file nor a folder, as the walk saw it: it is not looked into."""

    path: bytes
    """Relative to the root."""
    mtime: int
    """Its own, in nanoseconds since the epoch."""
    kind: str
    """What it is, with an article."""


class FolderWalk(NamedTuple):
    """What a walk saw."""

    seen: list[SeenFile]
    """Files modified in the span, a second around it, and perhaps others."""
    errors: list[tuple[bytes, str]]
    """Relative path and the system's reason: the walk went on without these."""
    fallback: str | None = None
    """Why GNU find was not used; None where it was."""
    unfollowed: Sequence[Unfollowed] = ()
    """Links, pipes and the like modified in the span, and perhaps others."""


def walk(
    root: Path,
    span: tuple[int, int],
    *,
    ignore: Sequence[str],
    limit: float,
    find: str | None = "find",
    companions: Mapping[str, Sequence[str]] = MappingProxyType({}),
    until: int | None = None,
) -> FolderWalk:
    """Walk through the tree below a folder.

    Parameters
    ----------
    root
        An absolute path.
    span
        The times of modification that matter, in nanoseconds since the epoch: others may be left out.
    ignore
        Patterns of names to leave out.
    limit
        Seconds for one walk. A find that exceeds it is killed, and the walk made again in Python.
    find
        Name or path of GNU find; None to do without.
    companions
        Extensions (lower case, with the dot) of files that matter whenever they were modified, if a file in their
        folder that was modified in the span has one of the extensions said. Likewise all of a folder that is a dataset.
    until
        Last time of modification of those that matter without it, in nanoseconds since the epoch; by default, the end
        of the span.

    Raises
    ------
    FileStoreUnreadable
        The root is missing, not a folder, or may not be read.
    SearchTimedOut
        The walk in Python took longer than `limit`, too.
    """
    program = shutil.which(find) if find and os.name == "posix" else None
    made: FolderWalk | None = None
    if program is None:
        fallback = "this machine has no GNU find" if find else "it was not asked for"
    else:
        try:
            start = os.path.join(os.fsencode(root), b"")  # noqa: PTH118 (bytes; the slash follows a linked root)
            made = _walk_by_find(
                Find(program, start, limit), span, ignore, companions, span[1] if until is None else until
            )
        except FindFailed as failure:
            fallback = str(failure)
    if made is None:
        made = _walk_in_python(root, ignore, limit)._replace(fallback=fallback)
    for path, reason in made.errors:
        if not path:
            raise FileStoreUnreadable(root=shown(root), reason=reason)
    return made


def dataset_folder(path: bytes) -> bytes | None:
    """Return the outermost folder on a relative path that is one dataset; None where it leads through none."""
    match = _THROUGH.match(path)
    return match[1] if match else None


def name_matcher(patterns: Sequence[str]) -> Callable[[bytes], bool]:
    """Return a function that says whether a name matches one of the patterns, in upper or lower case."""
    alternatives = "|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)"
    expression = re.compile(os.fsencode(alternatives), re.IGNORECASE)
    return lambda name: expression.match(name) is not None


def is_ignored(path: bytes, ignored: Callable[[bytes], bool]) -> bool:
    """Return whether a relative path is left out, by a function of `name_matcher`."""
    return any(map(ignored, (dataset_folder(path) or path).split(b"/")))


def absolute(root: Path, relative: bytes) -> Path:
    """Return a path below the root."""
    return root / os.fsdecode(relative)


def shown(path: Path) -> str:
    """Spell a path on one line, with any bytes in its name."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _walk_by_find(
    find: Find,
    span: tuple[int, int],
    ignore: Sequence[str],
    companions: Mapping[str, Sequence[str]],
    until: int,
) -> FolderWalk:
    """Search by time, and by name only beside the few files that have it.

    The time of every file must be read, its name need not be looked at: testing it for a dozen patterns takes find
    longer than the time does. Find tests names first of all, in whatever order they are asked for, unless they stand
    behind an ``-o``.
    """
    ignored = name_matcher(ignore)
    files: dict[bytes, SeenFile] = {}
    unfollowed: list[Unfollowed] = []
    errors: list[tuple[bytes, str]] = []

    def look(folders: Sequence[bytes], *words: str) -> None:
        answer = find.run(folders, words)
        try:
            seen = [_parsed(record, find.start) for record in answer.records]
        except ValueError:
            raise FindFailed("the output of find cannot be read") from None
        for entry in seen:
            if is_ignored(entry.path, ignored):
                continue
            if isinstance(entry, SeenFile):
                files.setdefault(entry.path, entry)
            else:
                unfollowed.append(entry)
        errors.extend(error for error in answer.complaints if not error[0] or not is_ignored(error[0], ignored))

    # What find leaves out it need not report. The exact choice, by nanoseconds and patterns, is made in Python.
    in_time = _in_time(span, until, companions)
    look([b""], "-mindepth", "1", "!", "-type", "d", "(", *in_time, *_PRINT, "-o", "-true", ")", *_pruned(ignore))
    datasets, beside, extensions = _to_complete(files, companions)
    names = [f"*{extension}" for extension in extensions]
    for folders in _batches(datasets):
        look(folders, "-type", "f", *_PRINT)
    for folders in _batches(beside):
        look(folders, "-mindepth", "1", "-maxdepth", "1", "-type", "f", *either("-iname", names), *_PRINT)
    return FolderWalk(list(files.values()), errors, unfollowed=unfollowed)


def _in_time(span: tuple[int, int], until: int, companions: Iterable[str]) -> list[str]:
    first, last, latest = span[0] // 10**9 - 1, span[1] // 10**9 + 1, until // 10**9 + 1
    in_span = ["-newermt", f"@{first}", "!", "-newermt", f"@{last}"]
    if latest <= last:
        return in_span
    patterns = list(either("-ipath", _INSIDE))
    if companions:
        patterns += ["-o", *either("-iname", [f"*{extension}" for extension in companions])]
    later = ["-newermt", f"@{last}", "!", "-newermt", f"@{latest}"]
    return ["(", *in_span, "-o", *later, "(", *patterns, ")", ")"]


def _pruned(ignore: Sequence[str]) -> list[str]:
    # Patterns with these characters mean something else to find.
    folders = [pattern for pattern in ignore if not set(pattern) & set("[\\/")]
    inside = either("-ipath", _INSIDE)
    return ["-o", "-type", "d", "!", *inside, *either("-iname", folders), "-prune"] if folders else []


def _to_complete(
    files: Iterable[bytes], companions: Mapping[str, Sequence[str]]
) -> tuple[list[bytes], list[bytes], list[str]]:
    """Return of what was found: the folders that are a dataset, those in which there may be companions, their kinds."""
    datasets: set[bytes] = set()
    extensions: dict[str, set[bytes]] = defaultdict(set)
    for path in files:
        folder = dataset_folder(path)
        if folder is not None:
            datasets.add(folder)
        else:
            place, _, name = path.rpartition(b"/")
            extensions[os.fsdecode(b"." + name.rpartition(b".")[2]).lower()].add(place)
    beside = {folder for mains in companions.values() for main in mains for folder in extensions.get(main, ())}
    wanted = [companion for companion, mains in companions.items() if any(main in extensions for main in mains)]
    return sorted(datasets), sorted(beside), wanted


def _batches(folders: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield folders in groups that a command line can hold."""
    batch: list[bytes] = []
    size = 0
    for folder in folders:
        if batch and size + len(folder) > _COMMAND_SIZE:
            yield batch
            batch, size = [], 0
        batch.append(folder)
        size += len(folder) + 1
    if batch:
        yield batch


def _parsed(record: bytes, start: bytes) -> SeenFile | Unfollowed:
    kind, mtime, size, device, inode, birth, path = record.split(b" ", 6)
    if kind != b"f":
        return Unfollowed(path.removeprefix(start), _nanoseconds(mtime), _KINDS.get(kind, _UNKNOWN))
    # find has no way to say that it does not know: it prints nothing, 0 or -1.
    born = _nanoseconds(birth) if birth[:1].isdigit() else 0
    return SeenFile(path.removeprefix(start), _nanoseconds(mtime), int(size), (int(device), int(inode)), born or None)


def _nanoseconds(time: bytes) -> int:
    # find prints the two fields of a timespec, so this holds before 1970 as well
    seconds, _, fraction = time.partition(b".")
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, b"0"))


def _walk_in_python(root: Path, ignore: Sequence[str], limit: float) -> FolderWalk:
    # In a thread, to be left behind when it hangs in the kernel on a dead file server: no thread can be killed.
    answers: queue.SimpleQueue[FolderWalk | BaseException] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            answers.put(_scan(root, name_matcher(ignore), stop))
        except BaseException as error:  # noqa: BLE001 (a thread's edge: handed to the caller, who raises it)
            answers.put(error)

    threading.Thread(target=work, name="file search", daemon=True).start()
    try:
        answer = answers.get(timeout=limit)
    except queue.Empty:
        raise SearchTimedOut(root=shown(root), limit=f"{limit:g}") from None
    finally:
        stop.set()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _scan(root: Path, ignored: Callable[[bytes], bool], stop: threading.Event) -> FolderWalk:
    unfollowed: list[Unfollowed] = []
    walk, folders = FolderWalk([], [], unfollowed=unfollowed), [b""]
    while folders and not stop.is_set():
        folder = folders.pop()
        within = dataset_folder(folder + b"/") is not None
        try:
            with os.scandir(os.fsencode(absolute(root, folder))) as entries:
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
                            birth = getattr(state, "st_birthtime_ns", None)  # Python on Linux does not know it
                            walk.seen.append(SeenFile(path, state.st_mtime_ns, state.st_size, identity, birth))
                        else:
                            state = entry.stat(follow_symlinks=False)
                            letter = stat.filemode(state.st_mode)[0].encode()
                            unfollowed.append(Unfollowed(path, state.st_mtime_ns, _KINDS.get(letter, _UNKNOWN)))
                    except OSError as error:
                        walk.errors.append((path, error.strerror or str(error)))
        except (OSError, ValueError) as error:  # ValueError: a root with a NUL in its name
            walk.errors.append((folder, getattr(error, "strerror", None) or str(error)))
    return walk
