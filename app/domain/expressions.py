"""Which number does an expression make of an event's data?

`max($.kwh - 10, 0) * 1.5` makes of {"kwh": "12.4"} 2.4 x 1.5 = 3.6. There are decimal numbers, paths, `+ - * /`,
parentheses, and the functions `min` and `max` (of two or more), `ceil`, `floor` and `round` (of one, and perhaps a
number of decimals). `*` and `/` bind stronger than `+` and `-`; equals go from left to right.

All of it is exact but for two places: a quotient, and the value of the whole, are rounded half away from zero to 18
decimals. A property that is absent or no number, a division by zero and a value out of bounds make no number.

A name in a path ends at `-`, which is the operator: write $['input-tokens'] for a name with one in it.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from app.domain.money import divide
from app.domain.paths import MAX_DECIMALS, fits, read_number, reader

MAX_LENGTH = 1000
MAX_NESTING = 16
"""How deep parentheses, functions and signs may stand in each other."""
FUNCTIONS = ("min", "max", "ceil", "floor", "round")

Data = Mapping[str, Any]
Evaluate = Callable[[Data], Decimal]

_TOKEN = re.compile(
    r"\s*(?:(?P<path>\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\['[^'\x00-\x1f]+'\]|\[\d{1,4}\])+)"
    r"|(?P<number>(?:0|[1-9]\d*)(?:\.\d+)?)|(?P<name>[a-z]+)|(?P<sign>[-+*/(),]))",
    re.ASCII,
)
# No product or sum of what a path may hold is rounded: where there are more digits than these, there is no value.
_EXACT = decimal.Context(
    prec=300, Emin=-999_999, Emax=999_999,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)  # fmt: skip
_ROUNDING = decimal.Context(prec=300, Emin=-999_999, Emax=999_999, traps=[decimal.InvalidOperation])


class NoValue(ValueError):
    """Why an expression makes no number of an event's data, as a part of a sentence."""


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> Evaluate:
    """What makes the number of an event's data; it raises NoValue. Raises ValueError, with a part of a sentence, where
    the text is no expression."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    whole = parser.sum(MAX_NESTING)
    parser.end()
    if not parser.reads:
        raise ValueError("names no property of the event, such as $.kwh")

    def value(data: Data) -> Decimal:
        try:
            found = whole(data)
            rounded = found if _decimals(found) <= MAX_DECIMALS else _rounded(found, MAX_DECIMALS, ROUND_HALF_UP)
        except decimal.DivisionByZero as error:
            raise NoValue("a division by zero") from error
        except ArithmeticError as error:
            raise NoValue("a value of too many digits") from error
        if not fits(rounded):
            raise NoValue("a value out of bounds")
        return rounded

    return value


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """(kind, text, where it begins), closed by an "end"."""
    tokens: list[tuple[str, str, int]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot be read at character {position + 1}: {text[position:].strip()[:20]!r}")
        kind = match.lastgroup
        assert kind is not None
        tokens.append((kind, match.group(kind), match.start(kind)))
        position = match.end()
    return [*tokens, ("end", "", end)]


class _Parser:
    """Recursive descent, one method a level of precedence; `nesting` is how much deeper it may go."""

    def __init__(self, tokens: Sequence[tuple[str, str, int]]) -> None:
        self._tokens = tokens
        self._next = 0
        self.reads = False

    def sum(self, nesting: int) -> Evaluate:
        terms = [(self._product(nesting), False)]
        while self._kind("+", "-"):
            is_less = self._take() == "-"
            terms.append((self._product(nesting), is_less))
        return terms[0][0] if len(terms) == 1 else _sum(terms)

    def end(self) -> None:
        if self._tokens[self._next][0] != "end":
            raise self._unexpected()

    def _product(self, nesting: int) -> Evaluate:
        factors = [(self._factor(nesting), False)]
        while self._kind("*", "/"):
            divides = self._take() == "/"
            factors.append((self._factor(nesting), divides))
        return factors[0][0] if len(factors) == 1 else _product(factors)

    def _factor(self, nesting: int) -> Evaluate:
        kind, text, _ = self._tokens[self._next]
        if nesting <= 0 and kind in ("sign", "name"):
            raise ValueError(f"is nested in more than {MAX_NESTING} levels")
        if kind == "number":
            return _constant(Decimal(self._take()))
        if kind == "path":
            self.reads = True
            return _property(self._take())
        if kind == "name":
            return self._function(nesting - 1)
        if text == "-":
            self._take()
            inner = self._factor(nesting - 1)
            return lambda data: inner(data).copy_negate()
        if text == "(":
            self._take()
            inner = self.sum(nesting - 1)
            self._expect(")")
            return inner
        raise self._unexpected()

    def _function(self, nesting: int) -> Evaluate:
        name = self._take()
        if name not in FUNCTIONS:
            raise ValueError(f"there is no function {name}; known are {', '.join(FUNCTIONS)}")
        self._expect("(")
        if name in ("min", "max"):
            items = [self.sum(nesting)]
            while self._kind(","):
                self._take()
                items.append(self.sum(nesting))
            if len(items) < 2:
                raise ValueError(f"{name} takes two values or more")
            self._expect(")")
            return _extreme(min if name == "min" else max, items)
        inner = self.sum(nesting)
        scale = self._scale(name) if self._kind(",") else 0
        self._expect(")")
        mode = {"ceil": ROUND_CEILING, "floor": ROUND_FLOOR, "round": ROUND_HALF_UP}[name]
        return lambda data: _rounded(inner(data), scale, mode)

    def _scale(self, name: str) -> int:
        self._take()
        kind, text, _ = self._tokens[self._next]
        if kind != "number" or not text.isdigit() or int(text) > MAX_DECIMALS:
            raise ValueError(f"the decimals of {name} are a whole number from 0 to {MAX_DECIMALS}")
        return int(self._take())

    def _kind(self, *signs: str) -> bool:
        kind, text, _ = self._tokens[self._next]
        return kind == "sign" and text in signs

    def _take(self) -> str:
        text = self._tokens[self._next][1]
        self._next += 1
        return text

    def _expect(self, sign: str) -> None:
        if not self._kind(sign):
            raise self._unexpected(f", {sign} is missing")
        self._take()

    def _unexpected(self, more: str = "") -> ValueError:
        kind, text, position = self._tokens[self._next]
        if kind == "end":
            return ValueError(f"ends too early{more}")
        return ValueError(f"cannot be read at character {position + 1}: {text[:20]!r}{more}")


def _constant(number: Decimal) -> Evaluate:
    return lambda _data: number


def _property(path: str) -> Evaluate:
    read = reader(path)
    detail = f"{path} is absent or not a number within bounds"

    def value(data: Data) -> Decimal:
        number = read_number(read(data))
        if number is None:
            raise NoValue(detail)
        return number

    return value


def _sum(terms: Sequence[tuple[Evaluate, bool]]) -> Evaluate:
    def value(data: Data) -> Decimal:
        total = terms[0][0](data)
        for term, is_less in terms[1:]:
            total = (_EXACT.subtract if is_less else _EXACT.add)(total, term(data))
        return total

    return value


def _product(factors: Sequence[tuple[Evaluate, bool]]) -> Evaluate:
    def value(data: Data) -> Decimal:
        total = factors[0][0](data)
        for factor, divides in factors[1:]:
            number = factor(data)
            total = divide(total, number, scale=MAX_DECIMALS) if divides else _EXACT.multiply(total, number)
        return total

    return value


def _extreme(choose: Callable[..., Decimal], items: Sequence[Evaluate]) -> Evaluate:
    return lambda data: choose(item(data) for item in items)


def _rounded(number: Decimal, scale: int, mode: str) -> Decimal:
    return number if _decimals(number) <= scale else number.quantize(Decimal(1).scaleb(-scale), mode, _ROUNDING)


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # neither NaN nor infinity: those raise
    return -exponent
