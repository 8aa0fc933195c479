"""Reads a file with one of RosettaSciIO's readers and says what it holds in the project's terms."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, tzinfo
from math import isfinite, nan
from pathlib import Path
from time import tzname
from typing import Any

from rsciio import __version__

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.acquisition_time import DAY_SHOWN
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.faults import FileRefused, Unreadable, reason
from Services.Builder.extraction.extractors.people_dates import WrittenTime, named_zone, with_offset, zone_of
from Services.Builder.extraction.extractors.plausibility import mark_contradictions
from Services.Builder.extraction.extractors.quantities import quantity, symbol
from Services.Builder.extraction.extractors.registry import HEAD
from Services.Builder.extraction.extractors.rosettasciio import emsa, roles, topspin
from Services.Builder.extraction.extractors.rosettasciio.acquisition import acquired_by
from Services.Builder.extraction.extractors.rosettasciio.calibration import calibrated
from Services.Builder.extraction.extractors.rosettasciio.corrections import (
    prismatic_axes,
    sampled_axes,
    signals_only,
    with_plain_texts,
)
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS, Declared, readers_for
from Services.Builder.extraction.extractors.rosettasciio.fei_mrc import with_extended_header
from Services.Builder.extraction.extractors.rosettasciio.lenient_dates import lenient_dates
from Services.Builder.extraction.extractors.rosettasciio.light_types import of_light
from Services.Builder.extraction.extractors.rosettasciio.mdoc import with_settings_beside
from Services.Builder.extraction.extractors.rosettasciio.microscopes import grounded
from Services.Builder.extraction.extractors.rosettasciio.samples import arrange_samples
from Services.Builder.extraction.extractors.rosettasciio.vendors import vendors_for
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal, in_one_unit, main_signal
from Services.Builder.extraction.extractors.terms import applied
from Services.Builder.extraction.extractors.tree import leaves
from Services.Builder.extraction.signals.completion import completed
from Services.Builder.model import Quantity

TYPED_IN = "It was typed into a form of the program once, and is often out of date."
"""Reason to distrust what a vendor's files say of people and specimens."""
_COLUMN_TYPES = ("TEM", "SEM")
_COMPLETED: Mapping[str, Callable[[Path, Sequence[dict[str, Any]]], list[dict[str, Any]]]] = {
    "TIFF": lambda path, signals: roles.streak(path, arrange_samples(path, signals)),
    "MRC": lambda path, signals: with_settings_beside(path, with_extended_header(path, sampled_axes(path, signals))),
    "EMD": lambda path, signals: roles.emd(path, prismatic_axes(path, signals)),
    "NeXus": lambda path, signals: signals_only(path, with_plain_texts(signals)),
    "MSA": emsa.completed,
    "Delmic": roles.delmic,
    "Bruker": roles.bruker,
    "Blockfile": roles.blockfile,
    "DigitalMicrograph": roles.digitalmicrograph,
    "Hamamatsu": roles.streak,
    "QuantumDetector": roles.merlin_scan,
    "PantaRhei": roles.pantarhei,
    "TIA": roles.tia,
    "TVIPS": roles.tvips,
    "Topspin": topspin.calibrated,
}
"""What is to be done to the dictionaries that some readers return."""
_ONLY_STEM = r"(?<![A-Z])STEM(?![A-Z])|(?i:haadf)"
_STEM = re.compile(rf"(?i:(?<![a-z])stem(?![a-z]))|{_ONLY_STEM}")
_SURELY_STEM = re.compile(_ONLY_STEM)
"""For a name that is all there is: in small letters, a stem is also a plant's."""
_ALONE: Mapping[str, Mapping[str, Any]] = {"MRC": {"metadata_file": None}}
"""Options with which readers read nothing beside the file."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the file with the reader its extension and content ask for; `Unreadable` when none succeeds.

    The companions are not opened here: the readers find them by their names.
    """
    head = b""
    if not path.is_dir():
        with path.open("rb") as file:
            head = file.read(HEAD)
    first: tuple[Declared, Exception] | None = None
    for reader in readers_for(head, path):
        try:
            return reading_of(reader, path, load(reader, path))
        except FileRefused:
            raise  # a file that is hostile to one reader is given to no other
        except Exception as error:  # noqa: BLE001 - a foreign reader raises what it likes; the next one may do better
            first = first or (reader, error)
    if first is None:
        raise Unreadable(format=f"'{path.suffix}'", reason="no reader knows its content")
    raise Unreadable(format=format_name(first[0], path), reason=reason(first[1], path)) from first[1]


