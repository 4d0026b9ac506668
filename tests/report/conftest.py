"""Results as runs would leave them: a detergent shop, one where nothing separates, one that cannot be tested, a hostile one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from segmentor.report import render_report
from segmentor.result import (
    Comparability,
    CrossSellRule,
    Curve,
    CycleSummary,
    GroupEffect,
    InputQuality,
    Interval,
    PairEffect,
    Quality,
    Rule,
    RunResult,
    ScoreTest,
    SeedVerdict,
    Segment,
    ShareBack,
    SplitTest,
    Trial,
    Verdict,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><style>*{color:red}",
    "{{7*7}}",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "=cmd|'/c calc'!A1",
    "$\\frac{1}{2}$ & <!--<script>",
    "香水 🌸 javascript:alert(1)",
    'x" onmouseover="alert(1)\x1b]0;\x00',
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
        quality=quality(("1.2 % of the quantities are zero; such lines count as purchases.",)),
        trials=(_form(), _brand(), _size(), _circular()),
        ledger=(),
        segments=_segments(),
        rules=_rules(),
        min_cell=10,
        versions={"duckdb": "2.0.1", "python": "3.11.9", "segmentor": "0.1.0"},
    )


@pytest.fixture(scope="session")
def nothing_separates(laundry: RunResult) -> RunResult:
    """A shop in which the one split asked about was shown not to matter."""
    return replace(
        laundry,
        experiment="eggs",
        title="Eggs: Large against X-Large",
        trials=(replace(_form(), split="grade"),),
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
        segments=(everyone(),),
        rules=None,
    )


@pytest.fixture(scope="session")
def hostile(laundry: RunResult) -> RunResult:
    """A shop in which every name is an attack."""
    groups = tuple(_group(text, 0.5 + index / 40, 40, 300) for index, text in enumerate(HOSTILE))
    attacked = replace(
        _size(),
        split=HOSTILE[0],
        sentence=" ".join(HOSTILE),
        restate=HOSTILE[1],
        reasons=tuple(HOSTILE),
        definition=tuple((text, text) for text in HOSTILE),
        groups=groups,
        pairs=(replace(_size().pairs[0], first=HOSTILE[0], second=HOSTILE[1]),),
        known=HOSTILE[0],
    )
    rule = _rules()[0]
    return replace(
        laundry,
        title=HOSTILE[0],
        experiment=HOSTILE[1],
        config={"cycle": {"purchase": HOSTILE[1]}, HOSTILE[0]: list(HOSTILE)},
        trials=(attacked, *(replace(attacked, split=text, groups=groups[:2]) for text in HOSTILE[1:])),
        segments=tuple(
            Segment(f"s{i}", text, "all", (Rule(text, text, text, text),), 500, 0.5, 40.0, 120, (20, 60), text)
            for i, text in enumerate(HOSTILE)
        ),
        rules=tuple(replace(rule, antecedent=(text, HOSTILE[1]), consequent=text, segment=text) for text in HOSTILE),
        quality=replace(
            quality(tuple(HOSTILE)), inputs={HOSTILE[0]: InputQuality(3, 1, 1, 1, {HOSTILE[1]: 1}, HOSTILE[2])}
        ),
        versions={HOSTILE[0]: HOSTILE[1]},
    )


@pytest.fixture(scope="session")
def pages(
    laundry: RunResult, nothing_separates: RunResult, untestable: RunResult, hostile: RunResult
) -> dict[str, str]:
    """The page of each shop, by its name."""
    shops = {"laundry": laundry, "nothing separates": nothing_separates, "untestable": untestable, "hostile": hostile}
    return {name: render_report(shop) for name, shop in shops.items()}


def config(purchase: str | None) -> dict[str, object]:
    """A config as a run resolves it."""
    return {
        "cycle": {"merge_within_days": 1, "purchase": purchase},
        "data": {"engine": "duckdb", "timezone": "America/New_York"},
        "trial": {"level": 0.05, "minimum_effect": 0.1, "minimum_share": 0.05, "return_days": [30, 60, 90]},
    }


def quality(warnings: tuple[str, ...] = ()) -> Quality:
    """Inputs and cycles whose accounts are right."""
    return Quality(
        inputs={
            "transactions": InputQuality(
                1_469_307, 1_468_120, 0, 1_187, {"missing customer": 1_100, "unreadable date": 87}, "b1946ac9"
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
        reasons=("significant and large enough",),
        sentence="Customers who start with small packages come back more often and sooner than those who start with large ones.",
        no_follow_up=4,
        comparability=Comparability(0.97, (), ()),
        horizon_days=HORIZON_DAYS,
        tau_days=HORIZON_DAYS,
        pairs=(_pair(small, large, separated=True, equivalent=False, half=0.068),),
        verdict_pair=0,
        test=_test(0.00031, 0.0000004),
        p_adjusted=0.00093,
        same_direction=True,
        other_seeds=_seeds("separates", "separates", "separates", "inconclusive", "separates"),
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
        reasons=("within the margins",),
        sentence="Buyers of liquid and of powder come back alike.",
        pairs=(_pair(liquid, powder, separated=False, equivalent=True, half=0.03),),
        test=_test(0.71, 0.012),
        p_adjusted=0.71,
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
        sentence="Brands may differ in how many customers come back, but not by more than chance could do.",
        pairs=pairs,
        verdict_pair=5,
        test=_test(0.083, 0.0004, "permutation", 7),
        p_adjusted=0.17,
        customers_needed=5_400,
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
        sentence="Who has only ever bought small packages is known only afterwards, and follows from how often they bought.",
        restate="Ask with `known: first_purchase`, or with `known: {until: 2017-06-30}`.",
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
            "Package size separates (ratio 1.18).",
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
