"""Imports executions of the whole account, for the day-trade count only: positions never change.

Own fills stay what positions are folded from. Further executions of a report are kept in a table of their own, each
execution once by its id, for ten sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.day_trades.count import FILL_SESSIONS
from apex_cli.core.day_trades.counter import known_since
from apex_cli.core.day_trades.flow import COUNTED_TYPES
from apex_cli.core.market.calendar import (
    FIRST_DAY,
    is_session,
    next_session,
    previous_sessions,
    session_date,
    session_start,
)
from apex_cli.core.model.base import Value
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.state.events.book_events import HistoryImported, Imported, ImportedHistory
from apex_cli.core.state.tables import State, securities

MADE_IDS = ("row-", "order-")
"""How ids begin that were made for a row of a list without ids of executions."""

SECOND = timedelta(seconds=1)
"""Lists show whole seconds."""


class Report(Value, frozen=True, kw_only=True):
    """The content of a file of executions."""

    executions: tuple[Execution, ...]
    since: date | None = None
    """First day the report covers; None: that of its oldest execution."""

    until: date | None = None
    """Last day the report covers; None: up to now."""

    dropped: int = 0
    """Rows that are no trades of a security: expiries, assignments, cancelled ones."""

    warnings: tuple[str, ...] = ()
    """What makes the count less than exact."""

    source: str = ""
    """What the file was taken for."""

    def covers(self, now: datetime, sessions: int) -> bool:
        """Return whether the report reaches back over *sessions* sessions, the one of *now* included."""
        first = (*previous_sessions(session_date(now), sessions - 1), session_date(now))[0]
        since = self.since or _first_day(self.executions)
        return since is not None and since <= first


def with_start(executions: Sequence[Execution], start: Mapping[str, Decimal]) -> tuple[Execution, ...]:
    """Return *executions* with what was held before them noted on the oldest one of each security in *start*."""
    oldest: dict[str, Execution] = {}
    for row in sorted(executions, key=lambda row: (row.filled_at, row.key)):
        oldest.setdefault(row.security, row)
    noted = {row.key: start[key] for key, row in oldest.items() if key in start}
    return tuple(replace(row, held_before=noted[row.key]) if row.key in noted else row for row in executions)


def import_executions(tx: State, report: Report, now: datetime) -> Imported:
    """Put *report* into the state, inside the caller's transaction; twice is as good as once.

    Executions of more than ten sessions before *now* are left out.
    """
    today = session_date(now)
    cutoff = session_start(previous_sessions(today, FILL_SESSIONS - 1)[0])
    known = {each.con_id: each.key for each in securities(tx) if each.con_id}
    named = (replace(row, security=known.get(row.con_id, row.security)) for row in report.executions)
    counted = [row for row in named if row.sec_type in COUNTED_TYPES]
    fresh = [row for row in counted if row.filled_at >= cutoff]
    rows = [tx.history_fills[row.key] for row in fresh if _put(tx, row)]
    _extend_coverage(tx, report, today)
    imported = Imported(
        added=len(rows),
        known=len(fresh) - len(rows),
        too_old=len(counted) - len(fresh),
        not_counted=len(report.executions) - len(counted) + report.dropped,
        covered_since=tx.counters.fills_since,
    )
    if rows:
        tx.emit(HistoryImported(at=now, data=ImportedHistory(rows=tuple(rows), imported=imported)))
    return imported


def _put(tx: State, row: Execution) -> bool:
    """Keep *row*, unless it or a later correction of it is there."""
    own, known = tx.fills.get(row.key), tx.history_fills.get(row.key)
    if own is not None or (known is not None and known.revision >= row.revision):
        return False
    if row.exec_id.startswith(MADE_IDS) and _repeats_own(tx, row):
        return False
    held = row.held_before if row.held_before is not None or known is None else known.held_before
    tx.history_fills[row.key] = replace(row, held_before=held)
    return True


def _repeats_own(tx: State, row: Execution) -> bool:
    """Return True when *row*, which has no id of the broker, is an own fill, or an own order as a whole.

    It is the same security, side and quantity within a second of the fill, or of the time the order took to fill.
    """
    orders: dict[str, list[Fill]] = {}
    for fill in tx.fills.values():
        if fill.instrument.key == row.security and fill.side is row.side:
            orders.setdefault(fill.client_order_id or fill.key, []).append(fill)
    groups = [*orders.values(), *([fill] for fills in orders.values() for fill in fills)]
    return any(
        sum(fill.quantity for fill in fills) == row.quantity
        and min(fill.filled_at for fill in fills) - SECOND <= row.filled_at
        and row.filled_at <= max(fill.filled_at for fill in fills) + SECOND
        for fills in groups
    )


def _extend_coverage(tx: State, report: Report, today: date) -> None:
    """Let the known sessions begin where the report does, if it reaches them without a gap."""
    since = report.since or _first_day(report.executions)
    if since is None:
        return
    since = max(since, FIRST_DAY)
    first = since if is_session(since) else next_session(since)
    known = known_since(tx) or today
    reaches = report.until is None or next_session(report.until) >= known
    if reaches and first <= known:
        tx.counters = replace(tx.counters, fills_since=first.isoformat())


def _first_day(executions: Iterable[Execution]) -> date | None:
    oldest = min((row.filled_at for row in executions), default=None)
    return None if oldest is None else session_date(oldest)
