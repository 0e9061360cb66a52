"""Posting events: the five outcomes, identity and content, quarantine and release, reading back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.api.compression import zstd
from tests.service import ACME, ENERGY, OPERATOR, SESSIONS, Api, event, set_up


def post(api: Api, events: Any, **rest: Any) -> Any:
    return api.call("POST", "/v1/events", events, **rest).json()


def raw(api: Api, body: bytes, media_type: str = "application/json") -> Any:
    return api.call("POST", "/v1/events", content=body, headers={"Content-Type": media_type})


def test_an_event_sent_twice_counts_once(api: Api) -> None:
    """7.25 kWh sent in two requests, and twice in a third, stays 7.25."""
    set_up(api)
    answers = [post(api, [event("s-1")]), post(api, [event("s-1")]), post(api, [event("s-1"), event("s-1")])]
    assert [(a["accepted"], a["duplicates"]) for a in answers] == [(1, 0), (0, 1), (0, 2)]
    assert api.usage("energy", tenant="acme") == {"": "7.25"}


def test_every_event_of_a_mixed_batch_has_its_own_outcome(api: Api) -> None:
    set_up(api)
    batch = [
        event("a"),
        event("a"),
        event("a", data={"kwh": "8"}),
        event("b", subject="nobody"),
        event("c", type="unknown.thing"),
        event("d", resource="nowhere"),
        event("e", data={"station": "12"}),
        event("f", time="yesterday"),
    ]
    answer = post(api, batch)
    counts = {name: answer[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected")}
    assert counts == {"accepted": 1, "duplicates": 1, "conflicts": 1, "quarantined": 4, "rejected": 1}
    assert [(e["index"], e["id"], e["status"], e.get("reason")) for e in answer["exceptions"]] == [
        (1, "a", "duplicate", None),
        (2, "a", "conflict", None),
        (3, "b", "quarantined", "unknown_tenant"),
        (4, "c", "quarantined", "unknown_type"),
        (5, "d", "quarantined", "unknown_resource"),
        (6, "e", "quarantined", "unmeasurable"),
        (7, "f", "rejected", None),
    ]
    assert answer["exceptions"][-1]["problem"]["errors"][0]["pointer"] == "#/7/time"


@pytest.mark.parametrize(
    ("again", "outcome"),
    [
        (event("s", data={"station": "12", "kwh": "7.25"}), "duplicates"),
        (event("s", time="2026-10-05T12:00:00+02:00"), "duplicates"),
        (event("s", time="2026-10-05T10:00:01Z"), "conflicts"),
        (event("s", data={"kwh": 7.25, "station": "12"}), "conflicts"),
        (event("s", time=None), "conflicts"),
        (event("s", subject="user-17"), "conflicts"),
        (event("s", data={"kwh": "much", "station": "12"}), "conflicts"),
        (event("s", source="/other"), "accepted"),
    ],
)
def test_the_same_identity_is_a_duplicate_or_a_conflict_by_content(api: Api, again: Any, outcome: str) -> None:
    set_up(api)
    post(api, [event("s")])
    assert post(api, [again])[outcome] == 1


def test_numbers_are_equal_by_value_and_true_is_not_one(api: Api) -> None:
    set_up(api)
    raw(api, json.dumps(event("n", data={"kwh": 1, "flag": 1, "station": "1"})).encode())
    same = json.dumps(event("n", data={"kwh": 0, "flag": 1, "station": "1"})).replace('"kwh": 0', '"kwh": 1.0e0')
    assert raw(api, same.encode()).json()["duplicates"] == 1
    other = json.dumps(event("n", data={"kwh": 1, "flag": True, "station": "1"}))
    assert raw(api, other.encode()).json()["conflicts"] == 1


def test_digits_survive_unrounded(api: Api) -> None:
    """0.1234567890123456 + 0.2, as a number and as text, is 0.3234567890123456."""
    set_up(api)
    body = json.dumps(event("x", data={"kwh": "@", "station": "1"})).replace('"@"', "0.1234567890123456")
    raw(api, body.encode())
    post(api, [event("y", data={"kwh": "0.2"})])
    assert api.usage("energy", tenant="acme") == {"": "0.3234567890123456"}


@pytest.mark.parametrize(
    "media_type", ["application/x-ndjson", "application/json", "application/cloudevents-batch+json"]
)
def test_all_shapes_of_a_body_are_read(api: Api, media_type: str) -> None:
    set_up(api)
    events = [event("1"), event("2")]
    lines = "\n".join(map(json.dumps, events)) if "ndjson" in media_type else json.dumps(events)
    assert raw(api, lines.encode(), f"{media_type}; charset=utf-8").json()["accepted"] == 2
    assert raw(api, json.dumps(event("3")).encode(), "application/cloudevents+json").json()["accepted"] == 1


def test_one_bad_line_spoils_no_other(api: Api) -> None:
    set_up(api)
    body = b'{"broken\n' + json.dumps(event("ok")).encode() + b"\nNaN\n"
    answer = raw(api, body, "application/x-ndjson").json()
    assert (answer["accepted"], answer["rejected"]) == (1, 2)


def test_a_lone_surrogate_or_nul_spoils_its_own_event_only(api: Api) -> None:
    set_up(api)
    bad = [
        json.dumps(event("u", data={"kwh": "1", "x": "@"})).replace("@", "\\ud800"),
        json.dumps(event("v", data={"kwh": "1", "x": "@"})).replace("@", "\\u0000"),
        json.dumps(event("w", data={"kwh": "1", "x": "@"})).replace("@", "\\ud83d\\ude00"),
        json.dumps(event("z", data={"kwh": "1", "x": "@"})).replace("@", "\\\\ud800"),
    ]
    answer = raw(api, ("[" + ",".join(bad) + "]").encode()).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 2)


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1, NaN]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000 + b"]" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"[]", "application/cloudevents+json", 400),
        (b"{}", "application/cloudevents-batch+json", 400),
        (b"[" + b" " * (17 * 1024 * 1024) + b"]", "application/json", 413),
        (b"[" + b"{}," * 10_000 + b"{}]", "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole(api: Api, body: bytes, media_type: str, status: int) -> None:
    answer = raw(api, body, media_type)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": 7}, "/id"),
        ({"source": "x" * 3000}, "/source"),
        ({"type": None}, "/type"),
        ({"subject": None}, "/subject"),
        ({"time": "2026-10-05T10:00:00"}, "/time"),
        ({"time": "0014-10-05T10:00:00Z"}, "/time"),
        ({"time": "2031-01-01T00:00:00Z"}, "/time"),
        ({"data": [1]}, "/data"),
        ({"data": "text"}, "/data"),
        ({"data_base64": "AAAA"}, "/data_base64"),
    ],
)
def test_a_malformed_single_event_answers_400_and_names_the_field(api: Api, fields: Any, pointer: str) -> None:
    set_up(api)
    answer = api.call(
        "POST", "/v1/events", {name: value for name, value in (event("bad") | fields).items() if value is not None}
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "#" + pointer


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e400", "1e999999999999999999999", "100000000000000000000", "-", ""]
)
def test_what_is_no_number_within_bounds_is_set_aside(api: Api, value: str) -> None:
    set_up(api)
    assert post(api, [event("q", data={"kwh": value})])["quarantined"] == 1
    if value.startswith("1e"):
        body = json.dumps(event("r", data={"kwh": "@"})).replace('"@"', value)
        assert raw(api, body.encode()).json()["quarantined"] == 1


def test_a_tenant_made_after_its_events_is_caught_up_on_them(api: Api) -> None:
    set_up(api)
    post(api, [event("1", subject="late-co"), event("2", subject="badge-9"), event("3", subject="nobody")])
    assert {row["reason"] for row in api.get("/v1/quarantine")["data"]} == {"unknown_tenant"}
    api.put("/v1/tenants/late-co", ACME | {"name": "Late", "subjects": ["badge-9"]})
    assert api.usage("energy", tenant="late-co") == {"": "14.5"}
    assert [row["id"] for row in api.get("/v1/quarantine")["data"]] == ["3"]


def test_a_meter_made_after_its_events_counts_them_once(api: Api) -> None:
    """Two sessions were accepted for their energy, one waits for its type; the new meters count all there is."""
    set_up(api)
    post(api, [event("1"), event("2"), event("3", type="parking.ended", data={"hours": "2"})])
    api.put("/v1/meters/late-count", SESSIONS)
    api.put("/v1/meters/parking", ENERGY | {"event_type": "parking.ended", "property": "$.hours", "unit": "h"})
    post(api, [event("4"), event("1")])
    assert api.usage("late-count", tenant="acme") == {"": "3"}
    assert api.usage("parking", tenant="acme") == {"": "2"}


def test_a_changed_meter_is_rebuilt(api: Api) -> None:
    set_up(api)
    post(api, [event("1"), event("2", data={"kwh": "1", "station": "9"})])
    api.put("/v1/meters/energy", ENERGY | {"filter": [{"property": "$.station", "operator": "eq", "value": "12"}]})
    assert api.usage("energy", tenant="acme") == {"": "7.25"}
    api.put("/v1/meters/energy", ENERGY)
    assert api.usage("energy", tenant="acme") == {"": "8.25"}


def test_an_accepted_event_closes_the_quarantined_copy(api: Api) -> None:
    set_up(api)
    post(api, [event("1", data={"kwh": "oops"})])
    assert post(api, [event("1")])["accepted"] == 1
    assert api.get("/v1/quarantine")["data"] == []
    released = api.post("/v1/quarantine/releases", {"reason": "unmeasurable"})
    assert released["status"] == "done"
    assert api.usage("energy", tenant="acme") == {"": "7.25"}


def test_a_quarantined_event_sent_again_adds_nothing(api: Api) -> None:
    set_up(api)
    for _ in range(2):
        assert post(api, [event("1", subject="nobody")])["quarantined"] == 1
    assert len(api.get("/v1/quarantine")["data"]) == 1


def test_a_cancelled_event_counts_no_more(api: Api) -> None:
    """Of 7.25 and 3 the first is cancelled: 3 are left, and sending it again is a duplicate."""
    set_up(api)
    api.put("/v1/meters/largest", ENERGY | {"aggregation": "max"})
    post(api, [event("1"), event("2", data={"kwh": "3", "station": "12"})])
    wanted = {"tenant": "acme", "source": "/chargers/12", "id": "1", "reason": "test drive"}
    answer = api.post("/v1/events/cancellations", wanted)
    assert api.usage("energy", tenant="acme") == {"": "3"}
    assert api.usage("largest", tenant="acme") == {"": "3"}
    assert api.usage("sessions", tenant="acme") == {"": "1"}
    assert post(api, [event("1")])["duplicates"] == 1
    assert api.post("/v1/events/cancellations", wanted) == answer
    assert api.call("POST", "/v1/events/cancellations", wanted | {"reason": "another"}).status_code == 409
    assert api.call("POST", "/v1/events/cancellations", wanted | {"id": "no"}).status_code == 404


def test_events_are_listed_as_sent_page_by_page(api: Api) -> None:
    set_up(api)
    sent = [event(str(n), time=f"2026-10-0{n}T10:00:00Z", traceparent="00-ab") for n in range(1, 6)]
    post(api, sent)
    page = api.get("/v1/events", tenant="acme", limit=2)
    rows = page["data"]
    while page["next_cursor"]:
        page = api.get("/v1/events", tenant="acme", limit=2, cursor=page["next_cursor"])
        rows += page["data"]
    extra = {"tenant", "received_at"}
    assert [{name: value for name, value in row.items() if name not in extra} for row in rows] == sent
    assert [
        row["id"] for row in api.get("/v1/events", start="2026-10-02T00:00:00Z", end="2026-10-04T00:00:00Z")["data"]
    ] == ["2", "3"]


def test_an_event_without_time_happened_when_it_came(api: Api) -> None:
    set_up(api)
    post(api, [event("1", time=None)])
    assert api.usage("energy", tenant="acme", start="2026-11-23T00:00:00Z", end="2026-11-24T00:00:00Z") == {"": "7.25"}
    assert "time" not in api.get("/v1/events")["data"][0]


def zstd_compress(body: bytes) -> bytes:
    return zstd.compress(body)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd_compress)])
def test_a_compressed_body_is_inflated_within_the_limit(
    api: Api, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    set_up(api)

    def send(body: bytes, encoding: str = encoding) -> Any:
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        return api.call("POST", "/v1/events", content=body, headers=headers)

    whole = compress(json.dumps([event("1"), event("2")]).encode())
    assert send(whole).json()["accepted"] == 2
    assert send(whole[:-9]).status_code == 400
    assert send(whole + b"more").status_code == 400
    assert send(b"plain").status_code == 400
    assert send(whole, "br").status_code == 415
    assert send(compress(b"[" + b" " * (17 * 1024 * 1024) + b"]")).status_code == 413


def test_a_frame_that_asks_for_a_huge_window_is_refused(api: Api) -> None:
    """What it would be inflated with would take a gigabyte, whatever is in it."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(b"[") + compressor.compress(b" " * 9_000_000) + compressor.compress(b"]")
    body += compressor.flush()
    headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    assert api.call("POST", "/v1/events", content=body, headers=headers).status_code == 400


