"""ModelManager: the model in use, its recent quality, and whether to train a new one.

This module needs neither numpy nor scikit-learn; what does is imported where models are used or trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from apex_cli.core.errors import ApexError, RefusedError
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.prediction import Accuracy, Event, ModelInfo, ModelOutcome, Pointer, Prediction
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal, market_view
from apex_cli.core.ports import BarSource, ModelStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from apex_cli.core.analysis.calibration import Pair
    from apex_cli.core.analysis.frame import Frame
    from apex_cli.core.signals.bar_history import Known

KEPT_PREDICTIONS = KEPT_OUTCOMES = 1000
LONGEST_WAIT = timedelta(days=30)
"""A prediction whose next bar does not come is given up after that long."""

DIGITS = 6


class ModelRules(NamedTuple):
    """When to train, and on what."""

    max_age: timedelta = timedelta(days=7)
    min_accuracy: float = 0.55
    accuracy_window: int = 100
    min_samples: int = 200
    embargo_bars: int = 5
    keep_versions: int = 5
    history_bars: int = 1000
    trees: int = 100


class TradeCall(NamedTuple):
    """What a model says of a trade."""

    target_first: float
    """Probability that the target comes before the stop."""

    even: float
    """The same beside a price without drift: 0.5 where it is as likely, above it where the trade earns before costs."""


class ModelManager:
    """Loads, trains, rolls back, and keeps count of predictions."""

    def __init__(
        self, store: ModelStore, bars: BarSource | None, rules: ModelRules, *, read_only: bool = False
    ) -> None:
        """Keep the parts; with *read_only* no prediction is recorded."""
        self.store = store
        self.rules = rules
        self._bars = bars
        self._read_only = read_only
        self._loaded: tuple[int, dict[str, Any]] | None = None
        self._unusable: tuple[int, Reason] | None = None
        self._said: dict[str, Prediction] = {}
        """The last prediction of each symbol: of the same bar the same model says the same."""

        self._calls: WeakKeyDictionary[Frame, tuple[int, dict[int, tuple[int, float] | None]]] = WeakKeyDictionary()

    # Use

    def models(self) -> tuple[int, dict[str, Any]] | Reason:
        """Return the version in use and its models, or why there are none; a file that failed is not read again."""
        from apex_cli.core.analysis.features import FEATURES  # noqa: PLC0415 - status needs no numpy

        pointer = self.store.pointer()
        if pointer is None:
            return Reason(code="model_missing", message="There is no trained model yet: apex model train.")
        version = pointer.version
        if self._loaded is not None and self._loaded[0] == version:
            return self._loaded
        if self._unusable is not None and self._unusable[0] == version:
            return self._unusable[1]
        try:
            self._loaded = version, self.store.load(version, FEATURES)
        except ApexError as error:
            self._unusable = version, Reason(code=error.code, message=f"{error.message} {error.hint}".strip())
            return self._unusable[1]
        return self._loaded

    def predict(self, known: Known, now: datetime, among: NDArray[np.int64] | None = None) -> Prediction | Reason:
        """Return what the model in use says of the bar after the last that is *known*, and keep it in mind.

        *among* are numbers of bars that will be asked about: with the first of them the model is asked about all.
        """
        found = self.models()
        if isinstance(found, Reason):
            return found
        version, models = found
        frame, end = known.frame, _moment(known.end)
        said = self._said.get(frame.symbol)
        if said is not None and said.version == version and said.bar_end == end:
            return said
        call = self._call(known, version, models, among)
        if call is None:
            return Reason(code="features_missing", message=f"The bars of {frame.symbol} do not give every feature.")
        direction, probability = call
        prediction = Prediction(
            symbol=frame.symbol,
            bar_end=end,
            version=version,
            direction=direction,
            probability=round(probability, DIGITS),
            close=float(frame.close[known.length - 1]),
            made_at=now,
        )
        self._record(prediction)
        self._said[frame.symbol] = prediction
        return prediction

    def _call(
        self, known: Known, version: int, models: dict[str, Any], among: NDArray[np.int64] | None
    ) -> tuple[int, float] | None:
        """Return direction and probability after the last bar that is *known*; None where a feature is missing."""
        import numpy as np  # noqa: PLC0415 - status needs no numpy

        from apex_cli.core.analysis.training import predict  # noqa: PLC0415 - nor scikit-learn

        of_version, calls = self._calls.get(known.frame, (version, {}))
        if of_version != version:
            calls = {}
        last = known.length - 1
        if last not in calls:
            at = np.array([last]) if among is None or last not in among else among
            rows, is_good = _rows_of(known.frame, at)
            calls.update(dict.fromkeys(at.tolist()))
            if len(rows):
                calls.update(zip(at[is_good].tolist(), predict(models, rows), strict=True))
        self._calls[known.frame] = version, calls
        return calls[last]

    def _record(self, new: Prediction) -> None:
        """Keep *new* unless this model said something of this bar already."""
        if self._read_only:
            return
        known = self.store.predictions()
        if not any(_key(one) == _key(new) for one in known):
            self.store.keep_predictions((*known, new)[-KEPT_PREDICTIONS:])

    def info(self) -> ModelInfo | None:
        """Return what is known of the model in use; None without one."""
        pointer = self.store.pointer()
        return next((info for info in self.store.versions() if pointer and info.version == pointer.version), None)

    def call_trade(self, known: Known, signal: Signal) -> TradeCall | None:
        """Return what the model in use says of the trade itself; None where it predicts the next bar alone.

        The distances of stop and first target are counted from the signal's entry, in average true ranges; those of an
        option say nothing about its underlying's.
        """
        found, info = self.models(), self.info()
        if isinstance(found, Reason) or info is None or info.event is not Event.TARGET_FIRST:
            return None
        if signal.instrument.market_type is MarketType.OPTIONS or not signal.target_prices:
            return None
        from apex_cli.core.analysis.barriers import trade_row  # noqa: PLC0415 - status needs no numpy
        from apex_cli.core.analysis.features import features_of  # noqa: PLC0415 - same
        from apex_cli.core.analysis.indicators import indicators_of  # noqa: PLC0415 - same
        from apex_cli.core.analysis.target_training import against_fair, predict_target  # noqa: PLC0415 - same

        last = known.length - 1
        unit = float(indicators_of(known.frame).atr[last])
        stop, target = (float(abs(price - signal.entry_price)) for price in (signal.stop_loss, signal.target_prices[0]))
        model = found[1].get("target")
        if model is None or not unit > 0 or not stop or not target:
            return None
        row = trade_row(features_of(known.frame)[last], market_view(signal), stop / unit, target / unit)
        chance = predict_target(model, row)
        return TradeCall(round(chance, DIGITS), round(against_fair(chance, stop, target), DIGITS))

    # Looking back

    def learn(self, outcomes: tuple[ModelOutcome, ...], now: datetime) -> None:
        """Keep what trades on predictions brought; each trade once, however often it is reported."""
        del now
        if self._read_only or not outcomes:
            return
        known = {one.round_trip_id: one for one in self.store.outcomes()}
        known |= {one.round_trip_id: one for one in outcomes}
        self.store.keep_outcomes(tuple(known.values())[-KEPT_OUTCOMES:])

    def record(self) -> Sequence[Pair]:
        """Return the resolved predictions of the model in use: the probability given, and whether it came true."""
        pointer = self.store.pointer()
        mine = (one for one in self.store.predictions() if pointer is not None and one.version == pointer.version)
        return [(one.probability, one.is_right) for one in mine if one.actual is not None]

    def resolve(self, now: datetime) -> int:
        """Find out what became of predictions whose next bar has ended by *now*; return how many were resolved."""
        if self._read_only or self._bars is None:
            return 0
        known = self.store.predictions()
        settled = [self._settled(one, now) for one in known]
        kept = [one for one in settled if one.actual is not None or now - one.bar_end <= LONGEST_WAIT]
        if list(known) != kept:
            self.store.keep_predictions(kept)
        return sum(1 for before, after in zip(known, settled, strict=True) if before != after)

    def _settled(self, prediction: Prediction, now: datetime) -> Prediction:
        if prediction.actual is not None or self._bars is None:
            return prediction
        try:
            following = self._bars.bars(prediction.symbol, after=prediction.bar_end, until=now)
        except ApexError:
            return prediction
        if not following:
            return prediction
        return replace(prediction, actual=1 if float(following[0].close) > prediction.close else -1)

    def accuracy(self) -> Accuracy:
        """Return how often the model in use was right in its latest predictions, no more than the window holds."""
        pointer = self.store.pointer()
        mine = [one for one in self.store.predictions() if pointer is not None and one.version == pointer.version]
        resolved = [one for one in mine if one.actual is not None][-self.rules.accuracy_window :]
        return Accuracy(
            resolved=len(resolved),
            right=sum(1 for one in resolved if one.is_right),
            pending=sum(1 for one in mine if one.actual is None),
        )

    # Training

    def due(self, now: datetime) -> Reason | None:
        """Return why it is time to train: no model, too old, or too often wrong; None when it is not.

        After a rollback a person's choice stands for as long as a model may get old.
        """
        versions, pointer = {info.version: info for info in self.store.versions()}, self.store.pointer()
        info = versions.get(pointer.version) if pointer is not None else None
        if pointer is None or info is None:
            return Reason(code="model_missing", message="There is no trained model yet.")
        if pointer.rolled_back_at is not None and now - pointer.rolled_back_at <= self.rules.max_age:
            return None
        age, seen = now - info.trained_at, self.accuracy()
        if age > self.rules.max_age:
            return Reason(
                code="model_old",
                message=f"Model {info.version} was trained {age.days} days ago.",
                limit=f"{self.rules.max_age.days} days",
                value=f"{age.days} days",
            )
        if (
            seen.resolved >= self.rules.accuracy_window
            and seen.share is not None
            and seen.share < self.rules.min_accuracy
        ):
            return Reason(
                code="model_inaccurate",
                message=f"Model {info.version} was right in {seen.right} of its last {seen.resolved} predictions.",
                limit=f"{self.rules.min_accuracy}",
                value=f"{seen.share:.3f}",
            )
        return None

    def train(self, symbols: Sequence[str], now: datetime) -> tuple[ModelInfo, tuple[Reason, ...]]:
        """Train on the bars of *symbols* up to *now*, use the new model, and return it with what was left out.

        Raises:
            RefusedError: there is not enough to train on.
        """
        from apex_cli.core.analysis.barriers import trades_of  # noqa: PLC0415 - status needs no numpy
        from apex_cli.core.analysis.features import FEATURES  # noqa: PLC0415 - same
        from apex_cli.core.analysis.target_training import train_target  # noqa: PLC0415 - same
        from apex_cli.core.analysis.training import TrainingError, samples_of, train  # noqa: PLC0415 - same
        from apex_cli.core.signals.bar_history import History  # noqa: PLC0415 - same

        history = History(self._bars, length=self.rules.history_bars)
        frames = {symbol: history.frame(symbol, now) for symbol in symbols}
        trouble = [frame for frame in frames.values() if isinstance(frame, Reason)]
        usable = {symbol: frame for symbol, frame in frames.items() if not isinstance(frame, Reason)}
        trouble += [_not_finite(symbol) for symbol, frame in usable.items() if not frame.is_finite]
        try:
            samples = samples_of(usable.values())
            trained = train(
                samples, embargo=self.rules.embargo_bars, min_samples=self.rules.min_samples, trees=self.rules.trees
            )
            target = train_target(trades_of(usable.values()), trained)
        except TrainingError as error:
            raise RefusedError(
                "model_not_trainable",
                f"No model was trained: {error}.",
                hint="Give more bars or more symbols: prices.bars_dir, scanners.watch_list, or --symbols.",
                details={"left_out": [reason.message for reason in trouble]},
            ) from None
        info = ModelInfo(
            version=0,
            trained_at=now,
            symbols=tuple(usable),
            samples=len(samples),
            features=FEATURES,
            first_bar=_moment(samples.ends[0]),
            last_bar=_moment(samples.ends[-1]),
            test_from=_moment(trained.parts.test.ends[0]),
            metrics=trained.metrics | (target.metrics if target else {}),
            calibration=trained.calibration,
            event=Event.TARGET_FIRST if target is not None and target.is_better else Event.NEXT_BAR,
            is_refitted=True,
            libraries={},
        )
        models = trained.models | ({"target": target.model} if target else {})
        return self.store.save(models, info, keep=self.rules.keep_versions), tuple(trouble)

    def roll_back(self, now: datetime, to: int | None = None) -> ModelInfo:
        """Use version *to* from now on, by default the one before the present one, and return it.

        Raises:
            RefusedError: there is no such version.
        """
        pointer = self.store.pointer()
        present = pointer.version if pointer is not None else 0
        versions = self.store.versions()
        fitting = [info for info in versions if (info.version == to if to is not None else info.version < present)]
        if not fitting:
            known = ", ".join(str(info.version) for info in versions) or "none"
            what = f"no version {to}" if to is not None else f"no version before {present}"
            raise RefusedError("no_such_version", f"There is {what}; stored: {known}.", hint="apex model status")
        self.store.point_to(Pointer(version=fitting[-1].version, rolled_back_at=now))
        return fitting[-1]


def _rows_of(frame: Frame, at: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the features of those of the bars *at* where there are all of them, and which these are."""
    import numpy as np  # noqa: PLC0415 - status needs no numpy

    from apex_cli.core.analysis.features import features_of  # noqa: PLC0415 - same
    from apex_cli.core.analysis.frame import finite_bars  # noqa: PLC0415 - same

    is_good = at < finite_bars(frame)
    if not is_good.any():
        return np.zeros((0, 0)), is_good
    rows = features_of(frame)[at]
    is_good &= np.isfinite(rows).all(axis=1)
    return rows[is_good], is_good


def _key(prediction: Prediction) -> tuple[str, datetime, int]:
    return prediction.symbol, prediction.bar_end, prediction.version


def _moment(seconds: Any) -> datetime:  # noqa: ANN401 - any whole number
    return datetime.fromtimestamp(int(seconds), UTC)


def _not_finite(symbol: str) -> Reason:
    return Reason(code="bars_not_finite", message=f"The bars of {symbol} hold values that are no numbers: left out.")
