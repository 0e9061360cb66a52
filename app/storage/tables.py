"""The whole schema on one page.

Every table says of what kind it is, so that the same schema runs on one file and on many machines:

    distributed   rows of one tenant; `tenant_id` is NOT NULL and leads every primary key and unique constraint
    reference     small, the same everywhere; holds what is unique over all tenants
    local         one node's own: jobs, runs, the catalog version

Absent parts of a key are '' and never NULL; ids are made by the application; there are no triggers, no serial columns
and no database clock. `tests/storage/test_schema_rules.py` holds these rules.
"""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKeyConstraint, Index, Table, UniqueConstraint

from app.storage.types import ByteText, Digest, ExactDecimal, Id, Instant, Name16

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Kind = Literal["distributed", "reference", "local"]


def _table(name: str, kind: Kind, *items: Any) -> Table:
    return Table(name, metadata, *items, info={"kind": kind})


def _key(name: str, type_: Any = ByteText) -> Column[Any]:
    return Column(name, type_, primary_key=True, nullable=False)


def _text(name: str, default: str | None = None) -> Column[Any]:
    return Column(name, ByteText, nullable=False, server_default=default)


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Instant, nullable=nullable)


def _amount(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, ExactDecimal, nullable=nullable)


_IS_OPEN = sa.text("status = 'open'")
_IS_PENDING = sa.text("status = 'pending'")


# --- catalog ----------------------------------------------------------------------------------------------------------

catalog_version = _table(
    "catalog_version", "local", Column("id", sa.Integer, primary_key=True, autoincrement=False),
    Column("version", sa.BigInteger, nullable=False),
)  # fmt: skip

tenants = _table(
    "tenants", "reference", _key("tenant_id", Id), _text("key"), _text("name"), _text("currency"),
    _text("time_zone"), _text("language"), Column("operator", sa.Boolean, nullable=False), _text("default_tax", ""),
    _text("legal"),  # JSON: name, registration, vat_number, address, ..; '' where none was given
    _text("bill_to", ""), _text("parent", ""),  # keys of tenants
    _text("buying", ""),  # JSON: addresses, references, purchase orders; '' or {} where nothing was said
    _text("vat_check", ""),  # JSON: what a register said of the VAT number
    _text("numbering", ""),  # JSON: patterns of numbers by type, `pattern` for all others; '' where nothing is said
    _text("drafts", ""),  # JSON of how its drafts become documents; '' where they simply do
    UniqueConstraint("key"), Index(None, "bill_to"),
)  # fmt: skip

logos = _table(  # pictures that documents show, kept once for good: issued documents name them
    "logos", "reference", _key("digest", Digest), _text("media_type"),
    Column("content", sa.LargeBinary, nullable=False),
)  # fmt: skip

tenant_subjects = _table(  # whose use an event subject is, from when; tenant_id is the nil UUID where it is nobody's
    "tenant_subjects", "reference", _key("subject"), _key("from_at", Instant),
    Column("tenant_id", Id, nullable=False), Index(None, "tenant_id"),
)  # fmt: skip

resources = _table(
    "resources", "reference", _key("key"), _text("name"), _text("kind"), Column("owner_id", Id, nullable=False),
    _text("place", ""),  # the country where it stands
    ForeignKeyConstraint(["owner_id"], ["tenants.tenant_id"]),
)  # fmt: skip

meters = _table("meters", "reference", _key("key"), _text("name"), _text("unit"), _text("unit_code"))

meter_revisions = _table(
    "meter_revisions", "reference", _key("meter_id", Id), _text("key"),
    Column("revision", sa.Integer, nullable=False), _text("event_type"),
    _text("definition"),  # JSON: aggregation, property, dimensions, filter, rounding
    _text("state"),  # building, active or retired
    Column("since_version", sa.BigInteger, nullable=False),  # the catalog version that first had it: events stored
    # under an older one are counted by its catch-up, all others as they come
    UniqueConstraint("key", "revision"), ForeignKeyConstraint(["key"], ["meters.key"]),
)  # fmt: skip

