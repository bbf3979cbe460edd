"""Fields of executions as files spell them, to ours: one strict reading each, and errors that name the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sized
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from apex_cli.core.adapters.files.cells import read_when, read_zone
from apex_cli.core.adapters.files.problems import Problems
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import FIRST_YEAR, LAST_YEAR, NEW_YORK
from apex_cli.core.model.currency import CURRENCIES
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.instrument import HOME_CURRENCY, PAIR_MARKS, MarketType, OptionRight
from apex_cli.core.model.money import Price
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.spelling import Hints, SpellingError, canonical

MAX_FILE = 50_000_000
"""Largest file of executions, in bytes."""

MARKETS = {
    SecType.STK: MarketType.EQUITY,
    SecType.OPT: MarketType.OPTIONS,
    SecType.CASH: MarketType.FOREX,
    SecType.CRYPTO: MarketType.CRYPTO,
}
"""Kinds of securities that apex has a canonical spelling for."""

MAX_SYMBOL = 40
MAX_QUANTITY = Decimal(10) ** 12
SHOWN = 40

SIDES = {"BUY": OrderSide.BUY, "BOT": OrderSide.BUY, "SELL": OrderSide.SELL, "SLD": OrderSide.SELL}


CON_ID_DIGITS = 12
"""Longest number of a contract."""


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


def collected(where: str, **reads: Callable[[], object]) -> dict[str, Any]:
    """Return what each of *reads* returns, by its name.

    Raises:
        InputError: some of them cannot be read; all are named at once.
    """
    problems = Problems()
    found = {name: problems.tried(read) for name, read in reads.items()}
    problems.stop_or_first(where)
    return found


def moment(value: object, where: str) -> datetime:
    """Return an aware time as UTC, inside the calendar with a window before it.

    Raises:
        InputError: it is no time, has no offset, or its year is taken for a mistake.
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
    return as_utc(at, where)


def as_utc(at: datetime, where: str) -> datetime:
    """Return *at* as UTC.

    Raises:
        InputError: its year is taken for a mistake.
    """
    if not FIRST_YEAR < at.year < LAST_YEAR:
        years = f"{FIRST_YEAR + 1} to {LAST_YEAR - 1}"
        raise invalid(where, f"{at.isoformat()} is outside the years {years}", "the time of a trade")
    return at.astimezone(UTC)


def flex_moment(value: str, where: str, order: str, zone: str) -> datetime:
    """Return a time of a report, which stands in New York's wall time unless it names a zone, as UTC.

    Args:
        value: the text of the report.
        where: for the reader of an error.
        order: ``mdy`` or ``dmy``, what 07/08/2026 means.
        zone: the zone of times that name none; empty: New York.

    Raises:
        InputError: it is no time, or its year is taken for a mistake.
    """
    when = read_when(re.sub(r"[;,\s]+", " ", value.strip()), order)
    if when is None:
        raise invalid(where, f"{shown(value)} is no time", "the form 20261124;103000")
    if when.clock is None:
        raise invalid(where, f"{shown(value)} has no time of day", "the form 20261124;103000")
    own = read_zone(zone) if zone else None
    at = when.naive.replace(tzinfo=when.zone or own or NEW_YORK)
    return as_utc(at, where)


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


def security_key(name: str, kind: SecType, currency: str = "") -> str:
    """Return the identity of a security as ``Instrument.key`` spells it; each option series is its own.

    >>> security_key("AAPL", SecType.STK), security_key("AAPL 261218C00150000", SecType.OPT)
    ('AAPL', 'AAPL@options 2026-12-18 C150')
    """
    market = MARKETS.get(kind)
    if market is None:
        return f"{name}@{kind.lower()}"
    try:
        found = canonical(name, Hints(market_type=market, currency="" if market in PAIR_MARKS else currency))
    except SpellingError:
        return name if market is MarketType.EQUITY else f"{name}@{market}"
    return f"{name}@{market}" if found.is_unspecified else found.key


