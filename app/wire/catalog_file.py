"""The whole catalog as one YAML document -> what it wants of each object, with the line where each thing stands.

    tenants:
      garage: {name: Garage, currency: EUR, time_zone: Europe/Paris, language: fr, operator: true}
    plans:
      standard:
        name: Standard
        ...
        publish: {effective_at: "2026-01-01T00:00:00Z"}

Each section maps keys to bodies as the HTTP contract has them; a plan may say from when it is to be published. Scalars
are read as what they look like and never become floats or dates: 0.30 is that number digit by digit, 01234 and
2026-01-01 are texts, only true and false are truth values. A key that stands twice is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml

from app.domain.alerts import Alert
from app.domain.catalog import MeterEntry
from app.domain.coupons import Coupon
from app.domain.errors import FieldProblem, InvalidInput
from app.domain.events import has_forbidden_text
from app.domain.tax import ExchangeRate
from app.domain.tenants import NamedTaxRate, Resource
from app.wire.alerts import alert_from_wire
from app.wire.coupons import coupon_from_wire
from app.wire.exchange_rates import exchange_rate_from_wire
from app.wire.meters import meter_from_wire
from app.wire.parsing import MAX_DEPTH, NumberText, escaped
from app.wire.plans import PlanWish, plan_from_wire, publication_from_wire
from app.wire.resources import resource_from_wire
from app.wire.subscriptions import SubscriptionWish, subscription_from_wire
from app.wire.tax_rates import tax_rate_from_wire
from app.wire.tenants import TenantWish, tenant_from_wire

SECTIONS = (
    "tenants", "resources", "meters", "tax_rates", "exchange_rates", "coupons", "plans", "subscriptions", "alerts",
)  # fmt: skip
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A fault of the document and where it stands; `path` reads "tenants.acme.currency"."""

    file: str
    line: int
    path: str
    detail: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.path, self.detail) if part)


class InvalidCatalogFile(InvalidInput):
    """The document cannot be applied; `faults` are all that was found, by line."""

    slug = "invalid-catalog-file"

    def __init__(self, faults: list[FileProblem]) -> None:
        self.faults = tuple(sorted(set(faults), key=lambda fault: (fault.line, fault.path)))
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """What the document wants, by section and in its order, and the line of every pointer into it."""

    name: str
    lines: dict[str, int] = field(repr=False)
    tenants: tuple[TenantWish, ...]
    resources: tuple[Resource, ...]
    meters: tuple[MeterEntry, ...]
    tax_rates: tuple[NamedTaxRate, ...]
    exchange_rates: tuple[ExchangeRate, ...]
    coupons: tuple[Coupon, ...]
    plans: tuple[PlanWish, ...]
    publications: tuple[tuple[str, datetime], ...]
    subscriptions: tuple[SubscriptionWish, ...]
    alerts: tuple[Alert, ...]

    def fault(self, pointer: str, detail: str) -> FileProblem:
        """The fault at a pointer such as "#/plans/standard/name", or at the nearest place above it that is there."""
        return _fault(self.name, self.lines, pointer, detail)


def parse_catalog_file(text: str, name: str) -> CatalogFile:
    """Raises InvalidCatalogFile with every fault."""
    document = _Document(name)
    body = document.read(text)
    document.raise_if_faulty()
    sections = document.sections(body)
    file = CatalogFile(
        name, document.lines,
        tenants=tuple(document.objects(sections, "tenants", tenant_from_wire)),
        resources=tuple(document.objects(sections, "resources", resource_from_wire)),
        meters=tuple(document.objects(sections, "meters", meter_from_wire)),
        tax_rates=tuple(document.objects(sections, "tax_rates", tax_rate_from_wire)),
        exchange_rates=tuple(document.objects(sections, "exchange_rates", exchange_rate_from_wire)),
        coupons=tuple(document.objects(sections, "coupons", coupon_from_wire)),
        publications=tuple(document.publications(sections)),
        plans=tuple(document.objects(sections, "plans", plan_from_wire)),
        subscriptions=tuple(document.objects(sections, "subscriptions", subscription_from_wire)),
        alerts=tuple(document.objects(sections, "alerts", alert_from_wire)),
    )  # fmt: skip
    document.check_subjects(file.tenants)
    document.raise_if_faulty()
    return file


def parse_plan_file(text: str, name: str) -> tuple[str, Any]:
    """(key, body) of the one plan that a document holds: a plan by itself, which has no key ('') unless it names one,
    or a catalog with a single plan. Raises InvalidCatalogFile."""
    document = _Document(name)
    body = document.read(text)
    document.raise_if_faulty()
    plans = body.get("plans") if isinstance(body, dict) else None
    if plans is None:
        return "", body
    if not isinstance(plans, dict) or len(plans) != 1:
        document.fault("#/plans", "name one plan: this file has several, or none")
        document.raise_if_faulty()
    ((key, plan),) = plans.items()
    if isinstance(plan, dict):
        plan.pop("publish", None)
    return key, plan


