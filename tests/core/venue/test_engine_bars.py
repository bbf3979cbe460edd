from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine

D = Decimal
T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@pytest.fixture
def engine() -> MatchingEngine:
    return MatchingEngine(cash=Usd(D(3000)))


@pytest.fixture
def holding(engine: MatchingEngine, bracket: Any, bar: Any) -> MatchingEngine:
    """A bracket of 10 bought at 100, stop 98, target 104."""
    engine.submit(bracket(), T0)
    engine.on_bar("AAPL", bar("100 101 99 100"))
    return engine


def test_a_market_entry_fills_at_the_open(engine: MatchingEngine, bracket: Any, bar: Any, reported: Any) -> None:
    engine.submit(bracket(), T0)
    assert reported(engine.on_bar("AAPL", bar("100 101 99 100.5"))) == ["E 10@100", "E FILLED"]
    assert engine.ledger.last_price("AAPL") == (D("100.5"), T0 + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ("100 101 98 99", ["S 10@98", "S FILLED", "T CANCELLED"]),
        ("97 99 96 98", ["S 10@97", "S FILLED", "T CANCELLED"]),
        ("100 104 99 103", ["T 10@104", "T FILLED", "S CANCELLED"]),
        ("106 107 105 106", ["T 10@106", "T FILLED", "S CANCELLED"]),
        ("100 105 97 104", ["S 10@98", "S FILLED", "T CANCELLED"]),
        ("105 105 97 98", ["T 10@105", "T FILLED", "S CANCELLED"]),
        ("100 103.99 98.01 100", []),
    ],
)
def test_exits_meet_the_bar(holding: MatchingEngine, bar: Any, reported: Any, prices: str, words: list[str]) -> None:
    assert reported(holding.on_bar("AAPL", bar(prices, 1))) == words


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ("100 101 97 100", ["S 10@98", "S FILLED", "T CANCELLED"]),
        ("100 105 99 104", ["T 10@104", "T FILLED", "S CANCELLED"]),
        ("100 105 97 104", ["S 10@98", "S FILLED", "T CANCELLED"]),
    ],
)
def test_an_entry_at_the_open_has_its_exits_for_the_whole_bar(  # noqa: PLR0917 - pytest gives fixtures by name
    engine: MatchingEngine, bracket: Any, bar: Any, reported: Any, prices: str, words: list[str]
) -> None:
    engine.submit(bracket(), T0)
    assert reported(engine.on_bar("AAPL", bar(prices))) == ["E 10@100", "E FILLED", *words]


@pytest.mark.parametrize(
    ("entry", "prices", "fill", "words"),
    [
        ({"kind": "LIMIT", "limit_price": "100"}, "102 105 97 104", "E 10@100", ["S 10@98", "S FILLED", "T CANCELLED"]),
        ({"kind": "LIMIT", "limit_price": "100"}, "102 105 99 104", "E 10@100", []),
        ({"kind": "STOP", "stop_price": "102"}, "101 105 97.5 104", "E 10@102", ["S 10@98", "S FILLED", "T CANCELLED"]),
        ({"kind": "STOP", "stop_price": "102"}, "101 105 99 104", "E 10@102", []),
        ({"kind": "LIMIT", "limit_price": "100"}, "99 105 99 104", "E 10@99", ["T 10@104", "T FILLED", "S CANCELLED"]),
    ],
)
def test_an_entry_inside_the_bar_may_be_stopped_but_not_taken_to_its_target(  # noqa: PLR0917 - pytest gives fixtures by name
    engine: MatchingEngine, bracket: Any, bar: Any, reported: Any, entry: Any, prices: str, fill: Any, words: list[str]
) -> None:
    engine.submit(bracket(**entry), T0)
    assert reported(engine.on_bar("AAPL", bar(prices))) == [fill, "E FILLED", *words]


def test_the_target_of_an_entry_inside_the_bar_fills_in_the_next_one(
    engine: MatchingEngine, bracket: Any, bar: Any, reported: Any
) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="100"), T0)
    engine.on_bar("AAPL", bar("102 105 99 101"))
    assert reported(engine.on_bar("AAPL", bar("101 104 101 103", 1))) == ["T 10@104", "T FILLED", "S CANCELLED"]


def test_a_stop_above_the_fill_of_its_entry_sells_at_the_entry_price(
    engine: MatchingEngine, bracket: Any, bar: Any, reported: Any
) -> None:
    engine.submit(bracket(kind="LIMIT", limit_price="97"), T0)
    assert reported(engine.on_bar("AAPL", bar("102 102 96 101")))[:3] == ["E 10@97", "E FILLED", "S 10@97"]


