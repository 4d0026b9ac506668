"""The search for splits on shops whose truth is known: what it finds, how often it is wrong, and what it calls an echo."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from discovery import PAIRS, clustered, rates, searches, timing_clusters

from segmentor.synthetic import FragranceWorld
from segmentor.synthetic.renewal import RenewalWorld

CLUSTERS = clustered(["kmeans", "gmm"])
DENSE = clustered(["kmeans", "gmm", "hdbscan"])


def shown(found: dict[str, float]) -> dict[str, float]:
    """The rates, printed for whoever runs the tests with -s."""
    for name, rate in found.items():
        print(f"{name:45s} {rate:7.3f}")
    return found


def test_the_planted_tree_is_found() -> None:
    """In one published shop of 12,000 customers of which nothing is declared, size divides the root and channel those of full size."""
    found = shown(rates(searches(FragranceWorld(), [1], customers=12_000)))
    assert found["both"] == 1
    assert found["any other split in the tree"] == 0


@pytest.mark.slow
@pytest.mark.long
def test_the_planted_tree_is_found_over_seeds() -> None:
    """Of 20 published shops of 20,000 customers 18 or more have the planted tree, and 1 at most any other split in it."""
    found = shown(rates(searches(FragranceWorld(), range(1, 21), customers=20_000)))
    assert found["both"] >= 0.9
    assert found["any other split in the tree"] <= 0.08


def test_few_null_shops_have_anything_found() -> None:
    """Of 4 shops in which nothing is true at most one has a split that separates."""
    found = shown(rates(searches(FragranceWorld().null(), range(1, 5), customers=1_000, overrides=[CLUSTERS])))
    assert found["anything separates"] <= 1 / 4


@pytest.mark.slow
@pytest.mark.long
def test_null_shops_have_as_much_found_as_the_level_allows() -> None:
    """Of 200 null shops of 2,000 customers, 300 candidates and more each, with clusters of composition, at most 8 % have anything declared."""
    world = FragranceWorld().null()
    found = shown(rates(searches(world, range(21, 201), customers=2_000, overrides=[PAIRS, CLUSTERS])))
    dense = shown(rates(searches(world, range(1, 21), customers=2_000, overrides=[PAIRS, DENSE])))
    assert min(found["candidates, fewest"], dense["candidates, fewest"]) >= 300
    assert 0.9 * found["anything separates"] + 0.1 * dense["anything separates"] <= 0.08


def test_clusters_of_timing_say_nothing_where_customers_are_equal() -> None:
    """Among equal customers clusters of recency and frequency are stable, the usual way calls them real, and none separates."""
    clusters, standing = timing_clusters(RenewalWorld(rate_sd=0.0, days=720, entry_days=200), customers=3000, seed=1)
    assert clusters
    assert standing == 0
    for cluster in clusters:
        assert cluster.stability >= 0.75
        assert cluster.verdict in ("equivalent", "inconclusive")
    assert min(cluster.usual_p for cluster in clusters) < 1e-6


def test_clusters_of_timing_are_echoes_where_customers_are_unequal() -> None:
    """Among customers with rates of their own the same clusters differ on later gaps, are named echoes and stay out of the tree."""
    clusters, standing = timing_clusters(RenewalWorld(rate_sd=1.0, days=720, entry_days=200), customers=3000, seed=1)
    assert clusters
    assert standing == 0
    assert all(cluster.verdict != "separates" for cluster in clusters)
    assert any(cluster.reasons[0] == "echo of past frequency" for cluster in clusters)
    assert min(cluster.usual_p for cluster in clusters) < 1e-6
