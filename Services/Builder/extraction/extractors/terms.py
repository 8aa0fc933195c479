"""Every vendor's term for a quantity, the project's name for it, and the unit it is written in.

One table for each source. A path leads into the metadata as their reader returns them; its parts are joined by dots. Of
several terms for one quantity the first that is there counts. The unit a quantity is shown in
stands in `quantities.KNOWN`, which has every name used here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from Services.Builder.extraction.extractors.people_numbers import decimal_mark, decimal_point
from Services.Builder.extraction.extractors.quantities import quantity, symbol
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.model import Quantity


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry: what stands at `path` is the quantity `name`, in `unit`."""

    path: str
    name: str
    unit: str | None = None


HYPERSPY_GENERAL = (
    Rule("General.authors", "Operator"),
    Rule("General.notes", "Comment"),
    Rule("Sample.name", "Specimen"),
    Rule("Sample.description", "Specimen"),
    Rule("Sample.elements", "Elements"),
    Rule("Sample.thickness", "Specimen Thickness", "nm"),
)
"""HyperSpy's metadata structure (its user guide, "Metadata structure"), sections General and Sample."""

HYPERSPY_INSTRUMENT = (
    Rule("microscope", "Instrument"),
    Rule("acquisition_mode", "Acquisition Mode"),
    Rule("beam_energy", "Acceleration Voltage", "kV"),
    Rule("tube_voltage", "X-ray Tube Voltage", "kV"),
    Rule("beam_current", "Beam Current", "nA"),
    Rule("magnification", "Magnification"),
    Rule("camera_length", "Camera Length", "mm"),
    Rule("working_distance", "Working Distance", "mm"),
    Rule("convergence_angle", "Convergence Angle", "mrad"),
    Rule("dwell_time", "Dwell Time", "s"),
    Rule("rotation", "Scan Rotation", "°"),
    Rule("Stage.x", "Stage X", "mm"),
    Rule("Stage.y", "Stage Y", "mm"),
    Rule("Stage.z", "Stage Z", "mm"),
    Rule("Stage.tilt_alpha", "Stage Alpha", "°"),
    Rule("Stage.tilt_beta", "Stage Beta", "°"),
    Rule("Stage.tilt", "Stage Tilt", "°"),
    Rule("Stage.rotation", "Stage Rotation", "°"),
    Rule("Biprism.voltage", "Biprism Voltage", "V"),
    Rule("Biprism.azimuth_angle", "Biprism Azimuth", "°"),
    Rule("Camera.exposure", "Exposure Time", "s"),
    Rule("Detector.Camera.exposure", "Exposure Time", "s"),
    Rule("Detector.Camera.name", "Detector"),
    Rule("Detector.EELS.collection_angle", "Collection Angle", "mrad"),
    Rule("Detector.EELS.exposure", "Exposure Time", "s"),
    Rule("Detector.EELS.dwell_time", "Dwell Time", "s"),
    Rule("Detector.EELS.frame_number", "Frames"),
    Rule("Detector.EELS.spectrometer", "Spectrometer"),
    Rule("Detector.EELS.aperture_size", "Spectrometer Aperture", "mm"),
    Rule("Detector.EELS.aperture", "Spectrometer Aperture", "mm"),
    Rule("Detector.EDS.detector_type", "Detector"),
    Rule("Detector.EDS.elevation_angle", "Detector Elevation", "°"),
    Rule("Detector.EDS.azimuth_angle", "Detector Azimuth", "°"),
    Rule("Detector.EDS.solid_angle", "Solid Angle", "sr"),
    Rule("Detector.EDS.energy_resolution_MnKa", "Energy Resolution", "eV"),
    Rule("Detector.EDS.live_time", "Live Time", "s"),
    Rule("Detector.EDS.real_time", "Real Time", "s"),
    Rule("Detector.EDS.number_of_frames", "Frames"),
    Rule("Detector.Diffraction.camera_length", "Camera Length", "cm"),
    Rule("Detector.Diffraction.exposure_time", "Exposure Time", "ms"),
    Rule("scan_rotation", "Scan Rotation", "°"),
    Rule("rocking_angle", "Precession Angle", "mrad"),
    Rule("rocking_frequency", "Precession Frequency", "Hz"),
    Rule("Detector.pmt_voltage", "Photomultiplier Voltage", "V"),
    Rule("Detector.exposure_per_frame", "Exposure Time", "s"),
    Rule("Detector.model", "Detector"),
    Rule("Detector.detector_type", "Detector"),
    Rule("Detector.temperature", "Detector Temperature", "°C"),
    Rule("Detector.frames", "Frames"),
    Rule("Detector.integration_time", "Integration Time", "s"),
    Rule("Laser.wavelength", "Laser Wavelength", "nm"),
    Rule("Laser.objective_magnification", "Objective Magnification"),
    Rule("Spectrometer.model", "Spectrometer"),
    Rule("Spectrometer.Grating.groove_density", "Grating Density", "1/mm"),
    Rule("Spectrometer.central_wavelength", "Central Wavelength", "nm"),
    Rule("Spectrometer.entrance_slit_width", "Entrance Slit Width", "mm"),
    Rule("Spectrometer.bandpass", "Bandpass", "nm"),
    Rule("FIB_SIMS.FIB.hardware", "Instrument"),
    Rule("FIB_SIMS.FIB.voltage_kV", "Acceleration Voltage", "kV"),
    Rule("FIB_SIMS.FIB.current_A", "Beam Current", "A"),
    Rule("FIB_SIMS.FIB.view_field_mm", "Horizontal Field Width", "mm"),
    Rule("FIB_SIMS.ToF.ion_mode", "Ion Mode"),
    Rule("FIB_SIMS.DAQ.tofdaq_version", "Software"),
    Rule("FIB_SIMS.chamber_pressure_Pa", "Chamber Pressure", "Pa"),
)
"""Likewise, and exspy's, lumispy's and pyxem's (whose units are those of its `set_experimental_parameters`): relative
to ``Acquisition_instrument.TEM`` or ``.SEM``; those of light spectrometers and of RosettaSciIO's reader of Tofwerk
files to ``Acquisition_instrument``."""

