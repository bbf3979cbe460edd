"""What the dashboard is given: a feed to show and an operator that acts, so that it knows no store and no broker."""

from __future__ import annotations

from typing import Protocol

from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.records import ApprovalRecord, TradingState
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
    def badge(self) -> AccountBadge:
        """Which account it is."""

    @property
    def holder(self) -> str:
        """Who trades now; empty when nobody does."""


class Feed(Protocol):
    """Follows the state."""

    def has_changed(self) -> bool:
        """Report, cheaply, whether another process committed since the last ``look``."""

    def look(self) -> Seen:
        """Return what there is now.

        Raises:
            ApexError: the state cannot be read.
        """


class Operator(Protocol):
    """Does what a person asks for; each call may take seconds, so it is made off the screen's thread."""

    def find(self, name: str) -> ApprovalRecord:
        """Return the approval that *name* names."""

    def preview(self, approval: ApprovalRecord) -> Preview:
        """Look at *approval* again with the price, account and positions of now."""

    def answer(self, answer: Answer) -> Answered:
        """Carry out a yes or a no."""

    def set_mode(self, mode: TradingMode, reason: str) -> TradingState:
        """Halt, reduce or resume; return what held before."""
