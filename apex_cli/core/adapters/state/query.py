"""Queries of the state, read-only: a TinyDB over the verified file, and conditions written as text.

A condition compares fields with values and joins comparisons by ``and``, ``or``, ``not`` and brackets::

    status == WORKING and (order.quantity >= 10 or not order.role == 'STOP')

A field is a name, or a path with dots; a value is a number, a text with or without quotes, ``true``, ``false`` or
``null``. Amounts are stored as text and compare with a number as numbers. A row without the field does not match.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import msgspec
from tinydb import Query, TinyDB
from tinydb.queries import QueryInstance
from tinydb.storages import Storage
from tinydb.table import Table

from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.file_format import PlainTables
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import InputError, StateError
from apex_cli.core.model.money import number_of

LONGEST = 2000
"""Characters of a condition."""

DEEPEST = 50
"""Brackets and negations inside each other."""

Value = str | Decimal | bool | None
Operator = Callable[[Any, Any], bool]

OPERATORS: dict[str, Operator] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "none": None}
_FIELD = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_COMMA = re.compile(r"-?[\d.]*,[\d.,]*")
_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>==|!=|<=|>=|<|>|\(|\))|'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<word>[^\s()<>=!'"]+))"""
)


class VerifiedStorage(Storage):
    """TinyDB's storage of the state: every read is verified, and nothing is written."""

    def __init__(self, store: TinyDbStore) -> None:
        """Read the file of *store*."""
        self._store = store

    def read(self) -> PlainTables | None:
        """Return all tables, ``meta`` included, as plain values; None when nothing was saved yet.

        Raises:
            StateError: the file is damaged, older than its journal, or missing beside one.
        """
        self._store.view()
        loaded = file_format.load(self._store.path)
        if loaded is None:
            return None
        tables = file_format.migrate(loaded, self._store.path)
        plain: PlainTables = {"meta": {"state": msgspec.to_builtins(loaded.meta)}}
        return plain | {name: msgspec.json.decode(raw) for name, raw in tables.items()}

    def write(self, data: Mapping[str, Mapping[Any, Any]]) -> None:
        """Refuse: changes go through a transaction of the store alone.

        Raises:
            StateError: always.
        """
        del data
        raise _read_only()


def _read_only() -> StateError:
    return StateError(
        "state_read_only", "The state is open for reading only", hint="change the state by apex's own commands"
    )


class StateTable(Table):
    """A TinyDB table whose rows are keyed by text."""

    document_id_class = str  # type: ignore[assignment]  # declared as int, used as a callable

    def _get_next_id(self) -> int:
        """Refuse: TinyDB asks for a number before it inserts a row."""
        raise _read_only()


class StateDatabase(TinyDB):
    """A TinyDB whose rows are keyed by text."""

    table_class = StateTable


def database(store: TinyDbStore) -> TinyDB:
    """Return a read-only TinyDB over the committed state; every query reads what is committed by then."""
    return StateDatabase(store, storage=VerifiedStorage)


