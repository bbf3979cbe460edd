"""One view of the market for the predictor, the score, the correlations and the learning."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.learning.outcomes import model_outcomes
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.prediction import Event
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.signal import Signal, SignalType, market_side, market_view
from apex_cli.core.positions.lessons import entry_conditions
from apex_cli.core.signals.ranker import Arrival
from apex_cli.core.signals.score_factors import confluence_factors, predictor_factor
from apex_cli.core.signals.score_parts import agreement
from kit import START
from kit.rig import make_signal

D = Decimal
RIGHTS = (None, OptionRight.CALL, OptionRight.PUT)
RISING = {
    None: {"BUY", "LONG", "LONG_CALL", "SHORT_PUT"},
    OptionRight.CALL: {"BUY", "LONG", "LONG_CALL", "LONG_PUT"},
    OptionRight.PUT: {"SELL", "SHORT", "SHORT_CALL", "SHORT_PUT"},
}


def signal(kind: str, right: OptionRight | None, **changes: Any) -> Signal:
    made = make_signal(now=START, side=SignalType(kind), **changes)
    if right is None:
        return made
    option = make_instrument("AAPL", MarketType.OPTIONS, expiry="2026-12-18", strike=Price(D(50)), right=right)
    return replace(made, instrument=option)


@pytest.mark.parametrize("right", RIGHTS)
def test_a_signal_bets_on_rising_or_on_falling_prices(right: OptionRight | None) -> None:
    views = {str(kind): market_view(signal(kind, right)) for kind in SignalType}
    assert {kind for kind, view in views.items() if view > 0} == RISING[right]
    assert set(views.values()) == {1, -1}


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("kind", list(SignalType))
@pytest.mark.parametrize("direction", [1, -1])
def test_what_the_predictor_agrees_with_the_score_agrees_with(
    kind: str, right: OptionRight | None, direction: int
) -> None:
    reported = {"predictor_direction": direction, "predictor_probability": 0.9}
    found = signal(kind, right, metadata=reported)
    is_agreed = direction == market_view(found)
    assert agreement(found, direction, D("0.9")) == (D("0.9") if is_agreed else D("0.1"))
    assert (predictor_factor(found) is not None) is is_agreed


@pytest.mark.parametrize(
    ("kind", "right", "r", "was_right"),
    [
        ("BUY", None, "1", True),
        ("BUY", OptionRight.PUT, "1", False),
        ("BUY", OptionRight.PUT, "-1", True),
        ("SHORT", OptionRight.PUT, "1", True),
    ],
)
def test_a_rise_was_predicted_rightly_when_the_bet_on_it_won(
    kind: str, right: OptionRight | None, r: str, was_right: bool
) -> None:
    reported = {"predictor_direction": 1, "predictor_probability": 0.8}
    bet = signal(kind, right, metadata=reported)
    lesson = Lesson(
        round_trip_id="t",
        seq=1,
        side=PositionSide.LONG if bet.side is OrderSide.BUY else PositionSide.SHORT,
        closed_at=START,
        r=D(r),
        conditions=EntryConditions(
            score=D(1), predictor_direction=1, predictor_probability=D("0.8"), market_view=market_view(bet)
        ),
    )
    assert [outcome.was_right for outcome in model_outcomes([lesson])] == [was_right]


def test_a_lesson_of_an_older_version_counts_by_its_side() -> None:
    conditions = EntryConditions(score=D(1), predictor_direction=-1, predictor_probability=D("0.8"))
    lesson = Lesson(round_trip_id="t", seq=1, side=PositionSide.SHORT, closed_at=START, r=D(1), conditions=conditions)
    assert [outcome.was_right for outcome in model_outcomes([lesson])] == [True]


@pytest.mark.parametrize(("r", "was_right"), [("1", True), ("-1", False)])
@pytest.mark.parametrize("view", [1, -1])
def test_what_was_said_of_the_target_is_right_when_the_trade_won_whatever_its_side(
    view: int, r: str, was_right: bool
) -> None:
    conditions = EntryConditions(
        score=D(1),
        predictor_direction=-view,
        predictor_probability=D("0.6"),
        predictor_target_first=D("0.3"),
        market_view=view,
    )
    lesson = Lesson(round_trip_id="t", seq=1, side=PositionSide.LONG, closed_at=START, r=D(r), conditions=conditions)
    (outcome,) = model_outcomes([lesson])
    assert (outcome.was_right, outcome.probability, outcome.direction) == (was_right, D("0.3"), view)
    assert outcome.event is Event.TARGET_FIRST


def test_a_bought_put_and_a_short_share_bet_on_the_same() -> None:
    put = Exposure(key="X", side=PositionSide.LONG, notional=Usd(D(1)), risk=Usd(D(1)), is_put=True)
    short = Exposure(key="X", side=PositionSide.SHORT, notional=Usd(D(1)), risk=Usd(D(1)))
    assert put.market_view == short.market_view == -1


def test_an_insider_who_buys_confirms_no_bought_put() -> None:
    heard = Arrival(
        signal_id="i",
        symbol="AAPL",
        family=signal("BUY", None, strategy="insider").family,
        side=market_side(signal("BUY", None)),
        seen_at=START,
    )
    now = START + timedelta(hours=1)
    assert [factor.name for factor in confluence_factors(signal("BUY", None), [heard], now)] == ["insider"]
    assert confluence_factors(signal("LONG_PUT", OptionRight.PUT), [heard], now) == ()
    assert confluence_factors(signal("BUY", OptionRight.PUT), [heard], now) == ()


def test_the_view_is_kept_with_the_entry() -> None:
    from apex_cli.core.model.signal import Opportunity

    opportunity = Opportunity(signal=signal("BUY", OptionRight.PUT), opportunity_score=D(1))
    assert entry_conditions(opportunity).market_view == -1
