"""Files of executions: JSON, YAML, CSV, and the "Trades" section of an Interactive Brokers Flex report in XML.

One bad row refuses the file: a count over part of the trades would be wrong without saying so.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.files import execution_fields as fields
from apex_cli.core.adapters.files.execution_fields import MAX_FILE, invalid
from apex_cli.core.day_trades.imports import Report
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.money import Quantity

EXECUTION_FIELDS = ("time", "symbol", "sec_type", "side", "quantity", "exec_id", "order_id", "price")
REQUIRED = ("time", "symbol", "side", "quantity")
CSV_NAMES = {
    "datetime": "time",
    "assetclass": "sec_type",
    "assetcategory": "sec_type",
    "sectype": "sec_type",
    "buysell": "side",
    "ibexecid": "exec_id",
    "execid": "exec_id",
    "ibexecutionid": "exec_id",
    "iborderid": "order_id",
    "orderid": "order_id",
    "tradeprice": "price",
}
"""Columns of a Flex report saved as CSV, without blanks and signs, to ours; other columns are left alone."""


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, ``-`` for standard input.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    import sys

    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise invalid(str(path), f"cannot be read: {error.strerror}", "a file that can be read") from None
    if len(content) > MAX_FILE:
        raise invalid(str(path), f"is larger than {MAX_FILE // 1_000_000} MB", "a report of fewer days")
    return content


def as_text(content: bytes, name: str) -> str:
    """Return UTF-8 *content* as text.

    Raises:
        InputError: it is no UTF-8 text.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(name, f"is not UTF-8 at byte {error.start}", "text in UTF-8") from None
    if "\0" in text:
        raise invalid(name, "holds a NUL character: this is no text", "text in UTF-8")
    return text


def read_document(content: bytes, name: str) -> object:
    """Return a JSON or YAML document as plain values, fractions as Decimal.

    Raises:
        InputError: it is neither.
    """
    text = as_text(content, name)
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(text, parse_float=Decimal, parse_constant=str, object_pairs_hook=_once)
        except (ValueError, RecursionError, MemoryError, ArithmeticError) as error:
            if not name.lower().endswith((".yaml", ".yml")):
                raise invalid(name, f"is not valid JSON: {error}") from None
    from apex_cli.core.yaml_text import YamlProblem, parse_yaml

    try:
        return parse_yaml(text)
    except YamlProblem as problem:
        raise invalid(name, f"is not valid YAML: {problem}") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; a name that comes twice is an error."""
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{twice!r} is given twice")
    return result


def read_executions(content: bytes, name: str) -> Report:
    """Return what a file of executions tells.

    Raises:
        InputError: it cannot be read, or a row is wrong; the message names row and field.
    """
    head = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if head == b"<":
        from apex_cli.core.adapters.files.flex import read_flex

        return read_flex(as_text(content, name), name)
    if head in {b"{", b"["} or name.lower().endswith((".yaml", ".yml", ".json")):
        return _of_document(read_document(content, name), name)
    return Report(executions=_read_csv(as_text(content, name), name))


def _of_document(document: object, name: str) -> Report:
    """Return the executions of a list, or of a mapping with ``executions`` and perhaps ``start_positions``."""
    start: Mapping[str, Decimal] = {}
    if isinstance(document, Mapping):
        start = read_positions(document.get("start_positions"), f"{name}: start_positions")
        document = document.get("executions")
    if document is None:
        document = []
    if not isinstance(document, list):
        raise invalid(name, "holds no list of executions", "a list, or a mapping with executions")
    executions = execution_rows(document, f"{name}: executions")
    return Report(
        executions=with_start(executions, keyed_start(start, ((row.security, row.sec_type) for row in executions)))
    )


def read_positions(value: object, where: str) -> dict[str, Decimal]:
    """Return signed quantities by symbol.

    Raises:
        InputError: it is no mapping of symbols to numbers.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(where, f"found {fields.shown(value)}", "a mapping of symbols to signed quantities")
    return {
        fields.symbol(key, f"{where}.{key}"): fields.number(
            held, f"{where}.{key}", allow_zero=True, allow_negative=True
        )
        for key, held in value.items()
    }


def keyed_start(start: Mapping[str, Decimal], named: Iterable[tuple[str, SecType]]) -> dict[str, Decimal]:
    """Return *start* by security: a symbol that is *named* only as something else than a stock means that.

    Args:
        start: signed quantities by symbol or by security.
        named: securities with their kinds, as executions and order name them.
    """
    kinds: dict[str, set[SecType]] = {}
    securities: dict[str, str] = {}
    for security, kind in named:
        kinds.setdefault(security.partition("@")[0], set()).add(kind)
        securities[security.upper()] = security
    keyed: dict[str, Decimal] = {}
    for name, held in start.items():
        found = kinds.get(name, {SecType.STK})
        kind = SecType.STK if SecType.STK in found else min(found)
        keyed[securities.get(name) or fields.security_key(name, kind)] = held
    return keyed


