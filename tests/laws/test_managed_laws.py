"""Laws 1 to 3 with every position managed: re-priced entries, trailing stops, break-even, time exits, scale-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.errors import ApexError
from apex_cli.core.model.execution_limits import ExecutionLimits, RepriceLimits
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.management import ManagementLimits, MaxHolding, TrailingStop
from apex_cli.core.model.order import EntryOrder, Order, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.state.tables import State
from kit import MemoryStore
from kit.faults import FailingStore, Fate, UnreliableBroker
from kit.rig import Prices, Rig, make_signal

D = Decimal
RISK = RiskLimits(max_position_pct=D(1), max_open_risk_pct=D(1), min_reward_risk=D(0), max_daily_loss_pct=D(1))
REPRICE = RepriceLimits(after_s=30, step_pct=D("0.002"), max_times=4, max_pct=D("0.01"))
PLANS = (
    ManagementLimits(trailing=TrailingStop(activate_at_r=D(1), distance_r=D("0.5"))),
    ManagementLimits(breakeven_at_r=D("0.5"), trailing=TrailingStop(activate_at_r=D("1.5"), distance_pct=D("0.03"))),
    ManagementLimits(breakeven_after_target=1, max_holding=MaxHolding(minutes=30)),
)


def limits(plan: ManagementLimits, entry_order: EntryOrder) -> Limits:
    execution = ExecutionLimits(auto_execute=True, entry_order=entry_order, reprice=REPRICE)
    return Limits(execution=execution, risk=RISK, management=plan)


class Checked:
    """A rig that is looked at after every step."""

    def __init__(
        self, plan: ManagementLimits, entry_order: EntryOrder, targets: tuple[str, ...], *, short: bool
    ) -> None:
        self.short = short
        self.sign = -1 if short else 1
        self.rig = Rig(limits=limits(plan, entry_order), store=FailingStore(MemoryStore()), prices=Prices())
        self.rig.use(UnreliableBroker(self.rig.venue, self.rig.clock))
        self.tightest: dict[str, Decimal] = {}
        terms: dict[str, Any] = {"targets": targets}
        if short:
            terms = {"side": "SHORT", "stop": "52", "targets": tuple(str(100 - int(t)) for t in targets)}
        self.meet("50" if entry_order is EntryOrder.MARKET else ("49.6" if short else "50.4"))
        self.rig.feed(make_signal(now=self.rig.clock.now(), **terms))

    def meet(self, price: str, size: str | None = None) -> None:
        self.rig.price(price, size=size)
        self.rig.prices.set("AAPL", price, self.rig.clock.now())

    @property
    def held(self) -> Decimal:
        return self.rig.at_venue().get("AAPL", D(0)) * self.sign

    def look(self) -> None:
        """Laws 1 and 3, and that no stop was ever loosened, by the venue's own books."""
        rig = self.rig
        orders = rig._desk.orders
        asked: dict[str, Decimal] = {}
        for order in orders.values():
            if order.order.role is OrderRole.ENTRY and order.status is not OrderStatus.REJECTED:
                left = order.quantity if order.status is OrderStatus.WORKING else order.filled
                asked[order.order.bracket_id] = asked.get(order.order.bracket_id, D(0)) + left
        for bracket_id, quantity in asked.items():
            assert quantity <= rig.state.brackets[bracket_id].quantity, "law 1: more was entered than was decided"
        assert self.held >= 0, "law 3: sold more than was held"
        assert rig.most_that_exits_fill() <= self.held, "law 3: exits rest for more than is held"
        for name, order in orders.items():
            if order.order.role is OrderRole.STOP and order.trigger is not None:
                last = self.tightest.setdefault(name, order.trigger)
                assert (order.trigger - last) * self.sign >= 0, f"{name} was loosened from {last} to {order.trigger}"
                self.tightest[name] = order.trigger

    def unentered(self) -> bool:
        return not any(r.is_open and r.order.role is OrderRole.ENTRY for r in self.rig.orders())

    def alarmed(self) -> bool:
        return any(msgspec.json.decode(event.data)["code"] == "unprotected" for event in self.rig.events("alarm"))


