"""Exported documents prove themselves without the service, and a change of any byte is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.commands.verify import commands as verify_commands
from app.domain.sealed_documents import FORMAT
from app.operations.export_series import export_series
from app.operations.verify_documents import Verified, verify_documents
from app.storage import tenant_store
from tests.service import ACME, OPERATOR, Api, event, set_up

PARIS = {"line1": "1 rue de la Paix", "postcode": "75002", "city": "Paris", "country": "FR"}
GARAGE = OPERATOR | {
    "legal": {"name": "Garage SAS", "vat_number": "FR44732829320", "address": PARIS, "vat_regime": "on_debits",
              "contacts": [{"name": "A"}], "payment_terms": {"days": 10}},
}  # fmt: skip
TIERS = [{"up_to": "5", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.123456"}]
CHARGES = [
    {"key": "energy", "meter": "energy", "model": {"type": "graduated", "tiers": TIERS}, "minimum": "1.00",
     "discount": {"percent": "10"}, "supply": "electricity", "place": "FR"},
    {"key": "access", "model": {"type": "flat", "amount": "19.99"}, "tax": "reduced"},
]  # fmt: skip


def series_of(api: Api) -> list[bytes]:
    """Two invoices, and two credit notes on the first: one of late use, one by hand."""
    api.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"})
    api.put("/v1/tax-rates/reduced", {"category": "S", "rate": "5.5", "country": "FR", "start": "2014-01-01"})
    set_up(api, CHARGES)
    api.put("/v1/tenants/garage", GARAGE | {"tax": "standard"})
    api.put("/v1/tenants/acme", ACME | {"delivery_address": PARIS, "cost_centre": "4711"})
    api.post("/v1/credit-grants", {"tenant": "acme", "kind": "promotional", "amount": "3.00", "description": "Welcome"})
    api.post("/v1/events", [event(f"s-{day}", time=f"2026-09-0{day}T10:00:00Z") for day in (5, 6, 7)])
    api.bill("2026-10-01T00:00:00Z")
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "s-6", "reason": "wrong"})
    api.bill("2026-11-01T00:00:00Z")
    first = api.invoices(type="invoice")[0]
    api.post(f"/v1/invoices/{first['id']}/credit-notes", {"reason": "goodwill", "amount": "1.00"})
    database = api.client.app.state.database  # type: ignore[attr-defined]
    seller = database.read(lambda connection: tenant_store.find(connection, "garage"))
    rows = list(export_series(database, seller.tenant_id))
    assert len(rows) == len(api.invoices(status="issued")) == 4
    return rows


def whats(found: Verified) -> list[str]:
    return [fault.what for fault in found.faults]


def test_a_series_is_all_as_issued_and_so_is_each_document_of_it(api: Api) -> None:
    rows = series_of(api)
    found = verify_documents(rows)
    assert (found.faults, found.documents) == ([], 4)
    assert found.lines == sum(len(one["lines"]) for one in api.invoices())
    for row in rows:
        assert verify_documents([row]).faults == []
    stored = json.loads(rows[0])
    assert (stored["format"], stored["sequence"]) == (FORMAT, 1)
    answer = api.call("GET", f"/v1/invoices/{stored['content']['id']}.canonical.json")
    assert answer.content == rows[0], "over HTTP it is the same to the byte"
    assert answer.headers["content-disposition"] == 'inline; filename="2026-000001.canonical.json"'


def test_a_draft_proves_nothing(api: Api) -> None:
    set_up(api, CHARGES[:1])
    api.bill("2026-10-01T00:00:00Z", issue=False)
    draft = api.invoices()[0]
    assert api.call("GET", f"/v1/invoices/{draft['id']}.canonical.json").status_code == 409


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda whole: whole["content"].update(total="1"), "content/total"),
        (lambda whole: whole["content"].update(due_date="2030-01-01"), "content/due_date"),
        (lambda whole: whole["content"]["seller"].update(vat_number="FR1"), "content/seller"),
        (lambda whole: whole["content"]["seller"].update(vat_regime="on_payment"), "content/seller"),
        (lambda whole: whole["content"].update(cost_centre="4712"), "content/cost_centre"),
        (lambda whole: whole["content"].pop("delivery_address"), "content/delivery_address"),
        (lambda whole: whole["content"]["lines"][0].update(supply="goods"), "content/lines/ln_1"),
        (lambda whole: whole["content"]["lines"][1].update(amount="18.99"), "content/lines/ln_2"),
        (lambda whole: whole["traces"]["ln_1"]["usage"].update(total="100"), "traces/ln_1"),
        (lambda whole: whole["traces"]["ln_1"]["tax"].update(why="named"), "traces/ln_1"),
        (lambda whole: whole.update(hash="0" * 64), "hash"),
        (lambda whole: whole["digests"].pop("seller"), "content/seller"),
    ],
)
def test_a_changed_part_is_named(api: Api, change: Any, named: str) -> None:
    rows = series_of(api)
    whole = json.loads(rows[0])
    change(whole)
    rows[0] = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    found = verify_documents(rows)
    assert named in whats(found)
    assert {fault.line for fault in found.faults} <= {1, 2}


def test_who_changes_an_amount_and_all_digests_is_found_out_by_the_hash_and_by_the_sum(api: Api) -> None:
    """18.99 in place of 19.99, with new digests and a new hash: the components say 19.99, and the next does not fit."""
    from hashlib import sha256

    from app.domain.invoices import canonical
    from app.domain.sealed_documents import part_digests

    rows = series_of(api)
    whole = json.loads(rows[0])
    whole["content"]["lines"][1]["amount"] = "18.99"
    whole["digests"] = part_digests(whole["content"])
    whole["hash"] = sha256(canonical(whole["content"])).hexdigest()
    rows[0] = canonical(whole) + b"\n"
    assert set(whats(verify_documents(rows))) >= {"lines/ln_2: sum of components", "net", "previous_hash"}


def test_a_document_that_is_missing_or_moved_is_noticed(api: Api) -> None:
    rows = series_of(api)
    assert whats(verify_documents([rows[0], *rows[2:]])) == ["sequence", "previous_hash", "number"]
    assert "number" in whats(verify_documents([rows[1], rows[0], *rows[2:]]))
    assert verify_documents(rows[1:]).faults == [], "a part of a series may begin anywhere"


def test_any_byte_that_is_changed_is_noticed(api: Api) -> None:
    rows = series_of(api)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(min_value=0, max_value=len(rows[0]) - 2), st.integers(min_value=1, max_value=255))
    def hold(at: int, by: int) -> None:
        text = bytearray(rows[0])
        text[at] ^= by
        assert not verify_documents([bytes(text)]).passed

    hold()


def test_the_command_says_which_line_and_what(api: Api, tmp_path: Path) -> None:
    rows = series_of(api)
    whole, broken, spaced = tmp_path / "series.ndjson", tmp_path / "broken.ndjson", tmp_path / "spaced.json"
    whole.write_bytes(b"".join(rows))
    broken.write_bytes(b"".join(rows).replace(b'"Garage SAS"', b'"Garage SA"', 1))
    spaced.write_text(json.dumps(json.loads(rows[0])))
    runner = CliRunner()
    good = runner.invoke(verify_commands, [str(whole)])
    assert (good.exit_code, "4 documents" in good.output, "all as issued" in good.output) == (0, True, True)
    bad = runner.invoke(verify_commands, [str(broken), "--json"])
    assert bad.exit_code == 1
    faults = json.loads(bad.output)["files"][0]["faults"]
    assert (faults[0]["line"], faults[0]["number"], faults[0]["what"]) == (1, "2026-000001", "content/seller")
    assert "byte 11: expected canonical form" in runner.invoke(verify_commands, [str(spaced)]).output
    assert runner.invoke(verify_commands, [str(tmp_path / "nothing")]).exit_code == 2
    (tmp_path / "xml").write_text("<Invoice/>")
    assert "is not JSON" in runner.invoke(verify_commands, [str(tmp_path / "xml")]).output


def test_the_command_writes_what_it_checks(
    api: Api, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.commands.export_series import commands as export_commands

    rows = series_of(api)
    monkeypatch.setenv("QUOTEPART_DATABASE_URL", database_url)
    target = tmp_path / "series.ndjson"
    done = CliRunner().invoke(export_commands, ["--output", str(target), "--after", "1"])
    assert (done.exit_code, target.read_bytes()) == (0, b"".join(rows[1:]))
    assert CliRunner().invoke(export_commands, ["nobody"]).exit_code == 2
