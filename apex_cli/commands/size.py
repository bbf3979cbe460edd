"""``apex size``: the quantity of a trade, and what limits it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from apex_cli.app.position_size import SizeTerms, size_of
from apex_cli.commands.options import Call, command, money_option, part, positive
from apex_cli.core.errors import ExitStatus
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.presenters.size import size_blocks, size_data
from apex_cli.settings.doubts import doubts_of_risk


@command("size", "NVDA --entry 50 --stop 48 --target 56")
def size(
    call: Call,
    symbol: Annotated[str, typer.Argument(help="Ticker, pair or option contract.")] = "",
    *,
    entry: Annotated[Decimal, positive("PRICE", "Entry price.")],
    stop: Annotated[Decimal, positive("PRICE", "Stop price.")],
    target: Annotated[list[Decimal] | None, positive("PRICE", "Target price; repeat for several.")] = None,
    side: Annotated[
        OrderSide | None,
        typer.Option(case_sensitive=False, help="Default: buy when the stop is below the entry, else sell."),
    ] = None,
    capital: Annotated[Decimal | None, money_option("USD", "Default: risk.capital.")] = None,
    risk_pct: Annotated[Decimal | None, part("Part of capital at risk; 0.01 is 1 %.")] = None,
    max_position_pct: Annotated[Decimal | None, part("Part of capital in one position; 0.05 is 5 %.")] = None,
    market_type: Annotated[
        MarketType | None, typer.Option(case_sensitive=False, help="Default: as the symbol says, else equity.")
    ] = None,
) -> None:
    """Work out a position size from entry and stop, without broker or network."""
    out = call.out
    if risk_pct is None:
        call.warn_of_doubts()
    else:
        out.warn(*doubts_of_risk("--risk-pct", risk_pct))
    terms = SizeTerms(
        symbol=symbol,
        entry=entry,
        stop=stop,
        targets=target or (),
        side=side,
        market_type=market_type,
        capital=capital,
        risk_pct=risk_pct,
        max_position_pct=max_position_pct,
    )
    found = size_of(call.any_settings, terms)
    answer, ratio = found.answer, found.ratio
    if isinstance(answer, Reason):
        out.result({"symbol": found.symbol, "side": found.side}, status=ExitStatus.REFUSED, reasons=(answer,))
        return
    out.warn(*answer.warnings)
    out.result(
        size_data(answer, symbol=found.symbol, side=found.side, ratio=ratio, net=found.net),
        size_blocks(
            answer,
            symbol=found.symbol,
            side=found.side,
            ratio=ratio,
            risk=found.risk,
            levels=found.levels,
            net=found.net,
        ),
    )
