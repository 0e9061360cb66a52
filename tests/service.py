"""The whole application in memory, and a small catalog, for tests that go through HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

ADMIN_KEY = "test-admin-key-0123456789"


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: str) -> None:
        self.set(now)

    def set(self, now: str) -> None:
        self._now = datetime.fromisoformat(now).astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now


class Api:
    """Speaks to the service as an admin; every answer is checked for a 5xx."""

    def __init__(self, client: TestClient, clock: Clock) -> None:
        self.client = client
        self.clock = clock

    def call(self, method: str, path: str, body: Any = None, *, key: str = ADMIN_KEY, **rest: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}"} | rest.pop("headers", {})
        if body is not None:
            rest["json"] = body
        answer = self.client.request(method, path, headers=headers, **rest)
        assert answer.status_code < 500, answer.text
        return answer

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, path: str, body: Any) -> Any:
        answer = self.call("PUT", path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        answer = self.call("POST", path, body)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    def usage(self, meter: str, **query: Any) -> dict[str, str]:
        """Quantity by window start; one entry '' where no window is asked for."""
        rows = self.get("/v1/usage", meter=meter, **query)["data"]
        return {row["start"] if "window" in query else "": row["quantity"] for row in rows}

    def bill(self, through: str, **rest: Any) -> Any:
        """A billing run that is waited for."""
        run = self.post("/v1/billing-runs", {"through": through, "issue": True} | rest)
        deadline = time.monotonic() + 60
        while run["status"] == "running":
            assert time.monotonic() < deadline, run
            time.sleep(0.02)
            run = self.get(f"/v1/billing-runs/{run['id']}")
        return run

    def invoices(self, **query: Any) -> list[Any]:
        found: list[Any] = self.get("/v1/invoices", **query)["data"]
        return found


@contextmanager
def service(database_url: str, now: str = "2026-11-23T12:00:00+00:00") -> Iterator[Api]:
    clock = Clock(now)
    app = create_app(Settings(database_url=database_url, bootstrap_key=ADMIN_KEY), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client, clock)


def event(id: str, *, time: str | None = "2026-10-05T10:00:00Z", subject: str | None = "acme", **fields: Any) -> Any:
    """A CloudEvent of 7.25 kWh at station 12, unless said otherwise."""
    made: dict[str, Any] = {
        "specversion": "1.0", "id": id, "source": "/chargers/12", "type": "charging.session.ended",
        "subject": subject, "time": time, "data": {"kwh": "7.25", "station": "12"},
    }  # fmt: skip
    return {name: value for name, value in (made | fields).items() if value is not None}


OPERATOR = {
    "name": "Garage", "currency": "EUR", "time_zone": "Europe/Paris", "language": "en", "operator": True,
}  # fmt: skip
ACME = {"name": "Acme SAS", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr", "subjects": ["user-17"]}
ENERGY = {
    "event_type": "charging.session.ended", "aggregation": "sum", "property": "$.kwh", "unit": "kWh",
    "unit_code": "KWH", "dimensions": {"station": "$.station"},
}  # fmt: skip
SESSIONS = {"event_type": "charging.session.ended", "aggregation": "count", "unit": "session"}
PER_UNIT = {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.30"}}


def set_up(api: Api, charges: list[Any] | None = None, *, start: str = "2026-09-01", **plan: Any) -> None:
    """An operator, a tenant acme with an energy and a session meter, and its subscription to a plan."""
    api.put("/v1/tenants/garage", OPERATOR)
    api.put("/v1/tenants/acme", ACME)
    api.put("/v1/meters/energy", ENERGY)
    api.put("/v1/meters/sessions", SESSIONS)
    if charges is None:
        return
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
    api.put("/v1/plans/standard", body | plan)
    api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": start})
