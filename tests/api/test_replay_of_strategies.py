"""A strategy in a replay: what it is shown, what becomes of what it returns, and what its errors do."""

from __future__ import annotations

import asyncio
import gc
import types
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from msgspec.structs import replace

from apex_cli import api
from apex_cli.app.replayer import Replay, ReplayOptions
from apex_cli.core.adapters import event_loop
from apex_cli.core.model.market import Bar
from apex_cli.demo import PACKAGED
from apex_cli.settings.sections import Settings

D = Decimal
DEMO = PACKAGED
SYMBOLS = ("AAPL", "IBM", "MSFT")
FREE = {"simulation.commission": "none"}


def breakout(ctx: api.Context) -> api.Signal | None:
    """Buy a close above the highest close of the twenty bars before."""
    close = ctx.close
    if len(close) < 21 or ctx.position is not None or close[-1] <= close[-21:-1].max():
        return None
    risk = 2 * (ctx.high[-14:] - ctx.low[-14:]).mean()
    return api.Signal(
        symbol=ctx.symbol,
        entry_price=close[-1],
        stop_loss=close[-1] - risk,
        target_prices=(close[-1] + 3 * risk,),
        confidence=0.8,
    )


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the demo's bars alone."""
    folder = tmp_path_factory.mktemp("bars")
    for symbol in SYMBOLS:
        (folder / f"{symbol}.csv").write_text((DEMO / f"{symbol}.csv").read_text())
    return folder


@pytest.fixture(scope="module")
def report(bars: Path) -> api.Report:
    return api.replay(bars, breakout, FREE)


def test_a_function_trades_and_each_trade_names_it(report: api.Report) -> None:
    assert len(report.trades) > 5
    assert {trade.strategy for trade in report.trades} == {"breakout"}
    assert report.end_equity == report.start_equity + sum(t.net_pnl for t in report.trades) + sum(
        held.pnl for held in report.open_positions
    )
    assert report.problems == ()


def test_the_entry_meets_the_bar_after_the_one_that_made_the_signal(report: api.Report, bars: Path) -> None:
    frame = pd.read_csv(bars / f"{report.trades[0].symbol}.csv")
    trade = report.trades[0]
    day = trade.entry_time.date().isoformat()
    row = frame.index[frame["Date"] == day][0]
    assert trade.entry_price == D(str(frame["Open"][row]))
    closes = frame["Close"]
    assert closes[row - 1] > closes[row - 21 : row - 2].max()


def test_a_method_of_an_object_and_of_a_class_trade_like_the_function(report: api.Report, bars: Path) -> None:
    class Breakout:
        name = "breakout"

        def on_bar(self, ctx: api.Context) -> api.Signal | None:
            return breakout(ctx)

    assert api.replay(bars, Breakout, FREE).trades == report.trades
    assert api.replay(bars, Breakout(), FREE).trades == report.trades


def test_signals_with_their_times_trade_like_the_strategy_that_made_them(report: api.Report, bars: Path) -> None:
    made: list[api.Signal] = []

    def remember(ctx: api.Context) -> api.Signal | None:
        signal = breakout(ctx)
        if signal is not None:
            named = {"strategy": "breakout", "timestamp": ctx.now, "expires_at": ctx.now + timedelta(days=4)}
            made.append(replace(signal, **named))
        return signal

    api.replay(bars, remember, FREE)
    assert [plain(t) for t in api.replay(bars, made, FREE).trades] == [plain(t) for t in report.trades]


def plain(trade: api.Trade) -> tuple[Any, ...]:
    """Return *trade* without the id of its signal."""
    return tuple(value for name, value in vars_of(trade).items() if name != "signal_id")


def vars_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _frames(bars: Path) -> dict[str, pd.DataFrame]:
    return {symbol: pd.read_csv(bars / f"{symbol}.csv") for symbol in SYMBOLS}


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(pd.to_datetime(frame["Date"])).drop(columns="Date")


