"""What a service's answer means for a batch: settled, refused, or to be sent again."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from quotepart.client import Pace
from quotepart.posting import Answered, Refused, Unanswered, connect, post

COUNTS = {"accepted": 1, "duplicates": 1, "conflicts": 0, "quarantined": 0, "rejected": 0}
DUPLICATE = {"index": 1, "id": "b", "status": "duplicate"}
TWO = ['{"id":"a"}', '{"id":"b"}']


def answer_to(response: httpx.Response, events: list[str] = TWO) -> Any:
    with httpx.Client(base_url="http://service", transport=httpx.MockTransport(lambda request: response)) as client:
        return post(client, events)


def test_an_answer_that_accounts_for_every_event_settles_them():
    said = answer_to(httpx.Response(200, json=COUNTS | {"exceptions": [DUPLICATE]}))

    assert said == Answered(COUNTS, ((1, DUPLICATE),))


@pytest.mark.parametrize(
    "body",
    [
        {"accepted": 2}, COUNTS | {"accepted": 2, "exceptions": []}, COUNTS | {"accepted": True, "exceptions": []},
        COUNTS, COUNTS | {"exceptions": [{"index": 2}]}, COUNTS | {"exceptions": ["b"]}, [], "Welcome to the hotel",
    ],
)  # fmt: skip
def test_an_answer_that_does_not_account_for_every_event_settles_none(body):
    said = answer_to(httpx.Response(200, json=body))

    assert isinstance(said, Unanswered) and said.is_lasting


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_refused_for_what_it_is_is_not_to_be_sent_again(status):
    said = answer_to(httpx.Response(status, json={"detail": "No."}))

    assert said == Refused(status, {"detail": "No."})


def test_a_refusal_without_a_problem_says_what_it_has():
    said = [answer_to(httpx.Response(413, text=text)).problem for text in ("<p>Too much</p>", "")]

    assert [problem["detail"] for problem in said] == ["<p>Too much</p>", "Request Entity Too Large"]


@pytest.mark.parametrize(
    "status, lasting",
    [
        *((status, False) for status in (408, 425, 429, 500, 502, 503, 599)),
        *((status, True) for status in (301, 401, 403, 404, 405)),
    ],
)
def test_any_other_answer_leaves_the_events_waiting(status, lasting):
    said = answer_to(httpx.Response(status, text="<p>Sorry</p>"))

    assert isinstance(said, Unanswered) and said.is_lasting is lasting


def test_a_service_says_when_to_come_again_in_seconds_or_by_a_date():
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)

    said = [answer_to(httpx.Response(429, headers={"Retry-After": text})) for text in ("7", past, "soon", "")]

    assert [each.retry_after_seconds for each in said] == [7, 0, None, None]


def test_a_longer_body_goes_out_compressed():
    """Two short events as they are; a hundred of them, more than a thousand bytes, in less than that."""
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append((request.headers.get("Content-Encoding"), request.content))
        return httpx.Response(503)

    with httpx.Client(base_url="http://service", transport=httpx.MockTransport(answer)) as client:
        post(client, TWO)
        post(client, TWO * 50)

    (plain, short), (packed, long) = bodies
    assert (plain, json.loads(short)) == (None, [{"id": "a"}, {"id": "b"}])
    assert (packed, json.loads(gzip.decompress(long))) == ("gzip", [{"id": "a"}, {"id": "b"}] * 50)
    assert len(long) < 1024


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://host", "http://", "http://host/v1/"])
def test_what_is_no_address_of_a_service_is_told_at_once(address):
    with pytest.raises(ValueError, match="/v1"):
        connect(address, api_key="k", timeout_seconds=1)


@pytest.mark.parametrize("key", ["", "key\n", " key", "clé"])
def test_what_can_not_be_a_key_is_told_at_once(key):
    with pytest.raises(ValueError, match="API key"):
        connect("http://host", api_key=key, timeout_seconds=1)


def test_pauses_lie_under_a_ceiling_that_doubles():
    """From half a second: under 0.5, 1, 2, ... and never over 60, however often it failed."""
    pace = Pace()

    drawn = {n: [pace.pause_seconds(n, Unanswered("503")) for _ in range(200)] for n in (1, 2, 3, 9, 5000)}

    for attempt, ceiling in ((1, 0.5), (2, 1), (3, 2), (9, 60), (5000, 60)):
        assert ceiling / 2 < max(drawn[attempt]) <= ceiling
        assert 0 <= min(drawn[attempt]) < ceiling / 2


def test_a_pause_is_never_shorter_than_what_the_service_asks_for_up_to_an_hour():
    pace = Pace(first_pause_seconds=0)

    assert [pace.pause_seconds(1, Unanswered("429", retry_after_seconds=asked)) for asked in (7, 86_400)] == [7, 3600]


def test_what_a_person_must_mend_is_tried_at_its_own_pace():
    assert Pace(lasting_pause_seconds=90).pause_seconds(1, Unanswered("401", is_lasting=True)) == 90
