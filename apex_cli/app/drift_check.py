"""Live trading beside a replay of the same days with the same settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from apex_cli.app.resources import open_journal, write_page
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.market.calendar import previous_sessions, session_date, session_start
from apex_cli.core.model.base import Value
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.health import DriftNote
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.risk_limits import CapitalBase

if TYPE_CHECKING:
    from apex_cli.app.replayer import OnStep
    from apex_cli.core.ports import SignalBatch
    from apex_cli.core.reports.drift_report import Drift
    from apex_cli.core.reports.trade_log import TradeLog
    from apex_cli.core.reports.trade_report import Span
    from apex_cli.settings.sections import Settings

NOTE_FILE = "drift.json"
"""In the state folder: what the last comparison came to."""

SCANNER = "scanner"
"""Source of signals that the replay's own scanners make again."""


class DriftOptions(Value, frozen=True, kw_only=True):
    """What to compare."""

    bars_dir: Path
    signals: tuple[Path, ...] = ()
    """Files and folders of files with every signal that there was; empty: those of the journal, beside what scanners
    find."""

    first: date | None = None
    last: date | None = None
    """Sessions of entries, both included; None: as far as the journal goes."""

    seed: int = 1
    tolerance: Decimal = Decimal("0.001")


def find_drift(settings: Settings, options: DriftOptions, on_step: OnStep | None = None) -> Drift:
    """Return where the journal of this account and a replay of its days part; *on_step* hears how far it is.

    Raises:
        NothingToDo: there is no signal in the journal, or no trade in the period.
        InputError: the period is none, there are no bars in it, or a file cannot be read.
        StateError: the journal cannot be read.
    """
    from apex_cli.app.replayer import Replay, ReplayOptions
    from apex_cli.core.adapters import event_loop
    from apex_cli.core.reports.drift_report import make_drift
    from apex_cli.core.reports.trade_log import TradeLog

    live, model = read_log(settings), TradeLog()
    span = _span_of(live, options)
    replayed = ReplayOptions(bars_dir=options.bars_dir, first=_begin(live, span), last=span.last, seed=options.seed)
    again = Replay(
        _with_equity(settings, live, replayed.first),
        replayed,
        received=tuple(_received(settings, options, live)),
        on_event=model.hear,
    )
    report = event_loop.run(again.run(on_step))
    found = make_drift(live, model, span, seed=options.seed, tolerance=options.tolerance)
    if not found.live.trades and not found.model.trades:
        why = f"Neither live trading nor the replay made a trade from {span.first} to {span.last}."
        raise NothingToDo("no_trades", why, hint="Choose another period with --from and --to.")
    return replace(found, caveats=tuple(_caveats(settings, options, live, span)), problems=report.problems)


def read_log(settings: Settings) -> TradeLog:
    """Return what the journal says of every signal.

    Raises:
        StateError: the journal cannot be read.
    """
    from apex_cli.core.reports.trade_log import LOG_KINDS, TradeLog
    from apex_cli.core.state.events.event import UnreadEvent, read_event

    log = TradeLog()
    for row in open_journal(settings).scan(LOG_KINDS):
        event = read_event(row)
        if not isinstance(event, UnreadEvent):
            log.hear(event)
    return log


def keep_note(settings: Settings, found: Drift, at: datetime) -> None:
    """Keep what the comparison came to, for who only looks."""
    first = found.first_divergence
    note = DriftNote(
        at=at,
        first=found.first,
        last=found.last,
        since=first.session if first is not None else "",
        parted=found.parted,
    )
    write_page(settings.state.dir / NOTE_FILE, msgspec.json.encode(note))


def last_note(settings: Settings) -> DriftNote | None:
    """Return what the last comparison came to; None where there was none, or its file cannot be read."""
    try:
        return msgspec.json.decode((settings.state.dir / NOTE_FILE).read_bytes(), type=DriftNote)
    except (OSError, msgspec.DecodeError):
        return None


def _span_of(live: TradeLog, options: DriftOptions) -> Span:
    from apex_cli.core.reports.trade_report import Span

    if live.first is None or live.last is None or not live.signals:
        raise NothingToDo("no_trades", "The journal knows no signal to compare.", hint="Trade first: apex run")
    first, last = options.first or session_date(live.first), options.last or session_date(live.last)
    if first > last:
        raise InputError(
            "period_empty",
            f"There is no session from {first} to {last}.",
            hint=f"The journal goes from {session_date(live.first)} to {session_date(live.last)}.",
        )
    return Span(first=first, last=last)


def _begin(live: TradeLog, span: Span) -> date | None:
    """Return the session that the replay begins with: the one before, or that of the oldest signal still held then."""
    if span.first is None:
        return None
    start = session_start(span.first)
    held = (
        entry.signal.created_at
        for entry in live.entries()
        if entry.entered_at < start and (entry.trip is None or entry.trip.exit_time >= start)
    )
    return min((*map(session_date, held), *previous_sessions(span.first, 1)))


def _with_equity(settings: Settings, live: TradeLog, begin: date | None) -> Settings:
    """Return *settings* that begin with what the account was worth then, where sizes are counted from that."""
    if settings.risk.capital_base is not CapitalBase.EQUITY or begin is None:
        return settings
    known = (equity for day, equity in sorted(live.equity.items()) if day >= begin.isoformat() and equity > 0)
    capital = next(known, settings.risk.capital)
    return settings.replace(risk=replace(settings.risk, capital=capital))


def _received(settings: Settings, options: DriftOptions, live: TradeLog) -> Iterator[SignalBatch]:
    """Yield the signals of files that are named, else those of the journal which no scanner finds again."""
    from apex_cli.app.pipeline import has_scanners
    from apex_cli.app.replayer import ReplayOptions, bars_of
    from apex_cli.app.sources import signal_form
    from apex_cli.core.adapters.files.signals.signal_sources import FileSource
    from apex_cli.core.ports import SignalBatch

    if options.signals:
        bars = bars_of(settings, ReplayOptions(bars_dir=options.bars_dir))
        max_age = timedelta(minutes=settings.signals.max_age_minutes)
        paths = [path for named in options.signals for path in _files_in(named)]
        files = FileSource(paths, max_age=max_age, form=signal_form(settings.signals, bars))
        yield from files.poll(live.first or datetime.min.replace(tzinfo=UTC))
        return
    scans = has_scanners(settings)
    known = tuple(signal for signal in live.signals.values() if not (scans and signal.source == SCANNER))
    yield SignalBatch(name="journal", signals=known, where=("journal",) * len(known))


def _files_in(path: Path) -> list[Path]:
    """Return the file, or the files of the folder by name; hidden ones are none of a person's."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    if not found:
        raise InputError("signals_unreadable", f"{path} holds no files.", hint="Name the file or folder of signals.")
    return found


def _caveats(settings: Settings, options: DriftOptions, live: TradeLog, span: Span) -> Iterator[str]:
    """Yield what the comparison cannot know."""
    from apex_cli.app.pipeline import has_scanners

    if not options.signals and not has_scanners(settings):
        yield (
            "The replay has the signals that the journal knows: one that was never received is not found missing. "
            "Name all there were with --signals."
        )
    others = [at for at, limits in live.limits if span.has(at) and _comparable(limits) != _comparable(settings.limits)]
    if others:
        yield (
            f"Decisions of {session_date(others[0])} and later were made with other limits than those of now, "
            "which the replay has."
        )


def _comparable(limits: Limits) -> Limits:
    """Return *limits* without what a replay sets by itself."""
    return replace(limits, execution=ExecutionLimits(entry_order=limits.execution.entry_order))
