"""The manager and the predictor: when to train, what a prediction became, and what is only reported."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.adapters.files.models.model_files import ModelFiles
from apex_cli.core.errors import RefusedError, StateError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.prediction import Event, ModelInfo, ModelOutcome, Pointer, Prediction
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.signals.bar_history import History
from apex_cli.core.signals.context import Once, PipelineContext
from apex_cli.core.signals.model_manager import ModelManager, ModelRules
from apex_cli.core.signals.predictor import MLPredictor, ModelKeeper, Trainer
from kit import FixedClock
from kit.bars import ListBars, bars_of, wander
from kit.rig import make_signal

BARS = {name: bars_of(wander(seed, 300), name) for seed, name in enumerate(("AAPL", "IBM", "MSFT"), 3)}
DAYS = [bar.end for bar in BARS["AAPL"]]
THEN, END = DAYS[260], DAYS[-1]
SOURCE = ListBars(BARS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one model of three symbols, to be copied by nobody and changed by nobody."""
    folder = tmp_path_factory.mktemp("models") / "models"
    ModelManager(ModelFiles(folder), SOURCE, ModelRules(trees=10)).train(sorted(BARS), THEN)
    return folder


@pytest.fixture
def files(trained: Path, tmp_path: Path) -> ModelFiles:
    import shutil

    return ModelFiles(Path(shutil.copytree(trained, tmp_path / "models")))


def manager(files: ModelFiles, bars: Any = SOURCE, **how: Any) -> ModelManager:
    return ModelManager(files, bars, ModelRules(trees=10, **how))


def reader(files: ModelFiles) -> ModelManager:
    return ModelManager(files, SOURCE, ModelRules(), read_only=True)


def prediction(day: int, direction: int = 1, actual: int | None = None, version: int = 1) -> Prediction:
    return Prediction(
        symbol="AAPL",
        bar_end=DAYS[day],
        version=version,
        direction=direction,
        probability=0.6,
        close=float(BARS["AAPL"][day].close),
        made_at=DAYS[day],
        actual=actual,
    )


def outcome(name: str, *, right: bool = True, chance: str = "0.6") -> ModelOutcome:
    return ModelOutcome(
        round_trip_id=name, direction=1, probability=Decimal(chance), was_right=right, r=Decimal(1), closed_at=THEN
    )


class Bench:
    """A predictor over bars and models, and what it said."""

    def __init__(
        self,
        manager: ModelManager,
        *,
        now: datetime = THEN,
        required: bool = False,
        least: str = "0",
        bars: Any = SOURCE,
        are_fixed: bool = False,
    ) -> None:
        self.said: list[Reason] = []
        self.clock = FixedClock(now)
        self.context = PipelineContext(
            clock=self.clock, bars=bars, state_dir=Path("unused"), notice=Once(self.said.append), is_required=required
        )
        history = History(bars, are_fixed=are_fixed)
        self.stage = MLPredictor(self.context, history, manager, min_probability=Decimal(least))

    def judge(self, symbol: str = "AAPL", **signal: Any) -> Signal | Reason:
        return asyncio.run(self.stage.process(make_signal(symbol, now=THEN, **signal)))


