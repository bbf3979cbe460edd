"""Pictures of real screens: what apex draws at a terminal, as SVG."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PATIENCE_S = 20
ID = re.compile(r"01[0-9A-HJKMNP-TV-Z]{24}")
FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", flags=re.DOTALL)


class Picture(NamedTuple):
    """What a picture shows."""

    command: str
    width: int
    until: str = ""
    """Words after which the program waits for a key; empty: to its end."""


PICTURES = {
    "explain.svg": Picture("apex explain", 96),
    "approve.svg": Picture("apex approve", 80, "[q]uit"),
}
"""By file, in the demo after its first run."""


def drawn(picture: Picture, folder: Path, environ: dict[str, str]) -> str:
    """Return what the command of *picture* draws at a terminal, with its colours."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "apex_cli", *picture.command.split()[1:]],
        cwd=folder,
        env={**environ, "TERM": "xterm-256color", "COLUMNS": str(picture.width), "LINES": "40"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        return _read(master, picture.until)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _read(master: int, until: str) -> str:
    found = b""
    while not until or until.encode() not in found:
        if not select.select([master], [], [], PATIENCE_S)[0]:
            break
        try:
            more = os.read(master, 65536)
        except OSError:  # the program has ended
            break
        if not more:
            break
        found += more
    return ID.sub("01JAPEXEXAMPLE000000000000", found.decode().replace("\r\n", "\n"))


def as_svg(picture: Picture, text: str) -> str:
    """Return a drawn screen as SVG, below the command that was typed; nothing is fetched to show it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=picture.width, file=io.StringIO())
    console.print(Text(f"$ {picture.command}", style="bold"))
    console.print(Text.from_ansi(text.rstrip("\n")))
    svg = console.export_svg(title="apex", unique_id=f"apex-{picture.command.split()[1]}")
    return FONT_FACE.sub("", svg).replace("font-family: Fira Code, monospace", "font-family: monospace")


def pictures(folder: Path, environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the SVG of each picture, drawn in the demo in *folder*."""
    for name, picture in PICTURES.items():
        yield name, as_svg(picture, drawn(picture, folder, environ))
