"""Webhooks from the announcement to the receiver, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.receiver import Receiver, receiving
from tests.service import ADMIN_KEY, PER_UNIT, Api, Clock, event, set_up


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@contextmanager
def service(database_url: str, **settings: Any) -> Iterator[Api]:
    """The service with its worker; it may post to this machine."""
    clock = Clock("2026-11-23T12:00:00+00:00")
    chosen = Settings(
        database_url=database_url, bootstrap_key=ADMIN_KEY, webhook_http=True, webhook_networks="127.0.0.0/8",
        **settings,
    )  # fmt: skip
    with TestClient(create_app(chosen, clock=clock), raise_server_exceptions=False) as client:
        yield Api(client, clock)


def wait_for(api: Api, number: int, **query: str) -> list[Any]:
    """Deliveries that are no longer pending, once there are so many."""
    deadline = time.monotonic() + 20
    while True:
        found = [each for each in api.get("/v1/webhook-deliveries", **query)["data"] if each["status"] != "pending"]
        if len(found) >= number:
            return found
        assert time.monotonic() < deadline, api.get("/v1/webhook-deliveries")
        time.sleep(0.02)


def test_an_issued_invoice_is_told_of(database_url: str, receiver: Receiver) -> None:
    """Two months are billed: two messages, each signed, each with the invoice's number and total."""
    with service(database_url) as api:
        set_up(api, [PER_UNIT])
        made = api.put("/v1/webhook-endpoints/erp", {"url": receiver.url, "events": ["invoice.issued"]})
        api.post("/v1/events", event("s-1"))
        api.bill("2026-11-01T00:00:00Z")
        deliveries = wait_for(api, 2)

        found = [got.verified(made["secret"], api.clock()) for got in receiver.got]
        told = sorted(found, key=lambda each: each["data"]["number"])
        issued = sorted(api.invoices(), key=lambda each: each["number"])
        assert [(each["type"], each["data"]["number"], each["data"]["total"]) for each in told] == [
            ("invoice.issued", each["number"], each["total"]) for each in issued
        ]
        assert [each["data"]["links"]["self"] for each in told] == [f"/v1/invoices/{each['id']}" for each in issued]
        assert {(each["status"], each["attempts"], each["last_status"]) for each in deliveries} == {
            ("delivered", 1, 204)
        }
        assert {each["message"] for each in deliveries} == {got.id for got in receiver.got}


def test_payments_and_finished_runs_are_told_of(database_url: str, receiver: Receiver) -> None:
    """2.18 is due of October; 3.00 comes, of which 0.82 stay on account, and all of it is taken back."""
    with service(database_url) as api:
        set_up(api, [PER_UNIT], start="2026-10-01")
        api.put("/v1/webhook-endpoints/erp", {"url": receiver.url, "events": ["payment.*", "billing_run.finished"]})
        api.post("/v1/events", event("s-1"))
        run = api.bill("2026-11-01T00:00:00Z")
        api.bill("2026-11-01T00:00:00Z", dry_run=True)
        (invoice,) = api.invoices()
        payment = api.post(f"/v1/invoices/{invoice['id']}/payments", {"amount": "3.00"})
        api.post(f"/v1/payments/{payment['id']}/reversals", {"reason": "returned"})
        wait_for(api, 3)

    told = [json.loads(got.body) for got in receiver.got]
    data = {each["type"]: each["data"] for each in told}
    assert len(told) == 3 and set(data) == {"billing_run.finished", "payment.recorded", "payment.reversed"}
    assert (data["billing_run.finished"]["id"], data["billing_run.finished"]["closed"]) == (run["id"], run["closed"])
    recorded, reversed_ = data["payment.recorded"], data["payment.reversed"]
    assert (recorded["id"], recorded["invoices"]) == (payment["id"], [invoice["id"]])
    assert (recorded["allocated"], recorded["unallocated"], recorded["reversed"]) == ("2.18", "0.82", "0.00")
    assert (reversed_["allocated"], reversed_["invoices"], reversed_["reversed"]) == ("0.00", [], "3.00")


