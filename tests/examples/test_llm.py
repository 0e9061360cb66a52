"""Two files of calls to language models come to the tokens and dollars that csv and Decimal come to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.examples.running import example, lines_of, real_file, rows_of, to_cents

FILES = {"kite-editor": "azure_llm_2023_code.csv.gz", "parley-chat": "azure_llm_2023_conv.csv.gz"}


def test_each_file_becomes_its_tenants_invoice(sqlite_url: str, tmp_path: Path) -> None:
    files = {tenant: real_file(name) for tenant, name in FILES.items()}
    with example("llm", sqlite_url, tmp_path) as running:
        for tenant, file in files.items():
            report = running.send(file, key=running.bound_key(tenant))
            assert (report.rows, report.accepted) == (len(rows_of(file)),) * 2
            assert running.not_accepted() == []
        invoices = running.invoices(through="2023-12-01T00:00:00Z")

    totals = {}
    for tenant, file in files.items():
        tokens_in = sum(Decimal(row["ContextTokens"]) for row in rows_of(file))
        tokens_out = sum(Decimal(row["GeneratedTokens"]) for row in rows_of(file))
        million = Decimal(1_000_000)
        first, rest = min(tokens_out, million), max(tokens_out - million, Decimal(0))
        amount_in = to_cents(tokens_in * Decimal("2.50") / million)
        amount_out = to_cents(first * 10 / million) + to_cents(rest * Decimal("7.50") / million)
        assert lines_of(invoices[tenant]) == {"input": (tokens_in, amount_in), "output": (tokens_out, amount_out)}
        totals[tenant] = amount_in + amount_out
    assert {tenant: Decimal(invoice["total"]) for tenant, invoice in invoices.items()} == totals
    # What the README says.
    assert totals == {"kite-editor": Decimal("47.61"), "parley-chat": Decimal("89.06")}
    by_call = (
        to_cents(Decimal(row["ContextTokens"]) * Decimal("0.0000025") + Decimal(row["GeneratedTokens"]) / 100_000)
        for row in rows_of(files["kite-editor"])
    )
    assert sum(by_call) == Decimal("43.17")


def test_a_call_that_cannot_be_counted_is_reported(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n"
        "2023-11-16 18:17:04,many,8\n"
        "yesterday,110,27\n"
        "2023-11-16 18:17:05,110\n"
    )
    with example("llm", sqlite_url, tmp_path) as running:
        report = running.send(file, key=running.bound_key("kite-editor"))
        assert (report.rows, report.accepted, report.unmapped) == (4, 1, 3)
        assert [(row["row"], row["status"]) for row in running.not_accepted()] == [
            ("2", "unmapped"), ("3", "unmapped"), ("4", "unmapped"),
        ]  # fmt: skip
        assert "'many', which is not a number" in running.not_accepted()[0]["detail"]
