"""``apex replay``: trade history again, with the same decisions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.options import Call, common, whole
from apex_cli.core.errors import ConfigError, InputError
from apex_cli.core.model.market import ReplayFill
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.app.replayer import ReplayOptions
    from apex_cli.app.sweep import ReadSettings
    from apex_cli.core.reports.replay_report import ReplayReport

FILL_KEY = "APEX_REPLAY__FILL"

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: apex replay --bars bars --from 2004-01-01 --html replay.html")
@common("replay")
def replay(
    call: Call,
    bars: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with one SYMBOL.csv each. Default: prices.bars_dir."),
    ] = None,
    signals: Annotated[
        list[Path] | None,
        typer.Option("--signals", "-s", metavar="FILE", help="Signal file, by its timestamps; repeatable."),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(help="Built-in source of signals: breakout. Default: your scanners, else breakout."),
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First session. Default: the first bar.", show_default=False),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last session. Default: the last bar.", show_default=False),
    ] = None,
    fill: Annotated[
        ReplayFill | None,
        typer.Option(help="First price of an order: next bar's open, or the signal's close.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="For the interval around the expectancy.")] = 1,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with curves and every trade.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write one picture: key numbers, curves. Extra: png.")
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option(metavar="GRID", help="YAML of settings and the values to try: one replay each combination."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=whole(1), metavar="NUMBER", help="Processes of a sweep. Default: one a core.", show_default=False
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Sweep on a Dask cluster: its scheduler. Extra: cluster."),
    ] = None,
) -> None:
    """Replay history in memory: the same steps, scanners, checks and fills as in a run. No state is read or changed."""
    from apex_cli.app import replayer as replaying
    from apex_cli.presenters.replay import replay_blocks, replay_data, replay_warnings

    out = call.out
    overrides = {} if fill is None else {FILL_KEY: fill.value}
    settings = call.settings_with(overrides)
    options = replaying.ReplayOptions(
        bars_dir=_folder(bars, settings),
        signals=tuple(signals or ()),
        rule=rule,
        first=first.date() if first else None,
        last=last.date() if last else None,
        seed=seed,
    )
    if sweep is not None:
        if html is not None or png is not None:
            name = "--html" if html is not None else "--png"
            raise InputError("usage", f"{name} draws one replay, not a sweep.", hint="Leave one of them out.")
        _sweep(out, lambda extra: call.settings_with(overrides | dict(extra)), sweep, options, jobs, dask)
        return
    if png is not None:
        from apex_cli.presenters.pages.raster import require_png

        require_png()
    with out.progress("replaying") as on_step:
        report = replaying.replay(settings, options, on_step)
    history = replaying.open_replay_bars(options.bars_dir, settings.prices)
    for symbol in history.symbols() if out.verbose else ():
        out.detail(history.taken_as(symbol))
    written = _write(report, html, png)
    for path in written.values():
        out.note(f"Written: {path}")
    out.warn(*replay_warnings(report))
    out.result(replay_data(report) | written, replay_blocks(report))


def _sweep(
    out: Output, read: ReadSettings, grid: Path, options: ReplayOptions, jobs: int | None, dask: str | None
) -> None:
    from apex_cli.app import replayer as replaying
    from apex_cli.app import sweep as sweeping
    from apex_cli.presenters.sweep_table import sweep_blocks, sweep_data

    tasks = sweeping.tasks_of(sweeping.read_grid(grid), options, read)
    with out.progress(f"{len(tasks)} replays") as on_done:
        if dask is not None:
            rows = sweeping.sweep_on_cluster(tasks, dask, on_done=on_done)
        else:
            rows = sweeping.sweep(tasks, jobs=jobs, on_done=on_done)
    predicting = next((task for task in tasks if "predictor" in task.settings.pipeline.stages), None)
    warning = replaying.foreknowledge(predicting.settings, options) if predicting is not None else None
    out.warn(*((warning,) if warning is not None else ()))
    out.result(sweep_data(rows), sweep_blocks(rows))


def _folder(named: Path | None, settings: Settings) -> Path:
    """Return the folder of bars, absolute."""
    folder = named or settings.prices.bars_dir
    if folder is None:
        raise ConfigError(
            "bars_missing", "A replay needs bars.", hint="Name a folder with --bars, or set prices.bars_dir."
        )
    return folder.resolve()


def _write(report: ReplayReport, html: Path | None, png: Path | None) -> dict[str, str]:
    """Write what was asked for; return where."""
    from apex_cli.app.resources import write_page

    written = {}
    if html is not None:
        from apex_cli.presenters.pages.replay_page import replay_page

        written["html"] = str(write_page(html, replay_page(report)))
    if png is not None:
        from apex_cli.presenters.pages.picture import replay_picture
        from apex_cli.presenters.pages.raster import png_of

        written["png"] = str(write_page(png, png_of(replay_picture(report))))
    return written
