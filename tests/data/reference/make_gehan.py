"""Gehan-Wilcoxon scores of customers and their permutation test, a second time: slowly, from the definition, in exact fractions.

    python make_gehan.py            # writes gehan.json beside this file, in a minute

Nothing here knows the package. A gap enters at age a (0 unless late), ends on day t, and is at risk on the days u with
a < u <= t; it is cut at tau, so that one with t > tau is censored at tau. With weights w, Y(u) the sum of weights at risk,
D(u) that of the returns on u, and n the sum of all weights, the score of a customer is the sum over its gaps and days at risk of
w * Y(u) / n * (1 if the gap ends in a return on u else 0, minus D(u) / Y(u)). Weights are 1 (typical gap), or 1/m for a customer's m
complete gaps and 1 for its censored gap where m = 0 (typical customer). tau is the first day by which nine in ten returns happened.

`cases` hold scores and, for two splits, the sum of scores by group with its expectation, covariance, quadratic form, rank and p
when labels are exchanged among all customers (`plain`) or within cohorts; for the smallest shop every exchange is counted too.
`pairs` are first gaps alone, uncut and cut: `counts` is Gehan's count for each customer over all others (how many outlast its
return, minus how many returns it outlasts), which is n times its score.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path

FOLDER = Path(__file__).parent
SHOPS = (
    "small_30",
    "small_36_cohorts",
    "two_groups_120",
    "staggered_240",
    "weekly_160",
    "monthly_ties_140",
    "one_gap_80",
    "sparse_200",
    "truncated_180",
    "truncated_240_kinds",
)
PAIRS = ("one_gap_80", "two_groups_120", "weekly_160", "monthly_ties_140")
ENUMERATED = "small_30"


def main():
    """Write `gehan.json`."""
    shops = json.loads((FOLDER / "datasets.json").read_text())["datasets"]
    content = {
        "cases": [case(name, shops[name], way) for name in SHOPS for way in ("typical_customer", "typical_gap")],
        "pairs": [pairs(name, shops[name], cut=cut) for name in PAIRS for cut in (False, True)],
    }
    parts = ",\n".join(
        f'"{field}": [\n' + ",\n".join(json.dumps(one) for one in rows) + "\n]" for field, rows in content.items()
    )
    (FOLDER / "gehan.json").write_text("{\n" + parts + "\n}\n")


def case(name, shop, weighting):
    """Scores of a shop's customers and the tests of both splits."""
    tau = horizon(shop["gaps"])
    scores = scores_of(weigh(gaps_of(shop["gaps"]), weighting), len(shop["customers"]["customer"]), tau)
    found = {"dataset": name, "weighting": weighting, "tau": tau, "scores": [float(score) for score in scores]}
    for split in ("group", "kind"):
        labels, cohorts = shop["customers"][split], shop["customers"]["cohort"]
        found[split] = {
            "plain": test(scores, labels, [1] * len(scores)),
            "within_cohorts": test(scores, labels, cohorts),
        }
    if name == ENUMERATED:
        labels = shop["customers"]["group"]
        found["group"]["plain_exact"] = enumerate_all(scores, labels, [1] * len(scores))
        found["group"]["within_cohorts_exact"] = enumerate_all(scores, labels, cohorts)
    return found


def pairs(name, shop, *, cut):
    """First gaps of a shop: scores, and what one count over all pairs of customers says."""
    firsts = {}
    for customer, *gap in gaps_of(shop["gaps"]):
        firsts.setdefault(customer, gap)
    gaps = [(customer, *firsts[customer]) for customer in range(len(shop["customers"]["customer"]))]
    tau = horizon(shop["gaps"]) if cut else max(gap[2] for gap in gaps)
    seen = [(min(end, tau), returned and end <= tau) for _, _, end, returned in gaps]
    counts = []
    for end, returned in seen:
        count = 0
        for other_end, other_returned in seen:
            if returned and (other_end > end or (other_end == end and not other_returned)):
                count += 1
            if other_returned and (end > other_end or (end == other_end and not returned)):
                count -= 1
        counts.append(count)
    scores = scores_of([(*gap, Fraction(1)) for gap in gaps], len(gaps), tau)
    if [score * len(gaps) for score in scores] != counts:
        raise SystemExit(f"{name}: the scores are not the counts over n")
    return {"dataset": name, "tau": tau, "scores": [float(score) for score in scores], "counts": counts}


def gaps_of(columns):
    """Gaps as tuples: customer (0 first), age at entry, day of the end, whether it ended in a return."""
    rows = zip(columns["customer"], columns["entry_age"], columns["duration"], columns["event_observed"], strict=True)
    return [(customer - 1, entry, end, event == 1) for customer, entry, end, event in rows]


def weigh(gaps, weighting):
    """Gaps with their weights, without those that the weighting leaves out."""
    if weighting == "typical_gap":
        return [(*gap, Fraction(1)) for gap in gaps]
    complete = {}
    for customer, _, _, returned in gaps:
        complete[customer] = complete.get(customer, 0) + returned
    return [(*gap, Fraction(1, max(1, complete[gap[0]]))) for gap in gaps if gap[3] or complete[gap[0]] == 0]


