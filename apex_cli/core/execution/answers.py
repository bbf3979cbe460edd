"""Answers to approvals: each is decided again at the moment of the answer, and taken exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.day_trades.gate import entry_effect
from apex_cli.core.decision.approval import ApprovalVerdict, is_expired, recheck_approval
from apex_cli.core.decision.gatherer import Gatherer
from apex_cli.core.decision.record import end_approval
from apex_cli.core.errors import ApexError, BrokerError, InputError, NothingToDo, RefusedError, StateError
from apex_cli.core.execution.executor import Opening, TradeExecutor
from apex_cli.core.model.decision import DayTradeStatus, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO, Quantity
from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import Answered, Preview
from apex_cli.core.model.spelling import same_security
from apex_cli.core.model.wording import shared_start
from apex_cli.core.ports import Chore, Clock, StateStore
from apex_cli.core.state.tables import State

LEAST_LETTERS = 4
"""Letters that a part of an id has at least."""


def approval_numbers(state: State) -> dict[str, int]:
    """Return the number of each approval that is at hand, from 1, oldest first: one that comes later moves none."""
    oldest_first = sorted(state.approvals.values(), key=lambda each: (each.created_at, each.approval_id))
    return {each.approval_id: number for number, each in enumerate(oldest_first, start=1)}


def find_approval(state: State, name: str, pending: Sequence[ApprovalRecord]) -> ApprovalRecord:
    """Return the approval that *name* names: a number, a symbol, an id, or a clear beginning or end of an id.

    A beginning may leave out what all ids have in common. What waits comes first: an answered approval is only found
    where nothing that waits has the name.

    Raises:
        InputError: no approval fits, or several.
    """
    wanted = name.upper()
    approvals: dict[str, ApprovalRecord] = dict(state.approvals.items())
    if wanted in approvals:
        return approvals[wanted]
    numbers = approval_numbers(state)
    common = shared_start(approvals)

    def is_named(approval: ApprovalRecord) -> bool:
        key, security = approval.approval_id, approval.opportunity.signal.instrument
        if str(numbers[key]) == wanted:
            return True
        if same_security(name, security):
            return True
        is_part = key.startswith(wanted) or key[common:].startswith(wanted) or key.endswith(wanted)
        return len(wanted) >= LEAST_LETTERS and is_part

    near = [each for each in pending if is_named(each)] or [each for each in approvals.values() if is_named(each)]
    if len(near) == 1:
        return near[0]
    said = [f"{numbers[each.approval_id]} ({_order_of(each)}, {each.approval_id})" for each in near]
    what = f"could be {', '.join(said)}" if near else "is not known"
    raise InputError("approval_unknown", f"Approval {name} {what}.", hint="apex approve lists what waits.")


def _order_of(approval: ApprovalRecord) -> str:
    signal, sized = approval.opportunity.signal, approval.decision.sized
    return f"{signal.side} {f'{sized.quantity:f} ' if sized else ''}{signal.instrument.key}"


class _Look(NamedTuple):
    """A second look at an approval."""

    snapshot: Snapshot
    verdict: ApprovalVerdict
    preview: Preview


class ApprovalDesk:
    """Where approvals are looked at and answered, at the terminal, on the phone or by a script."""

    def __init__(
        self,
        *,
        store: StateStore,
        clock: Clock,
        limits: Limits,
        executor: TradeExecutor,
        gatherer: Gatherer,
        margin: Chore | None = None,
    ) -> None:
        """Keep the parts; *margin* looks at the margin level after an approval."""
        self._clock = clock
        self._limits = limits
        self._margin = margin
        self._store = store
        self._executor = executor
        self._gatherer = gatherer

    def pending(self) -> tuple[ApprovalRecord, ...]:
        """Return what waits, best score first."""
        now = self._clock.now()
        waiting = [
            approval
            for approval in self._store.view().approvals.values()
            if approval.status is ApprovalStatus.PENDING and not is_expired(approval, now)
        ]
        return tuple(sorted(waiting, key=lambda a: (-a.opportunity.opportunity_score, a.approval_id)))

    def find(self, name: str) -> ApprovalRecord:
        """Return the approval that *name* names.

        Raises:
            InputError: no approval fits, or several.
        """
        return find_approval(self._store.view(), name, self.pending())

    async def preview(self, approval: ApprovalRecord, quantity: Quantity | None = None) -> Preview:
        """Look at *approval* again with the price, account and positions of now."""
        return (await self._look_again(approval, quantity)).preview

    async def approve(
        self, approval: ApprovalRecord, *, quantity: Quantity | None = None, by: str = "terminal"
    ) -> Answered:
        """Say yes: execute if it still stands.

        Raises:
            RefusedError: it does not stand any more, or the broker rejected it. Void: the approval is over.
                Otherwise it stays pending.
            BrokerError: the account could not be read, or the orders could not be sent.
            NothingToDo: somebody else answered first, or it expired.
        """
        self._require_pending(approval)
        look = await self._look_again(approval, quantity)
        self._require_standing(approval, look)
        answered = replace(approval, quantity=quantity) if quantity is not None else approval
        opening = self._executor.write_down(
            approval.opportunity, look.snapshot, look.verdict.decision, approval=answered, decided_by=by
        )
        await self._executor.send([] if opening is None else [opening])
        if self._margin is not None:
            await self._margin.tend(self._clock.now())
        return self._answered(approval, look, opening)

    async def approve_together(
        self, approvals: Sequence[ApprovalRecord], *, by: str
    ) -> tuple[Answered | ApexError, ...]:
        """Say yes to several: all that still stand are written down in one commit, and only then sent.

        Each is looked at with the entries before it as working ones, and their value as spent.

        Raises:
            StateError: they could not be written down; nothing was sent.
        """
        found: list[tuple[_Look, Opening] | ApexError] = []
        pledged = ZERO
        with self._store.grouped():
            for approval in approvals:
                try:
                    self._require_pending(approval)
                    look = await self._look_again(approval, pledged=pledged)
                    self._require_standing(approval, look)
                    decision = look.verdict.decision
                    opening = self._executor.write_down(
                        approval.opportunity, look.snapshot, decision, approval=approval, decided_by=by
                    )
                    if opening is None:
                        raise already_answered(self._store.view().approvals[approval.approval_id])
                except StateError:
                    raise
                except ApexError as error:
                    found.append(error)
                    continue
                found.append((look, opening))
                pledged += decision.sized.notional if decision.sized is not None else ZERO
        openings = [each[1] for each in found if isinstance(each, tuple)]
        if openings:
            await self._executor.send(openings)
            if self._margin is not None:
                await self._margin.tend(self._clock.now())
        return tuple(
            each if isinstance(each, ApexError) else self._outcome(approval, *each)
            for approval, each in zip(approvals, found, strict=True)
        )

    def _outcome(self, approval: ApprovalRecord, look: _Look, opening: Opening) -> Answered | ApexError:
        try:
            return self._answered(approval, look, opening)
        except ApexError as error:
            return error

    async def _look_again(
        self, approval: ApprovalRecord, quantity: Quantity | None = None, *, pledged: Decimal = ZERO
    ) -> _Look:
        snapshot = await self._gatherer.snapshot(
            self._store.view(), approval.opportunity, quantity=quantity, pledged=pledged
        )
        verdict = recheck_approval(approval, snapshot, self._limits, quantity)
        return _Look(snapshot, verdict, _preview(snapshot, verdict, self._limits))

    def _require_standing(self, approval: ApprovalRecord, look: _Look) -> None:
        """Refuse what does not stand any more; what is void is over."""
        if look.verdict.is_void:
            self._void(approval, look.verdict)
        if look.verdict.reasons:
            raise _refusal(approval, look.verdict, look.preview)

    def _answered(self, approval: ApprovalRecord, look: _Look, opening: Opening | None) -> Answered:
        """Return what came of a yes; raise when somebody else was first, or nothing of it works."""
        current = self._store.view().approvals[approval.approval_id]
        if opening is None:
            raise already_answered(current)
        orders = self._executor.records(opening)
        if current.status is ApprovalStatus.FAILED:
            raise _failed(current, orders)
        return Answered(approval=current, preview=look.preview, orders=orders)

    def reject(self, approval: ApprovalRecord, *, reason: str = "", by: str = "terminal") -> Answered:
        """Say no.

        Raises:
            NothingToDo: somebody else answered first, or it expired.
        """
        self._require_pending(approval)
        with self._store.transaction() as tx:
            row: ApprovalRecord | None = tx.approvals.get(approval.approval_id)
            if row is None or row.status is not ApprovalStatus.PENDING:
                raise already_answered(row or approval)
            now = self._clock.now()
            ended = end_approval(tx, row, ApprovalStatus.REJECTED, now, reason=reason, decided_by=by)
        return Answered(approval=ended)

    def _require_pending(self, approval: ApprovalRecord) -> None:
        row = self._store.view().approvals.get(approval.approval_id, approval)
        if row.status is not ApprovalStatus.PENDING:
            raise already_answered(row)

    def _void(self, approval: ApprovalRecord, verdict: ApprovalVerdict) -> None:
        with self._store.transaction() as tx:
            row: ApprovalRecord | None = tx.approvals.get(approval.approval_id)
            if row is not None and row.status is ApprovalStatus.PENDING:
                reason = " ".join(found.message for found in verdict.reasons)
                end_approval(tx, row, verdict.status, self._clock.now(), reason=reason)


def _refusal(approval: ApprovalRecord, verdict: ApprovalVerdict, preview: Preview) -> RefusedError:
    symbol = approval.opportunity.signal.instrument.key
    first = verdict.reasons[0]
    why = " ".join(reason.message for reason in verdict.reasons)
    hint = "The approval is void." if verdict.is_void else "It stays pending; approve it again when that has changed."
    details = {
        "approval_id": approval.approval_id,
        "is_void": verdict.is_void,
        "reasons": [
            {"code": r.code, "limit": r.limit, "value": r.value, "message": r.message}
            | ({} if r.lifts_at is None else {"lifts_at": r.lifts_at})
            for r in preview.reasons
        ],
    }
    return RefusedError(first.code, f"{symbol}: {why}", hint=hint, details=details)


def _failed(approval: ApprovalRecord, orders: tuple[OrderRecord, ...]) -> ApexError:
    """Return the error of an approval whose orders never worked."""
    symbol = approval.opportunity.signal.instrument.key
    details = {"approval_id": approval.approval_id, "status": approval.status}
    why = orders[0].reason.rstrip(".") or orders[0].status.lower()
    hint = "Nothing was opened; the approval is over."
    if all(record.status is OrderStatus.NEVER_SENT for record in orders):
        return BrokerError(
            "order_not_sent", f"{symbol}: the orders could not be sent: {why}.", hint=hint, details=details
        )
    return RefusedError("order_rejected", f"{symbol}: the broker rejected it: {why}.", hint=hint, details=details)


def already_answered(approval: ApprovalRecord) -> NothingToDo:
    """Return the error for an answer that comes too late."""
    who = f" by {approval.decided_by}" if approval.decided_by else ""
    why = f" {approval.reason}" if approval.reason else ""
    return NothingToDo(
        "already_answered",
        f"Approval {approval.approval_id} is {approval.status}{who} already.{why}",
        details={"approval_id": approval.approval_id, "status": approval.status},
    )


def _preview(snapshot: Snapshot, verdict: ApprovalVerdict, limits: Limits) -> Preview:
    return Preview(
        decision=verdict.decision,
        price=snapshot.quote.price if snapshot.quote else None,
        reasons=verdict.reasons,
        is_void=verdict.is_void,
        day_trade_effect=day_trade_effect(
            snapshot.day_trades, snapshot.account.equity, limits, verdict.decision.instrument.key
        ),
    )


def day_trade_effect(status: DayTradeStatus, equity: Decimal, limits: Limits, security: str = "") -> str:
    """Return what an entry in *security* now means for the day-trade count, in one sentence."""
    if status.remaining is not None and status.remaining < 0:
        return f"unlimited: equity {equity:,.0f} is at or above {limits.day_trades.equity_threshold:,.0f}"
    return entry_effect(status, security)
