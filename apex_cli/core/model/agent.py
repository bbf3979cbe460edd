"""Agents: programs that look and propose, what they may do, and what they have at stake.

Who an agent is, its session says, never a field of a signal. What an agent writes is data from a
stranger: it is cut, cleaned and shown between quotation marks.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Annotated
from unicodedata import combining, normalize

from apex_cli.core.model.base import Fraction, Range, Value
from apex_cli.core.model.money import ZERO, Usd

MOST_REASON = 280
"""Letters of a reason that are kept."""

MOST_CLIENT = 80
"""Letters of what a client calls itself that are kept."""

MOST_MARKS = 2
"""Accents on one letter that are kept."""

_NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
_MARKUP = str.maketrans(
    {"<": "(", ">": ")", "[": "(", "]": ")", "{": "(", "}": ")", '"': "'", "`": "'", "&": "+", "@": "(at)"}
    | dict.fromkeys("*_~|#^=", " ")
    | {"\\": " "}
)
_LINK = r"(?<=\w)\.(?=[^\W\d])|:(?=//)"
"""What makes a chat take a word for a link: ``evil.example``, ``https://``."""

_COMMAND = r"/+(?=\w)"
"""What makes a chat take a word for a command: ``/resume``."""


def agent_name(text: str) -> str:
    """Return *text* as the name of an agent.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(_NAME, text):
        raise ValueError
    return text


NAME_RULE = "small letters, digits, - and _, 32 at most, such as claude"


def harmless(text: str, most: int) -> str:
    r"""Return what a stranger wrote as one line of plain words, at most *most* letters long.

    Nothing in it moves the cursor, turns the direction of writing, is markup of a terminal, a page or a chat, becomes
    a link or a command there, or ends the quotation marks that it is shown in.

    >>> harmless("Buy [bold]now[/bold]\x1b[2J <b>or</b>\nelse: /resume https://evil.example", 280)
    'Buy (bold)now( bold) (2J (b)or( b) else: resume https : evil. example'
    """
    text = normalize("NFC", text[: most * 4])
    text = "".join(letter if letter.isprintable() else " " for letter in text).translate(_MARKUP)
    text = re.sub(_COMMAND, " ", re.sub(_LINK, _apart, text))
    text = "".join(
        letter
        for is_mark, letters in groupby(text, lambda letter: combining(letter) > 0)
        for letter in (list(letters)[:MOST_MARKS] if is_mark else letters)
    )
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _apart(found: re.Match[str]) -> str:
    return ". " if found.group() == "." else " :"


class Proposal(Value, frozen=True, kw_only=True):
    """The mark of a signal that an agent proposed: a person decides on it, whatever else is set."""

    agent: str
    """Name that the session knows the agent by."""

    reason: str = ""
    """Why, in the agent's own words: harmless, and still a stranger's."""

    client: str = ""
    """What the client calls itself; nobody has proved it."""

    @property
    def quoted(self) -> str:
        """The reason as it is shown: between quotation marks, so that nobody takes it for words of apex."""
        return f'"{self.reason}"' if self.reason else "no reason given"


class AgentAct(StrEnum):
    """What an agent may be allowed beyond looking and proposing; on a live account nothing of it."""

    APPROVE = "approve"
    REJECT = "reject"
    CLOSE = "close"
    HALT = "halt"
    RESUME = "resume"
    CONFIGURE = "configure"


class AgentRules(Value, frozen=True, kw_only=True):
    """What one agent may do, and how much."""

    may: tuple[AgentAct, ...] = ()
    """What it may do besides looking and proposing: approve, reject, close, halt, resume, configure. Nothing of it on a
    live account."""

    proposals_per_day: Annotated[int, Range(0, 1000)] = 10
    """Proposals that are decided on in one session, refused ones included; 0: none."""

    max_waiting: Annotated[int, Range(1, 100)] = 3
    """Proposals of it that may wait for an answer at once."""

    max_open_risk_pct: Fraction = Decimal("0.02")
    """Part of capital that may be lost if every stop is hit of what it proposed, waiting proposals included."""

    calls_per_minute: Annotated[int, Range(1, 6000)] = 120
    """How often it may ask for anything."""


class AgentLimits(AgentRules, frozen=True, kw_only=True):
    """Section ``agents``: programs that look and propose over ``apex mcp``."""

    names: dict[str, AgentRules] = {}
    """Other values by the name of the agent, such as claude: {proposals_per_day: 3}; keys left out are as above."""

    def rules_for(self, agent: str) -> AgentRules:
        """Return the rules of *agent*: its own, else the common ones."""
        return self.names.get(agent, self)


class AgentStanding(Value, frozen=True, kw_only=True):
    """What an agent has used of its budget, the proposal that is decided on left out."""

    proposals: int = 0
    """Of this session."""

    waiting: int = 0
    risk: Usd = Usd(ZERO)
    """Loss if every stop is hit of what it proposed: positions, working entries and waiting proposals; account
    currency."""


class AgentCall(Value, frozen=True, kw_only=True):
    """What an agent asked for."""

    agent: str
    client: str = ""
    """What the client calls itself."""

    door: str
    """``stdio`` or ``http``."""

    tool: str
    times: int = 1
    status: str = "ok"
    """How it ended, as an envelope says it; of several calls the last."""

    codes: tuple[str, ...] = ()
    """Of what was refused or went wrong."""

    about: str = ""
    """Signal, approval or security that it was about."""
