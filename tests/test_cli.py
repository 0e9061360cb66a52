"""The command line as somebody types it, in processes of its own."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app import VERSION
from app.cli import MODULES
from app.commands import close
from app.demo import _free_port
from app.operations import run_simulations
from app.settings import Settings
from app.storage import job_store
from app.storage.database import Database
from tests.scenarios.statements import Booking, camt053
from tests.service import PER_UNIT, event, service, set_up

ROOT = Path(__file__).resolve().parents[1]
KEY = "a-bootstrap-key-for-the-tests"


def run(*arguments: str, url: str, expect: int = 0, **environment: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=os.environ | {"QUOTEPART_DATABASE_URL": url} | environment,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done


class Server:
    """`quotepart serve` (or `work`) in a process of its own."""

    def __init__(self, url: str, *arguments: str, command: str = "serve", **environment: str) -> None:
        self.base_url = f"http://127.0.0.1:{_free_port()}"
        port = ("--metrics-port" if command == "work" else "--port", self.base_url.rpartition(":")[2])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", command, *port, *arguments], cwd=ROOT,
            env=os.environ | {"QUOTEPART_DATABASE_URL": url, "QUOTEPART_BOOTSTRAP_KEY": KEY} | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.client = httpx.Client(base_url=self.base_url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        for _ in range(1200):
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


def test_a_database_that_cannot_be_reached_is_one_line_without_its_password() -> None:
    away = "postgresql://me:pass-word@127.0.0.1:1/db"
    for command, url in (
        ("migrate", away), ("serve", away), ("audit", away), ("migrate", "mysql://host/db"), ("serve", "nothing"),
        ("audit", "sqlite:////no/such/place/q.db"),
    ):  # fmt: skip
        refused = run(command, url=url, expect=1)
        assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
        assert "pass-word" not in refused.stderr


def test_a_database_of_a_newer_version_is_left_alone(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in ("migrate", "serve", "audit"):
        refused = run(command, url=sqlite_url, expect=1)
        assert "9999" in refused.stderr and "newer version" in refused.stderr and "Traceback" not in refused.stderr


def test_an_audit_shows_ids_as_their_producers_chose_them(sqlite_url: str) -> None:
    """`[/x]` in one is no markup."""
    with service(sqlite_url) as api:
        set_up(api)
        api.post("/v1/events", [event("[/x]"), event("[red]y")])
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("""UPDATE events SET data = '{"kwh": 1}'""")
    shown = run("audit", url=sqlite_url, expect=1).stdout
    assert "[/x]" in shown and "[red]y" in shown


def test_a_correction_that_fails_makes_close_fail(sqlite_url: str) -> None:
    with service(sqlite_url) as api:
        set_up(api, [PER_UNIT])
        api.post("/v1/events", [event("e-1")])
        api.bill("2026-11-01T00:00:00Z")
        api.post("/v1/events", [event("e-2")])
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE tenants SET operator = 0")
    closed = run("close", "--through", "2026-11-01", "--json", url=sqlite_url, expect=1)
    assert json.loads(closed.stdout)["failures"]


@pytest.mark.parametrize("where", ["run_catalog_jobs", "run_billing"])
def test_a_run_that_is_stopped_is_not_gone_on_with_by_others(
    where: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in `quotepart close`: whoever pressed it does not want the invoices."""
    with service(sqlite_url) as api:
        set_up(api, [PER_UNIT])

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(close, where, interrupted)
    database = Database.open(sqlite_url)
    with pytest.raises(KeyboardInterrupt):
        close.close_all(database, Settings(), through=datetime(2026, 11, 1, tzinfo=UTC))
    assert database.read(lambda connection: job_store.backlog(connection)) == {}
    database.close()
    assert "Stopped" in capsys.readouterr().err
    with service(sqlite_url) as api:
        assert api.invoices() == []
        assert api.bill("2026-11-01T00:00:00Z")["closed"] == 2


