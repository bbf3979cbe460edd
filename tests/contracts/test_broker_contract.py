"""What every broker keeps to, whatever is behind it. A new implementation joins ``BROKERS``.

The simulated one answers within the call. Interactive Brokers, through either library and over TCP to the paper venue,
answers later: there the hand that moves the market also waits until everything said has arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import pytest

from apex_cli.core.adapters.simulated.bar_clock import BarClock
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.model.broker_events import BrokerEvent, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Meets, Order, OrderRole, OrderStatus, OrderType, Phase, TimeInForce
from apex_cli.core.model.side import OrderSide
from apex_cli.core.ports import Broker
from apex_cli.gateway.policy import Policy
from apex_cli.settings.brokers import BrokerName
from kit.bars import ListBars
from kit.gateway import GatewayThread
from kit.ib import Session

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
AAPL = make_instrument("AAPL")
PREFIX = "apex-b1-"


class StandingClock:
    def now(self) -> datetime:
        return NOW


class Venue(Protocol):
    """A broker under test and the hand that moves its market."""

    is_durable: bool

    @property
    def broker(self) -> Broker: ...

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run one call of the broker."""

    def price(self, price: str) -> None:
        """Move the market."""

    def events(self) -> list[BrokerEvent]:
        """Return what the broker says once everything that happened has reached it."""

    def restart(self) -> None:
        """As after kill -9: nothing is closed, everything in memory is gone."""

    def value_anew(self) -> None:
        """Have the account valued at the prices of now."""

    def close(self) -> None: ...


class Simulated:
    def __init__(self, make: Callable[[], SimulatedBroker], *, is_durable: bool) -> None:
        self.make = make
        self.is_durable = is_durable
        self.broker: Any = make()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    def price(self, price: str) -> None:
        self.broker.set_price(AAPL, Price(Decimal(price)), NOW)

    def events(self) -> list[BrokerEvent]:
        return list(self.broker.drain())

    def restart(self) -> None:
        self.broker = self.make()

    def value_anew(self) -> None:
        pass

    def close(self) -> None:
        pass


class Replayed(Simulated):
    def __init__(self) -> None:
        self.bars: list[Bar] = []
        market = ListBars({"AAPL": self.bars})
        super().__init__(
            lambda: SimulatedBroker(clock=BarClock(NOW), bars=market, cash=Usd(Decimal(5000))), is_durable=False
        )

    def price(self, price: str) -> None:
        at, start = Price(Decimal(price)), NOW + timedelta(minutes=len(self.bars))
        end = start + timedelta(minutes=1)
        self.bars.append(Bar(symbol="AAPL", start=start, end=end, open=at, high=at, low=at, close=at))
        self.broker.play(end)


class InteractiveBrokers:
    is_durable = True

    def __init__(self, library: str) -> None:
        self.library = library
        self.gateway = GatewayThread(
            cash=5000,
            is_margin=False,
            policy=Policy(refuses_cash_short=False),
            plan=CommissionPlan.NONE,
            prices={"AAPL": "100"},
            now=StandingClock().now,
        )
        self.gateway.start()
        self.session = self.new_session()

    def new_session(self) -> Session:
        return Session(self.gateway.port, StandingClock(), library=self.library)

    @property
    def broker(self) -> Broker:
        return self.session.broker

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.session.run(work)

    def price(self, price: str) -> None:
        self.gateway.set_price("AAPL", price)

    def events(self) -> list[BrokerEvent]:
        return self.session.settled() if self.session.broker.is_connected else list(self.broker.drain())

    def restart(self) -> None:
        self.session.drop()
        self.session = self.new_session()

    def value_anew(self) -> None:
        """Interactive Brokers values an account at each trade, every three minutes, and for a new connection."""
        self.restart()
        self.run(self.broker.connect())

    def close(self) -> None:
        self.session.close()
        self.gateway.close()


def simulated_in_memory(tmp_path: Path) -> Venue:
    del tmp_path
    return Simulated(lambda: SimulatedBroker(clock=StandingClock(), cash=Usd(Decimal(5000))), is_durable=False)


