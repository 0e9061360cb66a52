"""The program on the page for producers, run as it stands against the service."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from tests.crash.running import BOUND_SECONDS, api
from tests.docs.pages import ROOT, fences
from tests.service import ADMIN_KEY

PAGE = ROOT / "docs" / "how-to" / "producing.md"
REQUESTS = {"event_type": "http.request", "aggregation": "sum", "property": "$.answers", "unit": "request"}


def test_the_program_of_the_page_meters_its_own_requests(server, tmp_path, monkeypatch):
    """Three requests of Acme, one of them by a user's name, and one of nobody, which waits in quarantine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USAGE_URL", server.url)
    monkeypatch.setenv("USAGE_KEY", ADMIN_KEY)
    program: dict[str, Any] = {}
    [code] = [block for language, block in fences(PAGE.read_text()) if language == "python"]
    with server.client() as connection:
        api(connection).put("/v1/meters/requests", REQUESTS)
        exec(code, program)
        with TestClient(program["app"]) as visitor:
            for company in ("acme", "user-17", "acme"):
                visitor.get("/things", headers={"X-Company": company})
            visitor.get("/things")
            assert program["usage"].flush(BOUND_SECONDS)
        counted = api(connection).usage("requests", start="2020-01-01", end="2100-01-01")
        aside = api(connection).get("/v1/quarantine")["data"]

    assert counted == {"": "3"}
    assert [(each["subject"], each["reason"]) for each in aside] == [("nobody", "unknown_tenant")]
