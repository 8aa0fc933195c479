"""What the Gateway refuses about files: hostile names and sizes, and clients without a right."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.tokens import AccessTokens
from NexusCore.storage import open_database
from tests.disks import fill, mounted
from tests.gateway.gateways import RunningGateway, configure, kind_of
from tests.gateway.test_gateway_refusals import LEAKS, refused
from tests.gateway.transfers import (
    CHUNK,
    MODIFIED,
    Directory,
    Sender,
    base64_md5,
    md5,
    reported,
    set_parameters,
    transferring,
)
from tests.processes import LIMIT, eventually, messages

HOSTILE_PATHS = (
    "../a.dm4",
    "x/../../a.dm4",
    "/etc/passwd",
    "C:\\Windows\\a.dm4",
    "x//a.dm4",
    "x/./a.dm4",
    "x/",
    "",
    "a\0.dm4",
    "a\n.dm4",
    "\x1b[31m.dm4",
    "\ud800.dm4",
    "é" * 128,
    "x" * 1025,
    "/".join("x" * 70),
)
ODD_PATHS = (
    "CON",
    "a:b.dm4",
    "Ümlaut ß 漢字.dm4",
    "'; DROP TABLE session; --",
    "<script>.dm4",
    "%2e%2e",
    ".hidden",
    "a.",
    " a",
)
"""Names that are no harm to a store, whatever they would be elsewhere."""


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("transfer")
    shutil.copyfile(sqlite_template, folder / "nexus.db")
    running = RunningGateway(f"sqlite:///{folder}/nexus.db", folder, chunk_size=CHUNK)
    yield running
    running.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def sender(running: RunningGateway, root: Path) -> Sender:
    return transferring(running, Directory(root))


class TestNames:
    """No name leads out of the store, and none that a microscope's PC can have is lost."""

    @pytest.mark.parametrize("path", HOSTILE_PATHS, ids=lambda path: ascii(path[:12]))
    def test_hostile_ones(self, sender: Sender, path: str) -> None:
        refused(sender.begin(path, b"x"), 422, "invalid")
        refused(sender.report(reported(path)), 422, "invalid")
        assert sender.files()["files"] == []

    @pytest.mark.parametrize("folder", ["", "..", "a/b", "a b", "é", "x" * 41, "raw\n"])
    def test_folders(self, sender: Sender, folder: str) -> None:
        refused(sender.begin("a.dm4", b"x", folder=folder), 422, "invalid")

    @pytest.mark.parametrize("path", ODD_PATHS, ids=ascii)
    def test_odd_ones(self, sender: Sender, root: Path, path: str) -> None:
        sender.send(path, b"content")
        assert (root / "raw" / path).read_bytes() == b"content"
        assert sender.state(path) == "verified"

    def test_a_link_in_the_store(self, sender: Sender, root: Path, tmp_path: Path) -> None:
        """It is neither followed nor replaced."""
        outside = tmp_path / "outside"
        outside.mkdir()
        sender.send("a.dm4", b"content")
        (root / "raw" / "link").symlink_to(outside)
        answer = sender.begin("link/a.dm4", b"content")
        refused(answer, 503, "store-away")
        assert answer.headers["Retry-After"] == "30"
        (root / "raw" / "b.dm4").symlink_to(outside / "b.dm4")
        assert sender.send("b.dm4", b"content")["object"] == "raw/b (2).dm4"
        assert list(outside.iterdir()) == []
        assert (root / "raw" / "b.dm4").is_symlink()
        eventually(lambda: any("link is in the way" in text for text in messages(sender.pc.gateway.main, "Gateway")))

    def test_a_link_instead_of_the_hidden_folder(self, sender: Sender, root: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (root / ".nexuscore-uploads").symlink_to(outside)
        refused(sender.begin("a.dm4", b"content"), 503, "store-away")
        assert list(outside.iterdir()) == []


class TestChunks:
    """Bytes that were damaged on their way, or that do not belong there, are not taken."""

    def test_damaged_in_transit(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        refused(sender.chunk(view["upload"], 0, b"c0ntent", base64_md5(b"content")), 422, "damaged-in-transit")
        refused(sender.chunk(view["upload"], 0, b"content", "é"), 422, "damaged-in-transit")
        assert sender.look(view["upload"]).json()["received"] == 0

    def test_a_wrong_offset(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        answer = sender.chunk(view["upload"], 3, b"tent")
        refused(answer, 409, "wrong-offset")
        assert answer.json()["received"] == 0

    def test_the_same_chunk_twice(self, sender: Sender, root: Path) -> None:
        """It changes nothing, also at the same time, or if it only overlaps what is there."""
        data = os.urandom(CHUNK)
        view = sender.begun("a.dm4", data + b"end")
        answers: list[requests.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(sender.chunk(view["upload"], 0, data))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert [answer.json() for answer in answers] == [{"received": CHUNK}] * 3
        assert sender.chunk(view["upload"], CHUNK - 5, data[-5:] + b"end").json() == {"received": CHUNK + 3}
        assert sender.chunk(view["upload"], 0, data).json() == {"received": CHUNK + 3}
        assert sender.complete(view["upload"]).json()["state"] == "verified"
        assert (root / "raw" / "a.dm4").read_bytes() == data + b"end"

    def test_beyond_the_end(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        refused(sender.chunk(view["upload"], 0, b"content and more"), 422, "invalid")
        refused(sender.chunk(view["upload"], 1 << 49, b"x"), 422, "invalid")
        refused(sender.chunk(view["upload"], -1, b"x"), 422, "invalid")

    def test_without_an_md5(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        refused(sender.call("PUT", f"uploads/{view['upload']}/chunk?offset=0", data=b"content"), 422, "invalid")

    @pytest.mark.parametrize("stated", [True, False])
    def test_one_that_is_too_large(self, sender: Sender, stated: bool) -> None:
        data = os.urandom(CHUNK + 1)
        view = sender.begun("a.dm4", data)
        body = data if stated else iter([data[:-1], data[-1:]])
        headers = {"Content-MD5": base64_md5(data)}
        answer = sender.call("PUT", f"uploads/{view['upload']}/chunk?offset=0", data=body, headers=headers)
        refused(answer, 413, "too-large")

    def test_the_body_is_not_read_without_a_token(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        url = f"{sender.pc.gateway.url}/v1/sessions/{sender.session.identifier}/uploads/{view['upload']}/chunk?offset=0"
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic é".encode()}):
            answer = requests.put(url, data=b"x" * (CHUNK + 1), headers=headers, timeout=LIMIT)
            refused(answer, 401, "no-valid-token")

    def test_parts_of_another_kind(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"content")
        body = {"number": 1, "size": 7, "md5": base64_md5(b"content")}
        refused(sender.call("POST", f"uploads/{view['upload']}/parts", json=body), 409, "wrong-kind")
        for name, value in (("number", 0), ("size", -1), ("md5", "x")):
            refused(sender.call("POST", f"uploads/{view['upload']}/parts", json={**body, name: value}), 422, "invalid")


class TestTokens:
    """A stolen PC opens nothing but its own instrument, and a token of one session nothing of another."""

    def everything(self, sender: Sender, upload: str) -> Iterator[requests.Response]:
        yield sender.begin("new.dm4", b"x")
        yield sender.report(reported("new.dm4"))
        yield sender.chunk(upload, 0, b"content")
        yield sender.call("POST", f"uploads/{upload}/complete", json={})
        yield sender.call("POST", f"uploads/{upload}/parts", json={"number": 1, "size": 1, "md5": base64_md5(b"x")})
        yield sender.look(upload)
        yield sender.call("DELETE", f"uploads/{upload}")
        yield sender.transferred(1)

    def test_without_that_of_the_session(self, sender: Sender, running: RunningGateway) -> None:
        view = sender.begun("a.dm4", b"content")
        without = Sender(sender.pc, sender.session, sender.backing, token=False)
        for answer in list(self.everything(without, view["upload"]))[:-1]:
            refused(answer, 403, "no-session-token")
        other = Sender(sender.pc, transferring(running, sender.backing).session, sender.backing)
        other.session.identifier = sender.session.identifier
        for answer in self.everything(other, view["upload"]):
            refused(answer, 403, "wrong-session-token")
        assert sender.look(view["upload"]).json()["received"] == 0
        assert without.files()["counts"] == {"sending": 1}

    def test_of_another_instrument(self, sender: Sender, running: RunningGateway) -> None:
        """The answer does not show whether the session, or the upload, exists."""
        view = sender.begun("a.dm4", b"content")
        thief = Sender(running.pc(), sender.session, sender.backing)
        for answer in list(self.everything(thief, view["upload"]))[:-1]:
            refused(answer, 404, "no-such-session")
        refused(thief.call("GET", "files"), 404, "no-such-session")
        refused(thief.pc.get(f"instruments/{sender.pc.pids[0]}/repairs"), 403, "wrong-instrument")
        # An upload of another session is none of this one.
        other = transferring(running, sender.backing)
        refused(other.look(view["upload"]), 404, "no-such-upload")
        refused(other.chunk(view["upload"], 0, b"content"), 404, "no-such-upload")

    def test_a_revoked_one(self, sender: Sender, running: RunningGateway) -> None:
        view = sender.begun("a.dm4", b"content")
        database = open_database(running.main)
        AccessTokens(database, SYSTEM_CLOCK).revoke(sender.pc.name)
        database.close()
        for answer in self.everything(sender, view["upload"]):
            refused(answer, 401, "no-valid-token")


class TestSettings:
    """Transfer is off unless the facility has switched it on, with settings that can be used."""

    def test_off(self, running: RunningGateway) -> None:
        pc = running.pc()
        set_parameters(running.main, **{f"Instruments__{pc.pids[0]}__name": "Titan"})
        eventually(lambda: pc.get(f"instruments/{pc.pids[0]}").status_code == 200)
        transfer = pc.get(f"instruments/{pc.pids[0]}").json()["transfer"]
        assert (transfer["on"], transfer["chunk_size"]) == (False, CHUNK)
        session = pc.start()
        sender = Sender(pc, session, Directory(Path("unused")))
        refused(sender.begin("a.dm4", b"x"), 409, "transfer-off")
        refused(sender.report(reported("a.dm4")), 409, "transfer-off")
        assert session.post("end", transfers=True).json()["state"] == "TO_BE_BUILT"
        refused(sender.begin("a.dm4", b"x"), 409, "transfer-ended")

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("after_booked_end", "maybe", "use take or hold"),
            ("bandwidth", "fast", "use for example 08:00-18:00=20; =100"),
            ("bandwidth", "=5; =6", "several entries without times"),
            ("folders__a b", "D:/", "up to 40 letters"),
            ("stable_seconds", 0.1, "has to be between 1 and"),
            ("stable_seconds", "soon", "must be a number"),
        ],
    )
    def test_wrong_ones_switch_it_off(
        self, running: RunningGateway, sender: Sender, name: str, value: object, sentence: str
    ) -> None:
        """With a warning that names the parameter."""
        pid = sender.pc.pids[0]
        set_parameters(running.main, **{f"Instruments__{pid}__transfer__{name}": value})
        eventually(lambda: sender.pc.get(f"instruments/{pid}").json()["transfer"]["on"] is False)
        refused(sender.begin("a.dm4", b"x"), 409, "transfer-off")
        begins = f"File transfer is switched off for {pid}: "
        eventually(
            lambda: any(text.startswith(begins) and sentence in text for text in messages(running.main, "Gateway"))
        )

    def test_a_switch_that_is_none(self, running: RunningGateway) -> None:
        pc = running.pc()
        set_parameters(running.main, **{f"Instruments__{pc.pids[0]}__transfer__on": "often"})
        eventually(lambda: pc.get(f"instruments/{pc.pids[0]}").status_code == 200)
        assert pc.get(f"instruments/{pc.pids[0]}").json()["transfer"]["on"] is False
        eventually(lambda: any("neither true nor false" in text for text in messages(running.main, "Gateway")))

    def test_a_store_that_is_not_there(self, running: RunningGateway, sender: Sender, root: Path) -> None:
        """Nothing is lost: the file is sent when the store is back."""
        root.rename(root.with_name("away"))
        answer = sender.begin("a.dm4", b"content")
        refused(answer, 503, "store-away")
        assert not LEAKS.search(answer.json()["detail"])
        root.with_name("away").rename(root)
        assert sender.send("a.dm4", b"content")["state"] == "verified"

    def test_a_store_that_is_not_mounted(self, running: RunningGateway, sender: Sender, root: Path) -> None:
        """An empty mount point neither takes files nor makes the stored ones damaged."""
        sender.send("a.dm4", b"content")
        root.rename(root.with_name("mounted"))
        root.mkdir()
        refused(sender.begin("b.dm4", b"content"), 503, "store-away")
        configure(running.main, verify_hours=0.000_001)
        eventually(lambda: any("is not mounted" in text for text in messages(running.main, "Gateway")))
        assert sender.state("a.dm4") == "verified"
        configure(running.main, verify_hours=24.0)
        assert list(root.iterdir()) == []

    def test_a_folder_that_is_not_transferred(self, sender: Sender, root: Path) -> None:
        """Nothing of it gets into the store."""
        answer = sender.begin("a.dm4", b"content", folder="elsewhere")
        refused(answer, 422, "invalid")
        assert "no folder 'elsewhere' transferred" in answer.json()["detail"]
        assert not (root / "elsewhere").exists()

    def test_a_file_for_which_there_is_no_room(self, sender: Sender) -> None:
        """Its user learns how much is missing, and it does not look as if it were being sent."""
        answer = sender.begin("a.dm4", b"content", size=1 << 50)
        refused(answer, 507, "store-full")
        assert answer.json()["detail"].startswith("This file needs 1.0 PiB, and the facility's store has ")
        (file,) = sender.files()["files"]
        assert (file["state"], "a file needs 1.0 PiB." in file["reason"]) == ("waiting", True)

    @pytest.mark.parametrize(
        ("year", "kept"), [("0001", False), ("1600", False), ("1970", True), ("2030", True), ("9999", False)]
    )
    def test_a_time_that_a_file_system_cannot_keep(self, sender: Sender, root: Path, year: str, kept: bool) -> None:
        """The file is taken, with the time at which it was stored."""
        sender.send("a.dm4", b"content", modified=f"{year}-06-01T00:00:00+00:00")
        modified = datetime.fromtimestamp(0, UTC) + timedelta(seconds=(root / "raw/a.dm4").stat().st_mtime)
        assert modified.year == (int(year) if kept else datetime.now(UTC).year)

    def test_a_full_store(self, running: RunningGateway, tmp_path: Path) -> None:
        """The PC is told, and goes on when there is room."""
        with mounted(tmp_path / "disk", "256k") as disk:
            sender = transferring(running, Directory(disk))
            data = os.urandom(150_000)
            view = sender.begun("a.dm4", data)
            filler = fill(disk)
            refused(sender.begin("b.dm4", data), 507, "store-full")
            answer = sender.chunk(view["upload"], 0, data)
            refused(answer, 507, "store-full")
            assert answer.headers["Retry-After"] == "30"
            assert not (disk / "raw").exists()
            filler.unlink()
            assert sender.send("a.dm4", data)["upload"] == view["upload"]
            assert (disk / "raw" / "a.dm4").read_bytes() == data

    def test_an_unknown_store(self, running: RunningGateway, sender: Sender) -> None:
        set_parameters(running.main, **{f"Instruments__{sender.pc.pids[0]}__transfer__store": "nowhere"})
        eventually(lambda: sender.begin(f"{uuid.uuid4()}.dm4", b"x").status_code == 503)
        eventually(lambda: any("no store 'nowhere'" in text for text in messages(running.main, "Gateway")))


class TestWhatIsNoRequest:
    """Every bad input gets an answer that says what is wrong."""

    def test_a_field_that_is_missing_or_wrong(self, sender: Sender) -> None:
        body = {"folder": "raw", "path": "a.dm4", "size": 1, "md5": md5(b"x"), "modified": MODIFIED}
        for name in body:
            answer = sender.call("POST", "uploads", json={key: value for key, value in body.items() if key != name})
            refused(answer, 422, "invalid")
        for name, value in (("size", -1), ("size", 1 << 60), ("md5", "X" * 32), ("modified", "noon"), ("more", 1)):
            refused(sender.call("POST", "uploads", json={**body, name: value}), 422, "invalid")

    def test_a_report_that_is_wrong(self, sender: Sender) -> None:
        for more in ({"state": "damaged"}, {"state": "done"}, {"reason": "x" * 501}, {"sent": -1}, {"md5": "x"}):
            refused(sender.report({**reported("a.dm4"), **more}), 422, "invalid")
        refused(sender.report(*[reported(f"{n}.dm4") for n in range(501)]), 422, "invalid")
        long = [reported(f"{n}{'x' * 600}/{'é' * 100}.dm4") for n in range(500)]
        answer = sender.report(*[{**file, "path": file["path"].replace("x" * 600, "x" * 250)} for file in long])
        assert answer.json() == {"taken": 500}

    def test_no_such_upload(self, sender: Sender) -> None:
        upload = str(uuid.uuid4())
        refused(sender.look(upload), 404, "no-such-upload")
        refused(sender.chunk(upload, 0, b"x"), 404, "no-such-upload")
        refused(sender.complete(upload), 404, "no-such-upload")
        refused(sender.look("7"), 422, "invalid")

    def test_more_than_is_allowed(self, running: RunningGateway, sender: Sender) -> None:
        """Requests about files have an allowance of their own: the session's events are not held up."""
        configure(running.main, transfer_requests_per_minute=30)
        answer = eventually(lambda: _refusal(sender.call("GET", "files")))
        assert answer == (429, "too-many-requests")
        assert sender.session.post("note", text="x").status_code == 200
        configure(running.main, transfer_requests_per_minute=1_000_000)


def _refusal(answer: requests.Response) -> tuple[int, str] | None:
    return None if answer.status_code == 200 else (answer.status_code, kind_of(answer))
