"""Three exports as shops write them: `init`, `check` and `run`, and nothing else, lead to a report."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from unicodedata import east_asian_width

import pytest
from shop_exports import Order, made_up_orders, write_shopify, write_tmall, write_woocommerce

from segmentor.cli import main
from segmentor.config import ExperimentConfig, load_config
from segmentor.starting import start

Printed = pytest.CaptureFixture[str]
Write = Callable[[Path, Sequence[Order]], None]


def _led_to_a_report(folder: Path, write: Write, capsys: Printed) -> tuple[ExperimentConfig, list[str]]:
    """The config that `init` wrote, and what it printed, once check and run have ended well."""
    write(folder / "orders.csv", made_up_orders())
    assert main(["init", "shop", "--transactions", "orders.csv"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-3:] == [
        "written: shop/shop.yaml",
        "next: segmentor check shop/shop.yaml",
        "then: segmentor run shop/shop.yaml",
    ]
    assert main(["check", "shop/shop.yaml"]) == 0
    assert "missing for more:" in capsys.readouterr().out
    assert main(["run", "shop/shop.yaml", "--quiet"]) == 0
    assert (folder / "reports" / "shop" / "report.html").stat().st_size > 10_000
    return load_config(folder / "shop" / "shop.yaml"), printed


def _quality(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "reports" / "shop" / "quality.json").read_text(encoding="utf-8"))
    return found


def _verdicts(folder: Path) -> dict[str, str]:
    with (folder / "reports" / "shop" / "trials.csv").open(encoding="utf-8", newline="") as stream:
        return {row["split"]: row["verdict"] for row in csv.DictReader(stream)}


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own."""
    monkeypatch.chdir(tmp_path)


def test_shopify_orders_lead_to_a_report(tmp_path: Path, capsys: Printed) -> None:
    """Fields of the first line fill in the others, money is price times pieces, refunds and tills without an e-mail are left out."""
    config, _ = _led_to_a_report(tmp_path, write_shopify, capsys)
    lines = config.data.transactions
    assert dict(lines.columns) == {
        "customer": "Email",
        "order": "Name",
        "time": "Created at",
        "product": "Lineitem sku",
        "quantity": "Lineitem quantity",
        "amount": "line_amount",
        "channel": "Source",
    }
    assert config.data.timezone == "Europe/Berlin"
    assert {"Email", "Created at", "Financial Status", "Discount Amount"} <= set(lines.fill_from_order or ())
    assert not {"Total", "Subtotal", "Vendor", "Lineitem sku", "Name"} & set(lines.fill_from_order or ())
    assert [split.by for split in config.splits.declared] == ["Vendor", "Billing City"]
    assert config.splits.enumerated is not None
    assert "discount_share" in config.splits.enumerated.columns
    personal = {
        "Email",
        "Name",
        "Billing Name",
        "Billing Street",
        "Billing Zip",
        "Billing Phone",
        "Shipping Name",
        "Notes",
    }
    assert not personal & set(config.splits.enumerated.columns)

    orders, rows = {order.number: order for order in made_up_orders()}, _exported(tmp_path / "orders.csv")
    heads = {row["Name"]: row for row in rows if row["Created at"]}
    kept = [row for row in rows if heads[row["Name"]]["Financial Status"] == "paid" and heads[row["Name"]]["Email"]]
    inputs = _quality(tmp_path)["inputs"]
    assert isinstance(inputs, dict)
    account = {key: inputs["transactions"][key] for key in ("read", "kept", "filtered", "quarantined")}
    assert account == {"read": len(rows), "kept": len(kept), "filtered": len(rows) - len(kept), "quarantined": 0}
    assert len({orders[int(row["Name"][1:])].customer for row in kept}) == _customers(tmp_path)
    assert _verdicts(tmp_path)["Vendor"] == "separates"


