"""Finished replays of a sweep, saved one by one, so that an interrupted sweep can continue."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from apex_cli import __version__
from apex_cli.core.model.base import Value
from apex_cli.core.reports.replay_report import SweepRow

if TYPE_CHECKING:
    from apex_cli.app.replayer import ReplayOptions
    from apex_cli.settings.sections import Settings


class SweepTask(Value, frozen=True, kw_only=True):
    """One replay of a sweep: what a row is the result of."""

    values: dict[str, str]
    settings: Settings
    options: ReplayOptions


class KeptRow(Value, frozen=True, kw_only=True):
    """One line of the file."""

    inputs: str
    """Mark of everything that the row depends on."""

    row: SweepRow


class KeptRows:
    """A file of rows beside a grid; it is there only while the sweep is unfinished."""

    def __init__(self, path: Path) -> None:
        """Read what an interrupted sweep left at *path*; a line that was cut off is none."""
        self.path = path
        self._marks: dict[Path, str] = {}
        self._rows: dict[str, SweepRow] = {}
        self._decode = msgspec.json.Decoder(KeptRow).decode
        self._is_writable = True
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                kept = self._decode(line)
            except msgspec.MsgspecError:
                continue
            self._rows[kept.inputs] = kept.row

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    def count(self, tasks: Iterable[SweepTask]) -> int:
        """Return for how many of *tasks* there is a row."""
        return sum(self.row_of(task) is not None for task in tasks) if self._rows else 0

    def row_of(self, task: SweepTask) -> SweepRow | None:
        """Return the row of *task*, if the same replay was finished before."""
        return self._rows.get(self._inputs_of(task))

    def add(self, task: SweepTask, row: SweepRow) -> None:
        """Write *row* down; where that is not possible, the sweep continues without."""
        line = msgspec.json.encode(KeptRow(inputs=self._inputs_of(task), row=row))
        if not self._is_writable:
            return
        try:
            with self.path.open("ab") as stream:
                stream.write(b"\n" + line)  # first, as an interruption may have cut off the line before
        except OSError:
            self._is_writable = False

    def forget(self) -> None:
        """Remove the file: the sweep is finished."""
        self._rows.clear()
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            self._is_writable = False

    def _inputs_of(self, task: SweepTask) -> str:
        """Return a mark that changes with settings, options, bars, code and version."""
        folder = task.options.bars_dir
        if folder not in self._marks:
            self._marks[folder] = _mark_of(_read_by(task.options))
        options = msgspec.json.encode(task.options, enc_hook=str)
        code = _mark_of(_code_beside(task.settings)).encode()
        parts = (__version__.encode(), self._marks[folder].encode(), code, _settings_of(task.settings), options)
        return blake2b(b"\0".join(parts), digest_size=16).hexdigest()


def _read_by(options: ReplayOptions) -> list[Path]:
    """Return the files that a replay reads; a folder beside the bars, as of bars that are kept, is none."""
    actions = (options.actions,) if options.actions is not None else ()
    bars = sorted(path for path in options.bars_dir.iterdir() if path.is_file())
    return [*bars, *options.signals, *actions]


def _code_beside(settings: Settings) -> list[Path]:
    """Return the modules beside the configuration: steps, scanners and strategies of the user's own may be there."""
    return sorted(settings.source.parent.glob("*.py")) if settings.source is not None else []


def _settings_of(settings: Settings) -> bytes:
    return msgspec.json.encode(settings, enc_hook=str)


def _mark_of(paths: list[Path]) -> str:
    """Return names, sizes and times of change of *paths*."""
    known = []
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        known.append(f"{path.name} {found.st_size} {found.st_mtime_ns}")
    return "\n".join(known)
