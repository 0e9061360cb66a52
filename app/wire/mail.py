"""Addresses of e-mail, and what became of each document that was sent: the shape of the HTTP contract."""

from __future__ import annotations

import json
import re
from typing import Any

from app.domain.ids import public_id
from app.storage.outbox_store import Delivery
from app.wire.parsing import Fields
from app.wire.webhooks import tries_to_wire

MAX_ADDRESSES = 20
MAX_ADDRESS_LENGTH = 254
# What HTML takes for a valid address, with a dot in the domain; quoted and non-ASCII local parts are left out.
MAIL_ADDRESS = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$"
)
_ADDRESS = re.compile(MAIL_ADDRESS, re.ASCII)


def addresses_from_fields(fields: Fields, name: str, *, required: bool = False) -> tuple[str, ...]:
    """Each address once, in the order in which they were sent."""
    items = fields.items(name, required=required)
    if len(items) > MAX_ADDRESSES:
        fields.problem(name, f"there are at most {MAX_ADDRESSES} addresses")
    for index, item in enumerate(items[:MAX_ADDRESSES]):
        if not (isinstance(item, str) and len(item) <= MAX_ADDRESS_LENGTH and _ADDRESS.fullmatch(item)):
            fields.problem(f"{name}/{index}", "must be an e-mail address, such as invoices@acme.example")
    return tuple(dict.fromkeys(item for item in items if isinstance(item, str)))


def recipients_from_wire(body: Any) -> tuple[str, ...]:
    """To whom a document is sent now; none where that is left to its buyer. Raises InvalidInput."""
    fields = Fields(body)
    found = addresses_from_fields(fields, "to")
    if fields.has("to") and not found:
        fields.problem("to", "must name an address at least")
    fields.finish()
    return found


def mail_to_wire(delivery: Delivery) -> dict[str, Any]:
    facts = json.loads(delivery.message.payload)["data"]
    return {
        "id": public_id("dlv", delivery.message.tenant_id, delivery.delivery_id), "invoice": facts["id"],
        "number": facts["number"], "recipient": delivery.receiver.recipient, **tries_to_wire(delivery),
    }  # fmt: skip
