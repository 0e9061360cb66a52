"""Who may do what: every route, asked by every kind of caller, about its own tenant's things and another's.

ROUTES says of each route which scopes open it and what a key bound to one tenant gets there. The cells of the matrix
are all sent, to a service in which two tenants have something of everything, and each answer is looked through for what
is the other tenant's.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal
from urllib.parse import unquote_plus, urlencode
from uuid import UUID

import openpyxl  # type: ignore[import-untyped]
import pypdf
import pytest
import sqlalchemy as sa
from fastapi.routing import iter_route_contexts

from app.domain.callers import SCOPES
from app.domain.ids import public_id
from app.main import create_app, create_worker
from app.operations.authenticate import create_key, revoke_key
from app.settings import Settings
from app.storage.database import Database
from app.storage.tables import api_keys, metadata
from tests.service import ENERGY, OPERATOR, Api, event, service

# What a key bound to a tenant gets, where its scope opens the route:
#   shared   what everybody gets: the thing is no tenant's
#   own      what is its tenant's; another tenant's thing is answered as one that there is not
#   listed   a list of what is its tenant's
#   refused  403, whatever it names
#   hidden   404, whatever it names
#   unseen   404 for this thing, though it is there: it is not published
Bound = Literal["shared", "own", "listed", "refused", "hidden", "unseen"]
Whose = Literal["own", "other", "missing"]
WHOSE: tuple[Whose, ...] = ("own", "other", "missing")

SHARED = ("meter", "tax_rate", "exchange_rate", "coupon", "plan")


@dataclass(frozen=True)
class Things:
    """What a request may name of one tenant; of the tenant `missing` there is nothing."""

    tenant: str
    subject: str
    resource: str
    subscription: str
    event: str
    cancellable: str
    issued: str
    number: str
    draft: str
    credit: str
    alert: str
    run: str
    simulation: str
    job: str
    grant: str
    applied: str
    endpoint: str
    doomed: str
    message: str
    delivery: str
    payment: str
    bank_entry: str
    meter: str = "energy"
    tax_rate: str = "standard"
    exchange_rate: str = "dollar"
    coupon: str = "tenth"
    plan: str = "standard"
    put: dict[str, tuple[str, Any]] = field(default_factory=dict)  # by noun: what is put, and under which key

    def names(self) -> list[str]:
        """The names of what is this tenant's alone, the longest first, so that one inside another is found last."""
        found = {getattr(self, item.name) for item in fields(self) if item.name not in (*SHARED, "put")}
        found |= {key for noun, (key, _) in self.put.items() if noun not in SHARED}
        return sorted(found, key=lambda name: (-len(name), name))


@dataclass(frozen=True)
class Sent:
    """A request without its method and its key."""

    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def text(self) -> str:
        """All that the caller itself wrote: an answer may say it back."""
        return unquote_plus(f"{self.path}?{urlencode(self.query)} {json.dumps(self.body)}")


@dataclass(frozen=True)
class Ask:
    """One way to ask a route. `ok`: what it answers where it opens; `missing`: what it answers about nothing to a key
    that sees every tenant; `hidden`: what it answers to a bound key about another tenant's thing."""

    of: Callable[[Things], Sent]
    bound: Bound
    ok: tuple[int, ...] = (200,)
    missing: tuple[int, ...] = (404,)
    hidden: tuple[int, ...] = (404,)


@dataclass(frozen=True)
class Route:
    """`scopes` open it, `admin` always with them; without scopes it is open to everybody. `filters` are the query
    parameters that it knows beside `limit` and `cursor`."""

    method: str
    path: str
    scopes: tuple[str, ...]
    asks: tuple[Ask, ...]
    filters: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def changes_nothing(self) -> bool:
        return self.method in ("GET", "HEAD")


THROUGH = "2026-10-01T00:00:00Z"
ALL_TIME = {"start": "2026-01-01T00:00:00Z", "end": "2026-11-20T00:00:00Z"}
SINCE = {"from": "2026-01-01T00:00:00Z", "ingestedAtFrom": "2026-01-01T00:00:00Z"}
METER_PAGE = {"page": "1", "pageSize": "10", "order": "ASC", "orderBy": "key", "includeDeleted": "false"}


def asked(path: str, **query: str) -> Callable[[Things], Sent]:
    """A request whose `{name}`s are filled in with the thing of that name."""
    return lambda things: Sent(
        path.format_map(vars(things)), {name: text.format_map(vars(things)) for name, text in query.items()}
    )


def told(path: str, body: Callable[[Things], Any]) -> Callable[[Things], Sent]:
    return lambda things: Sent(path.format_map(vars(things)), {}, body(things))


def posted(things: Things) -> Any:
    return event(things.event, subject=things.subject, source=f"/{things.tenant}")


def used(things: Things) -> Any:
    """The same as one of Lago's events."""
    return {"transaction_id": things.event, "external_subscription_id": things.subscription,
            "code": "charging.session.ended", "timestamp": 1791194400, "properties": {"kwh": "1"}}  # fmt: skip


def cancellation(things: Things) -> Any:
    return {"tenant": things.tenant, "source": f"/{things.tenant}", "id": things.cancellable, "reason": "a test"}


def run_of(**named: str) -> Callable[[Things], Any]:
    """A run that bills nothing."""
    return lambda things: (
        {"through": THROUGH, "dry_run": True} | {name: [text.format_map(vars(things))] for name, text in named.items()}
    )


STATEMENT = {"format": "csv", "content": "date,amount,text\n2026-11-05,1.00,nobody knows\n"}

