"""The microscope of the session, and what each file says about it in the format's own words.

Times in the files are wall-clock times of the instrument, as instruments write them; where the format has a place for
the time zone, it is given.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from Services.Builder.sample.crystal import wavelength
from Services.Builder.sample.images import HIGH_TENSION
from Services.Builder.sample.plan import Shot

NAME = "FEI Titan 80-300"
OPERATOR = "alindqvist"
CONVERGENCE = 17.5
"""Convergence semi-angle in scanning mode, in mrad."""
COLLECTION = 34.0
"""Collection semi-angle of the energy filter, in mrad."""
DISPERSIONS = {"low loss": 0.1, "core loss": 0.5}
"""Of the energy filter, in eV per channel."""
STEM_CAMERA_LENGTH = 135.0
CAMERA_PIXEL = 14e3
"""Size of a pixel of the camera, unbinned, in nm."""

_STAGE = {0: (12.4, -35.0), 1: (118.7, -61.3), 2: (-204.1, 88.9)}  # x and y of each area, in µm
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def sample_name(seed: int) -> str:
    """Name of the sample, which is also the operator's folder: seed 1 is the seventh of the series."""
    return f"NMC811-{seed + 6:02d}"


def scan_magnification(field: float) -> float:
    """Nominal magnification of a scan `field` nm wide, as the microscope shows it for its 114.5 mm wide display."""
    return float(f"{114.5e6 / field:.2g}")


def camera_magnification(pixel: float, binning: int) -> float:
    """Nominal magnification at which a pixel of the camera covers `pixel` nm."""
    return float(f"{CAMERA_PIXEL * binning / pixel:.2g}")


def diffraction_pixel(camera_length: float, binning: int) -> float:
    """Size of a pixel of the camera in 1/nm at a camera length in mm (small angles)."""
    return CAMERA_PIXEL * binning / (camera_length * 1e6 * wavelength(HIGH_TENSION))


def date_us(shot: Shot) -> str:
    """Date as Windows writes it in the USA, independent of this process's locale."""
    return f"{shot.when.month}/{shot.when.day}/{shot.when.year}"


def time_us(shot: Shot) -> str:
    """Time as Windows writes it in the USA."""
    return f"{(shot.when.hour - 1) % 12 + 1}:{shot.when:%M:%S} {'AM' if shot.when.hour < 12 else 'PM'}"


