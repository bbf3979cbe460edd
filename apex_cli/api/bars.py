"""Bars from programs: folders and files, data frames, records. The reader of price files reads them all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from apex_cli.core.errors import InputError
from apex_cli.core.model.market import Bar

BarsLike: TypeAlias = Any
"""Where bars may come from, one of:

- the path of a folder with one file a symbol, or of one such file;
- a pandas or polars data frame with the columns date, open, high, low, close, perhaps volume, and symbol;
- a mapping of symbols to such frames, or to records;
- records: mappings with those keys, or ``Bar`` values.

Times follow the rules of price files: a date alone is a session, a time without a zone is New York's for stocks.
"""

NAMELESS = "bars"
"""Name of a file that holds its symbols in a column."""

BAR_FIELDS = ("symbol", "start", "open", "high", "low", "close", "volume")
SYMBOLS = frozenset({"symbol", "ticker"})


@contextmanager
def bars_folder(bars: BarsLike) -> Iterator[Path]:
    """Lend a folder of price files with *bars*; what is not there already is written for as long as the block takes.

    Raises:
        InputError: they are none, or say not which symbol they are of.
    """
    if isinstance(bars, str | Path) and not Path(bars).is_file():
        yield Path(bars).absolute()
        return
    with TemporaryDirectory(prefix="apex-bars-") as place:
        folder = Path(place)
        if isinstance(bars, str | Path):
            path = Path(bars).absolute()
            folder.joinpath(path.name).symlink_to(path)
        elif isinstance(bars, Mapping) and not _is_frame(bars):
            for symbol, own in bars.items():
                _write(folder / f"{_file_name(symbol)}.csv", own, has_symbol=True)
        else:
            _write(folder / f"{NAMELESS}.csv", bars, has_symbol=False)
        try:
            yield folder
        except InputError as error:
            message = error.message.replace(f"{folder}{os.sep}", "").replace(str(folder), "the bars")
            raise InputError(error.code, message, hint=error.hint, details=error.details) from None


def _file_name(symbol: object) -> str:
    """Return the name of the file of *symbol*."""
    name = str(symbol).strip().replace("/", "-")
    if not name or name[0] in "._~" or len(name) > 60 or not name.isprintable() or "\\" in name:  # noqa: PLR2004 - of a name
        raise _unusable(f"{symbol!r} is no symbol", "Name each frame by its ticker.")
    return name


def _write(path: Path, bars: BarsLike, *, has_symbol: bool) -> None:
    if _is_pandas(bars):
        _require_symbol(_pandas_names(bars), has_symbol=has_symbol)
        bars.to_csv(path, index=not _is_counted(bars))
    elif _is_polars(bars):
        _require_symbol(bars.columns, has_symbol=has_symbol)
        bars.write_csv(path)
    elif isinstance(bars, Iterable) and not isinstance(bars, str | bytes):
        _write_records(path, bars, has_symbol=has_symbol)
    else:
        raise _unusable(f"{type(bars).__name__} holds no bars", "Give a folder, a data frame, or records.")


def _write_records(path: Path, bars: Iterable[Any], *, has_symbol: bool) -> None:
    rows = [_row(each) for each in bars]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        raise _unusable("there is not one bar", "Give at least one.")
    _require_symbol(names, has_symbol=has_symbol)
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.DictWriter(stream, names)
        out.writeheader()
        out.writerows(rows)


def _row(bar: Any) -> dict[str, Any]:  # noqa: ANN401 - anybody's record
    if isinstance(bar, Bar):
        bar = {name: getattr(bar, name) for name in BAR_FIELDS}
        bar["date"] = bar.pop("start")
    if not isinstance(bar, Mapping):
        raise _unusable(f"{type(bar).__name__} is no bar", "Give mappings with date, open, high, low, close.")
    return {str(name): value.isoformat() if isinstance(value, datetime) else value for name, value in bar.items()}


def _require_symbol(names: Iterable[object], *, has_symbol: bool) -> None:
    if not has_symbol and SYMBOLS.isdisjoint({str(name).lower() for name in names}):
        raise _unusable("the bars do not say which symbol they are of", 'Give {"AAPL": bars}, or add a column symbol.')


def _pandas_names(frame: Any) -> list[object]:  # noqa: ANN401 - pandas has no types here
    """Return every name that a column or a level of a frame goes by."""
    levels = [*frame.columns.names, *frame.index.names]
    return [*levels, *(part for name in frame.columns for part in (name if isinstance(name, tuple) else (name,)))]


def _is_counted(frame: Any) -> bool:  # noqa: ANN401 - pandas has no types here
    """Return whether the index of a frame is nothing but a count."""
    return frame.index.nlevels == 1 and type(frame.index).__name__ == "RangeIndex"


def _is_frame(bars: object) -> bool:
    return _is_pandas(bars) or _is_polars(bars)


def _is_pandas(bars: object) -> bool:
    return type(bars).__module__.partition(".")[0] == "pandas" and hasattr(bars, "columns")


def _is_polars(bars: object) -> bool:
    return type(bars).__module__.partition(".")[0] == "polars" and hasattr(bars, "columns")


def _unusable(what: str, hint: str) -> InputError:
    return InputError("bars_invalid", f"These bars cannot be used: {what}.", hint=hint)
