"""Checks of what an agent proposes: its budget for the day, what of it waits, and what it puts at risk."""

from __future__ import annotations

from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.model.agent import AgentRules, AgentStanding
from apex_cli.core.model.decision import Check
from apex_cli.core.model.wording import money, percent


def agent_proposals(ctx: CheckContext) -> Check:
    """The agent's proposals of this session leave room for one more."""
    name, rules, standing = _agent(ctx)
    if standing.proposals < rules.proposals_per_day and not ctx.describe:
        return passing("agent_proposals")
    return proposals_left(name, rules, standing)


def proposals_left(name: str, rules: AgentRules, standing: AgentStanding) -> Check:
    """Return whether the agent *name* may propose once more in this session, with limit and value."""
    done, most = standing.proposals, rules.proposals_per_day
    return verdict(
        "agent_proposals",
        passed=done < most,
        limit=f"at most {most} proposals a session",
        value=f"{done} proposals",
        message=f"{name} made {done} proposals this session; the most allowed is {most}.",
    )


def agent_waiting(ctx: CheckContext) -> Check:
    """Not too many of the agent's proposals wait for an answer."""
    name, rules, standing = _agent(ctx)
    waiting, most = standing.waiting, rules.max_waiting
    if waiting < most and not ctx.describe:
        return passing("agent_waiting")
    return verdict(
        "agent_waiting",
        passed=waiting < most,
        limit=f"at most {most} waiting proposals",
        value=f"{waiting} waiting proposals",
        message=f"{waiting} proposals of {name} wait for an answer; the most allowed is {most}.",
    )


def agent_risk(ctx: CheckContext) -> Check:
    """The loss if every stop is hit of what the agent proposed, this included, stays within its part of capital."""
    name, rules, standing = _agent(ctx)
    total, most = standing.risk + ctx.risk_amount, rules.max_open_risk_pct * ctx.risk.capital
    if total <= most and not ctx.describe:
        return passing("agent_risk")
    return verdict(
        "agent_risk",
        passed=total <= most,
        limit=f"at most {money(most)} ({percent(rules.max_open_risk_pct)} of capital)",
        value=money(total),
        message=f"Open risk of what {name} proposed would be {money(total)}; the limit is {money(most)}.",
    )


def _agent(ctx: CheckContext) -> tuple[str, AgentRules, AgentStanding]:
    """Return the agent's name, its rules, and what it has used of them."""
    proposal = ctx.signal.proposal
    name = proposal.agent if proposal is not None else ""
    return name, ctx.limits.agents.rules_for(name), ctx.snapshot.agent or AgentStanding()
