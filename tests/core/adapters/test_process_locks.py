from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apex_cli.core.adapters.process_locks import ExecutorLock, ProcessLock
from apex_cli.core.errors import BusyError, ExitStatus, StateError

HOLD = """
import sys, pathlib
from apex_cli.core.adapters.process_locks import ExecutorLock
sys.argv = ["/usr/bin/apex", "run", "--token=secret"]
lock = ExecutorLock(pathlib.Path(sys.stdin.readline().strip()))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{folder}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "held\n"
    return child


def test_a_second_process_is_reported_who_holds_the_executor_and_a_killed_holder_frees_it(tmp_path: Path) -> None:
    lock = ExecutorLock(tmp_path)
    with start_holder(tmp_path) as child:
        assert lock.is_held_elsewhere()
        with pytest.raises(BusyError) as caught:
            lock.acquire()
        assert caught.value.status is ExitStatus.BUSY
        assert f"apex run (pid {child.pid})" in caught.value.message
        assert "secret" not in caught.value.message
        child.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        child.wait()
    assert not lock.is_held_elsewhere()
    with lock:
        assert lock.is_held
        assert lock.holder().endswith(f"(pid {os.getpid()})")


def test_two_locks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    one, other = ExecutorLock(tmp_path), ExecutorLock(tmp_path)
    with one:
        assert other.is_held_elsewhere()
        assert not one.is_held_elsewhere()
        with pytest.raises(BusyError):
            other.acquire()
    other.acquire()
    other.release()


def test_acquiring_twice_and_releasing_twice_is_harmless(tmp_path: Path) -> None:
    lock = ExecutorLock(tmp_path)
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    assert not lock.is_held
    assert not ExecutorLock(tmp_path).is_held_elsewhere()


def test_asking_creates_no_file(tmp_path: Path) -> None:
    assert not ExecutorLock(tmp_path / "state").is_held_elsewhere()
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_is_a_file_is_a_state_error_and_not_busy(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError):
        ExecutorLock(tmp_path / "state").acquire()


def test_a_process_lock_is_free_again_after_a_drop_and_held_until_then(tmp_path: Path) -> None:
    one, other = ProcessLock(tmp_path / "lock"), ProcessLock(tmp_path / "lock")
    for _ in range(3):
        assert one.take(0)
        assert one.take(0)
        assert not other.take(0.02)
        one.drop()
        assert other.take(0)
        other.drop()
        other.drop()


def test_a_lock_file_that_was_removed_does_not_let_two_in(tmp_path: Path) -> None:
    one, other = ProcessLock(tmp_path / "lock"), ProcessLock(tmp_path / "lock")
    assert one.take(0)
    one.drop()
    (tmp_path / "lock").unlink()
    assert other.take(0)
    assert not one.take(0.02)
    other.drop()
    assert one.take(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_neither_shares_the_lock_nor_gives_it_away(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "lock")
    assert lock.take(0)
    child = os.fork()
    if child == 0:
        try:
            was_ours = lock.is_held or lock.take(0.02)
            lock.drop()
            os._exit(1 if was_ours else 0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lock.is_held
    assert not ProcessLock(tmp_path / "lock").take(0)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_reported_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StateError) as caught:
        ProcessLock(tmp_path / "lock").take(0)
    assert caught.value.code == "state_no_locks"
    assert "local disk" in caught.value.hint
