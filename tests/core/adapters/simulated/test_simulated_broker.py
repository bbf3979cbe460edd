from __future__ import annotations

import asyncio
import errno
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.simulated.bar_clock import BarClock
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.errors import InputError, OutcomeUnknownError, StateError
from apex_cli.core.market.calendar import next_auction, session_bounds
from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.spelling import canonical
from apex_cli.core.venue.costs import CostModel

D = Decimal
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Bars:
    """A market of given bars."""

    def __init__(self, *bars: Any) -> None:
        self._bars = sorted(bars, key=lambda bar: bar.end)

    def symbols(self) -> Any:
        return sorted({bar.symbol for bar in self._bars})

    def bars(self, symbol: str, *, after: Any = None, until: Any = None) -> Any:
        return [
            bar
            for bar in self._bars
            if bar.symbol == symbol and (after is None or bar.end > after) and (until is None or bar.end <= until)
        ]


class Quotes:
    def __init__(self, **prices: Any) -> None:
        self.prices = prices

    def latest(self, instrument: Any, at: datetime) -> Any:
        quote = self.prices.get(instrument.symbol)
        return quote if quote is not None and quote.at <= at else None


def bar(prices: str, minute: int = 0, symbol: str = "AAPL", start: Any = OPEN) -> Any:
    open_, high, low, close = (Price(D(price)) for price in prices.split())
    begin = start + minute * MINUTE
    return Bar(symbol=symbol, start=begin, end=begin + MINUTE, open=open_, high=high, low=low, close=close)


def order(
    name: str, side: str = "BUY", kind: str = "MARKET", quantity: str = "10", symbol: str = "AAPL", **terms: Any
) -> Any:
    for price in ("limit_price", "stop_price"):
        if price in terms:
            terms[price] = Price(D(terms[price]))
    terms.setdefault("instrument", make_instrument(symbol))
    terms.setdefault("time_in_force", TimeInForce.GTC)
    return Order(
        client_order_id=name,
        bracket_id="b",
        role=OrderRole.ENTRY,
        side=OrderSide(side),
        order_type=OrderType[kind],
        quantity=Quantity(D(quantity)),
        **terms,
    )


def bracket() -> Any:
    exits = {"side": "SELL", "parent_id": "E", "oca_group": "g"}
    return [
        order("E", time_in_force=TimeInForce.DAY),
        order("S", kind="STOP", stop_price="98", **exits),
        order("T", kind="LIMIT", limit_price="104", **exits),
    ]


def submit(broker: Any, *orders: Any) -> None:
    asyncio.run(broker.submit(orders))


def reported(broker: Any) -> Any:
    return [
        f"{e.client_order_id} {e.quantity}@{e.price}" if isinstance(e, Fill) else f"{e.client_order_id} {e.status}"
        for e in broker.drain()
    ]


def simulated(*bars: Any, **settings: Any) -> Any:
    settings.setdefault("clock", BarClock(OPEN))
    return SimulatedBroker(bars=Bars(*bars), **settings)


def test_the_bar_clock_stands_one_second_before_the_end_of_the_last_bar() -> None:
    clock = BarClock(OPEN)
    clock.advance(OPEN + MINUTE)
    clock.advance(OPEN)
    assert clock.now() == OPEN + timedelta(seconds=59)


def test_the_bar_clock_refuses_a_naive_time() -> None:
    with pytest.raises(InputError, match="no time zone"):
        BarClock(OPEN.replace(tzinfo=None))


def test_a_submitted_entry_fills_at_the_next_open() -> None:
    broker = simulated(bar("100 101 99 100"), bar("100 105 99 104", 1))
    submit(broker, *bracket())
    assert reported(broker) == ["E WORKING", "S WORKING", "T WORKING"]
    steps = broker.steps(OPEN + DAY)
    assert next(steps) == OPEN + MINUTE
    assert reported(broker) == ["E 10@100", "E FILLED"]
    assert next(steps) == OPEN + 2 * MINUTE
    assert reported(broker) == ["T 10@104", "T FILLED", "S CANCELLED"]
    assert next(steps, None) is None


def test_the_caller_acts_between_two_bars() -> None:
    broker = simulated(bar("100 101 99 100"), bar("101 102 100 102", 1), bar("50 51 49 50", 1, "MSFT"))
    for end in broker.steps(OPEN + DAY):
        if end == OPEN + MINUTE:
            submit(broker, order("E1"), order("E2", symbol="MSFT"))
    assert reported(broker) == ["E1 WORKING", "E2 WORKING", "E1 10@100", "E1 FILLED", "E2 10@50", "E2 FILLED"]


