"""Every documented operation, asked with the admin's key: what the run on each database shares. Each is a file of its
own, so that the two run side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.contract.running import EXAMPLES, Report, application, run, seed

# Boundary values of a body are many, of a plan so many that to make them takes longer than to send all else: those are
# left to the random ones. A body is refused for its form before a database is asked, and a patched object as one that
# is put: each is sent once.
PLANS = "POST /v1/simulations|PUT /v1/plans/|(PUT|POST) /v1/subscriptions/"
TWICE = f"^(PATCH |{PLANS})"
LARGE_BODIES = f"^(PATCH |{PLANS}|POST /v1/credit-grants|PUT /v1/(tenants|meters|coupons)/)"
# These need a draft, or an issued invoice, which somebody may have taken before; test_links.py finds them one.
STATE_BOUND = {
    "POST /v1/invoices/{id}/issue", "POST /v1/invoices/{id}/discard", "PATCH /v1/invoices/{id}",
    "POST /v1/invoices/{id}/approve", "POST /v1/invoices/{id}/credit-notes", "POST /v1/plans/{key}/publish",
    # An issued document, and a delivery whose endpoint nobody has deleted.
    "POST /v1/invoices/{id}/email", "GET /v1/webhook-deliveries/{id}", "GET /v1/invoices/{id}.ubl.xml",
    # An invoice with something due, and a payment with something left.
    "POST /v1/invoices/{id}/payments", "POST /v1/payments/{id}/refunds",
}  # fmt: skip


def check(report: Report) -> None:
    assert report.failures == [], f"{len(report.failures)} failures\n" + "\n".join(report.failures[:10])


def _of(label: str) -> str:
    """What the operation is about: "bank" of "GET /v1/bank-entries/{id}"."""
    first, *rest = label.split("/")[1:]
    noun = re.split(r"[-.]", rest[0] if first == "v1" else first)[0]
    return {"jobs": "quarantine"}.get(noun, noun)  # whose releases name their job


_DOCUMENT = Path(__file__).resolve().parents[2] / "openapi" / "openapi.json"
PARTS = sorted({_of(path) for path in json.loads(_DOCUMENT.read_text())["paths"]}) if EXAMPLES else ["everything"]
"""A long run is in parts, which run side by side and each say how they ended: the operations of one kind of thing,
since what one of them makes another finds."""


def ask_for_everything(database_url: str, part: str, *, without_coverage: str) -> None:
    """The part of all operations; every answer must be as documented."""
    seed(database_url)
    with application(database_url) as app:
        documented = {label for label in operations(app.openapi()) if part in ("everything", _of(label))}
        report = run(
            app, phases=("examples", "coverage", "fuzzing"), examples=EXAMPLES or 3,
            without_coverage=without_coverage, only=documented,
        )  # fmt: skip

    check(report)
    # The run was not idle: every operation was reached, and did what it is for.
    assert report.statuses.keys() == documented
    idle = documented - report.answered(200, 201, 202, 204) - STATE_BOUND
    assert idle == set(), f"never did what they are for: {sorted(idle)}"
    # What never succeeded is not asked again without a key; the matrix of keys asks every route so.
    keyless = documented - report.answered(401) - STATE_BOUND
    assert keyless == documented & {"GET /healthz", "GET /readyz", "GET /metrics"}, f"no key: {sorted(keyless)}"


def operations(document: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
