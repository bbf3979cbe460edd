"""A whole small apex of real parts, to be used in tests: simulated broker, store, executor, coordinator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from apex_cli.app.compose import Execution, make_execution, make_position_chores
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.coordinator.coordinator import Coordinator
from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.execution.answers import ApprovalDesk
from apex_cli.core.management.stop_mover import StopMover
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.limits import DayTradeLimits, Limits, Patience, ProtectionLimits, ReconcileLimits
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import EntryOrder, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import Position
from apex_cli.core.model.reconciliation import Reconciliation
from apex_cli.core.model.records import RejectedRow, SignalReport
from apex_cli.core.model.request import Closed, CloseRequest
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.ports import Broker, Chore, Clock, PriceSource, SignalBatch, StateStore
from apex_cli.core.positions.protection import protection_of
from apex_cli.core.reconciliation.adoption import Adoption
from apex_cli.core.reconciliation.reconciler import Reconciler
from apex_cli.core.signals.scale_out import ScaleOutStage
from apex_cli.core.state.tables import State
from apex_cli.core.venue.engine import MatchingEngine
from apex_cli.core.venue.lifecycle import Desk
from kit import FixedClock, MemoryStore, SequentialIds
from kit.simple_ranker import SimpleRanker

CASH = Usd(Decimal(3000))
ROOMY = RiskLimits(max_position_pct=Decimal(1), max_open_risk_pct=Decimal(1), max_positions=100)
"""Limits that let several positions of a few shares in."""


def auto(risk: RiskLimits = ROOMY, *, entry_order: EntryOrder = EntryOrder.MARKET, **sections: Any) -> Limits:
    """Return limits that execute without asking."""
    return Limits(execution=ExecutionLimits(auto_execute=True, entry_order=entry_order), risk=risk, **sections)


def manual(risk: RiskLimits = ROOMY, **sections: Any) -> Limits:
    """Return limits that ask for every trade."""
    return Limits(risk=risk, **sections)


class ListSource:
    """Batches in memory; one comes again until it is settled."""

    def __init__(self) -> None:
        """Start empty."""
        self.batches: list[SignalBatch] = []
        self.settled: list[tuple[SignalBatch, tuple[SignalReport, ...]]] = []

    def put(self, *signals: Signal, rejected: tuple[RejectedRow, ...] = ()) -> None:
        """Add one batch."""
        where = tuple(f"signals.json:{number}" for number in range(1, len(signals) + 1))
        token = str(len(self.batches) + len(self.settled))
        self.batches.append(
            SignalBatch(name="signals.json", signals=signals, where=where, rejected=rejected, token=token)
        )

    def poll(self, now: datetime) -> Iterable[SignalBatch]:
        """Yield what is not settled."""
        del now
        yield from list(self.batches)

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Take *batch* away."""
        self.batches.remove(batch)
        self.settled.append((batch, tuple(reports)))


class Prices:
    """Latest prices that a test sets."""

    def __init__(self, *, follows_signals: bool = True) -> None:
        """Know nothing; with *follows_signals* a signal that is fed brings the first price of its symbol."""
        self.quotes: dict[str, Quote] = {}
        self.follows_signals = follows_signals

    def set(self, symbol: str, price: str, at: datetime) -> None:
        """Report the price of *symbol*."""
        self.quotes[symbol] = Quote(price=Price(Decimal(price)), at=at, source="last")

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Do nothing: prices are reported."""

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the price if it was known at *at*."""
        quote = self.quotes.get(instrument.symbol)
        return quote if quote is not None and quote.at <= at else None


