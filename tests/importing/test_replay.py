"""Files sent through the front door of a service that fails, stops, refuses and forgets to answer."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from app.domain.errors import InvalidInput, NotAllowed, NotAuthenticated, Unavailable
from app.importing.record import ImportReport
from app.importing.replay import ImportStopped, Progress, Retrying, connect, run_import
from tests.importing.fake_service import MAPPING, FakeService

CONFLICT = "an event with this source and id is there with other content; the first stays"


def refuse() -> NoReturn:
    raise httpx.ConnectError("refused")


class Import:
    """One file, its mapping and a service; `run` imports with pauses that take no time."""

    def __init__(self, folder: Path) -> None:
        self.service = FakeService()
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.path = folder / "usage.csv"
        self.mapping = folder / "mapping.yaml"
        self.state = folder / "usage.csv.import-state.json"
        self.report_path = folder / "usage.csv.not-accepted.csv"
        self.mapping.write_text(MAPPING)
        self.rows(*(f"{n},acme,1" for n in range(1, 26)))

    def rows(self, *rows: str) -> None:
        lines = [f"{row},2026-01-01T00:00:00Z" for row in rows]
        self.path.write_text("\n".join(["n,tenant,kwh,time", *lines]) + "\n")

    def run(self, **options: Any) -> ImportReport:
        options = {"batch_size": 10, **options}
        retrying = Retrying(attempts=4, sleep=self.pauses.append, draw=lambda: 1.0, tell=self.told.append)
        with options.pop("client", None) or self.service.client() as client:
            return run_import(self.path, self.mapping, client=client, key="secret", retrying=retrying, **options)

    def listed(self) -> list[list[str]]:
        """The report's lines; none where there is no report."""
        if not self.report_path.exists():
            return []
        with self.report_path.open(newline="") as file:
            return list(csv.reader(file))[1:]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    return Import(tmp_path)


def failing(times: int, answer: Callable[[], httpx.Response]) -> Callable[[int, Any], httpx.Response | None]:
    return lambda number, events: answer() if number <= times else None


def test_a_file_is_sent_in_batches_with_the_key(imported):
    """25 rows in batches of 10: 10 + 10 + 5 events in three requests."""
    progress: list[Progress] = []

    report = imported.run(on_progress=progress.append)

    assert report == ImportReport(rows=25, events=25, accepted=25)
    assert [len(json.loads(request.content)) for request in imported.service.requests] == [10, 10, 5]
    assert {request.headers["Authorization"] for request in imported.service.requests} == {"Bearer secret"}
    assert {request.headers["Content-Type"] for request in imported.service.requests} == {
        "application/cloudevents-batch+json"
    }
    assert {request.url for request in imported.service.requests} == {httpx.URL("http://service/v1/events")}
    assert [step.report.rows for step in progress] == [10, 20, 25]
    assert progress[-1].bytes_read == progress[-1].bytes_total == imported.path.stat().st_size


def test_every_row_is_accounted_for_and_what_was_not_accepted_is_listed(imported):
    """9 rows: 2 accepted, 1 repeated, 1 changed, 1 quarantined, 1 rejected, 2 unmapped, 1 that wants no event."""
    imported.rows(
        "1,acme,1", "2,acme,x", "3,bad,1", "4,unclaimed,1", "1,acme,1", "1,acme,2", "5,acme,", "6", "7,acme,7"
    )

    report = imported.run()

    assert report == ImportReport(
        rows=9, events=6, accepted=2, duplicates=1, conflicts=1, quarantined=1, rejected=1, unmapped=2, skipped=1
    )
    assert imported.listed() == [
        ["2", "", "unmapped", "unmapped", "data.kwh: 'kwh' is 'x', which is not a number"],
        ["3", "3", "rejected", "malformed", "The event is malformed.; not a subject"],
        ["4", "4", "quarantined", "unknown_tenant", "No tenant has this subject."],
        ["6", "1", "conflict", "conflict", CONFLICT],
        ["8", "", "unmapped", "unmapped", "line 9: 2 fields where the header has 4"],
    ]


def test_duplicates_are_listed_when_asked_for(imported):
    imported.run()
    report = imported.run(list_duplicates=True)

    assert report == ImportReport(rows=25, events=25, duplicates=25)
    assert [line[:3] for line in imported.listed()[:2]] == [["1", "1", "duplicate"], ["2", "2", "duplicate"]]


