"""A position size, for people and for scripts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apex_cli.core.model.base import named
from apex_cli.core.model.trade_size import Binding, Sized
from apex_cli.core.model.wording import account_currency
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Tone, bar
from apex_cli.presenters.screen.formats import money, number, price, rate_data, rate_text, ratio, units

if TYPE_CHECKING:
    from apex_cli.core.decision.trade_costs import NetRatio
    from apex_cli.core.model.money import Price
    from apex_cli.core.model.risk_limits import RiskLimits
    from apex_cli.core.model.side import OrderSide

BINDING_WORDS = {
    Binding.RISK: "the risk cap",
    Binding.CAPITAL: "the capital cap",
    Binding.MINIMUM: "the minimum quantity",
    Binding.VOLATILITY: "the volatility target",
    Binding.KELLY: "a fraction of Kelly",
    Binding.LEARNING: "what was learned",
}


def bound_words(sized: Sized) -> str:
    """Return what holds the size down, or which cap a size of the person's own lies above."""
    cap = {Binding.RISK: sized.quantity_by_risk, Binding.CAPITAL: sized.quantity_by_capital}.get(sized.binding)
    is_above = cap is not None and sized.quantity > cap
    return f"{'above' if is_above else 'limited by'} {BINDING_WORDS[sized.binding]}"


def size_data(
    sized: Sized, *, symbol: str, side: OrderSide, ratio: Decimal | None, net: NetRatio | None
) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    data = {
        "symbol": symbol,
        "side": side,
        "quantity": number(sized.quantity),
        "quantity_by_risk": number(sized.quantity_by_risk),
        "quantity_by_capital": number(sized.quantity_by_capital),
        **named(sized, "binding", "notional", "risk_amount", "risk_per_unit"),
        "reward_risk": ratio,
        "rate": rate_data(sized.rate),
        "warnings": [warning.message for warning in sized.warnings],
    }
    return data if net is None else {**data, "net_reward_risk": net.value.quantize(Decimal("0.0001"))}


def size_blocks(
    sized: Sized,
    *,
    symbol: str,
    side: OrderSide,
    ratio: Decimal | None,
    risk: RiskLimits,
    levels: tuple[Price, Price, tuple[Price, ...]],
    net: NetRatio | None,
) -> tuple[Block, ...]:
    """Return the size with a bar for each budget it uses."""
    return (
        Fields(
            rows=(
                ("Order", Cell(f"{side} {units(sized.quantity)} {symbol}".strip(), Tone.BOLD)),
                ("Limited by", Cell(BINDING_WORDS[sized.binding])),
                ("By risk", Cell(units(sized.quantity_by_risk))),
                ("By capital", Cell(units(sized.quantity_by_capital))),
                ("Value", budget_cell(sized.notional, risk.capital * risk.max_position_pct)),
                ("Loss at stop", budget_cell(sized.risk_amount, risk.capital * risk.max_risk_pct)),
                *(("Rate", Cell(rate_text(rate))) for rate in (sized.rate,) if rate is not None),
                ("Entry / stop", Cell(f"{price(levels[0])} / {price(levels[1])}")),
                *(_target_rows(levels[2], ratio)),
                *(_net_rows(net)),
            )
        ),
    )


def budget_cell(used: Decimal, budget: Decimal) -> Cell:
    """Return how much of a budget is used, as a bar with its numbers."""
    share = float(used / budget) if budget else 0.0
    text = f"{bar(share, 10)} {money(used)} of {money(budget)} {account_currency()}"
    return Cell(text + (" (over)" if used > budget else ""), Tone.WARN if used > budget else Tone.PLAIN)


def _net_rows(net: NetRatio | None) -> tuple[tuple[str, Cell], ...]:
    if net is None:
        return ()
    is_below = net.least is not None and net.value < net.least
    asked = "" if net.least is None else f", {'below' if is_below else 'at least'} {ratio(net.least)}"
    spread = "" if net.has_spread else ", without the spread"
    costs = f"{money(net.costs.if_won)} if it wins, {money(net.costs.if_lost)} if it loses{spread}"
    return (
        ("After costs", Cell(f"{ratio(net.value)}{asked}", Tone.WARN if is_below else Tone.PLAIN)),
        ("Costs", Cell(f"{costs}, {account_currency()}")),
    )


def _target_rows(targets: tuple[Price, ...], value: Decimal | None) -> tuple[tuple[str, Cell], ...]:
    if not targets:
        return ()
    return (("Target", Cell(", ".join(map(price, targets)))), ("Reward:risk", Cell(ratio(value))))
