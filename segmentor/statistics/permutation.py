"""The p-value of a split by exchanging labels among the customers of each cohort, all scores together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, prod

import numpy as np

from segmentor.errors import StatisticsError
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.linear import GroupSums, centre, linear_statistic
from segmentor.statistics.score_tests import Tail, null_law

_TIE = 1e-9
"""Standardised statistics this close are equal."""

_BLOCK = 2**18
"""Positions shuffled at a time."""

_MANY = 20_000
"""Customers above which the sums of large groups are drawn as normal, given those of the small ones."""

_LARGE = 300
"""Customers in a group whose sum is as good as normal."""

_ARRANGEMENTS = 200_000
"""Distinct relabellings up to which all are looked at."""

_HALF = 2**20
"""Sums held of either half of the customers where relabellings are counted in halves."""


@dataclass(frozen=True, slots=True)
class ExactTails:
    """Shares of all relabellings whose sum is as extreme as the one seen, which is one of them.

    Attributes:
        p_lower: Sums at or below.
        p_upper: Sums at or above.
        p_two_sided: Sums at least as far from their mean.
    """

    p_lower: float
    p_upper: float
    p_two_sided: float


def permutation_p(
    scores: FloatArray, groups: IntArray, cohorts: IntArray, *, resamples: int = 10_000, enough: int = 400, seed: int
) -> tuple[float, Tail]:
    """Share of relabellings whose smallest single p-value is at or below the one seen, the one seen included.

    All distinct relabellings are counted where they are few, or one score and two groups let them be counted in
    halves; else they are drawn, until enough were as extreme. Every relabelling exchanges whole customers, so that the
    dependence of the scores is kept. The order of the customers does not matter. Among very many customers only small
    groups are dealt; given these, the large ones share what is left as normal sums with the same covariance.

    Args:
        scores: Shape (n_scores, n_customers).
        groups: Number of the customer's group, 0 first, shape (n_customers,).
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        resamples: Most random relabellings B, all drawn where p is small: it is then (b + 1) / (B + 1).
        enough: Number of relabellings as extreme as the labels seen after which no more are drawn; p is then that
            number over the number drawn, known to 5 % of itself with 400.
        seed: Of the relabellings.

    Returns:
        The p-value, and how it was had: ``exact`` or ``permutation``.

    Raises:
        StatisticsError: No score has variance within cohorts that hold two groups.

    References:
        Besag & Clifford (1991), Biometrika 78, 301-304.
    """
    sums = GroupSums.from_scores(scores, groups, cohorts)
    linear = linear_statistic(sums)
    law = null_law(linear)
    lengths = law.lengths(linear.deviation)
    bounds = law.lengths_at(float(np.nanmin(law.p_values(lengths)))) - _TIE
    parts, customers = _mixed(scores, cohorts, sums.customers)
    seen_groups = np.flatnonzero(customers.any(axis=1))
    if len(scores) == 1 and len(seen_groups) == 2:
        halves = _halves([part[0] for part in parts], customers[seen_groups[1]])
        if halves is not None:
            scale = float(np.sqrt(linear.covariance[0, 0, seen_groups[1], seen_groups[1]]))
            tails = _tails(halves, float(linear.deviation[0, seen_groups[1]]), tie=_TIE * scale)
            return tails.p_two_sided, "exact"
    if prod(_arrangements(column) for column in customers.T) <= _ARRANGEMENTS:
        everything = law.lengths(_all_deviations(parts, customers))
        return float((everything >= bounds).any(axis=-1).mean()), "exact"
    generator = np.random.default_rng(seed)
    drawn = (law.lengths(deviations) for deviations in _relabelled(parts, customers, resamples, generator))
    return _counted(drawn, bounds, enough), "permutation"


def drawn_p(
    scores: FloatArray,
    several_groups: Sequence[IntArray],
    cohorts: IntArray,
    *,
    resamples: int = 10_000,
    enough: int = 400,
    seed: int,
) -> list[float]:
    """What `permutation_p` draws for several labels with the same group sizes in every cohort, from one set of relabellings.

    Args:
        scores: Shape (n_scores, n_customers).
        several_groups: Labels, each of shape (n_customers,).
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).
        resamples: As in `permutation_p`.
        enough: As in `permutation_p`.
        seed: As in `permutation_p`.
    """
    smallest, law = [], None
    for groups in several_groups:
        sums = GroupSums.from_scores(scores, groups, cohorts)
        linear = linear_statistic(sums)
        law = null_law(linear)
        smallest.append(float(np.nanmin(law.p_values(law.lengths(linear.deviation)))))
    if law is None:
        return []
    parts, customers = _mixed(scores, cohorts, sums.customers)
    generator = np.random.default_rng(seed)
    blocks = _relabelled(parts, customers, resamples, generator)
    drawn = np.concatenate([np.nanmin(law.p_values(law.lengths(block)), axis=-1) for block in blocks])
    found = []
    for p in smallest:
        as_small = np.flatnonzero(drawn <= p * (1 + _TIE))
        stopped = len(as_small) >= enough
        found.append(enough / (int(as_small[enough - 1]) + 1) if stopped else (len(as_small) + 1) / (len(drawn) + 1))
    return found


def _counted(drawn: Iterable[FloatArray], bounds: FloatArray, enough: int) -> float:
    """Share of blocks of drawn lengths, (n, n_scores), that reach a bound; no more are looked at than it takes for enough."""
    seen = as_small = 0
    for lengths in drawn:
        as_extreme = np.flatnonzero((lengths >= bounds).any(axis=-1))
        if as_small + len(as_extreme) >= enough:
            return enough / (seen + int(as_extreme[enough - as_small - 1]) + 1)
        as_small += len(as_extreme)
        seen += len(lengths)
    return (as_small + 1) / (seen + 1)


def exact_tails(scores: FloatArray, chosen: IntArray, cohorts: IntArray) -> ExactTails:
    """Exact tails of the sum of the chosen customers' scores when the choice is exchanged within cohorts.

    Every arrangement is the choice among some customers beside that among the others: the sums of both halves, each
    sorted, are counted against each other, so that 10 million arrangements take milliseconds.

    Args:
        scores: Shape (n_customers,).
        chosen: 1 for those in the group, else 0, shape (n_customers,).
        cohorts: Number of the customer's cohort, 0 first, shape (n_customers,).

    Raises:
        StatisticsError: Either half has more choices than can be held.
    """
    centred = centre(scores[None], cohorts)[0]
    sizes = np.bincount(cohorts, chosen).astype(np.int64)
    parts = [centred[cohorts == cohort] for cohort in range(len(sizes))]
    halves = _halves(parts, sizes)
    if halves is None:
        raise StatisticsError("there are too many arrangements to count")
    seen = float(centred @ chosen)
    return _tails(halves, seen, tie=_TIE * max(1.0, float(np.abs(centred).sum())))


def _halves(parts: Sequence[FloatArray], sizes: IntArray) -> list[tuple[FloatArray, FloatArray]] | None:
    """Pairs of sums, sorted, whose every combination is an arrangement; `None` where there are too many.

    The customers, in order of cohort, are cut where the larger half is smallest; a pair belongs to a number of those
    chosen before the cut in the cohort that it goes through.

    Args:
        parts: Scores of each cohort's customers.
        sizes: Number of chosen customers in each cohort.
    """
    ways = [comb(len(part), int(size)) for part, size in zip(parts, sizes, strict=True)]
    if prod(ways) > _HALF**2:
        return None
    best, cohort, cut = _HALF + 1, 0, 0
    for tried, quarter in product(range(len(parts)), range(4)):
        n, size = len(parts[tried]), int(sizes[tried])
        at = n * quarter // 4
        before = sum(comb(at, number) for number in _numbers(n, size, at))
        after = sum(comb(n - at, size - number) for number in _numbers(n, size, at))
        larger = max(prod(ways[:tried]) * before, prod(ways[tried + 1 :]) * after)
        if larger < best:
            best, cohort, cut = larger, tried, at
    if best > _HALF:
        return None
    part, size = parts[cohort], int(sizes[cohort])
    first = _combined([_choices(*pair) for pair in zip(parts[:cohort], sizes[:cohort], strict=True)])
    last = _combined([_choices(*pair) for pair in zip(parts[cohort + 1 :], sizes[cohort + 1 :], strict=True)])
    return [
        (
            np.sort(_combined([first, _choices(part[:cut], number)])),
            np.sort(_combined([last, _choices(part[cut:], size - number)])),
        )
        for number in _numbers(len(part), size, cut)
    ]


def _numbers(n: int, size: int, cut: int) -> range:
    """Possible numbers of chosen customers among the first `cut` of `n`, of whom `size` are chosen."""
    return range(max(0, size - n + cut), min(cut, size) + 1)


def _tails(halves: Sequence[tuple[FloatArray, FloatArray]], seen: float, *, tie: float) -> ExactTails:
    """Counts all sums of a pair's two halves beyond the one seen, and beyond its mirror image about the mean 0."""

    def upper(bound: float) -> int:
        return sum(int((len(last) - np.searchsorted(last, bound - first[::-1])).sum()) for first, last in halves)

    arrangements = sum(len(first) * len(last) for first, last in halves)
    distance = abs(seen)
    above, at_most = upper(seen - tie), arrangements - upper(seen + tie)
    far = upper(distance - tie) + arrangements - upper(-distance + tie)
    return ExactTails(at_most / arrangements, above / arrangements, min(1.0, far / arrangements))


