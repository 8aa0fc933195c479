"""Programs of cameras that take patterns: NanoMEGAS, EMPAD, DECTRIS, Direct Electron, Merlin, TVIPS, and SerialEM."""

from __future__ import annotations

import re
from datetime import datetime

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.quantities import quantity, symbol
from Services.Builder.extraction.extractors.rosettasciio import direct_electron, mdoc
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.settings import moment, number
from Services.Builder.extraction.extractors.terms import Rule
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity

Found = dict[str, Quantity | None]

# -- NanoMEGAS Topspin ------------------------------------------------------------------------------------------------

TOPSPIN = (
    Rule("HardwareSettings.GunHighVoltage", "Acceleration Voltage", "V"),
    Rule("HardwareSettings.GunEmissionCurrent", "Emission Current", "A"),
    Rule("HardwareSettings.PrecessionHardwarePrecessionFrequency", "Precession Frequency", "Hz"),
    Rule("HardwareSettings.ImagingMode", "Imaging Mode"),
    Rule("ProcedureData.FrameTime", "Exposure Time", "s"),
    Rule("ProcedureData.BlockFileProbeSize", "Beam Diameter", "m"),
    Rule("ProcedureData.ScanRotation", "Scan Rotation", "rad"),
    Rule("ProcedureData.Camera", "Detector"),
    Rule("HardwareSettings.SystemName", "Instrument"),
    Rule("SystemName", "Instrument"),
    Rule("CreatedBy", "Operator"),
    Rule("Title", "Signal Name"),
    Rule("Comments", "Comment"),
)
"""NanoMEGAS Topspin: SI units and radians throughout (300000, 0.14, 5e-09), as what it writes of one value in two ways
shows. The step of the scan is the axes'."""


def _topspin(tree: Tree) -> Found:
    """Read camera length, magnification and precession, which count only where they were in use.

    The procedure that took the data knows whether the beam was precessed; the hardware's angle is its setting then.
    """
    hardware, procedure = "HardwareSettings", "ProcedureData"
    length = lookup(tree, f"{procedure}.DiffractionCameraLength") or lookup(tree, f"{hardware}.DiffractionCameraLength")
    stem = str(lookup(tree, f"{hardware}.StemEnabled")).lower() == "true"
    magnification = lookup(tree, f"{hardware}.{'StemMagnification' if stem else 'ImageMagnification'}")
    precessed = str(lookup(tree, f"{procedure}.IsPrecessionEnabled")).lower() != "false"
    angle = lookup(tree, f"{hardware}.PrecessionHardwarePrecessionAngle") if precessed else None
    found: Found = {
        "Camera Length": quantity("Camera Length", length, "m"),
        "Magnification": quantity("Magnification", magnification),
        "Precession Angle": quantity("Precession Angle", angle, "rad"),
        "Acquisition Mode": quantity("Acquisition Mode", "STEM" if stem else None),
    }
    return found if precessed else {**found, "Precession Frequency": None}


# -- Thermo Fisher EMPAD ----------------------------------------------------------------------------------------------

EMPAD = tuple(
    Rule(f"root.{path}", name, unit)
    for path, name, unit in (
        ("iom_measurements.source.get_voltage", "Acceleration Voltage", "V"),
        ("iom_measurements.high_voltage", "Acceleration Voltage", "V"),
        ("iom_measurements.ColumnSourceHighVoltage", "Acceleration Voltage", "V"),
        ("iom_measurements.optics.get_cameralength", "Camera Length", "m"),
        ("iom_measurements.nominal_camera_length", "Camera Length", "m"),
        ("iom_measurements.ColumnOpticsGetCameraLengthNominalCameraLength", "Camera Length", "m"),
        ("iom_measurements.source.get_screencurrent", "Screen Current", "A"),
        ("iom_measurements.column.get_scanrotation", "Scan Rotation", "rad"),
        ("iom_measurements.beam.get_spotsizeindex", "Spot Size", None),
        ("scan.exposure_time", "Exposure Time", "s"),
        ("exposure_time", "Exposure Time", "ms"),
        ("software_version", "Software", None),
        ("grid_measurements.bias_voltage", "Sensor Bias", "V"),
    )
)
"""Thermo Fisher EMPAD, in the order of its program's versions: what it asked the microscope is in SI units and radians,
the exposure at the root in milliseconds, that of EMPAD-G2 in its section ``scan`` in seconds."""

# -- DECTRIS ----------------------------------------------------------------------------------------------------------


DECTRIS = tuple(
    Rule(f"entry.instrument.{path}", name, unit)
    for path, name, unit in (
        ("beam.incident_energy", "Acceleration Voltage", "V"),
        ("detector.detectorSpecific.photon_energy", "Acceleration Voltage", "V"),
        ("detector.count_time", "Exposure Time", "s"),
        ("detector.frame_time", "Frame Time", "s"),
        ("detector.detector_distance", "Detector Distance", "m"),
        ("detector.x_pixel_size", "Detector Pixel Size", "m"),
        ("detector.threshold_energy", "Threshold Energy", "eV"),
        ("detector.description", "Detector", None),
        ("detector.detector_number", "Detector Serial Number", None),
        ("detector.bit_depth_readout", "Bit Depth", None),
        ("detector.detectorSpecific.software_version", "Software", None),
    )
)
"""A DECTRIS detector's master file: NeXus' NXdetector with the units of DECTRIS' SIMPLON interface, s, m and eV. The
voltage is the number of the beam's energy in eV, of electrons, too."""


def _dectris(tree: Tree) -> Found:
    """Read the beam's centre in pixels, where it was set."""
    centre = [lookup(tree, f"entry.instrument.detector.beam_center_{side}") for side in "xy"]
    return {"Beam Center": quantity("Beam Center", centre if any(number(place) for place in centre) else None)}


