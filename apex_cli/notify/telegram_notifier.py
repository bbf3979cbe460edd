"""Notices in the chat: a question gets buttons, an answer takes them away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from apex_cli.core.adapters.notifiers.buttons import Action, Button, ButtonFile
from apex_cli.core.adapters.notifiers.telegram_link import Keys, TelegramLink
from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.notice import Notice, NoticeKind
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.ports import DeliveryError
from apex_cli.core.state.tables import State
from apex_cli.presenters.messages.message import headed, telegram_notice
from apex_cli.presenters.messages.phone import decided_html

BY_PHONE = "(Telegram)"
"""Ends the name that a decision from the chat is recorded under."""

LABELS = {
    Action.APPROVE: "✅ Approve",
    Action.REJECT: "🚫 Reject",
    Action.HALF: "½ Half size",
    Action.DETAILS: "🔍 Details",
}
ROWS: Sequence[Sequence[Action]] = ((Action.APPROVE, Action.REJECT), (Action.HALF, Action.DETAILS))


class TelegramNotifier:
    """The ``Notifier`` of one chat."""

    min_interval_s = 1.1
    """Telegram takes about one message a second in a chat, and twenty a minute in a group."""

    def __init__(
        self,
        link: TelegramLink,
        buttons: ButtonFile,
        view: Callable[[], State],
        badge: Callable[[], AccountBadge],
        picture: Callable[[Notice], bytes | None],
    ) -> None:
        """Speak by *link*; *view* returns the state, *badge* the account.

        *picture* draws what a notice is about as PNG, None where there is nothing to draw. It may block.
        """
        self._link = link
        self._buttons = buttons
        self._view = view
        self._badge = badge
        self._picture = picture

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        """Deliver *notice*; what was said in the chat itself is not repeated there."""
        if notice.kind is NoticeKind.TRADING_STATE and str(notice.payload.get("reason")).endswith(BY_PHONE):
            return
        approval = self._view().approvals.get(notice.approval_id) if notice.approval_id else None
        if notice.is_question and approval is not None:
            await self._ask(notice, approval, is_silent=is_silent, is_repeat=is_repeat)
            return
        async with self._link.editing:
            question = self._buttons.message_of(notice.approval_id) if notice.approval_id else None
            is_over = approval is not None and approval.status is not ApprovalStatus.PENDING
            if question is not None and approval is not None and is_over:
                await self._link.edit(question, headed(self._badge(), decided_html(approval)))
        if approval is not None and is_over and approval.decided_by.endswith(BY_PHONE):
            return
        html = telegram_notice(notice, is_repeat=is_repeat)
        message_id = await self._link.send(html, is_silent=is_silent, reply_to=question)
        await self._show(notice, message_id)

    async def _ask(self, notice: Notice, approval: ApprovalRecord, *, is_silent: bool, is_repeat: bool) -> None:
        """Ask with buttons as long as there is something to answer."""
        is_open = approval.status is ApprovalStatus.PENDING and approval.version == notice.approval_version
        keys = keyboard(self._buttons, approval) if is_open else ()
        html = (
            telegram_notice(notice, is_repeat=is_repeat) if is_open else headed(self._badge(), decided_html(approval))
        )
        message_id = await self._link.send(html, keys=keys, is_silent=is_silent)
        self._buttons.put_under(approval.approval_id, message_id)
        now: ApprovalRecord | None = self._view().approvals.get(approval.approval_id)
        if is_open and now is not None and now.status is not ApprovalStatus.PENDING:
            await self._link.edit(message_id, headed(self._badge(), decided_html(now)))
        await self._show(notice, message_id)

    async def _show(self, notice: Notice, message_id: int) -> None:
        """Send the picture of a notice below its words, which have arrived: one that fails is not sent again."""
        picture = await asyncio.to_thread(self._picture, notice)
        if picture is not None:
            with suppress(DeliveryError):
                await self._link.send_picture(picture, reply_to=message_id)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._link.close()


def keyboard(buttons: ButtonFile, approval: ApprovalRecord) -> Keys:
    """Return fresh buttons for *approval*; those handed out before are void."""
    wanted = [
        Button(token="", action=action, approval_id=approval.approval_id, version=approval.version)
        for row in ROWS
        for action in row
    ]
    tokens = {button.action: button.token for button in buttons.issue(wanted)}
    return tuple(tuple((LABELS[action], tokens[action]) for action in row) for row in ROWS)
