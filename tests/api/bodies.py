"""Bodies of `POST /v1/events` as nobody would write them: any bytes, and JSON that is nearly right.

Events are put together as text, so that numbers of any length, names that come twice, lone surrogates and NULs are in
them as JSON writes them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from app.api.compression import zstd
from app.wire.events import BATCH, NDJSON, PLAIN, SINGLE

TYPE = "charging.session.ended"


@dataclass(frozen=True)
class Sent:
    """A request's body and headers. `texts` are the values that it holds, where they were put there one by one and
    nothing was done to them afterwards."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] | None = None


# --- JSON as text -----------------------------------------------------------------------------------------------------

_ODD_TEXTS = ["", "\x00", "\ud800", "\udc00\ud800", "\ufeff", "😀", "acme", "e" * 255, "e" * 256, "é" * 300, "1e5",
              "NaN", "__proto__", "$.kwh", "a/b~c", "\u2028", "x" * 3000]  # fmt: skip
texts = st.one_of(st.sampled_from(_ODD_TEXTS), st.text(max_size=20), st.text(st.characters(), max_size=5)).map(
    json.dumps
)
_digits = st.text("0123456789", min_size=1, max_size=60)
numbers = st.one_of(
    st.sampled_from([
        "0", "-0", "-0.0", "1e400", "-1e-400", "1e999999999999999999", "0." + "0" * 60 + "1", "9" * 38, "9" * 39,
        "9" * 20 + "." + "9" * 18, "1" + "0" * 20, "9" * 5000, "0." + "9" * 5000, "1E+2", "9223372036854775808",
        "18446744073709551616", "NaN", "Infinity", "-", "01", "+1", ".5", "1.", "0x10", "1e",
    ]),
    st.tuples(_digits, _digits).map(lambda parts: f"{int(parts[0])}.{parts[1]}"),
)  # fmt: skip
_scalars = st.one_of(st.sampled_from(["null", "true", "false"]), texts, numbers)


def _array(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


def _deep(depth: int, kind: str) -> str:
    whole = {"array": "[" * depth + "]" * depth, "object": '{"a":' * depth + "1" + "}" * depth, "open": "[" * depth}
    return whole[kind]


values = st.one_of(
    st.recursive(
        _scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4).map(_array), st.lists(st.tuples(texts, inner), max_size=4).map(_object)
        ),
        max_leaves=12,
    ),
    st.builds(_deep, st.sampled_from([63, 64, 65, 1000, 20_000]), st.sampled_from(["array", "object", "open"])),
)  # fmt: skip

_GOOD = {
    "specversion": '"1.0"', "source": '"/odd"', "type": f'"{TYPE}"', "subject": '"acme"',
    "time": '"2026-10-05T10:00:00Z"',
}  # fmt: skip
_TIMES = ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-10-05T10:00:00+23:59",
          "2026-02-30T00:00:00Z", "2026-10-05t10:00:00.1234567891z", "٢٠٢٦-10-05T10:00:00Z"]  # fmt: skip
_odd_fields = st.one_of(
    st.tuples(st.sampled_from(["id", "source", "type", "subject", "resource", "time", "further"]), texts),
    st.tuples(st.sampled_from([*_GOOD, "id", "data", "resource", "data_base64", "traceparent", "Bad"]), values),
    st.tuples(st.just("time"), st.sampled_from(_TIMES).map(json.dumps)),
    st.tuples(st.text(max_size=3), values),
)
_further = st.lists(st.tuples(texts, values), max_size=2)
_kwh = st.one_of(st.sampled_from(['"7.25"', "3", "-1e2"]), numbers, numbers.map(json.dumps), texts, values)
_data = st.tuples(_kwh, st.one_of(st.just('"12"'), texts, values), _further).map(
    lambda made: _object([('"kwh"', made[0]), ('"station"', made[1]), *made[2]])
)


@st.composite
def event_texts(draw: st.DrawFn) -> str:
    """An event of which few things are wrong, or nothing."""
    fields = [("id", json.dumps(f"odd-{draw(st.integers(0, 40))}")), *_GOOD.items(), ("data", draw(_data))]
    missing = draw(st.sampled_from([*(name for name, _ in fields), *[""] * 20]))
    odd = draw(st.sampled_from([st.just([]), st.lists(_odd_fields, min_size=1, max_size=2)]).flatmap(lambda made: made))
    changed = [name for name, _ in odd if draw(st.booleans())]  # the others come twice
    pairs = [(name, value) for name, value in fields if name not in (missing, *changed)] + odd
    return _object([(json.dumps(name), value) for name, value in pairs])


