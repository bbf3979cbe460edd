"""Frames and fields of the TWS wire protocol.

A message is a 4-byte big-endian length and a payload; the payload is fields, each ended by NUL. A client opens
with ``API`` NUL and one frame ``v157..176`` without a trailing NUL. Source: the BSD-licensed clients ib_insync
(``client.py``) and ib_async.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation

from apex_cli.core.model.base import Value

GREETING = b"API\0"
LENGTH_BYTES = 4
MAX_FRAME = 1 << 20
"""Longest frame that is taken, bytes."""

UNSET_DOUBLE = "1.7976931348623157E308"
"""How the largest double, which means "not set", is written."""

UNSET_INTEGER = "2147483647"
_UNSET = frozenset({"", UNSET_INTEGER, "9223372036854775807"})
_UNSET_FROM = Decimal("1e300")
_VERSIONS = re.compile(r"v([0-9]{1,9})(?:\.\.([0-9]{1,9}))?")

Field = str | int | bool | Decimal | datetime | None


class ProtocolError(ValueError):
    """A message that cannot be read: the connection is of no use any more."""


class Versions(Value, frozen=True, kw_only=True):
    """The range of server versions a client speaks."""

    lowest: int
    highest: int


def text_of(field: Field) -> str:
    """Return *field* as the wire has it.

    >>> text_of(True), text_of(Decimal("10.50")), text_of(None)
    ('1', '10.50', '')
    """
    if field is None:
        return ""
    if field is True or field is False:
        return "1" if field else "0"
    if isinstance(field, Decimal):
        return format(field, "f")
    return str(field).replace("\0", "")


def frame(fields: Iterable[Field]) -> bytes:
    """Return one message.

    >>> len(frame([9, 1, 7]))
    10
    """
    payload = "".join(f"{text_of(field)}\0" for field in fields).encode()
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


class Splitter:
    """Cuts a stream of bytes into the fields of its messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        """Start at the beginning of a connection."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def greeting(self) -> Versions | None:
        """Return what the client speaks; None until all of it is here.

        Raises:
            ProtocolError: this is no TWS client.
        """
        head = bytes(self._buffer[: len(GREETING)])
        if not GREETING.startswith(head):
            raise ProtocolError(f"not a TWS client: the first bytes are {head!r}")
        if len(head) < len(GREETING):
            return None
        payload = self._cut(len(GREETING))
        return None if payload is None else parse_versions(payload)

    def messages(self) -> Iterator[list[str]]:
        """Yield the fields of every complete message.

        Raises:
            ProtocolError: a frame is longer than any message can be.
        """
        while (payload := self._cut(0)) is not None:
            fields = payload.split("\0")
            fields.pop()
            yield fields

    def _cut(self, start: int) -> str | None:
        """Remove and return the frame after *start* bytes; None when it is not complete."""
        buffer = self._buffer
        body = start + LENGTH_BYTES
        if len(buffer) < body:
            return None
        size = int.from_bytes(buffer[start:body], "big")
        if size > MAX_FRAME:
            raise ProtocolError(f"a frame of {size} bytes is longer than any message")
        if len(buffer) < body + size:
            return None
        payload = bytes(buffer[body : body + size]).decode(errors="replace")
        del buffer[: body + size]
        return payload


def parse_versions(payload: str) -> Versions:
    """Read ``v157..176``, or a single ``v176``; options may follow after a blank.

    >>> parse_versions("v157..176 +PACEAPI").highest
    176

    Raises:
        ProtocolError: it is something else.
    """
    found = _VERSIONS.fullmatch(payload.rstrip("\0").split(" ")[0])
    if found is None:
        raise ProtocolError(f"no version range: {payload[:40]!r}")
    return Versions(lowest=int(found[1]), highest=int(found[2] or found[1]))


class Reader:
    """Reads the fields of one message from left to right."""

    __slots__ = ("_fields", "_next")

    def __init__(self, fields: list[str]) -> None:
        """Start at the first of *fields*."""
        self._fields = fields
        self._next = 0

    def text(self) -> str:
        """Return the next field.

        Raises:
            ProtocolError: no field is left.
        """
        if self._next >= len(self._fields):
            raise ProtocolError(f"a message of {len(self._fields)} fields is too short: {self._fields[:3]}")
        field = self._fields[self._next]
        self._next += 1
        return field

    def skip(self, count: int) -> None:
        """Pass over *count* fields."""
        for _ in range(count):
            self.text()

    def integer(self) -> int:
        """Return the next field as a whole number, 0 when unset."""
        field = self.text()
        if field in _UNSET:
            return 0
        try:
            return int(field)
        except ValueError:
            raise ProtocolError(f"not a whole number: {field[:40]!r}") from None

    def decimal(self) -> Decimal | None:
        """Return the next field as an exact number; None when unset."""
        field = self.text()
        if field in _UNSET:
            return None
        try:
            number = Decimal(field)
        except InvalidOperation:
            raise ProtocolError(f"not a number: {field[:40]!r}") from None
        return number if number.is_finite() and abs(number) < _UNSET_FROM else None

    def flag(self) -> bool:
        """Return the next field as yes or no; unset is no."""
        return self.text() not in {"", "0", "false"}

    @property
    def left(self) -> int:
        """Fields not read yet."""
        return len(self._fields) - self._next
