"""Make or change an exchange rate of the catalog. Issued documents keep the rate that they were issued with."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.errors import InvalidInput
from app.domain.tax import ExchangeRate
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.storage import catalog_store
from app.storage.database import Database
from app.wire.exchange_rates import exchange_rate_to_wire


def put_exchange_rate(database: Database, wish: ExchangeRate, *, if_match: str | None = None) -> Saved:
    """Raises InvalidInput or PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_exchange_rate(connection, wish, if_match=if_match))


def save_exchange_rate(connection: Connection, wish: ExchangeRate, *, if_match: str | None = None) -> Saved:
    before = catalog_store.find_exchange_rate(connection, wish.key)
    shown = None if before is None else exchange_rate_to_wire(before)
    check_precondition(if_match, shown)
    other = catalog_store.exchange_rate_of(
        connection, wish.from_currency, wish.to_currency, wish.date, exactly=True
    )  # fmt: skip
    if other is not None and other.key != wish.key:
        raise InvalidInput.at("#/date", f"{other.key!r} is the rate of these currencies on that day")
    if before != wish:
        catalog_store.save_exchange_rate(connection, wish, is_new=before is None)
    return Saved(shown, exchange_rate_to_wire(wish))
