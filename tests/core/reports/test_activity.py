from __future__ import annotations

import msgspec
from msgspec.structs import replace

from apex_cli.core.coordinator.trading_mode import change_trading_mode
from apex_cli.core.decision.record import record_rejected
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import OutboxRow, RejectedRow
from apex_cli.core.ports import SignalBatch
from apex_cli.core.reports.activity import Activity, ActivityKind, activities, activity_of
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from kit import START
from kit.rig import Rig, make_signal, manual


def reported(rig: Rig) -> list[tuple[str, str, str, str]]:
    return [(line.kind, line.symbol, line.verdict, line.text) for line in activities(rig.store.events)]


UNPRICED = "No prices are configured: AAPL is simulated at the signal's own price of 50.00."


def test_a_trade_is_reported_from_decision_to_result() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    rig.price("54")
    rig.cycle()
    assert reported(rig) == [
        ("decision", "AAPL", "execute", f"BUY 15 AAPL. {UNPRICED}"),
        ("fill", "AAPL", "entry", "BUY 15 at 50.00"),
        ("fill", "AAPL", "target", "SELL 15 at 54.00"),
        ("closed", "AAPL", "target", "+60.00 USD, +2.00 R, 15 at 54.00"),
    ]


def test_a_refusal_is_reported_with_every_reason() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now(), confidence="0.1", targets=("51",)))
    ((kind, symbol, verdict, text),) = reported(rig)
    assert (kind, symbol, verdict) == ("decision", "AAPL", "refuse")
    assert "Confidence 0.10" in text
    assert "Reward:risk" in text


def test_what_never_came_to_a_decision_is_reported() -> None:
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now(), minutes=-1))
    with rig.store.transaction() as tx:
        row = RejectedRow(where="a.csv:3", reason=Reason(code="x", message="entry_price is missing."))
        record_rejected(tx, SignalBatch(name="a.csv", rejected=(row,)), START)
    (first, second) = reported(rig)
    assert first[:3] == ("decision", "AAPL", "expired")
    assert second == ("decision", "", "invalid", "a.csv:3: entry_price is missing.")


def test_approvals_are_reported_with_who_answered() -> None:
    rig = Rig(limits=manual())
    rig.feed(make_signal(now=rig.clock.now()))
    rig.desk.reject(*rig.desk.pending(), reason="earnings", by="telegram")
    assert reported(rig)[1:] == [
        ("approval", "AAPL", "pending", ""),
        ("approval", "AAPL", "rejected", "by telegram earnings"),
    ]


def test_alarms_and_modes_are_reported() -> None:
    rig = Rig()
    change_trading_mode(rig.store, TradingMode.HALTED, "news", START)
    change_trading_mode(rig.store, TradingMode.HALTED, "news", START)
    with rig.store.transaction() as tx:
        alarm = Alarm(code="unprotected", message="AAPL: 3 are held without a stop.")
        tx.emit(AlarmRaised(at=START, subject="s", data=alarm))
    assert reported(rig) == [
        ("state", "", "HALTED", "news"),
        ("alarm", "", "unprotected", "AAPL: 3 are held without a stop."),
    ]


def test_other_kinds_and_other_payloads_are_left_out() -> None:
    row = OutboxRow(seq=1, at=START, kind="fill", subject="", data=msgspec.Raw(b'{"new": 1}'))
    assert activity_of(row) is None
    assert activity_of(replace(row, kind="intent")) is None
    line = Activity(seq=1, at=START, kind=ActivityKind.FILL, symbol="A", verdict="entry", text="BUY 1 at 2")
    assert line.subject == ""
