"""Many bars as columns: read with numpy from plain text, kept as whole numbers, made into values on demand.

Only what is plain is read here: one time column in one form, or plain dates of sessions; numbers without signs, rows in
order. Anything else is left to the general reader, which finds and names what is wrong; both give the same bars.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from os import SEEK_END, cpu_count
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, overload

from apex_cli.core.adapters.files.cells import read_zone
from apex_cli.core.adapters.files.prices.bar_series import (
    DAY_S,
    FIRST_ROWS,
    MOST_OF,
    Series,
    bar_length,
    is_pair,
    length_in_words,
    refuse_foreign,
)
from apex_cli.core.adapters.files.prices.price_files import KNOWN, PRICE_FIELDS, table_zone, time_columns
from apex_cli.core.adapters.files.text_tables import (
    DELIMITER_NAMES,
    FileHints,
    Row,
    Table,
    find_delimiter,
    match_columns,
)
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

LEAST_BYTES = 300_000
"""Folders with less are read by the general reader, which needs no numpy."""

HEAD = 1 << 16
CHUNK = 1 << 19
BLOCK = 1024
KEPT_BLOCKS = 64
"""Blocks of bars that are kept as values."""

MOST_DIGITS = 15
"""Digits that a float holds exactly."""

DASH, DOT, NEWLINE, RETURN, ZERO_SIGN = 45, 46, 10, 13, 48
WORD = 8
"""Signs in a word of the machine."""

MARGIN = b" " * WORD
ZEROS = 0x3030303030303030
POINT = DOT ^ ZERO_SIGN
ONES, POINTS = 0x0101010101010101, POINT * 0x0101010101010101
TOO_LARGE, HIGH_BITS = 0x7676767676767676, 0x8080808080808080
"""A byte above nine has its highest bit set, or has it after the first is added."""

CLOCK = int.from_bytes(b"00:00:00", "little")
COLONS = 0x0000FF0000FF0000
SHORT = 0x000000FFFFFFFFFF
"""The part of a word that ``09:30`` takes."""

CLOCK_PARTS = 0x00FF0000FF0000FF
CLOCK_ROOM = 0x0044000044000068
"""What makes the highest bit of an hour over 23, and of a minute or second over 59."""

THREADS = min(4, cpu_count() or 1)
ROWS = 8
"""Of an array of bars: two times, the digits of five numbers, and their places, a byte each."""

FEW = 100
SAFE_JUMP = 0.39
"""Change from a close to the next open that is not looked at more closely; ``quality`` names more than 0.4."""

SAMPLE = 10_000
MICRO = 1_000_000
HOUR_S = 3600
LEAST_DAY_S = 20 * HOUR_S
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FORMS = {
    16: "minutes",
    19: "seconds",
    20: "seconds, Z",
    22: "minutes, offset",
    25: "seconds, offset",
    10: "epoch",
    13: "epoch",
}
DATE_DASHES = (4, 7)
MOST_GAP_DAYS = 4
"""Days between two sessions in most places of a daily file."""

MOST_PRICE = 1e9


class _Numbers(NamedTuple):
    """Exact decimals: digits as a whole number, and how many of them stand after the point."""

    digits: NDArray[np.int64]
    places: NDArray[np.uint8]

    def part(self, rows: slice) -> _Numbers:
        return _Numbers(self.digits[rows], self.places[rows])

    def decimals(self) -> list[Decimal]:
        made = map(Decimal, self.digits.tolist())
        return [value.scaleb(-places) for value, places in zip(made, self.places.tolist(), strict=True)]

    def floats(self) -> NDArray[np.float64]:
        import numpy as np

        return self.digits / (10.0 ** np.arange(MOST_DIGITS + 1))[self.places]


class _Data(NamedTuple):
    """All columns of one symbol; times in microseconds since 1970."""

    symbol: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    numbers: tuple[_Numbers, ...]
    """open, high, low, close, volume."""

    blocks: OrderedDict[int, tuple[Bar, ...]]
    kept: dict[str, NDArray[np.float64]]
    """Columns that were asked for as floats."""

    def closes(self) -> NDArray[np.float64]:
        """Return all closes as floats, made once."""
        found = self.kept.get("close")
        return self.kept.setdefault("close", self.numbers[3].floats()) if found is None else found

    def block(self, number: int) -> tuple[Bar, ...]:
        """Return *BLOCK* bars as values; those asked for last are kept."""
        found = self.blocks.get(number)
        if found is None:
            found = self.blocks[number] = tuple(self._made(slice(number * BLOCK, (number + 1) * BLOCK)))
            if len(self.blocks) > KEPT_BLOCKS:
                self.blocks.popitem(last=False)
        else:
            self.blocks.move_to_end(number)
        return found

    def _made(self, rows: slice) -> Iterator[Bar]:
        columns = [numbers.part(rows).decimals() for numbers in self.numbers]
        times = (map(_moment, self.starts[rows].tolist()), map(_moment, self.ends[rows].tolist()))
        for start, end, opening, high, low, close, volume in zip(*times, *columns, strict=True):
            yield Bar(
                symbol=self.symbol,
                start=start,
                end=end,
                open=Price(opening),
                high=Price(high),
                low=Price(low),
                close=Price(close),
                volume=volume,
            )


def _moment(microseconds: int) -> datetime:
    return BEGIN + timedelta(microseconds=microseconds)


class BarColumns(Sequence[Bar]):
    """Bars of one symbol, oldest first, made into values when they are asked for."""

    __slots__ = ("_data", "_first", "_last")

    def __init__(self, data: _Data, first: int, last: int) -> None:
        """Show the bars from *first* up to *last*."""
        self._data = data
        self._first = first
        self._last = max(first, last)

    def rows(self) -> _Data:
        """Return the columns of these bars alone."""
        chosen, data = slice(self._first, self._last), self._data
        numbers = tuple(each.part(chosen) for each in data.numbers)
        return _Data(data.symbol, data.starts[chosen], data.ends[chosen], numbers, OrderedDict(), {})

    def __len__(self) -> int:
        """Return how many bars there are."""
        return self._last - self._first

    def floats(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the ends in whole seconds since 1970, and a row each of open, high, low, close, volume."""
        import numpy as np

        rows = slice(self._first, self._last)
        columns = [numbers.part(rows).floats() for numbers in self._data.numbers]
        return self._data.ends[rows] // MICRO, np.ascontiguousarray(columns, dtype=np.float64)

    def array(self) -> NDArray[np.int64]:
        """Return the rows that ``array_of`` describes."""
        import numpy as np

        data, rows = self._data, slice(self._first, self._last)
        digits, places = zip(*data.numbers, strict=True)
        packed = sum(each[rows].astype(np.int64) << 8 * at for at, each in enumerate(places))
        return np.ascontiguousarray([column[rows] for column in (data.starts, data.ends, *digits)] + [packed])

    def is_sound(self) -> bool:
        """Return True when nothing is odd bar by bar: order, numbers, open and close inside the range, jumps, volumes.

        Where it is False, who looks bar by bar finds out what, or that all is well.
        """
        import numpy as np

        ends, (opening, high, low, close, volume) = self.floats()
        is_inside = (low <= np.minimum(opening, close)).all() and (np.maximum(opening, close) <= high).all()
        jumps = np.abs(opening[1:] / close[:-1] - 1)
        is_ordered = (np.diff(ends) > 0).all() and (low > 0).all()
        return bool(is_inside and is_ordered and (volume > 0).all() and (jumps < SAFE_JUMP).all())

    def closes(self) -> tuple[list[int], list[float]]:
        """Return the ends in microseconds since 1970, and the closes."""
        rows = slice(self._first, self._last)
        return self._data.ends[rows].tolist(), self._data.closes()[rows].tolist()

    @overload
    def __getitem__(self, at: int) -> Bar: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Bar]: ...
    def __getitem__(self, at: int | slice) -> Bar | Sequence[Bar]:
        """Return one bar, or a part of them; a part with steps is made at once."""
        if isinstance(at, slice):
            first, last, step = at.indices(len(self))
            if step != 1:
                return tuple(self[each] for each in range(first, last, step))
            return BarColumns(self._data, self._first + first, self._first + last)
        place = at + len(self) if at < 0 else at
        if not 0 <= place < len(self):
            raise IndexError(at)
        number, offset = divmod(self._first + place, BLOCK)
        return self._data.block(number)[offset]

    def __iter__(self) -> Iterator[Bar]:
        """Yield the bars block by block."""
        at = self._first
        while at < self._last:
            number, offset = divmod(at, BLOCK)
            block = self._data.block(number)[offset : offset + self._last - at]
            yield from block
            at += len(block)


