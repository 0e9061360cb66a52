"""The metrics, as app/observability/metrics.py declares them."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from app.observability import metrics
from docs_tools.markdown import code, table

_HEAD = """# Metrics

`GET /metrics` answers in the text format of Prometheus, without a key. No label names a company or an id.
[Watching it with Prometheus](../how-to/prometheus.md) says what to make of them.

A *counter* only rises. A *histogram* sorts what it measured, in seconds, into buckets, beside their number and sum. A
*gauge* is a figure as it is now.

"""


def page() -> str:
    declared = [item for item in vars(metrics).values() if isinstance(item, MetricWrapperBase)]
    return _HEAD + table(("name", "kind", "labels", "what it counts or measures"), map(_row, declared))


def _row(metric: MetricWrapperBase) -> tuple[str, str, str, str]:
    name = metric._name + ("_total" if metric._type == "counter" else "")
    return code(name), str(metric._type), " ".join(map(code, metric._labelnames)), metric._documentation
