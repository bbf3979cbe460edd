"""How any file is read: what kind it is taken for, which column is which, its first rows, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from msgspec.structs import replace

from apex_cli.app.resources import file_hints
from apex_cli.app.sources import signal_form
from apex_cli.core.adapters.files.executions import broker_words
from apex_cli.core.adapters.files.executions.execution_files import read_bytes, read_executions
from apex_cli.core.adapters.files.prices import price_files as prices
from apex_cli.core.adapters.files.prices.bar_series import is_pair, make_series
from apex_cli.core.adapters.files.prices.csv_bars import symbol_in_name
from apex_cli.core.adapters.files.signals import alerts
from apex_cli.core.adapters.files.signals.signal_reader import FORMATS, read_signals
from apex_cli.core.errors import InputError
from apex_cli.core.model.file_look import FileKind, FileLook
from apex_cli.core.model.wording import counted
from apex_cli.core.text.content import decoded
from apex_cli.core.text.json_text import parse_json
from apex_cli.core.text.problems import suggest
from apex_cli.core.text.table_reader import open_table
from apex_cli.core.text.text_table import FileHints, Row, match_columns
from apex_cli.settings.sections import Settings

FIRST_ROWS = 5
MOST_SHOWN = 20
SAY_WHAT = "To see what is missing, say what it holds: --as prices, executions or signals."


def look_at_file(settings: Settings, path: Path, now: datetime, kind: FileKind | None) -> FileLook:
    """Return how *path* is read: as *kind*, else as the kind that reads it, else as the one it is nearest to.

    A file without a column of any kind is near to none: there is nothing to map.

    Raises:
        InputError: it cannot be opened.
    """
    content = read_bytes(path)
    kinds = (kind,) if kind is not None else tuple(FileKind)
    looks = [LOOKS[one](settings, content, path.name, now) for one in kinds]
    if usable := next((look for look in looks if look.is_usable), None):
        return usable
    if kind is None and not any(look.columns for look in looks):
        return replace(looks[-1], problems=(*looks[-1].problems, SAY_WHAT), missing=(), mapping=())
    return min(looks, key=lambda look: len(look.missing))


def _prices(settings: Settings, content: bytes, name: str, now: datetime) -> FileLook:  # noqa: ARG001 - one signature
    hints = file_hints(settings.prices, "prices")
    symbol = symbol_in_name(name.partition(".")[0])
    try:
        table = prices.read_prices(content, name, hints, is_always_open=is_pair(symbol))
        some = {theirs: make_series(table, rows, theirs or symbol or "?", name) for theirs, rows in table.rows.items()}
    except InputError as error:
        return _unusable(FileKind.PRICES, content, name, hints, error)
    bars = [bar for series in some.values() for bar in series.bars[:FIRST_ROWS]][:FIRST_ROWS]
    reported = [note for series in some.values() for note in series.notes]
    symbols = [theirs for theirs in some if theirs] or [symbol or "no symbol: name the file after it"]
    return FileLook(
        name=name,
        kind=FileKind.PRICES,
        is_usable=bool(bars),
        taken_as=(*dict.fromkeys(reported), f"of {', '.join(symbols[:FIRST_ROWS])}"),
        columns=table.columns,
        heads=("symbol", "start", "end", "open", "high", "low", "close", "volume"),
        rows=tuple(
            (
                bar.symbol,
                f"{bar.start:%Y-%m-%d %H:%M}",
                f"{bar.end:%Y-%m-%d %H:%M}",
                *(f"{value:f}" for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)),
            )
            for bar in bars
        ),
        count=sum(len(series.bars) for series in some.values()),
        problems=_first(problem for series in some.values() for problem in series.problems),
    )


def _executions(settings: Settings, content: bytes, name: str, now: datetime) -> FileLook:  # noqa: ARG001 - same
    hints = file_hints(settings.executions, "executions")
    try:
        report = read_executions(content, name, hints)
    except InputError as error:
        return _unusable(FileKind.EXECUTIONS, content, name, hints, error)
    left_out = (f"left out, as no trades: {counted(report.dropped, 'row')}",) if report.dropped else ()
    return FileLook(
        name=name,
        kind=FileKind.EXECUTIONS,
        is_usable=True,
        taken_as=(report.source,),
        columns=_matched(content, name, FileKind.EXECUTIONS, hints),
        heads=("time", "security", "side", "quantity", "id"),
        rows=tuple(
            (f"{row.filled_at:%Y-%m-%d %H:%M:%S}", row.security, row.side.value, f"{row.quantity:f}", row.exec_id)
            for row in report.executions[:FIRST_ROWS]
        ),
        count=len(report.executions),
        problems=_first((*report.warnings, *left_out)),
    )


def _signals(settings: Settings, content: bytes, name: str, now: datetime) -> FileLook:
    form = signal_form(settings.signals, None)
    said: list[str] = []
    batch = read_signals(
        BytesIO(content),
        name,
        now=now,
        max_age=timedelta(days=36_500),
        kind=FORMATS.get(Path(name).suffix.lower()),
        form=form._replace(warn=said.append),
    )
    hints = FileHints(section="signals", columns=dict(form.columns))
    reasons = [f"{row.where}: {row.reason.message}" for row in batch.rejected]
    if not batch.signals:
        error = InputError("no_signals", f"{name} holds no signal.", details={"problems": reasons} if reasons else None)
        return _unusable(FileKind.SIGNALS, content, name, hints, error)
    return FileLook(
        name=name,
        kind=FileKind.SIGNALS,
        is_usable=True,
        taken_as=("signals",),
        columns=_matched(content, name, FileKind.SIGNALS, hints),
        heads=("symbol", "type", "entry", "stop", "targets", "made at"),
        rows=tuple(
            (
                signal.symbol,
                signal.signal_type.value,
                f"{signal.entry_price:f}",
                f"{signal.stop_loss:f}",
                " ".join(f"{price:f}" for price in signal.target_prices),
                f"{signal.created_at:%Y-%m-%d %H:%M}",
            )
            for signal in batch.signals[:FIRST_ROWS]
        ),
        count=len(batch.signals),
        problems=_first((*dict.fromkeys(said), *reasons)),
    )


LOOKS: Mapping[FileKind, Callable[[Settings, bytes, str, datetime], FileLook]] = {
    FileKind.PRICES: _prices,
    FileKind.EXECUTIONS: _executions,
    FileKind.SIGNALS: _signals,
}
KNOWN = {FileKind.PRICES: prices.KNOWN, FileKind.EXECUTIONS: broker_words.KNOWN, FileKind.SIGNALS: alerts.KNOWN}
LEAST = {
    FileKind.PRICES: ("time", "open", "high", "low", "close"),
    FileKind.EXECUTIONS: ("time", "symbol", "side", "quantity"),
    FileKind.SIGNALS: ("symbol", "signal_type", "entry_price", "stop_loss"),
}


def _unusable(kind: FileKind, content: bytes, name: str, hints: FileHints, error: InputError) -> FileLook:
    """Return what stands in the way of reading a file as *kind*, and the mapping that may help."""
    found = _matched(content, name, kind, hints)
    missing = tuple(field for field in LEAST[kind] if field not in found)
    reported = error.details.get("problems")
    problems = tuple(reported) if isinstance(reported, list) else (error.message,)
    names = _names(content, name, kind, hints)
    lines = [f"{hints.section}:", "  columns:"]
    strange = [each for each in names if each not in found.values()]
    lines += [f"    {field}: {suggest(field, strange) or 'NAME OF THE COLUMN'}" for field in missing]
    if names:
        lines.append(f"# the file has: {', '.join(names[:MOST_SHOWN])}")
    return FileLook(
        name=name,
        kind=kind,
        is_usable=False,
        columns=found,
        problems=_first((*problems, *((error.hint,) if error.hint else ()))),
        missing=missing,
        mapping=tuple(lines) if missing and names else (),
    )


def _names(content: bytes, name: str, kind: FileKind, hints: FileHints) -> list[str]:
    """Return the names of the columns of a table, as the file writes them."""

    def header(rows: Iterable[Row]) -> int | None:
        known = KNOWN[kind]
        scores = [len(match_columns(row.cells, known, hints)) for row in rows]
        return max(range(len(scores)), key=scores.__getitem__) if scores else None

    try:
        return [cell.strip() for cell in open_table(content, name, header).names if cell.strip()]
    except InputError:
        return _keys(content, name)


def _keys(content: bytes, name: str) -> list[str]:
    """Return the names in a JSON document that is one record."""
    try:
        document = parse_json(decoded(content, name)[0], dict)
    except (InputError, ValueError):
        return []
    return list(document) if isinstance(document, dict) else []


def _matched(content: bytes, name: str, kind: FileKind, hints: FileHints) -> dict[str, str]:
    """Return the columns of a table that are known, each with the name that the file gives it."""
    names = _names(content, name, kind, hints)
    times = {"time": prices.TIME_NAMES} if kind is FileKind.PRICES else {}
    found = match_columns(names, {**KNOWN[kind], **times}, hints)
    return {ours: names[at] for ours, at in found.items() if at < len(names)}


def _first(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the first few texts, and how many there are beyond them."""
    found = list(texts)
    more = len(found) - MOST_SHOWN
    return (*found[:MOST_SHOWN], *((f"{more} more",) if more > 0 else ()))
