"""What stands beside a verdict, as sentences and rows of tables.

How a split was found, whether its groups can be compared, what else differs between them, who comes back for what, and where the
effect holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from markupsafe import Markup

from segmentor.report.figures import interval_mark
from segmentor.report.names import listed, name, names
from segmentor.report.numbers import (
    DAYS,
    DEVIATIONS,
    ITEMS,
    MONEY,
    NOTHING,
    PERCENT,
    RATIO,
    SIGNED_ITEMS,
    SIGNED_MONEY,
    SIGNED_POINTS,
    TIMES,
    count,
    estimate,
    plain,
    probability,
    quantity,
    span,
)
from segmentor.report.saying import say, say_many
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import PARTS
from segmentor.report.words import excludes, few, level, since, verdict_pair
from segmentor.result import Comparability, Crossover, CrossoverCell, DealtLabels, Habit, RunResult, Subset, Trial
from segmentor.wording import gettext, marked, pgettext

MOST_COLUMNS = 8
"""Groups that have a column of their own; of more, the largest have."""

_UNITS = {"money": (MONEY, SIGNED_MONEY), "items": (ITEMS, SIGNED_ITEMS), "share": (PERCENT, SIGNED_POINTS)}
_AGREES = {True: marked("same way"), False: marked("other way"), None: marked("cannot be told")}


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One cohort: customers of each group that has a column, and whether it holds two groups."""

    name: str
    customers: list[str]
    shared: bool


@dataclass(frozen=True, slots=True)
class HabitRow:
    """One habit: means of some groups, the difference of the two furthest apart, and how sure it is."""

    name: str
    means: list[tuple[str, str]]
    pair: tuple[str, str]
    difference: Markup
    standardised: Markup
    p_adjusted: str


