"""The replay end to end: trades by hand, no look-ahead, the same bytes again, nothing on disk."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.app.replayer import Replay, ReplayOptions, replay
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import next_session, previous_sessions
from apex_cli.core.model.learning import LearningMode
from apex_cli.core.model.limits import EntryOrder
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.signal import Signal
from apex_cli.core.signals.replay_sources import BreakoutRule
from apex_cli.settings.brokers import CommissionModel
from apex_cli.settings.research import RankingSettings, ReplaySettings
from apex_cli.settings.sections import Settings

D = Decimal
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "apex_cli" / "demo"
FREE = Settings().replace(simulation=replace(Settings().simulation, commission=CommissionModel.NONE))
AT_CLOSE = FREE.replace(replay=ReplaySettings(fill=ReplayFill.CLOSE))
FIRST = date(2004, 3, 1)


def write_bars(folder: Path, symbol: str, rows: list[tuple[str, str, str, str]], first: date = FIRST) -> None:
    """Write daily bars of open, high, low, close from the session *first* on."""
    folder.mkdir(exist_ok=True)
    day = first
    with (folder / f"{symbol}.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
        for row in rows:
            out.writerow([day, *row, 1_000_000])
            day = next_session(day)


def write_signals(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text(json.dumps([{"signal_type": "BUY", "confidence": 0.8, "strategy": "hand", **row} for row in rows]))
    return path


@pytest.fixture(scope="module")
def demo_report() -> Any:
    return replay(FREE, ReplayOptions(bars_dir=DEMO))


class TestByHand:
    """Three trades whose every number is worked out in the comments; 3,000 USD, 1 % risk, 5 % a position."""

    @pytest.fixture
    def report(self, tmp_path: Path) -> Any:
        return self.played(AT_CLOSE, tmp_path)

    def played(self, chosen: Settings, tmp_path: Path) -> Any:
        quiet = ("50", "50.5", "49.5", "50")
        write_bars(
            tmp_path / "bars",
            "AAA",
            [quiet, quiet, ("50", "51", "49", "50.5"), ("51", "56.5", "50.8", "56"), ("56", "56", "55", "56")],
        )
        write_bars(
            tmp_path / "bars",
            "BBB",
            [("20", "20", "20", "20")] * 2 + [("18.5", "18.6", "18", "18.2")] + [("18", "18", "18", "18")] * 2,
        )
        write_bars(
            tmp_path / "bars",
            "CCC",
            [("100", "100", "100", "100")] * 2 + [("99", "105.5", "97", "98")] + [("98", "98", "90.5", "91")] * 2,
        )
        at = {"timestamp": "2004-03-02T15:00:00-05:00"}
        file = write_signals(
            tmp_path / "signals.json",
            {"symbol": "AAA", "entry_price": 50, "stop_loss": 48, "target_price": 56, **at},
            {"symbol": "BBB", "entry_price": 20, "stop_loss": 19, "target_price": 23, **at},
            {
                "symbol": "CCC",
                "signal_type": "SHORT",
                "entry_price": 100,
                "stop_loss": 105,
                "target_price": 88,
                **at,
            },
        )
        return replay(chosen, ReplayOptions(bars_dir=tmp_path / "bars", signals=(file,)))

    def test_without_a_word_orders_meet_the_next_open(self, tmp_path: Path) -> None:
        report = self.played(FREE, tmp_path)
        wednesday = datetime(2004, 3, 3, 14, 30, tzinfo=UTC)
        assert {trade.entry_time for trade in report.trades} == {wednesday}
        # AAA opens at 50 and reaches 56: 3 * 6. BBB opens at 18.50, beyond its stop 19: out at once, for nothing.
        # CCC opens at 99, its stop 105 is reached: -6, of 5 planned.
        found = {t.instrument.symbol: (t.entry_price, t.exit_price, t.pnl) for t in report.trades}
        assert found == {"AAA": (50, 56, 18), "BBB": (D("18.5"), D("18.5"), 0), "CCC": (99, 105, -6)}
        assert (report.fill, report.end_equity) == ("next_open", 3012)

    def test_the_numbers_of_each_trade(self, report: Any) -> None:
        trades = {trade.instrument.symbol: trade for trade in report.trades}
        # AAA: 3 shares (150 / 50), bought at Tuesday's close 50, target 56 touched on Thursday: 3 * 6 = 18, 3 R.
        won = trades["AAA"]
        assert (won.quantity, won.entry_price, won.exit_price, won.pnl, won.r_multiple) == (3, 50, 56, 18, 3)
        assert (won.exit_reason, won.exit_time.date()) == ("target", date(2004, 3, 4))
        # BBB: 7 shares (150 / 20), stop 19, Wednesday opens at 18.50 below it: filled there,
        # 7 * -1.50 = -10.50, -1.5 R.
        gap = trades["BBB"]
        assert (gap.quantity, gap.exit_price, gap.pnl, gap.r_multiple) == (7, D("18.5"), D("-10.5"), D("-1.5"))
        assert (gap.exit_reason, gap.exit_time) == ("stop", datetime(2004, 3, 3, 14, 30, tzinfo=UTC))
        # CCC: 1 share short at 100, Wednesday reaches 105.50 and the stop 105 counts, whatever came first: -5, -1 R.
        short = trades["CCC"]
        assert (short.side, short.quantity, short.exit_price, short.pnl, short.r_multiple) == ("short", 1, 105, -5, -1)

    def test_the_sums(self, report: Any) -> None:
        # 18 - 10.50 - 5 = 2.50; mean R (3 - 1.5 - 1) / 3; profit factor 18 / 15.5
        assert (report.start_equity, report.end_equity) == (3000, D("3002.5"))
        assert report.statistics.expectancy_r == D("0.5") / 3
        assert report.statistics.profit_factor == 18 / D("15.5")
        assert report.statistics.win_rate == 1 / D(3)
        # Wednesday's close: -10.50 - 5 realised, 3 * 0.50 on paper: 2,986.00, 14 / 3,000 below the high.
        assert report.drawdown.fraction == D(14) / 3000
        assert [point.equity for point in report.curve] == [3000, 3000, 2986, D("3002.5"), D("3002.5")]
        # Held at the ends of Tuesday and Wednesday: 2 of 5.
        assert report.exposure == D("0.4")
        assert (report.day_trades, report.outcomes["executed"]) == (0, 3)


def test_a_day_trade_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    rows = ["Date,Open,High,Low,Close", *(f"2004-03-02T{h}:00:00-05:00,50,50.2,49.9,50" for h in (10, 11, 12))]
    rows += ["2004-03-02T13:00:00-05:00,50,50,47,48", "2004-03-02T14:00:00-05:00,48,48,48,48"]
    (folder / "AAA.csv").write_text("\n".join(rows))
    row = {"symbol": "AAA", "entry_price": 50, "stop_loss": 48, "target_price": 56}
    file = write_signals(tmp_path / "s.json", {**row, "timestamp": "2004-03-02T11:30:00-05:00"})
    report = replay(FREE, ReplayOptions(bars_dir=folder, signals=(file,)))
    assert [trade.pnl for trade in report.trades] == [-6]
    assert report.day_trades == 1


def cut(folder: Path, last: date) -> Path:
    """Copy the demo's bars up to *last*."""
    folder.mkdir()
    for path in sorted(DEMO.glob("*.csv")):
        lines = path.read_text().splitlines()
        kept = [line for line in lines[1:] if line.partition(",")[0] <= last.isoformat()]
        (folder / path.name).write_text("\n".join([lines[0], *kept]))
    return folder


