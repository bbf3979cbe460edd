"""Positions and round trips: what folding fills gives."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd, floor_to_step
from apex_cli.core.model.side import PositionSide


class Position(Value, frozen=True, kw_only=True):
    """A net holding of one instrument since it was last flat."""

    instrument: Instrument
    side: PositionSide
    quantity: Quantity
    """Units held now, positive; 0 only inside a fold."""

    entry_price: Price
    """Mean price of the opening fills that are still held."""

    entry_time: datetime
    """First opening fill, aware UTC."""

    bracket_id: str = ""
    """The entry decision that opened it; empty for a trade made outside apex."""

    opened_quantity: Quantity
    """Everything opened since flat."""

    opened_value: Decimal
    """Sum of price times quantity over the opening fills."""

    closed_quantity: Quantity = Quantity(ZERO)
    closed_value: Decimal = ZERO
    """Sum of price times quantity over the closing fills."""

    realized_pnl: Usd = Usd(ZERO)
    """Of what was closed, before commissions, in account currency."""

    quote_pnl: Decimal | None = None
    """The same in the currency of its prices; None where that is the account's."""

    commission: Usd = Usd(ZERO)
    first_fill_key: str = ""
    """Key of the first opening execution: what the round trip will be named by."""

    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""

    @property
    def orderable(self) -> Quantity:
        """Units that an order can close: whole steps. A reinvested dividend may leave a fraction beyond them."""
        return Quantity(floor_to_step(self.quantity, self.instrument.quantity_step))


def profit(side: PositionSide, entry: Decimal, current: Decimal, quantity: Decimal, multiplier: Decimal) -> Usd:
    """Return the P&L before costs.

    long: (current - entry) * quantity * multiplier; short: the negative of it.

    Args:
        side: long or short.
        entry: opening price of a unit; or the opening value of all units, with a *quantity* of 1.
        current: closing price or value, in the same unit as *entry*.
        quantity: units, positive.
        multiplier: units of the underlying in one contract.

    >>> profit(PositionSide.SHORT, Decimal(50), Decimal(48), Decimal(3), Decimal(1))
    Decimal('6')
    """
    gain = (current - entry) * quantity * multiplier * side.sign
    return Usd(gain or abs(gain))  # no negative zero, and its places as they are


def profit_pct(side: PositionSide, entry: Decimal, current: Decimal) -> Decimal:
    """Return the P&L in percent of the entry: 4 is 4 %. Both are prices of a unit, or both are values.

    What cost nothing has no percentage: 0.

    >>> profit_pct(PositionSide.LONG, Decimal(50), Decimal(52))
    Decimal('4')
    """
    gain = (current - entry) / entry * 100 * side.sign if entry else ZERO
    return gain or abs(gain)


def risk_per_unit(entry: Decimal, stop: Decimal, multiplier: Decimal) -> Usd:
    """Return the loss of one unit at the stop, before costs: |entry - stop| * multiplier.

    >>> risk_per_unit(Decimal("2.50"), Decimal("1.50"), Decimal(100))
    Decimal('100.00')
    """
    return Usd(abs(entry - stop) * multiplier)


def r_multiple(pnl: Decimal, risk: Decimal | None) -> Decimal | None:
    """Return *pnl* over the *risk* that was taken for it; None where the risk is unknown or 0.

    >>> r_multiple(Decimal(30), Decimal(15))
    Decimal('2')
    """
    return pnl / risk if risk else None


class RoundTrip(Value, frozen=True, kw_only=True):
    """A holding from flat to flat: the unit that statistics and learners count."""

    round_trip_id: str
    """Key of the first opening execution: the same fills give the same id."""

    bracket_id: str = ""
    signal_id: str = ""
    strategy: str = ""
    instrument: Instrument
    side: PositionSide
    quantity: Quantity
    """Everything that was opened."""

    entry_price: Price
    """Mean of the opening fills."""

    exit_price: Price
    """Mean of the closing fills."""

    entry_time: datetime
    exit_time: datetime
    pnl: Usd
    """Before commissions, in account currency: each part by the rate at which it was closed."""

    pnl_pct: Decimal
    """In the currency of its prices."""

    quote_pnl: Decimal | None = None
    """P&L in the currency of its prices; None where that is the account's."""

    rate: Rate | None = None
    """The rate of its last fill; None where none is needed."""

    commission: Usd
    initial_risk: Usd | None = None
    """Loss at the first stop for the opened quantity, before costs; None when unknown."""

    exit_reason: str = ""
    """``stop``, ``target``, ``manual``, or what the closing order was given."""

    is_theoretical: bool = False
    """True: something of it filled at a price that a model made."""

    @property
    def net_pnl(self) -> Usd:
        """After commissions."""
        return Usd(self.pnl - self.commission)

    @property
    def r_multiple(self) -> Decimal | None:
        """P&L before commissions over initial risk; None when the risk is unknown."""
        return r_multiple(self.pnl, self.initial_risk)

    @property
    def net_r_multiple(self) -> Decimal | None:
        """P&L after commissions over initial risk; None when the risk is unknown."""
        return r_multiple(self.net_pnl, self.initial_risk)


MOST_ROUND_TRIPS = 100
"""The newest closed trades that the state keeps, whatever else it keeps."""


def signed(position: Position | None) -> Decimal:
    """Return the quantity, negative when short; 0 for none."""
    return ZERO if position is None else position.quantity * position.side.sign


def reward_risk(entry: Price, stop: Price, targets: tuple[Price, ...]) -> Decimal | None:
    """Return reward over risk for an even split over *targets*; None without target or risk.

    (mean(target) - entry) / (entry - stop), its sign turned so that a target beyond the entry is positive.

    >>> reward_risk(Price(Decimal(50)), Price(Decimal(48)), (Price(Decimal(54)),))
    Decimal('2')
    """
    risk = entry - stop
    if not targets or not risk:
        return None
    reward = sum(targets, Decimal(0)) / len(targets) - entry
    return reward / risk
