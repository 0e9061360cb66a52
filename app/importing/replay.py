"""How does a file of usage get into the service, all of it and once?

Through the front door: batches of events to `POST /v1/events`. A batch that may not have arrived is sent again with the
same ids, so a repeat is a duplicate and counts once. Of 3 177 rows in batches of 1 000, four requests are made; if the
process is killed after the second, the next run starts at row 2 001.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.domain.errors import BillingError, InvalidInput, NotAllowed, NotAuthenticated, Unavailable
from app.domain.events import parse_json
from app.importing.mapping import FileMapping, MappedEvent, UnmappableRow, map_row
from app.importing.mapping_file import load_mapping
from app.importing.record import ImportRecord, ImportReport, NotAccepted, Origin
from app.importing.rows import Row, UnreadableRow, UsageFile

BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
_OUTCOMES = ("accepted", "duplicates", "conflicts", "quarantined", "rejected")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout)
_PASSING = (408, 429, 500, 502, 503, 504)
_CONFLICT = "an event with this source and id is there with other content; the first stays"
_MAX_BATCH_BYTES = 4 * 1024 * 1024
_MAX_SILENT_BATCHES = 10
"""A batch also ends after this many times its size in rows, so that rows without events show up as progress."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: bytes of the file read so far and in all, and what became of the rows acknowledged."""

    bytes_read: int
    bytes_total: int
    report: ImportReport


