"""Files that a person or the configuration names: read within bounds of size and of waiting."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from apex_cli.core.errors import InputError
from apex_cli.core.text.content import decoded, unpacked

MAX_BYTES = 50_000_000
"""Most bytes that are read of a file that is kept whole in memory."""

PIPE_PATIENCE = 30.0
"""Seconds without a byte after which a named pipe counts as one that nobody writes to."""

_HANDED_OVER = ("/dev/", "/proc/")
"""Where pipes lie that a shell hands over: they end with their writer, who may take long."""


class _NamedPipe(io.RawIOBase):
    """A named pipe opened for reading; it never waits longer than PIPE_PATIENCE for the next byte."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not select.select([self._descriptor], [], [], PIPE_PATIENCE)[0]:
            raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe, and nothing came for {PIPE_PATIENCE:.0f} seconds")
        content = os.read(self._descriptor, len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def open_named(path: Path) -> BinaryIO:
    """Open the file at *path* for reading; a named pipe without a writer is waited for with a limit.

    Raises:
        OSError: it cannot be opened; reading raises TimeoutError when a named pipe stays silent.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    if is_pipe and not os.fspath(path).startswith(_HANDED_OVER):
        return io.BufferedReader(_NamedPipe(descriptor))
    try:
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def _standard_input() -> AbstractContextManager[BinaryIO]:
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed", "-")
    return nullcontext(sys.stdin.buffer)


def read_named(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of the file at *path*, ``-`` for standard input, at most *most* bytes.

    Raises:
        OSError: it cannot be read, stays silent, or is larger; ``strerror`` says which.
    """
    with _standard_input() if str(path) == "-" else open_named(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 1_000_000} MB", str(path))
    return content


def read_text_file(path: Path, what: str) -> str:
    """Return the text of the file at *path*, whichever way it is packed and encoded.

    Raises:
        InputError: it cannot be read; *what* names its code.
    """
    try:
        content = unpacked(read_named(path), path.name)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return decoded(content, path.name)[0]
    except (OSError, InputError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it {error.message.removeprefix(f'{path.name} ')}"
        message = f"{path} cannot be read: {str(reason).removesuffix('.')}."
        raise InputError(f"{what}_unreadable", message, hint="Name a file that can be read.") from None
