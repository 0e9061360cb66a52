"""Make or change a coupon of the catalog. Where it was applied it stays as it was then."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.coupons import Coupon
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.storage import coupon_store
from app.storage.database import Database
from app.wire.coupons import coupon_to_wire


def put_coupon(database: Database, wish: Coupon, *, if_match: str | None = None) -> Saved:
    """Raises PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_coupon(connection, wish, if_match=if_match))


def save_coupon(connection: Connection, wish: Coupon, *, if_match: str | None = None) -> Saved:
    before = coupon_store.find(connection, wish.key, lock=True)
    shown = None if before is None else coupon_to_wire(before)
    check_precondition(if_match, shown)
    after = coupon_to_wire(wish)
    if shown != after:
        coupon_store.save(connection, wish, is_new=before is None)
    return Saved(shown, after)
