"""The configuration: ``config.yaml`` and ``APEX_<SECTION>__<KEY>`` variables as frozen values.

The docstring under a key is its documentation; ``config.example.yaml`` is made from it.
Fractions are fractions (``0.01`` is 1 %), and paths are relative to the configuration file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from apex_cli.core.model.base import Range, Value

if TYPE_CHECKING:
    from apex_cli.core.model.agent import AgentLimits
    from apex_cli.core.model.currency import CurrencyLimits
    from apex_cli.core.model.execution_limits import ExecutionLimits
    from apex_cli.core.model.learning import LearningLimits
    from apex_cli.core.model.limits import ApprovalLimits, DayTradeLimits, Limits, ProtectionLimits, ReconcileLimits
    from apex_cli.core.model.management import ManagementLimits
    from apex_cli.core.model.risk_limits import RiskLimits
    from apex_cli.settings.brokers import BrokerName, BrokerSettings, SimulationSettings
    from apex_cli.settings.contacts import DashboardSettings, NotifySettings
    from apex_cli.settings.input_files import ExecutionFileSettings, PriceSettings, SignalSettings
    from apex_cli.settings.lock_files import ProtectionSettings
    from apex_cli.settings.research import (
        BusSettings,
        PipelineSettings,
        PredictorSettings,
        RankingSettings,
        ReplaySettings,
        ScannerSettings,
        TechnicalSettings,
    )
    from apex_cli.settings.webhooks import ListenSettings

OVERRIDE_PREFIX = "APEX_"


class StateSettings(Value, frozen=True, kw_only=True):
    """Section ``state``: where apex remembers."""

    dir: Path = Path("state")
    """Folder of the state file, its journal and backups."""

    backups: Annotated[int, Range(0, 1000)] = 10
    """Earlier generations of the state file that are kept."""

    lock_timeout_s: Annotated[int, Range(1, 3600)] = 10
    """How long to wait for another process that writes, in seconds."""


SECTIONS = {
    "execution": "apex_cli.core.model.execution_limits",
    "risk": "apex_cli.core.model.risk_limits",
    "approval": "apex_cli.core.model.limits",
    "day_trades": "apex_cli.core.model.limits",
    "protection": "apex_cli.core.model.limits",
    "protections": "apex_cli.settings.lock_files",
    "reconcile": "apex_cli.core.model.limits",
    "management": "apex_cli.core.model.management",
    "currency": "apex_cli.core.model.currency",
    "signals": "apex_cli.settings.input_files",
    "prices": "apex_cli.settings.input_files",
    "executions": "apex_cli.settings.input_files",
    "simulation": "apex_cli.settings.brokers",
    "replay": "apex_cli.settings.research",
    "pipeline": "apex_cli.settings.research",
    "technical": "apex_cli.settings.research",
    "predictor": "apex_cli.settings.research",
    "scanners": "apex_cli.settings.research",
    "bus": "apex_cli.settings.research",
    "ranking": "apex_cli.settings.research",
    "learning": "apex_cli.core.model.learning",
    "state": "apex_cli.settings.sections",
    "notify": "apex_cli.settings.contacts",
    "dashboard": "apex_cli.settings.contacts",
    "listen": "apex_cli.settings.webhooks",
    "agents": "apex_cli.core.model.agent",
    "broker": "apex_cli.settings.brokers",
}
"""The module that describes each section, in the order of the reference file."""


class Settings:
    """Everything the user can set. ``Settings()`` is what holds without any file.

    A section that nobody gave is loaded, with its defaults, when it is first read: few commands read many.
    """

    execution: ExecutionLimits
    risk: RiskLimits
    approval: ApprovalLimits
    day_trades: DayTradeLimits
    protection: ProtectionLimits
    protections: ProtectionSettings
    reconcile: ReconcileLimits
    management: ManagementLimits
    currency: CurrencyLimits
    signals: SignalSettings
    prices: PriceSettings
    executions: ExecutionFileSettings
    simulation: SimulationSettings
    replay: ReplaySettings
    pipeline: PipelineSettings
    technical: TechnicalSettings
    predictor: PredictorSettings
    scanners: ScannerSettings
    bus: BusSettings
    ranking: RankingSettings
    learning: LearningLimits
    state: StateSettings
    notify: NotifySettings
    dashboard: DashboardSettings
    listen: ListenSettings
    agents: AgentLimits
    broker: BrokerSettings
    source: Path | None
    """The file it was read from; not a key of the file."""

    profile: str
    """The profile that was chosen; not a key of the file."""

    live: bool
    """This command may send orders to a live account: --live or APEX_LIVE=1; not a key of the file."""

    def __init__(self, *, source: Path | None = None, profile: str = "", live: bool = False, **sections: Value) -> None:
        """Keep *sections*; the others are those of the defaults.

        Raises:
            TypeError: there is no section of such a name.
        """
        if unknown := sections.keys() - SECTIONS.keys():
            raise TypeError(f"There is no section {', '.join(sorted(unknown))}.")
        self.__dict__.update(sections, source=source, profile=profile, live=live)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Value:
            """Load a section that nobody gave."""
            if name not in SECTIONS:
                raise AttributeError(f"{type(self).__name__} has no {name!r}")
            made = self.__dict__[name] = section_type(name)()
            return made

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: settings are values."""
        raise AttributeError(f"settings are frozen: replace({name}=...) returns others")

    def __eq__(self, other: object) -> bool:
        """Return whether every section and fact is the same."""
        return isinstance(other, Settings) and self._everything() == other._everything()

    __hash__ = None  # type: ignore[assignment]  # sections hold mappings

    def __repr__(self) -> str:
        """Return all of it."""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self._everything().items())})"

    def _everything(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in Settings.__annotations__}

    def replace(self, **changes: Any) -> Settings:  # noqa: ANN401 - sections and facts of every type
        """Return these settings with other sections or facts.

        Raises:
            TypeError: there is no section of such a name.
        """
        return Settings(**self.__dict__ | changes)

    __replace__ = replace
    """What ``copy.replace`` calls, from Python 3.13 on."""

    def may_differ(self, section: str) -> bool:
        """Return whether *section* was given; one that was not is as the defaults are."""
        return section in self.__dict__

    @property
    def broker_name(self) -> BrokerName:
        """Where orders go: the simulation, unless it is switched off."""
        from apex_cli.settings.brokers import BrokerName  # noqa: PLC0415 - start-up is a feature

        return BrokerName.SIMULATED if self.execution.simulation_mode else self.broker.name

    @property
    def limits(self) -> Limits:
        """The parts that a decision reads."""
        from apex_cli.core.model.limits import CommissionPlan, Limits  # noqa: PLC0415 - start-up is a feature

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
            stop_limit_pct=self.broker.section.stop_limit,
        )


def section_type(name: str) -> type[Value]:
    """Return what describes a section."""
    found: type[Value] = getattr(import_module(SECTIONS[name]), Settings.__annotations__[name])
    return found
