"""Section ``protections`` as a file spells it: what a decision reads, and the files that it is read from."""

from __future__ import annotations

from apex_cli.core.model.protections import NO_PROTECTIONS, Protections


class ProtectionSettings(Protections, frozen=True, kw_only=True):
    """Section ``protections``: locks after bad trades, budgets, caps and blackouts; all of it is off until set."""

    @property
    def limits(self) -> Protections:
        """The part that a decision reads; the same value wherever nothing is configured."""
        made = Protections(**{name: getattr(self, name) for name in Protections.__struct_fields__})
        return NO_PROTECTIONS if made == NO_PROTECTIONS else made
