"""Commands in the chat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from apex_cli.app.operator import Operator
from apex_cli.core.adapters.notifiers.buttons import Action, Button, ButtonFile
from apex_cli.core.adapters.notifiers.secrets import Secrets
from apex_cli.core.adapters.notifiers.telegram_link import TelegramLink
from apex_cli.core.errors import ApexError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.ports import Clock
from apex_cli.core.positions.announcements import summarise_day
from apex_cli.core.positions.position_views import position_views, totals_of
from apex_cli.notify.telegram_notifier import BY_PHONE, keyboard
from apex_cli.presenters.messages.message import telegram_html
from apex_cli.presenters.messages.phone import HELP, day_trades_html, pending_html, positions_html, summary_html

CONFIRM_FOR = timedelta(minutes=2)
"""How long a question such as "Close all of TSLA?" may be answered."""

COMMANDS = (
    ("positions", "What is held"),
    ("approvals", "What waits for an answer"),
    ("pdt", "Day trades used and left"),
    ("summary", "The day so far"),
    ("halt", "Stop everything but protective exits and closing"),
    ("resume", "Trade again"),
    ("close", "Close a position: /close SYMBOL"),
    ("help", "What you can say"),
)


class Talk:
    """Knows who may speak, and answers commands."""

    def __init__(
        self, *, link: TelegramLink, buttons: ButtonFile, operator: Operator, secrets: Secrets, clock: Clock
    ) -> None:
        """Keep the parts."""
        self._link = link
        self._buttons = buttons
        self._operator = operator
        self._secrets = secrets
        self._clock = clock
        self._answers: Mapping[str, Callable[[str, str], Awaitable[None]]] = {
            "positions": self._positions,
            "approvals": self._approvals,
            "pdt": self._day_trades,
            "summary": self._summary,
            "halt": self._halt,
            "resume": self._resume,
            "close": self._close,
            "help": self._help,
            "start": self._help,
        }

    def who(self, user_id: int | None, chat_id: int | None) -> str | None:
        """Return the name of one who may speak here: the chat and the person must both be right."""
        if chat_id is None or chat_id != self._secrets.chat_id or user_id is None:
            return None
        return self._secrets.users.get(user_id)

    async def answer(self, text: str, who: str) -> None:
        """Answer one message; what is no command is no business of ours."""
        if not text.startswith("/"):
            return
        word, _, argument = text[1:].strip().partition(" ")
        command = self._answers.get(word.partition("@")[0].lower(), self._help)
        try:
            await command(argument.strip(), who)
        except ApexError as error:
            await self._link.send(telegram_html(error.message, (error.hint,) if error.hint else ()))

    async def _help(self, _: str, __: str) -> None:
        await self._link.send(telegram_html("apex", HELP), is_silent=True)

    async def _positions(self, _: str, __: str) -> None:
        state = self._operator.view()
        views = position_views(state)
        await self._link.send(positions_html(views, totals_of(views), state.trading.mode), is_silent=True)

    async def _approvals(self, _: str, __: str) -> None:
        waiting = await asyncio.to_thread(self._operator.pending)
        if not waiting:
            await self._link.send("Nothing waits for an answer.", is_silent=True)
        for approval in waiting:
            keys = keyboard(self._buttons, approval)
            message_id = await self._link.send(pending_html(approval), keys=keys, is_silent=True)
            self._buttons.put_under(approval.approval_id, message_id)

    async def _day_trades(self, _: str, __: str) -> None:
        status = (await asyncio.to_thread(self._operator.account))[2]
        await self._link.send(day_trades_html(status), is_silent=True)

    async def _summary(self, _: str, __: str) -> None:
        state, account, status = await asyncio.to_thread(self._operator.account)
        await self._link.send(summary_html(summarise_day(state, account, status.session_date)), is_silent=True)

    async def _halt(self, argument: str, who: str) -> None:
        """Halt at once: who needs this needs it now, and /resume undoes it."""
        reason = f"{argument}, {who} {BY_PHONE}".removeprefix(", ")
        before = (await asyncio.to_thread(self._operator.set_mode, TradingMode.HALTED, reason)).mode
        lines = ("Nothing but cancels and protective exits.", "To trade again: /resume")
        await self._link.send(telegram_html(f"⏸️ Trading is HALTED, was {before}", lines))

    async def _resume(self, _: str, who: str) -> None:
        state = self._operator.view().trading
        if state.mode is TradingMode.ACTIVE:
            await self._link.send("Trading is ACTIVE already.", is_silent=True)
            return
        why = (f"It is {state.mode}: {state.reason or 'no reason given'}",)
        await self._confirm(Action.RESUME, "▶️ Trade again?", why, who)

    async def _close(self, argument: str, who: str) -> None:
        if not argument:
            held = ", ".join(self._operator.view().positions) or "nothing is held"
            await self._link.send(telegram_html("Which one? /close SYMBOL", (held,)), is_silent=True)
            return
        symbol = self._operator.close_requests((argument,))[0].symbol
        view = next(view for view in position_views(self._operator.view()) if view.symbol == symbol)
        what = f"{view.side} {view.quantity.normalize():f}, {view.pnl:+,.2f} now, at the market"
        await self._confirm(Action.CLOSE, f"Close all of {symbol}?", (what,), who, symbol=symbol)

    async def _confirm(self, action: Action, title: str, lines: tuple[str, ...], who: str, *, symbol: str = "") -> None:
        """Ask whoever wants it whether it is meant."""
        until = self._clock.now() + CONFIRM_FOR
        yes, no = self._buttons.issue(
            Button(token="", action=each, symbol=symbol, for_whom=who, valid_until=until)
            for each in (action, Action.NO)
        )
        keys = ((("Yes, do it", yes.token), ("No", no.token)),)
        await self._link.send(telegram_html(title, lines), keys=keys)
