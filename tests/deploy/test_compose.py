"""deploy/compose.yaml: read by compose itself, and what its containers may do."""

from __future__ import annotations

import os

import pytest

from tests.deploy import files


def config(file, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"} | variables
    return files.run(files.tool("docker-compose"), "--file", file, "config", "--quiet", env=environment)


def test_compose_reads_it():
    done = config(files.COMPOSE, POSTGRES_PASSWORD="made-for-this-test")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("cap_drop:", "cap_dorp:"),
        ("stop_grace_period:", "stop_grace:"),
        ("condition: service_healthy", "condition: healthy"),
        ("migrate: {condition", "migration: {condition"),
    ],
)
def test_compose_refuses_what_is_misspelt(tmp_path, right, wrong):
    text = files.COMPOSE.read_text()
    assert right in text
    copy = tmp_path / "compose.yaml"
    copy.write_text(text.replace(right, wrong))

    assert config(copy, POSTGRES_PASSWORD="made-for-this-test").returncode != 0


@pytest.mark.parametrize("variables", [{}, {"POSTGRES_PASSWORD": ""}])
def test_there_is_no_password_unless_somebody_sets_one(variables):
    done = config(files.COMPOSE, **variables)

    assert done.returncode != 0
    assert "POSTGRES_PASSWORD" in done.stderr


@pytest.mark.parametrize("name", list(files.services()))
def test_a_container_may_do_nothing_that_it_need_not(name):
    service = files.services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_nothing_serves_or_works_before_the_schema_is_there():
    services = files.services()

    for name in ("serve", "work"):
        assert services[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}


def test_the_jobs_run_in_one_place():
    services = files.services()

    assert services["serve"]["environment"]["QUOTEPART_RUN_JOBS"] == "no"
    assert services["work"]["command"][0] == "work"


def test_the_database_outlives_its_container():
    """The volume is where the image of PostgreSQL 18 keeps its data."""
    service = files.services()["database"]

    assert service["image"] == "postgres:18"
    assert service["volumes"] == ["database:/var/lib/postgresql"]
