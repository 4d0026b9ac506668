"""The command as programs and people meet it: words in, exit code, stdout and stderr out."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import segmentor
from segmentor import console
from segmentor.cli import main
from segmentor.errors import ConfigError, SegmentorError
from segmentor.result import from_json
from segmentor.wording import speaking

COMMAND = [sys.executable, "-m", "segmentor"]

SHOP = """
experiment: tea
title: Tea
data:
  timezone: UTC
  transactions:
    path: transactions.csv
    columns: {customer: customer, time: day, product: product, amount: amount}
splits:
  declared:
    - {name: first tea, known: first_purchase, by: product}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A config whose data are 60 customers who buy black or green tea, one in three of them once."""
    lines = ["customer,day,product,amount"]
    for number in range(60):
        for purchase in range(1 + number % 3):
            day = f"2024-{1 + number % 4 + 2 * purchase:02}-{1 + number % 28:02}"
            lines.append(f"{number:03},{day},{('black', 'green')[number % 2]},4.50")
    (tmp_path / "transactions.csv").write_text("\n".join(lines) + "\n")
    config = tmp_path / "tea.yaml"
    config.write_text(SHOP)
    return config


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose run takes some seconds."""
    folder = tmp_path_factory.mktemp("shop")
    assert main(["simulate", "fragrance", "--out", str(folder), "--customers", "5000"]) == 0
    return folder / "fragrance.yaml"


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the commands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Printed = pytest.CaptureFixture[str]


def test_version_is_the_packages(capsys: Printed) -> None:
    """`--version` prints name and version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"segmentor {segmentor.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help_tells_the_three_steps(words: list[str], capsys: Printed) -> None:
    """The help, which also answers to no words at all, leads from data to a report."""
    assert main(words) == 0
    steps = re.findall(r"^ +segmentor (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert steps == ["example", "check", "run"]


def test_help_is_quick() -> None:
    """`--help` costs less processor time than half a second even on a slow machine: nothing heavy is loaded."""
    before = os.times()
    subprocess.run([*COMMAND, "--help"], check=True, capture_output=True)
    after = os.times()
    assert after.children_user - before.children_user < 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["analyse"], "No such command 'analyse'"),
        (["run"], "Missing argument 'CONFIG'"),
        (["run", "x.yaml", "--quite"], "Did you mean one of: '--out', '--quiet'"),
        (["run", "x.yaml", "--engine", "oracle"], "'oracle' is not 'duckdb'"),
        (["assign", "reports/x", "--config", "x.yaml", "--as-of", "31.12.2024", "--out", "x.csv"], "%Y-%m-%d"),
        (["simulate", "fragrance", "--out", "x", "--customers", "none"], "'none' is not a valid integer"),
        (["simulate", "fragrance", "--out", "x", "--leaves", "5"], "leaves: must be a probability"),
        (["example", "titanic", "--out", "x"], "complete-journey"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["check", "missing.yaml"], "missing.yaml"),
        (["report", "missing"], "missing"),
        (["assign", "missing", "--config", "missing.yaml", "--out", "x.csv"], "missing"),
        (["compare", "missing", "other"], "missing: is no folder of a finished run"),
        (["compare", "missing"], "Missing argument 'RUN_B'"),
    ],
)
def test_wrong_words_are_one_message(words: list[str], message: str, at: Path, capsys: Printed) -> None:
    """What a user gets wrong is told on stderr without traceback, exits 2 and writes nothing."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert not list(at.iterdir())


@pytest.mark.parametrize("name", ["purge"])
def test_command_that_is_not_built_is_absent(name: str, capsys: Printed) -> None:
    """No command only says that it will come."""
    assert main([name]) == 2
    assert "No such command" in capsys.readouterr().err


def test_run_prints_verdicts_and_where_the_report_is(shop: Path, at: Path, capsys: Printed) -> None:
    """A run ends with a row a split and the path of a report that exists."""
    assert main(["run", str(shop)]) == 0
    printed = capsys.readouterr()
    assert re.search(r"^(separates|equivalent|inconclusive|untestable) +first tea ", printed.out, re.MULTILINE)
    assert printed.out.endswith("report: reports/tea/report.html\n")
    assert (at / "reports" / "tea" / "report.html").is_file()
    assert printed.err == ""


