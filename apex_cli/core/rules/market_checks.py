"""Checks of permission and market: trading state, symbols, hours, price collar, day trades."""

from __future__ import annotations

from apex_cli.core.model.money import ZERO
from apex_cli.core.model.order import OrderSide
from apex_cli.core.model.outcome import Check, TradingMode
from apex_cli.core.rules.check_context import CheckContext, passing, verdict
from apex_cli.core.rules.pdt import COUNTED_MARKETS
from apex_cli.core.rules.wording import percent, plain


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
    """The security has no order of unknown outcome and no mismatch with the broker."""
    passed = ctx.key not in ctx.snapshot.blocked_instruments
    if passed and not ctx.describe:
        return passing("instrument_blocked")
    return verdict(
        "instrument_blocked",
        passed=passed,
        limit="nothing unknown",
        value="nothing unknown" if passed else "an unknown outcome or a mismatch",
        message=f"{ctx.key} has an order of unknown outcome or a mismatch with the broker. Reconcile it first.",
    )


def symbol_allowed(ctx: CheckContext) -> Check:
    """The symbol is on the allow list, if there is one, and not on the deny list."""
    allow, deny = ctx.risk.allow_symbols, ctx.risk.deny_symbols
    symbol = ctx.signal.instrument.symbol
    is_listed = not allow or _is_in(symbol, allow)
    is_denied = bool(deny) and _is_in(symbol, deny)
    passed = is_listed and not is_denied
    if passed and not ctx.describe:
        return passing("symbol_allowed")
    limit = "not in risk.deny_symbols" if is_denied or not allow else "in risk.allow_symbols"
    wrong = "is in risk.deny_symbols" if is_denied else "is not in risk.allow_symbols"
    return verdict("symbol_allowed", passed=passed, limit=limit, value=symbol, message=f"{symbol} {wrong}.")


def _is_in(symbol: str, symbols: tuple[str, ...]) -> bool:
    return any(symbol.upper() == each.upper() for each in symbols)


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


def market_hours(ctx: CheckContext) -> Check:
    """The market is open, unless hours are not enforced."""
    market = ctx.snapshot.market
    passed = market.is_open or not ctx.risk.enforce_market_hours
    if passed and not ctx.describe:
        return passing("market_hours")
    why = f" ({market.why})" if market.why else ""
    opens = f"; it opens at {market.opens_at.isoformat()}" if market.opens_at else ""
    return verdict(
        "market_hours",
        passed=passed,
        limit="open" if ctx.risk.enforce_market_hours else "any hour",
        value=("open" if market.is_open else "closed") + why,
        message=f"The market is closed{why}{opens}.",
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
    found = percent(distance / quote.price)
    return verdict(
        "price_collar",
        passed=passed,
        limit=f"within {percent(most)} of {plain(quote.price)}",
        value=f"{found} ({plain(entry)})",
        message=f"The signal's entry {plain(entry)} lies {found} from the latest price {plain(quote.price)}; "
        f"the limit is {percent(most)}.",
    )


def day_trades(ctx: CheckContext) -> Check:
    """A day trade is left, where the market counts them: at 0 the broker accepts closing orders only."""
    status = ctx.snapshot.day_trades
    passed = status.remaining != 0 or ctx.signal.instrument.market_type not in COUNTED_MARKETS
    if passed and not ctx.describe:
        return passing("day_trades")
    left = {None: "not applicable", -1: "unlimited"}.get(status.remaining, f"{status.remaining} left")
    return verdict(
        "day_trades",
        passed=passed,
        limit=f"{status.limit} in {len(status.window)} sessions",
        value=f"{status.used} used, {left}",
        message=f"No day trade is left: {status.why}" if status.why else "No day trade is left.",
    )
