"""The site of the documentation: it can be built, needs no network, and has everything that the code has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client import generate_latest

import app.observability.metrics  # noqa: F401  (declares them)
from app.cli import MODULES
from app.settings import Settings
from app.wire.catalog_schema import catalog_schema
from docs_tools.markdown import table
from docs_tools.shapes import fields as fields_of
from docs_tools.shapes import value
from mkdocs_hooks import generated_pages
from tests.docs.pages import ROOT

# --- the site --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it. A link that leads nowhere is an error, but for --quiet."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)], cwd=ROOT,
        capture_output=True, text=True, timeout=300, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_every_page_is_in_the_site_and_can_be_searched_for(site):
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    made = {f"{page.removesuffix('.md')}.html" for page in pages | set(generated_pages())}
    index = json.loads((site / "search" / "search_index.json").read_text())

    assert made == {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    assert made == {document["location"].partition("#")[0] for document in index["docs"]}


def test_the_site_fetches_nothing_from_elsewhere(site):
    """Links lead out; scripts, styles, fonts and pictures come with the site."""
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^\s>]*", page.read_text()
        )
        assert fetched == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()) == [], style


def test_a_link_that_leaves_the_pages_becomes_the_name_of_the_file(site):
    assert not [
        page for page in site.rglob("*.html") if re.search(r'href="[^"]*(CHANGELOG|README)\.md', page.read_text())
    ]


# --- pages from the code ---------------------------------------------------------------------------------------------


def test_the_reference_has_every_setting_metric_and_command():
    pages = generated_pages()

    for item in fields(Settings):
        assert f"| `QUOTEPART_{item.name.upper()}` |" in pages["reference/settings.md"]
    for metric in re.findall(r"^# HELP (quotepart_\S+)", generate_latest().decode(), re.MULTILINE):
        if not metric.endswith("_created"):
            assert f"| `{metric}` |" in pages["reference/metrics.md"]
    for command in MODULES:
        assert f"\n## quotepart {command}" in pages["reference/commands.md"]


def test_the_reference_has_every_request_of_the_contract_once():
    contract = json.loads((ROOT / "openapi" / "openapi.json").read_text())
    requests = {f"{method.upper()} {path}" for path, methods in contract["paths"].items() for method in methods}
    described = [
        head
        for place, text in generated_pages().items()
        if place.startswith("reference/http/")
        for head in re.findall(r"^## `([A-Z]+ /\S*)`", text, re.MULTILINE)
    ]

    assert sorted(described) == sorted(requests)


def test_the_reference_begins_with_what_a_reader_comes_for():
    heads = re.findall(r"^## (.+)$", generated_pages()["reference/http/index.md"], re.MULTILINE)

    named = ["Events", "Usage", "Catalog", "Alerts", "Billing", "Credit", "Payments", "Webhooks", "Exports"]
    named += ["OpenMeter", "Lago"]
    assert heads == [*named, "Operation", "Simulations"]


def test_the_reference_has_every_field_of_the_catalog():
    page = generated_pages()["reference/catalog.md"]

    for name, schema in catalog_schema()["$defs"].items():
        _, _, part = page.partition(f"\n## {name}\n")
        assert part, name
        for field, item in schema.get("properties", {}).items():
            assert (f"| `{field}` |" in part.split("\n## ")[0]) is not item.get("readOnly", False), (name, field)


def test_a_schema_in_words():
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind"],
        "properties": {
            "kind": {"enum": ["a", "b", None], "description": "Which."},
            "tiers": {"type": ["array", "null"], "items": {"$ref": "#/$defs/tier"}, "description": "All | none."},
            "place": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
            "size": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}], "default": 3},
        },
    }

    assert fields_of(schema).splitlines()[2:-1] == [
        "| `kind` | needed | `a`, `b` | Which. |",
        "| `tiers` |  | list of [tier](#tier) | All \\| none. |",
        "| `place` |  | object |  |",
        "| `place.city` | always | text |  |",
        "| `size` |  | 1 to 9 | Default: `3`. |",
    ]
    assert value({}) == "anything"
    assert (
        table(("a", "b", "c"), [("1", "", "2"), ("3", "", "")]) == "| a | c |\n| --- | --- |\n| 1 | 2 |\n| 3 |  |\n\n"
    )
    assert table(("a",), []) == ""
