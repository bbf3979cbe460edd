"""The output of a run while it works: a live status line on a terminal, log lines otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from apex_cli.core.model.account import AccountBadge, AccountKind
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.records import OutboxRow, SignalOutcome, SignalReport
from apex_cli.core.model.wording import account_currency, visible
from apex_cli.core.ports import StateStore
from apex_cli.core.state.events.base_event import kind_of, kinds_of
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.operation_events import AlarmRaised
from apex_cli.core.state.events.order_events import FillBooked, OrderUpdated
from apex_cli.core.state.events.position_events import RoundTripClosed
from apex_cli.core.state.events.signal_events import MOST_RECENT, SIGNAL_KINDS
from apex_cli.presenters.run import SIGNALS, why
from apex_cli.presenters.screen.formats import moment, number, price, signed, units
from apex_cli.presenters.screen.output import Output, without_secrets, write_line

if TYPE_CHECKING:
    from rich.status import Status

    from apex_cli.core.model.position import RoundTrip
    from apex_cli.core.positions.booking import Booked


SIMULATED = AccountBadge(kind=AccountKind.SIMULATED)
ALARM = kind_of(AlarmRaised)
ALWAYS_REPORTED = kinds_of(FillBooked, RoundTripClosed)


class RunLog:
    """Hears of signals, fills and cycles, and says what a person wants to follow."""

    def __init__(self, out: Output, *, is_live: bool, is_loop: bool, has_end: bool) -> None:
        """Speak through *out*; draw a status line when *is_live*; log signals one by one when *is_loop*.

        With ``--json`` a loop without an end gives its events as lines; one that ends by itself gives one document.
        """
        self._out = out
        self._is_live = is_live
        self._is_loop = is_loop
        self._gives_events = is_loop and not has_end and out.as_json
        self._status: Status | None = None
        self._now: datetime | None = None
        self._cycles = 0
        self.reported: set[int] = set()
        """Sequence numbers of the alarms that were reported while it ran."""
        self._signals: dict[str, None] = {}

    def __enter__(self) -> Self:
        """Start the status line."""
        if self._is_live:
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False).status("starting", spinner="dots")
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the status line away."""
        if self._status is not None:
            self._status.stop()

    def begin(self) -> None:
        """Say whose account it is, once a signal to end is heard."""
        if self._is_loop and not self._is_live:
            self._out.note(f"{(self._out.named_badge() or SIMULATED).text}: the run begins; Ctrl-C ends it.")

    def signal(self, report: SignalReport) -> None:
        """Log one signal's outcome; without a loop the table at the end says it."""
        if self._is_loop and report.outcome is not SignalOutcome.DUPLICATE:
            self._give("signal", self._now, partial(SIGNALS.data, report))
            quantity = f" {units(report.quantity)}" if report.quantity is not None else ""
            self._say(f"{report.symbol} {report.outcome}{quantity}: {why(report)}".strip(": "))

    def booked(self, booked: Booked) -> None:
        """Log fills and closed round trips."""
        for fill in booked.fills:
            self._give("fill", fill.filled_at, partial(fill_data, fill))
            costs = f", commission {fill.cost:.2f}" if fill.cost else ""
            role = fill.role.lower() if fill.role else fill.settlement or "fill"
            self._say(
                f"{fill.instrument.key} {role}: {fill.side} {units(fill.quantity)} at {price(fill.price)}{costs}",
                fill.filled_at,
            )
        for trip in booked.round_trips:
            self._give("round_trip", trip.exit_time, partial(round_trip_data, trip))
            self._say(
                f"{trip.instrument.key} closed by {trip.exit_reason}: {signed(trip.pnl)} {account_currency()}",
                trip.exit_time,
            )

    def signal_numbers(self) -> dict[str, int]:
        """Return the numbers that ``apex explain`` knows the signals of this run by: the newest is 1."""
        return {name: number for number, name in enumerate(reversed(self._signals), start=1)}

    def event(self, row: OutboxRow) -> None:
        """Report an alarm at once, whatever else is silenced; everything else only with ``--verbose``."""
        if row.kind in SIGNAL_KINDS and row.subject:
            self._signals.pop(row.subject, None)
            self._signals[row.subject] = None
            if len(self._signals) > MOST_RECENT:
                del self._signals[next(iter(self._signals))]
        if row.kind != ALARM:
            if self._out.verbose and row.kind not in ALWAYS_REPORTED:
                self._say(event_words(row), row.at)
            return
        self.reported.add(row.seq)
        event = read_event(row)
        message = event.data.message if isinstance(event, AlarmRaised) else row.subject
        code = event.data.code if isinstance(event, AlarmRaised) else row.kind
        self._give("alarm", row.at, lambda: {"code": code, "symbol": row.subject, "message": message})
        text = f"Alarm: {message}"
        if self._status is not None:
            self._status.console.print(visible(without_secrets(text)), markup=False, style="bold red")
        else:
            write_line(sys.stderr, text)

    def cycle(self, store: StateStore, now: datetime) -> None:
        """Refresh the status line."""
        self._now = now
        self._cycles += 1
        if self._status is not None:
            self._status.update(status_text(store, now, self._cycles, self._out.badge or SIMULATED))

    def _give(self, name: str, at: datetime | None, data: Callable[[], dict[str, Any]]) -> None:
        """Give an event to a script that follows a loop."""
        if self._gives_events:
            self._out.event(name, at, data())

    def _say(self, text: str, at: datetime | None = None) -> None:
        stamp = moment(at or self._now) if at or self._now else ""
        line = f"{stamp}  {text}".strip()
        if self._status is not None:
            self._status.console.print(visible(line), markup=False)
        else:
            self._out.note(line)


def fill_data(fill: Fill) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        "exec_id": fill.exec_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.instrument.key,
        "role": fill.role,
        "side": fill.side,
        "quantity": number(fill.quantity),
        "price": fill.price,
        "commission": fill.cost,
    }


def round_trip_data(trip: RoundTrip) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    from apex_cli.presenters.history import ROUND_TRIPS

    return ROUND_TRIPS.data(trip)


def event_words(row: OutboxRow) -> str:
    """Return an event in a line: what the log of the dashboard says of it, or an order's fate, or its bare name."""
    from apex_cli.core.reports.activity import activity_of

    line = activity_of(row)
    if line is not None:
        return " ".join(part for part in (line.kind, line.verdict.replace("_", " "), line.text) if part)
    event = read_event(row)
    if isinstance(event, OrderUpdated):
        record = event.data
        why = f": {record.reason}" if record.reason else ""
        filled = f"{units(record.filled_quantity)}/{units(record.order.quantity)}"
        return f"order {record.order.client_order_id} {record.status.lower()} {filled}{why}"
    return f"{event.kind.replace('_', ' ')} {event.subject}".strip()


def status_text(store: StateStore, now: datetime, cycles: int, badge: AccountBadge) -> str:
    """Return the status line: account, time, trading state, what is open, what waits."""
    from apex_cli.core.reports.board import make_day
    from apex_cli.presenters.day import status_line

    state = store.view()
    named = badge.named_by(state.account.account if state.account else None)
    return f"{status_line(make_day(state, now), named)} · cycle {cycles} · Ctrl-C ends"