PRICES = st.sampled_from(["48", "49", "49.5", "50", "50.3", "51", "52", "52.5", "53", "54", "55", "57"])
QUIET = st.one_of(
    st.tuples(st.just("price"), PRICES),
    st.tuples(st.just("partial"), PRICES, st.integers(1, 9)),
    st.tuples(st.just("close"), st.sampled_from([{}, {"fraction": "0.5"}, {"limit_price": "53"}])),
    st.tuples(st.just("cycle")),
    st.tuples(st.just("wait"), st.integers(1, 120)),
    st.tuples(st.just("restart")),
)
STEPS = st.one_of(
    QUIET,
    st.tuples(st.just("fate"), st.sampled_from(list(Fate))),
    st.tuples(st.just("reject"), st.sampled_from(["", "trail", "S", "T", "E"])),
    st.tuples(st.just("silent"), st.booleans()),
    st.tuples(st.just("lose_cancels"), st.booleans()),
    st.tuples(st.just("meanwhile"), PRICES, st.integers(1, 20)),
    st.tuples(st.just("shuffle"), st.integers(0, 9)),
    st.tuples(st.just("fail"), st.integers(1, 6)),
    st.tuples(st.just("snapshot"), st.booleans()),
)


def attempt(work: Any) -> None:
    with suppress(ApexError):
        work()


def take(world: Checked, step: tuple[Any, ...]) -> None:  # noqa: C901, PLR0912 - one case a step
    rig, broker = world.rig, world.rig.broker

    def mirrored(price: str) -> str:
        return str(100 - D(price)) if world.short else price

    match step:
        case ("price", price):
            world.meet(mirrored(price))
            attempt(rig.cycle)
        case ("partial", price, size):
            world.meet(mirrored(price), str(size))
            attempt(rig.cycle)
        case ("close", request):
            if request:
                broker.is_silent = False
            if rig.state.positions:
                attempt(lambda: rig.close(**request))
        case ("cycle",):
            attempt(rig.cycle)
        case ("wait", seconds):
            rig.clock.advance(seconds=seconds)
            attempt(rig.cycle)
        case ("restart",):
            rig.store.fail_at = None
            rig.restart()
            rig.use(UnreliableBroker(rig.venue, rig.clock))
        case ("fate", fate):
            broker.fates.append(fate)
        case ("reject", what):
            broker.rejects = lambda order: (
                bool(what)
                and (
                    order.order_type is OrderType.TRAIL
                    if what == "trail"
                    else order.client_order_id.rpartition("-")[2].startswith(what)
                )
            )
        case ("silent", is_silent):
            broker.is_silent = is_silent
        case ("lose_cancels", loses):
            broker.loses_cancels = loses
        case ("meanwhile", price, size):
            broker.before_cancel = lambda _: world.meet(mirrored(price), str(size))
        case ("shuffle", seed):
            broker.shuffle = Random(seed) if seed else None
        case ("fail", after):
            rig.store.fail_at = rig.store.transactions + after
        case ("snapshot", has_snapshot):
            broker.has_snapshot = has_snapshot


BEGINNINGS = {
    "plan": st.sampled_from(PLANS),
    "entry_order": st.sampled_from(list(EntryOrder)),
    "targets": st.sampled_from([("57",), ("54", "57"), ()]),
    "short": st.booleans(),
}


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(QUIET, max_size=12), **BEGINNINGS)
def test_with_a_venue_that_answers_everything_held_always_has_its_stop(
    steps: list[tuple[Any, ...]],
    plan: ManagementLimits,
    entry_order: EntryOrder,
    targets: tuple[str, ...],
    short: bool,
) -> None:
    world = Checked(plan, entry_order, targets, short=short)
    for step in steps:
        take(world, step)
        world.look()
        world.rig.execution.orders.sync()
        assert world.rig.unprotected() == 0
        if not world.held and world.unentered():
            assert world.rig.resting_at_venue() == {}
    assert not world.alarmed()


@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEPS, max_size=14), **BEGINNINGS)
def test_whatever_happens_the_next_start_protects_or_reports(
    steps: list[tuple[Any, ...]],
    plan: ManagementLimits,
    entry_order: EntryOrder,
    targets: tuple[str, ...],
    short: bool,
) -> None:
    world = Checked(plan, entry_order, targets, short=short)
    rig = world.rig
    for step in steps:
        take(world, step)
        world.look()
    rig.store.fail_at = None
    rig.restart()
    world.look()
    mine = rig.state.positions.get("AAPL")
    assert world.held == (mine.position.quantity if mine else 0)
    assert rig.unprotected() == 0 or world.alarmed()
    rig.clock.advance(minutes=2)
    rig.cycle()
    world.look()
    if world.held:
        attempt(rig.close)
    assert world.held == 0
    assert not rig.state.positions


