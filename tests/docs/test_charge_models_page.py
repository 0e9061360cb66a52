"""The reference page of the charge models shows every model, in a form that is accepted, with the right numbers."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.charge_models import MeasuredUsage, model_problems
from app.domain.kept_models import keep_model
from app.domain.money import plain
from app.domain.plans import PlanCharge
from app.domain.rating.lines import RatingTerms
from app.domain.rating.pipeline import rate
from app.wire.charge_models import MODELS, model_from_wire
from app.wire.invoices import price_text
from app.wire.parsing import Fields

PAGE = Path(__file__).resolve().parents[2] / "docs" / "charge-models.md"
SECTION = re.compile(r"^## (\w+)\n.*?^```json\n(.*?)^```\n.*?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = {name: (json.loads(model), worked) for name, model, worked in SECTION.findall(PAGE.read_text())}


def d(text: str) -> Decimal:
    return Decimal(text)


def used(model: str) -> MeasuredUsage:
    """What the page says was used."""
    match model:
        case "percentage":
            return MeasuredUsage(d("2190"), 4, amounts=tuple((d(amount), 1) for amount in ("80", "10", "100", "2000")))
        case "matrix":
            cells = (("large", None, "1000"), ("large", "true", "4000"), ("small", None, "5000"))
            return MeasuredUsage(d("10000"), 3, cells=tuple(
                (json.dumps({"cached": cached, "model": name}), d(quantity)) for name, cached, quantity in cells
            ))  # fmt: skip
        case "time_of_use":
            return MeasuredUsage(d("100"), 3, slots=((0, d("10")), (1, d("60")), (2, d("30"))))
        case _:
            totals = {"flat": "1", "graduated_percentage": "1500", "dynamic": "200", "reservation": "112.5"}
            return MeasuredUsage(d(totals.get(model, "120")), 1)


def test_the_page_has_a_section_for_every_model():
    assert list(SECTIONS) == list(MODELS)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_model_is_shown_as_it_is_accepted_and_answered_and_its_example_is_right(name: str):
    stated, worked = SECTIONS[name]
    fields = Fields(stated)
    model = model_from_wire(fields)
    fields.finish()
    assert stated["type"] == name
    assert not list(model_problems(model))
    assert _without_defaults(keep_model(model)) == stated

    line = rate(RatingTerms(PlanCharge("c", model), "EUR", 1, 1), used(name))

    shown = [
        f"{item.description}: {plain(item.quantity)} × {price_text(item.unit_price)} = {item.amount}"
        for item in line.components
    ]
    assert shown == worked.splitlines()


def _without_defaults(kept: dict[str, Any]) -> dict[str, Any]:
    """A capacity's tiers are answered with the unit price of zero that they leave out."""
    if kept["type"] == "capacity":
        return kept | {"tiers": [{k: v for k, v in tier.items() if k != "unit_price"} for tier in kept["tiers"]]}
    return kept
