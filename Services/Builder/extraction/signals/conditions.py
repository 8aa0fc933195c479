"""What of a reading matters for the lines and edges of its spectra."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.quantities import factor
from Services.Builder.extraction.extractors.signal import Reading, Signal
from Services.Builder.extraction.extractors.tree import lookup
from Services.Builder.extraction.signals.xray import USUAL_RESOLUTION
from Services.Builder.model import Quantity

_SYMBOL = re.compile(r"[A-Z][a-z]?")


@dataclass(slots=True)
class Labelled:
    """The elements that the previews of a signal name, as those who draw them report."""

    booked: list[str] = field(default_factory=list)
    """Symbols of those that the session's reservation names."""

    def add(self, *elements: str) -> None:
        """Report elements of the reservation that a preview names."""
        self.booked += [element for element in elements if element not in self.booked]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Specimen, beam and detector of a spectrum, as far as its file names them."""

    elements: tuple[str, ...] = ()
    """Symbols that the file names; they need not be those of elements."""
    beam: float | None = None
    """Energy of the beam in keV."""
    resolution: float = USUAL_RESOLUTION
    """Of the X-ray detector at Mn Kα, in eV; the usual one where the file states none."""
    booked: tuple[str, ...] = ()
    """Symbols of the elements that the session's reservation names."""
    labelled: Labelled = field(default_factory=Labelled, compare=False)
    """What previews name."""


def conditions_of(reading: Reading, signal: Signal, booked: tuple[str, ...] = ()) -> Conditions:
    """Return the conditions of a signal of a reading; `booked` are the elements of the session's reservation."""
    elements = _elements(signal.metadata) or _from_text(reading.meta.get("Elements"))
    resolution = _number(reading.meta.get("Energy Resolution"), "eV")
    return Conditions(
        elements=elements,
        beam=_number(reading.meta.get("Acceleration Voltage"), "kV"),
        # of an energy-loss spectrum it is another one's, and a detector's is within this
        resolution=resolution if resolution and 50 <= resolution <= 300 else USUAL_RESOLUTION,
        booked=booked,
    )


def is_xray(kind: Kind) -> bool:
    """Return whether spectra of this kind are of X-rays that a beam of electrons excites."""
    return kind.layout in ("spectrum", "spectrum image") and kind.data_type.endswith("EDS")


def is_loss(kind: Kind) -> bool:
    """Return whether spectra of this kind are of energy losses."""
    return kind.layout in ("spectrum", "spectrum image") and kind.data_type.endswith("EELS")


def names_elements(kind: Kind) -> bool:
    """Return whether previews of this kind name elements."""
    return is_xray(kind) or is_loss(kind)


def has_maps(kind: Kind) -> bool:
    """Return whether element maps can be made of data of this kind: of spectra of X-rays over an area."""
    return is_xray(kind) and kind.layout == "spectrum image" and len(kind.scanned) >= 2


def _elements(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    stated = lookup(metadata, "Sample.elements")
    if stated is None:
        return ()
    items = [stated] if isinstance(stated, str | bytes) else list(stated)
    text = ",".join(item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in items)
    return tuple(dict.fromkeys(_SYMBOL.findall(text)))


def _from_text(stated: Quantity | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_SYMBOL.findall(str(stated.value)))) if stated else ()


def _number(stated: Quantity | None, unit: str) -> float | None:
    if stated is None or isinstance(stated.value, str | bool):
        return None
    multiplier = 1.0 if stated.unit in (unit, None) else factor(stated.unit, unit)
    return stated.value * multiplier if multiplier else None
