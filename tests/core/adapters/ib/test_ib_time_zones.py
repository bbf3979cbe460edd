"""Names of time zones: each of the table is a zone, and a time keeps its moment."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.ib.time_zones import ABBREVIATIONS, WINDOWS, ReadableTimes, zone_of


@pytest.mark.parametrize("name", [*WINDOWS, *ABBREVIATIONS])
def test_every_name_of_the_tables_is_a_zone(name: str) -> None:
    assert zone_of(name) is not None


@pytest.mark.parametrize("month", [1, 7])
@pytest.mark.parametrize(("name", "key"), list(WINDOWS.items()))
def test_a_time_keeps_its_moment_in_summer_and_in_winter(name: str, key: str, month: int) -> None:
    at = datetime(2026, month, 2, 15, 4, 5, tzinfo=UTC)
    written = f"{at.astimezone(ZoneInfo(key)):%Y%m%d %H:%M:%S} {name}"
    assert ReadableTimes().readable(written) == f"{at:%Y%m%d %H:%M:%S} UTC"


@pytest.mark.parametrize(
    "field",
    ["", "AAPL", "20260302", "20260302-15:00:00", "20260302  15:00:00", "20260302 10:00:00 US/Eastern", "1772463600"],
)
def test_other_fields_stay(field: str) -> None:
    times = ReadableTimes()
    assert times.readable(field) == field
    assert times.unknown == ""


@pytest.mark.parametrize("name", ["Moon Standard Time", "America", "..", "GMT+99", "/etc/passwd"])
def test_a_zone_that_nobody_knows_is_kept_as_it_is_and_named(name: str) -> None:
    times = ReadableTimes()
    assert times.readable(f"20260302 15:00:00 {name}") == f"20260302 15:00:00 {name}"
    assert times.unknown == name


@pytest.mark.parametrize(("name", "hours"), [("GMT+8", 8), ("UTC-05:00", -5), ("GMT+9:00", 9), ("IST", 5.5)])
def test_offsets_and_abbreviations(name: str, hours: float) -> None:
    zone = zone_of(name)
    assert zone is not None
    offset = datetime(2026, 3, 2, tzinfo=zone).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == hours * 3600
