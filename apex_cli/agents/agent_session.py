"""The session of one agent: it knows the agent's name, counts its requests, and records each call."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import typer

from apex_cli.agents.tool import Asked, Tool
from apex_cli.app.resources import badge_of, open_store
from apex_cli.core.errors import InputError, RefusedError
from apex_cli.core.model.account import AccountKind
from apex_cli.core.model.agent import MOST_CLIENT, AgentCall, AgentRules, Proposal, harmless
from apex_cli.core.model.wording import show_amounts_in
from apex_cli.core.state.events.operation_events import AgentCalled
from apex_cli.presenters.screen.captured import Captured

if TYPE_CHECKING:
    from apex_cli.settings.sections import Settings

MINUTE_S = 60.0


class AgentSession:
    """One agent's way in. Calls may come from several threads."""

    def __init__(self, settings: Settings, agent: str, tools: Sequence[Tool], *, kind: str) -> None:
        """Open it for *agent*; *kind* is ``stdio`` or ``http``. Nothing is read yet."""
        self.agent = agent
        self._settings = settings
        self._kind = kind
        self._rules: AgentRules = settings.agents.rules_for(agent)
        self._tools = {tool.name: tool for tool in tools if self._offers(tool)}
        self._lock = Lock()
        self._calls: deque[float] = deque()
        self._looks: Counter[tuple[str, str, str]] = Counter()
        self._written = -MINUTE_S

    @property
    def tools(self) -> Sequence[Tool]:
        """What this agent may ask for."""
        return tuple(self._tools.values())

    def ask(
        self, name: str, given: Mapping[str, object] | None, client: str, gone: Event | None = None
    ) -> dict[str, Any]:
        """Do what a tool does and return its envelope; whatever goes wrong is one, too.

        *client* is what the client calls itself; *gone* is set when nobody waits for the answer any more.
        """
        client = harmless(client, MOST_CLIENT)
        tool = self._tools.get(name)
        out = Captured(tool.command if tool is not None else "mcp")
        about = ""
        try:
            with out:
                tool = self._admitted(tool, name)
                arguments = tool.read(given)
                about = harmless(tool.about(arguments), MOST_CLIENT)
                show_amounts_in(self._settings.currency.base)
                mark = Proposal(agent=self.agent, client=client)
                tool.run(Asked(out, self._settings, mark, arguments, gone or Event()))
        except typer.Exit:
            pass
        envelope: dict[str, Any] = without_words_of_others(out.envelope, self.agent)
        self._note(tool, envelope, client, str(envelope["data"].get("signal_id") or about))
        return envelope

    def close(self) -> None:
        """Write down what was only counted."""
        self._write_looks()

    def _offers(self, tool: Tool) -> bool:
        """Return whether *tool* is there for this agent: what moves money or limits never is on a live account."""
        if tool.act is None:
            return True
        return tool.act in self._rules.may and badge_of(self._settings).kind is not AccountKind.LIVE

    def _admitted(self, tool: Tool | None, name: str) -> Tool:
        """Return *tool* when it is there and the agent has not asked too often."""
        self._count()
        if tool is None:
            raise InputError(
                "tool_unknown", f"There is no tool {harmless(name, 40)!r} for {self.agent}.", hint="List the tools."
            )
        return tool

    def _count(self) -> None:
        most, now = self._rules.calls_per_minute, time.monotonic()
        with self._lock:
            while self._calls and now - self._calls[0] >= MINUTE_S:
                self._calls.popleft()
            if len(self._calls) >= most:
                raise RefusedError(
                    "agent_calls",
                    f"{self.agent} asked {len(self._calls)} times within a minute; the most allowed is {most}.",
                    hint="Ask again in a minute.",
                    details={"limit": f"at most {most} calls a minute", "value": f"{len(self._calls)} calls"},
                )
            self._calls.append(now)

    # The journal

    def _note(self, tool: Tool | None, envelope: Mapping[str, Any], client: str, about: str) -> None:
        """Write down an act at once; looks are counted, and written down together once a minute."""
        codes = tuple(error["code"] for error in envelope["errors"])
        status = str(envelope["status"])
        if tool is not None and not tool.is_read:
            self._write_looks()
            self._write((self._call(tool.name, client, status=status, codes=codes, about=about),))
            return
        with self._lock:
            self._looks[tool.name if tool is not None else "unknown", client, status] += 1
            is_due = time.monotonic() - self._written >= MINUTE_S
        if is_due:
            self._write_looks()

    def _write_looks(self) -> None:
        with self._lock:
            looks, self._looks = self._looks, Counter()
            self._written = time.monotonic()
        self._write(
            [self._call(tool, client, status=status, times=times) for (tool, client, status), times in looks.items()]
        )

    def _call(self, tool: str, client: str, *, status: str, **more: Any) -> AgentCall:  # noqa: ANN401 - its other fields
        return AgentCall(agent=self.agent, client=client, door=self._kind, tool=tool, status=status, **more)

    def _write(self, calls: Sequence[AgentCall]) -> None:
        if not calls:
            return
        store = open_store(self._settings)
        now: datetime = store.clock.now()
        with store.transaction() as tx:
            for call in calls:
                tx.emit(AgentCalled(at=now, subject=call.about or self.agent, data=call))


def without_words_of_others(found: Any, agent: str) -> Any:  # noqa: ANN401 - any value of JSON
    """Return *found* without what other agents wrote: words of one are no orders for another.

    >>> without_words_of_others({"proposal": {"agent": "a", "reason": "x"}, "agent": "b", "agent_reason": "y"}, "b")
    {'proposal': {'agent': 'a'}, 'agent': 'b', 'agent_reason': 'y'}
    """
    if isinstance(found, list):
        return [without_words_of_others(each, agent) for each in found]
    if not isinstance(found, dict):
        return found
    kept = {name: without_words_of_others(value, agent) for name, value in found.items()}
    author, mark = kept.get("agent"), kept.get("proposal")
    if isinstance(author, str) and author != agent and "agent_reason" in kept:
        kept["agent_reason"] = None
    if isinstance(mark, dict) and mark.get("agent") != agent:
        kept["proposal"] = {"agent": mark.get("agent")}
    return kept
