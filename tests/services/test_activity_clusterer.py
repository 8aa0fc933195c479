"""The grouping as an estimator of scikit-learn: its conventions hold, and its own search finds the same width."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, LeaveOneOut
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from Services.Builder.grouping import clusterer, density
from Services.Builder.grouping.clusterer import ActivityClusterer
from Services.Builder.grouping.density import SensitivityRefused, analyse
from tests.services.test_activities import THIRTEEN, UNHURRIED, file_times, groups_of, series

Numbers = NDArray[np.float64]


def column(times: list[float]) -> Numbers:
    return np.array(times, dtype=float)[:, np.newaxis]


class MeanOfColumns(ActivityClusterer):
    """As scikit-learn's checks need it: they have several columns of numbers."""

    def _times(self, X: Any, *, reset: bool) -> Numbers:  # noqa: N803  scikit-learn's name
        columns: Numbers = validate_data(self, X, reset=reset, dtype=np.float64)
        return columns.mean(axis=1)


@parametrize_with_checks(
    [MeanOfColumns()],
    expected_failed_checks=lambda estimator: {"check_clustering": "its clusters are closer than files saved at once"},
)
def test_conventions_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


class TestTheSameGroups:
    """It finds what the grouping finds."""

    @UNHURRIED
    @given(file_times)
    def test_labels(self, times: list[float]) -> None:
        labels = ActivityClusterer().fit_predict(column(times))
        assert [tuple(np.flatnonzero(labels == label)) for label in range(labels.max() + 1)] == [
            tuple(sorted(members)) for members in analyse(times).groups
        ]

    def test_boundaries_are_times(self) -> None:
        """Not seconds after the first time: the origin is that of the times."""
        fitted = ActivityClusterer().fit(column([1e9, 1e9 + 5, 1e9 + 7200, 1e9 + 7205]))
        (boundary,) = fitted.boundaries_
        assert 1e9 + 5 < boundary < 1e9 + 7200

    def test_the_sensitivity_counts(self) -> None:
        assert ActivityClusterer(sensitivity=0).fit_predict(column([0, 1e6])).tolist() == [0, 0]
        assert len(set(ActivityClusterer(sensitivity=50).fit_predict(column(series(50, 30))))) == 50

    def test_in_a_pipeline_and_cloned(self) -> None:
        in_hours = make_pipeline(FunctionTransformer(lambda hours: hours * 3600), ActivityClusterer(sensitivity=2.0))
        assert clone(in_hours).fit_predict(column([0, 0.001, 3, 3.001])).tolist() == [0, 0, 1, 1]
        assert clone(in_hours).get_params()["activityclusterer__sensitivity"] == 2.0

    def test_the_example(self) -> None:
        assert doctest.testmod(clusterer).failed == 0


class TestTheDensity:
    """It is scikit-learn's, for the width that was found; that width is the one that scikit-learn's search finds."""

    def test_it_holds_all_probability(self) -> None:
        times = groups_of(THIRTEEN, seed=4)
        fitted = ActivityClusterer().fit(column(times))
        seconds = np.linspace(-5 * fitted.bandwidth_, times[-1] + 5 * fitted.bandwidth_, 20_000)
        assert np.trapezoid(np.exp(fitted.score_samples(seconds[:, np.newaxis])), seconds) == pytest.approx(1, rel=1e-4)

    @pytest.mark.parametrize(("times", "height"), [([0.0, 10.0], 0.1), ([3.0], math.inf)])
    def test_without_a_width(self, times: list[float], height: float) -> None:
        fitted = ActivityClusterer(sensitivity=0).fit(column(times))
        assert np.exp(fitted.score_samples(column([times[0], times[-1] + 1]))).tolist() == pytest.approx([height, 0])

    @pytest.mark.parametrize("seed", range(2))
    def test_the_width_is_that_of_a_search_over_a_grid(self, seed: int) -> None:
        """The likelihood has two terms that the textbook's has not; here they are given to scikit-learn's search."""
        times = np.array(groups_of((1, 4, 2, 9, 3, 12), seed, within=(1, 60)))
        count, span = len(times), times[-1]

        def likelihood(kernels: KernelDensity, left_out: Numbers) -> float:
            (height,) = np.exp(kernels.score_samples(left_out)) * (count - 1)
            expectation = (math.log(kernels.bandwidth / density.EXPECTED) / density.SPREAD) ** 2 / 2
            return math.log((height + 1 / span) / count) - expectation / count

        widths = np.geomspace(density.NARROWEST_KERNEL, span, 40)
        search = GridSearchCV(KernelDensity(), {"bandwidth": widths}, scoring=likelihood, cv=LeaveOneOut())
        best = search.fit(times[:, np.newaxis]).best_params_["bandwidth"]
        assert ActivityClusterer().fit(times[:, np.newaxis]).bandwidth_ == pytest.approx(best, rel=0.2)


class TestWhatIsRefused:
    """Clear errors, of the kind that scikit-learn's users catch."""

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ([[0, 1], [2, 3]], r"one column of times in seconds, of shape \(n_samples, 1\), not 2 columns"),
            ([0, 1, 2], "Expected 2D array, got 1D array"),
            ([[0], [math.nan]], "contains NaN"),
            ([[0], [math.inf]], "contains infinity"),
            ([["yesterday"], ["today"]], "could not convert string to float"),
            (np.empty((0, 1)), "minimum of 1 is required"),
        ],
    )
    def test_what_is_not_one_column_of_times(self, given: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            ActivityClusterer().fit(given)

    @pytest.mark.parametrize("sensitivity", [-1.0, math.nan, math.inf])
    def test_what_is_no_sensitivity(self, sensitivity: float) -> None:
        with pytest.raises(ValueError, match="must be a number of 0 or more") as caught:
            ActivityClusterer(sensitivity=sensitivity).fit([[0], [1]])
        assert isinstance(caught.value, SensitivityRefused)
