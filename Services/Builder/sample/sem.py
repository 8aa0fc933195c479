"""Write scanning images as FEI/Thermo Fisher instruments do: a TIFF with its metadata as text in private tag 34682.

The text is an INI file with CRLF line ends, all quantities in SI units (V, m, s, rad, Pa). Tag number and its meaning
are those of ``tifffile`` (``FEI_HELIOS``) and of RosettaSciIO's ``_axes_fei``; sections and keys are those of a Quanta
FEG. The grid was looked at in the facility's dual-beam microscope before it went into the Titan.
"""

from __future__ import annotations

import math

import numpy as np
import tifffile

from Services.Builder.sample.microscope import OPERATOR, sample_name
from Services.Builder.sample.pictures import DATABAR, powder, with_databar
from Services.Builder.sample.plan import Shot

_TAG = 34682
_ASCII = 2
_SHAPE = (512, 768)
_VOLTAGE, _WORKING_DISTANCE, _DWELL = 5000.0, 0.0041, 3e-6


def write_sem(shot: Shot, field: float) -> None:
    """Write a secondary-electron image of the powder, `field` µm wide."""
    rng = np.random.default_rng([shot.seed, round(field)])
    rows, columns = _SHAPE
    pixel = field / columns
    bar = 10 ** math.floor(math.log10(field / 3))
    image = with_databar(
        powder(rng, _SHAPE, pixel),
        f"{shot.when:%m/%d/%Y %H:%M:%S}   HV {_VOLTAGE / 1e3:.2f} kV   WD {_WORKING_DISTANCE * 1e3:.1f} mm   "
        f"HFW {field:g} um   det ETD   {sample_name(shot.seed)}",
        bar / pixel,
        f"{bar:g} um",
    )
    text = "\r\n".join(
        f"[{section}]\r\n" + "".join(f"{key}={value}\r\n" for key, value in entries.items())
        for section, entries in _sections(shot, pixel * 1e-6, rows, columns).items()
    ).encode("ascii")
    dots_per_cm = round(1 / (pixel * 1e-4))
    tifffile.imwrite(
        shot.path,
        image,
        photometric="minisblack",
        resolution=(dots_per_cm, dots_per_cm),
        resolutionunit="CENTIMETER",
        metadata=None,
        software=False,
        extratags=[(_TAG, _ASCII, len(text) + 1, text + b"\0", True)],
    )


def _sections(shot: Shot, pixel: float, rows: int, columns: int) -> dict[str, dict[str, object]]:
    """Say what the microscope says of itself; `pixel` in m."""
    width, height = pixel * columns, pixel * rows
    half = "AM" if shot.when.hour < 12 else "PM"
    return {
        "User": {
            "Date": f"{shot.when:%m/%d/%Y}",
            "Time": f"{shot.when:%I:%M:%S} {half}",
            "User": OPERATOR,
            "UserText": sample_name(shot.seed),
        },
        "System": {
            "Type": "DualBeam",
            "Software": "16.2.0.3041",
            "Source": "FEG",
            "Column": "Elstar",
            "SystemType": "Helios G4 UX",
        },
        "Beam": {
            "HV": f"{_VOLTAGE:g}",
            "Spot": "",
            "StigmatorX": -0.00214,
            "StigmatorY": 0.00087,
            "BeamShiftX": 0,
            "BeamShiftY": 0,
            "ScanRotation": 0,
            "ImageMode": "Normal",
            "Beam": "EBeam",
            "Scan": "EScan",
        },
        "EBeam": {
            "Source": "FEG",
            "ColumnType": "Elstar",
            "HV": f"{_VOLTAGE:g}",
            "HFW": f"{width:.6g}",
            "VFW": f"{height:.6g}",
            "WD": _WORKING_DISTANCE,
            "BeamCurrent": 5e-11,
            "EmissionCurrent": 0.000152,
        },
        "Scan": {
            "InternalScan": "true",
            "Dwelltime": _DWELL,
            "PixelWidth": f"{pixel:.6g}",
            "PixelHeight": f"{pixel:.6g}",
            "HorFieldsize": f"{width:.6g}",
            "VerFieldsize": f"{height:.6g}",
            "Average": 0,
            "Integrate": 4,
            "FrameTime": f"{_DWELL * rows * columns:.6g}",
        },
        "EScan": {"Scan": "PIA 3.0", "Dwell": _DWELL, "PixelWidth": f"{pixel:.6g}", "PixelHeight": f"{pixel:.6g}"},
        "Stage": {
            "StageX": -0.0021734,
            "StageY": 0.0008421,
            "StageZ": 0.0041,
            "StageR": 0,
            "StageT": 0,
            "StageTb": 0,
            "WorkingDistance": _WORKING_DISTANCE,
        },
        "Image": {"DigitalContrast": 1, "DigitalBrightness": 0, "ResolutionX": columns, "ResolutionY": rows},
        "Vacuum": {"ChPressure": 2.1e-4, "Gas": "", "UserMode": "High vacuum"},
        "Detectors": {"Number": 1, "Name": "ETD", "Mode": "SE"},
        "ETD": {"Contrast": 61.2, "Brightness": 48.9, "Signal": "SE", "Grid": 250, "Setting": 250},
        "PrivateFei": {"TimeOfCreation": f"{shot.when:%d.%m.%Y %H:%M:%S}", "DatabarHeight": DATABAR},
    }
