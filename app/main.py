"""Builds the web application: database, routers, error handlers, /metrics, and the worker that runs jobs beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api import problems
from app.api.dependencies import Limits
from app.api.routers import ROUTERS
from app.observability.exposition import exposition
from app.operations.authenticate import register_bootstrap_key
from app.operations.refresh_gauges import refresh_gauges
from app.settings import Settings
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.migrate import current_revision, head_revision, revision_of
from app.workers.runner import Runner

VERSION = "0.1.0"


class SchemaBehind(RuntimeError):
    """The database is not at the schema of this version."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def check_schema(url: str) -> None:
    """Raises SchemaBehind with what to do about it."""
    _check_revision(current_revision(url))


def _check_revision(found: str | None) -> None:
    wanted = head_revision()
    if found != wanted:
        state = f"at schema {found}" if found else "empty"
        raise SchemaBehind(f"The database is {state}, this version needs {wanted}: run `quotepart migrate` first.")


def create_app(
    settings: Settings | None = None, *, clock: Callable[[], datetime] = utc_now, run_jobs: bool = True
) -> FastAPI:
    """The application on the database that the settings name. Raises SchemaBehind at start-up."""
    chosen = settings or Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(check_schema, chosen.database_url)
        database = Database.open(chosen.database_url)
        cache = CatalogCache()
        runner = Runner(
            database, cache, clock=clock, future=timedelta(seconds=chosen.future_seconds),
            lease_seconds=chosen.lease_seconds, terms_days=chosen.payment_terms_days,
        )  # fmt: skip
        app.state.database, app.state.catalog, app.state.wake_workers = database, cache, runner.wake
        if chosen.bootstrap_key:
            await run_in_threadpool(register_bootstrap_key, database, chosen.bootstrap_key, clock())
        if run_jobs:
            runner.start()
        yield
        await run_in_threadpool(runner.stop)
        database.close()

    app = FastAPI(
        title="Quotepart", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None,
        summary="Metered pay-per-use billing for shared resources", redirect_slashes=False,
    )  # fmt: skip
    app.state.clock = clock
    app.state.limits = Limits(
        chosen.max_body_bytes, chosen.max_events, timedelta(seconds=chosen.future_seconds), chosen.lease_seconds,
        chosen.payment_terms_days,
    )  # fmt: skip
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    _add_operational_routes(app)
    return app


def _add_operational_routes(app: FastAPI) -> None:
    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"])
    async def readyz(request: Request) -> Response:
        """The database answers, at the right schema."""
        database: Database = request.app.state.database

        try:
            await run_in_threadpool(lambda: _check_revision(revision_of(database)))
        except Exception:
            return problems.generic_problem(request, 503, "not-ready", "The database does not answer as it should.")
        return Response(json.dumps({"status": "ready"}), media_type="application/json")

    @app.get("/metrics", tags=["operation"])
    async def metrics(request: Request) -> Response:
        """Prometheus metrics."""
        await run_in_threadpool(refresh_gauges, request.app.state.database, now=request.app.state.clock())
        content, media_type = exposition()
        return Response(content, media_type=media_type)


def openapi_text() -> str:
    """The contract as generated from the code, in the form in which it is checked in."""
    document: dict[str, Any] = create_app(Settings()).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
