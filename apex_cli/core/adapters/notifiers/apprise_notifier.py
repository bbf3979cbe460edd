"""Everything else by apprise: one notifier a URL."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from typing import TYPE_CHECKING

from apex_cli.core.adapters.notifiers.quiet_logs import quiet_logs
from apex_cli.core.errors import ConfigError, require_extra
from apex_cli.core.ports import DeliveryError
from apex_cli.core.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from apprise import AppriseAttachment

    from apex_cli.core.model.notice import Notice


def channel_name(url: str) -> str:
    """Return a name for the channel of *url* that shows its service and nothing else.

    >>> channel_name("ntfy://my-topic").startswith("ntfy-")
    True
    """
    service = "".join(letter for letter in url.partition("://")[0].lower() if letter.isalnum())
    return f"{service[:20] or 'url'}-{hashlib.sha256(url.encode()).hexdigest()[:6]}"


class AppriseNotifier:
    """One apprise URL."""

    min_interval_s = 1.0

    def __init__(self, url: str, text_of: Callable[..., str], picture_of: Callable[[Notice], bytes | None]) -> None:
        """Import the library and understand the URL; nothing is sent.

        *picture_of* draws what a notice is about as PNG; None where there is nothing to draw. It may block.

        Raises:
            ConfigError: apprise is not installed, or does not know the URL; the message does not repeat it.
        """
        require_extra("notify", "apprise", who="notify.apprise")
        import apprise

        quiet_logs()
        self._text_of = text_of
        self._picture_of = picture_of
        self._kinds = apprise.NotifyType
        self._apprise = apprise.Apprise()
        if not self._apprise.add(url):
            service = channel_name(url).rpartition("-")[0]
            raise ConfigError(
                "notify_url_invalid",
                f"apprise does not understand the {service} URL in APEX_NOTIFY_URLS.",
                hint="Look it up at https://appriseit.com/services/.",
            )

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        """Deliver *notice*; the service's own protocol is apprise's business."""
        del is_silent
        kind = self._kinds.WARNING if notice.kind in {"alarm", "reconciliation", "heartbeat"} else self._kinds.INFO
        words = _Words()
        logger = logging.getLogger("apprise")
        logger.addHandler(words)
        try:
            title, _, body = self._text_of(notice, is_repeat=is_repeat).partition("\n")
            picture = await asyncio.to_thread(self._picture_of, notice)
            is_taken = await self._apprise.async_notify(
                body=body or title, title=title, notify_type=kind, attach=_attached(picture)
            )
        except (OSError, TypeError, ValueError) as error:
            raise DeliveryError(f"{type(error).__name__} in apprise", is_unsure=True) from None
        finally:
            logger.removeHandler(words)
        if not is_taken:
            raise DeliveryError(words.last or "the service did not take it", is_unsure=True)

    async def close(self) -> None:
        """Do nothing: apprise keeps no connection."""


def _attached(picture: bytes | None) -> AppriseAttachment | None:
    """Return a picture as what services that take one are given; the others leave it out."""
    if picture is None:
        return None
    from apprise import AppriseAttachment
    from apprise.attachment.memory import AttachMemory

    memory = AttachMemory(picture, name="chart.png", mimetype="image/png")  # type: ignore[no-untyped-call]  # untyped
    return AppriseAttachment(memory)


class _Words(logging.Handler):
    """Remembers the last warning, without secrets: apprise gives its reasons only there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = redact(record.getMessage(), os.environ)[:200]
