"""One YAML document for the whole catalog: shown, applied whole or not at all, and told line by line what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.operations.apply_catalog import Applied, apply_catalog
from app.operations.show_catalog import list_tenants, show_meter, show_plan, show_subscription, show_tenant
from app.storage.database import Database
from app.wire.catalog_file import InvalidCatalogFile

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

DOCUMENT = """\
tenants:
  acme:
    name: Acme SAS
    currency: EUR
    time_zone: Europe/Paris
    language: fr
    subjects: [user-17, 01234]
    legal:
      name: Acme
      registration: 552100554
      address: {line1: 1 rue X, postcode: 01000, city: Bourg, country: FR}
  garage: {name: Garage, currency: EUR, time_zone: Europe/Paris, operator: true, tax: standard}
resources:
  charger-12: {name: Charger 12, kind: equipment, owner: garage}
meters:
  energy:
    event_type: charging.session.ended
    aggregation: sum
    property: $.kwh
    unit: kWh
    dimensions: {station: $.station}
    filter: [{property: $.level, operator: gte, value: 0.50}]
    rounding: {mode: up, scale: 2}
tax_rates:
  standard: {category: S, rate: 20, country: FR, start: 2014-01-01}
plans:
  standard:
    name: Standard
    currency: EUR
    interval: month
    charges:
      - {key: energy, meter: energy, tax: standard, model: {type: per_unit, unit_price: 0.30}}
    publish: {effective_at: 2025-12-01T00:00:00Z}
subscriptions:
  acme-1: {tenant: acme, plan: standard, start: 2026-01-01, version: 1}
"""


def apply(database: Database, text: str = DOCUMENT, **rest: Any) -> Applied:
    return apply_catalog(database, text, name="catalog.yaml", now=NOW, **rest)


def faults(database: Database, text: str) -> list[str]:
    with pytest.raises(InvalidCatalogFile) as caught:
        apply(database, text)
    return [str(fault) for fault in caught.value.faults]


def actions(applied: Applied) -> dict[str, str]:
    return {f"{change.section}/{change.key}": change.action for change in applied.changes}


def tenants(database: Database) -> list[str]:
    return [row["key"] for row in database.read(lambda c: list_tenants(c, after=None, limit=10))]


def test_a_document_makes_the_whole_catalog(database: Database) -> None:
    applied = apply(database)
    assert actions(applied) == {
        "tax_rates/standard": "created", "tenants/acme": "created", "tenants/garage": "created",
        "resources/charger-12": "created", "meters/energy": "created", "plans/standard": "published",
        "subscriptions/acme-1": "created",
    }  # fmt: skip
    assert applied.left_jobs
    acme = database.read(lambda c: show_tenant(c, "acme"))
    assert acme is not None
    assert acme["subjects"] == ["01234", "user-17"], "a number with a leading zero is text"
    assert acme["legal"]["registration"] == "552100554"
    assert acme["legal"]["address"]["postcode"] == "01000"
    plan = database.read(lambda c: show_plan(c, "standard"))
    assert plan is not None
    assert plan["charges"][0]["model"]["unit_price"] == "0.30"
    meter = database.read(lambda c: show_meter(c, "energy"))
    assert meter is not None
    assert str(meter["filter"][0]["value"]) == "0.50"
    subscription = database.read(lambda c: show_subscription(c, "acme-1"))
    assert subscription is not None
    assert (subscription["start"], subscription["version"]) == ("2026-01-01", 1)


def test_applied_again_it_changes_nothing(database: Database) -> None:
    apply(database)
    again = apply(database)
    assert set(actions(again).values()) == {"unchanged"}
    assert not again.left_jobs


def test_a_dry_run_tells_and_does_nothing(database: Database) -> None:
    told = apply(database, dry_run=True)
    assert tenants(database) == []
    assert told.changes == apply(database).changes


def test_a_change_is_told_field_by_field(database: Database) -> None:
    apply(database)
    changed = DOCUMENT.replace("city: Bourg", "city: Lyon").replace("subjects: [user-17, 01234]", "subjects: [01234]")
    changed = changed.replace("value: 0.50", "value: 0.75").replace("unit_price: 0.30", "unit_price: 0.40")
    changed = changed.replace("2025-12-01T00", "2026-12-01T00").replace(", version: 1", "")
    told = {
        f"{change.section}/{change.key}/{change.action}": change.fields for change in apply(database, changed).changes
    }
    assert told["tenants/acme/changed"] == (
        ("legal.address.city", "Bourg", "Lyon"), ("subjects", ["01234", "user-17"], ["01234"]),
    )  # fmt: skip
    assert [path for path, _, _ in told["meters/energy/changed"]] == ["filter"]
    assert [path for path, _, _ in told["plans/standard/changed"]] == ["charges"]
    assert told["plans/standard/published"] == (
        ("version", None, 2), ("effective_at", None, "2026-12-01T00:00:00Z"),
    )  # fmt: skip
    assert told["subscriptions/acme-1/changed"] == (("version", 1, None),)


def test_every_fault_of_a_document_is_told_with_its_line(database: Database) -> None:
    text = """\
tenants:
  acme: {name: Acme, currency: EURO, time_zone: Europe/Paris}
  beta:
    name: Beta
    currency: EUR
    time_zone: Europe/Paris
    colour: red
    subjects: [a, a]
  acme: {}