def query(store: TinyDbStore, table: str, condition: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return key and content of the rows of *table* that meet *condition*, all of them without one.

    Raises:
        InputError: there is no such table, or the condition cannot be read.
        StateError: the state cannot be read or trusted.
    """
    meets = parse_condition(condition) if condition.strip() else None
    known = sorted({found.name for found in store.view().tables()} | {"meta"})
    with database(store) as opened:
        if table not in known and table not in opened.tables():
            raise InputError("table_unknown", f"There is no table {table!r}.", hint=f"Tables: {', '.join(known)}.")
        rows = opened.table(table)
        return [(str(row.doc_id), dict(row)) for row in (rows.all() if meets is None else rows.search(meets))]


class _Token(NamedTuple):
    text: str
    is_quoted: bool
    at: int


def parse_condition(text: str) -> QueryInstance:
    """Return the TinyDB query that *text* means.

    Raises:
        InputError: it is no condition; the message says where.
    """
    return _Parser(text).parse()


class _Parser:
    """Reads one condition from left to right; nothing in it is ever run as code."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise _wrong(f"it is longer than {LONGEST} characters")
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def parse(self) -> QueryInstance:
        condition = self._either()
        if self._next < len(self._tokens):
            raise self._unexpected("and, or, or the end")
        return condition

    def _either(self) -> QueryInstance:
        condition = self._all()
        while self._takes("or"):
            condition |= self._all()
        return condition

    def _all(self) -> QueryInstance:
        condition = self._one()
        while self._takes("and"):
            condition &= self._one()
        return condition

    def _one(self) -> QueryInstance:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _wrong(f"brackets and negations stand more than {DEEPEST} deep in each other")
        if self._takes("not"):
            condition = ~self._one()
        elif self._takes("("):
            condition = self._either()
            if not self._takes(")"):
                raise self._unexpected("a closing bracket")
        else:
            condition = self._comparison()
        self._depth -= 1
        return condition

    def _comparison(self) -> QueryInstance:
        name = self._take("a field")
        if name.is_quoted or not _FIELD.fullmatch(name.text):
            raise _wrong(f"at {name.at}: {name.text!r} is no field")
        sign = self._take("one of " + ", ".join(OPERATORS))
        if sign.is_quoted or sign.text not in OPERATORS:
            raise _wrong(f"at {sign.at}: {sign.text!r} compares nothing; write one of {', '.join(OPERATORS)}")
        wanted = _value(self._take("a value"))
        return _field(name.text.split(".")).test(partial(_compares, OPERATORS[sign.text], wanted))

    def _takes(self, text: str) -> bool:
        """Go on if the next token is *text*, and return whether it was."""
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            if not token.is_quoted and token.text.lower() == text:
                self._next += 1
                return True
        return False

    def _take(self, wanted: str) -> _Token:
        if self._next >= len(self._tokens) or self._tokens[self._next].text in {"(", ")"}:
            raise self._unexpected(wanted)
        self._next += 1
        return self._tokens[self._next - 1]

    def _unexpected(self, wanted: str) -> InputError:
        if self._next >= len(self._tokens):
            return _wrong(f"it ends where {wanted} should be")
        token = self._tokens[self._next]
        return _wrong(f"at {token.at}: found {token.text!r} where {wanted} should be")


def _tokens(text: str) -> Sequence[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(f"at {at + 1}: {text[at : at + 10].strip()!r} is neither field, sign nor value")
        kind = str(match.lastgroup)
        found.append(_Token(match[kind], kind in {"single", "double"}, match.start(kind) + 1))
        at = match.end()
    return found


def _value(token: _Token) -> Value:
    """Return what a value means; quotes make a text of everything."""
    if token.is_quoted:
        return token.text
    if token.text.lower() in WORDS:
        return WORDS[token.text.lower()]
    number = number_of(token.text)
    if number is None and _COMMA.fullmatch(token.text):
        raise _wrong(f"at {token.at}: {token.text!r} has a comma; decimals stand behind a point, a text in quotes")
    return token.text if number is None else number


def _field(path: Sequence[str]) -> Query:
    found = Query()
    for name in path:
        found = found[name]
    return found


def _compares(compare: Operator, wanted: Value, stored: object) -> bool:
    """Return whether *stored* compares with *wanted*: as numbers where *wanted* is one; other kinds only differ."""
    left: object = stored
    if isinstance(wanted, Decimal) and not isinstance(stored, bool) and isinstance(stored, int | float | str):
        left = number_of(str(stored))
    try:
        return compare(left, wanted)
    except TypeError:
        return False


def _wrong(problem: str) -> InputError:
    return InputError(
        "condition_invalid",
        f"The condition cannot be read: {problem}.",
        hint="Write FIELD == VALUE, joined by and, or, not: apex state query orders 'status == WORKING'",
    )
