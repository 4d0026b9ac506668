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
    probability,
    quantity,
    span,
)
from segmentor.report.rule_figures import MOST_ARROWS, Matrix
from segmentor.report.saying import say, say_many
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import OFFERS
from segmentor.report.words import few, level, setting
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, Bundle, CrossSellRule, Interval, RuleInSegment, RunResult, Worth
from segmentor.wording import gettext, marked_many, pgettext

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


def ranking(rules: Sequence[CrossSellRule]) -> Markup:
    """What ranked rules begin with, in a sentence."""
    if any(rule.worth is not None and _is_known(rule.worth.amount) for rule in rules):
        return say("First comes what could bring the most money.")
    if any(rule.worth is not None and _is_known(rule.worth.orders) for rule in rules):
        return say("First comes what could bring the most orders.")
    return say("First comes what goes furthest beyond habit.")


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
    parts = _offered(rule, result, counts, kind=kind), _could_bring(rule, result, counts), _where(rule, result, counts)
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


def when(rule: CrossSellRule) -> Markup:
    """When the consequent is bought."""
    if rule.mode == "same_occasion":
        return say("on the same occasion")
    if rule.median_days is None:
        return say("at a later purchase")
    half = quantity(rule.median_days, DAYS)
    if rule.most_days is None:
        return say("later, half within {half}", half=half)
    return say(
        "later, half within {half}, 80\N{NO-BREAK SPACE}% within {most}", half=half, most=quantity(rule.most_days, DAYS)
    )


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
                    _said(each, counts),
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
            say("{share} more", share=quantity(each.break_even - 1, PERCENT)),
        )
        for each in sets
    ]


def discounted(result: RunResult) -> Markup:
    """What the price of a bundle is at the discount that is asked about: ``Price at 5 % off``."""
    share = setting(result, "cross_sell", "bundle_discount")
    if not isinstance(share, float):
        return say("Price with the discount")
    return say("Price at {discount} off", discount=quantity(share, PERCENT))


def title(rule: CrossSellRule) -> Markup:
    """A rule in short: ``face cream, then serum``."""
    bought, offered = names(rule.antecedent), name(rule.consequent)
    if rule.mode == "same_occasion":
        return say("{bought} with {offered}", bought=bought, offered=offered)
    return say("{bought}, then {offered}", bought=bought, offered=offered)


def title_in_segments(rule: CrossSellRule) -> Markup:
    """The same, with how sure it is that its lift differs between segments."""
    if rule.p_segments_adjusted is None:
        return title(rule)
    p = probability(rule.p_segments_adjusted, "p")
    return say("{rule}; that segments differ: {p}, adjusted", rule=title(rule), p=p)


def matrix_caption(matrices: Sequence[Matrix]) -> Markup:
    """What to see in the matrices."""
    strongest = max((matrix.strongest for matrix in matrices), key=lambda rule: rule.lift.estimate or 0.0)
    seen = [
        say(
            "Down what is bought, across what to offer: so many times as often as by habit, the stronger the colour, the more. "
            "{rule} stands out, {times} as often. A cell without a number is no rule.",
            rule=title(strongest),
            times=quantity(strongest.lift.estimate, TIMES),
        )
    ]
    if left_out := sum(matrix.left_out for matrix in matrices):
        seen.append(
            say_many(
                "{rules} of other items is not drawn.",
                "{rules} of other items are not drawn.",
                left_out,
                rules=count(left_out, "rule", "rules"),
            )
        )
    return Markup(" ").join(seen)


def arrows_caption(rules: Sequence[CrossSellRule]) -> Markup:
    """What to see in the arrows of the first rules."""
    drawn = rules[:MOST_ARROWS]
    seen = [say("An arrow leads from what is bought to what to offer; the wider, the further beyond habit.")]
    if len(drawn) < len(rules):
        of = count(len(rules), "offer", "offers")
        seen.insert(0, say("The first {number} of {offers}.", number=len(drawn), offers=of))
    offered = Counter(rule.consequent for rule in drawn)
    most, times = max(offered.items(), key=lambda each: (each[1], each[0]))
    if times > 1:
        seen.append(say("Most lead to {item}: {times} do.", item=name(most), times=times))
    return Markup(" ").join(seen)


def speed_caption(rules: Sequence[CrossSellRule]) -> Markup:
    """What to see in the curves of how soon the consequent comes."""
    seen = [
        say(
            "Solid: of customers new to it, the share who have bought it by each day after the first purchase. Dashed: as many as "
            "would have by habit. Where the lines part, an offer is in time. Upright: half of those who come in these days have come."
        )
    ]
    timed = sorted((round(rule.median_days), *_sides(rule), rule) for rule in rules if rule.median_days is not None)
    if timed:
        days, *_, soonest = timed[0]
        half = quantity(days, DAYS)
        if days < timed[-1][0] or len(timed) == 1:
            seen.append(say("{rule} comes soonest, half within {half}.", rule=title(soonest), half=half))
        else:
            seen.append(say("In each, that is within {half}.", half=half))
    return Markup(" ").join(seen)


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
        say("seldom") if rule.repeat_days is None else say("half within {half}", half=quantity(rule.repeat_days, DAYS)),
    )


