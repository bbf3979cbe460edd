"""A simple ranker for tests: reward:risk, confidence and diversification."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, ScoreComponent, Signal

REWARD_RISK_WEIGHT = Decimal("0.50")
CONFIDENCE_WEIGHT = Decimal("0.35")
DIVERSIFICATION_WEIGHT = Decimal("0.15")
BEST_REWARD_RISK = Decimal(5)
"""Reward:risk that scores full marks; the scale is linear from 0."""

ZERO, ONE = Decimal(0), Decimal(1)


class SimpleRanker:
    """Scores a signal by what it says of itself and by what is already held."""

    def __init__(self, risk: RiskLimits) -> None:
        """Keep the limits that the scale of diversification comes from."""
        self._max_positions = risk.max_positions

    def rank(self, signal: Signal, exposures: Sequence[Exposure]) -> Opportunity:
        """Return *signal* scored: 0.50 reward:risk + 0.35 confidence + 0.15 diversification."""
        parts = (
            ScoreComponent(name="reward_risk", weight=REWARD_RISK_WEIGHT, value=_reward_risk_value(signal)),
            ScoreComponent(name="confidence", weight=CONFIDENCE_WEIGHT, value=signal.confidence or ZERO),
            ScoreComponent(
                name="diversification", weight=DIVERSIFICATION_WEIGHT, value=self._diversification(signal, exposures)
            ),
        )
        score = sum((part.weight * part.value for part in parts), ZERO)
        return Opportunity(signal=signal, opportunity_score=score, breakdown=parts)

    def _diversification(self, signal: Signal, exposures: Sequence[Exposure]) -> Decimal:
        """1 with nothing held on the signal's side, 0 with every slot taken on it."""
        side = PositionSide.LONG if signal.side.sign > 0 else PositionSide.SHORT
        same = sum(1 for exposure in exposures if exposure.side is side)
        return max(ZERO, ONE - Decimal(same) / max(self._max_positions, 1))


def _reward_risk_value(signal: Signal) -> Decimal:
    ratio = reward_risk(signal.entry_price, signal.stop_loss, signal.target_prices)
    if ratio is None or ratio <= 0:
        return ZERO
    return min(ratio / BEST_REWARD_RISK, ONE)
