"""The configuration: ``config.yaml`` and ``APEX_<SECTION>__<KEY>`` variables as frozen values.

The docstring under a key is its documentation; ``config.example.yaml`` is made from it.
Fractions are fractions (``0.01`` is 1 %), and paths are relative to the configuration file.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from apex_cli.core.model.base import Fraction, InR, Minutes, Range, Share, Spelling, Value
from apex_cli.core.model.learning import LearningMode
from apex_cli.core.model.limits import (
    ApprovalLimits,
    CommissionPlan,
    CurrencyLimits,
    DayTradeLimits,
    ExecutionLimits,
    Limits,
    ProtectionLimits,
    ReconcileLimits,
    RiskLimits,
)
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.market import ReplayFill
from apex_cli.core.model.notice import EventSettings, NoticeKind
from apex_cli.core.model.option_rule import Days, Delta, OptionModel
from apex_cli.core.model.spelling import Ticker

OVERRIDE_PREFIX = "APEX_"


def _time_of_day(text: str) -> str:
    from datetime import time  # noqa: PLC0415 - start-up is a feature

    time.fromisoformat(text)
    if len(text) != len("22:00"):
        raise ValueError
    return text


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - start-up is a feature

    try:
        ZoneInfo(text)
    except (KeyError, OSError):
        raise ValueError from None
    return text


def _window(text: str) -> str:
    from apex_cli.core.market.quiet_hours import parse_quiet_hours  # noqa: PLC0415 - start-up is a feature

    parse_quiet_hours(text)
    return text


def _column(text: str) -> str:
    return text.strip()


def _dates(text: str) -> str:
    if text.lower() in {"mdy", "dmy"}:
        return text.lower()
    if not all(mark in text for mark in ("%d", "%Y")) and "%" not in text.replace("%%", ""):
        raise ValueError
    return text


def _decimal(text: str) -> str:
    if text not in {".", ","}:
        raise ValueError
    return text


Column = Annotated[str, Spelling(_column, "the name of a column, or its number in quotes", is_free=True)]
DateForm = Annotated[str, Spelling(_dates, "mdy, dmy, or a form such as %d.%m.%Y %H:%M", is_free=True)]
DecimalSign = Annotated[str, Spelling(_decimal, '"." or ","')]
TimeOfDay = Annotated[str, Spelling(_time_of_day, 'a time of day in quotes, such as "22:00"')]
Zone = Annotated[str, Spelling(_zone, "a time zone such as Europe/Zurich")]
Window = Annotated[str, Spelling(_window, "23:45-00:45@America/New_York, or @local for the zone of this computer")]


class SimulationClock(StrEnum):
    """What time it is for the simulated broker."""

    SYSTEM = "system"
    """The time of this computer."""

    BARS = "bars"
    """The market's history: time moves with run --bars-until, or bar by bar in a loop."""


class CommissionModel(StrEnum):
    """What a simulated fill costs."""

    NONE = "none"
    IB_FIXED = "ib_fixed"
    IB_TIERED = "ib_tiered"


class IbLibrary(StrEnum):
    """Which client library talks to Interactive Brokers."""

    IB_INSYNC = "ib_insync"
    IB_ASYNC = "ib_async"


class IbMode(StrEnum):
    """Which kind of account orders may reach."""

    PAPER = "paper"
    LIVE = "live"


class IbAccountType(StrEnum):
    """How the account borrows, where the broker does not say."""

    AUTO = "auto"
    MARGIN = "margin"
    CASH = "cash"
    PORTFOLIO = "portfolio"


class IbMarketData(StrEnum):
    """Market data type to fall back to."""

    LIVE = "live"
    DELAYED = "delayed"


class StrictNames(StrEnum):
    """Which names of fields that no signal has are refused."""

    ON = "on"
    TYPOS = "typos"
    OFF = "off"


class SignalColumns(Value, frozen=True, kw_only=True):
    """Section ``signals.columns``: names of fields and columns in signal files; null: found out."""

    symbol: Column | None = None
    """Symbol."""

    signal_type: Column | None = None
    """Buy, long, sell or short."""

    entry_price: Column | None = None
    """Price of the entry."""

    stop_loss: Column | None = None
    """Price of the stop."""

    target_price: Column | None = None
    """Price of the target."""

    confidence: Column | None = None
    """Confidence, 0 to 1 or in percent."""

    strategy: Column | None = None
    """Strategy."""

    timestamp: Column | None = None
    """When the signal was made."""

    expires_at: Column | None = None
    """When it is over."""

    signal_id: Column | None = None
    """Id of the signal."""


