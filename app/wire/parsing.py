"""Reading a JSON object strictly: every fault at once, each with a JSON pointer; no float, no unknown field.

    fields = Fields(body)
    name, rate = fields.text("name"), fields.decimal("rate")
    fields.finish()          # raises InvalidInput: "#/name: is missing", "#/rate: ..", "#/naem: there is no such field"

A getter notes a fault and answers with a harmless value, so that reading goes on to the next one; nothing that was read
may be used before `finish`. Null is the same as absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from app.domain.errors import FieldProblem, InvalidInput
from app.domain.events import EARLIEST, depth_exceeds, has_forbidden_text, instant_text, parse_instant
from app.domain.money import CURRENCY_DECIMALS, ZERO, parse_decimal
from app.domain.periods import parse_zone

T = TypeVar("T", bound=str)

MAX_DEPTH = 32
MAX_ITEMS = 10_000
MAX_KEY_LENGTH = 255
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_LAST_YEAR = 9000  # beyond it the arithmetic of periods would leave the calendar

_UNREAD: Any = object()


class NumberText(str):
    """A number that another format has as text (a plain YAML scalar); it is a number and a text alike."""

    __slots__ = ()


class Fields:
    """One JSON object on its way to a domain value. `pointer` is its place in what was sent."""

    def __init__(self, value: Any, pointer: str = "#", *, problems: list[FieldProblem] | None = None) -> None:
        self.pointer = pointer
        self._is_root = problems is None
        self._problems: list[FieldProblem] = [] if problems is None else problems
        self._children: list[Fields] = []
        self._read: set[str] = set()
        self._values: dict[str, Any] = {}
        self._usable = isinstance(value, dict)
        if not self._usable:
            self.problem("", f"must be an object, not {_kind(value)}")
        elif self._is_root and depth_exceeds(value, MAX_DEPTH):
            self._usable = False
            self.problem("", f"is nested in more than {MAX_DEPTH} levels")
        elif self._is_root and has_forbidden_text(value):
            self._usable = False
            self.problem(_forbidden_at(value), "holds a NUL character or a lone surrogate")
        else:
            self._values = value

    # --- faults ---

    def problem(self, name: str, detail: str) -> None:
        """Notes a fault of the field, of the object itself where `name` is ''; "a/b" is a path below it."""
        self._problems.append(FieldProblem(f"{self.pointer}/{name}" if name else self.pointer, detail))

    def problems(self, found: Iterable[FieldProblem]) -> None:
        """Notes faults whose pointers start at this object."""
        self._problems += [FieldProblem(self.pointer + item.pointer, item.detail) for item in found]

    @property
    def faultless(self) -> bool:
        """True while nothing of the whole body was found wrong: only then what was read may be judged further."""
        return not self._problems

    def finish(self) -> None:
        """Raises InvalidInput with every fault that was found; each field not read is one."""
        self._note_unknown()
        if self._problems:
            first = self._problems[0]
            more = f" ({len(self._problems) - 1} more)" if len(self._problems) > 1 else ""
            raise InvalidInput(f"{first.pointer}: {first.detail}{more}", problems=tuple(self._problems))

    def _note_unknown(self) -> None:
        for name in self._values:
            if name not in self._read:
                self.problem(escaped(name), "there is no such field")
        for child in self._children:
            child._note_unknown()

    # --- access ---

    def has(self, name: str) -> bool:
        """True where the field is there and not null."""
        return self._values.get(name) is not None

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def ignore(self, *names: str) -> None:
        """Facts that answers show and that nobody can set: they may be sent back, and say nothing."""
        self._read.update(names)

    def raw(self, name: str) -> Any:
        self._read.add(name)
        return self._values.get(name)

    def _get(self, name: str, required: bool) -> Any:
        """The value; None where it is absent or null, which is noted where it is required."""
        value = self.raw(name)
        if value is None and required and self._usable:
            self.problem(escaped(name), "is missing" if name not in self._values else "must not be null")
        return value

    # --- texts ---

    def text(self, name: str, *, default: str | None = None, max_length: int = 255) -> str:
        """A printable text of at least one character; `default` where it is absent and a default is given."""
        value = self._get(name, default is None)
        if value is None:
            return default or ""
        return self._checked_text(name, value, max_length) or ""

    def _checked_text(self, name: str, value: Any, max_length: int) -> str | None:
        detail = text_problem(value, max_length)
        if detail is None:
            return str(value)
        self.problem(escaped(name), detail)
        return None

    def optional_text(self, name: str, *, max_length: int = 255) -> str | None:
        value = self.raw(name)
        return None if value is None else self._checked_text(name, value, max_length)

    def key(self, name: str) -> str:
        """A key of another object."""
        value = self._get(name, True)
        return "" if value is None else self._checked_key(name, value)

    def optional_key(self, name: str) -> str | None:
        value = self.raw(name)
        return None if value is None else self._checked_key(name, value)

    def _checked_key(self, name: str, value: Any) -> str:
        detail = key_problem(value)
        if detail is not None:
            self.problem(escaped(name), detail)
            return ""
        return str(value)

    def own_key(self, key: str, pointer_name: str = "key") -> str:
        """The key by which the object is addressed; a `key` in the body must be the same."""
        detail = key_problem(key)
        if detail is not None:
            self.problem(pointer_name, detail)
        if self.raw(pointer_name) not in (None, key):
            self.problem(pointer_name, f"is not the key in the address, {key!r}")
        return key

    def choice(self, name: str, options: Sequence[T], *, default: T | None = None, later: Sequence[str] = ()) -> T:
        """One of the options. Those that the contract has and this version does not get a detail of their own."""
        value = self._get(name, default is None)
        if value is None:
            return default or options[0]
        if isinstance(value, str):
            for option in options:
                if option == value:
                    return option
            if value in later:
                self.problem(escaped(name), f"{value} is not supported yet")
                return options[0]
        self.problem(escaped(name), f"must be one of {', '.join(options)}")
        return options[0]

    def optional_choice(self, name: str, options: Sequence[T]) -> T | None:
        return None if self.raw(name) is None else self.choice(name, options)

    def texts(self, name: str) -> dict[str, str]:
        """An object of texts, {} where it is absent."""
        child = self.object(name)
        return {} if child is None else {item: child.text(item) for item in child.names()}

    # --- numbers and truth ---

    def boolean(self, name: str, *, default: bool = False) -> bool:
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.problem(escaped(name), f"must be true or false, not {_kind(value)}")
        return default

    def integer(self, name: str, *, least: int, most: int) -> int:
        found = self.optional_integer(name, least=least, most=most)
        if found is None and self.raw(name) is None:
            self._get(name, True)
        return least if found is None else found

    def optional_integer(self, name: str, *, least: int, most: int) -> int | None:
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, NumberText) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            value = int(value)
        if isinstance(value, Decimal) and abs(value) < 10**18 and value == value.to_integral_value():
            value = int(value)  # JSON has one kind of number: 2.0 is the whole number 2
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problem(escaped(name), f"must be a whole number from {least} to {most}")
        return None

    def decimal(self, name: str, *, default: Decimal | None = None) -> Decimal:
        """A number without exponent, as text or as a JSON number read digit by digit."""
        value = self._get(name, default is None)
        if value is None:
            return ZERO if default is None else default
        return self._checked_decimal(name, value)

    def optional_decimal(self, name: str) -> Decimal | None:
        value = self.raw(name)
        return None if value is None else self._checked_decimal(name, value)

    def _checked_decimal(self, name: str, value: Any) -> Decimal:
        try:
            return read_decimal(value)
        except ValueError:
            shown = "" if isinstance(value, dict | list) else f", not {str(value)[:60]!r}"
            self.problem(escaped(name), f'must be a decimal number without exponent, such as "12.50"{shown}')
            return ZERO

    # --- time and place ---

    def instant(self, name: str) -> datetime:
        value = self._get(name, True)
        return EARLIEST if value is None else self._checked_instant(name, value)

    def optional_instant(self, name: str) -> datetime | None:
        value = self.raw(name)
        return None if value is None else self._checked_instant(name, value)

    def _checked_instant(self, name: str, value: Any) -> datetime:
        try:
            return read_instant(value)
        except ValueError as error:
            self.problem(escaped(name), str(error))
            return EARLIEST

    def day(self, name: str) -> date:
        value = self._get(name, True)
        found = EARLIEST.date() if value is None else self._checked_day_or_instant(name, value)
        if isinstance(found, datetime):
            self.problem(escaped(name), "must be a date, such as 2026-11-01")
            return found.date()
        return found

    def optional_day(self, name: str) -> date | None:
        return None if self.raw(name) is None else self.day(name)

    def day_or_instant(self, name: str) -> date | datetime:
        """A date (to be taken as a local midnight) or an instant."""
        value = self._get(name, True)
        return EARLIEST.date() if value is None else self._checked_day_or_instant(name, value)

    def optional_day_or_instant(self, name: str) -> date | datetime | None:
        value = self.raw(name)
        return None if value is None else self._checked_day_or_instant(name, value)

    def _checked_day_or_instant(self, name: str, value: Any) -> date | datetime:
        if isinstance(value, str) and _DATE.fullmatch(value):
            try:
                return read_day(value)
            except ValueError as error:
                self.problem(escaped(name), str(error))
                return EARLIEST.date()
        if isinstance(value, str) and "T" in value.upper():
            return self._checked_instant(name, value)
        self.problem(escaped(name), "must be a date (2026-11-01) or an instant (2026-11-01T08:00:00Z)")
        return EARLIEST.date()

    def currency(self, name: str) -> str:
        value = self._get(name, True)
        if value is None:
            return "EUR"
        if isinstance(value, str) and value in CURRENCY_DECIMALS:
            return str(value)
        self.problem(escaped(name), "must be the three-letter code of a currency (ISO 4217), such as EUR")
        return "EUR"

    def country(self, name: str) -> str:
        value = self._get(name, True)
        if value is None or (isinstance(value, str) and _COUNTRY.fullmatch(value)):
            return str(value or "")
        self.problem(escaped(name), "must be the two-letter code of a country (ISO 3166), such as FR")
        return ""

    def zone(self, name: str) -> ZoneInfo:
        value = self._get(name, True)
        if value is None:
            return ZoneInfo("UTC")
        try:
            return parse_zone(value if isinstance(value, str) else "")
        except ValueError:
            self.problem(escaped(name), "must be the name of a time zone (IANA), such as Europe/Paris")
            return ZoneInfo("UTC")

    # --- nesting ---

    def object(self, name: str) -> Fields | None:
        """The object in the field; None where it is absent."""
        value = self.raw(name)
        return None if value is None else self._child(value, escaped(name))

    def required_object(self, name: str) -> Fields:
        """The object in the field; where it is absent that is noted, and a stand-in answers every question."""
        value = self._get(name, True)
        if value is not None:
            return self._child(value, escaped(name))
        stand_in = Fields(None, f"{self.pointer}/{escaped(name)}", problems=[])
        return stand_in

    def objects(self, name: str, *, required: bool = False) -> list[Fields]:
        """The objects of a list; [] where it is absent."""
        return [
            self._child(item, f"{escaped(name)}/{index}")
            for index, item in enumerate(self.items(name, required=required))
        ]

    def items(self, name: str, *, required: bool = False) -> list[Any]:
        """The items of a list as they are; [] where it is absent."""
        value = self._get(name, required)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(escaped(name), f"must be a list, not {_kind(value)}")
            return []
        if len(value) > MAX_ITEMS:
            self.problem(escaped(name), f"has more than {MAX_ITEMS} items")
            return []
        return value

    def item(self, value: Any, path: str) -> Fields:
        """An object found at the path below this one."""
        return self._child(value, path)

    def _child(self, value: Any, path: str) -> Fields:
        child = Fields(value, f"{self.pointer}/{path}", problems=self._problems)
        self._children.append(child)
        return child


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def text_problem(value: Any, max_length: int) -> str | None:
    """What is wrong with a text; None where nothing is."""
    if not isinstance(value, str):
        return f"must be text, not {_kind(value)}"
    if not value.strip():
        return "must not be empty"
    if len(value) > max_length:
        return f"is longer than {max_length} characters"
    if not value.isprintable():
        return "holds a character that cannot be printed"
    return None


def key_problem(value: Any) -> str | None:
    """What is wrong with a key; None where nothing is. A key is a part of an address, so it has no slash."""
    detail = text_problem(value, MAX_KEY_LENGTH)
    if detail is not None:
        return detail
    if value != value.strip():
        return "begins or ends with a space"
    if "/" in value:
        return "holds a slash"
    if value in (".", ".."):
        return "cannot be addressed"
    return "is not UTF-8" if "\ufffd" in value else None


def read_decimal(value: Any) -> Decimal:
    """The number of a text, or of a JSON number read digit by digit. Raises ValueError for exponents and all else."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    if isinstance(value, int):
        value = str(value) if abs(value) < 10**60 else ""
    elif isinstance(value, Decimal):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("not a number")
    return parse_decimal(value)


def read_day(value: Any) -> date:
    """The day of a text such as 2026-11-01, after 1 January 1970. Raises ValueError with a sentence for whoever sent
    it."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date, such as 2026-11-01")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"there is no day {value}") from None
    if not EARLIEST.date() < day or day.year > _LAST_YEAR:
        raise ValueError(f"must lie between 1970 and {_LAST_YEAR}")
    return day


def read_instant(value: Any) -> datetime:
    """The instant of an RFC 3339 text from 1970 on. Raises ValueError with a sentence for whoever sent it."""
    if not isinstance(value, str):
        raise ValueError("must be an instant, such as 2026-11-01T08:00:00Z")
    instant = parse_instant(value)
    if instant < EARLIEST or instant.year > _LAST_YEAR:
        raise ValueError(f"must lie between {instant_text(EARLIEST)} and the year {_LAST_YEAR}")
    return instant


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, NumberText | int | Decimal):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def _forbidden_at(value: Any) -> str:
    """The path to the first text that may not be stored; a fault in a name is its object's."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if has_forbidden_text(item) and not has_forbidden_text(name):
            below = _forbidden_at(item)
            return escaped(str(name)) + (f"/{below}" if below else "")
    return ""
