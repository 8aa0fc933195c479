"""Records for the NexusLIMS viewer in a real CDCS, and a site that writes PIDs of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.facility import Record, State
from NexusCore.service import Pass
from Services.Uploader.service import Uploader
from tests.peers.proxy import Proxy, proxy_before
from tests.peers.servers import PeerServer
from tests.peers.uploads import Reader, preview_of, send_to
from tests.services.uploading import Facility, facility_on, status_of
from tests.services.viewer import viewer_faults

PID = "https://cdcs.example.org/pid/rest/local/cdcs/"


@pytest.fixture
def proxy(cdcs: PeerServer) -> Iterator[Proxy]:
    with proxy_before(cdcs.url) as one:
        yield one


@pytest.fixture
def reader(cdcs: PeerServer) -> Reader:
    return Reader(cdcs)


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """The folder that the site's previewBaseUrl leads to."""
    folder = tmp_path / "shown"
    folder.mkdir()
    return folder


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path, cdcs: PeerServer, proxy: Proxy, shown: Path) -> Iterator[Facility]:
    with facility_on(sqlite_url, tmp_path) as one:
        Uploader(one.app)
        send_to(one, cdcs, proxy.url, layout="nexuslims", files_path=str(shown))
        yield one


def experiment(facility: Facility, motivation: str = "To see", session: str | None = None) -> Record:
    """Have a record whose dataset is in the file store, with its preview and metadata."""
    record = facility.experiment(motivation, session)
    (facility.home / "store" / "Titan").mkdir(parents=True, exist_ok=True)
    (facility.home / "store" / "Titan" / "a.dm3").write_text("data")
    preview_of(record).with_suffix(".json").write_text("{}")
    return record


class Site:
    """Writes a PID into each record that has none, and refuses one whose PID it does not know (``auto_set_pid``)."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._known: set[str] = set()

    def rewrite(self, method: str, path: str, body: bytes) -> bytes:
        if not path.startswith("/rest/data/") or b"xml_content" not in body:
            return body
        asked = json.loads(body)
        root = etree.fromstring(asked["xml_content"].encode())
        pid = root.get("pid")
        if pid is None:
            pid = f"{PID}{next(self._numbers)}"
            self._known.add(pid)
        if pid not in self._known:
            root.tag = "refused"  # the server then answers as it does to all that is wrong
        root.set("pid", pid)
        return json.dumps({**asked, "xml_content": etree.tostring(root, encoding="unicode")}).encode()


class TestTheViewer:
    """001-51: what is in the CDCS is what the viewer's rules ask for."""

    def test_what_the_site_has(self, facility: Facility, reader: Reader, shown: Path) -> None:
        record = experiment(facility)
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED
        upload = facility.upload(record, "cdcs")
        document = reader.ask(f"data/download/{upload.remote_id}/", user=None).content
        root = etree.fromstring(document)
        # The facility of these tests has no JSON that the record names, so it is not sent.
        faults = viewer_faults(document, shown, facility.home / "store")
        assert [fault for fault in faults if not fault.startswith("metadata")] == []
        assert root.findtext(".//{*}preview") == f"/{record.session}.files/a.thumb.png"
        assert (shown / f"{record.session}.files" / "a.thumb.png").read_text() == "picture"
        assert (root.get("pid"), upload.pid, reader.blobs()) == (None, None, [])

    def test_the_same_again_writes_nothing(self, facility: Facility, reader: Reader) -> None:
        record = experiment(facility)
        uploader = Uploader(facility.app)
        uploader.once()
        facility.app.database().write(facility.records.resend(record))
        asked = len(reader.server.requests())
        assert uploader.once() == Pass(done=1)
        assert not [one for one in reader.server.requests()[asked:] if not one.startswith("GET")]

    def test_a_change_on_the_way_is_noticed(self, facility: Facility, proxy: Proxy) -> None:
        """What is read back is compared with what was sent."""
        proxy.rewrite = lambda method, path, body: body.replace(b"To see", b"To saw")
        record = experiment(facility)
        assert Uploader(facility.app).once() == Pass(failed=1)
        assert "the copy read back differs from what was sent" in (facility.upload(record, "cdcs").last_error or "")

    def test_without_its_folder(self, facility: Facility) -> None:
        facility.config["Services.Uploader.cdcs.files_path"] = ""
        record = experiment(facility)
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert "Services.Uploader.cdcs.files_path" in str(status_of(uploader, "destination cdcs"))
        assert facility.state(record) is State.BUILT


class TestASiteThatWritesPids:
    """Its PID stays with the record and with the upload."""

    @pytest.fixture(autouse=True)
    def _site(self, proxy: Proxy) -> None:
        proxy.rewrite = Site().rewrite

    def test_its_pid_is_kept_with_the_upload(self, facility: Facility, reader: Reader) -> None:
        record = experiment(facility)
        assert Uploader(facility.app).once() == Pass(done=1)
        assert facility.upload(record, "cdcs").pid == f"{PID}1"
        assert f"{PID}1" in reader.one(record)["xml_content"]
        assert any(f"PID {PID}1" in line for line, _ in facility.said())

    def test_a_newer_version_keeps_it(self, facility: Facility, reader: Reader) -> None:
        record = experiment(facility, "first")
        uploader = Uploader(facility.app)
        uploader.once()
        facility.wait_again(record)
        record = experiment(facility, "second", record.session)
        assert uploader.once() == Pass(done=1)
        assert facility.upload(record, "cdcs").pid == f"{PID}1"
        content = reader.one(record)["xml_content"]
        assert "second" in content
        assert f'pid="{PID}1"' in content

    def test_the_same_again_is_known(self, facility: Facility, reader: Reader) -> None:
        record = experiment(facility)
        uploader = Uploader(facility.app)
        uploader.once()
        facility.app.database().write(facility.records.resend(record))
        asked = len(reader.server.requests())
        assert uploader.once() == Pass(done=1)
        assert not [one for one in reader.server.requests()[asked:] if not one.startswith("GET")]
        assert facility.upload(record, "cdcs").pid == f"{PID}1"

    def test_one_that_brings_its_own_is_refused(self, facility: Facility) -> None:
        """As such sites do; the message says what to set."""
        facility.config["Services.Uploader.cdcs.pid"] = True
        record = experiment(facility)
        assert Uploader(facility.app).once() == Pass(failed=1)
        assert "cdcs refuses the record" in (facility.upload(record, "cdcs").last_error or "")
