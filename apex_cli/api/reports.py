"""The result of a replay, for programs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apex_cli.core.model.base import Value, taken_over
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.row_table import Records
from apex_cli.core.model.side import PositionSide

if TYPE_CHECKING:
    from apex_cli.core.positions.performance import Ratios, Statistics
    from apex_cli.core.reports.measures import CurvePoint
    from apex_cli.core.reports.replay_report import OpenPosition, ReplayReport


class Trade(Value, frozen=True, kw_only=True):
    """A holding from flat to flat."""

    symbol: str
    side: PositionSide
    quantity: Decimal
    """Everything that was opened."""

    entry_price: Decimal
    """Mean of the opening fills."""

    exit_price: Decimal
    entry_time: datetime
    """Aware UTC."""

    exit_time: datetime
    pnl: Decimal
    """Before commissions, in account currency."""

    pnl_pct: Decimal
    commission: Decimal
    net_pnl: Decimal
    r_multiple: Decimal | None
    """P&L before commissions over the risk that was taken; None where that is unknown."""

    net_r_multiple: Decimal | None
    exit_reason: str
    """``stop``, ``target``, ``manual``, or what the closing order was given."""

    strategy: str
    signal_id: str


def trade_of(trip: RoundTrip) -> Trade:
    """Return *trip* as programs see it."""
    return taken_over(Trade, trip, symbol=trip.instrument.key)


class Report:
    """The result of a replay; the same inputs give the same report. ``print(report)`` shows it as ``apex replay``."""

    def __init__(self, report: ReplayReport) -> None:
        """Keep *report*."""
        self._report = report

    @property
    def trades(self) -> Records[Trade]:
        """Closed trades, in the order in which they closed."""
        return Records(Trade, tuple(map(trade_of, self._report.trades)))

    @property
    def equity(self) -> Records[CurvePoint]:
        """What the account was worth at the end of each session, with its drawdown."""
        from apex_cli.core.reports.measures import CurvePoint

        return Records(CurvePoint, self._report.curve)

    @property
    def open_positions(self) -> Records[OpenPosition]:
        """What was still held at the end."""
        from apex_cli.core.reports.replay_report import OpenPosition

        return Records(OpenPosition, self._report.open_positions)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols whose bars were replayed."""
        return self._report.symbols

    @property
    def first(self) -> datetime:
        """End of the first bar, aware UTC."""
        return self._report.first

    @property
    def last(self) -> datetime:
        """End of the last bar, aware UTC."""
        return self._report.last

    @property
    def signals(self) -> int:
        """How many signals there were."""
        return self._report.signals

    @property
    def outcomes(self) -> dict[str, int]:
        """How many signals ended in each outcome."""
        return dict(self._report.outcomes)

    @property
    def refusals(self) -> dict[str, int]:
        """Why signals were not executed, by code, most frequent first."""
        return dict(self._report.refusals)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is odd about the bars, what the strategy could not do, and what it returned that is no signal."""
        return self._report.problems

    @property
    def start_equity(self) -> Decimal:
        """What the account was worth at the beginning."""
        return self._report.start_equity

    @property
    def end_equity(self) -> Decimal:
        """What the account was worth at the end."""
        return self._report.end_equity

    @property
    def max_drawdown(self) -> Decimal:
        """The largest part of the highest equity that was lost, 0..1."""
        return self._report.drawdown.fraction

    @property
    def exposure(self) -> Decimal:
        """Part of the time with something held, 0..1."""
        return self._report.exposure

    @property
    def statistics(self) -> Statistics:
        """What the trades come to: win rate, profit factor, expectancy, before and after costs."""
        return self._report.statistics

    @property
    def ratios(self) -> Ratios:
        """Sharpe ratio and the like, from the equity session by session."""
        return self._report.ratios

    def to_dict(self) -> dict[str, Any]:
        """Return what ``apex replay --json`` prints as ``data``."""
        from apex_cli.presenters.replay import replay_data

        return replay_data(self._report)

    def __str__(self) -> str:
        """Return what ``apex replay`` prints."""
        from apex_cli.presenters.replay import replay_blocks, replay_warnings
        from apex_cli.presenters.screen.plain import render

        warnings = [f"Warning: {warning.message}" for warning in replay_warnings(self._report)]
        return "\n".join([*warnings, render(replay_blocks(self._report))])

    def __repr__(self) -> str:
        """Return the report in one line."""
        net = self._report.statistics.net_pnl
        return f"<Report: {len(self._report.trades)} trades of {len(self.symbols)} symbols, net {net}>"
