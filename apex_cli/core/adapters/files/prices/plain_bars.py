"""A large plain file of prices, read with numpy into columns.

Only what is plain is read here: one time column in one form, or plain dates of sessions; numbers without signs, rows in
order. Anything else is left to the general reader, which finds and names what is wrong; both give the same bars.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from os import SEEK_END, cpu_count
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from apex_cli.core.adapters.files.prices.bar_columns import (
    BEGIN,
    MICRO,
    MICROSECOND,
    BarColumns,
    Ends,
    ExactNumbers,
    column_data,
    moment,
)
from apex_cli.core.adapters.files.prices.bar_series import (
    DAY_S,
    FIRST_ROWS,
    MOST_OF,
    Series,
    bar_length,
    end_at_close,
    is_pair,
    length_in_words,
    refuse_foreign,
)
from apex_cli.core.adapters.files.prices.number_columns import (
    DATE_DASHES,
    HOUR_S,
    WORD,
    NotPlainError,
    read_clock,
    read_dates,
    read_numbers,
)
from apex_cli.core.adapters.files.prices.price_files import KNOWN, PRICE_FIELDS, table_zone, time_columns
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.text.cells import read_zone
from apex_cli.core.text.table_reader import DELIMITER_NAMES, find_delimiter
from apex_cli.core.text.text_table import FileHints, Row, Table, match_columns

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

LEAST_BYTES = 300_000
"""Folders with less are read by the general reader, which needs no numpy."""

HEAD = 1 << 16
CHUNK = 1 << 19
NEWLINE, RETURN = 10, 13
MARGIN = b" " * WORD
THREADS = min(4, cpu_count() or 1)
LEAST_ROWS = 100
"""A file with fewer rows is read row by row."""

SAMPLE_STEPS = 10_000
"""Steps between rows by which the usual length of a bar is found."""

LEAST_DAY_S = 20 * HOUR_S
FORMS = {
    16: "minutes",
    19: "seconds",
    20: "seconds, Z",
    22: "minutes, offset",
    25: "seconds, offset",
    10: "epoch",
    13: "epoch",
}
MOST_GAP_DAYS = 4
"""Most days between two sessions, but for few places of a daily file."""

MOST_PRICE = 1e9


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
    except NotPlainError:
        return None


def _read(stream: BinaryIO, symbol: str, hints: FileHints) -> Series:
    head = stream.read(HEAD).removeprefix(b"\xef\xbb\xbf")
    lines = head.decode("ascii", "replace").splitlines()[:2]
    delimiter = find_delimiter("\n".join(lines))
    if not delimiter or len(lines) < 2 or "\ufffd" in lines[0] or hints.decimal not in {"", "."}:  # noqa: PLR2004
        raise NotPlainError
    names = tuple(cell.strip() for cell in lines[0].split(delimiter))
    cells = lines[1].split(delimiter)
    if len(cells) != len(names):
        raise NotPlainError
    table = Table(names, [Row(2, cells)])
    columns = match_columns(names, KNOWN, hints)
    time, clock = time_columns(table, hints)
    if time is None or clock is not None or "symbol" in columns or not set(PRICE_FIELDS) <= set(columns):
        raise NotPlainError
    named, first = table_zone(table, hints, (time,)), table.rows[0].cells[time]
    if named is None and is_pair(symbol):
        raise NotPlainError
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
        refuse_foreign([moment(at) for at in sorted(rows.times[: min(rows.count, FIRST_ROWS)].tolist())], zone, symbol)
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
            raise NotPlainError
        if text:
            count = int(np.count_nonzero(np.frombuffer(text, np.uint8) == NEWLINE))
            yield _Part(text, slice(row, row + count))
            row += count
    if left:
        yield _Part(left + b"\n", slice(row, row + 1))


def _in_turns(read: Callable[[_Part], None], parts: Iterable[_Part]) -> Iterator[_Part]:
    """Read *parts*, some at once, as numpy works without the interpreter's lock, and yield those that are read."""
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
        """Make room for *most* rows with times such as *first*: memory is taken only where rows are put."""
        import numpy as np

        self.zone = zone
        self.count = 0
        self.length = len(first)
        self.form = FORMS.get(self.length, "")
        if self.form == "epoch" and first[DATE_DASHES[0]] == "-":
            self.form = "dates"
        if not self.form:
            raise NotPlainError
        self.times = np.empty(most, np.int64)
        self.numbers = tuple(ExactNumbers(np.zeros(most, np.int64), np.zeros(most, np.uint8)) for _ in range(5))

    def add(self, part: _Part, width: int, delimiter: int, time: int, places: Sequence[int]) -> None:
        """Read the rows of *part*."""
        import numpy as np

        if b'"' in part.text or part.rows.stop > len(self.times):
            raise NotPlainError
        padded = b"".join((MARGIN, part.text, MARGIN))
        signs = np.frombuffer(padded, np.uint8)
        words = np.ndarray((len(padded) - WORD + 1,), "<u8", padded, strides=(1,))
        is_end = signs == NEWLINE
        stops = np.flatnonzero(np.logical_or(signs == delimiter, is_end, out=is_end))
        if len(stops) != (part.rows.stop - part.rows.start) * width:
            raise NotPlainError
        table = stops.reshape(-1, width).T.copy()
        if (signs[table[-1]] != NEWLINE).any():
            raise NotPlainError
        begins = np.empty_like(table[0])
        begins[0], begins[1:] = WORD, table[-1][:-1] + 1
        if b"\r" in part.text:
            table[-1] -= signs[table[-1] - 1] == RETURN
        self._add_times(signs, words, table[time - 1] + 1 if time else begins, table[time], part.rows)
        for numbers, at in zip(self.numbers, places, strict=True):
            if at >= 0:
                digits, places_ = read_numbers(signs, words, table[at - 1] + 1 if at else begins, table[at])
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
            raise NotPlainError
        if self.form == "epoch":
            digits, places = read_numbers(signs, words, starts, stops)
            if np.any(places):
                raise NotPlainError
            self.times[rows] = digits * (MICRO if self.length == len("1056979800") else 1000)
        elif self.form == "dates":
            self.times[rows] = read_dates(signs, words, starts) * (DAY_S * MICRO)
        else:
            self.times[rows] = _written(words, starts, self.form, self.zone) * MICRO