FORMS: dict[str, Any] = {
    "pandas": _frames,
    "pandas with dates as the index": lambda bars: {s: _dated(frame) for s, frame in _frames(bars).items()},
    "one pandas frame with symbols": lambda bars: pd.concat(
        frame.assign(Symbol=symbol) for symbol, frame in _frames(bars).items()
    ),
    "columns of two levels, as yfinance gives them": lambda bars: pd.concat(
        {s: _dated(frame) for s, frame in _frames(bars).items()}, axis=1, names=["Ticker", "Price"]
    ).swaplevel(axis=1),
    "polars": lambda bars: {symbol: pl.read_csv(bars / f"{symbol}.csv") for symbol in SYMBOLS},
    "records": lambda bars: [
        {"symbol": symbol, **{key.lower(): value for key, value in row.items()}}
        for symbol, frame in _frames(bars).items()
        for row in frame.to_dict("records")
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_bars_in_every_form_are_the_same_bars(form: str, report: api.Report, bars: Path) -> None:
    assert api.replay(FORMS[form](bars), breakout, FREE).trades == report.trades


def test_one_file_and_the_bars_of_a_context_are_bars_too(bars: Path) -> None:
    seen: list[api.Records[Bar]] = []

    def look(ctx: api.Context) -> api.Signal | None:
        seen[:] = [ctx.bars]
        return breakout(ctx)

    look.name = "breakout"  # type: ignore[attr-defined]  # what a class would say
    alone = api.replay(bars / "IBM.csv", look, FREE)
    assert alone.symbols == ("IBM",)
    assert alone.trades
    assert api.replay(seen[0], breakout, FREE).trades == alone.trades


@pytest.mark.parametrize(
    ("bars_given", "words"),
    [
        (pd.DataFrame({"date": ["2024-01-02"], "close": [1.0]}), "which symbol"),
        (pl.DataFrame({"date": ["2024-01-02"], "close": [1.0]}), "which symbol"),
        ([], "not one bar"),
        ([1, 2], "int is no bar"),
        (7, "int holds no bars"),
        (pd.Series([1.0]), "Series holds no bars|no bar"),
        (
            {"IBM": pd.DataFrame({"date": ["2024-01-02"], "open": [1], "low": [1], "close": [1]})},
            "^IBM.csv has no column",
        ),
        ({"IBM": pd.DataFrame({"date": [], "open": [], "high": [], "low": [], "close": []})}, "no bars in the bars"),
        ({"../x": pd.DataFrame()}, "is no symbol"),
        ({"": pd.DataFrame()}, "is no symbol"),
    ],
)
def test_what_holds_no_bars_is_refused_with_what_to_do(bars_given: Any, words: str) -> None:
    with pytest.raises(api.InputError, match=words) as refused:
        api.replay(bars_given, breakout)
    assert refused.value.hint
    assert refused.value.status is api.ExitStatus.USAGE


# What a strategy is shown


def test_records_arrays_and_frames_hold_the_bars_up_to_now_and_no_more(bars: Path) -> None:
    frame = pd.read_csv(bars / "IBM.csv")
    counts: list[int] = []

    def look(ctx: api.Context) -> None:
        count = len(ctx.bars)
        counts.append(count)
        assert [len(column) for column in (ctx.open, ctx.high, ctx.low, ctx.close, ctx.volume, ctx.ends)] == [count] * 6
        assert ctx.close[-1] == float(ctx.bar.close) == frame["Close"][count - 1]
        assert ctx.bar == ctx.bars[-1]
        assert ctx.now == ctx.bar.end == ctx.ends[-1].astype(datetime).replace(tzinfo=UTC)

    api.replay(bars / "IBM.csv", look, on_error="raise")
    assert counts == list(range(1, len(frame) + 1))


def test_no_more_bars_are_shown_than_configured(bars: Path) -> None:
    counts: list[int] = []
    chosen = {"pipeline.history_bars": 200}
    api.replay(bars / "IBM.csv", lambda ctx: counts.append(len(ctx.close)), chosen, on_error="raise")
    assert max(counts) == 200
    assert counts[199:] == [200] * len(counts[199:])


def _reachable(root: object) -> list[object]:
    """Return everything that can be reached from *root* but modules, classes and the world around functions."""
    seen: dict[int, object] = {}
    left = [root]
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, types.ModuleType | type | types.FunctionType):
            continue
        seen[id(thing)] = thing
        left += gc.get_referents(thing)
        if isinstance(thing, np.ndarray) and thing.base is not None:
            left.append(thing.base)
        if isinstance(thing, api.Bar | api.Records):
            left += [getattr(thing, name) for name in getattr(thing, "__struct_fields__", ())]
    return list(seen.values())


@pytest.mark.parametrize("is_large", [False, True])
def test_nothing_of_the_future_can_be_reached_from_what_a_strategy_is_shown(
    bars: Path, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        monkeypatch.setattr("apex_cli.core.adapters.files.prices.csv_bars.LEAST_BYTES", 1)
    looks = 0

    def look(ctx: api.Context) -> None:
        nonlocal looks
        looks += 1
        assert ctx.close.size
        assert ctx.bars[0].close
        if looks % 60:
            return
        now = ctx.now
        for thing in _reachable(ctx):
            if isinstance(thing, datetime):
                assert thing <= now
            if isinstance(thing, np.ndarray):
                assert thing.shape[-1] <= len(ctx.bars)
            if isinstance(thing, Bar):
                assert thing.end <= now

    api.replay(bars / "IBM.csv", look, {"replay.keep_bars": False}, on_error="raise")
    assert looks == 300


def test_a_strategy_that_writes_into_its_arrays_changes_nothing_but_its_own(report: api.Report, bars: Path) -> None:
    def spoil(ctx: api.Context) -> api.Signal | None:
        signal = breakout(ctx)
        ctx.close[:] = 0
        ctx.high[:] = 1e9
        return signal

    spoil.name = "breakout"  # type: ignore[attr-defined]  # what a class would say
    assert [t.entry_time for t in api.replay(bars, spoil, FREE).trades] == [t.entry_time for t in report.trades]


def test_the_position_is_shown_while_it_is_held(bars: Path) -> None:
    held: list[tuple[datetime, D]] = []

    def look(ctx: api.Context) -> api.Signal | None:
        if ctx.position is not None:
            assert ctx.position.symbol == ctx.symbol
            held.append((ctx.now, ctx.position.entry_price))
        return breakout(ctx)

    trades = api.replay(bars / "IBM.csv", look, FREE).trades
    for trade in trades:
        during = [price for at, price in held if trade.entry_time < at < trade.exit_time]
        assert during
        assert set(during) == {trade.entry_price}
    for before, after in pairwise(trades):
        assert not [at for at, _ in held if before.exit_time < at < after.entry_time]


def test_indicators_are_those_of_the_scanners(bars: Path) -> None:
    import talib

    checked = 0

    def look(ctx: api.Context) -> None:
        nonlocal checked
        if len(ctx.bars) > 60:
            assert ctx.indicators.rsi[-1] == talib.RSI(ctx.close, 14)[-1]
            assert len(ctx.indicators.atr) == len(ctx.bars)
            checked += 1

    api.replay(bars / "IBM.csv", look, on_error="raise")
    assert checked


# What it may do wrong


def test_an_error_is_reported_with_name_symbol_and_bar_and_the_strategy_goes_on(bars: Path) -> None:
    calls: list[str] = []

    def fragile(ctx: api.Context) -> api.Signal | None:
        calls.append(ctx.symbol)
        if ctx.symbol == "IBM" and len(ctx.bars) == 50:
            raise ValueError("no such thing")
        return breakout(ctx)

    found = api.replay(bars, fragile, FREE)
    (problem,) = found.problems
    assert problem == (
        "The strategy fragile failed on IBM at the bar that ended 2003-09-09 20:00 UTC: ValueError: no such thing."
    )
    assert len(calls) == 900
    assert found.trades


def test_an_error_ends_the_replay_where_that_is_asked_for(bars: Path) -> None:
    def fragile(ctx: api.Context) -> None:
        raise ValueError(f"at {len(ctx.bars)}")

    with pytest.raises(ValueError, match="at 1") as raised:
        api.replay(bars / "IBM.csv", fragile, on_error="raise")
    assert raised.value.__notes__ == ["strategy fragile, IBM, bar that ended 2003-06-30 20:00 UTC"]


def test_a_strategy_that_ends_the_program_does_not(bars: Path) -> None:
    def leave(_: api.Context) -> None:
        raise SystemExit(3)

    found = api.replay(bars / "IBM.csv", leave)
    assert "it tried to end apex (SystemExit: 3)" in found.problems[0]


def test_a_strategy_that_does_not_answer_is_left_out_for_the_rest(bars: Path) -> None:
    calls = 0

    def endless(ctx: api.Context) -> None:
        nonlocal calls
        calls += 1
        while len(ctx.bars) == 3:
            pass

    found = api.replay(bars / "IBM.csv", endless, {"pipeline.time_limit_s": 1})
    assert "it did not answer within 1 s, and is left out from now on" in found.problems[0]
    assert calls == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (7, "it returned int instead of a Signal or None"),
        ([], "it returned list instead of a Signal or None"),
        (api.Signal(symbol="IBM", entry_price=90, stop_loss=float("nan"), confidence=1), "stop_loss"),
        (api.Signal(symbol="IBM", entry_price=90, confidence=1), "stop_loss: it is missing"),
        (api.Signal(symbol="IBM", entry_price=-1, stop_loss=1, confidence=1), "entry_price"),
        (api.Signal(symbol="I*M", entry_price=90, stop_loss=80, confidence=1), "symbol"),
        (api.Signal(symbol="IBM", signal_type="EXIT", entry_price=90, stop_loss=80, confidence=1), "signal_type"),
        (api.Signal(symbol="IBM", entry_price=90, stop_loss=80, confidence=3), "confidence"),
    ],
)
def test_what_is_no_signal_is_reported(bars: Path, answer: Any, words: str) -> None:
    found = api.replay(bars / "IBM.csv", lambda ctx: answer if len(ctx.bars) == 2 else None)
    assert [problem for problem in found.problems if words in problem], found.problems
    assert found.trades == []


