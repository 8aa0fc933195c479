"""What is sent with a record is what it names, read where the Builder wrote it; nothing is left out in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from NexusCore.facility import Record, State
from NexusCore.files import InTheWay
from NexusCore.service import Pass
from Services.Builder.model import Activity, Dataset, Experiment, Quantity
from Services.Builder.record.document import to_xml
from Services.Uploader.destinations.record_files import RecordFiles, examine_folder, files_beside
from Services.Uploader.service import Uploader
from tests.services.test_uploader_directory import naming, tree
from tests.services.uploading import NOW, Facility, facility_on

OBSTACLES: list[tuple[Callable[[Path, Path], object], str]] = [
    (lambda place, secret: place.symlink_to(secret), "a symbolic link"),
    (lambda place, secret: place.hardlink_to(secret), "a file with 2 names (hard links)"),
    (lambda place, secret: os.mkfifo(place), "a named pipe"),
    (lambda place, secret: place.mkdir(), "a folder"),
]


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(sqlite_url, tmp_path) as one:
        one.config["Services.Uploader.destinations"] = "directory, eln"
        yield one


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("secret")
    return path


def files_of(record: Record) -> Path:
    return Path(record.path).with_suffix(".files")


def sent(facility: Facility) -> bytes:
    """Return all that lies at the destinations."""
    folders = (facility.uploaded, facility.home / "eln")
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def warnings(facility: Facility) -> list[str]:
    return [message for message, _ in facility.said() if message.startswith(("Not sent", "Missing"))]


class TestWhatIsNotNamed:
    """It stays where it is; that is logged once, whatever number of destinations."""

    @pytest.mark.parametrize(("make", "kind"), OBSTACLES[:3], ids=[kind for _, kind in OBSTACLES[:3]])
    def test_links_to_other_files(
        self, facility: Facility, secret: Path, make: Callable[[Path, Path], object], kind: str
    ) -> None:
        record = facility.experiment()
        (files_of(record) / "w5").mkdir()
        make(files_of(record) / "w5/x.png.png", secret)
        make(files_of(record) / "y.png", secret)
        assert Uploader(facility.app).once() == Pass(done=2)
        assert b"secret" not in sent(facility)
        assert b"picture" in sent(facility)
        files = files_of(record).name
        assert warnings(facility) == [
            f"Not sent with the record '{record.title}', because it does not name them: {files}/w5, {files}/y.png"
        ]

    def test_an_empty_folder_is_not_worth_a_word(self, facility: Facility) -> None:
        record = facility.experiment()
        (files_of(record) / "w5").mkdir()
        assert examine_folder(Path(record.path)).others == ()

    def test_what_an_older_version_of_it_had(self, facility: Facility) -> None:
        record = facility.experiment("To see", None, "b.png")
        (files_of(record) / "b.png").write_text("former picture")
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(done=2)
        assert b"former picture" in sent(facility)
        facility.wait_again(record)
        facility.experiment("To hear", record.session)
        assert uploader.once() == Pass(done=2)
        assert b"former picture" not in sent(facility)

    def test_five_names_are_shown_and_the_rest_counted(self) -> None:
        others = tuple(f"s.files/{number}" for number in range(7))
        (sentence,) = RecordFiles(others=others).warnings("Rock salt")
        assert sentence.endswith("s.files/0, s.files/1, s.files/2, s.files/3, s.files/4 and 2 more")


class TestWhatIsInTheWay:
    """A record that names a file is not sent without it while something else has its place."""

    @pytest.mark.parametrize(("make", "kind"), OBSTACLES, ids=[kind for _, kind in OBSTACLES])
    def test_in_place_of_a_preview(
        self, facility: Facility, secret: Path, make: Callable[[Path, Path], object], kind: str
    ) -> None:
        record = facility.experiment()
        place = files_of(record) / "a.png"
        place.unlink()
        make(place, secret)
        uploader = Uploader(facility.app)
        assert uploader.once() == Pass(failed=2)
        for destination in ("directory", "eln"):
            assert facility.upload(record, destination).last_error == (
                f"The record '{record.title}' cannot be sent: {place} is in the way: it is {kind}. "
                f"Remove it, and check who may write to {place.parent}."
            )
        assert facility.state(record) is State.BUILT
        place.rmdir() if kind == "a folder" else place.unlink()
        place.write_text("picture")
        facility.clock.move(3600)
        assert uploader.once() == Pass(done=2)
        assert b"secret" not in sent(facility)

    @pytest.mark.parametrize(("make", "kind"), OBSTACLES[:3], ids=[kind for _, kind in OBSTACLES[:3]])
    def test_in_place_of_a_folder(
        self, facility: Facility, tmp_path: Path, secret: Path, make: Callable[[Path, Path], object], kind: str
    ) -> None:
        record = facility.experiment("To see", None, "sub/b.png")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/b.png").write_text("other")
        make(files_of(record) / "sub", tmp_path / "elsewhere" if "symbolic" in kind else secret)
        with pytest.raises(InTheWay, match="/sub is in the way"):
            files_beside(Path(record.path))
        assert Uploader(facility.app).once() == Pass(failed=2)

    def test_the_record_itself_has_a_second_name(self, facility: Facility, tmp_path: Path) -> None:
        record = facility.experiment()
        (tmp_path / "second").hardlink_to(record.path)
        assert Uploader(facility.app).once() == Pass(failed=2)
        assert "it is a file with 2 names (hard links)" in (facility.upload(record).last_error or "")


class TestWhatIsMissing:
    """It cannot be sent; the rest is, and the log says so once."""

    def test_a_missing_preview_is_logged_once(self, facility: Facility) -> None:
        record = facility.experiment()
        (files_of(record) / "a.png").unlink()
        assert Uploader(facility.app).once() == Pass(done=2)
        name = f"{files_of(record).name}/a.png"
        assert warnings(facility) == [f"Missing, so the record '{record.title}' is sent without them: {name}"]

    def test_the_whole_folder(self, facility: Facility) -> None:
        record = facility.experiment()
        (files_of(record) / "a.png").unlink()
        files_of(record).rmdir()
        assert examine_folder(Path(record.path)) == RecordFiles(missing=(f"{files_of(record).name}/a.png",))


class TestHowARecordNamesThem:
    """As the Builder writes a path into XML, which has no place for every name."""

    @pytest.mark.parametrize(
        "name",
        [
            "a.dm3",
            "größe & <b>.dm3",
            "two  spaces.dm3",
            "line\nend.dm3",
            "\x01.dm3",
            os.fsdecode(b"gr\xf6\xdfe \xff.dm3"),
        ],
    )
    def test_by_the_builder(self, tmp_path: Path, name: str) -> None:
        preview, metadata = (f"r.files/sub/{name}{suffix}" for suffix in (".png", ".json"))
        for path in (preview, metadata):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("ours")
        dataset = Dataset("a", "a", "dm3", "Image", preview=preview, meta={"Metadata": Quantity(metadata)})
        activity = Activity(0, NOW, (dataset,))
        experiment = Experiment("Rock salt", "s", "Titan", "FEI Titan", activities=(activity,))
        (tmp_path / "r.xml").write_bytes(to_xml(experiment))
        assert examine_folder(tmp_path / "r.xml") == RecordFiles((tmp_path / metadata, tmp_path / preview))

    @pytest.mark.parametrize("path", ["r.files/../secret", "secret", "/etc/passwd", "r.files//", "other.files/a.png"])
    def test_what_lies_elsewhere(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "r.files").mkdir()
        (tmp_path / "other.files").mkdir()
        (tmp_path / "other.files/a.png").write_text("other")
        (tmp_path / "secret").write_text("secret")
        (tmp_path / "r.xml").write_text(naming("<Experiment/>", path))
        assert files_beside(tmp_path / "r.xml") == ()
        assert "secret" in tree(tmp_path)

    def test_a_record_that_is_no_xml_names_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "r.files").mkdir()
        (tmp_path / "r.files/a.png").write_text("x")
        (tmp_path / "r.xml").write_text("r.files/a.png")
        assert examine_folder(tmp_path / "r.xml") == RecordFiles(others=("r.files/a.png",))
