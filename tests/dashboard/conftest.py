"""Lets the tests of this folder share their busy day and their browser."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
