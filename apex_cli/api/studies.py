"""``replay``: trades over historical prices, with the same rules as a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Literal

from apex_cli.api.bars import BarsLike, bars_folder
from apex_cli.api.reports import Report
from apex_cli.api.running_loop import beside_the_loop
from apex_cli.api.settings import SettingsLike, settings_of
from apex_cli.core.model.wording import amounts_in
from apex_cli.core.signals.strategy import Signal, Strategy

OnStep = Callable[[int, int], None]


def replay(
    bars: BarsLike,
    strategy: Strategy | Iterable[Signal] | None = None,
    settings: SettingsLike = None,
    *,
    first: date | None = None,
    last: date | None = None,
    actions: Path | str | None = None,
    seed: int = 1,
    on_error: Literal["report", "raise"] = "report",
    on_step: OnStep | None = None,
) -> Report:
    """Return the result of trading *bars*, with the checks, sizes, fills and moving stops of a run, in memory.

    Args:
        bars: a folder, a file, a pandas or polars frame, a mapping of symbols to frames, or records.
        strategy: called at the end of every bar of the watch list, or of all symbols where there is none; or signals
            with their times; None: the scanners of *settings*.
        settings: the configuration; None: the defaults.
        first: the first day; None: as far as the bars go.
        last: the last day, included.
        actions: file of splits and dividends.
        seed: of the intervals that are drawn by chance.
        on_error: what an error of the strategy does: ``report`` puts it into ``Report.problems``, and the strategy is
            asked again at the next bar; ``raise`` ends the replay with it, and no time limit holds, for a debugger.
        on_step: hears how many steps are done, and of how many.

    Raises:
        ConfigError: the settings are wrong.
        InputError: there are no bars in the period, or they cannot be read.
    """
    from apex_cli.app.replayer import ReplayOptions
    from apex_cli.app.replayer import replay as replay_history
    from apex_cli.app.strategies import replay_sources

    chosen = settings_of(settings)
    with bars_folder(bars) as folder, amounts_in(chosen.currency.base):
        options = ReplayOptions(
            bars_dir=folder,
            first=first,
            last=last,
            seed=seed,
            actions=Path(actions).absolute() if actions is not None else None,
        )
        sources = replay_sources(chosen, strategy, raises=on_error == "raise") if strategy is not None else None
        report = beside_the_loop(lambda: replay_history(chosen, options, on_step, make_sources=sources))
    return Report(report)
