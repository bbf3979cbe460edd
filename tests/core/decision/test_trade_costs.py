from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.decision.sizing import size_position
from apex_cli.core.decision.trade_costs import TradeCosts, half_spread, net_expectancy, net_reward_risk, trade_costs
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import Price
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.trade_size import Sized
from kit import START

D = Decimal
AAPL = make_instrument("AAPL")
FIXED = CommissionPlan.IB_FIXED


def price(text: str | Decimal) -> Price:
    return Price(D(text))


def sized_at(entry: str = "50", stop: str = "48", capital: str = "3000") -> Sized:
    found = size_position(instrument=AAPL, entry=price(entry), stop=price(stop), risk=RiskLimits(capital=D(capital)))
    assert isinstance(found, Sized)
    return found


def costs_at(
    sized: Sized, *targets: str, half: str = "0", plan: CommissionPlan = FIXED, is_market: bool = True
) -> TradeCosts:
    return trade_costs(
        AAPL,
        sized,
        entry=price("50"),
        stop=price("48"),
        targets=tuple(map(price, targets)),
        fractions=(),
        plan=plan,
        half=D(half),
        is_market_entry=is_market,
    )


def test_two_dollars_on_a_position_of_150_are_said_as_what_they_are() -> None:
    sized = sized_at()
    costs = costs_at(sized, "54", half="0.01")
    # 3 shares: 1 + 1 and half a spread of 0.03 at the entry; at the stop, another half.
    assert (costs.if_won, costs.if_lost) == (D("2.03"), D("2.06"))
    assert net_reward_risk(D(2), sized.risk_amount, costs) == (12 - D("2.03")) / (6 + D("2.06"))


def test_each_target_is_an_order_with_a_commission_of_its_own() -> None:
    sized = sized_at(capital="30000")
    one, two = costs_at(sized, "54"), costs_at(sized, "54", "56")
    assert (one.if_won, two.if_won) == (2, 3)
    assert (one.if_lost, two.if_lost) == (2, 3)


def test_a_limit_entry_pays_no_half_spread_and_a_stop_does() -> None:
    costs = costs_at(sized_at(), "54", half="0.10", plan=CommissionPlan.NONE, is_market=False)
    assert (costs.if_won, costs.if_lost) == (0, D("0.30"))


prices = st.decimals(min_value=D("50.01"), max_value=D(100), places=2)


@given(prices, st.decimals(min_value=0, max_value=1, places=2), st.sampled_from(CommissionPlan))
def test_costs_never_make_a_trade_better(target: Decimal, half: Decimal, plan: CommissionPlan) -> None:
    sized = sized_at()
    gross = reward_risk(price("50"), price("48"), (price(target),))
    assert gross is not None
    costs = costs_at(sized, str(target), half=str(half), plan=plan)
    net = net_reward_risk(gross, sized.risk_amount, costs)
    free = not costs.if_won and not costs.if_lost
    assert net == gross if free else net < gross
    probability = D("0.5")
    before = probability * gross - (1 - probability)
    after = net_expectancy(probability, gross, sized.risk_amount, costs)
    assert abs(after - before) < D("1e-20") if free else after < before


@pytest.mark.parametrize(
    ("bid", "ask", "assumed", "found"),
    [
        ("49.98", "50.02", None, "0.02"),
        ("49.98", "50.02", "0.01", "0.02"),
        (None, None, "0.001", "0.025"),
        ("50.02", "49.98", None, None),
        (None, "50.02", None, None),
    ],
)
def test_half_the_spread_is_quoted_or_assumed_and_never_taken_for_nothing(
    bid: str | None, ask: str | None, assumed: str | None, found: str | None
) -> None:
    quote = Quote(
        price=price("50"),
        at=START,
        source="last",
        bid=None if bid is None else price(bid),
        ask=None if ask is None else price(ask),
    )
    half = half_spread(quote, price("50"), None if assumed is None else D(assumed))
    assert half == (None if found is None else D(found))
