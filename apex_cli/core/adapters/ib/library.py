"""The one place that imports a client library, when the first connection is made."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from types import ModuleType

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
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "ib_library_missing",
            f"broker.ib.library names {name}, which cannot be imported: {error}.",
            hint=f"pip install {LIBRARIES.get(name, name)}",
        ) from None


def _preset_loop() -> None:
    """Give this thread an event loop unless one runs or is set."""
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return
    event_loop.require_files()
    asyncio.set_event_loop(asyncio.new_event_loop())
