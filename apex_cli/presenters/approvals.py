"""Approvals, as they were queued and as they stand now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from apex_cli.core.model.base import named
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import Decision
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.notice import Fact
from apex_cli.core.model.order import OrderRecord, OrderRole
from apex_cli.core.model.position import profit
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.model.wording import account_currency
from apex_cli.presenters.run import reason_data
from apex_cli.presenters.screen.blocks import LAST, SECOND, THIRD, Block, Cell, Fields, Grid, Line, Tone, bar, heads
from apex_cli.presenters.screen.columns import Column, Table, bold, toned
from apex_cli.presenters.screen.formats import (
    DASH,
    clock_time,
    moment,
    money,
    number,
    price,
    ratio,
    score_text,
    signed,
    units,
)
from apex_cli.presenters.size import bound_words

if TYPE_CHECKING:  # the desk brings the event loop along, which showing a value does not need
    from apex_cli.core.model.request import Answered, Preview

FULL_REWARD_RISK = Decimal(5)
SOON_S = 120
"""Seconds before the end from which on a countdown warns."""


def decision_data(decision: Decision, last: Decimal | None) -> dict[str, Any]:
    """Return one side of "was / now"."""
    sized = decision.sized
    return {
        "kind": decision.kind,
        "price": last,
        "quantity": number(sized.quantity) if sized else None,
        "binding": sized.binding if sized else None,
        "notional": sized.notional if sized else None,
        "risk_amount": sized.risk_amount if sized else None,
        "reward_risk": decision.reward_risk,
        "reasons": [reason_data(reason) for reason in decision.reasons],
        "warnings": [reason_data(warning) for warning in decision.warnings],
    }


ANSWER_TONES = {
    ApprovalStatus.EXECUTED: Tone.GOOD,
    ApprovalStatus.REJECTED: Tone.DIM,
    ApprovalStatus.FAILED: Tone.BAD,
}


class ApprovalRow(NamedTuple):
    """An approval, and what is known of it now."""

    approval: ApprovalRecord
    preview: Preview | None = None
    """How it looks now; None when it was not looked at again."""

    now: datetime | None = None
    """The time, where the time left is to be shown instead of the end."""

    @property
    def signal(self) -> Signal:
        """What was proposed."""
        return self.approval.opportunity.signal


def _sized_quantity(row: ApprovalRow) -> Quantity | None:
    sized = row.approval.decision.sized
    return row.approval.quantity or (sized.quantity if sized else None)


def _expiry(row: ApprovalRow) -> Cell:
    """Return the end, or the time left to it."""
    return Cell(clock_time(row.approval.expires_at)) if row.now is None else countdown(row.approval.expires_at, row.now)


def countdown(until: datetime, now: datetime) -> Cell:
    """Return the time left as minutes and seconds; below two minutes it is marked."""
    left = max(0, int((until - now).total_seconds()))
    minutes, seconds = divmod(left, 60)
    text = f"{minutes}:{seconds:02d}"
    return Cell(f"! {text}", Tone.WARN) if left < SOON_S else Cell(text)


def _entries(done: Answered) -> list[OrderRecord]:
    return [record for record in done.orders if record.order.role is OrderRole.ENTRY]


def filled_units(done: Answered) -> Decimal:
    """Return how many units of the entry an answer filled."""
    return sum((record.filled_quantity for record in _entries(done)), Decimal(0))


def _entry_price(done: Answered) -> Decimal | None:
    filled = filled_units(done)
    value = sum(
        (r.filled_quantity * r.average_price for r in _entries(done) if r.average_price is not None), Decimal(0)
    )
    return value / filled if filled else None


APPROVALS = Table[ApprovalRow](
    Column("approval_id", "Approval", lambda r: r.approval.approval_id, rank=LAST, place=2),
    Column("version", value=lambda r: r.approval.version),
    Column("signal_id", value=lambda r: r.signal.signal_id),
    Column("symbol", "Symbol", lambda r: r.signal.instrument.key, shown=bold),
    Column("side", "Side", lambda r: r.signal.side),
    Column(
        "quantity",
        "Qty",
        lambda r: None if (quantity := _sized_quantity(r)) is None else number(quantity),
        cell=lambda r: DASH if (quantity := _sized_quantity(r)) is None else units(quantity),
        is_right=True,
    ),
    Column("", "Price", lambda r: r.approval.quoted_price, shown=price, is_right=True),
    Column("", "Stop", lambda r: r.signal.stop_loss, shown=price, is_right=True),
    Column(
        "",
        "Target",
        lambda r: r.signal.target_prices,
        shown=lambda prices: price(prices[0] if prices else None),
        rank=SECOND,
        is_right=True,
    ),
    Column("", "R:R", lambda r: r.approval.decision.reward_risk, shown=ratio, is_right=True),
    Column("status", "Status", lambda r: r.approval.status, shown=toned(ANSWER_TONES), rank=THIRD, place=1),
    Column("reason", value=lambda r: r.approval.reason),
    Column("created_at", value=lambda r: r.approval.created_at),
    Column("expires_at", "Until", lambda r: r.approval.expires_at, cell=_expiry, is_right=True),
    Column("score", "Score", lambda r: r.approval.opportunity.opportunity_score, shown=score_text, rank=THIRD),
    Column(
        "agent",
        "Agent",
        lambda r: r.signal.proposal.agent if r.signal.proposal else None,
        shown=lambda agent: Cell(agent or DASH, Tone.WARN if agent else Tone.PLAIN),
        rank=SECOND,
        is_optional=True,
    ),
    Column("agent_reason", value=lambda r: r.signal.proposal.reason if r.signal.proposal else None),
    Column("was", value=lambda r: decision_data(r.approval.decision, r.approval.quoted_price)),
    Column("now", value=lambda r: decision_data(r.preview.decision, r.preview.price) if r.preview else {}),
    empty="Nothing waits for approval.",
)
ANSWERED = Table["Answered"](
    Column("", "Symbol", lambda d: d.approval.opportunity.signal.instrument.key, shown=bold),
    Column("", "Status", lambda d: d.approval.status, shown=toned(ANSWER_TONES)),
    Column("", "Filled", lambda d: d, shown=lambda d: units(filled_units(d)) if d.orders else DASH, is_right=True),
    Column("", "Price", _entry_price, shown=price, is_right=True),
    Column("", "Reason", lambda d: d.approval.reason, rank=SECOND, wraps=True),
    Column("", "Approval", lambda d: d.approval.approval_id, rank=LAST),
)


def approvals_data(rows: Iterable[ApprovalRow]) -> dict[str, Any]:
    """Return the stable names that scripts read."""
    return {"approvals": APPROVALS.rows(rows)}


def approvals_blocks(approvals: Sequence[ApprovalRecord], numbers: Mapping[str, int]) -> tuple[Block, ...]:
    """Return what waits as a table, with the number that each may be named by."""
    named = [numbers[each.approval_id] for each in approvals]
    return (APPROVALS.grid(map(ApprovalRow, approvals), handles=named),)


def answered_data(answered: Iterable[Answered]) -> dict[str, Any]:
    """Return what became of each answer, as ``approvals_data`` has it."""
    return approvals_data(ApprovalRow(done.approval, done.preview) for done in answered)


def preview_blocks(approval: ApprovalRecord, preview: Preview) -> tuple[Block, ...]:
    """Return one opportunity in full: prices, size, reward:risk, score, "was / now", what speaks against it."""
    signal = approval.opportunity.signal
    now = preview.decision
    sized = now.sized
    rows = [
        ("Order", Cell(f"{signal.side} {_quantity(now)} {signal.instrument.key}", Tone.BOLD)),
        *proposal_rows(signal),
        ("Entry / stop", Cell(f"{price(signal.entry_price)} / {price(signal.stop_loss)}")),
        ("Target", Cell(", ".join(map(price, signal.target_prices)) or DASH)),
        ("Reward:risk", reward_risk_cell(now.reward_risk)),
        ("Size", Cell(bound_words(sized) if sized else DASH)),
        ("Value", Cell(f"{money(sized.notional)} {account_currency()}" if sized else DASH)),
        ("Loss at stop", Cell(f"{money(sized.risk_amount)} {account_currency()}" if sized else DASH)),
        ("Day trades", Cell(preview.day_trade_effect)),
        ("Expires", Cell(moment(approval.expires_at))),
    ]
    if approval.status is not ApprovalStatus.PENDING:
        answered = ". ".join(filter(None, answer_lines(approval)))
        rows.insert(0, ("Answer", Cell(f"{approval.status}. {answered}".strip(), Tone.WARN)))
    verdict = tuple(Line(text=f"✗ {reason.message}", tone=Tone.BAD) for reason in preview.reasons)
    warnings = tuple(Line(text=f"! {warning.message}", tone=Tone.WARN) for warning in now.warnings)
    return (Fields(rows=tuple(rows)), was_now(approval, preview), score_grid(approval.opportunity), *warnings, *verdict)


def answer_blocks(approval: ApprovalRecord, preview: Preview) -> tuple[Block, ...]:
    """Return what an answer needs, in a few lines, the order itself last: right above the keys."""
    signal, sized = approval.opportunity.signal, preview.decision.sized
    currency = account_currency()
    worth = (
        f"Value {money(sized.notional)} {currency} · loss at stop {money(sized.risk_amount)} {currency} · "
        f"{bound_words(sized)}"
        if sized
        else "No quantity can be worked out now."
    )
    score = f"Score {score_text(approval.opportunity.opportunity_score)}"
    strategy = f"Strategy {signal.strategy} · " if signal.strategy and signal.proposal is None else ""
    return (
        *(Line(text=text, tone=Tone.WARN) for text in proposal_lines(signal)),
        Line(text=f"{strategy}{score} · until {clock_time(approval.expires_at)}"),
        Line(text=worth),
        Line(text=f"Day trades: {preview.day_trade_effect}"),
        changes_line(approval, preview),
        *(Line(text=f"! {warning.message}", tone=Tone.WARN) for warning in preview.decision.warnings),
        *(Line(text=f"✗ {reason.message}", tone=Tone.BAD) for reason in preview.reasons),
        Line(text=order_line(approval, preview), tone=Tone.BOLD),
    )


def proposal_rows(signal: Signal) -> tuple[tuple[str, Cell], ...]:
    """Return who proposed it: a strategy, or an agent with its reason between quotation marks."""
    proposal = signal.proposal
    if proposal is None:
        return (("Strategy", Cell(signal.strategy or DASH)),)
    return (("Proposed by", Cell(f"the agent {proposal.agent}", Tone.WARN)), ("It says", Cell(proposal.quoted)))


def proposal_lines(signal: Signal) -> tuple[str, ...]:
    """Return in one line which agent proposed it and what it says; nothing where none did."""
    proposal = signal.proposal
    return () if proposal is None else (f"Proposed by the agent {proposal.agent}: {proposal.quoted}",)


def order_line(approval: ApprovalRecord, preview: Preview) -> str:
    """Return the order of a yes in one line: ``BUY 6 AAPL @ 23.04  stop 22.30 (-4.44)  target 25.60 (+15.36)``."""
    signal, now = approval.opportunity.signal, preview.decision
    loss = f" ({signed(-now.sized.risk_amount)})" if now.sized else ""
    parts = [
        f"{now.side} {_quantity(now)} {now.instrument.key} @ {price(now.entry_price)}",
        f"stop {price(signal.stop_loss)}{loss}",
    ]
    if signal.target_prices:
        first, *more = signal.target_prices
        gain = f" ({signed(_at_target(now, now.sized, first))})" if now.sized else ""
        parts.append(f"target {price(first)}{gain}{''.join(f', {price(each)}' for each in more)}")
    return "  ".join([*parts, f"R:R {ratio(now.reward_risk)}"])


def _at_target(now: Decision, sized: Sized, target: Price) -> Decimal:
    """Return what the trade earns at *target*, in account currency."""
    gain = profit(now.side.opens, now.entry_price, target, sized.quantity, now.instrument.multiplier)
    return worth(sized.rate, gain, target)


def changes_line(approval: ApprovalRecord, preview: Preview) -> Line:
    """Return what changed since the opportunity was queued."""
    changed = [f"{name.lower()} {old} -> {new}" for name, old, new in was_now_pairs(approval, preview) if old != new]
    if not changed:
        return Line(text="Nothing changed since it was queued.", tone=Tone.DIM)
    return Line(text=f"Since it was queued: {', '.join(changed)}", tone=Tone.WARN)


def was_now_pairs(approval: ApprovalRecord, preview: Preview) -> tuple[tuple[str, str, str], ...]:
    """Return what may have changed: its name, what it was, what it is."""
    was, now = approval.decision, preview.decision
    return (
        ("Price", price(approval.quoted_price), price(preview.price)),
        ("Quantity", _quantity(was), _quantity(now)),
        ("Reward:risk", ratio(was.reward_risk), ratio(now.reward_risk)),
    )


def was_now(approval: ApprovalRecord, preview: Preview) -> Grid:
    """Return what changed since the opportunity was queued."""
    rows = tuple(
        (
            Cell(name),
            Cell(old),
            Cell(new, Tone.PLAIN if old == new else Tone.WARN),
            Cell("" if old == new else "changed"),
        )
        for name, old, new in was_now_pairs(approval, preview)
    )
    return Grid(columns=heads("", ">Was", ">Now", ""), rows=rows)


def score_grid(opportunity: Opportunity) -> Grid:
    """Return how the score came about: a bar a part, their sum, then what it is multiplied by."""
    rows = [
        (
            Cell(part.name.replace("_", " ")),
            Cell(f"{bar(float(part.value), 10)} {part.value:.2f}"),
            Cell(f"x {part.weight:.2f}"),
            Cell(f"{part.weight * part.value:.3f}"),
        )
        for part in opportunity.breakdown
    ]
    rows += [
        (Cell(factor.name.replace("_", " ")), Cell(factor.why), Cell(""), Cell(f"x {factor.value:.3f}"))
        for factor in opportunity.factors
    ]
    total = (Cell("score", Tone.BOLD), Cell(""), Cell(""), Cell(f"{opportunity.opportunity_score:.3f}", Tone.BOLD))
    return Grid(columns=heads("Score", "Part~", ">Weight", ">Adds"), rows=(*rows, total))


def reward_risk_cell(value: Decimal | None) -> Cell:
    """Return reward:risk as a small bar, full at 5:1."""
    if value is None:
        return Cell(DASH, Tone.BAD)
    return Cell(f"{bar(float(value / FULL_REWARD_RISK), 10)} {value:.2f}")


def _quantity(decision: Decision) -> str:
    return units(decision.sized.quantity) if decision.sized else DASH


# In words: the question on the phone, and what became of it


def question_lines(approval: ApprovalRecord) -> tuple[str, ...]:
    """Return what a person needs to answer."""
    signal, decision = approval.opportunity.signal, approval.decision
    sized = decision.sized
    targets = ", ".join(map(price, signal.target_prices)) or DASH
    loss = f" · loss at stop {money(sized.risk_amount)}" if sized else ""
    value = f"Value {money(sized.notional)} {account_currency()}{loss}" if sized else ""
    return (
        f"Price {price(approval.quoted_price)} · stop {price(signal.stop_loss)} · target {targets}",
        f"Reward:risk {ratio(decision.reward_risk)} · score {approval.opportunity.opportunity_score:.2f}",
        value,
        *(proposal_lines(signal) or ((f"Strategy {signal.strategy}" if signal.strategy else ""),)),
        *(f"! {warning.message}" for warning in decision.warnings),
        f"Expires {moment(approval.expires_at)}",
    )


def approval_name(approval: ApprovalRecord) -> str:
    """Return side, quantity and security in one phrase."""
    signal, sized = approval.opportunity.signal, approval.decision.sized
    quantity = approval.quantity or (sized.quantity if sized else None)
    return f"{signal.side} {units(quantity) if quantity else '?'} {signal.instrument.key}"


ANSWER_WORDS: Mapping[ApprovalStatus, tuple[str, str]] = {
    ApprovalStatus.APPROVED: ("⏳", "approved, orders are leaving"),
    ApprovalStatus.EXECUTED: ("✅", "approved and executed"),
    ApprovalStatus.REJECTED: ("🚫", "rejected"),
    ApprovalStatus.EXPIRED: ("⌛", "expired"),
    ApprovalStatus.SUPERSEDED: ("↩️", "void"),
    ApprovalStatus.FAILED: ("⚠️", "approved, but nothing was opened"),
}


def answer_lines(approval: ApprovalRecord) -> tuple[str, ...]:
    """Return who decided, when and why."""
    who = f"By {approval.decided_by}" if approval.decided_by else ""
    when = f"{' at ' if who else 'At '}{clock_time(approval.decided_at)}" if approval.decided_at else ""
    return (f"{who}{when}", approval.reason)


def approval_payload(approval: ApprovalRecord) -> dict[str, Fact]:
    """Return an approval for programs."""
    signal, sized = approval.opportunity.signal, approval.decision.sized
    return {
        "approval_id": approval.approval_id,
        "signal_id": signal.signal_id,
        "symbol": signal.instrument.key,
        "side": signal.side,
        "quantity": text_or_none(approval.quantity or (sized.quantity if sized else None)),
        "entry_price": str(signal.entry_price),
        "stop_loss": str(signal.stop_loss),
        "target_price": str(signal.target_prices[0]) if signal.target_prices else None,
        "risk_reward": text_or_none(approval.decision.reward_risk),
        "strategy": signal.strategy,
        "agent": signal.proposal.agent if signal.proposal else None,
        "agent_reason": signal.proposal.reason if signal.proposal else None,
        "score": str(approval.opportunity.opportunity_score),
        **named(approval, "status", "decided_by", "reason"),
        "expires_at": approval.expires_at.isoformat(),
    }


def text_or_none(value: object) -> str | None:
    """Return *value* as text, None where there is none."""
    return None if value is None else str(value)
