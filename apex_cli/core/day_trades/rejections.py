"""Remembers that the broker enforces the day-trade count: an order was refused as a potential pattern day trade."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.day_trades.regimes import holds_from
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.account import AccountFacts, AccountSnapshot
from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.core.state.tables import State


def note_rejection(tx: State, record: OrderRecord) -> None:
    """Keep the session in which *record* was refused as a potential pattern day trade, if it was."""
    if record.status is not OrderStatus.REJECTED or not record.is_pdt_refusal:
        return
    session = session_date(record.updated_at).isoformat()
    if session > tx.counters.pdt_rejected_on:
        tx.counters = replace(tx.counters, pdt_rejected_on=session)


def with_rejection(account: AccountSnapshot, state: State, now: datetime) -> AccountSnapshot:
    """Return *account* with the refusal that the state remembers; unchanged where none still counts."""
    if not holds_from(state.counters.pdt_rejected_on, session_date(now)):
        return account
    return replace(account, facts=replace(account.facts or AccountFacts(), pdt_rejected=True))
