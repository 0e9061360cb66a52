"""The shapes of bank statements and of what is owed, for the published OpenAPI document."""

from __future__ import annotations

from app.api.schemas import (
    BOOLEAN,
    COUNT,
    CURRENCY,
    DAY,
    DECIMAL,
    INSTANT,
    INVOICE_ID,
    KEY,
    Schema,
    nullable,
    one_of,
    page_of,
    ref,
    sent,
    shown,
    text,
)
from app.api.schemas_payments import PAYMENT_ID
from app.domain.bank import BANK_ENTRY_STATES, MATCHED_BY
from app.domain.receivables import BUCKETS
from app.wire.bank import MAX_INVOICES, MAX_REASON, STATEMENT_FORMATS
from app.wire.bank_csv import COLUMNS, DECIMALS, DELIMITERS, MAX_SKIPPED

BANK_ENTRY_ID: Schema = {"type": "string", "pattern": "^ben_[0-9a-v]{52}$"}
STATEMENT_ID: Schema = {"type": "string", "pattern": "^bst_[0-9a-v]{52}$"}
_TEXT: Schema = {"type": ["string", "null"]}
_NAMES: Schema = {"anyOf": [text(), {"type": "array", "items": text()}]}
CSV_MAPPING = sent(
    {},
    dict.fromkeys(COLUMNS, _NAMES) | {
        "delimiter": one_of(DELIMITERS), "decimal": one_of(DECIMALS), "date_format": text(40),
        "skip_lines": {"type": "integer", "minimum": 0, "maximum": MAX_SKIPPED},
    },
    description="Which column has what. `currency` and `account` may be the value itself. What is left out is found by "
    "the usual names of columns, and seen from the file where it can be.",
    examples=[{"date": "Date", "amount": "Montant", "text": "Libellé", "decimal": ",", "date_format": "%d/%m/%Y"}],
)  # fmt: skip
STATEMENT_SENT = sent(
    {"format": one_of(STATEMENT_FORMATS), "content": {"type": "string", "minLength": 1}},
    {"mapping": ref("BankCsvMapping")},
    examples=[{"format": "csv", "content": "date,amount,text\n2026-11-05,42.00,2026-000042\n"}],
)  # fmt: skip
_STATEMENT = {
    "id": STATEMENT_ID, "seller": KEY, "format": one_of(STATEMENT_FORMATS), "account": _TEXT,
    "statements": {"type": "array", "items": {"type": "string"}, "description": "What the bank calls them."},
    "entries": COUNT, "pending": COUNT | {"description": "Announced and not booked yet: left out."},
    "created_at": INSTANT,
}  # fmt: skip
STATEMENT = shown(_STATEMENT)
IMPORTED = shown(
    _STATEMENT | {
        "new": COUNT, "duplicates": COUNT, "matched": COUNT, "reversed": COUNT, "unmatched": COUNT, "ignored": COUNT,
    },
    description="`entries` = `new` + `duplicates` (told of before). The rest says what became now of the entries that "
    "were not settled before: payments, payments taken back, what waits for a person, and debits that return nothing.",
)  # fmt: skip
BANK_ENTRY = shown(
    {
        "id": BANK_ENTRY_ID, "seller": KEY, "statement": STATEMENT_ID, "account": _TEXT, "booked_on": DAY,
        "value_on": nullable(DAY), "amount": DECIMAL, "currency": CURRENCY, "direction": one_of(("credit", "debit")),
        "name": _TEXT, "counterparty_account": _TEXT, "references": {"type": "array", "items": {"type": "string"}},
        "text": _TEXT, "end_to_end_id": _TEXT, "bank_reference": _TEXT, "is_returned": BOOLEAN,
        "return_reason": _TEXT, "status": one_of(BANK_ENTRY_STATES), "matched_by": nullable(one_of(MATCHED_BY)),
        "tenant": nullable(KEY), "payment": nullable(PAYMENT_ID),
        "reversal": {"type": ["string", "null"], "pattern": "^prv_[0-9a-v]{52}$"}, "reason": _TEXT,
        "created_at": INSTANT, "settled_at": nullable(INSTANT),
    },
    description="`payment` is the payment that the entry is; of a debit, the one that it takes back by `reversal`.",
)  # fmt: skip
_NO = {"type": "null"}
ASSIGN_SENT: Schema = {
    "anyOf": [
        sent({"invoice": text()}, {"tenant": _NO, "payment": _NO, "invoices": _NO}),
        sent({"invoices": {"type": "array", "items": text(), "minItems": 1, "maxItems": MAX_INVOICES}},
             {"invoice": _NO, "tenant": _NO, "payment": _NO}),
        sent({"tenant": KEY}, {"invoice": _NO, "payment": _NO, "invoices": _NO}),
        sent({"payment": text()}, {"invoice": _NO, "tenant": _NO, "invoices": _NO}),
    ],
    "description": "A payment of these invoices, the one due first first; of what the tenant owes; or the payment that "
    "is recorded already, which a debit takes back.",
    "examples": [{"tenant": "acme"}],
}  # fmt: skip

