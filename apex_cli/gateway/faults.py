"""Faults that a test injects: which message they strike, how often, and what they do to it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from apex_cli.core.model.base import Value


class Action(StrEnum):
    """What a fault does to the message it strikes."""

    SWALLOW = "swallow"
    """A request is not processed and not answered; an answer is not sent."""

    REJECT = "reject"
    """A request is answered with ``code`` and ``text`` and not processed."""

    WARN = "warn"
    """A request is processed; ``code`` and ``text`` follow on its id."""

    CUT_BEFORE = "cut_before"
    """The socket is cut: the request is lost, the answer is not sent."""

    CUT_AFTER = "cut_after"
    """The socket is cut after the request was processed, before its answers leave; or right after the answer."""

    REFUSE_LATER = "refuse_later"
    """An order is taken and acknowledged; ``seconds`` later it is refused with ``code`` and ``text``, and Inactive."""

    DELAY = "delay"
    """A request is processed ``seconds`` later; an answer is sent that much later."""

    DUPLICATE = "duplicate"
    """An answer is sent twice."""

    HOLD = "hold"
    """An answer is sent after the next one."""

    SPOIL = "spoil"
    """An answer is sent with ``text`` in its field number ``field``."""


class Fault(Value, frozen=True, kw_only=True):
    """One fault."""

    action: Action
    message: str
    """Name of the message, as ``placeOrder`` or ``execDetails``; ``modifyOrder`` is a change of an order."""

    times: int = 1
    """How often it strikes; 0 is for ever."""

    after: int = 0
    """How many messages of the name it lets pass first."""

    client_id: int | None = None
    """Only this client."""

    order_ref: str = ""
    """Only messages of orders whose orderRef ends with this."""

    code: int = 0
    text: str = ""
    field: int = 0
    """Number of a field of the message, whose own number is field 0."""

    seconds: float = 0.0
    status: str = ""
    """Status that a refused placement is reported with, such as ``Inactive``; empty reports none."""

    def matches(self, client_id: int, order_ref: str) -> bool:
        """Return whether a message of this client and order is meant."""
        return self.client_id in {None, client_id} and order_ref.endswith(self.order_ref)


def plain_name(name: str) -> str:
    """Return the form in which names of messages are compared.

    >>> plain_name("placeOrder") == plain_name("PLACE_ORDER")
    True
    """
    return name.replace("_", "").lower()


class Faults:
    """The faults that wait to strike."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        """Start without any."""
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let *fault* wait."""
        self._waiting.append(msgspec.structs.replace(fault, message=plain_name(fault.message)))

    def clear(self) -> None:
        """Drop every fault."""
        self._waiting.clear()

    def strike(self, message: str, client_id: int, order_ref: str) -> Fault | None:
        """Return the first fault that strikes this message, and count it."""
        name = plain_name(message)
        for number, fault in enumerate(self._waiting):
            if fault.message != name or not fault.matches(client_id, order_ref):
                continue
            if fault.after:
                self._waiting[number] = msgspec.structs.replace(fault, after=fault.after - 1)
                continue
            if fault.times == 1:
                del self._waiting[number]
            elif fault.times:
                self._waiting[number] = msgspec.structs.replace(fault, times=fault.times - 1)
            return fault
        return None