tax_rates = _table(
    "tax_rates", "reference", _key("key"), _text("category"), _amount("rate"), _text("country"),
    Column("start", sa.Date, nullable=False), _text("details", ""),  # JSON: changes, exemption; '' where there are none
)  # fmt: skip

exchange_rates = _table(
    "exchange_rates", "reference", _key("key"), _text("from_currency"), _text("to_currency"),
    Column("date", sa.Date, nullable=False), _amount("rate"), _text("source"),
    UniqueConstraint("from_currency", "to_currency", "date"),
)  # fmt: skip

plans = _table(
    "plans", "reference", _key("key"), _text("name"),
    _text("draft"),  # JSON of the terms; '' where the latest version is the draft
)  # fmt: skip

plan_versions = _table(
    "plan_versions", "reference", _key("plan"), _key("version", sa.Integer), _instant("effective_at"),
    _text("terms"), ForeignKeyConstraint(["plan"], ["plans.key"]),
)  # fmt: skip

api_keys = _table(
    "api_keys", "reference", _key("key_id"), Column("secret_hash", Digest, nullable=False), _text("scopes"),
    _text("tenant_key", ""), _text("name", ""), _instant("created_at"), _instant("revoked_at", nullable=True),
)  # fmt: skip

# --- events -----------------------------------------------------------------------------------------------------------

events = _table(
    "events", "distributed", _key("tenant_id", Id), _key("identity", Name16), _text("source"), _text("id"),
    _text("type"), _text("subject"), _text("resource"),
    _instant("time"),  # when it happened; when it was received where the event had no time
    Column("time_sent", sa.Boolean, nullable=False), _text("data"), _text("attributes"), _instant("received_at"),
    Column("digest", Digest, nullable=False), Column("catalog_version", sa.BigInteger, nullable=False),
    _instant("cancelled_at", nullable=True), _text("cancel_reason", ""),
    # An index is paid for with every event: this one serves the windows of meters and, by its end, the lists.
    Index(None, "tenant_id", "type", "time", "identity"),
)  # fmt: skip

quarantine = _table(
    "quarantine", "distributed",
    _key("tenant_id", Id),  # nil where no tenant claims the subject
    _key("quarantine_id", Id),  # made of subject, source, id and content: a repeat adds nothing
    Column("identity", Name16, nullable=False), _text("reason"), _text("detail"), _text("source"), _text("id"),
    _text("type"), _text("subject"), _text("resource"), _instant("time"),
    Column("time_sent", sa.Boolean, nullable=False), _text("data"), _text("attributes"), _instant("received_at"),
    Column("digest", Digest, nullable=False),
    _text("status"),  # open, or how it was closed: released, duplicate, conflict, superseded
    Index(None, "tenant_id", "identity"),
    # Open copies in order of arrival, by each of what they are listed or released by.
    *(
        Index(None, *names, "received_at", "quarantine_id", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN)
        for names in (
            ("reason",), ("tenant_id", "reason"), ("reason", "type"), ("reason", "subject"), ("reason", "resource"),
        )
    ),
)  # fmt: skip

buckets = _table(
    "buckets", "distributed", _key("tenant_id", Id), _key("meter_id", Id), _key("start", Instant),
    _key("cell", Name16),  # names (resource, dimensions)
    _text("resource"), _text("dimensions"), Column("count", sa.BigInteger, nullable=False),
    Column("identity_sum", sa.BigInteger, nullable=False), _amount("sum", nullable=True),
    _amount("min", nullable=True), _amount("max", nullable=True),
    _amount("last_value", nullable=True), _instant("last_at", nullable=True),
    Column("last_source", ByteText, nullable=True), Column("last_id", ByteText, nullable=True),
)  # fmt: skip

# --- subscriptions and billing ----------------------------------------------------------------------------------------

subscription_keys = _table(
    "subscription_keys", "reference", _key("key"), Column("tenant_id", Id, nullable=False),
    Column("subscription_id", Id, nullable=False),
)  # fmt: skip

