"""Replays history with and without learning, and compares the two."""

from __future__ import annotations

from msgspec.structs import replace

from apex_cli.app.replayer import OnStep, ReplayOptions, replay
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.learning import LearningMode
from apex_cli.core.reports.learning_report import LearningComparison, compare_learning
from apex_cli.core.reports.replay_report import ReplayReport
from apex_cli.settings.sections import Settings


def backtest_learning(settings: Settings, options: ReplayOptions, on_step: OnStep | None = None) -> LearningComparison:
    """Return what learning, as *settings* have it, adds to a replay without it; *on_step* hears how far both are.

    Where it is off, or only reports, it is tried as if it adapted. Learning begins with nothing and knows nothing of a
    trade before it is closed: each session is judged by what was learned before it.
    """
    mode = settings.learning.mode if settings.learning.mode.adapts else LearningMode.ADAPT
    learned = _replay(settings, options, mode, on_step, 0)
    plain = _replay(settings, options, LearningMode.OFF, on_step, 1)
    return compare_learning(
        learned.trades,
        plain.trades,
        first=session_date(learned.first),
        last=session_date(learned.last),
        versions=len(learned.adaptations),
        suspended=learned.learning_suspended,
        seed=options.seed,
    )


def _replay(
    settings: Settings, options: ReplayOptions, mode: LearningMode, on_step: OnStep | None, done: int
) -> ReplayReport:
    """Return one of the two replays; *done* of them came before."""

    def half(step: int, steps: int) -> None:
        if on_step is not None:
            on_step(step + done * steps, 2 * steps)

    return replay(settings.replace(learning=replace(settings.learning, mode=mode)), options, half)
