"""Reads a file with one of RosettaSciIO's readers and says what it holds in the project's terms."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from time import tzname
from typing import Any
from zoneinfo import ZoneInfo

from rsciio import __version__

from Services.Builder.extractors.cleaning import one_line
from Services.Builder.extractors.faults import Unreadable, reason
from Services.Builder.extractors.quantities import quantity, symbol
from Services.Builder.extractors.registry import HEAD
from Services.Builder.extractors.rosettasciio.conventions import GENERAL, INSTRUMENT, applied, section
from Services.Builder.extractors.rosettasciio.mapping import completed
from Services.Builder.extractors.rosettasciio.recognise import plugins_for
from Services.Builder.extractors.rosettasciio.vendors import profiles_for
from Services.Builder.extractors.signal import Axis, Reading, Signal, main_signal
from Services.Builder.model import Quantity

NAMES: Mapping[str, str] = {
    "Arina": "DECTRIS ARINA",
    "Blockfile": "NanoMEGAS ASTAR block file",
    "Bruker": "Bruker ESPRIT",
    "DENS": "DENSsolutions heating log",
    "DigitalMicrograph": "Gatan DigitalMicrograph",
    "DigitalSurf": "Digital Surf MountainsMap surface",
    "EDAX": "EDAX TEAM",
    "EMD": "Electron Microscopy Dataset (EMD)",
    "Hamamatsu": "Hamamatsu ITEX image",
    "HSPY": "HyperSpy HDF5",
    "Impulse": "DENSsolutions Impulse log",
    "JEOL": "JEOL Analysis Station",
    "JobinYvon": "HORIBA LabSpec",
    "MSA": "EMSA/MSA spectrum",
    "Phenom": "Phenom Element Identification",
    "Protochips": "Protochips log",
    "QuantumDetector": "Quantum Detectors MIB",
    "Renishaw": "Renishaw WiRE",
    "Ripple": "Lispix Ripple",
    "TIA": "FEI TIA",
    "TriVista": "Princeton Instruments TriVista",
    "TVIPS": "TVIPS stream",
    "ZSPY": "HyperSpy Zarr",
}
"""Names of the formats as a person says them, by the reader's name where they differ."""

_STEM = re.compile(r"(?<![a-z])(stem|haadf)(?![a-z])", re.IGNORECASE)
_LOCAL_CLOCK = ("TVIPS",)
"""Readers that convert to the machine's zone and then call it UTC."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the file with the reader its extension and content ask for; `Unreadable` when none succeeds.

    The companions are not opened here: the readers find them by their names.
    """
    head = b""
    if not path.is_dir():
        with path.open("rb") as file:
            head = file.read(HEAD)
    first: tuple[str, Exception] | None = None
    for plugin in plugins_for(head, path):
        name = str(plugin["name"])
        try:
            return described(name, path, loaded(str(plugin["api"]), path))
        except Exception as error:  # noqa: BLE001 - a foreign reader raises what it likes; the next one may do better
            first = first or (name, error)
    if first is None:
        raise Unreadable(format=f"'{path.suffix}'", reason="no reader knows its content")
    raise Unreadable(format=format_name(first[0], path), reason=reason(first[1], path)) from first[1]


def format_name(plugin: str, path: Path) -> str:
    """Return the name of the format for a person."""
    name = NAMES.get(plugin, plugin)
    if plugin == "DigitalMicrograph":  # the version is in the extension only
        name += f" {path.suffix[-1]}"
    return name


def loaded(api: str, path: Path) -> list[dict[str, Any]]:
    """Return a reader's dictionaries, with the data left on disk where the reader can do that."""
    reader = importlib.import_module(api).file_reader
    try:
        found = reader(str(path), lazy=True)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - not lazy at all, or not this file (RGBA images of DigitalMicrograph)
        found = reader(str(path))
    if not found:
        raise ValueError("it holds no data")
    return list(found)


