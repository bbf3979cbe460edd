"""A table of text: its rows, and which column is which by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import NamedTuple

from apex_cli.core.errors import InputError
from apex_cli.core.model.base import Value
from apex_cli.core.text.cells import number_readings, read_zone, tidy, two_readings
from apex_cli.core.text.problems import shown

_UNITS = r"\([^)%]*\)|\[[^\]%]*\]"
"""What stands in brackets behind a name, such as a currency; a percent sign is no unit of the same quantity."""

_IN_BRACKETS = r"[(\[]([^)\]]+)[)\]]"
_NUMBERED = r"^\d+[a-z]?[.)]\s+"


class FileHints(Value, frozen=True, kw_only=True):
    """How files of one kind are to be read, where they do not say it themselves."""

    section: str = "prices"
    """Section of the configuration that the hints come from: messages name its keys."""

    columns: dict[str, str] = {}
    """Our name of a column -> its name in the file."""

    zone: str = ""
    """Time zone of times without one, such as ``America/New_York``; empty: as the kind of file says."""

    dates: str = ""
    """``mdy``, ``dmy`` or a format such as ``%d.%m.%Y``; empty: found out."""

    decimal: str = ""
    """Decimal sign, ``.`` or ``,``; empty: found out."""


class Row(NamedTuple):
    """One row of a table."""

    line: int
    cells: list[str]


class Table(NamedTuple):
    """Rows of text with named columns."""

    names: tuple[str, ...]
    """Names of the columns as the file writes them; empty for a table without a header."""

    rows: Sequence[Row]
    """Rows below the header, blank ones left out."""

    delimiter: str = ""
    encoding: str = ""
    kind: str = "text"
    """``text``, ``workbook``, ``parquet``, ``arrow`` or ``json``."""

    above: Sequence[Row] = ()
    """Rows above the header."""

    notes: tuple[str, ...] = ()
    """What was found out about the file, a phrase each."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns as ``plain_name`` makes them."""
        return tuple(plain_name(name) for name in self.names)


def plain_name(name: str) -> str:
    """Return the name of a column without capitals, blanks, signs, units and numbering.

    >>> [plain_name(name) for name in ("Adj Close", "1. open", "<DTYYYYMMDD>", "Price ($)", "Entry_Price", "Stop (%)")]
    ['adjclose', 'open', 'dtyyyymmdd', 'price', 'entryprice', 'stop%']
    """
    return _plain(name[:200])


@lru_cache(maxsize=2048)
def _plain(name: str) -> str:
    text = tidy(name).lower()
    text = re.sub(_NUMBERED, "", text)
    bare = re.sub(_UNITS, "", text) or text
    return "".join(sign for sign in bare if sign.isalnum() or sign == "%")


FindHeader = Callable[[Sequence[Row]], int | None]
"""Returns the position of the row that names the columns among the first rows; None where no row does."""


def match_columns(names: Sequence[str], known: Mapping[str, Sequence[str]], hints: FileHints) -> dict[str, int]:
    """Return our name -> position for the columns that are known by one of their names, hints first.

    Args:
        names: the header.
        known: our name -> ``plain_name`` of its spellings, the likeliest first.
        hints: its ``columns`` say which column is which.
    """
    positions: dict[str, int] = {}
    for number, name in enumerate(names):
        positions.setdefault(plain_name(name), number)
    exact = {tidy(name): number for number, name in reversed(list(enumerate(names)))}
    found: dict[str, int] = {}
    for ours, spellings in known.items():
        if (theirs := hints.columns.get(ours)) is not None:
            at = exact.get(theirs.strip(), positions.get(plain_name(theirs), _position(theirs)))
            if at is not None:
                found[ours] = at
            continue
        for spelling in spellings:
            if spelling in positions:
                found[ours] = positions[spelling]
                break
    return found


def _position(text: str) -> int | None:
    """Return the position that a number counts from one; a column without a name has no other name."""
    return int(text) - 1 if re.fullmatch(r"[1-9][0-9]{0,3}", text) else None


def unmatched_hints(names: Sequence[str], hints: FileHints) -> list[str]:
    """Return a sentence for every column that a setting names and the file does not have."""
    have = {plain_name(name) for name in names}
    return [
        f"{hints.section}.columns.{ours} names {shown(theirs)}, which is no column of the file"
        for ours, theirs in hints.columns.items()
        if plain_name(theirs) not in have and _position(theirs) is None
    ]


def zone_of_names(names: Iterable[str]) -> tzinfo | None:
    """Return the zone that names of columns tell, such as ``Time (ET)`` and ``Gmt time``; None: none does."""
    for name in names:
        key = plain_name(name)
        if key.endswith("utc") or key.startswith("gmt"):
            return UTC
        if (found := re.search(_IN_BRACKETS, name)) and (zone := read_zone(found[1])):
            return zone
    return None


def column_texts(rows: Iterable[Row], at: int) -> Iterator[str]:
    """Yield the cells of one column; a row that is too short has an empty one."""
    return (row.cells[at] if at < len(row.cells) else "" for row in rows)


def ambiguous_number(name: str, text: str, hints: FileHints) -> InputError:
    """Return the refusal of a number with two readings."""
    thousand, part = number_readings(text)
    return InputError(
        "file_ambiguous",
        f"{name}: {shown(text.strip())} is {thousand} or {part}, and nothing in the file decides.",
        hint=f'Set {hints.section}.decimal to "." or ",".',
        details={
            "file": name,
            "value": text.strip(),
            "readings": [str(thousand), str(part)],
            "setting": f"{hints.section}.decimal",
        },
    )


def ambiguous_date(name: str, text: str, hints: FileHints) -> InputError:
    """Return the refusal of a date with two readings."""
    return InputError(
        "file_ambiguous",
        f"{name}: {shown(text.strip())} is {two_readings(text)}, and nothing in the file decides.",
        hint=f"Set {hints.section}.dates to mdy or dmy.",
        details={"file": name, "value": text.strip(), "setting": f"{hints.section}.dates"},
    )
