"""Uploads into stores of each kind: a directory, Google Cloud Storage (its emulator) and S3 (rclone's server)."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.gateways import RunningGateway, kind_of
from tests.gateway.transfers import (
    CHUNK,
    Backing,
    Directory,
    Sender,
    google_server,
    md5,
    reported,
    s3_server,
    transferring,
)
from tests.processes import eventually, execute, rows

S3_PART = 5 * 1024 * 1024


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture(scope="module")
def running(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("transfer")
    shutil.copyfile(sqlite_template, folder / "nexus.db")
    running = RunningGateway(f"sqlite:///{folder}/nexus.db", folder, chunk_size=CHUNK, verify_hours=0)
    yield running
    running.close()


@pytest.fixture(scope="module", params=["directory", "google", "s3"])
def backing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backing]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "directory":
        yield Directory(folder)
        return
    with ExitStack() as stack:
        serve = google_server if request.param == "google" else s3_server
        yield stack.enter_context(serve(folder))


@pytest.fixture
def sender(running: RunningGateway, backing: Backing, tmp_path: Path) -> Sender:
    """Lend a session; with a directory, each has its own."""
    return transferring(running, Directory(tmp_path) if isinstance(backing, Directory) else backing)


def large(sender: Sender) -> bytes:
    """Return a content of more than one chunk."""
    kind = sender.begun("probe.txt", b"probe")["kind"]
    return content(S3_PART + 1000 if kind == "s3" else 2 * CHUNK + 1000)


class TestAWholeUpload:
    """Every byte gets into the store, and MD5 decides, of what is there."""

    def test_from_begin_to_verified(self, sender: Sender) -> None:
        data = large(sender)
        view = sender.begun("day 1/Grün ß.dm4", data)
        name = f"{sender.prefix}raw/day 1/Grün ß.dm4"
        assert (view["state"], view["object"], view["received"]) == ("open", name, 0)
        sender.send_bytes(view, data)
        assert sender.backing.get(name) is None or view["kind"] == "google"
        assert sender.complete(view["upload"]).json()["state"] == "verified"
        assert sender.backing.get(name) == data
        assert sender.state("day 1/Grün ß.dm4") == "verified"
        assert sender.look(view["upload"]).json()["state"] == "verified"

    def test_an_empty_file(self, sender: Sender) -> None:
        assert sender.begun("empty.txt", b"")["state"] == "verified"
        assert sender.backing.get(f"{sender.prefix}raw/empty.txt") == b""

    def test_the_same_upload_is_given_again(self, sender: Sender) -> None:
        """With what has arrived by now; bytes that are there are not asked for again."""
        data = large(sender)
        view = sender.begun("a.dm4", data)
        first = S3_PART if view["kind"] == "s3" else CHUNK
        sender.send_bytes(view, data, first)
        again = sender.begun("a.dm4", data)
        assert (again["upload"], again["received"]) == (view["upload"], first)
        sender.send_bytes(again, data)
        assert sender.complete(view["upload"]).json()["state"] == "verified"
        assert sender.backing.get(view["object"]) == data

    def test_stored_content_is_not_sent_again(self, sender: Sender) -> None:
        """Also if it was put there by hand: that file is taken over."""
        sender.send("a.dm4", b"some content")
        assert sender.begun("a.dm4", b"some content")["state"] == "verified"
        sender.backing.put(f"{sender.prefix}raw/by hand.dm4", b"other content")
        assert sender.begun("by hand.dm4", b"other content")["state"] == "verified"

    def test_an_object_that_was_removed(self, sender: Sender) -> None:
        """The database's note that it is stored does not count."""
        view = sender.send("a.dm4", b"some content")
        sender.backing.remove(view["object"])
        assert sender.begun("a.dm4", b"some content")["state"] == "open"
        sender.send("a.dm4", b"some content")
        assert sender.backing.get(view["object"]) == b"some content"


