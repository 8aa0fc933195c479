"""What light spectrometers, streak cameras and cathodoluminescence tell of microscope and measurement."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pytest
import tifffile

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import reading_of
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real

pytestmark = reads_files
SPECTRUM = [{"size": 16, "name": "Wavelength", "units": "nm", "scale": 0.5}]


def read(plugin: str, original: dict[str, Any], metadata: dict[str, Any] | None = None) -> Reading:
    """Return what is made of a reader's dictionary."""
    found = {
        "data": np.zeros(16), "axes": SPECTRUM, "metadata": metadata or {}, "original_metadata": original,
        "mapping": {},
    }  # fmt: skip
    return reading_of(next(one for one in DECLARED_READERS if one.plugin == plugin), Path("a.dat"), [found])


def values(reading: Reading, expected: dict[str, Quantity]) -> dict[str, Quantity]:
    return {name: reading.meta[name] for name in expected if name in reading.meta}


HAMAMATSU = {
    "Application": {"Software": "HPD-TA", "SoftwareVersion": "9.5 pf10"},
    "Camera": {"CameraName": "Orca R2", "BinningKeyVal": "2 x 2"},
    "Acquisition": {"NrExposure": "60", "ExposureTime": "5 s", "AcqMode": "4", "pntBinning": "2,2"},
    "Streak camera": {
        "DeviceName": "C5680", "Time Range": "20 us", "Mode": "Operate", "Gate Mode": "Normal", "MCP Gain": "50"},
    "Spectrograph": {
        "DeviceName": "Andor SG", "PluginName": "Kymera 328i", "Wavelength": "500", "Grating": "300 g/mm",
        "Blaze": "500", "Ruling": "300", "Side Ent. Slitw.": "10"},
    "Comment": "as grown",
}  # fmt: skip
STREAK = {
    "Detector": Quantity("C5680"), "Camera": Quantity("Orca R2"), "Exposure Time": Quantity(5, "s"),
    "Frames": Quantity(60), "Integration Time": Quantity(300, "s"), "Acquisition Mode": Quantity("Analog Integration"),
    "Binning": Quantity("2 × 2"), "Streak Time Range": Quantity(20_000, "ns"), "Streak Mode": Quantity("Operate"),
    "MCP Gain": Quantity(50), "Gate Mode": Quantity("Normal"), "Central Wavelength": Quantity(500, "nm"),
    "Spectrometer": Quantity("Andor SG, Kymera 328i"), "Grating Density": Quantity(300, "1/mm"),
    "Blaze Wavelength": Quantity(500, "nm"), "Entrance Slit Width": Quantity(0.01, "mm"),
    "Software": Quantity("HPD-TA 9.5 pf10"), "Comment": Quantity("as grown"),
}  # fmt: skip


class TestHamamatsu:
    """001-36: both formats of HPD-TA tell the same."""

    def test_itex(self) -> None:
        # what RosettaSciIO takes for millimetres
        found = read(
            "Hamamatsu",
            {"Comment": HAMAMATSU},
            {"Acquisition_instrument": {"Spectrometer": {"entrance_slit_width": 10}}},
        )
        assert values(found, STREAK) == STREAK

    def test_tiff(self) -> None:
        tags = {
            "Artist": "Copyright Hamamatsu GmbH, 2018",
            "Software": "HPD-TA 9.5",
            "ImageDescriptionParsed": HAMAMATSU,
        }
        found = read("TIFF", tags)
        assert (found.format, values(found, STREAK)) == ("Hamamatsu streak TIFF", STREAK)
        assert "Operator" not in found.meta, "a copyright is not a person who worked there"

    def test_a_range_without_a_unit_is_a_number(self) -> None:
        found = read("Hamamatsu", {"Comment": {"Streak camera": {"Time Range": "4"}}})
        assert found.meta["Streak Range Number"] == Quantity(4)
        assert "Streak Time Range" not in found.meta

    @pytest.mark.parametrize(
        ("slits", "width"),
        [
            ({"Front Ent. Slitw.": "20", "Side Ent. Slitw.": "30", "Entry Mirror": "Side"}, 0.03),
            ({"Front Ent. Slitw.": "20", "Side Ent. Slitw.": "0"}, 0.02),
            ({"Front Ent. Slitw.": "20", "Side Ent. Slitw.": "30"}, None),
            ({"Front Ent. Slitw.": "0", "Side Ent. Slitw.": "0"}, None),
        ],
    )
    def test_the_slit_that_light_enters_by(self, slits: dict[str, str], width: float | None) -> None:
        found = read("Hamamatsu", {"Comment": {"Spectrograph": slits}})
        assert found.meta.get("Entrance Slit Width") == (None if width is None else Quantity(width, "mm"))

    @real
    def test_in_its_own_file(self) -> None:
        path = DATA / "tif_hamamatsu/test_hamamatsu_streak_SCAN.tif"
        with tifffile.TiffFile(path) as file:
            stored = str(file.pages.first.tags[270].value)
        found = extract(path, None, None)
        assert "NrExposure=10000" in stored and found.meta["Frames"] == Quantity(10_000)
        assert "ExposureTime=150 ms" in stored and found.meta["Exposure Time"] == Quantity(0.15, "s")
        assert 'Wavelength="237"' in stored and found.meta["Central Wavelength"] == Quantity(237, "nm")
        assert 'pntBinning="2,2"' in stored and found.meta["Binning"] == Quantity("2 × 2")
        assert 'MCP Gain="63"' in stored and found.meta["MCP Gain"] == Quantity(63)
        assert 'Ruling="1200"' in stored and found.meta["Grating Density"] == Quantity(1200, "1/mm")
        assert {"Operator", "Entrance Slit Width", "Blaze Wavelength"}.isdisjoint(found.meta)


