"""Costs of trading: commissions and slippage.

Commission rates are those of Interactive Brokers' public page (interactivebrokers.com, "Commissions":
stocks and ETFs, options, spot currencies, cryptocurrencies; United States, lowest volume tier). Exchange,
clearing and regulatory fees, which the tiered plan passes on, are not modelled.
"""

from __future__ import annotations

from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.money import ZERO, Price, Usd, ceil_to_step, floor_to_step


class CommissionRate(Value, frozen=True, kw_only=True):
    """One line of a price list; amounts are of the currency that is charged, an order."""

    per_unit: Usd = Usd(ZERO)
    """For each share or contract."""

    fraction: Decimal = ZERO
    """Of the trade value: 0.0018 is 0.18 %."""

    minimum: Usd = Usd(ZERO)
    maximum_fraction: Decimal | None = None
    """Most that is charged, as a part of the trade value; goes before the minimum."""

    def of_order(self, quantity: Decimal, value: Decimal) -> Usd:
        """Return the commission of everything an order has filled so far.

        min(max(quantity * per_unit + value * fraction, minimum), value * maximum_fraction)

        >>> rate = CommissionRate(per_unit=Usd(Decimal("0.005")), minimum=Usd(Decimal(1)))
        >>> rate.of_order(Decimal(300), Decimal(9000))
        Decimal('1.500')
        """
        charge: Decimal = quantity * self.per_unit + value * self.fraction
        charge = max(charge, self.minimum)
        if self.maximum_fraction is not None and charge > value * self.maximum_fraction:
            charge = value * self.maximum_fraction
        return Usd(charge)


ONE_PERCENT = Decimal("0.01")

_BESIDE_STOCKS = {
    MarketType.OPTIONS: CommissionRate(per_unit=Usd(Decimal("0.65")), minimum=Usd(Decimal("1.00"))),
    MarketType.CRYPTO: CommissionRate(
        fraction=Decimal("0.0018"), minimum=Usd(Decimal("1.75")), maximum_fraction=ONE_PERCENT
    ),
    MarketType.FOREX: CommissionRate(fraction=Decimal("0.00002"), minimum=Usd(Decimal("2.00"))),
}

RATES: dict[CommissionPlan, dict[MarketType, CommissionRate]] = {
    CommissionPlan.NONE: {},
    CommissionPlan.IB_FIXED: {
        MarketType.EQUITY: CommissionRate(
            per_unit=Usd(Decimal("0.005")), minimum=Usd(Decimal("1.00")), maximum_fraction=ONE_PERCENT
        ),
        **_BESIDE_STOCKS,
    },
    CommissionPlan.IB_TIERED: {
        MarketType.EQUITY: CommissionRate(
            per_unit=Usd(Decimal("0.0035")), minimum=Usd(Decimal("0.35")), maximum_fraction=ONE_PERCENT
        ),
        **_BESIDE_STOCKS,
    },
}
"""Price lists by plan and market; a market that is missing costs nothing."""


class CostModel(Value, frozen=True, kw_only=True):
    """Commissions and slippage of a venue."""

    plan: CommissionPlan = CommissionPlan.NONE
    slippage_fraction: Decimal = ZERO
    """Of the price, against us: 0.0005 is 5 basis points."""

    slippage_ticks: int = 0
    """Ticks against us, on top of the fraction."""

    def rates(self) -> dict[MarketType, CommissionRate]:
        """Return the price list."""
        return RATES[self.plan]

    def commission(self, instrument: Instrument, quantity: Decimal, value: Decimal) -> Usd:
        """Return the commission of an order that filled *quantity* units worth *value* (multiplier included).

        The minimum is one per order: charge a further fill the difference to what was charged before.

        >>> CostModel(plan=CommissionPlan.IB_FIXED).commission(Instrument(symbol="F"), Decimal(100), Decimal(2500))
        Decimal('1.00')
        """
        rate = RATES[self.plan].get(instrument.market_type)
        return Usd(ZERO) if rate is None else rate.of_order(quantity, value)

    @property
    def has_slippage(self) -> bool:
        """True when market and stop orders fill worse than the price."""
        return bool(self.slippage_fraction or self.slippage_ticks)

    def slipped(self, price: Price, tick: Decimal, *, is_buy: bool) -> Price:
        """Return what a market or stop order pays when the market is at *price*.

        price * (1 +- fraction) +- ticks * tick, on the tick grid, rounded against us, at least one tick.

        >>> CostModel(slippage_fraction=Decimal("0.001")).slipped(Price(Decimal("10.00")), Decimal("0.01"), is_buy=True)
        Decimal('10.01')
        """
        if not self.has_slippage:
            return price
        worse = price * self.slippage_fraction + self.slippage_ticks * tick
        if is_buy:
            return Price(ceil_to_step(price + worse, tick))
        return Price(max(floor_to_step(price - worse, tick), tick))