def read_by(plugin: str, path: Path) -> Reading:
    """Read the file with a certain reader, for a format that is based on it."""
    by = next(reader for reader in DECLARED_READERS if reader.plugin == plugin)
    return reading_of(by, path, load(by, path))


def format_name(by: Declared, path: Path) -> str:
    """Return the name of the format for a person."""
    # the version of DigitalMicrograph's is in the extension only
    return f"{by.name} {path.suffix[-1]}" if by.plugin == "DigitalMicrograph" else by.name


def load(by: Declared, path: Path) -> list[dict[str, Any]]:
    """Return a reader's dictionaries, with the data left on disk where the reader can do that."""
    if by.signals is not None and (read_here := by.signals(path)) is not None:
        return calibrated(by.plugin, path, read_here)
    reader = importlib.import_module(by.api).file_reader
    options = {"lazy": True, **by.options(path)}
    try:
        dictionaries = reader(str(path), **options)
    except (MemoryError, FileRefused):
        raise
    except Exception:  # noqa: BLE001 - not lazy at all, or not this file (RGBA images of DigitalMicrograph)
        del options["lazy"]
        dictionaries = _read_eagerly(by, path, options)
    if not dictionaries:
        raise ValueError("it holds no data")
    completed_by = _COMPLETED.get(by.plugin)
    return calibrated(by.plugin, path, completed_by(path, dictionaries) if completed_by else dictionaries)


