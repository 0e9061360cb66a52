"""Meters with their revisions, tax rates, and plans with their versions. A published version never changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.catalog import MeterEntry
from app.domain.events import parse_json
from app.domain.ids import new_id
from app.domain.kept_meters import keep_meter, read_meter
from app.domain.kept_terms import keep_terms, read_terms
from app.domain.meters import Meter
from app.domain.money import plain
from app.domain.plans import Plan, PlanTerms, PlanVersion
from app.domain.tax import ExchangeRate, Exemption
from app.domain.tenants import NamedTaxRate, RateChange
from app.storage.tables import (
    exchange_rates,
    invoice_lines,
    invoices,
    meter_revisions,
    meters,
    plans,
    subscription_changes,
    subscriptions,
)  # fmt: skip
from app.storage.tables import plan_versions as versions_table
from app.storage.tables import tax_rates as rates_table

# Numbers of filters stay numbers, digit by digit.
_json = msgspec.json.Encoder(decimal_format="number", order="sorted")


# --- meters ----------------------------------------------------------------------------------------------------------


def find_meter(connection: Connection, key: str) -> MeterEntry | None:
    """The meter by its newest revision."""
    return next(iter(_entries(connection, meters.c.key == key)), None)


def list_meters(connection: Connection, *, after: str | None, limit: int) -> list[MeterEntry]:
    """The meters after the key, by key."""
    wanted = sa.select(meters.c.key).order_by(meters.c.key).limit(limit)
    if after is not None:
        wanted = wanted.where(meters.c.key > after)
    keys = list(connection.execute(wanted).scalars())
    return _entries(connection, meters.c.key.in_(keys))


def _entries(connection: Connection, condition: sa.ColumnElement[bool]) -> list[MeterEntry]:
    newest = (
        sa.select(meter_revisions.c.key, sa.func.max(meter_revisions.c.revision).label("revision"))
        .group_by(meter_revisions.c.key)
        .subquery()
    )
    query = (
        sa.select(meter_revisions, meters.c.name, meters.c.unit, meters.c.unit_code)
        .join(meters, meters.c.key == meter_revisions.c.key)
        .join(newest, sa.and_(newest.c.key == meter_revisions.c.key, newest.c.revision == meter_revisions.c.revision))
        .where(condition)
        .order_by(meters.c.key)
    )
    return [_entry(row) for row in connection.execute(query).mappings()]


def _entry(row: RowMapping) -> MeterEntry:
    meter = read_meter(
        parse_json(row["definition"]), key=row["key"], meter_id=row["meter_id"], event_type=row["event_type"],
        unit=row["unit"], state="active" if row["state"] == "active" else "building",
    )  # fmt: skip
    return MeterEntry(meter, row["name"], row["unit_code"], row["revision"])


def save_meter(connection: Connection, entry: MeterEntry, *, is_new: bool) -> None:
    """The meter's name and units; what it measures is its revisions'."""
    values = {"name": entry.name, "unit": entry.meter.unit, "unit_code": entry.unit_code}
    _put(connection, meters, entry.meter.key, values, is_new=is_new)


def add_revision(connection: Connection, meter: Meter, *, since_version: int) -> UUID:
    """A new revision, building; one that was still being built is given up, and its buckets are dropped later."""
    of_meter = meter_revisions.c.key == meter.key
    connection.execute(
        meter_revisions.update().where(of_meter, meter_revisions.c.state == "building").values(state="retired")
    )
    last = connection.execute(sa.select(sa.func.max(meter_revisions.c.revision)).where(of_meter)).scalar() or 0
    meter_id = new_id()
    connection.execute(
        meter_revisions.insert().values(
            meter_id=meter_id, key=meter.key, revision=last + 1, event_type=meter.event_type,
            definition=_json.encode(keep_meter(meter)).decode(), state="building", since_version=since_version,
        )
    )  # fmt: skip
    return meter_id


def known_meters(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of the keys that are meters."""
    return set(connection.execute(sa.select(meters.c.key).where(meters.c.key.in_(sorted(set(keys))))).scalars())


# --- tax rates -------------------------------------------------------------------------------------------------------


def tax_rates(connection: Connection) -> dict[str, NamedTaxRate]:
    """Every tax rate, by key."""
    return {row["key"]: _rate(row) for row in connection.execute(sa.select(rates_table)).mappings()}


