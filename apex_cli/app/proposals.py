"""Takes in the proposals of agents: read and decided as any signal, and queued at most.

A proposal is decided and written down at once, in one commit, by the process that it came to. No order
leaves by it, so nobody has to hold the executor: a run may work beside it, and a person answers as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.app.compose import looking, make_parts, make_ranker, make_stages
from apex_cli.app.market_parts import open_bars
from apex_cli.app.pipeline import make_context, make_pipeline_stages
from apex_cli.app.sources import signal_form
from apex_cli.app.submission import GivenSource
from apex_cli.core.adapters import event_loop
from apex_cli.core.coordinator.coordinator import Coordinator
from apex_cli.core.coordinator.signal_reports import ended_report, rejected_report
from apex_cli.core.decision.agent_checks import proposals_left
from apex_cli.core.decision.inputs import agent_standing
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalOutcome, SignalReport
from apex_cli.core.ports import SignalBatch

if TYPE_CHECKING:
    from apex_cli.app.compose import Parts
    from apex_cli.core.model.agent import Proposal
    from apex_cli.core.model.records import SignalRecord
    from apex_cli.core.model.signal import Signal
    from apex_cli.core.state.tables import State
    from apex_cli.settings.sections import Settings

LONGEST_WAIT_S = 30.0
"""How long a proposal waits for another one: budgets are counted one proposal at a time."""

SOURCE = "agent"


def propose(
    settings: Settings,
    fields: Mapping[str, object],
    proposal: Proposal,
    notice: Callable[[Reason], None],
    *,
    is_dry: bool = False,
) -> SignalReport:
    """Decide on what an agent proposes; a yes of the checks is an approval that waits for a person.

    The same content again is the same signal as long as it waits or was answered; one that a check refused may be
    proposed again, and is another signal then. *fields* are as in a signal file, without id, strategy and source: those
    are the agent's name. With *is_dry* nothing is written.

    Raises:
        BrokerError: the account cannot be read; nothing was written.
        BusyError: other proposals took too long.
    """
    with nullcontext() if is_dry else _one_at_a_time(settings):
        parts = make_parts(settings, read_only=True)
        read = _read(settings, fields, parts.clock.now(), notice)
        if isinstance(read, RejectedRow):
            return replace(rejected_report(read), signal_id="")
        state = parts.store.view()
        signal = _named(state, read, proposal)
        spent = _spent(state, settings, signal, parts.clock.now())
        if spent is not None:
            return ended_report(signal, SignalOutcome.REFUSED, (spent,), SOURCE)
        return event_loop.run(_decide(parts, signal, proposal, notice, is_dry=is_dry))


def _read(
    settings: Settings, fields: Mapping[str, object], now: datetime, notice: Callable[[Reason], None]
) -> Signal | RejectedRow:
    from apex_cli.core.adapters.files.signals.signal_rows import parse_row

    max_age = timedelta(minutes=settings.signals.max_age_minutes)
    form = signal_form(settings.signals, open_bars(settings), notice)
    return parse_row(fields, now=now, where=SOURCE, max_age=max_age, form=form)


def _named(state: State, signal: Signal, proposal: Proposal) -> Signal:
    """Return *signal* under the agent's name, with an id of its own: no agent can take the id of another's signal."""
    agent = proposal.agent
    stem = f"agent-{agent}-{signal.signal_id[:20]}"
    name, number = stem, 1
    while _is_over(state.signals.get(name)):
        number += 1
        name = f"{stem}.{number}"
    return replace(signal, signal_id=name, strategy=f"agent-{agent}", source=SOURCE, proposal=proposal)


def _spent(state: State, settings: Settings, signal: Signal, now: datetime) -> Reason | None:
    """Return why nothing more is decided on today: a decision is long, and a budget that is spent needs none."""
    standing = agent_standing(state, signal, now)
    if standing is None or signal.proposal is None or signal.signal_id in state.signals:
        return None
    agent = signal.proposal.agent
    left = proposals_left(agent, settings.agents.rules_for(agent), standing)
    return None if left.passed else Reason(code=left.code, message=left.message, limit=left.limit, value=left.value)


def _is_over(row: SignalRecord | None) -> bool:
    """Return whether a proposal ended before a person was asked: then it may be made again."""
    return row is not None and row.approval_id is None and row.outcome is not SignalOutcome.EXECUTED


async def _decide(
    parts: Parts, signal: Signal, proposal: Proposal, notice: Callable[[Reason], None], *, is_dry: bool
) -> SignalReport:
    settings = parts.settings
    context = make_context(settings, parts.clock, notice, is_dry_run=is_dry, broker=parts.broker, waits=True)
    coordinator = Coordinator(
        store=parts.store,
        clock=parts.clock,
        ids=parts.ids,
        limits=settings.limits,
        orders=parts.execution.orders,
        executor=parts.execution.executor,
        gatherer=parts.gatherer,
        make_ranker=partial(make_ranker, settings, parts.clock, parts.store, parts.bars),
        sources=(GivenSource(SignalBatch(name=SOURCE, signals=(signal,), where=(SOURCE,))),),
        stages=(*make_pipeline_stages(settings, context), *make_stages(settings)),
        dry_run=is_dry,
        proposal=proposal,
    )
    async with looking(parts):
        await context.fetch()
        await coordinator.take_in()
    (report,) = coordinator.reports
    row: SignalRecord | None = parts.store.view().signals.get(report.signal_id)
    if report.outcome is SignalOutcome.DUPLICATE and row is not None:
        return replace(report, approval_id=row.approval_id)
    return report


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Let no other proposal be decided on meanwhile, in this process or another."""
    from apex_cli.core.adapters.process_locks import PROPOSALS_LOCK, ProcessLock

    lock = ProcessLock(settings.state.dir / PROPOSALS_LOCK)
    lock.take_or_refuse(LONGEST_WAIT_S)
    try:
        yield
    finally:
        lock.drop()
