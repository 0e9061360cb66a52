"""What is logged: one object a line, with the ids of what was worked on, and never a secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest

from app.observability.logs import bound, logging_config
from app.storage.database import Database
from tests.service import ADMIN_KEY, OPERATOR, event, service, set_up

SECRET = 'a "secret" of ours'


@pytest.fixture
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Where the lines go; as JSON unless the test's parameter says otherwise. The root's handlers come back after."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logging.config.dictConfig(
        logging_config(as_json=getattr(request, "param", True), level="debug", secrets=(SECRET, ADMIN_KEY))
    )
    stream = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers[:], root.level = before, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_what_is_bound_around_it(logged: io.StringIO) -> None:
    log = logging.getLogger("quotepart.test")
    with bound(request_id="r-1"), bound(run_id="u-1"):
        log.warning("first\nsecond", extra={"count": 3})
    log.info("after")
    first, second = lines(logged)
    assert first | {"time": ""} == {
        "time": "", "level": "WARNING", "logger": "quotepart.test", "message": "first\nsecond", "count": 3,
        "request_id": "r-1", "run_id": "u-1",
    }  # fmt: skip
    assert first["time"].endswith("+00:00")
    assert "request_id" not in second


@pytest.mark.parametrize("logged", [False], indirect=True)
def test_text_lines_cannot_be_broken_by_what_a_caller_chose(logged: io.StringIO) -> None:
    logging.getLogger("quotepart.test").info("request", extra={"path": "/v1/\nINFO forged\x1b[2J"})
    assert logged.getvalue().count("\n") == 1
    assert "\x1b" not in logged.getvalue()


@pytest.mark.parametrize("logged", [True, False], indirect=True)
def test_secrets_are_blacked_out_wherever_they_turn_up(logged: io.StringIO) -> None:
    log = logging.getLogger("quotepart.test")
    log.error("cannot use %s", f"postgresql://u:{SECRET}@host/db", extra={"key": SECRET})
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("failed")
    assert "of ours" not in logged.getvalue()
    assert logged.getvalue().count("***") >= 3


def test_a_request_is_logged_with_its_id_and_without_its_key(database_url: str, logged: io.StringIO) -> None:
    with service(database_url) as api:
        plain = api.call("GET", "/v1/tenants?limit=5", headers={"X-Request-Id": "from-the-proxy:7"})
        strange = api.call("GET", "/v1/tenants", headers={"X-Request-Id": "a b" * 50})
        refused = api.call("GET", "/v1/tenants", key="qp_nobody_wrong-secret-wrong-secret")
    assert plain.headers["X-Request-Id"] == "from-the-proxy:7"
    assert len(strange.headers["X-Request-Id"]) == 32
    requests = [line for line in lines(logged) if line["message"] == "request"]
    assert [(line["path"], line["status"], line["request_id"]) for line in requests] == [
        ("/v1/tenants", 200, "from-the-proxy:7"),
        ("/v1/tenants", 200, strange.headers["X-Request-Id"]),
        ("/v1/tenants", 401, refused.headers["X-Request-Id"]),
    ]
    assert "wrong-secret" not in logged.getvalue()
    assert ADMIN_KEY not in logged.getvalue()


def test_an_error_that_nobody_expected_is_logged_with_its_request_and_answers_nothing(
    database_url: str, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(database_url) as api:

        def fail(*_: object) -> None:
            raise RuntimeError("the inside of the service")

        monkeypatch.setattr(Database, "read", fail)
        answer = api.client.get("/v1/tenants", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        monkeypatch.undo()
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-error")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "inside" not in answer.text
    (found,) = [line for line in lines(logged) if line["message"].startswith("unexpected error")]
    assert found["request_id"] == answer.headers["X-Request-Id"]
    assert "RuntimeError: the inside of the service" in found["exc_info"]


def test_what_a_statement_was_given_stays_out_of_its_error(database: Database) -> None:
    with pytest.raises(Exception) as caught:
        database.read(lambda connection: connection.exec_driver_sql("SELECT no_such_column", {"given": SECRET}))
    assert "of ours" not in str(caught.value)


def test_a_run_that_cannot_bill_says_so_under_its_id(database_url: str, logged: io.StringIO) -> None:
    with service(database_url) as api:
        api.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2030-01-01"})
        set_up(api, [{"key": "access", "model": {"type": "flat", "amount": "1.00"}, "tax": "standard"}])
        run = api.bill("2026-11-01T00:00:00Z")
    assert run["failed"] == 2
    found = [line for line in lines(logged) if line["message"] == "period not billed"]
    assert [line["subscription"] for line in found] == ["acme-1", "acme-1"]
    assert {line["run_id"] for line in found} == {run["id"].replace("-", "")}
    assert {line["job"] for line in found} == {"billing_run"}


def test_answers_tell_caches_and_browsers_to_keep_out(database_url: str) -> None:
    with service(database_url) as api:
        api.put("/v1/tenants/garage", OPERATOR)
        for answer in (api.call("GET", "/v1/tenants"), api.call("POST", "/v1/events", event("e-1"))):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"


async def call(app: Any, *arguments: Any) -> None:
    await app(*arguments)


def test_whoever_hangs_up_is_no_fault_of_the_service(database_url: str, logged: io.StringIO) -> None:
    """A body that is cut off, as a lost connection leaves it."""
    messages = iter([{"type": "http.request", "body": b"[", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(_message: Any) -> None:
        raise AssertionError("nobody is there")

    with service(database_url) as api:
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events",
            "query_string": b"", "root_path": "", "scheme": "http", "server": ("own", 80), "client": ("127.0.0.1", 1),
            "headers": [(b"authorization", f"Bearer {ADMIN_KEY}".encode()), (b"content-type", b"application/json")],
        }  # fmt: skip
        asyncio.run(call(api.client.app, scope, receive, send))
    assert [line["status"] for line in lines(logged) if line["message"] == "request"] == [499]
    assert not [line for line in lines(logged) if line["level"] == "ERROR"]
