"""Cells of files: numbers and times in every common spelling, read exactly or refused.

One cell is often unclear (``1,234``, ``11/12/2026``); the other cells of the file decide, or a setting does. What
stays unclear is never guessed: the two readings are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

MAX_CELL = 60
"""Longest number or time, in characters."""

NOTHING = frozenset({"", "null", "none", "nan", "n/a", "na", "#n/a", "-", "--", "nat", "nil", "<na>", "."})
"""How files write that there is no value, in small letters."""

SUFFIXES = {"k": 3, "m": 6, "b": 9, "t": 12}
DOT, COMMA = ".", ","

_STRIPPED = {ord(sign): None for sign in "$€£¥₹'\u2019\u200b\ufeff\u200e\u200f"}
_TIDY = str.maketrans({**_STRIPPED, 0x2212: "-", 0xA0: " ", 0x202F: " ", 0x2009: " "})
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_GROUPED = r"([+-]?[0-9]{1,3}(?:[, ][0-9]{2,3})*[, ][0-9]{3})((?:\.[0-9]*)?)"
_SWAP = str.maketrans(".,", ",.")

_PROOFS = (
    r"[+-]?[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}\.[0-9]*",
    r"[+-]?[0-9]*\.(?:[0-9]{1,2}|[0-9]{4,})",
    r"[+-]?(?:0|[0-9]{4,})?\.[0-9]+",
    r"[+-]?[0-9]{1,3}(?:,[0-9]{2,3})+,[0-9]{3}",
)
_UNCLEAR = r"[+-]?[1-9][0-9]{0,2}([.,])[0-9]{3}"


@cache
def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return the compiled pattern: a file needs few of them, and compiling all takes as long as reading it."""
    return re.compile(text, flags)


def tidy(text: str) -> str:
    """Return a cell without what spreadsheets put around a value: blanks, currency signs, ``="..."``."""
    text = text.translate(_TIDY).strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1].strip()
    return text


def is_nothing(text: str) -> bool:
    """Return True when a cell says that there is no value."""
    return not text or tidy(text).lower() in NOTHING


def decimal_proof(text: str) -> str:
    """Return ``.`` or ``,`` where a cell proves which sign is the decimal one, ``?`` where it has two readings.

    >>> [decimal_proof(text) for text in ("1.25", "1,25", "1,234.5", "1.234", "1,234", "7")]
    ['.', ',', '.', '?', '?', '']
    """
    text = tidy(text).rstrip("%").strip("()") if len(text) <= MAX_CELL else ""
    if DOT not in text and COMMA not in text:
        return ""
    if any(_pattern(proof).fullmatch(text) for proof in _PROOFS):
        return DOT
    swapped = text.translate(_SWAP)
    if any(_pattern(proof).fullmatch(swapped) for proof in _PROOFS):
        return COMMA
    return "?" if _pattern(_UNCLEAR).fullmatch(text) else ""


class Decimals(NamedTuple):
    """What the cells of a file say about their decimal sign."""

    sign: str
    """``.`` or ``,``."""

    unclear: str = ""
    """A cell with two readings where nothing decides; empty when all is clear."""

    mixed: str = ""
    """A cell that contradicts another one; empty when none does."""


def find_decimals(texts: Iterable[str], *, set_to: str = "", comma_is_likely: bool = False) -> Decimals:
    """Return the decimal sign of *texts*.

    Args:
        texts: cells that hold numbers.
        set_to: the sign that a setting names; empty: find it out.
        comma_is_likely: True in files split by semicolons, where one group after a dot is unclear, too.
    """
    if set_to:
        return Decimals(set_to)
    proofs: dict[str, str] = {}
    unclear = ""
    for text in texts:
        proof = decimal_proof(text)
        if proof in {DOT, COMMA}:
            proofs.setdefault(proof, text)
        elif proof == "?" and not unclear and (COMMA in text or comma_is_likely):
            unclear = text
    if len(proofs) > 1:
        return Decimals(DOT, mixed=proofs[COMMA])
    if proofs:
        return Decimals(next(iter(proofs)))
    return Decimals(DOT, unclear=unclear)


def exact(text: str) -> Decimal | None:
    """Return a number that is written plainly, None when it is not.

    >>> exact("-1.50"), exact("1e3"), exact("1,234"), exact("NaN")
    (Decimal('-1.50'), Decimal('1E+3'), None, None)
    """
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def number(text: str, sign: str = DOT) -> Decimal | None:
    """Return the exact number in a cell, None when it holds none.

    >>> number("$1,234.50"), number("1.234,5", ","), number("(7)"), number("1.2M"), number("1,23")
    (Decimal('1234.50'), Decimal('1234.5'), Decimal('-7'), Decimal('1200000'), None)
    """
    if len(text) > MAX_CELL:
        return None
    if _PLAIN.fullmatch(text) and sign == DOT:
        return Decimal(text)
    return _number(tidy(text), sign)


