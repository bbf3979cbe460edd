"""Laws 2 and 3: what is held has a stop or an alarm, and exits never rest for more than is held."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.errors import ApexError
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.order import EntryOrder, OrderRole
from apex_cli.core.model.risk_limits import RiskLimits
from kit import MemoryStore
from kit.faults import FailingStore, Fate, UnreliableBroker
from kit.rig import Rig, auto, make_signal

D = Decimal
RISK = RiskLimits(max_position_pct=D(1), max_open_risk_pct=D(1), min_reward_risk=D(0), max_daily_loss_pct=D(1))
TARGETS = st.sampled_from([("54",), ("55", "58", "60"), ()])
LEGS = st.sampled_from(["", "S1", "T1", "S2", "T2", "S", "C", "C1"])
PRICES = st.sampled_from(["47", "48", "49", "50", "51", "53", "54", "55", "58", "60"])
CLOSES = st.sampled_from(
    [{}, {"quantity": "4"}, {"fraction": "0.5"}, {"limit_price": "53"}, {"quantity": "3", "limit_price": "53"}]
)

QUIET_STEPS = st.one_of(
    st.tuples(st.just("price"), PRICES),
    st.tuples(st.just("partial"), PRICES, st.integers(1, 9)),
    st.tuples(st.just("close"), CLOSES),
    st.tuples(st.just("cycle")),
    st.tuples(st.just("wait"), st.integers(1, 120)),
    st.tuples(st.just("restart")),
)
STEPS = st.one_of(
    QUIET_STEPS,
    st.tuples(st.just("fate"), st.sampled_from(list(Fate))),
    st.tuples(st.just("reject"), LEGS),
    st.tuples(st.just("silent"), st.booleans()),
    st.tuples(st.just("lose_cancels"), st.booleans()),
    st.tuples(st.just("refuse_cancels"), st.booleans()),
    st.tuples(st.just("meanwhile"), PRICES, st.integers(1, 20)),
    st.tuples(st.just("repeat"), st.integers(1, 3)),
    st.tuples(st.just("shuffle"), st.integers(0, 9)),
    st.tuples(st.just("fail"), st.integers(1, 5)),
    st.tuples(st.just("snapshot"), st.booleans()),
    st.tuples(st.just("vanish"), st.sampled_from(["S", "T"])),
)


def limits(entry_order: EntryOrder) -> Limits:
    return auto(RISK, entry_order=entry_order)


def attempt(work: Any) -> None:
    with suppress(ApexError):
        work()


def take(rig: Rig, step: tuple[Any, ...]) -> None:  # noqa: C901, PLR0912 - one case a step
    broker: UnreliableBroker = rig.broker
    match step:
        case ("price", price):
            rig.price(price)
        case ("partial", price, size):
            rig.price(price, size=str(size))
        case ("close", request):
            if request:  # exits can be shrunk rightly only by who hears of their fills
                broker.is_silent = False
            if rig.state.positions:
                attempt(lambda: rig.close(**request))
        case ("cycle",):
            attempt(rig.cycle)
        case ("wait", seconds):
            rig.clock.advance(seconds=seconds)
        case ("restart",):
            rig.store.fail_at = None
            rig.restart()
            rig.use(UnreliableBroker(rig.venue, rig.clock))
        case ("fate", fate):
            broker.fates.append(fate)
        case ("reject", leg):
            broker.rejects = lambda order: bool(leg) and order.client_order_id.rpartition("-")[2].startswith(leg)
        case ("silent", is_silent):
            broker.is_silent = is_silent
        case ("lose_cancels", loses):
            broker.loses_cancels = loses
        case ("refuse_cancels", refuses):
            broker.refuses_cancels = refuses
        case ("meanwhile", price, size):
            broker.before_cancel = lambda _: rig.price(price, size=str(size))
        case ("repeat", times):
            broker.repeats = times
        case ("shuffle", seed):
            broker.shuffle = Random(seed) if seed else None
        case ("fail", after):
            rig.store.fail_at = rig.store.transactions + after
        case ("snapshot", has_snapshot):
            broker.has_snapshot = has_snapshot
        case ("vanish", letter):
            names = [name for name in rig.resting_at_venue() if name.rpartition("-")[2].startswith(letter)]
            for name in names[:1]:
                rig.venue._keep(rig.venue._engine.cancel(name, rig.clock.now()))


def held(rig: Rig) -> Decimal:
    return rig.at_venue().get("AAPL", D(0))


def entry_works(rig: Rig) -> bool:
    """Return whether more may be opened: then exits wait for it, though nothing is held."""
    return any(r.is_open and r.order.role is OrderRole.ENTRY for r in rig.orders())


def alarmed(rig: Rig) -> bool:
    return any(msgspec.json.decode(event.data)["code"] == "unprotected" for event in rig.events("alarm"))


def begin(targets: tuple[str, ...], entry_order: EntryOrder, *, short: bool) -> Rig:
    rig = Rig(limits=limits(entry_order), store=FailingStore(MemoryStore()))
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    terms: dict[str, Any] = {"targets": targets}
    if short:
        terms = {"side": "SHORT", "stop": "52", "targets": tuple(str(100 - int(t)) for t in targets)}
    rig.price("50" if entry_order is EntryOrder.MARKET else ("49" if short else "51"))
    rig.feed(make_signal(now=rig.clock.now(), **terms))
    return rig


BEGINNINGS = {"targets": TARGETS, "entry_order": st.sampled_from(list(EntryOrder)), "short": st.booleans()}


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(QUIET_STEPS, max_size=10), **BEGINNINGS)
def test_with_a_venue_that_answers_everything_held_always_has_its_stop(
    steps: list[tuple[Any, ...]], targets: tuple[str, ...], entry_order: EntryOrder, short: bool
) -> None:
    rig = begin(targets, entry_order, short=short)
    for step in steps:
        take(rig, step)
        assert rig.most_that_exits_fill() <= abs(held(rig))
        assert not held(rig) or (held(rig) < 0) is short
        rig.execution.orders.sync()
        assert rig.unprotected() == 0
        if not held(rig) and not entry_works(rig):
            assert rig.resting_at_venue() == {}
    assert not alarmed(rig)


@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEPS, max_size=14), **BEGINNINGS)
def test_whatever_happens_the_next_start_protects_or_reports(
    steps: list[tuple[Any, ...]], targets: tuple[str, ...], entry_order: EntryOrder, short: bool
) -> None:
    rig = begin(targets, entry_order, short=short)
    for step in steps:
        take(rig, step)
        assert not held(rig) or (held(rig) < 0) is short, "sold more than was held"
        assert rig.most_that_exits_fill() <= abs(held(rig))
    rig.store.fail_at = None
    rig.restart()
    mine = rig.state.positions.get("AAPL")
    assert abs(held(rig)) == (mine.position.quantity if mine else 0)
    assert rig.unprotected() == 0 or alarmed(rig)
    assert rig.most_that_exits_fill() <= abs(held(rig))
    if held(rig):
        rig.close()
    assert held(rig) == 0
    assert not rig.state.positions
    if not entry_works(rig):
        assert rig.resting_at_venue() == {}


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=10), **BEGINNINGS)
def test_no_stop_is_placed_over_and_over(
    steps: list[tuple[Any, ...]], targets: tuple[str, ...], entry_order: EntryOrder, short: bool
) -> None:
    rig = begin(targets, entry_order, short=short)
    for step in steps:
        take(rig, step)
    rig.broker.is_silent = False
    rig.broker.fates.clear()
    rig.broker.rejects = lambda order: order.role is OrderRole.STOP
    attempt(rig.cycle)
    attempt(rig.cycle)
    before = len(rig.state.orders)
    alarms = len(rig.events("alarm"))
    for _ in range(20):
        rig.clock.advance(seconds=10)
        attempt(rig.cycle)
    assert len(rig.state.orders) - before <= 3
    assert len(rig.events("alarm")) - alarms <= 4
