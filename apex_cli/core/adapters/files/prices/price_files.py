"""Price files of every common vendor to rows: time, open, high, low, close, volume, and the symbol they are of.

The layout is found by the names of the columns, or by the shape of the rows where there are no names. Yahoo and
yfinance, pandas, Stooq, Nasdaq, investing.com, Alpha Vantage, Tiingo, Alpaca, Polygon, TradingView, MetaTrader,
Binance, CryptoDataDownload, Barchart, Kibot, FirstRate and ``util.df`` of ib_insync are read this way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apex_cli.core.errors import InputError
from apex_cli.core.model.money import Price
from apex_cli.core.text.cells import (
    Decimals,
    When,
    find_decimals,
    find_order,
    is_nothing,
    number,
    read_clock,
    read_when,
    read_zone,
)
from apex_cli.core.text.problems import Problems, shown, unusable
from apex_cli.core.text.table_reader import open_table
from apex_cli.core.text.text_table import (
    FileHints,
    Row,
    Table,
    ambiguous_date,
    ambiguous_number,
    column_texts,
    match_columns,
    plain_name,
    unmatched_hints,
    zone_of_names,
)

PRICE_FIELDS = ("open", "high", "low", "close")
KNOWN: Mapping[str, tuple[str, ...]] = {
    "open": (
        "open", "o", "openprice", "first", "opening", "openbid", "bidopen", "eröffnung", "eröffn", "erster",
        "apertura", "abertura", "ouv", "ouverture", "otwarcie",
    ),
    "high": (
        "high", "h", "highprice", "max", "highbid", "bidhigh", "hoch", "höchst", "tageshoch",
        "máximo", "massimo", "máxima", "plushaut", "najwyzszy",
    ),
    "low": (
        "low", "l", "lowprice", "min", "lowbid", "bidlow", "tief", "tiefst", "tagestief",
        "mínimo", "minimo", "mínima", "plusbas", "najnizszy",
    ),
    "close": (
        "close", "closelast", "c", "last", "closeprice", "latest", "lastlatest", "lastprice", "settle", "closebid",
        "bidclose", "schluss", "schlusskurs", "zuletzt", "último", "ultimo", "dernier", "clôture", "zamkniecie",
        "closeclosepriceadjustedforsplits", "price", "adjclose", "adjustedclose",
    ),
    "volume": (
        "volume", "vol", "v", "tickvol", "volumeshares", "sharesvolume", "totalvolume", "volumetraded", "qty",
        "volumen", "numberofshares", "stuecke", "stücke", "tickvolume", "wolumen",
    ),
    "symbol": ("symbol", "ticker", "tic", "actsymbol", "stock", "instrument", "code", "name"),
    "period": ("per", "period"),
}  # fmt: skip
"""Our column -> ``plain_name`` of its spellings, the likeliest first."""

_WHOLE_WORDS = {
    field: frozenset({field, f"{field}price", *({"last", "settle"} if field == "close" else {"vol"} & {field[:3]})})
    for field in (*PRICE_FIELDS, "volume")
}
"""Names of prices that may stand beside a symbol in one name."""

TIME_NAMES = (
    "unix", "unixtimestamp", "epoch", "windowstart", "opentime", "timestamp", "datetime", "dateutc", "timeutc",
    "gmttime", "localtime", "date", "time", "t", "ts", "dateandtime", "datetimeutc", "dtyyyymmdd", "tradedate",
    "tradingdate", "day", "begins", "begin", "start", "starttime", "barstart", "quotedate", "exchangedate", "datum",
    "caldt", "timestamputc", "datetimeet", "dateet", "zeit", "fecha", "data",
)  # fmt: skip
CLOCK_NAMES = ("time", "clock", "timeutc", "zeit", "timeet")
HOUR_NAMES = ("hour", "hr", "hours", "stunde")
WIDE_FIRST = {"price", "ticker", "tickers", "", "date", "datetime"}
MAX_PRICE = Decimal(1_000_000_000)
NO_VOLUME = Decimal(-1)
"""What Interactive Brokers writes for bars of quotes, which have no volume."""

SAMPLE_ROWS = 5000
SAMPLE_MIDNIGHTS = 50
STOOQ_ZONE = "Europe/Warsaw"
SHOWN_LINES = 5
DAY_S = 86_400

_UTC_SOURCE = "cryptodatadownload"
_ACTION = re.compile(r"dividend|split", re.IGNORECASE)
"""What Yahoo's page writes in place of prices where a dividend was paid or shares were split."""

