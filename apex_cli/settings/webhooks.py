"""Settings of ``apex listen``: who may send signals over HTTP, and how."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from apex_cli.core.model.base import Range, Spelling, Value
from apex_cli.core.model.ticker import Ticker


def _network(text: str) -> str:
    from ipaddress import ip_network  # noqa: PLC0415 - start-up is a feature

    return str(ip_network(text, strict=False))


def _host(text: str) -> str:
    if not all(sign.isalnum() or sign in ".-:[]" for sign in text):
        raise ValueError
    return text.lower()


Network = Annotated[str, Spelling(_network, "an address or a network such as 203.0.113.0/24")]
Host = Annotated[str, Spelling(_host, "a name such as alerts.example.com, with :port where there is one")]
Words = Annotated[str, Spelling(str.strip, "a name", is_free=True)]


class SourceAuth(StrEnum):
    """How a sender proves who it is."""

    TOKEN = "token"  # noqa: S105 - a word of the configuration
    """A header: Authorization: Bearer SECRET."""

    SIGNATURE = "signature"
    """A signature of the body with time and id, as the Standard Webhooks specification has it."""

    BODY = "body"
    """A field of the alert, such as secret, for senders that cannot set headers."""

    PATH = "path"
    """The last part of the address: /signals/NAME/SECRET. For senders that can do nothing else."""


class ListenSourceSettings(Value, frozen=True, kw_only=True):
    """One sender of signals over HTTP."""

    auth: SourceAuth = SourceAuth.TOKEN
    """How it proves itself: token, signature, body or path."""

    strategies: tuple[Words, ...] = ()
    """Strategies that it may name; empty: any. An alert without one gets the only one of the list."""

    symbols: tuple[Ticker, ...] = ()
    """Securities that it may name; empty: any."""

    addresses: tuple[Network, ...] = ()
    """Addresses and networks that it may send from; empty: any."""

    per_minute: Annotated[int, Range(1, 1_000_000)] = 60
    """Requests a minute; as many may come at once."""

    max_bytes: Annotated[int, Range(100, 5_000_000)] = 65_536
    """Largest body, in bytes."""

    replay_s: Annotated[int, Range(1, 3600)] = 300
    """How far the time of a signature may lie from ours, in seconds."""


class ListenSettings(Value, frozen=True, kw_only=True):
    """Section ``listen``: signals over HTTP, with apex listen."""

    hosts: tuple[Host, ...] = ()
    """Names that it is reached by beside those of this computer, such as alerts.example.com."""

    proxies: tuple[Network, ...] = ()
    """Addresses of proxies and tunnels whose X-Forwarded-For is believed, such as 127.0.0.1."""

    max_waiting: Annotated[int, Range(1, 1_000_000)] = 20_000
    """Signals that may wait for a run; those beyond are answered with status 503."""

    sources: dict[str, ListenSourceSettings] = {}
    """Who may send, such as tradingview: {auth: body, symbols: [AAPL]}; secrets: APEX_LISTEN_SECRET_TRADINGVIEW."""
