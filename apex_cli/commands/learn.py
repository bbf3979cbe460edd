"""``apex learn``: what was learned from closed trades, and how to take it back."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.app.resources import open_store
from apex_cli.commands.options import Call, command, whole
from apex_cli.commands.replay import ActionsOption, BarsOption, FromOption, RuleOption, SignalsOption, ToOption
from apex_cli.presenters.screen.blocks import Line

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show what was learned from closed trades, and take it back."
)

VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", help="0 are the defaults.", parser=whole(0))]


@command("learn status", app=app)
def status(call: Call) -> None:
    """Show the weights in force beside the defaults, and what the learners wait for."""
    from apex_cli.presenters.learn import status_blocks, status_data

    out, settings = call.out, call.settings
    state = open_store(settings).view()
    out.result(status_data(state, settings.learning), status_blocks(state, settings.learning))


@command("learn history", app=app)
def history(call: Call) -> None:
    """List the versions of the weights that can be rolled back to."""
    from apex_cli.presenters.learn import history_blocks, history_data

    out = call.out
    state = open_store(call.settings).view()
    out.result(history_data(state), history_blocks(state))


@command("learn diff", "0 3", app=app)
def diff(
    call: Call,
    before: VersionArgument,
    after: Annotated[
        int | None, typer.Argument(metavar="VERSION", help="Default: the one in force.", parser=whole(0))
    ] = None,
) -> None:
    """Compare two versions of the weights."""
    from apex_cli.core.learning.learners import weights_of
    from apex_cli.presenters.learn import diff_blocks, diff_data

    out = call.out
    state = open_store(call.settings).view()
    other = state.learning.version if after is None else after
    weights = weights_of(state, before), weights_of(state, other)
    out.result(diff_data(before, other, *weights), diff_blocks(before, other, *weights))


@command("learn rollback", "2", app=app)
def rollback(
    call: Call,
    version: VersionArgument,
) -> None:
    """Put the weights of an older version in force again, exactly, as a new version."""
    from apex_cli.core.learning.learners import roll_back
    from apex_cli.presenters.learn import version_data

    out = call.out
    store = open_store(call.settings)
    with store.transaction() as tx:
        made = roll_back(tx, version, store.clock.now())
    out.result(version_data(made), (Line(text=f"Version {made.version} is in force. {made.why}"),))


@command("learn freeze", '--reason "earnings season"', app=app)
def freeze(
    call: Call,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; shown by status.")] = "",
) -> None:
    """Stop learning until ``unfreeze``; closed trades are still kept for it."""
    from apex_cli.core.learning.learners import freeze as freeze_learning

    out = call.out
    store = open_store(call.settings)
    with store.transaction() as tx:
        learning = freeze_learning(tx, store.clock.now(), reason)
    data = {"frozen": True, "frozen_at": learning.frozen_at, "reason": reason, "version": learning.version}
    out.result(data, (Line(text=f"Frozen at version {learning.version}. Go on with: apex learn unfreeze"),))


@command("learn unfreeze", app=app)
def unfreeze(call: Call) -> None:
    """Learn again, from everything that was kept meanwhile."""
    from apex_cli.core.learning.learners import unfreeze as unfreeze_learning

    out = call.out
    store = open_store(call.settings)
    with store.transaction() as tx:
        learning = unfreeze_learning(tx, store.clock.now())
    data = {"frozen": False, "frozen_at": None, "reason": "", "version": learning.version}
    out.result(data, (Line(text=f"Learning continues from version {learning.version}."),))


@command("learn backtest", "--bars bars --rule breakout", app=app)
def backtest(
    call: Call,
    bars: BarsOption = None,
    signals: SignalsOption = None,
    rule: RuleOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    seed: Annotated[int, typer.Option(help="For the interval around the difference.")] = 1,
) -> None:
    """Replay history with and without learning, and compare: each session is judged by what was learned before it."""
    from apex_cli.app.learning_backtest import backtest_learning
    from apex_cli.app.replayer import ReplayOptions, bars_folder
    from apex_cli.presenters.learn_backtest import backtest_blocks, backtest_data

    out, settings = call.out, call.settings_with({})
    options = ReplayOptions(
        bars_dir=bars_folder(bars, settings),
        signals=tuple(signals or ()),
        rule=rule,
        first=first.date() if first else None,
        last=last.date() if last else None,
        seed=seed,
        actions=actions.absolute() if actions is not None else None,
    )
    with out.progress("replaying") as on_step:
        found = backtest_learning(settings, options, on_step)
    out.result(backtest_data(found), backtest_blocks(found))
