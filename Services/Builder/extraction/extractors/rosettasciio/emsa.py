"""EMSA/MAS spectra as programs write them beyond the standard: other encodings, decimal commas, unnamed wavelengths.

ISO 22029 allows ASCII and decimal points only. The MSA reader takes every file for Latin-1, fails at a decimal comma,
and does not say what the axis of cathodoluminescence (``CLS``) is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.quantities import dimension, symbol
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup

_COMMA = re.compile(r"^\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*$")
_NUMERIC = ("XPERCHAN", "OFFSET", "BEAMKV", "LIVETIME", "REALTIME", "PROBECUR")
"""Keywords whose values show how a file writes decimals."""
_DECIMAL = re.compile(r"(?<=\d),(?=\d)")
_SCANNING_KV = 30.0
"""Up to which the beam is taken for that of a scanning microscope, as by the MSA reader for X-rays."""


def options(path: Path) -> dict[str, Any]:
    """Return the reader's arguments: the encoding is UTF-8 where the file is valid in it."""
    try:
        path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}
    return {"encoding": "utf-8-sig"}


def signals(path: Path) -> list[dict[str, Any]] | None:
    """Return what the reader would return if the decimals had points; None for a file whose decimals have."""
    text = path.read_bytes().decode(options(path).get("encoding", "latin-1"))
    lines = text.splitlines()
    if not any(_COMMA.match(value) for value in _values(lines, _NUMERIC)):
        return None
    from rsciio.msa._api import parse_msa_string

    with_points = io.StringIO("".join(f"{_with_point(line)}\n" for line in lines if line.strip()))
    return completed(path, parse_msa_string(with_points, str(path)))


def _values(lines: Sequence[str], keywords: Sequence[str]) -> list[str]:
    entries = (line[1:].partition(":") for line in lines if line.startswith("#"))
    return [value for key, _, value in entries if re.split(r"[\s-]", key.strip())[0].upper() in keywords]


def _with_point(line: str) -> str:
    """Return a line of the header or of the data with decimal points; texts stay as they are."""
    if not line.startswith("#"):
        return _DECIMAL.sub(".", line)
    key, colon, value = line.partition(":")
    return f"{key}{colon}{value.replace(',', '.')}" if _COMMA.match(value) else line


def completed(_path: Path, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the reader returned, with what follows from its being cathodoluminescence."""
    return [_luminescence(signal) if _type(signal) == "CL" else signal for signal in found]


def _type(signal: Mapping[str, Any]) -> str:
    return str(lookup(signal.get("metadata") or {}, "Signal.signal_type") or "")


def _luminescence(signal: dict[str, Any]) -> dict[str, Any]:
    axes = [
        {**axis, "name": "Wavelength"}
        if dimension(symbol(axis.get("units"))) == "length" and not axis.get("name")
        else axis
        for axis in signal["axes"]
    ]
    metadata = dict(signal["metadata"])
    if number(lookup(metadata, "Acquisition_instrument.TEM.beam_energy")) <= _SCANNING_KV:
        metadata["Signal"] = {**metadata["Signal"], "signal_type": "CL_SEM"}
    return {**signal, "axes": axes, "metadata": metadata}