def test_playing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    bars = [bar("100 101 99 100", minute) for minute in range(4)]
    path = tmp_path / "simulated_broker.json"
    assert simulated(*bars, path=path).play(OPEN + 2 * MINUTE) == 2
    clock = BarClock(OPEN)
    again = simulated(*bars, path=path, clock=clock)
    assert again.as_of == OPEN + 2 * MINUTE
    assert clock.now() == OPEN + 2 * MINUTE - timedelta(seconds=1)
    assert list(again.steps(OPEN + DAY)) == [OPEN + 3 * MINUTE, OPEN + 4 * MINUTE]
    assert again.play(OPEN + DAY) == 0


def test_a_step_with_events_is_kept_before_the_caller_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    bars = [bar("100 101 99 100"), bar("100 105 99 104", 1)]
    broker = simulated(*bars, path=path)
    submit(broker, *bracket())
    steps = broker.steps(OPEN + DAY)
    next(steps)
    killed = simulated(*bars, path=path)
    assert "E 10@100" in reported(killed)
    assert killed.as_of == OPEN + MINUTE


def test_a_restart_in_the_middle_has_the_same_future(tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    bars = [bar("100 101 99 100"), bar("100 103 99 103", 1), bar("103 104 97 98", 2)]
    plain = simulated(*bars)
    submit(plain, *bracket())
    plain.play(OPEN + DAY)
    for minute in range(4):
        broker = simulated(*bars, path=path)
        if minute == 0:
            submit(broker, *bracket())
        broker.play(OPEN + minute * MINUTE)
    first, second = (asyncio.run(one.snapshot()) for one in (plain, broker))
    assert first == second


def test_day_orders_end_between_two_sessions() -> None:
    broker = simulated(bar("100 101 99 100"), bar("100 101 99 100", start=OPEN + DAY))
    submit(broker, order("E", kind="LIMIT", limit_price="90", time_in_force=TimeInForce.DAY))
    broker.play(OPEN + 2 * DAY)
    (last,) = [e for e in broker.drain() if isinstance(e, OrderUpdate) and e.status is OrderStatus.EXPIRED]
    assert last.at == OPEN + MINUTE


def test_day_orders_end_overnight_without_bars(tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    clock = BarClock(OPEN)
    broker = SimulatedBroker(clock=clock, path=path)
    submit(broker, order("E", kind="LIMIT", limit_price="90", time_in_force=TimeInForce.DAY))
    later = SimulatedBroker(clock=BarClock(OPEN + DAY), path=path)
    asyncio.run(later.connect())
    assert reported(later)[-1] == "E EXPIRED"
    assert asyncio.run(later.account()).prior_close_equity == 3000


def test_a_time_that_ends_an_order_is_noticed_after_looks_that_found_nothing() -> None:
    clock = BarClock(OPEN)
    broker = SimulatedBroker(clock=clock)
    asyncio.run(broker.account())
    until = OPEN + 2 * MINUTE
    submit(broker, order("E", kind="LIMIT", limit_price="90", time_in_force=TimeInForce.GTD, good_till=until))
    for minute in (1, 3, 3):
        clock.advance(OPEN + minute * MINUTE)
        asyncio.run(broker.account())
        asyncio.run(broker.account())
    assert reported(broker) == ["E WORKING", "E EXPIRED"]


def test_the_bars_that_are_followed_change_with_orders_and_holdings() -> None:
    broker = simulated(bar("100 101 99 100"), bar("100 101 99 100", 1))
    assert broker.followed == frozenset()
    submit(broker, order("E"), order("X", symbol="MSFT"))
    assert broker.followed == {"AAPL", "MSFT"}
    broker.step(OPEN + MINUTE)
    asyncio.run(broker.cancel("X"))
    assert broker.followed == {"AAPL"}
    submit(broker, order("S", side="SELL"))
    assert broker.followed == frozenset()


def test_the_account_is_worth_what_the_newest_bar_says() -> None:
    broker = simulated(bar("100 101 99 100"), bar("100 105 99 104", 1))
    submit(broker, order("E"))
    values = []
    for end in (OPEN + MINUTE, OPEN + 2 * MINUTE):
        broker.step(end)
        values += [asyncio.run(broker.account()).equity for _ in range(2)]
    assert values == [3000, 3000, 3040, 3040]


def test_only_the_last_sessions_are_reported_again(tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    bars = [bar("100 101 99 100", start=OPEN + day * DAY) for day in range(8)]
    broker = simulated(*bars, path=path)
    for number, _ in enumerate(broker.steps(OPEN + 9 * DAY)):
        submit(broker, order(f"E{number}", quantity="1"))
    again = simulated(*bars, path=path)
    fills = [event.client_order_id for event in again.drain() if isinstance(event, Fill)]
    assert fills == ["E3", "E4", "E5", "E6", "E7"]
    assert asyncio.run(again.snapshot()).positions == {"AAPL": 8}


def test_an_entry_without_any_price_waits_for_the_one_it_is_reported() -> None:
    broker = SimulatedBroker(clock=BarClock(OPEN))
    aapl = make_instrument("AAPL")
    assert not broker.has_price(aapl)
    broker.set_price(aapl, Price(D(50)), OPEN)
    assert broker.has_price(aapl)
    submit(broker, order("E"))
    assert "E 10@50" in reported(broker)


def test_a_newer_quote_goes_before_the_last_bar() -> None:
    quote = Quote(price=Price(D(120)), at=OPEN + timedelta(seconds=90), source="last")
    broker = simulated(bar("100 101 99 100"), bar("100 101 99 100", 2), prices=Quotes(AAPL=quote))
    broker.play(OPEN + MINUTE)
    submit(broker, order("E1"))
    assert "E1 10@100" in reported(broker)
    broker.play(OPEN + 3 * MINUTE)
    submit(broker, order("E2"))
    assert "E2 10@100" in reported(broker)
    fresh = SimulatedBroker(clock=BarClock(OPEN + DAY), prices=Quotes(AAPL=quote))
    submit(fresh, order("E3"))
    assert "E3 10@120" in reported(fresh)


@pytest.mark.parametrize("market", [MarketType.CRYPTO, MarketType.FOREX])
def test_bars_of_a_symbol_price_its_coin_or_pair(market: Any, tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    symbol = "EUR.USD" if market is MarketType.FOREX else "BTC-USD"
    instrument = make_instrument(symbol, market)
    bars = [bar("100 101 99 100", minute, symbol) for minute in range(3)]
    broker = simulated(*bars, path=path)
    broker.play(OPEN + MINUTE)
    submit(broker, order("E1", instrument=instrument, quantity="1000"))
    assert "E1 1000@100" in reported(broker)
    submit(broker, order("E2", kind="LIMIT", limit_price="99", instrument=instrument, quantity="1000"))
    again = simulated(*bars, path=path)
    again.play(OPEN + DAY)
    assert "E2 1000@99" in reported(again)


def test_bars_of_the_underlying_do_not_price_an_option() -> None:
    option = make_instrument("AAPL", MarketType.OPTIONS)
    broker = simulated(bar("100 101 99 100"))
    submit(broker, order("E", instrument=option, quantity="1"))
    broker.play(OPEN + DAY)
    assert reported(broker) == ["E WORKING"]


def test_the_account_counts_positions_and_costs() -> None:
    costs = CostModel(plan=CommissionPlan.IB_FIXED)
    broker = simulated(bar("100 101 99 100"), bar("100 111 100 110", 1), costs=costs, cash=Usd(D(3000)))
    submit(broker, order("E"))
    broker.play(OPEN + DAY)
    account = asyncio.run(broker.account())
    assert (account.cash, account.equity, account.buying_power) == (1999, 3099, 1999)
    assert account.is_simulated
    assert account.taken_at == OPEN + 2 * MINUTE - timedelta(seconds=1)


def test_a_short_lowers_equity_when_the_price_rises_and_its_proceeds_buy_nothing() -> None:
    broker = simulated(bar("100 101 99 100"), bar("100 111 100 110", 1), buying_power_multiple=D(2))
    submit(broker, order("E", "SELL"))
    broker.play(OPEN + DAY)
    account = asyncio.run(broker.account())
    assert (account.cash, account.equity, account.buying_power) == (4000, 2900, 4700)


def test_a_reader_never_writes_the_books(tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    submit(SimulatedBroker(clock=BarClock(OPEN), path=path), order("E", time_in_force=TimeInForce.DAY))
    before = path.read_bytes()
    reader = SimulatedBroker(clock=BarClock(OPEN + DAY), path=path)
    for call in (reader.connect, reader.account, reader.snapshot, reader.close):
        asyncio.run(call())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"version": 1, "venue', "simulated_broker_damaged"),
        (b"", "simulated_broker_damaged"),
        (b'{"version": 1}', "simulated_broker_damaged"),
        (b'{"version": 99}', "simulated_broker_version"),
    ],
)
def test_damaged_books_are_refused(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "simulated_broker.json"
    path.write_bytes(content)
    with pytest.raises(StateError) as caught:
        SimulatedBroker(clock=BarClock(OPEN), path=path)
    assert caught.value.code == code
    assert str(path) in caught.value.message


def test_a_full_disk_leaves_the_outcome_unknown_and_reports_nothing_until_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_point: Any, _path: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "simulated_broker.json"
    broker = SimulatedBroker(clock=BarClock(OPEN), path=path)
    with monkeypatch.context() as disk:
        disk.setattr(atomic_file, "_fault", full)
        with pytest.raises(OutcomeUnknownError, match="could not write its books"):
            submit(broker, order("E"))
    assert reported(broker) == []
    broker.set_price(make_instrument("AAPL"), Price(D(50)), OPEN)
    assert reported(broker) == ["E WORKING", "E 10@50", "E FILLED"]


def test_the_books_are_readable_json(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "simulated_broker.json"
    submit(SimulatedBroker(clock=BarClock(OPEN), path=path), *bracket())
    book = msgspec.json.decode(path.read_bytes())
    assert [row["order"]["client_order_id"] for row in book["venue"]["orders"]] == ["E", "S", "T"]
    assert path.stat().st_mode & 0o777 == 0o600


def closing_order(**terms: Any) -> Any:
    return order("E", kind="MARKET_ON_CLOSE", time_in_force=TimeInForce.DAY, **terms)


def session_bar(prices: str, day: int) -> Bar:
    """Return a bar of a whole session: 2 to 6 March 2026 for 0 to 4."""
    opens, closes = session_bounds(date(2026, 3, 2 + day)) or (OPEN, OPEN)
    made = bar(prices)
    return msgspec.structs.replace(made, start=opens, end=closes)


def test_an_order_on_the_close_fills_at_the_close_of_its_own_session() -> None:
    days = [session_bar("100 105 95 101", 0), session_bar("102 106 99 103", 1)]
    broker = simulated(*days, clock=BarClock(days[0].start), next_auction=next_auction)
    submit(broker, closing_order())
    broker.play(days[0].end)
    assert reported(broker) == ["E WORKING", "E 10@101", "E FILLED"]


def test_an_order_on_the_close_that_is_sent_in_the_last_second_still_fills_there() -> None:
    days = [session_bar("100 105 95 101", 0), session_bar("102 106 99 103", 1)]
    broker = simulated(*days, clock=BarClock(days[0].start), next_auction=next_auction)
    broker.play(days[0].end)
    submit(broker, closing_order())
    assert reported(broker) == ["E WORKING", "E 10@101", "E FILLED"]


def test_an_order_on_the_open_fills_at_the_next_open() -> None:
    days = [session_bar("100 105 95 101", 0), session_bar("102 106 99 103", 1)]
    broker = simulated(*days, clock=BarClock(days[0].start), next_auction=next_auction)
    broker.play(days[0].end)
    submit(broker, order("E", kind="MARKET_ON_OPEN", time_in_force=TimeInForce.DAY))
    broker.play(days[1].end)
    assert reported(broker) == ["E WORKING", "E 10@102", "E FILLED"]


def test_without_bars_the_closing_is_held_once_it_is_over_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "simulated_broker.json"
    opens, closes = session_bounds(date(2026, 3, 2)) or (OPEN, OPEN)
    quote = Quote(price=Price(D("101.50")), at=closes, source="last")
    broker = SimulatedBroker(clock=BarClock(opens), path=path, next_auction=next_auction)
    submit(broker, closing_order(reference_price=Price(D(100))))
    assert reported(broker) == ["E WORKING"]
    for clock in (BarClock(closes - MINUTE), BarClock(closes + DAY)):
        later = SimulatedBroker(clock=clock, path=path, prices=Quotes(AAPL=quote), next_auction=next_auction)
        asyncio.run(later.connect())
        words = reported(later)
    assert words[-2:] == ["E 10@101.50", "E FILLED"]
    (fill,) = SimulatedBroker(clock=clock, path=path).drain()[:1]
    assert fill.filled_at == closes - timedelta(seconds=1)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "value"), [("SPX 2026-03-20 100 C", "7"), ("SPX 2026-03-20 100 P", "0"), ("XX 2026-03-20 100 C", "9")]
)
def test_a_monthly_option_on_an_index_is_settled_at_the_opening(name: str, value: str) -> None:
    option = canonical(name)
    days = [session_bounds(date(2026, 3, day)) for day in (19, 20, 23)]
    prices = ("101 102 99 100", "107 110 103 109", "90 90 90 90")
    bars = [
        replace(bar(price, symbol=option.symbol), start=start, end=end)
        for price, (start, end) in zip(prices, days, strict=True)
    ]
    prices_of = {"SPX": None, "XX": Quote(price=Price(D(109)), at=days[1][1], source="bars")}
    broker = simulated(*bars, clock=BarClock(days[0][0]), prices=Quotes(**{option.symbol: prices_of[option.symbol]}))
    submit(broker, order("E", instrument=option, quantity="1", reference_price=Price(D(5))))
    broker.drain()
    broker.play(days[2][1])
    (fill,) = [each for each in broker.drain() if isinstance(each, Fill)]
    assert (fill.price, fill.side, fill.client_order_id) == (D(value), "SELL", "")
