"""Alerts and what they noticed: the shape of the HTTP contract <-> domain values.

{"tenant": "acme", "measure": "quantity", "meter": "energy", "thresholds": ["80", "100"], "percent_of": "allowance",
 "recurring": true, "enabled": true}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain.alerts import BASES, MAX_THRESHOLDS, MEASURES, Alert, Crossing, alert_problems
from app.domain.events import instant_text
from app.domain.ids import public_id
from app.domain.kept_models import number_text
from app.domain.money import plain
from app.wire.invoices import period_to_wire
from app.wire.parsing import Fields, read_decimal


def alert_from_wire(key: str, body: Any, path: str = "#") -> Alert:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    alert = Alert(
        fields.own_key(key), fields.choice("measure", MEASURES), _thresholds(fields), fields.optional_key("tenant"),
        fields.optional_key("plan"), fields.optional_key("meter"), fields.optional_key("charge"),
        fields.choice("percent_of", BASES) if fields.has("percent_of") else None,
        fields.boolean("recurring", default=True), fields.boolean("enabled", default=True),
    )  # fmt: skip
    fields.ignore("percent_of")
    if fields.faultless:
        fields.problems(alert_problems(alert))
    fields.finish()
    return Alert(
        alert.key, alert.measure, tuple(sorted(alert.thresholds)), alert.tenant, alert.plan, alert.meter, alert.charge,
        alert.percent_of, alert.recurring, alert.enabled,
    )  # fmt: skip


def _thresholds(fields: Fields) -> tuple[Decimal, ...]:
    found: list[Decimal] = []
    for index, item in enumerate(fields.items("thresholds", required=True)[: MAX_THRESHOLDS + 1]):
        try:
            found.append(read_decimal(item))
        except ValueError:
            fields.problem(f"thresholds/{index}", 'must be a decimal number without exponent, such as "12.50"')
    return tuple(found)


def alert_to_wire(alert: Alert) -> dict[str, Any]:
    return {
        "key": alert.key, "tenant": alert.tenant, "plan": alert.plan, "measure": alert.measure, "meter": alert.meter,
        "charge": alert.charge, "thresholds": [number_text(item) for item in alert.thresholds],
        "percent_of": alert.percent_of, "recurring": alert.recurring, "enabled": alert.enabled,
    }  # fmt: skip


def crossing_to_wire(crossing: Crossing, tenant: str) -> dict[str, Any]:
    return {
        "id": public_id("ae", crossing.tenant_id, crossing.event_id), "alert": crossing.alert, "tenant": tenant,
        "subscription": crossing.subscription or None, "measure": crossing.measure, "meter": crossing.meter,
        "charge": crossing.charge, "threshold": plain(crossing.threshold), "percent_of": crossing.percent_of,
        "value": plain(crossing.figure), "base": None if crossing.base is None else plain(crossing.base),
        "unit": crossing.unit, "period": period_to_wire(crossing.period),
        "noticed_at": instant_text(crossing.noticed_at),
        "receded_at": None if crossing.receded_at is None else instant_text(crossing.receded_at),
    }  # fmt: skip