class Rig:
    """Every part of a running apex around one store and one venue; ``restart`` starts it again on both."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        protection: ProtectionLimits | None = None,
        store: StateStore | None = None,
        path: Path | None = None,
        cash: Usd = CASH,
        prices: PriceSource | None = None,
        clock: FixedClock | None = None,
        **coordinator: Any,
    ) -> None:
        """Put everything together; *path* is the file of the broker's books."""
        self.limits = limits or auto()
        self.protection = protection
        self.store: Any = store or MemoryStore()
        self.clock = clock or FixedClock()
        self.ids = SequentialIds()
        self.source = ListSource()
        self.prices = prices
        self._path = path
        self._cash = cash
        self._coordinator_settings = coordinator
        self.venue = self._open_venue()
        self.broker: Any = self.venue
        self._build()

    def _open_venue(self) -> SimulatedBroker:
        return SimulatedBroker(
            clock=self.clock,
            path=self._path,
            cash=self._cash,
            buying_power_multiple=Decimal(4),
            session_of=lambda at: session_date(at).isoformat(),
        )

    def _build(self) -> None:
        self.execution = quick_execution(
            self.store, self.broker, self.clock, self.ids, self.limits, protection=self.protection
        )
        self.guard, self.closer, self.executor = (
            self.execution.guard,
            self.execution.closer,
            self.execution.executor,
        )
        self.gatherer = Gatherer(
            broker=self.broker,
            clock=self.clock,
            prices=self.prices,
            limits=self.limits,
            day_trades=DayTradeCounter(self.limits.day_trades),
        )
        self.reconciler = self.make_reconciler(ReconcileLimits())
        self.chores: list[Chore] = list(
            make_position_chores(self.execution, self.gatherer, store=self.store, clock=self.clock, limits=self.limits)
        )
        self.coordinator = self.make_coordinator()
        self.desk = ApprovalDesk(
            store=self.store, clock=self.clock, limits=self.limits, executor=self.executor, gatherer=self.gatherer
        )
        self.mover = StopMover(
            orders=self.execution.orders,
            guard=self.guard,
            store=self.store,
            clock=self.clock,
            price_of=self.gatherer.price_of,
        )
        self.adoption = Adoption(
            reconciler=self.reconciler,
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            price_of=self.gatherer.price_of,
            rate_of=self.gatherer.rate,
            currency=self.limits.currency,
        )

    def make_reconciler(self, limits: ReconcileLimits) -> Reconciler:
        """Return another reconciler over the same parts."""
        return Reconciler(
            executor=self.executor,
            orders=self.execution.orders,
            broker=self.broker,
            store=self.store,
            clock=self.clock,
            limits=limits,
            wall=self.clock,
            pause_s=0,
            price_of=self.gatherer.price_of,
        )

    def make_coordinator(self, **settings: Any) -> Coordinator:
        """Return another coordinator over the same parts."""
        stages = [ScaleOutStage(self.limits.management)]
        return Coordinator(
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            limits=self.limits,
            orders=self.execution.orders,
            executor=self.executor,
            gatherer=self.gatherer,
            make_ranker=lambda: SimpleRanker(self.limits.risk),
            **{
                "sources": [self.source],
                "stages": stages,
                "chores": self.chores,
                **self._coordinator_settings,
                **settings,
            },
        )

    def use(self, broker: Broker) -> None:
        """Put *broker*, around the venue, between apex and the venue."""
        self.broker = broker
        self._build()

    def restart(self, *, store: StateStore | None = None) -> None:
        """Start again as after kill -9: only the store and the books at the venue are left."""
        book = self.venue._book()
        self.venue = self._open_venue()
        if self._path is None:
            self.venue._open_kept(book, MatchingEngine.restored(book.venue))
        self.broker = self.venue
        self.store = store or self.store
        self._build()
        self.run(self.broker.connect())
        self.run(self.executor.recover())

    # What a day brings

    @staticmethod
    def run(work: Any) -> Any:
        """Run one coroutine to its end."""
        return asyncio.run(work)

    def feed(self, *signals: Signal) -> list[SignalReport]:
        """Put *signals* in as one batch, run a cycle, and return what it reported; an unset price is the entry's."""
        if isinstance(self.prices, Prices) and self.prices.follows_signals:
            for signal in signals:
                if signal.symbol not in self.prices.quotes:
                    self.prices.set(signal.symbol, str(signal.entry_price), self.clock.now())
        first = len(self.coordinator.reports)
        self.source.put(*signals)
        self.run(self.coordinator.cycle())
        return self.coordinator.reports[first:]

    def cycle(self) -> None:
        """Run one cycle."""
        self.run(self.coordinator.cycle())

    def reconcile(self, *, repair: bool = True) -> Reconciliation:
        """Compare the state with the venue's books."""
        found: Reconciliation = self.run(self.reconciler.reconcile(repair=repair))
        return found

    def price(self, price: str, symbol: str = "AAPL", *, size: str | None = None) -> None:
        """Let the venue meet a price; at most *size* units fill."""
        instrument = make_instrument(symbol)
        if size is None:
            self.venue.set_price(instrument, Price(Decimal(price)), self.clock.now())
            return
        at = self.clock.now()
        events = self._engine.on_price(instrument.key, Price(Decimal(price)), at, size=Decimal(size))
        self.venue._keep(events)

    def close(self, symbol: str = "AAPL", **request: Any) -> Closed:
        """Close a position."""
        for name in ("quantity", "fraction", "limit_price"):
            if name in request:
                request[name] = Decimal(request[name])
        closed: Closed = self.run(self.closer.close(CloseRequest(symbol=symbol, **request)))
        return closed

    # What there is afterwards

    @property
    def _engine(self) -> MatchingEngine:
        return self.venue._engine

    @property
    def _desk(self) -> Desk:
        return self._engine._desk

    @property
    def state(self) -> State:
        """The committed state."""
        view: State = self.store.view()
        return view

    def at_venue(self) -> dict[str, Quantity]:
        """Return the signed positions the venue knows."""
        return dict(self._engine.ledger.positions)

    def resting_at_venue(self) -> dict[str, Decimal]:
        """Return the open quantity of every exit that works at the venue, by client order id."""
        return {
            name: order.quantity - order.filled
            for name, order in self._desk.open.items()
            if order.order.role is not OrderRole.ENTRY and order.rank
        }

    def entries_at_venue(self) -> list[str]:
        """Return the ids of every entry the venue ever took."""
        return [
            name
            for name, order in self._desk.orders.items()
            if order.order.role is OrderRole.ENTRY and order.status is not OrderStatus.REJECTED
        ]

    def most_that_exits_fill(self, key: str = "AAPL") -> Decimal:
        """Return what all exits that work at the venue could fill together; legs of one group count once."""
        groups: dict[str, Decimal] = {}
        for name, order in self._desk.open.items():
            if order.order.role is not OrderRole.ENTRY and order.rank and order.key == key:
                group = order.group.name if order.group is not None else name
                left = order.quantity - order.filled
                if order.group is not None and order.group.allowed is not None:
                    left = min(left, order.group.allowed - order.group.filled)
                groups[group] = max(groups.get(group, ZERO), left)
        return sum(groups.values(), ZERO)

    def stopped_at_venue(self, key: str = "AAPL") -> Decimal:
        """Return what stops that work at the venue could fill together; those of one group count once."""
        groups: dict[str, Decimal] = {}
        for name, order in self._desk.open.items():
            if order.order.role is not OrderRole.ENTRY and order.rank and order.key == key and order.kind.is_stop:
                group = order.group.name if order.group is not None else name
                groups[group] = max(groups.get(group, ZERO), order.quantity - order.filled)
        return sum(groups.values(), ZERO)

    def unprotected(self, key: str = "AAPL") -> Decimal:
        """Return the held units that no working stop covers, by our own books."""
        row = self.state.positions.get(key)
        if row is None:
            return ZERO
        position: Position = row.position
        return position.quantity - protection_of(position, self.orders(key)).quantity

    def orders(self, key: str = "AAPL") -> list[OrderRecord]:
        """Return every order of one security."""
        return [record for record in self.state.orders.values() if record.order.instrument.key == key]

    def order(self, ending: str) -> OrderRecord:
        """Return the one order whose client order id ends with *ending*, such as ``-S1``."""
        found: list[OrderRecord] = [r for r in self.state.orders.values() if r.order.client_order_id.endswith(ending)]
        (record,) = found
        return record

    def events(self, kind: str) -> list[Any]:
        """Return every event of *kind* that a ``MemoryStore`` holds."""
        inner = getattr(self.store, "inner", self.store)
        return [event for event in inner.events if event.kind == kind]


