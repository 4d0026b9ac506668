"""Similarity of clusters over resamples, and features on one scale."""

from __future__ import annotations

import numpy as np
import pytest

from segmentor.clustering.scaling import prepare, principal_axes
from segmentor.clustering.stability import RESAMPLES, jaccard, stability
from segmentor.statistics.arrays import IntArray


def test_similarity_is_that_of_the_most_similar_cluster() -> None:
    """Seven customers by hand: noise counts in neither number of clusters, but in the customers of either."""
    labels = np.array([0, 0, 0, 1, 1, -1, -1])
    again = np.array([1, 1, 0, 0, 0, 0, -1])
    assert jaccard(labels, again, 2).tolist() == pytest.approx([2 / 3, 2 / 4])
    assert jaccard(labels, np.full(7, -1), 2).tolist() == [0, 0]
    assert jaccard(labels, labels, 3).tolist() == [1, 1, 0]


def test_stability_is_the_mean_over_resamples_without_repeats() -> None:
    """A clustering that comes back has 1; one whose second cluster is halved each time has a half there, and is given up."""
    labels = np.repeat([0, 1], 200)

    def halved(places: IntArray, _: int) -> IntArray:
        return np.asarray(labels[places] * (1 + places % 2), dtype=np.int64)

    told: list[str] = []
    same = stability(labels, 2, lambda places, _: labels[places], least=0.75, seed=1, tell=told.append)
    assert same is not None
    assert same.tolist() == [1, 1]
    assert told[6] == f"stability 7 of {RESAMPLES}"
    half = stability(labels, 2, halved, least=0.0, seed=1, tell=told.append)
    assert half is not None
    assert half == pytest.approx([1, 0.53], abs=0.04)
    told.clear()
    assert stability(labels, 2, halved, least=0.75, seed=1, tell=told.append) is None
    assert len(told) < RESAMPLES


def test_scaled_features_neither_blow_up_nor_outweigh_others() -> None:
    """A rare share, an outlier, a constant and a missing value are all kept within bounds; values of one attribute share its weight."""
    generator = np.random.default_rng(1)
    n = 1_000
    rare = (generator.random(n) < 0.05).astype(float)
    skewed = generator.lognormal(0, 2, n)
    unknown = np.where(generator.random(n) < 0.3, np.nan, generator.normal(size=n))
    features = np.column_stack([rare, 1 - rare, skewed, np.full(n, 7.0), unknown])
    scaled = prepare(features, ("channel: web", "channel: shop", "money", "constant", "regularity"))
    assert scaled.shape == (n, 5)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 4
    assert np.abs(scaled[:, 0]).max() == pytest.approx(4 / np.sqrt(2))
    assert set(np.unique(scaled[:, 4])) == {0.0, *np.unique(scaled[np.isnan(unknown), 4])}
    assert np.median(scaled[:, 3]) == 0


def test_scale_and_origin_of_a_feature_do_not_matter() -> None:
    """Metres or miles: the scaled features are the same, and their axes keep every distance."""
    features = np.random.default_rng(2).gamma(2, size=(300, 3))
    names = ("a", "b", "c")
    scaled = prepare(features, names)
    assert scaled == pytest.approx(prepare(features * [1e-3, 7, 1e6] + [5, -2, 1e5], names))
    axes = principal_axes(scaled)
    assert np.linalg.norm(axes[0] - axes[1]) == pytest.approx(np.linalg.norm(scaled[0] - scaled[1]))
