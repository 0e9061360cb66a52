"""Legal data, addresses and references: the shape of the HTTP contract <-> domain values.

    {"name": "Garage SAS", "legal_form": "SAS", "share_capital": {"amount": "10000", "currency": "EUR"},
     "register": "RCS", "register_town": "Grenoble", "registration": "732829320", "siret": "73282932000074",
     "vat_number": "FR44732829320", "vat_regime": "on_debits",
     "electronic_address": {"scheme": "0225", "id": "732829320"},
     "iban": "FR7630006000011234567890189", "bic": "BNPAFRPP", "payment_terms": {"days": 30, "end_of_month": false},
     "address": {..}, "contacts": [{"name": "A. Martin", "email": "a@garage.example", "phone": "+33 4 76 00 00 00"}],
     "logo": {"media_type": "image/png", "data": "<base64>"}, "colour": "#1a4d8f"}

An IBAN and a BIC with a wrong check digit or form are refused: money would go astray. Numbers that are given by others
(SIREN, SIRET, VAT number) are kept as they are sent, and `invalid` names those that are surely wrong.

A logo is answered without its bytes: {"media_type": "image/png", "digest": ".."}; sent back like that, it stays.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import stdnum.bic
import stdnum.iban
from lxml import etree

from app.domain.kept_parties import keep_address, keep_set
from app.domain.money import CURRENCY_DECIMALS, amount_text, plain
from app.domain.parties import (
    REFERENCE_NAMES,
    VAT_REGIMES,
    Address,
    BuyerReferences,
    Capital,
    Contact,
    ElectronicAddress,
    Legal,
    Logo,
    LogoName,
    PaymentTerms,
    PurchaseOrder,
    VatCheck,
)
from app.wire.parsing import Fields

MAX_CONTACTS = 20
MAX_PURCHASE_ORDERS = 1000
MAX_TERM_DAYS = 365
MAX_TERM_TEXT = 1000
MAX_LOGO_BYTES = 64 * 1024
MAX_LOGO_PIXELS = 2000
LOGO_TYPES = ("image/png", "image/svg+xml")
SCHEME = r"^[0-9A-Z]{2,4}$"
COLOUR = r"^#[0-9a-fA-F]{6}$"
DIGEST = r"^[0-9a-f]{64}$"
BASE64 = r"^[A-Za-z0-9+/]+={0,2}$"
_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = "http://www.w3.org/2000/svg"


# --- reading ----------------------------------------------------------------------------------------------------------


def legal_from_fields(fields: Fields) -> tuple[Legal | None, Logo | None]:
    """What stands under `legal`, and the logo's bytes where they were sent."""
    legal = fields.object("legal")
    if legal is None:
        return None, None
    name, logo = _logo(legal)
    return Legal(
        name=legal.text("name"), registration=legal.text("registration", default="", max_length=100),
        vat_number=legal.text("vat_number", default="", max_length=50), address=address_from_fields(legal, "address"),
        siret=legal.text("siret", default="", max_length=50), legal_form=legal.text("legal_form", default=""),
        share_capital=_capital(legal), register=legal.text("register", default=""),
        register_town=legal.text("register_town", default=""),
        vat_regime=legal.optional_choice("vat_regime", VAT_REGIMES),
        electronic_address=_electronic_address(legal), iban=_iban(legal), bic=_bic(legal),
        payment_terms=payment_terms_from_fields(legal),
        penalty_terms=legal.text("penalty_terms", default="", max_length=MAX_TERM_TEXT),
        discount_terms=legal.text("discount_terms", default="", max_length=MAX_TERM_TEXT),
        recovery_terms=legal.text("recovery_terms", default="", max_length=MAX_TERM_TEXT),
        contacts=_contacts(legal), logo=name, colour=_matching(legal, "colour", COLOUR, "a colour such as #1a4d8f"),
    ), logo  # fmt: skip


def address_from_fields(fields: Fields, name: str) -> Address | None:
    address = fields.object(name)
    if address is None:
        return None
    return Address(
        line1=address.text("line1"), line2=address.text("line2", default=""),
        postcode=address.text("postcode", max_length=40), city=address.text("city"),
        country=address.country("country"),
    )  # fmt: skip