class TestHoriba:
    """001-36: LabSpec's keys hold the units; a confocal hole is no slit."""

    @real
    def test_in_its_own_file(self) -> None:
        path = DATA / "jobinyvon/jobinyvon_test_spec.xml"
        named, first, second = "0x6D6D616E", "0x7D6C61DB", "0x8736F70"
        stored = {}
        for element in ET.parse(path).iter("LSX"):
            entry = {child.get("ID"): (child.text or "").strip() for child in element}
            if named in entry:
                stored[entry[named]] = entry.get(second) or entry.get(first) or ""
        found = extract(path, None, None).meta
        for entry, name, unit in (
            ("Acq. time (s)", "Exposure Time", "s"), ("Accumulations", "Frames", None), ("Hole", "Pinhole", "µm"),
            ("Laser (nm)", "Laser Wavelength", "nm"), ("Grating", "Grating Density", "1/mm"),
            ("ND Filter", "Filter Transmission", "%"), ("Objective", "Objective Magnification", None),
            ("Full time(s)", "Real Time", "s"), ("X (µm)", "Stage X", "µm"), ("Z (µm)", "Stage Z", "µm"),
            ("Detector temperature (°C)", "Detector Temperature", "°C"), ("Laser Pol. (°)", "Polarization Angle", "°"),
            ("Spectro (nm)", "Central Wavelength", "nm"),
        ):  # fmt: skip
            assert found[name].value == pytest.approx(float(stored[entry]), rel=1e-6), entry
            assert found[name].unit == unit
        assert found["Instrument"] == Quantity("LabRAM HR Evol")
        assert {"Entrance Slit Width", "Analyzer Angle"}.isdisjoint(found), "there is no analyzer in the light"

    def test_a_slit_is_in_micrometres(self) -> None:
        found = read("JobinYvon", {"experimental_setup": {"Slit": "150", "Raman. Pol.": "H", "Raman Pol. (°)": 90.0}})
        assert found.meta["Entrance Slit Width"] == Quantity(0.15, "mm")
        assert found.meta["Analyzer Angle"] == Quantity(90, "°")


