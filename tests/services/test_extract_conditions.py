"""What single vendors' files tell of microscope and measurement, and what of it contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import Axis, Signal
from Services.Builder.extraction.extractors.fei_tiff.read import _special
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.plausibility import mark_contradictions
from Services.Builder.extraction.extractors.rosettasciio.corrections import prismatic_axes, signals_only
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.read import reading_of
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.model import Extraction, Quantity
from tests.services.instrument_files import DATA, reads_files, real

pytestmark = reads_files

IMAGE = [{"size": 8, "name": "y", "units": "nm", "scale": 0.5}, {"size": 6, "name": "x", "units": "nm", "scale": 0.5}]
SPECTRUM = [{"size": 16, "name": "Energy", "units": "keV", "scale": 1.25}]


def read(
    plugin: str,
    original: dict[str, Any],
    metadata: dict[str, Any] | None = None,
    axes: list[dict[str, Any]] = IMAGE,
    name: str = "a.dat",
) -> Reading:
    """Return what is made of a reader's dictionary."""
    found = {
        "data": np.zeros([axis["size"] for axis in axes]), "axes": axes, "metadata": metadata or {},
        "original_metadata": original, "mapping": {},
    }  # fmt: skip
    return reading_of(next(one for one in DECLARED_READERS if one.plugin == plugin), Path(name), [found])


def shown(reading: Reading, expected: dict[str, Any]) -> dict[str, Any]:
    return {name: reading.meta[name] for name in expected if name in reading.meta}