def horizon(columns):
    """First day by which nine in ten of the returns happened."""
    days = sorted(end for end, event in zip(columns["duration"], columns["event_observed"], strict=True) if event == 1)
    return next(
        day for number, day in enumerate(days, start=1) if 10 * sum(other <= day for other in days) >= 9 * len(days)
    )


def scores_of(gaps, n_customers, tau):
    """Score of each customer, a sum over gaps and days."""
    total = sum(weight for *_, weight in gaps)
    at_risk, back = [Fraction(0)] * (tau + 1), [Fraction(0)] * (tau + 1)
    for _, entry, end, returned, weight in gaps:
        for day in range(entry + 1, min(end, tau) + 1):
            at_risk[day] += weight
            if returned and day == end:
                back[day] += weight
    scores = [Fraction(0)] * n_customers
    for customer, entry, end, returned, weight in gaps:
        for day in range(entry + 1, min(end, tau) + 1):
            ends_here = returned and day == end
            scores[customer] += weight * at_risk[day] / total * (int(ends_here) - back[day] / at_risk[day])
    return scores


def test(scores, labels, cohorts):
    """Sums of scores by group and their law when labels are exchanged within cohorts (Strasser and Weber 1999)."""
    levels = sorted(set(labels))
    sums = [sum(score for score, label in zip(scores, labels, strict=True) if label == level) for level in levels]
    expectation = [Fraction(0)] * len(levels)
    covariance = [[Fraction(0)] * len(levels) for _ in levels]
    for cohort in sorted(set(cohorts)):
        own = [score for score, other in zip(scores, cohorts, strict=True) if other == cohort]
        numbers = [sum(pair == (level, cohort) for pair in zip(labels, cohorts, strict=True)) for level in levels]
        n, mean = len(own), sum(own) / len(own)
        variance = sum((score - mean) ** 2 for score in own) / (n - 1) if n > 1 else Fraction(0)
        for one, in_one in enumerate(numbers):
            expectation[one] += in_one * mean
            for other, in_other in enumerate(numbers):
                covariance[one][other] += Fraction(n * in_one * (one == other) - in_one * in_other, n) * variance
    deviation = [seen - expected for seen, expected in zip(sums, expectation, strict=True)]
    statistic, rank = quadratic_form(deviation, covariance)
    return {
        "levels": levels,
        "linear_statistic": [float(value) for value in sums],
        "expectation": [float(value) for value in expectation],
        "covariance": [[float(value) for value in row] for row in covariance],
        "statistic": float(statistic),
        "df": rank,
        "p": chi_square_tail(float(statistic), rank),
    }


def quadratic_form(vector, matrix):
    """Squared length of a vector in the metric of a covariance, and its rank, by elimination of one row after the other."""
    vector, matrix = list(vector), [list(row) for row in matrix]
    length, rank = Fraction(0), 0
    for place in range(len(vector)):
        pivot = matrix[place][place]
        if pivot == 0:
            continue
        length, rank = length + vector[place] ** 2 / pivot, rank + 1
        for below in range(place + 1, len(vector)):
            factor = matrix[below][place] / pivot
            vector[below] -= factor * vector[place]
            matrix[below] = [value - factor * above for value, above in zip(matrix[below], matrix[place], strict=True)]
    return length, rank


def chi_square_tail(statistic, degrees):
    """Probability that a chi-square is as large, by the recursion over its degrees of freedom."""
    half = statistic / 2
    tail, start = (math.erfc(math.sqrt(half)), 1) if degrees % 2 else (math.exp(-half), 2)
    for lower in range(start, degrees, 2):
        tail += half ** (lower / 2) * math.exp(-half) / math.gamma(lower / 2 + 1)
    return tail


def enumerate_all(scores, labels, cohorts):
    """Every arrangement of the labels within cohorts: the sum of the scores in the last group, and how often it is as far out."""
    level, sums = max(labels), [Fraction(0)]
    seen = sum(score for score, label in zip(scores, labels, strict=True) if label == level)
    for cohort in sorted(set(cohorts)):
        own = [score for score, other in zip(scores, cohorts, strict=True) if other == cohort]
        number = sum(pair == (level, cohort) for pair in zip(labels, cohorts, strict=True))
        sums = [before + sum(chosen) for before, chosen in product(sums, list(combinations(own, number)))]
    mean = sum(sums) / len(sums)
    return {
        "level": level,
        "arrangements": len(sums),
        "variance": float(sum((value - mean) ** 2 for value in sums) / len(sums)),
        "third_central_moment": float(sum((value - mean) ** 3 for value in sums) / len(sums)),
        "p_two_sided": sum(abs(value - mean) >= abs(seen - mean) for value in sums) / len(sums),
        "p_lower": sum(value <= seen for value in sums) / len(sums),
        "p_upper": sum(value >= seen for value in sums) / len(sums),
    }


if __name__ == "__main__":
    main()
