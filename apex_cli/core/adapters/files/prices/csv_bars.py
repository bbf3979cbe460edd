"""Price history from a folder of files: one file a symbol, or several symbols in one file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from apex_cli.core.adapters.files.prices.bar_columns import Ends, moments_of
from apex_cli.core.adapters.files.prices.bar_parts import Part, is_part_of_one, join_parts
from apex_cli.core.adapters.files.prices.bar_series import (
    NO_BARS,
    OUTSIDE,
    Series,
    ended_by,
    is_pair,
    make_series,
    search_of,
    without_splits,
)
from apex_cli.core.adapters.files.prices.bar_store import BarStore
from apex_cli.core.adapters.files.prices.plain_bars import LEAST_BYTES, read_columns
from apex_cli.core.adapters.files.prices.price_files import PriceTable, has_symbols, read_prices
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.corporate_action import CorporateAction
from apex_cli.core.model.currency import CURRENCIES
from apex_cli.core.model.instrument import HOME_CURRENCY, Instrument, MarketType
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.spelling import COINS, canonical_ticker
from apex_cli.core.model.vendor_marks import PREFIXES
from apex_cli.core.text.content import unpacked
from apex_cli.core.text.problems import unusable
from apex_cli.core.text.text_table import FileHints

if TYPE_CHECKING:
    from apex_cli.core.analysis.unknown_splits import UnknownSplit

MOST_SHOWN = 3
"""Files that are named with their reason when none has a bar."""

HEAD = 65_536
MOST_LOOKED_AT = 50_000
"""Bars, the newest of a symbol, that are looked through for what is odd."""

MOST_OTHERS = 30
"""Symbols that are asked whether the whole market jumped."""

ENDINGS = (".csv", ".txt", ".tsv", ".json", ".xlsx", ".xlsm", ".parquet", ".feather", ".arrow")
PACKED = (".gz", ".zip")
UNREAD = (
    ".xls",
    ".ods",
    ".7z",
    ".rar",
    ".bz2",
    ".xz",
    ".zst",
    ".lz4",
    ".tar",
    ".tgz",
    ".h5",
    ".hdf5",
    ".pkl",
    ".db",
    ".sqlite",
)
"""Endings of files that may well be prices and are not read: they are named."""

SURE_ENDINGS = (".csv", ".tsv", ".parquet", ".feather")
"""Files with another ending may be anything: they count only if they hold prices."""

_WORDS = re.compile(rb"symbol|ticker|\btic\b|instrument|stock|\bcode\b|\bname\b", re.IGNORECASE)
_JOINED = re.compile(rb"\('|(?i:open)[._ -]+[A-Z0-9]|[A-Z0-9][._ -]+(?i:open)")
_BINARY = (b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"ARROW1", b"{", b"[", b"\xff\xfe", b"\xfe\xff")
_PLAIN_NAME = re.compile(r"[\^A-Z0-9][A-Z0-9 .^=-]{0,19}", re.IGNORECASE)
_SHARE_CLASS = re.compile(r"[A-Z]{1,5} (?:[A-Z]|PR[A-Z]|WS|RT)|[A-Z0-9.]+@[A-Z]{3,}")
_METATRADER = re.compile(r"([A-Z]{1,6}|[A-Z]{6,10})(?:1440|240|(?<=[A-Z]{6})(?:1|5|15|30|60))", re.IGNORECASE)
"""A symbol with the minutes of its bars, as MetaTrader calls files of its history center."""

_DECORATIONS = re.compile(
    r"us|uk|d|w|m|h|o|full|part|tick|[0-9]+(?:d|h|m|w|mo|min|mins|minute|minutes|hour|hours|s|sec)|m[0-9]+|h[0-9]+|d1|"
    r"w1|mn1|weekly|week|monthly|month|candlestick|bid|ask|daily|day|hourly|hour|minute|minutes|intraday|historical|historic|history|data|prices?|price|quotes|stock|chart|"
    r"adjusted|adj|adjsplitdiv|adjsplit|unadjusted|unadj|raw|ohlcv?|bars?|candles?|klines?|dat|ascii|mt|export|"
    r"nasdaq|nyse|amex|arca|bats|batsus|cboe|otc|nysearca|lse|xetr|binance|bitstamp|coinbase|kraken|gemini|bitfinex|"
    r"oanda|fx|fxcm|forexcom|stooq|yahoo|tiingo|alpaca|polygon|barchart|[0-9]{4}|[0-9]{6}|[0-9]{8}|[0-9]{1,2}|"
    r"historicaldata|historicalquotes|table|xnas|xnys|xase|arcx|historische|daten|dati|storici|datos|hist[oó]ricos?|"
    r"dados|donn[ée]es|historiques",
    re.IGNORECASE,
)
"""Words that vendors put around a symbol in the name of a file."""


class CsvBars:
    """Bars and latest prices from a folder of files; each is read when its symbol is first asked for.

    The layout of a file is found out: see ``prices``. A date, or midnight in whatever zone, is a daily bar: the NYSE
    session of that day, or the UTC day for currency pairs, coins and files with weekends. Another time is the start of
    an intraday bar, New York time when it names no zone and ``prices.zone`` does not. Whatever looks into a file raises
    ``InputError`` when a row in it cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        hints: FileHints | None = None,
        actions: Iterable[CorporateAction] = (),
        *,
        keeps: bool = False,
        ends_at_splits: bool = False,
    ) -> None:
        """Look which symbols *folder* has.

        Args:
            folder: of the files.
            hints: what the configuration says of them.
            actions: splits, by which prices of before are divided.
            keeps: True: what is read is kept beside the files, and not read again while they stay as they are.
            ends_at_splits: True: the bars of a symbol end before an open that looks like a split of which *actions*
                say nothing.

        Raises:
            InputError: the folder cannot be read, or two files mean the same symbol.
        """
        self._folder = folder
        self._hints = hints or FileHints()
        self._actions = tuple(actions)
        self._series: dict[str, Series] = {}
        self._uncut: dict[str, Series] | None = {} if ends_at_splits else None
        self._ends: Ends | None = None
        """Ends of the bars read last: symbols that trade at the same times share them."""

        self._splits: dict[str, UnknownSplit] = {}
        self._problems: dict[str, tuple[str, ...]] = {}
        self._shared: dict[Path, PriceTable] = {}
        self._unmatched: list[str] = []
        self._files = self._find_files()
        self._is_large = sum(map(_size, {path for paths in self._files.values() for path in paths})) >= LEAST_BYTES
        self._store = BarStore(folder, self._hints) if keeps and self._is_large else None

    def symbols(self) -> Sequence[str]:
        """Return the symbols there are files for, in alphabetical order."""
        return tuple(sorted(self._files))

    def unmatched(self) -> Sequence[str]:
        """Return a sentence for each file of the folder that belongs to no symbol."""
        return tuple(self._unmatched)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``, oldest first; none for an unknown symbol."""
        series = self._series.get(symbol) or self._load(symbol)
        ended = search_of(series.ends)
        first = ended(after) if after is not None else 0
        last = ended(until) if until is not None else len(series.ends)
        part: Callable[[int, int], Sequence[Bar]] | None = getattr(series.bars, "part", None)
        return series.bars[first:last] if part is None else part(first, last)

    def newest(self, symbol: str, until: datetime) -> Bar | None:
        """Return the last bar that ended by *until*; None where there is none, as for an unknown symbol."""
        series = self._series.get(symbol) or self._load(symbol)
        number = search_of(series.ends)(until)
        return series.bars[number - 1] if number else None

    def moments(self, *, after: datetime, until: datetime) -> Sequence[datetime]:
        """Return every moment at which bars end, ``after < moment <= until``, oldest first."""
        every = (self._load(symbol) for symbol in self.symbols())
        return moments_of(series.ends[ended_by(series, after) : ended_by(series, until)] for series in every)

    def next_end(self, symbol: str, after: datetime) -> datetime | None:
        """Return when the first bar of *symbol* ends that ends after *after*; None where none does."""
        series = self._load(symbol)
        number = ended_by(series, after)
        return series.ends[number] if number < len(series.ends) else None

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Do nothing: files are read when they are asked for."""

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the close of the newest bar that ended by *at* or within one second of it.

        A bar's close is known only at its end; a clock that steps through the bars stands one
        second before that, where it is taken as known. The file of an option is named after its contract.
        """
        is_option = instrument.market_type is MarketType.OPTIONS
        bar = self.newest(instrument.key if is_option else instrument.bars_name, at + LAST_SECOND)
        return None if bar is None else Quote(price=bar.close, at=min(bar.end, at.astimezone(UTC)), source="bars")

    def problems(self, symbol: str) -> Sequence[str]:
        """Return what was repaired or looks odd in the symbol's file, a sentence each."""
        from apex_cli.core.analysis.quality import look_at

        key = _key(symbol)
        found = self._problems.get(key)
        if found is None:
            series = self._load(symbol)
            name = self._files[key][0].name if key in self._files else symbol
            newest = series.bars[-MOST_LOOKED_AT:]
            found = (*series.problems, *(f"{name}: {issue.message}" for issue in look_at(newest)))
            self._problems[key] = found
        return found

    def repairs(self, symbol: str) -> Sequence[str]:
        """Return what was put right while the symbol's file was read: order, double rows, rows left out."""
        return self._load(symbol).problems

    def why_none(self) -> str:
        """Return why no symbol has a bar, the first reason of each of some files; empty where there are no files."""
        reported = [found for symbol in self.symbols()[:MOST_SHOWN] if (found := self.repairs(symbol))]
        return "; ".join(found[0] + (f" (+{len(found) - 1} more)" if len(found) > 1 else "") for found in reported)

    def outside(self) -> Sequence[str]:
        """Return a sentence for each file read so far whose days lie outside the calendar."""
        return tuple(found for series in self._series.values() for found in series.problems[:1] if OUTSIDE in found)

    def all_taken_as(self) -> Sequence[str]:
        """Return in a few words what each file that was read was taken for."""
        return tuple(self.taken_as(symbol) for symbol in sorted(self._series) if symbol in self._files)

    def taken_as(self, symbol: str) -> str:
        """Return in a few words what the symbol's file was taken for."""
        series = self._load(symbol)
        paths = self._files.get(_key(symbol))
        return f"{paths[0].name}: {', '.join(series.notes)}" if paths else ""

    def _load(self, symbol: str) -> Series:
        series = self._series.get(symbol)
        if series is not None:
            return series
        key = _key(symbol)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._with_shared_ends(self._up_to_split(key))
        return series

    def _with_shared_ends(self, series: Series) -> Series:
        ends = series.ends
        if not isinstance(ends, Ends):
            return series
        if self._ends is not None and self._ends.are(ends):
            return series._replace(ends=self._ends)
        self._ends = ends
        return series

    def unknown_splits(self) -> Mapping[str, UnknownSplit]:
        """Return why the bars of a symbol end before those of its file, of the symbols read so far, by name."""
        return self._splits

    def unknown_split(self, symbol: str) -> UnknownSplit | None:
        """Return why the bars of *symbol* end before those of its file; None where they do not."""
        self._load(symbol)
        return self._splits.get(_key(symbol))

    def _up_to_split(self, key: str) -> Series:
        """Return the series of *key*, up to the first split that nothing explains where that is asked for."""
        if self._uncut is None:
            return without_splits(self._kept(key), self._actions, key)
        series = self._whole(key)
        if is_pair(key) or not series.bars:
            return series
        from apex_cli.core.analysis.unknown_splits import far_opens, unknown_split

        known: Callable[[], list[int]] | None = getattr(series.bars, "far_opens", None)
        places = far_opens(series.bars) if known is None else known()
        found = unknown_split(series.bars, places, lambda at: self._others_at(key, at)) if places else None
        if found is None:
            return series
        place, split = found
        self._splits[key] = split
        name = self._files[key][0].name if key in self._files else key
        problems = (*series.problems, f"{name}: {split.sentence}")
        return series._replace(bars=series.bars[:place], ends=series.ends[:place], problems=problems)

    def _whole(self, key: str) -> Series:
        whole = self._uncut if self._uncut is not None else {}
        series = whole.get(key)
        if series is None:
            series = whole[key] = without_splits(self._kept(key), self._actions, key)
        return series

    def _others_at(self, key: str, at: datetime) -> list[Decimal]:
        """Return open over close before of other symbols, for their bars that start at *at*."""
        found: list[Decimal] = []
        for other in [each for each in self.symbols() if each != key][:MOST_OTHERS]:
            series = self._whole(other)
            place = ended_by(series, at)
            if 0 < place < len(series.bars) and series.bars[place].start == at and series.bars[place - 1].close > 0:
                found.append(series.bars[place].open / series.bars[place - 1].close)
        return found

    def _kept(self, key: str) -> Series:
        """Return the series of *key*: as it was kept, where its files are as they were."""
        paths = self._files.get(key, ())
        store = self._store if not self._shared.keys() & set(paths) else None
        mark = store.mark_of(paths) if store is not None else ""
        series = store.read(key, mark) if store is not None and mark else None
        if series is None:
            parts = [Part(path.name, self._read(path, key)) for path in paths]
            series = parts[0].series if len(parts) == 1 else join_parts(parts) if parts else NO_BARS
            if store is not None and mark:
                store.write(key, mark, series)
        return series

    def _read(self, path: Path, key: str) -> Series:
        table = self._shared.get(path)
        if table is None:
            if (series := self._columns(path, key)) is not None:
                named = tuple(f"{path.name}: {problem}" for problem in series.problems)
                return series._replace(problems=named)
            table = self._table(path, key)
        rows = next(iter(table.rows.values()), [])
        if len(table.rows) > 1:
            rows = next(rows for theirs, rows in table.rows.items() if _key(file_symbol(theirs)) == key)
        return make_series(table, rows, key, path.name)

    def _columns(self, path: Path, key: str) -> Series | None:
        """Return the bars of a plain file of a large folder; None for any other one."""
        try:
            if not self._is_large:
                return None
            if path.name.lower().endswith(PACKED):
                return read_columns(io.BytesIO(unpacked(_content(path), path.name)), key, self._hints)
            with path.open("rb") as stream:
                return read_columns(stream, key, self._hints)
        except OSError:
            return None

    def _table(self, path: Path, key: str) -> PriceTable:
        return read_prices(_content(path), str(path), self._hints, is_always_open=is_pair(key))

    def _find_files(self) -> dict[str, list[Path]]:
        """Return the files of each symbol: several where their names differ in nothing but dates."""
        files: dict[str, list[Path]] = {}
        for path in _paths(self._folder):
            if not path.is_file():
                self._unmatched.append(f"{path.name} is not used: it is no file that can be read")
                continue
            for symbol in self._symbols_of(path):
                others = files.setdefault(symbol, [])
                if others and not is_part_of_one([others[0].name, path.name]):
                    raise InputError(
                        "bars_ambiguous",
                        f"{others[0]} and {path.name} are both bars of {symbol}.",
                        hint="Keep one of them.",
                        details={"files": [str(others[0]), str(path)]},
                    )
                if path not in others:
                    others.append(path)
        return files

    def _symbols_of(self, path: Path) -> Iterator[str]:
        """Yield the symbols whose bars *path* holds; note why where there is none."""
        if path.name.lower().endswith(UNREAD):
            self._unmatched.append(f"{path.name} is not used: files of this kind are not read; save it as CSV")
            return
        named = _key(symbol_in_name(_bare_name(path).rpartition(".")[0]))
        is_sure = _bare_name(path).lower().endswith(SURE_ENDINGS)
        try:
            head = _head(path)
        except InputError as error:
            self._unmatched.append(f"{path.name} is not used: it {error.message.removeprefix(f'{path.name} ')}")
            return
        if (is_sure and named and not _may_name_symbols(head)) or not head:
            if named:
                yield named
            return
        try:
            if has_symbols(head, path.name, self._hints):
                yield from self._symbols_inside(path, named)
                return
            if not is_sure:
                read_prices(_whole_lines(head), path.name, self._hints)
        except InputError as error:
            if is_sure and named:
                yield named
            else:
                self._unmatched.append(f"{path.name} is not used: {error.message}")
            return
        if named:
            yield named
        else:
            self._unmatched.append(
                f"{path.name} is not used: neither its name nor a column says which symbol it is of; call it SYMBOL.csv"
            )

    def _symbols_inside(self, path: Path, named: str) -> Iterator[str]:
        table = self._table(path, named)
        self._shared[path] = table
        found = [file_symbol(theirs) for theirs in table.rows]
        if len(found) == 1 and named and _letters(found[0]) in {_letters(named), ""}:
            found = [named]
        yield from (_key(symbol) for symbol in found if symbol)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise unusable(str(path), what, f"Correct {path.name}.", code="bars_unreadable") from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@lru_cache(maxsize=1 << 12)
