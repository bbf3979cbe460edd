"""The README and the pages in ``apex_cli/docs``: what they name exists, and every page can be reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "apex_cli" / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PLACES = (ROOT, ROOT / "apex_cli", ROOT / "apex_cli" / "core")
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)+(?:\.py|\.md)?|[a-z_]+\.py)(?:\.[a-z_]+)?`")
LINK = re.compile(r"\]\(([^)#]+)\)")
MOST_BYTES = 9_000


@pytest.mark.parametrize("page", ["developing.md"])
def test_every_module_that_a_page_names_is_there(page: str) -> None:
    named = set(NAMED.findall((DOCS / page).read_text(encoding="utf-8")))
    assert len(named) > 20
    missing = [name for name in sorted(named) if not any(_exists(place / name) for place in PLACES)]
    assert missing == []


def _exists(path: Path) -> bool:
    return path.exists() or path.with_suffix(".py").exists()


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_is_in_the_repository(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert [page.name for page in PAGES if f"apex_cli/docs/{page.name}" not in text] == []
