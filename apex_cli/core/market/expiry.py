"""The end of an option contract: its last session, the days until then, and what it is worth at that moment.

A listed option trades until the close of its last session: the day it expires on, or the session before where that day
is none, such as Good Friday, or a Saturday of the years before 2015. Monthly options on some indexes are settled at
the opening instead: they trade for the last time on the session before.

Source:
    Cboe, "Equity options product specifications" and "S&P 500 Index options": expiration date, settlement value.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from apex_cli.core.market.calendar import FRIDAY, NEW_YORK, is_session, previous_sessions, session_bounds
from apex_cli.core.model.fill import Settlement
from apex_cli.core.model.instrument import Instrument, OptionRight
from apex_cli.core.model.money import ZERO, Price

AT_THE_OPENING = frozenset({"SPX", "NDX", "RUT", "DJX", "MNX"})
"""Indexes whose monthly options are settled at the opening; those of another trading class, such as SPXW, are not."""

IN_CASH = AT_THE_OPENING | {"XSP", "OEX", "XEO", "VIX", "XND", "MRUT"}
"""Indexes whose options pay cash: there are no shares to deliver."""

THIRD_WEEK = range(15, 22)
"""Days of a month on which its third Friday may fall."""


def is_settled_at_opening(instrument: Instrument) -> bool:
    """Return whether *instrument* is a monthly option on an index that is settled at the opening of its last day."""
    if instrument.expiry is None or instrument.symbol not in AT_THE_OPENING:
        return False
    day = date.fromisoformat(instrument.expiry)
    friday = day + timedelta(days=FRIDAY - day.weekday())
    is_monthly = friday.day in THIRD_WEEK and (day == friday or not is_session(friday))
    return is_monthly and instrument.trading_class in {"", instrument.symbol}


def is_cash_settled(instrument: Instrument) -> bool:
    """Return whether the exercise of *instrument* pays cash and delivers nothing."""
    return instrument.symbol in IN_CASH


def settlement_session(instrument: Instrument) -> date | None:
    """Return the session whose price decides what *instrument* is worth in the end; None for what does not expire."""
    if instrument.expiry is None:
        return None
    day = date.fromisoformat(instrument.expiry)
    return day if is_session(day) else previous_sessions(day, 1)[0]


def last_trade_at(instrument: Instrument) -> datetime | None:
    """Return the close of the last session in which *instrument* trades, aware UTC; None for what does not expire."""
    day = settlement_session(instrument)
    if day is None:
        return None
    if is_settled_at_opening(instrument):
        day = previous_sessions(day, 1)[0]
    bounds = session_bounds(day)
    return None if bounds is None else bounds[1]


def settled_at(instrument: Instrument) -> datetime | None:
    """Return when the value of *instrument* is decided, aware UTC: the opening or the close of its last day."""
    day = settlement_session(instrument)
    bounds = None if day is None else session_bounds(day)
    if bounds is None:
        return None
    return bounds[0] if is_settled_at_opening(instrument) else bounds[1]


def has_expired(instrument: Instrument, now: datetime) -> bool:
    """Return whether *instrument* is an option that does not trade any more at *now*; an unspecified one always may."""
    last = last_trade_at(instrument)
    return last is not None and now >= last


def days_left(instrument: Instrument, now: datetime) -> int | None:
    """Return the calendar days from *now* to the last session, below 0 after it; None for what does not expire."""
    last = last_trade_at(instrument)
    if last is None:
        return None
    left = (last.astimezone(NEW_YORK).date() - now.astimezone(NEW_YORK).date()).days
    return min(left, -1) if now >= last else left


def is_adjusted(instrument: Instrument) -> bool:
    """Return whether *instrument* delivers something else than its underlying, after a split or a merger: ``AAPL1``.

    Source:
        Options Clearing Corporation, "Contract adjustments": an adjusted contract carries a number behind its symbol.
    """
    name, symbol = instrument.trading_class, instrument.symbol
    return name != symbol and name.startswith(symbol) and name.removeprefix(symbol).isdigit()


def intrinsic_value(instrument: Instrument, underlying: Price) -> Price:
    """Return what one unit of the option is worth when its underlying stands at *underlying* and no time is left.

    call: max(0, underlying - strike); put: max(0, strike - underlying).
    """
    strike = instrument.strike or ZERO
    gain = underlying - strike if instrument.right is OptionRight.CALL else strike - underlying
    return Price(max(gain, ZERO))


def settlement_of(value: Price, *, is_long: bool) -> Settlement:
    """Return how a holding ends whose contract is worth *value* at its expiry: a cent in the money is exercised.

    Source:
        Options Clearing Corporation, Rule 805: exercise by exception from 0.01 in the money.
    """
    if value <= ZERO:
        return Settlement.EXPIRED
    return Settlement.EXERCISED if is_long else Settlement.ASSIGNED
