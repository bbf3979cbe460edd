"""The result of a replay, and how it is added up while time passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from apex_cli.core.day_trades.count import count_day_trades
from apex_cli.core.market.calendar import previous_sessions, session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.learning import WeightsVersion
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.position import RoundTrip, profit
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.positions.booking import Booked
from apex_cli.core.positions.performance import Drawdown, Ratios, Statistics, Tally, ratios_of
from apex_cli.core.reports.measures import (
    CurvePoint,
    EquityCurve,
    Interval,
    expectancy_interval,
)
from apex_cli.core.reports.plans import PlanBook, TradePlan
from apex_cli.core.reports.trade_report import SessionValue
from apex_cli.core.state.events.event import Event
from apex_cli.core.state.events.learning_events import LearningSuspended, WeightsAdapted
from apex_cli.core.state.events.operation_events import AlarmRaised
from apex_cli.core.state.events.order_events import OrderUpdated
from apex_cli.core.state.events.position_events import RoundTripVoided
from apex_cli.core.state.tables import State

ZERO = Decimal(0)
EXPIRED = OrderStatus.EXPIRED
PLACES = Decimal("0.0001")


class OpenPosition(Value, frozen=True, kw_only=True):
    """What was still held at the end."""

    symbol: str
    quantity: Decimal
    """Signed."""

    entry_price: Decimal
    current_price: Decimal
    pnl: Usd


class ReplayReport(Value, frozen=True, kw_only=True):
    """Everything a replay came to; the same inputs give the same report."""

    first: datetime
    last: datetime
    symbols: tuple[str, ...]
    bars: int
    steps: int
    seed: int
    signals: int
    outcomes: dict[str, int]
    refusals: dict[str, int]
    """Reasons by code, most frequent first; one signal may have several."""

    fill: ReplayFill
    """Which price an order met first."""

    trades: tuple[RoundTrip, ...]
    statistics: Statistics
    ratios: Ratios
    """From the curve session by session, and from the trades."""

    drawdown: Drawdown
    exposure: Decimal
    """Part of the steps with something held, 0..1."""

    start_equity: Usd
    end_equity: Usd
    day_trades: int
    curve: tuple[CurvePoint, ...]
    open_positions: tuple[OpenPosition, ...]
    adaptations: tuple[WeightsVersion, ...]
    alarms: tuple[str, ...]
    learning_suspended: bool = False
    """Learning made results worse, and only reported from some session on."""

    expired_entries: int = 0
    """Entries that ended with their session before all of them was filled."""

    dividends: Usd = Usd(ZERO)
    """Received on what was held, less what was owed on short positions; in the equity, not in the trades."""

    plans: dict[str, TradePlan] = {}
    """By bracket id."""

    problems: tuple[str, ...] = ()
    """What is odd about the bars, what steps and scanners could not do, and rows that are no signals."""

    @property
    def values(self) -> tuple[SessionValue, ...]:
        """The curve by sessions, with what the replay began with as the end of the session before."""
        points = tuple(SessionValue(day=session_date(point.at), equity=point.equity) for point in self.curve)
        (before,) = previous_sessions(points[0].day, 1)
        return (SessionValue(day=before, equity=self.start_equity), *points)

    @property
    def expectancy_interval(self) -> Interval | None:
        """90 % interval of ``net_expectancy_r``."""
        return expectancy_interval(_results(self.trades), self.seed)

    @property
    def sharpe(self) -> float | None:
        """The ratio to four places; None of fewer than 20 sessions."""
        return None if self.ratios.sharpe is None else round(self.ratios.sharpe, 4)

    @property
    def net_expectancy_r(self) -> Decimal | None:
        """Mean R after commissions, to four places."""
        mean = self.statistics.net_expectancy_r
        return None if mean is None else mean.quantize(PLACES)


class SweepRow(Value, frozen=True, kw_only=True):
    """What one combination came to."""

    values: dict[str, str]
    """Setting by key path, as text."""

    trades: int
    breakeven: int
    """Trades that neither won nor lost before costs; *win_rate* leaves them out."""

    win_rate: Decimal | None
    net_win_rate: Decimal | None
    """The same after costs."""

    net_pnl: Usd
    net_expectancy_r: Decimal | None
    profit_factor: Decimal | None
    sharpe: float | None
    max_drawdown: Decimal
    exposure: Decimal
    end_equity: Usd
    returns: tuple[float, ...] = ()
    """Of each session."""


def best_first(rows: Iterable[SweepRow]) -> list[SweepRow]:
    """Return *rows* by R after costs, then by money; those without trades last."""
    return sorted(rows, key=_place)


def _place(row: SweepRow) -> tuple[bool, Decimal, Decimal]:
    expectancy = row.net_expectancy_r
    return expectancy is None, -(expectancy or ZERO), -row.net_pnl


class WalkForwardRow(Value, frozen=True, kw_only=True):
    """What the best setting of one past came to in the time after it."""

    first: date
    last: date
    """The time after it, both days included."""

    values: dict[str, str]
    past: SweepRow
    future: SweepRow


class Recorder:
    """Hears everything that happens in a replay."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.curve = EquityCurve()
        self.outcomes: Counter[str] = Counter({outcome.value: 0 for outcome in SignalOutcome})
        self.refusals: Counter[str] = Counter()
        self.adaptations: list[WeightsVersion] = []
        self.learning_suspended = False
        self.alarms: list[str] = []
        self.problems: list[str] = []
        self._book = PlanBook()
        self._trips: dict[str, RoundTrip] = {}
        self._fills: dict[str, Fill] = {}
        self._held_steps = 0
        self._expired_entries = 0
        self.steps = 0

    def on_event(self, event: Event) -> None:
        """Hear an event of the state."""
        self._book.hear(event)
        match event:
            case RoundTripVoided(data=trip):
                self._trips.pop(trip.round_trip_id, None)
            case LearningSuspended():
                self.learning_suspended = True
            case WeightsAdapted(data=change) if change.version is not None:
                self.adaptations.append(change.version)
            case OrderUpdated(data=record) if record.status is EXPIRED and record.order.role is OrderRole.ENTRY:
                self._expired_entries += 1
            case AlarmRaised(data=alarm):
                self.alarms.append(alarm.message)
            case _:
                pass

    def on_notice(self, reason: Reason) -> None:
        """Hear what a step, a scanner or the model has to say."""
        self.problems.append(reason.message)

    def on_booked(self, booked: Booked) -> None:
        """Hear of fills and closed trades."""
        self._fills.update((fill.key, fill) for fill in booked.fills)
        self._trips.update((trip.round_trip_id, trip) for trip in booked.round_trips)

    def step(self, at: datetime, equity: Usd, state: State) -> None:
        """Hear that a step of time is over."""
        self.steps += 1
        self._held_steps += bool(state.positions)
        self.curve.add(at, equity, session_date(at).isoformat())

    def passed(self, steps: int, session_lasts: Iterable[datetime], equity: Usd, *, is_held: bool) -> None:
        """Hear of *steps* in which nothing happened, and of the last of them in each session."""
        self.steps += steps
        self._held_steps += steps if is_held else 0
        for at in session_lasts:
            self.curve.add(at, equity, session_date(at).isoformat())

    def reported(self, reports: Iterable[SignalReport]) -> None:
        """Hear what became of signals."""
        for report in reports:
            self.outcomes[report.outcome] += 1
            if report.outcome is SignalOutcome.INVALID:
                self.problems += [f"{report.where}: {reason.message}" for reason in report.reasons]
            if report.outcome is not SignalOutcome.EXECUTED:
                for reason in report.reasons:
                    self.refusals[reason.code] += 1

    def report(self, state: State, *, symbols: Sequence[str], bars: int, seed: int, fill: ReplayFill) -> ReplayReport:
        """Return the sums; there was at least one step."""
        trips = sorted(self._trips.values(), key=lambda trip: (trip.exit_time, trip.round_trip_id))
        tally = Tally()
        for trip in trips:
            tally.add(trip)
        points = self.curve.points
        start = points[0].equity if self.curve.start is None else self.curve.start
        return ReplayReport(
            first=points[0].at,
            last=points[-1].at,
            symbols=tuple(symbols),
            bars=bars,
            steps=self.steps,
            seed=seed,
            fill=fill,
            signals=sum(self.outcomes.values()),
            outcomes=dict(self.outcomes),
            refusals=dict(sorted(self.refusals.items(), key=lambda item: (-item[1], item[0]))),
            trades=tuple(trips),
            statistics=tally.statistics(),
            ratios=ratios_of([start, *(point.equity for point in points)], _results(trips)),
            drawdown=self.curve.drawdown,
            exposure=(Decimal(self._held_steps) / self.steps).quantize(PLACES),
            start_equity=start,
            end_equity=points[-1].equity,
            day_trades=sum(count_day_trades(self._fills.values(), {}).by_session.values()),
            curve=tuple(points),
            open_positions=_open_positions(state),
            adaptations=tuple(self.adaptations),
            learning_suspended=self.learning_suspended,
            alarms=tuple(self.alarms),
            expired_entries=self._expired_entries,
            plans=self._book.plans,
            problems=tuple(self.problems),
        )


def _results(trips: Iterable[RoundTrip]) -> list[Decimal]:
    """Return the R-multiples after costs, of trades that have one."""
    return [result for trip in trips if (result := trip.net_r_multiple) is not None]


def _open_positions(state: State) -> tuple[OpenPosition, ...]:
    return tuple(
        OpenPosition(
            symbol=row.position.instrument.key,
            quantity=row.position.quantity * row.position.side.sign,
            entry_price=row.position.entry_price,
            current_price=row.current_price,
            pnl=row.worth(
                profit(
                    row.position.side,
                    row.position.entry_price,
                    row.current_price,
                    row.position.quantity,
                    row.position.instrument.multiplier,
                )
            ),
        )
        for _, row in sorted(state.positions.items())
    )
