"""Hears the protocol's own callbacks, before the library concludes anything from them.

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

from apex_cli.core.adapters.ib import callbacks as words
from apex_cli.core.adapters.ib.callbacks import Trouble, Word
from apex_cli.core.adapters.ib.shapes import IbCommission, IbContract, IbExecution, IbOrder, IbOrderState

log = logging.getLogger(__name__)
COMBINATION = "BAG"
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

    def install(self, wrapper: Any) -> None:  # noqa: ANN401 - either library's wrapper
        """Hear every callback of *wrapper* that reports orders."""
        listeners: dict[str, Callable[..., Word | None]] = {
            "openOrder": _heard_open_order,
            "orderStatus": _heard_status,
            "completedOrder": _heard_completed,
            "execDetails": _heard_execution,
            "commissionReport": _heard_commission,
            "error": _heard_trouble,
        }
        for name, translate in listeners.items():
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
            except Exception:
                log.exception("an answer of the broker could not be read")
                word = None
            if word is not None:
                self._hear(word)
            onward(*arguments)

        return callback

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


def _heard_open_order(order_id: int, contract: IbContract, order: IbOrder, state: IbOrderState) -> Word | None:
    return None if order.whatIf else words.open_order(order_id, contract, order, state)


def _heard_status(
    order_id: int, status: str, filled: float, _remaining: float, _average: float, perm_id: int, *rest: object
) -> Word:
    client_id, why_held = rest[2:4]
    return words.status_word(
        order_id, status, filled, perm_id=perm_id, client_id=int(str(client_id)), why_held=str(why_held)
    )


def _heard_completed(_contract: IbContract, order: IbOrder, state: IbOrderState) -> Word:
    return words.completed_order(order, state)


def _heard_execution(_request: int, contract: IbContract, execution: IbExecution) -> Word | None:
    return None if contract.secType == COMBINATION else words.executed(contract, execution)


def _heard_commission(report: IbCommission) -> Word:
    return words.commission_word(report)


def _heard_trouble(about: int, code: int, text: str, _rejected: str = "") -> Word:
    return Trouble(about=about, code=code, text=text)
