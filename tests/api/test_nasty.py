"""Nothing that is sent makes a 5xx, and every 4xx is a problem: every route with odd keys, parameters and bodies."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from tests.service import ADMIN_KEY, PER_UNIT, Api, set_up

SEGMENTS = ["%00", "%FF", "%ED%A0%80", "a%2Fb", "%20x", "x" * 300, "..", "'", "%F0%9F%98%80", "%25", "null", "0" * 40]
PARAMETERS = ["\x00", "\ud800", "x" * 5000, "-1", "0", "1e9", "null", "9" * 30, "😀", "%", "٣", "==", "AAAA"]
BODIES: list[bytes] = [
    b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b"NaN", b'{"a":NaN}', b'{"":""}', b"[" * 5000 + b"]" * 5000,
    b'{"name":"\\ud800"}', b'{"name":"\\u0000"}', b'{"through":1e999999999999999999999}', b'{"' + b"9" * 6000 + b'":1}',
    b'{"through":' + b"9" * 6000 + b"}", b'{"charges":[{}]}', b'{"charges":{"a":[1]}}', b'{"reason":5}',
]  # fmt: skip


def routes(api: Api) -> list[tuple[str, str]]:
    paths = api.client.app.openapi()["paths"]  # type: ignore[attr-defined]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def check(answer: Any) -> None:
    assert answer.status_code < 500, (answer.request.method, answer.request.url, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.request.url
        problem = answer.json()
        assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
        assert problem["status"] == answer.status_code


def send(api: Api, method: str, path: str, **rest: Any) -> Any:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"} | rest.pop("headers", {})
    return api.client.request(method, path, headers=headers, **rest)


def test_odd_path_segments(api: Api) -> None:
    set_up(api, [PER_UNIT])
    for (method, path), segment in itertools.product(routes(api), SEGMENTS):
        if "{" in path:
            body = b"{}" if method in ("PUT", "POST", "PATCH") else None
            check(send(api, method, re.sub(r"\{[^}]+\}", segment, path), content=body))


def test_odd_parameters(api: Api) -> None:
    set_up(api, [PER_UNIT])
    names = ("limit", "cursor", "tenant", "start", "end", "type", "resource", "reason", "status", "buyer", "seller",
             "number", "period_start", "meter", "window", "time_zone", "group_by", "plan", "owner")  # fmt: skip
    gets = [path for method, path in routes(api) if method == "GET" and "{" not in path]
    for path, name, value in itertools.product(gets, names, PARAMETERS):
        query = {"meter": "energy"} if path.endswith("usage") else {}
        encoded = {key: text.encode("utf-8", "surrogatepass") for key, text in (query | {name: value}).items()}
        check(send(api, "GET", path, params=encoded))


def test_odd_bodies(api: Api) -> None:
    set_up(api, [PER_UNIT])
    for (method, path), body in itertools.product(routes(api), BODIES):
        if method in ("PUT", "POST", "PATCH"):
            check(send(api, method, re.sub(r"\{[^}]+\}", "acme", path), content=body))


@pytest.mark.parametrize("token", ["\xff", "qp_\x00" + "0" * 15 + "_x", "qp_0123456789abcdef_" + "y" * 9000, "a b c"])
def test_odd_keys(api: Api, token: str) -> None:
    headers = [(b"authorization", b"Bearer " + token.encode("latin-1"))]
    answer = api.client.get("/v1/tenants", headers=headers)
    assert answer.status_code == 401


def test_odd_events_leave_their_neighbours_alone(api: Api) -> None:
    set_up(api)
    good = {"specversion": "1.0", "id": "good", "source": "/x", "type": "charging.session.ended", "subject": "acme",
            "data": {"kwh": "1"}}  # fmt: skip
    odd: list[Any] = [None, 1, "x", [], {}, {"id": None}, good | {"id": "n", "time": 5}, good | {"id": "t", "type": []},
                      good | {"id": "d", "data": {"kwh": {"deep": [1]}}}, good | {"id": "e", "Bad-Name": 1},
                      good | {"id": "s", "data": {"kwh": "1", "station": "x" * 300}},
                      good | {"id": "r", "resource": "x" * 256}]  # fmt: skip
    answer = api.call("POST", "/v1/events", content=json.dumps([*odd, good]).encode(),
                      headers={"Content-Type": "application/json"}).json()  # fmt: skip
    assert answer["accepted"] == 1
    assert sum(answer[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected")) == 13
