"""Do groups of timing or amount say more than how often, how long and how recently somebody bought before?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr
from sklearn.ensemble import RandomForestRegressor

from segmentor.labelling import labelled_scores
from segmentor.statistics.screening import smallest_p_values

if TYPE_CHECKING:
    from segmentor.cycles import TimeZero
    from segmentor.engine.duckdb import Engine
    from segmentor.populations import Population
    from segmentor.statistics.arrays import FloatArray, IntArray

LEFT = 0.1
"""Share of the variance of a label that its past must leave, for the label to say anything else."""

TREES = 100

FINE, COARSE = 5, 40
"""Customers in a leaf of the trees that predict labels, which have edges, and of those that predict scores, which are noisy."""


def echo_p_value(engine: Engine, population: Population, zero: TimeZero, *, seed: int) -> float | None:
    """Do the customers in the table ``labels`` differ by group, given their past frequency and recency?

    Customers buy at rates of their own, so that any label made of how often they bought before also tells how soon they come back. For
    customers with gaps of one law, the number of purchases, the days since the first and those since the last are all that the past tells
    of a rate. See ``conditional_p``.

    Args:
        engine: Holds ``labels`` and the tables of ``cycles``.
        population: The labelled customers' population.
        zero: Its time zero.
        seed: Of the predictions.

    Returns:
        The p-value; ``None`` for a label that is known at the first purchase, which has no past.
    """
    if zero.until is None and zero.purchases == 1:
        return None
    scores, groups, cohorts = labelled_scores(engine, population)
    inside = f"o._start < {zero.until}" if zero.until is not None else f"o._number <= {zero.purchases}"
    end = str(zero.until) if zero.until is not None else "max(o._start)"
    past = engine.arrays(
        f"select l.customer_no, count(*) as purchases, {end} - min(o._start) as tenure, {end} - max(o._start) as recency\n"
        "from labels l join everyone e using (customer_no) join _occasions o on o._customer = e.customer\n"
        f"where {inside} and l.customer_no in (select customer_no from scores_{population.suffix}) group by 1 order by 1"
    )
    purchases, tenure, recency = (past[name].astype(np.float64) for name in ("purchases", "tenure", "recency"))
    numbers = np.stack([purchases, tenure, recency, purchases / (tenure + 1), cohorts.astype(np.float64)])
    return conditional_p(scores, groups, numbers, seed=seed)


def conditional_p(scores: FloatArray, groups: IntArray, numbers: FloatArray, *, seed: int) -> float:
    """Test of labels given numbers, which may act on the scores and on the labels in any way.

    Scores and labels are predicted from the numbers by forests, each customer from trees that did not see it. What a prediction leaves
    of a label is multiplied with what one leaves of a score, and the mean tested against 0: errors of the two predictions enter only
    as their product. The smallest p-value over the scores is taken by their joint normal law, over several groups by Bonferroni's.

    Args:
        scores: Shape (n_scores, n_customers).
        groups: Number of the customer's group, 0 first, shape (n_customers,).
        numbers: Shape (n_numbers, n_customers).
        seed: Of the forests.

    Returns:
        The p-value; 1 where the numbers leave less than ``LEFT`` of the variance of every label: it is made of them.

    References:
        Chernozhukov et al. (2018), Econometrics Journal 21, C1-C68 (products of what predictions leave).
    """
    labels = (groups == np.arange(int(groups.max()) + 1)[:, None]).astype(np.float64)
    labels = labels[:1] if len(labels) == 2 else labels
    label = labels - _predicted(labels, numbers, leaf=FINE, seed=seed)
    left = label[np.square(label).mean(axis=1) > LEFT * labels.var(axis=1)]
    if not len(left):
        return 1.0
    score = scores - _predicted(scores, numbers, leaf=COARSE, seed=seed)
    products = left[:, None] * score[None]
    spread = np.sqrt(np.square(products).sum(axis=2))
    correlations = np.einsum("gkn,gln->gkl", products, products) / (spread[:, :, None] * spread[:, None, :])
    p_values = 2 * ndtr(-np.abs(products.sum(axis=2)) / spread)
    return float(min(1.0, len(left) * smallest_p_values(p_values, correlations).min()))


def _predicted(values: FloatArray, numbers: FloatArray, *, leaf: int, seed: int) -> FloatArray:
    """Values predicted from numbers, each customer's by trees that did not see it."""
    forest = RandomForestRegressor(TREES, min_samples_leaf=leaf, bootstrap=True, oob_score=True, random_state=seed)
    forest.fit(numbers.T, values.T if len(values) > 1 else values[0])
    predicted: FloatArray = forest.oob_prediction_.reshape(len(values.T), -1).T
    return predicted
