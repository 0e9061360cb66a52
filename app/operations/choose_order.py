"""Which purchase order of the buyer does a document name, and is there enough left of it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from sqlalchemy.engine import Connection

from app.domain.errors import PurchaseOrderNotUsable, PurchaseOrderRequired
from app.domain.invoices import Invoice
from app.domain.money import amount_text
from app.domain.parties import PurchaseOrder
from app.domain.tenants import Tenant
from app.storage import invoice_store
from app.storage.invoice_store import StoredInvoice


def with_purchase_order(connection: Connection, draft: StoredInvoice, buyer: Tenant, *, day: date) -> Invoice:
    """The invoice with the order that it is issued under on the day: the one that it names, else the buyer's first that
    is good for it. What issues to the buyer at the same time waits: the caller holds the seller's series.

    Raises PurchaseOrderRequired where there is none and the buyer wants one, PurchaseOrderNotUsable where the one named
    is out of date or used up. A credit note names the order of its invoice.
    """
    invoice = draft.invoice
    if invoice.type == "credit_note":
        return _like_original(connection, draft)
    orders = buyer.buying.purchase_orders
    if invoice.purchase_order:
        for order in orders:
            if order.number == invoice.purchase_order:
                _check_usable(connection, draft, order, day)
        return invoice
    found = _first_good(connection, draft, orders, day)
    if found is None and buyer.buying.purchase_order_required:
        raise PurchaseOrderRequired(
            f"Tenant {buyer.key!r} takes no invoice without a purchase order, and none of its orders is good for "
            f"{amount_text(invoice.net, invoice.currency)} {invoice.currency} on {day}.",
            tenant=buyer.key,
        )  # fmt: skip
    return invoice if found is None else replace(invoice, purchase_order=found.number)


def _used(connection: Connection, draft: StoredInvoice, order: PurchaseOrder) -> Decimal:
    return invoice_store.net_under_order(connection, draft.place.tenant_id, order.number)


def _like_original(connection: Connection, draft: StoredInvoice) -> Invoice:
    place = draft.place
    if place.credits_id is None:
        return draft.invoice
    original = invoice_store.find(connection, place.tenant_id, place.credits_id)
    assert original is not None
    return replace(draft.invoice, purchase_order=original.invoice.purchase_order)


def _check_usable(connection: Connection, draft: StoredInvoice, order: PurchaseOrder, day: date) -> None:
    net, currency = draft.invoice.net, draft.invoice.currency
    if not order.covers(day):
        raise PurchaseOrderNotUsable(
            f"The purchase order {order.number!r} is not good on {day}.", purchase_order=order.number
        )
    used = _used(connection, draft, order)
    if order.cap is not None and used + net > order.cap:
        left = amount_text(order.cap - used, currency)
        raise PurchaseOrderNotUsable(
            f"Of the purchase order {order.number!r} {left} {currency} are left, and the document is about "
            f"{amount_text(net, currency)}.",
            purchase_order=order.number, left=left,
        )  # fmt: skip


def _first_good(
    connection: Connection, draft: StoredInvoice, orders: Sequence[PurchaseOrder], day: date
) -> PurchaseOrder | None:
    """The order that ends first of those that cover the day and have enough left."""
    for order in sorted((one for one in orders if one.covers(day)), key=lambda one: one.valid_to or date.max):
        if order.cap is None or _used(connection, draft, order) + draft.invoice.net <= order.cap:
            return order
    return None
