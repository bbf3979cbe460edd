"""Looks on while other processes trade, and lets a person answer: what the dashboard is given to work with.

Looking takes no lock and no broker: the header of the state file tells whether anything changed, and only
then it is read. Answers go the way of ``apex approve``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.app.compose import make_desk, make_parts
from apex_cli.app.handover import as_error, get_done
from apex_cli.app.resources import executor_holder, open_store
from apex_cli.core.adapters.state.journal_tail import JournalTail
from apex_cli.core.coordinator.trading_mode import change_trading_mode
from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.market.calendar import CalendarEndError, session_date
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus, TradingMode
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Answer, Answered, Preview
from apex_cli.core.reports.activity import Activity, ActivityKind, activities
from apex_cli.core.reports.board import Board, make_board
from apex_cli.presenters.output import Output
from apex_cli.settings.sections import Settings, SimulationClock

if TYPE_CHECKING:
    from apex_cli.core.state.tables import State

MOST_LINES = 1_000
"""Lines of the log that are kept."""

HOLDER_FILE = "executor.holder"


class Seen(NamedTuple):
    """What one look gave."""

    board: Board
    lines: tuple[Activity, ...]
    """The log, oldest first."""

    alarms: tuple[Activity, ...]
    """Those of the running session, oldest first."""

    holder: str
    """Who trades now; empty when nobody does."""


class Watch:
    """Follows the state as other processes change it."""

    def __init__(self, settings: Settings) -> None:
        """Look at nothing yet."""
        self._settings = settings
        self._store = open_store(settings)
        self._tail = JournalTail(settings.state.dir / "journal")
        self._count = DayTradeCounter(settings.day_trades)
        self._generation = -1
        self._lines: deque[Activity] = deque(maxlen=MOST_LINES)

    def has_changed(self) -> bool:
        """Tell whether another process committed, or its events reached the journal, since the last look.

        Raises:
            StateError: the file cannot be read or trusted.
        """
        state = self._store.view()
        return self._generation != self._store.generation or state.last_seq != self._tail.last_seq

    def look(self) -> Seen:
        """Return what there is now.

        Raises:
            StateError: the file cannot be read or trusted.
        """
        state = self._store.view()
        now = self._now(state)
        if state.last_seq != self._tail.last_seq:
            self._lines.extend(activities(self._tail.read()))
        board = make_board(state, self._settings.limits, now, self._day_trades(state, now))
        lines = tuple(self._lines)
        self._generation = self._store.generation
        return Seen(board, lines, _alarms_of(lines, now), self._holder())

    def _now(self, state: State) -> datetime:
        """Return the time decisions are made by: in a simulated market that of its latest bar."""
        if self._settings.simulation.clock is SimulationClock.SYSTEM or state.account is None:
            return self._store.clock.now()
        return state.account.account.taken_at

    def _day_trades(self, state: State, now: datetime) -> DayTradeStatus | None:
        if state.account is None:
            return None
        account: AccountSnapshot = state.account.account
        try:
            return self._count(state, account, now)
        except CalendarEndError:
            return None

    def _holder(self) -> str:
        if not (self._settings.state.dir / HOLDER_FILE).exists():
            return ""
        return executor_holder(self._settings)


def _alarms_of(lines: tuple[Activity, ...], now: datetime) -> tuple[Activity, ...]:
    try:
        today = session_date(now)
        return tuple(line for line in lines if line.kind is ActivityKind.ALARM and session_date(line.at) == today)
    except CalendarEndError:
        return ()


class Hands:
    """What a person may do from a screen: the same calls as the commands make."""

    def __init__(self, settings: Settings, wait_s: float) -> None:
        """Wait at most *wait_s* seconds for a running apex to do it."""
        self._settings = settings
        self._wait_s = wait_s

    def preview(self, approval_id: str) -> tuple[ApprovalRecord, Preview]:
        """Look at an approval again with the price, account and positions of now.

        Raises:
            ApexError: it is not known, or could not be looked at.
        """
        desk = make_desk(make_parts(self._settings, read_only=True))
        approval = desk.find(approval_id)
        return approval, asyncio.run(desk.preview(approval))

    def answer(self, answer: Answer) -> Answered:
        """Give an answer as ``apex approve`` does: here, or by the process that holds the executor.

        Raises:
            ApexError: it was refused, somebody else was first, or the outcome is unknown.
        """
        done = get_done(Output("dashboard", quiet=True), self._settings, (answer,), self._wait_s)
        for result in done.results:
            if isinstance(result, Answered):
                return result
        raise as_error(done.failures[0])

    def set_mode(self, mode: TradingMode, reason: str) -> None:
        """Halt, reduce or resume.

        Raises:
            ApexError: it could not be written.
        """
        store = open_store(self._settings)
        change_trading_mode(store, mode, reason, store.clock.now())
