"""``apex model``: the predictor's models."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.pipeline import (
    make_model_manager,
    model_clock,
    model_files,
    pipeline_bars,
    require_ml,
    training_symbols,
)
from apex_cli.commands.options import Call, command, count, flag, option
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.model.wording import counted
from apex_cli.presenters.model import MODELS, status_blocks, status_data, trained_blocks

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look at, train and go back to prediction models.")

SymbolsOption = Annotated[
    str, option("A,B,...", "Train on these. Default: scanners.watch_list, else every symbol with bars.", "--symbols")
]


@command("model status", app=app)
def status(call: Call) -> None:
    """Show the model in use, how good it was, and whether it is time to train."""
    out, settings = call.out, call.settings
    manager = make_model_manager(settings, read_only=True)
    now = model_clock(settings).now()
    out.result(status_data(manager, now), status_blocks(manager, now))


@command("model train", "--symbols AAPL,IBM,MSFT", app=app)
def train(
    call: Call,
    symbols: SymbolsOption = "",
    if_due: Annotated[bool, flag("Only when it is time to: for cron.", "--if-due")] = False,
) -> None:
    """Train on the bars of all symbols together, and use the new model from now on."""
    out, settings = call.out, call.settings
    bars = pipeline_bars(settings)
    manager = make_model_manager(settings, bars=bars)
    now = model_clock(settings).now()
    manager.resolve(now)
    if if_due and manager.due(now) is None:
        raise NothingToDo("not_due", "The model in use is young and right often enough.")
    require_ml()
    chosen = training_symbols(settings, symbols, bars)
    if not chosen:
        raise InputError("no_symbols", "There are no bars to train on.", hint="Set prices.bars_dir.")
    with out.waiting(f"training on {counted(len(chosen), 'symbol')}"), model_files(settings).training():
        info, left_out = manager.train(chosen, now)
    out.warn(*left_out)
    out.result({"model": MODELS.data(info)}, trained_blocks(info))


@command("model rollback", app=app)
def rollback(
    call: Call,
    to: Annotated[int | None, count("Version. Default: the one before.", "--to", low=1)] = None,
) -> None:
    """Go back to an earlier model; nothing is trained by itself until that one is old."""
    out, settings = call.out, call.settings
    info = make_model_manager(settings).roll_back(model_clock(settings).now(), to)
    out.result({"model": MODELS.data(info)}, trained_blocks(info))
