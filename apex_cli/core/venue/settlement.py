"""Cash, positions and executions: where fills are made and booked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.fill import Fill, Settlement
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderSide
from apex_cli.core.venue.book import VenuePosition, WorkingOrder
from apex_cli.core.venue.costs import CostModel

EXECUTION_PREFIX = "SIM"
"""What the venue's execution ids begin with; a rising number follows, without a gap."""


class Ledger:
    """Books one fill after another."""

    __slots__ = ("_rates", "cash", "fills", "instruments", "last_execution", "positions")

    def __init__(self, cash: Decimal, costs: CostModel) -> None:
        """Start flat with *cash*."""
        self.cash = cash
        self.positions: dict[str, Decimal] = {}
        """Signed quantity by instrument key; never 0."""

        self.instruments: dict[str, Instrument] = {}
        self.fills: list[Fill] = []
        self.last_execution = 0
        self._rates = costs.rates()

    def execute(self, order: WorkingOrder, price: Price, quantity: Decimal, at: datetime) -> Fill:
        """Book *quantity* of *order* at *price* and return the fill."""
        terms = order.order
        instrument = terms.instrument
        value = price * quantity * instrument.multiplier
        order.filled += quantity
        order.value += value
        commission = self._commission(order, instrument) if self._rates else ZERO
        self.cash -= (value if order.is_buy else -value) + commission
        self._hold(order.key, instrument, quantity if order.is_buy else -quantity)
        self.last_execution += 1
        fill = Fill(
            exec_id=f"{EXECUTION_PREFIX}{self.last_execution:08d}.01",
            client_order_id=order.id,
            bracket_id=terms.bracket_id,
            role=terms.role,
            instrument=instrument,
            side=terms.side,
            quantity=Quantity(quantity),
            price=price,
            commission=Usd(commission),
            filled_at=at,
        )
        self.fills.append(fill)
        return fill

    def settle(self, key: str, price: Price, how: Settlement, at: datetime) -> Fill:
        """Book the end of the whole holding *key* at *price*, without commission, and return the fill.

        Raises:
            KeyError: nothing of it is held.
        """
        instrument, held = self.instruments[key], self.positions[key]
        return self.deliver(instrument, -held, price, how, at)

    def deliver(self, instrument: Instrument, quantity: Decimal, price: Price, how: Settlement, at: datetime) -> Fill:
        """Book *quantity* units, signed, that change hands at *price* without an order and a commission."""
        self.cash -= price * quantity * instrument.multiplier
        self._hold(instrument.key, instrument, quantity)
        self.last_execution += 1
        fill = Fill(
            exec_id=f"{EXECUTION_PREFIX}{self.last_execution:08d}.01",
            instrument=instrument,
            side=OrderSide.BUY if quantity > ZERO else OrderSide.SELL,
            quantity=Quantity(abs(quantity)),
            price=price,
            filled_at=at,
            settlement=how,
        )
        self.fills.append(fill)
        return fill

    def _commission(self, order: WorkingOrder, instrument: Instrument) -> Decimal:
        """Return what this fill adds to the commission of the whole order."""
        rate = self._rates.get(instrument.market_type)
        if rate is None:
            return ZERO
        total = rate.of_order(order.filled, order.value)
        added = total - order.commission
        order.commission = total
        return added

    def _hold(self, key: str, instrument: Instrument, quantity: Decimal) -> None:
        held = self.positions.get(key, ZERO) + quantity
        if held:
            self.positions[key] = held
            self.instruments[key] = instrument
        else:
            del self.positions[key]

    def market_value(self, prices: Mapping[str, Price]) -> Usd:
        """Return the sum of quantity * price * multiplier; shorts count negative."""
        return Usd(
            sum(
                (held * prices[key] * self.instruments[key].multiplier for key, held in self.positions.items()),
                ZERO,
            )
        )

    def gross_value(self, prices: Mapping[str, Price]) -> Usd:
        """Return the sum of |quantity| * price * multiplier."""
        return Usd(
            sum(
                (abs(held) * prices[key] * self.instruments[key].multiplier for key, held in self.positions.items()),
                ZERO,
            )
        )

    def dump_positions(self) -> tuple[VenuePosition, ...]:
        """Return the holdings to keep."""
        return tuple(
            VenuePosition(instrument=self.instruments[key], quantity=Quantity(held))
            for key, held in self.positions.items()
        )

    def restore_positions(self, positions: tuple[VenuePosition, ...]) -> None:
        """Take over kept holdings."""
        for kept in positions:
            key = kept.instrument.key
            self.positions[key] = kept.quantity
            self.instruments[key] = kept.instrument
