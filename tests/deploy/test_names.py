"""The deployment files speak of settings, commands, options, ports and paths that there are."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from app.cli import commands
from app.main import create_app, create_worker
from app.settings import Settings, described
from tests.deploy import files

SETTINGS = {item.variable for item in described()}
WORDS = sorted((where, call) for where, calls in files.invocations().items() for call in calls)


def parsed(words: list[str]) -> tuple[str, dict[str, object]]:
    """The command that the words name, and its options and arguments as the command line reads them."""
    command: Any = typer.main.get_command(commands)
    context = typer.Context(command, info_name="quotepart")
    while hasattr(command, "get_command"):
        command, words = command.get_command(context, words[0]), words[1:]
        assert command is not None, "no such command"
        context = typer.Context(command, info_name=command.name, parent=context)
    context = command.make_context(command.name, list(words), parent=context.parent)
    return context.command_path, context.params


@pytest.mark.parametrize(
    "path",
    [files.COMPOSE, *files.MANIFESTS, *files.UNITS, files.ENVIRONMENT, files.CHECK, files.DOCKERFILE, files.PAGE],
    ids=lambda path: path.name,
)
def test_every_setting_named_is_one(path):
    assert set(re.findall(r"\bQUOTEPART_[A-Z]\w*", path.read_text())) - SETTINGS == set()


def test_a_name_in_the_environment_of_a_container_is_a_setting():
    """Also one that is misspelt so that it begins otherwise."""
    named = {
        *(name for key, service in files.services().items() if key != "database" for name in service["environment"]),
        *(each["name"] for pod in files.pods().values() for each in files.container(pod).get("env", [])),
        *re.findall(r"^#?(\w+)=", files.ENVIRONMENT.read_text(), flags=re.MULTILINE),
    }

    assert named and named <= SETTINGS


def test_the_example_of_an_environment_can_be_read():
    """As systemd and the container engines read it: all behind the first `=` is the value, quotes too."""
    lines = [line for line in files.ENVIRONMENT.read_text().splitlines() if line and not line.startswith("#")]

    settings = Settings.from_environment(dict(line.split("=", 1) for line in lines))

    assert settings.database_url.startswith("postgresql://")
    assert not settings.run_jobs


@pytest.mark.parametrize("where, words", WORDS, ids=[f"{where}: {' '.join(words)}" for where, words in WORDS])
def test_every_command_is_one_with_these_options(where, words):
    """The command line reads it without complaint, value by value; nothing is run."""
    parsed(words)


def test_every_place_has_commands():
    """So that no file is passed over because its commands are no longer found in it."""
    assert [where for where, calls in files.invocations().items() if not calls] == []


@pytest.mark.parametrize(
    "words", [["serve", "--prot", "8000"], ["serve", "--port", "http"], ["wrok"], ["migrate", "x"]]
)
def test_a_misspelt_command_is_found(words):
    with pytest.raises(Exception, match=r"(?i)no such|valid integer|unexpected"):
        parsed(words)


def listens(words: list[str]) -> tuple[str, int, set[str]]:
    """The address, the port and the paths that a command answers at."""
    command, options = parsed(words)
    if command.endswith("serve"):
        app, host, port = create_app(Settings()), options["host"], options["port"]
    else:
        assert command.endswith("work"), command
        app, host, port = create_worker(), options["metrics_host"], options["metrics_port"]
    assert isinstance(host, str) and isinstance(port, int)
    return host, port, {route.path for route in app.routes if hasattr(route, "path")}


@pytest.mark.parametrize("name", ["serve", "work"])
def test_the_health_check_of_compose_asks_where_the_service_answers(name):
    service = files.services()[name]
    host, port, paths = listens(service["command"])
    [[asked_port, asked_path]] = re.findall(
        r"http://127\.0\.0\.1:(\d+)(/\w+)", " ".join(service["healthcheck"]["test"])
    )

    assert (host, int(asked_port)) == ("0.0.0.0", port)
    assert asked_path in paths
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_health_check_of_the_image_asks_where_the_service_answers():
    host, port, paths = listens(files.dockerfile("CMD"))
    [[asked_port, asked_path]] = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", files.DOCKERFILE.read_text())

    assert (host, int(asked_port)) == ("0.0.0.0", port)
    assert asked_path in paths
    assert f"EXPOSE {port}\n" in files.DOCKERFILE.read_text()


@pytest.mark.parametrize("name", ["quotepart-serve", "quotepart-work"])
def test_the_probes_of_a_pod_ask_where_it_answers(name):
    pod = files.pods()[name]
    main = files.container(pod)
    host, port, paths = listens(main["args"])
    [declared] = main["ports"]
    probes = [main[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    notes = pod["metadata"]["annotations"]

    assert (host, declared["containerPort"]) == ("0.0.0.0", port)
    assert {probe["port"] for probe in probes} == {declared["name"]}
    assert {probe["path"] for probe in probes} <= paths
    assert (notes["prometheus.io/port"], notes["prometheus.io/path"]) == (str(port), "/metrics")
    assert "/metrics" in paths


@pytest.mark.parametrize("path", files.UNITS, ids=lambda path: path.name)
def test_a_unit_listens_on_loopback(path):
    [command] = files.unit(path)["ExecStart"]
    host, _, _ = listens(command.split()[1:])

    assert host == "127.0.0.1"
