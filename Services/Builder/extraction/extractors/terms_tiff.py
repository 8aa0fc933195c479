"""Terms of the programs that keep an image's conditions in a TIFF or beside it.

As in `terms`: a path leads into the metadata, the quantity's name into `quantities.KNOWN`.
"""

from __future__ import annotations

from Services.Builder.extraction.extractors.terms import Rule

FEI_TIFF = (
    Rule("System.SystemType", "Instrument"),
    Rule("User.User", "Operator"),
    Rule("User.UserText", "Comment"),
    Rule("Beam.HV", "Acceleration Voltage", "V"),
    Rule("Beam.Spot", "Spot Size"),
    Rule("Beam.ScanRotation", "Scan Rotation", "rad"),
    Rule("Beam.ImageMode", "Imaging Mode"),
    Rule("Scan.Dwelltime", "Dwell Time", "s"),
    Rule("Scan.FrameTime", "Frame Time", "s"),
    Rule("Scan.HorFieldsize", "Horizontal Field Width", "m"),
    Rule("Scan.VerFieldsize", "Vertical Field Width", "m"),
    Rule("Stage.StageX", "Stage X", "m"),
    Rule("Stage.StageY", "Stage Y", "m"),
    Rule("Stage.StageZ", "Stage Z", "m"),
    Rule("Stage.StageR", "Stage Rotation", "rad"),
    Rule("Stage.StageT", "Stage Tilt", "rad"),
    Rule("Stage.WorkingDistance", "Working Distance", "m"),
    Rule("Vacuum.ChPressure", "Chamber Pressure", "Pa"),
    Rule("Vacuum.UserMode", "Vacuum Mode"),
    Rule("Vacuum.Gas", "Chamber Gas"),
    Rule("Specimen.SpecimenCurrent", "Specimen Current", "A"),
    Rule("System.Source", "Electron Source"),
    Rule("System.Dnumber", "Serial Number"),
    Rule("System.Software", "Software"),
    Rule("Specimen.Temperature", "Specimen Temperature", "K"),
    Rule("Scan.Average", "Frames"),
    Rule("Scan.Integrate", "Frames"),
)
"""FEI's and Thermo Fisher's TIFF: an INI file in SI units and radians."""

FEI_BEAM = (
    Rule("BeamCurrent", "Beam Current", "A"),
    Rule("EmissionCurrent", "Emission Current", "A"),
    Rule("ApertureDiameter", "Aperture Diameter", "m"),
    Rule("WD", "Working Distance", "m"),
    Rule("LensMode", "Lens Mode"),
    Rule("HV", "Acceleration Voltage", "V"),
    Rule("HFW", "Horizontal Field Width", "m"),
    Rule("VFW", "Vertical Field Width", "m"),
    Rule("StageX", "Stage X", "m"),
    Rule("StageY", "Stage Y", "m"),
    Rule("StageZ", "Stage Z", "m"),
    Rule("StageR", "Stage Rotation", "rad"),
    Rule("StageTa", "Stage Tilt", "rad"),
)
"""Likewise, in the section of the beam that took the image, which ``Beam.Beam`` names."""

FEI_SCAN = (
    Rule("Dwell", "Dwell Time", "s"),
    Rule("LineTime", "Line Time", "s"),
    Rule("LineIntegration", "Line Averages"),
    Rule("FrameTime", "Frame Time", "s"),
    Rule("HorFieldsize", "Horizontal Field Width", "m"),
    Rule("VerFieldsize", "Vertical Field Width", "m"),
)
"""Likewise, in the section of the scan, which ``Beam.Scan`` names."""

FEI_DETECTOR = (
    Rule("Contrast", "Contrast", "%"),
    Rule("Brightness", "Brightness", "%"),
    Rule("Grid", "Collector Voltage", "V"),
)
"""Likewise, in the section of the detector, which ``Detectors.Name`` names. Contrast and brightness are those of the
program's sliders, which go to 100; the XML beside them calls them normalized."""

