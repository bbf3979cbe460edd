"""Which rows of a statement are its trades: a header is known by its names, a section by its title."""

from __future__ import annotations

from collections.abc import Sequence

from apex_cli.core.adapters.files.executions.broker_words import HISTORY, KNOWN, LEAST, STATEMENT, Broker, broker_of
from apex_cli.core.text.cells import number, read_when
from apex_cli.core.text.text_table import FileHints, Row, Table, match_columns


def is_header(names: Sequence[str], hints: FileHints) -> bool:
    """Return True for a row that names the columns of a list of trades."""
    found = match_columns(names, KNOWN, hints)
    return all(field in found for field in LEAST) and not any(
        number(cell) is not None for cell in names if cell.strip()
    )


def statement_rows(rows: Sequence[Row]) -> tuple[Table, Broker, list[str]] | None:
    """Return the trades of an IB statement, whose rows say which section they belong to; None when it is none.

    Executions count where they are shown beside the orders they belong to, and the orders where they are not.
    """
    if len(rows) < 2 or not any(cells[1:2] == ["Header"] for _, cells in rows[:20]):  # noqa: PLR2004 - a header and a row
        return None
    header: list[str] = []
    names: dict[str, None] = {}
    records: list[tuple[int, dict[str, str]]] = []
    facts: list[str] = []
    section = ""
    for line, cells in rows:
        if cells[0] not in {"Trades", "Transaction History"}:
            if cells[:1] == ["Statement"] or cells[:1] == ["Account Information"]:
                facts.append(" ".join(cells[2:4]))
            continue
        if cells[1:2] == ["Header"]:
            header = [cell.strip() for cell in cells[2:]]
            section = cells[0]
            names.update(dict.fromkeys(header))
        elif cells[1:2] == ["Data"] and header:
            records.append((line, dict(zip(header, cells[2:], strict=False))))
    levels = {record.get("DataDiscriminator", "") for _, record in records}
    wanted = {"Trade", "Execution"} if levels & {"Trade", "Execution"} else {"Order", ""}
    kept = [
        Row(line, [record.get(name, "") for name in names])
        for line, record in records
        if record.get("DataDiscriminator", "") in wanted
    ]
    return Table(tuple(names), kept, delimiter=","), HISTORY if section == "Transaction History" else STATEMENT, facts


def section_of(rows: Sequence[Row], hints: FileHints) -> Table | None:
    """Return the part of a file that lists trades: from the row that names its columns to the end of that part.

    Where no row names all columns, the part under the row that names most of them is returned, to say what is missing.
    """
    best: tuple[int, int] | None = None
    for at, row in enumerate(rows):
        found = match_columns(row.cells, KNOWN, hints)
        rank = sum(field in found for field in LEAST)
        if is_header(row.cells, hints):
            rank += 2 if broker_of(row.cells) is not None else 1
        elif rank < 2:  # noqa: PLR2004 - one name alone may be a word
            continue
        if best is None or rank > best[1]:
            best = (at, rank)
    if best is None:
        return None
    at = best[0]
    header = rows[at].cells
    below: list[Row] = []
    for row in rows[at + 1 :]:
        if len([cell for cell in row.cells if cell.strip()]) == 1 and len(header) > 2 and _is_title(row.cells):  # noqa: PLR2004
            break
        below.append(row)
    return Table(tuple(header), below, above=rows[:at])


def _is_title(cells: Sequence[str]) -> bool:
    """Return True for a row of words alone: the title of the next part, or a remark below the list."""
    text = next(cell for cell in cells if cell.strip())
    return len(cells) < 3 and read_when(text, "mdy") is None and number(text) is None  # noqa: PLR2004 - a cell or two
