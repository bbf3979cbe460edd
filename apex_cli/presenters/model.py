"""The predictor's models, for people and for scripts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apex_cli.core.model.prediction import ModelInfo
from apex_cli.core.signals.model_manager import ModelManager
from apex_cli.presenters.blocks import Block, Cell, Fields, Grid, Line, Tone, bar
from apex_cli.presenters.formats import DASH, moment


def model_data(info: ModelInfo) -> dict[str, Any]:
    """Return one stored model."""
    return {
        "version": info.version,
        "trained_at": info.trained_at,
        "symbols": list(info.symbols),
        "samples": info.samples,
        "first_bar": info.first_bar,
        "last_bar": info.last_bar,
        "test_from": info.test_from,
        "metrics": info.metrics,
        "libraries": info.libraries,
        "sha256": info.sha256,
    }


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
        "versions": [model_data(info) for info in versions],
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
    rows = tuple(_version_row(info, is_used=info.version == pointer.version) for info in versions)
    columns = ("", ">Version", "Trained", ">Symbols", ">Samples", "Test from", ">Accuracy", ">Majority", ">Brier")
    return (fields, Grid(columns=columns, rows=rows))


def _version_row(info: ModelInfo, *, is_used: bool) -> tuple[Cell, ...]:
    return (
        Cell("●" if is_used else "", Tone.GOOD),
        Cell(str(info.version)),
        Cell(moment(info.trained_at)),
        Cell(str(len(info.symbols))),
        Cell(f"{info.samples:,}"),
        Cell(f"{info.test_from:%Y-%m-%d}"),
        *(Cell(f"{info.metrics[name]:.3f}") for name in ("direction_accuracy", "accuracy_of_majority", "brier_score")),
    )


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
