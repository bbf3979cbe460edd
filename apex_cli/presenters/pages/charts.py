"""Line and bar charts as SVG: what a page carries inside itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10

from apex_cli.core.model.wording import visible

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 15, 12, 28
MOST_POINTS = 600
"""Points of a line that are drawn; of a longer one every n-th, and the last."""

LABELS = 6


def html_text(text: str) -> str:
    r"""Return *text* as HTML and SVG take it, hidden signs as escapes.

    >>> html_text("<b>\u202e")
    '&lt;b&gt;\\u202e'
    """
    return escape(visible(text))


def line_chart(values: Sequence[float], labels: Sequence[str], title: str) -> str:
    """Return a line through *values*, each with its label below; says so when there are none."""
    if not values:
        return '<p class="dim">Nothing to draw yet.</p>'
    places = _thinned(len(values))
    low, high, ticks = _scale(min(values), max(values))

    def across(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place / max(1, len(values) - 1))

    points = " ".join(f"{across(place):.1f},{_down(values[place], low, high):.1f}" for place in places)
    below = [(across(place), labels[place]) for place in _spread(len(values))]
    dot = f'<circle class="bar" cx="{across(0):.1f}" cy="{_down(values[0], low, high):.1f}" r="3"/>'
    line = f'<polyline class="curve" points="{points}"/>' if len(values) > 1 else dot
    return _framed(title, _grid_lines(ticks, low, high) + line + _below(below))


def bar_chart(counts: Sequence[int], labels: Sequence[str], title: str) -> str:
    """Return a bar for each of *counts*, its number above and its label below."""
    if not any(counts):
        return '<p class="dim">Nothing to draw yet.</p>'
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
        f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{_anchor(x)}">{html_text(label)}</text>'
        for x, label in labels
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
