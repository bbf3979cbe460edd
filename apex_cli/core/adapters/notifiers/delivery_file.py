"""How far each channel got: one small private file a channel, and a lock so that one process at a time delivers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import ensure_private_dir, read_bytes, write_atomically
from apex_cli.core.adapters.process_locks import ProcessLock
from apex_cli.core.errors import EXHAUSTING
from apex_cli.core.model.delivery import Delivery


class DeliveryFile:
    """One channel's place on disk."""

    __slots__ = ("_lock", "path")

    def __init__(self, folder: Path, channel: str) -> None:
        """Touch nothing yet."""
        self.path = folder / f"{channel}.json"
        self._lock = ProcessLock(folder / f"{channel}.lock")

    def exists(self) -> bool:
        """Return whether the channel was ever begun."""
        return self.path.exists()

    def load(self) -> Delivery:
        """Return where the channel stands; a file that is damaged counts as none, as nothing depends on it.

        Raises:
            StateError: it cannot be read.
        """
        data = read_bytes(self.path)
        try:
            return msgspec.json.decode(data, type=Delivery) if data else Delivery()
        except (msgspec.DecodeError, UnicodeDecodeError, *EXHAUSTING):
            return Delivery()

    def save(self, delivery: Delivery) -> None:
        """Keep where the channel stands.

        Raises:
            StateError: it cannot be written; the old one stands.
        """
        ensure_private_dir(self.path.parent.parent)
        ensure_private_dir(self.path.parent)
        write_atomically(self.path, msgspec.json.encode(delivery))

    def take(self) -> bool:
        """Become the one that delivers on this channel; False when another one is.

        Raises:
            StateError: the lock cannot be had at all.
        """
        return self._lock.take(0)

    def drop(self) -> None:
        """Let others deliver; safe to call twice."""
        self._lock.drop()
