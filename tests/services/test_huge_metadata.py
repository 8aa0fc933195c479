"""Files with far more metadata than any program writes are read in part, or not, and say so."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import hostile, tree
from Services.Builder.extraction.extractors.cleaning import MOST_ENTRIES, json_safe
from tests.services.signal_files import several


class TestALargeTree:
    """The settings of a file of FEI's with 300,000 sections were looked through for each of a hundred quantities."""

    def test_it_is_not_searched_again_and_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spelled: list[object] = []
        same: Callable[[object], str] = tree.same

        def counted(key: object) -> str:
            spelled.append(key)
            return same(key)

        sections = {f"Section {number}": {"A": number} for number in range(50_000)}
        monkeypatch.setattr(tree, "same", counted)
        tree._spelled.cache_clear()
        assert [tree.lookup(sections, f"Nothing{number}.A") for number in range(100)] == [None] * 100
        assert len(spelled) < 10_000

    def test_what_is_there_is_found(self) -> None:
        sections = {f"Section {number}": {"A": number} for number in range(50_000)}
        assert tree.lookup(sections, "Section 49999.A") == 49_999
        assert tree.lookup(sections, "section_7.A") == 7

    def test_the_json_has_the_first_entries_and_says_how_many_more_there_are(self) -> None:
        kept = json.loads(json.dumps(json_safe({str(number): number for number in range(MOST_ENTRIES + 1234)})))
        assert len(kept) == MOST_ENTRIES + 1
        assert (kept["0"], kept["…"]) == (0, "1,234 more")


class TestAnHDF5FileOfVeryManyObjects:
    """Its reader would look at each of them."""

    def test_it_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = several(tmp_path / "a.hspy", 3)
        whole = extract(path, None, None)
        monkeypatch.setattr(hostile, "MOST_HDF5_OBJECTS", 20)
        found = extract(path, None, None)
        assert (whole.dataset_type, whole.warnings) == ("Image", ())
        assert found.dataset_type == "Unknown"
        assert found.warnings == (
            "The file is not read: it holds more than 20 groups and arrays, which would take its reader too long.",
        )

    @pytest.mark.parametrize(
        ("make", "why"),
        [
            (lambda file: file.create_group("/".join(["a"] * 150)), "its groups are nested more than 100 deep"),
            (
                lambda file: file.create_group("a/b").__setitem__("c", file["a"]),
                "one of its groups holds itself, so that its reader would never end",
            ),
            (lambda file: file.__setitem__("a", file["/"]), "one of its groups holds itself"),
        ],
    )
    def test_groups_within_groups(self, tmp_path: Path, make: Callable[[h5py.File], object], why: str) -> None:
        path = several(tmp_path / "a.hspy", 1)
        with h5py.File(path, "a") as file:
            make(file)
        (sentence,) = extract(path, None, None).warnings
        assert sentence.startswith(f"The file is not read: {why}")


class Runs:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "it ran")


class TestPantaRheiWithAPickle:
    """Versions before 24.03 keep the metadata in no other way."""

    def test_the_image_is_shown_and_the_pickle_left_alone(self, tmp_path: Path) -> None:
        path, ran = tmp_path / "a.prz", tmp_path / "ran"
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(content, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        content.write(pickle.dumps(np.array([Runs(ran)], dtype=object)))
        data = io.BytesIO()
        np.save(data, np.arange(64.0).reshape(8, 8))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.npy", data.getvalue())
            archive.writestr("meta_data.npy", content.getvalue())
        found = extract(path, tmp_path / "p.png", None)
        assert (found.format, found.dataset_type) == ("CEOS Panta Rhei", "Image")
        assert set(found.meta) == {"Data Shape"}, "no size that the file does not hold"
        assert found.preview is not None
        assert found.warnings == (
            "The reader remarks: its conditions and calibration are kept as a pickle, which could run code, and are "
            "not read; Panta Rhei 24.03 and later write them as JSON, too.",
        )
        assert not ran.exists()
