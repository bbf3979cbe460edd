"""An option from its signal to its end: held to expiry, or closed before it by rule."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from apex_cli.core.day_trades.counter import all_fills, held_before
from apex_cli.core.errors import NothingToDo
from apex_cli.core.model.fill import Settlement
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.management import ManagementLimits, ManagementPlan, OptionRules
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import OrderStatus
from apex_cli.core.model.signal import SignalType
from apex_cli.core.model.spelling import canonical
from apex_cli.core.positions.position_views import position_views
from apex_cli.core.venue.catch_up import caught_up
from apex_cli.presenters.positions import expiry_line, positions_blocks
from kit import FixedClock
from kit.rig import Rig, auto, make_signal

D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
CALL = canonical("AAPL 2026-12-18 200 C")
PUT = canonical("AAPL 2026-12-18 200 P")
WORDS = {(True, "C"): "LONG_CALL", (True, "P"): "LONG_PUT", (False, "C"): "SHORT_CALL", (False, "P"): "SHORT_PUT"}


def ny(text: str) -> datetime:
    """Return a New York time of 2026: ``12-18 16:00``."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK)


def holding(option: Instrument = CALL, *, is_long: bool = True, rules: OptionRules | None = None, **more: Any) -> Rig:
    """Return a rig that holds contracts bought or sold at 2.50 on Monday, 2026-12-14, with AAPL at 200."""
    management = ManagementLimits(options=rules or OptionRules())
    rig = Rig(limits=auto(management=management, **more), clock=FixedClock(ny("12-14 10:00")), cash=Usd(D(10_000)))
    rig.price("200")
    levels = {"stop": "2", "targets": ("9",)} if is_long else {"stop": "3.5", "targets": ("0.5",)}
    kind = SignalType(WORDS[is_long, str(option.right)])
    rig.feed(make_signal(now=rig.clock.now(), entry="2.5", side=kind, instrument=option, **levels))
    assert option.key in rig.state.positions
    return rig


def to_expiry(rig: Rig, underlying: str) -> None:
    """Let AAPL stand at *underlying* when the contract expires, and the loop turn after the close."""
    rig.clock.set(ny("12-18 15:59"))
    rig.price(underlying)
    rig.clock.set(ny("12-18 16:05"))
    settle(rig)


def settle(rig: Rig) -> None:
    """Let the loop turn twice: the venue looks at the clock, then its events are booked."""
    rig.cycle()
    rig.cycle()


@pytest.mark.parametrize(
    ("option", "is_long", "underlying", "price", "how"),
    [
        (CALL, True, "203.50", "3.5", Settlement.EXERCISED),
        (CALL, True, "199", "0", Settlement.EXPIRED),
        (PUT, True, "195", "5", Settlement.EXERCISED),
        (PUT, True, "200", "0", Settlement.EXPIRED),
        (CALL, False, "204", "4", Settlement.ASSIGNED),
        (PUT, False, "201", "0", Settlement.EXPIRED),
    ],
)
def test_it_is_settled_at_its_intrinsic_value(
    option: Instrument, is_long: bool, underlying: str, price: str, how: Settlement
) -> None:
    rig = holding(option, is_long=is_long)
    quantity = rig.state.positions[option.key].position.quantity
    cash = rig._engine.ledger.total_cash
    to_expiry(rig, underlying)
    (trip,) = rig.state.round_trips.values()
    sign = 1 if is_long else -1
    assert (trip.exit_price, trip.exit_reason, trip.exit_time) == (D(price), how, ny("12-18 16:00"))
    assert trip.pnl == (D(price) - D("2.5")) * 100 * quantity * sign
    assert rig._engine.ledger.total_cash == cash + D(price) * 100 * quantity * sign
    assert rig.state.positions.get(option.key) is None
    assert rig.at_venue() == rig.resting_at_venue() == {}
    assert {record.status for record in rig.orders(option.key)} == {OrderStatus.FILLED, OrderStatus.EXPIRED}
    assert not rig.reconcile().breaks


