from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.market.calendar import NEW_YORK, previous_sessions, session_bounds
from apex_cli.core.market.option_value import theoretical_price
from apex_cli.core.model.currency import Rate, own_rate
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight, make_instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.side import PositionSide
from apex_cli.core.reports.stress import (
    GAPS,
    Basis,
    DayReturn,
    Held,
    correlations,
    cost_of,
    day_returns,
    gap_cost,
    worst_day,
)
from kit import START

D = Decimal
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
EXPIRY = "2026-04-17"


def held(instrument: Instrument | str, side: PositionSide, quantity: str, price: str, **more: Any) -> Held:
    made = make_instrument(instrument) if isinstance(instrument, str) else instrument
    return Held(key=made.key, instrument=made, side=side, quantity=Quantity(D(quantity)), price=Price(D(price)), **more)


def option(right: OptionRight, strike: str = "100") -> Instrument:
    return make_instrument("XYZ", MarketType.OPTIONS, expiry=EXPIRY, strike=Price(D(strike)), right=right)


def bar(day: date, close: str) -> Bar:
    bounds = session_bounds(day)
    assert bounds is not None
    price = Price(D(close))
    return Bar(symbol="X", start=bounds[0], end=bounds[1], open=price, high=price, low=price, close=price)


def returns(*changes: str, end: date = date(2026, 2, 27)) -> tuple[DayReturn, ...]:
    days = [*previous_sessions(end, len(changes) - 1)[::-1], end] if len(changes) > 1 else [end]
    return tuple(DayReturn(day=day, change=D(change)) for day, change in zip(sorted(days), changes, strict=True))


def test_a_gap_costs_longs_when_prices_fall_and_shorts_when_they_rise() -> None:
    book = [
        held("AAA", LONG, "10", "50", stop_price=Price(D("48"))),  # 500 USD, stop 4 % away
        held("BBB", SHORT, "4", "100", stop_price=Price(D("112"))),  # 400 USD, stop 12 % away
    ]
    five, ten, twenty = (gap_cost(book, gap, START) for gap in GAPS)
    assert (five.loss, ten.loss, twenty.loss) == (D("45"), D("90"), D("180"))  # 5, 10 and 20 % of 900
    assert (five.stops_passed, ten.stops_passed, twenty.stops_passed) == (1, 1, 2)
    assert [(cost.key, cost.pnl, cost.basis) for cost in ten.costs] == [
        ("AAA", D("-50"), Basis.PRICE),
        ("BBB", D("-40"), Basis.PRICE),
    ]


def test_a_stop_that_the_gap_just_reaches_is_passed_and_one_a_cent_further_is_not() -> None:
    at = held("AAA", LONG, "1", "100", stop_price=Price(D("95")))
    beyond = held("AAA", LONG, "1", "100", stop_price=Price(D("94.99")))
    assert [gap_cost([each], D("0.05"), START).stops_passed for each in (at, beyond)] == [1, 0]


def test_another_currency_counts_by_its_rate_and_a_pair_by_its_own_price() -> None:
    euro = held("SAP", LONG, "10", "200", rate=Rate(currency="EUR", value=D("1.10"), source="broker"))
    moved = cost_of(euro, D("-0.10"), START)
    assert moved is not None
    assert moved.pnl == D("-220")  # 10 shares * 20 EUR * 1.10
    pair = make_instrument("USD.JPY", MarketType.FOREX)
    yen = held(pair, LONG, "1000", "160", rate=own_rate(pair, "USD", D(160), START))
    fallen = cost_of(yen, D("-0.20"), START)
    assert fallen is not None
    assert fallen.pnl == D("-250")  # 1000 * 32 yen, each worth 1/128 USD after the fall


@pytest.mark.parametrize(("right", "against"), [(OptionRight.CALL, -1), (OptionRight.PUT, 1)])
def test_a_long_option_loses_what_the_model_says_and_never_more_than_its_premium(
    right: OptionRight, against: int
) -> None:
    terms = option(right)
    price = theoretical_price(terms, Price(D(100)), START, volatility=0.3)
    one = held(terms, LONG, "2", str(price), underlying=Price(D(100)), volatility=0.3)
    after = theoretical_price(terms, Price(D(100) * (1 + against * D("0.05"))), START, volatility=0.3)
    cost = gap_cost([one], D("0.05"), START).costs[0]
    assert (cost.pnl, cost.basis) == ((after - price) * 200, Basis.MODEL)
    assert D("-1200") < cost.pnl < 0
    cheap = held(terms, LONG, "2", "0.50", underlying=Price(D(100)), volatility=0.3)
    assert gap_cost([cheap], D("0.20"), START).loss == D(100)  # 2 * 100 * 0.50: the premium