def currency(value: object) -> str:
    """Return the currency of a row, empty for dollars and for what is none: then it says nothing."""
    text = str(value or "").strip().upper()
    return text if text in CURRENCIES and text != HOME_CURRENCY else ""


def con_id(value: object) -> int:
    """Return Interactive Brokers' number of a contract; 0 for what is none."""
    text = str(value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= CON_ID_DIGITS else 0


def option_key(underlying: str, expiry: str, right: str, strike: Decimal) -> str:
    """Return the identity of an option series."""
    terms = Hints(
        market_type=MarketType.OPTIONS, expiry=expiry, right=OptionRight(right), strike=Price(strike.normalize())
    )
    try:
        return canonical(underlying, terms).key
    except SpellingError:
        return f"{underlying}@{MarketType.OPTIONS}"


def flex_date(value: str, where: str, order: str) -> date | None:
    """Return a date of a report, None when it is empty.

    Raises:
        InputError: it is no date.
    """
    if not value.strip():
        return None
    when = read_when(value.strip(), order)
    if when is None:
        raise invalid(where, f"{shown(value)} is no date", "the form 20261124")
    return when.day


def one_account(found: Collection[str], name: str, account: str) -> str:
    """Return the account whose rows count; empty when the file names none.

    Raises:
        InputError: there are several and none is chosen, or the chosen one is not among them.
    """
    named = sorted(text for text in found if text)
    if account:
        if not named:
            return ""
        hits = [text for text in named if text == account or _is_masked(text, account)]
        if len(hits) == 1:
            return hits[0]
        raise invalid(name, f"holds no account {shown(account)}, only {', '.join(map(_masked, named))}", "one of them")
    if len(named) > 1:
        reported = ", ".join(map(_masked, named))
        raise invalid(
            name, f"holds {len(named)} accounts: {reported}", "--account with one of them, or a report of one account"
        )
    return named[0] if named else ""


def _masked(text: str) -> str:
    return text[:2] + "*" * max(len(text) - 4, 0) + text[-2:] if len(text) > 4 else text  # noqa: PLR2004 - what is left


def _is_masked(text: str, account: str) -> bool:
    """Return True when a file shows *account* with stars: ``U***4567``."""
    if "*" not in text:
        return False
    begin, end = text.split("*", 1)[0], text.rsplit("*", 1)[1]
    return account.startswith(begin) and account.endswith(end)


def nothing_countable(name: str, reasons: Mapping[str, int]) -> InputError:
    """Return the error for a file without a trade that counts: it says what is there instead."""
    reported = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count) or "no rows"
    return InputError(
        "no_executions",
        f"{name} holds no trade that counts: {reported}.",
        hint="Export the trades (executions, filled orders) of the account, with their times.",
        details={"file": name, "rows": {reason: count for reason, count in reasons.items() if count}},
    )


class Option(NamedTuple):
    """An option series as its name spells it."""

    root: str
    expiry: date
    right: str
    """C or P."""

    strike: Decimal

    key: str
    """Identity of the series, as ``Instrument.key`` spells it."""


def read_option(text: str) -> Option | None:
    """Return the option series that a symbol or a description names, None when it names none.

    >>> read_option("SPY 4/17/2026 Call $600.00").key, read_option("-F260417P9.5").key
    ('SPY@options 2026-04-17 C600', 'F@options 2026-04-17 P9.5')
    >>> read_option("AAPL 20MAR26 200 C").key, read_option("AAPL")
    ('AAPL@options 2026-03-20 C200', None)
    """
    try:
        found = canonical(text.strip().removeprefix("-").replace(",", ""))
    except SpellingError:
        return None
    if found.expiry is None or found.strike is None or found.right is None:
        return None
    return Option(found.symbol, date.fromisoformat(found.expiry), found.right, found.strike, found.key)
