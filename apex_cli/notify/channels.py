"""Makes the configured channels."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import asdict

from apex_cli.app.resources import make_system_clock
from apex_cli.core.adapters.notifiers.delivery_file import DeliveryFile
from apex_cli.core.adapters.notifiers.secrets import (
    CHAT_ID,
    TOKEN,
    URLS,
    USER_IDS,
    WEBHOOK_SECRET,
    WEBHOOK_URLS,
    Secrets,
    read_secrets,
)
from apex_cli.core.errors import ApexError, ConfigError, require_extra
from apex_cli.core.model.notice import Loudness, NoticeKind, QuietHours
from apex_cli.core.notices.courier import Policy
from apex_cli.core.ports import Notifier
from apex_cli.settings.sections import Settings

TELEGRAM = "telegram"


class Channel(NamedTuple):
    """One way to a person."""

    name: str
    policy: Policy
    make: Callable[[], Notifier]
    """Makes the notifier; called on the loop that uses it."""

    ledger: DeliveryFile


class Parts(NamedTuple):
    """Channels, and what kept others from being made."""

    channels: tuple[Channel, ...]
    secrets: Secrets
    problems: tuple[ApexError, ...]


def notify_folder(settings: Settings) -> Path:
    """Return where the channels keep their places."""
    return settings.state.dir / "notify"


def make_channels(
    settings: Settings, *, say: Callable[[str], None], telegram: Callable[[Secrets], Notifier] | None
) -> Parts:
    """Return every channel that is set up; one that is set up badly becomes a problem, and the others still work.

    *say* is where the console channel speaks; without *telegram*, which makes that notifier, the channel is left out.
    """
    notify = settings.notify
    try:
        secrets = read_secrets(notify.secrets_file, os.environ)
        problems: list[ApexError] = []
    except ConfigError as error:
        secrets, problems = Secrets(), [error]
    channels: list[Channel] = []
    if notify.console:
        channels.append(_console(settings, say))
    if notify.log_file is not None:
        channels.append(_log(settings, notify.log_file))
    is_sound = not problems
    if notify.telegram.enabled and telegram is not None and is_sound:
        _add(channels, problems, lambda: _telegram(settings, secrets, telegram))
    if notify.apprise.enabled and is_sound:
        _add(channels, problems, lambda: _apprise(settings, secrets))
    if notify.webhook.enabled and is_sound:
        _add(channels, problems, lambda: _webhooks(settings, secrets))
    return Parts(tuple(channels), secrets, tuple(problems))


def _add(channels: list[Channel], problems: list[ApexError], make: Callable[[], list[Channel]]) -> None:
    try:
        channels.extend(make())
    except ConfigError as error:
        problems.append(error)


def _policy(settings: Settings, only: tuple[NoticeKind, ...]) -> Policy:
    notify = settings.notify
    quiet = None
    if notify.quiet_from and notify.quiet_until:
        start, end = time.fromisoformat(notify.quiet_from), time.fromisoformat(notify.quiet_until)
        quiet = QuietHours(start=start, end=end)
    loudness = {NoticeKind(name): Loudness(value) for name, value in asdict(notify.events).items()}
    return Policy(loudness=loudness, only=only, quiet=quiet, time_zone=notify.time_zone)


def _channel(settings: Settings, name: str, make: Callable[[], Notifier], only: tuple[NoticeKind, ...] = ()) -> Channel:
    return Channel(name, _policy(settings, only), make, DeliveryFile(notify_folder(settings), name))


def _console(settings: Settings, say: Callable[[str], None]) -> Channel:
    from apex_cli.core.adapters.notifiers.plain_notifiers import ConsoleNotifier
    from apex_cli.presenters.messages.message import one_line

    return _channel(settings, "console", lambda: ConsoleNotifier(say, one_line))


def _log(settings: Settings, path: Path) -> Channel:
    from apex_cli.core.adapters.notifiers.plain_notifiers import LogNotifier

    return _channel(settings, "log", lambda: LogNotifier(path))


def _telegram(settings: Settings, secrets: Secrets, make: Callable[[Secrets], Notifier]) -> list[Channel]:
    require_telegram(secrets)
    only = settings.notify.telegram.only
    return [
        _channel(settings, telegram_name(secrets, chat), partial(make, secrets.in_chat(chat)), only)
        for chat in secrets.chats
    ]


def telegram_name(secrets: Secrets, chat: int) -> str:
    """Return the name of a chat's channel: that of the first is plain, the others show nothing of their ids."""
    if chat == next(iter(secrets.chats)):
        return TELEGRAM
    return f"{TELEGRAM}-{sha256(str(chat).encode()).hexdigest()[:6]}"


def require_telegram(secrets: Secrets) -> None:
    """Refuse a bot without a token, a chat, or people.

    Raises:
        ConfigError: something is missing, or the library is.
    """
    missing = [name for name, value in ((TOKEN, secrets.token), (CHAT_ID, secrets.chat_id)) if not value]
    if not missing and not secrets.users:
        missing = [USER_IDS]
    if missing:
        raise ConfigError(
            "telegram_incomplete",
            f"notify.telegram is enabled, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            hint="Set it in the environment or in notify.secrets_file.",
        )
    require_extra("telegram", "telegram", who="notify.telegram")


def _apprise(settings: Settings, secrets: Secrets) -> list[Channel]:
    from apex_cli.core.adapters.notifiers.apprise_notifier import AppriseNotifier, channel_name
    from apex_cli.notify.pictures import Pictures
    from apex_cli.presenters.messages.message import plain_text

    if not secrets.urls:
        raise ConfigError(
            "apprise_incomplete",
            f"notify.apprise is enabled, but {URLS} is not set.",
            hint="Set it in the environment or in notify.secrets_file, URLs with blanks between.",
        )
    only = settings.notify.apprise.only
    picture = Pictures(settings).of
    made = [(channel_name(url), AppriseNotifier(url, plain_text, picture)) for url in secrets.urls]
    return [_channel(settings, name, lambda notifier=notifier: notifier, only) for name, notifier in made]  # type: ignore[misc]


def _webhooks(settings: Settings, secrets: Secrets) -> list[Channel]:
    from apex_cli.core.adapters.notifiers.webhook_notifier import WebhookNotifier, channel_name

    pairs = ((WEBHOOK_URLS, secrets.webhook_urls), (WEBHOOK_SECRET, secrets.webhook_secrets))
    missing = [name for name, values in pairs if not values]
    if missing:
        raise ConfigError(
            "webhook_incomplete",
            f"notify.webhook is enabled, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            hint=f"Set it in the environment or in notify.secrets_file: {missing[0]}=...",
        )
    clock, sender = make_system_clock(settings), os.path.realpath(settings.state.dir)
    made = [
        (channel_name(url), WebhookNotifier(url, secrets.webhook_secrets, clock, sender=sender))
        for url in dict.fromkeys(secrets.webhook_urls)
    ]
    only = settings.notify.webhook.only
    return [_channel(settings, name, lambda notifier=notifier: notifier, only) for name, notifier in made]  # type: ignore[misc]
