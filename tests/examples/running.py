"""An example as its `run.sh` runs it, in one process: apply the catalog, import, bill what has ended, audit.

The files of usage lie beside the project, in `../shared/data`; a test that reads them is skipped where they are absent.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from app.commands.apply import apply_file
from app.importing.record import ImportReport
from app.importing.replay import run_import
from app.operations.audit_books import audit_books
from app.operations.authenticate import create_key
from app.settings import Settings
from app.storage.database import Database
from tests.service import ADMIN_KEY, Api, service

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


def real_file(name: str) -> Path:
    """A file of real usage. Skips the test where it is absent."""
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is absent")
    return DATA / name


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows, read by nothing of the project."""
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


class Example:
    """One of `examples/` on a database of the test's own, its catalog applied."""

    def __init__(self, name: str, api: Api, database: Database, directory: Path) -> None:
        self.api = api
        self.database = database
        self.report_path = directory / "not-accepted.csv"
        self._mapping = ROOT / "examples" / name / "mapping.yaml"

    def bound_key(self, tenant: str) -> str:
        """A key with which usage can be sent for that tenant, and for no other."""
        return create_key(self.database, scopes=["ingest"], tenant=tenant, now=datetime.now(UTC))

    def send(self, file: Path, *, key: str = ADMIN_KEY) -> ImportReport:
        state_path = self.report_path.with_name("state.json")
        return run_import(
            file, self._mapping, client=self.api.client, key=key, report_path=self.report_path, state_path=state_path
        )

    def not_accepted(self) -> list[dict[str, str]]:
        """The rows of the last import's report."""
        return rows_of(self.report_path)

    def invoices(self, *, through: str) -> dict[str, Any]:
        """What was issued, by buyer, after everything due was billed and an audit found nothing."""
        run = self.api.bill(through)
        assert (run["status"], run["failed"], run["unpriced"]) == ("done", 0, []), run
        audit = audit_books(self.database, now=datetime.now(UTC))
        assert (audit.is_clean, audit.unpriced) == (True, []), audit
        issued = self.api.invoices(limit=1000)
        by_buyer = {invoice["buyer"]: invoice for invoice in issued}
        assert len(by_buyer) == len(issued)
        return by_buyer


@contextmanager
def example(name: str, url: str, directory: Path) -> Iterator[Example]:
    """The example beside a running service."""
    database = Database.open(url)
    try:
        apply_file(database, Settings(database_url=url), ROOT / "examples" / name / "catalog.yaml")
        with service(url) as api:
            yield Example(name, api, database, directory)
    finally:
        database.close()


def lines_of(invoice: Any) -> dict[str, tuple[Decimal, Decimal]]:
    """Quantity and amount by charge."""
    return {line["charge"]: (Decimal(line["quantity"]), Decimal(line["amount"])) for line in invoice["lines"]}
