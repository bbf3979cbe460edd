"""``apex history``: closed round trips and their statistics, streamed from the journal."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Annotated

import typer

from apex_cli.app.resources import open_journal
from apex_cli.commands.completion import strategy_names
from apex_cli.commands.options import Call, command, count, session
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.spelling import same_security


@command("history", "--symbol MSFT --since 2026-11-01 --last 20")
def history(
    call: Call,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.", autocompletion=strategy_names)] = None,
    since: Annotated[datetime | None, session("Closed in this session or later.")] = None,
    last: Annotated[int, count("How many round trips to list; the sums count all.", low=1, high=1_000_000)] = 50,
) -> None:
    """Show closed round trips and statistics."""
    from apex_cli.core.positions.performance import Tally
    from apex_cli.core.reports.handles import closed_round_trips, with_handles
    from apex_cli.core.reports.trade_report import Span
    from apex_cli.presenters.history import history_blocks, history_data

    out = call.out
    tally, span = Tally(), Span(first=since and since.date())
    shown: deque[tuple[str, RoundTrip]] = deque(maxlen=last)
    for handle, trip in with_handles(closed_round_trips(open_journal(call.settings))):
        if span.has(trip.exit_time) and _is_wanted(trip, symbol, strategy):
            tally.add(trip)
            shown.append((handle, trip))
    statistics = tally.statistics()
    blocks = history_blocks(shown, statistics, is_choice=bool(symbol or strategy or since))
    out.result(history_data([trip for _, trip in shown], statistics), blocks)


def _is_wanted(trip: RoundTrip, symbol: str | None, strategy: str | None) -> bool:
    return (symbol is None or same_security(symbol, trip.instrument)) and (
        strategy is None or trip.strategy == strategy
    )
