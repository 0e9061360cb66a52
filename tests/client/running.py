"""A service for the client's tests, and a line to it that fails on order."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from quotepart.client import Client, Pace
from tests.crash.running import BOUND_SECONDS, HEADERS, Server, api
from tests.service import ADMIN_KEY, set_up

QUICK = Pace(
    linger_seconds=0.01, request_seconds=BOUND_SECONDS, first_pause_seconds=0.01, longest_pause_seconds=0.05,
    lasting_pause_seconds=0.05,
)  # fmt: skip
ABSENT = "http://127.0.0.1:1"
"""Where nothing answers."""


def client(url: str, spool: Path, **rest: Any) -> Client:
    """A client that neither pauses long nor waits when it closes, unless said otherwise."""
    usual: dict[str, Any] = {"api_key": ADMIN_KEY, "spool": spool, "close_seconds": 0, "pace": QUICK}
    return Client(url, **(usual | rest))


def session(to: Client, **fields: Any) -> str:
    """A charging session of 7.25 kWh, sent; unless said otherwise."""
    usual: dict[str, Any] = {
        "type": "charging.session.ended", "source": "/chargers/12", "subject": "acme",
        "data": {"kwh": "7.25", "station": "12"},
    }  # fmt: skip
    return to.send(**(usual | fields))


def with_catalog(server: Server) -> Server:
    with server.client() as connection:
        set_up(api(connection))
    return server


def kept(server: Server) -> Counter[str]:
    """The ids of all events that the service keeps, each as often as it is there; the books count as many."""
    ids: list[str] = []
    with server.client() as connection:
        speak = api(connection)
        cursor: str | None = ""
        while cursor is not None:
            page = speak.get("/v1/events", limit=1000, **({"cursor": cursor} if cursor else {}))
            ids += [row["id"] for row in page["data"]]
            cursor = page["next_cursor"]
        assert speak.usage("sessions", start="2020-01-01", end="2100-01-01").get("", "0") == str(len(ids))
    return Counter(ids)


class Line:
    """Hands requests on to a service. `faults` are taken from the front, one for each request:

    a status answers it with that; "drop" hangs up before it is handed on, "lose" after; "stall" never answers.
    `most_events` refuses more in one request (413), and `unreadable` every request with that text in it (400).
    """

    def __init__(self, url: str) -> None:
        self.faults: deque[str | int] = deque()
        self.most_events: int | None = None
        self.unreadable: str | None = None
        self.batches: list[list[Any]] = []
        """The events of each request, in the order in which they came."""
        self._to = httpx.Client(base_url=url, headers=HEADERS, timeout=BOUND_SECONDS)
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Line:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._to.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                packed = self.headers.get("Content-Encoding") == "gzip"
                answer = line._answer(gzip.decompress(body) if packed else body)
                if answer is None:
                    self.close_connection = True
                    return
                status, content = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *values: Any) -> None:
                """Nothing: what comes is in `batches`."""

        return Handler

    def _answer(self, body: bytes) -> tuple[int, bytes] | None:
        events = json.loads(body)
        self.batches.append(events)
        fault = self.faults.popleft() if self.faults else None
        match fault:
            case int():
                return fault, b""
            case "drop":
                return None
            case "stall":
                self._over.wait(BOUND_SECONDS)
                return None
        if self.most_events is not None and len(events) > self.most_events:
            return 413, b""
        if self.unreadable is not None and self.unreadable in body.decode():
            return 400, b'{"detail": "The body is not JSON."}'
        answer = self._to.post(
            "/v1/events", content=body, headers={"Content-Type": "application/cloudevents-batch+json"}
        )
        return None if fault == "lose" else (answer.status_code, answer.content)
