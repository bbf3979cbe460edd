"""What is held and what waits, as values: every view shows these numbers, none computes its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import PositionSide, RoundTrip, profit, profit_pct
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.rules.managed_by import ManagedBy, managed_by
from apex_cli.core.rules.protection import protection_of
from apex_cli.core.state import State

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
    managed: ManagedBy = ManagedBy()
    """What will move its stop, or close it."""


class Totals(Value, frozen=True, kw_only=True):
    """All open positions together."""

    positions: int
    notional: Usd
    pnl: Usd
    unprotected: int
    """Positions that a working stop does not cover in full."""


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
    pnl = profit(position.side, position.entry_price, row.current_price, position.quantity, multiplier)
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
        r_multiple=pnl / risk if risk else None,
        stop_price=protection.stop_price,
        target_prices=protection.target_prices,
        protected_quantity=protection.quantity,
        protected_overnight=protection.overnight_quantity >= position.quantity,
        entry_time=position.entry_time,
        notional=Usd(position.quantity * row.current_price * multiplier),
        signal_id=bracket.signal_id if bracket else "",
        managed=managed_by(position, bracket, orders, plan, now),
    )


class Statistics(Value, frozen=True, kw_only=True):
    """What a list of round trips comes to."""

    round_trips: int
    wins: int
    losses: int
    win_rate: Decimal | None
    """0..1 over trips that were not flat to the cent; None without any."""

    pnl: Usd
    commission: Usd
    net_pnl: Usd
    profit_factor: Decimal | None
    """Gross gains over gross losses; None without losses."""

    expectancy_r: Decimal | None
    """Mean R-multiple over trips whose risk is known."""


class Tally:
    """Adds round trips one by one, so that a long history streams."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.count = self.wins = self.losses = self._with_r = 0
        self.gains = self.lost = self.commission = self._r = ZERO

    def add(self, trip: RoundTrip) -> None:
        """Count *trip*."""
        self.count += 1
        self.commission += trip.commission
        if trip.pnl > 0:
            self.wins += 1
            self.gains += trip.pnl
        elif trip.pnl < 0:
            self.losses += 1
            self.lost -= trip.pnl
        if trip.r_multiple is not None:
            self._with_r += 1
            self._r += trip.r_multiple

    def statistics(self) -> Statistics:
        """Return what was counted."""
        decided = self.wins + self.losses
        pnl = self.gains - self.lost
        return Statistics(
            round_trips=self.count,
            wins=self.wins,
            losses=self.losses,
            win_rate=Decimal(self.wins) / decided if decided else None,
            pnl=Usd(pnl),
            commission=Usd(self.commission),
            net_pnl=Usd(pnl - self.commission),
            profit_factor=self.gains / self.lost if self.lost else None,
            expectancy_r=self._r / self._with_r if self._with_r else None,
        )