FEI_XML = (
    Rule("Instrument.InstrumentClass", "Instrument"),
    Rule("Instrument.InstrumentID", "Serial Number"),
    Rule("Instrument.ControlSoftwareVersion", "Software"),
    Rule("Core.UserID", "Operator"),
    Rule("Acquisition.SourceType", "Electron Source"),
    Rule("Optics.AccelerationVoltage", "Acceleration Voltage", "V"),
    Rule("Optics.ExtractorVoltage", "Extraction Voltage", "V"),
    Rule("Optics.BeamCurrent", "Beam Current", "A"),
    Rule("Optics.EmissionCurrent", "Emission Current", "A"),
    Rule("Optics.WorkingDistance", "Working Distance", "m"),
    Rule("Optics.SpotSize", "Beam Diameter", "m"),
    Rule("Optics.SpotIndex", "Spot Size"),
    Rule("Optics.GunLensSetting", "Gun Lens"),
    Rule("Optics.CameraLength", "Camera Length", "m"),
    Rule("Optics.NominalMagnification", "Magnification"),
    Rule("Optics.Defocus", "Defocus", "m"),
    Rule("Optics.BeamConvergence", "Convergence Angle", "rad"),
    Rule("Optics.LastMeasuredScreenCurrent", "Screen Current", "A"),
    Rule("Optics.ScanFieldOfView.X", "Horizontal Field Width", "m"),
    Rule("Optics.ScanFieldOfView.Y", "Vertical Field Width", "m"),
    Rule("ScanSettings.DwellTime", "Dwell Time", "s"),
    Rule("ScanSettings.FrameTime", "Frame Time", "s"),
    Rule("ScanSettings.LineTime", "Line Time", "s"),
    Rule("ScanSettings.LineIntegrationCount", "Line Averages"),
    Rule("ScanSettings.ScanRotation", "Scan Rotation", "rad"),
    Rule("StageSettings.StagePosition.X", "Stage X", "m"),
    Rule("StageSettings.StagePosition.Y", "Stage Y", "m"),
    Rule("StageSettings.StagePosition.Z", "Stage Z", "m"),
    Rule("BinaryResult.FilterFrameCount", "Frames"),
    Rule("BinaryResult.Detector", "Detector"),
    Rule("VacuumProperties.SamplePressure", "Chamber Pressure", "Pa"),
    Rule("VacuumProperties.ElectronChamberPressure", "Chamber Pressure", "Pa"),
    Rule("VacuumProperties.ElectronSourcePressure", "Gun Pressure", "Pa"),
    Rule("VacuumProperties.ElectronColumnPressure", "Column Pressure", "Pa"),
)
"""Thermo Fisher's XML (its root is ``Metadata`` of ``schemas.fei.com/Metadata/v1/2013/07``): SI units and radians. The
pressures' unit is inferred from a file whose INI file holds the same sample pressure as ``ChPressure``, in pascals."""

FEI_TEM = (
    Rule("Microscope", "Instrument"),
    Rule("User", "Operator"),
    Rule("Gun type", "Electron Source"),
    Rule("High tension", "Acceleration Voltage"),
    Rule("Extraction voltage", "Extraction Voltage"),
    Rule("Gun lens", "Gun Lens"),
    Rule("Emission", "Emission Current"),
    Rule("Mode", "Imaging Mode"),
    Rule("Defocus", "Defocus"),
    Rule("Magnification", "Magnification"),
    Rule("Camera length", "Camera Length"),
    Rule("Spot size", "Spot Size"),
    Rule("Intensity", "Illumination Intensity"),
    Rule("Objective lens", "Objective Lens"),
    Rule("Diffraction lens", "Diffraction Lens"),
    Rule("Image shift X", "Image Shift X"),
    Rule("Image shift Y", "Image Shift Y"),
    Rule("Stage X", "Stage X"),
    Rule("Stage Y", "Stage Y"),
    Rule("Stage Z", "Stage Z"),
    Rule("Stage A", "Stage Alpha"),
    Rule("Stage B", "Stage Beta"),
    Rule("Stem rotation", "Scan Rotation"),
    Rule("STEM rotation", "Scan Rotation"),
    Rule("Filter mode", "Energy Filter Mode"),
    Rule("C1 Aperture", "C1 Aperture"),
    Rule("C2 Aperture", "C2 Aperture"),
    Rule("OBJ Aperture", "Objective Aperture"),
    Rule("SA Aperture", "Selected-Area Aperture"),
    Rule("Camera name", "Detector"),
    Rule("Exposure time", "Exposure Time"),
    Rule("Integration time", "Exposure Time"),
    Rule("Dwell time", "Dwell Time"),
    Rule("Frame time", "Frame Time"),
    Rule("Binning", "Binning"),
)
"""TIA's TIFF of Tecnai and Titan: a list of labels, values and units, the labels of TIA's experimental description and,
as in its ``.emi`` files, of what acquired the image."""

