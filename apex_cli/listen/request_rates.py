"""Rate limits: a token bucket for each source."""

from __future__ import annotations


class Bucket:
    """Up to *per_minute* at once, filled again evenly over a minute."""

    __slots__ = ("_full", "_left", "_since")

    def __init__(self, per_minute: int) -> None:
        """Start full."""
        self._full = float(per_minute)
        self._left = self._full
        self._since: float | None = None

    def take(self, now_s: float) -> float:
        """Take one and return 0, or take none and return the seconds until there is one; *now_s* never goes back."""
        if self._since is not None:
            self._left = min(self._full, self._left + (now_s - self._since) * self._full / 60)
        self._since = now_s
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * 60 / self._full
