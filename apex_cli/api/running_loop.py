"""Support for callers that run an event loop already, such as a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def beside_the_loop(work: Callable[[], T]) -> T:
    """Return the result of *work*, which may run an event loop of its own: in a notebook one runs already."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001 - what get_running_loop raises without
        return work()
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, work).result()
