"""Scanners as sources: their intervals, their ids, their levels, and one that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.analysis.frame import Floats, Frame
from apex_cli.core.analysis.indicators import Indicators
from apex_cli.core.analysis.scans import mean_reversion, momentum_breakout, trend_following, volume_reversal
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalOutcome
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.signals.bar_history import History
from apex_cli.core.signals.bar_validity import valid_until
from apex_cli.core.signals.context import Once, PipelineContext
from apex_cli.core.signals.guarded import GuardedSource
from apex_cli.core.signals.scanner import Levels, Scanner, bracket_levels
from kit import FixedClock
from kit.bars import ListBars, bars_of, wander
from kit.rig import Rig

D = Decimal
BARS = {name: bars_of(wander(seed), name) for seed, name in enumerate(("AAPL", "IBM", "MSFT"), 3)}
NOON = BARS["AAPL"][-1].end - timedelta(hours=4)
"""The last bar has not ended: the one before is what is known."""


def always(frame: Frame, known: Indicators, sign: int) -> Floats:
    assert len(known.rsi) == len(frame)
    return np.full(len(frame), 0.8 if sign > 0 else 0.7)


def spiky(seed: int, bars: int, **how: float) -> Frame:
    """A random walk with some sessions of four times the usual volume."""
    frame = wander(seed, bars, **how)
    volume = frame.volume.copy()
    volume[::7] *= 4
    return replace(frame, volume=volume)


class Watch:
    """A scanner over three symbols, and what it said."""

    def __init__(self, scan: Any = always, bars: dict[str, Sequence[Bar]] | None = None, **how: Any) -> None:
        self.said: list[Reason] = []
        self.source = ListBars(BARS if bars is None else bars)
        self.context = PipelineContext(
            clock=FixedClock(NOON),
            bars=self.source,
            state_dir=Path("unused"),
            notice=Once(self.said.append),
            watch_list=("AAPL", "IBM", "MSFT"),
        )
        self.scanner = Scanner("probe", scan, self.context, History(self.source), interval=timedelta(minutes=15), **how)

    def look(self, now: datetime = NOON) -> list[Signal]:
        return [signal for batch in self.scanner.poll(now) for signal in batch.signals]


def test_every_symbol_is_looked_at_and_each_signal_says_why() -> None:
    found = Watch().look()
    assert [signal.symbol for signal in found] == ["AAPL", "IBM", "MSFT"]
    first = found[0]
    assert first.strategy == "probe"
    assert first.metadata["scanner"] == "probe"
    assert {"rsi", "adx", "atr", "volume_ratio", "avg_dollar_volume", "bar_end"} <= set(first.metadata)
    assert first.created_at == BARS["AAPL"][-2].end
    assert first.expires_at == BARS["AAPL"][-1].end


def test_the_same_bar_gives_the_same_signal_again_in_another_process() -> None:
    assert Watch().look() == Watch().look(NOON + timedelta(minutes=20))


def test_a_bar_is_looked_at_once_and_no_sooner_than_the_interval() -> None:
    watch = Watch()
    assert len(watch.look()) == 3
    asked = len(watch.source.asked)
    assert watch.look(NOON + timedelta(minutes=14)) == []
    assert len(watch.source.asked) == asked
    assert watch.look(NOON + timedelta(minutes=15)) == []
    assert len(watch.source.asked) == 2 * asked


def test_at_night_nothing_is_looked_at_and_the_morning_finds_it() -> None:
    watch = Watch()
    night = NOON + timedelta(hours=9)
    assert watch.look(night) == []
    assert watch.source.asked == []
    assert Watch(needs_open_market=False).look(night) != []


def test_a_rerun_is_a_duplicate_in_the_state() -> None:
    rig = Rig(clock=FixedClock(NOON))
    first = rig.feed(*Watch().look())
    assert {report.outcome for report in first} <= {SignalOutcome.EXECUTED, SignalOutcome.REFUSED}
    assert {report.outcome for report in rig.feed(*Watch().look())} == {SignalOutcome.DUPLICATE}


def test_both_directions_are_two_signals() -> None:
    found = Watch(signs=(1, -1)).look()
    assert len({signal.signal_id for signal in found}) == 6
    short = found[1]
    assert short.signal_type is SignalType.SHORT
    assert short.stop_loss > short.entry_price > short.target_prices[0]


def test_a_symbol_without_bars_is_reported_once_and_the_others_go_on() -> None:
    nan = [*BARS["IBM"][:-1]]
    nan[100] = Bar(**{f: getattr(nan[100], f) for f in nan[100].__struct_fields__} | {"volume": D("NaN")})
    watch = Watch(bars={"AAPL": BARS["AAPL"], "IBM": nan})
    assert [signal.symbol for signal in watch.look()] == ["AAPL"]
    watch.look(NOON + timedelta(hours=1))
    assert sorted(reason.code for reason in watch.said) == ["bars_missing", "bars_unusable"]
    short = Watch(bars=dict.fromkeys(("AAPL", "IBM", "MSFT"), BARS["AAPL"][-50:]))
    assert short.look() == []
    assert len(short.said) == 3


def test_a_scanner_that_crashes_is_reported_once_and_its_neighbours_go_on() -> None:
    def crash(frame: Frame, known: Indicators, sign: int) -> Floats:
        if frame.symbol == "IBM":
            raise ZeroDivisionError
        return always(frame, known, sign)

    rig = Rig(clock=FixedClock(NOON))
    bad, good = Watch(crash), Watch(bars={"IBM": BARS["IBM"]})
    sources = [
        GuardedSource("bad", bad.scanner, bad.context.notice),
        GuardedSource("good", good.scanner, good.context.notice),
    ]
    coordinator = rig.make_coordinator(sources=sources)
    for _ in range(2):
        rig.run(coordinator.cycle())
        rig.clock.advance(minutes=16)
    assert [report.symbol for report in coordinator.reports] == ["AAPL", "MSFT", "IBM"]
    assert [reason.code for reason in bad.said] == ["scanner_failed"]
    assert "probe failed on IBM: ZeroDivisionError" in bad.said[0].message
    assert {reason.code for reason in good.said} == {"bars_missing"}


def test_a_real_scanner_finds_a_fall_and_never_flat_prices() -> None:
    falling = bars_of(wander(9, 260, step=0.004, drift=-0.01), "AAPL")
    flat = bars_of(wander(9, 260, step=0.0), "IBM")
    watch = Watch(mean_reversion, {"AAPL": falling, "IBM": flat})
    (found,) = watch.look()
    assert found.symbol == "AAPL"
    assert found.metadata["rsi"] < 30
    assert found.confidence is not None
    assert found.confidence >= D("0.65")


def test_a_source_that_crashes_outright_does_not_end_the_run() -> None:
    class Broken:
        def poll(self, now: datetime) -> Any:
            raise OSError(str(now.year))

        def settle(self, batch: Any, reports: Any) -> None:
            raise OSError("settle")

    watch = Watch()
    guarded = GuardedSource("broken", Broken(), watch.context.notice)
    for _ in range(2):
        assert list(guarded.poll(NOON)) == []
        guarded.settle(next(iter(watch.scanner.poll(NOON)), None), ())  # type: ignore[arg-type]
    assert len(watch.said) == 2


@given(
    entry=st.decimals("0.5", 5000, places=4),
    atr=st.decimals("0.0001", 300, places=6),
    sign=st.sampled_from([1, -1]),
    stop=st.integers(1, 5),
    times=st.integers(1, 5),
)
def test_levels_lie_on_the_grid_and_reward_is_never_less_than_promised(
    entry: Decimal, atr: Decimal, sign: int, stop: int, times: int
) -> None:
    found = bracket_levels(entry, atr, sign, Instrument(symbol="X"), Levels(D(stop), D(stop * times)))
    if found is None:
        tick = Instrument(symbol="X").tick_at(entry + atr * stop * times)
        assert atr * stop < tick or min(entry - atr * stop, entry - atr * stop * times) < 2 * tick
        return
    price, stop_loss, target = found
    assert all(level % Instrument(symbol="X").tick_at(level) == 0 for level in found)
    assert sign * (price - stop_loss) > 0
    assert abs(price - stop_loss) <= atr * stop
    ratio = reward_risk(price, stop_loss, (target,))
    assert ratio is not None
    assert ratio >= times


def test_a_stop_at_zero_or_an_atr_that_is_none_is_no_signal() -> None:
    assert bracket_levels(D(1), D(1), 1, Instrument(symbol="X"), Levels()) is None
    assert bracket_levels(D(1), D("NaN"), 1, Instrument(symbol="X"), Levels()) is None


def test_a_daily_signal_lives_to_the_next_close_and_a_quick_one_for_three_bars() -> None:
    friday = datetime.fromisoformat("2026-03-06T21:00:00+00:00")
    assert valid_until(friday, timedelta(days=1)) == datetime.fromisoformat("2026-03-09T20:00:00+00:00")
    assert valid_until(friday, timedelta(minutes=5)) == friday + timedelta(minutes=15)


def test_how_sure_a_custom_pattern_is_reaches_the_signal() -> None:
    assert {signal.confidence for signal in Watch().look()} == {D("0.8000")}


@pytest.mark.parametrize("confidence", [0.0, -1.0])
def test_no_confidence_is_no_signal(confidence: float) -> None:
    assert Watch(lambda frame, _, __: np.full(len(frame), confidence)).look() == []


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scan", [mean_reversion, momentum_breakout, trend_following, volume_reversal])
def test_a_replay_finds_bar_by_bar_what_each_beginning_of_the_history_gives(scan: Any, sign: int) -> None:
    drift = 0.002 * sign if scan is trend_following else 0.0
    seed = 13 if sign < 0 else 11
    bars = {"AAPL": bars_of(spiky(seed, 400, step=0.03, drift=drift), "AAPL")}
    watch = Watch(scan, bars)
    whole = Watch(scan, bars)
    whole.scanner = Scanner(
        "probe",
        scan,
        whole.context,
        History(whole.source, are_fixed=True),
        interval=timedelta(0),
        signs=(sign,),
        needs_open_market=False,
    )
    found = 0
    for count in range(201, 401):
        now = bars["AAPL"][count - 1].end
        watch.source.by_symbol = {"AAPL": bars["AAPL"][:count]}
        alone = Scanner(
            "probe",
            scan,
            watch.context,
            History(watch.source),
            interval=timedelta(0),
            signs=(sign,),
            needs_open_market=False,
        )
        by_itself = [signal for batch in alone.poll(now) for signal in batch.signals]
        assert whole.look(now) == by_itself
        found += len(by_itself)
    assert found


@pytest.mark.parametrize("scan", [mean_reversion, momentum_breakout])
def test_each_signal_of_a_replay_was_foreseen(scan: Any) -> None:
    names = ("AAPL", "IBM", "MSFT")
    watch = Watch(scan, {name: bars_of(spiky(seed, 300, step=0.03), name) for seed, name in enumerate(names, 11)})
    history, how = History(watch.source, are_fixed=True), {"interval": timedelta(0), "needs_open_market": False}
    told, asked = (
        GuardedSource("probe", Scanner("probe", scan, watch.context, history, **how), watch.context.notice)
        for _ in "12"
    )
    ends = [bar.end for bar in watch.source.by_symbol["AAPL"]]
    assert told.foresees() == {}
    assert set(told.wakes(ends) or ()) == set(told.foresees())
    found = {
        (end, signal.symbol) for end in ends for batch in asked.poll(end - LAST_SECOND) for signal in batch.signals
    }
    assert found
    assert found <= {(end, symbol) for end, symbols in told.foresees().items() for symbol in symbols}


def test_bars_that_never_change_still_grow_old() -> None:
    history = History(ListBars(BARS), max_age=timedelta(days=7), are_fixed=True)
    last = BARS["AAPL"][-1].end
    assert isinstance(history.frame("AAPL", last), Frame)
    stale = history.frame("AAPL", last + timedelta(days=8))
    assert isinstance(stale, Reason)
    assert stale.code == "bars_stale"