class TestEachVendorsConditions:
    """001-36: what a microscopist looks for is among the quantities, by one name and in one unit."""

    @pytest.mark.parametrize(
        ("plugin", "original", "expected"),
        [
            ("JEOL", {
                "Header": {"real time": 34.97, "live time": 30.0, "DeadTime": 15.0, "username": "gatan"},
                "Footer": {"Parameters": {"SEM": "JEM-2100F(UHR)", "AccNA": 2.562, "WorkD": 5.5}}}, {
                "Real Time": Quantity(34.97, "s"), "Live Time": Quantity(30, "s"), "Dead Time": Quantity(15, "%"),
                "Operator": Quantity("gatan"), "Instrument": Quantity("JEM-2100F(UHR)"),
                "Beam Current": Quantity(2.562, "nA"), "Working Distance": Quantity(5.5, "mm")}),
            ("Bruker", {"Microscope": {"WD": 8.42176, "Mag": 3138.5}}, {
                "Working Distance": Quantity(8.42176, "mm"), "Magnification": Quantity(3138.5)}),
            ("Bruker", {
                "Analysis": {"WorkingDistance": 9, "Magnification": 666.6},
                "Hardware": {"DetectorTemperature": -20, "DeadTime": 3}}, {
                "Working Distance": Quantity(9, "mm"), "Magnification": Quantity(666.6),
                "Detector Temperature": Quantity(-20, "°C"), "Dead Time": Quantity(3, "%")}),
            ("Phenom", {
                "instrument": {"type": "PhenomXL", "uniqueID": "MVE0-26", "softwareVersion": "5.4.5"},
                "acquisition": {"scan": {
                    "dwellTime": {"value": 200, "unit": "ns"}, "emissionCurrent": {"value": 40.3, "unit": "uA"},
                    "spotSize": 4.3, "detector": "bsd-all"}}}, {
                "Instrument": Quantity("PhenomXL"), "Serial Number": Quantity("MVE0-26"),
                "Software": Quantity("5.4.5"), "Dwell Time": Quantity(0.2, "µs"), "Spot Size": Quantity(4.3),
                "Emission Current": Quantity(40.3, "µA"), "Detector": Quantity("bsd-all")}),
            ("EMD", {
                "Core": {"MetadataDefinitionVersion": "7.9"},
                "Instrument": {"InstrumentId": "6308", "ControlSoftwareVersion": "1.6.0"},
                "BinaryResult": {"Detector": "SuperXG2"},
                "Detectors": {
                    "Detector-3": {"DetectorName": "HAADF"},
                    "Detector-4": {"DetectorName": "SuperXG21", "ElevationAngle": "0.38397244"},
                    "Detector-5": {"DetectorName": "SuperXG22", "ElevationAngle": "0.38397244"}},
                "Optics": {
                    "GunLensSetting": "4", "ExtractorVoltage": "4098.9", "Apertures": {
                        "Aperture-0": {"Name": "C2", "Diameter": "6.9999999999999994e-005"},
                        "Aperture-1": {"Name": "OBJ", "Type": "None"},
                        "Aperture-2": {"Name": "SA", "Diameter": "0.0008"}}}}, {
                "C2 Aperture": Quantity(70, "µm"), "Selected-Area Aperture": Quantity(800, "µm"),
                "Gun Lens": Quantity(4), "Extraction Voltage": Quantity(4.0989, "kV"),
                "Serial Number": Quantity("6308"), "Software": Quantity("1.6.0"),
                "Detector Elevation": Quantity(22, "°")}),
            ("TIA", {"ObjectInfo": {"ExperimentalDescription": {
                "Mode": "STEM nP", "C2 Aperture_um": 50.0, "Gun lens": 6, "Extraction voltage_V": 4400.0}}}, {
                "C2 Aperture": Quantity(50, "µm"), "Gun Lens": Quantity(6),
                "Extraction Voltage": Quantity(4.4, "kV")}),
            ("TIFF", {"ImageDescription": {
                "ElectronGun": {"GunType": "gunFilament", "FilamentType": "filamentLaB6"},
                "ImageSourceDetector": "screenCamera", "JemBaumerCamera": {"Parameter": {
                    "ExposureTimeValue": 250000, "BinningHorizontalSize": 1, "BinningVerticalSize": 1}}}}, {
                "Electron Source": Quantity("LaB6"), "Detector": Quantity("screenCamera"),
                "Exposure Time": Quantity(0.25, "s"), "Binning": Quantity("1 × 1")}),
            ("TIFF", {"ImageDescription": {"ElectronGun": {"GunType": "gunFEG"}}}, {
                "Electron Source": Quantity("FEG")}),
            ("TVIPS", {"tvips_header": {"binx": 2, "biny": 4}}, {"Binning": Quantity("2 × 4")}),
            ("Renishaw", {
                "WDF1_1": {"username": "optik", "app_version": "5-5"},
                "WXIS_0": {"Instrument type": "InVia", "Slits": {"Opening": "66µm"}, "Stage": {"X": 25219.8}}}, {
                "Instrument": Quantity("InVia"), "Operator": Quantity("optik"), "Software": Quantity("5-5"),
                "Entrance Slit Width": Quantity(0.066, "mm"), "Stage X": Quantity(25219.8, "µm")}),
        ],
        ids=lambda one: one if isinstance(one, str) else "",
    )  # fmt: skip
    def test_among_its_quantities(self, plugin, original, expected):
        assert shown(read(plugin, original), expected) == expected

    def test_a_retracted_aperture_has_no_size(self):
        original = {"Core": {"MetadataDefinitionVersion": "7.9"}, "Optics": {"Apertures": {"A": {"Name": "OBJ"}}}}
        assert "Objective Aperture" not in read("EMD", original).meta
        original = {"ObjectInfo": {"ExperimentalDescription": {"OBJ Aperture": "retracted"}}}
        assert "Objective Aperture" not in read("TIA", original).meta

    @pytest.mark.parametrize("mode", ["On", "Off"])
    def test_landing_energy_is_reported_if_decelerated(self, mode):
        found = _special({"EBeamDeceleration": {"ModeOn": mode, "LandingEnergy": "500"}})["Landing Energy"]
        assert found == (Quantity(0.5, "keV") if mode == "On" else None)

    def test_what_cathodoluminescence_needs(self):
        found = read(
            "DigitalMicrograph",
            {},
            {
                "Acquisition_instrument": {
                    "Spectrometer": {"entrance_slit_width": 0.961, "bandpass": 14.99},
                    "Detector": {"pmt_voltage": 1000.0},
                }
            },
        )
        expected = {
            "Entrance Slit Width": Quantity(0.961, "mm"), "Bandpass": Quantity(14.99, "nm"),
            "Photomultiplier Voltage": Quantity(1000, "V"),
        }  # fmt: skip
        assert shown(found, expected) == expected

    def test_a_file_name_is_no_specimen(self):
        assert "Specimen" not in read("Bruker", {}, {"Sample": {"name": "map.spx"}}, name="map.spx").meta
        assert "Specimen" in read("Bruker", {}, {"Sample": {"name": "steel"}}, name="map.spx").meta


