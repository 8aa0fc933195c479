"""Contact sheets: one for each activity of a record, and of a folder by a command."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lxml import etree
from PIL import Image

from NexusCore.facility.record_page.content import read_record
from NexusCore.facility.record_page.render import record_page
from Services.Builder.commands import contact_sheet
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import ContactSheet, Extraction, FoundFile, SheetEntry
from Services.Builder.preview.sheet import draw, thumbnail
from Services.Builder.record.build import RecordPaths
from Services.Builder.record.document import NAMESPACE
from Services.Builder.record.sheets import _entry
from Services.Uploader.destinations.record_files import examine_folder
from tests.services.builder_facility import Stage

NX = {"nx": NAMESPACE}
_HEAD = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
HUGE = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + _HEAD + struct.pack(">I", zlib.crc32(_HEAD))
"""The beginning of a PNG that would need 10 GB of memory."""
ODD_NAMES = ["a" * 300, "电子能量损失谱.dm4", "🔬.tif", "קובץ.dm3", r"$\frac{1}{2$.dm3", "left\u202eright.msa", ""]


def png(colour: tuple[int, int, int], size: tuple[int, int] = (500, 400), form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


def coloured(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Return where the picture has a colour, as rows of y and x."""
    return np.argwhere((np.asarray(picture) == colour).all(axis=-1))


class TestASheet:
    """A grid of previews with their names below a title; what cannot be decoded leaves its place blank."""

    def test_previews_stand_in_order(self):
        colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 255), (0, 255, 255)]
        sheet = draw(ContactSheet("Activity 1", tuple(SheetEntry("a", preview=png(colour)) for colour in colours)))
        places = [coloured(sheet, colour).min(axis=0) for colour in colours]
        rows, columns = zip(*places, strict=True)
        assert rows[0] == rows[1] == rows[2] < rows[3] == rows[4]
        assert columns[0] == columns[3] < columns[1] == columns[4] < columns[2]
        tall, wide = coloured(sheet, colours[0]).max(axis=0) - places[0] + 1
        assert tall / wide == pytest.approx(400 / 500, abs=0.01)

    @pytest.mark.parametrize(
        "content",
        [
            None,
            b"",
            b"\x89PNG\r\n\x1a\n",
            png((1, 2, 3))[:60],
            png((1, 2, 3), form="JPEG"),
            png((1, 2, 3), (2001, 4)),
            HUGE,
        ],
    )
    def test_what_is_no_preview_leaves_its_place_blank(self, content):
        if content is not None:
            assert thumbnail(content, 180) is None
        good = SheetEntry("b", preview=png((255, 0, 0)))
        both = draw(ContactSheet("Activity 1", (SheetEntry("a", preview=content), good)))
        assert coloured(both, (255, 0, 0)).size
        assert coloured(both, (240, 240, 240)).size

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_nothing_is_cut_off_at_an_edge(self, name):
        for count in (1, 2, 7):
            entry = SheetEntry(name, note=name, preview=png((200, 0, 0)))
            pixels = np.asarray(draw(ContactSheet(f"Activity 1 · {name}", (entry,) * count, more=3)).convert("L"))
            edge = np.concatenate(
                (pixels[:4].ravel(), pixels[-4:].ravel(), pixels[:, :4].ravel(), pixels[:, -4:].ravel())
            )
            assert edge.min() == 255

    def test_it_says_how_many_more_there_are(self):
        entries = (SheetEntry("a", preview=png((255, 0, 0))),)
        assert draw(ContactSheet("t", entries, more=123)).height > draw(ContactSheet("t", entries)).height

    def test_it_is_drawn_by_a_confined_process(self, tmp_path):
        """In one that has read files, beside others, into the records folder."""
        target = tmp_path / "records" / "activity-1.png"
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "a.txt").write_text("a text")
        sheet = ContactSheet("Activity 1", (SheetEntry("a.txt", preview=png((255, 0, 0))),))
        with Workers(1) as workers:
            job = Job(tmp_path / "data" / "a.txt", tmp_path / "records" / "a.txt.png", root=tmp_path / "data")
            (text,) = workers.extract_all([job])
            drawing = Job(job.path, target, records=tmp_path / "records", root=tmp_path / "data", sheet=sheet)
            (drawn,) = workers.extract_all([drawing])
        assert text.dataset_type == "Notes"
        assert drawn.preview == target
        with Image.open(target) as picture:
            assert coloured(picture.convert("RGB"), (255, 0, 0)).size


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    one.readers.draws_sheets = True
    yield one
    one.close()


def build(stage: Stage, *names: str) -> tuple[Path, etree._Element]:
    session = stage.session(*names)
    stage.builder.once()
    record = stage.records.of_session(session.id)
    assert record is not None, stage.sessions.get(session.identifier).last_error
    return Path(record.path), etree.fromstring(Path(record.path).read_bytes())


def sheets(record: etree._Element) -> list[str]:
    return [str(one.text) for one in record.findall(".//nx:setup/nx:param[@name='Contact Sheet']", NX)]


