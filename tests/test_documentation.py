"""What the pages say is there: links, settings, metrics, commands, decisions."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from app.observability import metrics
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"))
)
DECISIONS = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))


def read(page: str) -> str:
    return (ROOT / page).read_text()


def anchors(page: Path) -> set[str]:
    """What a heading of a page is called in a link to it."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?://)([^)\s]+)\)", read(page))
    for target in targets:
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md"])
def test_every_setting_is_listed_with_its_default(page):
    listed = dict(re.findall(r"^\| `(QUOTEPART_\w+)` \| `?([^`|]+?)`? \|", read(page), flags=re.MULTILINE))

    assert listed == {f"QUOTEPART_{item.name.upper()}": str(item.default) or "none" for item in fields(Settings)}


def test_every_metric_is_listed_with_its_labels():
    declared = {
        item._name + ("_total" if item._type == "counter" else ""): (item._type, item._labelnames)
        for item in vars(metrics).values()
        if isinstance(item, MetricWrapperBase)
    }
    rows = re.findall(r"^\| `(quotepart_\w+)(?:\{(\w+)\})?` \| (\w+) \|", read("docs/operating.md"), flags=re.MULTILINE)

    assert {name: (kind, (label,) if label else ()) for name, label, kind in rows} == declared


def test_decisions_are_numbered_without_gap_and_each_is_in_the_index():
    assert [int(name[:4]) for name in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert [name for name in DECISIONS if f"(decisions/{name})" not in read("docs/index.md")] == []


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_says_what_was_rejected_and_what_follows(name):
    text = read(f"docs/decisions/{name}")

    assert text.startswith(f"# {int(name[:4])}. ")
    for part in ("Context", "Decision", "Rejected", "Consequence"):
        assert f"\n**{part}.** " in text


def test_decisions_that_the_code_cites_are_there():
    cited = {
        match
        for path in (ROOT / "app").rglob("*.py")
        for match in re.findall(r"docs/decisions/(\S+?\.md)", path.read_text())
    }

    assert cited - set(DECISIONS) == set()
