from __future__ import annotations

import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest

from apex_cli.core.adapters import atomic_file
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


# Two files that take turns


def turn(path: Path, content: bytes) -> None:
    atomic_file.write_in_turn(path, [content[:3], content[3:]])


def test_two_files_take_turns_and_the_present_one_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    inodes = []
    for number in range(6):
        turn(path, b"version %d" % number)
        assert path.read_bytes() == b"version %d" % number
        assert path.stat().st_mode & 0o777 == 0o600
        inodes.append(path.stat().st_ino)
    assert len(set(inodes)) == 2
    assert all(one != other for one, other in pairwise(inodes))
    assert {found.name for found in tmp_path.iterdir()} == {"a.json", ".a.json.spare"}


def test_a_shorter_version_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"long " * 1000, b"long " * 900, b"short", b"long " * 1000, b"short"):
        turn(path, content)
        assert path.read_bytes() == content


def test_a_version_with_another_name_is_never_written_over(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.json", tmp_path / "kept.json"
    turn(path, b"first")
    os.link(path, kept)
    for number in range(4):
        turn(path, b"later %d" % number)
    assert kept.read_bytes() == b"first"
    assert path.read_bytes() == b"later 3"


@pytest.mark.parametrize("point", ["open", "write", "sync", "replace"])
def test_a_turn_that_fails_leaves_the_old_version_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    path = tmp_path / "a.json"
    turn(path, b"first")
    turn(path, b"second")
    with monkeypatch.context() as patch:
        fail_at(patch, point, errno.ENOSPC)
        with pytest.raises(StateError):
            turn(path, b"third")
    assert path.read_bytes() == b"second"
    assert not list(tmp_path.glob("*.tmp"))
    turn(path, b"fourth")
    assert path.read_bytes() == b"fourth"


def test_after_a_folder_that_could_not_be_synced_no_version_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    turn(path, b"first")
    before = os.open(path, os.O_RDONLY)
    with monkeypatch.context() as patch:
        fail_at(patch, "sync_folder", errno.EIO)
        with pytest.raises(StateError):
            turn(path, b"second")
    for number in range(3):
        turn(path, b"later %d" % number)
    assert os.read(before, 100) == b"first"
    os.close(before)


def test_without_hard_links_every_version_is_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.json"
    for number in range(3):
        turn(path, b"version %d" % number)
        assert path.read_bytes() == b"version %d" % number
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_short_writes_of_a_turn_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: os.write(descriptor, parts[0][:1]))
    turn(tmp_path / "a.json", b"x" * 100)
    assert (tmp_path / "a.json").read_bytes() == b"x" * 100


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOLCK, "local disk"),
        (errno.ENOSYS, "local disk"),
        (errno.ENOTSUP, "local disk"),
        (errno.EROFS, "writable"),
        (errno.ENOTDIR, "state.dir"),
        (errno.EISDIR, "apex state restore"),
    ],
)
def test_trouble_with_the_place_names_the_way_out(number: int, hint: str) -> None:
    error = atomic_file.as_state_error(OSError(number, os.strerror(number)), Path("state/state.json"))
    assert error.status is ExitStatus.STATE_DAMAGED
    assert error.message.startswith("state/state.json: ")
    assert hint in error.hint
