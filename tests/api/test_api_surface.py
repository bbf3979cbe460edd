"""What programs may rely on: the names of ``apex_cli.api`` with their signatures and fields, and a cheap import.

``surface.txt`` holds all of it. A line that changes or goes breaks programs. Values of the core that programs are given
may get further fields; whatever else is new is written down: ``python tests/api/test_api_surface.py``.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from apex_cli import api

FROZEN = Path(__file__).with_name("surface.txt")
OF_THE_CORE = {
    "apex_cli.core.model.decision",
    "apex_cli.core.model.market",
    "apex_cli.core.model.reason",
    "apex_cli.core.model.records",
    "apex_cli.core.model.request",
    "apex_cli.core.model.trade_size",
    "apex_cli.core.positions.position_views",
}
"""Modules of values that are not the API's own."""

HEAVY = "asyncio ib_insync ib_async multiprocessing numpy pandas polars pydantic rich ssl talib textual tinydb typer"


def surface() -> str:
    """Return every public name with what a program can see of it."""
    return "\n".join(line for name in sorted(api.__all__) for line in _lines(name, getattr(api, name))) + "\n"


def parts(text: str) -> dict[str, list[str]]:
    """Return the lines under each name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith(" "):
            found[line] = []
        else:
            found[next(reversed(found))].append(line)
    return found


def _lines(name: str, thing: Any) -> Iterator[str]:
    if not inspect.isclass(thing):
        yield f"def {name}{inspect.signature(thing)}" if inspect.isroutine(thing) else f"{name} = {_alias(thing)}"
        return
    yield f"class {name}({', '.join(base.__name__ for base in thing.__bases__)})"
    if issubclass(thing, Enum):
        yield from (f"    {each.name} = {each.value!r}" for each in thing)
    elif issubclass(thing, api.Settings):
        return  # the keys of the configuration are promised elsewhere
    elif issubclass(thing, msgspec.Struct):
        yield from map(_field, msgspec.structs.fields(thing), [thing] * len(msgspec.structs.fields(thing)))
    elif issubclass(thing, api.ApexError):
        yield f"    status = {int(thing.status)}"
    yield from _members(thing)


def _field(field: msgspec.structs.FieldInfo, kind: type) -> str:
    annotation = next(cls.__annotations__[field.name] for cls in kind.__mro__ if field.name in cls.__annotations__)
    default = "" if field.required else f" = {_default(field)}"
    return f"    {field.name}: {annotation}{default}"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return repr(field.default)
    return f"{field.default_factory.__name__}()" if callable(field.default_factory) else "..."


def _members(kind: type) -> Iterator[str]:
    """Yield the methods and properties that the class itself has."""
    for name, member in sorted(vars(kind).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, property) and member.fget is not None:
            yield f"    {name}: {inspect.signature(member.fget).return_annotation}  (property)"
        elif inspect.isfunction(member):
            word = "async def" if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member) else "def"
            yield f"    {word} {name}{inspect.signature(member)}"


def _alias(thing: Any) -> str:
    return str(thing).replace("apex_cli.core.signals.strategy.", "")


def test_the_names_signatures_and_fields_are_those_that_were_promised() -> None:
    now, promised = parts(surface()), parts(FROZEN.read_text(encoding="utf-8"))
    assert list(now) == list(promised)
    for name, lines in promised.items():
        found = now[name]
        if name.startswith("class ") and getattr(api, name[6:].partition("(")[0]).__module__ in OF_THE_CORE:
            found = [line for line in found if line in lines]
        assert found == lines, name


def test_every_public_name_is_documented() -> None:
    things = [(name, getattr(api, name)) for name in api.__all__]
    assert [name for name, thing in things if inspect.isclass(thing) and not (thing.__doc__ or "").strip()] == []
    methods = [
        f"{name}.{inner}"
        for name, thing in things
        if inspect.isclass(thing) and thing.__module__.startswith("apex_cli.")
        for inner, member in vars(thing).items()
        if not inner.startswith("_") and inspect.isfunction(member) and not (member.__doc__ or "").strip()
    ]
    assert methods == []


def test_the_accounts_with_and_without_an_event_loop_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, str]:
        public = {name: member for name, member in vars(kind).items() if inspect.isfunction(member)}
        return {
            name: str(inspect.signature(member).replace(return_annotation=""))
            for name, member in public.items()
            if not name.startswith("_") or name == "__init__"
        }

    assert methods(api.Apex) == methods(api.AsyncApex)


def test_importing_the_api_imports_nothing_heavy() -> None:
    script = "import sys, apex_cli.api; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    found = set(done.stdout.split())
    assert "apex_cli" in found
    assert found.isdisjoint(HEAVY.split())


if __name__ == "__main__":
    FROZEN.write_text(surface(), encoding="utf-8")
