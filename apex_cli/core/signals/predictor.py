"""MLPredictor: the prediction of the next bar by a model that was trained on all symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.core.errors import ApexError
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal, market_view
from apex_cli.core.signals.bar_history import History
from apex_cli.core.signals.context import PipelineContext
from apex_cli.core.signals.model_manager import ModelManager, TradeCall

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOK_INTERVAL = timedelta(minutes=10)
"""How often predictions are looked back at."""

EVEN = 0.5
OWN = "predictor_"
"""How the keys begin that a prediction takes the place of."""

RETRY_INTERVAL = timedelta(hours=6)
"""How soon a training that failed is tried again."""


class MLPredictor:
    """Puts the model's view into the metadata; refuses only where a least probability is set.

    Keys: ``predictor_direction`` (1 or -1, by the random forest), ``predictor_probability`` (of that direction, by
    the calibrated gradient boosting; below 0.5 the two disagree) and ``predictor_model`` (the version).

    Where the model tested better on the trade itself, ``predictor_target_first`` is the probability that its target
    comes before its stop; direction and probability are then those of a coin that would earn as much before costs.
    """

    name = "predictor"

    def __init__(
        self,
        context: PipelineContext,
        history: History,
        manager: ModelManager,
        *,
        min_probability: Decimal = Decimal(0),
    ) -> None:
        """Keep the parts and the least probability of a signal's direction."""
        self._context = context
        self._history = history
        self._manager = manager
        self._min_probability = min_probability
        self._foreseen: dict[str, NDArray[np.int64]] = {}

    def foresee(self, due: Mapping[str, Sequence[datetime]]) -> None:
        """Ask the model about all bars of a symbol that signals are *due* at when the first of them comes."""
        self._foreseen = {symbol: self._history.rows(symbol, moments) for symbol, moments in due.items()}

    async def process(self, signal: Signal) -> Signal | Reason:
        """Return the signal with the prediction, or why it goes no further."""
        now, symbol = self._context.clock.now(), signal.instrument.bars_name
        known = self._history.known(symbol, now)
        if isinstance(known, Reason):
            return self._unjudged(signal, known)
        said = self._manager.predict(known, now, self._foreseen.get(symbol))
        if isinstance(said, Reason):
            return self._unjudged(signal, said)
        view = market_view(signal)
        trade = self._manager.call_trade(known, signal)
        agreed = trade.even if trade else said.probability if said.direction == view else 1 - said.probability
        if agreed < self._min_probability:
            return Reason(
                code="predictor_disagrees",
                message=_doubt(signal, said.version, agreed, trade),
                limit=f"{self._min_probability}",
                value=f"{agreed:.4f}",
            )
        found: dict[str, int | float] = {
            "predictor_direction": said.direction,
            "predictor_probability": said.probability,
            "predictor_model": said.version,
        }
        if trade is not None:
            found |= {
                "predictor_direction": view if trade.even >= EVEN else -view,
                "predictor_probability": max(trade.even, 1 - trade.even),
                "predictor_target_first": trade.target_first,
            }
        others = {name: value for name, value in signal.metadata.items() if not name.startswith(OWN)}
        return replace(signal, metadata=others | found)

    def _unjudged(self, signal: Signal, reason: Reason) -> Signal | Reason:
        is_general = reason.code.startswith("model_")
        whose = "Signals" if is_general else f"Signals of {signal.symbol}"
        fate = "refused" if self._context.is_required else "passed on without a prediction"
        reported = replace(reason, message=f"{reason.message} {whose} are {fate}.")
        self._context.notice(reported, self.name if is_general else f"{self.name} {signal.symbol}")
        return reason if self._context.is_required else signal


def _doubt(signal: Signal, version: int, agreed: float, trade: TradeCall | None) -> str:
    if trade is not None:
        return (
            f"Model {version} gives the target of {signal.symbol} a chance of {trade.target_first:.2f} to come before "
            f"the stop: {agreed:.2f}, where 0.50 earns nothing before costs."
        )
    return f"Model {version} gives {signal.symbol} a chance of {agreed:.2f} to go the way of a {signal.signal_type}."


class Trainer:
    """Starts a training somewhere else, and says how the last one went."""

    def __init__(self, start: Callable[[], None], outcome: Callable[[], str | None]) -> None:
        """Keep both: *outcome* is None while it runs, empty when it went well, else what went wrong."""
        self.start = start
        self.outcome = outcome


class ModelKeeper:
    """A chore of the loop: looks back at predictions, and has a model trained when it is time."""

    def __init__(self, context: PipelineContext, manager: ModelManager, trainer: Trainer | None = None) -> None:
        """Without *trainer* it only says that training is due."""
        self._context = context
        self._manager = manager
        self._trainer = trainer
        self._looked: datetime | None = None
        self._started: datetime | None = None
        self._is_training = False

    async def tend(self, now: datetime) -> bool:
        """Do what is due; never True, as nothing of it concerns a trade."""
        self._hear()
        if self._looked is not None and now - self._looked < LOOK_INTERVAL:
            return False
        self._looked = now
        try:
            self._manager.resolve(now)
        except ApexError as error:
            unkept = f"What became of predictions cannot be kept: {error.message}"
            self._context.notice(Reason(code="predictions_unkept", message=unkept), "keeper")
        reason = self._manager.due(now)
        if reason is not None and not self._is_training:
            self._have_trained(reason, now)
        return False

    def _have_trained(self, reason: Reason, now: datetime) -> None:
        if self._trainer is None:
            reported = replace(reason, message=f"{reason.message} Train it: apex model train")
            self._context.notice(reported, "keeper")
        elif self._started is None or now - self._started >= RETRY_INTERVAL:
            self._started = now
            try:
                self._trainer.start()
            except OSError as error:
                self._failed(f"its process cannot be started: {error}")
            else:
                self._is_training = True

    def _hear(self) -> None:
        """Report once of a training that went wrong; a new model is found by the next prediction."""
        outcome = self._trainer.outcome() if self._trainer is not None and self._is_training else None
        if outcome is not None:
            self._is_training = False
            if outcome:
                self._failed(outcome)

    def _failed(self, why: str) -> None:
        reason = Reason(code="training_failed", message=f"The predictor could not be trained: {why}")
        self._context.notice(reason, why)