def test_numbers_of_numpy_and_noise_of_arithmetic_are_plain_prices() -> None:
    signal = api.Signal(
        symbol="IBM",
        entry_price=np.float64(0.1) + np.float64(0.2),
        stop_loss=np.float32(0.25),
        target_prices=(np.int64(1), 2),
        confidence=0.7,
        metadata={"rsi": np.float64(30.5)},
    )
    row = signal.row()
    assert (row["entry_price"], row["stop_loss"], row["target_prices"]) == (D("0.3"), D("0.25"), [1, 2])
    assert row["metadata"] == {"rsi": D("30.5")}
    assert not {"option", "expiry", "con_id", "source"} & set(row)
    several = api.Signal(symbol="IBM", entry_price=1, target_prices=np.array([1.5, 2]))
    assert several.row()["target_prices"] == [D("1.5"), 2]
    assert "target_prices" not in api.Signal(symbol="IBM", entry_price=1, target_prices=[]).row()


def test_what_is_no_strategy_is_refused(bars: Path) -> None:
    for wrong in (7, [1], ["text"]):
        with pytest.raises(api.InputError):
            api.replay(bars, wrong)  # type: ignore[arg-type]  # that is the point


def test_it_replays_inside_a_running_event_loop(report: api.Report, bars: Path) -> None:
    async def main() -> api.Report:
        return api.replay(bars, breakout, FREE)

    assert asyncio.run(main()).trades == report.trades


def test_the_watch_list_says_what_is_looked_at(bars: Path) -> None:
    seen: set[str] = set()
    api.replay(bars, lambda ctx: seen.add(ctx.symbol), {"scanners": {"watch_list": ["IBM"]}})
    assert seen == {"IBM"}


def test_a_replay_of_the_api_is_the_replay_of_the_command(bars: Path) -> None:
    plain = event_loop.run(Replay(Settings(), ReplayOptions(bars_dir=bars, rule="breakout")).run())
    assert api.Report(plain).trades == api.replay(bars).trades
