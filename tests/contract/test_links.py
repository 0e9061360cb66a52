"""Every link of the document leads on: what an answer holds is what the next request needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from tests.contract.running import NOW, seed
from tests.service import Api, service

# From these everything else is reached. A billing run that finds nothing due and a release that finds nothing to
# release are as good as any.
ROOTS: list[tuple[str, dict[str, Any]]] = [
    *((f"get_page_{noun}", {}) for noun in (
        "tenant", "resource", "meter", "tax_rate", "exchange_rate", "coupon", "plan", "subscription")),
    ("get_events", {}), ("get_quarantine", {}), ("get_invoices", {"query.status": "draft"}), ("get_invoices", {}),
    ("get_credit_grants", {}), ("get_applied_coupons", {}),
    ("post_applied_coupon", {"body": {"coupon": "welcome", "tenant": "acme"}}),
    ("get_page_alert", {}), ("get_alert_events", {}), ("get_webhook_endpoints", {}), ("get_webhook_deliveries", {}),
    ("get_email_deliveries", {}),
    ("get_payments", {}), ("get_bank_statements", {}), ("get_bank_entries", {}),
    ("post_payment", {"body": {"tenant": "acme", "amount": "5.00", "allocate": "none"}}),
    ("post_bank_statement", {"body": {"format": "csv", "content": "date,amount,text\n2026-11-05,1.00,whose?\n"}}),
    ("post_credit_grant", {"body": {"tenant": "acme", "kind": "prepaid", "amount": "1"}}),
    ("post_invoice", {"body": {"buyer": "acme", "lines": [{"description": "Work", "unit_price": "80"}]}}),
    ("post_billing_run", {"body": {"through": "2026-11-01", "dry_run": True}}),
    ("post_simulation", {"body": {"plan": "standard", "start": "2026-01-01", "end": "2026-02-01"}}),
]  # fmt: skip
# What a link cannot give, because it is up to whoever follows it.
CHOSEN = {
    "post_publication": {"effective_at": "2026-11-15"},
    "post_change": {"plan": "standard", "at": "2030-01-01", "version": 1},
    "post_credit_grant_void": {},
    "post_credit_note": {"reason": "agreed", "amount": "0.01"},
    "post_invoice_status": {"code": 200},
    "post_webhook_replay": {"failed_only": True},
    "post_email": {"to": ["bills@acme.invalid"]},
    "post_credit_grant_application": {},
    "post_payment_allocation": {},
    "post_payment_refund": {"amount": "0.01"},
    "post_payment_reversal": {"reason": "mistake", "amount": "0.01"},
    "post_bank_entry_assignment": {"tenant": "acme"},
    "post_bank_entry_ignored": {},
}
# Done once, they cannot be done again.
STATE_BOUND = ("post_issue", "post_discard", "patch_invoice", "post_approve", "post_credit_note", "post_publication",
               "post_cancellation", "post_invoice_status",
               "get_invoice_file", "get_invoice_ubl",  # a draft is no e-invoice
               "post_credit_grant_application", "post_bank_entry_ignored", "post_payment_refund",
               "post_payment_reversal")  # fmt: skip


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    seed(database_url)
    with service(database_url, NOW) as running:
        yield running


def test_every_link_leads_to_an_answer_of_its_shape(api: Api) -> None:
    document = api.client.app.openapi()  # type: ignore[attr-defined]
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    followed: set[tuple[str, str]] = set()
    answered: set[tuple[str, int]] = set()
    waiting = list(ROOTS)
    while waiting:
        # What changes something comes last: it makes the ETags of before worthless.
        waiting.sort(key=lambda step: ("GET", "PATCH", "POST").index(operations[step[0]][0]))
        name, given = waiting.pop(0)
        method, path, operation = operations[name]
        answer = send(api, method, path, given, CHOSEN.get(name))
        assert answer.status_code < 300 or (name in STATE_BOUND and answer.status_code == 409), answer.text
        answered.add((name, answer.status_code))
        facts = operation["responses"][str(answer.status_code)]
        check(document, facts, answer)
        for link_name, link in facts.get("links", {}).items():
            found = {place: resolved(value, answer, given) for place, value in arguments(link).items()}
            if (name, link_name) not in followed and None not in found.values():
                followed.add((name, link_name))
                waiting.append((link["operationId"], found))

    documented = {
        (name, link)
        for name, (_, _, operation) in operations.items()
        for facts in operation["responses"].values()
        for link in facts.get("links", {})
    }
    # All is on one page here, and nothing is put.
    unfollowed = {
        (name, link) for name, link in documented - followed if link != "next" and not name.startswith("put_")
    }
    assert unfollowed == set()
    assert {("post_issue", 200), ("post_publication", 200), ("post_cancellation", 200)} <= answered


def arguments(link: dict[str, Any]) -> dict[str, Any]:
    body = {"body": link["requestBody"]} if "requestBody" in link else {}
    return {**link["parameters"], **body}


def resolved(value: Any, answer: Any, given: dict[str, Any]) -> Any:
    """What an expression of a link (OpenAPI, runtime expressions) stands for; None where there is no such thing."""
    if isinstance(value, dict):
        found = {name: resolved(item, answer, given) for name, item in value.items()}
        return None if None in found.values() else found
    source, _, rest = value.partition("#/") if value.startswith("$response.body") else (value, "", "")
    if source == "$response.body":
        return pointed(answer.json(), rest.split("/"))
    if source.startswith("$response.header."):
        return answer.headers[source.removeprefix("$response.header.")]
    return given[source.removeprefix("$request.")] if source.startswith("$request.") else value


def pointed(value: Any, steps: list[str]) -> Any:
    for step in steps:
        items = dict(enumerate(value)) if isinstance(value, list) else value
        value = items.get(int(step) if isinstance(value, list) else step)
        if value is None:
            return None
    return value


def send(api: Api, method: str, path: str, given: dict[str, Any], chosen: Any) -> Any:
    parts: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for place, value in given.items():
        kind, _, name = place.partition(".")
        if kind in parts:
            parts[kind][name] = value
    address = path.format(**{name: quote(value, safe="") for name, value in parts["path"].items()})
    body = given.get("body", chosen)
    if method == "PATCH":
        parts["header"]["Content-Type"] = "application/merge-patch+json"
        body = {}
    content = None if body is None else json.dumps(body).encode()
    return api.call(method, address, params=parts["query"], headers=parts["header"], content=content)


def check(document: dict[str, Any], facts: dict[str, Any], answer: Any) -> None:
    for media_type, described in facts.get("content", {}).items():
        if media_type.endswith("json") and answer.headers["content-type"] == media_type:
            schema = described["schema"] | {"components": document["components"]}
            jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
