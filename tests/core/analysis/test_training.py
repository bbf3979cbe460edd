"""Training: in the order of time, from the training part alone, and good for something where there is something."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.analysis.features import FEATURES, Samples
from apex_cli.core.analysis.frame import Frame
from apex_cli.core.analysis.training import Trained, TrainingError, predict, samples_of, split, train
from kit.bars import wander


def planted(count: int = 1500, seed: int = 1, symbols: int = 3) -> Samples:
    """Return samples whose outcome follows the first feature, three times in four."""
    dice = np.random.default_rng(seed)
    rows = dice.normal(size=(count, len(FEATURES)))
    lucky = dice.random(count) < 0.75
    return Samples(
        rows=rows,
        targets=np.where(lucky, rows[:, 0] > 0, rows[:, 0] <= 0).astype(np.int64),
        ends=np.arange(count, dtype=np.int64) // symbols * 86_400,
    )


@pytest.fixture(scope="module")
def learned() -> Trained:
    return train(planted(), trees=30)


def test_what_is_there_is_learned_and_measured_on_what_was_never_seen(learned: Trained) -> None:
    assert learned.metrics["direction_accuracy"] > 0.65 > learned.metrics["accuracy_of_majority"]
    assert learned.metrics["brier_score"] < 0.22


def test_probabilities_are_calibrated(learned: Trained) -> None:
    fresh = planted(4000, seed=2)
    chance = learned.models["probability"].predict_proba(fresh.rows)[:, 1]
    for low in (0.2, 0.4, 0.6):
        mine = (chance >= low) & (chance < low + 0.2)
        assert mine.sum() > 50
        assert fresh.targets[mine].mean() == pytest.approx(chance[mine].mean(), abs=0.1)


def test_a_prediction_is_a_direction_and_its_own_probability(learned: Trained) -> None:
    for first, direction in ((2.0, 1), (-2.0, -1)):
        row = np.zeros(len(FEATURES))
        row[0] = first
        ((found, probability),) = predict(learned.models, row.reshape(1, -1))
        assert found == direction
        assert 0.55 < probability < 0.9


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 130))
def test_many_predictions_at_once_are_to_the_last_bit_those_of_each(learned: Trained, seed: int, count: int) -> None:
    rows = np.random.default_rng(seed).normal(0, 1.5, (count, len(FEATURES)))
    assert predict(learned.models, rows) == [said for row in rows for said in predict(learned.models, row[None])]


def test_nothing_after_the_training_part_reaches_the_forest_or_its_scaling(learned: Trained) -> None:
    samples = planted()
    later = samples.ends > learned.parts.training.ends.max()
    spoiled = replace(
        samples,
        rows=np.where(later[:, None], samples.rows * 50 + 7, samples.rows),
        targets=np.where(later, 1 - samples.targets, samples.targets),
    )
    other = train(spoiled, trees=30)
    probe = planted(200, seed=9).rows
    np.testing.assert_array_equal(
        other.judged["direction"].predict_proba(probe), learned.judged["direction"].predict_proba(probe)
    )
    scaler = other.judged["direction"].steps[0][1]
    np.testing.assert_allclose(scaler.mean_, learned.parts.training.rows.mean(axis=0))


def test_what_is_kept_has_learned_the_newest_bars_and_what_is_measured_has_not() -> None:
    samples = planted()
    newest = samples.ends >= np.quantile(samples.ends, 0.7)
    turned = replace(samples, targets=np.where(newest, samples.rows[:, 1] > 0, samples.targets).astype(np.int64))
    found = train(turned, trees=30)
    for name, parts in (("models", turned), ("judged", found.parts.training)):
        scaler = getattr(found, name)["direction"].steps[0][1]
        np.testing.assert_allclose(scaler.mean_, parts.rows.mean(axis=0))
    probe = np.zeros((2, len(FEATURES)))
    probe[:, 1] = 2.0, -2.0  # what only the newest bars follow
    kept, measured = (getattr(found, name)["direction"].predict_proba(probe)[:, 1] for name in ("models", "judged"))
    assert kept[0] - kept[1] > 0.05 > abs(measured[0] - measured[1])


def test_the_calibration_of_the_test_is_that_of_the_measured_model(learned: Trained) -> None:
    assert sum(each.count for each in learned.calibration) == len(learned.parts.test)
    right = sum(each.count * each.came_true for each in learned.calibration) / len(learned.parts.test)
    assert right == pytest.approx(learned.metrics["direction_accuracy"], abs=1e-3)


@settings(deadline=None, max_examples=50)
@given(moments=st.integers(1, 400), symbols=st.integers(1, 4), embargo=st.integers(1, 30))
def test_the_parts_follow_each_other_with_gaps_and_share_no_moment(moments: int, symbols: int, embargo: int) -> None:
    samples = planted(moments * symbols, symbols=symbols)
    try:
        parts = split(samples, embargo)
    except TrainingError:
        assert moments * 0.15 <= embargo + 2
        return
    ends = [part.ends for part in (parts.training, parts.calibration, parts.test)]
    for before, after in pairwise(ends):
        assert (after.min() - before.max()) // 86_400 == embargo + 1
    assert len(parts.training) > len(parts.calibration)
    assert ends[-1].max() == samples.ends.max()


def test_the_same_samples_give_the_same_models(learned: Trained) -> None:
    again = train(planted(), trees=30)
    probe = planted(200, seed=9).rows
    for name in ("direction", "probability"):
        np.testing.assert_array_equal(
            again.models[name].predict_proba(probe), learned.models[name].predict_proba(probe)
        )
    assert again.metrics == learned.metrics


def test_samples_of_all_symbols_stand_in_the_order_of_time() -> None:
    frames = [replace(wander(seed), symbol=str(seed)) for seed in (1, 2)]
    samples = samples_of(frames)
    assert (np.diff(samples.ends) >= 0).all()
    assert len(samples) == len(samples_of(frames[:1])) + len(samples_of(frames[1:]))
    assert samples.ends.max() == frames[0].ends[-2]


def test_a_symbol_with_odd_values_is_left_out() -> None:
    bad = wander(1)
    bad.close[50] = np.nan
    good = wander(2)
    empty = good.first(0)
    np.testing.assert_array_equal(samples_of([bad, good, empty]).rows, samples_of([good]).rows)
    with pytest.raises(TrainingError, match="no symbol has usable bars"):
        samples_of([bad])


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (planted(199), "there are 199 samples, 200 are needed"),
        (replace(planted(300), ends=np.zeros(300, dtype=np.int64)), "leave nothing between the gaps"),
        (replace(planted(300), targets=np.ones(300, dtype=np.int64)), "all moved the same way"),
    ],
)
def test_what_cannot_be_trained_on_is_said(samples: Samples, why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        train(samples)


def test_constant_prices_are_no_samples_with_two_outcomes() -> None:
    flat = wander(1)
    constant: Frame = replace(flat, **dict.fromkeys(("open", "high", "low", "close"), np.full(260, 42.0)))
    samples = samples_of([constant])
    with pytest.raises(TrainingError):
        train(samples)
