"""The destination ``elabftw``: one experiment for each session, its files attached, what people write left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import Record, State
from NexusCore.facility.records import UploadState
from NexusCore.service import Pass
from Services.Uploader.service import Uploader
from tests.services.elabftw import ARCHIVED, DELETED, KEY, ELabServer, elab_server
from tests.services.uploading import Facility, facility_on, status_of


@pytest.fixture
def lab() -> Iterator[ELabServer]:
    with elab_server() as one:
        yield one


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path, lab: ELabServer) -> Iterator[Facility]:
    with facility_on(sqlite_url, tmp_path) as one:
        Uploader(one.app)
        one.config["Services.Uploader.destinations"] = "elabftw"
        for name, value in (("url", f"{lab.url}/"), ("token", KEY), ("first_wait", 0.0), ("tags", "TEM, NexusCore")):
            one.config[f"Services.Uploader.elabftw.{name}"] = value
        yield one


def picture_of(record: Record) -> Path:
    return Path(record.path).with_suffix(".files") / "a.png"


def named(lab: ELabServer, end: str) -> list[str]:
    """Return the names of the files at the first experiment that end with a text."""
    return [name for name in lab.files(1) if name.endswith(end)]


class TestARecordArrives:
    """An experiment with the record, its previews and what it is about; then its session is COMPLETED (001-54)."""

    def test_with_its_files(self, facility: Facility, lab: ELabServer) -> None:
        record = facility.experiment("To see & <hear>")
        assert Uploader(facility.app).once() == Pass(done=1)
        (experiment,) = lab.experiments.values()
        assert experiment["title"] == "Größe & <Form>"
        assert "To see &amp; &lt;hear&gt;" in experiment["body"]
        assert record.session in experiment["body"]
        assert experiment["content_type"] == 1, "it is HTML, whatever the user writes"
        assert experiment["tags"] == ["TEM", "NexusCore"]
        assert json.loads(experiment["metadata"])["extra_fields"]["NexusCore session"]["value"] == record.session
        assert sorted(lab.files(1).values()) == sorted([Path(record.path).read_bytes(), b"picture"])
        assert named(lab, ".xml") == [f"{record.session}.xml"]
        upload = facility.upload(record, "elabftw")
        assert (upload.state, upload.url) == (UploadState.DONE, f"{lab.url}/experiments.php?mode=view&id=1")
        assert facility.state(record) is State.COMPLETED

    def test_files_of_the_same_name(self, facility: Facility, lab: ELabServer) -> None:
        """In two folders, and with characters that a server may change: each is there."""
        names = ("a/x y.png", "b/x y.png", "a_x y.png", "a/x_y.png")
        record = facility.experiment("To see", None, *names)
        for name in names:
            path = Path(record.path).with_suffix(".files") / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
        assert Uploader(facility.app).once() == Pass(done=1)
        assert len(lab.files(1)) == 6
        assert len(named(lab, ".x_y.png")) == 3

    def test_twenty_experiments_are_found_again(self, facility: Facility, lab: ELabServer) -> None:
        """More than a list has entries, each found again."""
        records = [facility.experiment() for _ in range(20)]
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=20)
        for record in records:
            facility.app.database().write(facility.records.resend(record))
        assert uploader.once() == Pass(done=20)
        assert len(lab.experiments) == 20


class TestOnce:
    """One experiment, each file once, whatever is repeated."""

    def test_the_same_again(self, facility: Facility, lab: ELabServer) -> None:
        record = facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        facility.app.database().write(facility.records.resend(record))
        asked = len(lab.seen)
        assert uploader.once() == Pass(done=1)
        assert not [one for one in lab.seen[asked:] if not one.startswith("GET")]

    def test_a_rebuilt_record_replaces_only_its_files(self, facility: Facility, lab: ELabServer) -> None:
        """Files follow; title and text are people's."""
        record = facility.experiment("first", None, "b.png")
        (Path(record.path).with_suffix(".files") / "b.png").write_text("gone later")
        uploader = Uploader(facility.app)
        uploader.once()
        lab.experiments[1].update(title="What we found", body="<p>Much.</p>", tags=["ours"])
        lab.attach(1, "notes.pdf", b"theirs", None)
        facility.wait_again(record)
        record = facility.experiment("second", record.session)
        (Path(record.path).with_suffix(".files") / "b.png").unlink()
        picture_of(record).write_text("newer")
        assert uploader.once() == Pass(done=1)
        assert (lab.experiments[1]["title"], lab.experiments[1]["body"]) == ("What we found", "<p>Much.</p>")
        assert lab.experiments[1]["tags"] == ["ours"]
        assert sorted(lab.files(1).values()) == sorted([Path(record.path).read_bytes(), b"newer", b"theirs"])
        states = sorted(one["state"] for one in lab.uploads.values())
        assert (states.count(ARCHIVED), states.count(DELETED)) == (2, 1), "the server keeps what was"
        assert len(lab.experiments) == 1

    @pytest.mark.parametrize(
        "lost", ["POST /experiments", "POST /experiments/1/tags", "POST /experiments/1/uploads", "GET .*"]
    )
    def test_an_answer_is_lost(self, facility: Facility, lab: ELabServer, lost: str) -> None:
        lab.lose = lost
        record = facility.experiment()
        uploader = Uploader(facility.app)
        first = uploader.once()
        lab.lose = ""
        facility.clock.move(60)
        assert (first.done + uploader.once().done, facility.state(record)) == (1, State.COMPLETED)
        assert len(lab.experiments) == 1
        assert lab.experiments[1]["tags"] == ["TEM", "NexusCore"]
        assert sorted(lab.files(1).values()) == sorted([Path(record.path).read_bytes(), b"picture"])

    def test_a_file_that_was_doubled(self, facility: Facility, lab: ELabServer) -> None:
        record = facility.experiment()
        uploader = Uploader(facility.app)
        uploader.once()
        lab.attach(1, f"{record.session}.xml", Path(record.path).read_bytes(), None)
        facility.app.database().write(facility.records.resend(record))
        assert uploader.once() == Pass(done=1)
        assert named(lab, ".xml") == [f"{record.session}.xml"]

    def test_one_that_says_less_than_asked(
        self, facility: Facility, lab: ELabServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A search that the server does not know brings everything: that of another session is not taken for ours."""
        monkeypatch.setattr(ELabServer, "list", lambda self, query: list(self.experiments.values()))
        first, second = facility.experiment(), facility.experiment()
        assert Uploader(facility.app).once() == Pass(done=2)
        assert len(lab.experiments) == 2
        assert first.session != second.session


class TestWhatIsRefused:
    """A sentence each; nothing is COMPLETED."""

    @pytest.mark.parametrize(
        ("setting", "value", "says"),
        [
            (
                "token",
                "1-wrong",
                "elabftw answered 401 to the list of experiments: Authentication required; "
                "No corresponding API key found!",
            ),
            ("token", "", "it requires an API key: set Services.Uploader.elabftw.token, or NEXUSCORE_ELABFTW_TOKEN"),
            ("url", "", "Services.Uploader.elabftw.url cannot be used: it is not set"),
        ],
    )
    def test_wrong_settings_fail_with_a_sentence(
        self, facility: Facility, lab: ELabServer, setting: str, value: str, says: str
    ) -> None:
        facility.config[f"Services.Uploader.elabftw.{setting}"] = value
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert status_of(uploader, "destination elabftw") == says
        assert facility.state(record) is State.BUILT
        assert says.rstrip(".") in (facility.upload(record, "elabftw").last_error or "")

    def test_a_tag_that_only_administrators_may_make(self, facility: Facility, lab: ELabServer) -> None:
        """The record is there all the same, and the log says which tag is not."""
        lab.team_tags = {"TEM"}
        record = facility.experiment()
        assert Uploader(facility.app).once() == Pass(done=1)
        assert lab.experiments[1]["tags"] == ["TEM"]
        assert facility.state(record) is State.COMPLETED
        said = " ".join(line for line, _ in facility.said())
        assert "it does not take the tag 'NexusCore' (Users cannot create tags)" in said

    def test_a_file_that_is_too_large(self, facility: Facility, lab: ELabServer) -> None:
        lab.too_large = 3
        record = facility.experiment()
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=1)
        assert "The file is too large! (a file)" in (facility.upload(record, "elabftw").last_error or "")
        facility.clock.move(1_000_000)
        asked = len(lab.seen)
        assert uploader.once() == Pass(failed=1)
        assert len(lab.seen) == asked, "it is not sent again by itself"
        assert status_of(uploader, "refused elabftw") == 1

    def test_a_file_damaged_on_its_way(
        self, facility: Facility, lab: ELabServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the server gives back is compared with what was sent."""
        store = ELabServer.attach

        def spoil(self: ELabServer, experiment: int, name: str, content: bytes, comment: str | None) -> int:
            return store(self, experiment, name, content[:-1], comment)

        with monkeypatch.context() as broken:
            broken.setattr(ELabServer, "attach", spoil)
            record = facility.experiment()
            uploader = Uploader(facility.app)
            assert uploader.once() == Pass(failed=1)
        assert "the copy read back differs from what was sent" in (facility.upload(record, "elabftw").last_error or "")
        facility.clock.move(60)
        assert uploader.once() == Pass(done=1), "it replaces what was damaged"