def test_a_database_that_is_not_there_is_named_whole(tmp_path: Path) -> None:
    for command in ("audit", "serve"):
        assert f"{tmp_path / 'no.db'}" in run(command, url=f"sqlite:///{tmp_path / 'no.db'}", expect=1).stderr
    assert f"{tmp_path / 'no.db'} is at" in run("migrate", url=f"sqlite:///{tmp_path / 'no.db'}").stderr


def test_a_file_that_is_no_database_or_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    prints, other = tmp_path / "prints.csv", tmp_path / "other.db"
    prints.write_text("job,ended\n1,2\n" * 1000)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE albums (name)")
    for file, why in ((prints, "not a database"), (other, "another program")):
        before = sqlite3.connect(file).execute("SELECT name FROM sqlite_master").fetchall() if file is other else None
        refused = run("migrate", url=f"sqlite:///{file}", expect=1)
        assert why in refused.stderr and "Traceback" not in refused.stderr
        if before is not None:
            assert sqlite3.connect(file).execute("SELECT name FROM sqlite_master").fetchall() == before
    assert prints.read_text() == "job,ended\n1,2\n" * 1000
    assert "not a database" in findings(f"sqlite:///{prints}", expect=1)["database"][1]


def test_a_misspelt_setting_is_told_at_once(sqlite_url: str) -> None:
    told = run("audit", url=sqlite_url, QUOTEPART_DATABSE_URL="x").stderr
    assert "QUOTEPART_DATABSE_URL" in told and "did you mean QUOTEPART_DATABASE_URL?" in told


