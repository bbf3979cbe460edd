"""Files that are either the old or the new version, never half of one.

Every write, sync and rename of the durable state passes through the small functions here,
and each of them asks ``_fault`` first: a test replaces it to act out a full disk, a dying
process or a lying drive.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from apex_cli.core.errors import StateError

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_DISK_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_BINARY = getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_sync_data = getattr(os, "fdatasync", os.fsync)
_MOST_PARTS = 1024
"""What one ``writev`` takes on every system."""

_numbers = count()


def _fault(point: str, path: Path) -> None:
    """Do nothing; replaced under test to raise or to kill at *point* of the work on *path*.

    Points: ``open``, ``write``, ``sync``, ``replace``, ``sync_folder``, ``truncate``, ``link``, ``lock``.
    """


@contextmanager
def state_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StateError that names *path* and the next step."""
    try:
        yield
    except OSError as error:
        raise as_state_error(error, path) from error


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
    (
        frozenset({errno.EISDIR}),
        "state_not_a_file",
        "a folder is where a file should be",
        "move it away, then run: apex state restore",
    ),
)
"""Error numbers, code, words instead of the system's, and the next step."""


def as_state_error(error: OSError, path: Path) -> StateError:
    """Return the StateError for a failed operation on *path*.

    Its exit status is 9 even where ``state.dir`` is badly chosen: whatever keeps the state from being used, the
    answer is the same, to look before trading goes on.
    """
    code, words, hint = "state_io_error", "", "check the disk, then run: apex state check"
    for numbers, found, text, step in _CAUSES:
        if error.errno in numbers:
            code, words, hint = found, text, step
    details = {"path": str(path), "errno": error.errno}
    return StateError(code, f"{path}: {words or error.strerror or error}", hint=hint, details=details)


def open_for_writing(path: Path, flags: int) -> int:
    """Return a descriptor of *path*; a new file gets mode 0600."""
    _fault("open", path)
    return os.open(path, flags | os.O_WRONLY | os.O_CREAT | _BINARY, FILE_MODE)


def write_all(descriptor: int, data: bytes | bytearray, path: Path) -> None:
    """Write all of *data*, however few bytes the system takes at a time."""
    _fault("write", path)
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def sync(descriptor: int, path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    _fault("sync", path)
    os.fsync(descriptor)


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
            write_atomically(target, source.read_bytes())
        else:
            sync_folder(target.parent)


def copy_file(source: Path, target: Path) -> None:
    """Write the present version of *source* as *target*.

    Raises:
        StateError: it could not be read or written.
    """
    with state_errors(source):
        _fault("link", target)
        content = source.read_bytes()
    write_atomically(target, content)


def write_atomically(path: Path, *parts: bytes | bytearray) -> None:
    """Replace *path* by a file of mode 0600 that holds *parts*; on return it survives a power loss.

    Temporary file in the same folder, write, sync, rename, sync of the folder.

    Raises:
        StateError: it could not be written. The old version stands, unless the very last step
            failed: then the new one is in place, but perhaps not for a power loss.
    """
    temporary = _temporary(path)
    with state_errors(path):
        try:
            descriptor = open_for_writing(temporary, os.O_EXCL)
            try:
                for part in parts:
                    write_all(descriptor, part, path)
                sync(descriptor, path)
            finally:
                os.close(descriptor)
            replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def write_in_turn(path: Path, parts: Sequence[bytes]) -> None:
    """Replace *path* like ``write_atomically``, by writing over the version before the present one.

    Two files take turns: the one that is replaced stays as ``.NAME.spare`` and is written over next time. That
    saves making, allocating and freeing a file for every write, and a full disk does not stop a version that is no
    longer than the spare. Who reads without a lock, and so slowly that writes pass, may see a mixture, or all of a
    version that is not in place yet and may never be: read with ``read_in_turn``, and let the content carry a
    checksum. A version that has another name, a hard link, is never written over.

    Raises:
        StateError: as ``write_atomically``.
    """
    spare, temporary = _turn_names(path, os.getpid())
    with state_errors(path):
        try:
            _write_spare(spare, path, parts)
            is_kept = _keep_as(path, temporary)
            replace(spare, path)
        except BaseException:
            _forget_file(spare)
            _forget_file(temporary)
            raise
        try:
            if is_kept:
                os.replace(temporary, spare)  # noqa: PTH105 - no string work on the way of a commit
            sync_folder(path.parent)
        except BaseException:
            # Which of the two the disk has as *path* is not known: neither may be written over.
            _forget_file(spare)
            _forget_file(temporary)
            raise


@cache
def _turn_names(path: Path, process: int) -> tuple[Path, Path]:
    return path.with_name(f".{path.name}.spare"), path.with_name(f".{path.name}.{process}-turn.tmp")


def _write_spare(spare: Path, path: Path, parts: Sequence[bytes]) -> None:
    """Fill the spare with *parts* and wait until they are on the disk."""
    descriptor, old_size = _open_spare(spare)
    try:
        size = sum(map(len, parts))
        _write_parts(descriptor, parts, size, path)
        if size < old_size:
            os.ftruncate(descriptor, size)
        _fault("sync", path)
        _sync_data(descriptor)
    finally:
        os.close(descriptor)


def _open_spare(spare: Path) -> tuple[int, int]:
    """Return a descriptor of the spare and its size: the old one if only we know it, else a new one."""
    descriptor = open_for_writing(spare, _NO_FOLLOW)
    found = os.fstat(descriptor)
    if found.st_nlink == 1 and found.st_mode == stat.S_IFREG | FILE_MODE:
        return descriptor, found.st_size
    os.close(descriptor)
    spare.unlink()
    return open_for_writing(spare, os.O_EXCL), 0


def _write_parts(descriptor: int, parts: Sequence[bytes], size: int, path: Path) -> None:
    if len(parts) < _MOST_PARTS and hasattr(os, "writev"):
        _fault("write", path)
        written = os.writev(descriptor, parts)
        if written == size:
            return
        os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, b"".join(parts), path)


def _keep_as(path: Path, temporary: Path) -> bool:
    """Give the present version a second name; False when there is none, or names are not to be had."""
    try:
        os.link(path, temporary)
    except OSError:
        return False
    return True


def _forget_file(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.tmp")


def remove_leftovers(path: Path) -> int:
    """Remove temporary files that killed writers of *path* left; only the one writer may call this."""
    removed = 0
    for temporary in path.parent.glob(f".{path.name}.*.tmp"):
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


def read_in_turn(path: Path) -> bytes | None:
    """Return all bytes of a file that ``write_in_turn`` replaces, or None when there is no such file.

    A file that lost its name while it was read is the spare by then, and may hold what was never put in place: it is
    read again. Looked at while it is open, as its number could go to another file after that.

    Raises:
        StateError: it is there and cannot be read.
    """
    with state_errors(path):
        while True:
            try:
                with path.open("rb") as file:
                    data = file.read()
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        return data
            except FileNotFoundError:
                return None


def read_bytes(path: Path) -> bytes | None:
    """Return all bytes of the file, or None when there is no such file.

    Raises:
        StateError: it is there and cannot be read.
    """
    with state_errors(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
