"""HDBSCAN on a UMAP embedding. Import this module only to run it: its libraries take seconds to load and compile as they go."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.neighbors import NearestNeighbors

from segmentor.statistics.arrays import FloatArray, IntArray

with warnings.catch_warnings():
    # umap tells at its import of optional packages that are not there.
    warnings.simplefilter("ignore")
    import hdbscan
    import umap

_NEIGHBOURS = 30
"""Neighbours of a customer in the graph that is embedded."""

_VOTERS = 15
"""Neighbours whose majority says where a customer belongs who was not embedded."""

_JITTER = 0.02
"""Noise on each point in standard deviations: customers with the very same features have neighbours all the same."""

_CORE = 10
"""Customers who make a place dense, for the smallest clusters; no more than these have."""


def embed(points: FloatArray, seed: int) -> FloatArray:
    """The points in a plane where neighbours stay neighbours.

    The graph of neighbours is found by a kd-tree, exactly and faster than umap's own approximate search compiles. The
    coordinates differ between versions of umap and are no part of any definition.

    Args:
        points: Shape (n, n_axes), n of 31 or more.
        seed: Of the embedding.

    Returns:
        Shape (n, 2).
    """
    generator = np.random.default_rng(seed)
    noise = _JITTER * float(np.sqrt(points.var(axis=0).mean()))
    points = points + noise * generator.standard_normal(points.shape)
    tree = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="kd_tree").fit(points)
    distances, places = tree.kneighbors(points)
    with warnings.catch_warnings():
        # It says that nothing can be embedded later, which is not done, and how parts of the graph without a link are laid out.
        warnings.simplefilter("ignore")
        plane = umap.UMAP(
            n_neighbors=_NEIGHBOURS, min_dist=0.0, random_state=seed, n_jobs=1, precomputed_knn=(places, distances)
        ).fit_transform(points)
    return np.asarray(plane, dtype=np.float64)


def cluster(plane: FloatArray, smallest: int) -> IntArray:
    """Number of the cluster of each embedded point, -1 for noise.

    Args:
        plane: Shape (n, 2).
        smallest: Fewest points in a cluster.
    """
    model = hdbscan.HDBSCAN(
        min_cluster_size=smallest,
        min_samples=min(smallest, _CORE),
        approx_min_span_tree=False,
        core_dist_n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(plane).labels_, dtype=np.int64)


def assign(points: FloatArray, labels: IntArray, others: FloatArray) -> IntArray:
    """What most of the nearest points are, noise as good as any cluster; the smaller number where two are as many.

    Args:
        points: Shape (n, n_axes), not embedded.
        labels: Of the points, -1 for noise.
        others: Shape (m, n_axes).
    """
    tree = NearestNeighbors(n_neighbors=min(_VOTERS, len(points)), algorithm="kd_tree").fit(points)
    nearest = labels[tree.kneighbors(others, return_distance=False)]
    votes = np.stack([(nearest == label).sum(axis=1) for label in range(-1, int(labels.max(initial=-1)) + 1)], axis=1)
    return np.asarray(votes.argmax(axis=1) - 1, dtype=np.int64)
