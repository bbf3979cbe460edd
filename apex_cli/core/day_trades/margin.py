"""The intraday margin standard: the margin level before and after an order, and what a deficit leads to.

FINRA Rule 4210(a)(17) to (19) and (d)(2), in force since 2026-06-04 (SR-FINRA-2025-017, SEC Release 34-105226).
The intraday margin level is the cash a customer could withdraw while still meeting the maintenance margin; a
transaction that lowers it while it is, or becomes, negative makes an intraday margin deficit. Closing lowers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from apex_cli.core.day_trades.count import following_sessions
from apex_cli.core.day_trades.regimes import worth
from apex_cli.core.model.account import AccountFacts, MarginPreview
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.side import OrderSide, PositionSide

MINIMUM_EQUITY = Usd(Decimal(2000))
"""Rule 4210(b)(4): below it nothing is bought on credit and nothing sold short."""

DE_MINIMIS_FRACTION = Decimal("0.05")
DE_MINIMIS_MOST = Usd(Decimal(1000))
"""Rule 4210(d)(2): a deficit up to the lesser of 5 % of equity and 1,000 USD makes no practice of not paying."""

CUSHION_FRACTION = Decimal("0.01")
"""Part of the net liquidation value below which a positive level is warned of."""

DEADLINE_SESSIONS = (3, 5, 15)
"""Trading days after a deficit: when Interactive Brokers wants it met, when a freeze may begin, when it lapses."""

FREEZE_DAYS = 90
PRACTICE_OCCASIONS = 4
PRACTICE_DAYS = 365
"""Interactive Brokers: four unmet deficits in twelve months may bring the restriction."""

LONG_RATE = Decimal("0.25")
SHORT_RATE = Decimal("0.30")
CHEAP_SHORT_RATE = Decimal(1)
SHORT_PER_SHARE = Decimal(5)
CHEAP_SHORT_PER_SHARE = Decimal("2.50")
CHEAP_PRICE = Decimal(5)
"""Rule 4210(c): long 25 %; short from 5 USD on max(30 %, 5 USD a share), below max(100 %, 2.50 USD a share)."""

REG_T_RATE = Decimal("0.50")
"""Regulation T, 12 CFR 220.12: initial margin, which brokers ask for at the end of the session."""

_NO_SECURITY = tuple(f"@{market}" for market in (MarketType.CRYPTO, MarketType.FOREX))

UNSET = Decimal("1e300")
"""Interactive Brokers fills fields it does not know with the largest double; nothing real is as large."""


class Level(Value, frozen=True, kw_only=True):
    """The intraday margin level before and after an order, USD; None where it is unknown."""

    before: Usd | None = None
    after: Usd | None = None
    is_estimate: bool = False
    """True: *after* comes from the rule's own rates, as the broker gave no preview. It never lets an order pass."""

    is_reducing: bool = False
    """The order lowers the level."""

    deficit: Usd = Usd(ZERO)
    """What would have to be paid in: the amount *after* lies below zero, if the order lowers the level."""

    is_de_minimis: bool = False
    """The deficit does not count toward a practice; it is a deficit all the same."""


class Deadlines(Value, frozen=True, kw_only=True):
    """When a deficit must be met."""

    ideally: date
    before_freeze: date
    lapses: date


def level_before(facts: AccountFacts) -> Usd | None:
    """Return equity with loan value - maintenance margin; None where either is not reported."""
    equity = _equity(facts)
    if equity is None or facts.maint_margin_req is None:
        return None
    return Usd(equity - facts.maint_margin_req)


def _equity(facts: AccountFacts) -> Usd | None:
    return worth(facts) if facts.equity_with_loan is None else facts.equity_with_loan


def _level_of(preview: MarginPreview | None) -> Decimal | None:
    """Return the level that the broker foresees; None when a part is missing or unset."""
    if preview is None or preview.equity_with_loan_after is None or preview.maint_margin_after is None:
        return None
    reported = (preview.equity_with_loan_after, preview.maint_margin_after, preview.init_margin_after)
    if any(value is not None and abs(value) >= UNSET for value in reported):
        return None
    return preview.equity_with_loan_after - preview.maint_margin_after


def maintenance_of(
    sec_type: SecType, side: OrderSide, quantity: Decimal, price: Decimal, *, multiplier: Decimal, leverage: int = 1
) -> Usd | None:
    """Return by how much opening lowers the margin level, at the rule's least rates; house rates are higher.

    Args:
        sec_type: kind of security.
        side: BUY opens long, SELL opens short.
        quantity: units that open.
        price: USD a unit.
        multiplier: 100 for an option contract.
        leverage: 2 or 3 for a leveraged fund: rates times it.

    Returns:
        USD; None for what the rates do not cover, such as short options.

    Source:
        FINRA Rule 4210(c)(1) to (3) and (f)(2); leveraged products by Regulatory Notice 09-53. A bought option is
        paid in full and has no loan value.
    """
    value = quantity * price * multiplier
    if sec_type is SecType.OPT or sec_type is SecType.WAR:
        return Usd(value) if side is OrderSide.BUY else None
    if sec_type is not SecType.STK:
        return None
    if side is OrderSide.BUY:
        return Usd(value * min(LONG_RATE * leverage, Decimal(1)))
    if price >= CHEAP_PRICE:
        return Usd(max(value * SHORT_RATE * leverage, quantity * SHORT_PER_SHARE))
    return Usd(max(value * CHEAP_SHORT_RATE, quantity * CHEAP_SHORT_PER_SHARE))


