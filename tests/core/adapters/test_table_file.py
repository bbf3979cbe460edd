"""Tables for other programs: exact, and harmless where a spreadsheet opens them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from apex_cli.core.adapters.table_file import Datum, TableFormat, harmless, table_bytes

NAMES = ("text", "number", "at", "day", "flag")
ROW: tuple[Datum, ...] = ("AAPL", Decimal("-1.50"), datetime(2026, 7, 6, 13, 30, tzinfo=UTC), date(2026, 7, 6), True)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1+1", "\uff0b1", "\uff20a",
        "x;=1+1", "x; =1", "x\t=1", "x\n=1", "=cmd|' /C calc'!A0", "a;b;-1",
    ],
)  # fmt: skip
def test_no_text_begins_like_a_formula_however_it_is_split(text: str) -> None:
    made = table_bytes(("a", "b"), [(text, Decimal(-5))], TableFormat.CSV).decode()
    ((_, number),) = list(csv.reader(io.StringIO(made)))[1:]
    assert number == "-5"
    for sign in ",;\t":
        for line in list(csv.reader(io.StringIO(made), delimiter=sign))[1:]:
            cells = [cell for cell in line if cell not in {"-5", '"'}]
            assert not any(
                cell.strip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff20")) for cell in cells
            )


@pytest.mark.parametrize("text", ["AAPL", "a=b", "x-1", "user@example.com", "", "1.5", "plain; text", "one\ntwo"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_a_workbook_takes_text_and_numbers_of_any_kind() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    rows = [
        ROW,
        ("=1+1", None, None, None, False),
        ("bell \x07", Decimal("1E+6"), ROW[2], None, None),
        ("x" * 40_000, 0, None, None, None),
    ]
    book = openpyxl.load_workbook(io.BytesIO(table_bytes(NAMES, rows, TableFormat.XLSX)))
    cells = [[cell.value for cell in row] for row in book.active.iter_rows()]
    assert cells[1][:2] == ["AAPL", -1.5]
    assert (cells[2][0], cells[3][0], cells[3][1]) == ("'=1+1", "bell \ufffd", 1_000_000)
    assert not [cell for row in book.active.iter_rows() for cell in row if cell.data_type == "f"]


def test_parquet_keeps_numbers_exact_whatever_their_places() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    numbers = [Decimal("0.00000001"), Decimal("123456789.5"), Decimal("1E+3"), None, Decimal("-0")]
    content = table_bytes(("n", "t"), [(each, None) for each in numbers], TableFormat.PARQUET)
    assert parquet.read_table(io.BytesIO(content)).column("n").to_pylist() == numbers
    assert parquet.read_table(io.BytesIO(table_bytes(NAMES, [], TableFormat.PARQUET))).column_names == list(NAMES)
