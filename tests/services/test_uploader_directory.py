"""The destination ``directory``: whole files or none, nobody else's overwritten, the same record twice is one copy."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from NexusCore.facility import Record
from NexusCore.facility.record_page.render import record_page
from NexusCore.files import UNFINISHED
from Services.Uploader.destinations import Destination, NotTaken, Nowhere, Receipt, atomic_files
from Services.Uploader.destinations.atomic_files import UPLOADERS_FOLDER
from Services.Uploader.destinations.directory import destination as module
from Services.Uploader.destinations.directory.destination import Directory

SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
NAME = "2026-03-04_Titan_0f8fad5b"


def naming(content: str, *paths: str) -> str:
    """Return an XML document that names files, as the Builder does: bytes that are not UTF-8 are U+FFFD in it."""
    if not paths:
        return content
    in_xml = (re.sub("[\ud800-\udfff]", "\ufffd", path) for path in paths)
    names = "".join(f"<preview>{path}</preview>" for path in in_xml)
    if content.endswith("/>"):
        return f"{content[:-2]}>{names}</{content[1:-2]}>"
    start, _, end = content.rpartition("</")
    return f"{start}{names}</{end}"


def write(folder: Path, content: str = "<Experiment/>", session: str = SESSION, **files: str) -> Record:
    """Write a record as the Builder does, which names its files; `files` maps a path with ``__`` for ``/``."""
    folder.mkdir(exist_ok=True)
    xml = folder / f"{NAME}.xml"
    paths = []
    for name, text in files.items():
        path = folder / f"{NAME}.files" / name.replace("__", "/").replace("_png", ".png").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        paths.append(path.relative_to(folder).as_posix())
    content = naming(content, *paths)
    xml.write_text(content)
    return Record(
        id=1,
        session_id=1,
        path=str(xml),
        title="Rock salt",
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        config_revision=1,
        software="test",
        files=1,
        activities=1,
        built_ts=1,
        session=session,
    )


def tree(folder: Path) -> dict[str, str]:
    """Return every file of a folder with its text, without the destination's own notes."""
    found = (path for path in folder.rglob("*") if path.is_file() and UPLOADERS_FOLDER not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in found}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture
def target(tmp_path: Path) -> Directory:
    (tmp_path / "uploaded").mkdir()
    return Directory(tmp_path / "uploaded")