class ImportStopped(KeyboardInterrupt):
    """Somebody stopped the import; what was acknowledged stands, and the next run goes on from there."""

    def __init__(self, rows_acknowledged: int) -> None:
        super().__init__()
        self.rows_acknowledged = rows_acknowledged


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often a request is tried, and how long to wait between: each pause up to twice the one before, drawn at
    random from its upper half so that clients that failed together do not return together.

    A service that was never reached is more likely at another address than starting: then `first_connections` attempts
    are all. `tell` gets a sentence before each pause.
    """

    attempts: int = 8
    first_connections: int = 2
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0
    longest_retry_after_seconds: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    tell: Callable[[str], None] = lambda sentence: None

    def pause_seconds(self, attempt: int, retry_after: float | None) -> float:
        """The wait after the `attempt`th failure (from 1); never shorter than what the service asked for."""
        ceiling = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** (attempt - 1))
        pause = ceiling * (0.5 + self.draw() / 2)
        if retry_after is None:
            return pause
        return min(retry_after, self.longest_retry_after_seconds) + pause


def connect(base_url: str) -> httpx.Client:
    """A client for a service, to be closed by the caller. Raises InvalidInput for what is no address."""
    try:
        address = urlsplit(base_url)
        if "://" not in base_url:
            raise ValueError("write http:// before it")
        if address.path.rstrip("/").endswith("/v1"):
            raise ValueError("leave /v1 out")
        # A proxy named in the environment has no business between this process and its neighbour.
        return httpx.Client(
            base_url=base_url, timeout=httpx.Timeout(120, connect=10), trust_env=address.hostname not in _LOOPBACK
        )  # fmt: skip
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInput(f"{base_url!r} is no address of a service: {error}.") from error


def run_import(
    path: Path,
    mapping_path: Path,
    *,
    client: httpx.Client,
    key: str,
    batch_size: int = 1_000,
    on_progress: Callable[[Progress], None] | None = None,
    state_path: Path | None = None,
    report_path: Path | None = None,
    list_duplicates: bool = False,
    retrying: Retrying | None = None,
) -> ImportReport:
    """What became of every row of the file, once the service has answered for all of them.

    The client knows the service's address (`connect`); the key needs the scope `ingest`. Without paths, state and
    report lie beside the file, as `<name>.import-state.json` and `<name>.not-accepted.csv`; such a report is there
    only where it lists something. An interrupted import goes on after its last acknowledged row; its counts go on as
    well. Raises InvalidInput (mapping, file, places), NotAuthenticated, NotAllowed, Unavailable when the service does
    not answer, and ImportStopped for a KeyboardInterrupt: what was acknowledged then stands.
    """
    if batch_size < 1:
        raise InvalidInput(f"A batch has at least one event, not {batch_size}.")
    mapping = load_mapping(mapping_path)
    origin = Origin.of(path, mapping=mapping.digest, service=str(client.base_url))
    record = ImportRecord(
        origin,
        state_path=state_path or path.with_name(f"{path.name}.import-state.json"),
        report_path=report_path or report_beside(path),
        # Who names a report reads it next, empty or not.
        keep_empty_report=report_path is not None,
    )
    file = UsageFile(path, mapping.layout, columns_needed=mapping.columns_needed)
    sender = _Sender(client, key, retrying or Retrying())
    with file, record:
        try:
            for batch in _batches(file, mapping, batch_size=batch_size, rows_done=record.rows_done):
                answers = sender.send(batch.events)
                record.acknowledge(batch.last_row, _counted(batch, answers), _faults(batch, answers, list_duplicates))
                if on_progress is not None:
                    on_progress(Progress(file.bytes_read, file.bytes_total, record.report))
        except BillingError as error:
            error.facts["rows_acknowledged"] = record.rows_done
            raise
        except KeyboardInterrupt as stop:
            raise ImportStopped(record.rows_done) from stop
        record.finish()
    return record.report


def report_beside(path: Path) -> Path:
    """Where the rows of a file that were not accepted are listed, if no other place is named."""
    return path.with_name(f"{path.name}.not-accepted.csv")


# --- rows into batches -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Batch:
    """Whole rows: the events of one row are never in two batches, so that a row is acknowledged or it is not."""

    rows: int = 0
    last_row: int = 0
    skipped: int = 0
    size: int = 0
    events: list[MappedEvent] = field(default_factory=list)
    row_of_event: list[int] = field(default_factory=list)
    unmapped: list[NotAccepted] = field(default_factory=list)

    def add(self, row: int, events: tuple[MappedEvent, ...]) -> None:
        self._count(row)
        self.skipped += not events
        self.size += _bytes(events)
        self.events.extend(events)
        self.row_of_event.extend(row for _ in events)

    def add_unmapped(self, row: int, reason: str) -> None:
        self._count(row)
        self.unmapped.append(NotAccepted(row, "", "unmapped", "unmapped", reason))

    def _count(self, row: int) -> None:
        self.rows += 1
        self.last_row = row


def _batches(file: UsageFile, mapping: FileMapping, *, batch_size: int, rows_done: int) -> Iterator[_Batch]:
    batch = _Batch()
    for row in file:
        if row.number <= rows_done:
            continue
        events, fault = _events_of(mapping, row)
        full = len(batch.events) + len(events) > batch_size or batch.size + _bytes(events) > _MAX_BATCH_BYTES
        if (batch.events and full) or batch.rows >= _MAX_SILENT_BATCHES * batch_size:
            yield batch
            batch = _Batch()
        if fault is None:
            batch.add(row.number, events)
        else:
            batch.add_unmapped(row.number, fault)
    if batch.rows:
        yield batch


def _events_of(mapping: FileMapping, row: Row | UnreadableRow) -> tuple[tuple[MappedEvent, ...], str | None]:
    if isinstance(row, UnreadableRow):
        return (), row.reason
    try:
        return map_row(mapping, row), None
    except UnmappableRow as error:
        return (), str(error)


def _bytes(events: tuple[MappedEvent, ...]) -> int:
    return sum(len(event.body) + 1 for event in events)


# --- batches into requests -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answers:
    """The service's word on a list of events: how many of each outcome, and the exceptions by position."""

    counts: ImportReport = field(default_factory=ImportReport)
    exceptions: tuple[tuple[int, dict[str, Any]], ...] = ()

    def followed_by(self, other: _Answers, *, offset: int) -> _Answers:
        moved = tuple((index + offset, item) for index, item in other.exceptions)
        return _Answers(self.counts + other.counts, self.exceptions + moved)


