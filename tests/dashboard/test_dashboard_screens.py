"""Each screen of a busy day as text, at three sizes: what a reader sees, cell by cell.

``UPDATE_SCREENS=1`` writes them anew; look at every change, as at a picture.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from busy_day import HELD, WAITING, RigFeed, RigOperator, busy_rig
from textual.pilot import Pilot

from apex_cli.dashboard.app import DashboardApp
from kit.rig import Rig

SCREENS = Path(__file__).parent / "screens"
PLOTS_FROM = 119
"""Column of the widest screen from which on curves are drawn."""


def text_of(app: DashboardApp) -> str:
    """Return the screen as lines of text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


def without_plots(shown: str) -> str:
    """Return the screen without what plotext draws: its ticks differ from one build to the next."""
    head, curves, rest = shown.partition("─ 5 Curves")
    left = (line[:PLOTS_FROM] for line in rest.splitlines())
    return "\n".join([head, curves, *left]) if curves else shown


@pytest.fixture(scope="module")
def rig() -> Rig:
    return busy_rig()


def screen(rig: Rig, size: tuple[int, int], *keys: str, theme: str = "dark", **options: bool) -> str:
    """Return the screen after *keys*."""
    app = DashboardApp(RigFeed(rig), RigOperator(rig), theme=theme, **options)

    async def look() -> str:
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            for key in keys:
                await pilot.press(key)
                await settled(pilot)
            return text_of(app)

    return asyncio.run(look())


async def settled(pilot: Pilot[None]) -> None:
    """Wait for messages, and for work in threads."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


CASES = {
    "positions-80x24": ((80, 24), ()),
    "approvals-80x24": ((80, 24), ("2",)),
    "orders-80x24": ((80, 24), ("3",)),
    "log-80x24": ((80, 24), ("4",)),
    "help-80x24": ((80, 24), ("question_mark",)),
    "day-120x40": ((120, 40), ()),
    "approvals-120x40": ((120, 40), ("2",)),
    "day-200x60": ((200, 60), ()),
}


@pytest.mark.parametrize("name", CASES)
def test_a_screen_looks_as_it_did(rig: Rig, name: str) -> None:
    size, keys = CASES[name]
    shown = screen(rig, size, *keys)
    path = SCREENS / f"{name}.txt"
    if "UPDATE_SCREENS" in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert without_plots(shown) == without_plots(path.read_text(encoding="utf-8"))


def kept(name: str) -> str:
    """Return a screen as it is kept: the test above has compared it with the real one."""
    return (SCREENS / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "columns"), [("positions-80x24", 80), ("day-120x40", 120), ("day-200x60", 200)])
def test_no_position_is_cut_and_each_says_whether_it_is_protected(name: str, columns: int) -> None:
    lines = kept(name).splitlines()
    rows = {symbol: next(line for line in lines if f" {symbol} " in f" {line.lstrip('│')}") for symbol in HELD}
    protected = [symbol for symbol, row in rows.items() if " yes" in row]
    assert sorted({*HELD} - {"IBM"}) == sorted(protected)
    assert " NO" in rows["IBM"]
    assert all(len(line) <= columns for line in lines)


@pytest.mark.parametrize("name", ["approvals-80x24", "approvals-120x40", "day-200x60"])
def test_every_approval_shows_its_countdown_and_its_score(name: str) -> None:
    shown = kept(name)
    rows = [line for line in shown.splitlines() if any(f" {symbol} " in line for symbol in WAITING) and " BUY " in line]
    assert len([row for row in rows if "0.6" in row]) >= len(WAITING)
    assert "! 1:" in shown


def test_curves_and_the_distribution_of_r_are_drawn(rig: Rig) -> None:
    shown = screen(rig, (80, 24), "5")
    assert "Equity today, USD" in shown
    assert "R of closed trades" in shown
    assert "█" in shown.split("R of closed trades")[1]


def test_light_and_dark_say_the_same(rig: Rig) -> None:
    assert screen(rig, (80, 24), theme="light") == screen(rig, (80, 24))
    assert screen(rig, (80, 24), "t") == screen(rig, (80, 24))


def test_without_a_run_the_screen_says_so() -> None:
    rig = Rig()
    app = DashboardApp(RigFeed(rig, holder=""), RigOperator(rig))

    async def look() -> str:
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            return text_of(app)

    shown = asyncio.run(look())
    assert "no run" in shown
    assert "start apex run" in shown