def test_its_end_is_no_day_trade() -> None:
    rig = holding()
    rig.clock.set(ny("12-18 10:00"))
    rig.feed(make_signal(now=rig.clock.now(), entry="1", stop="0.5", targets=("3",), instrument=PUT, signal_id="late"))
    to_expiry(rig, "203")
    account = asyncio.run(rig.broker.account())
    status = rig.gatherer.day_trades(rig.state, account, rig.clock.now())
    assert (status.used, status.opened_today) == (0, (PUT.key,))
    assert [fill.side for fill in all_fills(rig.state)] == ["BUY", "BUY"]
    assert held_before(rig.state) == {CALL.key: 0, PUT.key: 0}


def test_it_is_booked_though_nobody_looked_for_a_week() -> None:
    rig = holding()
    rig.clock.set(ny("12-18 15:00"))
    rig.price("202")
    rig.restart()
    rig.clock.set(ny("12-28 11:00"))
    rig.restart()
    rig.cycle()
    (trip,) = rig.state.round_trips.values()
    assert (trip.exit_price, trip.exit_time) == (2, ny("12-18 16:00"))


def test_two_contracts_of_one_underlying_end_each_by_itself() -> None:
    rig = holding()
    other = canonical("AAPL 2026-12-18 190 P")
    rig.feed(make_signal(now=rig.clock.now(), entry="1", stop="0.5", targets=("3",), instrument=other, signal_id="two"))
    later = canonical("AAPL 2026-12-24 200 C")
    rig.feed(make_signal(now=rig.clock.now(), entry="3", stop="2", targets=("6",), instrument=later, signal_id="three"))
    to_expiry(rig, "201")
    assert {trip.instrument.key: trip.exit_price for trip in rig.state.round_trips.values()} == {
        CALL.key: 1,
        other.key: 0,
    }
    assert list(rig.state.positions) == [later.key]


def test_without_a_price_of_the_underlying_it_is_worth_its_own_last_one() -> None:
    rig = Rig(limits=auto(), clock=FixedClock(ny("12-14 10:00")), cash=Usd(D(10_000)))
    rig.feed(make_signal(now=rig.clock.now(), entry="2.5", stop="2", targets=("9",), instrument=CALL))
    rig.clock.set(ny("12-18 16:05"))
    settle(rig)
    (trip,) = rig.state.round_trips.values()
    assert (trip.exit_price, trip.pnl) == (D("2.5"), 0)


def test_a_part_closed_before_counts_with_the_rest() -> None:
    rig = holding()
    quantity = rig.state.positions[CALL.key].position.quantity
    rig._engine.on_price(CALL.key, D(4), rig.clock.now())  # type: ignore[arg-type]
    rig.close(CALL.key, quantity="1")
    to_expiry(rig, "203")
    (trip,) = rig.state.round_trips.values()
    assert trip.pnl == (D(4) - D("2.5")) * 100 + (D(3) - D("2.5")) * 100 * (quantity - 1)


def test_older_books_catch_up_with_the_end_of_a_contract() -> None:
    rig = holding()
    before = rig._engine.dump()
    to_expiry(rig, "203")
    after = caught_up(before, rig.state.orders.values(), rig.state.fills.values())
    assert (after.cash, after.positions) == (rig._engine.ledger.total_cash, ())


def test_an_expired_contract_cannot_be_closed() -> None:
    rig = holding()
    rig.clock.set(ny("12-18 16:05"))
    with rig.store.transaction() as tx:
        held = tx.positions[CALL.key]
    settle(rig)
    with rig.store.transaction() as tx:
        tx.positions[CALL.key] = held  # the broker has not reported it yet
    with pytest.raises(NothingToDo, match="it expired on 2026-12-18"):
        rig.close(CALL.key)
    assert not rig.events("alarm") or "without a working stop" not in str(rig.events("alarm"))


@pytest.mark.parametrize(
    ("lead", "first"), [("2d", "12-16 09:30"), ("5d", "12-11 09:30"), ("90m", "12-18 14:30"), ("2h", "12-18 14:00")]
)
def test_it_is_closed_before_expiry_by_rule(lead: str, first: str) -> None:
    rig = holding(rules=OptionRules(exit_before_expiry=lead))
    due = ny(first)
    before = max(ny("12-14 10:00"), due - timedelta(minutes=1))
    for moment, is_held in ((before, due > before), (max(due, before), False)):
        rig.clock.set(moment)
        rig.cycle()
        assert bool(rig.state.positions) is (is_held and moment < due)
    (trip,) = rig.state.round_trips.values()
    assert (trip.exit_reason, trip.exit_time) == ("before_expiry", max(due, before))
    assert len(rig.events("before_expiry")) == 1


