"""OpenMeter's own client for Python, unchanged but for its address, and what it cannot ask."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from corehttp.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from openmeter import Client
from openmeter.aio import Client as AsyncClient
from openmeter.models import Event, MeterQueryRequest

from tests.api.dialects.served import Served
from tests.service import ADMIN_KEY, ENERGY, event

# Around 25 October 2026, when Paris has an hour twice: 02:00 to 03:00 local is 00:00 to 02:00 in UTC.
USE = [
    ("a", "2026-09-30T22:10:00Z", "acme", "12", "0.1"),
    ("b", "2026-10-24T22:00:00Z", "user-17", "12", "0.2"),
    ("c", "2026-10-25T00:30:20.5Z", "user-17", "13", "12345678901234567890.123456789012345678"),
    ("d", "2026-10-25T01:30:40Z", "acme", "13", "7.25"),
    ("e", "2026-10-25T22:59:59.999999Z", "user-18", "12", "3"),
    ("f", "2026-10-25T23:00:00Z", "birch", "14", "0.30"),
]
START, END = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
OURS = {"start": "2026-09-01T00:00:00Z", "end": "2026-11-01T00:00:00Z", "meter": "energy"}


def events() -> list[Any]:
    return [
        event(id, time=time, subject=subject, data={"kwh": kwh, "station": station})
        for id, time, subject, station, kwh in USE
    ]


def sent(fields: Any) -> Event:
    return Event(fields)


def client_of(served: Served, key: str = ADMIN_KEY) -> Any:
    """Their client. What its methods answer depends on `cls`, which its types do not say."""
    return Client(endpoint=f"{served.url}/openmeter", token=key, retry_total=0)


def stock(served: Served) -> Any:
    client = client_of(served)
    client.events.ingest_events([sent(fields) for fields in events()])
    return client


def call(served: Served, method: str, path: str, **rest: Any) -> Any:
    return served.api.call(method, f"/openmeter/api/v1{path}", **rest)


def exact(text: str) -> list[tuple[Any, ...]]:
    """The rows of an answer with their values digit by digit."""
    rows = json.loads(text, parse_float=Decimal, parse_int=Decimal)["data"]
    return [(row["windowStart"], row["windowEnd"], row["value"], row["subject"], row["groupBy"]) for row in rows]


def ours(served: Served, **query: str) -> list[tuple[Any, ...]]:
    """The same from our own interface."""
    rows = served.api.get("/v1/usage", **(OURS | query))["data"]
    return [
        (
            row["start"], row["end"], Decimal(row["quantity"]), row["group"].get("subject"),
            {name: value for name, value in row["group"].items() if name not in ("subject", "tenant")},
        )
        for row in rows
    ]  # fmt: skip


def text_of(response: Any, _result: Any, _headers: Any) -> str:
    return str(response.http_response.text())


# --- events ----------------------------------------------------------------------------------------------------------


def test_each_way_to_send_events_counts_each_once(served: Served) -> None:
    client, (first, second, *others) = client_of(served), map(sent, events())
    for _ in range(2):
        client.events.ingest_event(first)
        client.events.ingest_events_json(second)
        client.events.ingest_events(others)
        client.events.ingest_events_json([first, *others])

    assert served.api.usage("sessions") == {"": "6"}
    assert served.api.usage("energy", tenant="acme") == {"": "12345678901234567897.673456789012345678"}


def test_the_asynchronous_client_is_answered_alike(served: Served) -> None:
    async def work() -> tuple[str, list[Any], str]:
        async with AsyncClient(endpoint=f"{served.url}/openmeter", token=ADMIN_KEY) as client:
            first, *others = map(sent, events())
            await client.events.ingest_event(first)
            await client.events.ingest_events(others)
            result: Any = await client.meters.query_json(
                "energy", from_parameter=START, to=END, window_size="DAY", window_time_zone="Europe/Paris",
                subject=["acme", "user-17"], filter_group_by={"station": "13"}, cls=text_of,
            )  # fmt: skip
            table = str(await client.meters.query_csv("energy", from_parameter=START, to=END))
            return result, await client.events.list(from_parameter=START), table

    result, listed, table = asyncio.run(work())

    at = {"start": "2026-10-25T00:00:00+02:00", "end": "2026-10-26T00:00:00+01:00"}
    rows = ours(served, **at, window="day", time_zone="Europe/Paris", group_by="subject,station")
    assert exact(result) == [(*row[:4], {}) for row in rows if row[4] == {"station": "13"}]
    assert [row[3] for row in exact(result)] == ["acme", "user-17"]
    assert [item.event.id for item in listed] == ["f", "e", "d", "c", "b", "a"]
    assert table.splitlines()[1].endswith(",,12345678901234567900.973456789012345678")


def test_a_media_type_may_have_parameters(served: Served) -> None:
    body = json.dumps(event("a", datacontenttype="application/json", dataschema=None))
    for kind in ("application/cloudevents+json", "application/json"):
        for parameter in ("", "; charset=utf-8", ";charset=UTF-8"):
            answer = call(served, "POST", "/events", content=body, headers={"Content-Type": kind + parameter})
            assert (answer.status_code, answer.content) == (204, b""), kind + parameter

    assert served.api.usage("energy") == {"": "7.25"}


def test_time_and_data_may_be_null_or_absent(served: Served) -> None:
    bare = {"specversion": "1.0", "id": "a", "source": "/x", "type": "charging.session.ended", "subject": "acme"}

    assert (
        call(served, "POST", "/events", body=[bare | {"time": None, "data": None}, bare | {"id": "b"}]).content == b""
    )

    assert [row["reason"] for row in served.quarantine()] == ["unmeasurable", "unmeasurable"]


def test_a_batch_that_is_not_kept_whole_names_each_position_and_what_was_kept(served: Served) -> None:
    first, second, third, *_ = events()
    call(served, "POST", "/events", body=first)
    other = first | {"data": {"kwh": "9"}}
    wrong = third | {"time": "yesterday"}

    answer = call(served, "POST", "/events", body=[other, second, wrong, first, third | {"subject": "nobody"}])

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (400, "/problems/events-not-kept")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["pointer"] for item in problem["errors"]] == ["#/0", "#/2/time"]
    assert "2 of 5 events not kept" in problem["detail"]
    assert [problem[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected")] == [1] * 5
    assert [(item["index"], item["status"]) for item in problem["exceptions"]] == [
        (0, "conflict"), (2, "rejected"), (3, "duplicate"), (4, "quarantined"),
    ]  # fmt: skip
    assert served.api.usage("energy") == {"": "0.3"}


def test_their_client_raises_what_was_wrong_with_a_single_event(served: Served) -> None:
    with pytest.raises(HttpResponseError) as raised:
        client_of(served).events.ingest_event(sent(event("a", time="2030-01-01T00:00:00Z")))

    assert raised.value.status_code == 400
    problem = json.loads(raised.value.response.text())  # type: ignore[union-attr]
    assert problem["errors"] == [{"pointer": "#/time", "detail": "time lies too far in the future"}]
    assert "The others" not in problem["detail"]


def test_what_nobody_can_be_billed_for_is_kept_and_listed_with_its_reason(served: Served) -> None:
    client = client_of(served)
    client.events.ingest_event(sent(event("a", subject="nobody")))

    (listed,) = client.events.list(from_parameter=START)

    assert listed.validation_error == "no tenant claims the subject 'nobody'"
    assert (listed.customer_id, listed.event.subject) == (None, "nobody")
    assert [row["reason"] for row in served.quarantine()] == ["unknown_tenant"]


def test_a_body_that_cannot_be_read_is_a_problem(served: Served) -> None:
    for body, kind, status in (
        ("{}", "application/x-ndjson", 415), ("{}", "text/plain", 415), ("[", "application/json", 400),
        ("[]", "application/cloudevents+json", 400),
    ):  # fmt: skip
        answer = call(served, "POST", "/events", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["status"]) == (status, status), (body, kind)


# --- the list --------------------------------------------------------------------------------------------------------


def ids(listed: Any) -> str:
    return "".join(item["event"]["id"] for item in listed.json())


def test_events_are_listed_by_what_is_asked(served: Served) -> None:
    stock(served)
    served.api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "b"})
    since = "from=2026-09-01T00:00:00Z"

    assert ids(call(served, "GET", "/events")) == ""  # of the last 72 hours
    assert ids(call(served, "GET", f"/events?{since}&limit=2")) == "fe"
    assert ids(call(served, "GET", f"/events?{since}&to=2026-10-25T01:30:40Z")) == "cba"
    assert ids(call(served, "GET", f"/events?{since}&id=c")) == "c"
    assert (
        ids(call(served, "GET", f"/events?{since}&id=C")) == ids(call(served, "GET", f"/events?{since}&id=%25")) == ""
    )
    assert ids(call(served, "GET", f"/events?{since}&subject=user")) == "ecb"
    assert ids(call(served, "GET", f"/events?{since}&customerId=birch")) == "fe"
    assert ids(call(served, "GET", f"/events?{since}&customerId=birch&customerId=acme")) == "fedcba"
    assert ids(call(served, "GET", f"/events?{since}&ingestedAtFrom=2026-11-24T00:00:00Z")) == ""
    assert ids(call(served, "GET", f"/events?{since}&ingestedAtTo=2026-11-24T00:00:00Z")) == "fedcba"
    assert call(served, "GET", "/events?customerId=nobody").status_code == 404
    cancelled = call(served, "GET", f"/events?{since}&id=b").json()[0]
    assert cancelled["validationError"] == "cancelled: it counts no more"
    assert cancelled["ingestedAt"] == cancelled["storedAt"] == "2026-11-23T12:00:00Z"


# --- meters ----------------------------------------------------------------------------------------------------------


def test_meters_are_listed_and_found(served: Served) -> None:
    served.api.put("/v1/meters/people", ENERGY | {"aggregation": "unique", "name": "A people meter"})
    client = client_of(served)

    assert [meter.slug for meter in client.meters.list()] == ["energy", "people", "sessions"]
    assert [meter.slug for meter in client.meters.list(order="DESC", order_by="name", page_size=2)] == [
        "sessions", "energy",
    ]  # fmt: skip
    assert [meter.slug for meter in client.meters.list(page=2, page_size=2)] == ["sessions"]
    found = client.meters.get("people")
    assert (found.id, found.name, found.aggregation, found.event_type, found.value_property, found.group_by) == (
        "people", "A people meter", "UNIQUE_COUNT", "charging.session.ended", "$.kwh", {"station": "$.station"},
    )  # fmt: skip
    assert found.created_at == found.updated_at
    served.api.put("/v1/meters/people", ENERGY | {"aggregation": "max", "name": "A people meter"})
    changed = client.meters.get("people")
    assert (changed.aggregation, changed.created_at) == ("MAX", found.created_at)
    assert changed.updated_at >= changed.created_at
    with pytest.raises(ResourceNotFoundError):
        client.meters.get("nothing")


# --- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["MINUTE", "HOUR", "DAY", "MONTH"])
@pytest.mark.parametrize("zone", [None, "Europe/Paris", "Asia/Kathmandu"])
def test_a_query_says_what_our_own_usage_says(served: Served, size: str, zone: str | None) -> None:
    client = stock(served)
    asked: dict[str, Any] = {"from_parameter": START, "to": END, "window_size": size, "window_time_zone": zone}
    query = {"window": size.lower(), "time_zone": zone or "UTC"}

    for meter in ("energy", "sessions"):
        whole = client.meters.query_json(meter, **asked, cls=text_of)
        assert exact(whole) == ours(served, **query, meter=meter) != []
    grouped = client.meters.query_json("energy", **asked, group_by=["subject", "station"], cls=text_of)
    assert exact(grouped) == ours(served, **query, group_by="subject,station")
    assert sum(row[2] for row in exact(grouped)) == sum(row[2] for row in ours(served))
    told = json.loads(grouped)
    assert (told["from"], told["to"], told["windowSize"]) == (OURS["start"], OURS["end"], size)


def test_the_day_on_which_the_clocks_change_has_25_hours(served: Served) -> None:
    """Both 00:30 and 01:30 UTC are half past two of 25 October in Paris, and count by the hour that they fell in."""
    client = stock(served)
    day: dict[str, Any] = {"from_parameter": START, "to": END, "window_time_zone": "Europe/Paris"}

    days = client.meters.query_json("sessions", **day, window_size="DAY").data
    hours = client.meters.query_json("sessions", **day, window_size="HOUR").data

    assert [(row.window_start.isoformat(), row.window_end.isoformat(), row.value) for row in days[1:3]] == [
        ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00", 4.0),
        ("2026-10-25T23:00:00+00:00", "2026-10-26T23:00:00+00:00", 1.0),
    ]
    assert [row.window_start.isoformat() for row in hours[2:4]] == [
        "2026-10-25T00:00:00+00:00", "2026-10-25T01:00:00+00:00",
    ]  # fmt: skip


def test_a_subject_filters_and_groups_by_the_events_subject(served: Served) -> None:
    client = stock(served)

    result = client.meters.query_json("energy", subject=["user-17", "birch"], cls=text_of)

    assert [(row[3], row[2]) for row in exact(result)] == [
        ("birch", Decimal("0.3")), ("user-17", Decimal("12345678901234567890.323456789012345678")),
    ]  # fmt: skip


def test_a_customer_is_a_tenant_with_all_its_subjects(served: Served) -> None:
    client = stock(served)

    rows = client.meters.query_json("energy", filter_customer_id=["birch"]).data
    grouped = client.meters.query_json("sessions", group_by=["customer_id"]).data

    assert [(row.customer_id, row.subject, row.value, row.group_by) for row in rows] == [("birch", None, 3.3, {})]
    assert [(row.customer_id, row.value) for row in grouped] == [("acme", 4.0), ("birch", 2.0)]
    with pytest.raises(ResourceNotFoundError):
        client.meters.query_json("energy", filter_customer_id=["nobody"])


def test_filters_of_dimensions_in_every_form_say_the_same(served: Served) -> None:
    """Their client for Python writes a filter as no other does; the body of a POST may name several values."""
    client = stock(served)
    wanted = [row for row in ours(served, group_by="station") if row[4]["station"] == "12"]

    by_client = client.meters.query_json(
        "energy", from_parameter=START, to=END, filter_group_by={"station": "12"}, group_by=["station"], cls=text_of
    )
    by_address = call(
        served, "GET", f"/meters/energy/query?from={OURS['start']}&to={OURS['end']}"
        "&filterGroupBy[station]=12&groupBy=station&clientId=me",
    )  # fmt: skip
    question = MeterQueryRequest(
        from_property=START, to=END, filter_group_by={"station": ["12", "14"]}, group_by=["station"], client_id="me"
    )
    posted = client.meters.query("energy", question)

    assert exact(by_client) == exact(by_address.text) == wanted
    assert [(row.group_by, row.value) for row in posted.data] == [({"station": "12"}, 3.3), ({"station": "14"}, 0.3)]


def test_distinct_values_are_counted_within_a_filter(served: Served) -> None:
    served.api.put("/v1/meters/people", ENERGY | {"aggregation": "unique"})
    client = stock(served)

    rows = client.meters.query_json("people", filter_group_by={"station": "13"}).data

    assert [row.value for row in rows] == [2.0]


def test_an_event_without_a_subject_is_its_tenants(served: Served) -> None:
    """A key bound to acme may leave the subject out; the use stands beside that of the subject acme."""
    client = stock(served)
    bare = event("own", subject=None, time="2026-10-25T01:30:41Z", data={"kwh": "1", "station": "13"})
    call(served, "POST", "/events", body=bare, key=served.key("ingest", tenant="acme"))

    (row,) = exact(client.meters.query_json("sessions", subject=["acme"], cls=text_of))

    assert (row[3], row[2]) == ("acme", 3)


def test_a_dimension_may_be_called_as_what_is_built_in(served: Served) -> None:
    served.api.put("/v1/meters/odd", ENERGY | {"dimensions": {"subject": "$.station", "tenant": "$.station"}})
    client = stock(served)

    rows = client.meters.query_json("odd", group_by=["subject", "tenant", "customer_id"], subject=["birch"]).data

    assert [(row.subject, row.customer_id, row.group_by) for row in rows] == [("birch", "birch", {"tenant": "14"})]


def test_without_bounds_all_that_was_acknowledged_is_answered_in_whole_windows(served: Served) -> None:
    client = stock(served)
    query = {"window": "month", "time_zone": "Europe/Paris", "start": "2026-09-30T22:00:00Z",
             "end": "2026-11-30T23:00:00Z"}  # fmt: skip

    open_ended = client.meters.query_json("energy", window_size="MONTH", window_time_zone="Europe/Paris", cls=text_of)
    whole = client.meters.query_json("energy", cls=text_of)

    assert exact(open_ended) == ours(served, **query)
    assert [row[2] for row in exact(whole)] == [row[2] for row in ours(served)]
    assert {"from", "to", "windowSize"}.isdisjoint(json.loads(whole))


def test_a_meter_without_use_answers_no_rows(served: Served) -> None:
    client = client_of(served)

    assert client.meters.query_json("energy").data == []
    assert client.meters.query_json("energy", window_size="HOUR").data == []
    assert client.meters.query_json("energy", window_size="HOUR", to=START).data == []


def test_the_table_has_the_rows_of_the_answer(served: Served) -> None:
    client = stock(served)
    asked: dict[str, Any] = {"from_parameter": START, "to": END, "window_size": "DAY", "group_by": ["station"]}

    table = str(client.meters.query_csv("energy", **asked, subject=["user-17"]))
    posted = call(
        served, "POST", "/meters/energy/query", headers={"Accept": "text/csv"},
        body={"from": OURS["start"], "to": OURS["end"], "windowSize": "DAY", "groupBy": ["station"],
              "subject": ["user-17"]},
    )  # fmt: skip

    header, *rows = csv.reader(io.StringIO(table))
    expected = exact(client.meters.query_json("energy", **asked, subject=["user-17"], cls=text_of))
    assert header == ["window_start", "window_end", "subject", "station", "value"]
    assert [(*row[:2], Decimal(row[4]), row[2], {"station": row[3]}) for row in rows] == expected != []
    assert posted.text == table
    assert posted.headers["content-type"].startswith("text/csv")


def test_a_question_that_cannot_be_answered_names_its_fault(served: Served) -> None:
    for query, pointer in (
        ("groupBy=color", "groupBy"), ("filterGroupBy[color]=red", "filterGroupBy"), ("windowSize=WEEK", "windowSize"),
        ("windowTimeZone=Mars", "windowTimeZone"), ("from=soon", "from"), ("surprise=1", "surprise"),
        ("filterGroupBy=red", "filterGroupBy"), ("filterGroupBy={1: 2}", "filterGroupBy"),
        (f"filterGroupBy={'(' * 900}", "filterGroupBy"), (f"filterGroupBy={' ' * 2000}{{}}", "filterGroupBy"),
        ("advancedMeterGroupByFilters={}", "advancedMeterGroupByFilters"),
        ("from=2026-10-02T00:00:00Z&to=2026-10-01T00:00:00Z", "to"),
    ):  # fmt: skip
        answer = call(served, "GET", f"/meters/energy/query?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), query


def test_a_posted_question_that_cannot_be_answered_names_its_fault(served: Served) -> None:
    for body, pointer in (
        ({"groupBy": ["color"]}, "#/groupBy"), ({"subject": [1]}, "#/subject/0"),
        ({"windowSize": "WEEK"}, "#/windowSize"), ({"filterGroupBy": []}, "#/filterGroupBy"),
        ({"advancedMeterGroupByFilters": {}}, "#/advancedMeterGroupByFilters"),
    ):  # fmt: skip
        answer = call(served, "POST", "/meters/energy/query", body=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), body


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_bound_to_a_tenant_sees_its_own_use_only(served: Served) -> None:
    stock(served)
    client = client_of(served, served.key("read", tenant="birch"))

    assert [row.value for row in client.meters.query_json("sessions").data] == [2.0]
    assert client.meters.query_json("sessions", subject=["acme"]).data == []
    assert [item.event.id for item in client.events.list(from_parameter=START)] == ["f", "e"]
    first = client.meters.query_json("sessions", window_size="MONTH", window_time_zone="Asia/Kathmandu").data[0]
    assert first.window_start == datetime(2026, 9, 30, 18, 15, tzinfo=UTC)  # the month's begin, not another's first use
    with pytest.raises(ResourceNotFoundError):
        client.meters.query_json("sessions", filter_customer_id=["acme"])
    with pytest.raises(HttpResponseError, match="ingest scope"):
        client.events.ingest_event(sent(event("x")))


def test_an_unknown_key_is_told_so(served: Served) -> None:
    with pytest.raises(ClientAuthenticationError):
        client_of(served, "wrong").meters.list()
