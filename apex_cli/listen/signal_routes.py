"""``POST /signals/{source}``: alerts in, ids out, once they are safely kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apex_cli.core.errors import StateError
from apex_cli.core.model.base import named
from apex_cli.core.model.records import RejectedRow
from apex_cli.listen.http_refusals import RequestRefused
from apex_cli.listen.metrics import NOBODY, Metrics
from apex_cli.listen.request_guard import RequestGuard
from apex_cli.listen.signal_desk import ACCEPTED, DUPLICATE, Answered, Outcome, SignalDesk
from apex_cli.listen.web import address_of, answer
from apex_cli.presenters.screen.output import without_secrets

COMMAND = "listen signals"


class SignalRoutes:
    """The addresses that signals are sent to."""

    def __init__(self, guard: RequestGuard, desk: SignalDesk, metrics: Metrics, detail: Callable[[str], None]) -> None:
        """Serve with *guard* and *desk*; *detail* hears of what was taken."""
        self._guard = guard
        self._desk = desk
        self._metrics = metrics
        self._detail = detail

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route("/signals/{source}", self.take, methods=["POST"]),
            Route("/signals/{source}/{secret}", self.take, methods=["POST"]),
        ]

    async def take(self, request: Request) -> Response:
        """Take what was sent; answer when it is safe."""
        since = time.perf_counter()
        name, status = NOBODY, 500
        try:
            sender = await self._guard.admit(request, request.path_params["source"], request.path_params.get("secret"))
            name = sender.name
            outcome = await self._desk.take(sender.body, name, sender.settings, sender.key)
            status = 200
        except RequestRefused as refused:
            status = refused.http
            raise
        except StateError:
            status = 503
            raise
        finally:
            self._metrics.request(name, status, time.perf_counter() - since)
        self._count(name, outcome)
        taken = ", ".join(f"{each.status} {each.signal.signal_id}" for each in outcome.answered)
        self._detail(f"{name} from {address_of(request.scope)}: {taken}")
        return answer(data_of(outcome), command=COMMAND, warnings=[_warning(row) for row in outcome.refused])

    def _count(self, name: str, outcome: Outcome) -> None:
        statuses = [each.status for each in outcome.answered]
        for status in (ACCEPTED, DUPLICATE):
            self._metrics.signal(name, status, statuses.count(status))
        self._metrics.signal(name, "refused", len(outcome.refused))


def data_of(outcome: Outcome) -> dict[str, Any]:
    """Return what the sender reads."""
    return {"signals": [_row(each) for each in outcome.answered], "refused": len(outcome.refused)}


def _row(each: Answered) -> dict[str, Any]:
    signal = each.signal
    return {
        "signal_id": signal.signal_id,
        "status": each.status,
        "symbol": signal.symbol,
        "key": signal.instrument.key,
        **named(signal, "signal_type", "strategy", "expires_at"),
        "where": each.where,
    }


def _warning(row: RejectedRow) -> dict[str, Any]:
    message = without_secrets(f"{row.where}: {row.reason.message}")
    return {
        "code": row.reason.code,
        "message": message,
        "hint": "",
        "details": {"limit": row.reason.limit, "value": None},
    }
