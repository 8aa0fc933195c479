"""The grouping as a scikit-learn estimator: it can be fitted, cloned, and put into pipelines like any other.

The method, and why there is no search over a grid of widths, is in `Services.Builder.grouping.density`.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from Services.Builder.grouping.density import Floats, analyse


class ActivityClusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Finds the acquisition activities of a session from the times of its files.

    Parameters
    ----------
    sensitivity
        Divides the kernel's width: above 1 splits more, below 1 less; 0 makes one activity of everything.

    Attributes
    ----------
    labels_ : array of int, shape (n_samples,)
        The activity of each time, from 0 on in order of time.
    bandwidth_ : float
        Standard deviation of the Gaussian kernel in the unit of the times (seconds), divided by the sensitivity;
        infinite where none was needed, since everything is one activity.
    boundaries_ : array of float, shape (n_activities - 1,)
        The times at which an activity ends and the next begins.
    n_features_in_ : int
        1.

    Examples
    --------
    >>> import numpy as np
    >>> times = np.array([0, 5, 9, 7200, 7204, 7210.0])
    >>> ActivityClusterer().fit_predict(times[:, np.newaxis]).tolist()
    [0, 0, 0, 1, 1, 1]
    """

    def __init__(self, *, sensitivity: float = 1.0) -> None:
        self.sensitivity = sensitivity

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: N803  scikit-learn's names
        """Group times.

        Parameters
        ----------
        X
            One column of times in seconds, from any origin and in any order, shape (n_samples, 1).
        y
            Not used; so that it can stand in a pipeline.

        Raises
        ------
        ValueError
            If it is not one column of finite numbers.
        SensitivityRefused
            If the sensitivity is not a number of 0 or more; a ValueError, too.
        """
        times = self._times(X, reset=True)
        grouping = analyse(times, sensitivity=self.sensitivity)
        self.labels_: NDArray[np.intp] = np.empty(len(times), dtype=np.intp)
        for label, members in enumerate(grouping.groups):
            self.labels_[list(members)] = label
        self.bandwidth_ = grouping.bandwidth
        self.boundaries_: Floats = times.min() + np.array(grouping.boundaries)
        self._times_fitted = times
        return self

    def score_samples(self, X: ArrayLike) -> Floats:  # noqa: N803  scikit-learn's name
        """Return the natural logarithm of the density of the fitted times: of the probability per second.

        It is that of `sklearn.neighbors.KernelDensity` with the width that was found. Where no width was needed, the
        density is that of times anywhere between the first and the last.

        Parameters
        ----------
        X
            One column of times, shape (n_samples, 1).

        Returns
        -------
        array of float, shape (n_samples,)
        """
        check_is_fitted(self, "labels_")
        times, fitted = self._times(X, reset=False), self._times_fitted
        if math.isinf(self.bandwidth_):
            span = float(np.ptp(fitted))
            inside = (times >= fitted.min()) & (times <= fitted.max())
            return np.where(inside, -math.log(span) if span else math.inf, -math.inf)
        from sklearn.neighbors import KernelDensity  # for figures only: it takes a tenth of a second

        kernels = KernelDensity(bandwidth=self.bandwidth_).fit(fitted[:, np.newaxis])
        return np.asarray(kernels.score_samples(times[:, np.newaxis]), dtype=np.float64)

    def _times(self, X: ArrayLike, *, reset: bool) -> Floats:  # noqa: N803  scikit-learn's name
        columns: Floats = validate_data(self, X, reset=reset, dtype=np.float64)
        if columns.shape[1] != 1:
            raise ValueError(
                f"X must be one column of times in seconds, of shape (n_samples, 1), not {columns.shape[1]} columns."
            )
        return columns[:, 0]
