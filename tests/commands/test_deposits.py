"""A deposit and a withdrawal of 40 % on a day with a real loss of 3 %: what is lost stays 3 %, the caps move along."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.limits import CommissionPlan
from kit.gateway import GatewayThread

# 100,000 buy 1,000 shares at 50, which fall to 47: 3,000 are lost, 97,000 are left. 40 % of them are 38,800.
MOVES = [
    # amount, equity after it, day's opening value and peak after it (100,000 * equity / 97,000), shares at a risk of 2
    (-38_800, 58_200, 60_000, 291),
    (38_800, 135_800, 140_000, 679),
]
WHEN = ("2026-11-17", "2026-11-18", "2026-11-19")


def write_signal(folder: Path, name: str, at: str, *, symbol: str, stop: int, target: int) -> None:
    signal = {
        "signal_id": name,
        "symbol": symbol,
        "signal_type": "BUY",
        "entry_price": 50,
        "stop_loss": stop,
        "target_price": target,
        "confidence": 0.8,
        "timestamp": at,
    }
    (folder / f"{name}.json").write_text(json.dumps([signal]))


def write_config(folder: Path, rest: str, *, risk: str, daily: str = "0.1", drawdown: str = "0.25") -> None:
    (folder / "config.yaml").write_text(
        f"risk: {{capital: 100000, capital_base: equity, max_risk_pct: {risk}, max_position_pct: 0.5, "
        f"max_daily_loss_pct: {daily}, max_drawdown_pct: {drawdown}, enforce_market_hours: false}}\n{rest}"
    )


def judge(
    folder: Path, apex_json: Callable[..., Any], rest: str, at: str, *, equity: int, start: int, shares: int
) -> None:
    """Try the limits just at the loss, and just above it."""
    lost = f"3 % ({start - equity:.2f} USD)"
    for number, (daily, drawdown, code) in enumerate((("0.03", "0.25", "daily_loss"), ("0.1", "0.03", "drawdown"))):
        write_config(folder, rest, risk="0.01", daily=daily, drawdown=drawdown)
        write_signal(folder, f"r{number}", at, symbol="MSFT", stop=48, target=56)
        (signal,) = apex_json("run", "--once", "--signals", f"r{number}.json").data["signals"]
        (reason,) = signal["reasons"]
        assert (reason["code"], reason["value"].replace(".00", "").replace(",", ""), reason["limit"]) == (
            code,
            lost.replace(".00", ""),
            "below 3 %",
        )
    write_config(folder, rest, risk="0.01", daily="0.0301", drawdown="0.0301")
    write_signal(folder, "last", at, symbol="MSFT", stop=48, target=56)
    (signal,) = apex_json("run", "--once", "--signals", "last.json").data["signals"]
    assert (signal["outcome"], signal["quantity"]) == ("executed", shares), signal["reasons"]


@pytest.mark.parametrize(("amount", "equity", "start", "shares"), MOVES)
def test_in_simulation(  # noqa: PLR0917 - one row of figures
    here: Path, apex_json: Callable[..., Any], amount: int, equity: int, start: int, shares: int
) -> None:
    (here / "bars").mkdir()
    for symbol, closes in (("AAPL", (50, 50, 47)), ("MSFT", (50, 50, 50))):
        rows = [f"{day},{close},{close},{close},{close},1000000" for day, close in zip(WHEN, closes, strict=True)]
        (here / "bars" / f"{symbol}.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    rest = (
        "execution: {auto_execute: true}\nprices: {bars_dir: bars}\n"
        f"simulation: {{clock: bars, start: {WHEN[1]}, commission: none, buying_power_multiple: 4}}\n"
    )
    write_config(here, rest, risk="0.05")
    write_signal(here, "first", f"{WHEN[1]}T15:55:00-05:00", symbol="AAPL", stop=45, target=60)
    (bought,) = apex_json("run", "--once", "--signals", "first.json").data["signals"]
    assert (bought["outcome"], bought["quantity"]) == ("executed", 1000)
    assert apex_json("run", "--once", "--bars-until", WHEN[2]).data["summary"]["equity"] in {"97000", "97000.00"}
    moved = apex_json("cash", "in" if amount > 0 else "out", str(abs(amount)))
    assert float(moved.data["equity"]) == equity
    judge(here, apex_json, rest, f"{WHEN[2]}T15:55:00-05:00", equity=equity, start=start, shares=shares)


@pytest.fixture
def venue() -> Iterator[tuple[GatewayThread, list[timedelta]]]:
    """Run a venue whose clock is late by the one value of a list."""
    late = [timedelta(minutes=20)]
    clock = SystemClock()
    made = GatewayThread(
        prices={"AAPL": "50", "MSFT": "50"}, cash="100000", plan=CommissionPlan.NONE, now=lambda: clock.now() - late[0]
    )
    made.start()
    yield made, late
    made.close()


@pytest.mark.parametrize("library", ["ib_insync", "ib_async"])
@pytest.mark.parametrize(("amount", "equity", "start", "shares"), MOVES)
def test_over_the_wire(  # noqa: PLR0917 - one row of figures
    here: Path,
    apex_json: Callable[..., Any],
    venue: tuple[GatewayThread, list[timedelta]],
    library: str,
    amount: int,
    equity: int,
    start: int,
    shares: int,
) -> None:
    gateway, late = venue
    rest = (
        "execution: {simulation_mode: false, auto_execute: true}\n"
        f"broker: {{ib: {{library: {library}, ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    write_config(here, rest, risk="0.05")
    write_signal(here, "first", at, symbol="AAPL", stop=45, target=60)
    (bought,) = apex_json("run", "--once", "--signals", "first.json").data["signals"]
    assert (bought["outcome"], bought["quantity"]) == ("executed", 1000), bought["reasons"]
    late[0] = timedelta()
    gateway.set_price("AAPL", "47")
    assert float(apex_json("run", "--once").data["summary"]["equity"]) == 97_000
    gateway.move_cash(amount)
    assert apex_json("reconcile").status == 0
    judge(here, apex_json, rest, at, equity=equity, start=start, shares=shares)
    journal = "".join(path.read_text() for path in (here / "state" / "journal").glob("*.jsonl"))
    assert journal.count('"cash_moved"') == 1


def test_a_loss_of_a_currency_pair_is_a_loss_and_no_withdrawal(
    here: Path, apex_json: Callable[..., Any], venue: tuple[GatewayThread, list[timedelta]]
) -> None:
    gateway, late = venue
    gateway.set_price("USD.JPY", "150")
    rest = (
        "execution: {simulation_mode: false, auto_execute: true}\n"
        f"broker: {{ib: {{ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    risk = "max_position_pct: 1, max_risk_pct: 0.3, max_open_risk_pct: 0.5, enforce_market_hours: false"
    config = f"risk: {{capital: 100000, {risk}, max_daily_loss_pct: 0.03}}\n{rest}"
    (here / "config.yaml").write_text(config)
    signal = {"symbol": "USDJPY", "signal_type": "BUY", "confidence": 0.8}
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    rows = [{**signal, "signal_id": "yen", "timestamp": at, "entry_price": 150, "stop_loss": 140, "target_price": 170}]
    (here / "s.json").write_text(json.dumps(rows))
    (bought,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert (bought["outcome"], bought["quantity"]) == ("executed", 100_000), bought["reasons"]
    late[0] = timedelta()
    # 100,000 * 5 yen at 145 are 3,448.28 USD, and the debt of 15,000,000 yen weighs as much more.
    gateway.set_price("USD.JPY", "145")
    assert apex_json("reconcile").status == 0
    assert round(float(apex_json("run", "--once").data["summary"]["equity"]), 2) == 96_551.72
    write_signal(here, "next", at, symbol="MSFT", stop=48, target=56)
    (refused,) = apex_json("run", "--once", "--signals", "next.json").data["signals"]
    assert "daily_loss" in {reason["code"] for reason in refused["reasons"]}
    journal = "".join(path.read_text() for path in (here / "state" / "journal").glob("*.jsonl"))
    assert '"cash_moved"' not in journal


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (("--mode", "paper"), "capital_base: lower_of_both"),
        (("--mode", "paper", "--base", "Equity"), "capital_base: equity"),
        (("--mode", "paper", "--base", "lower_of_both"), "capital_base: lower_of_both"),
        (("--mode", "simulation"), ""),
    ],
)
def test_a_first_configuration_for_a_broker_proposes_the_lower_of_capital_and_worth(
    here: Path, apex_json: Callable[..., Any], options: tuple[str, ...], written: str
) -> None:
    assert apex_json("init", "mine", "--yes", *options).status == 0
    text = (here / "mine" / "config.yaml").read_text()
    assert (written in text) if written else ("capital_base" not in text)


def test_another_base_is_refused(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("init", "mine", "--mode", "paper", "--base", "all", "--yes")
    assert (answer.status, answer.error["code"]) == (2, "usage")
    assert "none of lower, equity, fixed" in answer.error["message"]
