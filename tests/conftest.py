"""How hypothesis plays: the same examples in every run, without a clock.

``EXPLORE=1 python -m pytest`` looks at new ones, which is what finds bugs.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("explore" if os.environ.get("EXPLORE") else "same")
