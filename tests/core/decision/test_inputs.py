from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.inputs import ExposureBook, blocked_instruments, exposures_of
from apex_cli.core.market.option_value import THEORETICAL
from apex_cli.core.model.decision import Snapshot
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.market import Quote
from apex_cli.core.model.order import EntryOrder, OrderRole, OrderStatus
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, Signal
from kit.faults import Fate, UnreliableBroker
from kit.rig import Prices, Rig, auto, make_signal

D = Decimal


def snapshot(rig: Rig, symbol: str = "AAPL") -> Snapshot:
    return snapshot_of(rig, make_signal(symbol, now=rig.clock.now()))


def snapshot_of(rig: Rig, signal: Signal) -> Snapshot:
    opportunity = Opportunity(signal=signal, opportunity_score=D(1))
    found: Snapshot = rig.run(rig.gatherer.snapshot(rig.state, opportunity))
    return found


def test_nothing_held_is_no_exposure() -> None:
    rig = Rig()
    assert exposures_of(rig.state) == ()
    assert snapshot(rig).exposures == ()


def test_a_held_position_risks_the_way_to_its_stop() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    (exposure,) = exposures_of(rig.state)
    assert (exposure.key, exposure.side, exposure.notional, exposure.risk) == ("AAPL", PositionSide.LONG, 750, 30)
    assert (exposure.is_working_entry, exposure.opened_on) == (False, "2026-03-02")


def test_what_no_stop_covers_risks_everything() -> None:
    rig = Rig()
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    broker.rejects = lambda order: order.role is OrderRole.STOP
    rig.feed(make_signal(now=rig.clock.now()))
    (exposure,) = exposures_of(rig.state)
    assert exposure.risk == 750


def test_a_stop_beyond_the_entry_risks_nothing() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    rig.price("53")
    stop = rig.order("-S1").order
    rig.run(rig.broker.modify(replace(stop, stop_price=D("51"))))
    rig.cycle()
    (exposure,) = exposures_of(rig.state)
    assert exposure.risk == 0
    assert rig.order("-S1").order.stop_price == 51


def test_a_short_risks_the_way_up() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now(), side="SHORT", stop="52", targets=("46",)))
    (exposure,) = exposures_of(rig.state)
    assert (exposure.side, exposure.risk) == (PositionSide.SHORT, 30)


def test_an_entry_that_works_counts_with_what_may_still_fill() -> None:
    rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT))
    rig.price("51")
    rig.feed(make_signal(now=rig.clock.now()))
    (working,) = exposures_of(rig.state)
    assert (working.is_working_entry, working.notional, working.risk) == (True, 750, 30)
    rig.price("50", size="5")
    rig.cycle()
    held, rest = exposures_of(rig.state)
    assert (held.notional, held.risk, rest.notional, rest.risk) == (250, 10, 500, 20)


def test_an_unknown_outcome_blocks_its_security_only() -> None:
    rig = Rig()
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    broker.fates.append(Fate.LOST_BEFORE)
    rig.feed(make_signal(now=rig.clock.now()))
    assert blocked_instruments(rig.state) == ("AAPL",)


def test_an_old_session_leaves_nothing_but_the_peak() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    rig.price("54")
    rig.cycle()
    rig.cycle()
    assert snapshot(rig).entries_today == 1
    rig.clock.advance(minutes=24 * 60)
    found = snapshot(rig)
    assert (found.entries_today, found.session_start_equity, found.peak_equity) == (0, 3060, 3060)


def test_without_prices_a_simulated_account_trades_at_the_signals_price() -> None:
    rig = Rig()
    quote = snapshot(rig).quote
    assert quote is not None
    assert (quote.price, quote.source) == (50, "signal")
    known = Prices()
    known.set("AAPL", "51", rig.clock.now())
    quote = snapshot(Rig(prices=known)).quote
    assert quote is not None
    assert (quote.price, quote.source) == (51, "last")


def test_with_a_price_source_a_security_without_prices_is_not_traded_on_its_own_word() -> None:
    assert snapshot(Rig(prices=Prices())).quote is None


def test_a_fill_at_the_signals_own_price_says_so() -> None:
    rig = Rig()
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    assert [(warning.code, warning.value) for warning in report.warnings] == [("price_from_signal", "50")]


def test_a_fill_at_a_price_by_a_model_says_so() -> None:
    class Modelled(Prices):
        def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
            quote = super().latest(instrument, at)
            return quote and replace(quote, source=THEORETICAL)

    prices = Modelled()
    rig = Rig(prices=prices)
    prices.set("AAPL", "50", rig.clock.now())
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    assert [(warning.code, warning.value) for warning in report.warnings] == [("theoretical_price", "50")]


def test_a_book_of_exposures_tells_what_a_fresh_look_tells() -> None:
    rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT))
    book = ExposureBook()

    def agrees() -> bool:
        return book(rig.state) == exposures_of(rig.state)

    assert agrees()
    rig.feed(make_signal(now=rig.clock.now()))
    assert agrees()
    rig.price("49.5")
    rig.cycle()
    assert agrees()
    assert agrees()
    rig.feed(make_signal("MSFT", now=rig.clock.now()))
    assert agrees()
    with rig.store.transaction() as tx:
        name, record = next(iter(tx.orders.items()))
        tx.orders[name] = record
    assert agrees()
    rig.close()
    assert agrees()
    rig.restart()
    assert agrees()


def test_a_book_of_exposures_takes_in_orders_that_came_since() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    book = ExposureBook()
    book(rig.state)
    entry, stop = rig.order("-E"), rig.order("-S1")
    with rig.store.transaction() as tx:
        for place, record in enumerate((entry, stop)):
            fresh = replace(record.order, client_order_id=f"fresh-{place}")
            tx.orders[fresh.client_order_id] = replace(record, order=fresh, status=OrderStatus.INTENT)
    assert book(rig.state) == exposures_of(rig.state)
    assert [each.is_working_entry for each in book(rig.state)] == [False, True]


def test_a_price_and_an_order_that_change_at_once_both_count() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()), make_signal("MSFT", now=rig.clock.now()))
    book = ExposureBook()
    before = book(rig.state)
    key, row = next(iter(rig.state.positions.items()))
    with rig.store.transaction() as tx:
        tx.positions[key] = replace(row, current_price=D("55"))
    dearer = book(rig.state)
    assert dearer == exposures_of(rig.state)
    assert [each.risk for each in dearer] == [each.risk for each in before]
    assert dearer[0].notional > before[0].notional
    stop = next(record for record in rig.state.orders.of(key) if record.order.role is OrderRole.STOP)
    with rig.store.transaction() as tx:
        tx.positions[key] = replace(row, current_price=D("56"))
        fresh = replace(stop.order, client_order_id="fresh", stop_price=D("49"))
        tx.orders["fresh"] = replace(stop, order=fresh)
        tx.orders[stop.order.client_order_id] = replace(stop, status=OrderStatus.CANCELLED)
    assert book(rig.state) == exposures_of(rig.state)
    assert book(rig.state)[0].risk < before[0].risk


def test_each_market_has_its_own_status_at_one_moment() -> None:
    rig = Rig()
    rig.clock.set(datetime(2026, 3, 7, 15, tzinfo=UTC))
    coin = make_signal("BTC-USD", market=MarketType.CRYPTO, now=rig.clock.now())
    seen = [snapshot(rig).market, snapshot_of(rig, coin).market, snapshot(rig).market]
    assert [market.is_open for market in seen] == [False, True, False]
    rig.clock.set(datetime(2026, 3, 9, 15, tzinfo=UTC))
    assert snapshot(rig).market.is_open