subscriptions = _table(
    "subscriptions", "distributed", _key("tenant_id", Id), _key("subscription_id", Id), _text("key"),
    _text("plan"), _instant("start"), _instant("end", nullable=True),
    Column("start_date", sa.Date, nullable=False),  # the local date of the start: the anchor of anniversaries
    Column("pinned_version", sa.Integer, nullable=True), _text("overrides"),
    Column("trial_days", sa.Integer, nullable=True),  # NULL where the plan's number of days holds
    _instant("trial_end", nullable=True), Column("trial_end_date", sa.Date, nullable=True),
    _text("references", ""),  # JSON of what the buyer wants to read on its documents
    _text("late_policy", "bill"),  # what becomes of late use of billed periods: bill or report_only
    Column("late_horizon_days", sa.Integer, nullable=True),  # NULL: without limit
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]), Index(None, "tenant_id", "plan"),
)  # fmt: skip

subscription_changes = _table(  # the plans that a subscription moves to, each from its instant to the next one's
    "subscription_changes", "distributed", _key("tenant_id", Id), _key("subscription_id", Id), _key("at", Instant),
    Column("local_date", sa.Date, nullable=False), _text("plan"),
    Column("anchor_date", sa.Date, nullable=False),  # what anniversaries are counted from
    Column("pinned_version", sa.Integer, nullable=True), _text("overrides"),
    ForeignKeyConstraint(
        ["tenant_id", "subscription_id"], ["subscriptions.tenant_id", "subscriptions.subscription_id"]
    ),
    Index(None, "plan"),
)  # fmt: skip

billing_instants = _table(
    "billing_instants", "distributed", _key("tenant_id", Id), _key("subscription_id", Id), _key("at", Instant),
    Column("local_date", sa.Date, nullable=False),
    _text("status"),  # open, billed (an invoice is issued) or passed (nothing was due there)
    ForeignKeyConstraint(
        ["tenant_id", "subscription_id"], ["subscriptions.tenant_id", "subscriptions.subscription_id"]
    ),
)  # fmt: skip

invoices = _table(
    "invoices", "distributed",
    _key("tenant_id", Id),  # the buyer
    _key("invoice_id", Id), _text("type"), _text("status"), Column("seller_id", Id, nullable=False),
    _text("seller"), _text("buyer"),  # JSON of the parties as of issue
    _text("currency"), _text("language"), _text("time_zone"), _instant("period_start"), _instant("period_end"),
    _amount("net"), _text("tax"), _amount("total"), _text("series", ""), _text("number", ""),
    Column("sequence", sa.BigInteger, nullable=True), _instant("issued_at", nullable=True),
    Column("due_date", sa.Date, nullable=True), _text("hash", ""), _text("previous_hash", ""),
    Column("subscription_id", Id, nullable=False),
    _instant("billing_at"), _text("slot"),  # '' for the instant's invoice; for a credit note, what it credits
    Column("credits_id", Id, nullable=True),  # the invoice that a credit note lowers
    _text("references"), _instant("created_at"),
    _text("allowances", ""),  # JSON of the credit that lowers the net; '' where there is none
    _text("remarks", ""),  # JSON of what a person wrote on it; '' where nobody did
    _text("purchase_order", ""),
    _text("details", ""),  # JSON of what few documents have: other references, delivery, notes, VAT in another currency
    Column("ordinal", sa.BigInteger, nullable=True),  # later ones of a buyer have higher ones, in whatever series
    UniqueConstraint("tenant_id", "subscription_id", "billing_at", "type", "slot"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]), Index(None, "tenant_id", "credits_id"),
    Index(None, "seller_id", "series", "sequence"), Index(None, "issued_at", "sequence", "invoice_id"),
    Index(None, "seller_id", "issued_at", "sequence", "invoice_id"),
    Index(None, "tenant_id", "issued_at", "sequence", "invoice_id"), Index(None, "tenant_id", "purchase_order"),
    Index(None, "tenant_id", "ordinal"),
)  # fmt: skip

