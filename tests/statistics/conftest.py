"""Reference shops as arrays of gaps, weighted as the reference numbers say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.statistics.survival import DayValues, LifeTable, customer_sums, survival, survival_influence

REFERENCE = Path(__file__).parents[1] / "data" / "reference"


@dataclass(frozen=True)
class Shop:
    """Gaps of a shop with weights, and its customers.

    Attributes:
        customers: Number of the gap's customer, 0 first.
        ends: Place of the gap's duration in `times`.
        times: Durations by place: days, or all distinct durations where they are not whole days.
        attributes: Columns by customer: cohort, group, kind, x.
    """

    customers: IntArray
    ends: IntArray
    events: IntArray
    entry_ages: IntArray
    weights: FloatArray
    times: FloatArray
    attributes: dict[str, np.ndarray]

    @property
    def table(self) -> LifeTable:
        """Weighted numbers of gaps by place of their duration."""
        return LifeTable.from_gaps(self.ends, self.events, weights=self.weights, entry_ages=self.entry_ages)

    def place(self, time: float) -> int:
        """Place of the last duration up to a time."""
        return int(np.searchsorted(self.times, time + 1e-9, side="right")) - 1

    def sums(self, values: DayValues) -> FloatArray:
        """Sums by customer of those who have gaps; 0 for the others."""
        return customer_sums(
            values,
            customers=self.customers,
            durations=self.ends,
            events=self.events,
            weights=self.weights,
            entry_ages=self.entry_ages,
        )

    def error(self, values: DayValues) -> float:
        """Standard error clustered by customer."""
        return float(np.sqrt(np.square(self.sums(values)).sum()))

    def first_gaps(self) -> Shop:
        """The first gap of each customer."""
        first = np.unique(self.customers, return_index=True)[1]
        columns = (self.customers, self.ends, self.events, self.entry_ages, self.weights)
        return Shop(*(column[first] for column in columns), self.times, self.attributes)

    def restricted_mean(self, horizon: float) -> tuple[float, float]:
        """Restricted mean and its standard error, whether or not durations are whole days.

        The mean is the area under the curve, step by step, and so is a customer's influence on it.
        """
        table = self.table
        places = range(int(np.searchsorted(self.times, horizon)))
        widths = np.diff([*self.times[places], horizon])
        influence = sum(
            width * self.sums(survival_influence(table, place)) for place, width in zip(places, widths, strict=True)
        )
        return float(widths @ survival(table)[places]), float(np.sqrt(np.square(influence).sum()))

    def among(self, chosen: np.ndarray, factors: FloatArray | None = None) -> Shop:
        """The gaps of some customers, with their weights times a factor by customer."""
        kept = chosen[self.customers]
        weights = self.weights if factors is None else self.weights * factors[self.customers]
        return Shop(
            self.customers[kept],
            self.ends[kept],
            self.events[kept],
            self.entry_ages[kept],
            weights[kept],
            self.times,
            self.attributes,
        )


def weigh(data: dict[str, Any], weighting: str, rows: str = "all") -> Shop:
    """Gaps of a shop of `datasets.json` or `degenerate.json` without those that the weighting leaves out."""
    gaps = {name: np.array(column) for name, column in data["gaps"].items()}
    if rows == "begun_after_date":
        gaps = {name: column[np.array(data["gaps"]["entry_age"]) == 0] for name, column in gaps.items()}
    attributes = {name: np.array(column) for name, column in data["customers"].items()}
    customers, events = gaps["customer"] - 1, gaps["event_observed"]
    complete = np.bincount(customers, events, len(attributes["customer"]))[customers]
    weights, kept = np.ones(len(customers)), np.ones(len(customers), dtype=bool)
    if weighting == "typical_customer":
        weights, kept = 1 / np.maximum(complete, 1), (events == 1) | (complete == 0)
    whole = np.equal(np.mod(gaps["duration"], 1), 0).all()
    times = np.arange(gaps["duration"].max() + 1) if whole else np.unique([0, *gaps["duration"]])
    return Shop(
        customers[kept],
        np.searchsorted(times, gaps["duration"])[kept],
        events[kept],
        gaps["entry_age"][kept],
        weights[kept],
        times,
        attributes,
    )


@cache
def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((REFERENCE / f"{name}.json").read_text())
    return content


@pytest.fixture(scope="session")
def shop() -> Callable[..., Shop]:
    """A shop of `datasets.json` by name, weighting and rows."""
    return cache(
        lambda name, weighting="typical_customer", rows="all": weigh(
            _read("datasets")["datasets"][name], weighting, rows
        )
    )


@pytest.fixture(scope="session")
def degenerate_shop() -> Callable[..., Shop]:
    """A shop of `degenerate.json` by name, with a typical customer's weights unless others are named."""
    return cache(lambda name, weighting="typical_customer": weigh(_read("degenerate")["cases"][name], weighting))


@pytest.fixture(scope="session")
def numbers() -> Callable[[object], np.ndarray]:
    """A reference value or column as floats; `null` is `nan`."""
    return lambda values: np.array(values, dtype=np.float64)
