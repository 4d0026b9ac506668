"""What columns are called in the exports of shops: a heading in, the kind of thing that it probably names out.

The words are those of Shopify, WooCommerce, Magento, Amazon, Tmall, Taobao and JD, and plain ones, in English, Chinese, German,
French, Spanish and Italian. A kind is a guess that the column's content has to bear out.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

KINDS: dict[str, tuple[str, ...]] = {
    "customer": (
        *("customer id", "client id", "user id", "buyer id", "member id", "account id", "shopper id", "household id"),
        *("customer number", "customer no", "customer code", "customer user", "customer", "client", "user", "buyer"),
        *("member", "household", "shopper", "visitor id", "loyalty id", "loyalty card", "card number", "card id"),
        *("kundennummer", "kunden nr", "kundennr", "kunden id", "kunde", "debitor", "id client", "numero client"),
        *("n client", "code client", "id cliente", "codigo cliente", "numero cliente", "cliente", "codice cliente"),
        *(
            "买家会员名",
            "买家昵称",
            "买家旺旺",
            "买家id",
            "买家账号",
            "会员id",
            "会员编号",
            "会员号",
            "会员卡号",
            "会员名",
        ),
        *(
            "客户id",
            "客户编号",
            "客户编码",
            "客户号",
            "客户",
            "顾客id",
            "顾客编号",
            "顾客",
            "用户id",
            "用户编号",
            "用户名",
        ),
        *("下单账号", "下单帐号", "用户账号", "买家", "会员"),
    ),
    "email": (
        *("customer email", "billing email", "buyer email", "email", "e mail", "email address", "mail", "kunden email"),
        *(
            "adresse email",
            "courriel",
            "correo electronico",
            "correo",
            "indirizzo email",
            "邮箱",
            "电子邮件",
            "买家邮箱",
        ),
    ),
    "phone": (
        *("phone", "phone number", "telephone", "mobile", "cell", "billing phone", "shipping phone", "telefon"),
        *("telefonnummer", "handy", "mobilnummer", "telephone portable", "telefono", "movil", "cellulare"),
        *("联系手机", "手机", "手机号", "联系电话", "电话", "收货人手机", "收件人手机"),
    ),
    "order": (
        *("order id", "order number", "order no", "order nr", "order name", "order code", "order ref", "order key"),
        *("order reference", "amazon order id", "increment id", "basket id", "transaction id", "transaction number"),
        *("invoice id", "invoice number", "invoice no", "invoice", "receipt id", "receipt number", "receipt", "ticket"),
        *("ticket id", "sales order", "purchase order", "order", "basket", "cart id", "bestellnummer", "bestell nr"),
        *("bestell id", "bestellung", "auftragsnummer", "auftrag", "rechnungsnummer", "belegnummer", "bonnummer"),
        *("numero de commande", "numero commande", "n commande", "id commande", "reference commande", "commande"),
        *("numero de pedido", "numero pedido", "id pedido", "pedido", "numero de factura", "factura", "numero ordine"),
        *("id ordine", "ordine", "主订单编号", "订单编号", "订单号", "订单id", "交易编号", "交易号", "单号", "小票号"),
        *("流水号", "订单"),
    ),
    "order line": (
        *("line id", "line number", "order item id", "order line id", "lineitem id", "line item id", "item number"),
        *("子订单编号", "子订单号", "position", "row id", "row number"),
    ),
    "time": (
        *(
            "order date",
            "order time",
            "order created at",
            "order created",
            "order datetime",
            "ordered at",
            "ordered on",
        ),
        *("created at", "date created", "creation date", "created", "created time", "purchase date", "purchased at"),
        *("purchase time", "purchased on", "transaction timestamp", "transaction date", "transaction time"),
        *(
            "sale date",
            "sales date",
            "invoice date",
            "receipt date",
            "paid at",
            "date paid",
            "paid date",
            "payment date",
        ),
        *("timestamp", "datetime", "date time", "date", "time", "day", "bestelldatum", "bestellzeit", "bestellt am"),
        *("auftragsdatum", "kaufdatum", "rechnungsdatum", "verkaufsdatum", "datum", "zeitpunkt", "erstellt am"),
        *("date de commande", "date commande", "date d achat", "date achat", "date de creation", "date de facture"),
        *("fecha de pedido", "fecha del pedido", "fecha pedido", "fecha de compra", "fecha compra", "fecha"),
        *(
            "data ordine",
            "data acquisto",
            "data",
            "下单时间",
            "订单创建时间",
            "创建时间",
            "拍下时间",
            "购买时间",
            "交易时间",
        ),
        *(
            "订单时间",
            "下单日期",
            "购买日期",
            "订单日期",
            "交易日期",
            "成交时间",
            "订单付款时间",
            "付款时间",
            "支付时间",
            "付款日期",
        ),
        *("付款确认时间", "日期", "时间"),
    ),
    "late time": (
        *("shipped at", "ship date", "shipping date", "shipped on", "delivered at", "delivery date", "fulfilled at"),
        *(
            "completed at",
            "date completed",
            "completed date",
            "updated at",
            "modified",
            "date modified",
            "last updated",
        ),
        *(
            "expires",
            "expiry date",
            "refunded at",
            "refund date",
            "birthday",
            "date of birth",
            "birth date",
            "due date",
        ),
        *("registered at", "registration date", "signup date", "versanddatum", "lieferdatum", "geburtsdatum"),
        *("date de livraison", "date d expedition", "date de naissance", "fecha de entrega", "fecha de envio"),
        *(
            "fecha de nacimiento",
            "data di consegna",
            "发货时间",
            "确认收货时间",
            "收货时间",
            "完成时间",
            "交易结束时间",
            "结束时间",
        ),
        *("更新时间", "退款时间", "注册时间", "生日", "出生日期", "reporting date", "payments date"),
    ),
    "cancelled time": (
        *("cancelled at", "canceled at", "cancellation date", "cancelled date", "voided at", "storniert am"),
        *("date d annulation", "fecha de cancelacion", "取消时间", "关闭时间"),
    ),
    "product": (
        *("product sku", "lineitem sku", "variant sku", "item sku", "sku", "product id", "item id", "product code"),
        *("item code", "stock code", "stockcode", "article id", "article number", "article no", "variant id", "asin"),
        *("ean", "upc", "gtin", "barcode", "product", "item", "article", "artikelnummer", "artikel nr", "artikelnr"),
        *("artikel id", "artikel", "produkt id", "produktnummer", "produkt", "reference produit", "ref produit"),
        *("code produit", "id produit", "code article", "reference", "produit", "id producto", "codigo producto"),
        *(
            "referencia",
            "producto",
            "codice prodotto",
            "prodotto",
            "商品编码",
            "商品编号",
            "商品id",
            "商品sku",
            "宝贝id",
        ),
        *("宝贝编号", "商家编码", "外部系统编号", "货号", "产品编号", "产品id", "条形码", "条码", "款号", "商品"),
    ),
    "title": (
        *("lineitem name", "product name", "product title", "item name", "item title", "title", "article name"),
        *("product description", "item description", "description", "produktname", "produktbezeichnung", "artikelname"),
        *(
            "artikelbezeichnung",
            "bezeichnung",
            "beschreibung",
            "nom du produit",
            "nom produit",
            "designation",
            "libelle",
        ),
        *(
            "nombre del producto",
            "nombre producto",
            "descripcion",
            "nome prodotto",
            "descrizione",
            "宝贝标题",
            "宝贝名称",
        ),
        *("商品名称", "商品标题", "商品名", "产品名称", "品名", "标题"),
    ),
    "quantity": (
        *("quantity", "qty", "lineitem quantity", "item quantity", "product quantity", "qty ordered"),
        *("quantity purchased", "quantity ordered", "order quantity", "units", "unit count", "pieces", "pcs", "menge"),
        *("anzahl", "stuckzahl", "stuck", "bestellmenge", "quantite", "qte", "qty vendue", "cantidad", "unidades"),
        *("uds", "quantita", "宝贝数量", "宝贝总数量", "商品数量", "购买数量", "订购数量", "数量", "件数", "购买件数"),
    ),
    "line amount": (
        *("line total", "lineitem total", "line amount", "item total", "row total", "item amount", "line revenue"),
        *("line subtotal", "item subtotal", "product total", "sales value", "item price total", "extended price"),
        *("revenue", "sales", "amount", "net amount", "gross amount", "total amount", "item price", "spend", "value"),
        *("zeilensumme", "positionssumme", "gesamtpreis", "betrag", "umsatz", "nettobetrag", "bruttobetrag"),
        *("total ligne", "montant ligne", "montant", "chiffre d affaires", "total linea", "importe", "ingresos"),
        *(
            "importo",
            "totale riga",
            "商品金额",
            "商品总价",
            "小计",
            "成交金额",
            "金额",
            "销售额",
            "销售金额",
            "实付金额",
        ),
        *("支付金额", "实收金额", "结算金额"),
    ),
    "order amount": (
        *(
            "买家实际支付金额",
            "买家实付金额",
            "订单金额",
            "订单总额",
            "订单总金额",
            "总金额",
            "应付金额",
            "应付款",
            "买家应付货款",
        ),
        *("order total", "order amount", "order subtotal", "cart total", "grand total", "total", "subtotal"),
        *("order value", "total price", "total paid", "bestellsumme", "gesamtsumme", "gesamtbetrag", "summe"),
        *("total commande", "montant total", "total pedido", "importe total", "totale ordine", "totale"),
    ),
    "price": (
        *("lineitem price", "unit price", "item cost", "product price", "price", "price per unit", "selling price"),
        *("einzelpreis", "stuckpreis", "verkaufspreis", "preis", "prix unitaire", "prix", "precio unitario", "precio"),
        *("prezzo unitario", "prezzo", "商品单价", "单价", "宝贝价格", "商品价格", "售价", "价格"),
    ),
    "other amount": (
        *(
            "shipping",
            "shipping cost",
            "shipping price",
            "shipping amount",
            "shipping total",
            "freight",
            "tax",
            "taxes",
        ),
        *("tax total", "vat", "fee", "fees", "cost", "cost price", "refunded amount", "refund amount", "refund"),
        *("outstanding balance", "tip", "tip amount", "duties", "compare at price", "lineitem compare at price"),
        *("original price", "list price", "weight", "margin", "profit", "balance", "points", "item tax", "line tax"),
        *("tax 1 value", "tax 2 value", "tax 3 value", "tax 4 value", "tax 5 value", "shipping tax", "cart discount"),
        *("steuer", "mwst", "versandkosten", "versand", "porto", "rabatt gesamt", "tva", "frais de port", "livraison"),
        *("iva", "impuestos", "gastos de envio", "envio", "spedizione", "邮费", "买家应付邮费", "运费", "税", "税费"),
        *(
            "宝贝种类",
            "退款金额",
            "买家支付积分",
            "返点积分",
            "积分",
            "成本",
            "重量",
            "原价",
            "标价",
            "服务费",
            "打款商家金额",
        ),
    ),
    "discount": (
        *("lineitem discount", "line discount", "item discount", "discount amount", "discount", "discount total"),
        *("order discount", "rabatt", "nachlass", "remise", "reduction", "descuento", "sconto", "优惠金额", "折扣金额"),
        *("优惠", "折扣", "商家优惠", "促销优惠"),
    ),
    "coupon": (
        *(
            "discount code",
            "coupon",
            "coupon code",
            "coupons",
            "voucher",
            "voucher code",
            "promo code",
            "promotion code",
        ),
        *("gutschein", "gutscheincode", "code promo", "codigo descuento", "cupon", "优惠券", "优惠码"),
    ),
    "channel": (
        *("channel", "sales channel", "order source", "source", "source name", "created via", "utm source"),
        *("utm medium", "acquisition channel", "marketing channel", "referrer", "device", "platform", "store name"),
        *("kanal", "vertriebskanal", "quelle", "canal", "canal de vente", "canal de venta", "origen", "canale"),
        *("获客渠道", "销售渠道", "注册渠道", "订单来源", "渠道", "来源", "平台", "终端", "下单终端"),
    ),
    "status": (
        *(
            "order status",
            "financial status",
            "payment status",
            "status",
            "order state",
            "item status",
            "bestellstatus",
        ),
        *("zahlungsstatus", "auftragsstatus", "statut de la commande", "statut commande", "statut"),
        *("estado del pedido", "estado pedido", "estado", "stato ordine", "stato", "订单状态", "交易状态", "付款状态"),
        *("支付状态", "退款状态", "订单关闭原因", "状态"),
    ),
    "category": (
        *("category", "product category", "item category", "category name", "product type", "type", "department"),
        *("product group", "collection", "kategorie", "warengruppe", "produktgruppe", "categorie", "famille", "rayon"),
        *(
            "categoria",
            "familia",
            "reparto",
            "品类",
            "商品类目",
            "类目",
            "类别",
            "商品类别",
            "商品分类",
            "一级类目",
            "分类",
        ),
    ),
    "brand": (
        *("brand", "vendor", "manufacturer", "maker", "label", "marke", "hersteller", "marque", "fabricant", "marca"),
        *("fabricante", "品牌", "厂商", "供应商"),
    ),
    "size": (
        *("size", "package size", "pack size", "volume", "variant", "variation", "product variation", "option"),
        *("option1 value", "variant title", "grosse", "packungsgrosse", "inhalt", "variante", "taille", "contenance"),
        *(
            "talla",
            "tamano",
            "taglia",
            "formato",
            "规格",
            "宝贝规格",
            "商品规格",
            "商品属性",
            "尺寸",
            "尺码",
            "容量",
            "颜色",
        ),
    ),
    "price tier": ("price tier", "price level", "price segment", "preisklasse", "价格带", "档次"),
    "gender": ("gender", "sex", "geschlecht", "sexe", "genre", "sexo", "genero", "sesso", "性别"),
    "age": ("age", "age group", "age band", "year of birth", "birth year", "alter", "geburtsjahr", "年龄", "年龄段"),
    "region": (
        *("region", "state", "province", "country", "county", "city", "billing country", "billing province"),
        *("billing city", "billing state", "shipping country", "shipping province", "shipping city", "shipping state"),
        *("ship country", "ship state", "ship city", "territory", "store", "branch", "land", "bundesland", "stadt"),
        *("pays", "ville", "pais", "provincia", "ciudad", "paese", "citta", "省份", "省", "城市", "市", "地区", "国家"),
        *("收货省份", "收货城市", "大区"),
    ),
    "payment": (
        *("payment method", "payment method title", "payment type", "payment gateway", "payment", "zahlungsart"),
        *("zahlungsmethode", "mode de paiement", "moyen de paiement", "metodo de pago", "forma de pago"),
        *("metodo di pagamento", "支付方式", "付款方式"),
    ),
    "shipping": (
        *("shipping method", "shipping method title", "ship service level", "delivery method", "versandart"),
        *("mode de livraison", "metodo de envio", "运送方式", "配送方式", "fulfillment channel"),
    ),
    "currency": (
        "currency",
        "currency code",
        "order currency",
        "wahrung",
        "devise",
        "moneda",
        "valuta",
        "币种",
        "货币",
    ),
    "late": (
        *("fulfillment status", "lineitem fulfillment status", "shipping status", "delivery status", "tracking"),
        *("tracking number", "tags", "risk level", "order tags", "rating", "review", "payment reference"),
        *("payment references", "payment id", "payment terms name", "next payment due at", "receipt url"),
        *(
            "物流单号",
            "物流公司",
            "评价",
            "标签",
            "订单标记",
            "是否代付",
            "修改后的sku",
            "修改后的收货地址",
            "异常信息",
        ),
    ),
    "moving": (
        *("tier", "level", "loyalty tier", "customer tier", "customer group", "customer segment", "segment", "rfm"),
        *("orders count", "order count", "number of orders", "total orders", "total spent", "lifetime value", "ltv"),
        *("last order", "last order date", "last seen", "last purchase", "average order value", "aov"),
        *("accepts marketing", "subscribed", "newsletter", "vip", "recency", "frequency", "monetary"),
        *("kundengruppe", "会员等级", "等级", "累计消费", "消费次数", "最近购买", "客户分层", "客户标签"),
    ),
    "person": (
        *("customer name", "client name", "buyer name", "billing name", "shipping name", "recipient name", "full name"),
        *("first name", "last name", "surname", "company", "recipient", "billing first name", "billing last name"),
        *("shipping first name", "shipping last name", "ship name", "employee", "vorname", "nachname", "firma"),
        *("prenom", "nom", "societe", "apellidos", "apellido", "empresa", "cognome", "收货人姓名", "收货人", "收件人"),
        *("姓名", "客户姓名", "买家姓名", "真实姓名", "买家支付宝账号", "支付宝账号", "身份证", "address", "address 1"),
        *("address 2", "address1", "address2", "street", "billing address", "billing address 1", "billing address1"),
        *("billing address 2", "billing address2", "billing street", "shipping address", "shipping address 1"),
        *("shipping address1", "shipping address 2", "shipping address2", "shipping street", "billing company"),
        *("shipping company", "zip", "zip code", "postcode", "postal code", "billing zip", "shipping zip"),
        *("billing postcode", "shipping postcode", "adresse", "strasse", "plz", "postleitzahl", "rue", "code postal"),
        *("direccion", "calle", "codigo postal", "indirizzo", "cap", "收货地址", "地址", "邮编", "ip", "ip address"),
        *("customer ip address", "user agent", "note", "notes", "customer note", "order notes", "note attributes"),
        *("comment", "comments", "message", "gift message", "remark", "remarks", "notiz", "bemerkung", "kommentar"),
        *("commentaire", "nota", "comentario", "备注", "买家留言", "卖家备注", "订单备注", "留言", "发票抬头"),
    ),
    "id": ("id", "number", "no", "nr", "key", "编号"),
    "name": ("name", "nombre", "nome", "名称"),
}
"""Kinds of columns with the words for them, the best of a kind first."""

EXACT = 100.0
"""Score of a heading that is the best word of its kind."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a heading probably names.

    Attributes:
        kind: One of ``KINDS``; empty where no word is known.
        score: How sure that is: from 60 for a heading that is one of the words, less where it only holds one.
    """

    kind: str = ""
    score: float = 0.0


@cache
def meaning(heading: str) -> Meaning:
    """What a heading probably names: the kind of the word that it is, else of the longest that it holds."""
    plain = normal(heading)
    if (exact := _EXACT.get(plain)) is not None:
        return exact
    held = [word for word in _EXACT if _holds(plain, word)]
    if not held:
        return Meaning()
    longest = max(held, key=lambda word: (_weight(word), _EXACT[word].score, word))
    return Meaning(_EXACT[longest].kind, 20.0 + min(_weight(longest), 20))


def normal(heading: str) -> str:
    """A heading as the words are compared: small, without accents, words apart by one space, Chinese without any."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", unicodedata.normalize("NFKC", heading))
    plain = unicodedata.normalize("NFKD", apart.lower().replace("ß", "ss"))
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", re.sub(r"[\W_]+", " ", kept).strip())


def _holds(plain: str, word: str) -> bool:
    if len(word) < 2 or word in _TOO_SHORT:
        return False
    return word in plain if not word.isascii() else f" {word} " in f" {plain} "


def _weight(word: str) -> int:
    """Length of a word; a Chinese sign says as much as some letters."""
    return len(word) if word.isascii() else 4 * len(word)


_TOO_SHORT = {
    "id",
    "no",
    "nr",
    "ip",
    "type",
    "name",
    "number",
    "key",
    "data",
    "cap",
    "land",
    "nom",
    "genre",
    "day",
    "value",
}
"""Words that say nothing within others."""

_EXACT: dict[str, Meaning] = {}
for _kind, _words in KINDS.items():
    for _place, _word in enumerate(_words):
        _EXACT.setdefault(normal(_word), Meaning(_kind, EXACT - 40.0 * _place / len(_words)))
