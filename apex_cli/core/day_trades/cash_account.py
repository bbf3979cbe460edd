"""Cash accounts: when trades settle, and which sales are good-faith violations or free-riding.

Neither the day-trade count nor the intraday margin standard holds here: Regulation T, 12 CFR 220.8, does. A purchase
must be paid with settled cash, or not be sold before the money that pays for it has settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from apex_cli.core.day_trades.flow import Countable, in_trade_order, security_of
from apex_cli.core.market.calendar import is_session, session_date
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.wording import money

MONDAY = 0
OCTOBER, NOVEMBER = 10, 11
SECOND_WEEK = range(8, 15)
VETERANS_DAY = 11
ONE_DAY = timedelta(days=1)

CYCLES = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2), (date.min, 3))
"""First trade date and settlement days after it: Exchange Act Rule 15c6-1 as amended. Options always took one day."""


def is_settlement_day(day: date) -> bool:
    """Return whether trades settle on *day*: a session on which banks work, too.

    On Columbus Day and Veterans Day the exchanges trade and nothing settles.

    Source:
        NASD Notices to Members 92-54 and 99-83.
    """
    return is_session(day) and not _is_bank_holiday(day)


def _is_bank_holiday(day: date) -> bool:
    if day.month == OCTOBER:
        return day.weekday() == MONDAY and day.day in SECOND_WEEK
    if day.month != NOVEMBER:
        return False
    is_observed = day.weekday() == MONDAY and day.day == VETERANS_DAY + 1
    return day.day == VETERANS_DAY or is_observed


def settlement_date(traded: date, sec_type: SecType = SecType.STK) -> date:
    """Return the day on which a trade of session *traded* settles: the next settlement day since 2024-05-28."""
    days = 1 if sec_type is SecType.OPT else next(days for since, days in CYCLES if traded >= since)
    day = traded
    while days:
        day += ONE_DAY
        days -= is_settlement_day(day)
    return day


def proceeds_settle_on(fills: Iterable[Countable], security: str, today: date) -> date | None:
    """Return from when on *security* may be sold without a good-faith violation; None when it may be now.

    See ``proceeds_settle_by_security``.
    """
    return proceeds_settle_by_security(fills, today).get(security)


def proceeds_settle_by_security(fills: Iterable[Countable], today: date) -> dict[str, date]:
    """Return from when on securities may be sold without a good-faith violation; those that may be now are left out.

    A purchase that came after a sale whose proceeds have not settled may have been paid with them. Without amounts
    it is taken to have been.

    Args:
        fills: executions of the account, in any order.
        today: the session they would be sold in.

    Source:
        12 CFR 220.8(a) and (c); three such violations in twelve months usually restrict an account for 90 days.
    """
    unsettled: date | None = None
    free_from: dict[str, date] = {}
    for fill in in_trade_order(fills):
        key = security_of(fill)
        if key is None:
            continue
        if fill.side is OrderSide.SELL:
            settles = settlement_date(session_date(fill.filled_at), _sec_type(fill))
            unsettled = settles if unsettled is None else max(unsettled, settles)
        elif unsettled is not None and unsettled > session_date(fill.filled_at):
            free_from[key] = max(unsettled, free_from.get(key, unsettled))
    return {key: day for key, day in free_from.items() if day > today}


def _sec_type(fill: Countable) -> SecType:
    if isinstance(fill, Fill):
        return SecType.OPT if fill.instrument.expiry else SecType.STK
    return fill.sec_type


def review_purchase(facts: AccountFacts, notional: Decimal | None, session: date) -> tuple[Reason | None, bool]:
    """Return what speaks against a purchase, and whether that blocks it.

    Settled cash pays for it: nothing. Cash that has not settled is needed: a warning not to sell before it has.
    There is not enough cash at all, or a number is missing: blocked.
    """
    if facts.settled_cash is None or notional is None:
        missing = "settled cash" if facts.settled_cash is None else "the order's price"
        return Reason(code="settled_cash_unknown", message=f"A cash account needs {missing} to be known."), True
    if notional <= facts.settled_cash:
        return None, False
    limit, value = f"at most {money(facts.settled_cash)}", money(notional)
    cash = facts.settled_cash if facts.net_cash is None else max(facts.net_cash, facts.settled_cash)
    if notional > cash:
        message = (
            f"The purchase costs {money(notional)}, and there is {money(cash)}: to sell it before it is paid for "
            "is free-riding and freezes the account for 90 days."
        )
        return Reason(code="free_riding", message=message, limit=limit, value=value), True
    until = settlement_date(session)
    message = (
        f"Only {money(facts.settled_cash)} of {money(notional)} is settled: selling before the rest has settled, "
        f"{until} at the latest, is a good-faith violation."
    )
    return Reason(code="unsettled_funds", message=message, limit=limit, value=value), False


def review_sale(facts: AccountFacts, free_from: date | None) -> tuple[Reason, ...]:
    """Return the warnings for a sale of something held; it is never blocked.

    *free_from* is that of ``proceeds_settle_on``.
    """
    warnings: list[Reason] = []
    if free_from is not None:
        message = f"It may have been bought with money that settles on {free_from}: a good-faith violation before then."
        warnings.append(Reason(code="good_faith", message=message, limit=f"from {free_from} on"))
    if facts.net_cash is not None and facts.net_cash < ZERO:
        message = f"Cash is {money(facts.net_cash)}: selling what was never paid for is free-riding."
        warnings.append(Reason(code="free_riding", message=message, value=money(facts.net_cash)))
    return tuple(warnings)
