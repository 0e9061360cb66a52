"""What the documents that one transaction issues have in common: read once, however many they are.

A number is taken from a series that the transaction has locked. So the first document of a seller reads where its
series ends, and the others count on from there; each is written down with its document.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.webhooks import Listener
from app.storage import credit_store, invoice_store, payment_store, webhook_store
from app.storage.invoice_store import SeriesState


class Issuing:
    """Good for the transaction in which it was made, and all that is issued in that goes by it. `idle` are the tenants
    whose accounts were locked and had nothing open on them, neither credit nor money; `ordinals` are those of the last
    documents of tenants."""

    def __init__(self, idle: Collection[UUID] = (), ordinals: Mapping[UUID, int] | None = None) -> None:
        self._idle = set(idle)
        self._ordinals = dict(ordinals or {})
        self._series: dict[tuple[UUID, str], SeriesState] = {}
        self._stems: dict[tuple[UUID, str], int] = {}
        self._listeners: list[Listener] | None = None

    def is_idle(self, tenant_id: UUID) -> bool:
        """True where it is sure that no document of the tenant has credit or money to use."""
        return tenant_id in self._idle

    def disturb(self, tenant_id: UUID) -> None:
        """Something may come back to the tenant's account."""
        self._idle.discard(tenant_id)

    def next_ordinal(self, connection: Connection, tenant_id: UUID) -> int:
        """Above that of all that was issued to the tenant; its account is locked."""
        if tenant_id not in self._ordinals:
            self._ordinals |= invoice_store.last_ordinals(connection, [tenant_id])
        self._ordinals[tenant_id] += 1
        return self._ordinals[tenant_id]

    def listeners(self, connection: Connection) -> list[Listener]:
        """The endpoints of webhooks."""
        if self._listeners is None:
            self._listeners = webhook_store.listeners(connection)
        return self._listeners

    def end_of(self, connection: Connection, seller_id: UUID, series: str) -> SeriesState:
        """The end of the series, locked until the transaction ends."""
        if (seller_id, series) not in self._series:
            self._series[seller_id, series] = invoice_store.lock_series(connection, seller_id, series)
        return self._series[seller_id, series]

    def given(self, connection: Connection, seller_id: UUID, stem: str) -> int:
        """How many numbers of the stem were given; the seller's series are locked."""
        if (seller_id, stem) not in self._stems:
            self._stems[seller_id, stem] = invoice_store.stem_counter(connection, seller_id, stem)
        return self._stems[seller_id, stem]

    def moved(self, seller_id: UUID, series: str, stem: str, state: SeriesState) -> None:
        """The series and the stem were moved on to this state, in the database too."""
        self._series[seller_id, series] = state
        self._stems[seller_id, stem] = state.sequence

    def forget_numbers(self) -> None:
        """What was done since a savepoint is undone: numbers that were given may be free again, and locks gone."""
        self._series, self._stems = {}, {}


def issuing_for(connection: Connection, tenant_ids: Collection[UUID]) -> Issuing:
    """For documents of these tenants, whose accounts are locked."""
    wanted = sorted(tenant_ids)
    busy = credit_store.tenants_with_open(connection, wanted) | payment_store.tenants_with_open(connection, wanted)
    return Issuing(set(wanted) - busy, invoice_store.last_ordinals(connection, wanted))
