"""Times in cells, as programs and people write them with their zones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apex_cli.core.text.cells import read_when, read_zone


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-16 10:30:05 America/New_York",  # Interactive Brokers, in the zone of the workstation
        "20260716 10:30:05 US/Eastern",
        "20260716-14:30:05",
        "20260716-14:30:05.000",
        "16 Jul 2026 16:30:05 GMT+0200",  # Dukascopy, local time
        "2026-07-16 10:30:05 UTC-4",  # TradingView
        "2026-07-16 10:30:05 [America/New_York]",
        "10:30:05 AM ET, 07/16/2026",
        "2026-07-16 10:30:05 a.m. EDT",
        "2026-07-16 11:30:05 America/Argentina/Buenos_Aires",
    ],
)
def test_a_time_with_its_zone_is_one_moment(text: str) -> None:
    when = read_when(text)
    assert when is not None
    assert when.zone is not None
    assert when.at(UTC) == datetime(2026, 7, 16, 14, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["20260716-14:30", "20260716-25:30:05", "2026-07-16 10:30 PMT"])
def test_what_names_no_time_is_none(text: str) -> None:
    assert read_when(text) is None


def test_no_zone_is_further_than_fourteen_hours_from_utc() -> None:
    """Source: the Line Islands, UTC+14, are the furthest: https://www.iana.org/time-zones."""
    assert read_zone("+14") is not None
    assert [read_zone(text) for text in ("+15", "+20", "UTC-1430")] == [None, None, None]
