"""Which methods a path has: `Allow` names every one, and HEAD answers as GET does, without a body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.running import NOW, seed
from tests.service import Api, service


@pytest.fixture
def api(sqlite_url: str) -> Iterator[Api]:
    seed(sqlite_url)
    with service(sqlite_url, NOW) as running:
        yield running


def documented(api: Api) -> dict[str, set[str]]:
    """Path -> the methods that it has."""
    paths: dict[str, Any] = api.client.app.openapi()["paths"]  # type: ignore[attr-defined]
    return {path: {method.upper() for method in methods} for path, methods in paths.items() if "/v1/" in path}


def filled(path: str) -> str:
    return re.sub(r"\{[a-z]+\}", "some", path)


def test_a_method_that_a_path_has_not_is_answered_with_those_that_it_has(api: Api) -> None:
    for path, methods in documented(api).items():
        for method in {"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"} - methods:
            answer = api.call(method, filled(path))

            implied = {"HEAD"} if "GET" in methods else set()
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) == methods | implied, (method, path)
            assert answer.json()["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize(
    "address",
    ["/v1/tenants", "/v1/tenants/acme", "/v1/tenants/nobody", "/v1/usage?meter=energy", "/v1/invoices?limit=0"],
)
def test_head_answers_as_get_does(api: Api, address: str) -> None:
    got, head = api.call("GET", address), api.call("HEAD", address)

    same = ("content-type", "content-length", "etag")
    assert head.status_code == got.status_code
    assert [head.headers.get(name) for name in same] == [got.headers.get(name) for name in same]


def test_head_needs_a_key_as_get_does(api: Api) -> None:
    assert api.client.head("/v1/tenants").status_code == 401
