"""A balance -> the shape of the HTTP contract.

{"tenant": "acme", "meter": "energy", "unit": "kWh", "has_access": true, "reason": null, "used": "120",
 "allowance": "100", "allowance_left": "0", "limit": "500", "limit_left": "380",
 "prepaid_left": {"units": "0", "amount": "25.00", "currency": "EUR"},
 "period": {"start": "..", "end": ".."}, "resets_at": "..", "charges": [..]}
"""

from __future__ import annotations

from typing import Any

from app.domain.entitlement import Balance, ChargeBalance, Prepaid
from app.domain.events import instant_text
from app.domain.meters import Meter
from app.domain.money import ZERO, amount_text, plain
from app.domain.tenants import Tenant
from app.wire.invoices import period_to_wire


def balance_to_wire(tenant: Tenant, meter: Meter, balance: Balance, prepaid: Prepaid) -> dict[str, Any]:
    money = amount_text(prepaid.amount or ZERO, tenant.currency)
    return {
        "tenant": tenant.key, "meter": meter.key, "unit": meter.billed_unit, "has_access": balance.refusal is None,
        "reason": balance.refusal, "used": plain(balance.used), **_left(balance),
        "period": period_to_wire(balance.period), "resets_at": instant_text(balance.period.end),
        "prepaid_left": {"units": plain(prepaid.units or ZERO), "amount": money, "currency": tenant.currency},
        "charges": [
            {"subscription": item.subscription, "charge": item.charge, "stretch": period_to_wire(item.stretch),
             "used": plain(item.used_in_stretch), **_left(item)}
            for item in balance.charges
        ],
    }  # fmt: skip


def _left(item: Balance | ChargeBalance) -> dict[str, Any]:
    return {
        "allowance": plain(item.allowance), "allowance_left": plain(item.allowance_left),
        "limit": None if item.limit is None else plain(item.limit),
        "limit_left": None if item.limit_left is None else plain(item.limit_left),
    }  # fmt: skip
