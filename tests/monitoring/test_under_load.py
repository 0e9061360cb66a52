"""A real Prometheus beside the real service under load: what it says is what happened, to the last event.

Two workers of `quotepart serve` and one `quotepart work` run on a PostgreSQL of the test's own. Four producers post
events of every outcome for 20 seconds, or for 75 where QUOTEPART_SOAK is 1, and note what they were answered; a billing
run and an audit take place meanwhile. All questions are then put to Prometheus, as dashboards put them.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client.multiprocess import MultiProcessCollector

from tests.crash.running import api, wait_until
from tests.monitoring.prometheus import (
    DASHBOARDS,
    DEPLOY,
    Labels,
    Prometheus,
    alert_rules,
    end,
    free_port,
    needs_prometheus,
)
from tests.service import ACME, ADMIN_KEY, PER_UNIT, event, set_up

pytestmark = needs_prometheus

ROOT = DEPLOY.parents[1]
LOAD_SECONDS = 75 if os.environ.get("QUOTEPART_SOAK") == "1" else 20
PRODUCERS = 4
WORKERS = 2
# Within this time before the end of the load all of it is load.
STEADY_SECONDS = LOAD_SECONDS - 5
OUTCOMES = {
    "accepted": "accepted", "duplicate": "duplicates", "conflict": "conflicts", "quarantined": "quarantined",
    "rejected": "rejected",
}  # fmt: skip
"""By outcome as it is counted: its name in an answer."""
POSTED = 'quotepart_http_requests_total{method="POST",route="/v1/events"}'
# What Prometheus itself writes down; everything else in a question has to come from the service.
OF_PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS"}


def now() -> Decimal:
    return Decimal(str(time.time()))


def days_ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@dataclass
class Told:
    """What producers were answered, added up: events by outcome, and how many requests."""

    events: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, batch: list[Any], answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        with self._lock:
            self.events.update({outcome: body[plural] for outcome, plural in OUTCOMES.items()})
            self.sent += len(batch)
            self.requests += 1


def batch_of(producer: str, number: int) -> list[Any]:
    """Twenty events, one of them ten days old and one three hours; one each that repeats the first, contradicts it,
    belongs to nobody, cannot be read."""
    at = datetime.now(UTC)
    fresh = [event(f"{producer}-{number}-{n}", time=at.isoformat()) for n in range(14)]
    first = fresh[0]
    return [
        *fresh,
        event(f"{producer}-{number}-hours", time=(at - timedelta(hours=3)).isoformat()),
        event(f"{producer}-{number}-days", time=(at - timedelta(days=10)).isoformat()),
        first,
        first | {"data": {"kwh": "8.00", "station": "12"}},
        event(f"{producer}-{number}-stranger", subject="stranger", time=at.isoformat()),
        event(f"{producer}-{number}-untyped", time=at.isoformat(), type=None),
    ]


def produce(url: str, name: str, until: float, told: Told) -> None:
    """Posts batches until then, each over a connection of its own, so that either worker may take it."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Connection": "close"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for number in range(100 * LOAD_SECONDS):
            if time.monotonic() >= until:
                return
            batch = batch_of(name, number)
            told.add(batch, client.post("/v1/events", json=batch))
            time.sleep(0.05)


