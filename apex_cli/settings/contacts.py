"""Settings of notifications and of the served dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from apex_cli.core.model.base import Range, Value
from apex_cli.core.model.notice import EventSettings, NoticeKind
from apex_cli.settings.spellings import TimeOfDay, Zone


class TelegramSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.telegram``: messages with buttons, by a bot of your own."""

    enabled: bool = False
    """True: send, and answer button presses and commands. Needs the extra telegram."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds sent here, such as [opportunity, exit, alarm]; empty: all."""

    api: str = "https://api.telegram.org"
    """Where the Bot API is; another one if you run your own server."""

    poll_s: Annotated[int, Range(1, 50)] = 25
    """How long one question for news may stay open, in seconds."""

    halt_asks: bool = False
    """True: /halt asks first, as /reduce and /resume do; false: it halts at once."""


class AppriseSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.apprise``: mail, ntfy, Slack, Discord, SMS and a hundred more."""

    enabled: bool = False
    """True: send to every URL in APEX_NOTIFY_URLS. Needs the extra notify."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds sent here; empty: all."""


class WebhookSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.webhook``: notices to programs, signed, as the Standard Webhooks specification has it."""

    enabled: bool = False
    """True: post to every address in APEX_WEBHOOK_URLS, signed with APEX_WEBHOOK_SECRET."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds sent here; empty: all."""


class NotifySettings(Value, frozen=True, kw_only=True):
    """Section ``notify``: which notices are sent, and where."""

    console: bool = False
    """True: a line on standard error while a command runs."""

    log_file: Path | None = None
    """File that gets a JSON line for every notice; null: none."""

    secrets_file: Path | None = None
    """File of mode 0600 with lines such as APEX_TELEGRAM_TOKEN=...; the environment wins over it."""

    quiet_from: TimeOfDay | None = None
    """Begin of the quiet hours, as "22:00"; low priority waits for their end."""

    quiet_until: TimeOfDay | None = None
    """End of the quiet hours, as "07:00"."""

    time_zone: Zone = "America/New_York"
    """Where the quiet hours are."""

    deliver_s: Annotated[int, Range(0, 60)] = 5
    """How long a command stays at its end to deliver what it caused, in seconds; the next one continues."""

    pictures: bool = True
    """Whether entries and questions come with a small chart, where the extra png is installed and bars are there."""

    telegram: TelegramSettings = TelegramSettings()
    """Messages with buttons, by a bot of your own."""

    apprise: AppriseSettings = AppriseSettings()
    """Mail, ntfy, Slack, Discord, SMS and a hundred more."""

    webhook: WebhookSettings = WebhookSettings()
    """Notices to programs, signed."""

    events: EventSettings = EventSettings()
    """on, silent or off, kind by kind."""


class DashboardSettings(Value, frozen=True, kw_only=True):
    """Section ``dashboard``: who may look at the served page."""

    token_for_reading: bool = True
    """Whether dashboard --serve asks for a token to look; false: any user of this computer may. Keys always need it."""
