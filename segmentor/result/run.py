"""What a run found, and its one JSON form (``results.json``), which needs no engine to read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from segmentor.errors import InputError
from segmentor.result.cross_sell import Bundle, CrossSellRule
from segmentor.result.tree import Search, TreeNode
from segmentor.result.trial import LedgerEntry, Trial
from segmentor.wording import Message

FORMAT = 4
"""Version of ``results.json``; raised when a reader of an older one would misread it."""

NOT_YET_KNOWN = "not yet known"
"""Name of the leaf of customers to whom no group of a split applies (yet)."""

EVERYBODY = "all"
"""Name of the root: where a split is tried, and the one segment where nothing separates."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on the way to a segment.

    Attributes:
        split: The split it comes from.
        group: The group of that split.
        known: When it is known.
        condition: SQL boolean expression over lines or customers, or ``column = value``.
    """

    split: str
    group: str
    known: str
    condition: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A validated leaf: its definition, size and cycle.

    Attributes:
        id: Short stable name for files and joins, ``[a-z0-9_-]+``.
        name: Name for people; unique in a run.
        parent: Name of the segment above, ``all`` at the root, ``None`` for the root itself.
        rule: Conditions, all of which hold.
        customers: Customers in it at the end of the observed period.
        share_back: Share back by ``horizon_days``.
        mean_cycle_days: Mean cycle of those back by then.
        horizon_days: Day at which both are read.
        contact_days: Days after a purchase between which the middle half of returns falls: when to write.
        evidence: Why the segment stands, in a sentence.
        words: The rule in plain words.
    """

    id: str
    name: str
    parent: str | None
    rule: tuple[Rule, ...]
    customers: int
    share_back: float | None = None
    mean_cycle_days: float | None = None
    horizon_days: int | None = None
    contact_days: tuple[int, int] | None = None
    evidence: Message | None = None
    words: Message | None = None


@dataclass(frozen=True, slots=True)
class InputQuality:
    """Accounting of one input: ``read = kept + filtered + quarantined``.

    Attributes:
        read: Records found by a counter independent of the reader; blank lines and headers are none.
        kept: Rows that went into the canonical table.
        filtered: Rows that the config's ``where`` left out.
        quarantined: Rows that could not be used.
        reasons: Reason code to number of quarantined rows.
        fingerprint: Hash of the rows read, whatever their order.
    """

    read: int
    kept: int
    filtered: int
    quarantined: int
    reasons: dict[str, int]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CycleSummary:
    """What the cycles were made of.

    Attributes:
        customers: Customers with a purchase.
        occasions: Purchase occasions.
        cycles: Gaps that ended in a return.
        censored: Customers' last gaps, open at the end of the period.
        returns: Lines netted away as returns.
        observed_from: First day, ISO.
        observed_until: Last day, ISO.
        customers_once: Customers who bought once.
    """

    customers: int
    occasions: int
    cycles: int
    censored: int
    returns: int
    observed_from: str
    observed_until: str
    customers_once: int


@dataclass(frozen=True, slots=True)
class Quality:
    """Data quality of a run.

    Attributes:
        inputs: ``transactions``, ``products``, ``customers`` as far as declared.
        cycle: What the cycles were made of.
        warnings: What looks odd in the data, for the reader of the report.
    """

    inputs: dict[str, InputQuality]
    cycle: CycleSummary
    warnings: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything that a run found and the report shows.

    Shares lie in 0..1, durations are days, dates are ISO, and intervals are of 95 %. What is undefined is ``None``, and never a number
    that stands for it. Texts that are neither sentences nor from the data are codes: they are the same in every language.

    Attributes:
        format: Version of this record.
        experiment: Name of the experiment.
        title: Title of the report.
        language: Language of the report.
        seed: Seed of the halves.
        config: The config as resolved, as JSON-like values.
        quality: Data quality.
        trials: Every trial, in the order of the config.
        ledger: Every test with its place in the correction, by stage and then by p.
        segments: Leaves; one leaf ``all`` where nothing separates.
        rules: Promoted cross-sell rules; ``None`` where cross-sell is off.
        bundles: Sets of items that were tried as bundles, those that hold first; ``None`` where cross-sell is off.
        min_cell: Counts below it are not shown.
        tree: Nodes of the tree, a node before those below it; the root alone where nothing separates.
        search: What was gone through to find splits; ``None`` where only declared ones were tried.
        versions: Package versions that made it.
    """

    experiment: str
    title: str
    language: str
    seed: int
    config: dict[str, object]
    quality: Quality
    trials: tuple[Trial, ...]
    ledger: tuple[LedgerEntry, ...]
    segments: tuple[Segment, ...]
    rules: tuple[CrossSellRule, ...] | None
    min_cell: int
    bundles: tuple[Bundle, ...] | None = None
    tree: tuple[TreeNode, ...] = ()
    search: Search | None = None
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def customers(self) -> int:
        """Customers in the data, those without a purchase that counts too: each is in exactly one segment."""
        return sum(segment.customers for segment in self.segments)

    @property
    def never_bought(self) -> int:
        """Those of them who never made the purchase that cycles are of."""
        return max(self.customers - self.quality.cycle.customers, 0)


def to_json(result: RunResult) -> str:
    """Write the text of ``results.json``: floats in full, the same bytes for the same result.

    Keys stand in the order of the records, and those of the config in that of its file: of a split's groups the first that holds decides.

    Raises:
        ValueError: A number is NaN or infinite; what is undefined must be ``None``.
    """
    return json.dumps(asdict(result), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def from_json(text: str) -> RunResult:
    """Read what ``to_json`` wrote, into an equal result.

    Raises:
        InputError: The text is not JSON, is of another format, or lacks what a result holds.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - only readers of old runs pay for it

    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"results.json: not JSON: {error}; run the experiment again") from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise InputError(
            f"results.json: format {found!r} is not one that this version reads (it reads format {FORMAT}); "
            "run the experiment again, or use the version of segmentor that wrote it"
        )
    try:
        return TypeAdapter(RunResult).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"results.json: {where}: {first['msg']}; run the experiment again") from error
