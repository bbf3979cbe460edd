"""``apex telegram``: notices and approvals by phone, without a run beside it."""

from __future__ import annotations

import signal
from collections.abc import Callable

from apex_cli.commands.options import Call, command
from apex_cli.core.errors import ConfigError


@command("telegram")
def telegram(call: Call) -> None:
    """Deliver notices and answer presses and commands from Telegram until Ctrl-C.

    ``apex run`` does the same while it loops. Decisions go to the process that holds the executor; when nobody does,
    this one takes it for as long as the decision needs.
    """
    out, settings = call.out, call.settings
    if not settings.notify.telegram.enabled:
        raise ConfigError(
            "telegram_off", "notify.telegram.enabled is false.", hint="Set it to true; see apex help notifications"
        )
    from apex_cli.notify.post import Postman

    postman = Postman(settings, listens=True, say=out.note)
    for problem in postman.prepare():
        raise problem
    _until_told(postman.end)
    out.note("Listening to Telegram. Ctrl-C ends.")
    postman.work()
    out.result({"ended": True})


def _until_told(end: Callable[[], object]) -> None:
    """Let SIGINT and SIGTERM end it; what is being done is finished first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end())