_TUPLE = r"\(\s*['\"]([^'\"]*)['\"],\s*['\"]([^'\"]*)['\"]\s*\)"
"""How pandas writes a name of two parts: ``('Close', 'AAPL')``."""

_SAYS_NOTHING = frozenset({"PX", "TRADE", "PRICE"})
"""What Bloomberg and Refinitiv put before open, high, low and close: no symbol."""

_ORDERS = (
    ("open", "high", "low", "close"),
    ("low", "high", "open", "close"),
    ("open", "close", "high", "low"),
)
"""Orders of prices without names: of most sources, of Coinbase, and of Bitfinex and KuCoin.

Source: https://docs.cdp.coinbase.com/exchange, Get product candles; https://docs.bitfinex.com/reference/rest-public-candles.
"""

_LEAN_TIME = r"[0-9]{8} [0-9]{2}:[0-9]{2}"
_LEAN_UNIT = 10_000
"""Prices of stocks are ten-thousandths of a dollar in the files of LEAN.

Source: https://github.com/QuantConnect/Lean/blob/master/Data/equity/readme.md.
"""

_LETTERS_FIRST = r"\^?[A-Z][A-Z0-9./^=-]{0,14}"
_SERIAL = r"[2-7][0-9]{4}(?:\.[0-9]+)?"
_SERIAL_BEGIN = datetime(1899, 12, 30)  # noqa: DTZ001 - wall time
"""Day 0 of the numbers that spreadsheets keep dates as, from March 1900 on."""

_TICKER = re.compile(r"\^?[A-Z0-9][A-Z0-9 ./^=:-]{0,29}", re.IGNORECASE)


class PriceRow(NamedTuple):
    """One row of a price file."""

    line: int
    when: When
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Decimal


class PriceTable(NamedTuple):
    """What a price file holds."""

    rows: dict[str, list[PriceRow]]
    """By symbol as the file writes it; empty text where the file names none."""

    zone: tzinfo | None
    """Of times that name none, as far as the file or a setting says it."""

    columns: dict[str, str]
    """Our column -> the column of the file that was taken for it."""

    problems: tuple[str, ...]
    """Rows left out and why."""

    notes: tuple[str, ...]
    """What the file was taken for, a phrase each."""

    is_server_time: bool = False
    """Times are those of a broker's server, as MetaTrader writes them."""


class _Layout(NamedTuple):
    """Where the columns of one symbol stand."""

    columns: dict[str, int]
    """open, high, low, close, perhaps volume, symbol and period."""

    time: int
    clock: int | None = None
    symbol: str = ""
    unit: int = 1
    """Prices are written as this many times what they are."""


def read_prices(
    content: bytes, name: str, hints: FileHints | None = None, *, is_always_open: bool = False
) -> PriceTable:
    """Return the rows of a price file.

    *name* is what messages call it. In a market with weekends a weekend proves nothing about the order of dates.

    Raises:
        InputError: it is no price file, is ambiguous, or has rows that cannot be used; all problems at once.
    """
    hints = hints or FileHints()
    table = open_table(content, name, lambda rows: _header_at(rows, hints))
    if not table.rows and not table.names:
        raise unusable(name, _missing((), hints), code="bars_unreadable")
    table, layouts, notes = _layouts(table, name, hints)
    return _Reader(table, name, hints, is_always_open=is_always_open).read(layouts, notes)


def has_symbols(head: bytes, name: str, hints: FileHints | None = None) -> bool:
    """Return True when the beginning of a file shows that it names the symbols of its rows."""
    try:
        table = open_table(head, name, lambda rows: _header_at(rows, hints or FileHints()))
    except InputError:
        return head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"ARROW1")) or head.lstrip()[:1] in {b"{", b"["}
    if not table.names:
        return bool(table.rows) and _is_ticker_first(table.rows[0].cells)
    if any(_joined_fields(table.names)):
        return True
    return "symbol" in _columns_of(table, hints or FileHints()) or _is_wide(table)


# ---- the layout -------------------------------------------------------------------------------------------------


