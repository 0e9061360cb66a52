"""The command line as somebody types it, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo import _free_port

ROOT = Path(__file__).resolve().parents[1]
KEY = "a-bootstrap-key-for-the-tests"


def run(*arguments: str, url: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=os.environ | {"QUOTEPART_DATABASE_URL": url} | environment,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done


class Server:
    """`quotepart serve` in a process of its own."""

    def __init__(self, url: str, *arguments: str) -> None:
        self.base_url = f"http://127.0.0.1:{_free_port()}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", self.base_url.rpartition(":")[2], *arguments], cwd=ROOT,
            env=os.environ | {"QUOTEPART_DATABASE_URL": url, "QUOTEPART_BOOTSTRAP_KEY": KEY},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.client = httpx.Client(base_url=self.base_url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        for _ in range(300):
            try:
                if self.client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None
            time.sleep(0.1)
        raise AssertionError("the service did not start")

    def stop(self) -> None:
        """Asks it to end; it does, after what is in flight, by the signal itself or with 0."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) in (0, -signal.SIGTERM)


@pytest.fixture
def empty_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fresh.db'}"


def test_a_service_refuses_a_schema_that_is_behind_and_says_what_to_do(empty_url: str) -> None:
    refused = run("serve", url=empty_url, expect=1)
    assert "quotepart migrate" in refused.stderr
    run("migrate", url=empty_url)
    run("migrate", url=empty_url)
    assert json.loads(run("audit", "--json", url=empty_url).stdout)["clean"] is True


def test_keys_are_shown_once_and_open_the_service(sqlite_url: str) -> None:
    token = run("keys", "create", "--scope", "read", url=sqlite_url).stdout.strip()
    run("keys", "create", "--scope", "everything", url=sqlite_url, expect=2)
    run("keys", "create", "--scope", "read", "--tenant", "nobody", url=sqlite_url, expect=1)
    server = Server(sqlite_url)
    answer = server.client.get("/v1/tenants", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    server.stop()


def test_a_setting_that_cannot_be_is_named(sqlite_url: str) -> None:
    refused = run("audit", url=sqlite_url, expect=2, QUOTEPART_MAX_EVENTS="many")
    assert "QUOTEPART_MAX_EVENTS" in refused.stderr


def test_the_example_goes_from_file_to_invoices(sqlite_url: str, tmp_path: Path) -> None:
    """Apply, import, close and audit the charging example as its README says; a second round changes nothing."""
    catalog = "examples/charging/catalog.yaml"
    assert "would be" in run("apply", catalog, "--dry-run", url=sqlite_url).stdout.lower()
    changes = json.loads(run("apply", catalog, "--json", url=sqlite_url).stdout)
    assert {change["action"] for change in changes} == {"created", "published"}
    again = json.loads(run("apply", catalog, "--json", url=sqlite_url).stdout)
    assert {change["action"] for change in again} == {"unchanged"}

    server = Server(sqlite_url, "--workers", "2")
    arguments = (
        "import", "examples/data/acn_caltech_2019-09_2019-12.csv.gz", "--mapping", "examples/charging/mapping.yaml",
        "--url", server.base_url, "--report", str(tmp_path / "report.csv"),
        "--state", str(tmp_path / "state"), "--json",
    )  # fmt: skip
    report = json.loads(run(*arguments, url=sqlite_url, QUOTEPART_API_KEY=KEY).stdout)
    assert (report["events"], report["accepted"], report["quarantined"]) == (3177, 2636, 541)
    text = server.client.get("/metrics").text
    assert 'quotepart_events_total{outcome="accepted"} 2636.0' in text
    server.stop()

    closed = json.loads(run("close", "--through", "2020-01-01T08:00:00Z", "--json", url=sqlite_url).stdout)
    assert (closed["periods_due"], closed["closed"], closed["failed"]) == (48, 48, 0)
    again_closed: Any = json.loads(run("close", "--through", "2020-01-01T08:00:00Z", "--json", url=sqlite_url).stdout)
    assert again_closed["periods_due"] == 0
    audit = json.loads(run("audit", "--json", url=sqlite_url).stdout)
    assert (audit["clean"], audit["documents"], audit["unpriced"]) == (True, 48, [])

    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE buckets SET sum = '0' WHERE rowid = 7 AND sum IS NOT NULL OR rowid = 8")
    differs = json.loads(run("audit", "--json", url=sqlite_url, expect=1).stdout)
    assert {item["table"] for item in differs["differences"]} == {"buckets"}


def test_a_catalog_with_faults_is_refused_by_line(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text("tenants:\n  acme:\n    name: Acme\n    currency: XYZ\n    colour: red\n")
    refused = run("apply", str(file), url=sqlite_url, expect=1)
    assert f"{file}:4" in refused.stderr
    assert f"{file}:5" in refused.stderr
