"""The tree of segments ready to be drawn: what is at each node, what was tried there, and how sure it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from segmentor.report.beside import crossover_answer, sticks
from segmentor.report.figures import share_bar
from segmentor.report.ledger import places
from segmentor.report.names import listed, name
from segmentor.report.numbers import DAYS, PERCENT, RATIO, SIGNED_POINTS, count, probability, quantity
from segmentor.report.small_cells import is_exact, shown_lines
from segmentor.report.vocabulary import ENDED
from segmentor.report.words import few, heading, trial_counts, verdict_pair
from segmentor.result import EVERYBODY, NOT_YET_KNOWN, Chosen, RunResult, Segment, TreeNode, Trial
from segmentor.result.standing import standing

MOST_CHOSEN = 5
"""Splits of resamples that are named at a node."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A split that one half of the customers suggested and the other did not bear out."""

    split: Markup
    groups: Markup
    why: Markup


@dataclass(frozen=True, slots=True)
class Again:
    """A split that resamples choose at a node."""

    split: Markup
    share: str
    bar: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A node as it is drawn, with those below it.

    Attributes:
        name: The group that it is, or all customers.
        by: The split whose group it is; empty at the root.
        customers: How many are in it, as may be shown.
        bar: Their share of all customers as a drawing; empty where the count may not be shown.
        split: The split that makes the nodes below; empty at a leaf.
        back: Share back at a leaf, and by which day; empty elsewhere, and where customers are few.
        cycle: Mean cycle of those back.
        tile: Where on the page the segment stands; empty for a node that is none.
        card: Where on the page the trial of the node's split stands; empty where there is none.
        facts: What was tried here, what came of it, and how sure that is.
        again: Splits that resamples choose here.
        pruned: The split that was not confirmed; ``None`` for any other node.
        unknown: Whether it holds the customers to whom no group applies (yet).
        below: The nodes below.
    """

    name: Markup
    by: Markup
    customers: str
    bar: str = ""
    split: Markup = field(default_factory=Markup)
    back: str = ""
    cycle: str = ""
    tile: str = ""
    card: str = ""
    facts: tuple[Markup, ...] = ()
    again: tuple[Again, ...] = ()
    pruned: Pruned | None = None
    unknown: bool = False
    below: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What all nodes are drawn from.

    Attributes:
        nodes: Nodes that stand: the root and those whose parent's split held.
        below: Of each node, by its place, the places of those below it.
        unknown: Of each node with a split that held, customers in none of its groups.
        sizes: Customers as may be shown: of each node by its place, of a node's unknown by ``(place,)``, of a segment by its id.
        trials: By segment and split.
        leaves: Segments by name.
        targets: Where the cards of splits are.
    """

    nodes: Sequence[TreeNode]
    below: Mapping[int, Sequence[int]]
    unknown: Mapping[int, int]
    sizes: Mapping[object, str]
    trials: Mapping[tuple[str, str], Trial]
    leaves: Mapping[str, Segment]
    targets: Mapping[tuple[str, str], str]


def root(result: RunResult) -> Branch | None:
    """The tree from its root; ``None`` for a run without one."""
    drawn = _drawn(result)
    return _branch(0, Markup(""), drawn, result) if drawn.nodes else None


def summary(result: RunResult) -> Markup:
    """How many splits make how many segments, and how many were dropped."""
    held = [node for node in result.tree if node.held]
    pruned = [node for node in result.tree if node.ended == "not confirmed"]
    made = Markup("{} {} {}.").format(
        count(len(held), "split"), "makes" if len(held) == 1 else "make", count(len(result.segments), "segment")
    )
    if not pruned:
        return made
    return made + Markup(
        " {} that one half of the customers suggested {} not borne out by the other, and {} grey."
    ).format(count(len(pruned), "split"), "was" if len(pruned) == 1 else "were", "is" if len(pruned) == 1 else "are")


def splits_nothing(result: RunResult) -> bool:
    """Whether the tree is its root alone."""
    return not any(node.held for node in result.tree)


