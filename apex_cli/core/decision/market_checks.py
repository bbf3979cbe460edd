"""Checks of permission and market: trading state, symbols, hours, price collar, day trades."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache

from msgspec.structs import replace

from apex_cli.core.day_trades.gate import GateOrder, GateVerdict, Ground, judge_order
from apex_cli.core.day_trades.margin import maintenance_held, reserve_for, stock_value
from apex_cli.core.day_trades.regimes import UNLIMITED, facts_of
from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.market.calendar import FIRST_DAY, LAST_DAY, NEW_YORK, market_time
from apex_cli.core.market.option_value import THEORETICAL
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import Check, Exposure, Regime, TradingMode
from apex_cli.core.model.execution import SEC_TYPE_OF_MARKET
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.order import Phase
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import EVERYTHING
from apex_cli.core.model.risk_limits import OnObstacle
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.spelling import canonical_tickers
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.model.wording import percent, percent_beside, plain, price
from apex_cli.core.positions.holding import flat_from

FROM_SIGNAL = "signal"
"""Source of a quote that is the signal's own price."""


def trading_state(ctx: CheckContext) -> Check:
    """Trading is active: neither halted nor reducing."""
    mode = ctx.snapshot.trading_mode
    passed = mode is TradingMode.ACTIVE
    if passed and not ctx.describe:
        return passing("trading_state")
    why = f": {ctx.snapshot.trading_mode_reason}" if ctx.snapshot.trading_mode_reason else ""
    return verdict(
        "trading_state",
        passed=passed,
        limit=TradingMode.ACTIVE.value,
        value=mode.value,
        message=f"Trading is {mode.value}{why}. Nothing is opened until it is resumed.",
    )


def instrument_blocked(ctx: CheckContext) -> Check:
    """The security has no order of unknown outcome."""
    passed = ctx.key not in ctx.snapshot.blocked_instruments
    if passed and not ctx.describe:
        return passing("instrument_blocked")
    return verdict(
        "instrument_blocked",
        passed=passed,
        limit="nothing unknown",
        value="nothing unknown" if passed else "an unknown outcome",
        message=f"{ctx.key} has an order of unknown outcome. The broker is asked again with apex reconcile.",
    )


def reconciled(ctx: CheckContext) -> Check:
    """Our books and the broker's agree on the security, and on the account as a whole."""
    locks = ctx.snapshot.locks
    if not locks and not ctx.describe:
        return passing("reconciled")
    lock = next((each for each in locks if each.key in {ctx.key, EVERYTHING}), None)
    if lock is None:
        return verdict("reconciled", passed=True, limit="as at the broker", value="as at the broker", message="")
    return verdict(
        "reconciled",
        passed=False,
        limit=f"{lock.theirs or 'nothing'} at the broker",
        value=f"{lock.ours or 'nothing'} here ({', '.join(lock.codes)})",
        message=f"{lock.message} Nothing is opened until apex reconcile clears it.",
    )


def symbol_allowed(ctx: CheckContext) -> Check:
    """The symbol is on the allow list, if there is one, and not on the deny list, in whatever spelling.

    A ticker denies every security of that name, and allows the one in dollars and options on it.
    """
    allow, deny = ctx.risk.allow_symbols, ctx.risk.deny_symbols
    instrument, symbol = ctx.signal.instrument, ctx.signal.instrument.symbol
    is_listed = not allow or not {instrument.key, instrument.bars_name, instrument.called}.isdisjoint(_canonical(allow))
    is_denied = bool(deny) and not {instrument.key, symbol, instrument.called}.isdisjoint(_canonical(deny))
    passed = is_listed and not is_denied
    if passed and not ctx.describe:
        return passing("symbol_allowed")
    limit = "not in risk.deny_symbols" if is_denied or not allow else "in risk.allow_symbols"
    wrong = "is in risk.deny_symbols" if is_denied else "is not in risk.allow_symbols"
    return verdict("symbol_allowed", passed=passed, limit=limit, value=symbol, message=f"{symbol} {wrong}.")