# Killed at every step


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Counts what a process does to disk and broker, and ends it at the planned one."""

    story: tuple[str, ...] | list[str] = ()
    """What was passed before the end."""

    def __init__(self, fatal: int | None = None) -> None:
        self.fatal = fatal
        self.passed: list[str] = []

    def at(self, what: str) -> None:
        self.passed.append(what)
        if self.fatal is not None and len(self.passed) >= self.fatal:
            raise Killed(what)  # again and again: nothing is done on the way out either


class MortalBroker(UnreliableBroker):
    """Dies before or after a request reaches the venue."""

    def __init__(self, inner: Any, clock: Any, steps: Steps) -> None:
        super().__init__(inner, clock)
        self.steps = steps

    async def submit(self, orders: Sequence[Order]) -> None:
        self.steps.at(f"before submit {orders[0].client_order_id[-2:]}")
        await super().submit(orders)
        self.steps.at(f"after submit {orders[0].client_order_id[-2:]}")

    async def cancel(self, client_order_id: str) -> None:
        self.steps.at(f"before cancel {client_order_id[-2:]}")
        await super().cancel(client_order_id)
        self.steps.at(f"after cancel {client_order_id[-2:]}")

    async def modify(self, order: Order) -> None:
        self.steps.at(f"before modify {order.client_order_id[-2:]}")
        await super().modify(order)
        self.steps.at(f"after modify {order.client_order_id[-2:]}")


class MortalStore(MemoryStore):
    """Dies before or after a commit."""

    __slots__ = ("steps",)

    @contextmanager
    def transaction(self) -> Iterator[State]:
        with super().transaction() as tx:
            yield tx
            self.steps.at("before commit")
        self.steps.at("after commit")


def deadly(story: str, fatal: int | None) -> tuple[Checked, Steps]:
    """Play a *story*, in which the process is killed at step *fatal* and started again."""
    entry_order = EntryOrder.LIMIT if story == "reprice" else EntryOrder.MARKET
    world = Checked(PLANS[0], entry_order, ("57",), short=False)
    rig = world.rig
    if story == "reprice":
        world.meet("50", "4")
        rig.cycle()
    store = MortalStore()
    store._state, store._settled_seq, store.events = rig.state, rig.state.last_seq, rig.store.inner.events
    store.steps = steps = Steps()
    rig.store = store
    rig.use(MortalBroker(rig.venue, rig.clock, steps))
    rig.clock.advance(minutes=1)
    world.meet("52" if story == "trail" else "50.4")
    rig.execution.orders.sync()
    steps.fatal = None if fatal is None else len(steps.passed) + fatal
    first = len(steps.passed)
    with suppress(Killed):
        rig.cycle()
    steps.story = steps.passed[first:]
    steps.fatal = None
    world.look()
    rig.restart()
    return world, steps


def how_many(story: str) -> list[int]:
    _, steps = deadly(story, None)
    return list(range(1, len(steps.story) + 1))


@pytest.mark.parametrize("fatal", how_many("trail"))
def test_a_trailing_stop_replaces_the_old_one_wherever_the_process_dies(fatal: int) -> None:
    world, steps = deadly("trail", fatal)
    rig = world.rig
    assert len(steps.story) >= fatal
    world.look()
    assert rig.unprotected() == 0
    assert not world.alarmed()
    for _ in range(3):
        rig.clock.advance(timedelta(seconds=31))
        rig.prices.set("AAPL", "52", rig.clock.now())
        rig.cycle()
        world.look()
        assert rig.unprotected() == 0
    kinds = [r.order.order_type for r in rig.orders() if r.status is OrderStatus.WORKING and r.order.role == "STOP"]
    assert kinds == [OrderType.TRAIL]
    world.meet("51")
    rig.cycle()
    assert world.held == 0
    assert rig.resting_at_venue() == {}


@pytest.mark.parametrize("fatal", how_many("reprice"))
def test_a_repriced_entry_is_never_there_twice_wherever_the_process_dies(fatal: int) -> None:
    world, steps = deadly("reprice", fatal)
    rig = world.rig
    assert len(steps.story) >= fatal
    world.look()
    assert rig.unprotected() == 0
    for _ in range(5):
        rig.clock.advance(timedelta(seconds=31))
        rig.prices.set("AAPL", "50.4", rig.clock.now())
        rig.cycle()
        world.look()
        assert rig.unprotected() == 0
    world.meet("49.9")
    rig.cycle()
    world.look()
    (bracket,) = rig.state.brackets.values()
    assert 12 <= world.held <= bracket.quantity == 15
    assert rig.unprotected() == 0
