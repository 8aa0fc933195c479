"""Where on the page each metadatum stands: with the microscope, the detector, the stage, the signal or the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeVar

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Microscope": (
            "Instrument", "Microscope", "Model", "Serial Number", "Acceleration Voltage", "Landing Energy",
            "Electron Source", "Gun",
            "Gun Lens", "Filament Current", "Extraction Voltage", "High Tension Offset", "Emission Current",
            "Beam Current", "Beam Diameter", "Spot Size", "Illumination Intensity", "Electron Dose",
            "Operation Mode", "Illumination Mode", "Imaging Mode", "Lens Mode", "Acquisition Mode", "Magnification",
            "Camera Length", "Convergence Angle", "Precession Angle", "Precession Frequency", "Defocus",
            "Spherical Aberration", "Biprism Voltage", "Biprism Azimuth", "Working Distance",
            "Image Shift X", "Image Shift Y", "Tilt Correction",
            "Vacuum Mode", "Column Pressure", "Chamber Gas", "Chamber Pressure", "Ion Mode", "Ion Species",
            "Laser Wavelength", "Excitation Wavelength", "Filter", "Filter Transmission", "Optical Density", "Pinhole",
            "Polarization", "Polarization Angle",
        ),
        "Detector": (
            "Detector", "Collection Angle", "Collection Angle Inner", "Collection Angle Outer", "Exposure Time",
            "Integration Time", "Dwell Time", "Frame Time", "Frame Rate", "Frames", "Line Time",
            "Flyback Time", "Line Averages", "Lines", "Live Time", "Real Time", "Dead Time", "Time Constant",
            "Count Rate", "Trigger Rate", "Readout Mode", "Readout Rate", "Binning", "Scan Rotation", "Screen Current",
            "Photomultiplier Voltage", "Collector Voltage", "Sensor Bias", "Brightness", "Contrast", "Noise Reduction",
            "Threshold Energy", "MCP Gain", "Streak Mode", "Gate Mode", "Time Resolution", "Solid Angle",
            "Take-off Angle", "Energy Resolution", "Energy Loss", "Prism Offset", "Slit Width", "Grating",
            "Grating Density", "Blaze Wavelength", "Entrance Slit Width", "Exit Slit Width", "Bandpass",
            "Central Wavelength", "Emission Wavelength", "Analyzer Angle", "Beam Center",
            "Acquisition Setup",
        ),
        "Stage": (
            "Stage X", "Stage Y", "Stage Z", "Stage Alpha", "Stage Beta", "Stage Tilt", "Stage Rotation", "Tilt Angle",
            "Specimen", "Specimen Holder", "Specimen Thickness", "Specimen Current", "Elements",
            "Elements Labelled",
        ),
        "Signal": (
            "Data Type", "Signal Name", "Signals", "Bit Depth", "Horizontal Field Width", "Vertical Field Width",
            "Channels", "Z Step", "Frame Interval", "Dispersion", "Energy Shift", "X-ray Line", "Processing",
            "Computed Zero-Loss Position", "Computed t/λ",
        ),
        "File": (
            "Creation Time", "Acquisition Date", "Operator", "Comment", "Software", "Extractor", "File Size", "SHA-256",
        ),
    }
)  # fmt: skip
"""Names of metadata by the heading under which they stand, in this order."""
OTHER = "Other"
_PLACES = {name: (heading, at) for heading, names in GROUPS.items() for at, name in enumerate(names)}
# What no table names is told by a part of its name; the first that fits counts.
_PARTS = (
    *(("SHA-256", "File"), ("File", "File"), ("Stage", "Stage"), ("Specimen", "Stage"), ("Detector Pixel", "Detector")),
    *(("Pixel Size", "Signal"), ("Step Size", "Signal"), ("Size", "Signal"), ("Shape", "Signal"), ("Range", "Signal")),
    *(("Detector", "Detector"), ("Camera", "Detector"), ("Spectrometer", "Detector"), ("Scan", "Detector")),
    *(("Aperture", "Microscope"), ("Lens", "Microscope"), ("Beam", "Microscope"), ("Gun", "Microscope")),
    *(("Voltage", "Microscope"), ("Mode", "Microscope"), ("Objective", "Microscope")),
)


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """The metadatum's name."""
        ...


Value = TypeVar("Value", bound=Named)


def grouped(values: Iterable[Value]) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    """Return metadata under their headings; headings without any are left out.

    Parameters
    ----------
    values
        The metadata, in any order.
    """
    found: dict[str, list[tuple[int, str, Value]]] = {}
    for value in values:
        heading, at = _place(value.name)
        found.setdefault(heading, []).append((at, value.name, value))
    order: Sequence[str] = (*GROUPS, OTHER)
    return tuple(
        (heading, tuple(value for _, _, value in sorted(found[heading], key=lambda entry: entry[:2])))
        for heading in order
        if heading in found
    )


def _place(name: str) -> tuple[str, int]:
    known = _PLACES.get(name)
    if known is not None:
        return known
    return next((heading for part, heading in _PARTS if part in name), OTHER), len(_PLACES)
