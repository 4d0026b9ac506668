"""Means of groups adjusted for cohorts: what least squares with a term for each cohort says."""

from __future__ import annotations

import numpy as np
import pytest

from segmentor.statistics.cohort_means import CohortMeans, cohort_means


def of_values(values: np.ndarray, groups: np.ndarray, cohorts: np.ndarray) -> CohortMeans:
    """The adjusted means of single customers' values."""
    shape = (groups.max() + 1, cohorts.max() + 1)
    customers, sums, squares = np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape)
    np.add.at(customers, (groups, cohorts), 1)
    np.add.at(sums, (groups, cohorts), values)
    means = sums / np.maximum(customers, 1)
    np.add.at(squares, (groups, cohorts), (values - means[groups, cohorts]) ** 2)
    return cohort_means(customers, sums, squares.sum(axis=1))


def drawn(n_groups: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values whose cohorts differ, with groups that have other cohorts."""
    generator = np.random.default_rng(seed)
    cohorts = generator.integers(6, size=400)
    groups = np.minimum(generator.integers(n_groups, size=400) * (1 + cohorts // 3), n_groups - 1)
    return 3.0 * cohorts + groups + generator.standard_normal(400), groups, cohorts


@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_differences_are_those_of_least_squares(n_groups: int) -> None:
    """Differences equal the coefficients of a regression on dummies of groups and cohorts, and the overall mean stays."""
    values, groups, cohorts = drawn(n_groups, seed=n_groups)
    found = of_values(values, groups, cohorts)
    design = np.hstack([np.eye(6)[cohorts], np.eye(n_groups)[groups][:, 1:]])
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0][6:]
    np.testing.assert_allclose(found.means[1:] - found.means[0], coefficients, rtol=1e-10)
    assert (found.means * np.bincount(groups)).sum() / 400 == pytest.approx(values.mean(), rel=1e-12)


def test_without_cohorts_they_are_plain_means_of_all_customers() -> None:
    """One cohort gives plain means, variances and numbers."""
    values, groups, _ = drawn(2, seed=3)
    found = of_values(values, groups, np.zeros(400, dtype=np.int64))
    for group in (0, 1):
        own = values[groups == group]
        assert found.means[group] == pytest.approx(own.mean(), rel=1e-12)
        assert found.variances[group] == pytest.approx(own.var(ddof=1), rel=1e-12)
        assert found.effective[group, 1 - group] == pytest.approx(len(own), rel=1e-12)


@pytest.mark.parametrize("n_groups", [2, 4])
def test_effective_numbers_give_the_standard_error_of_least_squares(n_groups: int) -> None:
    """With equal variances the two effective numbers of a pair make the variance that the regression has."""
    values, groups, cohorts = drawn(n_groups, seed=7)
    found = of_values(values, groups, cohorts)
    design = np.hstack([np.eye(6)[cohorts], np.eye(n_groups)[groups][:, 1:]])
    inverse = np.linalg.inv(design.T @ design)[6:, 6:]
    assert 1 / found.effective[0, 1] + 1 / found.effective[1, 0] == pytest.approx(inverse[0, 0], rel=1e-10)


def test_groups_that_share_no_cohort_are_not_compared() -> None:
    """Two groups of other cohorts keep their plain means; a third that meets one of them is compared with that one only."""
    values = np.array([1.0, 3.0, 10.0, 12.0, 20.0, 22.0])
    groups = np.array([0, 0, 1, 1, 2, 2])
    cohorts = np.array([0, 0, 1, 2, 1, 2])
    found = of_values(values, groups, cohorts)
    np.testing.assert_allclose(found.means, [2, 11, 21])
    assert found.comparable.tolist() == [[False, False, False], [False, False, True], [False, True, False]]
    assert found.effective[0, 1] == 0


def test_an_empty_group_has_no_mean() -> None:
    """A group of nobody has no mean and stands in nobody's way."""
    found = cohort_means(np.array([[2], [0], [3]]), np.array([[4.0], [0.0], [9.0]]), np.array([1.0, 0.0, 2.0]))
    np.testing.assert_allclose(found.means, [2, np.nan, 3])
    assert not found.comparable[1].any()
