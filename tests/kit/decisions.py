"""Decisions from the journal for tests."""

from __future__ import annotations

from apex_cli.core.decision.plan import decide, decide_at
from apex_cli.core.model.decision import Decision
from apex_cli.core.state.events.signal_events import DecisionRecord


def decide_again(record: DecisionRecord) -> Decision:
    """Return what the inputs of *record* give: the decision that it holds."""
    if record.kept is not None:
        raise ValueError("inputs of the record stand in another one")
    if not record.is_answer:
        return decide(record.opportunity, record.snapshot, record.limits)
    quote = record.snapshot.quote
    return decide_at(
        record.opportunity,
        record.snapshot,
        record.limits,
        entry_price=quote.price if quote else record.opportunity.signal.entry_price,
        quantity=record.quantity,
    )