class _Ends(Sequence[datetime]):
    """Ends of bars, to be searched."""

    __slots__ = ("_ends", "_numbers")

    def __init__(self, ends: NDArray[np.int64]) -> None:
        self._ends = ends
        self._numbers: memoryview[int] = ends.data.cast("B").cast("q")

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The ends in microseconds since 1970."""
        return self._ends

    def by(self, at: datetime) -> int:
        """Return how many bars have ended by *at*."""
        return bisect_right(self._numbers, (at - BEGIN) // MICROSECOND)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, at: int) -> datetime: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[datetime]: ...
    def __getitem__(self, at: int | slice) -> datetime | Sequence[datetime]:
        return _Ends(self._ends[at]) if isinstance(at, slice) else _moment(int(self._ends[at]))


def array_of(bars: Sequence[Bar]) -> NDArray[np.int64] | None:
    """Return *bars* as rows of an array: starts, ends, digits of the five numbers, and the places of all in one.

    None where there are none, or a number does not fit.
    """
    import numpy as np

    if isinstance(bars, BarColumns):
        return bars.array()
    rows = []
    for bar in bars:
        numbers = [_digits(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
        if None in numbers:
            return None
        times = [(at - BEGIN) // MICROSECOND for at in (bar.start, bar.end)]
        places = sum(each[1] << 8 * at for at, each in enumerate(numbers) if each)
        rows.append([*times, *(each[0] for each in numbers if each), places])
    return np.ascontiguousarray(np.array(rows, dtype=np.int64).T) if rows else None


def _digits(value: Decimal) -> tuple[int, int] | None:
    """Return the digits as a whole number, and how many of them stand after the point; None where they do not fit."""
    sign, digits, exponent = value.as_tuple()
    if sign or not isinstance(exponent, int) or not -MOST_DIGITS <= exponent <= 0 or len(digits) > MOST_DIGITS:
        return None
    return int("".join(map(str, digits))), -exponent


def columns_from(array: NDArray[np.int64], symbol: str) -> tuple[BarColumns, Sequence[datetime]]:
    """Return the bars in *array*, as ``array_of`` made it, and their ends.

    Raises:
        ValueError: it is no such array.
    """
    import numpy as np

    if array.ndim != 2 or array.shape[0] != ROWS or array.dtype != "int64":  # noqa: PLR2004 - rows and bars
        raise ValueError(f"{symbol}: {array.shape} of {array.dtype} are no bars")
    numbers = tuple(_Numbers(array[2 + at], (array[7] >> 8 * at & 0xFF).astype(np.uint8)) for at in range(5))
    data = _Data(symbol, array[0], array[1], numbers, OrderedDict(), {})
    return BarColumns(data, 0, array.shape[1]), _Ends(array[1])


def moments_of(parts: Iterable[Sequence[datetime]]) -> list[datetime]:
    """Return every moment of *parts*, each once, oldest first."""
    columns, others = [], set[datetime]()
    for part in parts:
        if isinstance(part, _Ends):
            columns.append(part.numbers)
        else:
            others.update(part)
    if columns:
        import numpy as np

        found = list(map(_moment, np.unique(np.concatenate(columns)).tolist()))
        return sorted(others.union(found)) if others else found
    return sorted(others)


def concatenated(parts: Sequence[BarColumns]) -> Series:
    """Return the bars of *parts*, which follow each other, as one history."""
    import numpy as np

    rows = [part.rows() for part in parts]
    starts = np.concatenate([part.starts for part in rows])
    ends = np.concatenate([part.ends for part in rows])
    numbers = tuple(
        _Numbers(np.concatenate([each.digits for each in same]), np.concatenate([each.places for each in same]))
        for same in zip(*(part.numbers for part in rows), strict=True)
    )
    data = _Data(rows[0].symbol, starts, ends, numbers, OrderedDict(), {})
    return Series(BarColumns(data, 0, len(starts)), _Ends(ends))


class _NotPlainError(Exception):
    """The general reader has to look at it."""


def read_columns(stream: BinaryIO, symbol: str, hints: FileHints) -> Series | None:
    """Return the intraday bars of a large plain file; None for anything else, or without numpy.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        import numpy  # noqa: F401, ICN001 - only whether it is there
    except ImportError:
        return None
    try:
        return _read(stream, symbol, hints)
    except _NotPlainError:
        return None


