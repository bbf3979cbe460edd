"""``apex history``: closed round trips and what they come to, streamed from the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from apex_cli.app.resources import open_journal
from apex_cli.commands.completion import strategy_names
from apex_cli.commands.options import Call, common, whole
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.spelling import same_security
from apex_cli.core.ports import JournalReader
from apex_cli.core.reports.trade_report import final_bookings
from apex_cli.core.state.events import RoundTripClosed, kind_of, read_event

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex history --symbol MSFT --since 2026-11-01 --last 20")
@common("history")
def history(
    call: Call,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.", show_default=False)] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Only this strategy.", show_default=False, autocompletion=strategy_names)
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Closed on this day or later.", show_default=False)
    ] = None,
    last: Annotated[
        int,
        typer.Option(
            parser=whole(1, 1_000_000), metavar="NUMBER", help="How many round trips to list; the sums count all."
        ),
    ] = 50,
) -> None:
    """Show closed round trips and statistics."""
    from apex_cli.core.positions.performance import Tally
    from apex_cli.presenters.history import history_blocks, history_data

    out = call.out
    tally = Tally()
    shown: deque[RoundTrip] = deque(maxlen=last)
    for trip in closed_round_trips(open_journal(call.settings)):
        if _is_wanted(trip, symbol, strategy, since):
            tally.add(trip)
            shown.append(trip)
    statistics = tally.statistics()
    out.result(history_data(shown, statistics), history_blocks(shown, statistics))


def closed_round_trips(journal: JournalReader) -> Iterator[RoundTrip]:
    """Yield round trips as they were last booked, oldest first.

    A late or corrected fill books a round trip again or voids it; only then is the journal read twice.
    """
    final = final_bookings(journal)
    for row in journal.events(kind=kind_of(RoundTripClosed)):
        event = read_event(row)
        if isinstance(event, RoundTripClosed) and final.get(event.data.round_trip_id, event.seq) == event.seq:
            yield event.data


def _is_wanted(trip: RoundTrip, symbol: str | None, strategy: str | None, since: datetime | None) -> bool:
    return (
        (symbol is None or same_security(symbol, trip.instrument))
        and (strategy is None or trip.strategy == strategy)
        and (since is None or trip.exit_time.date() >= since.date())
    )
