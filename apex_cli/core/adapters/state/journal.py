"""The journal: what happened, for ever, one event a line in one file a month.

Appending is done by one writer at a time, who holds the lock of the state. Readers need no
lock: a last line without its newline is an append in progress, or one that a crash cut off,
and is not there yet.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from apex_cli.core.adapters import atomic_file
from apex_cli.core.errors import EXHAUSTING, StateError
from apex_cli.core.model.records import OutboxRow

_TAIL_BYTES = 1 << 16
_PROGRESS_BYTES = 1 << 20
_KIND, _KIND_WITHIN = b'"kind":"', 128
"""What comes before an event's kind, within the first bytes of its line, when it was written here."""

LAST_SEQ = (1 << 53) - 1
"""Largest sequence number: every JSON reader keeps it exactly."""

MOST_LINE = 1 << 24
"""Longest line that can be an event, in bytes; a longer one is never read as a whole."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, *EXHAUSTING)
"""What decoding a line that is no event may raise: it may be nested without end, too."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OutboxRow).decode
_bracket_of = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]')

MOST_DEPTH = 500
"""Deepest nesting of an event. How deep a decoder goes hangs on the version of Python and the size of its stack."""


class _Seq(msgspec.Struct):
    seq: int


_decode_seq = msgspec.json.Decoder(_Seq).decode


def encode_event(row: OutboxRow) -> bytes:
    """Return the event's line without its newline: ``{"seq", "at", "kind", "subject", "data"}``."""
    # Inside a JSON string a line break is escaped, so these are blanks of a pretty-printed payload.
    return _encode(row).replace(b"\r", b" ").replace(b"\n", b" ")


def decode_event(line: bytes) -> OutboxRow:
    """Return the event of a journal's *line*.

    Raises:
        msgspec.DecodeError: it is none, or nested deeper than ``MOST_DEPTH``; see ``UNREADABLE`` for the others.
    """
    if line.count(b"[") + line.count(b"{") > MOST_DEPTH and _is_deep(line):
        raise msgspec.DecodeError(f"it is nested more than {MOST_DEPTH} levels deep")
    return _decode(line)


def _is_deep(line: bytes) -> bool:
    """Return whether brackets outside of strings are nested deeper than ``MOST_DEPTH``."""
    depth = 0
    for match in _bracket_of.finditer(line):
        sign = match.group()
        depth += 1 if sign in b"[{" else -1 if sign in b"]}" else 0
        if depth > MOST_DEPTH:
            return True
    return False


class JournalLine(NamedTuple):
    """One whole line, sound or not."""

    path: Path
    number: int
    raw: bytes
    event: OutboxRow | None
    """None when the line is no event."""


