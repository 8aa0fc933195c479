"""What a record says besides metadata: why a value is doubtful, which sample, which instrument, where files are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from NexusCore.facility.record_page.content import NO_RESERVATION
from NexusCore.facility.reservations import BookedSample
from Services.Builder.extraction.extractors.plausibility import mark_contradictions
from Services.Builder.extraction.extractors.profile import DISTRUSTED, profile
from Services.Builder.model import Extraction, Quantity, Sample
from Services.Builder.record.names import LONGEST_FILE_NAME, as_text
from Services.Builder.sample_matching import sample_of
from tests.services.builder_facility import Stage
from tests.services.test_builder_record import NX, book, built, texts

CATHODES = (BookedSample("NMC811-07", None, "", ()), BookedSample("NMC811-08", None, "", ()))


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def meta(element: etree._Element) -> dict[str, str | None]:
    return {str(one.get("name")): one.text for one in element.findall("nx:meta", NX)}


def notes(record: etree._Element, source: str) -> list[str | None]:
    return texts(record, f"nx:notes[@source='{source}']/nx:entry/nx:p")


class TestReasons:
    """A value that is marked as doubtful comes with the reason."""

    def test_a_time_that_the_file_does_not_know(self, stage: Stage) -> None:
        (dataset,) = built(stage, stage.session("a.dm3")).findall(".//nx:dataset", NX)
        assert meta(dataset)["Warning (Creation Time)"] == (
            "The file does not say when it was acquired: this is the time of its last change."
        )

    def test_of_what_all_share_in_the_setup(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        doubtful = Quantity(1.5, "nA", warning=True, reason="It was never calibrated.")
        extract_all = stage.readers.extract_all

        def with_doubts(*given: Any, **options: Any) -> Iterator[Extraction]:
            for one in extract_all(*given, **options):
                yield replace(one, meta={"Beam Current": doubtful, "Mode": Quantity("x", warning=True)})

        monkeypatch.setattr(stage.readers, "extract_all", with_doubts)
        record = built(stage, stage.session("a.dm3", "b.dm3"))
        setup = {one.get("name"): one.text for one in record.findall(".//nx:setup/nx:param", NX)}
        assert setup["Warning (Beam Current)"] == "It was never calibrated."
        assert setup["Warning (Mode)"] == "It is known to be unreliable on this instrument or in this format."

    def test_what_an_instruments_profile_distrusts(self) -> None:
        corrections = profile({"warn": "Beam Current"})
        assert corrections.corrected({"Beam Current": Quantity(1)})["Beam Current"].reason == DISTRUSTED

    def test_what_contradicts_itself(self) -> None:
        found = mark_contradictions({"Live Time": Quantity(9, "s"), "Real Time": Quantity(3, "s")}, None)
        assert found["Live Time"].reason == "The live time is longer than the real time."


class TestAnActivity:
    """When it ended, and what it shows."""

    def test_its_end_is_its_last_file(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        stage.put("b.dm3", ago=4.0)
        record = built(stage, session)
        (end,) = texts(record, ".//nx:setup/nx:param[@name='End Time']")
        (start,) = texts(record, ".//nx:startTime")
        assert (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds() == 6

    def test_the_sample_that_its_files_name(self, stage: Stage) -> None:
        session = stage.session("nmc811_08/a.dm3", "x/NMC811 08 b.dm3")
        book(stage, session, samples=CATHODES)
        record = built(stage, session)
        assert texts(record, ".//nx:sampleID") == ["sample-2"]
        assert record.findall(".//nx:acquisitionActivity/nx:notes", NX) == []

    def test_all_samples_where_it_is_not_known(self, stage: Stage) -> None:
        session = stage.session("nmc811_08/a.dm3", "b.dm3")
        book(stage, session, samples=CATHODES)
        record = built(stage, session)
        assert texts(record, ".//nx:sampleID") == []
        assert texts(record, ".//nx:acquisitionActivity/nx:notes/nx:entry/nx:p") == [
            "Its files do not say which of the session's samples they show: NMC811-07, NMC811-08."
        ]

    @pytest.mark.parametrize(
        ("path", "specimen", "wanted"),
        [
            ("NMC811-07/a.dm3", None, "NMC811-07"),
            ("a.dm3", "nmc811 07", "NMC811-07"),
            ("NMC811-07b/a.dm3", None, None),
            ("NMC811-07/NMC811-08.dm3", None, None),
            ("NMC811-07 cycled/a.dm3", None, "NMC811-07 cycled"),
            ("x/A.dm3", None, None),
        ],
    )
    def test_how_it_is_named(self, path: str, specimen: str | None, wanted: str | None) -> None:
        """By whole words, the longest that fits; a name of one letter is too short to tell."""
        samples = [Sample(name) for name in ("NMC811-07", "NMC811-08", "NMC811-07 cycled", "A")]
        found = sample_of([(Path(path), {"Specimen": Quantity(specimen)} if specimen else {})], samples)
        assert (found.name if found else None) == wanted


class TestTheSession:
    """The instrument, and whether it was booked."""

    def test_its_instrument(self, stage: Stage) -> None:
        for name, value in {
            "name": "Titan G2",
            "location": "Room 014",
            "property_tag": "NX-42",
            "computer_ip": "10.0.0.7",
        }.items():
            stage.config[f"Instruments.Titan.{name}"] = value
        record = built(stage, stage.session("a.dm3"))
        assert notes(record, "Instrument") == [
            "Name: Titan G2", "Identifier: Titan", "Location: Room 014", "Property tag: NX-42",
        ]  # fmt: skip
        assert "10.0.0.7" not in etree.tostring(record, encoding="unicode")

    def test_that_it_was_not_booked(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        assert NO_RESERVATION in notes(built(stage, session), "NexusCore")

    def test_that_it_was(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        book(stage, session)
        assert NO_RESERVATION not in notes(built(stage, session), "NexusCore")


class TestWhereFilesAre:
    """Locations, links and previews of files with any names."""

    def test_links_to_the_original_files(self, stage: Stage) -> None:
        stage.config["Facility.data_root"] = str(stage.folder)
        stage.config["Services.Builder.files_url"] = "https://files.example.org/em/"
        (dataset,) = built(stage, stage.session("a #1.dm3")).findall(".//nx:dataset", NX)
        assert meta(dataset)["Original File"] == "https://files.example.org/em/Titan/a%20%231.dm3"
        assert texts(dataset, "nx:location") == ["Titan/a #1.dm3"]

    def test_names_that_are_not_text_stay_apart(self, stage: Stage) -> None:
        """Their previews and metadata have names that a record and a link can hold."""
        names = [b"a\xff.dm3", b"a\xfe.dm3", b"a%FF.dm3", b"b  c.dm3", b"d\n.dm3", b"e\xff/a.dm3"]
        record = built(stage, stage.session(*map(os.fsdecode, names)))
        datasets = record.findall(".//nx:dataset", NX)
        locations = {str(texts(dataset, "nx:location")[0]).rpartition("Titan/")[2] for dataset in datasets}
        assert locations == {"a%FF.dm3", "a%FE.dm3", "a%25FF.dm3", "b  c.dm3", "d%0A.dm3", "e%FF/a.dm3"}
        records = stage.app.settings.home / "records"
        previews = {str(texts(dataset, "nx:preview")[0]) for dataset in datasets}
        assert len(previews) == len(names)
        for dataset in datasets:
            assert (records / str(texts(dataset, "nx:preview")[0])).is_file()
            assert (records / str(meta(dataset)["Metadata"])).is_file()

    def test_long_names_are_cut_and_stay_apart(self) -> None:
        names = [as_text("\udcff" * 100 + end) for end in "ab"]
        assert len(set(names)) == 2
        assert max(map(len, names)) <= LONGEST_FILE_NAME