def _written(words: NDArray[np.uint64], starts: NDArray[np.int64], form: str, zone: tzinfo) -> NDArray[np.int64]:
    """Return times such as 2026-07-13 09:30:00-04:00 in seconds; a day and its offset are read once for all rows."""
    import numpy as np

    clock = read_clock(words[11:][starts], has_seconds=form.startswith("seconds"))
    end = 19 if form.startswith("seconds") else 16
    dates = words[starts], words[3:][starts]  # 2026-07- and 6-07-13 with the sign after it
    turns = (dates[0][1:] != dates[0][:-1]) | (dates[1][1:] != dates[1][:-1])
    tail = np.zeros(1, np.uint64)
    if form.endswith("offset"):
        tail = words[end - 2 :][starts] >> np.uint64(16)
        turns |= tail[1:] != tail[:-1]
    firsts = np.concatenate([[0], np.flatnonzero(turns) + 1])
    if len(firsts) > len(starts) // 8 + 100:
        raise NotPlainError
    counts = np.diff(np.append(firsts, len(starts)))
    seconds = clock
    for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
        day = (
            words[starts[first] : starts[first] + 1].tobytes() + words[starts[first] + 8 : starts[first] + 9].tobytes()
        )
        rows = slice(first, first + count)
        seconds[rows] += _day_begin(day[:11], tail[first : first + 1].tobytes(), form, zone, seconds[rows])
    return seconds