# --- binary mode ------------------------------------------------------------------------------------------------------

BINARY = {
    "ce-specversion": "1.0", "ce-id": "b-1", "ce-source": "/chargers/12", "ce-type": "charging.session.ended",
    "ce-subject": "acme", "ce-time": "2026-10-05T10:00:00Z",
}  # fmt: skip


def send_binary(api: Api, content: bytes, media_type: str = "application/json", **headers: str) -> Any:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return api.call("POST", "/v1/events", content=content, headers=BINARY | {"Content-Type": media_type} | named)


def test_binary_mode_is_the_same_event_as_structured_mode(api: Api) -> None:
    set_up(api)
    assert send_binary(api, b'{"kwh": "7.25", "station": "12"}', ce_traceparent="00-ab").json()["accepted"] == 1
    structured = event("b-1", traceparent="00-ab")
    assert post(api, [structured])["duplicates"] == 1
    (row,) = api.get("/v1/events")["data"]
    assert {name: row[name] for name in structured} == structured


def test_the_texts_of_binary_mode_are_unescaped_once(api: Api) -> None:
    api.put("/v1/tenants/garage", OPERATOR)
    api.put("/v1/meters/sessions", SESSIONS)
    api.put("/v1/tenants/acme", ACME | {"subjects": ["Zoë 100%", 'say "hi"']})
    for number, subject in enumerate(("Zo%C3%AB%20100%25", '"say \\"hi\\""')):
        assert send_binary(api, b"", ce_id=str(number), ce_subject=subject).json()["accepted"] == 1
    assert {row["subject"] for row in api.get("/v1/events")["data"]} == {"Zoë 100%", 'say "hi"'}


