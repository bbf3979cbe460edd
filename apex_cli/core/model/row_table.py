"""Rows of one kind as programs take them: a sequence, and a data frame where a library for those is installed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from apex_cli.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

RowT_co = TypeVar("RowT_co", bound=msgspec.Struct, covariant=True)


class Records(Sequence[RowT_co], Generic[RowT_co]):
    """Rows of one kind, in order. They are values: nothing changes them."""

    __slots__ = ("_kind", "_rows")

    def __init__(self, kind: type[RowT_co], rows: Sequence[RowT_co]) -> None:
        """Keep *rows* of *kind*; without rows the kind still names the columns."""
        self._kind = kind
        self._rows = rows

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> RowT_co: ...
    @overload
    def __getitem__(self, at: slice) -> Records[RowT_co]: ...
    def __getitem__(self, at: int | slice) -> RowT_co | Records[RowT_co]:
        """Return one row, or a part of them."""
        return Records(self._kind, self._rows[at]) if isinstance(at, slice) else self._rows[at]

    def __eq__(self, other: object) -> bool:
        """Return whether *other* has the same rows."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Return the same for equal rows."""
        return hash(tuple(self._rows))

    def __repr__(self) -> str:
        """Return the rows as they can be read."""
        shown = ", ".join(map(repr, self._rows[:3]))
        return f"<{len(self)} {self._kind.__name__}: {shown}{', ...' if len(self) > 3 else ''}>"  # noqa: PLR2004 - a few

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary for each row; prices and amounts stay ``Decimal``."""
        names = self._kind.__struct_fields__
        return [{name: getattr(row, name) for name in names} for row in self._rows]

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame: prices and amounts as floats, times with their zone.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - an extra
        except ImportError:
            raise _missing("pandas") from None
        return pd.DataFrame(self._columns())

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars data frame: prices and amounts as floats, times with their zone.

        Raises:
            ConfigError: polars is not installed.
        """
        try:
            import polars as pl  # noqa: PLC0415 - an extra
        except ImportError:
            raise _missing("polars") from None
        return pl.DataFrame(self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        names = self._kind.__struct_fields__
        return {name: [_cell(getattr(row, name)) for row in self._rows] for name in names}


def _cell(value: object) -> object:
    """Return *value* as a column of a data frame holds it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return {name: _cell(getattr(value, name)) for name in value.__struct_fields__}
    return [_cell(item) for item in value] if isinstance(value, tuple) else value


def _missing(library: str) -> ConfigError:
    return ConfigError("extra_missing", f"{library} is not installed.", hint=f"pip install {library}")
