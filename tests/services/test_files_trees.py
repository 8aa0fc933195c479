"""The search in trees that make it hard: closed folders, programs that fail, any names (001-26)."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from NexusCore.facility import file_walk
from NexusCore.facility.file_walk import DEFAULT_IGNORE, FOLDER_FORMATS, FileStoreUnreadable, SearchTimedOut
from Services.Builder.finding.files import (
    COMPANIONS,
    TimeRange,
    find_files,
)
from tests.services.filestore import BOTH, END, PROJECT, SECOND, SESSION, START, T0, names, needs_find, put, store

__all__ = ["store"]

UNHURRIED = settings(deadline=None, database=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def without_privileges(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user for whom permissions hold, which they do not for root."""
    command = [sys.executable, "-c", program, *arguments]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("setpriv is missing: root cannot be made to respect permissions")
        lost = "-dac_override,-dac_read_search"
        command = [setpriv, f"--bounding-set={lost}", f"--inh-caps={lost}", *command]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


SEARCH = """
import json, sys
from datetime import datetime, UTC
from pathlib import Path
from Services.Builder.finding.files import TimeRange, find_files
window = TimeRange("w", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
search = find_files(Path(sys.argv[1]), [window], find=sys.argv[2] or None)
print(json.dumps([[ascii(str(f.path)) for f in search.files["w"]], search.unreadable, search.fallback]))
"""


@pytest.fixture
def closed(store: Path) -> Iterator[Path]:
    """Make a tree with folders that cannot be read, or whose files cannot be looked at."""
    put(store / "open/a.dm3", 1)
    put(store / "z.dm3", 2)
    shut = (b"closed", b"caf\xe9", b"two\nlines", b'it\'s \\ "x"', b".hidden", b"\xc2\xb5m", b"t\x07\t")
    folders = dict.fromkeys(shut, 0)
    folders |= {b"listed": stat.S_IRUSR, b"open/passed": stat.S_IXUSR}
    paths = {Path(os.fsdecode(os.fsencode(store) + b"/" + name)): mode for name, mode in folders.items()}
    for path in paths:
        put(path / "lost.dm3")
        put(path / "below/lost.dm3")
        put(path / "lost.tmp")
        (path / "link").symlink_to("lost.dm3")
    for path, mode in paths.items():
        path.chmod(mode)
    yield store
    for path in paths:
        path.chmod(stat.S_IRWXU)


