"""The demo and the first configuration: real prices, six signals, and commented files to start from."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from apex_cli.core.errors import InputError

if TYPE_CHECKING:
    from apex_cli.settings.first import FirstAnswers

PACKAGED = Path(__file__).parent
SYMBOLS = ("AAPL", "IBM", "MSFT")


def write_demo(folder: Path) -> list[Path]:
    """Write a complete demo into *folder* and return its files: configuration, signals and price bars.

    One run of it executes two signals, queues one and turns three down; playing on, one position
    reaches its target and one its stop.

    Raises:
        InputError: one of the files is there already, nothing is written; or *folder* cannot be written.
    """
    bars = [f"{symbol}.csv" for symbol in SYMBOLS]
    files = {folder / name: _packaged(name) for name in ("config.yaml", "signals.json")}
    files |= {folder / "bars" / name: _packaged(name) for name in (*bars, "ORIGIN.md")}
    return _write_new(files)


def write_config(folder: Path) -> Path:
    """Write ``config.yaml`` with every key, its default and its meaning into *folder*, and return its path.

    Raises:
        InputError: it is there already, or *folder* cannot be written.
    """
    from apex_cli.settings.reference import render_reference_config  # noqa: PLC0415 - start-up is a feature

    return _write_new({folder / "config.yaml": render_reference_config()})[0]


def write_first(folder: Path, answers: FirstAnswers) -> list[Path]:
    """Write the short ``config.yaml`` of *answers*, its folder of signals, and a file for secrets where one is needed.

    Raises:
        InputError: a file is there already, nothing is written; or *folder* cannot be written.
    """
    from apex_cli.settings.first import SECRETS_FILE, Phone, first_config, secrets_text  # noqa: PLC0415 - start-up

    files = {folder / "config.yaml": first_config(answers, Path.cwd() / folder)}
    if answers.phone is not Phone.NONE:
        files[folder / SECRETS_FILE] = secrets_text(answers.phone)
    return _write_new(files, (folder / answers.signals,))


def write_strategy(folder: Path, name: str) -> list[Path]:
    """Write a strategy *name* and its test into *folder*, and return their paths.

    Raises:
        InputError: one of them is there already, nothing is written; or *folder* cannot be written.
    """
    from apex_cli.demo.strategy_files import strategy_files  # noqa: PLC0415 - start-up is a feature

    return _write_new({folder / file: text for file, text in strategy_files(name).items()})


def require_new(path: Path) -> None:
    """Let *path* be free.

    Raises:
        InputError: something is there.
    """
    if path.exists() or path.is_symlink():
        raise _exists(path)


def _packaged(name: str) -> str:
    return (PACKAGED / name).read_text(encoding="utf-8")


def _write_new(files: dict[Path, str], folders: tuple[Path, ...] = ()) -> list[Path]:
    """Write all *files* and make the *folders*; nothing is left behind when one of them cannot be, or Ctrl-C comes."""
    for path in files:
        require_new(path)
    made: list[Path] = []
    try:
        for folder in (*(path.parent for path in files), *folders):
            _make_folder(folder, made)
        for path, text in files.items():
            _write(path, text, made)
    except BaseException:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise
    return list(files)


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make *folder* and what is missing above it, and note each in *made*."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir()
        except OSError as error:
            raise _cannot_write(each, error) from None
        made.append(each)
    if not folder.is_dir():
        raise _cannot_write(folder, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))


def _write(path: Path, text: str, made: list[Path]) -> None:
    """Write a new file that only its owner can read where it is for secrets."""
    mode = 0o600 if path.suffix == ".env" else 0o666
    try:
        with open(path, "x", encoding="utf-8", newline="\n", opener=partial(os.open, mode=mode)) as stream:
            made.append(path)
            stream.write(text)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(
        "cannot_write",
        f"{path} cannot be written: {error.strerror}.",
        hint="Name a folder that you may write to.",
        details={"file": str(path)},
    )


def _exists(path: Path) -> InputError:
    return InputError(
        "file_exists",
        f"{path} exists and is never overwritten.",
        hint="Name another folder, or move the file away.",
        details={"file": str(path)},
    )
