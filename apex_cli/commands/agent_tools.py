"""The tools of ``apex mcp``: each answers with the JSON of a command, by what that command does."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict, replace

from apex_cli.agents.tool import Arguments, Asked, Tool
from apex_cli.commands.options import Call
from apex_cli.core.errors import ExitStatus, InputError
from apex_cli.core.model.agent import MOST_REASON, harmless
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.order import OrderSide
from apex_cli.core.model.records import SignalOutcome, SignalReport
from apex_cli.core.model.signal import SignalType

Price = Annotated[Decimal, Meta(description="A price.")]
Part = Annotated[Decimal, Meta(description="From 0 to 1.")]
Prices = Annotated[tuple[Price, ...], Meta(max_length=10, description="Prices to take profit at.")]
Symbol = Annotated[
    str, Meta(min_length=1, max_length=64, description="Ticker, pair or option contract, such as AAPL or EUR.USD.")
]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day, YYYY-MM-DD.")]
Words = Annotated[
    str, Meta(min_length=1, max_length=4_000, description=f"Why, for the person; {MOST_REASON} letters are kept.")
]


class Nothing(Arguments, frozen=True, kw_only=True):
    """No arguments."""


class OneId(Arguments, frozen=True, kw_only=True):
    """What to explain: a signal, approval, bracket or order id, or a symbol; without it the recent signals."""

    identity: Name | None = None


class SizeArguments(Arguments, frozen=True, kw_only=True):
    """Levels of a trade."""

    symbol: Symbol
    entry: Price
    stop: Price
    target: Prices = ()
    side: OrderSide | None = None
    market_type: MarketType | None = None


class HistoryArguments(Arguments, frozen=True, kw_only=True):
    """Which round trips: of a symbol, of a strategy, closed since a day; how many to list, while the sums count all."""

    symbol: Name | None = None
    strategy: Name | None = None
    since: Day | None = None
    last: Annotated[int, Meta(ge=1, le=1000)] = 50


class ProposeArguments(Arguments, frozen=True, kw_only=True):
    """A trade, why, and how sure the agent is."""

    symbol: Symbol
    signal_type: SignalType
    entry_price: Price
    stop_loss: Price
    reason: Words
    confidence: Part
    target_prices: Prices = ()
    market_type: MarketType | UnsetType = UNSET
    expiry: Day | UnsetType = UNSET
    strike: Price | UnsetType = UNSET
    right: Literal["C", "P"] | UnsetType = UNSET
    currency: Name | UnsetType = UNSET
    primary_exchange: Name | UnsetType = UNSET
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET


def _plain(body: Any, asked: Asked, **given: Any) -> None:  # noqa: ANN401 - any command
    """Do what a command does."""
    body.body(Call.of(asked.out, asked.settings), **given)


def _status(asked: Asked) -> None:
    from apex_cli.commands.status import status

    _plain(status, asked)


def _positions(asked: Asked) -> None:
    from apex_cli.commands.positions import positions

    _plain(positions, asked)


def _approvals(asked: Asked) -> None:
    """Give what waits; nothing is an empty list."""
    from apex_cli.app.operator import Operator
    from apex_cli.presenters.approvals import ApprovalRow, approvals_data

    pending = Operator(asked.settings, asked.out, wait_s=0).pending()
    asked.out.result(approvals_data([ApprovalRow(approval) for approval in pending]))


def _explain(asked: Asked) -> None:
    from apex_cli.commands.explain import explain

    _plain(explain, asked, identity=asked.arguments.identity)


def _size(asked: Asked) -> None:
    from apex_cli.commands.size import size

    given: SizeArguments = asked.arguments
    _plain(size, asked, **asdict(given) | {"target": list(given.target)})


def _pdt_status(asked: Asked) -> None:
    from apex_cli.commands.pdt_status import pdt_status

    _plain(pdt_status, asked)


def _history(asked: Asked) -> None:
    from apex_cli.commands.history import history

    given: HistoryArguments = asked.arguments
    _plain(history, asked, **asdict(given) | {"since": _day(given.since)})


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError("since_invalid", f"{text} is no day.", hint="Write YYYY-MM-DD.") from None


OUTCOME_STATUS = {
    SignalOutcome.QUEUED: ExitStatus.OK,
    SignalOutcome.REFUSED: ExitStatus.REFUSED,
    SignalOutcome.INVALID: ExitStatus.USAGE,
    SignalOutcome.EXPIRED: ExitStatus.NOTHING_DONE,
    SignalOutcome.DUPLICATE: ExitStatus.NOTHING_DONE,
}


def _propose(asked: Asked) -> None:
    from apex_cli.app.proposals import propose
    from apex_cli.notify import posting

    given: ProposeArguments = asked.arguments
    fields = {name: value for name, value in asdict(given).items() if value is not UNSET and name != "reason"}
    fields["target_prices"] = list(given.target_prices)
    mark = replace(asked.mark, reason=harmless(given.reason, MOST_REASON))
    with posting(asked.out, asked.settings):
        report = propose(asked.settings, fields, mark, asked.out.warn)
    _give(asked, report)


def _give(asked: Asked, report: SignalReport) -> None:
    from apex_cli.presenters.run import SIGNALS

    status = OUTCOME_STATUS.get(report.outcome, ExitStatus.INTERNAL)
    reasons = report.reasons if status is not ExitStatus.OK else ()
    asked.out.warn(*report.warnings)
    asked.out.result(SIGNALS.data(report), status=status, reasons=reasons)


TOOLS = (
    Tool(
        "status", "Status", "Account, trading state, positions, approvals, alarms, and what to do next.", Nothing,
        "status", _status,
    ),
    Tool(
        "positions", "Positions", "Open positions with profit and loss, R, stops, targets and protection.", Nothing,
        "positions", _positions,
    ),
    Tool(
        "approvals", "Approvals", "What waits for a person's answer, best score first.", Nothing, "approve",
        _approvals,
    ),
    Tool(
        "explain", "Explain", "Every step of one signal: decision, checks, size, orders, fills, result.", OneId,
        "explain", _explain,
    ),
    Tool("size", "Size", "How many units a trade would have, and what limits them.", SizeArguments, "size", _size),
    Tool(
        "pdt_status", "Day trades", "The day-trading rule in force, day trades used and left.", Nothing, "pdt-status",
        _pdt_status,
    ),
    Tool("history", "History", "Closed round trips and statistics.", HistoryArguments, "history", _history),
    Tool(
        "propose",
        "Propose a trade",
        "Propose a trade to the person. It is sized and checked at once: a refusal names each check with its limit and "
        "what was found. What passes waits for the person's answer; it is never executed without. The same proposal "
        "again, while it waits or after an answer, is no second one.",
        ProposeArguments,
        "propose",
        _propose,
        is_read=False,
        about=lambda given: given.symbol,
    ),
)  # fmt: skip
"""What there is to ask for, in the order of the list."""
