"""Quotes and bars that clients ask for."""

from __future__ import annotations

import asyncio

from apex_cli.gateway import messages
from apex_cli.gateway.bar_requests import is_daily, parse_bar_size, parse_duration, parse_end, select
from apex_cli.gateway.contracts import read_contract
from apex_cli.gateway.framing import Reader
from apex_cli.gateway.messages import INVALID, NO_DEFINITION, Message, ends
from apex_cli.gateway.quotes import DataType, TickRequest, data_type_for, tick_messages
from apex_cli.gateway.session import Session


def set_market_data_type(session: Session, fields: Reader) -> None:
    """Remember whether delayed quotes will do."""
    session.market_data_type = fields.integer()


def market_data(session: Session, number: int, fields: Reader) -> None:
    """Start quotes, or one snapshot of them."""
    contract = read_contract(fields)
    if fields.flag():
        fields.skip(3)
    fields.skip(1)
    is_snapshot = fields.flag()
    policy = session.gateway.desk.policy
    listing = session.gateway.desk.listings.find(contract)
    if listing is None:
        session.send(messages.error(number, 200, NO_DEFINITION))
        return
    data_type = data_type_for(session.market_data_type, policy)
    if data_type is None:
        text = "Requested market data is not subscribed. Delayed market data is available."
        session.send(messages.error(number, 354, text))
        return
    if data_type is DataType.DELAYED:
        text = "Requested market data is not subscribed. Displaying delayed market data."
        session.send(messages.error(number, 10167, text))
    session.send([Message.MARKET_DATA_TYPE, 1, number, data_type])
    key = listing.instrument.key
    request = TickRequest(request_id=number, key=key, data_type=data_type, is_snapshot=is_snapshot)
    session.ticks[number] = request
    quoted = session.gateway.quotes.get(key)
    if quoted is not None:
        for tick in tick_messages(request, quoted):
            session.send(tick)
    if is_snapshot:
        _end_snapshot_after(session, number, policy.snapshot_seconds)


def _end_snapshot_after(session: Session, number: int, seconds: float) -> None:
    def end() -> None:
        if session.ticks.pop(number, None) is not None:
            session.send(ends(Message.TICK_SNAPSHOT_END, number))

    if seconds:
        asyncio.get_running_loop().call_later(seconds, end)
    else:
        end()


def cancel_market_data(session: Session, number: int, _: Reader) -> None:
    """End quotes."""
    session.ticks.pop(number, None)


def historical_data(session: Session, number: int, fields: Reader) -> None:
    """Answer with bars; a question without an end means up to the newest bar there is."""
    contract = read_contract(fields)
    fields.skip(1)
    end_text, size_text, span_text = fields.text(), fields.text(), fields.text()
    gateway = session.gateway
    listing = gateway.desk.listings.find(contract)
    known = gateway.bars_of(listing.instrument.symbol, gateway.played_until) if listing else ()
    end = parse_end(end_text, known[-1].end if known else gateway.now())
    size, span = parse_bar_size(size_text), parse_duration(span_text)
    if listing is None:
        session.send(messages.error(number, 200, NO_DEFINITION))
        return
    if end is None or size is None or span is None:
        session.send(messages.error(number, 321, f"{INVALID}Invalid date, bar size or duration"))
        return
    bars = select(known, end=end, span=span, size=size)
    if not bars:
        text = "Historical Market Data Service error message:HMDS query returned no data"
        session.send(messages.error(number, 162, text))
        return
    zone = gateway.desk.policy.time_zone
    session.send(messages.historical_data(number, bars, is_daily=is_daily(bars[0]), zone=zone))