class TestRenishaw:
    """001-36: WiRE keeps the scan's settings in a tree of numbered branches."""

    def scan(self, **settings: Any) -> dict[str, Any]:
        branch = {"Accumulations": 2, "Exposure Time": 500, "X Binning": 1, "y Binning": 31, **settings}
        return {"WXDM_0": {"extra_matches": {"sub0": {"subdicts": {"sub1": branch}}}}}

    def test_the_scans_settings(self) -> None:
        found = read("Renishaw", self.scan(Units=3, **{"Centre Wavenumber": 330.5}))
        expected = {
            "Exposure Time": Quantity(0.5, "s"), "Frames": Quantity(2), "Binning": Quantity("1 × 31"),
            "Central Wavelength": Quantity(330.5, "nm"),
        }  # fmt: skip
        assert values(found, expected) == expected

    def test_a_shifts_centre_is_no_wavelength(self) -> None:
        assert "Central Wavelength" not in read("Renishaw", self.scan(Units=1, **{"Centre Wavenumber": 520.0})).meta

    @real
    def test_in_its_own_file(self) -> None:
        path = DATA / "renishaw/renishaw_test_spectrum.wdf"
        # the header, as the reader's source describes it: accumulations at byte 76, laser's wave number at 156
        (wavenumber,) = struct.unpack_from("<f", path.read_bytes(), 156)
        found = extract(path, None, None).meta
        assert found["Laser Wavelength"].value == pytest.approx(1e7 / wavenumber, rel=1e-5)
        expected = {
            "Exposure Time": Quantity(180, "s"), "Frames": Quantity(2), "Integration Time": Quantity(360, "s"),
            "Grating": Quantity("1200 l/mm (325nm PL / 532nm )"), "Filter Transmission": Quantity(100, "%"),
            "Real Time": Quantity(720.53, "s"), "Central Wavelength": Quantity(330.5873, "nm"),
            "Entrance Slit Width": Quantity(0.066, "mm"), "Grating Density": Quantity(1200, "1/mm"),
        }  # fmt: skip
        assert {name: found.get(name) for name in expected} == expected


class TestTriVista:
    """001-36: what an experiment used of all the hardware that the file lists."""

    @real
    def test_in_its_own_file(self) -> None:
        path = DATA / "trivista/spec_1s_1acc_1frame_average.tvf"
        (document,) = ET.parse(path).iter("Document")
        info = ET.fromstring(document.attrib["InfoSerialized"])
        stored = {item.findtext("Name"): item.findtext("Value") or "" for item in info.iter("Item")}
        found = extract(path, None, None).meta
        expected = {
            "Exposure Time": Quantity(float(stored["Exposure_Time_(ms)"]) / 1000, "s"),
            "Detector Temperature": Quantity(float(stored["Detector_Temperature"]), "°C"),
            "Spectrometer": Quantity(stored["Model"]), "Detector Gain": Quantity(float(stored["ADC__Gain"])),
            "Spectrometer Focal Length": Quantity(float(stored["Focallength"]), "mm"),
            "Entrance Slit Width": Quantity(float(stored["Slit_Entrance-Front"]) / 1000, "mm"),
            "Central Wavelength": Quantity(float(stored["Center_Wavelength"]), "nm"),
            "Grating Density": Quantity(750, "1/mm"), "Readout Rate": Quantity(1, "MHz"),
            "Acquisition Setup": Quantity(stored["Used Setup"]), "Objective": Quantity("100x"),
        }  # fmt: skip
        assert {name: found.get(name) for name in expected} == expected
        assert {"Exit Slit Width", "Laser Wavelength", "Blaze Wavelength"}.isdisjoint(found), "zeros are not values"

    def test_several_spectrometers(self) -> None:
        one = {"Model": "SP-2-500i", "Groove_Density": "900 g/mm", "Slit_Entrance-Front": 100, "Slit_Entrance-Side": 0}
        last = {"Model": "SP-2-750i", "Groove_Density": "1800 g/mm", "Slit_Entrance-Front": 5000, "Slit_Exit-Side": 30}
        used = {"Spectrometer1": one, "Spectrometer2": one, "Spectrometer3": last}
        found = read("TriVista", {"Document": {"InfoSerialized": {"Spectrometers": used}}})
        expected = {
            "Spectrometer": Quantity("SP-2-500i, SP-2-750i"), "Grating Density": Quantity(1800, "1/mm"),
            "Entrance Slit Width": Quantity(0.1, "mm"), "Exit Slit Width": Quantity(0.03, "mm"),
        }  # fmt: skip
        assert values(found, expected) == expected


