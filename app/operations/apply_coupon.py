"""Apply a coupon to a subscription or to a tenant, end that, and show what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.coupons import AppliedCoupon, Coupon
from app.domain.errors import Conflict, InvalidInput, NotFound
from app.domain.ids import new_id, parse_public_id
from app.domain.tenants import Tenant
from app.storage import billing_store, coupon_store, invoice_store, subscription_store, tenant_store
from app.storage.database import Database
from app.wire.coupons import ApplicationWish, applied_to_wire

Shown = dict[str, Any]


def apply_coupon(database: Database, wish: ApplicationWish, *, now: datetime) -> Shown:
    """The application. Raises Conflict where the coupon is over, or stands applied there already."""

    def work(connection: Connection) -> Shown:
        coupon = coupon_store.find(connection, wish.coupon)
        if coupon is None:
            raise InvalidInput.at("#/coupon", f"there is no coupon {wish.coupon!r}")
        tenant, subscription_id = _target(connection, wish)
        if coupon.currency not in ("", tenant.currency):
            raise InvalidInput.at("#/coupon", f"the coupon is in {coupon.currency}, the tenant in {tenant.currency}")
        if coupon.redeem_by is not None and coupon.redeem_by <= now:
            raise Conflict("This coupon may not be applied any more.", coupon=coupon.key)
        _check_is_first(connection, tenant, subscription_id, coupon)
        applied = AppliedCoupon(tenant.tenant_id, new_id(), coupon, now, subscription_id)
        coupon_store.add_application(connection, applied)
        return _shown(connection, [applied])[0]

    return database.write(work)


def _target(connection: Connection, wish: ApplicationWish) -> tuple[Tenant, UUID | None]:
    if wish.tenant:
        tenant = tenant_store.find(connection, wish.tenant)
        if tenant is None:
            raise InvalidInput.at("#/tenant", f"there is no tenant {wish.tenant!r}")
        return tenant, None
    subscription = subscription_store.find(connection, wish.subscription)
    if subscription is None:
        raise InvalidInput.at("#/subscription", f"there is no subscription {wish.subscription!r}")
    # Applied before the subscription is billed next, or after: not while it is being billed, and not twice at once.
    billing_store.lock_subscription(connection, subscription.tenant_id, subscription.subscription_id)
    found = tenant_store.find_by_id(connection, subscription.tenant_id)
    assert found is not None
    return found, subscription.subscription_id


def _check_is_first(connection: Connection, tenant: Tenant, subscription_id: UUID | None, coupon: Coupon) -> None:
    known = coupon_store.list_applications(
        connection, tenant_id=tenant.tenant_id, coupon=coupon.key, after=None, limit=1000
    )
    if any(one.is_open and one.subscription_id == subscription_id for one in known):
        raise Conflict("This coupon stands applied there already.", coupon=coupon.key)


def end_coupon(database: Database, public: str, *, now: datetime) -> Shown:
    """The application, which lowers no further invoice; ending it again changes nothing."""

    def work(connection: Connection) -> Shown:
        applied = _find(connection, public)
        if applied.ended_at is None:
            coupon_store.end_application(connection, applied, now)
        return _shown(connection, [_find(connection, public)])[0]

    return database.write(work)


def show_application(database: Database, public: str, caller: Caller) -> Shown:
    def work(connection: Connection) -> Shown:
        applied = _find(connection, public)
        if caller.tenant_key is not None and caller.tenant_id != applied.tenant_id:
            raise NotFound("There is no such applied coupon.", applied_coupon_id=public)
        return _shown(connection, [applied])[0]

    return database.read(work)


def list_applications(
    database: Database, *, tenant_id: UUID | None, coupon: str | None, after: tuple[UUID, UUID] | None, limit: int
) -> list[Shown]:
    def work(connection: Connection) -> list[Shown]:
        found = coupon_store.list_applications(
            connection, tenant_id=tenant_id, coupon=coupon, after=after, limit=limit
        )  # fmt: skip
        return _shown(connection, found)

    return database.read(work)


def _find(connection: Connection, public: str) -> AppliedCoupon:
    key = parse_public_id("ac", public)
    applied = None if key is None else coupon_store.find_application(connection, *key)
    if applied is None:
        raise NotFound("There is no such applied coupon.", applied_coupon_id=public)
    return applied


def _shown(connection: Connection, found: Sequence[AppliedCoupon]) -> list[Shown]:
    tenants = tenant_store.find_many(connection, [one.tenant_id for one in found])
    keys = {tenant.tenant_id: tenant.key for tenant in tenants}
    shown: list[Shown] = []
    for one in found:
        used = coupon_store.uses(connection, one.tenant_id, [one.application_id]).get(one.application_id, [])
        numbers = invoice_store.numbers_of(connection, one.tenant_id, used)
        subscription = None
        if one.subscription_id is not None:
            subscription = subscription_store.find_by_id(connection, one.tenant_id, one.subscription_id)
        shown.append(
            applied_to_wire(
                one, tenant=keys[one.tenant_id], subscription=None if subscription is None else subscription.key,
                invoices=[(own_id, numbers.get(own_id, "")) for own_id in used],
            )
        )  # fmt: skip
    return shown
