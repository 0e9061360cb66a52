"""The alert rules as files: each is proven to fire and not to fire, and says where to read what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.monitoring.prometheus import DEPLOY, alert_rules, needs_prometheus, promtool

ROOT = DEPLOY.parents[1]
PAGE = "docs/how-to/prometheus.md"
TESTS = ("alerts_test.yml", "alerts_daily_test.yml")
RULES = {rule["alert"]: rule for rule in alert_rules()}
WITH_PATIENCE = [name for name, rule in RULES.items() if "for" in rule]


def groups() -> list[tuple[str, dict[str, Any]]]:
    """Every test of the rules, with the interval of evaluation of its file."""
    files = [yaml.safe_load((DEPLOY / name).read_text()) for name in TESTS]
    return [(file["evaluation_interval"], group) for file in files for group in file["tests"]]


def questions(name: str, group: dict[str, Any]) -> list[dict[str, Any]]:
    """What a test asks of one alert."""
    return [question for question in group["promql_expr_test"] if f'alertname="{name}"' in question["expr"]]


@needs_prometheus
@pytest.mark.parametrize("file", TESTS)
def test_alerts_fire_when_they_should_and_not_when_they_should_not(file):
    tested = promtool("test", "rules", DEPLOY / file)

    assert tested.returncode == 0, tested.stdout


@needs_prometheus
def test_prometheus_takes_the_configuration_and_the_rules():
    checked = promtool("check", "config", DEPLOY / "prometheus.yml")

    assert checked.returncode == 0, checked.stdout
    assert f"{len(RULES)} rules found" in checked.stdout


@pytest.mark.parametrize("name", RULES)
def test_an_alert_is_tested_both_ways(name):
    expected = [bool(question["exp_samples"]) for _, group in groups() for question in questions(name, group)]

    assert set(expected) == {True, False}


def never(rule: dict[str, Any]) -> None:
    rule["expr"] = f"({rule['expr']}) and on () vector(0) == 1"


def always(rule: dict[str, Any]) -> None:
    rule["expr"] = f"({rule['expr']}) or vector(1)"
    rule.pop("for", None)


def impatient(rule: dict[str, Any]) -> None:
    del rule["for"]


@needs_prometheus
@pytest.mark.parametrize(
    ("name", "spoil"),
    [(name, spoil) for name in RULES for spoil in (never, always)] + [(name, impatient) for name in WITH_PATIENCE],
)
def test_a_spoilt_rule_does_not_pass_its_tests(name: str, spoil: Callable[[dict[str, Any]], None], tmp_path):
    """The tests of a rule would be worth nothing if they passed whatever the rule says."""
    rule = dict(RULES[name])
    spoil(rule)
    (tmp_path / "spoilt.yml").write_text(yaml.safe_dump({"groups": [{"name": "spoilt", "rules": [rule]}]}))
    failed = []
    for number, (interval, group) in enumerate(groups()):
        if asked := questions(name, group):
            test = {
                "rule_files": ["spoilt.yml"], "evaluation_interval": interval,
                "tests": [group | {"promql_expr_test": asked}],
            }  # fmt: skip
            file = tmp_path / f"test-{number}.yml"
            file.write_text(yaml.safe_dump(test))
            failed.append(promtool("test", "rules", file))

    assert any(one.returncode for one in failed)
    assert all("FAILED" in one.stdout for one in failed if one.returncode), "it failed for another reason"


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_bad_it_is_whose_it_is_and_what_to_do(name):
    labels, annotations = RULES[name]["labels"], RULES[name]["annotations"]

    assert labels["severity"] in ("critical", "warning", "info")
    assert labels["area"] in ("money", "producers", "service")
    assert set(annotations) == {"summary", "description", "runbook"}
    assert annotations["runbook"] == f"{PAGE}#{name.lower()}"


def test_the_page_has_a_section_for_each_alert_and_none_for_others():
    headings = re.findall(r"^### (Quotepart\w+)$", (ROOT / PAGE).read_text(), flags=re.MULTILINE)

    assert sorted(headings) == sorted(RULES)
