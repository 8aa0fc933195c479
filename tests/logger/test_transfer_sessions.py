"""Sessions whose files are transferred: after their end, beside the next one, and by the next logger."""

from __future__ import annotations

import itertools
import os
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from Logger.facility import EventKind, EventReceipt
from Logger.gateway_connection import GatewayProblem
from Logger.transfer.scanning import Signature
from Logger.transfer.sending import FOLDER_AWAY, MOST_DISTORTED, _distorted
from Logger.transfer.tracked import Blame, FileKey, TrackedFile
from Logger.transfer.watching import OTHER_DISK
from tests.disks import mounted
from tests.logger.contract import ContractGateway, SentFile, problem
from tests.logger.transferring import TransferPC, settled

pytestmark = pytest.mark.usefixtures("quick_transfer")


class TestAfterTheEnd:
    """What appears later is held back, and the end comes when a pass is clean."""

    def test_held_back_and_released_by_a_click(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        pc.write("a.dm4")
        with (pc.raw / "a.dm4").open("r+b"):  # keeps the transfer going
            pc.see(session, a__dm4="locked")
            pc.end(session)
            pc.until(lambda: pc.view(session).ended, "the end is known")
            time.sleep(0.5)
            pc.write("late.tif"), pc.write("later.tif")
            pc.see(session, late__tif="held", later__tif="held")
            assert pc.view(session).held == 2
            assert pc.view(session).can_finish
            late = next(file for file in pc.view(session).files if file.name == "raw/late.tif")
            assert late.reason == "it appeared after the end of the session"
            assert pc.engine is not None
            pc.engine.release(late.key)
            pc.see(session, late__tif="verified", later__tif="held")
            assert sorted(gateway.objects) == ["raw/late.tif"]
            pc.engine.finish_without(session)
            pc.until(lambda: pc.view(session).finished, "it is finished without them")
        assert gateway.states() == {"raw/a.dm4": "locked", "raw/late.tif": "verified", "raw/later.tif": "held"}
        assert pc.view(session).missing == 2

    def test_after_the_booked_end(self, pc: TransferPC, session: str) -> None:
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.pending.hold_from(session, time.time_ns() // 1000)
        assert pc.engine is not None
        pc.engine.wake()
        pc.until(lambda: pc.engine._sessions[0].hold_from is not None, "it is known")  # type: ignore[union-attr]
        pc.write("late.tif"), pc.write("a.tif", b"a new version")
        pc.see(session, late__tif="held", a__tif="verified")

    def test_what_the_network_keeps_is_waited_for(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """However little patience there is: it is not the file's fault."""
        pc = TransferPC(tmp_path, gateway.url)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start(patience=0.0)
        pc.looked(session)
        gateway.intervene = lambda method, target, body: "cut" if "uploads" in target else None
        pc.write("a.tif")
        pc.see(session, a__tif="failed")
        pc.end(session)
        assert settled(lambda: not gateway.transferred, 1.0)
        gateway.intervene = lambda method, target, body: None
        pc.until(lambda: pc.view(session).finished, "it is sent, and the end reported")
        assert list(gateway.objects) == ["raw/a.tif"]
        pc.stop()

    @pytest.mark.parametrize("lost", [False, True])
    def test_the_end_is_reported_once_however_often_it_is_sent(
        self, pc: TransferPC, gateway: ContractGateway, session: str, lost: bool
    ) -> None:
        """Also by the next logger, with the same request."""
        requests: list[str] = []
        real = gateway._transferred

        def intervene(method: str, target: str, body: bytes) -> str | None:
            if target.endswith("/transferred") and len(requests) < 2:
                requests.append(target)
                if lost:
                    with gateway.lock:
                        headers = {"Idempotency-Key": pc.pending.all()[0].closing.request}  # type: ignore[union-attr]
                        real(session, body=body, headers=headers)
                return "cut"
            return None

        gateway.intervene = intervene
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.end(session)
        pc.until(lambda: len(requests) >= 1, "it is sent")
        first = pc.pending.all()[0].closing
        assert first is not None
        pc.stop()
        pc.start()
        pc.until(lambda: pc.pending.all() == [], "the next logger reports it")
        assert gateway.transferred[session]["request"] == first.request
        assert gateway.transferred[session]["files"] == 1

    def test_a_session_that_the_facility_has_closed(
        self, pc: TransferPC, gateway: ContractGateway, session: str
    ) -> None:
        gateway.intervene = lambda method, target, body: (
            problem(409, "transfer-ended", "The transfer of this session has ended.") if "uploads" in target else None
        )
        pc.write("a.tif")
        pc.until(lambda: pc.view(session).finished, "it is given up")
        assert pc.view(session).problem == "The transfer of this session has ended."
        assert pc.pending.all() == []

    def test_another_number_of_files_is_settled(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """The Gateway knows of a file that this PC has forgotten: its file of transfers was damaged."""
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        gateway.files[session, "raw", "forgotten.tif"] = {
            "folder": "raw", "path": "forgotten.tif", "size": 3, "md5": None, "state": "waiting", "reason": None,
        }  # fmt: skip
        pc.end(session)
        pc.until(lambda: pc.view(session).finished, "it is finished")
        assert gateway.transferred[session]["files"] == 2
        assert gateway.states()["raw/forgotten.tif"] == "gone"


class TestTheNextSession:
    """The next user begins while the files of the last session are still on their way."""

    def test_two_sessions_at_once(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        cut = threading.Event()
        cut.set()
        gateway.intervene = lambda method, target, body: "cut" if "uploads" in target and cut.is_set() else None
        pc.write("first.tif")
        pc.see(session, first__tif="failed")
        pc.end(session)
        pc.until(lambda: pc.view(session).ended, "the end is known")
        second = str(uuid.uuid4())
        pc.begin(second)
        assert pc.engine is not None
        pc.engine.wake()
        pc.looked(second)
        pc.write("second.tif")
        pc.see(second, second__tif="failed")
        assert pc.stages(second) == {"second.tif": "failed"}
        assert pc.engine.earlier(second) == 1
        cut.clear()
        pc.until(lambda: session in gateway.transferred, "the first is finished")
        pc.see(second, second__tif="verified")
        assert {key[:1] + key[2:] for key in gateway.files} == {(session, "first.tif"), (second, "second.tif")}

    def test_a_start_that_was_taken_back(self, pc: TransferPC, gateway: ContractGateway) -> None:
        """The user is asked about another session: what was found belongs to the one that is begun then."""
        pc.outbox.add(EventKind.START, "withdrawn", "Titan", "ann", transfer=pc.settings)
        pc.start()
        pc.looked("withdrawn")
        pc.write("a.tif")
        pc.until(lambda: pc.stages("withdrawn") != {}, "it is seen")
        pc.outbox.withdraw(pc.outbox.waiting()[0])
        session = str(uuid.uuid4())
        pc.begin(session)
        assert pc.engine is not None
        pc.engine.wake()
        pc.see(session, a__tif="verified")


class TestOvertaken:
    """The facility says that the session has ended, since another one was started there."""

    def test_its_files_are_sent_and_its_end_is_reported(
        self, pc: TransferPC, gateway: ContractGateway, session: str
    ) -> None:
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.write("b.tif")
        pc.outbox.ended_there(session)
        assert pc.outbox.open_session() is None
        assert pc.engine is not None
        pc.engine.wake()
        pc.until(lambda: pc.view(session).finished, "it is finished")
        assert sorted(gateway.objects) == ["raw/a.tif", "raw/b.tif"]
        assert gateway.transferred[session]["files"] == 2


class TestTheNextLogger:
    """After a crash, a reboot, another user's logon: everything goes on where it was."""

    def test_a_session_that_is_continued_keeps_its_baseline(self, pc: TransferPC, gateway: ContractGateway) -> None:
        pc.write("before.tif", b"old")
        time.sleep(2.1)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        pc.stop()
        pc.write("meanwhile.tif")
        (pc.raw / "before.tif").rename(pc.raw / "renamed.tif")
        pc.start()
        pc.see(session, meanwhile__tif="verified", renamed__tif="verified")
        assert pc.stages(session).keys() == {"meanwhile.tif", "renamed.tif"}

    def test_what_was_verified_is_neither_hashed_nor_sent_again(
        self, pc: TransferPC, gateway: ContractGateway, session: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(20):
            pc.write(f"{number}.tif")
        pc.until(lambda: pc.view(session).verified == 20, "all are verified")
        pc.stop()
        begun = gateway.counts("POST", "/uploads$")
        monkeypatch.setattr("Logger.transfer.sending.md5_of", lambda *_: pytest.fail("it is hashed again"))
        pc.start()
        pc.until(lambda: pc.view(session).verified == 20, "they are known")
        pc.end(session)
        pc.until(lambda: pc.view(session).finished, "it is finished")
        assert gateway.counts("POST", "/uploads$") == begun

    def test_a_damaged_file_of_transfers(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """MD5 finds out that the store has the files."""
        for number in range(5):
            pc.write(f"{number}.tif", os.urandom(1000))
        pc.until(lambda: pc.view(session).verified == 5, "all are verified")
        pc.stop()
        path = pc.home / "pc.transfers"
        path.write_bytes(b"not a database".ljust(4096))
        pc.start()
        pc.until(lambda: pc.view(session).verified == 5, "they are found again")
        assert max(gateway.chunks.values()) == 1
        assert len(list(pc.home.glob("pc.transfers.damaged-*"))) == 1

    def test_a_disk_that_is_full(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """What is known cannot be written: the window says so, and the files are sent all the same."""
        path = pc.home / "pc.transfers"
        path.rename(path.with_suffix(".away"))
        path.mkdir()
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.until(lambda: "cannot be used" in pc.view(session).problem, "the window says so")
        path.rmdir()
        path.with_suffix(".away").rename(path)
        pc.write("b.tif")
        pc.see(session, b__tif="verified")
        pc.until(lambda: pc.view(session).problem == "", "it is over")

    def test_a_session_whose_start_is_delivered_late(self, pc: TransferPC, gateway: ContractGateway) -> None:
        session = str(uuid.uuid4())
        pc.outbox.add(EventKind.START, session, "Titan", "ann", transfer=pc.settings)
        pc.start()
        pc.looked(session)
        pc.write("a.tif")
        pc.see(session, a__tif="waiting")
        assert gateway.requests == []
        pc.outbox.settle(pc.outbox.waiting()[0], EventReceipt(token="given now"))
        pc.see(session, a__tif="verified")


class TestADistortedFile:
    """What arrives otherwise than it was sent is sent again: after the END, too, whatever patience files have."""

    def test_it_is_sent_until_it_is_right(self, tmp_path: Path, gateway: ContractGateway) -> None:
        pc = TransferPC(tmp_path, gateway.url)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start(patience=0.0)
        pc.looked(session)
        gateway.stored_as = lambda upload: b"" if "a.tif" in upload.name else bytes(upload.content)
        pc.write("a.tif"), pc.write("b.tif")
        pc.see(session, a__tif="failed", b__tif="verified")
        pc.end(session)
        assert settled(lambda: not gateway.transferred, 1.0)
        gateway.stored_as = lambda upload: bytes(upload.content)
        pc.until(lambda: pc.view(session).finished, "it is right, and the end reported")
        assert sorted(gateway.objects) == ["raw/a.tif", "raw/b.tif"]
        pc.stop()

    def test_one_that_changes_without_a_new_time_has_its_own_trouble(
        self, tmp_path: Path, gateway: ContractGateway
    ) -> None:
        pc = TransferPC(tmp_path, gateway.url)
        session = str(uuid.uuid4())
        number = itertools.count()

        def change(upload: SentFile) -> bytes:
            state = path.stat()
            path.write_bytes(b"%04d" % next(number))
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
            return b""

        pc.begin(session)
        pc.start(patience=0.0)
        pc.looked(session)
        gateway.stored_as = change
        path = pc.write("a.tif")
        pc.see(session, a__tif="failed")
        pc.end(session)
        pc.until(lambda: pc.view(session).finished, "the session does not wait for it")
        assert gateway.states() == {"raw/a.tif": "failed"}
        pc.stop()

    def test_it_is_not_sent_for_ever(self) -> None:
        """A store that distorts whatever it is given holds no session for good."""
        file = TrackedFile(FileKey("s", "raw", "a.tif"), Signature(4, 1, ""))
        refusal = GatewayProblem("no", "", 409, "wrong-content", {})
        blames = []
        for _ in range(MOST_DISTORTED):
            file = _distorted(replace(file, md5="5d41402abc4b2a76b9719d911017c592"), refusal).file
            blames.append(file.blame)
        assert blames == [Blame.LINE] * (MOST_DISTORTED - 1) + [Blame.FILE]


class TestAShareThatIsAway:
    """Its folder may be there, and empty: that says nothing about the files that were in it."""

    def test_its_files_are_neither_gone_nor_new(
        self, tmp_path: Path, gateway: ContractGateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("Logger.transfer.belonging.TOLERANCE", 0)
        with mounted(tmp_path / "raw", "1m") as raw:
            pc = TransferPC(tmp_path, gateway.url)
            session = str(uuid.uuid4())
            pc.write("before.tif", mtime=time.time() - 3600)
            pc.begin(session)
            pc.start()
            pc.looked(session)
            gateway.intervene = lambda method, target, body: "cut" if "uploads" in target else None
            pc.write("a.tif")
            pc.see(session, a__tif="failed")
            with mounted(raw, "1m"):
                pc.until(lambda: any(OTHER_DISK in one for one in pc.view(session).unread), "another disk is seen")
                gateway.intervene = lambda method, target, body: None
                pc.write("c.tif")
                pc.see(session, a__tif="failed", c__tif="verified")
                pc.until(lambda: pc.view(session).files[0].reason == FOLDER_AWAY, "its folder is known to be away")
            pc.see(session, a__tif="verified")
            pc.until(lambda: not pc.view(session).unread, "it is the disk again")
            pc.stop()
        assert sorted(gateway.objects) == ["raw/a.tif", "raw/c.tif"]

    def test_another_disk_in_its_place(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """What is sent from the former one stays; what is on the new one is watched as usual."""
        with mounted(tmp_path / "raw", "1m") as raw:
            pc = TransferPC(tmp_path, gateway.url)
            session = str(uuid.uuid4())
            pc.begin(session)
            pc.start()
            pc.looked(session)
            pc.write("a.tif")
            pc.see(session, a__tif="verified")
            with mounted(raw, "1m"):
                with pc.write("b.tif").open("r+b"):  # it is not sent
                    pc.see(session, b__tif="locked")
                    (raw / "b.tif").unlink()
                    pc.see(session, b__tif="gone")
                pc.write("c.tif")
                pc.see(session, a__tif="verified", c__tif="verified")
                assert not pc.view(session).unread
            pc.stop()
