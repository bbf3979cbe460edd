"""The base of every value."""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable record; change it with ``msgspec.structs.replace``.

    Values refer only to what was there before them, so they never form a cycle, and the garbage
    collector need not look at them (``gc=False``).
    """
