"""What of an issued document does not follow from what it recorded: shared by the audit and by offline checks."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.invoices import Invoice, InvoiceLine, totals
from app.domain.money import ZERO, plain
from app.domain.tax import TaxGroup
from app.operations.rate_period import rate_trace, rated_to_trace

Finding = tuple[str, str, str]
"""(what, expected, found)"""


def line_findings(invoice: Invoice, line: InvoiceLine) -> Iterator[Finding]:
    """The line's sum, and its rating computed anew from its trace."""
    parts = sum((item.amount for item in line.components), ZERO) - sum((item.amount for item in line.allowances), ZERO)
    if parts != line.amount:
        yield "sum of components", plain(parts), plain(line.amount)
    if not line.is_rated:
        return
    rated = rated_to_trace(rate_trace(line.trace))
    if rated != line.trace["rated"]:
        yield "rating of its trace", str(rated), str(line.trace["rated"])
    charged = line.amount + line.waived
    sign = -1 if invoice.type == "credit_note" else 1
    if line.kind == "charge" and plain(sign * charged) != rated["amount"]:
        yield "amount", rated["amount"], plain(charged)


def total_findings(invoice: Invoice, credited: tuple[TaxGroup, ...] = ()) -> Iterator[Finding]:
    """Net, VAT and total; of a credit note by what earlier notes on its invoice took back."""
    net, groups, total = totals(invoice.lines, invoice.currency, allowances=invoice.allowances, credited=credited)
    for name, wanted, found in (("net", net, invoice.net), ("total", total, invoice.total)):
        if wanted != found:
            yield name, plain(wanted), plain(found)
    if groups != invoice.tax:
        yield "tax", str(groups), str(invoice.tax)