class TestPutting:
    """001-42, 001-43: XML, previews and metadata keep their places, so that the XML's references hold."""

    def test_all_that_belongs_to_a_record(self, records: Path, target: Directory) -> None:
        record = write(records, a_png="picture", sub__b_png="another", sub__b_json="{}")
        receipt = target.put(record)
        assert tree(target.path) == tree(records)
        assert receipt == Receipt("directory", f"{NAME}.xml", (target.path / f"{NAME}.xml").as_uri())
        assert target.fetch(receipt) == Path(record.path).read_bytes()

    def test_a_record_without_files(self, records: Path, target: Directory) -> None:
        target.put(write(records))
        assert tree(target.path) == {f"{NAME}.xml": "<Experiment/>"}

    def test_twice_is_once(self, records: Path, target: Directory) -> None:
        record = write(records, a_png="picture")
        first = target.put(record)
        before = {path: path.stat().st_mtime_ns for path in target.path.rglob("*")}
        assert target.put(record) == first
        assert {path: path.stat().st_mtime_ns for path in target.path.rglob("*")} == before, "nothing is written again"

    def test_what_was_lost_there_is_restored(self, records: Path, target: Directory) -> None:
        record = write(records, a_png="picture", b_png="other")
        target.put(record)
        (target.path / f"{NAME}.files/a.png").unlink()
        (target.path / f"{NAME}.files/b.png").write_text("damaged")
        assert target.put(record).remark is None
        assert tree(target.path) == tree(records)

    def test_a_newer_version_replaces_the_older(self, records: Path, target: Directory) -> None:
        """And says so; what only the older one had goes with it."""
        target.put(write(records, "<Old/>", old_png="x", both_png="old", sub__deep_png="x"))
        for path in sorted((records / f"{NAME}.files").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        receipt = target.put(write(records, "<New/>", both_png="new"))
        assert receipt.remark == f"it replaces the older version of the record of session {SESSION}"
        assert tree(target.path) == tree(records)
        assert tree(records).keys() == {f"{NAME}.xml", f"{NAME}.files/both.png"}
        assert not (target.path / f"{NAME}.files/sub").exists()

    def test_the_page_of_the_record(self, records: Path, target: Directory) -> None:
        """It is made from the XML: what others wrote beside that is not copied, and a damaged one is put right."""
        with_page = replace(target, with_page=True)
        record = write(records, a_png="picture")
        (records / f"{NAME}.html").write_text("<script>others</script>")
        with_page.put(record)
        page = with_page.path / f"{NAME}.html"
        assert page.read_bytes() == record_page(Path(record.path).read_bytes())
        page.write_text("damaged")
        with_page.put(record)
        assert page.read_bytes() == record_page(Path(record.path).read_bytes())

    def test_a_page_of_others_is_left_alone(self, records: Path, target: Directory) -> None:
        (target.path / f"{NAME}.html").write_text("of a person")
        with pytest.raises(NotTaken, match=rf"{NAME}\.html in .* was not put there by NexusCore"):
            replace(target, with_page=True).put(write(records))
        assert tree(target.path) == {f"{NAME}.html": "of a person"}

    def test_links_are_not_followed(self, records: Path, target: Directory, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        record = write(records, a_png="x")
        (records / f"{NAME}.files/link").symlink_to(tmp_path / "secret")
        (records / f"{NAME}.files/folder").symlink_to(tmp_path)
        target.put(record)
        assert sorted(tree(target.path)) == [f"{NAME}.files/a.png", f"{NAME}.xml"]

    def test_names_of_unknown_encoding(self, records: Path, target: Directory) -> None:
        name = os.fsdecode(b"gr\xf6\xdfe \xff")
        target.put(write(records, a_png="x", **{f"{name}_png": "y"}))
        assert (target.path / f"{NAME}.files" / f"{name}.png").read_text() == "y"

    def test_into_the_builders_own_folder(self, records: Path) -> None:
        record = write(records, a_png="x")
        before = tree(records)
        assert Directory(records).put(record).remark == "it lies in the Builder's own folder"
        assert tree(records) == before


class TestWhoseItIs:
    """A name belongs to one session; what others put there is left alone."""

    def test_another_sessions_record_is_not_overwritten(self, records: Path, target: Directory) -> None:
        target.put(write(records, "<Mine/>"))
        with pytest.raises(NotTaken) as error:
            target.put(write(records, "<Yours/>", OTHER))
        assert str(error.value) == (
            f"directory did not take the record 'Rock salt': "
            f"{target.path / NAME}.xml is the record of another session, {SESSION}."
        )
        assert tree(target.path) == {f"{NAME}.xml": "<Mine/>"}

    @pytest.mark.parametrize("name", [f"{NAME}.xml", f"{NAME}.files/a.png"])
    def test_foreign_files_are_not_overwritten(self, records: Path, target: Directory, name: str) -> None:
        (target.path / name).parent.mkdir(exist_ok=True)
        (target.path / name).write_text("theirs")
        with pytest.raises(NotTaken, match="was not put there by NexusCore"):
            target.put(write(records, a_png="ours"))
        assert tree(target.path) == {name: "theirs"}

    def test_a_folder_of_files_alone(self, records: Path, target: Directory) -> None:
        """It is the folder that is reported; an empty one is no obstacle."""
        record = write(records, a_png="ours")
        folder = target.path / f"{NAME}.files"
        folder.mkdir()
        (folder / "b.png").write_text("theirs")
        with pytest.raises(NotTaken) as caught:
            target.put(record)
        reason = f"the folder {folder.name} in {target.path} was not put there by NexusCore, and it is not empty."
        assert str(caught.value).endswith(reason)
        (folder / "b.png").unlink()
        target.put(record)
        assert tree(target.path) == tree(records)

    def test_the_same_record_copied_by_hand_is_adopted(self, records: Path, target: Directory) -> None:
        record = write(records)
        (target.path / f"{NAME}.xml").write_bytes(Path(record.path).read_bytes())
        target.put(record)
        target.put(write(records, "<Newer/>"))
        assert tree(target.path) == {f"{NAME}.xml": "<Newer/>"}

    def test_two_uploaders_at_once(self, records: Path, target: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        """One waits for the other, but not for ever."""
        monkeypatch.setattr(atomic_files, "FOLDER_WAIT_SECONDS", 0.1)
        record = write(records)
        target.put(record)
        with (target.path / UPLOADERS_FOLDER / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(NotTaken, match="another Uploader is writing into"):
                target.put(record)
        target.put(record)


class TestWholeOrNotAtAll:
    """Whatever breaks in between, no half file bears a record's name, and the next attempt completes it."""

    @pytest.mark.parametrize("broken", range(1, 5))
    def test_broken_off_anywhere(
        self, records: Path, target: Directory, monkeypatch: pytest.MonkeyPatch, broken: int
    ) -> None:
        old = write(records, "<Old/>", a_png="old")
        target.put(old)
        new = write(records, "<New/>", a_png="new", b_png="new", c_png="new")
        calls = 0

        def fsync(descriptor: int) -> None:
            nonlocal calls
            calls += os.fstat(descriptor).st_nlink == 1  # a file, not a folder
            if calls == broken:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(NotTaken, match="No space left on device"):
            target.put(new)
        there = tree(target.path)
        assert there.pop(f"{NAME}.xml").startswith("<Old>"), "the XML comes last"
        assert set(there.values()) <= {"old", "new"}
        monkeypatch.undo()
        target.put(new)
        assert tree(target.path) == tree(records)

    def test_what_a_killed_uploader_left(self, records: Path, target: Directory) -> None:
        record = write(records, a_png="x")
        target.put(record)
        for place in (target.path, target.path / f"{NAME}.files"):
            (place / f"{UNFINISHED}0123").write_text("half")
        target.put(record)
        assert tree(target.path) == tree(records)

    def test_a_disk_that_gives_back_something_else(
        self, records: Path, target: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = write(records)
        monkeypatch.setattr(module, "digest", lambda file: "0" * 64)  # of what is read back
        with pytest.raises(NotTaken, match="What was written is not what is read back"):
            target.put(record)
        assert tree(target.path) == {}

    def test_a_record_that_changes_meanwhile(self, records: Path, target: Directory) -> None:
        record = write(records)
        Path(record.path).write_text("<Newer/>")
        with pytest.raises(NotTaken, match="It was changed while it was copied"):
            target.put(record)
        assert tree(target.path) == {}

    def test_a_file_that_may_not_be_read(self, records: Path, target: Directory) -> None:
        record = write(records)
        Path(record.path).unlink()
        with pytest.raises(NotTaken, match=r"No such file or directory \(.*\.xml\)\.$"):
            target.put(record)


class TestChecking:
    """What stands in the way of every record is said before any is tried, and nothing is changed by asking."""

    def test_a_check_changes_nothing(self, target: Directory) -> None:
        assert target.check() == []
        assert tree(target.path) == {}

    def test_a_share_that_is_not_mounted(self, tmp_path: Path) -> None:
        assert Directory(tmp_path / "share").check() == [
            f"the folder {tmp_path}/share does not exist (is the share mounted?)"
        ]

    def test_the_default_folder_is_made_when_needed(self, tmp_path: Path, records: Path) -> None:
        target = Directory(tmp_path / "not/yet/there", may_create=True)
        assert target.check() == []
        assert not (tmp_path / "not").exists()
        target.put(write(records))
        assert tree(target.path) == tree(records)

    def test_a_file_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert Directory(tmp_path / "file").check() == [f"{tmp_path}/file is not a folder"]
        assert Directory(tmp_path / "file/below", may_create=True).check() == [f"{tmp_path}/file is not a folder"]

    def test_a_folder_for_reading_only(self, target: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        # The tests may run as root, who may write everywhere.
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
        assert target.check() == [f"this user may not write to {target.path}"]


def test_the_null_form_keeps_to_the_interface(records: Path) -> None:
    nowhere: Destination = Nowhere()
    record = write(records)
    assert nowhere.check() == []
    receipt = nowhere.put(record)
    assert hashlib.sha256(nowhere.fetch(receipt)).hexdigest() == record.sha256
