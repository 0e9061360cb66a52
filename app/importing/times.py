"""Which instant does the time written in a row name, and how long lies between two of them?

"2019-11-03 01:30" in America/Los_Angeles happens twice; it is read as the first, 08:30 UTC. "2019-03-10 02:30" never
happens; its row is in error. From 2019-11-03 00:30 to 03:30 there, 4 hours pass: elapsed time is measured between
instants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from app.domain.events import EARLIEST, microseconds
from app.domain.money import plain

ISO_8601 = "iso8601"

Unit = Literal["hours", "seconds"]
_MICROSECONDS = {"hours": 3_600_000_000, "seconds": 1_000_000}
_MAX_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class TimeRules:
    """How times are written.

    `formats`: "iso8601" or strptime patterns, tried in order. `zone`: of times without an offset.
    `repeated`: which of the two instants a repeated local time names. `skipped`: a local time that never happens is an
    error, or read with the offset before the change (02:30 becomes 03:30).
    """

    formats: tuple[str, ...] = (ISO_8601,)
    zone: ZoneInfo | None = None
    repeated: Literal["first", "second", "error"] = "first"
    skipped: Literal["error", "forward"] = "error"


def read_instant(text: str, rules: TimeRules) -> datetime:
    """The UTC instant that a text names; digits past the microsecond are cut off. Raises ValueError."""
    return _checked(text, rules, lambda moment: moment)


def read_stretch(start: str, end: str, rules: tuple[TimeRules, TimeRules], *, wraps: bool) -> tuple[datetime, datetime]:
    """The instants of a start and an end. With `wraps`, an end before the start is on the next local day.

    23:00 to 0:00 of the same date is one hour then; else it is an error.
    An end in a repeated hour is its second occurrence where only that is not before the start. Raises ValueError.
    """
    first = read_instant(start, rules[0])
    last = read_instant(end, rules[1])
    if last < first:
        later = _second_occurrence(end, rules[1])
        last = later if later >= first else last
    if last < first and wraps:
        last = _checked(end, rules[1], lambda moment: moment + timedelta(days=1))
    if last < first:
        raise ValueError(f"the end {end!r} is before the start {start!r}")
    return first, last


def elapsed(start: datetime, end: datetime, unit: Unit) -> str:
    """The time between two instants as a plain decimal: exact in seconds, in hours half up to 12 decimals.

    40 minutes are 2400 seconds, or 0.666666666667 hours.
    """
    passed = microseconds(end) - microseconds(start)
    size = _MICROSECONDS[unit]
    scaled = (2 * passed * 10**_MAX_DECIMALS + size) // (2 * size)
    return plain(Decimal(scaled).scaleb(-_MAX_DECIMALS))


def _checked(text: str, rules: TimeRules, adjust: Callable[[datetime], datetime]) -> datetime:
    try:
        instant = _instant(adjust(_parse(text.strip(), rules.formats)), text, rules)
    except OverflowError as error:
        raise ValueError(f"the time {text!r} is out of range") from error
    if instant < EARLIEST:
        raise ValueError(
            f"the time {text!r} is before 1970; if the file writes its years short (0014 for 2014), "
            "give their digits in a pattern, such as 00%y-%m-%d"
        )
    return instant


def _parse(text: str, formats: tuple[str, ...]) -> datetime:
    for pattern in formats:
        try:
            if pattern == ISO_8601:
                return datetime.fromisoformat(text)
            return datetime.strptime(text, pattern)  # noqa: DTZ007 (`_instant` gives it its zone)
        except ValueError:
            continue
    raise ValueError(f"the time {text!r} is not written as {' or '.join(formats)}")


def _instant(moment: datetime, text: str, rules: TimeRules) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if rules.zone is None:
        raise ValueError(f"the time {text!r} has no offset; give the mapping's time a `zone`")
    # For a local time that happens once, both folds have the same offset.
    first, second = (moment.replace(tzinfo=rules.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if first < second:
        return _repeated(first, second, text, rules)
    if rules.skipped == "error":
        raise ValueError(f"the local time {text!r} is skipped by the clock change in {rules.zone.key}")
    return first


def _repeated(first: datetime, second: datetime, text: str, rules: TimeRules) -> datetime:
    if rules.repeated == "error":
        raise ValueError(f"the local time {text!r} happens twice in {rules.zone}")
    return first if rules.repeated == "first" else second


def _second_occurrence(text: str, rules: TimeRules) -> datetime:
    return read_instant(text, TimeRules(rules.formats, rules.zone, repeated="second", skipped=rules.skipped))
