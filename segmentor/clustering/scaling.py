"""Features of customers on one scale, so that none outweighs the others for its unit, its outliers or its number of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from segmentor.statistics.arrays import FloatArray

_FURTHEST = 4.0
"""Scaled distance from the median beyond which all values are the same: one rare purchase is no cluster."""

_NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of a normal law of standard deviation 1."""

_AXES = 10
"""Most principal axes."""


def prepare(features: FloatArray, names: Sequence[str]) -> FloatArray:
    """Features around their medians, in units of their spread.

    The spread is the standard deviation, or the distance between the quartiles as such where that is smaller, as with
    outliers: a feature that parts customers in two is not flattened for it. Where the quartiles would make it more than
    four times smaller most values are one and the same, as the share of a rare category, and it stays the standard deviation.
    What is not known is a level of its own: a column says so, and the value itself is the median.
    The shares of one attribute's values weigh together as much as one number. What is the same for all is left out.

    Args:
        features: Shape (n_customers, n_features), nan where not known.
        names: Of the features; ``category: socks`` is a share of the attribute ``category``.

    Returns:
        Shape (n_customers, n_columns), with a column for each feature that varies and each pattern of missing values.
    """
    columns: list[FloatArray] = []
    attributes: list[str] = []
    patterns: set[bytes] = set()
    for name, values in zip(names, features.T, strict=True):
        missing = np.isnan(values)
        if missing.all():
            continue
        scaled = _scaled(np.where(missing, np.median(values[~missing]), values))
        if scaled is not None:
            columns.append(scaled)
            attributes.append(name.partition(": ")[0])
        pattern = missing.tobytes()
        if missing.any() and pattern not in patterns:
            patterns.add(pattern)
            level = _scaled(missing.astype(np.float64))
            if level is not None:
                columns.append(level)
                attributes.append(f"{name} is null")
    if not columns:
        return np.zeros((len(features), 0))
    counts = Counter(attributes)
    return np.column_stack(columns) / np.sqrt([counts[attribute] for attribute in attributes])


def principal_axes(points: FloatArray) -> FloatArray:
    """The points on their principal axes, at most ten, the one of largest variance first.

    Args:
        points: Shape (n, n_columns).

    Returns:
        Shape (n, n_axes); an axis along which nothing varies is left out.
    """
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / max(len(points), 1))
    kept = np.flatnonzero(values > 1e-9 * max(float(values.max(initial=0.0)), 1e-300))[::-1][:_AXES]
    chosen = vectors[:, kept]
    # A principal axis has no direction of its own: its largest entry is made positive.
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(len(kept))])
    return np.asarray(centred @ chosen, dtype=np.float64)


def _scaled(values: FloatArray) -> FloatArray | None:
    """One column without missing values; `None` where it does not vary."""
    deviation = float(values.std())
    if deviation <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    quartiles = float(high - low) / _NORMAL_QUARTILES
    spread = quartiles if deviation / 4 <= quartiles < deviation else deviation
    return np.asarray(np.clip((values - middle) / spread, -_FURTHEST, _FURTHEST), dtype=np.float64)
