from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from apex_cli.core.adapters import atomic_file
from apex_cli.core.adapters.process_locks import ProcessLock
from apex_cli.core.errors import ExitStatus, StateError


def fail_at(monkeypatch: pytest.MonkeyPatch, point: str, number: int) -> None:
    def fault(here: str, path: Path) -> None:
        if here == point:
            raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(atomic_file, "_fault", fault)


def test_a_file_is_replaced_as_a_whole_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old and longer than the new content")
    path.chmod(0o644)
    atomic_file.write_atomically(path, b"ne", b"w")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("point", ["open", "write", "sync", "replace"])
def test_a_failure_before_the_rename_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    path = tmp_path / "a.json"
    atomic_file.write_atomically(path, b"old")
    fail_at(monkeypatch, point, errno.EIO)
    with pytest.raises(StateError):
        atomic_file.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "state_disk_full"),
        (errno.EDQUOT, "state_disk_full"),
        (errno.EACCES, "state_no_permission"),
        (errno.EROFS, "state_no_permission"),
        (errno.EIO, "state_io_error"),
    ],
)
def test_each_kind_of_failure_has_its_code_path_and_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    fail_at(monkeypatch, "write", number)
    with pytest.raises(StateError) as caught:
        atomic_file.write_atomically(tmp_path / "a.json", b"new")
    assert caught.value.code == code
    assert caught.value.status is ExitStatus.STATE_DAMAGED
    assert str(tmp_path / "a.json") in caught.value.message
    assert caught.value.hint


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    atomic_file.write_atomically(tmp_path / "a.json", b"x" * 100)
    assert (tmp_path / "a.json").read_bytes() == b"x" * 100


def write_unsynced(path: Path, *parts: bytes, kept: list[bytes] | None = None) -> None:
    """Write *parts*; *kept* is where their keeper leaves what the file was by then."""
    atomic_file.write_unsynced(path, parts, lambda: None if kept is None else kept.append(path.read_bytes()))


def test_a_file_that_another_keeps_is_not_waited_for_and_appears_once_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    atomic_file.write_atomically(path, b"old and longer than the new content")
    fail_at(monkeypatch, "sync", errno.EIO)
    with pytest.raises(StateError):
        atomic_file.write_atomically(path, b"this one is waited for")
    kept: list[bytes] = []
    write_unsynced(path, b"n", b"", b"ew", kept=kept)
    assert (kept, path.read_bytes()) == ([b"old and longer than the new content"], b"new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("taken", [1, 4, 5, 9])
def test_parts_of_which_the_system_takes_a_piece_at_a_time_come_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    write, writev = os.write, os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: write(fd, b"".join(parts)[:taken]))
    monkeypatch.setattr(os, "write", lambda fd, data: writev(fd, [bytes(data)[:taken]]))
    write_unsynced(tmp_path / "a.json", b"0123", b"4", b"5678")
    assert (tmp_path / "a.json").read_bytes() == b"012345678"


def test_where_room_cannot_be_reserved_and_parts_not_be_gathered_they_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    monkeypatch.delattr(os, "writev")
    write_unsynced(tmp_path / "a.json", b"new", b"er")
    monkeypatch.delattr(os, "posix_fallocate")
    write_unsynced(tmp_path / "b.json", b"new", b"er")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes() == b"newer"


def test_leftovers_of_this_file_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / ".a.json.99-1.tmp").write_bytes(b"half")
    (tmp_path / ".b.json.99-1.tmp").write_bytes(b"half")
    assert atomic_file.remove_leftovers(tmp_path / "a.json") == 1
    assert [path.name for path in tmp_path.iterdir()] == [".b.json.99-1.tmp"]


def test_a_new_folder_is_private_and_an_old_one_is_left_alone(tmp_path: Path) -> None:
    atomic_file.ensure_private_dir(tmp_path / "deep" / "state")
    assert (tmp_path / "deep" / "state").stat().st_mode & 0o777 == 0o700
    (tmp_path / "mine").mkdir(mode=0o755)
    (tmp_path / "mine").chmod(0o755)
    atomic_file.ensure_private_dir(tmp_path / "mine")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755


def test_a_file_where_the_folder_should_be_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError):
        atomic_file.ensure_private_dir(tmp_path / "state")


def test_a_missing_file_reads_as_none_and_a_folder_as_an_error(tmp_path: Path) -> None:
    assert atomic_file.read_bytes(tmp_path / "a.json") is None
    with pytest.raises(StateError):
        atomic_file.read_bytes(tmp_path)


def test_without_hard_links_a_copy_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"content")
    fail_at(monkeypatch, "link", errno.EPERM)
    atomic_file.link_or_copy(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").write_bytes(b"changed")
    assert (tmp_path / "b").read_bytes() == b"content"


# Something else than a file


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_bytes(b"content")
    path.symlink_to(target)


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


ODD = [a_pipe, a_folder, a_link, a_link_to_itself, a_device, a_socket]


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("make", ODD)
def test_something_else_than_a_file_is_refused_by_name_and_never_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.json"
    make(path)
    for work in (
        lambda: atomic_file.read_bytes(path),
        lambda: atomic_file.copy_file(path, tmp_path / "copy"),
        lambda: ProcessLock(path).take(0),
    ):
        with pytest.raises(StateError) as caught:
            work()
        assert caught.value.code == "state_not_a_file"
        assert str(path) in caught.value.message
        assert caught.value.hint


def test_a_file_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(StateError) as caught:
        atomic_file.read_bytes(tmp_path / "a.json")
    assert caught.value.code == "state_file_too_large"


def test_parts_are_written_one_after_the_other(tmp_path: Path) -> None:
    atomic_file.write_parts(tmp_path / "a.json", (b"%d," % number for number in range(3)))
    assert (tmp_path / "a.json").read_bytes() == b"0,1,2,"


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOLCK, "local disk"),
        (errno.ENOSYS, "local disk"),
        (errno.ENOTSUP, "local disk"),
        (errno.EROFS, "writable"),
        (errno.ENOTDIR, "state.dir"),
        (errno.EISDIR, "apex state restore"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_trouble_with_the_place_names_the_way_out(number: int, hint: str) -> None:
    error = atomic_file.as_state_error(OSError(number, os.strerror(number)), Path("state/state.json"))
    assert error.status is ExitStatus.STATE_DAMAGED
    assert error.message.startswith("state/state.json: ")
    assert hint in error.hint