@settings(max_examples=6, deadline=None)
@given(sessions=st.integers(60, 280))
def test_later_bars_never_change_earlier_trades(
    tmp_path_factory: pytest.TempPathFactory, demo_report: Any, sessions: int
) -> None:
    last = demo_report.curve[sessions].at.date()
    short = replay(FREE, ReplayOptions(bars_dir=cut(tmp_path_factory.mktemp("cut") / "bars", last)))
    assert short.trades == tuple(t for t in demo_report.trades if t.exit_time.date() <= last)
    assert short.curve == tuple(p for p in demo_report.curve if p.at.date() <= last)
    assert short.adaptations == tuple(v for v in demo_report.adaptations if v.made_at.date() <= last)


def test_a_period_trades_on_what_came_before_it(demo_report: Any) -> None:
    first = demo_report.curve[150].at.date()
    last = demo_report.curve[250].at.date()
    part = replay(FREE, ReplayOptions(bars_dir=DEMO, first=first, last=last))
    assert (part.first.date(), part.last.date(), part.steps) == (first, last, 101)
    begun = {t.entry_time for t in demo_report.trades if first <= t.entry_time.date() and t.exit_time.date() <= last}
    assert begun
    assert begun & {t.entry_time for t in part.trades}


def test_learning_happens_on_the_way_and_can_be_switched_off(demo_report: Any) -> None:
    off = FREE.replace(learning=replace(FREE.learning, mode=LearningMode.OFF))
    assert replay(off, ReplayOptions(bars_dir=DEMO)).adaptations == ()
    assert len(demo_report.trades) >= 10
    assert demo_report.adaptations