def payment_terms_from_fields(fields: Fields) -> PaymentTerms | None:
    terms = fields.object("payment_terms")
    if terms is None:
        return None
    return PaymentTerms(terms.integer("days", least=0, most=MAX_TERM_DAYS), terms.boolean("end_of_month"))


def references_from_fields(fields: Fields) -> BuyerReferences:
    """Those that stand in the object itself, beside its other fields."""
    return BuyerReferences(*(fields.text(name, default="", max_length=100) for name in REFERENCE_NAMES))


def purchase_orders_from_fields(fields: Fields, currency: str) -> tuple[PurchaseOrder, ...]:
    found = fields.objects("purchase_orders")
    if len(found) > MAX_PURCHASE_ORDERS:
        fields.problem("purchase_orders", f"there are at most {MAX_PURCHASE_ORDERS} purchase orders")
    orders: dict[str, PurchaseOrder] = {}
    for index, item in enumerate(found[:MAX_PURCHASE_ORDERS]):
        order = _purchase_order(item, currency)
        if order.number in orders:
            fields.problem(f"purchase_orders/{index}/number", f"the order {order.number!r} stands here twice")
        orders[order.number] = order
    return tuple(orders.values())


def vat_check_from_fields(fields: Fields, legal: Legal | None) -> VatCheck | None:
    """Without a `vat_number` it is about the one in the legal data."""
    check = fields.object("vat_check")
    if check is None:
        return None
    number = check.text("vat_number", default="" if legal is None else legal.vat_number, max_length=50)
    if not number:
        check.problem("vat_number", "is missing: there is none in `legal` either")
    valid = check.boolean("valid")
    if not check.has("valid"):
        check.problem("valid", "is missing")
    return VatCheck(
        number, check.day("date"), valid, check.text("source", default=""),
        check.text("consultation_number", default=""),
    )  # fmt: skip


def _purchase_order(fields: Fields, currency: str) -> PurchaseOrder:
    start, end = fields.optional_day("valid_from"), fields.optional_day("valid_to")
    cap = fields.optional_decimal("cap")
    if fields.faultless:
        if start is not None and end is not None and end < start:
            fields.problem("valid_to", "is before `valid_from`")
        if cap is not None and not 0 < cap < 10**15:
            fields.problem("cap", "an amount is above 0 and under 10^15")
        elif cap is not None and cap != round(cap, CURRENCY_DECIMALS[currency]):
            fields.problem("cap", f"has more decimals than {currency}")
    return PurchaseOrder(fields.text("number", max_length=100), start, end, cap)


def _capital(legal: Fields) -> Capital | None:
    capital = legal.object("share_capital")
    if capital is None:
        return None
    amount = capital.decimal("amount")
    if capital.faultless and not 0 <= amount < 10**15:
        capital.problem("amount", "an amount is 0 or more, and under 10^15")
    return Capital(amount, capital.currency("currency"))


def _electronic_address(legal: Fields) -> ElectronicAddress | None:
    address = legal.object("electronic_address")
    if address is None:
        return None
    scheme = _matching(address, "scheme", SCHEME, "a code of the list of electronic addresses (EAS), such as 0225")
    if not address.has("scheme"):
        address.problem("scheme", "is missing")
    return ElectronicAddress(scheme, address.text("id"))


def _matching(fields: Fields, name: str, pattern: str, wanted: str) -> str:
    found = fields.text(name, default="")
    if found and not re.fullmatch(pattern, found, re.ASCII):
        fields.problem(name, f"must be {wanted}")
    return found


def _iban(legal: Fields) -> str:
    found = legal.text("iban", default="", max_length=50)
    if found and not stdnum.iban.is_valid(found):
        legal.problem("iban", "is no IBAN: its length or its check digits are wrong")
        return ""
    return stdnum.iban.compact(found) if found else ""


def _bic(legal: Fields) -> str:
    found = legal.text("bic", default="", max_length=20)
    if found and not stdnum.bic.is_valid(found):
        legal.problem("bic", "is no BIC: it has 8 or 11 characters, such as BNPAFRPP")
        return ""
    return stdnum.bic.compact(found) if found else ""


def _contacts(legal: Fields) -> tuple[Contact, ...]:
    found = legal.objects("contacts")
    if len(found) > MAX_CONTACTS:
        legal.problem("contacts", f"there are at most {MAX_CONTACTS} contacts")
    return tuple(_contact(item) for item in found[:MAX_CONTACTS])