@dataclass(frozen=True, slots=True)
class CrossoverShown:
    """Customers with one label first and another next; share and lift only where the count is shown."""

    second: str
    customers: str
    share: Markup
    lift: str
    same: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The effect in some of the customers or of the time.

    Attributes:
        name: Which part.
        customers: How many are in it.
        ratio: Of the pair that carries the verdict.
        share_difference: Of the same pair.
        mark: The interval as a drawing; empty where there is none.
        says: Whether it points the same way as the whole.
    """

    name: str
    customers: str
    ratio: Markup
    share_difference: Markup
    mark: str
    says: str


def was_found(trial: Trial) -> bool:
    """Whether data had a say in the split, so that it was chosen in one half of the customers and tested in the other."""
    return trial.source != "declared" or trial.cutpoint is not None or trial.merged_from is not None


def compared(trial: Trial) -> int:
    """Customers whose groups were compared: of a found split those of the half that tested it."""
    cohorts = () if trial.comparability is None else trial.comparability.cohorts
    if was_found(trial) and cohorts:
        return sum(sum(cohort.customers) for cohort in cohorts)
    return sum(group.customers for group in trial.groups)


def how_found(trial: Trial, result: RunResult) -> list[Markup]:
    """How the data chose the split, and what was held against the choice."""
    said = []
    if trial.merged_from is not None:
        said.append(_merged(trial, result.trials))
    if trial.cutpoint is not None:
        cutpoint = trial.cutpoint
        said.append(
            say(
                "The data chose where to cut {column}: of {thresholds} tried in one half of the customers, {threshold} parted their cycles "
                "most. Over resamples of that half the choice falls between {low} and {high} in 8 of 10 cases, and on this very value "
                "in {share}.",
                column=name(cutpoint.column),
                thresholds=count(cutpoint.tried, "threshold", "thresholds"),
                threshold=plain(cutpoint.threshold),
                low=plain(cutpoint.low),
                high=plain(cutpoint.high),
                share=quantity(cutpoint.chosen_again, PERCENT),
            )
        )
    if trial.p_discovery_adjusted is not None:
        p_value: Markup | str = probability(trial.p_discovery_adjusted, "p")
        if trial.merged_from is None:
            p_value = say("{p}, adjusted for all that was tried there", p=p_value)
        said.append(_twice(trial, p_value))
    return said


def _twice(trial: Trial, p_value: Markup | str) -> Markup:
    """What either half of the customers said of a split, of which the first chose it with this p."""
    if trial.p_adjusted is not None:
        return say(
            "Chosen in one half of the customers ({p}) and tested once in the other, which had no part in the choice "
            "({p_other}, adjusted for all that was tested there). The effects are those of the other half.",
            p=p_value,
            p_other=probability(trial.p_adjusted, "p"),
        )
    if trial.verdict == "untestable":
        return say("Chosen in one half of the customers ({p}) and could not be tested in the other half.", p=p_value)
    return say(
        "Chosen in one half of the customers ({p}) and not sure enough there to be tested in the other half.", p=p_value
    )


def dealt(trial: Trial, result: RunResult) -> Markup:
    """What the label of a split would show if products meant nothing; empty where it was not asked."""
    found = trial.dealt
    if found is None:
        return Markup("")
    asked = {"significant": found.significant, "deals": count(found.deals, "deal", "deals")}
    if found.ratio is None or found.share_difference is None:
        told = say(
            "With baskets dealt at random among the orders that make the label, so that products mean nothing, it would still have "
            "been significant in {significant} of {deals}.",
            **asked,
        )
    else:
        told = say(
            "With baskets dealt at random among the orders that make the label, so that products mean nothing, it would still have "
            "been significant in {significant} of {deals}; a typical deal gives a ratio of {ratio} and {points} of the share back.",
            **asked,
            ratio=quantity(found.ratio, RATIO),
            points=quantity(found.share_difference, SIGNED_POINTS),
        )
    said = [told]
    if not separates_by_itself(found, result):
        said.append(say("So the label does not separate by itself."))
    else:
        said.append(say("Such a label separates by itself: who orders often has bought everything."))
        if trial.verdict != "untestable":
            said.append(say("Read the effect as what goes beyond that."))
    return Markup(" ").join(said)


def separates_by_itself(found: DealtLabels, result: RunResult) -> bool:
    """Whether dealt labels are significant more often than chance would have it."""
    return found.significant > max(1.0, 4 * level(result) * found.deals)


def comparable(trial: Trial, counts: Counts) -> str:
    """How many customers can be compared with others who began when they did."""
    found = trial.comparability
    if found is None:
        return ""
    if start := since(trial):
        return gettext("All are followed from {day} on").format(day=start)
    labelled = compared(trial)
    who = gettext("{share} of the customers").format(share=quantity(found.share, PERCENT))
    if 0 < labelled * (1 - found.share) < counts.min_cell:
        who = gettext("All but a few customers")
    elif 0 < labelled * found.share < counts.min_cell:
        who = gettext("Only a few customers")
    if len(found.cohorts) < 2:
        return gettext("{who} began when customers of another group began too").format(who=who)
    shared = sum(_holds_two(cohort.customers) for cohort in found.cohorts)
    return gettext("{who} began when customers of another group began too, in {shared} of {periods}").format(
        who=who, shared=shared, periods=_periods(found)
    )


def where_comparable(trial: Trial) -> Markup:
    """The cohorts in which groups that are not comparable could be compared."""
    found = trial.comparability
    if found is None or not found.cohorts:
        return Markup("")
    shared = [name(cohort.name) for cohort in found.cohorts if _holds_two(cohort.customers)]
    if shared:
        return say(
            "Customers of two groups began in {periods} only: limit the question to customers who began then.",
            periods=listed(few(shared)),
        )
    period = _period(found)
    if period == "month":
        return say("In no month did customers of two groups begin: there is no time in which they could be compared.")
    if period == "quarter":
        return say("In no quarter did customers of two groups begin: there is no time in which they could be compared.")
    return say("In no period did customers of two groups begin: there is no time in which they could be compared.")


def columns(trial: Trial) -> list[int]:
    """Places of the groups that have a column of their own: all of a few, the largest of many."""
    largest = sorted(range(len(trial.groups)), key=lambda place: -trial.groups[place].customers)[:MOST_COLUMNS]
    return sorted(largest)


def cohort_rows(trial: Trial, counts: Counts) -> list[CohortRow]:
    """Customers by cohort and group."""
    cohorts = () if trial.comparability is None else trial.comparability.cohorts
    return [
        CohortRow(
            gettext("everybody") if len(cohorts) == 1 else cohort.name,
            [counts(cohort.customers[place]) for place in columns(trial)],
            _holds_two(cohort.customers),
        )
        for cohort in cohorts
    ]


def follow_up(trial: Trial, counts: Counts) -> list[str]:
    """Median follow-up of each group that has a column; empty where it is not known."""
    if trial.comparability is None or not trial.comparability.follow_up_days:
        return []
    days = trial.comparability.follow_up_days
    return [
        quantity(days[place] if trial.groups[place].customers >= counts.min_cell else None, DAYS)
        for place in columns(trial)
    ]


def differing(trial: Trial, result: RunResult) -> list[Habit]:
    """Habits in which the groups surely differ, the surest first."""
    return [habit for habit in trial.habits if habit.p_adjusted <= level(result)]


def habits_answer(trial: Trial, result: RunResult) -> Markup:
    """How many habits differ, and which are the surest."""
    found, habits = differing(trial, result), count(len(trial.habits), "habit", "habits")
    if not found:
        return say("None of {habits} was shown to differ", habits=habits)
    surest = few([name(habit_name(habit)) for habit in found], most=3)
    return say_many(
        "{number} of {habits} differs: {surest}",
        "{number} of {habits} differ: {surest}",
        len(found),
        habits=habits,
        surest=listed(surest),
    )


def alike(trial: Trial, result: RunResult) -> Markup:
    """Habits that were looked at and not shown to differ."""
    surely = differing(trial, result)
    others = [name(habit_name(habit)) for habit in trial.habits if habit not in surely]
    return say("Not shown to differ: {habits}.", habits=listed(few(others))) if others else Markup("")


def habit_name(habit: Habit) -> str:
    """A habit as the page calls it: a share with what its value is one of."""
    kind, colon, value = habit.name.partition(": ")
    if colon and kind == "category":
        return gettext("category: {value}").format(value=value)
    if colon and kind == "region":
        return gettext("region: {value}").format(value=value)
    return gettext("channel: {value}").format(value=value) if colon and kind == "channel" else habit.name


def habit_rows(trial: Trial, result: RunResult) -> list[HabitRow]:
    """Habits that differ, the surest first; means that would tell of few customers are hidden."""
    veiled = {group.name: _veiled_means(trial, place, result.min_cell) for place, group in enumerate(trial.groups)}
    places = range(len(trial.groups)) if len(trial.groups) <= 3 else ()
    rows = []
    for habit in differing(trial, result):
        unit, signed = _UNITS.get(habit.unit, (MONEY, SIGNED_MONEY))
        pair = (habit.first, habit.second)
        told = [
            (group.name, veiled[group.name].get(habit.name) or quantity(habit.means[place], unit))
            for place, group in enumerate(trial.groups)
            if place in places or group.name in pair
        ]
        hidden = any(veiled.get(each, {}).get(habit.name) for each in pair)
        rows.append(
            HabitRow(
                habit_name(habit),
                told,
                pair,
                estimate(None if hidden else habit.difference, signed),
                estimate(None if hidden else habit.standardised, DEVIATIONS),
                probability(habit.p_adjusted),
            )
        )
    return rows


def crossover_table(trial: Trial) -> list[list[int]]:
    """Customers by first and next label in the order of the groups, and last those without a next label."""
    found = _cells(trial.crossover)
    rows = [
        [cell.customers if (cell := found.get((first.name, second.name))) else 0 for second in trial.groups]
        for first in trial.groups
    ]
    return [[*row, max(first.customers - sum(row), 0)] for first, row in zip(trial.groups, rows, strict=True)]


def crossover_rows(trial: Trial, counts: Counts) -> list[tuple[str, list[CrossoverShown]]]:
    """Next labels of the customers with each label, for groups that have a column."""
    table, cells = crossover_table(trial), _cells(trial.crossover)
    rows = []
    for i in columns(trial):
        first = trial.groups[i].name
        row = []
        for j in columns(trial):
            second = trial.groups[j].name
            cell = cells.get((first, second))
            visible = cell if counts.exact(table[i][j]) else None
            row.append(
                CrossoverShown(
                    second,
                    counts(table[i][j]),
                    estimate(visible.share if visible else None, PERCENT),
                    quantity(visible.lift, TIMES) if visible and visible.lift is not None else "",
                    i == j,
                )
            )
        rows.append((first, row))
    return rows


def crossover_answer(trial: Trial, counts: Counts) -> Markup:
    """Whether buyers of one come back for the other: the change of label that is made most often, and against chance."""
    table, cells = crossover_table(trial), _cells(trial.crossover)
    changes = [
        cell
        for i, first in enumerate(trial.groups)
        for j, second in enumerate(trial.groups)
        if i != j and counts.exact(table[i][j]) and (cell := cells.get((first.name, second.name))) is not None
    ]
    told = [cell for cell in changes if cell.share.estimate is not None]
    if trial.crossover is None or not told:
        return say("Too few customers changed from one group to another to say more.")
    most = max(told, key=lambda cell: cell.share.estimate or 0.0)
    asked = say(
        "Do customers who begin in {first} come back in {second}?", first=name(most.first), second=name(most.second)
    )
    share, bounds = quantity(most.share.estimate, PERCENT), span(most.share, PERCENT)
    lift = None if most.lift is None else quantity(most.lift, TIMES)
    if lift and bounds:
        answer = say(
            "{share} do ({bounds}), {lift} as often as all customers are in that group next.",
            share=share,
            bounds=bounds,
            lift=lift,
        )
    elif lift:
        answer = say("{share} do, {lift} as often as all customers are in that group next.", share=share, lift=lift)
    elif bounds:
        answer = say("{share} do ({bounds}).", share=share, bounds=bounds)
    else:
        answer = say("{share} do.", share=share)
    return Markup("{} {}").format(asked, answer)


def stickiness(trial: Trial, counts: Counts) -> str:
    """How much of the label stays, in numbers; empty where a count that is hidden could be had from them."""
    found = trial.crossover
    if found is None or not all(counts.exact(number) for row in crossover_table(trial) for number in row):
        return ""
    kept = quantity(found.stickiness.estimate, RATIO)
    if bounds := span(found.stickiness, RATIO):
        kept = pgettext("an estimate and its bounds", "{estimate}, {bounds}").format(estimate=kept, bounds=bounds)
    return gettext(
        "{same} are in the same group next, where {expected} would be if what comes next did not depend on what came first "
        "(stickiness {stickiness}; 0 is no memory, 1 is never changing)."
    ).format(
        same=quantity(found.same_share, PERCENT),
        expected=quantity(found.expected_same_share, PERCENT),
        stickiness=kept,
    )


def parts(trial: Trial, counts: Counts) -> list[tuple[Markup, list[Part]]]:
    """The effect in parts of the customers and of the time, by kind of part; of small parts nothing is shown."""
    return [
        (say(PARTS[kind]) if kind in PARTS else name(kind), [_part(trial, subset, counts) for subset in subsets])
        for kind, subsets in groupby(trial.robustness, key=lambda subset: subset.kind)
    ]


def whole(trial: Trial, counts: Counts) -> Part | None:
    """The effect among all whose groups were compared, to be compared with its parts."""
    pair = verdict_pair(trial)
    if pair is None:
        return None
    who = gettext("The half that tested it") if was_found(trial) else gettext("All customers")
    everybody = Subset("", who, compared(trial), pair.ratio, pair.share_difference, None, agrees=None)
    return replace(_part(trial, everybody, counts), says="")


def parts_answer(trial: Trial, result: RunResult) -> Markup:
    """Whether the effect holds in all parts; where there is none, whether it shows in some of them."""
    visible = [subset for subset in trial.robustness if subset.customers >= result.min_cell]
    if trial.verdict != "separates":
        tested = [subset.p_value for subset in visible if subset.p_value is not None]
        alone = sum(p_value <= level(result) for p_value in tested)
        return say(
            "Taken alone, {alone} of {parts} would be significant; chance makes about 1 in {often} so",
            alone=alone,
            parts=count(len(tested), "part", "parts"),
            often=f"{1 / level(result):.0f}",
        )
    agree = [subset.agrees for subset in visible if subset.agrees is not None]
    by_test_alone = sum(subset.agrees is None and subset.p_value is not None for subset in visible)
    unknown = len(trial.robustness) - len(agree) - by_test_alone
    parts_told = count(len(agree), "part", "parts")
    if not unknown:
        return say("The effect points the same way in {alike} of {parts}", alike=sum(agree), parts=parts_told)
    return say(
        "The effect points the same way in {alike} of {parts}; in {unknown} more it cannot be told",
        alike=sum(agree),
        parts=parts_told,
        unknown=unknown,
    )


def _merged(trial: Trial, trials: Sequence[Trial]) -> Markup:
    """Which groups of which split could not be told apart."""
    origin = next((each for each in trials if each.split == trial.merged_from and each.segment == trial.segment), None)
    known = {group.name for group in origin.groups} if origin else set()
    alike_groups = [
        names(members)
        for group in trial.groups
        if len(members := group.name.split(" + ")) > 1 and group.name not in known and known.issuperset(members)
    ]
    split = name(trial.merged_from or "")
    if not alike_groups:
        return say("Groups of {split} that could not be told apart were merged.", split=split)
    told = [say("{groups} could not be told apart and were merged", groups=groups) for groups in alike_groups]
    return say("Of {split}, {merged}.", split=split, merged=Markup(pgettext("between clauses", "; ")).join(told))


def _holds_two(customers: Sequence[int]) -> bool:
    return sum(number > 0 for number in customers) >= 2


def _period(found: Comparability) -> str:
    """What a cohort is: a month, a quarter or another period."""
    first = found.cohorts[0].name
    if "-Q" in first:
        return "quarter"
    return "month" if len(first) == len("2024-03") else "period"


def _periods(found: Comparability) -> str:
    """How many cohorts there are."""
    number = len(found.cohorts)
    return {
        "month": count(number, "month", "months"),
        "quarter": count(number, "quarter", "quarters"),
        "period": count(number, "period", "periods"),
    }[_period(found)]


def _veiled_means(trial: Trial, place: int, min_cell: int) -> dict[str, str]:
    """Habits whose mean in a group would tell of few customers, with what is said instead.

    A share of the group stands for so many of its customers. Shares of one kind (``region: north``, ``region: south``) may add up
    to all of them.
    """
    customers = trial.groups[place].customers
    if customers < min_cell:
        return {habit.name: NOTHING for habit in trial.habits}
    veiled = {}
    for family in _families(trial.habits):
        known = [(habit.name, round(mean * customers)) for habit in family if (mean := habit.means[place]) is not None]
        counts = [number for _, number in known]
        rest = max(customers - sum(counts), 0)
        whole_known = rest < min_cell
        told = Counts.of([[*counts, rest]] if whole_known else (), min_cell)
        for habit, number in known:
            if not told.exact(number):
                veiled[habit] = _roughly(number, customers, min_cell)
    return veiled


def _roughly(number: int, customers: int, min_cell: int) -> str:
    """A share of a group's customers, said so that neither they nor the others can be counted when they are few."""
    least = min_cell / customers
    if number < min_cell:
        return gettext("below {share}").format(share=quantity(least, PERCENT))
    if customers - number < min_cell:
        return gettext("above {share}").format(share=quantity(1 - least, PERCENT))
    about = max(round(number / customers / least / 2), 1) * 2 * least
    return gettext("about {share}").format(share=quantity(about, PERCENT))


