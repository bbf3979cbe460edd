"""Tables of any form as rows of text: compression, encoding, delimiter and lines around the table are detected.

``open_table`` takes the bytes of a text file, perhaps compressed, of a workbook (extra ``xlsx``), of a Parquet or
Arrow file (extra ``parquet``) or of a JSON document. It knows nothing of prices, signals or executions; which row names
the columns is asked of the caller, who knows the names.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from apex_cli.core.text.content import ARROW, PARQUET, ZIP, decoded, unpacked
from apex_cli.core.text.json_table import MAX_CELLS, json_table
from apex_cli.core.text.problems import Problems, unusable
from apex_cli.core.text.text_table import FindHeader, Row, Table
from apex_cli.core.text.workbooks import arrow_table, workbook_rows

DELIMITERS = ("\t", ";", ",", "|")
DELIMITER_NAMES = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", "": "none"}
SAMPLE_CHARACTERS = 65_536
SAMPLE_LINES = 60
WIDE = 12
"""Cells of a line beyond which more of them prove nothing more."""

_QUOTE_APART = r'^"[^"\n]*" +[,;|\t]"'
_SEPARATOR_LINE = r"\s*\"?sep=(.)\"?\s*"


def find_delimiter(text: str) -> str:
    """Return the sign that splits most lines of *text* into the same number of cells; empty when none does."""
    sample = _closed_quotes(text[:SAMPLE_CHARACTERS])
    first = sample.partition("\n")[0]
    if found := re.fullmatch(_SEPARATOR_LINE, first, re.IGNORECASE):
        return found[1]
    lines = [line for line in sample.splitlines()[:SAMPLE_LINES] if line.strip()]
    if len(text) > len(sample) and len(lines) > 1:
        lines.pop()
    scores = [(_evenness(lines, sign), -number, sign) for number, sign in enumerate(DELIMITERS)]
    best, _, sign = max(scores)
    return sign if best else ""


def _evenness(lines: Sequence[str], delimiter: str) -> int:
    """Return how much of *lines* falls into the most common number of cells, if that is more than one."""
    import csv

    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    widths: Counter[int] = Counter()
    try:
        widths.update(len(cells) for cells in rows if len(cells) > 1)
    except csv.Error:  # the sample may end inside quotes
        if not widths:
            return 0
    return max((count * min(width, WIDE) for width, count in widths.items()), default=0)


def _closed_quotes(text: str) -> str:
    """Return *text* without blanks between the quote that ends a cell and the delimiter, as Merrill writes them."""
    is_apart = re.search(_QUOTE_APART, text[:SAMPLE_CHARACTERS], re.MULTILINE)
    return re.sub(r'" +(?=[,;|\t\r\n])', '"', text) if is_apart else text


def split_rows(text: str, delimiter: str, name: str) -> Iterator[Row]:
    """Yield the rows of *text* that hold anything.

    Raises:
        InputError: a row is no row, such as one with a quote that never ends.
    """
    import csv

    if re.fullmatch(_SEPARATOR_LINE, text[:20].partition("\n")[0], re.IGNORECASE):
        text = "\n" + text.partition("\n")[2]
    text = _closed_quotes(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or ",", skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if len(cells) > MAX_CELLS:
                raise unusable(f"{name}:{reader.line_num}", f"has {len(cells)} cells, at most {MAX_CELLS} are read")
            if any(cells) and any(map(str.strip, cells)):
                yield Row(reader.line_num, cells)
    except csv.Error as error:
        raise unusable(f"{name}:{reader.line_num}", f"is no row of a table: {error}") from None


def open_table(content: bytes, name: str, find_header: FindHeader) -> Table:
    """Return the table in *content*.

    Raises:
        InputError: it is no table, or needs an extra that is not installed.
    """
    content = unpacked(content, name)
    if content.startswith(ZIP):
        return _headed(workbook_rows(content, name), find_header, kind="workbook")
    if content.startswith((PARQUET, ARROW)):
        return arrow_table(content, name)
    text, encoding = decoded(content, name)
    if text.lstrip()[:1] in {"{", "["}:
        return json_table(text, name)
    delimiter = find_delimiter(text)
    table = _headed(list(split_rows(text, delimiter, name)), find_header, kind="text")
    notes = tuple(
        note
        for note in (
            f"split by {DELIMITER_NAMES.get(delimiter, repr(delimiter))}" if delimiter not in {",", ""} else "",
            f"read as {encoding.upper()}" if encoding != "utf-8" else "",
        )
        if note
    )
    return table._replace(delimiter=delimiter, encoding=encoding, notes=(*notes, *table.notes))


def _headed(rows: list[Row], find_header: FindHeader, *, kind: str) -> Table:
    """Return the table whose header *find_header* finds among the first rows."""
    at = find_header(rows[:SAMPLE_LINES])
    if at is None:
        rows = [row for row in rows if len(row.cells) > 1 or not row.cells[0].startswith("#")]
        return Table((), rows, kind=kind, notes=("no header row",) if rows else ())
    notes = (f"{at} lines above the header",) if at else ()
    return Table(tuple(rows[at].cells), rows[at + 1 :], kind=kind, above=rows[:at], notes=notes)


def named_rows(
    text: str,
    name: str,
    needed: Sequence[str],
    problems: Problems,
    *,
    others: Sequence[str] | None = None,
    what: str = "row",
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each row of a CSV text with columns of our own stands, and its cells by column.

    Args:
        text: the table.
        name: what messages call it.
        needed: columns that it must have; without them nothing is yielded.
        problems: takes what is wrong with the header, rows with more cells than columns, and one that is no row.
        others: columns that it may have; None: any, which are left alone.
        what: what a row is of, for messages.
    """
    import csv

    delimiter = "," if "," in text.partition("\n")[0] else find_delimiter(text) or ","
    reader = csv.DictReader(text.splitlines(), restval="", delimiter=delimiter)
    try:
        found = reader.fieldnames = [column.strip().lower() for column in reader.fieldnames or ()]
        known = ", ".join((*needed, *(others or ())))
        if missing := [column for column in needed if column not in found]:
            verb = "needs" if others is None else "may have"
            problems.add(name, f"it lacks the columns {', '.join(missing)}; it {verb} {known}")
        elif others is not None and (strange := [column for column in found if column not in {*needed, *others}]):
            problems.add(name, f"no {what} has {', '.join(strange)}; it may have {known}")
        else:
            for row in reader:
                where = f"{name}:{reader.line_num}"
                if others is not None and None in row:
                    problems.add(where, "it has more cells than there are columns")
                else:
                    yield where, {column: (row[column] or "").strip() for column in found}
    except csv.Error as error:
        problems.add(f"{name}:{reader.line_num + 1}", f"it is no row of a table: {error}")