DIGITALMICROGRAPH = (
    Rule("DataBar.Signal Name", "Detector"),
    Rule("EDS.Detector Info.Detector type", "Detector"),
    Rule("Acquisition.Device.Name", "Detector"),
    Rule("DataBar.Device Name", "Detector"),
    Rule("SI.Acquisition.Pixel time (s)", "Dwell Time", "s"),
    Rule("DataBar.Exposure Time (s)", "Exposure Time", "s"),
    Rule("Acquisition.Parameters.High Level.Binning", "Binning"),
    Rule("Microscope Info.Illumination Mode", "Illumination Mode"),
    Rule("Microscope Info.Imaging Mode", "Imaging Mode"),
    Rule("Microscope Info.Cs(mm)", "Spherical Aberration", "mm"),
    Rule("Microscope Info.Emission Current (µA)", "Emission Current", "µA"),
    Rule("Microscope Info.Probe Size (nm)", "Beam Diameter", "nm"),
    Rule("GMS Version.Created", "Software"),
)
"""Gatan's tags, whose names hold their units; relative to the image's tags."""

DIGITALMICROGRAPH_ALONE = (
    *DIGITALMICROGRAPH,
    Rule("Microscope Info.Microscope", "Instrument"),
    Rule("Microscope Info.Name", "Instrument"),
    Rule("Microscope Info.Voltage", "Acceleration Voltage", "V"),
    Rule("Microscope Info.Indicated Magnification", "Magnification"),
    Rule("Microscope Info.STEM Camera Length", "Camera Length", "mm"),
    Rule("Microscope Info.Operator", "Operator"),
    Rule("Microscope Info.Specimen", "Specimen"),
    Rule("Microscope Info.Stage Position.Stage X", "Stage X", "µm"),
    Rule("Microscope Info.Stage Position.Stage Y", "Stage Y", "µm"),
    Rule("Microscope Info.Stage Position.Stage Z", "Stage Z", "µm"),
    Rule("Microscope Info.Stage Position.Stage Alpha", "Stage Alpha", "°"),
    Rule("Microscope Info.Stage Position.Stage Beta", "Stage Beta", "°"),
)
"""Likewise, where no reader has translated the common ones."""