def test_importing_again_adds_nothing(imported):
    """The second run sends everything again, and everything is a duplicate."""
    imported.run()
    kept = dict(imported.service.kept)

    assert imported.run() == ImportReport(rows=25, events=25, duplicates=25)
    assert imported.service.kept == kept and imported.listed() == [] and not imported.state.exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again_with_the_same_ids(imported, status):
    """Two failures, pauses of 0.5 s and 1 s, then all 25 accepted; the third request is the first, byte by byte."""
    imported.service.before = failing(2, lambda: httpx.Response(status))

    report = imported.run()

    assert report.accepted == 25 and imported.pauses == [0.5, 1.0]
    first, second, third = (request.content for request in imported.service.requests[:3])
    assert first == second == third


def test_a_lost_connection_is_tried_again_and_each_try_is_told(imported):
    """The first batch is taken, then three connections are refused: 0.5, 1 and 2 s, told in whole seconds."""
    imported.service.before = lambda number, events: refuse() if 2 <= number <= 4 else None

    assert imported.run().accepted == 25
    assert imported.pauses == [0.5, 1.0, 2.0]
    assert imported.told == [
        f"http://service does not answer (refused); trying again in {seconds} s ({attempt} of 4)"
        for seconds, attempt in ((1, 2), (1, 3), (2, 4))
    ]


def test_a_service_that_was_never_reached_is_tried_twice_only(imported):
    """More likely a wrong port than a restart. Nothing is left behind: no state, no report."""
    imported.service.before = failing(9, refuse)

    with pytest.raises(Unavailable, match=r"Nothing answers at http://service \(refused\).*on this port\? See --url"):
        imported.run()

    assert len(imported.service.requests) == 2
    assert imported.told == ["http://service does not answer (refused); trying again in 1 s (2 of 2)"]
    assert not imported.state.exists() and not imported.report_path.exists()


def test_a_first_connection_that_comes_late_is_a_connection(imported):
    imported.service.before = failing(1, refuse)

    assert imported.run().accepted == 25


@pytest.mark.parametrize("failure", [httpx.Response(503), httpx.ReadTimeout("slow")])
def test_a_service_that_was_reached_once_is_waited_for(imported, failure: httpx.Response | Exception):
    """It answered 503, or took the request and said nothing; then two connections are refused, then all is well."""

    def fail(number: int, events: object) -> httpx.Response | None:
        if number > 1:
            return refuse() if number < 4 else None
        if isinstance(failure, Exception):
            raise failure
        return failure

    imported.service.before = fail

    assert imported.run().accepted == 25


def test_a_server_error_that_does_not_pass_is_not_tried_again(imported):
    """501: what answers there knows no POST, and never will."""
    imported.service.before = failing(9, lambda: httpx.Response(501, text="Unsupported method"))

    with pytest.raises(InvalidInput, match=r"refused a batch \(501\): Unsupported method"):
        imported.run()

    assert len(imported.service.requests) == 1


def test_an_answer_that_gets_lost_makes_duplicates_and_no_second_count(imported):
    """The first batch is counted and its answer lost: sent again, its ten events are duplicates. Still 25 in all."""

    def lose_first(number: int) -> None:
        if number == 1:
            raise httpx.ReadTimeout("no answer")

    imported.service.after = lose_first

    assert imported.run() == ImportReport(rows=25, events=25, accepted=15, duplicates=10)
    assert len(imported.service.kept) == 25


def test_retry_after_is_honoured_in_seconds_and_as_a_date(imported):
    """ "7" waits 7 s and the pause on top; a date in the past waits no longer than usual; nonsense is ignored."""
    answers = iter(["7", "Wed, 01 Jan 2020 00:00:00 GMT", "soon"])
    imported.service.before = failing(3, lambda: httpx.Response(503, headers={"Retry-After": next(answers)}))

    imported.run()

    assert imported.pauses == [7.5, 1.0, 2.0]