SIMULATED = {"plan": {"currency": "EUR", "interval": "month", "charges": [
    {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.11"}}]},
    "start": "2026-09-01", "end": "2026-10-01"}  # fmt: skip


def about_invoice(tail: str, thing: str = "issued") -> Ask:
    return Ask(asked(f"/v1/invoices/{{{thing}}}{tail}"), "own")


def noun(path: str, thing: str, bound: Bound, *filters: str, listed: tuple[Ask, ...] = ()) -> tuple[Route, ...]:
    """The four routes of a noun of the catalog. A bound key changes nothing of it."""
    page: Bound = "shared" if bound == "shared" else "listed"
    put = Ask(
        lambda things: Sent(f"{path}/{things.put[thing][0]}", {}, things.put[thing][1]), "refused", (200,), (201, 200)
    )
    return (
        Route("GET", path, ("read",), (Ask(asked(path), page), *listed), filters),
        Route("GET", f"{path}/{{key}}", ("read",), (Ask(asked(f"{path}/{{{thing}}}"), bound),)),
        Route("PUT", f"{path}/{{key}}", ("admin",), (put,)),
        Route("PATCH", f"{path}/{{key}}", ("admin",), (Ask(told(f"{path}/{{{thing}}}", lambda _: {}), "refused"),)),
    )


def open_to_all(method: str, path: str) -> Route:
    return Route(method, path, (), (Ask(asked(path), "shared"),))


EXPORTED_BY = (
    "from", "to", "issued_from", "issued_to", "period_start", "period_end", "type", "currency", "seller", "buyer",
    "tenant",
)  # fmt: skip


def exported(what: str, first: str, second: str, *more: str) -> Route:
    """A bound key is not told whether there is a tenant that it has no business with: nothing of it is exported."""
    path = f"/v1/exports/{what}"
    return Route(
        "GET", f"{path}.{{format}}", ("finance", "read"),
        (
            Ask(asked(f"{path}.{first}"), "listed"),
            Ask(asked(f"{path}.{second}"), "listed"),
            Ask(asked(f"{path}.{first}", buyer="{tenant}"), "own", hidden=(200,)),
            Ask(asked(f"{path}.{first}", seller="{tenant}"), "own", hidden=(200,)),
            Ask(asked(f"{path}.{second}", tenant="{tenant}", **{"from": "2026-01-01"}), "own", hidden=(200,)),
        ),
        (*EXPORTED_BY, *more),
    )  # fmt: skip


EMPTY = {"missing": (200,), "hidden": (200,)}  # a filter that finds nothing, whether it is hidden or not there

BUT_HEAD: tuple[Route, ...] = (
    open_to_all("GET", "/healthz"),
    open_to_all("GET", "/readyz"),
    open_to_all("GET", "/metrics"),
    open_to_all("GET", "/openapi.json"),
    *(open_to_all("HEAD", path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")),
    *noun("/v1/tenants", "tenant", "own"),
    *noun("/v1/resources", "resource", "own"),
    *noun("/v1/meters", "meter", "shared"),
    *noun("/v1/tax-rates", "tax_rate", "shared"),
    *noun("/v1/exchange-rates", "exchange_rate", "shared"),
    *noun("/v1/coupons", "coupon", "shared"),
    *noun("/v1/plans", "plan", "shared", listed=(Ask(asked("/v1/plans/unpublished-elm"), "unseen"),)),
    *noun(
        "/v1/subscriptions", "subscription", "own", "tenant", "plan",
        listed=(
            Ask(asked("/v1/subscriptions", tenant="{tenant}"), "own"),
            Ask(asked("/v1/subscriptions", plan="{plan}"), "listed", missing=(200,)),
        ),
    ),
    *noun(
        "/v1/alerts", "alert", "own", "tenant", "plan",
        listed=(
            Ask(asked("/v1/alerts", tenant="{tenant}"), "own"),
            Ask(asked("/v1/alerts", plan="{plan}"), "listed", missing=(200,)),
        ),
    ),
    Route(
        "GET", "/v1/alert-events", ("read",),
        (
            Ask(asked("/v1/alert-events"), "listed"),
            Ask(asked("/v1/alert-events", tenant="{tenant}"), "own"),
            Ask(asked("/v1/alert-events", alert="{alert}"), "own", **EMPTY),
            Ask(asked("/v1/alert-events", **ALL_TIME), "listed"),
        ),
        ("tenant", "alert", "start", "end"),
    ),
    Route(
        "POST", "/v1/plans/{key}/publish", ("admin",),
        (Ask(told("/v1/plans/{plan}/publish", lambda _: {"effective_at": "2030-01-01"}), "refused", (200, 409)),),
    ),
    Route(
        "POST", "/v1/subscriptions/{key}/changes", ("admin",),
        (Ask(told("/v1/subscriptions/{subscription}/changes", lambda to: {"plan": to.plan, "at": "2030-01-01"}),
             "refused", (200, 201)),),
    ),
    Route(
        "GET", "/v1/subscriptions/{key}/late-usage", ("read",),
        (Ask(asked("/v1/subscriptions/{subscription}/late-usage"), "own"),),
    ),
    Route(
        "GET", "/v1/plans/{key}/versions", ("read",),
        (Ask(asked("/v1/plans/{plan}/versions"), "shared"), Ask(asked("/v1/plans/unpublished-elm/versions"), "unseen")),
    ),
    Route(
        "POST", "/v1/events", ("ingest",),
        (Ask(told("/v1/events", posted), "own", missing=(200,), hidden=(400,)),),
    ),
    Route(
        "POST", "/v1/events/bulk", ("ingest",),
        (Ask(told("/v1/events/bulk", posted), "own", missing=(200,), hidden=(200,)),),
    ),
    Route(
        "GET", "/v1/events", ("read",),
        (
            Ask(asked("/v1/events"), "listed"),
            Ask(asked("/v1/events", tenant="{tenant}"), "own"),
            Ask(asked("/v1/events", resource="{resource}"), "own", **EMPTY),
            Ask(asked("/v1/events", type="charging.session.ended", **ALL_TIME), "listed"),
        ),
        ("tenant", "type", "resource", "start", "end"),
    ),
    Route(
        "POST", "/v1/events/cancellations", ("finance",),
        (Ask(told("/v1/events/cancellations", cancellation), "own", (200, 409)),),
    ),
    Route(
        "GET", "/v1/quarantine", ("read",),
        (Ask(asked("/v1/quarantine"), "listed"), Ask(asked("/v1/quarantine", reason="unmeasurable"), "listed")),
        ("reason",),
    ),
    Route(
        "POST", "/v1/quarantine/releases", ("admin",),
        (Ask(told("/v1/quarantine/releases", lambda _: {"reason": "unmeasurable"}), "listed", (202,)),),
    ),
    Route(
        "GET", "/v1/usage", ("read",),
        (
            Ask(asked("/v1/usage", meter="energy", group_by="tenant,resource,station"), "listed"),
            Ask(asked("/v1/usage", meter="energy", tenant="{tenant}", group_by="station"), "own"),
            Ask(asked("/v1/usage", meter="energy", resource="{resource}", group_by="station"), "own", **EMPTY),
            Ask(asked("/v1/usage", meter="energy", window="day", time_zone="UTC", **ALL_TIME), "listed"),
        ),
        ("meter", "tenant", "start", "end", "window", "time_zone", "group_by", "resource"),
    ),
    Route(
        "POST", "/v1/billing-runs", ("finance",),
        (
            Ask(told("/v1/billing-runs", run_of()), "listed", (202,)),
            Ask(told("/v1/billing-runs", run_of(tenants="{tenant}")), "own", (202,), (422,)),
            Ask(told("/v1/billing-runs", run_of(sellers="{tenant}")), "own", (202,), (422,)),
        ),
    ),
    Route("GET", "/v1/billing-runs/{id}", ("read", "finance"), (Ask(asked("/v1/billing-runs/{run}"), "own"),)),
    Route(
        "POST", "/v1/simulations", ("finance", "read"),
        (
            Ask(told("/v1/simulations", lambda _: SIMULATED), "listed"),
            Ask(
                told("/v1/simulations", lambda things: SIMULATED | {"tenants": [things.tenant]}), "own",
                missing=(422,),
            ),
        ),
    ),
    Route("GET", "/v1/simulations/{id}", ("finance", "read"), (Ask(asked("/v1/simulations/{simulation}"), "own"),)),
    Route(
        "GET", "/v1/simulations/{id}.{format}", ("finance", "read"),
        (
            Ask(asked("/v1/simulations/{simulation}.csv"), "own"),
            Ask(asked("/v1/simulations/{simulation}.svg", language="fr"), "own"),
        ),
        ("language",),
    ),
    Route("GET", "/v1/jobs/{id}", ("read",), (Ask(asked("/v1/jobs/{job}"), "hidden"),)),
    Route(
        "GET", "/v1/tenants/{key}/preview", ("read",),
        (
            Ask(asked("/v1/tenants/{tenant}/preview"), "own"),
            Ask(asked("/v1/tenants/{tenant}/preview", projection="linear"), "own"),
        ),
        ("projection",),
    ),
    Route(
        "GET", "/v1/tenants/{key}/balance", ("read",),
        (Ask(asked("/v1/tenants/{tenant}/balance", meter="energy"), "own"),), ("meter",),
    ),
    Route(
        "GET", "/v1/invoices", ("read",),
        (
            Ask(asked("/v1/invoices"), "listed"),
            Ask(asked("/v1/invoices", buyer="{tenant}"), "own", **EMPTY),
            Ask(asked("/v1/invoices", seller="{tenant}"), "own", **EMPTY),
            Ask(asked("/v1/invoices", number="{number}"), "own", **EMPTY),
            Ask(asked("/v1/invoices", status="draft", type="invoice", period_start="2026-10-01"), "listed"),
        ),
        ("status", "type", "buyer", "seller", "number", "period_start"),
    ),
    exported("documents", "csv", "xlsx"),
    exported("lines", "csv", "xlsx"),
    exported("focus", "csv", "csv.gz", "service_category"),
    Route(
        "GET", "/v1/exports/sales-journal.{format}", ("finance", "read"),
        (
            Ask(asked("/v1/exports/sales-journal.txt"), "listed"),
            Ask(asked("/v1/exports/sales-journal.csv", seller="{tenant}"), "own"),
        ),
        ("from", "to", "issued_from", "issued_to", "seller", "currency", "separator", "first_number"),
    ),
    Route(
        "GET", "/v1/exports/month-end", ("finance", "read"),
        (
            Ask(asked("/v1/exports/month-end", as_of="2026-11-01"), "listed"),
            Ask(asked("/v1/exports/month-end", seller="{tenant}"), "own"),
            Ask(asked("/v1/exports/month-end", tenant="{tenant}"), "own"),
        ),
        ("as_of", "seller", "tenant"),
    ),
    Route(
        "GET", "/v1/exports/month-end.{format}", ("finance", "read"),
        (
            Ask(asked("/v1/exports/month-end.csv", as_of="2026-11-01"), "listed"),
            Ask(asked("/v1/exports/month-end.xlsx", seller="{tenant}"), "own"),
            Ask(asked("/v1/exports/month-end.json", tenant="{tenant}"), "own"),
        ),
        ("as_of", "seller", "tenant"),
    ),
    Route("GET", "/v1/chart-of-accounts", ("finance", "read"), (Ask(asked("/v1/chart-of-accounts"), "refused"),)),
    Route(
        "PUT", "/v1/chart-of-accounts", ("finance",),
        (Ask(told("/v1/chart-of-accounts", lambda _: {"receivable": "411000"}), "refused"),),
    ),
    Route(
        "GET", "/v1/invoices/{id}", ("read",),
        (about_invoice(""), about_invoice("", "draft"), about_invoice("", "credit")),
    ),
    Route(
        "GET", "/v1/invoices/{id}.{format}", ("read",),
        (
            about_invoice(".csv"), about_invoice(".csv", "draft"), about_invoice(".pdf"),
            about_invoice(".pdf", "credit"), Ask(asked("/v1/invoices/{issued}.xml"), "own", (409,)),
        ),
    ),
    Route(
        "GET", "/v1/invoices/{id}.canonical.json", ("read",),
        (Ask(asked("/v1/invoices/{issued}.canonical.json"), "own"),),
    ),
    Route(
        "GET", "/v1/invoices/{id}.ubl.xml", ("read",),
        (Ask(asked("/v1/invoices/{issued}.ubl.xml"), "own", (409,)),),
    ),
    Route("GET", "/v1/invoices/{id}/statuses", ("read",), (about_invoice("/statuses"),)),
    Route(
        "POST", "/v1/invoices/{id}/statuses", ("finance",),
        (
            Ask(
                told("/v1/invoices/{issued}/statuses", lambda _: {"code": "205", "external_id": "flow-1"}), "refused",
                (200, 201),
            ),
        ),
    ),
    Route(
        "GET", "/v1/invoices/{id}/lines/{line}/explanation", ("read",),
        (
            about_invoice("/lines/ln_1/explanation"),
            Ask(asked("/v1/invoices/{credit}/lines/ln_1/explanation", window="hour", language="en"), "own"),
        ),
        ("window", "language"),
    ),
    Route(
        "GET", "/v1/invoices/{id}/annex.pdf", ("read",),
        (about_invoice("/annex.pdf"), Ask(asked("/v1/invoices/{credit}/annex.pdf", language="en"), "own")),
        ("window", "language"),
    ),
    Route(
        "GET", "/v1/invoices/{id}/lines/{line}/events", ("read",),
        (about_invoice("/lines/ln_1/events"), about_invoice("/lines/ln_1/events", "credit")),
    ),
    # Before the draft is issued, further down.
    Route(
        "PATCH", "/v1/invoices/{id}", ("finance",),
        (Ask(told("/v1/invoices/{draft}", lambda _: {"note": "a test"}), "refused", (200, 409)),),
    ),
    Route(
        "POST", "/v1/invoices/{id}/approve", ("finance",),
        (Ask(asked("/v1/invoices/{draft}/approve"), "refused", (200, 409)),),
    ),
    Route(
        "POST", "/v1/invoices/{id}/issue", ("finance",),
        (
            Ask(asked("/v1/invoices/{draft}/issue"), "own", (200, 409)),
            Ask(asked("/v1/invoices/{issued}/issue"), "own", (409,)),
        ),
    ),
    # A draft can be discarded once: that it is is tried further down. What is issued stays, so that all may ask.
    Route(
        "POST", "/v1/invoices/{id}/discard", ("finance",),
        (Ask(asked("/v1/invoices/{issued}/discard"), "own", (409,)),),
    ),
    Route(
        "POST", "/v1/invoices", ("finance",),
        (
            Ask(
                told("/v1/invoices", lambda things: {"buyer": things.tenant, "lines": [
                    {"description": "Work", "unit_price": "1"}]}),
                "refused", (201,), (422,),
            ),
        ),
    ),
    Route(
        "POST", "/v1/invoices/{id}/credit-notes", ("finance",),
        (Ask(told("/v1/invoices/{issued}/credit-notes", lambda _: {"reason": "a test", "amount": "0.01"}), "refused",
             (201,)),),
    ),
    Route("GET", "/v1/invoices/{id}/credit-notes", ("read",), (about_invoice("/credit-notes"),)),
    Route(
        "POST", "/v1/credit-grants", ("finance",),
        (
            Ask(
                told("/v1/credit-grants", lambda things: {"tenant": things.tenant, "kind": "prepaid", "amount": "1"}),
                "refused", (201,), (422,),
            ),
        ),
    ),
    Route(
        "GET", "/v1/credit-grants", ("read",),
        (
            Ask(asked("/v1/credit-grants"), "listed"),
            Ask(asked("/v1/credit-grants", tenant="{tenant}"), "own"),
            Ask(asked("/v1/credit-grants", kind="prepaid"), "listed"),
        ),
        ("tenant", "kind"),
    ),
    Route("GET", "/v1/credit-grants/{id}", ("read",), (Ask(asked("/v1/credit-grants/{grant}"), "own"),)),
    Route("GET", "/v1/credit-grants/{id}/uses", ("read",), (Ask(asked("/v1/credit-grants/{grant}/uses"), "own"),)),
    Route(
        "POST", "/v1/credit-grants/{id}/apply", ("finance",),
        (Ask(told("/v1/credit-grants/{grant}/apply", lambda _: {}), "refused", (200, 409)),),
    ),
    Route(
        "POST", "/v1/credit-grants/{id}/void", ("finance",),
        (Ask(told("/v1/credit-grants/{grant}/void", lambda _: {"reason": "a test"}), "refused"),),
    ),
    Route(
        "POST", "/v1/invoices/{id}/payments", ("finance",),
        (Ask(told("/v1/invoices/{issued}/payments", lambda _: {"amount": "1"}), "refused", (201,)),),
    ),
    Route(
        "GET", "/v1/invoices/{id}/payments", ("read",),
        (about_invoice("/payments"), about_invoice("/payments", "draft"), about_invoice("/payments", "credit")),
    ),
    Route(
        "POST", "/v1/payments", ("finance",),
        (
            Ask(told("/v1/payments", lambda things: {"tenant": things.tenant, "amount": "1"}), "refused", (201,),
                (422,)),
        ),
    ),
    Route(
        "GET", "/v1/payments", ("read",),
        (
            Ask(asked("/v1/payments"), "listed"),
            Ask(asked("/v1/payments", tenant="{tenant}"), "own"),
            Ask(asked("/v1/payments", invoice="{issued}"), "own", **EMPTY),
            Ask(asked("/v1/payments", unallocated="true"), "listed"),
        ),
        ("tenant", "invoice", "unallocated"),
    ),
    Route(
        "GET", "/v1/tenants/{key}/account", ("read",),
        (
            Ask(asked("/v1/tenants/{tenant}/account"), "own"),
            Ask(asked("/v1/tenants/{tenant}/account", as_of="2026-10-31"), "own"),
        ),
        ("as_of",),
    ),
    *(
        Route(
            "GET", path, ("read",),
            (
                Ask(asked(path), "listed"),
                Ask(asked(path, tenant="{tenant}"), "own"),
                Ask(asked(path, seller="{tenant}"), "listed", missing=(200,)),
                Ask(asked(path, as_of="2027-06-01", bucket="90+", currency="EUR"), "listed"),
            ),
            ("as_of", "bucket", "tenant", "seller", "currency"),
        )
        for path in ("/v1/receivables", "/v1/receivables.csv")
    ),
    Route(
        "POST", "/v1/bank-statements", ("finance",),
        (
            Ask(told("/v1/bank-statements", lambda _: STATEMENT), "refused", (200, 201), (200, 201)),
            Ask(told("/v1/bank-statements?seller=elm", lambda _: STATEMENT), "refused", (200, 201), (200, 201)),
        ),
        ("seller", "mapping"),
    ),
    Route(
        "GET", "/v1/bank-statements", ("read", "finance"),
        (Ask(asked("/v1/bank-statements"), "refused", missing=(200,)),),
    ),
    Route(
        "GET", "/v1/bank-entries", ("read", "finance"),
        (
            Ask(asked("/v1/bank-entries"), "refused", missing=(200,)),
            Ask(asked("/v1/bank-entries", status="unmatched", direction="credit", account="x", statement="y"),
                "refused", missing=(200,)),
            Ask(asked("/v1/bank-entries", seller="elm"), "refused", missing=(200,)),
        ),
        ("status", "direction", "account", "seller", "statement"),
    ),
    Route(
        "GET", "/v1/bank-entries/{id}", ("read", "finance"),
        (Ask(asked("/v1/bank-entries/{bank_entry}"), "refused"),),
    ),
    Route(
        "POST", "/v1/bank-entries/{id}/ignore", ("finance",),
        (Ask(told("/v1/bank-entries/{bank_entry}/ignore", lambda _: {"reason": "a test"}), "refused"),),
    ),
    Route(
        "POST", "/v1/bank-entries/{id}/assign", ("finance",),
        (Ask(told("/v1/bank-entries/{bank_entry}/assign", lambda to: {"tenant": to.tenant}), "refused", (200, 409)),),
    ),
    Route("GET", "/v1/payments/{id}", ("read",), (Ask(asked("/v1/payments/{payment}"), "own"),)),
    *(
        Route(
            "POST", f"/v1/payments/{{id}}/{verb}", ("finance",),
            (Ask(told(f"/v1/payments/{{payment}}/{verb}", body), "refused", ok),),
        )
        for verb, body, ok in (
            ("refunds", lambda _: {"amount": "0.01"}, (201,)),  # of more than anybody owes
            ("reversals", lambda _: {"reason": "a test", "amount": "0.01"}, (201,)),
            ("allocations", lambda _: {}, (200,)), ("releases", lambda things: {"invoice": things.issued}, (200, 409)),
        )
    ),
    Route(
        "POST", "/v1/applied-coupons", ("finance",),
        (
            Ask(
                told("/v1/applied-coupons", lambda things: {"tenant": things.tenant, "coupon": "tenth"}), "refused",
                (409,), (422,),
            ),
        ),
    ),
    Route(
        "GET", "/v1/applied-coupons", ("read",),
        (
            Ask(asked("/v1/applied-coupons"), "listed"),
            Ask(asked("/v1/applied-coupons", tenant="{tenant}"), "own"),
            Ask(asked("/v1/applied-coupons", coupon="tenth"), "listed"),
        ),
        ("tenant", "coupon"),
    ),
    Route("GET", "/v1/applied-coupons/{id}", ("read",), (Ask(asked("/v1/applied-coupons/{applied}"), "own"),)),
    Route(
        "POST", "/v1/applied-coupons/{id}/end", ("finance",),
        (Ask(asked("/v1/applied-coupons/{applied}/end"), "refused"),),
    ),
    Route(
        "POST", "/v1/invoices/{id}/email", ("finance",),
        (Ask(told("/v1/invoices/{issued}/email", lambda things: {"to": [f"bills@{things.tenant}.invalid"]}), "own",
             (202,)),),
    ),
    Route(
        "GET", "/v1/email-deliveries", ("read", "finance"),
        (
            Ask(asked("/v1/email-deliveries"), "listed"),
            Ask(asked("/v1/email-deliveries", invoice="{issued}"), "own"),
            Ask(asked("/v1/email-deliveries", status="pending"), "listed"),
        ),
        ("invoice", "status"),
    ),
    Route(
        "GET", "/v1/webhook-endpoints", ("admin",), (Ask(asked("/v1/webhook-endpoints"), "listed"),), ()
    ),
    Route("GET", "/v1/webhook-endpoints/{key}", ("admin",), (Ask(asked("/v1/webhook-endpoints/{endpoint}"), "own"),)),
    Route(
        "PUT", "/v1/webhook-endpoints/{key}", ("admin",),
        (
            Ask(
                lambda things: Sent(f"/v1/webhook-endpoints/{things.put['endpoint'][0]}", {},
                                    things.put["endpoint"][1]),
                "refused", (200,), (201, 200),
            ),
        ),
    ),
    Route(
        "PATCH", "/v1/webhook-endpoints/{key}", ("admin",),
        (Ask(told("/v1/webhook-endpoints/{endpoint}", lambda _: {}), "refused"),),
    ),
    Route(
        "DELETE", "/v1/webhook-endpoints/{key}", ("admin",),
        (Ask(asked("/v1/webhook-endpoints/{doomed}"), "refused", (204, 404)),),
    ),
    Route(
        "POST", "/v1/webhook-endpoints/{key}/rotate", ("admin",),
        (Ask(asked("/v1/webhook-endpoints/{endpoint}/rotate"), "refused"),),
    ),
    Route(
        "POST", "/v1/webhook-endpoints/{key}/test", ("admin",),
        (Ask(asked("/v1/webhook-endpoints/{endpoint}/test"), "refused", (202,)),),
    ),
    Route(
        "POST", "/v1/webhook-endpoints/{key}/replay", ("admin",),
        (Ask(told("/v1/webhook-endpoints/{endpoint}/replay", lambda _: {"failed_only": True}), "refused", (202,)),),
    ),
    Route(
        "GET", "/v1/webhook-deliveries", ("admin",),
        (
            Ask(asked("/v1/webhook-deliveries"), "listed"),
            Ask(asked("/v1/webhook-deliveries", endpoint="{endpoint}"), "own"),
            Ask(asked("/v1/webhook-deliveries", message="{message}"), "own", **EMPTY),
            Ask(asked("/v1/webhook-deliveries", status="pending", type="invoice.issued"), "listed"),
        ),
        ("endpoint", "status", "type", "message"),
    ),
    Route(
        "GET", "/v1/webhook-deliveries/{id}", ("admin",), (Ask(asked("/v1/webhook-deliveries/{delivery}"), "own"),)
    ),
    Route(
        "POST", "/openmeter/api/v1/events", ("ingest",),
        (Ask(told("/openmeter/api/v1/events", posted), "own", (204,), (204,), (400,)),),
    ),
    Route(
        "GET", "/openmeter/api/v1/events", ("read",),
        (
            Ask(asked("/openmeter/api/v1/events", to="", ingestedAtTo="", id="", **SINCE), "listed"),
            Ask(asked("/openmeter/api/v1/events", customerId="{tenant}", **SINCE), "own"),
            Ask(asked("/openmeter/api/v1/events", subject="{subject}", clientId="me", **SINCE), "own", **EMPTY),
        ),
        ("clientId", "ingestedAtFrom", "ingestedAtTo", "id", "subject", "customerId", "from", "to"),
    ),
    Route(
        "GET", "/openmeter/api/v1/meters", ("read",),
        (Ask(asked("/openmeter/api/v1/meters", **METER_PAGE), "shared"),), tuple(METER_PAGE),
    ),
    Route(
        "GET", "/openmeter/api/v1/meters/{slug}", ("read",),
        (Ask(asked("/openmeter/api/v1/meters/{meter}"), "shared"),),
    ),
    Route(
        "GET", "/openmeter/api/v1/meters/{slug}/query", ("read",),
        (
            Ask(asked("/openmeter/api/v1/meters/energy/query", groupBy="customer_id"), "listed"),
            Ask(asked("/openmeter/api/v1/meters/energy/query", groupBy="station", windowSize="DAY"), "listed"),
            Ask(asked("/openmeter/api/v1/meters/energy/query", filterCustomerId="{tenant}", groupBy="station"), "own"),
            Ask(asked("/openmeter/api/v1/meters/energy/query", subject="{subject}"), "own", **EMPTY),
        ),
    ),
    Route(
        "POST", "/openmeter/api/v1/meters/{slug}/query", ("read",),
        (
            Ask(told("/openmeter/api/v1/meters/energy/query", lambda _: {"groupBy": ["subject"]}), "listed"),
            Ask(told("/openmeter/api/v1/meters/energy/query", lambda things: {"filterCustomerId": [things.tenant]}),
                "own"),
        ),
    ),
    Route(
        "POST", "/lago/api/v1/events", ("ingest",),
        (Ask(told("/lago/api/v1/events", lambda things: {"event": used(things)}), "own", missing=(200,),
             hidden=(422,)),),
    ),
    Route(
        "POST", "/lago/api/v1/events/batch", ("ingest",),
        (Ask(told("/lago/api/v1/events/batch", lambda things: {"events": [used(things)]}), "own", missing=(200,),
             hidden=(422,)),),
    ),
)  # fmt: skip

# Whoever may read may ask for the headers alone, and nobody else: a HEAD is asked as its GET is first asked.
ROUTES = BUT_HEAD + tuple(
    replace(route, method="HEAD", asks=route.asks[:1]) for route in BUT_HEAD if route.method == "GET" and route.scopes
)


# --- who asks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asker:
    """`scopes` is None where the key opens nothing at all."""

    name: str
    header: str | None
    scopes: frozenset[str] | None = None
    tenant: str | None = None

    def asks(self, route: Route) -> bool:
        """A HEAD is the function of its GET: with several scopes at once only that is asked."""
        return route.method != "HEAD" or len(self.scopes or ()) < 2

    def may(self, route: Route) -> bool:
        return self.scopes is not None and not self.scopes.isdisjoint((*route.scopes, "admin"))


COMBINATIONS = (
    *((scope,) for scope in SCOPES),
    ("ingest", "read"), ("ingest", "finance"), ("read", "finance"), ("ingest", "read", "finance"), ("read", "admin"),
)  # fmt: skip


def askers(api: Api) -> Iterator[Asker]:
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    yield Asker("no key", None)
    yield Asker("a malformed key", "Bearer qp_not-a-key")
    ids_own, anothers = (create_key(database, scopes=SCOPES, now=api.clock()).split("_", 2) for _ in range(2))
    yield Asker("another key's secret", f"Bearer qp_{ids_own[1]}_{anothers[2]}")
    for tenant in ("", "alder"):
        revoked = create_key(database, scopes=SCOPES, tenant=tenant, now=api.clock())
        assert revoke_key(database, revoked, now=api.clock())
        yield Asker(f"a revoked key {tenant}".strip(), f"Bearer {revoked}")
    for tenant in ("", "alder"):
        for scopes in COMBINATIONS:
            made = create_key(database, scopes=scopes, tenant=tenant, now=api.clock())
            name = "+".join(scopes) + (f" of {tenant}" if tenant else "")
            yield Asker(name, f"Bearer {made}", frozenset(scopes), tenant or None)


def expected(route: Route, ask: Ask, asker: Asker, whose: Whose) -> tuple[int, ...]:
    if not route.scopes:
        return ask.ok
    if asker.scopes is None:
        return (401,)
    if not asker.may(route):
        return (403,)
    if asker.tenant is not None and ask.bound in ("refused", "hidden", "unseen"):
        return (403,) if ask.bound == "refused" else (404,)
    if asker.tenant is None or ask.bound in ("shared", "listed"):
        return ask.missing if whose == "missing" else ask.ok
    return ask.ok if whose == "own" else ask.hidden


# --- the service that is asked ----------------------------------------------------------------------------------------

LEGAL = {"name": "Elm SAS", "vat_number": "FR61552100554", "address":
         {"line1": "2 rue du Port", "postcode": "35000", "city": "Rennes", "country": "FR"}}  # fmt: skip
PLAN = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar"}
PRICED = {"key": "energy", "meter": "energy", "description": "Energy", "model": {"type": "per_unit", "unit_price": "1"}}
UNPUBLISHED = {**PRICED, "description": "draft-elm", "model": {"type": "per_unit", "unit_price": "6.54321"}}
FLAT = {"key": "access", "description": "Access", "model": {"type": "flat", "amount": "1.00"}}

# Quantities that nobody else has: 1 kWh costs 1 EUR, so they are amounts too.
KWH = {"alder": ("3113.13", "311.72", "313.91"), "birch": ("7177.77", "717.24", "719.83")}


def stock(api: Api) -> dict[Whose, Things]:
    """Two tenants with events, quarantine, usage, subscriptions, drafts, invoices, credit notes, runs and a job."""
    api.put("/v1/tenants/elm", OPERATOR | {"legal": LEGAL})
    api.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"})
    dollar = {"from": "USD", "to": "EUR", "date": "2026-09-01", "rate": "0.92", "source": "ECB"}
    api.put("/v1/exchange-rates/dollar", dollar)
    api.put("/v1/meters/energy", ENERGY)
    api.put("/v1/meters/minutes", ENERGY | {"event_type": "session.minutes", "property": "$.minutes", "unit": "min"})
    api.put("/v1/coupons/tenth", {"name": "A tenth", "percent": "10"})
    for plan, charges in (("standard", [PRICED]), ("flat", [FLAT])):
        api.put(f"/v1/plans/{plan}", PLAN | {"charges": charges})
        api.post(f"/v1/plans/{plan}/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    for key in KWH:
        _stock_catalog(api, key)
        _stock_events(api, key)
    api.post("/v1/events", event("nobodys-1", subject="nobodys-subject"))
    bill(api, "2026-10-01T00:00:00Z")
    for key in KWH:
        api.post("/v1/events/cancellations",
                 {"tenant": key, "source": f"/{key}", "id": f"{key}-wrong", "reason": f"{key} was wrong"})  # fmt: skip
    bill(api, "2026-10-01T00:00:00Z")
    bill(api, "2026-11-01T00:00:00Z", issue=False)
    for plan, name in (("standard", "Standard"), ("unpublished-elm", "draft-elm plan")):
        api.put(f"/v1/plans/{plan}", PLAN | {"name": name, "charges": [UNPUBLISHED]})
    job = api.post("/v1/quarantine/releases", {"reason": "unmeasurable"})
    assert job["status"] == "done"
    _stock_alerts(api)
    own, other = (_things(api, key, job["id"]) for key in KWH)
    return {"own": own, "other": other, "missing": _missing(own)}


def _stock_alerts(api: Api) -> None:
    """An alert for each tenant, and what it has noticed."""
    for key, (_, threshold, _) in KWH.items():
        alert = {"tenant": key, "measure": "quantity", "meter": "energy", "thresholds": [threshold]}
        api.put(f"/v1/alerts/{key}-alert", alert)
    deadline = time.monotonic() + 30
    while len(api.get("/v1/alert-events")["data"]) < len(KWH):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _stock_catalog(api: Api, key: str) -> None:
    address = {"line1": f"1 {key} street", "postcode": "75002", "city": f"{key} town", "country": "FR"}
    api.put(
        f"/v1/tenants/{key}",
        {"name": f"{key} SAS", "currency": "EUR", "time_zone": "Europe/Paris", "language": "en",
         "subjects": [f"{key}-badge"], "legal": {"name": f"{key} legal", "address": address}},
    )  # fmt: skip
    api.put(f"/v1/resources/{key}-post", {"name": f"{key} post", "kind": "equipment", "owner": key})
    api.put(f"/v1/subscriptions/{key}-sub", {"tenant": key, "plan": "standard", "start": "2026-09-01"})
    for name in ("hook", "doomed"):
        api.put(f"/v1/webhook-endpoints/{key}-{name}", {"url": f"https://{key}.invalid/{name}", "tenant": key})


def _stock_events(api: Api, key: str) -> None:
    """Use in September (one of it wrong), October and November, some that nothing prices, and what is set aside."""
    kwh = KWH[key]

    def sent(name: str, day: str, **changed: Any) -> Any:
        made = event(f"{key}-{name}", subject=f"{key}-badge", source=f"/{key}", time=f"{day}T10:00:00Z")
        return made | {"resource": f"{key}-post", "data": {"kwh": kwh[0], "station": f"{key}-12"}} | changed

    answer = api.post("/v1/events", [
        sent("sep", "2026-09-05"), sent("wrong", "2026-09-06", data={"kwh": kwh[1], "station": f"{key}-13"}),
        sent("oct", "2026-10-05", data={"kwh": kwh[2], "station": f"{key}-14"}),
        sent("nov", "2026-11-05"), sent("cancellable", "2026-11-06"),
        sent("unpriced", "2026-09-07", type="session.minutes", data={"minutes": kwh[2], "station": f"{key}-15"}),
        sent("aside", "2026-09-08", data={"kwh": f"no number of {key}"}),
        sent("strange", "2026-09-08", type=f"{key}.unknown.type"),
    ])  # fmt: skip
    assert (answer["accepted"], answer["quarantined"]) == (6, 2), answer


def simulated(api: Api, key: str) -> str:
    """What a bound key of the tenant asked for: only that it may see."""
    bound = create_key(
        api.client.app.state.database,  # type: ignore[attr-defined]
        scopes=["read"], tenant=key, now=api.clock(),
    )  # fmt: skip
    answer = api.call("POST", "/v1/simulations", SIMULATED, key=bound)
    assert answer.json()["status"] == "done", answer.text
    return str(answer.json()["id"])


def bill(api: Api, through: str, **rest: Any) -> str:
    run = api.bill(through, **rest)
    assert (run["status"], run["failed"]) == ("done", 0), run
    return str(run["id"])


def _things(api: Api, key: str, job: str) -> Things:
    documents = api.invoices(buyer=key)
    issued, credit, draft = (
        next(item for item in documents if (item["type"], item["status"]) == kind)
        for kind in (("invoice", "issued"), ("credit_note", "issued"), ("invoice", "draft"))
    )
    api.post(f"/v1/invoices/{issued['id']}/email", {"to": [f"bills@{key}.invalid"]})
    delivery = api.get("/v1/webhook-deliveries", endpoint=f"{key}-hook", type="invoice.issued")["data"][0]
    put = {
        name: (thing, api.get(f"/v1/{path}/{thing}"))
        for name, path, thing in (
            ("tenant", "tenants", key), ("resource", "resources", f"{key}-post"), ("meter", "meters", "energy"),
            ("tax_rate", "tax-rates", "standard"),
            ("exchange_rate", "exchange-rates", "dollar"), ("coupon", "coupons", "tenth"),
            ("plan", "plans", "standard"),
            ("subscription", "subscriptions", f"{key}-sub"), ("alert", "alerts", f"{key}-alert"),
            ("endpoint", "webhook-endpoints", f"{key}-hook"),
        )
    }  # fmt: skip
    return Things(
        tenant=key, subject=f"{key}-badge", resource=f"{key}-post", subscription=f"{key}-sub", event=f"{key}-posted",
        cancellable=f"{key}-cancellable", issued=issued["id"], number=issued["number"], draft=draft["id"],
        simulation=simulated(api, key), credit=credit["id"], alert=f"{key}-alert",
        run=bill(api, THROUGH, tenants=[key], dry_run=True), job=job, grant=_granted(api, key),
        applied=api.post("/v1/applied-coupons", {"coupon": "tenth", "tenant": key})["id"],
        bank_entry=_told_by_bank(api, key),
        payment=api.post(
            "/v1/payments", {"tenant": key, "amount": "99999", "note": f"{key} paid", "allocate": "none"}
        )["id"],
        endpoint=f"{key}-hook", doomed=f"{key}-doomed", message=delivery["message"], delivery=delivery["id"], put=put,
    )  # fmt: skip


def _told_by_bank(api: Api, key: str) -> str:
    """An entry of a statement that waits for a person."""
    content = f"date,amount,text\n2026-11-05,2.00,{key}\n"
    api.post("/v1/bank-statements", {"format": "csv", "content": content})
    found = api.get("/v1/bank-entries", status="unmatched")["data"]
    return next(str(entry["id"]) for entry in found if entry["text"] == key)


def _granted(api: Api, key: str) -> str:
    """A grant that a bill has used."""
    made = api.post("/v1/credit-grants", {"tenant": key, "kind": "prepaid", "amount": "9", "description": f"{key} 9"})
    api.post(f"/v1/credit-grants/{made['id']}/apply", {})
    return str(made["id"])


def _missing(like: Things) -> Things:
    """Well-formed names of nothing. What is put under a new key is made there, in cells of their own."""
    nothing = [public_id("inv", UUID(int=number), UUID(int=number)) for number in (1, 2, 3)]
    new = {
        "tenant": {"name": "New", "currency": "EUR", "time_zone": "UTC", "language": "en"},
        "meter": ENERGY | {"event_type": "new.type"},
        "plan": PLAN | {"charges": [FLAT]},
        "subscription": {"tenant": "alder", "plan": "flat", "start": "2026-11-20"},
        "exchange_rate": {"from": "GBP", "to": "EUR", "date": "2026-09-01", "rate": "1.15", "source": "ECB"},
    }
    put = {name: (f"new-{name}", new.get(name, body | {"key": f"new-{name}"})) for name, (_, body) in like.put.items()}
    return Things(
        tenant="nowhere", subject="nowhere-badge", resource="nowhere-post", subscription="nowhere-sub",
        event="nowhere-posted", cancellable="nowhere-cancellable", issued=nothing[0], number="1999-000001",
        draft=nothing[1], credit=nothing[2], alert="nowhere-alert", run=str(UUID(int=4)), job=str(UUID(int=5)),
        simulation=str(UUID(int=6)),
        grant=public_id("cg", UUID(int=6), UUID(int=6)), applied=public_id("ac", UUID(int=7), UUID(int=7)),
        payment=public_id("pay", UUID(int=8), UUID(int=8)), bank_entry=public_id("ben", UUID(int=8), UUID(int=8)),
        endpoint="nowhere-hook", doomed="nowhere-doomed", message=public_id("msg", UUID(int=8), UUID(int=8)),
        delivery=public_id("dlv", UUID(int=9), UUID(int=9)), coupon="nowhere-coupon",
        meter="nowhere-meter", tax_rate="nowhere-rate", exchange_rate="nowhere-rate", plan="nowhere-plan", put=put,
    )  # fmt: skip


# --- what an answer gives away ----------------------------------------------------------------------------------------


def marks(api: Api) -> dict[str, frozenset[str]]:
    """By tenant: every text that an admin is told of it and of no other tenant; and what is not published."""
    seen = {key: set(_texts_about(api, key)) for key in KWH}
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    with database.engine.connect() as connection:
        for key, tenant_id in connection.execute(sa.text("SELECT key, tenant_id FROM tenants")):
            if key in seen:
                plain = UUID(bytes=tenant_id) if isinstance(tenant_id, bytes) else UUID(str(tenant_id))
                seen[key] |= {plain.hex, str(plain)}
    alone = {
        key: frozenset(texts - set().union(*(seen[other] for other in seen if other != key)))
        for key, texts in seen.items()
    }
    assert all({key, f"{key}-badge", *KWH[key]} <= alone[key] for key in KWH)
    return alone | {"elm": frozenset({"draft-elm", "unpublished-elm", "6.54321"})}


def _texts_about(api: Api, key: str) -> Iterator[str]:
    for path in (
        f"/v1/tenants/{key}", f"/v1/resources/{key}-post", f"/v1/subscriptions/{key}-sub", f"/v1/events?tenant={key}",
        f"/v1/invoices?buyer={key}", f"/v1/tenants/{key}/preview", f"/v1/credit-grants?tenant={key}",
        f"/v1/payments?tenant={key}",
        f"/v1/alerts?tenant={key}", f"/v1/alert-events?tenant={key}", f"/v1/webhook-endpoints/{key}-hook",
        f"/v1/webhook-deliveries?endpoint={key}-hook", f"/v1/email-deliveries?invoice={_first_issued(api, key)}",
        f"/v1/usage?meter=energy&tenant={key}&group_by=station,resource,tenant",
    ):  # fmt: skip
        yield from _leaves(api.call("GET", path).json())
    yield from _leaves([row for row in api.get("/v1/quarantine")["data"] if row["subject"] == f"{key}-badge"])


def _first_issued(api: Api, key: str) -> str:
    found = api.invoices(buyer=key, status="issued", type="invoice")
    return str(found[0]["id"])


_NOT_HEX = re.compile("[^0-9a-f]")


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str) and len(value) >= 4 and (len(value) >= 16 or _NOT_HEX.search(value)):
        yield value  # a few digits would also be found in a hash or an id, by chance


PASSING = ("x-request-id", "date")  # headers that are another at each request


def told_by(answer: Any) -> str:
    """All that the answer says: its body, the text of a PDF or a workbook, what its cursor holds, and its headers."""
    parts = [f"{name}: {value}" for name, value in answer.headers.items() if name not in PASSING]
    if answer.headers.get("content-type") == "application/pdf" and answer.content:  # HEAD has none
        parts += [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.content)).pages]
        return "\n".join(parts)
    if answer.headers.get("content-type", "").endswith("spreadsheetml.sheet"):
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        parts += [str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row]
        return "\n".join(parts)
    if answer.headers.get("content-type") == "application/gzip":
        return "\n".join([*parts, gzip.decompress(answer.content).decode()])
    cursor = re.search(r'"next_cursor":"([^"]+)"', answer.text)
    if cursor:
        parts.append(base64.urlsafe_b64decode(cursor.group(1) + "==").decode())
    return "\n".join([*parts, answer.text])


def given_away(text: str, sent: Sent, forbidden: Iterable[str]) -> list[str]:
    return sorted(mark for mark in forbidden if mark in text and mark not in sent.text)


def without_names(answer: Any, things: Things) -> tuple[Any, ...]:
    """The answer with a stand-in for each name that was sent: what is left must not tell another's from nothing."""
    text = answer.text
    for name in things.names():
        text = text.replace(name, "~")
    passing = ("content-length", *PASSING)
    return answer.status_code, {k: v for k, v in answer.headers.items() if k not in passing}, text


# --- the matrix -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    route: Route
    ask: Ask
    asker: Asker
    whose: Whose
    sent: Sent

    @property
    def expected(self) -> tuple[int, ...]:
        return expected(self.route, self.ask, self.asker, self.whose)

    @property
    def may_change(self) -> bool:
        return not self.route.changes_nothing and min(self.expected) < 400

    def __str__(self) -> str:
        return f"{self.asker.name}: {self.route.method} {self.sent.path} {self.sent.query or self.sent.body or ''}"


def cells(everything: dict[Whose, Things], who: list[Asker]) -> Iterator[Cell]:
    """All of them; a request that names nothing of a tenant is asked once."""
    for route in ROUTES:
        for ask in route.asks:
            asked_already: list[Sent] = []
            for whose in WHOSE:
                sent = ask.of(everything[whose])
                if sent not in asked_already:
                    asked_already.append(sent)
                    yield from (Cell(route, ask, asker, whose, sent) for asker in who if asker.asks(route))


class Matrix:
    """Asks, and keeps what was wrong."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.things = stock(api)
        self.marks = marks(api)
        self.wrong: list[str] = []
        self.seen: dict[str, set[str]] = {}  # by route: whose marks keys that may see them were told
        self.opened: set[int] = set()  # the asks that were answered with 2xx
        self._hidden: dict[tuple[str, int, Asker], tuple[Any, ...]] = {}

    def ask(self, cell: Cell) -> None:
        headers = {"Authorization": cell.asker.header} if cell.asker.header is not None else {}
        if cell.route.path.endswith("/bulk"):
            headers["Content-Type"] = "application/x-ndjson"  # one object is one line
        answer = self.api.client.request(
            cell.route.method, cell.sent.path, params=cell.sent.query or None, json=cell.sent.body, headers=headers
        )
        if answer.status_code not in cell.expected:
            self.wrong.append(f"{cell}: {answer.status_code}, not {cell.expected}: {answer.text[:200]}")
        if answer.status_code < 300:
            self.opened.add(id(cell.ask))
        self._look_through(cell, answer)
        self._compare_hidden(cell, answer)

    def _look_through(self, cell: Cell, answer: Any) -> None:
        asker, text = cell.asker, told_by(answer)
        opens = bool(cell.route.scopes) and asker.may(cell.route)
        visible = {asker.tenant} if asker.tenant is not None else set(self.marks)
        for key, own in self.marks.items():
            found = given_away(text, cell.sent, own)
            if found and not (opens and key in visible):
                self.wrong.append(f"{cell} gives away {found[:5]} of {key}")
            if any(mark in text for mark in own):
                self.seen.setdefault(f"{cell.route.name} {asker.tenant or ''}".strip(), set()).add(key)

    def _compare_hidden(self, cell: Cell, answer: Any) -> None:
        """A bound key is told the same of another tenant's thing and of one that there is not."""
        if cell.asker.tenant is None or cell.whose == "own":
            return
        place, plain = (cell.route.name, id(cell.ask), cell.asker), without_names(answer, self.things[cell.whose])
        if self._hidden.setdefault(place, plain) != plain and cell.ask.bound != "shared":
            self.wrong.append(f"{cell} tells another's from nothing: {self._hidden[place]} {plain}")


def rows(database: Database) -> dict[str, list[str]]:
    """All that is kept, but for files, which are rendered when they are first asked for, and for what a worker notes of
    whom it has looked at."""
    with database.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
            if table.name
            not in (
                "invoice_files",
                "alert_watch",
                "alert_marks",
                "outbox_deliveries",
                "webhook_endpoints",
            )
        }


def test_every_key_does_what_it_may_and_sees_what_is_its_tenants(database_url: str) -> None:
    """Every cell; whoever is refused, or only reads, leaves every row as it was."""
    with service(database_url) as api:
        matrix = Matrix(api)
        all_cells = list(cells(matrix.things, list(askers(api))))
        before = rows(api.client.app.state.database)  # type: ignore[attr-defined]
        for cell in all_cells:
            if not cell.may_change:
                matrix.ask(cell)
        after = rows(api.client.app.state.database)  # type: ignore[attr-defined]
        changed = {name: set(after[name]) ^ set(before[name]) for name in after if after[name] != before[name]}
        matrix.wrong += [f"{name} is changed: {difference}" for name, difference in changed.items()]
        for cell in all_cells:
            if cell.may_change:
                matrix.ask(cell)

    assert not matrix.wrong, f"{len(matrix.wrong)} wrong\n" + "\n".join(text[:1000] for text in matrix.wrong[:40])
    never = {ask for route in ROUTES for ask in route.asks if id(ask) not in matrix.opened and min(ask.ok) < 300}
    assert never == set(), "asked in a way that nobody may succeed with"
    # The search itself finds what is there: an admin is told of both tenants wherever a bound key is told of its own.
    for route in ROUTES:
        kinds = {ask.bound for ask in route.asks}
        if route.method == "GET" and kinds & {"own", "listed"}:
            assert matrix.seen.get(route.name, set()) >= set(KWH), route.name
            # The books of a seller name whom it sold to.
            expected = "birch" if "sales-journal" in route.path else "alder"
            assert expected in matrix.seen.get(f"{route.name} alder", set()), route.name


def routes_of(app: Any) -> list[tuple[str, str | None]]:
    return sorted(
        # A path with a convertor is documented without.
        (method, re.sub(r":\w+}", "}", context.path or ""))
        for context in iter_route_contexts(app.routes)
        for method in getattr(context, "methods", None) or ["(any)"]
    )


def test_the_table_has_every_route_and_no_other() -> None:
    # The busiest route is there twice: once as it is documented, once with a short way to it.
    assert sorted(set(routes_of(create_app(Settings())))) == sorted((route.method, route.path) for route in ROUTES)


def test_a_worker_has_nothing_that_needs_a_key() -> None:
    assert set(routes_of(create_worker())) <= {(route.method, route.path) for route in ROUTES if not route.scopes}


def test_the_table_has_every_filter_and_asks_with_it(sqlite_url: str) -> None:
    """A list names the query parameters that it knows to whoever sends one that it does not know."""
    with service(sqlite_url) as api:
        things = stock(api)["own"]
        for route in (route for route in ROUTES if route.method == "GET" and route.scopes and "{" not in route.path):
            if route.path == "/v1/chart-of-accounts":  # one thing, and no list
                continue
            detail = api.call("GET", f"{route.path}?surprise=1").json()["detail"]
            known = set(re.findall(r"\w+", detail.rpartition("known are")[2])) - {"limit", "cursor"}
            used = {name for ask in route.asks for name in ask.of(things).query}
            assert known == set(route.filters or ()) == used, route.name


# --- what a status does not show --------------------------------------------------------------------------------------


def asker_of(api: Api, *scopes: str, tenant: str = "alder") -> Callable[..., Any]:
    """Sends requests with a new key; the answer whatever it is."""
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    made = create_key(database, scopes=scopes, tenant=tenant, now=api.clock())
    return lambda method, path, body=None, **rest: api.call(method, path, body, key=made, **rest)


def test_what_a_bound_key_starts_stays_with_its_tenant(database_url: str) -> None:
    """A run bills its tenant only, and lists only what of its tenant's is unpriced; a release tries its copies only."""
    with service(database_url) as api:
        matrix = Matrix(api)
        ask = asker_of(api, "finance", "admin")
        released = ask("POST", "/v1/quarantine/releases", {"reason": "unmeasurable"}).json()
        assert (released["status"], released["remaining"]) == ("done", 1)

        run = ask("POST", "/v1/billing-runs", {"through": "2026-11-01T00:00:00Z", "issue": True}).json()
        for _ in range(3000):
            found = ask("GET", f"/v1/billing-runs/{run['id']}")
            if found.json()["status"] != "running":
                break
            time.sleep(0.02)
        assert found.json()["periods_due"] == found.json()["closed"] == 1
        assert {entry["tenant"] for entry in found.json()["unpriced"]} == {"alder"}
        assert given_away(found.text, Sent(""), matrix.marks["birch"]) == []
        assert {(item["buyer"], item["status"]) for item in api.invoices(period_start="2026-10-01")} == {
            ("alder", "issued"),
            ("birch", "draft"),
        }


def test_a_bound_key_discards_its_own_draft_and_no_other(database_url: str) -> None:
    with service(database_url) as api:
        things = stock(api)
        ask = asker_of(api, "finance", "read")
        assert ask("POST", f"/v1/invoices/{things['other'].draft}/discard").status_code == 404
        assert ask("POST", f"/v1/invoices/{things['own'].draft}/discard").status_code == 204
        assert ask("GET", f"/v1/invoices/{things['own'].draft}").status_code == 404
        assert api.get(f"/v1/invoices/{things['other'].draft}")["status"] == "draft"


WITHOUT_PAGES = ("/v1/usage", "/v1/receivables.csv", "/v1/exports/month-end")
LISTS_OF_TENANTS = [
    route.path
    for route in ROUTES
    if "{" not in route.path and any(ask.bound == "listed" for ask in route.asks)
    if route.method == "GET" and route.path.startswith("/v1/") and route.path not in WITHOUT_PAGES
]


def test_a_page_and_its_cursor_hold_what_is_the_tenants(database_url: str) -> None:
    """One row a page: no page, no cursor and no count of pages says that others have rows between them."""
    with service(database_url) as api:
        matrix = Matrix(api)
        ask = asker_of(api, "read", "admin")
        for path in LISTS_OF_TENANTS:
            whole = ask("GET", path).json()["data"]
            pages: list[Any] = []
            cursor: str | None = ""
            while cursor is not None:
                answer = ask("GET", path, params={"limit": "1", "cursor": cursor})
                assert given_away(told_by(answer), Sent(""), matrix.marks["birch"]) == [], path
                pages += answer.json()["data"]
                cursor = answer.json()["next_cursor"]
                assert len(pages) <= len(whole), path
            assert pages == whole != [], path


def test_a_cursor_of_somebody_else_opens_nothing_more(database_url: str) -> None:
    """A cursor is a place, not a permission: an admin's leads a bound key to its own rows after that place only."""
    with service(database_url) as api:
        matrix = Matrix(api)
        ask = asker_of(api, "read", "admin")
        for path in LISTS_OF_TENANTS:
            cursor = api.get(path, limit=1)["next_cursor"]
            answer = ask("GET", path, params={"cursor": cursor})
            assert answer.status_code == 200
            assert (
                given_away(told_by(answer), Sent(base64.b64decode(cursor + "==").decode()), matrix.marks["birch"]) == []
            )


def test_a_key_bound_to_the_seller_sees_what_it_sold_and_no_use_beside_it(database_url: str) -> None:
    """Who sells sees its documents, and the events behind their lines, and nothing else of the buyers."""
    with service(database_url) as api:
        things = stock(api)["own"]
        ask = asker_of(api, "read", "finance", "ingest", tenant="elm")
        assert {item["buyer"] for item in ask("GET", "/v1/invoices").json()["data"]} == {"alder", "birch"}
        assert ask("GET", f"/v1/invoices/{things.issued}/lines/ln_1/events").json()["data"] != []
        assert ask("GET", "/v1/events").json()["data"] == []
        assert ask("GET", "/v1/quarantine").json()["data"] == []
        assert ask("GET", "/v1/usage?meter=energy").json()["data"] == []
        for path in ("tenants/alder", "tenants/alder/preview", "subscriptions/alder-sub", "resources/alder-post"):
            assert ask("GET", f"/v1/{path}").status_code == 404, path
        assert ask("POST", "/v1/events/cancellations", cancellation(things)).status_code == 404


def test_a_key_bound_to_a_tenant_that_is_gone_opens_nothing(database_url: str) -> None:
    """Bound means bound: where its tenant is not found, a key does not become one that sees all tenants."""
    with service(database_url) as api:
        stock(api)
        ask = asker_of(api, "read")
        assert ask("GET", "/v1/resources").status_code == 200
        database: Database = api.client.app.state.database  # type: ignore[attr-defined]
        database.write(
            lambda connection: connection.execute(
                api_keys.update().where(api_keys.c.tenant_key == "alder").values(tenant_key="gone")
            )
        )
        for path in ("resources", "subscriptions", "quarantine", "events", "invoices", "tenants", "usage?meter=energy"):
            assert ask("GET", f"/v1/{path}").status_code == 401, path


@pytest.mark.parametrize(
    "form",
    [
        "", "Bearer", "Bearer ", "Bearer  ", "{key}", "Basic {key}", "Token {key}", "Bearer {key}x", "Bearer {short}",
        "Bearer {key} {key}", "Bearer {key},{key}", "Bearer {id}", "Bearer qp_{id}", "Bearer qp_{id}_",
        "Bearer qp_{id}_{other}", "Bearer qp_{id}_{digest}", "Bearer {upper}", "Bearer *", "Bearer %", "Bearer null",
    ],
)  # fmt: skip
def test_only_the_whole_key_opens(sqlite_url: str, form: str) -> None:
    with service(sqlite_url) as api:
        database: Database = api.client.app.state.database  # type: ignore[attr-defined]
        key, other = (create_key(database, scopes=["admin"], now=api.clock()) for _ in range(2))
        _, key_id, secret = key.split("_", 2)
        header = form.format(
            key=key, short=key[:-1], id=key_id, other=other.split("_", 2)[2], upper=key.upper(),
            digest=hashlib.sha256(secret.encode()).hexdigest(),
        )  # fmt: skip
        assert api.client.get("/v1/tenants", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert api.client.get("/v1/tenants", headers={"Authorization": header}).status_code == 401
        assert api.client.get("/v1/tenants", params={"key": key, "access_token": key}).status_code == 401
        assert api.client.get("/v1/tenants", headers={"Cookie": f"Authorization=Bearer {key}"}).status_code == 401
