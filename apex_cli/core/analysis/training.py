"""Training without looking ahead: rows in the order of time, parts with gaps between them.

All symbols are learned from together and share the same cuts in time: 70 % of the moments train, 15 % calibrate,
15 % test, with an embargo of some bars between the parts, as a row's outcome lies one bar later and its features
reach back (Lopez de Prado, *Advances in Financial Machine Learning*, 2018, chapter 7). Everything that is fitted,
scaling included, is fitted on the training part, and measured on the test part. Then both models are fitted again on
all of it, so that what is used has learned the newest bars, too. Its probabilities are calibrated by what the measured
model said of the parts that it had not learned: what the new one says of bars that it knows would be too sure.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from apex_cli.core.analysis.calibration import calibration_bins
from apex_cli.core.analysis.features import Samples, features, outcomes
from apex_cli.core.analysis.frame import Floats, Frame
from apex_cli.core.model.prediction import CalibrationBin

TRAIN_SHARE, CALIBRATE_SHARE = 0.70, 0.15
SEED = 20_000
EVEN = 0.5
DIGITS = 6


POOLS = ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Keep OpenMP to one thread: its threads spin while they wait, which takes a busy machine ten times as long."""
    limited: AbstractContextManager[object] = POOLS.limit(limits=1, user_api="openmp")
    return limited


class TrainingError(ValueError):
    """These samples cannot be trained on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """The three parts, each later than the one before."""

    training: Samples
    calibration: Samples
    test: Samples

    @property
    def unseen(self) -> Samples:
        """The two parts that were not trained on."""
        return Samples.joined([self.calibration, self.test])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """Two fitted models and what they were worth on bars they had never seen."""

    models: dict[str, Any]
    """``direction``: random forest; ``probability``: calibrated histogram gradient boosting. Fitted on everything."""

    judged: dict[str, Any]
    """The same two, fitted on the training part and calibrated on its own: what *metrics* are of."""

    parts: Parts
    metrics: dict[str, float]
    calibration: tuple[CalibrationBin, ...]
    """Probabilities of a direction that *judged* gave on the test part."""


def samples_of(frames: Iterable[Frame]) -> Samples:
    """Return every complete row of *frames* whose outcome is known; frames with odd values are left out."""
    found = [_samples(frame) for frame in frames if len(frame) and frame.is_finite]
    if not found:
        raise TrainingError("no symbol has usable bars")
    return Samples.joined(found)


def _samples(frame: Frame) -> Samples:
    table, outcome = features(frame), outcomes(frame)
    good = np.isfinite(table).all(axis=1) & np.isfinite(outcome)
    return Samples(rows=table[good], targets=outcome[good].astype(np.int64), ends=frame.ends[good])


def split(samples: Samples, embargo: int) -> Parts:
    """Return the three parts in the order of time, with *embargo* moments left out before the second and third."""
    moments = np.unique(samples.ends)
    first, second = int(len(moments) * TRAIN_SHARE), int(len(moments) * (TRAIN_SHARE + CALIBRATE_SHARE))
    if second + embargo >= len(moments) or first + embargo >= second:
        raise TrainingError(f"{len(moments)} bars in time leave nothing between the gaps of {embargo} bars")
    return Parts(
        training=samples.where(samples.ends < moments[first]),
        calibration=samples.where((samples.ends >= moments[first + embargo]) & (samples.ends < moments[second])),
        test=samples.where(samples.ends >= moments[second + embargo]),
    )


def train(samples: Samples, *, embargo: int = 5, min_samples: int = 200, trees: int = 100) -> Trained:
    """Return both models with their measures; the same samples give the same models.

    Raises:
        TrainingError: there are fewer than *min_samples* samples, too few moments, or a part knows one outcome only.
    """
    if len(samples) < min_samples:
        raise TrainingError(f"there are {len(samples)} samples, {min_samples} are needed")
    parts = split(samples, embargo)
    for name in ("training", "calibration", "test"):
        targets = getattr(parts, name).targets
        if targets.min(initial=1) == targets.max(initial=0):
            raise TrainingError(f"the bars of the {name} part all moved the same way")
    with one_thread():
        forest = _forest(trees).fit(parts.training.rows, parts.training.targets)
        boosted = make_boosted().fit(parts.training.rows, parts.training.targets)
        judged = {"direction": forest, "probability": calibrated(boosted, parts.calibration)}
        return Trained(
            models={
                "direction": _forest(trees).fit(samples.rows, samples.targets),
                "probability": refitted(boosted, parts.unseen, samples),
            },
            judged=judged,
            parts=parts,
            metrics=measure(judged, parts.test),
            calibration=_calibration(judged, parts.test),
        )


def _forest(trees: int) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    return make_pipeline(
        StandardScaler(), RandomForestClassifier(trees, max_depth=6, min_samples_leaf=20, random_state=SEED)
    )


def make_boosted() -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """Return the model of probabilities, not fitted."""
    return make_pipeline(
        StandardScaler(),
        HistGradientBoostingClassifier(
            max_iter=100, max_depth=3, learning_rate=0.05, early_stopping=False, random_state=SEED
        ),
    )


def calibrated(boosted: Any, unseen: Samples) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """Return *boosted* with its probabilities calibrated on rows that it has not learned."""
    found = CalibratedClassifierCV(FrozenEstimator(boosted), method="sigmoid")
    return found.fit(unseen.rows, unseen.targets)


def refitted(boosted: Any, unseen: Samples, everything: Samples) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """Return a model fitted on *everything*, calibrated by what *boosted* says of rows that it has not learned."""
    found = calibrated(boosted, unseen)
    found.estimator = FrozenEstimator(make_boosted().fit(everything.rows, everything.targets))
    for each in found.calibrated_classifiers_:
        each.estimator = found.estimator
    return found


def _calibration(models: dict[str, Any], test: Samples) -> tuple[CalibrationBin, ...]:
    """Return how often directions came true on *test*, by their probability."""
    along = models["direction"].predict(test.rows)
    chance = models["probability"].predict_proba(test.rows)[:, 1]
    of_direction = np.where(along == 1, chance, 1 - chance)
    return calibration_bins(zip(of_direction.tolist(), (along == test.targets).tolist(), strict=True))


def measure(models: dict[str, Any], test: Samples) -> dict[str, float]:
    """Return how good *models* are on *test*; ``accuracy_of_majority`` is what always saying the same would reach."""
    said = models["direction"].predict(test.rows)
    chance = models["probability"].predict_proba(test.rows)[:, 1]
    up = float(test.targets.mean())
    found = {
        "direction_accuracy": accuracy_score(test.targets, said),
        "probability_accuracy": accuracy_score(test.targets, chance > EVEN),
        "accuracy_of_majority": max(up, 1 - up),
        "brier_score": brier_score_loss(test.targets, chance),
        "log_loss": log_loss(test.targets, chance),
        "mean_probability": chance.mean(),
        "share_of_rises": up,
    }
    return {name: round(float(value), DIGITS) for name, value in found.items()}


def predict(models: dict[str, Any], rows: Floats) -> list[tuple[int, float]]:
    """Return, for each of *rows*, the direction (1 or -1) of the next bar and the calibrated probability of that."""
    with one_thread():
        directions = [1 if said == 1 else -1 for said in models["direction"].predict(rows).tolist()]
        rises = models["probability"].predict_proba(rows)[:, 1].tolist()
    return [(way, rise if way > 0 else 1 - rise) for way, rise in zip(directions, rises, strict=True)]
