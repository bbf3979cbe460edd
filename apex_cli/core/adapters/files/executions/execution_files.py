"""Files of executions: Flex reports, lists of brokers, and JSON, YAML or CSV with our own names.

One bad row refuses the file: a count over part of the trades would be wrong without saying so.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.files.executions import execution_fields as fields
from apex_cli.core.adapters.files.executions.execution_fields import MAX_FILE
from apex_cli.core.adapters.files.executions.trade_order import row_id
from apex_cli.core.adapters.files.named_file import read_named
from apex_cli.core.day_trades.imports import Report, with_start
from apex_cli.core.errors import InputError
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.money import Quantity
from apex_cli.core.text.cells import read_when
from apex_cli.core.text.content import decoded, unpacked
from apex_cli.core.text.json_text import parse_json
from apex_cli.core.text.problems import Problems, invalid, shown
from apex_cli.core.text.table_reader import find_delimiter, split_rows
from apex_cli.core.text.text_table import FileHints, Row, Table, plain_name
from apex_cli.core.text.workbooks import workbook_rows
from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml

EXECUTION_FIELDS = (
    "time",
    "symbol",
    "sec_type",
    "side",
    "quantity",
    "exec_id",
    "order_id",
    "price",
    "currency",
    "con_id",
)
OF_A_FILL = ("time", "quantity", "price", "status")
"""What a fill has of its own, whatever the order above it says."""

READ_FIELDS: fields.Fields = {
    "sec_type": (fields.sec_type, SecType.STK),
    "symbol": (fields.symbol, fields.REQUIRED),
    "time": (fields.moment, fields.REQUIRED),
    "quantity": (fields.positive, fields.REQUIRED),
    "side": (fields.side, fields.REQUIRED),
    "price": (fields.amount, None),
    "exec_id": (fields.name, ""),
    "order_id": (fields.name, ""),
}


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, ``-`` for standard input.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    try:
        return read_named(path, MAX_FILE)
    except OSError as error:
        allowed = "a report of fewer days" if error.errno == errno.EFBIG else "a file that can be read"
        raise invalid(str(path), f"cannot be read: {error.strerror}", allowed) from None


def as_text(content: bytes, name: str) -> str:
    """Return *content* as text, whichever way it is encoded.

    Raises:
        InputError: it is no text.
    """
    try:
        return decoded(content, name)[0]
    except InputError as error:
        raise invalid(name, error.message.removeprefix(f"{name} ").removesuffix("."), "text in UTF-8") from None


def read_document(content: bytes | str, name: str) -> object:
    """Return a JSON or YAML document as plain values, fractions as Decimal.

    Raises:
        InputError: it is neither.
    """
    text = as_text(content, name) if isinstance(content, bytes) else content
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return parse_json(text)
        except ValueError as error:
            if not name.lower().endswith((".yaml", ".yml")):
                raise invalid(name, f"is not valid JSON: {error}") from None
    try:
        return parse_yaml(text)
    except YamlProblem as problem:
        raise invalid(name, f"is not valid YAML: {problem}") from None


def read_executions(content: bytes, name: str, hints: FileHints | None = None, account: str = "") -> Report:
    """Return what a file of executions reports: a Flex report, a list of a broker, or rows with our own names.

    *name* is what messages call it; *account* is the one that counts, where the file holds several.

    Raises:
        InputError: it cannot be read, is ambiguous, has wrong rows, or holds nothing that counts.
    """
    hints = hints or FileHints(section="executions")
    content = unpacked(content, name)
    if content.startswith(b"PK\x03\x04"):
        return _read_rows(workbook_rows(content, name), "", name, hints, account)
    text = as_text(content, name)
    head = text.lstrip()[:1]
    if head == "<":
        from apex_cli.core.adapters.files.executions.flex import flex_report, read_xml

        return flex_report(read_xml(text, name), name, hints, account)
    if head in {"{", "["} or name.lower().endswith((".yaml", ".yml", ".json")):
        return _of_document(read_document(text, name), name, hints, account)
    if not head:
        raise fields.nothing_countable(name, {})
    delimiter = find_delimiter(text)
    return _read_rows(list(split_rows(text, delimiter, name)), delimiter, name, hints, account)


def _read_rows(rows: list[Row], delimiter: str, name: str, hints: FileHints, account: str) -> Report:
    """Return the trades in rows of cells, whoever wrote them."""
    from apex_cli.core.adapters.files.executions import broker_exports, flex, statements

    if statement := statements.statement_rows(rows):
        table, broker, facts = statement
        if not table.names:
            raise fields.nothing_countable(name, {"section of trades": 0})
        report = broker_exports.read_broker_table(table, name, hints, broker=broker, account=account)
        return _with_period(report, facts)
    found = flex.find_section(rows, name)
    if found is not None:
        return flex.flex_report(found, name, hints, account)
    section_found = statements.section_of(rows, hints)
    listed = section_found or Table(tuple(rows[0].cells) if rows else (), rows[1:])
    return broker_exports.read_broker_table(listed._replace(delimiter=delimiter), name, hints, account=account)


def _with_period(report: Report, facts: Sequence[str]) -> Report:
    """Return *report* with the days that an IB statement says it covers: ``Period March 1, 2026 - March 13, 2026``."""
    text = next((fact.partition(" ")[2] for fact in facts if fact.startswith("Period ")), "")
    whens = [read_when(part) for part in text.split(" - ")]
    days = [when.day for when in whens if when]
    return replace(report, since=days[0], until=days[-1]) if days and len(days) == len(whens) else report


def _of_document(document: object, name: str, hints: FileHints, account: str) -> Report:
    """Return the executions of a list, of a mapping with ``executions``, or of a broker's document."""
    rows = document.get("executions") if isinstance(document, Mapping) else document
    if (isinstance(document, Mapping) and "executions" not in document) or _is_foreign(rows):
        return _of_records(document, name, hints, account)
    start: Mapping[str, Decimal] = {}
    if isinstance(document, Mapping):
        start = read_positions(document.get("start_positions"), f"{name}: start_positions")
    if rows is None:
        rows = []
    if not isinstance(rows, list):
        raise invalid(name, "holds no list of executions", "a list, or a mapping with executions")
    executions = execution_rows(rows, f"{name}: executions")
    if not executions:
        raise fields.nothing_countable(name, {})
    return Report(
        executions=with_start(executions, keyed_start(start, ((row.security, row.sec_type) for row in executions))),
        source="executions",
    )