def test_pauses_double_up_to_a_bound_and_are_drawn_from_their_upper_half():
    """0.5, 1, 2, .. 30 s, and each between half of it and all of it; an absurd Retry-After is cut to ten minutes."""
    least, most = Retrying(draw=lambda: 0.0), Retrying(draw=lambda: 1.0)

    assert [most.pause_seconds(n, None) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [least.pause_seconds(n, None) for n in (1, 8)] == [0.25, 15]
    assert most.pause_seconds(1, 86_400) == 600.5


def test_a_service_that_stays_down_ends_the_import_and_the_next_one_goes_on(imported):
    """One batch is taken, then 4 attempts fail. The next run sends the rows from 11 on, and counts go on."""
    imported.service.before = lambda number, events: httpx.Response(503) if number > 1 else None
    with pytest.raises(Unavailable, match="took no batch in 4 attempts: it answered 503") as caught:
        imported.run()
    assert caught.value.facts["rows_acknowledged"] == 10 and len(imported.service.requests) == 5
    assert imported.told[-1] == "http://service answered 503; trying again in 2 s (4 of 4)"

    imported.service.before = lambda number, events: None
    report = imported.run()

    assert json.loads(imported.service.requests[5].content)[0]["id"] == "11"
    assert report == ImportReport(rows=25, events=25, accepted=25)


def test_an_import_that_is_stopped_says_how_far_it_is_and_goes_on_from_there(imported):
    """Stopped in the second batch of ten; the next run is stopped at once and still knows of the first ten rows."""

    def stop(number: int, events: object) -> None:
        if number > 1:
            raise KeyboardInterrupt

    imported.service.before = stop
    for _ in range(2):
        with pytest.raises(ImportStopped) as stopped:
            imported.run()
        assert stopped.value.rows_acknowledged == 10
    imported.service.before = lambda number, events: None

    assert imported.run() == ImportReport(rows=25, events=25, accepted=25)


def test_a_report_without_rows_is_there_only_if_it_was_named(imported, tmp_path):
    """The first import lists two rows; mended and sent again, nothing is left to list."""
    imported.rows("1,bad,1", "2,acme,x")
    assert imported.run().not_accepted == 2 and len(imported.listed()) == 2
    imported.rows("1,acme,1", "2,acme,1")

    assert imported.run().not_accepted == 0 and not imported.report_path.exists()

    named = tmp_path / "named.csv"
    imported.run(report_path=named)
    assert named.read_text() == "row,id,status,reason,detail\n"


class Killed(BaseException):
    """Stands for kill -9: nothing in the import catches it."""


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("counted", [True, False])
def test_an_import_killed_in_any_batch_ends_as_if_it_had_not_been(imported, at, counted):
    """Killed before or after the service counted the batch: in the end all is counted once and listed once. Of 25
    rows, 5 are unmapped and 4 unclaimed; 16 are kept."""
    imported.rows(*(f"{n},{'unclaimed' if n % 6 == 0 else 'acme'},{'x' if n % 5 == 0 else '1'}" for n in range(1, 26)))

    def kill(number: int, events: object = None) -> None:
        if number == at:
            raise Killed

    if counted:
        imported.service.after = kill
    else:
        imported.service.before = kill
    with pytest.raises(Killed):
        imported.run(batch_size=7)
    imported.service.after = lambda number: None
    imported.service.before = lambda number, events: None

    report = imported.run(batch_size=7)

    assert report.accepted + report.duplicates == len(imported.service.kept) == 16
    assert (report.rows, report.events, report.unmapped, report.quarantined) == (25, 20, 5, 4)
    assert [int(line[0]) for line in imported.listed()] == [5, 6, 10, 12, 15, 18, 20, 24, 25]
    assert not imported.state.exists()


def test_lines_written_after_the_last_state_are_cut_off_and_written_again(imported):
    """Killed between report and state: the report has lines the state knows nothing of. They are not listed twice."""
    imported.rows(*(f"{n},unclaimed,1" for n in range(1, 26)))
    imported.service.before = lambda number, events: httpx.Response(400) if number == 2 else None
    with pytest.raises(InvalidInput):
        imported.run()
    with imported.report_path.open("a") as file:
        file.write("11,11,quarantined,unknown_tenant,half a li")

    imported.run()

    assert [int(line[0]) for line in imported.listed()] == list(range(1, 26))


@pytest.mark.parametrize("change", ["file", "mapping", "service", "state", "report"])
def test_a_state_that_does_not_fit_is_not_trusted(imported, change):
    """Another file, mapping or service, a broken state or a missing report: from the first row; ids keep it safe."""
    imported.service.before = lambda number, events: httpx.Response(400) if number == 2 else None
    with pytest.raises(InvalidInput):
        imported.run()
    client = imported.service.client("http://elsewhere" if change == "service" else "http://service")
    match change:
        case "file":
            imported.path.write_text(imported.path.read_text() + "26,acme,1,2026-01-01T00:00:00Z\n")
        case "mapping":
            imported.mapping.write_text(MAPPING.replace("type: reading", "type: reading  # the same"))
        case "state":
            imported.state.write_text('{"rows_done": 10')
        case "report":
            imported.report_path.unlink()

    report = imported.run(client=client)

    assert (report.duplicates, report.rows) == (10, 26 if change == "file" else 25)
    assert report.accepted + report.duplicates == len(imported.service.kept)


@pytest.mark.parametrize(("status", "error"), [(401, NotAuthenticated), (403, NotAllowed), (400, InvalidInput)])
def test_a_refusal_is_not_tried_again(imported, status, error):
    imported.service.before = failing(9, lambda: httpx.Response(status, json={"detail": "Not with this key."}))

    with pytest.raises(error, match="Not with this key"):
        imported.run()

    assert len(imported.service.requests) == 1 and imported.pauses == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, json={"accepted": 9, "duplicates": 0, "conflicts": 0, "quarantined": 0, "rejected": 0}),
        httpx.Response(200, json=[1]),
    ],
)
def test_an_answer_that_does_not_account_for_every_event_acknowledges_nothing(imported, answer):
    imported.service.before = lambda number, events: answer

    with pytest.raises(Unavailable, match="does not account for the 10 events") as caught:
        imported.run()

    assert caught.value.facts["rows_acknowledged"] == 0 and not imported.state.exists()


