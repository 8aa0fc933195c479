"""Leaves out what RosettaSciIO's NeXus reader returns besides signals: the positions along their axes.

A NeXus file keeps an axis as a dataset of its own beside the data (manual of the NeXus format, NXdata), and the reader
returns every dataset that holds numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from Services.Builder.extraction.extractors.settings import number

LONGEST_AXIS = 1_000_000
"""Positions along an axis; what is longer is data."""


def signals_only(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the NeXus reader returned, without the axes of other signals."""
    return [signal for signal in signals if not _is_axis(signal)] or list(signals)


def _is_axis(signal: Mapping[str, Any]) -> bool:
    """Return whether the data are only positions along their only axis."""
    data, axes = signal["data"], signal["axes"]
    if data.ndim != 1 or len(axes) != 1 or data.size > LONGEST_AXIS or data.dtype.kind not in "iuf":
        return False
    positions = number(axes[0].get("offset")) + number(axes[0].get("scale")) * np.arange(data.size)
    return data.size > 1 and np.allclose(np.asarray(data), positions)
