"""Management as a user meets it: bars are played through, and the commands say what was done."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.model.management import TrailingStop
from apex_cli.settings.load import load_settings

CONFIG = """\
execution: {auto_execute: true, entry_order: ENTRY}
risk: {max_position_pct: 1, max_open_risk_pct: 1, min_reward_risk: 0}
day_trades: {regime: "off"}
prices: {bars_dir: bars}
signals: {files: [signals.json]}
simulation: {clock: bars, start: 2026-11-25, commission: none}
management:
  breakeven_at_r: 1
  strategies:
    trend: {breakeven_at_r: null, trailing: {activate_at_r: 1, distance_r: 0.5}}
    swing: {max_holding: {sessions: 2}}
    intraday: {flat_at_close: 5}
"""
HALF_HOUR = timedelta(minutes=30)
DAYS = {date(2026, 11, 25): 13, date(2026, 11, 27): 7, date(2026, 11, 30): 13}
"""Half hours of each session: Thanksgiving is the 26th, the 27th closes at 13:00."""


def write_bars(folder: Path, prices: dict[str, float]) -> None:
    """Write half-hour bars that stand at 50, and from the times in *prices* on at those prices."""
    price, lines = 50.0, ["Datetime,Open,High,Low,Close,Volume"]
    for day, count in DAYS.items():
        start = datetime.combine(day, time(9, 30))
        for number in range(count):
            at = start + number * HALF_HOUR
            before, price = price, prices.get(f"{at:%d %H:%M}", price)
            low, high = sorted((before, price))
            lines.append(f"{at:%Y-%m-%dT%H:%M:%S},{before},{high},{low},{price},10000")
    (folder / "bars").mkdir(exist_ok=True)
    (folder / "bars" / "AAA.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def world(here: Path) -> Callable[..., None]:
    def make(strategy: str, prices: dict[str, float], entry: str = "market") -> None:
        (here / "config.yaml").write_text(CONFIG.replace("ENTRY", entry))
        write_bars(here, prices)
        row = {
            "signal_id": "one",
            "symbol": "AAA",
            "signal_type": "LONG",
            "entry_price": "50",
            "stop_loss": "48",
            "target_price": "60",
            "confidence": "0.9",
            "strategy": strategy,
            "timestamp": "2026-11-25T15:59:00-05:00",
            "expires_at": "2026-12-24T10:00:00-05:00",
        }
        (here / "signals.json").write_text(json.dumps([row]))

    return make


def last_trip(apex: Any) -> dict[str, Any]:
    (trip,) = apex("history", "--json").data["round_trips"]
    found: dict[str, Any] = trip
    return found


def test_a_trailing_stop_follows_the_bars_and_fills(world: Any, apex: Any) -> None:
    world("trend", {"27 10:30": 52.0, "27 11:30": 54.0, "30 10:00": 52.5})
    assert apex("run", "--once").status == 0
    assert apex("run", "--once", "--bars-until", "2026-11-27").status == 0
    (position,) = apex("positions", "--json").data["positions"]
    assert (position["stop_price"], position["managed"]) == ("53.00", ["trail 1.00", "stop at entry"])
    assert "AAA: trail 1.00 · stop at entry" in apex("positions").out
    assert apex("run", "--once", "--bars-until", "2026-11-30").status == 0
    trip = last_trip(apex)
    assert (trip["exit_reason"], trip["exit_price"]) == ("trail", "53.00")
    reported = apex("explain", "one").out
    assert "trailing stop 1.00 behind the price from 51.00 on, at 52.00 (+1.00 R)" in reported
    assert "old stop S1 gone, S2 works" in reported


def test_break_even_is_the_common_rule(world: Any, apex: Any) -> None:
    world("other", {"27 10:30": 52.5, "27 11:30": 49.0})
    apex("run", "--once")
    apex("run", "--once", "--bars-until", "2026-11-30")
    assert (last_trip(apex)["exit_price"], last_trip(apex)["pnl"]) == ("50.00", "0.00")
    assert "stop moved from 48.00 to 50.00 at 52.50 (+1.25 R): break-even" in apex("explain", "one").out


def test_held_over_a_holiday_a_half_day_and_a_weekend(world: Any, apex: Any) -> None:
    world("swing", {})
    apex("run", "--once")
    (position,) = apex("positions", "--json").data["positions"]
    assert position["held_until"] == "2026-11-30T14:30:00+00:00"
    assert "until Mon 11-30 09:30" in apex("positions").out
    apex("run", "--once", "--bars-until", "2026-11-27")
    assert apex("positions", "--json").data["totals"]["positions"] == 1
    apex("run", "--once", "--bars-until", "2026-11-30")
    trip = last_trip(apex)
    assert (trip["exit_reason"], trip["exit_time"][:16]) == ("time_exit", "2026-11-30T14:59")
    assert "time exit: 15 closed at 50" in apex("explain", "one").out


def test_flat_before_the_close_of_a_half_day(world: Any, apex: Any, here: Path) -> None:
    world("intraday", {})
    (here / "late.json").write_text((here / "signals.json").read_text())
    (here / "signals.json").write_text("[]")
    assert apex("run", "--max-cycles", "3").status == 0
    apex("run", "--once", "--signals", "late.json")
    assert "flat 12:55" in apex("positions").out
    apex("run", "--once", "--bars-until", "2026-11-27")
    trip = last_trip(apex)
    assert (trip["exit_reason"], trip["exit_time"][:16]) == ("end_of_day", "2026-11-27T17:59")
    assert "end of day: 15 closed at 50" in apex("explain", "one").out


def test_an_entry_follows_the_price_and_keeps_its_bound(world: Any, apex: Any, here: Path) -> None:
    world("other", {"25 15:30": 50.3}, entry="limit, reprice: {after_s: 60, step_pct: 0.002, max_pct: 0.003}")
    (here / "late.json").write_text((here / "signals.json").read_text())
    (here / "signals.json").write_text("[]")
    assert apex("run", "--max-cycles", "3").status == 0
    apex("run", "--once", "--signals", "late.json")
    for limit in ("50", "50.10", "50.15", "50.15"):
        (order,) = (o for o in apex("orders", "--json").data["orders"] if o["role"] == "ENTRY")
        assert Decimal(order["limit_price"]) == Decimal(limit)
        apex("run", "--max-cycles", "1")
    reported = apex("explain", "one").out
    assert "entry for 14 moved from 50.00 to 50.10" in reported


@pytest.mark.parametrize(
    ("management", "key", "words"),
    [
        ("trailing: {activate_at_r: 1}", "management.trailing.distance_r", "needs one distance, found 0"),
        ("trailing: {distance_r: 1}", "management.trailing.activate_at_r", "a distance alone starts nothing"),
        ("strategies: {orb: {flat_at_close: 0}}", "management.strategies.orb.flat_at_close", "from 1 to 300"),
        ("strategies: {orb: {flat_at_clos: 5}}", "management.strategies.orb.flat_at_clos", "did you mean"),
        ("strategies: {orb: 5}", "management.strategies.orb", "a section takes keys below it"),
        ("strategies: {5: {}}", "management.strategies.5", "put one that looks like a number in quotes"),
        ("strategies: [orb]", "management.strategies", "a section takes keys below it"),
        ("breakeven_at_r: 1, breakeven_offset_r: 1", "management.breakeven_offset_r", "cannot be placed"),
        (
            "strategies: {orb: {scale_out: {targets_r: [2, 1]}}}",
            "management.strategies.orb.scale_out.targets_r",
            "targets must rise",
        ),
        ("scale_out: {targets_r: [1, 2], fractions: [0.5]}", "management.scale_out.fractions", "1 fractions for 2"),
        ("scale_out: {targets_r: [1, 2], fractions: [0.6, 0.6]}", "management.scale_out.fractions", "add up to 1.2"),
        ("scale_out: {targets_r: [1, 0]}", "management.scale_out.targets_r[1]", "above 0"),
    ],
)
def test_a_wrong_plan_is_named_with_what_to_do(
    here: Path, apex_json: Any, management: str, key: str, words: str
) -> None:
    (here / "config.yaml").write_text(f"management: {{{management}}}")
    answer = apex_json("positions")
    assert answer.status == 3
    (problem,) = answer.error["details"]["problems"]
    assert problem["key"] == key
    assert words in problem["message"]


def test_a_strategy_keeps_what_it_does_not_change(here: Path) -> None:
    (here / "config.yaml").write_text(
        "management: {breakeven_at_r: 1, trailing: {activate_at_r: 2, distance_r: 1}, "
        "strategies: {orb: {trailing: {distance_r: 0.5}, breakeven_at_r: null}}}"
    )
    management = load_settings(None, environ={}, cwd=here).management
    assert management.plan_for("orb").trailing == TrailingStop(activate_at_r=Decimal(2), distance_r=Decimal("0.5"))
    assert management.plan_for("orb").breakeven_at_r is None
    assert management.plan_for("other").breakeven_at_r == 1


def test_a_variable_sets_the_common_rule_for_every_strategy_that_says_nothing(here: Path) -> None:
    (here / "config.yaml").write_text("management: {strategies: {orb: {flat_at_close: 5}}}")
    settings = load_settings(None, environ={"APEX_MANAGEMENT__BREAKEVEN_AT_R": "1.5"}, cwd=here)
    assert settings.management.plan_for("orb").breakeven_at_r == Decimal("1.5")


def test_too_large_a_step_is_named(here: Path, apex_json: Any) -> None:
    (here / "config.yaml").write_text("execution: {reprice: {step_pct: 0.01}}")
    (problem,) = apex_json("positions").error["details"]["problems"]
    assert (problem["key"], problem["allowed"]) == ("execution.reprice.step_pct", "at most 0.003")
