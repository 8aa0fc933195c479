"""Destinations that are folders, where others may write too: no link leads what is written or removed elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from NexusCore.errors import NexusError
from NexusCore.facility import Record
from NexusCore.files import InTheWay
from Services.Uploader.destinations import NotTaken
from Services.Uploader.destinations.atomic_files import UPLOADERS_FOLDER
from Services.Uploader.destinations.directory.destination import Directory
from Services.Uploader.destinations.eln.destination import ELN
from Services.Uploader.destinations.record_files import files_beside
from tests.services.test_uploader_directory import NAME, tree, write
from tests.unit.test_files import swapping

ROUNDS = 100
FILES = f"{NAME}.files"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """Have a folder of somebody else's; afterwards it must be as it was."""
    folder = tmp_path / "victim"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_text("precious")
    (folder / "sub/b.png").write_text("precious")
    yield folder
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a.png": "precious", "sub/b.png": "precious"}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture
def target(tmp_path: Path) -> Directory:
    (tmp_path / "uploaded").mkdir()
    return Directory(tmp_path / "uploaded")


def refusal(destination: Directory | ELN, record: Record) -> str:
    with pytest.raises(NotTaken) as caught:
        destination.put(record)
    return str(caught.value)


class TestDirectory:
    """Refused in a sentence that names what is in the way; once that is gone, the record goes there."""

    def test_a_link_in_place_of_the_records_files(self, records: Path, target: Directory, victim: Path) -> None:
        record = write(records, a_png="picture")
        target.put(record)
        (target.path / FILES).rename(target.path.parent / "aside")
        (target.path / FILES).symlink_to(victim)
        newer = write(records, "<Newer/>", a_png="newer")
        assert refusal(target, newer) == (
            f"directory did not take the record 'Rock salt': {target.path / FILES} is in the way: "
            f"it is a symbolic link. Remove it, and check who may write to {target.path}."
        )
        (target.path / FILES).unlink()
        target.put(newer)
        assert tree(target.path) == tree(records)

    def test_nothing_is_removed_through_a_link(self, records: Path, target: Directory, victim: Path) -> None:
        """Also of a record that has no files any more."""
        target.put(write(records, a_png="picture"))
        (target.path / FILES).rename(target.path.parent / "aside")
        (target.path / FILES).symlink_to(victim)
        (records / FILES / "a.png").unlink()
        assert "symbolic link" in refusal(target, write(records, "<Newer/>"))

    @pytest.mark.parametrize("name", [FILES, f"{FILES}/sub", f"{FILES}/sub/b.png", f"{NAME}.xml"])
    @pytest.mark.parametrize("make", ["link", "pipe"])
    def test_on_each_step(self, records: Path, target: Directory, victim: Path, name: str, make: str) -> None:
        target.put(write(records, a_png="picture"))
        place = target.path / name
        place.parent.mkdir(exist_ok=True)
        if place.exists():
            place.rename(target.path.parent / "aside")
        if make == "link":
            place.symlink_to(victim / "sub" if name != f"{FILES}/sub/b.png" else victim / "sub/b.png")
        else:
            os.mkfifo(place)
        kind = "a symbolic link" if make == "link" else "a named pipe"
        newer = write(records, "<Newer/>", a_png="newer", sub__b_png="newer")
        assert f"{place} is in the way: it is {kind}." in refusal(target, newer)
        place.unlink()
        target.put(newer)
        assert tree(target.path) == tree(records)

    @pytest.mark.parametrize("to", ["victim", "empty"])
    def test_a_link_before_any_record_is_there(self, records: Path, target: Directory, victim: Path, to: str) -> None:
        """It is the link that is reported, not the XML that is not there."""
        (target.path.parent / "empty").mkdir()
        place = target.path / FILES
        place.symlink_to(target.path.parent / to)
        assert f": {place} is in the way: it is a symbolic link." in refusal(target, write(records, a_png="picture"))

    @pytest.mark.parametrize(
        "name", [UPLOADERS_FOLDER, f"{UPLOADERS_FOLDER}/lock", f"{UPLOADERS_FOLDER}/{NAME}.xml.session"]
    )
    def test_what_only_uploaders_need(self, records: Path, target: Directory, victim: Path, name: str) -> None:
        place = target.path / name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(victim if name == UPLOADERS_FOLDER else victim / "a.png")
        assert f"{place} is in the way: it is a symbolic link." in refusal(target, write(records))

    def test_a_hard_link_is_not_replaced(self, records: Path, target: Directory, victim: Path) -> None:
        """One with the right content is left alone, as a program that saves space by links makes them."""
        target.put(write(records, a_png="picture", b_png="other"))
        place = target.path / FILES / "a.png"
        (target.path.parent / "second").hardlink_to(place)
        target.put(write(records, a_png="picture", b_png="newer"))
        refused = refusal(target, write(records, a_png="newer", b_png="newer"))
        assert f"{place} is in the way: it is a file with 2 names (hard links)." in refused
        assert place.read_text() == "picture"

    def test_the_folder_itself_may_be_a_link(self, records: Path, target: Directory, tmp_path: Path) -> None:
        """It is what the operator named."""
        (tmp_path / "link").symlink_to(target.path)
        linked = Directory(tmp_path / "link")
        assert linked.check() == []
        receipt = linked.put(write(records, a_png="picture"))
        assert tree(target.path) == tree(records)
        assert linked.fetch(receipt) == (records / f"{NAME}.xml").read_bytes()

    def test_a_folder_that_is_swapped_meanwhile(self, records: Path, target: Directory, victim: Path) -> None:
        """However the moments fall, nothing but the record's own files changes."""
        target.put(write(records, a_png="0", sub__b_png="0"))
        put = 0
        with swapping(target.path / FILES, victim):
            for number in range(ROUNDS):
                with suppress(NotTaken):
                    target.put(write(records, f"<N{number}/>", **{f"n{number}_png": "x", "a_png": str(number)}))
                    put += 1
        print(f"{put} of {ROUNDS} records were put")
        target.put(write(records, "<Last/>", a_png="last"))
        names = (f"{NAME}.xml", f"{FILES}/a.png")
        assert tree(target.path) == {name: tree(records)[name] for name in names}


