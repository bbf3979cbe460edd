"""Line and bar charts as SVG: what a page carries inside itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10
from typing import NamedTuple

from apex_cli.core.model.wording import visible

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 80, 15, 16, 32
MOST_POINTS = 600
"""Points of a line that are drawn; of a longer one every n-th, and the last."""

NOTHING_DRAWN = '<p class="dim">Nothing to draw yet.</p>'
LABELS = 6
_ODD = ' class="odd"'
"""Of every second label below a chart: a narrow screen has no room for it."""


def html_text(text: str) -> str:
    r"""Return *text* as HTML and SVG take it, hidden signs as escapes.

    >>> html_text("<b>\u202e")
    '&lt;b&gt;\\u202e'
    """
    return escape(visible(text))


class Band(NamedTuple):
    """Where the truth may lie around a line: a low and a high for each of its values."""

    lows: Sequence[float]
    highs: Sequence[float]


def line_chart(
    values: Sequence[float],
    labels: Sequence[str],
    title: str,
    *,
    second: Sequence[float] = (),
    band: Band | None = None,
    is_area: bool = False,
) -> str:
    """Return a line through *values*, each with its label below; says so when there are none.

    *second* and *band* are drawn behind it; with *is_area* what lies between the line and zero is filled.
    """
    if not values:
        return NOTHING_DRAWN
    places = _thinned(len(values))
    every = [*values, *second, *((*band.lows, *band.highs) if band else ()), *((0.0,) if is_area else ())]
    low, high, ticks = _scale(min(every), max(every))

    def across(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place / max(1, len(values) - 1))

    def points(line: Sequence[float]) -> str:
        return " ".join(f"{across(place):.1f},{_down(line[place], low, high):.1f}" for place in places)

    drawn = [_grid_lines(ticks, low, high)]
    if band:
        back = " ".join(reversed(points(band.lows).split()))
        drawn.append(f'<polygon class="band" points="{points(band.highs)} {back}"/>')
    if is_area:
        zero = _down(0, low, high)
        ends = f"{across(len(values) - 1):.1f},{zero:.1f} {across(0):.1f},{zero:.1f}"
        drawn.append(f'<polygon class="area" points="{points(values)} {ends}"/>')
    if second:
        drawn.append(f'<polyline class="second" points="{points(second)}"/>')
    dot = f'<circle class="bar" cx="{across(0):.1f}" cy="{_down(values[0], low, high):.1f}" r="3"/>'
    drawn.append(f'<polyline class="curve" points="{points(values)}"/>' if len(values) > 1 else dot)
    drawn.append(_below([(across(place), labels[place]) for place in _spread(len(values))]))
    return _framed(title, "".join(drawn))


def depths(values: Sequence[float]) -> list[float]:
    """Return how far each of *values* stands below the highest one before it, in percent, zero or less.

    >>> depths([100.0, 90.0, 120.0])
    [0.0, -10.0, 0.0]
    """
    falls, peak = [], 0.0
    for value in values:
        peak = max(peak, value)
        falls.append(100 * (value - peak) / peak if peak > 0 else 0.0)
    return falls


class Dot(NamedTuple):
    """One thing of a scatter chart."""

    x: float
    y: float
    kind: str
    """Class of its style."""


def scatter_chart(dots: Sequence[Dot], title: str) -> str:
    """Return *dots* over both axes; says so when there are none."""
    if not dots:
        return NOTHING_DRAWN
    left, right, across = _scale(min(dot.x for dot in dots), max(dot.x for dot in dots))
    low, high, ticks = _scale(min(dot.y for dot in dots), max(dot.y for dot in dots))

    def x_of(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - left) / (right - left)

    shown = (dots[place] for place in _thinned(len(dots)))
    drawn = "".join(
        f'<circle class="{dot.kind}" cx="{x_of(dot.x):.0f}" cy="{_down(dot.y, low, high):.0f}" r="3"/>' for dot in shown
    )
    return _framed(
        title, _grid_lines(ticks, low, high) + drawn + _below([(x_of(value), f"{value:.10g}") for value in across])
    )


def bar_chart(counts: Sequence[int], labels: Sequence[str], title: str) -> str:
    """Return a bar for each of *counts*, its number above and its label below."""
    if not any(counts):
        return NOTHING_DRAWN
    high = max(counts) * 1.12
    step = (WIDTH - LEFT - RIGHT) / len(counts)
    bars = []
    for place, count in enumerate(counts):
        x, top = LEFT + step * place, _down(count, 0, high)
        if count:
            bars.append(
                f'<rect class="bar" x="{x + step * 0.1:.1f}" y="{top:.1f}" width="{step * 0.8:.1f}" '
                f'height="{HEIGHT - BOTTOM - top:.1f}"/>'
                f'<text x="{x + step / 2:.1f}" y="{top - 4:.1f}" text-anchor="middle">{count:,}</text>'
            )
    below = [(LEFT + step * (place + 0.5), label) for place, label in enumerate(labels)]
    return _framed(title, _grid_lines((0.0,), 0, high) + "".join(bars) + _below(below))


def _framed(title: str, body: str) -> str:
    name = html_text(title)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>{body}</svg>'


def _down(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))


def _grid_lines(ticks: Sequence[float], low: float, high: float) -> str:
    lines = []
    for tick in ticks:
        y = _down(tick, low, high)
        lines.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if len(ticks) > 1:
            lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,.10g}</text>')
    return "".join(lines)


def _below(labels: Sequence[tuple[float, str]]) -> str:
    return "".join(
        f'<text{_ODD if number % 2 else ""} x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{_anchor(x)}">'
        f"{html_text(label)}</text>"
        for number, (x, label) in enumerate(labels)
    )


def _anchor(x: float) -> str:
    return "end" if x > WIDTH - RIGHT - 1 else "start" if x < LEFT + 1 else "middle"


def _scale(low: float, high: float) -> tuple[float, float, tuple[float, ...]]:
    """Return bounds around *low* and *high*, and round numbers between them."""
    if high == low:
        low, high = low - 1, high + 1
    raw = (high - low) / 4
    power: float = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = floor(low / step)
    ticks = tuple(step * (first + n) for n in range(8) if step * (first + n - 1) < high)
    return ticks[0], ticks[-1], ticks


def _thinned(count: int) -> list[int]:
    every = max(1, -(-count // MOST_POINTS))
    return sorted({*range(0, count, every), count - 1})


def _spread(count: int) -> list[int]:
    return sorted({round(n * (count - 1) / (LABELS - 1)) for n in range(LABELS)})
