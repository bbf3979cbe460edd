"""The context that every step of the pipeline receives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import BarSource, Clock, ModelStore

if TYPE_CHECKING:
    from apex_cli.core.positions.position_views import PositionView
    from apex_cli.core.signals.plugin_limits import Limits
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
    """Reports the person; each code once for each subject."""

    watch_list: tuple[str, ...] = ()
    is_required: bool = False
    """True: a signal that cannot be judged is refused instead of passed on."""

    is_dry_run: bool = False
    """True: nothing may be written."""

    models: ModelStore | None = None
    """Where the predictor's models are; None: in the folder of the state."""

    are_bars_fixed: bool = False
    """True: the source of bars never changes, as in a replay."""

    limits: Limits | None = None
    """How long a step may take, and how much memory it may add; None: the default."""

    prefetch: Prefetch | None = None
    """What asks for the bars, where they have to be asked for."""

    position_of: Callable[[str], PositionView | None] | None = None
    """Returns what is held of a symbol now; None where nobody knows."""

    async def fetch(self) -> None:
        """Ask for the bars, where they have to be asked for."""
        if self.prefetch is not None:
            await self.prefetch.tend(self.clock.now())
