"""Frames of bars for tests."""

from __future__ import annotations

from dataclasses import replace

from apex_cli.core.analysis.frame import Frame


def mirrored(frame: Frame) -> Frame:
    """Return the picture upside down, around the last close: what a short sees as a long.

    p -> 2 * close - p, with highs and lows changing places. Ranges, volumes and the last close stay.
    """
    axis = 2 * frame.close[-1]
    return replace(
        frame, open=axis - frame.open, high=axis - frame.low, low=axis - frame.high, close=axis - frame.close
    )
