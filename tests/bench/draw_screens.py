"""Draws every command as it looks at a terminal, for a person to look at.

``PYTHONPATH=tests python tests/bench/draw_screens.py FOLDER [WIDTH ...]`` plays the demo until one position is closed,
types every command at 60, 80, 100 and 200 columns, on a light and on a dark ground, and writes sheets of them as PNG.
What is wider than its terminal is named on standard error.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import resvg_py
from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme
from rich.text import Text
from typer.main import get_command

from apex_cli.cli import make_app
from apex_cli.commands import COMMANDS
from kit.pages import clean_environment, played_demo
from kit.pictures import Picture, drawn

WIDTHS = (60, 80, 100, 200)
THEMES = {"light": DEFAULT_TERMINAL_THEME, "dark": MONOKAI}
MOST_LINES = 110
"""Of one sheet."""

COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

WAITING = {
    "status": ("", "status"),
    "run": ("run --once --dry-run", "run --once"),
    "approve": ("approve --reject", "approve"),
    "positions": ("positions",),
    "orders": ("orders", "orders --all"),
    "history": ("history",),
    "explain": ("explain", "explain AAPL", "explain 1"),
    "close": ("close AAPL",),
    "move-stop": ("move-stop MSFT 26.00 --yes",),
    "cancel": ("cancel MSFT --yes",),
    "size": ("size --entry 50 --stop 48", "size NVDA --entry 50 --stop 48 --target 55"),
    "pdt-status": ("pdt-status",),
    "import-fills": ("import-fills config.yaml",),
    "reconcile": ("reconcile",),
    "cash": ("cash in 10",),
    "risk": ("risk",),
    "locks": ("locks", "locks --all"),
    "report": ("report",),
    "replay": ("replay",),
    "learn": ("learn status", "learn history"),
    "model": ("model status",),
    "files": ("files",),
    "export": ("export fills",),
    "config": ("config show --changed", "config path", "config get risk.max_risk_pct", "config validate"),
    "doctor": ("doctor",),
    "state": ("state check", "state query orders"),
    "notify": ("notify status", "notify test"),
    "heartbeat": ("heartbeat",),
    "help": ("help", "help handles"),
    "version": ("version",),
    "halt": ("halt --reason news", "status"),
    "reduce": ("reduce",),
    "resume": ("resume",),
    "schema": ("schema halt",),
}
"""What is typed for each command, in this order; the others wait for something, and are seen by their help."""


FIRST = ("", "approve IBM", "approve", "approve --all", "close MSFT", "positions", "orders", "risk", "explain 2")
"""What is typed while an approval waits."""

PLAYED = "run --once --bars-until 2004-03-05"


def lines() -> Iterator[str]:
    """Yield what is typed, without ``apex``: every command, and the help of every command and subcommand."""
    yield from (*FIRST, PLAYED)
    for name, typed in WAITING.items():
        yield from typed if name in COMMANDS else ()
    yield "--help"
    group = get_command(make_app(with_completion=False))
    for name in COMMANDS:
        yield f"{name} --help"
        yield from (f"{name} {inner} --help" for inner in getattr(group.get_command(None, name), "commands", ()))


def screens(folder: Path, environ: dict[str, str], width: int) -> Iterator[tuple[str, str]]:
    """Yield each command line and what it drew."""
    for line in lines():
        until = "[y/N]" if line.startswith("close") else "[q]uit" if line == "approve" else ""
        text = drawn(Picture(f"apex {line}", width, until), folder, environ)
        yield line, text.rstrip("\n")


def too_wide(text: str, width: int) -> list[str]:
    """Return the lines of *text* that a terminal of *width* would break."""
    return [row for row in COLOURS.sub("", text).splitlines() if cell_len(row.rsplit("\r", 1)[-1]) > width]


def sheets(found: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield what stands on one sheet."""
    sheet: list[tuple[str, str]] = []
    for line, text in found:
        if sheet and sum(each.count("\n") + 3 for _, each in (*sheet, (line, text))) > MOST_LINES:
            yield sheet
            sheet = []
        sheet.append((line, text))
    yield sheet


def png(sheet: list[tuple[str, str]], width: int, theme: TerminalTheme) -> bytes:
    """Return a sheet as a picture."""
    console = Console(record=True, width=width + 2, file=io.StringIO())
    for line, text in sheet:
        console.print(Text(f"$ apex {line}", style="bold reverse"))
        console.print(Text.from_ansi(text), overflow="fold")
        console.print()
    svg = console.export_svg(title=f"{width} columns", theme=theme)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=0.8))


def main(target: Path, widths: tuple[int, ...]) -> None:
    """Write the sheets."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        environ = clean_environment(Path(place) / "home")
        template = played_demo(Path(place), environ)
        for width in widths:
            folder = Path(place) / str(width)
            shutil.copytree(template, folder)
            found = list(screens(folder, environ, width))
            for line, text in found:
                for row in too_wide(text, width):
                    sys.stderr.write(f"{width}: apex {line}: {row}\n")
            for name, theme in THEMES.items():
                for number, sheet in enumerate(sheets(found), start=1):
                    (target / f"{width}-{name}-{number:02}.png").write_bytes(png(sheet, width, theme))


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(map(int, sys.argv[2:])) or WIDTHS)
