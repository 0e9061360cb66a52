"""Bank statements and their entries as they are shown. They are the sellers': no key that is bound to a tenant sees
them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import NotFound
from app.domain.ids import parse_public_id
from app.storage import bank_store, tenant_store
from app.storage.bank_store import BankFilter, KeptEntry, KeptStatement
from app.storage.database import Database
from app.wire.bank import entry_to_wire, kept_statement_to_wire

Shown = dict[str, Any]


def list_entries(
    database: Database, wanted: BankFilter, *, after: tuple[date, UUID, UUID] | None, limit: int
) -> tuple[list[KeptEntry], list[Shown]]:
    """A page of entries, and the same as they are shown."""

    def work(connection: Connection) -> tuple[list[KeptEntry], list[Shown]]:
        found = bank_store.listing(connection, wanted, after=after, limit=limit)
        return found, _shown(connection, found)

    return database.read(work)


def show_entry(database: Database, public: str) -> Shown:
    """Raises NotFound."""

    def work(connection: Connection) -> Shown:
        key = parse_public_id("ben", public)
        found = None if key is None else bank_store.find(connection, *key)
        if found is None:
            raise NotFound("There is no such bank entry.", bank_entry_id=public)
        return _shown(connection, [found])[0]

    return database.read(work)


def list_statements(
    database: Database, *, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[list[KeptStatement], list[Shown]]:
    """A page of the files that were sent, and the same as they are shown."""

    def work(connection: Connection) -> tuple[list[KeptStatement], list[Shown]]:
        found = bank_store.statements(connection, after=after, limit=limit)
        keys = tenant_store.keys_of(connection, {one.seller_id for one in found})
        return found, [kept_statement_to_wire(one, keys[one.seller_id]) for one in found]

    return database.read(work)


def _shown(connection: Connection, entries: Sequence[KeptEntry]) -> list[Shown]:
    ids = {id for one in entries for id in (one.seller_id, one.payer_id) if id is not None}
    keys = tenant_store.keys_of(connection, ids)
    return [entry_to_wire(one, keys) for one in entries]