class Journal:
    """Append-only monthly files ``YYYY-MM.jsonl``; sequence numbers rise through all of them.

    An event goes to the file of its month (UTC), or to the newest file when that is later, so that the
    order of the files is the order of the events.
    """

    __slots__ = ("_last_seq", "_newest", "_redact", "_size", "folder")

    def __init__(self, folder: Path, redact: Callable[[bytes], bytes] | None = None) -> None:
        """Touch nothing yet; *redact* sees all encoded lines before they are written.

        By default it takes out account ids, tokens, and what the environment calls secret.
        """
        self.folder = folder
        self._redact = redact
        self._newest = folder
        """The file with the newest event, when it was looked at last."""

        self._size = -1
        """How long it was; -1 when there is more behind that event, there or in a later file."""

        self._last_seq = 0

    def files(self) -> list[Path]:
        """Return the monthly files, oldest first."""
        return [self.folder / name for name in file_names(self.folder)]

    def last_seq(self) -> int:
        """Return the sequence number of the newest whole event; 0 when there is none.

        Raises:
            StateError: the last line is no event (``journal_damaged``).
        """
        return self._last_seq_in(file_names(self.folder))

    def _last_seq_in(self, names: Sequence[str]) -> int:
        if names and names[-1] == self._newest.name and self._is_unchanged():
            return self._last_seq
        for name in reversed(names):
            path = self.folder / name
            with atomic_file.state_errors(path):
                size = _size_of(path)
                end, line = _last_whole_line(path)
            if line:
                is_end = end == size and name == names[-1]
                self._remember(path, size if is_end else -1, _seq_of(line, path))
                return self._last_seq
        return 0

    def _is_unchanged(self) -> bool:
        """Return whether the journal ends where it did when it was looked at, later files apart."""
        if self._size < 0:
            return False
        with atomic_file.state_errors(self._newest):
            try:
                return _size_of(self._newest) == self._size
            except FileNotFoundError:
                return False

    def append(self, rows: Iterable[OutboxRow], *, wait: bool = True, has_looked: bool = False) -> int:
        """Write the *rows* that are not there yet, wait until they are on the disk, return how many.

        Only for the holder of the state's lock. A torn last line is cut off first. After a
        failure the file is as it was, or ends in a torn line.

        Args:
            rows: Events in any order.
            wait: Without it only a file that is begun or left behind is waited for: the rows must be kept elsewhere
                until ``sync``.
            has_looked: Whether the caller asked for ``last_seq`` since it took the lock: then no file is new.

        Raises:
            StateError: they could not be written.
        """
        newest: Path | None = self._newest
        if not has_looked or not self._is_unchanged():
            names = file_names(self.folder)
            newest = self.folder / names[-1] if names else None
            self._last_seq = self._last_seq_in(names)
        rows = list(rows)
        pending = sorted([row for row in rows if row.seq > self._last_seq], key=attrgetter("seq"))
        if wait and newest is not None and len(pending) < len(rows):
            self._sync(newest)
        if not pending:
            return 0
        if newest is None:
            atomic_file.ensure_private_dir(self.folder)
        elif self._newest != newest or self._size < 0:
            self._cut_torn_line(newest)
        known = newest.name if newest else ""
        for name, run in _by_file(pending, known):
            if name != known:
                self.sync()  # another process may have appended without waiting
            self._append_to(self.folder / name, run, wait=wait or name != known)
        return len(pending)

    def sync(self) -> None:
        """Wait until what was appended without waiting is on the disk.

        Raises:
            StateError: it is not.
        """
        if files := self.files():
            self._sync(files[-1])

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None
    ) -> Iterator[OutboxRow]:
        """Yield the events of *kind*, about *subject*, at or after *since*, oldest first, a line at a time.

        Raises:
            StateError: a line that was to be looked at is no event; names file and line.
        """
        wanted = ((b"kind", kind), (b"subject", subject))
        needles = [b'"%s":%s' % (name, _encode(value)) for name, value in wanted if value]
        for path, number, line in self._lines(since):
            if any(needle not in line for needle in needles):
                continue
            event = _read_event(line, path, number)
            # The same bytes may stand in the payload, so the fields decide.
            if (
                (kind is None or event.kind == kind)
                and (subject is None or event.subject == subject)
                and (since is None or event.at >= since)
            ):
                yield event

    def size(self, since: datetime | None = None) -> int:
        """Return the bytes that ``scan`` will read."""
        return sum(path.stat().st_size for path in self._files_since(since))

    def scan(
        self, kinds: Collection[str], since: datetime | None = None, on_bytes: Callable[[int], None] | None = None
    ) -> Iterator[OutboxRow]:
        """Yield the events of *kinds*, from the month of *since* on, oldest first; other lines are not decoded.

        Args:
            kinds: kinds of events.
            since: earlier months are not read; events before it in its month are yielded.
            on_bytes: hears how many bytes were read, about every megabyte.

        Raises:
            StateError: a line that was to be looked at is no event; names file and line.
        """
        wanted = {kind.encode() for kind in kinds}
        read = 0
        for path, number, line in self._lines(since):
            read += len(line)
            if on_bytes and read > _PROGRESS_BYTES:
                on_bytes(read)
                read = 0
            start = line.find(_KIND, 0, _KIND_WITHIN)
            if (
                start < 0
                or line.find(b"{", 1, start) > 0
                or line[start + len(_KIND) : line.find(b'"', start + len(_KIND))] in wanted
            ):
                event = _read_event(line, path, number)
                if event.kind in kinds:
                    yield event
        if on_bytes:
            on_bytes(read)

    def _files_since(self, since: datetime | None) -> list[Path]:
        return [path for path in self.files() if path.stem >= _month(since)]

    def lines(self) -> Iterator[JournalLine]:
        """Yield every whole line, sound or not, oldest first; a cut-off line before the newest file's end is one, too.

        Raises:
            StateError: a file cannot be read.
        """
        files = self.files()
        for path in files:
            for number, raw in enumerate(_lines_of(path), 1):
                if raw.endswith(b"\n") or len(raw) > MOST_LINE or path is not files[-1]:
                    yield JournalLine(path, number, raw, _event_of(raw))

    def rewrite(self, path: Path, lines: Iterable[bytes]) -> None:
        """Replace one file by *lines*, one in memory at a time: for repairs, under the state's lock.

        Raises:
            StateError: it could not be written; the old one stands.
        """
        atomic_file.write_parts(path, lines)
        self._size = -1

    def _lines(self, since: datetime | None) -> Iterator[tuple[Path, int, bytes]]:
        """Yield file, number and bytes of each whole line, from the month of *since* on."""
        files = self._files_since(since)
        for path in files:
            for number, line in enumerate(_lines_of(path), 1):
                if line.endswith(b"\n"):
                    yield path, number, line
                elif len(line) > MOST_LINE:
                    raise _damaged(path, f"line {number} is longer than {MOST_LINE >> 20} MB")
                elif path is not files[-1]:
                    raise _damaged(path, f"line {number} is cut off")

    def _append_to(self, path: Path, rows: list[OutboxRow], *, wait: bool) -> None:
        redact = self._redact = self._redact or _default_redaction()
        data = redact(b"".join([encode_event(row) + b"\n" for row in rows]))
        with atomic_file.state_errors(path):
            descriptor = atomic_file.open_for_writing(path, os.O_APPEND)
            try:
                size = os.fstat(descriptor).st_size
                self._write(descriptor, data, size, path, wait=wait)
            finally:
                os.close(descriptor)
        self._remember(path, size + len(data), rows[-1].seq)

    def _write(self, descriptor: int, data: bytes, size: int, path: Path, *, wait: bool) -> None:
        try:
            atomic_file.write_all(descriptor, data, path)
            if wait:
                atomic_file.sync(descriptor, path)
            if size == 0:
                atomic_file.sync_folder(self.folder)
        except BaseException:
            self._size = -1
            with suppress(OSError):
                atomic_file.truncate(descriptor, size, path)
            raise

    def _sync(self, path: Path) -> None:
        """Make sure of lines whose writer may have died before it could."""
        with atomic_file.state_errors(path):
            descriptor = atomic_file.open_for_writing(path, 0)
            try:
                atomic_file.sync(descriptor, path)
            finally:
                os.close(descriptor)
            atomic_file.sync_folder(self.folder)

    def _cut_torn_line(self, path: Path) -> None:
        """Cut off what a crash left of an append; its rows still wait in the outbox."""
        with atomic_file.state_errors(path):
            size = _size_of(path)
            if (path, size) == (self._newest, self._size):
                return
            end, _ = _last_whole_line(path)
            if end != size:
                descriptor = atomic_file.open_for_writing(path, 0)
                try:
                    atomic_file.truncate(descriptor, end, path)
                    atomic_file.sync(descriptor, path)
                finally:
                    os.close(descriptor)

    def _remember(self, path: Path, size: int, last_seq: int) -> None:
        """Keep what a look at the newest file reported; size -1 when it has a torn line."""
        self._newest, self._size, self._last_seq = path, size, last_seq