class TestWhatIsWrong:
    """Nothing wrong keeps a name in the store."""

    def test_bytes_of_another_md5(self, sender: Sender) -> None:
        data = large(sender)
        wrong = data[:-1] + bytes([data[-1] ^ 1])
        view = sender.begun("a.dm4", data)
        sender.send_bytes(view, wrong)
        answer = sender.complete(view["upload"])
        assert (answer.status_code, kind_of(answer)) == (409, "wrong-content")
        assert sender.backing.get(view["object"]) is None
        assert sender.look(view["upload"]).status_code == 404
        assert sender.state("a.dm4") == "waiting"
        assert sender.send("a.dm4", data)["upload"] != view["upload"]
        assert sender.backing.get(view["object"]) == data

    def test_bytes_that_are_missing(self, sender: Sender) -> None:
        data = large(sender)
        view = sender.begun("a.dm4", data)
        first = S3_PART if view["kind"] == "s3" else CHUNK
        sender.send_bytes(view, data, first)
        answer = sender.complete(view["upload"])
        assert (answer.status_code, kind_of(answer), answer.json()["received"]) == (409, "incomplete", first)

    def test_an_upload_that_is_given_up(self, sender: Sender) -> None:
        view = sender.begun("a.dm4", b"some content")
        assert sender.call("DELETE", f"uploads/{view['upload']}").json() == {}
        assert sender.look(view["upload"]).status_code == 404
        assert sender.send("a.dm4", b"some content")["state"] == "verified"


class TestNames:
    """Only an earlier version of the same file of the same session is replaced."""

    def test_a_newer_version(self, sender: Sender) -> None:
        first = sender.send("a.dm4", b"first version")
        second = sender.begun("a.dm4", b"second version")
        assert second["object"] == first["object"]
        assert sender.backing.get(first["object"]) == b"first version"
        sender.send("a.dm4", b"second version")
        assert sender.backing.get(first["object"]) == b"second version"

    def test_a_version_that_somebody_has_changed(self, sender: Sender) -> None:
        first = sender.send("a.dm4", b"first version")
        sender.backing.put(first["object"], b"changed by a person")
        second = sender.send("a.dm4", b"second version")
        assert second["object"] == f"{sender.prefix}raw/a (2).dm4"
        assert sender.backing.get(first["object"]) == b"changed by a person"

    def test_a_name_of_another_session(self, sender: Sender, running: RunningGateway) -> None:
        pid = sender.pc.pids[0]
        first = sender.send("a.dm4", b"of the first session")
        sender.session.post("end")
        other = Sender(sender.pc, sender.pc.start(pid), sender.backing)
        second = other.send("a.dm4", b"of the second session")
        third = other.send("a.dm4", b"of the second session, later")
        assert (first["object"], second["object"]) == (f"{sender.prefix}raw/a.dm4", f"{sender.prefix}raw/a (2).dm4")
        assert third["object"] == second["object"]
        assert sender.backing.get(first["object"]) == b"of the first session"
        assert sender.backing.get(second["object"]) == b"of the second session, later"
        assert other.send("same.dm4", b"x" * 10)["object"] == f"{sender.prefix}raw/same.dm4"

    def test_a_file_that_was_put_there_by_hand(self, sender: Sender) -> None:
        name = f"{sender.prefix}raw/by hand.dm4"
        sender.backing.put(name, b"of a person")
        assert sender.send("by hand.dm4", b"of the session")["object"] == f"{sender.prefix}raw/by hand (2).dm4"
        assert sender.backing.get(name) == b"of a person"


class TestAfterAPowerCut:
    """What has arrived counts, however the Gateway ended."""

    def test_in_the_middle_of_an_upload(self, sender: Sender, running: RunningGateway) -> None:
        data = large(sender)
        view = sender.begun("a.dm4", data)
        first = S3_PART if view["kind"] == "s3" else CHUNK
        sender.send_bytes(view, data, first)
        running.kill()
        running.start()
        again = sender.begun("a.dm4", data)
        assert (again["upload"], again["received"]) == (view["upload"], first)
        sender.send_bytes(again, data)
        running.kill()
        running.start()
        assert sender.complete(view["upload"]).json()["state"] == "verified"
        assert sender.backing.get(view["object"]) == data

    def test_while_an_object_is_checked(self, sender: Sender, running: RunningGateway) -> None:
        """The next look at the upload goes on with that."""
        data = large(sender)
        view = sender.begun("a.dm4", data)
        sender.send_bytes(view, data)
        running.kill()
        sql = "UPDATE transfer_file SET state = 'checking' WHERE upload = :upload"
        execute(running.main, sql, upload=view["upload"])
        running.start()
        assert sender.settled(sender.look(view["upload"]).json())["state"] == "verified"

    def test_between_the_name_and_the_note_of_it(self, sender: Sender, running: RunningGateway) -> None:
        data = large(sender)
        view = sender.send("a.dm4", data)
        running.kill()
        stored = rows(running.main, "SELECT object_md5 FROM transfer_file WHERE upload = :id", id=view["upload"])
        assert stored == [(md5(data),)]
        ref = json.dumps(
            {"chosen": True, "store": sender.store, "size": len(data), "modified": 1, "md5": md5(data), "inner": {}}
        )
        sql = """UPDATE transfer_file SET state = 'checking', object_md5 = NULL, verified_ts = NULL, upload_ref = :ref
                  WHERE upload = :upload"""
        execute(running.main, sql, upload=view["upload"], ref=ref)
        running.start()
        assert sender.settled(sender.look(view["upload"]).json())["state"] == "verified"
        assert sender.state("a.dm4") == "verified"