class TestEmsa:
    """001-36: the keywords of ISO 22029, with units as the standard has them or as version 1.0 writes them behind."""

    def file(self, folder: Path, *keywords: str) -> Extraction:
        needed = (
            "#FORMAT : EMSA/MAS Spectral Data File", "#VERSION : 1.0", "#TITLE : NiO", "#DATE : 01-OCT-1991",
            "#TIME : 12:00", "#OWNER : me", "#NPOINTS : 3.", "#NCOLUMNS : 1.", "#XUNITS : eV", "#YUNITS : Intensity",
            "#DATATYPE : Y", "#XPERCHAN : 3.1", "#OFFSET : 520.13", "#SIGNALTYPE : ELS", "#YLABEL : Counts",
        )  # fmt: skip
        lines = [*needed, *keywords, "#SPECTRUM : ", "1.0,", "2.0,", "3.0,", "#ENDOFDATA : "]
        (folder / "a.msa").write_text("\n".join(lines) + "\n")
        found = extract(folder / "a.msa", None, None)
        assert found.warnings == ()
        return found

    @pytest.mark.parametrize("suffixes", [("", ""), (" -uA", " -nm")])
    def test_emission_diameter_and_magnification(self, tmp_path, suffixes):
        emission, diameter = suffixes
        meta = self.file(
            tmp_path, f"#EMISSION{emission} : 5.5", f"#BEAMDIAM{diameter} : 100.0", "#MAGCAM : 150.", "#OPERMODE : IMAG"
        ).meta
        assert (meta["Emission Current"], meta["Beam Diameter"]) == (Quantity(5.5, "µA"), Quantity(100, "nm"))
        assert (meta["Magnification"], meta["Imaging Mode"]) == (Quantity(150), Quantity("Imaging"))
        assert "Camera Length" not in meta

    @pytest.mark.parametrize(("mode", "said"), [("DIFFR", "Diffraction"), ("SCDIF", "Scanning Diffraction")])
    def test_in_diffraction_the_same_keyword_is_the_camera_length(self, tmp_path, mode, said):
        meta = self.file(tmp_path, "#MAGCAM : 48.", f"#OPERMODE : {mode}").meta
        assert (meta["Camera Length"], meta["Imaging Mode"]) == (Quantity(48, "mm"), Quantity(said))
        assert "Magnification" not in meta

    def test_an_ordinate_without_unit_is_labelled_once(self, tmp_path):
        found = read("MSA", {}, {"Signal": {"quantity": "Counts (Intensity)"}}, SPECTRUM)
        assert found.main is not None and found.main.quantity == "Counts"


class TestAScanningMicroscope:
    """001-36: an SEM has a stage that tilts and rotates, and no camera length, whatever its file calls the fields."""

    def test_a_transmission_microscopes_fields(self):
        stage = {"tilt_alpha": -0.412, "tilt_beta": 341.0}
        sem = {"camera_length": 1.0, "acquisition_mode": "SEM", "beam_energy": 3.0, "Stage": stage}
        meta = read("DigitalMicrograph", {}, {"Acquisition_instrument": {"SEM": sem}}).meta
        assert (meta["Stage Tilt"], meta["Stage Rotation"]) == (Quantity(-0.412, "°"), Quantity(341, "°"))
        assert {"Camera Length", "Stage Alpha", "Stage Beta"}.isdisjoint(meta)

    def test_a_transmission_microscope_keeps_them(self):
        tem = {"camera_length": 135.0, "beam_energy": 200.0, "Stage": {"tilt_beta": 3.0}}
        meta = read("DigitalMicrograph", {}, {"Acquisition_instrument": {"TEM": tem}}).meta
        assert (meta["Camera Length"], meta["Stage Beta"]) == (Quantity(135, "mm"), Quantity(3, "°"))

    def test_the_magnification_of_a_tvips_pattern_is_its_camera_length_in_some_unit(self):
        tem = {"Acquisition_instrument": {"TEM": {"magnification": 80}}}
        assert "Magnification" not in read("TVIPS", {}, {**tem, "Signal": {"signal_type": "diffraction"}}).meta
        assert read("TVIPS", {}, tem).meta["Magnification"] == Quantity(80)


