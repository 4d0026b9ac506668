"""Whether clusters come back when the customers are drawn again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segmentor.statistics.arrays import FloatArray, IntArray

RESAMPLES = 20
"""Bootstrap resamples."""

LARGEST = 3_000
"""Most customers in a resample."""

STABLE = 0.75
"""Mean Jaccard similarity from which a cluster counts as stable."""


def jaccard(labels: IntArray, again: IntArray, clusters: int) -> FloatArray:
    """Similarity of each cluster to the most similar one of another clustering of the same customers.

    Args:
        labels: Number of each customer's cluster, -1 for noise, which is no cluster.
        again: The same of the other clustering.
        clusters: Number of clusters in the first one.

    Returns:
        Customers in both clusters over customers in either, shape (clusters,); 0 for a cluster that has no customer.

    References:
        Hennig (2007), Computational Statistics & Data Analysis 52, 258-271.
    """
    others = int(again.max(initial=-1)) + 1
    if not others:
        return np.zeros(clusters)
    table = np.bincount((labels + 1) * (others + 1) + again + 1, minlength=(clusters + 1) * (others + 1))
    table = table.reshape(clusters + 1, others + 1)
    both = table[1:, 1:]
    either = table.sum(axis=1)[1:, None] + table.sum(axis=0)[None, 1:] - both
    return np.asarray((both / np.maximum(either, 1)).max(axis=1), dtype=np.float64)


def stability(
    labels: IntArray,
    clusters: int,
    again: Callable[[IntArray, int], IntArray],
    *,
    least: float,
    seed: int,
    tell: Callable[[str], None],
) -> FloatArray | None:
    """Mean similarity of each cluster to those found in resamples of the customers, drawn with replacement.

    Args:
        labels: Number of each customer's cluster, -1 for noise.
        clusters: Number of clusters.
        again: Clusters the customers of a resample anew, given their places, some more than once, and a seed.
        least: Stability that every cluster must have; no more resamples are drawn once it is sure that one has less.
        seed: Of the resamples.
        tell: Is told how far this is.

    Returns:
        Shape (clusters,), 0 to 1; `None` where one has less.

    References:
        Hennig (2007), Computational Statistics & Data Analysis 52, 258-271.
    """
    generator = np.random.default_rng(seed)
    total = np.zeros(clusters)
    for resample in range(RESAMPLES):
        tell(f"stability {resample + 1} of {RESAMPLES}")
        drawn = np.sort(generator.integers(len(labels), size=min(LARGEST, len(labels))))
        found = again(drawn, int(generator.integers(2**31)))
        places, first = np.unique(drawn, return_index=True)
        total += jaccard(labels[places], found[first], clusters)
        if ((total + RESAMPLES - resample - 1) / RESAMPLES < least).any():
            return None
    return total / RESAMPLES
