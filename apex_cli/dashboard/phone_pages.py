"""The served dashboard on a phone: pages of its own, made by the server, with the same guards and the same operator."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import NamedTuple

from aiohttp import web

from apex_cli.core.errors import ApexError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.request import Answer, Answered, Choice, CloseRequest, StopRequest, StopsMoved
from apex_cli.dashboard.position_dialog import quantity_of
from apex_cli.dashboard.seen import Feed, Operator
from apex_cli.presenters.approvals import answer_blocks, approval_name
from apex_cli.presenters.day import MODE_MEANINGS
from apex_cli.presenters.messages.phone import moved_text, outcome_text
from apex_cli.presenters.pages.phone_page import ask_page, phone_page, risk_page, said_page
from apex_cli.presenters.screen.blocks import Line

MOST_QUESTIONS = 50
ANSWER_WITHIN_S = 120.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
}
"""Nothing is fetched and no script runs; a form says where it comes from, which the guard wants to know."""
FRACTIONS = {"close": Decimal(1), "half": Decimal("0.5")}
BY = "phone page"


class Question(NamedTuple):
    """Something that was asked and may be answered with yes, once and soon."""

    title: str
    lines: tuple[str, ...]
    doing: str
    act: Callable[[str], str]
    """Does it with what was typed, and returns what came of it."""

    asking: str = ""


class PhonePages:
    """Answers a phone's browser; what acts is asked for on one page, and done by a form of it."""

    def __init__(self, make_parts: Callable[[], tuple[Feed, Operator]], *, can_act: bool) -> None:
        """Make the parts when they are first needed, on the one thread that uses them."""
        self._make_parts = make_parts
        self._can_act = can_act
        self._parts: tuple[Feed, Operator] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="phone")
        self._asked: dict[str, tuple[float, Question]] = {}

    def add_to(self, app: web.Application) -> None:
        """Serve the pages beside the screen."""
        app.router.add_get("/phone", self.show)
        app.router.add_get("/phone/risk", self.risk)
        app.router.add_get("/phone/ask", self.ask)
        app.router.add_post("/phone/do", self.do)

    async def show(self, request: web.Request) -> web.Response:
        """Show the day."""
        del request

        def looked(feed: Feed, _: Operator) -> str:
            seen = feed.look()
            return phone_page(seen.board, seen.badge, seen.alarms, seen.holder, can_act=self._can_act)

        return await self._answer(looked)

    async def risk(self, request: web.Request) -> web.Response:
        """Show what is at risk."""
        del request
        return await self._answer(lambda feed, _: risk_page(feed.risk()))

    async def ask(self, request: web.Request) -> web.Response:
        """Ask whether something is meant."""
        self._require_control()
        query = dict(request.query)

        def asked(_: Feed, operator: Operator) -> str:
            question = _question(query, operator)
            nonce = self._remember(question)
            return ask_page(question.title, question.lines, nonce=nonce, doing=question.doing, asking=question.asking)

        return await self._answer(asked)

    async def do(self, request: web.Request) -> web.Response:
        """Do what was asked about, once."""
        self._require_control()
        form = await request.post()
        since, question = self._asked.pop(str(form.get("nonce", "")), (0.0, None))
        if question is None or time.monotonic() - since > ANSWER_WITHIN_S:
            return _page(said_page("That question is too old, or was answered already. Nothing was changed."))
        typed = str(form.get("typed", ""))
        return await self._answer(lambda _feed, _operator: said_page(question.act(typed)))

    def _require_control(self) -> None:
        if not self._can_act:
            raise web.HTTPForbidden(text="This dashboard is served read-only.")

    def _remember(self, question: Question) -> str:
        nonce = secrets.token_urlsafe(18)
        self._asked[nonce] = (time.monotonic(), question)
        while len(self._asked) > MOST_QUESTIONS:
            self._asked.pop(next(iter(self._asked)))
        return nonce

    async def _answer(self, work: Callable[[Feed, Operator], str]) -> web.Response:
        """Do *work* on the thread that may take its time, and return the page; an expected error is one, too."""

        def worked() -> str:
            self._parts = self._parts or self._make_parts()
            try:
                return work(*self._parts)
            except ApexError as error:
                return said_page(f"{error.message} {error.hint}".strip())

        return _page(await asyncio.get_running_loop().run_in_executor(self._thread, worked))


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers=HEADERS)


def _question(query: Mapping[str, str], operator: Operator) -> Question:
    """Return what *query* asks for."""
    act = query.get("act", "")
    if act in {"approve", "reject"}:
        return _about_approval(query.get("approval", ""), operator, is_yes=act == "approve")
    if act == "mode" and query.get("mode") in list(TradingMode):
        return _about_mode(TradingMode(query["mode"]), operator)
    symbol = query.get("symbol", "")
    if act == "breakeven":
        title = f"Stop of {symbol} to break-even?"
        return Question(
            title, (), "Move stop", lambda _: moved_text(operator.do(StopRequest(symbol=symbol)).the(StopsMoved))
        )
    if act in FRACTIONS:
        warnings = tuple(f"! {warning.message}" for warning in operator.closing_warnings((symbol,)))
        what = "all" if act == "close" else "half"
        request = CloseRequest(symbol=symbol, fraction=FRACTIONS[act])
        done = lambda _: outcome_text(operator.do(request))  # noqa: E731 - one of several
        return Question(f"Close {what} of {symbol}?", (*warnings, "At the market."), f"Close {what}", done)
    return Question("Nothing is known by that name.", (), "Back", lambda _: "Nothing was done.")


def _about_approval(name: str, operator: Operator, *, is_yes: bool) -> Question:
    approval = operator.find(name)
    lines = [block.text for block in answer_blocks(approval, operator.preview(approval)) if isinstance(block, Line)]

    def answered(typed: str) -> str:
        quantity = quantity_of(typed) if is_yes and typed.strip() else None
        if is_yes and typed.strip() and quantity is None:
            return f"{typed!r} is no quantity. Nothing was done."
        choice, reason = (Choice.APPROVE, "") if is_yes else (Choice.REJECT, typed)
        ids = (approval.approval_id,)
        answer = Answer(ids=ids, choice=choice, reason=reason, quantity=quantity, by=BY, version=approval.version)
        done = operator.do(answer).the(Answered)
        return f"{approval_name(done.approval)}: {done.approval.status}. {done.approval.reason}".strip()

    doing, asking = ("Approve", "Another quantity, if you want one") if is_yes else ("Reject", "Reason")
    return Question(f"{doing} {approval_name(approval)}?", tuple(lines), doing, answered, asking)


def _about_mode(mode: TradingMode, operator: Operator) -> Question:
    def done(typed: str) -> str:
        before = operator.set_mode(mode, typed).mode
        return f"Trading is {mode}, was {before}."

    return Question(f"{mode}?", (f"{MODE_MEANINGS[mode]}.",), f"Set {mode}", done, "Reason")
