"""A cross-sell rule as a run would leave it, for tests of what is made of rules; others are this one with other numbers."""

from __future__ import annotations

from segmentor.result import CrossSellRule, Interval, Worth

TOGETHER = CrossSellRule(
    antecedent=("mascara",),
    consequent="lipstick",
    kind="attach",
    mode="same_occasion",
    segment="all",
    customers=3_544,
    support=0.035,
    confidence=0.4,
    lift=Interval(3.017, 2.9, 3.139),
    p_confirmation_adjusted=0.0001,
    valid=True,
    worth=Worth(344, Interval(21.4, 16.0, 27.2), Interval(1_379.0, 1_093.0, 1_492.0)),
    repeat_days=379.0,
)
