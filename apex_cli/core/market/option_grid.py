"""The options that the simulation and the paper venue list: a grid, as no exchange lists them for us.

Expiries: each Friday of the next nine weeks, and the third Friday of the next twelve months; the session before where a
Friday is none. Strikes: from 70 % to 130 % of the price, in steps of 0.5 below 25, 1 below 100, 2.5 below 200, 5 below
500, and 10 from there on.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from apex_cli.core.market.calendar import FRIDAY, is_session, nth_weekday, previous_sessions
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, ceil_to_step
from apex_cli.core.model.option_rule import OptionChain

WEEKS, MONTHS = 9, 12
STEPS = ((25, "0.5"), (100, "1"), (200, "2.5"), (500, "5"))
HIGHEST_STEP = Decimal(10)
LOWEST, HIGHEST = Decimal("0.7"), Decimal("1.3")


def grid_of(underlying: Instrument, price: Price, today: date) -> OptionChain:
    """Return the options on *underlying* that are listed *today*, New York, with its price at *price*."""
    return OptionChain(
        underlying=underlying,
        expiries=tuple(day.isoformat() for day in expiries(today)),
        strikes=strikes(price),
    )


def expiries(today: date) -> tuple[date, ...]:
    """Return the listed expiries from *today* on, rising."""
    friday = today + timedelta(days=(FRIDAY - today.weekday()) % 7)
    weeklies = {friday + timedelta(days=7 * week) for week in range(WEEKS)}
    months = [(today.year + (today.month - 1 + n) // 12, (today.month - 1 + n) % 12 + 1) for n in range(MONTHS + 1)]
    monthlies = {nth_weekday(year, month, FRIDAY, 3) for year, month in months}
    days = (day if is_session(day) else previous_sessions(day, 1)[0] for day in weeklies | monthlies)
    return tuple(sorted({day for day in days if day >= today}))


def strikes(price: Price) -> tuple[Price, ...]:
    """Return the listed strikes around *price*, rising.

    >>> [str(strike) for strike in strikes(Price(Decimal(4)))]
    ['3.0', '3.5', '4.0', '4.5', '5.0']
    """
    step = next((Decimal(step) for below, step in STEPS if price < below), HIGHEST_STEP)
    found, strike = [], ceil_to_step(price * LOWEST, step)
    while strike <= price * HIGHEST:
        found.append(Price(strike))
        strike += step
    return tuple(found)
