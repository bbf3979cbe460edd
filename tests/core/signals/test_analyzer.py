"""The technical step: what passes, what is refused, and what is only reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal, SignalType, market_view
from apex_cli.core.signals.analyzer import TechnicalAnalyzer
from apex_cli.core.signals.bar_history import History
from apex_cli.core.signals.context import Once, PipelineContext
from apex_cli.core.signals.guarded import GuardedStage
from kit import FixedClock
from kit.bars import ListBars, bars_of, wander
from kit.rig import make_signal

UP = bars_of(wander(3, 260, step=0.003, drift=0.004), "AAPL")
END = UP[-1].end
OPEN = {"min_composite": Decimal(0), "min_trend": Decimal(0)}

KEYS = {
    "technical_composite",
    "technical_trend",
    "technical_momentum",
    "technical_volume",
    "technical_volatility",
    "adjusted_confidence",
    "atr",
    "volume_ratio",
    "avg_dollar_volume",
    "market_regime",
}


class Bench:
    """A stage over bars, what it said, and what came of a signal."""

    def __init__(self, bars: Any, *, required: bool = False, now: datetime = END, **bounds: Any) -> None:
        self.said: list[Reason] = []
        self.context = PipelineContext(
            clock=FixedClock(now),
            bars=bars,
            state_dir=Path("unused"),
            notice=Once(self.said.append),
            is_required=required,
        )
        self.stage = TechnicalAnalyzer(self.context, History(bars, max_age=timedelta(days=7)), **bounds)

    def judge(self, symbol: str = "AAPL", **signal: Any) -> Signal | Reason:
        return asyncio.run(self.stage.process(make_signal(symbol, now=END, **signal)))


def changed(bars: list[Bar], number: int, **values: Any) -> list[Bar]:
    return [replace(bar, **values) if index == number else bar for index, bar in enumerate(bars)]


def test_a_good_signal_passes_with_every_number() -> None:
    answer = Bench(ListBars({"AAPL": UP})).judge(confidence="0.8")
    assert isinstance(answer, Signal)
    assert set(answer.metadata) >= KEYS
    composite = answer.metadata["technical_composite"]
    assert isinstance(composite, float)
    assert answer.metadata["adjusted_confidence"] == pytest.approx((0.8 + composite) / 2, abs=1e-6)
    assert answer.metadata["market_regime"] == "bull"
    assert answer.confidence == Decimal("0.8")


def test_the_same_bars_give_the_same_text_and_metadata_of_the_source_stays() -> None:
    first, second = (Bench(ListBars({"AAPL": UP})).judge(metadata={"mine": 1}) for _ in range(2))
    assert first == second
    assert isinstance(first, Signal)
    assert first.metadata["mine"] == 1
    numbers = [value for value in first.metadata.values() if isinstance(value, float)]
    assert all(round(value, 6) == value for value in numbers)


def test_without_a_confidence_the_composite_stands_alone() -> None:
    answer = Bench(ListBars({"AAPL": UP})).judge()
    unsure = Bench(ListBars({"AAPL": UP}))
    answer = asyncio.run(unsure.stage.process(replace(make_signal(now=END), confidence=None)))
    assert isinstance(answer, Signal)
    assert answer.metadata["adjusted_confidence"] == answer.metadata["technical_composite"]


def test_a_short_against_the_trend_is_refused_with_its_numbers() -> None:
    answer = Bench(ListBars({"AAPL": UP})).judge(side=SignalType.SHORT, stop="52", targets=("46",))
    assert isinstance(answer, Reason)
    assert answer.code == "technical_weak"
    assert "momentum" in answer.message
    assert answer.limit == "0.5"


def test_the_trend_has_a_bound_of_its_own() -> None:
    answer = Bench(ListBars({"AAPL": UP}), min_trend=Decimal(1)).judge()
    assert isinstance(answer, Reason)
    assert answer.code == "technical_trend"


def test_a_put_is_judged_by_the_fall_it_wants() -> None:
    signal = make_signal(now=END)
    views = {kind: market_view(replace(signal, signal_type=kind)) for kind in SignalType}
    assert {kind for kind, view in views.items() if view < 0} == {
        SignalType.SELL,
        SignalType.SHORT,
        SignalType.SHORT_CALL,
        SignalType.LONG_PUT,
    }


def test_a_bar_that_has_not_ended_is_not_known() -> None:
    crash = [*UP[:-1], replace(UP[-1], close=Price(Decimal(1)), low=Price(Decimal(1)))]
    before = UP[-1].end - timedelta(hours=2)
    assert Bench(ListBars({"AAPL": crash}), now=before).judge() == Bench(ListBars({"AAPL": UP}), now=before).judge()
    assert Bench(ListBars({"AAPL": crash})).judge() != Bench(ListBars({"AAPL": UP})).judge()


class Broken(ListBars):
    def bars(self, symbol: str, **_: Any) -> Any:
        raise InputError("bars_invalid", f"{symbol}.csv:3: column close holds 'x'.")


NAN = [replace(bar, close=Price(Decimal("NaN"))) if n == 250 else bar for n, bar in enumerate(UP)]
FLAT = [replace(bar, **dict.fromkeys(("open", "high", "low", "close"), Price(Decimal(50)))) for bar in UP]

TROUBLES: list[tuple[Callable[[], Any], str]] = [
    (lambda: None, "bars_missing"),
    (lambda: ListBars({}), "bars_missing"),
    (lambda: Broken({}), "bars_invalid"),
    (lambda: ListBars({"AAPL": UP[:50]}), "bars_stale"),
    (lambda: ListBars({"AAPL": UP[-99:]}), "bars_too_short"),
    (lambda: ListBars({"AAPL": NAN}), "bars_not_finite"),
    (lambda: ListBars({"AAPL": FLAT}), "bars_flat"),
]


@pytest.mark.parametrize(("make", "code"), TROUBLES, ids=[code for _, code in TROUBLES])
def test_what_cannot_be_judged_is_passed_on_unchanged_and_reported_once(make: Callable[[], Any], code: str) -> None:
    bench = Bench(make())
    for number in range(3):
        assert bench.judge(signal_id=str(number)) == make_signal(now=END, signal_id=str(number))
    assert [reason.code for reason in bench.said] == [code]
    assert "AAPL are passed on without technical analysis" in bench.said[0].message


@pytest.mark.parametrize(("make", "code"), TROUBLES, ids=[code for _, code in TROUBLES])
def test_or_refused_where_analysis_is_required(make: Callable[[], Any], code: str) -> None:
    bench = Bench(make(), required=True)
    answer = bench.judge()
    assert isinstance(answer, Reason)
    assert answer.code == code
    assert "refused" in bench.said[0].message


def test_one_symbol_without_bars_does_not_hinder_the_others() -> None:
    bench = Bench(ListBars({"AAPL": UP}))
    assert bench.judge("MSFT") == make_signal("MSFT", now=END)
    passed = bench.judge("AAPL")
    assert isinstance(passed, Signal)
    assert "technical_composite" in passed.metadata


@pytest.mark.parametrize("view", [SignalType.BUY, SignalType.SHORT])
def test_told_what_is_due_it_says_the_same_of_each_bar_as_without(view: SignalType) -> None:
    bars = bars_of(wander(5, 300), "AAPL")
    clock, source = FixedClock(bars[90].end - LAST_SECOND), ListBars({"AAPL": bars})
    context = Bench(source).context._replace(clock=clock)
    told = TechnicalAnalyzer(context, History(source, are_fixed=True), **OPEN)
    told.foresee({"AAPL": [bar.end for bar in bars[90::7]], "NONE": [bars[0].end]})
    for at in range(90, 300):  # every seventh was told
        clock.advance(bars[at].end - LAST_SECOND - clock.now())
        alone = Bench(ListBars({"AAPL": bars[: at + 1]}), now=clock.now(), **OPEN)
        signal = make_signal("AAPL", now=clock.now(), side=view)
        assert asyncio.run(told.process(signal)) == asyncio.run(alone.stage.process(signal))


class Listening:
    """A step that computes for all bars beforehand."""

    name = "mine"

    def __init__(self) -> None:
        self.due: dict[str, Sequence[datetime]] = {}

    def foresee(self, due: Mapping[str, Sequence[datetime]]) -> None:
        self.due.update(due)
        if "BAD" in due:
            raise ZeroDivisionError

    async def process(self, signal: Signal) -> Signal | Reason:
        return signal


def test_a_step_that_listens_is_told_what_is_due_and_one_that_does_not_is_left_alone() -> None:
    step = Listening()
    GuardedStage(step, Bench(None).context).foresee({"AAPL": [END]})
    assert step.due == {"AAPL": [END]}
    bench = Bench(None)
    GuardedStage(Lying(), bench.context).foresee({"AAPL": [END]})
    assert bench.said == []


def test_a_step_that_fails_on_what_is_due_is_reported_and_still_called() -> None:
    bench = Bench(None)
    guarded = GuardedStage(Listening(), bench.context)
    guarded.foresee({"BAD": [END]})
    assert [(said.code, "ZeroDivisionError" in said.message) for said in bench.said] == [("stage_failed", True)]
    signal = make_signal(now=END)
    assert asyncio.run(guarded.process(signal)) == signal


class Crashing:
    name = "mine"

    async def process(self, signal: Signal) -> Signal | Reason:
        raise ZeroDivisionError(signal.symbol)


class Lying:
    name = "mine"

    async def process(self, signal: Signal) -> Any:
        return replace(signal, signal_id="another")


@pytest.mark.parametrize("stage", [Crashing(), Lying()])
def test_a_step_that_fails_is_reported_once_and_the_signal_goes_on(stage: Any) -> None:
    bench = Bench(None)
    guarded = GuardedStage(stage, bench.context)
    signal = make_signal(now=END)
    assert [asyncio.run(guarded.process(signal)) for _ in range(3)] == [signal] * 3
    assert [reason.code for reason in bench.said] == ["stage_failed"]


def test_a_step_that_fails_refuses_where_analysis_is_required() -> None:
    guarded = GuardedStage(Crashing(), Bench(None, required=True).context)
    answer = asyncio.run(guarded.process(make_signal(now=END)))
    assert isinstance(answer, Reason)
    assert answer.code == "stage_failed"


class Repaired(ListBars):
    def repairs(self, symbol: str) -> list[str]:
        return [f"{symbol}.csv: rows were sorted"]


def test_odd_bars_are_reported_once_a_symbol_and_judged_all_the_same() -> None:
    said: list[Reason] = []
    gap = Repaired({"AAPL": [*UP[:200], *UP[203:]]})
    history = History(gap, notice=Once(said.append))
    for _ in range(2):
        assert not isinstance(history.frame("AAPL", END), Reason)
        assert isinstance(history.frame("MSFT", END), Reason)
    assert [reason.code for reason in said] == ["bars_suspect"]
    assert "sessions without a bar: 3" in said[0].message
    assert "+1 more: apex doctor" in said[0].message
