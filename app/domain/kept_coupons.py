"""The form in which a coupon is kept, by itself and with each application: the shape that the HTTP contract shows."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.domain.coupons import Coupon
from app.domain.events import instant_text, parse_instant
from app.domain.kept_models import number_text


def keep_coupon(coupon: Coupon) -> dict[str, Any]:
    """The coupon without the fields that it leaves open."""
    kept: dict[str, Any] = {"key": coupon.key, "name": coupon.name}
    for name in ("percent", "amount", "quantity"):
        number = getattr(coupon, name)
        if number is not None:
            kept[name] = number_text(number)
    if coupon.currency:
        kept["currency"] = coupon.currency
    if coupon.charges:
        kept["charges"] = list(coupon.charges)
    if coupon.periods is not None:
        kept["periods"] = coupon.periods
    if coupon.redeem_by is not None:
        kept["redeem_by"] = instant_text(coupon.redeem_by)
    return kept


def read_coupon(kept: Mapping[str, Any]) -> Coupon:
    numbers = {name: Decimal(kept[name]) for name in ("percent", "amount", "quantity") if name in kept}
    redeem_by = kept.get("redeem_by")
    return Coupon(
        kept["key"], kept["name"], currency=kept.get("currency", ""), charges=tuple(kept.get("charges", ())),
        periods=kept.get("periods"), redeem_by=None if redeem_by is None else parse_instant(redeem_by), **numbers,
    )  # fmt: skip