class TestUnreadable:
    """001-26: what cannot be read is said and left out; it neither ends the search nor goes unnoticed."""

    @pytest.mark.parametrize("find", BOTH)
    def test_closed_folders_are_reported_and_skipped(self, closed: Path, find: str | None) -> None:
        done = without_privileges(SEARCH, str(closed), find or "")
        assert done.stderr == ""
        found, unreadable, fallback = json.loads(done.stdout)
        assert found == [ascii(str(closed / "open/a.dm3")), ascii(str(closed / "z.dm3"))]
        relative = [sentence.removeprefix(f"{closed}/") for sentence in unreadable]
        denied = " could not be searched: Permission denied."
        assert sorted(relative) == sorted(
            name + denied
            for name in [
                "closed", r"caf\xe9", r"two\nlines", "it's \\ \"x\"", "µm", r"t\x07\t", "open/passed",
                "listed/lost.dm3", "listed/below", "listed/link",
            ]
        )  # fmt: skip
        assert (fallback is None) == (find is not None)

    @pytest.mark.parametrize("find", BOTH)
    def test_a_root_that_is_not_there(self, store: Path, find: str | None) -> None:
        with pytest.raises(FileStoreUnreadable) as caught:
            find_files(store / "missing", [SESSION], find=find)
        assert str(caught.value) == (
            f"The file store {store}/missing cannot be searched (No such file or directory). Is it mounted, and is the "
            "instrument's parameter Instruments.<pid>.filestore_path right?"
        )

    @pytest.mark.parametrize("find", BOTH)
    def test_a_root_that_is_no_folder(self, store: Path, find: str | None) -> None:
        with pytest.raises(FileStoreUnreadable, match="Not a directory"):
            find_files(put(store / "file"), [SESSION], find=find)

    @pytest.mark.parametrize("find", BOTH)
    def test_a_root_that_is_closed(self, closed: Path, find: str | None) -> None:
        done = without_privileges(SEARCH, str(closed / "closed"), find or "")
        assert "FileStoreUnreadable" in done.stderr
        assert "Permission denied" in done.stderr

    def test_a_folder_that_vanishes(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(store / "a/gone/x.dm3")
        put(store / "a/y.dm3")
        put(store / "z.dm3")
        real = os.scandir

        def scandir(path: bytes | int) -> object:
            if isinstance(path, bytes) and path.endswith(b"gone"):
                shutil.rmtree(path)
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        search = find_files(store, [SESSION], find=None)
        assert names(search) == ["y.dm3", "z.dm3"]
        assert search.unreadable == (f"{store}/a/gone could not be searched: No such file or directory.",)


def program(folder: Path, text: str) -> str:
    path = folder / "find"
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "XZ"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestFallback:
    """001-26: where GNU find is missing, fails or hangs, Python finds the same."""

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("echo 'find: unrecognized: -printf' >&2; exit 1", "find says: find: unrecognized: -printf"),
            ("echo 'find: -printf: unknown primary or operator' >&2; exit 1", "find says"),
            ("echo 'find: warning: odd' >&2", "find ended with code 0: find: warning: odd"),
            ("exit 1", "find ended with code 1"),
            ("exit 3", "find ended with code 3"),
            ("kill -9 $$", "find ended with code -9"),
            ("echo hello", "cut short"),
            (r"printf 'hello\0'", "cannot be read"),
            (r"printf '1795165200.5 0 a.dm3\00017951652'", "cut short"),
            (r"""printf "find: '/elsewhere': Permission denied\n" >&2; exit 1""", "find says"),
        ],
    )
    def test_a_find_that_fails(self, store: Path, tmp_path: Path, text: str, reason: str) -> None:
        put(store / "a.dm3")
        search = find_files(store, [SESSION], find=program(tmp_path, text))
        assert names(search) == ["a.dm3"]
        assert reason in (search.fallback or "")

    def test_a_find_that_is_not_there(self, store: Path) -> None:
        put(store / "a.dm3")
        search = find_files(store, [SESSION], find="no-such-find")
        assert (names(search), search.fallback) == (["a.dm3"], "this machine has no GNU find")

    def test_a_find_that_cannot_be_started(self, store: Path, tmp_path: Path) -> None:
        put(store / "a.dm3")
        broken = tmp_path / "find"
        broken.write_text("#!/no/such/shell\n")
        broken.chmod(0o755)
        search = find_files(store, [SESSION], find=str(broken))
        assert names(search) == ["a.dm3"]
        assert "cannot be started" in (search.fallback or "")

    def test_a_find_that_hangs_is_ended_with_all_it_started(self, store: Path, tmp_path: Path) -> None:
        put(store / "a.dm3")
        pid = tmp_path / "pid"
        hanging = program(tmp_path, f"sleep 1000 & echo $! > {pid}; wait")
        search = find_files(store, [SESSION], find=hanging, limit=timedelta(seconds=2))
        assert (names(search), search.fallback) == (["a.dm3"], "find took longer than 2 s")
        deadline = time.monotonic() + 30
        while alive(int(pid.read_text())):
            assert time.monotonic() < deadline

    def test_a_walk_in_python_that_hangs(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        released = Event()
        monkeypatch.setattr(file_walk, "_scan", lambda *_: released.wait(60))
        with pytest.raises(SearchTimedOut) as caught:
            find_files(store, [SESSION], find=None, limit=timedelta(seconds=0.05))
        released.set()
        assert str(caught.value).startswith(f"The file store {store} could not be searched within 0.05 s.")

    @needs_find
    def test_the_search_does_not_depend_on_the_locale(self, closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("LANG", "LC_ALL", "LANGUAGE"):
            monkeypatch.setenv(name, "de_DE.UTF-8")
        found, _, fallback = json.loads(without_privileges(SEARCH, str(closed), "find").stdout)
        assert (len(found), fallback) == (2, None)


# Bytes of names: plain ones, and those that quoting, decoding, patterns and separators stumble over.
_letters = st.sampled_from(
    [b"a", b"B", b"_1", b" ", b"\n", b"'", b'"', b"\\", b"\xe9", b"\xc3\xa9", b"*", b"[", b"~$", b"-", b".", b"\t"]
)
_suffixes = st.sampled_from(
    [
        b"",
        b".dm3",
        b".TIF",
        b".tif",
        b".tmp",
        b".emi",
        b".ser",
        b".hdr",
        b".mib",
        b".raw",
        b".rpl",
        b"_000.tvips",
        b"_001.tvips",
        b".zspy",
        b".ZARR",
    ]
)
_names = (
    st.builds(lambda letters, suffix: b"".join(letters) + suffix, st.lists(_letters, min_size=1, max_size=3), _suffixes)
    .filter(lambda name: name not in (b".", b".."))
)  # fmt: skip
_kinds = st.sampled_from(["file", "file", "file", "link to file", "link to folder", "empty folder"])
_times = st.integers(-3, 3).flatmap(
    lambda around: st.sampled_from([around, around * SECOND, around * 1000, 7200 * SECOND + around])
)
_trees = st.dictionaries(
    st.lists(_names, min_size=1, max_size=3).map(b"/".join), st.tuples(_kinds, _times), max_size=14
)


def grow(root: Path, tree: dict[bytes, tuple[str, int]]) -> None:
    for name, (kind, moment) in tree.items():
        path = root / os.fsdecode(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "empty folder":
                path.mkdir()
            elif kind == "link to folder":
                path.symlink_to(root)
            elif kind == "link to file":
                path.symlink_to("a")
            else:
                with path.open("xb") as file:
                    file.write(name)
                os.utime(path, ns=(T0 + moment, T0 + moment))
        except (FileExistsError, NotADirectoryError):
            pass  # another one of the tree has the name


def expected(root: Path, window: TimeRange) -> set[Path]:
    """List the files of a window by other means: `os.walk`, and time relative to the start of the session."""
    start, end = ((moment - START) // timedelta(microseconds=1) * 1000 for moment in (window.start, window.end))
    newest: dict[Path, int] = {}
    for folder, folders, names_here in os.walk(root):
        way = [Path(folder), *Path(folder).parents]
        whole = next((one for one in reversed(way[: way.index(root)]) if one.suffix.lower() in FOLDER_FORMATS), None)
        if whole is None:
            folders[:] = [name for name in folders if not matched(name)]
            names_here = [name for name in names_here if not matched(name)]
        for path in (Path(folder, name) for name in names_here if not Path(folder, name).is_symlink()):
            newest[whole or path] = max(newest.get(whole or path, path.stat().st_mtime_ns), path.stat().st_mtime_ns)
    return {path for path, moment in newest.items() if start <= moment - T0 <= end}


def matched(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in DEFAULT_IGNORE)


class TestFindAndPythonAgree:
    """001-26: the search in Python has the same result as GNU find, in any tree."""

    WINDOWS = (
        SESSION,
        TimeRange("microsecond", START, START + timedelta(microseconds=1)),
        TimeRange("before", START - timedelta(seconds=2), START - timedelta(seconds=1)),
        TimeRange("all", START - timedelta(days=1), END + timedelta(days=1)),
    )

    @needs_find
    @given(_trees, st.sampled_from([None, frozenset({".tif", ".ser", ".emi"})]))
    @UNHURRIED
    def test_both_give_the_same_result(self, tree: dict[bytes, tuple[str, int]], known: frozenset[str] | None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            grow(Path(folder), tree)
            by_find = find_files(Path(folder), self.WINDOWS, known=known, find="find")
            by_python = find_files(Path(folder), self.WINDOWS, known=known, find=None)
        assert by_find.fallback is None
        assert by_find == by_python

    @pytest.mark.parametrize("find", BOTH)
    @given(_trees)
    @UNHURRIED
    def test_every_file_of_the_window_and_no_other(self, find: str | None, tree: dict[bytes, tuple[str, int]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            grow(root, tree)
            search = find_files(root, self.WINDOWS, find=find)
            for window in self.WINDOWS:
                mains = [file.path for file in search.files[window.identifier]]
                companions = [path for file in search.files[window.identifier] for path in file.companions]
                wanted = expected(root, window)
                assert len({*mains, *companions}) == len(mains) + len(companions)
                assert wanted == {*mains, *(path for path in companions if path in wanted)}
                assert all(path.suffix.lower() in COMPANIONS for path in companions)
