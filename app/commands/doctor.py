"""`quotepart doctor`: is everything as it must be, and what to do where it is not."""

from __future__ import annotations

import os
import zoneinfo
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import Connection

from app.commands.terminal import AsJson, Quiet, now, out, show
from app.domain.errors import NotReady
from app.settings import InvalidSetting, Settings, unknown_variables
from app.storage import audit_store, health, job_store, quarantine_store, tenant_store
from app.storage.database import Database
from app.storage.migrate import check_schema, place_of

_CLOCKS_MAY_DIFFER = timedelta(seconds=5)
_AUDIT_EVERY = timedelta(days=7)
_LEAST_FREE_BYTES = 1024**3

State = Literal["good", "mind", "wrong"]
_COLOURS: dict[State, str] = {"good": "green", "mind": "yellow", "wrong": "red"}

commands = typer.Typer()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mind`: it works, but somebody should know; `wrong`: it does not, or loses data."""

    what: str
    state: State
    found: str
    do: str = ""


@commands.command()
def doctor(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Check settings, database, schema, durability, clock, disk and what waits; exit 1 where something is wrong."""
    findings = list(_findings())
    bad = any(finding.state == "wrong" for finding in findings)
    facts = [asdict(finding) for finding in findings]
    show(facts, as_json=as_json, otherwise=lambda: None if quiet and not bad else _show(findings))
    if bad:
        raise typer.Exit(1)


def _findings() -> Iterator[Finding]:
    """What can be found out; where there is no database to ask, no more than that."""
    try:
        settings = Settings.from_environment()
    except InvalidSetting as error:
        yield Finding("settings", "wrong", str(error), "correct it")
        return
    yield _settings(settings)
    yield _time_zones()
    try:
        check_schema(settings.database_url)
    except NotReady as error:
        yield Finding("database", "wrong", error.detail)
        return
    database = Database.open(settings.database_url)
    try:
        yield from database.read(lambda connection: list(_of_database(connection, settings)))
        yield from _disk(database)
    finally:
        database.close()


def _settings(settings: Settings) -> Finding:
    unknown = unknown_variables(os.environ)
    if unknown:
        return Finding(
            "settings",
            "wrong",
            f"there is no setting {', '.join(unknown)}",
            "`make docs` has the list (reference/settings)",
        )
    if settings.bootstrap_key:
        return Finding(
            "settings", "mind", "QUOTEPART_BOOTSTRAP_KEY is set",
            "make keys of their own for everybody (quotepart keys create), then unset it and revoke it",
        )  # fmt: skip
    return Finding("settings", "good", "all are known")


def _time_zones() -> Finding:
    return Finding("time zones", "good", f"{len(zoneinfo.available_timezones())} are known")


def _of_database(connection: Connection, settings: Settings) -> Iterator[Finding]:
    yield Finding(
        "database",
        "wrong" if health.is_old(connection) else "good",
        f"{health.version(connection)}, {place_of(settings.database_url)}",
    )
    drift = health.drift(connection)
    yield Finding(
        "schema", "wrong" if drift else "good", "; ".join(drift[:5]) or "as this version made it",
        "somebody changed the tables by hand: restore what is missing" if drift else "",
    )  # fmt: skip
    unsafe = health.unsafe_settings(connection)
    yield Finding(
        "durability", "wrong" if unsafe else "good",
        ", ".join(f"{name} = {value}" for name, value in unsafe.items()) or "acknowledged is on the disk",
        "set it to on: a loss of power would lose acknowledged events" if unsafe else "",
    )  # fmt: skip
    yield _clock(connection)
    yield _jobs(connection, settings)
    yield _operator(connection)
    yield _quarantine(connection)
    yield _audit(connection)


def _clock(connection: Connection) -> Finding:
    there, newest = health.clock(connection), health.newest_issue(connection)
    if there is not None and abs(there - now()) > _CLOCKS_MAY_DIFFER:
        return Finding("clock", "wrong", f"the database's differs by {there - now()}", "let both follow a time server")
    if newest is not None and newest > now():
        return Finding("clock", "wrong", f"a document was issued at {newest}, which is still to come", "set the clock")
    return Finding("clock", "good", f"{now():%Y-%m-%d %H:%M:%S} UTC")


def _jobs(connection: Connection, settings: Settings) -> Finding:
    backlog = job_store.backlog(connection)
    count = sum(number for number, _ in backlog.values())
    oldest = min((since for _, since in backlog.values()), default=None)
    if oldest is not None and now() - oldest > timedelta(seconds=10 * settings.lease_seconds):
        return Finding(
            "jobs", "mind", f"{count} are not done, the oldest since {oldest:%Y-%m-%d %H:%M} UTC",
            "does `quotepart serve` or `quotepart work` run? its log says what a job waits for",
        )  # fmt: skip
    return Finding("jobs", "good", f"{count} are not done")


def _operator(connection: Connection) -> Finding:
    operator = tenant_store.operator(connection)
    if operator is None:
        return Finding(
            "operator", "mind", "no tenant is the operator", "nobody can be billed: mark the seller's tenant"
        )
    if operator.legal is None or operator.legal.address is None:
        return Finding(
            "operator", "mind", f"{operator.key} has no legal address", "its invoices lack what the law wants"
        )
    return Finding("operator", "good", operator.key)


def _quarantine(connection: Connection) -> Finding:
    counts = quarantine_store.count_by_reason(connection)
    if counts:
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        return Finding("quarantine", "mind", found, "look at GET /v1/quarantine and mend the catalog")
    return Finding("quarantine", "good", "nothing is set aside")


def _audit(connection: Connection) -> Finding:
    last = audit_store.last(connection)
    if last is not None and last.differences:
        return Finding("audit", "wrong", f"the last one found {last.differences} differences", "quotepart audit")
    if last is None or now() - last.finished_at > _AUDIT_EVERY:
        found = "there was none" if last is None else f"the last one was at {last.finished_at:%Y-%m-%d}"
        return Finding("audit", "mind", found, "run `quotepart audit` every night")
    return Finding("audit", "good", f"clean at {last.finished_at:%Y-%m-%d %H:%M} UTC")


def _disk(database: Database) -> Iterator[Finding]:
    room = health.disk(database)
    if room is not None:
        short = room.free < max(_LEAST_FREE_BYTES, room.used)
        found = f"the database has {room.used / 1e9:.2f} GB, {room.free / 1e9:.1f} GB are free"
        yield Finding("disk", "mind" if short else "good", found, "make room, or move it" if short else "")


def _show(findings: list[Finding]) -> None:
    table = Table("", "state", "found", "what to do")
    for finding in findings:
        table.add_row(finding.what, Text(finding.state, _COLOURS[finding.state]), finding.found, finding.do)
    out.print(table)
