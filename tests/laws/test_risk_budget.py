"""Laws 6 and 9: the loss at the stop of what was really sent, and decisions that can be made again."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.errors import RefusedError
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import EntryOrder, OrderRole
from apex_cli.core.model.records import SignalOutcome
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.state.events.signal_events import DecisionRecord
from kit import START
from kit.decisions import decide_again
from kit.rig import Rig, make_signal

D = Decimal
CENTS = st.integers(1, 400)


@st.composite
def proposals(draw: st.DrawFn) -> Signal:
    """Long or short, shares or coins, levels on and off the tick."""
    short = draw(st.booleans())
    sign = -1 if short else 1
    entry = D(draw(st.integers(500, 20000))) / D(draw(st.sampled_from([100, 99])))
    entry = entry.quantize(D("0.0001"))
    risk = D(draw(CENTS)) / 100 + D(draw(st.sampled_from(["0", "0.0031"])))
    stop = entry - sign * risk
    targets = tuple(
        str(entry + sign * risk * multiple) for multiple in draw(st.sampled_from([(2,), (2, 3), (3, 4, 5), (1,)]))
    )
    return make_signal(
        now=START,
        entry=str(entry),
        stop=str(stop),
        targets=targets,
        side=SignalType.SHORT if short else SignalType.BUY,
        market=draw(st.sampled_from([MarketType.EQUITY, MarketType.CRYPTO, MarketType.OPTIONS])),
        confidence=draw(st.sampled_from(["0.5", "0.7", "0.99"])),
    )


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    return Limits(
        execution=ExecutionLimits(
            auto_execute=draw(st.booleans()),
            entry_order=draw(st.sampled_from(list(EntryOrder))),
            auto_min_score=draw(st.sampled_from([D(0), D("0.6")])),
        ),
        risk=RiskLimits(
            capital=Usd(D(draw(st.integers(500, 30000)))),
            max_risk_pct=draw(st.sampled_from([D("0.002"), D("0.01"), D("0.03")])),
            max_position_pct=draw(st.sampled_from([D("0.05"), D("0.5"), D(1)])),
            max_open_risk_pct=D(1),
            enforce_caps=draw(st.booleans()),
            min_reward_risk=D(0),
        ),
    )


def answered(rig: Rig, quantity: Decimal | None) -> None:
    """Say yes to whatever waits."""
    for approval in rig.desk.pending():
        with suppress(RefusedError):
            rig.run(rig.desk.approve(approval, quantity=quantity))


def warned(rig: Rig) -> set[str]:
    decisions = [msgspec.json.decode(e.data, type=DecisionRecord).decision for e in rig.events("decided")]
    return {warning.code for decision in decisions for warning in decision.warnings}


def sent(rig: Rig) -> list[Any]:
    intents = [msgspec.json.decode(e.data)["orders"] for e in rig.events("intent")]
    return [order for orders in intents for order in orders]


@settings(max_examples=80, deadline=None)
@given(proposals(), limits(), st.sampled_from([None, D(1), D(30)]))
def test_what_was_sent_never_risks_more_than_the_budget_unless_it_says_so(
    signal: Signal, chosen: Limits, quantity: Decimal | None
) -> None:
    rig = Rig(limits=chosen)
    (report,) = rig.feed(signal)
    answered(rig, quantity)
    entries = [r.order for r in rig.state.orders.values() if r.order.role is OrderRole.ENTRY]
    stops = [r.order for r in rig.state.orders.values() if r.order.role is OrderRole.STOP]
    loss = D(0)
    for entry in entries:
        bracket = rig.state.brackets[entry.bracket_id]
        own = [stop for stop in stops if stop.parent_id == entry.client_order_id]
        assert sum(stop.quantity for stop in own) == entry.quantity
        for stop in own:
            assert stop.stop_price is not None
            assert (bracket.entry_price - stop.stop_price) * entry.side.sign > 0
            loss += stop.quantity * abs(bracket.entry_price - stop.stop_price) * entry.instrument.multiplier
    budget = chosen.risk.capital * chosen.risk.max_risk_pct
    if report.outcome is SignalOutcome.EXECUTED or entries:
        assert loss <= budget or "cap_risk_exceeded" in warned(rig)
        assert not (chosen.risk.enforce_caps and loss > budget)


@settings(max_examples=80, deadline=None)
@given(proposals(), limits(), st.sampled_from([None, D(1), D(30)]))
def test_the_journal_gives_every_decision_again(signal: Signal, chosen: Limits, quantity: Decimal | None) -> None:
    rig = Rig(limits=chosen)
    rig.feed(signal)
    answered(rig, quantity)
    events = [msgspec.json.decode(e.data, type=DecisionRecord) for e in rig.events("decided")]
    assert events
    for event in events:
        assert decide_again(event) == event.decision
