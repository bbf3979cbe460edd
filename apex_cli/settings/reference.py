"""The reference configuration: every key, its default and one line about it, made from the schema."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from apex_cli.core.model.base import Range
from apex_cli.core.text.fields import fields_of
from apex_cli.settings.sections import Settings
from apex_cli.settings.validation import TOP

HEAD = """\
# apex configuration: every key with its default. Delete what you do not change.
#
# Found as --config FILE, $APEX_CONFIG, ./config.yaml, then config.yaml in your configuration folder.
# Paths are relative to this file. Fractions are fractions: 0.01 is 1 %.
# Profiles (--profile NAME or $APEX_PROFILE; sim, paper and live are there already) have a state of their own. What one
# changes stands below its name: profiles: {live: {risk: {max_positions: 3}}, swing: {risk: {capital: 2000}}}.
# A variable APEX_<SECTION>__<KEY> overrides a key: APEX_RISK__CAPITAL=5000, APEX_BROKER__IB__IB_PORT=4002.
"""


def render_reference_config() -> str:
    """Return the commented YAML text of every key with its default."""
    parts = [HEAD]
    defaults = Settings()
    for name, field in TOP.items():
        title = (inspect.getdoc(field.kind) or "").partition("\n")[0].partition(": ")[2]
        lines = _section_lines(field.kind, getattr(defaults, name))
        parts.append(f"# {title[:1].upper()}{title[1:]}\n{name}:\n{textwrap.indent(lines, '  ')}")
    return "\n".join(parts)


KEYS_HEAD = """\
# Every key of the configuration

Each key stands here with its default. In the file keys nest, each below its section, and `null` means: not set.
Fractions are fractions: 0.01 is 1 %. `apex config get KEY` shows what holds and where it comes from, `apex config set
KEY VALUE` changes it.
"""


def render_keys_page() -> str:
    """Return the page of every key: its default, what it takes, and what it does."""
    parts = [KEYS_HEAD]
    for name, field in TOP.items():
        title = (inspect.getdoc(field.kind) or "").partition("\n")[0].partition(": ")[2]
        rows = "".join(_key_rows(field.kind, getattr(Settings(), name), f"{name}."))
        parts.append(f"## {name}\n\n{title[:1].upper()}{title[1:]}\n\n{rows}")
    return "\n".join(parts)


def _key_rows(section: type[msgspec.Struct], values: msgspec.Struct, prefix: str) -> Iterator[str]:
    """Yield an entry for each key, those of inner sections, too."""
    comments = field_docstrings(section)
    for name, field in fields_of(section).items():
        value = getattr(values, name)
        if isinstance(value, msgspec.Struct):
            yield from _key_rows(field.kind, value, f"{prefix}{name}.")
        else:
            allowed = f" ({field.rule})" if isinstance(field.rule, Range) else ""
            entry = f"`{prefix}{name}: {_scalar(value)}` {_one_line(comments[name])}{allowed}"
            yield textwrap.fill(entry, 118, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) + "\n"


def _section_lines(section: type[msgspec.Struct], values: msgspec.Struct) -> str:
    """Return the lines of one section, a comment above each key."""
    comments = field_docstrings(section)
    lines = []
    for name, field in fields_of(section).items():
        value = getattr(values, name)
        lines.append(f"# {_one_line(comments[name])}\n")
        if isinstance(value, msgspec.Struct):
            lines.append(f"{name}:\n{textwrap.indent(_section_lines(field.kind, value), '  ')}")
        else:
            lines.append(f"{name}: {_scalar(value)}\n")
    return "".join(lines)


def field_docstrings(section: type[msgspec.Struct]) -> dict[str, str]:
    """Return field name -> the string under it, read from the source of *section* and of the sections it extends."""
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct:
            tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
            found.update(_documented(tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []))
    return found


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
            case _:
                continue


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _scalar(value: Any) -> str:
    """Return *value* as YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    return f"./{value}" if isinstance(value, Path) else str(value)
