"""What TIFF files and pictures tell of microscope and measurement in tags of their own."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.rosettasciio.vendors import vendors_for
from Services.Builder.extraction.extractors.safe_xml import nested, parsed
from Services.Builder.extraction.extractors.terms import applied
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.tiff_files import ome, read, sizes, tag, values, written

pytestmark = reads_files


LABELS = (
    ("Microscope", "Microscope Titan 300 kV D3094 SuperTwin", ""), ("User", "me", ""), ("High tension", "300", "kV"),
    ("Emission", "41.0", "uA"), ("Defocus", "-1.5", "um"), ("Magnification", "6300", "x"),
    ("Camera length", "0.285", "m"), ("Stage X", "307.693", "um"), ("Stage A", "0.5", "deg"), ("Filter mode", "", ""),
)  # fmt: skip


def labelled(*more: tuple[str, str, str]) -> str:
    data = "".join(
        f"<Data><Label>{label}</Label><Value>{value}</Value><Unit>{unit}</Unit></Data>"
        for label, value, unit in (*LABELS, *more)
    )
    return f"<Root>{data}</Root> "


class TestTransmissionMicroscopesOfFei:
    """001-36, 001-38: TIA's list of labels, values and units, where scanning microscopes have an INI file."""

    def test_each_label_in_its_unit(self, tmp_path: Path) -> None:
        found = read(written(tmp_path / "a.tif", (34682, labelled(("Mode", " TEM uP SA Zoom Image", "")))))
        assert (found.format, found.column) == ("FEI/Thermo Fisher TEM TIFF", "TEM")
        expected = {
            "Instrument": Quantity("Titan 300 kV D3094 SuperTwin"), "Serial Number": Quantity("D3094"),
            "Operator": Quantity("me"), "Acceleration Voltage": Quantity(300, "kV"), "Defocus": Quantity(-1500, "nm"),
            "Emission Current": Quantity(41, "µA"), "Magnification": Quantity(6300),
            "Camera Length": Quantity(285, "mm"), "Stage X": Quantity(307.693, "µm"), "Stage Alpha": Quantity(0.5, "°"),
        }  # fmt: skip
        assert values(found, *expected) == expected
        assert "Energy Filter Mode" not in found.meta, "an empty value is none"

    @pytest.mark.parametrize(("value", "unit"), [("6300", "x"), ("6.3", "kx"), ("6.3", "kX"), ("6300", "")])
    def test_how_magnifications_are_written(self, tmp_path: Path, value: str, unit: str) -> None:
        text = f"<Root><Data><Label>Magnification</Label><Value>{value}</Value><Unit>{unit}</Unit></Data></Root>"
        assert read(written(tmp_path / "a.tif", (34682, text))).meta["Magnification"] == Quantity(6300)

    @pytest.mark.parametrize(
        ("mode", "column", "calibrated"),
        [("TEM uP SA Zoom Image", "TEM", True), ("TEM uP SA Zoom Diffraction", "TEM", False),
         ("STEM nP SA Zoom Diffraction", "STEM", True)],
    )  # fmt: skip
    def test_a_pattern_has_no_lengths(self, tmp_path: Path, mode: str, column: str, calibrated: bool) -> None:
        scale = [(code, "2I", 1, (20_000_000, 10), True) for code in (65450, 65451)] + [(65452, "H", 1, 3, True)]
        text = (34682, "s", 0, labelled(("Mode", mode, "")), True)
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.zeros((6, 8), np.uint8), extratags=[text, *scale], metadata=None)
        found = read(path)
        assert found.column == column
        assert sizes(found) == ([(5e-9, "m")] * 2 if calibrated else [(1.0, None)] * 2)

    def test_damaged_xml_costs_only_itself(self, tmp_path: Path) -> None:
        found = read(written(tmp_path / "a.tif", (34682, labelled()[:300])))
        assert values(found, "Operator", "Acceleration Voltage") == {
            "Operator": Quantity("me"), "Acceleration Voltage": Quantity(300, "kV")}  # fmt: skip

    def test_newer_programs_metadata(self, tmp_path: Path) -> None:
        xml = """<?xml version="1.0"?><Metadata xmlns:nil="http://schemas.fei.com/Metadata/v1/2013/07">
            <Instrument><InstrumentClass>Talos</InstrumentClass></Instrument>
            <Acquisition><AcquisitionDatetime>2024-05-01T12:56:16+02:00</AcquisitionDatetime></Acquisition>
            <Optics><AccelerationVoltage>200000</AccelerationVoltage><OperatingMode>1</OperatingMode></Optics>
            <StageSettings><StagePosition><X>1e-5</X><Tilt><Alpha>0.5</Alpha></Tilt></StagePosition></StageSettings>
            <BinaryResult><PixelSize><X unit="m">2e-10</X><Y unit="m">2e-10</Y></PixelSize></BinaryResult>
        </Metadata>"""
        found = read(written(tmp_path / "a.tif", (34683, xml)))
        assert (found.format, found.column, sizes(found)) == (
            "FEI/Thermo Fisher TEM TIFF", "TEM", [(2e-10, "m")] * 2)  # fmt: skip
        assert found.acquired == datetime(2024, 5, 1, 12, 56, 16, tzinfo=timezone(timedelta(hours=2)))
        assert values(found, "Instrument", "Acceleration Voltage", "Stage X", "Stage Alpha") == {
            "Instrument": Quantity("Talos"), "Acceleration Voltage": Quantity(200, "kV"),
            "Stage X": Quantity(10, "µm"), "Stage Alpha": Quantity(28.648, "°")}  # fmt: skip

    @real
    def test_in_a_tecnais_own_file(self) -> None:
        path = DATA / "tif_fei/titan_tem_bf_image_dataZeroed.tif"
        root = ET.fromstring(path.read_bytes().partition(b"<Root>")[2].partition(b"</Root>")[0].join((b"<R>", b"</R>")))
        stored = {str(data.findtext("Label")): data.findtext("Value") or "" for data in root.iter("Data")}
        found = extract(path, None, None)
        assert (found.data_type, found.format) == ("TEM_Imaging", "FEI/Thermo Fisher TEM TIFF")
        shown = {
            "High tension": "Acceleration Voltage", "Magnification": "Magnification", "Spot size": "Spot Size",
            "Emission": "Emission Current", "Stage X": "Stage X", "Stage Y": "Stage Y", "Stage Z": "Stage Z",
            "Gun lens": "Gun Lens", "Intensity": "Illumination Intensity", "Objective lens": "Objective Lens",
        }  # fmt: skip
        for label, name in shown.items():
            assert found.meta[name].value == float(stored[label]), label
        assert found.meta["Defocus"] == Quantity(float(stored["Defocus"]) * 1000, "nm")
        assert found.meta["Pixel Size"].value == pytest.approx(1e7 * 1000 / tag(path, 65450)[0])


