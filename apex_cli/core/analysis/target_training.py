"""A model of the trade's own horizon, and whether it says more of a trade than a call on the next bar.

Both are asked the same of the same trades, which neither has learned: does the target come before the stop? The next
bar's call is given its best chance: a logistic regression on its log-odds and on the distances of stop and target,
fitted on the calibration part. The one with the smaller log-loss on the test part is better, if it stands out from the
noise and also beats knowing nothing but the distances.

A trade belongs to a part only if it was decided before the next part begins (Lopez de Prado, *Advances in Financial
Machine Learning*, 2018, chapter 7, on purging).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from apex_cli.core.analysis.barriers import COLUMNS, TERMS, Trades
from apex_cli.core.analysis.calibration import LEAST
from apex_cli.core.analysis.features import FEATURES
from apex_cli.core.analysis.frame import Floats
from apex_cli.core.analysis.training import DIGITS, Trained, calibrated, make_boosted, one_thread, refitted

LEAST_TRADES = 50
"""Trades that each part must have."""

BLOCKS = 10
"""Parts of the test, in the order of time, that the noise of the difference is taken from."""

ERRORS = 2
"""Standard errors by which it must be better."""

SIDE = COLUMNS.index("side")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetTrained:
    """A fitted model of targets, and how it compares."""

    model: Any
    """Fitted on every trade, calibrated; its columns are ``COLUMNS``."""

    metrics: dict[str, float]
    """``target_log_loss``, ``target_log_loss_next_bar``, ``target_log_loss_distances``, ``target_trades``."""

    is_better: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    training: Trades
    calibration: Trades
    test: Trades


def train_target(trades: Trades, next_bar: Trained) -> TargetTrained | None:
    """Return the model of *trades*, judged beside *next_bar*; None where there are too few to judge it by."""
    parts = _split(trades, next_bar)
    if any(len(part) < LEAST_TRADES or len(np.unique(part.targets)) == 1 for part in _all(parts)):
        return None
    with one_thread():
        boosted = make_boosted().fit(parts.training.rows, parts.training.targets)
        said = {
            "": calibrated(boosted, parts.calibration).predict_proba(parts.test.rows)[:, 1],
            "_next_bar": _by_next_bar(next_bar, parts),
            "_distances": _by_logistic(_distances(parts.calibration), _distances(parts.test), parts),
        }
        unseen = trades.where(trades.ends >= parts.calibration.ends[0])
        model = refitted(boosted, unseen, trades)
    metrics = {f"target_log_loss{name}": float(log_loss(parts.test.targets, chance)) for name, chance in said.items()}
    rivals = [said["_next_bar"], said["_distances"]]
    return TargetTrained(
        model=model,
        metrics={name: round(value, DIGITS) for name, value in metrics.items()} | {"target_trades": len(trades)},
        is_better=all(_is_better(said[""], rival, parts.test) for rival in rivals),
    )


def predict_target(model: Any, row: Floats) -> float:  # noqa: ANN401 - scikit-learn ships no types
    """Return the probability that the target comes before the stop; *row* has ``COLUMNS``."""
    with one_thread():
        return float(model.predict_proba(row.reshape(1, -1))[0, 1])


def against_fair(chance: float, stop: float, target: float) -> float:
    """Return *chance* of the target as the probability of a coin: 0.5 where it is as that of a price without drift.

    odds = chance / (1 - chance) / (stop / target); odds / (1 + odds). Above 0.5 the trade earns before costs.

    >>> round(against_fair(1 / 3, 1.0, 2.0), 6), round(against_fair(0.5, 1.0, 2.0), 6)
    (0.5, 0.666667)
    """
    held = min(max(chance, LEAST), 1 - LEAST)
    odds = held / (1 - held) * target / stop
    return odds / (1 + odds)


def _split(trades: Trades, next_bar: Trained) -> _Parts:
    """Return the parts of *trades* that were entered and decided in the parts of *next_bar*."""
    calibration, test = next_bar.parts.calibration.ends[0], next_bar.parts.test.ends[0]
    return _Parts(
        training=trades.where((trades.ends <= next_bar.parts.training.ends[-1]) & (trades.until < calibration)),
        calibration=trades.where((trades.ends >= calibration) & (trades.until < test)),
        test=trades.where(trades.ends >= test),
    )


def _all(parts: _Parts) -> tuple[Trades, ...]:
    return parts.training, parts.calibration, parts.test


def _distances(part: Trades) -> Floats:
    """Return what the levels alone say: the odds of a price without drift, and how coarse a bar is beside the stop."""
    stop, target, fair = (part.rows[:, COLUMNS.index(name)] for name in TERMS[1:])
    return np.column_stack([fair, stop, target, 1 / stop])


def _by_next_bar(next_bar: Trained, parts: _Parts) -> Floats:
    """Return what the next bar's call says of the test's trades."""
    known, asked = (
        np.column_stack([_log_odds(next_bar.judged["probability"], part), _distances(part)])
        for part in (parts.calibration, parts.test)
    )
    return _by_logistic(known, asked, parts)


def _log_odds(model: Any, part: Trades) -> Floats:  # noqa: ANN401 - scikit-learn ships no types
    """Return the log-odds that the next bar goes the way of each trade."""
    rise = np.clip(model.predict_proba(part.rows[:, : len(FEATURES)])[:, 1], LEAST, 1 - LEAST)
    found: Floats = np.log(rise / (1 - rise)) * part.rows[:, SIDE]
    return found


def _by_logistic(known: Floats, asked: Floats, parts: _Parts) -> Floats:
    fitted = LogisticRegression().fit(known, parts.calibration.targets)
    found: Floats = fitted.predict_proba(asked)[:, 1]
    return found


def _is_better(ours: Floats, theirs: Floats, test: Trades) -> bool:
    """Return whether *ours* has the smaller log-loss by more than two standard errors, over blocks of time."""
    gains = _losses(theirs, test) - _losses(ours, test)
    means = np.array([block.mean() for block in np.array_split(gains, BLOCKS)])
    return bool(means.mean() > ERRORS * means.std(ddof=1) / sqrt(BLOCKS))


def _losses(chance: Floats, test: Trades) -> Floats:
    held = np.clip(np.where(test.targets == 1, chance, 1 - chance), LEAST, 1.0)
    found: Floats = -np.log(held)
    return found
