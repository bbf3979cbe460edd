"""The base of every value."""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable record; change it with ``msgspec.structs.replace``."""
