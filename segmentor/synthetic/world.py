"""The published parameters of the fragrance world: every figure a field, with its default."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from segmentor.errors import InputError

Shares = tuple[tuple[str, float], ...]
"""Names with their shares, which sum to 1."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category that is bought beside the fragrance.

    Attributes:
        name: The category.
        share: Share of occasions with it, for an appetite of 1 outside its months.
        months: Months (1..12) in which it sells ``basket_season_factor`` times as often.
        price: Price in the middle tier.
    """

    name: str
    share: float
    months: tuple[int, ...]
    price: float


@dataclass(frozen=True, slots=True)
class PlantedRule:
    """A rule between two categories with a known lift within strata of month and appetite.

    Attributes:
        antecedent: Category X.
        consequent: Category Y.
        mode: ``same_occasion``: both in one occasion. ``next_purchase``: Y in a later occasion within
            ``rule_within_days`` of one with X, by a customer who had not bought Y until then.
        lift: P(both) / (P(X) P(Y)), where P(Y) in the second mode is that of buying Y in the days after any occasion.
    """

    antecedent: str
    consequent: str
    mode: Literal["same_occasion", "next_purchase"]
    lift: float


_SHARES = ("genders", "sizes", "channels")
_RANGES = {
    **dict.fromkeys((*_SHARES, "buys_once", "leaves", "keep_gender", "keep_size", "contact_fatigue"), (0.0, 1.0)),
    **dict.fromkeys(("contact_opened", "contact_clicked", "buys_two", "discounted", "discount_rate"), (0.0, 1.0)),
    **dict.fromkeys(("contact_points_sample", "contact_points_other"), (0.0, 0.1)),
    **dict.fromkeys(("rate_sd", "appetite_sd"), (0.0, 3.0)),
    "max_category_share": (0.01, 0.99),
    "contact_cost": (0.0, 1000.0),
}
"""Smallest and largest value of a figure; any other figure is greater than 0."""

_WINTER = (11, 12)
_SUMMER = (6, 7, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class FragranceWorld:
    """A shop that sells fragrance, as it truly is.

    Attributes:
        days: Length of the observed period.
        start: Its first day.
        entry_days: First purchases are uniform over this many days from the start.
        rate_sd: Standard deviation of the log of a customer's rate; the median rate is 1.
        gamma_shape: Shape of the gaps.
        mean_gap_days: Mean gap of a customer of rate 1 without any effect, in days without season.
        buys_once: Share of customers who never come back.
        leaves: Probability of leaving for good after any purchase.
        season_factor: How much faster time runs in ``season_months``.
        season_months: Months (1..12) of the season.
        weekdays: Pace of time on Monday to Sunday, mean 1.
        genders: Of the first fragrance.
        sizes: Of the first fragrance.
        channels: Of the customer.
        keep_gender: Probability that a later purchase keeps the first one's gender; else it is drawn anew.
        keep_size: The same for the size.
        sample_factor: Gaps of customers whose first fragrance is a sample are times this.
        full_store_factor: Gaps of customers of the channel store whose first fragrance is full size are times this.
        n_brands: Brands, the first ones more popular.
        n_tiers: Price tiers; a brand belongs to one.
        n_regions: Regions, equally large.
        appetite_sd: Standard deviation of the log of a customer's appetite for other categories; median 1.
        max_category_share: No category is in a larger share of a customer's occasions, so that any planted lift
            up to its inverse is possible.
        basket_season_factor: How much more often a category sells in its months.
        categories: What is bought beside the fragrance.
        rules: Planted rules; no category takes part in two.
        rule_within_days: Days of a ``next_purchase`` rule.
        contact_return_days: Days within which a contact may bring a customer back.
        contact_points_sample: What a contact adds to the share back, of customers whose first fragrance is a sample.
        contact_points_other: The same of all other customers.
        contact_fatigue: Each contact in the ``contact_return_days`` before multiplies the effect by this.
        contact_opened: Share of treated contacts that are opened.
        contact_clicked: Share of opened ones that are clicked.
        contact_cost: Of a treated contact.
        fragrance_price: Of a full size in the middle tier.
        buys_two: Share of lines with two pieces.
        discounted: Share of lines with a discount.
        discount_rate: The discount.
    """

    days: int = 730
    start: date = date(2024, 1, 1)
    entry_days: int = 540
    rate_sd: float = 0.6
    gamma_shape: float = 2.0
    mean_gap_days: float = 45.0
    buys_once: float = 0.20
    leaves: float = 0.05
    season_factor: float = 1.2
    season_months: tuple[int, ...] = _WINTER
    weekdays: tuple[float, ...] = (0.90, 0.85, 0.90, 0.95, 1.10, 1.25, 1.05)
    genders: Shares = (("men", 0.40), ("women", 0.45), ("unisex", 0.15))
    sizes: Shares = (("full", 0.45), ("sample", 0.45), ("travel", 0.10))
    channels: Shares = (("search", 0.40), ("social", 0.35), ("store", 0.25))
    keep_gender: float = 0.5
    keep_size: float = 0.7
    sample_factor: float = 1.35
    full_store_factor: float = 1.4
    n_brands: int = 12
    n_tiers: int = 3
    n_regions: int = 5
    appetite_sd: float = 0.4
    max_category_share: float = 1 / 3
    basket_season_factor: float = 2.0
    categories: tuple[Category, ...] = (
        Category("body lotion", 0.16, _WINTER, 12.9),
        Category("shower gel", 0.14, _SUMMER, 6.9),
        Category("shampoo", 0.12, _SUMMER, 8.9),
        Category("hair mask", 0.10, _WINTER, 14.9),
        Category("lipstick", 0.08, _WINTER, 17.9),
        Category("mascara", 0.07, _WINTER, 15.9),
        Category("sun care", 0.12, _SUMMER, 13.9),
        Category("face mask", 0.03, _SUMMER, 9.9),
        Category("face cream", 0.12, _WINTER, 24.9),
        Category("serum", 0.03, _SUMMER, 29.9),
        Category("candle", 0.12, _WINTER, 19.9),
    )
    rules: tuple[PlantedRule, ...] = (
        PlantedRule("body lotion", "shower gel", "same_occasion", 1.5),
        PlantedRule("shampoo", "hair mask", "same_occasion", 2.0),
        PlantedRule("lipstick", "mascara", "same_occasion", 3.0),
        PlantedRule("face cream", "serum", "next_purchase", 1.5),
        PlantedRule("sun care", "face mask", "next_purchase", 2.0),
    )
    rule_within_days: int = 60
    contact_return_days: int = 30
    contact_points_sample: float = 0.04
    contact_points_other: float = 0.01
    contact_fatigue: float = 0.7
    contact_opened: float = 0.35
    contact_clicked: float = 0.15
    contact_cost: float = 0.02
    fragrance_price: float = 69.9
    buys_two: float = 0.1
    discounted: float = 0.2
    discount_rate: float = 0.1

    def __post_init__(self) -> None:
        """Raises InputError for a world that cannot be."""
        problems = self._problems()
        if problems:
            raise InputError("\n".join(problems))

    def null(self) -> FragranceWorld:
        """The same world without any effect on gaps, rule or effect of contacts."""
        return dataclasses.replace(
            self,
            sample_factor=1.0,
            full_store_factor=1.0,
            rules=(),
            contact_points_sample=0.0,
            contact_points_other=0.0,
        )

    def figures(self) -> dict[str, int | float]:
        """Every figure that is one number, by name; ``genders.men`` is the share of men among the genders."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        shares = {f"{name}.{part}": share for name in _SHARES for part, share in values[name]}
        return {**numbers, **shares}

    def with_options(self, options: Sequence[str]) -> FragranceWorld:
        """The same world with some of its `figures` changed.

        Args:
            options: ``name=number``, as in ``rate_sd=1.0``. Shares of one kind must sum to 1 again.

        Raises:
            InputError: An unknown name, no number of its kind, or a world that cannot be.
        """
        figures = self.figures()
        for option in options:
            name, _, text = (part.strip() for part in option.partition("="))
            if name not in figures:
                near = difflib.get_close_matches(name, figures, n=1, cutoff=0)[0]
                raise InputError(f"{name}: the fragrance world has no such figure; did you mean {near}?")
            kind = type(figures[name])
            try:
                figures[name] = kind(text)
            except ValueError as error:
                wanted = "a whole number" if kind is int else "a number"
                raise InputError(f"{name}: {text!r} is not {wanted}; write {name}={self.figures()[name]:g}") from error
        return self._with_figures(figures)

    def _with_figures(self, figures: Mapping[str, int | float]) -> FragranceWorld:
        shares = {name: tuple((part, figures[f"{name}.{part}"]) for part, _ in getattr(self, name)) for name in _SHARES}
        numbers = {field.name: figures[field.name] for field in dataclasses.fields(self) if field.name in figures}
        changed: dict[str, Any] = {**numbers, **shares}
        return dataclasses.replace(self, **changed)

    def _problems(self) -> list[str]:
        names = [category.name for category in self.categories]
        in_rules = [name for rule in self.rules for name in (rule.antecedent, rule.consequent)]
        requirements = [
            (
                self.entry_days <= self.days,
                f"entry_days: must not exceed the {self.days} days, not be {self.entry_days}",
            ),
            (len(self.weekdays) == 7 and math.isclose(sum(self.weekdays), 7), "weekdays: must be seven of mean 1"),
            *((_sums_to_one(getattr(self, name)), f"{name}: shares must sum to 1") for name in _SHARES),
            (set(in_rules) <= set(names), "rules: must be between categories of the world"),
            (len(set(in_rules)) == len(in_rules), "rules: must not share a category"),
            (
                all(0 < rule.lift * self.max_category_share <= 1 for rule in self.rules),
                "rules: a lift must not exceed 1 / max_category_share",
            ),
        ]
        wrong = [_complaint(name, value) for name, value in self.figures().items()]
        return [*filter(None, wrong), *(text for holds, text in requirements if not holds)]


def _complaint(name: str, value: float) -> str | None:
    """What is wrong with a figure by itself."""
    low, high = _RANGES.get(name.partition(".")[0], (None, math.inf))
    if low is None:
        return None if 0 < value < high else f"{name}: must be greater than 0, not {value:g}"
    demand = "a probability from 0 to 1" if (low, high) == (0, 1) else f"from {low:g} to {high:g}"
    return None if low <= value <= high else f"{name}: must be {demand}, not {value:g}"


def _sums_to_one(shares: Shares) -> bool:
    return math.isclose(sum(share for _, share in shares), 1)