def test_without_a_model_a_long_option_is_bounded_by_its_premium_and_a_short_one_by_its_underlyings_move() -> None:
    terms = option(OptionRight.CALL)
    dear = held(terms, LONG, "1", "30", underlying=Price(D(200)))
    assert gap_cost([dear], D("0.05"), START).loss == D(1000)  # the underlying moves 10, the option no more
    assert gap_cost([dear], D("0.20"), START).loss == D(3000)  # it moves 40, the premium is 30
    blind = held(terms, LONG, "1", "30")
    assert gap_cost([blind], D("0.05"), START).loss == D(3000)
    sold = held(terms, SHORT, "1", "30", underlying=Price(D(200)))
    assert gap_cost([sold], D("0.20"), START).loss == D(4000)
    assert gap_cost([sold], D("0.20"), START).costs[0].basis is Basis.BOUND
    unknown = gap_cost([held(terms, SHORT, "1", "30")], D("0.20"), START)
    assert (unknown.loss, unknown.costs) == (0, ())
    assert cost_of(dear, D("0.05"), START) is None  # nothing bounds what it wins


def test_a_long_put_falls_with_a_rising_underlying_and_a_short_one_with_a_falling_one() -> None:
    bought = held(option(OptionRight.PUT), LONG, "1", "4", underlying=Price(D(100)), volatility=0.3)
    sold = held(option(OptionRight.PUT), SHORT, "1", "4", underlying=Price(D(100)), volatility=0.3)
    assert (bought.direction, sold.direction) == (-1, 1)
    assert all(gap_cost([each], D("0.05"), START).loss > 0 for each in (bought, sold))


def test_the_worst_day_is_applied_to_what_is_held_now() -> None:
    first = returns("0.01", "-0.10", "0.02")
    second = returns("0.01", "0.20", "-0.03")
    book = [held("AAA", LONG, "10", "50", returns=first), held("BBB", SHORT, "4", "100", returns=second)]
    worst = worst_day(book, START)
    assert worst is not None
    assert worst.day == first[1].day
    assert worst.pnl == D("-130")  # 500 * -0.10 - 400 * 0.20
    assert [(cost.key, cost.pnl) for cost in worst.costs] == [("BBB", D("-80")), ("AAA", D("-50"))]
    assert (worst.missing, worst.sessions) == ((), 3)


def test_the_worst_day_names_what_has_no_history_and_leaves_it_out() -> None:
    book = [
        held("AAA", LONG, "10", "50", returns=returns("-0.01", "-0.02")),
        held("NEW", LONG, "100", "50"),
        held(option(OptionRight.CALL), LONG, "1", "30", returns=returns("-0.5", "-0.5")),
    ]
    worst = worst_day(book, START)
    assert worst is not None
    assert (worst.pnl, worst.missing) == (D("-10"), ("NEW", f"XYZ@options {EXPIRY} C100"))
    assert worst_day([held("NEW", LONG, "100", "50")], START) is None
    assert worst_day([], START) is None


def test_a_day_that_was_good_for_all_is_no_loss_but_still_the_worst() -> None:
    worst = worst_day([held("AAA", LONG, "10", "50", returns=returns("0.01", "0.02"))], START)
    assert worst is not None
    assert worst.pnl == D("5")


def test_daily_changes_are_those_of_closes_within_the_last_year_and_of_one_session() -> None:
    days = [date(2025, 2, 27), date(2026, 2, 17), date(2026, 2, 18), date(2026, 2, 25), date(2026, 2, 26)]
    bars = [bar(day, close) for day, close in zip(days, ("100", "50", "60", "90", "99"), strict=True)]
    found = day_returns(bars, until=datetime.combine(days[-1], datetime.max.time(), START.tzinfo))
    assert [(each.day, each.change) for each in found] == [(days[2], D("0.2")), (days[4], D("0.1"))]
    assert day_returns(bars[:1], until=START) == ()


