"""What every event of the journal has, and the bases that readers match on."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import ClassVar

from apex_cli.core.model.base import Value
from apex_cli.core.model.notice import News


class BaseEvent(Value, frozen=True, kw_only=True, tag_field="kind"):
    """What every event has."""

    seq: int = 0
    """Its number in the journal; 0 before it is emitted."""

    at: datetime
    subject: str = ""
    """Signal, security, session or request that it concerns: what ``apex explain`` looks for."""

    news: ClassVar[News | None] = None
    """How a person hears of it; None: not at all."""

    @property
    def kind(self) -> str:
        """What the journal calls it."""
        return kind_of(type(self))


class Remark(BaseEvent, frozen=True, kw_only=True):
    """An event that no table follows from: it is there to be read."""


class AccountEvent(BaseEvent, frozen=True, kw_only=True):
    """An event of the whole account: of no signal, and of no security."""


@cache
def kind_of(event_type: type[BaseEvent]) -> str:
    """Return what the journal calls events of this class.

    >>> from apex_cli.core.state.events.order_events import FillBooked
    >>> kind_of(FillBooked)
    'fill'
    """
    return str(event_type.__struct_config__.tag)


def kinds_of(*event_types: type[BaseEvent]) -> frozenset[str]:
    """Return what the journal calls events of these classes."""
    return frozenset(map(kind_of, event_types))