FIBICS = (
    Rule("Application.Version", "Software"),
    Rule("Image.Machine", "Instrument"),
    Rule("Image.Detector", "Detector"),
    Rule("Image.Contrast", "Contrast", "%"),
    Rule("Image.Brightness", "Brightness", "%"),
    Rule("Image.Operator", "Operator"),
    Rule("Scan.Dwell", "Dwell Time", "ns"),
    Rule("Scan.LineAvg", "Line Averages"),
    Rule("Scan.FOV_X", "Horizontal Field Width", "µm"),
    Rule("Scan.FOV_Y", "Vertical Field Width", "µm"),
    Rule("Scan.ScanRot", "Scan Rotation", "°"),
    Rule("Stage.X", "Stage X", "µm"),
    Rule("Stage.Y", "Stage Y", "µm"),
    Rule("Stage.Z", "Stage Z", "µm"),
    Rule("Stage.Tilt", "Stage Tilt", "°"),
    Rule("Stage.Rot", "Stage Rotation", "°"),
    Rule("BeamInfo.AccV", "Acceleration Voltage", "V"),
    Rule("BeamInfo.BeamI", "Beam Current", "pA"),
    Rule("BeamInfo.GFISGas", "Ion Species"),
    Rule("BeamInfo.SpotControl", "Spot Size"),
    Rule("BeamInfo.WD", "Working Distance", "mm"),
    Rule("DetectorInfo.Collector", "Collector Voltage"),
    Rule("DetectorInfo.Stage Bias", "Specimen Bias"),
)
"""Fibics' NPVE and ATLAS: XML whose elements name their units. Those of the beam have none: that the voltage is in
volts follows from 30000 beside ``30.0kV`` in the aperture's text; that the current is in picoamperes is inferred from
one file of an Orion, of which another program gives it so, and is how NexusLIMS reads it. Contrast and brightness are
those of the microscope's sliders, which go to 100."""

JEOL_SIGHTX = (
    Rule("ImageDescription.Operator", "Operator"),
    Rule("ImageDescription.ElectronGun.EmissionCurrent", "Emission Current", "µA"),
    Rule("ImageDescription.IlluminationSystem.SpotSizeString", "Spot Size"),
    Rule("ImageDescription.ImageFormingSystem.ModeString", "Imaging Mode"),
    Rule("ImageDescription.ImageFormingSystem.DefocusValue", "Defocus"),
    Rule("ImageDescription.ImageSourceDetector", "Detector"),
    Rule("ImageDescription.Specimen", "Specimen"),
    Rule("ImageDescription.Comment", "Comment"),
    Rule("ImageDescription.GonioStage.StagePosition.MZ", "Stage Z", "nm"),
    Rule("ImageDescription.GonioStage.StagePosition.TX", "Stage Alpha", "°"),
    Rule("ImageDescription.GonioStage.StagePosition.TY", "Stage Beta", "°"),
    Rule("ImageDescription.GonioStage.HolderInformation.Kind", "Specimen Holder"),
)
"""JEOL's transmission microscopes: XML in the TIFF's description. RosettaSciIO's reader says that the stage's motors
are in nanometres."""

