"""Headings in several languages and spellings are words of one kind."""

from __future__ import annotations

import pytest

from segmentor.starting.headings import KINDS, meaning, normal


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("customerId", "customer"),
        ("CUSTOMER-ID", "customer"),
        ("Kunden-Nr.", "customer"),
        ("Code client", "customer"),
        ("买家会员名", "customer"),
        ("billing_email", "email"),
        ("Correo electrónico", "email"),
        ("Name", "name"),
        ("Bestell-Nr.", "order"),
        ("N° de commande", "order"),
        ("amazon-order-id", "order"),
        ("主订单编号", "order"),
        ("子订单编号", "order line"),
        ("order_item_id", "order line"),
        ("Created at", "time"),
        ("purchase-date", "time"),
        ("Fecha de compra", "time"),
        ("订单付款时间", "time"),
        ("确认收货时间", "late time"),
        ("Date de livraison", "late time"),
        ("Cancelled at", "cancelled time"),
        ("Lineitem sku", "product"),
        ("Artikelnummer", "product"),
        ("宝贝标题", "title"),
        ("Lineitem name", "title"),
        ("quantity-purchased", "quantity"),
        ("Stückzahl", "quantity"),
        ("Quantité", "quantity"),
        ("line_total", "line amount"),
        ("买家实际支付金额", "order amount"),
        ("Grand Total (Base)", "order amount"),
        ("Lineitem price", "price"),
        ("单价", "price"),
        ("Refunded Amount", "other amount"),
        ("宝贝种类", "other amount"),
        ("Financial Status", "status"),
        ("订单状态", "status"),
        ("Lineitem fulfillment status", "late"),
        ("收货人姓名", "person"),
        ("Shipping Address1", "person"),
        ("Größe", "size"),
        ("Loyalty tier", "moving"),
        ("something else", ""),
        ("", ""),
    ],
)
def test_headings_say_what_they_name(heading: str, kind: str) -> None:
    """The exports of shops and plain words of six languages are understood, whatever their case, accents and signs."""
    assert meaning(heading).kind == kind


def test_a_word_has_one_kind() -> None:
    """No two kinds share a word, so that the order of the kinds decides nothing."""
    words = [(normal(word), kind) for kind, words in KINDS.items() for word in words]
    kinds: dict[str, set[str]] = {}
    for word, kind in words:
        kinds.setdefault(word, set()).add(kind)
    assert {word: sorted(several) for word, several in kinds.items() if len(several) > 1} == {}


def test_a_known_word_is_surer_than_one_that_is_held() -> None:
    """A heading that is a word scores 60 or more, one that only holds a word less."""
    assert meaning("order date").score >= 60 > meaning("order date (shop)").score > 0
