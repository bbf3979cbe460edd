"""Where protections look: price histories, and files that are read again when they change."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from apex_cli.core.errors import ApexError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apex_cli.core.decision.protection_inputs import Events, ProtectionSources
    from apex_cli.core.model.calendar_event import CalendarEvent
    from apex_cli.core.ports import BarSource
    from apex_cli.settings.sections import Settings

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """What a file says, read again when it has changed; one that cannot be used says so each time."""

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        """Read nothing yet."""
        self._path = path
        self._read = read
        self._seen: tuple[int, int] | None = None
        self._found: T | ApexError | None = None

    def __call__(self) -> T:
        """Return what the file says now.

        Raises:
            ApexError: it cannot be read, or something in it is wrong.
        """
        seen = self._look()
        if self._found is None or seen != self._seen:
            self._seen = seen
            try:
                self._found = self._read(self._path)
            except ApexError as error:
                self._found = error
        if isinstance(self._found, ApexError):
            raise self._found
        return self._found

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def make_protection_sources(settings: Settings, bars: BarSource | None) -> ProtectionSources | None:
    """Return where the protections of *settings* look, None without any; nothing is opened before one needs it.

    *bars* are price histories that are open already; None: those of ``prices.bars_dir``.
    """
    from apex_cli.core.model.protections import NO_PROTECTIONS

    if settings.protections.limits is NO_PROTECTIONS:
        return None
    from apex_cli.core.decision.protection_inputs import ProtectionSources

    @cache
    def opened() -> BarSource | None:
        from apex_cli.app.market_parts import open_bars

        return bars or open_bars(settings)

    return ProtectionSources(bars=opened, sectors=sector_file(settings), events=_events(settings))


def _events(settings: Settings) -> Events | None:
    """Return what reads the calendars; None without any."""
    blackout = settings.protections.blackout
    if not blackout.files:
        return None
    from apex_cli.core.adapters.files.event_calendars import read_calendar

    files = [
        WatchedFile(path, partial(_by_symbol, partial(read_calendar, zone=blackout.zone))) for path in blackout.files
    ]

    def about(names: frozenset[str]) -> Iterator[CalendarEvent]:
        for file in files:
            by_symbol = file()
            for name in ("", *sorted(names)):
                yield from by_symbol.get(name, ())

    return lambda names: tuple(about(names))


def _by_symbol(read: Callable[[Path], Iterable[CalendarEvent]], path: Path) -> Mapping[str, list[CalendarEvent]]:
    from apex_cli.core.model.spelling import canonical_tickers

    found: dict[str, list[CalendarEvent]] = {}
    for event in read(path):
        for name in canonical_tickers(event.symbol) if event.symbol else ("",):
            found.setdefault(name, []).append(event)
    return found


def examined_sources(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each source that a configured protection needs, and why it cannot be used; empty where it can."""
    limits, sources = settings.protections.limits, make_protection_sources(settings, None)
    if sources is None:
        return
    if limits.sectors.is_on:
        yield "sectors", _trouble_of(sources.sectors)
    if sources.events is not None:
        events = sources.events
        yield "blackout", _trouble_of(lambda: events(frozenset()))
    needs = (limits.correlation.max_open_risk_pct, limits.beta.max_exposure, limits.sizing.volatility_target)
    if any(need is not None for need in needs):
        without = "" if settings.prices.bars_dir is not None else "There is no price history: set prices.bars_dir."
        yield "protection_bars", _trouble_of(sources.bars) or without


def _trouble_of(read: Callable[[], object]) -> str:
    try:
        read()
    except ApexError as error:
        return error.message
    return ""


def sector_file(settings: Settings) -> Callable[[], Mapping[str, str]]:
    """Return what reads the sector of each symbol."""
    path = settings.protections.sectors.file
    if path is None:
        return _no_file
    from apex_cli.core.adapters.files.sectors import read_sectors

    return WatchedFile(path, read_sectors)


def _no_file() -> Mapping[str, str]:
    raise InputError("sectors_missing", "There is no file of sectors: set protections.sectors.file.")
