"""Situations from beginning to end: the worked examples of the classic rule, and what the report adds to them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from apex_cli.core.day_trades.gate import GateDecision, GateOrder
from apex_cli.core.day_trades.summary import BY_OPENINGS, DayTradeReport, make_report
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.account import AccountFacts, AccountType
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.limits import DayTradeLimits, DayTradeRegime
from apex_cli.core.model.money import Quantity, Usd
from apex_cli.core.model.records import DeficitRecord
from apex_cli.core.model.side import OrderSide

D = Decimal
SMALL = AccountFacts(account_type=AccountType.MARGIN, equity_prev_close=Usd(D(10_000)), equity_now=Usd(D(10_000)))


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def executions(text: str, day: str = "2026-11-24", security: str = "XYZ") -> list[Execution]:
    """Return ``B20 S320@15:30`` on *day*, a minute apart from 10:00 on; ``2026-11-25T09:31`` names a day, too."""
    rows = []
    for number, word in enumerate(text.split()):
        what, _, at = word.partition("@")
        at = at or f"10:{number:02}"
        rows.append(
            Execution(
                exec_id=f"{security}-{day}-{number:03}.01",
                security=security,
                side=OrderSide.BUY if what[0] == "B" else OrderSide.SELL,
                quantity=Quantity(D(what[1:])),
                filled_at=new_york(at if "T" in at else f"{day}T{at}"),
            )
        )
    return rows


def report(rows: list[Execution], as_of: str = "2026-11-24T15:00", held: int = 0, **more: Any) -> DayTradeReport:
    return make_report(
        executions=rows,
        start={"XYZ": D(held)},
        as_of=new_york(as_of),
        **{"facts": SMALL, "limits": DayTradeLimits(regime=DayTradeRegime.CLASSIC), **more},
    )


@pytest.mark.parametrize(
    ("number", "held", "sequence", "day_trades"),
    [
        (1, 300, "S300 B200", 0),
        (2, 300, "B20 S20", 1),
        (3, 300, "B20 S320", 1),
        (4, 0, "B60 S90 B30", 2),
        (5, -80, "B80 S80", 0),
        (6, 0, "B10 B10 B10 B10 B10 B10 S5 S5 S5 S5 S5 S5 S5 S5 S20", 1),
    ],
)
def test_worked_examples_of_one_session(number: int, held: int, sequence: str, day_trades: int) -> None:
    got = report(executions(sequence), held=held)
    assert got.status.used == day_trades, number
    assert got.status.by_session["2026-11-24"] == day_trades


def test_worked_example_7_two_option_series_do_not_pair() -> None:
    bought = executions("B5", security="XYZ@options 2026-12-18 C50")
    sold = executions("S5", security="XYZ@options 2026-12-18 C55")
    assert report([*bought, *sold]).status.used == 0


def test_option_series_traded_in_one_session_may_be_a_spread() -> None:
    bought = executions("B5 S5 B5 S5", security="XYZ@options 2026-12-18 C50")
    sold = executions("S5 B5", security="XYZ@options 2026-12-18 C55")
    got = report([*bought, *sold])
    (spread,) = got.spreads
    assert (spread.session_date, spread.underlying) == ("2026-11-24", "XYZ")
    assert (got.status.used, spread.day_trades, spread.as_units) == (3, 3, 2)
    assert report([*bought, *executions("B1 S1")]).spreads == ()
    assert report([*bought, *sold], "2026-12-24T12:00").spreads == ()


def test_kept_deficits_are_part_of_the_picture() -> None:
    row = DeficitRecord(session_date="2026-11-23", amount=Usd(D(500)), is_de_minimis=False)
    assert report([], deficits=[row]).deficits.outstanding == (row,)


def test_worked_example_8_an_evening_purchase_sold_next_morning_is_none() -> None:
    rows = executions("B10@2026-11-24T19:40 S10@2026-11-25T09:31")
    assert report(rows, "2026-11-25T12:00").status.used == 0


def test_worked_example_9_after_eight_in_the_evening_it_is_the_next_session() -> None:
    rows = executions("B10@2026-11-23T21:10 S10@2026-11-24T12:00")
    got = report(rows)
    assert got.status.by_session["2026-11-24"] == 1
    assert got.status.session_date == "2026-11-24"


def three_day_trades() -> list[Execution]:
    return [*executions("B1 S1", "2026-11-20"), *executions("B1 S1 B1 S1", "2026-11-24")]


def test_worked_example_10_the_window_skips_thanksgiving() -> None:
    got = report(three_day_trades(), "2026-11-30T10:00")
    assert got.status.window == ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30")
    assert (got.status.used, got.status.remaining) == (2, 1)
    assert got.forecast == (1, 1, 3, 3, 3)
    assert got.leaves_window == {"2026-11-24": date(2026, 12, 2)}


@pytest.mark.parametrize(
    ("number", "order", "decision", "offer"),
    [(11, "SELL 70", GateDecision.ALLOW, 0), (12, "SELL 100", GateDecision.BLOCK, 70)],
)
def test_worked_examples_11_and_12_with_three_used(number: int, order: str, decision: GateDecision, offer: int) -> None:
    side, quantity = order.split()
    rows = executions("B1 S1 B1 S1 B1 S1", "2026-11-24", "OTHER")
    asked = GateOrder(security="XYZ", side=OrderSide(side), quantity=D(quantity))
    got = report(rows, held=70, order=asked)
    assert got.verdict is not None
    assert (got.status.remaining, got.verdict.decision, got.verdict.offer) == (0, decision, offer), number


def test_later_executions_are_left_out_and_reported() -> None:
    got = report(executions("B1 S1 B1@15:30 S1@15:31"))
    assert (got.status.used, got.later_executions, got.executions_in_window) == (1, 2, 2)
    assert got.day_trade_share == D("0.5")
    assert report([]).day_trade_share is None


def test_what_is_opened_today_and_the_other_methods_count_are_reported() -> None:
    got = report([*executions("B1 B1 S2"), *executions("B5", security="OPEN")])
    assert (got.status.used, got.alternative_counts) == (1, {BY_OPENINGS: 2})
    assert got.status.opened_today == ("OPEN",)
    assert report(executions("B1 S1", "2026-11-10")).alternative_counts == {BY_OPENINGS: 0}


@pytest.mark.parametrize(
    ("as_of", "session", "is_next"),
    [
        ("2026-11-24T19:59", "2026-11-24", False),
        ("2026-11-24T20:00", "2026-11-25", True),
        ("2026-11-26T12:00", "2026-11-27", True),
        ("2026-11-28T12:00", "2026-11-30", True),
        ("2026-11-29T21:00", "2026-11-30", True),
    ],
)
def test_on_closed_days_and_in_the_evening_it_is_about_the_next_session(
    as_of: str, session: str, *, is_next: bool
) -> None:
    got = report([], as_of)
    assert (got.status.session_date, got.is_next_session) == (session, is_next)


def test_past_the_calendar_the_count_goes_on_by_the_rule_of_holidays() -> None:
    got = report(executions("B1 S1", "2027-12-31") + executions("B1 S1", "2028-01-03"), "2028-01-04T11:00")
    assert (got.status.session_date, got.status.used) == ("2028-01-04", 2)
    assert got.status.window == ("2027-12-29", "2027-12-30", "2027-12-31", "2028-01-03", "2028-01-04")
    assert report(executions("B1 S1", "1999-12-31"), "2000-01-03T11:00").status.used == 1


def test_the_margin_level_is_reported_without_an_order_where_margin_matters() -> None:
    reported = AccountFacts(equity_with_loan=Usd(D(8000)), maint_margin_req=Usd(D(5000)))
    assert report([], facts=reported).level.before == 3000
    cash = AccountFacts(account_type=AccountType.CASH, equity_now=Usd(D(8000)), maint_margin_req=Usd(D(1)))
    assert report([], facts=cash).level.before is None


def test_a_cash_account_is_warned_of_selling_what_unsettled_money_bought() -> None:
    cash = AccountFacts(account_type=AccountType.CASH, settled_cash=Usd(D(0)))
    rows = [*executions("S5@09:40", security="OLD"), *executions("B5@10:00")]
    asked = GateOrder(security="XYZ", side=OrderSide.SELL, quantity=D(5), sec_type=SecType.STK)
    got = report(rows, facts=cash, order=asked)
    assert got.verdict is not None
    assert [reason.code for reason in got.verdict.reasons] == ["good_faith"]
