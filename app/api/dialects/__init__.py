"""The wire contracts of other meters' clients, each under its prefix, onto the same operations."""

from app.api.dialects import lago, openmeter

DIALECTS = (openmeter.router, lago.router)
