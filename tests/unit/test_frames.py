"""A journal on disk, whatever happened to it: damage costs only the frames it touches, and is counted."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from NexusCore.delivery import Journal
from NexusCore.delivery.adoption import abandoned
from NexusCore.delivery.frames import HEADER, MARKER, Damage, Frame, FrameReader, decode, encode
from tests.clocks import SetClock
from tests.journals import leave, small_segments, written_segments

PAYLOADS = [b"first", b"", b"x" * 50, "ünïcödé \U0001f52c".encode(), b"\x00" * 7, b"last one"]
WHOLE = b"".join(encode(number, payload) for number, payload in enumerate(PAYLOADS, 1))
ENDS = [len(b"".join(encode(n, p) for n, p in enumerate(PAYLOADS[:count], 1))) for count in range(len(PAYLOADS) + 1)]


def frames(data: bytes, *, complete: bool = True) -> list[Frame]:
    return [piece for piece, _ in decode(data, complete=complete) if isinstance(piece, Frame)]


def damage(data: bytes) -> bytes:
    return b"".join(piece.data for piece, _ in decode(data, complete=True) if isinstance(piece, Damage))


def untouched(offset: int) -> list[Frame]:
    """Return the frames that do not hold the byte at an offset."""
    return [
        Frame(number, payload)
        for number, payload in enumerate(PAYLOADS, 1)
        if not ENDS[number - 1] <= offset < ENDS[number]
    ]


class TestDamage:
    """At whatever byte a journal is cut or changed: only the frames that were touched are lost."""

    def test_a_whole_journal_has_no_damage(self) -> None:
        assert frames(WHOLE) == [Frame(number, payload) for number, payload in enumerate(PAYLOADS, 1)]
        assert damage(WHOLE) == b""

    @pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
    def test_a_byte_that_flipped(self, bits: int) -> None:
        for offset in range(len(WHOLE)):
            data = bytearray(WHOLE)
            data[offset] ^= bits
            assert frames(bytes(data)) == untouched(offset), offset
            assert len(damage(bytes(data))) == len(WHOLE) - sum(
                HEADER + len(frame.payload) for frame in untouched(offset)
            )

    def test_a_byte_that_is_missing_or_too_many(self) -> None:
        for offset in range(len(WHOLE)):
            assert frames(WHOLE[:offset] + WHOLE[offset + 1 :]) == untouched(offset), offset
        for offset in range(len(WHOLE) + 1):
            found = frames(WHOLE[:offset] + b"\xf5" + WHOLE[offset:])
            assert set(found) >= set(untouched(offset)), offset
            if offset in ENDS:
                assert len(found) == len(PAYLOADS), offset

    def test_a_cut_costs_only_the_frame_it_touches(self) -> None:
        """A power cut in the middle of a write: all before it is there, the rest is damage once nobody writes."""
        for offset in range(len(WHOLE) + 1):
            whole = sum(end <= offset for end in ENDS) - 1
            assert len(frames(WHOLE[:offset])) == whole
            assert damage(WHOLE[:offset]) == WHOLE[ENDS[whole] : offset].rstrip(b"\0")
            assert len(frames(WHOLE[:offset], complete=False)) == whole
            beginning_lost = frames(WHOLE[offset:])
            assert beginning_lost == frames(WHOLE)[len(PAYLOADS) - len(beginning_lost) :]
            assert len(beginning_lost) == sum(end >= offset for end in ENDS[:-1])

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=300), st.lists(st.binary(max_size=60), max_size=5), st.integers(0, 2**63))
    def test_anything_at_all_before_it(self, rubbish: bytes, payloads: list[bytes], number: int) -> None:
        good = [Frame(number, payload) for payload in payloads]
        data = rubbish + b"".join(encode(one.sequence, one.payload) for one in good)
        assert frames(data)[-len(good) or len(data) :] == good

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_several_faults_at_once(self, data: st.DataObject) -> None:
        """Any bytes replaced by any others of the same number."""
        spoiled, touched = bytearray(WHOLE), set()
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(WHOLE) - 1))
            for offset, byte in enumerate(data.draw(st.binary(min_size=1, max_size=40)), start):
                if offset < len(WHOLE):
                    spoiled[offset] = byte
                    touched.add(offset)
        safe = set(frames(WHOLE)).intersection(*(untouched(offset) for offset in touched))
        assert set(frames(bytes(spoiled))) >= safe

    def test_no_message_looks_like_a_frame(self) -> None:
        """Text in UTF-8 holds no marker, so nobody can log a frame of their own into a damaged journal."""
        with pytest.raises(UnicodeDecodeError):
            MARKER.decode()


class TestReading:
    """A reader goes through the segments in order, and on from where it stood."""

    @pytest.mark.parametrize("size", [1, HEADER, 64, 10_000])
    def test_in_pieces_of_any_size(self, tmp_path: Path, size: int) -> None:
        (tmp_path / "a-00000001.nxj").write_bytes(WHOLE)
        (tmp_path / "a-00000002.nxj").write_bytes(encode(7, b"y" * 5000))
        (tmp_path / "b-00000001.nxj").write_bytes(encode(1, b"another journal"))
        reader, found = FrameReader(tmp_path, "a"), []
        while pieces := reader.read(size, complete=True):
            found += pieces
        assert [piece.sequence for piece in found if isinstance(piece, Frame)] == list(range(1, 8))

    def test_a_frame_that_is_being_written(self, tmp_path: Path) -> None:
        """It is not taken for damage while its writer lives."""
        path = tmp_path / "a-00000001.nxj"
        reader = FrameReader(tmp_path, "a")
        for end in range(ENDS[1] + 1):
            path.write_bytes(WHOLE[:end])
            assert reader.read(1000, complete=False) == ([Frame(1, b"first")] if end == ENDS[1] else [])
        path.write_bytes(WHOLE)
        assert len(reader.read(1000, complete=False)) == len(PAYLOADS) - 1

    def test_a_segment_that_is_followed_by_another_meanwhile(self, tmp_path: Path) -> None:
        """How far it is written was asked before: what came into it since is read next, and not passed over."""
        (tmp_path / "a-00000001.nxj").write_bytes(WHOLE)
        (tmp_path / "a-00000002.nxj").write_bytes(encode(7, b"in the next"))
        reader, before = FrameReader(tmp_path, "a"), (1, ENDS[2])
        assert [piece.sequence for piece in reader.read(1000, complete=False, written=before)] == [1, 2]
        assert reader.read(1000, complete=False, written=before) == []
        reader.drop_read_segments()
        after = (2, 1000)
        found = [*reader.read(1000, complete=False, written=after), *reader.read(1000, complete=False, written=after)]
        assert [piece.sequence for piece in found] == [3, 4, 5, 6, 7]


class TestAJournalOnDisk:
    """A damaged journal is adopted all the same; the damage goes to a side file, and is told."""

    @pytest.mark.parametrize("fault", ["flipped", "cut"])
    def test_at_every_byte(self, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str) -> None:
        offsets = random.Random(5).sample(range(len(WHOLE)), 60)
        for offset in offsets:
            folder = tmp_path / str(offset)
            name = leave(folder, PAYLOADS)
            path = folder / f"{name}-00000001.nxj"
            data = bytearray(path.read_bytes())
            if fault == "cut":
                del data[offset:]
            else:
                data[offset] ^= 0x55
            path.write_bytes(data)
            (left,) = abandoned(folder)
            found = []
            with caplog.at_level(logging.WARNING, "NexusCore.delivery"):
                while some := left.read(100):
                    found += some
            left.close(delivered=True)
            expected = untouched(offset) if fault == "flipped" else frames(WHOLE[:offset])
            assert found == expected
            damaged = folder / f"{name}.damaged"
            if fault == "flipped" or offset not in ENDS:
                spoiled = len(data) - sum(HEADER + len(one.payload) for one in expected)
                assert damaged.stat().st_size == (
                    spoiled if fault == "flipped" else len(bytes(data[-spoiled:]).rstrip(b"\0"))
                )
                assert f"{damaged.stat().st_size} damaged bytes" in caplog.text
            else:
                assert not damaged.exists()
            caplog.clear()

    def test_a_segment_that_is_missing(self, tmp_path: Path) -> None:
        (tmp_path / "a.lock").touch()
        for number in (1, 3):
            (tmp_path / f"a-{number:08d}.nxj").write_bytes(encode(number, b"x"))
        (left,) = abandoned(tmp_path)
        found = []
        while some := left.read(100):
            found += some
        left.close(delivered=True)
        assert [one.sequence for one in found] == [1, 3]
        assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.fixture(params=["mapped", "written"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Do as where segments can be mapped, and as where they cannot."""
    if request.param == "written":
        written_segments(monkeypatch)
    return request.param


