"""Sections of the configuration for what happens to a signal before it is scored."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from apex_cli.core.model.base import Value


class PipelineSettings(Value, frozen=True, kw_only=True):
    """Section ``pipeline``: the steps between a signal and its score, and the bars they read."""

    stages: tuple[str, ...] = ()
    """Steps in their order: technical, predictor, the name of an apex_cli.stages entry point, or module:Class."""

    require_analysis: bool = False
    """True: a signal that a step cannot judge (no bars, no model) is refused. False: passed on, with a warning."""

    bars: str = "csv"
    """What steps and scanners read: csv (prices.bars_dir), an apex_cli.bars entry point, or module:Class."""

    history_bars: int = 1000
    """The most bars a step looks back."""

    max_bar_age_days: int | None = 7
    """A symbol whose newest bar is older is not judged; null: any age."""

    cache_dir: Path | None = None
    """Folder where bars of a slow source are kept; null: no cache."""

    cache_minutes: int = 60
    """How long kept bars count as fresh; then the source is asked for what came since."""


class TechnicalSettings(Value, frozen=True, kw_only=True):
    """Section ``technical``: when the technical step lets a signal pass."""

    min_composite: Decimal = Decimal("0.5")
    """The composite score must be above this, 0..1."""

    min_trend: Decimal = Decimal("0.4")
    """The trend score in the signal's direction must be above this, 0..1."""


class PredictorSettings(Value, frozen=True, kw_only=True):
    """Section ``predictor``: the model that predicts the next bar."""

    min_probability: Decimal = Decimal(0)
    """A signal is refused when the probability of its direction is below this; 0: predictions only inform."""

    max_age_days: int = 7
    """A model older than this is due for training."""

    min_accuracy: Decimal = Decimal("0.55")
    """Due for training, too, when the share of right predictions falls below this."""

    accuracy_window: int = 100
    """Resolved predictions that this share is made of."""

    min_samples: int = 200
    """Fewer rows than this are not trained on."""

    embargo_bars: int = 5
    """Bars left out between the parts for training, calibration and test."""

    trees: int = 100
    """Trees of the random forest."""

    auto_train: bool = True
    """True: a looping run trains in a process of its own when training is due. False: only apex model train."""

    keep_versions: int = 5
    """Models kept for apex model rollback."""


class MeanReversionSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.mean_reversion``: buys what fell too fast."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: int = 60
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    rsi_below: Decimal = Decimal(30)
    """RSI14 that counts as oversold."""


class VolumeReversalSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.volume_reversal``: a volume spike that turns a fall around."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: int = 15
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    volume_multiple: Decimal = Decimal("2.5")
    """Volume over the mean of the 20 bars before that counts as a spike."""


class MomentumBreakoutSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.momentum_breakout``: a close above every high of the bars before, with volume."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: int = 15
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    volume_multiple: Decimal = Decimal("1.5")
    """Volume over the mean of the 20 bars before that confirms a breakout."""

    lookback_bars: int = 20
    """Bars whose highs are broken."""


class TrendFollowingSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.trend_following``: joins a strong trend after a pause."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: int = 60
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    min_adx: Decimal = Decimal(25)
    """ADX14 that counts as a trend."""


class ScannerSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners``: what looks for signals by itself; nothing without a watch list."""

    watch_list: tuple[str, ...] = ()
    """Tickers to look at."""

    stop_atr: Decimal = Decimal(2)
    """Distance of the stop from the entry, in average true ranges."""

    target_atr: Decimal = Decimal(4)
    """Distance of the target from the entry, in average true ranges."""

    custom: tuple[str, ...] = ()
    """Scanners of your own: the name of an apex_cli.scanners entry point, or module:Class."""

    mean_reversion: MeanReversionSettings = MeanReversionSettings()
    volume_reversal: VolumeReversalSettings = VolumeReversalSettings()
    momentum_breakout: MomentumBreakoutSettings = MomentumBreakoutSettings()
    trend_following: TrendFollowingSettings = TrendFollowingSettings()