@cache
def _canonical(symbols: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for text in symbols for name in canonical_tickers(text))


def shorting_allowed(ctx: CheckContext) -> Check:
    """A sale that opens is allowed."""
    passed = ctx.side is OrderSide.BUY or ctx.risk.allow_short
    if passed and not ctx.describe:
        return passing("shorting_allowed")
    return verdict(
        "shorting_allowed",
        passed=passed,
        limit="BUY or SELL" if ctx.risk.allow_short else "BUY",
        value=ctx.side.value,
        message="The signal opens with a sale, and risk.allow_short is off.",
    )


def borrowable(ctx: CheckContext) -> Check:
    """What a sale opens can be borrowed, as far as the broker reports it."""
    passed = ctx.risk.on_no_borrow is OnObstacle.WARN or not _lacks_borrow(ctx)
    if passed and not ctx.describe:
        return passing("borrowable")
    found = ctx.snapshot.quote.shortable if ctx.snapshot.quote else None
    return verdict(
        "borrowable",
        passed=passed,
        limit="what the broker can borrow",
        value="not reported" if found is None else plain(found),
        message=f"{_few_to_borrow(ctx)} risk.on_no_borrow: warn sends it, and the broker looks for them.",
    )


def _lacks_borrow(ctx: CheckContext) -> bool:
    quote, sized = ctx.snapshot.quote, ctx.sized
    found = quote.shortable if quote and ctx.side is OrderSide.SELL else None
    return found is not None and isinstance(sized, Sized) and found < sized.quantity


def _few_to_borrow(ctx: CheckContext) -> str:
    found = ctx.snapshot.quote.shortable if ctx.snapshot.quote else None
    return f"The broker can borrow {plain(found or ZERO)} of {ctx.key} to sell short."


def not_halted(ctx: CheckContext) -> Check:
    """Trading in the security is not halted, as far as the broker reports it."""
    is_halted = _is_halted(ctx)
    passed = ctx.risk.on_halt is OnObstacle.WARN or not is_halted
    if passed and not ctx.describe:
        return passing("not_halted")
    return verdict(
        "not_halted",
        passed=passed,
        limit="trading",
        value="halted" if is_halted else "trading, or not reported",
        message=f"Trading in {ctx.key} is halted. risk.on_halt: warn sends the entry, and it waits for the resumption.",
    )


def _is_halted(ctx: CheckContext) -> bool:
    return ctx.snapshot.quote is not None and ctx.snapshot.quote.is_halted is True


def obstacle_warnings(ctx: CheckContext) -> tuple[Reason, ...]:
    """Return what the broker may hold the entry for, where that does not refuse it."""
    found = []
    if _lacks_borrow(ctx) and ctx.risk.on_no_borrow is OnObstacle.WARN:
        message = f"{_few_to_borrow(ctx)} It may hold the order until it has located more."
        found.append(Reason(code="borrowable", message=message))
    if _is_halted(ctx) and ctx.risk.on_halt is OnObstacle.WARN:
        found.append(Reason(code="not_halted", message=f"Trading in {ctx.key} is halted; the entry waits."))
    return tuple(found)


BEFORE_OPENING, BEFORE_CLOSING = timedelta(minutes=2), timedelta(minutes=10)
"""How long before an auction its orders must be there: NYSE takes them until 09:28 and 15:50."""


def market_hours(ctx: CheckContext) -> Check:
    """The market takes the entry now: it is open, or the auction is still to come; unless hours are not enforced.

    A session that the calendar does not know takes no entry in any case.
    """
    market = ctx.snapshot.market
    if not market.is_certain:
        return verdict(
            "market_hours",
            passed=False,
            limit=f"a session from {FIRST_DAY} to {LAST_DAY}",
            value=market.session_date,
            message=f"Session {market.session_date} lies outside the NYSE calendar, which covers {FIRST_DAY} to "
            f"{LAST_DAY}. Nothing is opened on it. Correct the clock, or install a newer apex.",
        )
    phase = ctx.limits.entry_order(ctx.signal.strategy).order_type.row.phase
    if phase is not Phase.ANY and (ctx.risk.enforce_market_hours or not _has_auctions(ctx)):
        return _auction_hours(ctx, phase)
    passed = market.is_open or not ctx.risk.enforce_market_hours
    if passed and not ctx.describe:
        return passing("market_hours")
    why = f" ({market.why})" if market.why else ""
    opens = f"; it opens at {market_time(market.opens_at)}" if market.opens_at else ""
    return verdict(
        "market_hours",
        passed=passed,
        limit="open" if ctx.risk.enforce_market_hours else "any hour",
        value=("open" if market.is_open else "closed") + why,
        message=f"The market is closed{why}{opens}.",
    )


