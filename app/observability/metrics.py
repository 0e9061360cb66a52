"""Every Prometheus metric, declared once. Labels come from short closed lists, never from tenants or ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("quotepart_events_total", "Events answered, by outcome.", ["outcome"])
INGEST_SECONDS = Histogram(
    "quotepart_ingest_seconds", "From the whole body read to the answer, per request.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
LATENESS_SECONDS = Histogram(
    "quotepart_event_lateness_seconds", "How long before its receipt the oldest accepted event of a request happened.",
    buckets=(1, 10, 60, 600, 3600, 21600, 86400, 604800, 2678400, 31536000),
)  # fmt: skip
RATING_SECONDS = Histogram(
    "quotepart_rating_seconds", "Gathering and rating one billing period.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip
CLOSING_SECONDS = Histogram(
    "quotepart_closing_seconds", "Closing one billing instant, its transaction included.",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip
DOCUMENTS = Counter("quotepart_documents_issued_total", "Documents issued, by type.", ["type"])
PERIODS_DUE = Gauge(
    "quotepart_periods_due", "Billing instants that have passed and are not issued yet.", multiprocess_mode="mostrecent"
)
QUARANTINED = Gauge(
    "quotepart_quarantined_events", "Events set aside and not released yet, by reason.", ["reason"],
    multiprocess_mode="mostrecent",
)  # fmt: skip