def _choices(scores: FloatArray, size: int) -> FloatArray:
    """Sum of every choice of `size` of the scores."""
    return _all_sums(scores[None], (len(scores) - int(size), int(size)))[:, 0, 1]


def _combined(sums: Sequence[FloatArray]) -> FloatArray:
    """Every sum of one element of each array."""
    total = np.zeros(1)
    for part in sums:
        total = np.add.outer(total, part).ravel()
    return total


def _arrangements(customers: IntArray) -> int:
    """Number of ways to deal all customers of a cohort to groups of these sizes."""
    left, ways = int(customers.sum()), 1
    for size in map(int, np.sort(customers)):
        ways *= comb(left, size)
        left -= size
    return ways


def _all_deviations(parts: Sequence[FloatArray], customers: IntArray) -> FloatArray:
    """Deviations of the group sums under every arrangement, shape (n, n_scores, n_groups)."""
    total = np.zeros((1, len(parts[0]), len(customers)))
    for part, sizes in zip(parts, customers.T, strict=True):
        own = _all_sums(part, tuple(map(int, sizes)))
        total = (total[:, None] + own).reshape(-1, *own.shape[1:])
    return total


def _all_sums(scores: FloatArray, sizes: tuple[int, ...]) -> FloatArray:
    """Group sums of every way to deal customers to groups of the given sizes: those of each half put together.

    Args:
        scores: Shape (n_scores, n_customers).
        sizes: Customers of each group, n_customers together.

    Returns:
        Shape (n_arrangements, n_scores, n_groups).
    """
    n, largest = scores.shape[1], int(np.argmax(sizes))
    if n - sizes[largest] <= 1:
        single = [group for group, size in enumerate(sizes) if size and group != largest]
        sums = np.zeros((n if single else 1, len(scores), len(sizes)))
        for group in single:
            sums[:, :, group] = scores.T
        sums[:, :, largest] += scores.sum(axis=1) - sums.sum(axis=2)
        return sums
    half = n // 2
    found = []
    for first in product(*(range(min(size, half) + 1) for size in sizes)):
        if sum(first) == half:
            one = _all_sums(scores[:, :half], first)
            other = _all_sums(scores[:, half:], tuple(size - part for size, part in zip(sizes, first, strict=True)))
            found.append((one[:, None] + other).reshape(-1, *one.shape[1:]))
    return np.concatenate(found)


