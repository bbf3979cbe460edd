"""Takes secrets and account ids out of what is written or reported.

Known by their form: account ids of Interactive Brokers (``U1234567``, ``DU1234567``, ``F1234567``), of which the
letters and the last two digits stay, and tokens of Telegram bots. Known by their value: whatever the environment
calls a token, a password or a secret. Everything else, numbers, prices, ids of orders and signals, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

MASK = "***"

SECRET_NAMES = ("TOKEN", "PASSWORD", "SECRET")
"""What the name of an environment variable contains when its value is nobody's business."""

LEAST_SECRET = 8
"""Shorter values are words and switches; taking them out would spoil what is reported."""

_PATTERN = (
    r"(?<![A-Za-z0-9])(?:(?P<letters>D?[UF])\d{3,7}(?P<end>\d\d)|(?:bot)?\d{6,12}:[A-Za-z0-9_-]{30,64})(?![A-Za-z0-9_])"
)
_in_text = re.compile(_PATTERN)
_in_bytes = re.compile(_PATTERN.encode())

_find_u = re.compile(rb"U\d{5}").search
_find_f = re.compile(rb"F\d{5}").search
_find_token = re.compile(rb":[A-Za-z0-9_-]{30}").search
"""What a match of the pattern contains: searches that begin with one known byte cost a third of a microsecond."""


class Redactor:
    """Masks account ids, tokens, and the values it was given."""

    __slots__ = ("_in_bytes", "_in_text")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know *secrets*; those that are too short or plain numbers are not taken for any."""
        worthy = sorted({secret for secret in secrets if _is_worthy(secret)}, key=len, reverse=True)
        self._in_text = tuple(worthy)
        self._in_bytes = tuple(_as_json(secret) for secret in worthy)

    def text(self, text: str) -> str:
        """Return *text* without what nobody may see."""
        for secret in self._in_text:
            if secret in text:
                text = text.replace(secret, MASK)
        return _in_text.sub(_masked, text)

    def lines(self, lines: bytes) -> bytes:
        """Return encoded events, one a line, without what nobody may see; JSON stays JSON."""
        if any(secret in lines for secret in self._in_bytes):
            lines = b"\n".join(map(self._without_secrets, lines.split(b"\n")))
        if _find_u(lines) or _find_f(lines) or _find_token(lines):
            return _in_bytes.sub(_masked_bytes, lines)
        return lines

    def _without_secrets(self, line: bytes) -> bytes:
        """Replace the known values; where one begins or ends inside an escape, value by value."""
        reported = line
        for secret in self._in_bytes:
            reported = reported.replace(secret, MASK.encode())
        if reported == line:
            return line
        try:
            msgspec.json.decode(reported)
        except msgspec.DecodeError:
            return msgspec.json.encode(self._walk(msgspec.json.decode(line)))
        return reported

    def _walk(self, value: object) -> object:
        match value:
            case str():
                return self.text(value)
            case list():
                return [self._walk(each) for each in value]
            case dict():
                return {self.text(name): self._walk(each) for name, each in value.items()}
            case _:
                return value


_kept: dict[str, None] = {}
"""Secrets that this process read from files."""


def keep_secret(*secrets: str) -> None:
    """From now on take *secrets* out of everything that this process writes; short ones and numbers are none."""
    _kept.update((secret, None) for secret in secrets if _is_worthy(secret))


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables whose name says that they are secret; the name of a file is none."""
    return tuple(
        value
        for name, value in environment.items()
        if any(word in name.upper() for word in SECRET_NAMES) and not name.upper().endswith(("_FILE", "_PATH", "_DIR"))
    )


def known_secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secrets of *environment*, and those that this process read from files."""
    return (*_kept, *secrets_in(environment))


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Return *text* without account ids, tokens and the secrets of *environment*."""
    return Redactor(known_secrets(environment)).text(text)


def _is_worthy(secret: str) -> bool:
    """Return whether a value may be searched for: a number would take numbers out of prices."""
    return len(secret) >= LEAST_SECRET and re.fullmatch(r"[\d.,:+-]+", secret) is None


def _as_json(secret: str) -> bytes:
    """Return *secret* as it stands inside a JSON string."""
    return msgspec.json.encode(secret)[1:-1]


def _masked(match: re.Match[str]) -> str:
    letters, end = match["letters"], match["end"]
    return f"{letters}*****{end}" if letters else MASK


def _masked_bytes(match: re.Match[bytes]) -> bytes:
    letters, end = match["letters"], match["end"]
    return letters + b"*****" + end if letters else MASK.encode()
