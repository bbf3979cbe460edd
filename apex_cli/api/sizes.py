"""``size``: the quantity of a trade."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from apex_cli.api.settings import SettingsLike, settings_of
from apex_cli.api.values import amount, maybe_amount, word
from apex_cli.app.position_size import SizeTerms, size_of
from apex_cli.core.errors import RefusedError
from apex_cli.core.model.base import Value, taken_over
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.trade_size import Binding
from apex_cli.core.model.wording import amounts_in
from apex_cli.core.signals.strategy import Number


class Size(Value, frozen=True, kw_only=True):
    """A position size, as ``apex size --json`` gives it."""

    symbol: str
    """In canonical spelling; empty where none was given."""

    side: OrderSide
    quantity: Decimal
    quantity_by_risk: Decimal
    quantity_by_capital: Decimal
    binding: Binding
    """What decided the size."""

    notional: Decimal
    """quantity * entry * multiplier, in account currency."""

    risk_amount: Decimal
    """Loss at the stop before costs, in account currency."""

    risk_per_unit: Decimal
    reward_risk: Decimal | None
    """None without a target."""

    warnings: tuple[Reason, ...]
    """Caps that the smallest quantity breaks, with their numbers."""


def size(
    symbol: str = "",
    *,
    entry: Number,
    stop: Number,
    target: Number | Sequence[Number] = (),
    side: str | None = None,
    capital: Number | None = None,
    risk_pct: Number | None = None,
    max_position_pct: Number | None = None,
    market_type: str | None = None,
    settings: SettingsLike = None,
) -> Size:
    """Return the quantity whose loss at the stop fits the risk budget, without broker or network.

    Args:
        symbol: ticker, pair or option contract.
        entry: price of the entry.
        stop: price of the stop.
        target: price of the target, or several.
        side: ``BUY`` or ``SELL``; None: as the stop says.
        capital: instead of ``risk.capital``, in account currency.
        risk_pct: instead of ``risk.max_risk_pct``; 0.01 is 1 %.
        max_position_pct: instead of ``risk.max_position_pct``.
        market_type: ``equity``, ``options``, ``crypto`` or ``forex``; None: as the symbol says.
        settings: the configuration; None: the defaults.

    Raises:
        InputError: a value is none that can be sized.
        RefusedError: there is no such size; its code says why, as ``apex size`` does.
    """
    chosen = settings_of(settings)
    targets = [target] if isinstance(target, Decimal | float | int | str) else target
    terms = SizeTerms(
        symbol=symbol,
        entry=amount("entry", entry),
        stop=amount("stop", stop),
        targets=[amount("target", each) for each in targets],
        side=word("side", OrderSide, side),
        market_type=word("market_type", MarketType, market_type),
        capital=maybe_amount("capital", capital),
        risk_pct=maybe_amount("risk_pct", risk_pct, most=Decimal(1)),
        max_position_pct=maybe_amount("max_position_pct", max_position_pct, most=Decimal(1)),
    )
    with amounts_in(chosen.currency.base):
        found = size_of(chosen, terms)
    answer = found.answer
    if isinstance(answer, Reason):
        details = {"symbol": found.symbol, "side": found.side, "limit": answer.limit, "value": answer.value}
        raise RefusedError(answer.code, answer.message, details=details)
    return taken_over(Size, answer, symbol=found.symbol, side=found.side, reward_risk=found.ratio)
