"""The engine: what goes in and out of it, and everything that it must not reach."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segmentor.engine.duckdb import Engine, literal, open_engine, quote
from segmentor.errors import EngineError, ExpressionError, ResourceError


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A private folder beside the inputs."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def engine(tmp_path: Path, scratch: Path) -> Iterator[Engine]:
    """An engine that may read ``allowed.csv``; ``secret.csv`` lies beside it."""
    for name in ("allowed", "secret"):
        (tmp_path / f"{name}.csv").write_text("a\n1\n")
    with open_engine(scratch=scratch, inputs=[tmp_path / "allowed.csv"], threads=1) as opened:
        yield opened


def test_declared_input_is_read(engine: Engine, tmp_path: Path) -> None:
    """The declared file can be read."""
    assert engine.rows(f"FROM read_csv('{tmp_path}/allowed.csv')") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('{folder}/secret.csv')",
        "FROM '{folder}/secret.csv'",
        'FROM "{folder}/secret.csv"',
        "FROM read_csv('{folder}/scratch/../secret.csv')",
        "FROM read_csv('{folder}/*.csv')",
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('/etc/passwd')",
        "FROM glob('/etc/*')",
        "FROM sniff_csv('/etc/passwd')",
        "FROM read_parquet('https://example.org/x.parquet')",
        "ATTACH '{folder}/other.duckdb' AS other",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{folder}/secret.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{folder}/x.duckdb_extension'",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{folder}/secret.csv']",
        "SET allowed_directories = ['/']",
        "SET python_enable_replacements = true",
        "SET memory_limit = '100GB'",
        "SET threads = 64",
        "SET lock_configuration = false",
        "RESET lock_configuration",
    ],
)
def test_everything_else_is_out_of_reach(engine: Engine, tmp_path: Path, sql: str) -> None:
    """Other files, networks, databases, extensions and settings are refused, however they are named."""
    with pytest.raises(EngineError, match=r"Permission|does not exist|locked|disabled"):
        engine.rows(sql.format(folder=tmp_path))
    assert (tmp_path / "secret.csv").read_text() == "a\n1\n"
    assert not list(tmp_path.glob("o*"))


def test_links_lead_nowhere(engine: Engine, tmp_path: Path) -> None:
    """A link beside the inputs is no way to a file that was not declared."""
    (tmp_path / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(EngineError, match="Permission"):
        engine.rows(f"FROM read_csv('{tmp_path}/link.csv')")


def test_python_variables_are_invisible(engine: Engine) -> None:
    """A data frame of the program is no table."""
    secret_frame = pd.DataFrame({"a": [1]})
    with pytest.raises(EngineError, match="secret_frame does not exist"):
        engine.rows("FROM secret_frame")
    assert len(secret_frame) == 1


def test_arrays_go_in_and_come_out(engine: Engine) -> None:
    """Numbers, text and times come back as they went in; masks, None and NaN as masked values."""
    columns = {
        "whole": np.array([1, -2, 3], dtype=np.int64),
        "small": np.ma.masked_array(np.array([1, 2, 3], dtype=np.int8), [False, True, False]),
        "real": np.array([0.5, np.nan, 2.0]),
        "text": np.array(["a", None, "ä"], dtype=object),
        "fixed": np.array(["x", "yy", ""]),
        "flag": np.array([True, False, True]),
        "day": np.array(["2024-01-01", "2024-02-29", "NaT"], dtype="datetime64[D]"),
        "turned": np.array([3, 2, 1])[::-1],
    }
    engine.put("t", columns)
    found = engine.arrays("FROM t")
    assert engine.columns("t") == tuple(columns)
    assert found["whole"].tolist() == [1, -2, 3]
    assert found["small"].dtype == np.int8
    assert found["small"].tolist() == [1, None, 3]
    assert found["real"].tolist() == [0.5, None, 2.0]
    assert found["text"].tolist() == ["a", None, "ä"]
    assert found["fixed"].tolist() == ["x", "yy", ""]
    assert found["flag"].tolist() == [True, False, True]
    assert [str(day) for day in found["day"].astype("datetime64[D]").tolist()] == ["2024-01-01", "2024-02-29", "None"]
    assert found["turned"].tolist() == [1, 2, 3]


def test_put_replaces_and_append_adds(engine: Engine) -> None:
    """A second table of a name takes the place of the first; appended rows follow column names, not places."""
    engine.put("t", {"old": np.arange(2)})
    engine.put("t", {"a": np.array([], dtype=object), "b": np.array([1])[:0]})
    assert engine.rows("FROM t") == []
    engine.append("t", {"b": np.array([1]), "a": np.array(["x"], dtype=object)})
    assert engine.rows("SELECT a, b FROM t") == [("x", 1)]


def test_arrays_of_several_lengths_are_refused(engine: Engine) -> None:
    """Columns of one table have one length."""
    with pytest.raises(EngineError):
        engine.put("t", {"a": np.arange(2), "b": np.arange(3)})


def test_unknown_table_has_no_columns(engine: Engine) -> None:
    """A table that does not exist has no columns, and a scalar without a row is None."""
    assert engine.columns("nothing") == ()
    assert engine.scalar("SELECT 1 WHERE FALSE") is None


def test_large_results_are_not_fetched(engine: Engine) -> None:
    """A result within the bound is fetched, one row more is refused."""
    assert len(engine.arrays("FROM range(10)", limit=10)["range"]) == 10
    with pytest.raises(EngineError, match="more than 9 rows is not fetched"):
        engine.arrays("FROM range(10)", limit=9)


def test_failing_statement_is_in_the_message(engine: Engine) -> None:
    """An error of the database carries the statement that failed."""
    with pytest.raises(EngineError, match=r"(?s)Catalog Error.*The statement was:\nSELECT \* FROM nowhere"):
        engine.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize("expression", ["'x'::INTEGER", "'x' || 'y' < 5"])
def test_an_expression_that_makes_no_sense_is_the_users_to_mend(engine: Engine, expression: str) -> None:
    """Text taken for a number says what to write, and shows no statement of ours."""
    with pytest.raises(ExpressionError, match=r"^[^\n]*try_cast\(column as double\)$"):
        engine.execute(f"SELECT {expression}")


def test_interrupt_is_a_keyboard_interrupt(engine: Engine) -> None:
    """A statement that is interrupted ends at once, the way Ctrl-C does."""
    threading.Timer(0.3, engine.interrupt).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.scalar("SELECT sum(sqrt(a.range * b.range)) FROM range(1000000) a, range(1000000) b")
    assert time.monotonic() - started < 5


def test_too_little_memory_names_the_setting(scratch: Path) -> None:
    """Running out of memory says which setting to change."""
    with (
        pytest.raises(ResourceError, match="SEGMENTOR_MEMORY_LIMIT"),
        open_engine(scratch=scratch, inputs=[], threads=1, memory_limit="20MB") as small,
    ):
        small.rows("SELECT len(list(range)) FROM range(20000000)")


def test_environment_gives_threads_and_memory(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and memory come from the environment unless the caller says otherwise."""
    monkeypatch.setenv("SEGMENTOR_THREADS", "3")
    monkeypatch.setenv("SEGMENTOR_MEMORY_LIMIT", "200MiB")
    settings = "SELECT current_setting('threads'), current_setting('memory_limit')"
    with open_engine(scratch=scratch, inputs=[]) as opened:
        assert opened.rows(settings) == [(3, "200.0 MiB")]
    with open_engine(scratch=scratch, inputs=[], threads=2, memory_limit="100MiB") as opened:
        assert opened.rows(settings) == [(2, "100.0 MiB")]


