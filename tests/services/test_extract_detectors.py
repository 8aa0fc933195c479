"""What programs of cameras, spectrometers and stages write about a measurement; and what their readers make up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.rosettasciio import direct_electron
from Services.Builder.extraction.extractors.rosettasciio.calibration import calibrated, plausible
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import reading_of
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real

pytestmark = reads_files

IMAGE = [{"size": 8, "name": "y", "units": "nm", "scale": 0.5}, {"size": 6, "name": "x", "units": "nm", "scale": 0.5}]


def read(plugin: str, original: dict[str, Any], metadata: dict[str, Any] | None = None) -> Reading:
    """Return what is made of a reader's dictionary."""
    found = {
        "data": np.zeros([8, 6]), "axes": IMAGE, "metadata": metadata or {}, "original_metadata": original,
        "mapping": {},
    }  # fmt: skip
    by = next(reader for reader in DECLARED_READERS if reader.plugin == plugin)
    return reading_of(by, Path("a.dat"), calibrated(plugin, Path("a.dat"), [found]))


def axes(plugin: str, original: dict[str, Any], *given: tuple[str, float, str | None]) -> list[tuple[Any, ...]]:
    """Return name, step and unit of a reader's axes after the calibration was looked at."""
    read = [{"name": name, "size": 4, "scale": scale, "offset": 0.0, "units": unit} for name, scale, unit in given]
    (found,) = calibrated(plugin, Path("a"), [{"axes": read, "original_metadata": original}])
    return [(axis["name"], pytest.approx(axis["scale"]), axis["units"]) for axis in found["axes"]]