def _mixed(scores: FloatArray, cohorts: IntArray, customers: IntArray) -> tuple[list[FloatArray], IntArray]:
    """Centred scores of each cohort that holds two groups, in an order of their own, and its numbers of customers."""
    order = np.lexsort([*scores, cohorts])
    parts = np.split(centre(scores, cohorts)[:, order], np.cumsum(customers.sum(axis=0))[:-1], axis=1)
    mixed = np.flatnonzero((customers > 0).sum(axis=0) > 1)
    return [parts[cohort] for cohort in mixed], customers[:, mixed]


def _relabelled(
    parts: Sequence[FloatArray], customers: IntArray, resamples: int, generator: np.random.Generator
) -> Iterator[FloatArray]:
    """Deviations of the group sums under random labels, in blocks of shape (n, n_scores, n_groups).

    Args:
        parts: Centred scores of each cohort that holds two groups, shape (n_scores, customers of the cohort).
        customers: Number of customers, shape (n_groups, len(parts)).
        resamples: Number of relabellings.
        generator: Of the relabellings.
    """
    large = np.flatnonzero(customers.sum(axis=1) >= _LARGE)
    if customers.sum() <= _MANY or len(large) < 2:
        large = large[:0]
    dealt = _pooled(customers, large)
    own = customers[large] / np.maximum(customers[large].sum(axis=0), 1)
    root = _spread_of_large(parts, customers[large])
    size = _BLOCK // max(1, *(_width(column) for column in dealt.T))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        deviations = np.zeros((rows, len(parts[0]), len(customers)))
        for part, column, shares in zip(parts, dealt.T, own.T, strict=True):
            found = _shuffled(part, column, rows, generator)
            if large.size:
                found[:, :, large] = found[:, :, large[:1]] * shares
            deviations += found
        if large.size:
            noise = generator.standard_normal((rows, len(root))) @ root
            deviations[:, :, large] += noise.reshape(rows, -1, len(large))
        yield deviations


