"""Bars as they were read, kept beside their files: what has not changed is not read a second time.

One array a symbol, which several processes map into memory together, and a small file that says what it was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from apex_cli import __version__
from apex_cli.core.adapters.files.prices.bar_columns import array_of, columns_from
from apex_cli.core.adapters.files.prices.bar_series import Series
from apex_cli.core.model.base import Value
from apex_cli.core.text.text_table import FileHints

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = ".apex-bars"
FORM = 3
"""Of what is kept; another one is not read."""


class KeptBars(Value, frozen=True, kw_only=True):
    """What an array was made of, and what was said about it."""

    mark: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class BarStore:
    """The folder of arrays in a folder of bars; where nothing can be written, it stays empty."""

    __slots__ = ("_folder", "_hints")

    def __init__(self, folder: Path, hints: FileHints) -> None:
        """Keep arrays of the files in *folder*, read as *hints* say."""
        self._folder = folder / FOLDER
        self._hints = msgspec.json.encode(hints).decode()

    def read(self, symbol: str, mark: str) -> Series | None:
        """Return the bars of *symbol* as they were read from files of this *mark*; None where there are none."""
        try:
            import numpy as np

            kept = msgspec.json.decode(self._path(symbol, "json").read_bytes(), type=KeptBars)
            if kept.mark != mark:
                return None
            array = np.load(self._path(symbol, "npy"), mmap_mode="r", allow_pickle=False)
            bars, ends = columns_from(array, symbol)
        except (ImportError, OSError, ValueError, EOFError, msgspec.MsgspecError):
            return None
        return Series(bars, ends, kept.problems, kept.notes)

    def write(self, symbol: str, mark: str, series: Series) -> None:
        """Keep *series*, which was read from files of this *mark*; do nothing where that is not possible."""
        try:
            array = array_of(series.bars)
        except ImportError:
            return
        if array is None:
            return
        kept = KeptBars(mark=mark, problems=series.problems, notes=series.notes)
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            self._path(symbol, "json").unlink(missing_ok=True)
            self._replace(symbol, array)
            self._path(symbol, "json").write_bytes(msgspec.json.encode(kept))

    def _replace(self, symbol: str, array: NDArray[np.int64]) -> None:
        """Put *array* in the place of the one before, which another process may have mapped."""
        import os

        import numpy as np

        fresh = self._path(symbol, f"{os.getpid()}.new")
        with fresh.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
        fresh.replace(self._path(symbol, "npy"))

    def _path(self, symbol: str, ending: str) -> Path:
        return self._folder / f"{''.join(sign if sign.isalnum() else '_' for sign in symbol)}.{ending}"

    def mark_of(self, paths: Sequence[Path]) -> str:
        """Return names, sizes and times of change, and what else decides how files are read; empty without files.

        To be asked for before they are read: what is written to them meanwhile changes the mark.
        """
        try:
            looks = [(path.name, path.stat()) for path in paths]
        except OSError:
            looks = []
        if not looks:
            return ""
        files = ", ".join(f"{name} {look.st_size} {look.st_mtime_ns}" for name, look in looks)
        return f"{FORM} {__version__} {self._hints} {files}"
