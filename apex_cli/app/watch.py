"""Follows the state while other processes trade: what the dashboard shows.

It takes no lock and no broker: the header of the state file says whether anything changed, and only then it is read.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apex_cli.app.drift_check import last_note
from apex_cli.app.market_parts import open_bars
from apex_cli.app.resources import badge_in, decision_time, executor_holder, open_journal, open_store
from apex_cli.core.adapters.state.journal_cursor import JournalTail
from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.core.market.calendar import LAST_SECOND, session_date, session_start
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.reports.activity import Activity, ActivityKind, activities
from apex_cli.core.reports.board import PositionHistory, Seen, make_board
from apex_cli.core.reports.plans import PlanBook
from apex_cli.core.state.events.event import UnreadEvent, read_event
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.model.market import Bar
    from apex_cli.core.model.position import Position
    from apex_cli.core.reports.risk_view import RiskView
    from apex_cli.core.reports.trade_report import SessionValue
    from apex_cli.core.state.tables import State

MOST_LINES = 1_000
"""Lines of the log that are kept."""

BEFORE_ENTRY, MOST_BARS = timedelta(days=20), 400
"""How much of the time before an entry its chart shows at least, and how many bars it takes at most."""

MONTH = timedelta(days=31)
HOLDER_FILE = "executor.holder"


class Watch:
    """Follows the state as other processes change it; a file that cannot be read or trusted is a StateError."""

    def __init__(self, settings: Settings) -> None:
        """Look at nothing yet."""
        self._settings = settings
        self._store = open_store(settings)
        self._tail = JournalTail(settings.state.dir / "journal")
        self._count = DayTradeCounter(settings.day_trades)
        self._generation = -1
        self._lines: deque[Activity] = deque(maxlen=MOST_LINES)

    def has_changed(self) -> bool:
        """Return whether another process committed, or its events reached the journal, since the last look."""
        state = self._store.view()
        return self._generation != self._store.generation or state.last_seq != self._tail.last_seq

    def look(self) -> Seen:
        """Return what there is now."""
        state = self._store.view()
        now = self._now(state)
        if state.last_seq != self._tail.last_seq:
            self._lines.extend(activities(self._tail.read()))
        drift = last_note(self._settings)
        board = make_board(state, self._settings.limits, now, self._day_trades(state, now), drift=drift)
        lines = tuple(self._lines)
        self._generation = self._store.generation
        badge = badge_in(self._settings, state)
        return Seen(board=board, lines=lines, alarms=_alarms_of(lines, now), badge=badge, holder=self._holder())

    def history(self, symbol: str) -> PositionHistory:
        """Return how the position in *symbol* came to where it stands; nothing where it is not held any more."""
        state = self._store.view()
        row = state.positions.get(symbol)
        if row is None:
            return PositionHistory()
        position, bracket = row.position, state.brackets.get(row.position.bracket_id)
        book = PlanBook()
        if bracket is not None:
            for line in open_journal(self._settings).events(subject=bracket.signal_id, since=bracket.created_at):
                event = read_event(line)
                if not isinstance(event, UnreadEvent):
                    book.hear(event)
        plan = book.plans.get(position.bracket_id)
        return PositionHistory(
            bars=self._bars_since(position, self._now(state)),
            first_stop=bracket.stop_price if bracket is not None else None,
            stops=plan.stops if plan is not None else (),
        )

    def month(self) -> tuple[SessionValue, ...]:
        """Return what the account was worth at the end of each session of the last month."""
        from apex_cli.app.report_pages import read_report
        from apex_cli.core.reports.trade_report import Span

        first = session_date(self._now(self._store.view())) - MONTH
        return read_report(self._settings, Span(first=first), since=session_start(first)).values

    def risk(self) -> RiskView:
        """Return what is at risk now; a year of bars is read of what is held."""
        from apex_cli.app.risk_look import risk_of

        state = self._store.view()
        return risk_of(self._settings, state, self._now(state))

    def _bars_since(self, position: Position, now: datetime) -> tuple[Bar, ...]:
        """Return the bars of a position, where files of them are configured and can be read."""
        try:
            bars = open_bars(self._settings)
            if bars is None:
                return ()
            instrument = position.instrument
            name = instrument.key if instrument.market_type is MarketType.OPTIONS else instrument.bars_name
            before = max((now - position.entry_time) / 2, BEFORE_ENTRY)
            return tuple(bars.bars(name, after=position.entry_time - before, until=now + LAST_SECOND)[-MOST_BARS:])
        except (ConfigError, InputError):  # the position can be looked at without them
            return ()

    def _now(self, state: State) -> datetime:
        return decision_time(self._settings, state, self._store.clock.now())

    def _day_trades(self, state: State, now: datetime) -> DayTradeStatus | None:
        if state.account is None:
            return None
        account: AccountSnapshot = state.account.account
        return self._count(state, account, now)

    def _holder(self) -> str:
        if not (self._settings.state.dir / HOLDER_FILE).exists():
            return ""
        return executor_holder(self._settings)


def _alarms_of(lines: tuple[Activity, ...], now: datetime) -> tuple[Activity, ...]:
    today = session_date(now)
    return tuple(line for line in lines if line.kind is ActivityKind.ALARM and session_date(line.at) == today)