def _families(habits: Sequence[Habit]) -> Iterator[list[Habit]]:
    """Habits that are shares, those of one kind together."""
    shares = sorted((habit for habit in habits if habit.unit == "share"), key=_kind)
    for _, family in groupby(shares, key=_kind):
        yield list(family)


def _kind(habit: Habit) -> str:
    kind, colon, _ = habit.name.partition(": ")
    return kind if colon else f"{habit.name}\n"


def _cells(found: Crossover | None) -> dict[tuple[str, str], CrossoverCell]:
    return {} if found is None else {(cell.first, cell.second): cell for cell in found.cells}


def sticks(found: Crossover) -> str:
    """How much of the label stays, in words."""
    kept = found.stickiness
    value = kept.estimate
    if value is None or not excludes(kept, 0.0):
        return gettext("What comes next does not visibly depend on what came first")
    if value < 0:
        return gettext("Customers tend to change groups")
    if value < 0.2:
        return gettext("The label hardly sticks")
    return gettext("The label sticks in part") if value < 0.6 else gettext("The label sticks")


def _part(trial: Trial, subset: Subset, counts: Counts) -> Part:
    by_share = trial.carried_by == "share back"
    if subset.customers < counts.min_cell:
        subset = replace(subset, ratio=None, share_difference=None, p_value=None, agrees=None)
    return Part(
        str(subset.name),
        counts(subset.customers),
        estimate(subset.ratio, RATIO),
        estimate(subset.share_difference, SIGNED_POINTS),
        interval_mark(
            subset.share_difference if by_share else subset.ratio,
            extent=_extent(trial, counts.min_cell, by_share=by_share),
            ratio=not by_share,
        ),
        _said(subset),
    )


def _said(subset: Subset) -> str:
    """What a part says of the effect; of a part that has a test and no effect of its own, the p-value."""
    if subset.agrees is None and subset.ratio is None and subset.p_value is not None:
        return gettext("test: {p}").format(p=probability(subset.p_value, "p"))
    return gettext(_AGREES[subset.agrees])


def _extent(trial: Trial, min_cell: int, *, by_share: bool) -> tuple[float, float]:
    """Smallest and largest value that the drawings of the parts have room for: every estimate, and all of the whole's interval."""
    pair = verdict_pair(trial)
    parts_drawn = [subset for subset in trial.robustness if subset.customers >= min_cell]
    drawn = [subset.share_difference if by_share else subset.ratio for subset in parts_drawn]
    values = [0.0 if by_share else 1.0, *(each.estimate for each in drawn if each and each.estimate is not None)]
    if pair is not None:
        of_all = pair.share_difference if by_share else pair.ratio
        values += [value for value in (of_all.estimate, of_all.ci_low, of_all.ci_high) if value is not None]
    return min(values), max(values)
