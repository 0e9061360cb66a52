"""The shapes of webhooks and e-mail as JSON Schema, for the published OpenAPI document."""

from __future__ import annotations

from app.api.schemas import (
    BOOLEAN,
    COUNT,
    INSTANT,
    INVOICE_ID,
    KEY,
    MAIL_ADDRESSES,
    OWN_KEY,
    Schema,
    nullable,
    one_of,
    page_of,
    partial,
    ref,
    sent,
    shown,
    text,
)
from app.domain.deliveries import STATUSES
from app.domain.webhooks import EVENT_TYPES, MAX_EVENTS, MAX_URL_LENGTH, TEST_TYPE, patterns
from app.wire.webhooks import MAX_DESCRIPTION_LENGTH, MAX_REPLAYED_IDS

DELIVERY_ID: Schema = {"type": "string", "pattern": "^dlv_[0-9a-v]{52}$"}
MESSAGE_ID: Schema = {"type": "string", "pattern": "^msg_[0-9a-v]{52}$"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_FACTS: dict[str, Schema] = {
    "created_at": INSTANT, "disabled_at": nullable(INSTANT), "disabled_reason": _TEXT_OR_NULL,
    "failing_since": nullable(INSTANT), "previous_secret_expires_at": nullable(INSTANT),
}  # fmt: skip
_SENT_BACK: dict[str, Schema] = {name: {"readOnly": True} for name in _FACTS}
_EVENTS: Schema = {
    "type": "array", "items": one_of(patterns()), "minItems": 1, "maxItems": MAX_EVENTS,
    "description": "The types that it hears, `invoice.*` for all of a noun, `*` (the default) for all.",
}  # fmt: skip
_URL: Schema = {
    "type": "string", "maxLength": MAX_URL_LENGTH, "pattern": r"^https?://[^\s/?#@\\]+[!-~]*$",
    "description": "https, and at an address that is public; the operator may allow more.",
}  # fmt: skip

ENDPOINT_SENT = sent(
    {"url": _URL},
    {"key": OWN_KEY, "events": _EVENTS, "enabled": BOOLEAN, "description": text(MAX_DESCRIPTION_LENGTH),
     "tenant": KEY} | _SENT_BACK,
    description="With `tenant` it hears what concerns that tenant, as buyer or seller, and nothing else.",
    examples=[{"url": "https://erp.example/hooks/quotepart", "events": ["invoice.*"], "description": "The ERP"}],
)  # fmt: skip
ENDPOINT = shown(
    {"key": KEY, "url": {"type": "string"}, "events": {"type": "array", "items": {"type": "string"}},
     "enabled": BOOLEAN, "description": _TEXT_OR_NULL, "tenant": nullable(KEY)} | _FACTS,
    {"secret": {"type": "string", "pattern": "^whsec_", "description": "What its messages are signed with. Told when "
                "it is made and when it is rotated, and at no other time."}},
)  # fmt: skip
_TRY = shown({
    "at": INSTANT, "status": {"type": ["integer", "null"]}, "error": _TEXT_OR_NULL, "seconds": {"type": "number"},
})  # fmt: skip
_TRIES: dict[str, Schema] = {
    "status": one_of(STATUSES), "attempts": COUNT, "next_attempt_at": nullable(INSTANT),
    "last_attempt_at": nullable(INSTANT), "last_status": {"type": ["integer", "null"]}, "last_error": _TEXT_OR_NULL,
    "created_at": INSTANT, "ended_at": nullable(INSTANT),
    "log": {"type": "array", "items": _TRY, "description": "The last tries, oldest first."},
}  # fmt: skip
_DELIVERY: dict[str, Schema] = {
    "id": DELIVERY_ID, "message": MESSAGE_ID, "type": one_of((*EVENT_TYPES, TEST_TYPE)), "tenant": nullable(KEY),
    **_TRIES,
}  # fmt: skip
_MAIL = shown(
    {"id": DELIVERY_ID, "invoice": INVOICE_ID, "number": {"type": "string"}, "recipient": {"type": "string"}, **_TRIES}
)
_PAYLOAD = shown(
    {"type": {"type": "string"}, "timestamp": INSTANT, "data": {"type": "object"}}, description="As it is posted."
)
WEBHOOK_SCHEMAS: dict[str, Schema] = {
    "WebhookEndpointSent": ENDPOINT_SENT, "WebhookEndpointPatch": partial(ENDPOINT_SENT),
    "WebhookEndpoint": ENDPOINT, "WebhookEndpoints": page_of(ref("WebhookEndpoint")),
    "WebhookReplaySent": sent(
        {}, {"since": INSTANT, "until": INSTANT, "failed_only": BOOLEAN,
             "ids": {"type": "array", "items": MESSAGE_ID, "minItems": 1, "maxItems": MAX_REPLAYED_IDS}},
        description="Messages announced from `since` to before `until`, of these `ids`, whose delivery failed: what is "
        "named must all be so. One of `since`, `ids` and `failed_only` is needed.",
        examples=[{"since": "2026-11-20T00:00:00Z", "failed_only": True}],
    ),
    "WebhookReplay": shown({"queued": COUNT}),
    "WebhookDelivery": shown({"endpoint": nullable(KEY)} | _DELIVERY, {"payload": _PAYLOAD}),
    "WebhookDeliveries": page_of(ref("WebhookDelivery")),
    "EmailSent": sent({}, {"to": MAIL_ADDRESSES | {"minItems": 1}}, examples=[{"to": ["invoices@acme.example"]}]),
    "EmailDelivery": _MAIL, "EmailDeliveries": page_of(ref("EmailDelivery")),
    "EmailsQueued": shown({"data": {"type": "array", "items": ref("EmailDelivery"), "minItems": 1}}),
}  # fmt: skip
