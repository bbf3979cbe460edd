from __future__ import annotations

from decimal import Decimal
from math import sqrt
from statistics import fmean, pvariance
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.size_multipliers import kelly, lower_bound, multipliers_of, product_of, record_of
from apex_cli.core.decision.sizing import lowered, size_position
from apex_cli.core.model.decision import ProtectionInputs, TradeRecord
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.protections import SizingLimits
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.trade_size import Binding, Multiplier, Sized
from kit.trips import a_trip

D = Decimal
AAPL = make_instrument("AAPL")
ROOMY = RiskLimits(capital=Usd(D(100_000)), max_risk_pct=D("0.01"), max_position_pct=D(1))


def sized(*multipliers: Multiplier, risk: RiskLimits = ROOMY) -> Any:
    return size_position(instrument=AAPL, entry=Price(D(50)), stop=Price(D(48)), risk=risk, multipliers=multipliers)


def times(value: str, name: Binding = Binding.VOLATILITY) -> Multiplier:
    return Multiplier(name=name, value=D(value), why="why")


def record(trades: int, mean: str, square: str) -> TradeRecord:
    return TradeRecord(trades=trades, mean=D(mean), mean_square=D(square))


def test_the_smaller_multiplier_binds_and_both_hold() -> None:
    found = sized(times("0.5"), times("0.4", Binding.KELLY))
    assert (found.quantity, found.binding) == (100, Binding.KELLY)  # of 500 by risk
    assert (found.quantity_by_risk, len(found.multipliers), found.warnings) == (500, 2, ())


def test_below_the_smallest_quantity_it_says_so_or_refuses() -> None:
    small = replace(ROOMY, capital=Usd(D(300)))  # 1 share by risk
    found = sized(times("0.5"), risk=small)
    assert (found.quantity, found.binding) == (1, Binding.MINIMUM)
    assert [warning.code for warning in found.warnings] == ["multiplier_exceeded"]
    assert sized(times("0.5"), risk=replace(small, enforce_caps=True)).code == "size_below_minimum"


def test_what_learning_lowers_further_keeps_them() -> None:
    found = lowered(sized(times("0.5")), D("0.5"), instrument=AAPL, entry=Price(D(50)), stop=Price(D(48)), risk=ROOMY)
    assert (found.quantity, found.binding, len(found.multipliers)) == (125, Binding.LEARNING, 1)


values = st.decimals(min_value=0, max_value=1, places=4)


@given(values, values)
def test_a_multiplier_never_makes_a_size_larger(one: Decimal, other: Decimal) -> None:
    whole = sized()
    assert isinstance(whole, Sized)
    found = sized(times(str(one)), times(str(other), Binding.KELLY))
    assert found.quantity <= whole.quantity
    assert found.risk_amount <= whole.risk_amount
    assert found.quantity <= max(1, whole.quantity * one * other)


@pytest.mark.parametrize(
    ("volatility", "value"), [("0.20", None), ("0.30", None), ("0.60", "0.5"), ("0.45", "0.6667"), (None, None)]
)
def test_a_wilder_security_is_sized_in_proportion(volatility: str | None, value: str | None) -> None:
    inputs = ProtectionInputs(volatility=None if volatility is None else D(volatility))
    found = multipliers_of(SizingLimits(volatility_target=D("0.3")), inputs, ROOMY)
    assert [each.value for each in found] == ([] if value is None else [D(value)])


def test_a_fraction_of_kelly_caps_what_a_trade_may_risk() -> None:
    # Kelly 0.1334 by the lower bound, a quarter of it 3.3 %: more than 1 % by risk, less than 5 %.
    inputs = ProtectionInputs(record=record(100, "0.3", "1.5"))
    sizing = SizingLimits(kelly_fraction=D("0.25"))
    assert multipliers_of(sizing, inputs, ROOMY) == ()
    (found,) = multipliers_of(sizing, inputs, replace(ROOMY, max_risk_pct=D("0.05")))
    assert (found.name, found.value) == (Binding.KELLY, D("0.6669"))
    assert multipliers_of(sizing, ProtectionInputs(), ROOMY) == ()
    (nothing,) = multipliers_of(sizing, ProtectionInputs(record=record(30, "0.05", "1.5")), ROOMY)
    assert nothing.value == 0
    assert product_of((found, nothing)) == 0


results = st.lists(st.integers(-90, 180), min_size=2, max_size=60)


@given(results)
def test_the_record_is_that_of_the_trades_in_r(pnls: list[int]) -> None:
    trips = [a_trip(f"t{number}", pnl=str(pnl), strategy="s") for number, pnl in enumerate(pnls)]
    found = record_of(
        [*trips, a_trip("other", strategy="x"), a_trip("unknown", strategy="s", initial_risk=None)], "s", 2
    )
    assert found is not None
    rs = [pnl / 30 for pnl in pnls]
    assert found.trades == len(rs)
    assert abs(float(found.mean) - fmean(rs)) < 1e-5
    bound = fmean(rs) - 0.8416 * sqrt(pvariance(rs) / len(rs))
    assert abs(float(lower_bound(found)) - bound) < 1e-2
    assert 0 <= kelly(found) <= 1
    assert record_of(trips, "s", len(pnls) + 1) is None


@given(st.integers(10, 1000), st.decimals(min_value=D("0.01"), max_value=1, places=2))
def test_more_trades_of_the_same_mean_are_trusted_more(trades: int, mean: Decimal) -> None:
    few, many = (record(count, str(mean), "2") for count in (trades, trades * 4))
    assert kelly(few) <= kelly(many) <= mean / 2
    assert kelly(record(trades, "0", "0")) == 0