class TestPrismatic:
    """001-36: simulated images have the size that they were simulated at, whatever unit their axes claim."""

    def axes(self, *axes: tuple[str, float]) -> list[tuple[str, float, float]]:
        parameters = {
            "probeStepX": 0.25, "probeStepY": 0.3, "detectorAngleStep": 1.0, "sliceThickness": 1.3575,
            "cellDimension": np.array([5.43, 5.43, 5.43], "f4"), "tile": np.array([1.0, 2.0, 1.0], "f4"),
            "interpolationFactorX": 4,
        }  # fmt: skip
        found = {
            "axes": [{"units": unit, "scale": scale, "offset": 2 * scale, "size": 16} for unit, scale in axes],
            "original_metadata": {"simulation_parameters": parameters},
        }
        (one,) = prismatic_axes(Path("a.emd"), [found])
        return [(axis["units"], round(axis["scale"], 6), round(axis["offset"], 6)) for axis in one["axes"]]

    def test_steps_that_are_in_another_unit_than_they_claim(self):
        found = self.axes(("mrad", 0.001), ("nm", 0.3), ("nm", 0.25))
        assert found == [("mrad", 1.0, 2.0), ("nm", 0.03, 0.06), ("nm", 0.025, 0.05)]

    def test_slices_pixels_and_patterns_of_the_cell(self):
        found = self.axes(("nm", 1.3575), ("nm", 5.43 / 16), ("1 / nm", 1 / 5.43), ("1/nm", 4 / 10.86))
        assert [scale for _, scale, _ in found] == [0.13575, 0.033938, 1.841621, 3.683241]

    def test_right_ones_and_others_stay(self):
        right = [("mrad", 1.0), ("nm", 0.03), ("Å", 0.25), ("nm", 0.7), ("1/nm", 1.8416)]
        assert self.axes(*right) == [(unit, scale, 2 * scale) for unit, scale in right]
        plain = {"axes": [{"units": "nm", "scale": 0.25, "offset": 0.0}], "original_metadata": {}}
        assert prismatic_axes(Path("a.emd"), [plain]) == [plain]


class TestTheColumn:
    """001-38: a file that does not tell what microscope it is from is not said to be a TEM's."""

    @pytest.mark.parametrize(
        ("plugin", "original", "name", "expected"),
        [
            ("MRC", {}, "HAADFscan.mrc", "STEM_Imaging"),
            ("MRC", {}, "abf_stem_2.mrc", "STEM_Imaging"),
            ("MRC", {}, "my_system.mrc", "TEM_Imaging"),
            ("TIA", {}, "scan_1.ser", "Imaging"),
            ("TIA", {}, "scan_HAADF_1.ser", "STEM_Imaging"),
            ("TIA", {}, "STEMimage_1.ser", "STEM_Imaging"),
            ("TIA", {"ObjectInfo": {"ExperimentalDescription": {"Mode": "TEM uP"}}}, "scan_1.emi", "TEM_Imaging"),
            ("TIFF", {}, "haadf3.tif", "STEM_Imaging"),
            ("TIFF", {}, "plant stem.tif", "Imaging"),
        ],
    )
    def test_file_or_name_identifies_the_microscope(self, plugin, original, name, expected):
        assert kind_of(read(plugin, original, name=name), Path(name).stem).data_type == expected


def signal(*axes: Axis) -> Signal:
    return Signal(np.zeros([axis.size for axis in axes]), axes)


def of(**values: float) -> dict[str, Quantity]:
    units = {"Dwell Time": "µs", "Frames": None}
    names = {name.replace("_", " ").title(): value for name, value in values.items()}
    return {name: Quantity(value, units.get(name, "s")) for name, value in names.items()}


MAP = signal(Axis(16, "y", "nm"), Axis(16, "x", "nm"), Axis(64, "Energy", "keV", 0.3))
PICTURE = signal(Axis(512, "y", "nm"), Axis(512, "x", "nm"))


class TestContradictions:
    """001-40: quantities that contradict each other are shown, and marked as unreliable."""

    @pytest.mark.parametrize(
        ("one", "meta", "doubtful"),
        [
            (MAP, of(live_time=1.0, real_time=0.5), {"Live Time", "Real Time"}),
            (MAP, of(live_time=30.0, real_time=34.97), set()),
            (MAP, of(live_time=30.000002, real_time=30.0), set()),
            (MAP, of(live_time=30.0), set()),
            (None, of(live_time=4.047, real_time=3.001), {"Live Time", "Real Time"}),
            (MAP, of(dwell_time=0.2, real_time=3.0), {"Dwell Time"}),
            (MAP, of(dwell_time=1000.0, real_time=3.0, frames=12), set()),
            (MAP, of(dwell_time=6.0, frame_time=1.9), {"Dwell Time", "Frame Time"}),
            (PICTURE, of(dwell_time=6.0, frame_time=1.9), set()),
            (PICTURE, of(dwell_time=0.006, frame_time=1.9), {"Dwell Time", "Frame Time"}),
            (signal(Axis(64, "Energy", "keV")), of(dwell_time=6.0, frame_time=1.9, real_time=30.0), set()),
        ],
    )
    def test_contradicting_quantities_are_marked(self, one, meta, doubtful):
        found = mark_contradictions(meta, one)
        assert {name for name, value in found.items() if value.warning} == doubtful
        assert {name: (value.value, value.unit) for name, value in found.items()} == {
            name: (value.value, value.unit) for name, value in meta.items()
        }

    def test_in_whatever_file(self):
        eds = {"Detector": {"EDS": {"live_time": 1.0, "real_time": 0.5}}}
        for plugin, column in (("DigitalMicrograph", "TEM"), ("HSPY", "SEM"), ("Bruker", "SEM")):
            meta = read(plugin, {}, {"Acquisition_instrument": {column: eds}}, SPECTRUM).meta
            assert meta["Live Time"].warning and meta["Real Time"].warning, plugin

    def test_an_earlier_mark_stays(self):
        assert mark_contradictions({"Operator": Quantity("x", warning=True)}, None)["Operator"].warning


