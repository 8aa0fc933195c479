"""001-51..54: records in a real CDCS, once each, and readable without login."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import State
from NexusCore.facility.records import UploadState
from NexusCore.service import Pass
from Services.Uploader.service import Uploader
from tests.peers.servers import PeerServer, running
from tests.peers.uploads import PUBLIC, Reader, preview_of, send_to
from tests.services.uploading import Facility, experiment_xml, facility_on, status_of


@pytest.fixture
def reader(cdcs: PeerServer) -> Reader:
    return Reader(cdcs)


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path, cdcs: PeerServer) -> Iterator[Facility]:
    with facility_on(sqlite_url, tmp_path) as one:
        uploader = Uploader(one.app)
        send_to(one, cdcs)
        uploader.close()
        yield one


class TestARecordArrives:
    """001-51, 001-53: under the name of its file, in the public workspace; its session is COMPLETED (001-54)."""

    def test_readable_without_login(self, facility: Facility, reader: Reader) -> None:
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED
        upload = facility.upload(record, "cdcs")
        assert (upload.state, upload.attempts) == (UploadState.DONE, 1)
        assert upload.url == f"{reader.server.url}/data?id={upload.remote_id}"
        seen = reader.ask(f"data/download/{upload.remote_id}/", user=None)
        assert seen.status_code == 200
        assert record.session in seen.text
        assert "Größe &amp; &lt;Form&gt;" in seen.content.decode()
        assert reader.one(record)["workspace"] == PUBLIC
        assert status_of(uploader, "destination cdcs") == "ok"

    def test_its_links_lead_to_its_previews(self, facility: Facility, reader: Reader) -> None:
        """Nothing else in it is changed; whoever reads the record can see the picture."""
        record = facility.experiment()
        Uploader(facility.app).once()
        content = reader.one(record)["xml_content"]
        (link,) = re.findall("<preview>(.*)</preview>", content)
        path = f"{record.session}.files/a.png"
        assert (
            content.replace(link, path).split("?>")[1].strip() == Path(record.path).read_text().split("?>")[1].strip()
        )
        assert link.startswith(f"{reader.server.url}/rest/blob/download/")
        picture = reader.ask(link.partition("/rest/")[2], user=None)
        assert (picture.status_code, picture.content) == (200, preview_of(record).read_bytes())

    def test_a_record_without_files_is_kept_byte_for_byte(self, facility: Facility, reader: Reader) -> None:
        record = facility.experiment()
        preview_of(record).unlink()
        Uploader(facility.app).once()
        seen = reader.ask(f"data/download/{facility.upload(record, 'cdcs').remote_id}/", user=None)
        assert seen.content == Path(record.path).read_bytes()
        assert reader.blobs() == []

    def test_files_in_a_folder_that_a_web_server_shows(
        self, facility: Facility, reader: Reader, tmp_path: Path
    ) -> None:
        (tmp_path / "shown").mkdir()
        facility.config["Services.Uploader.cdcs.files_path"] = str(tmp_path / "shown")
        facility.config["Services.Uploader.cdcs.files_url"] = "https://files.example.org/nexus/"
        record = facility.experiment()
        assert Uploader(facility.app).once() == Pass(done=1)
        path = f"{record.session}.files/a.png"
        assert f"<preview>https://files.example.org/nexus/{path}</preview>" in reader.one(record)["xml_content"]
        assert (tmp_path / "shown" / path).read_text() == "picture"
        assert reader.blobs() == []

    def test_in_a_workspace_by_name(self, facility: Facility, reader: Reader) -> None:
        made = reader.ask("workspace/", method="POST", json={"title": "Our own"})
        assert made.status_code == 201, made.text
        facility.config["Services.Uploader.cdcs.workspace"] = "Our own"
        record = facility.experiment()
        assert Uploader(facility.app).once() == Pass(done=1)
        found = reader.one(record)
        assert found["workspace"] == made.json()["id"]
        assert reader.ask(f"data/{found['id']}/", user="stranger").status_code == 403

    def test_by_name_and_password(self, facility: Facility, peers_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """001-07: those of the environment, where the site lets people in that way."""
        monkeypatch.setenv("nexusLIMS_user", "nexus")
        monkeypatch.setenv("nexusLIMS_pass", "nexus")
        with running(peers_home, "cdcs", PEER_CDCS_BASIC_AUTH="1") as server:
            send_to(facility, server, token="")
            record = facility.experiment()
            assert Uploader(facility.app).once() == Pass(done=1)
            assert Reader(server).one(record)["workspace"] == PUBLIC


class TestOnce:
    """Whatever is sent again, one copy is there."""

    def test_the_same_again(self, facility: Facility, reader: Reader) -> None:
        """Nothing is written: the second time only looks."""
        record = facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        before, blobs = reader.one(record), reader.blobs()
        facility.app.database().write(facility.records.resend(record))
        asked = len(reader.server.requests())
        assert uploader.once() == Pass(done=1)
        assert not [one for one in reader.server.requests()[asked:] if not one.startswith("GET")]
        assert (reader.one(record), reader.blobs()) == (before, blobs)

    def test_a_rebuilt_record_replaces_the_older_one(self, facility: Facility, reader: Reader) -> None:
        """It replaces the older one, which keeps its number; the older picture goes."""
        record = facility.experiment("first")
        uploader = Uploader(facility.app)
        uploader.once()
        before = reader.one(record)
        facility.wait_again(record)
        record = facility.experiment("second", record.session)
        preview_of(record).write_text("another picture")
        assert uploader.once() == Pass(done=1)
        after = reader.one(record)
        assert after["id"] == before["id"]
        assert "second" in after["xml_content"]
        (blob,) = reader.blobs()
        assert f"/blob/download/{blob['id']}/" in after["xml_content"]
        assert reader.ask(f"blob/download/{blob['id']}/", user=None).text == "another picture"

    def test_a_doubled_one_is_reduced(self, facility: Facility, reader: Reader) -> None:
        record = facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        one = reader.one(record)
        for _ in range(12):  # more than a page of the list
            made = reader.ask(
                "data/", method="POST", json={"template": "1", "title": record.title, "xml_content": one["xml_content"]}
            )
            assert made.status_code == 201
        facility.app.database().write(facility.records.resend(record))
        assert uploader.once() == Pass(done=1)
        assert reader.one(record)["id"] == one["id"]

    def test_of_several_the_first_stays(self, facility: Facility, reader: Reader) -> None:
        """Whatever is in them, and whoever looks: two that kept their own would delete each other's."""
        record = facility.experiment()
        preview_of(record).unlink()
        own = Path(record.path).read_text()
        for content in (experiment_xml(record.session, "somebody else's"), own):
            reader.ask("data/", method="POST", json={"template": "1", "title": record.title, "xml_content": content})
        first = min(one["id"] for one in reader.copies(record.title))
        assert Uploader(facility.app).once() == Pass(done=1)
        kept = reader.one(record)
        assert (kept["id"], kept["workspace"], kept["xml_content"]) == (first, PUBLIC, own)

    def test_one_left_private_is_assigned(self, facility: Facility, reader: Reader) -> None:
        """001-53: a record that nobody may read is not there."""
        record = facility.experiment()
        preview_of(record).unlink()
        content = Path(record.path).read_text()
        reader.ask("data/", method="POST", json={"template": "1", "title": record.title, "xml_content": content})
        assert reader.one(record)["workspace"] is None
        assert Uploader(facility.app).once() == Pass(done=1)
        assert reader.one(record)["workspace"] == PUBLIC

    def test_a_title_of_another_session(self, facility: Facility, reader: Reader) -> None:
        record = facility.experiment()
        other = experiment_xml("7c9e6679-7425-40de-944b-e07fc1f90ae7", "Theirs")
        made = reader.ask("data/", method="POST", json={"template": "1", "title": record.title, "xml_content": other})
        assert made.status_code == 201
        assert Uploader(facility.app).once() == Pass(failed=1)
        assert facility.upload(record, "cdcs").last_error == (
            f"cdcs did not take the record '{record.title}': there is a record '{record.title}' of another session."
        )
        assert reader.one(record)["xml_content"] == other

    def test_titles_that_look_alike(self, facility: Facility, reader: Reader) -> None:
        """A name is a name, whatever characters it is of."""
        first = facility.ended()
        one = facility.build(first, experiment_xml(first, "x"), "a+b & (c)")
        second = facility.ended("Quanta")
        two = facility.build(second, experiment_xml(second, "x"), "a b & (c)")
        assert Uploader(facility.app).once() == Pass(done=2)
        assert reader.one(one)["id"] != reader.one(two)["id"]
        assert [record.session in reader.one(record)["xml_content"] for record in (one, two)] == [True, True]


