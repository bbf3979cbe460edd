"""What a power loss would take: a model of one disk, kept beside the real one while a process works.

Bytes of a file are safe after its sync, names of a folder after the folder's. What is not safe is taken back when the
power fails: of each file some blocks, of each folder the newest changes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

BLOCK = 512

BeforeWrite = Callable[[int, bytes], None]
"""Hears of a descriptor and what is about to be written to it."""


class Names(NamedTuple):
    """The files of a folder at one moment: inode by name."""

    inodes: dict[str, int]


class Disk:
    """Follows writes and names since they were last safe."""

    def __init__(self, random: Random) -> None:
        """Take everything as safe so far."""
        self._random = random
        self._safe: dict[int, bytes] = {}
        """Safe content by inode, of files with writes that are not."""

        self._history: dict[Path, list[Names]] = {}
        """By folder: the safe names first, then those after each change."""

        self._open: dict[int, int] = {}
        """A descriptor of ours by inode, so that nothing is gone before the power is."""

    def before_reserving(self, descriptor: int) -> None:
        """Take the room as safe or not: a power loss leaves zeros there, or not even those."""
        if self._random.random() < 0.5:
            self.before_write(descriptor)

    def before_write(self, descriptor: int) -> None:
        """Remember the safe content of a file that is about to change."""
        inode = os.fstat(descriptor).st_ino
        if inode not in self._safe:
            self._keep(inode, Path(f"/proc/self/fd/{descriptor}"))
            self._safe[inode] = self._content(inode)

    def synced(self, descriptor: int) -> None:
        """Take a file's content, or a folder's names, as safe."""
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._history.pop(Path(f"/proc/self/fd/{descriptor}").readlink(), None)
        else:
            self._safe.pop(found.st_ino, None)

    def names(self, folder: Path) -> None:
        """Look at the names in *folder*, before and after they change."""
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not to be followed
        found: dict[str, int] = {}
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False):
                inode = entry.stat(follow_symlinks=False).st_ino
                self._keep(inode, folder / entry.name)
                found[entry.name] = inode
        history = self._history.setdefault(folder, [])
        if not history or history[-1].inodes != found:
            history.append(Names(found))

    def _keep(self, inode: int, path: Path) -> None:
        if inode not in self._open:
            self._open[inode] = os.open(path, os.O_RDONLY)

    def _content(self, inode: int) -> bytes:
        descriptor = self._open[inode]
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    def lose_power(self) -> None:
        """Leave on the real disk what this one would have after a power loss."""
        contents = {inode: self._survivor(inode) for inode in self._safe}
        for folder in self._history:
            self.names(folder)
        for folder, history in self._history.items():
            self._rewrite(folder, self._random.choice(history).inodes, contents)
        renamed = {inode for history in self._history.values() for names in history for inode in names.inodes.values()}
        for inode in contents.keys() - renamed:
            path = Path(f"/proc/self/fd/{self._open[inode]}").readlink()
            if path.exists():
                path.write_bytes(contents[inode])

    def _survivor(self, inode: int) -> bytes:
        """Return what is left of a file: of an append a beginning, of what was written over old blocks and new ones."""
        old, new = self._safe[inode], self._content(inode)
        if new.startswith(old):
            return new[: self._random.randint(len(old), len(new))]
        size = self._random.choice((len(old), len(new)))
        left = bytearray()
        for start in range(0, size, BLOCK):
            source = self._random.choice((old, new))
            left += source[start : start + BLOCK].ljust(BLOCK, b"\0")
        return bytes(left[:size])

    def _rewrite(self, folder: Path, names: dict[str, int], contents: dict[int, bytes]) -> None:
        kept = {inode: contents.get(inode, self._content(inode)) for inode in names.values()}
        for entry in list(os.scandir(folder)):
            if entry.is_file(follow_symlinks=False) and not entry.name.endswith(".lock"):
                Path(entry.path).unlink()
        written: dict[int, Path] = {}
        for name, inode in names.items():
            path = folder / name
            if inode in written:
                os.link(written[inode], path)
            elif not path.exists():
                path.touch(mode=0o600)
                path.write_bytes(kept[inode])
                written[inode] = path


class WatchedOs:
    """The module ``os`` for one other module, with a disk that follows and a chance to be cut off."""

    def __init__(self, disk: Disk | None, before: BeforeWrite) -> None:
        """Report *disk* what happens, and ask *before* ahead of every write."""
        self._disk = disk
        self._before = before

    def __getattr__(self, name: str) -> object:
        """Everything else is as it is."""
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        folder = Path(path).parent
        if self._disk and flags & os.O_CREAT:
            self._disk.names(folder)
        descriptor = os.open(path, flags, mode)
        if self._disk and flags & os.O_CREAT:
            self._disk.names(folder)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        if self._disk:
            self._disk.before_write(descriptor)
        self._before(descriptor, bytes(data))
        return os.write(descriptor, data)

    def writev(self, descriptor: int, parts: list[bytes]) -> int:
        if self._disk:
            self._disk.before_write(descriptor)
        self._before(descriptor, b"".join(parts))
        return os.writev(descriptor, parts)

    def posix_fallocate(self, descriptor: int, offset: int, size: int) -> None:
        if self._disk:
            self._disk.before_reserving(descriptor)
        os.posix_fallocate(descriptor, offset, size)

    def ftruncate(self, descriptor: int, size: int) -> None:
        if self._disk:
            self._disk.before_write(descriptor)
        os.ftruncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        if self._disk:
            self._disk.synced(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)
        if self._disk:
            self._disk.synced(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._around_names(target, lambda: source.replace(target))

    def unlink(self, path: Path) -> None:
        self._around_names(path, path.unlink)

    def link(self, source: Path, target: Path) -> None:
        self._around_names(target, lambda: os.link(source, target))

    def _around_names(self, target: Path, change: Callable[[], None]) -> None:
        if self._disk:
            self._disk.names(Path(target).parent)
        change()
        if self._disk:
            self._disk.names(Path(target).parent)
