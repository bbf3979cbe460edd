"""What people and scripts are shown of what was learned."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from apex_cli.core.learning.audit import Audit
from apex_cli.core.learning.learners import put_in_force, suspend
from apex_cli.core.model.learning import DEFAULT_WEIGHTS, LearningLimits, LearningMode, StrategyValue, WeightsVersion
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Expectation
from apex_cli.core.state.tables import State
from apex_cli.presenters.explain import expected_line
from apex_cli.presenters.learn import status_blocks, status_data
from apex_cli.presenters.screen.blocks import Fields, Grid, Line
from apex_cli.presenters.status import learning_lines
from kit import START

D = Decimal
PROTECT = LearningLimits(mode=LearningMode.PROTECT)


def learned() -> State:
    """Return a state with one value in force, and ten lessons of which something was expected."""
    state = State()
    values = {"equity/breakout": StrategyValue(mean=D("0.12"), sd=D("0.10"), loses=D("0.1151"), trades=45, followed=80)}
    weights = replace(DEFAULT_WEIGHTS, values=values, estimated_at=START)
    version = WeightsVersion(version=1, made_at=START, weights=weights, cause="values", why="Expected.")
    put_in_force(state, version, DEFAULT_WEIGHTS, state.learning, START)
    for number in range(10):
        expected = D("-0.1") if number < 5 else D("0.2")
        state.lessons[str(number)] = Lesson(
            round_trip_id=str(number),
            seq=number,
            side=PositionSide.LONG,
            closed_at=START,
            r=D(2 if number % 2 else -1),
            conditions=EntryConditions(score=D("0.4"), expected_r=expected, default_r=D(0)),
            is_followed=number % 5 == 0,
        )
    return state


def cells(block: Any) -> list[list[str]]:
    return [[cell.text for cell in row] for row in block.rows]


def test_status_shows_values_with_their_interval_and_expected_beside_realised_r() -> None:
    fields, weights, values, table = status_blocks(learned(), LearningLimits())
    assert isinstance(fields, Fields)
    assert isinstance(weights, Grid)
    assert cells(values) == [["equity/breakout", "+0.12", "-0.04..+0.28", "12%", "45", "80"]]
    assert [row[:1] + row[3:] for row in cells(table)] == [["-0.10", "4", "1"], ["+0.20", "4", "1"]]
    data = status_data(learned(), LearningLimits())
    assert (data["lessons"], data["followed"]) == (8, 2)
    assert data["values"][0]["loses"] == D("0.1151")
    assert [row["expected"] for row in data["calibration"]] == [D("-0.1"), D("0.2")]


def test_learning_that_switched_itself_off_says_since_when_and_why() -> None:
    state = learned()
    assert learning_lines(state.learning) == ()
    suspend(state, Audit(gain=D(-1), low=D(-2), high=D("-0.1"), lessons=120, sessions=60), START + timedelta(days=1))
    (line,) = learning_lines(state.learning)
    assert "Learning only reports since 2026-03-03" in line.text
    fields = status_blocks(state, LearningLimits())[0]
    assert isinstance(fields, Fields)
    assert fields.rows[0][1].text.startswith("report since 2026-03-03")
    assert "What learning moved up brought less" in fields.rows[0][1].text
    assert status_data(state, LearningLimits())["suspended_at"] == START + timedelta(days=1)


def test_explain_says_what_was_expected_and_what_it_is_known_from() -> None:
    found = Expectation(mean=D("0.12"), low=D("-0.04"), high=D("0.28"), default=D("0.02"), trades=45, followed=80)
    assert expected_line(found) == (
        "Expected +0.12 R after costs, with 90 % between -0.04 and +0.28 on average, by 45 trades and 80 followed "
        "signals of its strategy; the default weights alone promise +0.02 R."
    )
    assert expected_line(replace(found, orders=False)).endswith(
        "It is only reported: the score decides what goes first."
    )


def test_a_strategy_that_probably_loses_is_named_with_when_it_is_looked_at_again() -> None:
    state = learned()
    row = state.weights["1"]
    for loses, words in (("0.93", "a person is asked before each trade"), ("0.80", "smaller trades")):
        value = replace(row.weights.values["equity/breakout"], loses=D(loses))
        state.weights["1"] = replace(row, weights=replace(row.weights, values={"equity/breakout": value}))
        lines = [block.text for block in status_blocks(state, PROTECT) if isinstance(block, Line)]
        (line,) = lines
        assert line.startswith(f"equity/breakout loses with {D(loses):.0%}: {words}, until it is looked at again")
        assert line.endswith("after ten more trades, at the latest on 2026-04-01 11:00 ET.")
        (shown,) = status_data(state, PROTECT)["values"]
        assert (shown["acts"], shown["next_look"]) == (True, START + timedelta(days=30))
        assert not status_data(state, LearningLimits())["values"][0]["acts"]