def test_run_prints_json_and_nothing_else(shop: Path, at: Path, capsys: Printed) -> None:
    """With `--json` stdout holds exactly the text of results.json."""
    assert main(["run", str(shop), "--json", "--out", "out"]) == 0
    assert capsys.readouterr().out == (at / "out" / "results.json").read_text(encoding="utf-8")


def test_set_replaces_a_value_of_the_config(shop: Path, at: Path, capsys: Printed) -> None:
    """`--set key.path=value` counts more than the file, and the manifest has the value that was used."""
    assert main(["run", str(shop), "--set", "seed=7", "--set", "trial.min_group=20", "--engine", "duckdb"]) == 0
    manifest = json.loads((at / "reports" / "tea" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["config"]["seed"] == 7
    assert manifest["config"]["trial"]["min_group"] == 20
    assert main(["run", str(shop), "--set", "sed=7"]) == 2
    assert "seed" in capsys.readouterr().err


def test_a_run_may_leave_out_the_list_of_customers(shop: Path, at: Path, capsys: Printed) -> None:
    """With `privacy.assigned=false` the folder has no `assigned.csv`, and all other files as before."""
    assert main(["run", str(shop), "--out", "with"]) == 0
    assert main(["run", str(shop), "--out", "without", "--set", "privacy.assigned=false"]) == 0
    capsys.readouterr()
    names = [{path.name for path in (at / folder).iterdir()} for folder in ("with", "without")]
    assert names[0] - names[1] == {"assigned.csv"}
    assert not names[1] - names[0]


def test_check_counts_rows_and_customers(shop: Path, at: Path, capsys: Printed) -> None:
    """`check --json` has the rows of each input, customers and occasions, and writes nothing."""
    before = sorted(at.iterdir())
    assert main(["check", str(shop), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["inputs"]["transactions"]["read"] == 120
    assert counts["inputs"]["transactions"]["kept"] == 120
    assert counts["inputs"]["transactions"]["quarantined"] == 0
    assert (counts["customers"], counts["occasions"]) == (60, 120)
    assert counts["cycle"]["cycles"] == 60
    assert sorted(at.iterdir()) == before


def test_check_counts_the_values_of_a_key_and_shows_none(shop: Path, capsys: Printed) -> None:
    """A split by a key column neither floods the terminal nor shows an id."""
    shop.write_text(shop.read_text().replace("by: product}", "by: customer}"))
    assert main(["check", str(shop)]) == 0
    printed = capsys.readouterr().out
    assert "60 values" in printed
    assert "059" not in printed


def test_check_tells_what_can_be_tested(shop: Path, capsys: Printed) -> None:
    """`check` shows each split with the size of its groups."""
    assert main(["check", str(shop)]) == 0
    printed = capsys.readouterr().out
    assert "60 customers, 120 purchase occasions and 60 cycles" in printed
    assert re.search(r"^first tea +first_purchase +black 30, green 30", printed, re.MULTILINE)


SEARCH = """
  enumerated: {known: first_purchase}
  clustered: {known: {until: 2024-07-01}, methods: [kmeans, gmm], features: [category, weekday], max_clusters: 4}
trial: {min_group: 10}
"""


def test_check_tells_what_would_be_searched(shop: Path, at: Path, capsys: Printed) -> None:
    """`check` lists the attributes that a search would try with their candidates, what it leaves out and why, and the features of clusters."""
    header, *lines = (at / "transactions.csv").read_text().splitlines()
    rows = [f"{line},{'abc'[int(line[:3]) // 20]},slip {number},{number % 7 / 2}" for number, line in enumerate(lines)]
    (at / "transactions.csv").write_text("\n".join([f"{header},shelf,slip,weight", *rows]) + "\n")
    shop.write_text(shop.read_text().rstrip() + SEARCH)
    assert main(["check", str(shop)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^shelf +entry +4 *$", printed, re.MULTILINE)
    assert re.search(r"^weight +first_purchase +1 +a threshold", printed, re.MULTILINE)
    assert re.search(r"^clusters by kmeans, gmm +until: 2024-07-01 +8 +rules of 7 features", printed, re.MULTILINE)
    assert "features of clusters: weekday: Sunday, weekday: Monday," in printed
    assert "left out: slip: is a key: 60 values for 60 customers" in printed
    candidates = re.findall(r"^.+ (?:first_purchase|entry|until: \S+) +(\d+)(?: .*)?$", printed, re.MULTILINE)
    (told,) = re.findall(r"up to (\d+) candidates", printed)
    assert sum(map(int, candidates)) == int(told)


def test_check_refuses_a_search_that_a_run_would_refuse(shop: Path, capsys: Printed) -> None:
    """Features that the data do not have are told before a run, and so is a search that cannot be validated."""
    text = shop.read_text().rstrip()
    for search, message in (
        ("clustered: {known: {until: 2024-07-01}, features: [brand]}", "the data have none of brand; name others"),
        ("enumerated: {known: lifetime}", "a label over the lifetime is never validated; write first_purchase"),
    ):
        shop.write_text(f"{text}\n  {search}\n")
        assert main(["check", str(shop)]) == 2
        assert message in capsys.readouterr().err


def test_report_is_drawn_again_from_results(shop: Path, at: Path) -> None:
    """`report` needs no data, and draws the same page."""
    main(["run", str(shop)])
    page = at / "reports" / "tea" / "report.html"
    drawn = page.read_bytes()
    page.unlink()
    (at / "transactions.csv").unlink()
    assert main(["report", "reports/tea"]) == 0
    assert page.read_bytes() == drawn


def test_an_old_run_is_told_in_another_language(shop: Path, at: Path) -> None:
    """`report --language zh` tells the verdicts and the warnings of an English run in Chinese, and nothing of them in English."""
    with (at / "transactions.csv").open("a", encoding="utf-8") as lines:
        lines.write(2 * "000,2024-09-01,black,4.50\n")
    main(["run", str(shop)])
    folder = at / "reports" / "tea"
    results = (folder / "results.json").read_text(encoding="utf-8")
    result = from_json(results)
    told = [*result.quality.warnings, *(trial.sentence for trial in result.trials)]
    assert len(told) > 1
    english = (folder / "report.html").read_text(encoding="utf-8")
    assert main(["report", "reports/tea", "--language", "zh"]) == 0
    chinese = (folder / "report.html").read_text(encoding="utf-8")
    for message in told:
        with speaking("zh"):
            in_chinese = str(message)
        assert str(message) in english
        assert in_chinese in chinese
        assert str(message) not in chinese
    assert (folder / "results.json").read_text(encoding="utf-8") == results
    assert main(["report", "reports/tea"]) == 0
    assert (folder / "report.html").read_text(encoding="utf-8") == english


def test_a_chinese_run_tells_its_segments_and_warnings_so(shop: Path, at: Path, capsys: Printed) -> None:
    """Files for readers of the report speak its language; codes and the terminal stay English."""
    with (at / "transactions.csv").open("a", encoding="utf-8") as lines:
        lines.write(2 * "000,2024-09-01,black,4.50\n")
    main(["run", str(shop), "--set", "language=zh"])
    folder = at / "reports" / "tea"
    assert json.loads((folder / "segments.json").read_text(encoding="utf-8"))["segments"][0]["words"] == "所有顾客"
    (warning,) = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["warnings"]
    assert "各列都与另一行相同" in warning
    assert (folder / "trials.csv").read_text(encoding="utf-8").isascii()
    assert capsys.readouterr().out.isascii()


def test_assign_writes_a_row_a_customer(shop: Path, at: Path, capsys: Printed) -> None:
    """`assign` writes the segment of every customer and prints how many have each."""
    main(["run", str(shop)])
    capsys.readouterr()
    assert main(["assign", "reports/tea", "--config", str(shop), "--out", "segments.csv"]) == 0
    lines = (at / "segments.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "customer,segment,known_since"
    assert len(lines) == 61
    assert "written: segments.csv" in capsys.readouterr().out
    assert (at / "segments.csv").read_bytes() == (at / "reports" / "tea" / "assigned.csv").read_bytes()


def test_simulate_takes_every_figure_of_the_world(at: Path, capsys: Printed) -> None:
    """A figure given as an option stands in truth.json, beside the ones of the null world."""
    words = ["--null", "--seed", "3", "--rate-sd", "0.9", "--genders-men", "0.35", "--genders-unisex", "0.2"]
    assert main(["simulate", "fragrance", "--out", "shop", "--customers", "50", *words]) == 0
    truth = (at / "shop" / "truth.json").read_text(encoding="utf-8")
    assert re.search(r'"rate_sd": 0\.9\b', truth)
    assert re.search(r'"sample_factor": 1\.0\b', truth)
    assert capsys.readouterr().out == "next: segmentor run shop/fragrance.yaml\n"


@pytest.mark.parametrize(("words", "field"), [([], "data"), (["--results"], "trials")])
def test_schema_is_json(words: list[str], field: str, capsys: Printed) -> None:
    """`schema` prints a JSON Schema of an object: of the config, or of results.json."""
    assert main(["schema", *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["type"] == "object"
    assert field in printed["properties"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            ConfigError(["x.yaml:1: seed: no", "x.yaml:2: title: no"]),
            2,
            "error: x.yaml:1: seed: no\n       x.yaml:2: title: no\n",
        ),
        (SegmentorError("the disk is full"), 3, "error: the disk is full\n"),
        (
            OSError(28, "No space left on device", "results.json"),
            3,
            "error: [Errno 28] No space left on device: 'results.json'\n",
        ),
        (MemoryError(), 3, "error: out of memory"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_has_its_exit_code(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    """Every kind of failure becomes its code and its message, without traceback."""

    def fail() -> None:
        raise error

    monkeypatch.setattr("segmentor.config.json_schema", fail)
    assert main(["schema"]) == code
    assert capsys.readouterr().err.strip("\n").startswith(message.strip("\n"))


@pytest.mark.parametrize(
    "dangerous", ["\x1b]0;owned\x07", "\r", "\x9b31m", "\u202e", "\u2066", "\ud800", "\x00", "\u2028"], ids=ascii
)
def test_terminal_never_gets_control_characters(dangerous: str, capsys: Printed) -> None:
    """What drives a terminal is shown as an escape, in lines, tables and errors."""
    name = f"a{dangerous}b"
    console.say(name)
    console.complain(name)
    console.show_table((name,), [(name,)])
    printed = "".join(capsys.readouterr())
    assert dangerous not in printed
    assert printed.count(name.encode("unicode_escape").decode()) == 4


def test_names_in_tables_are_no_markup(capsys: Printed) -> None:
    """Square brackets in the data are shown as they are."""
    console.show_table(("name",), [("[red]sale[/red]",), ("[/]",)])
    assert "[red]sale[/red]" in capsys.readouterr().out


def test_reader_that_stops_early_is_no_error() -> None:
    """A closed pipe, as of `| head -1`, ends the command quietly."""
    command = f"set -o pipefail; {' '.join(COMMAND)} schema | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_full_standard_output_is_an_error() -> None:
    """Output that cannot be written exits 3 with a message."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("quiet", "shown"), [(False, r"✓ reading.* s.*✓ report \\x1b\[31m.* s"), (True, r"^$")])
def test_progress_shows_in_a_terminal(quiet: bool, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """With a terminal as stderr each stage is named with its time, safely, and `--quiet` shows none of it."""
    reader, writer = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with console.stages(quiet=quiet) as progress:
            progress("reading")
            progress("report \x1b[31m")
    assert re.search(shown, re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", _read_all(reader)), re.DOTALL)


def _read_all(descriptor: int) -> str:
    parts = []
    with contextlib.suppress(OSError):  # how Linux says that nobody holds the other end
        while part := os.read(descriptor, 65536):
            parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


def test_progress_is_silent_without_a_terminal(capsys: Printed) -> None:
    """A log file or a pipe gets no spinner."""
    with console.stages(quiet=False) as progress:
        progress("reading")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("number", "code", "seconds"), [(signal.SIGINT, 130, 0.0), (signal.SIGINT, 130, 0.5), (signal.SIGTERM, 143, 0.2)]
)
def test_interrupted_run_leaves_nothing(number: int, code: int, seconds: float, long_run: Path, tmp_path: Path) -> None:
    """A run that is stopped ends within five seconds with its code, no traceback, no file and no scratch folder."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {"TMPDIR": str(scratch)}
    run = subprocess.Popen(
        [*COMMAND, "run", str(long_run), "--out", "out"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    )
    while not (tmp_path / ".out.staging").exists():
        assert run.poll() is None
        time.sleep(0.01)
    time.sleep(seconds)
    run.send_signal(number)
    stopped = time.monotonic()
    _, said = run.communicate(timeout=20)
    assert run.returncode == code
    assert time.monotonic() - stopped < 5
    assert b"Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert not list(scratch.iterdir())
