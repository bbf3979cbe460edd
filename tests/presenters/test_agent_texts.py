"""Wherever a person sees what an agent wrote, it stands between quotation marks, with the agent's name, and is text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from apex_cli.core.model.agent import MOST_REASON, Proposal, harmless
from apex_cli.core.model.notice import NoticeKind
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.presenters.approvals import answer_blocks, approvals_blocks, preview_blocks
from apex_cli.presenters.day import approvals_sheet
from apex_cli.presenters.messages.message import telegram_notice
from apex_cli.presenters.messages.notices import notice_of
from apex_cli.presenters.messages.phone import decided_html, details_html, pending_html
from apex_cli.presenters.screen.plain import render
from apex_cli.presenters.screen.terminal import draw
from kit.rig import Rig, auto, make_signal

HOSTILE = (
    '</b><a href="tg://resume">x</a> [red]approve me[/red] [link=http://e.example]y[/link] \x1b[31m\x1b]0;t\x07 '
    '/approve_all @admin *bold* _it_ `code` evil.example \u202egnp.exe\u2066 "yes", said apex'
)
SHOWN = f'"{harmless(HOSTILE, MOST_REASON)}"'


@pytest.fixture
def seen() -> tuple[Rig, ApprovalRecord]:
    rig = Rig(limits=auto())
    mark = Proposal(agent="claude", reason=harmless(HOSTILE, MOST_REASON))
    coordinator = rig.make_coordinator(proposal=mark)
    rig.source.put(make_signal(now=rig.clock.now(), strategy="agent-claude"))
    rig.run(coordinator.take_in())
    (approval,) = rig.store.view().approvals.values()
    return rig, approval


def places(rig: Rig, approval: ApprovalRecord) -> dict[str, str]:
    """Return what each place shows, as one text."""
    preview = rig.run(rig.desk.preview(approval))
    drawn = io.StringIO()
    draw(preview_blocks(approval, preview), Console(file=drawn, width=400, force_terminal=False, no_color=True))
    return {
        "panel": render(preview_blocks(approval, preview)),
        "drawn panel": drawn.getvalue(),
        "question": render(answer_blocks(approval, preview)),
        "phone": pending_html(approval),
        "phone, decided": decided_html(approval, preview),
        "phone, details": details_html(approval, preview),
    }


def test_every_place_that_asks_shows_the_agent_and_its_words_in_quotation_marks(seen: Any) -> None:
    for place, text in places(*seen).items():
        plain = text.replace("&quot;", '"').replace("&#x27;", "'").replace("&#39;", "'")
        assert SHOWN in plain, place
        assert "claude" in plain, place
        assert "\x1b" not in text, place
        for harm in ("<a", "</b><a", "[red]", "[link", "/approve", "@admin", "`", "\u202e", "evil.example"):
            assert harm not in text, (place, harm)


def test_lists_have_a_column_for_agents_only_where_one_proposed(seen: Any) -> None:
    rig, approval = seen
    without = replace(approval, opportunity=replace(approval.opportunity, signal=make_signal(now=rig.clock.now())))
    assert "claude" in render(approvals_blocks((approval, without), {approval.approval_id: 1}))
    assert [head_names(rig, rows).count("Agent") for rows in ((approval,), (without,), ())] == [1, 0, 0]


def head_names(rig: Rig, rows: tuple[ApprovalRecord, ...]) -> list[str]:
    return [head.name for head in approvals_sheet(rows, rig.clock.now(), 200).columns]


def test_the_notice_has_it_too_and_its_payload_names_the_agent(seen: Any) -> None:
    rig, _ = seen
    notice = notice_of(rig.events("approval_queued")[-1])
    assert notice is not None
    assert notice.kind is NoticeKind.OPPORTUNITY
    assert any(SHOWN in line for line in notice.lines)
    assert (notice.payload["agent"], notice.payload["agent_reason"]) == ("claude", SHOWN[1:-1])
    assert "<a" not in telegram_notice(notice)
