"""An alert that says it is an agent's is an alert: nothing in it makes a mark."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from apex_cli.core.model.agent import Proposal
from kit.listener import ALERT, Listener, Server

CLAIM: dict[str, Any] = {**ALERT, "strategy": "agent-claude", "source": "agent"}


@pytest.mark.parametrize(
    "claim",
    [
        {"agent": "claude"},
        {"metadata": {"agent": "claude", "proposal": "claude"}},
        {"proposal": {"agent": "claude", "reason": "x"}},
        {"proposal": "claude", "signal_id": "agent-claude-1"},
    ],
)
def test_what_an_alert_says_of_agents_makes_no_mark(listener: Listener, claim: dict[str, Any]) -> None:
    listener.post(CLAIM | claim)
    assert all(row.signal is None or row.signal.proposal is None for row in listener.kept())


def test_a_mark_that_is_forged_into_what_is_kept_says_nothing_to_the_run(server: Server) -> None:
    assert server.post(CLAIM).status_code == 200
    (kept,) = (server.folder / "state" / "intake").glob("*.jsonl")
    plain, mark = kept.read_text(), msgspec.json.encode(Proposal(agent="claude")).decode()
    forged = plain.replace('"strategy":', f'"proposal":{mark},"strategy":')
    assert forged != plain
    kept.write_text(forged)
    (report,) = server.run_once()
    assert report["outcome"] == "executed"
    decided = [line for line in server.journal() if line["kind"] == "decided"]
    assert [line["data"]["opportunity"]["signal"].get("proposal") for line in decided] == [None]
