"""The configuration: ``config.yaml`` and ``APEX_<SECTION>__<KEY>`` variables as frozen values.

The docstring under a key is its documentation; ``config.example.yaml`` is made from it.
Fractions are fractions (``0.01`` is 1 %), and paths are relative to the configuration file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from apex_cli.core.model.agent import AgentLimits
from apex_cli.core.model.base import Range, Value
from apex_cli.core.model.learning import LearningLimits
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
from apex_cli.settings.brokers import BrokerName, BrokerSettings, SimulationSettings
from apex_cli.settings.contacts import DashboardSettings, NotifySettings
from apex_cli.settings.doors import ListenSettings
from apex_cli.settings.input_files import ExecutionFileSettings, PriceSettings, SignalSettings
from apex_cli.settings.lock_files import ProtectionSettings
from apex_cli.settings.research import (
    BusSettings,
    PipelineSettings,
    PredictorSettings,
    RankingSettings,
    ScannerSettings,
    TechnicalSettings,
)

OVERRIDE_PREFIX = "APEX_"


class ReplaySettings(Value, frozen=True, kw_only=True):
    """Section ``replay``: history traded again."""

    fill: ReplayFill = ReplayFill.NEXT_OPEN
    """next_open: an order meets the open of the bar after its signal; close: the close that made the signal."""

    keep_bars: bool = True
    """True: bars of large folders are kept as read in .apex-bars beside them, and not read again until they change."""


class StateSettings(Value, frozen=True, kw_only=True):
    """Section ``state``: where apex remembers."""

    dir: Path = Path("state")
    """Folder of the state file, its journal and backups."""

    backups: Annotated[int, Range(0, 1000)] = 10
    """Earlier generations of the state file that are kept."""

    lock_timeout_s: Annotated[int, Range(1, 3600)] = 10
    """How long to wait for another process that writes, in seconds."""


class Settings(Value, frozen=True, kw_only=True):
    """Everything the user can set. ``Settings()`` is what holds without any file."""

    execution: ExecutionLimits = ExecutionLimits()
    risk: RiskLimits = RiskLimits()
    approval: ApprovalLimits = ApprovalLimits()
    day_trades: DayTradeLimits = DayTradeLimits()
    protection: ProtectionLimits = ProtectionLimits()
    protections: ProtectionSettings = ProtectionSettings()
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
    ranking: RankingSettings = RankingSettings()
    learning: LearningLimits = LearningLimits()
    state: StateSettings = StateSettings()
    notify: NotifySettings = NotifySettings()
    dashboard: DashboardSettings = DashboardSettings()
    listen: ListenSettings = ListenSettings()
    agents: AgentLimits = AgentLimits()
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
            protections=self.protections.limits,
            agents=self.agents,
            learning=self.learning,
            commission=CommissionPlan(self.simulation.commission.value),
            stop_limit_pct=self.broker.ib.stop_limit_pct if self.broker.ib.outside_rth else None,
        )