def _read_eagerly(by: Declared, path: Path, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a reader's dictionaries; a date that it cannot parse does not cost the data."""
    module = importlib.import_module(by.api)
    try:
        return list(module.file_reader(str(path), **options))
    except (ValueError, OverflowError, IndexError, AssertionError, TypeError) as error:
        try:
            with lenient_dates(by.api):
                return list(module.file_reader(str(path), **options))
        except Exception:  # noqa: BLE001 - it is not the date: the first error says more
            return _read_alone(by, path, error)


def _read_alone(by: Declared, path: Path, error: Exception) -> list[dict[str, Any]]:
    """Return a reader's dictionaries of the file without the texts beside it; raise the error where it is not those."""
    if by.plugin not in _ALONE:
        raise error from None
    try:
        found = list(importlib.import_module(by.api).file_reader(str(path), lazy=True, **_ALONE[by.plugin]))
    except Exception:  # noqa: BLE001 - it is the file
        raise error from None
    warnings.warn(f"The settings in the file beside it could not be read: {reason(error, path)}.", stacklevel=2)
    return found


def section(metadata: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the kind of microscope a file was written by and what the metadata say of it.

    A file that knows of both (some programs leave empty shells) belongs to the one it says more of.
    """
    below = metadata.get("Acquisition_instrument")
    if not isinstance(below, Mapping):
        return None, {}
    stated = {
        name: below[name] for name in _COLUMN_TYPES if isinstance(below.get(name), Mapping) and leaves(below[name])
    }
    column = max(stated, key=lambda name: leaves(stated[name]), default=None)
    common = {name: value for name, value in below.items() if name not in _COLUMN_TYPES}
    return column, {**common, **(stated[column] if column else {})}


def reading_of(by: Declared, path: Path, dictionaries: Iterable[Mapping[str, Any]]) -> Reading:
    """Return the reading of what a reader returned."""
    signals = tuple(of_light(by.plugin, _signal(grounded(by.plugin, signal))) for signal in dictionaries)
    main = main_signal(signals)
    assert main is not None, "a reader that finds nothing has raised"  # noqa: S101
    column, stated = section(main.metadata)
    if main.signal_type in ("EDS_SEM", "CL_SEM"):  # the readers of spectra file every microscope under TEM
        column = "SEM"
    meta: dict[str, Quantity | None] = {}
    units: dict[str, str | None] = {}
    unreliable: frozenset[str] = frozenset()
    stated_times: list[datetime | WrittenTime | None] = []
    beyond = _FirstValues()
    name, scans = format_name(by, path), "dwell_time" in stated
    for vendor, tree in vendors_for(by.plugin, main.original_metadata):
        beyond.add(applied(vendor.rules, tree), vendor.special(tree) if vendor.special else {})
        units.update(vendor.units)
        unreliable |= vendor.unreliable
        column, name, scans = column or vendor.column, vendor.format or name, scans or vendor.scans
        stated_times.append(vendor.acquired(tree) if vendor.acquired else None)
    meta.update(applied(terms.HYPERSPY_INSTRUMENT, stated, units))
    meta.update(applied(terms.HYPERSPY_GENERAL, main.metadata))
    meta.update(beyond.found)
    if column == "SEM":
        _use_sem_names(meta)
    if by.plugin == "TVIPS" and main.signal_type == "diffraction":  # its entry is the camera length then, in some unit
        meta.pop("Magnification", None)
    if (specimen := meta.get("Specimen")) and str(specimen.value) in (path.name, path.stem):
        del meta["Specimen"]  # a program's way of filling the field
    if main.title and main.title != path.stem and "Signal Name" not in beyond.found:
        meta["Signal Name"] = quantity("Signal Name", main.title)
    # of a picture beside a map, a reader may say nothing
    times = (moment(signal.metadata, trusted=not by.local_clock) for signal in (main, *signals))
    by_reader = next(filter(None, times), None)
    acquired = acquired_by(by.plugin, main.original_metadata, stated_times, by_reader, path)
    if acquired.moment is None and (shown := acquired.shown or quantity(DAY_SHOWN, _first(main.metadata, "date"))):
        meta[DAY_SHOWN] = shown
    return Reading(
        format=name,
        reader=f"rosettasciio {__version__} ({by.plugin})",
        signals=signals,
        meta=mark_contradictions(
            {
                key: replace(value, warning=True, reason=TYPED_IN) if key in unreliable else value
                for key, value in meta.items()
                if value is not None
            },
            main,
        ),
        acquired=acquired.moment,
        clock_doubtful=bool(acquired.doubt),
        warnings=(acquired.doubt,) if acquired.doubt else (),
        column=_scanning(column, meta, scans, f"{path.stem} {main.title}"),
    )


def _use_sem_names(meta: dict[str, Quantity | None]) -> None:
    """Name the stage's angles as an SEM's, and drop the camera length: it has no projector.

    DigitalMicrograph has the fields of a transmission microscope only. That the second angle is then the stage's
    rotation, and the camera length a mere 1, is inferred from a file of an SEM whose Stage Beta is 341°.
    """
    for stated, meant in (("Stage Alpha", "Stage Tilt"), ("Stage Beta", "Stage Rotation")):
        value = meta.pop(stated, None)
        if value is not None:
            meta.setdefault(meant, value)
    meta.pop("Camera Length", None)


class _FirstValues:
    """Quantities of several sources, the first that knows one wins."""

    def __init__(self) -> None:
        self.found: dict[str, Quantity] = {}

    def add(self, *sources: Mapping[str, Quantity | None]) -> None:
        for source in sources:
            for name, value in source.items():
                if value is not None:
                    self.found.setdefault(name, value)


def _scanning(column: str | None, meta: Mapping[str, Quantity | None], scans: bool, hints: str) -> str | None:
    """Return "STEM" or the column: by the mode it reports, else by how the beam is used, else by the file's name.

    Where the file names neither of the two, its name may stand for the STEM, never for the TEM.
    """
    if column is None:
        return "STEM" if _SURELY_STEM.search(hints) else None
    if column != "TEM":
        return column
    modes = " ".join(str(mode.value) for key in ("Acquisition Mode", "Illumination Mode") if (mode := meta.get(key)))
    if modes:
        return "STEM" if "STEM" in modes else "TEM"
    return "STEM" if scans or _STEM.search(hints) else "TEM"


def _signal(dictionary: Mapping[str, Any]) -> Signal:
    """Return a signal as HyperSpy sees it: axes in order, the reader's functions and its mapping applied."""
    signal = completed(dictionary)
    data, metadata = signal.data, signal.metadata
    about = metadata.get("Signal")
    about = about if isinstance(about, Mapping) else {}
    axes = [_axis(axis) for axis in signal.axes]
    lengths = [int(length) for length in data.shape]
    if [axis.size for axis in axes] != lengths:  # some readers leave the axes of auxiliary arrays out
        axes = [Axis(length) for length in lengths]
    return Signal(
        data=data,
        axes=in_one_unit(tuple(axes)),
        title=one_line(_first(metadata, "title") or ""),
        signal_type=one_line(about.get("signal_type") or ""),
        quantity=one_line(about.get("quantity") or "").removesuffix(" (Intensity)"),  # EMSA's stopgap for a unit
        metadata=metadata,
        original_metadata=dictionary.get("original_metadata") or {},
    )


def _axis(axis: Mapping[str, Any]) -> Axis:
    positions = axis.get("axis")
    values = tuple(float(position) for position in positions) if positions is not None else None
    # some readers hand on a text that is no number to them: 1,5
    scale, offset = number(axis.get("scale", 1.0)), number(axis.get("offset") or 0.0, nan)
    uncalibrated = values is None and (scale == 0 or not isfinite(scale) or not isfinite(offset))
    return Axis(
        size=len(values) if values else int(axis.get("size", 0)),
        # one of the TIFF reader may say what it could be: color|em-wavelength|channel
        name=one_line(axis.get("name") or "", 200).rpartition("|")[2][:60],
        unit=None if uncalibrated else symbol(axis.get("units")),
        scale=1.0 if uncalibrated else scale,
        offset=0.0 if uncalibrated else offset,
        navigate=None if axis.get("navigate") is None else bool(axis["navigate"]),
        values=values,
    )


def _first(metadata: Mapping[str, Any], key: str) -> Any:
    general = metadata.get("General")
    return general.get(key) if isinstance(general, Mapping) else None


def moment(metadata: Mapping[str, Any], trusted: bool = True) -> datetime | None:
    """Return the time in ``General``, with its zone where the file has one; None unless it has date and time.

    Without a zone it is that of the instrument's clock. One with the abbreviation of the zone of the machine that reads
    the file is in that zone: some readers convert to it and name it so.

    Parameters
    ----------
    metadata
        Metadata in RosettaSciIO's layout.
    trusted
        False for a reader that converts to the machine's zone and may name another.
    """
    day, clock, zone = (_first(metadata, key) for key in ("date", "time", "time_zone"))
    try:
        moment = datetime.combine(date.fromisoformat(str(day)), time.fromisoformat(str(clock)))
    except ValueError:
        return None
    if moment.tzinfo or not zone:
        return moment
    if not trusted or (zone in tzname and zone != "UTC"):
        return moment.astimezone()
    return with_offset(moment.replace(tzinfo=_zone(str(zone))))


def _zone(name: str) -> tzinfo | None:
    return named_zone(name) or zone_of(name)
