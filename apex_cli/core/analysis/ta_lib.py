"""TA-Lib, imported without pandas and polars, which it would import for data frames that nobody gives it here.

Both together take several times as long to import as TA-Lib itself. Their classes are stood in for while it is
imported: what is given to TA-Lib later is still known for what it is, and what it makes is of the real class.

Nothing is stood in for in a program of others, nor where other threads run: they may be importing pandas themselves.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import apex_cli

LIBRARIES = ("pandas", "polars")
CLASSES = ("Series", "DataFrame")


class _StandIn(type):
    """Takes the place of a class of a library that need not be imported."""

    library: str

    def __instancecheck__(cls, instance: object) -> bool:
        library = sys.modules.get(cls.library)
        return library is not None and isinstance(instance, getattr(library, cls.__name__))

    def __call__(cls, *values: Any, **named: Any) -> Any:  # noqa: ANN401 - as the real class
        return getattr(import_module(cls.library), cls.__name__)(*values, **named)


@contextmanager
def _stood_in_for(names: tuple[str, ...]) -> Iterator[None]:
    """Let *names* be imported as modules that hold stand-ins for their classes."""
    for name in names:
        sys.modules[name] = ModuleType(name)
        for each in CLASSES:
            setattr(sys.modules[name], each, _StandIn(each, (), {"library": name}))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _imported() -> ModuleType:
    if "talib" in sys.modules or not apex_cli.is_program or threading.active_count() > 1:
        return import_module("talib")
    with _stood_in_for(tuple(name for name in LIBRARIES if name not in sys.modules and find_spec(name) is not None)):
        return import_module("talib")


talib: Any = _imported()