users: {}
meters: [energy]
plans:
  p:
    name: P
    currency: EUR
    interval: month
    charges:
      - key: c
        meter: m
        model:
          type: graduated
          tiers:
            - {up_to: 10, unit_price: 1e3}
            - {up_to: null, unit_price: yes}
    publish: {effective_at: tomorrow}
"""
    assert faults(database, text) == ["catalog.yaml:9: tenants.acme: stands here twice"]
    assert faults(database, text.replace("  acme: {}\n", "")) == [
        "catalog.yaml:2: tenants.acme.currency: must be the three-letter code of a currency (ISO 4217), such as EUR",
        "catalog.yaml:7: tenants.beta.colour: there is no such field",
        "catalog.yaml:8: tenants.beta.subjects[1]: the subject 'a' stands here twice",
        "catalog.yaml:9: users: there is no such section; there are tenants, resources, meters, tax_rates, "
        "exchange_rates, coupons, plans, subscriptions, alerts",
        "catalog.yaml:10: meters: must be a mapping of keys to objects",
        'catalog.yaml:22: plans.p.charges[0].model.tiers[0].unit_price: must be a decimal number without exponent, '
        'such as "12.50", not \'1e3\'',
        'catalog.yaml:23: plans.p.charges[0].model.tiers[1].unit_price: must be a decimal number without exponent, '
        'such as "12.50", not \'yes\'',
        "catalog.yaml:24: plans.p.publish.effective_at: not an RFC 3339 time with an offset, such as "
        "2026-11-01T08:00:00Z",
    ]  # fmt: skip
    assert tenants(database) == []


def test_what_breaks_a_rule_of_the_catalog_is_told_with_its_line_too(database: Database) -> None:
    """The tenant of line 2 is fine; nothing of it is kept."""
    text = """\
tenants:
  acme: {name: Acme, currency: EUR, time_zone: Europe/Paris, operator: true}
  beta: {name: Beta, currency: EUR, time_zone: Europe/Paris, operator: true}
resources:
  r: {name: R, kind: saas, owner: nobody}
plans:
  p:
    name: P
    currency: USD
    interval: month
    charges:
      - key: c
        meter: missing
        model: {type: per_unit, unit_price: 1}
    publish: {effective_at: 2026-01-01T00:00:00Z}
subscriptions:
  s: {tenant: acme, plan: p, start: 2026-01-01}
"""
    assert faults(database, text) == [
        "catalog.yaml:3: tenants.beta: There is one operator, and it is 'acme'.",
        "catalog.yaml:5: resources.r.owner: There is no tenant 'nobody'.",
        "catalog.yaml:13: plans.p.charges[0].meter: there is no meter 'missing'",
        "catalog.yaml:17: subscriptions.s.plan: there is no plan 'p'",
    ]
    assert tenants(database) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tenants: {a: [", "catalog.yaml:1: not YAML: "),
        ("tenants:\n\t- x", "catalog.yaml:2: not YAML: "),
        ("- tenants", "catalog.yaml:1: must be a mapping with the sections"),
        ("a: &x [1]\nb: *x", "catalog.yaml:1: anchors with aliases are not supported"),
        ("tenants: {? [1]: 2}", "catalog.yaml:1: tenants: a key must be text"),
        ("tenants: {a: 5}", "catalog.yaml:1: tenants.a: must be an object, not a number"),
        ("tenants: {a/b: {name: A, currency: EUR, time_zone: UTC}}", "catalog.yaml:1: tenants.a/b.key: holds a slash"),
        ("tenants: " + "[" * 60 + "]" * 60, "catalog.yaml:1: tenants"),
        ("tenants: " + "[" * 5000 + "]" * 5000, "catalog.yaml:1: is nested too deeply"),
        ("tenants: {a: {name: \"x\\0y\"}}", "catalog.yaml:1: tenants.a.name: holds a NUL"),
    ],
)  # fmt: skip
def test_what_is_no_catalog_is_refused(database: Database, text: str, fault: str) -> None:
    assert any(line.startswith(fault) for line in faults(database, text)), faults(database, text)


def test_a_subject_claimed_twice_in_one_document_is_a_fault(database: Database) -> None:
    body = "{name: X, currency: EUR, time_zone: UTC, subjects: [s]}"
    assert faults(database, f"tenants:\n  a: {body}\n  b: {body}\n") == [
        "catalog.yaml:3: tenants.b.subjects: the subject 's' is tenant 'a''s in this document"
    ]


def test_an_empty_document_asks_for_nothing(database: Database) -> None:
    assert apply(database, "").changes == ()
    assert apply(database, "tenants:\n").changes == ()


def test_the_operator_can_be_another_in_one_document(database: Database) -> None:
    body = "{name: X, currency: EUR, time_zone: UTC, operator: "
    text = f"tenants:\n  a: {body}X}}\n  b: {body}Y}}\n"
    apply(database, text.replace("X}", "true}").replace("Y}", "false}"))
    assert actions(apply(database, text.replace("X}", "false}").replace("Y}", "true}"))) == {
        "tenants/a": "changed", "tenants/b": "changed",
    }  # fmt: skip
