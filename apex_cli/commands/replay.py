"""``apex replay``: trade history again, with the same decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.app.resources import write_page
from apex_cli.commands.options import BenchmarkOption, Call, command, count, option, session
from apex_cli.core.errors import InputError
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.wording import counted
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.app.kept_rows import SweepTask
    from apex_cli.app.replayer import ReplayOptions
    from apex_cli.app.sweep import ReadSettings
    from apex_cli.app.walk_forward import Window
    from apex_cli.core.reports.replay_report import SweepRow, WalkForwardRow

FILL_KEY = "APEX_REPLAY__FILL"

BarsOption = Annotated[
    Path | None, option("DIR", "Folder with one SYMBOL.csv each. Default: prices.bars_dir.", "--bars")
]
SignalsOption = Annotated[
    list[Path] | None, option("FILE", "Signal file, by its timestamps; repeatable.", "--signals", "-s")
]
ActionsOption = Annotated[
    Path | None, option("FILE", "Splits and dividends: a CSV file of symbol, date, kind, value.", "--actions")
]
RuleOption = Annotated[
    str | None,
    typer.Option("--rule", help="Built-in source of signals: breakout. Default: your scanners, else breakout."),
]
FromOption = Annotated[datetime | None, session("First session. Default: the first bar.", "--from")]
ToOption = Annotated[datetime | None, session("Last session. Default: the last bar.", "--to")]


@command("replay", "--bars bars --from 2004-01-01 --html replay.html")
def replay(
    call: Call,
    bars: BarsOption = None,
    signals: SignalsOption = None,
    strategy: Annotated[
        str | None, option("MODULE:FUNCTION", "A strategy of yours alone, as scanners.strategies names it.")
    ] = None,
    rule: RuleOption = None,
    first: FromOption = None,
    last: ToOption = None,
    fill: Annotated[
        ReplayFill | None, typer.Option(help="First price of an order: next bar's open, or the signal's close.")
    ] = None,
    actions: ActionsOption = None,
    seed: Annotated[int, typer.Option(help="For the interval around the expectancy.")] = 1,
    html: Annotated[Path | None, option("FILE", "Also write a page with curves and every trade.")] = None,
    png: Annotated[Path | None, option("FILE", "Also write one picture: key numbers, curves. Extra: png.")] = None,
    benchmark: BenchmarkOption = None,
    sweep: Annotated[
        Path | None, option("GRID", "YAML of settings and the values to try: one replay each combination.")
    ] = None,
    jobs: Annotated[int | None, count("Processes of a sweep. Default: one a core.", low=1)] = None,
    dask: Annotated[str | None, option("ADDRESS", "Sweep on a Dask cluster: its scheduler. Extra: cluster.")] = None,
    csv: Annotated[Path | None, option("FILE", "Also write every combination of a sweep as a table.")] = None,
    walk_forward: Annotated[
        str | None, option("PAST/FUTURE", "Sweep each past, judge its best in the time after it: 3y/1y.")
    ] = None,
    hold_out: Annotated[
        str | None, option("SPAN", "Keep the end from the sweep, and replay the best setting there: 1y.")
    ] = None,
) -> None:
    """Replay history in memory: the same steps, scanners, checks and fills as in a run. No state is read or changed."""
    from apex_cli.app import replayer as replaying
    from apex_cli.presenters.replay import replay_blocks, replay_data, replay_warnings

    out = call.out
    if strategy is not None and (signals or rule is not None):
        raise InputError("usage", "--strategy, --signals and --rule exclude each other.", hint="Give one of them.")
    overrides = {} if fill is None else {FILL_KEY: fill.value}
    settings = call.settings_with(overrides)
    options = replaying.ReplayOptions(
        bars_dir=replaying.bars_folder(bars, settings),
        signals=tuple(signals or ()),
        strategy=strategy,
        rule=rule,
        first=first.date() if first else None,
        last=last.date() if last else None,
        seed=seed,
        actions=actions.absolute() if actions is not None else None,
    )
    if sweep is not None:
        if html is not None or png is not None:
            name = "--html" if html is not None else "--png"
            raise InputError("usage", f"{name} draws one replay, not a sweep.", hint="Leave one of them out.")
        _Sweep(out, settings, options, sweep, jobs, dask).run(
            lambda extra: call.settings_with(overrides | dict(extra)), csv, walk_forward, hold_out
        )
        return
    if csv is not None or walk_forward is not None or hold_out is not None:
        raise InputError("usage", "--csv, --walk-forward and --hold-out are for a sweep.", hint="Add --sweep GRID.")
    if png is not None:
        from apex_cli.presenters.pages.raster import require_png

        require_png()
    with out.progress("replaying") as on_step:
        report = replaying.replay(settings, options, on_step)
    history = replaying.bars_of(settings, options)
    for symbol in history.symbols() if out.verbose else ():
        out.detail(history.taken_as(symbol))
    written = {}
    if html is not None or png is not None:
        from apex_cli.app.report_pages import replay_page, write_pages
        from apex_cli.presenters.pages.picture import replay_picture

        page = partial(replay_page, report, settings, options, benchmark)
        written = write_pages(html, png, page, partial(replay_picture, report))
    for path in written.values():
        out.note(f"Written: {path}")
    out.warn(*replay_warnings(report))
    out.result(replay_data(report) | written, replay_blocks(report))


class _Sweep:
    """A sweep from the grid to what is shown."""

    def __init__(
        self, out: Output, settings: Settings, options: ReplayOptions, grid: Path, jobs: int | None, dask: str | None
    ) -> None:
        from apex_cli.app.kept_rows import KeptRows

        self._out = out
        self._settings = settings
        self._options = options
        self._grid = grid
        self._jobs = jobs
        self._dask = dask
        self._kept = KeptRows(grid.with_name(f"{grid.name}.rows"))

    def run(self, read: ReadSettings, csv: Path | None, walk: str | None, hold_out: str | None) -> None:
        """Replay every combination, and show what was asked for."""
        from apex_cli.app import replayer as replaying
        from apex_cli.app import sweep as sweeping
        from apex_cli.app import walk_forward as walking

        grid = sweeping.read_grid(self._grid)
        spans = walking.read_walk(walk) if walk is not None else None
        seen, end = self._options, None
        if hold_out is not None:
            seen, end = walking.held_out(self._settings, self._options, walking.read_span(hold_out))
        tasks = sweeping.tasks_of(grid, seen, read)
        if spans is None:
            self._plain(tasks, csv, end)
        else:
            period = replaying.period_of(self._settings, seen)
            self._walk(tasks, walking.windows_of(*period, *spans), end)
        predicting = next((task for task in tasks if "predictor" in task.settings.pipeline.stages), None)
        warning = replaying.foreknowledge(predicting.settings, seen) if predicting is not None else None
        self._out.warn(*((warning,) if warning is not None else ()))
        self._kept.forget()

    def _all(self, tasks: Sequence[SweepTask]) -> list[SweepRow]:
        """Replay *tasks*, with a bar of how far it is."""
        from apex_cli.app import sweep as sweeping

        if done := self._kept.count(tasks):
            self._out.note(f"{done} of {len(tasks)} replays are in {self._kept.path} from before and not done again.")
        with self._out.progress(counted(len(tasks), "replay")) as on_done:
            try:
                if self._dask is not None:
                    return sweeping.sweep_on_cluster(tasks, self._dask, on_done=on_done, kept=self._kept)
                return sweeping.sweep(tasks, jobs=self._jobs, on_done=on_done, kept=self._kept)
            except KeyboardInterrupt:
                self._out.note(f"What is finished is in {self._kept.path}: the same command continues there.")
                raise

    def _plain(self, tasks: Sequence[SweepTask], csv: Path | None, end: ReplayOptions | None) -> None:
        from apex_cli.core.reports.overfitting import luck_of
        from apex_cli.core.reports.replay_report import best_first
        from apex_cli.presenters import sweep_table

        rows = self._all(tasks)
        luck = luck_of([row.returns for row in rows], self._options.seed)
        written = _write_csv(rows, csv)
        best = tasks[rows.index(best_first(rows)[0])]
        held = self._held_out(best, rows[tasks.index(best)], end)
        for path in written.values():
            self._out.note(f"Written: {path}")
        self._out.result(sweep_table.sweep_data(rows, luck, held) | written, sweep_table.sweep_blocks(rows, luck, held))

    def _walk(self, tasks: Sequence[SweepTask], windows: Sequence[Window], end: ReplayOptions | None) -> None:
        from apex_cli.app import walk_forward as walking
        from apex_cli.presenters import sweep_table

        rows = walking.walk_forward(tasks, windows, self._all)
        newest = next(task for task in tasks if task.values == rows[-1].values)
        held = self._held_out(newest, rows[-1].past, end)
        self._out.result(sweep_table.walk_data(rows, held), sweep_table.walk_blocks(rows, held))

    def _held_out(self, task: SweepTask, past: SweepRow, end: ReplayOptions | None) -> WalkForwardRow | None:
        """Return the result of the chosen setting in the end that was kept from the sweep."""
        from msgspec.structs import replace

        from apex_cli.app import replayer as replaying
        from apex_cli.core.reports.replay_report import WalkForwardRow

        if end is None:
            return None
        found = self._all([replace(task, options=end)])[0]
        first, last = replaying.period_of(self._settings, end)
        return WalkForwardRow(first=first, last=last, values=task.values, past=past, future=found)


def _write_csv(rows: Sequence[SweepRow], path: Path | None) -> dict[str, str]:
    """Write the table where it was asked for; return where."""
    if path is None:
        return {}
    from apex_cli.core.adapters.table_file import TableFormat, table_bytes
    from apex_cli.presenters.sweep_table import sweep_table

    return {"csv": str(write_page(path, table_bytes(*sweep_table(rows), TableFormat.CSV), form="csv"))}
