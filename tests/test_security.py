"""What protects the service beside its scopes: how keys are kept, what may be sent, what answers and logs tell."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.domain.callers import SCOPES
from app.main import create_app
from app.operations.authenticate import create_key, revoke_key
from app.settings import Settings
from app.storage.database import Database
from app.storage.tables import api_keys, metadata
from tests.api.test_authorisation import ROUTES, Route, stock
from tests.service import ADMIN_KEY, Api, service

ROOT = Path(__file__).resolve().parents[1]
BEHIND_A_KEY = [route for route in ROUTES if route.scopes and route.method != "HEAD"]
WITH_A_BODY = [route for route in BEHIND_A_KEY if route.method in ("PUT", "PATCH", "POST")]
MEBIBYTE = 1024 * 1024


def database_of(client: TestClient) -> Database:
    found: Database = client.app.state.database  # type: ignore[attr-defined]
    return found


def filled(path: str, name: str = "nothing") -> str:
    """The path with a name in the place of each of its parameters."""
    return re.sub(r"\{\w+\}", name, path)


# --- keys -------------------------------------------------------------------------------------------------------------

GUESSES = ["", "admin", "password", "secret", "changeme", "quotepart", "test", "bootstrap", "0" * 20, ADMIN_KEY, "None"]


def test_a_fresh_database_opens_nothing(database_url: str) -> None:
    """No key comes with the service: until somebody makes one there is none, and no guess is one."""
    with TestClient(create_app(Settings(database_url=database_url))) as client:
        with database_of(client).engine.connect() as connection:
            assert connection.execute(sa.select(api_keys)).all() == []
        for route in BEHIND_A_KEY:
            for guess in GUESSES:
                headers = {"Authorization": f"Bearer {guess}"}
                answer = client.request(route.method, filled(route.path), headers=headers)
                assert answer.status_code == 401, (route.name, guess)


def written_forms(secret: str) -> list[bytes]:
    """The text of a secret as somebody might have kept it."""
    raw = secret.encode()
    return [raw, raw.hex().encode(), base64.b64encode(raw), raw[: len(raw) // 2], raw[len(raw) // 2 :]]


def test_a_key_is_kept_as_its_hash_only(database_url: str) -> None:
    """Every row of every table, and every byte of the SQLite files: the digest is there, the key is not."""
    with service(database_url) as api:
        database = database_of(api.client)
        keys = [create_key(database, scopes=["read"], name="a name", now=api.clock()) for _ in range(2)]
        for key in keys:
            assert api.call("GET", "/v1/tenants", key=key).status_code == 200
        assert revoke_key(database, keys[1], now=api.clock())
        with database.engine.connect() as connection:
            hashes = {bytes(row.secret_hash) for row in connection.execute(sa.select(api_keys))}
            kept = "\n".join(
                repr(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))
            )
        if database.is_sqlite:
            file = Path(str(sa.make_url(database_url).database))
            kept += "".join(path.read_bytes().decode("latin-1") for path in file.parent.glob(f"{file.name}*"))
        secrets = [ADMIN_KEY, *(key.split("_", 2)[2] for key in keys)]

    assert hashes == {hashlib.sha256(secret.encode()).digest() for secret in secrets}
    for secret in secrets:
        for form in written_forms(secret):
            assert form.decode("latin-1") not in kept


def test_a_wrong_secret_and_an_unknown_key_are_answered_alike(database_url: str) -> None:
    """Nobody learns which ids are there, and no time says how near a guess came.

    A made key is found by its id, which is no secret. What is compared then are two SHA-256 digests, in constant time.
    A bootstrap key is found by a part of its own SHA-256, so the look-up does compare what depends on a secret, and a
    comparison that stops at the first difference might tell how many leading bits of a digest were right. That is no
    way to a key: whoever tries cannot choose a digest, and each further bit right costs twice the tries of the one
    before; of a secret of 256 random bits nothing nearer is learnt.
    """
    with service(database_url) as api:
        database = database_of(api.client)
        key = create_key(database, scopes=["read"], now=api.clock())
        revoked = create_key(database, scopes=["read"], now=api.clock())
        assert revoke_key(database, revoked, now=api.clock())
        wrong = (
            "qp_" + "0" * 16 + "_" + "x" * 43,
            key[:-1] + ("A" if key[-1] != "A" else "B"),
            revoked,
            ADMIN_KEY + "x",
        )
        answers = [api.call("GET", "/v1/tenants", key=token) for token in wrong]

    assert {(answer.status_code, answer.text, answer.headers["www-authenticate"]) for answer in answers} == {
        (401, answers[0].text, "Bearer")
    }


def test_each_made_key_has_256_random_bits(sqlite_url: str) -> None:
    database = Database.open(sqlite_url)
    with service(sqlite_url) as api:
        secrets = {create_key(database, scopes=["read"], now=api.clock()).split("_", 2)[2] for _ in range(50)}
    database.close()
    assert {len(base64.urlsafe_b64decode(secret + "=")) for secret in secrets} == {32}
    assert len(secrets) == 50


def test_a_revoked_key_opens_nothing_from_the_next_request_on(database_url: str) -> None:
    """Also a bootstrap key, and also after the next start, which registers it again in vain."""
    for _ in range(2):
        with service(database_url) as api:
            status = api.call("GET", "/v1/tenants").status_code
            revoke_key(database_of(api.client), ADMIN_KEY, now=api.clock())
            assert api.call("GET", "/v1/tenants").status_code == 401
    assert status == 401


def test_a_key_that_another_database_made_serves_as_bootstrap_key(database_url: str) -> None:
    """It looks like a made key, and is found as one."""
    made = "qp_0123456789abcdef_" + "s" * 43
    settings = Settings(database_url=database_url, bootstrap_key=made)
    for _ in range(2):
        with TestClient(create_app(settings)) as client:
            assert client.get("/v1/tenants", headers={"Authorization": f"Bearer {made}"}).status_code == 200
            assert client.get("/v1/tenants", headers={"Authorization": f"Bearer {made}x"}).status_code == 401


# --- what is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", BEHIND_A_KEY, ids=lambda route: route.name)
def test_a_problem_says_nothing_of_the_key(told: Any, route: Route) -> None:
    for key in told.keys:
        answer = told.api.call(route.method, filled(route.path, key), key=key, params={"key": key}, body={"key": 1})
        assert answer.status_code in (400, 401, 403, 404, 415, 422), answer.text
        # What stands in the path or in the body is said back; the header never is.
        assert key not in told.api.call(route.method, filled(route.path), key=key).text


@pytest.fixture(scope="module")
def told(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service, and keys with and without rights."""
    file = tmp_path_factory.mktemp("told") / "quotepart.db"
    file.write_bytes(sqlite_template.read_bytes())
    with service(f"sqlite:///{file}") as api:
        database = database_of(api.client)
        made = [create_key(database, scopes=[scope], now=api.clock()) for scope in SCOPES]
        keys = [*made, "qp_0123456789abcdef_" + "z" * 43]
        yield type("Told", (), {"api": api, "keys": keys})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_answers_are_not_kept_and_not_guessed_at(told: Any, route: Route) -> None:
    """Answers hold invoices: no proxy and no browser keeps them, runs them as a page, or shows them to another site."""
    for header in (ADMIN_KEY, "wrong"):
        headers = {"Authorization": f"Bearer {header}", "Origin": "https://elsewhere.example"}
        answer = told.api.client.request(route.method, filled(route.path), headers=headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not route.scopes or answer.headers["cache-control"] == "no-store"
        assert [name for name in answer.headers if name.startswith("access-control-")] == []
        assert "set-cookie" not in answer.headers


class Process:
    """`quotepart serve` in a process of its own, with all that it says in a file."""

    def __init__(self, directory: Path, url: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = directory / "service.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--port", str(self.port)], cwd=ROOT, stdout=log, stderr=log,
                env=os.environ | {"QUOTEPART_DATABASE_URL": url} | environment,
            )  # fmt: skip
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)

    def wait(self) -> None:
        for _ in range(600):
            try:
                if self.client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError("the service did not start")

    def stop(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=40)
        finally:
            self.process.kill()