# --- what is owed -----------------------------------------------------------------------------------------------------

_BUCKETS = shown(dict.fromkeys(BUCKETS, DECIMAL), description="What is due, by the days since its due date.")
_BALANCE = {
    "currency": CURRENCY, "due": DECIMAL, "overdue": DECIMAL, "buckets": _BUCKETS,
    "unallocated": DECIMAL | {"description": "Money on account."},
    "balance": DECIMAL | {"description": "due - unallocated; negative where the tenant has more on account."},
    "invoices": COUNT,
}  # fmt: skip
ACCOUNT = shown({
    "tenant": KEY, "name": {"type": "string"}, "as_of": DAY,
    "balances": {"type": "array", "items": shown(_BALANCE | {"credit_notes": DECIMAL, "prepaid": DECIMAL})},
    "invoices": {"type": "array", "items": shown({
        "id": INVOICE_ID, "number": {"type": "string"}, "seller": KEY, "issued_on": DAY, "due_date": nullable(DAY),
        "currency": CURRENCY, "total": DECIMAL, "paid": DECIMAL, "credited": DECIMAL, "due": DECIMAL,
        "overdue": BOOLEAN, "days_overdue": COUNT, "bucket": one_of(BUCKETS)})},
    "payments": {"type": "array", "items": shown({
        "id": PAYMENT_ID, "seller": KEY, "paid_on": DAY, "currency": CURRENCY, "amount": DECIMAL,
        "unallocated": DECIMAL, "reference": _TEXT})},
    "credit_notes": {"type": "array", "items": shown({
        "id": INVOICE_ID, "number": {"type": "string"}, "issued_on": DAY, "currency": CURRENCY, "total": DECIMAL})},
}, description="`invoices` are those of which something is due, `payments` those of which something is on account, "
   "`credit_notes` those that lower no invoice: what they say is owed to the tenant, beside the balance. `prepaid` is "
   "what is left of prepaid balance today.")  # fmt: skip
RECEIVABLES = shown({
    "as_of": DAY,
    "data": {"type": "array", "items": shown({"tenant": KEY, "name": {"type": "string"}} | _BALANCE)},
    "totals": {"type": "array", "items": shown(_BALANCE)}, "next_cursor": {"type": ["string", "null"]},
})  # fmt: skip

BANK_SCHEMAS: dict[str, Schema] = {
    "BankCsvMapping": CSV_MAPPING, "BankStatementSent": STATEMENT_SENT, "BankStatement": STATEMENT,
    "BankStatements": page_of(ref("BankStatement")), "BankStatementImported": IMPORTED, "BankEntry": BANK_ENTRY,
    "BankEntries": page_of(ref("BankEntry")), "BankEntryAssignment": ASSIGN_SENT,
    "BankEntryIgnored": sent({}, {"reason": text(MAX_REASON)}, examples=[{"reason": "interest"}]),
    "Account": ACCOUNT, "Receivables": RECEIVABLES,
}  # fmt: skip
