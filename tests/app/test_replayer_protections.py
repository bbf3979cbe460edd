"""Each protection in a replay in which it fires: what it refuses, and what goes on as before."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.app.replayer import ReplayOptions, replay
from apex_cli.core.market.calendar import next_session, previous_sessions
from apex_cli.core.model.protections import (
    BetaLimits,
    CooldownLimits,
    CorrelationLimits,
    CostLimits,
    LossStreak,
    LossStreaks,
    LowExpectancies,
    LowExpectancy,
    SizingLimits,
    StopGuard,
    StopGuards,
    StrategyBudgets,
)
from apex_cli.core.model.risk_limits import CapitalBase
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.settings.lock_files import BlackoutSettings, ProtectionSettings, SectorSettings
from apex_cli.settings.sections import Settings

FIRST = date(2004, 3, 1)
SESSIONS = 12
LOSING = ("AAA", "BBB")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two securities that fall through their stop on each second day, and a signal for both at each close."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "bars").mkdir()
    rows = []
    for symbol in LOSING:
        day = FIRST
        with (folder / "bars" / f"{symbol}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
            for number in range(SESSIONS):
                low = 47 if number % 2 else 49.5
                out.writerow([day, 50, 50.5, low, 50, 1_000_000])
                rows.append(
                    {
                        "signal_id": f"{symbol}-{number}",
                        "symbol": symbol,
                        "signal_type": "BUY",
                        "entry_price": 50,
                        "stop_loss": 48,
                        "target_price": 56,
                        "confidence": 0.9,
                        "strategy": f"falls-{symbol}",
                        "timestamp": f"{day}T15:00:00-05:00",
                    }
                )
                day = next_session(day)
    (folder / "signals.json").write_text(json.dumps(rows))
    return folder


def played(market: Path, signals: Path | None = None, capital: str = "3000", **protections: Any) -> ReplayReport:
    risk = replace(Settings().risk, capital=Decimal(capital), capital_base=CapitalBase.FIXED)
    settings = Settings().replace(risk=risk, protections=ProtectionSettings(**protections))
    return replay(settings, ReplayOptions(bars_dir=market / "bars", signals=(signals or market / "signals.json",)))


@pytest.fixture(scope="module")
def unprotected(market: Path) -> ReplayReport:
    return played(market)


def test_without_protections_each_fall_is_lost(unprotected: ReplayReport) -> None:
    assert len(unprotected.trades) == SESSIONS  # of both together
    assert all(trade.exit_reason == "stop" for trade in unprotected.trades)


STOPS = StopGuard(stops=2, within="5 sessions", lock="4 sessions")
LOSSES = LossStreak(losses=2, within="5 sessions", lock="4 sessions")
LOW = LowExpectancy(trades=2, min_mean_r=Decimal("-0.5"), lock="4 sessions")


@pytest.mark.parametrize(
    ("code", "protections"),
    [
        ("cooldown", {"cooldown": CooldownLimits(after_stop="3 sessions")}),
        ("stop_guard", {"stop_guard": StopGuards(symbol=STOPS)}),
        ("stop_guard", {"stop_guard": StopGuards(strategy=STOPS)}),
        ("stop_guard", {"stop_guard": StopGuards(account=STOPS)}),
        ("loss_streak", {"loss_streak": LossStreaks(symbol=LOSSES)}),
        ("loss_streak", {"loss_streak": LossStreaks(account=LOSSES)}),
        ("low_expectancy", {"low_expectancy": LowExpectancies(strategy=LOW)}),
        ("weekly_loss", {"max_weekly_loss_pct": Decimal("0.002")}),
        ("net_reward_risk", {"costs": CostLimits(min_net_reward_risk=Decimal("2.5"), spread_pct=Decimal("0.001"))}),
        ("net_expectancy", {"costs": CostLimits(min_net_expectancy_r=Decimal(3), spread_pct=Decimal("0.001"))}),
        ("monthly_loss", {"max_monthly_loss_pct": Decimal("0.002")}),
    ],
)
def test_it_fires_and_what_was_open_is_closed_as_before(
    market: Path, unprotected: ReplayReport, code: str, protections: dict[str, Any]
) -> None:
    report = played(market, **protections)
    assert report.refusals.get(code, 0) > 0
    assert len(report.trades) < len(unprotected.trades)
    assert report.end_equity > unprotected.end_equity
    assert report.open_positions == ()


@pytest.mark.parametrize(
    ("code", "protections"),
    [
        ("strategy_risk", {"budget": StrategyBudgets(max_open_risk_pct=Decimal("0.001"))}),
        ("strategy_positions", {"budget": StrategyBudgets(max_positions=1)}),
    ],
)
def test_a_budget_fires_where_one_strategy_trades_several(
    market: Path, tmp_path: Path, code: str, protections: dict[str, Any]
) -> None:
    rows = [row | {"strategy": "falls"} for row in json.loads((market / "signals.json").read_text())]
    (tmp_path / "signals.json").write_text(json.dumps(rows))
    report = played(market, tmp_path / "signals.json", **protections)
    assert report.refusals[code] > 0


SECTORS = "symbol,sector\nAAA,falling\nBBB,falling\n"


@pytest.mark.parametrize(
    ("code", "sectors"),
    [
        ("sector_risk", SectorSettings(max_open_risk_pct=Decimal("0.003"), file=Path("sectors.csv"))),
        ("sector_positions", SectorSettings(max_positions=1, file=Path("sectors.csv"))),
    ],
)
def test_a_sector_fires_where_two_securities_are_in_it(
    market: Path, tmp_path: Path, code: str, sectors: SectorSettings
) -> None:
    (tmp_path / "sectors.csv").write_text(SECTORS)
    report = played(market, sectors=replace(sectors, file=tmp_path / "sectors.csv"))
    assert report.refusals[code] > 0
    assert 0 < len(report.trades) < SESSIONS
    unreadable = played(market, sectors=replace(sectors, file=tmp_path / "missing.csv"))
    assert (unreadable.trades, unreadable.refusals[code]) == ((), 2 * SESSIONS)


EVENTS = "symbol,date,kind\nAAA,2004-03-04,earnings\n*,2004-03-10,news\n"


def test_a_blackout_fires_on_its_days_for_its_securities(market: Path, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    report = played(market, blackout=BlackoutSettings(files=(tmp_path / "events.csv",), before="1 session"))
    # AAA: the closes of Wednesday and Thursday; all: those of Tuesday and Wednesday. Two of six are signals anyway.
    assert report.refusals["blackout"] == 2 + 2 * 2
    missing = played(market, blackout=BlackoutSettings(files=(tmp_path / "missing.csv",)))
    assert (missing.trades, missing.refusals["blackout"]) == ((), 2 * SESSIONS)


def write_tape(folder: Path) -> Path:
    """Write a benchmark and two securities that follow it, sixty sessions long, and one signal for each on the last."""
    (folder / "bars").mkdir(parents=True)
    factors = {"SPY": 1.0, "AAA": 1.5, "BBB": 1.2}
    day, dice, closes = FIRST, Random(7), dict.fromkeys(factors, 100.0)
    files = {symbol: (folder / "bars" / f"{symbol}.csv").open("w", newline="") for symbol in factors}
    tables = {symbol: csv.writer(file) for symbol, file in files.items()}
    for table in tables.values():
        table.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
    for _ in range(60):
        move = dice.gauss(0, 0.01)
        for symbol, factor in factors.items():
            closes[symbol] *= 1 + move * factor
            table_row = [f"{closes[symbol]:.2f}"] * 4
            tables[symbol].writerow([day, *table_row, 1_000_000])
        last, day = day, next_session(day)
    for file in files.values():
        file.close()
    (before,) = previous_sessions(last, 1)
    rows = [
        {
            "signal_id": f"{symbol}-{number}",
            "symbol": symbol,
            "signal_type": "BUY",
            "entry_price": round(closes[symbol], 2),
            "stop_loss": round(closes[symbol] * 0.9, 2),
            "target_price": round(closes[symbol] * 1.3, 2),
            "confidence": 0.9,
            "timestamp": f"{session}T15:00:00-05:00",
            "expires_at": f"{day}T15:00:00-05:00",
        }
        for number, (symbol, session) in enumerate((("AAA", before), ("BBB", last)))
    ]
    (folder / "signals.json").write_text(json.dumps(rows))
    return folder


@pytest.mark.parametrize(
    ("code", "protections"),
    [
        ("correlated_risk", {"correlation": CorrelationLimits(max_open_risk_pct=Decimal("0.006"), bars=40)}),
        ("beta_exposure", {"beta": BetaLimits(max_exposure=Decimal("0.07"), benchmark="SPY", bars=40)}),
    ],
)
def test_what_moves_together_fires_for_the_second(tmp_path: Path, code: str, protections: dict[str, Any]) -> None:
    market = write_tape(tmp_path / "tape")
    assert played(market).outcomes["executed"] == 2
    report = played(market, **protections)
    assert (report.outcomes["executed"], report.refusals) == (1, {code: 1})


def test_kelly_fires_after_enough_losses(market: Path, tmp_path: Path) -> None:
    rows = [row | {"strategy": "falls"} for row in json.loads((market / "signals.json").read_text())]
    (tmp_path / "signals.json").write_text(json.dumps(rows))
    sizing = SizingLimits(kelly_fraction=Decimal("0.25"), kelly_trades=10)
    report = played(market, tmp_path / "signals.json", sizing=sizing)
    assert report.refusals["kelly"] > 0
    assert len(report.trades) == 10


def test_a_volatility_target_makes_sizes_smaller(tmp_path: Path) -> None:
    market = write_tape(tmp_path / "tape")
    sizing = SizingLimits(volatility_target=Decimal("0.12"), volatility_days=40)
    held = [
        [abs(position.quantity) for position in played(market, capital="100000", **protections).open_positions]
        for protections in ({}, {"sizing": sizing})
    ]
    ((whole,), (smaller,)) = held  # the second is decided at the last close
    assert 0.4 < smaller / whole < 0.6  # 1.5 times the 16 % a year of the benchmark


def test_a_lock_of_three_sessions_leaves_out_the_signals_of_three_closes(market: Path) -> None:
    report = played(market, cooldown=CooldownLimits(after_stop="3 sessions"))
    entries = [trade.entry_time.date() for trade in report.trades if trade.instrument.symbol == "AAA"]
    # Bought on Tuesday's open, stopped on Tuesday: Tuesday, Wednesday and Thursday refuse, Friday's close is open.
    assert entries == [date(2004, 3, 2), date(2004, 3, 8), date(2004, 3, 12)]