@contextmanager
def serving(directory: Path, url: str, **environment: str) -> Iterator[Process]:
    process = Process(directory, url, **environment)
    try:
        process.wait()
        yield process
    finally:
        process.stop()


def run(*arguments: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a directory of its own, with the usual umask."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=directory, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, umask=0o022,
    )  # fmt: skip


def command_lines(root: int) -> str:
    """What `ps` shows of the process and of all that it started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return "\n".join((Path("/proc") / str(pid) / "cmdline").read_bytes().decode() for pid in family)


def test_no_log_and_no_process_list_shows_a_key(sqlite_url: str, tmp_path: Path) -> None:
    """A bootstrap key, a made key and a wrong one, sent as they should be and as they should not, at the finest level
    of the log."""
    bootstrap, wrong = "bootstrap-8a6b1f0c52d94e7733", "wrong-44f1c0aa91be77e05d2c"
    database = Database.open(sqlite_url)
    with service(sqlite_url) as api:
        made = create_key(database, scopes=["read"], now=api.clock())
    database.close()
    secrets = (bootstrap, wrong, made.split("_", 2)[2])
    settings = {"QUOTEPART_BOOTSTRAP_KEY": bootstrap, "QUOTEPART_LOG_LEVEL": "debug"}
    with serving(tmp_path, sqlite_url, **settings) as service_process:
        statuses = [
            service_process.client.get(path, headers=headers).status_code
            for key in (bootstrap, made, wrong)
            for path, headers in (
                ("/v1/tenants", {"Authorization": f"Bearer {key}"}),
                ("/v1/tenants", {"Authorization": f"Basic {key}"}),
                (f"/v1/tenants?key={key}", {"Authorization": f"Bearer {key}"}),
                ("/v1/jobs/no-id", {"Authorization": f"Bearer {key}"}),
                ("/metrics", {"Authorization": f"Bearer {key}"}),
            )
        ]
        shown = command_lines(service_process.process.pid)
    logged = service_process.log.read_text()

    assert statuses == [200, 401, 422, 404, 200, 200, 401, 422, 404, 200, 401, 401, 401, 401, 200]
    assert "/v1/tenants" in logged and "serve" in shown
    for secret in secrets:
        assert secret not in logged + shown
        assert hashlib.sha256(secret.encode()).hexdigest() not in logged


def test_a_failing_command_shows_no_password(tmp_path: Path) -> None:
    """The database does not answer: the error names it, and not what opens it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        secrets = {"QUOTEPART_DATABASE_URL": f"postgresql://billing:p4ssw0rd-of-db@127.0.0.1:{port}/nothing",
                   "QUOTEPART_BOOTSTRAP_KEY": "bootstrap-8a6b1f0c52d94e7733",
                   "QUOTEPART_API_KEY": "api-key-77c9d3b2e1"}  # fmt: skip
        for command in (("migrate",), ("serve", "--port", "0"), ("keys", "create", "--scope", "read")):
            failed = run(*command, directory=tmp_path, **secrets)
            assert failed.returncode != 0, command
            for secret in ("p4ssw0rd-of-db", "bootstrap-8a6b1f0c52d94e7733", "api-key-77c9d3b2e1"):
                assert secret not in failed.stdout + failed.stderr, command