VELOX = (
    Rule("Stage.Position.x", "Stage X", "m"),
    Rule("Stage.Position.y", "Stage Y", "m"),
    Rule("Stage.Position.z", "Stage Z", "m"),
    Rule("Stage.HolderType", "Specimen Holder"),
    Rule("BinaryResult.Detector", "Detector"),
    Rule("Scan.DwellTime", "Dwell Time", "s"),
    Rule("Scan.FrameTime", "Frame Time", "s"),
    Rule("Scan.ScanRotation", "Scan Rotation", "rad"),
    Rule("CustomProperties.StemMagnification.value", "Magnification"),
    Rule("Optics.NominalMagnification", "Magnification"),
    Rule("Optics.BeamConvergence", "Convergence Angle", "rad"),
    Rule("Optics.Defocus", "Defocus", "m"),
    Rule("Optics.SpotIndex", "Spot Size"),
    Rule("Optics.LastMeasuredScreenCurrent", "Screen Current", "A"),
    Rule("Optics.GunLensSetting", "Gun Lens"),
    Rule("Optics.ExtractorVoltage", "Extraction Voltage", "V"),
    Rule("Acquisition.SourceType", "Electron Source"),
    Rule("Instrument.InstrumentId", "Serial Number"),
    Rule("Instrument.ControlSoftwareVersion", "Software"),
)
"""Thermo Fisher Velox: SI units and radians throughout, numbers as text."""

TIA = (
    Rule("ExperimentalDescription.Mode", "Imaging Mode"),
    Rule("ExperimentalDescription.Spot size", "Spot Size"),
    Rule("ExperimentalDescription.Defocus_um", "Defocus", "µm"),
    Rule("ExperimentalDescription.Emission_uA", "Emission Current", "µA"),
    Rule("ExperimentalDescription.Stem rotation_deg", "Scan Rotation", "°"),
    Rule("ExperimentalDescription.Gun type", "Electron Source"),
    Rule("ExperimentalDescription.Gun lens", "Gun Lens"),
    Rule("ExperimentalDescription.Extraction voltage_V", "Extraction Voltage", "V"),
    Rule("ExperimentalDescription.C1 Aperture_um", "C1 Aperture", "µm"),
    Rule("ExperimentalDescription.C2 Aperture_um", "C2 Aperture", "µm"),
    Rule("ExperimentalDescription.OBJ Aperture_um", "Objective Aperture", "µm"),
    Rule("ExperimentalDescription.SA Aperture_um", "Selected-Area Aperture", "µm"),
    Rule("AcquireInfo.CameraNamePath", "Detector"),
    Rule("AcquireInfo.FrameTime", "Frame Time", "s"),
    Rule("AcquireInfo.Binning", "Binning"),
)
"""FEI TIA: the unit is the end of the key; an aperture that is retracted has a text and no unit."""

EMD_NCEM = (
    Rule("microscope.name", "Instrument"),
    Rule("microscope.voltage", "Acceleration Voltage", "V"),
    Rule("user.name", "Operator"),
    Rule("sample.name", "Specimen"),
    Rule("sample.material", "Specimen"),
    Rule("comments.comment", "Comment"),
)
"""The EMD format's description, version 0.2: groups microscope, sample, user and comments, whose entries are free."""

PRISMATIC = (
    Rule("simulation_parameters.E0", "Acceleration Voltage", "kV"),
    Rule("simulation_parameters.probeSemiangle", "Convergence Angle", "mrad"),
    Rule("simulation_parameters.probeDefocus", "Defocus", "Å"),
)
"""Prismatic's parameters: simulated images."""

MERLIN = (
    Rule("hdr_file.Chip Type (Medipix 3.0, Medipix 3.1, Medipix 3RX)", "Detector"),
    Rule("hdr_file.Counter Depth (number)", "Bit Depth"),
    Rule("hdr_file.Sensor Bias (V)", "Sensor Bias", "V"),
    Rule("hdr_file.Frames in Acquisition (Number)", "Frames"),
    Rule("hdr_file.Software Version", "Software"),
)
"""Quantum Detectors Merlin: the header beside the frames, whose keys hold the units."""

JEOL_EDS = (
    Rule("Header.username", "Operator"),
    Rule("Header.live time", "Live Time", "s"),
    Rule("Header.real time", "Real Time", "s"),
    Rule("Header.DeadTime", "Dead Time", "%"),
    Rule("Footer.Parameters.SEM", "Instrument"),
    Rule("Footer.Parameters.AccNA", "Beam Current", "nA"),
    Rule("Footer.Parameters.WorkD", "Working Distance", "mm"),
)
"""JEOL Analysis Station, a spectrum by itself (.EDS), as RosettaSciIO names the fields. The current's unit is inferred
from its name, beside which the voltage in kV is AccKV; the dead time's from the two times, whose quotient it rounds."""

