"""Notifiers that need nothing: standard error, and a file of JSON lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from apex_cli.core.adapters.atomic_file import FILE_MODE
from apex_cli.core.ports import DeliveryError
from apex_cli.core.redaction import redact

if TYPE_CHECKING:
    from apex_cli.core.model.notice import Notice

MOST_BYTES = 5_000_000
"""Size at which the log file becomes ``NAME.1`` and a new one begins."""


class ConsoleNotifier:
    """Says each notice in one line."""

    min_interval_s = 0.0

    def __init__(self, say: Callable[[str], None], text_of: Callable[..., str]) -> None:
        """Speak by *say*."""
        self._say = say
        self._text_of = text_of

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        """Say *notice*."""
        del is_silent
        self._say(self._text_of(notice, is_repeat=is_repeat))

    async def close(self) -> None:
        """Do nothing."""


class LogNotifier:
    """Appends each notice as a line of JSON to a file of mode 0600."""

    min_interval_s = 0.0

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self._path = path

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        """Append *notice*."""
        del is_silent
        line = msgspec.json.encode({**msgspec.to_builtins(notice), "is_repeat": is_repeat}).decode()
        try:
            self._append(redact(line, os.environ).encode() + b"\n")
        except OSError as error:
            raise DeliveryError(f"{self._path}: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size > MOST_BYTES:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """Do nothing: the file is open only while it is written to."""
