"""Numbers, dates and times of day in columns of text, read with numpy a word of the machine at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apex_cli.core.adapters.files.prices.bar_columns import MOST_DIGITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DASH, DOT, ZERO_SIGN = 45, 46, 48
WORD = 8
"""Signs in a word of the machine."""

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

HOUR_S = 3600
DATE_DASHES = (4, 7)


class NotPlainError(Exception):
    """The general reader has to look at it."""


def read_numbers(
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
            raise NotPlainError
        rows = np.flatnonzero(lengths == length)
        cells = np.lib.stride_tricks.sliding_window_view(signs, length)[starts[rows]]
        points = cells == DOT
        count = points.sum(axis=1)
        if (count > 1).any():
            raise NotPlainError
        at = np.where(count == 1, points.argmax(axis=1), length)
        for place in np.flatnonzero(np.bincount(at)).tolist():
            chosen = at == place
            bare = np.delete(cells[chosen], place, axis=1) if place < length else cells[chosen]
            values = bare - np.uint8(ZERO_SIGN)
            if not bare.shape[1] or bare.shape[1] > MOST_DIGITS or values.max() > 9:  # noqa: PLR2004 - a digit
                raise NotPlainError
            weights = 10.0 ** np.arange(bare.shape[1] - 1, -1, -1)
            digits[rows[chosen]] = (values.astype(np.float64) @ weights).astype(np.int64)
            places[rows[chosen]] = max(length - 1 - place, 0)
    return digits, places


def read_dates(signs: NDArray[np.uint8], words: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return dates such as 2026-07-13 as days since 1970."""
    import numpy as np

    if any((signs[starts + at] != DASH).any() for at in DATE_DASHES):
        raise NotPlainError
    year, _ = read_numbers(signs, words, starts, starts + 4)
    month, _ = read_numbers(signs, words, starts + 5, starts + 7)
    day, _ = read_numbers(signs, words, starts + 8, starts + 10)
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days = first + day - 1
    if month.min() < 1 or month.max() > 12 or day.min() < 1 or (days >= after).any():  # noqa: PLR2004 - months
        raise NotPlainError
    return np.asarray(days, dtype=np.int64)


def read_clock(word: NDArray[np.uint64], *, has_seconds: bool) -> NDArray[np.int64]:
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
        raise NotPlainError
    hour, minute = digits & np.uint64(0xFF), (digits >> np.uint64(24)) & np.uint64(0xFF)
    second = digits >> np.uint64(48)
    seconds: NDArray[np.int64] = (hour * np.uint64(HOUR_S) + minute * np.uint64(60) + second).view(np.int64)
    return seconds