def _number(text: str, sign: str) -> Decimal | None:
    if text.startswith("(") and text.endswith(")"):
        inner = _number(text[1:-1].strip(), sign)
        return None if inner is None else -inner
    power = SUFFIXES.get(text[-1:].lower(), 0)
    if power:
        text = text[:-1].strip()
    if sign == COMMA:
        text = text.translate(_SWAP)
    if found := _pattern(_GROUPED, re.ASCII).fullmatch(text):
        text = found[1].replace(COMMA, "").replace(" ", "") + found[2]
    if not _PLAIN.fullmatch(text):
        return None
    value = Decimal(text)
    return value if not power else Decimal(f"{value.scaleb(power):f}")


def number_readings(text: str) -> tuple[Decimal | None, Decimal | None]:
    """Return both meanings of an unclear number, the one with its sign between thousands first.

    >>> number_readings("1,234"), number_readings("1.234")
    ((Decimal('1234'), Decimal('1.234')), (Decimal('1234'), Decimal('1.234')))
    """
    thousands, decimal = (DOT, COMMA) if COMMA in text else (COMMA, DOT)
    return number(text, thousands), number(text, decimal)


def fraction(text: str, sign: str) -> Decimal | None:
    """Return a part of one: ``85%`` and ``0.85`` are the same; None when it is no number."""
    bare = tidy(text)
    if not bare.endswith("%"):
        return number(text, sign)
    value = number(bare[:-1].strip(), sign)
    return None if value is None else value / 100


# ---- times ------------------------------------------------------------------------------------------------------

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
GERMAN_MONTHS = {"mär": 3, "mrz": 3, "mai": 5, "okt": 10, "dez": 12}
_MONTH_NUMBERS = {**{name: number for number, name in enumerate(MONTHS, start=1)}, **GERMAN_MONTHS}
_OFFSETS = {
    "Z": 0,
    "UTC": 0,
    "GMT": 0,
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
}
_OFFSET = r"(?:GMT|UTC)?([+-])([0-9]{1,2})(?::?([0-5][0-9]))?"
_FURTHEST_ZONE = timedelta(hours=14)
_ZONES = {"ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles"}
_DATE = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
    r"(?:(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})"
    r"|(?P<compact>\d{8})"
    r"|(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y2>\d{4}|\d{2})"
    r"|(?P<d3>\d{1,2})[-/. ]*(?P<n3>[^\W\d_]{3,9})\.?[-/, ]*(?P<y3>\d{4}|\d{2})"
    r"|(?P<n4>[^\W\d_]{3,9})\.? +(?P<d4>\d{1,2})(?:st|nd|rd|th)?,? +(?P<y4>\d{4})"
    r"|(?P<y5>\d{4})[-/ ](?P<n5>[^\W\d_]{3,9})[-/ ](?P<d5>\d{1,2}))"
)
_CLOCK = (
    r"(?:(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?: *(?P<half>[AaPp])\.?[Mm]\b\.?)?"
    r"|(?P<h12>\d{1,2})[- ]?(?P<half12>[AaPp])\.?[Mm]\b\.?|(?P<hms>\d{6}|\d{4}))"
)
_ZONE = (
    r"(?: *[(\[]?(?:(?:GMT|UTC)(?=[+-]))?(?P<zone>Z|[+-]\d{1,2}(?::?\d{2})?|[A-Z]{2,4}"
    r"|[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+){1,2})[)\]]?)?"
)
_WHEN = rf"{_DATE}(?:(?:T|[;, ]+|[;,] *at +| at +){_CLOCK}{_ZONE})?"
_CLOCK_ONLY = rf"{_CLOCK}{_ZONE}"
_CLOCK_FIRST = rf"(?=\d{{1,2}}:){_CLOCK}{_ZONE},? +{_DATE}"
_EPOCH = r"([0-9]{9,10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:\.([0-9]{1,9}))?"
_LONG = r"([12][0-9]{3})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})?"
_UTC_STAMP = r"[0-9]{8}-[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
"""How the FIX protocol and Interactive Brokers write a moment of UTC, such as ``20260716-14:30:05``.

Source: UTCTimestamp, https://www.fixtrading.org/standards/tagvalue-online/; "yyyymmdd-hh:mm:ss in UTC", note 2174 of
https://interactivebrokers.github.io/tws-api/message_codes.html.
"""
_CENTURY_TURN = 70
_NOON = 12
_UNITS = {9: 1, 10: 1, 13: 1000, 16: 10**6, 19: 10**9}
"""Digits of an epoch stamp -> how many of its units are a second."""

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class When(NamedTuple):
    """A time as a cell writes it."""

    day: date
    clock: time | None = None
    """Wall time; None: a date alone."""

    zone: tzinfo | None = None
    """None: the cell names no zone."""

    is_epoch: bool = False

    @property
    def naive(self) -> datetime:
        """Return the wall time without its zone."""
        return datetime.combine(self.day, self.clock or time())

    def at(self, zone: tzinfo) -> datetime:
        """Return the moment as aware UTC; *zone* stands in for one that the cell does not name.

        Raises:
            OverflowError: it is outside the years that Python knows.
        """
        return self.naive.replace(tzinfo=self.zone or zone).astimezone(UTC)