def _default_redaction() -> Callable[[bytes], bytes]:
    from apex_cli.core.redaction import Redactor, known_secrets

    return Redactor(known_secrets(os.environ)).lines


def _month(since: datetime | None) -> str:
    """Return the name of the month's file; files are named so that earlier ones sort before it."""
    return f"{since.astimezone(UTC):%Y-%m}" if since else ""


def _by_file(rows: list[OutboxRow], newest: str) -> Iterator[tuple[str, list[OutboxRow]]]:
    """Yield runs of *rows* with the name of the file they go to, never one before *newest*."""
    run: list[OutboxRow] = []
    for row in rows:
        at = row.at.astimezone(UTC)
        month = f"{at.year:04d}-{at.month:02d}.jsonl"
        if month > newest:
            if run:
                yield newest, run
            newest, run = month, []
        run.append(row)
    yield newest, run


def _event_of(line: bytes) -> OutboxRow | None:
    with suppress(*UNREADABLE):
        event = decode_event(line)
        return event if 0 < event.seq <= LAST_SEQ else None
    return None


def _read_event(line: bytes, path: Path, number: int) -> OutboxRow:
    try:
        return decode_event(line)
    except UNREADABLE as error:
        raise _damaged(path, f"line {number} is not an event: {error}") from error


def _seq_of(line: bytes, path: Path) -> int:
    try:
        seq = _decode_seq(line).seq
    except UNREADABLE as error:
        raise _damaged(path, f"the last line is not an event: {error}") from error
    if not 0 < seq <= LAST_SEQ:
        raise _damaged(path, "the last line is not an event: its number is beyond all that there can be")
    return seq


