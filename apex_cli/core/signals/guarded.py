"""Guarded steps and scanners: an error in foreign code ends neither the run nor, as a rule, the signal.

What crashes is reported, and asked again next time. What does not answer in time, or takes more memory than it may, is
reported and left out for the rest of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import SignalReport
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import SignalBatch, SignalSource, SignalStage
from apex_cli.core.signals.context import Once, PipelineContext
from apex_cli.core.signals.plugin_limits import DEFAULT_TIME_S, LeftOutError, Limits, described

_END = object()


class GuardedStage:
    """A step whose crash or silence ends neither the run nor, unless analysis is required, the signal."""

    def __init__(self, stage: SignalStage, context: PipelineContext) -> None:
        """Guard *stage*."""
        self.name = stage.name
        self._stage = stage
        self._limits = context.limits or Limits(DEFAULT_TIME_S)
        self._notice = context.notice
        self._is_required = context.is_required
        self._left_out = ""

    async def process(self, signal: Signal) -> Signal | Reason:
        """Return what the step says; when it crashes or is left out, the signal unchanged, or why it is refused."""
        if self._left_out:
            return self._failed(signal, self._left_out)
        try:
            answer = await self._limits.run(lambda: self._stage.process(signal))
        except LeftOutError as error:
            self._left_out = f"{error}, and is left out from now on"
            return self._failed(signal, self._left_out)
        except Exception as error:  # noqa: BLE001 - a step may be anybody's code
            return self._failed(signal, described(error))
        if isinstance(answer, Reason) or (isinstance(answer, Signal) and answer.signal_id == signal.signal_id):
            return answer
        return self._failed(signal, f"it returned {type(answer).__name__} instead of the signal or a reason")

    def foresee(self, due: Mapping[str, Sequence[datetime]]) -> None:
        """Report to the step at which ends of bars signals of which symbol are *due*, where it has a use for that."""
        foresee: Callable[[Mapping[str, Sequence[datetime]]], None] | None = getattr(self._stage, "foresee", None)
        if foresee is None or self._left_out:
            return
        try:
            self._limits.call(lambda: foresee(due))
        except LeftOutError as error:
            self._left_out = f"{error}, and is left out from now on"
            self._say(f"failed: {self._left_out}")
        except Exception as error:  # noqa: BLE001 - a step may be anybody's code
            self._say(f"failed on what is due: {described(error)}")

    def _failed(self, signal: Signal, what: str) -> Signal | Reason:
        reason = self._say(f"failed on {signal.symbol}: {what}", what)
        return reason if self._is_required else signal

    def _say(self, how: str, what: str = "") -> Reason:
        reason = Reason(code="stage_failed", message=f"The step {self.name} {how}.")
        self._notice(reason, f"{self.name} {what or how}")
        return reason


class GuardedSource:
    """A scanner whose crash does not end the run: it is reported, and looked at again next time."""

    def __init__(self, name: str, source: SignalSource, notice: Once, limits: Limits | None = None) -> None:
        """Guard *source*."""
        self.name = name
        self._source = source
        self._notice = notice
        self._limits = limits or Limits(DEFAULT_TIME_S)
        self._is_left_out = False
        self._wakes: frozenset[datetime] | None = None
        """Ends of bars at which the scanner may find something; None where it may at each."""

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield what the scanner finds, until it fails; it is not asked where it said that there is nothing."""
        if self._wakes is not None and now + LAST_SECOND not in self._wakes:
            return
        found: Iterator[SignalBatch] = iter(())
        batch = self._call(lambda: iter(self._source.poll(now)))
        if batch is not _END:
            found = batch
        while (batch := self._call(lambda: next(found, _END))) is not _END:
            yield batch

    def wakes(self, ends: Sequence[datetime]) -> Iterable[datetime] | None:
        """Return those of *ends* at which the scanner may find something; None where it does not say that."""
        ask: Callable[[Sequence[datetime]], Iterable[datetime] | None] | None = getattr(self._source, "wakes", None)
        if ask is not None:
            found = self._call(lambda: None if (said := ask(ends)) is None else frozenset(said))
            self._wakes = None if found is _END else found
        return self._wakes

    def foresees(self) -> Mapping[datetime, Sequence[str]]:
        """Return which symbols may have a signal at which end of a bar, as far as the scanner says that beforehand."""
        ask: Callable[[], Mapping[datetime, Sequence[str]]] | None = getattr(self._source, "foresees", None)
        if ask is None:
            return {}
        found = self._call(lambda: {moment: tuple(symbols) for moment, symbols in ask().items()})
        return {} if found is _END else found

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Mark *batch* as done."""
        self._call(lambda: self._source.settle(batch, reports))

    def _call(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - an iterator, a batch, or the end
        """Return the result of *work*; the end when it fails, or when the scanner is left out."""
        if self._is_left_out:
            return _END
        try:
            return self._limits.call(work)
        except LeftOutError as error:
            self._is_left_out = True
            self._failed(f"{error}, and is left out from now on")
        except Exception as error:  # noqa: BLE001 - a scanner may be anybody's code
            self._failed(described(error))
        return _END

    def _failed(self, what: str) -> None:
        self._notice(
            Reason(code="scanner_failed", message=f"The scanner {self.name} failed: {what}."), f"{self.name} {what}"
        )