def test_learning_changes_no_size_and_no_refusal(demo_report: Any) -> None:
    off = replay(FREE.replace(learning=replace(FREE.learning, mode=LearningMode.OFF)), ReplayOptions(bars_dir=DEMO))
    assert off.trades == demo_report.trades
    assert off.refusals == demo_report.refusals


@pytest.mark.parametrize("period", [{"first": date(2030, 1, 2)}, {"last": date(1990, 1, 2)}])
def test_a_period_without_bars_is_an_error(period: dict[str, date]) -> None:
    with pytest.raises(InputError, match=r"There are no bars in .* between"):
        replay(FREE, ReplayOptions(bars_dir=DEMO, **period))


@pytest.mark.parametrize("scanners", ["{}", "{watch_list: [AAPL, IBM, MSFT], target_atr: 5}"])
def test_two_processes_with_different_hash_seeds_print_the_same_bytes(tmp_path: Path, scanners: str) -> None:
    page, config = tmp_path / "page.html", tmp_path / "config.yaml"
    config.write_text(f"scanners: {scanners}\npipeline: {{stages: [technical]}}\n")
    said = []
    for seed in ("1", "4242"):
        line = ["replay", "--bars", str(DEMO), "--config", str(config), "--json", "--html", str(page)]
        done = subprocess.run(
            [sys.executable, "-m", "apex_cli", *line],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
            capture_output=True,
            check=True,
            timeout=120,
        )
        said.append((done.stdout, page.read_bytes()))
    assert said[0] == said[1]
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "page.html"}, "no state was written"
    text = page.read_text()
    assert "<svg" in text
    assert "http" not in text
    assert "<script" not in text


def test_the_day_before_a_replay_is_known_to_its_rule() -> None:
    first = previous_sessions(date(2004, 2, 27), 1)[0]
    report = replay(FREE, ReplayOptions(bars_dir=DEMO, first=first, last=first + timedelta(days=3)))
    assert report.steps == 2


class Lift:
    """A stage that is sure of everything."""

    name = "lift"

    async def process(self, signal: Signal) -> Signal:
        return replace(
            signal,
            metadata={
                **signal.metadata,
                "technical_composite": 0.9,
                "predictor_probability": 0.8,
                "predictor_direction": 1,
            },
        )


def test_scanners_and_stages_can_take_the_place_of_the_rule(demo_report: Any) -> None:
    made = Replay(
        FREE, ReplayOptions(bars_dir=DEMO), make_sources=lambda context: [BreakoutRule(context.bars)], stages=[Lift()]
    )
    report = asyncio.run(made.run())
    assert [t.entry_time for t in report.trades] == [t.entry_time for t in demo_report.trades]
    (lesson, *_) = made._store.view().lessons.values()
    assert lesson.conditions.traits == {"technical_composite": D("0.9")}
    assert (lesson.conditions.predictor_direction, lesson.conditions.predictor_probability) == (1, D("0.8"))


def test_what_is_odd_about_bars_and_signals_is_reported(tmp_path: Path) -> None:
    write_bars(tmp_path / "bars", "AAA", [("50", "50", "50", "50"), ("25", "25", "25", "25")])
    file = write_signals(tmp_path / "s.json", {"symbol": "AAA", "entry_price": -1})
    report = replay(FREE, ReplayOptions(bars_dir=tmp_path / "bars", signals=(file,)))
    split, bad = report.problems
    assert split.startswith("AAA.csv: 2004-03-02 opens at 25 after 50: it looks like a split, 2 for 1, that no file")
    assert bad.startswith("s.json")
    assert report.outcomes["invalid"] == 1