class TestReading:
    """What belongs to a record is read where the Builder wrote it, and nowhere else."""

    def test_a_link_in_place_of_the_files(self, records: Path, target: Directory, victim: Path) -> None:
        record = write(records)
        (records / FILES).symlink_to(victim)
        assert f"{records / FILES} is in the way: it is a symbolic link" in refusal(target, record)
        with pytest.raises(InTheWay):
            files_beside(Path(record.path))

    def test_files_that_are_swapped_meanwhile(self, records: Path, target: Directory, victim: Path) -> None:
        record = write(records, a_png="picture", sub__b_png="picture")
        with swapping(records / FILES, victim):
            for _ in range(ROUNDS):
                with suppress(NexusError):
                    target.put(record)
                assert set(tree(target.path).values()) <= {"picture", Path(record.path).read_text()}

    def test_a_pipe_in_place_of_the_record(self, records: Path, target: Directory) -> None:
        record = write(records)
        Path(record.path).unlink()
        os.mkfifo(record.path)
        assert "it is a named pipe" in refusal(target, record)


class TestELN:
    """The same holds for folders of archives."""

    @pytest.fixture
    def archives(self, tmp_path: Path) -> ELN:
        (tmp_path / "archives").mkdir()
        return ELN(tmp_path / "archives", "Our facility")

    @pytest.fixture
    def record(self, records: Path) -> Record:
        namespace = "https://data.nist.gov/od/dm/nexus/experiment/v1.0"
        xml = f'<Experiment xmlns="{namespace}"><title>Rock salt</title></Experiment>'
        return write(records, xml, a_png="picture")

    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            (lambda path, victim: path.symlink_to(victim / "a.png"), "a symbolic link"),
            (lambda path, victim: os.mkfifo(path), "a named pipe"),
            (lambda path, victim: path.mkdir(), "a folder"),
        ],
    )
    def test_what_is_in_the_way_is_named(
        self, archives: ELN, record: Record, victim: Path, make: Callable[[Path, Path], None], kind: str
    ) -> None:
        place = archives.path / f"{NAME}.eln"
        make(place, victim)
        refused = refusal(archives, record)
        assert f"{place} is in the way: it is {kind}. Remove it, and check who may write to {archives.path}." in refused

    def test_its_own_folder(self, archives: ELN, record: Record, victim: Path) -> None:
        (archives.path / UPLOADERS_FOLDER).symlink_to(victim)
        assert "it is a symbolic link" in refusal(archives, record)

    def test_files_that_became_links(self, archives: ELN, records: Path, record: Record, victim: Path) -> None:
        (records / FILES).rename(records / "aside")
        (records / FILES).symlink_to(victim)
        assert f"{records / FILES} is in the way" in refusal(archives, record)