class DefaultStop(Value, frozen=True, kw_only=True):
    """Section ``signals.default_stop``: a stop for signals that come without one; null: they are refused."""

    atr: Annotated[Decimal, Range(0, 100, above=True)] | None = None
    """Distance of the stop in average true ranges of the last 14 bars; needs prices.bars_dir."""

    pct: Annotated[Decimal, Range(0, 1, above=True)] | None = None
    """Distance of the stop as a part of the entry price: 0.05 is 5 %."""


class OptionDefault(Value, frozen=True, kw_only=True):
    """Section ``signals.option``: which contract a word such as LONG_CALL means that names none."""

    dte: Days | None = None
    """Calendar days to expiry, such as 30-45; null: what names no contract is refused."""

    delta: Delta | None = None
    """Delta, without its sign, that the strike should have: 0.40; null: the strike nearest to the price."""


class SignalSettings(Value, frozen=True, kw_only=True):
    """Section ``signals``: where signals come from."""

    inbox: Path | None = None
    """Folder whose files are read, then moved to processed or rejected."""

    files: tuple[Path, ...] = ()
    """Signal files read once a run and left where they are."""

    max_age_minutes: Minutes = 1440
    """How old a signal may be; one without expires_at expires this long after its timestamp."""

    processed_dir: Path | None = None
    """Where read inbox files go; null: processed inside the inbox."""

    rejected_dir: Path | None = None
    """Where inbox files without one good row go; null: rejected inside the inbox."""

    strict: StrictNames = StrictNames.TYPOS
    """Unknown fields that refuse a signal: on all, typos those near a known name, off none; others become metadata."""

    zone: Zone | None = None
    """Time zone of times that name none; null: such times are refused."""

    dates: DateForm | None = None
    """What 07/08/2026 means: mdy, dmy, or a form such as %d.%m.%Y; null: found out, or refused."""

    decimal: DecimalSign | None = None
    """Decimal sign in tables, "." or ","; null: found out, or refused."""

    columns: SignalColumns = SignalColumns()
    """Names of fields that are not known."""

    default_stop: DefaultStop = DefaultStop()
    """A stop by rule for signals that come without one; off while both are null."""

    option: OptionDefault = OptionDefault()
    """A rule that chooses the contract of LONG_CALL and the like that name none; off while dte is null."""


class PriceColumns(Value, frozen=True, kw_only=True):
    """Section ``prices.columns``: names of columns in price files; null: found out."""

    time: Column | None = None
    """Date, or date and time."""

    clock: Column | None = None
    """Time of day, where it has a column of its own."""

    open: Column | None = None
    """Price at the beginning of a bar."""

    high: Column | None = None
    """Highest price."""

    low: Column | None = None
    """Lowest price."""

    close: Column | None = None
    """Price at the end of a bar."""

    volume: Column | None = None
    """Units traded."""

    symbol: Column | None = None
    """Symbol, where one file holds several."""


class PriceSettings(Value, frozen=True, kw_only=True):
    """Section ``prices``: where simulated prices come from."""

    bars_dir: Path | None = None
    """Folder with one file per symbol, such as AAPL.csv; null: the signal's own entry price."""

    max_age_minutes: Minutes | None = None
    """A price older than this is no price; null: any age."""

    zone: Zone | None = None
    """Time zone of times in price files that name none; null: New York for stocks, UTC for coins, else refused."""

    dates: DateForm | None = None
    """What 07/08/2026 means in price files: mdy, dmy, or a form such as %d.%m.%Y; null: found out, or refused."""

    decimal: DecimalSign | None = None
    """Decimal sign in price files, "." or ","; null: found out, or refused."""

    columns: PriceColumns = PriceColumns()
    """Names of columns that are not known; a number in quotes counts columns from one."""

    options: OptionModel = OptionModel()
    """How options without bars of their own are priced: by Black and Scholes, as theoretical."""


class ReplaySettings(Value, frozen=True, kw_only=True):
    """Section ``replay``: history traded again."""

    fill: ReplayFill = ReplayFill.NEXT_OPEN
    """next_open: an order meets the open of the bar after its signal; close: the close that made the signal."""

    keep_bars: bool = True
    """True: bars of large folders are kept as read in .apex-bars beside them, and not read again until they change."""


