"""Documents as a caller may see them."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.ids import parse_public_id
from app.domain.periods import start_of_day
from app.storage import invoice_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import InvoiceFilter, StoredInvoice


def find_invoice(database: Database, public: str, caller: Caller) -> StoredInvoice:
    """Raises NotFound for an unknown id, and just so for a document of other parties than a bound key's tenant."""
    found = database.read(lambda connection: _find(connection, public))
    if found is None or not _may_see(found, caller):
        raise NotFound("There is no such invoice.", invoice_id=public)
    return found


def _find(connection: Connection, public: str) -> StoredInvoice | None:
    key = parse_public_id("inv", public)
    return None if key is None else invoice_store.find(connection, *key)


def _may_see(stored: StoredInvoice, caller: Caller) -> bool:
    return (caller.tenant_id is None and caller.tenant_key is None) or caller.tenant_id in (
        stored.place.tenant_id, stored.place.seller_id,
    )  # fmt: skip


def list_invoices(
    database: Database, wanted: InvoiceFilter, *, after: tuple[UUID, UUID] | None, limit: int
) -> list[StoredInvoice]:
    return database.read(lambda connection: invoice_store.listing(connection, wanted, after=after, limit=limit))


def midnights(database: Database, day: date) -> frozenset[datetime]:
    """When the day begins, in the time zone of each tenant."""
    zones = {tenant.time_zone for tenant in database.read(tenant_store.all_tenants)}
    return frozenset(start_of_day(day, ZoneInfo(zone)) for zone in zones)