def _read(stream: BinaryIO, symbol: str, hints: FileHints) -> Series:
    head = stream.read(HEAD).removeprefix(b"\xef\xbb\xbf")
    lines = head.decode("ascii", "replace").splitlines()[:2]
    delimiter = find_delimiter("\n".join(lines))
    if not delimiter or len(lines) < 2 or "\ufffd" in lines[0] or hints.decimal not in {"", "."}:  # noqa: PLR2004
        raise _NotPlainError
    names = tuple(cell.strip() for cell in lines[0].split(delimiter))
    cells = lines[1].split(delimiter)
    if len(cells) != len(names):
        raise _NotPlainError
    table = Table(names, [Row(2, cells)])
    columns = match_columns(names, KNOWN, hints)
    time, clock = time_columns(table, hints)
    if time is None or clock is not None or "symbol" in columns or not set(PRICE_FIELDS) <= set(columns):
        raise _NotPlainError
    named, first = table_zone(table, hints, (time,)), table.rows[0].cells[time]
    if named is None and is_pair(symbol):
        raise _NotPlainError
    zone = named or NEW_YORK
    most = stream.seek(0, SEEK_END) // (len(first) + len(names) + len(PRICE_FIELDS)) + 1
    rows = _Rows(most, zone, first)
    stream.seek(0)
    stream.readline()
    places = [columns[field] for field in PRICE_FIELDS] + [columns.get("volume", -1)]
    for part in _in_turns(lambda part: rows.add(part, len(names), ord(delimiter), time, places), _parts(stream)):
        rows.count = part.rows.stop
    series = _series(rows, symbol, zone)
    if named is None and rows.form in {"minutes", "seconds"}:
        refuse_foreign([_moment(at) for at in sorted(rows.times[: min(rows.count, FIRST_ROWS)].tolist())], zone, symbol)
    split = () if delimiter == "," else (f"split by {DELIMITER_NAMES[delimiter]}",)
    return series._replace(notes=(*split, *series.notes))


