"""The dashboards as files: Grafana can load them, every panel says what it shows, and asks for metrics that there are.

Their questions are put to a real Prometheus in test_under_load.py.
"""

from __future__ import annotations

import json
import re
from itertools import combinations, pairwise
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from app.observability import metrics
from tests.monitoring.prometheus import DASHBOARDS, DEPLOY

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


def panels(file: Any) -> list[dict[str, Any]]:
    """What is drawn: all panels but the headings between them."""
    return [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"]


PANELS = [pytest.param(panel, id=f"{file.stem}-{panel['title']}") for file in DASHBOARDS for panel in panels(file)]


def test_there_are_three_dashboards_each_under_a_name_of_its_own():
    made = [json.loads(file.read_text()) for file in DASHBOARDS]

    assert [file.stem for file in DASHBOARDS] == ["billing", "ingestion", "service"]
    assert {dashboard["uid"] for dashboard in made} == {f"quotepart-{file.stem}" for file in DASHBOARDS}
    assert len({dashboard["title"] for dashboard in made}) == len(made)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_lets_its_reader_choose_the_source_and_the_deployment(file):
    dashboard = json.loads(file.read_text())

    assert [(item["name"], item["type"]) for item in dashboard["templating"]["list"]] == [
        ("datasource", "datasource"), ("job", "query"),
    ]  # fmt: skip
    assert dashboard["templating"]["list"][1]["datasource"] == SOURCE
    assert dashboard["description"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_have_their_own_numbers_and_places(file):
    """On a grid of 24 columns no two panels overlap."""
    all_panels = json.loads(file.read_text())["panels"]
    places = [panel["gridPos"] for panel in all_panels]

    ids = sorted(panel["id"] for panel in all_panels)
    assert all(left < right for left, right in pairwise(ids))
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    )  # fmt: skip


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit(panel):
    assert panel["title"].strip()
    assert panel["description"].endswith("."), "a sentence"
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_the_chosen_source_about_the_chosen_deployment(panel):
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert 'job="$job"' in target["expr"]
        assert target["legendFormat"]
    names = [target["refId"] for target in panel["targets"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("file", [*DASHBOARDS, *sorted(DEPLOY.glob("alerts*.yml"))], ids=lambda file: file.name)
def test_dashboards_and_rules_name_metrics_that_are_declared(file):
    """Also where no Prometheus is at hand. A histogram is asked for by the names of its parts."""
    declared = {
        sample
        for item in vars(metrics).values()
        if isinstance(item, MetricWrapperBase)
        for sample in parts(item)
    }  # fmt: skip
    named = set(re.findall(r"\bquotepart_[a-z_]+", file.read_text()))

    assert named
    assert named - declared == set()


def parts(metric: MetricWrapperBase) -> set[str]:
    """The names under which a metric is scraped."""
    name = metric._name
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(str(metric._type), ("",))
    return {name + suffix for suffix in suffixes}
