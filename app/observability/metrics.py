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
PAYMENTS = Counter("quotepart_payments_recorded_total", "Payments recorded, by where they were told.", ["source"])
PERIOD_FAILURES = Counter("quotepart_period_failures_total", "Billing instants that a run could not close.")
JOB_FAILURES = Counter(
    "quotepart_job_failures_total", "Jobs that broke off and will be tried again, by kind.", ["kind"]
)

WAITING = Gauge(
    "quotepart_ingest_waiting_requests",
    "Requests that are read and wait for a transaction.",
    multiprocess_mode="livesum",
)
WAIT_SECONDS = Histogram(
    "quotepart_ingest_wait_seconds", "How long a request waited for its transaction to begin.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)  # fmt: skip
GROUP_REQUESTS = Histogram(
    "quotepart_ingest_group_requests",
    "Requests that shared one transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
GROUP_SECONDS = Histogram(
    "quotepart_ingest_group_seconds", "Reading, keeping, counting and committing one group of requests.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
RETRIES = Counter(
    "quotepart_transaction_retries_total", "Transactions tried again after a deadlock, a conflict or a lost connection."
)

ALERT_CROSSINGS = Counter(
    "quotepart_alert_crossings_total", "Thresholds of alerts that were noticed as crossed, by measure.", ["measure"]
)
ALERT_CHECK_SECONDS = Histogram(
    "quotepart_alert_check_seconds", "Looking at what the alerts of some tenants watch, up to 200 at once.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip

DELIVERIES = Counter(
    "quotepart_deliveries_total", "Tries to deliver a message, by channel and what came of them.",
    ["channel", "outcome"],
)  # fmt: skip
DELIVERY_SECONDS = Histogram(
    "quotepart_delivery_seconds", "Sending one message to one receiver, its answer included.", ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40),
)  # fmt: skip

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Whatever else a caller writes as its method is counted as `other`."""
HTTP_REQUESTS = Counter(
    "quotepart_http_requests_total", "Requests answered, by method, route and status.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "quotepart_http_request_seconds", "From a request's headers to the end of its answer.", ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
BUILD = Gauge(
    "quotepart_build_info", "1, with the version that is running.", ["version"], multiprocess_mode="mostrecent"
)

OUTCOMES = ("accepted", "duplicate", "conflict", "quarantined", "rejected")
DOCUMENT_TYPES = ("invoice", "credit_note")
PAYMENT_SOURCES = ("api", "bank")
MEASURES = ("quantity", "amount", "balance")
CHANNELS = ("webhook", "email")
DELIVERY_OUTCOMES = ("delivered", "retried", "failed", "lost")
"""`lost`: it took so long that another worker has the delivery."""


def begin_at_zero(job_kinds: tuple[str, ...]) -> None:
    """A counter that appears with its first count has not grown in the eyes of `increase()`: all begin at 0."""
    for counter, values in (
        (EVENTS, OUTCOMES),
        (DOCUMENTS, DOCUMENT_TYPES),
        (PAYMENTS, PAYMENT_SOURCES),
        (JOB_FAILURES, job_kinds),
        (ALERT_CROSSINGS, MEASURES),
    ):
        for value in values:
            counter.labels(value)
    for channel in CHANNELS:
        for outcome in DELIVERY_OUTCOMES:
            DELIVERIES.labels(channel, outcome)


# The figures below come from the database at each scrape: every process on one database says the same.
PERIODS_DUE = Gauge(
    "quotepart_periods_due", "Billing instants that have passed and are not issued yet.", multiprocess_mode="mostrecent"
)
QUARANTINED = Gauge(
    "quotepart_quarantined_events", "Events set aside and not released yet, by reason.", ["reason"],
    multiprocess_mode="mostrecent",
)  # fmt: skip
BANK_ENTRIES_UNMATCHED = Gauge(
    "quotepart_bank_entries_unmatched", "Entries of bank statements that wait for somebody to say what they are.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
UNPRICED = Gauge(
    "quotepart_unpriced_stretches", "Stretches of a tenant's use of a meter, up to now, that nothing prices.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
OLDEST_DUE_SECONDS = Gauge(
    "quotepart_oldest_due_period_age_seconds", "How long the oldest billing instant that is not issued has been due.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
AUDIT_DIFFERENCES = Gauge(
    "quotepart_audit_differences", "Differences that the last audit found.", multiprocess_mode="mostrecent"
)
AUDIT_FINISHED = Gauge(
    "quotepart_audit_finished_timestamp_seconds", "When the last audit ended; 0 where there was none.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
JOBS_WAITING = Gauge(
    "quotepart_jobs_waiting", "Jobs that are not done yet, by kind.", ["kind"], multiprocess_mode="mostrecent"
)
ALERT_CHECK_AGE_SECONDS = Gauge(
    "quotepart_alert_check_age_seconds",
    "How long the tenant has waited that has alerts, has used something, and was not looked at yet.",
    multiprocess_mode="mostrecent",
)
OLDEST_JOB_SECONDS = Gauge(
    "quotepart_oldest_job_age_seconds", "How long the oldest job that is not done has waited.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
OUTBOX_PENDING = Gauge(
    "quotepart_outbox_pending", "Messages that are not delivered yet, once for each receiver, by channel.", ["channel"],
    multiprocess_mode="mostrecent",
)  # fmt: skip
OLDEST_UNSENT_SECONDS = Gauge(
    "quotepart_oldest_unsent_message_age_seconds", "How long the oldest message has waited that is not delivered yet.",
    ["channel"], multiprocess_mode="mostrecent",
)  # fmt: skip
ENDPOINTS_DISABLED = Gauge(
    "quotepart_webhook_endpoints_disabled", "Endpoints that the service has disabled because they failed.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
