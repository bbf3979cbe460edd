"""Puts the Interactive Brokers adapter together from the settings; imported only where it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.checkup import look_at_broker
from apex_cli.core.adapters.ib.config import IbConfig
from apex_cli.core.adapters.ib.prices import IbPrices
from apex_cli.core.adapters.ib.quiet import parse_quiet_hours
from apex_cli.core.model.account import AccountType
from apex_cli.core.model.health import Finding
from apex_cli.core.ports import Clock
from apex_cli.settings import IbAccountType, IbMarketData, IbMode, Settings
from apex_cli.wiring.house import make_system_clock


def make_ib_broker(
    settings: Settings, clock: Clock, *, read_only: bool, is_ours: Callable[[str], bool] | None = None
) -> IbBroker:
    """Return the Interactive Brokers adapter, not connected yet."""
    ib = settings.broker.ib
    config = IbConfig(
        library=ib.library.value,
        host=ib.ib_host,
        port=ib.ib_port,
        client_id=ib.ib_client_id,
        read_only_offset=ib.read_only_offset,
        account=ib.account,
        is_live=ib.mode is IbMode.LIVE,
        is_live_allowed=settings.live,
        account_type=None if ib.account_type is IbAccountType.AUTO else AccountType(ib.account_type.value),
        connect_timeout_s=ib.connect_timeout_s,
        request_timeout_s=ib.request_timeout_s,
        ack_timeout_s=ib.ack_timeout_s,
        heartbeat_s=ib.heartbeat_s,
        reconnect_max_s=ib.reconnect_max_s,
        quote_timeout_s=ib.quote_timeout_s,
        market_data_type=1 if ib.market_data is IbMarketData.LIVE else 4,
        outside_rth=ib.outside_rth,
        quiet_hours=tuple(map(parse_quiet_hours, ib.quiet_hours)),
    )
    return IbBroker(config, clock, read_only=read_only, is_ours=is_ours)


def look_at_ib(settings: Settings) -> tuple[Finding, ...]:
    """Return what a look at Interactive Brokers finds."""
    clock = make_system_clock(settings)
    broker = make_ib_broker(settings, clock, read_only=True)

    async def look() -> tuple[Finding, ...]:
        return tuple([finding async for finding in look_at_broker(broker, IbPrices(broker, clock), clock)])

    return asyncio.run(look())
