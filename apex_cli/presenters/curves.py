"""Curves as text: a column of eighths of a block for each piece of time, which any terminal and any pipe can show."""

from __future__ import annotations

from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 72, 8


def sampled(values: Sequence[float], width: int = WIDTH) -> list[float]:
    """Return at most *width* values, evenly spread, the first and the last among them.

    >>> sampled([1, 2, 3, 4, 5], 3)
    [1, 3, 5]
    """
    if len(values) <= width:
        return list(values)
    return [values[round(number * (len(values) - 1) / (width - 1))] for number in range(width)]


def curve_rows(values: Sequence[float], *, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """Return *values* drawn upwards from the least one, top row first.

    >>> curve_rows([0, 1, 2], height=1)
    ['▁▄█']
    """
    shown = sampled(values, width)
    low, high = min(shown), max(shown)
    steps = height * (len(EIGHTHS) - 1)
    levels = [max(1, round((value - low) / (high - low) * steps)) if high > low else 1 for value in shown]
    return [_row(levels, floor) for floor in range((height - 1) * 8, -1, -8)]


def depth_rows(values: Sequence[float], *, width: int = WIDTH, height: int = 3) -> list[str]:
    """Return *values*, 0 and more, hanging from the top: what is deeper reaches lower.

    >>> depth_rows([0, 1, 2], height=2)
    [' ██', '  █']
    """
    shown = sampled(values, width)
    deepest = max(shown, default=0.0)
    levels = [round(value / deepest * height * 2) if deepest else 0 for value in shown]
    return ["".join(_hanging(level - 2 * row) for level in levels) for row in range(height)]


def _row(levels: Sequence[int], floor: int) -> str:
    return "".join(EIGHTHS[min(max(level - floor, 0), 8)] for level in levels)


def _hanging(halves: int) -> str:
    return " " if halves <= 0 else "▀" if halves == 1 else "█"