def test_a_port_that_is_taken_is_told_before_anything_starts(sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments in (("serve", "--port", port), ("work", "--metrics-port", port)):
            refused = run(*arguments, url=sqlite_url, expect=1)
            assert f"127.0.0.1:{port}" in refused.stderr and "started" not in refused.stderr


def test_keys_are_listed_without_their_secrets(sqlite_url: str) -> None:
    token = run("keys", "create", "--scope", "read", "--name", "reporting", url=sqlite_url).stdout.strip()
    run("keys", "revoke", token, url=sqlite_url)
    listed = run("keys", "list", "--json", url=sqlite_url).stdout
    (key,) = json.loads(listed)
    assert (key["key"], key["name"], key["scopes"]) == (token.split("_")[1], "reporting", ["read"])
    assert key["revoked_at"] is not None
    assert token.split("_", 2)[2] not in listed + run("keys", "list", url=sqlite_url).stdout


def test_what_cannot_be_written_is_one_line(sqlite_url: str, tmp_path: Path) -> None:
    for command in ("openapi", "catalog-schema"):
        refused = run(command, "--output", str(tmp_path / "no" / "file.json"), url=sqlite_url, expect=1)
        assert "cannot write" in refused.stderr and "Traceback" not in refused.stderr


def test_a_command_that_there_is_not_is_told_with_what_there_is(sqlite_url: str) -> None:
    assert "No such command" in run("bill", url=sqlite_url, expect=2).stderr
    shown = run("--help", url=sqlite_url).stdout
    assert all(name in shown for name in MODULES)
    assert run("--version", url=sqlite_url).stdout.strip() == VERSION


@pytest.mark.parametrize(
    "asked",
    [
        {"_QUOTEPART_COMPLETE": "complete_bash", "COMP_WORDS": "quotepart ", "COMP_CWORD": "1"},
        {"_QUOTEPART_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "quotepart "},
        {"_QUOTEPART_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "quotepart ",
         "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    ],
)  # fmt: skip
def test_a_shell_completes_commands(sqlite_url: str, asked: dict[str, str]) -> None:
    completed = run(url=sqlite_url, expect=0, **asked).stdout
    assert "migrate" in completed and "doctor" in completed


def findings(url: str, expect: int = 0, **environment: str) -> dict[str, tuple[str, str]]:
    found = json.loads(run("doctor", "--json", url=url, expect=expect, **environment).stdout)
    return {item["what"]: (item["state"], item["found"]) for item in found}


def test_doctor_finds_nothing_wrong_with_a_fresh_database(sqlite_url: str) -> None:
    found = findings(sqlite_url)
    assert {state for state, _ in found.values()} <= {"good", "mind"}
    assert {"settings", "time zones", "database", "schema", "durability", "clock", "jobs", "audit", "disk"} <= set(
        found
    )
    assert run("doctor", "--quiet", url=sqlite_url).stdout == ""


def test_doctor_warns_of_a_server_that_may_lose_what_it_acknowledged(postgresql_database_url: str) -> None:
    """The server that the tests bring does not wait for its disk, to be fast."""
    with psycopg.connect(postgresql_database_url) as connection:
        waits = connection.execute("SHOW fsync").fetchone() == ("on",)
    found = findings(postgresql_database_url, expect=0 if waits else 1)
    assert found["durability"][0] == ("good" if waits else "wrong")
    assert waits or "fsync = off" in found["durability"][1]
    assert found["schema"][0] == found["clock"][0] == "good"


def test_doctor_names_what_is_wrong(sqlite_url: str, empty_url: str) -> None:
    assert findings(empty_url, expect=1)["database"][0] == "wrong"
    assert "QUOTEPART_MAX_EVENT" in findings(sqlite_url, expect=1, QUOTEPART_MAX_EVENT="5")["settings"][1]
    assert findings(sqlite_url, expect=1, QUOTEPART_MAX_EVENTS="many")["settings"][0] == "wrong"
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP INDEX ix_jobs_status_due_at")
    state, what = findings(sqlite_url, expect=1)["schema"]
    assert state == "wrong" and "ix_jobs_status_due_at" in what


def test_doctor_sees_an_audit_that_found_something(sqlite_url: str) -> None:
    assert findings(sqlite_url)["audit"][0] == "mind"
    run("audit", url=sqlite_url)
    assert findings(sqlite_url)["audit"][0] == "good"
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE audits SET differences = 3")
    assert findings(sqlite_url, expect=1)["audit"][0] == "wrong"


def test_jobs_run_apart_where_serve_is_told_to_leave_them(sqlite_url: str) -> None:
    """A billing run waits until `quotepart work` takes it, and its figures are in that process's /metrics."""
    server = Server(sqlite_url, QUOTEPART_RUN_JOBS="no")
    started = server.client.post("/v1/billing-runs", json={"through": "2026-01-01T00:00:00Z", "issue": True}).json()
    time.sleep(1.5)
    run_path = f"/v1/billing-runs/{started['id']}"
    assert server.client.get(run_path).json()["status"] == "running"
    assert 'quotepart_jobs_waiting{kind="billing_run"} 1.0' in server.client.get("/metrics").text

    worker = Server(sqlite_url, command="work")
    for _ in range(300):
        if server.client.get(run_path).json()["status"] == "done":
            break
        time.sleep(0.1)
    assert server.client.get(run_path).json()["status"] == "done"
    assert 'quotepart_jobs_waiting{kind="billing_run"} 0.0' in worker.client.get("/metrics").text
    assert worker.client.get("/v1/tenants").status_code == 404
    worker.stop()
    server.stop()


def test_quiet_says_nothing_but_what_is_wrong(sqlite_url: str, tmp_path: Path) -> None:
    catalog = "examples/charging/catalog.yaml"
    for arguments in (
        ("migrate",), ("apply", catalog), ("close", "--through", "2019-01-01"), ("audit",),
        ("backup", str(tmp_path / "copy.db")),
    ):  # fmt: skip
        done = run(*arguments, "--quiet", url=sqlite_url)
        assert (done.stdout, done.stderr) == ("", "")
    assert "future" in run("close", "--through", "2999-01-01", "--quiet", url=sqlite_url, expect=1).stderr


def test_a_backup_is_a_database_of_its_own(sqlite_url: str, tmp_path: Path) -> None:
    run("apply", "examples/charging/catalog.yaml", url=sqlite_url)
    made = json.loads(run("backup", str(tmp_path / "copy.db"), "--json", url=sqlite_url).stdout)
    assert made["size_bytes"] == (tmp_path / "copy.db").stat().st_size
    assert json.loads(run("audit", "--json", url=f"sqlite:///{tmp_path / 'copy.db'}").stdout)["clean"] is True
    assert "--replace" in run("backup", str(tmp_path / "copy.db"), url=sqlite_url, expect=1).stderr
    run("backup", str(tmp_path / "copy.db"), "--replace", url=sqlite_url)


def test_a_backup_of_postgresql_is_left_to_its_own_tool(postgresql_database_url: str, tmp_path: Path) -> None:
    refused = run("backup", str(tmp_path / "copy"), url=postgresql_database_url, expect=1)
    assert "pg_dump" in refused.stderr


def test_explain_says_why_by_the_number_of_the_document(database_url: str) -> None:
    with service(database_url) as api:
        set_up(api, [PER_UNIT], start="2026-10-01")
        api.post("/v1/events", [event("1")])
        api.bill("2026-11-01T00:00:00Z")
    told = run("explain", "2026-000001", "ln_1", "--language", "en", url=database_url).stdout.splitlines()
    assert told[0] == "energy, 1 – 31 October 2026"
    assert "Price per unit: 7.25 kWh × €0.30 = €2.18" in told
    facts = json.loads(run("explain", "2026-000001", "--json", "--by", "hour", url=database_url).stdout)
    assert [(item["line"], item["amount"], item["use"]["window"]) for item in facts] == [("ln_1", "2.18", "hour")]
    assert "no line ln_9" in run("explain", "2026-000001", "ln_9", url=database_url, expect=1).stderr
    assert "no document" in run("explain", "2026-000009", url=database_url, expect=1).stderr


def test_simulate_compares_a_plan_in_a_file_and_writes_nothing_down(database_url: str, tmp_path: Path) -> None:
    with service(database_url) as api:
        set_up(api, [PER_UNIT], start="2026-10-01")
        api.post("/v1/events", [event("1")])
    file, picture = tmp_path / "dearer.yaml", tmp_path / "dearer.svg"
    file.write_text(
        "currency: EUR\ninterval: month\n"
        "charges: [{key: energy, meter: energy, model: {type: per_unit, unit_price: 1}}]\n"
    )
    dates = ("--start", "2026-10-01", "--end", "2026-11-01")
    told = run("simulate", str(file), *dates, "--svg", str(picture), url=database_url).stdout
    assert all(text in told for text in ("1 tenants, net amounts in EUR", "energy", "2.18", "7.25", "5.07", "acme"))
    assert "dearer instead of what is in force" in picture.read_text()
    facts = json.loads(run("simulate", str(file), *dates, "--against", "standard", "--json", url=database_url).stdout)
    assert [(row["tenant"], row["old"], row["new"]) for row in facts["data"]] == [("acme", "2.18", "7.25")]
    table = run("simulate", str(file), *dates, "--csv", url=database_url).stdout.splitlines()
    assert table[1] == "acme,energy,energy,kWh,7.25,2.18,7.25,7.25,5.07,EUR"
    assert "neither a file nor a plan" in run("simulate", "nothing", *dates, url=database_url, expect=1).stderr
    database = Database.open(database_url)
    try:
        assert database.read(lambda connection: job_store.unfinished(connection, (run_simulations.JOB_KIND,))) == []
    finally:
        database.close()


def test_documents_are_exported_to_a_file_that_is_whole_or_not_there(sqlite_url: str, tmp_path: Path) -> None:
    """One invoice of 2.18 for 7.25 kWh at 0.30, as CSV on stdout, as a workbook, as compressed FOCUS data."""
    with service(sqlite_url) as api:
        set_up(api, [PER_UNIT], start="2026-10-01")
        api.post("/v1/events", [event("1")])
        api.bill("2026-11-01T00:00:00Z")
        served = api.call("GET", "/v1/exports/documents.csv").text
    told = run("export", "documents", "--from", "2026-11-23", "--seller", "garage", url=sqlite_url)
    assert told.stdout == served.replace("\r\n", "\n")
    assert ",2.18," in told.stdout
    book, focus = tmp_path / "lines.xlsx", tmp_path / "focus.csv.gz"
    told = run("export", "lines", "--output", str(book), url=sqlite_url)
    assert (told.stdout, told.stderr) == ("", f"{book.stat().st_size} bytes in {book}\n")
    assert book.read_bytes()[:2] == b"PK"
    run("export", "focus", "--output", str(focus), "--quiet", "--type", "invoice", url=sqlite_url)
    assert gzip.decompress(focus.read_bytes()).startswith(b"BilledCost,BillingAccountId")
    run("export", "sales-journal", "--from", "2026-11-01", "--output", str(tmp_path), url=sqlite_url)
    (journal,) = tmp_path.glob("FEC*.txt")
    assert journal.read_text().splitlines()[1].split("\t")[4:7] == ["411000", "Clients", "acme"]
    run("export", "sales-journal", "--buyer", "acme", url=sqlite_url, expect=2)
    told = json.loads(run("export", "month-end", "--as-of", "2026-11-23", url=sqlite_url).stdout)
    assert (told["seller"], told["aged"][0]["total"]) == ("garage", "2.18")
    run("export", "month-end", "--as-of", "2026-11-23", "--output", str(tmp_path / "end.xlsx"), url=sqlite_url)
    run("export", "month-end", "--from", "2026-11-23", url=sqlite_url, expect=2)
    assert run("export", "documents", "--to", "2026-11-23", url=sqlite_url).stdout.count("\n") == 1
    for wrong in (("--format", "xml"), ("--from", "monday"), ("--currency", "euro")):
        run("export", "documents", *wrong, url=sqlite_url, expect=2)
    assert "nobody" in run("export", "documents", "--buyer", "nobody", url=sqlite_url, expect=1).stderr
    run("export", "documents", "--output", str(tmp_path / "none" / "x.csv"), url=sqlite_url, expect=1)
    assert sorted(path.name for path in tmp_path.glob("*.csv*")) == ["focus.csv.gz"]


# --- bank statements --------------------------------------------------------------------------------------------------


def test_a_bank_statement_is_read_from_a_file_and_pays_once(sqlite_url: str, tmp_path: Path) -> None:
    """42.00 for the invoice, and 1.00 of nobody: the second time nothing is new. A CSV pays the rest."""
    with service(sqlite_url) as api:
        set_up(api, [{"key": "access", "model": {"type": "flat", "amount": "50.00"}}], start="2026-10-01")
        api.bill("2026-11-01T00:00:00Z")
        (invoice,) = api.invoices()
    statement, table, mapping = tmp_path / "bank.xml", tmp_path / "bank.csv", tmp_path / "bank.yaml"
    statement.write_bytes(camt053(Booking("42.00", text=invoice["number"]), Booking("1.00", text="who is it?")))
    table.write_text(f"when;sum;what\n05/11/2026;8,00;{invoice['number']}\n")
    mapping.write_text("{date: when, amount: sum, text: what, skip_lines: 0}")

    first = run("bank", str(statement), url=sqlite_url)
    again = json.loads(run("bank", str(statement), "--json", url=sqlite_url).stdout)
    rest = json.loads(run("bank", str(table), "--mapping", str(mapping), "--json", url=sqlite_url).stdout)

    assert first.stdout.startswith("2 entries, 2 new: 1 payments, 0 reversals, 1 unmatched, 0 ignored.")
    assert "2026-11-05 1.00 EUR  who is it?" in first.stderr
    assert (again["new"], again["duplicates"], again["matched"]) == (0, 2, 0)
    assert (rest["format"], rest["matched"]) == ("csv", 1)
    with service(sqlite_url) as api:
        assert api.get(f"/v1/invoices/{invoice['id']}")["due"] == "0.00"
    refused = run("bank", str(tmp_path / "none.xml"), url=sqlite_url, expect=1)
    assert "cannot be opened" in refused.stderr
