"""Sends what nobody thought of to every documented route, and holds each answer against the published document.

The requests come from the document (https://schemathesis.readthedocs.io): what its schemas allow, what they refuse,
boundary values, methods it does not name, calls without a key, and chains of calls along its links. The application
runs in this process, on a database with a small catalog, events, an issued invoice and a draft.
"""

from __future__ import annotations

import copy
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import Phase, settings
from hypothesis import strategies as st
from schemathesis.config import ProjectConfig, SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.python import asgi

from app.api.schemas import SUBSCRIPTION_SENT
from app.api.schemas_webhooks import ENDPOINT_SENT
from app.domain.callers import Scope
from app.main import create_app
from app.operations.authenticate import create_key
from app.settings import Settings
from app.storage.database import Database
from tests.service import ADMIN_KEY, PER_UNIT, Api, Clock, event, service, set_up

NOW = "2026-11-23T12:00:00+00:00"
EXAMPLES = int(os.environ.get("QUOTEPART_CONTRACT_EXAMPLES", "0"))
"""How many requests a route the admin's key sends, in place of an ordinary run's few; a lesser key a tenth of it."""
SEED = int(os.environ.get("QUOTEPART_CONTRACT_SEED", "1"))
"""What the requests are drawn from: an ordinary run sends the same every time."""

if EXAMPLES:
    # Of thousands each is to be a new one: going back to those that came nearest to success takes most of the time, and
    # nothing but this says that there is to be none.
    _their_settings = ProjectConfig.get_hypothesis_settings

    def _without_targets(self: ProjectConfig, **more: Any) -> settings:
        made = _their_settings(self, **more)
        return settings(made, phases=[phase for phase in made.phases if phase is not Phase.target])

    ProjectConfig.get_hypothesis_settings = _without_targets  # type: ignore[method-assign]

_ACCESS = {"key": "access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"}
_RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
_DOLLAR = {"from": "USD", "to": "EUR", "date": "2026-11-02", "rate": "0.92", "source": "ECB"}
_CHARGER = {"name": "Charger 12", "kind": "equipment", "owner": "garage"}

# A time that somebody would send; what is no time at all comes from the negative cases.
_MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2026, 11, 22))  # noqa: DTZ001
schemathesis.openapi.format("date", _MOMENTS.map(lambda moment: moment.date().isoformat()))
schemathesis.openapi.format("date-time", _MOMENTS.map(lambda moment: f"{moment.isoformat()}Z"))


# Events as lines go out as they are; what is no text, as one line of JSON.
@schemathesis.serializer("application/x-ndjson")
def _lines(_context: Any, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


# What a random text is next to never, by where it may stand.
_LIKELY: dict[str, tuple[list[str], list[str]]] = {
    "zones": (["Europe/Paris", "Asia/Kathmandu", "UTC"], ["body.time_zone", "query.time_zone"]),
    "rates": (["standard"], ["body.tax"]),
    "tenants": (["acme", "garage"], ["body.owner", "body.tenant", "query.tenant", "query.buyer", "query.seller"]),
    "plans": (["standard", "standing"], ["body.plan"]),
    "instants": (["2026-11-15T00:00:00Z"], ["body.effective_at"]),
    "any": (["*"], ["header.If-Match"]),
    # Empty is absent.
    "none": ([""], [f"query.{name}" for name in ("cursor", "type", "resource", "number", "period_start")]),
}


def seed(database_url: str) -> None:
    """A catalog with a draft of a plan, events (one in quarantine, one cancelled), issued invoices and drafts."""
    plan = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar"}
    energy = PER_UNIT | {"tax": "standard"}
    with service(database_url, NOW) as api:
        api.put("/v1/tax-rates/standard", _RATE)
        set_up(api, [energy, _ACCESS])
        api.put("/v1/exchange-rates/usd-2026-11-02", _DOLLAR)
        api.put("/v1/resources/charger-12", _CHARGER)
        # No meter is priced by this one, so any number of subscriptions may be on it.
        api.put("/v1/plans/standing", plan | {"charges": [_ACCESS]})
        api.post("/v1/plans/standing/publish", {"effective_at": "1970-01-02"})
        for number in (2, 3, 4, 5):
            wanted = {"tenant": "acme", "plan": "standing", "start": "2026-10-15"}
            api.put(f"/v1/subscriptions/acme-{number}", wanted)
        # What the document gives as an example changes nothing.
        api.put("/v1/subscriptions/acme-1", SUBSCRIPTION_SENT["examples"][0])
        api.post("/v1/events", [
            event("s-1"), event("s-2", time="2026-01-10T10:00:00Z", resource="charger-12"),
            event("s-3", subject="nobody"), event("s-4", data={"kwh": "1"}), event("s-5", subject="user-17"),
        ])  # fmt: skip
        api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "s-4"})
        api.put("/v1/coupons/welcome", {"name": "Welcome", "percent": "10"})
        api.post("/v1/applied-coupons", {"coupon": "welcome", "tenant": "garage"})
        for kind in ("prepaid", "promotional"):
            api.post("/v1/credit-grants", {"tenant": "acme", "kind": kind, "amount": "1"})
        api.post("/v1/payments", {"tenant": "acme", "amount": "5.00", "allocate": "none"})
        statement = {"format": "csv", "content": "date,amount,text\n2026-11-05,1.00,nobody knows\n"}
        api.post("/v1/bank-statements", statement)
        _seed_alert(api)
        for key in ("erp", "former-erp"):
            api.put(f"/v1/webhook-endpoints/{key}", ENDPOINT_SENT["examples"][0])
        api.bill("2026-02-01", plans=["standard"])
        api.post(f"/v1/invoices/{api.invoices(status='issued')[0]['id']}/email", {"to": ["bills@acme.invalid"]})
        api.bill("2026-03-01", plans=["standard"], issue=False)
        api.bill("2026-11-01", plans=["standing"], issue=False)
        assert len(api.invoices(status="issued")) == 2
        assert len(api.invoices(status="draft")) == 9
        api.put(
            "/v1/plans/standard", plan | {"charges": [energy, _ACCESS | {"model": {"type": "flat", "amount": "21"}}]}
        )


