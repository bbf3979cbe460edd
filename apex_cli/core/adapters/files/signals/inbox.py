"""Signals from an inbox: a folder that other programs, and perhaps other users, put files into.

What is put there is not trusted. The inbox and the folders that files move to must be real folders of this user; they
are held open while they are used, so that no link can lead elsewhere. Links, pipes and devices are refused by name.
What stands in a file of somebody else is not repeated in reasons: it may be a private file under another name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import NamedTuple

import msgspec

from apex_cli.core.adapters.files.signals.alerts import DEFAULT_FORM, SignalForm
from apex_cli.core.adapters.files.signals.signal_rows import rejected
from apex_cli.core.adapters.files.signals.signal_sources import ONE_DAY, file_version, printable, read_file
from apex_cli.core.errors import InputError
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalReport
from apex_cli.core.ports import SignalBatch

TEMPORARY_STARTS = (".", "~", "#")
TEMPORARY_ENDS = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")
REASON_END = ".reason.json"
PROCESSED, REJECTED = "processed", "rejected"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
MOST_NAMES = 10_000
"""How many names a file may meet in the folder that it moves to."""

MOST_LETTERS = 255
"""Bytes that a name may have on usual file systems."""

_CHUNK = 1 << 20
_HAS_FOLDERS = os.open in os.supports_dir_fd
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_KINDS = ((stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISREG, "a file"))

Identity = tuple[int, int, int]
"""Size, time of change and inode: equal means that nobody wrote in between."""


class NotOursError(OSError):
    """A folder is none, is reached by a link, or belongs to another user; the text says which."""


class Folder:
    """A real folder of this user, held open: names are looked up in it, whatever its path means by then."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path, descriptor: int | None) -> None:
        """Take over *descriptor*; None where the system knows no such thing, and paths are used."""
        self.path = path
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def held(cls, path: Path, within: Folder | None = None, *, makes: bool = False) -> Iterator[Folder]:
        """Lend the folder *path*, or the one of its name *within* another; with *makes* it is made when it is missing.

        Raises:
            NotOursError: it is no folder, a link, or another user's.
            OSError: it cannot be opened or made.
        """
        name, place = within.at(path.name) if within else (str(path), None)
        if makes and within is not None:
            with suppress(FileExistsError):
                os.mkdir(name, FOLDER_MODE, dir_fd=place)
        elif makes:
            path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _require_own_folder(path, os.lstat(name, dir_fd=place))
        if not _HAS_FOLDERS:  # pragma: no cover - Windows
            yield cls(path, None)
            return
        descriptor = os.open(name, os.O_RDONLY | _FOLDER, dir_fd=place)
        try:
            _require_own_folder(path, os.fstat(descriptor))
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    def at(self, name: str) -> tuple[str, int | None]:
        """Return how the system is asked for *name* in this folder: a name and a descriptor, or a path."""
        return (name, self._descriptor) if self._descriptor is not None else (str(self.path / name), None)

    def names(self) -> list[str]:
        """Return what is in it, sorted."""
        return sorted(os.listdir(self.path if self._descriptor is None else self._descriptor))  # noqa: PTH208 - by descriptor

    def look(self, name: str) -> os.stat_result | None:
        """Return what *name* itself is, a link as a link; None when it is gone."""
        at, place = self.at(name)
        try:
            return os.lstat(at, dir_fd=place)
        except FileNotFoundError:
            return None

    def open(self, name: str) -> int:
        """Return a descriptor of *name* to read; a link is not followed, a pipe not waited for."""
        at, place = self.at(name)
        return os.open(at, os.O_RDONLY | _FILE, dir_fd=place)

    def create(self, name: str) -> int:
        """Return a descriptor of the new file *name*, mode 0600, to write."""
        at, place = self.at(name)
        return os.open(at, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, FILE_MODE, dir_fd=place)

    def remove(self, name: str) -> None:
        """Remove *name*."""
        at, place = self.at(name)
        os.unlink(at, dir_fd=place)

    def move(self, name: str, target: Folder, new_name: str) -> None:
        """Move *name* to *target*, onto another disk as well."""
        (source, source_place), (goal, goal_place) = self.at(name), target.at(new_name)
        try:
            os.rename(source, goal, src_dir_fd=source_place, dst_dir_fd=goal_place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(name, target, new_name)
            self.remove(name)

    def _copy(self, name: str, target: Folder, new_name: str) -> None:
        with os.fdopen(self.open(name), "rb") as source, os.fdopen(target.create(new_name), "wb") as goal:
            while chunk := source.read(_CHUNK):
                goal.write(chunk)


def _require_own_folder(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise NotOursError(errno.ENOTDIR, f"{path} is {_kind(found.st_mode)}, not a folder")
    if hasattr(os, "geteuid") and found.st_uid not in {os.geteuid(), 0}:
        raise NotOursError(errno.EPERM, f"{path} belongs to another user (uid {found.st_uid})")


def _kind(mode: int) -> str:
    return next((word for is_kind, word in _KINDS if is_kind(mode)), "a device")


class _Taken(NamedTuple):
    name: str
    identity: Identity


class InboxSource:
    """A folder that other programs put signal files into.

    A producer writes a file under a temporary name (``.tmp``, ``.part`` or a leading dot) and
    renames it. For producers that do not, a file is taken only when it looks the same at two polls
    in a row; with *is_once* there is no second poll, so it has to look the same before and after
    reading. Files are taken in the order of their names and moved only by ``settle``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_age: timedelta = ONE_DAY,
        processed_dir: Path | None = None,
        rejected_dir: Path | None = None,
        is_once: bool = False,
        form: SignalForm = DEFAULT_FORM,
        notice: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        """Watch *folder*; files go to ``processed`` and ``rejected`` inside it unless configured otherwise.

        *notice* hears once of each file that is not read, or cannot be moved away.
        """
        self._folder = folder
        self._max_age = max_age
        self._form = form
        self._processed = processed_dir
        self._rejected = rejected_dir
        self._is_once = is_once
        self._notice = notice
        self._told: set[tuple[str, str]] = set()
        self._seen: dict[str, Identity] = {}
        self._taken: dict[str, _Taken] = {}
        self._settled: dict[str, Identity] = {}

    def poll(self, now: datetime) -> Iterator[SignalBatch]:
        """Yield one batch a file that is complete.

        Raises:
            InputError: the folder is missing, cannot be read, or is no folder of this user.
        """
        for name in self._candidates():
            batch = self._take(name, now)
            if batch is not None:
                yield batch

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:  # noqa: ARG002 - the port's signature
        """Move the batch's file away, with a ``.reason.json`` beside it when rows were refused.

        It goes to ``rejected`` when no row was good. A file that changed since it was read stays, and is read again;
        one that cannot be moved is reported once, stays, and is not read again by this process.
        """
        taken = self._taken.pop(batch.token, None)
        if taken is None:
            return
        self._seen.pop(taken.name, None)
        try:
            with self._held() as inbox:
                if _identity(inbox.look(taken.name)) != taken.identity:
                    return
                self._settled[taken.name] = taken.identity
                self._put_away(inbox, taken.name, batch)
        except (OSError, InputError) as error:
            what = f"was read but cannot be moved away: {_why(error)}. Move it yourself."
            self._report(taken.name, "inbox_stuck", what)
        else:
            del self._settled[taken.name]

    @contextmanager
    def _held(self) -> Iterator[Folder]:
        with ExitStack() as stack:
            try:
                inbox = stack.enter_context(Folder.held(self._folder))
            except NotOursError as error:
                raise InputError(
                    "inbox_not_ours",
                    f"The inbox is not read: {error.strerror}.",
                    hint="Name a folder of your own as signals.inbox, not a link to one.",
                    details={"folder": str(self._folder)},
                ) from None
            yield inbox

    def _candidates(self) -> list[str]:
        """Return the names of what may be read, in their order."""
        try:
            with self._held() as inbox:
                names = [name for name in inbox.names() if not _is_temporary(name)]
                found = {name: inbox.look(name) for name in names}
        except OSError as error:
            raise InputError(
                "inbox_unreadable",
                f"The inbox {self._folder} cannot be read: {error.strerror}.",
                hint="Create the folder, or correct signals.inbox.",
                details={"folder": str(self._folder)},
            ) from None
        for gone in set(self._seen).difference(names):
            del self._seen[gone]
        for name, what in found.items():
            if what is not None and not stat.S_ISREG(what.st_mode) and not self._is_folder(name, what):
                kind = _kind(what.st_mode)
                self._report(name, "inbox_not_a_file", f"is {kind} and is not read. Put the file itself there.")
        return [name for name, what in found.items() if what is not None and stat.S_ISREG(what.st_mode)]

    def _is_folder(self, name: str, what: os.stat_result) -> bool:
        return stat.S_ISDIR(what.st_mode) or name in {PROCESSED, REJECTED}

    def _take(self, name: str, now: datetime) -> SignalBatch | None:
        """Return what the file holds; None when it is not complete yet, gone, or was settled before."""
        with self._held() as inbox:
            found = inbox.look(name)
            identity = _identity(found)
            is_stable = self._is_once or self._seen.get(name) == identity
            if found is None or identity is None or self._settled.get(name) == identity:
                return None
            self._seen[name] = identity
            if not is_stable:
                return None
            batch = self._read(inbox, name, now, file_version(found, name))
            if _identity(inbox.look(name)) != identity:
                return None
        self._taken[batch.token] = _Taken(name, identity)
        return batch

    def _read(self, inbox: Folder, name: str, now: datetime, token: str) -> SignalBatch:
        try:
            with os.fdopen(inbox.open(name), "rb") as stream:
                found = os.fstat(stream.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(errno.EINVAL, f"it is {_kind(found.st_mode)}")  # noqa: TRY301 - one refusal below
                batch = read_file(stream, name, now, self._max_age, token=token, form=self._form)
        except OSError as error:
            row = rejected(printable(name), f"the file cannot be read: {error.strerror}")
            return SignalBatch(name=printable(name), rejected=(row,), token=token, file_version=token)
        return batch if _is_own(found) else _unquoted(batch)

    def _put_away(self, inbox: Folder, name: str, batch: SignalBatch) -> None:
        """Move the file under a free name, its reasons first; when it stays, they do not."""
        is_bad = bool(batch.rejected) and not batch.signals
        chosen = self._rejected if is_bad else self._processed
        path = chosen or self._folder / (REJECTED if is_bad else PROCESSED)
        with Folder.held(path, None if chosen else inbox, makes=True) as target:
            goal = _free(target, name)
            if batch.rejected:
                _write_reasons(target, goal + REASON_END, batch)
            try:
                inbox.move(name, target, goal)
            except BaseException:
                if batch.rejected:
                    with suppress(OSError):
                        target.remove(goal + REASON_END)
                raise

    def _report(self, name: str, code: str, what: str) -> None:
        if (code, name) not in self._told:
            self._told.add((code, name))
            self._notice(Reason(code=code, message=f"{self._folder / printable(name)} {what}"))


def _is_temporary(name: str) -> bool:
    return name.startswith(TEMPORARY_STARTS) or name.lower().endswith(TEMPORARY_ENDS)


def _identity(found: os.stat_result | None) -> Identity | None:
    """Return what changes when a file is written; None when it is gone or no ordinary file."""
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _is_own(found: os.stat_result) -> bool:
    """Return whether a file is this user's, and has no second name elsewhere."""
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and found.st_nlink == 1)


def _unquoted(batch: SignalBatch) -> SignalBatch:
    """Return *batch* with reasons that say nothing of what stands in the file."""
    what = "this is no signal; what stands there is not repeated, as the file is not yours alone"
    return msgspec.structs.replace(
        batch,
        rejected=tuple(
            RejectedRow(where=row.where, reason=Reason(code=row.reason.code, message=what)) for row in batch.rejected
        ),
    )


def _why(error: OSError | InputError) -> str:
    return error.message.rstrip(".") if isinstance(error, InputError) else error.strerror or str(error)


def _free(folder: Folder, name: str) -> str:
    """Return a name that neither a file in *folder* nor its reasons have: ``a.json``, ``a.1.json``, ..."""
    path = PurePath(name)
    room = MOST_LETTERS - len(REASON_END) - len(os.fsencode(path.suffix)) - len(f".{MOST_NAMES}")
    stem, suffix = (_cut(path.stem, room), path.suffix) if room > 0 else (_cut(name, MOST_LETTERS // 2), "")
    for number in range(MOST_NAMES):
        free = f"{stem}.{number}{suffix}" if number else f"{stem}{suffix}"
        if folder.look(free) is None and folder.look(free + REASON_END) is None:
            return free
    raise OSError(errno.EEXIST, f"{folder.path} holds {MOST_NAMES} files of that name")


def _cut(text: str, room: int) -> str:
    """Return *text*, or as much of its beginning as takes no more than *room* bytes in a name."""
    while len(os.fsencode(text)) > room:
        text = text[:-1]
    return text


def _write_reasons(folder: Folder, name: str, batch: SignalBatch) -> None:
    content = {"file": batch.name, "signals": len(batch.signals), "rejected": batch.rejected}
    with os.fdopen(folder.create(name), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
