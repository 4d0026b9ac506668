"""The splits of a run sorted for reading: those with a card of their own, all others as rows, and what the search went through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import NormalDist, median

from markupsafe import Markup, escape

from segmentor.report.ledger import carded
from segmentor.report.lines import counts_in
from segmentor.report.names import listed, name, worded
from segmentor.report.numbers import (
    DAYS,
    NO_BREAK,
    NOTHING,
    PERCENT,
    POINTS,
    RATIO,
    SIGNED_POINTS,
    count,
    estimate,
    probability,
    quantity,
    span,
)
from segmentor.report.saying import say, say_many
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import KINDS, METHODS, REASONS, SOURCES
from segmentor.report.words import (
    column,
    few,
    in_order,
    is_echo,
    level,
    reason,
    seen_elsewhere,
    short_group,
    titled,
    verdict_pair,
    within_segment,
)
from segmentor.result import EVERYBODY, SAME_GROUPS, Clustering, Interval, PairEffect, RunResult, Trial, Verdict
from segmentor.wording import gettext

MOST_CANDIDATES = 1_000
"""Rows of candidates on the page."""

MOST_GROUPS = 4
"""Groups of a candidate that are named in its row."""

MOST_LEFT_OUT = 30
"""Columns that are named for a reason why they made no candidate."""


_SEEN = 0.8
"""Share of the cases in which a difference of the size told would have been found."""


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A split that was tried, in one row.

    Attributes:
        split: Its name, and where it was tried.
        source: Where it comes from.
        groups: Groups with their customers as they may be shown; of many, how many there are.
        aliases: Other names of the same groups.
        against: The pair that the effects are of; empty for two groups.
        ratio: Of that pair.
        share_difference: Of the same pair.
        horizon: By when both are read, where that is not when those of most splits are; else empty.
        verdict: What the trial says.
        why: Why, for the splits that were not simply screened out, and what would decide it.
    """

    split: Markup
    source: Markup
    groups: list[tuple[Markup, str]]
    aliases: Markup
    against: Markup
    ratio: Markup
    share_difference: Markup
    horizon: str
    verdict: Verdict
    why: Markup


@dataclass(frozen=True, slots=True)
class AlikeRow:
    """A split that was shown not to matter, and the intervals within which its groups are alike."""

    split: Markup
    groups: list[tuple[Markup, str]]
    aliases: Markup
    ratio: str
    share_difference: str


@dataclass(frozen=True, slots=True)
class ClusteringRow:
    """A way of clustering and what came of it."""

    method: Markup
    features: Markup
    customers: str
    clusters: str
    noise: str
    stability: str
    silhouette: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A cluster said as a rule, and what the rule's trial says."""

    rule: Markup
    cluster: Markup
    customers: str
    stability: str
    coverage: str
    precision: str
    verdict: Verdict
    echo: Markup


def others(result: RunResult) -> list[Trial]:
    """Every split that has neither a card nor a place among those that repeat another: by verdict, the surest first."""
    with_card = {id(trial) for trial in carded(result)}
    without = [trial for trial in result.trials if id(trial) not in with_card and trial.explained_by is None]
    return in_order(sorted(without, key=_sureness))


def rows(result: RunResult, counts: Counts) -> list[CandidateRow]:
    """The others as rows, as many as the page holds."""
    usual, elsewhere = usual_days(result), seen_elsewhere(result)
    return [_row(trial, counts, usual, elsewhere) for trial in others(result)[:MOST_CANDIDATES]]


def repeating(result: RunResult, counts: Counts) -> list[tuple[Markup, list[CandidateRow]]]:
    """Splits that differ only because they repeat one of the tree, the surest first, by the name of that one."""
    found: dict[str, list[Trial]] = {}
    for trial in sorted(result.trials, key=_sureness):
        if trial.explained_by is not None:
            found.setdefault(trial.explained_by, []).append(trial)
    usual = usual_days(result)
    return [(name(repeated), [_row(trial, counts, usual, {}) for trial in own]) for repeated, own in found.items()]


def smallest(groups: Sequence[tuple[Markup, str]]) -> str:
    """The smallest group's customers as they are shown, to sort rows by; empty where none is told."""
    told = [(int(digits), shown) for _, shown in groups if (digits := "".join(filter(str.isdecimal, shown)))]
    return min(told)[1] if told else ""


def judged_by(result: RunResult) -> str:
    """Level of the intervals that must lie within the margins: two one-sided tests, each at the level of the run."""
    return gettext("{digits}\N{NO-BREAK SPACE}%").format(digits=f"{100 * (1 - 2 * level(result)):g}")


