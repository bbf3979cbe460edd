"""A split of what is held: every number afterwards worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.day_trades.counter import held_before
from apex_cli.core.errors import InputError
from apex_cli.core.model.broker_events import BrokerSnapshot
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.reconciliation import SplitParts
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.model.request import ReconcileRequest
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions.splits import apply_split, exits_of_plan
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from kit.rig import ROOMY, Prices, Rig, auto, make_signal

D = Decimal


def split_rig(quantity: int, entry: str, ratio: str, *, targets: tuple[str, ...] = ("110",), stop: str = "95") -> Rig:
    """Return a rig whose holding was split over night: the venue's orders are gone, quantity and prices changed."""
    rig = Rig(limits=auto(replace(ROOMY, capital=Usd(D(100_000)))), prices=Prices(), cash=Usd(D(100_000)))
    rig.prices.set("AAPL", entry, rig.clock.now())
    rig.price(entry)
    rig.feed(make_signal(now=rig.clock.now(), entry=entry, stop=stop, targets=targets))
    held = rig.state.positions["AAPL"].position.quantity
    if held != quantity:
        rig.close(quantity=str(held - quantity))
    rig.clock.advance(minutes=60 * 24)
    rig.venue._events.extend(rig._engine.split("AAPL", D(ratio), rig.clock.now()))
    after = str(D(entry) / D(ratio))
    rig.prices.set("AAPL", after, rig.clock.now())
    rig.price(after)
    put_over(rig, after)
    return rig


def put_over(rig: Rig, average: str) -> None:
    """Let the venue report the mean price *average*, and the guard ask for prices, as in a run."""
    rig.use(Averaged(rig.venue, Price(D(average))))
    rig.guard._price_of = rig.gatherer.price_of


class Averaged:
    """The venue, whose positions have the mean price that a broker gives them."""

    def __init__(self, venue: Any, average: Price) -> None:
        self._venue = venue
        self._average = average

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def snapshot(self) -> BrokerSnapshot:
        found: BrokerSnapshot = await self._venue.snapshot()
        holdings = tuple(replace(row, average_price=self._average) for row in found.holdings)
        return replace(found, holdings=holdings)


def take(rig: Rig) -> Any:
    return rig.run(rig.adoption.reconcile(ReconcileRequest(split="AAPL")))


def exits(rig: Rig) -> set[tuple[str, Decimal, Decimal | None]]:
    return {
        (str(r.order.role), r.order.quantity, r.order.stop_price or r.order.limit_price)
        for r in rig.orders()
        if r.status is OrderStatus.WORKING
    }


def test_ten_for_one_keeps_value_r_and_levels() -> None:
    rig = split_rig(200, "100", "10")
    (each,) = [row for row in rig.reconcile().breaks if row.code == "position_differs"]
    assert "an entry at 100 becomes 10, the first stop 95 9.5, a target 110 11" in each.correction.message
    assert exits(rig) == set()
    assert not take(rig).open_breaks
    row = rig.state.positions["AAPL"]
    assert (row.position.quantity, row.position.entry_price, row.position.opened_value) == (2000, 10, 20_000)
    assert exits(rig) == {("STOP", D(2000), D("9.5")), ("TARGET", D(2000), D(11))}
    rig.clock.advance(minutes=5)
    rig.price("11")
    rig.cycle()
    (trip,) = rig.state.round_trips.values()
    assert (trip.quantity, trip.pnl, trip.r_multiple) == (2000, 2000, 2)
    assert rig.at_venue() == rig.resting_at_venue() == {}


def test_one_for_twenty_pays_the_fraction_in_cash() -> None:
    rig = split_rig(30, "3", "0.05", stop="2.5", targets=("5",))
    found = take(rig)
    assert not found.open_breaks
    position = rig.state.positions["AAPL"].position
    assert (position.quantity, position.opened_quantity, position.closed_quantity) == (1, 100, 99)
    (paid,) = [fill for fill in rig.state.fills.values() if fill.settlement is not None]
    assert (paid.side, paid.quantity, paid.price, paid.settlement) == ("SELL", D("0.5"), 60, "paid_in_cash")
    assert ("STOP", D(1), D(50)) in exits(rig)
    assert held_before(rig.state)["AAPL"] == 0


