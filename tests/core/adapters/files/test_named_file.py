"""Files that a person names: pipes, devices, folders and links that lead in a circle."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from apex_cli.core.adapters.files import named_file
from apex_cli.core.adapters.files.named_file import open_named, read_named


def test_a_plain_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 1_000)
    assert read_named(path, 1_000) == b"x" * 1_000
    with pytest.raises(OSError, match="larger than"):
        read_named(path, 999)


def test_a_device_without_an_end_is_refused_for_its_size() -> None:
    with pytest.raises(OSError, match="larger than 1 MB"):
        read_named(Path("/dev/zero"), 1_000_000)


def test_a_pipe_that_nobody_writes_to_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_file, "PIPE_PATIENCE", 0.2)
    path = tmp_path / "signals.json"
    os.mkfifo(path)
    with pytest.raises(TimeoutError, match="nothing came"):
        read_named(path)


def test_a_pipe_is_read_to_the_end_of_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "signals.json"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"one\ntwo\n" * 30_000))
    writer.start()
    with open_named(path) as stream:
        lines = stream.readlines()
    writer.join()
    assert lines == [b"one\n", b"two\n"] * 30_000


def test_a_pipe_that_a_shell_hands_over_is_read() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"[]")
        os.close(writing)
        assert read_named(Path(f"/dev/fd/{reading}")) == b"[]"
    finally:
        os.close(reading)


@pytest.mark.parametrize("kind", ["folder", "circle", "missing"])
def test_what_is_no_file_is_an_error_of_the_system(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(OSError, match=r"directory|symbolic links|No such file"):
        read_named(path)
    assert set(Path("/proc/self/fd").iterdir()) <= before