class TestScanningMicroscopesOfFei:
    """001-36: what their sections of beam, scan and detector and the XML beside them hold."""

    @real
    @pytest.mark.parametrize(
        "name", ["tif_fei/quanta_image.tif", "tif_fei/scios_xml_metadata.tif", "tif_other/FEI-Helios-Ebeam-8bits.tif"]
    )
    def test_each_value_is_the_files(self, name: str) -> None:
        with tifffile.TiffFile(DATA / name) as file:
            stored = file.fei_metadata or {}
        found = extract(DATA / name, None, None).meta
        beam, scan, detector = (stored[stored[a][b]] for a, b in (
            ("Beam", "Beam"), ("Beam", "Scan"), ("Detectors", "Name")))  # fmt: skip
        assert found["Line Time"].value == pytest.approx(scan["LineTime"] * 1000)
        assert found["Line Averages"].value == scan["LineIntegration"]
        assert (found["Contrast"], found["Brightness"]) == (
            Quantity(detector["Contrast"], "%"), Quantity(detector["Brightness"], "%"))  # fmt: skip
        assert found["Horizontal Field Width"].value == pytest.approx(beam["HFW"] * 1e6)
        assert found["Frames"].value == (stored["Scan"]["Average"] or stored["Scan"]["Integrate"])

    @real
    def test_the_xml_beside_has_the_vacuum_of_the_column(self) -> None:
        path = DATA / "tif_fei/scios_xml_metadata.tif"
        root = ET.fromstring(tag(path, 34683))
        found = extract(path, None, None).meta
        for name, entry, factor in (
            ("Gun Pressure", "VacuumProperties/ElectronSourcePressure", 1),
            ("Column Pressure", "VacuumProperties/ElectronColumnPressure", 1),
            ("Beam Diameter", "Optics/SpotSize", 1e9),
            ("Collector Voltage", "Detectors/ScanningDetector/GridVoltage", 1),
        ):
            assert found[name].value == pytest.approx(float(root.findtext(entry) or "nan") * factor, rel=1e-6), name
        assert found["Spot Size"] == Quantity(12), "the INI file's number stays"

    @pytest.mark.parametrize(("state", "expected"), [("yes", Quantity(38, "°")), ("no", None)])
    def test_a_correction_that_is_off_is_none(self, tmp_path: Path, state: str, expected: Quantity | None) -> None:
        text = f"[Beam]\nBeam=EBeam\nScan=EScan\n[EBeam]\nTiltCorrectionIsOn={state}\nTiltCorrectionAngle=0.663225\n"
        found = read(written(tmp_path / "a.tif", (34682, text)))
        assert (found.format, found.meta.get("Tilt Correction")) == ("FEI/Thermo Fisher TIFF", expected)


