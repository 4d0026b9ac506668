"""What stands below return curves: what to see in them, the same for those who cannot see, and how many customers they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from segmentor.report.names import called, cut, name
from segmentor.report.numbers import PERCENT, count, quantity
from segmentor.report.saying import say
from segmentor.report.words import excludes, share_back, since, verdict_pair
from segmentor.result import GroupEffect, Interval, Trial
from segmentor.wording import gettext, pgettext

_LOOKS = 4
"""Days at which customers at risk are told, evenly over the curves."""


def caption(trial: Trial, shown: Sequence[GroupEffect]) -> Markup:
    """What to see in the return curves."""
    sentences = [say("{what}.", what=_seen(trial))]
    ranked = sorted(shown, key=share_back, reverse=True)
    if len(ranked) > 1:
        sentences = [
            say(
                "{what}: by day {day}, {share} of customers are back in {group} and {other_share} in {other_group}.",
                what=_seen(trial),
                day=trial.horizon_days,
                share=quantity(share_back(ranked[0]), PERCENT),
                group=name(ranked[0].name),
                other_share=quantity(share_back(ranked[-1]), PERCENT),
                other_group=name(ranked[-1].name),
            )
        ]
    start = since(trial)
    if start:
        sentences.append(
            say(
                "The curves are the wait from {date} to the next purchase, one a customer, with those who never came back; mean cycle "
                "and ratio are of the cycles begun from that day on.",
                date=start,
            )
        )
    return Markup(" ").join([*sentences, say("Shaded: 95\N{NO-BREAK SPACE}% interval at each day.")])


def _seen(trial: Trial) -> Markup:
    """What the curves of a split do, as far as its verdict lets one say so."""
    pair = verdict_pair(trial)
    match trial.verdict:
        case "separates" if pair is not None and not excludes(pair.share_difference, 0.0):
            sooner = pair.first if (pair.ratio.estimate or 1.0) > 1 else pair.second
            return say("The curve of {group} rises sooner", group=name(sooner))
        case "separates":
            return say("The curves part")
        case "equivalent":
            return say("The curves run together")
        case "inconclusive" if trial.reasons[:1] not in (("not significant",), ("not promoted",)):
            return say("The curves differ, which is not enough here")
        case "inconclusive":
            return say("The curves may differ by chance alone")
    return say("The curves are shown as they are and were not compared")


def in_words(group: GroupEffect) -> str:
    """A return curve in words, for those who cannot see it."""
    points = [(share.day, share.share.estimate) for share in group.shares_back]
    if group.curve is not None and group.curve.days[-1] not in [at for at, _ in points]:
        points.append((group.curve.days[-1], group.curve.share_back[-1]))
    steps = [gettext("{share} by day {day}").format(share=quantity(share, PERCENT), day=at) for at, share in points]
    return gettext("{group}: {steps} are back.").format(
        group=cut(called(group.name), 60), steps=pgettext("between names", ", ").join(steps)
    )


def days_at_risk(groups: Sequence[GroupEffect]) -> list[int]:
    """Days at which customers at risk are told: those at which all curves were read, evenly spread, the last one among them."""
    read = [set(group.curve.days) for group in groups if group.curve is not None]
    shared = sorted(set.intersection(*read) - {0}) if read else []
    step = max(len(shared) / _LOOKS, 1.0)
    return [shared[round(step * look) - 1] for look in range(1, _LOOKS + 1) if round(step * look) <= len(shared)]


def at_risk(group: GroupEffect, by_day: int, *, step: int) -> str:
    """Customers of whom a cycle was still open and watched on a day, so roughly that two days tell of no single customer.

    Args:
        group: With its curve.
        by_day: A day at which the curve was read.
        step: The number is told to the nearest multiple of it; one below it is hidden.
    """
    found = 0 if group.curve is None else group.curve.at_risk[group.curve.days.index(by_day)]
    if found < step:
        return gettext("fewer than {number}").format(number=step)
    return count(round(found / step) * step)


def return_days(groups: Sequence[GroupEffect]) -> list[int]:
    """Days by which shares back are given for some group."""
    return sorted({share.day for group in groups for share in group.shares_back})


def share_by(group: GroupEffect, by_day: int) -> Interval | None:
    """Share of a group back by a day."""
    return next((share.share for share in group.shares_back if share.day == by_day), None)
