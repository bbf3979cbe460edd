"""Approvals over HTTP: seen with their version, answered once, by those who know the token, and only with --control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apex_cli.cli import run
from kit.listener import ALERT, CONTROL, READ, Listener, error_of

CONFIG = """\
risk: {enforce_market_hours: false, capital: 100000, min_confidence: 0}
listen: {sources: {token: {auth: token}}}
"""


@pytest.fixture
def asked(tmp_path: Path) -> Listener:
    """Return a listener beside an approval that waits."""
    listener = Listener(tmp_path, CONFIG)
    assert listener.post(ALERT).status_code == 200
    assert run(["run", "--once", "--quiet", "--json", "--config", str(tmp_path / "config.yaml")]) == 0
    return listener


def pending(listener: Listener) -> dict[str, Any]:
    answer = listener.ask("GET", "/approvals", headers={"Authorization": f"Bearer {READ}"})
    (found,) = answer.json()["data"]["approvals"]
    approval: dict[str, Any] = found
    return approval


def answer(listener: Listener, name: str, **body: Any) -> Any:
    return listener.ask("POST", f"/approvals/{name}", json=body, headers={"Authorization": f"Bearer {CONTROL}"})


def test_an_approval_is_answered_once(asked: Listener) -> None:
    approval = pending(asked)
    said = answer(asked, approval["approval_id"], choice="approve", version=approval["version"], quantity="2")
    assert said.status_code == 200, said.text
    (done,) = said.json()["data"]["approvals"]
    assert (done["status"], done["quantity"]) == ("executed", 2)
    again = answer(asked, approval["approval_id"], choice="reject", version=approval["version"])
    assert (again.status_code, error_of(again)["code"]) == (409, "already_answered")
    held = asked.ask("GET", "/positions", headers={"Authorization": f"Bearer {READ}"}).json()["data"]["positions"]
    assert [(row["symbol"], row["quantity"]) for row in held] == [("AAPL", 2)]


def test_what_was_not_looked_at_is_not_answered(asked: Listener) -> None:
    approval = pending(asked)
    stale = answer(asked, approval["approval_id"], choice="approve", version=approval["version"] + 1)
    assert stale.status_code == 409
    for body in ({"choice": "approve"}, {"choice": "maybe", "version": 1}, {"choice": "approve", "version": 1, "x": 1}):
        assert answer(asked, approval["approval_id"], **body).status_code == 422
    assert answer(asked, "1", choice="approve", version=1).status_code == 404
    rejected = answer(asked, approval["approval_id"], choice="reject", version=approval["version"], reason="no")
    assert rejected.json()["data"]["approvals"][0]["status"] == "rejected"


def test_without_control_nothing_can_be_answered(asked: Listener) -> None:
    approval = pending(asked)
    asked.restarted(can_act=False)
    assert answer(asked, approval["approval_id"], choice="approve", version=1).status_code == 404
