"""What was learned: versions of weights, and where each learner stands."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from apex_cli.core.model.base import Fraction, Range, Value
from apex_cli.core.model.instrument import MarketType

HALF = Decimal("0.5")

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

    PROTECT = "protect"
    """Adapt, and besides lower the size of a strategy that probably loses, or ask first."""

    REPORT = "report"
    """Report what would be changed, and change nothing."""

    OFF = "off"
    """Nothing; scores are made with the defaults."""

    @property
    def learns(self) -> bool:
        """Return whether anything is learned."""
        return self is not LearningMode.OFF

    @property
    def adapts(self) -> bool:
        """Return whether what is learned changes the order."""
        return self is LearningMode.ADAPT or self is LearningMode.PROTECT


class LearningLimits(Value, frozen=True, kw_only=True):
    """Section ``learning``: what learns from closed trades."""

    mode: LearningMode = LearningMode.ADAPT
    """adapt: what was learned orders what competes; protect: it also lowers the size of a strategy that probably loses,
    and asks first; report: only show it; off: score with the defaults."""

    check_interval_s: Annotated[int, Range(1, 86_400)] = 300
    """Shortest time between two looks at the learners, in seconds."""

    follow: bool = True
    """Learn also from signals that were not taken for want of room, money or an answer: their prices are followed to
    stop or target, where there are bars."""

    ask_from: Annotated[Decimal, Range(HALF, 1)] = Decimal("0.90")
    """With mode protect: how probable it must be that a strategy loses to ask before each of its trades."""

    lower_from: Annotated[Decimal, Range(HALF, 1)] = Decimal("0.75")
    """With mode protect: how probable it must be that a strategy loses to lower the size of its trades."""

    lower_to: Fraction = Decimal("0.50")
    """With mode protect: what is left of such a size."""


class Estimate(Value, frozen=True, kw_only=True):
    """What is believed of one number, R: the mean and the standard deviation of its posterior."""

    mean: Decimal
    sd: Decimal


class StrategyValue(Value, frozen=True, kw_only=True):
    """What an average signal of one market and strategy is expected to bring, R after costs."""

    mean: Decimal
    """What the order uses: shrunk to the market's, and no further from it than the evidence goes."""

    sd: Decimal
    loses: Decimal = Decimal("0.5")
    """Probability that it is below zero."""

    trades: int = 0
    """Closed trades behind it."""

    followed: int = 0
    """Signals behind it that were not taken, and whose prices were followed."""


class Weights(Value, frozen=True, kw_only=True):
    """Everything in a score that can be learned. It never reaches a size or a limit."""

    parts: dict[str, Decimal] = msgspec.field(default_factory=lambda: dict(DEFAULT_PARTS))
    """Weight of each component; their sum is exactly 1."""

    markets: dict[MarketType, Decimal] = msgspec.field(default_factory=lambda: dict(DEFAULT_MARKETS))
    """Factor of each market."""

    effects: dict[str, Estimate] = {}
    """What one unit of a component brings beyond what the default weights promise; empty: nothing is known."""

    values: dict[str, StrategyValue] = {}
    """By ``market/strategy``; the name of a market and a slash alone is the market's own."""

    centers: dict[str, Decimal] = {}
    """Mean components, and mean ``score``, of what was learned from: an average signal."""

    estimated_at: datetime | None = None
    """When *effects* and *values* were worked out."""


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
    suspended_at: datetime | None = None
    """Since then learning only reports, as it made results worse; None: it does what its mode says."""

    suspended_why: str = ""
    audited_seq: int = 0
    """Newest lesson that was judged before a person let learning continue."""

    base: int = 0
    """Version that *effects* and *values* are measured from: the one that was rolled back to."""

    base_seq: int = 0
    """Newest lesson that is part of *base*: it is not learned from again."""

    values_seq: int = 0
    """Newest lesson behind the values in force."""

    def in_force(self, mode: LearningMode) -> LearningMode:
        """Return what learning may do now: what *mode* says, or only report since it made results worse."""
        return LearningMode.REPORT if mode.adapts and self.suspended_at is not None else mode


class Experience(Value, frozen=True, kw_only=True):
    """Sums over lessons of one market and strategy that left the state; each lesson counts with its weight.

    ``y`` is what a trade brought beyond what was expected of it, R.
    """

    trades: int = 0
    followed: int = 0
    newest: int = 0
    """Highest number of a lesson in it."""

    size: Decimal = Decimal(0)
    """Trades, and followed signals at less; older ones fade."""

    weight: Decimal = Decimal(0)
    score: Decimal = Decimal(0)
    y: Decimal = Decimal(0)
    yy: Decimal = Decimal(0)
    x: tuple[Decimal, ...] = ()
    """By component, in the order of ``PART_NAMES``."""

    xy: tuple[Decimal, ...] = ()
    xx: tuple[tuple[Decimal, ...], ...] = ()


class AuditSums(Value, frozen=True, kw_only=True):
    """Sums over the lessons of one session that left the state: what learning added, x, and what came, y, both in R."""

    count: int = 0
    x: Decimal = Decimal(0)
    y: Decimal = Decimal(0)
    xx: Decimal = Decimal(0)
    xy: Decimal = Decimal(0)
