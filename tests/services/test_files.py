"""A session's files are those modified during it, whatever their names, by find or without (001-25 to 001-28)."""

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
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Services.Builder import files as files_module
from Services.Builder.files import (
    COMPANIONS,
    DEFAULT_IGNORE,
    FileSearch,
    FileStoreUnreadable,
    SearchTimedOut,
    Window,
    WindowRefused,
    find_files,
)

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
END = START + timedelta(hours=2)
SESSION = Window("session", START, END)
SECOND = 10**9
T0 = int(START.timestamp()) * SECOND
"""Start of the session in nanoseconds since the epoch."""
PROJECT = Path(__file__).resolve().parents[2]
UNHURRIED = settings(deadline=None, database=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

needs_find = pytest.mark.skipif(shutil.which("find") is None, reason="GNU find is missing: it has nothing to be like")
BOTH = [pytest.param("find", id="find", marks=needs_find), pytest.param(None, id="python")]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def put(path: Path | bytes, seconds: float = 60, *, nanoseconds: int = 0, size: int = 0) -> Path:
    """Make a file that was modified so long after the start of the session."""
    path = Path(os.fsdecode(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    moment = T0 + round(seconds * SECOND) + nanoseconds
    os.utime(path, ns=(moment, moment))
    return path


def names(search: FileSearch, identifier: str = "session") -> list[str]:
    return [file.path.name for file in search.files[identifier]]


@pytest.mark.parametrize("find", BOTH)
class TestFilesOfTheSession:
    """001-25: all files in the tree whose modification time lies in the timespan are returned, and only those."""

    def test_the_whole_tree_is_searched(self, store: Path, find: str | None) -> None:
        paths = [put(store / "a.dm3", 10), put(store / "user/b.dm3", 20), put(store / "user/2026/11/c.dm3", 30)]
        assert [file.path for file in find_files(store, [SESSION], find=find).files["session"]] == paths

    def test_a_file_is_described_as_it_is(self, store: Path, find: str | None) -> None:
        path = put(store / "a.dm3", 1.5, size=77)
        (file,) = find_files(store, [SESSION], find=find).files["session"]
        assert (file.path, file.size, file.companions) == (path, 77, ())
        assert file.modified == START + timedelta(seconds=1.5)

    def test_both_ends_belong_to_it_and_a_nanosecond_more_does_not(self, store: Path, find: str | None) -> None:
        for name, seconds, nanoseconds in [("0", 0, -1), ("1", 0, 0), ("2", 7200, 0), ("3", 7200, 1)]:
            put(store / name, seconds, nanoseconds=nanoseconds)
        assert names(find_files(store, [SESSION], find=find)) == ["1", "2"]

    def test_microseconds_decide(self, store: Path, find: str | None) -> None:
        # 1795165200.000003 is no binary fraction: as floats these would not be told apart reliably
        window = Window("w", START + timedelta(microseconds=3), START + timedelta(microseconds=5))
        for microsecond in range(2, 7):
            put(store / str(microsecond), nanoseconds=1000 * microsecond - 60 * SECOND)
        put(store / "late", nanoseconds=5001 - 60 * SECOND)
        assert names(find_files(store, [window], find=find), "w") == ["3", "4", "5"]

    def test_an_instant_is_a_session(self, store: Path, find: str | None) -> None:
        put(store / "a", 60)
        window = Window("w", START + timedelta(seconds=60), START + timedelta(seconds=60))
        assert names(find_files(store, [window], find=find), "w") == ["a"]

    def test_times_before_the_epoch(self, store: Path, find: str | None) -> None:
        path = put(store / "a")
        os.utime(path, ns=(-1_250_000_000, -1_250_000_000))
        moment = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=1.25)
        assert names(find_files(store, [Window("w", moment, moment)], find=find), "w") == ["a"]

    def test_the_time_zone_of_the_window_does_not_matter(self, store: Path, find: str | None) -> None:
        put(store / "a")
        zone = timezone(timedelta(hours=-7))
        window = Window("session", START.astimezone(zone), END.astimezone(zone))
        assert names(find_files(store, [window], find=find)) == ["a"]

    def test_files_are_in_order_of_time_then_path(self, store: Path, find: str | None) -> None:
        for name, seconds in [("c", 5), ("b", 5), ("z", 1), ("a", 9), ("b-1", 5), ("d/x", 5)]:
            put(store / name, seconds)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert names(find_files(store, [SESSION], find=find)) == ["z", "b", "b-1", "c", "x", "a"]
        assert list(found) == sorted(found, key=lambda file: (file.modified, file.path))

    def test_no_files(self, store: Path, find: str | None) -> None:
        """001-29: that nothing was found is an answer."""
        assert find_files(store, [SESSION], find=find) == FileSearch({"session": ()}, {"session": ()}, ())

    def test_one_walk_answers_for_several_sessions(
        self, store: Path, find: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        walks: list[str] = []

        def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                walks.append(name)
                return real(*arguments)

            return call

        for name in ("_run", "_scan"):
            monkeypatch.setattr(files_module, name, counted(name, getattr(files_module, name)))
        for minute in range(0, 300, 10):
            put(store / f"{minute:03}.dm3", 60 * minute)
        windows = [
            Window(f"w{hour}", START + timedelta(hours=hour), START + timedelta(hours=hour + 1)) for hour in range(4)
        ]
        search = find_files(store, [*windows, Window("all", START, START + timedelta(days=1))], find=find)
        assert walks == ["_run" if find else "_scan"]
        assert names(search, "w1") == [f"{minute:03}.dm3" for minute in range(60, 130, 10)]
        assert len(search.files["all"]) == 30
        for window in windows:
            assert find_files(store, [window], find=find).files == {window.identifier: search.files[window.identifier]}

    def test_no_sessions_no_walk(self, tmp_path: Path, find: str | None) -> None:
        assert find_files(tmp_path / "missing", [], find=find) == FileSearch({}, {}, ())

    def test_a_relative_root_gives_absolute_paths(
        self, store: Path, find: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = put(store / "a")
        monkeypatch.chdir(store.parent)
        assert [file.path for file in find_files(Path("store"), [SESSION], find=find).files["session"]] == [path]


@pytest.mark.parametrize("find", BOTH)
class TestWhatCounts:
    """001-25, 001-28: what is no file of data does not become part of a record."""

    def test_hidden_and_temporary_files_are_left_out(self, store: Path, find: str | None) -> None:
        for name in [
            ".hidden.dm3", "a.tmp", "B.TMP", "~$notes.docx", "x.dm3.part", "Thumbs.db", "thumbs.DB", "desktop.ini",
            ".DS_Store", ".snapshot/kept.dm3", "$RECYCLE.BIN/gone.dm3", "lost+found/a.dm3", "a/.b/c/d.dm3",
        ]:  # fmt: skip
            put(store / name)
        put(store / "tmp/a~$.dm3")
        assert names(find_files(store, [SESSION], find=find)) == ["a~$.dm3"]

    def test_patterns_are_a_choice(self, store: Path, find: str | None) -> None:
        for name in ["a.log", "B.LOG", "c.dm3", "[1].dm3", "1.dm3", ".h", "x/y.dm3", r"a\b"]:
            put(store / name)
        patterns = ("*.log", "[[]1].dm3", "?", "a/b", r"a\b", "")
        assert names(find_files(store, [SESSION], ignore=patterns, find=find)) == [".h", "1.dm3", "c.dm3"]
        assert len(find_files(store, [SESSION], ignore=(), find=find).files["session"]) == 8

    def test_the_root_itself_is_never_ignored(self, store: Path, find: str | None) -> None:
        put(store / ".nexus.tmp/a")
        put(store / ".nexus.tmp/b")
        assert names(find_files(store / ".nexus.tmp", [SESSION], find=find)) == ["a", "b"]
        with pytest.raises(FileStoreUnreadable):
            find_files(store / "missing", [SESSION], ignore=("*",), find=find)

    def test_exclusive_finds_known_extensions_only(self, store: Path, find: str | None) -> None:
        """001-28: only files that the system can read, in the strategy 'exclusive'."""
        for name in ["a.dm3", "b.DM3", "c.txt", "d", "dm3", "e.dm3.bak", "f.dm3/g", "h.ser"]:
            put(store / name)
        search = find_files(store, [SESSION], known=frozenset({".dm3", ".ser"}), find=find)
        assert names(search) == ["a.dm3", "b.DM3", "h.ser"]
        assert len(find_files(store, [SESSION], find=find).files["session"]) == 8

    def test_a_link_hides_nothing_and_is_not_followed(self, store: Path, tmp_path: Path, find: str | None) -> None:
        put(tmp_path / "outside/secret.dm3")
        put(store / "a.dm3")
        put(store / "folder/b.dm3")
        (store / "0-out").symlink_to(tmp_path / "outside")
        (store / "folder/0-circle").symlink_to(store)
        (store / "0-again.dm3").symlink_to(store / "a.dm3")
        (store / "0-broken.dm3").symlink_to(store / "missing")
        search = find_files(store, [Window("session", START, datetime(2100, 1, 1, tzinfo=UTC))], find=find)
        assert names(search) == ["a.dm3", "b.dm3"]
        assert search.unreadable == ()

    def test_the_root_may_be_a_link(self, store: Path, find: str | None) -> None:
        put(store / "real/a.dm3")
        (store / "link").symlink_to(store / "real")
        (file,) = find_files(store / "link", [SESSION], find=find).files["session"]
        assert file.path == store / "link/a.dm3"

    def test_what_is_no_regular_file(self, store: Path, find: str | None) -> None:
        os.mkfifo(store / "pipe")
        os.utime(store / "pipe", ns=(T0, T0))
        assert names(find_files(store, [SESSION], find=find)) == []

    @pytest.mark.parametrize(
        "name",
        [b"caf\xe9.dm3", b"two\nlines.dm3", b" spaces  .dm3", b"-name.dm3", b"a'b\"c`d$(e).dm3", b"back\\slash.dm3",
         b"tab\tand\x01.dm3", "µ-Ω-電子.dm3".encode(), b"*?[x].dm3", b"%s.dm3"],
    )  # fmt: skip
    def test_names_are_bytes(self, store: Path, find: str | None, name: bytes) -> None:
        paths = [put(os.fsencode(store) + b"/" + name, 1), put(os.fsencode(store) + b"/sub " + name + b"/" + name, 2)]
        assert [file.path for file in find_files(store, [SESSION], find=find).files["session"]] == paths
        assert names(find_files(paths[1].parent, [SESSION], find=find)) == [os.fsdecode(name)]


@pytest.mark.parametrize("find", BOTH)
class TestDatasetsOfSeveralFiles:
    """001-25, 001-32: the files of one dataset stay together."""

    def test_each_kind(self, store: Path, find: str | None) -> None:
        kinds = {
            "a.emi": ["a_1.ser", "a_2.ser", "a_10.ser"],
            "b.rpl": ["b.raw"],
            "c.mib": ["c.hdr"],
            "d.tif": ["d.hdr"],
            "e.spd": ["e.ipr", "e.spc"],
            "f.lsd": ["f.csv", "f.spc"],
            "G.EMI": ["G_1.SER"],
        }
        for main, companions in kinds.items():
            for name in [main, *companions]:
                put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert {file.path.name: sorted(path.name for path in file.companions) for file in found} == {
            main: sorted(companions) for main, companions in kinds.items()
        }
        emi = next(file for file in found if file.path.name == "a.emi")
        assert [path.name for path in emi.companions] == ["a_1.ser", "a_2.ser", "a_10.ser"]

    def test_a_companion_without_its_main_file_stands_on_its_own(self, store: Path, find: str | None) -> None:
        for name in [
            "a_1.ser",
            "b.raw",
            "c.hdr",
            "d.spc",
            "sub/e.hdr",
            "e.mib",
            "f.emi",
            "f.ser",
            "f_x.ser",
            "F_1.ser",
        ]:
            put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert len(found) == 10
        assert not any(file.companions for file in found)

    def test_one_companion_has_one_main_file(self, store: Path, find: str | None) -> None:
        for name in ["a.mib", "a.tif", "a.hdr"]:
            put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert [(file.path.name, len(file.companions)) for file in found] == [("a.mib", 1), ("a.tif", 0)]

    def test_a_dataset_is_dated_by_its_main_file(self, store: Path, find: str | None) -> None:
        put(store / "a.emi", 7199)
        put(store / "a_1.ser", 7201)
        before, after = SESSION, Window("next", END + timedelta(microseconds=1), END + timedelta(hours=1))
        search = find_files(store, [before, after], find=find)
        (file,) = search.files["session"]
        assert (file.path.name, [path.name for path in file.companions]) == ("a.emi", ["a_1.ser"])
        # its main file is not of the next session, which would otherwise lose it
        assert names(search, "next") == ["a_1.ser"]

    def test_exclusive_keeps_companions_of_unknown_extension(self, store: Path, find: str | None) -> None:
        for name in ["a.rpl", "a.raw", "b.raw"]:
            put(store / name)
        (file,) = find_files(store, [SESSION], known=frozenset({".rpl"}), find=find).files["session"]
        assert file.companions == (store / "a.raw",)

    def test_real_files(self, store: Path, find: str | None) -> None:
        data = Path(os.environ.get("NEXUSCORE_TEST_DATA", PROJECT.parent / "shared/data"))
        if not data.is_dir():
            pytest.skip("no real instrument files: NEXUSCORE_TEST_DATA names no folder")
        everything = Window("all", datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        found = find_files(data, [everything], find=find).files["all"]
        together = {file.path.name: len(file.companions) for file in found if file.companions}
        assert together == {
            "Titan_TEM_2_HAADF_STEM_dataZeroed.emi": 1,
            "Titan_TEM_4_eds_line_scan_1_dataZeroed.emi": 1,
            "Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi": 3,
            "128x128-TEM_search.emi": 1,
            "16x16_STEM_BF_DF_acquire.emi": 2,
            "Quad_1_Frame_CounterDepth_12_Rows_256.mib": 1,
            "test_ripple_sdim-2_ndim-1_uint16_meta.rpl": 1,
            "tescan-pfib_dataZeroed.tif": 1,
        }


@pytest.mark.parametrize("find", BOTH)
class TestFilesStillBeingWritten:
    """002-16: a file that was changed a moment ago is not taken for finished."""

    NOW = START + timedelta(seconds=100)

    def test_a_young_file_is_unsettled(self, store: Path, find: str | None) -> None:
        for name, seconds in [("old", 39), ("edge", 40), ("young", 40.000001), ("now", 100), ("ahead", 130)]:
            put(store / name, seconds)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=self.NOW, find=find)
        assert names(search) == ["old", "edge"]
        assert [file.path.name for file in search.unsettled["session"]] == ["young", "now", "ahead"]

    def test_a_dataset_is_as_young_as_its_youngest_file(self, store: Path, find: str | None) -> None:
        put(store / "a.emi", 10)
        put(store / "a_1.ser", 99)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=self.NOW, find=find)
        assert names(search) == []
        assert len(search.unsettled["session"][0].companions) == 1

    def test_a_clock_far_ahead_does_not_keep_a_session_waiting(self, store: Path, find: str | None) -> None:
        put(store / "a.emi", 10)
        put(store / "a_1.ser", 365 * 86400)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=self.NOW, find=find)
        assert (names(search), search.unsettled["session"]) == (["a.emi"], ())

    def test_without_settle_every_file_is_settled(self, store: Path, find: str | None) -> None:
        put(store / "a", 99)
        assert names(find_files(store, [SESSION], now=self.NOW, find=find)) == ["a"]

    def test_the_clock_of_the_system_is_the_default(self, store: Path, find: str | None) -> None:
        (store / "a").touch()
        window = Window("w", START - timedelta(days=9999), START + timedelta(days=9999))
        search = find_files(store, [window], settle=timedelta(days=1), find=find)
        assert (len(search.files["w"]), len(search.unsettled["w"])) == (0, 1)


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
from Services.Builder.files import Window, find_files
window = Window("w", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
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
    def test_closed_folders(self, closed: Path, find: str | None) -> None:
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
                "listed/lost.dm3", "listed/below",
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
        assert (names(search), search.fallback) == (["a.dm3"], "there is no GNU find on this machine")

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
        monkeypatch.setattr(files_module, "_scan", lambda *_: released.wait(60))
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


class TestWindow:
    """000-01: a session is a beginning and an end in time."""

    def test_without_a_time_zone(self) -> None:
        with pytest.raises(WindowRefused, match="'x' cannot be searched for: its times have no time zone"):
            Window("x", START.replace(tzinfo=None), END)

    def test_the_wrong_way_round(self) -> None:
        with pytest.raises(WindowRefused, match="ends before it starts"):
            Window("x", END, START)

    def test_one_identifier_twice(self, store: Path) -> None:
        with pytest.raises(WindowRefused, match="asked for twice"):
            find_files(store, [SESSION, replace(SESSION, end=END + timedelta(hours=1))])


# Bytes of names: plain ones, and those that quoting, decoding, patterns and separators stumble over.
_letters = st.sampled_from(
    [b"a", b"B", b"_1", b" ", b"\n", b"'", b'"', b"\\", b"\xe9", b"\xc3\xa9", b"*", b"[", b"~$", b"-", b".", b"\t"]
)
_suffixes = st.sampled_from(
    [b"", b".dm3", b".TIF", b".tif", b".tmp", b".emi", b".ser", b".hdr", b".mib", b".raw", b".rpl"]
)
_names = (
    st.builds(lambda letters, suffix: b"".join(letters) + suffix, st.lists(_letters, min_size=1, max_size=3), _suffixes)
    .filter(lambda name: name not in (b".", b".."))
)  # fmt: skip
_kinds = st.sampled_from(["file", "file", "file", "link to file", "link to folder", "empty folder"])
_moments = st.integers(-3, 3).flatmap(
    lambda around: st.sampled_from([around, around * SECOND, around * 1000, 7200 * SECOND + around])
)
_trees = st.dictionaries(
    st.lists(_names, min_size=1, max_size=3).map(b"/".join), st.tuples(_kinds, _moments), max_size=14
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


def expected(root: Path, window: Window) -> set[Path]:
    """List the files of a window by other means: `os.walk`, and time relative to the start of the session."""
    start, end = ((moment - START) // timedelta(microseconds=1) * 1000 for moment in (window.start, window.end))
    found = set()
    for folder, folders, names_here in os.walk(root):
        folders[:] = [name for name in folders if not matched(name)]
        paths = [Path(folder, name) for name in names_here if not matched(name)]
        found |= {p for p in paths if not p.is_symlink() and start <= p.stat().st_mtime_ns - T0 <= end}
    return found


def matched(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in DEFAULT_IGNORE)


class TestFindAndPythonAgree:
    """001-26: the search in Python has the same result as GNU find, in any tree."""

    WINDOWS = (
        SESSION,
        Window("microsecond", START, START + timedelta(microseconds=1)),
        Window("before", START - timedelta(seconds=2), START - timedelta(seconds=1)),
        Window("all", START - timedelta(days=1), END + timedelta(days=1)),
    )

    @needs_find
    @given(_trees, st.sampled_from([None, frozenset({".tif", ".ser", ".emi"})]))
    @UNHURRIED
    def test_same_result(self, tree: dict[bytes, tuple[str, int]], known: frozenset[str] | None) -> None:
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
