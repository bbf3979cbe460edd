"""What the dashboard is given: a feed to show and an operator that acts, so that it knows no store and no broker."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.money import Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, TradingState
from apex_cli.core.model.request import Answer, Answered, EntriesCancelled, Preview, StopsMoved, WorkDone
from apex_cli.core.reports.activity import Activity
from apex_cli.core.reports.board import Board, PositionHistory
from apex_cli.core.reports.risk_view import RiskView
from apex_cli.core.reports.trade_report import SessionValue


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

    def month(self) -> tuple[SessionValue, ...]:
        """Return what the account was worth at the end of each session of the last month; may take a while.

        Raises:
            ApexError: the journal cannot be read.
        """

    def risk(self) -> RiskView:
        """Return what is at risk now; may take a while.

        Raises:
            ApexError: the state cannot be read.
        """

    def history(self, symbol: str) -> PositionHistory:
        """Return how an open position came to where it stands; may take a while.

        Raises:
            ApexError: the journal cannot be read.
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

    def close_warnings(self, symbol: str) -> tuple[Reason, ...]:
        """Return what the day-trading rules warn of when *symbol* is closed now."""

    def close_position(self, symbol: str, fraction: Decimal | None) -> WorkDone:
        """Close a part of a position, or all of it."""

    def move_stop(self, symbol: str, price: Price | None, *, widens: bool = False) -> StopsMoved:
        """Move the stops of a position to *price*, or to its entry."""

    def cancel_entries(self, symbol: str) -> EntriesCancelled:
        """Cancel what is left of the entries in a security."""
