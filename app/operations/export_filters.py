"""What all exports share: what somebody wishes, as a filter of what its caller may see; workbooks as chunks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.documents.tables import Sheet, write_xlsx
from app.domain.callers import Caller
from app.domain.errors import InvalidInput, NotFound
from app.domain.exports import Bound, ExportFilter, ExportWish
from app.domain.ids import NOBODY
from app.domain.periods import start_of_day
from app.domain.tenants import Tenant
from app.storage import tenant_store
from app.storage.database import Database
from app.wire.parsing import key_problem

_COPIED_BYTES = 64 * 1024


def export_filter(database: Database, wish: ExportWish, caller: Caller) -> ExportFilter:
    """The filter. Raises NotFound for a tenant that there is not, and InvalidInput where the end is not after the
    start. For a key that is bound to a tenant there is nothing of a tenant that has no business with it: it is not told
    whether there is such a tenant."""
    return database.read(lambda connection: _filter(connection, wish, caller))


def _filter(connection: Connection, wish: ExportWish, caller: Caller) -> ExportFilter:
    found = {
        key: _tenant(connection, key, caller) for key in (wish.seller, wish.buyer, wish.tenant) if key is not None
    }  # fmt: skip
    ids: dict[str, UUID] = {key: NOBODY if tenant is None else tenant.tenant_id for key, tenant in found.items()}
    seller = None if wish.seller is None else found[wish.seller]
    zone = _zone(connection, seller)
    issued_from, issued_to = _instant(wish.issued_from, zone), _instant(wish.issued_to, zone)
    if issued_from is not None and issued_to is not None and issued_to <= issued_from:
        raise InvalidInput.at("to", "to must lie after from")
    is_bound = caller.tenant_id is not None or caller.tenant_key is not None
    return ExportFilter(
        issued_from, issued_to, wish.period_start, wish.period_end, wish.type, wish.currency,
        None if wish.seller is None else ids[wish.seller], None if wish.buyer is None else ids[wish.buyer],
        None if wish.tenant is None else ids[wish.tenant], (caller.tenant_id or NOBODY) if is_bound else None,
    )  # fmt: skip


def _tenant(connection: Connection, key: str, caller: Caller) -> Tenant | None:
    tenant = tenant_store.find(connection, key) if key_problem(key) is None else None
    if tenant is None and caller.tenant_key is None:
        raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return tenant


def _zone(connection: Connection, seller: Tenant | None) -> ZoneInfo:
    """The seller's; where none is named, that of the operator, who sells."""
    chosen = seller or tenant_store.operator(connection)
    return ZoneInfo("UTC" if chosen is None else chosen.time_zone)


def _instant(bound: Bound | None, zone: ZoneInfo) -> datetime | None:
    return bound if bound is None or isinstance(bound, datetime) else start_of_day(bound, zone)


def xlsx_chunks(sheets: Iterable[Sheet]) -> Iterator[bytes]:
    """A workbook, written to a temporary file first: its table of contents comes last."""
    with tempfile.TemporaryFile() as file:
        write_xlsx(file, sheets)
        file.seek(0)
        while chunk := file.read(_COPIED_BYTES):
            yield chunk
