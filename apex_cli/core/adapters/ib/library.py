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


def load_library(name: str) -> ModuleType:
    """Import and return the library called *name*.

    ib_insync asks for the thread's event loop while it is imported; from Python 3.12 on a missing one warns, from 3.14
    on it fails. So there is one.

    Raises:
        ConfigError: it is not installed.
    """
    _preset_loop()
    try:
        with _numpy_when_used():
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
    if "numpy" in sys.modules or not apex_cli.is_program or threading.active_count() > 1:
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


def _preset_loop() -> None:
    """Give this thread an event loop unless one runs or is set."""
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return
    event_loop.require_files()
    asyncio.set_event_loop(asyncio.new_event_loop())