class TestPredicting:
    def test_a_signal_learns_direction_probability_and_model(self, files: ModelFiles) -> None:
        answer = Bench(manager(files)).judge(metadata={"mine": 1, "predictor_target_first": 0.9})
        assert isinstance(answer, Signal)
        assert "predictor_target_first" not in answer.metadata  # of an earlier look
        assert answer.metadata["mine"] == 1
        assert answer.metadata["predictor_direction"] in {1, -1}
        assert 0 <= answer.metadata["predictor_probability"] <= 1
        assert answer.metadata["predictor_model"] == 1
        assert answer == Bench(manager(files)).judge(metadata={"mine": 1})

    def test_later_bars_change_nothing(self, files: ModelFiles) -> None:
        short = ListBars({"AAPL": BARS["AAPL"][:261]})
        assert Bench(manager(files), bars=short).judge() == Bench(manager(files)).judge()

    def test_told_what_is_due_it_says_the_same_of_each_bar(self, files: ModelFiles) -> None:
        told = Bench(reader(files), now=DAYS[95] - LAST_SECOND, are_fixed=True)
        told.stage.foresee({"AAPL": DAYS[95:290:3], "NONE": DAYS[:1]})
        for at in range(95, 290, 8):  # every third was told
            told.clock.advance(DAYS[at] - LAST_SECOND - told.clock.now())
            beginning = ListBars({"AAPL": BARS["AAPL"][: at + 1]})
            assert told.judge() == Bench(reader(files), now=told.clock.now(), bars=beginning).judge()

    def test_what_was_said_is_kept_once_a_bar(self, files: ModelFiles) -> None:
        bench = Bench(manager(files))
        for number in range(3):
            bench.judge(signal_id=str(number))
        (kept,) = files.predictions()
        assert (kept.symbol, kept.bar_end, kept.version, kept.actual) == ("AAPL", THEN, 1, None)

    def test_a_dry_run_keeps_nothing(self, files: ModelFiles) -> None:
        Bench(ModelManager(files, SOURCE, ModelRules(), read_only=True)).judge()
        assert files.predictions() == ()

    def test_a_least_probability_refuses_the_other_way(self, files: ModelFiles) -> None:
        sides = [SignalType.BUY, SignalType.SHORT]
        answers = [Bench(manager(files), least="0.5").judge(side=side) for side in sides]
        refused = [answer for answer in answers if isinstance(answer, Reason)]
        assert [reason.code for reason in refused] == ["predictor_disagrees"]
        assert float(refused[0].value or 1) < 0.5

    def test_without_a_model_signals_pass_with_one_warning(self, tmp_path: Path) -> None:
        bench = Bench(manager(ModelFiles(tmp_path / "none")))
        for symbol in ("AAPL", "IBM", "MSFT"):
            assert bench.judge(symbol) == make_signal(symbol, now=THEN)
        (said,) = bench.said
        assert said.code == "model_missing"
        assert "apex model train" in said.message
        assert isinstance(Bench(manager(ModelFiles(tmp_path)), required=True).judge(), Reason)

    def test_a_corrupt_model_is_reported_once_and_not_read_again(self, files: ModelFiles) -> None:
        path = files.folder / "model-0001.skops"
        path.write_bytes(path.read_bytes()[:-100])
        bench = Bench(manager(files))
        for symbol in ("AAPL", "IBM"):
            assert bench.judge(symbol) == make_signal(symbol, now=THEN)
        assert [said.code for said in bench.said] == ["model_unusable"]
        assert "damaged" in bench.said[0].message
        assert "rollback" in bench.said[0].message

    def test_a_new_model_is_used_without_a_restart(self, files: ModelFiles) -> None:
        bench = Bench(manager(files))
        assert isinstance(first := bench.judge(), Signal)
        manager(files).train(["AAPL", "IBM"], THEN)
        assert isinstance(second := bench.judge(), Signal)
        assert (first.metadata["predictor_model"], second.metadata["predictor_model"]) == (1, 2)

    @pytest.mark.parametrize(
        ("bars", "code"),
        [
            ([], "bars_missing"),
            (BARS["AAPL"][:50], "features_missing"),
            (
                [replace(bar, volume=Decimal("NaN")) if n == 200 else bar for n, bar in enumerate(BARS["AAPL"][:261])],
                "features_missing",
            ),
        ],
    )
    def test_a_symbol_that_cannot_be_judged_passes_with_one_warning(
        self, files: ModelFiles, bars: list[Any], code: str
    ) -> None:
        bench = Bench(manager(files), bars=ListBars({**BARS, "AAPL": bars}))
        for number in range(2):
            assert bench.judge(signal_id=str(number)) == make_signal(now=THEN, signal_id=str(number))
        assert [said.code for said in bench.said] == [code]
        assert isinstance(bench.judge("IBM"), Signal)


