"""Fields of executions as files spell them, to ours: one strict reading each, which raises ``Refused`` for another."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import FIRST_YEAR, LAST_YEAR, NEW_YORK
from apex_cli.core.model.currency import CURRENCIES
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.instrument import HOME_CURRENCY, PAIR_MARKS, MarketType, OptionRight
from apex_cli.core.model.money import Price
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.spelling import Hints, named
from apex_cli.core.text import cells
from apex_cli.core.text.cells import read_when, read_zone
from apex_cli.core.text.problems import Problems, Refused, invalid, shown

MAX_FILE = 50_000_000
"""Largest file of executions, in bytes."""

MARKETS = {
    SecType.STK: MarketType.EQUITY,
    SecType.OPT: MarketType.OPTIONS,
    SecType.CASH: MarketType.FOREX,
    SecType.CRYPTO: MarketType.CRYPTO,
}
"""Kinds of securities that apex has a canonical spelling for."""

TIME_ALLOWED = "a time with its offset, such as 2026-11-24T10:30:00-05:00"
MAX_SYMBOL = 40
MAX_QUANTITY = Decimal(10) ** 12

SIDES = {"BUY": OrderSide.BUY, "BOT": OrderSide.BUY, "SELL": OrderSide.SELL, "SLD": OrderSide.SELL}


_JOINED = (
    r"(\d{8}|\d{4}-\d\d-\d\d|\d\d/\d\d/(?:\d{4}|\d\d)|\d\d-[A-Za-z]{3}-\d\d)"
    r"((?:\d{6}|\d\d:\d\d(?::\d\d)?)(?: [A-Z]{2,4})?)"
)

CON_ID_DIGITS = 12
"""Longest number of a contract."""


def collected(where: str, **reads: Callable[[], object]) -> dict[str, Any]:
    """Return what each of *reads* returns, by its name.

    Raises:
        InputError: some of them cannot be read; all are named at once.
    """
    problems = Problems()
    found = {name: problems.tried(read) for name, read in reads.items()}
    problems.stop_or_first(where)
    return found


def moment(value: object) -> datetime:
    """Return an aware time as UTC, inside the calendar with a window before it."""
    if not isinstance(value, str):
        raise Refused(TIME_ALLOWED)
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise Refused(TIME_ALLOWED, f"{shown(value)} is no time") from None
    if at.tzinfo is None:
        raise Refused(TIME_ALLOWED, f"{shown(value)} has no offset from UTC")
    return as_utc(at)


def as_utc(at: datetime) -> datetime:
    """Return *at* as UTC."""
    if not FIRST_YEAR < at.year < LAST_YEAR:
        years = f"{FIRST_YEAR + 1} to {LAST_YEAR - 1}"
        raise Refused("the time of a trade", f"{at.isoformat()} is outside the years {years}")
    return at.astimezone(UTC)


def apart(text: str) -> str:
    """Return a time of a Flex report with a blank before its time of day, where the query sets no separator.

    Source: "Date/Time Separator ... No separator", the settings of a Flex query, and DATETIME_SEPARATORS in
    https://github.com/csingley/ibflex, ibflex/parser.py.

    >>> apart("07/16/2026103000"), apart("16-JUL-2610:30:00"), apart("20260716;103000")
    ('07/16/2026 103000', '16-JUL-26 10:30:00', '20260716;103000')
    """
    found = re.fullmatch(_JOINED, text)
    return f"{found[1]} {found[2]}" if found else text


def flex_moment(text: str, order: str, zone: str) -> datetime:
    """Return a time of a report, which stands in New York's wall time unless it names a zone, as UTC.

    *order* is ``mdy`` or ``dmy``, what 07/08/2026 means; *zone* is that of times that name none, empty for New York.
    """
    when = read_when(re.sub(r"[;,\s]+", " ", apart(text.strip())), order)
    if when is None or when.clock is None:
        lacks = "is no time" if when is None else "has no time of day"
        raise Refused("the form 20261124;103000", f"{shown(text)} {lacks}")
    own = read_zone(zone) if zone else None
    return as_utc(when.naive.replace(tzinfo=when.zone or own or NEW_YORK))


def flex_date(text: str, order: str) -> date | None:
    """Return a date of a report, None when it is empty."""
    if not text.strip():
        return None
    when = read_when(text.strip(), order)
    if when is None:
        raise Refused("the form 20261124", f"{shown(text)} is no date")
    return when.day


def any_number(value: object, allowed: str = "a number") -> Decimal:
    """Return a number, infinities and NaN among them."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Refused(allowed)
    written = cells.number(value) if isinstance(value, str) else None
    try:
        return Decimal(value) if written is None else written
    except ArithmeticError:
        raise Refused(allowed, f"{shown(value)} is no number") from None