def test_a_batch_too_large_for_the_service_is_sent_in_halves(imported):
    """A service that takes 4 events at most: 10 go as 5+5, then as 2+3; exceptions still name the right rows."""
    imported.rows(*(f"{n},{'unclaimed' if n in (9, 24) else 'acme'},1" for n in range(1, 26)))
    imported.service.before = lambda number, events: httpx.Response(413) if len(events) > 4 else None

    assert imported.run() == ImportReport(rows=25, events=25, accepted=23, quarantined=2)
    assert [(line[0], line[1]) for line in imported.listed()] == [("9", "9"), ("24", "24")]


def test_one_event_too_large_for_the_service_is_reported_as_rejected(imported):
    imported.service.before = lambda number, events: (
        httpx.Response(413) if any(event["id"] == "13" for event in events) else None
    )

    assert imported.run() == ImportReport(rows=25, events=25, accepted=24, rejected=1)
    assert [line[:4] for line in imported.listed()] == [["13", "13", "rejected", "too-large"]]


def test_the_events_of_one_row_are_never_in_two_batches(imported):
    """Two events a row, three a batch: each request holds one row, for a row is acknowledged whole or not at all."""
    imported.mapping.write_text(MAPPING.replace("id: n", "") + "events: [{id: [n, {text: a}]}, {id: [n, {text: b}]}]\n")
    imported.rows("1,acme,1", "2,acme,1", "3,acme,1")

    report = imported.run(batch_size=3)

    assert report == ImportReport(rows=3, events=6, accepted=6)
    assert [[event["id"] for event in json.loads(r.content)] for r in imported.service.requests] == [
        [f"{n}|a", f"{n}|b"] for n in (1, 2, 3)
    ]


def test_rows_without_events_are_progress_too(imported):
    """45 rows that want no event, 10 batches' worth at a time: no request, and all rows accounted for."""
    imported.rows(*(f"{n},acme," for n in range(45)))
    steps: list[Progress] = []

    report = imported.run(batch_size=2, on_progress=steps.append)

    assert report == ImportReport(rows=45, skipped=45)
    assert imported.service.requests == [] and [step.report.rows for step in steps] == [20, 40, 45]


def test_places_that_cannot_be_used_are_said_before_anything_is_sent(imported, tmp_path):
    with pytest.raises(InvalidInput, match="Name other places"):
        imported.run(state_path=tmp_path / "nowhere" / "state.json")
    imported.path.unlink()
    with pytest.raises(InvalidInput, match=r"usage\.csv cannot be opened: No such file"):
        imported.run()

    assert imported.service.requests == []


def test_what_is_no_address_is_said_so(imported):
    with pytest.raises(InvalidInput, match="No request can be made to"):
        imported.run(client=httpx.Client(base_url="service:8000"))
    for address, remedy in (
        ("http://[::1", "no address of a service"),
        ("127.0.0.1:8000", "write http:// before it"),
        ("localhost:8000", "write http:// before it"),
        ("http://127.0.0.1:8000/v1/", "leave /v1 out"),
    ):
        with pytest.raises(InvalidInput, match=remedy):
            connect(address)
    with connect("http://127.0.0.1:8000") as client:
        assert str(client.base_url) == "http://127.0.0.1:8000"
