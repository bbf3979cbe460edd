"""``apex pdt-status``: which day-trading rule holds, how many day trades are used, and how many are left."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from apex_cli.commands.options import AccountOption, Call, command, option
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.day_trades.imports import Report
    from apex_cli.core.day_trades.summary import DayTradeReport


@command("pdt-status", "--executions trades.xml")
def pdt_status(
    call: Call,
    from_file: Annotated[
        Path | None,
        option("FILE", "Evaluate an account described in a JSON or YAML file; apex's own state is ignored.", "--from"),
    ] = None,
    executions: Annotated[
        Path | None,
        option(
            "FILE", "Count the trades in a report or list of your broker; the state is not looked at.", "--executions"
        ),
    ] = None,
    account: AccountOption = None,
    as_of: Annotated[
        str | None, option("TIME", "With an offset: 2026-11-24T10:30:00-05:00. Default: now.", "--as-of")
    ] = None,
) -> None:
    """Show the day-trading rule in force, the count, the forecast, and what the broker says. Nothing is changed."""
    from apex_cli.presenters.pdt_status import day_trade_blocks, day_trade_data, file_warnings, report_warnings

    is_of_state = from_file is None and executions is None
    out, settings = call.out, call.settings if is_of_state else call.any_settings
    trades = None
    if executions is not None:
        from apex_cli.app.day_trade_files import read_trades

        trades = read_trades(settings, executions, account or "")
        out.detail(f"Taken as: {trades.source}")
        out.warn(*file_warnings(trades))
    report = _report(settings, from_file, trades, as_of)
    out.warn(*report_warnings(report))
    out.result(day_trade_data(report), day_trade_blocks(report))


def _report(settings: Settings, from_file: Path | None, trades: Report | None, as_of: str | None) -> DayTradeReport:
    if from_file is None and trades is None and as_of is None:
        return _report_of_state(settings, None)
    from apex_cli.app.day_trade_files import as_moment, report_of_files

    at = None if as_of is None else as_moment(as_of)
    if from_file is None and trades is None:
        return _report_of_state(settings, at)
    return report_of_files(settings, from_file, trades, at)


def _report_of_state(settings: Settings, at: datetime | None) -> DayTradeReport:
    """Return the picture of the stored fills and the account as it is now."""
    from apex_cli.app.compose import look_at_account, make_parts
    from apex_cli.core.adapters import event_loop
    from apex_cli.core.day_trades.counter import all_fills, held_before, is_partial
    from apex_cli.core.day_trades.margin_watch import with_standing
    from apex_cli.core.day_trades.regimes import facts_of
    from apex_cli.core.day_trades.summary import make_report
    from apex_cli.core.market.calendar import session_date

    parts = make_parts(settings, read_only=True)
    state = parts.store.view()
    now = at or parts.clock.now()
    account = with_standing(event_loop.run(look_at_account(parts)), state, now)
    return make_report(
        executions=all_fills(state),
        start=held_before(state),
        facts=facts_of(account),
        limits=settings.day_trades,
        as_of=now,
        is_partial=is_partial(state, session_date(now), settings.day_trades),
        deficits=state.deficits.values(),
    )