@pytest.mark.parametrize(
    ("content", "media_type", "headers", "status"),
    [
        (b"{}", "text/plain", {}, 415), (b"7,25", "text/csv", {}, 415), (b"{", "application/json", {}, 400),
        (b"[1]", "application/json", {}, 400), (b"{}", "application/json", {"ce_datacontenttype": "text/plain"}, 400),
        (b"{}", "application/json", {"ce_subject": "%ff"}, 400), (b"{}", "application/json", {"ce_time": "today"}, 400),
        (b"{}", "application/json", {"ce_specversion": "0.3"}, 400), (b"{}", "application/json", {"ce_id": ""}, 400),
    ],
)  # fmt: skip
def test_what_binary_mode_cannot_be_is_refused(
    api: Api, content: bytes, media_type: str, headers: dict[str, str], status: int
) -> None:
    set_up(api)
    answer = send_binary(api, content, media_type, **headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.get("/v1/events")["data"] == []


def test_a_structured_event_may_have_the_headers_of_binary_mode_too(api: Api) -> None:
    """The media type decides; the headers are then somebody else's."""
    set_up(api)
    headers = BINARY | {"Content-Type": "application/cloudevents+json"}
    assert api.call("POST", "/v1/events", content=json.dumps(event("s-1")), headers=headers).json()["accepted"] == 1
    assert [row["id"] for row in api.get("/v1/events")["data"]] == ["s-1"]
