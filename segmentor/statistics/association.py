"""Association of two events over occasions, with the customer as the unit: counts in, lift with its test and interval out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit, logit, ndtr, ndtri

from segmentor.statistics.arrays import FloatArray, IntArray, ranges, sums_by

_ROUNDING = 1e-9
"""Share of the observed count below which a spread is rounding error and not variance."""

_ROUNDS = 20
"""Rounds of fitting relative rates at most."""

_SETTLED = 1e-3
"""Change of relative rates below which they are fitted."""

_SWEEPS = 10
"""Times that each margin is taken off in turn; after them a standard error changes by a hundredth at most."""

_OCCASIONS_A_CELL = 8
"""Occasions a cell below which cells are looked for that have none."""

_CELLS = 1 << 21
"""Customers times partners whose sums are held at once."""

_TINY = 1e-300
"""Stands for 0 where nothing is divided by nothing."""


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """How often an antecedent and a consequent occur: the four integers behind every ratio of a rule.

    Attributes:
        occasions: All occasions.
        antecedent: Occasions with the antecedent.
        consequent: Occasions with the consequent.
        both: Occasions with both.
    """

    occasions: int
    antecedent: int
    consequent: int
    both: int

    @property
    def support(self) -> float:
        """Share of occasions with both; ``nan`` without occasions."""
        return _ratio(self.both, self.occasions)

    @property
    def confidence(self) -> float:
        """Share of the antecedent's occasions that hold the consequent; ``nan`` without antecedent."""
        return _ratio(self.both, self.antecedent)

    @property
    def lift(self) -> float:
        """Confidence over the share of all occasions with the consequent; ``nan`` where a margin is empty."""
        return _ratio(self.both * self.occasions, self.antecedent * self.consequent)

    @property
    def leverage(self) -> float:
        """Support beyond that of independent sides, the product of their shares; ``nan`` without occasions."""
        return _ratio(self.both * self.occasions - self.antecedent * self.consequent, self.occasions**2)

    @property
    def conviction(self) -> float:
        """How often a rule of independent sides would fail, over how often this one does.

        ``inf`` for a rule that never fails; ``nan`` without antecedent, and where the consequent is on every occasion.
        """
        failed, fails = self.antecedent * (self.occasions - self.consequent), self.antecedent - self.both
        return math.inf if failed and not fails else _ratio(failed, self.occasions * fails)


