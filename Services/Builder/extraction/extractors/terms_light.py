"""Terms of the programs of light spectrometers: Raman, photo- and cathodoluminescence, streak cameras.

As in `terms`: a path leads into the metadata, the quantity's name into `quantities.KNOWN`.
"""

from __future__ import annotations

from Services.Builder.extraction.extractors.terms import Rule

RENISHAW = (
    Rule("WXIS_0.Instrument type", "Instrument"),
    Rule("WDF1_1.username", "Operator"),
    Rule("WDF1_1.app_version", "Software"),
    Rule("WXIS_0.Slits.Opening", "Entrance Slit Width"),
    Rule("WXIS_0.System Configuration.Grating", "Grating"),
    Rule("WXIS_0.ND Transmission %", "Filter Transmission", "%"),
    Rule("WXIS_0.Stage.X", "Stage X", "µm"),
    Rule("WXIS_0.Stage.Y", "Stage Y", "µm"),
    Rule("WXIS_0.Stage.Z", "Stage Z", "µm"),
    Rule("WXDA_0.ScanDuration(ms)", "Real Time", "ms"),
    Rule("WXDA_0.CCD serial number", "Detector Serial Number"),
)
"""Renishaw WiRE: the unit is in the text, or, for the stage, in the copy of its position among the motors'."""

HORIBA = (
    Rule("Instrument", "Instrument"),
    Rule("Readout mode", "Readout Mode"),
    Rule("ND Filter (%)", "Filter Transmission", "%"),
    Rule("Hole", "Pinhole", "µm"),
    Rule("Slit", "Entrance Slit Width", "µm"),
    Rule("X (µm)", "Stage X", "µm"),
    Rule("Y (µm)", "Stage Y", "µm"),
    Rule("Z (µm)", "Stage Z", "µm"),
    Rule("Full time(s)", "Real Time", "s"),
)
"""HORIBA (Jobin Yvon) LabSpec, relative to ``experimental_setup``: the keys hold the units. Hole and slit have none
there; LabSpec shows both in micrometres. RosettaSciIO divides the hole by 100 and calls it the slit's width in
millimetres, which a confocal hole of 100 µm is not."""

HAMAMATSU = (
    Rule("Streak camera.DeviceName", "Detector"),
    Rule("Camera.CameraName", "Camera"),
    Rule("Acquisition.ExposureTime", "Exposure Time"),
    Rule("Acquisition.NrExposure", "Frames"),
    Rule("Streak camera.MCP Gain", "MCP Gain"),
    Rule("Streak camera.Mode", "Streak Mode"),
    Rule("Streak camera.Gate Mode", "Gate Mode"),
    Rule("Spectrograph.Wavelength", "Central Wavelength", "nm"),
    Rule("Spectrograph.Blaze", "Blaze Wavelength", "nm"),
)
"""Hamamatsu HPD-TA, relative to its comment: wavelengths in nanometres, other units in the text."""

TRIVISTA = (
    Rule("Document.InfoSerialized.Experiment.Used Setup", "Acquisition Setup"),
    Rule("Document.InfoSerialized.Detector.Name", "Detector"),
    Rule("Document.InfoSerialized.Detector.ADC__Gain", "Detector Gain"),
    Rule("Document.InfoSerialized.Detector.ADC__Rate_Resolution", "Readout Rate"),
    Rule("Document.InfoSerialized.Detector.ADC__Readout_Port", "Readout Mode"),
    Rule("Document.InfoSerialized.Calibration.Center_Wavelength", "Central Wavelength", "nm"),
    Rule("Document.InfoSerialized.Calibration.Laser_Wavelength", "Laser Wavelength", "nm"),
    Rule("Hardware.Microscopes.Microscope.Objectives.Objective.Name", "Objective"),
)
"""S&I TriVista: units as in its reader; what an experiment used is among the serialized information."""

TRIVISTA_SPECTROMETER = (
    Rule("Model", "Spectrometer"),
    Rule("Groove_Density", "Grating Density"),
    Rule("Focallength", "Spectrometer Focal Length", "mm"),
)
"""Likewise, of one of its spectrometers."""

DELMIC = (
    Rule("HardwareName", "Detector"),
    Rule("AccelerationVoltage", "Acceleration Voltage", "V"),
    Rule("EmissionCurrent", "Beam Current", "A"),
    Rule("Polarization", "Polarization"),
    Rule("TimeRange", "Streak Time Range", "s"),
    Rule("MCPGain", "MCP Gain"),
    Rule("SVIData.WriterVersion", "Software"),
)
"""Delmic Odemis: SI units throughout (its source, ``dataio/hdf5.py``), where ``EmissionCurrent`` is the current of the
electron beam. Values that every file has (a numerical aperture of 1) are left out."""

DELMIC_BEAM = (
    Rule("magnification", "Magnification"),
    Rule("accelVoltage", "Acceleration Voltage", "V"),
    Rule("probeCurrent", "Beam Current", "A"),
    Rule("horizontalFoV", "Horizontal Field Width", "m"),
    Rule("rotation", "Scan Rotation", "rad"),
    Rule("dwellTime", "Dwell Time", "s"),
)
"""Likewise, the settings of the component that scans the beam: a value and its unit each."""

ATTOLIGHT = (
    Rule("SEM.Beam Energy", "Acceleration Voltage", "V"),
    Rule("SEM.Real Magnification", "Magnification"),
    Rule("SEM.Beam Current", "Beam Current", "nA"),
    Rule("SEM.Working Distance", "Working Distance", "mm"),
    Rule("SPECTROMETER.Grating - Groove Density", "Grating Density", "1/mm"),
    Rule("SPECTROMETER.Grating", "Grating"),
    Rule("SPECTROMETER.Central wavelength", "Central Wavelength", "nm"),
    Rule("SPECTROMETER.Entrance slit width", "Entrance Slit Width", "mm"),
    Rule("SPECTROMETER.Exit slit width", "Exit Slit Width", "mm"),
    Rule("SPECTROMETER.Filter", "Filter"),
    Rule("CCD.Camera Model", "Detector"),
    Rule("CCD.Exposure Time", "Exposure Time", "s"),
    Rule("CCD.ReadMode", "Readout Mode"),
    Rule("CCD.Pixel Width", "Detector Pixel Size", "µm"),
    Rule("SCAN.HYP Dwelltime", "Dwell Time", "ms"),
    Rule("SCAN.Rotate", "Scan Rotation", "°"),
    Rule("WAFER.Lot Number", "Specimen"),
)
"""Attolight's cathodoluminescence in Digital Surf's files, relative to the comment: each value has its unit behind."""
