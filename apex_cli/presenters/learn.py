"""Learned weights, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from apex_cli.core.learning.components import LEAST_OF_EACH, LEAST_TRADES
from apex_cli.core.learning.expectation import NINETY_PERCENT, next_look
from apex_cli.core.learning.learners import size_of, weights_in_force
from apex_cli.core.learning.markets import LEAST_TRADES as LEAST_OF_MARKET
from apex_cli.core.learning.outcomes import brier_score, model_outcomes
from apex_cli.core.learning.reliability import CalibrationRow, calibration
from apex_cli.core.model.base import named
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import (
    DEFAULT_WEIGHTS,
    LearningLimits,
    LearningMode,
    StrategyValue,
    Weights,
    WeightsVersion,
)
from apex_cli.core.state.tables import State
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Line, Tone, bar, heads
from apex_cli.presenters.screen.formats import DASH, moment, ratio, results_text

MODE_WORDS = {
    LearningMode.ADAPT: "changes the order and the score, never a size or a limit",
    LearningMode.PROTECT: "changes the order, and lowers the size or asks where a strategy probably loses",
    LearningMode.REPORT: "says what it would change, and changes nothing",
    LearningMode.OFF: "off: scores are made with the defaults",
}


def weights_data(weights: Weights) -> dict[str, Any]:
    """Return weights by name."""
    return {"parts": dict(weights.parts), "markets": {str(market): w for market, w in weights.markets.items()}}


def version_data(version: WeightsVersion) -> dict[str, Any]:
    """Return the stable names of one version."""
    return {
        **named(version, "version", "made_at", "cause", "why"),
        "weights": weights_data(version.weights),
    }


def status_data(state: State, limits: LearningLimits) -> dict[str, Any]:
    """Return where the learners stand."""
    learning, weights = state.learning, weights_in_force(state)
    lessons = [lesson for lesson in state.lessons.values() if not lesson.is_followed]
    outcomes = model_outcomes(lessons)
    paused = _paused(state, limits)
    wins = sum(1 for lesson in lessons if lesson.r > 0)
    breakeven = sum(1 for lesson in lessons if lesson.r == 0)
    return {
        "mode": limits.mode,
        "frozen": learning.frozen_at is not None,
        "frozen_at": learning.frozen_at,
        "frozen_reason": learning.frozen_why,
        "suspended_at": learning.suspended_at,
        "suspended_reason": learning.suspended_why,
        "version": learning.version,
        "weights": weights_data(weights),
        "lessons": len(lessons),
        "wins": wins,
        "losses": len(lessons) - wins - breakeven,
        "breakeven": breakeven,
        "new_for_parts": size_of([row for row in state.lessons.values() if row.seq > learning.parts_seq]),
        "new_for_markets": {str(market): _new_of(state, market) for market in MarketType},
        "predictions": len(outcomes),
        "brier_score": brier_score(outcomes),
        "last_check": state.counters.last_learning_check,
        "followed": len(state.lessons) - len(lessons),
        "values": [
            _value_data(name, value) | {"acts": name in paused, "next_look": paused.get(name)}
            for name, value in sorted(weights.values.items())
        ],
        "effects": [{"name": name, "r": effect.mean, "sd": effect.sd} for name, effect in weights.effects.items()],
        "calibration": [_calibration_data(row) for row in calibration(state.lessons.values())],
    }


def _paused(state: State, limits: LearningLimits) -> dict[str, datetime]:
    """Return when strategies that probably lose are looked at again, by name; none where learning does not protect."""
    weights = weights_in_force(state)
    is_on = state.learning.in_force(limits.mode) is LearningMode.PROTECT
    if not is_on or weights.estimated_at is None:
        return {}
    least, at = min(limits.ask_from, limits.lower_from), next_look(weights.estimated_at)
    return {name: at for name, value in weights.values.items() if value.loses >= least and not name.endswith("/")}


def _paused_lines(state: State, limits: LearningLimits) -> tuple[Line, ...]:
    """Return what is done about each strategy that probably loses, and when it is looked at again."""
    values = weights_in_force(state).values
    return tuple(
        Line(
            text=f"{name} loses with {values[name].loses:.0%}: "
            + ("a person is asked before each trade" if values[name].loses >= limits.ask_from else "smaller trades")
            + f", until it is looked at again: after ten more trades, at the latest on {moment(at)}.",
            tone=Tone.WARN,
        )
        for name, at in sorted(_paused(state, limits).items())
    )


def _value_data(name: str, value: StrategyValue) -> dict[str, Any]:
    return {
        "name": name.rstrip("/"),
        "r": value.mean,
        **named(value, "sd", "loses", "trades", "followed"),
    }


def _calibration_data(row: CalibrationRow) -> dict[str, Any]:
    return {
        **named(row, "expected_from", "expected_to", "trades", "followed", "expected", "realised"),
        "low": row.realised - row.reach,
        "high": row.realised + row.reach,
        "fits": row.fits,
    }


def _new_of(state: State, market: MarketType) -> int:
    seen = state.learning.market_seq.get(market, 0)
    own = (lesson for lesson in state.lessons.values() if lesson.market_type is market and not lesson.is_followed)
    return sum(1 for lesson in own if lesson.seq > seen)


def status_blocks(state: State, limits: LearningLimits) -> tuple[Block, ...]:
    """Return mode, progress, and the weights in force beside the defaults."""
    data = status_data(state, limits)
    learning, mode = state.learning, limits.mode
    words = Cell(f"{mode}: {MODE_WORDS[mode]}")
    if learning.suspended_at is not None:
        words = Cell(f"report since {moment(learning.suspended_at)}: {learning.suspended_why}", Tone.WARN)
    frozen = f"since {moment(learning.frozen_at)} {learning.frozen_why}".rstrip() if learning.frozen_at else "no"
    fresh = data["new_for_parts"]
    rows = (
        ("Learning", words),
        ("Frozen", Cell(frozen, Tone.WARN if learning.frozen_at else Tone.PLAIN)),
        ("Version", Cell(f"{learning.version}{' (the defaults)' if not learning.version else ''}", Tone.BOLD)),
        (
            "Trades kept",
            Cell(f"{data['lessons']}: {results_text(data['wins'], data['losses'], data['breakeven'])} after costs"),
        ),
        (
            "Components",
            Cell(
                f"{bar(fresh / LEAST_TRADES, 10)} {fresh} of {LEAST_TRADES} new trades,"
                f" at least {LEAST_OF_EACH} won and {LEAST_OF_EACH} lost"
            ),
        ),
        *(
            (str(market).capitalize(), Cell(f"{bar(new / LEAST_OF_MARKET, 10)} {new} of {LEAST_OF_MARKET} new trades"))
            for market, new in data["new_for_markets"].items()
            if new
        ),
        (
            "Predictions",
            Cell(f"{data['predictions']} ended, Brier score {ratio(data['brier_score'])} (0.25 is guessing)"),
        ),
    )
    weights = weights_in_force(state)
    grids = (_weights_grid("Default", DEFAULT_WEIGHTS, "In force", weights), *_values_grid(weights))
    paused = _paused_lines(state, limits)
    return (Fields(rows=rows), *grids, *paused, *_calibration_grid(calibration(state.lessons.values())))


def _values_grid(weights: Weights) -> tuple[Grid, ...]:
    """Return what each strategy is expected to bring, with its interval; nothing while nothing is known."""
    rows = tuple(
        (
            Cell(name.rstrip("/"), Tone.BOLD),
            Cell(f"{value.mean:+.2f}"),
            Cell(f"{value.mean - NINETY_PERCENT * value.sd:+.2f}..{value.mean + NINETY_PERCENT * value.sd:+.2f}"),
            Cell(f"{value.loses:.0%}"),
            Cell(str(value.trades)),
            Cell(str(value.followed)),
        )
        for name, value in sorted(weights.values.items())
    )
    columns = heads("Expected", ">R a trade", ">90 %", ">Loses", ">Trades", ">Followed")
    return (Grid(columns=columns, rows=rows),) if rows else ()


def _calibration_grid(table: Sequence[CalibrationRow]) -> tuple[Grid, ...]:
    """Return expected beside realised R; nothing while too few trades ended."""
    rows = tuple(
        (
            Cell(f"{row.expected:+.2f}"),
            Cell(f"{row.realised:+.2f}", Tone.PLAIN if row.fits else Tone.WARN),
            Cell(f"{row.realised - row.reach:+.2f}..{row.realised + row.reach:+.2f}"),
            Cell(str(row.trades)),
            Cell(str(row.followed)),
        )
        for row in table
    )
    columns = heads(">Expected R", ">Realised R", ">90 %", ">Trades", ">Followed")
    return (Grid(columns=columns, rows=rows),) if rows else ()


def history_data(state: State) -> dict[str, Any]:
    """Return every kept version, newest first."""
    return {"in_force": state.learning.version, "versions": [version_data(version) for version in _versions(state)]}


def history_blocks(state: State) -> tuple[Block, ...]:
    """Return every kept version as a table, newest first."""
    rows = tuple(
        (
            Cell(f"{version.version}{' *' if version.version == state.learning.version else ''}", Tone.BOLD),
            Cell(moment(version.made_at)),
            Cell(version.cause),
            Cell(version.why),
        )
        for version in _versions(state)
    )
    grid = Grid(columns=heads(">Version", "Made", "By", "Why~"), rows=rows, empty="Nothing was learned yet.")
    note = Line(text="* in force. Take one back with: apex learn rollback VERSION", tone=Tone.DIM)
    return (grid, note) if rows else (grid,)


def _versions(state: State) -> list[WeightsVersion]:
    return sorted(state.weights.values(), key=lambda version: -version.version)


def diff_data(before: int, after: int, old: Weights, new: Weights) -> dict[str, Any]:
    """Return both versions and what differs."""
    return {
        "before": before,
        "after": after,
        "changes": [
            {"name": name, "before": was, "after": now, "change": now - was}
            for name, was, now in _pairs(old, new)
            if was != now
        ],
    }


def diff_blocks(before: int, after: int, old: Weights, new: Weights) -> tuple[Block, ...]:
    """Return both versions side by side."""
    return (_weights_grid(f"Version {before}", old, f"Version {after}", new),)


def _weights_grid(first: str, old: Weights, second: str, new: Weights) -> Grid:
    rows = tuple(
        (
            Cell(name.replace("_", " ")),
            Cell(_number(was)),
            Cell(_number(now), Tone.BOLD if now != was else Tone.PLAIN),
            Cell(f"{(now - was) / was:+.1%}" if now != was else DASH),
        )
        for name, was, now in _pairs(old, new)
    )
    return Grid(columns=heads("Weight", f">{first}", f">{second}", ">Change"), rows=rows)


def _pairs(old: Weights, new: Weights) -> list[tuple[str, Decimal, Decimal]]:
    parts = [(name, weight, new.parts[name]) for name, weight in old.parts.items()]
    return parts + [(str(market), weight, new.markets[market]) for market, weight in old.markets.items()]


def _number(weight: Decimal) -> str:
    return f"{weight:.4f}"
