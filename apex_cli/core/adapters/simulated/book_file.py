"""The simulated broker's own durable file: a separate party that remembers what we may forget."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import ensure_private_dir, read_bytes, remove_leftovers, write_atomically
from apex_cli.core.errors import EXHAUSTING, StateError
from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Usd
from apex_cli.core.venue.book import VenueBook
from apex_cli.core.venue.catch_up import Marks

VERSION = 1

_encode = msgspec.json.Encoder(order="deterministic").encode


class SimulatedBook(Value, frozen=True, kw_only=True):
    """Everything the simulated broker keeps."""

    version: int
    venue: VenueBook
    as_of: datetime
    """End of the last played bar."""

    sessions: tuple[str, ...] = ()
    """Latest session dates, YYYY-MM-DD, oldest first; the last one runs."""

    session_starts: tuple[datetime, ...] = ()
    """When each of *sessions* was first seen."""

    prior_close_equity: Usd | None = None


class _Versioned(msgspec.Struct):
    version: int


class BookFile:
    """Reads and writes the book; None as path keeps nothing."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        """Use *path*; its folder is made when needed."""
        self.path = path
        self.is_written = path is not None and not read_only
        """False: changes stay in memory."""

        self._has_cleaned = False

    def read(self) -> SimulatedBook | None:
        """Return the kept book; None when there is none yet.

        Raises:
            StateError: the file cannot be read, is damaged, or is of another version.
        """
        if self.path is None:
            return None
        data = read_bytes(self.path)
        if data is None:
            return None
        try:
            version = msgspec.json.decode(data, type=_Versioned).version
            if version == VERSION:
                return msgspec.json.decode(data, type=SimulatedBook)
        except (msgspec.DecodeError, UnicodeDecodeError, *EXHAUSTING) as error:
            raise self._damaged("simulated_broker_damaged", f"{self.path}: damaged: {error}") from error
        raise self._damaged("simulated_broker_version", f"{self.path}: version {version}, this apex knows {VERSION}")

    def _damaged(self, code: str, message: str) -> StateError:
        hint = "move the file away to start a new simulated account, or bring back a backup of it"
        return StateError(code, message, hint=hint, details={"path": str(self.path)})

    def write(self, book: SimulatedBook) -> None:
        """Replace the file in one step.

        Raises:
            StateError: it could not be written; the old version is still there.
        """
        if self.path is None or not self.is_written:
            return
        ensure_private_dir(self.path.parent)
        if not self._has_cleaned:
            remove_leftovers(self.path)
            self._has_cleaned = True
        write_atomically(self.path, _encode(book))


def stale_book(path: Path, found: Marks, known: Marks) -> StateError:
    """Return the StateError for books that know less than they reported to the state."""
    what = (
        "is missing" if found == Marks() else f"knows executions up to {found.execution} and orders up to {found.order}"
    )
    return StateError(
        "simulated_broker_stale",
        f"{path} {what}, the state knows executions up to {known.execution} and orders up to {known.order}: an older "
        "file came back",
        hint="run: apex state restore, which brings it up to date",
        details={"path": str(path)},
    )