def find_tax_rate(connection: Connection, key: str, *, lock: bool = False) -> NamedTaxRate | None:
    query = sa.select(rates_table).where(rates_table.c.key == key)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _rate(row)


def list_tax_rates(connection: Connection, *, after: str | None, limit: int) -> list[NamedTaxRate]:
    query = sa.select(rates_table).order_by(rates_table.c.key).limit(limit)
    if after is not None:
        query = query.where(rates_table.c.key > after)
    return [_rate(row) for row in connection.execute(query).mappings()]


def save_tax_rate(connection: Connection, rate: NamedTaxRate, *, is_new: bool) -> None:
    values = {
        "category": rate.category, "rate": rate.rate, "country": rate.country, "start": rate.start,
        "details": _rate_details(rate),
    }  # fmt: skip
    _put(connection, rates_table, rate.key, values, is_new=is_new)


def _rate(row: RowMapping) -> NamedTaxRate:
    details = parse_json(row["details"] or "{}")
    changes = (RateChange(date.fromisoformat(day), Decimal(rate)) for day, rate in details.get("changes", ()))
    exemption = details.get("exemption")
    return NamedTaxRate(
        row["key"], row["category"], row["rate"], row["country"], row["start"], tuple(changes),
        None if exemption is None else Exemption(*exemption),
    )  # fmt: skip


def _rate_details(rate: NamedTaxRate) -> str:
    changes = [[item.start.isoformat(), plain(item.rate)] for item in rate.changes]
    exemption = rate.exemption and [rate.exemption.code, rate.exemption.reason]
    kept = {name: value for name, value in (("changes", changes), ("exemption", exemption)) if value}
    return _json.encode(kept).decode() if kept else ""


# --- exchange rates --------------------------------------------------------------------------------------------------


def find_exchange_rate(connection: Connection, key: str) -> ExchangeRate | None:
    query = sa.select(exchange_rates).where(exchange_rates.c.key == key)
    row = connection.execute(query).mappings().first()
    return None if row is None else _exchange_rate(row)


def list_exchange_rates(connection: Connection, *, after: str | None, limit: int) -> list[ExchangeRate]:
    query = sa.select(exchange_rates).order_by(exchange_rates.c.key).limit(limit)
    if after is not None:
        query = query.where(exchange_rates.c.key > after)
    return [_exchange_rate(row) for row in connection.execute(query).mappings()]


def exchange_rate_of(
    connection: Connection, from_currency: str, to_currency: str, day: date, *, exactly: bool = False
) -> ExchangeRate | None:
    """The newest rate from one currency to the other that is of the day or before it; `exactly` that of the day."""
    table = exchange_rates.c
    query = sa.select(exchange_rates).where(
        table.from_currency == from_currency, table.to_currency == to_currency,
        table.date == day if exactly else table.date <= day,
    )  # fmt: skip
    row = connection.execute(query.order_by(table.date.desc()).limit(1)).mappings().first()
    return None if row is None else _exchange_rate(row)


def save_exchange_rate(connection: Connection, rate: ExchangeRate, *, is_new: bool) -> None:
    values = {
        "from_currency": rate.from_currency, "to_currency": rate.to_currency, "date": rate.date, "rate": rate.rate,
        "source": rate.source,
    }  # fmt: skip
    _put(connection, exchange_rates, rate.key, values, is_new=is_new)


def _exchange_rate(row: RowMapping) -> ExchangeRate:
    return ExchangeRate(
        row["key"], row["from_currency"], row["to_currency"], row["date"], row["rate"], row["source"]
    )  # fmt: skip


# --- plans -----------------------------------------------------------------------------------------------------------


def lock_plan(connection: Connection, key: str, *, shared: bool = False) -> bool:
    """Locks the plan's row until the transaction ends; False where there is none. Shared: no version is added."""
    query = sa.select(plans.c.key).where(plans.c.key == key).with_for_update(read=shared)
    return connection.execute(query).first() is not None


def find_plan(connection: Connection, key: str) -> Plan | None:
    return next(iter(_plans(connection, plans.c.key == key)), None)