def _header_at(rows: Sequence[Row], hints: FileHints) -> int | None:
    """Return the first row that names at least three of open, high, low and close."""
    best: tuple[int, int] | None = None
    for number_, row in enumerate(rows[:40]):
        found = match_columns(row.cells, KNOWN, hints)
        prices = sum(field in found for field in PRICE_FIELDS)
        if prices >= 3 or _joined_fields(row.cells):  # noqa: PLR2004 - three of four are no accident
            return number_
        if prices and (best is None or prices > best[1]) and not any(number(cell) is not None for cell in row.cells):
            best = (number_, prices)
    return None if best is None else best[0]


def _layouts(table: Table, name: str, hints: FileHints) -> tuple[Table, list[_Layout], list[str]]:
    if not table.names:
        return _headless(table, name, hints)
    if _is_wide(table):
        return _wide(table)
    _refuse_twice(table, name)
    columns = _columns_of(table, hints)
    if "symbol" in columns and not _is_symbol_column(table, columns["symbol"]):
        del columns["symbol"]
    if "volume" not in columns and (other := _any_volume(table)) is not None:
        columns["volume"] = other
    time, clock = time_columns(table, hints)
    if "close" not in columns and time is not None and (joined := _joined_fields(table.names)):
        layouts = [_Layout(places, time, clock, symbol=symbol) for symbol, places in joined.items()]
        return table, layouts, [*table.notes, "names of a price and a symbol each"]
    missing = [field.capitalize() for field in PRICE_FIELDS if field not in columns]
    if missing or time is None:
        raise unusable(
            name,
            _missing([*missing, *([] if time is not None else ["Date"])], hints),
            "; ".join(unmatched_hints(table.names, hints)) or _how_to_map(table, hints),
            code="bars_unreadable",
        )
    return table, [_Layout(columns, time, clock)], list(table.notes)


def _columns_of(table: Table, hints: FileHints) -> dict[str, int]:
    """Return where the columns stand; tickers may stand in one without a name, as pandas writes an index of several."""
    columns = match_columns(table.names, KNOWN, hints)
    if "symbol" not in columns and "" in table.keys:
        at = table.keys.index("")
        cells = [text.strip() for text in islice(column_texts(table.rows, at), 20)]
        if cells and all(re.fullmatch(_LETTERS_FIRST, cell) and read_when(cell) is None for cell in cells):
            columns["symbol"] = at
    return columns


