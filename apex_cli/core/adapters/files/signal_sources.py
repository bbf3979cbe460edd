"""Signals from files, from standard input and from an inbox folder."""

from __future__ import annotations

import os
import signal as process_signal
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec

from apex_cli.core.adapters.files.signal_reader import FORMATS, read_signals
from apex_cli.core.adapters.files.signal_rows import rejected
from apex_cli.core.errors import InputError
from apex_cli.core.model.records import SignalReport
from apex_cli.core.ports import RejectedRow, SignalBatch

ONE_DAY = timedelta(days=1)
TEMPORARY_STARTS = (".", "~", "#")
TEMPORARY_ENDS = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")
REASON_END = ".reason.json"

Identity = tuple[int, int, int]
"""Size, time of change and inode: equal means that nobody wrote in between."""


class FileSource:
    """Files named by the user: each is read once, kept until settled, and left where it is."""

    __slots__ = ("_batches", "_max_age", "_paths", "_settled")

    def __init__(self, paths: Sequence[Path], *, max_age: timedelta = ONE_DAY) -> None:
        """Read *paths* in their order."""
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
            with path.open("rb") as stream:
                batch = _read_file(stream, path, now, self._max_age, token)
        except OSError as error:
            raise InputError(
                "signals_unreadable",
                f"The signal file {path} cannot be read: {error.strerror}.",
                hint="Name an existing JSON, JSON Lines, YAML or CSV file, or - for standard input.",
                details={"file": str(path)},
            ) from None
        return _with_empty_refused(batch, path)


class StdinSource:
    """Standard input: read to its end once, whatever the format."""

    __slots__ = ("_batch", "_is_settled", "_max_age", "_stream")

    def __init__(self, stream: BinaryIO, *, max_age: timedelta = ONE_DAY) -> None:
        """Read *stream*, such as ``sys.stdin.buffer``, at the first poll."""
        self._stream = stream
        self._max_age = max_age
        self._batch: SignalBatch | None = None
        self._is_settled = False

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield the one batch until it is settled; nothing at all is an empty batch.

        Raises:
            InputError: the stream cannot be read.
        """
        if self._is_settled:
            return
        if self._batch is None:
            try:
                with _ctrl_c_ends_reading():
                    self._batch = read_signals(self._stream, "-", now=now, max_age=self._max_age, token="-")  # noqa: S106 - the name of a stream
            except (OSError, ValueError) as error:
                raise InputError("signals_unreadable", f"Standard input cannot be read: {error}.") from None
        yield self._batch

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:  # noqa: ARG002 - the port's signature
        """Never yield *batch* again."""
        self._is_settled = True
        self._batch = None


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


class InboxSource:
    """A folder that other programs put signal files into.

    A producer writes a file under a temporary name (``.tmp``, ``.part`` or a leading dot) and
    renames it. For producers that do not, a file is taken only when it looks the same at two polls
    in a row; with *is_once* there is no second poll, so it has to look the same before and after
    reading. Files are taken in the order of their names and moved only by ``settle``.
    """

    __slots__ = ("_folder", "_is_once", "_max_age", "_processed", "_rejected", "_seen", "_settled", "_taken")

    def __init__(
        self,
        folder: Path,
        *,
        max_age: timedelta = ONE_DAY,
        processed_dir: Path | None = None,
        rejected_dir: Path | None = None,
        is_once: bool = False,
    ) -> None:
        """Watch *folder*; files go to ``processed`` and ``rejected`` inside it unless told otherwise."""
        self._folder = folder
        self._max_age = max_age
        self._processed = processed_dir or folder / "processed"
        self._rejected = rejected_dir or folder / "rejected"
        self._is_once = is_once
        self._seen: dict[str, Identity] = {}
        self._taken: dict[str, tuple[Path, Identity]] = {}
        self._settled: dict[str, Identity] = {}

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield one batch a file that is complete.

        Raises:
            InputError: the folder is missing or cannot be read.
        """
        for path in self._candidates():
            identity = _identity(path)
            is_stable = self._is_once or self._seen.get(path.name) == identity
            if identity is None or self._settled.get(path.name) == identity:
                continue
            self._seen[path.name] = identity
            if not is_stable:
                continue
            batch = self._read(path, now, f"{identity[2]}:{_printable(path)}")
            if _identity(path) == identity:
                self._taken[batch.token] = (path, identity)
                yield batch

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:  # noqa: ARG002 - the port's signature
        """Move the batch's file away, with a ``.reason.json`` beside it when rows were refused.

        It goes to ``rejected`` when no row was good. A file that changed since it was read stays,
        and is read again.

        Raises:
            InputError: the file cannot be moved; it is not read again by this process.
        """
        path, identity = self._taken.pop(batch.token, (Path(), None))
        self._seen.pop(path.name, None)
        if identity is None or _identity(path) != identity:
            return
        self._settled[path.name] = identity
        is_bad = bool(batch.rejected) and not batch.signals
        try:
            _move(path, self._rejected if is_bad else self._processed, batch)
        except OSError as error:
            raise InputError(
                "inbox_stuck",
                f"{path} was read but cannot be moved away: {error.strerror}.",
                hint=f"Make {self._folder} writable and move the file yourself.",
                details={"file": str(path)},
            ) from None
        del self._settled[path.name]

    def _candidates(self) -> Iterable[Path]:
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except OSError as error:
            raise InputError(
                "inbox_unreadable",
                f"The inbox {self._folder} cannot be read: {error.strerror}.",
                hint="Create the folder, or correct signals.inbox.",
                details={"folder": str(self._folder)},
            ) from None
        for gone in set(self._seen).difference(names):
            del self._seen[gone]
        return [self._folder / name for name in names if not _is_temporary(name)]

    def _read(self, path: Path, now: datetime, token: str) -> SignalBatch:
        try:
            with path.open("rb") as stream:
                batch = _read_file(stream, path, now, self._max_age, token)
        except OSError as error:
            row = rejected(_printable(path), f"the file cannot be read: {error.strerror}")
            return SignalBatch(name=_printable(path), rejected=(row,), token=token)
        return _with_empty_refused(batch, path)


