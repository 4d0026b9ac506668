"""Counts over independent shops -> rates with their bands, and whether these are where they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segmentor.selftest.cells import Cell, Kind, Target

Place = tuple[str, str]
"""A case of a cell (empty where it has one only) and the name of a measure."""

Outcome = dict[Place, tuple[int, int]]
"""What one shop adds: hits and tries by place."""

Status = Literal["ok", "outside", ""]

_NORMAL_975 = 1.959963984540054

_DOUBT = 4.0
"""Standard errors of the band that must reach into the limits where a few shops are judged: hundreds of rates are."""


@dataclass(frozen=True, slots=True)
class Row:
    """A rate.

    Attributes:
        case: Of the cell; empty where it has one only.
        measure: What was counted.
        hits: How often it happened.
        tries: How often it could.
        low: Lower end of the rate's 95 % band, shops taken as clusters.
        high: Upper end.
        target: Limits within which the rate should lie; ``None`` where it is only shown.
        status: ``ok`` or ``outside`` of the limits; empty without a target.
    """

    case: str
    measure: str
    hits: int
    tries: int
    low: float
    high: float
    target: Target | None
    status: Status

    @property
    def rate(self) -> float:
        """Hits a try."""
        return self.hits / self.tries


@dataclass(frozen=True, slots=True)
class CellResult:
    """Rates of one cell.

    Attributes:
        name: Of the cell.
        kind: Of the cell.
        runs: Shops.
        rows: By case, then measure, in the order in which they were first counted.
        sample: Hits and tries in the first shops alone, by case and measure, to see on another machine that these are the same numbers.
    """

    name: str
    kind: Kind
    runs: int
    rows: tuple[Row, ...]
    sample: tuple[tuple[str, str, int, int], ...]


SAMPLE = 2
"""Shops of a cell's sample."""


def tally(cell: Cell, outcomes: Sequence[Outcome], *, strict: bool) -> CellResult:
    """The rates of a cell.

    Args:
        cell: The cell.
        outcomes: Of its shops, in their order.
        strict: A rate itself must be within its limits; else, as befits a few shops, it must not be further from them than chance.
    """
    targets = dict(cell.targets)
    places = list(dict.fromkeys(place for outcome in outcomes for place in outcome))
    return CellResult(
        name=cell.name,
        kind=cell.kind,
        runs=len(outcomes),
        rows=tuple(_row(place, targets.get(place[1]), outcomes, strict=strict) for place in places),
        sample=tuple((*place, *_totals(place, outcomes[:SAMPLE])) for place in places),
    )


def rate_band(
    hits: Sequence[int], tries: Sequence[int], *, standard_errors: float = _NORMAL_975
) -> tuple[float, float]:
    """Band of a rate whose hits come in clusters, one a shop: Wilson's, for as many independent tries as tell as much.

    Args:
        hits: By shop.
        tries: By shop.
        standard_errors: To either side; by default for 95 %.

    References:
        Wilson (1927), J. Am. Stat. Assoc. 22, 209-212; Korn and Graubard (1998), Surv. Methodol. 24, 193-201 (effective tries).
    """
    happened, could = np.asarray(hits, dtype=np.float64), np.asarray(tries, dtype=np.float64)
    total, shops = could.sum(), int((could > 0).sum())
    rate = happened.sum() / total
    plain = rate * (1 - rate) / total
    clustered = np.square(happened - rate * could).sum() / total**2 * shops / max(shops - 1, 1)
    independent = total / max(1.0, clustered / plain * (1 - 1 / total) if plain > 0 else 1.0)
    spread = standard_errors**2 / independent
    middle = (rate + spread / 2) / (1 + spread)
    reach = np.sqrt(spread * (rate * (1 - rate) + spread / 4)) / (1 + spread)
    return float(max(0.0, middle - reach)), float(min(1.0, middle + reach))


def _row(place: Place, target: Target | None, outcomes: Sequence[Outcome], *, strict: bool) -> Row:
    counts = [outcome.get(place, (0, 0)) for outcome in outcomes]
    hits, tries = _totals(place, outcomes)
    low, high = rate_band(*zip(*counts, strict=True))
    status: Status = ""
    if target is not None:
        rate = hits / tries
        judged = (rate, rate) if strict else rate_band(*zip(*counts, strict=True), standard_errors=_DOUBT)
        status = "ok" if judged[0] <= target[1] and judged[1] >= target[0] else "outside"
    return Row(*place, hits, tries, low, high, target, status)


def _totals(place: Place, outcomes: Sequence[Outcome]) -> tuple[int, int]:
    counts = [outcome.get(place, (0, 0)) for outcome in outcomes]
    return sum(hits for hits, _ in counts), sum(tries for _, tries in counts)
