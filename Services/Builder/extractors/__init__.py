"""Formats of instrument files, and what is made of their content.

Each folder here is a format (see `registry`); the modules beside them are what the formats share: `signal` what a
reader returns, `quantities` names and units, `kinds` the rules that decide what a file is, `cleaning`, `faults` and
`listening` the handling of what foreign readers return, raise and say.
"""

from __future__ import annotations

from Services.Builder.extractors.registry import Format, FormatSpec, candidates, declared, extensions, formats
from Services.Builder.extractors.signal import Axis, Reading, Signal

__all__ = ["Axis", "Format", "FormatSpec", "Reading", "Signal", "candidates", "declared", "extensions", "formats"]
