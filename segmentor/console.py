"""What the commands show in a terminal: the progress of stages and short tables, safe against anything in the data."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segmentor.errors import printable
from segmentor.report.clusters import called_by_rule
from segmentor.report.cross_sell import ranked
from segmentor.report.cross_sell import within as days_of_offers
from segmentor.report.ledger import sieves
from segmentor.report.tree import was_too_small
from segmentor.report.words import short_group
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, CrossSellRule, Interval, Quality, RunResult, TreeNode, Trial
from segmentor.result.standing import defined, standing, without_group

if TYPE_CHECKING:
    from segmentor.assignment import Assignment
    from segmentor.comparison import ComparedSplit, Comparison
    from segmentor.cross_sell.offers import Offered
    from segmentor.experiment import CheckedSplit, CheckResult
    from segmentor.starting import Started

MOST_GROUPS = 20
"""Groups of a split that are listed."""

MOST_OFFERS_SHOWN = 20
"""Rules behind offers that are listed."""

UNBROKEN = 24
"""Characters of a cell that is never broken: a number with its interval; names are broken where they are longer."""

MOST_VERDICTS = 30
"""Rows of splits; more only where more were declared."""

BEST_OFFERS = 3
"""Offers of a run that are told."""

PLAIN_WIDTH = 160
"""Characters a line at most where there is no terminal to ask."""

_STYLES = {"separates": "bold green", "equivalent": "cyan", "inconclusive": "yellow", "untestable": "dim"}


def say(text: str) -> None:
    """Print one line on stdout."""
    click.echo(printable(text))


def complain(text: str) -> None:
    """Print an error on stderr; its own line breaks are kept."""
    for number, line in enumerate(text.split("\n")):
        click.echo(("error: " if number == 0 else "       ") + printable(line), err=True)


@contextmanager
def stages(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show stages with their times on stderr; nothing where that is no terminal, or when asked to be quiet.

    Yields:
        A function to be told each stage as it begins.
    """
    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal:
        yield lambda _stage: None
        return
    begun: tuple[str, float] | None = None

    def finish() -> None:
        if begun is not None:
            stage, since = begun
            console.print(Text.assemble(("✓ ", "green"), stage, (f"  {time.perf_counter() - since:.1f} s", "dim")))

    with console.status("starting") as status:

        def begin(stage: str) -> None:
            nonlocal begun
            finish()
            begun = (printable(stage), time.perf_counter())
            status.update(Text(begun[0]))

        yield begin
        finish()