class TestDelmic:
    """001-36, 001-39: Odemis' settings in SI units; defaults that stand in every file are no values."""

    @real
    @pytest.mark.parametrize(
        ("name", "spectral"), [("delmic/sparc-e-k.h5", True), ("delmic/sparc-time-correlator.h5", False)]
    )
    def test_in_its_own_files(self, name: str, spectral: bool) -> None:
        with h5py.File(DATA / name) as file:
            physical, image = (file["Acquisition2"][group] for group in ("PhysicalData", "ImageData"))
            extra = json.loads(physical["ExtraSettings"][0])
            integration, offset = float(physical["IntegrationTime"][0]), float(image["TOffset"][()])
        beam, place = extra["SEM E-beam"], extra["Spectrograph"]["position"][0]
        found = extract(DATA / name, None, None)
        meta = found.meta
        assert meta["Magnification"] == Quantity(beam["magnification"][0])
        assert meta["Dwell Time"].value == pytest.approx(beam["dwellTime"][0] * 1e6)
        assert found.acquired == datetime.fromtimestamp(offset, UTC)
        assert ("Exposure Time" in meta) == spectral
        if spectral:
            assert meta["Exposure Time"] == Quantity(integration, "s")
            assert meta["Central Wavelength"].value == pytest.approx(place["wavelength"] * 1e9)
            assert meta["Entrance Slit Width"].value == pytest.approx(place["slit-in"] * 1e3, rel=1e-6)
            assert (meta["Grating"], meta["Filter"]) == (Quantity("1"), Quantity("pass-through"))
        else:
            assert meta["Time Resolution"] == Quantity(extra["Time Correlator"]["pixelDuration"][0] * 1e12, "ps")
            assert meta["Optical Density"].value == pytest.approx(
                extra["TC Optical Density Filter"]["position"][0]["density"]
            )
            assert {"Central Wavelength", "Entrance Slit Width", "Grating"}.isdisjoint(meta)
        assert "Numerical Aperture" not in meta

    def test_what_a_streak_camera_and_a_polarimeter_add(self) -> None:
        found = read("Delmic", {
            "ChannelDescription": "Temporal Spectrum", "IntegrationTime": 0.5, "AccelerationVoltage": 5000.0,
            "EmissionCurrent": 2e-9, "TimeRange": 1e-8, "MCPGain": 20, "TriggerRate": 1e6, "Polarization": "rhc",
            "ExtraSettings": {"Stage": {"position": [{"x": 1.0}, "m"]}, "odd": 3},
        })  # fmt: skip
        expected = {
            "Exposure Time": Quantity(0.5, "s"), "Acceleration Voltage": Quantity(5, "kV"),
            "Beam Current": Quantity(2, "nA"), "Streak Time Range": Quantity(10, "ns"), "MCP Gain": Quantity(20),
            "Trigger Rate": Quantity(1_000_000, "Hz"), "Polarization": Quantity("rhc"),
        }  # fmt: skip
        assert values(found, expected) == expected

    @pytest.mark.parametrize(
        "extra", [None, [], "text", {"a": {"position": []}}, {"b": {"magnification": 1, "scale": 2}}]
    )
    def test_settings_of_another_shape_cost_only_themselves(self, extra: Any) -> None:
        found = read("Delmic", {"ChannelDescription": "Spectrum", "IntegrationTime": 1.0, "ExtraSettings": extra})
        assert found.meta["Exposure Time"] == Quantity(1, "s")


class TestDigitalSurf:
    """001-36: Attolight's settings in the comment, each with its unit behind."""

    def test_the_comment(self) -> None:
        comment = {
            "SEM": {"Beam Energy": 8000, "Beam Energy_units": "V", "Real Magnification": 16000},
            "SPECTROMETER": {
                "Grating - Groove Density": 150, "Grating - Groove Density_units": "l/mm", "Grating": "150/500",
                "Entrance slit width": 0.1, "Entrance slit width_units": "mm", "Central wavelength": 450,
                "Central wavelength_units": "nm"},
            "CCD": {
                "Camera Model": "Newton", "Exposure Time": 20, "Exposure Time_units": "ms", "Horizontal Binning": 2},
            "SCAN": {"HYP Dwelltime": 10, "HYP Dwelltime_units": "ms"},
        }  # fmt: skip
        header = {"H06_Object_Name": "* map *", "H07_Operator_Name": "me", "H47_Measurement_duration": 12.5}
        found = read("DigitalSurf", {"Object_0_Channel_0": {"Header": header, "Parsed": comment}})
        expected = {
            "Acceleration Voltage": Quantity(8, "kV"), "Magnification": Quantity(16_000),
            "Grating Density": Quantity(150, "1/mm"), "Grating": Quantity("150/500"), "Detector": Quantity("Newton"),
            "Entrance Slit Width": Quantity(0.1, "mm"), "Central Wavelength": Quantity(450, "nm"),
            "Exposure Time": Quantity(0.02, "s"), "Dwell Time": Quantity(10_000, "µs"), "Binning": Quantity("2"),
            "Real Time": Quantity(12.5, "s"), "Operator": Quantity("me"), "Signal Name": Quantity("map"),
        }  # fmt: skip
        assert values(found, expected) == expected
