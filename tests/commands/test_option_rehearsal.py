"""Options rehearsed in simulation, from signal to expiry; prices and P&L are worked out here anew."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.market.calendar import NEW_YORK, session_bounds

CONFIG = """
execution: {auto_execute: true}
risk: {capital: 10000, max_position_pct: 0.2, max_risk_pct: 0.05, min_reward_risk: 0.1, max_price_deviation_pct: 0.05}
prices: {bars_dir: bars, options: {volatility: 0.3}}
simulation: {clock: bars, start: 2024-01-02, commission: none}
signals: {files: [s.jsonl]}
"""
EXPIRY = "2024-01-19"


def theory(right: str, spot: float, strike: float, days: float, volatility: float = 0.3) -> float:
    """Return the mean of what the option pays over the lognormal prices of its expiry, summed up numerically."""
    deviation = volatility * math.sqrt(days / 365)
    steps, total = 20_000, 0.0
    for number in range(steps):
        z = -8 + 16 * (number + 0.5) / steps
        price = spot * math.exp(-deviation * deviation / 2 + deviation * z)
        pays = max(price - strike, 0) if right == "C" else max(strike - price, 0)
        total += pays * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * 16 / steps
    return round(total, 2)


def test_the_sum_gives_what_books_print() -> None:
    """S 42, K 40, half a year, 20 %: 4.76 and 0.81 at 10 % interest, which is a forward of 44.15 here."""
    forward = 42 * math.exp(0.05)
    assert round(theory("C", forward, 40, 182.5, 0.2) * math.exp(-0.05), 2) == pytest.approx(4.76, abs=0.01)
    assert round(theory("P", forward, 40, 182.5, 0.2) * math.exp(-0.05), 2) == pytest.approx(0.81, abs=0.01)


def bars(folder: Path, closes: dict[str, float]) -> None:
    """Write daily bars of XX that open and close at *closes*; between two dates the price stays."""
    folder.mkdir()
    rows, last = ["date,open,high,low,close,volume"], 100.0
    day = date(2024, 1, 2)
    while day <= date(2024, 1, 31):
        if session_bounds(day):
            last = closes.get(day.isoformat(), last)
            rows.append(f"{day},{last},{last},{last},{last},100000")
        day += timedelta(days=1)
    (folder / "XX.csv").write_text("\n".join(rows) + "\n")


def signal(kind: str, strike: float, entry: float, stop: float, target: float, **more: Any) -> str:
    row = {
        "signal_id": "one", "symbol": "XX", "expiry": EXPIRY, "strike": strike, "right": kind.partition("_")[2][0],
        "signal_type": kind, "entry_price": entry, "stop_loss": stop, "target_price": target, "confidence": 0.8,
        "timestamp": "2024-01-02T15:00:00-05:00", **more,
    }  # fmt: skip
    return json.dumps(row) + "\n"


def left(day: str) -> float:
    """Return the days from the close of *day* to the expiry."""
    ends = [datetime.fromisoformat(f"{when}T16:00").replace(tzinfo=NEW_YORK) for when in (day, EXPIRY)]
    return (ends[1] - ends[0]).total_seconds() / 86_400


def prepare(here: Path, closes: dict[str, float], line: str, config: str = CONFIG, *, is_halted: bool = False) -> None:
    """Write what a run needs; with *is_halted* nothing trades on the last day, or the stop would meet the way to 0."""
    bars(here / "bars", closes)
    if is_halted:
        kept = (here / "bars" / "XX.csv").read_text().splitlines(keepends=True)
        (here / "bars" / "XX.csv").write_text("".join(row for row in kept if not row.startswith(EXPIRY)))
    (here / "config.yaml").write_text(config)
    (here / "s.jsonl").write_text(line)


@pytest.mark.parametrize(
    ("kind", "end", "value"),
    [("LONG_CALL", 106, 6), ("LONG_CALL", 99, 0), ("LONG_PUT", 93.5, 6.5), ("LONG_PUT", 101, 0)],
)
def test_from_the_signal_to_the_expiry(
    here: Path, apex_json: Callable[..., Any], kind: str, end: float, value: float
) -> None:
    how = "exercised" if value else "expired"
    entry = theory(kind.partition("_")[2][0], 100, 100, left("2024-01-02"))
    prepare(here, {"2024-01-18": end}, signal(kind, 100, entry, 0.05, 9), is_halted=not value)
    decided = apex_json("run", "--once")
    (row,) = decided.data["signals"]
    quantity = row["quantity"]
    assert (row["outcome"], quantity > 0) == ("executed", True)
    assert "theoretical_price" in [warning["code"] for warning in decided.envelope["warnings"]]
    apex_json("run", "--once", "--bars-until", "2024-01-10")
    (held,) = apex_json("positions").data["positions"]
    assert float(held["current_price"]) == theory(kind.partition("_")[2][0], 100, 100, left("2024-01-10"))
    assert (held["theoretical"], held["days_left"]) == (True, 9)
    apex_json("run", "--once", "--bars-until", "2024-01-31")
    (trip,) = apex_json("history").data["round_trips"]
    assert (float(trip["entry_price"]), float(trip["exit_price"]), trip["exit_reason"]) == (entry, value, how)
    assert float(trip["pnl"]) == pytest.approx((value - entry) * 100 * quantity, abs=0.005)
    assert apex_json("run", "--once").data["summary"]["cash"] == f"{10_000 + (value - entry) * 100 * quantity:.2f}"
    assert apex_json("orders").data["orders"] == []


def test_it_is_closed_before_expiry_by_rule(here: Path, apex_json: Callable[..., Any]) -> None:
    entry = theory("C", 100, 100, left("2024-01-02"))
    rule = CONFIG + "management: {options: {exit_before_expiry: 5d}}\n"
    prepare(here, {"2024-01-09": 102}, signal("LONG_CALL", 100, entry, 0.05, 9), rule)
    apex_json("run", "--once")
    apex_json("run", "--once", "--bars-until", "2024-01-31")
    (trip,) = apex_json("history").data["round_trips"]
    assert (trip["exit_reason"], trip["exit_time"][:10]) == ("before_expiry", "2024-01-12")  # the 14th is a Sunday
    assert float(trip["exit_price"]) == theory("C", 102, 100, left("2024-01-12"))


def test_a_stop_meets_the_theoretical_price(here: Path, apex_json: Callable[..., Any]) -> None:
    entry = theory("C", 100, 100, left("2024-01-02"))
    prepare(here, {"2024-01-04": 97}, signal("LONG_CALL", 100, entry, 1.5, 9))
    apex_json("run", "--once")
    apex_json("run", "--once", "--bars-until", "2024-01-10")
    (trip,) = apex_json("history").data["round_trips"]
    opening = theory("C", 97, 100, left("2024-01-04") + 6.5 / 24)
    assert (trip["exit_reason"], float(trip["exit_price"])) == ("stop", opening)


def test_bars_of_the_contract_come_before_the_model(here: Path, apex_json: Callable[..., Any]) -> None:
    prepare(here, {"2024-01-19": 106}, signal("LONG_CALL", 100, 2.4, 0.5, 9))
    rows = (here / "bars" / "XX.csv").read_text().replace("100.0,", "2.4,").splitlines()
    (here / "bars" / "XX240119C00100000.csv").write_text("\n".join(rows[:10]) + "\n")
    decided = apex_json("run", "--once")
    assert [warning["code"] for warning in decided.envelope["warnings"]] == []
    apex_json("run", "--once", "--bars-until", "2024-01-10")
    (held,) = apex_json("positions").data["positions"]
    assert (float(held["current_price"]), held["theoretical"]) == (2.4, False)


def test_the_volatility_is_that_of_the_last_closes(here: Path, apex_json: Callable[..., Any]) -> None:
    moves = [100, 101, 99, 102, 100, 103, 100, 101]
    days = [day for day in (date(2024, 1, 2) + timedelta(days=n) for n in range(30)) if session_bounds(day)]
    config = CONFIG.replace(", options: {volatility: 0.3}", "").replace("start: 2024-01-02", f"start: {days[7]}")
    prepare(here, {}, "", config)
    rows = [f"{day},{p},{p},{p},{p},1" for day, p in zip(days, (*moves, *[101] * 30), strict=False)]
    (here / "bars" / "XX.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    returns = [math.log(b / a) for a, b in itertools.pairwise(moves)]
    mean = sum(returns) / 7
    volatility = math.sqrt(sum((r - mean) ** 2 for r in returns) / 6 * 252)
    price = theory("P", 101, 100, left(days[7].isoformat()), volatility)
    (here / "s.jsonl").write_text(signal("LONG_PUT", 100, price, 0.5, 9, timestamp=f"{days[7]}T15:00:00-05:00"))
    apex_json("run", "--once")
    (held,) = apex_json("positions").data["positions"]
    assert float(held["entry_price"]) == price


def test_a_price_that_never_moved_prices_nothing(here: Path, apex_json: Callable[..., Any]) -> None:
    prepare(here, {}, signal("LONG_CALL", 100, 2.5, 2, 4), CONFIG.replace(", options: {volatility: 0.3}", ""))
    decided = apex_json("run", "--once")
    assert [warning["code"] for warning in decided.envelope["warnings"]] == ["price_from_signal"]


RULED = {"expiry": None, "strike": None, "right": None}


def by_rule(kind: str, levels: tuple[float, float, float], **more: Any) -> str:
    row = json.loads(signal(kind, 0, *levels, **more))
    return json.dumps({name: value for name, value in row.items() if name not in RULED}) + "\n"


def test_a_contract_is_chosen_by_days_and_delta(here: Path, apex_json: Callable[..., Any]) -> None:
    prepare(here, {}, by_rule("LONG_CALL", (100, 98, 106), option={"dte": "30-45", "delta": 0.4}))
    (row,) = apex_json("run", "--once").data["signals"]
    # Of the Fridays from day 30 to 45, 2024-02-02 (31) and 2024-02-09 (38), the second is nearest to the middle.
    assert (row["outcome"], row["symbol"]) == ("executed", "XX"), row["reasons"]
    (held,) = apex_json("positions").data["positions"]
    days = 38.0
    premium = theory("C", 100, 102.5, days)
    deviation = 0.3 * math.sqrt(days / 365)
    weight = round(0.5 * (1 + math.erf((math.log(100 / 102.5) / deviation + deviation / 2) / math.sqrt(2))), 2)
    assert held["symbol"] == "XX@options 2024-02-09 C102.5"
    assert float(held["entry_price"]) == pytest.approx(premium, abs=0.011)
    assert float(held["stop_price"]) == pytest.approx(premium - weight * 2, abs=0.02)
    assert float(held["target_prices"][0]) == pytest.approx(premium + weight * 6, abs=0.02)
    told = apex_json("explain", "one").data
    assert "30-45 days, delta 0.4" in json.dumps(told)


def test_without_a_delta_it_is_the_nearest_strike(here: Path, apex_json: Callable[..., Any]) -> None:
    config = CONFIG.replace("signals: {files: [s.jsonl]}", "signals: {files: [s.jsonl], option: {dte: 7-14}}")
    prepare(here, {}, by_rule("LONG_PUT", (100, 102, 94)), config)
    apex_json("run", "--once")
    (held,) = apex_json("positions").data["positions"]
    assert held["symbol"] == "XX@options 2024-01-12 P100"


@pytest.mark.parametrize(
    ("kind", "levels", "option", "why"),
    [
        (
            "LONG_CALL",
            (100, 98, 106),
            {"dte": "46-50"},
            "46-50 days; listed: 2024-02-16 (45 days)",
        ),
        ("LONG_CALL", (100, 60, 190), {"dte": "7", "delta": 0.4}, "no contract expires in 7 days"),
        ("LONG_CALL", (100, 60, 190), {"dte": "7-20"}, "is more than its price of"),
        ("LONG_PUT", (100, 98, 106), {"dte": "7-20"}, "those do not fit LONG_PUT"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(  # noqa: PLR0917 - fixtures, and a row of a table
    here: Path, apex_json: Callable[..., Any], kind: str, levels: tuple[float, float, float], option: Any, why: str
) -> None:
    prepare(here, {}, by_rule(kind, levels, option=option))
    (row,) = apex_json("run", "--once").data["signals"]
    assert (row["outcome"], row["reasons"][0]["code"]) == ("refused", "no_option_fits")
    assert why in row["reasons"][0]["message"]


def test_a_delta_needs_a_volatility(here: Path, apex_json: Callable[..., Any]) -> None:
    config = CONFIG.replace(", options: {volatility: 0.3}", "")
    prepare(here, {}, by_rule("LONG_CALL", (100, 98, 106), option={"delta": 0.4}), config)
    (row,) = apex_json("run", "--once").data["signals"]
    assert "set prices.options.volatility" in row["reasons"][0]["message"]


@pytest.mark.parametrize(
    "option", [{"dte": "soon"}, {"dte": "45-30"}, {"delta": 1.5}, {"days": 30}, 30, {"delta": "much"}]
)
def test_a_rule_that_cannot_be_read_is_invalid(here: Path, apex_json: Callable[..., Any], option: Any) -> None:
    prepare(here, {}, by_rule("LONG_CALL", (100, 98, 106), option=option))
    (row,) = apex_json("run", "--once").data["signals"]
    assert (row["outcome"], row["reasons"][0]["code"]) == ("invalid", "signal_invalid")


def test_a_contract_and_a_rule_exclude_each_other(here: Path, apex_json: Callable[..., Any]) -> None:
    prepare(here, {}, signal("LONG_CALL", 100, 2.58, 1, 9, option={"dte": "30-45"}))
    (row,) = apex_json("run", "--once").data["signals"]
    assert (row["outcome"], "none is to be chosen" in row["reasons"][0]["message"]) == ("invalid", True)


@pytest.mark.parametrize("is_model", [True, False], ids=["by a model", "by bars of its own"])
def test_prices_of_a_model_are_marked_wherever_they_are_shown(
    here: Path, apex: Callable[..., Any], apex_json: Callable[..., Any], *, is_model: bool
) -> None:
    rule = CONFIG + "management: {options: {exit_before_expiry: 5d}}\n"
    prepare(here, {}, signal("LONG_CALL", 100, theory("C", 100, 100, left("2024-01-02")), 0.05, 9), rule)
    if not is_model:
        rows = (here / "bars" / "XX.csv").read_text().replace("100.0,", f"{theory('C', 100, 100, 17)},")
        (here / "bars" / "XX240119C00100000.csv").write_text(rows)
    apex_json("run", "--once")
    assert ("* theoretical" in apex("positions").out) is is_model
    apex_json("run", "--once", "--bars-until", "2024-01-31")
    (trip,) = apex_json("history").data["round_trips"]
    assert trip["theoretical"] is is_model
    assert ("* theoretical, by a model" in apex("history").out) is is_model
    story = apex("explain", "one").out
    assert (story.count("*") > 2, "* theoretical, by a model" in story) == (is_model, is_model)
    for what, last in (("trades", "theoretical"), ("fills", "theoretical")):
        head, *rows = apex("export", what).out.strip().splitlines()
        assert head.split(",")[-1] == last
        assert {row.split(",")[-1] for row in rows} == {str(is_model).lower()}
    apex("report", "--html", "page.html")
    assert ("* theoretical, by a model" in (here / "page.html").read_text()) is is_model
    (journal,) = (here / "state" / "journal").glob("*.jsonl")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    fills = [event["data"].get("is_theoretical", False) for event in events if event["kind"] == "fill"]
    assert fills == [is_model, is_model]
    replayed = apex("replay", "--bars", "bars", "--signals", "s.jsonl").out
    assert ("* theoretical, by a model" in replayed) is is_model
