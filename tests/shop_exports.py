"""Exports as shops write them: Shopify, WooCommerce and Tmall, with what is odd about each, of made-up orders."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

GOODS = (
    ("TEA-G-50", "Green tea 50 g", "Leaf & Co", "12.50"),
    ("TEA-G-250", "Green tea 250 g", "Leaf & Co", "39.00"),
    ("TEA-B-50", "Black tea 50 g", "Dunes", "9.90"),
    ("TEA-B-250", "Black tea 250 g", "Dunes", "29.90"),
    ("POT-1", "Tea pot", "Dunes", "49.00"),
)
"""Key, title, vendor and price of a piece."""

TITLES = ("绿茶 50克", "绿茶 250克", "红茶 50克", "红茶 250克", "茶壶")


@dataclass(frozen=True)
class Order:
    """An order: a number, a customer, when, and the places in ``GOODS`` with their pieces."""

    number: int
    customer: int
    at: datetime
    lines: tuple[tuple[int, int], ...]

    @property
    def total(self) -> float:
        """The money of its lines."""
        return sum(float(GOODS[good][3]) * pieces for good, pieces in self.lines)


def made_up_orders(*, customers: int = 250, seed: int = 1) -> list[Order]:
    """Orders of two years in the order of time; who begins with the second vendor comes back later, and nobody begins with both."""
    draw = random.Random(seed)
    orders: list[tuple[datetime, int, tuple[tuple[int, int], ...]]] = []
    end = datetime(2024, 12, 31, tzinfo=UTC)
    for customer in range(customers):
        at = datetime(2023, 1, 2, tzinfo=UTC) + timedelta(days=draw.uniform(0, 360), seconds=draw.randrange(86_400))
        favourite = draw.randrange(2)
        for number in range(draw.randrange(3, 7)):
            first = 2 * favourite + (draw.random() < 0.1)
            more = [4] * (number > 0 and draw.random() < 0.25) + [first ^ 1] * (draw.random() < 0.2)
            goods = ((first, draw.choice((1, 1, 1, 2))), *((good, 1) for good in more))
            if at < end:
                orders.append((at, customer, goods))
            at += timedelta(days=draw.gammavariate(2, 25 if favourite else 18), seconds=draw.randrange(20_000))
    return [Order(1001 + n, customer, at, lines) for n, (at, customer, lines) in enumerate(sorted(orders))]


SHOPIFY = (
    *(
        "Name",
        "Email",
        "Financial Status",
        "Paid at",
        "Fulfillment Status",
        "Fulfilled at",
        "Accepts Marketing",
        "Currency",
    ),
    *("Subtotal", "Shipping", "Taxes", "Total", "Discount Code", "Discount Amount", "Shipping Method", "Created at"),
    *("Lineitem quantity", "Lineitem name", "Lineitem price", "Lineitem compare at price", "Lineitem sku"),
    *(
        "Lineitem requires shipping",
        "Lineitem taxable",
        "Lineitem fulfillment status",
        "Billing Name",
        "Billing Street",
    ),
    *("Billing City", "Billing Zip", "Billing Province", "Billing Country", "Billing Phone", "Shipping Name", "Notes"),
    *("Note Attributes", "Cancelled at", "Payment Method", "Refunded Amount", "Vendor", "Id", "Tags", "Risk Level"),
    *("Source", "Lineitem discount", "Phone"),
)
"""Headings of a Shopify order export, in its order."""


def shopify_rows(orders: Sequence[Order], *, seed: int = 1) -> Iterator[dict[str, str]]:
    """A row a line; what is the order's own stands on its first line only, and some orders have no e-mail."""
    draw, zone = random.Random(seed), ZoneInfo("Europe/Berlin")
    for order in orders:
        at = order.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")
        paid = (order.at + timedelta(minutes=3)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")
        status = draw.choices(("paid", "refunded", "voided", "pending"), (92, 4, 2, 2))[0]
        coupon = draw.random() < 0.2
        city = ("Berlin", "Köln")[order.customer // 2 % 2]
        till = draw.random() < 0.04
        for place, (good, pieces) in enumerate(order.lines):
            sku, title, vendor, price = GOODS[good]
            row = dict.fromkeys(SHOPIFY, "") | {
                "Name": f"#{order.number}",
                "Lineitem quantity": str(pieces),
                "Lineitem name": title,
                "Lineitem price": price,
                "Lineitem sku": sku,
                "Lineitem requires shipping": "true",
                "Lineitem taxable": "true",
                "Lineitem fulfillment status": "fulfilled",
                "Vendor": vendor,
                "Lineitem discount": "0.00",
            }
            if place == 0:
                row |= {
                    "Email": "" if till else f"someone{order.customer}@mail.example",
                    "Financial Status": status,
                    "Paid at": "" if status in ("voided", "pending") else paid,
                    "Fulfillment Status": "fulfilled",
                    "Accepts Marketing": ("yes", "no")[order.customer % 2],
                    "Currency": "EUR",
                    "Subtotal": f"{order.total:.2f}",
                    "Shipping": "4.90",
                    "Taxes": f"{order.total * 0.07:.2f}",
                    "Total": f"{order.total + 4.9:.2f}",
                    "Discount Code": "SPRING" if coupon else "",
                    "Discount Amount": "5.00" if coupon else "0.00",
                    "Shipping Method": "Standard",
                    "Created at": at,
                    "Billing Name": f"Some One {order.customer}",
                    "Billing Street": f"Allee {order.customer}",
                    "Billing City": city,
                    "Billing Zip": f"'{10_000 + order.customer // 2 % 2}",
                    "Billing Country": "DE",
                    "Billing Phone": f"+49 170 {1_000_000 + order.customer}",
                    "Shipping Name": f"Some One {order.customer}",
                    "Notes": "Please ring twice, and\nleave it with the neighbours" if order.number % 7 == 0 else "",
                    "Cancelled at": paid if status == "voided" else "",
                    "Payment Method": ("Shopify Payments", "PayPal")[order.number % 2],
                    "Refunded Amount": f"{order.total:.2f}" if status == "refunded" else "0.00",
                    "Id": str(5_000_000_000_000 + order.number),
                    "Risk Level": "Low",
                    "Source": "pos" if till else "web",
                }
            yield row


WOOCOMMERCE = (
    *("order_id", "order_number", "order_date", "paid_date", "status", "customer_id", "billing_first_name"),
    *("billing_last_name", "billing_email", "billing_phone", "billing_country", "payment_method", "shipping_total"),
    *("order_total", "order_currency", "product_sku", "product_name", "product_category", "quantity", "item_cost"),
    *("line_total", "customer_note"),
)
"""Headings of a WooCommerce order export with a row for each item."""


def woocommerce_rows(orders: Sequence[Order], *, seed: int = 2) -> Iterator[dict[str, str]]:
    """A row a line, everything repeated; guests have the number 0, days stand before months, amounts have commas."""
    draw = random.Random(seed)
    for order in orders:
        at = order.at.strftime("%d/%m/%Y %H:%M")
        status = draw.choices(("wc-completed", "wc-processing", "wc-cancelled", "wc-failed"), (85, 8, 5, 2))[0]
        guest = draw.random() < 0.1
        for good, pieces in order.lines:
            sku, title, _, price = GOODS[good]
            yield dict.fromkeys(WOOCOMMERCE, "") | {
                "order_id": str(order.number),
                "order_number": str(order.number),
                "order_date": at,
                "paid_date": "" if status in ("wc-cancelled", "wc-failed") else at,
                "status": status,
                "customer_id": "0" if guest else str(order.customer + 1),
                "billing_first_name": "Some",
                "billing_last_name": f"One {order.customer}",
                "billing_email": f"someone{order.customer}@mail.example",
                "billing_phone": f"0170 {1_000_000 + order.customer}",
                "billing_country": "DE",
                "payment_method": ("stripe", "paypal")[order.number % 2],
                "shipping_total": "4,90",
                "order_total": f"{order.total + 4.9:.2f}".replace(".", ","),
                "order_currency": "EUR",
                "product_sku": sku,
                "product_name": title,
                "product_category": "Pots" if good == 4 else "Green tea" if good < 2 else "Black tea",
                "quantity": str(pieces),
                "item_cost": price.replace(".", ","),
                "line_total": f"{float(price) * pieces:.2f}".replace(".", ","),
                "customer_note": "Bitte klingeln" if order.number % 5 == 0 else "",
            }


TMALL = (
    *("订单编号", "买家会员名", "买家支付宝账号", "买家应付货款", "买家应付邮费", "买家支付积分", "总金额", "返点积分"),
    *(
        "买家实际支付金额",
        "买家实际支付积分",
        "订单状态",
        "买家留言",
        "收货人姓名",
        "收货地址",
        "运送方式",
        "联系电话",
        "联系手机",
    ),
    *(
        "订单创建时间",
        "订单付款时间",
        "宝贝标题",
        "宝贝种类",
        "物流单号",
        "物流公司",
        "订单备注",
        "宝贝总数量",
        "店铺名称",
        "订单关闭原因",
    ),
)
"""Headings of a Tmall order list, in its order."""


def tmall_rows(orders: Sequence[Order], *, seed: int = 3) -> Iterator[dict[str, str]]:
    """A row an order; numbers are wrapped so that a spreadsheet leaves them alone, and closed orders were never paid."""
    draw, zone = random.Random(seed), ZoneInfo("Asia/Shanghai")
    for order in orders:
        at = order.at.astimezone(zone)
        status = draw.choices(("交易成功", "卖家已发货，等待买家确认", "交易关闭", "等待买家付款"), (84, 6, 8, 2))[0]
        paid = status not in ("交易关闭", "等待买家付款")
        money = f"{order.total:.2f}"
        yield dict.fromkeys(TMALL, "") | {
            "订单编号": f'="{2_740_000_000_000_000_000 + order.number}"',
            "买家会员名": f"茶友{order.customer}",
            "买家支付宝账号": f"1380000{order.customer:04}",
            "买家应付货款": money,
            "买家应付邮费": "0.00",
            "买家支付积分": "0",
            "总金额": money,
            "返点积分": "0",
            "买家实际支付金额": money if paid else "0.00",
            "买家实际支付积分": "0",
            "订单状态": status,
            "买家留言": "请尽快发货，谢谢！" if order.number % 6 == 0 else "",
            "收货人姓名": f"王{order.customer}",
            "收货地址": f"浙江省 杭州市 西湖区 龙井路{order.customer}号",
            "运送方式": "快递",
            "联系手机": f"'1380000{order.customer:04}",
            "订单创建时间": f"{at:%Y-%m-%d %H:%M:%S}\t",
            "订单付款时间": f"{at + timedelta(minutes=5):%Y-%m-%d %H:%M:%S}\t" if paid else "",
            "宝贝标题": TITLES[order.lines[0][0]],
            "宝贝种类": str(len(order.lines)),
            "物流单号": f"No:{9_000_000 + order.number}" if paid else "",
            "物流公司": "圆通速递" if paid else "",
            "宝贝总数量": str(sum(pieces for _, pieces in order.lines)),
            "店铺名称": "龙井茶庄旗舰店",
            "订单关闭原因": "买家未付款" if status == "交易关闭" else "订单未关闭",
        }


def csv_text(headings: Sequence[str], rows: Sequence[dict[str, str]], *, delimiter: str = ",") -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, headings, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_shopify(path: Path, orders: Sequence[Order]) -> None:
    """A Shopify export: UTF-8, commas, newest first."""
    by_order: dict[str, list[dict[str, str]]] = {}
    for row in shopify_rows(orders):
        by_order.setdefault(row["Name"], []).append(row)
    rows = [row for name in reversed(by_order) for row in by_order[name]]
    path.write_text(csv_text(SHOPIFY, rows), encoding="utf-8", newline="")


def write_woocommerce(path: Path, orders: Sequence[Order]) -> None:
    """A WooCommerce export with German settings: a byte order mark and semicolons."""
    text = csv_text(WOOCOMMERCE, list(woocommerce_rows(orders)), delimiter=";")
    path.write_text(text, encoding="utf-8-sig", newline="")


def write_tmall(path: Path, orders: Sequence[Order]) -> None:
    """A Tmall order list: GB18030."""
    path.write_text(csv_text(TMALL, list(tmall_rows(orders))), encoding="gb18030", newline="")
