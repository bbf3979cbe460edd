"""Many bars as columns, kept as whole numbers and made into values on demand."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice, repeat
from operator import itemgetter, mul
from typing import TYPE_CHECKING, NamedTuple, cast, overload

from apex_cli.core.adapters.files.prices.bar_series import Series
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 32
"""Bars that are made into values together: one of them is rarely asked for alone."""

KEPT_BLOCKS = 256
"""Blocks of bars that are kept as values."""

MOST_MOMENTS = 200_000
"""Moments up to which all are made at once, as each is looked at many times."""

FEW_MOMENTS = 8192
"""Moments up to which those of a symbol are kept as values: the symbols of a replay share most of them."""

PART = 65_536
"""Numbers that are made into floats at once: those in between take little memory."""

MOST_DIGITS = 15
"""Digits that a float holds exactly."""

ROWS = 8
"""Of an array of bars: two times, the digits of five numbers, and their places, a byte each."""

SAFE_JUMP = 0.39
"""Change from a close to the next open that is not looked at more closely; ``quality`` names more than 0.4."""

UNITS = tuple(Decimal(1).scaleb(-places) for places in range(MOST_DIGITS + 1))
"""What the last of so many places after the point is worth."""

TENS = tuple(10**places for places in range(MOST_DIGITS + 1))
MICRO = 1_000_000
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


FELL, ROSE = 0.7, 1.8
"""Open over the close before: beyond these a split is looked for."""


class ExactNumbers(NamedTuple):
    """Exact decimals: digits as a whole number, and how many of them stand after the point."""

    digits: NDArray[np.int64]
    places: NDArray[np.uint8]

    def part(self, rows: slice) -> ExactNumbers:
        """Return the numbers of *rows*."""
        return ExactNumbers(self.digits[rows], self.places[rows])

    def span(self) -> tuple[int, int]:
        """Return the least and the most places of a number."""
        return (int(self.places.min()), int(self.places.max())) if len(self.places) else (0, 0)

    def in_units(self, places: int, rows: slice, span: tuple[int, int]) -> list[int]:
        """Return the numbers of *rows* in units of the last of *places* after the point; all lie within *span*."""
        digits: list[int] = self.digits[rows].tolist()
        if span == (places, places):
            return digits
        return [each * TENS[places - has] for each, has in zip(digits, self.places[rows].tolist(), strict=True)]

    def decimals(self, rows: slice, span: tuple[int, int]) -> list[Decimal]:
        """Return the numbers of *rows* as they were written; all lie within *span*."""
        digits = map(Decimal, self.digits[rows].tolist())
        if span == (0, 0):
            return list(digits)
        least, most = span
        units = repeat(UNITS[most]) if least == most else map(UNITS.__getitem__, self.places[rows].tolist())
        return list(map(mul, digits, units))

    def floats(self, into: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the nearest floats, written *into* an array where one is given."""
        import numpy as np

        found = np.empty(len(self.digits)) if into is None else into
        units = 10.0 ** np.arange(MOST_DIGITS + 1)
        for first in range(0, len(found), PART):
            rows = slice(first, first + PART)
            np.divide(self.digits[rows], units[self.places[rows]], out=found[rows])
        return found


