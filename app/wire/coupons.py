"""Coupons of the catalog and their applications: the shape of the HTTP contract <-> domain values.

    PUT /v1/coupons/welcome    {"name": "Welcome", "percent": "10", "periods": 3, "charges": ["energy"]}
    POST /v1/applied-coupons   {"coupon": "welcome", "subscription": "acme-1"}

A coupon has one of `percent`, `amount` (with `currency`) and `quantity`; `periods` is for how many invoices it is (1:
once; absent: for ever).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.coupons import MAX_COUPON_PERIODS, AppliedCoupon, Coupon, coupon_problems
from app.domain.events import instant_text
from app.domain.ids import public_id
from app.domain.kept_coupons import keep_coupon
from app.wire.parsing import Fields, key_problem
from app.wire.requests import utc

MAX_COUPON_CHARGES = 200


def coupon_from_wire(key: str, body: Any, path: str = "#") -> Coupon:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    redeem_by = fields.optional_day_or_instant("redeem_by")
    currency = fields.currency("currency") if fields.has("currency") else ""
    fields.ignore("currency")
    coupon = Coupon(
        fields.own_key(key), fields.text("name"), fields.optional_decimal("percent"), fields.optional_decimal("amount"),
        currency, fields.optional_decimal("quantity"), _charges(fields),
        fields.optional_integer("periods", least=1, most=MAX_COUPON_PERIODS),
        None if redeem_by is None else utc(redeem_by),
    )  # fmt: skip
    if fields.faultless:
        fields.problems(coupon_problems(coupon))
    fields.finish()
    return coupon


def _charges(fields: Fields) -> tuple[str, ...]:
    items = fields.items("charges")
    for index, item in enumerate(items):
        detail = key_problem(item)
        if detail is not None:
            fields.problem(f"charges/{index}", detail)
    if len(items) > MAX_COUPON_CHARGES:
        fields.problem("charges", f"at most {MAX_COUPON_CHARGES} charges")
    return tuple(item for item in items if isinstance(item, str))


def coupon_to_wire(coupon: Coupon) -> dict[str, Any]:
    return keep_coupon(coupon)


@dataclass(frozen=True, slots=True)
class ApplicationWish:
    """Which coupon for whom: one subscription, or all of a tenant. The other is ''."""

    coupon: str
    subscription: str
    tenant: str


def application_from_wire(body: Any) -> ApplicationWish:
    fields = Fields(body)
    wish = ApplicationWish(
        fields.key("coupon"), fields.optional_key("subscription") or "", fields.optional_key("tenant") or ""
    )
    if fields.faultless and bool(wish.subscription) is bool(wish.tenant):
        fields.problem("", "a coupon is applied to one of subscription and tenant")
    fields.finish()
    return wish


def applied_to_wire(
    applied: AppliedCoupon, *, tenant: str, subscription: str | None, invoices: Sequence[tuple[UUID, str]]
) -> dict[str, Any]:
    """`invoices` are those that used it, with their numbers."""
    status = "open" if applied.is_open else "used_up" if applied.ended_at is None else "ended"
    return {
        "id": public_id("ac", applied.tenant_id, applied.application_id), "coupon": keep_coupon(applied.coupon),
        "tenant": tenant, "subscription": subscription, "status": status, "used": applied.used,
        "invoices": [
            {"id": public_id("inv", applied.tenant_id, own_id), "number": number} for own_id, number in invoices
        ],
        "created_at": instant_text(applied.created_at),
        "ended_at": None if applied.ended_at is None else instant_text(applied.ended_at),
    }  # fmt: skip
