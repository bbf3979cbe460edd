"""The results of a period, added up event by event, so that a history of any length can be streamed.

Amounts are account currency. P&L is before commissions unless it is called net. Slippage is a cost: positive when
it was paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from apex_cli.core.day_trades.count import RunningCount
from apex_cli.core.market.calendar import next_session, previous_sessions, session_date
from apex_cli.core.model.account import CashFlow
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Price, Usd
from apex_cli.core.model.order import Order, OrderRole
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import Counters, OutboxRow
from apex_cli.core.ports import JournalReader
from apex_cli.core.positions.performance import (
    Distribution,
    Drawdown,
    Ratios,
    RDistribution,
    Statistics,
    Tally,
    max_drawdown,
    ratios_of,
)
from apex_cli.core.reports.plans import PlanBook, TradePlan
from apex_cli.core.state.events import (
    account_events,
    approval_events,
    base_event,
    order_events,
    position_events,
    signal_events,
)
from apex_cli.core.state.events.event import UnreadEvent, pass_over, read_event

KINDS = base_event.kinds_of(
    position_events.RoundTripClosed,
    position_events.RoundTripVoided,
    signal_events.Decided,
    signal_events.SignalEnded,
    signal_events.SignalInvalid,
    approval_events.ApprovalRejected,
    approval_events.ApprovalExpired,
    approval_events.ApprovalSuperseded,
    order_events.OrderUpdated,
    order_events.FillBooked,
    order_events.FillCorrected,
    account_events.SessionStarted,
)
"""Kinds of events that the report is made of."""


class Span(Value, frozen=True, kw_only=True):
    """Sessions from the first to the last, both included; None is open."""

    first: date | None = None
    last: date | None = None

    def has(self, at: datetime) -> bool:
        """Return whether *at* belongs to a session of the span."""
        return (self.first is None and self.last is None) or self.holds(session_date(at))

    def holds(self, day: date) -> bool:
        """Return whether the session *day* is one of the span."""
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


class Group(Value, frozen=True, kw_only=True):
    """Closed trades that have something in common."""

    name: str
    statistics: Statistics


class Refusals(Value, frozen=True, kw_only=True):
    """How often one reason kept a signal from being traded, and the latest sentence it was reported in."""

    code: str
    count: int
    example: str


class Slippage(Value, frozen=True, kw_only=True):
    """What was lost between the price a signal saw and the price of the fill.

    Source:
        André Perold, "The Implementation Shortfall", The Journal of Portfolio Management 14 (1988).
    """

    orders: int
    delay: Usd
    """Entries: (price at the decision - price of the signal) * signed quantity. Waiting for an approval is in it."""

    spread: Usd | None
    """Entries whose quote had bid and ask: half of ask - bid, times quantity; None when no quote had them."""

    execution: Usd
    """(price of the fill - price expected) * signed quantity, less *spread*. Expected is the price at the decision,
    for a stop its trigger, for a target its limit."""

    by_role: dict[str, Usd]
    """*execution* and *spread* by entry, stop, target, close."""

    @property
    def total(self) -> Usd:
        """All of it."""
        return Usd(self.delay + (self.spread or ZERO) + self.execution)


class SessionValue(Value, frozen=True, kw_only=True):
    """What the account was worth at the end of one session, or would be with its closed trades alone."""

    day: date
    equity: Usd


def every_session(curve: Sequence[SessionValue]) -> tuple[SessionValue, ...]:
    """Return *curve* with the sessions between its points: on those nothing changed."""
    points: list[SessionValue] = []
    for point in curve:
        while points and (day := next_session(points[-1].day)) < point.day:
            points.append(SessionValue(day=day, equity=points[-1].equity))
        points.append(point)
    return tuple(points)


class TradeReport(Value, frozen=True, kw_only=True):
    """Everything ``apex report`` shows."""

    span: Span
    statistics: Statistics
    by_strategy: tuple[Group, ...]
    by_exit_reason: tuple[Group, ...]
    by_month: tuple[Group, ...]
    r_distribution: Distribution
    start_equity: Usd
    """Where the curve starts: equity at the start of the span's first session, else the configured capital."""

    curve: tuple[SessionValue, ...]
    knows_open: bool
    """True when the curve is that of the account's values, what is open included, deposits and withdrawals left out;
    False when it is made of closed trades alone, as only one session is known."""

    drawdown: Drawdown
    """Of the curve, or trade by trade where that fell deeper."""

    ratios: Ratios
    """From the curve session by session, and from the trades."""

    refusals: tuple[Refusals, ...]
    decisions: dict[str, int]
    """Decisions by kind: execute, queue, refuse; and what never came to one."""

    slippage: Slippage
    day_trades: int
    trades: tuple[RoundTrip, ...] = ()
    """By their ends, oldest first; empty unless they were asked for."""

    plans: dict[str, TradePlan] = {}
    """By bracket id; empty unless trades were asked for."""

    @property
    def values(self) -> tuple[SessionValue, ...]:
        """The curve with its start, which is the end of the session before; empty without a closed trade."""
        if not self.curve:
            return ()
        (before,) = previous_sessions(self.curve[0].day, 1)
        return (SessionValue(day=before, equity=self.start_equity), *self.curve)