class _Document:
    """The reading of one document: collects faults, and the line of every pointer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[str, int] = {"#": 1}
        self.faults: list[FileProblem] = []

    def raise_if_faulty(self) -> None:
        if self.faults:
            raise InvalidCatalogFile(self.faults)

    def fault(self, pointer: str, detail: str) -> None:
        self.faults.append(_fault(self.name, self.lines, pointer, detail))

    def _fault_at(self, line: int, pointer: str, detail: str) -> None:
        """Notes a fault at a line counted from 0."""
        self.faults.append(FileProblem(self.name, line + 1, _path(pointer), detail))

    # --- YAML ---

    def read(self, text: str) -> Any:
        """The document's values. Aliases are refused: a document of a few lines could stand for one without end."""
        if len(text) > MAX_BYTES:
            self.fault("#", "the file is too large")
            return None
        try:
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader)):
                self.fault("#", "anchors with aliases are not supported: write it out")
                return None
            node = yaml.compose(text, Loader=_Loader)
        except RecursionError:
            self.fault("#", "is nested too deeply")
            return None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            detail = " ".join(str(getattr(error, "problem", None) or error).split())
            self._fault_at(mark.line if mark else 0, "", f"not YAML: {detail}")
            return None
        return {} if node is None else self._value(node, "#", 0)

    def _value(self, node: yaml.Node, pointer: str, depth: int) -> Any:
        self.lines.setdefault(pointer, node.start_mark.line + 1)
        if depth > MAX_DEPTH:
            self.fault(pointer, f"is nested in more than {MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, pointer, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, pointer: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault_at(key_node.start_mark.line, pointer, "a key must be text")
                continue
            key = key_node.value
            place = f"{pointer}/{escaped(key)}"
            if key in found:
                self._fault_at(key_node.start_mark.line, place, "stands here twice")
                continue
            self.lines[place] = key_node.start_mark.line + 1
            found[key] = self._value(value_node, place, depth + 1)
        return found

    # --- sections ---

    def sections(self, body: Any) -> dict[str, dict[str, Any]]:
        """The bodies of each section, by key."""
        found: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        if not isinstance(body, dict):
            self.fault("#", f"must be a mapping with the sections {', '.join(SECTIONS)}")
            return found
        for name, section in body.items():
            if name not in SECTIONS:
                self.fault(f"#/{escaped(name)}", f"there is no such section; there are {', '.join(SECTIONS)}")
            elif section is not None and not isinstance(section, dict):
                self.fault(f"#/{name}", "must be a mapping of keys to objects")
            else:
                found[name] = section or {}
        return found

    def objects(
        self, sections: dict[str, dict[str, Any]], section: str, from_wire: Callable[[str, Any, str], Any]
    ) -> list[Any]:
        return [
            wish
            for key, body in sections[section].items()
            if (wish := self._checked(from_wire, key, body, f"#/{section}/{escaped(key)}")) is not None
        ]

    def publications(self, sections: dict[str, dict[str, Any]]) -> list[tuple[str, datetime]]:
        """(plan, effective_at) of each plan that is to be published; takes `publish` out of its body."""
        found = []
        for key, body in sections["plans"].items():
            if isinstance(body, dict) and body.get("publish") is not None:
                effective_at = self._checked(_publication, key, body["publish"], f"#/plans/{escaped(key)}/publish")
                if effective_at is not None:
                    found.append((key, effective_at))
            if isinstance(body, dict):
                body.pop("publish", None)
        return found

    def _checked(self, from_wire: Callable[[str, Any, str], Any], key: str, body: Any, pointer: str) -> Any:
        """The domain value of one body, None where it is at fault."""
        if has_forbidden_text(key):
            self.fault(pointer, "the key holds a NUL character or a lone surrogate")
            return None
        try:
            return from_wire(key, body, pointer)
        except InvalidInput as error:
            for problem in error.problems:
                self.fault(problem.pointer, problem.detail)
            return None

    def check_subjects(self, tenants: tuple[TenantWish, ...]) -> None:
        """A subject belongs to one tenant at a time: claimed twice in one document it would change hands each time."""
        owner = {tenant.key: tenant.key for tenant in tenants}
        for tenant in tenants:
            for wish in tenant.subjects:
                other = owner.setdefault(wish.subject, tenant.key)
                if other != tenant.key:
                    place = f"#/tenants/{escaped(tenant.key)}/subjects"
                    self.fault(place, f"the subject {wish.subject!r} is tenant {other!r}'s in this document")


def _publication(_key: str, body: Any, path: str) -> datetime:
    return publication_from_wire(body, path)


class _Loader(yaml.SafeLoader):
    """Composes nodes only; what a scalar is, `_scalar` decides."""


_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    return NumberText(text) if _NUMBER.fullmatch(text) else text


def _fault(name: str, lines: dict[str, int], pointer: str, detail: str) -> FileProblem:
    place = pointer
    while place not in lines:
        place = place.rpartition("/")[0]
    return FileProblem(name, lines[place], _path(pointer), detail)


def _path(pointer: str) -> str:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts).removeprefix(".")


def pointers_of(error: InvalidInput, place: str) -> list[FieldProblem]:
    """The faults of an error about the object at the place, its own "#" read as that place."""
    return [FieldProblem(place + problem.pointer.removeprefix("#"), problem.detail) for problem in error.problems]
