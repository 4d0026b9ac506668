"""The tree of segments ready to be drawn: what is at each node, what was tried there, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from segmentor.report.beside import crossover_answer, sticks
from segmentor.report.figures import share_bar
from segmentor.report.ledger import places
from segmentor.report.lines import counts_in, group_at
from segmentor.report.names import listed, name
from segmentor.report.numbers import DAYS, PERCENT, RATIO, SIGNED_POINTS, count, probability, quantity
from segmentor.report.saying import say, say_many
from segmentor.report.small_cells import Counts
from segmentor.report.vocabulary import ENDED, NOT_TESTED
from segmentor.report.words import few, heading, short_group, verdict_pair
from segmentor.result import Chosen, RunResult, TreeNode, Trial
from segmentor.result.standing import defined, standing, without_group
from segmentor.wording import gettext, marked

MOST_CHOSEN = 5
"""Splits of resamples that are named at a node."""

_WHY_NOT_TESTED = (
    marked("circular"),
    marked("not comparable"),
    marked("no threshold"),
    marked("one group"),
    marked("too few events"),
    marked("too few customers"),
)
"""Reason codes of splits that cannot be tested, short enough to stand in brackets."""

MOST_OPEN = 40
"""Nodes of a tree that is drawn whole."""


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
        others: Of the root, how many customers are in the data, where some have no purchase that counts.
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
    others: str = ""
    below: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What all nodes are drawn from.

    Attributes:
        result: The run.
        counts: How counts of customers are shown.
        nodes: Nodes that stand: the root and those whose parent's split held.
        without_group: Of each node with a split that held, customers in none of its groups.
        trials: By segment and split.
        targets: Where the cards of splits are.
    """

    result: RunResult
    counts: Counts
    nodes: Sequence[TreeNode]
    without_group: Mapping[str, int]
    trials: Mapping[tuple[str, str], Trial]
    targets: Mapping[tuple[str, str], str]


def root(result: RunResult, counts: Counts) -> Branch | None:
    """The tree from its root; ``None`` for a run without one."""
    nodes = standing(result)
    if not nodes:
        return None
    trials = {(trial.segment, trial.split): trial for trial in result.trials}
    return _branch(nodes[0], Markup(""), _Drawn(result, counts, nodes, without_group(nodes), trials, places(result)))


def is_large(result: RunResult) -> bool:
    """Whether the nodes below the first level are shown on demand, so that the whole can be seen."""
    return len(standing(result)) > MOST_OPEN


def summary(result: RunResult) -> Markup:
    """How many splits make how many segments, and how many were dropped."""
    held = [node for node in result.tree if node.held]
    dropped = [node for node in result.tree if node.ended == "not confirmed"]
    untested = sum(map(was_too_small, dropped))
    said = [
        say_many(
            "{splits} makes {segments}.",
            "{splits} make {segments}.",
            len(held),
            splits=count(len(held), "split", "splits"),
            segments=count(len(defined(result)), "segment", "segments"),
        )
    ]
    if refuted := len(dropped) - untested:
        said.append(
            say_many(
                "{splits} that one half of the customers suggested was not borne out by the other, and is grey.",
                "{splits} that one half of the customers suggested were not borne out by the other, and are grey.",
                refuted,
                splits=count(refuted, "split", "splits"),
            )
        )
    if untested:
        said.append(
            say_many(
                "{splits} that one half of the customers suggested was too small to be tested in the other, and is grey.",
                "{splits} that one half of the customers suggested were too small to be tested in the other, and are grey.",
                untested,
                splits=count(untested, "split", "splits"),
            )
        )
    return Markup(" ").join(said)