def described(plugin: str, path: Path, found: Iterable[Mapping[str, Any]]) -> Reading:
    """Return the reading of what a reader returned."""
    signals = tuple(_signal(one) for one in found)
    main = main_signal(signals)
    assert main is not None, "a reader that finds nothing has raised"  # noqa: S101
    column, told = section(main.metadata)
    if main.signal_type == "EDS_SEM":  # the readers of spectra file every microscope under TEM
        column = "SEM"
    meta: dict[str, Quantity | None] = {}
    units: dict[str, str | None] = {}
    acquired, beyond = moment(main.metadata, trusted=plugin not in _LOCAL_CLOCK), _Collected()
    name = format_name(plugin, path)
    for profile, tree in profiles_for(plugin, main.original_metadata):
        beyond.add(applied(profile.rules, tree), profile.special(tree) if profile.special else {})
        units.update(profile.units)
        column, name = column or profile.column, profile.format or name
        acquired = (profile.acquired(tree) if profile.acquired else None) or acquired
    meta.update(applied(INSTRUMENT, told, units))
    meta.update(applied(GENERAL, main.metadata))
    meta.update(beyond.found)
    if column == "SEM" and "Stage Alpha" in meta:
        meta["Stage Tilt"] = meta.pop("Stage Alpha")
    if main.title and main.title != path.stem:
        meta["Signal Name"] = quantity("Signal Name", main.title)
    if acquired is None and (day := _first(main.metadata, "date")):
        meta["Acquisition Date"] = quantity("Acquisition Date", day)
    return Reading(
        format=name,
        reader=f"rosettasciio {__version__} ({plugin})",
        signals=signals,
        meta={name: value for name, value in meta.items() if value is not None},
        acquired=acquired,
        column=_scanning(column, meta, "dwell_time" in told, f"{path.stem} {main.title}"),
    )


class _Collected:
    """Quantities of several profiles, the first that knows one wins."""

    def __init__(self) -> None:
        self.found: dict[str, Quantity] = {}

    def add(self, *sources: Mapping[str, Quantity | None]) -> None:
        for source in sources:
            for name, value in source.items():
                if value is not None:
                    self.found.setdefault(name, value)


def _scanning(column: str | None, meta: Mapping[str, Quantity | None], dwelling: bool, hints: str) -> str | None:
    """Tell a STEM from a TEM: by the mode it reports, else by the beam's dwell time, else by the file's name."""
    if column != "TEM":
        return column
    reported = " ".join(str(one.value) for key in ("Acquisition Mode", "Illumination Mode") if (one := meta.get(key)))
    if reported:
        return "STEM" if "STEM" in reported else "TEM"
    return "STEM" if dwelling or _STEM.search(hints) else "TEM"


def _signal(one: Mapping[str, Any]) -> Signal:
    data, metadata = one["data"], completed(one)
    about = metadata.get("Signal")
    about = about if isinstance(about, Mapping) else {}
    axes = [_axis(axis) for axis in one.get("axes") or ()]
    lengths = [int(length) for length in data.shape]
    if [axis.size for axis in axes] != lengths:  # some readers leave the axes of auxiliary arrays out
        axes = [Axis(length) for length in lengths]
    return Signal(
        data=data,
        axes=tuple(axes),
        title=one_line(_first(metadata, "title") or ""),
        signal_type=one_line(about.get("signal_type") or ""),
        quantity=one_line(about.get("quantity") or ""),
        metadata=metadata,
        original_metadata=one.get("original_metadata") or {},
    )


def _axis(axis: Mapping[str, Any]) -> Axis:
    positions = axis.get("axis")
    values = tuple(float(one) for one in positions) if positions is not None else None
    return replace(
        Axis(
            size=len(values) if values else int(axis.get("size", 0)),
            name=one_line(axis.get("name") or "", 60),
            unit=symbol(axis.get("units")),
            navigate=None if axis.get("navigate") is None else bool(axis["navigate"]),
            values=values,
        ),
        scale=float(axis.get("scale") or 1.0),
        offset=float(axis.get("offset") or 0.0),
    )


def _first(metadata: Mapping[str, Any], key: str) -> Any:
    general = metadata.get("General")
    return general.get(key) if isinstance(general, Mapping) else None


def moment(metadata: Mapping[str, Any], trusted: bool = True) -> datetime | None:
    """Return ``General.date`` and ``General.time`` as an aware time; None unless both are there.

    Without a time zone of its own the time is that of the instrument's clock, which is taken to run in the time zone
    of the machine that reads the file. So is one with the abbreviation of the machine's zone: some readers convert
    to that zone and name it so.

    Parameters
    ----------
    metadata
        Metadata in RosettaSciIO's layout.
    trusted
        False to disregard the time zone that the metadata name.
    """
    day, clock, zone = (_first(metadata, key) for key in ("date", "time", "time_zone"))
    try:
        found = datetime.combine(date.fromisoformat(str(day)), time.fromisoformat(str(clock)))
    except ValueError:
        return None
    known = _zone(str(zone)) if zone and trusted else None
    if found.tzinfo is None and known is not None:
        return found.replace(tzinfo=known)
    return found if found.tzinfo else found.astimezone()


def _zone(name: str) -> tzinfo | None:
    if name in tzname and name != "UTC":
        return None
    try:
        return datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo
    except ValueError:
        pass
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):
        return None