def simulated_with_file(tmp_path: Path) -> Venue:
    path = tmp_path / "state" / "simulated_broker.json"
    make = lambda: SimulatedBroker(clock=StandingClock(), cash=Usd(Decimal(5000)), path=path)  # noqa: E731 - a factory
    return Simulated(make, is_durable=True)


def ib_insync(tmp_path: Path) -> Venue:
    del tmp_path
    return InteractiveBrokers("ib_insync")


def ib_async(tmp_path: Path) -> Venue:
    del tmp_path
    return InteractiveBrokers("ib_async")


def replayed(tmp_path: Path) -> Venue:
    """Return the broker of a replay: every price comes as a bar."""
    del tmp_path
    return Replayed()


BROKERS = {
    simulated_in_memory: BrokerName.SIMULATED,
    simulated_with_file: BrokerName.SIMULATED,
    ib_insync: BrokerName.IB,
    ib_async: BrokerName.IB,
}


def test_every_broker_of_the_configuration_keeps_the_contract() -> None:
    assert set(BROKERS.values()) == set(BrokerName)


@pytest.fixture(params=BROKERS, ids=lambda make: make.__name__)
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Venue]:
    made: Venue = request.param(tmp_path)
    made.run(made.broker.connect())
    made.price("100")
    yield made
    made.close()


