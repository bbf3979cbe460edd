"""Day trades from files: a situation to evaluate, executions to count, executions to take over into the state."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from apex_cli.app.compose import make_parts
from apex_cli.app.resources import file_hints
from apex_cli.core.adapters.files.executions.execution_fields import moment
from apex_cli.core.adapters.files.executions.execution_files import read_bytes, read_executions
from apex_cli.core.adapters.files.executions.situation import Situation, read_situation
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.day_trades.counter import is_partial
from apex_cli.core.day_trades.imports import Report, import_executions
from apex_cli.core.day_trades.summary import DayTradeReport, make_report
from apex_cli.core.errors import ConfigError
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.state.events.book_events import Imported
from apex_cli.core.text.problems import read_at
from apex_cli.settings.brokers import BrokerName
from apex_cli.settings.sections import Settings


def as_moment(text: str) -> datetime:
    """Return the time that ``--as-of`` names.

    Raises:
        InputError: it is no time, has no offset, or lies outside the calendar.
    """
    return read_at("--as-of", moment, text)


def read_trades(settings: Settings, path: Path, account: str) -> Report:
    """Return the trades in a file, whoever wrote it; *account* chooses where it holds several.

    Raises:
        InputError: it cannot be read, is ambiguous, or holds nothing that counts.
    """
    hints = file_hints(settings.executions, "executions")
    return read_executions(read_bytes(path), path.name, hints, account)


def fetch_trades(settings: Settings, query: str, account: str) -> Report:
    """Return the trades of a report that Interactive Brokers makes of the Flex query *query*.

    Raises:
        ConfigError: there is no token.
        BrokerError: the service cannot be reached, or has not made the report in time.
        InputError: it refused, or what it sent cannot be used.
    """
    from apex_cli.core.adapters.flex_service import fetch_report
    from apex_cli.core.adapters.notifiers.secrets import FLEX_TOKEN, read_secrets

    token = read_secrets(settings.notify.secrets_file, os.environ).flex_token
    if not token:
        raise ConfigError(
            "flex_token_missing",
            f"There is no {FLEX_TOKEN}: the Flex web service asks for a token.",
            hint="Make one in the Client Portal (Flex Web Service) and put it into the file notify.secrets_file names.",
        )
    content = fetch_report(settings.executions.flex_url, token, query, patience_s=settings.executions.flex_patience_s)
    return read_executions(content, f"Flex query {query}", file_hints(settings.executions, "executions"), account)


def report_of_files(
    settings: Settings, situation: Path | None, trades: Report | None, at: datetime | None
) -> DayTradeReport:
    """Return the picture of a situation, of executions alone, or of a situation with the executions of another file.

    Executions alone are looked at as the configured account would: simulated, with ``risk.capital``. Without a time
    it is now, or that of the newest execution if that is later.

    Raises:
        InputError: a file cannot be read, or a value in it is wrong.
    """
    reported = _situation(settings, situation)
    report = trades or Report(executions=reported.executions)
    rows = report.executions
    start = {row.security: row.held_before for row in rows if row.held_before is not None}
    newest = max((row.filled_at for row in rows), default=None)
    now = at or reported.as_of or max(filter(None, (SystemClock().now(), newest)))
    limits = settings.day_trades if reported.regime is None else replace(settings.day_trades, regime=reported.regime)
    return make_report(
        executions=rows,
        start={**start, **reported.start},
        facts=reported.facts,
        limits=limits,
        as_of=now,
        order=reported.order,
        preview=reported.preview,
        is_partial=trades is not None and not report.covers(now, limits.window_sessions),
    )


def _situation(settings: Settings, path: Path | None) -> Situation:
    if path is not None:
        return read_situation(read_bytes(path), path.name)
    is_simulated = settings.broker_name is BrokerName.SIMULATED
    return Situation(facts=AccountFacts(is_simulated=is_simulated, equity_now=settings.risk.capital))


def import_fills(settings: Settings, report: Report) -> tuple[Imported, bool]:
    """Take over the executions of *report*; return what changed, and whether the count stays partial."""
    parts = make_parts(settings, read_only=True)
    now = parts.clock.now()
    with parts.store.transaction() as tx:
        imported = import_executions(tx, report, now)
        return imported, is_partial(tx, session_date(now), settings.day_trades)
