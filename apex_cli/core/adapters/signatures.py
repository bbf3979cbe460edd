"""Secrets compared in constant time, and signatures of messages as the Standard Webhooks specification has them.

Source: Standard Webhooks, https://www.standardwebhooks.com: ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature: v1,BASE64`` over ``id.timestamp.body`` with HMAC-SHA256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

PREFIX = "whsec_"
"""How a secret of the specification begins; what follows is base64."""

VERSION = "v1"
MESSAGE_ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
MOST_SIGNATURES = 10

_id_form = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""No dot: it divides the id from the time."""

_time_form = re.compile(r"[0-9]{9,11}")


def is_one_of(given: str, secrets: Sequence[str]) -> bool:
    """Return whether *given* is one of *secrets*; takes as long whichever it is, and when it is none."""
    found = False
    for secret in secrets or ("\0" * 16,):
        found |= hmac.compare_digest(given.encode("utf-8", "backslashreplace"), secret.encode())
    return found and bool(secrets)


def key_of(secret: str) -> bytes:
    """Return the key of a secret: what its base64 says, else its own bytes.

    >>> key_of("whsec_YWJj"), key_of("plain")
    (b'abc', b'plain')
    """
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def signature_of(secret: str, *, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of one message, such as ``v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=``."""
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
    return f"{VERSION},{base64.b64encode(digest).decode()}"


class Signed(NamedTuple):
    """What became of the look at a signature."""

    message_id: str = ""
    why_not: str = ""
    """For the log; empty when the signature is right."""


def check_signature(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, now_s: float, window_s: int
) -> Signed:
    """Look whether *body* was signed with one of *secrets*, at a time no farther than *window_s* from *now_s*."""
    message_id, timestamp = headers.get(MESSAGE_ID, ""), headers.get(TIMESTAMP, "")
    given = headers.get(SIGNATURE, "").split(" ")[:MOST_SIGNATURES]
    if not _id_form.fullmatch(message_id) or not _time_form.fullmatch(timestamp):
        return Signed(why_not=f"{MESSAGE_ID} or {TIMESTAMP} is missing or malformed")
    is_right = False
    for secret in secrets:
        wanted = signature_of(secret, message_id=message_id, timestamp=timestamp, body=body)
        for each in given:
            is_right |= hmac.compare_digest(each.encode("utf-8", "backslashreplace"), wanted.encode())
    if not is_right:
        return Signed(why_not="the signature is wrong")
    if abs(now_s - int(timestamp)) > window_s:
        return Signed(why_not=f"it was signed {now_s - int(timestamp):.0f} s ago; {window_s} s are allowed")
    return Signed(message_id)