def _seed_alert(api: Api) -> None:
    """An alert, and what it has noticed."""
    wish = {"tenant": "acme", "measure": "amount", "thresholds": ["1"]}
    api.put("/v1/alerts/acme-amount", wish)
    deadline = time.monotonic() + 30
    while not api.get("/v1/alert-events")["data"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def new_key(database_url: str, *scopes: Scope, tenant: str = "") -> str:
    database = Database.open(database_url)
    try:
        return create_key(database, scopes=scopes, tenant=tenant, now=datetime.fromisoformat(NOW).astimezone(UTC))
    finally:
        database.close()


@contextmanager
def application(database_url: str) -> Iterator[FastAPI]:
    own = Settings(database_url=database_url, bootstrap_key=ADMIN_KEY)
    try:
        yield create_app(own, clock=Clock(NOW))
    finally:
        asgi.shutdown_lifespans()


# --- one run ---------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What was found: `failures` one entry each, and how often each operation answered with which status."""

    failures: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def requests(self) -> int:
        return sum(counter.total() for counter in self.statuses.values())

    def answered(self, *statuses: int) -> set[str]:
        """The operations that gave an answer of one of these statuses."""
        return {label for label, counter in self.statuses.items() if any(counter[status] for status in statuses)}


def run(
    app: FastAPI, *, phases: Sequence[str], examples: int, key: str = ADMIN_KEY, mode: str = "all",
    without_coverage: str = "", only: Collection[str] | None = None,
) -> Report:  # fmt: skip
    """Every operation in these phases: `examples`, `coverage` (boundary values), `fuzzing`, `stateful` (chains).

    `mode` is "positive" for what the document allows only. The operations that `without_coverage` matches have no
    boundary values; where `only` is given, no others are asked than those.
    """
    config: dict[str, Any] = {
        "seed": SEED, "continue-on-failure": True, "headers": {"Authorization": f"Bearer {key}"},
        "generation": {"max-examples": examples, "deterministic": not EXAMPLES, "no-shrink": True,
                       "mode": "all" if EXAMPLES else mode},
        "phases": {name: {"enabled": name in phases} for name in ("examples", "coverage", "fuzzing", "stateful")},
        # 412 and 413 refuse as well as any other.
        "checks": {"negative_data_rejection": {"expected-statuses": [
            400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422]}},
        "dictionaries": {name: {"values": values} for name, (values, _) in _LIKELY.items()},
        "parameters": {place: {"dictionary": name, "probability": 0.8}
                       for name, (_, places) in _LIKELY.items() for place in places},
    }  # fmt: skip
    # Where operations are configured, they are chosen here too: a filter of the schema would be ignored.
    config["operations"] = [] if only is None else [{"exclude-name": sorted(only), "enabled": False}]
    if without_coverage:
        off = {"include-name-regex": without_coverage, "phases": {"coverage": {"enabled": False}}}
        config["operations"].append(off)
    schema: Any = schemathesis.openapi.from_dict(_closed(app.openapi()), config=SchemathesisConfig.from_dict(config))
    schema.app = app
    schema.hook("filter_failure")(_is_a_fault)
    report = Report()
    for item in from_schema(schema).execute():
        _note(report, item)
    return report


def _note(report: Report, item: Any) -> None:
    match item:
        case events.NonFatalError():
            report.failures.append(f"{item.label}: {item.info.format()}")
        case events.FatalError():
            report.failures.append(f"the run ended: {item.exception!r}")
        case events.ScenarioFinished():
            _note_scenario(report, item.recorder)
        case _:
            pass


def _note_scenario(report: Report, recorder: Any) -> None:
    for case_id, interaction in recorder.interactions.items():
        label = recorder.cases[case_id].value.operation.label
        if interaction.response is not None:
            report.statuses[label][interaction.response.status_code] += 1
        for check in recorder.checks.get(case_id, ()):
            if check.failure_info is not None:
                request, response = interaction.request, interaction.response
                report.failures.append(
                    f"{check.name}: {check.failure_info.failure.title}: {check.failure_info.failure.message}\n"
                    f"  {request.method} {request.uri} {_own_headers(request.headers)} {request.body!r:.4000}\n"
                    f"  {response and response.status_code} {response and response.content!r:.4000}\n"
                )


def _own_headers(headers: Any) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name.lower() in ("content-type", "if-match")}


