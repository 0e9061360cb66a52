"""What an API key opens, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.authenticate import create_key
from app.storage.database import Database
from tests.service import ACME, ADMIN_KEY, PER_UNIT, Api, event, set_up


def key(api: Api, scope: Any, tenant: str = "") -> str:
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    return create_key(database, scopes=[scope], tenant=tenant, now=api.clock())


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nope", "Basic abc", "Bearer qp_0123456789abcdef_secret"])
def test_without_a_valid_key_nothing_opens(api: Api, header: str) -> None:
    for method, path in (("GET", "/v1/invoices"), ("POST", "/v1/events"), ("PUT", "/v1/meters/x")):
        answer = api.call(method, path, headers={"Authorization": header})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert api.client.get("/healthz").status_code == 200
    assert api.client.get("/readyz").status_code == 200
    assert b"quotepart_events_total" in api.client.get("/metrics").content


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("ingest", {"events"}), ("read", {"usage"}), ("finance", {"run"}), ("admin", {"events", "usage", "run", "meter"})],
)
def test_a_key_does_what_its_scope_says_only(api: Api, scope: str, allowed: set[str]) -> None:
    set_up(api)
    token = key(api, scope)
    calls: dict[str, tuple[Any, ...]] = {
        "events": ("POST", "/v1/events", event("1")),
        "usage": ("GET", "/v1/usage?meter=energy"),
        "run": ("POST", "/v1/billing-runs", {"through": "2026-11-01T00:00:00Z"}),
        "meter": ("PUT", "/v1/meters/other", {"event_type": "x", "aggregation": "count", "unit": "x"}),
    }
    for name, call in calls.items():
        status = api.call(*call, key=token).status_code
        assert (status == 403) is (name not in allowed), (name, status)


def test_a_bound_key_sees_and_posts_for_its_own_tenant_only(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.put("/v1/tenants/borealis", ACME | {"name": "Borealis", "subjects": ["b-1"]})
    api.put("/v1/subscriptions/borealis-1", {"tenant": "borealis", "plan": "standard", "start": "2026-10-01"})
    ingest, read = key(api, "ingest", "borealis"), key(api, "read", "borealis")
    sent = [event("1", subject=None), event("2", subject="b-1"), event("3", subject="acme"), event("4", subject="zz")]
    answer = api.call("POST", "/v1/events", sent, key=ingest).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 2)
    api.post("/v1/events", event("5"))
    api.bill("2026-11-01T00:00:00Z")

    def get(path: str) -> Any:
        return api.call("GET", path, key=read)

    assert {row["tenant"] for row in get("/v1/events").json()["data"]} == {"borealis"}
    assert [row["buyer"] for row in get("/v1/invoices").json()["data"]] == ["borealis"]
    assert get("/v1/usage?meter=energy").json()["data"][0]["quantity"] == "14.5"
    other = api.invoices(buyer="acme")[0]["id"]
    for path in (
        "/v1/events?tenant=acme", "/v1/usage?meter=energy&tenant=acme", f"/v1/invoices/{other}",
        f"/v1/invoices/{other}.pdf", f"/v1/invoices/{other}/lines/ln_1/explanation", "/v1/tenants/acme",
        "/v1/tenants/acme/preview", "/v1/subscriptions/acme-1",
    ):  # fmt: skip
        assert get(path).status_code == 404, path


def test_a_bootstrap_key_works_after_each_start(api: Api) -> None:
    assert api.call("GET", "/v1/tenants", key=ADMIN_KEY).status_code == 200
    assert api.call("GET", "/v1/tenants", key=ADMIN_KEY + "x").status_code == 401


def test_unknown_paths_and_methods_answer_with_a_problem(api: Api) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/v1/usage", 405)):
        answer = api.call(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
