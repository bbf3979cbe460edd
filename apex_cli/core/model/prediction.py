"""Predictions and the models that make them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value


class Event(StrEnum):
    """What a prediction for a signal is about."""

    NEXT_BAR = "next_bar"
    """The next close is higher, or it is not."""

    TARGET_FIRST = "target_first"
    """The trade reaches its target before its stop."""


class CalibrationBin(Value, frozen=True, kw_only=True):
    """Predictions with about the same probability, and how many of them came true."""

    low: float
    high: float
    """Bounds of the probability, 0..1."""

    count: int
    said: float
    """Mean of the probabilities."""

    came_true: float
    """Part that came true."""


class ModelInfo(Value, frozen=True, kw_only=True):
    """What is known of one stored model."""

    version: int
    """Rises with every training."""

    trained_at: datetime
    symbols: tuple[str, ...]
    samples: int
    features: tuple[str, ...]
    """Names of the columns it was fitted on: another list is another model."""

    first_bar: datetime
    last_bar: datetime
    test_from: datetime
    """First bar that only measured it."""

    metrics: dict[str, float]
    """Measures on the test part, made before the models were fitted on all of it."""

    calibration: tuple[CalibrationBin, ...] = ()
    """Probabilities of a direction on the test part; empty in models of older versions."""

    event: Event = Event.NEXT_BAR
    """What it says of a signal: the event that tested better."""

    is_refitted: bool = False
    """True: fitted again on everything after its test. Models of older versions learned nothing from the test part."""

    libraries: dict[str, str]
    """Versions it was fitted with, by name."""

    sha256: str = ""
    """Of the model file: finds damage. Who may change the folder can change both; safety comes from the format."""


class Pointer(Value, frozen=True, kw_only=True):
    """Which version is in use."""

    version: int
    rolled_back_at: datetime | None = None
    """When a person went back to it: nothing is trained by itself for a while."""


class Prediction(Value, frozen=True, kw_only=True):
    """What a model said of the bar after *bar_end*, and what became of it."""

    symbol: str
    bar_end: datetime
    """End of the last bar that it knew, aware UTC."""

    version: int
    direction: int
    """1 up, -1 not up."""

    probability: float
    """Of the direction, 0..1."""

    close: float
    made_at: datetime
    actual: int | None = None
    """Direction of the next bar once it is known."""

    @property
    def is_right(self) -> bool:
        """True when the next bar went where the model said."""
        return self.actual == self.direction


class ModelOutcome(Value, frozen=True, kw_only=True):
    """A prediction and what the trade on it brought."""

    round_trip_id: str
    direction: int
    """1 up, -1 down."""

    probability: Decimal
    """Of the direction; of the target before the stop where that was predicted."""

    was_right: bool
    """The trade went the predicted way: a winner taken along with it, or a loser taken against it."""

    r: Decimal
    closed_at: datetime
    event: Event = Event.NEXT_BAR


class Accuracy(Value, frozen=True, kw_only=True):
    """How often the model in use was right of late."""

    resolved: int
    """Predictions whose outcome is known, of those that count."""

    right: int
    pending: int
    """Predictions that wait for their bar."""

    @property
    def share(self) -> float | None:
        """Part that was right; None without any."""
        return self.right / self.resolved if self.resolved else None
