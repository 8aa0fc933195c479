"""Nothing in a record is invented: each value of a real instrument file stands in that file.

What its reader found in the file, word for word, is searched for each quantity: a number counts as found in any power
of ten (a prefix of its unit) and in degrees where the file has radians, a text as a whole or word by word. `EXPLAINED`
lists what is written in the file in another way, and how.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Services.Builder.extraction.extractors import Reading, candidates
from Services.Builder.extraction.extractors.dimensions import DERIVED
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, real

FILES = Path(__file__).with_name("instrument_files.txt").read_text("utf-8").splitlines()
pytestmark = [
    real,
    # readers leave files open, and warn of what they find in them
    pytest.mark.filterwarnings("ignore"),
]

LONGEST_TEXT = 200_000
LARGEST_ARRAY = 5_000
NUMBER = re.compile(r"[-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?")
FEWEST_DIGITS = 2
"""Records show a number with few digits where the file has many; one alone would be found in any file."""
READERS_NAME = "the reader's name for the signal"
HDF5_NAME = "the name of its group in the HDF5 file"
PASCAL = "the file has another unit of pressure"
EXPLAINED: Mapping[tuple[str, str], str] = {
    **{
        (name, "Signal Name"): READERS_NAME
        for name in (
            "bruker/16x16_12bit_packed_8bit.bcf",
            "bruker/Hitachi_TM3030Plus.bcf",
            "bruker/bruker_nano.spx",
            "edax/leo_edax_test.spc",
            "emd/fei_example_complex_fft.emd",
            "jeol/met03.EDS",
        )
    },
    **{
        (name, "Signal Name"): HDF5_NAME
        for name in ("emd/Si100_3D.emd", "nexus_nxs/simple_signal.nxs", "py4dstem/py4DSTEM_size2x3x4x5.h5")
    },
    **{
        (f"bruker/{name}.bcf", quantity): f"{where} of the XML in the container, which the reader does not hand on"
        for name in ("16x16_12bit_packed_8bit", "Hitachi_TM3030Plus")
        for quantity, where in (("Real Time", "lines, points and their time"), ("Specimen", "the title"))
    },
    ("bruker/Hitachi_TM3030Plus.bcf", "Elements"): "the selection of elements in the same XML",
    ("mrc/HAADFscan.mrc", "Stage Alpha"): "in the extended header, which the reader does not hand on",
    ("mrc/HAADFscan.mrc", "Imaging Mode"): "a number in the extended header",
    ("phenom/Elid2Version4.elid", "Signal Name"): "the names of image and map, joined by the reader",
    ("protochips/protochips_thermal.csv", "Comment"): "two of the file's columns, joined by the reader",
    ("tif_orion/orion-zeiss_dataZeroed.tif", "Chamber Pressure"): PASCAL,
    ("tif_orion/orion-zeiss_dataZeroed.tif", "Gun Pressure"): PASCAL,
    ("tif_other/olympus_SIS.tif", "Exposure Time"): "a binary entry of Olympus', in microseconds",
}


@dataclass(frozen=True)
class Stated:
    """What a file says, without where it says it."""

    texts: tuple[str, ...]
    mantissas: tuple[float, ...]
    """Of all its numbers, and of these taken as radians in degrees."""

    def has_number(self, value: float) -> bool:
        wanted = mantissa(value)
        digits = max(FEWEST_DIGITS, len(f"{wanted:.6g}".replace(".", "").rstrip("0")))
        return any(abs(wanted - one) <= 0.6 * 10 ** (1 - digits) for one in self.mantissas)

    def has_text(self, value: str) -> bool:
        whole = value.lower()
        if any(whole in text or (len(text) > 3 and text in whole) for text in self.texts):
            return True
        words = [word for word in re.split(r"[\s,;×]+", whole) if word]
        return all(any(word in text for text in self.texts) or self._is_number(word) for word in words)

    def _is_number(self, word: str) -> bool:
        return NUMBER.fullmatch(word) is not None and self.has_number(float(word.replace(",", ".")))


def mantissa(value: float) -> float:
    """Return the digits of a number without its power of ten: 0.02 and 200 are both 2."""
    value = abs(value)
    if value == 0 or not math.isfinite(value):
        return value
    return float(value / 10 ** math.floor(math.log10(value)))


def leaves(tree: Any) -> Iterator[Any]:
    """Yield all names and values of a reader's tree."""
    if hasattr(tree, "as_dictionary"):
        tree = tree.as_dictionary()
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield str(name)
            yield from leaves(value)
    elif isinstance(tree, list | tuple | set):
        for value in tree:
            yield from leaves(value)
    elif isinstance(tree, np.ndarray):
        if tree.size <= LARGEST_ARRAY:
            yield from leaves(tree.tolist())
    else:
        yield tree


def stated(reading: Reading) -> Stated:
    """Return all that the reader found in the file."""
    texts: list[str] = []
    numbers: set[float] = set()
    for signal in reading.signals:
        for leaf in leaves(signal.original_metadata or signal.metadata):
            one = leaf.decode("latin-1") if isinstance(leaf, bytes) else leaf
            if isinstance(one, str):
                texts.append(one.lower())
                numbers.update(float(number.replace(",", ".")) for number in NUMBER.findall(one[:LONGEST_TEXT]))
            elif isinstance(one, int | float | np.number):
                numbers.add(float(one))
    degrees = {math.degrees(number) for number in numbers}
    return Stated(tuple(texts), tuple({mantissa(number) for number in numbers | degrees}))


def reading(name: str) -> Reading | None:
    """Return what the Builder's reader finds in a file; None for those that it cannot read."""
    path = DATA / name
    try:
        return candidates(path)[0].read(path, ())
    except Exception:  # noqa: BLE001 - which files cannot be read, other tests know
        return None


def without_origin(meta: Mapping[str, Quantity], found: Stated) -> dict[str, str]:
    """Return the quantities that are not in the file, with their values."""
    missing = {}
    for name, quantity in meta.items():
        value = quantity.value
        if name in DERIVED or name.startswith("Computed"):
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (found.has_number(float(value)) if number else found.has_text(str(value))):
            missing[name] = f"{value} {quantity.unit or ''}".strip()
    return missing


@pytest.mark.parametrize("name", FILES)
def test_each_value_stands_in_the_file(name: str) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"no {name} in {DATA}")
    read = reading(name)
    if read is None or not read.signals:
        return
    missing = without_origin(read.meta, stated(read))
    gc.collect()  # readers leave files open
    assert set(missing) == {quantity for file, quantity in EXPLAINED if file == name}, missing


def test_an_invented_value_would_be_seen() -> None:
    found = Stated(("nion ultrastem", "sto on si"), (mantissa(200_000.0), mantissa(12.5)))
    meta = {
        "Acceleration Voltage": Quantity(200, "kV"),
        "Instrument": Quantity("Nion UltraSTEM"),
        "Exposure Time": Quantity(0.1, "s"),
        "Operator": Quantity("Ada"),
    }
    assert without_origin(meta, found) == {"Exposure Time": "0.1 s", "Operator": "Ada"}