@pytest.mark.usefixtures("way")
class TestWriting:
    """`append` returns when the record is on disk; segments follow each other, and go as they are delivered."""

    def test_it_is_on_disk_when_the_call_returns(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "journal", SetClock())
        for number, payload in enumerate(PAYLOADS, 1):
            journal.append(payload)
            (path,) = (tmp_path / "journal").glob("*.nxj")
            data = path.read_bytes()
            assert data[: ENDS[number]] == WHOLE[: ENDS[number]]
            assert not any(data[ENDS[number] :])

    def test_delivered_segments_are_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        small_segments(monkeypatch, 200)
        journal = Journal(tmp_path / "journal", SetClock())
        for number in range(100):
            journal.append(b"%03d" % number)
        assert len(list((tmp_path / "journal").glob("*.nxj"))) > 5
        found = []
        while some := journal.read(100):
            found += some
            journal.acknowledge(some[-1].sequence)
        assert [one.payload for one in found] == [b"%03d" % number for number in range(100)]
        assert len(list((tmp_path / "journal").glob("*.nxj"))) <= 2
        journal.close()
        assert list((tmp_path / "journal").iterdir()) == []

    def test_only_the_owner_can_read_it(self, tmp_path: Path) -> None:
        """A log may hold what is nobody else's business."""
        journal = Journal(tmp_path / "journal", SetClock())
        journal.append(b"x")
        for path in ((tmp_path / "journal"), *(tmp_path / "journal").iterdir()):
            assert path.stat().st_mode & 0o077 == 0

    def test_a_full_disk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A write that stops half-way leaves no half; memory serves until there is room; the order stays."""
        written_segments(monkeypatch)
        journal = Journal(tmp_path / "journal", SetClock())
        journal.append(b"1")
        real, room = os.write, [30]

        def write(fd: int, data: bytes) -> int:
            if len(data) <= room[0]:
                room[0] -= len(data)
                return real(fd, data)
            if not room[0]:
                raise OSError(28, "No space left on device")
            written = real(fd, data[: room[0]])
            room[0] = 0
            return written

        monkeypatch.setattr(os, "write", write)
        for payload in (b"2", b"3", b"4"):
            journal.append(payload)
        room[0] = 1000
        journal.append(b"5")
        found = []
        while some := journal.read(100):
            found += some
            journal.acknowledge(some[-1].sequence)
        journal.append(b"6")
        assert [one.payload for one in [*found, *journal.read(100)]] == [b"1", b"2", b"3", b"4", b"5", b"6"]
        assert journal.lost == 0
        assert capsys.readouterr().err.count("cannot be written") <= 1
        assert not list((tmp_path / "journal").glob("*.damaged"))
