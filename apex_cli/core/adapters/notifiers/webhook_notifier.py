"""Notices to programs: posted as JSON, signed as the Standard Webhooks specification has it, tried until they arrive.

Source: Standard Webhooks, https://www.standardwebhooks.com: ``webhook-id`` is the same for every attempt of a notice,
so that a receiver knows what it has already; ``webhook-timestamp`` and ``webhook-signature`` are of the attempt.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from apex_cli.core.adapters.signatures import MESSAGE_ID, SIGNATURE, TIMESTAMP, signature_of
from apex_cli.core.errors import ConfigError
from apex_cli.core.ports import Clock, DeliveryError
from apex_cli.core.redaction import redact

if TYPE_CHECKING:
    from apex_cli.core.model.notice import Notice

WITHIN_S = 10.0
"""How long one attempt may take."""

MOST_ANSWER = 1_000
NOT_NOW = frozenset({401, 403, 404, 408, 409, 425, 429})
"""Refusals that a person or time may mend; any other 4xx says that this notice will never be taken."""

_LAST_OF_REFUSALS = 500


def channel_name(url: str) -> str:
    """Return a name for the channel of *url* that shows nothing of it.

    >>> channel_name("https://example.com/hook").startswith("webhook-")
    True
    """
    return f"webhook-{hashlib.sha256(url.encode()).hexdigest()[:6]}"


class _Stays(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: a signed notice is for the address that was configured."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - of the library
        return None


class WebhookNotifier:
    """One address."""

    min_interval_s = 0.0

    def __init__(self, url: str, secrets: Sequence[str], clock: Clock, *, sender: str) -> None:
        """Post to *url*, with a signature of each of *secrets*; *sender* keeps the ids of several accounts apart.

        Raises:
            ConfigError: *url* is no address that may be posted to; the message does not repeat it.
        """
        _require_safe(url)
        self._url = url
        self._secrets = tuple(secrets)
        self._clock = clock
        self._sender = hashlib.sha256(sender.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        self._opener = urllib.request.build_opener(_Stays, urllib.request.ProxyHandler())

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        """Deliver *notice*."""
        del is_silent
        await asyncio.to_thread(self._post, notice, is_repeat)

    async def close(self) -> None:
        """Do nothing: each attempt has a connection of its own."""

    def _post(self, notice: Notice, is_repeat: bool) -> None:  # noqa: FBT001 - what a thread is given
        now = self._clock.now()
        body = self._body(notice, is_repeat=is_repeat)
        timestamp = str(int(now.timestamp()))
        message_id = f"apex-{self._sender}-{notice.event_id or f'test-{timestamp}'}"
        signatures = [
            signature_of(secret, message_id=message_id, timestamp=timestamp, body=body) for secret in self._secrets
        ]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "apex",
            MESSAGE_ID: message_id,
            TIMESTAMP: timestamp,
            SIGNATURE: " ".join(signatures),
        }
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 - looked at above
        try:
            with self._opener.open(request, timeout=WITHIN_S) as answer:
                answer.read(MOST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error) from None
        except urllib.error.URLError as error:
            reason = error.reason
            is_unsure = isinstance(reason, TimeoutError)
            raise DeliveryError(_why(reason), is_unsure=is_unsure) from None
        except (OSError, HTTPException, ValueError) as error:
            raise DeliveryError(_why(error), is_unsure=True) from None

    def _body(self, notice: Notice, *, is_repeat: bool) -> bytes:
        """Return ``{type, timestamp, data}``, without secrets and account ids."""
        data = {**msgspec.to_builtins(notice), "is_repeat": is_repeat}
        content = {"type": f"apex.{notice.kind}", "timestamp": notice.at, "data": data}
        return redact(msgspec.json.encode(content).decode(), os.environ).encode()


def _refused(error: urllib.error.HTTPError) -> DeliveryError:
    after = error.headers.get("Retry-After", "") if error.headers else ""
    is_final = 300 <= error.code < _LAST_OF_REFUSALS and error.code not in NOT_NOW  # noqa: PLR2004 - of HTTP
    return DeliveryError(
        f"the receiver answered {error.code}",
        is_final=is_final,
        is_unsure=error.code >= _LAST_OF_REFUSALS,
        retry_after_s=float(after) if after.isdigit() and len(after) < len("100000") else None,
    )


def _why(error: BaseException | str) -> str:
    text = error if isinstance(error, str) else getattr(error, "strerror", None) or type(error).__name__
    return redact(str(text), os.environ)[:200]


def _require_safe(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    is_clear = parts.scheme == "http" and _is_near(host)
    if not host or port == 0 or not (parts.scheme == "https" or is_clear) or not url.isascii() or not url.isprintable():
        raise ConfigError(
            "webhook_url_invalid",
            "An address in APEX_WEBHOOK_URLS is none that notices may be posted to.",
            hint="Write https://...; http:// only to this computer or its own network.",
        )


def _is_near(host: str) -> bool:
    """Return whether *host* is this computer, or an address of its own network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