class TestLookingBack:
    def test_a_prediction_is_resolved_by_the_next_bar_once_it_has_ended(self, files: ModelFiles) -> None:
        files.keep_predictions((prediction(200), prediction(260)))
        assert manager(files).resolve(DAYS[201] - timedelta(seconds=1)) == 0
        assert manager(files).resolve(DAYS[201]) == 1
        rose = BARS["AAPL"][201].close > BARS["AAPL"][200].close
        assert [one.actual for one in files.predictions()] == [1 if rose else -1, None]

    def test_a_prediction_whose_bar_never_comes_is_given_up(self, files: ModelFiles) -> None:
        files.keep_predictions((replace(prediction(200), symbol="GONE"),))
        keeper = manager(files)
        keeper.resolve(DAYS[200] + timedelta(days=30))
        assert len(files.predictions()) == 1
        keeper.resolve(DAYS[200] + timedelta(days=31))
        assert files.predictions() == ()

    def test_accuracy_is_that_of_the_model_in_use_and_of_the_latest(self, files: ModelFiles) -> None:
        others = [prediction(n, actual=-1, version=7) for n in range(20)]
        mine = [prediction(n, actual=-1) for n in range(50)] + [prediction(n, actual=1) for n in range(50, 110)]
        files.keep_predictions((*others, *mine, prediction(111)))
        seen = manager(files).accuracy()
        assert (seen.resolved, seen.right, seen.pending, seen.share) == (100, 60, 1, 0.6)


class TestTraining:
    def test_a_model_is_due_when_there_is_none_and_when_it_is_old(self, files: ModelFiles, tmp_path: Path) -> None:
        missing = manager(ModelFiles(tmp_path / "none")).due(THEN)
        assert missing is not None
        assert missing.code == "model_missing"
        keeper = manager(files)
        assert keeper.due(THEN + timedelta(days=7)) is None
        old = keeper.due(THEN + timedelta(days=7, seconds=1))
        assert old is not None
        assert old.code == "model_old"

    @pytest.mark.parametrize(("right", "total", "is_due"), [(55, 100, False), (54, 100, True), (0, 99, False)])
    def test_it_is_due_when_too_often_wrong_in_a_hundred(
        self, files: ModelFiles, right: int, total: int, is_due: bool
    ) -> None:
        files.keep_predictions([prediction(n, actual=1 if n < right else -1) for n in range(total)])
        reason = manager(files).due(THEN)
        assert (reason is not None and reason.code == "model_inaccurate") is is_due

    def test_after_a_rollback_a_person_s_choice_stands(self, files: ModelFiles) -> None:
        keeper = manager(files)
        keeper.train(["AAPL", "IBM"], THEN)
        later = THEN + timedelta(days=20)
        assert keeper.roll_back(later).version == 1
        assert files.pointer() == Pointer(version=1, rolled_back_at=later)
        assert keeper.due(later + timedelta(days=7)) is None
        assert keeper.due(later + timedelta(days=8)) is not None
        with pytest.raises(RefusedError, match="no version before 1"):
            keeper.roll_back(later)
        assert keeper.roll_back(later, to=2).version == 2
        with pytest.raises(RefusedError, match="no version 9"):
            keeper.roll_back(later, to=9)

    def test_training_sees_nothing_after_now_and_reports_whom_it_left_out(self, files: ModelFiles) -> None:
        info, left_out = manager(files).train(["AAPL", "IBM", "GONE"], THEN)
        assert info.last_bar == DAYS[259]
        assert info.symbols == ("AAPL", "IBM")
        assert [reason.code for reason in left_out] == ["bars_missing"]
        known = {symbol: bars[:261] for symbol, bars in BARS.items()}
        again, _ = manager(files, ListBars(known)).train(["AAPL", "IBM"], THEN)
        assert again.metrics == info.metrics

    def test_too_little_is_refused_and_the_old_model_stays(self, files: ModelFiles) -> None:
        with pytest.raises(RefusedError, match="200 are needed"):
            manager(files).train(["AAPL"], DAYS[150])
        assert files.pointer() == Pointer(version=1)

    def test_a_model_knows_what_it_was_made_of(self, trained: Path) -> None:
        (info,) = ModelFiles(trained).versions()
        assert isinstance(info, ModelInfo)
        assert info.samples > 400
        assert info.first_bar < info.test_from < info.last_bar <= THEN
        assert {"direction_accuracy", "brier_score", "accuracy_of_majority"} <= set(info.metrics)


