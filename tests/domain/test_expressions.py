"""What an expression makes of an event's data, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.expressions import MAX_LENGTH, MAX_NESTING, NoValue, parse_expression

DATA = {"kwh": "12.4", "n": 3, "deep": {"v": [1, "-2.5"]}, "in-put": 100, "price": "0.05", "word": "twelve", "zero": 0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$.kwh", "12.4"),
        ("$.kwh + 1 - 0.4", "13.0"),
        ("2 + 3 * $.n", "11"),
        ("(2 + 3) * $.n", "15"),
        ("$.n - 1 - 1", "1"),
        ("12 / $.n / 2", "2"),
        ("-$.n + 5", "2"),
        ("--$.n", "3"),
        ("2 * -$.n", "-6"),
        ("$.deep.v[1] * 2", "-5.0"),
        ("$['in-put'] + $.n", "103"),
        ("$.kwh-10", "2.4"),
        ("max($.kwh - 10, 0) * 1.5", "3.60"),
        ("max(1, $.n, 2)", "3"),
        ("min($.n, 2 + 2)", "3"),
        ("ceil($.kwh)", "13"),
        ("ceil($.deep.v[1])", "-2"),
        ("floor($.deep.v[1])", "-3"),
        ("floor($.kwh / 10, 1)", "1.2"),
        ("round($.deep.v[1])", "-3"),
        ("round($.kwh / 7, 2)", "1.77"),
        ("ceil(max($.kwh, 13.5) / (2))", "7"),
        ("1 / $.n", "0.333333333333333333"),
        ("2 / $.n", "0.666666666666666667"),
        ("-2 / $.n", "-0.666666666666666667"),
        ("$.kwh*$.price", "0.620"),
    ],
)
def test_an_expression_makes_a_number(text: str, value: str) -> None:
    found = parse_expression(text)(DATA)

    assert found == Decimal(value)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("$.absent + 1", "$.absent is absent or not a number"),
        ("$.word", "$.word is absent or not a number"),
        ("max($.n, $.absent)", "$.absent is absent or not a number"),
        ("1 / $.zero", "a division by zero"),
        ("$.zero / $.zero", "a division by zero"),
        ("$.n * 99999999999999999999", "a value out of bounds"),
    ],
)
def test_what_cannot_be_computed_says_why(text: str, detail: str) -> None:
    with pytest.raises(NoValue, match=detail.replace("$", r"\$")):
        parse_expression(text)(DATA)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "ends too early"),
        ("1 + 2", "names no property"),
        ("$.a +", "ends too early"),
        ("$.a $.b", "cannot be read at character 5"),
        ("($.a", r"ends too early, \) is missing"),
        ("$.a)", "cannot be read at character 4"),
        ("median($.a)", "there is no function median"),
        ("max($.a)", "takes two values or more"),
        ("ceil($.a, 19)", "from 0 to 18"),
        ("ceil($.a, $.b)", "from 0 to 18"),
        ("round($.a, 1.5)", "from 0 to 18"),
        ("$.a ** 2", "cannot be read at character 6"),
        ("$.a % 2", "cannot be read at character 4"),
        ("$.a + 1e3", "cannot be read"),
        ("$.a + .5", "cannot be read"),
        ("$.a; import os", "cannot be read"),
        ("__import__($.a)", "cannot be read"),
        ("$.a" + " + 1" * 300, f"longer than {MAX_LENGTH}"),
        ("(" * 17 + "$.a" + ")" * 17, f"more than {MAX_NESTING} levels"),
        ("-" * 17 + "$.a", f"more than {MAX_NESTING} levels"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, detail: str) -> None:
    with pytest.raises(ValueError, match=detail):
        parse_expression(text)


def test_as_deep_and_as_long_as_is_allowed_works() -> None:
    assert parse_expression("(" * MAX_NESTING + "$.n" + ")" * MAX_NESTING)(DATA) == 3
    assert parse_expression("$.n" + "+1" * 498)(DATA) == 501


def test_products_keep_every_digit_until_the_value_is_rounded_to_18_decimals() -> None:
    """0.000000000001 squared is 1e-24: it counts where it is multiplied on, and is 0 where it is the value."""
    data = {"v": "0.000000000001", "big": "1000000000000"}

    assert parse_expression("$.v * $.v * $.big * 10")(data) == Decimal("0.00000000001")
    assert parse_expression("$.v * $.v")(data) == 0


def test_more_digits_than_are_computed_make_no_value_rather_than_a_rounded_one() -> None:
    data = {"v": "12345678901234567890.123456789012345679"[:39]}

    with pytest.raises(NoValue, match="too many digits"):
        parse_expression("$.v" + " * $.v" * 12)(data)


# --- against another way of computing ---------------------------------------------------------------------------------

Tree = tuple[str, Any, Any] | tuple[str]
leaves = st.one_of(
    st.sampled_from(["a", "b"]).map(lambda name: (f"$.{name}",)),
    st.decimals("0", "99", places=3).map(lambda n: (f"{n:f}",)),
)
trees = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from(["+", "-", "*", "/", "min", "max"]), inner, inner), max_leaves=8
)
numbers = st.decimals("-1000", "1000", places=4).map(lambda n: format(n, "f"))


def written(tree: Any) -> str:
    if len(tree) == 1:
        return str(tree[0])
    sign, first, second = tree
    if sign in ("min", "max"):
        return f"{sign}({written(first)}, {written(second)})"
    return f"({written(first)} {sign} {written(second)})"


def half_up(number: Fraction) -> Fraction:
    scaled = abs(number) * 10**18
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole, 10**18) * (1 if number >= 0 else -1)


def computed(tree: Any, data: dict[str, str]) -> Fraction:
    """The same in fractions; a quotient is rounded. Raises ZeroDivisionError."""
    if len(tree) == 1:
        text = tree[0]
        return Fraction(data[text[2:]] if text.startswith("$") else text)
    first, second = computed(tree[1], data), computed(tree[2], data)
    match tree[0]:
        case "+":
            return first + second
        case "-":
            return first - second
        case "*":
            return first * second
        case "/":
            return half_up(first / second)
        case "min":
            return min(first, second)
        case _:
            return max(first, second)


@given(tree=trees, a=numbers, b=numbers)
def test_every_expression_is_what_fractions_make_of_it(tree: Any, a: str, b: str) -> None:
    data = {"a": a, "b": b}
    text = f"{written(tree)} + 0 * $.a"
    try:
        expected = half_up(computed(tree, data))
    except ZeroDivisionError:
        expected = None
    try:
        found = Fraction(parse_expression(text)(data))
    except NoValue:
        assert expected is None or abs(expected) >= 10**20
        return
    assert found == expected
