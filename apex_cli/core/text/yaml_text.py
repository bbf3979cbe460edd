"""YAML text to plain values: exact numbers, no duplicate keys, no aliases, no tags.

Numbers and words follow the YAML 1.2 core schema, so ``ON`` and ``NO`` stay tickers and
``12:30`` stays text. Fractions become ``Decimal`` from their own text, never through float.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable
from contextlib import suppress
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import apex_cli
from apex_cli.core.errors import EXHAUSTING

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 50
"""Deepest nesting of lists and mappings."""

_TAG = "tag:yaml.org,2002:"
_PATTERNS = (
    ("null", r"^(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", tuple("tTfF")),
    ("int", r"^[-+]?[0-9]+$", tuple("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.inf|\.Inf|\.INF)$|^\.(?:nan|NaN|NAN)$",
        tuple("-+.0123456789"),
    ),
)


_FORBIDDEN_ASCII = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_FORBIDDEN = f"{_FORBIDDEN_ASCII}\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff"
"""What YAML refuses, as ranges of a pattern; those beyond ASCII take a millisecond to compile."""

_HALF = "half a surrogate pair is not a character"
_SURROGATE = "[\ud800-\udfff]"


class YamlProblem(ValueError):  # noqa: N818 - a verdict on a text, caught in one place
    """The text is not YAML as we take it."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        """Keep what is wrong and where, counted from 1."""
        where = f"line {line}, column {column}: " if line is not None else ""
        super().__init__(where + message)
        self.line = line
        self.column = column


def parse_yaml(text: str) -> object:
    """Return the one document in *text*; None when it is empty.

    Values are str, int, Decimal, bool, None, list and dict; infinities and NaN are Decimal too.

    Raises:
        YamlProblem: bad syntax, a key twice in a mapping, an alias, a tag, or nesting beyond ``MAX_DEPTH``.
    """
    _load_library()
    import yaml

    _check_characters(text)
    try:
        _check_events(text)
        return yaml.load(text, Loader=_loader_class())  # noqa: S506 - a SafeLoader subclass
    except YamlProblem:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:
            _check_depth_before(text, mark)
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise _problem(message, mark) from None
    except EXHAUSTING:
        raise YamlProblem("nested too deeply") from None
    except (ValueError, OverflowError):
        # From the pure Python scanner, which computes the character of an escape without a check.
        raise YamlProblem("an escape such as \\UFFFFFFFF names no character") from None
    except yaml.YAMLError as error:
        raise YamlProblem(" ".join(str(error).split())) from None


class _Later:
    """A pattern that is compiled when it is first asked for something, and passes for one that is."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        """Keep what it is made of."""
        self._made_of = pattern, flags

    __class__ = property(lambda _: re.Pattern)  # what isinstance asks, and all functions of re

    def __getattr__(self, name: str) -> Any:
        """Return what the pattern has of that name."""
        return getattr(re.compile(*self._made_of), name)

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is such a pattern."""
        return bool(re.compile(*self._made_of) == other)

    def __hash__(self) -> int:
        """Return what the pattern has for it."""
        return hash(re.compile(*self._made_of))

    def __repr__(self) -> str:
        """Return the pattern's own."""
        return repr(re.compile(*self._made_of))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy be the pattern itself."""
        return re.compile, self._made_of


@cache
def _load_library() -> None:
    """Import PyYAML, and compile the patterns of its parser in Python when they are used.

    The parser in C does without them, and they take longer than all else that a configuration costs. Nothing is put
    off in a program of others, nor where other threads run, which may be compiling patterns of their own.
    """
    compiling = re.compile
    if apex_cli.is_program and threading.active_count() == 1:
        re.compile = _Later  # type: ignore[assignment]  # for the time of the import
    try:
        import_module("yaml")
    finally:
        re.compile = compiling


def _check_characters(text: str) -> None:
    """Refuse what YAML does not allow, so that every parser and version gives the same message and place."""
    found = re.search(f"[{_FORBIDDEN_ASCII if text.isascii() else _FORBIDDEN}]", text)
    if found is None:
        return
    line, column = _position(text, found.start())
    if re.match(_SURROGATE, found.group()):
        raise YamlProblem(_HALF, line, column)
    raise YamlProblem(f"character U+{ord(found.group()):04X} is not allowed in YAML", line, column)


def _check_events(text: str) -> None:
    """Refuse aliases, which can blow up memory, and deep nesting, before anything is built."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader_class()):
        if isinstance(event, yaml.AliasEvent):
            raise _problem("aliases (*name) are not supported", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _problem(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_depth_before(text: str, mark: Any) -> None:
    """Refuse deep nesting before *mark*, where a parser that reads ahead reported another problem.

    Some versions have a limit of their own and meet it before they report the first level.
    """
    import yaml

    with suppress(yaml.YAMLError):
        _check_events(text[: mark.index])


def _problem(message: str, mark: Any) -> YamlProblem:
    return YamlProblem(message, mark.line + 1, mark.column + 1) if mark else YamlProblem(message)


def _position(text: str, offset: int) -> tuple[int, int]:
    head = text[:offset]
    return head.count("\n") + 1, offset - (head.rfind("\n") + 1) + 1


@cache
def _loader_class() -> type[yaml.SafeLoader]:
    """Return the loader: the C one where PyYAML has it, with our constructors and resolvers only."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    namespace: dict[str, Any] = {"yaml_constructors": {}, "yaml_implicit_resolvers": {}}
    loader: Any = type("ExactLoader", (base,), namespace)
    safe = yaml.constructor.SafeConstructor
    constructors: dict[str | None, Any] = {
        f"{_TAG}null": safe.construct_yaml_null,
        f"{_TAG}bool": _construct_bool,
        f"{_TAG}int": _construct_int,
        f"{_TAG}float": _construct_decimal,
        f"{_TAG}str": _construct_str,
        f"{_TAG}seq": safe.construct_yaml_seq,
        f"{_TAG}map": _construct_mapping,
        None: _refuse_tag,
    }
    for tag, constructor in constructors.items():
        loader.add_constructor(tag, constructor)
    for name, pattern, first in _PATTERNS:
        loader.add_implicit_resolver(f"{_TAG}{name}", re.compile(pattern), first)
    return loader  # type: ignore[no-any-return]


def _refuse_tag(_loader: Any, node: Any) -> None:
    raise _problem(f"tag {str(node.tag)[:60]!r} is not supported", node.start_mark)


def _construct_bool(loader: Any, node: Any) -> bool:
    text = str(loader.construct_scalar(node)).lower()
    if text not in {"true", "false"}:
        raise _problem("this is neither true nor false", node.start_mark)
    return text == "true"


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    try:
        return int(text)
    except ValueError:
        raise _problem("this is not a whole number, or one with too many digits", node.start_mark) from None


def _construct_decimal(loader: Any, node: Any) -> Decimal:
    text = loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    try:
        return Decimal(text)
    except ArithmeticError:
        raise _problem("this is not a number", node.start_mark) from None


def _construct_str(loader: Any, node: Any) -> str:
    text = str(loader.construct_scalar(node))
    if not text.isascii() and re.search(_SURROGATE, text):  # an escape such as \\ud800; only the C parser refuses it
        raise _problem(_HALF, node.start_mark)
    return text


def _construct_mapping(loader: Any, node: Any) -> dict[Hashable, object]:
    """Build a dict; a key that comes twice is an error, where PyYAML silently takes the last."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise _problem("this is not a mapping", node.start_mark)
    result: dict[Hashable, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise _problem("a list or mapping cannot be a key", key_node.start_mark)
        if key in result:
            raise _problem(f"key {str(key)[:60]!r} is given twice", key_node.start_mark)
        result[key] = loader.construct_object(value_node, deep=True)
    return result
