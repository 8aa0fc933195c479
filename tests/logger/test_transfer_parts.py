"""The parts of the transfer, one by one: scans, what is kept, opening, limits."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from Logger.facility import FacilityError, Station, Unreachable
from Logger.local_file import LocalFileError
from Logger.outbox import Outbox
from Logger.transfer.bandwidth import Bandwidth, parse, rate_at
from Logger.transfer.book import FileBook
from Logger.transfer.hashing import Stopped, content_md5, md5_of
from Logger.transfer.link import GatewayTransfers, Lie
from Logger.transfer.names import is_storable, reported_path, shown, why_not_storable
from Logger.transfer.opening import is_written, open_to_read
from Logger.transfer.retrying import pause_after
from Logger.transfer.scanning import Scanner, Signature, long_on_windows, look, matcher, same, scan
from Logger.transfer.settings import StationTransfer
from Logger.transfer.state import ScanRecord, StateChanges, TransferState
from Logger.transfer.tracked import Blame, FileKey, FileStage, TrackedFile
from Logger.uptime import Uptime
from tests.conftest import PROJECT

NOTHING = matcher(())


def tracked(path: str = "a.tif", stage: FileStage = FileStage.WAITING, size: int = 10, **more: Any) -> TrackedFile:
    return TrackedFile(FileKey("s1", "raw", path), Signature(size, 1, "1:2"), stage, **more)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return a watched folder."""
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


