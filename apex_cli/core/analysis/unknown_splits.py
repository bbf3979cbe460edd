"""Splits that are in bars and in no file: where a history stops meaning one and the same thing. Needs no numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from statistics import median

from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO, Price

WHOLE = tuple(map(Decimal, (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 20, 25, 30, 40, 50, 100)))
PARTS = {Decimal("1.5"): "3 for 2"}
NEAR, VERY_NEAR = Decimal("0.04"), Decimal("0.02")
"""How far the price may have moved over night besides the split: of n for 1 and 1 for n, and of 3 for 2."""

NEWS = 4
"""A session that trades so many times the usual value had news, and its price fell or rose."""

MARKET = Decimal("0.10")
"""Move of the other symbols from close to open that explains a jump."""

LEAST_OTHERS, LEAST_SESSIONS, SESSIONS = 3, 5, 20
SAME_LEVEL = Decimal("0.25")
"""A session that ends farther from its open did not stay at the new level: its open may be a bad price."""


class UnknownSplit(Value, frozen=True, kw_only=True):
    """The first open of a history that looks like a split, and that nothing explains."""

    start: datetime
    """Begin of the bar that opens so; aware UTC."""

    end: datetime
    before: Price
    """Last close before it."""

    opens: Price
    ratio: str
    """What it looks like: ``4 for 1``, ``1 for 20``."""

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return (
            f"{session_date(self.start)} opens at {self.opens} after {self.before}: it looks like a split, "
            f"{self.ratio}, that no file of corporate actions names. It is traded up to then, and not any more."
        )


def ratio_of(before: Decimal, opens: Decimal) -> str:
    """Return which split takes a price of *before* to *opens*; empty where none does.

    >>> ratio_of(Decimal(499), Decimal(127)), ratio_of(Decimal(5), Decimal(101)), ratio_of(Decimal(9), Decimal(7))
    ('4 for 1', '1 for 20', '')
    """
    if before <= ZERO or opens <= ZERO:
        return ""
    ratio = before / opens
    for part, name in PARTS.items():
        if abs(ratio / part - 1) <= VERY_NEAR:
            return name
    forward = next((n for n in WHOLE if abs(ratio / n - 1) <= NEAR), None)
    if forward is not None:
        return f"{forward} for 1"
    reverse = next((n for n in WHOLE if abs(ratio * n - 1) <= NEAR), None)
    return "" if reverse is None else f"1 for {reverse}"


def unknown_split(
    bars: Sequence[Bar], candidates: Iterable[int], market: Callable[[datetime], Sequence[Decimal]]
) -> tuple[int, UnknownSplit] | None:
    """Return the place and the split of the first bar that opens a session as after a split, unexplained.

    The close before over the open is n for 1, 1 for n (2 to 100) within 4 %, or 3 for 2 within 2 %; the session ends
    within 25 % of its open; it trades less than four times the usual value, which is the median of close times volume
    of 20 sessions before; and the other symbols did not open 10 % away on the same side. Without volumes, or with less
    than five sessions before, the value says nothing; so do less than three other symbols.

    Args:
        bars: of one security, oldest first, prices positive.
        candidates: places of bars whose open is far from the close before.
        market: returns open over close before of other symbols, for the bar that starts at a time.
    """
    for place in candidates:
        bar, last = bars[place], bars[place - 1]
        if session_date(bar.start) == session_date(last.start):
            continue
        ratio = ratio_of(last.close, bar.open)
        if (
            ratio
            and _stays(bars, place)
            and not _has_news(bars, place)
            and not _is_market(bar, last, market(bar.start))
        ):
            return place, UnknownSplit(start=bar.start, end=bar.end, before=last.close, opens=bar.open, ratio=ratio)
    return None


def far_opens(bars: Sequence[Bar]) -> list[int]:
    """Return the places of bars that open a third below, or four fifths above, the close before."""
    found: list[int] = []
    last: Bar | None = None
    for place, bar in enumerate(bars):
        if last is not None and (bar.open * 10 < last.close * 7 or bar.open * 10 > last.close * 18):
            found.append(place)
        last = bar
    return found


def _session_of(bars: Sequence[Bar], place: int) -> list[Bar]:
    day, found = session_date(bars[place].start), []
    for bar in bars[place:]:
        if session_date(bar.start) != day:
            break
        found.append(bar)
    return found


def _stays(bars: Sequence[Bar], place: int) -> bool:
    session = _session_of(bars, place)
    return abs(session[-1].close / session[0].open - 1) <= SAME_LEVEL


def _has_news(bars: Sequence[Bar], place: int) -> bool:
    """Return whether the session traded many times the value that is usual."""
    usual: dict[object, Decimal] = {}
    for before in range(place - 1, -1, -1):
        bar = bars[before]
        day = session_date(bar.start)
        if day not in usual and len(usual) == SESSIONS:
            break
        usual[day] = usual.get(day, ZERO) + bar.close * bar.volume
    middle = median(usual.values()) if len(usual) >= LEAST_SESSIONS else ZERO
    value = sum((bar.close * bar.volume for bar in _session_of(bars, place)), ZERO)
    return middle > ZERO and value >= NEWS * middle


def _is_market(bar: Bar, last: Bar, others: Sequence[Decimal]) -> bool:
    if len(others) < LEAST_OTHERS:
        return False
    move, own = median(others) - 1, bar.open / last.close - 1
    return abs(move) >= MARKET and (move > 0) == (own > 0)
