"""Positions and waiting approvals as values; every view shows these numbers and computes none itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.market.expiry import days_left, last_trade_at
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.instrument import HOME_CURRENCY, MarketType
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import profit, profit_pct, r_multiple
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.side import PositionSide
from apex_cli.core.positions.managed_by import ManagedBy, managed_by
from apex_cli.core.positions.protection import protection_of
from apex_cli.core.state.tables import State

UNMANAGED = ManagementLimits()


class PositionView(Value, frozen=True, kw_only=True):
    """One open position at its latest price."""

    symbol: str
    side: PositionSide
    quantity: Quantity
    entry_price: Price
    current_price: Price
    priced_at: datetime
    pnl: Usd
    """Of what is held now, before commissions."""

    pnl_pct: Decimal
    r_multiple: Decimal | None
    stop_price: Price | None
    target_prices: tuple[Price, ...]
    protected_quantity: Quantity
    protected_overnight: bool
    """True when a stop that stays after the close covers every unit."""

    entry_time: datetime
    notional: Usd
    signal_id: str = ""
    expires_at: datetime | None = None
    """Last close of an option, aware UTC; None for what does not expire."""

    days_left: int | None = None
    """Calendar days to its last session, below 0 after it."""

    is_theoretical: bool = False
    """True: a model made the current price."""

    is_entered_at_theory: bool = False
    """True: something of it was bought or sold at a price that a model made."""

    is_short_option: bool = False
    """True where its holder may be assigned at any time."""

    called: str = ""
    """Ticker that the broker lists it under now, where it was renamed since."""

    currency: str = HOME_CURRENCY
    """Of its prices."""

    rate: Rate | None = None
    """What its prices are in, in account currency; None where it is that."""

    quote_pnl: Decimal | None = None
    """P&L in the currency of its prices; None where that is the account's."""

    managed: ManagedBy = ManagedBy()
    """What will move its stop, or close it."""

    @property
    def holding_time(self) -> timedelta:
        """How long it is held, at its latest price."""
        return self.priced_at - self.entry_time


class Totals(Value, frozen=True, kw_only=True):
    """All open positions together."""

    positions: int
    notional: Usd
    pnl: Usd
    unprotected: int
    """Positions that a working stop does not cover in full."""


def position_handles(keys: Iterable[str]) -> dict[str, str]:
    """Return the short name in the ``#`` column of each position, by its key.

    >>> position_handles(["MSFT", "AAPL"])
    {'AAPL': 'p1', 'MSFT': 'p2'}
    """
    return {key: f"p{number}" for number, key in enumerate(sorted(keys), start=1)}


def position_of_handle(keys: Iterable[str], handle: str) -> str | None:
    """Return the key of the position that *handle*, such as ``p2``, stands for; None for any other word."""
    return next((key for key, each in position_handles(keys).items() if each == handle.lower()), None)


def position_views(
    state: State, management: ManagementLimits = UNMANAGED, now: datetime | None = None
) -> tuple[PositionView, ...]:
    """Return every open position, by symbol; *now* is the time of its latest price where it is not given."""
    by_key: dict[str, list[OrderRecord]] = {}
    for record in state.orders.values():
        by_key.setdefault(record.order.instrument.key, []).append(record)
    views = (
        _view(row, by_key.get(key, []), state.brackets.get(row.position.bracket_id), management, now or row.priced_at)
        for key, row in state.positions.items()
    )
    return tuple(sorted(views, key=lambda view: view.symbol))


def position_in(state: State, symbol: str, management: ManagementLimits) -> PositionView | None:
    """Return what is held of the security whose bars go by *symbol*, not of its options; None for nothing."""
    for key, row in state.positions.items():
        instrument = row.position.instrument
        if instrument.bars_name == symbol and instrument.market_type is not MarketType.OPTIONS:
            orders = [record for record in state.orders.values() if record.order.instrument.key == key]
            bracket = state.brackets.get(row.position.bracket_id)
            return _view(row, orders, bracket, management, row.priced_at)
    return None


def totals_of(views: Iterable[PositionView]) -> Totals:
    """Return the sums over *views*."""
    views = tuple(views)
    return Totals(
        positions=len(views),
        notional=Usd(sum((v.notional for v in views), ZERO)),
        pnl=Usd(sum((v.pnl for v in views), ZERO)),
        unprotected=sum(1 for v in views if v.protected_quantity < v.quantity),
    )


def _view(
    row: PositionRecord,
    orders: list[OrderRecord],
    bracket: BracketRecord | None,
    management: ManagementLimits,
    now: datetime,
) -> PositionView:
    position = row.position
    multiplier = position.instrument.multiplier
    protection = protection_of(position, orders)
    gain = profit(position.side, position.entry_price, row.current_price, position.quantity, multiplier)
    pnl = row.worth(gain)
    risk = bracket.risk_per_unit * position.quantity if bracket else ZERO
    plan = management.plan_for(bracket.strategy if bracket else "")
    return PositionView(
        symbol=position.instrument.key,
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        current_price=row.current_price,
        priced_at=row.priced_at,
        pnl=pnl,
        pnl_pct=profit_pct(position.side, position.entry_price, row.current_price),
        r_multiple=r_multiple(pnl, risk),
        stop_price=protection.stop_price,
        target_prices=protection.target_prices,
        protected_quantity=protection.quantity,
        protected_overnight=protection.overnight_quantity >= position.orderable,
        entry_time=position.entry_time,
        notional=row.worth(position.quantity * row.current_price * multiplier),
        called=position.instrument.called,
        currency=position.instrument.currency,
        rate=row.rate,
        quote_pnl=None if row.rate is None else gain,
        signal_id=bracket.signal_id if bracket else "",
        expires_at=last_trade_at(position.instrument),
        days_left=days_left(position.instrument, now),
        is_theoretical=row.is_theoretical,
        is_entered_at_theory=position.is_theoretical,
        is_short_option=position.side is PositionSide.SHORT and position.instrument.expiry is not None,
        managed=managed_by(position, bracket, orders, plan, now),
    )
