"""Tables of a shop: conditions on rows, keys that join, and an account that adds up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from shop_files import Loaded, loaded, loaded_text, shop_config, write_parquet

from segmentor.errors import DataError
from segmentor.intake import raw

LINES = "customer,time,order,product,n,Status\na,2024-01-01,1,p,2,ok\nb,2024-01-02,2,q,3,void\n,2024-01-03,3,p,1,void\nc,2024-01-04,4,p,1,\n"
ROLES = {"customer": "customer", "time": "time", "order": "order", "product": "product", "quantity": "n"}
TWO = "customer,time,product\na,2024-01-01,p\nb,2024-01-02,q\n"


@pytest.mark.parametrize(
    ("where", "kept", "quarantined"),
    [
        ("Status = 'ok'", ["a"], 0),
        ("status <> 'void'", ["a"], 0),
        ("status IS NULL OR status = 'ok'", ["a", "c"], 0),
        ("quantity >= 2", ["a", "b"], 0),
        ("n >= 2 AND time < '2024-01-02'", ["a"], 0),
        ("customer IN ('a', 'c')", ["a", "c"], 1),
        ("status IS NOT NULL", ["a", "b"], 1),
        ("customer IS NOT NULL", ["a", "b", "c"], 0),
    ],
)
def test_rows_that_do_not_fulfil_the_condition_are_filtered(
    tmp_path: Path, where: str, kept: list[str], quarantined: int
) -> None:
    """Conditions see typed roles and raw columns and drop what is unknown; a bad row is let go only where they fail for certain."""
    with loaded_text(tmp_path, LINES, columns=ROLES, where=where) as shop:
        assert shop.values("customer") == kept
        assert shop.account() == (4, len(kept), 4 - len(kept) - quarantined, quarantined)


def test_condition_that_a_bad_row_cannot_answer_leaves_it_in_quarantine(tmp_path: Path) -> None:
    """Where a condition cannot be computed of a row without a customer, the row is quarantined and the run goes on."""
    lines = LINES.replace("2,ok", "2,1").replace("3,void", "3,2").replace("1,\n", "1,3\n")
    with loaded_text(tmp_path, lines, columns=ROLES, where="cast(Status AS integer) > 1") as shop:
        assert shop.values("customer") == ["b", "c"]
        assert shop.account() == (4, 2, 1, 1)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("statsu = 'ok'", r"data\.transactions\.where: there is no column 'statsu'; did you mean 'status'\?"),
        ("n > 'many'", r"data\.transactions\.where: .* cannot be computed: .*many"),
        ("n > 99", r"no row is left of 4 \(4 left out by where, 0 quarantined\)"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(tmp_path: Path, where: str, message: str) -> None:
    """Unknown columns, impossible comparisons and conditions that nothing fulfils are errors."""
    with pytest.raises(DataError, match=message), loaded_text(tmp_path, LINES, columns=ROLES, where=where):
        pass


def _with_products(folder: Path, products: str, **settings: Any) -> AbstractContextManager[Loaded]:
    (folder / "t.csv").write_text(TWO)
    (folder / "p.csv").write_text(products)
    data = {"max_quarantined": 1.0, "products": {"path": "p.csv", "columns": {"product": "id"}, **settings}}
    columns = {"customer": "customer", "time": "time", "product": "product"}
    return loaded(shop_config(folder, data=data, columns=columns))


def test_repeated_products_are_kept_once(tmp_path: Path) -> None:
    """Product rows that are the same in all columns are one, said so, and rows without a key go to quarantine."""
    with _with_products(tmp_path, "id,size\np,1\np,1\n,2\nq,\n") as shop:
        assert shop.engine.rows("FROM products ORDER BY id") == [("p", "1"), ("q", None)]
        assert shop.account("products") == (4, 2, 1, 1)
        assert shop.reasons("products") == {"missing_product": 1}
        assert "Rows of products that repeat another one in all columns, and were left out: 1." in map(
            str, shop.intake.warnings
        )


def test_keys_with_different_rows_are_refused(tmp_path: Path) -> None:
    """A key that stands for two different rows would multiply lines; the message shows a line and no key."""
    with pytest.raises(DataError) as caught, _with_products(tmp_path, "id,size\nq,1\nsecret,1\nsecret,2\n"):
        pass
    assert "a join would multiply rows: keys with several different rows: 1, one of them at p.csv:3" in str(
        caught.value
    )
    assert "secret" not in str(caught.value)


def test_condition_can_choose_between_rows_of_a_key(tmp_path: Path) -> None:
    """A condition that leaves one row a key makes the table usable."""
    with _with_products(tmp_path, "id,size,now\nq,1,no\nq,2,yes\n", where="now = 'yes'") as shop:
        assert shop.account("products") == (2, 1, 1, 0)


def test_rows_that_the_reader_loses_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When fewer rows come out of the reader than were counted in the file, nothing is computed from them."""

    def without_last(*arguments: Any) -> Any:
        for batch in original(*arguments):
            yield raw.Batch(batch.lines[:-1], batch.fields[:-3], batch.rejects)

    original = raw.read_batches
    monkeypatch.setattr(raw, "read_batches", without_last)
    with (
        pytest.raises(
            DataError, match=r"2 records were counted in the files, but 1 rows came out of reading them \(1 kept"
        ),
        loaded_text(tmp_path, TWO),
    ):
        pass


def test_tables_are_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    """Parquet in many row groups gives one account, quarantine and fingerprint."""
    write_parquet(
        tmp_path / "t.parquet",
        "SELECT nullif(range % 1000, 7)::VARCHAR AS customer, DATE '2024-01-01' + (range % 300)::INTEGER AS time "
        "FROM range(300000)",
    )
    found = []
    for threads in (1, 4):
        with loaded(shop_config(tmp_path, path="t.parquet"), threads=threads) as shop:
            found.append((shop.intake.inputs, shop.quarantined()))
    assert found[0] == found[1]
    assert found[0][0]["transactions"].quarantined == 300