class TestAScan:
    """A scan is the truth, and touches nothing."""

    def test_files_in_folders(self, raw: Path) -> None:
        (raw / "a" / "b").mkdir(parents=True)
        (raw / "a" / "b" / "ü.tif").write_bytes(b"12345")
        os.utime(raw / "a" / "b" / "ü.tif", ns=(1, 1_000_000_007))
        found = scan(str(raw), NOTHING)
        state = (raw / "a" / "b" / "ü.tif").stat()
        assert found.files == {"a/b/ü.tif": Signature(5, 1_000_000_007, f"{state.st_dev}:{state.st_ino}")}
        assert found.newest == {"a/b/ü.tif": state.st_ctime_ns}, "the entry's own time cannot be set back"
        assert found.files["a/b/ü.tif"] == look(str(raw), "a/b/ü.tif")

    def test_any_name_that_a_file_can_have(self, raw: Path) -> None:
        name = os.fsdecode(b"latin-\xe9 \n \\ .tif")
        (raw / name).write_bytes(b"")
        assert list(scan(str(raw), NOTHING).files) == [name]

    def test_links_are_not_followed(self, raw: Path) -> None:
        (raw / "outside").mkdir()
        (raw / "outside" / "a.tif").write_bytes(b"")
        (raw / "in").mkdir()
        (raw / "in" / "folder").symlink_to(raw / "outside")
        (raw / "in" / "file.tif").symlink_to(raw / "outside" / "a.tif")
        (raw / "in" / "circle").symlink_to(raw / "in")
        assert scan(str(raw / "in"), NOTHING).files == {}
        assert look(str(raw / "in"), "file.tif") is None

    def test_patterns(self, raw: Path) -> None:
        for name in ("a.TMP", ".git/x", "keep.tif", "map.ZARR/.zgroup", "map.ZARR/a/.zarray", "~$b.doc"):
            (raw / name).parent.mkdir(parents=True, exist_ok=True)
            (raw / name).write_bytes(b"")
        found = scan(str(raw), matcher((".*", "*.tmp", "~$*"))).files
        assert sorted(found) == ["keep.tif", "map.ZARR/.zgroup", "map.ZARR/a/.zarray"]

    def test_a_folder_that_cannot_be_read(self, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("a", "b"):
            (raw / name).mkdir()
            (raw / name / "x.tif").write_bytes(b"")
        real = os.scandir

        def refuse(path: str) -> Any:
            if str(path).endswith("/a"):
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path)

        monkeypatch.setattr("os.scandir", refuse)
        found = scan(str(raw), NOTHING)
        assert (list(found.files), found.unread) == (["b/x.tif"], {"a": "Permission denied"})
        assert (found.covers("a/x.tif"), found.covers("b/y.tif")) == (False, True)
        assert scan(str(raw / "none"), NOTHING).unread == {"": "No such file or directory"}
        assert scan("nul\0", NOTHING).unread == {"": "embedded null byte"}

    def test_a_folder_that_goes_while_it_is_read(self, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its files may all be back in a moment: such a scan does not know that they are gone."""
        (raw / "a").mkdir()
        for name in ("1.tif", "a/2.tif", "a/3.tif"):
            (raw / name).write_bytes(b"")
        real, moved = os.scandir, raw.parent / "moved"

        @contextmanager
        def scandir(path: str) -> Iterator[Iterator[Any]]:
            with real(path) as entries:
                found = list(entries)
                if path.endswith("/a"):
                    raw.rename(moved)
                yield iter(found)
                if path.endswith("/a"):
                    moved.rename(raw)

        monkeypatch.setattr("os.scandir", scandir)
        found = scan(str(raw), NOTHING)
        assert (list(found.files), found.unread, found.unseen) == (["1.tif"], {}, {"a"})
        assert (found.covers("a/2.tif"), found.covers("1.tif")) == (False, True)

    def test_a_folder_that_does_not_answer(self, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file server that hangs holds up one thread, which is left behind, and no second one."""
        answer = threading.Event()
        real = os.scandir

        def hang(path: str) -> Any:
            answer.wait(30)
            return real(path)

        monkeypatch.setattr("os.scandir", hang)
        scanner = Scanner(str(raw), (), limit=0.2)
        threads = threading.active_count()
        for _ in range(3):
            assert scanner.scan().unread == {"": "it does not answer"}
        assert threading.active_count() == threads + 1
        answer.set()
        assert scanner._thread is not None
        scanner._thread.join()
        assert scanner.scan().unread == {}

    @pytest.mark.parametrize(
        ("root", "path", "long"),
        [
            ("C:\\data", "a/b.tif", "\\\\?\\C:\\data\\a\\b.tif"),
            ("D:/data/", "a", "\\\\?\\D:\\data\\a"),
            ("D:\\", "", "\\\\?\\D:\\"),
            ("\\\\server\\share", "a", "\\\\?\\UNC\\server\\share\\a"),
            ("\\\\?\\C:\\x", "y", "\\\\?\\C:\\x\\y"),
        ],
    )
    def test_long_paths_of_windows(self, root: str, path: str, long: str) -> None:
        assert long_on_windows(root, path) == long

    def test_an_identity_that_is_not_known_makes_no_difference(self) -> None:
        """A scan on Windows does not tell it."""
        assert same(Signature(1, 2, ""), Signature(1, 2, "3:4"))
        assert not same(Signature(1, 2, "3:5"), Signature(1, 2, "3:4"))
        assert not same(Signature(1, 2, ""), Signature(1, 3, ""))


class TestWhatIsKept:
    """A small file of the PC: what was seen, the files of sessions, what was scanned for which."""

    def test_it_is_what_was_written(self, tmp_path: Path) -> None:
        state = TransferState(tmp_path / "home" / "pc.transfers")
        odd = os.fsdecode(b"\xe9\n.tif")
        files = [
            tracked(odd, FileStage.FAILED, md5="0" * 32, reason="why", sent=3, attempts=2, next_try=5),
            tracked("b", FileStage.HELD, reason="late", released=True),
        ]
        record = ScanRecord("s1", looked=True, closed=False, unread=(("raw", "a/b"),))
        state.save(StateChanges({("raw", odd): Signature(1, -2, "3:4"), ("raw", "b"): None}, files, [record]))
        known = TransferState(tmp_path / "home" / "pc.transfers").load()
        assert (known.seen, known.records) == ({"raw": {odd: Signature(1, -2, "3:4")}}, {"s1": record})
        assert known.files == {file.key: file for file in files}
        state.save(StateChanges({("raw", odd): None}, forgotten=["s1"]))
        known = state.load()
        assert (known.files, known.records, known.seen) == ({}, {}, {})

    def test_a_damaged_one_is_put_aside(self, tmp_path: Path) -> None:
        path = tmp_path / "pc.transfers"
        path.write_bytes(b"x" * 5000)
        assert TransferState(path).load().files == {}
        assert [one.read_bytes() for one in tmp_path.glob("*.damaged-*")] == [b"x" * 5000]

    def test_one_that_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "folder").write_bytes(b"")
        state = TransferState(tmp_path / "folder" / "pc.transfers")
        with pytest.raises(LocalFileError, match="The file of transfers on this computer"):
            state.load()
        book = FileBook(state)
        book.load()
        book.put(tracked())
        assert not book.save(), "it is tried again later"
        (tmp_path / "folder").unlink()
        assert book.save()
        assert list(state.load().files) == [tracked().key]

    def test_nothing_is_written_if_nothing_has_changed(self, tmp_path: Path) -> None:
        book = FileBook(TransferState(tmp_path / "pc.transfers"))
        book.put(tracked())
        assert book.save()
        before = (tmp_path / "pc.transfers").stat().st_mtime_ns
        book.put(tracked())
        assert book.save()
        assert (tmp_path / "pc.transfers").stat().st_mtime_ns == before

    def test_an_outbox_of_an_earlier_logger_is_led_up(self, tmp_path: Path) -> None:
        """What waits in it is delivered."""
        program = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.executescript('''
    CREATE TABLE event (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        request TEXT NOT NULL UNIQUE, session TEXT NOT NULL, kind TEXT NOT NULL, pid TEXT NOT NULL, user TEXT NOT NULL,
        at INTEGER NOT NULL, boot TEXT NOT NULL, uptime INTEGER NOT NULL,
        text TEXT NOT NULL, ends TEXT NOT NULL, ends_at INTEGER NOT NULL, settle INTEGER NOT NULL,
        settled INTEGER, outcome TEXT
    );
    CREATE UNIQUE INDEX once ON event (session, kind) WHERE kind IN ('START', 'END');
    CREATE INDEX waiting ON event (number) WHERE settled IS NULL;
    CREATE TABLE session_token (session TEXT PRIMARY KEY, token TEXT NOT NULL);
    CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    INSERT INTO event VALUES (1, 'r', 's1', 'START', 'Titan', 'ann', 5, 'b', 5, '', '', 0, 0, NULL, NULL);
    INSERT INTO kept VALUES ('station', '{"pid": "Titan", "name": "The Titan"}');
    PRAGMA user_version = 1;
''')
"""
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "pc.outbox")], check=True)
        outbox = Outbox(tmp_path / "pc.outbox", Uptime())
        (event,) = outbox.waiting()
        assert (event.session, event.transfers) == ("s1", False)
        assert outbox.station() == Station("Titan", "The Titan")
        with sqlite3.connect(outbox.path) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (2,)

    def test_the_station_with_its_settings(self, tmp_path: Path) -> None:
        outbox = Outbox(tmp_path / "pc.outbox", Uptime())
        transfer = StationTransfer(on=True, folders=(("raw", "D:/Data"),), ignore=("*.tmp",), bandwidth="=5")
        outbox.keep_station(Station("Titan", "The Titan", transfer=transfer))
        assert outbox.station() == Station("Titan", "The Titan", transfer=transfer)


class TestOpening:
    """Nothing of an instrument's is in the way of its writer, and no pipe holds a thread."""

    def test_a_writer_is_noticed_and_not_disturbed(self, tmp_path: Path) -> None:
        path = tmp_path / "a.dm4"
        path.write_bytes(b"")
        assert not is_written(str(tmp_path), "a.dm4")
        with path.open("ab") as writer:
            assert is_written(str(tmp_path), "a.dm4")
            writer.write(b"goes on")
        assert not is_written(str(tmp_path), "a.dm4")
        assert path.read_bytes() == b"goes on"

    def test_a_writer_that_comes_in_that_moment_is_let_in(self, tmp_path: Path) -> None:
        """The kernel asks us to give the file back by a signal: it must not end this program."""
        path = tmp_path / "a.dm4"
        path.write_bytes(b"")
        writer = subprocess.Popen(
            [sys.executable, "-c", "import sys\nfor _ in range(3000): open(sys.argv[1], 'ab').close()", str(path)]
        )
        program = """
import sys
from Logger.transfer.opening import is_written
noticed = sum(is_written(sys.argv[1], "a.dm4") for _ in range(5000))
"""
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=PROJECT, check=False)
        assert (done.returncode, writer.wait(60)) == (0, 0)

    def test_what_is_not_a_regular_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "real").write_bytes(b"x")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        for name in ("pipe", "link", "none"):
            with pytest.raises(OSError, match=r"it is not a regular file|Too many levels|No such file"):
                open_to_read(str(tmp_path), name)

    def test_md5(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x" * 3_000_000)
        with open_to_read(str(tmp_path), "a") as file:
            assert md5_of(file) == hashlib.md5(b"x" * 3_000_000).hexdigest()
            assert md5_of(file) == hashlib.md5(b"x" * 3_000_000).hexdigest(), "from the beginning again"
            with pytest.raises(Stopped):
                md5_of(file, lambda: True)
        assert content_md5(b"") == "1B2M2Y8AsgTpgAmY7PhCfg=="


WINDOWS = """
import ctypes, os, sys, types
calls, error = [], [0]

class Kernel:
    def __init__(self):
        for name in ("CreateFileW", "CloseHandle", "GetCurrentThread", "SetThreadPriority"):
            setattr(self, name, self.function(name))

    def function(self, name):
        def call(*arguments):
            calls.append((name, *arguments))
            if name == "CreateFileW":
                return ctypes.c_void_p(-1).value if error[0] else 77
            return 1
        return call

ctypes.WinDLL = lambda name, use_last_error: Kernel()
ctypes.get_last_error = lambda: error[0]
ctypes.WinError = lambda code: PermissionError(code, "Access is denied")
path = sys.argv[1]
opened = lambda handle, flags: os.open(path, flags) if handle == 77 else None
sys.modules["msvcrt"] = types.SimpleNamespace(open_osfhandle=opened)
os.O_BINARY = 0
sys.platform = "win32"
from Logger.transfer.opening import FileInUse, is_written, open_to_read
from Logger.transfer.priority import lower_priority
root, name = os.path.split(path)
with open_to_read(root, name) as file:
    print(file.read())
print(is_written(root, name), [call[3] for call in calls if call[0] == "CreateFileW"], calls[-1][0])
error[0] = 32
print(is_written(root, name))
try:
    open_to_read(root, name)
except FileInUse as raised:
    print(raised.strerror)
error[0] = 5
try:
    is_written(root, name)
except PermissionError as raised:
    print(raised.strerror)
print(lower_priority(), hex(calls[-1][2]))
"""


def test_the_branches_for_windows(tmp_path: Path) -> None:
    """Others may go on to write, rename and delete (7); writing is what the second look does not share (5)."""
    (tmp_path / "a.dm4").write_bytes(b"content")
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, str(tmp_path / "a.dm4")], cwd=PROJECT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "b'content'", "False [7, 5] CloseHandle", "True", "locked by another program", "Access is denied",
        "True 0x10000",
    ]  # fmt: skip


