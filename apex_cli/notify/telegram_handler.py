"""Handles button presses and commands from Telegram: each is authorised, handled once and answered.

News is acknowledged to Telegram only after it was dealt with; what takes long holds up nobody else meanwhile. So what a
dying process leaves comes again, and the buttons' single use and the approvals' versions see to it that nothing is done
twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal

from apex_cli.app.operator import CloseTerms, Operator, half_of
from apex_cli.core.adapters.notifiers.buttons import Action, Button, ButtonFile, Press
from apex_cli.core.adapters.notifiers.secrets import Role
from apex_cli.core.adapters.notifiers.telegram_link import PollConflictError, Pressed, Said, TelegramLink
from apex_cli.core.errors import ApexError, BusyError, OutcomeUnknownError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import Answer, Answered, Choice, StopRequest, StopsMoved, WorkDone
from apex_cli.core.notices.courier import pause_after
from apex_cli.core.ports import Clock, DeliveryError
from apex_cli.notify.telegram_commands import LISTED, Talk
from apex_cli.notify.telegram_notifier import BY_PHONE, keyboard
from apex_cli.presenters.messages.message import telegram_html
from apex_cli.presenters.messages.phone import decided_html, details_html, moved_text, outcome_text, pending_html

REMEMBERED = 500
"""Updates whose second delivery is noticed by their number alone."""

CONFLICT_PATIENCE = 3
"""Conflicts in a row that end the polling: a predecessor that is just ending makes one or two."""

CONFLICT_PAUSE_S = 1.0
GLANCE_S = 0.5
"""How soon others are heard while something is being dealt with, in seconds."""

HALF = Decimal("0.5")
ASKS = frozenset({Action.ASK_HALF, Action.ASK_ALL, Action.ASK_BREAKEVEN})
MODES = {Action.HALT: TradingMode.HALTED, Action.REDUCE: TradingMode.REDUCING, Action.RESUME: TradingMode.ACTIVE}
ROLES = dict.fromkeys(MODES, Role.HALT) | {Action.DETAILS: Role.LOOK, Action.NO: Role.LOOK}
"""What a person must be allowed to do for a button; for the others answering is needed."""

CONFLICT = (
    "Another program asks Telegram for news with the same bot token. Only one can: end the other one, or give this one "
    "a bot of its own. Messages are still sent; presses and commands are not heard here."
)


class TelegramDesk:
    """Listens to the bot's chats until it is stopped, and answers in one of them."""

    def __init__(
        self,
        *,
        link: TelegramLink,
        buttons: ButtonFile,
        operator: Operator,
        talk: Talk,
        clock: Clock,
        note: Callable[[str], None],
    ) -> None:
        """Keep the parts; *note* hears what the operator should know."""
        self._link = link
        self._buttons = buttons
        self._operator = operator
        self._talk = talk
        self._clock = clock
        self._note = note
        self._seen: deque[int] = deque(maxlen=REMEMBERED)
        self._open: dict[int, asyncio.Task[None]] = {}
        """What is being dealt with, by the number of its update."""

        self.strangers = 0
        """Presses and messages of people who are not on the list."""

    async def serve(self, desks: Mapping[int, TelegramDesk]) -> None:
        """Hear and answer for ever, what is said in another chat by the one of *desks* that answers there.

        Raises:
            BusyError: another program polls with the same token.
        """
        try:
            await self._serve(desks)
        finally:
            for task in self._open.values():
                task.cancel()
            await asyncio.gather(*self._open.values(), return_exceptions=True)

    async def _serve(self, desks: Mapping[int, TelegramDesk]) -> None:
        offset: int | None = None
        failures = conflicts = 0
        is_ready = False
        while True:
            try:
                if not is_ready:
                    await self._link.listen(LISTED)
                    is_ready = True
                found, news = await self._link.news(min(self._open, default=offset))
                failures = conflicts = 0
            except PollConflictError:
                conflicts += 1
                if conflicts >= CONFLICT_PATIENCE:
                    raise BusyError("telegram_conflict", CONFLICT) from None
                await asyncio.sleep(CONFLICT_PAUSE_S)
                continue
            except DeliveryError as error:
                failures += 1
                if failures == 1:
                    self._note(f"Telegram: {error.reason}")
                await asyncio.sleep(pause_after(failures, error.retry_after_s).total_seconds())
                continue
            offset = max(offset or 0, found or 0) or None
            for one in news:
                self._begin(one, desks.get(one.chat_id or 0, self))
            if self._open:
                await asyncio.wait(self._open.values(), timeout=GLANCE_S)

    def _begin(self, news: Pressed | Said, desk: TelegramDesk) -> None:
        """Let *desk* deal with one thing that is not known yet."""
        number = news.update_id
        if number not in self._seen:
            self._seen.append(number)
            self._open[number] = asyncio.create_task(desk._deal_with(news))
            self._open[number].add_done_callback(lambda _: self._open.pop(number))

    async def _deal_with(self, news: Pressed | Said) -> None:
        """Deal with one thing; whatever goes wrong, the others and the next ones are heard."""
        try:
            await (self._press(news) if isinstance(news, Pressed) else self._hear(news))
        except (DeliveryError, ApexError) as error:
            self._note(f"Telegram: {error}")
        except Exception as error:  # noqa: BLE001 - whoever presses next must be heard
            self._note(f"Telegram: {type(error).__name__}: {error}")

    async def _hear(self, said: Said) -> None:
        who = self._talk.who(said.user_id, said.chat_id)
        if who is None:
            self.strangers += 1  # a stranger learns nothing, not even that somebody listens
            return
        await self._talk.answer(said.text, who, said.user_id)

    async def _press(self, pressed: Pressed) -> None:
        who = self._talk.who(pressed.user_id, pressed.chat_id)
        if who is None:
            self.strangers += 1
            await self._link.answer(pressed.press_id, "You are not on the list of this bot. Nothing was changed.")
            return
        action = self._buttons.action_of(pressed.token)
        if action is not None and not self._talk.may(pressed.user_id, ROLES.get(action, Role.ANSWER)):
            await self._link.answer(pressed.press_id, "You may look here, and no more. Nothing was changed.")
            return
        worth, button = self._buttons.press(pressed.token, pressed.press_id, who, self._clock.now())
        if button is None:
            await self._link.answer(pressed.press_id, "This button is not valid (any more). Nothing was changed.")
        elif worth is Press.STALE:
            await self._link.answer(pressed.press_id, "That question is too old. Nothing was changed.")
            await self._take_away(pressed, "Too old, nothing was done.")
        elif button.action in ASKS:
            await self._ask(pressed, button, who)
        elif button.approval_id:
            await self._about_approval(pressed, worth, button, who)
        else:
            await self._confirmed(pressed, worth, button, who)

    # Approvals

    async def _about_approval(self, pressed: Pressed, worth: Press, button: Button, who: str) -> None:
        approval: ApprovalRecord | None = self._operator.view().approvals.get(button.approval_id)
        if approval is None:
            await self._link.answer(pressed.press_id, "That trade is long over; apex explain shows its story.")
            await self._take_away(pressed, "Long over.")
        elif button.action is Action.DETAILS:
            await self._details(pressed, approval)
        elif approval.status is not ApprovalStatus.PENDING or approval.version != button.version:
            await self._show_as_it_is(pressed, approval)
        elif worth is Press.SPENT:
            await self._link.answer(pressed.press_id, "Somebody pressed that already; its result follows.")
        else:
            await self._decide(pressed, button, approval, who)

    async def _details(self, pressed: Pressed, approval: ApprovalRecord) -> None:
        preview = await asyncio.to_thread(self._operator.preview, approval)
        await self._link.answer(pressed.press_id, "As it is now:")
        await self._link.send(
            self._talk.headed(details_html(approval, preview)), is_silent=True, reply_to=pressed.message_id
        )

    async def _decide(self, pressed: Pressed, button: Button, approval: ApprovalRecord, who: str) -> None:
        """Commit the decision, then answer with its outcome."""
        try:
            done = await asyncio.to_thread(self._operator.do, _answer_of(button, approval, who))
            text = outcome_text(done)
        except ApexError as error:
            done, text = WorkDone(), error.message
        current: ApprovalRecord = self._operator.view().approvals.get(approval.approval_id, approval)
        preview = next((r.preview for r in done.results if isinstance(r, Answered)), None)
        with suppress(DeliveryError):  # the event of the decision edits the message, too
            await self._link.answer(pressed.press_id, text, is_alert=not done.results)
        await self._show(pressed, current, text, html=decided_html(current, preview))

    async def _show_as_it_is(self, pressed: Pressed, approval: ApprovalRecord) -> None:
        who = f" by {approval.decided_by}" if approval.decided_by else ""
        text = f"It is {approval.status}{who}. {approval.reason}".strip()
        await self._link.answer(pressed.press_id, text)
        await self._show(pressed, approval, text, html=decided_html(approval))

    async def _show(self, pressed: Pressed, approval: ApprovalRecord, text: str, *, html: str) -> None:
        """Bring the message in line: buttons only as long as there is something to answer."""
        if pressed.message_id is None:
            return
        if approval.status is ApprovalStatus.PENDING:
            keys = keyboard(self._buttons, approval)
            html = self._talk.headed(pending_html(approval, f"Still waiting: {text}"))
            await self._link.edit(pressed.message_id, html, keys=keys)
        else:
            async with self._link.editing:
                await self._link.edit(pressed.message_id, self._talk.headed(html))
                self._buttons.settle(approval.approval_id)

    async def _take_away(self, pressed: Pressed, text: str) -> None:
        if pressed.message_id is not None:
            await self._link.edit(pressed.message_id, self._talk.headed(telegram_html(text, ())))

    # Positions

    async def _ask(self, pressed: Pressed, button: Button, who: str) -> None:
        """Ask whether it is meant; who asked about what is gone by now is answered so."""
        try:
            await self._talk.ask(button.action, button.symbol, who)
        except ApexError as error:
            await self._link.answer(pressed.press_id, error.message, is_alert=True)
        else:
            await self._link.answer(pressed.press_id, "Asked below.")

    # Confirmations

    async def _confirmed(self, pressed: Pressed, worth: Press, button: Button, who: str) -> None:
        """Do what was asked about; a press that comes again after a restart is not done again."""
        if worth is Press.SPENT:
            await self._link.answer(pressed.press_id, "That was pressed already.")
            return
        if worth is Press.REPEATED:
            text = "apex restarted meanwhile: look at /positions whether that was done. It is not done again."
        elif button.action is Action.NO:
            text = "Nothing was done."
        else:
            text = await asyncio.to_thread(self._carry_out, button, who)
        with suppress(DeliveryError):
            await self._link.answer(pressed.press_id, text)
        await self._take_away(pressed, text)

    def _carry_out(self, button: Button, who: str) -> str:
        try:
            if button.action in MODES:
                mode = MODES[button.action]
                before = self._operator.set_mode(mode, f"{who} {BY_PHONE}").mode
                return f"Trading is {mode}, was {before}."
            if button.action is Action.BREAKEVEN:
                return moved_text(self._operator.do(StopRequest(symbol=button.symbol)).the(StopsMoved))
            fraction = HALF if button.action is Action.CLOSE_HALF else None
            requests = self._operator.close_requests((button.symbol,), CloseTerms(fraction=fraction, reason="telegram"))
            return outcome_text(self._operator.do(*requests))
        except OutcomeUnknownError as error:
            return f"{error.message} {error.hint}"
        except ApexError as error:
            return error.message


def _answer_of(button: Button, approval: ApprovalRecord, who: str) -> Answer:
    return Answer(
        ids=(approval.approval_id,),
        choice=Choice.REJECT if button.action is Action.REJECT else Choice.APPROVE,
        quantity=half_of(approval) if button.action is Action.HALF else None,
        by=f"{who} {BY_PHONE}",
        version=button.version,
    )
