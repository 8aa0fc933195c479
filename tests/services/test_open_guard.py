"""What a reader opens as data is the dataset's own; libraries open what they need (the Builder's `open_guard`)."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
import pint
import pytest
import tifffile
from matplotlib.font_manager import get_font

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.open_guard import restrict_reads
from Services.Builder.extraction.reader_sandbox import ANYONES, readable
from tests.services.hostile_files import SIDE, librarys_file, named_in_ome

NUMPY = np._core._multiarray_umath.__file__


class TestLibraries:
    """They may open their own files, readers may not."""

    def test_shared_libraries_beside_a_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wheels put them into a folder of their own; where packages lie is not always in Python's own folder."""
        for name in ("pack/__init__.py", "pack.libs/libtiff.so", "settings/nexuscore.toml"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).touch()
        monkeypatch.syspath_prepend(tmp_path)
        readable.cache_clear()
        try:
            found = [one for one in readable() if one.startswith(str(tmp_path))]
        finally:
            monkeypatch.undo()
            readable.cache_clear()
        assert sorted(one for one in found if "pack" in one) == [f"{tmp_path}/pack.libs/", f"{tmp_path}/pack/"]

    @pytest.mark.parametrize("name", [NUMPY, "/dev/zero", "/proc/cpuinfo", pint.__file__])
    def test_a_reader_is_given_none_of_them(self, tmp_path: Path, name: str) -> None:
        own = (f"{tmp_path}{os.sep}", *ANYONES)
        with restrict_reads(own, readable(), everywhere=False) as noted, pytest.raises(PermissionError):
            np.memmap(name, np.uint8, "r", shape=(4,))
        assert noted == [os.path.abspath(name)]  # noqa: PTH100 - as the guard names it

    def test_units_fonts_and_time_zones(self, tmp_path: Path) -> None:
        font = mpl.get_data_path() + "/fonts/ttf/DejaVuSansMono-Oblique.ttf"
        with restrict_reads((f"{tmp_path}{os.sep}", *ANYONES), readable(), everywhere=False) as noted:
            assert pint.UnitRegistry(cache_folder=None)("1 nm").m == 1
            get_font(font)
            ZoneInfo.no_cache("Europe/Oslo")
        assert noted == []


class TestNamesThatAreFoundInNoOtherWay:
    """A name in other words than the usual ones is stopped where it is opened."""

    def test_a_search_that_finds_no_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("Services.Builder.extraction.extract.beside", lambda path, listing: iter(()))
        found = extract(librarys_file(tmp_path, tmp_path), tmp_path / "p.png", tmp_path / "p.json")
        assert found.warnings == (f"The file names another one, {NUMPY}, that is not its own: neither is read.",)
        assert (found.dataset_type, found.preview) == ("Unknown", None)

    def test_ome_by_its_content(self, tmp_path: Path) -> None:
        """In quotes of the other sort, and without `.ome` in the file's name."""
        path = named_in_ome(tmp_path, tmp_path)
        with tifffile.TiffFile(path) as file:
            text = file.pages.first.description
        path = tmp_path / "a.tif"
        text = text.replace(f'"{tmp_path}/secret.tif"', "'/usr/share/secret.tif'")
        tifffile.imwrite(path, np.zeros((SIDE, SIDE), np.uint8), description=text, metadata=None)
        found = extract(path, tmp_path / "p.png", tmp_path / "p.json")
        assert "/usr/share/secret.tif, outside its folder: neither is read." in found.warnings[0]
        assert (found.dataset_type, found.preview) == ("Unknown", None)


def test_files_refused_to_an_import_are_not_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "settings").write_text("x")
    (tmp_path / "code/opens_of_test_guard.py").write_text(
        f"try:\n    open({str(tmp_path / 'settings')!r})\nexcept PermissionError:\n    refused = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    folders = (f"{tmp_path}/view/",)
    with restrict_reads(folders, (*readable(), f"{tmp_path}/code/"), everywhere=False) as noted:
        module = importlib.import_module("opens_of_test_guard")
    assert module.refused and noted == []