def margin_level(facts: AccountFacts, preview: MarginPreview | None, estimate: Usd | None, *, opens: bool) -> Level:
    """Return the level before and after an order.

    after = equity with loan after - maintenance margin after - maintenance reserved for other working openings; without
    a usable preview, before - *estimate* - that reserve. *estimate* is the maintenance margin of the order at the
    rule's rates; None when they do not cover it.
    """
    before = level_before(facts)
    if not opens:
        return Level(before=before)
    reserve = facts.working_open_orders_maint
    after: Decimal | None = None
    reported = _level_of(preview)
    if reported is not None:
        after = reported - reserve
    elif before is not None and estimate is not None:
        after = before - estimate - reserve
    is_reducing = before is None or after is None or after < before
    deficit = Usd(max(ZERO, -after)) if after is not None and is_reducing else Usd(ZERO)
    return Level(
        before=before,
        after=None if after is None else Usd(after),
        is_estimate=reported is None,
        is_reducing=is_reducing,
        deficit=deficit,
        is_de_minimis=bool(deficit) and is_de_minimis(deficit, _equity(facts)),
    )


def is_de_minimis(deficit: Decimal, equity: Decimal | None) -> bool:
    """Return whether *deficit* is at most the lesser of 5 % of *equity* and 1,000 USD; never when equity is unknown."""
    return equity is not None and deficit <= min(equity * DE_MINIMIS_FRACTION, DE_MINIMIS_MOST)


def overnight_margin(stock_value: Decimal) -> Usd:
    """Return what stocks worth *stock_value*, long and short, need once the session is over, USD.

    Source:
        Regulation T, 12 CFR 220.12: 50 % of the value of a margin equity security, long or short.
    """
    return Usd(stock_value * REG_T_RATE)


def stock_value(exposures: Iterable[Exposure]) -> Usd:
    """Return the gross value of stocks among *exposures*, working entries included, USD."""
    return Usd(sum((exposure.notional for exposure in exposures if "@" not in exposure.key), ZERO))


def cushion(facts: AccountFacts) -> Usd:
    """Return the level below which an order is warned of, USD."""
    return Usd((worth(facts) or ZERO) * CUSHION_FRACTION)


def creates_debit(facts: AccountFacts, side: OrderSide, notional: Decimal | None) -> bool:
    """Return whether opening borrows: a sale short always, a purchase beyond the cash; unknown cash counts as none."""
    if side is OrderSide.SELL or notional is None:
        return True
    return (facts.net_cash or ZERO) < notional


def deadlines(session: date) -> Deadlines:
    """Return the 3rd, 5th and 15th trading day after a deficit of *session*.

    Source:
        FINRA Rule 4210(d)(2): the close of the 5th business day, and of the 15th. The third is Interactive Brokers'.
    """
    days = following_sessions(session, max(DEADLINE_SESSIONS) + 1)
    ideally, before_freeze, lapses = (days[number] for number in DEADLINE_SESSIONS)
    return Deadlines(ideally=ideally, before_freeze=before_freeze, lapses=lapses)


def is_frozen(facts: AccountFacts, session: date) -> bool:
    """Return whether new debits and shorts are frozen on *session*, that day included."""
    return facts.frozen_until is not None and session <= facts.frozen_until


def frozen_until(session: date) -> date:
    """Return the last day of the freeze for a deficit of *session*: 90 calendar days after the 5th trading day.

    Source:
        FINRA Rule 4210(d)(2): a customer who makes a practice of not meeting deficits promptly.
    """
    return deadlines(session).before_freeze + timedelta(days=FREEZE_DAYS)


def reserve_for(exposures: Iterable[Exposure]) -> Usd:
    """Return the maintenance margin that working entries among *exposures* will take, at the rule's rates."""
    return _maintenance_of_all(exposure for exposure in exposures if exposure.is_working_entry)


def maintenance_held(exposures: Iterable[Exposure]) -> Usd:
    """Return the maintenance margin of the positions among *exposures*, at the rule's rates."""
    return _maintenance_of_all(exposure for exposure in exposures if not exposure.is_working_entry)


def _maintenance_of_all(exposures: Iterable[Exposure]) -> Usd:
    """Stocks take 25 % long and 30 % short; options, whose rates depend on more, their value; coins and pairs none."""
    total = ZERO
    for exposure in exposures:
        if exposure.key.endswith(_NO_SECURITY):
            continue
        rate = LONG_RATE if exposure.side is PositionSide.LONG else SHORT_RATE
        total += exposure.notional * (Decimal(1) if "@" in exposure.key else rate)
    return Usd(total)