class Walk:
    """Random daily bars in cents, and an independent account of what one long trade in them does."""

    def __init__(self, seed: int) -> None:
        dice, price = Random(seed), 80.0
        self.rows: list[tuple[str, str, str, str]] = []
        for _ in range(120):
            opening = price * (1 + dice.gauss(0, 0.012))
            price = opening * (1 + dice.gauss(0, 0.02))
            high, low = max(opening, price) * (1 + dice.random() / 60), min(opening, price) * (1 - dice.random() / 60)
            row = tuple(f"{value:.2f}" for value in (opening, high, low, price))
            self.rows.append((row[0], row[1], row[2], row[3]))

    def expected(self, number: int, stop: D, target: D) -> tuple[int, D, int, D, str] | None:
        """Return entry bar and price, exit bar, price and reason of a signal made by bar *number*."""
        entry = D(self.rows[number + 1][0])
        for later in range(number + 1, len(self.rows)):
            opening, high, low, _ = map(D, self.rows[later])
            if opening <= stop:
                return number + 1, entry, later, opening, "stop"
            if opening >= target:
                return number + 1, entry, later, opening, "target"
            if low <= stop:
                return number + 1, entry, later, stop, "stop"
            if high >= target and later:
                return number + 1, entry, later, target, "target"
        return None


@pytest.mark.parametrize("seed", range(6))
def test_next_open_agrees_with_an_independent_loop(tmp_path: Path, seed: int) -> None:
    walk, day, days = Walk(seed), FIRST, []
    for _ in walk.rows:
        days.append(day)
        day = next_session(day)
    write_bars(tmp_path / "bars", "WWW", walk.rows)
    rows, expected, free_from = [], [], 0
    for number in range(5, 100, 3):
        close = D(walk.rows[number][3])
        stop, target = (close * D("0.96")).quantize(D("0.01")), (close * D("1.10")).quantize(D("0.01"))
        trade = walk.expected(number, stop, target)
        if number < free_from or trade is None:
            continue
        free_from = trade[2] + 1
        expected.append((days[trade[0]], trade[1], days[trade[2]], trade[3], trade[4]))
        at = {"timestamp": f"{days[number]}T14:00:00-05:00", "signal_id": f"walk-{number}"}
        prices = {"entry_price": str(close), "stop_loss": str(stop), "target_price": str(target)}
        rows.append({"symbol": "WWW", **prices, **at})
    file = write_signals(tmp_path / "signals.json", *rows)
    report = replay(FREE, ReplayOptions(bars_dir=tmp_path / "bars", signals=(file,)))
    found = [
        (t.entry_time.date(), t.entry_price, t.exit_time.date(), t.exit_price, t.exit_reason) for t in report.trades
    ]
    assert expected
    assert found == expected, report.refusals


HALF_HOURS = [f"{hour:02d}:{minute:02d}" for hour in range(4, 20) for minute in (0, 30)]
REGULAR = [clock for clock in HALF_HOURS if "09:30" <= clock < "16:00"]


def half_hours(day: str, clocks: list[str], odd: dict[str, str] | None = None) -> list[str]:
    return [f"{day}T{clock}:00-05:00,{(odd or {}).get(clock, '100,101,99,100')},9000" for clock in clocks]


