"""The file that a journal is appended to: mapped where room can be allocated for good, written to elsewhere."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from NexusCore.delivery import Journal, segments
from NexusCore.delivery.adoption import abandoned
from NexusCore.delivery.frames import HEADER, Damage, Frame, FrameReader, decode, encode
from NexusCore.delivery.segments import MappedSegment, WrittenSegment, begin_segment, mapping_refused
from tests.clocks import SetClock
from tests.disks import fill, mounted
from tests.journals import leave, small_segments, written_segments
from tests.processes import run

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system allocates nothing in advance")


def frames_in(path: Path) -> list[Frame | Damage]:
    return [piece for piece, _ in decode(path.read_bytes(), complete=True)]


def payloads_of(journal: Journal) -> list[bytes]:
    found = []
    while some := journal.read(1 << 20):
        found += [frame.payload for frame in some]
        journal.acknowledge(some[-1].sequence)
    return found


class TestAMappedSegment:
    """What was copied into it is in the file at once, followed by zeros, which go when it is finished."""

    def test_frames_are_in_the_file_at_once(self, tmp_path: Path) -> None:
        segment = begin_segment(tmp_path / "a", 4096)
        assert isinstance(segment, MappedSegment)
        expected = b""
        for number in range(1, 50):
            assert segment.append(number, b"x" * number)
            expected += encode(number, b"x" * number)
            assert (tmp_path / "a").read_bytes() == expected + bytes(4096 - len(expected))
        segment.finish()
        assert (tmp_path / "a").read_bytes() == expected

    def test_a_frame_that_does_not_fit_is_not_begun(self, tmp_path: Path) -> None:
        segment = begin_segment(tmp_path / "a", 4096)
        assert segment.append(1, b"x" * (4096 - HEADER))
        assert not segment.append(2, b"")
        segment.finish()
        assert frames_in(tmp_path / "a") == [Frame(1, b"x" * (4096 - HEADER))]

    def test_its_room_is_taken_when_it_is_begun(self, tmp_path: Path) -> None:
        begin_segment(tmp_path / "a", 1 << 20).append(1, b"x")
        assert (tmp_path / "a").stat().st_blocks * 512 >= 1 << 20

    def test_a_frame_that_was_never_accepted(self, tmp_path: Path) -> None:
        """A process that was killed while it copied leaves the beginning of what follows the marker, and no marker."""
        whole = [Frame(number, bytes([65 + number]) * 20) for number in range(3)]
        torn = encode(3, b"torn" * 5)[4:]
        before = b"".join(encode(one.sequence, one.payload) for one in whole)
        for copied in range(len(torn) + 1):
            data = before + bytes(4) + torn[:copied] + bytes(5000)
            assert [piece for piece, _ in decode(data, complete=True)] == whole
        following = encode(4, b"behind it")
        pieces = [piece for piece, _ in decode(before + bytes(4) + torn + following, complete=True)]
        assert pieces == [*whole, Damage(bytes(4) + torn), Frame(4, b"behind it")]

    def test_pages_that_a_power_failure_took(self, tmp_path: Path) -> None:
        """Zeros with frames behind them are damage, and those frames are there."""
        (tmp_path / "a-00000001.nxj").write_bytes(encode(1, b"a") + bytes(8192) + encode(9, b"b") + bytes(4096))
        pieces = FrameReader(tmp_path, "a").read(1 << 20, complete=True)
        assert pieces == [Frame(1, b"a"), Damage(bytes(8192)), Frame(9, b"b")]


class TestWhereItCannotBeMapped:
    """The segment is written to; a disk that is full is an error when a segment is begun, and no SIGBUS later."""

    @pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EDQUOT, errno.ENOSPC, errno.EINVAL, errno.EPERM])
    def test_allocation_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        def refuse(fd: int, start: int, length: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "posix_fallocate", refuse)
        segment = begin_segment(tmp_path / "a", 4096)
        assert isinstance(segment, WrittenSegment)
        segment.append(1, b"one")
        assert (tmp_path / "a").read_bytes() == encode(1, b"one")

    def test_mapping_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(fd: int, length: int) -> None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

        monkeypatch.setattr(segments.mmap, "mmap", refuse)
        segment = begin_segment(tmp_path / "a", 4096)
        segment.append(1, b"one")
        assert (tmp_path / "a").read_bytes() == encode(1, b"one"), "what was allocated has gone"

    def test_a_file_system_that_is_not_known(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert mapping_refused(tmp_path) is None
        written_segments(monkeypatch)
        assert "file system" in (mapping_refused(tmp_path) or "")
        assert isinstance(begin_segment(tmp_path / "a", 4096), WrittenSegment)

    def test_a_small_disk(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Mapped while there is room, then in what room is left, then memory; in order, and nothing lost."""
        with mounted(tmp_path / "disk", "1m") as disk:
            journal = Journal(disk / "journal", SetClock())
            journal.append(b"first")
            fill(disk)
            sent = [b"%05d" % number + b"x" * 995 for number in range(500)]
            for payload in sent:
                journal.append(payload)
            assert payloads_of(journal) == [b"first", *sent]
            assert journal.lost == 0
            assert capsys.readouterr().err.count("The disk is full") == 1
            journal.append(b"last")
            assert payloads_of(journal) == [b"last"]
            journal.close()

    @pytest.mark.parametrize("delivered", [False, True])
    def test_no_empty_file_stays_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delivered: bool) -> None:
        """One may have been made where there was no room for what was to be in it."""

        def refuse(self: object, *arguments: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        journal = Journal(tmp_path, SetClock())
        journal.append(b"first")
        with monkeypatch.context() as full:
            full.setattr(os, "posix_fallocate", refuse)
            full.setattr(WrittenSegment, "append", refuse)
            large = b"x" * segments.SMALLEST_SEGMENT
            for number in range(5):
                journal.append(b"%d" % number + large)
                assert sum(not path.stat().st_size for path in tmp_path.glob("*.nxj")) <= 1
                if delivered:
                    assert payloads_of(journal) == [*([b"first"] if not number else []), b"%d" % number + large]
            assert journal.save() == (0 if delivered else 5)
            assert sum(not path.stat().st_size for path in tmp_path.glob("*.nxj")) <= 1
        if delivered:
            journal.append(b"last")
            assert payloads_of(journal) == [b"last"], "the reader has gone on behind what was removed"
        journal.close()
        left = list(tmp_path.glob("*.nxj"))
        assert [frames_in(path) for path in left] == ([] if delivered else [[Frame(1, b"first")]])

    def test_the_disk_fills_up_behind_a_segment(self, tmp_path: Path) -> None:
        """The room of a segment is its own: what others write takes nothing of it."""
        program = f"""
import sys
from pathlib import Path
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.delivery import Journal
from tests.disks import fill
disk = Path(sys.argv[1])
journal = Journal(disk / "journal", SYSTEM_CLOCK)
journal.append(b"first")
fill(disk)
for number in range({segments.SMALLEST_SEGMENT // 200}):
    journal.append(b"x" * 100)
print(journal._segment.size)
"""
        with mounted(tmp_path / "disk", "400k") as disk:
            done = subprocess.run(
                [sys.executable, "-c", program, disk],
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > segments.SMALLEST_SEGMENT // 200 * 100


class TestAFileThatIsRemovedWhileItIsRead:
    """Only an empty one is: what is behind it is read, and nothing before it again."""

    def reader(self, folder: Path) -> FrameReader:
        for number, data in enumerate([encode(1, b"one"), b"", encode(2, b"two")], 1):
            (folder / f"a-{number:08d}.nxj").write_bytes(data)
        return FrameReader(folder, "a")

    def test_before_it_is_looked_for(self, tmp_path: Path) -> None:
        reader = self.reader(tmp_path)
        last = (tmp_path / "a-00000003.nxj").rename(tmp_path / "later")
        assert reader.read(1 << 20, complete=False) == [Frame(1, b"one")]
        assert reader.read(1 << 20, complete=False) == []
        (tmp_path / "a-00000002.nxj").unlink()
        assert reader.read(1 << 20, complete=False) == []
        last.rename(tmp_path / "a-00000003.nxj")
        assert reader.read(1 << 20, complete=False) == [Frame(2, b"two")]

    def test_before_it_is_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = self.reader(tmp_path)
        assert reader.read(1 << 20, complete=False) == [Frame(1, b"one")]
        before = reader.segments()
        (tmp_path / "a-00000002.nxj").unlink()
        seen = iter([before])
        real = reader.segments
        monkeypatch.setattr(reader, "segments", lambda: next(seen, None) or real())
        assert reader.read(1 << 20, complete=False) == [Frame(2, b"two")]


class TestItsSize:
    """Small while there is little to say; larger while records come faster than they are delivered."""

    def test_an_idle_process_keeps_little(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, SetClock())
        for number in range(40_000):
            journal.append(b"%d" % number + b"x" * 200)
        assert max(path.stat().st_size for path in tmp_path.glob("*.nxj")) == segments.LARGEST_SEGMENT
        assert len(payloads_of(journal)) == 40_000
        journal.append(b"again")
        assert payloads_of(journal) == [b"again"]
        assert sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir()) <= 256 * 1024

    def test_a_record_larger_than_any(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, SetClock())
        sent = [b"a", b"x" * (segments.LARGEST_SEGMENT + 1), b"b", b"y" * segments.SMALLEST_SEGMENT, b"c"]
        for payload in sent:
            journal.append(payload)
        assert payloads_of(journal) == sent

    def test_what_is_finished_has_no_zeros(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        small_segments(monkeypatch, 4096)
        journal = Journal(tmp_path, SetClock())
        for number in range(1000):
            journal.append(b"%d" % number)
        *finished, _ = sorted(tmp_path.glob("*.nxj"))
        assert len(finished) > 3
        for path in finished:
            assert all(isinstance(piece, Frame) for piece in frames_in(path))
            assert path.stat().st_size <= 4096


class TestInterruptions:
    """Signals inside a call, threads and forks do to a mapped segment what they do to one that is written to."""

    def test_a_handler_that_raises(self, tmp_path: Path) -> None:
        """At most the record of the interrupted call is missing; none is in the place of another."""
        journal = Journal(tmp_path, SetClock())
        journal.append(b"-1")  # its files are there
        accepted = []

        class Interrupted(Exception):
            pass

        def interrupt(signum: int, frame: object) -> None:
            raise Interrupted

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            for number in range(3000):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.00001 + number % 50 * 0.000001)
                    journal.append(b"%d" % number)
                    accepted.append(number)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except Interrupted:
                    pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        found = [int(payload) for payload in payloads_of(journal)]
        assert found == sorted(set(found))
        assert set(accepted) <= set(found)

    def test_threads_lose_no_records(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        small_segments(monkeypatch, 4096)
        journal = Journal(tmp_path, SetClock())

        def write(first: int) -> None:
            for number in range(first, first + 2000):
                journal.append(b"%d" % number)

        writers = [threading.Thread(target=write, args=(first,)) for first in range(0, 8000, 2000)]
        for one in writers:
            one.start()
        found: list[int] = []
        while any(one.is_alive() for one in writers):
            found += map(int, payloads_of(journal))
        found += map(int, payloads_of(journal))
        assert sorted(found) == list(range(8000))
        assert not list(tmp_path.glob("*.damaged"))

    def test_a_forked_child_writes_to_one_of_its_own(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, SetClock())
        journal.append(b"parent")
        pid = os.fork()
        if not pid:
            try:
                journal.append(b"child")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        journal.append(b"parent again")
        assert payloads_of(journal) == [b"parent", b"parent again"]
        (left,) = abandoned(tmp_path)
        assert [frame.payload for frame in left.read(1000)] == [b"child"]
        left.close(delivered=True)

    def test_a_journal_of_a_killed_process(self, tmp_path: Path) -> None:
        program = """
import os, signal, sys
from pathlib import Path
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.delivery import Journal
journal = Journal(Path(sys.argv[1]), SYSTEM_CLOCK)
for number in range(5000):
    journal.append(b"%d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""
        folder = tmp_path / "journal"
        subprocess.run([sys.executable, "-c", program, folder], cwd=PROJECT, timeout=60, check=False)
        (left,) = abandoned(folder)
        found = []
        while some := left.read(10_000):
            found += [int(frame.payload) for frame in some]
        left.close(delivered=True)
        assert found == list(range(5000))
        assert list(folder.iterdir()) == []


class TestWhatTheProgramDoesToIt:
    """It may close whatever it finds, and read its own files: no other file is written to, and no record lost."""

    @pytest.mark.parametrize("way", ["mapped", "written"])
    def test_it_closes_all_files(self, tmp_path: Path, way: str) -> None:
        """As programs do that become daemons; the numbers are then those of other files."""
        program = f"""
import os, sys
from pathlib import Path
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.delivery import Journal, segments
if {way == "written"}:
    segments.MAPPABLE = frozenset()
journal = Journal(Path(sys.argv[1]) / "journal", SYSTEM_CLOCK)
journal.append(b"0")
os.closerange(3, 1024)
others = [open(Path(sys.argv[1]) / f"other{{number}}", "w+b", buffering=0) for number in range(40)]
for number in range(1, 3000):
    journal.append(b"%d" % number + b" " * 100)
try:
    journal.hand_over(1)
except OSError as error:
    print(error)
journal.append(b"3000")
journal.close()
for one in others:
    one.seek(0)
    assert one.read() == b"", "the program's own file was written to"
    one.write(b"mine")
    one.close()
"""
        printed = run(program, tmp_path, main="sqlite:////nothing", home=tmp_path / "home")
        assert "another journal is begun" in printed
        found = []
        for left in abandoned(tmp_path / "journal"):
            while some := left.read(1 << 20):
                found += [int(frame.payload) for frame in some]
            left.close(delivered=True)
        assert sorted(found) == list(range(3001))

    def test_it_reads_its_own_home(self, sqlite_url: str, tmp_path: Path) -> None:
        """A backup of the home must not give up the lock of the journal in it."""
        journal = Journal(tmp_path / "journal", SetClock())
        journal.append(b"one")
        for path in (tmp_path / "journal").iterdir():
            path.read_bytes()
        program = """
import sys
from pathlib import Path
from NexusCore.delivery.adoption import abandoned
print(len(list(abandoned(Path(sys.argv[1])))))
"""
        printed = run(program, tmp_path / "journal", main=sqlite_url, home=tmp_path / "home")
        assert printed.strip() == "0", "another process takes it for that of a dead one"
        assert payloads_of(journal) == [b"one"]

    def test_a_child_does_not_keep_what_is_being_adopted(self, sqlite_url: str, tmp_path: Path) -> None:
        leave(tmp_path / "journal", [b"a"])
        (left,) = abandoned(tmp_path / "journal")
        ready, done = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(done)
            os.read(ready, 1)
            os._exit(0)
        left.close(delivered=False)
        try:
            (again,) = abandoned(tmp_path / "journal")
            again.close(delivered=True)
        finally:
            os.close(done)
            os.waitpid(pid, 0)
            os.close(ready)

    def test_a_small_limit_divides_it_finely(self, tmp_path: Path) -> None:
        """So that the oldest can go first, and not all that was finished at once."""
        journal = Journal(tmp_path, SetClock(), limit=1 << 20)
        for number in range(20_000):
            journal.append(b"%d" % number + b"x" * 200)
        journal.thin(1 << 20, lambda payload: False)
        kept = payloads_of(journal)
        assert len(kept) * 220 > 0.7 * (1 << 20)
        assert kept[-1].startswith(b"19999")


class TestPowerFailures:
    """With the setting for it, what was accepted is on the disk itself before it is delivered."""

    def test_each_batch_is_synced_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []
        real = os.fsync

        def fsync(fd: int) -> None:
            synced.append(Path(f"/proc/self/fd/{fd}").readlink().suffix)
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)
        small_segments(monkeypatch, 4096)
        journal = Journal(tmp_path, SetClock(), sync=True)
        for number in range(300):
            journal.append(b"%d" % number)
        journal.read(100)
        assert synced.count(".nxj") == len(list(tmp_path.glob("*.nxj"))) > 1
        assert synced.count("") == 1, "the folder, for the names of the files"
        synced.clear()
        journal.read(100)
        assert synced == [], "nothing was written since"
        journal.append(b"more")
        journal.read(100)
        assert synced == [".nxj", ""]

    def test_not_unless_it_is_wanted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "fsync", lambda fd: pytest.fail("it was synced"))
        journal = Journal(tmp_path, SetClock())
        journal.append(b"x")
        assert payloads_of(journal) == [b"x"]
