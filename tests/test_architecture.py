"""Which part of the service may import which. Here the rule is data, and it is held."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A part imports from lines below its own, and from itself; not from its neighbours.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("main", "cli", "commands", "demo", "official", "official_child", "__main__"),
    ("api", "console", "workers", "importing"),
    ("operations",),
    ("wire",),
    ("storage", "outbound", "documents"),
    ("observability", "settings", "garbage"),
    ("domain",),
)
# `quotepart serve` starts the application that main builds, `quotepart openapi` writes down its interface; the demo is
# one of the commands, which cli puts together, and `python -m app` is cli itself.
NEIGHBOURS = {
    ("commands", "main"),
    ("commands", "demo"),
    ("commands", "official"),
    ("cli", "commands"),
    ("__main__", "cli"),
}

# Operations do one thing each. What several of them gather or keep in the same way is shared ...
SHARED_OPERATIONS = {
    "allocate_payments", "announce", "billed_charges", "billed_facts", "billing_books", "catalog_change",
    "check_documents", "choose_order", "declare_tax", "due_lines", "export_filters", "find_due", "frozen_use",
    "issuing", "journal_sources", "keep_events", "list_unpriced", "lock_billing", "make_drafts", "match_entries",
    "measure_parts", "meter_standing", "next_document", "rate_period", "read_usage", "render_document",
    "resolve_tenant", "settle_shared", "show_catalog", "use_credit",
}  # fmt: skip
# ... and a few do what another does, over and over or as a part of their own work.
OPERATIONS_CALLING_OTHERS = {
    ("run_billing", "close_period"),
    ("run_simulations", "simulate_plan"),
    ("close_period", "correct_period"),
    ("next_document", "correct_period"),
    ("month_end", "correct_period"),
    *((name, "list_late_usage") for name in ("audit_books", "run_billing")),
    ("list_late_usage", "correct_period"),
    ("change_plan", "put_subscription"),
    ("publish_plan", "put_plan"),
    ("deliver_outbox", "mail_document"),
    ("issue_invoice", "mail_document"),
    ("mail_document", "read_invoices"),
    ("make_drafts", "issue_invoice"),
    ("credit_invoice", "correct_period"),
    ("explain_line", "list_line_events"),
    ("settle_draft", "close_period"),
    *((name, "settle_draft") for name in ("issue_ripe", "write_invoice")),
    ("audit_books", "audit_credit"),
    ("audit_books", "audit_payments"),
    ("audit_payments", "audit_credit"),
    *(
        ("apply_catalog", f"put_{noun}")
        for noun in (
            "alert",
            "coupon",
            "exchange_rate",
            "meter",
            "plan",
            "resource",
            "subscription",
            "tax_rate",
            "tenant",
        )
    ),
    ("apply_catalog", "publish_plan"),
    ("publish_plan", "put_plan"),
    ("run_catalog_jobs", "catch_up_meters"),
    ("watch_alerts", "check_alerts"),
    ("run_catalog_jobs", "release_quarantine"),
}

READ_THE_ENVIRONMENT = ("app/main.py", "app/cli.py", "app/commands/", "alembic/env.py")

# IO-free libraries the rules may lean on: msgspec gives the parsed JSON of an event its shape, stdnum knows which
# numbers have a wrong check digit.
DOMAIN_LIBRARIES = {"msgspec", "stdnum"}
# Parts of the standard library that reach outside of the process, or keep state of their own.
NOT_IN_THE_DOMAIN = {
    "asyncio", "http", "logging", "multiprocessing", "pathlib", "random", "shutil", "socket", "sqlite3", "subprocess",
    "tempfile", "threading", "urllib",
}  # fmt: skip
# An identifier is made of the time and of chance: the one place of the domain that asks the machine.
ASKS_THE_MACHINE = {"app/domain/ids.py": {"os", "time", "secrets"}}

# What producers install beside their own programs: httpx, and nothing of the service.
CLIENT = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("quotepart/**/*.py"))
CLIENT_LIBRARIES = {"httpx", "quotepart"}

SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("app/**/*.py"))


@cache
def modules() -> dict[str, str]:
    """Module name -> file, for all of the service."""
    return {_module(source): source for source in SOURCES}


@cache
def imports(source: str) -> frozenset[str]:
    """Every module that the file imports, anywhere in it; of `from app.x import y`, `app.x.y` if that is a module."""
    tree = ast.parse((ROOT / source).read_text(), filename=source)
    return frozenset(name for node in ast.walk(tree) for name in _imported(node, _package(source)))


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            name = f"{base}.{alias.name}"
            yield name if name in modules() else base


def _module(source: str) -> str:
    return source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _package(source: str) -> str:
    return ".".join(source.removesuffix(".py").split("/")[:-1])


def _part(module: str) -> str | None:
    """The part of the service that a module belongs to; None for other libraries and for `app` itself."""
    names = module.split(".")
    return names[1] if names[0] == "app" and len(names) > 1 else None


def _line(part: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def test_every_part_of_the_service_has_its_line():
    parts = {part for module in modules() if (part := _part(module))}

    assert parts - {part for line in LAYERS for part in line} == set()


@pytest.mark.parametrize("source", SOURCES)
def test_a_part_imports_only_from_the_lines_below(source):
    importer = _part(_module(source))
    imported = {part for module in imports(source) if (part := _part(module))} - {importer}
    if importer is None:
        assert imported == set(), "app itself is only a name"
        return

    wrong = {part for part in imported if _line(part) <= _line(importer) and (importer, part) not in NEIGHBOURS}

    assert wrong == set(), f"{importer} may not import from {wrong}"


@pytest.mark.parametrize("source", [source for source in SOURCES if source.startswith("app/operations/")])
def test_an_operation_imports_no_other_but_the_shared_ones(source):
    importer = Path(source).stem
    others = {module.split(".")[2] for module in imports(source) if module.startswith("app.operations.")}

    wrong = {other for other in others - SHARED_OPERATIONS if (importer, other) not in OPERATIONS_CALLING_OTHERS}

    assert wrong == set(), f"{importer} may not import {wrong}"


@pytest.mark.parametrize("source", [source for source in SOURCES if source.startswith("app/domain/")])
def test_the_rules_know_nothing_outside_of_themselves(source):
    libraries = {module.split(".")[0] for module in imports(source)} - {"app", "__future__"}
    asks = {"os", "time", "secrets"} - ASKS_THE_MACHINE.get(source, set())

    assert libraries - sys.stdlib_module_names - DOMAIN_LIBRARIES == set()
    assert libraries & (NOT_IN_THE_DOMAIN | asks) == set()


@pytest.mark.parametrize("source", CLIENT)
def test_the_producers_client_needs_httpx_and_the_standard_library(source):
    libraries = {module.split(".")[0] for module in imports(source)}

    assert libraries - sys.stdlib_module_names - CLIENT_LIBRARIES == set()


def test_the_service_does_not_need_the_producers_client():
    assert [source for source in SOURCES if any(module.startswith("quotepart") for module in imports(source))] == []


def test_only_what_composes_the_service_reads_its_settings():
    sources = [*SOURCES, "alembic/env.py"]

    readers = [source for source in sources if "app.settings" in imports(source)]

    assert [source for source in readers if not source.startswith(READ_THE_ENVIRONMENT)] == []


def test_no_import_leads_back_to_where_it_came_from():
    """Rings, however long, between the modules of the service; a package's own __init__ counts as a module."""
    finished: set[str] = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in finished:
            return
        for imported in sorted(imports(modules()[module])):
            if imported in modules():
                follow(imported, (*path, module))
        finished.add(module)

    for module in modules():
        follow(module, ())
