"""What goes with what, what is bought next, and what sells as a set: plain records."""

from __future__ import annotations

from dataclasses import dataclass

from segmentor.result.trial import Interval


@dataclass(frozen=True, slots=True)
class NextCurve:
    """How soon the consequent is first bought after the antecedent, day by day.

    Attributes:
        share: Of customers new to the consequent, the share who have bought it by day 0, 1, ..., ``within_days``; ``None`` on days
            when nobody was observed any more.
        usual: The same had the antecedent nothing to do with it.
    """

    share: tuple[float | None, ...]
    usual: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Worth:
    """What an offer of the consequent would bring in the next ``within_days``, did it work as the antecedent does by itself.

    Attributes:
        reachable: Customers who bought the whole antecedent on one occasion within the last ``within_days``, and never the consequent.
        orders: Extra orders with the consequent: beyond those expected of the same customers without the rule. Of a next purchase
            the reachable customers x confidence x (1 - 1 / lift); of the same occasion that x the occasions with the antecedent of such
            a customer in ``within_days``, as they were one such time earlier. The interval is that of the expected number.
        amount: The same in money; ``None`` where amounts are not known.
    """

    reachable: int
    orders: Interval
    amount: Interval | None


@dataclass(frozen=True, slots=True)
class RuleInSegment:
    """A rule among the customers of one segment.

    Attributes:
        segment: Name of the segment.
        customers: Customers of confirmation in it who have done both.
        lift: Among them; bounds are ``None`` where too few have done both for an interval.
        holds: Whether its whole interval lies above 1.
    """

    segment: str
    customers: int
    lift: Interval
    holds: bool


@dataclass(frozen=True, slots=True)
class CrossSellRule:
    """An association rule promoted in discovery and tested in confirmation.

    Attributes:
        antecedent: Items, sorted.
        consequent: One item.
        kind: ``attach``, ``upsell``, ``lateral`` or ``cross_category``.
        mode: ``same_occasion`` or ``next_purchase``.
        segment: Where it was tried; ``all``.
        customers: Customers with both, in both halves.
        support: Share of confirmation occasions that hold all items.
        confidence: Share of confirmation occasions with the antecedent that hold the consequent.
        lift: Observed over what the same customers' habits, the month and the size of the trip lead to expect, confirmation
            half; clustered by customer.
        p_confirmation_adjusted: Holm-adjusted over the promoted rules.
        valid: Significant, lift above 1, and better than its shorter rules.
        median_days: From antecedent to consequent, of those who come within the days; ``None`` for the same occasion.
        most_days: Day by which 80 % of them have come; ``None`` for the same occasion.
        curve: How soon the consequent comes; ``None`` for the same occasion, and for rules that are not valid.
        leverage: Support beyond that of independent sides; ``None`` where not counted.
        conviction: How often a rule of independent sides would fail, over how often this one does; ``None`` where it never fails.
        worth: What acting on it could bring; ``None`` for rules that are not valid, and for a valid one of the same occasion where
            the history is too short to tell how often its antecedent will be bought: less than twice ``within_days``, or nobody who
            could have been reached that long ago.
        segments: The rule in each segment; empty where there is one segment, and for rules that are not valid.
        p_segments_adjusted: Whether its lift differs between segments, Holm-adjusted over the valid rules; ``None`` likewise.
        repeat_days: Median days until the consequent is bought again, open gaps censored; ``None`` where fewer than half of its
            purchases were seen to be followed by another: then whoever has it needs no offer of it.
    """

    antecedent: tuple[str, ...]
    consequent: str
    kind: str
    mode: str
    segment: str
    customers: int
    support: float
    confidence: float
    lift: Interval
    p_confirmation_adjusted: float
    valid: bool
    median_days: float | None = None
    most_days: float | None = None
    curve: NextCurve | None = None
    leverage: float | None = None
    conviction: float | None = None
    worth: Worth | None = None
    segments: tuple[RuleInSegment, ...] = ()
    p_segments_adjusted: float | None = None
    repeat_days: float | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Two to four items that were tried as a bundle: do they sell together beyond what their pairs explain?

    Attributes:
        items: Sorted.
        customers: Customers with an occasion that holds them all, both halves.
        lift: Confirmation. Of two items that of their rule; of more the smallest over the items: how many times as often the item is
            bought with all the others together as what each of them by itself explains.
        p_confirmation_adjusted: The largest over the items, Holm-adjusted over the sets promoted; of two items that of their rule.
        valid: Significant, and the whole interval of the lift above 1.
        orders_a_year: Occasions a year that hold them all, both halves.
        price: Money for one of each, at the median price paid a piece; ``None`` where amounts are not known.
        usual_discount: Mean share of discount in the price of its items on these occasions; ``None`` where discounts are not known.
        bundle_price: The price less ``bundle_discount``; ``None`` where amounts are not known.
        margin_an_order: Money left of the bundle price at ``margin``; ``None`` likewise.
        break_even: How many times as many orders there must be for the discount to earn itself back.
    """

    items: tuple[str, ...]
    customers: int
    lift: Interval
    p_confirmation_adjusted: float
    valid: bool
    orders_a_year: float
    price: float | None
    usual_discount: float | None
    bundle_price: float | None
    margin_an_order: float | None
    break_even: float
