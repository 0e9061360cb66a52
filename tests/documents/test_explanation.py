"""Explanations in words: both languages say the same things, and every stage and component has its words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import get_args, get_type_hints

import pytest

from app.documents.explanation import WORDS, Speech, price_statement, stage_statements
from app.documents.wording import TEXTS, Language
from app.domain.charge_models import (
    AmountsNeeded,
    Capacity,
    CellsNeeded,
    ChargeModel,
    Component,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixCell,
    MeasuredUsage,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Reservation,
    SlotsNeeded,
    Tier,
    TimeOfUse,
    TimeRate,
    Volume,
    need_of,
)
from app.domain.meters import Conversion, Rounding
from app.domain.plans import Discount, PlanCharge
from app.domain.rating.lines import RatingTerms
from app.domain.rating.pipeline import STAGE_NAMES, passage

TIERS = (Tier(Decimal(100), Decimal("0.30")), Tier(None, Decimal("0.25"), Decimal("2.00")))
MODELS: list[ChargeModel] = [
    Flat(Decimal("31.00")), PerUnit(Decimal("0.30")), Graduated(TIERS), Volume(TIERS),
    Package(Decimal(50), Decimal("5.00"), "up"), Package(Decimal(50), Decimal("5.00"), "down"),
    Percentage(Decimal("1.3"), Decimal("0.20")),
    Percentage(Decimal("1.3"), Decimal("0.20"), 1, Decimal(50), Decimal("0.25"), Decimal("2.00")),
    GraduatedPercentage((PercentageTier(Decimal(100), Decimal(2)), PercentageTier(None, Decimal(1), Decimal("2.00")))),
    Matrix((MatrixCell((("station", "12"),), Decimal("0.30")),)),
    Matrix((MatrixCell((("station", "12"),), Decimal("0.30")),), Decimal("0.40")),
    TimeOfUse((TimeRate(480, 1200, Decimal("0.50"), ("mon", "holiday"), (6, 7)),), Decimal("0.20")),
    Capacity(TIERS), Dynamic(Decimal("1.2")), Reservation(Decimal(100), Decimal("0.10"), Decimal("0.20")),
]  # fmt: skip


def measured_for(model: ChargeModel, quantity: Decimal) -> MeasuredUsage:
    """Two events of which the second one is a third of the first, in two cells and two rates."""
    first, second = quantity * 3 / 4, quantity / 4
    match need_of(model):
        case CellsNeeded():
            cells = (('{"station":"12"}', first), ('{"station":"13"}', second))
            return MeasuredUsage(quantity, 2, cells=cells)
        case SlotsNeeded():
            return MeasuredUsage(quantity, 2, slots=((0, second), (1, first)))
        case AmountsNeeded():
            return MeasuredUsage(quantity, 2, amounts=((first, 1), (second, 1)))
        case _:
            return MeasuredUsage(quantity, 2)


def speech(language: Language = "en", unit: str = "kWh") -> Speech:
    return Speech(language, "EUR", unit, "Wh", "day")


def test_both_languages_have_the_same_words_and_fill_in_the_same_facts() -> None:
    facts = {
        language: {name: sorted(re.findall(r"\{(\w+)\}", text)) for name, text in words.items()}
        for language, words in WORDS.items()
    }
    assert facts["en"] == facts["fr"]


def test_every_kind_of_component_has_its_words() -> None:
    kinds = get_args(get_type_hints(Component)["kind"])
    assert [kind for kind in kinds for texts in TEXTS.values() if kind not in texts] == []


def test_every_model_that_there_is_is_among_those_tried_here() -> None:
    assert {type(model) for model in MODELS} == set(get_args(ChargeModel))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_amount_that_rating_makes_is_told(model: ChargeModel, language: Language) -> None:
    """Whatever the stages do, their statements name every component's and every allowance's amount."""
    meter = None if isinstance(model, Flat) else "energy"
    charge = PlanCharge(
        "energy", model, meter, allowance=Decimal(10) if meter else None, discount=Discount(Decimal(10)),
        maximum=Decimal("30.00"), minimum=Decimal("12.00"),
    )  # fmt: skip
    measured = (Rounding("half_up", 0), Conversion("divide_by", Decimal(1000), "kWh")) if meter else ()
    terms = RatingTerms(charge, "EUR", 16, 31, *measured)
    for quantity in ("0", "5000", "15400", "130500", "2000000", "-4000"):
        usage = measured_for(model, Decimal(quantity) if meter else Decimal(1))
        passed = list(passage(terms, usage))
        said = speech(language)
        text = "\n".join(item.formula for one in passed for item in stage_statements(one, said))
        last = passed[-1].after
        for amount in (*(item.amount for item in last.components), *(item.amount for item in last.allowances)):
            assert said.money(abs(amount)) in text
        assert said.money(last.amount) in text
    assert price_statement(model, speech(language)).formula


def test_stages_that_leave_a_line_alone_say_nothing() -> None:
    terms = RatingTerms(PlanCharge("energy", PerUnit(Decimal("0.30")), "energy"), "EUR", 1, 1)
    said = {one.stage: len(stage_statements(one, speech())) for one in passage(terms, MeasuredUsage(Decimal(5)))}
    assert said == {name: int(name == "price_quantity") for name in STAGE_NAMES}


def test_a_conversion_is_told_in_both_units() -> None:
    charge = PlanCharge("energy", PerUnit(Decimal("0.30")), "energy")
    terms = RatingTerms(charge, "EUR", 1, 1, None, Conversion("divide_by", Decimal(1000), "kWh"))
    (said,) = stage_statements(next(iter(passage(terms, MeasuredUsage(Decimal(2500))))), speech())
    assert said.formula == "2,500 Wh ÷ 1,000 = 2.5 kWh"