class Remote:
    """A training elsewhere that ends as reported."""

    def __init__(self, *outcomes: str | None) -> None:
        self.outcomes = list(outcomes)
        self.started = 0

    def trainer(self) -> Trainer:
        return Trainer(self.start, lambda: self.outcomes.pop(0))

    def start(self) -> None:
        self.started += 1


class FullDisk(ModelFiles):
    """Models on a disk that has no room for predictions."""

    def keep_predictions(self, predictions: Sequence[Prediction]) -> None:
        raise StateError("state_disk_full", f"{self.folder}: no space left for {len(predictions)} predictions.")


class TestKeeping:
    def tend(self, keeper: ModelKeeper, times: Sequence[datetime]) -> None:
        for now in times:
            assert asyncio.run(keeper.tend(now)) is False

    def test_a_loop_starts_one_training_and_waits_for_it(self, files: ModelFiles) -> None:
        remote = Remote(None, None, "")
        bench = Bench(manager(files))
        keeper = ModelKeeper(bench.context, manager(files), remote.trainer())
        start = THEN + timedelta(days=8)
        self.tend(keeper, [start + timedelta(minutes=11 * n) for n in range(4)])
        assert remote.started == 1
        assert bench.said == []

    def test_a_failed_training_is_reported_and_tried_again_hours_later(self, files: ModelFiles) -> None:
        remote = Remote("Error: too little", None, "Error: too little")
        bench = Bench(manager(files))
        keeper = ModelKeeper(bench.context, manager(files), remote.trainer())
        start = THEN + timedelta(days=8)
        self.tend(keeper, [start, start + timedelta(hours=1), start + timedelta(hours=2)])
        assert remote.started == 1
        assert [said.code for said in bench.said] == ["training_failed"]
        self.tend(keeper, [start + timedelta(hours=7), start + timedelta(hours=8), start + timedelta(hours=9)])
        assert remote.started == 2

    def test_without_a_trainer_it_says_so_once_and_predictions_are_resolved(self, files: ModelFiles) -> None:
        files.keep_predictions((prediction(200),))
        bench = Bench(manager(files))
        keeper = ModelKeeper(bench.context, manager(files))
        start = THEN + timedelta(days=8)
        self.tend(keeper, [start, start + timedelta(minutes=1), start + timedelta(hours=1)])
        assert [said.code for said in bench.said] == ["model_old"]
        assert files.predictions()[0].actual is not None

    def test_a_training_that_cannot_be_started_ends_no_run_and_is_tried_again(self, files: ModelFiles) -> None:
        starts: list[int] = []

        def start() -> None:
            starts.append(1)
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

        bench = Bench(manager(files))
        keeper = ModelKeeper(bench.context, manager(files), Trainer(start, lambda: None))
        begin = THEN + timedelta(days=8)
        self.tend(keeper, [begin, begin + timedelta(hours=1), begin + timedelta(hours=7)])
        assert len(starts) == 2
        assert [said.code for said in bench.said] == ["training_failed"]
        assert os.strerror(errno.ENOMEM) in bench.said[0].message

    def test_a_file_that_cannot_be_written_ends_no_run(self, files: ModelFiles) -> None:
        files.keep_predictions((prediction(200),))
        full = manager(FullDisk(files.folder))
        bench = Bench(full)
        keeper = ModelKeeper(bench.context, full)
        self.tend(keeper, [THEN + timedelta(days=8)])
        assert [said.code for said in bench.said] == ["predictions_unkept", "model_old"]


