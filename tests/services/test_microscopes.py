"""Which microscope a spectrum is from: by the file's evidence, else by the instrument, else none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from NexusCore.facility.instruments import Instrument
from Services.Builder.extraction.context import ReadingContext
from Services.Builder.extraction.extract import extract, stages
from Services.Builder.extraction.extractors.rosettasciio.microscopes import grounded
from Services.Builder.extraction.microscope import MICROSCOPE, REASON
from Services.Builder.model import Extraction
from tests.services.instrument_files import reads_files
from tests.services.signal_files import image
from tests.services.test_builder_real_files import built, session_with
from tests.services.test_builder_real_files import stage as stage
from tests.services.test_named_spectra import DATA, real

pytestmark = [*reads_files, pytest.mark.filterwarnings("ignore::UserWarning")]


def emsa(path: Path, kind: str = "EDS", *further: str) -> Path:
    """Write a spectrum in the format of ISO 22029, with what stands in every header, and with further lines."""
    header = (
        "FORMAT      : EMSA/MAS Spectral Data File", "VERSION     : 1.0", "TITLE : a", "DATE        : 1-OCT-2020",
        "TIME        : 12:00", "OWNER       : EMSA", "NPOINTS     : 64.", "NCOLUMNS    : 1.", "XUNITS      : keV",
        "YUNITS      : counts", "DATATYPE    : Y", "XPERCHAN    : 0.2", "OFFSET      : 0.0",
        f"SIGNALTYPE  : {kind}", "LIVETIME  -s: 30.0", *further, "SPECTRUM    : Spectral Data Starts Here",
    )  # fmt: skip
    counts = "".join(f"{10.0 + number % 7},\n" for number in range(64))
    path.write_text("".join(f"#{line}\n" for line in header) + counts + "#ENDOFDATA   :\n")
    return path


def last(path: Path, column: str | None) -> Extraction:
    *_, extraction = stages(path, None, None, context=ReadingContext(column=column))
    return extraction


class TestTheFilesEvidence:
    """001-35: the beam's energy, a thin specimen or the mode of diffraction; without them no microscope is named."""

    @pytest.mark.parametrize(
        ("kind", "further", "data_type"),
        [
            ("EDS", (), "EDS"),
            ("EDS", ("BEAMKV   -kV: 0.0",), "EDS"),
            ("EDS", ("BEAMKV   -kV: 15.0",), "SEM_EDS"),
            ("EDS", ("BEAMKV   -kV: 200.0",), "TEM_EDS"),
            ("EDS", ("OPERMODE    : DIFFR",), "TEM_EDS"),
            ("EDS", ("OPERMODE    : SCIMG",), "EDS"),
            ("EDS", ("THICKNESS-nm: 50.0",), "TEM_EDS"),
            ("EDS", ("THICKNESS-nm: 0.0",), "EDS"),
            ("ELS", (), "TEM_EELS"),
            ("CLS", (), "CL"),
            ("CLS", ("BEAMKV   -kV: 5.0",), "SEM_CL"),
        ],
    )
    def test_of_emsa(self, kind: str, further: tuple[str, ...], data_type: str, tmp_path: Path) -> None:
        extraction = extract(emsa(tmp_path / "a.msa", kind, *further), None, None)
        assert (extraction.dataset_type, extraction.data_type) == ("Spectrum", data_type)
        assert extraction.meta["Live Time"].value == 30.0 or kind != "EDS"
        assert MICROSCOPE not in extraction.meta

    @real
    @pytest.mark.parametrize(
        ("file", "data_type"),
        [
            ("edax/leo_edax_test.msa", "SEM_EDS"),
            ("edax/leo_edax_test.spc", "SEM_EDS"),
            ("msa/example1.msa", "TEM_EELS"),
            ("bruker/bruker_nano.spx", "SEM_EDS"),
            ("jeol/met03.EDS", "TEM_EDS"),
            ("phenom/Elid2Version4.elid", "SEM_EDS"),
        ],
    )
    def test_of_real_files(self, file: str, data_type: str) -> None:
        assert last(DATA / file, "STEM").data_type == data_type

    @pytest.mark.parametrize("plugin", ["Bruker", "JEOL", "EDAX"])
    @pytest.mark.parametrize(("beam", "column"), [(None, None), (0.0, None), (20.0, "SEM"), (300.0, "TEM")])
    def test_of_readers_that_guess(self, plugin: str, beam: float | None, column: str | None) -> None:
        """Whatever the reader has taken the microscope for."""
        given: dict[str, Any] = {
            "metadata": {
                "Acquisition_instrument": {"SEM": {"beam_energy": beam, "magnification": 500.0}},
                "Signal": {"signal_type": "EDS_SEM"},
            },
            "original_metadata": {},
            "mapping": {"Stage.X": ("Acquisition_instrument.SEM.Stage.x", None)},
        }
        found = grounded(plugin, given)
        about = found["metadata"]["Acquisition_instrument"]
        assert (about[column] if column else about)["magnification"] == 500.0
        assert found["metadata"]["Signal"]["signal_type"] == ("EDS" if column is None else f"EDS_{column}")
        place = f"{column}." if column else ""
        assert found["mapping"] == {"Stage.X": (f"Acquisition_instrument.{place}Stage.x", None)}
        assert given["metadata"]["Signal"]["signal_type"] == "EDS_SEM"

    @pytest.mark.parametrize("metadata", [None, {}, {"Signal": 3}, {"Acquisition_instrument": {"SEM": 4, "TEM": {}}}])
    def test_of_odd_metadata(self, metadata: Any) -> None:
        assert grounded("MSA", {"metadata": metadata, "original_metadata": None})["original_metadata"] is None