def _damaged(path: Path, what: str) -> StateError:
    return StateError(
        "journal_damaged",
        f"{path}: {what}",
        hint="run: apex state check; then: apex state restore",
        details={"path": str(path)},
    )


def _size_of(path: Path) -> int:
    """Return the size of an ordinary file, looked at without opening it."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise atomic_file.not_a_file(path, found.st_mode)
    return found.st_size


def file_names(folder: Path) -> list[str]:
    """Return the names of the monthly files in *folder*, oldest first."""
    with atomic_file.state_errors(folder):
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names only, no stat
        except FileNotFoundError:
            return []
    return sorted([name for name in names if name.endswith(".jsonl")])


def _lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, sound or not."""
    with atomic_file.state_errors(path), open_journal_file(path) as file:
        yield from (line for line, _ in bounded_lines(file))


def open_journal_file(path: Path) -> BinaryIO:
    """Return a monthly file, open for reading; a pipe or a link is refused."""
    return os.fdopen(atomic_file.open_for_reading(path), "rb")


def bounded_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield each line with its length; of one above ``MOST_LINE`` only a little more than that is kept."""
    while line := file.readline(MOST_LINE + 1):
        length = len(line)
        while length > MOST_LINE and not line.endswith(b"\n") and (rest := file.readline(MOST_LINE)):
            length += len(rest)
            if rest.endswith(b"\n"):
                break
        yield line, length


def _last_whole_line(path: Path) -> tuple[int, bytes]:
    """Return the offset behind the last newline, and the line that ends there."""
    with open_journal_file(path) as file:
        end = _behind_newline(file, file.seek(0, os.SEEK_END))
        start = _behind_newline(file, end - 1) if end else 0
        if end - start > MOST_LINE:
            raise _damaged(path, f"the last line is longer than {MOST_LINE >> 20} MB")
        file.seek(start)
        return end, file.read(end - start)


def _behind_newline(file: BinaryIO, before: int) -> int:
    """Return the offset behind the last newline of the bytes [0, before), or 0 without one."""
    while before > 0:
        start = max(0, before - _TAIL_BYTES)
        file.seek(start)
        at = file.read(before - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        before = start
    return 0
