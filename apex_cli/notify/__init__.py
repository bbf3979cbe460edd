"""Notifies people and takes their answers, in a thread of its own that never delays trading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from apex_cli.core.errors import ApexError
from apex_cli.core.model.reason import Reason
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings


def is_wanted(settings: Settings) -> bool:
    """Return whether any channel is set up: nothing is imported where none is."""
    notify = settings.notify
    channels = (notify.telegram.enabled, notify.apprise.enabled, notify.webhook.enabled)
    return notify.console or notify.log_file is not None or any(channels)


@contextmanager
def posting(out: Output, settings: Settings, *, is_run: bool = False, listens: bool = False) -> Iterator[None]:
    """Deliver what the block causes: beside it in a run, after it in a command, and no longer than allowed.

    A channel that is not set up well is warned of, and never keeps a trade from being done.
    """
    if not is_wanted(settings):
        yield
        return
    from apex_cli.notify.post import Postman

    postman = Postman(settings, listens=listens, say=out.note)
    try:
        for problem in postman.prepare():
            out.warn(Reason(code=problem.code, message=f"Notifications: {problem.message} {problem.hint}".strip()))
    except ApexError as error:
        out.warn(Reason(code=error.code, message=f"Notifications are off: {error.message}"))
        yield
        return
    if is_run:
        postman.start()
    try:
        yield
    finally:
        if not is_run:
            postman.start()
        if not postman.finish(settings.notify.deliver_s):
            out.note("Some notifications wait for the next command, or for a run; see apex notify status.")