ZEISS_TIFF = (
    Rule("CZ_SEM.dp_detector_channel", "Detector"),
    Rule("CZ_SEM.dp_detector_type", "Detector"),
    Rule("CZ_SEM.sv_operator", "Operator"),
    Rule("CZ_SEM.sv_user_name", "Operator"),
    Rule("CZ_SEM.sv_sample_id", "Specimen"),
    Rule("CZ_SEM.sv_user_text", "Comment"),
    Rule("CZ_SEM.sv_version", "Software"),
    Rule("CZ_SEM.ap_width", "Horizontal Field Width"),
    Rule("CZ_SEM.ap_height", "Vertical Field Width"),
    Rule("CZ_SEM.ap_aperturesize", "Aperture Diameter"),
    Rule("CZ_SEM.ap_scanrotation", "Scan Rotation"),
    Rule("CZ_SEM.ap_frame_time", "Frame Time"),
    Rule("CZ_SEM.ap_frame_average_count", "Frames"),
    Rule("CZ_SEM.ap_system_vac", "Chamber Pressure"),
    Rule("CZ_SEM.ap_column_vac", "Gun Pressure"),
    Rule("CZ_SEM.ap_brightness", "Brightness"),
    Rule("CZ_SEM.ap_contrast", "Contrast"),
    Rule("CZ_SEM.ap_collector_bias", "Collector Voltage"),
    Rule("CZ_SEM.ap_actualcurrent", "Filament Current"),
    Rule("CZ_SEM.ap_line_time", "Line Time"),
    Rule("CZ_SEM.ap_line_average_count", "Line Averages"),
    Rule("CZ_SEM.dp_scanrate", "Scan Speed"),
    Rule("CZ_SEM.dp_noise_reduction", "Noise Reduction"),
    Rule("CZ_SEM.dp_vac_mode", "Vacuum Mode"),
    Rule("CZ_SEM.dp_optibeam", "Lens Mode"),
    Rule("CZ_SEM.dp_optimode", "Lens Mode"),
)
"""Carl Zeiss SmartSEM: each entry has its label, value and unit; the system vacuum is the chamber's."""

TESCAN = (
    Rule("MAIN.Device", "Instrument"),
    Rule("MAIN.FullUserName", "Operator"),
    Rule("MAIN.UserName", "Operator"),
    Rule("MAIN.Description", "Comment"),
    Rule("MAIN.SoftwareVersion", "Software"),
    Rule("MAIN.Magnification", "Magnification"),
    Rule("MAIN.SerialNumber", "Serial Number"),
    Rule("MAIN.AccFrames", "Frames"),
    *(
        Rule(f"{section}.{key}", name, unit)
        for section in ("SEM", "FIB")
        for key, name, unit in (
            ("HV", "Acceleration Voltage", "V"),
            ("WD", "Working Distance", "m"),
            ("DwellTime", "Dwell Time", "s"),
            ("Detector", "Detector", None),
            ("Gun", "Electron Source", None),
            ("ScanMode", "Imaging Mode", None),
            ("ScanRotation", "Scan Rotation", "°"),
            ("SpotSize", "Beam Diameter", "m"),
            ("PredictedBeamCurrent", "Beam Current", "A"),
            ("SpecimenCurrent", "Specimen Current", "A"),
            ("EmissionCurrent", "Emission Current", "A"),
            ("ApertureDiameter", "Aperture Diameter", "m"),
            ("ChamberPressure", "Chamber Pressure", "Pa"),
            ("StageX", "Stage X", "m"),
            ("StageY", "Stage Y", "m"),
            ("StageZ", "Stage Z", "m"),
            ("StageRotation", "Stage Rotation", "°"),
            ("StageTilt", "Stage Tilt", "°"),
            ("Detector0Gain", "Contrast", "%"),
            ("Detector0Offset", "Brightness", "%"),
            ("ScanSpeed", "Scan Speed", None),
            ("SampleVoltage", "Specimen Bias", "V"),
            ("TiltCorrection", "Tilt Correction", "°"),
        )
    ),
)
"""Tescan's image header: SI units, but degrees, and percent for a detector's gain and black level, as in the protocol
of its remote control (SharkSEM)."""

