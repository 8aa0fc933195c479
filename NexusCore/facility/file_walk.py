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
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from NexusCore.errors import NexusError

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
_GRACE = 5.0
"""Seconds a killed sub-process has to go; one that hangs in the kernel on a dead file server is left behind."""
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


class _FindFailed(Exception):
    """GNU find cannot be used here; the text says why."""


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


class FolderWalk(NamedTuple):
    """What a walk saw."""

    seen: list[SeenFile]
    """Files modified in the span, a second around it, and perhaps others."""
    errors: list[tuple[bytes, str]]
    """Relative path and the system's reason: the walk went on without these."""
    fallback: str | None = None
    """Why GNU find was not used; None where it was."""


def walk(
    root: Path,
    span: tuple[int, int],
    *,
    ignore: Sequence[str],
    limit: float,
    find: str | None = "find",
    also: Sequence[str] = (),
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
    also
        Patterns of names that matter whenever they were modified.

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
            made = _walk_by_find(program, root, span, ignore, limit, also)
        except _FindFailed as failure:
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
    program: str, root: Path, span: tuple[int, int], ignore: Sequence[str], limit: float, also: Sequence[str]
) -> FolderWalk:
    start = os.path.join(os.fsencode(root), b"")  # noqa: PTH118 (bytes; the slash at the end follows a linked root)
    command: list[str | bytes] = [program, start, "-mindepth", "1"]
    # What find leaves out it need not report. The exact choice, by nanoseconds and patterns, is made below in Python.
    if folders := [pattern for pattern in ignore if not set(pattern) & set("[\\/")]:  # these find reads otherwise
        inside = _either("-ipath", _INSIDE)
        command += ["-type", "d", "!", *inside, *_either("-iname", folders), "-prune", "-o"]
    command += ["-type", "f", "(", *_either("-ipath", _INSIDE), "-o"]
    command += [*_either("-iname", also), "-o"] if also else []
    command += ["-newermt", f"@{span[0] // 10**9 - 1}", "!", "-newermt", f"@{span[1] // 10**9 + 1}", ")"]
    output, complaints = _run([*command, "-printf", r"%T@ %s %D %i %B@ %P\0"], limit)
    if output and not output.endswith(b"\0"):
        raise _FindFailed("the output of find is cut short")
    try:
        files = [_parsed(record) for record in output.split(b"\0")[:-1]]
    except ValueError:
        raise _FindFailed("the output of find cannot be read") from None
    errors = [_complaint(line, start) for line in complaints.splitlines()]
    ignored = name_matcher(ignore)

    def counts(path: bytes) -> bool:
        return not path or not is_ignored(path, ignored)

    return FolderWalk([file for file in files if counts(file.path)], [error for error in errors if counts(error[0])])


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


def _parsed(record: bytes) -> SeenFile:
    mtime, size, device, inode, birth, path = record.split(b" ", 5)
    # find has no way to say that it does not know: it prints nothing, 0 or -1.
    born = _nanoseconds(birth) if birth[:1].isdigit() else 0
    return SeenFile(path, _nanoseconds(mtime), int(size), (int(device), int(inode)), born or None)


def _nanoseconds(time: bytes) -> int:
    # find prints the two fields of a timespec, so this holds before 1970 as well
    seconds, _, fraction = time.partition(b".")
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, b"0"))


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
    walk, folders = FolderWalk([], []), [b""]
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
                    except OSError as error:
                        walk.errors.append((path, error.strerror or str(error)))
        except (OSError, ValueError) as error:  # ValueError: a root with a NUL in its name
            walk.errors.append((folder, getattr(error, "strerror", None) or str(error)))
    return walk