BRUKER = (
    Rule("Microscope.WD", "Working Distance", "mm"),
    Rule("Analysis.WorkingDistance", "Working Distance", "mm"),
    Rule("Microscope.Mag", "Magnification"),
    Rule("Analysis.Magnification", "Magnification"),
    Rule("Hardware.DetectorTemperature", "Detector Temperature", "°C"),
    Rule("Hardware.DeadTime", "Dead Time", "%"),
)
"""Bruker ESPRIT: the units are those of its display."""

EMSA = tuple(
    Rule(spelled, name, unit)
    for key, suffix, name, unit in (
        ("EMISSION", " -uA", "Emission Current", "µA"),
        ("BEAMDIAM", " -nm", "Beam Diameter", "nm"),
        ("YTILTSTGE", "-dg", "Stage Beta", "°"),
        ("COMMENT", "", "Comment", None),
        ("EDAX Detector", "", "Detector", None),
        ("RESO (MnKa)", "", "Energy Resolution", "eV"),
        ("Tilt Angle", "", "Stage Alpha", "°"),
    )
    for spelled in dict.fromkeys((key, key + suffix))
)
"""EMSA/MAS, ISO 22029: each keyword has its unit, which version 1.0 writes behind it (``#EMISSION -uA``). The keywords
in small letters are EDAX's own."""

PHENOM = (
    Rule("instrument.type", "Instrument"),
    Rule("instrument.uniqueID", "Serial Number"),
    Rule("instrument.softwareVersion", "Software"),
    Rule("acquisition.scan.spotSize", "Spot Size"),
    Rule("acquisition.scan.detectors.EDS.detector_type", "Detector"),
    Rule("acquisition.scan.detector", "Detector"),
)
"""Phenom's desktop SEM: entries that have a unit have it beside the value, see `vendors`. Its reader takes the serial
number for the instrument's name."""

FEI_MRC = (
    Rule("Microscope type", "Instrument"),
    Rule("D-Number", "Serial Number"),
    Rule("HT", "Acceleration Voltage", "V"),
    Rule("Alpha tilt", "Stage Alpha", "°"),
    Rule("Beta tilt", "Stage Beta", "°"),
    Rule("X-Stage", "Stage X", "m"),
    Rule("Y-Stage", "Stage Y", "m"),
    Rule("Z-Stage", "Stage Z", "m"),
    Rule("Magnification", "Magnification"),
    Rule("Camera length", "Camera Length", "m"),
    Rule("Spot index", "Spot Size"),
    Rule("Convergence angle", "Convergence Angle", "rad"),
    Rule("Illumination mode", "Illumination Mode"),
    Rule("STEM Detector name", "Detector"),
    Rule("Dwell time", "Dwell Time", "s"),
    Rule("Frame time", "Frame Time", "s"),
)
"""Thermo Fisher's extended header of MRC files: SI units, but the stage's tilts in degrees, as tomography programs read
them. That the times are seconds is inferred from a file of 16 × 16 points, whose frame took 272 dwell times."""

DENS = (Rule("DENS_header.version", "Software"),)
"""DENSsolutions' heating log."""


def applied(
    rules: Iterable[Rule], tree: Mapping[str, Any], units: Mapping[str, str | None] | None = None
) -> dict[str, Quantity]:
    """Return what the rules find in a tree; of several rules for one quantity the first that finds a value wins.

    A unit that stands beside the value (``beam_energy_units``) is believed before the rule's.

    Parameters
    ----------
    rules
        In order of preference.
    tree
        The reader's metadata.
    units
        Deviating units by path; None for a value that is not to be shown.
    """
    quantities: dict[str, Quantity] = {}
    units = units or {}
    for rule in rules:
        if rule.name in quantities or (rule.path in units and units[rule.path] is None):
            continue
        value, unit = lookup(tree, rule.path), units.get(rule.path, rule.unit)
        if value is None:
            continue
        if isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[0], str):  # Zeiss: label, value, unit
            value, unit = value[1], (symbol(value[2]) if len(value) == 3 else unit)
        beside = lookup(tree, f"{rule.path}_units") if rule.unit else None
        converted = quantity(rule.name, value, (symbol(beside) if isinstance(beside, str) else None) or unit)
        if converted is not None and converted.reason and isinstance(value, str):  # the file's other numbers may tell
            mark = decimal_mark(tree)
            converted = quantity(rule.name, decimal_point(value, mark)[0], unit) if mark else converted
        if converted is not None:
            quantities[rule.name] = converted
    return quantities