good_texts = st.integers(0, 1000).map(
    lambda n: _object([
        ('"id"', f'"good-{n}"'), *((json.dumps(name), value) for name, value in _GOOD.items()),
        ('"data"', f'{{"kwh": {n}, "station": "1"}}'),
    ])
)  # fmt: skip


# --- bodies -----------------------------------------------------------------------------------------------------------

MEDIA_TYPES = [SINGLE, BATCH, NDJSON, PLAIN]
_PARAMETERS = ["", "", "", "; charset=utf-8", "; charset=utf-16", "; charset=latin-1", ";;", "; charset=\x7f"]
_OTHER_TYPES = ["", "text/plain", "application/xml", "multipart/form-data", "application/json, text/json", "*/*"]
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes, "gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress, "GZIP": gzip.compress,
}  # fmt: skip
_OTHER_ENCODINGS = ["deflate", "br", "gzip, gzip", "gzip,", "utf-8", ""]


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with some bytes taken out, put in or doubled, or in another encoding."""
    kind = draw(st.sampled_from(["cut", "insert", "repeat", "bom", "utf-16", "latin-1", "flip"]))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 12)))
    match kind:
        case "cut":
            return body[:start] + body[end:]
        case "insert":
            return body[:start] + draw(st.binary(max_size=6)) + body[start:]
        case "repeat":
            return body[:end] + body[start:end] * 3 + body[end:]
        case "bom":
            return b"\xef\xbb\xbf" + body
        case "flip":
            return body[:start] + bytes(byte ^ 0x80 for byte in body[start:end]) + body[end:]
        case _:
            return body.decode("utf-8", "replace").encode(kind, "replace")


@st.composite
def joined(draw: st.DrawFn) -> Sent:
    """Events, and now and then something else, as any media type would have them."""
    media_type = draw(st.sampled_from(MEDIA_TYPES))
    items = tuple(draw(st.lists(st.one_of(event_texts(), good_texts, values), min_size=1, max_size=6)))
    if media_type == SINGLE or (media_type == PLAIN and draw(st.booleans())):
        items = items[:1]
        body = items[0]
    elif media_type == NDJSON:
        body = "\n".join(items) + draw(st.sampled_from(["", "\n", "\n \n\n"]))
    else:
        body = _array(list(items))
    is_array_by_itself = media_type == PLAIN and body == items[0] and body.startswith("[")
    return Sent(body.encode(), {"Content-Type": media_type}, None if is_array_by_itself else items)


_HEADER_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=8)


@st.composite
def binary_mode(draw: st.DrawFn) -> Sent:
    """Attributes as headers; what they hold may be any text that a header can."""
    plain = {"specversion": "1.0", "id": f"binary-{draw(st.integers(0, 40))}", "source": "/odd", "type": TYPE,
             "subject": "acme"}  # fmt: skip
    names = st.sampled_from([*plain, "time", "resource", "data", "further"])
    odd = draw(st.dictionaries(names, _HEADER_TEXTS, max_size=2))
    headers = {f"ce-{name}": value.strip() for name, value in (plain | odd).items()}
    body = draw(st.one_of(_data, values)).encode()
    media_type = draw(st.sampled_from(["", PLAIN, "application/x+json", "text/plain"]))
    return Sent(body, headers | {"Content-Type": media_type})


_bytes = st.builds(
    lambda body, media_type: Sent(body, {"Content-Type": media_type}), st.binary(max_size=200),
    st.sampled_from(MEDIA_TYPES),
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> Sent:
    """Anything that may come."""
    made = draw(st.one_of(joined(), joined(), binary_mode(), _bytes))
    body, headers, texts = made.body, dict(made.headers), made.texts
    headers["Content-Type"] += draw(st.sampled_from(_PARAMETERS))
    if draw(st.integers(0, 3)) == 0:
        body, texts = draw(mutated(body)), None
    if draw(st.integers(0, 9)) == 0:
        headers["Content-Type"] = draw(st.sampled_from(_OTHER_TYPES))
    encoding = draw(st.sampled_from([*["identity"] * 4, *COMPRESSIONS]))
    body = COMPRESSIONS[encoding](body)
    if encoding != "identity" and draw(st.integers(0, 4)) == 0:
        body, texts = draw(mutated(body)), None
    if draw(st.integers(0, 9)) == 0:
        encoding = draw(st.sampled_from(_OTHER_ENCODINGS))
    return Sent(body, headers | {"Content-Encoding": encoding}, texts)