def _contact(fields: Fields) -> Contact:
    contact = Contact(*(fields.text(name, default="") for name in ("name", "email", "phone")))
    if fields.faultless and contact == Contact():
        fields.problem("", "a contact has a name, an `email` or a `phone`")
    if contact.email and not re.fullmatch(r"[^@\s]+@[^@\s]+", contact.email):
        fields.problem("email", "must be an e-mail address")
    return contact


def _logo(legal: Fields) -> tuple[LogoName | None, Logo | None]:
    logo = legal.object("logo")
    if logo is None:
        return None, None
    media_type = logo.choice("media_type", LOGO_TYPES)
    digest, text = logo.optional_text("digest", max_length=64), logo.optional_text("data", max_length=100_000)
    if text is None:
        if digest is None or not re.fullmatch(DIGEST, digest, re.ASCII):
            logo.problem("", "a logo has `data` (base64), or the `digest` of one that is kept")
            return None, None
        return LogoName(digest, media_type), None
    try:
        content = b64decode(text, validate=True)
    except NotBase64:
        logo.problem("data", "must be base64")
        return None, None
    detail = _picture_problem(content, media_type)
    if detail is not None:
        logo.problem("data", detail)
    name = LogoName(sha256(content).hexdigest(), media_type)
    return name, Logo(name, content)


def _picture_problem(content: bytes, media_type: str) -> str | None:
    """What is wrong with a picture; None where nothing is."""
    if len(content) > MAX_LOGO_BYTES:
        return f"is larger than {MAX_LOGO_BYTES // 1024} KiB"
    if media_type == "image/svg+xml":
        return _svg_problem(content)
    sizes = [int.from_bytes(content[at : at + 4]) for at in (16, 20)]
    if not content.startswith(_PNG) or content[12:16] != b"IHDR":
        return "is no PNG"
    fits = all(0 < size <= MAX_LOGO_PIXELS for size in sizes)
    return None if fits else f"is over {MAX_LOGO_PIXELS} pixels wide or high"


def _svg_problem(content: bytes) -> str | None:
    """A drawing alone: nothing that runs, and nothing that is fetched from elsewhere."""
    try:
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except etree.XMLSyntaxError:
        return "is no SVG"
    if root.tag != f"{{{_SVG}}}svg" or root.getroottree().docinfo.doctype:
        return "is no SVG"
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        names = {str(name).rpartition("}")[2]: str(value) for name, value in node.attrib.items()}
        runs = etree.QName(node).localname in ("script", "foreignObject") or any(n.startswith("on") for n in names)
        if runs or not names.get("href", "#").startswith(("#", "data:image/")):
            return "may hold a drawing only: no script, and nothing from elsewhere"
    return None


# --- showing ----------------------------------------------------------------------------------------------------------


def legal_to_wire(legal: Legal) -> dict[str, Any]:
    """What was given, and nothing where nothing was."""
    shown: dict[str, Any] = keep_set(legal)
    if legal.share_capital is not None:
        shown["share_capital"] = capital_to_wire(legal.share_capital)
    if legal.address is not None:
        shown["address"] = address_to_wire(legal.address)
    if legal.payment_terms is not None:
        shown["payment_terms"] = payment_terms_to_wire(legal.payment_terms)
    return shown


def address_to_wire(address: Address) -> dict[str, str]:
    """The lines that there are."""
    return {name: value for name, value in keep_address(address).items() if value}


def capital_to_wire(capital: Capital) -> dict[str, str]:
    return {"amount": plain(capital.amount), "currency": capital.currency}


def payment_terms_to_wire(terms: PaymentTerms) -> dict[str, Any]:
    return {"days": terms.days, "end_of_month": terms.end_of_month}


def references_to_wire(references: BuyerReferences) -> dict[str, str]:
    """Those that there are."""
    found: dict[str, str] = keep_set(references)
    return found


def orders_to_wire(orders: Iterable[PurchaseOrder], currency: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for order in orders:
        one: dict[str, Any] = keep_set(order)
        if order.cap is not None:
            one["cap"] = amount_text(order.cap, currency)
        shown.append(one)
    return shown
