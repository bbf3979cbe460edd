"""Buttons that were handed out, each for one use: one small private file, shared by all processes.

A token is random and means nothing by itself. It is bound to one approval as it was when the button was made, and
is spent by the first press; the approval's own version decides between two different buttons.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec.structs import replace

from apex_cli.core.adapters.atomic_file import ensure_private_dir, read_bytes, write_atomically
from apex_cli.core.adapters.process_locks import ProcessLock
from apex_cli.core.errors import EXHAUSTING
from apex_cli.core.model.base import Value

MOST_BUTTONS = 400
MOST_MESSAGES = 200
LOCK_WAIT_S = 5.0


class Action(StrEnum):
    """What a button does."""

    APPROVE = "approve"
    HALF = "half"
    REJECT = "reject"
    DETAILS = "details"
    """Looks only; may be pressed again."""

    ASK_HALF = "ask half"
    ASK_ALL = "ask all"
    ASK_BREAKEVEN = "ask breakeven"
    """Under positions: each leads to a question, and may be pressed again."""

    CLOSE_HALF = "close half"
    CLOSE = "close"
    BREAKEVEN = "breakeven"
    HALT = "halt"
    REDUCE = "reduce"
    RESUME = "resume"
    NO = "no"
    """Takes a question back."""


LASTING = frozenset({Action.DETAILS, Action.ASK_HALF, Action.ASK_ALL, Action.ASK_BREAKEVEN})
"""Actions that change nothing by themselves: their buttons are not spent."""


class Button(Value, frozen=True, kw_only=True):
    """One button under one message."""

    token: str
    action: Action
    approval_id: str = ""
    version: int = 0
    symbol: str = ""
    for_whom: str = ""
    """The only one who may press it; empty: everybody who may press at all."""

    valid_until: datetime | None = None
    spent_by: str = ""
    """Press that spent it; the same press may be delivered again."""


class Press(StrEnum):
    """What a press is worth."""

    FRESH = "fresh"
    REPEATED = "repeated"
    """The very press that spent the button, delivered once more."""

    SPENT = "spent"
    STALE = "stale"
    UNKNOWN = "unknown"


class _File(Value, frozen=True, kw_only=True):
    buttons: dict[str, Button] = {}
    messages: dict[str, int] = {}
    """Approval id -> message that asks about it."""


class ButtonFile:
    """The buttons and the messages they stand under."""

    __slots__ = ("_lock", "path")

    def __init__(self, folder: Path, channel: str = "telegram") -> None:
        """Touch nothing yet; every *channel*, a chat, has a file of its own."""
        self.path = folder / f"{channel}_buttons.json"
        self._lock = ProcessLock(folder / f"{channel}_buttons.lock")

    def issue(self, buttons: Iterable[Button]) -> tuple[Button, ...]:
        """Keep new *buttons* and return them with their tokens; older ones of the same approval are withdrawn."""
        fresh = tuple(replace(button, token=secrets.token_urlsafe(18)) for button in buttons)
        asked = {button.approval_id for button in fresh if button.approval_id}
        with self._held() as file:
            kept = {t: b for t, b in file.buttons.items() if b.approval_id not in asked or b.spent_by}
            kept |= {button.token: button for button in fresh}
            self._save(replace(file, buttons=kept))
        return fresh

    def press(self, token: str, press_id: str, who: str, now: datetime) -> tuple[Press, Button | None]:
        """Spend the button of *token* and say what the press is worth.

        *press_id* identifies this press: the same one again is ``REPEATED``.
        """
        with self._held() as file:
            button = file.buttons.get(token)
            if button is None or (button.for_whom and button.for_whom != who):
                return Press.UNKNOWN, None
            if button.spent_by:
                return (Press.REPEATED if button.spent_by == press_id else Press.SPENT), button
            if button.valid_until is not None and now >= button.valid_until:
                return Press.STALE, button
            if button.action not in LASTING:
                spent = replace(button, spent_by=press_id)
                self._save(replace(file, buttons=file.buttons | {token: spent}))
            return Press.FRESH, button

    def action_of(self, token: str) -> Action | None:
        """Return what the button of *token* does, without spending it; None for an unknown one."""
        button = self._load().buttons.get(token)
        return button.action if button is not None else None

    def put_under(self, approval_id: str, message_id: int) -> None:
        """Remember which message asks about an approval."""
        with self._held() as file:
            self._save(replace(file, messages=file.messages | {approval_id: message_id}))

    def settle(self, approval_id: str) -> None:
        """Forget the message that asks about an approval: it shows the end already."""
        with self._held() as file:
            left = {name: number for name, number in file.messages.items() if name != approval_id}
            self._save(replace(file, messages=left))

    def message_of(self, approval_id: str) -> int | None:
        """Return the message that asks about an approval, None when there is none."""
        return self._load().messages.get(approval_id)

    @contextmanager
    def _held(self) -> Iterator[_File]:
        """Lend what is kept, to nobody else meanwhile."""
        ensure_private_dir(self.path.parent.parent)
        ensure_private_dir(self.path.parent)
        self._lock.take_or_refuse(LOCK_WAIT_S)
        try:
            yield self._load()
        finally:
            self._lock.drop()

    def _load(self) -> _File:
        """Return what is kept; of a damaged file nothing: its buttons are dead, and new ones can be had."""
        data = read_bytes(self.path)
        try:
            return msgspec.json.decode(data, type=_File) if data else _File()
        except (msgspec.DecodeError, UnicodeDecodeError, *EXHAUSTING):
            return _File()

    def _save(self, file: _File) -> None:
        buttons = dict(list(file.buttons.items())[-MOST_BUTTONS:])
        messages = dict(list(file.messages.items())[-MOST_MESSAGES:])
        write_atomically(self.path, msgspec.json.encode(_File(buttons=buttons, messages=messages)))
