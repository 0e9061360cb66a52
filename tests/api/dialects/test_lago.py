"""Lago's own client for Python, unchanged but for its address, and what it cannot send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import BatchEvent, Event

from tests.api.dialects.served import Served
from tests.service import ADMIN_KEY, ENERGY

TYPE = "charging.session.ended"
OCTOBER_5 = 1791194400  # 2026-10-05T10:00:00Z


def client_of(served: Served, key: str = ADMIN_KEY) -> Client:
    return Client(api_key=key, api_url=f"{served.url}/lago/")


def use(id: str, subscription: str = "acme-1", timestamp: Any = OCTOBER_5, **rest: Any) -> Event:
    properties = {"kwh": "7.25", "station": "12"} | rest.pop("properties", {})
    return Event(
        transaction_id=id, external_subscription_id=subscription, code=TYPE, timestamp=timestamp,
        properties=properties, **rest,
    )  # fmt: skip


def sent(id: str = "t-1", **fields: Any) -> dict[str, Any]:
    made = {"transaction_id": id, "external_subscription_id": "acme-1", "code": TYPE, "timestamp": OCTOBER_5,
            "properties": {"kwh": "7.25"}}  # fmt: skip
    return {name: value for name, value in (made | fields).items() if value is not ...}


def post(served: Served, body: Any, path: str = "/events", media_type: str = "application/json") -> Any:
    content = body if isinstance(body, str) else json.dumps(body)
    return served.api.call("POST", f"/lago/api/v1{path}", content=content, headers={"Content-Type": media_type})


def test_an_event_counts_once_for_the_tenant_of_its_subscription(served: Served) -> None:
    client = client_of(served)
    first = client.events.create(use("t-1", properties={"kwh": "0.10"}))
    again = client.events.create(use("t-1", properties={"kwh": "0.10"}))
    client.events.create(use("t-2", "birch-1"))

    assert first is not None and again is not None
    assert (first.transaction_id, first.external_subscription_id, first.code) == ("t-1", "acme-1", TYPE)
    assert (first.timestamp, first.created_at) == ("2026-10-05T10:00:00Z", "2026-11-23T12:00:00Z")
    assert first.properties == {"kwh": "0.10", "station": "12"}
    assert (again.lago_id, again.created_at) == (first.lago_id, None)
    assert served.api.usage("energy", tenant="acme") == {"": "0.1"}
    assert served.api.usage("energy", tenant="birch") == {"": "7.25"}


def test_a_batch_is_counted_and_may_be_sent_again(served: Served) -> None:
    batch = BatchEvent(events=[use(f"t-{number}", ("acme-1", "birch-1")[number % 2]) for number in range(5)])
    for _ in range(2):
        client_of(served).events.batch_create(batch)

    assert served.api.usage("energy", tenant="acme") == {"": "21.75"}
    assert served.api.usage("energy", tenant="birch") == {"": "14.5"}


def test_two_subscriptions_of_one_tenant_may_have_one_transaction_id(served: Served) -> None:
    """An id is one for each subscription, as the sender was promised."""
    client_of(served).events.batch_create(BatchEvent(events=[use("t-1", "acme-1"), use("t-1", "acme-2")]))

    rows = served.api.get("/v1/events", tenant="acme")["data"]
    assert [(row["source"], row["id"], row["subject"]) for row in rows] == [
        ("lago/acme-1", "t-1", "acme"), ("lago/acme-2", "t-1", "acme"),
    ]  # fmt: skip
    assert served.api.usage("energy", tenant="acme") == {"": "14.5"}


def test_a_time_is_exact_to_the_microsecond_however_it_is_written(served: Served) -> None:
    times = {
        "1791194400": "2026-10-05T10:00:00Z", '"1791194400"': "2026-10-05T10:00:00Z",
        "1791194400.123456": "2026-10-05T10:00:00.123456Z", '"1791194400.123456"': "2026-10-05T10:00:00.123456Z",
        "1791194400.999999999": "2026-10-05T10:00:00.999999Z", "1.7911944e9": "2026-10-05T10:00:00Z",
        "null": "2026-11-23T12:00:00Z",
    }  # fmt: skip
    for number, (written, instant) in enumerate(times.items()):
        text = json.dumps({"event": sent(f"t-{number}", timestamp="~")}).replace('"~"', written)
        answer = post(served, text)
        assert answer.json()["event"]["timestamp"] == instant, written
    assert post(served, {"event": sent("bare", timestamp=...)}).status_code == 200

    rows = {row["id"]: row for row in served.api.get("/v1/events")["data"]}
    assert [rows[f"t-{number}"].get("time") for number in range(6)] == list(times.values())[:6]
    assert "time" not in rows["t-6"] and "time" not in rows["bare"]


def test_an_unknown_subscription_is_set_aside_until_a_tenant_claims_it(served: Served) -> None:
    client_of(served).events.create(use("t-1", "sub-9"))
    assert [(row["reason"], row["subject"]) for row in served.quarantine()] == [("unknown_tenant", "sub-9")]

    acme = served.api.get("/v1/tenants/acme")
    served.api.put("/v1/tenants/acme", acme | {"subjects": [*acme["subjects"], "sub-9"]})

    assert served.quarantine() == []
    assert served.api.usage("energy", tenant="acme") == {"": "7.25"}


def test_a_precise_amount_is_a_property_that_a_meter_can_sum(served: Served) -> None:
    amount = ENERGY | {"property": "$.precise_total_amount_cents", "unit": "cent"}
    served.api.put("/v1/meters/amount", amount)
    kept = client_of(served).events.create(use("t-1", precise_total_amount_cents="1234.567890123456789"))

    assert kept is not None
    assert kept.precise_total_amount_cents == "1234.567890123456789"
    assert kept.properties == {"kwh": "7.25", "station": "12"}
    assert served.api.usage("amount") == {"": "1234.567890123456789"}


def test_a_fault_is_told_in_their_words_and_as_a_problem(served: Served) -> None:
    with pytest.raises(LagoApiError) as raised:
        client_of(served).events.create(use("t-1", timestamp="yesterday"))

    said = raised.value.response
    detail = "timestamp must be seconds since 1970, as a number or text, such as 1790000000.25"
    assert raised.value.status_code == said["status"] == 422
    assert (said["error"], said["code"]) == ("Unprocessable Entity", "validation_errors")
    assert said["error_details"] == {"timestamp": [detail]}
    assert (said["type"], said["errors"]) == (
        "/problems/events-not-kept", [{"pointer": "#/event/timestamp", "detail": detail}],
    )  # fmt: skip
    assert raised.value.headers["content-type"] == "application/problem+json"  # type: ignore[index]


def test_the_same_id_with_other_content_is_told_as_they_tell_it(served: Served) -> None:
    client = client_of(served)
    client.events.create(use("t-1"))

    with pytest.raises(LagoApiError) as raised:
        client.events.create(use("t-1", properties={"kwh": "8"}))

    assert raised.value.response["error_details"] == {"transaction_id": ["value_already_exist"]}
    assert served.api.usage("energy") == {"": "7.25"}


def test_a_batch_that_is_not_kept_whole_names_each_position_and_keeps_the_others(served: Served) -> None:
    batch = {"events": [sent("a"), sent("b", timestamp=-1), sent("c", code=...), sent("d"), sent("d", code="other")]}

    problem = post(served, batch, "/events/batch").json()

    assert problem["error_details"] == {
        "1": {"timestamp": ["time is before 1970"]}, "2": {"code": ["code is missing or empty"]},
        "4": {"transaction_id": ["value_already_exist"]},
    }  # fmt: skip
    assert [item["pointer"] for item in problem["errors"]] == [
        "#/events/1/timestamp", "#/events/2/code", "#/events/4/transaction_id",
    ]  # fmt: skip
    assert [problem[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected")] == [
        2, 0, 1, 0, 2,
    ]  # fmt: skip
    assert served.api.usage("sessions") == {"": "2"}


def test_every_fault_of_an_event_names_its_field(served: Served) -> None:
    faults: list[tuple[Any, str]] = [
        (sent(transaction_id=...), "transaction_id"), (sent(transaction_id=7), "transaction_id"),
        (sent(transaction_id="x" * 256), "transaction_id"),
        (sent(external_subscription_id=""), "external_subscription_id"),
        (sent(code="a\x00"), "code"), (sent(code="\ud800"), "code"), (sent(timestamp="2026-10-05"), "timestamp"),
        (sent(timestamp=True), "timestamp"), (sent(timestamp=1e15), "timestamp"), (sent(timestamp=-1e11), "timestamp"),
        (sent(timestamp=1900000000), "timestamp"), (sent(properties=[]), "properties"),
        (sent(properties={"a": "\x00"}), "properties"), (sent(external_customer_id="acme"), "external_customer_id"),
        (sent(precise_total_amount_cents="much"), "precise_total_amount_cents"),
        (sent(precise_total_amount_cents=1, properties={"precise_total_amount_cents": 2}), "properties"),
        ("t-1", "event"),
    ]  # fmt: skip
    for event, field in faults:
        answer = post(served, {"event": event})
        assert (answer.status_code, list(answer.json()["error_details"])) == (422, [field]), event
    assert served.api.get("/v1/events")["data"] == served.quarantine() == []


def test_a_body_that_cannot_be_read_is_a_problem_in_their_words(served: Served) -> None:
    many = {"events": [sent(str(number)) for number in range(10_001)]}
    for body, path, status in (
        ({"events": [sent()]}, "/events", 400), ({"event": sent()}, "/events/batch", 400), ([], "/events", 400),
        ({"events": {}}, "/events/batch", 400), ({"event": sent(), "more": 1}, "/events", 400),
        (many, "/events/batch", 413),
    ):  # fmt: skip
        answer = post(served, body, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status), path
        assert answer.json()["error"] in ("Bad Request", "Request Entity Too Large", "Content Too Large")
    assert post(served, "{}", media_type="text/plain").status_code == 415
    with pytest.raises(LagoApiError) as raised:
        client_of(served, "wrong").events.create(use("t-1"))
    assert (raised.value.status_code, raised.value.response["error"]) == (401, "Unauthorized")


def test_a_bound_key_is_told_the_same_of_anothers_subscription_and_of_none(served: Served) -> None:
    client = client_of(served, served.key("ingest", tenant="acme"))
    client.events.create(use("t-1"))
    said = []
    for subscription in ("birch-1", "nobodys"):
        with pytest.raises(LagoApiError) as raised:
            client.events.create(use("t-2", subscription))
        said.append(raised.value.response)

    assert said[0] == said[1]
    assert said[0]["error_details"] == {"external_subscription_id": ["this API key may post for its own tenant only"]}
    assert served.api.usage("sessions") == {"": "1"}
