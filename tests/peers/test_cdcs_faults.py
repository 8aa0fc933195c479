"""A real CDCS behind a bad network: one copy of each record, the right state, a sentence, and recovery."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK, to_datetime
from NexusCore.facility import Record, State
from NexusCore.facility.records import UploadState
from NexusCore.files import UNFINISHED
from NexusCore.service import Pass
from Services.Uploader.service import Uploader
from tests.peers.proxy import DRIP, DROP_AFTER, DROP_BEFORE, HTML, JSON, SILENCE, TARDY, Fault, Proxy, proxy_before
from tests.peers.servers import PeerServer
from tests.peers.uploads import PUBLIC, Reader, preview_of, send_to
from tests.processes import LIMIT, PROJECT, environment_of
from tests.services.uploading import Facility, facility_on, status_of

LONG = os.environ.get("NEXUSCORE_TEST_LONG") == "1"
KILLS = 30 if LONG else 6
"""How often the Uploader is killed; each takes two seconds."""
PAGE = b"<html><body><h1>Oops</h1></body></html>"
NEW, BLOB = "/rest/data/", "/rest/blob/"
FAULTS = {
    "dropped": (Fault(DROP_BEFORE), r"cdcs cannot be used now: the connection failed \(.+\)"),
    "403": (
        Fault(status=403, content=b'{"message": "The user does not have the permission."}', content_type=JSON),
        "cdcs answered 403 to .+: The user does not have the permission",
    ),
    "404": (Fault(status=404, content=PAGE, content_type=HTML), "cdcs answered 404 to .+: Not Found"),
    "500 with a page": (
        Fault(status=500, content=PAGE),
        "cdcs cannot be used now: it answered 500 Internal Server Error",
    ),
    "502": (Fault(status=502), "cdcs cannot be used now: it answered 502 Bad Gateway"),
    "503": (Fault(status=503, content=PAGE), "cdcs cannot be used now: it answered 503 Service Unavailable"),
    "redirected": (
        Fault(status=301, content=PAGE),
        "cdcs answered 301 to .+: it redirects to .+, so the address .+ is wrong",
    ),
    "silent": (Fault(SILENCE), r"cdcs cannot be used now: it fell silent for 2 s"),
    "slow": (Fault(DRIP), "cdcs did not answer within 3 s"),
    "no JSON": (
        Fault(status=200, content=PAGE),
        "(The answer of cdcs to .+ cannot be understood.+|cdcs answered 200 to .+)",
    ),
}
"""What may happen to a request, and the sentence that tells of it."""


def only(fault: Fault, method: str, path: str) -> Fault:
    """Return a fault of some requests only."""
    return Fault(fault.kind, fault.status, fault.content, fault.content_type, method, path)


@pytest.fixture
def proxy(cdcs: PeerServer) -> Iterator[Proxy]:
    with proxy_before(cdcs.url) as one:
        yield one


@pytest.fixture
def reader(cdcs: PeerServer) -> Reader:
    return Reader(cdcs)


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path, cdcs: PeerServer, proxy: Proxy) -> Iterator[Facility]:
    with facility_on(sqlite_url, tmp_path) as one:
        Uploader(one.app)
        send_to(one, cdcs, proxy.url, attempts=2, public_url=cdcs.url)
        one.config["Services.Uploader.time_limit"] = LIMIT
        yield one


def impatient(facility: Facility, name: str) -> None:
    """Give up soon where nothing comes: but not before the real server had the time to answer."""
    if name == "silent":
        facility.config["Services.Uploader.cdcs.read_timeout"] = 2.0
    if name == "slow":
        facility.config["Services.Uploader.time_limit"] = 3.0


def patient(facility: Facility) -> None:
    """Give the server the time that it needs on a machine with much else to do."""
    facility.config["Services.Uploader.cdcs.read_timeout"] = LIMIT
    facility.config["Services.Uploader.time_limit"] = LIMIT


def goes_on(uploader: Uploader) -> bool:
    """Make passes until what was given up has ended, and one sends the record."""
    while uploader.once() != Pass(done=1):
        assert "still busy" in str(status_of(uploader, "destination cdcs"))
    return True


def assert_one_copy(reader: Reader, record: Record) -> None:
    """Assert that a record is there once, for everybody, with the files that it names, and no others."""
    found = reader.one(record)
    assert found["workspace"] == PUBLIC
    assert record.session in found["xml_content"]
    linked = set(re.findall(r"/rest/blob/download/(\d+)/", found["xml_content"]))
    own = [blob for blob in reader.blobs() if blob["filename"].startswith(record.title)]
    assert {str(blob["id"]) for blob in own} == linked
    assert len(own) == len(linked) == 1
    for blob in linked:
        seen = reader.ask(f"blob/download/{blob}/", user=None)
        assert (seen.status_code, seen.content) == (200, preview_of(record).read_bytes())


class TestWhileItIsDown:
    """Nothing is sent, status and record say why; when it is back all goes at once."""

    @pytest.mark.parametrize("name", FAULTS)
    def test_and_comes_back(self, facility: Facility, proxy: Proxy, reader: Reader, name: str) -> None:
        proxy.fault, says = FAULTS[name]
        impatient(facility, name)
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        shown = str(status_of(uploader, "destination cdcs"))
        assert re.fullmatch(says.removeprefix("cdcs cannot be used now: "), shown)
        upload = facility.upload(record, "cdcs")
        assert (upload.state, upload.attempts) == (UploadState.ERROR, 1)
        assert shown in (upload.last_error or "")
        assert facility.state(record) is State.BUILT
        proxy.fault = None
        proxy.released.set()
        patient(facility)
        assert goes_on(uploader)
        assert status_of(uploader, "destination cdcs") == "ok"
        assert facility.state(record) is State.COMPLETED
        assert_one_copy(reader, record)


class TestInTheMiddle:
    """What happens to the one request that stores something: ERROR with a sentence, then one copy."""

    @pytest.mark.parametrize("path", [NEW, BLOB])
    @pytest.mark.parametrize("name", FAULTS)
    def test_and_goes_on(self, facility: Facility, proxy: Proxy, reader: Reader, name: str, path: str) -> None:
        fault, says = FAULTS[name]
        proxy.fault = only(fault, "POST", path)
        impatient(facility, name)
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        upload = facility.upload(record, "cdcs")
        assert (upload.state, upload.attempts) == (UploadState.ERROR, 1)
        assert re.fullmatch(says, (upload.last_error or "").rstrip("."))
        assert facility.state(record) is State.BUILT
        proxy.fault = None
        proxy.released.set()
        patient(facility)
        assert uploader.once() == Pass(failed=1), "not yet"
        facility.clock.move(60)
        assert goes_on(uploader)
        assert facility.state(record) is State.COMPLETED
        assert_one_copy(reader, record)

    @pytest.mark.parametrize("path", [NEW, BLOB])
    def test_the_answer_is_lost(self, facility: Facility, proxy: Proxy, reader: Reader, path: str) -> None:
        """What was stored is found, and not stored again."""
        proxy.fault = Fault(DROP_AFTER, method="POST", path=path)
        record = facility.experiment()
        assert Uploader(facility.app).once() == Pass(done=1)
        assert facility.upload(record, "cdcs").attempts == 1
        assert len([one for one in proxy.seen if one == ("POST", path)]) == 1
        assert_one_copy(reader, record)

    def test_the_answer_to_a_change_is_lost(self, facility: Facility, proxy: Proxy, reader: Reader) -> None:
        record = facility.experiment("first")
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1)
        facility.wait_again(record)
        record = facility.experiment("second", record.session)
        proxy.fault = Fault(DROP_AFTER, method="PATCH")
        assert uploader.once() == Pass(done=1)
        assert "second" in reader.one(record)["xml_content"]
        assert_one_copy(reader, record)

    @pytest.mark.parametrize(
        "sentence",
        [
            b'{"message": "Element \'x\': This element is not expected., line 6"}',
            b'{"message": "Element \'x\': This element is not expected."}',
            b'{"detail": "What is this?"}',
        ],
    )
    def test_a_500_with_a_sentence_is_final(self, facility: Facility, proxy: Proxy, sentence: bytes) -> None:
        """001-52: the CDCS says so to what is not valid."""
        proxy.fault = Fault(status=500, content=sentence, content_type=JSON, method="POST", path=NEW)
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        (said,) = json.loads(sentence).values()
        assert said.rstrip(".") in (facility.upload(record, "cdcs").last_error or "")
        proxy.fault = None
        facility.clock.move(1_000_000)
        assert uploader.once() == Pass(failed=1)
        assert len([one for one in proxy.seen if one == ("POST", NEW)]) == 1
        facility.app.database().write(facility.records.resend(record))
        assert uploader.once() == Pass(done=1)

    @pytest.mark.parametrize(
        "sentence",
        [
            "database is locked",
            "The user does not have the permission to write into this workspace.",
            "Template: The user doesn't have enough rights.",
            "Unable to write if not authenticated.",
        ],
    )
    def test_a_500_about_something_else_is_not(
        self, facility: Facility, proxy: Proxy, reader: Reader, sentence: str
    ) -> None:
        """The CDCS says so also where rights are missing, which somebody may grant."""
        content = json.dumps({"message": sentence}).encode()
        proxy.fault = Fault(status=500, content=content, content_type=JSON, method="POST", path=NEW)
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert (
            facility.upload(record, "cdcs").last_error
            == f"cdcs answered 500 to the new record: {sentence.rstrip('.')}."
        )
        proxy.fault = None
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1)
        assert_one_copy(reader, record)

    def test_one_wait_for_many_records(self, facility: Facility, proxy: Proxy, reader: Reader) -> None:
        """A server that falls silent costs its time-out once a pass, not once for each record."""
        records = [facility.experiment() for _ in range(3)]
        proxy.fault = Fault(SILENCE, method="POST", path=NEW)
        impatient(facility, "silent")
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=3)
        assert len([one for one in proxy.seen if one == ("POST", NEW)]) == 1
        proxy.fault = None
        proxy.released.set()
        patient(facility)
        facility.clock.move(60)
        assert uploader.once() == Pass(done=3)
        for record in records:
            assert_one_copy(reader, record)


class TestATardyServer:
    """What was given up may be carried out later, when all is settled: one copy is there in the end."""

    @pytest.mark.parametrize("path", [NEW, BLOB])
    def test_it_is_looked_at_again(self, facility: Facility, proxy: Proxy, reader: Reader, path: str) -> None:
        proxy.fault = Fault(TARDY, method="POST", path=path)
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        proxy.fault = None
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED
        kept = facility.upload(record, "cdcs").remote_id
        proxy.carry_out()
        assert len(reader.copies(record.title)) + len(reader.blobs()) == 3, "something is there twice"
        uploader.once()
        facility.clock.move(60)
        assert uploader.once() == Pass()
        assert_one_copy(reader, record)
        upload = facility.upload(record, "cdcs")
        assert (upload.remote_id, upload.state, upload.attempts) == (kept, UploadState.DONE, 2)

    def test_not_for_ever(self, facility: Facility, proxy: Proxy) -> None:
        """At growing intervals, over `look_again` seconds."""
        proxy.fault = Fault(TARDY, method="POST", path=NEW)
        record = facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        proxy.fault = None
        looks = []
        for minute in range(1, 180):
            facility.clock.move(60)
            asked = len(proxy.seen)
            uploader.once()
            if len(proxy.seen) > asked:
                looks.append(minute)
        assert looks == [1, 2, 4, 8, 16, 32, 64]
        assert facility.upload(record, "cdcs").unanswered_ts is None

    def test_an_older_version(self, facility: Facility, proxy: Proxy, reader: Reader) -> None:
        """It does not come back."""
        proxy.fault = Fault(TARDY, method="POST", path=NEW)
        record = facility.experiment("first")
        uploader = Uploader(facility.app)
        uploader.once()
        proxy.fault = None
        facility.wait_again(record)
        record = facility.experiment("second", record.session)
        assert uploader.once() == Pass(done=1)
        proxy.carry_out()
        facility.clock.move(60)
        uploader.once()
        assert "second" in reader.one(record)["xml_content"]
        assert_one_copy(reader, record)


@pytest.mark.faults
@pytest.mark.timeout(900)
class TestKilled:
    """``kill -9`` at any moment: the next Uploader completes what was begun, and one copy of each record is there."""

    def test_at_random_moments(self, facility: Facility, proxy: Proxy, reader: Reader) -> None:
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        print(f"seed {seed}, {KILLS} kills")
        facility.config["Services.Uploader.destinations"] = "cdcs, directory, eln"
        uploader = Uploader(facility.app)
        whole = facility.experiment()
        assert uploader.once() == Pass(done=3)
        most = len(proxy.seen)
        died = []
        for _ in range(KILLS):
            record = facility.experiment()
            if chance.random() < 0.3:  # a newer version of one that is there
                uploader.once()
                facility.wait_again(record)
                record = facility.experiment("newer", record.session)
                preview_of(record).write_text("newer picture")
            died.append(self._killed(facility, proxy, chance.randint(1, most), chance.uniform(0, 0.03)))
            facility.clock.time = to_datetime(SYSTEM_CLOCK.now())  # the killed one went by the database's own
            uploader.once()
            assert facility.state(record) is State.COMPLETED
            assert_one_copy(reader, record)
            for copy in (f"uploaded/{record.session}.xml", f"eln/{record.session}.eln"):
                assert (facility.home / copy).exists()
        for folder in ("uploaded", "eln"):
            assert not list((facility.home / folder).glob(f"{UNFINISHED}*")), "nothing is left half done"
        print(f"killed after request {died} of about {most}")
        assert_one_copy(reader, whole)
        assert died.count(None) < KILLS / 2, "most were killed while they worked"

    def test_several_at_once(self, facility: Facility, proxy: Proxy, reader: Reader) -> None:
        """On machines that know of each other only by the database: each record is sent by one of them."""
        records = [facility.experiment() for _ in range(5)]
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "Services.Uploader", "--once"],
                cwd=PROJECT,
                env=environment_of(facility.url, facility.home.parent / name),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in ("here", "there", "elsewhere")
        ]
        for one in running:
            one.wait(LIMIT)
        for record in records:
            assert facility.state(record) is State.COMPLETED
            assert_one_copy(reader, record)
            assert facility.upload(record, "cdcs").remote_id == str(reader.one(record)["id"])
            assert facility.upload(record, "cdcs").attempts == 1
        assert len([one for one in proxy.seen if one == ("POST", NEW)]) == len(records)

    def _killed(self, facility: Facility, proxy: Proxy, after: int, seconds: float) -> int | None:
        """Start an Uploader and kill it some time after a request; return which, None if it ended before."""
        first = len(proxy.seen)
        reached = threading.Event()

        def look(number: int) -> None:
            if number - first >= after:
                reached.set()

        proxy.after = look
        process = subprocess.Popen(
            [sys.executable, "-m", "Services.Uploader", "--once"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def ended() -> None:
            process.wait()
            reached.set()

        ending = threading.Thread(target=ended, daemon=True)
        ending.start()
        try:
            assert reached.wait(LIMIT)
            threading.Event().wait(seconds)
        finally:
            process.send_signal(signal.SIGKILL)
            ending.join(LIMIT)
            proxy.after = None
        return after if process.returncode == -signal.SIGKILL else None