class _Part(NamedTuple):
    """Some whole lines of a file."""

    text: bytes
    rows: slice
    """Which rows of the file they are."""


def _parts(stream: BinaryIO) -> Iterator[_Part]:
    """Yield the lines of *stream* from where it stands."""
    import numpy as np

    row, left = 0, b""
    while block := stream.read(CHUNK):
        end = block.rfind(b"\n") + 1
        text, left = (left + block[:end], block[end:]) if end else (b"", left + block)
        if len(left) > CHUNK:
            raise _NotPlainError
        if text:
            count = int(np.count_nonzero(np.frombuffer(text, np.uint8) == NEWLINE))
            yield _Part(text, slice(row, row + count))
            row += count
    if left:
        yield _Part(left + b"\n", slice(row, row + 1))


def _in_turns(read: Callable[[_Part], None], parts: Iterable[_Part]) -> Iterator[_Part]:
    """Read *parts*, some at once: numpy works on its arrays without the interpreter's lock. Yield those that are read.

    Raises:
        _NotPlainError: one of them is not plain.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        begun: deque[tuple[_Part, Future[None]]] = deque()
        for part in parts:
            begun.append((part, pool.submit(read, part)))
            if len(begun) > THREADS:
                done, reading = begun.popleft()
                reading.result()
                yield done
        for done, reading in begun:
            reading.result()
            yield done


class _Rows:
    """The columns of a file, filled part by part."""

    def __init__(self, most: int, zone: tzinfo, first: str) -> None:
        """Make room for *most* rows with times such as *first*: memory is taken only where rows are put.

        Raises:
            _NotPlainError: such times are not read here.
        """
        import numpy as np

        self.zone = zone
        self.count = 0
        self.length = len(first)
        self.form = FORMS.get(self.length, "")
        if self.form == "epoch" and first[DATE_DASHES[0]] == "-":
            self.form = "dates"
        if not self.form:
            raise _NotPlainError
        self.times = np.empty(most, np.int64)
        self.numbers = tuple(_Numbers(np.zeros(most, np.int64), np.zeros(most, np.uint8)) for _ in range(5))

    def add(self, part: _Part, width: int, delimiter: int, time: int, places: Sequence[int]) -> None:
        """Read the rows of *part*.

        Raises:
            _NotPlainError: they are not plain.
        """
        import numpy as np

        if b'"' in part.text or part.rows.stop > len(self.times):
            raise _NotPlainError
        padded = b"".join((MARGIN, part.text, MARGIN))
        signs = np.frombuffer(padded, np.uint8)
        words = np.ndarray((len(padded) - WORD + 1,), "<u8", padded, strides=(1,))
        is_end = signs == NEWLINE
        stops = np.flatnonzero(np.logical_or(signs == delimiter, is_end, out=is_end))
        if len(stops) != (part.rows.stop - part.rows.start) * width:
            raise _NotPlainError
        table = stops.reshape(-1, width).T.copy()
        if (signs[table[-1]] != NEWLINE).any():
            raise _NotPlainError
        begins = np.empty_like(table[0])
        begins[0], begins[1:] = WORD, table[-1][:-1] + 1
        if b"\r" in part.text:
            table[-1] -= signs[table[-1] - 1] == RETURN
        self._add_times(signs, words, table[time - 1] + 1 if time else begins, table[time], part.rows)
        for numbers, at in zip(self.numbers, places, strict=True):
            if at >= 0:
                digits, places_ = _numbers(signs, words, table[at - 1] + 1 if at else begins, table[at])
                numbers.digits[part.rows] = digits
                numbers.places[part.rows] = places_

    def _add_times(
        self,
        signs: NDArray[np.uint8],
        words: NDArray[np.uint64],
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        rows: slice,
    ) -> None:
        import numpy as np

        if (stops - starts != self.length).any():
            raise _NotPlainError
        if self.form == "epoch":
            digits, places = _numbers(signs, words, starts, stops)
            if np.any(places):
                raise _NotPlainError
            self.times[rows] = digits * (MICRO if self.length == len("1056979800") else 1000)
        elif self.form == "dates":
            self.times[rows] = _dates(signs, words, starts) * (DAY_S * MICRO)
        else:
            self.times[rows] = _written(words, starts, self.form, self.zone) * MICRO


def _numbers(
    signs: NDArray[np.uint8], words: NDArray[np.uint64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8] | int]:
    """Return digits and places of the numbers between *starts* and *stops*.

    Up to eight signs are one word of the machine: the point is shifted out of it, and the digits are added up in three
    multiplications. Longer numbers, and those whose point stands elsewhere, are added up sign by sign.
    """
    import numpy as np

    lengths = stops - starts
    longest, shortest = int(lengths.max()), int(lengths.min())
    if longest > WORD or shortest < 1:
        return _long_numbers(signs, starts, stops)
    is_even = longest == shortest
    kept = np.uint64((WORD - longest) << 3) if is_even else ((WORD - lengths) << 3).view(np.uint64)
    value = words[stops - WORD]
    value ^= np.uint64(ZEROS)
    value >>= kept
    value <<= kept
    first = bytes(signs[starts[0] : stops[0]])
    found = _without_point(value, len(first) - first.rfind(b".") - 1 if b"." in first else 0, has_point=b"." in first)
    if found is None:
        return _long_numbers(signs, starts, stops)
    value, places = found
    if (((value + np.uint64(TOO_LARGE)) | value) & np.uint64(HIGH_BITS)).any():
        return _long_numbers(signs, starts, stops)
    value *= np.uint64(2561)
    value >>= np.uint64(8)
    value &= np.uint64(0x00FF00FF00FF00FF)
    value *= np.uint64(6553601)
    value >>= np.uint64(16)
    value &= np.uint64(0x0000FFFF0000FFFF)
    value *= np.uint64(42949672960001)
    value >>= np.uint64(32)
    return value.view(np.int64), places


def _without_point(
    value: NDArray[np.uint64], places: int, *, has_point: bool
) -> tuple[NDArray[np.uint64], NDArray[np.uint8] | int] | None:
    """Return digits, the last one in the highest byte, without their points, and how many stand after each point.

    Args:
        value: digits and points, a byte each.
        places: how many digits the first number has after its point.
        has_point: whether the first number has one.

    Returns:
        None where a number has two points, or numpy is too old to say where one stands.
    """
    import numpy as np

    at = 8 * (WORD - 1 - places)
    pointed = (value & np.uint64(0xFF << at)) == np.uint64(POINT << at)
    if has_point and pointed.all():
        whole = value & np.uint64((1 << at) - 1)
        whole <<= np.uint64(8)
        value &= np.uint64((1 << 64) - (1 << (at + 8)) if places else 0)
        value |= whole
        return value, places
    marks = value ^ np.uint64(POINTS)
    marks = (marks - np.uint64(ONES)) & ~marks & np.uint64(HIGH_BITS)  # the highest bit of the byte with the point
    if not has_point and not marks.any():
        return value, 0
    if (marks & (marks - np.uint64(1))).any() or not hasattr(np, "bitwise_count"):
        return None
    marks >>= np.uint64(7)
    below = marks - np.uint64(1)
    whole = value & below
    whole <<= (marks != 0).astype(np.uint64) << np.uint64(3)
    value ^= marks * np.uint64(POINT)
    value &= ~below
    value |= whole
    before = (np.bitwise_count(below) >> 3).astype(np.int8)
    return value, np.maximum(WORD - 1 - before, 0).astype(np.uint8)


def _long_numbers(
    signs: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return digits and places, all numbers of one length and one place of the point at once."""
    import numpy as np

    lengths = stops - starts
    digits = np.empty(len(starts), np.int64)
    places = np.zeros(len(starts), np.uint8)
    for length in np.flatnonzero(np.bincount(np.clip(lengths, 0, MOST_DIGITS + 2))).tolist():
        if not 0 < length <= MOST_DIGITS + 1:
            raise _NotPlainError
        rows = np.flatnonzero(lengths == length)
        cells = np.lib.stride_tricks.sliding_window_view(signs, length)[starts[rows]]
        points = cells == DOT
        count = points.sum(axis=1)
        if (count > 1).any():
            raise _NotPlainError
        at = np.where(count == 1, points.argmax(axis=1), length)
        for place in np.flatnonzero(np.bincount(at)).tolist():
            chosen = at == place
            bare = np.delete(cells[chosen], place, axis=1) if place < length else cells[chosen]
            values = bare - np.uint8(ZERO_SIGN)
            if not bare.shape[1] or bare.shape[1] > MOST_DIGITS or values.max() > 9:  # noqa: PLR2004 - a digit
                raise _NotPlainError
            weights = 10.0 ** np.arange(bare.shape[1] - 1, -1, -1)
            digits[rows[chosen]] = (values.astype(np.float64) @ weights).astype(np.int64)
            places[rows[chosen]] = max(length - 1 - place, 0)
    return digits, places


