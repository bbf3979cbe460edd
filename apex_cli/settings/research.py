"""Settings of scanners, technical analysis, predictor, bus, score and learning."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

from apex_cli.core.model.base import MOST_MONEY, InR, Minutes, Range, Share, Value
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.ticker import Ticker


class PipelineSettings(Value, frozen=True, kw_only=True):
    """Section ``pipeline``: the steps between a signal and its score, and the bars they read."""

    stages: tuple[str, ...] = ()
    """Steps in their order: technical, predictor, the name of an apex_cli.stages entry point, or module:Class."""

    require_analysis: bool = False
    """True: a signal that a step cannot judge (no bars, no model) is refused. False: passed on, with a warning."""

    bars: str = "csv"
    """What steps and scanners read: csv (prices.bars_dir), an apex_cli.bars entry point, or module:Class."""

    time_limit_s: Annotated[int, Range(1, 3600)] = 30
    """A step or scanner that does not answer within this is reported and left out for the rest of the run."""

    memory_limit_mb: Annotated[int, Range(64, 1_000_000)] | None = 2048
    """So is one that takes more memory than this at a time, on Linux; null: no limit."""

    history_bars: Annotated[int, Range(200, 100_000)] = 1000
    """The most bars a step looks back."""

    max_bar_age_days: Annotated[int, Range(0, 36_500)] | None = 7
    """A symbol whose newest bar is older is not judged; null: any age."""

    cache_dir: Path | None = None
    """Folder where bars of a slow source are kept; null: no cache."""

    cache_minutes: Minutes = 60
    """How long kept bars count as fresh; then the source is asked for what came since."""


class TechnicalSettings(Value, frozen=True, kw_only=True):
    """Section ``technical``: when the technical step lets a signal pass."""

    min_composite: Share = Decimal("0.5")
    """The composite score must be above this, 0..1."""

    min_trend: Share = Decimal("0.4")
    """The trend score in the signal's direction must be above this, 0..1."""


class PredictorSettings(Value, frozen=True, kw_only=True):
    """Section ``predictor``: the model that predicts the next bar."""

    min_probability: Share = Decimal(0)
    """A signal is refused when the probability of its direction is below this; 0: predictions only inform."""

    max_age_days: Annotated[int, Range(1, 3650)] = 7
    """A model older than this is due for training."""

    min_accuracy: Share = Decimal("0.55")
    """Due for training, too, when the share of right predictions falls below this."""

    accuracy_window: Annotated[int, Range(10, 10_000)] = 100
    """Resolved predictions that this share is made of."""

    min_samples: Annotated[int, Range(200, 1_000_000)] = 200
    """Fewer rows than this are not trained on."""

    embargo_bars: Annotated[int, Range(1, 1000)] = 5
    """Bars left out between the parts for training, calibration and test."""

    trees: Annotated[int, Range(10, 10_000)] = 100
    """Trees of the random forest."""

    auto_train: bool = True
    """True: a looping run trains in a process of its own when training is due. False: only apex model train."""

    keep_versions: Annotated[int, Range(2, 1000)] = 5
    """Models kept for apex model rollback."""


class OneScanner(Value, frozen=True, kw_only=True):
    """What every built-in scanner has."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: Minutes = 15
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""


class MeanReversionSettings(OneScanner, frozen=True, kw_only=True):
    """Section ``scanners.mean_reversion``: buys what fell too fast."""

    interval_minutes: Minutes = 60
    rsi_below: Annotated[Decimal, Range(1, 50)] = Decimal(30)
    """RSI14 that counts as oversold."""


class VolumeReversalSettings(OneScanner, frozen=True, kw_only=True):
    """Section ``scanners.volume_reversal``: a volume spike that turns a fall around."""

    volume_multiple: Annotated[Decimal, Range(0, 1000)] = Decimal("2.5")
    """Volume over the mean of the 20 bars before that counts as a spike."""


class MomentumBreakoutSettings(OneScanner, frozen=True, kw_only=True):
    """Section ``scanners.momentum_breakout``: a close above every high of the bars before, with volume."""

    volume_multiple: Annotated[Decimal, Range(0, 1000)] = Decimal("1.5")
    """Volume over the mean of the 20 bars before that confirms a breakout."""

    lookback_bars: Annotated[int, Range(2, 250)] = 20
    """Bars whose highs are broken."""


class TrendFollowingSettings(OneScanner, frozen=True, kw_only=True):
    """Section ``scanners.trend_following``: joins a strong trend after a pause."""

    interval_minutes: Minutes = 60
    min_adx: Annotated[Decimal, Range(0, 100)] = Decimal(25)
    """ADX14 that counts as a trend."""


class ScannerSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners``: what looks for signals by itself; nothing without a watch list."""

    watch_list: tuple[Ticker, ...] = ()
    """Tickers to look at."""

    stop_atr: InR = Decimal(2)
    """Distance of the stop from the entry, in average true ranges."""

    target_atr: Annotated[Decimal, Range(0, 1000, above=True)] = Decimal(4)
    """Distance of the target from the entry, in average true ranges."""

    custom: tuple[str, ...] = ()
    """Scanners of your own: the name of an apex_cli.scanners entry point, or module:Class."""

    strategies: tuple[str, ...] = ()
    """Strategies of your own: the name of an apex_cli.strategies entry point, or module:function."""

    parameters: dict[str, Annotated[Decimal, Range(-MOST_MONEY, MOST_MONEY)]] = {}
    """Numbers that strategies find in ctx.parameters, by name; a grid names them as scanners.parameters.NAME."""

    mean_reversion: MeanReversionSettings = MeanReversionSettings()
    """Buys what fell too fast: RSI14 below a bound."""

    volume_reversal: VolumeReversalSettings = VolumeReversalSettings()
    """A volume spike on the bar that turns a fall around."""

    momentum_breakout: MomentumBreakoutSettings = MomentumBreakoutSettings()
    """A close above every high of the bars before, with volume."""

    trend_following: TrendFollowingSettings = TrendFollowingSettings()
    """Joins a strong trend when the price comes back over its 20-bar average."""


class BusSettings(Value, frozen=True, kw_only=True):
    """Section ``bus``: the queue between the stages."""

    capacity: Annotated[int, Range(1, 1_000_000)] = 1000
    """Messages held; beyond it the weakest and oldest are dropped, with a record."""


class RankingSettings(Value, frozen=True, kw_only=True):
    """Section ``ranking``: what is ordered together."""

    window_s: Annotated[int, Range(0, 3600)] = 0
    """How long signals wait for others that compete with them, in seconds: all of them are then decided on, best
    first. 0: each file and each look of a scanner is decided on at once."""


class ReplaySettings(Value, frozen=True, kw_only=True):
    """Section ``replay``: history traded again."""

    fill: ReplayFill = ReplayFill.NEXT_OPEN
    """next_open: an order meets the open of the bar after its signal; close: the close that made the signal."""

    keep_bars: bool = True
    """True: bars of large folders are kept as read in .apex-bars beside them, and not read again until they change."""