def _key(symbol: str) -> str:
    return canonical_ticker(symbol)


def _letters(symbol: str) -> str:
    return "".join(sign for sign in symbol.upper() if sign.isalnum())


def file_symbol(text: str) -> str:
    """Return the symbol in a cell without its exchange.

    >>> file_symbol("NASDAQ:AAPL"), file_symbol("AAPL.US"), file_symbol("BTC/USD"), file_symbol("X:BTCUSD")
    ('AAPL', 'AAPL', 'BTC/USD', 'BTCUSD')
    >>> file_symbol("US.AAPL")
    'AAPL'
    """
    venue, _, symbol = text.strip().upper().rpartition(":")
    place = PREFIXES.get(venue)
    if place is not None and place.market is MarketType.EQUITY and place.currencies != (HOME_CURRENCY,):
        return f"{venue}:{symbol}"
    return symbol.removesuffix(".US").removeprefix("US.")


def symbol_in_name(name: str) -> str:
    """Return the symbol in the name of a file without its ending; empty where it names none for sure.

    >>> [symbol_in_name(name) for name in ("aapl_us_d", "NASDAQ_AAPL, 1D", "Binance_BTCUSDT_1h", "my_own_file")]
    ['AAPL', 'AAPL', 'BTCUSDT', '']
    """
    stem = re.sub(r" ?\([0-9]+\)$|(?<=[DWMHS0-9])_[0-9a-f]{5}$", "", name.strip())
    if minutes := _METATRADER.fullmatch(stem):
        stem = minutes[1]
    stem = re.sub(r"(?<=[A-Z0-9])\.last$", "", stem, flags=re.IGNORECASE)  # NinjaTrader
    if (tail := re.fullmatch(r"(.+)-([a-z]{3,})", stem, re.IGNORECASE)) and _DECORATIONS.fullmatch(tail[2]):
        stem = tail[1]
    if re.fullmatch(r"[A-Z]{1,5}_[AB]", stem):
        stem = stem.replace("_", ".")
    if _SHARE_CLASS.fullmatch(stem) or _is_pair(stem):
        return stem
    if _PLAIN_NAME.fullmatch(stem) and " " not in stem and not re.search(r"-[0-9]|-(?:1d|usd.*-)", stem, re.IGNORECASE):
        symbol = stem.upper().removesuffix(".US").removeprefix("US.")
        return (
            "" if re.fullmatch(r"HISTORICAL(?:DATA|QUOTES)|PRICES?|DATA|BARS|DOWNLOAD|TABLE|EXPORT", symbol) else symbol
        )
    words = [word for word in re.split(r"[_,\s()]+|-(?=[0-9])|(?<=[0-9a-z])-(?=[0-9]*[a-z]+(?:[_-]|$))", stem) if word]
    left = [word for word in words if not _DECORATIONS.fullmatch(word) and not re.fullmatch(r"[0-9.:-]+", word)]
    if len(left) == 1 and _PLAIN_NAME.fullmatch(left[0]):
        return left[0].upper().removesuffix(".US")
    return ""


