"""Arithmetic of the account: costs of positions, profit, margin, and the values clients ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, round_to_cent
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.rows import ExecutionRow, Margins, PositionRow

ONE = Decimal(1)
DAY_TRADE_TAGS = (
    "DayTradesRemaining",
    "DayTradesRemainingT+1",
    "DayTradesRemainingT+2",
    "DayTradesRemainingT+3",
    "DayTradesRemainingT+4",
)


class AccountValue(Value, frozen=True, kw_only=True):
    """One row of account values."""

    tag: str
    value: str
    currency: str = ""


class Balance(Value, frozen=True, kw_only=True):
    """What the account is worth at the last prices, account currency."""

    cash: Decimal
    unsettled: Decimal
    """Proceeds of today's sales: part of *cash* that a cash account may not spend on a new round trip."""

    long_value: Decimal
    short_value: Decimal
    """Not negative."""

    unrealized: Decimal
    realized: Decimal
    is_margin: bool
    initial_rate: Decimal
    maintenance_rate: Decimal

    @property
    def gross(self) -> Decimal:
        """Absolute value of all positions."""
        return self.long_value + self.short_value

    @property
    def equity(self) -> Decimal:
        """Net liquidation value."""
        return self.cash + self.long_value - self.short_value

    @property
    def initial(self) -> Decimal:
        """Initial margin: part of the gross value; all of the long value in a cash account."""
        return self.gross * self.initial_rate if self.is_margin else self.long_value

    @property
    def maintenance(self) -> Decimal:
        """Maintenance margin."""
        return self.gross * self.maintenance_rate if self.is_margin else self.long_value

    @property
    def available(self) -> Decimal:
        """What new positions may need as initial margin; in a cash account the cash that is left."""
        return max(self.equity - self.initial, ZERO)

    @property
    def excess(self) -> Decimal:
        """Equity above the maintenance margin."""
        return self.equity - self.maintenance

    @property
    def buying_power(self) -> Decimal:
        """Value of stock that can be bought now."""
        return self.available / self.initial_rate if self.is_margin else self.available


def take_execution(
    held: PositionRow | None, execution: ExecutionRow, fresh: PositionRow, *, with_commission: bool
) -> tuple[PositionRow, Decimal | None]:
    """Fold *execution* into a position.

    Args:
        held: The position before; None when flat.
        execution: What happened; its commission counts into cost and profit when *with_commission*.
        fresh: A flat row of the same contract.
        with_commission: Average cost includes commissions.

    Returns:
        The position after, and the profit of what was closed, commissions of both sides included;
        None when nothing was closed.
    """
    row = held or fresh
    multiplier = row.instrument.multiplier
    signed = execution.shares if execution.side == "BOT" else -execution.shares
    unit_fee = execution.commission / execution.shares
    unit = execution.price * multiplier
    direction = ONE if signed > 0 else -ONE
    unit_cost = unit + direction * unit_fee if with_commission else unit
    after = row.quantity + signed
    closed = min(abs(signed), abs(row.quantity)) if row.quantity * signed < 0 else ZERO
    realized = None
    if closed:
        realized = closed * (unit - row.average_cost) * -direction - closed * unit_fee
    cost = _cost_after(row, signed, unit_cost, closed)
    return (
        PositionRow(
            contract=row.contract,
            instrument=row.instrument,
            quantity=after,
            average_cost=cost,
            realized=row.realized + (realized or ZERO),
        ),
        realized,
    )


def _cost_after(row: PositionRow, signed: Decimal, unit_cost: Decimal, closed: Decimal) -> Decimal:
    """Return the average cost after *signed* units at *unit_cost*, of which *closed* closed."""
    after = row.quantity + signed
    if not after:
        return ZERO
    if not closed:
        return (row.quantity * row.average_cost + signed * unit_cost) / after
    return row.average_cost if row.quantity * after > 0 else unit_cost