def with_start(executions: Sequence[Execution], start: Mapping[str, Decimal]) -> tuple[Execution, ...]:
    """Return *executions* with what was held before them noted on the oldest one of each security in *start*."""
    oldest: dict[str, Execution] = {}
    for row in sorted(executions, key=lambda row: (row.filled_at, row.key)):
        oldest.setdefault(row.security, row)
    noted = {row.key: start[key] for key, row in oldest.items() if key in start}
    return tuple(replace(row, held_before=noted[row.key]) if row.key in noted else row for row in executions)


def execution_rows(rows: Sequence[object], where: str) -> tuple[Execution, ...]:
    """Return executions from mappings; rows without an id get one made from their content.

    Raises:
        InputError: a row is wrong; the message names its number and field.
    """
    seen: Counter[str] = Counter()
    executions: list[Execution] = []
    for number, row in enumerate(rows):
        at = f"{where}[{number}]"
        if not isinstance(row, Mapping):
            raise invalid(at, f"found {fields.shown(row)}", "a mapping")
        executions.append(_execution(row, at, seen))
    return tuple(executions)


def _execution(row: Mapping[Any, object], at: str, seen: Counter[str], *, is_flex_csv: bool = False) -> Execution:
    for name in row:
        if name not in EXECUTION_FIELDS:
            raise invalid(f"{at}.{name}", "unknown field", ", ".join(EXECUTION_FIELDS))
    for name in REQUIRED:
        if is_absent(row.get(name)):
            raise invalid(f"{at}.{name}", "is missing", ", ".join(REQUIRED))
    given = row.get("sec_type")
    kind = fields.sec_type(SecType.STK.value if is_absent(given) else given, f"{at}.sec_type")
    name = fields.symbol(row["symbol"], f"{at}.symbol")
    when = row["time"]
    filled_at = (
        fields.flex_moment(str(when), f"{at}.time")
        if is_flex_csv and ";" in str(when)
        else fields.moment(when, f"{at}.time")
    )
    quantity = fields.number(row["quantity"], f"{at}.quantity", allow_negative=is_flex_csv)
    side = fields.side(row["side"], f"{at}.side")
    if not is_flex_csv and not is_absent(row.get("price")):
        fields.number(row["price"], f"{at}.price", allow_zero=True, allow_negative=True)
    exec_id = fields.name(row.get("exec_id"), f"{at}.exec_id")
    if not exec_id:
        content = f"{filled_at.isoformat()} {name} {kind} {side} {quantity.normalize()}"
        seen[content] += 1
        exec_id = "row-" + hashlib.sha256(f"{content} {seen[content]}".encode()).hexdigest()[:24]
    return Execution(
        exec_id=exec_id,
        security=fields.security_key(name, kind),
        sec_type=kind,
        side=side,
        quantity=Quantity(abs(quantity)),
        filled_at=filled_at,
        order_id=fields.name(row.get("order_id"), f"{at}.order_id"),
    )


def is_absent(value: object) -> bool:
    """Tell whether a row leaves a field out, or gives it empty."""
    return value is None or value == ""


def _read_csv(text: str, name: str) -> tuple[Execution, ...]:
    """Return the rows under a header with our names, or those of a Flex report."""
    reader = csv.reader(StringIO(text), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise invalid(f"{name}:{reader.line_num}", f"is not valid CSV: {error}") from None
    if not lines:
        return ()
    header = [_column(cell) for cell in lines[0][1]]
    is_flex = not {cell.strip().lower() for cell in lines[0][1]} & {"time", "exec_id"}
    if missing := [column for column in REQUIRED if column not in header]:
        raise invalid(f"{name}:1", f"missing column {', '.join(missing)}", ", ".join(EXECUTION_FIELDS))
    if twice := [column for column, found in Counter(header).items() if found > 1 and column in EXECUTION_FIELDS]:
        raise invalid(f"{name}:1", f"column {twice[0]} is given twice")
    if not is_flex and (unknown := [column for column in header if column not in EXECUTION_FIELDS]):
        raise invalid(f"{name}:1", f"unknown column {fields.shown(unknown[0])}", ", ".join(EXECUTION_FIELDS))
    seen: Counter[str] = Counter()
    executions: list[Execution] = []
    for line, cells in lines[1:]:
        if len(cells) > len(header):
            raise invalid(f"{name}:{line}", f"{len(cells)} cells under {len(header)} columns")
        row = {column: cell.strip() for column, cell in zip(header, cells, strict=False) if column in EXECUTION_FIELDS}
        executions.append(_execution(dict(row), f"{name}:{line}", seen, is_flex_csv=is_flex))
    return tuple(executions)


def _column(cell: str) -> str:
    """Return our name of a column; one that is not ours in small letters."""
    name = cell.strip().lower()
    if name in EXECUTION_FIELDS:
        return name
    return CSV_NAMES.get("".join(letter for letter in name if letter.isalnum()), name)
