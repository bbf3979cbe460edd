"""``apex size``: how many units, and what limits them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import typer

from apex_cli.commands.options import Call, common, fraction, positive_decimal
from apex_cli.core.decision.sizing import no_rate, size_position
from apex_cli.core.errors import ExitStatus, InputError
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.decision import Reason, Sized
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.limits import RiskLimits
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.order import OrderSide
from apex_cli.core.model.signal import reward_risk
from apex_cli.core.model.spelling import Hints, SpellingError, canonical
from apex_cli.presenters.screen.output import Output
from apex_cli.presenters.size import size_blocks, size_data
from apex_cli.settings.sections import Settings

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex size NVDA --entry 50 --stop 48 --target 56")
@common("size")
def size(
    call: Call,
    symbol: Annotated[str, typer.Argument(help="Ticker, pair or option contract.", show_default=False)] = "",
    *,
    entry: Annotated[Decimal, typer.Option(parser=positive_decimal, metavar="PRICE", help="Entry price.")],
    stop: Annotated[Decimal, typer.Option(parser=positive_decimal, metavar="PRICE", help="Stop price.")],
    target: Annotated[
        list[Decimal] | None,
        typer.Option(parser=positive_decimal, metavar="PRICE", help="Target price; repeat for several."),
    ] = None,
    side: Annotated[OrderSide | None, typer.Option(case_sensitive=False, help="Default: reported by the stop.")] = None,
    capital: Annotated[
        Decimal | None, typer.Option(parser=positive_decimal, metavar="USD", help="Default: risk.capital.")
    ] = None,
    risk_pct: Annotated[
        Decimal | None,
        typer.Option(parser=fraction, metavar="FRACTION", help="Part of capital at risk; 0.01 is 1 %."),
    ] = None,
    max_position_pct: Annotated[
        Decimal | None,
        typer.Option(parser=fraction, metavar="FRACTION", help="Part of capital in one position; 0.05 is 5 %."),
    ] = None,
    market_type: Annotated[
        MarketType | None, typer.Option(case_sensitive=False, help="Default: as the symbol says, else equity.")
    ] = None,
) -> None:
    """Work out a position size from entry and stop, without broker or network."""
    out, settings = call.out, call.any_settings
    call.warn_of_doubts()
    risk = _overridden(settings.limits.risk, capital, risk_pct, max_position_pct)
    instrument = _named(symbol, market_type, settings.currency.base)
    levels = (Price(entry), Price(stop), tuple(map(Price, target or ())))
    order_side = side or (OrderSide.BUY if stop < entry else OrderSide.SELL)
    rate = None
    if instrument.currency != settings.currency.base:
        rate, missing = rate_now(settings, instrument, levels[0])
    else:
        missing = None
    answer = (
        level_problem(order_side, *levels)
        or missing
        or size_position(
            instrument=instrument,
            entry=levels[0],
            stop=levels[1],
            risk=risk,
            rate=rate,
            currency=settings.currency,
        )
    )
    _report(out, answer, symbol=instrument.key if symbol else "", side=order_side, levels=levels, risk=risk)


def rate_now(settings: Settings, instrument: Instrument, price: Price) -> tuple[Rate | None, Reason | None]:
    """Return what *instrument* is priced in by the configuration and the bars, and why that is not known."""
    from apex_cli.app.market_parts import open_bars
    from apex_cli.app.resources import make_system_clock
    from apex_cli.core.decision.rates import Rates

    now = make_system_clock(settings).now()
    rate = Rates(settings.currency, prices=open_bars(settings)).rate(instrument, price, now)
    return rate, no_rate(instrument, rate, settings.currency, now)


def _named(symbol: str, market_type: MarketType | None, base: str) -> Instrument:
    """Return the security that is sized.

    Raises:
        InputError: *symbol* names none.
    """
    if not symbol:
        return msgspec.structs.replace(make_instrument("?", market_type or MarketType.EQUITY), currency=base)
    try:
        return canonical(symbol, Hints(market_type=market_type))
    except SpellingError as error:
        raise InputError(
            "symbol_invalid", f"{error}.", hint=f"Correct {error.field}.", details={"symbol": symbol}
        ) from None


def level_problem(side: OrderSide, entry: Price, stop: Price, targets: tuple[Price, ...]) -> Reason | None:
    """Return why *stop* or a target lies on the wrong side of *entry*, or None."""
    word = "below" if side is OrderSide.BUY else "above"
    if (stop - entry) * side.sign > 0:
        message = f"The stop {stop} must lie {word} the entry {entry} for a {side} order."
        return Reason(code="signal_levels", message=message, limit=f"{word} {entry}", value=f"{stop}")
    other = "above" if side is OrderSide.BUY else "below"
    for target in targets:
        if (target - entry) * side.sign <= 0:
            message = f"The target {target} must lie {other} the entry {entry} for a {side} order."
            return Reason(code="signal_levels", message=message, limit=f"{other} {entry}", value=f"{target}")
    return None


def _overridden(
    risk: RiskLimits, capital: Decimal | None, risk_pct: Decimal | None, max_position_pct: Decimal | None
) -> RiskLimits:
    changes: dict[str, Any] = {}
    if capital is not None:
        changes["capital"] = Usd(capital)
    if risk_pct is not None:
        changes["max_risk_pct"] = risk_pct
    if max_position_pct is not None:
        changes["max_position_pct"] = max_position_pct
    return msgspec.structs.replace(risk, **changes) if changes else risk


def _report(
    out: Output,
    answer: Sized | Reason,
    *,
    symbol: str,
    side: OrderSide,
    levels: tuple[Price, Price, tuple[Price, ...]],
    risk: RiskLimits,
) -> None:
    if isinstance(answer, Reason):
        out.result({"symbol": symbol, "side": side}, status=ExitStatus.REFUSED, reasons=(answer,))
        return
    out.warn(*answer.warnings)
    ratio = reward_risk(*levels)
    out.result(
        size_data(answer, symbol=symbol, side=side, ratio=ratio),
        size_blocks(answer, symbol=symbol, side=side, ratio=ratio, risk=risk, levels=levels),
    )
