"""The cost of a round trip, and reward, risk and expectancy after it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from apex_cli.core.decision.tranches import tranche_quantities
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import worth
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import ZERO, Price, Usd
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.venue.costs import CostModel


class TradeCosts(Value, frozen=True, kw_only=True):
    """Costs of one trade, in account currency."""

    if_won: Usd
    """Commissions of entry and targets, and half the spread where the entry meets the market."""

    if_lost: Usd
    """Commissions of entry and stop, the same half of the spread, and another half, as a stop meets the market."""


class NetRatio(Value, frozen=True, kw_only=True):
    """Reward over risk after costs, beside what is asked for."""

    value: Decimal
    costs: TradeCosts
    least: Decimal | None
    """What is asked for; None: nothing."""

    has_spread: bool
    """False: commissions alone, as no spread is known."""


def half_spread(quote: Quote | None, price: Price, assumed: Decimal | None) -> Decimal | None:
    """Return half of bid to ask for one unit: as it is quoted, else by the part of *price* that is *assumed*.

    None where neither is known: it is never taken for nothing.
    """
    if quote is not None and quote.bid is not None and quote.ask is not None and quote.ask >= quote.bid > ZERO:
        return (quote.ask - quote.bid) / 2
    return None if assumed is None else price * assumed / 2


def trade_costs(
    instrument: Instrument,
    sized: Sized,
    *,
    entry: Price,
    stop: Price,
    targets: Sequence[Price],
    fractions: Sequence[Decimal],
    plan: CommissionPlan,
    half: Decimal,
    is_market_entry: bool,
) -> TradeCosts:
    """Return what the trade costs if it wins and if it loses.

    Args:
        instrument: gives multiplier and step.
        sized: quantity, and the rate of the currency of the prices.
        entry: price per unit.
        stop: price per unit.
        targets: prices per unit, nearest first; each is an order of its own.
        fractions: parts that aim at each target; empty for even ones.
        plan: the price list.
        half: half of bid to ask for one unit.
        is_market_entry: False where a limit order waits for its price.
    """
    model = CostModel(plan=plan)
    parts = tranche_quantities(sized.quantity, instrument, len(targets), fractions) or (sized.quantity,)

    def commission(quantity: Decimal, price: Price) -> Decimal:
        value = worth(sized.rate, quantity * price * instrument.multiplier, price)
        return model.commission(instrument, quantity, value)

    spread = worth(sized.rate, half * sized.quantity * instrument.multiplier, entry)
    opened = commission(sized.quantity, entry) + (spread if is_market_entry else ZERO)
    aims = [*targets, *[targets[-1] if targets else entry] * len(parts)]
    won = sum((commission(part, aim) for part, aim in zip(parts, aims, strict=False)), ZERO)
    lost = sum((commission(part, stop) for part in parts), ZERO) + spread
    return TradeCosts(if_won=Usd(opened + won), if_lost=Usd(opened + lost))


def net_reward_risk(gross: Decimal, risk: Decimal, costs: TradeCosts) -> Decimal:
    """Return (reward - costs if won) / (risk + costs if lost).

    Args:
        gross: reward over risk before costs.
        risk: loss at the stop before costs, above 0, in account currency.
        costs: of the same trade.

    >>> costs = TradeCosts(if_won=Usd(Decimal(2)), if_lost=Usd(Decimal("2.5")))
    >>> net_reward_risk(Decimal(2), Decimal(10), costs)
    Decimal('1.44')
    """
    return (gross * risk - costs.if_won) / (risk + costs.if_lost)


def net_expectancy(probability: Decimal, gross: Decimal, risk: Decimal, costs: TradeCosts) -> Decimal:
    """Return what the trade is expected to bring, in R: p * (reward - costs) - (1 - p) * (risk + costs), over risk.

    Args:
        probability: that the target comes before the stop, 0..1.
        gross: reward over risk before costs.
        risk: loss at the stop before costs, above 0, in account currency.
        costs: of the same trade.

    >>> costs = TradeCosts(if_won=Usd(Decimal(2)), if_lost=Usd(Decimal(3)))
    >>> net_expectancy(Decimal("0.5"), Decimal(2), Decimal(10), costs)
    Decimal('0.25')
    """
    won = gross * risk - costs.if_won
    return (probability * won - (1 - probability) * (risk + costs.if_lost)) / risk
