"""Builds the web application: database, routers, error handlers, /metrics, and the worker that runs jobs beside it.

`create_app` is what `quotepart serve` runs; `create_worker` is what `quotepart work` runs: the jobs alone, with the
routes by which a process is watched.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from app import VERSION
from app.api import problems
from app.api.dependencies import MAX_INFLATING, Limits
from app.api.dialects import DIALECTS
from app.api.intake import open_intake
from app.api.requests import Requests
from app.api.routers import ROUTERS
from app.api.routers.events import post_events
from app.api.routing import shorten
from app.garbage import collect_less_often
from app.observability.exposition import exposition
from app.operations.authenticate import KnownCallers, register_bootstrap_key
from app.operations.refresh_gauges import Gauges
from app.outbound.destinations import Destinations
from app.outbound.mail import MailServer
from app.outbound.webhooks import Poster
from app.settings import Settings
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.migrate import check_revision, check_schema, place_of, revision_of
from app.workers.deliverer import Deliverer
from app.workers.runner import JOB_KINDS, Runner
from app.workers.watcher import Watcher

_log = logging.getLogger("quotepart")


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings | None = None, *, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """The application on the database that the settings name. Raises NotReady at start-up."""
    chosen = settings or Settings.from_environment()
    app = _application(chosen, clock=clock, run_jobs=chosen.run_jobs)
    for router in (*ROUTERS, *DIALECTS):
        app.include_router(router)
    shorten(app, "POST", "/v1/events", post_events)
    return app


def create_served_app() -> FastAPI:
    """The application as a process of its own runs it."""
    collect_less_often()
    return create_app()


def create_worker() -> FastAPI:
    """The jobs alone: /healthz, /readyz and /metrics are all that it serves."""
    return _application(Settings.from_environment(), clock=utc_now, run_jobs=True)


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.max_body_bytes, settings.max_events, timedelta(seconds=settings.future_seconds),
        settings.lease_seconds, settings.payment_terms_days, settings.max_waiting_bytes, settings.body_seconds,
    )  # fmt: skip


def _mail_server(settings: Settings) -> MailServer | None:
    if not settings.smtp_host:
        return None
    return MailServer(
        settings.smtp_host, settings.smtp_port, settings.smtp_tls,  # type: ignore[arg-type]
        settings.smtp_from, settings.smtp_user, settings.smtp_password,
    )  # fmt: skip


def _deliverer(
    settings: Settings, database: Database, destinations: Destinations, clock: Callable[[], datetime]
) -> Deliverer:
    # A name may take long to be resolved, and what came of a try has to be written down: both are outside of the time
    # that a receiver has.
    lease = timedelta(seconds=settings.webhook_seconds + settings.lease_seconds)
    return Deliverer(
        database, Poster(destinations, seconds=settings.webhook_seconds), _mail_server(settings), clock=clock,
        threads=settings.webhook_threads, lease=lease, keep=timedelta(days=settings.outbox_days),
    )  # fmt: skip


def _application(settings: Settings, *, clock: Callable[[], datetime], run_jobs: bool) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(check_schema, settings.database_url)
        database = Database.open(settings.database_url)
        cache = CatalogCache()
        runner = Runner(
            database, cache, clock=clock, future=timedelta(seconds=settings.future_seconds),
            lease_seconds=settings.lease_seconds, terms_days=settings.payment_terms_days,
        )  # fmt: skip
        watcher = Watcher(database, cache, clock=clock, lease_seconds=settings.lease_seconds, looks=run_jobs)
        deliverer = _deliverer(settings, database, app.state.destinations, clock)
        app.state.database, app.state.catalog, app.state.wake_workers = database, cache, runner.wake
        app.state.callers, app.state.inflating = KnownCallers(), asyncio.Semaphore(MAX_INFLATING)
        intake = app.state.intake = open_intake(database, cache, app.state.limits)
        app.state.gauges = Gauges(database, version=VERSION, job_kinds=JOB_KINDS)
        if settings.bootstrap_key:
            await run_in_threadpool(register_bootstrap_key, database, settings.bootstrap_key, clock())
        intake.start()
        if run_jobs:
            runner.start()
            deliverer.start()
        watcher.start()
        _log.info("started", extra={"version": VERSION, "database": place_of(settings.database_url), "jobs": run_jobs})
        yield
        await run_in_threadpool(intake.stop)
        await run_in_threadpool(runner.stop)
        await run_in_threadpool(watcher.stop)
        await run_in_threadpool(deliverer.stop)
        database.close()
        _log.info("stopped")

    app = FastAPI(
        title="Quotepart", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None,
        summary="Metered pay-per-use billing for shared resources", redirect_slashes=False,
    )  # fmt: skip
    app.state.clock = clock
    app.state.limits = _limits(settings)
    app.state.destinations = Destinations(settings.webhook_http, settings.networks())
    app.add_middleware(Requests)
    problems.install(app)
    _add_operational_routes(app)
    return app


def _add_operational_routes(app: FastAPI) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["operation"])
    async def readyz(request: Request) -> Response:
        """The database answers, at the right schema."""
        database: Database = request.app.state.database

        try:
            await run_in_threadpool(lambda: check_revision(revision_of(database)))
        except Exception as error:
            _log.warning("not ready", exc_info=error)
            return problems.generic_problem(request, 503, "not-ready", "The database does not answer as it should.")
        return Response(json.dumps({"status": "ready"}), media_type="application/json")

    @app.head("/metrics", include_in_schema=False)
    @app.get("/metrics", tags=["operation"])
    async def metrics(request: Request) -> Response:
        """Prometheus metrics."""
        gauges: Gauges = request.app.state.gauges
        await run_in_threadpool(gauges.refresh, now=request.app.state.clock())
        content, media_type = exposition()
        return Response(content, media_type=media_type)


def openapi_text() -> str:
    """The contract as generated from the code, in the form in which it is checked in."""
    document: dict[str, Any] = create_app(Settings()).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
