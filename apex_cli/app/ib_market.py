"""Puts the Interactive Brokers adapter together from the settings; imported only where it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from apex_cli.app.market_parts import AskBars, Books, Market, open_bars
from apex_cli.app.resources import make_system_clock
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.checkup import look_at_broker
from apex_cli.core.adapters.ib.ib_config import IbConfig
from apex_cli.core.adapters.ib.prices import IbPrices, last_close
from apex_cli.core.decision.rates import Rates
from apex_cli.core.market.quiet_hours import parse_quiet_hours
from apex_cli.core.model.account import AccountType
from apex_cli.core.model.health import Finding
from apex_cli.core.model.limits import Patience
from apex_cli.core.model.market import Bar
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.spelling import of_key
from apex_cli.core.ports import Broker, Clock
from apex_cli.settings.brokers import AccountMode, IbAccountType, IbMarketData, TriggerMethod
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.signals.prefetch import Prefetch

DAYS_A_YEAR, SESSIONS_A_YEAR = 365, 250


TRIGGER_METHODS = {
    TriggerMethod.DEFAULT: 0,
    TriggerMethod.DOUBLE_BID_ASK: 1,
    TriggerMethod.LAST: 2,
    TriggerMethod.DOUBLE_LAST: 3,
    TriggerMethod.BID_ASK: 4,
    TriggerMethod.LAST_OR_BID_ASK: 7,
    TriggerMethod.MIDPOINT: 8,
}
"""The protocol's numbers of trigger methods."""


def make_ib_broker(settings: Settings, clock: Clock, *, read_only: bool, books: Books | None = None) -> IbBroker:
    """Return the Interactive Brokers adapter, not connected yet."""
    ib = settings.broker.ib
    config = IbConfig(
        library=ib.library.value,
        host=ib.ib_host,
        port=ib.ib_port,
        client_id=ib.ib_client_id,
        read_only_offset=ib.read_only_offset,
        account=ib.account,
        is_live=ib.mode is AccountMode.LIVE,
        account_type=None if ib.account_type is IbAccountType.AUTO else AccountType(ib.account_type.value),
        connect_timeout_s=ib.connect_timeout_s,
        request_timeout_s=ib.request_timeout_s,
        ack_timeout_s=ib.ack_timeout_s,
        heartbeat_s=ib.heartbeat_s,
        reconnect_max_s=ib.reconnect_max_s,
        quote_timeout_s=ib.quote_timeout_s,
        market_data_type=1 if ib.market_data is IbMarketData.LIVE else 4,
        outside_rth=ib.outside_rth,
        trigger_method=TRIGGER_METHODS[ib.trigger_method],
        currency=settings.currency.base,
        quiet_hours=tuple(map(parse_quiet_hours, ib.quiet_hours)),
    )
    if books is None:
        return IbBroker(config, clock, read_only=read_only)
    return IbBroker(
        config,
        clock,
        read_only=read_only,
        is_ours=books.is_ours,
        known=books.securities,
        held=books.held,
        name_of=books.name_of,
        is_own_account=books.is_own_account,
    )


MOST_MINUTES_LIVE = 30
"""Older prices are none at a real broker, unless ``prices.max_age_minutes`` says otherwise: delayed ones are 15 old."""


def make_market(settings: Settings, *, read_only: bool, books: Books) -> Market:
    """Return Interactive Brokers, its prices and the machine's time."""
    clock = make_system_clock(settings)
    broker = make_ib_broker(settings, clock, read_only=read_only, books=books)
    minutes = settings.prices.max_age_minutes
    age = timedelta(minutes=MOST_MINUTES_LIVE if minutes is None else minutes)
    ib = settings.broker.ib
    patience = Patience(
        ack_timeout_s=ib.ack_timeout_s, settle_s=float(ib.settle_s), never_sent_after_s=ib.never_sent_after_s
    )
    prices = IbPrices(broker, clock)
    rates = Rates(settings.currency, prices=prices, reported=broker.exchange_rates)
    return Market(broker, prices, clock, age, bars=open_bars(settings), patience=patience, rates=rates)


def make_history(settings: Settings, broker: Broker) -> AskBars | None:
    """Return what asks for daily bars; None at another broker than Interactive Brokers."""
    from apex_cli.core.adapters.ib.historical_bars import IbHistory

    del settings
    if not isinstance(broker, IbBroker):
        return None
    history = IbHistory(broker)
    return lambda instrument, days: history.daily_bars(instrument, days=days)


def make_prefetch(
    settings: Settings, broker: Broker, clock: Clock, notice: Callable[[Reason, str], None], *, waits: bool
) -> Prefetch | None:
    """Return what asks the broker for the daily bars of the watch list; with *waits* the first of them are waited for.

    None at another broker than Interactive Brokers.
    """
    from apex_cli.core.adapters.ib.historical_bars import IbHistory
    from apex_cli.core.signals.prefetch import MOST_WAIT_S, Prefetch

    if not isinstance(broker, IbBroker):
        return None
    history, asked_at = IbHistory(broker), None
    days = -(-settings.pipeline.history_bars * DAYS_A_YEAR // SESSIONS_A_YEAR)

    async def fetch(symbol: str) -> Sequence[Bar]:
        nonlocal asked_at
        if asked_at != (closed_at := last_close(clock.now())):
            asked_at = closed_at
            history.forget()
        return await history.daily_bars(of_key(symbol), days=days)

    return Prefetch(settings.scanners.watch_list, fetch, last_close, notice, wait_s=MOST_WAIT_S if waits else 0)


def findings(settings: Settings) -> tuple[Finding, ...]:
    """Return what a look at Interactive Brokers finds."""
    clock = make_system_clock(settings)
    broker = make_ib_broker(settings, clock, read_only=True)

    async def look() -> tuple[Finding, ...]:
        return tuple([finding async for finding in look_at_broker(broker, IbPrices(broker, clock), clock)])

    return event_loop.run(look())
