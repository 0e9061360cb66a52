"""Tenants, whose use an event subject is and was, and resources."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from app.domain.kept_parties import (
    keep_legal,
    keep_set,
    keep_vat_check,
    read_address,
    read_legal,
    read_order,
    read_references,
    read_vat_check,
)
from app.domain.numbering import PLAIN_NUMBERING, Numbering
from app.domain.parties import Logo, LogoName
from app.domain.tenants import NO_DRAFT_RULES, PLAIN_BUYING, Buying, Claim, DraftRules, History, Resource, Tenant
from app.storage.tables import (
    events,
    logos,
    resources,
    subscription_changes,
    subscriptions,
    tenant_subjects,
    tenants,
)  # fmt: skip
from app.storage.upserts import insert_missing

_CHUNK = 500


def find(connection: Connection, key: str) -> Tenant | None:
    row = connection.execute(sa.select(tenants).where(tenants.c.key == key)).first()
    return None if row is None else _tenant(row)


def find_by_id(connection: Connection, tenant_id: UUID) -> Tenant | None:
    row = connection.execute(sa.select(tenants).where(tenants.c.tenant_id == tenant_id)).first()
    return None if row is None else _tenant(row)


def find_many(connection: Connection, tenant_ids: Iterable[UUID]) -> list[Tenant]:
    """The tenants with these ids, in no order."""
    wanted = sorted(set(tenant_ids))
    found: list[Tenant] = []
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(tenants).where(tenants.c.tenant_id.in_(wanted[start : start + _CHUNK]))
        found += [_tenant(row) for row in connection.execute(query)]
    return found


def operator(connection: Connection) -> Tenant | None:
    """The tenant that runs the deployment and sells; None where none was named yet."""
    row = connection.execute(sa.select(tenants).where(tenants.c.operator.is_(True))).first()
    return None if row is None else _tenant(row)


def billed_to(connection: Connection, key: str) -> list[Tenant]:
    """The tenants that this one pays for, by key."""
    query = sa.select(tenants).where(tenants.c.bill_to == key).order_by(tenants.c.key)
    return [_tenant(row) for row in connection.execute(query)]


def with_draft_rules(connection: Connection) -> list[Tenant]:
    """The tenants that say how drafts become documents."""
    return [_tenant(row) for row in connection.execute(sa.select(tenants).where(tenants.c.drafts != ""))]


def all_tenants(connection: Connection) -> list[Tenant]:
    """Every tenant, by key."""
    return [_tenant(row) for row in connection.execute(sa.select(tenants).order_by(tenants.c.key))]


def keys_of(connection: Connection, tenant_ids: Collection[UUID]) -> dict[UUID, str]:
    """The tenants' keys by id."""
    query = sa.select(tenants.c.tenant_id, tenants.c.key).where(tenants.c.tenant_id.in_(sorted(tenant_ids)))
    return {row.tenant_id: row.key for row in connection.execute(query)}


def list_tenants(connection: Connection, *, after: str | None, limit: int) -> list[Tenant]:
    """The tenants after the key, by key."""
    query = sa.select(tenants).order_by(tenants.c.key).limit(limit)
    if after is not None:
        query = query.where(tenants.c.key > after)
    return [_tenant(row) for row in connection.execute(query)]