def _written(words: NDArray[np.uint64], starts: NDArray[np.int64], form: str, zone: tzinfo) -> NDArray[np.int64]:
    """Return times such as 2026-07-13 09:30:00-04:00 in seconds; a day and its offset are read once for all rows."""
    import numpy as np

    clock = _clock(words[11:][starts], has_seconds=form.startswith("seconds"))
    end = 19 if form.startswith("seconds") else 16
    dates = words[starts], words[3:][starts]  # 2026-07- and 6-07-13 with the sign after it
    turns = (dates[0][1:] != dates[0][:-1]) | (dates[1][1:] != dates[1][:-1])
    tail = np.zeros(1, np.uint64)
    if form.endswith("offset"):
        tail = words[end - 2 :][starts] >> np.uint64(16)
        turns |= tail[1:] != tail[:-1]
    firsts = np.concatenate([[0], np.flatnonzero(turns) + 1])
    if len(firsts) > len(starts) // 8 + 100:
        raise _NotPlainError
    counts = np.diff(np.append(firsts, len(starts)))
    seconds = clock
    for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
        day = (
            words[starts[first] : starts[first] + 1].tobytes() + words[starts[first] + 8 : starts[first] + 9].tobytes()
        )
        rows = slice(first, first + count)
        seconds[rows] += _day_begin(day[:11], tail[first : first + 1].tobytes(), form, zone, seconds[rows])
    return seconds