class ExecutionColumns(Value, frozen=True, kw_only=True):
    """Section ``executions.columns``: names of columns in lists of trades; null: found out."""

    time: Column | None = None
    """When it was filled: date, or date and time."""

    clock: Column | None = None
    """Time of day, where it has a column of its own."""

    symbol: Column | None = None
    """Symbol."""

    side: Column | None = None
    """Bought or sold."""

    quantity: Column | None = None
    """Units filled."""

    sec_type: Column | None = None
    """Kind of security."""

    exec_id: Column | None = None
    """Id of the execution."""

    order_id: Column | None = None
    """Id of the order."""

    account: Column | None = None
    """Account."""


class ExecutionFileSettings(Value, frozen=True, kw_only=True):
    """Section ``executions``: lists of trades that import-fills and pdt-status read."""

    zone: Zone | None = None
    """Time zone of times that name none; null: New York in lists of known brokers, refused in others."""

    dates: DateForm | None = None
    """What 07/08/2026 means: mdy, dmy, or a form such as %d.%m.%Y; null: found out, or refused."""

    decimal: DecimalSign | None = None
    """Decimal sign, "." or ","; null: found out, or refused."""

    columns: ExecutionColumns = ExecutionColumns()
    """Names of columns that are not known; a number in quotes counts columns from one."""

    flex_url: str = "https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService"
    """Address of Interactive Brokers' Flex web service."""

    flex_patience_s: Annotated[int, Range(0, 3600)] = 120
    """How long to wait for a report that is still being made, in seconds."""


class SimulationSettings(Value, frozen=True, kw_only=True):
    """Section ``simulation``: the simulated broker."""

    clock: SimulationClock = SimulationClock.SYSTEM
    """system, or bars: time moves through the price history."""

    start: date | None = None
    """First session of a bars clock, YYYY-MM-DD; null: the first bar."""

    slippage_pct: Share = Decimal(0)
    """Part of the price lost on every market and stop fill."""

    commission: CommissionModel = CommissionModel.IB_FIXED
    """none, ib_fixed or ib_tiered."""

    max_participation: Fraction | None = None
    """Part of a bar's volume one order can take; null: all."""

    buying_power_multiple: Annotated[Decimal, Range(1, 100)] = Decimal(1)
    """Buying power over equity: 1 is a cash account."""


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


class MeanReversionSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.mean_reversion``: buys what fell too fast."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: Minutes = 60
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    rsi_below: Annotated[Decimal, Range(1, 50)] = Decimal(30)
    """RSI14 that counts as oversold."""


class VolumeReversalSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.volume_reversal``: a volume spike that turns a fall around."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: Minutes = 15
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    volume_multiple: Annotated[Decimal, Range(0, 1000)] = Decimal("2.5")
    """Volume over the mean of the 20 bars before that counts as a spike."""


class MomentumBreakoutSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.momentum_breakout``: a close above every high of the bars before, with volume."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: Minutes = 15
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

    volume_multiple: Annotated[Decimal, Range(0, 1000)] = Decimal("1.5")
    """Volume over the mean of the 20 bars before that confirms a breakout."""

    lookback_bars: Annotated[int, Range(2, 250)] = 20
    """Bars whose highs are broken."""


class TrendFollowingSettings(Value, frozen=True, kw_only=True):
    """Section ``scanners.trend_following``: joins a strong trend after a pause."""

    enabled: bool = True
    """False: this scanner does not look."""

    interval_minutes: Minutes = 60
    """How often it looks."""

    short: bool = False
    """True: sell short on the mirrored picture, too."""

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


class LearningSettings(Value, frozen=True, kw_only=True):
    """Section ``learning``: what learns from closed trades."""

    mode: LearningMode = LearningMode.ADAPT
    """adapt: change the weights of the score; report: only show it; off: score with the defaults."""

    check_interval_s: Annotated[int, Range(1, 86_400)] = 300
    """Shortest time between two looks at the learners, in seconds."""


class StateSettings(Value, frozen=True, kw_only=True):
    """Section ``state``: where apex remembers."""

    dir: Path = Path("state")
    """Folder of the state file, its journal and backups."""

    backups: Annotated[int, Range(0, 1000)] = 10
    """Earlier generations of the state file that are kept."""

    lock_timeout_s: Annotated[int, Range(1, 3600)] = 10
    """How long to wait for another process that writes, in seconds."""