@dataclass(frozen=True, slots=True)
class Lift:
    """Occasions with both, against those expected without association; a customer's occasions are one observation.

    Attributes:
        observed: Occasions with both.
        expected: Their number without association.
        z: Sum of the customers' scores over the root of their sum of squares; ``nan`` without variance.
        log_se: Standard error of log(lift), clustered by customer; ``nan`` where the lift is 0 or undefined.
    """

    observed: float
    expected: float
    z: float
    log_se: float

    @property
    def lift(self) -> float:
        """Observed over expected; ``nan`` where nothing is expected."""
        return _ratio(self.observed, self.expected)

    @property
    def p_value(self) -> float:
        """One-sided p-value against a lift of at most 1; a test without variance proves nothing and gives 1."""
        return 1.0 if np.isnan(self.z) else float(ndtr(-self.z))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal interval of the lift on the log scale; ``nan`` bounds where the standard error is undefined."""
        margin = float(ndtri(0.5 + level / 2.0)) * self.log_se
        return self.lift * float(np.exp(-margin)), self.lift * float(np.exp(margin))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of 0 or more with its interval; ``nan`` bounds where it has no variance to tell them by.

    Attributes:
        value: The estimate.
        low: Lower bound, 0 or more.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    def times(self, number: float) -> Estimate:
        """Of so many; the number is known."""
        return Estimate(self.value * number, self.low * number, self.high * number)

    def by(self, other: Estimate) -> Estimate:
        """The product with another estimate whose errors are independent of this one's; ``nan`` bounds where either is 0.

        References:
            Zou & Donner (2008), Statist. Med. 27, 1693-1702 (limits of a sum, here of logarithms, from those of its terms).
        """
        down, up = (
            math.hypot(*(_log_distance(one.value, bound) for one, bound in zip((self, other), bounds, strict=True)))
            for bounds in ((self.low, other.low), (self.high, other.high))
        )
        product = self.value * other.value
        return Estimate(product, product * math.exp(-down), product * math.exp(up))


def clustered_ratio(numerator: FloatArray, denominator: FloatArray) -> tuple[float, float]:
    """Ratio of two sums over customers with its standard error by influence, clustered by customer; ``nan`` without denominator.

    Of followed occasions to all it is a share; of occasions to ones it is the mean number a customer.

    Args:
        numerator: Each customer's part, shape (n_customers,).
        denominator: Same shape.
    """
    total = float(denominator.sum())
    if not total > 0.0:
        return float("nan"), float("nan")
    ratio = float(numerator.sum()) / total
    return ratio, _root_sum_of_squares(numerator - ratio * denominator) / total


def mean_estimate(values: FloatArray, *, level: float = 0.95) -> Estimate:
    """Mean of what each customer has, with a normal interval on the log scale; ``nan`` bounds where it is 0.

    Args:
        values: 0 or more, shape (n_customers,), one customer at least.
        level: Coverage.
    """
    mean, standard_error = clustered_ratio(values, np.ones(values.size))
    margin = float(ndtri(0.5 + level / 2.0)) * standard_error / mean if mean > 0.0 else float("nan")
    return Estimate(mean, mean * math.exp(-margin), mean * math.exp(margin))


def beyond_habit(confidence: float, confidence_se: float, lift: Lift, *, level: float = 0.95) -> Estimate:
    """Share of the antecedent's occasions with a consequent that habit does not explain: confidence x (1 - 1 / lift).

    Confidence and lift share their numerator, so that their errors nearly go together: the bounds are those of both at once, which
    is wide rather than narrow. The interval of the confidence is normal on the scale of the log odds.

    Args:
        confidence: Share of the antecedent's occasions with the consequent.
        confidence_se: Its standard error, clustered by customer.
        lift: Of the same rule, above 0.
        level: Coverage.
    """
    bounds = _share_interval(confidence, confidence_se, level=level)
    low, high = (share * max(0.0, 1.0 - 1.0 / one) for share, one in zip(bounds, lift.interval(level), strict=True))
    return Estimate(confidence * max(0.0, 1.0 - 1.0 / lift.lift), low, high)


def size_classes(numbers: IntArray, *, a_doubling: int = 2) -> IntArray:
    """Class of each number, 0, 1, ..., so that a class holds numbers of about one size.

    Args:
        numbers: Whole numbers, 0 or more.
        a_doubling: Classes for each doubling of 1 + the number.

    Returns:
        The class of each number, same shape; not every class need occur.
    """
    classes = np.floor(a_doubling * np.log2(1 + np.arange(1 + numbers.max(initial=0))))
    return np.asarray(classes, dtype=np.int64)[numbers]


def relative_rates(
    customer: IntArray, held: IntArray, *, margins: Sequence[IntArray], given: FloatArray | None = None
) -> tuple[FloatArray, ...]:
    """How the rate of an item varies with the kind of occasion, such as its month, for one and the same customer.

    The rate on an occasion is taken for a product of the customer's and one factor for each margin, fitted in turn to the
    numbers of occasions with the item by each of them. As each customer has a rate of its own, customers who come more often
    in a month, or buy much, do not pass for an effect of the month or of the appetite. Half an occasion is added to both
    observed and expected numbers of a level, so that rare levels stay near 1.

    Args:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        held: Indices of the occasions with the item.
        margins: One or more, such as the month or the class of appetite: the level of each occasion, 0, 1, ...; same shape.
        given: A further factor of each occasion that is known; same shape.

    Returns:
        For each margin the relative rates, around 1, of its levels; shape (n_levels,).

    References:
        Hausman, Hall & Griliches (1984), Econometrica 52, 909-938 (counts with a rate for each unit); Deming & Stephan (1940),
        Ann. Math. Statist. 11, 427-444 (fitting margins in turn).
    """
    rates = [np.ones(1 + levels.max(initial=0)) for levels in margins]
    observed = [_sums(levels[held], size=of_level.size) for levels, of_level in zip(margins, rates, strict=True)]
    times = np.bincount(customer[held], minlength=_customers(customer))
    buyers = np.flatnonzero((times > 0)[customer])
    bought, occasions = times[times > 0], np.bincount(customer)[times > 0]
    firsts = np.cumsum(occasions) - occasions
    cell, of_cells = _cells([levels[buyers] for levels in margins])
    known = None if given is None else given[buyers]
    factors = [np.ones(levels.size) for levels in of_cells]
    for _ in range(_ROUNDS if bought.size else 0):
        before = list(rates)
        rate = math.prod(factors[1:], start=factors[0])[cell]
        total = np.add.reduceat(rate if known is None else rate * known, firsts)
        own = np.repeat(bought / np.maximum(total, _TINY), occasions)
        among = _sums(cell, own if known is None else own * known, size=factors[0].size)
        for place, levels in enumerate(of_cells):
            expected = math.prod(factors[:place] + factors[place + 1 :], start=among)
            rates[place] = _level_rates(observed[place], _sums(levels, expected, size=rates[place].size))
            factors[place] = rates[place][levels]
        # The last margin is fitted to the others: where they have settled, it has.
        leading = range(max(1, len(rates) - 1))
        if all(np.abs(rates[place] - before[place]).max() < _SETTLED for place in leading):
            break
    return tuple(rates)


def beyond_margins(values: FloatArray, margins: Sequence[IntArray], *, weight: FloatArray) -> FloatArray:
    """What no margin explains of the values: residuals of their weighted regression on all levels, fitted in turn.

    Args:
        values: One an occasion, shape (n_occasions,).
        margins: The level of each occasion, 0, 1, ...; same shape each.
        weight: Of each occasion, same shape.
    """
    totals = [np.maximum(np.bincount(levels, weight), _TINY) for levels in margins]
    for _ in range(_SWEEPS):
        for levels, total in zip(margins, totals, strict=True):
            values = values - (np.bincount(levels, weight * values) / total)[levels]
    return values


def _cells(margins: Sequence[IntArray]) -> tuple[IntArray, list[IntArray]]:
    """The cell of each occasion, 0, 1, ..., by its levels: what depends on these alone is worked out a cell, not an occasion.

    Cells without occasions are left out where there are too many cells to gain by them.

    Returns:
        The cells, shape (n_occasions,), and for each margin the level of each cell, shape (n_cells,).
    """
    cell, cells = np.zeros_like(margins[0]), np.zeros(1, dtype=np.int64)
    of_cells: list[IntArray] = []
    for levels in margins:
        size = 1 + int(levels.max(initial=0))
        cell = cell * size + levels
        cells = np.arange(cells.size * size)
        if cells.size > cell.size // _OCCASIONS_A_CELL:
            cells = np.flatnonzero(np.bincount(cell, minlength=1))
            place = np.zeros(1 + int(cells.max(initial=0)), dtype=np.int64)
            place[cells] = np.arange(cells.size)
            cell = place[cell]
        of_cells = [*(of_cell[cells // size] for of_cell in of_cells), cells % size]
    return cell, of_cells


def counts_by_habit(
    customer: IntArray,
    *,
    kind: IntArray,
    antecedent_rates: FloatArray,
    consequent_rates: FloatArray,
    antecedent: IntArray,
    consequent: IntArray,
    both: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """What each customer's own habits lead to expect, of customers with two occasions or more.

    A customer who likes two things often has both, though one does not call for the other. But habits show across occasions
    too: with relative rates s and t of the two events, a customer's n_x n_y - n_xy pairs of *different* occasions with x on one
    and y on the other are expected to be in proportion to the sum of s t' over such pairs. So its expected number of occasions
    with both is (n_x n_y - n_xy) times the sum of s t over occasions, over the sum of s t' over pairs of different occasions;
    with equal rates (n_x n_y - n_xy) / (n - 1). Without association this has the mean of n_xy, however much customers differ.
    Habits of a customer with a single occasion cannot be told from association. A customer without the one or the other event
    has 0 of both, observed and expected: what a test costs goes with the customers who have the two.

    Args:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        kind: Kind of each occasion, 0, 1, ..., on which rates depend; same shape.
        antecedent_rates: Relative rate of the antecedent on occasions of each kind, above 0; shape (n_kinds,).
        consequent_rates: Relative rate of the consequent; same shape.
        antecedent: Indices of the occasions with the antecedent.
        consequent: Indices of the occasions with the consequent.
        both: Indices of the occasions with both.

    Returns:
        Occasions with both and their expected number, of each customer who has the two; shape (n_customers,) each.
    """
    n_x, n_y, n_xy = (_sums(customer[held], size=_customers(customer)) for held in (antecedent, consequent, both))
    known = np.flatnonzero((n_x > 0) & (n_y > 0))
    firsts = np.searchsorted(customer, known)
    occasions = np.searchsorted(customer, known, side="right") - firsts
    several = occasions > 1
    known, firsts, occasions = known[several], firsts[several], occasions[several]
    kinds = kind[ranges(firsts, occasions)]
    s, t, starts = antecedent_rates[kinds], consequent_rates[kinds], np.cumsum(occasions) - occasions
    same, sum_s, sum_t = (np.add.reduceat(rates, starts) for rates in (s * t, s, t))
    observed = n_xy[known]
    return observed, (n_x[known] * n_y[known] - observed) * same / (sum_s * sum_t - same)


@dataclass(frozen=True, slots=True, eq=False)
class Partner:
    """A consequent that an antecedent is tried with.

    Attributes:
        occasions: Indices of the occasions with it; shape (n_held,).
        kind: Kind of each of them with both left out; same shape.
        both: Whether it holds the antecedent too; same shape.
        rates: Relative rate of the consequent on occasions of each kind, above 0; shape (n_kinds,).
    """

    occasions: IntArray
    kind: IntArray
    both: NDArray[np.bool_]
    rates: FloatArray


def lifts_beyond_habit(
    customer: IntArray, *, kind: IntArray, rates: FloatArray, antecedent: IntArray, partners: Sequence[Partner]
) -> list[Lift]:
    """Lift over what `counts_by_habit` leads to expect, of one antecedent with each of many partners.

    Sums over the occasions of a customer are one sparse product for all partners, as if none of them changed the kind of an
    occasion, and are set right on its own occasions: only with these goes what a partner costs.

    Args:
        customer: Customer of each occasion, 0, 1, ..., ascending; shape (n_occasions,).
        kind: Kind of each occasion with the antecedent left out, 0, 1, ...; same shape.
        rates: Relative rate of the antecedent on occasions of each kind, above 0; shape (n_kinds,).
        antecedent: Indices of the occasions with the antecedent.
        partners: The consequents.
    """
    times = np.bincount(customer[antecedent], minlength=_customers(customer))
    chosen = (times > 0) & (np.bincount(customer) > 1)
    number, n_x = np.where(chosen, np.cumsum(chosen) - 1, -1), times[chosen]
    rows, ends = np.flatnonzero(chosen[customer]), np.cumsum(np.bincount(customer)[chosen])
    by_kind = csr_array((np.ones(rows.size), kind[rows], np.concatenate([[0], ends])), shape=(n_x.size, rates.size))
    of_antecedent, lifts, room = by_kind @ rates, [], max(1, _CELLS // max(1, n_x.size))
    for block in (partners[start : start + room] for start in range(0, len(partners), room)):
        theirs = np.column_stack([partner.rates for partner in block])
        of_partners, together = by_kind @ theirs, by_kind @ (rates[:, np.newaxis] * theirs)
        for partner, of_consequent, of_both in zip(block, of_partners.T, together.T, strict=True):
            place = number[customer[partner.occasions]]
            own = np.flatnonzero(place >= 0)
            place, before, after = place[own], kind[partner.occasions[own]], partner.kind[own]
            n_y = np.bincount(place, minlength=n_x.size)
            known = np.flatnonzero(n_y)
            sum_s, sum_t, same = (
                (total + sums_by(place, of_kind[after] - of_kind[before], n_x.size))[known]
                for total, of_kind in (
                    (of_antecedent, rates),
                    (of_consequent, partner.rates),
                    (of_both, rates * partner.rates),
                )
            )
            observed = _sums(place[partner.both[own]], size=n_x.size)[known]
            lifts.append(clustered_lift(observed, (n_x[known] * n_y[known] - observed) * same / (sum_s * sum_t - same)))
    return lifts


def clustered_lift(observed: FloatArray, expected: FloatArray) -> Lift:
    """Lift from each customer's part in the observed and in the expected number of occasions with both.

    The score of a customer is observed - expected; z is the sum of scores over the root of their sum of squares. The
    influence of a customer on log(O / E) is observed / O - expected / E; the sum of its squares is the variance.

    Args:
        observed: Shape (n_customers,).
        expected: Same shape.

    References:
        Deville (1999), Survey Methodology 25, 193-203 (variance by influence).
    """
    total_observed, total_expected = float(observed.sum()), float(expected.sum())
    return Lift(
        observed=total_observed,
        expected=total_expected,
        z=standardised(observed - expected, scale=total_observed + abs(total_expected)),
        log_se=_log_ratio_se(observed, expected),
    )


def standardised(scores: FloatArray, *, scale: float) -> float:
    """Sum of the customers' scores over the root of their sum of squares; ``nan`` without variance.

    Args:
        scores: One a customer.
        scale: The number of occasions that they are made of, to which rounding errors are in proportion.
    """
    spread = _root_sum_of_squares(scores)
    return float(scores.sum()) / spread if spread > _ROUNDING * scale else float("nan")


def _customers(customer: IntArray) -> int:
    return 1 + int(customer[-1]) if customer.size else 0


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0.0 else float("nan")


def _level_rates(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """Observed over expected, of which only the proportions count, drawn to 1 where there is little of either."""
    scaled = expected * observed.sum() / max(expected.sum(), _TINY)
    return np.asarray((observed + 0.5) / (scaled + 0.5))


def _sums(index: IntArray, values: FloatArray | None = None, *, size: int = 0) -> FloatArray:
    """Sums of values, or numbers of occasions, by index."""
    return np.asarray(np.bincount(index, values, size), dtype=np.float64)


def _share_interval(share: float, standard_error: float, *, level: float) -> tuple[float, float]:
    if not 0.0 < share < 1.0:
        return share, share
    margin = float(ndtri(0.5 + level / 2.0)) * standard_error / (share * (1.0 - share))
    return float(expit(logit(share) - margin)), float(expit(logit(share) + margin))


def _log_distance(value: float, bound: float) -> float:
    """Distance of a bound from its estimate on the log scale; ``inf`` for a bound of 0, ``nan`` for an estimate of 0."""
    if not value > 0.0:
        return float("nan")
    return abs(math.log(bound / value)) if bound != 0.0 else math.inf


def _log_ratio_se(observed: FloatArray, expected: FloatArray) -> float:
    if observed.sum() <= 0.0 or expected.sum() <= 0.0:
        return float("nan")
    return _root_sum_of_squares(observed / observed.sum() - expected / expected.sum())


def _root_sum_of_squares(values: FloatArray) -> float:
    """Without the matrix library, whose order of summation depends on the number of threads."""
    return float(np.sqrt(np.square(values).sum()))