def _joined_fields(names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the columns by symbol where each name is that of a price and a symbol: ``Close_AAPL``, ``AAPL.Close``.

    Source: yfinance with ``columns.to_flat_index()``, and getSymbols of quantmod, https://www.quantmod.com.
    """
    found: dict[str, dict[str, int]] = {}
    for at, name in enumerate(names):
        for field, symbol in _parts_of(name):
            found.setdefault("" if symbol in _SAYS_NOTHING else symbol, {}).setdefault(field, at)
    return {symbol: places for symbol, places in found.items() if all(field in places for field in PRICE_FIELDS)}


def _parts_of(name: str) -> Iterator[tuple[str, str]]:
    """Yield the one way to take a name apart into a price or volume and a symbol, if there is any."""
    if parts := re.fullmatch(_TUPLE, name.strip()):
        pairs = [(parts[1], parts[2])]
    else:
        pairs = [(name[: sign.start()], name[sign.end() :]) for sign in re.finditer(r"[._ -]", name.strip())]
    for one, other in (pair for first, last in pairs for pair in ((first, last), (last, first))):
        field = next((field for field in (*PRICE_FIELDS, "volume") if plain_name(one) in _WHOLE_WORDS[field]), "")
        if field and re.fullmatch(_LETTERS_FIRST, other.strip()):
            yield field, other.strip()
            return


def _missing(fields: Sequence[str], hints: FileHints) -> str:
    names = ", ".join(fields or ("Date", "Open", "High", "Low", "Close"))
    return (
        f"has no column {names}; a row must name Date,Open,High,Low,Close,Volume, or {hints.section}.columns names them"
    )


def _how_to_map(table: Table, hints: FileHints) -> str:
    found = ", ".join(shown(cell) for cell in table.names[:12])
    return f"Found {found}. Name them in {hints.section}.columns, such as close: NAME."


def _refuse_twice(table: Table, name: str) -> None:
    """Refuse a price column that stands there twice."""
    keys = [plain_name(cell) for cell in table.names]
    for field in ("open", "high", "low", "close", "date", "datetime"):
        if keys.count(field) > 1:
            raise unusable(name, f"has the column {field.capitalize()} twice", "Keep one.", code="bars_unreadable")


def _any_volume(table: Table) -> int | None:
    """Return the first column whose name begins with volume, such as ``Volume BTC``."""
    return next(
        (at for at, key in enumerate(table.keys) if key.startswith("volume") and not key.startswith("volumema")), None
    )


def _is_symbol_column(table: Table, at: int) -> bool:
    """Return True for a column of tickers: a name is one where it stands in capitals."""
    is_name = table.keys[at] == "name"
    whole = (row for row in table.rows if len(row.cells) > 2)  # noqa: PLR2004 - words below the table have a cell or two
    return all(
        _TICKER.fullmatch(text.strip()) and not (is_name and text != text.upper())
        for text in islice(column_texts(whole, at), 20)
    )


def time_columns(table: Table, hints: FileHints) -> tuple[int | None, int | None]:
    """Return the column of the time, or those of a date and of a time of day."""
    if "time" in hints.columns:
        at = match_columns(table.names, {"time": ()}, hints).get("time")
        clock = match_columns(table.names, {"clock": ()}, hints).get("clock")
        return at, clock
    keys = tuple(plain_name(re.sub(_TUPLE, r"\1\2", name)) for name in table.names)
    candidates = [keys.index(name) for name in TIME_NAMES if name in keys]
    candidates += [at for at, key in enumerate(keys) if not key or key in {"index", "unnamed0"}]
    sample = table.rows[0].cells if table.rows else []
    axis = keys.index("price") if "price" in keys and "close" in keys else len(sample)
    if axis < len(sample) and read_when(sample[axis]):  # what yfinance calls its columns stands above the dates
        candidates.append(axis)
    texts = {at: sample[at] if at < len(sample) else "" for at in candidates}
    whens = {
        at: when
        for at, text in texts.items()
        if (when := read_when(text, hints.dates) or (None if hints.dates else read_when(text, "dmy")))
    }
    for at, when in whens.items():
        if when.is_epoch:
            return at, None
    clocks = [at for at in candidates if keys[at] in CLOCK_NAMES and read_clock(texts[at]) and not _is_dated(whens, at)]
    for at, when in whens.items():
        if when.clock is not None and not (clocks and at not in clocks and _is_midnight(table, at, hints)):
            return at, None
    days = [at for at in whens if at not in clocks]
    if days:
        return days[0], clocks[0] if clocks else _clock_beside(table, days[0])
    if not candidates:
        dated = [at for at in range(len(keys)) if _holds_dates(table, at)]
        return (dated[0] if len(dated) == 1 else None), None
    return next(iter(candidates), None), None


def _clock_beside(table: Table, at: int) -> int | None:
    """Return a column of times of day that tells rows of one date apart, whatever it is called."""
    days = list(islice(column_texts(table.rows, at), SAMPLE_MIDNIGHTS))
    if len(set(days)) == len(days):
        return None
    for other in range(len(table.names)):
        clocks = [_clock_text(table, other, text) for text in islice(column_texts(table.rows, other), SAMPLE_MIDNIGHTS)]
        if all(":" in text and read_clock(text) for text in clocks) and len({*zip(days, clocks, strict=True)}) > len(
            {*days}
        ):
            return other
    return None


def _clock_text(table: Table, at: int, text: str) -> str:
    """Return a time of day: that of a column of hours is the hour alone."""
    hour = text.strip()
    is_hour = len(hour) <= len("23") and hour.isdecimal() and at < len(table.names) and table.keys[at] in HOUR_NAMES
    return f"{hour}:00" if is_hour else text


def _holds_dates(table: Table, at: int) -> bool:
    """Return True for a column of dates that are no plain numbers."""
    texts = list(islice(column_texts(table.rows, at), 20))
    return bool(texts) and all(
        not text.strip().isdecimal() and (read_when(text, "mdy") or read_when(text, "dmy")) for text in texts
    )


def table_zone(table: Table, hints: FileHints, places: Iterable[int]) -> tzinfo | None:
    """Return the zone of times that name none, where the columns at *places* hold the times; None: nothing says it."""
    if hints.zone and (zone := read_zone(hints.zone)):
        return zone
    if zone := zone_of_names(table.names[at] for at in places if at < len(table.names)):
        return zone
    if any(_UTC_SOURCE in cell.lower() for row in table.above for cell in row.cells):
        return UTC
    return ZoneInfo(STOOQ_ZONE) if {"ticker", "per"} <= set(table.keys) else None


def _is_midnight(table: Table, at: int, hints: FileHints) -> bool:
    """Return True when a column holds dates as workbooks write them: with a midnight that means nothing."""
    whens = (read_when(text, hints.dates) for text in islice(column_texts(table.rows, at), SAMPLE_MIDNIGHTS))
    return all(when is None or when.clock in {None, time_of_day()} for when in whens)


def _is_dated(whens: Mapping[int, When], at: int) -> bool:
    return at in whens and whens[at].clock is not None


def _headless(table: Table, name: str, hints: FileHints) -> tuple[Table, list[_Layout], list[str]]:
    """Return the layout of rows without names: a time, perhaps a time of day, then open, high, low, close, volume."""
    if "close" in hints.columns:
        columns = match_columns((), KNOWN, hints)
        time = match_columns((), {"time": ()}, hints).get("time")
        clock = match_columns((), {"clock": ()}, hints).get("clock")
        if time is not None and all(field in columns for field in PRICE_FIELDS):
            return table, [_Layout(columns, time, clock)], list(table.notes)
    cells = table.rows[0].cells
    first = 1 if _is_ticker_first(cells) else 0
    if len(cells) < first + 5 or (read_when(cells[first], "mdy") is None and read_when(cells[first], "dmy") is None):
        raise unusable(name, _missing((), hints), f"Found {', '.join(map(shown, cells[:8]))}.", code="bars_unreadable")
    clock = first + 1 if ":" in cells[first + 1] or _is_six_digits(table.rows, first + 1) else None
    begin = first + (1 if clock is None else 2)
    orders = [{field: begin + at for at, field in enumerate((*order, "volume"))} for order in _ORDERS]
    columns = next((order for order in orders if _are_ohlc(table.rows, order)), {})
    if not columns:
        raise unusable(
            name,
            "has no names of columns, and its numbers are not open, high, low, close in this order",
            f"Name the columns by number in {hints.section}.columns: time: 1, open: 2 and so on.",
            code="bars_unreadable",
        )
    if _is_average(table.rows, columns):
        columns["volume"] += 1
    if len(cells) <= columns["volume"]:
        del columns["volume"]
    if first:
        columns["symbol"] = 0
    order = ", ".join(sorted((*PRICE_FIELDS, "volume"), key=lambda field: columns.get(field, len(cells))))
    unit = _LEAN_UNIT if _is_of_lean(table, name, first, columns) else 1
    return table, [_Layout(columns, first, clock, unit=unit)], [*table.notes, f"taken as time, {order}"]


def _are_ohlc(rows: Sequence[Row], columns: Mapping[str, int]) -> bool:
    return all(_is_ohlc(row.cells, columns) for row in rows[:200])


def _is_of_lean(table: Table, name: str, time: int, columns: Mapping[str, int]) -> bool:
    """Return True for whole numbers behind times such as ``20260706 00:00``, split by commas.

    The stocks of LEAN are American: a name with digits, as in Tokyo or Seoul, is of somebody else.
    """
    places = [columns[field] for field in PRICE_FIELDS]
    is_american = not any(sign.isdigit() for sign in PurePath(name).stem)
    return (
        table.delimiter == ","
        and is_american
        and all(
            re.fullmatch(_LEAN_TIME, row.cells[time]) and all(row.cells[at].isdecimal() for at in places)
            for row in table.rows[:200]
            if len(row.cells) > max(places)
        )
    )


def _is_ticker_first(cells: Sequence[str]) -> bool:
    return (
        len(cells) > 5  # noqa: PLR2004 - a ticker, a time and four prices
        and bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9.]{0,11}", cells[0].strip()))
        and read_when(cells[1], "mdy") is not None
    )


def _is_six_digits(rows: Sequence[Row], at: int) -> bool:
    """Return True for a column of times of day such as 093000."""
    return all(
        re.fullmatch(r"[0-2][0-9][0-5][0-9](?:[0-5][0-9])?", text.strip())
        for text in islice(column_texts(rows, at), 50)
    )


def _is_ohlc(cells: Sequence[str], columns: Mapping[str, int]) -> bool:
    if len(cells) <= max(columns[field] for field in PRICE_FIELDS):
        return False
    values = [number(cells[columns[field]]) for field in PRICE_FIELDS]
    if any(value is None for value in values):
        return True
    opening, high, low, close = (value for value in values if value is not None)
    return low <= min(opening, close) and max(opening, close) <= high


def _is_average(rows: Sequence[Row], columns: Mapping[str, int]) -> bool:
    """Return True where what should be volumes lies between low and high: the average price, as Kraken writes first.

    Source: "time, open, high, low, close, vwap, volume, count", https://docs.kraken.com/api, Get OHLC Data.
    """
    places = [columns[name] for name in ("low", "volume", "high")]
    found = [[number(row.cells[at]) for at in places] for row in rows[:200] if len(row.cells) > columns["volume"] + 1]
    known = [(low, value, high) for low, value, high in found if low is not None and value and high is not None]
    return bool(known) and all(low <= value <= high for low, value, high in known)


def _is_wide(table: Table) -> bool:
    """Return True for a table whose columns have two rows of names: the price, and the symbol."""
    if not table.names or not table.rows or len(table.names) < 5 or plain_name(table.names[0]) not in WIDE_FIRST:  # noqa: PLR2004
        return False
    other = _symbol_cells(table)
    return other is not None and all(
        re.fullmatch(r"\^?[A-Za-z][A-Za-z0-9.^=-]*|[0-9]+\.[A-Z]+", cell.strip()) for cell in other
    )


def _symbol_cells(table: Table) -> list[str] | None:
    """Return the row with the symbols: right below the names, or right above them."""
    time, size = _wide_time(table), len(table.names)
    for cells in (table.rows[0].cells, *(row.cells for row in table.above[-1:])):
        if plain_name(cells[0]) in {"ticker", "tickers", "price", ""}:
            symbols = [*cells[time + 1 : size]]
            return symbols if len(cells) >= size and all(symbols) and not any(cells[1 : time + 1]) else None
    return None


def _wide_time(table: Table) -> int:
    """Return where the times stand: in the first column, or beside the index that pandas counts rows by."""
    return 1 if plain_name(table.names[1]) in TIME_NAMES else 0


def _wide(table: Table) -> tuple[Table, list[_Layout], list[str]]:
    symbols, time = _symbol_cells(table) or [], _wide_time(table)
    fields: dict[str, dict[str, int]] = {}
    for at, (name, symbol) in enumerate(zip(table.names[time + 1 :], symbols, strict=False), start=time + 1):
        for field, spellings in KNOWN.items():
            if plain_name(name) in spellings and (
                field != "close" or plain_name(name) == "close" or "close" not in fields.get(symbol, {})
            ):
                fields.setdefault(symbol, {})[field] = at
                break
    rows = [
        row
        for row in table.rows
        if len(row.cells) > time + 1
        and any(map(str.strip, row.cells[time + 1 :]))
        and read_when(row.cells[time], "mdy")
    ]
    whole = {symbol: columns for symbol, columns in fields.items() if all(field in columns for field in PRICE_FIELDS)}
    layouts = [_Layout(columns, time, symbol=symbol.strip()) for symbol, columns in whole.items()]
    note = f"names in two rows, {len(layouts)} symbol{'s' if len(layouts) != 1 else ''}"
    return table._replace(rows=rows), layouts, [note]


# ---- the rows ---------------------------------------------------------------------------------------------------


class _Reader:
    """Reads the cells of one table and collects what is wrong with them."""

    def __init__(self, table: Table, name: str, hints: FileHints, *, is_always_open: bool) -> None:
        self.table = table
        self.name = name
        self.hints = hints
        self.is_always_open = is_always_open
        self.problems = Problems()
        self.left_out: list[int] = []
        self.sign = "."
        self.order = ""

    def read(self, layouts: Sequence[_Layout], notes: list[str]) -> PriceTable:
        """Return everything, or raise all problems."""
        self._find_out(layouts, notes)
        rows: dict[str, list[PriceRow]] = {}
        periods: set[str] = set()
        for layout in layouts:
            for symbol, row in self._rows(layout, periods):
                rows.setdefault(symbol, []).append(row)
        self.problems.stop(
            "bars_invalid", hint="Correct or remove the lines.", details={"file": self.name, **self._first()}
        )
        columns = self._taken(layouts[0]) if layouts else {}
        reported = []
        if self.left_out:
            lines = ", ".join(map(str, self.left_out[:SHOWN_LINES]))
            reported.append(f"rows without prices are left out: {len(self.left_out)} (line {lines})")
        if periods & {"W", "M", "Q", "Y"}:
            raise weekly(self.name, "weekly" if "W" in periods else "monthly")
        found = tuple(dict.fromkeys(notes))
        return PriceTable(rows, self._zone(layouts), columns, tuple(reported), found, self._is_server_time(layouts))

    def _first(self) -> dict[str, str]:
        return {"first": self.problems.found[0]} if self.problems else {}

    def _taken(self, layout: _Layout) -> dict[str, str]:
        names = self.table.names
        places = {"time": layout.time, **({} if layout.clock is None else {"clock": layout.clock}), **layout.columns}
        return {
            ours: (names[at] if at < len(names) and names[at] else f"column {at + 1}") for ours, at in places.items()
        }

    def _find_out(self, layouts: Sequence[_Layout], notes: list[str]) -> None:
        """Find the decimal sign and the order of dates."""
        decimals = self._decimals(layouts, (*PRICE_FIELDS, "volume"))
        if decimals.unclear and not self.is_always_open and not self._decimals(layouts, PRICE_FIELDS).unclear:
            # a whole number of shares: what stands between its digits are thousands
            decimals = Decimals("." if "," in decimals.unclear else ",")
        if decimals.unclear:
            raise ambiguous_number(self.name, decimals.unclear, self.hints)
        self.sign = decimals.sign
        if self.sign == ",":
            notes.append("decimal comma")
        notes.extend(f"prices divided by {unit}" for unit in {self._unit(layout) for layout in layouts} if unit > 1)
        order = find_order(
            (text for layout in layouts for text in column_texts(self.table.rows, layout.time)),
            set_to=self.hints.dates,
            likely="mdy" if "closelast" in self.table.keys else "",
            only_weekdays=not self.is_always_open,
        )
        if order.unclear:
            raise ambiguous_date(self.name, order.unclear, self.hints)
        if order.mixed:
            self.problems.add(self.name, f"{shown(order.mixed)} has the day first, other dates have the month first")
        self.order = order.order

    def _decimals(self, layouts: Sequence[_Layout], fields: Sequence[str]) -> Decimals:
        places = [layout.columns[field] for layout in layouts for field in fields if field in layout.columns]
        sample = self.table.rows[:SAMPLE_ROWS]
        texts = (text for at in places for text in column_texts(sample, at))
        return find_decimals(texts, set_to=self.hints.decimal, comma_is_likely=self.table.delimiter == ";")

    def _is_server_time(self, layouts: Sequence[_Layout]) -> bool:
        """Return True for files of MetaTrader: their columns stand in <>, or have no names and dates with dots."""
        if self.table.names:
            return self.table.names[0].startswith("<") and not {"ticker", "per"} & set(self.table.keys)
        layout = layouts[0]
        first = self.table.rows[0].cells[layout.time] if self.table.rows else ""
        return layout.clock is not None and re.fullmatch(r"\d{4}\.\d\d\.\d\d", first.strip()) is not None

    def _zone(self, layouts: Sequence[_Layout]) -> tzinfo | None:
        places = [at for layout in layouts for at in (layout.time, layout.clock) if at is not None]
        return table_zone(self.table, self.hints, places)

    def _rows(self, layout: _Layout, periods: set[str]) -> Iterator[tuple[str, PriceRow]]:
        columns, unit = layout.columns, self._unit(layout)
        symbol_at, volume_at, period_at = columns.get("symbol"), columns.get("volume"), columns.get("period")
        most = max(*columns.values(), layout.time, layout.clock or 0)
        places = [columns[field] for field in PRICE_FIELDS]
        names = [self.table.names[at] for at in places] if self.table.names else []
        for line, cells in self.table.rows:
            if len(cells) <= most:
                if self._is_trailer(cells):
                    continue
                cells.extend([""] * (most + 1 - len(cells)))
            texts = [cells[at] for at in places]
            if texts == names:  # files put one after the other repeat the names
                continue
            if all(map(is_nothing, texts)) or any(map(_ACTION.search, texts)):
                self.left_out.append(line)
                continue
            when = self._when(line, layout, cells)
            prices = [self._price(line, field, text) for field, text in zip(PRICE_FIELDS, texts, strict=True)]
            volume = self._volume(line, cells[volume_at]) if volume_at is not None else Decimal(0)
            if period_at is not None:
                periods.add(cells[period_at].strip().upper())
            if when is None or None in prices or volume is None:
                continue
            opening, high, low, close = (Price(price / unit) for price in prices if price is not None)
            if high < low:
                self._bad(line, "high", str(high), f"at least the low, {low}")
                continue
            symbol = layout.symbol or (cells[symbol_at].strip() if symbol_at is not None else "")
            yield symbol, PriceRow(line, when, opening, high, low, close, volume)

    def _unit(self, layout: _Layout) -> int:
        return 1 if self.is_always_open else layout.unit

    def _is_trailer(self, cells: Sequence[str]) -> bool:
        """Return True for a line of words below the table."""
        return len(cells) <= 2 and read_when(cells[0], "mdy") is None and any(sign.isalpha() for sign in cells[0])  # noqa: PLR2004

    def _when(self, line: int, layout: _Layout, cells: Sequence[str]) -> When | None:
        text = cells[layout.time]
        when = read_when(text, self.order) or self._serial(layout, text)
        if when is None:
            allowed = "YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SS"
            self._bad(line, "time", text.strip(), allowed)
            return None
        if layout.clock is None:
            return when
        clock = read_clock(_clock_text(self.table, layout.clock, cells[layout.clock]))
        if clock is None:
            self._bad(line, "time", cells[layout.clock].strip(), "a time of day such as 09:30")
            return None
        return When(when.day, clock[0], clock[1] or when.zone)

    def _serial(self, layout: _Layout, text: str) -> When | None:
        """Return the date that a spreadsheet wrote as its number, in a column of dates."""
        is_dates = layout.time < len(self.table.names) and "dat" in self.table.keys[layout.time]
        if not is_dates or not re.fullmatch(_SERIAL, text.strip()):
            return None
        seconds = round(Decimal(text.strip()) * DAY_S)
        at = _SERIAL_BEGIN + timedelta(seconds=seconds)
        return When(at.date(), at.time() if seconds % DAY_S else None)

    def _price(self, line: int, column: str, text: str) -> Decimal | None:
        value = number(text, self.sign)
        if value is None or not 0 < value <= MAX_PRICE:
            self._bad(line, column, text.strip(), "a number above 0")
            return None
        return value

    def _volume(self, line: int, text: str) -> Decimal | None:
        if is_nothing(text):
            return Decimal(0)
        value = number(text, self.sign)
        if value == NO_VOLUME and "barcount" in self.table.keys:
            return Decimal(0)
        if value is None or value < 0:
            self._bad(line, "volume", text.strip(), "a number from 0")
            return None
        return value

    def _bad(self, line: int, column: str, value: str, allowed: str) -> None:
        self.problems.add(f"{self.name}:{line}", f"column {column} holds {shown(value)}, allowed: {allowed}")


def weekly(name: str, word: str) -> InputError:
    """Return the refusal of bars that are longer than a day."""
    return InputError(
        "bars_too_long",
        f"{name} holds {word} bars, not daily ones: the close of a bar would be known before its {word[:-2]} is over.",
        hint="Download daily or intraday prices.",
        details={"file": name, "period": word},
    )


def unknown_zone(name: str, why: str) -> InputError:
    """Return the refusal of times that name no zone where nothing says which one is meant."""
    return InputError(
        "file_ambiguous",
        f"{name}: times name no zone, and {why}.",
        hint="Set prices.zone, such as UTC, America/New_York or Europe/Athens.",
        details={"file": name, "setting": "prices.zone"},
    )
