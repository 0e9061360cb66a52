"""Webhooks from the announcement to the receiver, over HTTP."""

from __future__ import annotations

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
