"""What the app is given: eyes and hands, so that it needs to know no store and no broker."""

from __future__ import annotations

from typing import Protocol

from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Answer, Answered, Preview
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.board import Board


class Seen(Protocol):
    """What one look gave."""

    @property
    def board(self) -> Board:
        """Everything but the log."""

    @property
    def lines(self) -> tuple[Activity, ...]:
        """The log, oldest first."""

    @property
    def alarms(self) -> tuple[Activity, ...]:
        """Alarms of the running session, oldest first."""

    @property
    def holder(self) -> str:
        """Who trades now; empty when nobody does."""


class Eyes(Protocol):
    """Looks at the state."""

    def has_changed(self) -> bool:
        """Tell, cheaply, whether another process committed since the last ``look``."""

    def look(self) -> Seen:
        """Return what there is now.

        Raises:
            ApexError: the state cannot be read.
        """


class Hands(Protocol):
    """Does what a person asks for; each call may take seconds, so it is made off the screen's thread."""

    def preview(self, approval_id: str) -> tuple[ApprovalRecord, Preview]:
        """Look at an approval again as it is now."""

    def answer(self, answer: Answer) -> Answered:
        """Carry out a yes or a no."""

    def set_mode(self, mode: TradingMode, reason: str) -> None:
        """Halt, reduce or resume."""
