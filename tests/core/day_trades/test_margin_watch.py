"""Deficits by the books of a margin account whose orders fill at the venue."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from apex_cli.core.day_trades.margin_watch import MarginWatch
from apex_cli.core.model.account import AccountFacts, AccountType, MarginPreview
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import DeficitRecord, SignalOutcome
from kit.faults import MarginBroker
from kit.rig import Prices, Rig, make_signal

D = Decimal
ENOUGH = MarginPreview(
    equity_with_loan_after=Usd(D(8000)), maint_margin_after=Usd(D(2000)), init_margin_after=Usd(D(4000))
)


def facts(equity: str = "8000", maintenance: str = "0", **reported: Any) -> AccountFacts:
    return AccountFacts(
        **{
            "account_type": AccountType.MARGIN,
            "equity_with_loan": Usd(D(equity)),
            "maint_margin_req": Usd(D(maintenance)),
            "net_liquidation": Usd(D(equity)),
            "broker_day_trades_remaining": -1,
            **reported,
        }
    )


def margin_rig(reported: AccountFacts | None = None) -> tuple[Rig, MarginBroker]:
    prices = Prices()
    rig = Rig(prices=prices)
    prices.set("AAPL", "50", rig.clock.now())
    broker = MarginBroker(rig.venue, rig.clock, reported or facts())
    broker.what_if = ENOUGH
    rig.price("50")
    rig.use(broker)
    return rig, broker


def watch(rig: Rig) -> MarginWatch:
    return MarginWatch(rig.store, rig.broker)


def opened(reported: AccountFacts | None = None) -> tuple[Rig, MarginBroker]:
    rig, broker = margin_rig(reported)
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    assert report.outcome is SignalOutcome.EXECUTED, report.reasons
    return rig, broker


def test_the_broker_is_asked_what_the_entry_would_do() -> None:
    rig, broker = opened()
    (probe,) = broker.previewed
    assert (probe.side, probe.quantity) == ("BUY", rig.order("-E").order.quantity)
    assert rig.at_venue() == {"AAPL": probe.quantity}


def test_without_an_answer_nothing_is_opened_on_margin() -> None:
    rig, broker = margin_rig()
    broker.what_if = None
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    assert report.outcome is SignalOutcome.REFUSED
    assert "no margin preview" in report.reasons[0].message
    assert rig.at_venue() == {}


def test_an_opening_fill_that_leaves_the_level_negative_makes_a_deficit() -> None:
    rig, broker = opened()
    broker.facts = facts("8000", "8500")
    assert rig.run(watch(rig).tend(rig.clock.now()))
    found = DeficitRecord(session_date="2026-03-02", amount=Usd(D(500)), is_de_minimis=False)
    assert dict(rig.state.deficits) == {"2026-03-02": found}
    assert [event.kind for event in rig.store.events][-2:] == ["margin_deficit", "alarm"]
    assert not rig.run(watch(rig).tend(rig.clock.now()))


def test_a_fall_of_prices_long_after_the_fill_makes_none() -> None:
    rig, broker = opened()
    rig.clock.advance(minutes=4)
    broker.facts = facts("8000", "8500")
    assert not rig.run(watch(rig).tend(rig.clock.now()))
    assert not rig.state.deficits


def test_a_deficit_is_met_once_the_level_is_back_and_looked_at_every_five_minutes() -> None:
    rig, broker = opened()
    broker.facts = facts("8000", "8500")
    watching = watch(rig)
    rig.run(watching.tend(rig.clock.now()))
    broker.facts = facts("9000", "8500")
    rig.clock.advance(minutes=4)
    assert not rig.run(watching.tend(rig.clock.now()))
    rig.clock.advance(minutes=1)
    assert rig.run(watching.tend(rig.clock.now()))
    assert rig.state.deficits["2026-03-02"].met_on == "2026-03-02"
    assert not rig.run(watching.tend(rig.clock.now()))


def test_cash_and_simulated_accounts_have_no_margin_level() -> None:
    rig, broker = opened()
    broker.facts = facts("8000", "8500", account_type=AccountType.CASH)
    assert not rig.run(watch(rig).tend(rig.clock.now()))
    rig.use(rig.venue)
    assert not rig.run(watch(rig).tend(rig.clock.now()))


def test_a_practice_of_not_paying_stops_new_debits() -> None:
    rig, broker = margin_rig(facts("8000", "0"))
    broker.what_if = ENOUGH
    with rig.store.transaction() as tx:
        for day in (date(2025, 11, 3), date(2025, 12, 1), date(2026, 1, 5), date(2026, 2, 2)):
            row = DeficitRecord(session_date=day.isoformat(), amount=Usd(D(900)), is_de_minimis=False)
            tx.deficits[row.session_date] = row
    broker.facts = facts("8000", "0", net_cash=Usd(D(0)))
    (report,) = rig.feed(make_signal(now=rig.clock.now()))
    assert report.outcome is SignalOutcome.REFUSED
    assert "frozen until 2026-05-10" in " ".join(reason.message for reason in report.reasons)
