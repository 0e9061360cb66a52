"""Tenants: the shape of the HTTP contract <-> domain values.

    {"name": "Acme SAS", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr", "operator": false,
     "legal": {"name": "Acme", "registration": "552100554", "vat_number": "FR..", "address": {..}},
     "subjects": ["user-17", {"subject": "station-9", "from": "2026-05-01T00:00:00Z"}], "tax": "standard"}

A subject without `from` is the tenant's from now on, or from ever where nobody had it before. `tax` names the rate of
charges that name none, where this tenant sells. `drafts` says how drafts become documents: {"approval": true,
"grace_hours": 48}. How it wants to be billed stands beside that: addresses, purchase
orders, references, and who pays for it (`bill_to`). Answers add `missing`, the fields that each kind of document still
needs, and `invalid`, what is surely wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.domain.events import EARLIEST, instant_text
from app.domain.kept_parties import keep_vat_check
from app.domain.legal_checks import invalid_fields, missing_fields
from app.domain.money import CURRENCY_DECIMALS
from app.domain.numbering import DEFAULT_PATTERN, NUMBERED_TYPES, PLAIN_NUMBERING, Numbering, numbering_problems
from app.domain.parties import Legal, Logo, VatCheck
from app.domain.tenants import (
    INVOICE_COLLECTIONS,
    LANGUAGES,
    NO_DRAFT_RULES,
    PLAIN_BUYING,
    Buying,
    Claim,
    DraftRules,
    Language,
    SubjectWish,
    Tenant,
)
from app.wire.mail import addresses_from_fields
from app.wire.parsing import Fields, text_problem
from app.wire.parties import (
    address_from_fields,
    address_to_wire,
    legal_from_fields,
    legal_to_wire,
    orders_to_wire,
    purchase_orders_from_fields,
    references_from_fields,
    references_to_wire,
    vat_check_from_fields,
)  # fmt: skip

MAX_GRACE_HOURS = 24 * 90


@dataclass(frozen=True, slots=True)
class TenantWish:
    """A tenant as somebody wants it; `subjects` are in order and without its own key, which is always its subject. With
    `logo` come the bytes of the one that its legal data name, where they were sent."""

    key: str
    name: str
    currency: str
    time_zone: str
    language: Language
    operator: bool
    default_tax: str
    legal: Legal | None
    subjects: tuple[SubjectWish, ...]
    buying: Buying = PLAIN_BUYING
    logo: Logo | None = None
    vat_check: VatCheck | None = None
    drafts: DraftRules = NO_DRAFT_RULES
    numbering: Numbering = PLAIN_NUMBERING


def tenant_from_wire(key: str, body: Any, path: str = "#") -> TenantWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    legal, logo = legal_from_fields(fields)
    wish = TenantWish(
        key=fields.own_key(key), name=fields.text("name"), currency=fields.currency("currency"),
        time_zone=fields.zone("time_zone").key, language=fields.choice("language", LANGUAGES, default="en"),
        operator=fields.boolean("operator"), default_tax=fields.optional_key("tax") or "", legal=legal,
        subjects=_subjects(fields, key), buying=_buying(fields, key), logo=logo,
        vat_check=vat_check_from_fields(fields, legal), drafts=_drafts(fields), numbering=_numbering(fields),
    )  # fmt: skip
    fields.ignore("missing", "invalid")
    fields.finish()
    return wish


def _numbering(fields: Fields) -> Numbering:
    """{"pattern": "F{year}/{seq:06}", "credit_note": "A{year}/{seq:06}"}: a type that is named has its own series."""
    inner = fields.object("numbering")
    if inner is None:
        return PLAIN_NUMBERING
    own = ((name, inner.optional_text(name, max_length=100)) for name in NUMBERED_TYPES)
    numbering = Numbering(
        inner.text("pattern", default=DEFAULT_PATTERN, max_length=100),
        tuple((name, pattern) for name, pattern in own if pattern is not None),
    )
    if fields.faultless:
        inner.problems(numbering_problems(numbering))
    return numbering


def _numbering_to_wire(numbering: Numbering) -> dict[str, Any]:
    if numbering == PLAIN_NUMBERING:
        return {}
    return {"numbering": {"pattern": numbering.pattern} | dict(numbering.own)}


def _drafts(fields: Fields) -> DraftRules:
    rules = fields.object("drafts")
    if rules is None:
        return NO_DRAFT_RULES
    return DraftRules(
        rules.boolean("approval"), rules.optional_integer("grace_hours", least=0, most=MAX_GRACE_HOURS)
    )  # fmt: skip


def _buying(fields: Fields, key: str) -> Buying:
    currency = str(fields.raw("currency"))
    buying = Buying(
        billing_address=address_from_fields(fields, "billing_address"),
        delivery_address=address_from_fields(fields, "delivery_address"),
        bill_to=fields.optional_key("bill_to") or "", parent=fields.optional_key("parent") or "",
        references=references_from_fields(fields),
        purchase_orders=purchase_orders_from_fields(fields, currency if currency in CURRENCY_DECIMALS else "EUR"),
        purchase_order_required=fields.boolean("purchase_order_required"),
        invoice_email=addresses_from_fields(fields, "invoice_email"),
        invoice_collection=fields.choice("invoice_collection", INVOICE_COLLECTIONS, default="subscription"),
    )  # fmt: skip
    for name, other in (("bill_to", buying.bill_to), ("parent", buying.parent)):
        if other == key:
            fields.problem(name, "is the tenant itself")
    return buying


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
        "legal": None if tenant.legal is None else legal_to_wire(tenant.legal),
        "operator": tenant.operator,
        "subjects": [_claim_to_wire(claim.subject, claim.from_at) for claim in claims],
        "tax": tenant.default_tax or None,
        "drafts": None if tenant.drafts == NO_DRAFT_RULES else asdict(tenant.drafts),
        **_buying_to_wire(tenant.buying, tenant.currency),
        **_vat_check_to_wire(tenant),
        **_numbering_to_wire(tenant.numbering),
        "missing": {kind: list(names) for kind, names in missing_fields(tenant).items()},
        "invalid": [{"field": fault.field, "detail": fault.detail} for fault in invalid_fields(tenant.legal)],
    }


def _claim_to_wire(subject: str, from_at: datetime) -> Any:
    return subject if from_at == EARLIEST else {"subject": subject, "from": instant_text(from_at)}


def _buying_to_wire(buying: Buying, currency: str) -> dict[str, Any]:
    """What was said, and nothing where nothing was."""
    shown: dict[str, Any] = {}
    for name, address in (
        ("billing_address", buying.billing_address), ("delivery_address", buying.delivery_address),
    ):  # fmt: skip
        if address is not None:
            shown[name] = address_to_wire(address)
    for name, key in (("bill_to", buying.bill_to), ("parent", buying.parent)):
        if key:
            shown[name] = key
    shown |= references_to_wire(buying.references)
    if buying.purchase_orders:
        shown["purchase_orders"] = orders_to_wire(buying.purchase_orders, currency)
    if buying.invoice_email:
        shown["invoice_email"] = list(buying.invoice_email)
    if buying.invoice_collection != PLAIN_BUYING.invoice_collection:
        shown["invoice_collection"] = buying.invoice_collection
    return shown | ({"purchase_order_required": True} if buying.purchase_order_required else {})


def _vat_check_to_wire(tenant: Tenant) -> dict[str, Any]:
    return {} if tenant.vat_check is None else {"vat_check": keep_vat_check(tenant.vat_check)}