def windows_clock(shot: Shot) -> float:
    """Time as Windows counts it: 100 ns since 1601, UTC."""
    return (shot.when - datetime(1601, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1) * 10


def date_msa(shot: Shot) -> str:
    """Date as the EMSA/MAS standard wants it (``20-NOV-2026``)."""
    return f"{shot.when.day:02d}-{_MONTHS[shot.when.month - 1]}-{shot.when.year}"


def metadata(
    shot: Shot, title: str, *, signal_type: str = "", area: int = 1, quantity: str = "", **instrument: Any
) -> dict[str, Any]:
    """Build the metadata tree in HyperSpy's convention; `instrument` adds to what is said of the microscope."""
    x, y = _STAGE[area]
    signal: dict[str, Any] = {"signal_type": signal_type}
    if quantity:
        signal["quantity"] = quantity
    return {
        "General": {
            "title": title,
            "date": shot.when.date().isoformat(),
            "time": shot.when.time().isoformat(),
            "time_zone": shot.when.isoformat()[-6:],
            "authors": OPERATOR,
        },
        "Signal": signal,
        "Sample": {
            "description": f"{sample_name(shot.seed)}, LiNi0.8Mn0.1Co0.1O2 on lacey carbon, Cu 200 mesh",
            "elements": ["Co", "Li", "Mn", "Ni", "O"],
        },
        "Acquisition_instrument": {
            "TEM": {
                "microscope": NAME,
                "beam_energy": HIGH_TENSION,
                "Stage": {"x": x * 1e-3, "y": y * 1e-3, "z": -0.021, "tilt_alpha": 0.0, "tilt_beta": 0.0},
                **instrument,
            }
        },
    }


def tags(
    shot: Shot,
    area: int,
    *,
    illumination: str,
    imaging: str,
    operation: str,
    magnification: float,
    camera_length: float = 0.0,
    device: str,
) -> dict[str, Any]:
    """Image tags that DigitalMicrograph adds to all that it acquires: microscope, session, time."""
    x, y = _STAGE[area]
    return {
        "DataBar": {
            "Acquisition Date": date_us(shot),
            "Acquisition Time": time_us(shot),
            "Acquisition Time (OS)": windows_clock(shot),
            "Device Name": device,
        },
        "GMS Version": {"Created": "2.31.734.0", "Saved": "2.31.734.0"},
        "Microscope Info": {
            "Cs(mm)": 1.2,
            "Formatted Voltage": f"{HIGH_TENSION:g}kV",
            "Illumination Mode": illumination,
            "Imaging Mode": imaging,
            "Indicated Magnification": magnification,
            "Name": NAME,
            "Operation Mode": operation,
            "STEM Camera Length": camera_length,
            "Stage Position": {"Stage Alpha": 0.0, "Stage Beta": 0.0, "Stage X": x, "Stage Y": y, "Stage Z": -21.0},
            "Voltage": HIGH_TENSION * 1e3,
        },
        "Session Info": {"Microscope": NAME, "Operator": OPERATOR, "Specimen": sample_name(shot.seed)},
    }


def scanning_tags(shot: Shot, area: int, field: float, device: str = "DigiScan") -> dict[str, Any]:
    """Image tags in scanning mode, over a field `field` nm wide."""
    return tags(
        shot,
        area,
        illumination="STEM NANOPROBE",
        imaging="DIFFRACTION",
        operation="SCANNING",
        magnification=scan_magnification(field),
        camera_length=STEM_CAMERA_LENGTH,
        device=device,
    )


def camera_tags(
    shot: Shot, area: int, *, diffraction: bool, magnification: float, exposure: float, binning: int
) -> dict[str, Any]:
    """Image tags of the camera below the screen; in diffraction `magnification` is the camera length in mm."""
    mode = "DIFFRACTION" if diffraction else "IMAGING"
    microscope = tags(
        shot,
        area,
        illumination="TEM",
        imaging=mode,
        operation=mode,
        magnification=magnification,
        device="US1000XP 1",
    )
    camera = {
        "Device": {
            "Active Size (pixels)": (2048, 2048),
            "CCD": {"Pixel Size (um)": (14.0, 14.0)},
            "Name": "US1000XP 1",
        },
        "Parameters": {
            "Detector": {"exposure (s)": exposure, "hbin": binning, "vbin": binning},
            "High Level": {"Binning": (binning, binning), "Exposure (s)": exposure, "Processing": "Gain Normalized"},
        },
    }
    return microscope | {"Acquisition": camera}


def eels_tags(shot: Shot, dispersion: float, exposure: float, frames: int, form: str = "Spectrum") -> dict[str, Any]:
    """Image tags of the energy filter; `form` is ``Spectrum`` or ``Spectrum image``, exposure in s per frame."""
    return {
        "EELS": {
            "Acquisition": {
                "Date": date_us(shot),
                "Start time": time_us(shot),
                "Exposure (s)": exposure,
                "Number of frames": frames,
                "Integration time (s)": exposure * frames,
            },
            "Experimental Conditions": {
                "Collection semi-angle (mrad)": COLLECTION,
                "Convergence semi-angle (mrad)": CONVERGENCE,
            },
        },
        "EELS Spectrometer": {
            "Aperture label": "5 mm",
            "Dispersion (eV/ch)": dispersion,
            "Instrument name": "GIF Tridiem ER",
        },
        "Meta Data": {"Acquisition Mode": "Parallel dispersive", "Format": form, "Signal": "EELS"},
    }


def eds_tags(shot: Shot, live_time: float, real_time: float) -> dict[str, Any]:
    """Image tags of the X-ray detector, times in s."""
    return {
        "EDS": {
            "Acquisition": {"Date": date_us(shot), "Start time": time_us(shot), "Dispersion (eV)": 10.0},
            "Detector Info": {"Azimuthal angle": 45.0, "Elevation angle": 18.0, "Detector type": "SIUTW"},
            "Live time": live_time,
            "Real time": real_time,
            "Solid angle": 0.13,
        },
        "Meta Data": {"Acquisition Mode": "Parallel dispersive", "Format": "Spectrum", "Signal": "X-ray"},
    }