def _dates(signs: NDArray[np.uint8], words: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return dates such as 2026-07-13 as days since 1970."""
    import numpy as np

    if any((signs[starts + at] != DASH).any() for at in DATE_DASHES):
        raise _NotPlainError
    year, _ = _numbers(signs, words, starts, starts + 4)
    month, _ = _numbers(signs, words, starts + 5, starts + 7)
    day, _ = _numbers(signs, words, starts + 8, starts + 10)
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days = first + day - 1
    if month.min() < 1 or month.max() > 12 or day.min() < 1 or (days >= after).any():  # noqa: PLR2004 - months
        raise _NotPlainError
    return np.asarray(days, dtype=np.int64)


def _clock(word: NDArray[np.uint64], *, has_seconds: bool) -> NDArray[np.int64]:
    """Return the seconds since midnight of ``09:30:00``, all three numbers of a word at once."""
    import numpy as np

    digits = word ^ np.uint64(CLOCK)
    if not has_seconds:
        digits &= np.uint64(SHORT)
    odd = (((digits + np.uint64(TOO_LARGE)) | digits) & np.uint64(HIGH_BITS)) | (digits & np.uint64(COLONS))
    digits *= np.uint64(2561)
    digits >>= np.uint64(8)
    digits &= np.uint64(CLOCK_PARTS)
    odd |= (digits + np.uint64(CLOCK_ROOM)) & np.uint64(HIGH_BITS)
    if odd.any():
        raise _NotPlainError
    hour, minute = digits & np.uint64(0xFF), (digits >> np.uint64(24)) & np.uint64(0xFF)
    second = digits >> np.uint64(48)
    seconds: NDArray[np.int64] = (hour * np.uint64(HOUR_S) + minute * np.uint64(60) + second).view(np.int64)
    return seconds


def _day_begin(day: bytes, tail: bytes, form: str, zone: tzinfo, clock: NDArray[np.int64]) -> int | NDArray[np.int64]:
    """Return what the times of one day lie behind 1970 in UTC, without their time of day."""
    try:
        text = day.decode("ascii")
        begin = datetime.fromisoformat(text[:10])
    except ValueError:
        raise _NotPlainError from None
    if text[10] not in " T" or text[4] != "-" or text[7] != "-":
        raise _NotPlainError
    seconds = (begin - datetime(1970, 1, 1)).days * 86_400  # noqa: DTZ001 - wall time
    if form.endswith("Z"):
        return seconds
    if form.endswith("offset"):
        named = read_zone(tail[:6].decode("ascii", "replace"))
        if named is None or tail[3:4] != b":":
            raise _NotPlainError
        return seconds - _offset(begin, named)
    first, last = _offset(begin, zone), _offset(begin + timedelta(days=1), zone)
    if first == last:
        return seconds - first
    import numpy as np

    hours = [_offset(begin + timedelta(hours=hour), zone) for hour in range(24)]
    return seconds - np.array(hours, np.int64)[clock // HOUR_S]


@lru_cache(maxsize=1024)
def _offset(wall: datetime, zone: tzinfo) -> int:
    """Return the offset from UTC of a wall time, in seconds."""
    offset = wall.replace(tzinfo=zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _series(rows: _Rows, symbol: str, zone: tzinfo) -> Series:
    """Return the bars of all rows, if they are sound and in order."""
    import numpy as np

    if rows.count < FEW:
        raise _NotPlainError
    starts = rows.times[: rows.count]
    numbers = tuple(each.part(slice(rows.count)) for each in rows.numbers)
    steps = np.diff(starts)
    if (steps < 0).all():
        starts, steps = starts[::-1], -steps[::-1]
        numbers = tuple(_Numbers(each.digits[::-1], each.places[::-1]) for each in numbers)
    is_long = bool(np.count_nonzero(steps >= LEAST_DAY_S * MICRO) * 2 > len(steps))
    if steps.min() <= 0 or is_long is not (rows.form == "dates"):
        raise _NotPlainError
    _refuse_odd(numbers)
    if rows.form == "dates":
        return _sessions(starts // (DAY_S * MICRO), steps // (DAY_S * MICRO), numbers, symbol)
    is_naive = rows.form in {"minutes", "seconds"}
    return _cut(starts, steps, numbers, symbol, (f"times without a zone are those of {zone}",) if is_naive else ())


def _sessions(days: NDArray[np.int64], steps: NDArray[np.int64], numbers: tuple[_Numbers, ...], symbol: str) -> Series:
    """Give each day its session; a day that has none for certain is left to the general reader."""
    import numpy as np

    if is_pair(symbol) or np.count_nonzero(steps > MOST_GAP_DAYS) * 2 > len(steps):
        raise _NotPlainError
    bounds = [_bounds(day) for day in days.tolist()]
    starts, ends = (np.array(column, np.int64) for column in zip(*bounds, strict=True))
    data = _Data(symbol, starts, ends, numbers, OrderedDict(), {})
    return Series(BarColumns(data, 0, len(starts)), _Ends(ends), (), ("daily sessions",))


@lru_cache(maxsize=1 << 15)
def _bounds(day: int) -> tuple[int, int]:
    """Return when the session of a day since 1970 begins and ends, in microseconds."""
    from apex_cli.core.market.calendar import is_certain, session_bounds

    at = (BEGIN + timedelta(days=day)).date()
    bounds = session_bounds(at) if is_certain(at) else None
    if bounds is None:
        raise _NotPlainError
    opens, closes = ((moment - BEGIN) // MICROSECOND for moment in bounds)
    return opens, closes


def _cut(
    starts: NDArray[np.int64],
    steps: NDArray[np.int64],
    numbers: tuple[_Numbers, ...],
    symbol: str,
    notes: tuple[str, ...],
) -> Series:
    """Give each row the length of the bars, up to the next start; a last row off the grid is left out."""
    import numpy as np

    common = int(np.bincount(np.unique(steps[:SAMPLE], return_inverse=True)[1]).argmax())
    length = int(np.unique(steps[:SAMPLE])[common])
    if np.count_nonzero(steps == length) < MOST_OF * np.count_nonzero(steps < DAY_S * MICRO):
        kinds, counts = np.unique(steps[:-1], return_counts=True)
        length = bar_length(dict(zip(kinds.tolist(), counts.tolist(), strict=True)), int(steps[-1]))
    problems: tuple[str, ...] = ()
    if steps[-1] < length:
        problems = (
            f"line {len(starts) + 1} is left out: its bar had just begun at {_moment(int(starts[-1])):%H:%M:%S} UTC",
        )
        starts, steps = starts[:-1], steps[:-1]
        numbers = tuple(each.part(slice(len(starts))) for each in numbers)
    ends = starts + np.append(np.minimum(steps, length), length)
    data = _Data(symbol, starts, ends, numbers, OrderedDict(), {})
    return Series(BarColumns(data, 0, len(starts)), _Ends(ends), problems, (length_in_words(length), *notes))


def _refuse_odd(numbers: tuple[_Numbers, ...]) -> None:
    """Leave rows with a price of zero, or a high below its low, to the reader that names them."""
    prices = numbers[:-1]
    places = {(int(each.places.min()), int(each.places.max())) for each in prices}
    is_even = len(places) == 1 and len(set(next(iter(places)))) == 1
    opening, high, low, close = (each.digits if is_even else each.floats() for each in prices)
    most = MOST_PRICE * 10 ** next(iter(places))[0] if is_even else MOST_PRICE
    if min(values.min() for values in (opening, high, low, close)) <= 0 or (high < low).any():
        raise _NotPlainError
    if max(values.max() for values in (opening, high, low, close)) > most:
        raise _NotPlainError
