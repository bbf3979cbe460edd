"""What every step of the pipeline is given, its own or one that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.core.model.decision import Reason
from apex_cli.core.model.records import SignalReport
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import BarSource, Clock, ModelStore, SignalBatch, SignalSource, SignalStage

if TYPE_CHECKING:
    from apex_cli.core.signals.prefetch import Prefetch


class Once:
    """Passes a notice on when its code and subject are new."""

    def __init__(self, notice: Callable[[Reason], None]) -> None:
        """Start with nothing said."""
        self._notice = notice
        self._said: set[tuple[str, str]] = set()

    def __call__(self, reason: Reason, subject: str = "") -> None:
        """Say *reason* unless it was said of *subject* before."""
        if (reason.code, subject) not in self._said:
            self._said.add((reason.code, subject))
            self._notice(reason)


class PipelineContext(NamedTuple):
    """The parts a step may use. A class named in the configuration is called with this alone."""

    clock: Clock
    bars: BarSource | None
    """Price history, None when none is configured."""

    state_dir: Path
    """Folder for files of a step's own."""

    notice: Once
    """Tells the person; each code once for each subject."""

    watch_list: tuple[str, ...] = ()
    is_required: bool = False
    """True: a signal that cannot be judged is refused instead of passed on."""

    is_dry_run: bool = False
    """True: nothing may be written."""

    models: ModelStore | None = None
    """Where the predictor's models are; None: in the folder of the state."""

    are_bars_fixed: bool = False
    """True: the source of bars never changes, as in a replay."""

    prefetch: Prefetch | None = None
    """What asks for the bars, where they have to be asked for."""


class GuardedStage:
    """A step whose crash ends neither the run nor, unless analysis is required, the signal."""

    def __init__(self, stage: SignalStage, context: PipelineContext) -> None:
        """Guard *stage*."""
        self.name = stage.name
        self._stage = stage
        self._notice = context.notice
        self._is_required = context.is_required

    async def process(self, signal: Signal) -> Signal | Reason:
        """Return what the step says; when it crashes, the signal unchanged, or why it is refused."""
        try:
            answer = await self._stage.process(signal)
        except Exception as error:  # noqa: BLE001 - a step may be anybody's code
            return self._failed(signal, f"{type(error).__name__}: {error}")
        if isinstance(answer, Reason) or (isinstance(answer, Signal) and answer.signal_id == signal.signal_id):
            return answer
        return self._failed(signal, f"it returned {type(answer).__name__} instead of the signal or a reason")

    def _failed(self, signal: Signal, what: str) -> Signal | Reason:
        reason = Reason(code="stage_failed", message=f"The step {self.name} failed on {signal.symbol}: {what}.")
        self._notice(reason, f"{self.name} {what}")
        return reason if self._is_required else signal


class GuardedSource:
    """A scanner whose crash does not end the run: it is told, and looked at again next time."""

    def __init__(self, name: str, source: SignalSource, notice: Once) -> None:
        """Guard *source*."""
        self.name = name
        self._source = source
        self._notice = notice

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield what the scanner finds, until it fails."""
        try:
            yield from self._source.poll(now)
        except Exception as error:  # noqa: BLE001 - a scanner may be anybody's code
            self._failed(error)

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Mark *batch* as done."""
        try:
            self._source.settle(batch, reports)
        except Exception as error:  # noqa: BLE001 - a scanner may be anybody's code
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}"
        self._notice(
            Reason(code="scanner_failed", message=f"The scanner {self.name} failed: {what}."), f"{self.name} {what}"
        )