def test_a_crossed_threshold_is_told_of_as_the_list_of_crossings_has_it(database_url: str, receiver: Receiver) -> None:
    with service(database_url) as api:
        set_up(api, [PER_UNIT])
        api.put("/v1/webhook-endpoints/erp", {"url": receiver.url, "events": ["alert.crossed"], "tenant": "acme"})
        alert = {"tenant": "acme", "measure": "quantity", "meter": "energy", "thresholds": ["5", "100"]}
        api.put("/v1/alerts/acme-energy", alert)
        api.post("/v1/events", event("s-1", time="2026-11-20T10:00:00Z"))
        wait_for(api, 1)
        (crossing,) = api.get("/v1/alert-events")["data"]

    assert [json.loads(got.body)["data"] for got in receiver.got] == [crossing]


def test_an_endpoint_is_made_changed_and_removed(database_url: str) -> None:
    """Its secret is told when it is made and when it is rotated, and at no other time."""
    path, body = "/v1/webhook-endpoints/erp", {"url": "https://erp.invalid/a", "events": ["invoice.*"]}
    with service(database_url) as api:
        assert api.call("GET", path).status_code == 404
        made = api.call("PUT", path, body)
        assert (made.status_code, made.json()["secret"][:6]) == (201, "whsec_")
        again = api.call("PUT", path, body)
        assert (again.status_code, "secret" in again.json()) == (200, False)
        assert again.headers["etag"] == made.headers["etag"] == api.call("GET", path).headers["etag"]
        assert api.call("PUT", path, again.json()).json() == again.json(), "what is shown can be sent back"
        patched = api.call("PATCH", path, {"enabled": False, "description": "resting"})
        assert (patched.json()["enabled"], patched.json()["description"]) == (False, "resting")
        assert patched.json()["disabled_at"] == "2026-11-23T12:00:00Z"
        assert api.call("PATCH", path, {"enabled": True}, headers={"If-Match": '"other"'}).status_code == 412
        assert api.call("PATCH", path, {"enabled": True}).json()["disabled_at"] is None
        rotated = api.call("POST", f"{path}/rotate").json()
        assert rotated["secret"] != made.json()["secret"]
        assert rotated["previous_secret_expires_at"] == "2026-11-24T12:00:00Z"
        assert "secret" not in str(api.get("/v1/webhook-endpoints")["data"]).replace("previous_secret_expires_at", "")
        assert api.call("DELETE", path).status_code == 204
        assert [api.call(method, path).status_code for method in ("GET", "DELETE")] == [404, 404]


def test_a_removed_endpoint_is_sent_nothing_more(database_url: str, receiver: Receiver) -> None:
    with service(database_url) as api:
        set_up(api, [PER_UNIT])
        receiver.answer = lambda _: (503, {}, b"")
        api.put("/v1/webhook-endpoints/erp", {"url": receiver.url})
        api.post("/v1/webhook-endpoints/erp/test", {})
        deadline = time.monotonic() + 20
        while not receiver.got:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        api.call("DELETE", "/v1/webhook-endpoints/erp")
        api.clock.set("2026-11-23T13:00:00+00:00")
        time.sleep(1.5)
        assert (len(receiver.got), api.get("/v1/webhook-deliveries")["data"]) == (1, [])


def test_what_waits_and_what_was_disabled_is_measured(database_url: str, receiver: Receiver) -> None:
    with service(database_url) as api:
        receiver.answer = lambda got: (410 if "gone" in got.path else 503, {}, b"")
        for key in ("slow", "gone"):
            api.put(f"/v1/webhook-endpoints/{key}", {"url": f"{receiver.url}/{key}"})
            api.post(f"/v1/webhook-endpoints/{key}/test", {})
        wait_for(api, 1)
        deadline = time.monotonic() + 20
        while not api.get("/v1/webhook-deliveries", endpoint="slow")["data"][0]["log"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        api.clock.set("2026-11-23T12:00:03+00:00")
        metrics = api.client.get("/metrics").text

    for line in (
        'quotepart_outbox_pending{channel="webhook"} 1.0',
        'quotepart_oldest_unsent_message_age_seconds{channel="webhook"} 3.0',
        "quotepart_webhook_endpoints_disabled 1.0",
    ):  # fmt: skip
        assert line in metrics
    assert 'quotepart_deliveries_total{channel="webhook",outcome="failed"}' in metrics
