"""Ways of clustering points into a given number of clusters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from segmentor.statistics.arrays import FloatArray, IntArray

Method = Literal["kmeans", "gmm", "hdbscan"]

METHODS: tuple[Method, ...] = ("kmeans", "gmm", "hdbscan")
"""k-means, Gaussian mixtures, and HDBSCAN on a UMAP embedding."""

_STARTS = 4
"""Starts of k-means, of which the best is taken."""

_FLOOR = 0.05
"""Least variance of a mixture's component, in mean variances of the points: customers with the very same features are no component."""

_STEPS, _TOLERANCE = 50, 1e-2
"""Most steps of a mixture, and the gain in log-likelihood per customer below which it stops."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A clustering of some points that can say where others belong.

    Attributes:
        labels: Number of the cluster of each point fitted on.
        assign: Number of the cluster of each of any points.
    """

    labels: IntArray
    assign: Callable[[FloatArray], IntArray]


Fit = Callable[[FloatArray, int, int], Fitted]
"""From points, a number of clusters, and a seed."""


def fit_kmeans(points: FloatArray, clusters: int, seed: int) -> Fitted:
    """Nearest of as many centres as there are clusters."""
    model = KMeans(clusters, n_init=_STARTS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    return Fitted(model.labels_.astype(np.int64), lambda others: model.predict(others).astype(np.int64))


def fit_mixture(points: FloatArray, clusters: int, seed: int) -> Fitted:
    """Most probable of as many normal laws as there are clusters, each with its own covariance, from the best start of k-means."""
    start = fit_kmeans(points, clusters, seed).labels
    places = [np.flatnonzero(start == cluster) for cluster in np.unique(start)]
    floor = max(_FLOOR * float(points.var(axis=0).mean()), 1e-9)
    ridge = floor * np.eye(points.shape[1])
    model = GaussianMixture(
        len(places),
        reg_covar=floor,
        tol=_TOLERANCE,
        max_iter=_STEPS,
        weights_init=np.array([len(own) for own in places]) / len(points),
        means_init=np.array([points[own].mean(axis=0) for own in places]),
        precisions_init=np.array([np.linalg.inv(_covariance(points[own]) + ridge) for own in places]),
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit_predict(points)
    return Fitted(labels.astype(np.int64), lambda others: model.predict(others).astype(np.int64))


def _covariance(points: FloatArray) -> FloatArray:
    """Of points around their mean, shape (n_axes, n_axes)."""
    centred = points - points.mean(axis=0)
    return np.asarray(centred.T @ centred / len(points), dtype=np.float64)
