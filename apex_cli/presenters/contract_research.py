"""The JSON of reports, replays, learning, models and files, as types; ``contract`` puts them to their commands."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict


class Statistics(TypedDict):
    """What closed trades come to; names without *net* are before costs."""

    round_trips: int
    wins: int
    losses: int
    breakeven: int
    win_rate: Decimal | None
    net_wins: int
    net_losses: int
    net_breakeven: int
    net_win_rate: Decimal | None
    pnl: Decimal
    commission: Decimal
    net_pnl: Decimal
    profit_factor: Decimal | None
    expectancy_r: Decimal | None


class Measures(Statistics):
    """The results of a group of closed trades; names without *net* are before costs."""

    net_expectancy_r: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None


class StrategyMeasures(Measures):
    """Those of one strategy."""

    strategy: str


class ExitMeasures(Measures):
    """Those of one reason of the exit."""

    exit_reason: str


class MonthMeasures(Measures):
    """Those of one month, such as 2026-11."""

    month: str


class Drawdown(TypedDict):
    """The largest loss from a peak: the amount, and as a part of the peak."""

    amount: Decimal
    fraction: Decimal


class Bucket(TypedDict):
    """How many trades ended from this R on."""

    from_r: Decimal
    count: int


class DayEquity(TypedDict):
    """What the account was worth at the end of a session."""

    session: str
    equity: Decimal


class Refusal(TypedDict):
    """One reason why signals were not traded."""

    code: str
    count: int
    example: str


class Slippage(TypedDict):
    """What was lost between signal and fill; a cost where positive."""

    orders: int
    delay: Decimal | None
    spread: Decimal | None
    execution: Decimal | None
    total: Decimal | None
    by_role: dict[str, Decimal]


Report = TypedDict(
    "Report",
    {
        "from": str | None,
        "to": str | None,
        "statistics": Measures,
        "by_strategy": list[StrategyMeasures],
        "by_exit_reason": list[ExitMeasures],
        "by_month": list[MonthMeasures],
        "drawdown": Drawdown,
        "sharpe": float | Decimal | None,
        "knows_open": bool,
        "r_distribution": list[Bucket],
        "start_equity": Decimal | None,
        "equity_curve": list[DayEquity],
        "refusals": list[Refusal],
        "decisions": dict[str, int],
        "slippage": Slippage,
        "commission": Decimal,
        "day_trades": int,
    },
)
"""``apex report``."""


class Interval(TypedDict):
    """Where a mean lies with 90 %."""

    low: Decimal
    high: Decimal


class OpenAtEnd(TypedDict):
    """A position that a replay ends with."""

    symbol: str
    quantity: float
    entry_price: Decimal
    current_price: Decimal
    pnl: Decimal


class EquityPoint(TypedDict):
    """What the account was worth at a moment of a replay."""

    at: datetime
    equity: Decimal
    drawdown: Decimal


class Sweep(TypedDict):
    """One combination of settings that was replayed."""

    settings: dict[str, Any]
    trades: int
    breakeven: int
    win_rate: Decimal | None
    net_win_rate: Decimal | None
    net_pnl: Decimal
    net_expectancy_r: Decimal | None
    profit_factor: Decimal | None
    sharpe: float | None
    max_drawdown: Decimal
    exposure: Decimal
    end_equity: Decimal


Replay = TypedDict(
    "Replay",
    {
        "from": datetime | None,
        "to": datetime | None,
        "symbols": list[str],
        "bars": int,
        "steps": int,
        "seed": int,
        "fill": str,
        "signals": int,
        "outcomes": dict[str, int],
        "refusals": dict[str, int],
        "round_trips": int,
        "wins": int,
        "losses": int,
        "win_rate": Decimal | None,
        "net_pnl": Decimal,
        "net_expectancy_r": Decimal | None,
        "net_expectancy_r_90": Interval | None,
        "sharpe": float | None,
        "max_drawdown": Decimal,
        "max_drawdown_from": datetime | None,
        "max_drawdown_to": datetime | None,
        "exposure": Decimal,
        "start_equity": Decimal,
        "end_equity": Decimal,
        "day_trades": int,
        "open_positions": list[OpenAtEnd],
        "adaptations": list[dict[str, Any]],
        "alarms": list[str],
        "problems": list[str],
        "trades": list[dict[str, Any]],
        "equity": list[EquityPoint],
        "replays": list[Sweep],
    },
    total=False,
)
"""``apex replay``: one report, or with --sweep only ``replays``; trades as in ``apex history``."""


class SideOfDrift(TypedDict):
    """What live trading, or the replay, came to."""

    signals: int
    trades: int
    closed: int
    net_r: Decimal
    net_expectancy_r: Decimal | None
    net_expectancy_r_90: Interval | None


class OneSided(TypedDict):
    """A trade that only one side made, and why the other did not."""

    session: str
    symbol: str
    side: str
    strategy: str
    net_r: Decimal | None
    code: str
    why: str
    signal_id: str


class FillCosts(TypedDict):
    """What fills of one role cost more than in the replay; *mean_pct* in percent of the price."""

    role: str
    fills: int
    delay: Decimal
    spread: Decimal | None
    execution: Decimal
    total: Decimal
    mean_pct: Decimal
    mean_pct_90: Interval | None


class FillDrift(TypedDict):
    """One fill beside the replay's."""

    signal_id: str
    symbol: str
    role: str
    session: str
    live_price: Decimal
    model_price: Decimal
    quantity: float
    delay: Decimal
    spread: Decimal | None
    execution: Decimal
    total: Decimal
    fraction: Decimal


class ExitDrift(TypedDict):
    """A trade that ended another way; a reason is empty while it is open."""

    symbol: str
    live_reason: str
    live_session: str
    model_reason: str
    model_session: str
    signal_id: str


