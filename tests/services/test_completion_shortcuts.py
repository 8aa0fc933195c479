"""What is read without HyperSpy's signals and trees, because they change nothing, is what they would say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest

from Services.Builder.extraction.extractors import candidates
from Services.Builder.extraction.extractors.rosettasciio import read
from Services.Builder.extraction.signals import completion, mapping
from Services.Builder.extraction.signals.completion import Completed, completed
from tests.services.instrument_files import DATA, reads_files, real

FILES = Path(__file__).with_name("instrument_files.txt").read_text("utf-8").splitlines()
pytestmark = reads_files

ACROSS = {"name": "x", "units": "nm", "size": 3, "scale": 0.5, "offset": -1.0, "navigate": False}
DOWN = {**ACROSS, "name": "y", "size": 2, "navigate": True}


ONE_ROW = np.zeros((1, 3))


def by_hyperspy(dictionary: Mapping[str, Any]) -> Completed:
    """Return what HyperSpy's signal and browsers make of a reader's dictionary."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(completion, "_is_complete", lambda _: False)
        changed.setattr(mapping, "_followed", mapping._browsed)
        return completed(dictionary)


def described(found: Completed) -> tuple[Any, ...]:
    """Return what matters of it: values are read as `Axis` reads them."""
    data = found.data
    return type(data), data.dtype, data.shape, [read._axis(axis) for axis in found.axes], repr(found.metadata)


