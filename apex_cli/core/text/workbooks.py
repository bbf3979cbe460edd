"""Sheets of a workbook (extra ``xlsx``), and Parquet or Arrow files (extra ``parquet``), as rows of text."""

from __future__ import annotations

import io
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from apex_cli.core.errors import InputError, install_command
from apex_cli.core.text.content import PARQUET, refuse_large
from apex_cli.core.text.json_table import MAX_CELLS
from apex_cli.core.text.problems import unusable
from apex_cli.core.text.text_table import Row, Table


def workbook_rows(content: bytes, name: str) -> list[Row]:
    """Return the rows of the first sheet of an Excel workbook that holds anything.

    Raises:
        InputError: it is no workbook, or the extra is not installed.
    """
    import zipfile

    try:
        from openpyxl import load_workbook
    except ImportError:
        raise unusable(name, "is an Excel workbook", f"{install_command('xlsx')}, or save it as CSV.") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
        refuse_large(size, len(content), name)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        for one in book.worksheets:
            rows = [
                Row(line, [_shown_text(cell.value, cell) for cell in cells[:MAX_CELLS]])
                for line, cells in enumerate(one.iter_rows(), start=1)
                if any(cell.value is not None and cell.value != "" for cell in cells)
            ]
            if rows:
                return rows
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises whatever its parsers raise
        raise unusable(name, f"is no sound Excel workbook: {type(error).__name__}", "Save it as CSV.") from None
    return []


def _shown_text(value: object, cell: Any) -> str:
    """Return a typed cell as text, with the 15 digits that Excel has; 0.05 is ``5%`` where a percentage is shown.

    Source: "Number precision: 15 digits", Excel specifications and limits, support.microsoft.com.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _cell_text(value)
    number = Decimal(f"{value:.15g}") if isinstance(value, float) else Decimal(value)
    if "%" in (cell.number_format or ""):
        return f"{(number * 100).normalize():f}%"
    return f"{number:f}"


def _cell_text(value: object) -> str:
    """Return a typed cell as text that is read back to the same value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def arrow_table(content: bytes, name: str) -> Table:
    """Return the table of a Parquet or Arrow file; its pandas index becomes a column.

    Raises:
        InputError: it is damaged, or the extra is not installed.
    """
    kind = "parquet" if content.startswith(PARQUET) else "arrow"
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError:
        raise unusable(name, f"is a {kind.title()} file", f"{install_command('parquet')}, or save it as CSV.") from None
    try:
        source = pa.BufferReader(content)
        table = parquet.read_table(source) if kind == "parquet" else feather.read_table(source, memory_map=False)
        columns = [[_cell_text(value) for value in column.to_pylist()] for column in table.columns]
        names = tuple(str(column) for column in table.column_names)
    except Exception as error:  # noqa: BLE001 - the library raises whatever its parsers raise
        raise unusable(name, f"is no sound {kind.title()} file: {type(error).__name__}") from None
    names = tuple("" if re.fullmatch(r"__index_level_\d+__", column) else column for column in names)
    rows = [Row(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1)]
    return Table(names, rows, kind=kind, notes=(f"{kind} file",))
