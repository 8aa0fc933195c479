"""Adds to an image what a microscope wrote about it elsewhere: in a private tag of the file, or in a file beside it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from configparser import Error, RawConfigParser
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.cleaning import decode
from Services.Builder.extraction.extractors.plausibility import mark_contradictions
from Services.Builder.extraction.extractors.signal import Reading, Signal, main_signal
from Services.Builder.extraction.extractors.terms import Rule, applied
from Services.Builder.model import Quantity

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF begin."""
LARGEST_SETTINGS_FILE = 1_000_000
"""Bytes of a file beside an image that are read."""


@dataclass(frozen=True, slots=True)
class MicroscopeSettings:
    """What a microscope wrote about an image."""

    format: str
    """Display name of the format."""
    tree: Mapping[str, Any]
    rules: Sequence[Rule]
    column: str | None = None
    """Kind of microscope; None where the image itself names it."""
    pixel: tuple[float, float] | None = None
    """Height and width of a pixel in metres."""
    acquired: datetime | None = None
    clock_doubtful: bool = False
    """Whether the time of acquisition may be off."""
    special: Mapping[str, Quantity | None] = field(default_factory=dict)
    """What takes more than a rule."""


def with_settings(reading: Reading, known: MicroscopeSettings) -> Reading:
    """Return a reading with the settings; they go before what a general reader understood."""
    signals = tuple(_described(signal, known) for signal in reading.signals)
    special = {name: value for name, value in known.special.items() if value is not None}
    return replace(
        reading,
        format=known.format,
        signals=signals,
        meta=mark_contradictions({**reading.meta, **applied(known.rules, known.tree), **special}, main_signal(signals)),
        acquired=known.acquired or reading.acquired,
        clock_doubtful=known.clock_doubtful,
        column=known.column or reading.column,
    )


def _described(signal: Signal, known: MicroscopeSettings) -> Signal:
    original = {**signal.original_metadata, "settings": known.tree}
    if known.pixel is None or min(known.pixel) <= 0 or len(signal.axes) < 2:
        return replace(signal, original_metadata=original)
    *others, rows, columns = signal.axes
    height, width = known.pixel
    axes = (*others, replace(rows, unit="m", scale=height), replace(columns, unit="m", scale=width))
    return replace(signal, original_metadata=original, axes=axes)


def number(value: object) -> float:
    """Return a setting as a number; 0 where it is none."""
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def moment(text: object, *forms: str) -> datetime | None:
    """Return a time on the instrument's clock, written in the first of the forms that fits; None where none does."""
    for form in forms:
        with contextlib.suppress(ValueError):
            return datetime.strptime(str(text).strip(), form)  # noqa: DTZ007 - the zone is the instrument's
    return None


_DAY = re.compile(r"(\d{1,2}) ?([./-]) ?(\d{1,2}) ?\2 ?(\d{4}|\d\d)\.?(?: +(.*))?")
"""A day in figures, in the order of the PC's language, and perhaps a time of day."""
_CLOCKS = ("%I:%M:%S %p", "%H:%M:%S", "%I:%M %p", "%H:%M", "%H:%M:%S.%f")
_NEAR = timedelta(days=2)


def either_order(text: object, near: datetime | None = None) -> datetime | None:
    """Return a time whose day and month stand in the order of the PC's language; None where that leaves it open.

    Parameters
    ----------
    text
        Day and time of day, the day in figures: 7/20/2015 6:48:25 PM. With dots, the day always comes first.
    near
        What another clock says, in any zone: of two orders the one that is not days away from it is right.
    """
    parts = _DAY.fullmatch(str(text).strip())
    if parts is None:
        return None
    first, mark, second, year, clock = parts.groups()
    year = year if len(year) == 4 else f"20{year}"
    orders = [f"{second}/{first}/{year}"] if mark == "." else [f"{first}/{second}/{year}", f"{second}/{first}/{year}"]
    times = {moment(f"{order} {clock}", *(f"%m/%d/%Y {form}" for form in _CLOCKS)) for order in orders} - {None}
    if len(times) > 1 and near is not None:
        times = {time for time in times if time and abs(time - near.replace(tzinfo=None)) <= _NEAR}
    return times.pop() if len(times) == 1 else None


def is_day_in_figures(text: object) -> bool:
    """Return whether a day is written so that its order has to be known: 5.6.2016."""
    return _DAY.fullmatch(str(text).strip()) is not None


def beside(path: Path, *suffixes: str) -> str | None:
    """Return the text of the file of the same name with the first of the extensions there is; None without one."""
    for suffix in suffixes:
        for spelled in (suffix, suffix.upper()):
            with contextlib.suppress(OSError), path.with_name(path.stem + spelled).open("rb") as file:
                return decode(file.read(LARGEST_SETTINGS_FILE))
    return None


def ini(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of an INI file; of one that breaks its rules those up to there."""
    parser = RawConfigParser(strict=False, allow_no_value=True, empty_lines_in_values=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # keys keep their capitals
    with contextlib.suppress(Error):
        parser.read_string(text)
    return {name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()}


def tiff_tags(head: bytes, path: Path, *codes: int) -> dict[int, Any]:
    """Return some tags of a TIFF's first page; none if the file is damaged or not a TIFF.

    Parameters
    ----------
    head
        The first bytes of the file.
    path
        The file, opened only if `head` is that of a TIFF.
    codes
        Numbers of the tags.
    """
    if not head.startswith(TIFF):
        return {}
    try:
        status = path.stat()
    except OSError:
        return {}
    page = _first_page(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return page.tags(codes)


class _FirstPage:
    """The tags of a TIFF's first page, which several formats look at to recognise their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._present: frozenset[int] | None = None
        self._values: dict[int, Any] = {}

    def tags(self, codes: Sequence[int]) -> dict[int, Any]:
        """Return the values of those that there are; none if the file is damaged."""
        missing = [code for code in codes if code not in self._values]
        if self._present is None or not self._present.isdisjoint(missing):
            from tifffile import TiffFile, TiffFileError

            try:
                with TiffFile(self._path) as file:
                    tags = file.pages.first.tags
                    self._present = frozenset(tag.code for tag in tags)
                    self._values.update({code: tags[code].value for code in missing if code in tags})
            except (TiffFileError, ValueError, IndexError, KeyError, OSError):
                return {}
        return {code: self._values[code] for code in codes if code in self._values}


@lru_cache(maxsize=1)
def _first_page(path: Path, stamp: tuple[int, ...]) -> _FirstPage:
    """Return the page of the file that is now being looked at, as long as it is not changed."""
    return _FirstPage(path)