class TriggerMethod(StrEnum):
    """Which prices trigger a stop at Interactive Brokers."""

    DEFAULT = "default"
    DOUBLE_BID_ASK = "double_bid_ask"
    LAST = "last"
    DOUBLE_LAST = "double_last"
    BID_ASK = "bid_ask"
    LAST_OR_BID_ASK = "last_or_bid_ask"
    MIDPOINT = "midpoint"


class IbSettings(Value, frozen=True, kw_only=True):
    """Section ``broker.ib``: Trader Workstation or IB Gateway."""

    library: IbLibrary = IbLibrary.IB_INSYNC
    """ib_insync or ib_async."""

    ib_host: str = "127.0.0.1"
    """Computer that TWS or IB Gateway runs on."""

    ib_port: Annotated[int, Range(1, 65_535)] = 7497
    """TWS: 7497 paper, 7496 live. IB Gateway: 4002 paper, 4001 live."""

    ib_client_id: Annotated[int, Range(1, 2**31 - 1)] = 1
    """Client id of the one process that sends orders; not 0, which takes over orders entered in TWS."""

    read_only_offset: Annotated[int, Range(1, 1_000_000)] = 100
    """Commands that only look use ib_client_id plus this, or the next free one."""

    mode: IbMode = IbMode.PAPER
    """paper, or live: then orders leave only with --live or APEX_LIVE=1, and account must be set."""

    account: str | None = None
    """Account id that must be logged in; null: the only one. Better set as APEX_BROKER__IB__ACCOUNT."""

    account_type: IbAccountType = IbAccountType.AUTO
    """auto, margin, cash or portfolio: for the day-trading rules, where the broker does not say."""

    connect_timeout_s: Annotated[int, Range(1, 300)] = 15
    """How long making a connection may take, in seconds."""

    request_timeout_s: Annotated[int, Range(1, 300)] = 15
    """How long one question may take, in seconds."""

    ack_timeout_s: Annotated[int, Range(1, 300)] = 10
    """An order not acknowledged within so many seconds has an unknown outcome."""

    settle_s: Annotated[Decimal, Range(0, 60)] = Decimal(1)
    """A command ends only so many seconds after its last order was acknowledged: IB may refuse it later than that."""

    never_sent_after_s: Annotated[int, Range(0, 3600)] = 60
    """An order that no answer names counts as never sent only so many seconds after sending: it may turn up late."""

    heartbeat_s: Annotated[int, Range(1, 3600)] = 20
    """Seconds between keep-alive requests on an idle connection."""

    reconnect_max_s: Annotated[int, Range(1, 3600)] = 60
    """Longest pause between two attempts to connect again, in seconds."""

    quote_timeout_s: Annotated[int, Range(1, 60)] = 4
    """How long to wait for a first price, in seconds."""

    market_data: IbMarketData = IbMarketData.DELAYED
    """live, or delayed: take prices 15 minutes old where the account has no live ones."""

    outside_rth: bool = False
    """True: limit orders may fill and stops may trigger outside regular hours; stops are sent with a limit, as nothing
    sells at market then."""

    stop_limit_pct: Annotated[Decimal, Range(0, Decimal("0.5"), above=True)] = Decimal("0.02")
    """With outside_rth: how far the limit of a stop lies beyond its trigger, part of the trigger."""

    trigger_method: TriggerMethod = TriggerMethod.DEFAULT
    """Which prices trigger a stop: default (last for stocks, double_bid_ask for options), double_bid_ask, last,
    double_last, bid_ask, last_or_bid_ask or midpoint. Simulation and replay know trades alone."""

    quiet_hours: tuple[Window, ...] = ("23:45-00:45@America/New_York", "23:43-23:50@local")
    """Nothing is sent while the broker or the gateway restarts: HH:MM-HH:MM@zone, or @local."""


class BrokerName(StrEnum):
    """Where orders go."""

    SIMULATED = "simulated"
    IB = "ib"


class BrokerSettings(Value, frozen=True, kw_only=True):
    """Section ``broker``: the broker behind simulation_mode: false."""

    name: BrokerName = BrokerName.IB
    """Which one: ib, Interactive Brokers; or simulated, as with simulation_mode: true."""

    ib: IbSettings = IbSettings()
    """Trader Workstation or IB Gateway."""


class TelegramSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.telegram``: messages with buttons, by a bot of your own."""

    enabled: bool = False
    """True: send, and answer button presses and commands. Needs the extra telegram."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds sent here, such as [opportunity, exit, alarm]; empty: all."""

    api: str = "https://api.telegram.org"
    """Where the Bot API is; another one if you run your own server."""

    poll_s: Annotated[int, Range(1, 50)] = 25
    """How long one question for news may stay open, in seconds."""

    halt_asks: bool = False
    """True: /halt asks first, as /reduce and /resume do; false: it halts at once."""


class AppriseSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.apprise``: mail, ntfy, Slack, Discord, SMS and a hundred more."""

    enabled: bool = False
    """True: send to every URL in APEX_NOTIFY_URLS. Needs the extra notify."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds sent here; empty: all."""


class NotifySettings(Value, frozen=True, kw_only=True):
    """Section ``notify``: which notices are sent, and where."""

    console: bool = False
    """True: a line on standard error while a command runs."""

    log_file: Path | None = None
    """File that gets a JSON line for every notice; null: none."""

    secrets_file: Path | None = None
    """File of mode 0600 with lines such as APEX_TELEGRAM_TOKEN=...; the environment wins over it."""

    quiet_from: TimeOfDay | None = None
    """Begin of the quiet hours, as "22:00"; low priority waits for their end."""

    quiet_until: TimeOfDay | None = None
    """End of the quiet hours, as "07:00"."""

    time_zone: Zone = "America/New_York"
    """Where the quiet hours are."""

    deliver_s: Annotated[int, Range(0, 60)] = 5
    """How long a command stays at its end to deliver what it caused, in seconds; the next one goes on."""

    telegram: TelegramSettings = TelegramSettings()
    """Messages with buttons, by a bot of your own."""

    apprise: AppriseSettings = AppriseSettings()
    """Mail, ntfy, Slack, Discord, SMS and a hundred more."""

    events: EventSettings = EventSettings()
    """on, silent or off, kind by kind."""


class DashboardSettings(Value, frozen=True, kw_only=True):
    """Section ``dashboard``: who may look at the served page."""

    token_for_reading: bool = True
    """Whether dashboard --serve asks for a token to look; false: any user of this computer may. Keys always need it."""


class Settings(Value, frozen=True, kw_only=True):
    """Everything the user can set. ``Settings()`` is what holds without any file."""

    execution: ExecutionLimits = ExecutionLimits()
    risk: RiskLimits = RiskLimits()
    approval: ApprovalLimits = ApprovalLimits()
    day_trades: DayTradeLimits = DayTradeLimits()
    protection: ProtectionLimits = ProtectionLimits()
    reconcile: ReconcileLimits = ReconcileLimits()
    management: ManagementLimits = ManagementLimits()
    currency: CurrencyLimits = CurrencyLimits()
    signals: SignalSettings = SignalSettings()
    prices: PriceSettings = PriceSettings()
    executions: ExecutionFileSettings = ExecutionFileSettings()
    simulation: SimulationSettings = SimulationSettings()
    replay: ReplaySettings = ReplaySettings()
    pipeline: PipelineSettings = PipelineSettings()
    technical: TechnicalSettings = TechnicalSettings()
    predictor: PredictorSettings = PredictorSettings()
    scanners: ScannerSettings = ScannerSettings()
    bus: BusSettings = BusSettings()
    learning: LearningSettings = LearningSettings()
    state: StateSettings = StateSettings()
    notify: NotifySettings = NotifySettings()
    dashboard: DashboardSettings = DashboardSettings()
    broker: BrokerSettings = BrokerSettings()
    source: Path | None = None
    """The file it was read from; not a key of the file."""

    profile: str = ""
    """The profile that was chosen; not a key of the file."""

    live: bool = False
    """This command may send orders to a live account: --live or APEX_LIVE=1; not a key of the file."""

    @property
    def broker_name(self) -> BrokerName:
        """Where orders go: the simulation, unless it is switched off."""
        return BrokerName.SIMULATED if self.execution.simulation_mode else self.broker.name

    @property
    def limits(self) -> Limits:
        """The parts that a decision reads."""
        return Limits(
            execution=self.execution,
            risk=self.risk,
            approval=self.approval,
            day_trades=self.day_trades,
            management=self.management,
            currency=self.currency,
            commission=CommissionPlan(self.simulation.commission.value),
            stop_limit_pct=self.broker.ib.stop_limit_pct if self.broker.ib.outside_rth else None,
        )
