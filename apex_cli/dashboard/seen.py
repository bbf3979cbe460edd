"""Protocols of what the dashboard needs: a feed to show and an operator that acts. It knows no store and no broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, TradingState
from apex_cli.core.model.request import Preview, Work, WorkDone
from apex_cli.core.reports.board import PositionHistory, Seen
from apex_cli.core.reports.risk_view import RiskView
from apex_cli.core.reports.trade_report import SessionValue


class Feed(Protocol):
    """Follows the state; what cannot be read is an ApexError."""

    def has_changed(self) -> bool:
        """Report, cheaply, whether another process committed since the last ``look``."""

    def look(self) -> Seen:
        """Return what there is now."""

    def month(self) -> tuple[SessionValue, ...]:
        """Return what the account was worth at the end of each session of the last month; may take a while."""

    def risk(self) -> RiskView:
        """Return what is at risk now; may take a while."""

    def history(self, symbol: str) -> PositionHistory:
        """Return how an open position came to where it stands; may take a while."""


class Operator(Protocol):
    """Does what a person asks for; each call may take seconds, so it is made off the screen's thread."""

    def find(self, name: str) -> ApprovalRecord:
        """Return the approval that *name* names."""

    def preview(self, approval: ApprovalRecord) -> Preview:
        """Look at *approval* again with the price, account and positions of now."""

    def do(self, *works: Work) -> WorkDone:
        """Have *works* done and return what came of all of them.

        Raises:
            ApexError: none of it could be begun, or the outcome is unknown.
        """

    def set_mode(self, mode: TradingMode, reason: str) -> TradingState:
        """Halt, reduce or resume; return what held before."""

    def closing_warnings(self, symbols: Sequence[str]) -> tuple[Reason, ...]:
        """Return what to know before *symbols* are closed."""
