"""The transfer on the PC, against a small Gateway that speaks the contract and misbehaves as a test says."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from itertools import pairwise
from pathlib import Path

import pytest

from tests.logger.contract import ContractGateway, Reply, problem
from tests.logger.transferring import TransferPC, settled

YEAR = 365 * 86_400


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return what no transfer may change: names, bytes, times and inodes."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }  # fmt: skip


pytestmark = pytest.mark.usefixtures("quick_transfer")


class TestASession:
    """Every byte reaches the store, and no source is touched."""

    @pytest.mark.parametrize("kind", ["chunks", "google", "s3"])
    def test_from_start_to_the_end_of_its_transfer(self, tmp_path: Path, kind: str) -> None:
        gateway = ContractGateway(kind, 256 * 1024)
        gateway.checks = 3
        pc = TransferPC(tmp_path, gateway.url)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        for number in range(12):
            pc.write(f"grid {number % 3}/ünïcödé {number}.tif", os.urandom(number * 70_000))
        pc.write("last year.dm4", b"copied in", time.time() - YEAR)
        pc.write("tomorrow.dm4", b"a wrong clock", time.time() + 86_400)
        before = snapshot(pc.raw)
        pc.until(lambda: pc.view(session).verified == 14, "all are verified")
        pc.end(session)
        pc.until(lambda: pc.view(session).finished, "the transfer is finished")
        assert gateway.objects == {f"raw/{name}": content for name, (content, *_) in before.items()}
        assert snapshot(pc.raw) == before
        assert set(gateway.states().values()) == {"verified"}
        assert gateway.transferred[session]["files"] == 14
        assert pc.pending.all() == [], "there is nothing left for the next logger"
        assert max(gateway.chunks.values()) == 1, "no byte was sent twice"
        pc.stop()
        gateway.close()

    def test_what_was_there_before_is_not_sent(self, pc: TransferPC, gateway: ContractGateway) -> None:
        pc.write("old.tif")
        os.utime(pc.raw / "old.tif", (time.time() - YEAR,) * 2)
        session = str(uuid.uuid4())
        time.sleep(2.1)  # the entry's own time cannot be set back
        pc.begin(session)
        pc.start()
        pc.looked(session)
        pc.write("new.tif")
        pc.see(session, new__tif="verified")
        assert list(gateway.objects) == ["raw/new.tif"]
        pc.write("old.tif", b"written to")
        pc.see(session, old__tif="verified")

    def test_ignored_names_and_links_stay(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        pc.write(".hidden"), pc.write("a.tmp"), pc.write(".cache/b.tif")
        (pc.raw / "link.tif").symlink_to("/etc/passwd")
        os.mkfifo(pc.raw / "pipe.tif")
        pc.write("map.zarr/.zgroup", b"{}")
        pc.write("c.tif")
        pc.see(session, c__tif="verified")
        pc.until(lambda: len(gateway.objects) == 2, "the dataset is sent")
        assert sorted(gateway.objects) == ["raw/c.tif", "raw/map.zarr/.zgroup"]

    def test_what_happens_while_nothing_changes(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """000-07: a scan, and nothing else: no request, no write to the disk, no open file."""
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.until(lambda: "verified" in gateway.states().values(), "it is reported")
        time.sleep(1.2)  # the last write
        requests, home = len(gateway.requests), snapshot(pc.home)
        assert settled(lambda: (len(gateway.requests), snapshot(pc.home)) == (requests, home), 1.0)
        links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert not [link for link in links if link.startswith((str(pc.home), str(pc.raw)))]


class TestStableFiles:
    """A file is sent when it has been quiet for a while, and is verified only if it has not changed since."""

    def test_a_growing_file_is_sent_once(self, tmp_path: Path, gateway: ContractGateway) -> None:
        pc = TransferPC(tmp_path, gateway.url, stable_seconds=0.5)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        path = pc.write("movie.mrc", b"")
        for _ in range(15):
            with path.open("ab") as file:
                file.write(os.urandom(9000))
            time.sleep(0.1)
        assert gateway.states()["raw/movie.mrc"] == "growing"
        pc.see(session, movie__mrc="verified")
        assert gateway.objects == {"raw/movie.mrc": path.read_bytes()}
        assert gateway.counts("POST", "/uploads$") == 1
        pc.stop()

    def test_one_that_another_program_writes_is_locked(self, pc: TransferPC, session: str) -> None:
        """A file of full size whose writer pauses looks finished; on Linux a lease knows better."""
        path = pc.write("a.dm4", b"\0" * 100)
        pc.write("b.dm4")
        with path.open("r+b") as writer:
            pc.see(session, a__dm4="locked", b__dm4="verified")
            writer.write(b"x" * 100)
        pc.see(session, a__dm4="verified")

    def test_one_that_changes_while_it_is_sent(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """Also with the size and time that it had: it is another file then."""
        path, new = pc.raw / "a.tif", os.urandom(200_000)

        def replace(method: str, target: str, body: bytes) -> None:
            if "complete" in target and not gateway.counts("POST", "complete"):
                state = path.stat()
                (pc.raw / "b.tmp").write_bytes(new)
                os.utime(pc.raw / "b.tmp", ns=(state.st_atime_ns, state.st_mtime_ns))
                (pc.raw / "b.tmp").rename(path)

        gateway.intervene = replace
        pc.write("a.tif", os.urandom(200_000))
        pc.until(lambda: gateway.objects.get("raw/a.tif") == new, "the new one is sent")
        pc.see(session, a__tif="verified")
        pc.until(lambda: gateway.states()["raw/a.tif"] == "verified", "it is reported")

    def test_one_that_changes_for_ever(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """It stops nothing; at the end it has its time, and is named."""
        pc = TransferPC(tmp_path, gateway.url)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start(patience=1.0)
        pc.looked(session)
        stop = threading.Event()

        def change() -> None:
            while not stop.wait(0.02):
                pc.write("log.dat", os.urandom(100))

        thread = threading.Thread(target=change)
        thread.start()
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.end(session)
        pc.until(lambda: pc.view(session).finished, "the transfer is finished")
        stop.set()
        thread.join()
        (missing,) = pc.view(session).missing_files()
        assert (missing.name, missing.stage.value) == ("raw/log.dat", "growing")
        assert gateway.states()["raw/log.dat"] == "growing"
        pc.stop()

    def test_one_that_vanishes(self, pc: TransferPC, session: str) -> None:
        path = pc.write("a.dm4")
        with path.open("r+b"):
            pc.see(session, a__dm4="locked")
            path.unlink()
            pc.see(session, a__dm4="gone")

    def test_renamed_and_replaced(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        path = pc.write("a.tif", b"first")
        pc.see(session, a__tif="verified")
        path.rename(pc.raw / "b.tif")
        pc.write("a.tif", b"second")
        pc.until(lambda: gateway.objects == {"raw/a.tif": b"second", "raw/b.tif": b"first"}, "both are there")


class TestFailures:
    """One file in trouble never stops or slows the rest, and says why."""

    def test_a_file_that_cannot_be_read(self, pc: TransferPC, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from Logger.transfer import sending

        opened = sending.open_to_read

        def refuse(root: str, path: str) -> object:
            if path == "secret.tif":
                raise PermissionError(13, "Permission denied")
            return opened(root, path)

        monkeypatch.setattr(sending, "open_to_read", refuse)
        pc.write("secret.tif")
        for number in range(20):
            pc.write(f"{number}.tif")
        pc.until(lambda: pc.view(session).verified == 20, "the others are sent")
        pc.see(session, secret__tif="failed")
        file = next(file for file in pc.view(session).files if file.name == "raw/secret.tif")
        assert file.reason == "it cannot be read: Permission denied"
        assert file.next_try > time.time_ns() // 1000 - 10_000_000

    def test_a_fault_of_a_worker_is_shown(self, pc: TransferPC, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError("as a test")

        with monkeypatch.context() as patch:
            patch.setattr("Logger.transfer.sending.md5_of", broken)
            pc.write("a.tif")
            pc.see(session, a__tif="failed")
            assert "debug log" in pc.view(session).files[0].reason
        pc.see(session, a__tif="verified")

    def test_a_fault_of_the_engine_ends_nothing(
        self, pc: TransferPC, session: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faults = iter([True, True])
        real = pc.engine._dispatch  # type: ignore[union-attr]

        def sometimes() -> None:
            if next(faults, False):
                raise ZeroDivisionError("as a test")
            real()

        monkeypatch.setattr(pc.engine, "_dispatch", sometimes)
        pc.write("a.tif")
        pc.see(session, a__tif="verified")

    @pytest.mark.parametrize("lie", [{"received": 10**9}, {"received": 0}, {"received": "all"}])
    def test_wrong_answers_end_in_a_sentence(
        self, pc: TransferPC, gateway: ContractGateway, session: str, lie: dict[str, object]
    ) -> None:
        lies = iter([1] * 3)

        def intervene(method: str, target: str, body: bytes) -> Reply | None:
            return Reply(200, lie) if "chunk" in target and b"lied about" in body and next(lies, None) else None

        gateway.intervene = intervene
        pc.write("a.tif", b"lied about")
        pc.write("b.tif", b"honest")
        pc.until(lambda: any("facility's server" in file.reason for file in pc.view(session).files), "it says why")
        pc.see(session, a__tif="verified", b__tif="verified")

    def test_a_busy_gateway(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """It says how long it wants to be left alone."""
        statuses, asked = iter((429, 503)), []

        def intervene(method: str, target: str, body: bytes) -> Reply | None:
            if method != "PUT":
                return None
            asked.append(time.monotonic())
            status = next(statuses, 0)
            busy = Reply(status, b"<html>busy</html>", {"Content-Type": "text/html", "Retry-After": "1"})
            return busy if status else None

        gateway.intervene = intervene
        pc.write("a.tif")
        pc.see(session, a__tif="failed")
        assert pc.view(session).files[0].reason == "The facility's server is busy or being serviced."
        pc.see(session, a__tif="verified")
        assert len(asked) == 3
        assert all(later - sooner >= 0.99 for sooner, later in pairwise(asked)), "Retry-After"

    def test_cuts_and_flipped_bytes(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """At most one chunk is sent twice for each cut."""
        cuts = 0

        def intervene(method: str, target: str, body: bytes) -> Reply | str | None:
            nonlocal cuts
            if method != "PUT":
                return None
            number = gateway.counts("PUT", "chunk")
            if number % 5 == 3:
                cuts += 1
                return "cut"
            return problem(422, "damaged-in-transit") if number % 5 == 1 else None

        gateway.intervene = intervene
        content = os.urandom(64 * 1024 * 20)
        pc.write("big.dm4", content)
        pc.see(session, big__dm4="verified")
        assert gateway.objects["raw/big.dm4"] == content
        assert cuts >= 4
        assert max(gateway.chunks.values()) == 1

    def test_the_store_got_other_bytes(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        """The file is hashed again, and sent again."""

        def intervene(method: str, target: str, body: bytes) -> None:
            if "complete" in target and gateway.counts("POST", "complete") < 2:
                for upload in gateway.uploads.values():
                    upload.content[0] ^= 1

        gateway.intervene = intervene
        pc.write("a.tif", b"x" * 1000)
        pc.see(session, a__tif="verified")
        assert gateway.counts("POST", "/uploads$") == 3
        assert gateway.objects == {"raw/a.tif": b"x" * 1000}

    def test_a_folder_that_cannot_be_read(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """It is a sentence; what is found in it later is judged as at the first scan."""
        away = tmp_path / "share"
        pc = TransferPC(tmp_path, gateway.url, folders=(("raw", str(tmp_path / "raw")), ("share", str(away))))
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        (sentence,) = pc.view(session).unread
        assert sentence == f"The folder {away} cannot be read: No such file or directory."
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "new.tif").write_bytes(b"new")
        (tmp_path / "made").rename(away)
        pc.until(lambda: "share/new.tif" in gateway.objects, "it is sent")
        pc.until(lambda: pc.view(session).unread == (), "it is read")
        pc.stop()

    def test_a_watched_folder_that_is_away_for_a_while(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """Its files are not removed; they are sent when it is back."""
        pc = TransferPC(tmp_path, gateway.url, stable_seconds=0.5)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        pc.write("a.tif")
        pc.see(session, a__tif="waiting")
        pc.raw.rename(tmp_path / "away")
        pc.until(lambda: pc.view(session).files[0].reason == "its watched folder cannot be read", "it says so")
        assert pc.stages(session) == {"a.tif": "failed"}
        (tmp_path / "away").rename(pc.raw)
        pc.see(session, a__tif="verified")
        pc.stop()

    def test_a_file_that_is_missed_while_no_scan_looks(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """Its folder was moved away and back: it is what it was."""
        pc = TransferPC(tmp_path, gateway.url, stable_seconds=0.5, interval_seconds=1.5)
        session = str(uuid.uuid4())
        pc.write("grid/old.tif")
        pc.begin(session)
        pc.write("grid/a.tif")
        pc.start()
        pc.see(session, **{"grid/a__tif": "waiting"})
        (pc.raw / "grid").rename(tmp_path / "away")
        pc.see(session, **{"grid/a__tif": "gone"})
        (tmp_path / "away").rename(pc.raw / "grid")
        pc.see(session, **{"grid/a__tif": "verified"})
        pc.stop()

    def test_names_that_a_store_cannot_have(self, pc: TransferPC, gateway: ContractGateway, session: str) -> None:
        for name in ("back\\slash.tif", "line\nbreak.tif", os.fsdecode(b"latin-\xe9.tif")):
            pc.write(name)
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        pc.until(lambda: sorted(gateway.states().values()) == ["failed"] * 3 + ["verified"], "they are reported")
        assert len(gateway.files) == 4
        assert sorted(file["reason"] for file in gateway.files.values() if file["state"] == "failed") == [
            f"its name has a character that the store cannot have: {what}; rename it"
            for what in ("a backslash", "a line break", "the byte 0xe9, which is not UTF-8")
        ]
        assert all(file.next_try == 0 for file in pc.view(session).files), "another attempt would not help"

    def test_a_report_that_the_gateway_cannot_take(
        self, pc: TransferPC, gateway: ContractGateway, session: str
    ) -> None:
        def intervene(method: str, target: str, body: bytes) -> Reply | None:
            return problem(422, "invalid") if target.endswith("/files") and b"strange" in body else None

        gateway.intervene = intervene
        for number in range(10):
            pc.write(f"{number}.tif")
        pc.write("strange.tif")
        pc.until(lambda: list(gateway.states().values()).count("verified") >= 10, "the others are reported")
        pc.end(session)


class TestLimits:
    """The transfer leaves line and machine to others."""

    def test_bandwidth(self, tmp_path: Path, gateway: ContractGateway) -> None:
        pc = TransferPC(tmp_path, gateway.url, bandwidth="=2")
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        begin = time.monotonic()
        for number in range(4):
            pc.write(f"{number}.tif", os.urandom(400_000))
        pc.until(lambda: pc.view(session).verified == 4, "all are sent")
        assert time.monotonic() - begin > 0.65, "1.6 MB at 2 MB/s, less the first piece of each worker"
        pc.stop()

    def test_states_are_reported_within_two_seconds(self, tmp_path: Path, gateway: ContractGateway) -> None:
        """And 1,200 files in batches of at most 500."""
        pc = TransferPC(tmp_path, gateway.url, stable_seconds=600.0)
        session = str(uuid.uuid4())
        pc.begin(session)
        pc.start()
        pc.looked(session)
        for number in range(1200):
            (pc.raw / f"{number}.tif").write_bytes(b"x")
        pc.until(lambda: len(gateway.states()) == 1200, "all are reported")
        assert max(len(report) for report in gateway.reports) <= 500
        pc.stop()

    def test_its_threads_have_low_priority(self, pc: TransferPC, session: str) -> None:
        pc.write("a.tif")
        pc.see(session, a__tif="verified")
        nice = {
            thread.name: os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
            for thread in threading.enumerate()
            if thread.name.startswith("transfer")
        }
        low = min(19, os.getpriority(os.PRIO_PROCESS, os.getpid()) + 10)
        assert nice == dict.fromkeys(("transfer", "transfer 1", "transfer 2", "transfer reports"), low)


class TestRepairs:
    """A stored copy that was found damaged is sent again, if the file still has that content."""

    def wanted(self, session: str, path: str, content: bytes) -> dict[str, object]:
        import hashlib

        return {
            "session": session, "folder": "raw", "path": path, "size": len(content),
            "md5": hashlib.md5(content).hexdigest(),
        }  # fmt: skip

    def test_they_are_asked_for_and_done(
        self, pc: TransferPC, gateway: ContractGateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("Logger.transfer.reporting.REPAIR_SECONDS", 0.2)
        session = str(uuid.uuid4())
        pc.write("good.tif", b"as it was"), pc.write("other.tif", b"changed!!")
        gateway.wanted = [
            self.wanted(session, "good.tif", b"as it was"), self.wanted(session, "other.tif", b"unchanged"),
            self.wanted(session, "gone.tif", b"no file"), self.wanted(session, "../../etc/passwd", b"x"),
        ]  # fmt: skip
        engine = pc.start()
        engine.watch_repairs("Titan", pc.settings.folders)
        pc.until(lambda: "raw/good.tif" in gateway.objects, "it is repaired")
        assert settled(lambda: list(gateway.objects) == ["raw/good.tif"], 0.6)
        assert len(gateway.wanted) == 3

    def test_without_a_transfer_nobody_asks(self, pc: TransferPC, gateway: ContractGateway) -> None:
        engine = pc.start()
        engine.watch_repairs("Titan", ())
        assert settled(lambda: gateway.requests == [], 0.5)
        assert not (pc.home / "pc.transfers").exists()
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("transfer")] == ["transfer"]


def test_a_lease_is_possible_here(tmp_path: Path) -> None:
    """What the tests of locked files rely on."""
    (tmp_path / "a").write_bytes(b"")
    with (tmp_path / "a").open("rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
