"""Keep what a platform says of an issued document, and list it."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.errors import Conflict
from app.domain.platform_statuses import PlatformStatus
from app.storage import status_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice


def record_status(database: Database, stored: StoredInvoice, status: PlatformStatus) -> tuple[PlatformStatus, bool]:
    """The status as it is kept, and whether it is new: a message of a platform that names itself is kept once.

    Raises Conflict for a draft, and where the same message said something else before.
    """
    if stored.invoice.status != "issued":
        raise Conflict("A draft was handed to no platform; statuses are those of issued documents.")

    def work(connection: Connection) -> tuple[PlatformStatus, bool]:
        status_store.lock_document(connection, stored.place)
        if status.external_id:
            before = status_store.find_message(
                connection, stored.place, platform=status.platform, external_id=status.external_id
            )
            if before is not None:
                return _again(before, status), False
        return status_store.add(connection, stored.place, status), True

    return database.write(work)


def _again(before: PlatformStatus, status: PlatformStatus) -> PlatformStatus:
    # Without `at` the second telling has the instant of its own arrival.
    told_now = status.at == status.received_at
    same = before.code == status.code if told_now else before.says_the_same_as(status)
    if not same:
        raise Conflict(
            "The platform said something else in this message before.", external_id=status.external_id,
            code=before.code,
        )  # fmt: skip
    return before


def list_statuses(database: Database, stored: StoredInvoice, *, after: int, limit: int) -> list[PlatformStatus]:
    return database.read(lambda connection: status_store.listing(connection, stored.place, after=after, limit=limit))