def show_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], *, styles: Sequence[str] = (), spare: Sequence[str] = ()
) -> None:
    """Print a small table on stdout; without lines and colours where that is no terminal.

    Args:
        header: Titles of the columns.
        rows: A cell a column; numbers stand at the right.
        styles: A style a row.
        spare: Titles of columns that are left out where the line is too short, the first of them first.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    columns = [[title, *cells] for title, *cells in zip(header, *rows, strict=True)]
    for title in spare:
        if sum(min(_width(column), UNBROKEN) + 2 for column in columns) > console.width:
            columns = [column for column in columns if column[0] != title]
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in columns:
        numbers = any(isinstance(cell, int) for cell in column)
        table.add_column(
            Text(_cell(column[0])),
            justify="right" if numbers else "left",
            no_wrap=_width(column) <= UNBROKEN,
            overflow="fold",
        )
    for place, style in enumerate(styles or [""] * len(rows), start=1):
        table.add_row(*(Text(_cell(column[place])) for column in columns), style=style)
    with console.capture() as capture:
        console.print(table)
    click.echo(capture.get(), nl=False)


def _width(column: Sequence[object]) -> int:
    return max(cell_len(_cell(cell)) for cell in column)


def show_verdicts(result: RunResult) -> None:
    """Print a row a trial, a line for what was found, merged or not decided, the tree, how many segments and rules came of it, and offers.

    Of splits that the data suggested only those that separate, and do not only repeat the tree's, have a row, up to
    ``MOST_VERDICTS`` rows in all.
    """
    result = called_by_rule(result)
    say(result.title)
    of_tree = {(node.segment, node.split) for node in result.tree}
    declared = sum(trial.source == "declared" for trial in result.trials)
    suggested = [trial for trial in result.trials if trial.source != "declared"]
    separating = [trial for trial in suggested if trial.verdict == "separates"]
    found = sorted((trial for trial in separating if trial.explained_by is None), key=_sureness)
    kept = {id(trial) for trial in found[: max(MOST_VERDICTS - declared, 0)]}
    trials = [trial for trial in result.trials if trial.source == "declared" or id(trial) in kept]
    if trials:
        header = ("verdict", "split", "customers", "pair", "cycle ratio", "share back, points", "p (Holm)")
        rows = [_verdict_row(one) for one in trials]
        show_table(header, rows, styles=[_STYLES[one.verdict] for one in trials], spare=("customers", "pair"))
    repeating = Counter(trial.explained_by for trial in suggested if trial.explained_by is not None)
    for repeated, number in repeating.items():
        more = (
            f"{number:,} more differs only because it repeats"
            if number == 1
            else f"{number:,} more differ only because they repeat"
        )
        say(f"{more} '{repeated}'")
    if others := len(result.trials) - len(trials) - repeating.total():
        say(
            f"\N{HORIZONTAL ELLIPSIS} and {others:,} more: see trials.csv"
            if trials
            else f"none of {others:,} candidates was shown to separate: see trials.csv"
        )
    for trial in trials:
        # What a found split went through is told where it stands in the tree, and of declared ones.
        if trial.source == "declared" or (trial.segment, trial.split) in of_tree:
            for remark in _remarks(trial):
                say(remark)
    if result.search is not None:
        everybody, within = sieves(result)
        more = (
            f" (within segments {within.tried:,}, {within.promoted:,} and {within.confirmed:,})"
            if within.promoted
            else ""
        )
        say(
            f"candidates: {everybody.tried:,} tried, {everybody.promoted:,} promoted to a test in the other half, "
            f"{everybody.confirmed:,} confirmed there{more}"
        )
    show_tree(result)
    rules = "" if result.rules is None else f", {sum(r.valid for r in result.rules)} of {len(result.rules)} rules valid"
    say(f"{_segments(result)}{rules}")
    _show_best_offers(result)
    _show_warnings(result.quality)


def _show_best_offers(result: RunResult) -> None:
    """Print the best offers, a line of words each, and how many more there are."""
    offers = ranked(result.rules or (), min_cell=result.min_cell)
    for rule in offers[:BEST_OFFERS]:
        say(_offer(rule, days_of_offers(result), min_cell=result.min_cell))
    if (more := len(offers) - BEST_OFFERS) > 0:
        say(f"\N{HORIZONTAL ELLIPSIS} and {more:,} more offer{'s' * (more != 1)}: see the report")


def _offer(rule: CrossSellRule, days: int | None, *, min_cell: int) -> str:
    """What to offer, to whom and when, and what it could bring; nothing that is told of few customers."""
    bought = " and ".join(rule.antecedent)
    worth = rule.worth if rule.worth is not None and rule.worth.reachable >= min_cell else None
    reach = "customers" if worth is None else f"{worth.reachable:,} customers"
    if rule.mode == "same_occasion":
        said = f"offer {rule.consequent} with {bought}, to {reach} who never bought it"
    else:
        soon = "" if rule.median_days is None else f", half come within {rule.median_days:.0f} days"
        said = f"offer {rule.consequent} after {bought}, to {reach} who never bought it{soon}"
    if worth is not None and worth.orders.estimate is not None:
        orders = worth.orders.estimate
        said += (
            f": could bring {orders:,.0f} more orders" if orders >= 10 else f": could bring {orders:.1f} more orders"
        )
        if worth.amount is not None and worth.amount.estimate is not None:
            said += f", about {float(f'{worth.amount.estimate:.3g}'):,.0f} in money,"
        said += "" if days is None else f" in {days} days"
    return said if rule.lift.estimate is None else f"{said}; {rule.lift.estimate:.2f} times as often as by habit"


def show_tree(result: RunResult) -> None:
    """Print the splits that held and the groups that they make, each group further in than the one above it, and what was not confirmed."""
    nodes = standing(result)
    rest = without_group(nodes)

    def show(node: TreeNode, depth: int) -> None:
        above = "" if node.parent in (None, EVERYBODY) else f"{node.parent} / "
        of = f" with a purchase that counts, of {result.customers:,} in the data" if result.never_bought else ""
        counted = f"{node.customers:,} customers{of if node.parent is None else ''}"
        say(f"{'  ' * depth}{node.segment.removeprefix(above)}  {counted}{_came_of(node)}")
        for each in nodes:
            if each.parent == node.segment:
                show(each, depth + 1)
        if rest.get(node.segment):
            say(f"{'  ' * (depth + 1)}{NOT_YET_KNOWN}  {rest[node.segment]:,} customers")

    for root in nodes[:1]:
        show(root, 0)


def _segments(result: RunResult) -> str:
    """How many segments there are, and how many customers are in none of them."""
    number = len(defined(result))
    said = f"{number} segment{'s' * (number != 1)}"
    unknown = next((each.customers for each in result.segments if each.name == NOT_YET_KNOWN), 0)
    if not unknown:
        return said
    never = f" ({result.never_bought:,} of them without a purchase that counts)" if result.never_bought else ""
    return f"{said}, {unknown:,} customers not yet known{never}"


def _came_of(node: TreeNode) -> str:
    """What became of a node: the split that parts it, or the one that was not confirmed."""
    if node.split is None:
        return f": {node.ended}, {node.tried:,} tried" if node.ended and node.tried else ""
    if node.held:
        return f", by {node.split}"
    return f" (by {node.split}: {'too few to be tested' if was_too_small(node) else node.ended or 'not confirmed'})"


def _sureness(trial: Trial) -> tuple[float, str, str]:
    return 1.0 if trial.p_adjusted is None else trial.p_adjusted, trial.segment, trial.split


def show_quality(quality: Quality) -> None:
    """Print what became of the rows of each input, and what the cycles are made of."""
    rows = [
        (
            name,
            rows.read,
            rows.kept,
            rows.filtered,
            rows.quarantined,
            ", ".join(f"{n} {why}" for why, n in rows.reasons.items()),
        )
        for name, rows in quality.inputs.items()
    ]
    show_table(("input", "read", "kept", "filtered", "quarantined", "why"), rows)
    cycle = quality.cycle
    say(
        f"{cycle.customers:,} customers, {cycle.occasions:,} purchase occasions and {cycle.cycles:,} cycles "
        f"from {cycle.observed_from} to {cycle.observed_until}"
    )
    _show_warnings(quality)


def _show_warnings(quality: Quality) -> None:
    for warning in quality.warnings:
        say(f"warning: {warning}")


def show_started(started: Started) -> None:
    """Print what a first config says, and what to do with it."""
    show_table(("role", "column", "because"), [(one.role, one.column, one.reason) for one in started.choices])
    for remark in started.remarks:
        say(remark)
    say(f"written: {started.config}")
    say(f"next: segmentor check {started.config}")
    say(f"then: segmentor run {started.config}")


def show_wanting(wanting: Sequence[str]) -> None:
    """Print what the data do not allow, and what to add."""
    if wanting:
        say("")
        say("missing for more:")
    for sentence in wanting:
        say(sentence)


def show_splits(splits: Sequence[CheckedSplit]) -> None:
    """Print the splits of a config with their groups and whether they can be tried."""
    rows = [(split.name, split.known, _groups(split), split.note) for split in splits]
    if rows:
        show_table(("split", "known", "customers by group", ""), rows)
    for split in splits:
        if split.restated is not None:
            say(f"{split.name} can be asked so:")
            for line in split.restated.splitlines():
                say(line)


def show_search(checked: CheckResult) -> None:
    """Print what would be tried beyond the declared splits, how many candidates that makes at most, and what is left out."""
    attributes, clustering = checked.attributes, checked.clustering
    if not (attributes or checked.left_out or clustering):
        return
    most = sum(one.candidates for one in attributes) + (0 if clustering is None else clustering.candidates)
    say("")
    say(f"beyond the declared splits up to {most:,} candidates would be tried, before any is looked at within a group:")
    rows = [(one.name, one.known, one.candidates, "a threshold" if one.cut else "") for one in attributes]
    if clustering is not None:
        of = f"rules of {len(clustering.features):,} features, at most"
        rows.append((f"clusters by {', '.join(clustering.methods)}", clustering.known, clustering.candidates, of))
    show_table(("attribute", "known", "candidates", ""), rows)
    if clustering is not None:
        say(f"features of clusters: {', '.join(clustering.features)}")
    for one in checked.left_out:
        if one.kind != "itemset":
            say(f"left out: {one.name}: {one.reason}")
    if itemsets := sum(one.kind == "itemset" for one in checked.left_out):
        several = "set of products that makes" if itemsets == 1 else "sets of products that make"
        say(f"left out: {itemsets:,} {several} the same groups as another candidate")


def show_assignment(assignment: Assignment) -> None:
    """Print customers by segment beside the run's, whether the sizes moved, and why customers are not known."""
    now, before = (
        sum(sizes) for sizes in zip(*((s.customers, s.in_the_run) for s in assignment.segments), strict=True)
    )
    rows = []
    for segment in assignment.segments:
        share, share_before = segment.customers / max(1, now), segment.in_the_run / max(1, before)
        moved = f"{100 * (share - share_before):+.1f}"
        rows.append((segment.name, segment.customers, f"{share:.1%}", f"{share_before:.1%}", moved))
    show_table(("segment", "customers", "share", "in the run", "points"), rows)
    for reason, customers in assignment.not_known:
        say(f"not yet known: {customers:,}: {reason}")
    drift = assignment.drift
    if drift.moved:
        say(
            f"warning: the sizes of segments have moved since the run (population stability index {drift.index:.2f}, "
            f"by chance up to {drift.by_chance:.2f}): these may be other customers than those whom it was made of; run it again"
        )


