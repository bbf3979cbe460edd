"""A replay with what a run is configured with: scanners, steps, a stored model, management of positions."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.app import pipeline, replayer
from apex_cli.app.replayer import Replay, ReplayOptions, foreknowledge, replay
from apex_cli.app.resources import read_settings
from apex_cli.core.adapters.files.models.model_files import ModelFiles
from apex_cli.core.adapters.files.models.pinned_models import PinnedModels
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.errors import ConfigError
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.prediction import ModelInfo, Pointer
from apex_cli.core.signals.model_manager import ModelManager, ModelRules
from apex_cli.settings.brokers import CommissionModel
from apex_cli.settings.sections import Settings

D = Decimal
DEMO = Path(__file__).resolve().parents[2] / "apex_cli" / "demo"
WHOLE = ReplayOptions(bars_dir=DEMO)
SYMBOLS = ("AAPL", "IBM", "MSFT")
NOTHING: dict[str, Any] = {"direction": None, "probability": None}
CONFIG = """
state: {dir: %s}
simulation: {commission: none}
pipeline: {stages: [%s]}
scanners:
  watch_list: [AAPL, IBM, MSFT]
  target_atr: 5
  mean_reversion: {short: true}
management:
  trailing: {activate_at_r: 1, distance_r: 1}
"""


def configured(folder: Path, stages: str = "technical") -> Settings:
    path = folder / "config.yaml"
    path.write_text(CONFIG % (folder / "state", stages))
    return read_settings(path)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return configured(tmp_path_factory.mktemp("chosen"))


@pytest.fixture(scope="module")
def whole(chosen: Settings) -> Any:
    return replay(chosen, WHOLE)


def test_the_scanners_of_the_configuration_trade_through_its_steps(whole: Any) -> None:
    assert {trade.strategy for trade in whole.trades} >= {"momentum_breakout", "trend_following"}
    assert whole.refusals["technical_weak"] > 0
    assert "trail" in {trade.exit_reason for trade in whole.trades}


def test_the_same_settings_give_the_same_report(whole: Any, chosen: Settings) -> None:
    assert replay(chosen, WHOLE) == whole


@pytest.mark.parametrize("sessions", [130, 201, 260])
def test_later_bars_change_nothing_earlier(tmp_path: Path, whole: Any, chosen: Settings, sessions: int) -> None:
    last = whole.curve[sessions].at.date()
    bars = tmp_path / "bars"
    bars.mkdir()
    for path in DEMO.glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        kept = [row for row in rows if row.partition(",")[0] <= last.isoformat()]
        (bars / path.name).write_text("\n".join([head, *kept]))
    short = replay(chosen, ReplayOptions(bars_dir=bars))
    assert short.trades == tuple(trade for trade in whole.trades if trade.exit_time.date() <= last)
    assert short.curve == tuple(point for point in whole.curve if point.at.date() <= last)
    assert short.adaptations == tuple(one for one in whole.adaptations if one.made_at.date() <= last)


def test_told_beforehand_what_is_due_or_not_a_replay_is_the_same(
    tmp_path: Path, whole: Any, chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in DEMO.glob("*.csv"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(replayer, "foresee", lambda *_: None)
    alone = replay(chosen, ReplayOptions(bars_dir=tmp_path))
    assert alone.trades
    assert (alone.trades, alone.outcomes, alone.refusals) == (whole.trades, whole.outcomes, whole.refusals)


def test_a_named_rule_takes_the_place_of_the_scanners(chosen: Settings) -> None:
    report = replay(chosen, ReplayOptions(bars_dir=DEMO, rule="breakout", last=date(2004, 3, 1)))
    assert {trade.strategy for trade in report.trades} == {"breakout"}


def test_scanners_without_their_library_are_reported_and_never_replaced_by_a_rule(
    monkeypatch: pytest.MonkeyPatch, chosen: Settings
) -> None:
    monkeypatch.setattr(pipeline, "missing", list)
    report = replay(chosen, WHOLE)
    assert report.signals == 0
    assert any("[ta]" in problem for problem in report.problems)


def test_a_step_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        replay(configured(tmp_path, "nonsense"), WHOLE)


class TestManagement:
    """Section ``management`` acts on the baseline rule's trades."""

    @staticmethod
    def trades(management: ManagementLimits) -> Any:
        simulation = replace(Settings().simulation, commission=CommissionModel.NONE)
        return replay(Settings().replace(simulation=simulation, management=management), WHOLE).trades

    def test_a_stop_at_the_entry_price_ends_trades_at_nothing(self) -> None:
        moved = self.trades(ManagementLimits(breakeven_at_r=D(1)))
        assert any(trade.r_multiple == 0 for trade in moved)

    def test_a_time_exit_ends_them(self) -> None:
        limits = ManagementLimits()
        closed = self.trades(replace(limits, max_holding=replace(limits.max_holding, sessions=3)))
        assert any(trade.exit_reason == "time_exit" for trade in closed)
        assert all((trade.exit_time - trade.entry_time).days <= 7 for trade in closed)

    def test_targets_in_r_close_parts(self) -> None:
        limits = ManagementLimits()
        wanted = replace(limits.scale_out, targets_r=(D(2), D(3)), override=True)
        taken = [trade for trade in self.trades(replace(limits, scale_out=wanted)) if trade.exit_reason == "target"]
        assert taken
        assert all(trade.r_multiple <= 3 for trade in taken)


