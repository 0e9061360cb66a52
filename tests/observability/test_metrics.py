"""What /metrics says of money at risk, of jobs, and of the service's own requests."""

from __future__ import annotations

from datetime import UTC, datetime

from app.operations.audit_books import audit_books
from app.storage import audit_store
from app.storage.audit_store import AuditFigures
from app.storage.database import Database
from tests.service import PER_UNIT, Api, event, service, set_up


def figures(api: Api) -> dict[str, float]:
    """Name with labels -> value."""
    text = api.call("GET", "/metrics").text
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def test_what_is_at_risk_is_seen_and_goes_away_when_it_is_mended(database_url: str) -> None:
    with service(database_url) as api:
        set_up(api)
        api.post("/v1/events", [event("e-1", subject="nobody"), event("e-2"), event("e-3", type="unknown")])
        before = figures(api)
        assert before['quotepart_quarantined_events{reason="unknown_tenant"}'] == 1
        assert before['quotepart_quarantined_events{reason="unknown_type"}'] == 1
        assert before["quotepart_unpriced_stretches"] == 2  # the energy and the sessions of acme

        plan = {"name": "P", "currency": "EUR", "interval": "month", "charges": [PER_UNIT]}
        api.put("/v1/plans/standard", plan)
        api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-09-01"})
        due = until(api, "quotepart_periods_due", 2)
        assert due["quotepart_unpriced_stretches"] == 1
        # September ended at midnight in Paris.
        age = datetime(2026, 11, 23, 12, tzinfo=UTC) - datetime(2026, 9, 30, 22, tzinfo=UTC)
        assert due["quotepart_oldest_due_period_age_seconds"] == age.total_seconds()

        api.bill("2026-11-01T00:00:00Z")
        after = until(api, "quotepart_periods_due", 0)
        assert after["quotepart_oldest_due_period_age_seconds"] == 0
        assert after['quotepart_jobs_waiting{kind="billing_run"}'] == 0


def until(api: Api, name: str, value: float) -> dict[str, float]:
    """The figures once one of them says so: what takes long to work out may be a moment old."""
    for _ in range(1000):
        found = figures(api)
        if found[name] == value:
            return found
    raise AssertionError(f"{name} is {found[name]}, not {value}")


def test_the_last_audit_is_told(database_url: str, database: Database) -> None:
    with service(database_url) as api:
        set_up(api)
        assert figures(api)["quotepart_audit_finished_timestamp_seconds"] == 0
        at = datetime(2026, 11, 22, tzinfo=UTC)
        found = audit_books(database, now=at)
        kept = AuditFigures(at, at, found.events, found.buckets, found.lines, found.documents, 7, 0)
        database.write(lambda connection: audit_store.add(connection, kept))
        assert figures(api)["quotepart_audit_differences"] == 7
        assert figures(api)["quotepart_audit_finished_timestamp_seconds"] == at.timestamp()


def test_requests_are_counted_by_route_and_not_by_path(database_url: str) -> None:
    with service(database_url) as api:
        name = 'quotepart_http_requests_total{method="GET",route="/v1/tenants/{key}",status="404"}'
        before = figures(api).get(name, 0)
        for key in ("one", "two"):
            api.call("GET", f"/v1/tenants/{key}")
        after = figures(api)
        assert after[name] == before + 2
        assert not [line for line in after if "/v1/tenants/one" in line]
        api.call("GET", "/no/such/path")
        unmatched = 'quotepart_http_requests_total{method="GET",route="unmatched",status="404"}'
        assert figures(api)[unmatched] == after.get(unmatched, 0) + 1
