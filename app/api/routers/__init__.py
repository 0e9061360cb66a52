"""The routes of /v1, by noun."""

from app.api.routers import billing, events, usage

ROUTERS = (events.router, usage.router, billing.router)
