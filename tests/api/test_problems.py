"""Every error has a slug of its own, a status, and a section in docs/problems.md that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api import problems
from app.domain import errors
from app.domain.errors import BillingError

ROOT = Path(__file__).resolve().parents[2]
# What is answered without an error of the domain: by the HTTP layer, by /readyz, and for one event of a request.
OTHERS = {
    "event-rejected": "400", "method-not-allowed": "405", "http-error": "4xx", "internal-error": "500",
    "not-ready": "503",
}  # fmt: skip


def every_error(family: type[BillingError] = BillingError) -> Iterator[type[BillingError]]:
    for error in family.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from every_error(error)


ERRORS = sorted(set(every_error()), key=lambda error: error.__name__)


def sections() -> dict[str, str]:
    """Slug -> the text of its section."""
    text = (ROOT / "docs" / "problems.md").read_text()
    return dict(re.findall(r"^### (\S+)\n\n(.+?)(?=\n#|\Z)", text, flags=re.MULTILINE | re.DOTALL))


def test_every_error_has_a_slug_of_its_own():
    slugs = [error.slug for error in ERRORS]

    assert [slug for slug in slugs if not re.fullmatch(r"[a-z]+(-[a-z]+)*", slug)] == []
    assert sorted(slugs) == sorted(set(slugs))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_status_in_the_one_table(error):
    assert any(issubclass(error, family) for family, _ in problems.STATUS_OF)
    assert 400 <= problems.status_of(error("A sentence.")) < 600


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_says_in_the_documentation_which_status_it_has_and_what_to_do(error):
    section = sections()[error.slug]

    assert section.startswith(f"**{problems.status_of(error('A sentence.'))}.** ")


@pytest.mark.parametrize("slug", OTHERS)
def test_what_is_answered_without_an_error_of_the_domain_is_documented_too(slug):
    assert sections()[slug].startswith(f"**{OTHERS[slug]}.** ")


def test_the_documentation_names_no_problem_that_there_is_not():
    assert sections().keys() == {error.slug for error in ERRORS} | OTHERS.keys()


def test_every_slug_written_in_the_api_is_among_them():
    """Slugs that the HTTP layer writes itself, as in generic_problem(request, 503, "not-ready", ..)."""
    source = "\n".join(path.read_text() for path in [ROOT / "app" / "main.py", *(ROOT / "app" / "api").rglob("*.py")])
    written = set(re.findall(r'generic_problem\(\s*[\w()]+, \d{3}, "([a-z-]+)"', source))
    written |= set(re.findall(r'PROBLEM_BASE \+ "([a-z-]+)"', source)) | set(re.findall(r'\d{3}: "([a-z-]+)"', source))

    assert written - sections().keys() == set()
    assert {"not-ready", "internal-error", "event-rejected", "method-not-allowed"} <= written


def test_an_error_answers_with_its_facts_and_its_pointers():
    taken = errors.SubjectTaken("The subject 'b' is another's.", subject="b", tenant=None)
    faulty = errors.InvalidInput.at("#/name", "is missing")

    assert problems.problem_of(taken) == {
        "type": "/problems/subject-taken", "title": "Subject taken", "detail": "The subject 'b' is another's.",
        "subject": "b",
    }  # fmt: skip
    assert problems.problem_of(faulty)["errors"] == [{"pointer": "#/name", "detail": "is missing"}]
