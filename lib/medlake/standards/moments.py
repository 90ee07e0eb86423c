"""FHIR's dates and times as text with a precision: comparison and boundaries."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

DATE_KINDS = ("date", "dateTime", "instant", "time")
DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)
TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?")
EARLIEST_ZONE, LATEST_ZONE = "+14:00", "-12:00"  # where a day begins first and ends last


def compared(left: str, right: str) -> Any:
    """-1, 0 or 1 in time; None where the precision does not tell; NotImplemented where one is no date."""
    a, b = DATE.fullmatch(left), DATE.fullmatch(right)
    if a is None or b is None:
        return NotImplemented
    mine, yours = _parts(a), _parts(b)
    if mine is None or yours is None:
        return NotImplemented
    if len(mine) > 3 and len(yours) > 3 and bool(a[7]) != bool(b[7]):
        return None  # a time with a zone and one without
    for x, y in zip(mine, yours, strict=False):
        if x != y:
            return -1 if x < y else 1
    return 0 if len(mine) == len(yours) else None


def _parts(found: re.Match[str]) -> list[Any] | None:
    """Year, month, … as far as given; a time with a zone in UTC. None where there is no such day."""
    parts: list[Any] = [Decimal(p) for p in found.groups()[:6] if p is not None]
    if len(parts) < 3:
        return parts
    try:
        year, month, day, *clock = [int(p) for p in parts[:5]]
        moment = datetime(year, month, day) + timedelta(hours=sum(clock[:1]), minutes=sum(clock[1:]))
    except (ValueError, OverflowError):
        return None
    zone = found[7]
    if zone and zone != "Z":
        sign = -1 if zone[0] == "+" else 1
        try:
            moment += sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        except OverflowError:
            return None
    return [moment.year, moment.month, moment.day, moment.hour, moment.minute][: len(parts)] + parts[5:]


def boundary(value: Any, *, is_low: bool, hint: str | None) -> list[Any]:
    """The least or greatest value that a number, date or time of its precision can stand for.

    A dateTime without zone reaches from the earliest zone of the earth to the latest. `hint` is the type of a plain
    text; without it a text without hours is a date.
    """
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | Decimal):
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        half = Decimal(5).scaleb(int(exponent) - 1)
        return [number - half if is_low else number + half]
    if not isinstance(value, str):
        return []
    if (found := TIME.fullmatch(value)) is not None:
        return [_time(found[1], found[2], found[3], found[4], is_low)]
    found = DATE.fullmatch(value)
    if found is None:
        return []
    return _date(found, getattr(value, "kind", None) or hint or ("dateTime" if found[4] else "date"), is_low)


def _date(found: re.Match[str], kind: str, is_low: bool) -> list[Any]:
    year, month = found[1], found[2] or ("01" if is_low else "12")
    if not (1 <= int(month) <= 12 and int(year) > 0):
        return []
    day = found[3] or ("01" if is_low else f"{monthrange(int(year), int(month))[1]:02d}")
    if kind == "date":
        return [f"{year}-{month}-{day}"]
    seconds, _, fraction = (found[6] or "").partition(".")
    clock = _time(found[4], found[5], seconds or None, f".{fraction}" if fraction else None, is_low)
    return [f"{year}-{month}-{day}T{clock}{found[7] or (EARLIEST_ZONE if is_low else LATEST_ZONE)}"]


def _time(hour: str | None, minute: str | None, second: str | None, fraction: str | None, is_low: bool) -> str:
    hour = hour or ("00" if is_low else "23")
    minute, second = minute or ("00" if is_low else "59"), second or ("00" if is_low else "59")
    return f"{hour}:{minute}:{second}." + (fraction or ".")[1:].ljust(3, "0" if is_low else "9")
