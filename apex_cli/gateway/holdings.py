"""The account of the venue: executions, positions with their costs, and what it all is worth."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.order import OrderSide
from apex_cli.core.venue.engine import MatchingEngine
from apex_cli.gateway.accounts import Balance, balance_of, take_execution
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.rows import ExecutionRow, OrderRow, PositionRow

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
            at=fill.filled_at,
        )
        fresh = PositionRow(contract=row.contract, instrument=fill.instrument, quantity=ZERO, average_cost=ZERO)
        held, realized = take_execution(
            self.positions.get(row.key), execution, fresh, with_commission=self.policy.cost_includes_commission
        )
        self.positions[row.key] = held
        execution = msgspec.structs.replace(execution, realized=realized)
        self.executions.append(execution)
        return execution

    def correct(self, exec_id: str, price: Decimal) -> ExecutionRow | None:
        """Tell an execution again at another price, as a correction; None when there is no such execution.

        Cash and positions stay as they were: a correction is a fault of telling here.
        """
        for execution in reversed(self.executions):
            if execution.exec_id == exec_id:
                corrected = execution.corrected(price)
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
            last = self._engine.last_price(key)
            if last is not None:
                found[key] = last[0]
        return found

    def last_price(self, instrument: Instrument) -> Price | None:
        """Return the last price of *instrument*."""
        last = self._engine.last_price(instrument.key)
        return None if last is None else last[0]

    def balance(self, at: datetime) -> Balance:
        """Return what the account is worth; sales of the day of *at* (UTC) are not settled."""
        today = at.date()
        unsettled = sum(
            (
                execution.shares * execution.price
                for execution in self.executions
                if execution.side == "SLD" and execution.at.date() == today
            ),
            ZERO,
        )
        return balance_of(
            cash=self._engine.cash,
            positions=self.positions.values(),
            prices=self.prices(),
            unsettled=unsettled,
            is_margin=self.is_margin,
            policy=self.policy,
        )
