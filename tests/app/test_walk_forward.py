"""Windows of past and future, the held-out end, and sweeps that go on after an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from apex_cli.app.kept_rows import KeptRows, SweepTask
from apex_cli.app.replayer import ReplayOptions
from apex_cli.app.sweep import PackedBars, pack_bars, read_grid, run_packed, run_task, sweep, tasks_of
from apex_cli.app.walk_forward import Span, Window, held_out, read_span, read_walk, walk_forward, windows_of
from apex_cli.core.errors import InputError
from apex_cli.core.reports.replay_report import SweepRow, best_first
from apex_cli.settings.load import load_settings
from apex_cli.settings.sections import Settings

DEMO = Path(__file__).resolve().parents[2] / "apex_cli" / "demo"


def tasks(folder: Path, text: str = "risk.max_position_pct: [0.05, 0.10]") -> list[SweepTask]:
    path = folder / "grid.yaml"
    path.write_text(text)

    def read(variables: Mapping[str, str]) -> Settings:
        return load_settings(None, environ={**variables, "HOME": str(folder)}, cwd=folder)

    return tasks_of(read_grid(path), ReplayOptions(bars_dir=DEMO), read)


class TestSpans:
    def test_years_and_months_are_those_of_the_calendar(self) -> None:
        assert read_span("1y").after(date(2024, 2, 29)) == date(2025, 2, 28)
        assert read_span("6m").before(date(2024, 8, 31)) == date(2024, 2, 29)
        assert read_span("2w").after(date(2024, 12, 25)) == date(2025, 1, 8)
        assert read_span("9999y").after(date(2024, 2, 29)) == date.max
        assert read_span("9999y").before(date(2024, 2, 29)) == date.min
        assert read_walk("3y/6m") == (Span(months=36), Span(months=6))

    @pytest.mark.parametrize("text", ["", "3", "y", "0y", "3 y", "-1y", "3y/1y"])
    def test_anything_else_is_none(self, text: str) -> None:
        with pytest.raises(InputError, match="no length of time"):
            read_span(text)

    def test_a_window_needs_both(self) -> None:
        with pytest.raises(InputError, match="one length of time"):
            read_walk("3y")


class TestWindows:
    def test_futures_follow_each_other_and_none_is_in_its_own_past(self) -> None:
        found = windows_of(date(2000, 1, 3), date(2005, 6, 30), read_span("3y"), read_span("1y"))
        assert found == [
            Window(date(2000, 1, 3), date(2003, 1, 2), date(2003, 1, 3), date(2004, 1, 2)),
            Window(date(2001, 1, 3), date(2004, 1, 2), date(2004, 1, 3), date(2005, 1, 2)),
            Window(date(2002, 1, 3), date(2005, 1, 2), date(2005, 1, 3), date(2005, 6, 30)),
        ]

    def test_the_ends_of_short_months_leave_no_gap(self) -> None:
        found = windows_of(date(2003, 6, 30), date(2004, 12, 31), read_span("6m"), read_span("2m"))
        assert all((after.test_first - before.test_last).days == 1 for before, after in pairwise(found))
        assert all((each.test_first - each.last).days == 1 for each in found)
        assert len(found) == 7

    def test_too_little_time_is_an_error(self) -> None:
        with pytest.raises(InputError, match="too short"):
            windows_of(date(2000, 1, 3), date(2000, 12, 30), read_span("1y"), read_span("1m"))

    def test_the_best_of_each_past_is_replayed_in_its_future(self, tmp_path: Path) -> None:
        made = tasks(tmp_path)
        asked: list[list[SweepTask]] = []

        def run(some: Sequence[SweepTask]) -> list[SweepRow]:
            asked.append(list(some))
            return sweep(some, jobs=1)

        windows = windows_of(date(2003, 3, 3), date(2004, 5, 1), read_span("6m"), read_span("4m"))
        rows = walk_forward(made, windows, run)
        past, future = asked
        assert [(task.options.first, task.options.last) for task in past[::2]] == [w[:2] for w in windows]
        assert [(task.options.first, task.options.last) for task in future] == [w[2:] for w in windows]
        for number, row in enumerate(rows):
            both = [run_task(task) for task in past[2 * number : 2 * number + 2]]
            assert row.past == best_first(both)[0]
            assert row.future == run_task(future[number])
            assert row.values == row.past.values == row.future.values


def test_what_is_held_out_follows_what_is_seen() -> None:
    seen, end = held_out(Settings(), ReplayOptions(bars_dir=DEMO), read_span("3m"))
    assert seen.last is not None
    assert end.first is not None
    assert (end.first - seen.last).days == 1
    with pytest.raises(InputError, match="Nothing is left"):
        held_out(Settings(), ReplayOptions(bars_dir=DEMO), read_span("9y"))
    with pytest.raises(InputError, match="Nothing is left"):
        held_out(Settings(), ReplayOptions(bars_dir=DEMO), read_span("9999y"))


class TestGoingOn:
    def test_rows_that_are_there_are_not_replayed_again(self, tmp_path: Path) -> None:
        made, path = tasks(tmp_path), tmp_path / "grid.yaml.rows"
        right = sweep(made, jobs=1)
        sweep(made[:1], jobs=1, kept=KeptRows(path))
        path.write_bytes(path.read_bytes() + b'\n{"inputs": "cut o')
        heard: list[tuple[int, int]] = []
        kept = KeptRows(path)
        assert len(kept) == 1
        assert sweep(made, jobs=1, kept=kept, on_done=lambda done, total: heard.append((done, total))) == right
        assert heard == [(2, 2)]
        assert len(KeptRows(path)) == 2
        kept.forget()
        assert not path.exists()

    def test_other_settings_days_or_bars_are_other_replays(self, tmp_path: Path) -> None:
        made = tasks(tmp_path)
        kept = KeptRows(tmp_path / "rows")
        kept.add(made[0], run_task(made[0]))
        known = KeptRows(tmp_path / "rows")
        assert known.row_of(made[0]) is not None
        assert known.row_of(made[1]) is None
        bars = tmp_path / "bars"
        bars.mkdir()
        for source in DEMO.glob("*.csv"):
            (bars / source.name).write_bytes(source.read_bytes())
        shorter = ReplayOptions(bars_dir=DEMO, last=date(2004, 3, 1))
        for options in (shorter, ReplayOptions(bars_dir=bars)):
            assert known.row_of(SweepTask(values={}, settings=made[0].settings, options=options)) is None

    def test_bars_that_are_kept_beside_their_files_are_no_others(self, tmp_path: Path) -> None:
        bars = tmp_path / "bars"
        bars.mkdir()
        (bars / "ACME.csv").write_bytes((DEMO / "AAPL.csv").read_bytes())
        task = SweepTask(values={}, settings=tasks(tmp_path)[0].settings, options=ReplayOptions(bars_dir=bars))
        KeptRows(tmp_path / "rows").add(task, run_task(task))
        (bars / ".apex-bars").mkdir(exist_ok=True)
        (bars / ".apex-bars" / "ACME.npy").write_bytes(b"")
        assert KeptRows(tmp_path / "rows").row_of(task) is not None

    def test_a_place_that_cannot_be_written_to_stops_nothing(self, tmp_path: Path) -> None:
        made = tasks(tmp_path)
        kept = KeptRows(tmp_path / "none" / "rows")
        assert sweep(made[:1], jobs=1, kept=kept) == [run_task(made[0])]


def test_bars_that_were_sent_give_the_same_row(tmp_path: Path) -> None:
    made = tasks(tmp_path)
    packed = pack_bars(DEMO)
    elsewhere = made[0].options.__class__(bars_dir=tmp_path / "gone")
    moved = SweepTask(values=made[0].values, settings=made[0].settings, options=elsewhere)
    assert run_packed(moved, packed) == run_task(made[0])
    assert isinstance(packed, PackedBars)
    assert pack_bars(DEMO).digest == packed.digest
    with pytest.raises(InputError, match="cannot be sent"):
        pack_bars(tmp_path / "gone")