def nearest(result: RunResult) -> Markup:
    """What came nearest to a split of all customers; empty where nothing was tested."""
    if not result.tree:
        return Markup("")
    node = result.tree[0]
    trials = {(trial.segment, trial.split): trial for trial in result.trials}
    said = []
    if node.split is not None:
        told = [
            Markup("{} {}").format(probability(p_value, "p"), where)
            for p_value, where in (
                (node.p_discovery_adjusted, "in the half that suggested it"),
                (node.p_adjusted, "in the half that tested it"),
            )
            if p_value is not None
        ]
        effect = _effect(trials.get((node.segment, node.split)))
        said.append(
            Markup("The strongest candidate was {}{}{}{}.").format(
                name(node.split), effect, "; adjusted " if told else "", listed(told)
            )
        )
    elif screened := [
        entry
        for entry in result.ledger
        if entry.segment == node.segment and entry.stage in ("discovery", "declared") and entry.p_adjusted is not None
    ]:
        first = min(screened, key=lambda entry: (entry.p_adjusted or 0.0, entry.p_value or 0.0))
        said.append(
            Markup("The nearest was {}{}: {}, and {} when adjusted for {}.").format(
                name(first.split),
                _effect(trials.get((first.segment, first.split))),
                probability(first.p_value, "p"),
                probability(first.p_adjusted, "p"),
                count(first.of, "test"),
            )
        )
    if node.chosen_again:
        most = node.chosen_again[0]
        said.append(
            Markup(
                "Had other customers like them been drawn, {} would have been chosen most often, in {} of the draws; where a split is "
                "real, most draws agree on it."
            ).format(name(most.split), quantity(most.share, PERCENT))
        )
    return Markup(" ").join(said)


def segment_counts(result: RunResult) -> list[str]:
    """Customers of each segment as they may be shown, in agreement with the tree."""
    sizes = _drawn(result).sizes
    return [sizes["segment", place] for place in range(len(result.segments))]


def _drawn(result: RunResult) -> _Drawn:
    nodes = standing(result)
    at = {node.segment: place for place, node in enumerate(nodes)}
    below: dict[int, list[int]] = {}
    for place, node in enumerate(nodes):
        if node.parent is not None:
            below.setdefault(at[node.parent], []).append(place)
    trials = {(trial.segment, trial.split): trial for trial in result.trials}
    unknown = {
        place: max(nodes[place].customers - sum(nodes[each].customers for each in children), 0)
        for place, children in below.items()
    }
    return _Drawn(
        nodes,
        below,
        unknown,
        _sizes(nodes, below, unknown, trials, result),
        trials,
        {segment.name: segment for segment in result.segments},
        places(result),
    )


def _sizes(
    nodes: Sequence[TreeNode],
    below: Mapping[int, Sequence[int]],
    unknown: Mapping[int, int],
    trials: Mapping[tuple[str, str], Trial],
    result: RunResult,
) -> dict[object, str]:
    """Customers as they may be shown, so that none that is hidden can be had from those above and below it."""
    counts: list[int] = []
    keys: list[object] = []

    def add(key: object, customers: int) -> int:
        keys.append(key)
        counts.append(customers)
        return len(counts) - 1

    at = [add(place, node.customers) for place, node in enumerate(nodes)]
    rest = {place: add(("unknown", place), customers) for place, customers in unknown.items()}
    # How many there are in all is known anyway, so that the root is no place to say roughly.
    lines = [[*([at[place]] if place else []), *(at[each] for each in below[place]), rest[place]] for place in below]
    of_path = {node.segment: place for place, node in enumerate(nodes) if place not in below}
    segments = []
    for place, segment in enumerate(result.segments):
        leaf = of_path.get(segment.name)
        same = (
            at[leaf] if leaf is not None else rest[0] if list(rest) == [0] and segment.name == NOT_YET_KNOWN else None
        )
        if same is None or counts[same] != segment.customers:
            same = add(("segment", place), segment.customers)
            lines.append([same, *(rest.values() if segment.name == NOT_YET_KNOWN else ())])
        segments.append(same)
    lines.append(segments)
    rough = set()
    for place, children in below.items():
        trial = trials.get((nodes[place].segment, nodes[place].split or ""))
        if trial is not None:
            told = dict(zip((group.name for group in trial.groups), trial_counts(trial, result.min_cell), strict=False))
            rough |= {at[each] for each in children if not is_exact(told.get(_last(nodes[each]), "0"))}
    shown = shown_lines(counts, lines, result.min_cell, rough=rough)
    return {
        **dict(zip(keys, shown, strict=True)),
        **{("segment", place): shown[same] for place, same in enumerate(segments)},
    }