@dataclass(slots=True)
class _Sender:
    """Sends to one service; `reached` once a connection to it was made."""

    client: httpx.Client
    key: str
    retrying: Retrying
    reached: bool = False

    def send(self, events: list[MappedEvent]) -> _Answers:
        """The answer for every event. A request that is too large for the service is sent as two halves."""
        if not events:
            return _Answers()
        response = self._post(b"[" + b",".join(event.body for event in events) + b"]")
        if response.status_code == 200:
            return _read_answers(response, len(events))
        if response.status_code != 413:
            raise _refusal(response)
        if len(events) == 1:
            problem = {"type": "too-large", "detail": "the event is larger than the service takes"}
            rejected = {"status": "rejected", "problem": problem}
            return _Answers(ImportReport(events=1, rejected=1), ((0, rejected),))
        half = len(events) // 2
        return self.send(events[:half]).followed_by(self.send(events[half:]), offset=half)

    def _post(self, body: bytes) -> httpx.Response:
        """The first answer that is final. Raises Unavailable when there is none after the last attempt."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": BATCH_MEDIA_TYPE}
        attempts = self.retrying.attempts
        for attempt in range(1, attempts + 1):
            limit, retry_after = attempts, None
            try:
                response = self.client.post("/v1/events", content=body, headers=headers)
                self.reached = True
                if response.status_code not in _PASSING:
                    return response
                failure = f"answered {response.status_code}"
                retry_after = _retry_after_seconds(response)
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
                raise InvalidInput(f"No request can be made to {self.client.base_url}: {error}.") from error
            except httpx.TransportError as error:
                # It may or may not have arrived; sending it again is safe either way.
                failure = f"does not answer ({_reason(error)})"
                self.reached = self.reached or not isinstance(error, _UNCONNECTED)
                limit = attempts if self.reached else min(attempts, self.retrying.first_connections)
                if not self.reached and attempt >= limit:
                    raise Unavailable(
                        f"Nothing answers at {self.client.base_url} ({_reason(error)}): "
                        "does `quotepart serve` run, and on this port? See --url."
                    ) from error
            if attempt < limit:
                self._pause(attempt, limit, failure, retry_after)
        raise Unavailable(
            f"The service at {self.client.base_url} took no batch in {attempts} attempts: it {failure}. "
            "What it acknowledged stands; run the same import again to go on from there."
        )

    def _pause(self, attempt: int, limit: int, failure: str, retry_after: float | None) -> None:
        seconds = self.retrying.pause_seconds(attempt, retry_after)
        self.retrying.tell(
            f"{self.client.base_url} {failure}; trying again in {math.ceil(seconds)} s ({attempt + 1} of {limit})"
        )
        self.retrying.sleep(seconds)


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _retry_after_seconds(response: httpx.Response) -> float | None:
    """Seconds until the service wants to be asked again (RFC 9110: a number or a date); None where it does not say."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            return None
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None


def _refusal(response: httpx.Response) -> BillingError:
    detail = str(_json_object(response).get("detail") or response.text[:200] or "no reason given")
    match response.status_code:
        case 401:
            return NotAuthenticated(f"The service does not know the API key: {detail}")
        case 403:
            return NotAllowed(f"The API key may not send events: {detail}")
        case status:
            return InvalidInput(f"The service at {response.url} refused a batch ({status}): {detail}", status=status)


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        value = parse_json(response.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _read_answers(response: httpx.Response, sent: int) -> _Answers:
    """Raises Unavailable for an answer that does not account for every event: nothing is taken as acknowledged then."""
    body = _json_object(response)
    counts = [body.get(name) for name in _OUTCOMES]
    exceptions = body.get("exceptions")
    if (
        not all(type(count) is int for count in counts)
        or sum(counts) != sent  # type: ignore[arg-type]
        or not isinstance(exceptions, list)
        or not all(_is_exception(item, sent) for item in exceptions)
    ):
        raise Unavailable(
            f"What answers at {response.url} does not account for the {sent} events sent. Is it this service?"
        )
    outcomes = dict(zip(_OUTCOMES, counts, strict=True))
    report = ImportReport(events=sent, **outcomes)  # type: ignore[arg-type]
    return _Answers(report, tuple((item["index"], item) for item in exceptions))


def _is_exception(item: Any, sent: int) -> bool:
    return isinstance(item, dict) and type(item.get("index")) is int and 0 <= item["index"] < sent


# --- answers into the report -----------------------------------------------------------------------------------------


def _counted(batch: _Batch, answers: _Answers) -> ImportReport:
    return answers.counts + ImportReport(rows=batch.rows, unmapped=len(batch.unmapped), skipped=batch.skipped)


def _faults(batch: _Batch, answers: _Answers, list_duplicates: bool) -> list[NotAccepted]:
    """What was not accepted, in the order of the file."""
    refused = [
        _fault(batch.row_of_event[index], batch.events[index].id, item)
        for index, item in answers.exceptions
        if list_duplicates or item.get("status") != "duplicate"
    ]
    return sorted(batch.unmapped + refused, key=lambda fault: fault.row)


def _fault(row: int, event_id: str, item: dict[str, Any]) -> NotAccepted:
    problem = item.get("problem")
    problem = problem if isinstance(problem, dict) else {}
    status = str(item.get("status", ""))
    reason = str(item.get("reason") or str(problem.get("type", "")).rsplit("/", 1)[-1] or status)
    details = [str(item.get("detail") or problem.get("detail") or (_CONFLICT if status == "conflict" else ""))]
    for error in problem.get("errors") or ():
        if isinstance(error, dict) and error.get("detail") not in details:
            details.append(str(error.get("detail")))
    return NotAccepted(row, event_id, status, reason, "; ".join(filter(None, details)))