def test_an_unexpected_error_tells_nothing_but_that(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The table behind a list is gone: the caller is told neither statement nor place; the log has both."""
    with service(sqlite_url) as api:
        database_of(api.client).write(lambda connection: connection.execute(sa.text("DROP TABLE quarantine")))
        with caplog.at_level(logging.ERROR):
            answer = api.client.get("/v1/quarantine", headers={"Authorization": f"Bearer {ADMIN_KEY}"})

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "/problems/internal-error")
    assert re.search(r"quarantine.*(table|select)|select|sqlite|traceback|\.py", json.dumps(problem), re.I) is None
    assert "no such table" in caplog.text and ADMIN_KEY not in caplog.text


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_of_the_command_line_are_for_their_owner_only(tmp_path: Path) -> None:
    """The database holds who used what and what they owe: with the usual umask nobody else on the machine reads it."""
    assert run("migrate", directory=tmp_path).returncode == 0
    assert run("keys", "create", "--scope", "admin", directory=tmp_path).returncode == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir() if path.stat().st_size}

    assert "quotepart.db" in modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


# --- limits -----------------------------------------------------------------------------------------------------------

NO_LIMITS = ["0", "1001", "0001001", "0000011000", "00000000000000001001", "-1", "+5", "1e2", "1.0", " 5", "",
             "٣", "²", "9" * 30, "1" + "0" * 6000, "x"]  # fmt: skip


@pytest.fixture(scope="module")
def stocked(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Any]]:
    file = tmp_path_factory.mktemp("stocked") / "quotepart.db"
    file.write_bytes(sqlite_template.read_bytes())
    with service(f"sqlite:///{file}") as api:
        yield api, stock(api)["own"]


@pytest.mark.parametrize(
    "route", [route for route in BEHIND_A_KEY if route.method == "GET"], ids=lambda route: route.name
)
def test_no_list_gives_more_than_a_thousand_rows_at_once(stocked: tuple[Api, Any], route: Route) -> None:
    """What answers with a `next_cursor` is a list, and takes a limit of 1 to 1,000 and no other."""
    api, things = stocked
    for ask in route.asks:
        sent = ask.of(things)
        whole = api.call("GET", sent.path, params=sent.query)
        if whole.headers["content-type"] != "application/json" or "next_cursor" not in whole.json():
            continue
        for limit in ("1", "1000"):
            page = api.call("GET", sent.path, params=sent.query | {"limit": limit})
            assert page.status_code == 200, (sent, limit)
            assert len(page.json()["data"]) <= int(limit)
        for limit in NO_LIMITS:
            page = api.call("GET", sent.path, params=sent.query | {"limit": limit})
            assert page.status_code == 422, (sent, limit)
            assert page.json()["errors"][0]["pointer"] == "limit"


def test_there_are_lists(stocked: tuple[Api, Any]) -> None:
    """So that the test above is not one of nothing."""
    api, things = stocked
    asks = [ask.of(things) for route in BEHIND_A_KEY if route.method == "GET" for ask in route.asks]
    lists = {sent.path for sent in asks if "next_cursor" in api.call("GET", sent.path, params=sent.query).text}
    assert len(lists) >= 10


async def streamed(
    app: Any, method: str, path: str, *, headers: dict[str, str], chunk: bytes = b" " * 65536, most: int
) -> tuple[int, int, bytes]:
    """The status that a body gets which does not end before `most` bytes, how much of it was taken, and the answer."""
    taken, status, body = 0, 0, b""

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": taken < most}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "server": ("test", 80), "client": ("test", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "asgi": {"version": "3.0"}, "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return status, taken, body


@contextmanager
def small_service(url: str) -> Iterator[Callable[..., tuple[int, int, bytes]]]:
    """A service that takes events of 1 MiB; what is given streams a body to it."""
    settings = Settings(database_url=url, bootstrap_key=ADMIN_KEY, max_body_bytes=MEBIBYTE)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        assert client.portal is not None
        portal = client.portal

        def send(method: str, path: str, **rest: Any) -> tuple[int, int, bytes]:
            headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
            headers |= rest.pop("headers", {})
            most: int = rest.pop("most", 64 * MEBIBYTE)
            chunk: bytes = rest.pop("chunk", b" " * 65536)

            async def ask() -> tuple[int, int, bytes]:
                return await streamed(client.app, method, path, headers=headers, chunk=chunk, most=most)

            return portal.call(ask)

        yield send


def takes_a_body(route: Route) -> bool:
    """What is sent in bulk has no end: it is worked off as it comes, line by line."""
    return not route.path.endswith(("/issue", "/discard", "/bulk", "/end", "/rotate", "/test"))


def test_a_body_over_its_limit_is_not_read_to_its_end(sqlite_url: str) -> None:
    """At most the limit and one more piece is taken; of a body that says its length beforehand, nothing; and nothing of
    one that comes without a key. A route without a body takes none."""
    with small_service(sqlite_url) as send:
        for route in BEHIND_A_KEY:
            path = filled(route.path)
            status, taken, answer = send(route.method, path)
            if route in WITH_A_BODY and takes_a_body(route):
                assert (status, taken) == (413, MEBIBYTE + 65536), route.name
                assert json.loads(answer)["limit_bytes"] == MEBIBYTE
                status, taken, _ = send(route.method, path, headers={"Content-Length": str(MEBIBYTE + 1)})
                assert (status, taken) == (413, 0), route.name
            else:
                assert 400 <= status < 500 or status == 200, route.name
                assert taken == 0 or route.path.endswith("/bulk"), route.name
            for key in ("", "Bearer wrong"):
                status, taken, _ = send(route.method, path, headers={"Authorization": key})
                assert (status, taken) == (401, 0), route.name


def test_what_a_gzip_body_becomes_is_bounded_too(sqlite_url: str) -> None:
    """256 MiB of spaces in 256 KiB: refused, and never held."""
    bomb = gzip.compress(b" " * (256 * MEBIBYTE), compresslevel=9)
    assert len(bomb) < MEBIBYTE
    with small_service(sqlite_url) as send, bounded_memory(8 * MEBIBYTE):
        status, _, _ = send("POST", "/v1/events", headers={"Content-Encoding": "gzip"}, chunk=bomb, most=1)
        assert status == 413


@contextmanager
def bounded_memory(most: int) -> Iterator[None]:
    """Fails where what is done inside holds more than `most` bytes at once."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak / MEBIBYTE:.1f} MiB"


LARGE = MEBIBYTE // 4


def _large(start: str, piece: str, end: str = "") -> bytes:
    """A body of 256 KiB: within every limit of bytes."""
    return (start + piece * ((LARGE - len(start) - len(end)) // len(piece)) + end).encode()


NASTY: dict[str, bytes] = {
    "arrays in arrays": _large("", "["),
    "arrays closed again": b"[" * (LARGE // 2) + b"]" * (LARGE // 2),
    "objects in objects": _large("", '{"a":'),
    "objects closed again": b'{"a":' * 43_000 + b"1" + b"}" * 43_000,
    "a long number": _large('{"through":', "9", "}"),
    "a long fraction": _large('{"through":0.', "9", "}"),
    "a great exponent": b'{"through":1e999999999999999999,"amount":-1e-999999999999999999,"key":1E400}',
    "a long string": _large('{"name":"', "x", '"}'),
    "a long string of escapes": _large('{"name":"', "\\u00e9", '"}'),
    "a long name": _large('{"', "x", '":1}'),
    "a key of 256": b'{"key":"' + b"k" * 256 + b'","tenant":"' + b"k" * 256 + b'"}',
    "many fields": ("{" + ",".join(f'"f{n}":{n}' for n in range(18_000)) + "}").encode(),
    "many items": _large('{"charges":[{}', ",{}", "]}"),
    "many subjects": _large('{"subjects":[""', ',""', "]}"),
    "many tenants": _large('{"through":"2026-01-01","tenants":["/"', ',"/"', "]}"),
    "one name twice": _large('{"name":1', ',"name":1', "}"),
    "no JSON": _large("", "\x00"),
    "half an event": _large('[{"specversion":"1.0"}', ',{"id":1}', "]"),
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_nothing_inside_the_limits_costs_much_more_than_its_size(sqlite_url: str, name: str) -> None:
    """256 KiB are refused with less than 64 times that, whatever is in them, and with an answer of few times that."""
    with small_service(sqlite_url) as send:
        for route in (route for route in WITH_A_BODY if takes_a_body(route)):
            with bounded_memory(64 * LARGE):
                status, _, answer = send(route.method, filled(route.path), chunk=NASTY[name], most=1)
            assert 400 <= status < 500 or (status, route.path) == (200, "/v1/events"), (route.name, answer[:300])
            assert len(answer) <= 6 * LARGE, (route.name, len(answer))


@pytest.mark.parametrize("length", [256, 100_000])
def test_a_name_in_an_address_has_255_characters_at_most(sqlite_url: str, length: int) -> None:
    with small_service(sqlite_url) as send:
        for route in BEHIND_A_KEY:
            if "{" in route.path:
                status, _, answer = send(route.method, filled(route.path, "k" * length), chunk=b"{}", most=1)
                assert status in (404, 422), (route.name, answer[:200])


def test_a_parameter_may_not_be_endless(stocked: tuple[Api, Any]) -> None:
    """Whatever is asked for in 50,000 characters is refused, or not there; nothing fails."""
    api, things = stocked
    for route in (route for route in BEHIND_A_KEY if route.filters):
        # OpenMeter's clientId is taken, and of no effect.
        for name in {*(route.filters or ()), "cursor", "limit", "surprise"} - {"clientId"}:
            answer = api.call("GET", route.path, params=route.asks[0].of(things).query | {name: "x" * 50_000})
            if answer.headers["content-type"].startswith("text/csv"):
                found = answer.text.splitlines()[1:]
            else:
                said = answer.json()
                found = said.get("data", []) if isinstance(said, dict) else said
            assert answer.status_code in (400, 404, 422) or (answer.status_code, found) == (200, []), (route.name, name)


ENDLESS = {
    "a path": (b"GET /", b"a" * 65536),
    "a header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a" * 65536),
    "headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 8192),
    "trailers": (
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 8192,
    ),
}  # fmt: skip


def test_what_comes_before_a_body_may_not_be_endless(sqlite_url: str, tmp_path: Path) -> None:
    """Nobody needs a key to send a head: it is refused long before it fills the memory, and others are answered."""
    with serving(tmp_path, sqlite_url) as process:
        for name, (start, piece) in ENDLESS.items():
            with socket.create_connection(("127.0.0.1", process.port), timeout=20) as connection:
                connection.sendall(start)
                with pytest.raises(OSError):  # the service has closed the connection
                    for _ in range(512):
                        connection.sendall(piece)
                    pytest.fail(f"{name}: 32 MiB were taken")
            assert process.client.get("/healthz").status_code == 200
