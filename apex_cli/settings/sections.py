"""The configuration: ``config.yaml`` and ``APEX_<SECTION>__<KEY>`` variables as frozen values.

The docstring under a key is its documentation; ``config.example.yaml`` is made from it.
Fractions are fractions (``0.01`` is 1 %), and paths are relative to the configuration file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec

from apex_cli.core.errors import ConfigError
from apex_cli.core.model.base import Value
from apex_cli.core.model.learning import LearningMode
from apex_cli.core.model.limits import (
    ApprovalLimits,
    DayTradeLimits,
    ExecutionLimits,
    Limits,
    ProtectionLimits,
    ReconcileLimits,
    RiskLimits,
)
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.notice import Loudness, NoticeKind
from apex_cli.settings.signal_sections import PipelineSettings, PredictorSettings, ScannerSettings, TechnicalSettings

CONFIG_VARIABLE = "APEX_CONFIG"
LIVE_VARIABLE = "APEX_LIVE"
OVERRIDE_PREFIX = "APEX_"
FILE_NAME = "config.yaml"
SECRET_WORDS = ("token", "password", "secret", "account")


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
    """What to take where there is no better."""

    LIVE = "live"
    DELAYED = "delayed"


class SignalSettings(Value, frozen=True, kw_only=True):
    """Section ``signals``: where signals come from."""

    inbox: Path | None = None
    """Folder whose files are read, then moved to processed or rejected."""

    files: tuple[Path, ...] = ()
    """Signal files read once a run and left where they are."""

    max_age_minutes: int = 1440
    """How old a signal may be; one without expires_at expires this long after its timestamp."""

    processed_dir: Path | None = None
    """Where read inbox files go; null: processed inside the inbox."""

    rejected_dir: Path | None = None
    """Where inbox files without one good row go; null: rejected inside the inbox."""


class PriceSettings(Value, frozen=True, kw_only=True):
    """Section ``prices``: where simulated prices come from."""

    bars_dir: Path | None = None
    """Folder with one SYMBOL.csv per symbol; null: the signal's own entry price."""

    max_age_minutes: int | None = None
    """A price older than this is no price; null: any age."""


class SimulationSettings(Value, frozen=True, kw_only=True):
    """Section ``simulation``: the simulated broker."""

    clock: SimulationClock = SimulationClock.SYSTEM
    """system, or bars: time moves through the price history."""

    start: date | None = None
    """First session of a bars clock, YYYY-MM-DD; null: the first bar."""

    slippage_pct: Decimal = Decimal(0)
    """Part of the price lost on every market and stop fill."""

    commission: CommissionModel = CommissionModel.IB_FIXED
    """none, ib_fixed or ib_tiered."""

    max_participation: Decimal | None = None
    """Part of a bar's volume one order can take; null: all."""

    buying_power_multiple: Decimal = Decimal(1)
    """Buying power over equity: 1 is a cash account."""


class BusSettings(Value, frozen=True, kw_only=True):
    """Section ``bus``: the queue between the stages."""

    capacity: int = 1000
    """Messages held; beyond it the weakest and oldest are dropped, with a record."""


class LearningSettings(Value, frozen=True, kw_only=True):
    """Section ``learning``: what learns from closed trades."""

    mode: LearningMode = LearningMode.ADAPT
    """adapt: change the weights of the score; report: only tell; off: score with the defaults."""

    check_interval_s: int = 300
    """Shortest time between two looks at the learners, in seconds."""


class StateSettings(Value, frozen=True, kw_only=True):
    """Section ``state``: where apex remembers."""

    dir: Path = Path("state")
    """Folder of the state file, its journal and backups."""

    backups: int = 10
    """Earlier generations of the state file that are kept."""

    lock_timeout_s: int = 10
    """How long to wait for another process that writes, in seconds."""


