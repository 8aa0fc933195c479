"""Compares what HyperSpy reads from instrument files with what the Builder reads, and writes the result as Markdown.

Examples
--------
::

    python -m tests.services.hyperspy_agreement ../shared/data > docs/agreement.md
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from math import isclose
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors import Reading, candidates
from Services.Builder.extraction.extractors.quantities import factor, symbol
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.signal import Axis, Signal

FILES = Path(__file__).with_name("instrument_files.txt")
WHATS = ("energy", "magnification", "exposure", "date", "axes")
_HEAD = """\
# Beside HyperSpy

What HyperSpy's own `load` says of real instrument files, beside what a record says, made by
`python -m tests.services.hyperspy_agreement`: beam energy, magnification, exposure, date, and the scale of every axis.
Of {files} files that HyperSpy loads, {same} values are the same.
"""
LOCAL_CLOCK = "HyperSpy has the clock of the instrument's computer; the file has the universal time as well"
LEFT_OUT = "the file has it; HyperSpy leaves it out"
SAVED = "HyperSpy has the time of saving; the file has that of the acquisition as well"
UNSET = "0 stands for a magnification that was not written; the file has it in another place"
REASONS: Mapping[tuple[str, str], str] = {
    **{
        (name, "date"): LOCAL_CLOCK
        for name in (
            "dm_nexus/TEM_list_signal_dataZeroed.dm3",
            "dm_nexus/Titan_FFT.dm3",
            "dm_nexus/Titan_survey_image_dataZeroed.dm3",
            "dm_nexus/test_STEM_image.dm3",
            "dm_rsciio/2D_multi_signal.dm3",
            "dm_rsciio/2D_test-MonarcCL_mono-image.dm4",
            "dm_rsciio/Fei_HAADF-DE_location.dm3",
            "dm_rsciio/Fei_HAADF-UK_location.dm3",
            "dm_rsciio/test_stackbuilder_imagestack.dm3",
            "empad/map4x4.xml",
            "tia_rsciio/16x16_STEM_BF_DF_acquire.emi",
        )
    },
    **{
        (name, "date"): LEFT_OUT
        for name in (
            "arina/test_00_master.h5",
            "dm_nexus/Titan_STEM_stack_dataZeroed.dm3",
            "edax/leo_edax_test.spc",
            "mrc/HAADFscan.mrc",
            "tia_rsciio/128x128-TEM_search_1.ser",
            "tia_rsciio/16x16_STEM_BF_DF_acquire_1.ser",
            "tia_rsciio/16x16_STEM_BF_DF_acquire_2.ser",
            "tia_rsciio/X_-_Au_NP_EELS_2.ser",
            "tif_orion/orion-zeiss_dataZeroed.tif",
            "tif_other/test_loading_image_saved_with_imageJ.tif",
            "tif_other/test_loading_image_saved_with_imageJ_stack.tif",
        )
    },
    **{
        (name, "axes"): LEFT_OUT
        for name in (
            "arina/test_00_master.h5",
            "dm_nexus/Titan_STEM_stack_dataZeroed.dm3",
            "tif_fei/titan_tem_bf_image_dataZeroed.tif",
            "tif_orion/orion-fibics_dataZeroed.tif",
            "tif_orion/orion-zeiss_dataZeroed.tif",
            "tif_other/test_loading_image_saved_with_imageJ_stack.tif",
            "tif_tescan/tescan-pfib_dataZeroed.tif",
        )
    },
    **{
        (name, "date"): SAVED
        for name in (
            "tif_hamamatsu/test_hamamatsu_streak_SCAN.tif",
            "tif_tescan/tescan-pfib_dataZeroed.tif",
        )
    },
    **{
        (name, "magnification"): UNSET for name in ("emd/fei_example_complex_fft.emd", "emd_velox/1532_Camera_Ceta.emd")
    },
    ("dm_rsciio/2D_test_diffraction_pattern.dm3", "date"): "9 July or 7 September: nothing in the file tells which",
    (
        "emd/Si100_3D.emd",
        "axes",
    ): "Prismatic's parameters in the same file show that its units are radians and ångströms",
    ("digitalsurf/test_RGB.sur", "axes"): "72 dots per inch are a screen's",
    ("jobinyvon/jobinyvon_test_spec.xml", "date"): "HyperSpy hands on the text as it is",
    ("ripple/test_ripple_sdim-2_ndim-1_uint16_meta.rpl", "axes"): "a step of 100 m is no calibration of a microscope's",
    ("tif_hamamatsu/test_hamamatsu_streak_SCAN.tif", "axes"): "the file lists its times; HyperSpy has a straight line",
    (
        "topspin/topspin_test_B.app5",
        "axes",
    ): "radians by the camera length in the same file; HyperSpy's word is no unit",
}
"""Why a value differs, by file and what."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One value of a file, by both."""

    file: str
    what: str
    """One of `WHATS`."""
    hyperspy: str
    """In HyperSpy's units; "" where it has none."""
    record: str
    """In the record's units; "" where it has none."""
    same: bool


