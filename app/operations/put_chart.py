"""The chart of accounts: put as a whole, shown with its defaults."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.accounting import DEFAULT_CHART, ChartOfAccounts
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.storage import accounting_store
from app.storage.database import Database
from app.wire.accounting import chart_from_wire, chart_to_wire


def put_chart(database: Database, wish: ChartOfAccounts, *, if_match: str | None = None) -> Saved:
    """Raises PreconditionFailed; then nothing has changed."""

    def work(connection: Connection) -> Saved:
        before = accounting_store.find_chart(connection, lock=True)
        shown = chart_to_wire(DEFAULT_CHART) if before is None else before
        check_precondition(if_match, shown)
        after = chart_to_wire(wish)
        if shown != after:
            accounting_store.save_chart(connection, after, is_new=before is None)
        return Saved(shown, after)

    return write_catalog(database, work)


def find_chart(database: Database) -> ChartOfAccounts:
    """The chart that was put, else the default one."""
    kept = database.read(accounting_store.find_chart)
    return DEFAULT_CHART if kept is None else chart_from_wire(kept)