# -- Quantum Detectors Merlin -----------------------------------------------------------------------------------------


def _merlin(tree: Tree) -> Found:
    """Read the exposure of each frame, in a scan the dwell time, too, and the lower threshold of the counters."""
    thresholds = [number(part) for part in str(lookup(tree, "hdr_file.Thresholds (keV)") or "").split(",")]
    return {
        "Exposure Time": quantity("Exposure Time", lookup(tree, "mib_properties.exposure"), "ms"),
        "Threshold Energy": quantity("Threshold Energy", thresholds[0], "keV"),
    }


# -- TVIPS ------------------------------------------------------------------------------------------------------------

HIGHEST_KILOVOLTS = 3500
"""No microscope has as much; a greater number is in volts."""


def _tvips(tree: Tree) -> Found:
    """Read binning, the camera's pixel and the voltage, which the header has in volts, HyperSpy's in kilovolts."""
    header = "tvips_header"
    binning = [lookup(tree, f"{header}.bin{side}") for side in "xy"]
    tension = number(lookup(tree, f"{header}.ht"))
    own = not one_line(lookup(tree, f"{header}.dummy") or "").startswith("HYPERSPY")
    pixel = quantity("Detector Pixel Size", lookup(tree, f"{header}.pixelsize"), "nm") if own else None
    return {
        "Acceleration Voltage": quantity("Acceleration Voltage", tension, "V" if tension > HIGHEST_KILOVOLTS else "kV"),
        "Detector Pixel Size": pixel,
        "Binning": quantity("Binning", binning if all(binning) else None),
    }


# -- SerialEM ---------------------------------------------------------------------------------------------------------

SERIALEM = (
    Rule("file.Voltage", "Acceleration Voltage", "kV"),
    Rule("image.Voltage", "Acceleration Voltage", "kV"),
    Rule("image.Magnification", "Magnification"),
    Rule("image.CameraLength", "Camera Length", "mm"),
    Rule("image.TiltAngle", "Stage Alpha", "°"),
    Rule("image.StageZ", "Stage Z", "µm"),
    Rule("image.SpotSize", "Spot Size"),
    Rule("image.Defocus", "Defocus", "µm"),
    Rule("image.ExposureTime", "Exposure Time", "s"),
    Rule("image.ExposureDose", "Electron Dose", "1/Å²"),
    Rule("image.NumSubFrames", "Frames"),
    Rule("image.Binning", "Binning"),
)
"""SerialEM, see `mdoc`: of the first image, as the units are those of a file's."""


def _serialem(tree: Tree) -> Found:
    """Read the entries that hold two numbers: the stage's position in µm, the slit's width and the loss in eV."""
    stage = str(lookup(tree, "image.StagePosition") or "").split()
    slit = str(lookup(tree, "image.FilterSlitAndLoss") or "").split()
    program = next((title for title in lookup(tree, "titles") or () if "SerialEM" in title), None)
    return {
        "Stage X": quantity("Stage X", stage[0], "µm") if len(stage) == 2 else None,
        "Stage Y": quantity("Stage Y", stage[1], "µm") if len(stage) == 2 else None,
        "Slit Width": quantity("Slit Width", slit[0], "eV") if len(slit) == 2 else None,
        "Energy Loss": quantity("Energy Loss", slit[1], "eV") if len(slit) == 2 else None,
        "Software": quantity("Software", "SerialEM" if program else None),
    }


def _serialem_time(tree: Tree) -> datetime | None:
    return moment(lookup(tree, "image.DateTime"), "%d-%b-%y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%d-%b-%y  %H:%M:%S")


_PRECESSION = re.compile(r"Precession angle\s*:\s*([\d.]+)\s*(deg\w*|°|mrad)", re.IGNORECASE)
_FREQUENCY = re.compile(r"Precession Frequency\s*:\s*([\d.]+)\s*(Hz)", re.IGNORECASE)


def _blockfile(tree: Tree) -> Found:
    """Read the precession of the note's lines, where they have values with units."""
    note = str(lookup(tree, "blockfile_header.Note") or "")
    angle, frequency = _PRECESSION.search(note), _FREQUENCY.search(note)
    return {
        "Precession Angle": quantity("Precession Angle", angle[1], symbol(angle[2])) if angle else None,
        "Precession Frequency": quantity("Precession Frequency", frequency[1], "Hz") if frequency else None,
    }


VENDORS = (
    Vendor("Topspin", column="STEM", rules=TOPSPIN, special=_topspin),
    Vendor("EMPAD", column="STEM", rules=EMPAD),
    Vendor("Arina", column="STEM", rules=DECTRIS, special=_dectris),
    Vendor(
        "MRC",
        holds="de_metadata",
        root=("de_metadata",),
        column="TEM",
        # -1 where the microscope did not report it
        units={"magnification": None},
        special=direct_electron.quantities,
        acquired=direct_electron.acquired,
    ),
    Vendor(
        "MRC",
        holds=mdoc.KEY,
        root=(mdoc.KEY,),
        column="TEM",
        rules=SERIALEM,
        special=_serialem,
        acquired=_serialem_time,
    ),
    Vendor("QuantumDetector", rules=terms.MERLIN, special=_merlin),
    # neither units nor zero points of stage and current are documented; the reader takes the voltage for kilovolts
    Vendor(
        "TVIPS",
        column="TEM",
        units={"Stage.x": None, "Stage.y": None, "Stage.z": None, "beam_current": None, "beam_energy": None},
        special=_tvips,
    ),
    Vendor("Blockfile", column="STEM", units={"camera_length": "m"}, special=_blockfile),
)
