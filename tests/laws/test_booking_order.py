"""Law 4: what a venue really reports, in any order and any number of times, gives the same books."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.day_trades.counter import DayTradeCounter
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import EntryOrder, OrderRecord
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.positions.booking import book
from apex_cli.core.state.events.order_events import Intent
from apex_cli.core.state.tables import State
from kit import START, MemoryStore
from kit.day_trades import count_in_state
from kit.faults import UnreliableBroker
from kit.rig import Rig, auto, make_signal

D = Decimal
RISK = RiskLimits(max_position_pct=D(1), max_open_risk_pct=D(1), max_daily_loss_pct=D(1), max_drawdown_pct=D(1))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.integers(46, 61)),
        st.tuples(st.just("partial"), st.integers(46, 61), st.integers(1, 9)),
        st.tuples(st.just("close"), st.sampled_from([{}, {"quantity": "2"}, {"limit_price": "53"}])),
        st.tuples(st.just("signal"), st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 24 * 60])),
    ),
    min_size=3,
    max_size=12,
)


class Session(NamedTuple):
    """What was sent, and everything the venue reported."""

    intents: list[Intent]
    reported: list[Any]


def live(steps: list[tuple[Any, ...]]) -> Session:
    """Return what *steps* came to."""
    rig = Rig(limits=auto(RISK, entry_order=EntryOrder.LIMIT))
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    reported: list[Any] = []
    real = broker.drain

    def listen() -> Any:
        events = real()
        reported.extend(events)
        return events

    broker.drain = listen  # type: ignore[method-assign]
    rig.price("51")
    for number, step in enumerate((("signal", False), *steps)):
        match step:
            case ("price", price):
                rig.price(str(price))
            case ("partial", price, size):
                rig.price(str(price), size=str(size))
            case ("close", request) if rig.state.positions:
                with suppress(InputError, NothingToDo):  # more than is held, or on a closed day
                    rig.close(**request)
            case ("wait", minutes):
                rig.clock.advance(minutes=minutes)
            case ("signal", short):
                terms: Any = {"side": "SHORT", "stop": "52", "targets": ("46",)} if short else {"targets": ("54", "58")}
                rig.feed(make_signal(now=rig.clock.now(), signal_id=f"s{number}", **terms))
        rig.clock.advance(seconds=1)
        rig.cycle()
    return Session([msgspec.json.decode(event.data, type=Intent) for event in rig.events("intent")], reported)


def booked(session: Session, events: list[Any], *, in_one: bool = False) -> State:
    """Return the books that *events* make of the orders of *session*."""
    store = MemoryStore()
    with store.transaction() as tx:
        for intent in session.intents:
            for order in intent.orders:
                tx.orders[order.client_order_id] = OrderRecord(order=order, created_at=START, updated_at=START)
            if intent.bracket is not None:
                tx.brackets[intent.bracket.bracket_id] = intent.bracket
    for batch in [events] if in_one else [[event] for event in events]:
        with store.transaction() as tx:
            book(tx, batch, START)
    return store.view()


def facts(state: State) -> tuple[Any, ...]:
    positions = {key: row.position for key, row in state.positions.items()}
    statuses = {name: (r.status, r.filled_quantity) for name, r in state.orders.items()}
    return positions, dict(state.round_trips), dict(state.fills), count_in_state(state), statuses


@settings(max_examples=50, deadline=None)
@given(STEPS, st.randoms(use_true_random=False), st.integers(1, 3), st.booleans())
def test_the_events_of_a_real_session_in_any_order(
    steps: list[tuple[Any, ...]], rng: random.Random, times: int, in_one: bool
) -> None:
    session = live(steps)
    mixed = session.reported * times
    rng.shuffle(mixed)
    assert facts(booked(session, mixed, in_one=in_one)) == facts(booked(session, session.reported))


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_a_count_that_goes_on_is_the_count_made_anew(steps: list[tuple[Any, ...]]) -> None:
    going_on = DayTradeCounter(DayTradeLimits())
    store = MemoryStore()
    for event in live(steps).reported:
        moment = event.filled_at if isinstance(event, Fill) else event.at
        with store.transaction() as tx:
            book(tx, (event,), moment)
        account = AccountSnapshot(equity=Usd(D(3000)), cash=Usd(D(3000)), buying_power=Usd(D(3000)), taken_at=moment)
        anew = DayTradeCounter(DayTradeLimits())
        assert going_on(store.view(), account, moment) == anew(store.view(), account, moment)
