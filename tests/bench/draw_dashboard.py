"""Draws every screen of the dashboard as PNG, for a person to look at.

``PYTHONPATH=tests:tests/dashboard python tests/bench/draw_dashboard.py FOLDER`` shows a busy day at three sizes, on a
light and on a dark ground.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import resvg_py
from busy_day import RigFeed, RigOperator, busy_rig
from textual.pilot import Pilot

from apex_cli.dashboard.app import DashboardApp
from kit.rig import Rig

SIZES = ((80, 24), (120, 40), (200, 60))
SCREENS = {
    "day": (),
    "position": ("enter",),
    "approvals": ("2",),
    "approval": ("2", "enter"),
    "orders": ("3",),
    "log": ("4",),
    "curves": ("5",),
    "risk": ("k",),
    "help": ("question_mark",),
    "close": ("enter", "c"),
    "stop": ("enter", "s"),
    "halt": ("h",),
}


async def settled(pilot: Pilot[None]) -> None:
    """Wait for messages, and for work in threads."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def draw(rig: Rig, theme: str, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    """Return a screen as SVG."""

    app = DashboardApp(RigFeed(rig), RigOperator(rig), theme=theme, has_control=True)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        return app.export_screenshot()


def main(target: Path) -> None:
    """Write the pictures."""
    target.mkdir(parents=True, exist_ok=True)
    for theme in ("dark", "light"):
        for size in SIZES:
            for name, keys in SCREENS.items():
                svg = asyncio.run(draw(busy_rig(), theme, size, keys)).replace("Fira Code", "DejaVu Sans Mono")
                path = target / f"{name}-{size[0]}x{size[1]}-{theme}.png"
                path.write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=0.8)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
