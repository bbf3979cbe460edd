"""Files that are either the old or the new version, never half of one.

Every write, sync and rename of the durable state passes through the small functions here,
and each of them asks ``_fault`` first: a test replaces it to act out a full disk, a dying
process or a lying drive.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from apex_cli.core.errors import StateError

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_DISK_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_BINARY = getattr(os, "O_BINARY", 0)
_numbers = count()


def _fault(point: str, path: Path) -> None:
    """Do nothing; replaced under test to raise or to kill at *point* of the work on *path*.

    Points: ``open``, ``write``, ``sync``, ``replace``, ``sync_folder``, ``truncate``, ``link``.
    """


@contextmanager
def state_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StateError that names *path* and the next step."""
    try:
        yield
    except OSError as error:
        raise as_state_error(error, path) from error


def as_state_error(error: OSError, path: Path) -> StateError:
    """Return the StateError for a failed operation on *path*."""
    if error.errno in _DISK_FULL:
        code, hint = "state_disk_full", "free some space on that disk, then try again"
    elif error.errno in _NO_PERMISSION:
        code, hint = "state_no_permission", "give this user read and write access to that folder, then try again"
    else:
        code, hint = "state_io_error", "check the disk, then run: apex state check"
    details = {"path": str(path), "errno": error.errno}
    return StateError(code, f"{path}: {error.strerror or error}", hint=hint, details=details)


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


def write_atomically(path: Path, *parts: bytes | bytearray) -> None:
    """Replace *path* by a file of mode 0600 that holds *parts*; on return it survives a power loss.

    Temporary file in the same folder, write, sync, rename, sync of the folder.

    Raises:
        StateError: it could not be written. The old version stands, unless the very last step
            failed: then the new one is in place, but perhaps not for a power loss.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.tmp")
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
            path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            sync_folder(path.parent)


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
