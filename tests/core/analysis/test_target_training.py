"""The trade's own horizon: chosen where it says more of trades than the next bar does, and not in noise."""

from __future__ import annotations

import numpy as np
import pytest

from apex_cli.core.analysis.barriers import Trades, trade_row
from apex_cli.core.analysis.features import FEATURES, Samples
from apex_cli.core.analysis.target_training import TargetTrained, against_fair, predict_target, train_target
from apex_cli.core.analysis.training import Trained, train

COUNT, DAY = 1500, 86_400


def next_bar(dice: np.random.Generator) -> tuple[Samples, Trained]:
    rows = dice.normal(size=(COUNT, len(FEATURES)))
    samples = Samples(
        rows=rows,
        targets=(dice.random(COUNT) < 0.5).astype(np.int64),
        ends=np.arange(COUNT, dtype=np.int64) // 3 * DAY,
    )
    return samples, train(samples, trees=5)


def planted(samples: Samples, dice: np.random.Generator, strength: float) -> Trades:
    """Return two trades a bar, stop 1 and target 2, that the second feature decides as far as *strength* says."""
    parts = []
    for side in (1.0, -1.0):
        terms = np.tile([side, 1.0, 2.0, np.log(0.5)], (COUNT, 1))
        odds = np.log(0.5) + strength * side * np.sign(samples.rows[:, 1])
        won = dice.random(COUNT) < 1 / (1 + np.exp(-odds))
        parts.append((np.hstack([samples.rows, samples.rows * side, terms]), won.astype(np.int64)))
    ends = np.concatenate([samples.ends, samples.ends])
    order = np.argsort(ends, kind="stable")
    return Trades(
        rows=np.concatenate([rows for rows, _ in parts])[order],
        targets=np.concatenate([won for _, won in parts])[order],
        ends=ends[order],
        until=ends[order] + 2 * DAY,
    )


def judged(strength: float) -> TargetTrained:
    dice = np.random.default_rng(4)
    samples, trained = next_bar(dice)
    found = train_target(planted(samples, dice, strength), trained)
    assert found is not None
    return found


def test_what_decides_trades_is_found_and_both_numbers_are_said() -> None:
    found = judged(1.5)
    assert found.is_better
    ours, by_next_bar, by_distance = (
        found.metrics[f"target_log_loss{name}"] for name in ("", "_next_bar", "_distances")
    )
    assert ours < by_next_bar - 0.05
    assert by_next_bar == pytest.approx(by_distance, abs=0.01)
    bar = np.zeros(len(FEATURES))
    bar[1] = 1.0
    good, bad = (predict_target(found.model, trade_row(bar, side, 1.0, 2.0)) for side in (1, -1))
    assert good > 0.5
    assert bad < 0.2
    assert against_fair(good, 1.0, 2.0) > 0.7


def test_in_noise_it_is_not_chosen() -> None:
    assert not judged(0.0).is_better


def test_trades_that_were_decided_in_a_later_part_are_not_learned_from() -> None:
    dice = np.random.default_rng(4)
    samples, trained = next_bar(dice)
    trades = planted(samples, dice, 1.0)
    late = Trades(rows=trades.rows, targets=trades.targets, ends=trades.ends, until=trades.until + COUNT * DAY)
    assert train_target(late, trained) is None


def test_too_few_trades_or_one_outcome_are_not_judged() -> None:
    dice = np.random.default_rng(4)
    samples, trained = next_bar(dice)
    trades = planted(samples, dice, 1.0)
    assert train_target(trades.where(trades.ends < trades.ends.max() // 2), trained) is None
    won = Trades(rows=trades.rows, targets=np.ones_like(trades.targets), ends=trades.ends, until=trades.until)
    assert train_target(won, trained) is None
