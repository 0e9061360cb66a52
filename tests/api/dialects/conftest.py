"""The service behind a socket, so that other meters' clients can speak to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from app.main import create_app
from app.settings import Settings
from tests.api.dialects.served import Served
from tests.service import ACME, ADMIN_KEY, Api, Clock, set_up

NOW = "2026-11-23T12:00:00+00:00"


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    """With tenants acme and birch, meters of energy by station and of sessions, and two subscriptions of acme."""
    clock = Clock(NOW)
    app = create_app(Settings(database_url=database_url, bootstrap_key=ADMIN_KEY), clock=clock)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=120) as client:
            api = Api(client, clock)  # type: ignore[arg-type]  # speaks as the other one does
            set_up(api, [{"key": "access", "model": {"type": "flat", "amount": "19.00"}}])
            api.put("/v1/tenants/birch", ACME | {"name": "Birch", "subjects": ["user-18"]})
            for key, tenant in (("acme-2", "acme"), ("birch-1", "birch")):
                api.put(f"/v1/subscriptions/{key}", {"tenant": tenant, "plan": "standard", "start": "2026-10-01"})
            yield Served(url, api, app.state.database)
    finally:
        server.should_exit = True
        thread.join()
