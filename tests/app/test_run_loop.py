from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apex_cli.app.run_loop import end_of_window
from apex_cli.core.errors import InputError, NothingToDo

AFTERNOON = datetime(2026, 12, 1, 20, 0, tzinfo=UTC)
"""15:00 in New York."""


@pytest.mark.parametrize(
    ("text", "now", "end"),
    [
        ("16:05", AFTERNOON, datetime(2026, 12, 1, 21, 5, tzinfo=UTC)),
        ("00:00", AFTERNOON, datetime(2026, 12, 2, 5, 0, tzinfo=UTC)),
        ("0:00", AFTERNOON, datetime(2026, 12, 2, 5, 0, tzinfo=UTC)),
        ("0:00", datetime(2026, 12, 2, 4, 59, 57, tzinfo=UTC), datetime(2026, 12, 2, 5, 0, tzinfo=UTC)),
        ("00:00", datetime(2026, 12, 2, 5, 0, 3, tzinfo=UTC), datetime(2026, 12, 3, 5, 0, tzinfo=UTC)),
        ("00:00", datetime(2026, 10, 31, 20, 0, tzinfo=UTC), datetime(2026, 11, 1, 4, 0, tzinfo=UTC)),
    ],
)
def test_a_window_ends_today_and_midnight_is_the_end_of_the_day(text: str, now: datetime, end: datetime) -> None:
    assert end_of_window(text, now) == end


def test_a_window_that_is_over_is_nothing_to_do() -> None:
    with pytest.raises(NothingToDo, match="09:00"):
        end_of_window("09:00", AFTERNOON)


@pytest.mark.parametrize("text", ["24:00", "24:01", "25:00", "noon", "16", ""])
def test_what_is_no_time_of_day_is_refused_with_what_midnight_is(text: str) -> None:
    with pytest.raises(InputError) as caught:
        end_of_window(text, AFTERNOON)
    assert "00:00 is the midnight" in caught.value.hint
