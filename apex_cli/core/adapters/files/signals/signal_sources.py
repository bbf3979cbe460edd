"""Signals from files and from standard input."""

from __future__ import annotations

import os
import signal as process_signal
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import BinaryIO

import msgspec

from apex_cli.core.adapters.files.named_file import open_named
from apex_cli.core.adapters.files.signals.alerts import DEFAULT_FORM, SignalForm
from apex_cli.core.adapters.files.signals.signal_reader import FORMATS, read_signals
from apex_cli.core.adapters.files.signals.signal_rows import rejected
from apex_cli.core.errors import InputError
from apex_cli.core.model.records import SignalReport
from apex_cli.core.ports import SignalBatch

ONE_DAY = timedelta(days=1)


class FileSource:
    """Files named by the user: each is read once, kept until settled, and left where it is."""

    __slots__ = ("_batches", "_form", "_max_age", "_paths", "_settled")

    def __init__(self, paths: Sequence[Path], *, max_age: timedelta = ONE_DAY, form: SignalForm = DEFAULT_FORM) -> None:
        """Read *paths* in their order."""
        self._form = form
        self._paths = tuple(dict.fromkeys(paths))
        self._max_age = max_age
        self._batches: dict[str, SignalBatch] = {}
        self._settled: set[str] = set()

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield one batch a file that is not settled yet.

        Raises:
            InputError: a file is missing, a folder, or cannot be read.
        """
        for number, path in enumerate(self._paths):
            token = str(number)
            if token in self._settled:
                continue
            if token not in self._batches:
                self._batches[token] = self._read(path, now, token)
            yield self._batches[token]

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:  # noqa: ARG002 - the port's signature
        """Never yield *batch* again."""
        self._settled.add(batch.token)
        self._batches.pop(batch.token, None)

    def _read(self, path: Path, now: datetime, token: str) -> SignalBatch:
        try:
            with open_named(path) as stream:
                return read_file(stream, path.name, now, self._max_age, token=token, form=self._form)
        except OSError as error:
            raise InputError(
                "signals_unreadable",
                f"The signal file {path} cannot be read: {error.strerror}.",
                hint="Name an existing JSON, JSON Lines, YAML or CSV file, or - for standard input.",
                details={"file": str(path)},
            ) from None


class StdinSource(FileSource):
    """Standard input: read to its end once, whatever the format; nothing at all is an empty batch."""

    __slots__ = ("_stream",)

    def __init__(self, stream: BinaryIO, *, max_age: timedelta = ONE_DAY, form: SignalForm = DEFAULT_FORM) -> None:
        """Read *stream*, such as ``sys.stdin.buffer``, at the first poll."""
        super().__init__([Path("-")], max_age=max_age, form=form)
        self._stream = stream

    def _read(self, path: Path, now: datetime, token: str) -> SignalBatch:
        try:
            with _ctrl_c_ends_reading():
                return read_signals(
                    self._stream, str(path), now=now, max_age=self._max_age, token=token, form=self._form
                )
        except (OSError, ValueError) as error:
            raise InputError("signals_unreadable", f"Standard input cannot be read: {error}.") from None


@contextmanager
def _ctrl_c_ends_reading() -> Iterator[None]:
    """Let SIGINT and SIGTERM end a read at once: an event loop hears them only when the read is over."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (process_signal.SIGINT, process_signal.SIGTERM)
    before = {number: process_signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            process_signal.signal(number, handler or process_signal.SIG_DFL)


def read_file(
    stream: BinaryIO,
    name: str,
    now: datetime,
    max_age: timedelta,
    *,
    token: str,
    form: SignalForm = DEFAULT_FORM,
) -> SignalBatch:
    """Return what the open file *name* holds; when that is no byte, a row that says so.

    Raises:
        OSError: it cannot be read.
    """
    kind = FORMATS.get(PurePath(name).suffix.lower())
    batch = read_signals(stream, printable(name), now=now, max_age=max_age, kind=kind, token=token, form=form)
    found = os.fstat(stream.fileno())
    if not stat.S_ISREG(found.st_mode):
        return batch
    rows = batch.rejected
    if not (batch.signals or rows or found.st_size):
        rows = (rejected(batch.name, "the file is empty"),)
    return msgspec.structs.replace(batch, rejected=rows, file_version=file_version(found, name))


def file_version(found: os.stat_result, name: str) -> str:
    """Return what names the file *name* as it stands: different once somebody writes it or replaces it."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}/{printable(name)}"


def printable(name: str) -> str:
    """Return the file's name as text that every terminal and file can hold."""
    return name.encode("utf-8", "backslashreplace").decode()
