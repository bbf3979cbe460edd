"""``apex learn``: what was learned from closed trades, and how to take it back."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import open_store, read_settings
from apex_cli.commands.options import ConfigOption, JsonOption, QuietOption, VerboseOption
from apex_cli.presenters.blocks import Line
from apex_cli.presenters.output import Output

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show what was learned from closed trades, and take it back."
)

VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", help="0 are the defaults.", min=0)]


@app.command(epilog="Example: apex learn status")
def status(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the weights in force beside the defaults, and what the learners wait for."""
    with Output("learn status", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.presenters.learn import status_blocks, status_data

        settings = read_settings(config)
        state = open_store(settings).view()
        mode = settings.learning.mode
        out.result(status_data(state, mode), status_blocks(state, mode))


@app.command(epilog="Example: apex learn history")
def history(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the versions of the weights that can be rolled back to."""
    with Output("learn history", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.presenters.learn import history_blocks, history_data

        state = open_store(read_settings(config)).view()
        out.result(history_data(state), history_blocks(state))


@app.command(epilog="Example: apex learn diff 0 3")
def diff(
    before: VersionArgument,
    after: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", help="Default: the one in force.", min=0, show_default=False),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Compare two versions of the weights."""
    with Output("learn diff", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.core.learning.learners import weights_of
        from apex_cli.presenters.learn import diff_blocks, diff_data

        state = open_store(read_settings(config)).view()
        other = state.learning.version if after is None else after
        weights = weights_of(state, before), weights_of(state, other)
        out.result(diff_data(before, other, *weights), diff_blocks(before, other, *weights))


@app.command(epilog="Example: apex learn rollback 2")
def rollback(
    version: VersionArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Put the weights of an older version in force again, exactly, as a new version."""
    with Output("learn rollback", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.core.learning.learners import roll_back
        from apex_cli.presenters.learn import version_data

        store = open_store(read_settings(config))
        with store.transaction() as tx:
            made = roll_back(tx, version, store.clock.now())
        out.result(version_data(made), (Line(text=f"Version {made.version} is in force. {made.why}"),))


@app.command(epilog='Example: apex learn freeze --reason "earnings season"')
def freeze(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; shown by status.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Stop learning until ``unfreeze``; closed trades are still kept for it."""
    with Output("learn freeze", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.core.learning.learners import freeze as freeze_learning

        store = open_store(read_settings(config))
        with store.transaction() as tx:
            learning = freeze_learning(tx, store.clock.now(), reason)
        data = {"frozen": True, "frozen_at": learning.frozen_at, "reason": reason, "version": learning.version}
        out.result(data, (Line(text=f"Frozen at version {learning.version}. Go on with: apex learn unfreeze"),))


@app.command(epilog="Example: apex learn unfreeze")
def unfreeze(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Learn again, from everything that was kept meanwhile."""
    with Output("learn unfreeze", as_json=as_json, quiet=quiet, verbose=verbose) as out:
        from apex_cli.core.learning.learners import unfreeze as unfreeze_learning

        store = open_store(read_settings(config))
        with store.transaction() as tx:
            learning = unfreeze_learning(tx, store.clock.now())
        data = {"frozen": False, "frozen_at": None, "reason": "", "version": learning.version}
        out.result(data, (Line(text=f"Learning goes on from version {learning.version}."),))
