"""Make or change a tax rate of the catalog. Issued documents keep the rate that they were issued with."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.tenants import NamedTaxRate
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.storage import catalog_store
from app.storage.database import Database
from app.wire.tax_rates import tax_rate_to_wire


def put_tax_rate(database: Database, wish: NamedTaxRate, *, if_match: str | None = None) -> Saved:
    """Raises PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_tax_rate(connection, wish, if_match=if_match))


def save_tax_rate(connection: Connection, wish: NamedTaxRate, *, if_match: str | None = None) -> Saved:
    before = catalog_store.find_tax_rate(connection, wish.key, lock=True)
    shown = None if before is None else tax_rate_to_wire(before)
    check_precondition(if_match, shown)
    if before == wish:
        assert shown is not None
        return Saved(shown, shown)
    catalog_store.save_tax_rate(connection, wish, is_new=before is None)
    return Saved(shown, tax_rate_to_wire(wish))
