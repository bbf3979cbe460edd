"""Reads plain values, as YAML, JSON and CSV give them, into typed ones; every problem is reported at once.

What a field takes stands beside it: its type, and a ``Range`` or a ``Spelling`` in ``Annotated``. A problem says where
it is, what was found, what is allowed and, for a name, what was probably meant.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from inspect import get_annotations
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from apex_cli.core.model.base import Amount, Range, Spelling
from apex_cli.core.model.money import two_readings
from apex_cli.core.text.problems import MAX_PROBLEMS, Refused, key_name, shown, suggest

SHOWN = 60
"""Characters of a found value that an error repeats."""

BAD: Final = object()
"""Stands for a value that was refused."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong key or value."""

    origin: str
    """The file or the variable it stands in."""

    key: str
    """Key path, such as ``risk.max_risk_pct``."""

    message: str
    value: str | None = None
    """What was found, as text."""

    allowed: str | None = None

    @property
    def sentence(self) -> str:
        """The whole of it."""
        return f"{self.origin}: {self.key}: {self.message}"


class Field(NamedTuple):
    """What one field takes."""

    kind: Any
    """``bool``, ``Decimal``, a ``StrEnum``, a ``Struct``, ``tuple`` or ``dict``."""

    rule: Range | Spelling | None
    is_optional: bool
    item: Field | None = None
    """What each item of a list, or each entry of a mapping, takes."""


def field_of(hint: Any) -> Field:
    """Return what a type such as ``Annotated[Decimal, Range(0, 1)] | None`` takes."""
    rule: Range | Spelling | None = None
    is_optional = False
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            hint, *notes = get_args(hint)
            rule = next((note for note in notes if isinstance(note, Range | Spelling)), rule)
        elif origin in {Union, types.UnionType}:
            kinds = get_args(hint)
            is_optional = is_optional or types.NoneType in kinds
            hint = next(one for one in kinds if one is not types.NoneType)
        elif hasattr(hint, "__supertype__"):  # a NewType such as Quantity
            hint = hint.__supertype__
        elif origin in {tuple, dict}:
            return Field(origin, rule, is_optional, field_of(get_args(hint)[origin is dict]))
        else:
            return Field(hint, rule, is_optional)


def is_section(kind: object) -> bool:
    """Return whether *kind* is a ``Struct``: keys and values of its own."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


Unknown = Callable[[object, str, Collection[str]], str]
"""Returns what to say of a key that is not known: the key, its section with a dot at the end, the section's keys."""


def meant(key: object, path: str, known: Collection[str]) -> str:
    """Return the key that was probably meant, or the known ones."""
    guess = suggest(key, known)
    return f"did you mean {path}{guess}?" if guess else f"known here: {', '.join(sorted(known))}."


class Reader:
    """Reads the values of one origin and notes what is wrong with them."""

    __slots__ = ("base", "origin", "problems", "unknown")

    def __init__(
        self, *, origin: str, problems: list[Problem] | None = None, base: Path | None = None, unknown: Unknown = meant
    ) -> None:
        """Read for *origin*, a file or a variable.

        Args:
            origin: what an error names as the place.
            problems: where problems are noted, shared by several readers; a new list by default.
            base: the folder that relative paths count from.
            unknown: what to say of a key that is not known.
        """
        self.origin = origin
        self.problems: list[Problem] = [] if problems is None else problems
        self.base = base
        self.unknown = unknown

    def problem(self, key: str, message: str, value: object = BAD, allowed: str | None = None) -> object:
        """Note a problem and return ``BAD``."""
        if len(self.problems) < MAX_PROBLEMS:
            found = None if value is BAD else shown(value, SHOWN)
            self.problems.append(Problem(origin=self.origin, key=key, message=message, value=found, allowed=allowed))
        return BAD

    def section(self, fields: Mapping[str, Field], document: object, path: str) -> dict[str, Any]:
        """Return the good values of a mapping; one with nothing under it is empty."""
        values: dict[str, Any] = {}
        for key, value in self._pairs(document, path):
            if not isinstance(key, str) or key not in fields:
                self.problem(f"{path}{key_name(key, SHOWN)}", f"no such key; {self.unknown(key, path, fields)}")
            elif (found := self.value(fields[key], value, f"{path}{key}")) is not BAD:
                values[key] = found
        return values

    def value(self, field: Field, value: object, path: str) -> Any:
        """Return *value* as *field* takes it, or ``BAD`` after noting the problem."""
        if is_section(field.kind):
            return self.section(fields_of(field.kind), value, f"{path}.")
        if field.kind is dict and field.item is not None:
            return self.entries(field.item, value, f"{path}.")
        if value is None and field.is_optional:
            return None
        if field.kind is tuple and field.item is not None:
            return self._items(field.item, value, path)
        convert = next(convert for known, convert in _CONVERTERS.items() if issubclass(field.kind, known))
        try:
            found = convert(field, value)
        except Refused as refused:
            return self.problem(path, f"{refused.sentence(value, SHOWN)}.", value, refused.allowed)
        return self.base / found if self.base is not None and isinstance(found, Path) else found

    def _pairs(self, document: object, path: str) -> Iterator[tuple[Any, object]]:
        """Yield keys and values while there are few problems; what is no mapping is one."""
        if document is None:
            return
        if not isinstance(document, Mapping):
            self.problem(path.rstrip("."), "a section takes keys below it, not a value.", document, "keys and values")
            return
        for key, value in document.items():
            if len(self.problems) >= MAX_PROBLEMS:
                return
            yield key, value

    def entries(
        self, entry: Field, document: object, path: str, fields: Mapping[str, Field] | None = None
    ) -> dict[str, Any]:
        """Return what stands under names of the user's own; *fields* where an entry takes others than its type has."""
        values: dict[str, Any] = {}
        for name, value in self._pairs(document, path):
            if not (isinstance(name, str) and name.strip() and name.isprintable()):
                where = f"{path}{key_name(name, SHOWN)}"
                self.problem(where, "a name is text; put one that looks like a number in quotes.")
            elif fields is not None:
                values[name] = self.section(fields, value, f"{path}{name}.")
            else:
                values[name] = self.value(entry, value, f"{path}{name}")
        return values

    def _items(self, item: Field, value: object, path: str) -> object:
        if not isinstance(value, list):
            return self.problem(path, f"found {shown(value, SHOWN)}, allowed: a list, such as [A, B].", value, "a list")
        items = [self.value(item, one, f"{path}[{number}]") for number, one in enumerate(value)]
        return BAD if any(one is BAD for one in items) else tuple(items)


