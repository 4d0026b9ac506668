"""Results as runs would leave them.

A detergent shop, one whose splits were found or known until a date, one where nothing separates, one that cannot be tested, one whose
tree has two levels, one with 500 candidates, one whose tree is its root alone, one with 200 segments and 10,000 trials, and a hostile one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from segmentor.report import render_report
from segmentor.report.lines import counts_in, counts_of
from segmentor.report.small_cells import Counts
from segmentor.result import (
    Bundle,
    Chosen,
    Clustering,
    ClusterRule,
    CohortCount,
    Comparability,
    Crossover,
    CrossoverCell,
    CrossSellRule,
    Curve,
    Cutpoint,
    CycleSummary,
    DealtLabels,
    GroupEffect,
    Habit,
    InputQuality,
    Interval,
    LedgerEntry,
    LeftOut,
    NextCurve,
    PairEffect,
    Quality,
    Rule,
    RuleInSegment,
    RunResult,
    ScoreTest,
    Search,
    SeedVerdict,
    Segment,
    ShareBack,
    SplitTest,
    Subset,
    TreeNode,
    Trial,
    Verdict,
    Worth,
)
from segmentor.wording import Message

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><style>*{color:red}",
    "{{7*7}}",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "=cmd|'/c calc'!A1",
    "$\\frac{1}{2}$ & <!--<script>",
    "香水 🌸 javascript:alert(1)",
    'x" onmouseover="alert(1)\x1b]0;\x00',
    "</template></script><script>alert(1)</script>--><img src=x onerror=alert(1)>",
    "\N{RIGHT-TO-LEFT MARK}[a](javascript:alert(1))\N{LEFT-TO-RIGHT MARK}",
]
HORIZON_DAYS = 120


@pytest.fixture(scope="session")
def laundry() -> RunResult:
    """A shop in which package size separates, form does not matter, brand stays open and a habit is circular."""
    return RunResult(
        experiment="laundry",
        title="Laundry detergent: what the first package says",
        language="en",
        seed=1,
        config=config("category = 'LAUNDRY DETERGENTS'"),
        quality=quality((Message("1.2 % of the quantities are zero; such lines count as purchases."),)),
        trials=(_form(), _brand(), _size(), _circular()),
        ledger=(
            LedgerEntry("all", "package size", "declared", "Holm", 0.00031, 1, 3, 0.00093, "significant"),
            LedgerEntry("all", "brand", "declared", "Holm", 0.083, 2, 3, 0.17, "not significant"),
            LedgerEntry("all", "form", "declared", "Holm", 0.71, 3, 3, 0.71, "not significant"),
            LedgerEntry("all", "only small packages", "declared", "Holm", None, None, 3, None, "not tested"),
        ),
        segments=_segments(),
        rules=_rules(),
        min_cell=10,
        versions={"duckdb": "2.0.1", "python": "3.11.9", "segmentor": "0.1.0"},
    )


@pytest.fixture(scope="session")
def discovered(laundry: RunResult) -> RunResult:
    """A shop with a threshold, merged regions, an "ever bought" label and groups that began at different times."""
    return replace(
        laundry,
        experiment="discovered",
        title="What the data suggested",
        trials=(_basket(), *_regions(), _ever(), _campaign()),
        ledger=(
            LedgerEntry("all", "samples before July", "declared", "Holm", 0.004, 1, 2, 0.008, "significant"),
            LedgerEntry("all", "region", "declared", "Holm", 0.02, 2, 2, 0.02, "significant"),
            LedgerEntry("all", "campaign", "declared", "Holm", None, None, 2, None, "not tested"),
            LedgerEntry("all", "first basket", "discovery", "min-P", 0.0009, 1, 213, 0.021, "promoted"),
            LedgerEntry("all", "region, merged", "discovery", "min-P", 0.0011, 2, 213, 0.03, "promoted"),
            *(
                LedgerEntry(
                    "all",
                    f"threshold {place}",
                    "discovery",
                    "min-P",
                    0.01 + place / 400,
                    place,
                    213,
                    0.9,
                    "not promoted",
                )
                for place in range(3, 214)
            ),
            LedgerEntry("all", "first basket", "confirmation", "Holm", 0.006, 1, 2, 0.012, "significant"),
            LedgerEntry("all", "region, merged", "confirmation", "Holm", 0.019, 2, 2, 0.019, "significant"),
        ),
    )


@pytest.fixture(scope="session")
def nothing_separates(laundry: RunResult) -> RunResult:
    """A shop in which the one split asked about was shown not to matter."""
    return replace(
        laundry,
        experiment="eggs",
        title="Eggs: Large against X-Large",
        trials=(replace(_form(), split="grade"),),
        ledger=(LedgerEntry("all", "grade", "declared", "Holm", 0.71, 1, 1, 0.71, "not significant"),),
        segments=(everyone(),),
        rules=(),
    )


@pytest.fixture(scope="session")
def untestable(laundry: RunResult) -> RunResult:
    """A shop whose only split cannot be tested."""
    return replace(
        laundry,
        experiment="loyal",
        title="Do loyal customers come back sooner?",
        trials=(_circular(),),
        ledger=(),
        segments=(everyone(),),
        rules=None,
    )


@pytest.fixture(scope="session")
def grown(laundry: RunResult) -> RunResult:
    """A shop whose tree has two levels, with a split that was not confirmed, clusters, and one of them an echo."""
    return replace(
        laundry,
        experiment="grown",
        title="Which customers differ?",
        trials=(_form(), _brand(), _size(), *_found()),
        ledger=(
            LedgerEntry("all", "package size", "declared", "Holm", 0.00031, 1, 3, 0.00093, "significant"),
            LedgerEntry("all", "often before", "discovery", "min-P", 0.00001, 1, 212, 0.002, "promoted"),
            LedgerEntry("all", "hour: night", "discovery", "min-P", 0.02, 2, 212, 0.7, "not promoted"),
            LedgerEntry("large", "channel: store", "discovery", "min-P", 0.0001, 1, 96, 0.0071, "promoted"),
            LedgerEntry("large", "channel: store", "confirmation", "Holm", 0.004, 1, 3, 0.012, "significant"),
        ),
        segments=_grown_segments(),
        tree=(
            TreeNode(
                "all",
                None,
                1_410,
                212,
                "package size",
                ("small", "large"),
                None,
                0.00093,
                held=True,
                chosen_again=(Chosen("package size", 0.82), Chosen("often before", 0.11), Chosen("form", 0.04)),
            ),
            TreeNode(
                "small",
                "all",
                612,
                104,
                "first basket: DRYER SHEETS",
                ("has it", "has it not"),
                0.031,
                0.42,
                ended="not confirmed",
                chosen_again=(Chosen("first basket: DRYER SHEETS", 0.22),),
            ),
            TreeNode(
                "small / has it",
                "small",
                130,
                12,
                "weekday",
                ("weekend", "other days"),
                0.04,
                None,
                ended="above was not confirmed",
            ),
            TreeNode("small / has it not", "small", 482, 40, ended="above was not confirmed"),
            TreeNode(
                "large",
                "all",
                498,
                96,
                "channel: store",
                ("store", "other channels"),
                0.0071,
                0.012,
                held=True,
                chosen_again=(Chosen("channel: store", 0.64), Chosen("brand", 0.2)),
            ),
            TreeNode("large / store", "large", 140, 0, ended="too few customers"),
            TreeNode("large / other channels", "large", 352, 60, ended="nothing passed"),
        ),
        search=Search(
            212,
            (
                LeftOut("product_id", "column", Message("too many values")),
                LeftOut("coupon", "column", Message("one value")),
            ),
            (
                Clustering("kmeans", ("category: DETERGENT", "brand: TIDE", "discount_share"), 705, 4, 0.0, 0.78, 0.21),
                Clustering("hdbscan", ("frequency", "recency"), 705, 2, 0.34, 0.83, 0.55),
                Clustering("gmm", ("frequency", "recency"), 705, 0, 0.0, None, None),
            ),
        ),
    )


@pytest.fixture(scope="session")
def searched(grown: RunResult) -> RunResult:
    """The same shop with 500 candidates, of which nothing but effects is known."""
    screened = tuple(_candidate(number) for number in range(500))
    assert grown.search is not None
    return replace(
        grown,
        trials=(*grown.trials, *screened),
        ledger=(
            *grown.ledger,
            *(
                LedgerEntry(
                    "all", trial.split, "discovery", "min-P", 0.02 + number / 600, number + 3, 512, 0.9, "not promoted"
                )
                for number, trial in enumerate(screened)
            ),
        ),
        search=replace(grown.search, tried=512),
    )


@pytest.fixture(scope="session")
def undivided(searched: RunResult) -> RunResult:
    """A shop in which 40 candidates were tried and none held."""
    trials = (_brand(), *searched.trials[-40:])
    assert searched.search is not None
    return replace(
        searched,
        title="Customers who are all alike",
        trials=trials,
        ledger=tuple(entry for entry in searched.ledger if entry.split in {trial.split for trial in trials}),
        segments=(everyone(),),
        tree=(
            TreeNode(
                "all",
                None,
                1_410,
                40,
                ended="nothing passed",
                chosen_again=(Chosen("category 41", 0.09), Chosen("category 12", 0.07)),
            ),
        ),
        search=replace(searched.search, tried=40),
    )


@pytest.fixture(scope="session")
def crowded(searched: RunResult) -> RunResult:
    """The same shop with 10,000 more candidates, each with its test, and 200 segments."""
    last, search = searched.trials[-1], searched.search
    assert search is not None
    many = tuple(replace(last, split=f"candidate {number}") for number in range(10_000))
    above = [f"group {number}" for number in range(20)]
    leaves = {name: tuple(f"leaf {name[6:]}.{number}" for number in range(10)) for name in above}
    below = [
        node
        for name in above
        for node in (
            TreeNode(name, "all", 2_000, 96, f"split {name[6:]}", leaves[name], 0.007, 0.012, held=True),
            *(TreeNode(f"{name} / {leaf}", name, 200, 0, ended="too few customers") for leaf in leaves[name]),
        )
    ]
    segments = tuple(
        replace(
            _segments()[0],
            id=f"segment-{place}",
            name=f"{name} / {leaf}",
            parent=name,
            customers=200,
            share_back=0.3 + place / 500,
            mean_cycle_days=70 - place / 10,
        )
        for place, (name, leaf) in enumerate((name, leaf) for name in above for leaf in leaves[name])
    )
    return replace(
        searched,
        trials=(*searched.trials, *many),
        ledger=(
            *searched.ledger,
            *(
                LedgerEntry(
                    "all",
                    trial.split,
                    "discovery",
                    "min-P",
                    0.02 + number / 12_000,
                    number,
                    10_512,
                    0.9,
                    "not promoted",
                )
                for number, trial in enumerate(many)
            ),
        ),
        segments=segments,
        tree=(replace(searched.tree[0], customers=40_000, groups=tuple(above)), *below),
        search=replace(search, tried=10_512),
    )


@pytest.fixture(scope="session")
def crowded_page(crowded: RunResult) -> str:
    """The page of that shop."""
    return render_report(crowded)


@pytest.fixture(scope="session")
def hostile(laundry: RunResult) -> RunResult:
    """A shop in which every name is an attack."""
    groups = tuple(_group(text, 0.5 + index / 40, 40, 300) for index, text in enumerate(HOSTILE))
    attacked = replace(
        _size(),
        split=HOSTILE[0],
        sentence=Message("{told}", {"told": " ".join(HOSTILE)}),
        restate=Message("{told}", {"told": HOSTILE[1]}),
        reasons=tuple(HOSTILE),
        definition=tuple((text, text) for text in HOSTILE),
        groups=groups,
        pairs=(replace(_size().pairs[0], first=HOSTILE[0], second=HOSTILE[1]),),
        known=f"until: {HOSTILE[0]}",
        restated="\n".join(HOSTILE),
        merged_from=HOSTILE[1],
        cutpoint=Cutpoint(HOSTILE[0], 40.5, 212, 3.8, 31.0, 44.0, 0.34),
        p_discovery_adjusted=0.02,
        comparability=Comparability(
            0.9,
            tuple(CohortCount(text, (20, 30, *(0,) * (len(HOSTILE) - 2))) for text in HOSTILE),
            (90.0,) * len(HOSTILE),
        ),
        habits=tuple(
            replace(habit, name=text, unit=text, first=HOSTILE[0], second=HOSTILE[1], means=(1.0,) * len(HOSTILE))
            for text, habit in zip(HOSTILE, _habits() * 2, strict=False)
        ),
        crossover=_crossover(tuple(HOSTILE), [[30] * len(HOSTILE)] * len(HOSTILE)),
        robustness=tuple(
            Subset(text, text, 300, around(1.2, 0.1), around(0.1, 0.05), 0.01, agrees=True) for text in HOSTILE
        ),
        dealt=DealtLabels(20, 18, 1.1, 0.05),
        source=HOSTILE[0],
        attribute=HOSTILE[0],
        aliases=tuple(HOSTILE),
        cluster=ClusterRule(HOSTILE[0], 1, 3, 400, 0.8, 0.9, 0.7, 0.3),
    )
    screened_out = replace(attacked, reasons=(HOSTILE[0],), p_adjusted=None, verdict="equivalent")
    below = [TreeNode(text, "all", 40, 3, HOSTILE[0], tuple(HOSTILE), 0.1, 0.2, ended=text) for text in HOSTILE]
    rule = _rules()[0]
    return replace(
        laundry,
        title=HOSTILE[0],
        experiment=HOSTILE[1],
        config={"cycle": {"purchase": HOSTILE[1]}, HOSTILE[0]: list(HOSTILE)},
        trials=(
            attacked,
            *(replace(attacked, split=text) for text in HOSTILE[1:]),
            *(replace(screened_out, split=text, segment=text) for text in HOSTILE),
        ),
        tree=(
            TreeNode(
                "all",
                None,
                400,
                3,
                HOSTILE[0],
                tuple(HOSTILE),
                0.01,
                0.02,
                held=True,
                chosen_again=tuple(Chosen(text, 0.2) for text in HOSTILE),
            ),
            *below,
        ),
        search=Search(
            3,
            tuple(LeftOut(text, text, Message("{told}", {"told": text})) for text in HOSTILE),
            tuple(Clustering(text, tuple(HOSTILE), 400, 2, 0.1, 0.7, 0.2) for text in HOSTILE),
        ),
        segments=tuple(
            Segment(
                f"s{i}",
                text,
                "all",
                (Rule(text, text, text, text),),
                500,
                0.5,
                40.0,
                120,
                (20, 60),
                Message("{told}", {"told": text}),
            )
            for i, text in enumerate(HOSTILE)
        ),
        rules=tuple(
            replace(
                rule,
                antecedent=(text, HOSTILE[1]),
                consequent=text,
                segment=text,
                kind=text,
                mode=mode,
                median_days=5.0,
                curve=NextCurve((0.0, 0.1, 0.2), (0.0, 0.1, 0.1)),
                worth=Worth(500, Interval(30.0, 20.0, 40.0), None),
                segments=tuple(RuleInSegment(each, 40, around(2.0, 0.1), holds=True) for each in HOSTILE),
                p_segments_adjusted=0.01,
            )
            for text in HOSTILE
            for mode in ("same_occasion", "next_purchase")
        ),
        bundles=tuple(
            Bundle(tuple(HOSTILE[:4]), 40, around(1.5, 0.1), 0.01, valid, 9.0, 20.0, 0.1, 19.0, 8.0, 1.1)
            for valid in (True, False)
        ),
        ledger=tuple(LedgerEntry(text, text, text, text, 0.01, 1, 8, 0.08, text) for text in HOSTILE),
        quality=replace(
            quality(tuple(Message("{told}", {"told": text}) for text in HOSTILE)),
            inputs={HOSTILE[0]: InputQuality(3, 1, 1, 1, {HOSTILE[1]: 1}, HOSTILE[2])},
        ),
        versions={HOSTILE[0]: HOSTILE[1]},
    )


@pytest.fixture(scope="session")
def counts_for(laundry: RunResult) -> Callable[[Trial], Counts]:
    """How counts are shown in the tables of a trial, on a page of this trial alone."""

    def of(trial: Trial) -> Counts:
        return counts_in(trial, counts_of(replace(laundry, trials=(trial,), segments=())))

    return of


@pytest.fixture(scope="session")
def pages(request: pytest.FixtureRequest) -> dict[str, str]:
    """The page of each shop, by its name, with ``in Chinese`` behind it in that language; drawn when it is first asked for."""

    class Pages(dict[str, str]):
        def __missing__(self, name: str) -> str:
            shop = name.removesuffix(" in Chinese")
            result = request.getfixturevalue(shop.replace(" ", "_"))
            self[name] = render_report(result if shop == name else replace(result, language="zh"))
            return self[name]

    return Pages()


def config(purchase: str | None) -> dict[str, object]:
    """A config as a run resolves it."""
    return {
        "cross_sell": {"bundle_discount": 0.05, "level": ["category"], "margin": 0.4, "within_days": 60},
        "cycle": {"merge_within_days": 1, "purchase": purchase},
        "data": {"engine": "duckdb", "timezone": "America/New_York"},
        "trial": {"level": 0.05, "minimum_effect": 0.1, "minimum_share": 0.05, "return_days": [30, 60, 90]},
    }


def quality(warnings: tuple[Message, ...] = ()) -> Quality:
    """Inputs and cycles whose accounts are right."""
    return Quality(
        inputs={
            "transactions": InputQuality(
                1_469_307, 1_468_120, 0, 1_187, {"missing_customer": 1_100, "unreadable_date": 87}, "b1946ac9"
            ),
            "products": InputQuality(92_331, 92_331, 0, 0, {}, "591785b7"),
        },
        cycle=CycleSummary(1_410, 9_214, 7_804, 1_410, 312, "2017-01-01", "2017-12-31", 228),
        warnings=warnings,
    )


def everyone() -> Segment:
    """The one segment of a shop where nothing separates."""
    return Segment("all", "all", None, (), 1_410, 0.58, 49.2, HORIZON_DAYS, (28, 66))


def curve(share: float, mean_days: float) -> Curve:
    """A curve that reaches a share by the horizon."""
    days = tuple(range(HORIZON_DAYS + 1))
    rise = [1 - math.exp(-((day / mean_days) ** 1.7)) for day in days]
    shares = tuple(share * value / rise[-1] for value in rise)
    half_width = [0.06 * math.sqrt(day / HORIZON_DAYS) for day in days]
    return Curve(
        days,
        shares,
        tuple(max(0.0, value - half) for value, half in zip(shares, half_width, strict=True)),
        tuple(min(1.0, value + half) for value, half in zip(shares, half_width, strict=True)),
        tuple(round(600 * (1 - value)) for value in shares),
    )


def around(estimate: float, half: float) -> Interval:
    """An interval of so much to each side."""
    return Interval(estimate, estimate - half, estimate + half)


def _crossover(groups: tuple[str, ...], rows: list[list[int]]) -> Crossover:
    """Customers by first and next label, with what follows from them."""
    total = sum(map(sum, rows))
    cells = tuple(
        CrossoverCell(
            first,
            second,
            rows[i][j],
            around(rows[i][j] / sum(rows[i]), 0.04),
            rows[i][j] / sum(rows[i]) / (sum(row[j] for row in rows) / total),
        )
        for i, first in enumerate(groups)
        for j, second in enumerate(groups)
    )
    same = sum(rows[i][i] for i in range(len(groups))) / total
    expected = sum(sum(rows[i]) * sum(row[i] for row in rows) for i in range(len(groups))) / total**2
    return Crossover(1, total, cells, same, expected, around((same - expected) / (1 - expected), 0.05), 1e-12)


def _group(name: str, share: float, mean_days: float, customers: int) -> GroupEffect:
    drawn = curve(share, mean_days)
    return GroupEffect(
        name,
        customers,
        customers * 4,
        around(share, 0.05),
        tuple(ShareBack(day, around(drawn.share_back[day], 0.045)) for day in (30, 60, 90)),
        around(mean_days, 3.5),
        around(mean_days + 30, 4.0),
        mean_days * 1.6 if share > 0.55 else None,
        drawn,
    )


def _pair(first: GroupEffect, second: GroupEffect, *, separated: bool, equivalent: bool, half: float) -> PairEffect:
    def estimate(interval: Interval | None) -> float:
        assert interval is not None
        assert interval.estimate is not None
        return interval.estimate

    shares = estimate(second.share_back) - estimate(first.share_back)
    days = estimate(second.mean_cycle_days) - estimate(first.mean_cycle_days)
    ratio = estimate(second.mean_cycle_days) / estimate(first.mean_cycle_days)
    return PairEffect(
        first.name,
        second.name,
        Interval(ratio, ratio * (1 - half), ratio * (1 + half)),
        around(days, 45 * half),
        around(shares, half),
        tuple(ShareBack(day, around(shares * day / HORIZON_DAYS, half)) for day in (30, 60, 90)),
        separated,
        equivalent,
    )


def _test(p_value: float, naive: float, tail: str = "type III", freedom: int = 1) -> SplitTest:
    names = ("typical_gap log-rank", "typical_gap Gehan", "typical_customer log-rank", "typical_customer Gehan")
    scores = tuple(
        ScoreTest(name, 4.0 + 3.1 * place, freedom, min(1.0, p_value * (4 - place))) for place, name in enumerate(names)
    )
    return SplitTest(scores, p_value, tail, naive)


def _seeds(*verdicts: Verdict) -> tuple[SeedVerdict, ...]:
    return tuple(SeedVerdict(seed, verdict) for seed, verdict in enumerate(verdicts, start=2))


def _size() -> Trial:
    small, large = _group("small", 0.643, 46.2, 612), _group("large", 0.512, 54.4, 498)
    return Trial(
        segment="all",
        split="package size",
        source="declared",
        known="first_purchase",
        definition=(("small", "loads < 32"), ("large", "loads > 32")),
        groups=(small, large),
        not_known=296,
        verdict="separates",
        reasons=("significant and larger than the minimum effect",),
        sentence=Message(
            "Customers who start with small packages come back more often and sooner than those who start with large ones."
        ),
        no_follow_up=4,
        comparability=Comparability(
            0.985,
            tuple(
                CohortCount(f"2017-{month:02}", customers)
                for month, customers in enumerate(
                    [
                        (181, 152),
                        (96, 70),
                        (71, 54),
                        (60, 51),
                        (52, 44),
                        (41, 40),
                        (33, 27),
                        (28, 24),
                        (19, 17),
                        (14, 13),
                        (10, 6),
                        (7, 0),
                    ],
                    start=1,
                )
            ),
            (241.0, 236.0),
        ),
        horizon_days=HORIZON_DAYS,
        tau_days=HORIZON_DAYS,
        pairs=(_pair(small, large, separated=True, equivalent=False, half=0.068),),
        verdict_pair=0,
        test=_test(0.00031, 0.0000004),
        p_adjusted=0.00093,
        same_direction=True,
        other_seeds=_seeds("separates", "separates", "separates", "inconclusive", "separates"),
        habits=_habits(),
        crossover=_crossover(("small", "large"), [[310, 92], [74, 181]]),
        robustness=_subsets(),
    )


def _habits() -> tuple[Habit, ...]:
    def habit(name: str, unit: str, means: tuple[float, float], half: float, p_adjusted: float) -> Habit:
        first, second = means
        difference = around(second - first, half)
        return Habit(
            name,
            unit,
            1_098,
            means,
            "small",
            "large",
            difference,
            around((second - first) / half / 9, 0.12),
            p_adjusted / 9,
            p_adjusted,
        )

    return (
        habit("order value", "money", (18.42, 27.9), 2.1, 2e-7),
        habit("items per order", "items", (2.4, 3.1), 0.3, 0.0004),
        habit("region: north", "share", (0.31, 0.42), 0.06, 0.012),
        habit("region: islands", "share", (0.009, 0.042), 0.02, 0.03),
        habit("weekend share", "share", (0.29, 0.31), 0.05, 0.62),
        habit("discount share", "share", (0.22, 0.21), 0.04, 0.8),
    )


def _subsets() -> tuple[Subset, ...]:
    def subset(kind: str, name: str, customers: int, ratio: float, half: float) -> Subset:
        return Subset(
            kind, name, customers, around(ratio, half), around(-0.1 * (ratio - 1) / 0.18, half), 0.04, ratio > 1
        )

    return (
        subset("cohort", "2017-Q1", 624, 1.21, 0.11),
        subset("cohort", "2017-Q2", 288, 1.14, 0.16),
        subset("cohort", "2017-Q3", 148, 0.97, 0.24),
        Subset("cohort", "2017-Q4", 50, None, None, None, None),
        subset("season", "winter", 410, 1.2, 0.13),
        subset("season", "summer", 520, 1.15, 0.12),
        subset("region", "north", 610, 1.17, 0.1),
        subset("region", "south", 494, 1.19, 0.12),
        subset("region", "islands", 6, 3.2, 2.1),
        subset("half of customers", "discovery", 560, 1.16, 0.1),
        subset("half of customers", "confirmation", 550, 1.19, 0.1),
        subset("largest customers", "without the 10 largest", 1_100, 1.17, 0.08),
    )


def _basket() -> Trial:
    low, high = _group("<= 40.5", 0.58, 52.0, 640), _group("> 40.5", 0.68, 44.0, 470)
    return replace(
        _size(),
        split="first basket",
        definition=(("<= 40.5", "order_amount <= 40.5"), ("> 40.5", "order_amount > 40.5")),
        groups=(low, high),
        pairs=(_pair(low, high, separated=True, equivalent=False, half=0.07),),
        sentence=Message("Customers with a larger first basket come back more often and sooner."),
        cutpoint=Cutpoint("order_amount", 40.5, 212, 3.8, 31.0, 44.25, 0.34),
        test=_test(0.006, 0.0001, "exact"),
        p_discovery_adjusted=0.021,
        p_adjusted=0.012,
        habits=(),
        crossover=None,
        robustness=(),
    )


def _regions() -> tuple[Trial, Trial]:
    places = [_group("north", 0.64, 45.0, 402), _group("east", 0.63, 45.5, 398), _group("islands", 0.5, 56.0, 310)]
    merged = [_group("north + east", 0.635, 45.2, 800), places[2]]
    region = replace(
        _size(),
        split="region",
        sentence=Message("Customers of the islands come back less often and later."),
        known="entry",
        definition=(("by", "region"),),
        groups=tuple(places),
        pairs=tuple(
            _pair(places[i], places[j], separated=j == 2, equivalent=j < 2, half=0.06)
            for i, j in ((0, 1), (0, 2), (1, 2))
        ),
        verdict_pair=1,
        test=_test(0.02, 0.001, "chi-square", 2),
        p_adjusted=0.02,
        habits=(),
        crossover=None,
        robustness=(),
        comparability=Comparability(0.995, (), ()),
    )
    return region, replace(
        region,
        split="region, merged",
        definition=(("north + east", "region = north or region = east"), ("islands", "region = islands")),
        groups=tuple(merged),
        pairs=(_pair(merged[0], merged[1], separated=True, equivalent=False, half=0.06),),
        verdict_pair=0,
        merged_from="region",
        test=_test(0.019, 0.001),
        p_discovery_adjusted=0.03,
        p_adjusted=0.019,
    )


def _ever() -> Trial:
    only, others = _group("only samples", 0.41, 39.0, 260), _group("full sizes too", 0.62, 33.0, 710)
    return replace(
        _size(),
        split="samples before July",
        known="until: 2017-06-30",
        definition=(("only samples", "all: size = 'sample'"), ("full sizes too", "size = 'full'")),
        groups=(only, others),
        pairs=(_pair(only, others, separated=True, equivalent=False, half=0.06),),
        sentence=Message("Who had only bought samples before July came back less often after it."),
        test=_test(0.004, 1e-9),
        p_adjusted=0.008,
        crossover=None,
        robustness=(),
        dealt=DealtLabels(20, 18, 0.88, 0.12),
        comparability=Comparability(1.0, (CohortCount("all", (260, 710)),), (184.0, 184.0)),
    )


def _campaign() -> Trial:
    return Trial(
        segment="all",
        split="campaign",
        source="declared",
        known="entry",
        definition=(("by", "campaign"),),
        groups=(GroupEffect("spring", 420, 900), GroupEffect("autumn", 380, 410)),
        not_known=0,
        verdict="untestable",
        reasons=("not comparable",),
        sentence=Message("The campaigns ran at different times: season or tenure cannot be told from the split."),
        comparability=Comparability(
            0.11,
            (
                CohortCount("2017-03", (260, 0)),
                CohortCount("2017-04", (112, 4)),
                CohortCount("2017-05", (48, 41)),
                CohortCount("2017-09", (0, 335)),
            ),
            (270.0, 95.5),
        ),
    )


def _found() -> tuple[Trial, ...]:
    """Splits of which the first holds within large packages, the second was not confirmed and the third is an echo."""
    store, elsewhere = _group("store", 0.41, 66.0, 140), _group("other channels", 0.55, 52.0, 352)
    channel = replace(
        _size(),
        segment="large",
        split="channel: store",
        source="enumerated",
        known="entry",
        attribute="channel",
        aliases=("first basket: STORE BRAND", "region: south"),
        definition=(("store", "channel = 'store'"), ("other channels", "not (channel = 'store')")),
        groups=(store, elsewhere),
        not_known=6,
        sentence=Message("Within large, customers who came by the store come back less often and later."),
        pairs=(_pair(store, elsewhere, separated=True, equivalent=False, half=0.08),),
        test=_test(0.004, 0.0001),
        p_discovery_adjusted=0.0071,
        p_adjusted=0.012,
        habits=(),
        crossover=None,
        robustness=(),
        other_seeds=(),
        comparability=None,
    )
    dryer = replace(
        _candidate(0),
        segment="small",
        split="first basket: DRYER SHEETS",
        groups=(GroupEffect("has it", 130, 300), GroupEffect("has it not", 482, 1_900)),
        pairs=(replace(_candidate(0).pairs[0], first="has it", second="has it not"),),
        verdict="inconclusive",
        reasons=("not confirmed",),
        sentence=Message("Not decided (not confirmed)."),
        p_discovery_adjusted=0.031,
        p_adjusted=0.42,
    )
    echo = replace(
        dryer,
        segment="all",
        split="often before",
        source="clustered",
        known="until: 2017-06-30",
        reasons=("echo of past frequency",),
        sentence=Message("Customers who bought often come back sooner, as was to be expected."),
        p_discovery_adjusted=0.002,
        p_adjusted=0.003,
        cluster=ClusterRule("hdbscan", 1, 2, 310, 0.83, 0.92, 0.88, 0.61),
    )
    rule = replace(
        _candidate(1),
        split="mostly powder",
        source="clustered",
        cluster=ClusterRule("kmeans", 2, 4, 150, 0.71, 0.84, 0.79),
        aliases=("form: POWDER",),
    )
    return channel, dryer, echo, rule


def _candidate(number: int) -> Trial:
    """A value against the rest that screening did not promote, with effects and no curve."""
    value, rest = (
        GroupEffect(name, customers, customers * 4, around(share, 0.05), (), around(days, 3.0))
        for name, customers, share, days in (
            (f"has {number}", 60 + number, 0.57, 50.0),
            ("has it not", 1_350 - number, 0.58, 49.0),
        )
    )
    alike = number % 3 == 0
    return Trial(
        segment="all",
        split=f"category {number}",
        source="enumerated",
        known="first_purchase",
        definition=((value.name, f"category = '{number}'"), (rest.name, f"not (category = '{number}')")),
        groups=(value, rest),
        not_known=0,
        verdict="equivalent" if alike else "inconclusive",
        reasons=("every difference lies within the margins",) if alike else ("not promoted",),
        sentence=Message("{told}", {"told": ""}),
        attribute="category",
        horizon_days=HORIZON_DAYS,
        tau_days=HORIZON_DAYS,
        pairs=(_pair(value, rest, separated=False, equivalent=alike, half=0.03 if alike else 0.09),),
        verdict_pair=0,
        p_discovery_adjusted=0.9,
    )


def _form() -> Trial:
    liquid, powder = _group("liquid", 0.583, 49.4, 905), _group("powder", 0.579, 48.8, 501)
    return replace(
        _size(),
        split="form",
        definition=(("liquid", "form = 'LIQUID'"), ("powder", "form = 'POWDER'")),
        groups=(liquid, powder),
        not_known=4,
        no_follow_up=0,
        verdict="equivalent",
        reasons=("every difference lies within the margins",),
        sentence=Message("Buyers of liquid and of powder come back alike."),
        pairs=(_pair(liquid, powder, separated=False, equivalent=True, half=0.03),),
        test=_test(0.71, 0.012),
        p_adjusted=0.71,
        habits=(),
        crossover=_crossover(("liquid", "powder"), [[700, 8], [60, 300]]),
        comparability=Comparability(0.995, (), ()),
        other_seeds=_seeds("equivalent", "equivalent", "equivalent", "equivalent", "equivalent"),
    )


def _brand() -> Trial:
    brands = ["TIDE", "GAIN", "ALL", "PUREX", "ARM & HAMMER", "PRIVATE LABEL", "CHEER"]
    groups = [
        _group(name, 0.62 - place * 0.021, 45 + place * 1.7, 320 - place * 31) for place, name in enumerate(brands)
    ]
    groups.append(GroupEffect("ERA", 7, 9, around(0.9, 0.1), (), around(12, 5), None, None, curve(0.9, 12)))
    pairs = tuple(
        _pair(first, second, separated=False, equivalent=False, half=0.11)
        for place, first in enumerate(groups)
        for second in groups[place + 1 :]
    )
    return replace(
        _size(),
        split="brand",
        definition=tuple((group.name, f"brand = '{group.name}'") for group in groups),
        groups=tuple(groups),
        verdict="inconclusive",
        reasons=("not significant",),
        sentence=Message("Brands may differ in how many customers come back, but not by more than chance could do."),
        pairs=pairs,
        verdict_pair=5,
        test=_test(0.083, 0.0004, "permutation", 7),
        p_adjusted=0.17,
        customers_needed=5_400,
        months_needed=14,
        habits=(),
        crossover=None,
        robustness=(),
        comparability=Comparability(0.97, (), ()),
        same_direction=False,
        other_seeds=_seeds("inconclusive", "inconclusive", "inconclusive", "equivalent", "inconclusive"),
    )


def _circular() -> Trial:
    return Trial(
        segment="all",
        split="only small packages",
        source="declared",
        known="lifetime",
        definition=(("always small", "all: loads < 32"), ("others", "loads >= 32")),
        groups=(GroupEffect("always small", 402, 1_100), GroupEffect("others", 1_008, 6_704)),
        not_known=0,
        verdict="untestable",
        reasons=("circular",),
        sentence=Message(
            "Who has only ever bought small packages is known only afterwards, and follows from how often they bought."
        ),
        restate=Message("Ask with `known: first_purchase`, or with `known: {{until: 2017-06-30}}`."),
        restated='- name: only small packages\n  known: first_purchase\n  groups:\n    always small: {all: "loads < 32"}\n    others: "loads >= 32"\n',
    )


def _segments() -> tuple[Segment, ...]:
    def rule(group: str, condition: str) -> tuple[Rule, ...]:
        return (Rule("package size", group, "first_purchase", condition),)

    return (
        Segment(
            "package-size-small",
            "package size: small",
            "all",
            rule("small", "loads < 32"),
            612,
            0.643,
            46.2,
            HORIZON_DAYS,
            (27, 61),
            Message("Package size separates (ratio 1.18)."),
            Message("first purchase: loads below 32"),
        ),
        Segment(
            "package-size-large",
            "package size: large",
            "all",
            rule("large", "loads > 32"),
            498,
            0.512,
            54.4,
            HORIZON_DAYS,
            (33, 74),
        ),
        Segment("not-yet-known", "not yet known", "all", (), 300),
    )


def _grown_segments() -> tuple[Segment, ...]:
    size = {
        group: Rule("package size", group, "first_purchase", condition)
        for group, condition in (("small", "loads < 32"), ("large", "loads > 32"))
    }
    channel = {group: Rule("channel: store", group, "entry", "channel") for group in ("store", "other channels")}
    leaf = replace(_segments()[0], evidence=None)
    return (
        replace(leaf, id="small", name="small", rule=(size["small"],)),
        replace(
            leaf,
            id="large-store",
            name="large / store",
            parent="large",
            rule=(size["large"], channel["store"]),
            customers=140,
            share_back=0.41,
            mean_cycle_days=66.0,
        ),
        replace(
            leaf,
            id="large-other-channels",
            name="large / other channels",
            parent="large",
            rule=(size["large"], channel["other channels"]),
            customers=352,
            share_back=0.55,
            mean_cycle_days=52.0,
        ),
        Segment("not-yet-known", "not yet known", "all", (), 306),
    )


def _rules() -> tuple[CrossSellRule, ...]:
    def rule(antecedent: tuple[str, ...], consequent: str, lift: float, *, valid: bool) -> CrossSellRule:
        return CrossSellRule(
            antecedent, consequent, "attach", "same_occasion", "all", 380, 0.021, 0.34, around(lift, 0.2), 0.0004, valid
        )

    return (
        rule(("DRYER SHEETS",), "FABRIC SOFTENER", 2.1, valid=True),
        rule(("BLEACH", "PAPER TOWELS"), "DISH DETERGENT", 1.6, valid=True),
        rule(("EGGS",), "MILK", 1.02, valid=False),
        replace(
            rule(("SHAVING CREAM",), "RAZORS", 1.8, valid=True),
            mode="next_purchase",
            kind="cross_category",
            median_days=23.0,
            customers=8,
        ),
    )
