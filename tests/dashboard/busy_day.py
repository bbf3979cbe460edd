"""A busy day as every test of the screen sees it: ten positions, five approvals, three alarms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace

from apex_cli.core.coordinator.trading_mode import change_trading_mode
from apex_cli.core.errors import NothingToDo
from apex_cli.core.execution.upkeep import keep_account
from apex_cli.core.model.account import AccountBadge, AccountKind
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, TradingState
from apex_cli.core.model.request import (
    Answer,
    Answered,
    Choice,
    CloseRequest,
    EntryCancel,
    Preview,
    StopRequest,
    Work,
    WorkDone,
)
from apex_cli.core.reports.activity import activities
from apex_cli.core.reports.board import PositionHistory, make_board
from apex_cli.core.reports.risk_view import RiskView, make_risk_view
from apex_cli.core.reports.trade_report import SessionValue
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.dashboard.app import DashboardApp
from kit.rig import Prices, Rig, auto, make_signal

D = Decimal
HELD = ("AAPL", "AMD", "IBM", "KO", "MSFT", "NVDA", "ORCL", "PFE", "SPY", "TSLA")
WAITING = ("BAC", "CAT", "DIS", "GE", "WMT")


def busy_rig() -> Rig:
    """Return a small apex after a busy morning."""
    prices = Prices()
    rig = Rig(prices=prices, cash=D(30_000))
    for number, symbol in enumerate(HELD):
        price = 20 + 37 * number
        prices.set(symbol, str(price), rig.clock.now())
        short = {"side": "SHORT", "stop": str(price + 2), "targets": (str(price - 5),)}
        long = {"stop": str(price - 2), "targets": (str(price + 5),)}
        rig.feed(make_signal(symbol, now=rig.clock.now(), entry=str(price), **(short if number % 4 == 3 else long)))
    _close_some(rig, prices)
    for number, symbol in enumerate(HELD):
        prices.set(symbol, str(D(20 + 37 * number) + D(number - 4) * D("0.37")), rig.clock.advance(seconds=40))
        rig.cycle()
    rig.feed(make_signal("LOW", now=rig.clock.now(), confidence="0.2"))
    _queue(rig, prices)
    _alarm(rig)
    keep_account(rig.store, rig.run(rig.broker.account()), rig.clock.now())
    return rig


def _close_some(rig: Rig, prices: Prices) -> None:
    for number in range(12):
        prices.set("ZM", "50", rig.clock.advance(minutes=2))
        rig.feed(make_signal("ZM", now=rig.clock.now(), signal_id=f"zm-{number}"))
        price = "54" if number % 3 == 0 else "48" if number % 3 == 1 else "51"
        prices.set("ZM", price, rig.clock.advance(minutes=3))
        rig.price(price, "ZM")
        rig.cycle()
        if "ZM" in rig.state.positions:
            rig.close("ZM")


def _queue(rig: Rig, prices: Prices) -> None:
    rig.limits = replace(rig.limits, execution=ExecutionLimits())
    rig._build()
    for number, symbol in enumerate(WAITING):
        price = D("31.5") + 11 * number
        prices.set(symbol, str(price), rig.clock.now())
        signal = make_signal(
            symbol, now=rig.clock.now(), entry=str(price), stop=str(price - 1), targets=(str(price + 3),)
        )
        rig.feed(replace(signal, expires_at=rig.clock.now() + timedelta(minutes=1.5 + 5 * number)))


def _alarm(rig: Rig) -> None:
    record = next(r for r in rig.orders("IBM") if r.order.role == "STOP")
    rig.run(rig.venue.cancel(record.order.client_order_id))
    rig.execution.orders.sync()
    with rig.store.transaction() as tx:
        for number, message in enumerate(("the first stop did not hold", "the price feed stood still", "IBM: no stop")):
            tx.emit(AlarmRaised(at=rig.clock.advance(seconds=number), data=Alarm(code="unprotected", message=message)))


class Looked(NamedTuple):
    board: Any
    lines: Any
    alarms: Any
    badge: AccountBadge
    holder: str


class RigFeed:
    """Looks at a rig."""

    def __init__(self, rig: Rig, holder: str = "apex run (pid 4711)") -> None:
        self.rig = rig
        self.holder = holder
        self.generation = -1
        self.looks = 0

    def has_changed(self) -> bool:
        return bool(self.generation != self.rig.store.generation)

    def look(self) -> Looked:
        self.looks += 1
        rig = self.rig
        self.generation = rig.store.generation
        now = rig.clock.now()
        count = rig.gatherer._day_trades(rig.state, rig.run_account(), now) if hasattr(rig, "run_account") else None
        row = rig.state.account
        if row is not None:
            count = rig.gatherer._day_trades(rig.state, row.account, now)
        lines = tuple(activities(rig.store.events))
        alarms = tuple(line for line in lines if line.kind == "alarm")
        badge = AccountBadge(kind=AccountKind.SIMULATED)
        return Looked(make_board(rig.state, rig.limits, now, count), lines, alarms, badge, self.holder)

    def month(self) -> tuple[SessionValue, ...]:
        """Return three sessions."""
        days = ((date(2026, 2, 26), 30_000), (date(2026, 2, 27), 30_400), (date(2026, 3, 2), 30_195))
        return tuple(SessionValue(day=day, equity=Usd(D(equity))) for day, equity in days)

    def risk(self) -> RiskView:
        """Return what is at risk, without price history."""
        return make_risk_view(self.rig.state, self.rig.limits, self.rig.clock.now())

    def history(self, symbol: str) -> PositionHistory:
        """Return a few bars up to now, and the first stop."""
        state = self.rig.state
        row = state.positions[symbol]
        entry, now = row.position.entry_price, row.current_price
        bracket = state.brackets[row.position.bracket_id]
        bars = [
            Bar(
                symbol=symbol,
                start=row.position.entry_time + timedelta(minutes=number - 20),
                end=row.position.entry_time + timedelta(minutes=number - 19),
                open=entry,
                high=max(entry, now) + D(number % 3) / 2,
                low=min(entry, now) - D(number % 4) / 2,
                close=now if number > 30 else entry,
            )
            for number in range(40)
        ]
        return PositionHistory(bars=tuple(bars), first_stop=bracket.stop_price)


class RigOperator:
    """Answers as the service does, on a loop of its own."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.answers: list[Answer] = []

    def find(self, name: str) -> ApprovalRecord:
        return self.rig.desk.find(name)

    def preview(self, approval: ApprovalRecord) -> Preview:
        looked: Preview = self.rig.run(self.rig.desk.preview(approval))
        return looked

    def do(self, *works: Work) -> WorkDone:
        return WorkDone(results=tuple(self._done(work) for work in works))

    def _done(self, work: Work) -> Any:
        match work:
            case Answer():
                return self._answer(work)
            case CloseRequest():
                return self.rig.close(work.symbol, fraction=work.fraction)
            case StopRequest():
                return self.rig.run(self.rig.mover.move(work))
            case EntryCancel(symbol=symbol):
                return self.rig.run(self.rig.closer.cancel_entries(symbol))
        raise AssertionError(work)

    def _answer(self, answer: Answer) -> Answered:
        self.answers.append(answer)
        approval = self.rig.desk.find(answer.ids[0])
        if answer.choice is Choice.REJECT:
            return self.rig.desk.reject(approval, reason=answer.reason, by=answer.by)
        done: Answered = self.rig.run(self.rig.desk.approve(approval, quantity=answer.quantity, by=answer.by))
        return done

    def closing_warnings(self, symbols: Sequence[str]) -> tuple[Reason, ...]:
        del symbols
        return ()

    def set_mode(self, mode: TradingMode, reason: str) -> TradingState:
        if reason == "late":
            raise NothingToDo("too_late", "Somebody was faster.", hint="Look again.")
        return change_trading_mode(self.rig.store, mode, reason, self.rig.clock.now())


def busy_app(**options: Any) -> DashboardApp:
    rig = busy_rig()
    return DashboardApp(RigFeed(rig), RigOperator(rig), **options)


__all__ = ["HELD", "WAITING", "MarketType", "OrderStatus", "RigFeed", "RigOperator", "auto", "busy_app", "busy_rig"]