class TestFibics:
    """001-36, 001-38, 001-39: NPVE and ATLAS, whose elements name their units."""

    @real
    def test_each_value_is_the_files(self) -> None:
        path = DATA / "tif_orion/orion-fibics_dataZeroed.tif"
        root = ET.fromstring(tag(path, 51023).partition("?>")[2])
        found = extract(path, None, None)
        assert (found.format, found.data_type) == ("Fibics TIFF", "HIM_Imaging")
        items = {str(item.get("name")): item.text or "" for item in root.iter("item")}
        for name, entry in (
            ("Stage X", "Stage/X"), ("Stage Y", "Stage/Y"), ("Stage Z", "Stage/Z"), ("Stage Tilt", "Stage/Tilt"),
            ("Stage Rotation", "Stage/Rot"), ("Horizontal Field Width", "Scan/FOV_X"), ("Contrast", "Image/Contrast"),
        ):  # fmt: skip
            assert found.meta[name].value == pytest.approx(float(root.findtext(entry) or "nan"), abs=1e-2), name
        expected = {
            "Dwell Time": Quantity(10, "µs"), "Acceleration Voltage": Quantity(float(items["AccV"]) / 1000, "kV"),
            "Aperture Diameter": Quantity(10, "µm"), "Ion Species": Quantity(items["GFISGas"]),
            "Beam Current": Quantity(0.001327515, "nA"), "Working Distance": Quantity(11.86176, "mm"),
            "Pixel Size": Quantity(1.220703, "nm"), "Collector Voltage": Quantity(500, "V"),
        }  # fmt: skip
        assert values(found, *expected) == expected
        assert found.acquired == datetime.fromisoformat(root.findtext("Application/Date") or "")

    @pytest.mark.parametrize(
        ("beam", "gas", "column"),
        [("SEM", "", "SEM"), ("FIB", "", "FIB"), ("x", "<item name='GFISGas'>He</item>", "HIM")],
    )
    def test_the_beam_names_the_microscope(self, tmp_path: Path, beam: str, gas: str, column: str) -> None:
        xml = f"<Fibics version='1.0'><Image><Beam>{beam}</Beam></Image><BeamInfo>{gas}</BeamInfo></Fibics>"
        found = read(written(tmp_path / "a.tif", (51023, xml)))
        assert (found.column, found.format, "Working Distance" in found.meta) == (column, "Fibics TIFF", False)
        assert sizes(found) == [(1.0, None)] * 2, "a size that is not there is none"