@real
class TestInstrumentsOwnFiles:
    """001-36, 001-38, 001-40: the same in the files as the microscopes wrote them."""

    @pytest.mark.parametrize(
        ("name", "expected", "marks"),
        [
            ("dm_nexus/Titan_EDS_SI_dataZeroed.dm4", {}, {"Live Time", "Real Time", "Operator", "Specimen"}),
            ("phenom/Elid2Version4.elid", {
                "Instrument": "PhenomXL", "Serial Number": "MVE027364-0026-L", "Emission Current": 40.3,
                "Dwell Time": 0.2, "Detector": "FastSDD_C2", "Spot Size": 4.3}, {
                "Live Time", "Real Time", "Dwell Time"}),
            ("tia_nexus/Titan_TEM_4_eds_line_scan_1_dataZeroed.emi", {"C2 Aperture": 50}, {"Dwell Time", "Frame Time"}),
            ("tia_nexus/Titan_TEM_2_HAADF_STEM_dataZeroed.emi", {"Dwell Time": 12, "Frame Time": 14.9988}, set()),
            ("jeol/met03.EDS", {"Real Time": 34.97, "Working Distance": 5.5, "Instrument": "JEM-2100F(UHR)"}, set()),
            ("mrc/HAADFscan.mrc", {
                "Instrument": "Spectra", "Acceleration Voltage": 300, "Dwell Time": 10000, "Stage X": 23.856,
                "Camera Length": 91.1, "Convergence Angle": 14.32732, "Detector": "HAADF"}, set()),
            ("emd/Si100_3D.emd", {"Pixel Size": 0.025}, set()),
            ("bruker/Hitachi_TM3030Plus.bcf", {"Working Distance": 8.6}, set()),
            ("emd_velox/fei_emd_si.emd", {"C2 Aperture": 70, "Detector Elevation": 22}, set()),
            ("edax/leo_edax_test.msa", {"Detector": "Octane Elite 25", "Energy Resolution": 125.2}, set()),
            ("tif_other/JEOL-SightX-SAED-dummy.tif", {"Electron Source": "LaB6", "Exposure Time": 0.25}, set()),
            ("dm_rsciio/2D_test-MonarcCL_mono-image.dm4", {"Stage Rotation": 341, "Stage Tilt": -0.412}, set()),
        ],
    )  # fmt: skip
    def test_quantities_and_marks(self, name, expected, marks):
        meta = extract(DATA / name, None, None).meta
        assert {key: meta[key].value for key in expected if key in meta} == expected
        assert {key for key, one in meta.items() if one.warning} == marks

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("mrc/HAADFscan.mrc", "STEM_Imaging"),
            ("tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed_1.ser", "Imaging"),
            ("tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed_2.ser", "EDS"),
            ("tia_nexus/Titan_TEM_2_HAADF_STEM_dataZeroed_1.ser", "STEM_Imaging"),
        ],
    )
    def test_each_file_has_the_expected_type(self, name, expected):
        assert extract(DATA / name, None, None).data_type == expected


class TestAxesAreNoSignals:
    """001-36: a NeXus file keeps the positions along its axes as datasets, which nobody wants to see drawn."""

    def test_they_are_left_out(self) -> None:
        axis = {"size": 4, "name": "x", "units": "nm", "scale": 10.0, "offset": 5.0}
        image = {"data": np.zeros((4, 4)), "axes": [axis, axis]}
        positions = {"data": np.array([5.0, 15.0, 25.0, 35.0]), "axes": [axis]}
        profile = {"data": np.array([5.0, 15.0, 26.0, 35.0]), "axes": [axis]}
        assert signals_only(Path("a.nxs"), [image, positions, profile]) == [image, profile]
        assert signals_only(Path("a.nxs"), [positions]) == [positions], "a file holds something"
