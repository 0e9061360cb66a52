"""Each plan of `examples/plans/` bills its events as its README works out by hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from app.commands.apply import apply_file
from app.operations.audit_books import audit_books
from app.settings import Settings
from app.storage.database import Database
from tests.examples.running import ROOT
from tests.examples.test_scripts import free_port
from tests.service import service

PLANS = ROOT / "examples" / "plans"
NAMES = sorted(catalog.parent.name for catalog in PLANS.glob("*/catalog.yaml"))
NOW, THROUGH = "2025-12-02T00:00:00+00:00", "2025-12-01"
WORKED = re.compile(r"^```text\n(invoice of .+?)\n```$", re.MULTILINE | re.DOTALL)


def worked(name: str) -> list[str]:
    """The invoices that the example's README shows."""
    found = WORKED.findall((PLANS / name / "README.md").read_text())
    assert found, f"examples/plans/{name}/README.md works out no invoice"
    return found


def printed(invoice: Any) -> str:
    """An invoice as the READMEs write it."""
    return "\n".join([f"invoice of {invoice['buyer']}", *_lines(invoice), _sums(invoice)])


def _lines(invoice: Any) -> Iterator[str]:
    for line in invoice["lines"]:
        yield f"{line['description']}: {line['quantity']} {line['unit']}".strip()
        for part in line["components"]:
            yield f"  {part['description']}: {part['quantity']} x {part['unit_price']} = {part['amount']}"
        for off in line["allowances"]:
            yield f"  {off['description']}: -{off['amount']}"
        yield f"  {line['amount']}"


def _sums(invoice: Any) -> str:
    [tax] = invoice["tax"]
    return (
        f"net {invoice['net']}, VAT {tax['rate']} % of {tax['base']} is {tax['amount']}: "
        f"{invoice['total']} {invoice['currency']}"
    )


def billed(name: str, url: str) -> list[Any]:
    """What was issued last for each buyer, by buyer, after everything due was billed and an audit found nothing."""
    database = Database.open(url)
    try:
        apply_file(database, Settings(database_url=url), PLANS / name / "catalog.yaml")
        with service(url, NOW) as api:
            lines = (PLANS / name / "events.jsonl").read_bytes()
            answer = api.call("POST", "/v1/events", content=lines, headers={"Content-Type": "application/x-ndjson"})
            assert answer.json()["accepted"] == len(lines.splitlines()), answer.text
            run = api.bill(THROUGH)
            assert (run["status"], run["failed"], run["unpriced"]) == ("done", 0, []), run
            audit = audit_books(database, now=datetime.now(UTC))
            assert (audit.is_clean, audit.unpriced) == (True, []), audit
            last = {invoice["buyer"]: invoice for invoice in api.invoices(limit=1000)}
        return [last[buyer] for buyer in sorted(last)]
    finally:
        database.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_invoice_is_the_one_that_the_readme_works_out(name: str, sqlite_url: str) -> None:
    assert [printed(invoice) for invoice in billed(name, sqlite_url)] == worked(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_readme_multiplies_and_adds_is_right(name: str) -> None:
    """Every `a x b = c` of a worked invoice, rounded half up, and every sum of its lines and of its total: by the
    numbers that stand there alone."""
    for text in worked(name):
        *lines, sums = text.splitlines()[1:]
        net = sum(_checked(lines), Decimal(0))
        found = re.fullmatch(r"net (\S+), VAT (\S+) % of (\S+) is (\S+): (\S+) EUR", sums)
        assert found is not None, sums
        said, rate, base, tax, total = (Decimal(item) for item in found.groups())
        assert (said, base, tax, total) == (net, net, _cents(net * rate / 100), net + tax)


def _checked(lines: list[str]) -> Iterator[Decimal]:
    """The amount of each line, after its parts were found to come to it."""
    parts = Decimal(0)
    for line in lines:
        product = re.fullmatch(r"  .+: (\S+) x (\S+) = (\S+)", line)
        if product:
            assert Decimal(product[3]) == _cents(Decimal(product[1]) * Decimal(product[2])), line
            parts += Decimal(product[3])
        elif off := re.fullmatch(r"  .+: -(\S+)", line):
            parts -= Decimal(off[1])
        elif line.startswith("  "):
            assert Decimal(line) == parts, line
            yield parts
            parts = Decimal(0)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_every_plan_of_the_list_is_there() -> None:
    readme = (PLANS / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[[^]]+\]\(([a-z0-9-]+)/README\.md\)", readme, re.MULTILINE)) == NAMES


def test_one_command_bills_an_example(tmp_path: Path) -> None:
    """`examples/plans/bill.sh api`, as a person types it."""
    own = {"WORK": str(tmp_path), "PORT": str(free_port()), "QUOTEPART": f"{sys.executable} -m app"}
    done = subprocess.run(
        [PLANS / "bill.sh", "api"], capture_output=True, text=True, env=os.environ | own, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "invoices.json").read_text())["data"][-1]["total"] == "724.80"
    assert done.stdout.splitlines()[-1].endswith("clean.")