class TestWhatIsRefused:
    """A sentence each, in the words of the server; nothing is COMPLETED."""

    def test_an_invalid_record(self, facility: Facility, reader: Reader) -> None:
        """001-52: an ERROR at once, which nothing but a newer version or an operator changes."""
        session = facility.ended()
        record = facility.build(session, f"<a>{session}</a>", "invalid")
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        upload = facility.upload(record, "cdcs")
        assert (upload.state, upload.attempts) == (UploadState.ERROR, 1)
        assert upload.last_error == (
            "cdcs refuses the record 'invalid': Element 'a': No matching global declaration available for the "
            "validation root., line 1. It is sent again when it is rebuilt, or with: "
            f"SessionTool requeue {session} --upload"
        )
        facility.clock.move(1_000_000)
        assert uploader.once() == Pass(failed=1)
        assert (status_of(uploader, "refused cdcs"), status_of(uploader, "waiting cdcs")) == (1, 0)
        assert reader.copies("invalid") == []
        facility.app.database().write(facility.records.resend(record))
        assert uploader.once() == Pass(failed=1)
        facility.wait_again(record)
        record = facility.build(session, experiment_xml(session, "valid"), "invalid")
        assert uploader.once() == Pass(done=1)
        assert facility.state(record) is State.COMPLETED

    def test_an_invalid_newer_version(self, facility: Facility, reader: Reader) -> None:
        """The older one stays as it was, with its picture; nothing of the newer one is left behind."""
        record = facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        before, blobs = reader.one(record), reader.blobs()
        facility.wait_again(record)
        invalid = f"<a><b>{record.session}</b><c>{record.session}.files/a.png</c></a>"
        record = facility.build(record.session, invalid, record.title)
        preview_of(record).write_text("another picture")
        assert uploader.once() == Pass(failed=1)
        assert facility.state(record) is State.BUILT
        assert (reader.one(record), reader.blobs()) == (before, blobs)

    @pytest.mark.parametrize(
        ("setting", "value", "says"),
        [
            ("token", "0" * 40, "cdcs answered 403 to the list of templates: Invalid token"),
            (
                "template",
                "Nexus Experiment Shema",
                "cdcs has no template 'Nexus Experiment Shema'; there are: Nexus Experiment Schema. "
                "Did you mean 'Nexus Experiment Schema'?",
            ),
            (
                "workspace",
                "Ours",
                "cdcs has no workspace 'Ours'; there are: Global Public Workspace",
            ),
            (
                "token",
                "",
                "it requires a token: set Services.Uploader.cdcs.token, or NEXUSCORE_CDCS_TOKEN in the environment",
            ),
            ("url", "", "Services.Uploader.cdcs.url cannot be used: it is not set"),
        ],
    )
    def test_wrong_settings_fail_until_corrected(
        self, facility: Facility, reader: Reader, setting: str, value: str, says: str
    ) -> None:
        right = facility.config[f"Services.Uploader.cdcs.{setting}"]
        facility.config[f"Services.Uploader.cdcs.{setting}"] = value
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert status_of(uploader, "destination cdcs") == says
        assert says.rstrip(".") in (facility.upload(record, "cdcs").last_error or "")
        assert facility.state(record) is State.BUILT
        facility.config[f"Services.Uploader.cdcs.{setting}"] = right
        assert uploader.once() == Pass(done=1)
        assert status_of(uploader, "destination cdcs") == "ok"

    def test_two_workspaces_of_a_name(self, facility: Facility, reader: Reader) -> None:
        """Which is meant is not guessed."""
        for user in ("nexus", "admin"):
            made = reader.ask("workspace/", user=user, method="POST", json={"title": "Ours"}).json()
            reader.ask(f"workspace/{made['id']}/add_read_right_to_user/2/", user="admin", method="PATCH")
        facility.config["Services.Uploader.cdcs.workspace"] = "Ours"
        facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert status_of(uploader, "destination cdcs") == (
            "cdcs has 2 of the workspace 'Ours'; give each a name of its own"
        )

    def test_a_workspace_that_the_user_may_not_write_to(self, facility: Facility, reader: Reader) -> None:
        """001-53: not COMPLETED, and nothing is left behind that nobody can read."""
        made = reader.ask("workspace/", user="admin", method="POST", json={"title": "Staff"}).json()
        assert reader.ask(f"workspace/{made['id']}/add_read_right_to_user/2/", user="admin", method="PATCH").ok
        facility.config["Services.Uploader.cdcs.workspace"] = "Staff"
        record = facility.experiment()
        preview_of(record).unlink()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert facility.upload(record, "cdcs").last_error == (
            "cdcs answered 500 to the new record: The user does not have the permission to write into this workspace."
        )
        assert facility.state(record) is State.BUILT
        assert reader.copies(record.title) == []
        facility.config["Services.Uploader.cdcs.workspace"] = ""
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1)

    def test_no_token_is_shown(self, facility: Facility) -> None:
        """Neither in a log line nor in the status."""
        facility.config["Services.Uploader.cdcs.token"] = "s3cr3t-token"
        facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        assert "s3cr3t" not in str(status_of(uploader, "destination cdcs"))
        assert not [line for line, _ in facility.said() if "s3cr3t" in line]

    def test_a_dry_run_writes_nothing(self, facility: Facility, reader: Reader) -> None:
        facility.experiment()
        uploader = Uploader(facility.app)
        uploader._dry_run = True
        assert uploader.once() == Pass()
        assert not [one for one in reader.server.requests() if not one.startswith("GET")]
