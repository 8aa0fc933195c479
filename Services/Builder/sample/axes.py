"""The calibrated axis, in the terms that RosettaSciIO's writers and the .dm3 writer share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class UniformAxis:
    """A uniform axis: the value at index i is ``offset + i * scale``."""

    name: str
    size: int
    scale: float
    units: str
    offset: float = 0.0
    navigate: bool = False
    """The axis runs over positions (of the scan, of a series), not within the signal of one position."""

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """Value at each index."""
        return np.arange(self.size, dtype=np.float64) * self.scale + self.offset


def plane(shape: tuple[int, int], pixel: float, units: str = "nm") -> tuple[UniformAxis, UniformAxis]:
    """Axes y and x of an image whose first pixel lies at zero."""
    return UniformAxis("y", shape[0], pixel, units), UniformAxis("x", shape[1], pixel, units)


def signal(
    data: npt.NDArray[Any],
    axes: Sequence[UniformAxis],
    metadata: dict[str, Any],
    original: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Put together the dictionary that RosettaSciIO's writers take.

    Parameters
    ----------
    data
        Values; the last index is the fastest.
    axes
        One for each index of `data`, in the same order.
    metadata
        Tree in HyperSpy's convention (``General``, ``Signal``, ``Acquisition_instrument``, ``Sample``).
    original
        Tree of the format's own metadata.
    """
    return {
        "data": data,
        "axes": [
            {
                "_type": "UniformDataAxis",
                "name": axis.name,
                "size": axis.size,
                "index_in_array": index,
                "scale": axis.scale,
                "offset": axis.offset,
                "units": axis.units,
                "navigate": axis.navigate,
                "is_binned": False,
            }
            for index, axis in enumerate(axes)
        ],
        "metadata": metadata,
        "original_metadata": original or {},
        "attributes": {"_lazy": False, "ragged": False},
        "package_info": {"package": "NexusCore sample session", "package_version": "1"},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
    }
