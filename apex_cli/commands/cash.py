"""``apex cash``: pay money into the simulated account, or take it out."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import typer

from apex_cli.app.resources import executor_lock, open_store
from apex_cli.commands.options import Call, cash_amount, command
from apex_cli.core.errors import InputError
from apex_cli.core.model.money import Usd
from apex_cli.core.model.wording import account_currency
from apex_cli.presenters.screen.blocks import Cell, Fields
from apex_cli.presenters.screen.formats import money
from apex_cli.settings.brokers import BrokerName


class Direction(StrEnum):
    """Which way money goes."""

    IN = "in"
    OUT = "out"


@command("cash", "in 2000 --reason savings")
def cash(
    call: Call,
    direction: Annotated[Direction, typer.Argument(case_sensitive=False, help="in, or out.")],
    amount: Annotated[Decimal, typer.Argument(parser=cash_amount, metavar="AMOUNT", help="In account currency.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the journal.")] = "",
) -> None:
    """Pay money into the simulated account, or take it out; day's loss and drawdown stay the parts they were."""
    from apex_cli.app.compose import make_parts
    from apex_cli.core.adapters import event_loop
    from apex_cli.core.execution.upkeep import keep_account, move_cash
    from apex_cli.core.model.account import CashFlow

    out, settings = call.out, call.settings
    if settings.broker_name is not BrokerName.SIMULATED:
        raise InputError(
            "cash_not_simulated",
            "Money of a real account moves at the broker; apex recognises it there.",
            hint="apex state reset-peak, if it was not recognised.",
        )
    with executor_lock(settings):
        parts = make_parts(settings)
        if parts.simulated is None:
            raise InputError("cash_not_simulated", "There is no simulated account.", hint="Set simulation_mode: true.")
        before = event_loop.run(parts.broker.account())
        signed = Usd(amount if direction is Direction.IN else -amount)
        parts.simulated.move_cash(signed)
        after, now = event_loop.run(parts.broker.account()), parts.clock.now()
        flow = CashFlow(
            amount=signed, equity_before=before.equity, equity_after=after.equity, reason=reason or direction
        )
        store = open_store(settings)
        with store.transaction() as tx:
            move_cash(tx, flow, now)
        keep_account(store, after, now)
    values = (("Equity was", before.equity), ("Equity is", after.equity), ("Cash", after.cash))
    data = {
        "amount": signed,
        "equity_before": before.equity,
        "equity": after.equity,
        "cash": after.cash,
        "reason": reason,
    }
    out.result(
        data, (Fields(rows=tuple((label, Cell(f"{money(value)} {account_currency()}")) for label, value in values)),)
    )
