"""``apex events``: what happened, event by event, for programs and for people."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable, Sequence
from shutil import get_terminal_size
from typing import Annotated

from apex_cli.commands.options import Call, command, count, flag, option
from apex_cli.core.errors import InputError
from apex_cli.core.model.reason import Reason

NEWEST = 20


@command("events", "--follow --json --after 1042")
def events(
    call: Call,
    follow: Annotated[bool, flag("Keep showing what happens; Ctrl-C ends.", "--follow", "-f")] = False,
    after: Annotated[
        int | None,
        count(f"Begin behind the event with this number, 0 with the first. Default: the newest {NEWEST}.", low=0),
    ] = None,
    kind: Annotated[list[str] | None, option("KIND", "Only events of this kind, such as fill; repeatable.")] = None,
) -> None:
    """Show the events of the journal; with --json each is a line of JSON, with a number to continue from."""
    from apex_cli.app.journal_feed import JournalFeed
    from apex_cli.app.journal_feed import follow as follow_feed
    from apex_cli.presenters.event_lines import event_line, event_text

    out = call.out
    kinds = _kinds(kind or ())
    feed = JournalFeed(call.settings, after, kinds)
    if after is None:
        feed.step_back(NEWEST)
    elif after > (newest := JournalFeed(call.settings).last_seq):
        message = f"The newest event is number {newest}, before {after}: another state, or a folder that was emptied?"
        out.warn(Reason(code="events_ahead", message=message))
    shown, last = 0, feed.last_seq
    width = get_terminal_size().columns if out.is_drawn else None
    is_over = _over() if follow else lambda: False
    for row in follow_feed(feed, waits=follow, is_over=is_over):
        for line in [event_line(row)] if out.as_json else event_text(row, width):
            out.stream(line)
        shown, last = shown + 1, row.seq
    if out.as_json:
        out.result({"events": shown, "last": last}, compact=True)


def _kinds(given: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds that were asked for."""
    from apex_cli.core.state.events.event import EVENT_TYPES

    for each in given:
        if each not in EVENT_TYPES:
            from apex_cli.core.text.problems import suggest

            guess = suggest(each, EVENT_TYPES)
            hint = f"Did you mean {guess}?" if guess else f"Known: {', '.join(sorted(EVENT_TYPES))}."
            raise InputError("kind_unknown", f"No event is of the kind {each!r}.", hint=hint)
    return tuple(given)


def _over() -> Callable[[], bool]:
    """Return what says that it is over: SIGINT or SIGTERM came, or nobody reads any more."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.append(1))
    return lambda: bool(asked) or _is_unread()


def _is_unread() -> bool:
    """Return whether the reader of standard output is gone."""
    if sys.stdout is None or not hasattr(select, "poll"):
        return False
    try:
        looked = select.poll()
        looked.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in looked.poll(0))
    except (OSError, ValueError):
        return False
