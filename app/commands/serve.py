"""`quotepart serve` and `quotepart work`: the service, and its jobs apart from it."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import uvicorn

from app.commands.bounded_http import BoundedHttp
from app.commands.terminal import fail
from app.garbage import collect_less_often
from app.observability.exposition import METRICS_DIRECTORY
from app.observability.logs import logging_config
from app.settings import Settings
from app.storage.database import secrets_in
from app.storage.migrate import check_schema

commands = typer.Typer()


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="the port to listen on", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="how many processes answer", min=1)] = 1,
) -> None:
    """Serve the HTTP API, and run its jobs beside it (unless QUOTEPART_RUN_JOBS=no)."""
    settings = Settings.from_environment()
    check_schema(settings.database_url)
    _check_free(host, port)
    with _shared_metrics(workers):
        _run("app.main:create_served_app", settings, host=host, port=port, workers=workers)


@commands.command()
def work(
    metrics_port: Annotated[
        int, typer.Option(help="where /metrics, /healthz and /readyz answer", min=0, max=65535)
    ] = 9101,
    metrics_host: Annotated[str, typer.Option(help="the address for them")] = "127.0.0.1",
) -> None:
    """Run the jobs (billing runs, catching up with catalog changes) apart from `serve`; as many as you like."""
    settings = Settings.from_environment()
    check_schema(settings.database_url)
    _check_free(metrics_host, metrics_port)
    collect_less_often()
    _run("app.main:create_worker", settings, host=metrics_host, port=metrics_port, workers=1)


def _secrets(settings: Settings) -> tuple[str, ...]:
    """The texts that no log may show. Very short ones would black out half of it, and are none."""
    found = (settings.bootstrap_key, settings.api_key, settings.smtp_password, *secrets_in(settings.database_url))
    return tuple(text for text in found if len(text) >= 6)


def _check_free(host: str, port: int) -> None:
    """Ends the command where something else listens there, before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        fail(f"cannot listen on {host}:{port} ({error.strerror}): end the other program, or name another port")


def _run(application: str, settings: Settings, **rest: Any) -> None:
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    uvicorn.run(
        application, factory=True, timeout_graceful_shutdown=30, access_log=False, server_header=False, ws="none",
        http=BoundedHttp,
        log_config=logging_config(as_json=as_json, level=settings.log_level, secrets=_secrets(settings)), **rest,
    )  # fmt: skip


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """Each worker counts for itself; a scrape adds the counts up from one directory, which starts out empty."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="quotepart-metrics-") as directory:
        os.environ[METRICS_DIRECTORY] = directory
        yield
