"""The tools of ``apex mcp``: each answers with the JSON of a command, by what that command does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import asdict, replace

from apex_cli.agents import arguments as given_as
from apex_cli.agents.tool import Asked, Tool
from apex_cli.app.resources import read_settings
from apex_cli.commands import agent_acts
from apex_cli.commands.options import do
from apex_cli.core.errors import BusyError, ExitStatus, InputError, NothingToDo
from apex_cli.core.model.agent import MOST_REASON, AgentAct, harmless
from apex_cli.core.model.records import SignalOutcome, SignalReport

if TYPE_CHECKING:
    from apex_cli.settings.sections import Settings

REPLAYED = ("risk.", "management.", "technical.", "scanners.", "replay.", "execution.reprice.")
"""Beginnings of the keys that a replay may be given other values of: numbers and switches of trading."""

NOT_REPLAYED = ("scanners.custom", "scanners.strategies", "replay.keep_bars")
"""Those of them that name code, or have files written."""


def _look(command: str) -> Callable[[Asked], None]:
    """Return what does a command without options."""
    return lambda asked: do(command, asked.out, asked.settings)


def _approvals(asked: Asked) -> None:
    from apex_cli.commands.approve import show_waiting

    show_waiting(asked.out, asked.settings)


def _explain(asked: Asked) -> None:
    do("explain", asked.out, asked.settings, identity=asked.arguments.identity)


def _size(asked: Asked) -> None:
    given: given_as.SizeArguments = asked.arguments
    do("size", asked.out, asked.settings, **asdict(given) | {"target": list(given.target)})


def _history(asked: Asked) -> None:
    given: given_as.HistoryArguments = asked.arguments
    do("history", asked.out, asked.settings, **asdict(given) | {"since": _day(given.since)})


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

    given: given_as.ProposeArguments = asked.arguments
    fields = _fields(given)
    mark = replace(asked.mark, reason=harmless(given.reason, MOST_REASON))
    with posting(asked.out, asked.settings):
        report = propose(asked.settings, fields, mark, asked.out.warn)
    _give(asked, report)


def _check(asked: Asked) -> None:
    """Say what would become of a proposal; it is the same decision, and nothing is written."""
    from apex_cli.app.proposals import propose

    _give(asked, propose(asked.settings, _fields(asked.arguments), asked.mark, asked.out.warn, is_dry=True))


def _fields(given: given_as.TradeArguments) -> dict[str, Any]:
    """Return a trade as a signal file has it."""
    fields = {name: value for name, value in asdict(given).items() if value is not UNSET and name != "reason"}
    return fields | {"target_prices": list(given.target_prices)}


def _give(asked: Asked, report: SignalReport) -> None:
    from apex_cli.presenters.run import SIGNALS

    status = OUTCOME_STATUS.get(report.outcome, ExitStatus.INTERNAL)
    reasons = report.reasons if status is not ExitStatus.OK else ()
    asked.out.warn(*report.warnings)
    asked.out.result(SIGNALS.data(report), status=status, reasons=reasons)


_one_replay = Lock()


def _replay(asked: Asked) -> None:
    """Replay history by other settings; one at a time, and none that nobody waits for."""
    from apex_cli.app import replayer as replaying
    from apex_cli.presenters.replay import replay_data, replay_warnings

    given: given_as.ReplayArguments = asked.arguments
    settings = _changed(asked.settings, given.settings)
    if settings.prices.bars_dir is None:
        raise InputError("no_bars", "prices.bars_dir names no folder of bars.", hint="The person must set it.")
    first, last = _day(given.first), _day(given.last)
    options = replaying.ReplayOptions(
        bars_dir=settings.prices.bars_dir,
        rule=given.rule,
        first=first.date() if first else None,
        last=last.date() if last else None,
    )

    def on_step(done: int, total: int) -> None:
        del done, total
        if asked.gone.is_set():
            raise NothingToDo("nobody_waits", "Nobody waits for this replay any more.")

    if not _one_replay.acquire(blocking=False):
        raise BusyError("replay_busy", "Another replay of an agent is being done.", hint="Ask again when it is over.")
    try:
        report = replaying.replay(settings, options, on_step)
    finally:
        _one_replay.release()
    asked.out.warn(*replay_warnings(report))
    asked.out.result(replay_data(report))


def _changed(settings: Settings, changes: dict[str, given_as.Value]) -> Settings:
    """Return *settings* with other values of some keys."""
    from apex_cli.settings.validation import leaves, variable_name

    for key in changes:
        if not key.startswith(REPLAYED) or key.startswith(NOT_REPLAYED) or key not in leaves():
            allowed = ", ".join(f"{start}*" for start in REPLAYED)
            raise InputError("key_not_replayed", f"{harmless(key, 64)!r} is no key to try.", hint=f"Allowed: {allowed}")
    overrides = {variable_name(key): _as_text(value) for key, value in changes.items()}
    return read_settings(settings.source, overrides, profile=settings.profile) if changes else settings


def _as_text(value: given_as.Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


LOOKS = (
    ("status", "Status", "Account, trading state, positions, approvals, alarms, and what to do next."),
    ("positions", "Positions", "Open positions with profit and loss, R, stops, targets and protection."),
    ("orders", "Orders", "Orders that work at the broker."),
    ("risk", "Risk", "Open risk by group, what moves together, the worst day, and distance to every limit."),
    ("pdt_status", "Day trades", "The day-trading rule in force, day trades used and left."),
)
"""Tools without arguments that are named as their commands."""

TOOLS = (
    *(Tool(name, title, text, given_as.Nothing, name.replace("_", "-"), _look(name)) for name, title, text in LOOKS),
    Tool(
        "approvals",
        "Approvals",
        "What waits for a person's answer, best score first.",
        given_as.Nothing,
        "approve",
        _approvals,
    ),
    Tool(
        "explain",
        "Explain",
        "Every step of one signal: decision, checks, size, orders, fills, result. Without an id the recent signals.",
        given_as.OneId,
        "explain",
        _explain,
    ),
    Tool(
        "size",
        "Size",
        "How many units a trade would have, and what limits them.",
        given_as.SizeArguments,
        "size",
        _size,
    ),
    Tool(
        "history",
        "History",
        "Closed round trips and statistics.",
        given_as.HistoryArguments,
        "history",
        _history,
    ),
    Tool(
        "replay",
        "Replay",
        "What trading through the stored bars would have come to, by the person's configuration with some keys changed "
        'such as {"risk.max_risk_pct": "0.005"}. Nothing is written.',
        given_as.ReplayArguments,
        "replay",
        _replay,
    ),
    Tool(
        "check",
        "Check a trade",
        "What would become of a proposal of this trade now: queued, or refused with each check's limit and what was "
        "found. Nothing is written, and it counts against no budget of proposals.",
        given_as.TradeArguments,
        "propose",
        _check,
    ),
    Tool(
        "propose",
        "Propose a trade",
        "Propose a trade to the person. It is sized and checked at once: a refusal names each check with its limit and "
        "what was found. What passes waits for the person's answer; it is never executed without. The same proposal "
        "again, while it waits or after an answer, is no second one.",
        given_as.ProposeArguments,
        "propose",
        _propose,
        is_read=False,
        about=lambda given: given.symbol,
    ),
    Tool(
        "withdraw",
        "Withdraw a proposal",
        "Take back a proposal of your own that still waits.",
        given_as.AnswerArguments,
        "approve",
        agent_acts.withdraw,
        is_read=False,
        about=lambda given: given.approval_id,
    ),
    Tool(
        "approve",
        "Approve",
        "Approve what waits, in the person's place. It is looked at again, and executed if it still stands.",
        given_as.AnswerArguments,
        "approve",
        agent_acts.approve,
        AgentAct.APPROVE,
        is_read=False,
        is_destructive=True,
        about=lambda given: given.approval_id,
    ),
    Tool(
        "reject",
        "Reject",
        "Reject what waits, in the person's place.",
        given_as.AnswerArguments,
        "approve",
        agent_acts.reject,
        AgentAct.REJECT,
        is_read=False,
        is_destructive=True,
        about=lambda given: given.approval_id,
    ),
    Tool(
        "close",
        "Close a position",
        "Close a position, or a part of it, at market. Its exits end with it, or shrink to what is left.",
        given_as.CloseArguments,
        "close",
        agent_acts.close,
        AgentAct.CLOSE,
        is_read=False,
        is_destructive=True,
        is_repeatable=False,
        about=lambda given: given.symbol,
    ),
    Tool(
        "halt",
        "Halt",
        "Stop everything but cancels, protective exits and closes.",
        given_as.ReasonArguments,
        "halt",
        agent_acts.halt,
        AgentAct.HALT,
        is_read=False,
    ),
    Tool(
        "resume",
        "Resume",
        "Trade again after a halt.",
        given_as.ReasonArguments,
        "resume",
        agent_acts.resume,
        AgentAct.RESUME,
        is_read=False,
        is_destructive=True,
    ),
    Tool(
        "configure",
        "Configure",
        "Change one key of the configuration: risk.*, approval.*, management.*; the next run reads it.",
        given_as.ConfigureArguments,
        "config set",
        agent_acts.configure,
        AgentAct.CONFIGURE,
        is_read=False,
        is_destructive=True,
        about=lambda given: given.key,
    ),
)
"""What there is to ask for, in the order of the list."""
