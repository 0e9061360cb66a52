"""A service that answers as the real one does, unless a test tells it otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

MAPPING = """
source: /meter
type: reading
id: n
time: time
subject: {column: tenant}
data: {kwh: {column: kwh, as: number}}
when: {column: kwh, not_equals: ""}
"""


class FakeService:
    """Counts each id once, as the real one does. `before` may answer, raise or let a request pass; `after` sees each
    request that was counted and may still lose the answer."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.requests: list[httpx.Request] = []
        self.before: Callable[[int, list[dict[str, Any]]], httpx.Response | None] = lambda number, events: None
        self.after: Callable[[int], None] = lambda number: None

    def client(self, base_url: str = "http://service") -> httpx.Client:
        return httpx.Client(base_url=base_url, transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        number = len(self.requests)
        events = json.loads(request.content)
        early = self.before(number, events)
        if early is not None:
            return early
        statuses = [self._keep(event) for event in events]
        self.after(number)
        names = {"duplicate": "duplicates", "conflict": "conflicts"}
        counts = dict.fromkeys(("accepted", "duplicates", "conflicts", "quarantined", "rejected"), 0)
        for status, _ in statuses:
            counts[names.get(status, status)] += 1
        exceptions = [
            {"index": index, "id": events[index]["id"], "status": status, **more}
            for index, (status, more) in enumerate(statuses)
            if status != "accepted"
        ]
        return httpx.Response(200, json={**counts, "exceptions": exceptions})

    def _keep(self, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if event["subject"] == "bad":
            errors = [{"pointer": "#/0/subject", "detail": "not a subject"}]
            problem = {"type": "https://x/problems/malformed", "detail": "The event is malformed.", "errors": errors}
            return "rejected", {"problem": problem}
        if event["subject"] == "unclaimed":
            return "quarantined", {"reason": "unknown_tenant", "detail": "No tenant has this subject."}
        if event["id"] in self.kept:
            return ("duplicate" if self.kept[event["id"]] == event else "conflict"), {}
        self.kept[event["id"]] = event
        return "accepted", {}
