"""What is wrong with an edit of a draft is said, whatever else of it can be read."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from app.domain.errors import InvalidInput
from app.wire.drafts import patch_from_wire


@pytest.mark.parametrize(
    ("start", "end"), [("2000-01-01", "2000-01-01"), ("2000-01-02", "2000-01-01"), ("2000-01-01", "x"), ("x", None)]
)
def test_a_line_whose_period_does_not_end_after_its_start_is_refused(start: str, end: str | None) -> None:
    line = {"description": "Setup", "unit_price": "10.00", "period": {"start": start, "end": end}}

    with pytest.raises(InvalidInput) as raised:
        patch_from_wire({"lines": [line]}, ZoneInfo("Europe/Paris"))

    assert all(problem.pointer.startswith("#/lines/0/period/") for problem in raised.value.problems)
