"""Directions: of an order, and of a position."""

from __future__ import annotations

from enum import StrEnum


class OrderSide(StrEnum):
    """Direction of an order; positions are long or short."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> OrderSide:
        """The side that undoes this one."""
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self is OrderSide.BUY else -1

    @property
    def opens(self) -> PositionSide:
        """The side of the holding that it opens."""
        return PositionSide.LONG if self is OrderSide.BUY else PositionSide.SHORT


class PositionSide(StrEnum):
    """Which way a holding earns."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1 long, -1 short."""
        return 1 if self is PositionSide.LONG else -1

    @property
    def closed_by(self) -> OrderSide:
        """The side of an order that reduces such a holding."""
        return OrderSide.SELL if self is PositionSide.LONG else OrderSide.BUY