def read_zone(name: str) -> tzinfo | None:
    """Return the time zone that a word names, None when it names none."""
    word = name.strip().strip("()")
    if word.upper() in _OFFSETS:
        hours = _OFFSETS[word.upper()]
        return timezone(timedelta(hours=hours)) if hours else UTC
    if found := _pattern(_OFFSET, re.IGNORECASE).fullmatch(word):
        span = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if span > _FURTHEST_ZONE:
            return None
        return timezone(-span if found[1] == "-" else span) if span else UTC
    return _named_zone(_ZONES.get(word.upper(), word))


@lru_cache(maxsize=64)
def _named_zone(name: str) -> tzinfo | None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*", name):
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return None


def read_when(text: str, order: str = "") -> When | None:
    """Return the time in a cell, None when it holds none.

    Args:
        text: the cell.
        order: ``mdy`` or ``dmy``, what ``07/08/2026`` means; a ``strptime`` format reads what nothing else does.

    >>> read_when("16-JUL-26;10:30:00").naive.isoformat(), read_when("07/08/2026", "dmy").day.isoformat()
    ('2026-07-16T10:30:00', '2026-08-07')
    >>> read_when("1056979800").naive.isoformat(), read_when("soon")
    ('2003-06-30T13:30:00', None)
    >>> read_when("10:14 AM 07/16/2026").naive.isoformat(), read_when("20260716-14:30:05").at(UTC).isoformat()
    ('2026-07-16T10:14:00', '2026-07-16T14:30:05+00:00')
    """
    text = tidy(text)
    if not text or len(text) > MAX_CELL:
        return None
    try:
        if "%" in order:
            return _formatted(text, order)
        if text[4:5] == "-" and text[:4].isdecimal() and (when := _iso(text)):
            return when
        return _epoch(text) or _long(text) or _utc_stamp(text) or _written(text, order)
    except (ValueError, OverflowError):
        return None


def _formatted(text: str, form: str) -> When:
    found = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is looked at by the caller
    has_clock = any(mark in form for mark in ("%H", "%I", "%T", "%X", "%c", "%f"))
    return When(found.date(), found.time() if has_clock else None, found.tzinfo)


