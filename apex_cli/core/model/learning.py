"""What was learned: versions of weights, and where each learner stands."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import MarketType

PART_NAMES = ("reward_risk", "confidence", "timing", "liquidity", "diversification")
"""Components of the score, in the order they are shown."""

DEFAULT_PARTS = {
    "reward_risk": Decimal("0.30"),
    "confidence": Decimal("0.25"),
    "timing": Decimal("0.20"),
    "liquidity": Decimal("0.15"),
    "diversification": Decimal("0.10"),
}
DEFAULT_MARKETS = {
    MarketType.CRYPTO: Decimal("0.85"),
    MarketType.OPTIONS: Decimal("0.80"),
    MarketType.EQUITY: Decimal("0.70"),
    MarketType.FOREX: Decimal("0.60"),
}


class LearningMode(StrEnum):
    """What learning may do."""

    ADAPT = "adapt"
    """Change the weights of the score."""

    REPORT = "report"
    """Report what would be changed, and change nothing."""

    OFF = "off"
    """Nothing; scores are made with the defaults."""


class Weights(Value, frozen=True, kw_only=True):
    """Everything in a score that can be learned. It never reaches a size or a limit."""

    parts: dict[str, Decimal] = msgspec.field(default_factory=lambda: dict(DEFAULT_PARTS))
    """Weight of each component; their sum is exactly 1."""

    markets: dict[MarketType, Decimal] = msgspec.field(default_factory=lambda: dict(DEFAULT_MARKETS))
    """Factor of each market."""


DEFAULT_WEIGHTS = Weights()


class WeightsVersion(Value, frozen=True, kw_only=True):
    """Weights that were put in force once; a version never changes."""

    version: int
    """Rises by one with every change, a rollback included."""

    made_at: datetime
    weights: Weights
    cause: str
    """``parts``, ``markets``, ``idle`` or ``rollback``."""

    why: str
    """One sentence for people."""


class LearningState(Value, frozen=True, kw_only=True):
    """Where the learners stand."""

    version: int = 0
    """Version in force; 0 are the defaults."""

    newest: int = 0
    """Highest version there ever was."""

    parts_seq: int = 0
    """Newest lesson that the component learner has used."""

    parts_at: datetime | None = None
    """When it last adapted."""

    market_seq: dict[MarketType, int] = {}
    market_at: dict[MarketType, datetime] = {}
    outcomes_seq: int = 0
    """Newest lesson whose outcome the predictor was reported."""

    frozen_at: datetime | None = None
    """Since then nothing adapts; None: it does."""

    frozen_seq: int = 0
    """While frozen, lessons above this number are kept and not used."""

    frozen_why: str = ""
