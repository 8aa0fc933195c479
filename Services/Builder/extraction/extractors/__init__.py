"""Formats of instrument files, and what is made of their content.

Each folder here is a format (see `registry`); the modules beside them are what the formats share: `signal` what a
reader returns, `quantities` names and units, `kinds` the rules that decide what a file is, `cleaning`, `faults` and
`captured_output` the handling of what foreign readers return, raise and say.
"""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import (
    Format,
    FormatSpec,
    beside,
    candidates,
    declared,
    extensions,
    formats,
)
from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal

__all__ = [
    "Axis",
    "Format",
    "FormatSpec",
    "Reading",
    "Signal",
    "beside",
    "candidates",
    "declared",
    "extensions",
    "formats",
]
