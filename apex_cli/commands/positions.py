"""``apex positions``: what is held, what it earns, and how it is protected."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from apex_cli.app.resources import badge_in, make_system_clock, open_store
from apex_cli.commands.options import Call, command, flag
from apex_cli.core.errors import InputError
from apex_cli.presenters.screen.blocks import Line
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.sections import Settings


@command("positions", "--watch")
def positions(
    call: Call,
    watch: Annotated[bool, flag("Keep showing; Ctrl-C ends.", "--watch", "-w")] = False,
) -> None:
    """Show open positions with P&L, R, stop, target and protection overnight."""
    out, settings = call.out, call.settings
    if watch:
        _watch(out, settings)
    else:
        _show(out, settings)


def _show(out: Output, settings: Settings) -> None:
    from apex_cli.core.positions.position_views import position_views, totals_of
    from apex_cli.presenters.positions import positions_blocks, positions_data

    state = open_store(settings).view()
    out.badge = badge_in(settings, state)
    views = position_views(state, settings.management, _now(settings))
    totals = totals_of(views)
    out.result(positions_data(views, totals), positions_blocks(views, totals))


def _watch(out: Output, settings: Settings) -> None:
    """Redraw whenever another process commits."""
    if not out.is_drawn:
        raise InputError("watch_needs_terminal", "--watch draws on a terminal.", hint="Leave --watch out, or --json.")
    import time

    from rich.console import Group
    from rich.live import Live

    from apex_cli.core.positions.position_views import position_views
    from apex_cli.core.reports.board import make_day
    from apex_cli.presenters.day import status_line
    from apex_cli.presenters.positions import positions_blocks
    from apex_cli.presenters.screen.terminal import renderable

    store = open_store(settings)
    with Live(refresh_per_second=4) as live:
        while True:
            state = store.view()
            views = position_views(state, settings.management, _now(settings))
            day = make_day(state, store.clock.now(), views)
            line = Line(text=status_line(day, badge_in(settings, state)))
            live.update(Group(*map(renderable, (line, *positions_blocks(views, day.totals)))))
            time.sleep(1)


def _now(settings: Settings) -> datetime | None:
    """Return the time; None where it moves with the bars: then it is that of the latest prices."""
    return make_system_clock(settings).now() if settings.simulation.clock is SimulationClock.SYSTEM else None
