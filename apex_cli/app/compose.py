"""The composition root: it makes the working parts from the settings, and alone chooses implementations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.app.market_parts import Books, Market
from apex_cli.app.marketplace import make_market, require_live_word
from apex_cli.app.protection_sources import make_protection_sources
from apex_cli.app.resources import open_store
from apex_cli.core.errors import ApexError, BusyError
from apex_cli.core.model.limits import Patience, ProtectionLimits
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
    from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
    from apex_cli.core.adapters.state.store import TinyDbStore
    from apex_cli.core.coordinator.service import Service
    from apex_cli.core.decision.gatherer import Gatherer, VolatilityOf
    from apex_cli.core.execution.answers import ApprovalDesk
    from apex_cli.core.execution.closer import Closer, QuotesOf
    from apex_cli.core.execution.executor import TradeExecutor
    from apex_cli.core.execution.guard import GivePlan, Guard
    from apex_cli.core.execution.order_manager import Orders
    from apex_cli.core.learning.outcomes import OutcomeHook
    from apex_cli.core.management.delivered import DeliveredShares
    from apex_cli.core.model.account import AccountSnapshot
    from apex_cli.core.model.broker_events import BrokerOrder
    from apex_cli.core.model.limits import Limits
    from apex_cli.core.model.reason import Reason
    from apex_cli.core.ports import (
        BarSource,
        Broker,
        Chore,
        Clock,
        Ids,
        LearningHook,
        PriceOf,
        Ranker,
        SignalStage,
        StateStore,
    )
    from apex_cli.core.reconciliation.reconciler import Reconciler
    from apex_cli.core.state.tables import State


class Execution(NamedTuple):
    """What sends orders, keeps positions protected and closes them: each takes those before it."""

    orders: Orders
    guard: Guard
    make_closer: Callable[[], Closer]
    executor: TradeExecutor

    @property
    def closer(self) -> Closer:
        """What closes positions, always the same one; put together when it is first asked for."""
        return self.make_closer()


def make_execution(
    *,
    store: StateStore,
    broker: Broker,
    clock: Clock,
    ids: Ids,
    limits: Limits,
    protection: ProtectionLimits | None = None,
    patience: Patience | None = None,
    price_of: PriceOf | None = None,
    quotes_of: QuotesOf | None = None,
    give_plan: GivePlan | None = None,
) -> Execution:
    """Put together what sends orders to *broker*, in a run, a replay or a test."""
    from apex_cli.core.execution.executor import TradeExecutor
    from apex_cli.core.execution.guard import Guard
    from apex_cli.core.execution.order_manager import Orders

    protection = protection or ProtectionLimits()
    orders = Orders(
        store=store, broker=broker, clock=clock, patience=patience or Patience(), protections=limits.protections
    )
    guard = Guard(
        orders=orders, store=store, clock=clock, protection=protection, price_of=price_of, give_plan=give_plan
    )

    @cache
    def closer() -> Closer:
        from apex_cli.core.execution.closer import Closer

        return Closer(
            orders=orders,
            guard=guard,
            store=store,
            clock=clock,
            ids=ids,
            enforce_market_hours=limits.risk.enforce_market_hours,
            quotes_of=quotes_of,
        )

    executor = TradeExecutor(
        store=store,
        clock=clock,
        ids=ids,
        limits=limits,
        protection=protection,
        orders=orders,
        guard=guard,
        make_closer=closer,
    )
    return Execution(orders=orders, guard=guard, make_closer=closer, executor=executor)


class Parts(NamedTuple):
    """What a command that talks to the broker works with."""

    settings: Settings
    store: TinyDbStore
    clock: Clock
    ids: Ids
    broker: Broker
    gatherer: Gatherer
    execution: Execution
    reconciler: Reconciler
    simulated: SimulatedBroker | None
    """The broker again where it is the simulated one: it alone can be played forward."""

    bars: CsvBars | None = None


def make_parts(settings: Settings, *, read_only: bool = False) -> Parts:
    """Put store, clock, broker, gatherer and executor together. With *read_only* nothing is ever written."""
    from apex_cli.core.adapters.system_clock import UlidIds
    from apex_cli.core.day_trades.counter import DayTradeCounter
    from apex_cli.core.decision.gatherer import Gatherer
    from apex_cli.core.reconciliation.reconciler import Reconciler

    store = open_store(settings)
    market = _open_market(settings, store, read_only=read_only)
    broker, clock = market.broker, market.clock
    gatherer = Gatherer(
        broker=broker,
        clock=clock,
        prices=market.prices,
        rates=market.rates,
        limits=settings.limits,
        day_trades=DayTradeCounter(settings.day_trades),
        max_price_age=market.max_price_age,
        follows_bars=settings.simulation.clock is SimulationClock.BARS,
        volatility=volatility_of(settings, market.bars),
        protections=make_protection_sources(settings, market.bars),
    )
    ids = UlidIds()

    @cache
    def delivered() -> DeliveredShares:
        from apex_cli.core.management.delivered import DeliveredShares

        return DeliveredShares(
            store=store,
            clock=clock,
            ids=ids,
            management=settings.limits.management,
            price_of=gatherer.price_of,
            rate_of=gatherer.rate,
            base=settings.currency.base,
            stop_limit_pct=settings.limits.stop_limit_pct,
        )

    execution = make_execution(
        store=store,
        broker=broker,
        clock=clock,
        ids=ids,
        limits=settings.limits,
        protection=settings.protection,
        price_of=gatherer.price_of,
        quotes_of=gatherer.quotes_of,
        give_plan=lambda position: delivered().plan(position),
        patience=market.patience,
    )
    reconciler = Reconciler(
        executor=execution.executor,
        orders=execution.orders,
        broker=broker,
        store=store,
        clock=clock,
        limits=settings.reconcile,
        wall=store.clock,
        price_of=gatherer.price_of,
    )
    return Parts(
        settings=settings,
        store=store,
        clock=clock,
        ids=ids,
        broker=broker,
        gatherer=gatherer,
        execution=execution,
        reconciler=reconciler,
        simulated=market.simulated,
        bars=market.bars,
    )


def _open_market(settings: Settings, store: TinyDbStore, *, read_only: bool) -> Market:
    """Return the market that *settings* name, which answers for all that *store* knows.

    Raises:
        StateError: the books of the simulated broker know less than they reported.
    """
    from apex_cli.core.reconciliation.breaks import is_own_account
    from apex_cli.core.state.tables import held_securities, name_of_order, securities

    reported = store.view()  # before the books are read, which never know less than they reported
    orders, fills = tuple(reported.orders.values()), tuple(reported.fills.values())
    books = Books(
        lambda name: name in store.view().orders,
        lambda: securities(store.view()),
        lambda: held_securities(store.view()),
        lambda number: name_of_order(store.view(), number),
        lambda account: is_own_account(store.view(), account),
    )
    market = make_market(settings, read_only=read_only, books=books)
    if market.simulated is not None:
        from apex_cli.core.venue.catch_up import marks_of

        market.simulated.require(marks_of(orders, fills))
    return market


def make_ranker(settings: Settings, clock: Clock, store: StateStore, bars: BarSource | None) -> Ranker:
    """Return what scores signals."""
    from apex_cli.core.signals.ranker import OpportunityRanker

    return OpportunityRanker(settings.risk, clock=clock, store=store, bars=bars, mode=settings.learning.mode)


def make_learners(
    settings: Settings,
    outcome_hook: OutcomeHook | None = None,
    bars: BarSource | None = None,
    notice: Callable[[Reason], None] = lambda _: None,
) -> LearningHook:
    """Return what learns from closed trades; *outcome_hook* is the model that hears how its predictions ended.

    *bars* say what became of signals that were not taken; *notice* hears when the hook fails.
    """
    from apex_cli.core.learning.learners import Learners

    return Learners(settings.learning.mode, outcome_hook=outcome_hook, bars=bars, notice=notice)


def make_desk(parts: Parts) -> ApprovalDesk:
    """Return where approvals are looked at and answered."""
    from apex_cli.core.execution.answers import ApprovalDesk

    return ApprovalDesk(
        store=parts.store,
        clock=parts.clock,
        limits=parts.settings.limits,
        executor=parts.execution.executor,
        gatherer=parts.gatherer,
        margin=make_margin_watch(parts),
    )


def make_margin_watch(parts: Parts) -> Chore:
    """Return what keeps the intraday margin deficits."""
    from apex_cli.core.day_trades.margin_watch import MarginWatch

    return MarginWatch(parts.store, parts.broker)


def make_lock_keeper(parts: Parts) -> Chore:
    """Return what keeps the locks of trades that were booked in another way than by a report of the broker."""
    from apex_cli.core.execution.lock_keeper import LockKeeper

    return LockKeeper(parts.store, parts.settings.limits.protections)


def volatility_of(settings: Settings, bars: CsvBars | None) -> VolatilityOf:
    """Return what a choice of options reckons with: the volatility that is set, else that of the bars."""
    from apex_cli.core.decision.gatherer import unknown_volatility

    if bars is not None:
        from apex_cli.core.adapters.files.prices.option_prices import OptionPrices

        return OptionPrices(bars, settings.prices.options).volatility
    fixed = settings.prices.options.volatility
    return unknown_volatility if fixed is None else lambda _underlying, _at: float(fixed)


def make_service(parts: Parts) -> Service:
    """Return what does the work of this process, and what others hand over to it."""
    from apex_cli.core.coordinator.service import Service
    from apex_cli.core.management.stop_mover import StopMover
    from apex_cli.core.reconciliation.adoption import Adoption

    mover = StopMover(
        orders=parts.execution.orders,
        guard=parts.execution.guard,
        store=parts.store,
        clock=parts.clock,
        price_of=parts.gatherer.price_of,
    )
    adoption = Adoption(
        reconciler=parts.reconciler,
        store=parts.store,
        clock=parts.clock,
        ids=parts.ids,
        price_of=parts.gatherer.price_of,
        rate_of=parts.gatherer.rate,
        currency=parts.settings.currency,
        stop_limit_pct=parts.settings.limits.stop_limit_pct,
    )
    return Service(
        store=parts.store,
        executor=parts.execution.executor,
        closer=parts.execution.closer,
        mover=mover,
        desk=make_desk(parts),
        adoption=adoption,
        wall=parts.store.clock,
        name=f"process {os.getpid()}",
        closing_warnings=partial(closing_warnings, parts),
    )


async def closing_warnings(parts: Parts, state: State, symbols: Sequence[str]) -> Mapping[str, tuple[Reason, ...]]:
    """Return, by symbol, what to know before *symbols* are closed: day trades, and orders that rest elsewhere."""
    rules = await parts.gatherer.closing_warnings(state, symbols)
    others = parts.reconciler.resting_elsewhere(state, symbols)
    return {symbol: (*rules.get(symbol, ()), *others.get(symbol, ())) for symbol in symbols}


def make_stages(settings: Settings) -> tuple[SignalStage, ...]:
    """Return what a signal passes before it is ranked, in order."""
    plans = (settings.management, *settings.management.strategies.values())
    if not any(plan.scale_out.targets_r for plan in plans):
        return ()
    from apex_cli.core.signals.scale_out import ScaleOutStage

    return (ScaleOutStage(settings.management),)


def make_position_chores(
    execution: Execution, gatherer: Gatherer, *, store: StateStore, clock: Clock, limits: Limits
) -> tuple[Chore, ...]:
    """Return what looks after orders and positions by section ``management``, in a run as in a replay."""
    from apex_cli.core.management.manager import Manager
    from apex_cli.core.management.repricer import Repricer
    from apex_cli.core.management.time_exits import TimeKeeper

    orders, guard, management = execution.orders, execution.guard, limits.management
    return (
        TimeKeeper(orders=orders, make_closer=execution.make_closer, store=store, clock=clock, management=management),
        Repricer(orders=orders, guard=guard, gatherer=gatherer, store=store, clock=clock, limits=limits),
        Manager(orders=orders, guard=guard, gatherer=gatherer, store=store, clock=clock, management=management),
    )


@asynccontextmanager
async def connected(parts: Parts, *, compares: bool = True) -> AsyncIterator[Parts]:
    """Connect, resolve orders an earlier process left unknown, reconcile, and disconnect on exit.

    Without *compares* nothing is corrected: the caller compares by itself.

    Raises:
        RefusedError: the account is a live one, and ``--live`` is missing.
        BrokerError: the broker cannot be reached.
        OutcomeUnknownError: another process held the state after something had left for the broker.
    """
    require_live_word(parts.settings)
    await parts.broker.connect()
    try:
        if compares:
            await parts.execution.executor.recover()
            await parts.reconciler.tend(parts.clock.now())
            await make_lock_keeper(parts).tend(parts.clock.now())
        yield parts
        await _leave_account(parts)
    except BusyError as error:
        raise parts.execution.executor.as_it_stands(error) from error
    finally:
        await parts.broker.close()


async def _leave_account(parts: Parts) -> None:
    """Keep what the account is worth for who only looks; not to know it is no reason to fail what was done."""
    from apex_cli.core.execution.upkeep import keep_account

    with suppress(ApexError):
        keep_account(parts.store, await parts.broker.account(), parts.clock.now())


@asynccontextmanager
async def looking(parts: Parts) -> AsyncIterator[Parts]:
    """Connect the broker to look only: nothing is settled, nothing is sent.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    await parts.broker.connect()
    try:
        yield parts
    finally:
        await parts.broker.close()


async def look_at_account(parts: Parts) -> AccountSnapshot:
    """Return what the account is worth now."""
    async with looking(parts):
        return await parts.broker.account()


async def look_at_account_and_orders(parts: Parts) -> tuple[AccountSnapshot, tuple[BrokerOrder, ...]]:
    """Return what the account is worth now, and every order that works at the broker, whoever placed it."""
    async with looking(parts):
        return await parts.broker.account(), (await parts.broker.snapshot()).working
