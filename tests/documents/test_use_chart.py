from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from app.documents.use_chart import use_charts
from app.domain.invoices import Invoice, InvoiceLine
from tests.documents.e_invoices import D

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]


def traced(days: dict[str, str], *, meter: str = "energy", **more: Any) -> dict[str, Any]:
    return {
        "meter": {"key": meter, "unit": "kWh"}, "zone": "Europe/Paris",
        "stretch": ["2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"], "usage": {"days": days},
    } | more  # fmt: skip


def test_each_day_of_the_period_has_its_bar(make_invoice: MakeInvoice, make_line: MakeLine):
    """Of 10 kWh on the 2nd and 4 on the 30th the highest is the 2nd; the other is 0.4 of it, and 28 days are empty."""
    (chart,) = use_charts(make_invoice(make_line(trace=traced({"2026-11-02": "10", "2026-11-30": "4"}))))

    assert (chart.first, chart.last, len(chart.quantities)) == (date(2026, 11, 1), date(2026, 11, 30), 30)
    assert (chart.highest, chart.heights[1], chart.heights[29], sum(chart.heights)) == (
        D(10), D(1), D("0.4"), D("1.4"),
    )  # fmt: skip


def test_a_chart_is_in_the_unit_that_is_billed(make_invoice: MakeInvoice, make_line: MakeLine):
    trace = traced({"2026-11-02": "2048"}, convert={"divide_by": "1024", "unit": "KiB"})

    assert use_charts(make_invoice(make_line(trace=trace)))[0].highest == D(2)


def test_a_meter_is_drawn_once_and_the_largest_amounts_first(make_invoice: MakeInvoice, make_line: MakeLine):
    use = {"2026-11-02": "1"}
    lines = [
        make_line(id="1", amount=D(1), trace=traced(use, meter="a")),
        make_line(id="2", amount=D(5), trace=traced(use, meter="b")),
        make_line(id="3", amount=D(3), trace=traced(use, meter="b")),
        *(make_line(id=name, amount=D(2), trace=traced(use, meter=name)) for name in ("c", "d")),
    ]

    assert [chart.line.id for chart in use_charts(make_invoice(*lines))] == ["2", "c", "d"]


@pytest.mark.parametrize(
    ("trace", "kind"),
    [({}, "charge"), ({"meter": None, "usage": {"total": "1"}}, "charge"), (traced({}), "charge"),
     (traced({"2026-11-02": "0"}), "charge"), (traced({"2026-11-02": "1"}), "difference"),
     (traced({"2026-11-02": "1"}, stretch=["2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"]), "charge"),
     (traced({"2026-11-02": "1"}, stretch=["2026-11-02T00:00:00Z", "2026-11-02T05:00:00Z"]), "charge")],
)  # fmt: skip
def test_what_does_not_add_up_over_some_days_is_not_drawn(
    make_invoice: MakeInvoice, make_line: MakeLine, trace: dict[str, Any], kind: str
):
    assert use_charts(make_invoice(make_line(trace=trace, kind=kind))) == ()