@pytest.fixture(scope="module")
def with_model(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings whose stored model was trained on the bars of the demo up to the first of March 2004."""
    settings = configured(tmp_path_factory.mktemp("model"), "technical, predictor")
    rules = ModelRules(min_samples=50, trees=10)
    manager = ModelManager(ModelFiles(settings.state.dir / "models"), CsvBars(DEMO), rules)
    manager.train(SYMBOLS, datetime(2004, 3, 1, 21, 0, tzinfo=UTC))
    return settings


class TestPredictor:
    def test_a_model_that_learned_from_the_period_is_reported_as_seen_before(self, with_model: Settings) -> None:
        report = replay(with_model, WHOLE)
        assert "seen before" in report.problems[0]

    def test_a_sweep_can_report_so_too(self, with_model: Settings, chosen: Settings) -> None:
        reported = foreknowledge(with_model, WHOLE)
        assert reported is not None
        assert reported.code == "model_seen_before"
        assert foreknowledge(with_model, ReplayOptions(bars_dir=DEMO, first=date(2004, 3, 2))) is None
        assert foreknowledge(chosen, WHOLE) is None

    def test_a_model_of_earlier_bars_predicts_without_a_warning_and_nothing_is_written(
        self, with_model: Settings
    ) -> None:
        before = files(with_model.state.dir)
        one = Replay(with_model, ReplayOptions(bars_dir=DEMO, first=date(2004, 3, 2)))
        report = one_pass(one)
        assert not any("Model" in problem or "model" in problem for problem in report.problems)
        lessons = list(one._store.view().lessons.values())
        assert lessons
        assert all(lesson.conditions.predictor_probability is not None for lesson in lessons)
        assert files(with_model.state.dir) == before

    def test_without_a_model_it_is_said_and_signals_go_on(self, tmp_path: Path) -> None:
        settings = configured(tmp_path, "predictor")
        report = replay(settings, WHOLE)
        assert any("no trained model yet" in problem for problem in report.problems)
        assert report.trades
        assert not settings.state.dir.exists()


def one_pass(one: Replay) -> Any:
    return asyncio.run(one.run())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def info_of(first: date, last: date) -> ModelInfo:
    at = [datetime(day.year, day.month, day.day, 21, tzinfo=UTC) for day in (first, last)]
    return ModelInfo(
        version=1,
        trained_at=at[1],
        symbols=SYMBOLS,
        samples=100,
        features=(),
        first_bar=at[0],
        last_bar=at[1],
        test_from=at[1],
        metrics={},
        libraries={},
    )


class TestPinnedModels:
    PERIOD = datetime(2004, 1, 2, 21, tzinfo=UTC), datetime(2004, 6, 30, 20, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("first", "last", "said"),
        [
            (date(2003, 1, 2), date(2004, 1, 1), None),
            (date(2003, 1, 2), date(2004, 1, 2), "seen before"),
            (date(2004, 2, 2), date(2004, 3, 1), "seen before"),
            (date(2004, 7, 1), date(2005, 3, 1), "later than what is replayed"),
        ],
    )
    def test_says_when_it_knows_more_than_the_day(
        self, tmp_path: Path, first: date, last: date, said: str | None
    ) -> None:
        store = ModelFiles(tmp_path)
        store.save(NOTHING, info_of(first, last), keep=1)
        reported = PinnedModels(store).foreknowledge(*self.PERIOD)
        assert (reported is None) if said is None else (reported is not None and said in reported.message)

    def test_stays_with_the_version_of_the_start(self, tmp_path: Path) -> None:
        store = ModelFiles(tmp_path)
        store.save(NOTHING, info_of(date(2003, 1, 2), date(2003, 6, 2)), keep=5)
        pinned = PinnedModels(store)
        store.save(NOTHING, info_of(date(2003, 1, 2), date(2004, 6, 2)), keep=5)
        assert pinned.pointer() == Pointer(version=1)
        assert len(pinned.versions()) == 1
        assert PinnedModels(store).pointer() == Pointer(version=2)

    @pytest.mark.parametrize(
        "change",
        [
            lambda pinned: pinned.point_to(Pointer(version=1)),
            lambda pinned: pinned.save(NOTHING, info_of(date(2003, 1, 2), date(2003, 6, 2)), keep=1),
            lambda pinned: pinned.keep_predictions(()),
        ],
    )
    def test_is_for_reading(self, tmp_path: Path, change: Callable[[PinnedModels], None]) -> None:
        with pytest.raises(RuntimeError, match="for reading"):
            change(PinnedModels(ModelFiles(tmp_path)))