def _pooled(customers: IntArray, large: IntArray) -> IntArray:
    """Numbers of customers with those of the large groups all in the first of them, same shape."""
    pooled = customers.copy()
    pooled[large] = 0
    pooled[large[:1]] = customers[large].sum(axis=0)
    return pooled


def _spread_of_large(parts: Sequence[FloatArray], customers: IntArray) -> FloatArray:
    """Root of the covariance with which large groups share their pool's sum, scores by groups flat.

    It is the mean over the choices of the pool: with what the small groups vary it makes the whole covariance.

    Args:
        parts: Centred scores by cohort.
        customers: Number in each large group, shape (n_groups, n_cohorts).
    """
    size = len(parts[0]) * len(customers)
    covariance = np.zeros((size, size))
    for part, column in zip(parts, customers.T, strict=True):
        exchanged = np.diag(column) - np.outer(column, column) / max(int(column.sum()), 1)
        covariance += np.kron(part @ part.T / (part.shape[1] - 1), exchanged)
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))).T, dtype=np.float64)


def _shuffled(scores: FloatArray, customers: IntArray, rows: int, generator: np.random.Generator) -> FloatArray:
    """Group sums of one cohort's centred scores, dealt at random to groups of the given sizes.

    The largest group is what the others leave: the scores sum to zero.
    """
    deviations = np.zeros((rows, len(scores), len(customers)))
    largest = int(customers.argmax())
    others = np.flatnonzero((np.arange(len(customers)) != largest) & (customers > 0))
    if not others.size:
        return deviations
    ends = np.cumsum(customers[others])
    dealt = np.ascontiguousarray(_deal(customers, rows, generator)[:, : ends[-1]])
    taken = np.empty(dealt.shape)
    for place, row in enumerate(scores):
        np.take(row, dealt, out=taken, mode="clip")
        deviations[:, place, others] = np.add.reduceat(taken, ends - customers[others], axis=1)
    deviations[:, :, largest] = -deviations.sum(axis=-1)
    return deviations


def _deal(customers: IntArray, rows: int, generator: np.random.Generator) -> IntArray:
    """Places of distinct customers in random order for all groups but the largest, shape (rows, n) or wider.

    A few among many are drawn with replacement, and again where one comes twice.
    """
    everyone, width = int(customers.sum()), _width(customers)
    if width == everyone:
        return generator.permuted(np.tile(np.arange(everyone), (rows, 1)), axis=1)
    dealt = np.empty((rows, width), dtype=np.int64)
    again = np.arange(rows)
    while again.size:
        dealt[again] = generator.integers(everyone, size=(again.size, width))
        again = again[(np.diff(np.sort(dealt[again], axis=1), axis=1) == 0).any(axis=1)]
    return dealt


def _width(customers: IntArray) -> int:
    """Number of customers to draw in a cohort: those outside its largest group, or all where these are not few."""
    everyone = int(customers.sum())
    outside = everyone - int(customers.max())
    return outside if outside**2 < everyone else everyone