class TestEachProgramsConditions:
    """001-36: what a program writes is among the quantities, by one name and in one unit."""

    @pytest.mark.parametrize(
        ("plugin", "original", "expected"),
        [
            ("Topspin", {
                "SystemName": "ThemIS", "CreatedBy": "E. S.", "Title": "map 3", "Comments": "with precession",
                "HardwareSettings": {
                    "GunHighVoltage": "300000", "StemEnabled": "True", "StemMagnification": "1000",
                    "PrecessionHardwarePrecessionAngle": "0.00872664625997165",
                    "PrecessionHardwarePrecessionFrequency": "100"},
                "ProcedureData": {
                    "DiffractionCameraLength": 0.14, "FrameTime": 0.01, "BlockFileProbeSize": 1e-10,
                    "IsPrecessionEnabled": "True"}}, {
                "Acceleration Voltage": Quantity(300, "kV"), "Camera Length": Quantity(140, "mm"),
                "Precession Angle": Quantity(0.5, "°"), "Precession Frequency": Quantity(100, "Hz"),
                "Exposure Time": Quantity(0.01, "s"), "Beam Diameter": Quantity(0.1, "nm"),
                "Magnification": Quantity(1000), "Operator": Quantity("E. S."), "Instrument": Quantity("ThemIS"),
                "Signal Name": Quantity("map 3"), "Comment": Quantity("with precession")}),
            ("EMPAD", {"root": {"exposure_time": "1.86", "iom_measurements": {
                "high_voltage": "300000.0", "nominal_camera_length": "0.3"}}}, {
                "Acceleration Voltage": Quantity(300, "kV"), "Camera Length": Quantity(300, "mm"),
                "Exposure Time": Quantity(0.00186, "s")}),
            ("QuantumDetector", {
                "mib_properties": {"exposure": 1.5}, "hdr_file": {"Thresholds (keV)": "2.000000E+1,5.11E+2"}}, {
                "Exposure Time": Quantity(0.0015, "s"), "Threshold Energy": Quantity(20, "keV")}),
            ("TVIPS", {"tvips_header": {"ht": 200000, "pixelsize": 15600, "dummy": b"TVIPS TVIPS"}}, {
                "Acceleration Voltage": Quantity(200, "kV"), "Detector Pixel Size": Quantity(15.6, "µm")}),
            ("TVIPS", {"tvips_header": {"ht": 200, "pixelsize": 2, "dummy": b"HYPERSPY HYPERSPY"}}, {
                "Acceleration Voltage": Quantity(200, "kV"), "Detector Pixel Size": None}),
            ("Blockfile", {"blockfile_header": {"Note": "Precession angle : 0.8 deg\r\nPrecession Frequency : 100 Hz"}},
             {"Precession Angle": Quantity(0.8, "°"), "Precession Frequency": Quantity(100, "Hz")}),
            ("Blockfile", {"blockfile_header": {"Note": "Precession angle : \r\nPrecession Frequency : "}},
             {"Precession Angle": None, "Precession Frequency": None}),
            ("PantaRhei", {
                "source.type": "scan_generator", "scan_generator.dwell_time": 1.5e-5,
                "scan_generator.detector": "pnADF", "camera.binning": [256.0, 256.0]}, {
                "Dwell Time": Quantity(15, "µs"), "Detector": Quantity("pnADF"), "Binning": None}),
            ("PantaRhei", {"source.type": "camera", "source.name": "Dhyana", "camera.binning": [2.0, 2.0]}, {
                "Detector": Quantity("Dhyana"), "Binning": Quantity("2 × 2")}),
            ("JEOL", {
                "Instrument": {
                    "Name": "JEM-2100F", "AccV": 200.0, "Currnnt": 2.562, "WorkD": 6.0, "ScanR": 239.0, "Mag": 40000},
                "Map": {"Title": "Fe K", "ElementNo": 26, "DwellTime": 0.1, "SweepCount": 14}}, {
                "Instrument": Quantity("JEM-2100F"), "Beam Current": Quantity(2.562, "nA"),
                "Working Distance": Quantity(6, "mm"), "Scan Rotation": Quantity(239, "°"), "Elements": Quantity("Fe"),
                "Dwell Time": Quantity(100, "µs"), "Frames": Quantity(14), "X-ray Line": Quantity("Fe K")}),
            ("JEOL", {
                "PTTD Data": {"AnalyzableMap MeasData": {
                    "Doc": {"LiveTime": 409.5, "RealTime": 418.56, "DwellTime(msec)": 0.5, "Sweep": 50,
                            "DeadTime": {"value": 1}, "CountRate": {"value": 538}},
                    "MeasCond": {"AccNA": 7.475}}},
                "PTTD Param": {"Params": {"PARAMPAGE0_SEM": {"SEM": "JEM-F200", "WorkD": 5.5}}}}, {
                "Live Time": Quantity(409.5, "s"), "Real Time": Quantity(418.56, "s"), "Frames": Quantity(50),
                "Dwell Time": Quantity(500, "µs"), "Dead Time": Quantity(1, "%"), "Count Rate": Quantity(538, "1/s"),
                "Beam Current": Quantity(7.475, "nA"), "Instrument": Quantity("JEM-F200"),
                "Working Distance": Quantity(5.5, "mm")}),
            ("Bruker", {"DSP Configuration": {"PixelTime": 1, "PixelAverage": 16}}, {"Dwell Time": Quantity(16, "µs")}),
            ("EDAX", {
                "spc_header": {"workingDist": 975, "detectType": 50, "ADCTimeConstantNew": 7.68, "takeoff": 35.51},
                "spd_header": {"nFrames": 8}, "ipr_header": {"mag": 2500}}, {
                "Working Distance": Quantity(9.75, "mm"), "Detector": Quantity("APOLLO-X"), "Frames": Quantity(8),
                "Time Constant": Quantity(7.68, "µs"), "Take-off Angle": Quantity(35.51, "°"),
                "Magnification": Quantity(2500)}),
            ("EDAX", {"spc_header": {"detectType": 12}}, {"Detector": Quantity("UTW (Sapphire)")}),
            ("MSA", {"XPOSITION": 1.5, "ZPOSITION -mm": 0.25, "EDSDET": "SIUTW", "OWNER": "EDAX TEAM"}, {
                "Stage X": Quantity(1500, "µm"), "Stage Z": Quantity(250, "µm"), "Operator": None,
                "Detector": Quantity("Si(Li), ultra-thin window")}),
            ("MRC", {"fei_header": {
                "a_tilt": np.array([-60.0, -58.0]), "x_stage": np.array([1e-5, 0]), "y_stage": np.array([12.5, 0]),
                "exp_time": np.array([0.5, 0.5]), "magnification": np.array([29000.0, 0])}}, {
                "Stage Alpha": Quantity(-60, "°"), "Stage X": Quantity(10, "µm"), "Stage Y": Quantity(12.5, "µm"),
                "Exposure Time": Quantity(0.5, "s"), "Magnification": Quantity(29000)}),
            ("TIA", {"ObjectInfo": {"ExperimentalDescription": {
                "Filter mode": "Spectroscopy", "Filter total energy loss_eV": 500.0, "Filter selected aperture": "3mm",
                "Filter drift tube_eV": 500.0}}}, {
                "Energy Loss": Quantity(500, "eV"), "Spectrometer Aperture": Quantity(3, "mm"),
                "Drift Tube Voltage": Quantity(500, "V")}),
            ("TIA", {"ObjectInfo": {"ExperimentalDescription": {
                "Filter mode": "None", "Filter total energy loss_eV": 0.0}}}, {"Energy Loss": None}),
            ("Impulse", {"Impulse_header": {"Sample": "Gold", "Description": "stub", "Gas1": "H2", "Gas2": "CH4"}}, {
                "Specimen": Quantity("Gold"), "Comment": Quantity("stub"), "Chamber Gas": Quantity("H2, CH4")}),
            ("Quadstar", {"general_header": {"username": "customer"}}, {"Operator": Quantity("customer")}),
            ("MSA", {"SOLIDANGL-sR": 0.13}, {"Solid Angle": Quantity(0.13, "sr")}),
            ("NeXus", {"measurement": {
                "instrument": {
                    "name": "Titan",
                    "ebeam_column": {"electron_source": {"voltage": {"value": 300000.0, "attrs": {"units": "V"}}}},
                    "optics": {
                        "magnification": 5000, "working_distance": 7.5,
                        "camera_length": {"value": np.array([0.115]), "attrs": {"units": b"m"}}}},
                "start_time": "2024-05-06T07:08:09+02:00"}}, {
                "Acceleration Voltage": Quantity(300, "kV"), "Camera Length": Quantity(115, "mm"),
                "Magnification": Quantity(5000), "Instrument": Quantity("Titan"), "Working Distance": None}),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )  # fmt: skip
    def test_among_its_quantities(self, plugin: str, original: dict[str, Any], expected: dict[str, Any]) -> None:
        meta = read(plugin, original).meta
        assert {name: meta.get(name) for name in expected} == expected

    def test_a_precession_that_was_off(self) -> None:
        original = {
            "HardwareSettings": {
                "PrecessionHardwarePrecessionAngle": "0.0087", "PrecessionHardwarePrecessionFrequency": "100",
            },
            "ProcedureData": {"IsPrecessionEnabled": "False"},
        }  # fmt: skip
        assert "Precession Angle" not in read("Topspin", original).meta

    def test_camera_length_in_metres(self) -> None:
        tem = {"Acquisition_instrument": {"TEM": {"camera_length": 0.02}}}
        assert read("PantaRhei", {}, tem).meta["Camera Length"] == Quantity(20, "mm")

    def test_time_of_a_nexus_file(self) -> None:
        found = read("NeXus", {"entry": {"start_time": "2024-05-06T07:08:09+02:00"}})
        assert found.acquired == datetime.fromisoformat("2024-05-06T07:08:09+02:00")

    def test_tags_that_hyperspy_kept_of_another_file(self) -> None:
        original = {"ObjectInfo": {"ExperimentalDescription": {"Spot size": 7}}}
        found = read("HSPY", original)
        assert found.meta["Spot Size"] == Quantity(7) and found.format == "HyperSpy HDF5"


class TestNothingKnown:
    """001-36: what a program writes for a number that it does not know is no value."""

    @pytest.mark.parametrize("text", ["None", "null", "NaN", "n/a", "unknown"])
    def test_no_number(self, text: str) -> None:
        assert quantity("Magnification", text) is None
        assert quantity("Operator", text) == Quantity(text), "a text may be any"


class TestDigitalMicrograph:
    """001-36: filter, scan, camera and processing; of a stack what its planes say."""

    def tags(self, **tags: Any) -> dict[str, Any]:
        return {"ImageList": {"TagGroup0": {"ImageTags": tags}}}

    def test_only_settings_that_are_switched_on(self) -> None:
        spectrometer = {
            "Drift tube enabled": 1, "Drift tube voltage (V)": 500.0, "Energy loss (eV)": 500.0, "Slit inserted": 0,
            "Slit width (eV)": 100.0, "HT offset enabled": 0, "HT offset (V)": 3.0,
        }  # fmt: skip
        meta = read("DigitalMicrograph", self.tags(**{"EELS Spectrometer": spectrometer})).meta
        assert (meta["Energy Loss"], meta["Drift Tube Voltage"]) == (Quantity(500, "eV"), Quantity(500, "V"))
        assert {"Slit Width", "High Tension Offset"}.isdisjoint(meta)

    def test_camera_and_processing(self) -> None:
        high = {"Exposure (s)": 0.25, "Processing": "Gain Normalized"}
        meta = read(
            "DigitalMicrograph",
            self.tags(
                Acquisition={
                    "Parameters": {"High Level": high}, "Device": {"CCD": {"Pixel Size (um)": (14.0, 14.0)}}
                },
                Processing={"TagGroup0": {"Operation": "Background Removal"}},
            ),
        ).meta  # fmt: skip
        assert (meta["Exposure Time"], meta["Detector Pixel Size"]) == (Quantity(0.25, "s"), Quantity(14, "µm"))
        assert meta["Processing"] == Quantity("Gain Normalized, Background Removal")

    @pytest.mark.parametrize(("summing", "expected"), [(1, Quantity(4)), (0, None)])
    def test_summed_frames_of_a_scan(self, summing: int, expected: Quantity | None) -> None:
        scan = {"Flyback": 50.0, "Rotation": 12.0, "Sum Frames": summing, "Number Summing Frames": 4.0}
        meta = read("DigitalMicrograph", self.tags(DigiScan=scan)).meta
        assert meta.get("Frames") == expected
        assert (meta["Flyback Time"], meta["Scan Rotation"]) == (Quantity(50, "µs"), Quantity(12, "°"))

    def test_a_stack_is_what_its_planes_are(self) -> None:
        source = {
            "DataBar": {"Acquisition Date": "1/13/2020", "Acquisition Time": "5:05:46 PM"},
            "DigiScan": {"Sample Time": 1.0},
            "Microscope Info": {
                "Voltage": 300000.0, "Illumination Mode": "STEM NANOPROBE", "STEM Camera Length": 100.0,
                "Stage Position": {"Stage X": 156.234},
            },
        }  # fmt: skip
        calibration = {letter: {"scale": 0.012, "origin": -0.0, "unit": "nm"} for letter in "XY"}
        original = self.tags(**{"plane info": {"TagGroup0": {"source tags": source, "calibration": calibration}}})
        found = read("DigitalMicrograph", original)
        expected = {
            "Acceleration Voltage": Quantity(300, "kV"), "Camera Length": Quantity(100, "mm"),
            "Dwell Time": Quantity(1, "µs"), "Stage X": Quantity(156.234, "µm"),
        }  # fmt: skip
        assert {name: found.meta.get(name) for name in expected} == expected
        assert found.column == "STEM" and found.acquired == datetime(2020, 1, 13, 17, 5, 46)  # noqa: DTZ001
        bare = axes("DigitalMicrograph", original, ("z", 1.0, ""), ("y", 1.0, ""), ("x", 1.0, ""))
        assert bare == [("z", 1.0, ""), ("y", 0.012, "nm"), ("x", 0.012, "nm")]
        own = axes("DigitalMicrograph", original, ("y", 0.5, "µm"))
        assert own == [("y", 0.5, "µm")], "a calibration of its own counts"


class TestDirectElectron:
    """001-36, 001-37: the text file beside a movie, whose names hold the units, and what its reader gets wrong."""

    PROPERTIES: ClassVar[dict[str, str]] = {
        "Camera Model": "CeleritasXS", "Frames Per Second (Max)": "100", "Frames Per Second": "61.05",
        "Autosave Movie Sum Count": "2",
        "Instrument Project Magnification": "20000", "Instrument Project Camera Length (centimeters)": "0",
        "Specimen Pixel Size X (nanometers)": "1.14786", "Specimen Pixel Size Y (nanometers)": "1.2",
        "Diffraction Pixel Size X": "-1", "Diffraction Pixel Size Y": "-1",
        "Instrument Stage Position X (micrometers)": "-3.5", "Temperature - Detector (Celsius)": "-20.5",
        "Hardware Binning X": "2", "Hardware Binning Y": "2", "Timestamp (seconds since Epoch)": "1729519200.5",
    }  # fmt: skip

    def test_quantities(self) -> None:
        found = read("MRC", {"de_metadata": self.PROPERTIES, "std_header": {}})
        expected = {
            "Detector": Quantity("CeleritasXS"), "Frame Rate": Quantity(61.05, "1/s"), "Magnification": Quantity(20000),
            "Stage X": Quantity(-3.5, "µm"), "Detector Temperature": Quantity(-20.5, "°C"),
            "Binning": Quantity("2 × 2"), "Camera Length": None,
        }  # fmt: skip
        assert {name: found.meta.get(name) for name in expected} == expected
        assert found.acquired == datetime(2024, 10, 21, 14, 0, 0, 500000, tzinfo=UTC)

    def test_what_was_not_reported_is_none(self) -> None:
        unknown = {
            "Instrument Project Magnification": "-1", "Instrument Stage Position X (micrometers)": "-1",
            "Instrument Stage Tilt Alpha (degrees)": "-1",
        }  # fmt: skip
        tem = {"Acquisition_instrument": {"TEM": {"magnification": "-1"}}}
        meta = read("MRC", {"de_metadata": unknown, "std_header": {}}, tem).meta
        assert {"Magnification", "Stage X", "Stage Alpha"}.isdisjoint(meta)

    def test_an_image_is_no_pattern(self) -> None:
        given = (("time", 0.0082, "sec"), ("ky", -1.0, "nm^-1"), ("kx", -1.0, "nm^-1"))
        found = axes("MRC", {"de_metadata": self.PROPERTIES}, *given)
        assert found == [("time", 2 / 61.05, "s"), ("y", 1.2, "nm"), ("x", 1.14786, "nm")]

    def test_steps_of_a_scan_are_those_of_the_file(self) -> None:
        properties = {
            **self.PROPERTIES, "Scan - Enable": "Enable", "Diffraction Pixel Size X": "0.02",
            "Instrument Project TEMorSTEM Mode": "1",
        }  # fmt: skip
        given = (("y", 1.0, "nm"), ("x", 1.0, "nm"), ("ky", 1.0, "nm^-1"), ("kx", 1.0, "nm^-1"))
        found = axes("MRC", {"de_metadata": properties}, *given)
        assert found == [("y", 1.2, "nm"), ("x", 1.14786, "nm"), ("ky", 1.0, None), ("kx", 0.02, "1/nm")]

    def test_a_scan_without_a_mode_of_the_microscope(self) -> None:
        assert direct_electron.scanning({"Scan - Enable": "Enable"})
        assert not direct_electron.scanning({"Scan - Enable": "Enable", "Instrument Project TEMorSTEM Mode": "0"})


class TestDectris:
    """001-36: what a detector writes into its master file."""

    def test_fields(self) -> None:
        detector = {
            "count_time": 0.001, "detector_distance": 0.5, "threshold_energy": 17500.0, "x_pixel_size": 1e-4,
            "beam_center_x": 96.5, "beam_center_y": 95.0, "description": "Dectris ARINA Si",
            "detector_number": "A-01-0011",
        }  # fmt: skip
        instrument = {"detector": detector, "beam": {"incident_energy": 200000.0}}
        found = read("Arina", {"entry": {"instrument": instrument}})
        expected = {
            "Exposure Time": Quantity(0.001, "s"), "Detector Distance": Quantity(500, "mm"),
            "Threshold Energy": Quantity(17.5, "keV"), "Detector Pixel Size": Quantity(100, "µm"),
            "Acceleration Voltage": Quantity(200, "kV"), "Beam Center": Quantity("96.5, 95.0"),
            "Detector": Quantity("Dectris ARINA Si"), "Detector Serial Number": Quantity("A-01-0011"),
        }  # fmt: skip
        assert {name: found.meta.get(name) for name in expected} == expected
        assert "Serial Number" not in found.meta, "that is the microscope's"


class TestNoCalibrationIsMadeUp:
    """001-37: a step that the file does not hold, or that no microscope has, is no calibration."""

    @pytest.mark.parametrize(
        ("plugin", "original", "given"),
        [
            ("Blockfile", {"blockfile_header": {"SDP": 0}}, ("dx", 1.0, "cm")),
            ("EMPAD", {}, ("series_count", 1.0, "ms")),
            ("TVIPS", {"tvips_header": {"pixelsize": 15600, "dummy": b"TVIPS"}}, ("dx", 15600.0, "nm")),
            ("TVIPS", {"tvips_header": {"pixelsize": 1, "dummy": b"HYPERSPY"}}, ("dx", 1.0, "1/nm")),
            ("EMD", {}, ("Energy", 1.0, "keV")),
            ("TIA", {"ObjectInfo": {}}, ("x", 2e-18, "1 / nm")),
            ("TIA", {"ObjectInfo": {}}, ("x", 1e9, "m")),
            ("TIA", {}, ("x", 1e9, "nm")),
            ("MRC", {"fei_header": {"pixel_size": np.array([0.0, 0.0])}}, ("x", 0.0, "nm")),
            ("MRC", {"de_metadata": {}}, ("kx", 1.0, "nm^-1")),
            ("Bruker", {}, ("width", 1.0, "pix")),
            ("Protochips", {"Protochips_header": {"Time units": "Minutes"}}, ("Time", 0.1, "s")),
            ("Quadstar", {"timestamps": [0.0, 0.0]}, ("Time", 1.0, "s")),
            ("JEOL", {}, ("x", float("inf"), "µm")),
            ("HSPY", {}, ("x", 1e-9, "fm")),
        ],
    )
    def test_no_unit(self, plugin: str, original: dict[str, Any], given: tuple[str, float, str]) -> None:
        by = next(reader for reader in DECLARED_READERS if reader.plugin == plugin)
        name, scale, unit = given
        axis = {"name": name, "size": 4, "scale": scale, "offset": 0.0, "units": unit}
        signals = calibrated(plugin, Path("a"), [{"axes": [axis], "original_metadata": original}])
        complete = {**signals[0], "data": np.zeros(4), "metadata": {}, "mapping": {}}
        main = reading_of(by, Path("a"), [complete]).main
        assert main is not None and (main.axes[0].unit, main.axes[0].scale) == (None, 1.0)

    @pytest.mark.parametrize(
        ("plugin", "original", "given", "expected"),
        [
            ("Blockfile", {"blockfile_header": {"SDP": 6226}}, ("dx", 0.01606, "cm"), (0.01606, "cm")),
            ("TVIPS", {"tvips_header": {"pixelsize": 2, "dummy": b"HYPERSPY"}}, ("dx", 2.0, "nm"), (2.0, "nm")),
            ("TIA", {}, ("x", 1e17, "nm"), (0.1, "1/nm")),
            ("TIA", {"ObjectInfo": {}}, ("x", 0.17, "1 / nm"), (0.17, "1 / nm")),
            ("EMD", {}, ("Energy", 0.01, "keV"), (0.01, "keV")),
            ("Protochips", {"Protochips_header": {"Time units": "Milliseconds"}}, ("Time", 0.1, "s"), (0.1, "s")),
            ("Quadstar", {"timestamps": [0.0, 10.0]}, ("Time", 10.0, "s"), (10.0, "s")),
            ("MRC", {"fei_header": {"pixel_size": np.array([3e-10])}}, ("x", 0.0, None), (0.3, "nm")),
        ],
    )  # fmt: skip
    def test_calibrations_stay_or_get_their_unit(
        self, plugin: str, original: dict[str, Any], given: tuple[str, float, str | None], expected: tuple[float, str]
    ) -> None:
        ((_, scale, unit),) = axes(plugin, original, given)
        assert (scale, unit) == expected

    @pytest.mark.parametrize(
        ("scale", "unit", "possible"),
        [
            (0.002, "nm", True), (1.0, "µm", True), (1.0, "m", False), (1e9, "m", False), (1e-8, "nm", False),
            (2e-18, "1/nm", False), (0.2, "1/nm", True), (1e-6, "1/nm", True), (1e7, "1/nm", False),
            (98.0, "1/µm", True), (0.1, "mrad", True), (3.0, "rad", False), (5.0, "eV", True), (1.0, "s", True),
            (1e30, None, True), (float("nan"), "nm", False), (25.4 / 72, "mm", False), (25400 / 300, "µm", False),
        ],
    )  # fmt: skip
    def test_limits_of_what_a_microscope_has(self, scale: float, unit: str | None, possible: bool) -> None:
        assert plausible(scale, unit) is possible


@real
class TestInstrumentsOwnFiles:
    """001-36, 001-37: the same in the files as the instruments wrote them, each value against that in the file."""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("arina/test_00_master.h5", {
                "Acceleration Voltage": 300, "Exposure Time": 9.95e-05, "Frame Time": 9.96e-05,
                "Threshold Energy": 17.5, "Detector Pixel Size": 100, "Detector": "Dectris ARINA CZT",
                "Software": "1.8.0"}),
            ("jeol/View000_0000001.map", {
                "Instrument": "JEM-2100F(UHR)", "Beam Current": 2.562, "Working Distance": 6, "Scan Rotation": 239,
                "Dwell Time": 100, "Frames": 14, "Elements": "C", "X-ray Line": "C K", "Acceleration Voltage": 200}),
            ("jeol/met03.EDS", {"Elements": "S, Fe", "Count Rate": 10590, "Take-off Angle": 22.3}),
            ("pantarhei/panta_rhei_sample.prz", {
                "Camera Length": 20, "Dwell Time": 15, "Flyback Time": 501, "Detector": "pnADF",
                "Comment": "BinCutROI of AC"}),
            ("topspin/topspin_test_B.app5", {
                "Acceleration Voltage": 300, "Camera Length": 140, "Precession Angle": 0.5, "Precession Frequency": 100,
                "Exposure Time": 0.01, "Step Size": 5, "Beam Diameter": 0.1, "Operator": "Edwin Supple",
                "Instrument": "NCEM ThemIS", "Comment": "zith precession on"}),
            ("edax/leo_edax_test.spc", {"Working Distance": 9.75, "Take-off Angle": 35.51, "Time Constant": 7.68}),
            ("edax/leo_edax_test.msa", {"Elements": "O, Co, S", "Take-off Angle": 35.5, "Time Constant": 7.68}),
            ("bruker/Hitachi_TM3030Plus.bcf", {"Dwell Time": 16}),
            ("bruker/bruker_nano.spx", {"Detector Serial Number": "9990"}),
            ("mib/Quad_1_Frame_CounterDepth_12_Rows_256.mib", {"Exposure Time": 0.001, "Threshold Energy": 2}),
            ("phenom/Elid2Version4.elid", {"Frames": 16, "Time Constant": 11.2}),
            ("dm_rsciio/3D_EELS_SI.dm4", {"Energy Loss": 500, "Drift Tube Voltage": 500}),
            ("dm_rsciio/2D_test_diffraction_pattern.dm3", {
                "Detector Pixel Size": 14, "Processing": "Gain Normalized", "Exposure Time": 0.2}),
            ("dm_rsciio/1D_test-EDS_spectrum.dm3", {"Solid Angle": 0.7, "Count Rate": 431}),
            ("dm_nexus/643_Titan_EELS_proc_intgrate_and_bg_dataZeroed.dm3", {
                "Processing": "Background Removal, Signal Integration"}),
            ("dm_nexus/TEM_list_signal_dataZeroed.dm3", {"Frames": 4, "Flyback Time": 50, "Scan Rotation": 0}),
            ("dm_nexus/Titan_STEM_stack_dataZeroed.dm3", {
                "Acceleration Voltage": 300, "Magnification": 7200000, "Camera Length": 100, "Dwell Time": 1,
                "Stage X": 156.234, "Stage Y": -33.405, "Stage Alpha": 5.127, "Stage Beta": 10.175}),
            ("tia_nexus/Titan_TEM_4_eds_line_scan_1_dataZeroed.emi", {"Spectrometer Aperture": 3, "Energy Loss": 0}),
            ("emd_velox/fei_emd_si.emd", {"Time Constant": 3}),
        ],
    )  # fmt: skip
    def test_quantities(self, name: str, expected: dict[str, Any]) -> None:
        meta = extract(DATA / name, None, None).meta
        assert {key: meta[key].value for key in expected if key in meta} == expected

    def test_empads_conditions(self) -> None:
        """Of its pattern file only the description is at hand."""
        from Services.Builder.extraction.extractors.rosettasciio.read import load

        by = next(reader for reader in DECLARED_READERS if reader.plugin == "EMPAD")
        meta = reading_of(by, DATA / "empad/map4x4.xml", load(by, DATA / "empad/map4x4.xml")).meta
        expected = {
            "Acceleration Voltage": Quantity(300, "kV"), "Camera Length": Quantity(722.5, "mm"),
            "Exposure Time": Quantity(0.001, "s"), "Spot Size": Quantity(6), "Sensor Bias": Quantity(150, "V"),
            "Screen Current": Quantity(0.001869213, "nA"),
        }  # fmt: skip
        assert {key: meta.get(key) for key in expected} == expected

    @pytest.mark.parametrize(
        ("name", "size"),
        [
            ("tvips/test_tvips_2233_000.tvips", None),
            ("bruker/Hitachi_TM3030Plus.bcf", None),
            ("dm_nexus/Titan_STEM_stack_dataZeroed.dm3", Quantity(0.01205354, "nm")),
            ("mrc/HAADFscan.mrc", Quantity(5.679131, "nm")),
        ],
    )
    def test_a_size_only_where_the_file_has_one(self, name: str, size: Quantity | None) -> None:
        meta = extract(DATA / name, None, None).meta
        sizes = ("Pixel Size", "Reciprocal Pixel Size", "Step Size", "Angular Pixel Size")
        assert next((meta[key] for key in sizes if key in meta), None) == size

    def test_times(self) -> None:
        edax = extract(DATA / "edax/leo_edax_test.spc", None, None).acquired
        arina = extract(DATA / "arina/test_00_master.h5", None, None).acquired
        stack = extract(DATA / "dm_nexus/Titan_STEM_stack_dataZeroed.dm3", None, None).acquired
        assert edax is not None and edax.replace(tzinfo=None) == datetime(2022, 8, 29, 10, 14, 8)  # noqa: DTZ001
        assert arina == datetime.fromisoformat("2025-05-03T01:51:00.302+02:00")
        assert stack == datetime(2020, 1, 13, 22, 5, 46, tzinfo=UTC)