def _is_pair(stem: str) -> bool:
    parts = stem.upper().split("_")
    return len(parts) == 2 and parts[0] in CURRENCIES | COINS and parts[1] in CURRENCIES | COINS  # noqa: PLR2004 - a pair


def _bare_name(path: Path) -> str:
    """Return the name of a file without what its compression adds to it."""
    if path.name.lower().endswith(".gz"):
        return path.name[:-3]
    if not path.name.lower().endswith(".zip"):
        return path.name
    inner = path.name[:-4]
    return inner if inner.lower().endswith(ENDINGS) else f"{inner}.csv"


def _head(path: Path) -> bytes:
    """Return the beginning of a file, unpacked, or a binary one whole; nothing when it cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
            if not head.lstrip()[:6].startswith(_BINARY):
                return head
            whole = head + stream.read()
    except OSError:
        return b""
    content = unpacked(whole, path.name)
    return content if content.lstrip()[:6].startswith(_BINARY) else content[:HEAD]


def _whole_lines(head: bytes) -> bytes:
    """Return the beginning of a text file up to its last whole line."""
    is_whole = len(head) < HEAD or head.lstrip().startswith(_BINARY)
    return head if is_whole else head[: head.rfind(b"\n") + 1] or head


def _may_name_symbols(head: bytes) -> bool:
    """Return True when a file may say itself which symbols it holds: cheap, and rather too often than not."""
    first = head.lstrip()
    if first.startswith(_BINARY):
        return True
    top = b"\n".join(first.splitlines()[:3])
    return (
        bool(_WORDS.search(top) or _JOINED.search(top))
        or not re.search(rb"open|close|high|low", top, re.IGNORECASE)
        or top.startswith(b",")
    )


def _paths(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.name[0] not in "._~")
    except OSError as error:
        raise InputError(
            "bars_unreadable",
            f"The folder of price bars {folder} cannot be read: {error.strerror}.",
            hint="Name a folder with one SYMBOL.csv per symbol: prices.bars_dir, or --bars.",
            details={"folder": str(folder)},
        ) from None
    return [path for path in paths if _bare_name(path).lower().endswith((*ENDINGS, *UNREAD))]
