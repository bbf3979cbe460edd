"""The pages in ``apex_cli/docs``: the modules that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = (ROOT, ROOT / "apex_cli", ROOT / "apex_cli" / "core")
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)+(?:\.py|\.md)?|[a-z_]+\.py)(?:\.[a-z_]+)?`")


@pytest.mark.parametrize("page", ["developing.md"])
def test_every_module_that_a_page_names_is_there(page: str) -> None:
    named = set(NAMED.findall((ROOT / "apex_cli" / "docs" / page).read_text()))
    assert len(named) > 20
    missing = [name for name in sorted(named) if not any(_exists(place / name) for place in PLACES)]
    assert missing == []


def _exists(path: Path) -> bool:
    return path.exists() or path.with_suffix(".py").exists()
