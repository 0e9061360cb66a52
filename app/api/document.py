"""What the published OpenAPI document says of a route, written beside the route, and the parts that all routes share.

    @router.get("/invoices/{id}", **described("read", {200: Answer("The document", ref("Invoice"))}, 404,
                                              parameters=[path_parameter("id", INVOICE_ID)]))

The framework reads no body and no parameter here (that is `app/wire/` and `parameters.py`), so it has nothing to say
of them either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Response

from app.api.schemas import SCHEMAS, SECURITY_SCHEMES, Schema, ref
from app.api.schemas_bank import BANK_SCHEMAS
from app.api.schemas_payments import PAYMENT_SCHEMAS
from app.api.schemas_webhooks import WEBHOOK_SCHEMAS

JSON = "application/json"
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"

_PROBLEMS = {
    400: "Something of it cannot be read: the body, or a cursor.",
    401: "There is no valid API key.",
    403: "The API key lacks the scope, or is bound to a tenant and may not do this.",
    404: "There is no such thing for this caller.",
    408: "The body did not come in time.",
    409: "What is there already forbids it.",
    412: "The object is not the one that If-Match names.",
    413: "It is larger than the service takes.",
    415: "The body has a form that is not spoken here.",
    422: "It is well-formed and breaks a rule; `errors` says which.",
    429: "More is being sent than can be taken; send it again after a moment.",
    503: "Right now it cannot be answered exactly; try again.",
}
_PROBLEM_HEADERS: dict[int, Schema] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": {"required": True, "schema": {"type": "integer"}}},
    503: {"Retry-After": {"required": True, "schema": {"type": "integer"}}},
}
ETAG = {"ETag": {"required": True, "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}"$'}}}
IF_MATCH: Schema = {
    "name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "The ETag that the object must still have; `*` for any. Never required.", "example": "*",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer below 300; without a schema it has no body. `other` is the schema of each other form that a caller may
    ask for; `links` name what can be asked next."""

    description: str
    schema: Schema | None = None
    media_types: tuple[str, ...] = (JSON,)
    other: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    links: Mapping[str, Schema] = field(default_factory=dict)


def described(
    scopes: str | tuple[str, ...],
    answers: Mapping[int, Answer],
    *problems: int,
    body: Mapping[str, Schema] | None = None,
    parameters: Sequence[Schema] = (),
) -> dict[str, Any]:
    """The arguments of a route: who may call it (any one scope is enough), what it takes, and every answer it has.

    `body` is the schema of each media type that is taken. 401 and 403 need not be named; nor what every body may get.
    """
    named = {401, 403, *problems} | ({400, 408, 413, 415} if body is not None else set())
    more: dict[str, Any] = {"security": [{"apiKey": [scope]} for scope in _all_of(scopes)]}
    if parameters:
        more["parameters"] = list(parameters)
    if body is not None:
        content = {media_type: {"schema": schema} for media_type, schema in body.items()}
        more["requestBody"] = {"required": True, "content": content}
    return {
        "status_code": min(answers), "response_class": Response, "openapi_extra": more,
        "responses": {status: _answer(answer) for status, answer in answers.items()} | problem_answers(*named),
    }  # fmt: skip


def _all_of(scopes: str | tuple[str, ...]) -> tuple[str, ...]:
    return (scopes,) if isinstance(scopes, str) else scopes


def _answer(answer: Answer) -> dict[str, Any]:
    made: dict[str, Any] = {"description": answer.description}
    if answer.schema is not None:
        schemas = dict.fromkeys(answer.media_types, answer.schema) | dict(answer.other)
        made["content"] = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    for name, facts in (("headers", answer.headers), ("links", answer.links)):
        if facts:
            made[name] = dict(facts)
    return made


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": _PROBLEMS[status], "content": {PROBLEM: {"schema": ref("Problem")}}}
        | ({"headers": _PROBLEM_HEADERS[status]} if status in _PROBLEM_HEADERS else {})
        for status in sorted(statuses)
    }


# --- parameters ------------------------------------------------------------------------------------------------------


def path_parameter(name: str, schema: Schema, *examples: str) -> Schema:
    made: Schema = {"name": name, "in": "path", "required": True, "schema": schema}
    return made | {"examples": {example: {"value": example} for example in examples}} if examples else made


def query_parameter(
    name: str, schema: Schema, description: str, *, required: bool = False, example: str | None = None
) -> Schema:
    """An optional one may be empty, which is the same as leaving it out."""
    made: Schema = {"name": name, "in": "query", "required": required, "schema": schema, "description": description}
    if example is not None:
        made["example"] = example
    return made if required else made | {"allowEmptyValue": True}


def limit_and_cursor(max_limit: int) -> list[Schema]:
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": max_limit, "default": 100}
    return [
        {"name": "limit", "in": "query", "schema": limit, "description": "How many at most."},
        query_parameter("cursor", {"type": "string"}, "`next_cursor` of the page before."),
    ]


def link(operation: str, description: str, **parameters: str) -> Schema:
    """What can be asked next; `path__key="$request.path.key"` is the parameter `path.key`."""
    named = {name.replace("__", ".").replace("_match", "-Match"): value for name, value in parameters.items()}
    return {"operationId": operation, "description": description, "parameters": named}


# --- the document ----------------------------------------------------------------------------------------------------

# The routes beside /v1 need no key.
_OPERATIONAL = {
    "/healthz": {200: Answer("The process answers.", {"type": "object", "properties": {"status": {"type": "string"}}})},
    "/readyz": {200: Answer("It is ready.", {"type": "object", "properties": {"status": {"type": "string"}}})},
    "/metrics": {200: Answer("The metrics.", {"type": "string"}, ("text/plain",))},
}


def install(app: FastAPI) -> None:
    """The application publishes the whole document at /openapi.json."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(FastAPI.openapi(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in _OPERATIONAL:
                responses = {str(status): _answer(answer) for status, answer in _OPERATIONAL[path].items()}
                unready = problem_answers(503) if path == "/readyz" else {}
                operation["responses"] = responses | {str(status): facts for status, facts in unready.items()}
            _complete(operation)
    document["components"] = {
        "schemas": SCHEMAS | PAYMENT_SCHEMAS | BANK_SCHEMAS | WEBHOOK_SCHEMAS,
        "securitySchemes": SECURITY_SCHEMES,
    }
    return document


def _complete(operation: dict[str, Any]) -> None:
    """Of a parameter that the framework wrote down too, what the route says holds; the scopes are said in words."""
    if "parameters" in operation:
        named = {(item["in"], item["name"]): item for item in operation["parameters"]}
        operation["parameters"] = list(named.values())
    scopes = [scope for way in operation.get("security", ()) for scope in way["apiKey"]]
    if scopes:
        needed = f"Scope: {' or '.join(f'`{scope}`' for scope in scopes)}."
        operation["description"] = f"{operation.get('description') or operation['summary'] + '.'}\n\n{needed}"
