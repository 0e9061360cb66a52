"""Coupons of the catalog, to whom they were applied, and which invoices used them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.coupons import AppliedCoupon, Coupon
from app.domain.ids import NOBODY
from app.domain.kept_coupons import keep_coupon, read_coupon
from app.storage.tables import applied_coupons, coupon_uses, coupons
from app.storage.upserts import insert_missing


def find(connection: Connection, key: str, *, lock: bool = False) -> Coupon | None:
    query = sa.select(coupons).where(coupons.c.key == key)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else read_coupon(json.loads(row["terms"]))


def listing(connection: Connection, *, after: str | None, limit: int) -> list[Coupon]:
    """The coupons after the key, by key."""
    query = sa.select(coupons).order_by(coupons.c.key).limit(limit)
    if after is not None:
        query = query.where(coupons.c.key > after)
    return [read_coupon(json.loads(row["terms"])) for row in connection.execute(query).mappings()]


def save(connection: Connection, coupon: Coupon, *, is_new: bool) -> None:
    terms = json.dumps(keep_coupon(coupon), ensure_ascii=False)
    if is_new:
        connection.execute(coupons.insert().values(key=coupon.key, terms=terms))
    else:
        connection.execute(coupons.update().where(coupons.c.key == coupon.key).values(terms=terms))


# --- applied ----------------------------------------------------------------------------------------------------------


def add_application(connection: Connection, applied: AppliedCoupon) -> None:
    connection.execute(
        applied_coupons.insert().values(
            tenant_id=applied.tenant_id, application_id=applied.application_id,
            subscription_id=applied.subscription_id or NOBODY, coupon=applied.coupon.key,
            terms=json.dumps(keep_coupon(applied.coupon), ensure_ascii=False), created_at=applied.created_at,
            ended_at=None,
        )
    )  # fmt: skip


def end_application(connection: Connection, applied: AppliedCoupon, now: datetime) -> None:
    connection.execute(
        applied_coupons.update()
        .where(
            applied_coupons.c.tenant_id == applied.tenant_id,
            applied_coupons.c.application_id == applied.application_id,
        )
        .values(ended_at=now)
    )


def find_application(connection: Connection, tenant_id: UUID, application_id: UUID) -> AppliedCoupon | None:
    query = sa.select(applied_coupons).where(
        applied_coupons.c.tenant_id == tenant_id, applied_coupons.c.application_id == application_id
    )
    found = _applications(connection, query)
    return found[0] if found else None


def of_subscription(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> list[AppliedCoupon]:
    """Every coupon that was ever applied to the subscription or to its tenant, oldest first."""
    query = sa.select(applied_coupons).where(
        applied_coupons.c.tenant_id == tenant_id, applied_coupons.c.subscription_id.in_([subscription_id, NOBODY])
    )
    return _applications(connection, query.order_by(applied_coupons.c.application_id))


def tenants_with_open(connection: Connection, tenant_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the tenants with a coupon that has not ended."""
    query = sa.select(applied_coupons.c.tenant_id).where(
        applied_coupons.c.tenant_id.in_(tenant_ids), applied_coupons.c.ended_at.is_(None)
    )
    return set(connection.execute(query.distinct()).scalars())


def list_applications(
    connection: Connection, *, tenant_id: UUID | None, coupon: str | None, after: tuple[UUID, UUID] | None, limit: int
) -> list[AppliedCoupon]:
    """A page of applications in order of their making; of one tenant or coupon where they are named."""
    query = sa.select(applied_coupons)
    if tenant_id is not None:
        query = query.where(applied_coupons.c.tenant_id == tenant_id)
    if coupon is not None:
        query = query.where(applied_coupons.c.coupon == coupon)
    if after is not None:
        application_id, of_tenant = after
        same = sa.and_(applied_coupons.c.application_id == application_id, applied_coupons.c.tenant_id > of_tenant)
        query = query.where(sa.or_(applied_coupons.c.application_id > application_id, same))
    order = (applied_coupons.c.application_id, applied_coupons.c.tenant_id)
    return _applications(connection, query.order_by(*order).limit(limit))


def book_uses(
    connection: Connection, tenant_id: UUID, application_ids: Iterable[UUID], *, invoice_id: UUID, now: datetime
) -> None:
    """That the invoice used these."""
    insert_missing(
        connection, coupon_uses,
        [
            {"tenant_id": tenant_id, "application_id": one, "invoice_id": invoice_id, "created_at": now}
            for one in sorted(set(application_ids))
        ],
    )  # fmt: skip


def uses(connection: Connection, tenant_id: UUID, application_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The invoices that used each, in order."""
    query = sa.select(coupon_uses).where(
        coupon_uses.c.tenant_id == tenant_id, coupon_uses.c.application_id.in_(list(application_ids))
    )
    found: dict[UUID, list[UUID]] = {}
    for row in connection.execute(query.order_by(coupon_uses.c.invoice_id)):
        found.setdefault(row.application_id, []).append(row.invoice_id)
    return found


def _applications(connection: Connection, query: sa.Select[Any]) -> list[AppliedCoupon]:
    found = [_applied(row) for row in connection.execute(query).mappings()]
    counts: dict[tuple[UUID, UUID], int] = {}
    for tenant_id in sorted({one.tenant_id for one in found}):
        ids = [one.application_id for one in found if one.tenant_id == tenant_id]
        for start in range(0, len(ids), 500):
            for application_id, invoices in uses(connection, tenant_id, ids[start : start + 500]).items():
                counts[tenant_id, application_id] = len(invoices)
    return [replace(one, used=counts.get((one.tenant_id, one.application_id), 0)) for one in found]


def _applied(row: RowMapping) -> AppliedCoupon:
    subscription_id = row["subscription_id"]
    return AppliedCoupon(
        row["tenant_id"], row["application_id"], read_coupon(json.loads(row["terms"])), row["created_at"],
        None if subscription_id == NOBODY else subscription_id, row["ended_at"],
    )  # fmt: skip
