"""The day-trading gate inside ``decide()``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.decision.plan import decide, explain_checks
from apex_cli.core.model.account import AccountFacts, AccountType, MarginPreview
from apex_cli.core.model.decision import DayTradeStatus, DecisionKind, Exposure, Regime, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.side import PositionSide

D = Decimal
CLASSIC = DayTradeStatus(
    regime=Regime.CLASSIC,
    regimes=(Regime.CLASSIC,),
    used=2,
    remaining=1,
    limit=3,
    window=("2026-11-24",),
    session_date="2026-11-24",
)
MARGIN = replace(CLASSIC, regime="intraday_margin", regimes=("intraday_margin",), remaining=None)
FACTS = AccountFacts(
    account_type=AccountType.MARGIN, equity_with_loan=Usd(D(3000)), maint_margin_req=Usd(D(0)), net_cash=Usd(D(3000))
)


def live(build: Any, status: DayTradeStatus, **more: Any) -> Snapshot:
    snapshot: Snapshot = build.snapshot(day_trades=status, **more)
    return replace(snapshot, account=replace(snapshot.account, facts=FACTS))


def preview(maint: int) -> MarginPreview:
    return MarginPreview(
        equity_with_loan_after=Usd(D(3000)), maint_margin_after=Usd(D(maint)), init_margin_after=Usd(D(100))
    )


def warnings(build: Any, snapshot: Snapshot) -> list[str]:
    return [reason.code for reason in decide(build.opportunity(), snapshot, build.limits(auto=True)).warnings]


def test_the_forecast_is_a_warning_when_the_stop_would_take_the_last_day_trade(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(day_trades=CLASSIC), build.limits(auto=True))
    assert decision.kind is DecisionKind.EXECUTE
    assert [reason.message for reason in decision.warnings] == ["If its stop is hit today this is day trade 3 of 3."]
    two = replace(CLASSIC, used=1, remaining=2)
    assert warnings(build, build.snapshot(day_trades=two)) == []


def test_more_opened_today_than_day_trades_left_is_a_warning(build: Any) -> None:
    two = replace(CLASSIC, used=1, remaining=2, opened_today=("IBM", "MSFT"))
    assert warnings(build, build.snapshot(day_trades=two)) == ["opened_today"]


def test_an_unknown_rule_stops_opening(build: Any) -> None:
    status = replace(CLASSIC, regime="unknown", regimes=("unknown",), is_regime_known=False, regime_source="nothing")
    failures = build.failures(build.opportunity(), build.snapshot(day_trades=status), Limits())
    assert failures["day_trades"].message == "Nobody can tell which day-trading rule holds: nothing."
    assert warnings(build, build.snapshot(day_trades=status)) == []


@pytest.mark.parametrize(("maint", "fails"), [(100, False), (3100, True)])
def test_intraday_margin_asks_the_brokers_preview(build: Any, maint: int, *, fails: bool) -> None:
    snapshot = live(build, MARGIN, margin_preview=preview(maint))
    assert ("day_trades" in build.failures(build.opportunity(), snapshot, Limits())) is fails


def test_without_a_preview_a_live_margin_account_opens_nothing(build: Any) -> None:
    failures = build.failures(build.opportunity(), live(build, MARGIN), Limits())
    assert "no margin preview" in failures["day_trades"].message


def test_working_entries_take_their_part_of_the_level(build: Any) -> None:
    working = Exposure(
        key="IBM", side=PositionSide.LONG, notional=Usd(D(12_000)), risk=Usd(D(1)), is_working_entry=True
    )
    snapshot = live(build, MARGIN, margin_preview=preview(100), exposures=(working,))
    assert (
        "intraday margin level falls" in build.failures(build.opportunity(), snapshot, Limits())["day_trades"].message
    )


def test_a_simulated_account_under_intraday_margin_goes_by_the_rules_own_rates(build: Any) -> None:
    snapshot = build.snapshot(day_trades=MARGIN)
    snapshot = replace(snapshot, account=replace(snapshot.account, is_simulated=True))
    assert "day_trades" not in build.failures(build.opportunity(), snapshot, Limits())
    held = Exposure(key="IBM", side=PositionSide.LONG, notional=Usd(D(20_000)), risk=Usd(D(1)), quantity=Quantity(D(9)))
    failures = build.failures(build.opportunity(), replace(snapshot, exposures=(held,)), Limits())
    assert "deficit" in failures["day_trades"].message


def test_an_order_through_zero_is_offered_its_closing_part(build: Any) -> None:
    short = Exposure(key="AAPL", side=PositionSide.SHORT, notional=Usd(D(50)), risk=Usd(D(1)), quantity=Quantity(D(1)))
    none = replace(CLASSIC, used=3, remaining=0, why="3 of 3 day trades are used.")
    snapshot = build.snapshot(day_trades=none, exposures=(short,))
    message = build.failures(build.opportunity(), snapshot, Limits())["day_trades"].message
    assert message.startswith("No day trade is left: 3 of 3 day trades are used. BUY 1 is allowed")


def test_a_size_that_could_not_be_worked_out_is_judged_as_the_smallest(build: Any) -> None:
    none = replace(CLASSIC, used=3, remaining=0)
    failures = build.failures(build.opportunity(stop="50"), build.snapshot(day_trades=none), Limits())
    assert "day_trades" in failures


@pytest.mark.parametrize(
    ("status", "value"),
    [
        (CLASSIC, "2 used, 1 left"),
        (MARGIN, "2 used, not applicable"),
        (replace(CLASSIC, remaining=-1), "2 used, unlimited"),
        (replace(CLASSIC, regime="off", regimes=("off",), remaining=None), "2 used, not applicable"),
    ],
)
def test_explained_it_reports_count_and_limit(build: Any, status: DayTradeStatus, value: str) -> None:
    snapshot = replace(live(build, status, margin_preview=preview(100)))
    (check,) = [c for c in explain_checks(build.opportunity(), snapshot, Limits()) if c.code == "day_trades"]
    assert (check.value, check.limit, check.passed) == (value, "3 in 1 sessions", True)


def test_a_decision_from_a_stored_snapshot_is_the_same(build: Any) -> None:
    snapshot = live(build, replace(MARGIN, opened_today=("IBM",)), margin_preview=preview(3100))
    again = msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)
    assert again == snapshot
    assert decide(build.opportunity(), again, Limits()) == decide(build.opportunity(), snapshot, Limits())
    assert Price(D(50)) == build.opportunity().signal.entry_price
