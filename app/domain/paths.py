"""What stands at a place in an event's data, and is it a number?

The path `$.usage.kwh` leads in {"usage": {"kwh": "7.25"}} to "7.25", which is the number 7.25, digit by digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from app.domain.money import plain

_MAX_DIGITS = 38
MAX_DECIMALS = 18
_MAX_INTEGER_DIGITS = 20
_INTEGER_BOUND = 10**_MAX_INTEGER_DIGITS


class _Absent:
    __slots__ = ()


ABSENT = _Absent()
_PATH = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_-]*|\['[^'\x00-\x1f]+'\]|\[\d{1,4}\])+", re.ASCII)
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\['([^']+)'\]|\[(\d+)\]", re.ASCII)


@lru_cache(maxsize=4096)
def path_steps(path: str) -> tuple[str | int, ...]:
    """The steps of a path such as `$.usage.kwh`, `$['odd name'][0]`. Raises ValueError for any other text."""
    if len(path) > 500 or not _PATH.fullmatch(path):
        raise ValueError("not a path such as $.kwh, $.usage.kwh or $['odd name']")
    return tuple(
        int(index) if index else (name or quoted) for name, quoted, index in (m.groups() for m in _STEP.finditer(path))
    )


def read_path(data: Any, path: str) -> Any:
    """The value at the path, or ABSENT."""
    value = data
    for step in path_steps(path):
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return ABSENT
        elif not isinstance(value, list) or step >= len(value):
            return ABSENT
        value = value[step]
    return value


Reader = Callable[[Mapping[str, Any]], Any]


def reader(path: str) -> Reader:
    """`read_path` of this one path, made ready: most paths are a single name."""
    steps = path_steps(path)
    name = steps[0]
    if len(steps) > 1 or not isinstance(name, str):
        return lambda data: read_path(data, path)
    return lambda data: data.get(name, ABSENT)


_NUMBER_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?", re.ASCII)


def read_number(value: Any) -> Decimal | None:
    """The exact number of a JSON number or a string that holds one; None for anything else or out of bounds.

    Bounds: at most 38 significant digits and 18 decimals, and an absolute value under 10^20.
    """
    kind = type(value)
    if kind is int:
        return Decimal(value) if -_INTEGER_BOUND < value < _INTEGER_BOUND else None
    if kind is str:
        if len(value) > 100 or not _NUMBER_TEXT.fullmatch(value):
            return None
        value = Decimal(value)
    return _within_bounds(value) if isinstance(value, Decimal) else None  # neither bool nor AbsurdNumber


def fits(number: Decimal) -> bool:
    """True where the number is within the bounds of a measured value."""
    return _within_bounds(number) is not None


def _within_bounds(number: Decimal) -> Decimal | None:
    if not number:
        return Decimal(0)
    if number.adjusted() >= _MAX_INTEGER_DIGITS:
        return None
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # JSON has neither NaN nor infinity
    significant = len(digits)
    while significant > 1 and digits[significant - 1] == 0:
        significant -= 1
    decimals = -(exponent + len(digits) - significant)
    if significant > _MAX_DIGITS or decimals > MAX_DECIMALS:
        return None
    return Decimal(plain(number)) if exponent > 0 else number
