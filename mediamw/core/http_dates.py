"""HTTP dates (RFC 9110, 5.6.7): three forms are read, one is written. Seconds since 1970, no time zone but GMT.

Own code, since email.utils (and werkzeug, which calls it) raises on dates far in the future and reads zones that HTTP
does not have; tests/test_werkzeug.py shows where they differ.
"""

from __future__ import annotations

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FULL_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, 1)}
_EPOCH_DAY = 719163  # date(1970, 1, 1).toordinal(): datetime is not loaded before there is a date to read or write
_LAST_SECOND = 253402300799  # 31 Dec 9999: the form has four digits for the year


def format_http_date(seconds: int) -> str:
    """Write IMF-fixdate. What the form cannot hold is clamped to 1970 or 9999."""
    from datetime import date

    days, rest = divmod(min(max(seconds, 0), _LAST_SECOND), 86400)
    day = date.fromordinal(_EPOCH_DAY + days)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    return (
        f"{_DAYS[day.weekday()]}, {day.day:02} {_MONTHS[day.month - 1]} {day.year:04} "
        f"{hour:02}:{minute:02}:{second:02} GMT"
    )


def parse_http_date(text: str, now: int) -> int | None:
    """Read IMF-fixdate, RFC 850 or asctime; None if it is none of them. ``now`` settles RFC 850's two-digit years."""
    words = text.strip(" \t").split(" ")
    if len(words) == 6 and words[5] == "GMT" and len(words[0]) == 4 and words[0][:3] in _DAYS and words[0][3] == ",":
        return _seconds(words[3], words[2], words[1], words[4])
    if len(words) == 4 and words[3] == "GMT" and words[0][-1:] == "," and words[0][:-1] in _FULL_DAYS:
        parts = words[1].split("-")
        if len(parts) == 3:
            return _rfc850(parts, words[2], now)
        return None
    if len(words) == 6 and words[2] == "":  # asctime pads the day with a space: two spaces in a row
        del words[2]
        words[2] = "0" + words[2]
    if len(words) == 5 and words[0] in _DAYS:
        return _seconds(words[4], words[1], words[2], words[3])
    return None


def _rfc850(parts: list[str], clock: str, now: int) -> int | None:
    from datetime import date

    day, month, year = parts
    number = _digits(year, 2)
    if number is None:
        return None
    days, rest = divmod(now, 86400)
    today = date.fromordinal(_EPOCH_DAY + days)
    full = today.year - today.year % 100 + number
    # 5.6.7: a date that appears to be more than 50 years in the future is the most recent year in the past with
    # the same last two digits. Both sides are digits of the same length, so text compares as time does.
    limit = f"{today.year + 50:04}{today.month:02}{today.day:02}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    if f"{full:04}{_MONTH_NUMBER.get(month, 0):02}{day}{clock}" > limit:
        full -= 100
    return _seconds(f"{full:04}", month, day, clock)


def _digits(text: str, length: int) -> int | None:
    return int(text) if len(text) == length and text.isascii() and text.isdigit() else None


def _seconds(year: str, month: str, day: str, clock: str) -> int | None:
    from datetime import date

    y, m, d = _digits(year, 4), _MONTH_NUMBER.get(month), _digits(day, 2)
    parts = clock.split(":")
    if y is None or m is None or d is None or len(parts) != 3:
        return None
    hour, minute, second = (_digits(part, 2) for part in parts)
    if hour is None or minute is None or second is None or hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(y, m, d).toordinal() - _EPOCH_DAY
    except ValueError:  # 31 February
        return None
    return days * 86400 + hour * 3600 + minute * 60 + second
