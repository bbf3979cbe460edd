"""Runs asynchronous work, where the machine gives an event loop what it needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LOOP_FILES = 3
"""Files that an event loop opens: the selector, and both ends of the pipe that wakes it."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end, as ``asyncio.run`` does.

    A loop that is given only some of its files would complain on standard error when it is thrown away, so that is
    tried first. What *main* returns is kept beside the task: asyncio writes a task out as text, result and all, when
    it gives back the handler of an interrupt, and a report of years is long.

    Raises:
        OSError: too many files are open; nothing of *main* was done.
    """
    try:
        require_files()
    except OSError:
        main.close()
        raise
    results: list[T] = []

    async def keep_result() -> None:
        results.append(await main)

    asyncio.run(keep_result())
    return results[0]


def require_files() -> None:
    """Make sure that an event loop can be made now; OSError when too many files are open."""
    opened: list[int] = []
    try:
        while len(opened) < LOOP_FILES:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in opened:
            os.close(descriptor)
