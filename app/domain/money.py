"""What is one amount of money, and where does a cent go?

An amount is a `Decimal` that stands beside the code of its currency (ISO 4217). It is rounded once, half up (away from
zero), to the currency's smallest unit: `round_amount(Decimal("2.345"), "EUR")` is 2.35, of -2.345 it is -2.35.

Importing this module makes the one decimal context of the service the default of every thread: 80 digits; an invalid
operation, a division by zero and an overflow raise. Quantities have at most 38 digits and prices 12 decimals, so
products and sums are exact.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Sequence
from decimal import Decimal

EXACT = decimal.Context(
    prec=80,
    rounding=decimal.ROUND_HALF_UP,
    Emin=-999_999,
    Emax=999_999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)


def _make_exact_the_default() -> None:
    for name in ("prec", "rounding", "Emin", "Emax"):
        setattr(decimal.DefaultContext, name, getattr(EXACT, name))
    for signal in decimal.DefaultContext.traps:
        decimal.DefaultContext.traps[signal] = EXACT.traps[signal]
    decimal.setcontext(EXACT.copy())


_make_exact_the_default()

# ISO 4217 (list one, 2026): currencies by the number of decimals of their smallest unit. Funds codes and metals, which
# have none, cannot be invoiced in.
_TWO_DECIMALS = """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR
ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN
NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"""
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_FOUR_DECIMALS = "CLF UYW"

CURRENCY_DECIMALS: dict[str, int] = {
    code: decimals
    for decimals, codes in ((2, _TWO_DECIMALS), (3, _THREE_DECIMALS), (0, _NO_DECIMALS), (4, _FOUR_DECIMALS))
    for code in codes.split()
}
_SMALLEST_UNIT = {code: Decimal(1).scaleb(-decimals) for code, decimals in CURRENCY_DECIMALS.items()}

MAX_PRICE_DECIMALS = 12
_PLAIN_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
ZERO = Decimal(0)


def round_amount(amount: Decimal, currency: str) -> Decimal:
    """The amount to the currency's smallest unit, half away from zero; never a negative zero."""
    rounded = amount.quantize(_SMALLEST_UNIT[currency], decimal.ROUND_HALF_UP)
    return rounded if rounded else abs(rounded)


def smallest_unit(currency: str) -> Decimal:
    """0.01 of most currencies."""
    return _SMALLEST_UNIT[currency]


def split_pro_rata(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Parts of the total in proportion to the weights, each a whole number of the currency's smallest unit; they sum to
    the total exactly. What rounding down leaves over goes, unit by unit, to the parts that lost most, the first first.

    The total is 0 or more, no weight is negative, and some weight is above 0 where the total is. No part is above its
    weight where the total is not above their sum. 10.00 over 100, 50, 30 and 20 is 5.00, 2.50, 1.50 and 1.00.
    """
    unit, whole = _SMALLEST_UNIT[currency], sum(weights, ZERO)
    assert total >= 0 and (whole > 0 or not total), "a total is split over something"
    if not total:
        return [ZERO for _ in weights]
    # In whole units throughout: a quotient would be cut off at the precision of the context, and may cost one.
    scaled = [total * weight for weight in weights]
    parts = [(amount // (whole * unit)) * unit for amount in scaled]
    losses = [amount - part * whole for amount, part in zip(scaled, parts, strict=True)]
    left = int((total - sum(parts, ZERO)) / unit)
    for index in sorted(range(len(parts)), key=lambda at: (-losses[at], at))[:left]:
        parts[index] += unit
    return parts


# More digits than any quotient here needs, cut so that rounding it once more is the rounding of the exact quotient.
_QUOTIENT = decimal.Context(
    prec=400, rounding=decimal.ROUND_05UP, Emin=-999_999, Emax=999_999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)  # fmt: skip


def divide(dividend: Decimal, divisor: Decimal, *, scale: int) -> Decimal:
    """The exact quotient rounded once, half away from zero, to `scale` decimals: 2 / 3 at scale 4 is 0.6667.

    Raises decimal.DivisionByZero, for 0 / 0 too.
    """
    if not divisor:
        raise decimal.DivisionByZero
    quotient = _QUOTIENT.divide(dividend, divisor)
    exponent = quotient.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -scale:
        quotient = quotient.quantize(Decimal(1).scaleb(-scale), decimal.ROUND_HALF_UP, _QUOTIENT)
    return quotient


def parse_decimal(text: str) -> Decimal:
    """The number that plain text without exponent, sign `+` or spaces stands for. Raises ValueError for any other
    text."""
    if len(text) > 60 or not _PLAIN_DECIMAL.fullmatch(text):
        raise ValueError(f"not a plain decimal number: {text[:60]!r}")
    return Decimal(text)


def plain(number: Decimal) -> str:
    """The number as text without exponent and without trailing zeros: 12.50 is "12.5", 1E+3 is "1000", -0 is "0"."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount_text(amount: Decimal, currency: str) -> str:
    """The rounded amount with exactly the currency's decimals: "35.00" in EUR, "35" in JPY."""
    return format(round_amount(amount, currency), "f")