class TestTheSheetOfAnActivity:
    """It lies beside the record's previews, the record and its page name it, and it is sent like them."""

    def test_the_record_names_it(self, stage):
        xml, record = build(stage, "a.dm3", "b.dm3", "c.dm3")
        place = f"{xml.stem}.files/activity-1.png"
        assert sheets(record) == [place]
        assert (xml.parent / place).is_file()
        assert xml.parent / place in examine_folder(xml).named
        (activity,) = read_record(xml.read_bytes()).activities
        assert activity.sheet == place
        assert "Contact Sheet" not in {value.name for _, values in activity.setup for value in values}
        assert f'href="{place}"' in record_page(xml.read_bytes()).decode()

    def test_what_is_on_it(self, stage):
        build(stage, "a.dm3", "b.dm3", "c.dm3")
        (job,) = stage.readers.sheets
        assert job.sheet.title.startswith("Activity 1 · 2023-11-14 ")
        assert job.sheet.title.endswith(" · 3 datasets")
        assert [entry.name for entry in job.sheet.entries] == ["a.dm3", "b.dm3", "c.dm3"]
        assert [entry.preview for entry in job.sheet.entries] == [b"\x89PNG of content"] * 3
        assert job.sheet.entries[0].note.endswith(" · TEM Imaging")

    def test_a_dataset_of_another_day_shows_its_day(self, tmp_path: Path) -> None:
        saved = datetime(2026, 11, 20, 9, 7, 12, tzinfo=UTC)
        file = FoundFile(tmp_path / "a.dm3", saved, 1)
        places = RecordPaths(tmp_path / "r.xml", tmp_path / "r.files")
        read = Extraction(file.path, "", "Image", "TEM_Imaging", acquired=saved.replace(minute=1))
        assert _entry(file, read, places, UTC).note == "09:01:12 · TEM Imaging"
        old = replace(read, acquired=datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC))
        assert _entry(file, old, places, UTC).note == "2025-03-04 05:06:07 · TEM Imaging"

    def test_a_single_dataset_needs_none(self, stage):
        xml, record = build(stage, "a.dm3")
        assert sheets(record) == []
        assert not (xml.with_suffix(".files") / "activity-1.png").exists()

    def test_one_that_cannot_be_drawn_is_left_out(self, stage):
        stage.readers.draws_sheets = False
        xml, record = build(stage, "a.dm3", "b.dm3")
        assert len(stage.readers.sheets) == 1
        assert sheets(record) == []
        assert read_record(xml.read_bytes()).activities[0].sheet is None

    def test_it_replaces_no_preview(self, stage):
        """A file named activity-1 has its preview where the sheet would lie."""
        xml, record = build(stage, "activity-1", "b.dm3")
        assert sheets(record) == [f"{xml.stem}.files/activity-1-.png"]
        assert (xml.with_suffix(".files") / "activity-1.png").read_bytes() == b"\x89PNG of content"

    def test_sheets_of_an_earlier_record_go(self, stage):
        session = stage.session("a.dm3", "b.dm3")
        stage.builder.once()
        record = stage.records.of_session(session.id)
        assert record is not None
        xml = Path(record.path)
        old = xml.with_suffix(".files") / "activity-9.png"
        old.write_bytes(b"\x89PNG")
        other = old.with_name("activity-report.png")
        other.write_bytes(b"\x89PNG")
        stage.sessions.requeue(session.identifier, stage.builder.client)
        stage.builder.once()
        assert not old.exists()
        assert other.exists()
        assert old.with_name("activity-1.png").exists()

    def test_what_has_no_room_is_counted(self, stage):
        build(stage, *(f"{number:03}.dm3" for number in range(50)))
        shown = sum(len(job.sheet.entries) for job in stage.readers.sheets)
        assert shown + sum(job.sheet.more for job in stage.readers.sheets) == 50
        assert all(len(job.sheet.entries) <= 48 for job in stage.readers.sheets)


class TestTheCommand:
    """`python -m Services.Builder.commands.contact_sheet` shows a folder's files with names and kinds."""

    def test_a_folder(self, tmp_path, capsys):
        folder = tmp_path / "data"
        folder.mkdir()
        for name in ("a.txt", "b.txt", "c.txt"):
            (folder / name).write_text("a text")
        assert contact_sheet.main([str(folder), str(tmp_path / "out.png"), "--on-each", "2"]) == 0
        assert capsys.readouterr().out.split() == [str(tmp_path / "out.png"), str(tmp_path / "out-2.png")]
        with Image.open(tmp_path / "out-2.png") as second:
            assert second.width > 300

    def test_nothing_to_show(self, tmp_path, capsys):
        assert contact_sheet.main([str(tmp_path), str(tmp_path / "out.png")]) != 0
        assert "no file" in capsys.readouterr().err
        assert not (tmp_path / "out.png").exists()

    def test_no_instrument_file_is_replaced(self, tmp_path, capsys):
        (tmp_path / "a.txt").write_text("a text")
        (tmp_path / "b.tif").write_text("an image")
        assert contact_sheet.main([str(tmp_path), str(tmp_path / "b.tif")]) != 0
        assert (tmp_path / "b.tif").read_text() == "an image"
