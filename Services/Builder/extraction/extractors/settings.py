"""Adds to an image what a microscope wrote about it elsewhere: in a private tag of the file, or in a file beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from configparser import Error, RawConfigParser
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.acquisition_time import DAY_SHOWN, Acquired
from Services.Builder.extraction.extractors.cleaning import decode
from Services.Builder.extraction.extractors.people_numbers import decimal_point
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
    acquired: datetime | Acquired | None = None
    """An `Acquired` without a time means that there is none, whatever the general reader understood."""
    clock_doubtful: bool = False
    """Whether the time of acquisition may be off."""
    special: Mapping[str, Quantity | None] = field(default_factory=dict)
    """What takes more than a rule."""


def with_settings(reading: Reading, known: MicroscopeSettings) -> Reading:
    """Return a reading with the settings; they go before what a general reader understood."""
    signals = tuple(_described(signal, known) for signal in reading.signals)
    special = {name: value for name, value in known.special.items() if value is not None}
    when = known.acquired if isinstance(known.acquired, Acquired) else Acquired(known.acquired or reading.acquired)
    if when.shown is not None:
        special[DAY_SHOWN] = when.shown
    return replace(
        reading,
        format=known.format,
        signals=signals,
        meta=mark_contradictions({**reading.meta, **applied(known.rules, known.tree), **special}, main_signal(signals)),
        acquired=when.moment,
        clock_doubtful=known.clock_doubtful or bool(when.doubt),
        warnings=(*reading.warnings, when.doubt) if when.doubt else reading.warnings,
        column=known.column or reading.column,
    )


def _described(signal: Signal, known: MicroscopeSettings) -> Signal:
    original = {**signal.original_metadata, "settings": known.tree}
    if known.pixel is None or not all(0 < size < inf for size in known.pixel) or len(signal.axes) < 2:
        return replace(signal, original_metadata=original)
    *others, rows, columns = signal.axes
    height, width = known.pixel
    axes = (*others, replace(rows, unit="m", scale=height), replace(columns, unit="m", scale=width))
    return replace(signal, original_metadata=original, axes=axes)


def number(value: object, otherwise: float = 0.0) -> float:
    """Return a setting as a number, also one with a decimal comma; `otherwise` where it is none, or may be two."""
    try:
        return float(decimal_point(value)[0] if isinstance(value, str) else str(value))
    except ValueError:
        return otherwise


def moment(text: object, *forms: str) -> datetime | None:
    """Return a time on the instrument's clock, written in the first of the forms that fits; None where none does."""
    for form in forms:
        with contextlib.suppress(ValueError):
            return datetime.strptime(str(text).strip(), form)  # noqa: DTZ007 - the zone is the instrument's
    return None


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
    page = _page(head, path)
    return {} if page is None else page.tags(codes)


def has_tiff_tag(head: bytes, path: Path, *codes: int) -> bool:
    """Return whether a TIFF's first page has one of some tags, without reading it. Parameters as for `tiff_tags`."""
    page = _page(head, path)
    return page is not None and not page.present.isdisjoint(codes)


def _page(head: bytes, path: Path) -> _FirstPage | None:
    if not head.startswith(TIFF):
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return _first_page(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


class _FirstPage:
    """The tags of a TIFF's first page, which several formats look at to recognise their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._present: frozenset[int] | None = None
        self._values: dict[int, Any] = {}

    @property
    def present(self) -> frozenset[int]:
        """Numbers of the tags that there are; none if the file is damaged."""
        if self._present is None:
            self.tags(())
        return self._present or frozenset()

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
