"""Receives the protocol's own callbacks, before the library concludes anything from them.

The names and arguments of these callbacks are those of Interactive Brokers' EWrapper, the same in every client
library; each is wrapped on one ``wrapper`` object, and is passed to the library unchanged. A handler only appends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from apex_cli.core.adapters.ib.callbacks import READERS, Word

log = logging.getLogger(__name__)
SHORTABLE, SHORTABLE_TICK = "shortable", 46
"""Name and number of the grade at which a stock can be borrowed."""


class Tap:
    """Queues what one connection reports orders, and wakes who waits."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.heard: deque[Word] = deque()
        self.news = asyncio.Event()
        self._listeners: list[Callable[[Word], None]] = []
        self._records: list[list[Word]] = []
        self._unreadable: set[str] = set()

    def install(self, wrapper: Any) -> None:  # noqa: ANN401 - either library's wrapper
        """Hear every callback of *wrapper* that reports orders."""
        for name, translate in READERS.items():
            setattr(wrapper, name, self._tee(translate, getattr(wrapper, name)))
        wrapper.tickGeneric = _keeping_grade(wrapper, wrapper.tickGeneric)

    def on_word(self, listener: Callable[[Word], None]) -> None:
        """Have *listener* reported each word at once; it must only take note."""
        self._listeners.append(listener)

    @contextmanager
    def recording(self) -> Iterator[list[Word]]:
        """Lend a list of what is heard inside the block."""
        record: list[Word] = []
        self._records.append(record)
        try:
            yield record
        finally:
            self._records.remove(record)

    def _tee(self, translate: Callable[..., Word | None], onward: Callable[..., None]) -> Callable[..., None]:
        def callback(*arguments: Any) -> None:  # noqa: ANN401 - whatever the protocol sends
            try:
                word = translate(*arguments)
            except Exception as error:  # noqa: BLE001 - whatever it is, the library hears the rest
                self._note_unreadable(str(error))
                word = None
            if word is not None:
                self._hear(word)
            onward(*arguments)

        return callback

    def _note_unreadable(self, what: str) -> None:
        """Say once what cannot be read: what it is about stays open, and is asked for again."""
        if what not in self._unreadable:
            self._unreadable.add(what)
            log.error("An answer of the broker cannot be read and does not count: %s.", what)

    def _hear(self, word: Word) -> None:
        self.heard.append(word)
        for record in self._records:
            record.append(word)
        for listener in self._listeners:
            listener(word)
        self.news.set()


def _keeping_grade(wrapper: Any, onward: Callable[..., None]) -> Callable[..., None]:  # noqa: ANN401 - either library's wrapper
    """Put tick 46 on its ticker: ib_insync drops it."""

    def callback(request: int, kind: int, value: float) -> None:
        ticker = wrapper.reqId2Ticker.get(request)
        if kind == SHORTABLE_TICK and ticker is not None:
            setattr(ticker, SHORTABLE, value)
        onward(request, kind, value)

    return callback
