"""The answer of a run in three sentences: what separates, what does not, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from segmentor.report.ledger import Sieve, sieves
from segmentor.report.names import either, listed, name
from segmentor.report.numbers import DAYS, PERCENT, POINTS, count, quantity
from segmentor.report.vocabulary import NOTHING_SEPARATES, VERDICTS
from segmentor.report.words import (
    but_see,
    column,
    excludes,
    few,
    is_echo,
    seen_elsewhere,
    setting,
    share_back,
    since,
    titled,
    tree_first,
    verdict_pair,
    was_asked,
    within_segment,
)
from segmentor.result import GroupEffect, RunResult, Trial, Verdict


def answers(result: RunResult) -> list[tuple[Verdict | None, Markup]]:
    """The answer in three sentences: what separates, what does not, and what cannot be told.

    Returns:
        Each with the verdict that it is about, or ``None`` where no split has it.
    """
    by_verdict: dict[Verdict, list[Trial]] = {verdict: [] for verdict in VERDICTS}
    for trial in tree_first(result):
        by_verdict[trial.verdict].append(trial)
    separating = [trial for trial in by_verdict["separates"] if trial.explained_by is None]
    unsure = by_verdict["inconclusive"] + by_verdict["untestable"]
    repeating = [trial for trial in by_verdict["separates"] + unsure if trial.explained_by is not None]
    alike = by_verdict["equivalent"]
    unsure = [trial for trial in unsure if trial.source == "declared" or trial.explained_by is None]
    still_open = [trial for trial in unsure if was_asked(trial)]
    tested = len(result.trials) > len(by_verdict["untestable"])
    return [
        (
            "separates" if separating else None,
            Markup(" ").join([_what_separates(separating, tested=tested), *_what_repeats(repeating)]),
        ),
        ("equivalent" if alike else None, _what_does_not(alike, result)),
        (
            still_open[0].verdict if still_open else "inconclusive" if unsure else None,
            _what_is_open(still_open, result, others=len(unsure) - len(still_open)),
        ),
    ]


def _what_repeats(trials: Sequence[Trial]) -> list[Markup]:
    """How many splits differ only because they repeat another; the declared among them by name."""
    said = []
    for repeated in dict.fromkeys(trial.explained_by for trial in trials):
        own = [trial for trial in trials if trial.explained_by == repeated]
        declared = [name(trial.split) for trial in own if trial.source == "declared"]
        among = Markup(" (among them {})").format(listed(few(declared))) if declared else ""
        said.append(
            Markup("{} more{} {} only because {} <strong>{}</strong>.").format(
                count(len(own)), among, *_verbs(own, "differs", "it repeats"), name(repeated or "")
            )
        )
    return said


def _what_separates(trials: Sequence[Trial], *, tested: bool) -> Markup:
    if not trials:
        return escape(NOTHING_SEPARATES if tested else "Nothing is known to separate, for nothing could be tested.")
    effects = [_effect(trial) for trial in trials[:2]]
    if len(trials) == 1:
        return Markup("{} tells {}: {}.").format(_splits(trials), _tells(trials[0]), effects[0])
    of_each = [
        Markup("by {}, {}").format(within_segment(name(trial.split), trial), effect)
        for trial, effect in zip(trials, effects, strict=False)
    ]
    return Markup("{} tell who comes back, or how soon: {}.").format(_splits(trials), Markup("; ").join(of_each))


def _tells(trial: Trial) -> str:
    """Which of the two effects the split shows."""
    pair = verdict_pair(trial)
    sooner = pair is not None and excludes(pair.ratio, 1.0)
    more = pair is not None and excludes(pair.share_difference, 0.0)
    if sooner and not more:
        return "how soon customers come back"
    return "how many customers come back" if more and not sooner else "who comes back, and how soon"


def _what_does_not(trials: Sequence[Trial], result: RunResult) -> Markup:
    elsewhere = seen_elsewhere(result)
    never = [trial for trial in trials if column(trial) not in elsewhere]
    sentences = []
    if never:
        one = len(never) == 1
        sentences.append(
            Markup("{} {} not matter: customers of {} groups come back alike{}. Do not segment on {}.").format(
                _splits(never),
                "does" if one else "do",
                "its" if one else "their",
                _margins(result),
                "it" if one else "them",
            )
        )
    sentences += [
        Markup("<strong>{}</strong> does not matter, but {}.").format(titled(trial), but_see(elsewhere[column(trial)]))
        for trial in trials
        if trial.source == "declared" and column(trial) in elsewhere
    ]
    return Markup(" ").join(sentences) or Markup("No split was shown not to matter.")


def _what_is_open(trials: Sequence[Trial], result: RunResult, *, others: int) -> Markup:
    sentences = []
    if not trials and not others:
        sentences.append(Markup("No question was left open."))
    unknown = [trial for trial in trials if trial.verdict == "inconclusive" and not is_echo(trial)]
    if unknown:
        found = [
            Markup("<strong>{}</strong>{}").format(within_segment(name(trial.split), trial), _needed(trial))
            for trial in unknown
        ]
        sentences.append(
            Markup("It cannot be told yet whether {} {}.").format(either(few(found)), _verbs(unknown, "matters")[0])
        )
    if others:
        sentences.append(
            Markup("{} did not stand out, and may matter all the same.").format(
                count(others, "more candidate" if trials else "candidate")
            )
        )
    untested = [trial for trial in trials if trial.verdict == "untestable"]
    if untested:
        sentences.append(Markup("{} could not be tested; see below how to ask again.").format(_splits(untested)))
    echoes = [trial for trial in trials if is_echo(trial)]
    if echoes:
        sentences.append(
            Markup("{} {} how often and how recently customers had bought before, and nothing more.").format(
                _splits(echoes), "repeats" if len(echoes) == 1 else "repeat"
            )
        )
    if result.search is not None:
        sentences.append(_searched(result))
    return Markup(" ").join(sentences)


def _searched(result: RunResult) -> Markup:
    everybody, within = sieves(result)
    tried = count(everybody.tried, "candidate", "candidates")
    if not everybody.promoted and not within.promoted:
        return Markup("None of {} that the data suggested stood out enough for a confirming test.").format(tried)
    said = f"{tried} that the data suggested, {_sifted(everybody)}"
    if within.promoted:
        said += f"; of {count(within.tried)} tried within segments, {_sifted(within)}"
    return escape(f"Of {said}.")


def _sifted(sieve: Sieve) -> str:
    confirmed = count(sieve.confirmed) if sieve.confirmed else "none"
    verb = "separate" if sieve.confirmed > 1 else "separates"
    return f"{count(sieve.promoted)} had a confirming test, and {confirmed} {verb} there"


def _verbs(things: Sequence[object], *singular: str) -> list[str]:
    """Verbs for one thing or for several: ``it repeats``, ``they repeat``."""
    return [each if len(things) == 1 else each.removesuffix("s").replace("it ", "they ") for each in singular]


def _splits(trials: Sequence[Trial]) -> Markup:
    first, *others = trials
    named = [titled(first), *(within_segment(name(other.split), other) for other in others)]
    return listed(few([Markup("<strong>{}</strong>").format(each) for each in named]))


def _effect(trial: Trial) -> Markup:
    pair = verdict_pair(trial)
    if pair is None or trial.horizon_days is None:
        return Markup("its groups differ")
    groups = [group for group in trial.groups if group.name in (pair.first, pair.second)]
    first, second = (
        Markup("{} of {}{}{}").format(
            quantity(share_back(group), PERCENT), name(group.name), verb, _after(group, trial)
        )
        for group, verb in zip(groups, (" are back", ""), strict=True)
    )
    start = since(trial)
    return Markup("within {}{}, {}, and {}").format(
        quantity(trial.horizon_days, DAYS), f" of {start}" if start else "", first, second
    )


def _after(group: GroupEffect, trial: Trial) -> str:
    if group.mean_cycle_days is None or group.mean_cycle_days.estimate is None:
        return ""
    days = f"{quantity(group.mean_cycle_days.estimate, DAYS)} on average"
    return f", with cycles of {days} since" if since(trial) else f", after {days}"


def _needed(trial: Trial) -> str:
    if trial.customers_needed is None:
        return ""
    months = (
        f", or about {count(trial.months_needed, 'month', 'months')} more," if trial.months_needed is not None else ""
    )
    return f" (about {count(trial.customers_needed, 'customer', 'customers')} in all{months} would decide it)"


def _margins(result: RunResult) -> str:
    effect, share = setting(result, "trial", "minimum_effect"), setting(result, "trial", "minimum_share")
    if not isinstance(effect, float) or not isinstance(share, float):
        return ""
    return f", to within {quantity(effect, PERCENT)} of the cycle and {quantity(share, POINTS)} of the share back"
