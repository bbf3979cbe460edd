"""Notices as messages: plain lines, and the HTML that Telegram takes."""

from __future__ import annotations

import html
from collections.abc import Iterable

from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.notice import Notice
from apex_cli.core.model.wording import visible

MOST_CHARACTERS = 3500
"""Of a message; Telegram takes 4096 after its own counting."""

ROOM_FOR_COUNT = 30
"""Characters of the line that counts what is left out."""

MOST_PAGES = 4
"""Messages of one answer."""


def plain_text(notice: Notice, *, is_repeat: bool = False) -> str:
    """Return *notice* as lines."""
    parts = (notice.title, *notice.lines, *_footer(notice, is_repeat=is_repeat))
    return "\n".join(map(visible, parts))[:MOST_CHARACTERS]


def one_line(notice: Notice, *, is_repeat: bool = False) -> str:
    """Return *notice* as one line for terminals and logs."""
    return " | ".join(map(visible, (notice.title, *notice.lines, *_footer(notice, is_repeat=is_repeat))))


def telegram_html(title: str, lines: Iterable[str], footer: Iterable[str] = ()) -> str:
    r"""Return a message with a bold title; whatever the words contain stays words.

    Lines that find no room are counted at the end.

    >>> telegram_html("A & B", ("1 < 2",))
    '<b>A &amp; B</b>\n1 &lt; 2'
    """
    room = MOST_CHARACTERS - ROOM_FOR_COUNT
    parts: list[str] = []
    missing = 0
    for line in (f"<b>{_escaped(title)}</b>", *map(_escaped, lines), *(f"<i>{_escaped(f)}</i>" for f in footer)):
        if line and len(line) < room:
            parts.append(line)
            room -= len(line) + 1
        elif line:
            missing += 1
    return "\n".join([*parts, f"… {missing} more"] if missing else parts)


def telegram_pages(title: str, lines: Iterable[str]) -> tuple[str, ...]:
    """Return a long answer as a few messages, in order; the last one counts the lines that are left out."""
    escaped = [line for line in map(_escaped, lines) if line]
    pages: list[list[str]] = [[f"<b>{_escaped(title)}</b>"]]
    for number, line in enumerate(escaped):
        page = pages[-1]
        if sum(map(len, page)) + len(page) + len(line) > MOST_CHARACTERS - ROOM_FOR_COUNT:
            if len(pages) == MOST_PAGES:
                page.append(f"… {len(escaped) - number} more lines")
                break
            pages.append(page := [])
        page.append(_cut(line, MOST_CHARACTERS - ROOM_FOR_COUNT))
    return tuple("\n".join(page) for page in pages)


def _cut(html_text: str, most: int) -> str:
    """Return the first *most* characters of escaped text, without an escape that is cut in two.

    >>> _cut("A &amp; B", 6), _cut("A &amp; B", 7)
    ('A ', 'A &amp;')
    """
    cut = html_text[:most]
    head, sign, tail = cut.rpartition("&")
    return head if sign and ";" not in tail else cut


def headed(badge: AccountBadge, html_text: str) -> str:
    """Return a message in Telegram's HTML with the account it is about before its title.

    >>> from apex_cli.core.model.account import AccountKind
    >>> headed(AccountBadge(kind=AccountKind.SIMULATED), "<b>2 open</b>")
    '<b>SIM · 2 open</b>'
    """
    name = _escaped(badge.text)
    return f"<b>{name} · {html_text[3:]}" if html_text.startswith("<b>") else f"{name} · {html_text}"


def telegram_notice(notice: Notice, *, is_repeat: bool = False) -> str:
    """Return *notice* as Telegram's HTML."""
    return telegram_html(notice.title, notice.lines, _footer(notice, is_repeat=is_repeat))


def _escaped(text: str) -> str:
    return html.escape(visible(text), quote=False)


def _footer(notice: Notice, *, is_repeat: bool) -> tuple[str, ...]:
    number = f"#{notice.event_id}" if notice.event_id else ""
    if is_repeat:
        return (f"{number} sent again, as it is not known whether it arrived".strip(),)
    return (number,) if number else ()
