"""The routes of /v1, by noun."""

from app.api.routers import (
    alerts,
    bank,
    billing,
    catalog,
    coupons,
    credit,
    credit_notes,
    drafts,
    events,
    exports,
    invoices,
    mail,
    payments,
    receivables,
    simulations,
    statuses,
    usage,
    webhooks,
)

ROUTERS = (
    catalog.router, events.router, usage.router, alerts.router, billing.router, invoices.router,
    statuses.router, drafts.router, credit_notes.router, credit.router, coupons.router, simulations.router,
    exports.router, webhooks.router, payments.router, bank.router, receivables.router,
    mail.router,
)  # fmt: skip
