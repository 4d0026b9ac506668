"""The answer of a run in three sentences: what separates, what does not, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from segmentor.report.ledger import Sieve, sieves
from segmentor.report.names import either, listed, name
from segmentor.report.numbers import DAYS, PERCENT, POINTS, count, quantity
from segmentor.report.saying import say, say_many
from segmentor.report.vocabulary import NOTHING_SEPARATES, VERDICTS
from segmentor.report.words import (
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
from segmentor.wording import gettext, pgettext


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
        if declared:
            said.append(
                say_many(
                    "{number:,} more (among them {declared}) differs only because it repeats <strong>{split}</strong>.",
                    "{number:,} more (among them {declared}) differ only because they repeat <strong>{split}</strong>.",
                    len(own),
                    declared=listed(few(declared)),
                    split=name(repeated or ""),
                )
            )
        else:
            said.append(
                say_many(
                    "{number:,} more differs only because it repeats <strong>{split}</strong>.",
                    "{number:,} more differ only because they repeat <strong>{split}</strong>.",
                    len(own),
                    split=name(repeated or ""),
                )
            )
    return said


def _what_separates(trials: Sequence[Trial], *, tested: bool) -> Markup:
    if not trials:
        return (
            escape(gettext(NOTHING_SEPARATES))
            if tested
            else say("Nothing is known to separate, for nothing could be tested.")
        )
    effects = [_effect(trial) for trial in trials[:2]]
    if len(trials) == 1:
        return _tells(trials[0], effects[0])
    of_each = [
        say("by {split}, {effect}", split=within_segment(name(trial.split), trial), effect=effect)
        for trial, effect in zip(trials, effects, strict=False)
    ]
    return say(
        "{splits} tell who comes back, or how soon: {effects}.",
        splits=_splits(trials),
        effects=Markup(pgettext("between clauses", "; ")).join(of_each),
    )


def _tells(trial: Trial, effect: Markup) -> Markup:
    """Which of the two effects the split shows, and how large."""
    pair = verdict_pair(trial)
    sooner = pair is not None and excludes(pair.ratio, 1.0)
    more = pair is not None and excludes(pair.share_difference, 0.0)
    split = _splits([trial])
    if sooner and not more:
        return say("{split} tells how soon customers come back: {effect}.", split=split, effect=effect)
    if more and not sooner:
        return say("{split} tells how many customers come back: {effect}.", split=split, effect=effect)
    return say("{split} tells who comes back, and how soon: {effect}.", split=split, effect=effect)


def _what_does_not(trials: Sequence[Trial], result: RunResult) -> Markup:
    elsewhere = seen_elsewhere(result)
    never = [trial for trial in trials if column(trial) not in elsewhere]
    sentences = [_come_back_alike(never, result)] if never else []
    sentences += [
        say(
            "<strong>{split}</strong> does not matter, but see {other}.",
            split=titled(trial),
            other=within_segment(name(elsewhere[column(trial)].split), elsewhere[column(trial)]),
        )
        for trial in trials
        if trial.source == "declared" and column(trial) in elsewhere
    ]
    return Markup(" ").join(sentences) or say("No split was shown not to matter.")


def _come_back_alike(trials: Sequence[Trial], result: RunResult) -> Markup:
    effect, share = setting(result, "trial", "minimum_effect"), setting(result, "trial", "minimum_share")
    if not isinstance(effect, float) or not isinstance(share, float):
        return say_many(
            "{splits} does not matter: customers of its groups come back alike. Do not segment on it.",
            "{splits} do not matter: customers of their groups come back alike. Do not segment on them.",
            len(trials),
            splits=_splits(trials),
        )
    return say_many(
        "{splits} does not matter: customers of its groups come back alike, to within {effect} of the cycle and {share} of the share "
        "back. Do not segment on it.",
        "{splits} do not matter: customers of their groups come back alike, to within {effect} of the cycle and {share} of the share "
        "back. Do not segment on them.",
        len(trials),
        splits=_splits(trials),
        effect=quantity(effect, PERCENT),
        share=quantity(share, POINTS),
    )


def _what_is_open(trials: Sequence[Trial], result: RunResult, *, others: int) -> Markup:
    sentences = []
    if not trials and not others:
        sentences.append(say("No question was left open."))
    unknown = [trial for trial in trials if trial.verdict == "inconclusive" and not is_echo(trial)]
    if unknown:
        sentences.append(
            say_many(
                "It cannot be told yet whether {splits} matters.",
                "It cannot be told yet whether {splits} matter.",
                len(unknown),
                splits=either(few([_unknown(trial) for trial in unknown])),
            )
        )
    if others and trials:
        sentences.append(
            say_many(
                "{number:,}\N{NO-BREAK SPACE}more candidate did not stand out, and may matter all the same.",
                "{number:,}\N{NO-BREAK SPACE}more candidates did not stand out, and may matter all the same.",
                others,
            )
        )
    elif others:
        sentences.append(
            say_many(
                "{number:,}\N{NO-BREAK SPACE}candidate did not stand out, and may matter all the same.",
                "{number:,}\N{NO-BREAK SPACE}candidates did not stand out, and may matter all the same.",
                others,
            )
        )
    untested = [trial for trial in trials if trial.verdict == "untestable"]
    if untested:
        sentences.append(say("{splits} could not be tested; see below how to ask again.", splits=_splits(untested)))
    echoes = [trial for trial in trials if is_echo(trial)]
    if echoes:
        sentences.append(
            say_many(
                "{splits} repeats how often and how recently customers had bought before, and nothing more.",
                "{splits} repeat how often and how recently customers had bought before, and nothing more.",
                len(echoes),
                splits=_splits(echoes),
            )
        )
    if result.search is not None:
        sentences.append(_searched(result))
    return Markup(" ").join(sentences)


def _unknown(trial: Trial) -> Markup:
    """A split that may matter, and what would decide it."""
    split = within_segment(name(trial.split), trial)
    if trial.customers_needed is None:
        return Markup("<strong>{}</strong>").format(split)
    customers = count(trial.customers_needed, "customer", "customers")
    if trial.months_needed is None:
        return say(
            "<strong>{split}</strong> (about {customers} in all would decide it)", split=split, customers=customers
        )
    return say(
        "<strong>{split}</strong> (about {customers} in all, or about {months} more, would decide it)",
        split=split,
        customers=customers,
        months=count(trial.months_needed, "month", "months"),
    )


def _searched(result: RunResult) -> Markup:
    everybody, within = sieves(result)
    tried = count(everybody.tried, "candidate", "candidates")
    if not everybody.promoted and not within.promoted:
        return say(
            "None of {candidates} that the data suggested stood out enough for a confirming test.", candidates=tried
        )
    if not within.promoted:
        return say("Of {candidates} that the data suggested, {came}.", candidates=tried, came=_sifted(everybody))
    return say(
        "Of {candidates} that the data suggested, {came}; of {others:,} tried within segments, {came_of_others}.",
        candidates=tried,
        came=_sifted(everybody),
        others=within.tried,
        came_of_others=_sifted(within),
    )


def _sifted(sieve: Sieve) -> Markup:
    if not sieve.confirmed:
        return say("{promoted:,} had a confirming test, and none separates there", promoted=sieve.promoted)
    return say_many(
        "{promoted:,} had a confirming test, and {number:,} separates there",
        "{promoted:,} had a confirming test, and {number:,} separate there",
        sieve.confirmed,
        promoted=sieve.promoted,
    )


def _splits(trials: Sequence[Trial]) -> Markup:
    first, *others = trials
    named = [titled(first), *(within_segment(name(other.split), other) for other in others)]
    return listed(few([Markup("<strong>{}</strong>").format(each) for each in named]))


def _effect(trial: Trial) -> Markup:
    pair = verdict_pair(trial)
    if pair is None or trial.horizon_days is None:
        return say("its groups differ")
    first, second = [group for group in trial.groups if group.name in (pair.first, pair.second)]
    days, start = quantity(trial.horizon_days, DAYS), since(trial)
    if start:
        return say(
            "within {days} of {date}, {first}, and {second}",
            days=days,
            date=start,
            first=_are_back(first, trial),
            second=_and_of(second, trial),
        )
    return say(
        "within {days}, {first}, and {second}", days=days, first=_are_back(first, trial), second=_and_of(second, trial)
    )


def _are_back(group: GroupEffect, trial: Trial) -> Markup:
    """How many of a group are back, and after how long."""
    share, mean = quantity(share_back(group), PERCENT), _mean(group)
    if not mean:
        return say("{share} of {group} are back", share=share, group=name(group.name))
    if since(trial):
        return say(
            "{share} of {group} are back, with cycles of {days} on average since",
            share=share,
            group=name(group.name),
            days=mean,
        )
    return say("{share} of {group} are back, after {days} on average", share=share, group=name(group.name), days=mean)


def _and_of(group: GroupEffect, trial: Trial) -> Markup:
    """The same of another group, after the first."""
    share, mean = quantity(share_back(group), PERCENT), _mean(group)
    if not mean:
        return say("{share} of {group}", share=share, group=name(group.name))
    if since(trial):
        return say(
            "{share} of {group}, with cycles of {days} on average since", share=share, group=name(group.name), days=mean
        )
    return say("{share} of {group}, after {days} on average", share=share, group=name(group.name), days=mean)


def _mean(group: GroupEffect) -> str:
    """The mean cycle of a group; empty where it cannot be told."""
    if group.mean_cycle_days is None or group.mean_cycle_days.estimate is None:
        return ""
    return quantity(group.mean_cycle_days.estimate, DAYS)
