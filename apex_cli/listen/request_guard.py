"""Checks of every sender of signals: its address, its secret or signature, the size of its body, its rate."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request

from apex_cli.core.adapters.files.signals.alerts import SECRETS
from apex_cli.core.adapters.notifiers.secrets import ListenSecrets
from apex_cli.core.adapters.signatures import check_signature, is_one_of
from apex_cli.core.errors import RefusedError
from apex_cli.core.ports import Clock
from apex_cli.core.text.text_table import plain_name
from apex_cli.listen.http_refusals import RequestRefused, unauthorized, wrong_input
from apex_cli.listen.request_rates import Bucket
from apex_cli.settings.webhooks import ListenSourceSettings, SourceAuth

BODY_WITHIN_S = 10.0
"""How long a body may take to arrive."""

KEY_HEADER = "idempotency-key"
LONGEST_KEY = 200
BEARER = "bearer "


class Sender(NamedTuple):
    """A source that has proved itself, and what it brought."""

    name: str
    settings: ListenSourceSettings
    body: bytes
    key: str
    """What it calls this request; empty when it calls it nothing."""


class RequestGuard:
    """Lets senders in; belongs to one event loop."""

    def __init__(self, sources: Mapping[str, ListenSourceSettings], secrets: ListenSecrets, clock: Clock) -> None:
        """Know who may come; *clock* is held against the time of signatures."""
        self._sources = dict(sources)
        self._secrets = secrets.sources
        self._clock = clock
        self._buckets = {name: Bucket(source.per_minute) for name, source in sources.items()}
        self._networks = {name: _networks(source.addresses) for name, source in sources.items()}

    async def admit(self, request: Request, name: str, path_secret: str | None) -> Sender:
        """Return who sends, with the whole body.

        Nobody who is not known learns whether the source exists, nor what of the proof was wrong.

        Raises:
            RequestRefused: it may not, or not now, or brings too much or too slowly.
        """
        source = self._sources.get(name)
        secrets = self._secrets.get(name, ())
        if source is None:
            is_one_of(path_secret or bearer_of(request), ("\0" * 24,))  # takes as long as for a known source
            raise unauthorized("no such source")
        self._require_address(request, name)
        if (path_secret is not None) != (source.auth is SourceAuth.PATH):
            raise unauthorized("the secret stands in the path, or does not, against listen.sources")
        if source.auth is SourceAuth.PATH and not is_one_of(path_secret or "", secrets):
            raise unauthorized("wrong secret in the path")
        if source.auth is SourceAuth.TOKEN and not is_one_of(bearer_of(request), secrets):
            raise unauthorized("no token in the header, or a wrong one")
        body = await read_body(request, source.max_bytes)
        message_id = self._require_proof(request, source, secrets, body)
        wait_s = self._buckets[name].take(time.monotonic())
        if wait_s:
            raise too_many(source.per_minute, wait_s)
        return Sender(name, source, body, message_id or key_of_request(request))

    def _require_proof(
        self, request: Request, source: ListenSourceSettings, secrets: tuple[str, ...], body: bytes
    ) -> str:
        """Look at what only the body shows; return the id of a signed message."""
        if source.auth is SourceAuth.BODY and not _has_secret(body, secrets):
            raise unauthorized("no secret in the body, or a wrong one")
        if source.auth is not SourceAuth.SIGNATURE:
            return ""
        now_s = self._clock.now().timestamp()
        signed = check_signature(request.headers, body, secrets, now_s=now_s, window_s=source.replay_s)
        if signed.why_not:
            raise unauthorized(signed.why_not)
        return signed.message_id

    def _require_address(self, request: Request, name: str) -> None:
        networks = self._networks[name]
        if networks and not any(_is_in(request, network) for network in networks):
            raise unauthorized("its address is not in the list of the source")


Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def _networks(texts: tuple[str, ...]) -> Networks:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _is_in(request: Request, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped in network
    return address in network


def bearer_of(request: Request) -> str:
    """Return the token of the header ``Authorization: Bearer``; empty when there is none."""
    given = request.headers.get("authorization", "")
    return given[len(BEARER) :].strip() if given[: len(BEARER)].lower() == BEARER else ""


def key_of_request(request: Request) -> str:
    """Return what the sender calls this request.

    Raises:
        RequestRefused: the header is longer than any key.
    """
    key = request.headers.get(KEY_HEADER, "").strip()
    if len(key) > LONGEST_KEY:
        message = f"Idempotency-Key has {len(key)} characters; {LONGEST_KEY} are the most."
        raise wrong_input(400, "idempotency_key_too_long", message)
    return key


async def read_body(request: Request, most: int) -> bytes:
    """Return the whole body.

    Raises:
        RequestRefused: it is larger than *most* bytes, takes too long, or breaks off.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > most:
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
    except TimeoutError:
        raise wrong_input(408, "too_slow", f"The body did not arrive within {BODY_WITHIN_S:g} s.") from None
    except ClientDisconnect:
        raise wrong_input(400, "broken_off", "The connection ended before the body did.") from None
    return b"".join(parts)


def _too_large(most: int) -> RequestRefused:
    return wrong_input(413, "too_large", f"The body is larger than {most} bytes.")


def too_many(per_minute: int, wait_s: float) -> RequestRefused:
    """Return the refusal of one who comes too often."""
    seconds = max(1, round(wait_s + 0.5))
    error = RefusedError(
        "too_many_requests",
        f"More than {per_minute} requests a minute; the next one is taken in {seconds} s.",
        details={"per_minute": per_minute, "retry_after_s": seconds},
    )
    return RequestRefused(429, error, headers={"Retry-After": str(seconds)})


def _has_secret(body: bytes, secrets: tuple[str, ...]) -> bool:
    """Return whether an alert names a right secret at its top, or the first of several does."""
    given = [value for name, value in _top(body) if plain_name(name) in SECRETS and isinstance(value, str)]
    return any(is_one_of(value, secrets) for value in given)


def _top(body: bytes) -> Iterator[tuple[str, object]]:
    """Yield the fields of the alert, of the first of several, or of the first line."""
    for text in (body, body.partition(b"\n")[0]):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError, MemoryError):
            continue
        if isinstance(document, list) and document:
            document = document[0]
        if isinstance(document, dict):
            yield from document.items()
        return