ORION = (
    Rule("System.Model", "Instrument"),
    Rule("AccelerationVoltage", "Acceleration Voltage"),
    Rule("ExtractionVoltage", "Extraction Voltage"),
    Rule("GFIS.IonGas", "Ion Species"),
    Rule("SampleCurrent", "Beam Current"),
    Rule("BlankerCurrent", "Beam Current"),
    Rule("SpotNumber", "Spot Size"),
    Rule("ApertureSize", "Aperture Diameter", "µm"),
    Rule("WorkingDistance", "Working Distance"),
    Rule("Fov", "Horizontal Field Width"),
    Rule("Magnification4x5", "Magnification"),
    Rule("ScanRotate", "Scan Rotation"),
    Rule("DwellTime", "Dwell Time"),
    Rule("NumAverages", "Frames"),
    Rule("DetectorName", "Detector"),
    Rule("ColumnMode", "Imaging Mode"),
    Rule("ChamberPressure", "Chamber Pressure"),
    Rule("StageX", "Stage X"),
    Rule("StageY", "Stage Y"),
    Rule("StageZ", "Stage Z"),
    Rule("StageTilt", "Stage Tilt"),
    Rule("StageRotate", "Stage Rotation"),
    Rule("GunPressure", "Gun Pressure"),
    Rule("GunTemp", "Gun Temperature"),
    Rule("ColumnPressure", "Column Pressure"),
    Rule("ETGridVoltage", "Collector Voltage"),
    Rule("SampleBiasVoltage", "Specimen Bias"),
)
"""Zeiss Orion: each element has its unit. Where no current was measured at the sample, that at the blanker counts."""

JEOL_SEM = (
    Rule("CM_INSTRUMENT", "Instrument"),
    Rule("CM_OPERATOR", "Operator"),
    Rule("CM_COMMENT", "Comment"),
    Rule("CM_TITLE", "Signal Name"),
    Rule("CM_ACCEL_VOLT", "Acceleration Voltage", "kV"),
    Rule("CM_MAG", "Magnification"),
    Rule("CM_DETECTOR", "Detector"),
    Rule("SM_WD", "Working Distance", "mm"),
    Rule("SM_COLUMN_MODE", "Imaging Mode"),
    Rule("SM_SCAN_ROTATION", "Scan Rotation", "°"),
    Rule("SM_EMI_CURRENT", "Emission Current", "µA"),
    Rule("SM_PROBE_NO", "Spot Size"),
    Rule("SM_PRESSURE_AT_LOW_VACUUM", "Chamber Pressure", "Pa"),
    Rule("SM_PENNING_VAC", "Chamber Pressure", "Pa"),
    Rule("CM_SCAN_SPEED", "Scan Speed"),
    Rule("SM_INTEG_NO", "Frames"),
)
"""JEOL's scanning microscopes, PC-SEM: the units are those of its display."""

OLYMPUS = (
    Rule("Artist", "Operator"),
    Rule("Model", "Detector"),
)
"""Olympus (EMSIS) cameras: the Model in the TIFF's tags is the camera's."""

TVIPS_TIFF = (
    Rule("TVIPS.TemType", "Instrument"),
    Rule("TVIPS.CameraType", "Detector"),
    Rule("TVIPS.PhysicalPixelSizeX", "Detector Pixel Size", "nm"),
)
"""TVIPS EM-Menu: tifffile's source says that the sizes of pixels are nanometres."""

TIFF_TAGS = (
    Rule("Model", "Instrument"),
    Rule("Make", "Instrument"),
    Rule("Artist", "Operator"),
    Rule("Software", "Software"),
)
"""Tags of the TIFF 6.0 specification."""
