"""Tenants: the shape of the HTTP contract <-> domain values.

    {"name": "Acme SAS", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr", "operator": false,
     "legal": {"name": "Acme", "registration": "552100554", "vat_number": "FR..", "address": {..}},
     "subjects": ["user-17", {"subject": "station-9", "from": "2026-05-01T00:00:00Z"}], "tax": "standard"}

A subject without `from` is the tenant's from now on, or from ever where nobody had it before. `tax` names the rate of
charges that name none, where this tenant sells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.events import EARLIEST, instant_text
from app.domain.invoices import Address
from app.domain.tenants import LANGUAGES, Claim, Language, Legal, SubjectWish, Tenant
from app.wire.parsing import Fields, text_problem


@dataclass(frozen=True, slots=True)
class TenantWish:
    """A tenant as somebody wants it; `subjects` are in order and without its own key, which is always its subject."""

    key: str
    name: str
    currency: str
    time_zone: str
    language: Language
    operator: bool
    default_tax: str
    legal: Legal | None
    subjects: tuple[SubjectWish, ...]


def tenant_from_wire(key: str, body: Any, path: str = "#") -> TenantWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    wish = TenantWish(
        key=fields.own_key(key), name=fields.text("name"), currency=fields.currency("currency"),
        time_zone=fields.zone("time_zone").key, language=fields.choice("language", LANGUAGES, default="en"),
        operator=fields.boolean("operator"), default_tax=fields.optional_key("tax") or "", legal=_legal(fields),
        subjects=_subjects(fields, key),
    )  # fmt: skip
    fields.finish()
    return wish


def _legal(fields: Fields) -> Legal | None:
    legal = fields.object("legal")
    if legal is None:
        return None
    return Legal(
        legal.text("name"), legal.text("registration", default="", max_length=100),
        legal.text("vat_number", default="", max_length=50), _address(legal),
    )  # fmt: skip


def _address(legal: Fields) -> Address | None:
    address = legal.object("address")
    if address is None:
        return None
    return Address(
        line1=address.text("line1"), line2=address.text("line2", default=""),
        postcode=address.text("postcode", max_length=40), city=address.text("city"),
        country=address.country("country"),
    )  # fmt: skip


def _subjects(fields: Fields, own_key: str) -> tuple[SubjectWish, ...]:
    wishes: dict[str, SubjectWish] = {}
    for index, item in enumerate(fields.items("subjects")):
        wish = _subject(fields, item, index)
        if wish.subject in wishes:
            fields.problem(f"subjects/{index}", f"the subject {wish.subject!r} stands here twice")
        if wish.subject != own_key:
            wishes[wish.subject] = wish
    return tuple(wishes[subject] for subject in sorted(wishes))


def _subject(fields: Fields, item: Any, index: int) -> SubjectWish:
    if isinstance(item, dict):
        inner = fields.item(item, f"subjects/{index}")
        return SubjectWish(inner.text("subject"), inner.optional_instant("from"))
    detail = text_problem(item, 255)
    if detail is not None:
        fields.problem(f"subjects/{index}", detail)
        return SubjectWish(f"?{index}")
    return SubjectWish(str(item))


def tenant_to_wire(tenant: Tenant, claims: Sequence[Claim]) -> dict[str, Any]:
    """`claims` are the last ones on the subjects that the tenant pays for, its own key left out."""
    return {
        "key": tenant.key,
        "name": tenant.name,
        "currency": tenant.currency,
        "time_zone": tenant.time_zone,
        "language": tenant.language,
        "legal": None if tenant.legal is None else _legal_to_wire(tenant.legal),
        "operator": tenant.operator,
        "subjects": [_claim_to_wire(claim.subject, claim.from_at) for claim in claims],
        "tax": tenant.default_tax or None,
    }


def _claim_to_wire(subject: str, from_at: datetime) -> Any:
    return subject if from_at == EARLIEST else {"subject": subject, "from": instant_text(from_at)}


def _legal_to_wire(legal: Legal) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": legal.name}
    if legal.registration:
        shown["registration"] = legal.registration
    if legal.vat_number:
        shown["vat_number"] = legal.vat_number
    if legal.address is not None:
        address = legal.address
        lines = {"line1": address.line1} | ({"line2": address.line2} if address.line2 else {})
        shown["address"] = lines | {"postcode": address.postcode, "city": address.city, "country": address.country}
    return shown
