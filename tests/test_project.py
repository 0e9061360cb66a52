"""What a person meets first: the commands of the README, the locked requirements, the package they install."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from app.storage.migrations_location import migrations_path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
PINNED = re.compile(r"[a-z0-9][a-z0-9-]*==\S+( ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(file: str) -> list[list[str]]:
    """Each requirement with its hashes: [["alembic==1.20.1", "--hash=sha256:..."], ...]."""
    text = re.sub(r"^#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE)
    return [re.split(r"\s*\\\n\s*", entry.strip()) for entry in re.split(r"\n(?=\S)", text.strip())]


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_requirements_are_pinned_by_hash_and_name_no_place_to_get_them_from(file):
    for requirement, *hashes in locked(file):
        assert PINNED.fullmatch(requirement), requirement
        assert hashes and all(HASH.fullmatch(each) for each in hashes), requirement


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_requirements_name_no_index_no_host_and_no_path(file):
    text = (ROOT / file).read_text()

    assert re.findall(r"://|--(?:extra-)?index|--find-links|--trusted-host|^-[ife]\b| @ |(?:^|\s)[./]", text) == []


def test_who_develops_runs_what_the_service_runs():
    """What is pinned to run the service has the same version to develop it, there perhaps on more platforms."""
    run, develop = ({entry[0].partition(" ;")[0] for entry in locked(file)} for file in REQUIREMENTS)

    assert run - develop == set()


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_what_the_project_asks_for_is_locked(file):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    if file == "requirements-dev.txt":
        wanted += project["optional-dependencies"]["dev"]

    names = {re.match(r"[\w.-]+", each)[0].lower().replace(".", "-") for each in wanted}  # type: ignore[index]

    assert names - {entry[0].split("==")[0] for entry in locked(file)} == set()


def test_every_package_of_the_service_is_installed():
    """A wheel holds the packages that pyproject.toml names; the migrations go with them as app/migrations."""
    named = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    tops = [top for top in ("app", "quotepart") if (ROOT / top).is_dir()]
    there = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in tops
        for file in (ROOT / top).rglob("*.py")
    }  # fmt: skip

    assert named == there | {"app.migrations", "app.migrations.versions"}


def test_the_migrations_lie_where_alembic_looks_for_them():
    assert (migrations_path() / "env.py").is_file()
    assert (migrations_path() / "versions").is_dir()


def test_the_folder_of_migrations_does_not_hide_the_library_of_that_name():
    assert list((ROOT / "alembic").rglob("__init__.py")) == []


def test_the_readme_names_the_two_commands():
    readme = (ROOT / "README.md").read_text()

    assert "make demo" in readme
    assert "make test" in readme


def test_make_explains_every_target():
    """`make help` lists what has a `##` behind it; a target without one would be a secret."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))

    assert targets == set(re.findall(r"^([a-z-]+):.*## \S", makefile, flags=re.MULTILINE))
    assert targets >= {"help", "demo", "serve", "test", "check", "bench", "openapi", "clean"}
