"""Which rate of a price by time holds at an instant, as the clocks of a zone show it?

With a rate from 08:00 to 20:00 on weekdays, use at 06:30 UTC on a Monday of July has it in Paris, where it is 08:30; in
January, at 07:30 there, it has the default price. Day, month and holiday are those that the local calendar shows at the
very instant, on both sides of midnight; where clocks go back, the hour that comes twice has one price.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.charge_models.models import MINUTES_A_DAY, WEEKDAYS, TimeOfUse, TimeRate, Weekday
from app.domain.periods import Period, hour_floor

_HOUR = timedelta(hours=1)
_LAST_MOMENT = _HOUR - timedelta(microseconds=1)


def rate_at(model: TimeOfUse, at: datetime, zone: ZoneInfo) -> int:
    """The number, from 1, of the first rate that holds at the instant; 0 where the default price does."""
    local = at.astimezone(zone)
    return _rate_on(model, local)


def divided_hours(model: TimeOfUse, period: Period, zone: ZoneInfo) -> list[datetime]:
    """The hours of UTC that share an instant with the period and do not have one rate throughout, by their starts.

    Only zones whose offset is no whole hour, rates that begin within one, and clocks that change within one make any.
    """
    borders = _borders(model)
    found: list[datetime] = []
    hour = hour_floor(period.start)
    while hour < period.end:
        if _is_divided(model, hour, zone, borders):
            found.append(hour)
        hour += _HOUR
    return found


def label_of(rate: TimeRate) -> str:
    """The hours of the rate: "08:00-20:00", with an en dash."""
    return f"{clock_text(rate.start)}\N{EN DASH}{clock_text(rate.end)}"


def clock_text(minutes: int) -> str:
    """Minutes of a day as its clock shows them: 480 is "08:00", 1440 "24:00"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _borders(model: TimeOfUse) -> tuple[timedelta, ...]:
    """The times of day at which the rate may change: those of the rates, and midnight, for the sake of the date."""
    minutes = {0} | {minute % MINUTES_A_DAY for rate in model.rates for minute in (rate.start, rate.end)}
    return tuple(timedelta(minutes=minute) for minute in sorted(minutes))


def _is_divided(model: TimeOfUse, hour: datetime, zone: ZoneInfo, borders: tuple[timedelta, ...]) -> bool:
    local = hour.astimezone(zone)
    if (hour + _LAST_MOMENT).astimezone(zone).utcoffset() != local.utcoffset():
        return True
    shown = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    # Without a change of the clocks local time goes on as UTC does.
    naive = local.replace(tzinfo=None)
    rate = _rate_on(model, naive)
    return any(
        _rate_on(model, naive + distance) != rate
        for border in borders
        if timedelta(0) < (distance := (border - shown) % timedelta(days=1)) < _HOUR
    )


def _rate_on(model: TimeOfUse, local: datetime) -> int:
    minute = local.hour * 60 + local.minute
    days = _days_shown(model, local)
    for number, rate in enumerate(model.rates, start=1):
        if (
            _is_between(minute, rate)
            and (not rate.weekdays or any(day in rate.weekdays for day in days))
            and (not rate.months or local.month in rate.months)
        ):
            return number
    return 0


def _days_shown(model: TimeOfUse, local: datetime) -> tuple[Weekday, ...]:
    """What the day counts as: a holiday is one, and a Sunday, whatever day of the week it falls on."""
    if model.holidays and local.date() in model.holidays:
        return "holiday", "sun"
    return (WEEKDAYS[local.weekday()],)


def _is_between(minute: int, rate: TimeRate) -> bool:
    if rate.start < rate.end:
        return rate.start <= minute < rate.end
    return minute >= rate.start or minute < rate.end
