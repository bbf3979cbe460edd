"""Writes a table as CSV, JSON, Parquet or a workbook; no cell of text can act as a formula where it is opened."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.errors import InputError, install_command

Datum = str | int | bool | Decimal | date | datetime | None
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")
"""Where a cell begins that a spreadsheet takes for a formula, also where it splits text at a semicolon or a tab."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Signs that no workbook may hold."""


class TableFormat(StrEnum):
    """How a table is written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    XLSX = "xlsx"


def table_bytes(names: Sequence[str], rows: Sequence[Sequence[Datum]], form: TableFormat) -> bytes:
    """Return the table as *form*.

    Raises:
        InputError: the extra that writes it is not installed.
    """
    match form:
        case TableFormat.CSV:
            return _csv(names, rows)
        case TableFormat.JSON:
            return json.dumps(records(names, rows), indent=2, ensure_ascii=False).encode() + b"\n"
        case TableFormat.PARQUET:
            return _parquet(names, rows)
        case TableFormat.XLSX:
            return _xlsx(names, rows)


def harmless(text: str) -> str:
    """Return *text* so that no spreadsheet takes it for a formula.

    >>> harmless("=HYPERLINK(1)"), harmless("-2+3"), harmless("AAPL"), harmless("a; =1+1")
    ("'=HYPERLINK(1)", "'-2+3", 'AAPL', "a;' =1+1")
    """
    return _FORMULA.sub(r"\1'", text)


def records(names: Sequence[str], rows: Sequence[Sequence[Datum]]) -> list[dict[str, str | int | bool | None]]:
    """Return the rows as JSON takes them: numbers and times as text, exact."""
    return [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in rows]


def _plain(value: Datum) -> str | int | bool | None:
    if value is None or isinstance(value, bool | int | str):
        return value
    return f"{value:f}" if isinstance(value, Decimal) else value.isoformat()


def _csv(names: Sequence[str], rows: Sequence[Sequence[Datum]]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return target.getvalue().encode()


def _csv_cell(value: Datum) -> str:
    if isinstance(value, str):
        return harmless(value.replace("\r\n", "\n").replace("\r", "\n"))
    plain = _plain(value)
    return "" if plain is None else str(plain).lower() if isinstance(plain, bool) else str(plain)


def _parquet(names: Sequence[str], rows: Sequence[Sequence[Datum]]) -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise _missing("parquet") from None
    columns = {name: pa.array([row[at] for row in rows]) for at, name in enumerate(names)}
    target = io.BytesIO()
    parquet.write_table(pa.table(columns), target)
    return target.getvalue()


def _xlsx(names: Sequence[str], rows: Sequence[Sequence[Datum]]) -> bytes:
    try:
        from openpyxl import Workbook
    except ImportError:
        raise _missing("xlsx") from None
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(list(names))
    for row in rows:
        sheet.append([_xlsx_cell(value) for value in row])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _xlsx_cell(value: Datum) -> Datum:
    """Return a value as a workbook takes it: times in UTC without a zone, which workbooks do not know."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    return harmless(_CONTROLS.sub("\ufffd", value)) if isinstance(value, str) else value


def _missing(extra: str) -> InputError:
    return InputError(
        "extra_missing", f"Writing {extra} needs an extra.", hint=f"{install_command(extra)}, or --format csv."
    )
