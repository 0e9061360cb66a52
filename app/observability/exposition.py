"""The text that Prometheus scrapes: of this process, or of all worker processes where they share a directory."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The library's variable: where it is set, every process of the service writes its counts there."""


def _forget_the_dead(directory: str) -> None:
    """Drops what processes that were killed last said of themselves; their counts stay."""
    for file in Path(directory).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


def exposition() -> tuple[bytes, str]:
    """(text, media type). With PROMETHEUS_MULTIPROC_DIR set the figures of all workers are added up."""
    if METRICS_DIRECTORY not in os.environ:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    _forget_the_dead(os.environ[METRICS_DIRECTORY])
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
