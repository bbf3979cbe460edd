"""What learning is worth on synthetic markets with a known edge, and on real bars.

Run by hand: ``python tests/bench/bench_learning.py [SEEDS | stocks]``. ``stocks`` replays thirteen years of AAPL, GOOG,
IBM and MSFT, from bokeh and bokeh_sampledata, with and without learning, by the breakout rule and by the scanners.

Five markets of 400 days with 8 candidates a day, of which the best 2 are taken, each with six seeds. In the first one
strategy works and one loses, in the next three one component of the score predicts, in the last nothing does. A trade
brings its reward:risk or -1 R, with the chance that gives it the expected R which the market knows. All policies see
the same candidates and the same luck. ``apex`` is the product itself: its ranker scores and orders, its learners
learn. ``apex, taken only`` does the same without following the signals that were not taken.

Printed are expected R a trade over all 800 trades, in brackets over the last 200, and how many trades are not those of
the default. ``Aim`` lines say how the aims stand.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.app.learning_backtest import backtest_learning
from apex_cli.app.replayer import ReplayOptions
from apex_cli.core.adapters.state.memory_store import MemoryStore
from apex_cli.core.learning.learners import Learners
from apex_cli.core.market.calendar import next_session, session_bounds
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.learning import LearningMode
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.model.money import Price
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, Signal, SignalType
from apex_cli.core.positions.lessons import entry_conditions, prune_lessons
from apex_cli.core.signals.ranker import OpportunityRanker
from apex_cli.settings.research import RankingSettings
from apex_cli.settings.sections import Settings

DAYS, CANDIDATES, TAKEN, SEEDS = 400, 8, 2, 6
WORLDS = ("strategies", "confidence", "timing", "reward_risk", "nothing")
STRATEGIES = ("breakout", "pullback")
GOOD, BAD = 0.25, -0.15
SLOPE = 0.44
"""Expected R between the worst and the best value of the component that predicts."""

LAST = 100
"""Days at the end that are also shown alone."""

PRIOR_TRADES, PRIOR_SD = 20, 1.7
ENTRY, STOP = Decimal(50), Decimal(48)


class Candidate(NamedTuple):
    """One signal of one day, and what the market knows of it."""

    signal: Signal
    at: datetime
    strategy: str
    expected: float
    r: float


class Result(NamedTuple):
    """What a policy came to in one market."""

    mean: float
    last: float
    changed: float


class Clock:
    """The time of the candidate that is looked at."""

    def __init__(self, now: datetime) -> None:
        """Start at *now*."""
        self.at = now

    def now(self) -> datetime:
        """Return it."""
        return self.at


def market_of(world: str, seed: int) -> list[list[Candidate]]:
    """Return the days of a market, the same for the same seed."""
    dice = Random(f"{world} {seed}")
    session = datetime(2024, 1, 2, tzinfo=UTC).date()
    days = []
    for day in range(DAYS):
        bounds = session_bounds(session)
        assert bounds is not None
        days.append([_candidate(world, dice, f"{day}-{number}", bounds) for number in range(CANDIDATES)])
        session = next_session(session)
    return days


def _candidate(world: str, dice: Random, name: str, session: tuple[datetime, datetime]) -> Candidate:
    strategy = dice.choice(STRATEGIES)
    ratio, confidence = round(dice.uniform(1, 5), 2), round(dice.uniform(0, 1), 4)
    start, end = session
    at = start + (end - start) * dice.uniform(0.01, 0.99)
    dollars = 10 ** dice.uniform(6, 8)
    signal = Signal(
        signal_id=name,
        instrument=Instrument(symbol=f"S{name[-1]}"),
        signal_type=SignalType.BUY,
        entry_price=Price(ENTRY),
        stop_loss=Price(STOP),
        target_prices=(Price(ENTRY + (ENTRY - STOP) * Decimal(str(ratio))),),
        confidence=Decimal(str(confidence)),
        strategy=strategy,
        created_at=at,
        expires_at=at + timedelta(hours=1),
        metadata={"avg_dollar_volume": round(dollars)},
    )
    found = {
        "strategies": GOOD if strategy == STRATEGIES[0] else BAD,
        "confidence": SLOPE * (confidence - 0.5),
        "timing": SLOPE * (float(timing(signal, at)) - 0.75) * 2,
        "reward_risk": SLOPE * ((ratio - 1) / 4 - 0.5),
        "nothing": 0.0,
    }[world]
    won = dice.random() < (1 + found) / (1 + ratio)
    return Candidate(signal, at, strategy, found, ratio if won else -1.0)


def timing(signal: Signal, at: datetime) -> Decimal:
    """Return the component of the score that the third market pays for."""
    from apex_cli.core.signals.score_parts import timing_part

    return timing_part(signal, at).value


Key = Callable[[Candidate], float]


def simple(days: Sequence[Sequence[Candidate]], scores: dict[str, float], seed: int, policy: str) -> list[list[int]]:
    """Return what the oracle, shrunk means of the strategies, or Thompson sampling take each day."""
    dice = Random(seed)
    sums, counts = dict.fromkeys(STRATEGIES, 0.0), dict.fromkeys(STRATEGIES, 0)
    taken = []
    for day in days:
        drawn = {
            name: (sums[name] + (PRIOR_SD * dice.gauss(0, 1) * (counts[name] + PRIOR_TRADES) ** 0.5
                   if policy == "Thompson" else 0)) / (counts[name] + PRIOR_TRADES)
            for name in STRATEGIES
        }  # fmt: skip
        values = [
            {"default": 0.0, "oracle": each.expected}.get(policy, drawn[each.strategy])
            + 1e-3 * scores[each.signal.signal_id]
            for each in day
        ]
        best = sorted(range(len(day)), key=lambda number: -values[number])[:TAKEN]
        for number in best:
            sums[day[number].strategy] += day[number].r
            counts[day[number].strategy] += 1
        taken.append(best)
    return taken


def learned(days: Sequence[Sequence[Candidate]], *, follows: bool) -> tuple[list[list[int]], dict[str, float]]:
    """Return what the product takes each day, and every plain score."""
    clock, store = Clock(days[0][0].at), MemoryStore()
    ranker = OpportunityRanker(RiskLimits(max_positions=10), clock=clock, store=store)
    learners, taken, scores, number = Learners(), [], {}, 0
    for day in days:
        ranked: list[Opportunity] = []
        for each in day:
            clock.at = each.at
            ranked.append(ranker.rank(each.signal, ()))
            scores[each.signal.signal_id] = float(ranked[-1].plain_score or 0)
        best = sorted(range(len(day)), key=lambda place: order_of(ranked[place]))[:TAKEN]
        taken.append(best)
        evening = max(each.at for each in day) + timedelta(hours=8)
        with store.transaction() as tx:
            for place in range(len(day)) if follows else best:
                number += 1
                lesson = lesson_of(day[place], ranked[place], number, evening, is_taken=place in best)
                tx.lessons[lesson.round_trip_id] = lesson
            prune_lessons(tx, evening)
        learners.prepare(store.view(), evening)
        with store.transaction() as tx:
            learners.check(tx, evening)
    return taken, scores


def order_of(opportunity: Opportunity) -> tuple[Decimal, ...]:
    """Return what the product sorts by, smallest first."""
    first, score = opportunity.rank
    return -first, -score


def lesson_of(candidate: Candidate, opportunity: Opportunity, number: int, at: datetime, *, is_taken: bool) -> Lesson:
    """Return what the product would keep of the trade, or of the signal that it followed."""
    return Lesson(
        round_trip_id=candidate.signal.signal_id,
        seq=number,
        strategy=candidate.strategy,
        side=PositionSide.LONG,
        closed_at=at,
        r=Decimal(str(candidate.r)),
        conditions=entry_conditions(opportunity),
        is_followed=not is_taken,
    )


def measured(
    days: Sequence[Sequence[Candidate]], taken: Sequence[Sequence[int]], usual: Sequence[Sequence[int]]
) -> Result:
    """Return expected R a trade, and how many trades the default would not have made."""
    found = [[day[place].expected for place in best] for day, best in zip(days, taken, strict=True)]
    others = sum(len(set(best) - set(plain)) for best, plain in zip(taken, usual, strict=True))
    return Result(
        fmean(each for row in found for each in row),
        fmean(each for row in found[-LAST:] for each in row),
        others / (len(taken) * TAKEN),
    )


POLICIES = ("default", "shrinkage", "Thompson", "apex, taken only", "apex", "oracle")


def run(job: tuple[str, int]) -> dict[str, Result]:
    """Return the result of every policy in one market."""
    world, seed = job
    days = market_of(world, seed)
    taken, scores = learned(days, follows=True)
    alone, _ = learned(days, follows=False)
    found = {name: simple(days, scores, seed, name) for name in ("default", "shrinkage", "Thompson", "oracle")}
    found |= {"apex": taken, "apex, taken only": alone}
    return {name: measured(days, found[name], found["default"]) for name in POLICIES}


def stocks() -> None:
    """Print what learning adds on real bars, walking forward."""
    from bench_replay import write_stocks

    names = ("AAPL", "GOOG", "IBM", "MSFT")
    together = Settings().replace(ranking=RankingSettings(window_s=60))
    scanners = replace(together.scanners, watch_list=names, target_atr=Decimal(5))
    with tempfile.TemporaryDirectory() as folder:
        bars = write_stocks(Path(folder))
        for rule, mode, most in product(("breakout", None), (LearningMode.ADAPT, LearningMode.PROTECT), (1, 2, 10)):
            settings = replace(
                together,
                risk=replace(together.risk, max_positions=most),
                learning=replace(together.learning, mode=mode),
                scanners=together.scanners if rule else scanners,
            )
            found = backtest_learning(settings, ReplayOptions(bars_dir=bars, rule=rule))
            whole = found.whole
            print(
                f"{rule or 'scanners'}, {mode}, {most} positions: {whole.without.trades} trades "
                f"{whole.without.mean_r:+.3f} R, with learning {whole.with_learning.trades} "
                f"{whole.with_learning.mean_r:+.3f} R, {whole.changed} changed by {found.versions} versions: "
                f"{whole.difference:+.4f} R a trade, 90 % {whole.low:+.4f}..{whole.high:+.4f}"
            )


def main() -> None:
    """Print the table and how the aims stand."""
    if sys.argv[1:] == ["stocks"]:
        stocks()
        return
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    jobs = list(product(WORLDS, range(seeds)))
    with ProcessPoolExecutor(2) as pool:
        results = dict(zip(jobs, pool.map(run, jobs), strict=True))
    print(f"{'expected R a trade':18}" + "".join(f"{name:>24}" for name in POLICIES))
    means: dict[tuple[str, str], Result] = {}
    for world in WORLDS:
        for name in POLICIES:
            rows = [results[world, seed][name] for seed in range(seeds)]
            means[world, name] = Result(*(fmean(column) for column in zip(*rows, strict=True)))
        cells = "".join(
            f"{f'{m.mean:+.3f} ({m.last:+.3f}) {m.changed:4.0%}':>24}"
            for m in (means[world, name] for name in POLICIES)
        )
        print(f"{world:18}{cells}")
    for world, name in product(WORLDS[:4], ("apex, taken only", "apex")):
        rival = "Thompson" if world == "strategies" else "oracle"
        usual, best, mine = (means[world, each] for each in ("default", rival, name))
        parts = [(m - u) / (b - u) for m, u, b in zip(mine[:2], usual[:2], best[:2], strict=True)]
        print(f"Aim: {world}: {name} has {parts[0]:.0%} of the gain of {rival}, {parts[1]:.0%} in the last {LAST} days")


if __name__ == "__main__":
    main()