def came_about(result: RunResult) -> str:
    """Who suggested the splits that hold, and on whom they were tested."""
    suggested = {node.p_discovery_adjusted is not None for node in result.tree if node.held}
    said = []
    if True in suggested:
        said.append(
            gettext(
                "What one half of the customers suggested held in the other half, and the numbers at its ends are of that half."
            )
        )
    if False in suggested:
        said.append(gettext("What was declared was tested on all customers."))
    return " ".join(said)


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
        candidate = _with_effect(name(node.split), trials.get((node.segment, node.split)))
        screened = probability(node.p_discovery_adjusted, "p")
        tested = probability(node.p_adjusted, "p")
        if node.p_discovery_adjusted is None and node.p_adjusted is None:
            said.append(say("The strongest candidate was {candidate}.", candidate=candidate))
        elif node.p_adjusted is None:
            said.append(
                say(
                    "The strongest candidate was {candidate}; adjusted {p} in the half that suggested it.",
                    candidate=candidate,
                    p=screened,
                )
            )
        elif node.p_discovery_adjusted is None:
            said.append(
                say(
                    "The strongest candidate was {candidate}; adjusted {p} in the half that tested it.",
                    candidate=candidate,
                    p=tested,
                )
            )
        else:
            said.append(
                say(
                    "The strongest candidate was {candidate}; adjusted {p} in the half that suggested it and {p_other} in the half that "
                    "tested it.",
                    candidate=candidate,
                    p=screened,
                    p_other=tested,
                )
            )
    elif entries := [
        entry
        for entry in result.ledger
        if entry.segment == node.segment and entry.stage in ("discovery", "declared") and entry.p_adjusted is not None
    ]:
        first = min(entries, key=lambda entry: (entry.p_adjusted or 0.0, entry.p_value or 0.0))
        said.append(
            say(
                "The nearest was {candidate}: {p}, and {p_adjusted} when adjusted for {tests}.",
                candidate=_with_effect(name(first.split), trials.get((first.segment, first.split))),
                p=probability(first.p_value, "p"),
                p_adjusted=probability(first.p_adjusted, "p"),
                tests=count(first.of, "test", "tests"),
            )
        )
    if node.chosen_again:
        most = node.chosen_again[0]
        said.append(
            say(
                "Had other customers like them been drawn, {split} would have been chosen most often, in {share} of the draws; where a "
                "split is real, most draws agree on it.",
                split=name(most.split),
                share=quantity(most.share, PERCENT),
            )
        )
    return Markup(" ").join(said)


def was_too_small(node: TreeNode) -> bool:
    """Whether a node's split fell because the other half could not test it, and not because it was refuted there."""
    return node.ended == "not confirmed" and node.p_adjusted is None


def _branch(node: TreeNode, by: Markup, drawn: _Drawn) -> Branch:
    result, counts = drawn.result, drawn.counts
    everyone = drawn.nodes[0].customers
    trial = drawn.trials.get((node.segment, node.split or ""))
    segment = next((each for each in result.segments if each.name == node.segment), None)
    leaf = segment if segment is not None and not node.held else None
    seen = leaf is not None and leaf.share_back is not None and leaf.customers >= counts.min_cell
    split = heading(node.split) if node.held and node.split is not None else Markup("")
    made_by = name(node.split or "")
    below = [_branch(each, made_by, drawn) for each in drawn.nodes if each.parent == node.segment]
    if rest := drawn.without_group.get(node.segment):
        below.append(Branch(say("Not yet known"), made_by, counts(rest), unknown=True))
    return Branch(
        say("All customers") if node.parent is None else heading(group_at(node)),
        by,
        counts(node.customers),
        share_bar(node.customers / everyone) if counts.exact(node.customers) and everyone else "",
        split,
        gettext("{share} back within {days}").format(
            share=quantity(leaf.share_back, PERCENT), days=quantity(leaf.horizon_days, DAYS)
        )
        if leaf and seen
        else "",
        gettext("mean cycle {days}").format(days=quantity(leaf.mean_cycle_days, DAYS))
        if leaf and seen and leaf.mean_cycle_days is not None
        else "",
        f"segment-{result.segments.index(leaf) + 1}" if leaf is not None else "",
        drawn.targets.get((node.segment, node.split or ""), ""),
        tuple(_facts(node, trial, counts)),
        tuple(_again(chosen) for chosen in node.chosen_again[:MOST_CHOSEN]),
        _pruned(node, trial, result),
        others=gettext("with a purchase that counts, of {customers} in the data").format(
            customers=counts(result.customers)
        )
        if node.parent is None and result.never_bought
        else "",
        below=tuple(below),
    )