def test_a_bar_that_ends_at_midnight_is_of_the_day_before() -> None:
    midnight = datetime(2026, 2, 26, tzinfo=NEW_YORK)
    last = bar(date(2026, 2, 25), "90")
    coin = [bar(date(2026, 2, 24), "100"), replace(last, start=midnight - timedelta(hours=1), end=midnight)]
    assert [(each.day, each.change) for each in day_returns(coin, until=START)] == [(date(2026, 2, 25), D("-0.1"))]


def test_intraday_bars_give_one_change_a_session() -> None:
    first, second = (session_bounds(day) for day in (date(2026, 2, 25), date(2026, 2, 26)))
    assert first is not None
    assert second is not None
    noon = bar(date(2026, 2, 26), "80")
    early = Bar(
        symbol="X",
        start=second[0],
        end=second[0] + timedelta(hours=1),
        open=noon.open,
        high=noon.high,
        low=noon.low,
        close=Price(D(70)),
    )
    found = day_returns([bar(date(2026, 2, 25), "100"), early, noon], until=START)
    assert [each.change for each in found] == [D("-0.2")]


def test_what_moves_together_adds_up_on_the_same_side_and_offsets_on_opposite_ones() -> None:
    up_down = returns(*(["0.01", "-0.01"] * 10))
    book = [
        held("AAA", LONG, "1", "50", returns=up_down),
        held("BBB", LONG, "1", "50", returns=tuple(DayReturn(day=r.day, change=2 * r.change) for r in up_down)),
        held("CCC", SHORT, "1", "50", returns=up_down),
        held("NEW", LONG, "1", "50", returns=up_down[:19]),
        held("FLAT", LONG, "1", "50", returns=tuple(DayReturn(day=r.day, change=D(0)) for r in up_down)),
    ]
    assert [(p.first, p.second, p.value, p.days, p.is_added) for p in correlations(book)] == [
        ("AAA", "BBB", D("1.00"), 20, True),
        ("AAA", "CCC", D("1.00"), 20, False),
        ("BBB", "CCC", D("1.00"), 20, False),
    ]


def test_a_correlation_is_pearsons() -> None:
    xs = [D(n % 5) / 100 for n in range(20)]  # 0 1 2 3 4, four times
    ys = [D((n % 5) ** 2) / 100 for n in range(20)]  # 0 1 4 9 16
    days = [r.day for r in returns(*(["0"] * 20))]
    first, second = (
        held(
            name, LONG, "1", "50", returns=tuple(DayReturn(day=d, change=c) for d, c in zip(days, values, strict=True))
        )
        for name, values in (("AAA", xs), ("BBB", ys))
    )
    # means 2 and 6: sum x'y' = 12+5+0+3+20 = 40, sum x'^2 = 10, sum y'^2 = 174; 40 / sqrt(1740) = 0.9589
    assert correlations([first, second])[0].value == D("0.96")


def test_histories_of_other_lengths_are_compared_over_what_they_share() -> None:
    whole = returns(*(["0.01", "-0.01", "0.02"] * 9))
    part = tuple(DayReturn(day=each.day, change=-each.change) for each in whole[3:24])
    book = [held("AAA", LONG, "1", "50", returns=whole), held("BBB", LONG, "1", "50", returns=part)]
    assert [(p.value, p.days, p.is_added) for p in correlations(book)] == [(D("-1.00"), 21, False)]


@settings(deadline=None, max_examples=60)
@given(
    right=st.sampled_from(OptionRight),
    side=st.sampled_from(PositionSide),
    strike=st.integers(50, 150),
    price=st.decimals("0.05", "40", places=2),
    spot=st.one_of(st.none(), st.integers(50, 150)),
    volatility=st.one_of(st.none(), st.floats(0.05, 2)),
)
def test_a_wider_gap_never_costs_less_and_a_bought_option_no_more_than_its_premium(  # noqa: PLR0917 - one option
    right: OptionRight, side: PositionSide, strike: int, price: Decimal, spot: int | None, volatility: float | None
) -> None:
    underlying = None if spot is None else Price(D(spot))
    one = held(option(right, str(strike)), side, "1", str(price), underlying=underlying, volatility=volatility)
    losses = [gap_cost([one], gap, START).loss for gap in GAPS]
    assert losses == sorted(losses)
    if side is LONG:
        assert losses[-1] <= price * 100
    if spot is not None:
        assert all(loss <= gap * spot * 100 + 1 for gap, loss in zip(GAPS, losses, strict=True))  # a tick for rounding