class TestBandwidth:
    """By the time of day; all workers together."""

    @pytest.mark.parametrize(
        ("text", "minute", "rate"),
        [
            ("", 0, 0), ("=100", 700, 100e6), ("08:00-18:00=20; =100", 8 * 60, 20e6),
            ("=100; 08:00-18:00=20", 18 * 60 - 1, 20e6), ("08:00-18:00=20; =100", 18 * 60, 100e6),
            ("08:00-18:00=20", 7 * 60, 0), ("22:00-06:00=0.5", 23 * 60, 0.5e6), ("22:00-06:00=0.5", 5 * 60, 0.5e6),
            ("22:00-06:00=0.5", 6 * 60, 0), ("nonsense; =3", 5, 3e6),
        ],
    )  # fmt: skip
    def test_what_holds(self, text: str, minute: int, rate: float) -> None:
        assert rate_at(parse(text), minute) == rate

    def test_takers_share_it(self) -> None:
        time = [100.0]
        waited: list[float] = []

        def wait(seconds: float) -> None:
            waited.append(seconds)
            time[0] += seconds

        bandwidth = Bandwidth(threading.Event(), lambda: 0, lambda: time[0], wait)
        bandwidth.take(10**9)
        assert waited == [], "no limit"
        bandwidth.set("=1")
        for _ in range(5):
            bandwidth.take(500_000)
        assert time[0] == pytest.approx(102.0), "the first half second is free"

    def test_a_stop_ends_all_waits(self) -> None:
        stopped = threading.Event()
        bandwidth = Bandwidth(stopped, lambda: 0)
        bandwidth.set("=0.000001")
        bandwidth.take(10**6)
        stopped.set()
        bandwidth.take(10**6)


