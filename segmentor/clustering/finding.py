"""Clusters that come back in resamples of the customers, and the rules that say them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from segmentor.clustering.methods import METHODS, Fit, Fitted, Method, fit_kmeans, fit_mixture
from segmentor.clustering.rules import BoolArray, rule_of
from segmentor.clustering.scaling import prepare, principal_axes
from segmentor.clustering.stability import STABLE, stability
from segmentor.result import Clustering, ClusterRule
from segmentor.statistics.arrays import FloatArray, IntArray
from segmentor.wording import Message

FITTED = 20_000
"""Most customers whom a method is fitted on; the others are assigned."""

_NEARLY = 0.05
"""What the least stable cluster of a number of clusters may lack of the best: slices of what has no parts lack more."""

SAID = 0.7
"""Coverage and precision from which a rule says its cluster: with less, nearly a third of the trial would be about others."""

_FEWEST = 100
"""Customers below which nothing is clustered: a resample of so few says nothing of stability."""

_SEEN = 2_000
"""Customers whose silhouettes are averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundRule:
    """A cluster with the rule that says it, which is a candidate split.

    Attributes:
        rule: Condition on columns that are named for the features.
        members: For whom it holds, shape (n_customers,); nobody of whom it cannot be told.
        summary: Cluster and rule in numbers.
    """

    rule: str
    members: BoolArray
    summary: ClusterRule


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A cluster that suggests no split.

    Attributes:
        summary: Cluster and rule in numbers; coverage and precision are 0 where there is no rule.
        rule: The rule that was best; ``None`` where there is none.
        reason: Why, in a few words.
    """

    summary: ClusterRule
    rule: str | None
    reason: Message


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one method found.

    Attributes:
        clustering: The clustering in numbers.
        rules: Its rules that are candidates, in the order of their clusters.
        unsaid: Its other clusters.
        labels: Cluster of each customer from 1, the largest first; 0 for noise, and for all where nothing was stable.
    """

    clustering: Clustering
    rules: tuple[FoundRule, ...]
    unsaid: tuple[Unsaid, ...]
    labels: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Stable:
    """Clusters of some points, from 0, with the stability of each; -1 for noise."""

    fitted: Fitted
    stability: FloatArray