invoice_lines = _table(
    "invoice_lines", "distributed", _key("tenant_id", Id), _key("invoice_id", Id),
    _key("position", sa.Integer), _text("kind"), Column("subscription_id", Id, nullable=False),
    _text("subscription"), _text("charge"), _text("description"), _instant("period_start"), _instant("period_end"),
    _amount("quantity"), _text("unit"), _amount("amount"), _text("tax_category"), _amount("tax_rate"),
    _text("components"), _text("allowances"), Column("reopens_usage", sa.Boolean, nullable=False), _text("trace"),
    Column("credits_id", Id, nullable=True),  # the invoice whose line of this charge and stretch a credit line lowers
    Column("digest", Digest, nullable=False),
    _text("details", ""),  # JSON of what few lines have: exemption, supply, references
    _text("mark", ""),  # JSON: what it froze, in short; '' where the line was not rated from a plan
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
    Index(None, "tenant_id", "subscription_id", "charge"),
    Index(None, "period_end", "tenant_id", "invoice_id", "position"),
)  # fmt: skip

invoice_files = _table(  # what was rendered after issue, kept once as it was handed out
    "invoice_files", "distributed", _key("tenant_id", Id), _key("invoice_id", Id), _key("format"),
    Column("content", sa.LargeBinary, nullable=False), Column("digest", Digest, nullable=False),
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
)  # fmt: skip

invoice_statuses = _table(  # what platforms said of a document, told here one after the other; nothing of it changes
    "invoice_statuses", "distributed", _key("tenant_id", Id), _key("invoice_id", Id), _key("sequence", sa.Integer),
    _text("code"), _instant("at"), _instant("received_at"), _text("platform"), _text("reason"), _text("reason_code"),
    _text("message"),  # the platform's own name for it
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
)  # fmt: skip

invoice_handovers = _table(  # which documents were put as files into which directory
    "invoice_handovers", "distributed", _key("tenant_id", Id), _key("invoice_id", Id), _key("target"),
    _instant("handed_at"),
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
)  # fmt: skip

draft_edits = _table(  # what people did to a draft; its document is deleted and written again as it is computed anew
    "draft_edits", "distributed", _key("tenant_id", Id), _key("invoice_id", Id), _text("edits"),  # JSON
    _text("approved", ""),  # the SHA-256 of the content that was approved; '' where none was
    _instant("approved_at", nullable=True),
    _instant("made_at", nullable=True),  # when it was first made, where its grace is counted from that
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)  # fmt: skip

number_stems = _table(  # how far each stem of a seller's numbers has counted: the only place where a number comes from
    "number_stems", "distributed", _key("tenant_id", Id), _key("stem"),
    Column("sequence", sa.BigInteger, nullable=False),
)  # fmt: skip

number_series = _table(  # one row a seller and series: the end of its chain
    "number_series", "distributed", _key("tenant_id", Id), _key("series"),
    Column("year", sa.Integer, nullable=False), Column("sequence", sa.BigInteger, nullable=False),
    Column("total", sa.BigInteger, nullable=False), _text("last_hash"), _instant("last_issued_at", nullable=True),
)  # fmt: skip

# --- credit -----------------------------------------------------------------------------------------------------------

credit_accounts = _table(  # one row a tenant that was ever granted credit, billed or paid: whoever reads or moves its
    # credit or its payments locks it first
    "credit_accounts", "distributed", _key("tenant_id", Id),
    Column("entries", sa.BigInteger, nullable=False),  # how many entries its ledger of credit has
    Column("payment_entries", sa.BigInteger, nullable=False, server_default="0"),  # and its ledger of payments
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)  # fmt: skip

credit_grants = _table(
    "credit_grants", "distributed", _key("tenant_id", Id), _key("grant_id", Id),
    _text("kind"),  # promotional, prepaid or units
    _text("currency"), _text("meter"), _text("charge"), _amount("amount"),
    _amount("left"),  # the amount less every entry of the ledger; the audit holds the two against each other
    Column("open", sa.Boolean, nullable=False),  # there is something left and it is not voided
    Column("priority", sa.Integer, nullable=False), _instant("effective_at", nullable=True),
    _instant("expires_at", nullable=True), _text("description"), _instant("created_at"),
    _instant("voided_at", nullable=True), _text("void_reason", ""),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]), Index(None, "tenant_id", "open", "kind"),
)  # fmt: skip

