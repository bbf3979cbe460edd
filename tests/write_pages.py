"""Writes what the pages take from the program: ``PYTHONPATH=tests python tests/write_pages.py [PAGE ...]``.

The tables of commands and keys, and the pictures, are made again. The commands of each page are typed, and what they
print now is put in.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kit.pages import GENERATED, clean_environment, played_demo, refreshed, shell_for
from kit.pictures import pictures

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "apex_cli" / "docs"


def pages(names: list[str]) -> Iterator[Path]:
    """Yield the pages of these names, or all."""
    for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        if page.name not in GENERATED and (not names or page.stem in names):
            yield page


def refresh(page: Path, template: Path, folder: Path, environ: dict[str, str]) -> None:
    """Put into *page* what its commands print now."""
    text = page.read_text(encoding="utf-8")
    shell = shell_for(text, template, folder, environ)
    try:
        page.write_text(refreshed(text, shell), encoding="utf-8")
    finally:
        shell.close()


if __name__ == "__main__":
    for name, render in GENERATED.items():
        (DOCS / name).write_text(render(), encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        environ = clean_environment(Path(place) / "home")
        template = played_demo(Path(place), environ)
        for name, svg in pictures(template, environ):
            (DOCS / "pictures" / name).write_text(svg, encoding="utf-8")
        for page in pages(sys.argv[1:]):
            refresh(page, template, Path(place) / page.stem, environ)