def alike(result: RunResult, counts: Counts) -> list[AlikeRow]:
    """Splits that were shown not to matter and whose column separates nowhere else: the declared first, then those of most customers."""
    elsewhere = seen_elsewhere(result)
    found = [trial for trial in result.trials if trial.verdict == "equivalent" and column(trial) not in elsewhere]
    found.sort(key=lambda trial: (trial.source != "declared", -sum(group.customers for group in trial.groups)))
    return [
        AlikeRow(
            titled(trial),
            _groups(trial, counts),
            aliases(trial),
            _widest([pair.ratio for pair in visible_pairs(trial, counts)], ratio=True),
            _widest([pair.share_difference for pair in visible_pairs(trial, counts)], ratio=False),
        )
        for trial in found
    ]


def aliases(trial: Trial) -> Markup:
    """Other names of the same groups; empty where there are none."""
    return listed(few([name(alias) for alias in trial.aliases])) if trial.aliases else Markup("")


def tried(result: RunResult) -> Markup:
    """What was tried at the root, by where it comes from."""
    by_source = Counter(trial.source for trial in result.trials if trial.segment == EVERYBODY)
    return listed([_of_source(source, number) for source, number in by_source.items()])


def left_out(result: RunResult) -> list[tuple[Markup, Markup]]:
    """What made no candidate, and why: columns and clusters by reason, then for each reason how many sets of products bought together."""
    itemsets: Counter[str] = Counter()
    named: dict[str, list[Markup]] = {}
    for each in () if result.search is None else result.search.left_out:
        same = each.reason.text == SAME_GROUPS
        why = gettext("makes the same groups as another candidate") if same else worded(each.reason)
        if each.kind == "itemset":
            itemsets[why] += 1
        elif same:
            named.setdefault(why, []).append(
                say("{column} (as {other})", column=name(each.name), other=name(str(each.reason.values["split"])))
            )
        else:
            named.setdefault(why, []).append(name(each.name))
    return [
        *((listed(few(names, most=MOST_LEFT_OUT)), reason(why)) for why, names in named.items()),
        *((_of_kind("itemset", number), reason(why)) for why, number in itemsets.items()),
    ]


def how_many_left_out(result: RunResult) -> Markup:
    """How many columns, sets of products and clusters made no candidate; empty where everything did."""
    kinds = Counter(each.kind for each in result.search.left_out) if result.search else Counter[str]()
    return listed([_of_kind(kind, number) for kind, number in kinds.items()])


def are_named(result: RunResult) -> bool:
    """Whether ``left_out`` names everything that made no candidate."""
    left = () if result.search is None else result.search.left_out
    return len(left) <= MOST_LEFT_OUT and not any(each.kind == "itemset" for each in left)


def clusterings(result: RunResult, counts: Counts) -> list[ClusteringRow]:
    """Ways of clustering, with their indices."""
    found: Sequence[Clustering] = () if result.search is None else result.search.clusterings
    return [
        ClusteringRow(
            method(one.method),
            listed(few([name(feature) for feature in one.features])),
            counts(one.customers),
            count(one.clusters) if one.clusters else gettext("none was stable"),
            quantity(one.noise_share, PERCENT),
            quantity(one.stability, RATIO),
            quantity(one.silhouette, RATIO),
        )
        for one in found
    ]


def rules(result: RunResult, counts: Counts) -> list[RuleRow]:
    """Clusters said as rules, those first whose rule separates."""
    return [
        RuleRow(
            titled(trial, length=200),
            say(
                "{method} {cluster} of {clusters}",
                method=method(trial.cluster.method),
                cluster=trial.cluster.cluster,
                clusters=trial.cluster.clusters,
            ),
            counts(trial.cluster.customers),
            quantity(trial.cluster.stability, RATIO),
            *_fidelity(trial, result.min_cell),
            trial.verdict,
            echo(trial, result),
        )
        for trial in in_order(result.trials)
        if trial.cluster is not None
    ]


def cluster(trial: Trial, counts: Counts) -> Markup:
    """Which cluster the rule of a split says, and how well; empty for a split that is no such rule."""
    found = trial.cluster
    if found is None:
        return Markup("")
    coverage, precision = _fidelity(trial, counts.min_cell)
    if coverage == NOTHING:
        said = say(
            "The rule says cluster {cluster} of {clusters} of {method} in words: {customers} customers of one half. Of the cluster, "
            "{stability} comes back in resamples (stability). It is the rule that was tried, not the cluster.",
            cluster=found.cluster,
            clusters=found.clusters,
            method=method(found.method),
            customers=counts(found.customers),
            stability=quantity(found.stability, PERCENT),
        )
    else:
        said = say(
            "The rule says cluster {cluster} of {clusters} of {method} in words: {customers} customers of one half; the rule takes "
            "{coverage} of them, and {precision} of those whom it takes are in the cluster. Of the cluster, {stability} comes back in "
            "resamples (stability). It is the rule that was tried, not the cluster.",
            cluster=found.cluster,
            clusters=found.clusters,
            method=method(found.method),
            customers=counts(found.customers),
            coverage=coverage,
            precision=precision,
            stability=quantity(found.stability, PERCENT),
        )
    return said