class TestOmeTiff:
    """001-36, 001-39: the Open Microscopy Environment's model, with its default units."""

    @pytest.mark.parametrize(
        ("pixels", "expected"),
        [
            ('PhysicalSizeX="0.25" PhysicalSizeY="0.5"', [(0.5, "µm"), (0.25, "µm")]),
            ('PhysicalSizeX="4" PhysicalSizeXUnit="nm" PhysicalSizeY="4" PhysicalSizeYUnit="nm"', [(4, "nm")] * 2),
            ('PhysicalSizeX="2" PhysicalSizeXUnit="pixel" PhysicalSizeYUnit="pixel"', [(1, None)] * 2),
            ('PhysicalSizeX="0" PhysicalSizeY="x"', [(1, None)] * 2),
            ('PhysicalSizeX="inf" PhysicalSizeY="nan"', [(1, None)] * 2),
            ("", [(1, None)] * 2),
        ],
    )  # fmt: skip
    def test_the_size_of_a_pixel(self, tmp_path: Path, pixels: str, expected: list[tuple[float, str | None]]) -> None:
        found = read(written(tmp_path / "a.tif", (270, ome(pixels))))
        assert (found.format, sizes(found)) == ("OME-TIFF", expected)
        assert found.acquired == datetime.fromisoformat("2016-02-12T10:20:30")

    def test_conditions(self, tmp_path: Path) -> None:
        more = (
            '<Experimenter ID="Experimenter:0" FirstName="Ada" LastName="Lovelace"/><Instrument ID="Instrument:0">'
            '<Microscope Manufacturer="Zeiss" Model="Axio"/><Detector ID="Detector:0" Model="Orca"/>'
            '<Objective ID="Objective:0" Model="Plan" NominalMagnification="63" LensNA="1.4"/></Instrument>'
        )
        refer = (
            '<ExperimenterRef ID="Experimenter:0"/><InstrumentRef ID="Instrument:0"/>'
            '<ObjectiveSettings ID="Objective:0"/><StageLabel Name="s" X="3" XUnit="mm" Y="4"/>'
        )
        planes = (
            '<Channel ID="Channel:0:0" Name="DAPI" EmissionWavelength="461" ExcitationWavelength="0.358" '
            'ExcitationWavelengthUnit="µm"><DetectorSettings ID="Detector:0" Binning="2x2" Gain="7"/></Channel>'
            '<Plane TheZ="0" TheC="0" TheT="0" ExposureTime="120" ExposureTimeUnit="ms"/>'
        )
        pixels = 'PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="2" TimeIncrement="250" TimeIncrementUnit="ms"'
        found = read(written(tmp_path / "a.tif", (270, ome(pixels, planes, more, refer))))
        expected = {
            "Instrument": Quantity("Zeiss Axio"), "Operator": Quantity("Ada Lovelace"), "Detector": Quantity("Orca"),
            "Software": Quantity("Acme 1.2"), "Objective": Quantity("Plan"), "Objective Magnification": Quantity(63),
            "Numerical Aperture": Quantity(1.4), "Channels": Quantity("DAPI"), "Binning": Quantity("2 × 2"),
            "Emission Wavelength": Quantity(461, "nm"), "Excitation Wavelength": Quantity(358, "nm"),
            "Exposure Time": Quantity(0.12, "s"), "Z Step": Quantity(2000, "nm"), "Frame Interval": Quantity(0.25, "s"),
            "Stage X": Quantity(3000, "µm"), "Detector Gain": Quantity(7), "Signal Name": Quantity("cells"),
        }  # fmt: skip
        assert values(found, *expected) == expected
        assert "Stage Y" not in found.meta, "without a unit it is a place in some frame of reference"

    def test_a_stack_keeps_its_order(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(
            path, np.zeros((3, 2, 6, 8), np.uint8), ome=True,
            metadata={"axes": "TZYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.3,
                      "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 1.5, "PhysicalSizeZUnit": "µm",
                      "TimeIncrement": 4.0, "TimeIncrementUnit": "s"},
        )  # fmt: skip
        assert sizes(read(path)) == [(4.0, "s"), (1.5, "µm"), (0.3, "µm"), (0.2, "µm")]

    def test_xml_that_refers_elsewhere_is_not_followed(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("topsecret")
        attack = (
            f'<!DOCTYPE OME [<!ENTITY x SYSTEM "file://{secret}">]><OME><Image Name="a"><Description>&x;</Description>'
        )
        element = parsed(f"{attack}</Image></OME>")
        assert element is not None and "topsecret" not in str(nested(element))


class TestOtherScanningMicroscopes:
    """001-36: what Zeiss, Tescan and JEOL write, in units that are theirs."""

    @real
    def test_zeiss(self) -> None:
        path = DATA / "tif_other/test_tiff_Zeiss_SEM_512pix.tif"
        stored, found = tag(path, 34118), extract(path, None, None).meta
        for entry, name in (
            ("ap_brightness", "Brightness"), ("ap_contrast", "Contrast"), ("ap_collector_bias", "Collector Voltage"),
            ("ap_actualcurrent", "Filament Current"), ("dp_scanrate", "Scan Speed"),
        ):  # fmt: skip
            assert found[name].value == stored[entry][1], name
        assert found["Gun Pressure"] == Quantity(stored["ap_column_vac"][1] * 100, "Pa"), "1 mbar is 100 Pa"

    @real
    def test_tescan(self) -> None:
        text = (DATA / "tif_tescan/tescan-pfib_dataZeroed.hdr").read_text()
        stored = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
        found = extract(DATA / "tif_tescan/tescan-pfib_dataZeroed.tif", None, None).meta
        assert found["Contrast"] == Quantity(float(stored["Detector0Gain"]), "%")
        assert found["Brightness"] == Quantity(float(stored["Detector0Offset"]), "%")
        assert found["Scan Speed"] == Quantity(float(stored["ScanSpeed"]))

    @real
    def test_orion(self) -> None:
        found = extract(DATA / "tif_orion/orion-zeiss_dataZeroed.tif", None, None).meta
        assert found["Gun Pressure"].value == pytest.approx(2.68e-6 * 101325 / 760)
        assert (found["Gun Temperature"], found["Specimen Bias"]) == (Quantity(75.5, "K"), Quantity(-0.8, "V"))

    @real
    def test_jeols_text_beside(self, tmp_path: Path) -> None:
        text = (DATA / "text/text_preview_jeol_ansi.txt").read_bytes()
        (tmp_path / "a.txt").write_bytes(text)
        stored = dict(re.findall(r"^\$+(\w+) (\S+)", text.decode("latin-1"), re.MULTILINE))
        found = read(written(tmp_path / "a.tif"))
        expected = {
            "Chamber Pressure": Quantity(float(stored["SM_PENNING_VAC"]), "Pa"), "Frames": Quantity(1),
            "Scan Speed": Quantity(float(stored["CM_SCAN_SPEED"])), "Working Distance": Quantity(3.78, "mm"),
        }  # fmt: skip
        assert (found.format, values(found, *expected)) == ("JEOL SEM image", expected)

    @real
    def test_jeol_sightx(self) -> None:
        path = DATA / "tif_other/JEOL-SightX-SAED-dummy.tif"
        root = ET.fromstring(path.read_bytes().partition(b"<TemReporter")[2].partition(b"</TemReporter>")[0].join(
            (b"<TemReporter", b"</TemReporter>")))  # fmt: skip
        found = extract(path, None, None).meta
        for axis in "XYZ":
            stored = float(root.findtext(f"GonioStage/StagePosition/M{axis}") or "nan")
            assert found[f"Stage {axis}"].value == pytest.approx(stored / 1000, abs=1e-3)

    @real
    def test_imagejs_stack_has_steps(self) -> None:
        found = extract(DATA / "tif_other/test_loading_image_saved_with_imageJ_stack.tif", None, None).meta
        assert found["Z Step"] == Quantity(2500, "nm")


class TestOtherCameras:
    """001-36, 001-38: TIFF of TVIPS' cameras, and of the cameras in FEI's chambers, which are no microscopes."""

    def test_tvips(self) -> None:
        header = {
            "Version": 2, "TemType": "JEM-2100", "CameraType": "F416", "BinningX": 2, "BinningY": 4,
            "PhysicalPixelSizeX": 15600.0,
        }  # fmt: skip
        (vendor, tree), *others = vendors_for("TIFF", {"TVIPS": header, "Artist": "me"})
        assert (vendor.format, vendor.column, others) == ("TVIPS TIFF", "TEM", [])
        assert vendor.special is not None and vendor.special(tree)["Binning"] == Quantity("2 × 4")
        assert applied(vendor.rules, tree) == {
            "Instrument": Quantity("JEM-2100"), "Detector": Quantity("F416"),
            "Detector Pixel Size": Quantity(15.6, "µm")}  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "column"),
        [
            ("[Beam]\nBeam=EBeam\nHV=5000\n", "SEM"),
            ("[Beam]\nBeam=IBeam\nHV=30000\n", "FIB"),
            ("[Beam]\nHV=5000\n", "SEM"),
            ("[Beam]\nBeam=IRBeam\n[IRBeam]\nHFW=0.01\nVFW=0.01\n", None),
            ("[IRBeam]\nHFW=0.01\nVFW=0.01\n[System]\nSystemType=Helios\n", None),
            ("[Beam]\nBeam=NavCam\n", None),
        ],
    )
    def test_feis_beams(self, tmp_path: Path, text: str, column: str | None) -> None:
        text += "[Stage]\nStageX=0.07\nWorkingDistance=-0.012\n"
        found = read(written(tmp_path / "a.tif", (34682, text)))
        assert (found.column, found.meta["Stage X"]) == (column, Quantity(70_000, "µm"))
        assert column or {"Acceleration Voltage", "Working Distance"}.isdisjoint(found.meta)