def known_keys(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Those of the keys that are tenants, in order."""
    found: list[str] = []
    for start in range(0, len(keys), _CHUNK):
        query = sa.select(tenants.c.key).where(tenants.c.key.in_(keys[start : start + _CHUNK]))
        found += connection.execute(query).scalars()
    return sorted(found)


def lock_of_plan(connection: Connection, plan: str) -> list[UUID]:
    """The tenants that subscribe to the plan with their rows locked, in one order for everybody."""
    subscribed = sa.union(
        sa.select(subscriptions.c.tenant_id).where(subscriptions.c.plan == plan),
        sa.select(subscription_changes.c.tenant_id).where(subscription_changes.c.plan == plan),
    )
    query = (
        sa.select(tenants.c.tenant_id)
        .where(tenants.c.tenant_id.in_(subscribed))
        .order_by(tenants.c.tenant_id)
        .with_for_update(key_share=True)
    )
    return list(connection.execute(query).scalars())


def lock(connection: Connection, key: str) -> Tenant | None:
    """The tenant with its row locked until the transaction ends. Documents and events may still be written for it."""
    query = sa.select(tenants).where(tenants.c.key == key).with_for_update(key_share=True)
    row = connection.execute(query).first()
    return None if row is None else _tenant(row)


def save(connection: Connection, tenant: Tenant) -> None:
    """Writes the tenant under its id, whether it was there or not."""
    values = {
        "key": tenant.key, "name": tenant.name, "currency": tenant.currency, "time_zone": tenant.time_zone,
        "language": tenant.language, "operator": tenant.operator, "default_tax": tenant.default_tax,
        "legal": "" if tenant.legal is None else json.dumps(keep_legal(tenant.legal), ensure_ascii=False),
        "bill_to": tenant.buying.bill_to, "parent": tenant.buying.parent, "buying": _buying_text(tenant.buying),
        "vat_check": "" if tenant.vat_check is None else json.dumps(keep_vat_check(tenant.vat_check)),
        "numbering": _numbering_text(tenant.numbering),
        "drafts": "" if tenant.drafts == NO_DRAFT_RULES else json.dumps(asdict(tenant.drafts)),
    }  # fmt: skip
    of_row = tenants.c.tenant_id == tenant.tenant_id
    if not connection.execute(tenants.update().where(of_row).values(**values)).rowcount:
        connection.execute(tenants.insert().values(tenant_id=tenant.tenant_id, **values))


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        row.tenant_id, row.key, row.name, row.currency, row.time_zone, row.language, bool(row.operator),
        row.default_tax, read_legal(json.loads(row.legal)) if row.legal else None, _buying(row),
        read_vat_check(json.loads(row.vat_check)) if row.vat_check else None,
        DraftRules(**json.loads(row.drafts)) if row.drafts else NO_DRAFT_RULES,
        _numbering(row.numbering),
    )  # fmt: skip


def _numbering(text: str) -> Numbering:
    if not text:
        return PLAIN_NUMBERING
    pattern, own = json.loads(text)
    return Numbering(pattern, tuple((name, of_type) for name, of_type in own))


def _numbering_text(numbering: Numbering) -> str:
    return "" if numbering == PLAIN_NUMBERING else json.dumps([numbering.pattern, numbering.own])


def _buying(row: Row[Any]) -> Buying:
    kept = json.loads(row.buying or "{}")
    return Buying(
        read_address(kept.get("billing_address")), read_address(kept.get("delivery_address")), row.bill_to, row.parent,
        read_references(kept.get("references", {})), tuple(map(read_order, kept.get("purchase_orders", ()))),
        kept.get("purchase_order_required", False), tuple(kept.get("invoice_email", ())),
        kept.get("invoice_collection", PLAIN_BUYING.invoice_collection),
    )  # fmt: skip


def _buying_text(buying: Buying) -> str:
    kept = keep_set(replace(buying, bill_to="", parent=""))
    if buying.invoice_collection == PLAIN_BUYING.invoice_collection:
        del kept["invoice_collection"]
    return json.dumps({name: value for name, value in kept.items() if value}, ensure_ascii=False)


# --- logos -----------------------------------------------------------------------------------------------------------


def keep_logo(connection: Connection, logo: Logo) -> None:
    """Keeps the picture under the digest of its bytes, unless it is kept already."""
    row = {"digest": bytes.fromhex(logo.name.digest), "media_type": logo.name.media_type, "content": logo.content}
    insert_missing(connection, logos, [row])


def find_logo(connection: Connection, name: LogoName) -> Logo | None:
    query = sa.select(logos).where(logos.c.digest == bytes.fromhex(name.digest))
    row = connection.execute(query).first()
    return None if row is None else Logo(LogoName(name.digest, row.media_type), bytes(row.content))


# --- subjects --------------------------------------------------------------------------------------------------------


def histories(connection: Connection, subjects: Iterable[str]) -> dict[str, History]:
    """Every claim ever made on each of the subjects, by instant; () where nobody ever had it."""
    found: dict[str, list[Claim]] = {subject: [] for subject in subjects}
    ordered = sorted(found)
    for start in range(0, len(ordered), _CHUNK):
        query = sa.select(tenant_subjects).where(tenant_subjects.c.subject.in_(ordered[start : start + _CHUNK]))
        for row in connection.execute(query.order_by(tenant_subjects.c.from_at)):
            found[row.subject].append(Claim(row.subject, row.from_at, row.tenant_id))
    return {subject: tuple(claims) for subject, claims in found.items()}


def claims_of(connection: Connection, tenant_ids: Sequence[UUID]) -> dict[UUID, list[Claim]]:
    """The claims of each tenant that no later claim on the subject ends, by subject."""
    later = tenant_subjects.alias()
    query = (
        sa.select(tenant_subjects)
        .where(
            tenant_subjects.c.tenant_id.in_(tenant_ids),
            ~sa.exists().where(
                later.c.subject == tenant_subjects.c.subject, later.c.from_at > tenant_subjects.c.from_at
            ),
        )
        .order_by(tenant_subjects.c.subject)
    )
    found: dict[UUID, list[Claim]] = {tenant_id: [] for tenant_id in tenant_ids}
    for row in connection.execute(query):
        found[row.tenant_id].append(Claim(row.subject, row.from_at, row.tenant_id))
    return found


def replace_history(connection: Connection, subject: str, history: History) -> None:
    connection.execute(tenant_subjects.delete().where(tenant_subjects.c.subject == subject))
    rows = [{"subject": claim.subject, "from_at": claim.from_at, "tenant_id": claim.tenant_id} for claim in history]
    if rows:
        connection.execute(tenant_subjects.insert(), rows)


def used_in(connection: Connection, tenant_id: UUID, subject: str, start: datetime, end: datetime | None) -> bool:
    """True when the tenant has kept events of the subject that happened in [start, end)."""
    query = sa.select(events.c.identity).where(
        events.c.tenant_id == tenant_id, events.c.subject == subject, events.c.time >= start
    )
    if end is not None:
        query = query.where(events.c.time < end)
    return connection.execute(query.limit(1)).first() is not None


# --- resources -------------------------------------------------------------------------------------------------------


def find_resource(connection: Connection, key: str) -> Resource | None:
    row = connection.execute(_resources().where(resources.c.key == key)).first()
    return None if row is None else _resource(row)


def list_resources(
    connection: Connection, *, after: str | None, limit: int, owner_id: UUID | None = None
) -> list[Resource]:
    """The resources after the key, by key; of one owner where it is named."""
    query = _resources().order_by(resources.c.key).limit(limit)
    if after is not None:
        query = query.where(resources.c.key > after)
    if owner_id is not None:
        query = query.where(resources.c.owner_id == owner_id)
    return [_resource(row) for row in connection.execute(query)]


def places_of(connection: Connection, keys: Collection[str]) -> set[str]:
    """The countries in which these resources stand, '' where one does not say."""
    found: set[str] = set()
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        query = sa.select(resources.c.place).where(resources.c.key.in_(ordered[start : start + _CHUNK])).distinct()
        found |= set(connection.execute(query).scalars())
    return found


def _resource(row: Row[Any]) -> Resource:
    return Resource(row.key, row.name, row.kind, row.owner, row.place)


def _resources() -> sa.Select[Any]:
    return sa.select(resources, tenants.c.key.label("owner")).join(tenants, tenants.c.tenant_id == resources.c.owner_id)


def save_resource(connection: Connection, resource: Resource, *, owner_id: UUID) -> None:
    """Writes the resource under its key, whether it was there or not."""
    values = {"name": resource.name, "kind": resource.kind, "owner_id": owner_id, "place": resource.place}
    if not connection.execute(resources.update().where(resources.c.key == resource.key).values(**values)).rowcount:
        connection.execute(resources.insert().values(key=resource.key, **values))
