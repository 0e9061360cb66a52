"""Lines that were issued before use was priced in parts are rated from their traces as they were then."""

from __future__ import annotations

from typing import Any

from app.operations.rate_period import rate_trace, rated_to_trace, result_of

# As a line kept it then: no parts of its use, components of five fields, neither trial nor conversion.
TRACE: dict[str, Any] = {
    "plan": "standard", "version": 1,
    "terms": {
        "currency": "EUR", "interval": "month", "anchor": "calendar",
        "charges": [
            {"key": "energy", "meter": "energy", "allowance": "10", "timing": "arrears", "model": {
                "type": "graduated",
                "tiers": [{"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.25", "flat": "2"}],
            }},
        ],
        "proration": "day",
    },
    "stretch": ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"], "full_dates": ["2026-10-01", "2026-11-01"],
    "known_dates": {}, "zone": "Europe/Paris", "used": 31, "full": 31,
    "meter": {"key": "energy", "meter_id": "0193", "unit": "kWh"}, "rounding": None,
    "usage": {"total": "130", "count": 2, "identity_sum": 77, "hours": [[130, 1], [742, 1]]},
    "rated": {
        "quantity": "130",
        "components": [
            ["tier", 1, "100", "0.3", "30"], ["tier", 2, "20", "0.25", "5"], ["tier_flat", 2, "1", "2", "2"],
        ],
        "allowances": [], "amount": "37",
    },
}  # fmt: skip


def test_a_trace_of_then_gives_the_result_of_then() -> None:
    """130, 10 of them free: 100 x 0.30 + 20 x 0.25 + 2.00 = 37.00."""
    assert rated_to_trace(rate_trace(TRACE)) == TRACE["rated"]
    assert [item.label for item in result_of(TRACE).components] == ["", "", ""]