def _is_foreign(rows: object) -> bool:
    """Return True for records without our time and id, or most of whose names are not ours."""
    first = rows[0] if isinstance(rows, list) and rows else None
    if not isinstance(first, Mapping) or not first:
        return False
    ours = set(first) & set(EXECUTION_FIELDS)
    return not ours & {"time", "exec_id"} or len(ours) * 2 < len(first)


def _of_records(document: object, name: str, hints: FileHints, account: str) -> Report:
    from apex_cli.core.adapters.files.executions import broker_exports
    from apex_cli.core.text.json_table import find_records, records_table

    found = find_records(_text_keys(document))
    records = [flat for record in found if isinstance(record, dict) for flat in _legs(record)]
    if not records:
        raise invalid(name, "holds no list of executions", "a list, or a mapping with executions")
    return broker_exports.read_broker_table(records_table(records, name), name, hints, account=account)


def _text_keys(document: object) -> object:
    """Return a document whose names are text: in YAML a name may be a number, or nothing."""
    if isinstance(document, list):
        return [_text_keys(item) for item in document]
    return {str(key): _text_keys(value) for key, value in document.items()} if isinstance(document, dict) else document


def _legs(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield an order and those inside it: orders of their own such as its target, or its legs or fills."""
    if fills := list(_fills(record)):
        yield from fills
        return
    legs = next((value for key, value in record.items() if key.lower() == "legs" and isinstance(value, list)), [])
    inner = [leg for leg in legs if isinstance(leg, dict)]
    parent = _flat({key: value for key, value in record.items() if key.lower() != "legs"})
    is_order = any(key.lower() in {"symbol", "side"} and value for key, value in parent.items())
    if is_order or not inner:
        yield parent
    for leg in inner:
        yield from _legs(leg) if is_order else (_flat({**parent, **leg}),)


def _fills(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the fills inside an order, each with what the order and the leg that it names say of it.

    Source: ``orderActivityCollection`` of an order, Trader API of Schwab, https://developer.schwab.com.
    """
    lists = [value for value in order.values() if isinstance(value, list) and all(isinstance(v, dict) for v in value)]
    inner = [item for items in lists for item in items]
    fills = [item for item in inner if _is_fill(item)]
    fills += [fill for item in inner if item not in fills for fill in _fills(item)]
    said = {key: value for key, value in order.items() if value not in lists and not _names(key, *OF_A_FILL)}
    for fill in fills:
        leg: dict[str, Any] = next(
            (item for item in inner if "legId" in item and item["legId"] == fill.get("legId")), {}
        )
        yield {**said, **_flat(leg), **{_likeliest(key): value for key, value in fill.items()}}


def _is_fill(record: Mapping[str, Any]) -> bool:
    """Return True for a time and a quantity whose security and side stand in the order above it."""
    return all(any(_names(key, field) for key in record) for field in ("time", "quantity")) and not any(
        _names(key, "symbol", "side") for key in record
    )


def _likeliest(key: str) -> str:
    """Return the name under which the time or the quantity of a fill is looked for first; others stay."""
    from apex_cli.core.adapters.files.executions.broker_words import KNOWN

    return next((KNOWN[field][0] for field in ("time", "quantity") if _names(key, field)), key)


def _names(key: str, *fields_: str) -> bool:
    """Return True for a spelling of one of *fields_* in lists of brokers."""
    from apex_cli.core.adapters.files.executions.broker_words import KNOWN

    return any(plain_name(key) in KNOWN[field] for field in fields_)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with what stands inside it on its own level: a fill with its contract, an order with its leg."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(inner, dict):
            flat = {**inner, **flat}
        else:
            flat[key] = value
    return flat


def read_positions(value: object, where: str) -> dict[str, Decimal]:
    """Return signed quantities by symbol.

    Raises:
        InputError: it is no mapping of symbols to numbers.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(where, f"found {shown(value)}", "a mapping of symbols to signed quantities")
    problems = Problems()
    found: dict[str, Decimal] = {}
    for key, held in value.items():
        symbol = problems.read(fields.symbol, key, f"{where}.{key}")
        quantity = problems.read(fields.amount, held, f"{where}.{key}")
        if symbol is not None and quantity is not None:
            found[symbol] = quantity
    problems.stop_or_first(where)
    return found


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


def execution_rows(rows: Sequence[object], where: str) -> tuple[Execution, ...]:
    """Return executions from mappings; rows without an id get one made from their content.

    Raises:
        InputError: rows are wrong; the message names the number and the field of each problem.
    """
    seen: Counter[str] = Counter()
    problems = Problems()
    made = [problems.tried(partial(_execution, row, f"{where}[{number}]", seen)) for number, row in enumerate(rows)]
    problems.stop_or_first(where)
    return tuple(filter(None, made))


def _execution(row: object, at: str, seen: Counter[str]) -> Execution:
    if not isinstance(row, Mapping):
        raise invalid(at, f"found {shown(row)}", "a mapping")
    problems = Problems()
    for name in row:
        if name not in EXECUTION_FIELDS:
            problems.take(invalid(f"{at}.{name}", "unknown field", ", ".join(EXECUTION_FIELDS)))
    found = fields.read_fields(row, READ_FIELDS, at, problems, needed="time, symbol, side, quantity")
    problems.stop_or_first(at)
    exec_id = found["exec_id"]
    if not exec_id:
        words = (found["time"].isoformat(), found["symbol"], found["sec_type"], found["side"])
        exec_id = row_id(f"{' '.join(words)} {found['quantity'].normalize()}", seen)
    return Execution(
        exec_id=exec_id,
        security=fields.security_key(found["symbol"], found["sec_type"], fields.currency(row.get("currency"))),
        con_id=fields.con_id(row.get("con_id")),
        sec_type=found["sec_type"],
        side=found["side"],
        quantity=Quantity(found["quantity"]),
        filled_at=found["time"],
        order_id=found["order_id"],
    )
