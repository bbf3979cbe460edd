"""Bars of one symbol in several files, such as one a year: which belong together, and one history of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from apex_cli.core.adapters.files.prices.bar_columns import BarColumns, concatenated
from apex_cli.core.adapters.files.prices.bar_series import Series, ended_by
from apex_cli.core.errors import InputError
from apex_cli.core.model.market import Bar

_DATES = re.compile(
    r"(?<![0-9])(?:(?:19|20)[0-9]{2}[-_.]?(?:[01][0-9](?:[-_.]?[0-3][0-9](?:[0-9]{4})?)?)?"
    r"|[0-3]?[0-9][-_.][01]?[0-9][-_.](?:19|20)[0-9]{2})(?![0-9])|(?<=part)[-_ ]?[0-9]{1,3}(?![0-9])",
    re.IGNORECASE,
)
_KIND = re.compile(r"daily sessions|days of UTC|.*\bbars\b.*")
SHOWN = 3
MICROSECOND = timedelta(microseconds=1)


class Part(NamedTuple):
    """What one file holds of a symbol."""

    name: str
    series: Series


def is_part_of_one(names: Sequence[str]) -> bool:
    """Return True when names of files differ in nothing but their dates, or the number of a part.

    >>> is_part_of_one(["AAPL_2020.csv", "AAPL_2021.csv"]), is_part_of_one(["AAPL.csv", "aapl_us_d.csv"])
    (True, False)
    >>> is_part_of_one(["BTCUSDT-1m-2024-01.csv", "BTCUSDT-1m-2024-02.csv.gz"]), is_part_of_one(["A 5.csv", "A 15.csv"])
    (True, False)
    """
    bare = {_DATES.sub("#", re.sub(r"\.gz$|(?:\.csv)?\.zip$", "", name.lower()).removesuffix(".csv")) for name in names}
    return len(bare) == 1 and "#" in next(iter(bare))


def join_parts(parts: Sequence[Part]) -> Series:
    """Return one history of all *parts*.

    Where two of them have the same bars, those count once. The last bar of an earlier file may have been cut short: the
    later file's counts.

    Raises:
        InputError: they hold bars of different lengths, or different prices of the same bars.
    """
    used = sorted((part for part in parts if part.series.bars), key=lambda part: (part.series.ends[0], part.name))
    problems = [problem for part in parts for problem in part.series.problems]
    if not used:
        return parts[0].series._replace(problems=tuple(problems))
    _refuse_kinds(used)
    whole = used[0]
    for part in used[1:]:
        whole = Part(part.name, _with(whole, part, problems))
    notes = (*used[0].series.notes, f"joined from {len(used)} files")
    return whole.series._replace(problems=tuple(problems), notes=notes)


def _refuse_kinds(parts: Sequence[Part]) -> None:
    kinds = {part.name: next(filter(_KIND.fullmatch, part.series.notes), "") for part in parts}
    if len(set(kinds.values())) > 1:
        found = "; ".join(f"{name}: {kind}" for name, kind in list(kinds.items())[:SHOWN])
        raise _ambiguous(parts, f"Files of {parts[0].series.bars[0].symbol} hold bars of different lengths: {found}.")


def _with(whole: Part, part: Part, problems: list[str]) -> Series:
    """Return the bars of *whole*, followed by those of *part*, which begins later."""
    before, after = whole.series, part.series
    common = ended_by(after, before.ends[-1])
    first = ended_by(before, after.ends[0] - MICROSECOND)
    old, new, rest = before.bars[first:], after.bars[:common], after.bars[common:]
    if not common or (len(old) == len(new) and all(one == other for one, other in zip(old, new, strict=True))):
        return _one(before.bars, rest)
    return _one(before.bars[:first], _reconciled(whole, part, tuple(old), tuple(new), problems), rest)


def _reconciled(
    whole: Part, part: Part, old: Sequence[Bar], new: Sequence[Bar], problems: list[str]
) -> tuple[Bar, ...]:
    """Return the bars that either file has of the time that both are of."""
    found = {bar.end: bar for bar in old}
    differing = [bar.end for bar in new if found.get(bar.end, bar) != bar]
    if differing == [old[-1].end]:
        last = f"{old[-1].end:%Y-%m-%d %H:%M}"
        problems.append(f"{whole.name} and {part.name} differ at {last} UTC: the later file counts")
    elif differing:
        raise _ambiguous(
            (whole, part),
            f"{whole.name} and {part.name} have {len(new)} bars in common, and {len(differing)} of them differ, "
            f"first at {differing[0]:%Y-%m-%d %H:%M} UTC.",
        )
    found.update((bar.end, bar) for bar in new)
    return tuple(bar for _, bar in sorted(found.items()))


def _one(*pieces: Sequence[Bar]) -> Series:
    """Return *pieces*, which follow each other, as one history."""
    filled = [piece for piece in pieces if piece]
    columns = [piece for piece in filled if isinstance(piece, BarColumns)]
    if len(columns) == len(filled):
        return concatenated(columns)
    bars = tuple(chain.from_iterable(filled))
    return Series(bars, tuple(bar.end for bar in bars))


def _ambiguous(parts: Sequence[Part], message: str) -> InputError:
    return InputError(
        "bars_ambiguous",
        message,
        hint="Keep one of them, or download all of them again at once.",
        details={"files": [part.name for part in parts]},
    )
