"""Issue the drafts whose grace is over: those that a seller or a buyer wants issued by themselves after some hours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from app.domain.errors import BillingError
from app.observability import metrics
from app.operations.settle_draft import issue_one
from app.storage import draft_store, invoice_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice

_log = logging.getLogger("quotepart.billing")


def issue_ripe(
    database: Database, *, now: datetime, terms_days: int, keep_going: Callable[[], bool] = lambda: True
) -> int:
    """How many were issued. Those on hold, not approved, or behind an earlier period stay, and are tried again."""
    issued = 0
    for draft in database.read(lambda connection: _ripe(connection, now)):
        if not keep_going():
            break
        try:
            made = issue_one(database, draft, check=lambda _: None, now=now, terms_days=terms_days)
        except BillingError as error:
            _log.info("draft not issued", extra={"invoice": draft.invoice.id, "why": error.detail})
            continue
        metrics.DOCUMENTS.labels(made.invoice.type).inc()
        issued += 1
    return issued


def _ripe(connection: Connection, now: datetime) -> list[StoredInvoice]:
    """The drafts that are to be issued now, the oldest billing instant first."""
    tenants = {one.tenant_id: one for one in tenant_store.with_draft_rules(connection)}
    graces = {id: one.drafts.grace_hours for id, one in tenants.items() if one.drafts.grace_hours is not None}
    if not graces:
        return []
    found = invoice_store.drafts_of_parties(connection, list(graces))
    made = draft_store.made_at(connection, [(one.place.tenant_id, one.place.invoice_id) for one in found])
    ripe: list[StoredInvoice] = []
    for one in found:
        if one.invoice.hold:
            continue
        # Whose rule is the longer one is waited for.
        hours = max(graces[id] for id in (one.place.tenant_id, one.place.seller_id) if id in graces)
        first = made.get((one.place.tenant_id, one.place.invoice_id)) or invoice_store.drafted_at(connection, one.place)
        if first + timedelta(hours=hours) <= now:
            ripe.append(one)
    return ripe