def balance_of(
    *,
    cash: Decimal,
    positions: Iterable[PositionRow],
    prices: Mapping[str, Decimal],
    unsettled: Decimal,
    is_margin: bool,
    policy: Policy,
) -> Balance:
    """Return what the account is worth; a position without a price counts at its cost."""
    long_value = short_value = unrealized = realized = ZERO
    for row in positions:
        value, gain = value_of(row, prices)
        long_value += max(value, ZERO)
        short_value += max(-value, ZERO)
        unrealized += gain
        realized += row.realized
    return Balance(
        cash=cash,
        unsettled=unsettled,
        long_value=long_value,
        short_value=short_value,
        unrealized=unrealized,
        realized=realized,
        is_margin=is_margin,
        initial_rate=policy.margin_rate,
        maintenance_rate=policy.maintenance_rate,
    )


def value_of(row: PositionRow, prices: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
    """Return market value and unrealized profit of one position."""
    cost = row.quantity * row.average_cost
    price = prices.get(row.instrument.key)
    value = cost if price is None else row.quantity * price * row.instrument.multiplier
    return value, value - cost


def margins_of(before: Balance, value: Decimal, commission: Decimal) -> Margins:
    """Return the account before and after a trade that adds *value* (signed) to the gross position."""
    rate_initial = before.initial_rate if before.is_margin else ONE
    rate_maintenance = before.maintenance_rate if before.is_margin else ONE
    return Margins(
        initial_before=before.initial,
        maintenance_before=before.maintenance,
        equity_before=before.equity,
        initial_after=max(before.initial + value * rate_initial, ZERO),
        maintenance_after=max(before.maintenance + value * rate_maintenance, ZERO),
        equity_after=before.equity - commission,
        commission=commission,
    )


def account_values(balance: Balance, policy: Policy) -> list[AccountValue]:
    """Return everything the account page tells, without the tags that the policy leaves out."""
    usd = {
        "NetLiquidation": balance.equity,
        "EquityWithLoanValue": balance.equity,
        "PreviousDayEquityWithLoanValue": balance.equity - balance.unrealized - balance.realized,
        "TotalCashValue": balance.cash,
        "SettledCash": balance.cash - balance.unsettled,
        "AccruedCash": ZERO,
        "BuyingPower": balance.buying_power,
        "AvailableFunds": balance.available,
        "ExcessLiquidity": balance.excess,
        "InitMarginReq": balance.initial,
        "MaintMarginReq": balance.maintenance,
        "FullInitMarginReq": balance.initial,
        "FullMaintMarginReq": balance.maintenance,
        "FullAvailableFunds": balance.available,
        "FullExcessLiquidity": balance.excess,
        "LookAheadInitMarginReq": balance.initial,
        "LookAheadMaintMarginReq": balance.maintenance,
        "LookAheadAvailableFunds": balance.available,
        "LookAheadExcessLiquidity": balance.excess,
        "GrossPositionValue": balance.gross,
        "UnrealizedPnL": balance.unrealized,
        "RealizedPnL": balance.realized,
        "CashBalance": balance.cash,
        "StockMarketValue": balance.long_value - balance.short_value,
    }
    plain = {
        "AccountType": "INDIVIDUAL",
        "AccountReady": "true",
        "AccountOrGroup": "",
        "Currency": "USD",
        "Cushion": _ratio(balance.excess, balance.equity),
        "Leverage": _ratio(balance.gross, balance.equity),
        "LookAheadNextChange": "0",
    }
    if policy.day_trades_remaining is not None:
        plain |= dict.fromkeys(DAY_TRADE_TAGS, policy.day_trades_remaining)
    rows = [AccountValue(tag=tag, value=value) for tag, value in plain.items()]
    rows += [AccountValue(tag=tag, value=f"{round_to_cent(value):f}", currency="USD") for tag, value in usd.items()]
    return [row for row in rows if row.tag not in policy.missing_tags]


def _ratio(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole:.4f}" if whole else "0"
