"""Looks for what usually goes wrong in setting up TWS or IB Gateway, and says what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from apex_cli.core.adapters.ib.broker import IbBroker
from apex_cli.core.adapters.ib.guards import is_paper, masked
from apex_cli.core.adapters.ib.link import Link
from apex_cli.core.adapters.ib.prices import IbPrices
from apex_cli.core.errors import ApexError
from apex_cli.core.model.health import Finding, Level
from apex_cli.core.model.instrument import Instrument, make_instrument
from apex_cli.core.ports import Clock

MOST_DRIFT = timedelta(seconds=5)
LIVE_PORTS, PAPER_PORTS = (7496, 4001), (7497, 4002)
TEST_STOCK = make_instrument("SPY")


async def look_at_broker(broker: IbBroker, prices: IbPrices, clock: Clock) -> AsyncIterator[Finding]:
    """Yield what is found; the first thing that stops everything is the last finding."""
    config = broker.config
    yield _port_hint(config.port, is_live=config.is_live)
    try:
        await broker.connect()
        try:
            async for finding in _look_connected(broker, prices, clock):
                yield finding
        finally:
            await broker.close()
    except ApexError as error:
        yield Finding(code=error.code, level=Level.ERROR, message=error.message, hint=error.hint)


async def _look_connected(broker: IbBroker, prices: IbPrices, clock: Clock) -> AsyncIterator[Finding]:
    link = broker.link
    kind = "paper" if is_paper(link.account) else "LIVE"
    yield _ok("broker", f"{broker.config.place} through {broker.config.library}; {kind} account {masked(link.account)}")
    if link.is_read_only_api:
        yield Finding(
            code="ib_read_only_api",
            level=Level.ERROR,
            message="The API is read-only: no order can be sent, and no order is reported.",
            hint="Uncheck 'Read-Only API' in the API settings of TWS or IB Gateway.",
        )
    elif missing := (await broker.snapshot()).missing:
        yield _incomplete(link, missing)
    account = await broker.account()
    remaining = account.broker_day_trades_remaining
    reported = {None: "not reported", -1: "unlimited"}.get(remaining, str(remaining))
    yield _ok("account", f"equity {account.equity:,.2f}, cash {account.cash:,.2f}; day trades remaining: {reported}")
    yield await _clock_drift(broker, clock)
    yield await _market_data(prices, TEST_STOCK, clock)


def _incomplete(link: Link, missing: Sequence[str]) -> Finding:
    """Return what the broker did not report, and what to do about it."""
    hint = "Set 'Send instrument-specific attributes in' to UTC in its API settings."
    if link.times.unknown:
        return Finding(
            code="ib_time_zone",
            level=Level.ERROR,
            message=f"TWS writes times in an unknown zone, {link.times.unknown!r}: executions cannot be read.",
            hint=hint,
        )
    return Finding(
        code="ib_incomplete",
        level=Level.ERROR,
        message=f"Not everything was answered; missing: {'; '.join(missing)}.",
        hint=f"Restart TWS or IB Gateway. {hint}",
    )


async def _clock_drift(broker: IbBroker, clock: Clock) -> Finding:
    drift = clock.now() - await broker.server_time()
    seconds = abs(drift.total_seconds())
    if abs(drift) <= MOST_DRIFT:
        return _ok("ib_clock", "this computer's clock agrees with the broker's")
    word = "ahead of" if drift > timedelta() else "behind"
    return Finding(
        code="ib_clock_drift",
        level=Level.WARNING,
        message=f"This computer's clock is {seconds:.0f} s {word} the broker's.",
        hint="Switch on time synchronisation.",
    )


async def _market_data(prices: IbPrices, instrument: Instrument, clock: Clock) -> Finding:
    await prices.refresh((instrument,))
    quote = prices.latest(instrument, clock.now())
    if quote is None:
        return Finding(
            code="ib_no_market_data",
            level=Level.WARNING,
            message=f"The broker gives no price of {instrument.key}, not even a delayed one.",
            hint="Subscribe to market data, or set broker.ib.market_data: delayed. Is the same user logged in twice?",
        )
    if quote.source in {"last", "midpoint"}:
        return _ok("ib_market_data", f"live: {instrument.key} {quote.price} ({quote.source})")
    return Finding(
        code="ib_market_data",
        level=Level.WARNING,
        message=f"No live prices: {instrument.key} {quote.price} is {quote.source}, of {quote.at:%Y-%m-%d %H:%M} UTC.",
        hint="Subscribe to market data; until then prices older than prices.max_age_minutes are refused.",
    )


def _port_hint(port: int, *, is_live: bool) -> Finding:
    usual, other = (LIVE_PORTS, PAPER_PORTS) if is_live else (PAPER_PORTS, LIVE_PORTS)
    mode, opposite = ("live", "paper") if is_live else ("paper", "live")
    if port not in other:
        return _ok("ib_port", f"mode {mode}, port {port}")
    return Finding(
        code="ib_port",
        level=Level.WARNING,
        message=f"broker.ib.mode is {mode}, but port {port} is the usual one for {opposite} accounts.",
        hint=f"Usual for {mode}: {usual[0]} (TWS), {usual[1]} (IB Gateway). The account id decides, not the port.",
    )


def _ok(code: str, message: str) -> Finding:
    return Finding(code=code, level=Level.OK, message=message)
