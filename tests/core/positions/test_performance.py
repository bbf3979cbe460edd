from __future__ import annotations

import doctest
import random
from datetime import timedelta
from decimal import Decimal
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.side import PositionSide
from apex_cli.core.positions import performance
from apex_cli.core.positions.performance import (
    Drawdown,
    Statistics,
    Tally,
    longest_fall,
    max_drawdown,
    ratios_of,
    returns_of,
    sharpe,
    sortino,
    system_quality,
    tail_ratio,
    yearly_growth,
)
from kit import START
from kit.statistics import expectancy, profit_factor, statistics_of, win_rate

D = Decimal


def trip(pnl: str, risk: str | None = "10", commission: str = "0") -> RoundTrip:
    return RoundTrip(
        round_trip_id="1",
        instrument=make_instrument("AAPL"),
        side=PositionSide.LONG,
        quantity=Quantity(D(1)),
        entry_price=Price(D(50)),
        exit_price=Price(D(50)),
        entry_time=START,
        exit_time=START + timedelta(hours=1),
        pnl=Usd(D(pnl)),
        pnl_pct=D(0),
        commission=Usd(D(commission)),
        initial_risk=None if risk is None else Usd(D(risk)),
    )


def statistics(*trips: RoundTrip) -> Statistics:
    return statistics_of(trips)


def test_statistics_of_some_round_trips() -> None:
    found = statistics(trip("20", commission="1"), trip("-10", commission="1"), trip("0"), trip("10", risk=None))
    assert found == Statistics(
        round_trips=4,
        wins=2,
        losses=1,
        breakeven=1,
        win_rate=D(2) / 3,
        net_wins=2,
        net_losses=1,
        net_breakeven=1,
        net_win_rate=D(2) / 3,
        pnl=Usd(D(20)),
        commission=Usd(D(2)),
        net_pnl=Usd(D(18)),
        profit_factor=D(3),
        expectancy_r=(D(2) - D(1) + D(0)) / 3,
        net_expectancy_r=(D(19) - D(11)) / 10 / 3,
        average_win=Usd(D(15)),
        average_loss=Usd(D(-10)),
    )


def test_a_trade_that_costs_made_a_loss_won_before_and_lost_after_them() -> None:
    found = statistics(trip("0.50", commission="2"), trip("2", commission="2"), trip("0", commission="2"))
    assert (found.wins, found.losses, found.breakeven, found.win_rate) == (2, 0, 1, 1)
    assert (found.net_wins, found.net_losses, found.net_breakeven, found.net_win_rate) == (0, 2, 1, 0)


def test_statistics_of_nothing_claim_nothing() -> None:
    found = statistics()
    assert (found.win_rate, found.profit_factor, found.expectancy_r) == (None, None, None)
    only_gains = statistics(trip("5"))
    assert (only_gains.win_rate, only_gains.profit_factor) == (1, None)


@given(st.lists(st.integers(-50, 50), max_size=20))
def test_gains_less_losses_are_the_pnl(results: list[int]) -> None:
    tally = Tally()
    for result in results:
        tally.add(trip(str(result)))
    found = tally.statistics()
    assert found.pnl == sum(results)
    assert found.wins + found.losses <= found.round_trips == len(results)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(performance).failed == 0


RESULTS = st.lists(st.decimals(-100, 100, places=2), max_size=30)


@given(RESULTS)
def test_single_functions_and_the_tally_say_the_same(results: list[Decimal]) -> None:
    found = statistics(*(trip(str(result)) for result in results))
    assert found.win_rate == win_rate(results)
    assert found.profit_factor == profit_factor(results)
    assert found.expectancy_r == expectancy(result / 10 for result in results)


def test_numbers_that_nothing_gives_are_none() -> None:
    assert (win_rate([]), profit_factor([]), expectancy([])) == (None, None, None)
    assert profit_factor([D(5)]) is None
    assert win_rate([D(0)]) is None
    assert max_drawdown([]) == Drawdown()
    assert (sharpe([]), sharpe([0.1]), sharpe([0.1, 0.1, 0.1])) == (None, None, None)


def test_the_deepest_fall_in_money_and_in_proportion_may_be_two() -> None:
    found = max_drawdown([D(100), D(50), D(1000), D(900)])
    assert found == Drawdown(amount=Usd(D(100)), fraction=D("0.5"))


def test_a_curve_that_never_was_above_zero_falls_in_money_only() -> None:
    assert max_drawdown([D(0), D(-5)]) == Drawdown(amount=Usd(D(5)), fraction=D(0))


