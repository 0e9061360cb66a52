"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Digest, ExactDecimal, Id, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", ByteText(), nullable=False),
        sa.Column("secret_hash", Digest(), nullable=False),
        sa.Column("scopes", ByteText(), nullable=False),
        sa.Column("tenant_key", ByteText(), server_default="", nullable=False),
        sa.Column("name", ByteText(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        info={"kind": "reference"},
    )
    op.create_table(
        "billing_runs",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("through", Instant(), nullable=False),
        sa.Column("issue", sa.Boolean(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("filters", ByteText(), nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.Column("periods_due", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("failures", ByteText(), nullable=False),
        sa.Column("unpriced", ByteText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_billing_runs")),
        info={"kind": "local"},
    )
    op.create_table(
        "buckets",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("meter_id", Id(), nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("cell", Id(), nullable=False),
        sa.Column("resource", ByteText(), nullable=False),
        sa.Column("dimensions", ByteText(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("identity_sum", sa.BigInteger(), nullable=False),
        sa.Column("sum", ExactDecimal(), nullable=True),
        sa.Column("min", ExactDecimal(), nullable=True),
        sa.Column("max", ExactDecimal(), nullable=True),
        sa.Column("last_value", ExactDecimal(), nullable=True),
        sa.Column("last_at", Instant(), nullable=True),
        sa.Column("last_source", ByteText(), nullable=True),
        sa.Column("last_id", ByteText(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "meter_id", "start", "cell", name=op.f("pk_buckets")),
        info={"kind": "distributed"},
    )
    op.create_table(
        "catalog_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_version")),
        info={"kind": "local"},
    )
    op.create_table(
        "events",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("identity", Id(), nullable=False),
        sa.Column("source", ByteText(), nullable=False),
        sa.Column("id", ByteText(), nullable=False),
        sa.Column("type", ByteText(), nullable=False),
        sa.Column("subject", ByteText(), nullable=False),
        sa.Column("resource", ByteText(), nullable=False),
        sa.Column("time", Instant(), nullable=False),
        sa.Column("time_sent", sa.Boolean(), nullable=False),
        sa.Column("data", ByteText(), nullable=False),
        sa.Column("attributes", ByteText(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("digest", Digest(), nullable=False),
        sa.Column("catalog_version", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", Instant(), nullable=True),
        sa.Column("cancel_reason", ByteText(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "identity", name=op.f("pk_events")),
        info={"kind": "distributed"},
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_tenant_id_type_time"), ["tenant_id", "type", "time"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("job_id", Id(), nullable=False),
        sa.Column("kind", ByteText(), nullable=False),
        sa.Column("payload", ByteText(), nullable=False),
        sa.Column("progress", ByteText(), nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.Column("leased_by", ByteText(), server_default="", nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", ByteText(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
        info={"kind": "local"},
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_status_due_at"), ["status", "due_at"], unique=False)

    op.create_table(
        "meters",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("name", ByteText(), nullable=False),
        sa.Column("unit", ByteText(), nullable=False),
        sa.Column("unit_code", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meters")),
        info={"kind": "reference"},
    )
    op.create_table(
        "number_series",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("series", ByteText(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", ByteText(), nullable=False),
        sa.Column("last_issued_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "series", name=op.f("pk_number_series")),
        info={"kind": "distributed"},
    )
    op.create_table(
        "plans",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("name", ByteText(), nullable=False),
        sa.Column("draft", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_plans")),
        info={"kind": "reference"},
    )
    op.create_table(
        "quarantine",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("quarantine_id", Id(), nullable=False),
        sa.Column("identity", Id(), nullable=False),
        sa.Column("reason", ByteText(), nullable=False),
        sa.Column("detail", ByteText(), nullable=False),
        sa.Column("source", ByteText(), nullable=False),
        sa.Column("id", ByteText(), nullable=False),
        sa.Column("type", ByteText(), nullable=False),
        sa.Column("subject", ByteText(), nullable=False),
        sa.Column("resource", ByteText(), nullable=False),
        sa.Column("time", Instant(), nullable=False),
        sa.Column("time_sent", sa.Boolean(), nullable=False),
        sa.Column("data", ByteText(), nullable=False),
        sa.Column("attributes", ByteText(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("digest", Digest(), nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "quarantine_id", name=op.f("pk_quarantine")),
        info={"kind": "distributed"},
    )
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_quarantine_status_reason_type_subject"),
            ["status", "reason", "type", "subject"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_quarantine_tenant_id_identity"), ["tenant_id", "identity"], unique=False)

    op.create_table(
        "subscription_keys",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("subscription_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_subscription_keys")),
        info={"kind": "reference"},
    )
    op.create_table(
        "tax_rates",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("category", ByteText(), nullable=False),
        sa.Column("rate", ExactDecimal(), nullable=False),
        sa.Column("country", ByteText(), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tax_rates")),
        info={"kind": "reference"},
    )
    op.create_table(
        "tenant_subjects",
        sa.Column("subject", ByteText(), nullable=False),
        sa.Column("from_at", Instant(), nullable=False),
        sa.Column("tenant_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "from_at", name=op.f("pk_tenant_subjects")),
        info={"kind": "reference"},
    )
    with op.batch_alter_table("tenant_subjects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tenant_subjects_tenant_id"), ["tenant_id"], unique=False)

    op.create_table(
        "tenants",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("name", ByteText(), nullable=False),
        sa.Column("currency", ByteText(), nullable=False),
        sa.Column("time_zone", ByteText(), nullable=False),
        sa.Column("language", ByteText(), nullable=False),
        sa.Column("operator", sa.Boolean(), nullable=False),
        sa.Column("default_tax", ByteText(), server_default="", nullable=False),
        sa.Column("legal", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("key", name=op.f("uq_tenants_key")),
        info={"kind": "reference"},
    )
    op.create_table(
        "invoices",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("type", ByteText(), nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.Column("seller_id", Id(), nullable=False),
        sa.Column("seller", ByteText(), nullable=False),
        sa.Column("buyer", ByteText(), nullable=False),
        sa.Column("currency", ByteText(), nullable=False),
        sa.Column("language", ByteText(), nullable=False),
        sa.Column("time_zone", ByteText(), nullable=False),
        sa.Column("period_start", Instant(), nullable=False),
        sa.Column("period_end", Instant(), nullable=False),
        sa.Column("net", ExactDecimal(), nullable=False),
        sa.Column("tax", ByteText(), nullable=False),
        sa.Column("total", ExactDecimal(), nullable=False),
        sa.Column("series", ByteText(), server_default="", nullable=False),
        sa.Column("number", ByteText(), server_default="", nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("issued_at", Instant(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("hash", ByteText(), server_default="", nullable=False),
        sa.Column("previous_hash", ByteText(), server_default="", nullable=False),
        sa.Column("subscription_id", Id(), nullable=False),
        sa.Column("billing_at", Instant(), nullable=False),
        sa.Column("slot", ByteText(), nullable=False),
        sa.Column("credits_id", Id(), nullable=True),
        sa.Column("references", ByteText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", name=op.f("pk_invoices")),
        sa.UniqueConstraint(
            "tenant_id",
            "subscription_id",
            "billing_at",
            "type",
            "slot",
            name=op.f("uq_invoices_tenant_id_subscription_id_billing_at_type_slot"),
        ),
        info={"kind": "distributed"},
    )
    with op.batch_alter_table("invoices", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invoices_seller_id_series_sequence"), ["seller_id", "series", "sequence"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_invoices_tenant_id_credits_id"), ["tenant_id", "credits_id"], unique=False)

    op.create_table(
        "meter_revisions",
        sa.Column("meter_id", Id(), nullable=False),
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("event_type", ByteText(), nullable=False),
        sa.Column("definition", ByteText(), nullable=False),
        sa.Column("state", ByteText(), nullable=False),
        sa.Column("since_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name=op.f("pk_meter_revisions")),
        sa.UniqueConstraint("key", "revision", name=op.f("uq_meter_revisions_key_revision")),
        info={"kind": "reference"},
    )
    op.create_table(
        "plan_versions",
        sa.Column("plan", ByteText(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("effective_at", Instant(), nullable=False),
        sa.Column("terms", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("plan", "version", name=op.f("pk_plan_versions")),
        info={"kind": "reference"},
    )
    op.create_table(
        "resources",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("name", ByteText(), nullable=False),
        sa.Column("kind", ByteText(), nullable=False),
        sa.Column("owner_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_resources")),
        info={"kind": "reference"},
    )
    op.create_table(
        "subscriptions",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("subscription_id", Id(), nullable=False),
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("plan", ByteText(), nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("end", Instant(), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("pinned_version", sa.Integer(), nullable=True),
        sa.Column("overrides", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subscription_id", name=op.f("pk_subscriptions")),
        info={"kind": "distributed"},
    )
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subscriptions_tenant_id_plan"), ["tenant_id", "plan"], unique=False)

    op.create_table(
        "billing_instants",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("subscription_id", Id(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subscription_id", "at", name=op.f("pk_billing_instants")),
        info={"kind": "distributed"},
    )
    op.create_table(
        "invoice_files",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("format", ByteText(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("digest", Digest(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "format", name=op.f("pk_invoice_files")),
        info={"kind": "distributed"},
    )
    op.create_table(
        "invoice_lines",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", ByteText(), nullable=False),
        sa.Column("subscription_id", Id(), nullable=False),
        sa.Column("subscription", ByteText(), nullable=False),
        sa.Column("charge", ByteText(), nullable=False),
        sa.Column("description", ByteText(), nullable=False),
        sa.Column("period_start", Instant(), nullable=False),
        sa.Column("period_end", Instant(), nullable=False),
        sa.Column("quantity", ExactDecimal(), nullable=False),
        sa.Column("unit", ByteText(), nullable=False),
        sa.Column("amount", ExactDecimal(), nullable=False),
        sa.Column("tax_category", ByteText(), nullable=False),
        sa.Column("tax_rate", ExactDecimal(), nullable=False),
        sa.Column("components", ByteText(), nullable=False),
        sa.Column("allowances", ByteText(), nullable=False),
        sa.Column("reopens_usage", sa.Boolean(), nullable=False),
        sa.Column("trace", ByteText(), nullable=False),
        sa.Column("credits_id", Id(), nullable=True),
        sa.Column("digest", Digest(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "position", name=op.f("pk_invoice_lines")),
        info={"kind": "distributed"},
    )
    with op.batch_alter_table("invoice_lines", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invoice_lines_tenant_id_subscription_id_charge"),
            ["tenant_id", "subscription_id", "charge"],
            unique=False,
        )

    op.execute("INSERT INTO catalog_version (id, version) VALUES (1, 1)")


def downgrade() -> None:
    with op.batch_alter_table("invoice_lines", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invoice_lines_tenant_id_subscription_id_charge"))

    op.drop_table("invoice_lines")
    op.drop_table("invoice_files")
    op.drop_table("billing_instants")
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_subscriptions_tenant_id_plan"))

    op.drop_table("subscriptions")
    op.drop_table("resources")
    op.drop_table("plan_versions")
    op.drop_table("meter_revisions")
    with op.batch_alter_table("invoices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invoices_tenant_id_credits_id"))
        batch_op.drop_index(batch_op.f("ix_invoices_seller_id_series_sequence"))

    op.drop_table("invoices")
    op.drop_table("tenants")
    with op.batch_alter_table("tenant_subjects", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tenant_subjects_tenant_id"))

    op.drop_table("tenant_subjects")
    op.drop_table("tax_rates")
    op.drop_table("subscription_keys")
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarantine_tenant_id_identity"))
        batch_op.drop_index(batch_op.f("ix_quarantine_status_reason_type_subject"))

    op.drop_table("quarantine")
    op.drop_table("plans")
    op.drop_table("number_series")
    op.drop_table("meters")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_status_due_at"))

    op.drop_table("jobs")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_tenant_id_type_time"))

    op.drop_table("events")
    op.drop_table("catalog_version")
    op.drop_table("buckets")
    op.drop_table("billing_runs")
    op.drop_table("api_keys")
