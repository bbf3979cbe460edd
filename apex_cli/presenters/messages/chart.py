"""A small chart for a message: the latest bars with entry, stop and target, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.market.calendar import day_of_bar
from apex_cli.core.model.market import Bar
from apex_cli.presenters.pages.charts import html_text
from apex_cli.presenters.screen.formats import price

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 20, 150, 44, 34
NEAR = 18
"""Units that two labels keep apart."""

STYLE = """
text { font: 15px Roboto, sans-serif; fill: #1b1f23; } .dim { fill: #5a646d; font-size: 13px; }
.up { stroke: #0b6b2d; } .down { stroke: #a3170c; } .bar { stroke-width: 2; }
.entry { stroke: #2b62a8; } .stop { stroke: #a3170c; } .target { stroke: #0b6b2d; }
.level { stroke-width: 1.5; stroke-dasharray: 7 4; }
"""


class Mark(NamedTuple):
    """A price that the chart names."""

    name: str
    """``entry``, ``stop`` or ``target``."""

    at: Decimal


def message_chart(title: str, bars: Sequence[Bar], marks: Sequence[Mark]) -> str:
    """Return *bars*, at least one, with *marks* as SVG of a fixed size."""
    prices = [*(bar.low for bar in bars), *(bar.high for bar in bars), *(mark.at for mark in marks)]
    low, high = min(prices), max(prices)
    span = high - low or Decimal(1)
    step = (WIDTH - LEFT - RIGHT) / len(bars)

    def down(at: Decimal) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * float((high - at) / span)

    drawn = "".join(_bar(LEFT + step * (place + 0.5), step, bar, down) for place, bar in enumerate(bars))
    lines = "".join(
        f'<path class="level {mark.name}" d="M{LEFT} {down(mark.at):.1f}H{WIDTH - RIGHT + 6}"/>' for mark in marks
    )
    days = f"{day_of_bar(bars[0].end)} to {day_of_bar(bars[-1].end)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        f'<text x="{LEFT}" y="26" font-weight="bold">{html_text(title)}</text>{drawn}{lines}{_labels(marks, down)}'
        f'<text class="dim" x="{LEFT}" y="{HEIGHT - 10}">{days}</text></svg>'
    )


def _bar(x: float, step: float, bar: Bar, down: Callable[[Decimal], float]) -> str:
    kind, tick = "up" if bar.close >= bar.open else "down", min(step * 0.35, 6)
    return (
        f'<path class="bar {kind}" fill="none" d="M{x:.1f} {down(bar.high):.1f}V{down(bar.low):.1f}'
        f'M{x - tick:.1f} {down(bar.open):.1f}H{x:.1f}M{x:.1f} {down(bar.close):.1f}H{x + tick:.1f}"/>'
    )


def _labels(marks: Sequence[Mark], down: Callable[[Decimal], float]) -> str:
    """Return the names of *marks* at their prices, moved apart where they would touch."""
    texts, last = [], 0.0
    for mark in sorted(marks, key=lambda mark: -mark.at):
        y = max(down(mark.at) + 5, last + NEAR)
        last = y
        texts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{y:.1f}">{mark.name} {price(mark.at)}</text>')
    return "".join(texts)
