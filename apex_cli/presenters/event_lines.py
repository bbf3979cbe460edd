"""Events of the journal, one line each."""

from __future__ import annotations

from textwrap import wrap

from apex_cli.core.model.base import named
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.reports.activity import activity_of
from apex_cli.presenters.envelope import ENVELOPE_VERSION
from apex_cli.presenters.screen.formats import moment


def event_line(row: OutboxRow) -> str:
    """Return the event as JSON: ``{"v", "seq", "at", "kind", "subject", "data"}``."""
    import msgspec

    event = {
        "v": ENVELOPE_VERSION,
        **named(row, "seq", "at", "kind", "subject", "data"),
    }
    return msgspec.json.encode(event).decode()


INDENT = " " * 8


def event_text(row: OutboxRow, width: int | None) -> list[str]:
    """Return the event for people; with *width* wrapped to so many columns, each line but the first set in."""
    line = activity_of(row)
    what = f"{row.kind} {row.subject}" if line is None else f"{line.kind} {line.symbol} {line.verdict}: {line.text}"
    text = f"{row.seq:>6}  {moment(row.at)}  {' '.join(what.split())}"
    return [text] if width is None else wrap(text, width, subsequent_indent=INDENT, break_on_hyphens=False)
