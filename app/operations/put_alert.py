"""Make or change an alert. What it noticed before stays; who it watches is looked at anew."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.alerts import Alert
from app.domain.errors import FieldProblem, InvalidInput
from app.domain.ids import new_id
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.storage import alert_store, catalog_store, tenant_store
from app.storage.alert_store import StoredAlert
from app.storage.database import Database
from app.wire.alerts import alert_to_wire


def put_alert(database: Database, wish: Alert, *, now: datetime, if_match: str | None = None) -> Saved:
    """Raises InvalidInput or PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_alert(connection, wish, now=now, if_match=if_match))


def save_alert(connection: Connection, wish: Alert, *, now: datetime, if_match: str | None = None) -> Saved:
    before = alert_store.find(connection, wish.key, lock=True)
    shown = None if before is None else alert_to_wire(before.alert)
    check_precondition(if_match, shown)
    tenant = None if wish.tenant is None else tenant_store.find(connection, wish.tenant)
    problems = list(_problems(connection, wish, has_tenant=tenant is not None))
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
    after = StoredAlert(wish, before.alert_id if before else new_id(), tenant.tenant_id if tenant else None)
    if before == after:
        assert shown is not None
        return Saved(shown, shown)
    alert_store.save(connection, after, is_new=before is None)
    if wish.enabled:
        alert_store.mark(connection, alert_store.watched_by(connection, after), now)
    return Saved(shown, alert_to_wire(wish))


def _problems(connection: Connection, wish: Alert, *, has_tenant: bool) -> list[FieldProblem]:
    found: list[FieldProblem] = []
    if wish.tenant is not None and not has_tenant:
        found.append(FieldProblem("#/tenant", f"there is no tenant {wish.tenant!r}"))
    if wish.meter is not None and not catalog_store.known_meters(connection, [wish.meter]):
        found.append(FieldProblem("#/meter", f"there is no meter {wish.meter!r}"))
    plan = None if wish.plan is None else catalog_store.find_plan(connection, wish.plan)
    if wish.plan is not None and plan is None:
        found.append(FieldProblem("#/plan", f"there is no plan {wish.plan!r}"))
    if plan is not None and wish.charge is not None:
        terms = [version.terms for version in plan.versions] + ([plan.draft] if plan.draft else [])
        if not any(charge.key == wish.charge for each in terms for charge in each.charges):
            found.append(FieldProblem("#/charge", f"the plan has no charge {wish.charge!r}"))
    return found
