"""The shop's tables -> everything by which its customers might be split, beside what the config declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentor.splits import Attribute, Split, cluster_attributes, enumerate_attributes, without_twins

if TYPE_CHECKING:
    from segmentor.config import ExperimentConfig
    from segmentor.cycles import Columns
    from segmentor.engine.duckdb import Engine
    from segmentor.result import Clustering, LeftOut


@dataclass(frozen=True, slots=True)
class Candidates:
    """What splits may be made of beside the declared ones.

    Attributes:
        attributes: What was found in the data.
        clusterings: Clusterings that some of it came from.
        left_out: What made no candidate, and why.
    """

    attributes: tuple[Attribute, ...] = ()
    clusterings: tuple[Clustering, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def splits(self) -> tuple[Split, ...]:
        """All splits that they suggest."""
        return tuple(split for attribute in self.attributes for split in attribute.splits)


def find_candidates(
    engine: Engine, config: ExperimentConfig, columns: Columns, *, progress: Callable[[str], None]
) -> Candidates:
    """Goes through the shop's attributes and clusters its customers, as far as the config asks.

    Raises:
        ConfigError: The config asks for what the data do not have.
    """
    attributes: list[Attribute] = []
    clusterings: tuple[Clustering, ...] = ()
    left_out: list[LeftOut] = []
    if config.splits.enumerated is not None:
        progress("candidates among the attributes")
        enumerated, refused = enumerate_attributes(engine, config, columns)
        attributes.extend(enumerated)
        left_out.extend(refused)
    if config.splits.clustered is not None:
        clustered, clusterings, unsaid = cluster_attributes(engine, config, columns, progress=progress)
        attributes.extend(clustered)
        left_out.extend(unsaid)
    distinct, twins = without_twins(attributes)
    return Candidates(distinct, clusterings, (*left_out, *twins))
