"""Clusters that are there are found, said by what makes them, and the same whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from segmentor.clustering import Found, Method, find_clusters, finding
from segmentor.clustering.scaling import prepare
from segmentor.statistics.arrays import FloatArray, IntArray

NAMES = (
    "category: socks",
    "brand: acme",
    "basket_size",
    "weekend_share",
    "discount_share",
    "returns_share",
    "channel: web",
)


def shop(seed: int, *, n: int = 600) -> tuple[FloatArray, IntArray]:
    """Customers of three kinds: half like nothing much, three in ten buy socks, two in ten one brand in large baskets."""
    generator = np.random.default_rng(seed)
    kinds = np.sort(generator.choice(3, n, p=(0.5, 0.3, 0.2))).astype(np.int64)
    features = np.column_stack(
        [
            np.clip(generator.normal(0.1, 0.03, n) + 0.7 * (kinds == 1), 0, 1),
            np.clip(generator.normal(0.1, 0.03, n) + 0.7 * (kinds == 2), 0, 1),
            generator.uniform(1, 3, n) + 5 * (kinds == 2),
            # What says nothing has several directions: along a single one even slices of one cloud would be stable.
            generator.uniform(0.2, 0.5, (n, 4)),
        ]
    )
    shuffled = generator.permutation(n)
    return features[shuffled], kinds[shuffled]


def cluster(features: FloatArray, method: Method, *, seed: int = 1, names: tuple[str, ...] = NAMES) -> Found:
    """What a method finds, of at most five clusters of fifty customers or more."""
    return find_clusters(features, names, method=method, max_clusters=5, min_group=50, seed=seed)


def check_planted(method: Method) -> None:
    """The three kinds are the clusters, and rules name the features that make them."""
    features, kinds = shop(1)
    found = cluster(features, method)
    assert found.clustering.clusters == 3
    assert adjusted_rand_score(kinds, found.labels) > 0.95
    by_kind = {int(np.bincount(kinds[rule.members]).argmax()): rule for rule in found.rules}
    assert by_kind.keys() == {0, 1, 2}
    assert '"category: socks" > 0.' in by_kind[1].rule
    assert '"brand: acme" > 0.' in by_kind[2].rule or "basket_size > " in by_kind[2].rule
    for kind, rule in by_kind.items():
        assert "share" not in rule.rule
        assert (rule.members == (kinds == kind)).mean() > 0.98
        assert min(rule.summary.coverage, rule.summary.precision, rule.summary.stability) > 0.95
    inside = found.labels > 0
    silhouette = silhouette_score(prepare(features, NAMES)[inside], found.labels[inside])
    assert found.clustering.silhouette == pytest.approx(silhouette)


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_planted_clusters_are_found_and_said(method: Method) -> None:
    """Three kinds of customers are three clusters, each said by what it buys."""
    check_planted(method)


@pytest.mark.slow
def test_planted_clusters_are_found_in_an_embedding() -> None:
    """HDBSCAN on a UMAP embedding finds them too, silently, and the same ones again."""
    check_planted("hdbscan")
    features, _ = shop(2)
    one, other = cluster(features, "hdbscan"), cluster(features, "hdbscan")
    assert one.clustering == other.clustering
    assert [rule.rule for rule in one.rules] == [rule.rule for rule in other.rules]
    cloud = np.random.default_rng(1).normal(size=(600, 7))
    assert len(cluster(cloud, "hdbscan").rules) <= 1


@pytest.mark.slow
def test_noise_stays_noise() -> None:
    """Customers between and around two dense kinds are in no cluster, beyond the sample that was fitted on too."""
    # Its import takes seconds, which quick tests do not have.
    from segmentor.clustering import density  # noqa: PLC0415

    generator = np.random.default_rng(3)
    plane = np.vstack(
        [generator.normal(0, 0.1, (150, 2)), generator.normal(5, 0.1, (150, 2)), generator.uniform(-20, 25, (60, 2))]
    )
    labels = density.cluster(plane, 40)
    assert (labels[:300] >= 0).mean() > 0.95
    assert (labels[300:] < 0).mean() > 0.9
    others = np.array([[0.0, 0.0], [5.0, 5.0], [-19.0, 24.0], [24.0, -19.0]])
    assert (density.assign(plane, labels, others) >= 0).tolist() == [True, True, False, False]


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_one_cloud_has_no_clusters(method: Method) -> None:
    """Customers of one kind are not split: over six shops no number of clusters is stable in five or more."""
    shops = [np.random.default_rng(seed).normal(size=(250, 6)) for seed in range(6)]
    names = tuple("abcdef")
    found = [cluster(features, method, names=names).clustering for features in shops]
    split = sum(each.clusters > 0 for each in found)
    assert split <= 1, f"clusters found in {split} of {len(found)} shops without any"
    assert all(each.stability is None and each.silhouette is None for each in found if not each.clusters)


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_order_of_rows_does_not_matter(method: Method) -> None:
    """The same customers in another order are the same clusters with the same rules, above the sample size too."""
    features, _ = shop(4, n=400)
    features[::7, 3] = np.nan
    shuffled = np.random.default_rng(0).permutation(len(features))
    one, other = cluster(features, method), cluster(features[shuffled], method)
    assert one.clustering == other.clustering
    assert [(rule.rule, rule.summary) for rule in one.rules] == [(rule.rule, rule.summary) for rule in other.rules]
    assert (one.labels[shuffled] == other.labels).all()
    for left, right in zip(one.rules, other.rules, strict=True):
        assert (left.members[shuffled] == right.members).all()


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_many_customers_are_assigned_as_if_all_were_fitted(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted on a third of the customers, the others are where a fit of all puts them."""
    features, _ = shop(5)
    whole = cluster(features, method)
    monkeypatch.setattr(finding, "FITTED", 200)
    sampled = cluster(features, method)
    assert (whole.clustering.customers, sampled.clustering.customers) == (600, 200)
    assert adjusted_rand_score(whole.labels, sampled.labels) > 0.98


def test_too_small_and_repeated_rules_are_no_candidates() -> None:
    """Of two clusters that are each other's rest one rule is tried; a cluster below the smallest group suggests nothing."""
    generator = np.random.default_rng(6)
    features = np.concatenate([generator.normal(0, 1, (300, 7)), generator.normal(8, 1, (200, 7))])
    found = cluster(features, "kmeans")
    assert [rule.summary.cluster for rule in found.rules] == [1]
    assert [str(each.reason) for each in found.unsaid] == ["all but cluster 1"]
    large = find_clusters(features, NAMES, method="kmeans", max_clusters=5, min_group=220, seed=1)
    assert [str(each.reason) for each in large.unsaid] == ["too small", "too small"]


@pytest.mark.parametrize(
    "features", [np.zeros((500, 2)), np.full((500, 2), np.nan), np.zeros((500, 0)), np.ones((20, 2))]
)
def test_nothing_to_cluster_by_is_no_cluster(features: FloatArray) -> None:
    """Features that are the same for all, known of nobody, or none, and very few customers: no clusters."""
    found = cluster(features, "kmeans", names=("a", "b")[: features.shape[1]])
    assert (found.clustering.clusters, found.rules, found.unsaid) == (0, (), ())
    assert not found.labels.any()


def test_progress_is_told() -> None:
    """Each resample of each number of clusters is told."""
    features, _ = shop(7, n=300)
    told: list[str] = []
    find_clusters(features, NAMES, method="kmeans", max_clusters=3, min_group=50, seed=1, tell=told.append)
    assert "3 clusters, stability 20 of 20" in told
    assert told[-1] == "rules"