def echo(trial: Trial, result: RunResult) -> Markup:
    """What the test within strata of past frequency and recency says; empty where it was not made."""
    p_value = trial.cluster.echo_p_value if trial.cluster else None
    told = probability(p_value, "p")
    if is_echo(trial) and p_value is not None:
        return say(
            "An echo of past frequency: nothing is left of it among customers who had bought as often and as recently ({p}).",
            p=told,
        )
    if is_echo(trial):
        return say(
            "An echo of past frequency: nothing is left of it among customers who had bought as often and as recently."
        )
    if p_value is None:
        return Markup("")
    if p_value <= level(result):
        return say("Among customers who had bought as often and as recently it is still there ({p}).", p=told)
    return say("Among customers who had bought as often and as recently it is no longer sure ({p}).", p=told)


def method(code: str) -> Markup:
    """A way of clustering by its usual name."""
    return say(METHODS[code]) if code in METHODS else name(code)


def could_have_been_seen(result: RunResult) -> list[str]:
    """How large a difference would have been found, of declared and of found splits into two groups of the usual size.

    The standard error is that behind the intervals shown, in the middle of the splits. A declared split has one test among
    the declared; a found one is screened in one half with all others and then tested in the other half. Both are held to the
    level over the number of tests, as if these had nothing in common, which asks more than the run did.
    """
    everybody = [trial for trial in result.trials if trial.segment == EVERYBODY]
    declared = [trial for trial in everybody if trial.source == "declared"]
    found = [trial for trial in everybody if trial.source != "declared"]
    said = []
    for trials, tests, are_declared in (
        (declared, len(declared), True),
        (found, result.search.tried if result.search else len(found), False),
    ):
        ratio = _detectable(trials, tests, result, ratio=True)
        share = _detectable(trials, tests, result, ratio=False)
        if ratio is None or share is None:
            continue
        if tests < 2:
            sentence = gettext(
                "The split would have been found in {seen} of the cases if the cycles of its groups differed by a factor of {ratio}, or "
                "the shares back by {points}."
            )
        elif are_declared:
            sentence = gettext(
                "Among {tests} declared splits, one of the usual size would have been found in {seen} of the cases if the cycles of its "
                "groups differed by a factor of {ratio}, or the shares back by {points}."
            )
        else:
            sentence = gettext(
                "Among {tests} candidates, one of the usual size would have been found in {seen} of the cases if the cycles of its groups "
                "differed by a factor of {ratio}, or the shares back by {points}."
            )
        said.append(
            sentence.format(
                tests=count(tests),
                seen=quantity(_SEEN, PERCENT),
                ratio=quantity(exp(ratio), RATIO),
                points=quantity(share, POINTS),
            )
        )
    return said


def _detectable(trials: Sequence[Trial], tests: int, result: RunResult, *, ratio: bool) -> float | None:
    """Difference (of a ratio: its logarithm) that a split into two groups would show in most cases, at the level over the tests."""
    errors = []
    for trial in trials:
        pair = verdict_pair(trial)
        if pair is None or len(trial.groups) != 2:
            continue
        interval = pair.ratio if ratio else pair.share_difference
        low, high = interval.ci_low, interval.ci_high
        if low is None or high is None or (ratio and low <= 0):
            continue
        width = log(high / low) if ratio else high - low
        errors.append(width / (2 * NormalDist().inv_cdf(0.975)))
    if not errors:
        return None
    asked = NormalDist().inv_cdf(1 - level(result) / 2 / max(tests, 1))
    return (asked + NormalDist().inv_cdf(_SEEN)) * median(errors)


def _row(trial: Trial, counts: Counts, usual: int | None, elsewhere: Mapping[str, Trial]) -> CandidateRow:
    pair = verdict_pair(trial)
    visible = pair if pair in visible_pairs(trial, counts) else None
    return CandidateRow(
        titled(trial, length=120),
        say(SOURCES[trial.source]) if trial.source in SOURCES else name(trial.source),
        _groups(trial, counts),
        aliases(trial),
        say("{second} against {first}", second=name(visible.second), first=name(visible.first))
        if visible and len(trial.groups) > 2
        else Markup(""),
        estimate(visible.ratio if visible else None, RATIO),
        estimate(visible.share_difference if visible else None, SIGNED_POINTS),
        read_within(trial, usual),
        trial.verdict,
        Markup(" ").join(_why(trial, elsewhere)),
    )


