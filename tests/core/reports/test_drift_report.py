from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from apex_cli.core.model.execution_limits import EntryOrder
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import Price
from apex_cli.core.reports.drift_report import Drift, make_drift
from apex_cli.core.reports.trade_log import TradeLog
from apex_cli.core.reports.trade_report import Span
from apex_cli.core.state.events.event import UnreadEvent, read_event
from kit import START
from kit.rig import Prices, Rig, auto, make_signal, manual

D = Decimal
TODAY = date(2026, 3, 2)


def rig_at(price: str, *, fills: str = "", spread: str = "", **more: Any) -> Rig:
    """Return a rig in which AAPL stands at *price* and fills at *fills*."""
    prices = Prices()
    rig = Rig(prices=prices, **more)
    half = D(spread) / 2 if spread else None
    prices.quotes["AAPL"] = Quote(
        price=Price(D(price)),
        at=START,
        source="last",
        bid=None if half is None else Price(D(price) - half),
        ask=None if half is None else Price(D(price) + half),
    )
    rig.price(fills or price)
    return rig


def log_of(rig: Rig) -> TradeLog:
    log = TradeLog()
    for row in rig.store.events:
        event = read_event(row)
        assert not isinstance(event, UnreadEvent)
        log.hear(event)
    return log


def drift(live: Rig, model: Rig) -> Drift:
    return make_drift(log_of(live), log_of(model), Span(first=TODAY, last=TODAY))


def test_what_a_fill_cost_more_is_parted_into_delay_spread_and_execution() -> None:
    live, model = rig_at("50.20", fills="50.25", spread="0.20"), rig_at("50")
    for rig in (live, model):
        rig.feed(make_signal(now=START, targets=("60",), signal_id="one"))
    (fill,) = drift(live, model).fills
    # 13 shares: 30 USD / (50.20 - 48). Decided 0.20 later, half of a spread of 0.20, filled at 50.25 instead of 50
    assert (fill.quantity, fill.live_price, fill.model_price) == (13, D("50.25"), 50)
    assert (fill.delay, fill.spread, fill.execution) == (D("2.60"), D("1.30"), D("-0.65"))
    assert (fill.total, fill.fraction) == (D("3.25"), D("0.005"))


def test_a_short_that_sells_lower_cost_more_too() -> None:
    live, model = rig_at("50", fills="49.90"), rig_at("50")
    for rig in (live, model):
        rig.feed(make_signal(now=START, side="SHORT", stop="52", targets=("44",), signal_id="one"))
    (fill,) = drift(live, model).fills
    assert (fill.delay, fill.spread, fill.execution) == (0, None, D("1.5"))  # 15 shares, 0.10 lower


def test_why_a_trade_was_missed_is_said_in_the_words_of_the_journal() -> None:
    model = rig_at("50")
    model.feed(make_signal(now=START, signal_id="one"))

    far = rig_at("53")
    far.feed(make_signal(now=START, signal_id="one"))
    (missed,) = drift(far, model).missed
    assert (missed.code, missed.session, missed.symbol) == ("reward_risk_min", "2026-03-02", "AAPL")

    asked = rig_at("50", limits=manual())
    asked.feed(make_signal(now=START, signal_id="one"))
    assert drift(asked, model).missed[0].code == "not_answered"
    (approval,) = asked.desk.pending()
    asked.desk.reject(approval, reason="too late")
    assert (drift(asked, model).missed[0].code, drift(asked, model).missed[0].why) == ("approval_rejected", "too late")

    silent = rig_at("50", limits=auto())
    assert drift(silent, model).missed[0].code == "not_received"


def test_a_trade_of_live_alone_is_extra() -> None:
    live, model = rig_at("50"), rig_at("50")
    live.feed(make_signal(now=START, signal_id="one"))
    found = drift(live, model)
    assert [each.signal_id for each in found.extra] == ["one"]
    assert found.first_divergence is not None
    assert found.first_divergence.what == "AAPL was traded, not in the replay (not_received)"
    assert found.parted == ()  # one trade is not enough to say so


def test_an_entry_that_still_waits_to_fill_is_no_difference() -> None:
    names = ("one", "two", "three")
    live = rig_at("50")
    model = rig_at("50", fills="51", limits=auto(entry_order=EntryOrder.LIMIT))
    for rig in (live, model):
        for number, name in enumerate(names):
            rig.price("50" if rig is live else "51", symbol := f"A{number}")
            quote = replace(rig.prices.quotes["AAPL"], price=Price(D(50)))
            rig.prices.quotes[symbol] = quote
            rig.feed(make_signal(symbol, now=START, signal_id=name))
    found = drift(live, model)
    assert [(each.signal_id, each.code) for each in found.extra] == [(name, "entry_working") for name in sorted(names)]
    assert (found.first_divergence, found.parted) == (None, ())


def test_signals_without_the_same_id_are_the_same_by_security_side_strategy_and_session() -> None:
    live, model = rig_at("50"), rig_at("50")
    live.feed(make_signal(now=START, signal_id="alert-17"))
    model.feed(make_signal(now=START, signal_id="wave-AAPL"))
    found = drift(live, model)
    assert (found.matched, found.missed, found.extra) == (1, (), ())


def test_another_way_out_is_named_with_both() -> None:
    live, model = rig_at("50"), rig_at("50")
    for rig, last in ((live, "48"), (model, "55")):
        rig.feed(make_signal(now=START, signal_id="one", targets=("55",)))
        rig.clock.advance(minutes=5)
        rig.price(last)
        rig.cycle()
    found = drift(live, model)
    assert [(e.live_reason, e.model_reason) for e in found.exits] == [("stop", "target")]
    assert [fill.role for fill in found.fills] == ["entry"]
    assert found.difference_r == D("-3.5")  # -1 R instead of 2.5 R
    assert found.difference_interval is None
