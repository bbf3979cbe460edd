"""Moments in which nothing can happen are passed over, and that changes nothing at all."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random

import pytest

from apex_cli.app import timeline
from apex_cli.app.replayer import Replay, ReplayOptions, replay
from apex_cli.app.resources import read_settings
from apex_cli.app.timeline import Timeline
from apex_cli.core.market.calendar import NEW_YORK, next_session
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.ports import SignalBatch
from apex_cli.core.reports.replay_report import Recorder
from apex_cli.settings.sections import Settings

DEMO = Path(__file__).resolve().parents[2] / "apex_cli" / "demo"
SCANNERS = """
state: {dir: %s}
pipeline: {stages: [technical]}
scanners:
  watch_list: [%s]
  target_atr: 5
  mean_reversion: {short: true, interval_minutes: 60}
management: {%s}
"""
DAY = timedelta(days=1)


def ends_of(days: Iterable[int], *hours: int) -> list[datetime]:
    return [datetime(2024, 3, day, hour, tzinfo=UTC) for day in days for hour in hours]


class Now:
    """A source that has something at certain moments."""

    def __init__(self, *moments: datetime) -> None:
        self.moments = moments

    def poll(self, now: datetime) -> Iterable[SignalBatch]:
        raise NotImplementedError

    def settle(self, batch: SignalBatch, reports: Sequence[object]) -> None:
        raise NotImplementedError

    def wakes(self, ends: Sequence[datetime]) -> Iterable[datetime]:
        return self.moments


class Silent:
    """A source that does not say when it has something."""

    def poll(self, now: datetime) -> Iterable[SignalBatch]:
        raise NotImplementedError

    def settle(self, batch: SignalBatch, reports: Sequence[object]) -> None:
        raise NotImplementedError


class TestTimeline:
    ENDS = ends_of((4, 5, 6), 15, 18, 21)

    def test_the_next_moment_is_the_first_at_which_any_source_has_something(self) -> None:
        line = Timeline(self.ENDS, [Now(self.ENDS[4]), Now(self.ENDS[2], self.ENDS[7])])
        assert [line.next_wake(number) for number in range(9)] == [2, 2, 4, 4, 7, 7, 7, 9, 9]

    def test_a_source_that_does_not_say_may_have_something_at_each(self) -> None:
        line = Timeline(self.ENDS, [Now(self.ENDS[4]), Silent()])
        assert [line.next_wake(number) for number in (0, 4, 8)] == [1, 5, 9]

    def test_a_session_ends_with_its_last_moment(self) -> None:
        line = Timeline(self.ENDS, [])
        assert [line.session_last(number) for number in (0, 1, 2, 3, 8, 4)] == [2, 2, 2, 5, 8, 5]
        assert list(line.session_lasts(1, 8)) == [2, 5, 7]
        assert list(line.session_lasts(3, 3)) == []

    def test_a_moment_is_found_by_its_time(self) -> None:
        line = Timeline(self.ENDS, [])
        assert (line.at(None), line.at(self.ENDS[3]), line.at(self.ENDS[3] + DAY)) == (9, 3, 6)


def write_minutes(folder: Path, symbol: str, seed: int) -> None:
    """Write half hours of 60 sessions, from before the opening on, with holes."""
    dice, price, day = Random(seed), 80.0, date(2023, 1, 3)
    with (folder / f"{symbol}.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["time", "open", "high", "low", "close", "volume"])
        for _ in range(60):
            for number in range(15):
                if dice.random() < 0.05:
                    continue
                opening, price = price, price * (1 + dice.gauss(0, 0.008))
                high, low = max(opening, price) * 1.002, min(opening, price) * 0.998
                at = datetime.combine(day, time(9), NEW_YORK) + timedelta(minutes=30 * number)
                row = (f"{each:.2f}" for each in (opening, high, low, price))
                out.writerow([f"{at:%Y-%m-%d %H:%M}", *row, dice.randrange(5_000, 90_000)])
            day = next_session(day)


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minutes")
    for seed, symbol in enumerate(("AAA", "BBB", "CCC")):
        write_minutes(folder, symbol, seed)
    return folder


def settings_of(folder: Path, symbols: str, management: str) -> Settings:
    path = folder / "config.yaml"
    path.write_text(SCANNERS % (folder / "state", symbols, management))
    return read_settings(path)


def ask_nobody(*_: object) -> None:
    """Return that there may be something at each moment."""


MANAGED = "breakeven_at_r: 1, trailing: {activate_at_r: 1, distance_r: 1}"


@pytest.mark.parametrize("rule", [None, "breakout"])
@pytest.mark.parametrize("management", ["", MANAGED, "max_holding: {sessions: 3}", "flat_at_close: 30"])
@pytest.mark.parametrize("bars", ["demo", "minutes"])
def test_a_replay_that_visits_every_moment_is_the_same(  # noqa: PLR0917 - what is crossed
    tmp_path: Path, minutes: Path, monkeypatch: pytest.MonkeyPatch, rule: str | None, management: str, bars: str
) -> None:
    folder, symbols = (DEMO, "AAPL, IBM, MSFT") if bars == "demo" else (minutes, "AAA, BBB, CCC")
    chosen, options = settings_of(tmp_path, symbols, management), ReplayOptions(bars_dir=folder, rule=rule)
    passing = replay(chosen, options)
    monkeypatch.setattr(timeline, "_wakes_of", ask_nobody)
    monkeypatch.setattr(Replay, "_next_moment", lambda self: self._number + 1)
    assert replay(chosen, options) == passing
    assert passing.signals > 0


def test_quiet_moments_are_passed_over(tmp_path: Path, minutes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[datetime] = []
    step = Recorder.step

    def count(self: Recorder, at: datetime, *rest: object) -> None:
        visited.append(at)
        step(self, at, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Recorder, "step", count)
    report = replay(settings_of(tmp_path, "AAA, BBB, CCC", ""), ReplayOptions(bars_dir=minutes))
    assert report.trades
    assert len(visited) < report.steps * 0.6


def test_a_rule_of_time_is_asked_in_every_moment_while_something_is_held(tmp_path: Path, minutes: Path) -> None:
    chosen = settings_of(tmp_path, "AAA, BBB, CCC", "").replace(management=ManagementLimits(flat_at_close=30))
    report = replay(chosen, ReplayOptions(bars_dir=minutes, rule="breakout"))
    ended = [trade.exit_time.astimezone(NEW_YORK) for trade in report.trades if trade.exit_reason == "end_of_day"]
    assert ended
    assert {end.time() for end in ended} <= {time(15, 29, 59), time(15, 30), time(15, 59, 59)}