def order(name: str, side: str, kind: str, **terms: Any) -> Order:
    for price in ("limit_price", "stop_price", "trail_amount"):
        if price in terms:
            terms[price] = Price(Decimal(terms[price]))
    return Order(
        client_order_id=PREFIX + name,
        bracket_id="b1",
        role={"E": OrderRole.ENTRY, "S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}[name[0]],
        instrument=AAPL,
        side=OrderSide(side),
        order_type=OrderType[kind],
        quantity=Quantity(Decimal(terms.pop("quantity", "10"))),
        time_in_force=TimeInForce.GTC,
        **terms,
    )


def bracket(**entry: Any) -> list[Order]:
    kind = entry.pop("kind", "MARKET")
    return [
        order("E", "BUY", kind, **entry),
        order("S", "SELL", "STOP", stop_price="98", parent_id=PREFIX + "E", oca_group="g"),
        order("T", "SELL", "LIMIT", limit_price="104", parent_id=PREFIX + "E", oca_group="g"),
    ]


def run(venue: Venue, *work: Any) -> list[BrokerEvent]:
    """Do one thing after the other, each once the one before has come to its end."""
    events: list[BrokerEvent] = []
    for piece in work:
        venue.run(piece)
        events += venue.events()
    return events or venue.events()


def short(name: str) -> str:
    return name.removeprefix(PREFIX)


def fills(events: Iterable[BrokerEvent]) -> list[tuple[str, Decimal, Decimal]]:
    return [(short(e.client_order_id), e.quantity, e.price) for e in events if isinstance(e, Fill)]


def last_states(events: Iterable[BrokerEvent]) -> dict[str, OrderStatus]:
    return {short(e.client_order_id): e.status for e in events if isinstance(e, OrderUpdate)}


W, F, C = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED


def test_an_entry_fills_and_its_exits_work(venue: Venue) -> None:
    events = run(venue, venue.broker.submit(bracket()))
    assert fills(events) == [("E", 10, 100)]
    assert last_states(events) == {"E": F, "S": W, "T": W}


def test_events_are_reported_once_and_in_order(venue: Venue) -> None:
    events = run(venue, venue.broker.submit(bracket()))
    words = [type(e).__name__ if isinstance(e, Fill) else e.status for e in events if short(e.client_order_id) == "E"]
    assert words == [W, "Fill", F]
    assert venue.events() == []


def test_the_stop_closes_the_position_and_cancels_the_target(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    venue.price("97")
    events = run(venue)
    assert fills(events) == [("S", 10, 97)]
    assert last_states(events) == {"S": F, "T": C}
    assert venue.run(venue.broker.snapshot()).positions == {}


def test_a_cancelled_entry_takes_its_exits_with_it(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket(kind="LIMIT", limit_price="90")))
    events = run(venue, venue.broker.cancel(PREFIX + "E"))
    assert last_states(events) == {"E": C, "S": C, "T": C}
    venue.price("80")
    assert run(venue) == []


def test_a_cancel_after_the_fill_never_says_cancelled(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    assert last_states(run(venue, venue.broker.cancel(PREFIX + "E"))) == {"E": F}


def test_a_moved_stop_is_confirmed_and_works(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    moved = order("S", "SELL", "STOP", stop_price="99", parent_id=PREFIX + "E", oca_group="g")
    (update,) = run(venue, venue.broker.modify(moved))
    assert isinstance(update, OrderUpdate)
    assert (update.status, update.stop_price) == (W, 99)
    venue.price("98.5")
    assert fills(run(venue)) == [("S", 10, Decimal("98.5"))]


def test_a_refused_change_leaves_the_stop_working(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    nonsense = order("S", "SELL", "STOP", stop_price="-1")
    assert last_states(run(venue, venue.broker.modify(nonsense))) == {"S": W}
    venue.price("98")
    assert fills(run(venue)) == [("S", 10, 98)]


def test_closing_by_cancel_and_sale_leaves_nothing(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    events = run(
        venue,
        venue.broker.cancel(PREFIX + "S"),
        venue.broker.cancel(PREFIX + "T"),
        venue.broker.submit([order("C", "SELL", "MARKET")]),
    )
    assert last_states(events) == {"S": C, "T": C, "C": F}
    snapshot = venue.run(venue.broker.snapshot())
    assert snapshot.positions == {}
    assert not [update for update in snapshot.orders if update.status is W]


def test_the_same_order_is_never_executed_twice(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    events = run(venue, venue.broker.submit(bracket()))
    assert fills(events) == []
    assert last_states(events) == {"E": F, "S": W, "T": W}
    assert venue.run(venue.broker.snapshot()).positions == {"AAPL": 10}


def test_a_faulty_child_stops_the_whole_transmission(venue: Venue) -> None:
    orders = bracket()
    orders[1] = msgspec.structs.replace(orders[1], stop_price=None)
    events = run(venue, venue.broker.submit(orders))
    assert set(last_states(events).values()) == {OrderStatus.REJECTED}
    snapshot = venue.run(venue.broker.snapshot())
    assert (snapshot.positions, snapshot.fills) == ({}, ())


def test_the_snapshot_is_complete(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    venue.price("104")
    snapshot = venue.run(venue.broker.snapshot())
    assert snapshot.is_complete
    assert {short(update.client_order_id): update.status for update in snapshot.orders} == {"E": F, "S": C, "T": F}
    assert [short(fill.client_order_id) for fill in snapshot.fills] == ["E", "T"]
    assert len({fill.exec_id for fill in snapshot.fills}) == 2


def test_a_short_position_is_negative(venue: Venue) -> None:
    run(venue, venue.broker.submit([order("E", "SELL", "MARKET")]))
    assert venue.run(venue.broker.snapshot()).positions == {"AAPL": -10}


def test_the_account_follows_the_fills(venue: Venue) -> None:
    run(venue, venue.broker.submit(bracket()))
    venue.price("103")
    venue.value_anew()
    account = venue.run(venue.broker.account())
    assert (account.cash, account.equity, account.taken_at) == (4000, 5030, NOW)
    assert account.buying_power <= account.equity


def test_closing_twice_is_safe(venue: Venue) -> None:
    run(venue, venue.broker.close(), venue.broker.close())


def test_fills_and_states_are_reported_again_after_a_restart(venue: Venue) -> None:
    if not venue.is_durable:
        pytest.skip("keeps nothing beyond its process")
    venue.run(venue.broker.submit(bracket()))
    first = venue.events()
    venue.restart()
    again = run(venue, venue.broker.connect())
    assert [e for e in again if isinstance(e, Fill)] == [e for e in first if isinstance(e, Fill)]
    assert last_states(again) == last_states(first)
    venue.price("97")
    assert fills(run(venue)) == [("S", 10, 97)]


def test_events_nobody_heard_survive_a_restart(venue: Venue) -> None:
    if not venue.is_durable:
        pytest.skip("keeps nothing beyond its process")
    venue.run(venue.broker.submit(bracket()))
    venue.price("104")
    venue.restart()
    events = run(venue, venue.broker.connect())
    assert fills(events) == [("E", 10, 100), ("T", 10, 104)]
    assert last_states(events) == {"E": F, "S": C, "T": F}


class Course(NamedTuple):
    """How a purchase meets a market that stands at 100."""

    terms: dict[str, str]
    waits_at: str
    """A price that does not fill it."""

    fills_at: str
    tight: str = ""
    """With a trigger: a limit that the price is beyond when it triggers."""

    within: str = ""
    """The price after that, within the limit."""


COURSES = {
    Meets.AT_ONCE: Course({}, "", "100"),
    Meets.AT_LIMIT: Course({"limit_price": "95"}, "96", "94"),
    Meets.AT_TRIGGER: Course({"stop_price": "105"}, "104", "106", tight="105.50", within="105"),
    Meets.FOLLOWING: Course({"trail_amount": "5", "stop_price": "105"}, "104", "106", tight="105.50", within="105"),
}
WIDE = "110"
"""A limit that no price is beyond."""


@pytest.mark.parametrize("venue", [*BROKERS, replayed], ids=lambda make: make.__name__, indirect=True)
@pytest.mark.parametrize("kind", [kind for kind in OrderType if kind.row.phase is Phase.ANY])
def test_every_order_type_meets_the_price_as_its_row_says(venue: Venue, kind: OrderType) -> None:
    course = COURSES[kind.row.meets]
    terms = course.terms
    if kind.row.has_trigger and kind.row.needs_limit:
        terms = {**terms, "limit_price": WIDE}
    entry = order("E", "BUY", kind.name, **terms)
    events = run(venue, venue.broker.submit([entry]))
    if kind.row.meets is Meets.AT_ONCE:
        assert fills(events) == [("E", 10, 100)]
        return
    assert terms_of(venue) == (kind, entry.limit_price, entry.stop_price)
    venue.price(course.waits_at)
    assert fills(run(venue)) == []
    venue.price(course.fills_at)
    assert fills(run(venue)) == [("E", 10, Decimal(course.fills_at))]


@pytest.mark.parametrize("venue", [*BROKERS, replayed], ids=lambda make: make.__name__, indirect=True)
@pytest.mark.parametrize("kind", [kind for kind in OrderType if kind.row.needs_stop and kind.row.needs_limit])
def test_a_triggered_order_fills_within_its_limit_alone(venue: Venue, kind: OrderType) -> None:
    course = COURSES[kind.row.meets]
    entry = order("E", "BUY", kind.name, **course.terms, limit_price=WIDE)
    run(venue, venue.broker.submit([entry]))
    moved = msgspec.structs.replace(entry, limit_price=Price(Decimal(course.tight)))
    run(venue, venue.broker.modify(moved))
    assert terms_of(venue) == (kind, moved.limit_price, moved.stop_price)
    for price in (course.waits_at, course.fills_at):
        venue.price(price)
        assert fills(run(venue)) == []
    venue.price(course.within)
    assert fills(run(venue)) == [("E", 10, Decimal(course.within))]


def terms_of(venue: Venue) -> tuple[OrderType | None, Decimal | None, Decimal | None]:
    """Return type, limit and trigger of the one order that works, as the broker tells them."""
    (working,) = venue.run(venue.broker.snapshot()).working
    return working.order_type, working.limit_price, working.stop_price


@pytest.mark.parametrize("kind", [kind.name for kind in OrderType if kind.row.phase is not Phase.ANY])
def test_an_order_of_an_auction_waits_for_it_and_keeps_its_type(venue: Venue, kind: str) -> None:
    terms = {"limit_price": "110"} if OrderType[kind].row.needs_limit else {}
    events = run(venue, venue.broker.submit(bracket(kind=kind, **terms)))
    assert fills(events) == []
    assert last_states(events) == {"E": W, "S": W, "T": W}
    working = {short(one.client_order_id): one for one in venue.run(venue.broker.snapshot()).working}
    assert working["E"].order_type is OrderType[kind]
    venue.price("101")
    assert fills(run(venue)) == []
    assert last_states(run(venue, venue.broker.cancel(PREFIX + "E"))) == {"E": C, "S": C, "T": C}