def array(*axes: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    return np.zeros([axis["size"] for axis in axes])


@pytest.mark.parametrize(
    "axes",
    [
        (DOWN, ACROSS),
        ({**DOWN, "navigate": False}, ACROSS),
        (DOWN, {**ACROSS, "navigate": True}),
        ({"size": 2}, {"size": 3, "name": None, "units": None}),
        ({**DOWN, "_type": "UniformDataAxis", "is_binned": True}, ACROSS),
        ({"size": 2, "units": ""}, {"size": 3, "name": "", "units": "Å"}),
        ({**DOWN, "scale": np.float64(0.1), "offset": 2}, {**ACROSS, "scale": -2}),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
class TestAxesThatAreComplete:
    """Of those, no signal is made."""

    def test_as_hyperspy_sees_them(self, axes: tuple[dict[str, Any], ...], lazy: bool) -> None:
        data = array(*axes)
        dictionary = {
            "data": dask.array.from_array(data) if lazy else data,
            "axes": list(axes),
            "post_process": [lambda signal: signal.squeeze()],
        }
        assert completion._is_complete(dictionary)
        assert described(completed(dictionary)) == described(by_hyperspy(dictionary))


@pytest.mark.parametrize(
    "dictionary",
    [
        {"axes": [{**DOWN, "navigate": False}, {**ACROSS, "navigate": True}]},
        {"axes": [DOWN, {"size": 3}]},
        {"axes": [DOWN, {**ACROSS, "scale": "0.5"}]},
        {"axes": [DOWN, {**ACROSS, "scale": np.float32(0.1)}]},
        {"axes": [DOWN, {**ACROSS, "size": 4}]},
        {"axes": [DOWN, {**ACROSS, "scale": 0.0}]},
        {"axes": [DOWN, {**ACROSS, "offset": float("nan")}]},
        {"axes": [DOWN, {"axis": [1.0, 2.0, 4.0], "navigate": False}]},
        {"axes": [DOWN, {**ACROSS, "_type": "FunctionalDataAxis"}]},
        {"axes": [DOWN, ACROSS], "post_process": [lambda signal: signal.squeeze(), lambda signal: signal.T]},
        {"axes": [DOWN, ACROSS], "post_process": [lambda signal: None]},
        {"axes": [{**DOWN, "size": 1}, ACROSS], "post_process": [lambda signal: signal.squeeze()], "data": ONE_ROW},
        {"axes": [{"size": 2}, {"size": 3}], "metadata": {"Signal": {"record_by": "image"}}},
        {"axes": [DOWN]},
        {"axes": []},
        {"axes": [DOWN, ACROSS], "data": np.full((2, 3), None)},
    ],
)
def test_all_others_are_hyperspys(dictionary: dict[str, Any]) -> None:
    assert not completion._is_complete({"data": array(DOWN, ACROSS), **dictionary})


ORIGINAL = {
    "A b": {"c-d": 1.5, "e": [1, {"f": 2}], "µ": "mu"},
    "plain": {"text": "x", "none": None, "array": np.arange(3)},
    "twice": 1,
    "tree": {"leaf": 3},
    "deep": {"inner": {"value": 4}},
    "Camera length_m": 0.2,
}


def default(tree: Any) -> Any:
    return tree.get_item("no", default=5) if "no" not in tree else None


def refusing(value: object) -> object:
    raise ValueError(value)


@pytest.mark.parametrize(
    "targets",
    [
        {"A_b.cd": ("General.title", str)},
        {"A_b.c-d": ("General.title", None), "A_b.e": ("Sample.list", None)},
        {"plain.text": ("General.a", None), "plain.none": ("General.b", None), "plain.no": ("General.c", None)},
        {"plain.array": ("General.a", list), "plain.text.below": ("General.b", None)},
        {"plain.text": ("General.a", refusing), "twice": ("General.b.c", None), "Camera length_m": ("L", None)},
        {"plain.text": ("General.a", None), "twice": ("General.a.b", None)},
        {"tree": ("General.tree", None)},
        {"tree": ("General.leaf", lambda tree: tree.leaf)},
        {"A_b": ("General.leaf", lambda tree: tree.get_item("c-d"))},
        {"A_b": ("General.no", lambda tree: tree.get_item("x.y")), "tree": ("General.default", default)},
        {"tree": ("General.names", lambda tree: [*tree.keys(), "leaf" in tree, "x" in tree, tree["leaf"]])},
        {"tree": ("General.get", lambda tree: hasattr(tree, "get"))},
        {"tree": ("General.absent", lambda tree: tree["absent"])},
        {"tree": ("General.copy", lambda tree: tree.as_dictionary()["leaf"])},
        {"deep": ("General.inner", lambda tree: tree.inner.value), "plain.text": ("General.text", None)},
        {"twice": ("General.tree", lambda value: {"made": value})},
        {"copy": ("General.copy", None), "keys.x": ("General.keys", None), "plain.text": None},
    ],
)
class TestAMapping:
    """Paths lead to what HyperSpy's browser of the tree has there."""

    def test_alone(self, targets: dict[str, Any]) -> None:
        given = {"data": array(DOWN, ACROSS), "axes": [DOWN, ACROSS], "mapping": targets, "original_metadata": ORIGINAL}
        assert repr(completed(given).metadata) == repr(by_hyperspy(given).metadata)

    def test_with_two_entries_of_one_name(self, targets: dict[str, Any]) -> None:
        original = {**ORIGINAL, "twi ce": 2, "twi-ce": 3, "A-b": {"cd": 4}, "pla-in": {"text": "y"}}
        given = {"data": array(DOWN), "axes": [DOWN], "mapping": targets, "original_metadata": original}
        assert repr(completed(given).metadata) == repr(by_hyperspy(given).metadata)


@real
@pytest.mark.parametrize("name", FILES)
def test_a_real_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def both(dictionary: Mapping[str, Any]) -> Completed:
        found = completed(dictionary)
        compared.append((described(found), described(by_hyperspy(dictionary))))
        return found

    monkeypatch.setattr(read, "completed", both)
    for candidate in candidates(DATA / name)[:1]:
        try:
            candidate.read(DATA / name, ())
        except Exception:  # noqa: BLE001 - which files cannot be read, other tests know
            continue
    for found, expected in compared:
        assert found == expected
