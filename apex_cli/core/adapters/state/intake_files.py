"""The intake: signals that a server took and acknowledged, kept in the state's folder until a run has decided them.

``state/intake/`` belongs to apex alone, as ``state.json`` does. A file of it is written as a whole, synced and renamed
before anybody is answered, so that an acknowledged signal survives a crash or a loss of power. The run reads the files
in the order of their names, and removes each once its signals have their outcome in the state.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import ensure_private_dir, read_bytes, state_errors, write_atomically
from apex_cli.core.errors import EXHAUSTING, StateError
from apex_cli.core.model.base import Value
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalReport
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import SignalBatch

FOLDER = "intake"
DAMAGED = "damaged"
ENDING = ".jsonl"
UNREADABLE = "intake_unreadable"

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, *EXHAUSTING)

OLD_S = 3600.0

_encode = msgspec.json.Encoder().encode


class Taken(Value, frozen=True, kw_only=True):
    """One row that was taken in: a signal, or what a known sender sent in place of one."""

    where: str
    """Whose it is, such as ``listen:tradingview``."""

    signal: Signal | None = None
    rejected: RejectedRow | None = None


_decode = msgspec.json.Decoder(Taken).decode


class Intake:
    """The folder, for those who put signals there."""

    def __init__(self, state_dir: Path, new_name: Callable[[], str]) -> None:
        """Touch nothing yet; *new_name* gives names that sort by time."""
        self.folder = state_dir / FOLDER
        self._new_name = new_name

    def keep(self, rows: Sequence[Taken]) -> None:
        """Write *rows* as one file; on return they survive a loss of power.

        Raises:
            StateError: they could not be written; none of them is there.
        """
        ensure_private_dir(self.folder.parent)
        ensure_private_dir(self.folder)
        name = f"{self._new_name()}-{len(rows)}{ENDING}"
        write_atomically(self.folder / name, *(_encode(row) + b"\n" for row in rows))

    def sweep(self, now_s: float) -> None:
        """Remove what writers that were killed left half done: nobody was answered for it.

        What is younger than an hour at *now_s*, seconds since 1970, may still be written.
        """
        for left in self.folder.glob(".*.tmp"):
            with suppress(OSError):
                if now_s - left.lstat().st_mtime > OLD_S:
                    left.unlink()

    def count(self) -> int:
        """Return how many rows wait, by the names of the files."""
        counts = (name.removesuffix(ENDING).rpartition("-")[2] for name in names_in(self.folder))
        return sum(int(count) for count in counts if count.isdecimal())

    def waiting(self) -> Iterator[Taken]:
        """Yield what no run has decided yet; what cannot be read is left to the run."""
        for name in names_in(self.folder):
            with suppress(StateError, *_UNREADABLE):
                yield from _rows_of(self.folder / name)


def names_in(folder: Path) -> list[str]:
    """Return the names of the files that wait, oldest first.

    Raises:
        StateError: the folder cannot be read.
    """
    with state_errors(folder):
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names only, no stat
        except FileNotFoundError:
            return []
    return sorted(name for name in names if name.endswith(ENDING) and not name.startswith("."))


def _rows_of(path: Path) -> Iterator[Taken]:
    for line in (read_bytes(path) or b"").splitlines():
        yield _decode(line)


class IntakeSource:
    """The folder, for the run."""

    def __init__(self, state_dir: Path, *, notice: Callable[[Reason], None] = lambda _: None) -> None:
        """Touch nothing yet; *notice* hears once of each file that cannot be removed."""
        self._folder = state_dir / FOLDER
        self._notice = notice
        self._known: set[str] = set()
        self._stuck: set[str] = set()

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield one batch a file."""
        del now
        names = names_in(self._folder)
        self._known = set(names)
        for name in names:
            if name not in self._stuck:
                yield self._read(name)

    def has_news(self) -> bool:
        """Return whether there is a file that the last ``poll`` did not see; costs a look at the folder's names."""
        with suppress(StateError):
            return any(name not in self._known for name in names_in(self._folder))
        return False

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:  # noqa: ARG002 - the port's signature
        """Remove the batch's file; one that could not be read is kept in a folder beside.

        A file that is still there after a loss of power is read again, and its signals are known by then. One that
        cannot be removed is reported once, and not read again by this process.
        """
        path = self._folder / batch.token
        try:
            with suppress(FileNotFoundError):
                if _is_damaged(batch):
                    ensure_private_dir(self._folder / DAMAGED)
                    path.replace(self._folder / DAMAGED / batch.token)
                else:
                    path.unlink()
        except (OSError, StateError) as error:
            self._stuck.add(batch.token)
            message = f"{path} was decided but cannot be removed: {error}. Remove it yourself."
            self._notice(Reason(code="intake_stuck", message=message))

    def _read(self, name: str) -> SignalBatch:
        try:
            return _batch(name, _rows_of(self._folder / name))
        except (StateError, *_UNREADABLE) as error:
            message = f"the file of acknowledged signals cannot be read ({error}); it is kept in intake/{DAMAGED}"
            row = RejectedRow(where=name, reason=Reason(code=UNREADABLE, message=message))
            return SignalBatch(name=FOLDER, rejected=(row,), token=name, file_version=name)


def _is_damaged(batch: SignalBatch) -> bool:
    return any(row.reason.code == UNREADABLE for row in batch.rejected)


def _batch(name: str, rows: Iterable[Taken]) -> SignalBatch:
    rows = list(rows)
    return SignalBatch(
        name=FOLDER,
        signals=tuple(row.signal for row in rows if row.signal is not None),
        where=tuple(row.where for row in rows if row.signal is not None),
        rejected=tuple(row.rejected for row in rows if row.rejected is not None),
        token=name,
        file_version=name,
    )
