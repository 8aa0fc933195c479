"""Says of a file that it is incomplete: what it announces is more than what it holds.

One function for each reader, in the module of its kind; `CHECKS` names them. They look at the file itself, so that they
know of one that its reader gives up, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from Services.Builder.extraction.completeness import binary, described, hdf5, pages
from Services.Builder.extraction.completeness.count import Check, Count, tells_shortfall
from Services.Builder.extraction.extractors.registry import HEAD

__all__ = ["CHECKS", "Check", "Count", "shortfall", "tells_shortfall"]

CHECKS: Mapping[str, Check] = {
    "DigitalMicrograph": binary.digitalmicrograph,
    "TIA": binary.tia,
    "TIFF": pages.tiff,
    "Bruker": binary.bruker,
    "EDAX": binary.edax,
    "MSA": described.emsa,
    "Blockfile": binary.blockfile,
    "MRC": binary.mrc,
    "QuantumDetector": binary.merlin,
    "TVIPS": binary.tvips,
    "Ripple": described.ripple,
    "Hamamatsu": binary.hamamatsu,
    "JEOL": described.jeol,
    "EMPAD": described.empad,
    "Renishaw": binary.renishaw,
    "Quadstar": binary.quadstar,
    "Arina": hdf5.arina,
    "numpy": described.numpy_array,
    **dict.fromkeys(("EMD", "HSPY", "Tofwerk", "USID", "Delmic", "NeXus", "Topspin"), hdf5.hdf5),
}
"""By the name of RosettaSciIO's reader."""


def shortfall(path: Path) -> tuple[str, ...]:
    """Return the sentence that says what a file lacks; none for one that has all, or announces nothing.

    Parameters
    ----------
    path
        The file, with its companions beside it.
    """
    from Services.Builder.extraction.extractors.rosettasciio.declared import readers_for

    # a check that fails on a damaged file shows nothing: the reader reports the fault
    with suppress(Exception):
        if path.is_dir():
            return ()
        with path.open("rb") as file:
            readers = readers_for(file.read(HEAD), path)
        check = CHECKS.get(readers[0].plugin) if readers else None
        return tuple(filter(None, (count.sentence for count in check(path))))[:1] if check else ()
    return ()
