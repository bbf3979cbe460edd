"""Routes that read and answer: the JSON of commands, with a token for reading and one for acting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import typer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apex_cli.core.adapters.notifiers.secrets import ListenSecrets
from apex_cli.core.adapters.signatures import is_one_of
from apex_cli.core.errors import BusyError, ExitStatus
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.request import Answer, Choice
from apex_cli.listen.http_refusals import HTTP_STATUS, RequestRefused, unauthorized, wrong_input
from apex_cli.listen.metrics import CONTENT_TYPE
from apex_cli.listen.openapi import QUANTITY, Sources, openapi
from apex_cli.listen.request_guard import bearer_of, read_body, too_many
from apex_cli.listen.request_rates import Bucket
from apex_cli.listen.web import HEADERS
from apex_cli.presenters.screen.captured import Captured

LOOKS_PER_MINUTE = 600
MOST_AT_ONCE = 20
MOST_ANSWER = 4_096
"""Bytes of the answer to an approval."""

BY = "http"
R = TypeVar("R")


class Look(NamedTuple):
    """What one address shows."""

    command: str
    """Whose JSON it is."""

    show: Callable[[Captured], None]


class Doing(NamedTuple):
    """What the server can do beside taking signals in; all of it may block."""

    looks: Mapping[str, Look]
    """By path."""

    answer: Callable[[Captured, Answer], None] | None
    """Answers an approval; None where nobody may over HTTP."""

    is_known: Callable[[str], bool]
    """Returns whether there is an approval with that id."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /approvals/{id}``."""

    choice: Choice
    version: Annotated[float, msgspec.Meta(ge=1, multiple_of=1)]
    """A whole number; JSON may write it as 1.0, too."""

    quantity: Annotated[str, msgspec.Meta(pattern=QUANTITY)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class LookRoutes:
    """Addresses for those who read, and for those who act."""

    def __init__(
        self, doing: Doing, secrets: ListenSecrets, *, sources: Sources, metrics_page: Callable[[], bytes]
    ) -> None:
        """Serve to who knows the tokens in *secrets*; without a token there is nothing there."""
        self._doing = doing
        self._sources = sources
        self._readers = (*secrets.read, *secrets.control)
        self._actors = secrets.control
        self._metrics_page = metrics_page
        self._bucket = Bucket(LOOKS_PER_MINUTE)
        self._eyes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
        self._hands = ThreadPoolExecutor(max_workers=1, thread_name_prefix="act")
        self._waiting = 0

    def routes(self) -> Sequence[Route]:
        """Return the addresses; none where no token is set."""
        if not self._readers:
            return ()
        looks = [Route(path, partial(self.look, look)) for path, look in self._doing.looks.items()]
        pages = [Route("/metrics", self.metrics), Route("/openapi.json", self.document)]
        can_act = self._doing.answer is not None and bool(self._actors)
        acts = [Route("/approvals/{id}", self.act, methods=["POST"])] if can_act else []
        return [*looks, *pages, *acts]

    async def look(self, look: Look, request: Request) -> Response:
        """Show what a command shows."""
        self._require(request, self._readers)
        return await self._captured(self._eyes, look.command, look.show)

    async def metrics(self, request: Request) -> Response:
        """Give the page of metrics."""
        self._require(request, self._readers)
        page = await self._done(self._eyes, self._metrics_page)
        return Response(page, media_type=CONTENT_TYPE, headers=HEADERS)

    async def document(self, request: Request) -> Response:
        """Give the OpenAPI document."""
        self._require(request, self._readers)
        commands = {path: look.command for path, look in self._doing.looks.items()}
        found = openapi(commands, self._sources, can_act=self._doing.answer is not None)
        return JSONResponse(found, headers=HEADERS)

    async def act(self, request: Request) -> Response:
        """Answer an approval."""
        self._require(request, self._actors)
        name = request.path_params["id"]
        body = await read_body(request, MOST_ANSWER)
        try:
            reply = msgspec.json.decode(body, type=Reply)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = f"The body is no answer: {error}."
            raise wrong_input(
                422 if isinstance(error, msgspec.ValidationError) else 400, "answer_invalid", what
            ) from None
        if not await self._done(self._eyes, partial(self._doing.is_known, name)):
            raise wrong_input(404, "approval_unknown", "There is no approval with that id.")
        answer = Answer(
            choice=reply.choice,
            ids=(name,),
            reason=reply.reason,
            quantity=None if reply.quantity is None else Quantity(Decimal(reply.quantity)),
            by=BY,
            version=int(reply.version),
        )
        assert self._doing.answer is not None  # noqa: S101 - there is no such address otherwise
        return await self._captured(self._hands, "approve", partial(_answered, self._doing.answer, answer))

    def _require(self, request: Request, tokens: Sequence[str]) -> None:
        """Let only those in who know one of *tokens*, and not too often."""
        if not is_one_of(bearer_of(request), tokens):
            raise unauthorized("no token in the header, or a wrong one")
        wait_s = self._bucket.take(time.monotonic())
        if wait_s:
            raise too_many(LOOKS_PER_MINUTE, wait_s)

    async def _captured(self, thread: ThreadPoolExecutor, command: str, show: Callable[[Captured], None]) -> Response:
        out = Captured(command)
        await self._done(thread, partial(_shown, out, show))
        http = HTTP_STATUS.get(ExitStatus(out.envelope["exit_code"]), 500)
        return Response(out.text, status_code=http, media_type="application/json", headers=HEADERS)

    async def _done(self, thread: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        """Do *work* beside the loop."""
        if self._waiting >= MOST_AT_ONCE:
            busy = BusyError("too_busy", f"{MOST_AT_ONCE} others look already; try again.")
            raise RequestRefused(503, busy, headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what is being answered, then end."""
        self._hands.shutdown()
        self._eyes.shutdown(cancel_futures=True)


def _answered(do: Callable[[Captured, Answer], None], answer: Answer, out: Captured) -> None:
    do(out, answer)


def _shown(out: Captured, show: Callable[[Captured], Any]) -> None:
    try:
        with out:
            show(out)
    except typer.Exit:
        pass  # the envelope has it
