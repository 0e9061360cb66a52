"""The text that Prometheus scrapes: of this process, or of all worker processes where they share a directory."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The library's variable: where it is set, every process of the service writes its counts there."""


def exposition() -> tuple[bytes, str]:
    """(text, media type). With PROMETHEUS_MULTIPROC_DIR set the figures of all workers are added up."""
    if METRICS_DIRECTORY not in os.environ:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
