"""The sections of a config as frozen models, with their defaults; what each key means stands in its description."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from segmentor.config import values
from segmentor.config.values import BadValueError, GroupCondition, Known, Roles

_Item = TypeVar("_Item")

FOUND = "found"
"""Key of the context in which a split is read that a run found and nobody wrote."""


def _group_name(value: str, info: ValidationInfo) -> str:
    """A split that was found may have a group of customers with several values."""
    return value if value == values.MIXED and info.context and FOUND in info.context else values.group_name(value)


Expression = Annotated[str, AfterValidator(values.expression)]
Name = Annotated[str, AfterValidator(values.name)]
GroupName = Annotated[str, AfterValidator(_group_name)]
Encoding = Annotated[Name, AfterValidator(values.encoding)]
DateFormat = Annotated[Name, AfterValidator(values.date_format)]
TimeZone = Annotated[Name, AfterValidator(values.time_zone)]
Day = Annotated[dt.date, BeforeValidator(values.iso_date), WithJsonSchema({"type": "string", "format": "date"})]
Days = Annotated[int, Field(ge=1, le=values.MAX_DAYS)]
Count = Annotated[int, Field(ge=1, le=values.MAX_COUNT)]
TwoOrMore = Annotated[int, Field(ge=2, le=values.MAX_COUNT)]
Probability = Annotated[
    float,
    AfterValidator(values.probability),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
]
Share = Annotated[float, AfterValidator(values.share), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Listed = Annotated[tuple[_Item, ...], Strict(strict=False), AfterValidator(values.distinct)]
TextOrList = Annotated[Listed[Name], BeforeValidator(values.listed, json_schema_input_type=str | list[str])]
Paths = Annotated[
    tuple[str, ...],
    PlainValidator(values.read_paths, json_schema_input_type=str | list[str]),
    PlainSerializer(lambda paths: [path.portable for path in paths]),
]
KnownWhen = Annotated[
    Known, PlainValidator(Known.read), PlainSerializer(Known.plain), WithJsonSchema(Known.json_schema())
]
Condition = Annotated[
    GroupCondition,
    PlainValidator(GroupCondition.read),
    PlainSerializer(GroupCondition.plain),
    WithJsonSchema(GroupCondition.json_schema()),
]

FILE = "file"
"""Key of the config's path in the context of a validation."""

FEATURES = (
    *("composition", "category", "brand", "size", "price_tier", "discount", "channel", "weekday"),
    *("recency", "frequency", "regularity", "money", "order_amount", "basket_size", "tenure"),
)
"""What customers can be clustered by; those of the second line are timing features."""

TRANSACTION_ROLES = Roles(
    required={"customer": "the customer's id", "time": "the time of purchase"},
    optional={
        "order": "the order's id",
        "product": "the product's id",
        "quantity": "the number of pieces, negative for a return",
        "amount": "the money of the line, negative for a return",
        "discount": "the money taken off",
        "channel": "the channel of sale",
    },
)
PRODUCT_ROLES = Roles(
    required={"product": "the product's id"},
    optional={"category": "the category", "brand": "the brand", "size": "the size", "price_tier": "the price tier"},
    others=True,
)
CUSTOMER_ROLES = Roles(required={"customer": "the customer's id"}, optional={}, others=True)
CONTACT_ROLES = Roles(
    required={"customer": "the customer's id", "time": "the time of the contact"},
    optional={
        "campaign": "the campaign",
        "channel": "the channel of the contact",
        "arm": "the arm, control for those held out",
        "cost": "the cost of the contact",
        "opened": "whether it was opened",
        "clicked": "whether it was clicked",
    },
)


TransactionColumns = Annotated[
    Mapping[str, str], PlainValidator(TRANSACTION_ROLES.read), WithJsonSchema(TRANSACTION_ROLES.json_schema())
]
ProductColumns = Annotated[
    Mapping[str, str], PlainValidator(PRODUCT_ROLES.read), WithJsonSchema(PRODUCT_ROLES.json_schema())
]
CustomerColumns = Annotated[
    Mapping[str, str], PlainValidator(CUSTOMER_ROLES.read), WithJsonSchema(CUSTOMER_ROLES.json_schema())
]
ContactColumns = Annotated[
    Mapping[str, str], PlainValidator(CONTACT_ROLES.read), WithJsonSchema(CONTACT_ROLES.json_schema())
]


