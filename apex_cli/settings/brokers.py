"""Settings of the brokers: the simulation, or Interactive Brokers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from apex_cli.core.model.base import Fraction, Range, Share, Value
from apex_cli.settings.spellings import Window


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


class AccountMode(StrEnum):
    """Which kind of account orders may reach."""

    PAPER = "paper"
    LIVE = "live"


class AccountSection(Value, frozen=True, kw_only=True):
    """What the section of every broker with accounts says; badge, profiles and ``--live`` go by it."""

    mode: AccountMode = AccountMode.PAPER
    """paper, or live: then orders leave only with --live or APEX_LIVE=1, and account must be set."""

    account: str | None = None
    """Account id that must be logged in; null: the only one. Better in a variable, such as APEX_BROKER__IB__ACCOUNT."""

    @property
    def stop_limit(self) -> Decimal | None:
        """How far the limit of a stop lies beyond its trigger; None: they sell at market, in regular hours."""
        return None

    @classmethod
    def in_mode(cls, mode: AccountMode, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the profiles paper and live change in this section, where *given* is configured."""
        del given
        return {"mode": mode}


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


class SimulationSettings(Value, frozen=True, kw_only=True):
    """Section ``simulation``: the simulated broker."""

    clock: SimulationClock = SimulationClock.SYSTEM
    """system, or bars: time moves through the price history."""

    start: date | None = None
    """First session of a bars clock, YYYY-MM-DD; null: the first bar."""

    step_s: Annotated[Decimal, Range(0, 3600)] = Decimal(1)
    """Seconds from one bar to the next in a loop with a bars clock; 0: as fast as it goes."""

    slippage_pct: Share = Decimal(0)
    """Part of the price lost on every market and stop fill."""

    commission: CommissionModel = CommissionModel.IB_FIXED
    """none, ib_fixed or ib_tiered."""

    max_participation: Fraction | None = None
    """Part of a bar's volume one order can take; null: all."""

    buying_power_multiple: Annotated[Decimal, Range(1, 100)] = Decimal(1)
    """Buying power over equity: 1 is a cash account."""


class TriggerMethod(StrEnum):
    """Which prices trigger a stop at Interactive Brokers."""

    DEFAULT = "default"
    DOUBLE_BID_ASK = "double_bid_ask"
    LAST = "last"
    DOUBLE_LAST = "double_last"
    BID_ASK = "bid_ask"
    LAST_OR_BID_ASK = "last_or_bid_ask"
    MIDPOINT = "midpoint"


LIVE_PORTS = {7497: 7496, 4002: 4001}
"""Ports of TWS and IB Gateway for live accounts, by those for paper accounts."""

LIVE_IDS = 10
"""How far client ids of the live profile lie above those of the others."""


class IbSettings(AccountSection, frozen=True, kw_only=True):
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

    @property
    def stop_limit(self) -> Decimal | None:
        """How far the limit of a stop lies beyond its trigger; None: stops sell at market."""
        return self.stop_limit_pct if self.outside_rth else None

    @classmethod
    def in_mode(cls, mode: AccountMode, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the profiles change: live has a port and a client id of its own."""
        if mode is AccountMode.PAPER:
            return {"mode": mode}
        port, client_id = (given.get(name, getattr(cls(), name)) for name in ("ib_port", "ib_client_id"))
        return {"mode": mode, "ib_port": LIVE_PORTS.get(port, port), "ib_client_id": client_id + LIVE_IDS}


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

    @property
    def section(self) -> AccountSection:
        """The section of the broker of that *name*; of Interactive Brokers, where that is the simulated one."""
        found: AccountSection = self.ib if self.name is BrokerName.SIMULATED else getattr(self, self.name.value)
        return found