@given(st.lists(st.decimals(1, 10_000, places=2), max_size=40))
def test_drawdown_is_the_worst_of_all_pairs(curve: list[Decimal]) -> None:
    falls = [before - after for i, before in enumerate(curve) for after in curve[i:]]
    found = max_drawdown(curve)
    assert found.amount == max(falls, default=D(0))
    assert 0 <= found.fraction <= 1


def test_returns_leave_out_steps_from_nothing() -> None:
    assert returns_of([D(0), D(100), D(150)]) == [0.5]


@pytest.mark.parametrize(("periods", "free", "expected"), [(252, 0.0, 11.2250), (12, 0.0, 2.4495), (252, 0.01, 0.0)])
def test_sharpe_annualises_the_mean_over_the_spread(periods: int, free: float, expected: float) -> None:
    # mean 0.01, sample standard deviation 0.01414: 0.7071 a period
    found = sharpe([0.02, 0.0], periods_per_year=periods, risk_free=free)
    assert found is not None
    assert isclose(found, expected, abs_tol=1e-4)


def test_ratios_of_the_field_are_their_formulas() -> None:
    returns = [0.02, -0.01, 0.03, -0.02]
    assert sortino(returns) == pytest.approx(0.005 / (0.0005 / 4) ** 0.5 * 252**0.5)
    assert yearly_growth(returns, periods_per_year=4) == pytest.approx(1.02 * 0.99 * 1.03 * 0.98 - 1)
    assert tail_ratio(returns) == pytest.approx(0.0285 / 0.0185)
    assert system_quality([1.0, -1.0, 2.0, 2.0]) == pytest.approx(1 / 2**0.5 * 2)
    assert longest_fall(map(D, (9, 8, 9, 10, 7, 9, 8, 11, 10))) == 3


def test_ratios_without_a_meaning_are_none() -> None:
    assert sortino([]) is None
    assert sortino([0.1, 0.2]) is None
    assert yearly_growth([]) is None
    assert yearly_growth([0.1, -1.0]) is None
    assert tail_ratio([0.1]) is None
    assert tail_ratio([0.0, 0.0, 0.1]) is None
    assert system_quality([1.0]) is None
    assert longest_fall([]) == 0


def curve_of(returns: list[float]) -> list[D]:
    equity = [D(30_000)]
    for value in returns:
        equity.append(equity[-1] * (1 + D(repr(value))))
    return equity


def test_nineteen_sessions_or_trades_give_no_ratio_and_twenty_do() -> None:
    up_and_down = [0.01, -0.005] * 10
    few = ratios_of(curve_of(up_and_down[:19]), [D(1), D(-1)] * 9 + [D(1)])
    assert (few.sessions, few.trades, few.longest_fall) == (19, 19, 1)
    assert {few.sharpe, few.sortino, few.cagr, few.volatility, few.calmar, few.tail_ratio, few.sqn} == {None}
    enough = ratios_of(curve_of(up_and_down), [D(2), D(-1)] * 10)
    assert enough.calmar == pytest.approx(enough.cagr / 0.005)
    assert None not in {enough.sharpe, enough.sortino, enough.volatility, enough.tail_ratio, enough.sqn}


def test_a_curve_that_never_falls_or_ends_at_nothing_has_no_calmar() -> None:
    assert ratios_of(curve_of([0.01] * 20), []).calmar is None
    lost = ratios_of([*curve_of([0.01] * 20), D(0)], [])
    assert (lost.cagr, lost.calmar) == (None, None)


def test_ratios_are_those_of_quantstats() -> None:
    pandas = pytest.importorskip("pandas")
    stats = pytest.importorskip("quantstats.stats")
    dice = random.Random(5)
    returns = [round(dice.gauss(0.0006, 0.011), 9) for _ in range(1_000)]
    results = [D(repr(round(dice.gauss(0.15, 1.2), 4))) for _ in range(1_000)]
    found = ratios_of(curve_of(returns), results)
    series = pandas.Series(returns, index=pandas.bdate_range("2020-01-01", periods=len(returns)))
    theirs = {
        "sharpe": stats.sharpe(series),
        "sortino": stats.sortino(series),
        "cagr": stats.cagr(series),
        "volatility": stats.volatility(series),
        "calmar": stats.calmar(series),
        "tail_ratio": stats.tail_ratio(series),
    }
    assert {name: getattr(found, name) for name in theirs} == pytest.approx(theirs, rel=1e-9)
    falls = stats.to_drawdown_series(series)
    assert float(max_drawdown(curve_of(returns)).fraction) == pytest.approx(-falls.min(), rel=1e-9)
    rows = stats.drawdown_details(falls)
    assert found.longest_fall == max(len(falls[row.start : row.end]) for row in rows.itertuples())