class Section(BaseModel):
    """A section of the config: immutable, without unknown keys, without conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class Table(Section):
    """One table of the data: its files and what its columns stand for."""

    path: Paths = Field(
        description="File, list of files or glob, relative to the config: csv, tsv, csv.gz, xlsx, parquet. ${NAME} is taken from "
        "the environment.",
        examples=["data/transactions.parquet"],
    )
    encoding: Encoding = Field("utf-8", description="Text encoding of csv files: utf-8, gb18030, big5, utf-16, ...")
    delimiter: str | None = Field(
        None, description="Character between fields of csv files; by default a comma, a tab in tsv files."
    )
    unwrap: bool = Field(
        default=False,
        description='Whether csv files are written so that a spreadsheet leaves values alone: ="00123" and \'00123 are read as '
        "00123, and blanks and tabs around a value are taken off.",
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal sign of numbers in csv files.")
    date_format: DateFormat | None = Field(
        None, description="Format of dates in csv files, such as %d/%m/%Y; needed where dates are ambiguous."
    )
    columns: Mapping[str, str] = Field(
        description="Column of each role: {role: column}.", examples=["{customer: customer_id}"]
    )
    where: Expression | None = Field(None, description="Condition on rows; rows that do not fulfil it are left out.")
    derive: Mapping[Name, Expression] = Field(
        default_factory=dict, description="New columns: {name: SQL expression over the columns of this table}."
    )

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError(f'{values.shown(delimiter)} is not one character; write such as ";" or "\\t"')
        return delimiter

    @field_validator("decimal")
    @classmethod
    def _no_delimiter(cls, decimal: str, info: ValidationInfo) -> str:
        if decimal == info.data.get("delimiter"):
            raise ValueError("is the delimiter too; choose another delimiter")
        return decimal

    @field_validator("derive")
    @classmethod
    def _new_names(cls, derive: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        taken = [*info.data.get("columns", ()), *derive]
        lower = [name.lower() for name in taken]
        repeated = [name for name in derive if lower.count(name.lower()) > 1]
        if repeated:
            raise BadValueError(
                ((name,), "is also a role or another new column; choose another name") for name in repeated
            )
        return derive


class Transactions(Table):
    """The purchase lines: what was bought, by whom and when."""

    columns: TransactionColumns = Field(
        description="Column of each role; only customer and time are required. quantity, amount, discount and channel may be "
        "columns of derive.",
        examples=["{customer: customer_id, time: ordered_at}"],
    )
    fill_from_order: Listed[Name] | None = Field(
        None,
        description="Columns that only one line of an order fills in: its other lines take the value, where the order has no two.",
        examples=["[email, ordered_at]"],
    )

    @field_validator("fill_from_order")
    @classmethod
    def _of_an_order(cls, filled: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        roles = info.data.get("columns")
        if filled is None or roles is None:
            return filled
        if "order" not in roles:
            raise ValueError("needs to know which lines are one order; write columns: {order: COLUMN}")
        if roles["order"] in filled:
            problem = "is the order's own column, by which the lines are found; leave it out"
            raise BadValueError([((filled.index(roles["order"]),), problem)])
        return filled


class Products(Table):
    """The products, one row each."""

    columns: ProductColumns = Field(
        description="Column of each role; only product is required, and other columns may be given names of your own.",
        examples=["{product: product_id}"],
    )


class Customers(Table):
    """The customers, one row each."""

    columns: CustomerColumns = Field(
        description="Column of each role; only customer is required, and other columns may be given names of your own.",
        examples=["{customer: customer_id}"],
    )


class Contacts(Table):
    """The contacts of campaigns, one row each."""

    columns: ContactColumns = Field(
        description="Column of each role; only customer and time are required.",
        examples=["{customer: customer_id, time: sent_at}"],
    )


class Data(Section):
    """Where the data are and how to read them."""

    engine: Literal["duckdb", "spark"] = Field(
        "duckdb", description="What computes: duckdb on one machine, spark beyond it."
    )
    timezone: TimeZone = Field("UTC", description="Time zone of the shop, whose calendar days count.")
    source_timezone: TimeZone | None = Field(
        None, description="Time zone of times written without one; by default that of the shop."
    )
    transactions: Transactions = Field(
        description="The purchase lines.",
        examples=["{path: data/transactions.csv, columns: {customer: ..., time: ...}}"],
    )
    products: Products | None = Field(None, description="The products; left out: none.")
    customers: Customers | None = Field(None, description="The customers; left out: none.")
    contacts: Contacts | None = Field(None, description="The contacts of campaigns; left out: none.")
    max_quarantined: Share = Field(
        0.01, description="Largest share of rows that may be unusable; above it the run stops."
    )


class CycleMethod(Section):
    """How cycles are compared; the defaults are right unless you know why not."""

    cohort: Literal["month", "quarter", "none"] = Field(
        "month", description="Customers are compared within the month (or quarter) in which their gaps begin to count."
    )
    score: Literal["both", "typical_gap", "typical_customer"] = Field(
        "both", description="What a test weighs equally: every gap, every customer, or the stronger of the two."
    )
    effect: Literal["typical_customer", "typical_gap"] = Field(
        "typical_customer", description="Whose cycle an effect describes: every customer or every gap weighs the same."
    )

    @field_validator("score")
    @classmethod
    def _valid_without_cohorts(cls, score: str, info: ValidationInfo) -> str:
        if score == "typical_gap" and info.data.get("cohort") == "none":
            raise ValueError("typical_gap is only valid within cohorts; write typical_customer, or cohort: month")
        return score


class Cycle(Section):
    """What a purchase is, and the time it is looked at."""

    purchase: Expression | None = Field(
        None, description="Condition on lines that count as a purchase; left out: all lines."
    )
    observed_from: Day | None = Field(None, description="First day looked at; by default the first in the data.")
    observed_until: Day | None = Field(None, description="Last day looked at; by default the last in the data.")
    merge_within_days: Days = Field(
        1, description="Purchases of a customer within so many days are one occasion; 1 is the same calendar day."
    )
    horizon_days: Days | None = Field(
        None, description="Day at which cycles are cut; by default 90 % of observed returns have happened by then."
    )
    advanced: Annotated[CycleMethod, BeforeValidator(values.or_empty, json_schema_input_type=CycleMethod | None)] = (
        Field(None, validate_default=True, description="How cycles are compared.")
    )

    @field_validator("observed_until")
    @classmethod
    def _after_the_first_day(cls, until: dt.date | None, info: ValidationInfo) -> dt.date | None:
        first = info.data.get("observed_from")
        if until and first and until < first:
            raise ValueError(f"{until} lies before observed_from, {first}; exchange the two or correct one")
        return until


class DeclaredSplit(Section):
    """A partition of customers that was stated before looking at the data."""

    name: Name = Field(description="Name of the split, unique in the experiment.", examples=["bottle size"])
    known: KnownWhen = Field(
        description="When a customer's group is known: entry, first_purchase, {first_purchases: n}, {until: DATE}; "
        "a split known over the lifetime is shown and never validated.",
        examples=["first_purchase"],
    )
    groups: Mapping[GroupName, Condition] | None = Field(
        None,
        description="Condition of each group, the first that holds decides; a text holds if any purchase line fulfils it, "
        "{all: text} if all do. A condition may name features instead of columns, such as discount_share.",
    )
    by: Name | None = Field(
        None,
        description="Column whose values are the groups, instead of groups; with thresholds, the column or feature that is cut.",
        validate_default=True,
    )
    thresholds: Literal["auto"] | None = Field(
        None, description="auto: cut the numbers of by where the data say; such a split counts as found."
    )

    @field_validator("groups")
    @classmethod
    def _two_groups(cls, groups: Mapping[str, GroupCondition] | None) -> Mapping[str, GroupCondition] | None:
        if groups is not None and len(groups) < 2:
            raise ValueError(f"{len(groups)} group is nothing to compare; write two groups or more")
        return groups

    @field_validator("by")
    @classmethod
    def _groups_or_by(cls, by: str | None, info: ValidationInfo) -> str | None:
        groups = info.data.get("groups", {})
        if by is None and groups is None:
            raise ValueError("the split has neither groups nor by; write groups: {name: condition, ...} or by: COLUMN")
        if by is not None and groups:
            raise ValueError("stands beside groups; keep one of the two")
        return by

    @field_validator("thresholds")
    @classmethod
    def _of_a_column(cls, thresholds: str | None, info: ValidationInfo) -> str | None:
        if thresholds and info.data.get("groups"):
            raise ValueError("goes with by: COLUMN and not with groups; leave it out")
        return thresholds

    @classmethod
    def found(cls, content: Mapping[str, Any]) -> DeclaredSplit:
        """Read a split that a run found, which may have the group ``mixed``.

        Raises:
            ValueError: It is no split.
        """
        return cls.model_validate(dict(content), context={FOUND: True})


class Enumerated(Section):
    """Candidate splits found by going through attributes."""

    known: KnownWhen = Field(Known("first_purchase"), description="When a customer's group is known.")
    columns: TextOrList = Field(
        ("auto",), description="Columns and features to go through, or auto: all but keys, and no features of timing."
    )
    max_groups: TwoOrMore = Field(
        12, description="Of a column with more values than this the rarest are one group, other; keys are left out."
    )
    thresholds: bool = Field(default=True, description="Whether to look for the best cut of numbers.")
    pairs: bool = Field(default=False, description="Whether to look at pairs of attributes.")


class Clustered(Section):
    """Candidate splits found by clustering customers."""

    known: KnownWhen = Field(description="Date before which behaviour is clustered.", examples=["{until: 2017-06-30}"])
    methods: Listed[Literal["kmeans", "gmm", "hdbscan"]] = Field(
        ("kmeans", "gmm", "hdbscan"), description="Methods of clustering."
    )
    features: TextOrList = Field(
        ("composition",), description="composition (what a customer is like), or a list that may name timing features."
    )
    max_clusters: TwoOrMore = Field(8, description="Largest number of clusters.")

    @field_validator("features")
    @classmethod
    def _known_features(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        problems = [
            ((), f"{values.shown(word)} is no feature; {values.mend_choice(word, FEATURES)}")
            for word in features
            if word not in FEATURES
        ]
        if problems:
            raise BadValueError(problems)
        return features


class Splits(Section):
    """The candidate splits that are tried."""

    declared: Annotated[tuple[DeclaredSplit, ...], Strict(strict=False)] = Field(
        (), description="Splits stated before looking at the data."
    )
    enumerated: Enumerated | None = Field(None, description="Splits found by going through attributes; left out: off.")
    clustered: Clustered | None = Field(None, description="Splits found by clustering customers; left out: off.")


class TrialMethod(Section):
    """How candidates are tried; the defaults are right unless you know why not."""

    screening: Literal["min_p", "benjamini_yekutieli"] = Field(
        "min_p", description="How found splits are screened for many candidates at once."
    )


class TrialSettings(Section):
    """When a split counts as separating, and when as equivalent."""

    minimum_effect: Share = Field(0.10, description="Smallest change of the mean cycle that matters, as a share of it.")
    minimum_share: Share = Field(0.05, description="Smallest change of the share back that matters.")
    level: Probability = Field(0.05, description="Probability of a false alarm, over all declared splits together.")
    confirm_share: Probability = Field(0.5, description="Share of customers set aside to confirm found splits.")
    min_group: TwoOrMore = Field(100, description="Smallest group, in customers, about which anything is claimed.")
    return_days: Listed[Days] = Field((30, 60, 90), description="Days by which the share back is shown.")
    advanced: Annotated[TrialMethod, BeforeValidator(values.or_empty, json_schema_input_type=TrialMethod | None)] = (
        Field(None, validate_default=True, description="How candidates are tried.")
    )


class SegmentSettings(Section):
    """How segments are built from splits that separate."""

    max_depth: Annotated[int, Field(ge=1, le=20)] = Field(
        3, description="Largest number of splits one below the other."
    )


class CrossSell(Section):
    """Rules of what is bought with or after what."""

    level: TextOrList = Field(
        ("category",), description="Column whose values are the items, or a list of such columns."
    )
    min_customers: Count = Field(50, description="Fewest customers who must have bought the items of a rule.")
    within_days: Days = Field(90, description="Days after a purchase in which a next purchase counts.")
    max_items: TwoOrMore = Field(3, description="Most items in a rule.")
    bundle_discount: Share = Field(0.05, description="Discount of an offer, as a share of the price.")
    margin: Share = Field(
        0.4, validate_default=True, description="Margin, as a share of the price; more than bundle_discount."
    )

    @field_validator("margin")
    @classmethod
    def _more_than_the_discount(cls, margin: float, info: ValidationInfo) -> float:
        discount = info.data.get("bundle_discount")
        if discount is not None and margin <= discount:
            raise ValueError(
                f"{margin:g} is no more than bundle_discount, {discount:g}, which would leave nothing of a bundle; correct one of the two"
            )
        return margin


class Privacy(Section):
    """What may not be shown."""

    min_cell: Count = Field(10, description="Counts of customers below this are not shown.")
    assigned: bool = Field(
        default=True,
        description="Whether assigned.csv, the segment of each customer by id, is written; compare counts moves from it.",
    )


class ExperimentConfig(Section):
    """One experiment, complete: what is asked, of which data, by which rules.

    A section that may be off is ``None`` where it is.
    """

    experiment: Annotated[Name, AfterValidator(values.experiment_name)] = Field(
        description="Name of the experiment, which names the folder of its results.", examples=["ketchup-size"]
    )
    title: str = Field(
        "", description="Title of the report; by default the name of the experiment.", validate_default=True
    )
    language: Literal["en", "zh"] = Field("en", description="Language of the report.")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        1, description="Seed by which customers are drawn into halves."
    )
    data: Data = Field(description="Where the data are.", examples=["{transactions: {path: ..., columns: ...}}"])
    cycle: Annotated[Cycle, BeforeValidator(values.or_empty, json_schema_input_type=Cycle | None)] = Field(
        None, validate_default=True, description="What a purchase is, and the time it is looked at."
    )
    splits: Annotated[Splits, BeforeValidator(values.or_empty, json_schema_input_type=Splits | None)] = Field(
        None, validate_default=True, description="The candidate splits that are tried."
    )
    trial: Annotated[TrialSettings, BeforeValidator(values.or_empty, json_schema_input_type=TrialSettings | None)] = (
        Field(None, validate_default=True, description="When a split counts as separating.")
    )
    segments: Annotated[
        SegmentSettings, BeforeValidator(values.or_empty, json_schema_input_type=SegmentSettings | None)
    ] = Field(None, validate_default=True, description="How segments are built.")
    cross_sell: CrossSell | None = Field(None, description="Rules of what is bought with what; left out: off.")
    privacy: Annotated[Privacy, BeforeValidator(values.or_empty, json_schema_input_type=Privacy | None)] = Field(
        None, validate_default=True, description="What may not be shown."
    )
    _file: Path = PrivateAttr(default=Path("experiment.yaml"))

    def model_post_init(self, context: Any) -> None:
        """Remember the file, where the validation was told one."""
        if context and FILE in context:
            self._file = context[FILE]

    @field_validator("title")
    @classmethod
    def _named_if_left_out(cls, title: str, info: ValidationInfo) -> str:
        return values.name(title or info.data.get("experiment", "untitled"))

    @property
    def folder(self) -> Path:
        """Folder of the config, from which relative paths count; no part of ``resolved``."""
        return self._file.parent

    @property
    def source(self) -> str:
        """File name of the config."""
        return self._file.name

    def resolved(self) -> dict[str, Any]:
        """Every setting as JSON values, defaults included; paths as declared, absolute ones by their file name alone."""
        return self.model_dump(mode="json")
