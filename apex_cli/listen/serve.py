"""Makes the server from the settings, and serves until it is told to end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.app.compose import signal_form
from apex_cli.app.resources import make_system_clock, open_store
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.notifiers.secrets import DoorSecrets, read_door_secrets, secret_variable
from apex_cli.core.adapters.state.intake import Intake
from apex_cli.core.adapters.system_clock import UlidIds
from apex_cli.core.errors import ConfigError
from apex_cli.core.model.decision import Reason
from apex_cli.listen.door import Door
from apex_cli.listen.group_commit import GroupCommit
from apex_cli.listen.server import make_server
from apex_cli.listen.signal_desk import SignalDesk
from apex_cli.listen.signal_routes import SignalRoutes
from apex_cli.listen.web import make_app, names_of
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp


class Talk(NamedTuple):
    """Where the server speaks."""

    note: Callable[[str], None]
    detail: Callable[[str], None]
    warn: Callable[[Reason], None]


def read_secrets(settings: Settings) -> DoorSecrets:
    """Return the secrets of the sources.

    Raises:
        ConfigError: one is missing or too short, or the file is readable by others.
    """
    sources = settings.listen.sources
    secrets = read_door_secrets(settings.notify.secrets_file, os.environ, sources)
    missing = [secret_variable(name) for name in sources if name not in secrets.sources]
    if missing:
        raise ConfigError(
            "listen_incomplete",
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            hint=f"Put it into the environment or notify.secrets_file: {missing[0]}=$(openssl rand -hex 24)",
        )
    return secrets


def serve(settings: Settings, talk: Talk, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ConfigError: a secret is missing.
    """
    app = make_listener(settings, read_secrets(settings), talk, host=host, port=port)
    event_loop.run(make_server(app, host=host, port=port, proxies=settings.listen.proxies).serve())


def make_listener(settings: Settings, secrets: DoorSecrets, talk: Talk, *, host: str, port: int) -> ASGIApp:
    """Return the application of *settings* at *host* and *port*."""
    clock = make_system_clock(settings)
    commit = GroupCommit(Intake(settings.state.dir, UlidIds().new))
    desk = SignalDesk(
        commit=commit,
        form=signal_form(settings.signals, None, talk.warn),
        max_age=timedelta(minutes=settings.signals.max_age_minutes),
        now=clock.now,
    )
    for signal_id in _known_ids(settings):
        desk.remember(signal_id)
    signals = SignalRoutes(Door(settings.listen.sources, secrets, clock), desk, talk.detail)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        await commit.close()

    hosts = names_of(host, port, settings.listen.hosts)
    return make_app(signals.routes(), hosts=hosts, log=talk.note, lifespan=lifespan)


def _known_ids(settings: Settings) -> list[str]:
    """Return the ids of signals that were kept before: those that wait, and those that were decided."""
    waiting = Intake(settings.state.dir, UlidIds().new).waiting()
    ids = [row.signal.signal_id for row in waiting if row.signal is not None]
    return [*open_store(settings).view().signals, *ids]