class Fields(Mapping[str, Field]):
    """What each field of a section takes; the type of a field is read when the field is named."""

    def __init__(self, section: type[msgspec.Struct]) -> None:
        """Know the names."""
        self._section = section
        self._found: dict[str, Field] = {}

    def __getitem__(self, name: str) -> Field:
        """Return what a field takes."""
        found = self._found.get(name)
        if found is None:
            home = next(kind for kind in self._section.__mro__ if name in get_annotations(kind))
            alone = types.SimpleNamespace(__annotations__={name: get_annotations(home)[name]})
            hints = get_type_hints(alone, vars(sys.modules[home.__module__]), include_extras=True)
            found = self._found[name] = field_of(hints[name])
        return found

    def __contains__(self, name: object) -> bool:
        """Return whether there is a field of that name."""
        return name in self._section.__struct_fields__

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of the section."""
        return iter(self._section.__struct_fields__)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._section.__struct_fields__)


@cache
def fields_of(section: type[msgspec.Struct]) -> Fields:
    """Return what each field takes."""
    return Fields(section)


def _number(field: Field, value: object) -> int | Decimal:
    whole = field.kind is int
    is_number = isinstance(value, int if whole else int | Decimal) and not isinstance(value, bool)
    number = Decimal(value) if is_number and isinstance(value, int | Decimal) else None
    if number is None or (isinstance(field.rule, Range) and number not in field.rule):
        kind = "a whole number" if whole else "a number"
        raise Refused(f"{kind} {field.rule}{_as_part(field.rule, value)}")
    if isinstance(field.rule, Amount) and (readings := two_readings(str(value))):
        raise Refused("an amount, such as 5000", f"found {value}, which may mean {readings}: write one of them")
    return int(number) if whole else number


def _as_part(rule: object, value: object) -> str:
    """Return how to write *value* where a part of one is wanted and it may be a percentage: ``; 2 % is 0.02``."""
    if not isinstance(rule, Range) or rule.high != 1 or not isinstance(value, str | int | Decimal):
        return ""
    from apex_cli.core.text.cells import DOT, decimal_proof, fraction

    text = str(value).rstrip("% ")
    part = fraction(f"{text}%", decimal_proof(text).strip("?") or DOT)
    is_meant = part is not None and part in rule and ("%" in str(value) or part * 100 > 1)
    return f"; {text} % is {part.normalize():f}" if part is not None and is_meant else ""


def _truth(_: Field, value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused("true or false")
    return value


def _word(field: Field, value: object) -> StrEnum:
    words: dict[str, StrEnum] = {str(word): word for word in field.kind}
    found = words.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise Refused(" or ".join(words))
    return found


def _path(_: Field, value: object) -> Path:
    if not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise Refused("a path")
    return Path(value).expanduser()


def _date(_: Field, value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise Refused("a date as YYYY-MM-DD") from None


def _text(field: Field, value: object) -> str:
    """Take a short text such as a host name, in the spelling of its field."""
    spelling = field.rule if isinstance(field.rule, Spelling) else None
    allowed = spelling.allowed if spelling else "a name"
    if not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise Refused(allowed)
    if not (spelling and spelling.is_free) and not (value.isascii() and " " not in value):
        raise Refused(allowed)
    try:
        return spelling.parse(value) if spelling else value
    except ValueError as error:
        raise Refused(allowed, why=str(error)) from None


_CONVERTERS: dict[type, Callable[[Field, object], object]] = {
    bool: _truth,
    StrEnum: _word,
    int: _number,
    Decimal: _number,
    Path: _path,
    date: _date,
    str: _text,
}
"""In the order they are tried: a bool is an int, a StrEnum is a str."""
