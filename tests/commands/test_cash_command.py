"""Money that is paid in or taken out changes the base, never what was lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(("line", "equity"), [(("in", "2000"), "5,000.00"), (("OUT", "1200"), "1,800.00")])
def test_the_day_and_the_peak_move_with_it(
    demo: Path, apex_json: Callable[..., Any], line: tuple[str, str], equity: str
) -> None:
    del demo
    apex_json("run", "--once", "--manual")
    answer = apex_json("cash", *line, "--reason", "savings")
    assert answer.status == 0
    assert f"{float(answer.data['equity']):,.2f}" == equity
    later = apex_json("approve", "--all", "--yes")
    assert "executed" in str(later.data)
    assert "daily_loss" not in str(later.data)


def test_more_than_there_is_cannot_be_taken_out(demo: Path, apex_json: Callable[..., Any]) -> None:
    del demo
    answer = apex_json("cash", "out", "3001")
    assert (answer.status, answer.error["code"]) == (2, "not_enough_cash")
    assert answer.error["message"] == "3,001.00 USD cannot be taken out: there is 3,000.00 USD in cash."


@pytest.mark.usefixtures("demo")
def test_amounts_are_shown_with_cents(apex: Callable[..., Any]) -> None:
    shown = apex("cash", "in", "10.1234").out
    assert "Equity is   3,010.12 USD" in shown


@pytest.mark.usefixtures("demo")
def test_an_amount_that_many_read_as_thousands_moves_nothing(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("cash", "in", "5.000")
    assert answer.status == 2
    assert "'5.000' may mean 5.00 or 5000" in answer.error["message"]


def test_what_the_day_came_to_is_what_trading_came_to_whatever_is_paid_in(
    demo: Path, apex: Callable[..., Any], apex_json: Callable[..., Any]
) -> None:
    """Two entries cost 2.00; 27,000.00 more in the account lose nothing more."""
    del demo
    apex_json("run", "--once")
    before = apex_json("status").data
    apex_json("cash", "in", "27000")
    after = apex_json("status").data
    assert (before["day_pnl"], after["day_pnl"], after["equity"]) == ("-2.00", "-2.00", "29998.00")
    apex_json("cash", "out", "12000.01")
    assert apex_json("status").data["day_pnl"] == "-2.00"
    shown = apex("state", "reset-peak", "--yes").out
    assert "Peak is   17,997.99 USD" in shown
    assert apex_json("status").data["day_pnl"] == "0.00"


def test_a_real_account_is_refused(demo: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    del demo
    monkeypatch.setenv("APEX_EXECUTION__SIMULATION_MODE", "false")
    answer = apex_json("cash", "in", "100")
    assert (answer.status, answer.error["code"]) == (2, "cash_not_simulated")


def test_the_peak_is_reset_on_purpose_and_the_reason_is_kept(demo: Path, apex_json: Callable[..., Any]) -> None:
    apex_json("run", "--once")
    assert apex_json("state", "reset-peak").error["code"] == "confirmation_needed"
    answer = apex_json("state", "reset-peak", "--yes", "--reason", "moved to savings")
    assert answer.status == 0
    assert answer.data["was"] == "3000.00"
    journal = "".join(path.read_text() for path in (demo / "state" / "journal").glob("*.jsonl"))
    assert '"marks_reset"' in journal
    assert "moved to savings" in journal
