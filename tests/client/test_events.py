"""What an event becomes on its way, and what is no event: told at once, where it is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from quotepart.events import event_text

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def text(data: Any = None, **fields: Any) -> str:
    event: dict[str, Any] = {
        "id": "j-1",
        "source": "/laser",
        "type": "job.ended",
        "subject": "acme",
        "time": NOON,
        "resource": None,
    }
    return event_text(**(event | {"data": data or {}} | fields))


def test_an_event_is_one_line_of_json_without_what_is_absent():
    assert text({"hours": 2}) == (
        '{"specversion":"1.0","id":"j-1","source":"/laser","type":"job.ended","subject":"acme",'
        '"time":"2026-11-23T12:00:00Z","data":{"hours":2}}'
    )


@pytest.mark.parametrize(
    "number, said",
    [("2.50", "2.50"), ("1E+3", "1000"), ("0.000000000000000001", "0.000000000000000001"), ("-7", "-7")],
)
def test_a_decimal_is_text_with_all_its_digits(number, said):
    assert json.loads(text({"deep": [{"kwh": Decimal(number)}]}))["data"] == {"deep": [{"kwh": said}]}


def test_a_time_is_told_in_utc():
    paris = timezone(timedelta(hours=1))

    assert json.loads(text(time=NOON.astimezone(paris)))["time"] == "2026-11-23T12:00:00Z"


@pytest.mark.parametrize(
    "data, place",
    [
        ({"kwh": 0.1}, "data['kwh'] is a float"),
        ({"parts": ("1", {"kwh": 0.1})}, "data['parts'][1]['kwh'] is a float"),
        ({"at": NOON}, "data['at'] is a datetime"),
        ({1: "one"}, "data has the name 1"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_its_place(data, place):
    with pytest.raises(TypeError) as refused:
        text(data)

    assert str(refused.value).startswith(place)


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({"time": NOON.replace(tzinfo=None)}, "time has no zone"),
        ({"data": {"kwh": Decimal("NaN")}}, "data['kwh'] is NaN"),
        ({"source": ""}, "source is empty"),
        ({"type": None}, "type is empty"),
        ({"resource": ""}, "resource is empty"),
    ],
)
def test_what_the_service_would_refuse_for_its_form_is_refused_at_once(fields, fault):
    with pytest.raises(ValueError) as refused:
        text(**fields)

    assert str(refused.value).startswith(fault)


def test_an_id_is_text():
    with pytest.raises(TypeError, match="id is text, not int"):
        text(id=17)
