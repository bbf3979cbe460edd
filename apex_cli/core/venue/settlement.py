"""Books fills of the venue: cash of every currency, positions, executions, last prices, and their value.

What is bought in another currency leaves a debt in it, as at a broker that lends it: the account is worth all its
balances and positions at the rates of the moment.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.broker_events import Holding
from apex_cli.core.model.currency import Rate, own_rate
from apex_cli.core.model.fill import Fill, Settlement
from apex_cli.core.model.instrument import PAIR_MARKS, Instrument
from apex_cli.core.model.money import ONE, ZERO, Price, Quantity, Usd, floor_to_step
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.book import VenuePosition, VenuePrice, WorkingOrder
from apex_cli.core.venue.costs import CostModel

EXECUTION_PREFIX = "SIM"
"""What the venue's execution ids begin with; a rising number follows, without a gap."""


class Ledger:
    """Books one fill after another, and knows what the account holds and is worth."""

    __slots__ = (
        "_plan",
        "_worth",
        "base",
        "cash",
        "fills",
        "foreign",
        "has_expiries",
        "instruments",
        "last_execution",
        "origins",
        "positions",
        "price_times",
        "prices",
        "rates",
        "theoretical",
        "volumes",
    )

    def __init__(self, cash: Decimal, costs: CostModel, base: str) -> None:
        """Start flat with *cash* in the currency *base*."""
        self.base = base
        self.cash = cash
        """In the account's own currency."""

        self.foreign: dict[str, Decimal] = {}
        """Cash in other currencies; negative is a debt."""

        self.rates: dict[str, Decimal] = {}
        """Units of *base* for one unit of each other currency."""

        self.origins: dict[str, Rate] = {}
        """Where these come from, as far as that was said."""

        self.theoretical: set[str] = set()
        """Instrument keys whose latest price a model made."""

        self.positions: dict[str, Quantity] = {}
        """Signed quantity by instrument key; never 0."""

        self.instruments: dict[str, Instrument] = {}
        self.has_expiries = False
        """Whether a contract with an expiry was ever held."""

        self.fills: list[Fill] = []
        """Every fill that is kept, in order."""

        self.last_execution = 0
        self.prices: dict[str, Price] = {}
        """The last one by instrument key."""

        self.price_times: dict[str, datetime] = {}
        self.volumes: dict[str, Decimal] = {}
        """Volume of the bar that the last price is the close of; none for a price without a bar."""

        self._plan = costs.rates()
        self._worth: tuple[Usd, Usd] | None = None
        """Equity and gross value; None since something of them changed."""

    # ----------------------------------------------------------------- prices

    def see(self, key: str, price: Price, at: datetime, volume: Decimal | None = None) -> None:
        """Take over the last price of *key*; *volume* is that of the bar it is the close of."""
        self._worth = None
        self.prices[key] = price
        self.price_times[key] = at
        if volume is None:
            self.volumes.pop(key, None)
        else:
            self.volumes[key] = volume

    def forget_price(self, key: str) -> None:
        """Know no price of *key* any more."""
        self._worth = None
        self.prices.pop(key, None)
        self.volumes.pop(key, None)
        self.price_times.pop(key, None)

    def last_price(self, key: str) -> tuple[Price, datetime] | None:
        """Return the last price and its time; None before the first."""
        price = self.prices.get(key)
        return None if price is None else (price, self.price_times[key])

    def mark_theoretical(self, key: str, *, is_theoretical: bool) -> None:
        """Say whether a model makes the prices of *key* from now on: fills at them are marked."""
        if is_theoretical:
            self.theoretical.add(key)
        else:
            self.theoretical.discard(key)

    # ------------------------------------------------------------------ fills

    def execute(self, order: WorkingOrder, price: Price, quantity: Decimal, at: datetime) -> Fill:
        """Book *quantity* of *order* at *price* and return the fill."""
        terms = order.order
        instrument = terms.instrument
        value = price * quantity * instrument.multiplier
        order.filled += quantity
        order.value += value
        rate = None if instrument.currency == self.base else self._rate_at(instrument, price, at)
        self._pay(value if order.is_buy else -value, instrument.currency)
        commission, charged_in = ZERO, self.base
        if self._plan:
            commission, charged_in = self._commission(order, instrument, rate), self.charges_in(instrument)
            self._pay(commission, charged_in)
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
            commission_currency=charged_in if commission and charged_in != self.base else "",
            commission_rate=rate.value if commission and rate is not None and charged_in != self.base else None,
            rate=rate,
            filled_at=at,
            is_theoretical=order.key in self.theoretical,
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
        rate = None if instrument.currency == self.base else self._rate_at(instrument, price, at)
        self._pay(price * quantity * instrument.multiplier, instrument.currency)
        self._hold(instrument.key, instrument, quantity)
        self.last_execution += 1
        fill = Fill(
            exec_id=f"{EXECUTION_PREFIX}{self.last_execution:08d}.01",
            instrument=instrument,
            side=OrderSide.BUY if quantity > ZERO else OrderSide.SELL,
            quantity=Quantity(abs(quantity)),
            price=price,
            rate=rate,
            filled_at=at,
            settlement=how,
        )
        self.fills.append(fill)
        return fill

    def split(self, key: str, ratio: Decimal) -> None:
        """Turn each unit held of *key* into *ratio* whole steps of it, at 1/ratio of the price."""
        self._worth = None
        held = self.positions.get(key)
        if held is not None:
            step = self.instruments[key].quantity_step
            self.positions[key] = Quantity(floor_to_step(abs(held) * ratio, step) * (1 if held > 0 else -1))
        if key in self.prices:
            self.prices[key] = Price(self.prices[key] / ratio)

    def _rate_at(self, instrument: Instrument, price: Price, at: datetime) -> Rate:
        """Return the rate of another currency, that of *instrument*; one that its own price gives holds from now on."""
        currency = instrument.currency
        own = own_rate(instrument, self.base, price, at)
        if own is not None:
            self.set_rate(currency, own.value)
            return own
        known = self.origins.get(currency)
        if known is not None and known.value == self.rates[currency]:
            return known
        return Rate(currency=currency, base=self.base, value=self.rates[currency], source="venue", at=at)

    def _pay(self, amount: Decimal, currency: str) -> None:
        self._worth = None
        if currency == self.base:
            self.cash -= amount
        else:
            self.foreign[currency] = self.foreign.get(currency, ZERO) - amount

    def move_cash(self, amount: Usd) -> None:
        """Pay *amount* in, or out when it is negative."""
        self._worth = None
        self.cash += amount

    def set_rate(self, currency: str, value: Decimal, origin: Rate | None = None) -> None:
        """Count *currency* by *value* units of the account's from now on; fills name *origin* as their rate."""
        if self.rates.get(currency) != value:
            self._worth = None
        self.rates[currency] = value
        if origin is not None:
            self.origins[currency] = origin

    def charges_in(self, instrument: Instrument) -> str:
        """Return the currency of commissions: shares and options are charged in their own, pairs in the account's."""
        return self.base if instrument.market_type in PAIR_MARKS else instrument.currency

    def is_rated(self, instrument: Instrument) -> bool:
        """Return whether the venue knows what the prices of *instrument* are worth in the account's currency."""
        currency = instrument.currency
        return currency == self.base or currency in self.rates or own_rate(instrument, self.base, ONE, None) is not None

    def _commission(self, order: WorkingOrder, instrument: Instrument, rate: Rate | None) -> Decimal:
        """Return what this fill adds to the commission of the whole order, in the currency that is charged."""
        plan = self._plan.get(instrument.market_type)
        if plan is None:
            return ZERO
        is_pair = instrument.market_type in PAIR_MARKS
        total = plan.of_order(order.filled, order.value if rate is None or not is_pair else order.value * rate.value)
        added = total - order.commission
        order.commission = total
        return added

    def _hold(self, key: str, instrument: Instrument, quantity: Decimal) -> None:
        self._worth = None
        held = self.positions.get(key, ZERO) + quantity
        if held:
            self.positions[key] = Quantity(held)
            self._know(key, instrument)
        else:
            del self.positions[key]

    def _know(self, key: str, instrument: Instrument) -> None:
        self.instruments[key] = instrument
        self.has_expiries = self.has_expiries or instrument.expiry is not None

    # ------------------------------------------------------------------ worth

    @property
    def total_cash(self) -> Usd:
        """Cash of every currency, in the account's own."""
        if not self.foreign:
            return Usd(self.cash + ZERO)
        return Usd(self.cash + sum((held * self.rates[name] for name, held in self.foreign.items()), ZERO))

    @property
    def balances(self) -> dict[str, Decimal]:
        """Cash by currency; the account's own is among them."""
        return {self.base: self.cash, **self.foreign}

    @property
    def equity(self) -> Usd:
        """Cash plus positions at their last prices; shorts count negative."""
        return self.worth()[0]

    @property
    def gross_value(self) -> Usd:
        """Sum of |quantity| * price * multiplier of all positions, in the account's currency."""
        return self.worth()[1]

    def worth(self) -> tuple[Usd, Usd]:
        """Return equity and gross value, worked out again when prices, rates, cash or holdings have changed."""
        if self._worth is None:
            values = [self._value(key, held, self.prices[key]) for key, held in self.positions.items()]
            self._worth = Usd(self.total_cash + sum(values, ZERO)), Usd(sum(map(abs, values), ZERO))
        return self._worth

    def _value(self, key: str, held: Decimal, price: Price) -> Decimal:
        instrument = self.instruments[key]
        value = held * price if instrument.multiplier is ONE else held * price * instrument.multiplier
        return value if instrument.currency == self.base else value * self.rates[instrument.currency]

    def holdings(self) -> list[Holding]:
        """Return the positions with their instruments."""
        known = self.instruments
        return [Holding(instrument=known[key], quantity=held) for key, held in self.positions.items()]

    def dump_prices(self) -> dict[str, VenuePrice]:
        """Return the last prices to keep."""
        return {
            key: VenuePrice(price=price, at=self.price_times[key], volume=self.volumes.get(key))
            for key, price in self.prices.items()
        }

    def dump_positions(self) -> tuple[VenuePosition, ...]:
        """Return the holdings to keep."""
        return tuple(
            VenuePosition(instrument=self.instruments[key], quantity=held) for key, held in self.positions.items()
        )

    def restore_positions(self, positions: tuple[VenuePosition, ...]) -> None:
        """Take over kept holdings."""
        for kept in positions:
            key = kept.instrument.key
            self.positions[key] = kept.quantity
            self._know(key, kept.instrument)
