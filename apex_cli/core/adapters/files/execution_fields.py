"""Fields of executions as files spell them, to ours: one strict reading each, and errors that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from datetime import UTC, date, datetime
from decimal import Decimal

from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import (
    FIRST_DAY,
    LAST_DAY,
    NEW_YORK,
    CalendarEndError,
    previous_sessions,
    session_date,
)
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.order import OrderSide

MAX_FILE = 50_000_000
"""Largest file of executions, in bytes."""

MAX_SYMBOL = 40
MAX_QUANTITY = Decimal(10) ** 12
SHOWN = 40
WINDOW_REACH = 30
"""Sessions before a moment that its window may need."""

SIDES = {"BUY": OrderSide.BUY, "BOT": OrderSide.BUY, "SELL": OrderSide.SELL, "SLD": OrderSide.SELL}
_OCC = re.compile(r"([A-Z][A-Z0-9.]{0,5}) *([0-9]{2})([0-9]{2})([0-9]{2})([CP])([0-9]{8})")
_FLEX_TIME = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})[;, T]+(\d{2}):?(\d{2}):?(\d{2})(?: +(?:E[SD]T|US/Eastern))?")


def invalid(where: str, problem: str, allowed: str = "") -> InputError:
    """Return the one error for a file that cannot be used: where it is, what is wrong, what is allowed."""
    hint = f"Allowed: {allowed}." if allowed else "Correct the file and run it again."
    return InputError("input_invalid", f"{where}: {problem}.", hint=hint, details={"where": where})


def shown(value: object) -> str:
    """Return *value* short and printable; what holds others is counted, as it may be nested without end."""
    if isinstance(value, Sized) and not isinstance(value, str | bytes):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)} values"
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def moment(value: object, where: str) -> datetime:
    """Return an aware time as UTC, inside the calendar with a window before it.

    Raises:
        InputError: it is no time, has no offset, or lies outside the calendar.
    """
    allowed = "a time with its offset, such as 2026-11-24T10:30:00-05:00"
    if not isinstance(value, str):
        raise invalid(where, f"found {shown(value)}", allowed)
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise invalid(where, f"{shown(value)} is no time", allowed) from None
    if at.tzinfo is None:
        raise invalid(where, f"{shown(value)} has no offset from UTC", allowed)
    return in_calendar(at, where)


def in_calendar(at: datetime, where: str) -> datetime:
    """Return *at* as UTC.

    Raises:
        InputError: it lies outside the calendar.
    """
    try:
        utc = at.astimezone(UTC)
        previous_sessions(session_date(utc), WINDOW_REACH)
    except (CalendarEndError, OverflowError):
        raise invalid(
            where,
            f"{at.isoformat()} is outside the NYSE calendar, which covers {FIRST_DAY} to {LAST_DAY}",
            "a time inside it; a newer apex knows more years",
        ) from None
    return utc


def flex_moment(value: str, where: str) -> datetime:
    """Return a time of a Flex report, which stands in New York's wall time without an offset, as UTC.

    Raises:
        InputError: it is no time, or lies outside the calendar.
    """
    found = _FLEX_TIME.fullmatch(value.strip())
    try:
        numbers = [int(part) for part in found.groups()] if found else []
        at = datetime(*numbers, tzinfo=NEW_YORK)  # type: ignore[arg-type,misc]  # six numbers, or TypeError
    except (TypeError, ValueError):
        raise invalid(where, f"{shown(value)} is no time", "the form 20261124;103000") from None
    return in_calendar(at, where)


def number(value: object, where: str, *, allow_zero: bool = False, allow_negative: bool = False) -> Decimal:
    """Return a finite decimal.

    Raises:
        InputError: it is none, zero, negative, or far too large.
    """
    allowed = f"a number{'' if allow_negative else ' above 0' if not allow_zero else ' from 0 on'}"
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise invalid(where, f"found {shown(value)}", allowed)
    try:
        result = Decimal(str(value).strip().replace(",", "")) if isinstance(value, str) else Decimal(value)
    except ArithmeticError:
        raise invalid(where, f"{shown(value)} is no number", allowed) from None
    if not result.is_finite() or abs(result) > MAX_QUANTITY:
        raise invalid(where, f"{shown(str(value))} is no usable number", allowed)
    if (not result and not allow_zero) or (result < 0 and not allow_negative):
        raise invalid(where, f"found {shown(str(value))}", allowed)
    return result


def side(value: object, where: str) -> OrderSide:
    """Return BUY or SELL.

    Raises:
        InputError: it is neither.
    """
    found = SIDES.get(value.strip().upper()) if isinstance(value, str) else None
    if found is None:
        raise invalid(where, f"found {shown(value)}", "BUY, SELL")
    return found


def sec_type(value: object, where: str) -> SecType:
    """Return the kind of security.

    Raises:
        InputError: it is unknown.
    """
    try:
        return SecType(value.strip().upper() if isinstance(value, str) else "")
    except ValueError:
        raise invalid(where, f"unknown security type {shown(value)}", ", ".join(SecType)) from None


def symbol(value: object, where: str) -> str:
    """Return a symbol in capitals.

    Raises:
        InputError: it is empty, too long or no text.
    """
    text = " ".join(value.split()).upper() if isinstance(value, str) else ""
    if not text or len(text) > MAX_SYMBOL or not text.isprintable():
        raise invalid(where, f"found {shown(value)}", f"a symbol of 1 to {MAX_SYMBOL} characters, in quotes")
    return text


def name(value: object, where: str) -> str:
    """Return an identity as text, empty when there is none.

    Raises:
        InputError: it is neither text nor a whole number.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise invalid(where, f"found {shown(value)}", "a text or a whole number")
    return str(value).strip()


def security_key(name: str, kind: SecType) -> str:
    """Return the identity of a security as ``Instrument.key`` spells it; each option series is its own.

    >>> security_key("AAPL", SecType.STK), security_key("AAPL 261218C00150000", SecType.OPT)
    ('AAPL', 'AAPL@options 2026-12-18 C150')
    """
    match kind:
        case SecType.STK:
            return name
        case SecType.OPT:
            found = _OCC.fullmatch(name)
            if not found:
                return f"{name}@{MarketType.OPTIONS}"
            root, year, month, day, right, strike = found.groups()
            return option_key(root, f"20{year}-{month}-{day}", right, Decimal(strike) / 1000)
        case SecType.CASH:
            return f"{name}@{MarketType.FOREX}"
        case SecType.CRYPTO:
            return f"{name}@{MarketType.CRYPTO}"
        case _:
            return f"{name}@{kind.lower()}"


def option_key(underlying: str, expiry: str, right: str, strike: Decimal) -> str:
    """Return the identity of an option series."""
    whole = strike.normalize()
    price = Price(whole if whole.as_tuple().exponent in {0, -1, -2, -3} else Decimal(f"{whole:f}"))
    return make_instrument(underlying, MarketType.OPTIONS, expiry=expiry, right=OptionRight(right), strike=price).key


def flex_date(value: str, where: str) -> date | None:
    """Return a date of a Flex report, None when it is empty.

    Raises:
        InputError: it is no date.
    """
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise invalid(where, f"{shown(value)} is no date", "the form 20261124") from None
