"""Cross-sell for a shop: each rule as one line of words (what, to whom, when, worth), rules and bundles as rows of tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup, escape

from segmentor.report.names import listed, name, names
from segmentor.report.numbers import (
    DAYS,
    NO_BREAK,
    NOTHING,
    PERCENT,
    RATIO,
    TIMES,
    Unit,
    count,
    estimate,
    quantity,
    span,
)
from segmentor.report.rule_figures import MOST_ARROWS, Matrix
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import OFFERS
from segmentor.report.words import few, level, setting
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, Bundle, CrossSellRule, Interval, RuleInSegment, RunResult
from segmentor.wording import marked_many

MOST_OFFERS = 10
"""Lines of words that are seen at once; more are folded away."""

MOST_SEGMENTS = 8
"""Segments that a rule is shown in, the largest."""

_ORDERS = Unit(*marked_many("{digits}\N{NO-BREAK SPACE}more order", "{digits}\N{NO-BREAK SPACE}more orders"))
_NUMBER = Unit()
_PRICE = Unit(decimals=2)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in numbers.

    Attributes:
        antecedent: What was bought.
        consequent: What is offered.
        when: On the same occasion, or how soon after.
        confidence: Of the occasions with the antecedent, the share that hold, or are followed by, the consequent.
        lift: Beyond habit.
        customers: Who did both.
        reachable: Whom the offer reaches.
        orders: How many more could come.
        amount: The same in money.
        again: How soon the consequent is bought again.
    """

    antecedent: Markup
    consequent: Markup
    when: str
    confidence: str
    lift: Markup
    customers: str
    reachable: str
    orders: Markup
    amount: Markup
    again: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A rule among the customers of one segment; no lift where they are too few to tell of."""

    segment: Markup
    customers: str
    lift: Markup
    holds: str


@dataclass(frozen=True, slots=True)
class BundleRow:
    """A set in numbers.

    Attributes:
        items: Its items.
        together: How strongly it sells together.
        orders: Occasions a year that hold it.
        price: Money for one of each.
        discount: Usual share of discount on these occasions.
        offered: Price of the bundle.
        margin: Money left of it.
        needed: How many more orders the discount needs to earn itself back.
    """

    items: Markup
    together: Markup
    orders: str
    price: str
    discount: str
    offered: str
    margin: str
    needed: str


def ranked(rules: Iterable[CrossSellRule], *, min_cell: int) -> list[CrossSellRule]:
    """Valid rules for action: by the money that they could bring, where it is not known by the orders, else by their lift.

    Args:
        rules: Rules, valid or not.
        min_cell: Offers that reach fewer customers come last.
    """
    return sorted((rule for rule in rules if rule.valid), key=partial(_usefulness, min_cell=min_cell))


def ranking(rules: Sequence[CrossSellRule]) -> str:
    """What ranked rules begin with."""
    if any(rule.worth is not None and _is_known(rule.worth.amount) for rule in rules):
        return "what could bring the most money"
    if any(rule.worth is not None and _is_known(rule.worth.orders) for rule in rules):
        return "what could bring the most orders"
    return "what goes furthest beyond habit"


def rejected(rules: Iterable[CrossSellRule]) -> list[CrossSellRule]:
    """Rules that did not hold, those first that came nearest."""
    return sorted(
        (rule for rule in rules if not rule.valid), key=lambda rule: (-(rule.lift.ci_low or 0.0), _sides(rule))
    )


def offer(rule: CrossSellRule, result: RunResult, counts: Counts, *, kind: bool = True) -> Markup:
    """A valid rule in one line of words: what to offer, to whom, when, and what it could bring.

    Args:
        rule: The rule.
        result: The run, for its settings.
        counts: How customers are counted on the page.
        kind: Whether to say what the offer is to what was bought.
    """
    days = within(result)
    lately = "lately" if days is None else f"in the last {quantity(days, DAYS)}"
    bought, offered = names(rule.antecedent), name(rule.consequent)
    what = Markup("Offer {}{}").format(offered, f", {OFFERS[rule.kind]}," if kind and rule.kind in OFFERS else "")
    whom = "customers" if rule.segment == EVERYBODY else Markup("customers of {}").format(name(rule.segment))
    reach = _reach(rule, counts)
    if rule.mode == "same_occasion":
        known = Markup(" ({} of them bought {} {})").format(reach, bought, lately) if reach else Markup("")
        said = Markup("{} with {}, on the same occasion, to {} who have never bought it{}.").format(
            what, bought, whom, known
        )
    else:
        known = Markup(" ({} reachable)").format(reach) if reach else Markup("")
        together = " on one occasion" if len(rule.antecedent) > 1 else ""
        said = Markup("{} to {} who bought {}{} {} and never {}{}{}.").format(
            what, whom, bought, together, lately, offered, known, _soon(rule)
        )
    parts = said, _could_bring(rule, days, counts), _where(rule, result, counts)
    return Markup(" ").join(part for part in parts if part)


def kinds_differ(rules: Iterable[CrossSellRule]) -> bool:
    """Whether it says something to name the kind of a rule: not where all rules are of one kind, from one category to another."""
    return {rule.kind for rule in rules} != {"cross_category"}


def within(result: RunResult) -> int | None:
    """Days in which a next purchase counts, and for which worth is told."""
    days = setting(result, "cross_sell", "within_days")
    return days if isinstance(days, int) else None


def rows(rules: Iterable[CrossSellRule], counts: Counts) -> list[RuleRow]:
    """Rules in numbers, in the given order."""
    return [_row(rule, counts) for rule in rules]


def when(rule: CrossSellRule) -> str:
    """When the consequent is bought."""
    if rule.mode == "same_occasion":
        return "on the same occasion"
    if rule.median_days is None:
        return "at a later purchase"
    most = "" if rule.most_days is None else f", 80{NO_BREAK}% within {quantity(rule.most_days, DAYS)}"
    return f"later, half within {quantity(rule.median_days, DAYS)}{most}"


def in_segments(rules: Iterable[CrossSellRule], counts: Counts) -> list[tuple[CrossSellRule, list[SegmentRow]]]:
    """Rules that were looked at in segments, with the largest of these."""
    return [
        (
            rule,
            [
                SegmentRow(
                    name(each.segment),
                    counts(each.customers),
                    estimate(each.lift if each.customers >= counts.min_cell else None, TIMES),
                    "too few to tell" if not _tells(each, counts) else "holds" if each.holds else "not shown",
                )
                for each in sorted(rule.segments, key=lambda each: (-each.customers, each.segment))[:MOST_SEGMENTS]
            ],
        )
        for rule in rules
        if rule.segments
    ]


def bundles(result: RunResult, *, valid: bool) -> list[Bundle]:
    """Sets that sell together, or those tried that do not, in the order of the run."""
    return [bundle for bundle in result.bundles or () if bundle.valid == valid]


def bundle_rows(sets: Iterable[Bundle], counts: Counts) -> list[BundleRow]:
    """Sets in numbers, in the given order; of those that few customers bought nothing is told that these decide."""
    return [
        BundleRow(
            names(each.items),
            estimate(each.lift, TIMES),
            quantity(each.orders_a_year if each.customers >= counts.min_cell else None, _NUMBER),
            quantity(each.price, _PRICE),
            quantity(each.usual_discount if each.customers >= counts.min_cell else None, PERCENT),
            quantity(each.bundle_price, _PRICE),
            quantity(each.margin_an_order, _PRICE),
            f"{quantity(each.break_even - 1, PERCENT)} more",
        )
        for each in sets
    ]


def bundle_discount(result: RunResult) -> str:
    """The discount that is asked about, ``5 %``."""
    share = setting(result, "cross_sell", "bundle_discount")
    return quantity(share, PERCENT) if isinstance(share, float) else "the discount"


def title(rule: CrossSellRule) -> Markup:
    """A rule in short: ``face cream, then serum``."""
    joint = " with" if rule.mode == "same_occasion" else ", then"
    return Markup("{}{} {}").format(names(rule.antecedent), joint, name(rule.consequent))


def matrix_caption(matrices: Sequence[Matrix]) -> Markup:
    """What to see in the matrices."""
    strongest = max((matrix.strongest for matrix in matrices), key=lambda rule: rule.lift.estimate or 0.0)
    left_out = sum(matrix.left_out for matrix in matrices)
    rest = (
        f" {count(left_out, 'rule', 'rules')} of other items {'is' if left_out == 1 else 'are'} not drawn."
        if left_out
        else ""
    )
    return Markup(
        "Down what is bought, across what to offer: so many times as often as by habit, the stronger the colour, the more. {} stands out, "
        "{} as often. A cell without a number is no rule.{}"
    ).format(title(strongest), quantity(strongest.lift.estimate, TIMES), rest)


def arrows_caption(rules: Sequence[CrossSellRule]) -> Markup:
    """What to see in the arrows of the first rules."""
    drawn = rules[:MOST_ARROWS]
    first = f"The first {len(drawn)} of {count(len(rules), 'offer', 'offers')}. " if len(drawn) < len(rules) else ""
    offered = Counter(rule.consequent for rule in drawn)
    most, times = max(offered.items(), key=lambda each: (each[1], each[0]))
    leading = Markup(" Most lead to {}: {} do.").format(name(most), times) if times > 1 else ""
    return Markup(
        "{}An arrow leads from what is bought to what to offer; the wider, the further beyond habit.{}"
    ).format(first, leading)


def speed_caption(rules: Sequence[CrossSellRule]) -> Markup:
    """What to see in the curves of how soon the consequent comes."""
    timed = sorted((round(rule.median_days), *_sides(rule), rule) for rule in rules if rule.median_days is not None)
    soonest = Markup("")
    if timed and (timed[0][0] < timed[-1][0] or len(timed) == 1):
        days, *_, rule = timed[0]
        soonest = Markup(" {} comes soonest, half within {}.").format(title(rule), quantity(days, DAYS))
    elif timed:
        soonest = Markup(" In each, that is within {}.").format(quantity(timed[0][0], DAYS))
    return Markup(
        "Solid: of customers new to it, the share who have bought it by each day after the first purchase. Dashed: as many as would "
        "have by habit. Where the lines part, an offer is in time. Upright: half of those who come in these days have come.{}"
    ).format(soonest)


def drawn(rules: Iterable[CrossSellRule], counts: Counts) -> list[CrossSellRule]:
    """Rules whose curve may be shown: one of few customers would tell of single ones."""
    return [rule for rule in rules if rule.curve is not None and rule.customers >= counts.min_cell]


def days_shown(rules: Iterable[CrossSellRule]) -> list[int]:
    """Days for a table of curves: five, about evenly, the last among them."""
    last = max((len(rule.curve.share) - 1 for rule in rules if rule.curve is not None), default=0)
    return sorted({max(round(last * part / 5), 1) for part in range(1, 6)}) if last > 0 else []


def share_by(shares: Sequence[float | None], day: int) -> str:
    """Share who have bought by a day."""
    return quantity(shares[day] if day < len(shares) else None, PERCENT)


def _row(rule: CrossSellRule, counts: Counts) -> RuleRow:
    visible = rule.worth if rule.worth is not None and rule.worth.reachable >= counts.min_cell else None
    return RuleRow(
        names(rule.antecedent),
        name(rule.consequent),
        when(rule),
        quantity(rule.confidence, PERCENT),
        estimate(rule.lift, TIMES),
        counts(rule.customers),
        NOTHING if rule.worth is None else counts(rule.worth.reachable),
        estimate(None if visible is None else visible.orders, _NUMBER),
        estimate(None if visible is None else visible.amount, _NUMBER),
        "seldom" if rule.repeat_days is None else f"half within {quantity(rule.repeat_days, DAYS)}",
    )


def _reach(rule: CrossSellRule, counts: Counts) -> str:
    """How many customers an offer reaches; empty where it reaches nobody, or that was not counted."""
    return counts(rule.worth.reachable) if rule.worth is not None and rule.worth.reachable else ""


def _soon(rule: CrossSellRule) -> str:
    """How soon those come who come."""
    if rule.median_days is None:
        return ""
    most = "" if rule.most_days is None else f", most (80{NO_BREAK}%) within {quantity(rule.most_days, DAYS)}"
    return f": half of those who come for it do so within {quantity(rule.median_days, DAYS)}{most}"


def _could_bring(rule: CrossSellRule, days: int | None, counts: Counts) -> Markup:
    """What an offer could bring, and how strong the rule is."""
    strong = ""
    if rule.lift.estimate is not None:
        often = f"{quantity(rule.lift.estimate, RATIO)}{_bounds(rule.lift, RATIO)} times as often as by habit"
        strong = f"; {_TOGETHER[rule.mode == 'same_occasion']} {often}"
    worth = rule.worth
    if worth is None or worth.orders.estimate is None:
        return escape(f"What it could bring is not known{strong}.")
    if worth.reachable < counts.min_cell:
        why = "They are too few to tell what it could bring" if worth.reachable else "Nobody can be reached at present"
        return escape(f"{why}{strong}.")
    money = "" if worth.amount is None or worth.amount.estimate is None else _in_money(worth.amount.estimate)
    time = "" if days is None else f"{',' if money else ''} in the next {quantity(days, DAYS)}"
    return Markup("It could bring <strong>{}</strong>{}{}{}{}.").format(
        quantity(worth.orders.estimate, _ORDERS), _bounds(worth.orders, _NUMBER), money, time, strong
    )


def _in_money(amount: float) -> str:
    """Money to three digits, as part of a sentence."""
    return f", about {quantity(float(f'{amount:.3g}'), _NUMBER)} in money"


def _where(rule: CrossSellRule, result: RunResult, counts: Counts) -> Markup:
    """For whom the rule holds and for whom not; empty where its lift was not shown to differ between segments."""
    if rule.p_segments_adjusted is None or rule.p_segments_adjusted > level(result):
        return Markup("")
    told = sorted(
        (each for each in rule.segments if _tells(each, counts) and each.segment != NOT_YET_KNOWN),
        key=lambda each: (-(each.lift.estimate or 0.0), each.segment),
    )
    of = {holds: [_in_segment(each) for each in told if each.holds == holds] for holds in (True, False)}
    if of[True] and of[False]:
        return Markup("It holds in {}; it was not shown in {}.").format(
            *(listed(few(of[holds], most=4)) for holds in (True, False))
        )
    if len(told) > 1 and of[True]:
        return Markup("It is stronger in {} than in {}.").format(of[True][0], of[True][-1])
    return Markup("It differs between segments, and was shown in none of them alone.") if told else Markup("")


def _in_segment(each: RuleInSegment) -> Markup:
    return Markup("{} ({})").format(name(each.segment), quantity(each.lift.estimate, TIMES))


def _tells(each: RuleInSegment, counts: Counts) -> bool:
    """Whether the rule's lift in a segment is known and may be shown."""
    return each.customers >= counts.min_cell and _is_known(each.lift) and each.lift.ci_low is not None


def _usefulness(rule: CrossSellRule, *, min_cell: int) -> tuple[float, float, float, tuple[tuple[str, ...], str, str]]:
    """To sort by: what could bring most comes first."""
    worth = rule.worth if rule.worth is not None and rule.worth.reachable >= min_cell else None
    orders, amount = (None, None) if worth is None else (worth.orders, worth.amount)
    return -_at_least(amount), -_at_least(orders), -(rule.lift.ci_low or 0.0), _sides(rule)


def _at_least(interval: Interval | None) -> float:
    """An estimate to sort by; what is not known comes last."""
    return -math.inf if interval is None or interval.estimate is None else interval.estimate


def _sides(rule: CrossSellRule) -> tuple[tuple[str, ...], str, str]:
    return rule.antecedent, rule.consequent, rule.mode


def _bounds(interval: Interval, unit: Unit) -> str:
    bounds = span(interval, unit)
    return f" ({bounds.replace(' ', NO_BREAK)})" if bounds else ""


def _is_known(interval: Interval | None) -> bool:
    return interval is not None and interval.estimate is not None


_TOGETHER = {True: "they are bought together", False: "customers come for it"}
"""What a rule's lift counts, of one on the same occasion, and of one that follows."""