def compared(path: Path, name: str) -> Iterator[Compared]:
    """Yield the values of a file's main signal that HyperSpy or the record has.

    Parameters
    ----------
    path
        The file.
    name
        What to call it.
    """
    reading = _reading(path)
    if reading is None or reading.main is None:
        return
    theirs = _theirs(path, reading, reading.main)
    if theirs is None:
        return
    metadata = theirs.metadata.as_dictionary()
    column = _column(metadata)
    detectors = column.get("Detector") or {}
    exposure = _first(column.get("Camera"), "exposure")
    exposure = exposure or _first(detectors.get("Camera"), "exposure") or _first(detectors.get("EELS"), "exposure")
    scanned = "Exposure Time" if "Exposure Time" in reading.meta else "Dwell Time"
    yield from _number(name, "energy", column.get("beam_energy"), "kV", reading, "Acceleration Voltage")
    yield from _number(name, "magnification", column.get("magnification"), None, reading, "Magnification")
    yield from _number(name, "exposure", exposure, "s", reading, scanned)
    yield from _date(name, metadata.get("General") or {}, reading)
    yield from _axes(name, theirs, reading.main)


def _reading(path: Path) -> Reading | None:
    with suppress(Exception):  # which files cannot be read, other tests know
        return candidates(path)[0].read(path, ())
    return None


def _theirs(path: Path, reading: Reading, main: Signal) -> Any:
    """Return HyperSpy's signal of the same data; None where it has none."""
    import hyperspy.api as hs

    plugin = next((one.plugin for one in DECLARED_READERS if f"({one.plugin})" in reading.reader), None)
    loaded: Any = None
    for options in ({"lazy": True}, {}):
        with suppress(Exception):
            loaded = hs.load(str(path), reader=plugin, **options)
            break
    signals = [one for one in _flat(loaded) if sorted(one.data.shape) == sorted(main.shape)]

    def rank(one: Any) -> tuple[bool, int]:
        titled = one.metadata.get_item("General.title", default="") == main.title
        return titled, sum(isinstance(axis.units, str) for axis in one.axes_manager._axes)

    return max(signals, key=rank, default=None)


def _flat(loaded: Any) -> Iterator[Any]:
    if isinstance(loaded, list | tuple):
        for one in loaded:
            yield from _flat(one)
    elif loaded is not None and hasattr(loaded, "axes_manager"):
        yield loaded


def _column(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    below = metadata.get("Acquisition_instrument") or {}
    return next((below[name] for name in ("TEM", "SEM") if below.get(name)), {})


def _first(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else None


def _number(file: str, what: str, theirs: Any, unit: str | None, reading: Reading, quantity: str) -> Iterator[Compared]:
    ours = reading.meta.get(quantity)
    if not isinstance(theirs, int | float):
        return
    if ours is None or not isinstance(ours.value, int | float):
        yield Compared(file, what, f"{theirs:g} {unit or ''}".strip(), "", False)
        return
    times = factor(ours.unit, unit) if ours.unit and unit else 1.0
    same = times is not None and isclose(float(ours.value) * times, float(theirs), rel_tol=1e-3)
    yield Compared(file, what, f"{theirs:g} {unit or ''}".strip(), f"{ours.value} {ours.unit or ''}".strip(), same)


def _date(file: str, general: Mapping[str, Any], reading: Reading) -> Iterator[Compared]:
    day, clock, ours = str(general.get("date") or ""), str(general.get("time") or ""), reading.acquired
    if not day and ours is None:
        return
    moments = {ours, ours.astimezone(UTC) if ours and ours.tzinfo else ours}
    same = any(one and one.date().isoformat() == day and clock[:8] in ("", f"{one:%H:%M:%S}") for one in moments)
    yield Compared(file, "date", f"{day} {clock}".strip(), ours.isoformat(" ") if ours else "", same)


def _axes(file: str, theirs: Any, main: Signal) -> Iterator[Compared]:
    """Compare the axes in the order of the array, which HyperSpy may have transposed."""
    sizes = {one.size: one for one in theirs.axes_manager._axes}
    unique = len(sizes) == len(main.axes)
    pairs = [(axis, sizes.get(axis.size)) for axis in main.axes] if unique else list(
        zip(main.axes, theirs.axes_manager._axes, strict=False)
    )  # fmt: skip
    different = [(ours, axis) for ours, axis in pairs if axis is not None and not _same_axis(ours, axis)]
    if pairs:
        yield Compared(
            file,
            "axes",
            "; ".join(f"{axis.name} {getattr(axis, 'scale', 0):g} {axis.units}" for _ours, axis in different),
            "; ".join(f"{ours.scale:g} {ours.unit or ''}".strip() for ours, _axis in different),
            not different,
        )


def _same_axis(ours: Axis, theirs: Any) -> bool:
    if ours.values is not None or not hasattr(theirs, "scale"):
        return (ours.values is not None) == (not hasattr(theirs, "scale"))
    unit = symbol(str(theirs.units)) if isinstance(theirs.units, str) else None
    if unit != ours.unit and (unit is None or ours.unit is None):
        return False
    times = 1.0 if unit == ours.unit else factor(unit or "", ours.unit or "")
    return times is not None and isclose(theirs.scale * times, ours.scale, rel_tol=1e-4)


def all_compared(data: Path) -> list[Compared]:
    """Return every comparison of the listed files of a folder."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = FILES.read_text("utf-8").splitlines()
            return [one for name in names if (data / name).exists() for one in compared(data / name, name)]
    finally:
        logging.disable(logging.NOTSET)


def markdown(values: list[Compared]) -> str:
    """Return the comparison as a document."""
    different = [one for one in values if not one.same]
    rows = [
        f"| `{one.file}` | {one.what} | {one.hyperspy or '–'} | {one.record or '–'} | "
        f"{REASONS.get((one.file, one.what), '')} |"
        for one in different
    ]
    head = _HEAD.format(files=len({one.file for one in values}), same=len(values) - len(different))
    return "\n".join([head, "| File | What | HyperSpy | Record | Why |", "|---|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(markdown(all_compared(Path(sys.argv[1]))))
