"""Section ``protections`` as a file spells it: what a decision reads, and the files that it is read from."""

from __future__ import annotations

from pathlib import Path

from apex_cli.core.model.base import taken_over
from apex_cli.core.model.protections import NO_PROTECTIONS, BlackoutLimits, Protections, SectorLimits
from apex_cli.settings.spellings import Zone


class SectorSettings(SectorLimits, frozen=True, kw_only=True):
    """Section ``protections.sectors``: what one sector may have open."""

    file: Path | None = None
    """CSV file with the columns symbol and sector, or a YAML mapping; read again when it changes."""


class BlackoutSettings(BlackoutLimits, frozen=True, kw_only=True):
    """Section ``protections.blackout``: dates on which nothing is opened."""

    files: tuple[Path, ...] = ()
    """Calendars: CSV files with symbol and date, or iCalendar files (extra calendar); read again when they change."""

    zone: Zone = "America/New_York"
    """Time zone of times that name none."""


class ProtectionSettings(Protections, frozen=True, kw_only=True):
    """Section ``protections``: locks after bad trades, budgets, caps and blackouts; all of it is off until set."""

    blackout: BlackoutSettings = BlackoutSettings()
    """Dates on which nothing is opened."""

    sectors: SectorSettings = SectorSettings()
    """What one sector may have open."""

    @property
    def limits(self) -> Protections:
        """The part that a decision reads; the same value wherever nothing is configured."""
        sectors, blackout = taken_over(SectorLimits, self.sectors), taken_over(BlackoutLimits, self.blackout)
        made = taken_over(Protections, self, sectors=sectors, blackout=blackout)
        return NO_PROTECTIONS if made == NO_PROTECTIONS and not self.blackout.files else made
