"""An account for programs: the functions of the commands, with the same locks and rules.

They raise errors instead of ending with an exit status.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from apex_cli.api.record_lists import Account, Approval, Event, Order, approval_of, event_of, order_of
from apex_cli.api.reports import Trade, trade_of
from apex_cli.api.running_loop import beside_the_loop
from apex_cli.api.settings import Settings, load_settings
from apex_cli.api.values import maybe_amount
from apex_cli.core.errors import ExitStatus, InputError, OutcomeUnknownError
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.model.request import Answer, Answered, Choice, Closed, WorkDone
from apex_cli.core.model.row_table import Records
from apex_cli.core.model.wording import amounts_in
from apex_cli.core.positions.position_views import PositionView, position_views
from apex_cli.core.signals.strategy import Number, Signal, Strategy

if TYPE_CHECKING:
    from apex_cli.app.operator import Operator
    from apex_cli.app.submission import Submitted
    from apex_cli.presenters.screen.output import Output

T = TypeVar("T")
ResultT = TypeVar("ResultT", Answered, Closed)
ONE = Decimal(1)
log = logging.getLogger("apex_cli.api")
"""Hears warnings."""

LONGEST_S = 30.0


class Apex:
    """One account. Every call connects, acts and lets go, as a command does; nothing is held in between.

    Where a run holds the executor, what is asked for is done by that run. A refusal by the checks is a value; what the
    commands end with another status than 0 for is an ``ApexError``. Warnings go to the logger ``apex_cli.api``.
    """

    def __init__(
        self,
        config: Path | str | Settings | None = None,
        *,
        profile: str = "",
        changes: Mapping[str, Any] | None = None,
        live: bool = False,
        wait_s: float = LONGEST_S,
    ) -> None:
        """Read the configuration; the account itself is not touched yet.

        Args:
            config: the file, or settings; None: looked for as the commands do.
            profile: ``sim``, ``paper``, ``live``, or one of the configuration's profiles.
            changes: values by key path that count after file and environment.
            live: allow orders to a live account, where the configuration says so, too.
            wait_s: how long a process that holds the executor may take; 0: nothing is handed over.

        Raises:
            ConfigError: there is none, or a value is wrong.
        """
        from apex_cli.app.resources import allow_live, require_account

        settings = config if isinstance(config, Settings) else load_settings(config, changes, profile=profile)
        self.settings = allow_live(settings, live)
        self.wait_s = wait_s
        if not isinstance(config, Settings):
            with self._speaking() as out:
                require_account(out, self.settings)

    # Looking

    @property
    def name(self) -> str:
        """Which account it is, as every screen says it: ``SIM``, ``PAPER DU…67``, ``LIVE U…21``."""
        from apex_cli.app.resources import badge_in

        return self._do(lambda _: badge_in(self.settings, self._state()).text)

    def account(self) -> Account:
        """Return what the account is worth now, by the broker.

        Raises:
            BrokerError: it cannot be reached.
        """

        def look(out: Output) -> Account:
            from apex_cli.app.resources import badge_of

            _, snapshot, status = self._operator(out).account()
            return Account(
                name=badge_of(self.settings).named_by(snapshot).text,
                equity=snapshot.equity,
                cash=snapshot.cash,
                buying_power=snapshot.buying_power,
                day_trades_left=status.remaining,
                taken_at=snapshot.taken_at,
            )

        return self._do(look)

    def positions(self) -> Records[PositionView]:
        """Return what is held, with P&L, R, stop and protection, by symbol."""
        return Records(PositionView, self._do(lambda _: position_views(self._state(), self.settings.management)))

    def orders(self) -> Records[Order]:
        """Return the working orders."""
        rows = self._do(lambda _: [record for record in self._state().orders.values() if record.is_open])
        return Records(Order, tuple(map(order_of, rows)))

    def approvals(self) -> Records[Approval]:
        """Return what waits for an answer, best score first."""
        pending = self._do(lambda out: self._operator(out).pending())
        return Records(Approval, tuple(map(approval_of, pending)))

    def trades(self, since: date | None = None) -> Records[Trade]:
        """Return closed trades in the order in which they closed, those from the session *since* on, or all."""

        def read(_: Output) -> tuple[Trade, ...]:
            from apex_cli.app.resources import open_journal
            from apex_cli.core.reports.handles import closed_round_trips
            from apex_cli.core.reports.trade_report import Span

            span = Span(first=since)
            trips = closed_round_trips(open_journal(self.settings))
            return tuple(trade_of(trip) for trip in trips if span.has(trip.exit_time))

        return Records(Trade, self._do(read))

    def events(self, after: int | None = None, *, follow: bool = True) -> Iterator[Event]:
        """Yield what happens, each event once and in order; without *follow* what is there by now.

        Args:
            after: the number of the last event that is known; 0: from the first; None: what is new from now on.
            follow: whether to wait for more, without end.

        Raises:
            InputError: there is no event of that number.
        """
        from apex_cli.app.journal_feed import feed_after
        from apex_cli.app.journal_feed import follow as follow_feed

        return map(event_of, follow_feed(feed_after(self.settings, after), waits=follow))

    # Proposing

    def propose(self, strategy: Strategy) -> list[Signal]:
        """Return what *strategy* would propose at the newest bar of each symbol of the watch list; nothing is done.

        Without a watch list it looks at every symbol with bars. Give an object, not a class, where it has a memory.

        Raises:
            InputError: it is no strategy.
        """
        from apex_cli.app.strategy_look import look

        return self._do(lambda out: look(self.settings, strategy, out.warn))

    def decide(self, signal: Signal) -> SignalReport:
        """Return what would become of *signal* now; nothing is written, sent or queued.

        Raises:
            InputError: it is no signal; the message names the field.
            BrokerError: the broker cannot be reached.
        """
        from apex_cli.app.submission import would_decide

        return _one(self._do(lambda out: would_decide(self.settings, (signal,), out.warn)))

    def submit(self, signal: Signal) -> SignalReport:
        """Decide on *signal*, and do what is decided: execute, queue for approval, or refuse with every reason.

        The same signal never enters twice: the second time its outcome is ``duplicate``. Where a run holds the
        executor, the signal is kept on the disk and that run decides; what it has not decided within ``wait_s`` is
        ``received``.

        Raises:
            InputError: it is no signal; the message names the field.
            BrokerError: the broker cannot be reached.
            OutcomeUnknownError: something was sent, and what became of it is in doubt; ``details["reports"]`` has
                what is known.
        """
        return _one(self._submitted((signal,)))

    def submit_all(self, signals: Iterable[Signal]) -> list[SignalReport]:
        """Do the same with several: they are ranked, and the best goes first. What is no signal is ``invalid``.

        Raises:
            BrokerError: the broker cannot be reached.
            OutcomeUnknownError: something was sent, and what became of it is in doubt; ``details["reports"]`` has
                what is known.
        """
        return list(self._submitted(tuple(signals)).reports)

    # Answering and closing

    def approve(self, approval: str, *, quantity: Number | None = None) -> Approval:
        """Approve what waits; price, size and every check are looked at again first.

        Args:
            approval: its id, or the symbol.
            quantity: another size than the one worked out.

        Raises:
            InputError: nothing has that name.
            RefusedError: a check says no now.
            OutcomeUnknownError: it was sent, and what became of it is in doubt.
        """
        return self._answer(Choice.APPROVE, approval, quantity=maybe_amount("quantity", quantity))

    def reject(self, approval: str, reason: str = "") -> Approval:
        """Reject what waits.

        Raises:
            InputError: nothing has that name.
        """
        return self._answer(Choice.REJECT, approval, reason=reason)

    def close(
        self,
        symbol: str,
        *,
        fraction: Number | None = None,
        quantity: Number | None = None,
        limit: Number | None = None,
        reason: str = "manual",
    ) -> Closed:
        """Close a position, whole or in part: never more is sold than is held, nor left without its exits.

        Args:
            symbol: of the position.
            fraction: the part to close; 0.5 is half.
            quantity: the units to close, instead of a part.
            limit: the worst price; the order rests beside a stop.
            reason: kept as the trade's exit reason.

        Raises:
            NothingToDo: nothing is held.
            OutcomeUnknownError: it was sent, and what became of it is in doubt.
        """
        if fraction is not None and quantity is not None:
            raise InputError("close_how_much", "fraction and quantity exclude each other.", hint="Give one of them.")

        def act(out: Output) -> Closed:
            from apex_cli.app.operator import CloseTerms

            operator = self._operator(out)
            terms = CloseTerms(
                fraction=maybe_amount("fraction", fraction, most=ONE),
                quantity=maybe_amount("quantity", quantity),
                limit=maybe_amount("limit", limit),
                reason=reason,
            )
            return _result(operator.do(*operator.close_requests((symbol,), terms)), Closed)

        return self._do(act, notifies=True)

    def close_all(self, *, reason: str = "manual") -> Records[Closed]:
        """Close every position.

        Raises:
            NothingToDo: nothing at all is held.
            ApexError: one could not be closed; ``details["closed"]`` has the others.
        """

        def act(out: Output) -> tuple[Closed, ...]:
            from apex_cli.app.operator import CloseTerms, without_unfilled

            operator = self._operator(out)
            done = without_unfilled(operator.do(*operator.close_requests((), CloseTerms(reason=reason))))
            closed = done.all_of(Closed)
            _raise_failure(done, {"closed": closed})
            return closed

        return Records(Closed, self._do(act, notifies=True))

    # Time

    def advance(self, until: date | None = None) -> datetime | None:
        """Let time pass in a simulated market that follows bars (``simulation.clock: bars``).

        Args:
            until: play up to the close of this day; None: one bar.

        Returns:
            the end of the last bar that was played, aware UTC; None at the end of the bars.

        Raises:
            InputError: the market does not follow bars.
            BusyError: another process holds the executor.
        """
        from apex_cli.app.market_steps import play_bars

        return self._do(lambda out: play_bars(self.settings, until, out.warn), notifies=True)

    # How it is done

    def _submitted(self, signals: tuple[Signal, ...]) -> Submitted:
        from apex_cli.app.submission import submit

        done = self._do(lambda out: submit(self.settings, signals, wait_s=self.wait_s, notice=out.warn), notifies=True)
        if done.trouble is not None:
            trouble = done.trouble
            details = {**trouble.details, "reports": done.reports}
            raise type(trouble)(trouble.code, trouble.message, hint=trouble.hint, details=details)
        return done

    def _answer(self, choice: Choice, name: str, **how: Any) -> Approval:  # noqa: ANN401 - fields of an answer
        def act(out: Output) -> Approval:
            operator = self._operator(out)
            quantity = how.pop("quantity", None)
            units = None if quantity is None else Quantity(quantity)
            found = operator.find(name).approval_id
            answer = Answer(choice=choice, ids=(found,), quantity=units, by="program", **how)
            answered = _result(operator.do(answer), Answered)
            return approval_of(answered.approval, answered.orders)

        return self._do(act, notifies=True)

    def _operator(self, out: Output) -> Operator:
        from apex_cli.app.operator import Operator

        return Operator(self.settings, out, wait_s=self.wait_s)

    def _state(self) -> Any:  # noqa: ANN401 - the tables, which are no part of the API
        from apex_cli.app.resources import open_store

        return open_store(self.settings).view()

    def _do(self, work: Callable[[Output], T], *, notifies: bool = False) -> T:
        """Return the result of *work*; inside a running event loop it is done in a thread of its own."""

        def spoken() -> T:
            with self._speaking() as out, amounts_in(self.settings.currency.base):
                if not notifies:
                    return work(out)
                from apex_cli.notify import posting

                with posting(out, self.settings):
                    return work(out)

        return beside_the_loop(spoken)

    @contextmanager
    def _speaking(self) -> Iterator[Output]:
        """Lend what hears warnings, and pass them on to the log."""
        from apex_cli.presenters.screen.output import Output

        out = Output("api", as_json=True, quiet=True)
        try:
            yield out
        finally:
            for warning in out.warnings:
                log.warning(warning.message)


def _one(done: Submitted) -> SignalReport:
    """Return the one report."""
    (report,) = done.reports
    if report.outcome is not SignalOutcome.INVALID:
        return report
    reason = report.reasons[0]
    details = {"limit": reason.limit, "value": reason.value}
    raise InputError(reason.code, f"This is no signal: {reason.message}.", hint="apex help signals", details=details)


def _result(done: WorkDone, kind: type[ResultT]) -> ResultT:
    """Return the one result of *kind*."""
    found = next(iter(done.all_of(kind)), None)
    _raise_failure(done, {"result": found})
    if found is None:
        raise RuntimeError(f"no {kind.__name__} among {done.results}")
    return found


def _raise_failure(done: WorkDone, details: dict[str, Any]) -> None:
    """Raise what a command would end with another status than 0 for."""
    if done.status is ExitStatus.UNKNOWN_OUTCOME and not done.failures:
        reason = done.reasons[0]
        raise OutcomeUnknownError(reason.code, reason.message, hint="Look at positions and orders.", details=details)
    if done.failures:
        error = done.failures[0].as_error()
        raise type(error)(error.code, error.message, hint=error.hint, details={**error.details, **details})
