"""Files that are either the old or the new version, never half of one.

Every write, sync and rename of the durable state passes through the small functions here,
and each of them asks ``_fault`` first: a test replaces it to act out a full disk, a dying
process or a lying drive.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from apex_cli.core.errors import StateError

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_DISK_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_NO_LINK = frozenset({errno.ELOOP, errno.EMLINK})
_NO_FILES_LEFT = frozenset({errno.EMFILE, errno.ENFILE})
_ODD = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""How every file is opened: a link is refused, and a pipe that nobody writes to is not waited for."""

_BINARY = getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)

MOST_BYTES = 1 << 28
"""Largest file that is read as a whole."""

_CHUNK = 1 << 20
_numbers = count()


def _fault(point: str, path: Path) -> None:
    """Do nothing; replaced under test to raise or to kill at *point* of the work on *path*.

    Points: ``open``, ``write``, ``sync``, ``replace``, ``sync_folder``, ``truncate``, ``link``, ``remove``, ``lock``.
    """


class state_errors:  # noqa: N801 - it is read like ``contextlib.suppress``, and stands where each commit passes
    """Turn an OSError of the block into a StateError that names *path* and the next step."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        """Begin nothing."""
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Turn *error*, if it is one of the system."""
        if isinstance(error, OSError):
            raise as_state_error(error, self._path) from error


_MOVE_AWAY = "move it away, then run: apex state restore"
_CAUSES: tuple[tuple[frozenset[int], str, str, str], ...] = (
    (_DISK_FULL, "state_disk_full", "", "free some space on that disk, then try again"),
    (_NO_PERMISSION, "state_no_permission", "", "give this user read and write access to it, then try again"),
    (frozenset({errno.EROFS}), "state_no_permission", "", "make that disk writable, or move state.dir to another one"),
    (_NO_LOCKS, "state_no_locks", "this file system cannot lock files", "put state.dir on a local disk"),
    (
        frozenset({errno.ENOTDIR}),
        "state_not_a_folder",
        "a file is where a folder should be",
        "move it away, or name another folder as state.dir",
    ),
    (frozenset({errno.EISDIR}), "state_not_a_file", "a folder is where a file should be", _MOVE_AWAY),
    (_NO_LINK, "state_not_a_file", "a link is where a file should be", _MOVE_AWAY),
    (frozenset({errno.ENXIO}), "state_not_a_file", "a pipe or a socket is where a file should be", _MOVE_AWAY),
    (_NO_FILES_LEFT, "state_too_many_files", "too many files are open", "raise the limit (ulimit -n), then try again"),
)
"""Error numbers, code, words instead of the system's, and the next step."""


def as_state_error(error: OSError, path: Path) -> StateError:
    """Return the StateError for a failed operation on *path*.

    Its exit status is 9 even where ``state.dir`` is badly chosen: whatever keeps the state from being used, the
    answer is the same, to look before trading continues.
    """
    code, words, hint = "state_io_error", "", "check the disk, then run: apex state check"
    for numbers, found, text, step in _CAUSES:
        if error.errno in numbers:
            code, words, hint = found, text, step
    details = {"path": str(path), "errno": error.errno}
    return StateError(code, f"{path}: {words or error.strerror or error}", hint=hint, details=details)


def open_for_writing(path: Path, flags: int) -> int:
    """Return a descriptor of the ordinary file *path*; a new file gets mode 0600.

    Raises:
        OSError: it cannot be opened.
        StateError: something else than an ordinary file has that name.
    """
    _fault("open", path)
    return _ordinary(os.open(path, flags | os.O_WRONLY | os.O_CREAT | _BINARY | _ODD, FILE_MODE), path)


def open_for_reading(path: Path) -> int:
    """Return a descriptor of the ordinary file *path*; nothing is waited for and no link is followed.

    Raises:
        OSError: it cannot be opened.
        StateError: something else than an ordinary file has that name.
    """
    return _ordinary(os.open(path, os.O_RDONLY | _BINARY | _ODD), path)


def open_for_updating(path: Path) -> int:
    """Return a descriptor of the ordinary file *path*, made with mode 0600 if it is not there, to read and write.

    Raises:
        OSError: it cannot be opened.
        StateError: something else than an ordinary file has that name.
    """
    return _ordinary(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY | _ODD, FILE_MODE), path)


def _ordinary(descriptor: int, path: Path) -> int:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise not_a_file(path, mode)


def not_a_file(path: Path, mode: int) -> StateError:
    """Return the StateError for something else that stands where a file should be."""
    kind = next((word for is_kind, word in _KINDS if is_kind(mode)), "something else")
    return StateError(
        "state_not_a_file",
        f"{path}: {kind} is where a file should be",
        hint=_MOVE_AWAY,
        details={"path": str(path)},
    )


