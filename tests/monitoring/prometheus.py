"""A Prometheus of the test's own: on loopback, in a directory that goes with the test, asked over HTTP as Grafana asks.

Prometheus and promtool are programs of the machine, not of the environment. Where they are absent, what needs them is
skipped and says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.crash.running import wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
DASHBOARDS = sorted((DEPLOY / "dashboards").glob("*.json"))
SCRAPE_SECONDS = 1

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="needs the programs prometheus and promtool on PATH",
)

Labels = tuple[tuple[str, str], ...]


def alert_rules() -> list[dict[str, Any]]:
    """Every rule of deploy/prometheus/alerts.yml."""
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def end(process: subprocess.Popen[bytes]) -> None:
    """The process, which leads a group of its own, and all that it started are gone: asked to, or killed."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    # Also where it ended by itself: what it started may be left.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Prometheus:
    """A running Prometheus with the project's own configuration, but for addresses and intervals.

    So that a test need not wait for minutes, it scrapes and evaluates every second, and every alert fires as soon as
    its expression holds: `for` is 0s in its copy of the rules. The expressions are the shipped ones.
    """

    def __init__(self, directory: Path, targets: dict[str, int]) -> None:
        self._port = free_port()
        self._log = directory / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus", f"--config.file={_configure(directory, targets)}",
                    f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=directory,
            )  # fmt: skip
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=30)
        try:
            wait_until(self._is_ready, "Prometheus to be ready")
        except BaseException:
            self.stop()
            raise

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self._client.close()
        end(self._process)

    def ask(self, path: str, **query: Any) -> Any:
        """What the API answers under `data`; a question that Prometheus refuses fails with its reason."""
        answer = self._client.get(f"/api/v1/{path}", params=query).json()
        assert answer["status"] == "success", f"{answer['error']}: {query}"
        return answer["data"]

    def query(self, expression: str, *, at: Decimal | None = None) -> dict[Labels, Decimal]:
        """Value by labels, now or at an instant (seconds since 1970)."""
        result = self.ask("query", query=expression, **({} if at is None else {"time": str(at)}))["result"]
        return {tuple(sorted(entry["metric"].items())): Decimal(entry["value"][1]) for entry in result}

    def number(self, expression: str, *, at: Decimal | None = None) -> Decimal:
        """The one value that the expression has, whatever its labels."""
        values = self.query(expression, at=at)
        assert len(values) == 1, f"{expression}: {values}"
        return next(iter(values.values()))

    def samples(self, selector: str, *, seconds: int, at: Decimal) -> list[tuple[Decimal, Decimal]]:
        """(instant, value) of each scrape of the one series, within so many seconds up to `at`."""
        result = self.ask("query", query=f"{selector}[{seconds}s]", time=str(at))["result"]
        assert len(result) == 1, f"{selector}: {len(result)} series"
        return [(Decimal(str(instant)), Decimal(value)) for instant, value in result[0]["values"]]

    def scraped_after(self, instant: Decimal, *, instance: str) -> Decimal:
        """The instant of a scrape of that target that began after `instant`, once there is one that was answered."""

        def scraped() -> Decimal | None:
            found = self.query(f'timestamp(quotepart_periods_due{{instance="{instance}"}})')
            at = next(iter(found.values()), Decimal(0))
            return at if at > instant else None

        at = wait_until(scraped, f"a scrape of {instance}")
        assert at is not None
        return at

    def firing(self, name: str) -> list[dict[str, Any]]:
        """The alerts of that name that fire now."""
        alerts = self.ask("alerts")["alerts"]
        return [alert for alert in alerts if alert["labels"]["alertname"] == name and alert["state"] == "firing"]


def _configure(directory: Path, targets: dict[str, int]) -> Path:
    """The shipped configuration and rules, on these ports, every second and without patience; the file's path."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), f"{SCRAPE_SECONDS}s")
    for static in config["scrape_configs"][0]["static_configs"]:
        static["targets"] = [f"127.0.0.1:{targets[static['labels']['part']]}"]
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "0s"
    (directory / "alerts.yml").write_text(yaml.safe_dump(rules))
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    said: Sequence[str] = [str(argument) for argument in arguments]
    return subprocess.run(
        ["promtool", *said], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