def list_plans(connection: Connection, *, after: str | None, limit: int, published_only: bool = False) -> list[Plan]:
    """The plans after the key, by key; only those with a version where only these may be seen."""
    wanted = sa.select(plans.c.key).order_by(plans.c.key).limit(limit)
    if published_only:
        wanted = wanted.where(sa.exists().where(versions_table.c.plan == plans.c.key))
    if after is not None:
        wanted = wanted.where(plans.c.key > after)
    keys = list(connection.execute(wanted).scalars())
    return _plans(connection, plans.c.key.in_(keys))


def all_plans(connection: Connection) -> list[Plan]:
    """Every plan, by key."""
    return _plans(connection, sa.true())


def _plans(connection: Connection, condition: sa.ColumnElement[bool]) -> list[Plan]:
    rows = list(connection.execute(sa.select(plans).where(condition).order_by(plans.c.key)))
    versions = versions_by_plan(connection, [row.key for row in rows])
    return [
        Plan(row.key, row.name, read_terms(parse_json(row.draft)) if row.draft else None, versions[row.key])
        for row in rows
    ]


def known_plans(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of the keys that are plans."""
    return set(connection.execute(sa.select(plans.c.key).where(plans.c.key.in_(sorted(set(keys))))).scalars())


def plan_versions(connection: Connection, plan: str) -> tuple[PlanVersion, ...]:
    """The published versions, oldest first."""
    return versions_by_plan(connection, [plan])[plan]


def versions_by_plan(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[PlanVersion, ...]]:
    """The published versions of these plans, oldest first."""
    query = sa.select(versions_table).where(versions_table.c.plan.in_(sorted(set(keys))))
    found: dict[str, list[PlanVersion]] = {key: [] for key in keys}
    for row in connection.execute(query.order_by(versions_table.c.plan, versions_table.c.version)):
        terms = read_terms(parse_json(row.terms))
        found[row.plan].append(PlanVersion(row.plan, row.version, row.effective_at, terms))
    return {key: tuple(versions) for key, versions in found.items()}


def save_plan(connection: Connection, key: str, *, name: str, draft: PlanTerms | None, is_new: bool = False) -> None:
    """The plan's name and draft; None where the latest version is all there is."""
    values = {"name": name, "draft": "" if draft is None else _terms_text(draft)}
    _put(connection, plans, key, values, is_new=is_new)


def add_version(connection: Connection, version: PlanVersion) -> None:
    connection.execute(
        versions_table.insert().values(
            plan=version.plan, version=version.version, effective_at=version.effective_at,
            terms=_terms_text(version.terms),
        )
    )  # fmt: skip


def _terms_text(terms: PlanTerms) -> str:
    return _json.encode(keep_terms(terms)).decode()


def issued_until(connection: Connection, plan: str) -> datetime | None:
    """The latest end of an issued period among the subscriptions that follow the plan and never change it; None where
    none is issued."""
    changes = subscription_changes.c
    changed = sa.exists().where(
        changes.tenant_id == subscriptions.c.tenant_id, changes.subscription_id == subscriptions.c.subscription_id
    )
    query = (
        sa.select(sa.func.max(invoice_lines.c.period_end, type_=invoice_lines.c.period_end.type))
        .join(
            invoices,
            sa.and_(
                invoices.c.tenant_id == invoice_lines.c.tenant_id, invoices.c.invoice_id == invoice_lines.c.invoice_id
            ),
        )
        .join(
            subscriptions,
            sa.and_(
                subscriptions.c.tenant_id == invoice_lines.c.tenant_id,
                subscriptions.c.subscription_id == invoice_lines.c.subscription_id,
            ),
        )
        .where(
            subscriptions.c.plan == plan,
            subscriptions.c.pinned_version.is_(None),
            ~changed,
            invoices.c.status == "issued",
            invoice_lines.c.kind == "charge",
        )
    )
    latest: datetime | None = connection.execute(query).scalar()
    return latest


def _put(connection: Connection, table: sa.Table, key: str, values: dict[str, Any], *, is_new: bool) -> None:
    """Writes the row. Where another made it since it was looked for, the insert fails and the caller begins anew."""
    if is_new:
        connection.execute(table.insert().values(key=key, **values))
    else:
        connection.execute(table.update().where(table.c.key == key).values(**values))