class TestTheSecondLook:
    """Damage in the store is found, named, and repaired from the PC, also after the session's record was built."""

    def test_a_flipped_byte_and_a_missing_file(self, sender: Sender, running: RunningGateway) -> None:
        data = large(sender)
        flipped, gone, good = (sender.send(f"{name}.dm4", data + name.encode()) for name in ("flip", "gone", "good"))
        count = len(sender.files()["files"])
        sender.call("DELETE", f"uploads/{sender.begun('probe.txt', b'probe')['upload']}")
        sender.end()
        assert sender.transferred(count).status_code == 200
        broken = bytearray(data + b"flip")
        broken[1000] ^= 1
        sender.backing.put(flipped["object"], bytes(broken))
        sender.backing.remove(gone["object"])
        self.look(sender, running)
        eventually(lambda: sender.state("flip.dm4") == sender.state("gone.dm4") == "damaged")
        eventually(lambda: sender.state("good.dm4") == "verified")

        sender.token = False  # the PC may have forgotten it
        listed = sender.pc.get(f"instruments/{sender.pc.pids[0]}/repairs").json()["files"]
        assert {(file["path"], file["md5"]) for file in listed} == {
            ("flip.dm4", md5(data + b"flip")), ("gone.dm4", md5(data + b"gone")),
        }  # fmt: skip
        answer = sender.begin("flip.dm4", data)
        assert kind_of(answer) == "no-session-token"
        for name, former in (("flip", flipped), ("gone", gone)):
            repaired = sender.send(f"{name}.dm4", data + name.encode())
            assert repaired["object"] == former["object"]
            assert sender.backing.get(former["object"]) == data + name.encode()
        assert sender.pc.get(f"instruments/{sender.pc.pids[0]}/repairs").json() == {"files": []}
        assert sender.backing.get(good["object"]) == data + b"good"

    def test_one_that_was_restored(self, sender: Sender, running: RunningGateway) -> None:
        """From a backup, by hand."""
        view = sender.send("a.dm4", b"some content")
        sender.backing.remove(view["object"])
        self.look(sender, running)
        eventually(lambda: sender.state("a.dm4") == "damaged")
        sender.backing.put(view["object"], b"some content")
        self.look(sender, running)
        eventually(lambda: sender.state("a.dm4") == "verified")

    @staticmethod
    def look(sender: Sender, running: RunningGateway) -> None:
        """Have the files of one session looked at."""
        from tests.gateway.gateways import configure

        sql = """UPDATE transfer_file SET checked_ts = 1 WHERE session_id =
                 (SELECT id FROM session WHERE identifier = :id)"""
        execute(running.main, sql, id=sender.session.identifier)
        configure(running.main, verify_hours=20_000.0)


class TestTheManifest:
    """What was transferred is listed beside the files."""

    def test_it_names_all_files(self, sender: Sender) -> None:
        view = sender.send("a.dm4", b"some content")
        sender.report(reported("b.dm4", state="locked", reason="locked by another program"))
        sender.end()
        assert sender.transferred(2).json()["missing"] == 1
        text = sender.backing.get(f"{sender.prefix}.nexuscore/{sender.session.identifier}.manifest.json")
        assert text is not None
        manifest = json.loads(text)
        (file,), (missing,) = manifest["files"], manifest["missing"]
        assert (file["object"], file["size"], file["md5"]) == (view["object"], 12, md5(b"some content"))
        assert file["modified"] == "2026-11-29T08:15:30.123456+00:00"
        assert (missing["path"], missing["reason"]) == ("b.dm4", "locked by another program")
        assert manifest["end"] > manifest["start"]