@pytest.mark.parametrize(
    ("odd", "outside_rth", "exits"),
    [
        ({}, False, []),
        ({"08:00": "94,95,90,94"}, False, []),
        ({"18:00": "96,97,93,94"}, False, []),
        ({"07:30": "116,117,115,116"}, False, []),
        ({"08:00": "94,95,90,94"}, True, [D(94)]),
        ({"08:00": "90,91,89,90", "08:30": "92,94,91,93", "09:00": "92,94,91,93"}, True, [D("93.1")]),
        ({"11:00": "98,99,94,97"}, False, [D(95)]),
        ({"09:00": "93,94,92,93", "09:30": "93,94,92,93"}, False, [D(93)]),
    ],
)
def test_only_regular_hours_fill_stops_unless_the_setting_says_otherwise(
    tmp_path: Path, odd: dict[str, str], outside_rth: bool, exits: list[D]
) -> None:
    # Interactive Brokers: an order without outsideRth neither triggers nor fills outside regular trading hours.
    folder = tmp_path / "bars"
    folder.mkdir()
    lines = [*half_hours("2024-12-02", REGULAR), *half_hours("2024-12-03", HALF_HOURS, odd)]
    (folder / "XX.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]))
    row = {"symbol": "XX", "entry_price": 100, "stop_loss": 95, "target_price": 115}
    file = write_signals(tmp_path / "s.json", {**row, "timestamp": "2024-12-02T10:00:00-05:00"})
    ib = replace(FREE.broker.ib, outside_rth=outside_rth)
    chosen = FREE.replace(broker=replace(FREE.broker, ib=ib))
    report = replay(chosen, ReplayOptions(bars_dir=folder, signals=(file,)))
    assert [trade.exit_price for trade in report.trades] == exits
    assert len(report.open_positions) == (0 if exits else 1)


class TestWhatBarsCannotShow:
    """What is reported beside the trades."""

    ROW = ("50", "50.5", "49.5", "50")

    def signal(self, folder: Path) -> Path:
        """Write one signal of the first session."""
        at = f"{FIRST}T15:00:00-05:00"
        row = {"symbol": "AAA", "entry_price": 50, "stop_loss": 48, "target_price": 56, "timestamp": at}
        return write_signals(folder / "signals.json", row)

    def test_an_entry_that_the_market_ran_away_from_is_reported_as_expired(self, tmp_path: Path) -> None:
        gone = ("60", "61", "59", "60")
        write_bars(tmp_path / "bars", "AAA", [self.ROW, gone, gone])
        limit = FREE.replace(execution=replace(FREE.execution, entry_order=EntryOrder.LIMIT))
        report = replay(limit, ReplayOptions(bars_dir=tmp_path / "bars", signals=(self.signal(tmp_path),)))
        assert (report.outcomes["executed"], report.expired_entries, len(report.trades)) == (1, 1, 0)
        assert not report.open_positions

    @pytest.mark.parametrize("fill", list(ReplayFill))
    def test_an_entry_takes_no_more_than_its_part_of_the_bar_that_fills_it(
        self, tmp_path: Path, fill: ReplayFill
    ) -> None:
        write_bars(tmp_path / "bars", "AAA", [self.ROW] * 6)
        thin = replace(FREE.simulation, max_participation=D("0.000001"))
        chosen = FREE.replace(simulation=thin, replay=ReplaySettings(fill=fill))
        report = replay(chosen, ReplayOptions(bars_dir=tmp_path / "bars", signals=(self.signal(tmp_path),)))
        assert [held.quantity for held in report.open_positions] == [1]
        assert report.expired_entries == 1

    def test_a_long_list_of_survivors_is_worth_a_word(self, tmp_path: Path) -> None:
        rows = [self.ROW] * 520
        write_bars(tmp_path / "bars", "AAA", rows)
        write_bars(tmp_path / "bars", "BBB", rows)
        said = "still traded at the end"
        options = ReplayOptions(bars_dir=tmp_path / "bars")
        assert any(said in problem for problem in replay(FREE, options).problems)
        assert not any(said in problem for problem in replay(FREE, replace(options, last=date(2005, 3, 1))).problems)
        write_bars(tmp_path / "failed", "AAA", rows)
        write_bars(tmp_path / "failed", "BBB", rows[:300])
        failed = ReplayOptions(bars_dir=tmp_path / "failed")
        assert not any(said in problem for problem in replay(FREE, failed).problems)

    def test_a_minute_that_daily_bars_do_not_have_is_said(self, tmp_path: Path) -> None:
        write_bars(tmp_path / "bars", "AAA", [self.ROW] * 30)
        options = ReplayOptions(bars_dir=tmp_path / "bars")
        timed = FREE.replace(management=replace(FREE.management, flat_at_close=15))
        assert any("the stated minute is not in them" in problem for problem in replay(timed, options).problems)
        assert not any("stated minute" in problem for problem in replay(FREE, options).problems)


def test_signals_of_one_moment_of_several_sources_are_ordered_together(demo_report: Any) -> None:
    """A window that ends before the next bar changes no moment, and one signal a moment is never late."""
    windowed = FREE.replace(ranking=RankingSettings(window_s=60))
    report = replay(windowed, ReplayOptions(bars_dir=DEMO))
    assert [trip.entry_time for trip in report.trades] == [trip.entry_time for trip in demo_report.trades]