def _closed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with every object closed, so that a field that is answered and not documented is found."""

    def close(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                close(item)
            if "properties" in value and "object" in value.get("type", ()):
                value.setdefault("additionalProperties", False)
        elif isinstance(value, list):
            for item in value:
                close(item)

    closed = copy.deepcopy(document)
    close(closed["components"]["schemas"])
    return closed


# --- what a schema cannot say ----------------------------------------------------------------------------------------

# A request that the document allows may still break a rule between fields, or with what is there. These are the rules;
# for any other reason it may not be refused.
_RULES = (
    r"[Tt]here is no (tenant|plan|meter|tax rate) ['\"].*", r"the plan has no charge .*",
    r"stands here twice", r"an alert watches either .*", r"an amount (is|has no) .*",
    r"a commitment is about .*", r"what is left is .*",
    r"only an amount is .*", r"name the meter whose .*",
    r"plan .* has no published version( yet| \d+)",
    r"plan .* (is in \w+, the tenant in|has no)", r"is in \w{3}, the tenant in \w{3}",
    r"(Subscription|The version) .*prices .*",
    r"must be the name of a time zone .*", r"'.*' is not a time zone .*", r"the subject .* stands here twice",
    r"the change is not (after the start|before the end)", r"another change has this instant",
    r"must be a whole number from 1 to \d+ for \w+",
    r"the plan is in force from .*", r"the end is not after the start", r"Version \d+ is in force from .*",
    r"an amount in \w+ has at most \d decimals?", r"the minimum is above the maximum",
    r"another cell has the same dimensions", r"fees and bounds for single events need .*",
    r"another charge has the key .*", r"tiers go upwards: .*", r"the last tier has no bound: .*",
    r"only the last tier has no bound", r"this model prices use: .*", r"a flat charge .*", r"only a flat charge .*",
    r"must lie between 1970.*", r"`through` lies in the future: .*", r"end must lie after start",
    r"windows need both `start` and `end`", r"meter .* has no dimension .*", r"subject is missing: .*",
    r"the rate of category \w+ is .*", r"(\w+ )?holds a NUL character( or (a )?lone surrogate)?",
    r"is no expression: .*", r"count reads no number", r"is nothing that \w+ has", r"is the same as start_value",
    r"must be a text, a number, true or false",
    # A JSON number cannot be held to a count of decimals; and which characters there are differs with the version of
    # Unicode.
    # What an event meets that is there already, and a time in seconds, of which the document says no more than numbers.
    r"an event with this source and id is there .*", r"this subscription has a transaction .*",
    r"time (lies too far|is before) .*", r"timestamp must be .*", r"precise_total_amount_cents is .*",
    r"to must lie after from", r"this API key may post for its own tenant only",
    r"two plans are compared in one currency", r"a simulation covers at most \d+ days",
    r"of \w+ must be .*", r"(a (price|quantity|rate) has )?at most \d+ decimals",
    r"is above 0 and at most 100", r"does not divide a day: .*", r"stands in place of `property`: .*",
    r"must be a URL of ASCII .*", r"\w+ reads no number", r"is at most \d+d", r"what has category \w+ is not exempt",
    r".*what lowers an amount has a negative quantity", r"the answer would have over .*", r"there are documents in .*",
    r"a percentage is above 0 .*", r"is above 0 and below .*", r"a threshold is 0 or more, .*",
    r"(the name )?holds a character that cannot be printed",
    r"it would have expired before it is in force", r"the tenant is billed in \w{3}", r"has more decimals than \w{3}",
    r"there is no charge '.*' that prices use", r"'.*' is named twice", r"there is no allowance of which .*",
    r"a coupon has one .*", r"an amount has a currency", r"only an amount has .*", r"an amount is above 0 .*",
    r"there is no (coupon|subscription) .*", r"the coupon is in \w{3}, .*",
    r"an override (has a condition: .*|names an account)", r"must be a rate in percent with at most 4 decimals",
    r"as_of lies more than \d+ days ahead: .*",
    r"another allowance has the key .*", r"more is committed .*", r"the key 'true-up' is kept .*",
    r"a factor lies between .*", r"it is the invoice of another tenant",
    r"(a quantity of units|an amount of credit) is above 0 .*",
    # Numbers with check digits, pictures, who pays for whom, orders, rates by day, and patterns of numbers.
    r"is no (IBAN|BIC|PNG|SVG)\b.*", r"a (logo|contact) has .*", r"must be (base64|an e-mail address)",
    r"is larger than \d+ KiB", r"is over \d+ pixels .*", r"may hold a drawing only: .*", r"no picture of this type .*",
    r"the order .* stands here twice", r"is before `valid_from`", r"is the tenant itself", r"is billed to .* itself",
    r"the tenant (pays for|would belong to) .*", r"is missing: there is none in `legal` either",
    r"changes go forward .*", r"a rate of category S .*", r"is the currency that it is changed from",
    r"'.*' is the rate of these currencies .*", r"a rate is above 0 .*", r"begins as \w+: .*",
    r"no digit, year or month may .*", r"gives numbers of more .*",
    r"the day has passed", r"the law of \w\w allows .*", r"nobody is billed by itself",
    r"an invoice is not negative: .*",
    r"an invoice has a line at least",
    r"is the reason of a hold: .*", r"names a line twice", r"this draft has no line '.*'",
    r"a line that was written .*",
    r"start and end are both dates, .*",
    r"a (quantity is not 0|unit price is 0 or more) .*",
    r"this invoice has no line '.*'", r"(line \w+: .*|more than is left of the document, .*)",
    r"Of all lines taxed at .*",
    r"an amount over the document does not .*", r"a line is credited by quantity or by amount.*",
    r"only a whole document is issued again", r"what is issued again is billed again", r"the line '.*' stands here .*",
    r"there is no address: .*",
    r"must begin with https://", r"is not a URL that can be read", r"must not (hold a user name|have a fragment).*",
    r"names (no host|port 0,.*)", r".* is (not a public address|this machine itself)", r"must name `since`, .*",
    r"an amount that is paid is above 0 .*", r"what is paid is in \w{3}.*", r"lies in the future: today is .*",
    r"lies from .*, when it was paid, to .*, today", r"this tenant has no such invoice",
    r"a payment has either an invoice or allocations", r"send either an invoice or allocations",
    r"the allocations say what is paid", r"name the invoice that it pays",
    r"(\w+ )?is another name of \w+: send one of them",
    r"more than the .* that (are|it) .*", r"it is the invoice of another seller",
    # What a bank statement holds is no matter of the document.
    r"The XML .*", r"is no (CAMT\.053|CSV): .*", r"has no line with the names of its columns",
    r"say (which column|whether|the form) .*", r"the file has no column .*", r"'.*' is (not|no) .*",
    r"a mapping is for CSV only", r"the mapping stands in the body",
    r"is for CSV only", r"must be (a JSON object|names of columns)", r"(the payment|the invoice) is .*",
    r"there is no such (invoice|payment to this seller)", r"these are invoices of several tenants",
    r"must be an object, not .*",
)  # fmt: skip
_RULE = re.compile("|".join(_RULES), re.DOTALL)
_EXPONENT = re.compile(rb"[0-9][eE][+-]?[0-9]")


def _is_a_fault(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    if isinstance(failure, AcceptedNegativeData):
        return not _was_refused_within(case, response)
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = json.loads(response.content)
    match response.status_code, problem["type"]:
        case 412, _:
            return "If-Match" not in (case.headers or {})
        case 400, "/problems/invalid-cursor":
            return "cursor" not in (case.query or {})
        case _:
            details = [item["detail"] for item in problem.get("errors", [problem])]
            return not all(_is_a_rule(detail, case, response) for detail in details)


def _is_a_rule(detail: str, case: Any, response: Any) -> bool:
    if _RULE.fullmatch(detail):
        return True
    if case.method == "PATCH" and detail in ("is missing", "must not be null"):
        return True  # the object has no such part to be changed within, or cannot be as it is without it
    # A JSON number may be written with an exponent, which a number of money may not.
    return bool(_EXPONENT.search(response.request.body or b"")) and "decimal" in detail


def _was_refused_within(case: Any, response: Any) -> bool:
    """True where one event of several is malformed: the answer is for each, and says so."""
    return case.operation.label in ("POST /v1/events", "POST /v1/events/bulk") and bool(
        json.loads(response.content).get("rejected")
    )
