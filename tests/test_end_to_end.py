"""A simulated shop from files to results: what the folder holds, that it is always the same, and that it finds the truth."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import sqlite3
from pathlib import Path

import duckdb
import pytest

from segmentor.cli import main
from segmentor.config import load_config
from segmentor.tables import BUNDLE_COLUMNS, CROSS_SELL_COLUMNS, TRIAL_COLUMNS

FILES = {
    *("ledger.csv", "habits.csv", "assigned.csv", "bundles.csv"),
    *(f"segments.{system}.sql" for system in ("spark", "postgres", "bigquery", "snowflake")),
    *("report.html", "trials.csv", "segments.json", "segments.sql", "cross_sell.csv", "results.json", "quality.json"),
    *("manifest.json", "quarantine/transactions.csv", "quarantine/products.csv", "quarantine/customers.csv"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config of a fragrance shop of 3,000 customers, with a strong effect of the size."""
    folder = tmp_path_factory.mktemp("shop")
    words = ["simulate", "fragrance", "--out", str(folder), "--customers", "3000", "--sample-factor", "1.8"]
    assert main(words) == 0
    return folder / "fragrance.yaml"


@pytest.fixture(scope="module")
def results(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its run."""
    out = tmp_path_factory.mktemp("runs") / "fragrance"
    assert main(["run", str(shop), "--out", str(out), "--quiet"]) == 0
    return out


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every file of a run but its log."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "run.log")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_every_file_with_its_columns(results: Path) -> None:
    """The folder holds the files of the outside contract and no other, tables with their columns in order."""
    assert set(hashes(results)) == FILES
    assert "in all" in (results / "run.log").read_text(encoding="utf-8")
    tables = (("trials.csv", TRIAL_COLUMNS), ("cross_sell.csv", CROSS_SELL_COLUMNS), ("bundles.csv", BUNDLE_COLUMNS))
    for name, columns in tables:
        assert (results / name).read_text(encoding="utf-8").splitlines()[0] == ",".join(columns)
    assert (results / "quarantine" / "transactions.csv").read_text(encoding="utf-8") == "file,line,reason,row\n"
    for name in ("results.json", "segments.json", "quality.json", "manifest.json"):
        assert json.loads((results / name).read_text(encoding="utf-8"))["format"] == 4


@pytest.mark.parametrize("name", ["results.json", "manifest.json"])
def test_the_config_of_a_run_is_that_of_the_file_in_its_order(results: Path, shop: Path, name: str) -> None:
    """Whoever runs the written config again has the groups of each split in the order in which they decide."""
    written = json.loads((results / name).read_text(encoding="utf-8"))["config"]
    assert json.dumps(written) == json.dumps(load_config(shop).resolved())


def test_the_planted_split_is_found_and_the_idle_ones_are_not(results: Path) -> None:
    """Size separates, gender and region do not; the segments are size, within full sizes the channel, and those not yet known."""
    verdicts = {row["split"]: row["verdict"] for row in rows_of(results / "trials.csv")}
    assert verdicts["size"] == "separates"
    assert "separates" not in (verdicts["gender"], verdicts["region"])
    segments = json.loads((results / "segments.json").read_text(encoding="utf-8"))["segments"]
    assert [one["name"] for one in segments] == [
        "full / search + social",
        "full / store",
        "sample",
        "not yet known",
    ]


def test_the_accounts_add_up(results: Path, shop: Path) -> None:
    """Read = kept + filtered + quarantined for each input, and the lines of the file are the rows read."""
    quality = json.loads((results / "quality.json").read_text(encoding="utf-8"))
    for name, one in quality["inputs"].items():
        assert one["read"] == one["kept"] + one["filtered"] + one["quarantined"]
        assert one["read"] == len((shop.parent / f"{name}.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert quality["cycle"]["customers"] == 3000


def test_no_result_holds_a_customer_a_path_or_a_clock(results: Path, shop: Path) -> None:
    """Nobody's id is in any file but the one that is for ids, and no absolute path and no time of the run in any."""
    for path in (results / name for name in FILES):
        text = path.read_text(encoding="utf-8")
        assert ("C00" in text) == (path.name == "assigned.csv")
        assert str(shop.parent) not in text
        assert str(Path.home()) not in text


@pytest.mark.parametrize("threads", ["1", "4"])
def test_bytes_do_not_depend_on_threads_or_the_order_of_rows(
    shop: Path, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    """With shuffled lines, another number of threads and another folder, every file is the same to the byte."""
    for name in ("transactions", "products", "customers"):
        header, *lines = (shop.parent / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        random.Random(threads).shuffle(lines)
        (tmp_path / f"{name}.csv").write_text(header + "".join(lines), encoding="utf-8")
    (tmp_path / "fragrance.yaml").write_text(shop.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("SEGMENTOR_THREADS", threads)
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "fragrance.yaml", "--out", "again", "--quiet"]) == 0
    assert hashes(tmp_path / "again") == hashes(results)


def test_one_file_in_two_parts_gives_the_same_results(shop: Path, results: Path, tmp_path: Path) -> None:
    """Splitting the transactions changes neither trials nor segments nor the fingerprint."""
    header, *lines = (shop.parent / "transactions.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    for number, part in enumerate((lines[::2], lines[1::2])):
        (tmp_path / f"part{number}.csv").write_text(header + "".join(part), encoding="utf-8")
    out = tmp_path / "parts"
    assert main(["run", str(shop), "--out", str(out), "--set", f"data.transactions.path={tmp_path}/part*.csv"]) == 0
    for name in ("trials.csv", "segments.json", "segments.sql", "cross_sell.csv", "bundles.csv"):
        assert (out / name).read_bytes() == (results / name).read_bytes()
    first, second = (
        json.loads((folder / "manifest.json").read_text())["inputs"]["transactions"] for folder in (out, results)
    )
    assert first["fingerprint"] == second["fingerprint"]


def test_the_sql_and_assign_agree_with_the_run(shop: Path, results: Path, tmp_path: Path) -> None:
    """`segments.sql` over the shop's own files, in DuckDB and SQLite, and `assign` give one and the same segment to each customer."""
    sql = (results / "segments.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        for name in ("transactions", "products", "customers"):
            connection.execute(f"create table {name} as from read_csv('{shop.parent / name}.csv')")
        replayed = dict(connection.execute(sql).fetchall())
    lite = sqlite3.connect(":memory:")
    for name in ("transactions", "products", "customers"):
        rows = rows_of(shop.parent / f"{name}.csv")
        lite.execute(f"create table {name} ({', '.join(rows[0])})")
        lite.executemany(
            f"insert into {name} values ({', '.join('?' * len(rows[0]))})",
            [[value or None for value in row.values()] for row in rows],
        )
    assert dict(lite.execute(sql).fetchall()) == replayed
    lite.close()
    out = tmp_path / "segments.csv"
    assert main(["assign", str(results), "--config", str(shop), "--out", str(out)]) == 0
    assigned = rows_of(out)
    assert {row["customer"]: row["segment"] for row in assigned} == replayed
    assert all(bool(row["known_since"]) == (row["segment"] != "not yet known") for row in assigned)
    segments = json.loads((results / "segments.json").read_text(encoding="utf-8"))["segments"]
    sizes = {one["name"]: one["customers"] for one in segments}
    assert sizes == {name: list(replayed.values()).count(name) for name in sizes}


def test_assign_as_of_a_day_knows_only_what_was_known_then(shop: Path, results: Path, tmp_path: Path) -> None:
    """Customers who came later are absent, and nobody is known since a later day; Parquet holds the same."""
    early, parquet = tmp_path / "early.csv", tmp_path / "early.parquet"
    for out in (early, parquet):
        words = [
            "assign",
            str(results / "segments.json"),
            "--config",
            str(shop),
            "--as-of",
            "2024-06-30",
            "--out",
            str(out),
        ]
        assert main(words) == 0
    rows = rows_of(early)
    assert 0 < len(rows) < 3000
    assert max(row["known_since"] for row in rows) <= "2024-06-30"
    stored = duckdb.sql(f"select customer, segment, coalesce(known_since, '') from '{parquet}' order by 1").fetchall()
    assert stored == [(row["customer"], row["segment"], row["known_since"]) for row in rows]


def test_a_label_of_a_date_is_not_known_before_it(shop: Path, results: Path, tmp_path: Path) -> None:
    """Definitions of purchases before a date label nobody on an earlier day, and somebody from that day on."""
    definitions = json.loads((results / "segments.json").read_text(encoding="utf-8"))
    (applied, *_) = definitions["splits"]
    applied["declared"]["known"] = {"until": "2024-06-30"}
    applied["merged"] = applied["threshold"] = None
    applied["groups"] = ["full", "sample", "travel"]
    definitions["splits"] = [applied]
    path = tmp_path / "segments.json"
    path.write_text(json.dumps(definitions), encoding="utf-8")
    segments = {}
    for as_of in ("2024-06-29", "2024-06-30"):
        out = tmp_path / f"{as_of}.csv"
        words = ["assign", str(path), "--config", str(shop), "--as-of", as_of, "--out", str(out)]
        assert main(words) == 0
        segments[as_of] = {row["segment"] for row in rows_of(out)}
    assert segments["2024-06-29"] == {"not yet known"}
    assert len(segments["2024-06-30"]) > 1


def test_a_report_drawn_again_is_the_same(results: Path) -> None:
    """`report` needs only results.json and gives the same page to the byte."""
    before = (results / "report.html").read_bytes()
    assert main(["report", str(results)]) == 0
    assert (results / "report.html").read_bytes() == before


def test_a_run_is_equal_to_itself(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Compared with itself a run has no other verdict, every customer stays, and the table has the sizes of the segments."""
    assert main(["compare", str(results), str(results), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(one["before"] == one["after"] and one["ratio"]["overlap"] is not False for one in found["splits"])
    assert {one["change"] for one in found["segments"]} == {"stayed"}
    segments = json.loads((results / "segments.json").read_text(encoding="utf-8"))["segments"]
    table = found["migration"]["customers"]
    for place, one in enumerate(segments):
        assert table[place][place] in (one["customers"], None)
        assert sum(cell or 0 for cell in table[place]) == (table[place][place] or 0)


def test_an_engine_that_is_not_built_is_refused(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`data.engine: spark` is an error, never silently something else."""
    assert main(["run", str(shop), "--out", str(tmp_path / "out"), "--set", "data.engine=spark"]) == 2
    assert "data.engine: spark is not built" in capsys.readouterr().err