class TestPauses:
    """Longer each time, and as long as the server asks."""

    def test_how_long(self) -> None:
        away = tracked(stage=FileStage.FAILED, blame=Blame.AWAY)
        assert [pause_after(away, attempt, 0.0, 1.0) for attempt in (1, 2, 3, 10)] == [1.0, 2.0, 4.0, 60.0]
        assert pause_after(away, 1, 0.0, 0.0) == 0.5
        assert pause_after(away, 1, 20.0, 0.0) == 20.0
        assert pause_after(tracked(stage=FileStage.LOCKED), 99, 0.0, 1.0) == 30.0
        assert pause_after(tracked(stage=FileStage.FAILED, blame=Blame.FILE), 99, 0.0, 1.0) == 300.0


class TestNames:
    """The rules are those of the Gateway."""

    @pytest.mark.parametrize(
        ("path", "storable"),
        [
            ("a/b.tif", True), ("ünï\u00a0\u202e.tif", True), ("a\\b", False), ("a\nb", False), ("\x85", False),
            ("\udce9", False), ("x" * 255, True), ("x" * 256, False), ("ü" * 128, False), ("/".join("a" * 65), False),
        ],
    )  # fmt: skip
    def test_what_can_be_stored(self, path: str, storable: bool) -> None:
        from Services.Gateway.api.file_models import ReportedFile

        assert is_storable(path) is storable
        name = reported_path(path)
        assert (name == path) is storable
        # What is reported, the Gateway can take.
        ReportedFile(folder="raw", path=name, size=1, modified="2026-01-01T00:00:00Z", state="failed")

    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("a/b.tif", ""),
            ("a\\b.tif", "its name has a character that the store cannot have: a backslash; rename it"),
            ("a\x07", "its name has a character that the store cannot have: U+0007; rename it"),
            ("é" * 128, "its name, or that of a folder, has 256 bytes, and the store takes 255; rename it"),
            (
                "/".join(["a" * 100] * 10),
                "its path has 1009 characters, and the store takes 1000; rename it or its folders",
            ),
            ("/".join("a" * 65), "it is 64 folders deep, and the store takes 63; move it"),
        ],
    )
    def test_why_one_cannot_be_stored(self, path: str, why: str) -> None:
        assert why_not_storable(path) == why

    def test_two_that_cannot_be_told_apart_are_reported_as_two(self) -> None:
        assert reported_path("a\n.tif") != reported_path("a\t.tif")
        assert shown("raw", "a\n\u202e.tif") == "raw/a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.tif"


