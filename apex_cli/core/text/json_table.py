"""Records in a JSON document, as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from apex_cli.core.text.problems import shown, unusable
from apex_cli.core.text.text_table import Row, Table, plain_name

MAX_CELLS = 2000
"""Most columns of a table."""

LEAST_COLUMNS = 4
"""Fewer columns side by side may be anything."""


def json_table(text: str, name: str) -> Table:
    """Return the records in a JSON document, wherever they stand in it.

    Raises:
        InputError: it is no JSON, or holds no list of records.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines[:3]):
        return records_table([_document(line, f"{name}:{at}") for at, line in enumerate(lines, start=1)], name)
    return records_table(find_records(_document(text, name)), name)


def _document(text: str, name: str) -> object:
    from apex_cli.core.text.json_text import parse_json

    try:
        return parse_json(text, dict)
    except ValueError as error:
        raise unusable(name, f"is not valid JSON: {error}") from None


def find_records(document: object, *, depth: int = 4) -> list[Any]:
    """Return the longest list of records in a document: mappings, or lists of one length.

    Facts beside the list, such as the symbol it is of, are put into every record that does not have them.
    """
    if isinstance(document, list):
        kinds = {type(item) for item in document}
        return document if (document and kinds <= {dict}) or kinds == {list} else []
    if not isinstance(document, dict) or not depth:
        return []
    if record := _by_key(document) or _of_pandas(document):
        return record
    if columns := _by_column(document):
        return columns
    found: list[Any] = []
    for key, value in document.items():
        if isinstance(value, dict | list):
            inner = find_records(value, depth=depth - 1)
            if inner and isinstance(value, list) and _is_group(document) and isinstance(inner[0], dict):
                found.extend({"symbol": key, **item} for item in inner)
            elif len(inner) > len(found):
                found = inner
    facts = _facts(document)
    return [{**facts, **item} if isinstance(item, dict) else item for item in found] if facts else found


def _is_group(document: Mapping[str, object]) -> bool:
    """Return True for a mapping of symbols to lists of records."""
    return all(
        isinstance(value, list) and re.fullmatch(r"[A-Z][A-Z0-9./-]{0,14}", key) for key, value in document.items()
    )


def _by_key(document: Mapping[str, object]) -> list[Any]:
    """Return records that stand under their dates."""
    values = list(document.values())
    if not values or not all(isinstance(value, dict) for value in values):
        return []
    if not all(re.match(r"\d{4}-\d{2}-\d{2}|(?:\d{10}|\d{13})$", key) for key in document):
        return []
    return [{"date": key, **value} for key, value in document.items() if isinstance(value, dict)]


def _of_pandas(document: Mapping[str, object]) -> list[Any]:
    """Return records of ``DataFrame.to_json()``: by column, its default, or with ``orient`` ``split`` and ``table``.

    Nasdaq Data Link has names and rows apart like ``split``, too, without an index.

    Source: https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html,
    https://docs.data.nasdaq.com/docs/in-depth-usage-1 and https://docs.data.nasdaq.com/docs/tables-1.
    """
    match document:
        case {"schema": dict(), "data": list(rows)}:
            return rows
        case {"columns": list(names), "index": list(index), "data": list(rows)} if len(index) == len(rows):
            pairs = zip(index, rows, strict=True)
            return [{"index": at, **dict(zip(names, row, strict=False))} for at, row in pairs if isinstance(row, list)]
        case {"columns": list(names), "data": list(rows)} | {"column_names": list(names), "data": list(rows)}:
            named = [str(name.get("name", "")) if isinstance(name, dict) else str(name) for name in names]
            return [dict(zip(named, row, strict=False)) for row in rows if isinstance(row, list)]
    columns = [value for value in document.values() if isinstance(value, dict) and value]
    keys = list(columns[0]) if columns else []
    is_index = all(re.fullmatch(r"\d+|\d{4}-\d{2}-\d{2}.*", key) for key in keys)
    if len(columns) < len(document) or len(columns) < LEAST_COLUMNS or not is_index:
        return []
    if any(list(column) != keys for column in columns):
        return []
    return [
        {"index": key, **{name: column[key] for name, column in zip(document, columns, strict=True)}} for key in keys
    ]


def _by_column(document: Mapping[str, object]) -> list[Any]:
    """Return records from columns of one length, as charts are sent: also those in lists inside."""
    columns: dict[str, list[object]] = {}
    for name, value in _flat_lists(document):
        if value and not any(isinstance(item, dict | list) for item in value):
            columns.setdefault(name, value)
    lengths = {len(value) for value in columns.values()}
    if len(columns) < LEAST_COLUMNS or len(lengths) != 1:
        return []
    return [dict(zip(columns, items, strict=True)) for items in zip(*columns.values(), strict=True)]


def _flat_lists(document: Mapping[str, object], depth: int = 3) -> Iterator[tuple[str, list[object]]]:
    for name, value in document.items():
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and depth:
            yield from _flat_lists(value[0], depth - 1)
        elif isinstance(value, list):
            yield name, value
        elif isinstance(value, dict) and depth:
            yield from _flat_lists(value, depth - 1)


def _facts(document: Mapping[str, object]) -> dict[str, object]:
    """Return the symbol that a document names beside its records."""
    for name, value in document.items():
        if plain_name(name) in {"symbol", "ticker"} and isinstance(value, str) and value:
            return {"symbol": value}
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and (inner := _facts(value[0])):
            return inner
        if isinstance(value, dict) and plain_name(name) in {"metadata", "meta", "chart"} and (inner := _facts(value)):
            return inner
    return {}


def records_table(records: Sequence[object], name: str) -> Table:
    """Return a table of *records*: mappings with names of their own, or lists without.

    Raises:
        InputError: there is none.
    """
    if records and all(isinstance(record, list) for record in records):
        rows = [
            Row(at, [_json_text(cell) for cell in record])
            for at, record in enumerate(records, start=1)
            if isinstance(record, list)
        ]
        return Table((), rows, kind="json", encoding="utf-8", notes=("JSON without names of columns",))
    names: dict[str, None] = {}
    records = [_with_inner(record) for record in records]
    for record in records:
        if not isinstance(record, dict):
            raise unusable(name, f"holds {shown(record)} where a record was expected")
        names.update(dict.fromkeys(islice(map(str, record), MAX_CELLS)))
        if len(names) > MAX_CELLS:
            raise unusable(name, f"has records with more than {MAX_CELLS} names")
    if not names:
        raise unusable(name, "is JSON without a list of records")
    rows = [
        Row(at, [_json_text(record.get(column)) for column in names])
        for at, record in enumerate(records, start=1)
        if isinstance(record, dict)
    ]
    return Table(tuple(names), rows, kind="json", encoding="utf-8", notes=("JSON",))


def _with_inner(record: object) -> object:
    """Return a record with the only record inside it on its own level: prices of Oanda stand in ``mid``."""
    inner = [value for value in record.values() if isinstance(value, dict)] if isinstance(record, dict) else []
    return {**inner[0], **record} if len(inner) == 1 and isinstance(record, dict) else record


def _json_text(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