credit_entries = _table(  # the ledger: rows are added and never change
    "credit_entries", "distributed", _key("tenant_id", Id), _key("sequence", sa.BigInteger),
    Column("grant_id", Id, nullable=False), _text("kind"),  # use, return or void
    _amount("amount"), Column("document_id", Id, nullable=True),  # the issued document that it came with
    Column("invoice_id", Id, nullable=True),  # the invoice that it lowered or paid
    _text("line", ""), _instant("created_at"),
    ForeignKeyConstraint(["tenant_id", "grant_id"], ["credit_grants.tenant_id", "credit_grants.grant_id"]),
    ForeignKeyConstraint(["tenant_id", "document_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
    Index(None, "tenant_id", "grant_id", "sequence"), Index(None, "tenant_id", "invoice_id"),
    Index(None, "tenant_id", "document_id"), Index(None, "created_at", "tenant_id", "sequence"),
)  # fmt: skip

charts_of_accounts = _table(  # where amounts stand in the books of sellers; one row
    "charts_of_accounts", "reference", _key("name"), _text("definition"),  # JSON in the shape of the HTTP contract
)  # fmt: skip

coupons = _table("coupons", "reference", _key("key"), _text("terms"))  # JSON

applied_coupons = _table(
    "applied_coupons", "distributed", _key("tenant_id", Id), _key("application_id", Id),
    Column("subscription_id", Id, nullable=False),  # nil where it is for every subscription of the tenant
    _text("coupon"), _text("terms"),  # JSON of the coupon as it was
    _instant("created_at"), _instant("ended_at", nullable=True),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]), Index(None, "tenant_id", "subscription_id"),
)  # fmt: skip

coupon_uses = _table(  # the invoices that an applied coupon has lowered
    "coupon_uses", "distributed", _key("tenant_id", Id), _key("application_id", Id), _key("invoice_id", Id),
    _instant("created_at"),
    ForeignKeyConstraint(
        ["tenant_id", "application_id"], ["applied_coupons.tenant_id", "applied_coupons.application_id"]
    ),
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
)  # fmt: skip

# --- payments ---------------------------------------------------------------------------------------------------------

payments = _table(
    "payments", "distributed",
    _key("tenant_id", Id),  # the payer
    _key("payment_id", Id), Column("seller_id", Id, nullable=False), _amount("amount"),
    _amount("left"),  # the amount less every entry of the ledger; the audit holds the two against each other
    Column("open", sa.Boolean, nullable=False),  # something is left
    _text("currency"), Column("paid_on", sa.Date, nullable=False), _text("method"), _text("reference"),
    _text("external_reference"), _text("note"), _text("source"),  # api or bank
    Column("digest", Digest, nullable=False),  # of what was asked: a repeat is told from another request
    _instant("created_at"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]), Index(None, "tenant_id", "open"),
    Index(None, "tenant_id", "external_reference"), Index(None, "created_at", "payment_id"),
    Index(None, "seller_id", "currency", "paid_on", "tenant_id", "payment_id"),
)  # fmt: skip