def _facts(node: TreeNode, trial: Trial | None, counts: Counts) -> list[Markup]:
    """What was tried at a node, what came of it in each half, and who comes back for what."""
    if not node.tried and node.ended == "nothing passed":
        return [say("Nothing was tried here: no candidate makes two groups that are large enough.")]
    said = [
        say("{candidates} tried here.", candidates=count(node.tried, "candidate", "candidates"))
        if node.tried
        else say("Nothing was tried here.")
    ]
    if node.split is not None:
        said.append(_what_came(node, node.split, trial))
    elif node.ended is not None:
        said.append(say("It ends here: {why}.", why=_ended(node.ended)))
    if trial is not None and trial.crossover is not None and trial.crossover.customers >= counts.min_cell:
        said.append(
            say(
                "{crossover} {stickiness}.",
                crossover=crossover_answer(trial, counts_in(trial, counts)),
                stickiness=sticks(trial.crossover),
            )
        )
    return said


def _what_came(node: TreeNode, split: str, trial: Trial | None) -> Markup:
    """Who suggested the split of a node, and what came of it where it was tested."""
    if node.p_discovery_adjusted is None:
        chosen = say("{split} was declared before looking", split=heading(split))
        came = say("it holds") if node.held else say("it does not hold")
    else:
        chosen = say(
            "One half of the customers chose {split} (adjusted for all of them {p})",
            split=name(split),
            p=probability(node.p_discovery_adjusted, "p"),
        )
        came = say("in the other half it holds") if node.held else say("in the other half it does not hold")
    if node.p_adjusted is None:
        return say("{chosen}; it was not tested in the other half.", chosen=chosen)
    p_value, effect = probability(node.p_adjusted, "p"), _effect(trial)
    if effect:
        return say("{chosen}; {came}, {effect} (adjusted {p}).", chosen=chosen, came=came, effect=effect, p=p_value)
    return say("{chosen}; {came} (adjusted {p}).", chosen=chosen, came=came, p=p_value)


def _effect(trial: Trial | None) -> Markup:
    """The effect of a split, to stand beside its p; empty where there is none."""
    pair = None if trial is None else verdict_pair(trial)
    if pair is None:
        return Markup("")
    return say(
        "{second} against {first} with a ratio of {ratio} and {points} of the share back",
        second=name(pair.second),
        first=name(pair.first),
        ratio=quantity(pair.ratio.estimate, RATIO),
        points=quantity(pair.share_difference.estimate, SIGNED_POINTS),
    )


def _with_effect(split: Markup, trial: Trial | None) -> Markup:
    """A split and its effect."""
    effect = _effect(trial)
    return say("{split}, {effect}", split=split, effect=effect) if effect else split


def _ended(why: str) -> Markup:
    """Why a tree ends at a node, as part of a sentence."""
    return say(ENDED[why]) if why in ENDED else name(why)


def _again(chosen: Chosen) -> Again:
    return Again(name(chosen.split), quantity(chosen.share, PERCENT), share_bar(chosen.share))


def _pruned(node: TreeNode, trial: Trial | None, result: RunResult) -> Pruned | None:
    if node.split is None or node.held:
        return None
    lost = [each for each in result.tree if each.segment.startswith(f"{node.segment} / ") or node.parent is None]
    deeper = sum(each.split is not None for each in lost if each is not node)
    why = _ended(node.ended or "not confirmed")
    if was_too_small(node):
        why = say(NOT_TESTED)
        if trial is not None and trial.reasons and trial.reasons[0] in _WHY_NOT_TESTED:
            why = say("{why} ({reason})", why=why, reason=gettext(trial.reasons[0]))
    if deeper:
        why = say("{why}, and with it {splits} further down", why=why, splits=count(deeper, "split", "splits"))
    return Pruned(
        heading(node.split), listed(few([name(short_group(node.split, group)) for group in node.groups])), why
    )
