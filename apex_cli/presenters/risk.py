"""The view of risk, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict

from apex_cli.core.model.base import named
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.reports.limit_use import LimitUse, Unit
from apex_cli.core.reports.risk_view import LeftOut, RiskRow, RiskView
from apex_cli.core.reports.stress import Basis, Correlation, DayCost, GapCost, MoveCost
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Cell, Fields, Grid, Line, Tone, bar, heads
from apex_cli.presenters.screen.columns import Column, Table, bold, or_dash, units_column
from apex_cli.presenters.screen.formats import DASH, gain, moment, money, price, share, signed, units

NEAR = Decimal("0.8")
"""Part of a limit from which on it is marked."""

MOST_PAIRS = 8
"""Correlations that are drawn; the JSON has all."""

NO_NAME = {"strategy": "no strategy", "sector": "unknown sector"}


def _amount(value: Decimal | None) -> str:
    return DASH if value is None else money(value)


RISKS = Table[RiskRow](
    Column("symbol", "Symbol", shown=bold),
    Column("side", "Side", cell=lambda r: f"{r.side}{' entry' if r.is_entry else ''}"),
    units_column("quantity", rank=SECOND),
    Column("working_entry", value=lambda r: r.is_entry),
    Column("notional", "Value", shown=_amount, is_right=True),
    Column("risk", "Risk", shown=_amount, is_right=True),
    Column("stop_price", "Stop", shown=price, rank=SECOND, is_right=True),
    Column("at_stop", "At stop", shown=lambda pnl: Cell(DASH) if pnl is None else gain(pnl), is_right=True),
    Column("strategy", "Strategy", shown=lambda name: name or NO_NAME["strategy"], rank=THIRD),
    Column("sector", "Sector", shown=lambda name: name or NO_NAME["sector"], rank=LAST),
    Column("history_days", value=lambda r: r.days),
    Column("remarks", value=lambda r: list(r.remarks)),
    empty="Nothing is held, and no entry works.",
)

LIMIT_NAMES = {
    "open_risk": "Open risk",
    "risk_of_one": "Risk of one trade",
    "value_of_one": "Value of one position",
    "daily_loss": "Loss of the day",
    "drawdown": "Drawdown",
    "max_positions": "Positions",
    "orders_per_day": "Entries of the day",
    "max_notional": "Value of one order",
    "day_trades": "Day trades",
    "weekly_loss": "Loss of the week",
    "monthly_loss": "Loss of the month",
    "strategy_risk": "Risk of a strategy",
    "strategy_positions": "Its positions",
    "sector_risk": "Risk of a sector",
    "sector_positions": "Its positions",
    "correlated_risk": "Risk that moves together",
    "beta_exposure": "Value times beta",
}


def _counted(use: LimitUse, value: Decimal | None) -> str:
    if value is None:
        return DASH
    return units(value) if use.unit is Unit.COUNT else money(value)


def _use_cell(use: LimitUse) -> Cell:
    part = use.fraction
    if part is None:
        return Cell("not known" if use.found is None else DASH, Tone.DIM)
    tone = Tone.BAD if part >= 1 else Tone.WARN if part >= NEAR else Tone.PLAIN
    word = " OVER" if part > 1 else " full" if part == 1 else " near" if part >= NEAR else ""
    return Cell(f"{bar(float(part), 10)} {share(part)}{word}", tone)


LIMITS = Table[LimitUse](
    Column("code", "Limit", shown=lambda code: LIMIT_NAMES.get(code, code)),
    Column("subject", "Of", shown=or_dash, rank=SECOND),
    Column("unit"),
    Column("found", "Found", cell=lambda u: _counted(u, u.found), is_right=True),
    Column("limit", "Most", cell=lambda u: _counted(u, u.limit), is_right=True),
    Column("left", "Left", cell=lambda u: _counted(u, u.left), is_right=True),
    Column("used", "Used", lambda u: u.fraction, cell=_use_cell),
)


def _costs_data(costs: Sequence[MoveCost]) -> list[dict[str, Any]]:
    return [{"symbol": cost.key, "pnl": cost.pnl, "basis": cost.basis} for cost in costs]


def _day_data(day: DayCost | None) -> dict[str, Any] | None:
    if day is None:
        return None
    return {
        "date": day.day.isoformat(),
        "sessions": day.sessions,
        "pnl": day.pnl,
        "costs": _costs_data(day.costs),
        "without": list(day.missing),
    }


def _gap_data(gap: GapCost, view: RiskView) -> dict[str, Any]:
    return {
        "gap": gap.gap,
        "loss": gap.loss,
        "of_equity": _of_equity(gap, view),
        "stops_passed": gap.stops_passed,
        "costs": _costs_data(gap.costs),
    }


def _of_equity(gap: GapCost, view: RiskView) -> Decimal | None:
    return gap.loss / view.equity if view.equity else None


def _pair_data(pair: Correlation) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "correlation": pair.value,
        "days": pair.days,
        "adds": pair.is_added,
    }


def _left_data(left: LeftOut) -> dict[str, Any]:
    return {"symbol": left.symbol, "sums": list(left.sums), "why": left.why}


def risk_data(view: RiskView) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {
        **named(view, "at", "priced_at", "equity", "one_r", "risk", "notional", "at_stops"),
        "positions": RISKS.rows(view.rows),
        "by_symbol": [asdict(group) for group in view.by_symbol],
        "by_strategy": [asdict(group) for group in view.by_strategy],
        "by_sector": [asdict(group) for group in view.by_sector],
        "correlations": [_pair_data(pair) for pair in view.correlations],
        "worst_day": _day_data(view.worst_day),
        "gaps": [_gap_data(gap, view) for gap in view.gaps],
        "limits": LIMITS.rows(view.limits),
        "remarks": list(view.remarks),
        "left_out": [_left_data(left) for left in view.left_out],
    }


def risk_blocks(view: RiskView) -> tuple[Block, ...]:
    """Return what is at risk: positions, groups, bad times, limits, and what is not counted."""
    if not view.rows:
        return (RISKS.grid(()), LIMITS.grid(view.limits))
    return (
        RISKS.grid(view.rows, handles=[row.handle for row in view.rows]),
        Line(text=total_words(view), tone=Tone.BOLD),
        *_group_blocks(view),
        *_together_blocks(view),
        *_stress_blocks(view),
        LIMITS.grid(view.limits),
        *left_out_lines(view),
        Line(text=f"Prices as of {moment(view.priced_at)}; amounts in {account_currency()}", tone=Tone.DIM),
    )


def total_words(view: RiskView) -> str:
    """Return all open risk in a sentence."""
    in_r = f", {view.risk / view.one_r:.2f} R" if view.one_r else ""
    part = f", {share(view.risk / view.equity, 1)} of equity" if view.equity else ""
    missing = sum(1 for left in view.left_out if "risk" in left.sums)
    without = f"; {missing} not counted" if missing else ""
    return f"At risk {money(view.risk)} {account_currency()}{in_r}{part}{without}"


def _group_blocks(view: RiskView) -> tuple[Block, ...]:
    rows = [
        (kind, group)
        for kind, groups in (("symbol", view.by_symbol), ("strategy", view.by_strategy), ("sector", view.by_sector))
        for group in groups
        if kind != "symbol" or group.count > 1  # alone it is the row above
    ]
    cells = tuple(
        (
            Cell(kind, Tone.DIM),
            Cell(group.name or NO_NAME.get(kind, DASH)),
            Cell(str(group.count)),
            Cell(money(group.notional)),
            Cell(money(group.risk)),
            Cell(DASH if group.share is None else f"{bar(float(group.share), 10)} {share(group.share)}"),
        )
        for kind, group in rows
    )
    return (Grid(columns=heads("By", "Name", ">Count", ">Value", ">Risk", "Share of risk"), rows=cells),)


def _together_blocks(view: RiskView) -> tuple[Block, ...]:
    if not view.correlations:
        return ()
    rows = tuple(
        (
            Cell(f"{pair.first} and {pair.second}"),
            Cell(f"{pair.value:+.2f}"),
            Cell("losses add up" if pair.is_added else "losses offset", Tone.WARN if pair.is_added else Tone.PLAIN),
            Cell(str(pair.days)),
        )
        for pair in view.correlations[:MOST_PAIRS]
    )
    more = len(view.correlations) - len(rows)
    ends = (Line(text=f"{counted(more, 'more pair')}: apex risk --json", tone=Tone.DIM),) if more > 0 else ()
    return (Grid(columns=heads("Together", ">Correlation", "As held", ">Sessions"), rows=rows), *ends)


def _stress_blocks(view: RiskView) -> tuple[Block, ...]:
    currency = account_currency()
    rows = [("All stops at their prices", Cell(f"{signed(-view.at_stops)} {currency}"))]
    stops = sum(1 for row in view.rows if row.stop_price is not None)
    for gap in view.gaps:
        part = _of_equity(gap, view)
        of_equity = "" if part is None else f", {share(part, 1)} of equity"
        passed = f"through {gap.stops_passed} of {stops} stops"
        bounded = [cost.key for cost in gap.costs if cost.basis is Basis.BOUND]
        at_most = f"; at most, {', '.join(bounded)} without a model" if bounded else ""
        words = f"{signed(-gap.loss)} {currency}{of_equity}, {passed}{at_most}"
        rows.append((f"A gap of {share(gap.gap)} against all", Cell(words)))
    rows.append(("Worst day of a year", _worst_cell(view.worst_day)))
    return (Fields(rows=tuple(rows)),)


def _worst_cell(day: DayCost | None) -> Cell:
    if day is None:
        return Cell("no price history", Tone.DIM)
    worst = day.costs[0]
    of_all = f"the worst of {day.sessions}: {worst.key} {signed(worst.pnl)}"
    words = f"{signed(day.pnl)} {account_currency()} on {day.day}, {of_all}"
    return Cell(words + (f"; without {', '.join(day.missing)}" if day.missing else ""))


def left_out_lines(view: RiskView) -> tuple[Line, ...]:
    """Return what sums do not count and why, and what else is not known."""
    names = {"risk": "open risk", "gaps": "gaps", "worst_day": "worst day", "correlation": "correlation"}
    alike: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for each in view.left_out:
        alike.setdefault((each.sums, each.why), []).append(each.symbol)
    left = tuple(
        Line(text=f"! Not counted in {', '.join(names[name] for name in sums)}: {', '.join(symbols)} ({why})")
        for (sums, why), symbols in alike.items()
    )
    said = {each.why for each in view.left_out}
    remarks = tuple(
        Line(text=f"! {row.symbol}: {remark}", tone=Tone.WARN)
        for row in view.rows
        for remark in row.remarks
        if remark not in said
    )
    other = tuple(Line(text=f"! {remark}", tone=Tone.WARN) for remark in view.remarks)
    return (*remarks, *left, *other)
