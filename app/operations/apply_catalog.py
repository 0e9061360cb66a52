"""Make the catalog what one document says, all of it or nothing, and tell what that changes.

Objects that the document does not name stay as they are. Applying it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy.engine import Connection

from app.domain.errors import BillingError, InvalidInput
from app.operations.catalog_change import Saved, write_catalog
from app.operations.publish_plan import publish
from app.operations.put_alert import save_alert
from app.operations.put_coupon import save_coupon
from app.operations.put_exchange_rate import save_exchange_rate
from app.operations.put_meter import save_meter
from app.operations.put_plan import save_plan
from app.operations.put_resource import save_resource
from app.operations.put_subscription import save_subscription
from app.operations.put_tax_rate import save_tax_rate
from app.operations.put_tenant import save_tenant
from app.storage.catalog_snapshot import lock_for_change
from app.storage.database import Database
from app.wire.catalog_file import CatalogFile, FileProblem, InvalidCatalogFile, parse_catalog_file, pointers_of
from app.wire.parsing import escaped
from app.wire.shown import differences

Action = Literal["created", "changed", "unchanged", "published"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one object: its section and key, and each field as (path, old, new)."""

    section: str
    key: str
    action: Action
    fields: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """Every object of the document, in the order of application. `left_jobs`: older events are yet to be counted."""

    changes: tuple[Change, ...]
    left_jobs: bool

    def count(self, action: Action) -> int:
        return sum(change.action == action for change in self.changes)


class _DryRun(Exception):
    """Carries the result out of a transaction that is not to be kept."""

    def __init__(self, applied: Applied) -> None:
        super().__init__()
        self.applied = applied


def apply_catalog(database: Database, text: str, *, name: str, now: datetime, dry_run: bool = False) -> Applied:
    """Raises InvalidCatalogFile with every fault, each with file, line and path; then nothing has changed."""
    file = parse_catalog_file(text, name)

    def work(connection: Connection) -> Applied:
        applied = _apply(connection, file, now)
        if dry_run:
            raise _DryRun(applied)
        return applied

    try:
        return write_catalog(database, work)
    except _DryRun as result:
        return result.applied


@dataclass(frozen=True, slots=True)
class _Step:
    """One object to be put, and where it stands in the document."""

    section: str
    key: str
    put: Callable[[], Saved]
    place: str
    publishes: bool = False


def _apply(connection: Connection, file: CatalogFile, now: datetime) -> Applied:
    lock_for_change(connection)
    faults: list[FileProblem] = []
    changes: list[Change] = []
    left_jobs = False
    failed: set[str] = set()
    for step in _steps(connection, file, now):
        if step.publishes and step.place.removesuffix("/publish") in failed:
            continue
        try:
            saved = step.put()
        except BillingError as error:
            failed.add(step.place)
            faults += _faults(file, step.place, error)
            continue
        left_jobs = left_jobs or saved.left_jobs
        changes.append(_change(step, saved))
    if faults:
        raise InvalidCatalogFile(faults)
    return Applied(tuple(changes), left_jobs)


def _steps(connection: Connection, file: CatalogFile, now: datetime) -> Iterator[_Step]:
    """What others refer to comes first. The operator comes last of the tenants: another may have to stop first."""
    for rate in file.tax_rates:
        yield _step("tax_rates", rate.key, partial(save_tax_rate, connection, rate))
    for exchange in file.exchange_rates:
        yield _step("exchange_rates", exchange.key, partial(save_exchange_rate, connection, exchange))
    for tenant in sorted(file.tenants, key=lambda wish: wish.operator):
        yield _step("tenants", tenant.key, partial(save_tenant, connection, tenant, now=now))
    for resource in file.resources:
        yield _step("resources", resource.key, partial(save_resource, connection, resource, now=now))
    for meter in file.meters:
        yield _step("meters", meter.meter.key, partial(save_meter, connection, meter, now=now))
    for coupon in file.coupons:
        yield _step("coupons", coupon.key, partial(save_coupon, connection, coupon))
    for plan in file.plans:
        yield _step("plans", plan.key, partial(save_plan, connection, plan))
    for key, effective_at in file.publications:
        place = f"#/plans/{escaped(key)}/publish"
        yield _Step("plans", key, partial(publish, connection, key, effective_at), place, publishes=True)
    for subscription in file.subscriptions:
        yield _step("subscriptions", subscription.key, partial(save_subscription, connection, subscription))
    for alert in file.alerts:
        yield _step("alerts", alert.key, partial(save_alert, connection, alert, now=now))


def _step(section: str, key: str, put: Callable[[], Saved]) -> _Step:
    return _Step(section, key, put, f"#/{section}/{escaped(key)}")


def _change(step: _Step, saved: Saved) -> Change:
    if step.publishes:
        if not saved.changed:
            return Change(step.section, step.key, "unchanged")
        latest = saved.after["versions"][-1]
        fields = tuple((name, None, latest[name]) for name in ("version", "effective_at"))
        return Change(step.section, step.key, "published", fields)
    if saved.created:
        return Change(step.section, step.key, "created", differences(None, saved.after))
    fields = differences(saved.before, saved.after)
    return Change(step.section, step.key, "changed" if fields else "unchanged", fields)


def _faults(file: CatalogFile, place: str, error: BillingError) -> list[FileProblem]:
    if isinstance(error, InvalidInput) and error.problems:
        return [file.fault(problem.pointer, problem.detail) for problem in pointers_of(error, place)]
    return [file.fault(place, error.detail)]
