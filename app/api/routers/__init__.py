"""The routes of /v1, by noun."""

from app.api.routers import billing, catalog, credit, events, simulations, usage

ROUTERS = (catalog.router, events.router, usage.router, billing.router, credit.router, simulations.router)