def find_clusters(
    features: FloatArray,
    names: Sequence[str],
    *,
    method: Method,
    max_clusters: int,
    min_group: int,
    seed: int,
    tell: Callable[[str], None] = lambda _: None,
) -> Found:
    """Cluster customers by their features, keep what is stable, and say each cluster as a short rule.

    k-means and mixtures: of the numbers of clusters of which every one comes back, with a mean Jaccard similarity of 0.75 or
    more over 20 resamples of at most 3,000 customers, the largest whose least stable cluster lacks at most 0.05 of that of
    any number. The largest, since a finer partition that comes back says what a coarser one does and more; nearly as stable
    as any, since slices of one skewed cloud come back too, only less surely. Where no number is stable there are no clusters.
    HDBSCAN finds its number by itself, from clusters of `min_group` or more; those that do not come back count as noise.
    Its resamples cluster points of the one embedding anew: what they say is stable given the embedding.

    The customers are first put in the order of their features, so that the rules do not depend on the order of the rows;
    all fits run in one thread, so that they do not depend on the number of processors.

    Args:
        features: Shape (n_customers, n_features), nan where not known.
        names: Of the features, as rules will name them.
        method: One of `METHODS`.
        max_clusters: Most clusters.
        min_group: Fewest customers in a cluster, in a rule, and outside it.
        seed: Of samples, starts and resamples.
        tell: Is told each stage in a few words.

    References:
        Hennig (2007), Computational Statistics & Data Analysis 52, 258-271.
    """
    features = features + 0.0
    order = np.lexsort(features.T[::-1]) if features.shape[1] else np.arange(len(features))
    ordered = features[order]
    with threadpool_limits(1):
        scaled = prepare(ordered, names)
        seeds = np.random.SeedSequence([seed, METHODS.index(method)]).generate_state(3) >> 1
        generator = np.random.default_rng(int(seeds[0]))
        fitted_on = _sample(len(scaled), FITTED, generator)
        labels, stable = np.full(len(scaled), -1, dtype=np.int64), np.zeros(0)
        if len(fitted_on) >= max(_FEWEST, 2 * min_group) and scaled.shape[1]:
            points = scaled if method == "kmeans" else principal_axes(scaled)
            if method == "hdbscan":
                smallest = max(5, -(-min_group * len(fitted_on) // len(scaled)))
                found = _dense(points[fitted_on], smallest, max_clusters, int(seeds[1]), tell)
            else:
                fit = fit_kmeans if method == "kmeans" else fit_mixture
                found = _partition(points[fitted_on], fit, max_clusters, int(seeds[1]), tell)
            if found is not None:
                labels = found.fitted.assign(points)
                labels[fitted_on] = found.fitted.labels
                labels, stable = _largest_first(labels, found.stability)
        tell("rules")
        clustering = Clustering(
            method=method,
            features=tuple(names),
            customers=len(fitted_on),
            clusters=len(stable),
            noise_share=float((labels < 0).mean()) if len(labels) else 0.0,
            stability=float(stable.mean()) if len(stable) else None,
            silhouette=_silhouette(scaled, labels, generator),
        )
        rules, unsaid = _said(ordered, names, labels, stable, method=method, min_group=min_group)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    in_place = tuple(FoundRule(found.rule, found.members[back], found.summary) for found in rules)
    return Found(clustering, in_place, tuple(unsaid), labels[back] + 1)


def _sample(n: int, most: int, generator: np.random.Generator) -> IntArray:
    """Places of all, or of as many as are wanted, in order."""
    if n <= most:
        return np.arange(n, dtype=np.int64)
    return np.sort(generator.choice(n, most, replace=False)).astype(np.int64)


def _partition(
    points: FloatArray, fit: Fit, max_clusters: int, seed: int, tell: Callable[[str], None]
) -> _Stable | None:
    """The largest number of clusters that are all stable, and nearly as stable as those of any other number."""
    different = len(np.unique(points, axis=0))
    found: list[tuple[float, _Stable]] = []
    best = STABLE
    for clusters in range(2, min(max_clusters, different) + 1):
        fitted = fit(points, clusters, seed)
        if len(np.unique(fitted.labels)) < clusters:
            continue

        def again(places: IntArray, seed: int, clusters: int = clusters) -> IntArray:
            return fit(points[places], clusters, seed).labels

        stable = stability(
            fitted.labels,
            clusters,
            again,
            least=max(STABLE, best - _NEARLY),
            seed=seed,
            tell=_prefixed(tell, f"{clusters} clusters, "),
        )
        if stable is not None:
            best = max(best, float(stable.min()))
            found.append((float(stable.min()), _Stable(fitted, stable)))
    return next((clustering for least, clustering in reversed(found) if least >= best - _NEARLY), None)


def _prefixed(tell: Callable[[str], None], prefix: str) -> Callable[[str], None]:
    return lambda stage: tell(prefix + stage)


def _dense(
    points: FloatArray, smallest: int, max_clusters: int, seed: int, tell: Callable[[str], None]
) -> _Stable | None:
    """The dense clusters that are stable, at most as many as are wanted: the smallest size is doubled until they are no more."""
    tell("umap compiles and embeds")
    # Loading umap and numba takes seconds, which only this method costs.
    from segmentor.clustering import density  # noqa: PLC0415

    plane = density.embed(points, seed)
    labels = density.cluster(plane, smallest)
    while labels.max() >= max_clusters:
        smallest *= 2
        labels = density.cluster(plane, smallest)
    clusters = int(labels.max()) + 1
    if not clusters:
        return None

    def again(places: IntArray, _: int) -> IntArray:
        # A point twice in the same place would be denser than any other: each is taken once.
        once, where = np.unique(places, return_inverse=True)
        fewest = max(5, round(smallest * len(once) / len(points)))
        return density.cluster(plane[once], fewest)[where]

    stable = stability(labels, clusters, again, least=0.0, seed=seed, tell=tell)
    assert stable is not None
    kept = np.flatnonzero(stable >= STABLE)
    if not len(kept):
        return None
    numbers = np.full(clusters + 1, -1, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    labels = numbers[labels]
    return _Stable(Fitted(labels, lambda others: density.assign(points, labels, others)), stable[kept])


def _largest_first(labels: IntArray, stable: FloatArray) -> tuple[IntArray, FloatArray]:
    """Clusters numbered by falling size."""
    order = np.argsort(-np.bincount(labels + 1, minlength=len(stable) + 1)[1:], kind="stable")
    numbers = np.full(len(stable) + 1, -1, dtype=np.int64)
    numbers[order] = np.arange(len(stable))
    return numbers[labels], stable[order]


def _silhouette(scaled: FloatArray, labels: IntArray, generator: np.random.Generator) -> float | None:
    """Mean silhouette of some customers who are in clusters; `None` where these are fewer than two."""
    clustered = np.flatnonzero(labels >= 0)
    seen = clustered[_sample(len(clustered), _SEEN, generator)]
    if not 2 <= len(np.unique(labels[seen])) < len(seen):
        return None
    return float(silhouette_score(scaled[seen], labels[seen]))


def _said(
    features: FloatArray, names: Sequence[str], labels: IntArray, stable: FloatArray, *, method: Method, min_group: int
) -> tuple[list[FoundRule], list[Unsaid]]:
    """The rule of each cluster that is a candidate, and the clusters without one."""
    said: list[FoundRule] = []
    unsaid: list[Unsaid] = []
    for cluster in range(len(stable)):
        group = labels == cluster
        rule = rule_of(features, group)
        members = np.zeros(len(group), dtype=bool) if rule is None else rule.holds(features)
        both = int((members & group).sum())
        summary = ClusterRule(
            method=method,
            cluster=cluster + 1,
            clusters=len(stable),
            customers=int(group.sum()),
            stability=float(stable[cluster]),
            coverage=both / max(int(group.sum()), 1),
            precision=both / max(int(members.sum()), 1),
        )
        text = None if rule is None else rule.text(names)
        reason = _no_candidate(summary, members, said, min_group)
        if text is None or reason is not None:
            unsaid.append(Unsaid(summary, text, reason or Message("no short rule")))
        else:
            said.append(FoundRule(text, members, summary))
    return said, unsaid


def _no_candidate(
    summary: ClusterRule, members: BoolArray, said: Sequence[FoundRule], min_group: int
) -> Message | None:
    """Why the rule of a cluster suggests no split; `None` where it does."""
    inside = int(members.sum())
    if not inside:
        return Message("no short rule")
    if min(summary.customers, inside, len(members) - inside) < min_group:
        return Message("too small")
    if summary.coverage < SAID:
        return Message("coverage")
    if summary.precision < SAID:
        return Message("precision")
    for other in said:
        if np.array_equal(other.members, members):
            return Message("same customers as cluster {cluster}", {"cluster": other.summary.cluster})
        if np.array_equal(other.members, ~members):
            return Message("all but cluster {cluster}", {"cluster": other.summary.cluster})
    return None