class TestHearing:
    def test_what_trades_on_its_calls_brought_is_kept_once_a_trade(self, files: ModelFiles) -> None:
        mine = manager(files)
        mine.learn((outcome("a"), outcome("b", right=False)), THEN)
        mine.learn((outcome("b"), outcome("c")), END)  # reported again, corrected since
        assert [(one.round_trip_id, one.was_right) for one in manager(files).store.outcomes()] == [
            ("a", True),
            ("b", True),
            ("c", True),
        ]

    def test_a_dry_run_keeps_none(self, files: ModelFiles) -> None:
        ModelManager(files, SOURCE, ModelRules(), read_only=True).learn((outcome("a"),), THEN)
        assert files.outcomes() == ()

    def test_the_record_is_that_of_the_model_in_use(self, files: ModelFiles) -> None:
        mine, other = prediction(250, actual=1), prediction(251, actual=-1)
        files.keep_predictions([mine, other, prediction(252), prediction(253, actual=1, version=9)])
        assert list(manager(files).record()) == [(0.6, True), (0.6, False)]


class TestTheTradeItself:
    @pytest.fixture
    def choosing(self, files: ModelFiles) -> ModelFiles:
        """Return models of which the one of targets was chosen."""
        info = files.versions()[0]
        path = files.folder / "model-0001.json"
        path.write_bytes(msgspec.json.encode(replace(info, event=Event.TARGET_FIRST)))
        return files

    def signal(self, **more: Any) -> dict[str, Any]:
        close = BARS["AAPL"][260].close
        return {"entry": str(close), "stop": str(close - 2), "targets": (str(close + 4),), **more}

    def test_training_judges_it_beside_the_next_bar(self, files: ModelFiles) -> None:
        (info,) = files.versions()
        names = {"target_log_loss", "target_log_loss_next_bar", "target_log_loss_distances", "target_trades"}
        assert names <= info.metrics.keys()
        assert info.event is Event.NEXT_BAR  # random walks: nothing to find
        assert info.is_refitted
        assert sum(each.count for each in info.calibration) > 0

    def test_a_chosen_one_speaks_of_the_target_and_of_a_coin_worth_as_much(self, choosing: ModelFiles) -> None:
        answer = Bench(manager(choosing)).judge(**self.signal())
        assert isinstance(answer, Signal)
        chance = answer.metadata["predictor_target_first"]
        assert isinstance(chance, float)
        even = 2 * chance / (2 * chance + 1 - chance)  # stop 2, target 4
        said = answer.metadata["predictor_probability"]
        assert said == pytest.approx(max(even, 1 - even), abs=1e-5)
        assert answer.metadata["predictor_direction"] == (1 if even >= 0.5 else -1)
        assert len(choosing.predictions()) == 1  # the next bar is still predicted, and looked back at

    def test_a_short_is_asked_about_as_a_short(self, choosing: ModelFiles) -> None:
        close = BARS["AAPL"][260].close
        bench = Bench(manager(choosing))
        answer = bench.judge(
            **self.signal(side=SignalType.SHORT, stop=str(close + 2), targets=(str(close - 4),), signal_id="short")
        )
        long = bench.judge(**self.signal())
        assert isinstance(answer, Signal)
        assert isinstance(long, Signal)
        assert answer.metadata["predictor_target_first"] != long.metadata["predictor_target_first"]

    def test_a_least_probability_measures_the_trade(self, choosing: ModelFiles) -> None:
        answer = Bench(manager(choosing), least="0.99").judge(**self.signal())
        assert isinstance(answer, Reason)
        assert "where 0.50 earns nothing before costs" in answer.message

    def test_levels_of_an_option_say_nothing_of_its_underlying(self, choosing: ModelFiles) -> None:
        answer = Bench(manager(choosing)).judge(**self.signal(market=MarketType.OPTIONS))
        assert isinstance(answer, Signal)
        assert "predictor_target_first" not in answer.metadata

    def test_a_model_of_an_older_version_predicts_the_next_bar(self, files: ModelFiles) -> None:
        path = files.folder / "model-0001.json"
        known = json.loads(path.read_text())
        for name in ("event", "is_refitted", "calibration"):
            known.pop(name, None)
        path.write_text(json.dumps(known))
        answer = Bench(manager(files)).judge(**self.signal())
        assert isinstance(answer, Signal)
        assert "predictor_target_first" not in answer.metadata
        info = files.versions()[0]
        assert (info.event, info.is_refitted, info.calibration) == (Event.NEXT_BAR, False, ())