class ColumnData(NamedTuple):
    """All columns of one symbol; times in microseconds since 1970."""

    symbol: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    numbers: tuple[ExactNumbers, ...]
    """open, high, low, close, volume."""

    made: list[Bar | None]
    """The bars of a short history as values, as far as they were asked for; empty before, and of a long one."""

    blocks: OrderedDict[int, tuple[Bar, ...]]
    kept: dict[str, NDArray[np.float64]]
    """Columns that were asked for as floats."""

    spans: list[tuple[int, int]]
    """Least and most places of a number in each column, once they were asked for."""

    def closes(self) -> NDArray[np.float64]:
        """Return all closes as floats, made once."""
        found = self.kept.get("close")
        return self.kept.setdefault("close", self.numbers[3].floats()) if found is None else found

    def returns(self) -> NDArray[np.float64]:
        """Return all changes from close to close, made once; empty where a close is nothing."""
        found = self.kept.get("returns")
        if found is None:
            closes = self.closes()
            found = closes[1:] / closes[:-1] - 1 if (closes > 0).all() else closes[:0]
            self.kept["returns"] = found
        return found

    def column_spans(self) -> Sequence[tuple[int, int]]:
        """Return the least and the most places of a number in each column, looked at once."""
        if not self.spans:
            self.spans.extend(each.span() for each in self.numbers)
        return self.spans

    def bar(self, number: int) -> Bar:
        """Return one bar as a value."""
        if self.made or self._is_short():
            return self.made[number] or self._make_block(number // BLOCK)[number % BLOCK]
        return self._block(number // BLOCK)[number % BLOCK]

    def bars(self, first: int, last: int) -> Iterable[Bar]:
        """Return the bars from number *first* up to *last* as values."""
        if first >= last:
            return ()
        numbers = range(first // BLOCK, -(-last // BLOCK))
        if not (self.made or self._is_short()):
            begin = first % BLOCK
            return islice(chain.from_iterable(map(self._block, numbers)), begin, begin + last - first)
        for number in numbers:
            if self.made[max(number * BLOCK, first)] is None:
                self._make_block(number)
        return cast("list[Bar]", self.made[first:last])

    def _is_short(self) -> bool:
        """Return whether all bars are kept once they were made, and make room for them."""
        if len(self.ends) <= KEPT_BLOCKS * BLOCK:
            self.made.extend([None] * len(self.ends))
        return bool(self.made)

    def _make_block(self, number: int) -> tuple[Bar, ...]:
        rows = slice(number * BLOCK, (number + 1) * BLOCK)
        found = tuple(self._values(rows))
        self.made[rows] = found
        return found

    def _block(self, number: int) -> tuple[Bar, ...]:
        """Return a block of a long history as values; those asked for last are kept."""
        found = self.blocks.get(number)
        if found is None:
            found = self.blocks[number] = tuple(self._values(slice(number * BLOCK, (number + 1) * BLOCK)))
            if len(self.blocks) > KEPT_BLOCKS:
                self.blocks.popitem(last=False)
        else:
            self.blocks.move_to_end(number)
        return found

    def _values(self, rows: slice) -> Iterator[Bar]:
        spans = self.column_spans()
        columns = [numbers.decimals(rows, span) for numbers, span in zip(self.numbers, spans, strict=True)]
        times = (map(moment, self.starts[rows].tolist()), map(moment, self.ends[rows].tolist()))
        prices = (cast("list[Price]", column) for column in columns[:-1])
        for start, end, opening, high, low, close, volume in zip(*times, *prices, columns[-1], strict=True):
            yield Bar(
                symbol=self.symbol,
                start=start,
                end=end,
                open=opening,
                high=high,
                low=low,
                close=close,
                volume=volume,
            )


def column_data(
    symbol: str, starts: NDArray[np.int64], ends: NDArray[np.int64], numbers: tuple[ExactNumbers, ...]
) -> ColumnData:
    """Return columns of which nothing was asked for yet."""
    return ColumnData(symbol, starts, ends, numbers, [], OrderedDict(), {}, [])


@lru_cache(maxsize=FEW_MOMENTS)
def moment(microseconds: int) -> datetime:
    """Return the time *microseconds* after the beginning of 1970 in UTC."""
    return BEGIN + timedelta(microseconds=microseconds)


class BarColumns(Sequence[Bar]):
    """Bars of one symbol, oldest first, made into values when they are asked for."""

    __slots__ = ("_data", "_first", "_last")

    def __init__(self, data: ColumnData, first: int, last: int) -> None:
        """Show the bars from *first* up to *last*."""
        self._data = data
        self._first = first
        self._last = max(first, last)

    def rows(self) -> ColumnData:
        """Return the columns of these bars alone."""
        chosen, data = slice(self._first, self._last), self._data
        numbers = tuple(each.part(chosen) for each in data.numbers)
        return column_data(data.symbol, data.starts[chosen], data.ends[chosen], numbers)

    def alone(self) -> BarColumns:
        """Return the same bars without a way to those before and after them."""
        rows = self.rows()
        numbers = tuple(ExactNumbers(each.digits.copy(), each.places.copy()) for each in rows.numbers)
        data = rows._replace(starts=rows.starts.copy(), ends=rows.ends.copy(), numbers=numbers)
        return BarColumns(data, 0, len(self))

    def __len__(self) -> int:
        """Return how many bars there are."""
        return self._last - self._first

    def floats(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the ends in whole seconds since 1970, and a row each of open, high, low, close, volume."""
        import numpy as np

        rows = slice(self._first, self._last)
        columns = np.empty((len(self._data.numbers), len(self)))
        for numbers, column in zip(self._data.numbers, columns, strict=True):
            numbers.part(rows).floats(column)
        return self._data.ends[rows] // MICRO, columns

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

    def starts_are(self, starts: Sequence[int]) -> bool:
        """Return whether these bars start at exactly *starts*, seconds since 1970."""
        import numpy as np

        found = self._data.starts[self._first : self._last]
        return len(found) == len(starts) and bool((found == np.asarray(starts) * MICRO).all())

    def breaks(self) -> list[int]:
        """Return the places of bars that end before the next one starts."""
        rows = slice(self._first, self._last)
        starts, ends = self._data.starts[rows], self._data.ends[rows]
        found: list[int] = (ends[:-1] < starts[1:]).nonzero()[0].tolist()
        return found

    def far_opens(self) -> list[int]:
        """Return the places of bars that open a third below, or four fifths above, the close before."""
        _, (opening, _, _, close, _) = self.floats()
        moves = opening[1:] / close[:-1]
        found: list[int] = (((moves < FELL) | (moves > ROSE)).nonzero()[0] + 1).tolist()
        return found

    def closes(self) -> tuple[list[int], list[float]]:
        """Return the ends in microseconds since 1970, and the closes."""
        rows = slice(self._first, self._last)
        return self._data.ends[rows].tolist(), self._data.closes()[rows].tolist()

    def whole_numbers(self) -> tuple[list[int], list[int], list[int], list[int], Decimal, Decimal]:
        """Return highs, lows, closes and volumes as whole numbers, and the unit of the prices and of the volumes."""
        rows, data = slice(self._first, self._last), self._data
        _, *prices, volume = data.column_spans()
        most, most_volume = max(prices, key=itemgetter(1))[1], volume[1]
        units = (most, most, most, most_volume)
        columns = zip(data.numbers[1:], units, (*prices, volume), strict=True)
        high, low, close, volumes = (numbers.in_units(places, rows, span) for numbers, places, span in columns)
        return high, low, close, volumes, UNITS[most], UNITS[most_volume]

    def returns(self) -> tuple[bytes, NDArray[np.float64]] | None:
        """Return the ends as bytes, which none but the same ends have, and the changes from close to close.

        None where a close is nothing.
        """
        returns = self._data.returns()
        if not len(returns):
            return None
        return self._data.ends[self._first : self._last].tobytes(), returns[self._first : self._last - 1]

    @overload
    def __getitem__(self, at: int) -> Bar: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Bar]: ...
    def __getitem__(self, at: int | slice) -> Bar | Sequence[Bar]:
        """Return one bar, or a part of them; a part with steps is made at once."""
        if isinstance(at, slice):
            first, last, step = at.indices(self._last - self._first)
            if step != 1:
                return tuple(self[each] for each in range(first, last, step))
            return BarColumns(self._data, self._first + first, self._first + last)
        number = at + (self._last if at < 0 else self._first)
        if not self._first <= number < self._last:
            raise IndexError(at)
        made = self._data.made
        return (made[number] if made else None) or self._data.bar(number)

    def part(self, first: int, last: int) -> BarColumns:
        """Return the bars from *first* up to *last*, which lie within these."""
        return BarColumns(self._data, self._first + first, self._first + last)

    def __iter__(self) -> Iterator[Bar]:
        """Yield the bars."""
        return iter(self._data.bars(self._first, self._last))


class Ends(Sequence[datetime]):
    """Ends of bars, to be searched."""

    __slots__ = ("_asked", "_asked_before", "_ends", "_moments", "_numbers")

    def __init__(self, ends: NDArray[np.int64]) -> None:
        """Take the ends in microseconds since 1970, oldest first."""
        self._ends = ends
        self._numbers: memoryview[int] = ends.data.cast("B").cast("q")
        self._moments: list[datetime] | None = None
        self._asked: tuple[datetime | None, int] = (None, 0)
        self._asked_before: tuple[datetime | None, int] = (None, 0)
        """The last two answers: a clock asks of one time, or of the two ends of one window, for symbol after symbol."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The ends in microseconds since 1970."""
        return self._ends

    def by(self, at: datetime) -> int:
        """Return how many bars have ended by *at*."""
        if at == self._asked[0]:
            return self._asked[1]
        found = self._asked_before
        if at != found[0]:
            found = at, self._search(at)
        self._asked, self._asked_before = found, self._asked
        return found[1]

    def _search(self, at: datetime) -> int:
        if self._moments is None:
            if len(self._numbers) > FEW_MOMENTS:
                return bisect_right(self._numbers, (at - BEGIN) // MICROSECOND)
            self._moments = list(self)
        return bisect_right(self._moments, at)

    def are(self, other: Ends) -> bool:
        """Return whether *other* are the same ends."""
        return len(other) == len(self) and bool((other.numbers == self._ends).all())

    def __len__(self) -> int:
        """Return how many bars there are."""
        return len(self._ends)

    @overload
    def __getitem__(self, at: int) -> datetime: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[datetime]: ...
    def __getitem__(self, at: int | slice) -> datetime | Sequence[datetime]:
        """Return one end, or a part of them."""
        return Ends(self._ends[at]) if isinstance(at, slice) else moment(self._numbers[at])

    def __iter__(self) -> Iterator[datetime]:
        """Yield every end."""
        return map(moment, self._numbers)


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
    array = array.view(np.ndarray)  # parts of a mapped file are slow to take
    numbers = tuple(ExactNumbers(array[2 + at], (array[7] >> 8 * at & 0xFF).astype(np.uint8)) for at in range(5))
    data = column_data(symbol, array[0], array[1], numbers)
    return BarColumns(data, 0, array.shape[1]), Ends(array[1])


def moments_of(parts: Iterable[Sequence[datetime]]) -> Sequence[datetime]:
    """Return every moment of *parts*, each once, oldest first; very many are made when they are asked for."""
    columns, others = [], set[datetime]()
    for part in parts:
        if isinstance(part, Ends):
            columns.append(part.numbers)
        else:
            others.update(part)
    if columns:
        import numpy as np

        from apex_cli.core.analysis.frame import distinct

        found = Ends(distinct(np.concatenate(columns)))
        if not others:
            return found if len(found) > MOST_MOMENTS else list(found)
        return sorted(others.union(found))
    return sorted(others)


def concatenated(parts: Sequence[BarColumns]) -> Series:
    """Return the bars of *parts*, which follow each other, as one history."""
    import numpy as np

    rows = [part.rows() for part in parts]
    starts = np.concatenate([part.starts for part in rows])
    ends = np.concatenate([part.ends for part in rows])
    numbers = tuple(
        ExactNumbers(np.concatenate([each.digits for each in same]), np.concatenate([each.places for each in same]))
        for same in zip(*(part.numbers for part in rows), strict=True)
    )
    data = column_data(rows[0].symbol, starts, ends, numbers)
    return Series(BarColumns(data, 0, len(starts)), Ends(ends))