def test_what_nears_its_end_is_reported_once_a_session() -> None:
    rig = holding(rules=OptionRules(warn_days=2))
    for day in ("12-15", "12-16", "12-16", "12-17", "12-18"):
        rig.clock.set(ny(f"{day} 11:00"))
        rig.cycle()
    reported = [event.data for event in rig.events("alarm")]
    words = [msg for data in reported if "option_expires" in (msg := bytes(data).decode())]
    assert [next(when for when in ("in 2 days", "in 1 day", "today") if when in text) for text in words] == [
        "in 2 days",
        "in 1 day",
        "today",
    ]
    assert all("In the money it is exercised" in text for text in words)


def test_the_warning_names_when_the_rule_closes_it() -> None:
    rules = OptionRules(exit_before_expiry="1d")
    plans = {"breakout": ManagementPlan(options=rules)}
    rig = Rig(
        limits=auto(management=ManagementLimits(strategies=plans)),
        clock=FixedClock(ny("12-14 10:00")),
        cash=Usd(D(10_000)),
    )
    rig.price("200")
    rig.feed(make_signal(now=rig.clock.now(), entry="2.5", stop="2", targets=("9",), instrument=CALL))
    rig.cycle()
    assert "closed from 2026-12-17 09:30" in str([bytes(event.data) for event in rig.events("alarm")])


def test_positions_show_the_days_that_are_left() -> None:
    rig = holding(is_long=False)
    (view,) = position_views(rig.state, now=ny("12-15 12:00"))
    assert (view.days_left, view.expires_at) == (3, ny("12-18 16:00"))
    short = "It is short: its buyer may exercise it at any time."
    assert expiry_line(view).text == f"! {CALL.key} expires in 3 days. {short}"
    assert expiry_line(replace(view, days_left=30)).text == f"! {CALL.key} expires in 30 days. {short}"
    assert expiry_line(replace(view, days_left=30, is_short_option=False)).text == f"{CALL.key} expires in 30 days."
    assert "has expired: the next apex run" in expiry_line(replace(view, days_left=-2)).text
    assert any("expires in 3 days" in str(block) for block in positions_blocks((view,), rig_totals(rig)))


def rig_totals(rig: Rig) -> Any:
    from apex_cli.core.positions.position_views import totals_of

    return totals_of(position_views(rig.state))


class TestDecision:
    def warnings(self, option: Instrument, kind: SignalType = SignalType.LONG_CALL) -> dict[str, str]:
        rig = Rig(limits=auto(), clock=FixedClock(ny("11-30 10:00")), cash=Usd(D(10_000)))
        levels = ("3.5", "0.5") if kind in {SignalType.SHORT_CALL, SignalType.SHORT_PUT} else ("2", "9")
        stop, target = levels
        signal = make_signal(
            now=rig.clock.now(), entry="2.5", stop=stop, targets=(target,), side=kind, instrument=option
        )
        (report,) = rig.feed(signal)
        return {reason.code: reason.message for reason in (*report.warnings, *report.reasons)}

    def test_a_short_option_says_what_it_obliges_to(self) -> None:
        put = self.warnings(PUT, SignalType.SHORT_PUT)["assignment"]
        assert "obliges to buy 100 AAPL for 20000.00" in put
        call = self.warnings(CALL, SignalType.SHORT_CALL)["assignment"]
        assert "to sell 100 AAPL for 20000.00, and without the shares the loss has no bound" in call

    def test_a_long_one_has_no_duties(self) -> None:
        assert "assignment" not in self.warnings(CALL)

    def test_another_last_session_than_the_name_says_is_reported(self) -> None:
        assert (
            "last time on 2026-12-18: 2026-12-19" in self.warnings(canonical("AAPL 2026-12-19 200 C"))["last_session"]
        )
        index = self.warnings(canonical("SPX 2026-12-18 6000 C"))["last_session"]
        assert index.endswith("on 2026-12-17: it is settled at the opening of 2026-12-18.")
        assert "last_session" not in self.warnings(CALL)

    def test_an_adjusted_contract_is_refused(self) -> None:
        assert "adjusted contract" in self.warnings(replace(CALL, trading_class="AAPL1"))["contract"]
