"""NeXus files of whatever program: the standard's own names of fields, with the units that stand beside the values.

The application definitions NXem and NXmx and their base classes (https://manual.nexusformat.org: NXebeam_column,
NXdetector, NXsource, NXbeam, NXpositioner, NXscan_ctrl) say what a field of a name means wherever it stands. A length
or an angle without a unit is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from Services.Builder.extraction.extractors.cleaning import decode
from Services.Builder.extraction.extractors.quantities import KNOWN, quantity, symbol
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.model import Quantity

_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("high_voltage", "accelerating_voltage", "acceleration_voltage"), "Acceleration Voltage"),
    "working_distance": "Working Distance",
    "magnification": "Magnification",
    "camera_length": "Camera Length",
    **dict.fromkeys(("semi_convergence_angle", "convergence_semi_angle"), "Convergence Angle"),
    **dict.fromkeys(("probe_current", "beam_current"), "Beam Current"),
    "emission_current": "Emission Current",
    "dwell_time": "Dwell Time",
    "exposure_time": "Exposure Time",
    "count_time": "Exposure Time",
    "frame_time": "Frame Time",
    **dict.fromkeys(("tilt1", "tilt_1"), "Stage Alpha"),
    **dict.fromkeys(("tilt2", "tilt_2"), "Stage Beta"),
    "scan_rotation": "Scan Rotation",
    "defocus": "Defocus",
    "detector_distance": "Detector Distance",
    "x_pixel_size": "Detector Pixel Size",
    "threshold_energy": "Threshold Energy",
}
_ENERGY = ("incident_energy", "beam_energy")
_PLACED: Mapping[tuple[str, str], str] = {
    ("source", "voltage"): "Acceleration Voltage",
    ("source", "emitter_type"): "Electron Source",
    ("instrument", "name"): "Instrument",
    ("user", "name"): "Operator",
    ("sample", "name"): "Specimen",
    ("detector", "description"): "Detector",
}
"""Fields whose names say something only in a group of a certain name."""
_DEEPEST, _MOST = 12, 20_000


def _nexus(tree: Tree) -> dict[str, Quantity | None]:
    """Return the quantities that the fields' names say; of several fields for one the first."""
    found: dict[str, Quantity | None] = {}
    for group, key, value, unit in _leaves(tree):
        name = _FIELDS.get(key) or next(
            (name for (of, field), name in _PLACED.items() if of in group and field == key), None
        )
        if key in _ENERGY and unit in ("eV", "keV") and number(value) > 0:
            name, unit = "Acceleration Voltage", {"eV": "V", "keV": "kV"}[unit]
        if name is None or found.get(name) is not None:
            continue
        needs_unit = KNOWN[name].unit is not None
        if not needs_unit or unit:
            found[name] = quantity(name, value, unit if needs_unit else None)
    return found


def _leaves(tree: Tree, group: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any, str | None]]:
    """Yield of every field the group's name, its own, its value and its unit, as the reader keeps them."""
    if depth > _DEEPEST:
        return
    for key, entry in list(tree.items())[:_MOST]:
        name = str(key).lower()
        if isinstance(entry, Mapping) and "value" in entry:
            attributes = entry.get("attrs")
            unit = attributes.get("units") if isinstance(attributes, Mapping) else None
            yield group, name, _single(entry["value"]), symbol(decode(unit) if isinstance(unit, bytes) else unit)
        elif isinstance(entry, Mapping):
            yield from _leaves(entry, name, depth + 1)
        else:
            yield group, name, _single(entry), None


def _single(value: Any) -> Any:
    """Return the value of a field that has one, None of an array."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list) and len(plain) == 1:
        plain = plain[0]
    return decode(plain) if isinstance(plain, bytes) else plain if isinstance(plain, str | int | float) else None


def _nexus_time(tree: Tree) -> datetime | None:
    """Return when the measurement of the first entry began (NXentry, start_time: ISO 8601)."""
    for _, key, value, _ in _leaves(tree):
        if key == "start_time" and isinstance(value, str):
            try:
                return datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
            except ValueError:
                return None
    return None


VENDORS = (Vendor("NeXus", special=_nexus, acquired=_nexus_time),)
