from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.files.prices.bar_columns import array_of, columns_from
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow
from apex_cli.core.ports import SignalBatch
from apex_cli.core.signals.replay_sources import BreakoutRule, TimedSource, average_true_range
from kit import START
from kit.rig import make_signal

D = Decimal
DAY = timedelta(days=1)


def a_bar(number: int, close: str, high: str | None = None, low: str | None = None) -> Bar:
    end = START + DAY * number
    return Bar(
        symbol="AAPL",
        start=end - timedelta(hours=6),
        end=end,
        open=Price(D(close)),
        high=Price(D(high or close)),
        low=Price(D(low or close)),
        close=Price(D(close)),
        volume=D(1000),
    )


class Tape:
    def __init__(self, bars: Sequence[Bar]) -> None:
        self.all = bars

    def symbols(self) -> Sequence[str]:
        return ("AAPL",)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        assert symbol == "AAPL"
        ends = [bar.end for bar in self.all]
        first = bisect_right(ends, after) if after is not None else 0
        return self.all[first : bisect_right(ends, until) if until is not None else len(ends)]


QUIET = [a_bar(n, "50", "51", "49") for n in range(22)]


def heard(bars: Sequence[Bar], source: Sequence[Bar] = ()) -> list[SignalBatch]:
    rule = BreakoutRule(Tape(source or bars))
    return [batch for bar in bars for batch in rule.poll(bar.end - LAST_SECOND)]


class TestBreakout:
    def test_a_close_above_twenty_highs_is_a_signal_with_its_numbers(self) -> None:
        (batch,) = heard([*QUIET, a_bar(22, "52", "52.5", "50")])
        (signal,) = batch.signals
        # 13 quiet ranges of 2.00 and one of 52.50 - 50.00: mean 2.0357
        assert signal.metadata["atr"] == 2.0357
        assert (signal.entry_price, signal.stop_loss, signal.target_prices) == (52, D("47.93"), (D("62.18"),))
        assert signal.confidence == D("0.7728")  # 0.65 + 0.25 * 1.00 / 2.0357
        assert signal.metadata["volume_ratio"] == 1
        assert signal.signal_id == "breakout-AAPL-20260324T1500"

    def test_only_the_bar_that_breaks_out_counts(self) -> None:
        bars = [*QUIET, a_bar(22, "52", "52.5", "50"), a_bar(23, "53"), a_bar(24, "54")]
        assert len(heard(bars)) == 1

    def test_a_high_that_is_only_touched_is_none(self) -> None:
        assert heard([*QUIET, a_bar(22, "51")]) == []

    def test_it_needs_twenty_two_bars_and_the_newest_must_be_of_now(self) -> None:
        assert heard([*QUIET[2:], a_bar(22, "52")]) == []
        rule = BreakoutRule(Tape([*QUIET, a_bar(22, "52")]))
        assert list(rule.poll(START + DAY * 23)) == []

    def test_one_moment_is_looked_at_once(self) -> None:
        bars = [*QUIET, a_bar(22, "52")]
        rule = BreakoutRule(Tape(bars))
        assert [len(list(rule.poll(bars[-1].end - LAST_SECOND))) for _ in range(3)] == [1, 0, 0]

    def test_a_stop_below_nothing_is_no_signal(self) -> None:
        wild = [a_bar(n, "50", "51", "1") for n in range(22)]
        assert heard([*wild, a_bar(22, "52")]) == []

    @given(rows=st.lists(st.tuples(st.integers(4000, 6000), st.integers(0, 300), st.integers(0, 9)), min_size=30))
    def test_bars_that_are_arrays_give_the_same_signals(self, rows: list[tuple[int, int, int]]) -> None:
        bars = []
        for number, (cents, reach, places) in enumerate(rows):
            close, more = D(cents) / 100, D(reach) / 100
            bar = a_bar(number, f"{close + number:f}", f"{close + number + more:f}", f"{close + number - more:f}")
            bars.append(replace(bar, volume=D(10_000 + cents).scaleb(-places // 3)))
        array = array_of(bars)
        assert array is not None
        plain, columns = heard(bars), heard(bars, columns_from(array, "AAPL")[0])
        assert plain == columns
        assert repr(plain) == repr(columns)

    def test_a_true_range_spans_gaps(self) -> None:
        assert average_true_range([a_bar(0, "50"), a_bar(1, "55", "56", "54"), a_bar(2, "55", "57", "54")]) == D("4.5")


def test_signals_of_a_file_come_up_in_their_time_and_once() -> None:
    late = make_signal("MSFT", now=START + DAY)
    early = make_signal("AAPL", now=START)
    bad = RejectedRow(where="f:3", reason=Reason(code="signal_invalid", message="bad"))
    source = TimedSource([SignalBatch(name="f", signals=(late, early), where=("f:1", "f:2"), rejected=(bad,))])
    (first,) = source.poll(START - DAY)
    assert (first.signals, first.rejected) == ((), (bad,))
    (second,) = source.poll(START)
    assert (second.signals, second.where, second.rejected) == ((early,), ("f:2",), ())
    assert list(source.poll(START + DAY / 2)) == []
    (third,) = source.poll(START + DAY * 5)
    assert third.signals == (late,)
    assert list(source.poll(START + DAY * 9)) == []
