"""The `quotepart demo` command: real charging sessions to issued invoices, on this machine, by the service's own doors.

It keeps its database and files in one directory; run again on what it kept, it adds nothing.
"""

from __future__ import annotations

import csv
import gzip
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import httpx

from app.documents.factur_x import e_invoice_in
from app.importing.record import ImportReport
from app.importing.replay import Progress, connect, run_import

EXAMPLE = Path("examples/charging")
SESSIONS = Path("examples/data/acn_caltech_2019-09_2019-12.csv.gz")
THROUGH = "2020-01-01T08:00:00Z"
"""Midnight of New Year in Los Angeles: the end of the fourth month."""

_START_SECONDS = 60


class DemoFailed(RuntimeError):
    """A step of the demo did not come out as it must."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the demo keeps what it makes."""

    directory: Path

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.directory.resolve() / 'quotepart.db'}"

    @property
    def key_file(self) -> Path:
        return self.directory / "admin.key"

    @property
    def invoices(self) -> Path:
        return self.directory / "invoices"


def admin_key(paths: Paths) -> str:
    """The demo's own admin key, made at its first run."""
    if not paths.key_file.exists():
        paths.key_file.touch(mode=0o600)
        paths.key_file.write_text(secrets.token_urlsafe(32))
    return paths.key_file.read_text().strip()


@contextmanager
def service(paths: Paths) -> Iterator[httpx.Client]:
    """The service in a process of its own on a free port of loopback, ready; stopped at the end."""
    port = _free_port()
    environment = os.environ | {
        "QUOTEPART_DATABASE_URL": paths.database_url, "QUOTEPART_BOOTSTRAP_KEY": admin_key(paths),
    }  # fmt: skip
    log = (paths.directory / "service.log").open("ab")
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own command
    try:
        with connect(f"http://127.0.0.1:{port}") as client:
            client.headers["Authorization"] = f"Bearer {admin_key(paths)}"
            _wait_until_ready(client, process, paths)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], paths: Paths) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DemoFailed(f"the service did not start; its log is {paths.directory / 'service.log'}")


def import_sessions(client: httpx.Client, paths: Paths, on_progress: Any) -> ImportReport:
    """Every session of the file as an event, sent over REST."""

    def show(state: Progress) -> None:
        on_progress(state)

    return run_import(
        SESSIONS, EXAMPLE / "mapping.yaml", client=client, key=admin_key(paths), on_progress=show,
        state_path=paths.directory / "import-state.json", report_path=paths.directory / "not-accepted.csv",
    )  # fmt: skip


def all_pages(client: httpx.Client, path: str, **query: Any) -> list[Any]:
    """All rows of a list, page by page."""
    rows: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = client.get(path, params=query | {"limit": 1000} | ({"cursor": cursor} if cursor else {}))
        answer.raise_for_status()
        rows += answer.json()["data"]
        cursor = answer.json()["next_cursor"]
    return rows


def energy_in_file() -> Decimal:
    """kWh of the claimed sessions, added up from the source file by nothing but csv and Decimal."""
    with gzip.open(SESSIONS, "rt", newline="") as text:
        rows = csv.DictReader(text)
        return sum((Decimal(row["delivered_energy (kWh)"]) for row in rows if row["claimed"] == "True"), Decimal(0))


def energy_by_invoice() -> dict[tuple[str, str], Decimal]:
    """kWh by company and month of arrival, rounded as the meter says: what the invoices must print."""
    with (EXAMPLE / "stations.csv").open(newline="") as text:
        company = {row["station_id"]: row["tenant"] for row in csv.DictReader(text)}
    sums: dict[tuple[str, str], Decimal] = {}
    with gzip.open(SESSIONS, "rt", newline="") as text:
        for row in csv.DictReader(text):
            if row["claimed"] == "True":
                # Arrivals are written in local time: their first seven letters are the month in Los Angeles.
                key = (company[row["station_id"]], row["arrival"][:7])
                sums[key] = sums.get(key, Decimal(0)) + Decimal(row["delivered_energy (kWh)"])
    return {key: kwh.quantize(Decimal("0.001"), ROUND_HALF_UP) for key, kwh in sums.items()}


def energy_invoiced(invoices: list[Any]) -> dict[tuple[str, str], Decimal]:
    """kWh by company and month, as the lines of the issued invoices print them."""
    found: dict[tuple[str, str], Decimal] = {}
    for invoice in invoices:
        for line in invoice["lines"]:
            if line["charge"] == "energy" and invoice["type"] == "invoice":
                key = (invoice["buyer"], line["period"]["start"][:7])
                found[key] = found.get(key, Decimal(0)) + Decimal(line["quantity"])
    return found


def energy_in_usage(client: httpx.Client) -> Decimal:
    answer = client.get("/v1/usage", params={"meter": "energy"})
    answer.raise_for_status()
    return sum((Decimal(row["quantity"]) for row in answer.json()["data"]), Decimal(0))


def save_files(client: httpx.Client, paths: Paths, invoices: list[Any]) -> int:
    """Every issued document as PDF and as e-invoice, under its number and buyer; in how many PDFs the e-invoice is."""
    paths.invoices.mkdir(exist_ok=True)
    inside = 0
    for invoice in invoices:
        name = f"{invoice['number']}-{invoice['buyer']}"
        pdf, xml = (_save_file(client, paths.invoices / f"{name}.{form}", invoice["id"]) for form in ("pdf", "xml"))
        inside += e_invoice_in(pdf) == xml
    return inside


def _save_file(client: httpx.Client, target: Path, invoice_id: str) -> bytes:
    if not target.exists():
        answer = client.get(f"/v1/invoices/{invoice_id}{target.suffix}")
        answer.raise_for_status()
        target.write_bytes(answer.content)
    return target.read_bytes()
