"""Live trading beside a replay, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apex_cli.core.model.base import named
from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.drift_report import Drift, ExitDrift, FillCosts, FillDrift, OneSided, SideResult
from apex_cli.core.reports.measures import Interval
from apex_cli.presenters.screen.blocks import SECOND, THIRD, Block, Cell, Grid, Line, Tone, heads
from apex_cli.presenters.screen.columns import Column, Table, bold, facts, or_dash, words
from apex_cli.presenters.screen.formats import DASH, number, price, r_multiple, signed

MOST_ROWS = 10
"""Rows of a table that are drawn; the JSON has all."""

MOST_PROBLEMS = 3

ONE_SIDED = Table[OneSided](
    Column("session", "Session"),
    Column("symbol", "Symbol", shown=bold),
    Column("side", "Side", rank=SECOND),
    Column("strategy", "Strategy", shown=or_dash, rank=THIRD),
    Column("net_r", "Net R", shown=r_multiple, is_right=True),
    Column("code"),
    Column("why", "Why", wraps=True),
    Column("signal_id"),
)

COSTS = Table[FillCosts](
    Column("role", "Fills", shown=words),
    Column("fills", "Count", is_right=True),
    Column("delay", "Delay", shown=signed, is_right=True),
    Column("spread", "Spread", shown=lambda spread: DASH if spread is None else signed(spread), is_right=True),
    Column("execution", "Execution", shown=signed, is_right=True),
    Column("total", "Cost", shown=signed, is_right=True),
    Column(
        "mean_pct", "Mean", cell=lambda c: f"{c.mean_pct:+.3f} %{_between(c.interval_pct, places=3)}", is_right=True
    ),
    Column("mean_pct_90", value=lambda c: _interval_data(c.interval_pct)),
)

EXITS = Table[ExitDrift](
    Column("symbol", "Ended otherwise", shown=bold),
    Column("live_reason", "Live", shown=lambda reason: reason or "open"),
    Column("live_session", "On", shown=or_dash),
    Column("model_reason", "Replay", shown=lambda reason: reason or "open"),
    Column("model_session", "On", shown=or_dash),
    Column("signal_id"),
)

FILLS = Table[FillDrift](
    *facts("signal_id", "symbol", "role", "session"),
    Column("live_price", shown=price),
    Column("model_price", shown=price),
    Column("quantity", value=lambda f: number(f.quantity)),
    *facts("delay", "spread", "execution", "total", "fraction"),
)


def _interval_data(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else {"low": interval.low, "high": interval.high}


def _between(interval: Interval | None, places: int = 2) -> str:
    return "" if interval is None else f" ({interval.low:+.{places}f} to {interval.high:+.{places}f})"


def _side_data(side: SideResult) -> dict[str, Any]:
    return {
        **named(side, "signals", "trades", "closed", "net_r"),
        "net_expectancy_r": side.expectancy_r,
        "net_expectancy_r_90": _interval_data(side.interval),
    }


def drift_data(found: Drift) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    first = found.first_divergence
    return {
        "from": found.first.isoformat(),
        "to": found.last.isoformat(),
        "live": _side_data(found.live),
        "replay": _side_data(found.model),
        "matched": found.matched,
        "missed": ONE_SIDED.rows(found.missed),
        "extra": ONE_SIDED.rows(found.extra),
        "costs": COSTS.rows(found.costs),
        "fills": FILLS.rows(found.fills),
        "exits": EXITS.rows(found.exits),
        "compared": found.compared,
        "difference_r": found.difference_r,
        "difference_r_90": _interval_data(found.difference_interval),
        "first_divergence": None if first is None else {"session": first.session, "what": first.what},
        "parted": list(found.parted),
        "caveats": list(found.caveats),
        "problems": list(found.problems),
    }


def drift_blocks(found: Drift) -> tuple[Block, ...]:
    """Return whether the two part, both results, and what differs."""
    blocks: list[Block] = [*_verdict(found), _results(found)]
    missed, extra = "Missed: trades of the replay only, why not live", "Extra: live trades only, why not in the replay"
    for rows, title in ((found.missed, missed), (found.extra, extra)):
        if rows:
            blocks += [ONE_SIDED.grid(rows[:MOST_ROWS], title=title), *_more(rows)]
    if found.costs:
        note = f"Cost of fills against the replay in {account_currency()}: positive is worse."
        blocks += [COSTS.grid(found.costs), Line(text=note, tone=Tone.DIM)]
    if found.exits:
        blocks += [EXITS.grid(found.exits[:MOST_ROWS]), *_more(found.exits)]
    blocks += [Line(text=f"! {caveat}", tone=Tone.WARN) for caveat in found.caveats]
    blocks += [Line(text=f"! {problem}", tone=Tone.DIM) for problem in found.problems[:MOST_PROBLEMS]]
    if len(found.problems) > MOST_PROBLEMS:
        more = f"{len(found.problems) - MOST_PROBLEMS} more oddities of the replay: apex drift --json"
        blocks.append(Line(text=more, tone=Tone.DIM))
    return tuple(blocks)


def _verdict(found: Drift) -> tuple[Line, ...]:
    first = found.first_divergence
    days = f"{found.first} to {found.last}"
    if found.parted:
        head = Line(text=f"! Live trading and the replay part: {days}", tone=Tone.BAD)
    elif found.difference_interval is None:
        both = f"both closed {found.compared} of the same trades"
        head = Line(text=f"Too few trades to say whether live trading and the replay part: {both}, {days}")
    else:
        head = Line(text=f"Live trading and the replay agree: {days}", tone=Tone.GOOD)
    why = tuple(Line(text=f"  {sentence}", tone=Tone.BAD) for sentence in found.parted)
    began = () if first is None else (Line(text=f"First difference on {first.session}: {first.what}"),)
    return (head, *why, *began)


def _results(found: Drift) -> Grid:
    names = ("Signals", "Trades", "Closed", "Net R", "Expectancy, 90 %")
    rows = tuple(
        (
            Cell(name, Tone.BOLD),
            Cell(str(side.signals)),
            Cell(str(side.trades)),
            Cell(str(side.closed)),
            Cell(r_multiple(side.net_r)),
            Cell(f"{r_multiple(side.expectancy_r)}{_between(side.interval)}"),
        )
        for name, side in (("Live", found.live), ("Replay", found.model))
    )
    difference = (
        Cell("Difference", Tone.BOLD),
        Cell(""),
        Cell(f"{found.matched} same"),
        Cell(str(found.compared)),
        Cell(r_multiple(found.live.net_r - found.model.net_r)),
        Cell(f"{r_multiple(found.difference_r)}{_between(found.difference_interval)}"),
    )
    return Grid(columns=heads("", *(f">{name}" for name in names)), rows=(*rows, difference))


def _more(rows: Sequence[object]) -> tuple[Line, ...]:
    more = len(rows) - MOST_ROWS
    return (Line(text=f"{more} more: apex drift --json", tone=Tone.DIM),) if more > 0 else ()
