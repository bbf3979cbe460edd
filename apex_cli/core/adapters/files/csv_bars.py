"""Price history from CSV files: one ``SYMBOL.csv`` per symbol."""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apex_cli.core.errors import InputError
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.money import Price

NEW_YORK = ZoneInfo("America/New_York")
EARLY = timedelta(seconds=1)
"""A clock that steps through bars stands this long before a bar's end: there its close is known."""

ONE_DAY = timedelta(days=1)
MAX_PROBLEMS = 100
MAX_NUMBER_TEXT = 40
MAX_PRICE = Decimal(1_000_000_000)
TIME_COLUMNS = ("date", "datetime", "timestamp", "time")
PRICE_COLUMNS = ("open", "high", "low", "close")
SATURDAY = 5

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_PAIR = re.compile(r"[A-Z0-9]{2,10}[-./](?:USD|USDT|USDC|EUR|GBP|JPY|CHF|CAD|AUD|NZD|BTC|ETH)", re.ASCII)


class _Row(NamedTuple):
    """One line of a file: its number, its time as written, open, high, low, close, volume."""

    line: int
    when: date | datetime
    prices: tuple[Price, Price, Price, Price]
    volume: Decimal


class _Series(NamedTuple):
    """The bars of one symbol, oldest first, and what was odd about them."""

    bars: tuple[Bar, ...]
    ends: tuple[datetime, ...]
    problems: tuple[str, ...]


class CsvBars:
    """Bars and latest prices from a folder of CSV files; each is read when its symbol is first asked for.

    Columns, in capitals or not: ``Date``, ``Datetime`` or ``Timestamp``; ``Open``, ``High``, ``Low``,
    ``Close``; ``Volume`` if there is one. Others are ignored. A date is a daily bar: the NYSE session of
    that day, or the UTC day for currency pairs and files with weekends. A time is the start of an
    intraday bar, New York time when it has no offset; the shortest step is the length of all.
    """

    __slots__ = ("_files", "_folder", "_series")

    def __init__(self, folder: Path) -> None:
        """Look which symbols *folder* has.

        Raises:
            InputError: the folder cannot be read, or two files mean the same symbol.
        """
        self._folder = folder
        self._files = _files_by_symbol(folder)
        self._series: dict[str, _Series] = {}

    def symbols(self) -> Sequence[str]:
        """Return the symbols there are files for, in alphabetical order."""
        return tuple(sorted(self._files))

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``, oldest first; none for an unknown symbol.

        Raises:
            InputError: the symbol's file has a row that cannot be used.
        """
        series = self._load(symbol)
        first = bisect_right(series.ends, after) if after is not None else 0
        last = bisect_right(series.ends, until) if until is not None else len(series.ends)
        return series.bars[first:last]

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Do nothing: files are read when they are asked for."""

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the close of the newest bar that ended by *at* or within one second of it.

        A bar's close is known only at its end; a clock that steps through the bars stands one
        second before that, where it is taken as known. An option has no price here: the file of
        its symbol holds its underlying's.

        Raises:
            InputError: the symbol's file has a row that cannot be used.
        """
        if instrument.market_type is MarketType.OPTIONS:
            return None
        series = self._load(instrument.symbol)
        number = bisect_right(series.ends, at + EARLY)
        if not number:
            return None
        bar = series.bars[number - 1]
        return Quote(price=bar.close, at=min(bar.end, at.astimezone(UTC)), source="bars")

    def problems(self, symbol: str) -> Sequence[str]:
        """Return what was repaired or looks odd in the symbol's file, a sentence each.

        Raises:
            InputError: the symbol's file has a row that cannot be used.
        """
        from apex_cli.core.analysis.quality import look_at

        series = self._load(symbol)
        name = self._files[_key(symbol)].name if _key(symbol) in self._files else symbol
        return (*series.problems, *(f"{name}: {issue.message}" for issue in look_at(series.bars)))

    def repairs(self, symbol: str) -> Sequence[str]:
        """Return what was put right while the symbol's file was read: order, double rows, rows left out.

        Raises:
            InputError: the symbol's file has a row that cannot be used.
        """
        return self._load(symbol).problems

    def _load(self, symbol: str) -> _Series:
        key = _key(symbol)
        series = self._series.get(key)
        if series is None:
            path = self._files.get(key)
            series = _read_series(path, key) if path is not None else _Series((), (), ())
            self._series[key] = series
        return series


def _key(symbol: str) -> str:
    return symbol.upper().replace("/", "-")


def _files_by_symbol(folder: Path) -> dict[str, Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.name[0] != ".")
    except OSError as error:
        raise InputError(
            "bars_unreadable",
            f"The folder of price bars {folder} cannot be read: {error.strerror}.",
            hint="Name a folder with one SYMBOL.csv per symbol: prices.bars_dir, or --bars.",
            details={"folder": str(folder)},
        ) from None
    files: dict[str, Path] = {}
    for path in paths:
        other = files.setdefault(_key(path.stem), path)
        if other is not path:
            raise InputError(
                "bars_ambiguous",
                f"{other} and {path.name} are both bars of {_key(path.stem)}.",
                hint="Keep one of them.",
                details={"files": [str(other), str(path)]},
            )
    return files


def _read_series(path: Path, symbol: str) -> _Series:
    """Read one file, put its rows in order and make bars of them."""
    rows = _read_rows(path)
    kinds = {isinstance(row.when, datetime) for row in rows}
    if len(kinds) > 1:
        odd = next(row for row in rows if isinstance(row.when, datetime) is not isinstance(rows[0].when, datetime))
        raise _unusable(path, odd.line, "time", str(odd.when), "dates in every row, or times in every row")
    problems: list[str] = []
    rows = _in_order(rows, problems)
    bars = tuple(_intraday(rows, symbol) if True in kinds else _daily(rows, symbol, problems))
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"{len(problems) - MAX_PROBLEMS} more problems"]
    return _Series(bars, tuple(bar.end for bar in bars), tuple(f"{path.name}: {problem}" for problem in problems))


def _read_rows(path: Path) -> list[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream)
            columns = _columns(path, next(lines, []))
            return [_row(path, lines.line_num, columns, cells) for cells in lines if any(map(str.strip, cells))]
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is not UTF-8 at byte {error.start}") from None
    except csv.Error as error:
        raise _unreadable(path, f"is not CSV: {error}") from None


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Return column -> position; the time column is called ``time``."""
    names = [cell.strip().lower() for cell in header]
    positions = {name: names.index(name) for name in (*PRICE_COLUMNS, "volume") if name in names}
    times = [name for name in TIME_COLUMNS if name in names]
    missing = [name.capitalize() for name in PRICE_COLUMNS if name not in positions]
    if missing or not times:
        told = ", ".join(missing + ([] if times else ["Date"]))
        raise _unreadable(path, f"has no column {told}; its first line must name Date,Open,High,Low,Close,Volume")
    positions["time"] = names.index(times[0])
    return positions


