"""The JSON beside a preview: texts in pictures are metadata, and it names the previews that there are (001-32)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from Services.Builder.extraction.extract import extract

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def written(path: Path, preview: bool = True) -> dict[str, Any]:
    """Return the JSON of a file."""
    folder = path.parent
    extract(path, folder / "out/p.png" if preview else None, folder / "out/p.json")
    content: dict[str, Any] = json.loads((folder / "out/p.json").read_text())
    return content


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "a.png"


class TestTextsInPictures:
    """What a program wrote beside the pixels is kept as it is."""

    def test_each_kind_of_a_pngs_chunks(self, picture: Path) -> None:
        texts = PngInfo()
        texts.add_text("Software", "xT microscope Control")
        texts.add_text("Description", "beam 200 kV, " * 20, zip=True)
        texts.add_itxt("Beschreibung", "Ω, 5 µm", lang="de")
        Image.fromarray(PIXELS).save(picture, pnginfo=texts)
        assert written(picture)["original_metadata"]["PNG texts"] == {
            "Software": "xT microscope Control",
            "Description": "beam 200 kV, " * 20,
            "Beschreibung": "Ω, 5 µm",
        }

    def test_one_that_stands_behind_the_pixels(self, picture: Path) -> None:
        Image.fromarray(PIXELS).save(picture)
        texts = PngInfo()
        texts.add_text("Comment", "written last")
        Image.fromarray(PIXELS).save(picture.with_name("b.png"), pnginfo=texts)
        plain, chunk = picture.read_bytes(), picture.with_name("b.png").read_bytes()
        at = chunk.index(b"tEXt") - 4
        end = at + 12 + int.from_bytes(chunk[at : at + 4], "big")
        trailer = plain.index(b"IEND") - 4
        picture.write_bytes(plain[:trailer] + chunk[at:end] + plain[trailer:])
        assert written(picture)["original_metadata"] == {"PNG texts": {"Comment": "written last"}}

    def test_the_comment_of_a_jpeg(self, picture: Path) -> None:
        path = picture.with_suffix(".jpg")
        Image.fromarray(PIXELS).save(path, comment="grid 3, square 7")
        assert written(path)["original_metadata"]["Comment"] == "grid 3, square 7"

    def test_a_picture_without_any(self, picture: Path) -> None:
        Image.fromarray(PIXELS).save(picture)
        assert written(picture)["original_metadata"] == {}


class TestPreviewsAreNamed:
    """`null` stands only where there is no preview."""

    def test_of_a_file_with_one(self, picture: Path) -> None:
        Image.fromarray(PIXELS).save(picture)
        assert [signal["preview"] for signal in written(picture)["signals"]] == ["p.png"]

    def test_where_none_is_wanted(self, picture: Path) -> None:
        Image.fromarray(PIXELS).save(picture)
        assert [signal["preview"] for signal in written(picture, preview=False)["signals"]] == [None]

    def test_where_none_can_be_drawn(self, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def png(*_: object) -> bytes:
            raise ValueError("no")

        monkeypatch.setattr("Services.Builder.preview.png", png)
        Image.fromarray(PIXELS).save(picture)
        assert [signal["preview"] for signal in written(picture)["signals"]] == [None]


class TestTheRightReason:
    """A file of a known kind whose content is something else is not of an unknown kind."""

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_bytes(bytes(range(256)))
        (sentence,) = extract(tmp_path / "notes.txt", None, None).warnings
        assert sentence.startswith("The file's content is not what files of the kind '.txt' hold (")
        assert "plain text" in sentence

    def test_a_kind_that_nothing_reads(self, tmp_path: Path) -> None:
        (tmp_path / "a.xyz").write_bytes(b"abc")
        assert extract(tmp_path / "a.xyz", None, None).warnings == ("No reader is known for files of the kind '.xyz'.",)
