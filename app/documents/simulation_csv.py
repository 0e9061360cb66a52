"""What does a simulation look like as a table?

One row for each tenant and charge; amounts are net of tax, in the simulation's currency. A charge that one of the plans
does not have has no amount there, and adds nothing: the column `difference` adds up to the simulation's difference.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from app.documents.csv_cells import safe_text
from app.domain.money import amount_text, plain
from app.domain.simulations import ChargeAmount, TenantChange

COLUMNS = (
    "tenant", "charge", "description", "unit", "old_quantity", "old_amount", "new_quantity", "new_amount",
    "difference", "currency",
)  # fmt: skip


def render_simulation_csv(changes: Iterable[TenantChange], currency: str) -> bytes:
    """RFC 4180 with a header row, in UTF-8. Texts that look like a formula begin with `'`."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for change in changes:
        for item in change.charges:
            shown = item.new or item.old
            assert shown is not None
            writer.writerow((
                safe_text(change.tenant), safe_text(item.charge), safe_text(shown.description), safe_text(shown.unit),
                *_side(item.old, currency), *_side(item.new, currency), amount_text(item.difference, currency),
                currency,
            ))  # fmt: skip
    return output.getvalue().encode("utf-8", errors="replace")


def _side(item: ChargeAmount | None, currency: str) -> tuple[str, str]:
    return ("", "") if item is None else (plain(item.quantity), amount_text(item.amount, currency))
