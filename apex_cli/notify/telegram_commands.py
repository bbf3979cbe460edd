"""Commands in the chat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from apex_cli.app.operator import Operator
from apex_cli.core.adapters.notifiers.buttons import Action, Button, ButtonFile
from apex_cli.core.adapters.notifiers.secrets import Role, Secrets
from apex_cli.core.adapters.notifiers.telegram_link import Keys, TelegramLink
from apex_cli.core.errors import ApexError, NothingToDo
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.notices.courier import pause_after
from apex_cli.core.ports import Clock, DeliveryError
from apex_cli.core.positions.announcements import summarise_day
from apex_cli.core.positions.position_views import PositionView, position_views, totals_of
from apex_cli.core.reports.board import make_day, working_orders
from apex_cli.notify.telegram_notifier import BY_PHONE, keyboard
from apex_cli.presenters.messages.message import headed, telegram_html
from apex_cli.presenters.messages.phone import (
    COMMANDS,
    HELP,
    MENU,
    day_trades_html,
    orders_pages,
    pending_html,
    positions_pages,
    report_pages,
    status_html,
    story_pages,
    summary_html,
)
from apex_cli.presenters.screen.formats import price, signed, units

CONFIRM_FOR = timedelta(minutes=2)
"""How long a question such as "Close all of TSLA?" may be answered."""

LISTED = tuple(
    (command.partition(" ")[0], f"{text}: /{command}" if " " in command else text) for command, text in COMMANDS.items()
)
"""The commands by their bare names, as Telegram lists them."""

NEEDS = {
    "close": Role.ANSWER,
    "halt": Role.HALT,
    "reduce": Role.HALT,
    "resume": Role.HALT,
}
"""What a person must be allowed to do for a command; for the others looking is enough."""

POSITION_BUTTONS = ((Action.ASK_HALF, "½"), (Action.ASK_ALL, "all"), (Action.ASK_BREAKEVEN, "break-even"))
MOST_BUTTON_ROWS = 30
WEEK = timedelta(days=6)
MOST_PAUSES, LONGEST_PAUSE_S = 5, 60.0
"""How often an answer is sent again after a pause, such as Telegram asks for, and the longest such pause."""


class Talk:
    """Knows who may speak, and answers commands."""

    def __init__(
        self,
        *,
        link: TelegramLink,
        buttons: ButtonFile,
        operator: Operator,
        secrets: Secrets,
        clock: Clock,
        halt_asks: bool = False,
    ) -> None:
        """Keep the parts; with *halt_asks* halting asks first."""
        self._halt_asks = halt_asks
        self._link = link
        self._buttons = buttons
        self._operator = operator
        self._secrets = secrets
        self._clock = clock
        self._answers: Mapping[str, Callable[[str, str], Awaitable[None]]] = {
            "status": self._status,
            "positions": self._positions,
            "orders": self._orders,
            "approvals": self._approvals,
            "pdt": self._day_trades,
            "daily": self._summary,
            "summary": self._summary,
            "weekly": self._weekly,
            "performance": self._performance,
            "explain": self._explain,
            "halt": self._halt,
            "reduce": self._reduce,
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

    def may(self, user_id: int | None, needed: Role) -> bool:
        """Return whether one who may speak may do what needs *needed*."""
        return user_id is not None and self._secrets.roles.get(user_id, Role.HALT).includes(needed)

    async def answer(self, text: str, who: str, user_id: int | None = None) -> None:
        """Answer one message; what is no command is no business of ours."""
        if not text.startswith("/"):
            return
        word, _, argument = text[1:].strip().partition(" ")
        name = word.partition("@")[0].lower()
        command = self._answers.get(name, self._help)
        if not self.may(user_id, NEEDS.get(name, Role.LOOK)):
            await self._send(f"You may not /{name} here. Nothing was changed.", is_silent=True)
            return
        try:
            await command(argument.strip(), who)
        except ApexError as error:
            await self._send(telegram_html(error.message, (error.hint,) if error.hint else ()))

    def headed(self, html: str) -> str:
        """Return a message under the account's badge."""
        return headed(self._operator.badge(), html)

    async def _send(
        self, html: str, *, keys: Keys = (), menu: Sequence[Sequence[str]] = (), is_silent: bool = False
    ) -> int:
        """Send a message under the account's badge and return its id.

        What Telegram asks to send later, and what surely did not reach it, is sent later, a few times.
        """
        html = self.headed(html)
        for tries in range(1, MOST_PAUSES + 1):
            try:
                return await self._link.send(html, keys=keys, menu=menu, is_silent=is_silent)
            except DeliveryError as error:
                pause_s = pause_after(tries, error.retry_after_s).total_seconds()
                if error.is_final or error.is_unsure or pause_s > LONGEST_PAUSE_S:
                    raise
                await asyncio.sleep(pause_s)
        return await self._link.send(html, keys=keys, menu=menu, is_silent=is_silent)

    async def _help(self, _: str, __: str) -> None:
        await self._send(telegram_html("apex", HELP), menu=MENU, is_silent=True)

    async def _say(self, pages: Sequence[str], keys: Keys = ()) -> None:
        """Send the pages of an answer, buttons under the last one."""
        for page in pages[:-1]:
            await self._send(page, is_silent=True)
        await self._send(pages[-1], keys=keys, is_silent=True)

    async def _status(self, _: str, __: str) -> None:
        day = make_day(self._operator.view(), self._operator.now())
        await self._send(status_html(day), is_silent=True)

    async def _orders(self, _: str, __: str) -> None:
        await self._say(orders_pages(working_orders(self._operator.view())))

    async def _weekly(self, _: str, __: str) -> None:
        first = session_date(self._operator.now()) - WEEK
        await self._say(report_pages(f"Since {first}", await asyncio.to_thread(self._operator.report, first)))

    async def _performance(self, _: str, __: str) -> None:
        await self._say(report_pages("All trades", await asyncio.to_thread(self._operator.report)))

    async def _explain(self, argument: str, _: str) -> None:
        if not argument:
            await self._send("Of which one? /explain SYMBOL", is_silent=True)
            return
        await self._say(story_pages(argument, await asyncio.to_thread(self._operator.story, argument)))

    async def _positions(self, _: str, __: str) -> None:
        state = self._operator.view()
        views = position_views(state)
        await self._say(positions_pages(views, totals_of(views), state.trading.mode), self._position_keys(views))

    def _position_keys(self, views: Sequence[PositionView]) -> Keys:
        """Return a row of buttons for each position."""
        shown = views[:MOST_BUTTON_ROWS]
        wanted = [Button(token="", action=action, symbol=v.symbol) for v in shown for action, _ in POSITION_BUTTONS]
        tokens = iter(self._buttons.issue(wanted))
        return tuple(
            tuple((f"{view.symbol} {label}", next(tokens).token) for _, label in POSITION_BUTTONS) for view in shown
        )

    async def ask(self, action: Action, symbol: str, who: str) -> None:
        """Ask whether what a button under a position stands for is meant.

        Raises:
            ApexError: the position is not held any more.
        """
        view = self._view_of(symbol)
        held = f"{view.side} {units(view.quantity)}, {signed(view.pnl)} now"
        if action is Action.ASK_BREAKEVEN:
            line = f"{held}; stop {price(view.stop_price)} to {price(view.entry_price)}"
            title, done = f"Stop of {view.symbol} to break-even?", Action.BREAKEVEN
        else:
            part, done = ("half", Action.CLOSE_HALF) if action is Action.ASK_HALF else ("all", Action.CLOSE)
            title, line = f"Close {part} of {view.symbol}?", f"{held}, at the market"
        await self._confirm(done, title, (line,), who, symbol=view.symbol)

    def _view_of(self, symbol: str) -> PositionView:
        name = self._operator.close_requests((symbol,))[0].symbol
        view = next((view for view in position_views(self._operator.view()) if view.symbol == name), None)
        if view is None:
            raise NothingToDo("no_position", f"{name} is not held yet.", hint="Look at /orders.")
        return view

    async def _approvals(self, _: str, __: str) -> None:
        waiting = await asyncio.to_thread(self._operator.pending)
        if not waiting:
            await self._send("Nothing waits for an answer.", is_silent=True)
        for approval in waiting:
            keys = keyboard(self._buttons, approval)
            message_id = await self._send(pending_html(approval), keys=keys, is_silent=True)
            self._buttons.put_under(approval.approval_id, message_id)

    async def _day_trades(self, _: str, __: str) -> None:
        status = (await asyncio.to_thread(self._operator.account))[2]
        await self._send(day_trades_html(status), is_silent=True)

    async def _summary(self, _: str, __: str) -> None:
        state, account, status = await asyncio.to_thread(self._operator.account)
        await self._send(summary_html(summarise_day(state, account, status.session_date)), is_silent=True)

    async def _halt(self, argument: str, who: str) -> None:
        """Halt at once, unless it is to ask: who needs this needs it now, and /resume undoes it."""
        if self._halt_asks:
            meaning = "Nothing but cancels and protective exits from then on."
            await self._confirm(Action.HALT, "⏸️ Halt trading?", (meaning,), who)
            return
        reason = f"{argument}, {who} {BY_PHONE}".removeprefix(", ")
        before = (await asyncio.to_thread(self._operator.set_mode, TradingMode.HALTED, reason)).mode
        lines = ("Nothing but cancels and protective exits.", "To trade again: /resume")
        await self._send(telegram_html(f"⏸️ Trading is HALTED, was {before}", lines))

    async def _reduce(self, _: str, who: str) -> None:
        await self._confirm(Action.REDUCE, "Exits only?", ("Nothing is opened from then on.",), who)

    async def _resume(self, _: str, who: str) -> None:
        state = self._operator.view().trading
        if state.mode is TradingMode.ACTIVE:
            await self._send("Trading is ACTIVE already.", is_silent=True)
            return
        why = (f"It is {state.mode}: {state.reason or 'no reason given'}",)
        await self._confirm(Action.RESUME, "▶️ Trade again?", why, who)

    async def _close(self, argument: str, who: str) -> None:
        if not argument:
            held = ", ".join(self._operator.view().positions) or "nothing is held"
            await self._send(telegram_html("Which one? /close SYMBOL", (held,)), is_silent=True)
            return
        await self.ask(Action.ASK_ALL, argument, who)

    async def _confirm(self, action: Action, title: str, lines: tuple[str, ...], who: str, *, symbol: str = "") -> None:
        """Ask whoever wants it whether it is meant."""
        until = self._clock.now() + CONFIRM_FOR
        yes, no = self._buttons.issue(
            Button(token="", action=each, symbol=symbol, for_whom=who, valid_until=until)
            for each in (action, Action.NO)
        )
        keys = ((("Yes, do it", yes.token), ("No", no.token)),)
        await self._send(telegram_html(title, lines), keys=keys)
