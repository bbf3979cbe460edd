"""The stored models as they were at the start: for replay, which trains nothing and keeps no predictions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from apex_cli.core.model.prediction import ModelInfo, ModelOutcome, Pointer, Prediction
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import ModelStore


class PinnedModels:
    """A ``ModelStore`` for reading: the version in use stays the same, whatever another process trains meanwhile."""

    def __init__(self, store: ModelStore) -> None:
        """Look at *store* once; only the models themselves are read later."""
        self._store = store
        self._versions = tuple(store.versions())
        self._pointer = store.pointer()

    def versions(self) -> Sequence[ModelInfo]:
        """Return what was known of every stored model, oldest first."""
        return self._versions

    def pointer(self) -> Pointer | None:
        """Return which version was in use, None when there was none."""
        return self._pointer

    def load(self, version: int, features: Sequence[str]) -> dict[str, Any]:
        """Return the models of *version*, fitted on *features*."""
        return self._store.load(version, features)

    def predictions(self) -> Sequence[Prediction]:
        """Return none: those of the store are of another time."""
        return ()

    def outcomes(self) -> Sequence[ModelOutcome]:
        """Return none: those of the store are of another time."""
        return ()

    def keep_outcomes(self, outcomes: Sequence[ModelOutcome]) -> NoReturn:
        """Refuse."""
        raise _read_only(f"keep {len(outcomes)} outcomes")

    def point_to(self, pointer: Pointer) -> NoReturn:
        """Refuse."""
        raise _read_only(f"use version {pointer.version}")

    def save(self, models: dict[str, Any], info: ModelInfo, *, keep: int) -> NoReturn:
        """Refuse."""
        del models, keep
        raise _read_only(f"store a model of {len(info.symbols)} symbols")

    def keep_predictions(self, predictions: Sequence[Prediction]) -> NoReturn:
        """Refuse."""
        raise _read_only(f"keep {len(predictions)} predictions")

    def foreknowledge(self, first: datetime, last: datetime) -> Reason | None:
        """Return a warning when the model in use learned from bars of *first* to *last*, or from later ones."""
        version = self._pointer.version if self._pointer is not None else None
        info = next((info for info in self._versions if info.version == version), None)
        if info is None or info.last_bar < first:
            return None
        learned = f"Model {info.version} learned from bars of {info.first_bar:%Y-%m-%d} to {info.last_bar:%Y-%m-%d}"
        if info.first_bar <= last:
            reported = (
                f"{learned}: it has seen before what is replayed, and its predictions are better than they will be."
            )
        else:
            reported = f"{learned}, later than what is replayed: it knows what came after."
        return Reason(
            code="model_seen_before", message=reported, limit=f"{first:%Y-%m-%d}", value=f"{info.last_bar:%Y-%m-%d}"
        )


def _read_only(what: str) -> RuntimeError:
    return RuntimeError(f"these models are for reading: nobody may {what}")