def _read_file(stream: BinaryIO, path: Path, now: datetime, max_age: timedelta, token: str) -> SignalBatch:
    kind = FORMATS.get(path.suffix.lower())
    return read_signals(stream, _printable(path), now=now, max_age=max_age, kind=kind, token=token)


def _with_empty_refused(batch: SignalBatch, path: Path) -> SignalBatch:
    """Return *batch*; when its file holds no byte, with a row that says so."""
    identity = _identity(path)
    if batch.signals or batch.rejected or identity is None or identity[0]:
        return batch
    return msgspec.structs.replace(batch, rejected=(rejected(batch.name, "the file is empty"),))


def _printable(path: Path) -> str:
    """Return the file's name as text that every terminal and file can hold."""
    return path.name.encode("utf-8", "backslashreplace").decode()


def _is_temporary(name: str) -> bool:
    return name.startswith(TEMPORARY_STARTS) or name.lower().endswith(TEMPORARY_ENDS)


def _identity(path: Path) -> Identity | None:
    """Return what changes when *path* is written; None when it is gone or no ordinary file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _move(path: Path, folder: Path, batch: SignalBatch) -> None:
    """Move *path* into *folder* under a free name, its reasons first."""
    folder.mkdir(parents=True, exist_ok=True)
    target = _free(folder, path)
    if batch.rejected:
        _write_reasons(target.with_name(target.name + REASON_END), batch)
    try:
        path.rename(target)
    except OSError:
        import shutil

        shutil.move(path, target)


def _free(folder: Path, path: Path) -> Path:
    """Return a path in *folder* that neither a file nor its reasons have: ``a.json``, ``a.1.json``, ..."""
    target, number = folder / path.name, 0
    while os.path.lexists(target):
        number += 1
        target = folder / f"{path.stem}.{number}{path.suffix}"
    return target


def _write_reasons(path: Path, batch: SignalBatch) -> None:
    rows: tuple[RejectedRow, ...] = batch.rejected
    content = {"file": batch.name, "signals": len(batch.signals), "rejected": rows}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
