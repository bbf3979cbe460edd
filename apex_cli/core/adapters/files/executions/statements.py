"""Which rows of a statement are its trades: a header is known by its names, a section by its title."""

from __future__ import annotations

from collections.abc import Sequence

from apex_cli.core.adapters.files.executions.broker_words import HISTORY, KNOWN, LEAST, STATEMENT, Broker, broker_of
from apex_cli.core.text.cells import number, read_when
from apex_cli.core.text.text_table import FileHints, Row, Table, match_columns

LEVEL = "DataDiscriminator"
EXECUTED = {"Trade", "Execution"}
TITLES = {"Trades", "Transaction History"}


def is_header(names: Sequence[str], hints: FileHints) -> bool:
    """Return True for a row that names the columns of a list of trades."""
    found = match_columns(names, KNOWN, hints)
    return all(field in found for field in LEAST) and not any(
        number(cell) is not None for cell in names if cell.strip()
    )


def statement_rows(rows: Sequence[Row]) -> tuple[Table, Broker, list[str]] | None:
    """Return the trades of an IB statement, whose rows say which section they belong to; None when it is none.

    The trades of a statement in another language are known by the column DataDiscriminator, which has this name in
    all of them, as have ``Order``, ``Trade`` and ``Execution`` below it. Executions count where they are shown beside
    the orders they belong to, and the orders where they are not.
    """
    if len(rows) < 2 or not any(cells[1:2] == ["Header"] for _, cells in rows[:20]):  # noqa: PLR2004 - a header and a row
        return None
    header: list[str] = []
    names: dict[str, None] = {}
    records: list[tuple[int, dict[str, str]]] = []
    facts: list[str] = []
    section, is_read = "", False
    for line, cells in rows:
        if cells[:1] == ["Statement"] or cells[:1] == ["Account Information"]:
            facts.append(" ".join(cells[2:4]))
        elif cells[1:2] == ["Header"]:
            is_trades = cells[0] in TITLES or cells[2:3] == [LEVEL]
            header = [cell.strip() for cell in cells[2:]] if is_trades else []
            is_read = _names_trades(header)
            section = cells[0] if is_trades else section
        elif cells[1:2] == ["Data"] and header and (cells[0] in TITLES or cells[2] in EXECUTED | {"Order"}):
            if not is_read:
                header = _in_english(header, cells[2:])
                is_read = _names_trades(header)
            names.update(dict.fromkeys(header))
            records.append((line, dict(zip(header, cells[2:], strict=False))))
    levels = {record.get(LEVEL, "") for _, record in records}
    wanted = EXECUTED if levels & EXECUTED else {"Order", ""}
    kept = [
        Row(line, [record.get(name, "") for name in names])
        for line, record in records
        if record.get(LEVEL, "") in wanted
    ]
    return Table(tuple(names), kept, delimiter=","), HISTORY if section == "Transaction History" else STATEMENT, facts


def _in_english(header: list[str], cells: Sequence[str]) -> list[str]:
    """Return the names of the columns of trades in English, by where they stand: they do so alike in all languages.

    Kind of security, currency, perhaps the account, symbol, time, perhaps the exchange, quantity; codes at the end.
    """
    when = next((at for at, cell in enumerate(cells) if (time := read_when(cell)) and time.clock is not None), 0)
    quantity = next((at for at in range(when + 1, len(cells)) if number(cells[at]) is not None), 0)
    if when < 4 or not quantity:  # noqa: PLR2004 - level, kind, currency and symbol stand before the time
        return header
    names = {0: LEVEL, 1: "Asset Category", when - 2: "Account", when - 1: "Symbol", when: "Date/Time"}
    names |= {2: "Currency", quantity: "Quantity", len(header) - 1: "Code"}
    return [names.get(at, f"column {at}") for at in range(len(header))]


def _names_trades(header: Sequence[str]) -> bool:
    found = match_columns(header, KNOWN, FileHints())
    return all(name in found for name in ("time", "symbol", "quantity"))


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
