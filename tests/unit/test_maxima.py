"""Maxima and their prominence are those of scipy."""

from __future__ import annotations

import numpy as np
import pytest

from Services.Builder.extraction.signals.maxima import maxima, prominence

signal = pytest.importorskip("scipy.signal")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", [3, 10, 1000])
def test_of_noise_with_level_stretches(seed: int, levels: int) -> None:
    values = np.random.default_rng(seed).integers(0, levels, 400).astype(float)
    expected, _ = signal.find_peaks(values)
    assert expected.size > 20
    assert np.array_equal(maxima(values), expected)
    assert [prominence(values, at) for at in expected] == list(signal.peak_prominences(values, expected)[0])


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [2.0, 2.0, 2.0], [1.0, 2.0, 2.0], [2.0, 2.0, 1.0]])
def test_of_curves_without_one(values: list[float]) -> None:
    assert maxima(np.array(values)).size == 0 == signal.find_peaks(np.array(values))[0].size


def test_of_one_between_two_higher_ones() -> None:
    values = np.array([9.0, 1.0, 5.0, 3.0, 9.0])
    assert list(maxima(values)) == [2]
    assert prominence(values, 2) == 2.0