def show_offers(offered: Offered) -> None:
    """Print how many customers have an offer, by the rule behind it, the best rules first."""
    if not offered.by_offer:
        say("no offers: no rule of the run is valid")
        return
    say("")
    made = [(offer, customers) for offer, customers in offered.by_offer if customers]
    rows = [
        (offer.item, offer.because, customers, f"{offer.gain:.2g}") for offer, customers in made[:MOST_OFFERS_SHOWN]
    ]
    if rows:
        show_table(("offer", "because", "customers", "extra orders a customer"), rows)
    if len(made) > len(rows):
        say(f"\N{HORIZONTAL ELLIPSIS} and {len(made) - len(rows):,} more rules: see the file")
    rules = f"{len(offered.by_offer):,} valid rule{'s' * (len(offered.by_offer) != 1)}"
    say(f"customers with an offer: {offered.customers:,}, up to three each, by {len(made):,} of {rules}")
    if made:
        say("extra orders are those of a rule by itself: hold some customers out to learn what an offer brings")


def show_comparison(comparison: Comparison) -> None:
    """Print verdicts and effects, segments, and the table of migration of two runs, the first before the second."""
    told = [split for split in comparison.splits if len(comparison.splits) <= MOST_VERDICTS or _changed(split)]
    rows, styles = [], []
    for split in told:
        where = split.split if split.segment == EVERYBODY else f"{split.split} (in {split.segment})"
        pair = "" if split.groups is None else _pair(split.split, *split.groups)
        for run, verdict, ratio, share in (
            ("before", split.before, split.ratio.before, split.share_difference.before),
            ("after", split.after, split.ratio.after, split.share_difference.after),
        ):
            effects = (ratio, "{:.2f}", 1.0), (share, "{:+.1f}", 100.0)
            told_effects = ("" if one is None else _interval(one, form, scale=scale) for one, form, scale in effects)
            rows.append((where, run, verdict or "not tried", pair, *told_effects))
            styles.append("bold" if split.before != split.after else "")
            where = pair = ""
    show_table(
        ("split", "run", "verdict", "pair", "cycle ratio", "share back, points"), rows, styles=styles, spare=("pair",)
    )
    if others := len(comparison.splits) - len(told):
        say(
            f"\N{HORIZONTAL ELLIPSIS} and {others:,} more, with the same verdict in both and none that separates: see --json"
        )
    for split in comparison.splits:
        for name, effect in (("cycle ratio", split.ratio), ("share back", split.share_difference)):
            if effect.overlap is False:
                say(f"moved: {split.split} in {split.segment}: the intervals of the {name} do not overlap")
    say("")
    sizes = [
        (one.name, one.change, one.before or "", one.after or "", _points(one.share_before, one.share_after))
        for one in comparison.segments
    ]
    show_table(("segment", "", "customers before", "after", "points"), sizes)
    say("")
    if comparison.migration is None:
        say("no table of migration: a run without assigned.csv does not tell the segments of its customers")
        return
    migration = comparison.migration
    say("customers by segment, before down and after across:")
    show_table(
        ("", *migration.columns),
        [(name, *cells) for name, cells in zip(migration.rows, migration.customers, strict=True)],
    )