def amount(value: object, allowed: str = "a number") -> Decimal:
    """Return a finite decimal."""
    number = any_number(value, allowed)
    if not number.is_finite() or abs(number) > MAX_QUANTITY:
        raise Refused(allowed, f"{shown(str(value))} is no usable number")
    return number


def signed(value: object) -> Decimal:
    """Return a number that is not zero."""
    number = amount(value)
    if not number:
        raise Refused("a number", f"found {shown(str(value))}")
    return number


def positive(value: object) -> Decimal:
    """Return a number above zero."""
    allowed = "a number above 0"
    number = amount(value, allowed)
    if number <= 0:
        raise Refused(allowed, f"found {shown(str(value))}")
    return number


def side(value: object) -> OrderSide:
    """Return BUY or SELL."""
    found = SIDES.get(value.strip().upper()) if isinstance(value, str) else None
    if found is None:
        raise Refused("BUY, SELL")
    return found


def sec_type(value: object) -> SecType:
    """Return the kind of security."""
    try:
        return SecType(value.strip().upper() if isinstance(value, str) else "")
    except ValueError:
        raise Refused(", ".join(SecType), f"unknown security type {shown(value)}") from None


def symbol(value: object) -> str:
    """Return a symbol in capitals."""
    text = " ".join(value.split()).upper() if isinstance(value, str) else ""
    if not text or len(text) > MAX_SYMBOL or not text.isprintable():
        raise Refused(f"a symbol of 1 to {MAX_SYMBOL} characters, in quotes")
    return text


def name(value: object) -> str:
    """Return an identity as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Refused("a text or a whole number")
    return str(value).strip()


REQUIRED = object()
"""Stands for the default of a field that has none."""

Fields = Mapping[str, tuple[Callable[[Any], Any], object]]
"""Field -> its parser, and what stands for it where it is left out; in the order in which problems are named."""


def read_fields(
    given: Mapping[Any, object], fields: Fields, where: str, problems: Problems, *, needed: str
) -> dict[str, Any]:
    """Return the values of *fields*; what is wrong with them is noted, and stands as None.

    Args:
        given: what a file gives, by field.
        fields: how each is read.
        where: the fields stand.
        problems: takes what is wrong.
        needed: which fields are, for the reader of an error.
    """
    found: dict[str, Any] = {}
    for name_, (parse, default) in fields.items():
        value, at = given.get(name_), f"{where}.{name_}"
        if value is not None and value != "":
            found[name_] = problems.read(parse, value, at)
        elif default is REQUIRED:
            problems.take(invalid(at, "is missing", needed))
        else:
            found[name_] = default
    return found


def security_key(name: str, kind: SecType, currency: str = "") -> str:
    """Return the identity of a security as ``Instrument.key`` spells it; each option series is its own.

    >>> security_key("AAPL", SecType.STK), security_key("AAPL 261218C00150000", SecType.OPT)
    ('AAPL', 'AAPL@options 2026-12-18 C150')
    """
    market = MARKETS.get(kind)
    if market is None:
        return f"{name}@{kind.lower()}"
    found = named(name, Hints(market_type=market, currency="" if market in PAIR_MARKS else currency))
    if found is None and market is MarketType.EQUITY:
        return name
    return f"{name}@{market}" if found is None or found.is_unspecified else found.key


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
    found = named(underlying, terms)
    return f"{underlying}@{MarketType.OPTIONS}" if found is None else found.key


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
    found = named(text.strip().removeprefix("-").replace(",", ""))
    if found is None or found.expiry is None or found.strike is None or found.right is None:
        return None
    return Option(found.symbol, date.fromisoformat(found.expiry), found.right, found.strike, found.key)