class TestTheInstrument:
    """001-35: it says which microscope it is where the file does not, and the record says that it does."""

    @pytest.mark.parametrize(
        ("instrument", "column"),
        [
            (Instrument("FEI-Titan-TEM"), "TEM"),
            (Instrument("Q", "Quanta 200 FEG SEM"), "SEM"),
            (Instrument("Q", schema_name="FEI Quanta (SEM)"), "SEM"),
            (Instrument("Titan-STEM"), "STEM"),
            (Instrument("ARM", "JEOL TEM", "JEOL STEM"), None),
            (Instrument("SYSTEM-1", "temperature"), None),
            (Instrument("Titan-TEM", microscope="STEM"), "STEM"),
            (Instrument("Titan-TEM", microscope="nonsense"), "TEM"),
        ],
    )
    def test_by_its_configuration(self, instrument: Instrument, column: str | None) -> None:
        assert instrument.column == column

    def test_where_the_file_does_not_say(self, tmp_path: Path) -> None:
        extraction = last(emsa(tmp_path / "a.msa"), "SEM")
        assert extraction.data_type == "SEM_EDS"
        said = extraction.meta[MICROSCOPE]
        assert (said.value, said.warning, said.reason) == ("SEM", True, REASON)

    def test_the_file_goes_before(self, tmp_path: Path) -> None:
        extraction = last(emsa(tmp_path / "a.msa", "EDS", "BEAMKV   -kV: 200.0"), "SEM")
        assert extraction.data_type == "TEM_EDS"
        assert MICROSCOPE not in extraction.meta

    def test_pictures_may_be_of_anything(self, tmp_path: Path) -> None:
        extraction = last(image(tmp_path / "a.hspy"), "SEM")
        assert extraction.data_type == "Imaging"
        assert MICROSCOPE not in extraction.meta

    def test_in_a_record(self, stage: Any) -> None:
        stage.config["Instruments.Titan.microscope"] = "TEM"
        session = session_with(stage, emsa(stage.files / "a.msa"))
        (dataset,) = built(stage, session).values()
        values = {str(one.get("name")): str(one.text) for one in dataset.findall("{*}meta")}
        assert values["Data Type"] == "TEM_EDS"
        assert values[MICROSCOPE] == "TEM"
        assert REASON in values.values()
