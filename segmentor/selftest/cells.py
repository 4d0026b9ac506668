"""The worlds that a calibration tries, what is counted in each, and within what limits the rates should be."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from segmentor.errors import InputError
from segmentor.synthetic.renewal import RenewalWorld

Kind = Literal["null", "coverage", "power", "verdict", "lifetime"]

Target = tuple[float, float]
"""Lowest and highest rate that will do."""

LEVELS = {"5 %": 0.05, "1 %": 0.01, "0.1 %": 0.001}
"""Nominal levels at which rejections are counted, by the name of their measure."""

NULL_TARGETS: dict[str, Target] = {"5 %": (0.04, 0.0625), "1 %": (0.008, 0.0125), "0.1 %": (0.0006, 0.0016)}
COVERAGE: Target = (0.925, 0.972)
ALWAYS: Target = (1.0, 1.0)
NEVER: Target = (0.0, 0.0)

RATE_SDS = (0.0, 0.5, 1.0, 1.5)

QUESTION = "first bought"
"""Name of the declared split: what a customer's first purchase was."""

LIFETIME = "only ever bought"
"""Name of the split of those who never bought anything else from all others."""

SHARE_MARGIN = {0.0: 1.1037, 0.5: 1.1288, 1.0: 1.1758}
"""Factor on gaps at which the share back differs by 5 points at the worst of 30, 60, 90 and 120 days, by rate sd."""

BOTH_MARGINS = {0.0: (1.1096, 0.0505), 0.5: (1.1385, 0.0679), 1.0: (1.2025, 0.1133)}
"""Factor on gaps, and share who buy once in both groups, at which the mean cycle of those back by 180 days is 1.10 times as long and
the share back differs by 5 points at the worst of 30, 60, 90 and 180 days, by rate sd."""

SHARE_HORIZON = 120
BOTH_HORIZON = 180