class Divergence(TypedDict):
    """Where the two differ for the first time."""

    session: str
    what: str


Drift = TypedDict(
    "Drift",
    {
        "from": str,
        "to": str,
        "live": SideOfDrift,
        "replay": SideOfDrift,
        "matched": int,
        "missed": list[OneSided],
        "extra": list[OneSided],
        "costs": list[FillCosts],
        "fills": list[FillDrift],
        "exits": list[ExitDrift],
        "compared": int,
        "difference_r": Decimal | None,
        "difference_r_90": Interval | None,
        "first_divergence": Divergence | None,
        "parted": list[str],
        "caveats": list[str],
        "problems": list[str],
    },
)
"""``apex drift``."""

DriftNote = TypedDict("DriftNote", {"at": datetime, "from": str, "to": str, "since": str | None, "parted": list[str]})
"""What the last ``apex drift`` came to; *parted* is empty while the two agree."""


class Weights(TypedDict):
    """The weights of the score."""

    parts: dict[str, Decimal]
    markets: dict[str, Decimal]


class LearnedValue(TypedDict):
    """What a strategy, or a market, is expected to bring: R a trade after costs."""

    name: str
    r: Decimal
    sd: Decimal
    loses: Decimal
    trades: int
    followed: int
    acts: bool
    next_look: datetime | None


class LearnedEffect(TypedDict):
    """What a component brings between its worst and best value, beyond what its default weight promises."""

    name: str
    r: Decimal
    sd: Decimal


class Calibration(TypedDict):
    """Expected beside realised R of trades of which about the same was expected."""

    expected_from: Decimal
    expected_to: Decimal
    trades: int
    followed: int
    expected: Decimal
    realised: Decimal
    low: Decimal
    high: Decimal
    fits: bool


class LearnStatus(TypedDict):
    """``apex learn status``."""

    mode: str
    frozen: bool
    frozen_at: datetime | None
    frozen_reason: str
    suspended_at: datetime | None
    suspended_reason: str
    version: int
    weights: Weights
    lessons: int
    wins: int
    losses: int
    breakeven: int
    new_for_parts: int
    new_for_markets: dict[str, int]
    predictions: int
    brier_score: Decimal | float | None
    last_check: datetime | None
    followed: int
    values: list[LearnedValue]
    effects: list[LearnedEffect]
    calibration: list[Calibration]


class LearnSide(TypedDict):
    """What a replay with or without learning came to."""

    trades: int
    mean_r: Decimal | None
    total_r: Decimal


LearnPeriod = TypedDict(
    "LearnPeriod",
    {
        "from": str,
        "to": str,
        "with_learning": LearnSide,
        "without": LearnSide,
        "changed": int,
        "difference": Decimal | None,
        "low": Decimal | None,
        "high": Decimal | None,
        "beyond_noise": bool,
    },
)
"""With and without learning over the same sessions; R a trade after costs."""


class LearnBacktest(TypedDict):
    """``apex learn backtest``."""

    whole: LearnPeriod
    years: list[LearnPeriod]
    versions: int
    suspended: bool


class LearnVersion(TypedDict):
    """One version of the weights; ``apex learn rollback`` prints the new one."""

    version: int
    made_at: datetime
    cause: str
    why: str
    weights: Weights


class LearnHistory(TypedDict):
    """``apex learn history``."""

    in_force: int
    versions: list[LearnVersion]


class WeightChange(TypedDict):
    """One weight that differs between two versions."""

    name: str
    before: Decimal
    after: Decimal
    change: Decimal


class LearnDiff(TypedDict):
    """``apex learn diff``."""

    before: int
    after: int
    changes: list[WeightChange]


class Frozen(TypedDict):
    """``apex learn freeze`` and ``unfreeze``."""

    frozen: bool
    frozen_at: datetime | None
    reason: str
    version: int


CalibrationBin = TypedDict(
    "CalibrationBin", {"from": float, "to": float, "count": int, "said": float, "came_true": float}
)
"""Predictions of about the same probability, and the part of them that came true; all in 0..1."""


class Quality(TypedDict):
    """How good probabilities were; the log-loss of a coin is 0.693."""

    count: int
    log_loss: float | None
    calibration: list[CalibrationBin]


class Model(TypedDict):
    """One stored model."""

    version: int
    trained_at: datetime
    symbols: list[str]
    samples: int
    first_bar: datetime
    last_bar: datetime
    test_from: datetime
    metrics: dict[str, float]
    event: str
    refitted: bool
    calibration: list[CalibrationBin]
    libraries: dict[str, str]
    sha256: str


class Accuracy(TypedDict):
    """How often the model was right of late; a share in 0..1."""

    resolved: int
    right: int
    pending: int
    share: float | None
    window: int


class Due(TypedDict):
    """Why a model should be trained."""

    code: str
    message: str


class ModelStatus(TypedDict):
    """``apex model status``."""

    version: int | None
    rolled_back_at: datetime | None
    versions: list[Model]
    accuracy: Accuracy
    record: Quality
    trades: Quality
    due: Due | None


class TrainedModel(TypedDict):
    """``apex model train`` and ``rollback``."""

    model: Model


class FileLook(TypedDict):
    """``apex files``."""

    file: str
    kind: str
    usable: bool
    taken_as: list[str]
    columns: dict[str, str]
    rows: list[dict[str, str]]
    count: int
    problems: list[str]
    missing: list[str]
    mapping: list[str]


class Export(TypedDict, total=False):
    """``apex export``: the rows, or the file that they were written to."""

    what: str
    columns: list[str]
    count: int
    rows: list[dict[str, Any]]
    file: str
