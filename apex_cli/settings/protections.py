"""Section ``protections`` as a file spells it: what a decision reads, and the files that it is read from."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from apex_cli.core.model.base import Value
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections, SectorLimits


class SectorSettings(SectorLimits, frozen=True, kw_only=True):
    """Section ``protections.sectors``: what one sector may have open."""

    file: Path | None = None
    """CSV file with the columns symbol and sector, or a YAML mapping; read again when it changes."""


class ProtectionSettings(Protections, frozen=True, kw_only=True):
    """Section ``protections``: locks after bad trades, budgets, caps and blackouts; all of it is off until set."""

    sectors: SectorSettings = SectorSettings()
    """What one sector may have open."""

    @property
    def limits(self) -> Protections:
        """The part that a decision reads; the same value wherever nothing is configured."""
        parts = {name: getattr(self, name) for name in Protections.__struct_fields__}
        made = Protections(**parts | {"sectors": _base(self.sectors, SectorLimits)})
        return NO_PROTECTIONS if made == NO_PROTECTIONS else made


T = TypeVar("T", bound=Value)


def _base(settings: Value, section: type[T]) -> T:
    """Return the keys of *settings* that *section* has."""
    return section(**{name: getattr(settings, name) for name in section.__struct_fields__})