def test_a_buy_stop_that_opens_beyond_its_trigger_pays_the_open(
    engine: MatchingEngine, order: Any, bar: Any, reported: Any
) -> None:
    engine.submit([order("E", "BUY", "STOP", stop_price="102")], T0)
    assert reported(engine.on_bar("AAPL", bar("104 105 103 104"))) == ["E 10@104", "E FILLED"]


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ("100 103 99 102", ["E 10@102", "E FILLED"]),
        ("104 105 101 104", ["E 10@103", "E FILLED"]),
        ("104 105 103.5 104", []),
    ],
)
def test_a_stop_limit_in_a_bar(  # noqa: PLR0917 - pytest gives fixtures by name
    engine: MatchingEngine, order: Any, bar: Any, reported: Any, prices: str, words: list[str]
) -> None:
    engine.submit([order("E", "BUY", "STOP_LIMIT", stop_price="102", limit_price="103")], T0)
    assert reported(engine.on_bar("AAPL", bar(prices))) == words


def test_a_stop_limit_with_a_better_limit_rests_from_the_next_bar_on(
    engine: MatchingEngine, order: Any, bar: Any, reported: Any
) -> None:
    engine.submit([order("E", "BUY", "STOP_LIMIT", stop_price="102", limit_price="101")], T0)
    assert reported(engine.on_bar("AAPL", bar("100 103 99 102"))) == []
    assert reported(engine.on_bar("AAPL", bar("102 103 101 102", 1))) == ["E 10@101", "E FILLED"]


@pytest.fixture
def trailing(engine: MatchingEngine, bracket: Any, order: Any, bar: Any) -> MatchingEngine:
    """10 bought at 100 with a trailing stop 2 below the best price."""
    entry, _, _ = bracket()
    engine.submit([entry, order("S", "SELL", "TRAIL", trail_amount="2", parent_id="E")], T0)
    engine.on_bar("AAPL", bar("100 100 99 100"))
    return engine


def test_a_trailing_stop_is_checked_before_the_high_moves_it(trailing: MatchingEngine, bar: Any, reported: Any) -> None:
    assert reported(trailing.on_bar("AAPL", bar("100 103 97.5 102", 1))) == ["S 10@98", "S FILLED"]


def test_a_trailing_stop_moves_with_the_high(trailing: MatchingEngine, bar: Any, reported: Any) -> None:
    assert reported(trailing.on_bar("AAPL", bar("100 103 99 102", 1))) == ["S WORKING"]
    assert trailing.orders()[1].stop_price == 101
    assert reported(trailing.on_bar("AAPL", bar("102 102.5 101 102", 2))) == ["S 10@101", "S FILLED"]


def test_a_close_beyond_the_moved_trigger_was_passed_on_the_way(
    trailing: MatchingEngine, bar: Any, reported: Any
) -> None:
    words = reported(trailing.on_bar("AAPL", bar("100 106 99 100", 1)))
    assert words == ["S WORKING", "S 10@104", "S FILLED"]


def test_a_trailing_stop_of_an_entry_inside_the_bar_moves_by_the_close_only(
    engine: MatchingEngine, bracket: Any, order: Any, bar: Any
) -> None:
    entry, _, _ = bracket(kind="LIMIT", limit_price="100")
    engine.submit([entry, order("S", "SELL", "TRAIL", trail_amount="2", parent_id="E")], T0)
    engine.on_bar("AAPL", bar("105 107 99 101"))
    assert engine.orders()[1].stop_price == 99


def test_a_fill_at_the_open_happens_at_the_start_the_others_before_the_end(
    engine: MatchingEngine, bracket: Any, bar: Any
) -> None:
    engine.submit(bracket(), T0)
    fills = [event for event in engine.on_bar("AAPL", bar("100 101 97 100")) if isinstance(event, Fill)]
    assert [fill.filled_at - T0 for fill in fills] == [timedelta(0), timedelta(seconds=59)]


def test_everything_happens_at_the_given_time(engine: MatchingEngine, bracket: Any, bar: Any) -> None:
    engine.submit(bracket(), T0)
    now = T0 + timedelta(seconds=30)
    events = engine.on_bar("AAPL", bar("100 101 97 100"), now)
    assert {event.filled_at for event in events if isinstance(event, Fill)} == {now}


def test_slippage_goes_on_top_of_gaps_and_triggers(bracket: Any, bar: Any, reported: Any) -> None:
    engine = MatchingEngine(costs=CostModel(slippage_fraction=D("0.001")))
    engine.submit(bracket(), T0)
    assert "E 10@100.10" in reported(engine.on_bar("AAPL", bar("100 101 99 100")))
    assert "S 10@97.90" in reported(engine.on_bar("AAPL", bar("100 101 98 99", 1)))


