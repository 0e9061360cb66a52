"""Statuses received from a platform: the shape of the HTTP contract <-> domain values.

    {"code": "210", "at": "2026-12-03T09:00:00Z", "platform": "PA Exemple", "reason": "Wrong order number",
     "reason_code": "NON_CONFORME", "external_id": "flow-77"}

Only `code` is needed. Without `at` it is so from the moment at which it is told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain.events import instant_text
from app.domain.platform_statuses import NAMES, PlatformStatus
from app.wire.parsing import Fields

MAX_REASON = 2000


def status_from_wire(body: Any, *, now: datetime) -> PlatformStatus:
    """Raises InvalidInput with every fault. Its place in the log is not known yet: `sequence` is 0."""
    fields = Fields(body)
    code = fields.raw("code")
    fields.ignore("code")
    # Platforms send the code as a number or as text.
    text = str(code) if isinstance(code, int | str) and not isinstance(code, bool) else ""
    if text not in NAMES:
        fields.problem("code", f"must be one of {', '.join(NAMES)}")
    status = PlatformStatus(
        0, text, fields.optional_instant("at") or now, now, fields.optional_text("platform") or "",
        fields.optional_text("reason", max_length=MAX_REASON) or "", fields.optional_text("reason_code") or "",
        fields.optional_text("external_id") or "",
    )  # fmt: skip
    fields.finish()
    return status


def status_to_wire(status: PlatformStatus) -> dict[str, Any]:
    return {
        "sequence": status.sequence, "code": status.code, "name": status.name, "at": instant_text(status.at),
        "received_at": instant_text(status.received_at), "platform": status.platform or None,
        "reason": status.reason or None, "reason_code": status.reason_code or None,
        "external_id": status.external_id or None,
    }  # fmt: skip
