"""The predictor's models, for people and for scripts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apex_cli.core.model.prediction import ModelInfo
from apex_cli.core.signals.model_manager import ModelManager
from apex_cli.presenters.screen.blocks import SECOND, THIRD, Block, Cell, Fields, Grid, Head, Line, Tone, bar
from apex_cli.presenters.screen.columns import Column, Table
from apex_cli.presenters.screen.formats import DASH, moment

MODELS = Table[ModelInfo](
    Column(key="version", value=lambda m: m.version, title="Version", is_right=True),
    Column(key="trained_at", value=lambda m: m.trained_at, title="Trained", shown=moment),
    Column(
        key="symbols",
        value=lambda m: list(m.symbols),
        title="Symbols",
        shown=lambda symbols: str(len(symbols)),
        rank=THIRD,
        is_right=True,
    ),
    Column(key="samples", value=lambda m: m.samples, title="Samples", shown="{:,}".format, rank=SECOND, is_right=True),
    Column(key="first_bar", value=lambda m: m.first_bar),
    Column(key="last_bar", value=lambda m: m.last_bar),
    Column(key="test_from", value=lambda m: m.test_from, title="Test from", shown="{:%Y-%m-%d}".format, rank=THIRD),
    Column(
        key="metrics",
        value=lambda m: m.metrics,
        title="Accuracy",
        shown=lambda metrics: f"{metrics['direction_accuracy']:.3f}",
        is_right=True,
    ),
    Column(value=lambda m: m.metrics["accuracy_of_majority"], title="Majority", shown="{:.3f}".format, is_right=True),
    Column(value=lambda m: m.metrics["brier_score"], title="Brier", shown="{:.3f}".format, rank=SECOND, is_right=True),
    Column(key="libraries", value=lambda m: m.libraries),
    Column(key="sha256", value=lambda m: m.sha256),
)


def status_data(manager: ModelManager, now: datetime) -> dict[str, Any]:
    """Return the model in use, the versions, the accuracy of late and whether training is due."""
    pointer, versions, seen, due = (
        manager.store.pointer(),
        manager.store.versions(),
        manager.accuracy(),
        manager.due(now),
    )
    return {
        "version": pointer.version if pointer else None,
        "rolled_back_at": pointer.rolled_back_at if pointer else None,
        "versions": [MODELS.data(info) for info in versions],
        "accuracy": {
            "resolved": seen.resolved,
            "right": seen.right,
            "pending": seen.pending,
            "share": None if seen.share is None else round(seen.share, 4),
            "window": manager.rules.accuracy_window,
        },
        "due": None if due is None else {"code": due.code, "message": due.message},
    }


def status_blocks(manager: ModelManager, now: datetime) -> tuple[Block, ...]:
    """Return the same for people."""
    pointer, versions, seen, due = (
        manager.store.pointer(),
        manager.store.versions(),
        manager.accuracy(),
        manager.due(now),
    )
    if pointer is None:
        return (Line(text="There is no trained model yet: apex model train"),)
    share = f"{bar(seen.share, 10)} {seen.right} of {seen.resolved}" if seen.share is not None else DASH
    waiting = f", {seen.pending} wait for their bar" if seen.pending else ""
    due_text = f"{due.message} apex model train" if due else "not due"
    fields = Fields(
        rows=(
            ("In use", Cell(f"version {pointer.version}", Tone.BOLD)),
            ("Right of late", Cell(share + waiting)),
            ("Training", Cell(due_text, Tone.WARN if due else Tone.PLAIN)),
        )
    )
    used = {True: Cell("●", Tone.GOOD), False: Cell("")}
    rows = tuple((used[info.version == pointer.version], *MODELS.cells(info)) for info in versions)
    return (fields, Grid(columns=(Head(""), *MODELS.heads), rows=rows))


def trained_blocks(info: ModelInfo) -> tuple[Block, ...]:
    """Return one model that is in use from now on."""
    right, majority = info.metrics["direction_accuracy"], info.metrics["accuracy_of_majority"]
    verdict = "better than" if right > majority else "no better than"
    return (
        Fields(
            rows=(
                ("In use", Cell(f"version {info.version}", Tone.BOLD)),
                ("Samples", Cell(f"{info.samples:,} of {len(info.symbols)} symbols")),
                ("Bars", Cell(f"{info.first_bar:%Y-%m-%d} to {info.last_bar:%Y-%m-%d}")),
                ("Tested from", Cell(f"{info.test_from:%Y-%m-%d}")),
                ("Right", Cell(f"{bar(right, 10)} {right:.3f}, {verdict} always saying the same ({majority:.3f})")),
                ("Brier score", Cell(f"{info.metrics['brier_score']:.3f} (a coin: 0.250)")),
            )
        ),
    )