def _iso(text: str) -> When | None:
    """Return a time in the form of ISO 8601: the commonest one, and by far the fastest to read."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return When(found.date(), found.time() if len(text) > len("2026-11-24") else None, found.tzinfo)


def _epoch(text: str) -> When | None:
    found = _pattern(_EPOCH).fullmatch(text)
    if not found:
        return None
    whole, part = found.groups()
    unit = _UNITS[len(whole)]
    nanoseconds = int(whole) * (10**9 // unit) + (int((part or "0").ljust(9, "0")) // unit)
    at = BEGIN + timedelta(microseconds=nanoseconds // 1000)
    return When(at.date(), at.time(), UTC, is_epoch=True)


def _long(text: str) -> When | None:
    found = _pattern(_LONG).fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    return When(date(year, month, day), time(hour, minute, second))


def _utc_stamp(text: str) -> When | None:
    if not _pattern(_UTC_STAMP).fullmatch(text):
        return None
    at = datetime.fromisoformat(f"{text[:8]}T{text[9:24]}")
    return When(at.date(), at.time(), UTC)


def _written(text: str, order: str) -> When | None:
    found = _pattern(_WHEN, re.IGNORECASE).fullmatch(text) or _pattern(_CLOCK_FIRST, re.IGNORECASE).fullmatch(text)
    if not found:
        return None
    day = _day(found, order)
    if day is None:
        return None
    clock = _clock(found)
    zone = None
    if found["zone"]:
        zone = read_zone(found["zone"])
        if zone is None:
            return None
    return When(day, clock, zone)


def _day(found: re.Match[str], order: str) -> date | None:
    if found["y1"]:
        return date(int(found["y1"]), int(found["m1"]), int(found["d1"]))
    if compact := found["compact"]:
        return date(int(compact[:4]), int(compact[4:6]), int(compact[6:]))
    for number_ in "345":
        if name := found[f"n{number_}"]:
            month = _MONTH_NUMBERS.get(name[:3].lower())
            return None if month is None else date(_year(found[f"y{number_}"]), month, int(found[f"d{number_}"]))
    first, second = int(found["a"]), int(found["b"])
    month, day = (second, first) if order == "dmy" else (first, second)
    return date(_year(found["y2"]), month, day)


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) > 2 else year + (1900 if year >= _CENTURY_TURN else 2000)  # noqa: PLR2004 - two digits


def _clock(found: re.Match[str]) -> time | None:
    if digits := found["hms"]:
        return time(int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0))
    hour_text = found["h"] or found["h12"]
    if not hour_text:
        return None
    hour = int(hour_text)
    if half := found["half"] or found["half12"]:
        if not 1 <= hour <= _NOON:
            raise ValueError("no hour")
        hour = hour % _NOON + (_NOON if half in "pP" else 0)
    return time(hour, int(found["mi"] or 0), int(found["s"] or 0), int((found["f"] or "0").ljust(6, "0")[:6]))


def read_clock(text: str) -> tuple[time, tzinfo | None] | None:
    """Return the wall time in a cell of its own and its zone if it names one; None when it holds none."""
    text = tidy(text)
    found = _pattern(_CLOCK_ONLY).fullmatch(text) if len(text) <= MAX_CELL else None
    try:
        if found is None:
            return _short_clock(text)
        clock = _clock(found)
        return None if clock is None else (clock, read_zone(found["zone"]) if found["zone"] else None)
    except ValueError:
        return None


def _short_clock(text: str) -> tuple[time, tzinfo | None] | None:
    """Return a time written as a number: ``93000`` and ``930`` are half past nine."""
    if not text.isascii() or not text.isdecimal() or len(text) not in {1, 3, 5}:
        return None
    digits = text.rjust(6 if len(text) == 5 else 4, "0")  # noqa: PLR2004 - hours, minutes and seconds
    return time(int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0)), None


class DateOrder(NamedTuple):
    """What dates such as 07/08/2026 mean in one file."""

    order: str
    """``mdy`` or ``dmy``; empty where nothing decides."""

    unclear: str = ""
    """A date with two readings where nothing decides."""

    mixed: str = ""
    """A date that contradicts another one."""


_DOTTED = r"\d{1,2}\.\d{1,2}\."
_NUMBERS = r"(?:[A-Za-z]{3,9},? +)?(\d{1,2})[-/.](\d{1,2})[-/.](?:\d{4}|\d{2})(?!\d)"


def find_order(texts: Iterable[str], *, set_to: str, likely: str = "", only_weekdays: bool = False) -> DateOrder:
    """Return whether the month or the day comes first in dates whose year comes last.

    Args:
        texts: cells that hold dates.
        set_to: what a setting says; empty: find it out.
        likely: what holds where no date decides: the order of a known source.
        only_weekdays: True for securities that are not traded at weekends: a reading with weekends is none.
    """
    if set_to:
        return DateOrder(set_to)
    proofs: dict[str, str] = {}
    unclear: list[str] = []
    for text in texts:
        proof = order_proof(text)
        if proof == "?":
            unclear.append(text)
        elif proof:
            proofs.setdefault(proof, text)
    if len(proofs) > 1:
        return DateOrder("mdy", mixed=proofs["dmy"])
    proved = next(iter(proofs), "" if unclear else "mdy") or _dotted(unclear) or likely
    if not proved and only_weekdays:
        proved = _without_weekends(unclear)
    return DateOrder(proved) if proved else DateOrder("", unclear=unclear[0])


def order_proof(text: str) -> str:
    """Return the order that a date proves, ``?`` where it has two readings, an empty text where it has one."""
    found = _pattern(_NUMBERS).match(tidy(text))
    if not found:
        return ""
    first, second = int(found[1]), int(found[2])
    if first > _NOON >= second:
        return "dmy"
    if second > _NOON >= first:
        return "mdy"
    return "?" if first != second else ""


def _dotted(texts: Sequence[str]) -> str:
    """Return the order of dates such as 07.08.2026: whoever writes dots puts the day first; empty for other signs."""
    return "dmy" if all(_pattern(_DOTTED).match(tidy(text)) for text in texts) else ""


def _without_weekends(texts: Sequence[str]) -> str:
    """Return the one order under which all *texts* are weekdays; empty when both are or none is."""
    fitting = [order for order in ("mdy", "dmy") if all(_is_weekday(text, order) for text in texts)]
    return fitting[0] if len(fitting) == 1 else ""


def _is_weekday(text: str, order: str) -> bool:
    when = read_when(text, order)
    return when is not None and when.day.weekday() < 5  # noqa: PLR2004 - Saturday


def two_readings(text: str) -> str:
    """Return both meanings of an unclear date in words."""
    month_first, day_first = read_when(text, "mdy"), read_when(text, "dmy")
    if month_first is None or day_first is None:
        return "month or day first"
    return f"{month_first.day:%d %B %Y} with the month first, {day_first.day:%d %B %Y} with the day first"
