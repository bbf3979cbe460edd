"""``apex locks``: locks on new entries that follow from closed trades, and how to lift one by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from apex_cli.commands.options import Call, command, flag, option
from apex_cli.core.errors import InputError
from apex_cli.core.model.protections import TradeLock


@command("locks", '--lift AAPL --reason "the stop was a bad print"')
def locks(
    call: Call,
    lift: Annotated[
        list[str] | None,
        option("LOCK", "Lift it: its id, a beginning of it, or the security or strategy that is locked.", "--lift"),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it is lifted; --lift needs it.")] = "",
    everything: Annotated[bool, flag("Those that are over or lifted, of the last 10 sessions, too.", "--all")] = False,
) -> None:
    """Show what is locked after closed trades, and until when; exits are never locked.

    Locks follow from section protections of the configuration; apex help protections explains them.
    """
    from apex_cli.app.operator import Operator
    from apex_cli.core.positions.trade_locks import near_locks
    from apex_cli.notify import posting
    from apex_cli.presenters.locks import LocksView, locks_blocks, locks_data

    out, settings = call.out, call.settings
    if lift and not reason.strip():
        raise InputError("reason_needed", "Lifting a lock needs a reason.", hint='Add one: --reason "why"')
    if reason and not lift:
        raise InputError("lock_needed", "A reason without a lock to lift.", hint="Name it: --lift LOCK")
    operator = Operator(settings, out, wait_s=0)
    out.badge = operator.badge()
    lifted: tuple[TradeLock, ...] = ()
    if lift:
        with posting(out, settings):
            lifted = operator.lift_locks(lift, reason.strip())
    now, state = operator.now(), operator.view()
    view = LocksView(
        now=now,
        locks=tuple(row for row in state.trade_locks.values() if everything or row.holds(now)),
        lifted=lifted,
        near=near_locks(state, settings.limits.protections, now),
        differing=tuple(sorted(state.locks)),
    )
    out.result(locks_data(view), locks_blocks(view))
