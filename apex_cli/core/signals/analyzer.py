"""TechnicalAnalyzer: whether the technical scores of the symbol support the signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.core.analysis.technical import MIN_BARS, Technical, Unusable, analyse
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal, market_view
from apex_cli.core.signals.bar_history import History
from apex_cli.core.signals.context import PipelineContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = 6
"""Numbers in metadata are rounded to this many decimals: the same bars give the same text."""

_WHY = {
    Unusable.TOO_SHORT: f"it has fewer than {MIN_BARS} bars",
    Unusable.NOT_FINITE: "its bars hold values that are no numbers",
    Unusable.FLAT: "its prices do not move",
}


class TechnicalAnalyzer:
    """Passes a signal when composite and trend are good enough; puts the numbers into its metadata.

    Keys: ``technical_composite``, ``technical_trend``, ``technical_momentum``, ``technical_volume``,
    ``technical_volatility`` (risk, 1 is wild), ``adjusted_confidence`` (mean of the signal's confidence and the
    composite; the composite alone when the signal has none), ``atr``, ``volume_ratio``, ``avg_dollar_volume``,
    ``support``, ``resistance`` (prices, missing where there is none) and ``market_regime``.
    """

    name = "technical"

    def __init__(
        self,
        context: PipelineContext,
        history: History,
        *,
        min_composite: Decimal = Decimal("0.5"),
        min_trend: Decimal = Decimal("0.4"),
    ) -> None:
        """Keep the parts and the two bounds, which a score must exceed."""
        self._context = context
        self._history = history
        self._min_composite = min_composite
        self._min_trend = min_trend
        self._foreseen: dict[str, NDArray[np.int64]] = {}

    def foresee(self, due: Mapping[str, Sequence[datetime]]) -> None:
        """Look at all bars of a symbol that signals are *due* at when the first of them comes."""
        self._foreseen = {symbol: self._history.rows(symbol, moments) for symbol, moments in due.items()}

    async def process(self, signal: Signal) -> Signal | Reason:
        """Return the signal with its numbers, or why it goes no further."""
        symbol = signal.instrument.bars_name
        known = self._history.known(symbol, self._context.clock.now())
        if isinstance(known, Reason):
            return self._unjudged(signal, known)
        found = analyse(known.frame, market_view(signal), known.length, self._foreseen.get(symbol))
        if isinstance(found, Unusable):
            why = Reason(code=f"bars_{found}", message=f"{signal.symbol} cannot be analysed: {_WHY[found]}.")
            return self._unjudged(signal, why)
        return self._weak(signal, found) or replace(signal, metadata={**signal.metadata, **_metadata(signal, found)})

    def _unjudged(self, signal: Signal, reason: Reason) -> Signal | Reason:
        reported = replace(reason, message=f"{reason.message} Signals of {signal.symbol} are {self._fate}.")
        self._context.notice(reported, f"{self.name} {signal.symbol}")
        return reason if self._context.is_required else signal

    @property
    def _fate(self) -> str:
        return "refused" if self._context.is_required else "passed on without technical analysis"

    def _weak(self, signal: Signal, found: Technical) -> Reason | None:
        """Return the first bound that is not exceeded, with every number."""
        looks = (
            ("technical_weak", "composite", found.composite, self._min_composite),
            ("technical_trend", "trend", found.trend, self._min_trend),
        )
        for code, what, value, bound in looks:
            if value <= bound:
                return Reason(
                    code=code,
                    message=f"The technical {what} of {signal.symbol} for a {signal.signal_type} is {value:.2f}, "
                    f"not above {bound} (trend {found.trend:.2f}, momentum {found.momentum:.2f}, "
                    f"volume {found.volume:.2f}, volatility risk {found.volatility:.2f}).",
                    limit=f"{bound}",
                    value=f"{value:.4f}",
                )
        return None


def _metadata(signal: Signal, found: Technical) -> dict[str, float | str]:
    numbers = {
        "technical_composite": found.composite,
        "technical_trend": found.trend,
        "technical_momentum": found.momentum,
        "technical_volume": found.volume,
        "technical_volatility": found.volatility,
        "adjusted_confidence": adjusted_confidence(signal.confidence, found.composite),
        "atr": found.atr,
        "volume_ratio": found.volume_ratio,
        "avg_dollar_volume": found.dollar_volume,
        "support": found.support,
        "resistance": found.resistance,
    }
    rounded = {name: round(value, DIGITS) for name, value in numbers.items() if value is not None}
    return {**rounded, "market_regime": str(found.regime)}


def adjusted_confidence(confidence: Decimal | None, composite: float) -> float:
    """Return the mean of both; the composite alone where the source did not say.

    >>> adjusted_confidence(Decimal("0.75"), 0.5)
    0.625
    """
    return composite if confidence is None else (float(confidence) + composite) / 2
