"""What holds for every test: laws are checked without a clock, as a busy machine is no counterexample."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("apex", deadline=None)
settings.load_profile("apex")