def _has_auctions(ctx: CheckContext) -> bool:
    return ctx.signal.instrument.market_type in {MarketType.EQUITY, MarketType.OPTIONS}


def _auction_hours(ctx: CheckContext, phase: Phase) -> Check:
    """The order can still take part in the next opening or closing of its market."""
    until, why = _last_time(ctx, phase)
    if not why and not ctx.describe:
        return passing("market_hours")
    limit = f"before {until.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York" if until else f"an {phase}"
    found = f"{ctx.snapshot.taken_at.astimezone(NEW_YORK):%H:%M}"
    return verdict("market_hours", passed=not why, limit=limit, value=found, message=why)


def _last_time(ctx: CheckContext, phase: Phase) -> tuple[datetime | None, str]:
    """Return until when the next auction takes orders, where that is known, and why it does not take this one."""
    market, now = ctx.snapshot.market, ctx.snapshot.taken_at
    name = ctx.limits.entry_order(ctx.signal.strategy).value
    if not _has_auctions(ctx):
        return None, f"{ctx.key} has no {phase}, so that it cannot be entered with {name}."
    if ctx.snapshot.account.is_simulated:  # the simulated venue takes them until the last second
        return None, ""
    if phase is Phase.OPENING:
        at, before = None if market.is_open else market.opens_at, BEFORE_OPENING
        needed = "closed, for the next opening"
    else:
        at, before = market.closes_at if market.is_open else None, BEFORE_CLOSING
        needed = "open"
    if at is None:
        is_now = "open" if market.is_open else f"closed ({market.why})" if market.why else "closed"
        return None, f"The market is {is_now}; {name} orders are taken while it is {needed}."
    until = at - before
    if now < until:
        return until, ""
    clocks = [f"{moment.astimezone(NEW_YORK):%H:%M}" for moment in (now, until)]
    return until, f"It is {clocks[0]} in New York; {name} orders must be there before {clocks[1]}."


def flat_at_close(ctx: CheckContext) -> Check:
    """A position opened now would not be closed for the end of the day at once."""
    plan = ctx.limits.management.plan_for(ctx.signal.strategy)
    flat_at = flat_from(ctx.snapshot.market, plan)
    passed = flat_at is None or ctx.snapshot.taken_at < flat_at
    if passed and not ctx.describe:
        return passing("flat_at_close")
    until = "any time" if flat_at is None else f"before {flat_at.astimezone(NEW_YORK):%H:%M}"
    found = f"{ctx.snapshot.taken_at.astimezone(NEW_YORK):%H:%M}"
    return verdict(
        "flat_at_close",
        passed=passed,
        limit=until,
        value=found,
        message=f"It is {found} in New York, and everything is closed {plan.flat_at_close} minutes before the close.",
    )


def price_collar(ctx: CheckContext) -> Check:
    """The signal's entry lies close to the latest price: |entry - price| / price <= max_price_deviation_pct."""
    quote, most, entry = ctx.snapshot.quote, ctx.risk.max_price_deviation_pct, ctx.signal.entry_price
    if quote is None or quote.price <= ZERO:
        return verdict(
            "price_collar",
            passed=False,
            limit=f"within {percent(most)} of a known price",
            value="no price",
            message=f"There is no current price for {ctx.key}: opening needs one.",
        )
    distance = abs(entry - quote.price)
    passed = distance <= most * quote.price
    if passed and not ctx.describe:
        return passing("price_collar")
    found = percent_beside(distance / quote.price, most)
    return verdict(
        "price_collar",
        passed=passed,
        limit=f"within {percent(most)} of {price(quote.price)}",
        value=f"{found} ({price(entry)})",
        message=f"The signal's entry {price(entry)} lies {found} from the latest price {price(quote.price)}; "
        f"the limit is {percent(most)}.",
    )