def _offered(rule: CrossSellRule, result: RunResult, counts: Counts, *, kind: bool) -> Markup:
    """What to offer, to whom and when, and how soon those come who come."""
    days = within(result)
    lately = say("lately") if days is None else say("in the last {days}", days=quantity(days, DAYS))
    item, bought = name(rule.consequent), names(rule.antecedent)
    what = item
    if kind and rule.kind in OFFERS:
        what = say("{item}, {kind},", item=item, kind=say(OFFERS[rule.kind]))
    whom = say("customers")
    if rule.segment != EVERYBODY:
        whom = say("customers of {segment}", segment=name(rule.segment))
    reach = counts(rule.worth.reachable) if rule.worth is not None and rule.worth.reachable else ""
    told = {"what": what, "bought": bought, "whom": whom, "lately": lately, "reach": reach, "item": item}
    if rule.mode == "same_occasion":
        if not reach:
            return say("Offer {what} with {bought}, on the same occasion, to {whom} who have never bought it.", **told)
        return say(
            "Offer {what} with {bought}, on the same occasion, to {whom} who have never bought it ({reach} of them bought {bought} "
            "{lately}).",
            **told,
        )
    if len(rule.antecedent) > 1:
        told["bought"] = say("{items} on one occasion", items=bought)
    offer = say("Offer {what} to {whom} who bought {bought} {lately} and never {item}", **told)
    if reach:
        offer = say("Offer {what} to {whom} who bought {bought} {lately} and never {item} ({reach} reachable)", **told)
    if rule.median_days is None:
        return say("{offer}.", offer=offer)
    half = quantity(rule.median_days, DAYS)
    if rule.most_days is None:
        return say("{offer}: half of those who come for it do so within {half}.", offer=offer, half=half)
    return say(
        "{offer}: half of those who come for it do so within {half}, most (80\N{NO-BREAK SPACE}%) within {most}.",
        offer=offer,
        half=half,
        most=quantity(rule.most_days, DAYS),
    )


def _could_bring(rule: CrossSellRule, result: RunResult, counts: Counts) -> Markup:
    """What an offer could bring, and how strong the rule is."""
    worth, lift = _worth(rule.worth, within(result), counts), rule.lift
    if lift.estimate is None:
        return say("{worth}.", worth=worth)
    times = _with_bounds(quantity(lift.estimate, RATIO), lift, RATIO)
    if rule.mode == "same_occasion":
        return say("{worth}; they are bought together {times} times as often as by habit.", worth=worth, times=times)
    return say("{worth}; customers come for it {times} times as often as by habit.", worth=worth, times=times)


def _worth(worth: Worth | None, days: int | None, counts: Counts) -> Markup:
    """What an offer could bring."""
    if worth is None or worth.orders.estimate is None:
        return say("What it could bring is not known")
    if not worth.reachable:
        return say("Nobody can be reached at present")
    if worth.reachable < counts.min_cell:
        return say("They are too few to tell what it could bring")
    strong = Markup("<strong>{}</strong>").format(quantity(worth.orders.estimate, _ORDERS))
    orders, time = _with_bounds(strong, worth.orders, _NUMBER), quantity(days, DAYS)
    if worth.amount is None or worth.amount.estimate is None:
        if days is None:
            return say("It could bring {orders}", orders=orders)
        return say("It could bring {orders} in the next {days}", orders=orders, days=time)
    # Money to three digits.
    amount = quantity(float(f"{worth.amount.estimate:.3g}"), _NUMBER)
    if days is None:
        return say("It could bring {orders}, about {amount} in money", orders=orders, amount=amount)
    return say(
        "It could bring {orders}, about {amount} in money, in the next {days}", orders=orders, amount=amount, days=time
    )


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
        return say(
            "It holds in {segments}; it was not shown in {others}.",
            segments=listed(few(of[True], most=4)),
            others=listed(few(of[False], most=4)),
        )
    if len(told) > 1 and of[True]:
        return say("It is stronger in {strongest} than in {weakest}.", strongest=of[True][0], weakest=of[True][-1])
    return say("It differs between segments, and was shown in none of them alone.") if told else Markup("")


def _in_segment(each: RuleInSegment) -> Markup:
    return say("{segment} ({times})", segment=name(each.segment), times=quantity(each.lift.estimate, TIMES))


def _said(each: RuleInSegment, counts: Counts) -> str:
    """What is said of a rule in a segment."""
    if not _tells(each, counts):
        return gettext("too few to tell")
    return pgettext("rule in a segment", "holds") if each.holds else pgettext("rule in a segment", "not shown")


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


def _with_bounds(number: str, interval: Interval, unit: Unit) -> Markup:
    """A number with the bounds of its interval, where there are such: ``3.02 (2.90 to 3.14)``."""
    bounds = span(interval, unit).replace(" ", NO_BREAK)
    return say("{number} ({bounds})", number=number, bounds=bounds) if bounds else escape(number)


def _is_known(interval: Interval | None) -> bool:
    return interval is not None and interval.estimate is not None