def _why(trial: Trial, elsewhere: Mapping[str, Trial]) -> Iterator[Markup]:
    """The reason of a split that was not simply screened out, what would decide it, and where its column separates all the same."""
    if trial.reasons[:1] != ("not promoted",) and trial.reasons and trial.reasons[0] in REASONS:
        yield reason(trial.reasons[0])
    if trial.verdict == "inconclusive" and trial.customers_needed is not None:
        yield say(
            "About {customers} in all would decide it.",
            customers=count(trial.customers_needed, "customer", "customers"),
        )
    if trial.verdict == "equivalent" and column(trial) in elsewhere:
        other = elsewhere[column(trial)]
        yield say("But see {split}.", split=within_segment(name(other.split), other))


def _sureness(trial: Trial) -> tuple[float, ...]:
    """Smallest adjusted p of the screening first, then of the confirmation."""
    return tuple(1.0 if p is None else p for p in (trial.p_discovery_adjusted, trial.p_adjusted))


def usual_horizon(result: RunResult) -> str:
    """By when the effects of most splits are read; empty where there are none."""
    days = usual_days(result)
    return "" if days is None else gettext("They are read at day {day}, where no other is told.").format(day=days)


def read_within(trial: Trial, usual: int | None) -> str:
    """By when the effect of a split is read, where that is not the usual day; else empty."""
    if trial.horizon_days in (None, usual):
        return ""
    return gettext("within {days}").format(days=quantity(trial.horizon_days, DAYS))


def usual_days(result: RunResult) -> int | None:
    """The day at which the effects of most splits are read."""
    days = Counter(trial.horizon_days for trial in result.trials if trial.horizon_days is not None)
    return days.most_common(1)[0][0] if days else None


def _groups(trial: Trial, counts: Counts) -> list[tuple[Markup, str]]:
    """Groups with their customers; of many, how many there are and who is in them."""
    if len(trial.groups) <= MOST_GROUPS:
        return [(name(short_group(trial.split, group.name)), counts(group.customers)) for group in trial.groups]
    total = sum(group.customers for group in trial.groups)
    return [(say_many("{number} group", "{number} groups", len(trial.groups)), counts_in(trial, counts)(total))]


def _of_source(source: str, number: int) -> Markup:
    """So many candidates of a source."""
    if source == "declared":
        return escape(count(number, "declared split", "declared splits"))
    if source == "enumerated":
        return escape(count(number, "candidate made of the columns", "candidates made of the columns"))
    if source == "clustered":
        return escape(count(number, "rule that says a cluster", "rules that say a cluster"))
    return Markup("{} {}").format(number, name(source))


def _of_kind(kind: str, number: int) -> Markup:
    """So many things that made no candidate."""
    return escape(count(number, *KINDS[kind])) if kind in KINDS else Markup("{} {}").format(count(number), name(kind))


def visible_pairs(trial: Trial, counts: Counts) -> list[PairEffect]:
    """Pairs of groups of which estimates may be shown."""
    visible = {group.name for group in trial.groups if group.customers >= counts.min_cell}
    return [pair for pair in trial.pairs if pair.first in visible and pair.second in visible]


def _widest(intervals: Sequence[Interval], *, ratio: bool) -> str:
    """The bounds that hold all intervals."""
    lows = [each.ci_low for each in intervals if each.ci_low is not None]
    highs = [each.ci_high for each in intervals if each.ci_high is not None]
    if not lows or not highs:
        return NOTHING
    low, high = min(lows), max(highs)
    return span(Interval((low + high) / 2, low, high), RATIO if ratio else SIGNED_POINTS).replace(
        " to ", f"{NO_BREAK}to "
    )


def _fidelity(trial: Trial, min_cell: int) -> tuple[str, str]:
    """Coverage and precision of a rule, where they tell of enough customers."""
    found = trial.cluster
    if found is None or found.customers < min_cell:
        return NOTHING, NOTHING
    taken = found.coverage * found.customers
    told = [taken, found.customers - taken, taken / found.precision - taken if found.precision else 0.0]
    few_told = any(0 < round(each) < min_cell for each in told)
    return (
        (
            gettext("about {share}").format(share=quantity(round(found.coverage, 1), PERCENT)),
            gettext("about {share}").format(share=quantity(round(found.precision, 1), PERCENT)),
        )
        if few_told
        else (quantity(found.coverage, PERCENT), quantity(found.precision, PERCENT))
    )
