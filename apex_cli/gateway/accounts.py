"""The account of the venue: executions, positions, margin, buying power, and the values that clients request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import HOME_CURRENCY, Instrument
from apex_cli.core.model.money import ZERO, Price, floor_to_step, round_to_cent
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine
from apex_cli.gateway.contracts import Contract, Listing
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.rows import ExecutionRow, Margins, OrderRow, PositionRow

ONE = Decimal(1)
NO_RATES: Mapping[str, Decimal] = {}
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
    is_same = execution.commission_currency == row.instrument.currency
    unit_fee = execution.commission / execution.shares if is_same else ZERO
    unit = execution.price * multiplier
    direction = ONE if signed > 0 else -ONE
    unit_cost = unit + direction * unit_fee if with_commission else unit
    after = row.quantity + signed
    closed = min(abs(signed), abs(row.quantity)) if row.quantity * signed < 0 else ZERO
    realized = None
    if closed:
        realized = closed * (unit - row.average_cost) * -direction - closed * unit_fee
    cost = _cost_after(row, signed, unit_cost, closed)
    return replace(row, quantity=after, average_cost=cost, realized=row.realized + (realized or ZERO)), realized


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
    rates: Mapping[str, Decimal] = NO_RATES,
) -> Balance:
    """Return what the account is worth at *rates*; a position without a price counts at its cost."""
    long_value = short_value = unrealized = realized = ZERO
    for row in positions:
        value, gain = value_of(row, prices)
        rate = rates.get(row.instrument.currency, ONE)
        long_value += max(value * rate, ZERO)
        short_value += max(-value * rate, ZERO)
        unrealized += gain * rate
        realized += row.realized * rate
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


def margins_of(before: Balance, value: Decimal, commission: Decimal, currency: str) -> Margins:
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
        currency=currency,
    )


def account_values(
    balance: Balance, policy: Policy, cash: Iterable[AccountValue] = (), base: str = HOME_CURRENCY
) -> list[AccountValue]:
    """Return every account value in the currency *base*, with *cash* by currency; the policy leaves tags out."""
    amounts = {
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
        "StockMarketValue": balance.long_value - balance.short_value,
    }
    plain = {
        "AccountType": "INDIVIDUAL",
        "AccountReady": "true",
        "AccountOrGroup": "",
        "Currency": base,
        "Cushion": _ratio(balance.excess, balance.equity),
        "Leverage": _ratio(balance.gross, balance.equity),
        "LookAheadNextChange": "0",
    }
    if policy.day_trades_remaining is not None:
        plain |= dict.fromkeys(DAY_TRADE_TAGS, policy.day_trades_remaining)
    rows = [AccountValue(tag=tag, value=value) for tag, value in plain.items()]
    rows += [AccountValue(tag=tag, value=f"{round_to_cent(value):f}", currency=base) for tag, value in amounts.items()]
    return [row for row in (*rows, *cash) if row.tag not in policy.missing_tags]


def _ratio(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole:.4f}" if whole else "0"


SIDES = {OrderSide.BUY: "BOT", OrderSide.SELL: "SLD"}


class Holdings:
    """Folds fills into executions and positions."""

    def __init__(self, engine: MatchingEngine, policy: Policy, *, is_margin: bool) -> None:
        """Start flat; the cash is the engine's."""
        self.policy = policy
        self.is_margin = is_margin
        self._engine = engine
        self.executions: list[ExecutionRow] = []
        self.positions: dict[str, PositionRow] = {}
        """By instrument key; a position that was closed stays with its realized profit."""

    def take(self, fill: Fill, row: OrderRow) -> ExecutionRow:
        """Book *fill* of *row*, whose filled quantity already counts it."""
        number = fill.exec_id.removeprefix("SIM").partition(".")[0]
        execution = ExecutionRow(
            exec_id=f"0000e0d5.{row.perm_id:08x}.{number}.01",
            perm_id=row.perm_id,
            client_id=row.client_id,
            order_id=row.order_id,
            contract=row.contract,
            key=row.key,
            side=SIDES[fill.side],
            shares=fill.quantity,
            price=fill.price,
            cumulative=row.filled,
            average_price=row.average_price,
            order_ref=row.terms.order_ref,
            commission=fill.commission,
            commission_currency=fill.commission_currency or self._engine.ledger.base,
            at=fill.filled_at,
        )
        booked = self._booked(execution, fill.instrument, with_commission=self.policy.cost_includes_commission)
        self.executions.append(booked)
        return booked

    def _booked(self, execution: ExecutionRow, instrument: Instrument, *, with_commission: bool) -> ExecutionRow:
        """Fold *execution* into the position in *instrument*, and return it with the profit of what it closed."""
        fresh = PositionRow(contract=execution.contract, instrument=instrument, quantity=ZERO, average_cost=ZERO)
        held = self.positions.get(execution.key)
        after, realized = take_execution(held, execution, fresh, with_commission=with_commission)
        self.positions[execution.key] = after
        return replace(execution, realized=realized)

    def settle(self, fill: Fill, contract: Contract) -> None:
        """Book *fill*, which is of no order: the end of an option, or what it delivered."""
        number = fill.exec_id.removeprefix("SIM").partition(".")[0]
        execution = ExecutionRow(
            exec_id=f"0000e0d5.00000000.{number}.01",
            perm_id=0,
            client_id=0,
            order_id=0,
            contract=contract,
            key=fill.instrument.key,
            side=SIDES[fill.side],
            shares=fill.quantity,
            price=fill.price,
            cumulative=fill.quantity,
            average_price=fill.price,
            order_ref="",
            commission=ZERO,
            at=fill.filled_at,
        )
        booked = self._booked(execution, fill.instrument, with_commission=False)
        if self.policy.lists_settlements:
            self.executions.append(booked)

    def split(self, key: str, ratio: Decimal) -> None:
        """Keep the position of *key* as a split of *ratio* for 1 leaves it."""
        row = self.positions.get(key)
        if row is not None:
            quantity = floor_to_step(abs(row.quantity) * ratio, row.instrument.quantity_step)
            signed = quantity if row.quantity > 0 else -quantity
            self.positions[key] = replace(row, quantity=signed, average_cost=row.average_cost / ratio)

    def rename(self, contract: Contract) -> None:
        """Call what is held under the number of *contract* by its name."""
        for key, row in list(self.positions.items()):
            if row.contract.con_id == contract.con_id:
                self.positions[key] = replace(row, contract=contract)
        self.executions = [
            replace(row, contract=contract) if row.contract.con_id == contract.con_id else row
            for row in self.executions
        ]

    def correct(self, exec_id: str, price: Decimal, shares: Decimal | None = None) -> ExecutionRow | None:
        """Report an execution again at another price or of so many *shares*; None when there is no such execution.

        Cash and positions stay as they were: a correction is an injected fault here.
        """
        for execution in reversed(self.executions):
            if execution.exec_id == exec_id:
                corrected = execution.corrected(price, shares)
                self.executions.append(corrected)
                return corrected
        return None

    def held(self, key: str) -> Decimal:
        """Return the signed quantity of one instrument."""
        row = self.positions.get(key)
        return ZERO if row is None else row.quantity

    def prices(self) -> dict[str, Decimal]:
        """Return the last price of every position that has one."""
        found: dict[str, Decimal] = {}
        for key in self.positions:
            last = self._engine.ledger.last_price(key)
            if last is not None:
                found[key] = last[0]
        return found

    def last_price(self, instrument: Instrument) -> Price | None:
        """Return the last price of *instrument*."""
        last = self._engine.ledger.last_price(instrument.key)
        return None if last is None else last[0]

    def balance(self, at: datetime) -> Balance:
        """Return what the account is worth; sales of the day of *at* (UTC) are not settled."""
        today = at.date()
        unsettled = sum(
            (
                execution.shares
                * execution.price
                * self.positions[execution.key].instrument.multiplier
                * self.rate_of(execution.contract.currency)
                for execution in self.executions
                if execution.side == "SLD" and execution.at.date() == today
            ),
            ZERO,
        )
        return balance_of(
            cash=self._engine.ledger.total_cash,
            positions=self.positions.values(),
            prices=self.prices(),
            unsettled=unsettled,
            is_margin=self.is_margin,
            policy=self.policy,
            rates=self._engine.ledger.rates,
        )

    @property
    def base(self) -> str:
        """The account's currency."""
        return self._engine.ledger.base

    def rate_of(self, currency: str) -> Decimal:
        """Return what one unit of *currency* is worth in the account's."""
        return self._engine.ledger.rates.get(currency, ONE)

    def cash_values(self) -> list[AccountValue]:
        """Return the cash of every currency with its rate."""
        ledger = self._engine.ledger
        rates = {ledger.base: ONE, **ledger.rates}
        rows = [AccountValue(tag="ExchangeRate", value=f"{rate:.10f}", currency=name) for name, rate in rates.items()]
        rows += [
            AccountValue(tag=tag, value=f"{round_to_cent(amount):f}", currency=currency)
            for currency, amount in ledger.balances.items()
            if currency in rates
            for tag in ("CashBalance", "TotalCashBalance")
        ]
        return rows


