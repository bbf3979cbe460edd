"""The predictor's models, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import log
from typing import Any

from apex_cli.core.analysis.calibration import Pair, calibration_bins, log_loss
from apex_cli.core.model.base import named
from apex_cli.core.model.prediction import CalibrationBin, Event, ModelInfo, ModelOutcome
from apex_cli.core.model.wording import counted
from apex_cli.core.signals.model_manager import ModelManager
from apex_cli.presenters.screen.blocks import SECOND, THIRD, Block, Cell, Fields, Grid, Head, Line, Tone, bar, heads
from apex_cli.presenters.screen.columns import Column, Table, facts
from apex_cli.presenters.screen.formats import DASH, moment, share

GUESSING = log(2)
"""The log-loss of a coin."""

EVENTS = {
    Event.NEXT_BAR: "whether the next close is higher",
    Event.TARGET_FIRST: "whether the target comes before the stop",
}


def bin_data(each: CalibrationBin) -> dict[str, Any]:
    """Return the stable names of predictions of about the same probability."""
    return {
        "from": each.low,
        "to": each.high,
        **named(each, "count", "said", "came_true"),
    }


MODELS = Table[ModelInfo](
    Column("version", "Version", is_right=True),
    Column("trained_at", "Trained", shown=moment),
    Column(
        "symbols",
        "Symbols",
        lambda m: list(m.symbols),
        shown=lambda symbols: str(len(symbols)),
        rank=THIRD,
        is_right=True,
    ),
    Column("samples", "Samples", shown="{:,}".format, rank=SECOND, is_right=True),
    *facts("first_bar", "last_bar"),
    Column("test_from", "Test from", shown="{:%Y-%m-%d}".format, rank=THIRD),
    Column("metrics", "Accuracy", shown=lambda metrics: f"{metrics['direction_accuracy']:.3f}", is_right=True),
    Column("", "Majority", lambda m: m.metrics["accuracy_of_majority"], shown="{:.3f}".format, is_right=True),
    Column("", "Brier", lambda m: m.metrics["brier_score"], shown="{:.3f}".format, rank=SECOND, is_right=True),
    Column("", "Log-loss", lambda m: m.metrics["log_loss"], shown="{:.3f}".format, rank=SECOND, is_right=True),
    Column("event"),
    Column("refitted", value=lambda m: m.is_refitted),
    Column("calibration", value=lambda m: [bin_data(each) for each in m.calibration]),
    *facts("libraries", "sha256"),
)


def status_data(manager: ModelManager, now: datetime) -> dict[str, Any]:
    """Return the model in use, the versions, the accuracy of late and whether training is due."""
    pointer, versions = manager.store.pointer(), manager.store.versions()
    seen, due = manager.accuracy(), manager.due(now)
    return {
        "version": pointer.version if pointer else None,
        "rolled_back_at": pointer.rolled_back_at if pointer else None,
        "versions": MODELS.rows(versions),
        "accuracy": {
            **named(seen, "resolved", "right", "pending"),
            "share": None if seen.share is None else round(seen.share, 4),
            "window": manager.rules.accuracy_window,
        },
        "record": _quality_data(manager.record()),
        "trades": _quality_data(_trades(manager.store.outcomes())),
        "due": None if due is None else {"code": due.code, "message": due.message},
    }


def _trades(outcomes: Sequence[ModelOutcome]) -> list[Pair]:
    return [(float(one.probability), one.was_right) for one in outcomes]


def _quality_data(pairs: Sequence[Pair]) -> dict[str, Any]:
    loss = log_loss(pairs)
    return {
        "count": len(pairs),
        "log_loss": None if loss is None else round(loss, 4),
        "calibration": [bin_data(each) for each in calibration_bins(pairs)],
    }


def status_blocks(manager: ModelManager, now: datetime) -> tuple[Block, ...]:
    """Return the same for people."""
    pointer, versions = manager.store.pointer(), manager.store.versions()
    seen, due = manager.accuracy(), manager.due(now)
    if pointer is None:
        return (Line(text="There is no trained model yet: apex model train"),)
    share = f"{bar(seen.share, 10)} {seen.right} of {seen.resolved}" if seen.share is not None else DASH
    waiting = f", {seen.pending} wait for their bar" if seen.pending else ""
    due_text = f"{due.message} apex model train" if due else "not due"
    fields = Fields(
        rows=(
            ("In use", Cell(f"version {pointer.version}", Tone.BOLD)),
            ("Right of late", Cell(share + waiting)),
            ("Predicts", Cell(_predicts(manager.info()))),
            ("Log-loss of late", Cell(_loss_words(manager.record()))),
            ("Trades on it", Cell(_loss_words(_trades(manager.store.outcomes())))),
            ("Training", Cell(due_text, Tone.WARN if due else Tone.PLAIN)),
        )
    )
    used = {True: Cell("●", Tone.GOOD), False: Cell("")}
    rows = tuple((used[info.version == pointer.version], *MODELS.cells(info)) for info in versions)
    return (fields, *_plot(manager), Grid(columns=(Head(""), *MODELS.heads), rows=rows))


def _predicts(info: ModelInfo | None) -> str:
    if info is None:
        return DASH
    both = _both_words(info)
    return f"{EVENTS[info.event]}{f': {both}' if both else ''}"


def _both_words(info: ModelInfo) -> str:
    """Return the log-losses that the event was chosen by; empty where it was not tested."""
    ours, theirs = (info.metrics.get(name) for name in ("target_log_loss", "target_log_loss_next_bar"))
    if ours is None or theirs is None:
        return ""
    known = info.metrics.get("target_log_loss_distances", theirs)
    return f"of trades, log-loss {ours:.4f}, by the next bar {theirs:.4f}, by their distances alone {known:.4f}"


def _loss_words(pairs: Sequence[Pair]) -> str:
    loss = log_loss(pairs)
    return DASH if loss is None else f"{loss:.3f} of {len(pairs)} (a coin: {GUESSING:.3f})"


def _plot(manager: ModelManager) -> tuple[Grid, ...]:
    """Return how often predictions came true, by the probability that was given: those of late, else of the test."""
    info, late = manager.info(), calibration_bins(manager.record())
    bins, of_what = (late, "of late") if late else (info.calibration if info else (), "in its test")
    if not bins:
        return ()
    rows = tuple(
        (
            Cell(f"{share(each.low)} to {share(each.high)}"),
            Cell(str(each.count)),
            Cell(share(each.said)),
            Cell(f"{bar(each.came_true, 20)} {share(each.came_true)}"),
        )
        for each in bins
    )
    return (Grid(columns=heads("Probability", ">Times", ">Said", f"Came true, {of_what}"), rows=rows),)


def _tested_words(info: ModelInfo) -> str:
    return f"{info.test_from:%Y-%m-%d}{', then fitted on all of it' if info.is_refitted else ''}"


def trained_blocks(info: ModelInfo) -> tuple[Block, ...]:
    """Return one model that is in use from now on."""
    right, majority = info.metrics["direction_accuracy"], info.metrics["accuracy_of_majority"]
    verdict = "better than" if right > majority else "no better than"
    return (
        Fields(
            rows=(
                ("In use", Cell(f"version {info.version}", Tone.BOLD)),
                ("Samples", Cell(f"{info.samples:,} of {counted(len(info.symbols), 'symbol')}")),
                ("Bars", Cell(f"{info.first_bar:%Y-%m-%d} to {info.last_bar:%Y-%m-%d}")),
                ("Tested from", Cell(_tested_words(info))),
                ("Right", Cell(f"{bar(right, 10)} {right:.3f}, {verdict} always saying the same ({majority:.3f})")),
                ("Brier score", Cell(f"{info.metrics['brier_score']:.3f} (a coin: 0.250)")),
                ("Log-loss", Cell(f"{info.metrics['log_loss']:.3f} (a coin: {GUESSING:.3f})")),
                ("Predicts", Cell(_predicts(info))),
            )
        ),
    )
