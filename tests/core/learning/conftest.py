from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import PART_NAMES
from apex_cli.core.model.lesson import EntryConditions, Lesson
from apex_cli.core.model.side import PositionSide
from kit import START

MakeLesson = Callable[..., Lesson]


@pytest.fixture
def lesson() -> MakeLesson:
    def made(number: int, r: str = "1", *, closed_at: datetime = START, **changes: Any) -> Lesson:
        parts = changes.pop("parts", dict.fromkeys(PART_NAMES, Decimal("0.5")))
        conditions = changes.pop("conditions", EntryConditions(score=Decimal("0.5"), parts=parts))
        values: dict[str, Any] = {
            "strategy": "breakout",
            "market_type": MarketType.EQUITY,
            "side": PositionSide.LONG,
            **changes,
        }
        return Lesson(
            round_trip_id=f"trip-{number}",
            seq=number,
            closed_at=closed_at + timedelta(minutes=number),
            r=Decimal(r),
            conditions=conditions,
            **values,
        )

    return made