def test_woocommerce_items_lead_to_a_report(tmp_path: Path, capsys: Printed) -> None:
    """Semicolons, commas in amounts and days before months are read; guests are told apart by their e-mail, not all customer 0."""
    config, printed = _led_to_a_report(tmp_path, write_woocommerce, capsys)
    lines = config.data.transactions
    assert dict(lines.columns) == {
        "customer": "billing_email",
        "order": "order_id",
        "time": "order_date",
        "product": "product_sku",
        "quantity": "quantity",
        "amount": "line_total",
    }
    assert (lines.delimiter, lines.decimal, lines.date_format) == (";", ",", "%d/%m/%Y %H:%M")
    assert lines.where == "coalesce(\"status\", '') not in ('wc-cancelled', 'wc-failed')"
    assert any("not customer_id, which is missing for" in line for line in printed)
    assert [split.by for split in config.splits.declared] == ["product_category"]
    assert config.splits.enumerated is not None
    assert not {"customer_note", "billing_last_name", "status"} & set(config.splits.enumerated.columns)
    rows = _exported(tmp_path / "orders.csv", delimiter=";")
    good = [row for row in rows if row["status"] in ("wc-completed", "wc-processing")]
    inputs = _quality(tmp_path)["inputs"]
    assert isinstance(inputs, dict)
    assert inputs["transactions"]["kept"] == len(good)
    assert _customers(tmp_path) == len({row["billing_email"] for row in good})


def test_tmall_orders_lead_to_a_report(tmp_path: Path, capsys: Printed) -> None:
    """GB18030, Chinese headings and wrapped numbers are read; orders that were closed or never paid are left out, paid ones kept."""
    config, printed = _led_to_a_report(tmp_path, write_tmall, capsys)
    lines = config.data.transactions
    assert dict(lines.columns) == {
        "customer": "买家会员名",
        "order": "订单编号",
        "time": "订单创建时间",
        "product": "宝贝标题",
        "quantity": "宝贝总数量",
        "amount": "买家实际支付金额",
    }
    assert (lines.encoding, lines.unwrap, config.language) == ("gb18030", True, "zh")
    assert lines.where == "coalesce(\"订单状态\", '') not in ('交易关闭', '等待买家付款')"
    assert any("交易关闭" in line and "kept: 交易成功" in line for line in printed)
    (split,) = config.splits.declared
    assert split.name == "宝贝标题"
    assert set(split.groups or ()) == {"绿茶 50克", "红茶 50克"}
    assert config.splits.enumerated is not None
    assert not {"买家留言", "收货地址", "收货人姓名", "联系手机", "宝贝种类"} & set(config.splits.enumerated.columns)
    rows = _exported(tmp_path / "orders.csv", encoding="gb18030")
    good = [row for row in rows if row["订单状态"] not in ("交易关闭", "等待买家付款")]
    inputs = _quality(tmp_path)["inputs"]
    assert isinstance(inputs, dict)
    assert inputs["transactions"]["kept"] == len(good)
    assert _customers(tmp_path) == len({row["买家会员名"] for row in good})


def test_comments_are_in_the_language_of_the_headings(tmp_path: Path) -> None:
    """Where headings are Chinese each comment but the commands is so too, and none is wider than the others; the reasons on screen are English."""
    write_tmall(tmp_path / "orders.csv", made_up_orders())
    started = start(tmp_path / "shop", {"transactions": "orders.csv"}, progress=lambda _: None)
    lines = started.config.read_text(encoding="utf-8").splitlines()
    comments = [line.partition("# ")[2] for line in lines if "# " in line]
    told = [comment for comment in comments if not comment.startswith("  segmentor ")]
    assert len(told) == len(comments) - 2 > 20
    assert not [comment for comment in told if not re.search(r"[\u4e00-\u9fff]", comment)]
    names = r"segmentor (init|schema)|columns: auto|UTF-8|customer|time|orders\.csv|reports/shop/|(euc-kr|big5|shift_jis|cp1252) \d+%|en"
    assert not re.search("[A-Za-z]{2}", re.sub(names, "", " ".join(told)))
    assert max(sum(1 + (east_asian_width(sign) in "WF") for sign in line) for line in lines) <= 122
    assert str(started.choices[0].reason) == "250 customers, 250 of them on several days"


def _exported(path: Path, *, encoding: str = "utf-8-sig", delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def _customers(folder: Path) -> object:
    cycle = _quality(folder)["cycle"]
    assert isinstance(cycle, dict)
    return cycle["customers"]