class IbSettings(Value, frozen=True, kw_only=True):
    """Section ``broker.ib``: Trader Workstation or IB Gateway."""

    library: IbLibrary = IbLibrary.IB_INSYNC
    """ib_insync or ib_async."""

    ib_host: str = "127.0.0.1"
    """Computer that TWS or IB Gateway runs on."""

    ib_port: int = 7497
    """TWS: 7497 paper, 7496 live. IB Gateway: 4002 paper, 4001 live."""

    ib_client_id: int = 1
    """Client id of the one process that sends orders; not 0, which takes over orders entered in TWS."""

    read_only_offset: int = 100
    """Commands that only look use ib_client_id plus this, or the next free one."""

    mode: IbMode = IbMode.PAPER
    """paper, or live: then orders leave only with --live or APEX_LIVE=1, and account must be set."""

    account: str | None = None
    """Account id that must be logged in; null: the only one. Better set as APEX_BROKER__IB__ACCOUNT."""

    account_type: IbAccountType = IbAccountType.AUTO
    """auto, margin, cash or portfolio: for the day-trading rules, where the broker does not say."""

    connect_timeout_s: int = 15
    """How long making a connection may take, in seconds."""

    request_timeout_s: int = 15
    """How long one question may take, in seconds."""

    ack_timeout_s: int = 10
    """An order not acknowledged within so many seconds has an unknown outcome."""

    heartbeat_s: int = 20
    """A silent connection is asked for the time so often, in seconds."""

    reconnect_max_s: int = 60
    """Longest pause between two attempts to connect again, in seconds."""

    quote_timeout_s: int = 4
    """How long to wait for a first price, in seconds."""

    market_data: IbMarketData = IbMarketData.DELAYED
    """live, or delayed: take prices 15 minutes old where the account has no live ones."""

    outside_rth: bool = False
    """True: orders may fill and stops may trigger outside regular hours."""

    quiet_hours: tuple[str, ...] = ("23:45-00:45@America/New_York", "23:43-23:50@local")
    """Nothing is sent while the broker or the gateway restarts: HH:MM-HH:MM@zone, or @local."""


class BrokerSettings(Value, frozen=True, kw_only=True):
    """Section ``broker``: the broker behind simulation_mode: false."""

    ib: IbSettings = IbSettings()


class TelegramSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.telegram``: messages with buttons, by a bot of your own."""

    enabled: bool = False
    """True: send, and answer button presses and commands. Needs pip install 'apex-cli[telegram]'."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds told here, such as [opportunity, exit, alarm]; empty: all."""

    api: str = "https://api.telegram.org"
    """Where the Bot API is; another one if you run your own server."""

    poll_s: int = 25
    """How long one question for news may stay open, in seconds."""


class AppriseSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.apprise``: mail, ntfy, Slack, Discord, SMS and a hundred more."""

    enabled: bool = False
    """True: send to every URL in APEX_NOTIFY_URLS. Needs pip install 'apex-cli[notify]'."""

    only: tuple[NoticeKind, ...] = ()
    """Kinds told here; empty: all."""


class EventSettings(Value, frozen=True, kw_only=True):
    """Section ``notify.events``: on, silent or off, kind by kind."""

    entry: Loudness = Loudness.ON
    """An entry filled, in part or whole."""

    exit: Loudness = Loudness.ON
    """A position was closed, or a part of it."""

    opportunity: Loudness = Loudness.ON
    """A trade waits for your answer."""

    approval: Loudness = Loudness.ON
    """What became of it: executed, rejected, expired, void."""

    day_trades: Loudness = Loudness.ON
    """Day trades run out."""

    refusal: Loudness = Loudness.SILENT
    """A signal was refused for a reason that concerns the account."""

    alarm: Loudness = Loudness.ON
    """A stop is missing, an order is unknown, the broker is gone."""

    reconciliation: Loudness = Loudness.ON
    """Our books and the broker's differ."""

    adaptation: Loudness = Loudness.SILENT
    """A learner changed its weights."""

    summary: Loudness = Loudness.ON
    """The day in numbers, after the close."""

    trading_state: Loudness = Loudness.ON
    """Somebody halted, reduced or resumed trading."""

    heartbeat: Loudness = Loudness.ON
    """No run succeeded for too long."""


class NotifySettings(Value, frozen=True, kw_only=True):
    """Section ``notify``: who is told what, and where."""

    console: bool = False
    """True: a line on standard error while a command runs."""

    log_file: Path | None = None
    """File that gets a JSON line for every notice; null: none."""

    secrets_file: Path | None = None
    """File of mode 0600 with lines such as APEX_TELEGRAM_TOKEN=...; the environment wins over it."""

    quiet_from: str | None = None
    """Begin of the quiet hours, as "22:00"; low priority waits for their end."""

    quiet_until: str | None = None
    """End of the quiet hours, as "07:00"."""

    time_zone: str = "America/New_York"
    """Where the quiet hours are."""

    deliver_s: int = 5
    """How long a command stays at its end to deliver what it caused, in seconds; the next one goes on."""

    telegram: TelegramSettings = TelegramSettings()
    """Messages with buttons, by a bot of your own."""

    apprise: AppriseSettings = AppriseSettings()
    """Mail, ntfy, Slack, Discord, SMS and a hundred more."""

    events: EventSettings = EventSettings()
    """on, silent or off, kind by kind."""


