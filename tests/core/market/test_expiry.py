"""An option lives until the close of its last session."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.market.expiry import has_expired
from apex_cli.core.model.spelling import canonical

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("expiry", "now", "is_over"),
    [
        ("2026-12-18", "2026-12-18T15:59:59", False),
        ("2026-12-18", "2026-12-18T16:00:00", True),
        ("2026-12-18", "2026-12-19T00:00:00", True),
        ("2026-11-27", "2026-11-27T12:59:59", False),
        ("2026-11-27", "2026-11-27T13:00:00", True),
        ("2030-01-18", "2026-12-18T16:00:00", False),
        ("1999-01-15", "2026-12-18T16:00:00", True),
        ("2026-12-19", "2026-12-19T00:00:00", True),
    ],
)
def test_it_ends_at_the_close(expiry: str, now: str, is_over: bool) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)
    assert has_expired(canonical(f"AAPL {expiry} 200 C"), at) is is_over
    assert not has_expired(canonical("AAPL"), at)
