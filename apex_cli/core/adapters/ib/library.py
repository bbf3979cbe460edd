"""The one place that imports a client library, when the first connection is made."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType

import apex_cli
from apex_cli.core.adapters import event_loop
from apex_cli.core.errors import ConfigError

LIBRARIES = {"ib_insync": "ib_insync", "ib_async": "ib_async"}
"""Library name to the name it is installed by."""

STATEMENTS = ("FlexError", "FlexReport")
"""What both libraries take from their reader of account statements."""


def load_library(name: str) -> ModuleType:
    """Import and return the library called *name*.

    ib_insync asks for the thread's event loop while it is imported; from Python 3.12 on a missing one warns, from 3.14
    on it fails. So there is one.

    Raises:
        ConfigError: it is not installed.
    """
    _preset_loop()
    try:
        with _numpy_when_used(), _statements_when_used(name):
            return import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "ib_library_missing",
            f"broker.ib.library names {name}, which cannot be imported: {error}.",
            hint=f"pip install {LIBRARIES.get(name, name)}",
        ) from None


@contextmanager
def _numpy_when_used() -> Iterator[None]:
    """Let what is imported meanwhile have numpy only once it uses it.

    Both libraries are built on eventkit, whose operators on arrays want numpy; nobody here calls them, and to import
    numpy takes longer than all the rest. In a program of others, and with other threads, which may want the real one
    at this moment, it is.
    """
    if "numpy" in sys.modules or not _is_alone():
        yield
        return
    stand_in = ModuleType("numpy")
    stand_in.__getattr__ = lambda name: getattr(import_module("numpy"), name)  # type: ignore[method-assign]
    sys.modules["numpy"] = stand_in
    try:
        yield
    finally:
        if sys.modules.get("numpy") is stand_in:
            del sys.modules["numpy"]


@contextmanager
def _statements_when_used(library: str) -> Iterator[None]:
    """Let *library* have its reader of account statements, with HTTP, e-mail and XML, only once something uses it.

    Not in a program of others, nor with other threads, as for numpy.
    """
    name = f"{library}.flexreport"
    if library in sys.modules or not _is_alone():
        yield
        return
    stand_in = ModuleType(name)
    vars(stand_in).update(dict.fromkeys(STATEMENTS))
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]
    package = sys.modules[library]

    def when_used(attribute: str) -> object:
        if attribute in STATEMENTS:
            return getattr(import_module(name), attribute)
        raise AttributeError(f"module {library!r} has no attribute {attribute!r}")

    for each in STATEMENTS:
        delattr(package, each)
    package.__getattr__ = when_used  # type: ignore[method-assign]


def _is_alone() -> bool:
    """Return whether nobody else's code can see what is not there yet."""
    return apex_cli.is_program and threading.active_count() == 1


def _preset_loop() -> None:
    """Give this thread an event loop unless one runs or is set."""
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return
    event_loop.require_files()
    asyncio.set_event_loop(asyncio.new_event_loop())