class TestVolume:
    @pytest.fixture
    def engine(self) -> MatchingEngine:
        return MatchingEngine(cash=Usd(D(3000)), max_participation=D("0.1"))

    def test_an_order_fills_its_part_of_each_bar(
        self, engine: MatchingEngine, order: Any, bar: Any, reported: Any
    ) -> None:
        engine.submit([order("E", "BUY", "MARKET")], T0)
        assert reported(engine.on_bar("AAPL", bar("100 101 99 100", 0, "49"))) == ["E 4@100"]
        assert reported(engine.on_bar("AAPL", bar("101 101 99 100", 1, "0"))) == []
        assert reported(engine.on_bar("AAPL", bar("102 102 99 100", 2, "1000"))) == ["E 6@102", "E FILLED"]

    def test_an_order_at_the_close_fills_its_part_of_that_bar(
        self, engine: MatchingEngine, order: Any, bar: Any, reported: Any
    ) -> None:
        engine.on_bar("AAPL", bar("100 101 99 100", 0, "49"))
        first, second = order("E1", "BUY", "MARKET"), order("E2", "BUY", "LIMIT", limit_price="100")
        assert reported(engine.submit([first], T0)) == ["E1 WORKING", "E1 4@100"]
        assert reported(engine.submit([second], T0)) == ["E2 WORKING", "E2 4@100"]
        restored = MatchingEngine.restored(engine.dump(), max_participation=D("0.1"))
        third = order("E3", "BUY", "MARKET")
        assert reported(restored.submit([third], T0)) == ["E3 WORKING", "E3 4@100"]
        assert reported(engine.on_bar("AAPL", bar("101 101 99 100", 1, "1000"))) == [
            "E1 6@101", "E1 FILLED", "E2 6@100", "E2 FILLED",
        ]  # fmt: skip

    def test_an_order_that_closes_a_position_fills_at_the_close_as_a_whole(
        self, engine: MatchingEngine, order: Any, bar: Any, reported: Any
    ) -> None:
        engine.on_price("AAPL", Price(D(100)), T0)
        engine.submit([order("E", "BUY", "MARKET")], T0)
        engine.on_bar("AAPL", bar("100 101 99 100", 0, "49"))
        assert reported(engine.submit([order("C", "SELL", "MARKET")], T0)) == ["C WORKING", "C 10@100", "C FILLED"]

    def test_a_price_without_a_bar_bounds_nothing(self, engine: MatchingEngine, order: Any, reported: Any) -> None:
        engine.on_price("AAPL", Price(D(100)), T0)
        assert "E 10@100" in reported(engine.submit([order("E", "BUY", "MARKET")], T0))

    def test_a_triggered_stop_goes_on_at_the_next_open(
        self, engine: MatchingEngine, bracket: Any, bar: Any, reported: Any
    ) -> None:
        engine.submit(bracket(), T0)
        engine.on_bar("AAPL", bar("100 101 99 100", 0, "1000"))
        assert reported(engine.on_bar("AAPL", bar("100 104 98 99", 1, "40"))) == ["S 4@98", "T WORKING"]
        words = reported(engine.on_bar("AAPL", bar("99 105 99 104", 2, "1000")))
        assert words == ["S 6@99", "S FILLED", "T CANCELLED"]

    def test_a_partial_target_blocks_the_stop_for_the_bar_only(
        self, engine: MatchingEngine, bracket: Any, bar: Any, reported: Any
    ) -> None:
        engine.submit(bracket(), T0)
        engine.on_bar("AAPL", bar("100 101 99 100", 0, "1000"))
        assert reported(engine.on_bar("AAPL", bar("104 105 97 97.5", 1, "30"))) == ["T 3@104", "S WORKING"]
        words = reported(engine.on_bar("AAPL", bar("97.5 98 97 97", 2, "1000")))
        assert words == ["S 7@97.5", "S FILLED", "T CANCELLED"]

    def test_children_protect_what_a_partly_filled_entry_holds(
        self, engine: MatchingEngine, bracket: Any, bar: Any, reported: Any
    ) -> None:
        engine.submit(bracket(kind="LIMIT", limit_price="100"), T0)
        assert reported(engine.on_bar("AAPL", bar("101 102 100 101", 0, "30"))) == ["E 3@100"]
        words = reported(engine.on_bar("AAPL", bar("101 102 97 98", 1, "30")))
        assert words == ["S 3@98", "T WORKING", "E 3@100"]
        assert engine.ledger.positions == {"AAPL": D(3)}


def test_instruments_do_not_meet_each_others_bars(holding: MatchingEngine, bar: Any, reported: Any) -> None:
    assert reported(holding.on_bar("MSFT", bar("50 60 40 50", 1, symbol="MSFT"))) == []
    assert holding.ledger.positions == {"AAPL": D(10)}


def test_a_restored_book_knows_a_triggered_stop(bracket: Any, bar: Any) -> None:
    engine = MatchingEngine(max_participation=D("0.1"))
    engine.submit(bracket(), T0)
    engine.on_bar("AAPL", bar("100 101 99 100", 0, "1000"))
    engine.on_bar("AAPL", bar("100 101 98 99", 1, "40"))
    book = msgspec.json.decode(msgspec.json.encode(engine.dump()), type=type(engine.dump()))
    again = MatchingEngine.restored(book, max_participation=D("0.1"))
    later = bar("103 103 102 102", 2, "1000")
    assert again.on_bar("AAPL", later) == engine.on_bar("AAPL", later)
    assert again.on_price("AAPL", Price(D(1)), T0) == ()