def _pair(split: str, first: str, second: str) -> str:
    """Two groups as their ratio is read, beside the name of their split."""
    return f"{short_group(split, second)} / {short_group(split, first)}"


def _changed(split: ComparedSplit) -> bool:
    """Whether a split has another verdict than before, or separates."""
    return split.before != split.after or split.after == "separates"


def _points(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f"{100 * (after - before):+.1f}"


def _groups(split: CheckedSplit) -> str:
    """Groups with their customers; of a column with many values, which may be a key, only how many there are."""
    if len(split.groups) > MOST_GROUPS:
        return f"{len(split.groups):,} values"
    return ", ".join(f"{name} {customers:,}" for name, customers in split.groups)


def _verdict_row(trial: Trial) -> tuple[object, ...]:
    customers = sum(group.customers for group in trial.groups)
    p_value = "" if trial.p_adjusted is None else f"{trial.p_adjusted:.2g}"
    split = trial.split if trial.segment == EVERYBODY else f"{trial.split} (in {trial.segment})"
    if trial.verdict_pair is None:
        return trial.verdict, split, customers, ", ".join(trial.reasons), "", "", p_value
    pair = trial.pairs[trial.verdict_pair]
    return (
        trial.verdict,
        split,
        customers,
        _pair(trial.split, pair.first, pair.second),
        _interval(pair.ratio, "{:.2f}"),
        _interval(pair.share_difference, "{:+.1f}", scale=100),
        p_value,
    )


def _remarks(trial: Trial) -> Iterator[str]:
    """What a row of the table cannot say: how a split was found, and what would decide it or let it be tested."""
    if trial.cutpoint is not None:
        cut = trial.cutpoint
        yield (
            f"found: {trial.split}: {cut.column} cut at {cut.threshold:,.10g}, the best of {cut.tried:,} thresholds in one half of the "
            f"customers (again so in {cut.chosen_again:.0%} of its resamples){_halves(trial)}"
        )
    elif trial.merged_from is not None:
        groups = " | ".join(group.name for group in trial.groups)
        yield f"found: {trial.split}: groups of {trial.merged_from} that could not be told apart as one: {groups}{_halves(trial)}"
    elif trial.source != "declared":
        yield f"found: {trial.split}{_halves(trial)}"
    if trial.verdict == "inconclusive" and trial.customers_needed is not None:
        more = (
            ""
            if trial.months_needed is None
            else f", or {trial.months_needed:,} month{'s' * (trial.months_needed != 1)} more"
        )
        yield f"not decided: {trial.split}: about {trial.customers_needed:,} customers in all{more}"
    if trial.restated is not None:
        yield f"cannot be tested as it stands: {trial.split}: the report holds it restated, to be copied into the config"


def _halves(trial: Trial) -> str:
    """What the half that chose and the half that tested say."""
    if trial.p_discovery_adjusted is None:
        return ""
    tested = "not tested" if trial.p_adjusted is None else f"{trial.p_adjusted:.2g}"
    return f"; adjusted p: {trial.p_discovery_adjusted:.2g} there, {tested} in the other half"


def _interval(interval: Interval, form: str, *, scale: float = 1) -> str:
    if interval.estimate is None:
        return "not known"
    if interval.ci_low is None or interval.ci_high is None:
        return form.format(scale * interval.estimate)
    return f"{form} ({form} to {form})".format(
        scale * interval.estimate, scale * interval.ci_low, scale * interval.ci_high
    )


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