def _row(path: Path, line: int, columns: dict[str, int], cells: list[str]) -> _Row:
    """Read one line strictly: a row that cannot be used stops the reading."""

    def cell(column: str) -> str:
        position = columns[column]
        return cells[position].strip() if position < len(cells) else ""

    low, high = _price(path, line, "low", cell("low")), _price(path, line, "high", cell("high"))
    if high < low:
        raise _unusable(path, line, "high", str(high), f"at least the low, {low}")
    opening, close = _price(path, line, "open", cell("open")), _price(path, line, "close", cell("close"))
    text = cell("volume") if "volume" in columns else ""
    volume = _number(text) if text else Decimal(0)
    if volume is None or volume < 0:
        raise _unusable(path, line, "volume", text, "a number from 0")
    return _Row(line, _when(path, line, cell("time")), (opening, high, low, close), volume)


def _number(text: str) -> Decimal | None:
    return Decimal(text) if len(text) <= MAX_NUMBER_TEXT and _NUMBER.fullmatch(text) else None


def _price(path: Path, line: int, column: str, text: str) -> Price:
    number = _number(text)
    if number is None or not 0 < number <= MAX_PRICE:
        raise _unusable(path, line, column, text, "a number above 0")
    return Price(number)


def _when(path: Path, line: int, text: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=NEW_YORK)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _unusable(path, line, "time", text, "YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SS") from None


def _unusable(path: Path, line: int, column: str, value: str, allowed: str) -> InputError:
    shown = repr(value[:40])
    return InputError(
        "bars_invalid",
        f"{path}:{line}: column {column} holds {shown}, allowed: {allowed}.",
        hint="Correct or remove the line.",
        details={"file": str(path), "line": line, "column": column, "value": value[:40]},
    )


def _unreadable(path: Path, what: str) -> InputError:
    return InputError("bars_unreadable", f"{path} {what}.", hint=f"Correct {path.name}.", details={"file": str(path)})


def _in_order(rows: list[_Row], problems: list[str]) -> list[_Row]:
    """Sort by time and keep the last of rows with the same time; tell of both."""
    ordered = sorted(rows, key=_moment)
    if ordered != rows:
        line = next(after.line for row, after in pairwise(rows) if _moment(after) < _moment(row))
        problems.append(f"line {line} is older than the one before: rows were sorted")
    kept: list[_Row] = []
    for row in ordered:
        if kept and kept[-1].when == row.when:
            problems.append(f"lines {kept[-1].line} and {row.line} are both of {row.when}: the later one counts")
            kept[-1] = row
        else:
            kept.append(row)
    return kept


def _moment(row: _Row) -> datetime:
    return row.when if isinstance(row.when, datetime) else datetime.combine(row.when, time(), UTC)


def _daily(rows: list[_Row], symbol: str, problems: list[str]) -> Iterator[Bar]:
    """Give each date its session; a date without one is left out and told of."""
    from apex_cli.core.market.calendar import CalendarEndError, session_bounds

    is_continuous = _PAIR.fullmatch(symbol) or any(row.when.weekday() >= SATURDAY for row in rows)
    for row in rows:
        start = _moment(row)
        try:
            bounds = (start, start + ONE_DAY) if is_continuous else session_bounds(start.date())
        except CalendarEndError as error:
            problems.append(f"line {row.line} is left out: {error}")
            continue
        if bounds is None:
            problems.append(f"line {row.line} is left out: NYSE was closed on {row.when}")
        else:
            yield _bar(row, symbol, *bounds)


def _intraday(rows: list[_Row], symbol: str) -> Iterator[Bar]:
    starts = [_moment(row) for row in rows]
    steps = [after - start for start, after in pairwise(starts)]
    interval = min(steps, default=timedelta(minutes=1))
    return (_bar(row, symbol, start, start + interval) for row, start in zip(rows, starts, strict=True))


def _bar(row: _Row, symbol: str, start: datetime, end: datetime) -> Bar:
    opening, high, low, close = row.prices
    return Bar(symbol=symbol, start=start, end=end, open=opening, high=high, low=low, close=close, volume=row.volume)
