"""Signals per second through the steps, a scan of a watch list, and the time of a training. Run by hand.

Each number is the median of five rounds; within one run only their ratios mean something on a busy machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from msgspec.structs import replace

from apex_cli.core.adapters.files.models.model_files import ModelFiles
from apex_cli.core.analysis.features import features
from apex_cli.core.analysis.indicators import indicators
from apex_cli.core.analysis.scans import mean_reversion
from apex_cli.core.analysis.technical import pictures
from apex_cli.core.signals.analyzer import TechnicalAnalyzer
from apex_cli.core.signals.bar_history import History
from apex_cli.core.signals.context import Once, PipelineContext
from apex_cli.core.signals.model_manager import ModelManager, ModelRules
from apex_cli.core.signals.predictor import MLPredictor
from apex_cli.core.signals.scanner import Scanner
from kit import FixedClock
from kit.bars import ListBars, bars_of, wander
from kit.rig import make_signal

ROUNDS, SYMBOLS, BARS, SIGNALS = 5, 10, 750, 200


def timed(work: Callable[[], Any]) -> float:
    """Return the median seconds of *work*."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return median(taken)


def say(what: str, number: float, unit: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{what:44} {number:10.1f} {unit}\n")


def main() -> None:
    """Measure."""
    bars = {f"S{n}": bars_of(wander(n, BARS), f"S{n}") for n in range(SYMBOLS)}
    now = bars["S0"][-1].end
    context = PipelineContext(
        clock=FixedClock(now),
        bars=ListBars(bars),
        state_dir=Path("unused"),
        notice=Once(lambda _: None),
        watch_list=tuple(bars),
    )
    history = History(context.bars)
    signals = [make_signal(f"S{n % SYMBOLS}", now=now, signal_id=str(n)) for n in range(SIGNALS)]

    def through(stage: Any) -> None:
        async def all_of_them() -> None:
            for signal in signals:
                await stage.process(replace(signal))

        asyncio.run(all_of_them())

    frame = wander(1, BARS)
    say(f"indicators of {BARS} bars", timed(lambda: indicators(frame)) * 1e6, "us")
    say(f"technical picture of {BARS} bars", timed(lambda: pictures(frame, 1, np.array([BARS - 1]))) * 1e6, "us")
    say(f"features of {BARS} bars", timed(lambda: features(frame)) * 1e6, "us")
    technical = TechnicalAnalyzer(context, history)
    through(technical)
    say("through the technical step", SIGNALS / timed(lambda: through(technical)), "signals a second")
    with TemporaryDirectory() as folder:
        manager = ModelManager(ModelFiles(Path(folder)), context.bars, ModelRules())
        train = timed(lambda: manager.train(tuple(bars), now))
        say(f"training on {manager.store.versions()[-1].samples} samples, stored", train * 1e3, "ms")
        predictor = MLPredictor(context, history, manager)
        through(predictor)
        say("through the predictor", SIGNALS / timed(lambda: through(predictor)), "signals a second")

    def scan() -> None:
        scanner = Scanner("probe", mean_reversion, context, history, interval=timedelta(minutes=1))
        tuple(scanner.poll(now - timedelta(hours=1)))

    say(f"one scanner over {SYMBOLS} symbols", timed(scan) * 1e3, "ms")


if __name__ == "__main__":
    main()