def test_a_short_position_is_split_too() -> None:
    rig = Rig(limits=auto(replace(ROOMY, capital=Usd(D(100_000)))), prices=Prices(), cash=Usd(D(100_000)))
    rig.prices.set("AAPL", "100", rig.clock.now())
    rig.price("100")
    from apex_cli.core.model.signal import SignalType

    rig.feed(make_signal(now=rig.clock.now(), entry="100", stop="105", targets=("90",), side=SignalType.SELL))
    held = rig.state.positions["AAPL"].position.quantity
    rig.venue._events.extend(rig._engine.split("AAPL", D("1.5"), rig.clock.now()))
    rig.prices.set("AAPL", "66.67", rig.clock.now())
    rig.price("66.67")
    put_over(rig, "66.67")
    assert not take(rig).open_breaks
    position = rig.state.positions["AAPL"].position
    assert (position.side, position.quantity) == ("short", held * D("1.5"))
    assert exits(rig) == {("STOP", held * D("1.5"), D(70)), ("TARGET", held * D("1.5"), D(60))}


def test_what_does_not_look_like_a_split_is_refused() -> None:
    rig = split_rig(200, "100", "10")
    put_over(rig, "100")
    with pytest.raises(InputError, match="do not look like a split"):
        take(rig)


def test_two_targets_come_back_each_with_its_stop() -> None:
    rig = split_rig(200, "100", "2", targets=("108", "116"))
    take(rig)
    assert exits(rig) == {
        ("STOP", D(200), D("47.5")),
        ("TARGET", D(200), D(54)),
        ("TARGET", D(200), D(58)),
    }
    assert rig.most_that_exits_fill() == 400


def test_a_part_that_was_closed_before_counts_in_the_new_units() -> None:
    rig = split_rig(100, "100", "10")
    take(rig)
    position = rig.state.positions["AAPL"].position
    assert (position.quantity, position.opened_quantity, position.closed_quantity) == (1000, 2000, 1000)
    rig.clock.advance(minutes=5)
    rig.price("9.5")
    rig.cycle()
    (trip,) = rig.state.round_trips.values()
    assert (trip.pnl, trip.r_multiple) == (-500, D("-0.5"))


def test_executions_of_a_report_are_in_the_new_units() -> None:
    rig = split_rig(200, "100", "10")
    bought = Execution(
        exec_id="h.1",
        security="AAPL",
        side=OrderSide.BUY,
        quantity=Quantity(D(7)),
        filled_at=rig.clock.now(),
        held_before=D(3),
    )
    with rig.store.transaction() as tx:
        tx.history_fills["h"] = bought
        tx.history_fills["m"] = replace(bought, exec_id="m.1", security="MSFT", held_before=None)
    take(rig)
    assert (rig.state.history_fills["h"].quantity, rig.state.history_fills["h"].held_before) == (70, 30)
    assert rig.state.history_fills["m"].quantity == 7


def test_the_journal_leads_to_the_same_state() -> None:
    rig = split_rig(30, "3", "0.05", stop="2.5", targets=("5",))
    take(rig)
    state = SilentState()
    rows = [
        OutboxRow(
            seq=event.seq,
            at=event.at,
            kind=event.kind,
            subject=event.subject,
            data=msgspec.Raw(
                msgspec.json.encode(event.data) if not isinstance(event.data, msgspec.Raw) else event.data
            ),
        )
        for event in rig.store.events
    ]
    assert not rebuild(state, rows)
    assert state.positions["AAPL"].position == rig.state.positions["AAPL"].position
    assert {b.stop_price for b in state.brackets.values()} == {b.stop_price for b in rig.state.brackets.values()}


def test_what_is_of_another_security_stays_as_it_is() -> None:
    rig = split_rig(200, "100", "10")
    rig.prices.set("MSFT", "50", rig.clock.now())
    rig.price("50", "MSFT")
    rig.feed(make_signal("MSFT", now=rig.clock.now()))
    before = [list(table.values()) for table in (rig.state.positions, rig.state.orders, rig.state.fills)]
    with rig.store.transaction() as tx:
        apply_split(tx, "NVDA", SplitParts(new=10, old=1))
    assert [list(table.values()) for table in (rig.state.positions, rig.state.orders, rig.state.fills)] == before


def test_targets_come_back_for_no_more_than_is_held() -> None:
    rig = split_rig(200, "100", "1.5", targets=("108", "116"))
    take(rig)
    row = rig.state.positions["AAPL"].position
    plan = rig.state.brackets[row.bracket_id]
    lost = [
        replace(r, status=OrderStatus.CANCELLED) if r.status is OrderStatus.WORKING else r for r in rig.orders("AAPL")
    ]
    small = replace(row, quantity=Quantity(D(150)))
    assert [[order.quantity for order in pair] for pair in exits_of_plan(small, plan, lost)] == [[150, 150]]
