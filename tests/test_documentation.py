"""What the pages say is there: links, commands and their options, settings, metrics, decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import app.observability.metrics  # noqa: F401  (declares them)
from app.settings import described
from docs_tools.commands_page import all_commands, options_of
from mkdocs_hooks import generated_pages
from tests.docs.pages import PAGES, ROOT, code

DECISIONS = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def read(page: str) -> str:
    return (ROOT / page).read_text()


# --- links -----------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in a link to them."""
    heads = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    named = {name for head in heads for name in re.findall(r"\{ #(\S+) \}$", head)}
    return named | {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def page_at(place: Path) -> str | None:
    """The text of the file, or of the page that the site has there; "" of a folder; None where there is nothing."""
    made = {ROOT / "docs" / name: text for name, text in generated_pages().items()}
    if place in made:
        return made[place]
    if place.suffix == ".md":
        return place.read_text() if place.is_file() else None
    return "" if place.exists() else None


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", read(page)):
        path, _, anchor = target.partition("#")
        found = page_at((ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page)
        assert found is not None, target
        assert not anchor or anchor in anchors(found), target


# --- names -----------------------------------------------------------------------------------------------------------

OF_THE_TESTS = {"QUOTEPART_TEST_POSTGRES_URL", "QUOTEPART_SOAK"}
"""Variables that only the tests read."""

NOT_METRICS = {"quotepart_database"}
"""What is written like a metric and is none: the volume that Compose makes."""


@cache
def commands() -> dict[str, set[str]]:
    """Each command, "keys create" one of them, with its options."""
    return {
        name.removeprefix("quotepart "): {
            spelled for option in options_of(command) for spelled in (*option.opts, *option.secondary_opts)
        }
        for name, command in all_commands()
    }


def typed(page: str) -> Iterator[tuple[str, str]]:
    """(command, the rest of its line) of all that a page says as code, lines that go on put together."""
    for text in code(read(page)):
        for line in text.replace("\\\n", " ").splitlines():
            # Where the name stands twice, the first is that of a container.
            for part in filter(None, re.split(r"\bquotepart (?=[a-z])", line)[1:]):
                words = re.match(r"([a-z][a-z-]*)(.*)", part)
                assert words is not None
                yield words[1], re.split(r"[|;&#)`]", words[2])[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_a_page_names_is_there(page):
    for name, rest in typed(page):
        second = re.match(r" ([a-z]+)\b", rest)
        whole = f"{name} {second[1]}" if second and f"{name} {second[1]}" in commands() else name
        groups = {command.split()[0] for command in commands()}
        assert name in groups, name
        known = commands().get(whole)
        options = set(re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", rest))
        assert known is not None or not options, f"quotepart {whole}{rest}"
        assert options <= (known or set()) | {"--help"}, f"quotepart {whole}{rest}"


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_that_a_page_names_is_there(page):
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    named = {
        name for text in code(read(page)) for name in re.findall(r"^make (?:[A-Z]+=\S+ )*([a-z]+)", text, re.MULTILINE)
    }

    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_is_there(page):
    known = {item.variable for item in described()} | OF_THE_TESTS

    assert set(re.findall(r"\bQUOTEPART_[A-Z_]*[A-Z]\b", read(page))) - known == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_that_a_page_names_is_there(page):
    known = {sample for family in REGISTRY.collect() for sample in _names(family.name, family.type)}
    known |= NOT_METRICS

    assert set(re.findall(r"\bquotepart_[a-z_]*[a-z]\b", read(page))) - known == set()


def _names(name: str, kind: str) -> set[str]:
    """What a metric is called where it is asked for."""
    return {
        "counter": {f"{name}_total"},
        "histogram": {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"},
    }.get(kind, {name})


# --- decisions -------------------------------------------------------------------------------------------------------


def test_decisions_are_numbered_without_gap_and_each_is_in_the_index():
    assert [int(name[:4]) for name in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert [name for name in DECISIONS if f"({name})" not in read("docs/decisions/index.md")] == []


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


def test_pages_that_the_files_of_the_project_cite_are_there():
    cited = {
        (path.relative_to(ROOT).as_posix(), match)
        for folder, pattern in (("app", "*.py"), ("examples", "*.yaml"), ("deploy", "*"))
        for path in (ROOT / folder).rglob(pattern)
        if path.is_file()
        for match in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text())
    }

    assert {each for each in cited if not (ROOT / each[1]).is_file()} == set()