def gross_change(held: Decimal, signed: Decimal) -> Decimal:
    """Return by how much a trade changes the size of a position, in units.

    >>> gross_change(Decimal(10), Decimal(-4)), gross_change(Decimal(0), Decimal(-4))
    (Decimal('-4'), Decimal('4'))
    """
    return abs(held + signed) - abs(held)


def refusal_of(row: OrderRow, listing: Listing, holdings: Holdings, at: datetime) -> str:
    """Return why the account may not take *row*; empty when it may. Exits and children always may."""
    policy = holdings.policy
    signed = _signed(row)
    held = holdings.held(row.key)
    if row.parent_perm_id:
        return ""
    if not holdings.is_margin and policy.refuses_cash_short and signed < 0 and held + signed < 0:
        return "The contract is not available for short sale."
    change = gross_change(held, signed)
    price = _price(row, listing, holdings)
    if not policy.enforces_margin or change <= 0 or price is None:
        return ""
    balance = holdings.balance(at)
    rate = holdings.rate_of(listing.instrument.currency)
    needed = change * price * listing.instrument.multiplier * rate * (policy.margin_rate if holdings.is_margin else ONE)
    if needed <= balance.available:
        return ""
    return (
        "We are unable to accept your order. Your Available Funds are in sufficient to cover it: "
        f"needed {needed:.2f} {holdings.base}, available {balance.available:.2f} {holdings.base}."
    )


def preview(row: OrderRow, listing: Listing, holdings: Holdings, costs: CostModel, at: datetime) -> Margins:
    """Return the account before and after *row* was filled as a whole."""
    price = _price(row, listing, holdings) or ZERO
    instrument = listing.instrument
    quantity = row.terms.quantity
    unit = price * instrument.multiplier * holdings.rate_of(instrument.currency)
    commission = costs.commission(instrument, quantity, quantity * unit)
    change = gross_change(holdings.held(row.key), _signed(row)) * unit
    return margins_of(holdings.balance(at), change, commission, holdings.base)


def _signed(row: OrderRow) -> Decimal:
    return row.terms.quantity if row.terms.action == "BUY" else -row.terms.quantity


def _price(row: OrderRow, listing: Listing, holdings: Holdings) -> Decimal | None:
    terms = row.terms
    return terms.limit_price or terms.aux_price or holdings.last_price(listing.instrument)
