"""Bars of a slow source, kept on disk: one private file per symbol, written whole or not at all.

A file is fresh for a set time. After that only what came since is asked for, with some bars of overlap: where
those differ from what was kept (a split, a correction) everything is asked for again. A file that cannot be
read is ignored with a warning; a source that fails is stood in for by what is kept, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec

from apex_cli.core.adapters.atomic_file import ensure_private_dir, read_bytes, write_atomically
from apex_cli.core.errors import ApexError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.base import Value
from apex_cli.core.model.market import Bar, bars_between
from apex_cli.core.model.reason import Reason
from apex_cli.core.ports import BarSource, Clock

FORMAT = 1
OVERLAP = 5
"""Kept bars that are asked for again."""


class Kept(Value, frozen=True, kw_only=True):
    """What one file holds."""

    format: int
    symbol: str
    fetched_at: datetime
    bars: tuple[Bar, ...]
    """Complete bars, oldest first."""


class CachedBars:
    """A ``BarSource`` in front of another one."""

    def __init__(
        self,
        source: BarSource,
        folder: Path,
        *,
        clock: Clock,
        fresh_for: timedelta,
        notice: Callable[[Reason, str], None],
        read_only: bool = False,
    ) -> None:
        """Keep bars of *source* in *folder*; with *read_only* nothing is written."""
        self._source = source
        self._folder = folder
        self._clock = clock
        self._fresh_for = fresh_for
        self._notice = notice
        self._read_only = read_only
        self._kept: dict[str, Kept] = {}

    def symbols(self) -> Sequence[str]:
        """Return the symbols of the source."""
        return self._source.symbols()

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``, oldest first.

        Raises:
            ApexError: the source failed, and nothing is kept.
        """
        return bars_between(self._fresh(symbol).bars, after, until)

    def _fresh(self, symbol: str) -> Kept:
        now = self._clock.now()
        kept = self._kept.get(symbol) or self._read(symbol)
        if kept is None or not timedelta() <= now - kept.fetched_at < self._fresh_for:
            kept = self._fetched(symbol, kept, now)
        self._kept[symbol] = kept
        return kept

    def _fetched(self, symbol: str, kept: Kept | None, now: datetime) -> Kept:
        """Ask the source for what is missing; when it fails, continue with what is kept."""
        try:
            bars = self._asked(symbol, kept.bars if kept is not None else (), now)
        except ApexError as error:
            if kept is None:
                raise
            reported = f"Bars of {symbol} are those of {kept.fetched_at:%Y-%m-%d %H:%M} UTC: {error.message}"
            self._notice(Reason(code="bars_not_refreshed", message=reported), symbol)
            return kept
        fresh = Kept(format=FORMAT, symbol=symbol, fetched_at=now, bars=bars)
        self._write(fresh)
        return fresh

    def _asked(self, symbol: str, known: tuple[Bar, ...], now: datetime) -> tuple[Bar, ...]:
        if len(known) > OVERLAP:
            firm, overlap = known[:-OVERLAP], known[-OVERLAP:]
            news = tuple(self._source.bars(symbol, after=firm[-1].end, until=now + LAST_SECOND))
            if news[:OVERLAP] == overlap:
                return firm + news
        return tuple(self._source.bars(symbol, until=now + LAST_SECOND))

    def _path(self, symbol: str) -> Path:
        return self._folder / f"{quote(symbol, safe='')}.json"

    def _read(self, symbol: str) -> Kept | None:
        path = self._path(symbol)
        try:
            content = read_bytes(path)
            kept = msgspec.json.decode(content, type=Kept) if content is not None else None
        except (ApexError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._spoiled(path, symbol)
            return None
        if kept is not None and (kept.format, kept.symbol) != (FORMAT, symbol):
            self._spoiled(path, symbol)
            return None
        return kept

    def _spoiled(self, path: Path, symbol: str) -> None:
        reported = f"{path} cannot be used: bars of {symbol} are asked for again."
        self._notice(Reason(code="bar_cache_damaged", message=reported), symbol)

    def _write(self, kept: Kept) -> None:
        """Keep it; a disk that is full costs the next run some time, nothing else."""
        if self._read_only:
            return
        try:
            ensure_private_dir(self._folder)
            write_atomically(self._path(kept.symbol), msgspec.json.encode(kept))
        except ApexError as error:
            self._notice(Reason(code="bar_cache_unwritable", message=error.message), str(self._folder))