payment_entries = _table(  # the ledger: rows are added and never change
    "payment_entries", "distributed", _key("tenant_id", Id), _key("sequence", sa.BigInteger),
    Column("payment_id", Id, nullable=False),
    _text("kind"),  # allocation, release, adjustment, reversal or refund
    _amount("amount"), Column("booked_on", sa.Date, nullable=False),
    Column("invoice_id", Id, nullable=True),  # the invoice that it pays
    Column("document_id", Id, nullable=True),  # the credit note that made it
    Column("cause_id", Id, nullable=True),  # the reversal or refund that it belongs to
    _text("tax"),  # JSON: its split by VAT rate
    _text("reason"), _text("note"), _instant("created_at"),
    ForeignKeyConstraint(["tenant_id", "payment_id"], ["payments.tenant_id", "payments.payment_id"]),
    ForeignKeyConstraint(["tenant_id", "invoice_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
    ForeignKeyConstraint(["tenant_id", "document_id"], ["invoices.tenant_id", "invoices.invoice_id"]),
    Index(None, "tenant_id", "payment_id", "sequence"), Index(None, "tenant_id", "invoice_id"),
    Index(None, "tenant_id", "document_id"), Index(None, "booked_on", "tenant_id", "sequence"),
)  # fmt: skip

bank_statements = _table(  # each file once
    "bank_statements", "distributed",
    _key("tenant_id", Id),  # the seller whose bank it is
    _key("statement_id", Id),  # made of the content
    _text("format"), _text("account"), _text("names"),  # JSON: what the bank calls the statements in it
    Column("entries", sa.Integer, nullable=False), Column("pending", sa.Integer, nullable=False),
    _instant("created_at"), ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)  # fmt: skip

bank_entries = _table(  # each movement once, whichever files tell of it
    "bank_entries", "distributed", _key("tenant_id", Id),
    _key("entry_id", Id),  # made of what the bank calls it, or of all that it says
    Column("statement_id", Id, nullable=False),  # the first that told of it
    _text("account"), Column("booked_on", sa.Date, nullable=False), Column("value_on", sa.Date, nullable=True),
    _amount("amount"), _text("currency"), _text("direction"), _text("entry_reference"),
    _text("transaction_reference"), _text("end_to_end"), _text("name"), _text("counterparty_account"),
    _text("references"), _text("text"), Column("is_returned", sa.Boolean, nullable=False), _text("return_reason"),
    _text("status"),  # unmatched, matched or ignored
    _text("matched_by", ""), Column("payer_id", Id, nullable=True), Column("payment_id", Id, nullable=True),
    Column("cause_id", Id, nullable=True),  # the reversal that it made
    _text("reason", ""), _instant("created_at"), _instant("settled_at", nullable=True),
    ForeignKeyConstraint(["tenant_id", "statement_id"], ["bank_statements.tenant_id", "bank_statements.statement_id"]),
    Index(None, "tenant_id", "status", "booked_on", "entry_id"), Index(None, "tenant_id", "end_to_end"),
    Index(None, "tenant_id", "payment_id"),
)  # fmt: skip

# --- alerts -----------------------------------------------------------------------------------------------------------

alerts = _table(
    "alerts", "reference", _key("key"), Column("alert_id", Id, nullable=False), Column("tenant_id", Id, nullable=True),
    _text("plan", ""), Column("enabled", sa.Boolean, nullable=False),
    _text("definition"),  # JSON: the rest of it in the shape of the HTTP contract
)  # fmt: skip

alert_marks = _table(  # tenants with alerts whose use has changed since they were last looked at
    "alert_marks", "distributed", _key("tenant_id", Id), Column("mark_id", Id, nullable=False),
    _instant("marked_at"),  # since when it waits
)  # fmt: skip

alert_events = _table(  # each crossing once
    "alert_events", "distributed", _key("tenant_id", Id), _key("alert_id", Id), _key("subscription"),
    _key("threshold"), _key("round", Instant),  # the period in which it is noticed once
    Column("event_id", Id, nullable=False), _text("alert"), _text("measure"), _text("meter"), _text("charge"),
    _text("percent_of"), _amount("figure"), _amount("base", nullable=True), _text("unit"), _instant("period_start"),
    _instant("period_end"), _instant("noticed_at"), _instant("receded_at", nullable=True),
    Index(None, "event_id"),
)  # fmt: skip

alert_watch = _table(  # who looks at the alerts, and how far it is; one row
    "alert_watch", "local", _key("name"), _text("leased_by"), _instant("leased_until"), _instant("swept_at"),
)  # fmt: skip

# --- messages to others -----------------------------------------------------------------------------------------------

webhook_endpoints = _table(
    "webhook_endpoints", "reference", _key("key"), Column("endpoint_id", Id, nullable=False), _text("url"),
    _text("events"),  # JSON list of the types, or patterns of types, that it hears
    Column("enabled", sa.Boolean, nullable=False), _text("description", ""),
    Column("tenant_id", Id, nullable=True),  # NULL: it hears what concerns any tenant
    _text("secret"),  # as it was given out: what signs cannot be kept as a digest
    _text("previous_secret", ""), _instant("previous_until", nullable=True), _instant("created_at"),
    _instant("disabled_at", nullable=True), _text("disabled_reason", ""), _instant("failing_since", nullable=True),
)  # fmt: skip

outbox = _table(  # what is announced, written in the transaction that makes it true
    "outbox", "distributed",
    _key("tenant_id", Id),  # the tenant that it concerns; nil where it concerns none
    _key("message_id", Id), Column("seller_id", Id, nullable=True), _text("type"),
    _text("payload"),  # JSON text, sent as it is at every try
    _instant("created_at"), Column("document_id", Id, nullable=True),  # what is sent by e-mail
    Index(None, "created_at"), Index(None, "tenant_id", "document_id"),
)  # fmt: skip

outbox_deliveries = _table(  # one row a message and receiver
    "outbox_deliveries", "distributed", _key("tenant_id", Id), _key("delivery_id", Id),
    Column("message_id", Id, nullable=False), _text("channel"),  # webhook or email
    Column("endpoint_id", Id, nullable=False),  # nil for an e-mail
    _text("recipient", ""), _text("status"),  # pending, delivered or failed
    Column("attempts", sa.Integer, nullable=False),  # since it was last asked for
    _instant("due_at"),  # when a pending one is tried next; while one is being tried, when its lease ends
    _instant("since_at"),  # when it was last asked for
    _text("leased_by", ""), _text("log", "[]"),  # JSON of the last tries
    _instant("created_at"), _instant("ended_at", nullable=True),
    UniqueConstraint("tenant_id", "message_id", "endpoint_id", "recipient"),
    ForeignKeyConstraint(["tenant_id", "message_id"], ["outbox.tenant_id", "outbox.message_id"]),
    Index(None, "due_at", sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING),
    Index(None, "endpoint_id", "delivery_id"),
)  # fmt: skip

# --- work -------------------------------------------------------------------------------------------------------------

jobs = _table(
    "jobs", "local", _key("job_id", Id), _text("kind"), _text("payload"), _text("progress"),
    _text("status"),  # waiting, running, done or failed
    _text("leased_by", ""), _instant("leased_until", nullable=True), _instant("due_at"),
    Column("attempts", sa.Integer, nullable=False), _text("problem", ""), _instant("created_at"),
    Index(None, "status", "due_at"),
)  # fmt: skip

billing_runs = _table(
    "billing_runs", "local", _key("run_id", Id), _instant("through"), Column("issue", sa.Boolean, nullable=False),
    Column("dry_run", sa.Boolean, nullable=False), _text("filters"), _text("status"),
    Column("periods_due", sa.Integer, nullable=False), Column("closed", sa.Integer, nullable=False),
    Column("failed", sa.Integer, nullable=False), _text("failures"), _text("unpriced"), _text("unbilled", "[]"),
    _text("withheld", "[]"), _instant("created_at"),
)  # fmt: skip

simulations = _table(  # what a plan would have brought: asked for once, kept for a while, billed by nobody
    "simulations", "local", _key("simulation_id", Id), _text("request"), _text("tenant_key", ""), _text("status"),
    Column("due", sa.BigInteger, nullable=False), Column("done", sa.BigInteger, nullable=False),
    _text("totals"), _text("last", ""),  # the last tenant that is done
    _instant("created_at"), Index(None, "created_at"),
)  # fmt: skip

simulated_tenants = _table(
    "simulated_tenants", "local", _key("simulation_id", Id), _key("tenant"), _amount("old"), _amount("new"),
    _text("charges"),
)  # fmt: skip

audits = _table(  # what each audit found, in figures; what exactly it found is in its own report
    "audits", "local", _key("audit_id", Id), _instant("started_at"), _instant("finished_at"),
    Column("events", sa.BigInteger, nullable=False), Column("buckets", sa.BigInteger, nullable=False),
    Column("lines", sa.BigInteger, nullable=False), Column("documents", sa.BigInteger, nullable=False),
    Column("differences", sa.BigInteger, nullable=False), Column("unpriced", sa.BigInteger, nullable=False),
    Index(None, "finished_at"),
)  # fmt: skip
