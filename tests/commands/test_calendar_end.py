"""Where the calendar ends, and when a clock is wrong, looking and closing go on and nothing is opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.system_clock import SystemClock

LAST_OPEN = datetime(2027, 12, 31, 15, tzinfo=UTC)
CONFIG = "execution: {auto_execute: true}\nrisk: {capital: 20000, max_position_pct: 0.2, min_confidence: 0.1}\n"

LOOKING = [
    ("positions",),
    ("orders",),
    ("history",),
    ("reconcile",),
    ("reconcile", "--repair"),
    ("report",),
    ("pdt-status",),
    ("state", "check"),
    ("explain", "first"),
    ("approve", "--all", "--yes"),
    ("size", "A", "--entry", "50", "--stop", "48"),
    ("run", "--once"),
    ("run", "--once", "--dry-run"),
    ("heartbeat", "--max-age", "26h"),
    ("doctor",),
]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the machine's clock."""

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(SystemClock.__init__, "__defaults__", (lambda: moment,))

    return set_clock


@pytest.fixture
def enter(here: Path, apex_json: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Give one signal, and return what became of it."""

    def given(name: str, symbol: str, now: datetime, **changes: Any) -> dict[str, Any]:
        row = {
            "signal_id": name,
            "symbol": symbol,
            "signal_type": "BUY",
            "entry_price": 20,
            "stop_loss": 19,
            "target_price": 24,
            "confidence": 0.9,
            "timestamp": (now - timedelta(seconds=5)).isoformat(),
        }
        (here / "signal.json").write_text(json.dumps(row | changes))
        (report,) = apex_json("run", "--once", "--signals", "signal.json").data["signals"]
        return dict(report)

    return given


@pytest.fixture
def opened(here: Path, at: Callable[[datetime], None], enter: Callable[..., Any]) -> None:
    """Open a position in the last session that the calendar knows."""
    (here / "config.yaml").write_text(CONFIG)
    at(LAST_OPEN)
    assert enter("first", "AAPL", LAST_OPEN)["outcome"] == "executed"


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("now", [datetime(2028, 1, 3, 15, tzinfo=UTC), datetime(2100, 1, 5, 15, tzinfo=UTC)])
@pytest.mark.parametrize("market", ["equity", "crypto"])
def test_past_the_calendar_it_looks_and_closes_and_opens_nothing(
    at: Callable[[datetime], None], enter: Callable[..., Any], apex_json: Callable[..., Any], now: datetime, market: str
) -> None:
    at(now)
    for line in LOOKING:
        answer = apex_json(*line)
        assert answer.status in {0, 5, 8}, (line, answer.out)
        assert "internal" not in answer.out
    refused = enter("second", "IBM", now, market_type=market)
    assert refused["outcome"] == "refused"
    assert "outside the NYSE calendar, which covers 2000-01-01 to 2027-12-31" in json.dumps(refused)
    assert apex_json("close", "AAPL", "--fraction", "0.5", "--yes").status == 0
    assert apex_json("close", "--all", "--yes").status == 0
    assert apex_json("positions").data["positions"] == []
    assert apex_json("orders").data["orders"] == []


@pytest.mark.parametrize("now", [datetime(1999, 6, 1, 15, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)])
def test_before_the_calendar_nothing_is_opened(
    here: Path, at: Callable[[datetime], None], enter: Callable[..., Any], apex_json: Callable[..., Any], now: datetime
) -> None:
    (here / "config.yaml").write_text(CONFIG.replace("min_confidence", "enforce_market_hours: false, min_confidence"))
    at(now)
    for line in LOOKING:
        assert apex_json(*line).status in {0, 2, 4, 5, 8}, line
    assert "outside the NYSE calendar" in json.dumps(enter("early", "AAPL", now))
    (finding,) = [each for each in apex_json("doctor").data["findings"] if each["code"] == "calendar"]
    assert (finding["level"], "begins on 2000-01-01" in finding["message"]) == ("warning", True)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("wrong", [datetime(2031, 3, 5, 15, tzinfo=UTC), datetime(2150, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("command", [("halt", "--reason", "x"), ("reduce", "--reason", "x"), ("run", "--once")])
def test_a_clock_that_was_wrong_once_spoils_nothing(
    at: Callable[[datetime], None],
    enter: Callable[..., Any],
    apex_json: Callable[..., Any],
    wrong: datetime,
    command: tuple[str, ...],
) -> None:
    at(wrong)
    assert apex_json(*command).status in {0, 8}
    at(LAST_OPEN)
    for line in LOOKING:
        assert apex_json(*line).status in {0, 5, 8}, line
    assert apex_json("state", "reset-clock", "--yes").status == 0
    assert apex_json("resume", "--reason", "y").status in {0, 8}
    assert enter("second", "IBM", LAST_OPEN)["outcome"] == "executed"
    assert apex_json("close", "--all", "--yes").status == 0


@pytest.mark.parametrize(
    ("day", "level", "words"),
    [
        (datetime(2026, 11, 27, 15, tzinfo=UTC), "ok", "session 2026-11-27"),
        (datetime(2027, 3, 8, 15, tzinfo=UTC), "warning", "ends on 2027-12-31, in 298 days"),
        (datetime(2028, 1, 5, 15, tzinfo=UTC), "warning", "ended on 2027-12-31"),
    ],
)
def test_doctor_warns_a_year_ahead(
    at: Callable[[datetime], None], apex_json: Callable[..., Any], day: datetime, level: str, words: str
) -> None:
    at(day)
    first = next(each for each in apex_json("doctor").data["findings"] if each["code"] == "calendar")
    assert first["level"] == level
    assert words in first["message"]