class Settings(Value, frozen=True, kw_only=True):
    """Everything the user can set. ``Settings()`` is what holds without any file."""

    execution: ExecutionLimits = ExecutionLimits()
    risk: RiskLimits = RiskLimits()
    approval: ApprovalLimits = ApprovalLimits()
    day_trades: DayTradeLimits = DayTradeLimits()
    protection: ProtectionLimits = ProtectionLimits()
    reconcile: ReconcileLimits = ReconcileLimits()
    management: ManagementLimits = ManagementLimits()
    signals: SignalSettings = SignalSettings()
    prices: PriceSettings = PriceSettings()
    simulation: SimulationSettings = SimulationSettings()
    pipeline: PipelineSettings = PipelineSettings()
    technical: TechnicalSettings = TechnicalSettings()
    predictor: PredictorSettings = PredictorSettings()
    scanners: ScannerSettings = ScannerSettings()
    bus: BusSettings = BusSettings()
    learning: LearningSettings = LearningSettings()
    state: StateSettings = StateSettings()
    notify: NotifySettings = NotifySettings()
    broker: BrokerSettings = BrokerSettings()
    source: Path | None = None
    """The file it was read from; not a key of the file."""

    live: bool = False
    """This command may send orders to a live account: --live or APEX_LIVE=1; not a key of the file."""

    @property
    def limits(self) -> Limits:
        """The parts that a decision reads."""
        return Limits(
            execution=self.execution,
            risk=self.risk,
            approval=self.approval,
            day_trades=self.day_trades,
            management=self.management,
        )


def load_settings(path: Path | None, *, environ: Mapping[str, str], cwd: Path) -> Settings:
    """Return the settings of the first file found, then of the variables in *environ*.

    Looked for in this order: *path*, ``$APEX_CONFIG``, ``config.yaml`` in *cwd*, ``config.yaml`` in
    the user's configuration folder. The last two may be missing. Paths in the result are absolute:
    relative ones count from the file's folder, without a file from *cwd*.

    Raises:
        ConfigError: a named file is missing, the file cannot be read, or a key or value is wrong;
            ``details["problems"]`` lists every problem.
    """
    source = find_config(path, environ=environ, cwd=cwd)
    names = [name for name in environ if name.startswith(OVERRIDE_PREFIX)]
    if source is None and not any("_" in name.removeprefix(OVERRIDE_PREFIX) for name in names):
        return Settings(state=StateSettings(dir=cwd / StateSettings().dir))
    from apex_cli.settings.load import read_config, read_overrides  # noqa: PLC0415 - start-up is a feature
    from apex_cli.settings.schema import build_settings  # noqa: PLC0415 - start-up is a feature

    document = read_config(source) if source is not None else {}
    overrides = read_overrides({name: environ[name] for name in names})
    base = source.parent if source is not None else cwd
    return build_settings(document, overrides=overrides, variables=names, source=source, base=base)


def find_config(path: Path | None, *, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the absolute path of the configuration file, or None when there is none.

    Raises:
        ConfigError: the file named by *path* or ``$APEX_CONFIG`` does not exist.
    """
    if path is not None:
        return _named(cwd / path.expanduser(), "--config")
    if named := environ.get(CONFIG_VARIABLE):
        return _named(cwd / Path(named).expanduser(), f"${CONFIG_VARIABLE}")
    local = cwd / FILE_NAME
    if os.path.lexists(local):
        return local
    import typer  # noqa: PLC0415 - the only part of the settings that knows a shell

    user = Path(typer.get_app_dir("apex", roaming=False)) / FILE_NAME
    return user if os.path.lexists(user) else None


def _named(path: Path, by: str) -> Path:
    """Return *path*, which the user asked for, if it exists."""
    if os.path.lexists(path):
        return path
    raise ConfigError(
        "config_missing",
        f"{by} names {path}, which does not exist.",
        hint="Write one with `apex init`, or correct the path.",
        details={"file": str(path)},
    )


def redacted(settings: Settings) -> dict[str, object]:
    """Return *settings* as plain values for people: secrets and account ids are masked."""
    plain = _plain(settings)
    return plain if isinstance(plain, dict) else {}


def _plain(value: object, key: str = "") -> object:
    """Turn one value into str, int, bool, None, list or dict; mask it when its key says so."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name), name) for name in value.__struct_fields__}
    if value not in (None, "", ()) and any(word in key.lower() for word in SECRET_WORDS):
        return "***"
    if isinstance(value, Mapping):
        return {str(name): _plain(item, str(name)) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else str(value)