class TestSettings:
    """What the facility says, as far as it can be used."""

    def test_of_an_answer(self) -> None:
        answer = {
            "on": True, "folders": {"raw": "D:/Data", "maps": "E:/"}, "ignore": [".*"], "stable_seconds": 2,
            "interval_seconds": 3.5, "after_booked_end": "hold", "bandwidth": "=5", "chunk_size": 1_000_000,
        }  # fmt: skip
        settings = StationTransfer.of(answer)
        assert settings == StationTransfer(
            True, (("raw", "D:/Data"), ("maps", "E:/")), (".*",), 2.0, 3.5, "hold", "=5", 1_000_000
        )
        assert StationTransfer.of_text(settings.as_text()) == settings

    @pytest.mark.parametrize(
        "answer", [None, {}, {"on": False}, {"on": True}, {"on": True, "folders": 3}, {"on": True, "folders": {}}, "on"]
    )
    def test_off_where_it_cannot_be_used(self, answer: object) -> None:
        assert StationTransfer.of(answer).on is False


class TestAddresses:
    """A signed address is used with https only, unless the Gateway itself is on this machine."""

    @pytest.mark.parametrize("address", ["http://store.example.org/x", "ftp://a/b", "", "file:///etc/passwd", None])
    def test_others_are_refused(self, address: Any) -> None:
        with pytest.raises(Lie, match="names a store without https"):
            GatewayTransfers("https://gateway.example.org:8470", "t", "").put(address, {}, b"x")

    def test_http_beside_a_gateway_on_the_same_machine(self) -> None:
        with pytest.raises(Unreachable, match="store cannot be reached"):
            GatewayTransfers("http://127.0.0.1:1", "t", "").put("http://127.0.0.1:1/x?signature=geheim", {}, b"x")

    def test_the_signature_is_in_no_error(self) -> None:
        with pytest.raises(FacilityError) as caught:
            GatewayTransfers("http://127.0.0.1:1", "t", "").put("http://127.0.0.1:1/x?signature=geheim", {}, b"x")
        assert "geheim" not in f"{caught.value} {caught.value.detail}"
        assert caught.value.__cause__ is None
