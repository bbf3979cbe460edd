"""``apex approve``: answers from a script, looked at again at the moment of the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("traded")


@pytest.fixture
def waiting(apex_json: Callable[..., Any], traded: Path) -> str:
    """Return the id of what waits."""
    assert traded.exists()
    (approval,) = apex_json("approve").data["approvals"]
    found: str = approval["approval_id"]
    return found


def status_of(apex_json: Callable[..., Any], approval_id: str) -> tuple[str, str]:
    answer = apex_json("approve", approval_id)
    (row,) = answer.data["approvals"]
    return row["status"], row["reason"]


def test_the_list_shows_was_and_now_and_changes_nothing(apex_json: Callable[..., Any], traded: Path) -> None:
    before = (traded / "state" / "state.json").read_bytes()
    (row,) = apex_json("approve").data["approvals"]
    assert row["status"] == "pending"
    assert row["was"]["kind"] == "queue"
    assert row["now"]["kind"] == "execute"
    assert row["was"]["price"] == row["now"]["price"] == "96.79"
    assert (traded / "state" / "state.json").read_bytes() == before


def test_yes_executes_with_protection(apex_json: Callable[..., Any], waiting: str) -> None:
    answer = apex_json("approve", waiting, "--yes")
    assert answer.status == 0
    assert answer.data["approvals"][0]["status"] == "executed"
    positions = apex_json("positions").data["positions"]
    ibm = next(row for row in positions if row["symbol"] == "IBM")
    assert (ibm["side"], ibm["quantity"], ibm["protected_quantity"]) == ("short", 1, 1)


def test_the_end_of_an_id_is_enough(apex_json: Callable[..., Any], waiting: str) -> None:
    assert apex_json("approve", waiting[-6:].lower(), "--yes").status == 0


def test_no_is_kept_with_its_reason(apex_json: Callable[..., Any], waiting: str) -> None:
    answer = apex_json("approve", waiting, "--reject", "--reason", "earnings tonight")
    assert answer.data["approvals"][0]["status"] == "rejected"
    assert status_of(apex_json, waiting) == ("rejected", "earnings tonight")
    assert [row["symbol"] for row in apex_json("positions").data["positions"]] == ["AAPL", "MSFT"]
    story = apex_json("explain", "demo-3-ibm-short").data["stories"][0]
    assert [step["status"] for step in story["approvals"]] == ["pending", "rejected"]


def test_the_second_answer_changes_nothing(apex_json: Callable[..., Any], waiting: str) -> None:
    assert apex_json("approve", waiting, "--reject").status == 0
    late = apex_json("approve", waiting, "--yes")
    assert late.status == 8
    assert late.error["code"] == "already_answered"
    assert "rejected by terminal already" in late.error["message"]
    assert len(apex_json("positions").data["positions"]) == 2


def test_another_quantity_is_taken_when_the_rules_allow_it(
    apex_json: Callable[..., Any], waiting: str, traded: Path
) -> None:
    config = traded / "config.yaml"
    config.write_text(config.read_text().replace("max_position_pct: 0.05", "max_position_pct: 0.5"))
    answer = apex_json("approve", waiting, "--yes", "--quantity", "3")
    assert answer.status == 0
    assert answer.data["approvals"][0]["quantity"] == 3
    ibm = next(row for row in apex_json("positions").data["positions"] if row["symbol"] == "IBM")
    assert ibm["quantity"] == ibm["protected_quantity"] == 3


@pytest.mark.parametrize("quantity", ["1000", "0.5"])
def test_a_quantity_that_breaks_a_rule_is_refused_and_stays_pending(
    apex_json: Callable[..., Any], waiting: str, quantity: str
) -> None:
    answer = apex_json("approve", waiting, "--yes", "--quantity", quantity)
    assert answer.status == 4
    assert answer.error["details"]["is_void"] is False
    assert status_of(apex_json, waiting)[0] == "pending"
    assert len(apex_json("positions").data["positions"]) == 2


def test_nobody_answering_in_time_is_a_no(apex_json: Callable[..., Any], waiting: str) -> None:
    apex_json("run", "--once", "--bars-until", "2004-02-27")
    assert status_of(apex_json, waiting) == ("expired", "Nobody answered in time.")
    late = apex_json("approve", waiting, "--yes")
    assert late.status == 8
    assert "expired" in late.error["message"]


def test_time_alone_is_enough_to_expire(apex_json: Callable[..., Any], waiting: str, traded: Path) -> None:
    config = traded / "config.yaml"
    config.write_text(config.read_text().replace("clock: bars", "clock: system"))
    assert apex_json("approve").status == 8
    answer = apex_json("approve", waiting, "--yes")
    assert answer.status == 4
    assert "expired" in answer.error["message"]
    assert apex_json("approve", waiting, "--yes").error["code"] == "already_answered"
    assert len(apex_json("positions").data["positions"]) == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--yes",), "approve_what"),
        (("--reject",), "approve_what"),
        (("--yes", "--reject", "--all"), "yes_and_no"),
        (("ABCD", "--all", "--yes"), "approve_what"),
        (("--all", "--yes", "--quantity", "2"), "quantity_for_one"),
        (("ABCD", "--quantity", "2"), "quantity_for_one"),
        (("ABCD", "--yes"), "approval_unknown"),
        (("0", "--yes"), "approval_unknown"),
        (("", "--yes"), "approval_unknown"),
    ],
)
def test_options_that_do_not_fit_are_reported(
    apex_json: Callable[..., Any], options: tuple[str, ...], code: str
) -> None:
    answer = apex_json("approve", *options)
    assert answer.status == 2
    assert answer.error["code"] == code
    assert answer.error["hint"]


def test_a_person_reads_the_whole_opportunity(apex: Callable[..., Any], waiting: str) -> None:
    answer = apex("approve", waiting)
    for words in ("SELL 1 IBM", "mean_reversion", "96.79 / 99.20", "Reward:risk", "Expires", "Was", "Now"):
        assert words in answer.out


def test_what_was_answered_is_not_shown_as_if_it_waited(apex: Callable[..., Any], waiting: str) -> None:
    assert "Answer " not in apex("approve", waiting).out
    apex("approve", waiting, "--reject", "--reason", "too late")
    shown = apex("approve", waiting).out
    assert "Answer        rejected. By terminal" in shown
    assert "too late" in shown
