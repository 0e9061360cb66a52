"""The form in which parties and what stands beside them are kept, and in which their documents are hashed: JSON-ready.

What is not set is left out, so that a document from before there was such a field keeps its text and its hash. Reading
it back trusts it; what comes from outside goes through `app/wire/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.money import plain
from app.domain.parties import (
    Address,
    BuyerReferences,
    Capital,
    Contact,
    ElectronicAddress,
    Legal,
    LogoName,
    Party,
    PaymentTerms,
    PurchaseOrder,
    VatCheck,
)

_FIRST = ("registration", "vat_number", "address")
"""Fields that parties and legal data have had from the beginning, and keep where they are empty too."""


def keep_party(party: Party) -> dict[str, Any]:
    return _keep_whole(party)


def read_party(kept: Mapping[str, Any]) -> Party:
    return Party(**_read_fields(kept))


def keep_legal(legal: Legal) -> dict[str, Any]:
    return _keep_whole(legal)


def read_legal(kept: Mapping[str, Any]) -> Legal:
    return Legal(**_read_fields(kept))


def keep_references(references: BuyerReferences) -> dict[str, Any]:
    kept: dict[str, Any] = keep_set(references)
    return kept


def read_references(kept: Mapping[str, Any]) -> BuyerReferences:
    return BuyerReferences(**kept)


def keep_vat_check(check: VatCheck) -> dict[str, Any]:
    kept: dict[str, Any] = keep_set(check)
    return kept | {"valid": check.valid}


def read_vat_check(kept: Mapping[str, Any]) -> VatCheck:
    return VatCheck(**(dict(kept) | {"date": date.fromisoformat(kept["date"])}))


def read_order(kept: Mapping[str, Any]) -> PurchaseOrder:
    return PurchaseOrder(
        kept["number"], _day(kept.get("valid_from")), _day(kept.get("valid_to")),
        Decimal(kept["cap"]) if "cap" in kept else None,
    )  # fmt: skip


def keep_address(address: Address) -> dict[str, Any]:
    return {field.name: getattr(address, field.name) for field in fields(address)}


def read_address(kept: Mapping[str, Any] | None) -> Address | None:
    return None if kept is None else Address(**kept)


def keep_set(value: Any) -> Any:
    """The value with those of its fields that are set, and so on inwards; an address is kept whole."""
    match value:
        case Address():
            return keep_address(value)
        case Decimal():
            return plain(value)
        case date():
            return value.isoformat()
        case tuple():
            return [keep_set(item) for item in value]
        case _ if is_dataclass(value):
            pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
            return {name: keep_set(item) for name, item in pairs if not _says_nothing(item)}
        case _:
            return value


def _says_nothing(item: Any) -> bool:
    """True of what is not set; 0 is."""
    return item is None or item is False or item == "" or item == ()


def _keep_whole(value: Party | Legal) -> dict[str, Any]:
    kept: dict[str, Any] = keep_set(value)
    return kept | {name: kept.get(name, None if name == "address" else "") for name in _FIRST}


def _read_fields(kept: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(kept)
    for name in ("address", "billing_address"):
        if name in found:
            found[name] = read_address(found[name])
    if "share_capital" in found:
        found["share_capital"] = Capital(Decimal(kept["share_capital"]["amount"]), kept["share_capital"]["currency"])
    if "contacts" in found:
        found["contacts"] = tuple(Contact(**item) for item in kept["contacts"])
    for name, made in (
        ("electronic_address", ElectronicAddress), ("payment_terms", PaymentTerms), ("logo", LogoName),
    ):  # fmt: skip
        if name in found:
            found[name] = made(**kept[name])
    return found


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