def _day_begin(day: bytes, tail: bytes, form: str, zone: tzinfo, clock: NDArray[np.int64]) -> int | NDArray[np.int64]:
    """Return what the times of one day lie behind 1970 in UTC, without their time of day."""
    try:
        text = day.decode("ascii")
        begin = datetime.fromisoformat(text[:10])
    except ValueError:
        raise NotPlainError from None
    if text[10] not in " T" or text[4] != "-" or text[7] != "-":
        raise NotPlainError
    seconds = (begin - datetime(1970, 1, 1)).days * 86_400  # noqa: DTZ001 - wall time
    if form.endswith("Z"):
        return seconds
    if form.endswith("offset"):
        named = read_zone(tail[:6].decode("ascii", "replace"))
        if named is None or tail[3:4] != b":":
            raise NotPlainError
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

    if rows.count < LEAST_ROWS:
        raise NotPlainError
    starts = rows.times[: rows.count]
    numbers = tuple(each.part(slice(rows.count)) for each in rows.numbers)
    steps = np.diff(starts)
    if (steps < 0).all():
        starts, steps = starts[::-1], -steps[::-1]
        numbers = tuple(ExactNumbers(each.digits[::-1], each.places[::-1]) for each in numbers)
    is_long = bool(np.count_nonzero(steps >= LEAST_DAY_S * MICRO) * 2 > len(steps))
    if steps.min() <= 0 or is_long is not (rows.form == "dates"):
        raise NotPlainError
    _refuse_odd(numbers)
    if rows.form == "dates":
        return _sessions(starts // (DAY_S * MICRO), steps // (DAY_S * MICRO), numbers, symbol)
    is_naive = rows.form in {"minutes", "seconds"}
    return _cut(starts, steps, numbers, symbol, (f"times without a zone are those of {zone}",) if is_naive else ())


def _sessions(
    days: NDArray[np.int64], steps: NDArray[np.int64], numbers: tuple[ExactNumbers, ...], symbol: str
) -> Series:
    """Give each day its session; a day that has none for certain is left to the general reader."""
    import numpy as np

    if is_pair(symbol) or np.count_nonzero(steps > MOST_GAP_DAYS) * 2 > len(steps):
        raise NotPlainError
    bounds = [_bounds(day) for day in days.tolist()]
    starts, ends = (np.array(column, np.int64) for column in zip(*bounds, strict=True))
    data = column_data(symbol, starts, ends, numbers)
    return Series(BarColumns(data, 0, len(starts)), Ends(ends), (), ("daily sessions",))


@lru_cache(maxsize=1 << 15)
def _bounds(day: int) -> tuple[int, int]:
    """Return when the session of a day since 1970 begins and ends, in microseconds."""
    from apex_cli.core.market.calendar import is_certain, session_bounds

    at = (BEGIN + timedelta(days=day)).date()
    bounds = session_bounds(at) if is_certain(at) else None
    if bounds is None:
        raise NotPlainError
    opens, closes = ((moment - BEGIN) // MICROSECOND for moment in bounds)
    return opens, closes


def _cut(
    starts: NDArray[np.int64],
    steps: NDArray[np.int64],
    numbers: tuple[ExactNumbers, ...],
    symbol: str,
    notes: tuple[str, ...],
) -> Series:
    """Give each row the length of the bars, up to the next start; a last row off the grid is left out."""
    import numpy as np

    lengths, counts = np.unique(steps[:SAMPLE_STEPS], return_counts=True)
    length = int(lengths[counts.argmax()])
    if np.count_nonzero(steps == length) < MOST_OF * np.count_nonzero(steps < DAY_S * MICRO):
        kinds, counts = np.unique(steps[:-1], return_counts=True)
        length = bar_length(dict(zip(kinds.tolist(), counts.tolist(), strict=True)), int(steps[-1]))
    problems: tuple[str, ...] = ()
    if steps[-1] < length:
        problems = (
            f"line {len(starts) + 1} is left out: its bar had just begun at {moment(int(starts[-1])):%H:%M:%S} UTC",
        )
        starts, steps = starts[:-1], steps[:-1]
        numbers = tuple(each.part(slice(len(starts))) for each in numbers)
    ends = starts + np.append(np.minimum(steps, length), length)
    hour = HOUR_S * MICRO
    has_hour = (ends - 1) // hour * hour > starts  # the only moments at which the exchange closes
    for number in np.flatnonzero(has_hour & np.append(steps > length, True)).tolist():
        end = end_at_close(symbol, moment(int(starts[number])), moment(int(ends[number])))
        ends[number] = (end - BEGIN) // MICROSECOND
    data = column_data(symbol, starts, ends, numbers)
    return Series(BarColumns(data, 0, len(starts)), Ends(ends), problems, (length_in_words(length), *notes))


def _refuse_odd(numbers: tuple[ExactNumbers, ...]) -> None:
    """Leave rows with a price of zero, or a high below its low, to the reader that names them."""
    prices = numbers[:-1]
    places = {(int(each.places.min()), int(each.places.max())) for each in prices}
    is_even = len(places) == 1 and len(set(next(iter(places)))) == 1
    opening, high, low, close = (each.digits if is_even else each.floats() for each in prices)
    most = MOST_PRICE * 10 ** next(iter(places))[0] if is_even else MOST_PRICE
    if min(values.min() for values in (opening, high, low, close)) <= 0 or (high < low).any():
        raise NotPlainError
    if max(values.max() for values in (opening, high, low, close)) > most:
        raise NotPlainError