def _branch(place: int, by: Markup, drawn: _Drawn, result: RunResult) -> Branch:
    node = drawn.nodes[place]
    customers = drawn.sizes[place]
    trial = drawn.trials.get((node.segment, node.split or ""))
    split = heading(node.split) if node.held and node.split is not None else Markup("")
    segment = drawn.leaves.get(node.segment)
    leaf = segment if segment is not None and not node.held else None
    seen = leaf is not None and leaf.share_back is not None and leaf.customers >= result.min_cell
    below = [_branch(each, name(node.split or ""), drawn, result) for each in drawn.below.get(place, ())]
    if drawn.unknown.get(place):
        below.append(
            Branch(escape("Not yet known"), name(node.split or ""), drawn.sizes["unknown", place], unknown=True)
        )
    return Branch(
        escape("All customers") if node.parent is None else heading(_last(node)),
        by,
        customers,
        share_bar(node.customers / drawn.nodes[0].customers)
        if is_exact(customers) and drawn.nodes[0].customers
        else "",
        split,
        f"{quantity(leaf.share_back, PERCENT)} back within {quantity(leaf.horizon_days, DAYS)}"
        if leaf and seen
        else "",
        f"mean cycle {quantity(leaf.mean_cycle_days, DAYS)}"
        if leaf and seen and leaf.mean_cycle_days is not None
        else "",
        f"segment-{result.segments.index(leaf) + 1}" if leaf is not None else "",
        drawn.targets.get((node.segment, node.split or ""), ""),
        tuple(_facts(node, trial, result)),
        tuple(_again(chosen) for chosen in node.chosen_again[:MOST_CHOSEN]),
        _pruned(node, result),
        below=tuple(below),
    )


def _facts(node: TreeNode, trial: Trial | None, result: RunResult) -> list[Markup]:
    """What was tried at a node, what came of it in each half, and who comes back for what."""
    said = [
        Markup("{} tried here.").format(count(node.tried, "candidate"))
        if node.tried
        else Markup("Nothing was tried here.")
    ]
    if node.split is not None:
        chosen = (
            Markup("{} was declared before looking").format(heading(node.split))
            if node.p_discovery_adjusted is None
            else Markup("One half of the customers chose {} (adjusted for all of them {})").format(
                name(node.split), probability(node.p_discovery_adjusted, "p")
            )
        )
        tested = escape("it was not tested in the other half")
        if node.p_adjusted is not None:
            tested = Markup("{}{}{} (adjusted {})").format(
                "" if node.p_discovery_adjusted is None else "in the other half ",
                "it holds" if node.held else "it does not hold",
                _effect(trial),
                probability(node.p_adjusted, "p"),
            )
        said.append(Markup("{}; {}.").format(chosen, tested))
    elif node.ended is not None:
        ended = escape(ENDED[node.ended]) if node.ended in ENDED else name(node.ended)
        said.append(Markup("It ends here: {}.").format(ended))
    if trial is not None and trial.crossover is not None and trial.crossover.customers >= result.min_cell:
        said.append(Markup("{} {}.").format(crossover_answer(trial, result.min_cell), sticks(trial.crossover)))
    return said


def _effect(trial: Trial | None) -> Markup:
    """The effect of a split, to stand beside its p."""
    pair = None if trial is None else verdict_pair(trial)
    if pair is None:
        return Markup("")
    return Markup(", {} against {} with a ratio of {} and {} of the share back").format(
        name(pair.second),
        name(pair.first),
        quantity(pair.ratio.estimate, RATIO),
        quantity(pair.share_difference.estimate, SIGNED_POINTS),
    )


def _again(chosen: Chosen) -> Again:
    return Again(name(chosen.split), quantity(chosen.share, PERCENT), share_bar(chosen.share))


def _pruned(node: TreeNode, result: RunResult) -> Pruned | None:
    if node.split is None or node.held:
        return None
    lost = [each for each in result.tree if each.segment.startswith(f"{node.segment} / ") or node.parent is None]
    deeper = sum(each.split is not None for each in lost if each is not node)
    why = escape(ENDED[node.ended]) if node.ended in ENDED else name(node.ended or "not confirmed")
    if deeper:
        why += Markup(", and with it {} further down").format(count(deeper, "split"))
    return Pruned(heading(node.split), listed(few([name(group) for group in node.groups])), why)


def _last(node: TreeNode) -> str:
    """The group that a node is: a stroke that stands alone in its name is doubled in that of the segment."""
    above = "" if node.parent in (None, EVERYBODY) else f"{node.parent} / "
    return _DOUBLED.sub(r"\1", node.segment.removeprefix(above))


_DOUBLED = re.compile(r"(?<![^ ])/(/+)(?![^ ])")
