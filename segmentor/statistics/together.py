"""Several items at once: is one bought more often with the others together than each of them by itself explains?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.association import Lift, beyond_margins, relative_rates, standardised

BoolArray = NDArray[np.bool_]

_ROUNDS = 25
"""Steps towards the lift at most."""

_SETTLED = 1e-4
"""Change of the logarithm of the lift below which it is found."""

_FARTHEST = 8.0
"""The logarithm of the lift is looked for within this distance of 0."""


def lift_together(
    customer: IntArray, *, margins: Sequence[IntArray], held: IntArray, others: Sequence[IntArray]
) -> Lift:
    """Lift of an item on occasions with all of some others, over what its pairs with each of them lead to expect.

    The rate of the item on an occasion is taken for a product: of the customer's own rate, one factor for each margin, and one
    for each of the others that is there. Had all of them together nothing to add, a customer's occasions with the item would
    be spread over all of its own in proportion to this. The test takes the differences on the occasions with all the
    others, each times what neither the customer, nor a margin, nor one of the others explains: so it does not depend on how well
    the factors are known, and needs of the rate no more than that it is such a product. The lift is the factor of all
    together that makes these differences 0, in turn with the fit of the rest.

    Where a rate comes near 1, factors cannot go on multiplying: there pairs explain too much rather than too little. Customers
    without the item say nothing, nor do those whose occasions are all alike.

    Args:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        margins: One or more, such as the month or the class of appetite: the level of each occasion, 0, 1, ...; same shape.
        held: Indices of the occasions with the item.
        others: For each of two others or more the indices of the occasions with it.

    Returns:
        Occasions with all of them, against their number had all together nothing to add to the pairs.

    References:
        Hausman, Hall & Griliches (1984), Econometrica 52, 909-938 (counts with a rate for each unit); Wooldridge (1999), J.
        Econometrics 90, 77-97 (which needs no Poisson); DuMouchel & Pregibon (2001), Proc. KDD, 67-76 (sets of items against
        what their pairs explain).
    """
    bought, flags = _flags(held, customer.size), [_flags(other, customer.size) for other in others]
    row = _of_buyers(customer, held)
    cells = _Cells(
        customer=np.unique(customer[row], return_inverse=True)[1],
        margins=[*(levels[row] for levels in margins), *(flag[row].astype(np.int64) for flag in flags)],
        together=np.logical_and.reduce(flags)[row],
        held=bought[row].astype(np.int64),
        weight=np.ones(row.size),
    )
    observed = float(cells.held @ cells.together)
    z = cells.z()
    log_lift, log_se = cells.log_lift() if observed > 0.0 and not np.isnan(z) else (float("nan"), float("nan"))
    expected = cells.expected(0.0)[cells.together].sum() if np.isnan(log_lift) else observed / np.exp(log_lift)
    return Lift(observed, float(expected), z, log_se)


def screen_together(customer: IntArray, *, rate: FloatArray, held: IntArray, others: Sequence[IntArray]) -> float:
    """One-sided p-value of `lift_together` with a rate that is known but for the customer and the others.

    A customer's occasions with the same ones of the others count as one, so that it is a matter of customers, not of occasions.

    Args:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        rate: Relative rate of the item on each, such as that of the month and the class of appetite; same shape.
        held: Indices of the occasions with the item.
        others: For each of two others or more the indices of the occasions with it.
    """
    kinds = 1 << len(others)
    key = customer * kinds
    for place, other in enumerate(others):
        key[other] += 1 << place
    row = _of_buyers(customer, held)
    weight, times = np.asarray(np.bincount(key[row], rate[row]), dtype=np.float64), np.bincount(key[held])
    times = np.pad(times, (0, weight.size - times.size))
    cell = np.flatnonzero(weight)
    owner = cell // kinds
    # A customer whose occasions are all alike says nothing.
    cell = cell[np.bincount(owner)[owner] > 1]
    flags = [(cell >> place) % 2 for place in range(len(others))]
    cells = _Cells(
        customer=np.unique(cell // kinds, return_inverse=True)[1],
        margins=flags,
        together=cell % kinds == kinds - 1,
        held=times[cell],
        weight=weight[cell],
    )
    return Lift(float(cells.held @ cells.together), 0.0, cells.z(), float("nan")).p_value


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Occasions of customers with the item, or several of one customer as one.

    Attributes:
        customer: 0, 1, ..., ascending; shape (n_cells,), as of all that follow.
        margins: Levels, 0, 1, ..., on which the rate of the item depends, the others among them; one array each.
        together: Whether all the others are there.
        held: How many hold the item.
        weight: How many of it are expected for reasons that are known, in proportion.
    """

    customer: IntArray
    margins: Sequence[IntArray]
    together: BoolArray
    held: IntArray
    weight: FloatArray

    def expected(self, log_lift: float) -> FloatArray:
        """How many hold the item by the customer's own rate, the margins, and such a lift of all together."""
        given = self.weight * np.exp(log_lift * self.together)
        bought = np.repeat(np.arange(self.held.size), self.held)
        rates = relative_rates(self.customer, bought, margins=self.margins, given=given)
        for rate, levels in zip(rates, self.margins, strict=True):
            given = given * rate[levels]
        own = np.bincount(self.customer, self.held) / np.bincount(self.customer, given)
        return np.asarray(own[self.customer] * given)

    def z(self) -> float:
        """The test of no lift; ``nan`` where nothing varies."""
        return standardised(self.scores(0.0)[0], scale=float(self.held.sum())) if self.held.size else float("nan")

    def scores(self, log_lift: float) -> tuple[FloatArray, float]:
        """Each customer's score of the lift, and what a change of its logarithm takes from their sum."""
        expected = self.expected(log_lift)
        beyond = beyond_margins(self.together.astype(np.float64), [*self.margins, self.customer], weight=expected)
        scores = np.bincount(self.customer, (self.held - expected) * beyond)
        return np.asarray(scores, dtype=np.float64), float((expected * np.square(beyond)).sum())

    def log_lift(self) -> tuple[float, float]:
        """Logarithm of the lift with its standard error, clustered by customer; ``nan`` where there is none."""
        log_lift = 0.0
        for _ in range(_ROUNDS):
            scores, slope = self.scores(log_lift)
            step = float(scores.sum()) / slope
            log_lift += min(max(step, -1.0), 1.0)
            if abs(step) < _SETTLED:
                return log_lift, float(np.sqrt(np.square(scores).sum())) / slope
            if abs(log_lift) > _FARTHEST:
                break
        return float("nan"), float("nan")


def _of_buyers(customer: IntArray, held: IntArray) -> IntArray:
    """Occasions of customers with the item."""
    buys = np.bincount(customer[held], minlength=1 + customer.max(initial=-1)) > 0
    return np.flatnonzero(buys[customer])


def _flags(rows: IntArray, size: int) -> BoolArray:
    flags = np.zeros(size, dtype=np.bool_)
    flags[rows] = True
    return flags