def test_nothing_is_drawn_on_standard_output(scratch: Path) -> None:
    """A session that counts as interactive shows no progress bar of its own, which would spoil results that are printed."""
    script = (
        "import sys, pathlib\n"
        "from segmentor.engine.duckdb import open_engine\n"
        "with open_engine(scratch=pathlib.Path(sys.argv[1]), inputs=[]) as engine:\n"
        """    print(engine.scalar("select current_setting('enable_progress_bar')"))\n"""
    )
    done = subprocess.run([sys.executable, "-c", script, str(scratch)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_names_and_texts_are_quoted(engine: Engine) -> None:
    """A name or text of any characters stays one name or one text."""
    odd = """a"b'; DROP TABLE t; --"""
    engine.execute(f"CREATE TABLE {quote(odd)} AS SELECT {literal(odd)} AS {quote(odd)}")
    assert engine.rows(f"SELECT {quote(odd)} FROM {quote(odd)}") == [(odd,)]


def test_a_scalar_leaves_the_connection_free(engine: Engine) -> None:
    """A table can be put right after a single value was read."""
    assert engine.scalar("select 1") == 1
    assert engine.scalar("select 1 where false") is None
    engine.put("numbers", {"n": np.array([1, 2])})
    assert engine.scalar("select count(*) from numbers") == 2
