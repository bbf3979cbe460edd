"""The keys of the dashboard: one table gives bindings, footer and help page."""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """A key, what it does, and how it is named."""

    key: str
    """Textual's name of it."""

    shown: str
    """What stands on the keyboard."""

    action: str
    label: str
    """In the footer."""

    meaning: str
    """On the help page."""

    is_in_footer: bool = True
    needs_control: bool = False


PANES = ("positions", "approvals", "orders", "log", "curves")

KEYS = (
    Key("question_mark", "?", "help", "Help", "this page"),
    *(
        Key(str(n), str(n), f"pane('{name}')", name.capitalize(), name, is_in_footer=False)
        for n, name in enumerate(PANES, start=1)
    ),
    Key("a", "a", "answer(True)", "Approve", "approve the approval under the cursor", needs_control=True),
    Key("r", "r", "answer(False)", "Reject", "reject it", needs_control=True),
    Key("H", "H", "mode('HALTED')", "Halt", "halt: nothing but cancels and protective exits", needs_control=True),
    Key("U", "U", "mode('REDUCING')", "Reduce", "reduce: exits only", needs_control=True),
    Key("G", "G", "mode('ACTIVE')", "Resume", "resume", needs_control=True),
    Key("slash", "/", "filter", "Filter", "filter the table by words"),
    Key("f", "f", "kind", "Kind", "show one kind of the log's lines after the other", is_in_footer=False),
    Key("escape", "Esc", "all_rows", "All", "show all rows again; leave a dialog", is_in_footer=False),
    Key("c", "c", "control", "Control", "take control, or give it back"),
    Key("k", "k", "risk", "Risk", "what is at risk: groups, gaps, the worst day, limits", is_in_footer=False),
    Key("m", "m", "month", "Month", "the curve of the month, or of the day again", is_in_footer=False),
    Key("o", "o", "sort", "Sort", "sort positions by symbol, P&L, R, value", is_in_footer=False),
    Key("t", "t", "theme", "Light/dark", "light or dark", is_in_footer=False),
    Key("q", "q", "quit", "Quit", "end the dashboard; nothing else ends with it"),
)


def bindings() -> list[Binding]:
    """Return the keys as Textual takes them."""
    found = [
        Binding(each.key, each.action, each.label, show=each.is_in_footer, key_display=each.shown) for each in KEYS
    ]
    return [*found, Binding("ctrl+c", "quit", "Quit", show=False, priority=True)]


SIGNS = """\
!            look now: no stop, unknown order, little time left
|--e----●--| stop, entry e, last price ●, first target
███░░ 42 %   part of the limit; near from 80 % on, then OVER
Night NO     no stop stays after the close
R            1 R is what one trade may lose, capital x max_risk_pct
"""


def help_text() -> str:
    """Return the help page."""
    panes = ", ".join(PANES)
    looking = [_line(each) for each in KEYS if not each.needs_control and not each.action.startswith("pane")]
    acting = [_line(each) for each in KEYS if each.needs_control]
    return "\n".join(
        [
            f"{'1 2 3 4 5':<12} {panes}",
            f"{'Tab  arrows':<12} move on, and in a table; PgUp PgDn Home End, too",
            f"{'Enter click':<12} all of a row; of an approval: answer it",
            *looking,
            "",
            "With control (apex dashboard --control); each asks first:",
            *acting,
            f"{'x h p b s':<12} of a position: close all, half, part; stop to entry, price",
            f"{'n':<12} of an entry that works: cancel it",
            "",
            "Signs, beside colours:",
            SIGNS,
        ]
    )


def _line(key: Key) -> str:
    return f"{key.shown:<12} {key.meaning}"