def unpriced_warnings(ctx: CheckContext) -> tuple[Reason, ...]:
    """Return the warning that a simulated fill takes the signal's word for its price, or a model's."""
    quote = ctx.snapshot.quote
    if quote is None or quote.source not in {FROM_SIGNAL, THEORETICAL}:
        return ()
    shown = price(quote.price)
    if quote.source == THEORETICAL:
        message = f"{ctx.key} has no prices of its own: {shown} is theoretical, by Black and Scholes."
        return (Reason(code="theoretical_price", message=message, value=plain(quote.price)),)
    message = f"No prices are configured: {ctx.key} is simulated at the signal's own price of {shown}."
    return (Reason(code="price_from_signal", message=message, value=plain(quote.price)),)


def day_trades(ctx: CheckContext) -> Check:
    """The day-trading rules let it open: a day trade is left, margin and cash suffice, nothing is missing."""
    if not ctx.describe and not _is_gated(ctx):
        return passing("day_trades")
    status, found = ctx.snapshot.day_trades, _gate_verdict(ctx)
    left = {None: "not applicable", UNLIMITED: "unlimited"}.get(status.remaining, f"{status.remaining} left")
    return verdict(
        "day_trades",
        passed=not found.blocks,
        limit=f"{status.limit} in {len(status.window)} sessions",
        value=f"{status.used} used, {left}",
        message=" ".join(reason.message for reason in found.blocks),
    )


def day_trade_warnings(ctx: CheckContext) -> tuple[Reason, ...]:
    """Return what the day-trading rules warn of, and the forecast when only one day trade is left."""
    if not _is_gated(ctx):
        return ()
    found = _gate_verdict(ctx)
    is_last = ctx.snapshot.day_trades.remaining == 1 and not found.blocks
    return (*found.warnings, *(found.notes if is_last else ()))


def _is_gated(ctx: CheckContext) -> bool:
    """Return whether the day-trading rules could have anything to say: mostly they do not."""
    status = ctx.snapshot.day_trades
    if not status.is_regime_known or ctx.snapshot.margin_preview is not None or ctx.snapshot.account.facts is not None:
        return True
    if status.remaining is None:
        return status.regime is not Regime.OFF
    return UNLIMITED < status.remaining <= max(1, len(status.opened_today))


def _gate_verdict(ctx: CheckContext) -> GateVerdict:
    snapshot, instrument = ctx.snapshot, ctx.signal.instrument
    order = GateOrder(
        security=ctx.key,
        sec_type=SEC_TYPE_OF_MARKET[instrument.market_type],
        side=ctx.side,
        quantity=ctx.sized.quantity if isinstance(ctx.sized, Sized) else instrument.quantity_step,
        price=ctx.entry_price,
        multiplier=worth(ctx.snapshot.rate, instrument.multiplier, ctx.entry_price),
    )
    held = sum((e.quantity * e.side.sign for e in snapshot.exposures if e.key == ctx.key), ZERO)
    ground = Ground(
        status=snapshot.day_trades,
        facts=_completed(facts_of(snapshot.account), snapshot.exposures),
        held=held,
        preview=snapshot.margin_preview,
        stock_value=stock_value(snapshot.exposures),
    )
    return judge_order(order, ground)


def _completed(facts: AccountFacts, exposures: Iterable[Exposure]) -> AccountFacts:
    """Return *facts* with the reserve for our own working entries; a simulated account's margin is the rule's own."""
    reserve = facts.working_open_orders_maint or reserve_for(exposures)
    held = maintenance_held(exposures) if facts.is_simulated else facts.maint_margin_req
    return replace(facts, working_open_orders_maint=reserve, maint_margin_req=held)