def quick_execution(
    store: StateStore,
    broker: Broker,
    clock: Clock,
    ids: SequentialIds,
    limits: Limits,
    *,
    protection: ProtectionLimits | None = None,
) -> Execution:
    """Return what sends orders and does not wait long for their acknowledgement."""
    return make_execution(
        store=store,
        broker=broker,
        clock=clock,
        ids=ids,
        limits=limits,
        protection=protection,
        patience=Patience(ack_timeout_s=0.1),
    )


def make_signal(
    symbol: str = "AAPL",
    *,
    now: datetime,
    entry: str = "50",
    stop: str = "48",
    targets: tuple[str, ...] = ("54",),
    side: SignalType = SignalType.BUY,
    market: MarketType = MarketType.EQUITY,
    confidence: str = "0.7",
    minutes: float = 60,
    signal_id: str = "",
    **changes: Any,
) -> Signal:
    """Return a signal that passes every check of roomy limits."""
    signal = Signal(
        signal_id=signal_id or f"sig-{symbol}",
        instrument=make_instrument(symbol, market),
        signal_type=side,
        entry_price=Price(Decimal(entry)),
        stop_loss=Price(Decimal(stop)),
        target_prices=tuple(Price(Decimal(target)) for target in targets),
        confidence=Decimal(confidence),
        strategy="breakout",
        created_at=now,
        expires_at=now + timedelta(minutes=minutes),
    )
    return replace(signal, **changes)


__all__ = [
    "CASH",
    "ROOMY",
    "DayTradeLimits",
    "ListSource",
    "Prices",
    "Rig",
    "auto",
    "make_signal",
    "manual",
    "quick_execution",
]
