"""The decision: one pure function from an opportunity and a snapshot to execute, queue or refuse."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.checks import describe_checks, run_checks
from apex_cli.core.decision.learned import size_part, why_learning_asks, why_lowered
from apex_cli.core.decision.market_checks import day_trade_warnings, obstacle_warnings, unpriced_warnings
from apex_cli.core.decision.signal_checks import option_warnings, split_warnings
from apex_cli.core.decision.size_multipliers import multipliers_of
from apex_cli.core.decision.sizing import lowered, no_rate, size_as_given, size_position
from apex_cli.core.decision.tranches import tranche_quantities
from apex_cli.core.decision.verdict import CheckContext
from apex_cli.core.model.decision import Check, Decision, DecisionKind, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ONE, ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRole
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.model.trade_size import Binding, Sized
from apex_cli.core.model.wording import amounts_in, beside, decimals


def decide(
    opportunity: Opportunity, snapshot: Snapshot, limits: Limits, *, quantity: Quantity | None = None
) -> Decision:
    """Return what to do with *opportunity*; the same inputs always give the same answer.

    Any failed check refuses, with all failed checks as reasons. Otherwise it is executed when ``auto_execute`` is
    on and the score reaches ``auto_min_score``, and queued for a person when not.

    Args:
        opportunity: the signal with its score.
        snapshot: account, exposures, price, market and day trades at one moment.
        limits: the user's limits.
        quantity: a person's own size instead of the one worked out; held against the same caps.
    """
    entry = planned_entry(opportunity.signal, snapshot, limits)
    with amounts_in(limits.currency.base):
        decision = _decided(opportunity, snapshot, limits, entry, quantity)
    if decision.kind is DecisionKind.REFUSE:
        return decision
    reason = _why_ask(opportunity, limits) or why_learning_asks(opportunity, limits.learning, snapshot.taken_at)
    return replace(decision, kind=DecisionKind.QUEUE, reasons=(reason,)) if reason else decision


def planned_entry(signal: Signal, snapshot: Snapshot, limits: Limits) -> Price:
    """Return the price to size at: a market entry pays the latest price, so the worse of that and the signal's.

    A limit entry never pays more than the signal's price.
    """
    quote = snapshot.quote
    if quote is None or limits.entry_order(signal.strategy).has_limit:
        return signal.entry_price
    worse = max if signal.side.sign > 0 else min
    return worse(signal.entry_price, quote.price)


def probe_entry(
    opportunity: Opportunity, snapshot: Snapshot, limits: Limits, quantity: Quantity | None = None
) -> Order | None:
    """Return the entry that would be sent, to ask a broker what it does to the margin; None when it has no size.

    It is never sent: its client order id names no bracket.
    """
    signal = opportunity.signal
    entry = planned_entry(signal, snapshot, limits)
    sized = _context(opportunity, snapshot, limits, entry, quantity).sized
    if not isinstance(sized, Sized):
        return None
    return Order(
        client_order_id="apex-probe",
        bracket_id="",
        role=OrderRole.ENTRY,
        instrument=signal.instrument,
        side=signal.side,
        quantity=sized.quantity,
        reference_price=entry,
        **limits.entry_order(signal.strategy).terms_at(entry),
    )


def decide_at(
    opportunity: Opportunity,
    snapshot: Snapshot,
    limits: Limits,
    *,
    entry_price: Price,
    quantity: Quantity | None = None,
) -> Decision:
    """Return execute or refuse, sized at *entry_price*; whether a person must be asked is left to the caller.

    What the full size is refused for, a size that learning lowered is refused for, too.
    """
    with amounts_in(limits.currency.base):
        return _decided(opportunity, snapshot, limits, entry_price, quantity)


def _decided(
    opportunity: Opportunity,
    snapshot: Snapshot,
    limits: Limits,
    entry: Price,
    quantity: Quantity | None,
    *,
    lowers: bool = True,
) -> Decision:
    """Return execute or refuse; *lowers* whether what was learned may lower the size."""
    ctx = _context(opportunity, snapshot, limits, entry, quantity, lowers=lowers)
    checks = run_checks(ctx)
    reasons = tuple([_reason(check, ctx) for check in checks if not check.passed])
    sized = ctx.sized if isinstance(ctx.sized, Sized) else None
    if not reasons and _is_lowered(ctx):
        full = _decided(opportunity, snapshot, limits, entry, quantity, lowers=False)
        if full.kind is DecisionKind.REFUSE:
            return full
    return Decision(
        kind=DecisionKind.REFUSE if reasons else DecisionKind.EXECUTE,
        signal_id=opportunity.signal.signal_id,
        instrument=opportunity.signal.instrument,
        side=ctx.side,
        sized=sized,
        entry_price=entry,
        reward_risk=ctx.reward_risk,
        checks=checks,
        reasons=reasons,
        warnings=(
            *(sized.warnings if sized else ()),
            *_lowered_warnings(ctx),
            *day_trade_warnings(ctx),
            *unpriced_warnings(ctx),
            *split_warnings(ctx),
            *obstacle_warnings(ctx),
            *option_warnings(ctx),
        ),
    )


def _is_lowered(ctx: CheckContext) -> bool:
    return isinstance(ctx.sized, Sized) and ctx.sized.binding is Binding.LEARNING


def _lowered_warnings(ctx: CheckContext) -> tuple[Reason, ...]:
    """Return the warning that what was learned lowered the size."""
    if not _is_lowered(ctx):
        return ()
    reason = why_lowered(ctx.opportunity, ctx.limits.learning, ctx.snapshot.taken_at)
    return () if reason is None else (reason,)


def explain_checks(
    opportunity: Opportunity,
    snapshot: Snapshot,
    limits: Limits,
    *,
    entry_price: Price | None = None,
    quantity: Quantity | None = None,
) -> tuple[Check, ...]:
    """Return the checks of the same decision with limit and value filled in, passed or not."""
    entry = entry_price if entry_price is not None else opportunity.signal.entry_price
    with amounts_in(limits.currency.base):
        return describe_checks(_context(opportunity, snapshot, limits, entry, quantity))


def _context(
    opportunity: Opportunity,
    snapshot: Snapshot,
    limits: Limits,
    entry: Price,
    quantity: Quantity | None,
    *,
    lowers: bool = True,
) -> CheckContext:
    signal = opportunity.signal
    risk = limits.risk.for_equity(snapshot.account.equity)
    if risk is not limits.risk:
        limits = replace(limits, risk=risk)
    instrument, stop = signal.instrument, signal.stop_loss
    rate, currency = snapshot.rate, limits.currency
    unrated = no_rate(instrument, rate, currency, snapshot.taken_at)
    if rate is not None and entry > ZERO:
        rate = rate.at_price(entry)
    sized: Sized | Reason
    if unrated is not None:
        sized = unrated
    elif quantity is None:
        sized = size_position(
            instrument=instrument,
            entry=entry,
            stop=stop,
            risk=risk,
            rate=rate,
            currency=currency,
            multipliers=multipliers_of(limits.protections.sizing, snapshot.protections, risk),
        )
        part = size_part(opportunity, limits.learning, snapshot.taken_at) if lowers else ONE
        if part < ONE and isinstance(sized, Sized):
            sized = lowered(sized, part, instrument=instrument, entry=entry, stop=stop, risk=risk)
    else:
        sized = size_as_given(
            instrument=instrument, entry=entry, stop=stop, risk=risk, quantity=quantity, rate=rate, currency=currency
        )
    return CheckContext(
        opportunity=opportunity,
        snapshot=snapshot,
        limits=limits,
        sized=sized,
        side=signal.side,
        reward_risk=planned_reward_risk(signal, entry, sized),
        entry_price=entry,
        key=instrument.key,
    )


def planned_reward_risk(signal: Signal, entry: Price, sized: Sized | Reason) -> Decimal | None:
    """Return reward over risk for the quantities that will really aim at each target.

    (sum(quantity_i * target_i) / sum(quantity_i) - entry) / (entry - stop): a small quantity reaches fewer targets,
    the nearest ones, and an odd one leans towards them. A tranche without a target promises nothing, and is left out.

    Args:
        signal: gives stop and targets.
        entry: price of the entry.
        sized: the size; without one the split is taken as even.
    """
    targets = signal.target_prices
    if len(targets) > 1 and isinstance(sized, Sized):
        parts = tranche_quantities(sized.quantity, signal.instrument, len(targets), signal.target_fractions)
        aimed = list(zip(parts, sorted(targets, reverse=signal.side is OrderSide.SELL), strict=False))
        value = sum((part * target for part, target in aimed), ZERO)
        targets = (Price(value / sum(part for part, _ in aimed)),)
    return reward_risk(entry, signal.stop_loss, targets)


def _reason(check: Check, ctx: CheckContext) -> Reason:
    """Return a failed check as a reason; the size check speaks with the sizing's own code."""
    if check.code == "size" and isinstance(ctx.sized, Reason):
        return ctx.sized
    return Reason(code=check.code, message=check.message, limit=check.limit, value=check.value, lifts_at=check.lifts_at)


def _why_ask(opportunity: Opportunity, limits: Limits) -> Reason | None:
    """Return why a person is asked, None when nobody is. What an agent proposed always asks, whatever is set.

    A score that learning raised counts as if nothing had been learned: learning never lets more through unasked.
    """
    execution, proposal = limits.execution, opportunity.signal.proposal
    if proposal is not None:
        return Reason(
            code="agent_proposal",
            message=f"The agent {proposal.agent} proposed it: a person decides.",
            limit="a person decides",
            value=f"proposed by {proposal.agent}",
        )
    if not execution.auto_execute:
        return Reason(
            code="approval_required",
            message="Every trade waits for approval: execution.auto_execute is off.",
            limit="auto_execute on",
            value="auto_execute off",
        )
    score, least = opportunity.cautious_score, execution.auto_min_score
    if score >= least:
        return None
    shown = beside(score, least)
    return Reason(
        code="score_below_auto",
        message=f"Score {shown} is below {decimals(least)}, the least that is executed without asking.",
        limit=f"at least {decimals(least)}",
        value=shown,
    )
