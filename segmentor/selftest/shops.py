"""A simulated shop -> scores and trials, by the same steps over the same tables as a run takes after intake."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segmentor.config import load_config
from segmentor.cycles import build_cycles, day_number
from segmentor.engine.duckdb import open_engine
from segmentor.evidence import gather
from segmentor.populations import SCORE_UNIT, prepare_population
from segmentor.result import EVERYBODY
from segmentor.selftest.cells import GROUPS, LIFETIME, QUESTION
from segmentor.splits import declared_splits, make_label_sources
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.trials import run_trials
from segmentor.verdicts import judge_declared

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns
    from segmentor.engine.duckdb import Engine
    from segmentor.evidence import Evidence
    from segmentor.populations import Population
    from segmentor.result import Trial
    from segmentor.selftest.cells import Cell
    from segmentor.splits import Split
    from segmentor.synthetic.renewal import RenewalShop

_CONFIG = f"""
experiment: selftest
data:
  transactions:
    path: transactions.parquet
    columns: {{customer: customer, time: day, product: product}}
splits:
  declared:
    - name: {QUESTION}
      known: KNOWN
      groups: {{{GROUPS[0]}: "product = '{GROUPS[0]}'", {GROUPS[1]}: "product = '{GROUPS[1]}'"}}
"""

_LIFETIME = f"""
    - name: {LIFETIME}
      known: lifetime
      groups: {{only: {{all: "product = '{GROUPS[1]}'"}}, others: "product = '{GROUPS[0]}'"}}
"""

_FIRST_DAY = datetime.date(2024, 1, 1)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps of the customers of a population.

    Attributes:
        customer: Position of the customer among those with scores, shape (n_gaps,).
        duration: Days.
        entry_age: Age in days at which the gap enters the risk set.
        returned: 1 where the gap ended in a return.
    """

    customer: IntArray
    duration: IntArray
    entry_age: IntArray
    returned: IntArray


@dataclass(frozen=True, slots=True)
class ScoredCustomers:
    """Customers of a population with their scores, in the order of their numbers.

    Attributes:
        position: Of the customer in the simulated shop, shape (n_customers,).
        cohort: Number of its cohort, 0 first.
        scores: Shape (n_scores, n_customers).
        gaps: Their gaps.
    """

    position: IntArray
    cohort: IntArray
    scores: FloatArray
    gaps: Gaps


@dataclass(frozen=True, slots=True)
class OpenedShop:
    """A shop in the engine, its purchases and labels made.

    Attributes:
        engine: Holds the tables.
        config: The experiment.
        columns: Columns of its tables.
        splits: Its declared splits.
        observed_until: Last day of observation, ISO.
    """

    engine: Engine
    config: ExperimentConfig
    columns: Columns
    splits: tuple[Split, ...]
    observed_until: str

    def trials(self) -> dict[str, Trial]:
        """The trials of a run with all that stands beside them, by the name of their split."""
        tried = run_trials(
            self.engine,
            self.config,
            self.columns,
            self.splits,
            observed_until=self.observed_until,
            progress=lambda _: None,
        )
        return {trial.split: trial for trial in tried.trials if trial.segment == EVERYBODY}

    def evidence(self) -> Evidence:
        """Test and effects of the first split as a run gathers them, without what stands beside its verdict."""
        return gather(self.engine, self.config, self.splits[0], self._population())

    def trial(self) -> Trial:
        """The trial of the first split where it is the only one declared, which is what Holm's adjustment then makes of it."""
        evidence = self.evidence()
        return judge_declared(evidence, self.config, p_adjusted=evidence.p_value)

    def labelled_gaps(self) -> dict[str, np.ndarray]:
        """Numbers of ``gaps`` by ``group_no``, ``duration`` and ``event_observed``, once the evidence is gathered."""
        return self.engine.arrays(
            "select l.group_no, g.duration, g.event_observed, count(*) as gaps\n"
            f"from gaps_{self.splits[0].time_zero.suffix} g join labels l using (customer_no) group by all order by all"
        )

    def scored(self) -> ScoredCustomers:
        """The scores of a run's population, to which labels can be dealt."""
        population = self._population()
        suffix, count = population.suffix, len(population.scores)
        columns = ", ".join(f"s.s{number}" for number in range(count))
        customers = self.engine.arrays(
            f"select s.customer_no, cast(substr(e.customer, 2) as integer) as position, m.cohort, {columns}\n"
            f"from scores_{suffix} s join members_{suffix} m using (customer_no) join everyone e using (customer_no)\n"
            "order by s.customer_no"
        )
        gaps = self.engine.arrays(
            f"select customer_no, duration, entry_age, event_observed from gaps_{suffix} order by all"
        )
        return ScoredCustomers(
            position=customers["position"].astype(np.int64),
            cohort=np.unique(customers["cohort"], return_inverse=True)[1],
            scores=np.stack([customers[f"s{number}"] / SCORE_UNIT for number in range(count)]),
            gaps=Gaps(
                customer=np.searchsorted(customers["customer_no"], gaps["customer_no"]),
                duration=gaps["duration"].astype(np.int64),
                entry_age=gaps["entry_age"].astype(np.int64),
                returned=gaps["event_observed"].astype(np.int64),
            ),
        )

    def _population(self) -> Population:
        last = day_number(datetime.date.fromisoformat(self.observed_until))
        return prepare_population(self.engine, self.config, self.splits[0].time_zero, observed_until=last)


@contextmanager
def laboratory() -> Iterator[Engine]:
    """An engine for one shop after the other, on one thread: shops are what runs side by side."""
    with (
        tempfile.TemporaryDirectory(prefix="segmentor-") as scratch,
        open_engine(scratch=Path(scratch), inputs=[], threads=1) as engine,
    ):
        yield engine


def config_of(cell: Cell) -> ExperimentConfig:
    """The config of a cell's shops: defaults, but for the cell's settings."""
    with tempfile.TemporaryDirectory(prefix="segmentor-") as folder:
        path = Path(folder) / "selftest.yaml"
        text = _CONFIG.replace("KNOWN", cell.known) + (_LIFETIME if cell.kind == "lifetime" else "")
        path.write_text(text, encoding="utf-8")
        return load_config(path, cell.settings)


@contextmanager
def opened(
    engine: Engine, config: ExperimentConfig, shop: RenewalShop, *, later: IntArray | None = None
) -> Iterator[OpenedShop]:
    """The shop in the engine, which has forgotten it afterwards.

    Args:
        engine: Made by ``laboratory``.
        config: The experiment.
        shop: Purchases; a customer's group is what it buys.
        later: Group whose product a purchase is of, where it may differ from the customer's own, shape (n_purchases,).
    """
    bought = shop.group[shop.customer] if later is None else later
    # All tables live in one transaction that is taken back: nothing of a shop is left for the next one.
    engine.execute("begin transaction")
    try:
        engine.put(
            "drawn",
            {"customer": shop.customer.astype(np.int32), "day": shop.day.astype(np.int32), "bought": bought},
        )
        engine.execute(
            "create table transactions as select 'c' || lpad(cast(customer as varchar), 7, '0') as customer,\n"
            f"  timestamp '{_FIRST_DAY} 12:00:00' + to_days(day) as day,\n"
            f"  case bought when 0 then '{GROUPS[0]}' else '{GROUPS[1]}' end as product from drawn"
        )
        columns, summary = build_cycles(engine, config, progress=lambda _: None)
        splits = declared_splits(config, columns)
        make_label_sources(engine, config, columns, splits)
        yield OpenedShop(engine, config, columns, splits, summary.observed_until)
    finally:
        engine.execute("rollback")