UNTIL = "{until: 2024-07-01}"
"""A date in the middle of the year that is observed."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels that say nothing about a customer.

    Attributes:
        name: What sets them apart.
        shares: Of the groups.
        count: Customers of the second group, where that is a number and no share.
        crowded: The share of the second group rises with the day of entry, from a tenth at first to nine tenths at last.
    """

    name: str
    shares: tuple[float, ...] = (0.5, 0.5)
    count: int | None = None
    crowded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A world and what is counted in shops of it.

    Attributes:
        name: Unlike that of any other cell.
        kind: What is counted, see ``measures``.
        world: The shops' truth.
        runs: Shops of the whole table.
        quick: Shops of the quick one.
        customers: Of each shop.
        labels: Labels that are dealt in each shop (kind ``null``).
        known: When the labels are known, as in the config.
        settings: Changes to the config.
        targets: Limits of a rate by the name of its measure; measures without are shown only.
    """

    name: str
    kind: Kind
    world: RenewalWorld
    runs: int
    quick: int
    customers: int = 2_000
    labels: tuple[Labels, ...] = ()
    known: str = "first_purchase"
    settings: tuple[str, ...] = ()
    targets: tuple[tuple[str, Target], ...] = ()


def catalogue() -> tuple[Cell, ...]:
    """Every cell of the table, in its order."""
    return (*_null(), *_coverage(), *_power(), *_verdict(), *_lifetime())


def chosen_cells(parts: Sequence[str]) -> tuple[Cell, ...]:
    """The cells with one of the parts in their name; all where no part is given.

    Raises:
        InputError: A part is in no name.
    """
    cells = catalogue()
    for part in parts:
        if not any(part in cell.name for cell in cells):
            near = difflib.get_close_matches(part, [cell.name for cell in cells], n=1, cutoff=0)[0]
            raise InputError(f"--cell: no cell has {part!r} in its name; did you mean {near!r}?")
    return tuple(cell for cell in cells if not parts or any(part in cell.name for part in parts))


def _worlds() -> Iterator[tuple[str, RenewalWorld]]:
    """Gap laws, follow-up and rate sds in all combinations."""
    laws = {
        "gamma": RenewalWorld(gap_law="gamma"),
        "log-normal": RenewalWorld(gap_law="log-normal"),
        "zero-inflated": RenewalWorld(gap_law="gamma", buys_once=0.3),
    }
    for law, world in laws.items():
        for follow_up, entry_days in (("equal", 1), ("unequal", 270)):
            for rate_sd in RATE_SDS:
                name = f"{law}, {follow_up}, sd {rate_sd:g}"
                yield name, replace(world, entry_days=entry_days, rate_sd=rate_sd)


def _null() -> Iterator[Cell]:
    """Nothing separates: 48 cells of a world and a size of the group, then what makes it harder."""
    small, half = Labels("5 %", (0.95, 0.05)), Labels("50 %")
    base = RenewalWorld(rate_sd=1.0)
    hard = (
        Labels("three groups", (0.6, 0.3, 0.1)),
        Labels("newer crowded", crowded=True),
        Labels("group of 20", count=20),
    )
    worlds = [
        *((name, world, (small, half)) for name, world in _worlds()),
        ("season", replace(base, season=0.5), (small, half)),
        ("leaving for good", replace(base, leaves=0.1), (small, half)),
        ("hard, sd 1", base, hard),
        ("until, sd 0.5", replace(base, rate_sd=0.5), (small, half)),
        ("until, sd 1", base, (small, half)),
    ]
    for name, world, labels in worlds:
        yield Cell(
            name=f"null: {name}",
            kind="null",
            world=world,
            runs=200,
            quick=2,
            labels=labels,
            known=UNTIL if name.startswith("until") else "first_purchase",
            targets=tuple(NULL_TARGETS.items()),
        )


def _coverage() -> Iterator[Cell]:
    """Intervals against the truth, where nothing separates and where something does."""
    intervals = (
        "ratio",
        "share difference",
        *(f"{what}, {group}" for what in ("share back", "mean cycle", "restricted mean") for group in GROUPS),
    )
    worlds = {
        "nothing planted": RenewalWorld(rate_sd=1.0),
        "gaps x 1.35, some leave": RenewalWorld(rate_sd=0.5, buys_once=0.2, leaves=0.05, factor=1.35, group_share=0.2),
        "gaps x 1.2, more buy once": RenewalWorld(rate_sd=1.0, gap_law="log-normal", factor=1.2, buys_once_more=0.1),
    }
    for name, world in worlds.items():
        yield Cell(
            name=f"coverage: {name}",
            kind="coverage",
            world=world,
            runs=2_000,
            quick=40,
            targets=tuple((interval, COVERAGE) for interval in intervals),
        )
    yield Cell(
        name="coverage: until a date",
        kind="coverage",
        world=RenewalWorld(rate_sd=1.0),
        runs=2_000,
        quick=40,
        known=UNTIL,
        targets=(("ratio", COVERAGE), ("share difference", COVERAGE)),
    )


def _power() -> Iterator[Cell]:
    """Planted ratios of gaps, in shops of three sizes."""
    for factor in (1.1, 1.2, 1.35, 1.5):
        for customers, runs, quick in ((600, 100, 10), (3_000, 100, 10), (20_000, 50, 2)):
            yield Cell(
                name=f"power: gaps x {factor:g}, {customers:,} customers",
                kind="power",
                world=RenewalWorld(factor=factor),
                runs=runs,
                quick=quick,
                customers=customers,
            )


def _verdict() -> Iterator[Cell]:
    """Verdicts of 20,000 customers in two equal groups."""
    shown: tuple[tuple[str, Target], ...] = (("equivalent", (0.9, 1.0)),)
    not_shown: tuple[tuple[str, Target], ...] = (("equivalent", (0.0, 0.05)),)
    for rate_sd in (0.0, 0.5, 1.0):
        world = RenewalWorld(rate_sd=rate_sd)
        factor, buys_once = BOTH_MARGINS[rate_sd]
        both = replace(world, days=540, entry_days=180, factor=factor, buys_once=buys_once)
        at_share, at_both = (f"cycle.horizon_days={horizon}" for horizon in (SHARE_HORIZON, BOTH_HORIZON))
        cells: Sequence[tuple[str, RenewalWorld, int, tuple[str, ...], tuple[tuple[str, Target], ...]]] = (
            ("nothing differs", world, 100, (), shown),
            ("gaps x 1.05", replace(world, factor=1.05), 50, (), ()),
            ("share back at the margin", replace(world, factor=SHARE_MARGIN[rate_sd]), 200, (at_share,), not_shown),
            ("share back and ratio at the margin", both, 200, (at_both,), not_shown),
        )
        for name, truth, runs, settings, targets in cells:
            yield Cell(
                name=f"verdict: {name}, sd {rate_sd:g}",
                kind="verdict",
                world=truth,
                runs=runs,
                quick=3,
                customers=20_000,
                settings=settings,
                targets=targets,
            )
    yield Cell(
        name="verdict: half once, others' gaps x 1.35",
        kind="verdict",
        world=RenewalWorld(buys_once=0.5, factor=1.35),
        runs=100,
        quick=3,
        customers=20_000,
        targets=(("equivalent", NEVER),),
    )


def _lifetime() -> Iterator[Cell]:
    """A label over the whole history in shops in which nothing separates."""
    for name, world in _worlds():
        yield Cell(
            name=f"lifetime: {name}",
            kind="lifetime",
            world=world,
            runs=5,
            quick=1,
            targets=(("refused", ALWAYS), ("restated: answered", ALWAYS)),
        )


GROUPS = ("first", "second")
"""Names of the two groups of a world: what was bought first."""
