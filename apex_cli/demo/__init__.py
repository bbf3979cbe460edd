"""The demo and the first configuration: real prices, six signals, and commented files to start from."""

from __future__ import annotations

from pathlib import Path

from apex_cli.core.errors import InputError

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


def _packaged(name: str) -> str:
    return (PACKAGED / name).read_text(encoding="utf-8")


def _write_new(files: dict[Path, str]) -> list[Path]:
    """Write all *files*, or none when one of them exists."""
    for path in files:
        if path.exists() or path.is_symlink():
            raise _exists(path)
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except FileExistsError:
            raise _exists(path) from None
        except OSError as error:
            raise InputError(
                "cannot_write",
                f"{path} cannot be written: {error.strerror}.",
                hint="Name a folder that you may write to.",
                details={"file": str(path)},
            ) from None
    return list(files)


def _exists(path: Path) -> InputError:
    return InputError(
        "file_exists",
        f"{path} exists and is never overwritten.",
        hint="Name another folder, or move the file away.",
        details={"file": str(path)},
    )