class Service:
    """`quotepart serve` with two workers and no jobs, and `quotepart work` with them."""

    def __init__(self, database_url: str, directory: Path, running: ExitStack) -> None:
        self.temporary_directory = directory / "temporary"
        self.temporary_directory.mkdir()
        self._environment = os.environ | {
            "QUOTEPART_DATABASE_URL": database_url, "QUOTEPART_BOOTSTRAP_KEY": ADMIN_KEY, "QUOTEPART_RUN_JOBS": "no",
        }  # fmt: skip
        self._directory = directory
        self.ports = {"serve": free_port(), "work": free_port()}
        self.url = f"http://127.0.0.1:{self.ports['serve']}"
        shared = {"TMPDIR": str(self.temporary_directory)}
        for part, arguments, more in (
            ("serve", ("--port", str(self.ports["serve"]), "--workers", str(WORKERS)), shared),
            ("work", ("--metrics-port", str(self.ports["work"])), {}),
        ):
            running.callback(end, self._start(part, *arguments, more=more))
        for part in self.ports:
            wait_until(lambda: self._is_ready(part), f"{part} to be ready")  # noqa: B023

    def _start(self, command: str, *arguments: str, more: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self._directory / f"{command}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "app", command, *arguments],
                env=self._environment | more, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _is_ready(self, part: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[part]}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def instance(self, part: str) -> str:
        return f"127.0.0.1:{self.ports[part]}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=60)

    def audit(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "app", "audit"], env=self._environment, cwd=ROOT, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Watched:
    """The service after its load, and what to compare."""

    prometheus: Prometheus
    service: Service
    told: Told
    issued: int
    """documents"""
    before: Decimal
    load_ended: Decimal
    after: Decimal
    """instants of scrapes before and after the load, and when it ended, in seconds since 1970"""

    def grown(self, selector: str) -> Decimal:
        """How much the sum of counters grew from the scrape before the load to the scrape after it."""
        return self.total(selector, at=self.after) - self.total(selector, at=self.before)

    def total(self, selector: str, *, at: Decimal) -> Decimal:
        """The sum of the last samples; a scrape that a busy machine could not answer is passed over."""
        return self.prometheus.number(f"sum(last_over_time({selector}[30s]))", at=at)


@pytest.fixture(scope="module")
def watched(
    new_postgresql_database: Callable[[], str], postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    directory, url = tmp_path_factory.mktemp("monitoring"), new_postgresql_database()
    with ExitStack() as running:
        running.callback(drop, postgresql_url, url)
        service = Service(url, directory, running)
        prometheus = Prometheus(directory, service.ports)
        running.callback(prometheus.stop)
        yield watch(prometheus, service)


def drop(server_url: str, database_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{sa.make_url(database_url).database}" WITH (FORCE)')


def watch(prometheus: Prometheus, service: Service) -> Watched:
    """The whole story: a catalog, one batch so that every series is there, the load with a billing run and an audit."""
    with service.client() as client:
        set_up(api(client), [PER_UNIT], start=days_ago(70).date().isoformat())
        Told().add(batch := batch_of("first", 0), client.post("/v1/events", json=batch))
        wait_until(lambda: prometheus.firing("QuotepartAuditOverdue"), "the alert that nobody audits")
        wait_until(lambda: prometheus.firing("QuotepartPeriodsOverdue"), "the alert that nobody bills")
        before = prometheus.scraped_after(now(), instance=service.instance("serve"))
        told, until = Told(), time.monotonic() + LOAD_SECONDS
        with ThreadPoolExecutor(PRODUCERS) as pool:
            producing = [pool.submit(produce, service.url, f"producer-{n}", until, told) for n in range(PRODUCERS)]
            run = api(client).bill(datetime.now(UTC).isoformat())
            assert run["failed"] == 0, run
            service.audit()
            for producer in producing:
                producer.result()
        load_ended = now()
        issued = len(api(client).invoices(status="issued", limit=1000))
    # A request is counted when its answer has been sent, which its sender need not wait for: a second is left for that.
    after = max(prometheus.scraped_after(load_ended + 1, instance=service.instance(part)) for part in service.ports)
    return Watched(prometheus, service, told, issued, before, load_ended, after)


def test_every_answered_event_is_counted_once(watched):
    """Counter after the load less counter before it, over both workers: exactly what the producers were told."""
    counted = {outcome: watched.grown(f'quotepart_events_total{{outcome="{outcome}"}}') for outcome in OUTCOMES}

    assert counted == dict(watched.told.events)
    assert sum(counted.values()) == watched.told.sent
    assert min(counted.values()) > 0


def test_every_request_is_counted_once(watched):
    for counter in (
        POSTED,
        'quotepart_http_requests_total{method="POST",route="/v1/events",status="200"}',
        'quotepart_http_request_seconds_count{method="POST",route="/v1/events"}',
        "quotepart_ingest_seconds_count",
        "quotepart_event_lateness_seconds_count",
    ):
        assert watched.grown(counter) == watched.told.requests, counter


def test_the_largest_sample_less_the_smallest_is_what_was_sent(watched):
    """The same without a look at single instants: over all scrapes from the one before the load to the one after it."""
    # A hundredth of a second more, so that the scrape at its very edge is in it; the one before that is a second away.
    window = f"[{int((watched.after - watched.before) * 1000) + 10}ms]"
    accepted = f'quotepart_events_total{{outcome="accepted",instance="{watched.service.instance("serve")}"}}'
    spread = f"max_over_time({accepted}{window}) - min_over_time({accepted}{window})"

    assert watched.prometheus.number(spread, at=watched.after) == watched.told.events["accepted"]


def test_no_scrape_saw_a_counter_go_back(watched):
    """Whichever worker answers a scrape adds up the counts of both. One that gave its own alone would look like a
    restart, and rate() would count everything again."""
    window = f"[{math.ceil(watched.after - watched.before)}s]"
    for counter in ("quotepart_events_total", "quotepart_http_requests_total", "quotepart_ingest_seconds_count"):
        resets = watched.prometheus.query(f"resets({counter}{window})", at=watched.after)
        assert resets and set(resets.values()) == {0}, counter


def test_the_rate_is_what_was_counted_within_what_prometheus_adds_at_the_edges(watched):
    """rate() takes the growth between the first and the last scrape in a window and stretches it towards the window's
    edges: by 1.1 times the mean distance of scrapes on either side at most. So with n scrapes in 15 seconds of load,
    the rate times 15 is never less than what was counted between them, and at most 2.2 / (n - 1) more."""
    series = f'quotepart_events_total{{outcome="accepted",instance="{watched.service.instance("serve")}"}}'
    samples = watched.prometheus.samples(series, seconds=STEADY_SECONDS, at=watched.load_ended)
    counted = samples[-1][1] - samples[0][1]

    rate = watched.prometheus.number(f"rate({series}[{STEADY_SECONDS}s])", at=watched.load_ended)

    most = counted * (1 + Decimal("2.2") / (len(samples) - 1))
    # A millionth for the floats of Prometheus.
    assert counted * Decimal("0.999999") <= rate * STEADY_SECONDS <= most * Decimal("1.000001")


def test_both_workers_answered_and_their_counts_add_up(watched):
    files = sorted(watched.service.temporary_directory.glob("*/counter_*.db"))
    merge = MultiProcessCollector.merge
    by_worker = {
        file.name: sum(
            Decimal(str(sample.value))
            for metric in merge([str(file)])
            for sample in metric.samples
            if sample.name == "quotepart_events_total" and sample.labels["outcome"] == "accepted"
        )
        for file in files
    }

    served = {name: count for name, count in by_worker.items() if count}
    assert len(served) == WORKERS, by_worker
    assert sum(served.values()) == watched.total('quotepart_events_total{outcome="accepted"}', at=watched.after)


@pytest.mark.parametrize(
    "gauge",
    [
        "quotepart_quarantined_events", "quotepart_periods_due", "quotepart_oldest_due_period_age_seconds",
        "quotepart_unpriced_stretches", "quotepart_audit_differences", "quotepart_audit_finished_timestamp_seconds",
        "quotepart_jobs_waiting",
    ],
)  # fmt: skip
def test_every_process_says_the_same_of_the_database(watched, gauge):
    """After the load nothing changes any more; so max() over instances in rules and dashboards takes either. What is
    costly to work out is not worked out at each scrape, so the processes agree in the end, not at once."""

    def agree() -> bool:
        said = by_instance(watched.prometheus.query(gauge))
        return len(said) == len(watched.service.ports) and said[0] == said[1]

    wait_until(agree, f"both processes to say the same {gauge}")


def by_instance(answer: dict[Labels, Decimal]) -> list[dict[str, Decimal]]:
    """What each instance says, by reason or kind where there are some."""
    said: dict[str, dict[str, Decimal]] = {}
    for labels, value in answer.items():
        own = dict(labels)
        said.setdefault(own["instance"], {})[own.get("reason", "") + own.get("kind", "")] = value
    return list(said.values())


def test_what_was_issued_is_counted_by_the_process_that_runs_jobs(watched):
    counted = watched.prometheus.query("last_over_time(quotepart_documents_issued_total[30s])", at=watched.after)

    assert watched.issued > 0
    assert sum(counted.values()) == watched.issued
    assert {dict(labels)["part"] for labels, count in counted.items() if count} == {"work"}


def variables_replaced(expression: str) -> str:
    """As Grafana asks: over the time of the whole story."""
    window = f"{2 * LOAD_SECONDS}s"
    for variable, text in (("$__rate_interval", window), ("$__range", window), ("$job", "quotepart")):
        expression = expression.replace(variable, text)
    assert "$" not in expression
    return expression


def metrics_in(expression: str) -> set[str]:
    """The names of metrics, less what is a label, a function or a word of the language, or stands in quotes."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|on|group_left|without)\s*\([^)]*\)', " ", expression)
    return set(re.findall(r"\b[A-Za-z_]\w*\b(?!\s*\()", bare)) - {"and", "or"}


QUESTIONS = [
    pytest.param(target["expr"], id=f"{file.stem}-{panel['title']}-{target['refId']}")
    for file in DASHBOARDS
    for panel in json.loads(file.read_text())["panels"]
    for target in panel.get("targets", [])
]


@pytest.mark.parametrize("expression", QUESTIONS)
def test_a_panel_has_something_to_show(watched, expression):
    """Prometheus understands the question, knows every metric in it, and has an answer that is a number."""
    answer = watched.prometheus.query(variables_replaced(expression), at=watched.after)

    assert unknown_metrics(watched, expression) == set()
    assert any(value.is_finite() for value in answer.values()), answer


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_the_service_exposes(watched, rule):
    assert unknown_metrics(watched, rule["expr"]) == set()


def unknown_metrics(watched: Watched, expression: str) -> set[str]:
    names = metrics_in(expression)
    assert names
    return names - OF_PROMETHEUS - set(watched.prometheus.ask("label/__name__/values"))


def test_prometheus_evaluates_every_rule_without_an_error(watched):
    groups = watched.prometheus.ask("rules")["groups"]
    evaluated = {rule["name"]: (rule["health"], rule.get("lastError", "")) for g in groups for rule in g["rules"]}

    assert evaluated == {rule["alert"]: ("ok", "") for rule in alert_rules()}


def test_alerts_end_when_somebody_did_what_they_ask_for(watched):
    """Before the load both fired, for nobody had billed or audited; then there were a billing run and an audit."""
    for name in ("QuotepartPeriodsOverdue", "QuotepartAuditOverdue"):
        wait_until(lambda: not watched.prometheus.firing(name), f"{name} to end")  # noqa: B023
    assert watched.prometheus.firing("QuotepartBooksDiffer") == []


def test_conflicts_and_rejected_events_are_told(watched):
    """One in twenty events of the load is in conflict, one is rejected."""
    for name in ("QuotepartEventsConflict", "QuotepartEventsRejected"):
        (alert,) = wait_until(lambda: watched.prometheus.firing(name), name)  # noqa: B023
        assert alert["labels"] == {
            "alertname": name, "job": "quotepart", "severity": "warning", "area": "producers",
        }  # fmt: skip
        assert "error" not in alert["annotations"]["summary"], "the text could be put together"


def test_events_in_quarantine_are_told_until_the_catalog_is_mended(watched):
    """The strangers of the load belong to nobody; once acme pays for them they are counted, and the alert ends."""
    (alert,) = wait_until(lambda: watched.prometheus.firing("QuotepartEventsInQuarantine"), "the alert on quarantine")
    waiting = watched.told.events["quarantined"] + 1
    assert alert["labels"] == {
        "alertname": "QuotepartEventsInQuarantine", "job": "quotepart", "reason": "unknown_tenant",
        "severity": "warning", "area": "money",
    }  # fmt: skip
    assert alert["annotations"]["summary"] == f"{waiting} events in quarantine: unknown_tenant"

    with watched.service.client() as client:
        mended = client.put("/v1/tenants/acme", json=ACME | {"subjects": [*ACME["subjects"], "stranger"]})
        assert mended.status_code == 200, mended.text

    wait_until(lambda: not watched.prometheus.firing("QuotepartEventsInQuarantine"), "the alert on quarantine to end")
