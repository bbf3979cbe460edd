"""Watches the intraday margin level: each opening fill that leaves it negative makes a deficit that is kept.

IB updates account values up to three minutes after a fill; the lowest level seen in that time is attributed to the
fill.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from apex_cli.core.day_trades.deficits import deadlines_of, meet, note_level, standing, with_freeze
from apex_cli.core.day_trades.margin import level_before
from apex_cli.core.day_trades.regimes import facts_of, worth
from apex_cli.core.day_trades.rejections import with_rejection
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.account import AccountFacts, AccountSnapshot, AccountType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.records import DeficitRecord
from apex_cli.core.model.wording import money
from apex_cli.core.ports import Broker, StateStore
from apex_cli.core.state.events.account_events import MarginDeficit, MarginDeficitMet
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import State

SETTLING = timedelta(minutes=3)
"""How long after a fill the broker's account values may still be on their way: Interactive Brokers refreshes them
every three minutes."""

LOOK_AGAIN = timedelta(minutes=5)
"""How often an open deficit is looked at."""


class MarginWatch:
    """Keeps the deficits of a margin account: a chore of the loop, and of an approval."""

    def __init__(self, store: StateStore, broker: Broker) -> None:
        """Read account values from *broker*."""
        self._store = store
        self._broker = broker
        self._looked_at: datetime | None = None

    async def tend(self, now: datetime) -> bool:
        """Look at the level while it matters; True when a deficit was made, grew or was met."""
        is_fresh = _opened_lately(self._store.view(), now)
        if not is_fresh and not self._is_due(now):
            return False
        self._looked_at = now
        account = await self._broker.account()
        facts = facts_of(account)
        level = None if not _has_margin(facts) else level_before(facts)
        if level is None:
            return False
        session = session_date(now)
        with self._store.transaction() as tx:
            before = dict(tx.deficits)
            if is_fresh:
                found = note_level(tx.deficits.get(session.isoformat()), session, level, worth(facts))
                if found is not None and found != before.get(found.session_date):
                    tx.deficits[found.session_date] = found
                    _emit(tx, found, now)
            for key, row in list(tx.deficits.items()):
                met = meet(row, level, session)
                if met != row:
                    tx.deficits[key] = met
                    tx.emit(MarginDeficitMet(at=now, subject=key, data=met))
            return dict(tx.deficits) != before

    def _is_due(self, now: datetime) -> bool:
        """Return whether an unmet deficit should be looked at again."""
        if all(row.met_on for row in self._store.view().deficits.values()):
            return False
        return self._looked_at is None or now - self._looked_at >= LOOK_AGAIN


def _opened_lately(state: State, now: datetime) -> bool:
    newest: list[Fill] = list(state.fills.newest(20))
    return any(fill.role is OrderRole.ENTRY and now - fill.filled_at <= SETTLING for fill in newest)


def _has_margin(facts: AccountFacts) -> bool:
    """Simulated and cash accounts have none; portfolio margin follows its own rule."""
    return not facts.is_simulated and facts.account_type not in {AccountType.CASH, AccountType.PORTFOLIO}


def _emit(tx: State, found: DeficitRecord, now: datetime) -> None:
    tx.emit(MarginDeficit(at=now, subject=found.session_date, data=found))
    due = deadlines_of(found)
    small = " It is small enough not to count as a habit." if found.is_de_minimis else ""
    message = (
        f"Intraday margin deficit of {money(found.amount)} on {found.session_date}: pay in or close, ideally by "
        f"{due.ideally}, at the latest by {due.before_freeze}.{small}"
    )
    alarm = Alarm(code="margin_deficit", message=message)
    tx.emit(AlarmRaised(at=now, subject=found.session_date, data=alarm))


def with_standing(account: AccountSnapshot, state: State, now: datetime) -> AccountSnapshot:
    """Return *account* with what the state knows of it.

    That is the freeze which our own record of deficits expects, and a refusal as a potential pattern day trade.
    """
    account = with_rejection(account, state, now)
    found = standing(state.deficits.values(), session_date(now)) if state.deficits else None
    if found is None or found.frozen_until is None:
        return account
    return replace(account, facts=with_freeze(account.facts or AccountFacts(), found))
