"""Who reads without a lock sees what was committed, however slow it is and whatever the writer does meanwhile."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.state import file_format
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.errors import StateError
from kit import an_event


def commit(store: TinyDbStore, reason: str) -> None:
    with store.transaction() as tx:
        tx.emit(an_event(reason, at=datetime.now(UTC)))  # noqa: TID251 - the hour of an event nobody looks at


@pytest.mark.parametrize("commits", [0, 1, 2, 3])
def test_a_slow_reader_never_sees_a_version_whose_commit_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    writer = TinyDbStore(tmp_path / "state", clock=SystemClock())
    for number in range(3):
        commit(writer, f"before {number}")

    def full(point: str, path: Path) -> None:
        if point == "replace" and path.name == "state.json":
            raise OSError(errno.ENOSPC, "No space left on device")

    def meanwhile() -> None:
        """Commit, then fail to, while a reader has an earlier version open."""
        for number in range(commits):
            commit(writer, f"meanwhile {number}")
        with monkeypatch.context() as patch:
            patch.setattr(atomic_file, "_fault", full)
            with pytest.raises(StateError):
                commit(writer, "never")

    opened = file_format.open_for_reading
    waiting = [meanwhile]

    def slow_open(path: Path) -> int:
        descriptor = opened(path)
        if waiting:
            waiting.pop()()
        return descriptor

    monkeypatch.setattr(file_format, "open_for_reading", slow_open)
    reader = TinyDbStore(tmp_path / "state", clock=SystemClock())
    reader.view()
    assert not waiting
    assert reader.generation == 3
    reader.view()
    assert reader.generation == 3 + commits
