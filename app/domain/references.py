"""By which reference does a payment name the invoice that it pays?

A creditor reference (ISO 11649) is made of the invoice's number: the letters RF, two check digits, and up to 21 letters
and digits. Of 2026-000042 these are 2026000042; followed by RF00, letters read as 10 to 35, that is 2026000042271500,
which leaves 96 when divided by 97. 98 - 96 is 02: the reference is RF022026000042, printed in groups of four. Read
with its first four signs at the end, a whole reference leaves 1; with a digit or a letter mistyped, something else.
"""

from __future__ import annotations

import re

LONGEST_BODY = 21

_SEPARATORS = re.compile(r"[^A-Z0-9]", re.ASCII)
# Banks break a text where it suits them: the signs of a reference may stand apart.
_BEGINNING = re.compile(r"(?<![A-Z0-9])RF ?[0-9]", re.ASCII)
_TRAILING = re.compile(r"[^A-Z0-9].*", re.ASCII)
_LONGEST_PRINTED = 2 * (4 + LONGEST_BODY)


def reference_body(number: str) -> str:
    """What of an invoice's number stands in its reference: letters and digits in capitals, at most the last 21."""
    return _SEPARATORS.sub("", number.upper())[-LONGEST_BODY:]


def creditor_reference(number: str) -> str:
    """The reference of the invoice of this number: RF022026000042 for 2026-000042. '' where the number has neither
    letter nor digit."""
    body = reference_body(number)
    if not body:
        return ""
    return f"RF{98 - _remainder(body + 'RF00'):02}{body}"


def is_creditor_reference(text: str) -> bool:
    """True for RF, two digits that check, and 1 to 21 letters and digits; spaces do not count."""
    compact = text.replace(" ", "").upper()
    if not re.fullmatch(r"RF[0-9]{2}[A-Z0-9]{1,21}", compact, re.ASCII):
        return False
    return _remainder(compact[4:] + compact[:4]) == 1


def printed_reference(reference: str) -> str:
    """The reference in groups of four, as people copy it: RF02 2026 0000 42."""
    return " ".join(reference[start : start + 4] for start in range(0, len(reference), 4))


def references_in(text: str) -> tuple[str, ...]:
    """The references that check and that a text holds, each once, without spaces: in their order.

    Where words follow a reference, one of about a hundred texts checks with the next word too: then both are named.
    """
    found: dict[str, None] = {}
    upper = " ".join(text.upper().split())
    for match in _BEGINNING.finditer(upper):
        words = upper[match.start() : match.start() + _LONGEST_PRINTED].split(" ")
        for count in range(1, len(words) + 1):
            candidate = _TRAILING.sub("", "".join(words[:count]))
            if is_creditor_reference(candidate):
                found[candidate] = None
    return tuple(found)


def _remainder(text: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in text)) % 97