class _Slip(Value, frozen=True, kw_only=True):
    role: OrderRole
    delay: Decimal = ZERO
    spread: Decimal | None = None
    execution: Decimal = ZERO


_ORDER = base_event.kind_of(order_events.OrderUpdated)
_TRIPS = base_event.kinds_of(position_events.RoundTripClosed, position_events.RoundTripVoided)
_HAS_FILLED = b'"average_price"'
"""Stands in every order that has filled, and spares decoding the others."""


def final_bookings(journal: JournalReader) -> dict[str, int]:
    """Return, for round trips that were booked again or voided, the event that counts (0: none).

    A late or corrected fill books a round trip again or voids it; only then is the journal read once more.
    """
    corrections = (order_events.FillCorrected, position_events.RoundTripVoided)
    if not any(True for each in corrections for _ in journal.events(kind=base_event.kind_of(each))):
        return {}
    final: dict[str, int] = {}
    for row in journal.events():
        if row.kind in _TRIPS:
            match read_event(row):
                case position_events.RoundTripClosed(data=trip):
                    final[trip.round_trip_id] = row.seq
                case position_events.RoundTripVoided(data=trip):
                    final[trip.round_trip_id] = 0
                case _:
                    pass
    return final


class ReportBuilder:
    """Adds events; ``report`` says what they came to."""

    def __init__(
        self, span: Span, *, capital: Usd, final: dict[str, int] | None = None, keeps_trades: bool = False
    ) -> None:
        """Start at nothing.

        Args:
            span: sessions that count.
            capital: where the curve starts when no session's equity is known.
            final: as of ``final_bookings``.
            keeps_trades: True where the report is to hold every trade with its plan.
        """
        self._span = span
        self._book = PlanBook() if keeps_trades else None
        self._trips: list[RoundTrip] = []
        self._results: list[Decimal] = []
        self._final = final or {}
        self.has_corrections = False
        """True once an event said that earlier ones do not hold: then *final* is needed."""
        self._base, self._is_base_known = capital, False
        self._all = Tally()
        self._groups: tuple[dict[str, Tally], dict[str, Tally], dict[str, Tally]] = ({}, {}, {})
        self._bins = RDistribution()
        self._net = self._flows = ZERO
        self._starts: list[tuple[date, Decimal]] = []
        self._by_session: dict[date, Decimal] = {}
        self._points: list[Decimal] = []
        self._refusals: dict[str, Refusals] = {}
        self._decisions: dict[str, int] = {}
        self._slips: dict[str, _Slip] = {}
        self._signal_prices: dict[str, tuple[Price, Decimal | None]] = {}
        self._fills: list[Fill] = []
        self._rates: dict[str, Rate | None] = {}
        """Newest rate by instrument key, of what is priced in another currency."""

    def add(self, row: OutboxRow) -> None:  # noqa: C901, PLR0912 - one case for each kind of event
        """Count one event; kinds outside ``KINDS`` are passed over, lines of other versions, too."""
        if row.kind == _ORDER and _HAS_FILLED not in bytes(row.data):
            return
        event = read_event(row)
        if self._book is not None and not isinstance(event, UnreadEvent):
            self._book.hear(event)
        match event:
            case position_events.RoundTripClosed():
                self._trip(event)
            case order_events.FillCorrected() | position_events.RoundTripVoided():
                self.has_corrections = True
            case order_events.FillBooked(data=fill):
                self._fill(fill)
            case order_events.OrderUpdated():
                self._order(event)
            case signal_events.Decided():
                self._decided(event)
            case account_events.SessionStarted(data=counters):
                self._session(counters)
            case account_events.CashMoved(data=flow):
                self._flow(flow)
            case signal_events.SignalEnded(data=end):
                self._ended(event, str(end.outcome), end.reasons)
            case signal_events.SignalInvalid(data=rejected):
                self._ended(event, "invalid", (rejected.reason,))
            case (
                approval_events.ApprovalRejected(data=approval)
                | approval_events.ApprovalExpired(data=approval)
                | approval_events.ApprovalSuperseded(data=approval)
            ):
                reason = Reason(code=f"approval_{approval.status}", message=approval.reason)
                self._ended(event, f"approval {approval.status}", (reason,))
            case approval_events.ApprovalEvent():
                pass
            case _:
                pass_over(event)

    def add_all(self, rows: Iterable[OutboxRow]) -> None:
        """Count the events of *rows*."""
        for row in rows:
            self.add(row)

    def _trip(self, event: position_events.RoundTripClosed) -> None:
        trip = event.data
        if self._final.get(trip.round_trip_id, event.seq) != event.seq or not self._span.has(trip.exit_time):
            return
        day = session_date(trip.exit_time)
        self._all.add(trip)
        for tallies, name in zip(
            self._groups, (trip.strategy or "none", trip.exit_reason or "none", f"{day:%Y-%m}"), strict=True
        ):
            tallies.setdefault(name, Tally()).add(trip)
        if trip.r_multiple is not None and trip.net_r_multiple is not None:
            self._bins.add(trip.r_multiple)
            self._results.append(trip.net_r_multiple)
        if self._book is not None:
            self._trips.append(trip)
        self._net += trip.net_pnl
        self._points.append(self._net)
        self._by_session[day] = self._by_session.get(day, ZERO) + trip.net_pnl

    def _fill(self, fill: Fill) -> None:
        self._rates[fill.instrument.key] = fill.rate
        if self._span.has(fill.filled_at):
            self._fills.append(fill)

    def _session(self, counters: Counters) -> None:
        """Keep what the account was worth, which is what the session before ended with."""
        if counters.session_start_equity > 0:
            self._starts.append(
                (date.fromisoformat(counters.session_date), counters.session_start_equity - self._flows)
            )
        if not self._is_base_known and counters.session_start_equity > 0:
            first = self._span.first
            self._base = counters.session_start_equity
            self._is_base_known = first is None or counters.session_date >= first.isoformat()

    def _decided(self, event: signal_events.Decided) -> None:
        record = event.data
        quote, decision = record.snapshot.quote, record.decision
        half = (quote.ask - quote.bid) / 2 if quote and quote.ask is not None and quote.bid is not None else None
        if decision.kind is not DecisionKind.REFUSE:
            self._rates[decision.instrument.key] = record.snapshot.rate
            self._signal_prices[decision.signal_id] = (record.opportunity.signal.entry_price, half)
        if not self._span.has(event.at):
            return
        name = f"{decision.kind}{' (answer)' if record.is_answer else ''}"
        self._decisions[name] = self._decisions.get(name, 0) + 1
        if decision.kind is DecisionKind.REFUSE:
            self._refuse(decision.reasons)

    def _ended(self, event: base_event.BaseEvent, name: str, reasons: Iterable[Reason]) -> None:
        """Count what ended without a decision."""
        if self._span.has(event.at):
            self._refuse(reasons)
            self._decisions[name] = self._decisions.get(name, 0) + 1

    def _refuse(self, reasons: Iterable[Reason]) -> None:
        for reason in reasons:
            known = self._refusals.get(reason.code)
            count = known.count + 1 if known else 1
            self._refusals[reason.code] = Refusals(code=reason.code, count=count, example=reason.message)

    def _order(self, event: order_events.OrderUpdated) -> None:
        """Keep the slippage of what an order has filled so far; a later word on it takes its place."""
        record = event.data
        order, price = record.order, record.average_price
        expected = _expected_price(order)
        if price is None or expected is None or not record.filled_quantity or not self._span.has(event.at):
            return
        rate = self._rates.get(order.instrument.key)
        quantity = worth(rate, record.filled_quantity * order.instrument.multiplier, price)
        slip = (price - expected) * quantity * order.side.sign
        delay, spread = ZERO, None
        if order.role is OrderRole.ENTRY and event.subject in self._signal_prices:
            seen, half = self._signal_prices[event.subject]
            delay = (expected - seen) * quantity * order.side.sign
            spread = half * quantity if half is not None else None
        self._slips[order.client_order_id] = _Slip(
            role=order.role, delay=delay, spread=spread, execution=slip - (spread or ZERO)
        )

    def report(self) -> TradeReport:
        """Return what was counted."""
        by_strategy, by_exit, by_month = self._groups
        curve = self._account_curve() or self._curve()
        days = [point.equity for point in every_session(curve)]
        return TradeReport(
            span=self._span,
            statistics=self._all.statistics(),
            by_strategy=_ranked(by_strategy),
            by_exit_reason=_ranked(by_exit),
            by_month=tuple(Group(name=name, statistics=tally.statistics()) for name, tally in sorted(by_month.items())),
            r_distribution=self._bins.distribution(),
            start_equity=self._base,
            curve=curve,
            knows_open=bool(self._account_curve()),
            drawdown=self._drawdown(curve),
            ratios=ratios_of([self._base, *days] if days else [], self._results),
            refusals=tuple(sorted(self._refusals.values(), key=lambda row: (-row.count, row.code))),
            decisions=dict(sorted(self._decisions.items())),
            slippage=_sum(self._slips.values()),
            day_trades=sum(RunningCount(self._fills, {}).count().by_session.values()),
            trades=tuple(sorted(self._trips, key=lambda trip: (trip.exit_time, trip.round_trip_id))),
            plans=self._book.plans if self._book is not None else {},
        )

    def _curve(self) -> tuple[SessionValue, ...]:
        equity, points = self._base, []
        for day, net in sorted(self._by_session.items()):
            equity = Usd(equity + net)
            points.append(SessionValue(day=day, equity=equity))
        return tuple(points)

    def _account_curve(self) -> tuple[SessionValue, ...]:
        """Return what the account was worth at the end of each session; empty where only one session is known.

        A session ends with what the next one begins with. The last one ends with what it began with and has closed
        since.
        """
        within = [place for place, (day, _) in enumerate(self._starts) if self._span.holds(day)]
        if not self._points or len(self._starts) < 2:  # noqa: PLR2004 - one start is no curve
            return ()
        points = []
        for place in within:
            day, equity = self._starts[place]
            is_last = place + 1 == len(self._starts)
            since = sum((net for closed, net in self._by_session.items() if closed >= day), ZERO)
            ended = equity + since if is_last else self._starts[place + 1][1]
            points.append(SessionValue(day=day, equity=Usd(ended)))
        return tuple(points)

    def _flow(self, flow: CashFlow) -> None:
        """Leave money that was paid in or taken out out of the curve, where a session began with it, too."""
        if self._starts:
            day, equity = self._starts[-1]
            began = equity + self._flows
            if abs(began - flow.equity_after) < abs(began - flow.equity_before):
                self._starts[-1] = (day, equity - flow.amount)
        self._flows += flow.amount

    def _drawdown(self, curve: tuple[SessionValue, ...]) -> Drawdown:
        """Return the deepest fall, session by session or trade by trade."""
        by_session = max_drawdown([self._base, *(point.equity for point in curve)])
        by_trade = max_drawdown([self._base, *(self._base + net for net in self._points)])
        return Drawdown(
            amount=max(by_session.amount, by_trade.amount), fraction=max(by_session.fraction, by_trade.fraction)
        )


def _expected_price(order: Order) -> Price | None:
    """Return the price an order was to fill at."""
    if order.role is OrderRole.TARGET:
        return order.limit_price
    if order.role is OrderRole.STOP:
        return order.stop_price
    return order.reference_price


def _ranked(tallies: dict[str, Tally]) -> tuple[Group, ...]:
    """Return groups, the one that earned most first."""
    groups = [Group(name=name, statistics=tally.statistics()) for name, tally in tallies.items()]
    return tuple(sorted(groups, key=lambda group: (-group.statistics.net_pnl, group.name)))


def _sum(slips: Iterable[_Slip]) -> Slippage:
    slips = tuple(slips)
    spreads = [slip.spread for slip in slips if slip.spread is not None]
    by_role: dict[str, Usd] = {}
    for slip in slips:
        name = slip.role.lower()
        by_role[name] = Usd(by_role.get(name, ZERO) + slip.execution + (slip.spread or ZERO))
    return Slippage(
        orders=len(slips),
        delay=Usd(sum((slip.delay for slip in slips), ZERO)),
        spread=Usd(sum(spreads, ZERO)) if spreads else None,
        execution=Usd(sum((slip.execution for slip in slips), ZERO)),
        by_role=dict(sorted(by_role.items())),
    )