def write_all(descriptor: int, data: bytes | bytearray, path: Path) -> None:
    """Write all of *data*, however few bytes the system takes at a time."""
    _fault("write", path)
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def write_together(descriptor: int, parts: Sequence[bytes], size: int, path: Path) -> None:
    """Write all *parts*, *size* bytes, in one call of the system where that is possible."""
    if not hasattr(os, "writev"):
        write_all(descriptor, b"".join(parts), path)
        return
    _fault("write", path)
    written = os.writev(descriptor, parts)
    if written < size:
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def sync(descriptor: int, path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    _fault("sync", path)
    os.fsync(descriptor)


def sync_data(descriptor: int, path: Path) -> None:
    """Wait until bytes that were written over others are on the disk: the size stays as it was."""
    _fault("sync", path)
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Wait until what is in the file now is on the disk."""
    descriptor = open_for_reading(path)
    try:
        sync(descriptor, path)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove the file; its folder is not synced."""
    _fault("remove", path)
    os.unlink(path)  # noqa: PTH108 - the seam where faults are injected


def replace(source: Path, target: Path) -> None:
    """Rename *source* over *target* in one step."""
    _fault("replace", target)
    os.replace(source, target)  # noqa: PTH105 - the seam where faults are injected


def sync_folder(folder: Path) -> None:
    """Wait until names created, renamed or removed in *folder* are on the disk."""
    _fault("sync_folder", folder)
    if os.name == "nt":  # Windows opens no folders; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_fault(point: str, path: Path) -> None:
    """Ask the test's fault, for work that other modules do themselves."""
    _fault(point, path)


def truncate(descriptor: int, size: int, path: Path) -> None:
    """Cut the file down to *size* bytes."""
    _fault("truncate", path)
    os.ftruncate(descriptor, size)


def link_or_copy(source: Path, target: Path) -> None:
    """Keep the present version of *source* as *target*, which must not exist.

    A hard link costs no bytes, and stays as it is because *source* is only ever replaced.

    Raises:
        StateError: neither a link nor a copy could be made.
    """
    with state_errors(target):
        try:
            _fault("link", target)
            os.link(source, target)
        except OSError as error:
            if error.errno in _DISK_FULL or isinstance(error, (FileExistsError, FileNotFoundError)):
                raise
            write_parts(target, _chunks(source))
        else:
            sync_folder(target.parent)


def copy_file(source: Path, target: Path) -> None:
    """Write the present version of *source* as *target*.

    Raises:
        StateError: it could not be read or written.
    """
    with state_errors(source):
        _fault("link", target)
        write_parts(target, _chunks(source))


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the content of an ordinary file a piece at a time."""
    with state_errors(path), os.fdopen(open_for_reading(path), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def write_atomically(path: Path, *parts: bytes | bytearray) -> None:
    """Replace *path* by a file of mode 0600 that holds *parts*; on return it survives a power loss."""
    write_parts(path, (b"".join(parts),))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Replace *path* like ``write_atomically``, by parts that need not be in memory together.

    Temporary file in the same folder, write, sync, rename, sync of the folder.

    Raises:
        StateError: it could not be written. The old version stands, unless the very last step
            failed: then the new one is in place, but perhaps not for a power loss.
    """
    with state_errors(path):
        with _successor(path) as descriptor:
            for part in parts:
                write_all(descriptor, part, path)
            sync(descriptor, path)
        sync_folder(path.parent)


def write_unsynced(path: Path, parts: Sequence[bytes], make_safe: Callable[[], None]) -> None:
    """Replace *path* by a file that a power loss may take; before the rename *make_safe* keeps the change elsewhere.

    Raises:
        StateError: it could not be written, and the old version stands.
    """
    with state_errors(path), _successor(path) as descriptor:
        size = sum(map(len, parts))
        _reserve(descriptor, size)
        write_together(descriptor, parts, size, path)
        make_safe()


@contextmanager
def _successor(path: Path) -> Iterator[int]:
    """Lend a new file that takes the place of *path*, unless the block raises."""
    temporary = _temporary(path)
    try:
        descriptor = open_for_writing(temporary, os.O_EXCL)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _reserve(descriptor: int, size: int) -> None:
    """Ask for the room on the disk before the bytes come, where the system can.

    ext4 begins to write a file to the disk when it is renamed over another, unless it has its room already. Such a
    write is worth nothing when the next version comes first, and the next sync would wait for it.
    """
    if hasattr(os, "posix_fallocate"):
        with suppress(OSError):  # a full disk refuses the bytes, too
            os.posix_fallocate(descriptor, 0, size)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.tmp")


def remove_leftovers(path: Path) -> int:
    """Remove temporary files that killed writers of *path* left; only the one writer may call this.

    The spare is what earlier versions wrote by turns.
    """
    removed = 0
    for temporary in (*path.parent.glob(f".{path.name}.*.tmp"), *path.parent.glob(f".{path.name}.spare")):
        with suppress(OSError):
            temporary.unlink()
            removed += 1
    return removed


def ensure_private_dir(path: Path) -> None:
    """Create the folder with mode 0700 if it is not there; one that exists is left as it is.

    Raises:
        StateError: it cannot be created, or a file is in its place.
    """
    with state_errors(path):
        if not path.is_dir():
            try:
                path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            except FileExistsError as error:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
            sync_folder(path.parent)


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes | None:
    """Return all bytes of the file, or None when there is no such file.

    Raises:
        StateError: it is there and cannot be read, is no ordinary file, or is larger than *most* bytes.
    """
    with state_errors(path):
        try:
            descriptor = open_for_reading(path)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            data = file.read() if os.fstat(descriptor).st_size <= most else None
    if data is None:
        raise StateError(
            "state_file_too_large",
            f"{path}: larger than {most >> 20} MB, which no such file is",
            hint=_MOVE_AWAY,
            details={"path": str(path)},
        )
    return data
