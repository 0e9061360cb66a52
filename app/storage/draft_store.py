"""What people did to drafts: their edits, and the content that was approved. It outlives the draft's recomputation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.drafts import NO_EDITS, Edits, keep_edits, read_edits
from app.storage.tables import draft_edits
from app.storage.upserts import insert_missing


@dataclass(frozen=True, slots=True)
class DraftWork:
    """The edits of a draft, and the SHA-256 of the content that was approved ('' where none was)."""

    edits: Edits = NO_EDITS
    approved: str = ""


UNTOUCHED = DraftWork()


def find(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> DraftWork:
    return find_many(connection, [(tenant_id, invoice_id)]).get((tenant_id, invoice_id), UNTOUCHED)


def find_many(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], DraftWork]:
    """By (tenant, document), of those that somebody has touched."""
    found: dict[tuple[UUID, UUID], DraftWork] = {}
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        query = sa.select(draft_edits).where(
            draft_edits.c.tenant_id.in_(sorted({key[0] for key in chunk})),
            draft_edits.c.invoice_id.in_(sorted({key[1] for key in chunk})),
        )
        for row in connection.execute(query):
            found[row.tenant_id, row.invoice_id] = DraftWork(read_edits(row.edits), row.approved)
    return found


def made_at(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], datetime]:
    """When each of the drafts (tenant, document) was first made, of those of which that was noted."""
    query = sa.select(draft_edits.c.tenant_id, draft_edits.c.invoice_id, draft_edits.c.made_at).where(
        draft_edits.c.tenant_id.in_(sorted({key[0] for key in keys})), draft_edits.c.made_at.is_not(None)
    )
    wanted = set(keys)
    found = {(row.tenant_id, row.invoice_id): row.made_at for row in connection.execute(query)}
    return {key: at for key, at in found.items() if key in wanted}


def note_made(connection: Connection, tenant_id: UUID, invoice_id: UUID, now: datetime) -> None:
    """Notes that the draft was made, unless that was noted before."""
    own = (draft_edits.c.tenant_id == tenant_id, draft_edits.c.invoice_id == invoice_id)
    _put(connection, tenant_id, invoice_id)
    connection.execute(draft_edits.update().where(*own, draft_edits.c.made_at.is_(None)).values(made_at=now))


def save_edits(connection: Connection, tenant_id: UUID, invoice_id: UUID, edits: Edits) -> None:
    _put(connection, tenant_id, invoice_id, edits=keep_edits(edits))


def save_approval(connection: Connection, tenant_id: UUID, invoice_id: UUID, content: str, now: datetime) -> None:
    """Notes that the content of this SHA-256 was approved."""
    _put(connection, tenant_id, invoice_id, approved=content, approved_at=now)


def _put(connection: Connection, tenant_id: UUID, invoice_id: UUID, **values: object) -> None:
    own = (draft_edits.c.tenant_id == tenant_id, draft_edits.c.invoice_id == invoice_id)
    first = {
        "tenant_id": tenant_id, "invoice_id": invoice_id, "edits": keep_edits(NO_EDITS), "approved": "",
        "approved_at": None, "made_at": None,
    }  # fmt: skip
    insert_missing(connection, draft_edits, [first])
    if values:
        connection.execute(draft_edits.update().where(*own).values(**values))


def forget(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> None:
    """Takes away what was done to a draft that is discarded."""
    connection.execute(
        draft_edits.delete().where(draft_edits.c.tenant_id == tenant_id, draft_edits.c.invoice_id == invoice_id)
    )
