"""Makes the server from the settings, and serves until it is asked to end."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from starlette.routing import Route

from apex_cli.app.market_parts import open_bars
from apex_cli.app.resources import executor_holder, make_system_clock, open_store
from apex_cli.app.sources import signal_form
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.notifiers.secrets import (
    CONTROL_TOKEN,
    READ_TOKEN,
    ListenSecrets,
    read_listen_secrets,
    secret_variable,
)
from apex_cli.core.adapters.state.intake_files import Intake
from apex_cli.core.adapters.system_clock import UlidIds
from apex_cli.core.errors import ApexError, ConfigError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.reason import Reason
from apex_cli.core.reports.board import make_day
from apex_cli.listen.group_commit import GroupCommit
from apex_cli.listen.http_server import make_server
from apex_cli.listen.look_routes import Doing, Look, LookRoutes
from apex_cli.listen.metrics import Gauges, Metrics
from apex_cli.listen.request_guard import RequestGuard
from apex_cli.listen.request_rates import Bucket
from apex_cli.listen.signal_desk import SignalDesk
from apex_cli.listen.signal_routes import SignalRoutes
from apex_cli.listen.web import make_app, names_of
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp


class Talk(NamedTuple):
    """Where the server speaks."""

    begin: Callable[[], None]
    """Called when it serves."""

    note: Callable[[str], None]
    detail: Callable[[str], None]
    warn: Callable[[Reason], None]


MOST_WARNINGS = 200
"""Different warnings of a server's life."""

LINES_PER_MINUTE = 120
"""Lines of the log about requests that are not served."""

T = TypeVar("T")


def at_most(most: int, hear: Callable[[T], None]) -> Callable[[T], None]:
    """Return what passes the first *most* things on to *hear*."""
    left = iter(range(most))

    def heard(thing: T) -> None:
        if next(left, None) is not None:
            hear(thing)

    return heard


def bounded(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what says no more than ``LINES_PER_MINUTE``; how many were left out is said with the next line."""
    bucket = Bucket(LINES_PER_MINUTE)
    left_out = 0

    def said(text: str) -> None:
        nonlocal left_out
        if bucket.take(time.monotonic()):
            left_out += 1
            return
        if left_out:
            say(f"{left_out} more requests were not served; /metrics counts all of them.")
            left_out = 0
        say(text)

    return said


def read_secrets(settings: Settings, *, can_act: bool) -> ListenSecrets:
    """Return the secrets of the sources, of readers, and with *can_act* of those who answer.

    Raises:
        ConfigError: one is missing or too short, or the file is readable by others.
    """
    sources = settings.listen.sources
    secrets = read_listen_secrets(settings.notify.secrets_file, os.environ, sources, settings.agents.names)
    missing = [secret_variable(name) for name in sources if name not in secrets.sources]
    missing += [CONTROL_TOKEN] if can_act and not secrets.control else []
    if not sources and not secrets.read and not secrets.agents and not missing:
        raise ConfigError(
            "listen_off",
            f"listen.sources names nobody who may send, and {READ_TOKEN} is not set.",
            hint="Add a source: listen: {sources: {tradingview: {auth: body}}}; see apex help listen",
        )
    if missing:
        raise ConfigError(
            "listen_incomplete",
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            hint=f"Put it into the environment or notify.secrets_file: {missing[0]}=$(openssl rand -hex 24)",
        )
    return secrets


class Extra(NamedTuple):
    """Another application that is served beside ours, such as a server of the Model Context Protocol."""

    path: str
    """The one address that it is served at, such as ``/mcp``."""

    app: ASGIApp
    methods: Sequence[str] = ("POST",)
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """Entered while the server runs."""


def serve(settings: Settings, talk: Talk, place: Place, doing: Doing, extras: Sequence[Extra] = ()) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ConfigError: a secret is missing.
    """
    secrets = read_secrets(settings, can_act=doing.answer is not None)
    app = make_listener(settings, secrets, talk, place, doing=doing, extras=extras)
    server = make_server(app, host=place.host, port=place.port, proxies=settings.listen.proxies)
    event_loop.run(server.serve())


class Place(NamedTuple):
    """Where to serve."""

    host: str
    port: int


def make_listener(
    settings: Settings, secrets: ListenSecrets, talk: Talk, place: Place, *, doing: Doing, extras: Sequence[Extra] = ()
) -> ASGIApp:
    """Return the application of *settings* at *place*."""
    clock = make_system_clock(settings)
    intake = Intake(settings.state.dir, UlidIds().new)
    intake.sweep(clock.wall().timestamp())
    metrics = Metrics(lambda: gauges_of(settings))
    commit = GroupCommit(intake, most=settings.listen.max_waiting, on_commit=metrics.commit)
    desk = SignalDesk(
        commit=commit,
        form=signal_form(settings.signals, open_bars(settings), at_most(MOST_WARNINGS, talk.warn)),
        max_age=timedelta(minutes=settings.signals.max_age_minutes),
        now=clock.now,
    )
    for signal_id in _known_ids(settings, intake):
        desk.remember(signal_id)
    desk.warm_up()
    signals = SignalRoutes(RequestGuard(settings.listen.sources, secrets, clock), desk, metrics, talk.detail)
    health = Look("listen health", lambda out: out.result(health_of(settings)))
    doing = doing._replace(looks={**doing.looks, "/health": health})
    looks = LookRoutes(doing, secrets, sources=settings.listen.sources, metrics_page=metrics.page)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        async with AsyncExitStack() as stack:
            for extra in extras:
                await stack.enter_async_context(extra.lifespan())
            talk.begin()
            yield
            await commit.close()
            desk.close()
            looks.close()

    routes = [
        *signals.routes(),
        *looks.routes(),
        *(Route(extra.path, extra.app, methods=extra.methods) for extra in extras),
    ]
    hosts = names_of(place.host, place.port, settings.listen.hosts)
    return make_app(routes, hosts=hosts, log=bounded(talk.note), lifespan=lifespan)


def _known_ids(settings: Settings, intake: Intake) -> list[str]:
    """Return the ids of signals that were kept before: those that wait, and those that were decided."""
    ids = [row.signal.signal_id for row in intake.waiting() if row.signal is not None]
    return [*open_store(settings).view().signals, *ids]


def health_of(settings: Settings) -> dict[str, Any]:
    """Return whether signals are decided, and what waits.

    Raises:
        StateError: the state cannot be read.
    """
    state = open_store(settings).view()
    return {
        "waiting": Intake(settings.state.dir, str).count(),
        "running": executor_holder(settings),
        "last_run_at": state.counters.last_run_at,
        "trading_state": state.trading.mode,
        "last_event": state.last_seq,
    }


def gauges_of(settings: Settings) -> Gauges | None:
    """Return where the account stands; None when the state cannot be read."""
    try:
        store = open_store(settings)
        state = store.view()
        waiting = Intake(settings.state.dir, str).count()
    except ApexError:
        return None
    day = make_day(state, store.clock.now())
    return Gauges(
        waiting=waiting,
        positions=day.totals.positions,
        unprotected=day.totals.unprotected,
        approvals=day.pending,
        open_orders=len(list(state.orders.open())),
        unknown_orders=day.unknown_orders,
        is_active=day.mode is TradingMode.ACTIVE,
        is_running=bool(executor_holder(settings)),
        last_event=state.last_seq,
        equity=day.equity,
        unrealized=day.totals.pnl,
        last_run_s=state.counters.last_run_at.timestamp() if state.counters.last_run_at else None,
    )
